//! The store on a phone: sled 0.34 with every value sealed, and an anchor beside it.
//!
//! In and out: as [`DeviceStore`]; opening takes a folder that is the store's own, the [`StoreKey`] and
//! a source of randomness. All tables share one tree (table number ‖ key), so sled's batch is atomic
//! over all of them. Keys stand in the clear: ids and hashes only.
//!
//! Invariants, on top of the trait's:
//! - a commit writes its [`CommitRecord`] with the data, syncs the data, then the anchor, then returns;
//! - opening compares record and anchor, and the length of sled's file with what the anchor remembers;
//!   where that is shorter it also compares the tally of all values with the record. It succeeds with the
//!   newest durable commit, or says what is wrong;
//! - a page that is damaged in the middle is told by its checksum at the first read, a value by its seal,
//!   and whatever is missing by [`DeviceStore::audit_step`], which reads all of it in slices (ADR 0007);
//! - what sled makes durable on Linux is less than it says: `flush` uses `sync_file_range`, which
//!   leaves the disk's own cache out, and large values stand in files that it never syncs. So both are
//!   synced here;
//! - sled panics over some damaged files. Each call into it is contained, so the build must keep
//!   `panic = "unwind"`.
//!
//! Deliberately not here: repair, and compaction of documents. A store that lost something opens with
//! [`SledStore::open_after_loss`] only, a decision of the caller.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand_core::CryptoRng;

use super::anchor::{self, Anchor, CommitRecord, Folder, Tally, corrupt, unusable};
use super::sealed::Sealer;
use super::{Batch, DeviceStore, Pairs, StoreError, StoreKey, Table};

/// The layout on disk that this code writes.
pub const LAYOUT: u16 = 1;

/// Keys that begin with this byte are the store's own; no table has this number.
const OWN: u8 = 0xff;
const LAYOUT_KEY: &[u8] = &[OWN, b'l'];
const CHECK_KEY: &[u8] = &[OWN, b'k'];
const RECORD_KEY: &[u8] = &[OWN, b'r'];
const CHECK_WORDS: &[u8] = b"gendan device store";
/// Bytes of pages that sled keeps in memory.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of one segment of sled's log: what it reads, writes and reclaims at once. Larger values stand
/// in files of their own.
const SEGMENT_BYTES: usize = 512 * 1024;
/// How often to look again, a millisecond apart, while sled's threads let go of a store just closed.
const RELEASE_TRIES: u32 = 500;

/// What opening does about a store that lost commits.
#[derive(Clone, Copy, PartialEq)]
enum Loss {
    Refuse,
    Accept,
}

/// A device's store in a folder. See the module for what it promises.
pub struct SledStore {
    data: Option<Data>,
    folder: Folder,
    sealer: Sealer,
    record: CommitRecord,
    /// A write failed midway: what memory shows and what is durable may differ.
    broken: bool,
    audit: Option<Audit>,
}

/// How far an audit has come: the last key it has seen, and the tally up to there.
struct Audit {
    after: Vec<u8>,
    tally: Tally,
}

impl SledStore {
    /// Opens the store in `folder`, or makes it where the folder is empty or absent.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::WrongKey`], [`StoreError::NewerLayout`]; where files are
    /// damaged, gone or older than the anchor, [`StoreError::Corrupt`] or [`StoreError::LostTail`]: then
    /// nothing on disk has been changed by us.
    pub fn open(
        folder: &Path,
        key: &StoreKey,
        rng: impl CryptoRng + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        Self::open_with(folder, Sealer::new(key, rng), Loss::Refuse)
    }

    /// Opens what is left of a store that [`SledStore::open`] refused, and takes that as its state from
    /// now on. The caller tells the person, pushes what is unsent under a **new epoch** (sequence
    /// numbers of lost changes must not be used twice) and syncs again.
    ///
    /// # Errors
    /// As [`SledStore::open`] where nothing can be read at all; then only [`SledStore::discard`] helps.
    pub fn open_after_loss(
        folder: &Path,
        key: &StoreKey,
        rng: impl CryptoRng + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        Self::open_with(folder, Sealer::new(key, rng), Loss::Accept)
    }

    /// Removes the store in `folder`, whatever state it is in and without its key.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while it is open, else [`StoreError::Unavailable`].
    pub fn discard(folder: &Path) -> Result<(), StoreError> {
        let folder = Folder::lock(folder)?;
        folder.begin().and_then(|()| folder.finish()).map_err(|e| unusable(&e))
    }

    /// Commits that this store has made durable since it was made or erased.
    pub fn sequence(&self) -> u64 {
        self.record.sequence
    }

    fn open_with(path: &Path, mut sealer: Sealer, loss: Loss) -> Result<Self, StoreError> {
        let folder = Folder::lock(path)?;
        if folder.is_blank() {
            let (data, record) = make(&folder, &mut sealer)?;
            return Ok(Self { data: Some(data), folder, sealer, record, broken: false, audit: None });
        }
        let anchor = folder.read_anchor(LAYOUT, &sealer)?;
        for name in ["db", "blobs"] {
            if !folder.data().join(name).exists() {
                return Err(corrupt(format!("data/{name} is missing")));
            }
        }
        let data = Data::open(&folder)?;
        let record = match (inspect(&data, &sealer, &anchor), loss) {
            (Ok(record), _) => record,
            (Err(StoreError::LostTail { .. } | StoreError::Corrupt { .. }), Loss::Accept) => {
                salvage(&data, &mut sealer)?
            }
            (Err(error), _) => return Err(error),
        };
        if !matches!(anchor, Anchor::Record(anchored, length) if anchored == record && length > 0) {
            data.sync().map_err(|e| unusable(&e))?;
            folder.write_anchor(LAYOUT, &record, data.bytes()?, &mut sealer).map_err(|e| unusable(&e))?;
        }
        Ok(Self { data: Some(data), folder, sealer, record, broken: false, audit: None })
    }

    fn data(&self) -> Result<&Data, StoreError> {
        match &self.data {
            Some(data) if !self.broken => Ok(data),
            _ => Err(StoreError::Unavailable("a write failed before".to_owned())),
        }
    }

    fn unseal(&self, key: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.sealer.open(key, value).ok_or_else(|| corrupt("a value does not open under its key"))
    }

    fn write(&mut self, writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<CommitRecord, StoreError> {
        let sealer = &mut self.sealer;
        let data =
            self.data.as_ref().ok_or_else(|| StoreError::Unavailable("it is being erased".to_owned()))?;
        let mut tally = self.record.tally;
        let audit = &mut self.audit;
        let mut sealed = BTreeMap::new();
        for (key, value) in writes {
            // What an audit has passed already moves under it.
            let mut passed = audit.as_mut().filter(|audit| key <= audit.after).map(|audit| &mut audit.tally);
            if let Some(old) = contained(|| data.db.get(&key))? {
                tally.remove(&old);
                if let Some(passed) = &mut passed {
                    passed.remove(&old);
                }
            }
            let value = value.map(|plain| sealer.seal(&key, &plain));
            if let Some(new) = &value {
                tally.add(new);
                if let Some(passed) = &mut passed {
                    passed.add(new);
                }
            }
            sealed.insert(key, value);
        }
        let record = self.record.next(sealed.iter().map(|(k, v)| (k.as_slice(), v.as_deref())), tally);
        let mut batch = ::sled::Batch::default();
        batch.insert(RECORD_KEY, sealer.seal(RECORD_KEY, &record.to_bytes()));
        for (key, value) in sealed {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        contained(|| {
            data.db.apply_batch(batch)?;
            data.db.flush()
        })?;
        data.sync().map_err(|e| unusable(&e))?;
        self.folder.write_anchor(LAYOUT, &record, data.bytes()?, sealer).map_err(|e| unusable(&e))?;
        Ok(record)
    }
}

impl DeviceStore for SledStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let data = self.data()?;
        let key = full_key(table, key);
        let found = contained(|| data.db.get(&key))?;
        found.map(|value| self.unseal(&key, &value)).transpose()
    }
    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs, StoreError> {
        let data = self.data()?;
        let prefix = full_key(table, prefix);
        let found = contained(|| data.db.scan_prefix(&prefix).collect::<Result<Vec<_>, _>>())?;
        found.into_iter().map(|(key, value)| Ok((key[1..].to_vec(), self.unseal(&key, &value)?))).collect()
    }
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.data()?;
        if batch.is_empty() {
            return Ok(());
        }
        let writes = batch.writes.into_iter().map(|w| (full_key(w.table, &w.key), w.value)).collect();
        self.broken = true;
        self.record = self.write(writes)?;
        self.broken = false;
        Ok(())
    }
    fn erase(&mut self) -> Result<(), StoreError> {
        self.broken = true;
        self.audit = None;
        self.data = None;
        let (data, record) = make(&self.folder, &mut self.sealer)?;
        self.data = Some(data);
        self.record = record;
        self.broken = false;
        Ok(())
    }
    fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.folder.bytes().map_err(|e| unusable(&e))
    }
    fn audit_step(&mut self, max: usize) -> Result<bool, StoreError> {
        let mut audit =
            self.audit.take().unwrap_or_else(|| Audit { after: Vec::new(), tally: Tally::default() });
        let data = self.data()?;
        let seen = contained(|| {
            let mut seen = 0;
            let from = (Bound::Excluded(audit.after.clone()), Bound::Excluded(vec![OWN]));
            for pair in data.db.range::<Vec<u8>, _>(from).take(max) {
                let (key, value) = pair?;
                audit.tally.add(&value);
                audit.after = key.to_vec();
                seen += 1;
            }
            Ok(seen)
        })?;
        if seen == max {
            self.audit = Some(audit);
            return Ok(false);
        }
        complete(audit.tally, &self.record)?;
        Ok(true)
    }
}

/// Whether a tally is what the last commit says it should be.
fn complete(tally: Tally, record: &CommitRecord) -> Result<(), StoreError> {
    if tally == record.tally {
        return Ok(());
    }
    let (here, due) = (tally.count, record.tally.count);
    Err(corrupt(format!("values are missing or stale: {here} found, {due} committed")))
}

fn full_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(table.number());
    full.extend_from_slice(key);
    full
}

/// A new, empty store over whatever is in the folder.
fn make(folder: &Folder, sealer: &mut Sealer) -> Result<(Data, CommitRecord), StoreError> {
    folder.begin().map_err(|e| unusable(&e))?;
    let data = Data::open(folder)?;
    let record = CommitRecord::genesis();
    data.write_own(&record, sealer)?;
    folder.write_anchor(LAYOUT, &record, data.bytes()?, sealer).map_err(|e| unusable(&e))?;
    folder.finish().map_err(|e| unusable(&e))?;
    Ok((data, record))
}

/// Where the data stands, if it is whole.
fn inspect(data: &Data, sealer: &Sealer, anchor: &Anchor) -> Result<CommitRecord, StoreError> {
    let own = |key| contained(|| data.db.get(key));
    if let Some(layout) = own(LAYOUT_KEY)? {
        let layout = layout.as_ref().try_into().map(u16::from_be_bytes);
        let found = layout.map_err(|_| corrupt("the layout's number cannot be read"))?;
        if found > LAYOUT {
            return Err(StoreError::NewerLayout { found, known: LAYOUT });
        }
    }
    if let Some(check) = own(CHECK_KEY)? {
        let opens = sealer.open(CHECK_KEY, &check).is_some_and(|words| words == CHECK_WORDS);
        match (opens, anchor) {
            (true, _) => {}
            (false, Anchor::Record(..)) => return Err(corrupt("the key's check record is damaged")),
            (false, _) => return Err(StoreError::WrongKey),
        }
    }
    let (anchored, length) = match anchor {
        Anchor::Record(record, length) => (record, *length),
        Anchor::Missing => return Err(corrupt("the anchor file is missing")),
        Anchor::Unreadable => return Err(corrupt("the anchor file cannot be read")),
    };
    let found = match own(RECORD_KEY)? {
        None => None,
        Some(bytes) => Some(
            sealer
                .open(RECORD_KEY, &bytes)
                .and_then(|b| CommitRecord::from_bytes(&b))
                .ok_or_else(|| corrupt("the record of the last commit cannot be read"))?,
        ),
    };
    anchor::judge(anchored, found.as_ref())?;
    let found = found.ok_or_else(|| corrupt("the record of the last commit is missing"))?;
    // A file as long as it was, whose last commit is the newest that was made durable, has lost no tail.
    // Where it is shorter (sled itself may give back free space), every value is looked for.
    if length == 0 || data.bytes()? < length {
        complete(data.tally()?, &found)?;
    }
    Ok(found)
}

/// Takes what is readable as the state from now on.
fn salvage(data: &Data, sealer: &mut Sealer) -> Result<CommitRecord, StoreError> {
    let last = contained(|| data.db.get(RECORD_KEY))?
        .and_then(|bytes| sealer.open(RECORD_KEY, &bytes))
        .and_then(|bytes| CommitRecord::from_bytes(&bytes))
        .unwrap_or_else(CommitRecord::genesis);
    let record = CommitRecord { tally: data.tally()?, ..last };
    data.write_own(&record, sealer)?;
    Ok(record)
}

/// Calls sled; a panic of its over damaged files comes out as an error.
fn contained<T>(call: impl FnOnce() -> ::sled::Result<T>) -> Result<T, StoreError> {
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

/// sled and the files under it.
struct Data {
    db: ::sled::Db,
    log: File,
    blobs: std::path::PathBuf,
    /// Blob files known to be durable; sled never writes one twice.
    durable: std::sync::Mutex<BTreeSet<OsString>>,
}

impl Data {
    fn open(folder: &Folder) -> Result<Self, StoreError> {
        let path = folder.data();
        let config = ::sled::Config::new()
            .path(&path)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT_BYTES)
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
        let log = fs::OpenOptions::new().write(true).open(path.join("db")).map_err(|e| unusable(&e))?;
        anchor::sync_dir(&path).map_err(|e| unusable(&e))?;
        Ok(Self { db, log, blobs: path.join("blobs"), durable: Default::default() })
    }
    /// The store's own records, durable.
    fn write_own(&self, record: &CommitRecord, sealer: &mut Sealer) -> Result<(), StoreError> {
        let mut batch = ::sled::Batch::default();
        batch.insert(LAYOUT_KEY, &LAYOUT.to_be_bytes());
        batch.insert(CHECK_KEY, sealer.seal(CHECK_KEY, CHECK_WORDS));
        batch.insert(RECORD_KEY, sealer.seal(RECORD_KEY, &record.to_bytes()));
        contained(|| {
            self.db.apply_batch(batch)?;
            self.db.flush()
        })?;
        self.sync().map_err(|e| unusable(&e))
    }
    /// The length of sled's file.
    fn bytes(&self) -> Result<u64, StoreError> {
        self.log.metadata().map(|meta| meta.len()).map_err(|e| unusable(&e))
    }
    /// Brings to the disk what sled wrote to files.
    fn sync(&self) -> io::Result<()> {
        self.log.sync_all()?;
        let mut durable = self.durable.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut present = BTreeSet::new();
        for entry in fs::read_dir(&self.blobs)? {
            let entry = entry?;
            if !durable.contains(&entry.file_name()) {
                match File::open(entry.path()).and_then(|file| file.sync_all()) {
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    result => result?,
                }
            }
            present.insert(entry.file_name());
        }
        if *durable != present {
            anchor::sync_dir(&self.blobs)?;
            *durable = present;
        }
        Ok(())
    }
    /// The tally of every value that is there, own records aside.
    fn tally(&self) -> Result<Tally, StoreError> {
        let mut tally = Tally::default();
        contained(|| {
            for pair in self.db.range::<&[u8], _>(..&[OWN][..]) {
                tally.add(&pair?.1);
            }
            Ok(())
        })?;
        Ok(tally)
    }
}
