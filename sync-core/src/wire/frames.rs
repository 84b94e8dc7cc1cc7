//! What a device and a relay say to each other, frame by frame.
//!
//! A frame is one CBOR value: `[kind, fields]`, with integer keys throughout. Kinds, variants and keys
//! are numbered for good and never used again; keys that a reader does not know are ignored, so a newer
//! peer may add optional ones. Every list, text and byte string has its bound in [`crate::limits`].
//! Times are Unix milliseconds, sizes and offsets bytes. Any frame may be lost with its connection and
//! said again on the next: none has an effect that a second one would double.
//!
//! Not here: bytes on the wire ([`super::codec`]) and who says what when ([`crate::device`]).

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use super::bounded;
use crate::ids::{BlobHash, ChangeHash, DocId, Position};
use crate::refusal::Refusal;
use crate::time::UnixMs;

/// One frame, in either direction.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Frame {
    /// Device → relay, first of all: who is there and what it has.
    #[n(0)]
    Hello(#[n(0)] Hello),
    /// Device → relay: changes of one document, each after those it builds on. Answer: [`Frame::Verdicts`].
    #[n(1)]
    Push(#[n(0)] Push),
    /// Device → relay: send me a snapshot of this document.
    #[n(2)]
    Need(#[n(0)] Need),
    /// Device → relay: what I hold, in one hash. Answer: [`Frame::Agreement`].
    #[n(3)]
    Digest(#[n(0)] Digest),
    /// Device → relay, after a disagreement: what I hold, document by document.
    #[n(4)]
    Inventory(#[n(0)] Inventory),
    /// Device → relay: I have this blob for you. Answer: [`Frame::BlobState`].
    #[n(5)]
    #[cbor(map)]
    BlobOffer {
        /// SHA-256 of the whole blob.
        #[n(0)]
        hash: BlobHash,
        /// Bytes of the whole blob.
        #[n(1)]
        size: u64,
        /// Its media type, such as `image/jpeg`.
        #[cbor(n(2), with = "bounded::text")]
        media: String,
        /// The document that names it: who may see the document may see the blob.
        #[n(3)]
        doc: DocId,
    },
    /// Both directions: a piece of a blob. To a relay it is answered by [`Frame::BlobState`].
    #[n(6)]
    #[cbor(map)]
    BlobPart {
        /// SHA-256 of the whole blob.
        #[n(0)]
        hash: BlobHash,
        /// Where the piece begins, in bytes from the blob's start.
        #[n(1)]
        offset: u64,
        /// The piece, at most [`crate::limits::BLOB_PART_BYTES_MAX`] bytes.
        #[cbor(n(2), with = "bounded::blob_part")]
        bytes: Vec<u8>,
    },
    /// Device → relay: send me one piece of a blob from here on. Answer: [`Frame::BlobPart`], of
    /// fewer bytes than it may have only at the blob's end; or [`Frame::BlobState`] with nothing, where it is
    /// not there whole or no document in the device's scope names it.
    #[n(7)]
    #[cbor(map)]
    BlobGet {
        /// SHA-256 of the whole blob.
        #[n(0)]
        hash: BlobHash,
        /// The first byte wanted.
        #[n(1)]
        offset: u64,
        /// The document that names it; without one, that for which it was first offered.
        #[n(2)]
        doc: Option<DocId>,
    },
    /// Device → relay: I have erased myself; a signed receipt.
    #[n(8)]
    #[cbor(map)]
    Wiped {
        /// The receipt, signed by the device's key.
        #[cbor(n(0), with = "bounded::receipt")]
        receipt: Vec<u8>,
    },
    /// Relay → device, first of all: the answer to [`Frame::Hello`].
    #[n(9)]
    Welcome(#[n(0)] Welcome),
    /// Relay → device: what is new in the device's scope.
    #[n(10)]
    Feed(#[n(0)] Feed),
    /// Relay → device: what became of a push.
    #[n(11)]
    Verdicts(#[n(0)] Verdicts),
    /// Relay → device: the answer to [`Frame::Digest`].
    #[n(12)]
    #[cbor(map)]
    Agreement {
        /// Whether both hold the same; if not, the device sends its [`Frame::Inventory`].
        #[n(0)]
        agree: bool,
    },
    /// Relay → device: how much of a blob the relay has durably.
    #[n(13)]
    #[cbor(map)]
    BlobState {
        /// SHA-256 of the whole blob.
        #[n(0)]
        hash: BlobHash,
        /// Bytes from the blob's start; the device goes on from here.
        #[n(1)]
        have: u64,
        /// Whether the blob is whole and its hash holds.
        #[n(2)]
        complete: bool,
    },
    /// Relay → device: erase yourself. Answer: [`Frame::Wiped`].
    #[n(14)]
    #[cbor(map)]
    Wipe {
        /// Why.
        #[n(0)]
        reason: Refusal,
    },
    /// Both directions: the peer broke the protocol; the connection closes after this.
    #[n(15)]
    #[cbor(map)]
    Failure {
        /// The stable code, such as [`super::WireError::code`].
        #[cbor(n(0), with = "bounded::text")]
        code: String,
        /// Words for a developer, without personal data.
        #[cbor(n(1), with = "bounded::text")]
        message: String,
    },
}

impl Frame {
    /// How many kinds there are: they are numbered from 0, and this number is not yet one of them.
    pub const KINDS: i64 = 16;

    /// The kind's name, for logs and metrics; a frame itself is never logged.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Push(_) => "push",
            Self::Need(_) => "need",
            Self::Digest(_) => "digest",
            Self::Inventory(_) => "inventory",
            Self::BlobOffer { .. } => "blob_offer",
            Self::BlobPart { .. } => "blob_part",
            Self::BlobGet { .. } => "blob_get",
            Self::Wiped { .. } => "wiped",
            Self::Welcome(_) => "welcome",
            Self::Feed(_) => "feed",
            Self::Verdicts(_) => "verdicts",
            Self::Agreement { .. } => "agreement",
            Self::BlobState { .. } => "blob_state",
            Self::Wipe { .. } => "wipe",
            Self::Failure { .. } => "failure",
        }
    }
}

/// A device introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// The oldest and the newest protocol version that the device speaks ([`super::negotiate`]).
    #[n(0)]
    pub versions: (u16, u16),
    /// The app and its version, such as `gendan-android/1.4.0`.
    #[cbor(n(1), with = "bounded::text")]
    pub app: String,
    /// Everything up to here has been taken from the feed; 0 for nothing yet.
    #[n(2)]
    pub cursor: Position,
    /// The relay's incarnation that `cursor` belongs to; 0 for none yet.
    #[n(3)]
    pub epoch: u64,
    /// The policy version held; 0 for none yet.
    #[n(4)]
    pub policy: u32,
    /// Changes in the outbox.
    #[n(5)]
    pub unsent: u32,
    /// When the oldest of them was made, by the device's wall clock.
    #[n(6)]
    pub oldest_unsent_ms: Option<UnixMs>,
    /// Changes that the device knows to be held.
    #[n(7)]
    pub held: u32,
    /// Blobs not yet sent whole.
    #[n(8)]
    pub blobs_pending: u32,
    /// The device's wall clock now; the relay shows how far it is off.
    #[n(9)]
    pub wall_ms: UnixMs,
}

/// Changes of one document.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Push {
    /// The device's number for this push within the connection; its verdicts name it.
    #[n(0)]
    pub id: u64,
    /// The document.
    #[n(1)]
    pub doc: DocId,
    /// Uncompressed Automerge change chunks, each after those it builds on; at most
    /// [`crate::limits::PUSH_CHANGES_MAX`]. Their hashes follow from their bytes.
    #[cbor(n(2), with = "bounded::changes")]
    pub changes: Vec<ByteVec>,
}

/// A document whose snapshot the device needs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Need {
    /// The document.
    #[n(0)]
    pub doc: DocId,
}

/// What a device holds, in one hash ([`super::digest::ScopeDigest`]).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Digest {
    /// The digest of all documents held.
    #[n(0)]
    pub digest: ByteArray<32>,
    /// How many they are.
    #[n(1)]
    pub documents: u32,
    /// The feed position that they stand at.
    #[n(2)]
    pub cursor: Position,
}

/// What a device holds, document by document; a long one goes in several frames.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Inventory {
    /// Each document with the digest of its heads ([`super::digest::heads_digest`]); at most
    /// [`crate::limits::INVENTORY_MAX`].
    #[cbor(n(0), with = "bounded::inventory")]
    pub documents: Vec<(DocId, ByteArray<8>)>,
    /// Whether this is the last frame of the inventory.
    #[n(1)]
    pub last: bool,
}

/// The relay introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Welcome {
    /// The version that both speak from here on.
    #[n(0)]
    pub version: u16,
    /// The relay's incarnation. If it is not the device's, the device's cursor means nothing here.
    #[n(1)]
    pub epoch: u64,
    /// The relay's clock.
    #[n(2)]
    pub now_ms: UnixMs,
    /// The end of the relay's log.
    #[n(3)]
    pub head: Position,
    /// Until when the device may open its store without having been seen again.
    #[n(4)]
    pub lease_until_ms: UnixMs,
}

/// What is new in the device's scope.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Feed {
    /// In the order in which they are to be taken; at most [`crate::limits::FEED_ITEMS_MAX`].
    #[cbor(n(0), with = "bounded::feed_items")]
    pub items: Vec<FeedItem>,
    /// The device's cursor once all items are taken and durable.
    #[n(1)]
    pub upto: Position,
    /// Whether the relay has more to send at once.
    #[n(2)]
    pub more: bool,
}

/// One thing that is new.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FeedItem {
    /// Admitted changes of a document that the device holds, each after those it builds on.
    #[n(0)]
    #[cbor(map)]
    Changes {
        /// The document.
        #[n(0)]
        doc: DocId,
        /// Uncompressed Automerge change chunks; at most [`crate::limits::PUSH_CHANGES_MAX`].
        #[cbor(n(1), with = "bounded::changes")]
        changes: Vec<ByteVec>,
    },
    /// A document that came into scope, or that the device asked for, as a whole.
    #[n(1)]
    #[cbor(map)]
    Snapshot {
        /// The document.
        #[n(0)]
        doc: DocId,
        /// The Automerge document.
        #[cbor(n(1), with = "bounded::snapshot")]
        bytes: Vec<u8>,
    },
    /// A document that left the scope: push what is unsent, then evict it.
    #[n(2)]
    #[cbor(map)]
    Forget {
        /// The document.
        #[n(0)]
        doc: DocId,
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
        /// What became of it.
        #[n(2)]
        resolution: Resolution,
    },
    /// A published policy.
    #[n(4)]
    #[cbor(map)]
    Policy {
        /// Its version.
        #[n(0)]
        version: u32,
        /// SHA-256 of `bytes`.
        #[n(1)]
        hash: BlobHash,
        /// The policy as published CBOR.
        #[cbor(n(2), with = "bounded::policy")]
        bytes: Vec<u8>,
    },
    /// The relay lacks changes of this document (it was restored): push all of it again.
    #[n(5)]
    #[cbor(map)]
    Need {
        /// The document.
        #[n(0)]
        doc: DocId,
    },
}

impl FeedItem {
    /// Bytes of CBOR that the item takes at most, for filling a frame up to
    /// [`crate::limits::FRAME_BYTES_SENT_MAX`].
    pub fn len_hint(&self) -> usize {
        const FRAMING: usize = 80;
        FRAMING
            + match self {
                Self::Changes { changes, .. } => changes.iter().map(|c| c.len() + 5).sum(),
                Self::Snapshot { bytes, .. } | Self::Policy { bytes, .. } => bytes.len(),
                Self::Resolved { resolution: Resolution::Discarded { why, by }, .. } => why.len() + by.len(),
                Self::Resolved { .. } | Self::Forget { .. } | Self::Need { .. } => 0,
            }
    }
}

/// What became of a held change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Resolution {
    /// The office released it: it is admitted as it was written.
    #[n(0)]
    Released,
    /// The office discarded it.
    #[n(1)]
    #[cbor(map)]
    Discarded {
        /// The office's reason, in its own words.
        #[cbor(n(0), with = "bounded::text")]
        why: String,
        /// Who decided.
        #[cbor(n(1), with = "bounded::text")]
        by: String,
    },
    /// The device said the action again under a new epoch, and that was admitted.
    #[n(2)]
    Replayed,
}

/// What became of the changes of one push.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Verdicts {
    /// The push.
    #[n(0)]
    pub id: u64,
    /// The relay's clock at the decision.
    #[n(1)]
    pub at_ms: UnixMs,
    /// A verdict for each change, in the push's order; at most [`crate::limits::PUSH_CHANGES_MAX`].
    #[cbor(n(2), with = "bounded::changes")]
    pub verdicts: Vec<Verdict>,
}

/// What became of one change. Either way the relay has it durably, and it leaves the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Verdict {
    /// It is in the log.
    #[n(0)]
    #[cbor(map)]
    Admitted {
        /// Where.
        #[n(0)]
        position: Position,
    },
    /// It is in the held tray, whole.
    #[n(1)]
    #[cbor(map)]
    Held {
        /// Why, and who could admit it.
        #[n(0)]
        refusal: Refusal,
    },
}
