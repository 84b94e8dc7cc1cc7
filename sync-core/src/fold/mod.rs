//! The fold: what a document's log and fields amount to.
//!
//! In: a document and the rules (directory and policies). Out: a [`State`]: what was opened, which steps
//! were done, what is in force, what is only proposed, and which facts clash. It is a pure function: the
//! same bytes give the same state on every phone and on the relay. It reads no clock and decides nothing
//! by one. Authority is not judged here: what stands in the log was admitted ([`crate::admission`]).

pub mod clash;
pub mod content;

use std::collections::BTreeMap;

use crate::directory::Rules;
use crate::document::Document;
use crate::document::history::Entry;
use crate::fact::kinds::{
    AppointmentStatus, Contact, Escalated, Exception, Opened, Outcome, Part, Payload, Payment, Step,
    StockMoved,
};
use crate::ids::{AppointmentId, ChangeHash, DeviceId, DocId, FactId, Name, PersonId, StoreId};
use crate::policy::model::{APPEALED, DECIDED, Flow, PUBLISHED, UPHELD};
use crate::policy::values::DECISION;
use crate::time::{Stamp, UnixMs};
use clash::Clash;
use content::{Proposal, Seal};

/// Who said a thing, when, and in which change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The fact.
    pub fact: FactId,
    /// Who.
    pub by: PersonId,
    /// With which device.
    pub device: DeviceId,
    /// When, as far as the device knew.
    pub at: Stamp,
    /// The change that brought it.
    pub change: ChangeHash,
}

/// A thing that was said, with who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying<T> {
    /// Who, when, where.
    pub said: Said,
    /// What.
    pub what: T,
}

/// One appointment as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appointment {
    /// Who assigned it.
    pub said: Said,
    /// The people who go.
    pub people: Vec<PersonId>,
    /// The day.
    pub on: String,
    /// What for.
    pub purpose: Name,
    /// Its state.
    pub status: AppointmentStatus,
    /// A remark.
    pub note: Option<String>,
}

/// What a document amounts to.
#[derive(Clone, Debug)]
pub struct State {
    /// The document.
    pub doc: DocId,
    /// Its opening.
    pub opened: Option<Saying<Opened>>,
    /// Steps, in the log's order.
    pub steps: Vec<Saying<Step>>,
    /// Its calling-off, also one that was overtaken (see [`State::is_cancelled`]): the first that leads.
    pub cancelled: Option<Saying<String>>,
    /// Every calling-off, in the log's order: after one that was overtaken there may be another.
    pub cancellations: Vec<Saying<String>>,
    /// Paid in full (false) or guaranteed (true).
    pub cleared: Option<Saying<bool>>,
    /// Appointments by id.
    pub appointments: BTreeMap<AppointmentId, Appointment>,
    /// Everyone who was ever assigned, for scope.
    pub contacts: Vec<Saying<Contact>>,
    /// Exceptions, each with its resolution.
    pub exceptions: Vec<(Saying<Exception>, Option<Saying<String>>)>,
    /// Escalations.
    pub escalations: Vec<Saying<Escalated>>,
    /// Parts needed and used.
    pub parts: Vec<Saying<Part>>,
    /// Stretches during which the clock stands still: what it waits for, and when it ran again.
    pub pauses: Vec<(Saying<String>, Option<Said>)>,
    /// Payments (money facets).
    pub payments: Vec<Saying<Payment>>,
    /// Parts counted in and taken out (stocks), in the log's order.
    pub moves: Vec<Saying<StockMoved>>,
    /// Seals, oldest first.
    pub seals: Vec<Seal>,
    /// The heads whose content is in force, once something is.
    pub in_force: Option<Vec<ChangeHash>>,
    /// What was edited since and is not in force.
    pub proposed: Vec<Proposal>,
    /// Facts that cannot both lead.
    pub clashes: Vec<Clash>,
    /// Facts that only a newer app understands.
    pub unknown: usize,
    /// The whole log, in its one order.
    pub log: Vec<Entry>,
}

impl State {
    /// The flow's name.
    pub fn flow_name(&self) -> Option<&Name> {
        self.opened.as_ref().map(|o| &o.what.flow)
    }
    /// Who opened it, each with what they said: two or more where they took one number apart. The first leads.
    pub fn openings(&self) -> impl Iterator<Item = (PersonId, &Opened)> {
        self.log.iter().filter_map(|entry| match &entry.fact.payload {
            Payload::Opened(opened) => Some((entry.fact.author, opened)),
            _ => None,
        })
    }
    /// The store it belongs to.
    pub fn store(&self) -> Option<StoreId> {
        self.opened.as_ref().and_then(|o| o.what.store)
    }
    /// The flow, by the policy that was in force when it was opened.
    pub fn flow<'a>(&self, rules: &Rules<'a>) -> Option<&'a Flow> {
        let opened = self.opened.as_ref()?;
        let (_, policy) = rules.at(opened.said.at.best().0)?;
        policy.flows.get(&opened.what.flow)
    }
    /// Whether a step was done, wholly or in part.
    pub fn did(&self, step: &str) -> bool {
        self.steps
            .iter()
            .any(|s| s.what.step == *step && matches!(s.what.outcome, Outcome::Done | Outcome::Partial))
    }
    /// What a step last said under this name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.steps.iter().rev().find_map(|s| s.what.values.get(name)).map(|said| said.trim())
    }
    /// The newest record of a step.
    pub fn last(&self, step: &str) -> Option<&Saying<Step>> {
        self.steps.iter().rev().find(|s| s.what.step == *step)
    }
    /// Whether it is called off: by a cancellation that no physical fact overtook, or that was settled
    /// to lead.
    pub fn is_cancelled(&self) -> bool {
        self.cancellations.iter().any(|cancelled| self.leads(cancelled))
    }
    fn leads(&self, cancelled: &Saying<String>) -> bool {
        !self.clashes.iter().any(|c| c.overtakes(cancelled.said.fact))
    }
    /// Whether its flow is complete.
    pub fn is_closed(&self, flow: Option<&Flow>) -> bool {
        self.closing(flow).is_some()
    }
    /// The record that completed its flow.
    pub fn closing(&self, flow: Option<&Flow>) -> Option<&Saying<Step>> {
        let flow = flow?;
        let closes = |step: &Step| match (flow.step(step.step.as_str()), step.outcome) {
            (Some(rule), Outcome::Done) => rule.closes,
            (Some(rule), Outcome::Refused) => rule.closes && rule.refusable,
            _ => false,
        };
        self.steps.iter().find(|s| closes(&s.what))
    }
    /// Whether a step was wholly done.
    pub fn done(&self, step: &str) -> bool {
        self.steps.iter().any(|s| s.what.step == *step && s.what.outcome == Outcome::Done)
    }
    /// Whether a person is in an appointment that was not called off.
    pub fn is_assigned(&self, person: PersonId) -> bool {
        let theirs = |a: &Appointment| a.status != AppointmentStatus::Cancelled && a.people.contains(&person);
        self.appointments.values().any(theirs)
    }
    /// Whether a person has an appointment here that still needs doing.
    pub fn awaits(&self, person: PersonId) -> bool {
        self.appointments.values().any(|a| a.status.is_open() && a.people.contains(&person))
    }
    /// Whether its clock stands still.
    pub fn is_paused(&self) -> bool {
        self.pauses.iter().any(|(_, end)| end.is_none())
    }
    /// The person whom it is about.
    pub fn about(&self) -> Option<PersonId> {
        self.opened.as_ref().and_then(|o| o.what.about)
    }
    /// Whether a record about a person is in force: published, and no appeal of it waits or has set it aside.
    /// Of two decisions made apart the one that leads counts; one that could not be made is none.
    pub fn holds(&self) -> bool {
        let leads = |s: &Saying<Step>| !self.clashes.iter().any(|c| c.overtakes(s.said.fact));
        let made = |s: &&Saying<Step>| s.what.step == *DECIDED && s.what.outcome == Outcome::Done && leads(s);
        let decision = self.steps.iter().rev().find(made);
        let upheld = decision.and_then(|s| s.what.values.get(DECISION)).is_some_and(|said| said == UPHELD);
        self.done(PUBLISHED) && !self.is_cancelled() && (upheld || !self.done(APPEALED))
    }
    /// How many of a part are in stock: what was counted in less what was taken, but for takings that a
    /// settled clash set aside.
    pub fn stocked(&self, sku: &str) -> i64 {
        let of = self.moves.iter().filter(|m| m.what.sku == sku);
        let led =
            of.filter(|m| !self.clashes.iter().any(|c| c.settled.is_some() && c.overtakes(m.said.fact)));
        led.fold(0, |sum, m| sum.saturating_add(m.what.by))
    }
    /// When it was opened: the moment of the customer's request where that was recorded.
    pub fn opened_ms(&self) -> Option<UnixMs> {
        let opened = self.opened.as_ref()?;
        Some(opened.what.taken_ms.unwrap_or(opened.said.at.best().0))
    }
}

/// Folds a document under the rules.
pub fn fold(doc: &Document, rules: &Rules<'_>) -> State {
    let mut state = outline(doc);
    let log = std::mem::take(&mut state.log);
    let history = doc.history();
    content::seal(&mut state, doc, &history, rules);
    clash::find(&mut state, doc, &log, &history, rules);
    let leading = state.cancellations.iter().find(|cancelled| state.leads(cancelled)).cloned();
    state.cancelled = leading.or(state.cancelled);
    state.log = log;
    state
}

/// The part of the fold that only collects: what was opened, said and assigned. What is in force, what
/// is only proposed and which facts clash stay empty; [`fold`] finds them.
pub fn outline(doc: &Document) -> State {
    let log = doc.log();
    let mut state = collect(doc.id(), &log);
    state.log = log;
    state
}

fn collect(doc: DocId, log: &[Entry]) -> State {
    let mut state = State {
        doc,
        opened: None,
        steps: Vec::new(),
        cancelled: None,
        cancellations: Vec::new(),
        cleared: None,
        appointments: BTreeMap::new(),
        contacts: Vec::new(),
        exceptions: Vec::new(),
        escalations: Vec::new(),
        parts: Vec::new(),
        pauses: Vec::new(),
        payments: Vec::new(),
        moves: Vec::new(),
        seals: Vec::new(),
        in_force: None,
        proposed: Vec::new(),
        clashes: Vec::new(),
        unknown: 0,
        log: Vec::new(),
    };
    for entry in log {
        take(&mut state, entry);
    }
    state
}

fn take(state: &mut State, entry: &Entry) {
    let fact = &entry.fact;
    let said =
        Said { fact: fact.id, by: fact.author, device: fact.device, at: fact.stamp, change: entry.change };
    match &fact.payload {
        Payload::Opened(p) => {
            state.opened.get_or_insert(Saying { said, what: p.clone() });
        }
        Payload::Step(p) => state.steps.push(Saying { said, what: p.clone() }),
        Payload::Cancelled(p) => {
            let cancelled = Saying { said, what: p.reason.clone() };
            state.cancelled.get_or_insert(cancelled.clone());
            state.cancellations.push(cancelled);
        }
        Payload::Cleared(p) => {
            state.cleared.get_or_insert(Saying { said, what: p.guarantee });
        }
        Payload::Assigned(p) => {
            let status =
                state.appointments.get(&p.appointment).map_or(AppointmentStatus::Scheduled, |a| a.status);
            let appointment = Appointment {
                said,
                people: p.people.clone(),
                on: p.on.clone(),
                purpose: p.purpose.clone(),
                status,
                note: p.note.clone(),
            };
            state.appointments.insert(p.appointment, appointment);
        }
        Payload::Visited(p) => {
            if let Some(appointment) = state.appointments.get_mut(&p.appointment) {
                appointment.status = p.status;
            }
        }
        Payload::Contact(p) => state.contacts.push(Saying { said, what: p.clone() }),
        Payload::Exception(p) => state.exceptions.push((Saying { said, what: p.clone() }, None)),
        Payload::Resolved(p) => {
            let open = state.exceptions.iter_mut().find(|(e, _)| e.said.fact == p.exception);
            if let Some((_, resolution)) = open {
                resolution.get_or_insert(Saying { said, what: p.how.clone() });
            }
        }
        Payload::Escalated(p) => state.escalations.push(Saying { said, what: p.clone() }),
        Payload::Part(p) => state.parts.push(Saying { said, what: p.clone() }),
        Payload::Paused(p) => state.pauses.push((Saying { said, what: p.reason.clone() }, None)),
        // Two who paused apart wait for the same: one resumption ends both.
        Payload::Resumed(_) => {
            for (_, end) in &mut state.pauses {
                end.get_or_insert(said);
            }
        }
        Payload::Payment(p) => state.payments.push(Saying { said, what: p.clone() }),
        Payload::StockMoved(p) => state.moves.push(Saying { said, what: p.clone() }),
        Payload::Unknown { .. } => state.unknown += 1,
        // Seals and settlements are read by `content` and `clash`; directory facts by `Directory`.
        _ => {}
    }
    seal_of(state, entry, said);
}

fn seal_of(state: &mut State, entry: &Entry, said: Said) {
    if let Some(heads) = entry.fact.payload.seal() {
        let step = match &entry.fact.payload {
            Payload::Step(step) => Some(step.step.clone()),
            _ => None,
        };
        state.seals.push(Seal { said, heads: heads.to_vec(), step, leads: false });
    }
}
