//! What reports count, taken from one folded case: when it was placed, delivered and complete, line by
//! line; how long a ticket waited; what the customer answered; and the case as the rules judge it.
//!
//! In: a document's state, its items, the rules. Out: [`Measures`], written into the read model's rows.
//! Days are days of the policy's zone, waiting times are working time of its calendar in milliseconds,
//! pauses left out; the policy is the one in force when the case was opened. Invariants: nothing here
//! depends on now. What the rules find does, so the *case* is kept and judged when a report is asked for:
//! an ended case of which they will never find anything is not kept, one of which they do is kept with
//! the moment after which nothing more comes. Deliberately not here: rates and averages (`report`).

use std::collections::BTreeSet;

use sync_core::directory::Rules;
use sync_core::document::Document;
use sync_core::fact::kinds::{AppointmentStatus, Outcome, Step as StepFact};
use sync_core::fold::{Saying, State};
use sync_core::ids::{DocKind, FactId, ItemId, Name, PersonId};
use sync_core::policy::calendar::WorkCalendar;
use sync_core::policy::judge::{Case, judge};
use sync_core::policy::model::{Flow, MeasureForm, Policy, RuleForm, Step};
use sync_core::policy::values::{CSAT, score};
use sync_core::time::UnixMs;

/// The step that counts as placed with the factory (S21 下单).
pub(super) const PLACED: &str = "placed";
/// The step that counts goods into stock (S21 整体流程 3 入库).
const STOCKED_IN: &str = "stocked-in";
/// The step that hands goods over, where a flow has it (S21 整体流程 6).
const DELIVERED: &str = "delivered";
/// After so long from its end, every rule has found of an ended case what it ever will.
const FAR_MS: i64 = 3_660 * 24 * 3_600_000;

/// What reports count of one case.
#[derive(Default)]
pub(super) struct Measures {
    pub order: Option<OrderMeasures>,
    pub ticket: Option<TicketMeasures>,
    pub answers: Vec<Answer>,
    pub ratings: Vec<Rating>,
    pub judged: Option<Judged>,
}

/// An order's moments; of one without items, the whole counts as one.
#[derive(Default)]
pub(super) struct OrderMeasures {
    pub placed_ms: Option<UnixMs>,
    pub completed_ms: Option<UnixMs>,
    /// The last day for placing, by the slowest material.
    pub place_by: Option<String>,
    /// The day on which the last of it was handed over.
    pub delivered_day: Option<String>,
    pub lines: Vec<(ItemId, Line)>,
}

/// One line of an order.
#[derive(Default)]
pub(super) struct Line {
    pub stocked_ms: Option<UnixMs>,
    /// The day of the first handing over that it can have been part of.
    pub first_day: Option<String>,
    /// The day on which it was surely handed over.
    pub full_day: Option<String>,
}

/// How long a ticket waited, and the visits it took.
#[derive(Default)]
pub(super) struct TicketMeasures {
    pub response: Wait,
    pub solution: Wait,
    pub visits: i64,
}

/// Until when something waited.
#[derive(Default)]
pub(super) struct Wait {
    pub at_ms: Option<UnixMs>,
    pub work_ms: Option<i64>,
    /// What its urgency allows.
    pub limit_ms: Option<i64>,
}

/// An answer to a question of the survey.
pub(super) struct Answer {
    pub fact: FactId,
    pub question: Name,
    /// From 1 to 5; none where the answer is another text.
    pub score: Option<i64>,
    pub at_ms: UnixMs,
}

/// What a superior said of a person's work under a measure of the policy (S3 四, S7 第十条).
pub(super) struct Rating {
    pub fact: FactId,
    pub measure: Name,
    pub person: PersonId,
    /// From 1 to 5.
    pub score: i64,
    pub at_ms: UnixMs,
}

/// A case kept for judging.
pub(super) struct Judged {
    pub policy: u32,
    /// After this moment nothing more is found; none while it goes on.
    pub until_ms: Option<UnixMs>,
    pub case: Vec<u8>,
}

/// Takes what reports count; nothing before the case is opened or a policy is published.
pub(super) fn measures(
    doc: &Document,
    state: &State,
    rules: &Rules<'_>,
    items: &[ItemId],
    case: Option<&Case>,
) -> Measures {
    let opened = state.opened.as_ref().map(|opened| opened.said.at.best().0);
    let Some((version, policy)) = opened.and_then(|ms| rules.at(ms)) else { return Measures::default() };
    let seen = Seen { state, policy, flow: state.flow(rules), calendar: WorkCalendar::of(policy) };
    let kind = doc.id().kind();
    Measures {
        order: (kind == DocKind::Order).then(|| OrderMeasures {
            place_by: case.and_then(|case| case.place_by(policy)).map(|day| day.to_string()),
            ..seen.order(items)
        }),
        ticket: (kind == DocKind::Ticket).then(|| seen.ticket(case)),
        answers: seen.answers(),
        ratings: seen.ratings(),
        judged: case.and_then(|case| kept(case, version, policy)),
    }
}

fn kept(case: &Case, version: u32, policy: &Policy) -> Option<Judged> {
    let until_ms = match case.ended_ms {
        None => None,
        Some(ended) => {
            let found = judge(case, policy, ended.saturating_add(FAR_MS));
            Some(found.iter().map(|f| f.moment(case).unwrap_or(case.opened_ms)).max()?)
        }
    };
    let case = minicbor::to_vec(case).expect("writing CBOR to memory cannot fail");
    Some(Judged { policy: version, until_ms, case })
}

type Record<'a> = &'a Saying<StepFact>;

fn at(record: Record<'_>) -> UnixMs {
    record.said.at.best().0
}
fn names(record: Record<'_>, item: ItemId) -> bool {
    record.what.items.contains(&item)
}
/// Whether a record covers an item: by name, or because all of it was done.
fn covers(record: Record<'_>, item: ItemId) -> bool {
    let all = record.what.items.is_empty() && record.what.outcome == Outcome::Done;
    all || names(record, item)
}

/// A state with what it is measured by.
struct Seen<'a> {
    state: &'a State,
    policy: &'a Policy,
    flow: Option<&'a Flow>,
    calendar: WorkCalendar<'a>,
}

impl<'a> Seen<'a> {
    fn happened(&self, step: &str) -> impl Iterator<Item = Record<'a>> {
        let happened = |s: &Record<'_>| matches!(s.what.outcome, Outcome::Done | Outcome::Partial);
        self.state.steps.iter().filter(happened).filter(move |s| s.what.step == *step)
    }
    fn done(&self, step: &str) -> Option<UnixMs> {
        self.happened(step).find(|s| s.what.outcome == Outcome::Done).map(at)
    }
    fn day(&self, ms: UnixMs) -> String {
        self.calendar.local_date(ms).to_string()
    }
    /// The step with which the flow is complete.
    fn closing(&self) -> Option<&'a Step> {
        self.flow?.steps.iter().find(|step| step.closes)
    }
    /// The step that hands the goods over: `delivered`, else the flow's last that happens in the world
    /// and may not be left out, else the closing one.
    fn handing_over(&self) -> Option<&'a Step> {
        let flow = self.flow?;
        let physical = || flow.steps.iter().rev().find(|step| step.physical && !step.optional);
        flow.step(DELIVERED).or_else(physical).or_else(|| self.closing())
    }

    fn order(&self, items: &[ItemId]) -> OrderMeasures {
        let handed: Vec<Record<'_>> =
            self.handing_over().into_iter().flat_map(|step| self.happened(step.id.as_str())).collect();
        let stocked: Vec<Record<'_>> = self.happened(STOCKED_IN).collect();
        let first = |item: ItemId| {
            let part = handed.iter().filter(|s| s.what.items.is_empty() || names(s, item));
            part.map(|s| at(s)).min()
        };
        let full = |item: ItemId| handed.iter().filter(|s| covers(s, item)).map(|s| at(s)).min();
        let line = |item: &ItemId| Line {
            stocked_ms: stocked.iter().filter(|s| covers(s, *item)).map(|s| at(s)).max(),
            first_day: first(*item).map(|ms| self.day(ms)),
            full_day: full(*item).map(|ms| self.day(ms)),
        };
        let delivered = match items {
            [] => handed.iter().filter(|s| s.what.outcome == Outcome::Done).map(|s| at(s)).min(),
            items => items.iter().map(|item| full(*item)).collect::<Option<Vec<_>>>().and_then(last),
        };
        OrderMeasures {
            placed_ms: self.done(PLACED),
            completed_ms: self.closing().and_then(|step| self.done(step.id.as_str())),
            place_by: None,
            delivered_day: delivered.map(|ms| self.day(ms)),
            lines: items.iter().map(|item| (*item, line(item))).collect(),
        }
    }

    fn ticket(&self, case: Option<&Case>) -> TicketMeasures {
        let (response, solution) = self.answering();
        let urgency = case.and_then(|case| self.policy.urgency(case.urgency.as_ref()));
        let wait = |at_ms: Option<UnixMs>, hours: Option<u32>| Wait {
            at_ms,
            work_ms: at_ms.zip(case).map(|(at, case)| {
                self.calendar.counted_time_between(case.opened_ms, at, &case.pauses).max(0)
            }),
            limit_ms: hours.map(|hours| i64::from(hours) * 3_600_000),
        };
        TicketMeasures {
            response: wait(response, urgency.map(|u| u.response_hours)),
            solution: wait(solution, urgency.map(|u| u.resolution_hours)),
            visits: self.visits(),
        }
    }

    /// When the request was answered and when it was solved: by the steps that the policy's rule of
    /// urgency names. Where none speaks of the flow, the first step after the flow's first (which is the
    /// customer's request) answers, and the closing one solves.
    fn answering(&self) -> (Option<UnixMs>, Option<UnixMs>) {
        let Some(flow) = self.flow else { return (None, None) };
        let name = self.state.flow_name();
        let rule = self.policy.rules.iter().filter(|rule| name.is_some_and(|name| rule.concerns(name, flow)));
        let named = rule.filter_map(|rule| match &rule.form {
            RuleForm::Urgency { response, resolution, .. } => Some((response, resolution)),
            _ => None,
        });
        match { named }.next() {
            Some((response, resolution)) => {
                (self.happened(response.as_str()).next().map(at), self.done(resolution.as_str()))
            }
            None => {
                let request = flow.steps.first().map(|step| &step.id);
                let answer = |s: &&Saying<StepFact>| {
                    Some(&s.what.step) != request
                        && matches!(s.what.outcome, Outcome::Done | Outcome::Partial)
                };
                let answered = self.state.steps.iter().find(answer).map(at);
                (answered, self.closing().and_then(|step| self.done(step.id.as_str())))
            }
        }
    }

    /// Appointments that took place: people were on site, or a step was recorded during it.
    fn visits(&self) -> i64 {
        use AppointmentStatus::{CannotComplete, Completed, OnSite};
        let appointments = self.state.appointments.iter();
        let made = appointments.filter(|(_, a)| matches!(a.status, OnSite | Completed | CannotComplete));
        let during = self.state.steps.iter().filter_map(|s| s.what.appointment);
        let visits: BTreeSet<_> = made.map(|(id, _)| *id).chain(during).collect();
        i64::try_from(visits.len()).unwrap_or(i64::MAX)
    }

    fn answers(&self) -> Vec<Answer> {
        let asked = |name: &Name| *name == *CSAT || self.policy.survey.contains_key(name);
        let steps = self.state.steps.iter();
        let values = steps.flat_map(|s| s.what.values.iter().map(move |(name, text)| (s, name, text)));
        let answer = |(s, name, text): (Record<'_>, &Name, &String)| Answer {
            fact: s.said.fact,
            question: name.clone(),
            score: score(text),
            at_ms: at(s),
        };
        values.filter(|(_, name, _)| asked(name)).map(answer).collect()
    }

    /// Nobody rates themselves: what the person concerned recorded is none.
    fn ratings(&self) -> Vec<Rating> {
        let Some(person) = self.state.about() else { return Vec::new() };
        let rated =
            |name: &Name| self.policy.measures.get(name).is_some_and(|m| m.form == MeasureForm::Rated);
        let mut ratings = Vec::new();
        for s in self.state.steps.iter().filter(|s| s.said.by != person) {
            for (name, text) in s.what.values.iter().filter(|(name, _)| rated(name)) {
                let Some(score) = score(text) else { continue };
                ratings.push(Rating {
                    fact: s.said.fact,
                    measure: name.clone(),
                    person,
                    score,
                    at_ms: at(s),
                });
            }
        }
        ratings
    }
}

fn last(moments: Vec<UnixMs>) -> Option<UnixMs> {
    moments.into_iter().max()
}
