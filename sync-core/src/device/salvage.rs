//! What is left of a damaged store, taken over by a device that was enrolled anew.
//!
//! In: a store that opened after a loss. Out: the work in it that no relay has confirmed, said again by
//! the new device for the same person, each action at the time when it was done and under its own id, so
//! that what had reached the relay after all is not there twice. What cannot be said any more is held with
//! its reason. Taking over twice is taking over once. Nothing of the old store is changed; entries that do
//! not read are counted. Not here: copying and setting folders aside.

use super::record::{self, Held, Identity, Outgoing, PendingBlob};
use super::shelf::SEQUENCE;
use super::{Device, DeviceError};
use crate::command::Action;
use crate::command::write::carry_out;
use crate::document::history::fact_key;
use crate::document::{ChangeBytes, Document};
use crate::domain::fields::Map;
use crate::fact::kinds::Payload;
use crate::ids::BlobHash;
use crate::refusal::{Refusal, RefusalCode};
use crate::store::{Batch, DeviceStore, Table};
use crate::time::Now;

/// Numbers that are tried one by one at most: no device comes near, but a damaged store may say anything.
const NUMBERS_MAX: u64 = 1 << 20;

/// What could be read of a damaged store.
#[derive(Debug)]
pub struct Salvage {
    identity: Identity,
    unsent: Vec<Outgoing>,
    held: Vec<Held>,
    blobs: Vec<(BlobHash, PendingBlob, Vec<u8>)>,
    unreadable: u32,
}

/// What became of the salvaged work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TakenOver {
    /// Actions said again; they stand in the outbox.
    pub again: u32,
    /// Actions that had reached the relay.
    pub there: u32,
    /// Actions that cannot be said any more; they are held with their reasons.
    pub held: u32,
    /// Photos and files that wait for the relay again.
    pub blobs: u32,
    /// Entries that do not read.
    pub unreadable: u32,
}

impl Salvage {
    /// Reads what can be read, entry by entry.
    ///
    /// # Errors
    /// [`DeviceError::NotEnrolled`] or [`DeviceError::Damaged`] where it cannot be told whose work it is.
    pub fn read<S: DeviceStore>(store: &S) -> Result<Self, DeviceError> {
        let identity = store.get(Table::Meta, record::IDENTITY)?.ok_or(DeviceError::NotEnrolled)?;
        let mut found = Self {
            identity: record::read(&identity)?,
            unsent: Vec::new(),
            held: Vec::new(),
            blobs: Vec::new(),
            unreadable: 0,
        };
        found.outbox(store);
        let held = found.counted(store.scan(Table::Held, &[]).map_err(DeviceError::from)).unwrap_or_default();
        for (_, bytes) in held {
            let held = found.counted(record::read::<Held>(&bytes));
            found.held.extend(held);
        }
        let pending = store.scan(Table::Meta, record::PENDING).map_err(DeviceError::from);
        for (key, bytes) in found.counted(pending).unwrap_or_default() {
            let blob = found.counted(blob(store, &key, &bytes));
            found.blobs.extend(blob);
        }
        Ok(found)
    }

    /// The outbox: one by one where the numbers are known, since one bad value spoils a scan.
    fn outbox<S: DeviceStore>(&mut self, store: &S) {
        let last = store.get(Table::Meta, SEQUENCE).ok().flatten();
        let last = last.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let last = last.filter(|last| *last <= NUMBERS_MAX);
        let Some(last) = last else {
            let all = self.counted(store.scan(Table::Outbox, &[]).map_err(DeviceError::from));
            for (_, bytes) in all.unwrap_or_default() {
                let entry = self.counted(record::read(&bytes));
                self.unsent.extend(entry);
            }
            return;
        };
        for number in 1..=last {
            match store.get(Table::Outbox, &number.to_be_bytes()) {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    let entry = self.counted(record::read(&bytes));
                    self.unsent.extend(entry);
                }
                Err(_) => self.unreadable += 1,
            }
        }
    }

    fn counted<T>(&mut self, read: Result<T, DeviceError>) -> Option<T> {
        self.unreadable += u32::from(read.is_err());
        read.ok()
    }
}

fn blob<S: DeviceStore>(
    store: &S,
    key: &[u8],
    bytes: &[u8],
) -> Result<(BlobHash, PendingBlob, Vec<u8>), DeviceError> {
    let damaged = || DeviceError::Damaged("a photo or file".into());
    let hash = record::blob_in(record::PENDING, key)?;
    let bytes_of = store.get(Table::Blob, &hash.0)?.filter(|b| BlobHash::of(b) == hash);
    Ok((hash, record::read(bytes)?, bytes_of.ok_or_else(damaged)?))
}

impl<S: DeviceStore> Device<S> {
    /// Takes over what a damaged store of the same person held unsent. Sync first: what is here already
    /// is recognised by what the relay sent.
    ///
    /// # Errors
    /// [`RefusalCode::OnBehalf`] for another person's work; errors of the store.
    pub fn take_over(&mut self, found: Salvage, now: &Now) -> Result<TakenOver, DeviceError> {
        if found.identity.company != self.me.company || found.identity.person != self.me.person {
            return Err(Refusal::new(RefusalCode::OnBehalf).into());
        }
        let mut taken = TakenOver { unreadable: found.unreadable, ..TakenOver::default() };
        for (hash, pending, bytes) in found.blobs {
            let batch = Batch::new().put(Table::Blob, hash.0, bytes);
            let batch = batch.put(Table::Meta, record::pending_key(hash), record::cbor(&pending));
            self.shelf.commit(batch, [])?;
            taken.blobs += 1;
        }
        for held in found.held {
            let key = record::change_key(held.action.doc, held.hash);
            self.shelf.commit(Batch::new().put(Table::Held, key, record::cbor(&held)), [])?;
            taken.held += u32::from(held.resolution.is_none());
        }
        for outgoing in found.unsent {
            self.again(outgoing, now, &mut taken)?;
        }
        Ok(taken)
    }

    fn again(&mut self, outgoing: Outgoing, now: &Now, taken: &mut TakenOver) -> Result<(), DeviceError> {
        let mut doc = self.shelf.document(outgoing.doc)?.unwrap_or_else(|| Document::new(outgoing.doc));
        let action = &outgoing.action;
        let told = action.fact.as_ref().is_some_and(|(id, ..)| doc.value(Map::Log, &fact_key(*id)).is_some());
        if told || doc.has(outgoing.hash) {
            taken.there += 1;
            return Ok(());
        }
        match self.said_here(&mut doc, action, now) {
            Ok(Some(change)) => {
                let batch = self.shelf.outgoing(&doc, action, &change, outgoing.at_ms);
                let batch = batch.and(self.row(&doc));
                self.shelf.commit(batch, [doc])?;
                taken.again += 1;
            }
            Ok(None) => taken.there += 1,
            Err(refusal) => {
                self.shelf.commit(super::replay::hold(outgoing, refusal), [])?;
                taken.held += 1;
            }
        }
        Ok(())
    }

    fn said_here(
        &self,
        doc: &mut Document,
        action: &Action,
        now: &Now,
    ) -> Result<Option<ChangeBytes>, Refusal> {
        // What names a version that this device has not seen cannot be said of another.
        let foreign = |(_, kind, payload): &(_, u16, minicbor::bytes::ByteVec)| {
            Payload::from_cbor(*kind, payload)
                .is_ok_and(|p| p.seal().is_some_and(|heads| heads.iter().any(|h| !doc.has(*h))))
        };
        if action.fact.as_ref().is_some_and(foreign) {
            return Err(Refusal::new(RefusalCode::DependencyMissing));
        }
        let epoch = self.shelf.epoch(doc.id()).unwrap_or_default();
        let now_ms = now.unix_ms().max(action.stamp.best().0);
        carry_out(doc, action, self.author(epoch), self.rules(), now_ms)
    }
}
