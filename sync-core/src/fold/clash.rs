//! Clashes: facts that were made apart and cannot both lead.
//!
//! Nothing is rejected for it. The physical fact stands, the decision at a desk is marked as overtaken,
//! and a person settles it by a fact of their own. Whether two facts were made apart is read off the
//! change graph; no clock is asked.

use std::collections::BTreeMap;

use super::content::{SEALED, differences};
use super::{Saying, State};
use crate::directory::Rules;
use crate::document::Document;
use crate::document::history::{Entry, History};
use crate::fact::kinds::{Outcome, Payload, Settled, Step, StockMoved};
use crate::ids::{FactId, PersonId};

/// What two facts disagree about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClashKind {
    /// Called off at a desk while it was done in the world.
    CancelledButDone,
    /// Two seals, or a signature and a seal, of different content: the keys they disagree on.
    ContentDiffers(Vec<String>),
    /// A step that is done once was recorded twice, apart.
    DoneTwice,
    /// More of this part were taken apart than there were.
    StockShort(String),
}

/// One clash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// What about.
    pub kind: ClashKind,
    /// The fact that leads until it is settled: the physical one, or the earlier in the log.
    pub left: FactId,
    /// The other fact.
    pub right: FactId,
    /// How it was settled.
    pub settled: Option<Settlement>,
}

/// How a clash was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The settling fact.
    pub fact: FactId,
    /// Who settled.
    pub by: PersonId,
    /// The fact that leads.
    pub keep: FactId,
    /// Why.
    pub reason: String,
}

impl Settlement {
    fn by(entry: &Entry, settled: &Settled) -> Self {
        let (fact, by) = (entry.fact.id, entry.fact.author);
        Self { fact, by, keep: settled.keep, reason: settled.reason.clone() }
    }
}

impl Clash {
    /// The fact that leads.
    pub fn leading(&self) -> FactId {
        self.settled.as_ref().map_or(self.left, |s| s.keep)
    }
    /// Whether this fact was set aside by the clash.
    pub fn overtakes(&self, fact: FactId) -> bool {
        (self.left == fact || self.right == fact) && self.leading() != fact
    }
    /// Whether the clash is about these two facts, in either order.
    pub fn is_between(&self, a: FactId, b: FactId) -> bool {
        (self.left, self.right) == (a, b) || (self.left, self.right) == (b, a)
    }
}

/// Finds the clashes of a state and how they were settled.
pub(super) fn find(state: &mut State, doc: &Document, log: &[Entry], history: &History, rules: &Rules<'_>) {
    let mut clashes = cancellations(state, history, rules);
    clashes.extend(twice(state, history, rules));
    clashes.extend(contents(state, doc, history));
    clashes.extend(shortages(state, log, history));
    for entry in log {
        let Payload::Settled(p) = &entry.fact.payload else { continue };
        let clash = clashes.iter_mut().find(|c| c.is_between(p.left, p.right));
        if let Some(clash) = clash {
            // The newest settlement in the log's order leads: a later look may correct an earlier one.
            clash.settled = Some(Settlement::by(entry, p));
        }
    }
    state.clashes = clashes;
}

fn happened(step: &Saying<Step>) -> bool {
    matches!(step.what.outcome, Outcome::Done | Outcome::Partial)
}

fn cancellations(state: &State, history: &History, rules: &Rules<'_>) -> Vec<Clash> {
    let Some(flow) = state.flow(rules) else { return Vec::new() };
    let physical =
        |s: &&Saying<Step>| happened(s) && flow.step(s.what.step.as_str()).is_some_and(|r| r.physical);
    // One clash for each cancellation, with the furthest thing that was done apart from it: settling it
    // settles the cancellation.
    let clash = |cancelled: &Saying<String>| {
        let apart = |s: &&Saying<Step>| history.concurrent(s.said.change, cancelled.said.change);
        let furthest = state.steps.iter().filter(physical).rfind(apart)?;
        let (left, right) = (furthest.said.fact, cancelled.said.fact);
        Some(Clash { kind: ClashKind::CancelledButDone, left, right, settled: None })
    };
    state.cancellations.iter().filter_map(clash).collect()
}

fn twice(state: &State, history: &History, rules: &Rules<'_>) -> Vec<Clash> {
    let Some(flow) = state.flow(rules) else { return Vec::new() };
    let mut clashes = Vec::new();
    for (at, right) in state.steps.iter().enumerate() {
        if flow.step(right.what.step.as_str()).is_none_or(|rule| rule.repeat) || !happened(right) {
            continue;
        }
        let left = state.steps[..at].iter().find(|left| {
            left.what.step == right.what.step
                && happened(left)
                && history.concurrent(left.said.change, right.said.change)
        });
        clashes.extend(left.map(|left| Clash {
            kind: ClashKind::DoneTwice,
            left: left.said.fact,
            right: right.said.fact,
            settled: None,
        }));
    }
    clashes
}

/// Takings that somebody settled between, each with how: a signed word about who had a part stands, whatever
/// else of that time comes in later.
fn settled_takings(state: &State, log: &[Entry]) -> Vec<Clash> {
    let taking = |fact| state.moves.iter().find(|m| m.said.fact == fact && m.what.by < 0);
    let mut clashes: Vec<Clash> = Vec::new();
    for entry in log {
        let Payload::Settled(p) = &entry.fact.payload else { continue };
        let (Some(left), Some(right)) = (taking(p.left), taking(p.right)) else { continue };
        if left.what.sku != right.what.sku {
            continue;
        }
        let settled = Some(Settlement::by(entry, p));
        match clashes.iter_mut().find(|c| c.is_between(p.left, p.right)) {
            Some(clash) => clash.settled = settled,
            None => clashes.push(Clash { settled, ..short(left, right) }),
        }
    }
    clashes
}

fn short(left: &Saying<StockMoved>, right: &Saying<StockMoved>) -> Clash {
    let kind = ClashKind::StockShort(right.what.sku.clone());
    Clash { kind, left: left.said.fact, right: right.said.fact, settled: None }
}

/// What was settled, and each other taking by which a stock falls below nothing, with the last one before it
/// that its author did not know of. What is counted in after it mends nothing: the two who hold one part are
/// still two.
fn shortages(state: &State, log: &[Entry], history: &History) -> Vec<Clash> {
    let mut clashes = settled_takings(state, log);
    let counts = |m: &&Saying<StockMoved>| !clashes.iter().any(|c| c.overtakes(m.said.fact));
    let moves: Vec<&Saying<StockMoved>> = state.moves.iter().filter(counts).collect();
    let mut left: BTreeMap<&str, i64> = BTreeMap::new();
    for (at, taken) in moves.iter().enumerate() {
        let of = |other: &&&Saying<StockMoved>| other.what.sku == taken.what.sku;
        let apart = |other: &&&Saying<StockMoved>| history.concurrent(other.said.change, taken.said.change);
        let now = left.entry(&taken.what.sku).or_default();
        *now = now.saturating_add(taken.what.by);
        if *now >= 0 || taken.what.by >= 0 {
            continue;
        }
        let (before, after) = moves.split_at(at);
        // What was counted in meanwhile was there to be taken, wherever the log has it.
        let meanwhile = after.iter().filter(of).filter(|m| m.what.by > 0).filter(apart);
        if meanwhile.fold(*now, |sum, m| sum.saturating_add(m.what.by)) >= 0 {
            continue;
        }
        // Where its author knew of all of them, one that was set aside then counts again now.
        let takings = || before.iter().rev().filter(of).filter(|m| m.what.by < 0);
        let other = takings().find(apart).or_else(|| takings().next());
        clashes.extend(other.map(|other| short(other, taken)));
        // It is told once: what follows is counted from an empty shelf.
        *now = 0;
    }
    clashes
}

fn contents(state: &State, doc: &Document, history: &History) -> Vec<Clash> {
    let mut clashes = Vec::new();
    for (at, right) in state.seals.iter().enumerate() {
        for left in &state.seals[..at] {
            if !history.concurrent(left.said.change, right.said.change) || left.heads == right.heads {
                continue;
            }
            let keys: Vec<String> = SEALED
                .into_iter()
                .flat_map(|map| {
                    let a = doc.values_at(map, &left.heads).into_iter().collect();
                    let b = doc.values_at(map, &right.heads).into_iter().collect();
                    differences(&a, &b)
                })
                .map(|(key, _, _)| key)
                .collect();
            if !keys.is_empty() {
                let kind = ClashKind::ContentDiffers(keys);
                clashes.push(Clash { kind, left: left.said.fact, right: right.said.fact, settled: None });
            }
        }
    }
    clashes
}
