//! Who is told when the log grows; and what the many sessions would each read again: the newest entries
//! and who sees which document.
//!
//! In: what was appended, after it is durable. Out: a wake-up for the sessions it concerns and for no
//! other, the entries after a position while they are still here, a document's tags. All of it can be
//! had from the log as well: this is memory, bounded, and never an authority of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sync_core::ids::{DeviceId, DocId, PersonId, Position};
use tokio::sync::Notify;

use super::audience::Tags;
use super::gate::Peer;
use crate::log::{ChangeLog, Entry, LogError, Logged, Tag};

/// Entries kept in memory, at most.
const RECENT_MAX: usize = 16_384;
/// Bytes of changes among them, at most.
const RECENT_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Documents whose tags are kept in memory, at most.
const AUDIENCES_MAX: usize = 16_384;

/// What an entry concerns, and a session listens to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Topic {
    Tag(Tag),
    Person(PersonId),
    Device(DeviceId),
}

#[derive(Default)]
pub(super) struct Hub {
    recent: Mutex<Recent>,
    /// Held by whoever reads the log for the others.
    reading: Mutex<()>,
    audiences: Mutex<HashMap<DocId, Arc<Tags>>>,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Recent {
    entries: BTreeMap<Position, Arc<Logged>>,
    bytes: usize,
}

#[derive(Default)]
struct Listeners {
    next: u64,
    by_topic: HashMap<Topic, BTreeMap<u64, Arc<Notify>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is memory of the log: half an update only means reading the log again.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size(entry: &Entry) -> usize {
    match entry {
        Entry::Change { bytes, .. } => bytes.as_ref().map_or(0, Vec::len),
        _ => 0,
    }
}

impl Hub {
    /// Takes in what was appended up to `last`, and wakes whom it concerns.
    pub fn appended(&self, log: &dyn ChangeLog, entries: Vec<Logged>) -> Result<(), LogError> {
        let mut topics = Vec::new();
        for logged in &entries {
            match &logged.entry {
                Entry::Change { doc, .. } => {
                    topics.extend(self.audience(log, *doc)?.iter().map(|tag| Topic::Tag(*tag)));
                }
                Entry::Audience { doc, gained, lost } => {
                    self.remember(log, *doc)?;
                    topics.extend(gained.iter().chain(lost).map(|tag| Topic::Tag(*tag)));
                }
                Entry::Interests { person, gained, .. } => {
                    lock(&self.listeners).follow(*person, gained);
                    topics.push(Topic::Person(*person));
                }
                Entry::Resolved { device, .. } => topics.push(Topic::Device(*device)),
            }
        }
        lock(&self.recent).extend(entries);
        topics.sort_unstable();
        topics.dedup();
        let listeners = lock(&self.listeners);
        let found = topics.iter().filter_map(|topic| listeners.by_topic.get(topic));
        found.flat_map(BTreeMap::values).for_each(|listener| listener.notify_one());
        Ok(())
    }

    /// Up to `limit` entries that follow a position. Where they are not here, one session reads them from
    /// the log for all that ask at the same time, as they do in the evening.
    pub fn read(
        &self,
        log: &dyn ChangeLog,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Logged>>, LogError> {
        let here = self.after(position, limit);
        if !here.is_empty() || position >= log.head() {
            return Ok(here);
        }
        let _alone = lock(&self.reading);
        let here = self.after(position, limit);
        if !here.is_empty() {
            return Ok(here);
        }
        let read = log.read(position, limit)?;
        let near = log.head().0 - position.0 <= RECENT_MAX as u64;
        if !near {
            return Ok(read.into_iter().map(Arc::new).collect());
        }
        lock(&self.recent).extend(read);
        Ok(self.after(position, limit))
    }

    /// Up to `limit` entries that follow a position without a gap; none where they are not here.
    fn after(&self, position: Position, limit: usize) -> Vec<Arc<Logged>> {
        let recent = lock(&self.recent);
        let following = recent.entries.range(Position(position.0 + 1)..);
        let numbered = following.zip(position.0 + 1..).take_while(|((at, _), due)| at.0 == *due);
        numbered.take(limit).map(|((_, entry), _)| entry.clone()).collect()
    }

    /// The tags of a document.
    pub fn audience(&self, log: &dyn ChangeLog, doc: DocId) -> Result<Arc<Tags>, LogError> {
        if let Some(tags) = lock(&self.audiences).get(&doc) {
            return Ok(tags.clone());
        }
        self.remember(log, doc)
    }

    /// Reads the tags while nobody else does: the last to read them read the newest.
    fn remember(&self, log: &dyn ChangeLog, doc: DocId) -> Result<Arc<Tags>, LogError> {
        let mut audiences = lock(&self.audiences);
        let tags = Arc::new(log.audience(doc)?);
        if audiences.len() >= AUDIENCES_MAX {
            audiences.clear();
        }
        audiences.insert(doc, tags.clone());
        Ok(tags)
    }

    /// Begins to listen for a session: to its person's interests, its person and its device.
    pub fn listen(&self, peer: Peer, interests: &Tags) -> (u64, Arc<Notify>) {
        let mut listeners = lock(&self.listeners);
        listeners.next += 1;
        let (id, notify) = (listeners.next, Arc::new(Notify::new()));
        let own = [Topic::Person(peer.person), Topic::Device(peer.device)];
        for topic in interests.iter().map(|tag| Topic::Tag(*tag)).chain(own) {
            listeners.by_topic.entry(topic).or_default().insert(id, notify.clone());
        }
        (id, notify)
    }

    /// Ends it.
    pub fn leave(&self, id: u64) {
        lock(&self.listeners).by_topic.retain(|_, listeners| {
            listeners.remove(&id);
            !listeners.is_empty()
        });
    }
}

impl Listeners {
    /// Lets a person's sessions follow their new interests. Those that ended go on waking them, until
    /// they leave: a wake-up gives away nothing.
    fn follow(&mut self, person: PersonId, gained: &[Tag]) {
        let theirs = self.by_topic.get(&Topic::Person(person)).cloned().unwrap_or_default();
        for tag in gained {
            self.by_topic.entry(Topic::Tag(*tag)).or_default().extend(theirs.clone());
        }
    }
}

impl Recent {
    fn extend(&mut self, entries: Vec<Logged>) {
        for logged in entries {
            self.bytes += size(&logged.entry);
            if let Some(before) = self.entries.insert(logged.position, Arc::new(logged)) {
                self.bytes -= size(&before.entry);
            }
        }
        while self.entries.len() > RECENT_MAX || self.bytes > RECENT_BYTES_MAX {
            let Some((_, oldest)) = self.entries.pop_first() else { return };
            self.bytes -= size(&oldest.entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Batch, KeptLog};
    use sync_core::ids::{ChangeHash, DocKind};
    use sync_core::store::MemoryDisk;

    const DOC: DocId = DocId::new(DocKind::Order, [1; 16]);
    const PEER: Peer = Peer { device: DeviceId::from_bytes([2; 16]), person: PersonId::from_bytes([3; 16]) };

    fn change(n: u8) -> Entry {
        let (hash, device) = (ChangeHash([n; 32]), DeviceId::from_bytes([9; 16]));
        Entry::Change { doc: DOC, hash, device, bytes: Some(vec![n]) }
    }
    fn logged(position: u64, entry: Entry) -> Logged {
        Logged { position: Position(position), at_ms: 0, entry }
    }
    fn log() -> impl ChangeLog {
        KeptLog::open(MemoryDisk::new().open().unwrap(), 1).unwrap()
    }
    async fn woken(notify: &Notify) -> bool {
        tokio::select! { biased; () = notify.notified() => true, () = std::future::ready(()) => false }
    }

    #[tokio::test]
    async fn a_session_is_woken_by_what_concerns_it_and_by_nothing_else() {
        let (hub, log) = (Hub::default(), log());
        let tag = Tag::Person(PEER.person, DocKind::Order);
        let (id, notify) = hub.listen(PEER, &Tags::from([tag]));
        hub.appended(&log, vec![logged(1, change(1))]).unwrap();
        assert!(!woken(&notify).await, "the document is not theirs");
        let gained = Entry::Audience { doc: DOC, gained: vec![tag], lost: vec![] };
        log.append(Batch { entries: vec![gained.clone()], ..Batch::default() }).unwrap();
        hub.appended(&log, vec![logged(2, gained)]).unwrap();
        assert!(woken(&notify).await, "it became theirs");
        hub.appended(&log, vec![logged(3, change(2))]).unwrap();
        assert!(woken(&notify).await, "it changed");
        hub.leave(id);
        hub.appended(&log, vec![logged(4, change(3))]).unwrap();
        assert!(!woken(&notify).await, "nobody listens any more");
        assert!(lock(&hub.listeners).by_topic.is_empty());
    }

    #[tokio::test]
    async fn a_new_interest_is_followed_from_the_moment_it_is_in_the_log() {
        let (hub, log) = (Hub::default(), log());
        let (_, notify) = hub.listen(PEER, &Tags::new());
        let all = Tag::All(DocKind::Order);
        let gained = Entry::Interests { person: PEER.person, gained: vec![all], lost: vec![] };
        hub.appended(&log, vec![logged(1, gained)]).unwrap();
        assert!(woken(&notify).await);
        let opened = Entry::Audience { doc: DOC, gained: vec![all], lost: vec![] };
        hub.appended(&log, vec![logged(2, opened)]).unwrap();
        assert!(woken(&notify).await);
    }

    #[test]
    fn entries_are_given_up_to_the_first_gap_and_the_oldest_go_first() {
        let (hub, log) = (Hub::default(), log());
        let positions = |after: u64| -> Vec<u64> {
            hub.after(Position(after), 100).iter().map(|l| l.position.0).collect()
        };
        hub.appended(&log, vec![logged(7, change(1))]).unwrap();
        hub.appended(&log, vec![logged(5, change(2))]).unwrap();
        assert_eq!((positions(4), positions(6), positions(3)), (vec![5], vec![7], vec![]));
        hub.appended(&log, vec![logged(6, change(3))]).unwrap();
        assert_eq!(positions(4), [5, 6, 7]);
        let many = (8..8 + RECENT_MAX as u64).map(|n| logged(n, change(4))).collect();
        hub.appended(&log, many).unwrap();
        assert_eq!(lock(&hub.recent).entries.len(), RECENT_MAX);
        assert_eq!(lock(&hub.recent).bytes, RECENT_MAX);
        assert_eq!(positions(4), [0u64; 0]);
    }
}
