//! The device's end of the session: frames in, frames out, no socket.
//!
//! [`Device::connect`] begins a connection; [`Device::handle`] takes one frame and gives those to send;
//! [`Device::pump`] gives what is new in the outbox. A change is pushed once for each connection and
//! leaves the outbox by its verdict only, so any frame may be lost, repeated or cut.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::{ByteArray, ByteVec};

use super::record::{self, Held, Outgoing, PendingBlob};
use super::{Device, DeviceError};
use crate::admission;
use crate::directory::Directory;
use crate::document::Document;
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
    in_flight: BTreeMap<u64, Vec<ChangeHash>>,
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
            Frame::Failure { code, message } => Err(broken("relay_failed", format!("{code}: {message}"))),
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
            self.offer_again()?;
        }
        frames.extend(self.pump()?);
        frames.extend(self.offers()?);
        frames.extend(self.gets()?);
        Ok(frames)
    }

    /// Notes a restored relay's epoch once it has everything that it asked for.
    fn adopt(&mut self) -> Result<(), DeviceError> {
        if !self.session.answered || !self.session.in_flight.is_empty() {
            return Ok(());
        }
        let Some(epoch) = self.session.adopting.take() else { return Ok(()) };
        self.link.epoch = epoch;
        self.shelf.commit(self.link_batch(), [])
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
            self.push(&mut frames, outgoing);
        }
        Ok(frames)
    }

    fn push(&mut self, frames: &mut Vec<Frame>, outgoing: Outgoing) {
        let (hash, change) = (outgoing.hash, outgoing.bytes);
        let size = |p: &Push| p.changes.iter().map(|c| c.len()).sum::<usize>();
        if let Some(Frame::Push(last)) = frames.last_mut() {
            let fits = last.changes.len() < limits::PUSH_CHANGES_MAX
                && size(last) + change.len() < limits::FRAME_BYTES_MAX / 4;
            if last.doc == outgoing.doc && fits {
                last.changes.push(change);
                self.session.in_flight.entry(last.id).or_default().push(hash);
                return;
            }
        }
        frames.push(self.pushing(outgoing.doc, vec![(hash, change)]));
    }

    fn pushing(&mut self, doc: DocId, changes: Vec<(ChangeHash, ByteVec)>) -> Frame {
        self.session.next_push += 1;
        let id = self.session.next_push;
        let (hashes, changes) = changes.into_iter().unzip();
        self.session.in_flight.insert(id, hashes);
        Frame::Push(Push { id, doc, changes })
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
            FeedItem::Snapshot { doc, bytes } => self.snapshot(doc, &bytes)?,
            FeedItem::Changes { doc, changes } => return self.changes(doc, changes),
            FeedItem::Forget { doc } => self.forget(doc)?,
            FeedItem::Resolved { doc, hash, resolution } => self.resolved(doc, hash, resolution)?,
            FeedItem::Policy { version, hash, bytes } => self.policy(version, hash, &bytes)?,
            FeedItem::Need { doc } => return self.everything(doc),
        }
        Ok(Vec::new())
    }

    fn snapshot(&mut self, doc: DocId, bytes: &[u8]) -> Result<(), DeviceError> {
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
        if let Some(ours) = self.shelf.document(doc)? {
            let ours: Vec<_> = ours.changes().into_iter().filter(|c| !fresh.has(c.hash)).collect();
            fresh.restore(ours.iter().map(|c| c.bytes.as_slice()))?;
        }
        let batch = self.shelf.whole(&fresh).delete(Table::Meta, record::leaving_key(doc));
        let batch = batch.and(self.row(&fresh));
        self.shelf.commit(batch, [fresh])?;
        if is_directory { self.read_directory() } else { Ok(()) }
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
                Err(refusal) if refusal.code == RefusalCode::DependencyMissing => return Ok(self.need(doc)),
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

    /// A document leaves the scope: it goes once what was said about it has reached the relay.
    fn forget(&mut self, doc: DocId) -> Result<(), DeviceError> {
        let batch = if self.shelf.awaits(doc) {
            Batch::new().put(Table::Meta, record::leaving_key(doc), [])
        } else {
            self.evict(doc)
        };
        self.shelf.commit(batch, [])
    }

    pub(super) fn evict(&self, doc: DocId) -> Batch {
        self.shelf.forget_warm(doc);
        let batch = self.shelf.without(doc).delete(Table::Meta, record::row_key(doc));
        batch.delete(Table::Meta, record::leaving_key(doc)).and(self.without_photos(doc))
    }

    fn resolved(&mut self, doc: DocId, hash: ChangeHash, resolution: Resolution) -> Result<(), DeviceError> {
        let key = record::change_key(doc, hash);
        let Some(bytes) = self.shelf.store.get(Table::Held, &key)? else { return Ok(()) };
        let held = Held { resolution: Some(resolution), ..record::read(&bytes)? };
        self.shelf.commit(Batch::new().put(Table::Held, key, record::cbor(&held)), [])
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
        for chunk in found.changes().chunks(limits::PUSH_CHANGES_MAX) {
            let chunk = chunk.iter().map(|change| (change.hash, change.bytes.clone().into()));
            frames.push(self.pushing(doc, chunk.collect()));
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
        let outbox: BTreeMap<ChangeHash, (u64, DocId)> =
            self.shelf.unsent().iter().map(|(n, o)| (o.hash, (*n, o.doc))).collect();
        let mut batch = Batch::new();
        let mut refused: BTreeMap<DocId, Vec<(ChangeHash, Refusal)>> = BTreeMap::new();
        let mut touched = BTreeSet::new();
        // Verdicts that come twice, or for another connection's push, name nothing.
        let pushed = self.session.in_flight.remove(&verdicts.id).unwrap_or_default();
        for (hash, verdict) in pushed.into_iter().zip(verdicts.verdicts) {
            let Some((number, doc)) = outbox.get(&hash) else { continue };
            touched.insert(*doc);
            match verdict {
                Verdict::Admitted { .. } => batch = batch.delete(Table::Outbox, number.to_be_bytes()),
                Verdict::Held { refusal } => {
                    if refusal.code == RefusalCode::DeviceRevoked {
                        self.session.refused = Some(refusal.clone());
                    }
                    refused.entry(*doc).or_default().push((hash, refusal));
                }
            }
        }
        self.shelf.commit(batch, [])?;
        let mut frames = Vec::new();
        for (doc, mut held) in refused {
            if held.iter().any(|(_, why)| super::replay::was_used(why)) {
                // What has those numbers is this device's own, and the feed leaves that out.
                frames.extend(self.need(doc));
            }
            let answered: BTreeSet<ChangeHash> = held.iter().map(|(hash, _)| *hash).collect();
            // What is refused only for building on a refused one is said again, not held.
            if held.iter().any(|(_, r)| r.code != RefusalCode::DependencyMissing) {
                held.retain(|(_, r)| r.code != RefusalCode::DependencyMissing);
            }
            self.refuse(doc, &held, &answered, now)?;
        }
        for doc in touched {
            self.leave(doc)?;
        }
        self.adopt()?;
        frames.extend(self.pump()?);
        Ok(frames)
    }

    /// Evicts a document that left the scope, once nothing of it is unsent.
    fn leave(&mut self, doc: DocId) -> Result<(), DeviceError> {
        let leaving = self.shelf.store.get(Table::Meta, &record::leaving_key(doc))?.is_some();
        if leaving && !self.shelf.awaits(doc) {
            let batch = self.evict(doc);
            self.shelf.commit(batch, [])?;
        }
        Ok(())
    }

    /// Offers of the photos and files that the relay does not have whole.
    pub fn offers(&self) -> Result<Vec<Frame>, DeviceError> {
        let pending = self.shelf.store.scan(Table::Meta, record::PENDING)?;
        let offer = |(key, bytes): &(Vec<u8>, Vec<u8>)| {
            let hash = key[record::PENDING.len()..].try_into();
            let hash = BlobHash(hash.map_err(|_| DeviceError::Damaged("a blob's key".into()))?);
            let PendingBlob { doc, media, size } = record::read(bytes)?;
            Ok(Frame::BlobOffer { hash, size, media, doc })
        };
        pending.iter().map(offer).collect()
    }

    fn blob_state(&mut self, hash: BlobHash, have: u64, complete: bool) -> Result<Vec<Frame>, DeviceError> {
        if complete {
            self.shelf.commit(Batch::new().delete(Table::Meta, record::pending_key(hash)), [])?;
            return Ok(Vec::new());
        }
        let Some(bytes) = self.shelf.store.get(Table::Blob, &hash.0)? else { return Ok(Vec::new()) };
        let from = usize::try_from(have).unwrap_or(usize::MAX).min(bytes.len());
        let to = (from + limits::BLOB_PART_BYTES_MAX).min(bytes.len());
        Ok(vec![Frame::BlobPart { hash, offset: from as u64, bytes: bytes[from..to].to_vec() }])
    }

    /// Erases everything; the receipt is signed before the key goes.
    ///
    /// What was said meanwhile goes to the relay first, which answers it and then asks once more.
    fn wipe(&mut self, reason: &Refusal) -> Result<Vec<Frame>, DeviceError> {
        if !self.shelf.unsent().is_empty() {
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
