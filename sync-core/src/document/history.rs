//! The log of a document in its one order, and which of two entries knew of the other.
//!
//! Facts are ordered by their Automerge operation id (Lamport counter, then actor), which every replica
//! computes alike. Whether one fact *knew* another is read off the change graph, not off any clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use automerge::{ObjId, ReadDoc as _};

use super::{Actor, Document, genesis};
use crate::domain::fields::{Map, Value, sixteen};
use crate::fact::Fact;
use crate::ids::{ChangeHash, CommandId, FactId};

/// One entry of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The fact.
    pub fact: Arc<Fact>,
    /// The change that brought it.
    pub change: ChangeHash,
    /// The Lamport counter of its operation.
    pub counter: u64,
}

/// Facts by their signed bytes: read once, whichever copy of a document asks. Nothing leaves it, for a
/// log is insert-only; it goes with the last copy.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts(Arc<Mutex<HashMap<Vec<u8>, Arc<Fact>>>>);

impl Facts {
    fn read(&self, bytes: Vec<u8>) -> Option<Arc<Fact>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fact) = known.get(&bytes) {
            return Some(fact.clone());
        }
        let fact = Arc::new(Fact::read(&bytes).ok()?);
        known.insert(bytes, fact.clone());
        Some(fact)
    }
}

/// One change of the document, without its operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its hash.
    pub hash: ChangeHash,
    /// Who wrote it; `None` for genesis.
    pub actor: Option<Actor>,
    /// The action it belongs to.
    pub command: Option<CommandId>,
    /// What it builds on.
    pub deps: Vec<ChangeHash>,
}

/// The change graph of a document with, for each change, the set of those before it.
#[derive(Clone, Debug)]
pub struct History {
    index: HashMap<ChangeHash, usize>,
    before: Vec<Vec<u64>>,
}

impl Document {
    /// The log in its one order. What cannot be read as a fact is left out (it was never admitted).
    pub fn log(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for item in self.inner.map_range(genesis::object(Map::Log), ..) {
            let id = item.id();
            let ObjId::Id(counter, actor, _) = &id else { continue };
            let Some(Value::Bytes(bytes)) = super::read_scalar(&item.value.into_value()) else { continue };
            let Some(change) = self.inner.hash_for_opid(&id) else { continue };
            let Some(fact) = self.facts.read(bytes) else { continue };
            if sixteen(&item.key).map(FactId::from_bytes) != Some(fact.id) || fact.doc != self.id {
                continue;
            }
            let entry = Entry { fact, change: ChangeHash(change.0), counter: *counter };
            entries.push((*counter, actor.clone(), entry));
        }
        entries.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        entries.into_iter().map(|(_, _, entry)| entry).collect()
    }

    /// The signed bytes of a fact.
    pub fn fact_bytes(&self, fact: FactId) -> Option<Vec<u8>> {
        match self.value(Map::Log, &fact_key(fact))? {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Every change, each after those it builds on.
    pub fn metas(&self) -> Vec<Meta> {
        let metas = self.inner.get_changes_meta(&[]);
        let meta = |m: &automerge::ChangeMetadata<'_>| Meta {
            hash: ChangeHash(m.hash.0),
            actor: Actor::from_id(&m.actor),
            command: m.message.as_deref().and_then(|t| t.parse().ok()),
            deps: m.deps.iter().map(|h| ChangeHash(h.0)).collect(),
        };
        metas.iter().map(meta).collect()
    }

    /// The change graph.
    pub fn history(&self) -> History {
        let metas = self.metas();
        let words = metas.len().div_ceil(64);
        let mut history = History { index: HashMap::new(), before: Vec::with_capacity(metas.len()) };
        for (at, meta) in metas.iter().enumerate() {
            let mut set = vec![0u64; words];
            for dep in &meta.deps {
                let Some(&dep) = history.index.get(dep) else { continue };
                for (word, other) in set.iter_mut().zip(&history.before[dep]) {
                    *word |= other;
                }
                set[dep / 64] |= 1 << (dep % 64);
            }
            history.before.push(set);
            history.index.insert(meta.hash, at);
        }
        history
    }
}

impl History {
    /// Whether `late` was written by someone who had `early`.
    pub fn knew(&self, late: ChangeHash, early: ChangeHash) -> bool {
        match (self.index.get(&late), self.index.get(&early)) {
            (Some(&late), Some(&early)) => self.before[late][early / 64] >> (early % 64) & 1 == 1,
            _ => false,
        }
    }
    /// Whether neither knew the other.
    pub fn concurrent(&self, a: ChangeHash, b: ChangeHash) -> bool {
        a != b && !self.knew(a, b) && !self.knew(b, a)
    }
    /// Whether every one of `early` is in `heads` or before one of them.
    pub fn covers(&self, heads: &[ChangeHash], early: &[ChangeHash]) -> bool {
        early.iter().all(|e| heads.iter().any(|h| h == e || self.knew(*h, *e)))
    }
    /// The changes that are not in `dropped` and build on none of it are kept; gives the others.
    pub fn dependents(&self, dropped: &[ChangeHash]) -> Vec<ChangeHash> {
        let hit = |h: &ChangeHash| dropped.contains(h) || dropped.iter().any(|d| self.knew(*h, *d));
        let mut found: Vec<_> = self.index.iter().filter(|(h, _)| hit(h)).collect();
        found.sort_by_key(|(_, at)| **at);
        found.into_iter().map(|(hash, _)| *hash).collect()
    }
}

/// The key of a fact in the log.
pub fn fact_key(fact: FactId) -> String {
    hex::encode(fact.as_bytes())
}
