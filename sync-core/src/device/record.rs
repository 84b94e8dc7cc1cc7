//! What a device keeps beside its documents, and under which keys. CBOR with integer keys; keys hold
//! ids and hashes only.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use super::DeviceError;
use crate::command::Action;
use crate::ids::{BlobHash, ChangeHash, CompanyId, DeviceId, DocId, PersonId, Position};
use crate::refusal::Refusal;
use crate::time::{Trusted, UnixMs};
use crate::wire::frames::Resolution;

pub(super) const IDENTITY: &[u8] = b"identity";
pub(super) const LINK: &[u8] = b"link";
pub(super) const POLICY: &[u8] = b"policy/";
pub(super) const ROW: &[u8] = b"row/";
pub(super) const EPOCH: &[u8] = b"epoch/";
pub(super) const PENDING: &[u8] = b"blob/";
/// What was offered and is whole at the relay, for one that was restored.
pub(super) const GIVEN: &[u8] = b"given/";
/// Changes that left a document because the relay holds them back, for one that was restored meanwhile.
pub(super) const LET_GO: &[u8] = b"let-go/";
pub(super) const PHOTO: &[u8] = b"photo/";
pub(super) const LEAVING: &[u8] = b"leaving/";

fn key(prefix: &[u8], rest: &[u8]) -> Vec<u8> {
    [prefix, rest].concat()
}
pub(super) fn policy_key(version: u32) -> Vec<u8> {
    key(POLICY, &version.to_be_bytes())
}
pub(super) fn row_key(doc: DocId) -> Vec<u8> {
    key(ROW, &doc.to_bytes())
}
pub(super) fn epoch_key(doc: DocId) -> Vec<u8> {
    key(EPOCH, &doc.to_bytes())
}
pub(super) fn pending_key(hash: BlobHash) -> Vec<u8> {
    key(PENDING, &hash.0)
}
pub(super) fn given_key(hash: BlobHash) -> Vec<u8> {
    key(GIVEN, &hash.0)
}
pub(super) fn let_go_key(doc: DocId, hash: ChangeHash) -> Vec<u8> {
    key(LET_GO, &change_key(doc, hash))
}
pub(super) fn photo_key(hash: BlobHash) -> Vec<u8> {
    key(PHOTO, &hash.0)
}
pub(super) fn leaving_key(doc: DocId) -> Vec<u8> {
    key(LEAVING, &doc.to_bytes())
}
pub(super) fn change_key(doc: DocId, hash: ChangeHash) -> Vec<u8> {
    key(&doc.to_bytes(), &hash.0)
}

/// The photo or file of a key with this prefix.
pub(super) fn blob_in(prefix: &[u8], key: &[u8]) -> Result<BlobHash, DeviceError> {
    let hash = key.strip_prefix(prefix).and_then(|hash| hash.try_into().ok());
    hash.map(BlobHash).ok_or_else(|| DeviceError::Damaged("a photo's key".into()))
}
/// The document and the change of a key of [`LET_GO`].
pub(super) fn let_go_in(key: &[u8]) -> Result<(DocId, ChangeHash), DeviceError> {
    let read = || {
        let (doc, hash) = key.strip_prefix(LET_GO)?.split_first_chunk()?;
        Some((DocId::from_bytes(*doc).ok()?, ChangeHash(hash.try_into().ok()?)))
    };
    read().ok_or_else(|| DeviceError::Damaged("a change's key".into()))
}

pub(super) fn cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing CBOR to memory cannot fail")
}
pub(super) fn read<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, DeviceError> {
    minicbor::decode(bytes).map_err(|e| DeviceError::Damaged(e.to_string()))
}

/// Who a device is, as enrolment left it. Holds the secret seed: nothing shows it.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Identity {
    /// The company.
    #[n(0)]
    pub company: CompanyId,
    /// The device.
    #[n(1)]
    pub device: DeviceId,
    /// The person.
    #[n(2)]
    pub person: PersonId,
    /// The seed of the device's key.
    #[n(3)]
    pub seed: ByteArray<32>,
    /// Its certificate, signed by the company key.
    #[n(4)]
    pub certificate: ByteVec,
    /// The company's public key.
    #[n(5)]
    pub company_key: ByteArray<32>,
    /// Where the relay is.
    #[n(6)]
    pub relay: String,
}
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({:?}, {:?})", self.device, self.person)
    }
}

/// How the device stands with its relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Link {
    /// Everything up to here is here.
    #[n(0)]
    pub cursor: Position,
    /// The relay's incarnation; 0 before the first.
    #[n(1)]
    pub epoch: u64,
    /// The relay's time, and when that was.
    #[n(2)]
    pub trusted: Option<Trusted>,
    /// Until when the device may be used without being seen.
    #[n(3)]
    pub lease_until_ms: Option<UnixMs>,
}

/// A change on its way to the relay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Outgoing {
    #[n(0)]
    pub doc: DocId,
    #[n(1)]
    pub hash: ChangeHash,
    #[n(2)]
    pub bytes: ByteVec,
    #[n(3)]
    pub action: Action,
    #[n(4)]
    pub at_ms: UnixMs,
}

/// An action that did not enter: kept until the office decides, and after.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Held {
    /// What was done.
    #[n(0)]
    pub action: Action,
    /// The change that the relay holds; the device's own where the relay never had it.
    #[n(1)]
    pub hash: ChangeHash,
    /// Why.
    #[n(2)]
    pub refusal: Refusal,
    /// When it was made, by the device's clock.
    #[n(3)]
    pub at_ms: UnixMs,
    /// What the office decided.
    #[n(4)]
    pub resolution: Option<Resolution>,
    /// The change's bytes.
    #[n(5)]
    pub bytes: ByteVec,
}

/// A photo or file that the relay does not have whole.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct PendingBlob {
    #[n(0)]
    pub doc: DocId,
    #[n(1)]
    pub media: String,
    #[n(2)]
    pub size: u64,
}

/// A photo or file of others: asked for, or here.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Photo {
    /// The document that names it.
    #[n(0)]
    pub doc: DocId,
    /// Bytes that are here.
    #[n(1)]
    pub have: u64,
    /// All of them are, and the hash holds.
    #[n(2)]
    pub whole: bool,
    /// When it was asked for: the oldest goes first.
    #[n(3)]
    pub asked_ms: UnixMs,
}
