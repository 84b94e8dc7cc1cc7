//! Writing a store anew: sled reclaims segments, but slowly and never all of what it could.
//!
//! In: the data as it is, and its commit record. Out: a fresh sled in a draft folder with the same sealed
//! values, if they are exactly the committed ones. The caller writes the store's own records, names the
//! folder and switches to it.
//!
//! Invariants: reads the old data only; memory is bounded by [`PORTION_BYTES`]; a draft is nothing to
//! anyone until it is renamed.
//!
//! Deliberately not here: the switch, and when compaction is worth it.

use std::path::Path;

use super::StoreError;
use super::anchor::{CommitRecord, Tally, corrupt};
use super::files::{COOL_EVERY, Data, OWN, contained};

/// Bytes that are written as one batch.
const PORTION_BYTES: usize = 256 * 1024;

/// How far a compaction is; each stage is durable when it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The draft is there, and some of the values in it.
    Drafted,
    /// All values stand in the draft, durably.
    Written,
    /// The draft has its final name.
    Named,
    /// The anchor names it; the old folder is still there.
    Switched,
}

/// Copies every value of `from` into a new folder.
pub(super) fn rewrite(
    from: &Data,
    draft: &Path,
    segment: u32,
    record: &CommitRecord,
    at: &mut dyn FnMut(Stage),
) -> Result<Data, StoreError> {
    let target = Data::open(draft, segment)?;
    let mut tally = Tally::default();
    let (mut batch, mut bytes) = (::sled::Batch::default(), 0);
    let mut samples = Vec::new();
    let mut pairs = from.db.range::<&[u8], _>(..&[OWN][..]);
    while let Some((key, value)) = contained(|| pairs.next().transpose())? {
        tally.add(&key, &value);
        target.expects(key.len() + value.len());
        bytes += key.len() + value.len();
        if tally.count.is_multiple_of(COOL_EVERY) {
            from.cool(&key)?;
            samples.push(key.clone());
        }
        batch.insert(key, value);
        if bytes >= PORTION_BYTES {
            let portion = std::mem::take(&mut batch);
            contained(|| target.db.apply_batch(portion))?;
            samples.drain(..).try_for_each(|key| target.cool(&key))?;
            bytes = 0;
            at(Stage::Drafted);
        }
    }
    contained(|| target.db.apply_batch(batch))?;
    if !tally.same_values(&record.tally) {
        let (here, due) = (tally.count, record.tally.count);
        return Err(corrupt(format!("values are missing or stale: {here} found, {due} committed")));
    }
    Ok(target)
}
