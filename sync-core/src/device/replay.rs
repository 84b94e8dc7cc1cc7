//! After a refusal: the document without what was refused, and what was said after it said again.
//!
//! The refused change and everything built on it leave the document. The device's later actions are
//! carried out anew under a new epoch (sequence numbers are never used twice); what cannot be said
//! without the refused one is held beside it, with its own reason, once the relay has it as it was
//! written: until then it stays in the outbox, so that nothing lives on this device alone. One batch
//! moves all of it.

use std::collections::BTreeSet;

use super::record::{self, Held, Outgoing};
use super::{Device, DeviceError};
use crate::command::Action;
use crate::command::write::carry_out;
use crate::document::untrusted::SEQUENCE_USED;
use crate::document::{ChangeBytes, Document};
use crate::ids::{ChangeHash, DocId};
use crate::refusal::{Refusal, RefusalCode};
use crate::store::{Batch, DeviceStore, Table};
use crate::time::Now;

impl<S: DeviceStore> Device<S> {
    /// Takes refused changes out of a document and says the rest again. `answered`: what the relay has
    /// and holds.
    pub(super) fn refuse(
        &mut self,
        doc: DocId,
        refused: &[(ChangeHash, Refusal)],
        answered: &BTreeSet<ChangeHash>,
        now: &Now,
    ) -> Result<(), DeviceError> {
        let numbers = self.shelf.unsent().iter().filter(|(_, unsent)| unsent.doc == doc).map(|(n, _)| *n);
        let whole = numbers.map(|number| Ok((number, self.shelf.outgoing_at(number)?)));
        let outbox = whole.collect::<Result<Vec<(u64, Outgoing)>, DeviceError>>()?;
        let current = self.shelf.document(doc)?.unwrap_or_else(|| Document::new(doc));
        let unsent = |hash: &ChangeHash| outbox.iter().any(|(_, outgoing)| outgoing.hash == *hash);
        // What was handed in is in no document any more, and a verdict that comes late finds nothing.
        let stands = |hash: &ChangeHash| current.has(*hash) || unsent(hash);
        let hashes: Vec<ChangeHash> = refused.iter().map(|(hash, _)| *hash).filter(stands).collect();
        if hashes.is_empty() {
            return Ok(());
        }
        let dropped = current.history().dependents(&hashes);
        let (gone, kept): (Vec<_>, Vec<_>) =
            current.changes().into_iter().partition(|change| dropped.contains(&change.hash));
        let mut rebuilt = Document::new(doc);
        rebuilt.restore(kept.iter().map(|c| c.bytes.as_slice()))?;
        let epoch = self.shelf.epoch(doc)? + 1;
        let mut batch = Batch::new().put(Table::Meta, record::epoch_key(doc), record::cbor(&epoch));
        for change in gone.into_iter().filter(|change| !unsent(&change.hash)) {
            batch = batch.put(Table::Meta, record::let_go_key(doc, change.hash), change.bytes);
        }
        let mut again = Vec::new();
        for (number, outgoing) in
            outbox.into_iter().filter(|(_, o)| dropped.contains(&o.hash) || hashes.contains(&o.hash))
        {
            let why = refused.iter().find(|(hash, _)| *hash == outgoing.hash).map(|(_, why)| why.clone());
            let outcome = match why {
                Some(why) if !was_used(&why) => Err(why),
                _ => self.say_again(&mut rebuilt, &outgoing.action, &dropped, epoch, now),
            };
            if outcome.is_err() && !answered.contains(&outgoing.hash) {
                // The relay gets it as it was written, and its verdict will hold it.
                continue;
            }
            batch = batch.delete(Table::Outbox, number.to_be_bytes());
            match outcome {
                Ok(change) => again.push((outgoing.action, change, outgoing.at_ms)),
                Err(refusal) => batch = batch.and(hold(outgoing, refusal)),
            }
        }
        for (action, change, at_ms) in &again {
            let entry = self.shelf.outgoing(&rebuilt, action, change, *at_ms);
            batch = batch.and(entry);
        }
        if rebuilt.is_blank() {
            // The opening itself was refused: no empty order stays in the lists. The epoch stays burnt.
            batch = batch.and(self.evict(doc)?);
            return self.shelf.commit(batch, []);
        }
        batch = batch.and(self.shelf.whole(&rebuilt)).and(self.row(&rebuilt));
        self.shelf.commit(batch, [rebuilt])?;
        if doc == DocId::directory(self.me.company) { self.read_directory() } else { Ok(()) }
    }

    fn say_again(
        &self,
        doc: &mut Document,
        action: &Action,
        dropped: &[ChangeHash],
        epoch: u32,
        now: &Now,
    ) -> Result<ChangeBytes, Refusal> {
        // What names a version that is gone, such as a signature under it, cannot be said of another.
        let names = |(_, kind, payload): &(_, u16, minicbor::bytes::ByteVec)| {
            crate::fact::kinds::Payload::from_cbor(*kind, payload)
                .is_ok_and(|p| p.seal().is_some_and(|heads| heads.iter().any(|h| dropped.contains(h))))
        };
        if action.fact.as_ref().is_some_and(names) {
            return Err(Refusal::new(RefusalCode::DependencyMissing));
        }
        let now_ms = now.unix_ms().max(action.stamp.best().0);
        // What changes nothing without the refused one, such as an edit taken back, is no less said.
        let said = carry_out(doc, action, self.author(epoch), self.rules(), now_ms)?;
        said.ok_or_else(|| Refusal::new(RefusalCode::DependencyMissing))
    }
}

/// Whether a change was refused for its sequence number alone: the store was once an older copy, and what
/// this device said before it has that number at the relay.
pub(super) fn was_used(why: &Refusal) -> bool {
    why.code == RefusalCode::Malformed && why.params.get("reason").is_some_and(|r| r == SEQUENCE_USED)
}

pub(super) fn hold(outgoing: Outgoing, refusal: Refusal) -> Batch {
    let held = Held {
        hash: outgoing.hash,
        refusal,
        at_ms: outgoing.at_ms,
        resolution: None,
        bytes: outgoing.bytes,
        action: outgoing.action,
    };
    Batch::new().put(Table::Held, record::change_key(outgoing.doc, held.hash), record::cbor(&held))
}
