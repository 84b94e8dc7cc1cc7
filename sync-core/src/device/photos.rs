//! Others' photos and files: asked for one by one, kept in the sealed store.
//!
//! In: a document here and the hash of evidence that it names. Out: [`Frame::BlobGet`]s, then the bytes.
//! Each part is durable before the next is asked for, so that a fetch goes on where it broke off, on any
//! later connection. What is not what its hash says is thrown away whole. Invariants: nothing is asked
//! for that no document here names; number and bytes are bounded, the oldest go first, and what belongs
//! to a document goes with it. Photos that were taken with this device are not counted: it keeps those.

use super::record::{self, PendingBlob, Photo};
use super::{Device, DeviceError};
use crate::document::Document;
use crate::fact::kinds::Evidence;
use crate::ids::{BlobHash, DocId, DocKind};
use crate::limits;
use crate::refusal::{Refusal, RefusalCode};
use crate::store::{Batch, DeviceStore, Table};
use crate::time::Now;
use crate::wire::frames::Frame;

/// A photo or file that a document names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoView {
    /// The document whose fact names it: the one asked about, or its money facet.
    pub doc: DocId,
    /// SHA-256 of its bytes.
    pub hash: BlobHash,
    /// Its media type, as who recorded it said; empty where they did not.
    pub media: String,
    /// All its bytes are on this device.
    pub here: bool,
}

/// The evidence of a document that is a blob, in the log's order.
pub fn evidence_of(doc: &Document) -> Vec<(BlobHash, Evidence)> {
    let facts = doc.log().into_iter();
    let evidence = facts.flat_map(|entry| entry.fact.payload.evidence().to_vec());
    evidence.filter_map(|evidence| evidence.blob.map(|hash| (hash, evidence))).collect()
}

/// Whether a fact of the document names the blob.
pub fn names(doc: &Document, hash: BlobHash) -> bool {
    doc.log().iter().any(|entry| entry.fact.payload.evidence().iter().any(|e| e.blob == Some(hash)))
}

/// Where one part of an unfinished photo stands: after the key of the whole, in order.
fn part_key(hash: BlobHash, offset: u64) -> Vec<u8> {
    [&hash.0[..], &offset.to_be_bytes()].concat()
}

impl<S: DeviceStore> Device<S> {
    /// The photos and files that a document and its money facet name, each once.
    pub fn photos(&self, doc: DocId) -> Result<Vec<PhotoView>, DeviceError> {
        self.state(doc)?;
        let mut views: Vec<PhotoView> = Vec::new();
        for doc in [doc, doc.facet(DocKind::OrderMoney), doc.facet(DocKind::TicketMoney)] {
            let Some(found) = self.shelf.document(doc)? else { continue };
            for (hash, evidence) in evidence_of(&found) {
                if !views.iter().any(|v| v.hash == hash) {
                    let here = self.photo_is_here(hash)?;
                    views.push(PhotoView { doc, hash, media: evidence.media.unwrap_or_default(), here });
                }
            }
        }
        Ok(views)
    }

    /// The bytes of a photo that is here and that this document or its money facet names.
    pub fn photo(&self, doc: DocId, hash: BlobHash) -> Result<Option<Vec<u8>>, DeviceError> {
        self.naming(doc, hash)?;
        Ok(self.shelf.store.get(Table::Blob, &hash.0)?)
    }

    /// Asks for a photo: this or a later connection brings it. Nothing happens where it is here.
    pub fn want_photo(&mut self, doc: DocId, hash: BlobHash, now: &Now) -> Result<(), DeviceError> {
        if self.wiped {
            return Err(DeviceError::Wiped);
        }
        let doc = self.naming(doc, hash)?;
        if self.photo_is_here(hash)? || self.wants(hash)? {
            return Ok(());
        }
        if self.kept()?.iter().filter(|(_, p)| !p.whole).count() >= limits::PHOTOS_WANTED_MAX {
            let many = Refusal::new(RefusalCode::TooLarge).with("what", "照片请求 (photos asked for)");
            return Err(many.with("limit", limits::PHOTOS_WANTED_MAX).into());
        }
        let photo = Photo { doc, have: 0, whole: false, asked_ms: now.unix_ms() };
        self.keep(hash, &photo, Batch::new())
    }

    /// What to ask for that was not asked for on this connection.
    pub fn gets(&mut self) -> Result<Vec<Frame>, DeviceError> {
        let mut frames = Vec::new();
        for (hash, photo) in self.kept()? {
            if !photo.whole && self.session.asked_photos.insert(hash) {
                frames.push(Frame::BlobGet { hash, offset: photo.have, doc: Some(photo.doc) });
            }
        }
        Ok(frames)
    }

    /// The document that a photo of others was asked for, once all of it is here.
    pub fn photo_came(&self, hash: BlobHash) -> Result<Option<DocId>, DeviceError> {
        Ok(self.kept_one(hash)?.filter(|p| p.whole).map(|p| p.doc))
    }

    /// Whether photos are still to come.
    pub fn wants_photos(&self) -> Result<bool, DeviceError> {
        Ok(self.kept()?.iter().any(|(_, p)| !p.whole))
    }

    /// Whether this one was asked for and has not come.
    pub fn wants(&self, hash: BlobHash) -> Result<bool, DeviceError> {
        Ok(self.kept_one(hash)?.is_some_and(|p| !p.whole))
    }

    /// The document that names the hash: this one, or its money facet.
    fn naming(&self, doc: DocId, hash: BlobHash) -> Result<DocId, DeviceError> {
        let named = self.photos(doc)?.into_iter().find(|v| v.hash == hash);
        let missing = || Refusal::new(RefusalCode::NotFound).with("what", hash);
        Ok(named.ok_or_else(missing)?.doc)
    }

    fn photo_is_here(&self, hash: BlobHash) -> Result<bool, DeviceError> {
        Ok(self.shelf.store.get(Table::Blob, &hash.0)?.is_some())
    }

    fn kept_one(&self, hash: BlobHash) -> Result<Option<Photo>, DeviceError> {
        let stored = self.shelf.store.get(Table::Meta, &record::photo_key(hash))?;
        stored.map(|bytes| record::read(&bytes)).transpose()
    }

    /// Every photo of others, asked for or here.
    fn kept(&self) -> Result<Vec<(BlobHash, Photo)>, DeviceError> {
        let stored = self.shelf.store.scan(Table::Meta, record::PHOTO)?;
        let one = |(key, bytes): &(Vec<u8>, Vec<u8>)| {
            Ok((record::blob_in(record::PHOTO, key)?, record::read(bytes)?))
        };
        stored.iter().map(one).collect()
    }

    fn keep(&mut self, hash: BlobHash, photo: &Photo, batch: Batch) -> Result<(), DeviceError> {
        let batch = batch.put(Table::Meta, record::photo_key(hash), record::cbor(photo));
        self.shelf.commit(batch, [])
    }

    /// The deletes of the parts of an unfinished photo.
    fn without_parts(&self, hash: BlobHash, photo: &Photo) -> Batch {
        let have = if photo.whole { 0 } else { photo.have };
        // Every part but the last, which is never kept alone, has this length.
        let offsets = (0..have).step_by(limits::BLOB_PART_BYTES_MAX);
        offsets.fold(Batch::new(), |batch, offset| batch.delete(Table::Blob, part_key(hash, offset)))
    }

    /// The deletes of a photo of others, here or on its way. What this device took itself and has still
    /// to send stays.
    fn without_photo(&self, hash: BlobHash, photo: &Photo) -> Batch {
        let batch = self.without_parts(hash, photo).delete(Table::Meta, record::photo_key(hash));
        let batch = batch.delete(Table::Meta, record::given_key(hash));
        let pending = self.shelf.store.get(Table::Meta, &record::pending_key(hash));
        if photo.whole && matches!(pending, Ok(None)) { batch.delete(Table::Blob, hash.0) } else { batch }
    }

    /// The deletes of a document's photos, as it leaves the device.
    pub(super) fn without_photos(&self, doc: DocId) -> Batch {
        let theirs = self.kept().unwrap_or_default();
        let theirs = theirs.iter().filter(|(_, photo)| photo.doc == doc);
        theirs.fold(Batch::new(), |batch, (hash, photo)| batch.and(self.without_photo(*hash, photo)))
    }

    /// A relay that was restored may lack photos that it had confirmed: all that are here and were offered
    /// before, or that a document here names, are offered once more.
    pub(super) fn offer_again(&mut self) -> Result<(), DeviceError> {
        let mut batch = Batch::new();
        for (key, offered) in self.shelf.store.scan(Table::Meta, record::GIVEN)? {
            let hash = record::blob_in(record::GIVEN, &key)?;
            if self.photo_is_here(hash)? {
                batch = batch.put(Table::Meta, record::pending_key(hash), offered);
            }
        }
        for doc in self.all_rows()?.into_iter().map(|row| row.doc) {
            let Some(found) = self.shelf.document(doc)? else { continue };
            for (hash, evidence) in evidence_of(&found) {
                let Some(bytes) = self.shelf.store.get(Table::Blob, &hash.0)? else { continue };
                let media = evidence.media.unwrap_or_default();
                let pending = PendingBlob { doc, media, size: bytes.len() as u64 };
                batch = batch.put(Table::Meta, record::pending_key(hash), record::cbor(&pending));
            }
        }
        self.shelf.commit(batch, [])
    }

    /// The relay does not have it, or not for us: it may be asked for again later.
    pub(super) fn photo_missing(&mut self, hash: BlobHash) -> Result<Vec<Frame>, DeviceError> {
        let Some(photo) = self.kept_one(hash)? else { return Ok(Vec::new()) };
        let batch = self.without_photo(hash, &photo);
        self.session.asked_photos.remove(&hash);
        self.shelf.commit(batch, [])?;
        Ok(Vec::new())
    }

    /// Takes a part; asks for the next, or proves the whole.
    pub(super) fn photo_part(
        &mut self,
        hash: BlobHash,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Vec<Frame>, DeviceError> {
        // It may have gone with its document meanwhile, or come twice: neither is the relay's mistake.
        let Some(mut photo) = self.kept_one(hash)?.filter(|p| !p.whole && p.have == offset) else {
            return Ok(Vec::new());
        };
        if offset + bytes.len() as u64 > limits::BLOB_BYTES_MAX {
            return self.photo_is_wrong(hash, &photo);
        }
        if bytes.len() == limits::BLOB_PART_BYTES_MAX {
            photo.have += bytes.len() as u64;
            self.keep(hash, &photo, Batch::new().put(Table::Blob, part_key(hash, offset), bytes))?;
            return Ok(vec![Frame::BlobGet { hash, offset: photo.have, doc: Some(photo.doc) }]);
        }
        let mut whole = Vec::new();
        for (key, part) in self.shelf.store.scan(Table::Blob, &hash.0)? {
            if key.len() > hash.0.len() {
                whole.extend_from_slice(&part);
            }
        }
        whole.extend_from_slice(bytes);
        if BlobHash::of(&whole) != hash {
            return self.photo_is_wrong(hash, &photo);
        }
        let batch = self.without_parts(hash, &photo).and(self.room(whole.len() as u64)?);
        (photo.have, photo.whole) = (whole.len() as u64, true);
        self.keep(hash, &photo, batch.put(Table::Blob, hash.0, whole))?;
        Ok(Vec::new())
    }

    fn photo_is_wrong(&mut self, hash: BlobHash, photo: &Photo) -> Result<Vec<Frame>, DeviceError> {
        let batch = self.without_photo(hash, photo);
        self.shelf.commit(batch, [])?;
        let message = "a photo is not what its hash says".to_owned();
        Err(DeviceError::Protocol { code: "bad_photo", message })
    }

    /// The deletes that make room for one more photo of so many bytes: the oldest go first.
    fn room(&self, bytes: u64) -> Result<Batch, DeviceError> {
        let mut kept = self.kept()?;
        kept.retain(|(_, photo)| photo.whole);
        kept.sort_by_key(|(hash, photo)| (photo.asked_ms, *hash));
        let mut total = bytes + kept.iter().map(|(_, photo)| photo.have).sum::<u64>();
        let mut count = kept.len() + 1;
        let mut batch = Batch::new();
        for (hash, photo) in kept {
            if total <= limits::PHOTOS_KEPT_BYTES_MAX && count <= limits::PHOTOS_KEPT_MAX {
                break;
            }
            (total, count) = (total - photo.have, count - 1);
            batch = batch.and(self.without_photo(hash, &photo));
        }
        Ok(batch)
    }
}
