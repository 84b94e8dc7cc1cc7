//! Blobs: photos and files by their SHA-256, uploaded in parts that resume where they broke off.
//!
//! In: offers and parts of devices. Out: how many bytes are here, durably; whole blobs. A blob is whole
//! only once its hash was checked. What is not whole is never given out. Not here: who may see a blob.

pub mod folder;
pub mod memory;

use sync_core::ids::{BlobHash, DocId};
use sync_core::limits;

/// Why a blob cannot be taken or given.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Larger than allowed, or another size than was offered.
    #[error("a blob has at most {} bytes, and as many as were offered", limits::BLOB_BYTES_MAX)]
    Size,
    /// A part of a blob that nobody offered.
    #[error("no such blob was offered")]
    Unknown,
    /// The bytes are not what their name says; what came is dropped and may be sent again.
    #[error("the bytes do not have the hash that was offered")]
    Hash,
    /// The folder cannot do what it should.
    #[error("blob store: {0}")]
    Unavailable(String),
}

/// Where blobs are kept.
pub trait BlobStore: Send + Sync {
    /// A device has this blob; how many bytes of it are here, durably.
    fn offer(&self, hash: BlobHash, size: u64, media: &str, doc: DocId) -> Result<u64, BlobError>;
    /// The next bytes; how many are here now, durably, and how many there are in all. A part that does
    /// not begin where the bytes here end is no error: the answer says where to go on.
    fn part(&self, hash: BlobHash, offset: u64, bytes: &[u8]) -> Result<(u64, u64), BlobError>;
    /// Up to [`limits::BLOB_PART_BYTES_MAX`] bytes of a whole blob from an offset on.
    fn read(&self, hash: BlobHash, offset: u64) -> Result<Vec<u8>, BlobError>;
    /// The document that a whole blob belongs to and its media type; `None` where it is not whole.
    fn belongs(&self, hash: BlobHash) -> Result<Option<(DocId, String)>, BlobError>;
}
