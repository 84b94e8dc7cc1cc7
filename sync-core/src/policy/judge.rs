//! Judging: what a case comes to under the rules of its policy.
//!
//! In: a [`Case`] (what was done, when, by whom), the policy, now. Out: [`Finding`]s, each with its
//! clause, its facts and the amount that the policy *proposes*. People judge people: a finding is never
//! in force by itself. Every number is the policy's. Where only the device's clock stands behind a time
//! and the newest time the device surely knew would give another answer, the verdict is undecidable.

use chrono::{Days, NaiveDate};
use serde::Serialize;

use super::calendar::WorkCalendar;
use super::model::{Policy, Rule, RuleForm, Words};
use crate::ids::{FactId, Name, PersonId};
use crate::money::{Currency, Money};
use crate::time::{Stamp, TimeSource, UnixMs};

/// A doubling amount stands still after so many days.
const DOUBLING_MAX: u32 = 30;
const HOUR_MS: i64 = 3_600_000;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The fact.
    pub fact: FactId,
    /// The step; `opened` for the opening.
    pub step: Name,
    /// When.
    pub at: Stamp,
    /// By whom.
    pub by: PersonId,
    /// How many items it is about.
    pub items: u32,
}

/// What is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The flow.
    pub flow: Name,
    /// When it was opened.
    pub opened_ms: UnixMs,
    /// The day of delivery in force.
    pub delivery: Option<NaiveDate>,
    /// Material classes of the items.
    pub materials: Vec<Name>,
    /// A ticket's urgency.
    pub urgency: Option<Name>,
    /// Cancelled or complete: nothing is due any more.
    pub over: bool,
    /// What was done, in the log's order.
    pub events: Vec<Event>,
}

impl Case {
    fn first(&self, step: &Name) -> Option<&Event> {
        self.events.iter().find(|e| e.step == *step)
    }
    fn all<'a>(&'a self, step: &'a Name) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |e| e.step == *step)
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Against the rule.
    Breach,
    /// The day has come; nothing is wrong yet.
    Due,
    /// The times that are known do not decide it.
    Undecidable,
}

/// One finding: a proposal for people to decide about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Name,
    /// What people call it.
    pub title: Words,
    /// The clause it rests on.
    pub clause: String,
    /// The facts it rests on.
    #[serde(serialize_with = "as_texts")]
    pub facts: Vec<FactId>,
    /// The roles that it is about.
    pub about: Vec<Name>,
    /// How it stands.
    pub verdict: Verdict,
    /// What the policy proposes for each of `about`.
    #[serde(serialize_with = "as_text")]
    pub amount: Option<Money>,
    /// When it was or is due, Unix milliseconds.
    pub due_ms: Option<UnixMs>,
    /// Whether the relay's time stands behind it.
    pub trusted_time: bool,
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
    let judging = Judging { case, policy, calendar: WorkCalendar::of(policy), now };
    let Some(flow) = policy.flows.get(&case.flow) else { return Vec::new() };
    policy.rules.iter().filter(|rule| rule.concerns(flow)).flat_map(|rule| judging.rule(rule)).collect()
}

struct Judging<'a> {
    case: &'a Case,
    policy: &'a Policy,
    calendar: WorkCalendar<'a>,
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
                if excused {
                    Vec::new()
                } else {
                    self.within(rule, (from, until), *days, amount.as_deref(), *doubling)
                }
            }
            RuleForm::Mistake { step, once, each_item_after } => {
                self.mistakes(rule, step, once.as_deref(), each_item_after)
            }
            RuleForm::Urgency { response, resolution, .. } => self.urgency(rule, response, resolution),
        }
    }

    fn money(&self, amount: Option<&str>, times: i64) -> Option<Money> {
        let currency = Currency::parse(&self.policy.currency).ok()?;
        Money::parse(amount?, currency).ok()?.checked_mul(times).ok()
    }

    fn finding(&self, rule: &Rule, facts: &[&Event], verdict: Verdict, amount: Option<Money>) -> Finding {
        let trusted_time = facts.iter().all(|e| e.at.best().1 == TimeSource::Trusted);
        Finding {
            rule: rule.id.clone(),
            title: rule.title.clone(),
            clause: rule.clause.clone(),
            facts: facts.iter().map(|e| e.fact).collect(),
            about: rule.about.clone(),
            verdict,
            amount,
            due_ms: None,
            trusted_time,
        }
    }

    /// The verdict on one event: a breach, or undecidable where the device's clock alone makes it one
    /// and the newest time it surely knew would not.
    fn of_event(&self, event: &Event, breaks: impl Fn(UnixMs) -> bool) -> Option<Verdict> {
        let (at, source) = event.at.best();
        if !breaks(at) {
            return None;
        }
        let doubted =
            source == TimeSource::DeviceClock && event.at.known_since_ms.is_some_and(|ms| !breaks(ms));
        Some(if doubted { Verdict::Undecidable } else { Verdict::Breach })
    }

    fn outside(&self, rule: &Rule, step: &Name, window: &Name, amount: Option<&str>) -> Vec<Finding> {
        let Some(window) = self.policy.windows.get(window) else { return Vec::new() };
        let outside = |at: UnixMs| {
            use chrono::Datelike as _;
            let local = self.calendar.local(at);
            let day = window.days_of_month.is_none_or(|(a, b)| (a..=b).contains(&local.day()));
            !day || local.time() < window.from || local.time() >= window.to
        };
        // A window is not a length of time: what the device knew earlier says nothing about the hour.
        let verdict = |e: &Event| outside(e.at.best().0).then_some(Verdict::Breach);
        let found = |e: &Event| Some(self.finding(rule, &[e], verdict(e)?, self.money(amount, 1)));
        self.case.all(step).filter_map(found).collect()
    }

    /// The last day for a step: so many days before delivery as the slowest material needs.
    fn last_day(&self) -> Option<NaiveDate> {
        let lead = |m: &Name| self.policy.materials.get(m).map(|m| m.lead_days);
        let slowest = self.case.materials.iter().filter_map(lead).max()?;
        self.case.delivery?.checked_sub_days(Days::new(slowest.into()))
    }

    fn lead_time(&self, rule: &Rule, step: &Name, amount: Option<&str>) -> Vec<Finding> {
        let Some((last, event)) = self.last_day().zip(self.case.first(step)) else { return Vec::new() };
        let verdict = self.of_event(event, |at| self.calendar.local(at).date() > last);
        let found = |v| Finding {
            due_ms: self.end_of(last),
            ..self.finding(rule, &[event], v, self.money(amount, 1))
        };
        verdict.map(found).into_iter().collect()
    }

    fn end_of(&self, day: NaiveDate) -> Option<UnixMs> {
        Some(self.calendar.day_start(day.checked_add_days(Days::new(1))?))
    }

    fn reminder(&self, rule: &Rule, step: &Name, remind: &Name, amount: Option<&str>) -> Vec<Finding> {
        let over = self.case.over && self.case.first(step).is_none();
        let Some(last) = self.last_day().filter(|_| !over) else { return Vec::new() };
        let (start, Some(end)) = (self.calendar.day_start(last), self.end_of(last)) else {
            return Vec::new();
        };
        let done = self.case.first(step).map(|e| e.at.best().0);
        let acted = |until: UnixMs| {
            let reminded = self.case.all(remind).any(|e| e.at.best().0 < until);
            reminded || done.is_some_and(|at| at < until)
        };
        let finding = |verdict, amount| Finding {
            due_ms: Some(start),
            ..self.finding(rule, &self.case.first(step).into_iter().collect::<Vec<_>>(), verdict, amount)
        };
        // What was opened after its day for placing had passed could not have been acted on.
        if self.case.opened_ms >= end {
            return Vec::new();
        }
        if self.now >= end && !acted(end) {
            vec![finding(Verdict::Breach, self.money(amount, 1))]
        } else if self.now >= start && done.is_none() {
            vec![finding(Verdict::Due, None)]
        } else {
            Vec::new()
        }
    }

    /// Days are counted from the local day of the first step: with 3 days, a note of the 1st may be
    /// followed until the end of the 4th. The amount is that of the day that was reached.
    fn within(
        &self,
        rule: &Rule,
        (from, until): (&Name, &Name),
        days: u32,
        amount: Option<&str>,
        doubling: bool,
    ) -> Vec<Finding> {
        let Some(started) = self.case.first(from) else { return Vec::new() };
        let ended = self.case.first(until);
        if ended.is_none() && self.case.over {
            return Vec::new();
        }
        let day = |at: UnixMs| self.calendar.local(at).date();
        let late_by = |at: UnixMs| {
            let passed = (day(at) - day(started.at.best().0)).num_days();
            u32::try_from(passed).unwrap_or(0).saturating_sub(days)
        };
        let reached = late_by(ended.map_or(self.now, |e| e.at.best().0));
        if reached == 0 {
            return Vec::new();
        }
        let verdict = ended.map_or(Some(Verdict::Breach), |e| self.of_event(e, |at| late_by(at) > 0));
        let times = if doubling { 1i64 << (reached.min(DOUBLING_MAX) - 1) } else { 1 };
        let facts: Vec<&Event> = [Some(started), ended].into_iter().flatten().collect();
        let due =
            day(started.at.best().0).checked_add_days(Days::new(days.into())).and_then(|d| self.end_of(d));
        let found = |v| Finding { due_ms: due, ..self.finding(rule, &facts, v, self.money(amount, times)) };
        verdict.map(found).into_iter().collect()
    }

    fn mistakes(
        &self,
        rule: &Rule,
        step: &Name,
        once: Option<&str>,
        each_item_after: &std::collections::BTreeMap<Name, String>,
    ) -> Vec<Finding> {
        let amount = |at: usize, event: &Event| {
            let before = &self.case.events[..at];
            // The furthest of these steps that was done before the mistake was recorded.
            let furthest = before.iter().rev().find_map(|e| each_item_after.get(&e.step));
            let each = self.money(furthest.map(String::as_str), i64::from(event.items.max(1)));
            each.or_else(|| self.money(once, 1))
        };
        let found = self.case.events.iter().enumerate().filter(|(_, e)| e.step == *step);
        found.map(|(at, e)| self.finding(rule, &[e], Verdict::Breach, amount(at, e))).collect()
    }

    fn urgency(&self, rule: &Rule, response: &Name, resolution: &Name) -> Vec<Finding> {
        let urgency = self.case.urgency.as_ref().and_then(|u| self.policy.urgencies.get(u));
        let flow = self.policy.flows.get(&self.case.flow);
        let Some((urgency, flow)) = urgency.zip(flow) else { return Vec::new() };
        let mut findings = Vec::new();
        for (step, hours) in [(response, urgency.response_hours), (resolution, urgency.resolution_hours)] {
            if flow.step(step.as_str()).is_none() {
                continue;
            }
            let due = self.calendar.after(self.case.opened_ms, i64::from(hours) * HOUR_MS);
            let event = self.case.first(step);
            let verdict = match event {
                Some(event) => self.of_event(event, |at| at > due),
                None if self.now > due && !self.case.over => Some(Verdict::Breach),
                None => None,
            };
            let facts: Vec<&Event> = event.into_iter().collect();
            let found = |v| Finding { due_ms: Some(due), ..self.finding(rule, &facts, v, None) };
            findings.extend(verdict.map(found));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::check;

    fn furniture() -> Policy {
        Policy::parse(check::shipped("furniture").unwrap()).unwrap()
    }
    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }
    fn ms(text: &str) -> UnixMs {
        chrono::DateTime::parse_from_rfc3339(&format!("{text}+08:00")).unwrap().timestamp_millis()
    }
    fn trusted(at: UnixMs) -> Stamp {
        Stamp { wall_ms: at, offset_min: 480, trusted_ms: Some(at), known_since_ms: Some(at) }
    }
    fn event(n: u8, step: &str, at: &str) -> Event {
        Event {
            fact: FactId::from_bytes([n; 16]),
            step: name(step),
            at: trusted(ms(at)),
            by: PersonId::from_bytes([1; 16]),
            items: 2,
        }
    }
    fn order(events: Vec<Event>) -> Case {
        Case {
            flow: name("order"),
            opened_ms: ms("2026-11-01T17:00:00"),
            delivery: Some("2026-12-05".parse().unwrap()),
            materials: vec![name("panel")],
            urgency: None,
            over: false,
            events,
        }
    }
    /// Verdict and amount of one rule.
    fn found(case: &Case, rule: &str, now: &str) -> Vec<(Verdict, Option<String>)> {
        let findings = judge(case, &furniture(), ms(now));
        let of = findings.into_iter().filter(|f| f.rule == *rule);
        of.map(|f| (f.verdict, f.amount.map(|a| a.to_string()))).collect()
    }
    fn breach(amount: &str) -> Vec<(Verdict, Option<String>)> {
        vec![(Verdict::Breach, Some(format!("{amount} CNY")))]
    }

    #[test]
    fn s21_an_order_handed_in_outside_17_to_18_is_an_insertion_of_50_yuan() {
        for (at, outside) in
            [("16:59:59", true), ("17:00:00", false), ("17:59:59", false), ("18:00:00", true)]
        {
            let case = order(vec![event(1, "handed-in", &format!("2026-11-23T{at}"))]);
            let expected = if outside { breach("50.00") } else { vec![] };
            assert_eq!(found(&case, "insertion", "2026-11-24T00:00:00"), expected, "{at}");
        }
    }
    #[test]
    fn s21_panel_is_placed_5_days_and_solid_wood_10_days_before_delivery() {
        for (materials, at, late) in [
            (vec!["panel"], "2026-11-30T17:30:00", false),
            (vec!["panel"], "2026-12-01T17:30:00", true),
            (vec!["solid"], "2026-11-25T17:30:00", false),
            (vec!["solid"], "2026-11-26T17:30:00", true),
            (vec!["panel", "solid"], "2026-11-26T17:30:00", true),
        ] {
            let mut case = order(vec![event(1, "placed", at)]);
            case.materials = materials.iter().map(|m| name(m)).collect();
            assert_eq!(
                found(&case, "placed-late", "2026-12-31T00:00:00").len(),
                usize::from(late),
                "{materials:?} {at}"
            );
        }
    }
    #[test]
    fn s21_when_the_day_for_placing_passes_with_neither_side_acting_both_are_proposed_50_yuan() {
        let silent = order(vec![]);
        assert_eq!(found(&silent, "placing-due", "2026-11-29T23:59:59"), vec![]);
        assert_eq!(found(&silent, "placing-due", "2026-11-30T12:00:00"), vec![(Verdict::Due, None)]);
        assert_eq!(found(&silent, "placing-due", "2026-12-01T00:00:00"), breach("50.00"));
        let reminded = order(vec![event(1, "reminded", "2026-11-30T17:10:00")]);
        assert_eq!(found(&reminded, "placing-due", "2026-12-01T00:00:00"), vec![(Verdict::Due, None)]);
        let findings = judge(&silent, &furniture(), ms("2026-12-01T00:00:00"));
        let about = findings.into_iter().find(|f| f.rule == *"placing-due").unwrap().about;
        assert_eq!(about, [name("sales"), name("merchandiser")]);
    }
    #[test]
    fn s21_goods_leave_within_3_days_of_the_note_then_10_20_40_yuan_doubling() {
        for (fetched, amount) in [
            ("2026-12-04T23:59:59", None),
            ("2026-12-05T00:00:00", Some("10.00")),
            ("2026-12-06T12:00:00", Some("20.00")),
            ("2026-12-07T12:00:00", Some("40.00")),
            ("2026-12-08T12:00:00", Some("80.00")),
        ] {
            let case =
                order(vec![event(1, "delivery-note", "2026-12-01T17:00:00"), event(2, "fetched", fetched)]);
            let expected = amount.map_or(vec![], breach);
            assert_eq!(found(&case, "fetched-late", "2026-12-31T00:00:00"), expected, "{fetched}");
        }
        let open = order(vec![event(1, "delivery-note", "2026-12-01T17:00:00")]);
        assert_eq!(found(&open, "fetched-late", "2026-12-06T09:00:00"), breach("20.00"));
        let events = vec![
            event(1, "delivery-note", "2026-12-01T17:00:00"),
            event(2, "overbooked", "2026-12-03T09:00:00"),
        ];
        assert_eq!(found(&order(events), "fetched-late", "2026-12-31T00:00:00"), vec![]);
    }
    #[test]
    fn s21_a_wrong_order_costs_30_an_item_after_the_note_and_50_after_the_goods_were_fetched() {
        let note = event(1, "delivery-note", "2026-12-01T17:00:00");
        let fetched = event(2, "fetched", "2026-12-02T09:00:00");
        let wrong = event(3, "wrong-order", "2026-12-02T10:00:00");
        let at = "2026-12-03T00:00:00";
        assert_eq!(found(&order(vec![wrong.clone()]), "wrong-order", at), vec![(Verdict::Breach, None)]);
        assert_eq!(found(&order(vec![note.clone(), wrong.clone()]), "wrong-order", at), breach("60.00"));
        assert_eq!(found(&order(vec![note, fetched, wrong]), "wrong-order", at), breach("100.00"));
        let missed = event(4, "not-placed", "2026-12-02T10:00:00");
        assert_eq!(found(&order(vec![missed]), "not-placed", at), breach("50.00"));
    }
    #[test]
    fn what_only_a_doubtful_clock_makes_late_is_undecidable() {
        let mut fetched = event(2, "fetched", "2026-12-09T12:00:00");
        fetched.at.trusted_ms = None;
        fetched.at.known_since_ms = Some(ms("2026-12-02T12:00:00"));
        let case = order(vec![event(1, "delivery-note", "2026-12-01T17:00:00"), fetched]);
        assert_eq!(found(&case, "fetched-late", "2026-12-31T00:00:00")[0].0, Verdict::Undecidable);
    }
    #[test]
    fn a_repair_is_late_by_its_urgency_on_the_working_calendar() {
        let mut case = order(vec![]);
        case.flow = name("repair");
        case.urgency = Some(name("urgent"));
        case.opened_ms = ms("2026-11-23T17:30:00");
        assert_eq!(found(&case, "ticket-late", "2026-11-24T09:30:00"), vec![]);
        assert_eq!(found(&case, "ticket-late", "2026-11-24T09:30:01"), vec![(Verdict::Breach, None)]);
        assert_eq!(found(&case, "ticket-late", "2026-11-25T09:30:00").len(), 2);
    }
}
