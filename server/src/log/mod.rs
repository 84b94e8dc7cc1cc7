//! The relay's change log: what was admitted, in the order of positions.

pub mod memory;

use std::collections::BTreeSet;

use sync_core::ids::{ChangeHash, CommandId, DeviceId, DocId, DocKind, PersonId, Position, StoreId};
use sync_core::refusal::Refusal;
use sync_core::time::UnixMs;
use sync_core::wire::frames::Resolution;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    Everyone,
    All(DocKind),
    Store(StoreId, DocKind),
    Person(PersonId, DocKind),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Change { doc: DocId, hash: ChangeHash, device: DeviceId, bytes: Option<Vec<u8>> },
    Audience { doc: DocId, gained: Vec<Tag>, lost: Vec<Tag> },
    Interests { person: PersonId, gained: Vec<Tag>, lost: Vec<Tag> },
    Resolved { doc: DocId, hash: ChangeHash, device: DeviceId, resolution: Resolution },
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub position: Position,
    pub at_ms: UnixMs,
    pub entry: Entry,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldState {
    Waiting,
    Released { by: PersonId, at_ms: UnixMs },
    Discarded { by: PersonId, at_ms: UnixMs, why: String },
    Replayed { as_hash: ChangeHash },
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldChange {
    pub doc: DocId,
    pub hash: ChangeHash,
    pub device: DeviceId,
    pub person: PersonId,
    pub command: Option<CommandId>,
    pub bytes: Vec<u8>,
    pub at_ms: UnixMs,
    pub reason: Refusal,
    pub state: HeldState,
}
#[derive(Clone, Debug, Default)]
pub struct HeldFilter {
    pub doc: Option<DocId>,
    pub device: Option<DeviceId>,
}
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub entries: Vec<Entry>,
    pub held: Vec<HeldChange>,
    pub records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub at_ms: UnixMs,
}
#[derive(Clone, Debug, Default)]
pub struct StoredDocument {
    pub snapshot: Option<Vec<u8>>,
    pub changes: Vec<(Position, ChangeHash, Vec<u8>)>,
    pub last: Position,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    #[error("{0}")]
    Unavailable(String),
}

pub trait ChangeLog: Send + Sync {
    fn append(&self, batch: Batch) -> Result<Position, LogError>;
    fn head(&self) -> Position;
    fn epoch(&self) -> u64;
    fn read(&self, after: Position, limit: usize) -> Result<Vec<Logged>, LogError>;
    fn position_of(&self, doc: DocId, hash: ChangeHash) -> Result<Option<Position>, LogError>;
    fn document(&self, doc: DocId) -> Result<Option<StoredDocument>, LogError>;
    fn documents(&self, after: Option<DocId>, limit: usize) -> Result<Vec<(DocId, Position)>, LogError>;
    fn compact(&self, doc: DocId, snapshot: Vec<u8>, upto: Position) -> Result<(), LogError>;
    fn audience(&self, doc: DocId) -> Result<BTreeSet<Tag>, LogError>;
    fn tagged(&self, tag: Tag, after: Option<DocId>, limit: usize) -> Result<Vec<DocId>, LogError>;
    fn held(
        &self,
        filter: &HeldFilter,
        after: Option<(DocId, ChangeHash)>,
        limit: usize,
    ) -> Result<Vec<HeldChange>, LogError>;
    fn held_one(&self, doc: DocId, hash: ChangeHash) -> Result<Option<HeldChange>, LogError>;
    fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LogError>;
    fn records(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, LogError>;
}
