//! Blobs: photos and files by their SHA-256, uploaded in parts that resume where they broke off.
//!
//! In: offers and parts of devices. Out: how many bytes are here, durably; whole blobs. A blob is whole
//! only once its hash was checked, and then for good: nothing overwrites it. What is not whole is never
//! given out. Unfinished uploads stand in [`staging`], whole blobs in an object store ([`objects`]): a
//! directory, or S3 by configuration. One suite (`suite.rs`) holds every implementation to the same laws.
//! Not here: who may see a blob.

pub mod staging;
pub mod objects;
pub mod memory;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;

use minicbor::{Decode, Encode};
use sync_core::ids::{BlobHash, DocId};
use sync_core::limits;

/// Why a blob cannot be taken or given.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Larger than allowed, or another size than was offered.
    #[error("a blob has at most {} bytes, and as many as were offered", limits::BLOB_BYTES_MAX)]
    Size,
    /// A part of a blob that nobody offered, or a blob that is not here whole.
    #[error("no such blob was offered")]
    Unknown,
    /// The bytes are not what their name says; what came is dropped and may be sent again.
    #[error("the bytes do not have the hash that was offered")]
    Hash,
    /// The folder or the object store cannot do what it should; what came so far stays.
    #[error("blob store: {0}")]
    Unavailable(String),
}

/// What is kept beside a blob. CBOR with integer keys.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct About {
    /// Bytes of the whole blob.
    #[n(0)]
    pub size: u64,
    /// Its media type, as the device said.
    #[n(1)]
    pub media: String,
    /// The document that it was offered for.
    #[n(2)]
    pub doc: DocId,
}

/// Where blobs are kept. Calls block; callers on an async runtime keep them off its reactor threads.
pub trait BlobStore: Send + Sync {
    /// A device has this blob; how many bytes of it are here, durably. All of them means that it is whole
    /// and proved. A size other than that of an unfinished upload begins it anew: one of the two is
    /// wrong, and the hash will tell which.
    fn offer(&self, hash: BlobHash, size: u64, media: &str, doc: DocId) -> Result<u64, BlobError>;
    /// The next bytes; how many are here now, durably, and how many there are in all. A part that does
    /// not begin where the bytes here end is no error: the answer says where to go on.
    fn part(&self, hash: BlobHash, offset: u64, bytes: &[u8]) -> Result<(u64, u64), BlobError>;
    /// The bytes of a whole blob from an offset on: [`limits::BLOB_PART_BYTES_MAX`] of them, or what is
    /// left; none from its end on.
    fn read(&self, hash: BlobHash, offset: u64) -> Result<Vec<u8>, BlobError>;
    /// The document that a whole blob belongs to and its media type; `None` where it is not whole.
    fn belongs(&self, hash: BlobHash) -> Result<Option<(DocId, String)>, BlobError>;
}
