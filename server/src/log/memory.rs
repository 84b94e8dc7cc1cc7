use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
#[derive(Default)]
struct S {
    entries: Vec<Logged>,
    docs: BTreeMap<DocId, StoredDocument>,
    hashes: BTreeMap<(DocId, ChangeHash), Position>,
    tags: BTreeMap<DocId, BTreeSet<Tag>>,
    held: BTreeMap<(DocId, ChangeHash), HeldChange>,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
}
#[derive(Default)]
pub struct MemoryLog {
    s: Mutex<S>,
    epoch: u64,
}
impl MemoryLog {
    pub fn new(epoch: u64) -> Self {
        Self { epoch, ..Self::default() }
    }
}
impl ChangeLog for MemoryLog {
    fn append(&self, batch: Batch) -> Result<Position, LogError> {
        let mut s = self.s.lock().unwrap();
        for entry in batch.entries {
            let position = Position(s.entries.len() as u64 + 1);
            match &entry {
                Entry::Change { doc, hash, bytes, .. } => {
                    s.hashes.insert((*doc, *hash), position);
                    let d = s.docs.entry(*doc).or_default();
                    d.changes.push((position, *hash, bytes.clone().unwrap_or_default()));
                    d.last = position;
                }
                Entry::Audience { doc, gained, lost } => {
                    let t = s.tags.entry(*doc).or_default();
                    for g in gained {
                        t.insert(*g);
                    }
                    for l in lost {
                        t.remove(l);
                    }
                }
                _ => {}
            }
            s.entries.push(Logged { position, at_ms: batch.at_ms, entry });
        }
        for h in batch.held {
            s.held.insert((h.doc, h.hash), h);
        }
        for (k, v) in batch.records {
            match v {
                Some(v) => {
                    s.records.insert(k, v);
                }
                None => {
                    s.records.remove(&k);
                }
            }
        }
        Ok(Position(s.entries.len() as u64))
    }
    fn head(&self) -> Position {
        Position(self.s.lock().unwrap().entries.len() as u64)
    }
    fn epoch(&self) -> u64 {
        self.epoch
    }
    fn read(&self, after: Position, limit: usize) -> Result<Vec<Logged>, LogError> {
        Ok(self.s.lock().unwrap().entries.iter().skip(after.0 as usize).take(limit).cloned().collect())
    }
    fn position_of(&self, doc: DocId, hash: ChangeHash) -> Result<Option<Position>, LogError> {
        Ok(self.s.lock().unwrap().hashes.get(&(doc, hash)).copied())
    }
    fn document(&self, doc: DocId) -> Result<Option<StoredDocument>, LogError> {
        Ok(self.s.lock().unwrap().docs.get(&doc).cloned())
    }
    fn documents(&self, after: Option<DocId>, limit: usize) -> Result<Vec<(DocId, Position)>, LogError> {
        Ok(self
            .s
            .lock()
            .unwrap()
            .docs
            .iter()
            .filter(|(d, _)| after.is_none_or(|a| **d > a))
            .take(limit)
            .map(|(d, s)| (*d, s.last))
            .collect())
    }
    fn compact(&self, doc: DocId, snapshot: Vec<u8>, upto: Position) -> Result<(), LogError> {
        let mut s = self.s.lock().unwrap();
        let d = s.docs.entry(doc).or_default();
        d.snapshot = Some(snapshot);
        d.changes.retain(|c| c.0 > upto);
        Ok(())
    }
    fn audience(&self, doc: DocId) -> Result<BTreeSet<Tag>, LogError> {
        Ok(self.s.lock().unwrap().tags.get(&doc).cloned().unwrap_or_default())
    }
    fn tagged(&self, tag: Tag, after: Option<DocId>, limit: usize) -> Result<Vec<DocId>, LogError> {
        Ok(self
            .s
            .lock()
            .unwrap()
            .tags
            .iter()
            .filter(|(d, t)| t.contains(&tag) && after.is_none_or(|a| **d > a))
            .map(|(d, _)| *d)
            .take(limit)
            .collect())
    }
    fn held(
        &self,
        filter: &HeldFilter,
        after: Option<(DocId, ChangeHash)>,
        limit: usize,
    ) -> Result<Vec<HeldChange>, LogError> {
        Ok(self
            .s
            .lock()
            .unwrap()
            .held
            .iter()
            .filter(|(k, h)| {
                after.is_none_or(|a| **k > a)
                    && filter.doc.is_none_or(|d| d == h.doc)
                    && filter.device.is_none_or(|d| d == h.device)
            })
            .map(|(_, h)| h.clone())
            .take(limit)
            .collect())
    }
    fn held_one(&self, doc: DocId, hash: ChangeHash) -> Result<Option<HeldChange>, LogError> {
        Ok(self.s.lock().unwrap().held.get(&(doc, hash)).cloned())
    }
    fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.s.lock().unwrap().records.get(key).cloned())
    }
    fn records(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, LogError> {
        Ok(self
            .s
            .lock()
            .unwrap()
            .records
            .iter()
            .filter(|(k, _)| k.starts_with(prefix))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect())
    }
}
