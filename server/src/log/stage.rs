//! The writes of a group as they are gathered, over the store as it was.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;
use sync_core::ids::{ChangeHash, DocId, Position};
use sync_core::store::{Batch as Writes, DeviceStore, Table};
use sync_core::time::UnixMs;

use super::rows::{
    BUCKET, DOC_BYTES, Entries, Indexed, Loose, PACKED, StoredEntry, StoredSnapshot, audience_key, bucket,
    cbor, document_key, entries_in, entry_key, index_key, indexed, key, loose_in, pairs_in, read, record_key,
    tag_key,
};
use super::{Batch, Entry, LogError, Snapshot, Tag};

/// Full buckets that one commit puts together at most.
const PACKED_MAX: u64 = 16;
/// Changes of a document whose positions are put together at most: each look at one reads all.
const INDEXED_MAX: usize = 1_000;

/// What is done to the store, one after the other, and made durable together.
pub(super) enum Job {
    Append(Batch),
    Compact(Vec<Snapshot>),
    Swap(Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>),
}

#[derive(Clone, Copy)]
pub(super) enum Outcome {
    At(Position),
    Swapped(bool),
}

/// What a group comes to.
pub(super) struct Staged {
    pub writes: Writes,
    /// One for each job.
    pub outcomes: Vec<Outcome>,
    pub head: Position,
    /// Buckets whose entries stand in one row each.
    pub packed: u64,
}

/// Stages the jobs of a group, over a store whose newest entry stands at `head`.
pub(super) fn write<S: DeviceStore>(
    store: &S,
    head: Position,
    packed: u64,
    jobs: Vec<Job>,
) -> Result<Staged, LogError> {
    let (entries, tags, swapped) = (Vec::new(), Vec::new(), Vec::new());
    let mut stage = Stage { store, writes: Writes::new(), head, entries, tags, swapped };
    let outcomes = jobs.into_iter().map(|job| stage.job(job)).collect::<Result<_, _>>()?;
    let packed = stage.pack(packed, head)?;
    for group in std::mem::take(&mut stage.entries).chunk_by(|a, b| a.0 / BUCKET == b.0 / BUCKET) {
        stage.put(Table::Change, entry_key(group[0].0), cbor(&group));
    }
    Ok(Staged { writes: stage.writes, outcomes, head: stage.head, packed })
}

struct Stage<'a, S> {
    store: &'a S,
    writes: Writes,
    head: Position,
    entries: Entries,
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
                self.append(batch)?;
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

    fn append(&mut self, batch: Batch) -> Result<(), LogError> {
        let mut changed: BTreeMap<DocId, Loose> = BTreeMap::new();
        for entry in batch.entries {
            self.entry(entry, batch.at_ms, &mut changed)?;
        }
        for (doc, loose) in changed {
            self.loose(doc, &loose);
            let heads = batch.heads.iter().filter(|(of, _)| *of == doc).flat_map(|(_, heads)| heads);
            let last = loose.last().map_or(0, |(position, ..)| *position);
            let newest = last.to_be_bytes().into_iter().chain(heads.flat_map(|head| head.0)).collect();
            self.put(Table::Meta, document_key(doc), newest);
        }
        for held in batch.held {
            self.put(Table::Held, key(&held.doc.to_bytes(), &[&held.hash.0]), cbor(&held));
        }
        for (name, value) in batch.records {
            self.record(&name, value);
        }
        Ok(())
    }

    fn loose(&mut self, doc: DocId, loose: &Loose) {
        if let Some((first, ..)) = loose.first() {
            self.put(Table::Outbox, key(&doc.to_bytes(), &[&first.to_be_bytes()]), cbor(loose));
        }
    }

    fn record(&mut self, name: &[u8], value: Option<Vec<u8>>) {
        self.swapped.push((name.to_vec(), value.clone()));
        match value {
            Some(value) => self.put(Table::Meta, record_key(name), value),
            None => self.delete(Table::Meta, record_key(name)),
        }
    }

    /// One entry; a change's bytes go to the loose ones of its document.
    fn entry(
        &mut self,
        mut entry: Entry,
        at_ms: UnixMs,
        changed: &mut BTreeMap<DocId, Loose>,
    ) -> Result<(), LogError> {
        self.head = Position(self.head.0 + 1);
        if let Entry::Change { doc, hash, bytes, .. } = &mut entry {
            let bytes = ByteVec::from(bytes.take().unwrap_or_default());
            changed.entry(*doc).or_default().push((self.head.0, *hash, bytes));
        }
        if let Entry::Audience { doc, gained, lost } = &entry {
            self.audience(*doc, gained, lost)?;
        }
        self.entries.push((self.head.0, cbor(&StoredEntry { at_ms, entry }).into()));
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
        for number in packed..full {
            let mut entries = Vec::new();
            for (key, row) in self.store.scan(Table::Change, &number.to_be_bytes())? {
                entries.extend(entries_in(&key, row)?);
                self.delete(Table::Change, key);
            }
            self.put(Table::Change, number.to_be_bytes(), bucket(&entries)?);
        }
        if full > packed {
            self.put(Table::Meta, PACKED, full.to_be_bytes().to_vec());
        }
        Ok(full.max(packed))
    }

    fn compact(&mut self, Snapshot { doc, bytes, upto }: Snapshot) -> Result<(), LogError> {
        let mut gone = Vec::new();
        for (key, row) in self.store.scan(Table::Outbox, &doc.to_bytes())? {
            let (compacted, loose): (Loose, Loose) =
                loose_in(&key, &row)?.into_iter().partition(|(position, ..)| *position <= upto.0);
            if compacted.is_empty() {
                continue;
            }
            self.delete(Table::Outbox, key);
            self.loose(doc, &loose);
            gone.extend(compacted.into_iter().map(|(position, hash, _)| (hash, position)));
        }
        self.put(Table::Document, doc.to_bytes(), cbor(&StoredSnapshot { upto, bytes }));
        self.index(doc.to_bytes(), &gone)
    }

    /// Notes where changes that are loose no more were: in the document's one row, or by themselves where
    /// they are too many.
    fn index(&mut self, doc: [u8; DOC_BYTES], gone: &[(ChangeHash, u64)]) -> Result<(), LogError> {
        let mut pairs = pairs_of(self.store, &doc)?;
        if pairs.len() + gone.len() > INDEXED_MAX {
            for (hash, position) in gone {
                self.put(Table::Command, key(&doc, &[&hash.0]), position.to_be_bytes().to_vec());
            }
            return Ok(());
        }
        self.delete(Table::Command, doc);
        pairs.extend(gone.iter().map(|(hash, position)| indexed(&hash.0, *position)));
        self.put(Table::Command, index_key(&doc), pairs.into_iter().flatten().collect());
        Ok(())
    }
}

/// Where a document's compacted changes were.
pub(super) fn pairs_of<S: DeviceStore>(
    store: &S,
    doc: &[u8; DOC_BYTES],
) -> Result<BTreeSet<Indexed>, LogError> {
    let row = |key: &[u8]| Ok::<_, LogError>(store.get(Table::Command, key)?.unwrap_or_default());
    Ok(pairs_in(&row(&index_key(doc))?, &row(doc)?))
}

pub(super) fn audience_of<S: DeviceStore>(store: &S, doc: DocId) -> Result<BTreeSet<Tag>, LogError> {
    let stored = store.get(Table::Meta, &audience_key(doc))?;
    let tags: Vec<Tag> = stored.map_or(Ok(Vec::new()), |bytes| read(&bytes))?;
    Ok(tags.into_iter().collect())
}
