//! Judging: what a case comes to under the rules of its policy.
//!
//! In: a [`Case`] (what was done, when, by whom), the policy, now in Unix milliseconds. Out: [`Finding`]s
//! in the order of the rules, each with its clause, its facts and the amount that the policy *proposes*.
//!
//! Invariants: the same case, policy and moment give the same findings everywhere. Every number is the
//! policy's. Where only the device's clock stands behind a time, a breach is found only if it is one at
//! every moment since the newest time that the device surely knew; else it is undecidable, with both
//! times. A case that has ended runs up nothing further, and keeps what it had run up.
//!
//! Deliberately not here: any decision. People judge people; a finding is never in force by itself. A
//! device clock that makes a late fact look timely is not found out here: no breach is made of a doubt.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use minicbor::{Decode, Encode};
use serde::Serialize;

use super::calendar::{Pause, WorkCalendar};
use super::model::{ANY, Flow, HAPPENINGS, Lateness, Policy, Rule, RuleForm, Window, Words};
use crate::ids::{FactId, Name, PersonId};
use crate::money::{Currency, Money};
use crate::time::{Stamp, TimeSource, UnixMs};

/// A doubling amount stands still after so many days: no amount of money holds more doublings.
const DOUBLINGS_MAX: u32 = 30;
/// Days that are looked through for a window; in fewer, each day of the month comes at least once.
const WINDOW_DAYS_MAX: u64 = 62;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Event {
    /// The fact.
    #[n(0)]
    pub fact: FactId,
    /// The step, or one of [`HAPPENINGS`], such as `opened` for the opening.
    #[n(1)]
    pub step: Name,
    /// When.
    #[n(2)]
    pub at: Stamp,
    /// By whom.
    #[n(3)]
    pub by: PersonId,
    /// How many items it is about.
    #[n(4)]
    pub items: u32,
    /// The exception that it resolves, where it is a resolution.
    #[n(5)]
    pub resolves: Option<FactId>,
    /// Nothing of it is left to do: it was done for all items, or with what came before it.
    #[n(6)]
    pub whole: bool,
}

impl Event {
    /// Whether it ends what another event started: a resolution ends the exception that it names, and no
    /// other; anything else whatever came before it.
    fn ends(&self, started: &Event) -> bool {
        started.step != *"exception" || self.resolves.is_none_or(|exception| exception == started.fact)
    }

    /// The earliest moment at which it can have been done, as far as its device knew; none where it
    /// knew no trusted time at all.
    fn earliest(&self) -> Option<UnixMs> {
        match self.at.best() {
            (at, TimeSource::Trusted) => Some(at),
            (_, TimeSource::DeviceClock) => self.at.known_since_ms,
        }
    }
    fn at(&self) -> UnixMs {
        self.at.best().0
    }
    fn trusted(&self) -> bool {
        self.at.best().1 == TimeSource::Trusted
    }
}

/// What is judged. CBOR with integer keys, for a read model that judges later; rebuilt at any time.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Case {
    /// The flow.
    #[n(0)]
    pub flow: Name,
    /// When it was opened.
    #[n(1)]
    pub opened_ms: UnixMs,
    /// The day of delivery in force.
    #[cbor(n(2), with = "day")]
    pub delivery: Option<NaiveDate>,
    /// Material classes of the items.
    #[n(3)]
    pub materials: Vec<Name>,
    /// A ticket's urgency.
    #[n(4)]
    pub urgency: Option<Name>,
    /// When it was cancelled or complete: nothing is due from then on.
    #[n(5)]
    pub ended_ms: Option<UnixMs>,
    /// Stretches that its deadlines by urgency do not count.
    #[n(6)]
    pub pauses: Vec<Pause>,
    /// What was done, in the log's order.
    #[n(7)]
    pub events: Vec<Event>,
}

/// A day in CBOR: the days of the common era up to it, or nothing.
mod day {
    use chrono::{Datelike as _, NaiveDate};
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{Encoder, Write};

    pub fn encode<C, W: Write>(
        day: &Option<NaiveDate>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.encode(day.map(|day| day.num_days_from_ce()))?.ok()
    }
    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Option<NaiveDate>, Error> {
        let days: Option<i32> = d.decode()?;
        let day = |days| NaiveDate::from_num_days_from_ce_opt(days).ok_or_else(|| Error::message("no day"));
        days.map(day).transpose()
    }
}

impl Case {
    /// The last day for placing by the policy: so many days before delivery as the slowest material needs.
    pub fn place_by(&self, policy: &Policy) -> Option<NaiveDate> {
        let lead = |m: &Name| policy.materials.get(m).map(|m| m.lead_days);
        let slowest = self.materials.iter().filter_map(lead).max()?;
        self.delivery?.checked_sub_days(Days::new(slowest.into()))
    }
    fn first(&self, step: &Name) -> Option<&Event> {
        self.events.iter().find(|e| e.step == *step)
    }
    fn all<'a>(&'a self, step: &'a Name) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |e| e.step == *step || *step == *ANY)
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Against the rule.
    Breach,
    /// A deadline is ahead or its day has come; nothing is wrong yet.
    Due,
    /// The times that are known do not decide it.
    Undecidable,
}

/// The bounds of an undecidable fact: it is a breach at one of them, and may be none at the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Doubt {
    /// The newest time that its device surely knew; none where it knew none.
    pub known_since_ms: Option<UnixMs>,
    /// What its device's own clock said.
    pub device_clock_ms: UnixMs,
}

/// One finding: a proposal for people to decide about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Finding {
    /// The rule.
    pub rule: Name,
    /// What people call it.
    pub title: Words,
    /// The clause it rests on.
    pub clause: String,
    /// The step that it is about; `opened` for the opening.
    pub step: Name,
    /// The facts it rests on.
    #[serde(serialize_with = "as_texts")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    pub facts: Vec<FactId>,
    /// The roles that it is about.
    pub about: Vec<Name>,
    /// It is about the one of them who did it, not about each.
    pub one_of: bool,
    /// How it stands.
    pub verdict: Verdict,
    /// Nobody has done it yet: it can be made good, or only become later.
    pub open: bool,
    /// Why it is undecidable.
    pub doubt: Option<Doubt>,
    /// What the policy proposes for each of `about`, or for the one of them; where it is undecidable, if people find it so.
    #[serde(serialize_with = "as_text")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub amount: Option<Money>,
    /// The grade of penalty that the policy proposes.
    pub penalty: Option<Name>,
    /// Whole days that it is late by, where days are counted.
    pub days_late: Option<u32>,
    /// When it was or is due, Unix milliseconds.
    pub due_ms: Option<UnixMs>,
    /// Who is to be told, now that it is late.
    pub escalate_to: Option<Name>,
    /// Whether the relay's time stands behind it.
    pub trusted_time: bool,
}

impl Finding {
    /// The moment it stands for, if it has one of its own: when it was or is due, or the newest of these
    /// facts of the case that it rests on, whichever is later.
    pub fn moment(&self, case: &Case) -> Option<UnixMs> {
        let facts = case.events.iter().filter(|e| self.facts.contains(&e.fact)).map(Event::at);
        facts.chain(self.due_ms).max()
    }
}

fn as_texts<S: serde::Serializer>(facts: &[FactId], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(facts.iter().map(ToString::to_string))
}
fn as_text<S: serde::Serializer>(amount: &Option<Money>, s: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => s.collect_str(amount),
        None => s.serialize_none(),
    }
}

/// Judges a case at a moment.
pub fn judge(case: &Case, policy: &Policy, now: UnixMs) -> Vec<Finding> {
    let Some(flow) = policy.flows.get(&case.flow) else { return Vec::new() };
    let clock = case.ended_ms.map_or(now, |ended| ended.min(now));
    let judging = Judging {
        case,
        policy,
        flow,
        calendar: WorkCalendar::of(policy),
        ended_ms: case.ended_ms,
        clock,
        now,
    };
    policy
        .rules
        .iter()
        .filter(|rule| rule.concerns(&case.flow, flow))
        .flat_map(|rule| judging.rule(rule))
        .collect()
}

#[derive(Clone, Copy)]
struct Judging<'a> {
    case: &'a Case,
    policy: &'a Policy,
    flow: &'a Flow,
    calendar: WorkCalendar<'a>,
    /// When nothing is due any more.
    ended_ms: Option<UnixMs>,
    /// Now, or when the case ended.
    clock: UnixMs,
    now: UnixMs,
}

impl Judging<'_> {
    fn rule(&self, rule: &Rule) -> Vec<Finding> {
        match &rule.form {
            RuleForm::OutsideWindow { step, window, amount } => {
                self.outside(rule, step, window, amount.as_deref())
            }
            RuleForm::LeadTime { step, amount } => self.lead_time(rule, step, amount.as_deref()),
            RuleForm::Reminder { step, remind, amount } => {
                self.reminder(rule, step, remind, amount.as_deref())
            }
            RuleForm::Within { from, until, days, amount, doubling, excused_by } => {
                let excused = excused_by.as_ref().is_some_and(|step| self.case.first(step).is_some());
                let run = Run { days: *days, amount: amount.as_deref(), doubling: *doubling };
                if excused { Vec::new() } else { self.within(rule, (from, until), run) }
            }
            RuleForm::Mistake { step, once, each_item_after } => {
                self.mistakes(rule, step, once.as_deref(), each_item_after)
            }
            RuleForm::Without { step, needs, amount } => self.without(rule, step, needs, amount.as_deref()),
            RuleForm::Urgency { response, resolution, escalate_to } => {
                self.urgency(rule, response, resolution, escalate_to)
            }
            RuleForm::WithinHours { from, until, hours, amount, escalate_to } => {
                let found = self.within_hours(rule, from, until, *hours);
                let told = |found: Finding| Finding {
                    amount: self.money(amount.as_deref(), 1).filter(|_| found.verdict != Verdict::Due),
                    escalate_to: escalate_to.clone().filter(|_| found.verdict == Verdict::Breach),
                    ..found
                };
                found.into_iter().map(told).collect()
            }
            RuleForm::Every { from, step, days, times } => self.every(rule, from, step, (*days, *times)),
            RuleForm::LateDelivery { step, grades } => self.late_delivery(rule, step, grades),
        }
    }

    fn money(&self, amount: Option<&str>, times: i64) -> Option<Money> {
        let currency = Currency::parse(&self.policy.currency).ok()?;
        Money::parse(amount?, currency).ok()?.checked_mul(times).ok()
    }

    fn is_over(&self) -> bool {
        self.ended_ms.is_some_and(|ended| ended <= self.clock)
    }

    fn finding(&self, rule: &Rule, step: &Name, facts: &[&Event], verdict: Verdict) -> Finding {
        Finding {
            rule: rule.id.clone(),
            title: rule.title.clone(),
            clause: rule.clause.clone(),
            step: step.clone(),
            facts: facts.iter().map(|e| e.fact).collect(),
            about: rule.about.clone(),
            one_of: rule.one_of,
            verdict,
            open: self.case.first(step).is_none(),
            doubt: None,
            amount: None,
            penalty: None,
            days_late: None,
            due_ms: None,
            escalate_to: None,
            trusted_time: facts.iter().all(|e| e.trusted()),
        }
    }

    /// What nobody has done yet, though the same step may have been done before what is owed now.
    fn owed(&self, rule: &Rule, step: &Name, started: &[&Event], verdict: Verdict) -> Finding {
        Finding { open: true, ..self.finding(rule, step, started, verdict) }
    }

    /// A breach by one event, or the doubt about it; `facts` come before it.
    fn against(&self, rule: &Rule, facts: &[&Event], event: &Event, sure: bool) -> Finding {
        let facts = [facts, &[event]].concat();
        let doubt = Doubt { known_since_ms: event.at.known_since_ms, device_clock_ms: event.at() };
        let verdict = if sure { Verdict::Breach } else { Verdict::Undecidable };
        let doubt = (!sure).then_some(doubt);
        Finding { doubt, open: false, ..self.finding(rule, &event.step, &facts, verdict) }
    }

    fn outside(&self, rule: &Rule, step: &Name, window: &Name, amount: Option<&str>) -> Vec<Finding> {
        let Some(window) = self.policy.windows.get(window) else { return Vec::new() };
        let found = |event: &Event| {
            let missed = !self.touches(window, event.at(), event.at());
            let sure = event.earliest().is_some_and(|at| !self.touches(window, at, event.at()));
            missed.then(|| Finding { amount: self.money(amount, 1), ..self.against(rule, &[], event, sure) })
        };
        self.case.all(step).filter_map(found).collect()
    }

    /// Whether a window is open at some moment of a stretch, both ends included.
    fn touches(&self, window: &Window, earliest: UnixMs, latest: UnixMs) -> bool {
        let (from, to) = (self.calendar.local(earliest), self.calendar.local(latest));
        let open = |day: NaiveDate| {
            window.has_day(day) && day.and_time(window.from) <= to && day.and_time(window.to) > from
        };
        let days = (0..=WINDOW_DAYS_MAX).map_while(|n| from.date().checked_add_days(Days::new(n)));
        days.take_while(|day| *day <= to.date()).any(open)
    }

    fn last_day(&self) -> Option<NaiveDate> {
        self.case.place_by(self.policy)
    }

    fn end_of(&self, day: NaiveDate) -> Option<UnixMs> {
        Some(self.calendar.day_start(day.checked_add_days(Days::new(1))?))
    }

    /// Whole days that a moment is past a day; 0 on that day and before.
    fn days_past(&self, day: NaiveDate, at: UnixMs) -> u32 {
        u32::try_from((self.calendar.local_date(at) - day).num_days()).unwrap_or(0)
    }

    fn lead_time(&self, rule: &Rule, step: &Name, amount: Option<&str>) -> Vec<Finding> {
        let Some((last, event)) = self.last_day().zip(self.case.first(step)) else { return Vec::new() };
        let late = self.days_past(last, event.at());
        let sure = event.earliest().is_some_and(|at| self.days_past(last, at) > 0);
        let found = || Finding {
            amount: self.money(amount, 1),
            days_late: Some(late),
            due_ms: self.end_of(last),
            ..self.against(rule, &[], event, sure)
        };
        (late > 0).then(found).into_iter().collect()
    }

    fn reminder(&self, rule: &Rule, step: &Name, remind: &Name, amount: Option<&str>) -> Vec<Finding> {
        let Some(last) = self.last_day() else { return Vec::new() };
        let (start, Some(end)) = (self.calendar.day_start(last), self.end_of(last)) else {
            return Vec::new();
        };
        // What was opened after its day for placing had passed could not have been acted on.
        if self.case.opened_ms >= end {
            return Vec::new();
        }
        let acts: Vec<&Event> = self.case.all(step).chain(self.case.all(remind)).collect();
        let acted = acts.iter().any(|e| e.at() < end);
        let due = Finding { due_ms: Some(start), ..self.finding(rule, step, &[], Verdict::Due) };
        if self.clock >= end && !acted {
            let days_late = Some(self.days_past(last, self.clock));
            let doubtful = acts.iter().find(|e| e.earliest().is_none_or(|at| at < end));
            let found = match doubtful {
                Some(event) => self.against(rule, &[], event, false),
                None => self.finding(rule, step, &acts, Verdict::Breach),
            };
            vec![Finding { due_ms: due.due_ms, days_late, amount: self.money(amount, 1), ..found }]
        } else if self.clock >= start && self.case.first(step).is_none() && !self.is_over() {
            vec![due]
        } else {
            Vec::new()
        }
    }

    /// Days are counted from the local day of the first step: with 3 days, a note of the 1st may be
    /// followed until the end of the 4th, by the last part of it. The amount is that of the day that was surely
    /// reached.
    fn within(&self, rule: &Rule, (from, until): (&Name, &Name), run: Run<'_>) -> Vec<Finding> {
        let starts = self.case.events.iter().enumerate().filter(|(_, e)| e.step == *from);
        let first = self.case.events.iter().position(|e| e.step == *from);
        let found = |(at, started): (usize, &Event)| {
            // The log may hold the end before the first start, where both were recorded apart.
            let since = if first == Some(at) { 0 } else { at };
            let later = self.case.events.get(since..).unwrap_or_default().iter();
            let ends = later.filter(|e| e.step == *until && e.whole);
            self.run(rule, started, ends.min_by_key(|e| e.at()), until, &run)
        };
        starts.filter_map(found).collect()
    }

    fn run(
        &self,
        rule: &Rule,
        started: &Event,
        ended: Option<&Event>,
        until: &Name,
        run: &Run<'_>,
    ) -> Option<Finding> {
        let day = self.calendar.local_date(started.at());
        let last = day.checked_add_days(Days::new(run.days.into()))?;
        let late = self.days_past(last, ended.map_or(self.clock, Event::at));
        let (found, counted) = match ended {
            Some(_) if late == 0 => return None,
            Some(event) => {
                let sure = event.earliest().map_or(0, |at| self.days_past(last, at));
                let counted = if sure > 0 { sure } else { late };
                (self.against(rule, &[started], event, sure > 0), counted)
            }
            None if late > 0 => (self.owed(rule, until, &[started], Verdict::Breach), late),
            None if self.is_over() => return None,
            None => (self.owed(rule, until, &[started], Verdict::Due), 0),
        };
        let times = if run.doubling { 1i64 << (counted.clamp(1, DOUBLINGS_MAX) - 1) } else { 1 };
        Some(Finding {
            due_ms: self.end_of(last),
            days_late: (counted > 0).then_some(counted),
            amount: self.money(run.amount, times).filter(|_| counted > 0),
            ..found
        })
    }

    /// The amount for a record, and that for its items by the furthest step that was done before it.
    fn mistakes(
        &self,
        rule: &Rule,
        step: &Name,
        once: Option<&str>,
        each_item_after: &BTreeMap<Name, String>,
    ) -> Vec<Finding> {
        let amount = |at: usize, event: &Event| {
            let before = self.case.events.get(..at).unwrap_or_default();
            let done = |id: &Name| before.iter().any(|e| e.step == *id);
            let furthest =
                self.flow.steps.iter().rev().find(|s| each_item_after.contains_key(&s.id) && done(&s.id));
            let each = furthest.and_then(|s| each_item_after.get(&s.id)).map(String::as_str);
            let items = self.money(each, i64::from(event.items.max(1)));
            match (self.money(once, 1), items) {
                (Some(once), Some(items)) => once.checked_add(items).ok(),
                (once, items) => once.or(items),
            }
        };
        let found = self.case.events.iter().enumerate().filter(|(_, e)| e.step == *step);
        found.map(|(at, e)| Finding { amount: amount(at, e), ..self.against(rule, &[], e, true) }).collect()
    }

    /// The order is that of the log, which no clock decides.
    fn without(&self, rule: &Rule, step: &Name, needs: &Name, amount: Option<&str>) -> Vec<Finding> {
        let Some(at) = self.case.events.iter().position(|e| e.step == *step) else { return Vec::new() };
        let (before, from) = self.case.events.split_at(at);
        let missing = from.first().filter(|_| !before.iter().any(|e| e.step == *needs));
        let found = |e| Finding { amount: self.money(amount, 1), ..self.against(rule, &[], e, true) };
        missing.map(found).into_iter().collect()
    }

    /// Each `from` is answered by the first `until` that the log has after it.
    fn within_hours(&self, rule: &Rule, from: &Name, until: &Name, hours: u32) -> Vec<Finding> {
        let found = |(at, started): (usize, &Event)| {
            let due = self.calendar.deadline(started.at(), hours, &self.case.pauses)?;
            let later = self.case.events.get(at + 1..).unwrap_or_default();
            let ended = later.iter().find(|e| e.step == *until && e.ends(started));
            self.by_then(rule, &[started], ended, until, due)
        };
        let starts = self.case.events.iter().enumerate().filter(|(_, e)| e.step == *from);
        starts.filter_map(found).collect()
    }

    /// Whether something was done by a moment: nothing to tell, a breach or a doubt, or still due.
    fn by_then(
        &self,
        rule: &Rule,
        started: &[&Event],
        ended: Option<&Event>,
        step: &Name,
        due: UnixMs,
    ) -> Option<Finding> {
        let found = match ended {
            Some(event) if event.at() <= due => return None,
            Some(event) => self.against(rule, started, event, event.earliest().is_some_and(|at| at > due)),
            None if self.clock > due => self.owed(rule, step, started, Verdict::Breach),
            None if self.is_over() => return None,
            None => self.owed(rule, step, started, Verdict::Due),
        };
        Some(Finding { due_ms: Some(due), ..found })
    }

    /// The k-th return is owed by the end of its day; one that came early counts for the next that is owed.
    /// Closing a case does not end what is owed to the customer after it, such as a contact; a step of the
    /// flow can be recorded no more, so none is owed.
    fn every(&self, rule: &Rule, from: &Name, step: &Name, (days, times): (u32, u32)) -> Vec<Finding> {
        let Some(at) = self.case.events.iter().position(|e| e.step == *from) else { return Vec::new() };
        let (_, since) = self.case.events.split_at(at);
        let Some(started) = since.first() else { return Vec::new() };
        let mut done = since.iter().skip(1).filter(|e| e.step == *step);
        let day = self.calendar.local_date(started.at());
        let outlives = HAPPENINGS.contains(&step.as_str());
        let judging = if outlives { Judging { ended_ms: None, clock: self.now, ..*self } } else { *self };
        let mut found = Vec::new();
        for k in 1..=times {
            let last = day.checked_add_days(Days::new(u64::from(days) * u64::from(k)));
            let Some(due) = last.and_then(|last| self.end_of(last)) else { break };
            let ended = done.next();
            found.extend(judging.by_then(rule, &[started], ended, step, due - 1));
            if ended.is_none() {
                // What is owed next is told, and nothing after it.
                break;
            }
        }
        found
    }

    /// How late the step is, or would be now, for the last of the items; the grade of the most days reached is proposed.
    fn late_delivery(&self, rule: &Rule, step: &Name, grades: &[Lateness]) -> Vec<Finding> {
        let Some(day) = self.case.delivery else { return Vec::new() };
        let event = self.case.all(step).find(|event| event.whole);
        let late = self.days_past(day, event.map_or(self.clock, Event::at));
        let sure = event.map_or(late, |e| e.earliest().map_or(0, |at| self.days_past(day, at)));
        let counted = if sure > 0 { sure } else { late };
        let reached = grades.iter().filter(|grade| grade.days <= counted).max_by_key(|grade| grade.days);
        let Some(grade) = reached else { return Vec::new() };
        let found = match event {
            Some(event) => self.against(rule, &[], event, sure >= grade.days),
            None => self.finding(rule, step, &[], Verdict::Breach),
        };
        vec![Finding {
            amount: self.money(grade.amount.as_deref(), 1),
            penalty: grade.penalty.clone(),
            days_late: Some(counted),
            due_ms: self.end_of(day),
            ..found
        }]
    }

    fn urgency(&self, rule: &Rule, response: &Name, resolution: &Name, tell: &Name) -> Vec<Finding> {
        let Some(urgency) = self.policy.urgency(self.case.urgency.as_ref()) else { return Vec::new() };
        let steps = [(response, urgency.response_hours), (resolution, urgency.resolution_hours)];
        let found = |(step, hours): (&Name, u32)| {
            // While a pause is open, nothing falls due.
            let due = self.calendar.deadline(self.case.opened_ms, hours, &self.case.pauses)?;
            let found = self.by_then(rule, &[], self.case.first(step), step, due)?;
            let escalate_to = (found.verdict == Verdict::Breach).then(|| tell.clone());
            Some(Finding { escalate_to, ..found })
        };
        steps.into_iter().filter_map(found).collect()
    }
}

/// What runs up when a step does not follow another within its days.
struct Run<'a> {
    days: u32,
    amount: Option<&'a str>,
    doubling: bool,
}

#[cfg(test)]
mod tests;
