//! The anchor: a small file beside the data that knows the newest durable commit, so that a store
//! which lost its tail cannot pass for a whole one.
//!
//! In: the [`CommitRecord`] that stands in the data after each commit. Out: whether data and anchor
//! belong together ([`judge`]). A record holds the commit's number, a running SHA-256 over every sealed
//! write so far (chained by the hash before it), and a [`Tally`] of all live values.
//!
//! Invariants: the data is durable before the anchor names it, and the anchor is durable before the
//! commit returns; so an honest store is level with its anchor or ahead of it by exactly one commit.
//! The file is replaced by rename: it is always the old one or the new one. Its content is sealed.
//!
//! [`Folder`] owns the files' names, the lock against a second process, and the marker that stands
//! while a store is being made or erased: what lies there then was never promised to anyone.
//!
//! Deliberately not here: the data itself. Where data *and* anchor are replaced by older copies that
//! belong together, nothing on the device can tell; the relay's digest does.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::StoreError;
use super::sealed::{self, Sealer};

const MAGIC: &[u8; 13] = b"gendan-anchor";
const HEADER_BYTES: usize = MAGIC.len() + 2 + 4;
const SEAL_NAME: &[u8] = b"\xffanchor";
const RECORD_BYTES: usize = 8 + 32 + 32 + 8 + 16;
/// No honest anchor is larger; more is not read.
const ANCHOR_BYTES_MAX: u64 = 4096;

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

/// All live values in two numbers: how many, and the sum of their tags modulo 2^128. A value that is
/// missing, stale or doubled changes the sum; forging one takes the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    sum: u128,
}
impl Tally {
    pub(super) fn add(&mut self, value: &[u8]) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(sealed::tag(value));
    }
    pub(super) fn remove(&mut self, value: &[u8]) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(sealed::tag(value));
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
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RECORD_BYTES);
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.previous);
        bytes.extend(self.hash);
        bytes.extend(self.tally.count.to_be_bytes());
        bytes.extend(self.tally.sum.to_be_bytes());
        bytes
    }
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sequence, rest) = bytes.split_first_chunk()?;
        let (previous, rest) = rest.split_first_chunk()?;
        let (hash, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let tally =
            Tally { count: u64::from_be_bytes(*count), sum: u128::from_be_bytes(rest.try_into().ok()?) };
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
    if found == anchor || (found.sequence == anchor.sequence + 1 && found.previous == anchor.hash) {
        return Ok(());
    }
    Err(corrupt("the data and the anchor beside it do not belong together"))
}

/// What the anchor file says.
pub(super) enum Anchor {
    Missing,
    /// It is not an anchor, or does not open under the key.
    Unreadable,
    /// The newest durable commit, and how long the data's file was after it (0 where it does not say).
    Record(CommitRecord, u64),
}

/// One store's folder, locked against a second process for as long as this lives.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(|e| unusable(&e))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(|e| unusable(&e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy),
            // A platform without file locks: there the app's sandbox keeps other processes out.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(unusable(&e)),
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }
    /// The folder of the data.
    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }
    fn anchor(&self) -> PathBuf {
        self.path.join("anchor")
    }
    fn marker(&self) -> PathBuf {
        self.path.join("unfinished")
    }
    fn sync(&self) -> io::Result<()> {
        sync_dir(&self.path)
    }
    /// Whether no store was ever finished here.
    pub(super) fn is_blank(&self) -> bool {
        self.marker().exists() || !(self.data().exists() || self.anchor().exists())
    }
    /// Removes whatever is here; until [`Folder::finish`] the folder counts as blank, even after a crash.
    pub(super) fn begin(&self) -> io::Result<()> {
        File::create(self.marker())?.sync_all()?;
        self.sync()?;
        for file in [self.anchor(), self.path.join("anchor.new")] {
            absent_is_fine(fs::remove_file(file))?;
        }
        absent_is_fine(fs::remove_dir_all(self.data()))?;
        self.sync()
    }
    /// The end of what [`Folder::begin`] began.
    pub(super) fn finish(&self) -> io::Result<()> {
        fs::remove_file(self.marker())?;
        self.sync()
    }
    /// Replaces the anchor, durably.
    pub(super) fn write_anchor(
        &self,
        layout: u16,
        record: &CommitRecord,
        data_bytes: u64,
        sealer: &mut Sealer,
    ) -> io::Result<()> {
        let new = self.path.join("anchor.new");
        let mut file = File::create(&new)?;
        let mut bytes = header(layout).to_vec();
        let mut said = record.to_bytes();
        said.extend(data_bytes.to_be_bytes());
        bytes.extend(sealer.seal(SEAL_NAME, &said));
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(new, self.anchor())?;
        self.sync()
    }
    /// Reads the anchor; a newer layout is told before anything else is looked at.
    pub(super) fn read_anchor(&self, known: u16, sealer: &Sealer) -> Result<Anchor, StoreError> {
        match fs::metadata(self.anchor()) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Anchor::Missing),
            Err(e) => return Err(unusable(&e)),
            Ok(meta) if meta.len() > ANCHOR_BYTES_MAX => return Ok(Anchor::Unreadable),
            Ok(_) => {}
        }
        let bytes = fs::read(self.anchor()).map_err(|e| unusable(&e))?;
        let Some((found, sealed)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(Anchor::Unreadable);
        };
        let layout = u16::from_be_bytes([found[MAGIC.len()], found[MAGIC.len() + 1]]);
        if *found != header(layout) {
            return Ok(Anchor::Unreadable);
        }
        if layout > known {
            return Err(StoreError::NewerLayout { found: layout, known });
        }
        let said = sealer.open(SEAL_NAME, sealed).and_then(|said| {
            let (record, data_bytes) = said.split_at_checked(RECORD_BYTES)?;
            // The first anchors said nothing of lengths.
            let data_bytes = if data_bytes.is_empty() { [0; 8] } else { data_bytes.try_into().ok()? };
            Some(Anchor::Record(CommitRecord::from_bytes(record)?, u64::from_be_bytes(data_bytes)))
        });
        Ok(said.unwrap_or(Anchor::Unreadable))
    }
    /// Bytes of all files.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        bytes_below(&self.path)
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    // Windows has no handle on a folder that could be synced, and needs none.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn bytes_below(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // A file may go while we look: the store compacts itself.
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes += bytes_below(&entry.path())?,
            Ok(meta) => bytes += meta.len(),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
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
        for len in 0..bytes.len() {
            assert_eq!(CommitRecord::from_bytes(&bytes[..len]), None);
        }
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
    fn a_tally_ends_where_it_began_when_all_is_removed() {
        let mut tally = Tally::default();
        tally.add(&[1; 50]);
        tally.add(&[2; 50]);
        tally.remove(&[1; 50]);
        assert_ne!(tally, Tally::default());
        tally.remove(&[2; 50]);
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
