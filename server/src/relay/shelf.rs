//! The documents that the relay works on: a few in memory, the rest in the log.
//!
//! A document is locked while it is worked on. The cache is bounded by count; what falls out is in the
//! log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sync_core::document::Document;
use sync_core::ids::{DocId, Position};

use super::RelayError;
use crate::log::{ChangeLog, StoredDocument};

/// Documents kept in memory: some 40 KB each.
const WARM_MAX: usize = 384;

/// One document's place: locked while it is worked on.
pub(super) type Slot = Arc<Mutex<Option<Document>>>;

pub(super) struct Shelf {
    log: Arc<dyn ChangeLog>,
    slots: Mutex<Slots>,
}

/// Each document's place, and when it was last asked for.
#[derive(Default)]
struct Slots {
    by_doc: HashMap<DocId, (Slot, u64)>,
    asked: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a lock guards is replaced only after the log has it, so a panic elsewhere leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    pub fn new(log: Arc<dyn ChangeLog>) -> Self {
        Self { log, slots: Mutex::default() }
    }

    /// The place of a document. Lock it for as long as the document is worked on.
    pub fn slot(&self, doc: DocId) -> Slot {
        let mut slots = lock(&self.slots);
        slots.asked += 1;
        let Slots { by_doc, asked } = &mut *slots;
        if by_doc.len() >= WARM_MAX && !by_doc.contains_key(&doc) {
            // One that nobody is working on: its place is held by this map alone.
            let idle = by_doc.iter().filter(|(_, (slot, _))| Arc::strong_count(slot) == 1);
            if let Some(oldest) = idle.min_by_key(|(_, (_, used))| *used).map(|(doc, _)| *doc) {
                by_doc.remove(&oldest);
            }
        }
        let entry = by_doc.entry(doc).or_default();
        entry.1 = *asked;
        entry.0.clone()
    }

    /// Works on a document while nobody else does. `work` gets it as the log has it (`None` where there
    /// is none) and may replace it once the log has what it adds.
    pub fn with<T>(
        &self,
        doc: DocId,
        work: impl FnOnce(&mut Option<Document>) -> Result<T, RelayError>,
    ) -> Result<T, RelayError> {
        let slot = self.slot(doc);
        let mut guard = lock(&slot);
        if guard.is_none() {
            *guard = self.load(doc)?;
        }
        work(&mut guard)
    }

    /// A copy of a document as it stands.
    pub fn read(&self, doc: DocId) -> Result<Option<Document>, RelayError> {
        self.with(doc, |found| Ok(found.clone()))
    }

    /// A document with loose changes as a snapshot, and up to where it stands for them.
    pub fn snapshot(&self, doc: DocId) -> Result<Option<(Vec<u8>, Position)>, RelayError> {
        let slot = self.slot(doc);
        let guard = lock(&slot);
        let Some(stored) = self.log.document(doc)?.filter(|s| !s.changes.is_empty()) else {
            return Ok(None);
        };
        let last = stored.last;
        let found = match &*guard {
            Some(found) => found.save(),
            None => Self::read_in(doc, stored)?.save(),
        };
        Ok(Some((found, last)))
    }

    fn load(&self, doc: DocId) -> Result<Option<Document>, RelayError> {
        self.log.document(doc)?.map(|stored| Self::read_in(doc, stored)).transpose()
    }

    fn read_in(doc: DocId, stored: StoredDocument) -> Result<Document, RelayError> {
        let mut found = match &stored.snapshot {
            Some(bytes) => Document::reload(doc, bytes)?,
            None => Document::new(doc),
        };
        found.restore(stored.changes.iter().map(|(_, _, bytes)| bytes.as_slice()))?;
        Ok(found)
    }
}
