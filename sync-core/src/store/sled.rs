//! The store on a phone and below the relay's log: sled 0.34 with every value sealed, an anchor beside it.
//!
//! In and out: as [`DeviceStore`]; opening takes a folder that is the store's own, the [`StoreKey`] and
//! a source of randomness. All tables share one tree (table number ‖ key), so sled's batch is atomic
//! over all of them. Keys stand in the clear: ids and hashes only.
//!
//! Where damage is found (more in ADR 0007):
//! - at opening: another key or layout, files that are missing, a lost tail (anchor and commit record), and
//!   whatever does not match its checksum in what sled replays since its last opening (`tail`). Where the
//!   files are not what the anchor says they were, where a replayed part is not plainly whole, or an audit
//!   or a read found damage before, opening reads every value and compares the tally with the record;
//! - at the first read: a damaged page that was written before the last opening (sled's checksum), a value
//!   that is not under its own key (the seal);
//! - by the audit ([`DeviceStore::audit_step`]): values that are missing or stale although every checksum
//!   fits, as when a disk lost single writes or an older part of a file was put back.
//!
//! Invariants, on top of the trait's:
//! - a commit writes its [`CommitRecord`] with the data, syncs the data, then the anchor, then returns;
//! - compaction writes a new folder of data beside the old one, and the anchor switches between them;
//! - a kill at any moment leaves nothing that a later opening takes for the store and that is not.
//!
//! Deliberately not here: repair, and compaction of documents. A store that lost something opens with
//! [`SledStore::open_after_loss`] only, a decision of the caller.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use rand_core::CryptoRng;

use super::anchor::{self, Anchor, CommitRecord, Mark, corrupt, unusable};
use super::audit::{self, Audit, Audited};
use super::compact::{Compaction, Stage, Work, joined};
use super::files::{Data, OWN, SEGMENT_BYTES, contained, segment_in};
use super::folder::Folder;
use super::sealed::Sealer;
use super::tail;
use super::{Batch, DeviceStore, Pairs, StoreError, StoreKey, Table};

/// The layout on disk that this code writes. Layout 1 (an anchor of one record, no bytes in its tally) is
/// read, and written anew when it is opened.
pub const LAYOUT: u16 = 2;

const LAYOUT_KEY: &[u8] = &[OWN, b'l'];
const CHECK_KEY: &[u8] = &[OWN, b'k'];
const RECORD_KEY: &[u8] = &[OWN, b'r'];
const CHECK_WORDS: &[u8] = b"gendan device store";
/// Below this size compaction is not worth its time: sled needs some segments even for nothing.
const WASTE_BYTES_MIN: u64 = 16 * 1024 * 1024;

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
    /// Where the store stands: what the anchor says.
    mark: Mark,
    audit: Mutex<Audit>,
    compaction: Option<Compaction>,
    /// Bytes on disk after the last compaction since opening.
    compacted_bytes: u64,
    /// What an audit found: from then on every call says so.
    damage: OnceLock<String>,
    /// A write failed midway: what memory shows and what is durable may differ.
    broken: bool,
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
    /// now on; values that do not open are removed. The caller tells the person, pushes what is unsent
    /// under a **new epoch** (sequence numbers of lost changes must not be used twice) and syncs again.
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
        let mut folder = Folder::lock(folder)?;
        folder.begin().and_then(|()| folder.finish()).map_err(|e| unusable(&e))
    }

    /// Commits that this store has made durable since it was made or erased.
    pub fn sequence(&self) -> u64 {
        self.mark.record.sequence
    }

    /// Bytes of all keys and sealed values.
    pub fn live_bytes(&self) -> u64 {
        self.mark.record.tally.bytes
    }

    /// Whether the files are so much larger than what they hold that [`SledStore::compact`] is worth it:
    /// more than 2½ times, more than 16 MiB, and a quarter more than after the last compaction since opening.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the folder cannot be read.
    pub fn is_wasteful(&self) -> Result<bool, StoreError> {
        let bytes = self.bytes_on_disk()?;
        let enough = WASTE_BYTES_MIN.max(self.compacted_bytes / 4 * 5);
        Ok(bytes > enough && bytes / 5 > self.live_bytes() / 2)
    }

    /// Writes everything anew into fresh files and removes the old ones. Reads and writes all live data
    /// once, and needs room for it beside what is there; a kill at any moment leaves the store whole. One
    /// that [`SledStore::compact_step`] began is ended.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where not exactly the committed values are there: then nothing is changed, and
    /// every other call says so too. [`StoreError::Full`]: nothing is changed, and the store can be used on.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        while !self.compact_step(usize::MAX)? {
            if let Some(compaction) = &self.compaction {
                compaction.wait();
            }
        }
        Ok(())
    }

    /// Compacts a part: reads and writes up to `values_max` values, and half a megabyte. Everything else may
    /// go on between the steps. True once the store stands in fresh files and the old ones are gone; the
    /// next step would begin anew. False also while a thread has to be waited for.
    ///
    /// # Errors
    /// As [`SledStore::compact`]. What was written until then is given up.
    pub fn compact_step(&mut self, values_max: usize) -> Result<bool, StoreError> {
        self.compact_watched(values_max, &mut |_| {})
    }

    /// [`SledStore::compact`] where it [is worth it](SledStore::is_wasteful) and there is room for it. Says
    /// whether it was done.
    ///
    /// # Errors
    /// As both.
    pub fn compact_if_wasteful(&mut self) -> Result<bool, StoreError> {
        if !self.is_wasteful()? {
            return Ok(false);
        }
        match self.compact() {
            Ok(()) => Ok(true),
            // Room is short, which is no reason to work on less.
            Err(StoreError::Full) if !self.broken => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// [`SledStore::compact_step`], telling each stage when it is durable.
    pub(super) fn compact_watched(
        &mut self,
        values_max: usize,
        at: &mut dyn FnMut(Stage),
    ) -> Result<bool, StoreError> {
        self.data()?;
        let advanced = match self.compaction.take() {
            Some(compaction) => Ok(compaction),
            None => Compaction::begin(&self.folder),
        };
        match advanced.and_then(|compaction| self.advance(compaction, values_max, at)) {
            Ok(Some(compaction)) => {
                self.compaction = Some(compaction);
                Ok(false)
            }
            Ok(None) => {
                self.compacted_bytes = self.bytes_on_disk()?;
                Ok(true)
            }
            Err(error) => {
                if !self.broken {
                    self.folder.sweep().map_err(|e| unusable(&e))?;
                }
                self.known(self.noted(Err(error)))
            }
        }
    }

    /// One step; nothing where it was the last.
    fn advance(
        &mut self,
        mut compaction: Compaction,
        values_max: usize,
        at: &mut dyn FnMut(Stage),
    ) -> Result<Option<Compaction>, StoreError> {
        if compaction.is_waiting() {
            return Ok(Some(compaction));
        }
        match compaction.work.take() {
            None => {}
            Some(Work::Copying(target)) => {
                let over = compaction.copy(self.data()?, &target, values_max)?;
                at(Stage::Drafted);
                if !over {
                    compaction.work = Some(Work::Copying(target));
                    return Ok(Some(compaction));
                }
                compaction.judge(&self.mark.record)?;
                write_own(&target, &self.mark.record, &mut self.sealer)?;
                at(Stage::Written);
                compaction.reopen(target, self.mark.record);
            }
            Some(Work::Opening(thread)) => {
                let fresh = joined(thread)??;
                at(Stage::Opened);
                let old = self.folder.data();
                let data = self.switch(&mut compaction, fresh, at)?;
                compaction.clear(data, old);
            }
            Some(Work::Clearing(thread)) => {
                joined(thread)?.and_then(|()| self.folder.sync()).map_err(|e| unusable(&e))?;
                return Ok(None);
            }
        }
        Ok(Some(compaction))
    }

    /// Goes over to the new data, and gives the old.
    fn switch(
        &mut self,
        compaction: &mut Compaction,
        fresh: Data,
        at: &mut dyn FnMut(Stage),
    ) -> Result<Data, StoreError> {
        compaction.judge(&self.mark.record)?;
        compaction.complete(&fresh, stored_record(&fresh, &self.sealer)?)?;
        write_own(&fresh, &self.mark.record, &mut self.sealer)?;
        let (generation, evidence) = (compaction.generation, fresh.evidence().map_err(|e| unusable(&e))?);
        self.folder.finish_draft(generation).map_err(|e| unusable(&e))?;
        at(Stage::Finished);
        let mark = Mark { generation, segment: SEGMENT_BYTES, evidence, ..self.mark };
        self.broken = true;
        self.mark = self.folder.replace_anchor(LAYOUT, mark, &mut self.sealer).map_err(|e| unusable(&e))?;
        at(Stage::Switched);
        self.broken = false;
        let old = self.data.replace(fresh);
        old.ok_or_else(|| StoreError::Unavailable("it is being erased".to_owned()))
    }

    /// Gives up a compaction, and waits for its threads: they hold files open.
    fn rest(&mut self) {
        if let Some(compaction) = self.compaction.take() {
            compaction.wait();
        }
    }

    /// Remembers damage for as long as the store is open: from then on every call says so.
    fn known<T>(&self, found: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Corrupt { what, .. }) = &found {
            self.damage.get_or_init(|| what.clone());
        }
        found
    }

    fn open_with(path: &Path, mut sealer: Sealer, loss: Loss) -> Result<Self, StoreError> {
        let mut folder = Folder::lock(path)?;
        if folder.is_blank().map_err(|e| unusable(&e))? {
            let (data, mark) = make(&mut folder, &mut sealer)?;
            return Ok(Self::of(data, folder, sealer, mark));
        }
        let anchor = folder.read_anchor(LAYOUT, &sealer)?;
        for name in ["db", "blobs"] {
            if !folder.data().join(name).exists() {
                return Err(corrupt(format!("data/{name} is missing")));
            }
        }
        let segment = match &anchor {
            Anchor::Mark { mark, .. } => mark.segment,
            _ => segment_in(&folder.data()).unwrap_or(SEGMENT_BYTES),
        };
        let quickly = loss == Loss::Refuse && is_plain(&folder, &anchor)?;
        let data = Data::open(&folder.data(), segment)?;
        let record = match (inspect(&data, &sealer, &anchor, quickly), loss) {
            (Ok(record), _) => record,
            (Err(StoreError::LostTail { .. } | StoreError::Corrupt { .. }), Loss::Accept) => {
                salvage(&data, &mut sealer)?
            }
            (Err(error), _) => return Err(error),
        };
        let evidence = data.evidence().map_err(|e| unusable(&e))?;
        let kept = match anchor {
            Anchor::Mark { mark, both, .. } => Some((mark, both)),
            _ => None,
        };
        let writes = kept.map_or(0, |(kept, _)| kept.writes);
        let mut mark = Mark { writes, record, generation: folder.generation(), segment, evidence };
        if matches!(anchor, Anchor::First(_)) {
            write_own(&data, &record, &mut sealer)?;
        }
        if kept != Some((mark, true)) {
            data.sync().map_err(|e| unusable(&e))?;
            mark = folder.write_mark(LAYOUT, mark, &mut sealer).map_err(|e| unusable(&e))?;
        }
        if !quickly {
            folder.settle_doubt().map_err(|e| unusable(&e))?;
        }
        folder.sweep().map_err(|e| unusable(&e))?;
        Ok(Self::of(data, folder, sealer, mark))
    }

    fn of(data: Data, folder: Folder, sealer: Sealer, mark: Mark) -> Self {
        let (audit, damage) = (Mutex::default(), OnceLock::new());
        let (compaction, compacted_bytes, broken) = (None, 0, false);
        Self { data: Some(data), folder, sealer, mark, audit, compaction, compacted_bytes, damage, broken }
    }

    fn data(&self) -> Result<&Data, StoreError> {
        if let Some(what) = self.damage.get() {
            return Err(corrupt(what));
        }
        match &self.data {
            Some(data) if !self.broken => Ok(data),
            _ => Err(StoreError::Unavailable("a write failed before".to_owned())),
        }
    }

    fn unseal(&self, key: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.sealer.open(key, value).ok_or_else(|| corrupt("a value does not open under its key"))
    }

    /// Remembers damage that a read found, so that the next opening reads everything.
    fn noted<T>(&self, found: Result<T, StoreError>) -> Result<T, StoreError> {
        match found {
            Err(StoreError::Corrupt { what, remedy }) => Err(match self.folder.raise_doubt() {
                Ok(()) => StoreError::Corrupt { what, remedy },
                Err(e) => {
                    StoreError::Corrupt { what: format!("{what} (and the disk: {})", e.kind()), remedy }
                }
            }),
            other => other,
        }
    }

    fn pairs(&self, prefix: &[u8], from: Bound<Vec<u8>>, limit: usize) -> Result<Pairs, StoreError> {
        let data = self.data()?;
        let mut range = data.db.range::<Vec<u8>, _>((from, Bound::Unbounded));
        let mut found = Vec::new();
        while found.len() < limit {
            let Some((key, value)) = contained(|| range.next().transpose())? else { break };
            if !key.starts_with(prefix) {
                break;
            }
            found.push((key[1..].to_vec(), self.unseal(&key, &value)?));
        }
        Ok(found)
    }

    fn write(&mut self, writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<Mark, StoreError> {
        let sealer = &mut self.sealer;
        let data =
            self.data.as_ref().ok_or_else(|| StoreError::Unavailable("it is being erased".to_owned()))?;
        let audit = self.audit.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut tally = self.mark.record.tally;
        let mut sealed = BTreeMap::new();
        for (key, value) in writes {
            let old = contained(|| data.db.get(&key))?;
            if let Some(old) = &old {
                tally.remove(&key, old);
            }
            let value = value.map(|plain| sealer.seal(&key, &plain));
            if let Some(new) = &value {
                tally.add(&key, new);
                data.expects(key.len() + new.len());
            }
            audit.follow(&key, old.as_deref(), value.as_deref());
            if let Some(compaction) = &mut self.compaction {
                compaction.follow(&key, old.as_deref(), value.as_deref());
            }
            sealed.insert(key, value);
        }
        let record = self.mark.record.next(sealed.iter().map(|(k, v)| (k.as_slice(), v.as_deref())), tally);
        let mut batch = ::sled::Batch::default();
        batch.insert(RECORD_KEY, sealer.seal(RECORD_KEY, &record.to_bytes()));
        for (key, value) in sealed {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        data.apply(batch)?;
        // A draft that cannot keep up is given up; the commit has not failed, and the next attempt will tell.
        if self.compaction.as_mut().is_some_and(|compaction| compaction.keep_up().is_err()) {
            self.compaction = None;
        }
        let mut mark = Mark { record, ..self.mark };
        mark.evidence.log_bytes = data.log_bytes().map_err(|e| unusable(&e))?;
        self.folder.write_mark(LAYOUT, mark, sealer).map_err(|e| unusable(&e))
    }
}

/// What compaction was about is left as it is: the next opening sweeps it.
impl Drop for SledStore {
    fn drop(&mut self) {
        self.rest();
    }
}

impl DeviceStore for SledStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let data = self.data()?;
        let key = full_key(table, key);
        self.noted(
            contained(|| data.db.get(&key))
                .and_then(|found| found.map(|value| self.unseal(&key, &value)).transpose()),
        )
    }
    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs, StoreError> {
        let prefix = full_key(table, prefix);
        self.noted(self.pairs(&prefix, Bound::Included(prefix.clone()), usize::MAX))
    }
    fn scan_after(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Pairs, StoreError> {
        let prefix = full_key(table, prefix);
        let from = match after.map(|after| full_key(table, after)) {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix.clone()),
        };
        self.noted(self.pairs(&prefix, from, limit))
    }
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.data()?;
        if batch.is_empty() {
            return Ok(());
        }
        let writes = batch.writes.into_iter().map(|w| (full_key(w.table, &w.key), w.value)).collect();
        self.broken = true;
        let written = self.write(writes);
        self.mark = self.noted(written)?;
        self.broken = false;
        Ok(())
    }
    fn erase(&mut self) -> Result<(), StoreError> {
        self.broken = true;
        self.rest();
        self.data = None;
        let (data, mark) = make(&mut self.folder, &mut self.sealer)?;
        (self.data, self.mark) = (Some(data), mark);
        (self.audit, self.damage) = (Mutex::default(), OnceLock::new());
        self.broken = false;
        Ok(())
    }
    fn audit_step(&self, values_max: usize) -> Result<Audited, StoreError> {
        let data = self.data()?;
        let mut audit = self.audit.lock().unwrap_or_else(PoisonError::into_inner);
        self.known(self.noted(audit.step(data, &self.sealer, &self.mark.record, values_max)))
    }
    fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.folder.bytes().map_err(|e| unusable(&e))
    }
}

pub(super) fn full_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(table.number());
    full.extend_from_slice(key);
    full
}

/// A new, empty store over whatever is in the folder.
fn make(folder: &mut Folder, sealer: &mut Sealer) -> Result<(Data, Mark), StoreError> {
    folder.begin().map_err(|e| unusable(&e))?;
    let data = Data::open(&folder.data(), SEGMENT_BYTES)?;
    let record = CommitRecord::genesis();
    write_own(&data, &record, sealer)?;
    let evidence = data.evidence().map_err(|e| unusable(&e))?;
    let mark = Mark { writes: 0, record, generation: 0, segment: SEGMENT_BYTES, evidence };
    let mark = folder.write_mark(LAYOUT, mark, sealer).map_err(|e| unusable(&e))?;
    folder.finish().map_err(|e| unusable(&e))?;
    Ok((data, mark))
}

/// The store's own records, durable.
fn write_own(data: &Data, record: &CommitRecord, sealer: &mut Sealer) -> Result<(), StoreError> {
    let mut batch = ::sled::Batch::default();
    batch.insert(LAYOUT_KEY, &LAYOUT.to_be_bytes());
    batch.insert(CHECK_KEY, sealer.seal(CHECK_KEY, CHECK_WORDS));
    batch.insert(RECORD_KEY, sealer.seal(RECORD_KEY, &record.to_bytes()));
    data.apply(batch)
}

/// Whether the files are what the anchor says they were, and whole in what sled will replay.
pub(super) fn is_plain(folder: &Folder, anchor: &Anchor) -> Result<bool, StoreError> {
    let Anchor::Mark { mark, both: true, .. } = anchor else { return Ok(false) };
    if folder.is_doubted() {
        return Ok(false);
    }
    let look = || {
        let (data, kept) = (folder.data(), mark.evidence);
        Ok(fs::metadata(data.join("db"))?.len() >= kept.log_bytes
            && tail::snapshot(&data)? == kept.snapshot
            && tail::is_whole(&data, kept.snapshot, mark.segment as usize)?)
    };
    look().map_err(|e| unusable(&e))
}

/// The record of the last commit, as the data has it.
fn stored_record(data: &Data, sealer: &Sealer) -> Result<Option<CommitRecord>, StoreError> {
    let Some(bytes) = contained(|| data.db.get(RECORD_KEY))? else { return Ok(None) };
    let record = sealer.open(RECORD_KEY, &bytes).and_then(|b| CommitRecord::from_bytes(&b));
    record.map(Some).ok_or_else(|| corrupt("the record of the last commit cannot be read"))
}

/// Where the data stands, if it is whole; `quickly` leaves the values unread.
fn inspect(data: &Data, sealer: &Sealer, anchor: &Anchor, quickly: bool) -> Result<CommitRecord, StoreError> {
    let own = |key| contained(|| data.db.get(key));
    if let Some(layout) = own(LAYOUT_KEY)? {
        let layout = layout.as_ref().try_into().map(u16::from_be_bytes);
        let found = layout.map_err(|_| corrupt("the layout's number cannot be read"))?;
        if found > LAYOUT {
            return Err(StoreError::NewerLayout { found, known: LAYOUT });
        }
    }
    let check = own(CHECK_KEY)?;
    let opens = check.map(|check| sealer.open(CHECK_KEY, &check).is_some_and(|words| words == CHECK_WORDS));
    match (opens, anchor.record()) {
        (Some(false), Ok(_)) => return Err(corrupt("the key's check record is damaged")),
        (Some(false), Err(_)) => return Err(StoreError::WrongKey),
        _ => {}
    }
    let anchored = anchor.record()?;
    let found = stored_record(data, sealer)?;
    anchor::judge(anchored, found.as_ref())?;
    let found = found.ok_or_else(|| corrupt("the record of the last commit is missing"))?;
    if quickly {
        return Ok(found);
    }
    Ok(CommitRecord { tally: audit::whole(data, sealer, &found)?, ..found })
}

/// Takes what is readable as the state from now on.
fn salvage(data: &Data, sealer: &mut Sealer) -> Result<CommitRecord, StoreError> {
    let last = contained(|| data.db.get(RECORD_KEY))?
        .and_then(|bytes| sealer.open(RECORD_KEY, &bytes))
        .and_then(|bytes| CommitRecord::from_bytes(&bytes))
        .unwrap_or_else(CommitRecord::genesis);
    let record = CommitRecord { tally: audit::salvage(data, sealer)?, ..last };
    write_own(data, &record, sealer)?;
    Ok(record)
}

#[cfg(test)]
impl SledStore {
    /// Changes the data behind the store's back; its files then look as the anchor says.
    pub(super) fn meddle(&mut self, work: impl FnOnce(&::sled::Db)) {
        work(&self.data.as_ref().unwrap().db);
    }
}

/// Makes the store in a folder one of layout 1.
#[cfg(test)]
pub(super) fn age(path: &Path, key: &StoreKey) {
    use rand_core::SeedableRng as _;
    let mut sealer = Sealer::new(key, rand_chacha::ChaCha20Rng::seed_from_u64(77));
    let folder = Folder::lock(path).unwrap();
    let data = Data::open(&folder.data(), SEGMENT_BYTES).unwrap();
    let record = stored_record(&data, &sealer).unwrap().unwrap();
    write_own(&data, &record, &mut sealer).unwrap();
    let first = record.first_layout();
    let mut batch = ::sled::Batch::default();
    batch.insert(LAYOUT_KEY, &1u16.to_be_bytes());
    batch.insert(RECORD_KEY, sealer.seal(RECORD_KEY, &first));
    data.apply(batch).unwrap();
    fs::write(path.join("anchor"), anchor::first_file(&first, &mut sealer)).unwrap();
}
