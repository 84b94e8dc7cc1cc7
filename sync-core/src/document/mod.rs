//! One document: an Automerge file of a known shape. The only room that names `automerge`.
//!
//! In: edits of one action, or foreign changes that [`untrusted`] proved. Out: values now or at given
//! heads, the log with its order and causality, and one change for each write. Invariants: every
//! document of a kind begins with the same genesis change; no object is ever created after it; the log
//! is insert-only. Not here: who may do what, and what it means.

pub mod genesis;
pub mod history;
mod unfold;
pub mod untrusted;

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::transaction::{CommitOptions, Transactable as _};
use automerge::{ActorId, Automerge, ReadDoc as _, ScalarValue};
use minicbor::{Decode, Encode};

use crate::domain::fields::{Map, Value};
use crate::ids::{ChangeHash, CommandId, DeviceId, DocId};
use crate::limits;
use crate::time::UnixMs;

/// Why bytes are not a document of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not an Automerge document, or damaged.
    #[error("the document cannot be read: {0}")]
    Unreadable(String),
    /// It does not begin with the genesis change of its kind.
    #[error("the document does not begin with the genesis change of its kind")]
    Genesis,
    /// It is longer than allowed.
    #[error("the document is longer than {} bytes", limits::DOCUMENT_BYTES_MAX)]
    TooLarge,
    /// It lacks changes that it should have.
    #[error("the document lacks changes that others build on")]
    Incomplete,
}

/// Who writes: a device, and its epoch for the document. A refused change burns the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Actor {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Counts up after each refusal.
    #[n(1)]
    pub epoch: u32,
}

impl Actor {
    fn id(self) -> ActorId {
        let mut bytes = self.device.as_bytes().to_vec();
        bytes.extend(self.epoch.to_be_bytes());
        ActorId::from(bytes)
    }
    fn from_id(id: &ActorId) -> Option<Self> {
        let bytes: [u8; 20] = id.to_bytes().try_into().ok()?;
        let (device, epoch) = bytes.split_at(16);
        Some(Self {
            device: DeviceId::from_bytes(device.try_into().ok()?),
            epoch: u32::from_be_bytes(epoch.try_into().ok()?),
        })
    }
}

/// One decided change of a map.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Edit {
    /// A value under a key.
    #[n(0)]
    Put(#[n(0)] Map, #[n(1)] String, #[n(2)] Value),
    /// A key and its value go.
    #[n(1)]
    Delete(#[n(0)] Map, #[n(1)] String),
}

/// One change as it travels: its hash and its uncompressed bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChangeBytes {
    /// The content's hash.
    #[n(0)]
    pub hash: ChangeHash,
    /// The Automerge change chunk, not deflated.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// A document in memory.
#[derive(Clone, Debug)]
pub struct Document {
    id: DocId,
    inner: Automerge,
    /// Facts of its log that were read before; shared with its copies.
    facts: history::Facts,
}

impl Document {
    /// The document as it is before anything was said: its genesis change alone.
    pub fn new(id: DocId) -> Self {
        let inner = Automerge::load(genesis::bytes(id.kind()))
            .expect("the genesis changes are checked in and load (genesis tests)");
        Self { id, inner, facts: history::Facts::default() }
    }

    /// Loads a snapshot; foreign bytes may be given: they yield an error, never a panic.
    pub fn load(id: DocId, bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > limits::DOCUMENT_BYTES_MAX {
            return Err(DocumentError::TooLarge);
        }
        unfold::document(bytes).map_err(|error| DocumentError::Unreadable(error.to_string()))?;
        Self::reload(id, bytes)
    }

    /// Loads a snapshot from this side's own store, which was loaded or saved here before.
    pub fn reload(id: DocId, bytes: &[u8]) -> Result<Self, DocumentError> {
        let inner = contained(|| Automerge::load(bytes)).map_err(DocumentError::Unreadable)?;
        if !inner.get_missing_deps(&[]).is_empty() {
            return Err(DocumentError::Incomplete);
        }
        let genesis = genesis::hash(id.kind());
        let first = inner.get_change_meta_by_hash(&automerge::ChangeHash(genesis.0));
        let roots = inner.get_changes_meta(&[]).iter().filter(|meta| meta.deps.is_empty()).count();
        if first.is_none() || roots != 1 {
            return Err(DocumentError::Genesis);
        }
        Ok(Self { id, inner, facts: history::Facts::default() })
    }

    /// The document's id.
    pub fn id(&self) -> DocId {
        self.id
    }

    /// A compact snapshot.
    pub fn save(&self) -> Vec<u8> {
        self.inner.save()
    }

    /// The newest changes, sorted.
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.inner.get_heads().into_iter().map(|h| ChangeHash(h.0)).collect()
    }

    /// Whether nothing but genesis is there.
    pub fn is_blank(&self) -> bool {
        self.heads() == [genesis::hash(self.id.kind())]
    }

    /// Whether a change is in the document.
    pub fn has(&self, hash: ChangeHash) -> bool {
        self.inner.get_change_meta_by_hash(&automerge::ChangeHash(hash.0)).is_some()
    }

    /// The change with this hash.
    pub fn change(&self, hash: ChangeHash) -> Option<ChangeBytes> {
        let change = self.inner.get_change_by_hash(&automerge::ChangeHash(hash.0))?;
        Some(ChangeBytes { hash, bytes: change.raw_bytes().to_vec() })
    }

    /// Every change but genesis, each after those it builds on.
    pub fn changes(&self) -> Vec<ChangeBytes> {
        let genesis = automerge::ChangeHash(genesis::hash(self.id.kind()).0);
        let bytes = |c: automerge::Change| ChangeBytes {
            hash: ChangeHash(c.hash().0),
            bytes: c.raw_bytes().to_vec(),
        };
        self.inner.get_changes(&[genesis]).into_iter().map(bytes).collect()
    }

    /// The document as it stood at these heads; `None` where one of them is not in it.
    pub fn at(&self, heads: &[ChangeHash]) -> Option<Self> {
        let sorted = sorted(heads);
        if sorted == self.heads() {
            return Some(self.clone());
        }
        let inner = self.inner.fork_at(&foreign(&sorted)).ok()?;
        Some(self.with(inner))
    }

    fn with(&self, inner: Automerge) -> Self {
        Self { id: self.id, inner, facts: self.facts.clone() }
    }

    /// Writes one action as one change. Edits that say what already stands are left out; `None` where
    /// nothing is left.
    pub fn write(
        &mut self,
        actor: Actor,
        command: CommandId,
        unix_ms: UnixMs,
        edits: &[Edit],
    ) -> Option<ChangeBytes> {
        self.inner.set_actor(actor.id());
        let mut tx = self.inner.transaction();
        for edit in edits {
            let done = match edit {
                Edit::Put(map, key, value) => tx.put(genesis::object(*map), key.as_str(), scalar(value)),
                Edit::Delete(map, key) => {
                    // A delete of what is not there is no operation at all.
                    tx.delete(genesis::object(*map), key.as_str())
                }
            };
            done.expect("the four maps exist in every document (genesis)");
        }
        let options =
            CommitOptions::default().with_message(command.to_string()).with_time(unix_ms.div_euclid(1000));
        let (hash, _) = tx.commit_with(options);
        self.change(ChangeHash(hash?.0))
    }

    /// Applies changes that were proved, or that this document gave out before. Spoiled by an error.
    fn apply(&mut self, changes: Vec<automerge::Change>) -> Result<(), DocumentError> {
        contained(|| self.inner.apply_changes(changes)).map_err(DocumentError::Unreadable)
    }

    /// Applies changes from this side's own store, where only proved ones stand. The document is spoiled by
    /// an error.
    pub fn restore<'a>(&mut self, changes: impl IntoIterator<Item = &'a [u8]>) -> Result<(), DocumentError> {
        let read = |bytes: &[u8]| contained(|| automerge::Change::from_bytes(bytes.to_vec()));
        let changes: Result<Vec<_>, _> = changes.into_iter().map(read).collect();
        let changes = changes.map_err(DocumentError::Unreadable)?;
        let hashes: Vec<_> = changes.iter().map(|change| ChangeHash(change.hash().0)).collect();
        if hashes.is_empty() {
            return Ok(());
        }
        self.apply(changes)?;
        if hashes.iter().all(|hash| self.has(*hash)) { Ok(()) } else { Err(DocumentError::Incomplete) }
    }

    /// The value under a key now.
    pub fn value(&self, map: Map, key: &str) -> Option<Value> {
        let found = self.inner.get(genesis::object(map), key).ok()??;
        read_scalar(&found.0)
    }

    /// The values of a map now, by key.
    pub fn values(&self, map: Map) -> Vec<(String, Value)> {
        self.inner
            .map_range(genesis::object(map), ..)
            .filter_map(|item| Some((item.key.to_string(), read_scalar(&item.value.into_value())?)))
            .collect()
    }

    /// The values of a map as they stood at these heads, by key. Unknown heads give nothing.
    pub fn values_at(&self, map: Map, heads: &[ChangeHash]) -> Vec<(String, Value)> {
        if !heads.iter().all(|h| self.has(*h)) {
            return Vec::new();
        }
        self.inner
            .map_range_at(genesis::object(map), .., &foreign(heads))
            .filter_map(|item| Some((item.key.to_string(), read_scalar(&item.value.into_value())?)))
            .collect()
    }

    /// The device and epoch that last wrote a key, for showing who proposed it.
    pub fn writer(&self, map: Map, key: &str) -> Option<Actor> {
        match self.inner.get(genesis::object(map), key).ok()??.1 {
            automerge::ObjId::Id(_, actor, _) => Actor::from_id(&actor),
            automerge::ObjId::Root => None,
        }
    }

    /// The highest epoch that this device has used in the document.
    pub fn epoch_of(&self, device: DeviceId) -> Option<u32> {
        let actors = self.inner.get_changes_meta(&[]);
        actors
            .iter()
            .filter_map(|m| Actor::from_id(&m.actor))
            .filter(|a| a.device == device)
            .map(|a| a.epoch)
            .max()
    }
}

/// Runs what may panic on foreign bytes (Automerge 0.12 trusts its input) and turns a panic into words.
fn contained<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the CRDT library gave up on it".to_owned()),
    }
}

fn sorted(heads: &[ChangeHash]) -> Vec<ChangeHash> {
    let mut heads = heads.to_vec();
    heads.sort_unstable();
    heads.dedup();
    heads
}

fn foreign(heads: &[ChangeHash]) -> Vec<automerge::ChangeHash> {
    heads.iter().map(|h| automerge::ChangeHash(h.0)).collect()
}

fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Text(text) => ScalarValue::Str(text.as_str().into()),
        Value::Int(number) => ScalarValue::Int(*number),
        Value::Flag(flag) => ScalarValue::Boolean(*flag),
        Value::Bytes(bytes) => ScalarValue::Bytes(bytes.clone()),
    }
}

fn read_scalar(value: &automerge::Value<'_>) -> Option<Value> {
    let automerge::Value::Scalar(scalar) = value else { return None };
    from_scalar(scalar)
}

fn from_scalar(scalar: &ScalarValue) -> Option<Value> {
    match scalar {
        ScalarValue::Str(text) => Some(Value::Text(text.to_string())),
        ScalarValue::Int(number) => Some(Value::Int(*number)),
        ScalarValue::Boolean(flag) => Some(Value::Flag(*flag)),
        ScalarValue::Bytes(bytes) => Some(Value::Bytes(bytes.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
