//! A store in memory, for simulations and tests: a disk that survives the crash of its device.
//!
//! In and out: as [`DeviceStore`]. A [`MemoryDisk`] is the durable part and outlives every
//! [`MemoryStore`] opened on it; as on a real device only one may be open at a time. A simulation
//! crashes a device by dropping it and opening the disk again, puts an older copy back with
//! [`MemoryDisk::snapshot`], and fills the disk up with [`MemoryDisk::refuse_commits`].
//!
//! Invariant: a commit is applied as a whole or not at all, and at once durable.
//!
//! Deliberately not here: sealing, files, and loss; those are the business of the store on disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Batch, DeviceStore, Pairs, StoreError, Table};

#[derive(Clone, Default)]
struct Content {
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    commits: u64,
    open: bool,
    refusal: Option<StoreError>,
}

/// What survives: share it by `clone`, copy it by [`MemoryDisk::snapshot`].
#[derive(Clone, Default)]
pub struct MemoryDisk {
    content: Arc<Mutex<Content>>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }
    fn content(&self) -> MutexGuard<'_, Content> {
        // Each change of the content is whole before a panic could strike, so poison means nothing.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Opens the disk; [`StoreError::Busy`] while another store on it lives.
    pub fn open(&self) -> Result<MemoryStore, StoreError> {
        let mut content = self.content();
        if content.open {
            return Err(StoreError::Busy);
        }
        content.open = true;
        Ok(MemoryStore { disk: self.clone() })
    }
    /// A copy of the disk as it is now; later commits reach only the one they are made on.
    pub fn snapshot(&self) -> Self {
        let mut content = self.content().clone();
        content.open = false;
        Self { content: Arc::new(Mutex::new(content)) }
    }
    /// Commits made so far, erasures included.
    pub fn commits(&self) -> u64 {
        self.content().commits
    }
    /// From now on every commit and erasure fails with this error and changes nothing; `None` ends that.
    pub fn refuse_commits(&self, error: Option<StoreError>) {
        self.content().refusal = error;
    }
}

/// A store in memory. A clone is a store of its own with a copy of the content.
pub struct MemoryStore {
    disk: MemoryDisk,
}

impl MemoryStore {
    /// An empty store on a disk of its own.
    pub fn new() -> Self {
        Self::default()
    }
    /// The disk under this store.
    pub fn disk(&self) -> &MemoryDisk {
        &self.disk
    }
}
impl Default for MemoryStore {
    fn default() -> Self {
        MemoryDisk::new().open().expect("a new disk is not open elsewhere")
    }
}
impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        self.disk.snapshot().open().expect("a snapshot is not open elsewhere")
    }
}
impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.disk.content().open = false;
    }
}

impl DeviceStore for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.disk.content().rows.get(&(table, key.to_vec())).cloned())
    }
    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs, StoreError> {
        let content = self.disk.content();
        let pairs = content
            .rows
            .range((table, prefix.to_vec())..)
            .take_while(|((t, key), _)| *t == table && key.starts_with(prefix));
        Ok(pairs.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }
    fn scan_after(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Pairs, StoreError> {
        let content = self.disk.content();
        let from = after.map_or(prefix, |after| after.max(prefix)).to_vec();
        let pairs = content
            .rows
            .range((table, from)..)
            .take_while(|((t, key), _)| *t == table && key.starts_with(prefix))
            .filter(|((_, key), _)| after.is_none_or(|after| key.as_slice() > after));
        Ok(pairs.take(limit).map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        let mut content = self.disk.content();
        if let Some(error) = &content.refusal {
            return Err(error.clone());
        }
        if batch.is_empty() {
            return Ok(());
        }
        for write in batch.writes {
            match write.value {
                Some(value) => content.rows.insert((write.table, write.key), value),
                None => content.rows.remove(&(write.table, write.key)),
            };
        }
        content.commits += 1;
        Ok(())
    }
    fn erase(&mut self) -> Result<(), StoreError> {
        let mut content = self.disk.content();
        if let Some(error) = &content.refusal {
            return Err(error.clone());
        }
        content.rows.clear();
        content.commits += 1;
        Ok(())
    }
    fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        let content = self.disk.content();
        Ok(content.rows.iter().map(|((_, key), value)| (1 + key.len() + value.len()) as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_store_conforms() {
        crate::store::suite::conformance(|| {
            let disk = MemoryDisk::new();
            move || disk.open().unwrap()
        });
    }
    #[test]
    fn a_snapshot_is_the_disk_as_it_was() {
        let mut store = MemoryStore::new();
        store.commit(Batch::new().put(Table::Meta, "position", "1")).unwrap();
        let older = store.disk().snapshot();
        store.commit(Batch::new().put(Table::Meta, "position", "2")).unwrap();
        assert_eq!(older.open().unwrap().get(Table::Meta, b"position").unwrap(), Some(b"1".to_vec()));
        assert_eq!(store.clone().get(Table::Meta, b"position").unwrap(), Some(b"2".to_vec()));
        assert_eq!((older.commits(), store.disk().commits()), (1, 2));
    }
    #[test]
    fn a_disk_that_is_full_takes_nothing_and_keeps_what_it_has() {
        let mut store = MemoryStore::new();
        store.commit(Batch::new().put(Table::Meta, "a", "1")).unwrap();
        store.disk().refuse_commits(Some(StoreError::Full));
        assert_eq!(store.commit(Batch::new().delete(Table::Meta, "a")), Err(StoreError::Full));
        assert_eq!(store.erase(), Err(StoreError::Full));
        store.disk().refuse_commits(None);
        assert_eq!(store.get(Table::Meta, b"a").unwrap(), Some(b"1".to_vec()));
    }
}
