//! Moments that come by themselves: a role or a policy that was set for later begins or ends.
//!
//! What a person is interested in changes then although nobody writes anything. [`Relay::moments`] is
//! called every now and then; it enters into the log what changed since it was last called, so a feed
//! position cannot miss it, also over a restart. Time is a parameter; who calls keeps the clock.

use std::ops::RangeInclusive;
use std::sync::PoisonError;

use sync_core::directory::Directory;
use sync_core::time::UnixMs;

use super::{Footing, Relay, RelayError};
use crate::log::{Batch, Entry};

/// Up to which moment people's interests stand in the log.
const AS_OF: &[u8] = b"interests-as-of";

impl Relay {
    /// Enters what people see more or less since the last call, by moments of roles and policies that
    /// have come since. Gives how many people that were.
    pub fn moments(&self, now_ms: UnixMs) -> Result<usize, RelayError> {
        let mut as_of = self.as_of.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = as_of.map_or_else(|| self.noted(), |ms| Ok(Some(ms)))? else {
            self.enter(Vec::new(), now_ms)?;
            *as_of = Some(now_ms);
            return Ok(0);
        };
        if now_ms <= last {
            return Ok(0);
        }
        let footing = self.footing();
        let moved = if comes_within(&footing.directory, last + 1..=now_ms) {
            moved((&footing, last), (&footing, now_ms))
        } else {
            Vec::new()
        };
        let count = moved.len();
        if count > 0 {
            self.enter(moved, now_ms)?;
        }
        *as_of = Some(now_ms);
        Ok(count)
    }

    fn noted(&self) -> Result<Option<UnixMs>, RelayError> {
        let bytes = self.log.record(AS_OF)?;
        Ok(bytes.and_then(|b| b.try_into().ok()).map(UnixMs::from_be_bytes))
    }

    fn enter(&self, entries: Vec<Entry>, now_ms: UnixMs) -> Result<(), RelayError> {
        let records = vec![as_of(now_ms)];
        self.append(Batch { entries, records, at_ms: now_ms, ..Batch::default() }).map(drop)
    }
}

/// The record that says so.
pub(super) fn as_of(now_ms: UnixMs) -> (Vec<u8>, Option<Vec<u8>>) {
    (AS_OF.to_vec(), Some(now_ms.to_be_bytes().to_vec()))
}

/// Whether some role or policy begins or ends within these moments.
fn comes_within(directory: &Directory, moments: RangeInclusive<UnixMs>) -> bool {
    let roles = directory.people.values().flat_map(|p| &p.roles);
    let mut of_roles = roles.flat_map(|span| [Some(span.from_ms), span.to_ms]).flatten();
    of_roles.any(|ms| moments.contains(&ms))
        || directory.policies.iter().any(|p| moments.contains(&p.effective_ms))
}

/// The entries by which people's interests follow from one directory and moment to another.
pub(super) fn moved(before: (&Footing, UnixMs), after: (&Footing, UnixMs)) -> Vec<Entry> {
    let people = after.0.directory.people.keys();
    let entry = |person: &_| {
        let (before, after) = (before.0.interests(*person, before.1), after.0.interests(*person, after.1));
        let gained: Vec<_> = after.difference(&before).copied().collect();
        let lost: Vec<_> = before.difference(&after).copied().collect();
        let differs = !gained.is_empty() || !lost.is_empty();
        differs.then_some(Entry::Interests { person: *person, gained, lost })
    };
    people.filter_map(entry).collect()
}
