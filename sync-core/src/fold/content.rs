//! Seals: which content is in force, and which edits are only proposed.
//!
//! A seal names the heads that were on the screen. The newest seals (those that no later seal's author
//! knew) lead; in force is the document at the union of their heads. A customer's signature names its
//! heads too, as evidence, but puts content in force only where the policy's step says `seal`.

use std::collections::BTreeMap;

use super::{Said, State};
use crate::directory::Rules;
use crate::document::history::History;
use crate::document::{Actor, Document};
use crate::domain::fields::{Map, Value};
use crate::ids::{ChangeHash, Name};

/// One seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Who sealed, when, in which change.
    pub said: Said,
    /// What was on the screen.
    pub heads: Vec<ChangeHash>,
    /// The step that seals; an approval where there is none.
    pub step: Option<Name>,
    /// Whether its content is in force (also together with another one's).
    pub leads: bool,
}

/// An edit that is visible and not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The map.
    pub map: Map,
    /// The key.
    pub key: String,
    /// What is in force; `None` where nothing is.
    pub in_force: Option<Value>,
    /// What is proposed; `None` where it is to go.
    pub proposed: Option<Value>,
    /// The device and epoch that wrote it; `None` where it is to go.
    pub writer: Option<Actor>,
}

/// The two maps whose content is sealed.
pub const SEALED: [Map; 2] = [Map::Fields, Map::Items];

/// Finds the seals that lead, the heads in force and the proposals.
pub(super) fn seal(state: &mut State, doc: &Document, history: &History, rules: &Rules<'_>) {
    let flow = state.flow(rules);
    let counts = |seal: &Seal| match &seal.step {
        None => true,
        Some(step) => flow.and_then(|f| f.step(step.as_str())).is_some_and(|s| s.seal),
    };
    let counted: Vec<usize> = (0..state.seals.len()).filter(|i| counts(&state.seals[*i])).collect();
    let changes: Vec<ChangeHash> = counted.iter().map(|i| state.seals[*i].said.change).collect();
    let mut heads: Vec<ChangeHash> = Vec::new();
    for i in &counted {
        let seal = &mut state.seals[*i];
        seal.leads = !changes.iter().any(|later| history.knew(*later, seal.said.change));
        if seal.leads {
            heads.extend(&seal.heads);
        }
    }
    if heads.is_empty() {
        return;
    }
    heads.sort_unstable();
    heads.dedup();
    for map in SEALED {
        let sealed: BTreeMap<_, _> = doc.values_at(map, &heads).into_iter().collect();
        let now: BTreeMap<_, _> = doc.values(map).into_iter().collect();
        for (key, in_force, proposed) in differences(&sealed, &now) {
            let writer = doc.writer(map, &key);
            state.proposed.push(Proposal { map, key, in_force, proposed, writer });
        }
    }
    state.in_force = Some(heads);
}

/// The keys whose values differ, with both values, in key order.
pub(super) fn differences(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> Vec<(String, Option<Value>, Option<Value>)> {
    let keys = before.keys().chain(after.keys().filter(|k| !before.contains_key(*k)));
    let mut found: Vec<_> = keys
        .map(|key| (key.clone(), before.get(key).cloned(), after.get(key).cloned()))
        .filter(|(_, a, b)| a != b)
        .collect();
    found.sort();
    found
}

impl State {
    /// The content in force, or as it stands where nothing is sealed yet.
    pub fn content(&self, doc: &Document, map: Map) -> BTreeMap<String, Value> {
        match &self.in_force {
            Some(heads) => doc.values_at(map, heads).into_iter().collect(),
            None => doc.values(map).into_iter().collect(),
        }
    }
}
