//! Compaction: the loose changes of a document into one snapshot, in quiet moments.
//!
//! A document read from many loose changes costs several times what its snapshot costs, in time and in
//! bytes; but whoever pushes shall not wait for it. So documents that changed are noted, and those that
//! have come to rest are compacted by [`Relay::compact`], which is called every now and then. What is
//! noted is memory only: a document that is forgotten over a restart is noted again when it is sent whole.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sync_core::ids::DocId;

use super::{Relay, RelayError};
use crate::log::{Entry, Snapshot};

/// With fewer loose changes a document is left as it is.
const LOOSE_MIN: u32 = 4;
/// Documents that are compacted in one batch.
const BATCH_MAX: usize = 256;
/// Documents that are noted at most; beyond, they are noted when they are sent whole.
const NOTED_MAX: usize = 65_536;

/// The documents to compact, with how many changes of theirs are loose as far as is known.
#[derive(Default)]
pub(super) struct Noted(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    /// Changed since the last call.
    moving: BTreeMap<DocId, u32>,
    /// Changed before that.
    resting: BTreeMap<DocId, u32>,
}

impl Noted {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was appended.
    pub fn appended(&self, entries: &[Entry]) {
        let mut noted = self.lock();
        for entry in entries {
            if let Entry::Change { doc, .. } = entry {
                noted.note(*doc, 1);
            }
        }
    }

    /// Notes a document that was found with so many loose changes.
    pub fn found(&self, doc: DocId, loose: usize) {
        self.lock().note(doc, u32::try_from(loose).unwrap_or(u32::MAX));
    }

    /// The next documents that are at rest and worth it.
    fn take(&self) -> Vec<DocId> {
        let mut noted = self.lock();
        let found: Vec<DocId> = noted.resting.keys().take(BATCH_MAX).copied().collect();
        for doc in &found {
            noted.resting.remove(doc);
        }
        found
    }

    /// What moved has come to rest, unless it moves again.
    fn turn(&self) {
        let mut noted = self.lock();
        let (moved, still): (BTreeMap<_, _>, _) =
            std::mem::take(&mut noted.moving).into_iter().partition(|(_, loose)| *loose >= LOOSE_MIN);
        noted.moving = still;
        noted.resting.extend(moved);
    }
}

impl Generations {
    fn note(&mut self, doc: DocId, loose: u32) {
        let before = self.resting.remove(&doc).unwrap_or(0);
        if self.moving.len() < NOTED_MAX || self.moving.contains_key(&doc) {
            let count = self.moving.entry(doc).or_default();
            *count = count.saturating_add(before).saturating_add(loose);
        }
    }
}

impl Relay {
    /// Compacts what has come to rest since the last call; gives how many documents that were.
    pub fn compact(&self) -> Result<usize, RelayError> {
        let mut count = 0;
        loop {
            let docs = self.noted.take();
            if docs.is_empty() {
                self.noted.turn();
                return Ok(count);
            }
            let mut snapshots = Vec::with_capacity(docs.len());
            for doc in docs {
                snapshots.extend(self.shelf.snapshot(doc)?.map(|(bytes, upto)| Snapshot {
                    doc,
                    bytes,
                    upto,
                }));
            }
            count += snapshots.len();
            self.log.compact(snapshots)?;
        }
    }
}
