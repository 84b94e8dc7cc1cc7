//! The change log over a key-value store with atomic, durable batches: on sled for a relay, in memory
//! for tests and simulations.
//!
//! The store below gives what a log needs most: a batch is whole or absent, durable when it returns,
//! and a lost tail is named at opening. Here are the reading and the group commit: while one batch is
//! being made durable, those that arrive wait together and go as one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use minicbor::bytes::ByteVec;
use sync_core::ids::{ChangeHash, DocId, Position};
use sync_core::store::{Audited, Batch as Writes, DeviceStore, Pairs, Table};

use super::rows::{
    BUCKET, EPOCH, HEAD, Loose, PACKED, StoredEntry, StoredSnapshot, doc_in, document_key, entries_in, find,
    key, loose_in, newest_in, position_in, read, record_key, tag_key,
};
use super::stage::{self, Job, Outcome, audience_of, pairs_of};
use super::{
    Batch, ChangeLog, Entry, HeldChange, HeldFilter, HeldState, LogError, Logged, Snapshot, StoredDocument,
    Tag,
};

/// Batches that are made durable together at most.
const GROUP_MAX: usize = 512;
/// Held changes that are read at once while looking for those that fit a filter.
const HELD_PAGE: usize = 256;

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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (tickets, jobs): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let packed = self.packed.load(Ordering::Relaxed);
        // Whatever fails fails for all: nothing of a job is written without the rest of it.
        let written = stage::write(&*store, head, packed, jobs).and_then(|staged| {
            let writes = staged.writes.put(Table::Meta, HEAD, staged.head.0.to_be_bytes());
            store.commit(writes)?;
            Ok((staged.outcomes, staged.head, staged.packed))
        });
        let (outcomes, head, packed) = match written {
            Ok(written) => written,
            Err(error) => return tickets.into_iter().map(|ticket| (ticket, Err(error.clone()))).collect(),
        };
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head;
        self.packed.store(packed, Ordering::Relaxed);
        tickets.into_iter().zip(outcomes.into_iter().map(Ok)).collect()
    }
}

/// The loose changes of a document.
fn loose_of<S: DeviceStore>(store: &S, doc: DocId) -> Result<Loose, LogError> {
    let rows = store.scan(Table::Outbox, &doc.to_bytes())?;
    let rows = rows.iter().map(|(key, row)| loose_in(key, row));
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
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
        let mut loose: BTreeMap<DocId, BTreeMap<u64, ByteVec>> = BTreeMap::new();
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
                        if !loose.contains_key(doc) {
                            let found = loose_of(store, *doc)?.into_iter();
                            loose.insert(*doc, found.map(|(at, _, bytes)| (at, bytes)).collect());
                        }
                        let found = loose.get_mut(doc).and_then(|found| found.remove(&position.0));
                        *bytes = found.map(Into::into);
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
        let id = doc.to_bytes();
        self.reading(|store| {
            if let Some(position) = find(&pairs_of(store, &id)?, &hash.0)? {
                return Ok(Some(position));
            }
            if let Some(bytes) = store.get(Table::Command, &key(&id, &[&hash.0]))? {
                return position_in(&bytes).map(Some);
            }
            let mut loose = loose_of(store, doc)?.into_iter();
            Ok(loose.find(|(_, found, _)| *found == hash).map(|(position, ..)| Position(position)))
        })
    }

    fn document(&self, doc: DocId) -> Result<Option<StoredDocument>, LogError> {
        self.reading(|store| {
            let Some(newest) = store.get(Table::Meta, &document_key(doc))? else { return Ok(None) };
            let (last, _) = newest_in(&newest)?;
            let snapshot = store.get(Table::Document, &doc.to_bytes())?;
            let snapshot: Option<StoredSnapshot> = snapshot.map(|bytes| read(&bytes)).transpose()?;
            let changes = loose_of(store, doc)?.into_iter();
            let changes = changes.map(|(at, hash, bytes)| (Position(at), hash, bytes.into())).collect();
            Ok(Some(StoredDocument { snapshot: snapshot.map(|s| s.bytes), changes, last }))
        })
    }

    fn heads(&self, doc: DocId) -> Result<Option<Vec<ChangeHash>>, LogError> {
        let found = self.reading(|store| Ok(store.get(Table::Meta, &document_key(doc))?))?;
        let Some(found) = found else { return Ok(None) };
        let (_, heads) = newest_in(&found)?;
        Ok((!heads.is_empty()).then(|| heads.iter().map(|hash| ChangeHash(*hash)).collect()))
    }

    fn documents(&self, after: Option<DocId>, limit: usize) -> Result<Vec<(DocId, Position)>, LogError> {
        let after = after.map(document_key);
        let stored =
            self.reading(|store| Ok(store.scan_after(Table::Meta, b"d/", after.as_deref(), limit)?))?;
        stored.iter().map(|(key, newest)| Ok((doc_in(&key[2..])?, newest_in(newest)?.0))).collect()
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

#[cfg(test)]
mod tests {
    use sync_core::ids::{DeviceId, DocKind};
    use sync_core::store::MemoryDisk;

    use super::super::rows::{cbor, entry_key};
    use super::*;

    const DOC: DocId = DocId::new(DocKind::Order, [1; 16]);

    fn change(n: u8) -> Entry {
        let device = DeviceId::from_bytes([9; 16]);
        Entry::Change { doc: DOC, hash: ChangeHash([n; 32]), device, bytes: Some(vec![n]) }
    }

    /// Three changes as relays wrote them before ADR 0008: for each an entry, its bytes, and where it stands;
    /// of the first as they did until they left half of its hash out.
    fn older(disk: &MemoryDisk) {
        let number = |n: u64| n.to_be_bytes();
        let mut rows = Writes::new().put(Table::Meta, EPOCH, number(5)).put(Table::Meta, HEAD, number(3));
        for n in 1..=3_u8 {
            let (position, hash) = (number(n.into()), ChangeHash([n; 32]));
            let mut entry = change(n);
            if let Entry::Change { bytes, .. } = &mut entry {
                *bytes = None;
            }
            let loose = cbor(&(hash, ByteVec::from(vec![n])));
            let (told, at) = match n {
                1 => (&[][..], [&hash.0[..], &position].concat()),
                _ => (&hash.0[..], position.to_vec()),
            };
            rows = rows
                .put(Table::Change, entry_key(n.into()), cbor(&StoredEntry { at_ms: 7, entry }))
                .put(Table::Outbox, key(&DOC.to_bytes(), &[&position]), loose)
                .put(Table::Command, key(&DOC.to_bytes(), &[told]), at)
                .put(Table::Meta, document_key(DOC), position);
        }
        disk.open().unwrap().commit(rows).unwrap();
    }

    #[test]
    fn a_log_of_an_older_relay_is_read_and_goes_on() {
        let disk = MemoryDisk::new();
        older(&disk);
        let log = KeptLog::open(disk.open().unwrap(), 1).unwrap();
        let all = |log: &KeptLog<_>| -> Vec<Entry> {
            log.read(Position(0), 10).unwrap().into_iter().map(|logged| logged.entry).collect()
        };
        let at = |log: &KeptLog<_>, n: u8| log.position_of(DOC, ChangeHash([n; 32])).unwrap().map(|p| p.0);
        assert_eq!((log.epoch(), log.head(), log.heads(DOC).unwrap()), (5, Position(3), None));
        assert_eq!(all(&log), [1, 2, 3].map(change));
        let heads = Some((DOC, vec![ChangeHash([4; 32])]));
        log.append(Batch { entries: vec![change(4)], heads: heads.clone(), at_ms: 8, ..Batch::default() })
            .unwrap();
        assert_eq!(log.heads(DOC).unwrap(), heads.map(|(_, heads)| heads));
        assert_eq!(all(&log), [1, 2, 3, 4].map(change));
        let found = log.document(DOC).unwrap().unwrap();
        let loose: Vec<_> = found.changes.into_iter().map(|(at, _, bytes)| (at.0, bytes)).collect();
        assert_eq!(loose, [(1, vec![1]), (2, vec![2]), (3, vec![3]), (4, vec![4])]);
        for n in 1..=5 {
            assert_eq!(at(&log, n), (n < 5).then_some(n.into()));
        }
        log.compact(vec![Snapshot { doc: DOC, bytes: vec![7], upto: Position(3) }]).unwrap();
        let again = KeptLog::open(disk.snapshot().open().unwrap(), 1).unwrap();
        for n in 1..=5 {
            assert_eq!(at(&again, n), (n < 5).then_some(n.into()));
        }
        assert_eq!(again.document(DOC).unwrap().unwrap().changes.len(), 1);
    }
}
