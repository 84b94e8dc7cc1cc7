//! Writing a store anew beside its work: sled reclaims segments, but slowly and never all of what it could.
//!
//! In: the data as it is, a step at a time, and what commits write between the steps. Out: a fresh sled in
//! the next folder of data with the same sealed values, if they are exactly the committed ones. The steps:
//! - copying: a slice of values in the order of keys, durable at once; a commit's writes to keys that were
//!   passed go to both. At the end the copied values are compared with the commit record;
//! - opening: a thread closes the new data and opens it again, so that sled keeps where its pages stand and
//!   the next start of the store need not replay all of it. Writes are gathered meanwhile;
//! - the switch, by the caller: those writes and the record, then the anchor;
//! - clearing: a thread closes and removes the old folder.
//!
//! Invariants: reads the old data only; memory is bounded by [`STEP_BYTES`] and by what is committed while
//! the new data opens; the new folder is a draft, and nothing to anyone, until the switch.
//!
//! Deliberately not here: the switch, and when compaction is worth it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use super::StoreError;
use super::anchor::{CommitRecord, corrupt, unusable};
use super::audit::Audit;
use super::files::{COOL_EVERY, Data, SEGMENT_BYTES, contained};
use super::folder::{Folder, absent_is_fine};

/// Bytes that one step copies, some more at most by one value.
const STEP_BYTES: usize = 512 * 1024;

/// How far a compaction is; each stage is durable when it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Some of the values stand in the draft.
    Drafted,
    /// All values stand in the draft.
    Written,
    /// The draft was opened again.
    Opened,
    /// The draft has the last commit, and is none any more.
    Finished,
    /// The anchor names it; the old folder is still there.
    Switched,
}

/// A compaction under way.
pub(super) struct Compaction {
    pub(super) generation: u32,
    place: PathBuf,
    walked: Audit,
    /// What commits wrote to keys that were passed and the new data lacks.
    lacking: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The commit with which the new data was closed.
    closed_at: Option<CommitRecord>,
    /// Nothing only within a step.
    pub(super) work: Option<Work>,
}

/// What is being done.
pub(super) enum Work {
    Copying(Data),
    Opening(JoinHandle<Result<Data, StoreError>>),
    Clearing(JoinHandle<io::Result<()>>),
}

impl Compaction {
    /// Begins a draft, over what an attempt left that was cut short.
    pub(super) fn begin(folder: &Folder) -> Result<Self, StoreError> {
        let (generation, place) = folder.begin_draft().map_err(|e| unusable(&e))?;
        let work = Some(Work::Copying(Data::open(&place, SEGMENT_BYTES)?));
        let (walked, lacking, closed_at) = (Audit::default(), BTreeMap::new(), None);
        Ok(Self { generation, place, walked, lacking, closed_at, work })
    }

    /// A commit replaces `old` by `new` under `key`.
    pub(super) fn follow(&mut self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        if !matches!(self.work, Some(Work::Clearing(_))) && self.walked.has_passed(key) {
            self.walked.follow(key, old, new);
            self.lacking.insert(key.to_vec(), new.map(<[u8]>::to_vec));
        }
    }

    /// Writes to the draft what was followed, where it is open.
    pub(super) fn keep_up(&mut self) -> Result<(), StoreError> {
        let Some(Work::Copying(target)) = &self.work else { return Ok(()) };
        let batch = gathered(&mut self.lacking, target);
        contained(|| target.db.apply_batch(batch))
    }

    /// Copies up to `values_max` further values to `target`, the draft; true where those were the last.
    pub(super) fn copy(&mut self, from: &Data, target: &Data, values_max: usize) -> Result<bool, StoreError> {
        let mut batch = ::sled::Batch::default();
        let mut samples = Vec::new();
        let mut count = 0u64;
        let over = self.walked.walk(from, values_max, STEP_BYTES, &mut |key, value| {
            target.expects(key.len() + value.len());
            count += 1;
            if count.is_multiple_of(COOL_EVERY) {
                samples.push(key.clone());
            }
            batch.insert(key, value);
            Ok(())
        })?;
        target.apply(batch)?;
        samples.iter().try_for_each(|key| target.cool(key))?;
        Ok(over)
    }

    /// Whether the copied values, and those of the commits since, are exactly the committed ones.
    pub(super) fn judge(&self, record: &CommitRecord) -> Result<(), StoreError> {
        self.walked.judge(record)
    }

    /// Closes the draft, which has `record`, and opens it again.
    pub(super) fn reopen(&mut self, target: Data, record: CommitRecord) {
        let place = self.place.clone();
        self.closed_at = Some(record);
        self.work = Some(Work::Opening(spawn(move || {
            drop(target);
            Data::open(&place, SEGMENT_BYTES)
        })));
    }

    /// The reopened draft, with what it lacked of the commits until now; `stored` is the record it has.
    pub(super) fn complete(&mut self, fresh: &Data, stored: Option<CommitRecord>) -> Result<(), StoreError> {
        if stored.is_none() || stored != self.closed_at {
            return Err(corrupt("what was written anew does not read as it was written"));
        }
        let batch = gathered(&mut self.lacking, fresh);
        contained(|| fresh.db.apply_batch(batch))
    }

    /// Closes and removes the old data.
    pub(super) fn clear(&mut self, old: Data, place: PathBuf) {
        self.work = Some(Work::Clearing(spawn(move || {
            drop(old);
            absent_is_fine(fs::remove_dir_all(place))
        })));
    }

    /// Whether the next step has to wait for a thread.
    pub(super) fn is_waiting(&self) -> bool {
        match &self.work {
            None | Some(Work::Copying(_)) => false,
            Some(Work::Opening(thread)) => !thread.is_finished(),
            Some(Work::Clearing(thread)) => !thread.is_finished(),
        }
    }
    /// Waits for it.
    pub(super) fn wait(&self) {
        while self.is_waiting() {
            sleep(Duration::from_millis(1));
        }
    }
}

/// The end of a thread's work.
pub(super) fn joined<T>(thread: JoinHandle<T>) -> Result<T, StoreError> {
    thread.join().map_err(|_| corrupt("what was written anew does not open"))
}

fn gathered(writes: &mut BTreeMap<Vec<u8>, Option<Vec<u8>>>, target: &Data) -> ::sled::Batch {
    let mut batch = ::sled::Batch::default();
    for (key, value) in std::mem::take(writes) {
        match value {
            Some(value) => {
                target.expects(key.len() + value.len());
                batch.insert(key, value);
            }
            None => batch.remove(key),
        }
    }
    batch
}
