//! The gate: pushed changes are judged, stored durably or held whole, and answered.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::admission::{Gate, Stage, admit};
use sync_core::authority::may_be_charged;
use sync_core::document::{ChangeBytes, Document};
use sync_core::fact::Fact;
use sync_core::fact::kinds::Payload;
use sync_core::fold::outline;
use sync_core::ids::{ChangeHash, CommandId, DeviceId, DocId, DocKind, PersonId, Position};
use sync_core::refusal::{Refusal, RefusalCode};
use sync_core::time::UnixMs;
use sync_core::wire::frames::{Push, Resolution, Verdict, Verdicts};

use super::audience;
use super::{Footing, Relay, RelayError, moments};
use crate::log::{Batch, Entry, HeldChange, HeldState};

/// Who pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The device.
    pub device: DeviceId,
    /// Its person.
    pub person: PersonId,
}

/// What one piece of work adds to the log, gathered before it is appended.
#[derive(Default)]
pub(super) struct Gathered {
    pub entries: Vec<Entry>,
    pub held: Vec<HeldChange>,
    /// Admitted changes: the index of their entry.
    admitted: Vec<(ChangeHash, usize)>,
    /// What was held of the document before, whatever became of it.
    earlier: Vec<HeldChange>,
    /// Small records of the relay that stand or fall with them.
    pub records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Whether one of them may change who sees the document.
    moves: bool,
}

impl Gathered {
    pub fn admit(&mut self, doc: DocId, change: ChangeBytes, device: DeviceId, fact: Option<&Payload>) {
        self.moves |= fact.is_some_and(audience::moves);
        self.admitted.push((change.hash, self.entries.len()));
        self.entries.push(Entry::Change { doc, hash: change.hash, device, bytes: Some(change.bytes) });
    }
    /// An action that was held and has now been said again under a new epoch needs no release any more.
    fn replayed(&mut self, command: CommandId, as_hash: ChangeHash) {
        let waiting = self.earlier.iter().filter(|held| held.state == HeldState::Waiting);
        let same = waiting.filter(|held| held.command == Some(command) && held.hash != as_hash);
        let state = HeldState::Replayed { as_hash };
        self.held.extend(same.map(|held| HeldChange { state: state.clone(), ..held.clone() }));
    }
    fn has_admitted(&self) -> bool {
        !self.admitted.is_empty()
    }
}

impl Relay {
    /// Judges a push; every change of it gets a verdict, durable before this returns.
    pub fn push(&self, peer: Peer, push: Push, now_ms: UnixMs) -> Result<Verdicts, RelayError> {
        let doc = push.doc;
        let verdicts = self.shelf.with(doc, |found| {
            let mut stage = Stage::new(doc, found.as_ref());
            let mut gathered = Gathered { earlier: self.tray(doc, false)?, ..Gathered::default() };
            let mut verdicts: Vec<(ChangeHash, Option<Verdict>)> = Vec::new();
            for bytes in push.changes {
                let change = ChangeBytes { hash: digest(&bytes), bytes: bytes.into() };
                let verdict = self.one(&mut stage, &change, peer, now_ms, &mut gathered)?;
                verdicts.push((change.hash, verdict));
            }
            if gathered.has_admitted() {
                self.retry_waiting(&mut stage, now_ms, &mut gathered, came_early)?;
            }
            let moves = gathered.moves;
            let positions = self.settle(found, stage.into_document(), gathered, now_ms)?;
            Ok((verdicts, positions, moves))
        })?;
        let (verdicts, positions, moves) = verdicts;
        if moves {
            self.retry_facet(doc, now_ms)?;
        }
        let answer = |(hash, verdict): (ChangeHash, Option<Verdict>)| {
            let entered =
                || Verdict::Admitted { position: positions.get(&hash).copied().unwrap_or_default() };
            verdict.unwrap_or_else(entered)
        };
        Ok(Verdicts { id: push.id, at_ms: now_ms, verdicts: verdicts.into_iter().map(answer).collect() })
    }

    /// One change; `None` where it enters with what is gathered.
    fn one(
        &self,
        stage: &mut Stage<'_>,
        change: &ChangeBytes,
        peer: Peer,
        now_ms: UnixMs,
        gathered: &mut Gathered,
    ) -> Result<Option<Verdict>, RelayError> {
        let doc = stage.document().id();
        // What the document has is in the log, unless it came with this push.
        let known = stage.document().has(change.hash);
        if let Some(position) = known.then(|| self.log.position_of(doc, change.hash)).transpose()?.flatten() {
            return Ok(Some(Verdict::Admitted { position }));
        }
        if known && gathered.admitted.iter().any(|(hash, _)| *hash == change.hash) {
            return Ok(None);
        }
        let earlier = gathered.earlier.iter().find(|held| held.hash == change.hash).cloned();
        if let Some(earlier) = earlier.as_ref().filter(|h| !may_enter_now(h, peer)) {
            return Ok(Some(Verdict::Held { refusal: earlier.reason.clone() }));
        }
        let footing = self.footing();
        let barred = match self.shut_out(&footing, peer) {
            Some(refusal) => Some(refusal),
            None => self.money_barred(&footing, peer, (doc, &change.bytes), now_ms)?,
        };
        let barred = match barred {
            Some(refusal) => Some(refusal),
            None => self.names_a_missing_policy(peer, doc, &change.bytes)?,
        };
        let verdict = match barred {
            Some(refusal) => Err(refusal),
            None => {
                let gate = Gate {
                    rules: footing.rules(),
                    device: peer.device,
                    person: peer.person,
                    now_ms,
                    released: false,
                };
                admit(stage, &change.bytes, &gate)
            }
        };
        match verdict {
            Ok(admitted) => {
                gathered.replayed(admitted.command, change.hash);
                // The same change, held when it came too early or by another device, has entered.
                let state = HeldState::Replayed { as_hash: change.hash };
                gathered.held.extend(earlier.map(|h| HeldChange { state, ..h }));
                let fact = admitted.fact.as_ref().map(|f| &f.payload);
                gathered.admit(doc, admitted.change, peer.device, fact);
                Ok(None)
            }
            // Somebody else's, which is held already: it stays in its author's name.
            Err(refusal) if refusal.code == RefusalCode::ForeignActor && earlier.is_some() => {
                Ok(Some(Verdict::Held { refusal }))
            }
            Err(refusal) => {
                gathered.held.push(hold(doc, change, peer, now_ms, refusal.clone()));
                Ok(Some(Verdict::Held { refusal }))
            }
        }
    }

    fn shut_out(&self, footing: &Footing, peer: Peer) -> Option<Refusal> {
        match footing.directory.devices.get(&peer.device) {
            Some(device) if device.revoked.is_some() => Some(Refusal::new(RefusalCode::DeviceRevoked)),
            Some(device) if device.person != peer.person => Some(Refusal::new(RefusalCode::OnBehalf)),
            Some(_) => None,
            // The founding device enters with its first fact.
            None if footing.directory.key.is_none() => None,
            None => Some(Refusal::new(RefusalCode::DeviceRevoked)),
        }
    }

    /// Prices and payments have no store and no steps of their own: they are within reach of whom their
    /// subject is, and nothing is paid for what is free of charge.
    fn money_barred(
        &self,
        footing: &Footing,
        peer: Peer,
        (doc, bytes): (DocId, &[u8]),
        now_ms: UnixMs,
    ) -> Result<Option<Refusal>, RelayError> {
        // Somebody without a role is refused as such, by the rulebook.
        if !doc.kind().is_money() || footing.rules().scopes(peer.person, now_ms).is_empty() {
            return Ok(None);
        }
        let subject = self.log.audience(doc.subject())?;
        if subject.is_empty() {
            // Whose it is will be known once its order or ticket is here.
            return Ok(Some(Refusal::new(RefusalCode::DependencyMissing)));
        }
        let tags = audience::money_tags(doc, &subject);
        if !audience::visible(&tags, &footing.interests(peer.person, now_ms)) {
            return Ok(Some(Refusal::new(RefusalCode::OutOfScope)));
        }
        let charges = |fact: &Fact| matches!(&fact.payload, Payload::Payment(paid) if paid.charges());
        if !facts_in(bytes).iter().any(charges) {
            return Ok(None);
        }
        let charged =
            self.look(doc.subject(), |subject| may_be_charged(&outline(subject), &footing.rules()))?;
        Ok(charged.and_then(Result::err))
    }

    /// What is held of a document and waits for a decision or a dependency.
    pub fn waiting(&self, doc: DocId) -> Result<Vec<HeldChange>, RelayError> {
        self.tray(doc, true)
    }

    fn tray(&self, doc: DocId, waiting: bool) -> Result<Vec<HeldChange>, RelayError> {
        let filter = crate::log::HeldFilter { doc: Some(doc), waiting, ..Default::default() };
        Ok(self.log.held(&filter, None, usize::MAX)?)
    }

    /// The prices of an order or ticket that came before it did enter once it has; so do those of whoever
    /// opened it, where another of the same number was here first and is out of their reach.
    pub(super) fn retry_facet(&self, doc: DocId, now_ms: UnixMs) -> Result<(), RelayError> {
        let Some(facet) = doc.kind().money().map(|kind| doc.facet(kind)) else { return Ok(()) };
        let early = |held: &HeldChange| came_early(held) || held.reason.code == RefusalCode::OutOfScope;
        if !self.waiting(facet)?.iter().any(early) {
            return Ok(());
        }
        let openers = |subject: &Document| outline(subject).openings().map(|(author, _)| author).collect();
        let openers: BTreeSet<PersonId> = self.look(doc, openers)?.unwrap_or_default();
        let early = |held: &HeldChange| came_early(held) || (early(held) && openers.contains(&held.person));
        self.shelf.with(facet, |found| {
            let mut stage = Stage::new(facet, found.as_ref());
            let mut gathered = Gathered { earlier: self.waiting(facet)?, ..Gathered::default() };
            self.retry_waiting(&mut stage, now_ms, &mut gathered, early)?;
            self.settle(found, stage.into_document(), gathered, now_ms).map(drop)
        })
    }

    /// What was held only because it came early enters once what it waited for has.
    fn retry_waiting(
        &self,
        stage: &mut Stage<'_>,
        now_ms: UnixMs,
        gathered: &mut Gathered,
        early: impl Fn(&HeldChange) -> bool,
    ) -> Result<(), RelayError> {
        let footing = self.footing();
        let doc = stage.document().id();
        let mut waiting = std::mem::take(&mut gathered.earlier);
        waiting.retain(|h| h.state == HeldState::Waiting && early(h));
        waiting.retain(|h| !gathered.held.iter().any(|g| g.hash == h.hash));
        loop {
            let before = waiting.len();
            let mut still = Vec::new();
            for held in waiting {
                let gate = Gate {
                    rules: footing.rules(),
                    device: held.device,
                    person: held.person,
                    now_ms: held.at_ms,
                    released: false,
                };
                let peer = Peer { device: held.device, person: held.person };
                let verdict = match self.money_barred(&footing, peer, (doc, &held.bytes), held.at_ms)? {
                    Some(refusal) => Err(refusal),
                    None => admit(stage, &held.bytes, &gate),
                };
                match verdict {
                    Ok(admitted) => {
                        // Not as the device's own: it dropped the change when it was held.
                        let fact = admitted.fact.as_ref().map(|f| &f.payload);
                        gathered.admit(doc, admitted.change, RELAY, fact);
                        gathered.entries.push(resolved(&held, Resolution::Released));
                        let state = HeldState::Released { by: held.person, at_ms: now_ms };
                        gathered.held.push(HeldChange { state, ..held });
                    }
                    Err(reason) if reason.code == RefusalCode::DependencyMissing => still.push(held),
                    // What it builds on is there now; what else stands in its way is told instead.
                    Err(reason) => gathered.held.push(HeldChange { reason, ..held }),
                }
            }
            if still.len() == before || still.is_empty() {
                return Ok(());
            }
            waiting = still;
        }
    }

    /// Appends what was gathered, and only then lets the stage be the document.
    pub(super) fn settle(
        &self,
        found: &mut Option<Document>,
        stage: Document,
        mut gathered: Gathered,
        now_ms: UnixMs,
    ) -> Result<BTreeMap<ChangeHash, Position>, RelayError> {
        if gathered.entries.is_empty() && gathered.held.is_empty() {
            return Ok(BTreeMap::new());
        }
        let doc = stage.id();
        let mut records = std::mem::take(&mut gathered.records);
        if doc.kind() == DocKind::Directory && gathered.has_admitted() {
            // What came by itself until now is entered before what is said now.
            self.moments(now_ms)?;
            records.push(moments::as_of(now_ms));
        }
        let first = found.is_none() || is_named_by_others(doc.kind());
        if gathered.moves || (gathered.has_admitted() && first) {
            self.audiences(&stage, &mut gathered)?;
        }
        let mut after = None;
        if doc.kind() == DocKind::Directory && gathered.has_admitted() {
            let footing = self.footing_of(Some(&stage), &records)?;
            gathered.entries.extend(moments::moved((&self.footing(), now_ms), (&footing, now_ms)));
            after = Some(footing);
        }
        let count = gathered.entries.len() as u64;
        let batch = Batch {
            entries: gathered.entries,
            heads: (!gathered.admitted.is_empty()).then(|| (doc, stage.heads())),
            held: gathered.held,
            records,
            at_ms: now_ms,
        };
        let last = self.append(batch)?;
        let position = |index: usize| Position(last.0 + 1 + index as u64 - count);
        let positions = gathered.admitted.iter().map(|(hash, index)| (*hash, position(*index))).collect();
        if !gathered.admitted.is_empty() {
            after.into_iter().for_each(|after| self.set_footing(after));
            *found = Some(stage);
        }
        Ok(positions)
    }

    /// The entries by which the document's tags follow the changes.
    fn audiences(&self, stage: &Document, gathered: &mut Gathered) -> Result<(), RelayError> {
        let doc = stage.id();
        let before = self.log.audience(doc)?;
        if doc.kind().is_money() {
            let after = audience::money_tags(doc, &self.log.audience(doc.subject())?);
            gathered.entries.extend(audience::moved(doc, &before, &after));
            return Ok(());
        }
        let after = audience::tags(&outline(stage));
        gathered.entries.extend(audience::moved(doc, &before, &after));
        if let Some(facet) = doc.kind().money().map(|kind| doc.facet(kind)) {
            let had = self.log.audience(facet)?;
            if !had.is_empty() {
                gathered.entries.extend(audience::moved(facet, &had, &audience::money_tags(facet, &after)));
            }
        }
        Ok(())
    }
}

/// Whether a change was held only for what it builds on.
fn came_early(held: &HeldChange) -> bool {
    held.reason.code == RefusalCode::DependencyMissing
}

/// Whether a held change is judged anew where it comes again: what it builds on may be here now, and what
/// another device gave back to a restored relay may come from its author.
fn may_enter_now(held: &HeldChange, peer: Peer) -> bool {
    match held.reason.code {
        RefusalCode::DependencyMissing => true,
        RefusalCode::ForeignActor => held.device != peer.device,
        _ => false,
    }
}

/// Whether who sees a document follows from another one, or decides for others.
const fn is_named_by_others(kind: DocKind) -> bool {
    kind.is_money() || matches!(kind, DocKind::Directory)
}

/// In whose name the log notes a change that no connected device wrote just now.
pub(super) const RELAY: DeviceId = DeviceId::from_bytes([0; 16]);

/// The entry that tells a device what became of a change that was held.
pub(super) fn resolved(held: &HeldChange, resolution: Resolution) -> Entry {
    Entry::Resolved { doc: held.doc, hash: held.hash, device: held.device, resolution }
}

/// The hash that a change's chunk has: over its type, length and body. What is too short to be one is
/// held under the hash of what there is.
fn digest(bytes: &[u8]) -> ChangeHash {
    use sha2::{Digest as _, Sha256};
    ChangeHash(Sha256::digest(bytes.get(8..).unwrap_or(bytes)).into())
}

fn hold(doc: DocId, change: &ChangeBytes, peer: Peer, now_ms: UnixMs, reason: Refusal) -> HeldChange {
    let read = sync_core::document::untrusted::Untrusted::parse(&change.bytes).ok();
    HeldChange {
        doc,
        hash: change.hash,
        device: peer.device,
        person: peer.person,
        command: read.map(|r| r.command),
        bytes: change.bytes.clone(),
        at_ms: now_ms,
        reason,
        state: HeldState::Waiting,
    }
}

/// The facts that held bytes carry, for showing what was meant; unreadable ones are left out.
pub fn facts_in(bytes: &[u8]) -> Vec<Fact> {
    use sync_core::document::Edit;
    use sync_core::domain::fields::{Map, Value};
    let Ok(read) = sync_core::document::untrusted::Untrusted::parse(bytes) else { return Vec::new() };
    let fact = |edit: &Edit| match edit {
        Edit::Put(Map::Log, _, Value::Bytes(bytes)) => Fact::read(bytes).ok(),
        _ => None,
    };
    read.edits.iter().filter_map(fact).collect()
}
