//! The relay's change log: everything that was admitted or held, in the order of its positions.
//!
//! In: batches of entries, held changes and small records. Out: consecutive positions, documents,
//! feeds, who may see what. Invariants: a batch is appended whole or not at all and is durable before
//! `append` returns; positions are consecutive from 1; every index moves in the same batch as what it
//! indexes. Not here: what may be admitted, and what the bytes mean.

pub mod kept;
mod rows;
mod stage;
#[cfg(test)]
pub mod suite;

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use sync_core::ids::{ChangeHash, CommandId, DeviceId, DocId, DocKind, PersonId, Position, StoreId};
use sync_core::refusal::Refusal;
use sync_core::store::{Pairs, StoreError};
use sync_core::time::UnixMs;
use sync_core::wire::frames::Resolution;

pub use kept::KeptLog;

/// Who may see a document; also what a person is interested in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    /// Everyone of the company: the directory.
    Everyone,
    /// Those who see all documents of a kind.
    All(DocKind),
    /// Those of a store.
    Store(StoreId, DocKind),
    /// One person, by an appointment.
    Person(PersonId, DocKind),
    /// Those who assess people: what is about one, until it is published.
    Assessors,
}

impl Tag {
    /// 18 bytes: what it is, the kind of document, an id.
    pub fn to_bytes(self) -> [u8; 18] {
        let (what, kind, id) = match self {
            Self::Everyone => (0, 0, [0; 16]),
            Self::All(kind) => (1, kind as u8, [0; 16]),
            Self::Store(store, kind) => (2, kind as u8, *store.as_bytes()),
            Self::Person(person, kind) => (3, kind as u8, *person.as_bytes()),
            Self::Assessors => (4, 0, [0; 16]),
        };
        let mut bytes = [0; 18];
        bytes[0] = what;
        bytes[1] = kind;
        bytes[2..].copy_from_slice(&id);
        bytes
    }
    /// The reverse of [`Tag::to_bytes`].
    pub fn from_bytes(bytes: [u8; 18]) -> Option<Self> {
        let kind = *DocKind::ALL.get(usize::from(bytes[1]))?;
        let id: [u8; 16] = bytes[2..].try_into().ok()?;
        match bytes[0] {
            0 => Some(Self::Everyone),
            1 => Some(Self::All(kind)),
            2 => Some(Self::Store(StoreId::from_bytes(id), kind)),
            3 => Some(Self::Person(PersonId::from_bytes(id), kind)),
            4 => Some(Self::Assessors),
            _ => None,
        }
    }
}
impl<C> Encode<C> for Tag {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.to_bytes())?.ok()
    }
}
impl<'b, C> Decode<'b, C> for Tag {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?.try_into().ok().and_then(Self::from_bytes);
        bytes.ok_or_else(|| minicbor::decode::Error::message("not a tag"))
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Entry {
    /// A change entered a document.
    #[n(0)]
    #[cbor(map)]
    Change {
        /// The document.
        #[n(0)]
        doc: DocId,
        /// The change.
        #[n(1)]
        hash: ChangeHash,
        /// The connected device that wrote it; zeros where none did just now.
        #[n(2)]
        device: DeviceId,
        /// Its bytes; none once it stands in a snapshot.
        #[cbor(n(3), with = "minicbor::bytes")]
        bytes: Option<Vec<u8>>,
    },
    /// A document became visible, or was withdrawn.
    #[n(1)]
    #[cbor(map)]
    Audience {
        /// The document.
        #[n(0)]
        doc: DocId,
        /// Who sees it now.
        #[n(1)]
        gained: Vec<Tag>,
        /// Who does no more.
        #[n(2)]
        lost: Vec<Tag>,
    },
    /// What a person is interested in changed.
    #[n(2)]
    #[cbor(map)]
    Interests {
        /// The person.
        #[n(0)]
        person: PersonId,
        /// New interests.
        #[n(1)]
        gained: Vec<Tag>,
        /// Interests that ended.
        #[n(2)]
        lost: Vec<Tag>,
    },
    /// What became of a change that was held.
    #[n(3)]
    #[cbor(map)]
    Resolved {
        /// The document.
        #[n(0)]
        doc: DocId,
        /// The change.
        #[n(1)]
        hash: ChangeHash,
        /// The device that is to be told.
        #[n(2)]
        device: DeviceId,
        /// What was decided.
        #[n(3)]
        resolution: Resolution,
    },
}

/// An entry with its place and the relay's receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its position.
    pub position: Position,
    /// When it was appended, by the relay's clock.
    pub at_ms: UnixMs,
    /// The entry.
    pub entry: Entry,
}

/// How it stands with a held change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum HeldState {
    /// For the office, or for what it builds on.
    #[n(0)]
    Waiting,
    /// It entered after all.
    #[n(1)]
    #[cbor(map)]
    Released {
        /// Who let it.
        #[n(0)]
        by: PersonId,
        /// When.
        #[n(1)]
        at_ms: UnixMs,
    },
    /// It was set aside; it stays readable.
    #[n(2)]
    #[cbor(map)]
    Discarded {
        /// By whom.
        #[n(0)]
        by: PersonId,
        /// When.
        #[n(1)]
        at_ms: UnixMs,
        /// Why.
        #[n(2)]
        why: String,
    },
    /// The device has said the same action again, and that entered.
    #[n(3)]
    #[cbor(map)]
    Replayed {
        /// As this change.
        #[n(0)]
        as_hash: ChangeHash,
    },
}

/// A change that did not enter, stored whole.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HeldChange {
    /// The document it was for.
    #[n(0)]
    pub doc: DocId,
    /// Its hash, as the device named it.
    #[n(1)]
    pub hash: ChangeHash,
    /// The device that sent it.
    #[n(2)]
    pub device: DeviceId,
    /// The device's person.
    #[n(3)]
    pub person: PersonId,
    /// The action it belongs to, where that can be read.
    #[n(4)]
    pub command: Option<CommandId>,
    /// Its bytes.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
    /// When it came.
    #[n(6)]
    pub at_ms: UnixMs,
    /// Why it did not enter.
    #[n(7)]
    pub reason: Refusal,
    /// How it stands.
    #[n(8)]
    pub state: HeldState,
}

/// Which held changes are asked for.
#[derive(Clone, Debug, Default)]
pub struct HeldFilter {
    /// Of this document.
    pub doc: Option<DocId>,
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Waiting only.
    pub waiting: bool,
}

/// What is appended together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Entries; they get consecutive positions.
    pub entries: Vec<Entry>,
    /// The heads of the document that the changes among them are of, once they are in.
    pub heads: Option<(DocId, Vec<ChangeHash>)>,
    /// Held changes, put or replaced.
    pub held: Vec<HeldChange>,
    /// Small records of the relay, put or removed.
    pub records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The relay's receipt.
    pub at_ms: UnixMs,
}

/// A document as the log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredDocument {
    /// The newest snapshot.
    pub snapshot: Option<Vec<u8>>,
    /// The changes after it, by position.
    pub changes: Vec<(Position, ChangeHash, Vec<u8>)>,
    /// The position of its newest change.
    pub last: Position,
}

/// A document whole, in the place of its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The document.
    pub doc: DocId,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The position of the newest change in it.
    pub upto: Position,
}

/// Why the log cannot do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The store below.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored cannot be read, or does not fit together.
    #[error("the change log is damaged: {0}; restore a backup, or take it again from the devices")]
    Corrupt(String),
}

impl LogError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Corrupt(_) => "corrupt",
        }
    }
}

/// The change log.
pub trait ChangeLog: Send + Sync {
    /// Appends a batch; durable when this returns. Gives the position of the last entry of the log.
    fn append(&self, batch: Batch) -> Result<Position, LogError>;
    /// The position of the newest entry.
    fn head(&self) -> Position;
    /// This incarnation of the log: another number after a restore.
    fn epoch(&self) -> u64;
    /// Up to `limit` entries after a position.
    fn read(&self, after: Position, limit: usize) -> Result<Vec<Logged>, LogError>;
    /// Where a change of a document stands, if it was admitted.
    fn position_of(&self, doc: DocId, hash: ChangeHash) -> Result<Option<Position>, LogError>;
    /// A document.
    fn document(&self, doc: DocId) -> Result<Option<StoredDocument>, LogError>;
    /// The heads of a document, where they were appended with its newest change.
    fn heads(&self, doc: DocId) -> Result<Option<Vec<ChangeHash>>, LogError>;
    /// Documents by id, with the position of their newest change.
    fn documents(&self, after: Option<DocId>, limit: usize) -> Result<Vec<(DocId, Position)>, LogError>;
    /// Puts snapshots in the place of the changes up to their positions.
    fn compact(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError>;
    /// The tags of a document.
    fn audience(&self, doc: DocId) -> Result<BTreeSet<Tag>, LogError>;
    /// Documents with a tag, by id.
    fn tagged(&self, tag: Tag, after: Option<DocId>, limit: usize) -> Result<Vec<DocId>, LogError>;
    /// Held changes by document and hash.
    fn held(
        &self,
        filter: &HeldFilter,
        after: Option<(DocId, ChangeHash)>,
        limit: usize,
    ) -> Result<Vec<HeldChange>, LogError>;
    /// One held change.
    fn held_one(&self, doc: DocId, hash: ChangeHash) -> Result<Option<HeldChange>, LogError>;
    /// One record.
    fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LogError>;
    /// Records whose key begins so.
    fn records(&self, prefix: &[u8]) -> Result<Pairs, LogError>;
    /// Puts a record only where the present one is as expected; whether it did.
    fn swap_record(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<Vec<u8>>,
    ) -> Result<bool, LogError>;
}
