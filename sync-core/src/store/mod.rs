//! The device's store: what a phone keeps while it is offline.
//!
//! In: [`Batch`]es of puts and deletes over seven tables of bytes. Out: single values, or all pairs
//! under a key prefix in the order of their keys. Keys hold ids, hashes and numbers only, never words
//! about a person; values are whatever the layers below this one encode.
//!
//! Invariants, proved for every implementation by the conformance suite:
//! - a commit is one: after a crash all of its writes are there or none;
//! - a commit that returned `Ok` is durable, and [`DeviceStore::erase`] is as durable as a commit;
//! - nothing is lost silently: a store that lacks a durable commit says so when it is opened, and one that
//!   lacks or has damaged a single value says so when that is read, or by the audit, whichever is first.
//!
//! [`MemoryDisk`] serves simulations, [`SledStore`] the phone: there every value is sealed under a
//! [`StoreKey`] that the app keeps in the platform's keystore.
//!
//! Deliberately not here: what the values mean, caching, compaction of documents, and any choice of
//! what to do about a damaged store: errors name the damage, the caller decides.

mod anchor;
mod audit;
mod compact;
#[cfg(test)]
mod damage;
mod files;
mod folder;
mod memory;
#[cfg(test)]
mod opened;
mod sealed;
mod sled;
#[cfg(any(test, feature = "conformance"))]
pub mod suite;
mod tail;

pub use audit::Audited;
pub use memory::{MemoryDisk, MemoryStore};
pub use sealed::StoreKey;
pub use sled::{LAYOUT, SledStore};

/// What a key names. The numbers are part of the layout on disk: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Document snapshots.
    Document = 0,
    /// Changes that stand beside a snapshot until it is compacted.
    Change = 1,
    /// Changes that no relay has called durable yet.
    Outbox = 2,
    /// Commands of unsent changes, for replay after a refusal.
    Command = 3,
    /// What the relay holds of this device's work, with the reasons.
    Held = 4,
    /// Photos and files that are still to be uploaded, and their progress.
    Blob = 5,
    /// Feed position, epochs, certificates, settings.
    Meta = 6,
}

impl Table {
    /// Every table, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Document, Self::Change, Self::Outbox, Self::Command, Self::Held, Self::Blob, Self::Meta];

    /// The table's number on disk.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// One write: a put of a value, or a delete where there is none.
#[derive(Clone, PartialEq, Eq)]
struct Write {
    table: Table,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

/// Writes that are committed together. A later write of the same key wins over an earlier one.
#[derive(Clone, Default, PartialEq, Eq)]
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch {
    writes: Vec<Write>,
}

impl Batch {
    /// A batch without writes.
    pub fn new() -> Self {
        Self::default()
    }
    /// With `value` under `key`, over whatever was there.
    pub fn put(mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.writes.push(Write { table, key: key.into(), value: Some(value.into()) });
        self
    }
    /// Without `key`; a key that is not there is no error.
    pub fn delete(mut self, table: Table, key: impl Into<Vec<u8>>) -> Self {
        self.writes.push(Write { table, key: key.into(), value: None });
        self
    }
    /// With the writes of `later` after these.
    pub fn and(mut self, later: Self) -> Self {
        self.writes.extend(later.writes);
        self
    }
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
    /// The writes to a table in their order: key, and the value that is put or nothing.
    pub(crate) fn of(&self, table: Table) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let of_table = self.writes.iter().filter(move |w| w.table == table);
        of_table.map(|w| (w.key.as_slice(), w.value.as_deref()))
    }
    /// Number of writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }
}

/// Counts only: values are personal data and stay out of logs.
impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({} writes)", self.writes.len())
    }
}

/// A store that cannot do what it should. Each variant is another thing for the caller to do; none
/// carries a key or a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another handle in this one, has the store open.
    #[error("the store is open elsewhere: close the other one, then open again")]
    Busy,
    /// The device has no room. What was committed before stands.
    #[error("the device has no room left: free some space, then open the store again")]
    Full,
    /// Files are missing, damaged, or do not belong together.
    #[error("the store is damaged: {what}; {remedy}")]
    Corrupt {
        /// What was found, without keys or values.
        what: String,
        /// What the caller can do.
        remedy: &'static str,
    },
    /// The newest commits are gone although they were durable: the tail of a file was cut off, or an
    /// older copy of the data was put back.
    #[error(
        "the store has lost its last {} commits (it stands at {found}, {expected} were durable): take what is left \
         with open_after_loss, push it, and sync again under a new epoch",
        expected - found
    )]
    LostTail {
        /// The newest commit that was durable.
        expected: u64,
        /// The newest commit that is still there.
        found: u64,
    },
    /// The store was sealed under another key.
    #[error("the key does not open this store: fetch the right one from the keystore, or discard the store")]
    WrongKey,
    /// A newer app wrote the store.
    #[error("the store has layout {found}, this app knows {known}: update the app")]
    NewerLayout {
        /// The layout of the files.
        found: u16,
        /// The newest layout that this code reads.
        known: u16,
    },
    /// The store cannot be reached or written now; nothing is known to be lost.
    #[error("the store cannot be used: {0}; open it again when that is resolved")]
    Unavailable(String),
}

impl StoreError {
    /// The stable code, for logs and for the app's own words.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Busy => "store_busy",
            Self::Full => "store_full",
            Self::Corrupt { .. } => "store_corrupt",
            Self::LostTail { .. } => "store_lost_tail",
            Self::WrongKey => "store_wrong_key",
            Self::NewerLayout { .. } => "store_newer_layout",
            Self::Unavailable(_) => "store_unavailable",
        }
    }
}

/// Pairs of key and value, in the order of the keys.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Where a device keeps its documents, its unsent work and its settings.
pub trait DeviceStore: Send {
    /// The value under `key`, if there is one.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Every pair of the table whose key begins with `prefix`, in bytewise order of the keys. An empty
    /// prefix means the whole table.
    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs, StoreError>;

    /// As [`DeviceStore::scan`], but only keys greater than `after`, and at most `limit` pairs: page by page
    /// through a table. `after` is a whole key, prefix and all, and need not be there.
    fn scan_after(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Pairs, StoreError>;

    /// Writes the batch over all its tables as one, and returns when it is durable.
    ///
    /// After an error the commit may or may not have happened: drop the store and open it again, which
    /// tells. Until then every further call fails.
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError>;

    /// Removes everything, durably. The store is then empty and may be used on.
    fn erase(&mut self) -> Result<(), StoreError>;

    /// Reads up to `_values_max` further values and checks that they are what was committed; when all were
    /// read, that none is missing or stale. Commits between the steps are followed. A store that keeps
    /// nothing outside memory has nothing to check, and says so by this default.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with what is wrong; from then on every other call fails with it too.
    fn audit_step(&self, _values_max: usize) -> Result<Audited, StoreError> {
        Ok(Audited { values: 0, whole: true })
    }

    /// Bytes that the store takes on disk (in memory: of its keys and values).
    fn bytes_on_disk(&self) -> Result<u64, StoreError>;
}

impl<S: DeviceStore + ?Sized> DeviceStore for Box<S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).get(table, key)
    }
    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs, StoreError> {
        (**self).scan(table, prefix)
    }
    fn scan_after(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Pairs, StoreError> {
        (**self).scan_after(table, prefix, after, limit)
    }
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        (**self).commit(batch)
    }
    fn erase(&mut self) -> Result<(), StoreError> {
        (**self).erase()
    }
    fn audit_step(&self, values_max: usize) -> Result<Audited, StoreError> {
        (**self).audit_step(values_max)
    }
    fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        (**self).bytes_on_disk()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_numbers_are_stable_and_in_order() {
        let numbers: Vec<u8> = Table::ALL.iter().map(|t| t.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    }
    #[test]
    fn every_store_error_has_its_own_code() {
        let errors = [
            StoreError::Busy,
            StoreError::Full,
            StoreError::Corrupt { what: String::new(), remedy: "" },
            StoreError::LostTail { expected: 5, found: 3 },
            StoreError::WrongKey,
            StoreError::NewerLayout { found: 2, known: 1 },
            StoreError::Unavailable(String::new()),
        ];
        let codes: std::collections::BTreeSet<_> = errors.iter().map(StoreError::code).collect();
        assert_eq!(codes.len(), errors.len());
        assert!(errors[3].to_string().contains("last 2 commits"));
    }
    #[test]
    fn a_batch_in_a_log_shows_no_values() {
        let batch = Batch::new().put(Table::Meta, "k", "13800000000").delete(Table::Meta, "k");
        assert_eq!(format!("{batch:?}"), "Batch(2 writes)");
    }
}
