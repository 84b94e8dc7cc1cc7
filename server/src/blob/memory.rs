//! Blobs in memory, for tests and simulations. A clone is the same place again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sync_core::ids::{BlobHash, DocId};
use sync_core::limits;

use super::{About, BlobError, BlobStore};

struct Blob {
    about: About,
    bytes: Vec<u8>,
    whole: bool,
}

/// Blobs in memory.
#[derive(Clone, Default)]
pub struct MemoryBlobs(Arc<Mutex<BTreeMap<BlobHash, Blob>>>);

impl MemoryBlobs {
    fn blobs(&self) -> MutexGuard<'_, BTreeMap<BlobHash, Blob>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Proves a blob once all its bytes are there; forgets it where it is not what it says.
fn prove(blobs: &mut BTreeMap<BlobHash, Blob>, hash: BlobHash) -> Result<(), BlobError> {
    let Some(blob) = blobs.get_mut(&hash).filter(|b| !b.whole) else { return Ok(()) };
    if blob.bytes.len() as u64 == blob.about.size {
        blob.whole = BlobHash::of(&blob.bytes) == hash;
        if !blob.whole {
            blobs.remove(&hash);
            return Err(BlobError::Hash);
        }
    }
    Ok(())
}

impl BlobStore for MemoryBlobs {
    fn offer(&self, hash: BlobHash, size: u64, media: &str, doc: DocId) -> Result<u64, BlobError> {
        if size > limits::BLOB_BYTES_MAX {
            return Err(BlobError::Size);
        }
        let mut blobs = self.blobs();
        if !blobs.get(&hash).is_some_and(|b| b.whole || b.about.size == size) {
            let about = About { size, media: media.to_owned(), doc };
            blobs.insert(hash, Blob { about, bytes: Vec::new(), whole: false });
        }
        prove(&mut blobs, hash)?;
        Ok(blobs.get(&hash).map_or(0, |b| b.bytes.len() as u64))
    }
    fn part(&self, hash: BlobHash, offset: u64, bytes: &[u8]) -> Result<(u64, u64), BlobError> {
        let mut blobs = self.blobs();
        let blob = blobs.get_mut(&hash).ok_or(BlobError::Unknown)?;
        let size = blob.about.size;
        if offset == blob.bytes.len() as u64 && !blob.whole {
            if offset + bytes.len() as u64 > size {
                return Err(BlobError::Size);
            }
            blob.bytes.extend_from_slice(bytes);
        }
        let have = blob.bytes.len() as u64;
        prove(&mut blobs, hash)?;
        Ok((have, size))
    }
    fn read(&self, hash: BlobHash, offset: u64) -> Result<Vec<u8>, BlobError> {
        let blobs = self.blobs();
        let blob = blobs.get(&hash).filter(|b| b.whole).ok_or(BlobError::Unknown)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(blob.bytes.len());
        let to = (from + limits::BLOB_PART_BYTES_MAX).min(blob.bytes.len());
        Ok(blob.bytes[from..to].to_vec())
    }
    fn belongs(&self, hash: BlobHash) -> Result<Option<(DocId, String)>, BlobError> {
        let blobs = self.blobs();
        let whole = blobs.get(&hash).filter(|b| b.whole);
        Ok(whole.map(|b| (b.about.doc, b.about.media.clone())))
    }
}
