//! The relay's end of one session: frames in, frames out, no socket.
//!
//! [`RelayEnd::handle`] takes one frame of the device; [`RelayEnd::poll`] gives the next piece of feed,
//! if there is one. Everything is idempotent: a device may repeat any frame on any connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use minicbor::bytes::ByteArray;
use sync_core::device::photos;
use sync_core::ids::{BlobHash, DocId, Position};
use sync_core::refusal::{Refusal, RefusalCode};
use sync_core::time::UnixMs;
use sync_core::wire::digest::{ScopeDigest, heads_digest};
use sync_core::wire::frames::{Feed, FeedItem, Frame, Hello, Verdict, Welcome};
use sync_core::wire::{VERSION_MAX, VERSION_MIN, negotiate};

use super::audience::visible;
use super::feed::Fresh;
use super::gate::Peer;
use super::{Relay, RelayError};
use crate::blob::BlobStore;

/// Decisions about held changes that one frame tells.
const DECIDED_MAX: usize = 400;

/// What the office sees of a connected device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// App and version.
    pub app: String,
    /// Changes that it has not had confirmed.
    pub unsent: u32,
    /// When the oldest was made, by its clock.
    pub oldest_unsent_ms: Option<UnixMs>,
    /// Photos and files pending.
    pub blobs_pending: u32,
    /// Policy version in hand.
    pub policy: u32,
    /// Its clock less ours.
    pub clock_offset_ms: i64,
    /// When.
    pub seen_ms: UnixMs,
}

/// One session, from the relay's side.
pub struct RelayEnd {
    relay: Arc<Relay>,
    blobs: Arc<dyn BlobStore>,
    peer: Peer,
    lease_ms: i64,
    greeted: bool,
    cursor: Position,
    /// Documents of a first sync, or that moved in or out of scope, which are still to be told; and the
    /// position that is reached with the last of them.
    first: Option<(Vec<DocId>, Position)>,
    /// What became of changes of the device that were held, still to be told: its feed position says
    /// nothing about them to this log.
    decided: Vec<FeedItem>,
    policy: u32,
    inventory: BTreeMap<DocId, [u8; 8]>,
    reported: Reported,
    shut_out: bool,
    /// The blob last given, and the document that was found to name it.
    named: Option<(DocId, BlobHash)>,
}

fn broken(code: &'static str, message: impl ToString) -> RelayError {
    RelayError::Protocol { code, message: message.to_string() }
}

impl RelayEnd {
    /// A session with an authenticated device. `lease_ms`: how long it may be used without being seen.
    pub fn new(relay: Arc<Relay>, blobs: Arc<dyn BlobStore>, peer: Peer, lease_ms: i64) -> Self {
        Self {
            relay,
            blobs,
            peer,
            lease_ms,
            greeted: false,
            cursor: Position(0),
            first: None,
            decided: Vec::new(),
            policy: 0,
            inventory: BTreeMap::new(),
            reported: Reported::default(),
            shut_out: false,
            named: None,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }
    /// What the device said of itself.
    pub fn reported(&self) -> &Reported {
        &self.reported
    }

    /// Takes one frame; gives the answers, each durable before it is given.
    pub fn handle(&mut self, frame: Frame, now_ms: UnixMs) -> Result<Vec<Frame>, RelayError> {
        if !self.greeted && !matches!(frame, Frame::Hello(_)) {
            return Err(broken("hello_first", frame.kind()));
        }
        match frame {
            Frame::Hello(hello) => self.hello(hello, now_ms),
            Frame::Push(push) => {
                let count = u32::try_from(push.changes.len()).unwrap_or(u32::MAX);
                let doc = push.doc;
                let verdicts = self.relay.push(self.peer, push, now_ms)?;
                self.reported.unsent = self.reported.unsent.saturating_sub(count);
                let entered = verdicts.verdicts.iter().any(|v| matches!(v, Verdict::Admitted { .. }));
                let mut frames = vec![Frame::Verdicts(verdicts)];
                if entered && !self.shut_out && !self.sees(doc, now_ms)? {
                    // It entered although its author sees the document no more, or never did: no feed tells.
                    let items = vec![FeedItem::Forget { doc }];
                    frames.push(Frame::Feed(Feed { items, upto: Position(0), more: !self.is_caught_up() }));
                }
                Ok(self.and_wipe(frames))
            }
            Frame::Need(need) => {
                let items = if self.sees(need.doc, now_ms)? { self.relay.whole(need.doc)? } else { vec![] };
                let mut items =
                    if items.is_empty() { vec![FeedItem::Forget { doc: need.doc }] } else { items };
                if !self.shut_out {
                    items.splice(0..0, self.relay.directory_since(self.cursor)?);
                    // A directory names policies: a connection that breaks now must not leave the device without.
                    items.splice(0..0, self.policies_due());
                }
                Ok(vec![Frame::Feed(Feed { items, upto: Position(0), more: !self.is_caught_up() })])
            }
            Frame::Digest(asked) => {
                let ours = self.digest(now_ms)?;
                Ok(self.and_wipe(vec![Frame::Agreement { agree: ours.bytes() == *asked.digest }]))
            }
            Frame::Inventory(inventory) => {
                self.inventory.extend(inventory.documents.iter().map(|(doc, d)| (*doc, **d)));
                if inventory.last { self.repair(now_ms) } else { Ok(Vec::new()) }
            }
            Frame::BlobOffer { hash, size, media, doc } => {
                let have = self.blobs.offer(hash, size, &media, doc).map_err(|e| broken("blob", e))?;
                Ok(self.and_wipe(vec![Frame::BlobState { hash, have, complete: have == size }]))
            }
            Frame::BlobPart { hash, offset, bytes } => {
                let (have, size) = self.blobs.part(hash, offset, &bytes).map_err(|e| broken("blob", e))?;
                Ok(self.and_wipe(vec![Frame::BlobState { hash, have, complete: have == size }]))
            }
            Frame::BlobGet { hash, offset, doc } => Ok(vec![self.give(hash, offset, doc, now_ms)?]),
            Frame::Wiped { .. } => Ok(Vec::new()),
            other => Err(broken("unexpected_frame", other.kind())),
        }
    }

    /// A piece of a blob, where a document that the device may see names it; else the answer is the same
    /// as for one that is not here.
    fn give(
        &mut self,
        hash: BlobHash,
        offset: u64,
        doc: Option<DocId>,
        now_ms: UnixMs,
    ) -> Result<Frame, RelayError> {
        let failed = |e| broken("blob", e);
        let none = Frame::BlobState { hash, have: 0, complete: false };
        let belongs = self.blobs.belongs(hash).map_err(failed)?;
        let Some(doc) = belongs.map(|(first, _)| doc.unwrap_or(first)) else { return Ok(none) };
        if !self.sees(doc, now_ms)? {
            return Ok(none);
        }
        // A log is only added to: what was named once stays named.
        if self.named != Some((doc, hash)) {
            if !self.relay.document(doc)?.is_some_and(|found| photos::names(&found, hash)) {
                return Ok(none);
            }
            self.named = Some((doc, hash));
        }
        let bytes = self.blobs.read(hash, offset).map_err(failed)?;
        Ok(Frame::BlobPart { hash, offset, bytes })
    }

    fn hello(&mut self, hello: Hello, now_ms: UnixMs) -> Result<Vec<Frame>, RelayError> {
        let version = negotiate((VERSION_MIN, VERSION_MAX), hello.versions);
        let version = version.ok_or_else(|| {
            let (oldest, newest) = hello.versions;
            let older = if newest < VERSION_MIN { "app" } else { "relay" };
            let theirs = format!("the device speaks {oldest} to {newest}; update the {older}");
            broken("version", format!("this relay speaks versions {VERSION_MIN} to {VERSION_MAX}, {theirs}"))
        })?;
        let footing = self.relay.footing();
        self.shut_out = footing.directory.devices.get(&self.peer.device).is_none_or(|d| d.revoked.is_some());
        self.greeted = true;
        self.reported = Reported {
            app: hello.app,
            unsent: hello.unsent,
            oldest_unsent_ms: hello.oldest_unsent_ms,
            blobs_pending: hello.blobs_pending,
            policy: hello.policy,
            clock_offset_ms: hello.wall_ms.saturating_sub(now_ms),
            seen_ms: now_ms,
        };
        let log = self.relay.log();
        let (epoch, head) = (log.epoch(), log.head());
        let known = hello.epoch == epoch && hello.cursor <= head && hello.cursor > Position(0);
        self.policy = hello.policy;
        self.cursor = if known { hello.cursor } else { head };
        if !known && !self.shut_out {
            self.first = Some((self.relay.scope(self.peer.person, now_ms)?, head));
            self.decided = self.relay.decided(self.peer.device)?;
        }
        let welcome = Welcome { version, epoch, now_ms, head, lease_until_ms: now_ms + self.lease_ms };
        let mut frames = self.and_wipe(vec![Frame::Welcome(welcome)]);
        if !self.shut_out && known && head == self.cursor && self.policies_due().is_empty() {
            // Nothing new: the one answer says so.
            frames.push(Frame::Feed(Feed { items: Vec::new(), upto: head, more: false }));
        }
        Ok(frames)
    }

    /// A revoked device is told to erase itself with every answer: it does once all that it has is here.
    fn and_wipe(&self, mut frames: Vec<Frame>) -> Vec<Frame> {
        frames.extend(self.wipe_if_done());
        frames
    }

    fn wipe_if_done(&self) -> Option<Frame> {
        let done = self.shut_out && self.reported.unsent == 0;
        done.then(|| Frame::Wipe { reason: Refusal::new(RefusalCode::DeviceRevoked) })
    }

    fn is_caught_up(&self) -> bool {
        self.first.is_none() && self.cursor >= self.relay.log().head()
    }

    fn sees(&self, doc: DocId, now_ms: UnixMs) -> Result<bool, RelayError> {
        let interests = self.relay.footing().interests(self.peer.person, now_ms);
        let audience = self.relay.hub.audience(&*self.relay.log, doc)?;
        Ok(!self.shut_out && visible(&audience, &interests))
    }

    /// Policies that the device does not have, as items; they go before what needs them.
    fn policies_due(&self) -> Vec<FeedItem> {
        let footing = self.relay.footing();
        let newer = footing.blobs.range(self.policy + 1..);
        newer
            .map(|(version, blob)| FeedItem::Policy {
                version: *version,
                hash: blob.hash,
                bytes: blob.bytes.clone(),
            })
            .collect()
    }

    /// The next piece of feed, if there is one.
    pub fn poll(&mut self, now_ms: UnixMs) -> Result<Option<Frame>, RelayError> {
        if !self.greeted || self.shut_out {
            return Ok(None);
        }
        let policies = self.policies_due();
        let mut feed = None;
        if self.first.is_none() {
            match self.relay.news(self.peer, self.cursor, now_ms)? {
                Some(Fresh::Feed(fresh)) => feed = Some(fresh),
                Some(Fresh::Moved(docs, upto)) => self.first = Some((docs, upto)),
                None => {}
            }
        }
        if let Some((left, upto)) = &mut self.first {
            let mut next = self.relay.moved(self.peer, left, *upto, now_ms)?;
            let told = self.decided.len().min(DECIDED_MAX);
            next.items.extend(self.decided.drain(..told));
            if !self.decided.is_empty() {
                (next.upto, next.more) = (Position(0), true);
            }
            feed = Some(next);
        }
        if feed.is_none() && !policies.is_empty() {
            feed = Some(Feed { items: Vec::new(), upto: self.cursor, more: false });
        }
        let Some(mut feed) = feed else { return Ok(None) };
        let told = self.decided.is_empty();
        self.first.take_if(|(left, _)| left.is_empty() && told);
        self.cursor = self.cursor.max(feed.upto);
        self.policy = self.relay.footing().blobs.keys().last().copied().unwrap_or(self.policy);
        feed.items.splice(0..0, policies);
        // A device is shut out as soon as the directory says so.
        let footing = self.relay.footing();
        let device = footing.directory.devices.get(&self.peer.device);
        if device.is_none_or(|d| d.revoked.is_some()) {
            self.shut_out = true;
            return Ok(self.wipe_if_done());
        }
        Ok(Some(Frame::Feed(feed)))
    }

    fn digest(&self, now_ms: UnixMs) -> Result<ScopeDigest, RelayError> {
        let mut digest = ScopeDigest::new();
        for doc in self.relay.scope(self.peer.person, now_ms)? {
            if let Some(heads) = self.relay.heads_of(doc)? {
                digest.add(doc, &heads);
            }
        }
        Ok(digest)
    }

    /// Compares the device's inventory with its scope: what differs is sent whole, and asked for. A device
    /// that was shut out gets nothing, and is asked all the same before it erases itself.
    fn repair(&mut self, now_ms: UnixMs) -> Result<Vec<Frame>, RelayError> {
        let theirs = std::mem::take(&mut self.inventory);
        let (mut items, scope) = if self.shut_out {
            (Vec::new(), Vec::new())
        } else {
            (self.policies_due(), self.relay.scope(self.peer.person, now_ms)?)
        };
        for doc in scope {
            let ours = self.relay.heads_of(doc)?.map(|heads| heads_digest(doc, &heads));
            if ours.as_ref() != theirs.get(&doc) {
                items.extend(self.relay.whole(doc)?);
                if theirs.contains_key(&doc) {
                    items.push(FeedItem::Need { doc });
                }
            }
        }
        for (doc, digest) in &theirs {
            if self.sees(*doc, now_ms)? {
                continue;
            }
            // What a restored relay does not know of a document is asked for before that is taken away.
            let ours = self.relay.heads_of(*doc)?.map(|heads| heads_digest(*doc, &heads));
            if ours.as_ref() != Some(digest) {
                items.push(FeedItem::Need { doc: *doc });
            }
            if !self.relay.log().audience(*doc)?.is_empty() {
                items.push(FeedItem::Forget { doc: *doc });
            }
        }
        let mut frames = Vec::new();
        let mut size = 0;
        let mut part = Vec::new();
        for item in items {
            size += item.len_hint();
            part.push(item);
            if size > sync_core::limits::FRAME_BYTES_MAX / 4 || part.len() >= 500 {
                let items = std::mem::take(&mut part);
                frames.push(Frame::Feed(Feed { items, upto: Position(0), more: true }));
                size = 0;
            }
        }
        frames.push(Frame::Feed(Feed { items: part, upto: Position(0), more: !self.is_caught_up() }));
        Ok(frames)
    }
}

/// The digest bytes of a scope, as a frame carries them.
pub fn digest_bytes(digest: &ScopeDigest) -> ByteArray<32> {
    ByteArray::from(digest.bytes())
}
