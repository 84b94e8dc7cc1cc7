//! The device's documents on its store: a snapshot, the changes since, and the outbox.
//!
//! Every write of a document moves its changes, its outbox entry and its list line in one batch. A
//! document stands in memory only while it is used, but for the few last used ones.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::DeviceError;
use super::record::{self, Outgoing};
use crate::command::Action;
use crate::document::{ChangeBytes, Document};
use crate::ids::{ChangeHash, DocId};
use crate::limits;
use crate::store::{Batch, DeviceStore, Table};
use crate::time::UnixMs;

/// Documents kept in memory.
const WARM_MAX: usize = 16;

pub(super) struct Shelf<S> {
    pub store: S,
    /// The next number of a change or outbox entry; numbers only grow.
    next: u64,
    /// The documents last used, newest last.
    warm: RefCell<Vec<Document>>,
    /// What stands in the outbox, by number.
    unsent: BTreeMap<u64, Unsent>,
}

/// The greatest number that a store may stand at: no device comes near, and counting on cannot overflow.
const NUMBER_MAX: u64 = 1 << 48;

/// An entry of the outbox, without what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsent {
    pub doc: DocId,
    pub hash: ChangeHash,
    pub at_ms: UnixMs,
}

fn entry(key: &[u8], bytes: &[u8]) -> Result<(u64, Unsent), DeviceError> {
    let Outgoing { doc, hash, at_ms, .. } = record::read(bytes)?;
    Ok((number(key)?, Unsent { doc, hash, at_ms }))
}

fn number(key: &[u8]) -> Result<u64, DeviceError> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| DeviceError::Damaged("an outbox key".into()))
}

impl<S: DeviceStore> Shelf<S> {
    pub fn open(store: S) -> Result<Self, DeviceError> {
        let next = match store.get(Table::Meta, SEQUENCE)? {
            Some(bytes) => bytes
                .try_into()
                .ok()
                .map(u64::from_be_bytes)
                .filter(|next| *next <= NUMBER_MAX)
                .ok_or_else(|| DeviceError::Damaged("sequence".into()))?,
            None => 1,
        };
        let stored = store.scan(Table::Outbox, &[])?;
        let unsent = stored.iter().map(|(key, bytes)| entry(key, bytes)).collect::<Result<_, _>>()?;
        Ok(Self { store, next, warm: RefCell::new(Vec::new()), unsent })
    }

    /// The document with all its changes; `None` where the device does not hold it.
    pub fn document(&self, doc: DocId) -> Result<Option<Document>, DeviceError> {
        if let Some(warm) = self.warm.borrow().iter().find(|d| d.id() == doc) {
            return Ok(Some(warm.clone()));
        }
        let snapshot = self.store.get(Table::Document, &doc.to_bytes())?;
        let changes = self.store.scan(Table::Change, &doc.to_bytes())?;
        if snapshot.is_none() && changes.is_empty() {
            return Ok(None);
        }
        let mut found = match snapshot {
            Some(bytes) => Document::load(doc, &bytes)?,
            None => Document::new(doc),
        };
        found.restore(changes.iter().map(|(_, bytes)| bytes.as_slice()))?;
        self.keep_warm(found.clone());
        Ok(Some(found))
    }

    fn keep_warm(&self, doc: Document) {
        let mut warm = self.warm.borrow_mut();
        warm.retain(|d| d.id() != doc.id());
        warm.push(doc);
        if warm.len() > WARM_MAX {
            warm.remove(0);
        }
    }

    pub fn forget_warm(&self, doc: DocId) {
        self.warm.borrow_mut().retain(|d| d.id() != doc);
    }

    pub fn forget_all_warm(&self) {
        self.warm.borrow_mut().clear();
    }

    /// Commits a batch, and keeps the documents it changed warm.
    pub fn commit(
        &mut self,
        batch: Batch,
        docs: impl IntoIterator<Item = Document>,
    ) -> Result<(), DeviceError> {
        if batch.is_empty() {
            return Ok(());
        }
        let batch = batch.put(Table::Meta, SEQUENCE, self.next.to_be_bytes());
        let mut moved = Vec::new();
        for (key, value) in batch.of(Table::Outbox) {
            moved.push(match value {
                Some(bytes) => entry(key, bytes).map(|(number, unsent)| (number, Some(unsent)))?,
                None => (number(key)?, None),
            });
        }
        self.store.commit(batch)?;
        for (number, unsent) in moved {
            match unsent {
                Some(unsent) => drop(self.unsent.insert(number, unsent)),
                None => drop(self.unsent.remove(&number)),
            }
        }
        for doc in docs {
            self.keep_warm(doc);
        }
        Ok(())
    }

    fn number(&mut self) -> [u8; 8] {
        let number = self.next;
        self.next += 1;
        number.to_be_bytes()
    }

    /// The writes of a change that stands in `doc` and must reach the relay.
    pub fn outgoing(
        &mut self,
        doc: &Document,
        action: &Action,
        change: &ChangeBytes,
        at_ms: UnixMs,
    ) -> Batch {
        let entry = Outgoing {
            doc: doc.id(),
            hash: change.hash,
            bytes: change.bytes.clone().into(),
            action: action.clone(),
            at_ms,
        };
        let number = self.number();
        Batch::new().put(Table::Outbox, number, record::cbor(&entry)).and(self.loose(
            doc,
            &change.bytes,
            number,
        ))
    }

    /// The writes of a change that came from the relay.
    pub fn incoming(&mut self, doc: &Document, bytes: &[u8]) -> Batch {
        let number = self.number();
        self.loose(doc, bytes, number)
    }

    /// A change beside its snapshot; once there are many, all of them in a new snapshot.
    fn loose(&self, doc: &Document, bytes: &[u8], number: [u8; 8]) -> Batch {
        let loose = self.store.scan(Table::Change, &doc.id().to_bytes()).map_or(0, |c| c.len());
        if loose >= limits::LOOSE_CHANGES_MAX {
            return self.whole(doc);
        }
        Batch::new().put(Table::Change, [&doc.id().to_bytes()[..], &number].concat(), bytes)
    }

    /// The writes of a whole document as one snapshot.
    pub fn whole(&self, doc: &Document) -> Batch {
        let batch = self.without(doc.id());
        batch.put(Table::Document, doc.id().to_bytes(), doc.save())
    }

    /// The writes that remove a document; its outbox entries stay.
    pub fn without(&self, doc: DocId) -> Batch {
        let key = doc.to_bytes();
        let changes = self.store.scan(Table::Change, &key).unwrap_or_default();
        let batch = Batch::new().delete(Table::Document, key);
        changes.into_iter().fold(batch, |batch, (key, _)| batch.delete(Table::Change, key))
    }

    /// What has not been confirmed, in the order in which it was said.
    pub fn unsent(&self) -> &BTreeMap<u64, Unsent> {
        &self.unsent
    }

    /// Whether something of a document has not been confirmed.
    pub fn awaits(&self, doc: DocId) -> bool {
        self.unsent.values().any(|unsent| unsent.doc == doc)
    }

    /// An entry of the outbox, whole.
    pub fn outgoing_at(&self, number: u64) -> Result<Outgoing, DeviceError> {
        let bytes = self.store.get(Table::Outbox, &number.to_be_bytes())?;
        record::read(&bytes.ok_or_else(|| DeviceError::Damaged("an outbox entry is gone".into()))?)
    }

    /// The device's epoch for a document: counts up after each refusal, and is never taken back.
    pub fn epoch(&self, doc: DocId) -> Result<u32, DeviceError> {
        match self.store.get(Table::Meta, &record::epoch_key(doc))? {
            Some(bytes) => record::read(&bytes),
            None => Ok(0),
        }
    }
}

/// Under it stands the next number.
pub(super) const SEQUENCE: &[u8] = b"sequence";
