//! sled, and the files under it.
//!
//! In: a folder, the size of its segments. Out: an open sled whose calls cannot panic ([`contained`]), and
//! [`Data::sync`], which makes durable what sled only says is: its `flush` uses `sync_file_range`, which
//! leaves the disk's own cache out, and large pages stand in files that it never syncs.
//!
//! The settings, as measured (figures in `docs/performance.md`):
//! - sled writes a page, some 8 to 20 neighbouring values, as one message, and what is larger than a quarter
//!   of a segment into a file of its own. Segments of 2 MB instead of [`SEGMENT_BYTES`] save those files for
//!   values of 8 KB, and make neither commits nor openings quicker, but compacted stores a third larger;
//! - [`CACHE_BYTES`] counts pages as they are on disk, a process needs two to three times that. Below it
//!   comes what [`Data::cool`] is about. Above both, sled keeps some 300 bytes for each page of the store;
//! - `Mode::LowSpace` is the only one that 0.34 does anything with.
//!
//! Invariants: a store keeps the segment size that it was made with; each call into sled is contained, so
//! the build must keep `panic = "unwind"`.
//!
//! Deliberately not here: what is stored.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::StoreError;
use super::anchor::{Evidence, corrupt, unusable};
use super::folder::sync_dir;
use super::tail;

/// Keys that begin with this byte are the store's own; no table has this number.
pub(super) const OWN: u8 = 0xff;
/// Bytes of pages that sled keeps in memory.
pub(super) const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of one segment of sled's log in a new store: what it reads, writes and reclaims at once.
pub(super) const SEGMENT_BYTES: u32 = 512 * 1024;
/// How often to look again, a millisecond apart, while sled's threads let go of a store just closed.
const RELEASE_TRIES: u32 = 500;
/// Values that a long walk reads between two calls of [`Data::cool`].
pub(super) const COOL_EVERY: u64 = 64;
/// Accesses that sled gathers before it looks at the size of a cache.
const ACCESSES_NOTED: usize = 64;
/// A page holds some 20 values at most, and goes to a file of its own above a quarter of a segment: below
/// this part of a segment no value can bring that about.
const SMALL_PART: u32 = 128;
/// sled's own settings file is about 80 bytes.
const SETTINGS_BYTES_MAX: u64 = 4096;

/// Calls sled; a panic of its over damaged files comes out as an error.
pub(super) fn contained<T>(call: impl FnOnce() -> ::sled::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|e| refused(&e)),
        Err(_) => Err(corrupt("the data files do not read")),
    }
}

/// Who can act on sled's error. Its words may hold paths, so they are not passed on.
fn refused(error: &::sled::Error) -> StoreError {
    match error {
        ::sled::Error::Io(e) if is_lock(error) => {
            debug_assert_eq!(e.kind(), ErrorKind::Other);
            StoreError::Busy
        }
        ::sled::Error::Io(e) => match e.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::NotFound => {
                corrupt(format!("a data file does not read: {}", e.kind()))
            }
            _ => unusable(e),
        },
        ::sled::Error::Corruption { .. } => corrupt("a page of the data does not match its checksum"),
        ::sled::Error::Unsupported(_) => corrupt("the data's own settings are not ours"),
        ::sled::Error::ReportableBug(_) | ::sled::Error::CollectionNotFound(_) => {
            corrupt("the data files contradict themselves")
        }
    }
}

fn is_lock(error: &::sled::Error) -> bool {
    matches!(error, ::sled::Error::Io(e) if e.to_string().contains("could not acquire lock"))
}

/// The size of the segments as sled's own settings say it, if they can be read.
pub(super) fn segment_in(data: &Path) -> Option<u32> {
    let mut words = Vec::new();
    File::open(data.join("conf")).ok()?.take(SETTINGS_BYTES_MAX).read_to_end(&mut words).ok()?;
    let words = String::from_utf8_lossy(&words).into_owned();
    let line = words.lines().find_map(|line| line.strip_prefix("segment_size: "))?;
    line.trim().parse().ok()
}

/// sled and the files under it.
pub(super) struct Data {
    pub(super) db: ::sled::Db,
    pub(super) segment: u32,
    path: PathBuf,
    log: File,
    /// Blob files known to be durable; sled never writes one twice.
    durable: Mutex<BTreeSet<OsString>>,
    /// There may be blob files: some are there, or a value was written that is large enough.
    blobs: AtomicBool,
}

impl Data {
    pub(super) fn open(path: &Path, segment: u32) -> Result<Self, StoreError> {
        let config = ::sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            .segment_size(segment as usize)
            .mode(::sled::Mode::LowSpace)
            .flush_every_ms(None);
        // We hold the folder's lock, so sled's can only be held by threads of a store that this process
        // has just closed; they let go within moments.
        let mut tries = 0;
        let db = loop {
            match catch_unwind(AssertUnwindSafe(|| config.open())) {
                Ok(Err(error)) if is_lock(&error) && tries < RELEASE_TRIES => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                Ok(result) => break result.map_err(|e| refused(&e))?,
                Err(_) => return Err(corrupt("the data files do not read")),
            }
        };
        // sled does not sync its settings, and takes an empty file for none.
        File::open(path.join("conf")).and_then(|conf| conf.sync_all()).map_err(|e| unusable(&e))?;
        let log = fs::OpenOptions::new().write(true).open(path.join("db")).map_err(|e| unusable(&e))?;
        sync_dir(path).map_err(|e| unusable(&e))?;
        let blobs = fs::read_dir(path.join("blobs")).map_err(|e| unusable(&e))?.next().is_some();
        let (durable, blobs) = (Mutex::default(), AtomicBool::new(blobs));
        Ok(Self { db, segment, path: path.to_owned(), log, durable, blobs })
    }

    /// Notes a write of a key and a value of `bytes` in all.
    pub(super) fn expects(&self, bytes: usize) {
        if bytes as u64 > u64::from(self.segment / SMALL_PART) {
            self.blobs.store(true, Ordering::Relaxed);
        }
    }
    /// Lets sled put pages out of its cache that a long walk has brought in. It has 256 caches, and looks at
    /// the size of one only at every 64th access to its pages; until then all that was read once stays, some
    /// 16,000 pages. Sixty-four looks at one page make it look there.
    pub(super) fn cool(&self, key: &[u8]) -> Result<(), StoreError> {
        contained(|| {
            for _ in 0..ACCESSES_NOTED {
                self.db.contains_key(key)?;
            }
            Ok(())
        })
    }
    /// Applies a batch and makes it durable.
    pub(super) fn apply(&self, batch: ::sled::Batch) -> Result<(), StoreError> {
        contained(|| {
            self.db.apply_batch(batch)?;
            self.db.flush()
        })?;
        self.sync().map_err(|e| unusable(&e))
    }
    /// Brings to the disk what sled wrote to files.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.log.sync_data()?;
        if !self.blobs.load(Ordering::Relaxed) {
            return Ok(());
        }
        let blobs = self.path.join("blobs");
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let mut present = BTreeSet::new();
        for entry in fs::read_dir(&blobs)? {
            let entry = entry?;
            if !durable.contains(&entry.file_name()) {
                match File::open(entry.path()).and_then(|file| file.sync_all()) {
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    result => result?,
                }
            }
            present.insert(entry.file_name());
        }
        // A name that went needs no sync: what still needs its file would miss it anyway.
        if !present.is_subset(&durable) {
            sync_dir(&blobs)?;
        }
        *durable = present;
        Ok(())
    }
    /// What the files are now.
    pub(super) fn evidence(&self) -> io::Result<Evidence> {
        Ok(Evidence { log_bytes: self.log_bytes()?, snapshot: tail::snapshot(&self.path)? })
    }
    /// Bytes of sled's log.
    pub(super) fn log_bytes(&self) -> io::Result<u64> {
        Ok(self.log.metadata()?.len())
    }
}
