//! The audit: every value read and counted against the commit record, slice by slice beside other work.
//!
//! In: the store's data, one slice at a time in the order of keys. Out: how far it is, and at the end
//! whether exactly the committed values are there. A commit in between does not disturb it: for keys that
//! were passed already the audit's own tally takes the commit's puts and deletes, all others it will
//! still read. So at the end both tallies stand after the same commit.
//!
//! Memory: one key and three numbers; sled's cache is bounded.
//!
//! Deliberately not here: when to audit, and what to do about damage.

use std::ops::Bound;

use ::sled::IVec;

use super::StoreError;
use super::anchor::{CommitRecord, Tally, corrupt};
use super::files::{COOL_EVERY, Data, OWN, contained};
use super::sealed::Sealer;

/// How far an audit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Values that this pass has read so far.
    pub values: u64,
    /// The pass is over: every committed value was found, and no other. The next step begins a new pass.
    pub whole: bool,
}

/// One pass over all values.
#[derive(Default)]
pub(super) struct Audit {
    /// The last key that was read.
    after: Option<Vec<u8>>,
    seen: Tally,
    read: u64,
}

impl Audit {
    /// Whether the pass has read everything up to `key`.
    pub(super) fn has_passed(&self, key: &[u8]) -> bool {
        self.after.as_deref().is_some_and(|after| key <= after)
    }

    /// A commit replaces `old` by `new` under `key`.
    pub(super) fn follow(&mut self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        if !self.has_passed(key) {
            return;
        }
        if let Some(old) = old {
            self.seen.remove(key, old);
        }
        if let Some(new) = new {
            self.seen.add(key, new);
        }
    }

    /// Reads up to `values_max` further values and, at the end of the pass, judges. An error ends the pass.
    pub(super) fn step(
        &mut self,
        data: &Data,
        sealer: &Sealer,
        record: &CommitRecord,
        values_max: usize,
    ) -> Result<Audited, StoreError> {
        let mut pass = std::mem::take(self);
        if !pass.walk(data, values_max, usize::MAX, &mut |key, value| opens(sealer, key, value))? {
            let audited = Audited { values: pass.read, whole: false };
            *self = pass;
            return Ok(audited);
        }
        pass.judge(record)?;
        Ok(Audited { values: pass.read, whole: true })
    }

    /// Whether the values read, and those of the commits since, are exactly those of the record.
    pub(super) fn judge(&self, record: &CommitRecord) -> Result<(), StoreError> {
        let (here, due) = (self.seen.count, record.tally.count);
        if self.seen.same_values(&record.tally) {
            Ok(())
        } else {
            Err(corrupt(format!("values are missing or stale: {here} found, {due} committed")))
        }
    }

    /// Gives `each` up to `values_max` further values, some `bytes_max` in all; true where those were the last.
    pub(super) fn walk(
        &mut self,
        data: &Data,
        values_max: usize,
        bytes_max: usize,
        each: &mut dyn FnMut(&IVec, &IVec) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        let from = self.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let mut pairs = data.db.range::<Vec<u8>, _>((from, Bound::Excluded(vec![OWN])));
        let mut last = None;
        let (mut count, mut bytes, mut over) = (0u64, 0, false);
        while count < values_max as u64 && bytes < bytes_max {
            let Some((key, value)) = contained(|| pairs.next().transpose())? else {
                over = true;
                break;
            };
            each(&key, &value)?;
            self.seen.add(&key, &value);
            (count, bytes) = (count + 1, bytes + key.len() + value.len());
            if count.is_multiple_of(COOL_EVERY) {
                data.cool(&key)?;
            }
            last = Some(key);
        }
        self.read += count;
        if over {
            // From now on every commit is followed.
            self.after = Some(vec![OWN]);
        } else if let Some(key) = last {
            self.after = Some(key.to_vec());
        }
        Ok(over)
    }
}

fn opens(sealer: &Sealer, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    match sealer.open(key, value) {
        Some(_) => Ok(()),
        None => Err(corrupt("a value does not open under its key")),
    }
}

/// A whole pass at once: the tally of all values, if they are those of the record.
pub(super) fn whole(data: &Data, sealer: &Sealer, record: &CommitRecord) -> Result<Tally, StoreError> {
    let mut pass = Audit::default();
    pass.walk(data, usize::MAX, usize::MAX, &mut |key, value| opens(sealer, key, value))?;
    pass.judge(record)?;
    Ok(pass.seen)
}

/// Removes every value that does not open, and gives the tally of the others.
pub(super) fn salvage(data: &Data, sealer: &Sealer) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    let mut pairs = data.db.range::<&[u8], _>(..&[OWN][..]);
    while let Some((key, value)) = contained(|| pairs.next().transpose())? {
        if sealer.open(&key, &value).is_some() {
            tally.add(&key, &value);
        } else {
            contained(|| data.db.remove(&key))?;
        }
    }
    Ok(tally)
}
