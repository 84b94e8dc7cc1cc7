//! The feed: what is new for one person since a position, document by document.
//!
//! Read from the log, filtered by what the person may see now. A document that became visible arrives
//! whole, one that was withdrawn is told as `forget`; both are entries of the log with positions of
//! their own, so that no cursor can miss them.

use std::collections::{BTreeSet, HashMap};

use sync_core::document::Document;
use sync_core::ids::{DocId, PersonId, Position};
use sync_core::limits;
use sync_core::time::UnixMs;
use sync_core::wire::frames::{Feed, FeedItem};

use super::audience::{Tags, visible};
use super::gate::Peer;
use super::{Relay, RelayError};
use crate::log::{Entry, Logged, Tag};

/// Log entries read for one frame.
const ENTRIES_MAX: usize = 2_000;
/// Documents sent whole in one frame.
const SNAPSHOTS_MAX: usize = 400;
/// Documents that one entry of the log may bring or take away within a frame; more go in frames of their own.
const MOVED_MAX: usize = 100;
/// Bytes of a frame's items, before compression.
const ITEMS_BYTES_MAX: usize = 1024 * 1024;

/// What is new for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// One frame.
    Feed(Feed),
    /// More documents than fit a frame came into scope or left it with the entry at this position: each is
    /// to be sent whole or forgotten ([`Relay::moved`]), and only then is the position reached.
    Moved(Vec<DocId>, Position),
}

impl Relay {
    /// What a person's device may see now, the directory first.
    pub fn scope(&self, person: PersonId, now_ms: UnixMs) -> Result<Vec<DocId>, RelayError> {
        let mut docs = BTreeSet::new();
        for tag in self.footing().interests(person, now_ms) {
            docs.extend(self.tagged(tag)?);
        }
        Ok(docs.into_iter().collect())
    }

    fn tagged(&self, tag: Tag) -> Result<Vec<DocId>, RelayError> {
        let mut docs = Vec::new();
        loop {
            let more = self.log.tagged(tag, docs.last().copied(), ENTRIES_MAX)?;
            let done = more.len() < ENTRIES_MAX;
            docs.extend(more);
            if done {
                return Ok(docs);
            }
        }
    }

    /// A document whole, as items of a feed.
    pub fn whole(&self, doc: DocId) -> Result<Vec<FeedItem>, RelayError> {
        let Some(stored) = self.log.document(doc)? else { return Ok(Vec::new()) };
        let mut items = Vec::new();
        match stored.snapshot {
            Some(bytes) => {
                items.push(FeedItem::Snapshot { doc, bytes });
                let changes: Vec<_> = stored.changes.into_iter().map(|(_, _, bytes)| bytes.into()).collect();
                if !changes.is_empty() {
                    items.push(FeedItem::Changes { doc, changes });
                }
            }
            None => {
                self.noted.found(doc, stored.changes.len());
                let found = self.document(doc)?;
                items.extend(found.map(|d: Document| FeedItem::Snapshot { doc, bytes: d.save() }));
            }
        }
        Ok(items)
    }

    /// The next documents of a first sync, or of those that moved: sent whole where the peer sees them,
    /// forgotten where not. Drains `left` from its front.
    pub fn moved(
        &self,
        peer: Peer,
        left: &mut Vec<DocId>,
        upto: Position,
        now_ms: UnixMs,
    ) -> Result<Feed, RelayError> {
        let interests = self.footing().interests(peer.person, now_ms);
        let mut items = self.directory_since(upto)?;
        let mut size = 0;
        let mut taken = 0;
        while taken < left.len() && taken < SNAPSHOTS_MAX && size < ITEMS_BYTES_MAX {
            let doc = left[taken];
            let seen = visible(&self.log.audience(doc)?, &interests);
            let whole = if seen { self.whole(doc)? } else { vec![FeedItem::Forget { doc }] };
            size += whole.iter().map(FeedItem::len_hint).sum::<usize>();
            items.extend(whole);
            taken += 1;
        }
        left.drain(..taken);
        // Only the last frame moves the cursor: a first sync that is cut begins again.
        let last = left.is_empty();
        let upto = if last { upto } else { Position(0) };
        Ok(Feed { items, upto, more: !last || upto < self.log.head() })
    }

    /// What is new for a peer after a position; `None` where there is nothing.
    pub fn news(&self, peer: Peer, after: Position, now_ms: UnixMs) -> Result<Option<Fresh>, RelayError> {
        let logged = self.hub.read(&*self.log, after, ENTRIES_MAX)?;
        let Some(last) = logged.last() else { return Ok(None) };
        let mut news = News {
            relay: self,
            peer,
            interests: self.footing().interests(peer.person, now_ms),
            items: Vec::new(),
            whole: BTreeSet::new(),
            seen: HashMap::new(),
            at: after,
            size: 0,
        };
        let mut upto = after;
        for entry in &logged {
            if news.size >= ITEMS_BYTES_MAX || news.items.len() >= limits::FEED_ITEMS_MAX / 2 {
                break;
            }
            if let Some(moved) = news.many(entry)? {
                if upto > after {
                    break;
                }
                return Ok(Some(Fresh::Moved(moved, entry.position)));
            }
            news.at = entry.position;
            news.take(entry)?;
            upto = entry.position;
        }
        let more = upto < self.log.head().max(last.position);
        Ok(Some(Fresh::Feed(Feed { items: news.items, upto, more })))
    }
}

/// The items of one frame as they are gathered.
struct News<'a> {
    relay: &'a Relay,
    peer: Peer,
    interests: Tags,
    items: Vec<FeedItem>,
    /// Documents that went whole into this frame: as they are now, later entries included.
    whole: BTreeSet<DocId>,
    /// Whether the person sees a document, as was found for an earlier entry.
    seen: HashMap<DocId, bool>,
    /// The entry that is being told.
    at: Position,
    size: usize,
}

impl News<'_> {
    /// The documents that move with a change of the person's interests, where they are too many for here.
    fn many(&self, logged: &Logged) -> Result<Option<Vec<DocId>>, RelayError> {
        let Entry::Interests { person, gained, lost } = &logged.entry else { return Ok(None) };
        if *person != self.peer.person {
            return Ok(None);
        }
        let mut moved = BTreeSet::new();
        for tag in gained.iter().chain(lost) {
            moved.extend(self.relay.tagged(*tag)?);
        }
        Ok((moved.len() > MOVED_MAX).then(|| moved.into_iter().collect()))
    }

    fn take(&mut self, logged: &Logged) -> Result<(), RelayError> {
        match &logged.entry {
            Entry::Change { doc, device, bytes, .. } => {
                let theirs = *device == self.peer.device;
                if theirs || self.whole.contains(doc) || !self.sees(*doc)? {
                    return Ok(());
                }
                match bytes {
                    Some(bytes) => self.change(*doc, bytes),
                    None => self.send_whole(*doc)?,
                }
            }
            Entry::Audience { doc, gained, lost } => {
                if gained.iter().any(|tag| self.interests.contains(tag)) {
                    self.appear(*doc)?;
                } else if lost.iter().any(|tag| self.interests.contains(tag) || self.is_named_by(tag)) {
                    self.vanish(*doc)?;
                }
            }
            Entry::Interests { person, gained, lost } if *person == self.peer.person => {
                for tag in gained {
                    for doc in self.relay.tagged(*tag)? {
                        self.appear(doc)?;
                    }
                }
                for tag in lost {
                    for doc in self.relay.tagged(*tag)? {
                        self.vanish(doc)?;
                    }
                }
            }
            Entry::Interests { .. } => {}
            Entry::Resolved { doc, hash, device, resolution } => {
                if *device == self.peer.device {
                    let (doc, hash) = (*doc, *hash);
                    self.push(FeedItem::Resolved { doc, hash, resolution: resolution.clone() });
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, item: FeedItem) {
        self.size += item.len_hint();
        self.items.push(item);
    }

    /// Whether a tag names the person: then it was theirs, also where their role has ended meanwhile.
    fn is_named_by(&self, tag: &Tag) -> bool {
        matches!(tag, Tag::Person(person, _) if *person == self.peer.person)
    }

    fn sees(&mut self, doc: DocId) -> Result<bool, RelayError> {
        if let Some(seen) = self.seen.get(&doc) {
            return Ok(*seen);
        }
        let seen = visible(&*self.relay.hub.audience(&*self.relay.log, doc)?, &self.interests);
        self.seen.insert(doc, seen);
        Ok(seen)
    }

    fn change(&mut self, doc: DocId, bytes: &[u8]) {
        if let Some(FeedItem::Changes { doc: last, changes }) = self.items.last_mut()
            && *last == doc
            && changes.len() < limits::PUSH_CHANGES_MAX
        {
            self.size += bytes.len();
            changes.push(bytes.to_vec().into());
            return;
        }
        self.push(FeedItem::Changes { doc, changes: vec![bytes.to_vec().into()] });
    }

    fn appear(&mut self, doc: DocId) -> Result<(), RelayError> {
        if self.sees(doc)? { self.send_whole(doc) } else { Ok(()) }
    }

    fn vanish(&mut self, doc: DocId) -> Result<(), RelayError> {
        if !self.sees(doc)? {
            self.whole.remove(&doc);
            self.push(FeedItem::Forget { doc });
        }
        Ok(())
    }

    fn send_whole(&mut self, doc: DocId) -> Result<(), RelayError> {
        if self.whole.insert(doc) {
            if self.whole.insert(DocId::directory(self.relay.company)) {
                for item in self.relay.directory_since(self.at)? {
                    self.push(item);
                }
            }
            for item in self.relay.whole(doc)? {
                self.push(item);
            }
        }
        Ok(())
    }
}
