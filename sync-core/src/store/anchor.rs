//! The anchor: a small file beside the data that knows the newest durable commit, so that a store
//! which lost its tail cannot pass for a whole one.
//!
//! In: the [`CommitRecord`] that stands in the data after each commit. Out: whether data and anchor
//! belong together ([`judge`]). A record holds the commit's number, a running SHA-256 over every sealed
//! write so far (chained by the hash before it), and a [`Tally`] of all live values. Around it the anchor
//! keeps a [`Mark`]: which folder holds the data, and [`Evidence`] of what its files were.
//!
//! The file has three pages of 4 KiB: a [`header`], and two slots that are written in turn, each a
//! sealed mark. A slot that was torn does not open; then the other one counts, which is one commit
//! behind.
//!
//! Invariants: the data is durable before the anchor names it, and the anchor is durable before the
//! commit returns; so an honest store is level with its anchor or ahead of it by exactly one commit.
//!
//! Deliberately not here: files (`folder`), and the data itself. Where data *and* anchor are replaced by
//! older copies that belong together, nothing on the device can tell; the relay's digest does.

use std::io::{self, ErrorKind};

use sha2::{Digest, Sha256};

use super::StoreError;
use super::sealed::{self, OVERHEAD, Sealer};

const MAGIC: &[u8; 13] = b"gendan-anchor";
const HEADER_BYTES: usize = MAGIC.len() + 2 + 4;
const SEAL_NAME: &[u8] = b"\xffanchor";
/// A record of layout 1, which did not count bytes.
const FIRST_RECORD_BYTES: usize = 8 + 32 + 32 + 8 + 16;
const RECORD_BYTES: usize = FIRST_RECORD_BYTES + 8;
const MARK_BYTES: usize = 8 + RECORD_BYTES + 4 + 4 + 8 + 8;
/// What is written at once, so that tearing one slot leaves the other alone.
pub(super) const PAGE_BYTES: usize = 4096;
/// Bytes of an anchor file.
pub(super) const ANCHOR_BYTES: usize = 3 * PAGE_BYTES;

pub(super) const DISCARD: &str =
    "try open_after_loss for what is left, then discard the store and sync again";

/// A damage that the caller can only answer by salvage or by starting anew.
pub(super) fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError::Corrupt { what: what.into(), remedy: DISCARD }
}

/// Who can act on a failed call to the file system.
pub(super) fn unusable(error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreError::Full,
        ErrorKind::PermissionDenied => {
            StoreError::Unavailable("no permission to read or write it".to_owned())
        }
        ErrorKind::ReadOnlyFilesystem => StoreError::Unavailable("the file system is read-only".to_owned()),
        kind => StoreError::Unavailable(format!("the file system failed: {kind}")),
    }
}

/// All live values in three numbers: how many, the sum of their tags modulo 2^128, and the bytes of keys
/// and sealed values. A value that is missing, stale or doubled changes the sum; forging one takes the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    sum: u128,
    pub(super) bytes: u64,
}
impl Tally {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(sealed::tag(value));
        self.bytes = self.bytes.wrapping_add((key.len() + value.len()) as u64);
    }
    pub(super) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(sealed::tag(value));
        self.bytes = self.bytes.wrapping_sub((key.len() + value.len()) as u64);
    }
    /// Whether both are of the same values; a record of layout 1 does not know their bytes.
    pub(super) fn same_values(&self, other: &Self) -> bool {
        self.count == other.count && self.sum == other.sum
    }
}

/// Where a store stands after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommitRecord {
    /// Commits so far; 0 for a store that is just made.
    pub(super) sequence: u64,
    /// The running hash before this commit.
    pub(super) previous: [u8; 32],
    /// The running hash after it.
    pub(super) hash: [u8; 32],
    /// The live values after it.
    pub(super) tally: Tally,
}
impl CommitRecord {
    pub(super) fn genesis() -> Self {
        Self { sequence: 0, previous: [0; 32], hash: [0; 32], tally: Tally::default() }
    }
    /// The record after this one; `writes` are the commit's keys and sealed values in key order.
    pub(super) fn next<'a>(
        &self,
        writes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        tally: Tally,
    ) -> Self {
        let mut hash = Sha256::new_with_prefix(self.hash);
        for (key, value) in writes {
            hash.update((key.len() as u64).to_be_bytes());
            hash.update(key);
            hash.update([u8::from(value.is_some())]);
            hash.update((value.map_or(0, <[u8]>::len) as u64).to_be_bytes());
            hash.update(value.unwrap_or_default());
        }
        Self { sequence: self.sequence + 1, previous: self.hash, hash: hash.finalize().into(), tally }
    }
    /// Whether both stand after the same commit of the same store.
    fn same_point(&self, other: &Self) -> bool {
        self.sequence == other.sequence
            && self.previous == other.previous
            && self.hash == other.hash
            && self.tally.same_values(&other.tally)
    }
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RECORD_BYTES);
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.previous);
        bytes.extend(self.hash);
        bytes.extend(self.tally.count.to_be_bytes());
        bytes.extend(self.tally.sum.to_be_bytes());
        bytes.extend(self.tally.bytes.to_be_bytes());
        bytes
    }
    /// Reads what [`CommitRecord::to_bytes`] or layout 1 wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sequence, rest) = bytes.split_first_chunk()?;
        let (previous, rest) = rest.split_first_chunk()?;
        let (hash, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let bytes = if rest.is_empty() { 0 } else { u64::from_be_bytes(rest.try_into().ok()?) };
        let tally = Tally { count: u64::from_be_bytes(*count), sum: u128::from_be_bytes(*sum), bytes };
        Some(Self { sequence: u64::from_be_bytes(*sequence), previous: *previous, hash: *hash, tally })
    }
}

/// What every layout's anchor begins with: magic, layout, four bytes of checksum over both.
pub(super) fn header(layout: u16) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    let (head, sum) = bytes.split_at_mut(MAGIC.len() + 2);
    head[..MAGIC.len()].copy_from_slice(MAGIC);
    head[MAGIC.len()..].copy_from_slice(&layout.to_be_bytes());
    sum.copy_from_slice(&Sha256::digest(&*head)[..4]);
    bytes
}

/// Whether the data's record and the anchor's belong together.
pub(super) fn judge(anchor: &CommitRecord, found: Option<&CommitRecord>) -> Result<(), StoreError> {
    let Some(found) = found else {
        return Err(StoreError::LostTail { expected: anchor.sequence, found: 0 });
    };
    if found.sequence < anchor.sequence {
        return Err(StoreError::LostTail { expected: anchor.sequence, found: found.sequence });
    }
    if found.same_point(anchor) || (found.sequence == anchor.sequence + 1 && found.previous == anchor.hash) {
        return Ok(());
    }
    Err(corrupt("the data and the anchor beside it do not belong together"))
}

/// What the data's files were when the mark was made: cheap to look at again, and enough to know whether
/// opening must read everything. Other files are no damage yet; they only cost the full check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    /// Bytes of sled's log, at least.
    pub(super) log_bytes: u64,
    /// The number in the name of sled's snapshot; `u64::MAX` where there was none.
    pub(super) snapshot: u64,
}

/// What the anchor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// How often the anchor was written: the slot with more of it is the newer one.
    pub(super) writes: u64,
    pub(super) record: CommitRecord,
    /// Which folder holds the data; compaction makes a new one.
    pub(super) generation: u32,
    /// Bytes of sled's segments in it.
    pub(super) segment: u32,
    pub(super) evidence: Evidence,
}
impl Mark {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.writes.to_be_bytes().to_vec();
        bytes.extend(self.record.to_bytes());
        bytes.extend(self.generation.to_be_bytes());
        bytes.extend(self.segment.to_be_bytes());
        bytes.extend(self.evidence.log_bytes.to_be_bytes());
        bytes.extend(self.evidence.snapshot.to_be_bytes());
        bytes
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (writes, rest) = bytes.split_first_chunk()?;
        let (record, rest) = rest.split_first_chunk::<RECORD_BYTES>()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (segment, rest) = rest.split_first_chunk()?;
        let (log_bytes, rest) = rest.split_first_chunk()?;
        let evidence = Evidence {
            log_bytes: u64::from_be_bytes(*log_bytes),
            snapshot: u64::from_be_bytes(rest.try_into().ok()?),
        };
        Some(Self {
            writes: u64::from_be_bytes(*writes),
            record: CommitRecord::from_bytes(record)?,
            generation: u32::from_be_bytes(*generation),
            segment: u32::from_be_bytes(*segment),
            evidence,
        })
    }
    /// The mark as one slot.
    pub(super) fn slot(self, sealer: &mut Sealer) -> Vec<u8> {
        let mut slot = sealer.seal(SEAL_NAME, &self.to_bytes());
        slot.resize(PAGE_BYTES, 0);
        slot
    }
    fn in_slot(slot: &[u8], sealer: &Sealer) -> Option<Self> {
        sealer.open(SEAL_NAME, slot.get(..MARK_BYTES + OVERHEAD)?).and_then(|bytes| Self::from_bytes(&bytes))
    }
    /// A whole anchor file with this mark in both slots.
    pub(super) fn file(self, layout: u16, sealer: &mut Sealer) -> Vec<u8> {
        let mut bytes = header(layout).to_vec();
        bytes.resize(PAGE_BYTES, 0);
        bytes.extend(self.slot(sealer));
        bytes.extend(self.slot(sealer));
        bytes
    }
}

/// What the anchor file says.
pub(super) enum Anchor {
    Missing,
    /// It is not an anchor, or does not open under the key.
    Unreadable,
    /// An anchor of layout 1: a record and nothing else.
    First(CommitRecord),
    /// The newest mark, the slot it stands in, and whether the other one reads too.
    Mark {
        mark: Mark,
        slot: usize,
        both: bool,
    },
}
impl Anchor {
    /// Reads an anchor file; a newer layout is told before anything else is looked at.
    pub(super) fn read(bytes: &[u8], known: u16, sealer: &Sealer) -> Result<Self, StoreError> {
        let Some((found, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(Self::Unreadable);
        };
        let layout = u16::from_be_bytes([found[MAGIC.len()], found[MAGIC.len() + 1]]);
        if *found != header(layout) {
            return Ok(Self::Unreadable);
        }
        if layout > known {
            return Err(StoreError::NewerLayout { found: layout, known });
        }
        if layout == 1 {
            // Its later form also named the length of the data.
            let record = sealer.open(SEAL_NAME, rest);
            let record = record.and_then(|b| CommitRecord::from_bytes(b.get(..FIRST_RECORD_BYTES)?));
            return Ok(record.map_or(Self::Unreadable, Self::First));
        }
        let slot = |n: usize| {
            let from = (n + 1) * PAGE_BYTES;
            Mark::in_slot(bytes.get(from..).unwrap_or_default(), sealer)
        };
        Ok(match (slot(0), slot(1)) {
            (Some(a), Some(b)) if b.writes > a.writes => Self::Mark { mark: b, slot: 1, both: true },
            (Some(mark), other) => Self::Mark { mark, slot: 0, both: other.is_some() },
            (None, Some(mark)) => Self::Mark { mark, slot: 1, both: false },
            (None, None) => Self::Unreadable,
        })
    }
    /// The record it names, or what is wrong with it.
    pub(super) fn record(&self) -> Result<&CommitRecord, StoreError> {
        match self {
            Self::Missing => Err(corrupt("the anchor file is missing")),
            Self::Unreadable => Err(corrupt("the anchor file cannot be read")),
            Self::First(record) | Self::Mark { mark: Mark { record, .. }, .. } => Ok(record),
        }
    }
}

#[cfg(test)]
impl CommitRecord {
    /// As layout 1 wrote it.
    pub(super) fn first_layout(self) -> Vec<u8> {
        self.to_bytes()[..FIRST_RECORD_BYTES].to_vec()
    }
}
/// The anchor file of layout 1.
#[cfg(test)]
pub(super) fn first_file(record: &[u8], sealer: &mut Sealer) -> Vec<u8> {
    let mut bytes = header(1).to_vec();
    bytes.extend(sealer.seal(SEAL_NAME, record));
    bytes
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng as _;

    use super::*;

    fn record(sequence: u64) -> CommitRecord {
        (0..sequence).fold(CommitRecord::genesis(), |record, n| {
            record.next([(n.to_be_bytes().as_slice(), None)].into_iter(), Tally::default())
        })
    }

    #[test]
    fn a_record_survives_its_bytes_and_no_cut_of_them_is_one() {
        let bytes = record(3).to_bytes();
        assert_eq!(CommitRecord::from_bytes(&bytes), Some(record(3)));
        for len in (0..bytes.len()).filter(|len| *len != FIRST_RECORD_BYTES) {
            assert_eq!(CommitRecord::from_bytes(&bytes[..len]), None);
        }
        let first = CommitRecord::from_bytes(&bytes[..FIRST_RECORD_BYTES]).unwrap();
        assert!(first.same_point(&record(3)), "a record of layout 1 reads too");
    }
    #[test]
    fn a_store_is_whole_when_level_or_one_commit_ahead() {
        assert_eq!(judge(&record(4), Some(&record(4))), Ok(()));
        assert_eq!(judge(&record(4), Some(&record(5))), Ok(()));
        assert_eq!(judge(&record(4), Some(&record(3))), Err(StoreError::LostTail { expected: 4, found: 3 }));
        assert_eq!(judge(&record(4), None), Err(StoreError::LostTail { expected: 4, found: 0 }));
        assert_eq!(judge(&record(4), Some(&record(6))).unwrap_err().code(), "store_corrupt");
        let other = CommitRecord { hash: [9; 32], ..record(4) };
        assert_eq!(judge(&record(4), Some(&other)).unwrap_err().code(), "store_corrupt");
    }
    #[test]
    fn the_newer_slot_counts_and_a_torn_one_leaves_the_other() {
        let key = crate::store::StoreKey::from_bytes([1; 32]);
        let mut sealer = Sealer::new(&key, rand_chacha::ChaCha20Rng::seed_from_u64(1));
        let evidence = Evidence { log_bytes: 9, snapshot: u64::MAX };
        let mark = |n| Mark { writes: n, record: record(n), generation: 3, segment: 4096, evidence };
        let mut file = mark(4).file(2, &mut sealer);
        assert_eq!(file.len(), ANCHOR_BYTES);
        file[2 * PAGE_BYTES..].copy_from_slice(&mark(5).slot(&mut sealer));
        let read = |file: &[u8]| match Anchor::read(file, 2, &sealer).unwrap() {
            Anchor::Mark { mark, slot, both } => (mark.record.sequence, slot, both, mark.evidence),
            _ => panic!("no mark"),
        };
        assert_eq!(read(&file), (5, 1, true, evidence));
        let mut torn = file.clone();
        torn[2 * PAGE_BYTES + 60] ^= 1;
        assert_eq!(read(&torn), (4, 0, false, evidence));
        file[PAGE_BYTES..2 * PAGE_BYTES].fill(0);
        assert_eq!(read(&file), (5, 1, false, evidence));
        file[2 * PAGE_BYTES..].fill(0);
        assert!(matches!(Anchor::read(&file, 2, &sealer), Ok(Anchor::Unreadable)));
    }
    #[test]
    fn a_tally_ends_where_it_began_when_all_is_removed() {
        let mut tally = Tally::default();
        tally.add(b"a", &[1; 50]);
        tally.add(b"bc", &[2; 50]);
        tally.remove(b"a", &[1; 50]);
        assert_eq!((tally.count, tally.bytes), (1, 52));
        tally.remove(b"bc", &[2; 50]);
        assert_eq!(tally, Tally::default());
    }
    #[test]
    fn each_failure_of_the_file_system_is_told_by_who_can_act() {
        for (kind, code) in [
            (ErrorKind::StorageFull, "store_full"),
            (ErrorKind::QuotaExceeded, "store_full"),
            (ErrorKind::ReadOnlyFilesystem, "store_unavailable"),
            (ErrorKind::PermissionDenied, "store_unavailable"),
        ] {
            assert_eq!(unusable(&io::Error::from(kind)).code(), code);
        }
    }
}
