//! The change log over a key-value store with atomic, durable batches: on sled for a relay, in memory
//! for tests and simulations.
//!
//! The store below gives what a log needs most: a batch is whole or absent, durable when it returns,
//! and a lost tail is named at opening. Here are the indexes and the group commit: while one batch is
//! being made durable, those that arrive wait together and go as one. Keys hold ids and hashes only.
//!
//! A row costs its seal on the disk and a place in the store's memory, so rows that rest are put together:
//! the entries of a bucket once it is full, and where a document's changes stand once it is compacted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use sync_core::ids::{ChangeHash, DocId, Position};
use sync_core::store::{Audited, Batch as Writes, DeviceStore, Pairs, Table};
use sync_core::time::UnixMs;

use super::{
    Batch, ChangeLog, Entry, HeldChange, HeldFilter, HeldState, LogError, Logged, Snapshot, StoredDocument,
    Tag,
};

/// Entries that share a key prefix, so that a feed is read by a few scans.
const BUCKET: u64 = 256;
/// Full buckets that one commit puts together at most.
const PACKED_MAX: u64 = 16;
/// Changes of a document whose positions are put together at most: each look at one reads all.
const INDEXED_MAX: usize = 1_000;
/// Bytes of a hash and a position.
const INDEXED_BYTES: usize = 32 + 8;
/// Batches that are made durable together at most.
const GROUP_MAX: usize = 512;
/// Held changes that are read at once while looking for those that fit a filter.
const HELD_PAGE: usize = 256;

const HEAD: &[u8] = b"head";
const EPOCH: &[u8] = b"epoch";
/// The number of buckets whose entries stand in one row each.
const PACKED: &[u8] = b"packed";
const HEADS: &[u8] = b"h/";

#[derive(Encode, Decode)]
#[cbor(map)]
struct StoredEntry {
    #[n(0)]
    at_ms: UnixMs,
    #[n(1)]
    entry: Entry,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct StoredSnapshot {
    #[n(0)]
    upto: Position,
    #[cbor(n(1), with = "minicbor::bytes")]
    bytes: Vec<u8>,
}

/// The log on a store.
pub struct KeptLog<S> {
    store: RwLock<S>,
    epoch: u64,
    head: RwLock<Position>,
    packed: AtomicU64,
    queue: Mutex<Queue>,
    done: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<(u64, Job)>,
    next: u64,
    leading: bool,
    results: std::collections::HashMap<u64, Result<Outcome, LogError>>,
}

/// What is done to the store, one after the other, and made durable together.
enum Job {
    Append(Batch),
    Compact(Vec<Snapshot>),
    Swap(Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>),
}

#[derive(Clone, Copy)]
enum Outcome {
    At(Position),
    Swapped(bool),
}

fn cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing CBOR to memory cannot fail")
}
fn read<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, LogError> {
    minicbor::decode(bytes).map_err(|e| LogError::Corrupt(e.to_string()))
}
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
fn entry_key(position: Position) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&(position.0 / BUCKET).to_be_bytes());
    key[8..].copy_from_slice(&position.0.to_be_bytes());
    key
}
fn key(prefix: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    [prefix, &parts.concat()].concat()
}
/// A row of entries: their positions, and each as it was stored by itself.
type Entries = Vec<(u64, ByteVec)>;

/// The entries of a row, which holds one or a bucket of them.
fn entries_in(key: &[u8], bytes: Vec<u8>) -> Result<Entries, LogError> {
    match key.get(8..) {
        None | Some([]) => read(&bytes),
        Some(position) => Ok(vec![(position_in(position)?.0, bytes.into())]),
    }
}
fn audience_key(doc: DocId) -> Vec<u8> {
    key(b"a/", &[&doc.to_bytes()])
}
fn tag_key(tag: Tag, doc: &[u8]) -> Vec<u8> {
    key(b"t/", &[&tag.to_bytes(), doc])
}
fn record_key(name: &[u8]) -> Vec<u8> {
    key(b"r/", &[name])
}
fn position_in(bytes: &[u8]) -> Result<Position, LogError> {
    let number = bytes.try_into().map(u64::from_be_bytes);
    number.map(Position).map_err(|_| LogError::Corrupt("a position".into()))
}
fn doc_in(bytes: &[u8]) -> Result<DocId, LogError> {
    let bytes: [u8; 17] = bytes.try_into().map_err(|_| LogError::Corrupt("a document id".into()))?;
    DocId::from_bytes(bytes).map_err(|e| LogError::Corrupt(e.to_string()))
}

impl<S: DeviceStore> KeptLog<S> {
    /// Opens the log on a store. An empty one begins with the incarnation `fresh_epoch` (not 0).
    pub fn open(mut store: S, fresh_epoch: u64) -> Result<Self, LogError> {
        let epoch = match store.get(Table::Meta, EPOCH)? {
            Some(bytes) => position_in(&bytes)?.0,
            None => {
                store.commit(Writes::new().put(Table::Meta, EPOCH, fresh_epoch.to_be_bytes()))?;
                fresh_epoch
            }
        };
        let head = store.get(Table::Meta, HEAD)?.map_or(Ok(Position(0)), |bytes| position_in(&bytes))?;
        let packed = store.get(Table::Meta, PACKED)?.map_or(Ok(Position(0)), |bytes| position_in(&bytes))?;
        Ok(Self {
            store: RwLock::new(store),
            epoch,
            head: RwLock::new(head),
            packed: AtomicU64::new(packed.0),
            queue: Mutex::default(),
            done: Condvar::new(),
        })
    }

    /// Makes another incarnation of the store, after a restore or an accepted loss: cursors of devices
    /// say nothing about it.
    pub fn new_epoch(store: &mut S, epoch: u64) -> Result<(), LogError> {
        Ok(store.commit(Writes::new().put(Table::Meta, EPOCH, epoch.to_be_bytes()))?)
    }

    /// Runs `work` on the store while nothing is written to it, such as a backup.
    pub fn while_still<T>(&self, work: impl FnOnce(&S, Position) -> T) -> T {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let head = *self.head.read().unwrap_or_else(PoisonError::into_inner);
        work(&store, head)
    }

    /// Runs `work` on the store while nobody else reads or writes it, such as compaction.
    pub fn while_alone<T>(&self, work: impl FnOnce(&mut S) -> T) -> T {
        work(&mut self.store.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads and checks further values of the store, up to `values_max`; writers wait meanwhile, readers do
    /// not. See [`DeviceStore::audit_step`].
    ///
    /// # Errors
    /// [`LogError::Store`] with what is damaged.
    pub fn audit_step(&self, values_max: usize) -> Result<Audited, LogError> {
        self.reading(|store| Ok(store.audit_step(values_max)?))
    }

    fn reading<T>(&self, read: impl FnOnce(&S) -> Result<T, LogError>) -> Result<T, LogError> {
        read(&self.store.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands a job in and waits until it is durable; one caller at a time does the work of all.
    fn submit(&self, job: Job) -> Result<Outcome, LogError> {
        let mut queue = lock(&self.queue);
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.push((ticket, job));
        loop {
            if let Some(result) = queue.results.remove(&ticket) {
                return result;
            }
            if queue.leading {
                queue = self.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.leading = true;
            let count = queue.waiting.len().min(GROUP_MAX);
            let group: Vec<_> = queue.waiting.drain(..count).collect();
            drop(queue);
            let results = self.commit(group);
            queue = lock(&self.queue);
            queue.results.extend(results);
            queue.leading = false;
            self.done.notify_all();
        }
    }

    fn commit(&self, group: Vec<(u64, Job)>) -> Vec<(u64, Result<Outcome, LogError>)> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let head = *self.head.read().unwrap_or_else(PoisonError::into_inner);
        let mut stage =
            Stage { store: &*store, writes: Writes::new(), head, tags: Vec::new(), swapped: Vec::new() };
        let mut outcomes = Vec::new();
        for (ticket, job) in group {
            outcomes.push((ticket, stage.job(job)));
        }
        let packed = match stage.pack(self.packed.load(Ordering::Relaxed), head) {
            Ok(packed) => packed,
            Err(error) => {
                return outcomes.into_iter().map(|(ticket, _)| (ticket, Err(error.clone()))).collect();
            }
        };
        let (head, writes) = (stage.head, stage.writes.put(Table::Meta, HEAD, stage.head.0.to_be_bytes()));
        if let Err(error) = store.commit(writes) {
            return outcomes.into_iter().map(|(ticket, _)| (ticket, Err(error.clone().into()))).collect();
        }
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head;
        self.packed.store(packed, Ordering::Relaxed);
        outcomes
    }
}

/// The writes of a group as they are gathered, over the store as it was.
struct Stage<'a, S> {
    store: &'a S,
    writes: Writes,
    head: Position,
    /// Audiences that this group has changed, newest last.
    tags: Vec<(DocId, BTreeSet<Tag>)>,
    swapped: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl<S: DeviceStore> Stage<'_, S> {
    fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: Vec<u8>) {
        self.writes = std::mem::take(&mut self.writes).put(table, key, value);
    }
    fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.writes = std::mem::take(&mut self.writes).delete(table, key);
    }

    fn job(&mut self, job: Job) -> Result<Outcome, LogError> {
        match job {
            Job::Append(batch) => {
                for entry in batch.entries {
                    self.entry(entry, batch.at_ms)?;
                }
                if let Some((doc, heads)) = batch.heads {
                    let hashes = heads.iter().flat_map(|head| head.0);
                    let value = self.head.0.to_be_bytes().into_iter().chain(hashes).collect();
                    self.put(Table::Meta, key(HEADS, &[&doc.to_bytes()]), value);
                }
                for held in batch.held {
                    let key = key(&[], &[&held.doc.to_bytes(), &held.hash.0]);
                    self.put(Table::Held, key, cbor(&held));
                }
                for (name, value) in batch.records {
                    self.record(&name, value);
                }
                Ok(Outcome::At(self.head))
            }
            Job::Compact(snapshots) => {
                for snapshot in snapshots {
                    self.compact(snapshot)?;
                }
                Ok(Outcome::At(self.head))
            }
            Job::Swap(name, expected, new) => {
                let earlier = self.swapped.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
                let present = match earlier {
                    Some(value) => value,
                    None => self.store.get(Table::Meta, &record_key(&name))?,
                };
                if present != expected {
                    return Ok(Outcome::Swapped(false));
                }
                self.record(&name, new);
                Ok(Outcome::Swapped(true))
            }
        }
    }

    fn record(&mut self, name: &[u8], value: Option<Vec<u8>>) {
        self.swapped.push((name.to_vec(), value.clone()));
        match value {
            Some(value) => self.put(Table::Meta, record_key(name), value),
            None => self.delete(Table::Meta, record_key(name)),
        }
    }

    fn entry(&mut self, mut entry: Entry, at_ms: UnixMs) -> Result<(), LogError> {
        self.head = Position(self.head.0 + 1);
        let position = self.head;
        if let Entry::Change { doc, hash, bytes, .. } = &mut entry {
            let doc = doc.to_bytes();
            let loose = (*hash, ByteVec::from(bytes.take().unwrap_or_default()));
            self.put(Table::Outbox, key(&[], &[&doc, &position.0.to_be_bytes()]), cbor(&loose));
            self.put(Table::Command, key(&[], &[&doc, &hash.0]), position.0.to_be_bytes().to_vec());
            self.put(Table::Meta, key(b"d/", &[&doc]), position.0.to_be_bytes().to_vec());
        }
        if let Entry::Audience { doc, gained, lost } = &entry {
            self.audience(*doc, gained, lost)?;
        }
        self.put(Table::Change, entry_key(position), cbor(&StoredEntry { at_ms, entry }));
        Ok(())
    }

    fn audience(&mut self, doc: DocId, gained: &[Tag], lost: &[Tag]) -> Result<(), LogError> {
        let staged = self.tags.iter().rev().find(|(d, _)| *d == doc).map(|(_, tags)| tags.clone());
        let mut tags = match staged {
            Some(tags) => tags,
            None => audience_of(self.store, doc)?,
        };
        for tag in gained.iter().filter(|tag| tags.insert(**tag)).copied().collect::<Vec<_>>() {
            self.put(Table::Meta, tag_key(tag, &doc.to_bytes()), Vec::new());
        }
        for tag in lost.iter().filter(|tag| tags.remove(tag)).copied().collect::<Vec<_>>() {
            self.delete(Table::Meta, tag_key(tag, &doc.to_bytes()));
        }
        self.put(Table::Meta, audience_key(doc), cbor(&tags.iter().copied().collect::<Vec<Tag>>()));
        self.tags.push((doc, tags));
        Ok(())
    }

    /// Puts the entries of buckets that are full, and stand in the store, into one row each; how many
    /// buckets do so then.
    fn pack(&mut self, packed: u64, stored: Position) -> Result<u64, LogError> {
        let full = (stored.0 / BUCKET).min(packed + PACKED_MAX);
        for bucket in packed..full {
            let mut entries = Vec::new();
            for (key, bytes) in self.store.scan(Table::Change, &bucket.to_be_bytes())? {
                entries.extend(entries_in(&key, bytes)?);
                self.delete(Table::Change, key);
            }
            self.put(Table::Change, bucket.to_be_bytes(), cbor(&entries));
        }
        if full > packed {
            self.put(Table::Meta, PACKED, full.to_be_bytes().to_vec());
        }
        Ok(full.max(packed))
    }

    /// Puts into one row where the stored changes of a document are.
    fn index(&mut self, doc: [u8; 17]) -> Result<(), LogError> {
        let stored = self.store.scan(Table::Command, &doc)?;
        let mut indexed = BTreeSet::<[u8; INDEXED_BYTES]>::new();
        for (key, bytes) in &stored {
            let hash = &key[doc.len()..];
            if hash.is_empty() {
                indexed.extend(bytes.as_chunks::<INDEXED_BYTES>().0.iter().copied());
            } else {
                let pair = [hash, bytes.as_slice()].concat().try_into();
                indexed.insert(pair.map_err(|_| LogError::Corrupt("where a change stands".into()))?);
            }
        }
        if indexed.len() > INDEXED_MAX {
            return Ok(());
        }
        for (key, _) in stored {
            self.delete(Table::Command, key);
        }
        self.put(Table::Command, doc, indexed.into_iter().flatten().collect());
        Ok(())
    }

    fn compact(&mut self, Snapshot { doc, bytes, upto }: Snapshot) -> Result<(), LogError> {
        for (key, _) in self.store.scan(Table::Outbox, &doc.to_bytes())? {
            if position_in(&key[17..])? <= upto {
                self.delete(Table::Outbox, key);
            }
        }
        self.put(Table::Document, doc.to_bytes(), cbor(&StoredSnapshot { upto, bytes }));
        self.index(doc.to_bytes())
    }
}

fn audience_of<S: DeviceStore>(store: &S, doc: DocId) -> Result<BTreeSet<Tag>, LogError> {
    let stored = store.get(Table::Meta, &audience_key(doc))?;
    let tags: Vec<Tag> = stored.map_or(Ok(Vec::new()), |bytes| read(&bytes))?;
    Ok(tags.into_iter().collect())
}

impl<S: DeviceStore + Sync> ChangeLog for KeptLog<S> {
    fn append(&self, batch: Batch) -> Result<Position, LogError> {
        match self.submit(Job::Append(batch))? {
            Outcome::At(position) => Ok(position),
            Outcome::Swapped(_) => Err(LogError::Corrupt("an answer to another job".into())),
        }
    }
    fn head(&self) -> Position {
        *self.head.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn read(&self, after: Position, limit: usize) -> Result<Vec<Logged>, LogError> {
        let head = self.head();
        let mut logged = Vec::new();
        self.reading(|store| {
            let mut bucket = (after.0 + 1) / BUCKET;
            while logged.len() < limit && bucket <= head.0 / BUCKET {
                let stored = store.scan(Table::Change, &bucket.to_be_bytes())?;
                let entries = stored.into_iter().map(|(key, bytes)| entries_in(&key, bytes));
                for (position, bytes) in entries.collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
                    let position = Position(position);
                    if position <= after || position > head || logged.len() >= limit {
                        continue;
                    }
                    let StoredEntry { at_ms, mut entry } = read(&bytes)?;
                    if let Entry::Change { doc, bytes, .. } = &mut entry {
                        let loose = key_of_loose(*doc, position);
                        if let Some(stored) = store.get(Table::Outbox, &loose)? {
                            let (_, found): (ChangeHash, ByteVec) = read(&stored)?;
                            *bytes = Some(found.into());
                        }
                    }
                    logged.push(Logged { position, at_ms, entry });
                }
                bucket += 1;
            }
            Ok(())
        })?;
        Ok(logged)
    }

    fn position_of(&self, doc: DocId, hash: ChangeHash) -> Result<Option<Position>, LogError> {
        let doc = doc.to_bytes();
        self.reading(|store| {
            if let Some(bytes) = store.get(Table::Command, &key(&doc, &[&hash.0]))? {
                return position_in(&bytes).map(Some);
            }
            let indexed = store.get(Table::Command, &doc)?.unwrap_or_default();
            let indexed = indexed.as_chunks::<INDEXED_BYTES>().0;
            let at = indexed.binary_search_by(|pair| pair[..32].cmp(&hash.0));
            at.ok().map(|at| position_in(&indexed[at][32..])).transpose()
        })
    }

    fn document(&self, doc: DocId) -> Result<Option<StoredDocument>, LogError> {
        self.reading(|store| {
            let Some(last) = store.get(Table::Meta, &key(b"d/", &[&doc.to_bytes()]))? else {
                return Ok(None);
            };
            let snapshot = store.get(Table::Document, &doc.to_bytes())?;
            let snapshot: Option<StoredSnapshot> = snapshot.map(|bytes| read(&bytes)).transpose()?;
            let mut changes = Vec::new();
            for (key, bytes) in store.scan(Table::Outbox, &doc.to_bytes())? {
                let (hash, bytes): (ChangeHash, ByteVec) = read(&bytes)?;
                changes.push((position_in(&key[17..])?, hash, bytes.into()));
            }
            let last = position_in(&last)?;
            Ok(Some(StoredDocument { snapshot: snapshot.map(|s| s.bytes), changes, last }))
        })
    }

    fn heads(&self, doc: DocId) -> Result<Option<Vec<ChangeHash>>, LogError> {
        let doc = doc.to_bytes();
        let (last, found) = self.reading(|store| {
            let last = store.get(Table::Meta, &key(b"d/", &[&doc]))?;
            Ok((last, store.get(Table::Meta, &key(HEADS, &[&doc]))?))
        })?;
        let Some((last, found)) = last.zip(found) else { return Ok(None) };
        let (upto, hashes) = found.split_at_checked(8).unwrap_or_default();
        // Heads from before the newest change are not its heads.
        if position_in(upto)? < position_in(&last)? {
            return Ok(None);
        }
        Ok(Some(hashes.as_chunks().0.iter().map(|hash| ChangeHash(*hash)).collect()))
    }

    fn documents(&self, after: Option<DocId>, limit: usize) -> Result<Vec<(DocId, Position)>, LogError> {
        let after = after.map(|doc| key(b"d/", &[&doc.to_bytes()]));
        let stored =
            self.reading(|store| Ok(store.scan_after(Table::Meta, b"d/", after.as_deref(), limit)?))?;
        stored.iter().map(|(key, last)| Ok((doc_in(&key[2..])?, position_in(last)?))).collect()
    }

    fn compact(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError> {
        self.submit(Job::Compact(snapshots)).map(|_| ())
    }

    fn audience(&self, doc: DocId) -> Result<BTreeSet<Tag>, LogError> {
        self.reading(|store| audience_of(store, doc))
    }

    fn tagged(&self, tag: Tag, after: Option<DocId>, limit: usize) -> Result<Vec<DocId>, LogError> {
        let prefix = tag_key(tag, &[]);
        let after = after.map(|doc| tag_key(tag, &doc.to_bytes()));
        let stored =
            self.reading(|store| Ok(store.scan_after(Table::Meta, &prefix, after.as_deref(), limit)?))?;
        stored.iter().map(|(key, _)| doc_in(&key[prefix.len()..])).collect()
    }

    fn held(
        &self,
        filter: &HeldFilter,
        after: Option<(DocId, ChangeHash)>,
        limit: usize,
    ) -> Result<Vec<HeldChange>, LogError> {
        let prefix = filter.doc.map(|doc| doc.to_bytes().to_vec()).unwrap_or_default();
        let fits = |h: &HeldChange| {
            filter.device.is_none_or(|d| d == h.device) && (!filter.waiting || h.state == HeldState::Waiting)
        };
        let mut after = after.map(|(doc, hash)| key(&[], &[&doc.to_bytes(), &hash.0]));
        let mut found = Vec::new();
        loop {
            let page = self.reading(|store| {
                Ok(store.scan_after(Table::Held, &prefix, after.as_deref(), HELD_PAGE)?)
            })?;
            for (_, bytes) in &page {
                let held: HeldChange = read(bytes)?;
                if found.len() < limit && fits(&held) {
                    found.push(held);
                }
            }
            if found.len() >= limit || page.len() < HELD_PAGE {
                return Ok(found);
            }
            after = page.last().map(|(key, _)| key.clone());
        }
    }

    fn held_one(&self, doc: DocId, hash: ChangeHash) -> Result<Option<HeldChange>, LogError> {
        let key = key(&[], &[&doc.to_bytes(), &hash.0]);
        self.reading(|store| store.get(Table::Held, &key)?.map(|bytes| read(&bytes)).transpose())
    }

    fn record(&self, name: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.reading(|store| Ok(store.get(Table::Meta, &record_key(name))?))
    }

    fn records(&self, prefix: &[u8]) -> Result<Pairs, LogError> {
        let stored = self.reading(|store| Ok(store.scan(Table::Meta, &record_key(prefix))?))?;
        Ok(stored.into_iter().map(|(key, value)| (key[2..].to_vec(), value)).collect())
    }

    fn swap_record(
        &self,
        name: &[u8],
        expected: Option<&[u8]>,
        new: Option<Vec<u8>>,
    ) -> Result<bool, LogError> {
        let job = Job::Swap(name.to_vec(), expected.map(<[u8]>::to_vec), new);
        Ok(matches!(self.submit(job)?, Outcome::Swapped(true)))
    }
}

fn key_of_loose(doc: DocId, position: Position) -> Vec<u8> {
    key(&[], &[&doc.to_bytes(), &position.0.to_be_bytes()])
}
