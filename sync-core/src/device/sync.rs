//! The device's end of the session: frames in, frames out, no socket.
//!
//! [`Device::connect`] begins a connection; [`Device::handle`] takes one frame and gives those to send;
//! [`Device::pump`] gives what is new in the outbox. A change is pushed once for each connection and
//! leaves the outbox by its verdict only, so any frame may be lost, repeated or cut.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::{ByteArray, ByteVec};

use super::record::{self, Held, PendingBlob};
use super::replay::was_used;
use super::{Device, DeviceError};
use crate::admission;
use crate::directory::Directory;
use crate::document::{ChangeBytes, Document};
use crate::ids::{BlobHash, ChangeHash, DocId, Position};
use crate::limits;
use crate::refusal::{Refusal, RefusalCode};
use crate::store::{Batch, DeviceStore, Table};
use crate::time::{Now, Trusted};
use crate::wire::digest::heads_digest;
use crate::wire::frames::{
    Digest, Feed, FeedItem, Frame, Hello, Inventory, Need, Push, Resolution, Verdict, Verdicts, Welcome,
};
use crate::wire::{VERSION_MAX, VERSION_MIN};

/// The epoch of no relay: noted while a relay that was restored has not yet been given all it lacks.
const UNSETTLED: u64 = u64::MAX;

/// Values that an audit reads in one step.
const AUDIT_VALUES: usize = 10_000;

/// What is true of one connection only.
#[derive(Debug, Default)]
pub(super) struct Session {
    live: bool,
    caught_up: bool,
    agreed: Option<bool>,
    /// Outbox entries up to here were pushed on this connection.
    pushed: u64,
    next_push: u64,
    /// What was pushed on this connection and has no verdict yet, by push.
    in_flight: BTreeMap<u64, (DocId, Vec<ChangeHash>)>,
    /// Documents that were asked for on this connection, so that each is asked for once; true once
    /// they have come.
    asked: BTreeMap<DocId, bool>,
    /// The feed was read up to here; the cursor follows once everything that was asked for has come.
    reached: Position,
    /// Photos that were asked for on this connection: each part answers for the next.
    pub(super) asked_photos: BTreeSet<BlobHash>,
    refused: Option<Refusal>,
    /// The epoch of a restored relay, which is noted once what it lacks has been given to it.
    adopting: Option<u64>,
    /// It has answered the inventory: what it lacks is in flight.
    answered: bool,
}

fn broken(code: &'static str, message: impl std::fmt::Display) -> DeviceError {
    DeviceError::Protocol { code, message: message.to_string() }
}

/// Takes what is known here into a document as the relay has it. Gives what does not fit, since its author's
/// numbers were used for something else there: by a relay that lost it, or that made it up.
fn take_in(fresh: &mut Document, ours: Vec<ChangeBytes>) -> Vec<ChangeBytes> {
    if ours.is_empty() {
        return ours;
    }
    let mut whole = fresh.clone();
    if whole.restore(ours.iter().map(|change| change.bytes.as_slice())).is_ok() {
        *fresh = whole;
        return Vec::new();
    }
    let mut unfit = Vec::new();
    for change in ours {
        let mut next = fresh.clone();
        match next.restore([change.bytes.as_slice()]) {
            Ok(()) => *fresh = next,
            Err(_) => unfit.push(change),
        }
    }
    unfit
}

impl<S: DeviceStore> Device<S> {
    /// Begins a connection; the frames to send first.
    pub fn connect(&mut self, app: &str, now: &Now) -> Result<Vec<Frame>, DeviceError> {
        // Opening reads only what it needs; before anything is said to be in step, all of it is looked at.
        while !self.audited {
            self.audited = self.shelf.store.audit_step(AUDIT_VALUES)?.whole;
        }
        self.session = Session::default();
        let state = self.sync_view()?;
        Ok(vec![Frame::Hello(Hello {
            versions: (VERSION_MIN, VERSION_MAX),
            app: app.to_owned(),
            cursor: self.link.cursor,
            epoch: self.link.epoch,
            policy: self.policies.keys().last().copied().unwrap_or(0),
            unsent: state.unsent,
            oldest_unsent_ms: state.oldest_unsent_ms,
            held: state.held,
            blobs_pending: state.blobs_pending,
            wall_ms: now.unix_ms(),
        })])
    }

    /// The connection is gone; what was in flight will be said again.
    pub fn disconnected(&mut self) {
        self.session = Session::default();
    }

    /// Whether this connection has brought everything and the outbox is empty.
    pub fn is_in_step(&self) -> Result<bool, DeviceError> {
        Ok(self.session.live && self.session.caught_up && self.shelf.unsent().is_empty())
    }

    /// Whether the relay agreed with the digest that was asked about on this connection.
    pub fn agreement(&self) -> Option<bool> {
        self.session.agreed
    }

    /// Asks the relay whether both hold the same.
    pub fn ask_agreement(&mut self) -> Result<Frame, DeviceError> {
        self.session.agreed = None;
        let digest = self.digest()?;
        Ok(Frame::Digest(Digest {
            digest: ByteArray::from(digest.bytes()),
            documents: digest.documents(),
            cursor: self.link.cursor,
        }))
    }

    /// Takes one frame; gives the frames to send.
    pub fn handle(&mut self, frame: Frame, now: &Now) -> Result<Vec<Frame>, DeviceError> {
        if self.wiped && !matches!(frame, Frame::Wipe { .. }) {
            // What was under way when the device erased itself is not taken in any more.
            return Ok(Vec::new());
        }
        match frame {
            Frame::Welcome(welcome) => self.welcome(&welcome, now),
            Frame::Feed(feed) => self.feed(feed),
            Frame::Verdicts(verdicts) => self.verdicts(verdicts, now),
            // The question came right after the inventory: so did this, after what was asked for then.
            Frame::Agreement { .. } if self.session.adopting.is_some() && !self.session.answered => {
                self.session.answered = true;
                self.adopt()?;
                Ok(Vec::new())
            }
            Frame::Agreement { agree } => {
                self.session.agreed = Some(agree);
                if agree { Ok(Vec::new()) } else { self.inventory() }
            }
            Frame::BlobPart { hash, offset, bytes } => self.photo_part(hash, offset, &bytes),
            Frame::BlobState { hash, have: 0, complete: false } if self.wants(hash)? => {
                self.photo_missing(hash)
            }
            Frame::BlobState { hash, have, complete } => self.blob_state(hash, have, complete),
            Frame::Wipe { reason } => self.wipe(&reason),
            Frame::Failure { code, message } => Err(DeviceError::Relay { code, message }),
            other => Err(broken("unexpected_frame", other.kind())),
        }
    }

    fn welcome(&mut self, welcome: &Welcome, now: &Now) -> Result<Vec<Frame>, DeviceError> {
        if !(VERSION_MIN..=VERSION_MAX).contains(&welcome.version) {
            return Err(broken("version", welcome.version));
        }
        let another = self.link.epoch != 0 && self.link.epoch != welcome.epoch;
        // An older copy of its store was put back without a new epoch: it lacks what it had confirmed.
        let older = welcome.head < self.link.cursor;
        // A first sync that broke off may have brought what is no longer for this device, and no feed tells.
        let half = self.link.cursor == Position(0) && !self.all_rows()?.is_empty();
        let restored = another || older || half;
        if restored {
            // The relay is another incarnation: its positions say nothing about ours.
            self.link.cursor = Position(0);
            // A connection that breaks before the relay has everything must not be the last to compare.
            self.link.epoch = UNSETTLED;
            self.session.adopting = Some(welcome.epoch);
        } else {
            self.link.epoch = welcome.epoch;
        }
        self.link.trusted =
            Some(Trusted { unix_ms: welcome.now_ms, elapsed_ms: now.elapsed_ms, boot: now.boot });
        self.link.lease_until_ms = Some(welcome.lease_until_ms);
        self.shelf.commit(self.link_batch(), [])?;
        self.session.live = true;
        let mut frames = Vec::new();
        if restored {
            frames.extend(self.inventory()?);
            frames.push(self.ask_agreement()?);
            frames.extend(self.hand_in()?);
            self.offer_again()?;
        }
        frames.extend(self.pump()?);
        frames.extend(self.offers()?);
        frames.extend(self.gets()?);
        Ok(frames)
    }

    /// Notes a restored relay's epoch once it has everything that it asked for; then goes what left.
    fn adopt(&mut self) -> Result<(), DeviceError> {
        if !self.session.answered || !self.session.in_flight.is_empty() {
            return Ok(());
        }
        let Some(epoch) = self.session.adopting.take() else { return Ok(()) };
        self.link.epoch = epoch;
        self.shelf.commit(self.link_batch(), [])?;
        for row in self.all_rows()? {
            self.leave(row.doc)?;
        }
        Ok(())
    }

    fn link_batch(&self) -> Batch {
        Batch::new().put(Table::Meta, record::LINK, record::cbor(&self.link))
    }

    /// What is in the outbox and was not pushed on this connection, grouped by document.
    pub fn pump(&mut self) -> Result<Vec<Frame>, DeviceError> {
        if !self.session.live {
            return Ok(Vec::new());
        }
        let mut frames: Vec<Frame> = Vec::new();
        let new: Vec<u64> = self.shelf.unsent().range(self.session.pushed + 1..).map(|(n, _)| *n).collect();
        for number in new {
            let outgoing = self.shelf.outgoing_at(number)?;
            self.session.pushed = number;
            self.push(&mut frames, outgoing.doc, outgoing.hash, outgoing.bytes);
        }
        Ok(frames)
    }

    /// Adds a change to the last push, or begins another where it does not fit.
    fn push(&mut self, frames: &mut Vec<Frame>, doc: DocId, hash: ChangeHash, change: ByteVec) {
        let size = |p: &Push| p.changes.iter().map(|c| c.len()).sum::<usize>();
        if let Some(Frame::Push(last)) = frames.last_mut()
            && last.doc == doc
            && last.changes.len() < limits::PUSH_CHANGES_MAX
            && size(last) + change.len() < limits::FRAME_BYTES_MAX / 4
        {
            last.changes.push(change);
            let (_, hashes) = self.session.in_flight.entry(last.id).or_insert((doc, Vec::new()));
            hashes.push(hash);
            return;
        }
        self.session.next_push += 1;
        let id = self.session.next_push;
        self.session.in_flight.insert(id, (doc, vec![hash]));
        frames.push(Frame::Push(Push { id, doc, changes: vec![change] }));
    }

    fn feed(&mut self, feed: Feed) -> Result<Vec<Frame>, DeviceError> {
        let mut frames = Vec::new();
        for item in feed.items {
            frames.extend(self.item(item)?);
        }
        self.session.reached = self.session.reached.max(feed.upto);
        let complete = self.session.asked.values().all(|came| *came);
        if complete {
            self.link.cursor = self.link.cursor.max(self.session.reached);
            self.shelf.commit(self.link_batch(), [])?;
        }
        self.session.caught_up = complete && !feed.more;
        Ok(frames)
    }

    fn item(&mut self, item: FeedItem) -> Result<Vec<Frame>, DeviceError> {
        if let FeedItem::Snapshot { doc, .. } | FeedItem::Forget { doc } = &item {
            self.session.asked.entry(*doc).and_modify(|came| *came = true);
        }
        match item {
            FeedItem::Snapshot { doc, bytes } => return self.snapshot(doc, &bytes),
            FeedItem::Changes { doc, changes } => return self.changes(doc, changes),
            FeedItem::Forget { doc } => self.forget(doc)?,
            FeedItem::Resolved { doc, hash, resolution } => {
                self.resolved(doc, hash, resolution)?;
            }
            FeedItem::Policy { version, hash, bytes } => self.policy(version, hash, &bytes)?,
            FeedItem::Need { doc } => return self.everything(doc),
        }
        Ok(Vec::new())
    }

    fn snapshot(&mut self, doc: DocId, bytes: &[u8]) -> Result<Vec<Frame>, DeviceError> {
        let mut fresh = Document::load(doc, bytes)?;
        if fresh.is_blank() {
            return Err(broken("blank_snapshot", "a document in which nothing was said"));
        }
        let is_directory = doc == DocId::directory(self.me.company);
        if is_directory {
            let directory = crate::directory::Directory::read(&fresh);
            if directory.key.map(|k| k.0) != Some(*self.me.company_key) {
                return Err(broken("foreign_directory", "the directory is another company's"));
            }
            let rules = crate::directory::Rules { directory: &directory, policies: &self.policies };
            admission::verify_log(&fresh, &rules)?;
        } else {
            admission::verify_log(&fresh, &self.rules())?;
        }
        let ours = self.shelf.document(doc)?.map(|ours| ours.changes()).unwrap_or_default();
        let ours: Vec<_> = ours.into_iter().filter(|change| !fresh.has(change.hash)).collect();
        let unfit = take_in(&mut fresh, ours);
        if !unfit.is_empty() {
            // This may be the only copy: the relay gets it first. What it holds back leaves the document, which
            // is asked for again then.
            let mut frames = Vec::new();
            for change in unfit {
                self.push(&mut frames, doc, change.hash, change.bytes.into());
            }
            self.session.asked.insert(doc, false);
            return Ok(frames);
        }
        let batch = self.shelf.whole(&fresh).delete(Table::Meta, record::leaving_key(doc));
        let batch = batch.and(self.row(&fresh));
        self.shelf.commit(batch, [fresh])?;
        if is_directory {
            self.read_directory()?;
        }
        Ok(Vec::new())
    }

    fn changes(
        &mut self,
        doc: DocId,
        changes: Vec<minicbor::bytes::ByteVec>,
    ) -> Result<Vec<Frame>, DeviceError> {
        let Some(mut found) = self.shelf.document(doc)? else { return Ok(self.need(doc)) };
        let mut batch = Batch::new();
        for bytes in &changes {
            let before = found.heads();
            match admission::receive(&mut found, bytes, &self.rules()) {
                Ok(_) if found.heads() == before => {}
                Ok(_) => batch = batch.and(self.shelf.incoming(&found, bytes)),
                Err(refusal) if refusal.code == RefusalCode::DependencyMissing || was_used(&refusal) => {
                    return Ok(self.need(doc));
                }
                Err(refusal) => return Err(broken("bad_change", refusal)),
            }
        }
        if !batch.is_empty() {
            let batch = batch.and(self.row(&found));
            self.shelf.commit(batch, [found])?;
        }
        if doc == DocId::directory(self.me.company) {
            self.read_directory()?;
        }
        Ok(Vec::new())
    }

    fn need(&mut self, doc: DocId) -> Vec<Frame> {
        if self.session.asked.contains_key(&doc) {
            return Vec::new();
        }
        self.session.asked.insert(doc, false);
        vec![Frame::Need(Need { doc })]
    }

    /// A document leaves the scope: it goes once what is known of it here has reached the relay.
    fn forget(&mut self, doc: DocId) -> Result<(), DeviceError> {
        self.shelf.commit(Batch::new().put(Table::Meta, record::leaving_key(doc), []), [])?;
        self.leave(doc)
    }

    /// The writes by which a document goes. Should it come back, it may come from a relay that lost what this
    /// device said in it: what is said then has an epoch of its own.
    pub(super) fn evict(&self, doc: DocId) -> Result<Batch, DeviceError> {
        let found = self.shelf.document(doc)?;
        self.shelf.forget_warm(doc);
        let batch = self.shelf.without(doc).delete(Table::Meta, record::row_key(doc));
        let batch = batch.delete(Table::Meta, record::leaving_key(doc)).and(self.without_photos(doc));
        let Some(used) = found.and_then(|found| found.epoch_of(self.me.device)) else { return Ok(batch) };
        let epoch = used.max(self.shelf.epoch(doc)?) + 1;
        Ok(batch.put(Table::Meta, record::epoch_key(doc), record::cbor(&epoch)))
    }

    /// Notes what became of a held change; whether it was waiting here until now.
    fn resolved(&mut self, doc: DocId, hash: ChangeHash, what: Resolution) -> Result<bool, DeviceError> {
        let key = record::change_key(doc, hash);
        let Some(bytes) = self.shelf.store.get(Table::Held, &key)? else { return Ok(false) };
        let held: Held = record::read(&bytes)?;
        let waited = held.resolution.is_none();
        let held = Held { resolution: Some(what), ..held };
        self.shelf.commit(Batch::new().put(Table::Held, key, record::cbor(&held)), [])?;
        Ok(waited)
    }

    fn policy(&mut self, version: u32, hash: BlobHash, bytes: &[u8]) -> Result<(), DeviceError> {
        let opened = crate::policy::publish::Published::open(bytes, hash);
        let policy = opened.map_err(|e| broken("bad_policy", e))?;
        if policy.version != version {
            return Err(broken("bad_policy", "another version than it says"));
        }
        self.shelf.commit(Batch::new().put(Table::Meta, record::policy_key(version), bytes), [])?;
        self.policies.insert(version, policy.policy);
        Ok(())
    }

    /// The relay lacks changes of a document (it was restored): everything that is here, our own first.
    fn everything(&mut self, doc: DocId) -> Result<Vec<Frame>, DeviceError> {
        let Some(found) = self.shelf.document(doc)? else { return Ok(Vec::new()) };
        let mut frames = Vec::new();
        for change in found.changes() {
            self.push(&mut frames, doc, change.hash, change.bytes.into());
        }
        Ok(frames)
    }

    /// What is held here, as it was written: the tray of a restored relay is as old as its copy.
    fn hand_in(&mut self) -> Result<Vec<Frame>, DeviceError> {
        let mut frames = Vec::new();
        for held in self.held()?.into_iter().filter(|held| held.resolution.is_none()) {
            self.push(&mut frames, held.action.doc, held.hash, held.bytes);
        }
        for (key, bytes) in self.shelf.store.scan(Table::Meta, record::LET_GO)? {
            let (doc, hash) = record::let_go_in(&key)?;
            self.push(&mut frames, doc, hash, bytes.into());
        }
        Ok(frames)
    }

    fn inventory(&self) -> Result<Vec<Frame>, DeviceError> {
        let rows = self.all_rows()?;
        let all: Vec<(DocId, ByteArray<8>)> =
            rows.iter().map(|row| (row.doc, ByteArray::from(heads_digest(row.doc, &row.heads)))).collect();
        let mut chunks: Vec<_> = all.chunks(limits::INVENTORY_MAX).map(<[_]>::to_vec).collect();
        if chunks.is_empty() {
            chunks.push(Vec::new());
        }
        let count = chunks.len();
        let frame = |(i, documents)| Frame::Inventory(Inventory { documents, last: i + 1 == count });
        Ok(chunks.into_iter().enumerate().map(frame).collect())
    }

    fn verdicts(&mut self, verdicts: Verdicts, now: &Now) -> Result<Vec<Frame>, DeviceError> {
        // Verdicts that come twice, or for another connection's push, name nothing.
        let Some((doc, pushed)) = self.session.in_flight.remove(&verdicts.id) else { return Ok(Vec::new()) };
        let outbox: BTreeMap<ChangeHash, u64> =
            self.shelf.unsent().iter().map(|(number, unsent)| (unsent.hash, *number)).collect();
        let (mut batch, mut held, mut entered) = (Batch::new(), Vec::new(), Vec::new());
        for (hash, verdict) in pushed.into_iter().zip(verdicts.verdicts) {
            match (verdict, outbox.get(&hash)) {
                (Verdict::Admitted { .. }, Some(number)) => {
                    batch = batch.delete(Table::Outbox, number.to_be_bytes());
                }
                (Verdict::Admitted { .. }, None) => entered.push(hash),
                (Verdict::Held { refusal }, _) => held.push((hash, refusal)),
            }
        }
        self.shelf.commit(batch, [])?;
        let mut frames = Vec::new();
        for hash in entered {
            let key = record::let_go_key(doc, hash);
            let let_go = self.shelf.store.get(Table::Meta, &key)?.is_some();
            if let_go {
                self.shelf.commit(Batch::new().delete(Table::Meta, key), [])?;
            }
            if self.resolved(doc, hash, Resolution::Released)? || let_go {
                // It was held, and a restored relay let it in: the feed leaves out what is our own.
                frames.extend(self.need(doc));
            }
        }
        if let Some((_, why)) = held.iter().find(|(_, why)| why.code == RefusalCode::DeviceRevoked) {
            self.session.refused = Some(why.clone());
        }
        if held.iter().any(|(_, why)| was_used(why)) {
            // What has those numbers is this device's own, and the feed leaves that out.
            frames.extend(self.need(doc));
        }
        let answered: BTreeSet<ChangeHash> = held.iter().map(|(hash, _)| *hash).collect();
        // What is refused only for building on a refused one is said again, not held.
        if held.iter().any(|(_, why)| why.code != RefusalCode::DependencyMissing) {
            held.retain(|(_, why)| why.code != RefusalCode::DependencyMissing);
        }
        if !held.is_empty() {
            self.refuse(doc, &held, &answered, now)?;
            if self.session.asked.get(&doc) == Some(&false) {
                self.session.asked.remove(&doc);
                frames.extend(self.need(doc));
            }
        }
        self.leave(doc)?;
        self.adopt()?;
        frames.extend(self.pump()?);
        Ok(frames)
    }

    /// Evicts a document that left the scope, once nothing of it is unsent or under way and no restored
    /// relay may still ask for it: until then this may be the only copy.
    fn leave(&mut self, doc: DocId) -> Result<(), DeviceError> {
        let leaving = self.shelf.store.get(Table::Meta, &record::leaving_key(doc))?.is_some();
        let under_way = self.session.in_flight.values().any(|(pushed, _)| *pushed == doc);
        if leaving && !under_way && self.session.adopting.is_none() && !self.shelf.awaits(doc) {
            let batch = self.evict(doc)?;
            self.shelf.commit(batch, [])?;
        }
        Ok(())
    }

    /// Offers of the photos and files that the relay does not have whole.
    pub fn offers(&self) -> Result<Vec<Frame>, DeviceError> {
        let pending = self.shelf.store.scan(Table::Meta, record::PENDING)?;
        let offer = |(key, bytes): &(Vec<u8>, Vec<u8>)| {
            let hash = record::blob_in(record::PENDING, key)?;
            let PendingBlob { doc, media, size } = record::read(bytes)?;
            Ok(Frame::BlobOffer { hash, size, media, doc })
        };
        pending.iter().map(offer).collect()
    }

    /// Whether photos and files of this device have not been confirmed.
    fn owes_photos(&self) -> Result<bool, DeviceError> {
        Ok(!self.shelf.store.scan(Table::Meta, record::PENDING)?.is_empty())
    }

    fn blob_state(&mut self, hash: BlobHash, have: u64, complete: bool) -> Result<Vec<Frame>, DeviceError> {
        if complete {
            let Some(offered) = self.shelf.store.get(Table::Meta, &record::pending_key(hash))? else {
                return Ok(Vec::new());
            };
            let batch = Batch::new().delete(Table::Meta, record::pending_key(hash));
            self.shelf.commit(batch.put(Table::Meta, record::given_key(hash), offered), [])?;
            return Ok(Vec::new());
        }
        let Some(bytes) = self.shelf.store.get(Table::Blob, &hash.0)? else { return Ok(Vec::new()) };
        let from = usize::try_from(have).unwrap_or(usize::MAX).min(bytes.len());
        let to = (from + limits::BLOB_PART_BYTES_MAX).min(bytes.len());
        Ok(vec![Frame::BlobPart { hash, offset: from as u64, bytes: bytes[from..to].to_vec() }])
    }

    /// Erases everything; the receipt is signed before the key goes.
    ///
    /// What the relay does not have goes there first: it answers that, and then asks once more.
    fn wipe(&mut self, reason: &Refusal) -> Result<Vec<Frame>, DeviceError> {
        let under_way = !self.session.in_flight.is_empty() || self.session.adopting.is_some();
        if under_way || !self.shelf.unsent().is_empty() || self.owes_photos()? {
            return self.pump();
        }
        let statement = format!("gendan/wiped/1 {} {}", self.me.device, reason.code.as_str());
        let receipt = self.key.sign(statement.as_bytes()).to_vec();
        self.shelf.store.erase()?;
        self.shelf.forget_all_warm();
        (self.directory, self.wiped) = (Directory::default(), true);
        self.session = Session { refused: Some(reason.clone()), ..Session::default() };
        Ok(vec![Frame::Wiped { receipt }])
    }

    /// Whether the relay shut this device out, and why.
    pub fn shut_out(&self) -> Option<&Refusal> {
        self.session.refused.as_ref()
    }
}
