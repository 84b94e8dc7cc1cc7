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
    /// A commit replaces `old` by `new` under `key`.
    pub(super) fn follow(&mut self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        if self.after.as_deref().is_none_or(|after| key > after) {
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
        let count = pass.slice(data, sealer, values_max)?;
        if count == values_max {
            let audited = Audited { values: pass.read, whole: false };
            *self = pass;
            return Ok(audited);
        }
        pass.judge(record)?;
        Ok(Audited { values: pass.read, whole: true })
    }

    fn judge(&self, record: &CommitRecord) -> Result<(), StoreError> {
        let (here, due) = (self.seen.count, record.tally.count);
        if self.seen.same_values(&record.tally) {
            Ok(())
        } else {
            Err(corrupt(format!("values are missing or stale: {here} found, {due} committed")))
        }
    }

    fn slice(&mut self, data: &Data, sealer: &Sealer, values_max: usize) -> Result<usize, StoreError> {
        let from = self.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let mut pairs = data.db.range::<Vec<u8>, _>((from, Bound::Excluded(vec![OWN])));
        let mut last = None;
        let mut count = 0;
        while count < values_max {
            let Some((key, value)) = contained(|| pairs.next().transpose())? else { break };
            if sealer.open(&key, &value).is_none() {
                return Err(corrupt("a value does not open under its key"));
            }
            self.seen.add(&key, &value);
            count += 1;
            if (count as u64).is_multiple_of(COOL_EVERY) {
                data.cool(&key)?;
            }
            last = Some(key);
        }
        self.read += count as u64;
        if let Some(key) = last {
            self.after = Some(key.to_vec());
        }
        Ok(count)
    }
}

/// A whole pass at once: the tally of all values, if they are those of the record.
pub(super) fn whole(data: &Data, sealer: &Sealer, record: &CommitRecord) -> Result<Tally, StoreError> {
    let mut pass = Audit::default();
    pass.slice(data, sealer, usize::MAX)?;
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
