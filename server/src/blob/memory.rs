//! Blobs in memory, for tests and simulations.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sync_core::ids::{BlobHash, DocId};
use sync_core::limits;

use super::{BlobError, BlobStore};

#[derive(Clone)]
struct Blob {
    size: u64,
    media: String,
    doc: DocId,
    bytes: Vec<u8>,
}

/// Blobs in memory.
#[derive(Default)]
pub struct MemoryBlobs(Mutex<BTreeMap<BlobHash, Blob>>);

impl MemoryBlobs {
    fn blobs(&self) -> MutexGuard<'_, BTreeMap<BlobHash, Blob>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore for MemoryBlobs {
    fn offer(&self, hash: BlobHash, size: u64, media: &str, doc: DocId) -> Result<u64, BlobError> {
        if size > limits::BLOB_BYTES_MAX {
            return Err(BlobError::Size);
        }
        let mut blobs = self.blobs();
        let fresh = || Blob { size, media: media.to_owned(), doc, bytes: Vec::new() };
        Ok(blobs.entry(hash).or_insert_with(fresh).bytes.len() as u64)
    }
    fn part(&self, hash: BlobHash, offset: u64, bytes: &[u8]) -> Result<(u64, u64), BlobError> {
        let mut blobs = self.blobs();
        let blob = blobs.get_mut(&hash).ok_or(BlobError::Unknown)?;
        if offset == blob.bytes.len() as u64 {
            if offset + bytes.len() as u64 > blob.size {
                return Err(BlobError::Size);
            }
            blob.bytes.extend_from_slice(bytes);
            if blob.bytes.len() as u64 == blob.size && BlobHash::of(&blob.bytes) != hash {
                blob.bytes.clear();
                return Err(BlobError::Hash);
            }
        }
        Ok((blob.bytes.len() as u64, blob.size))
    }
    fn read(&self, hash: BlobHash, offset: u64) -> Result<Vec<u8>, BlobError> {
        let blobs = self.blobs();
        let blob = blobs.get(&hash).filter(|b| b.bytes.len() as u64 == b.size).ok_or(BlobError::Unknown)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(blob.bytes.len());
        let to = (from + limits::BLOB_PART_BYTES_MAX).min(blob.bytes.len());
        Ok(blob.bytes[from..to].to_vec())
    }
    fn belongs(&self, hash: BlobHash) -> Result<Option<(DocId, String)>, BlobError> {
        let blobs = self.blobs();
        let whole = blobs.get(&hash).filter(|b| b.bytes.len() as u64 == b.size);
        Ok(whole.map(|b| (b.doc, b.media.clone())))
    }
}
