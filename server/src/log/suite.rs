//! What every [`ChangeLog`] must do, as one call.
//!
//! In: a maker of homes. A [`Home`] is a place where a log lives; opening it again after the log was
//! dropped must give back what was appended. Out: a panic that names the law that does not hold. A log
//! joins with one line in its tests. The suite is itself under test: sabotaged logs must fail it.
//!
//! Not here: damage to files, which the store below knows, and what the bytes mean.

use std::collections::BTreeSet;
use std::sync::Arc;

use sync_core::ids::{ChangeHash, DeviceId, DocId, DocKind, PersonId, Position, StoreId};
use sync_core::refusal::{Refusal, RefusalCode};

use super::{Batch, ChangeLog, Entry, HeldChange, HeldFilter, HeldState, Snapshot, Tag};

/// A log that several threads share.
pub type Shared = Arc<dyn ChangeLog>;

/// A place where one log lives. Closures that open it are homes.
pub trait Home {
    /// Opens what is there; the suite drops each log before it opens the next.
    fn open(&self) -> Shared;
}
impl<F: Fn() -> Shared> Home for F {
    fn open(&self) -> Shared {
        self()
    }
}

/// Runs the whole suite; `fresh` makes an empty home for each law.
///
/// # Panics
/// With the law that does not hold.
pub fn conformance<H: Home>(fresh: impl Fn() -> H) {
    positions_are_consecutive_and_a_batch_is_whole(&fresh());
    a_feed_is_read_across_any_border(&fresh());
    a_change_is_found_by_its_hash_and_a_document_by_its_id(&fresh());
    audience_and_tags_say_the_same(&fresh());
    the_tray_is_filtered_and_paged(&fresh());
    records_are_put_removed_and_listed(&fresh());
    of_eight_swaps_one_wins(&fresh());
    compaction_keeps_the_document(&fresh());
    what_was_appended_is_there_after_opening_again(&fresh());
    eight_who_append_at_once_each_have_their_own_positions(&fresh());
}

fn doc(n: u8) -> DocId {
    DocId::new(DocKind::Order, [n; 16])
}
fn hash(n: u64) -> ChangeHash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    ChangeHash(bytes)
}
fn change(of: u8, n: u64) -> Entry {
    let bytes = Some(n.to_be_bytes().to_vec());
    Entry::Change { doc: doc(of), hash: hash(n), device: DeviceId::from_bytes([1; 16]), bytes }
}
fn audience(of: u8, gained: &[Tag], lost: &[Tag]) -> Entry {
    Entry::Audience { doc: doc(of), gained: gained.to_vec(), lost: lost.to_vec() }
}
fn append(log: &Shared, entries: Vec<Entry>) -> Position {
    log.append(Batch { entries, at_ms: 7, ..Batch::default() }).expect("a sound log appends")
}
fn held(of: u8, n: u64, device: u8) -> HeldChange {
    HeldChange {
        doc: doc(of),
        hash: hash(n),
        device: DeviceId::from_bytes([device; 16]),
        person: PersonId::from_bytes([9; 16]),
        command: None,
        bytes: vec![1, 2, 3],
        at_ms: 5,
        reason: Refusal::new(RefusalCode::RoleEnded),
        state: HeldState::Waiting,
    }
}

fn positions_are_consecutive_and_a_batch_is_whole(home: &impl Home) {
    let log = home.open();
    assert_eq!(log.head(), Position(0), "a new log is empty");
    assert!(log.read(Position(0), 10).expect("reads").is_empty(), "a new log is empty");
    assert_eq!(append(&log, vec![change(1, 1), change(1, 2), change(2, 3)]), Position(3), "three entries");
    assert_eq!(append(&log, vec![]), Position(3), "an empty batch moves nothing");
    assert_eq!(append(&log, vec![change(2, 4)]), Position(4), "positions are consecutive");
    let read = log.read(Position(0), 10).expect("reads");
    let positions: Vec<u64> = read.iter().map(|l| l.position.0).collect();
    assert_eq!(positions, [1, 2, 3, 4], "positions are consecutive from 1");
    let entries: Vec<_> = read.into_iter().map(|l| (l.at_ms, l.entry)).collect();
    let said = [change(1, 1), change(1, 2), change(2, 3), change(2, 4)].map(|e| (7, e));
    assert_eq!(entries, said, "a batch is whole, in its order");
}

fn a_feed_is_read_across_any_border(home: &impl Home) {
    let log = home.open();
    for first in (1..=700u64).step_by(50) {
        append(&log, (first..first + 50).map(|n| change(u8::try_from(n % 5).expect("small"), n)).collect());
    }
    for (after, limit) in
        [(0, 700), (0, 1), (254, 3), (255, 1), (255, 2), (256, 10), (510, 4), (699, 9), (700, 9)]
    {
        let read = log.read(Position(after), limit).expect("reads");
        let found: Vec<u64> = read.iter().map(|l| l.position.0).collect();
        let limit = u64::try_from(limit).expect("small");
        let expected: Vec<u64> = (after + 1..=700).take_while(|p| *p <= after + limit).collect();
        assert_eq!(found, expected, "a feed after {after} of {limit} has no gap");
    }
    assert!(log.read(Position(10_000), 5).expect("reads").is_empty(), "nothing stands after the head");
    drop(log);
    let log = home.open();
    append(&log, (701..=5_000).map(|n| change(1, n)).collect());
    append(&log, vec![change(1, 5_001)]);
    let read = log.read(Position(0), 6_000).expect("reads");
    assert!(read.iter().map(|l| l.position.0).eq(1..=5_001), "a feed that was read across goes on");
    assert_eq!(
        log.position_of(doc(1), hash(4_000)).expect("reads"),
        Some(Position(4_000)),
        "its changes too"
    );
}

fn a_change_is_found_by_its_hash_and_a_document_by_its_id(home: &impl Home) {
    let log = home.open();
    append(&log, vec![change(2, 10), change(1, 11), audience(1, &[Tag::Everyone], &[]), change(2, 12)]);
    assert_eq!(log.position_of(doc(2), hash(12)).expect("reads"), Some(Position(4)), "a change is found");
    assert_eq!(log.position_of(doc(1), hash(12)).expect("reads"), None, "only in its own document");
    let stored = log.document(doc(2)).expect("reads").expect("it is there");
    let changes: Vec<_> = stored.changes.iter().map(|(p, h, b)| (p.0, *h, b.clone())).collect();
    let bytes = |n: u64| n.to_be_bytes().to_vec();
    assert_eq!(changes, [(1, hash(10), bytes(10)), (4, hash(12), bytes(12))], "a document has its changes");
    assert_eq!((stored.last, stored.snapshot), (Position(4), None), "a document knows its newest change");
    assert_eq!(log.document(doc(3)).expect("reads"), None, "no other document is there");
    let all = [(doc(1), Position(2)), (doc(2), Position(4))];
    assert_eq!(log.documents(None, 10).expect("reads"), all, "documents are listed by id");
    assert_eq!(log.documents(Some(doc(1)), 10).expect("reads"), all[1..], "documents are paged");
    assert_eq!(log.documents(None, 1).expect("reads"), all[..1], "documents are paged");
}

fn audience_and_tags_say_the_same(home: &impl Home) {
    let log = home.open();
    let store = Tag::Store(StoreId::from_bytes([4; 16]), DocKind::Order);
    let person = Tag::Person(PersonId::from_bytes([5; 16]), DocKind::Order);
    append(&log, vec![audience(1, &[store, person], &[]), audience(2, &[store], &[])]);
    // Within one batch the later entry goes over the earlier.
    append(&log, vec![audience(3, &[person], &[]), audience(3, &[store], &[person])]);
    assert_eq!(log.tagged(store, None, 10).expect("reads"), [doc(1), doc(2), doc(3)], "tags are indexed");
    assert_eq!(log.tagged(store, Some(doc(1)), 1).expect("reads"), [doc(2)], "tagged documents are paged");
    append(&log, vec![audience(1, &[], &[person])]);
    assert!(log.tagged(person, None, 10).expect("reads").is_empty(), "a removed tag is in no index");
    assert_eq!(log.audience(doc(1)).expect("reads"), BTreeSet::from([store]), "a removed tag is gone");
    assert_eq!(log.audience(doc(3)).expect("reads"), BTreeSet::from([store]), "a removed tag is gone");
    assert!(log.audience(doc(9)).expect("reads").is_empty(), "an unknown document has no audience");
}

fn the_tray_is_filtered_and_paged(home: &impl Home) {
    let log = home.open();
    let all = vec![held(1, 1, 1), held(1, 2, 2), held(2, 3, 1)];
    log.append(Batch { held: all, ..Batch::default() }).expect("a sound log appends");
    let released = HeldState::Released { by: PersonId::from_bytes([9; 16]), at_ms: 6 };
    let decided = vec![HeldChange { state: released.clone(), ..held(1, 1, 1) }];
    log.append(Batch { held: decided, ..Batch::default() }).expect("a sound log appends");
    let found = |filter: HeldFilter, after, limit| -> Vec<ChangeHash> {
        log.held(&filter, after, limit).expect("reads").iter().map(|h| h.hash).collect()
    };
    let any = HeldFilter::default;
    assert_eq!(found(any(), None, 10), [hash(1), hash(2), hash(3)], "the tray has all");
    assert_eq!(found(any(), Some((doc(1), hash(1))), 1), [hash(2)], "the tray is paged");
    assert_eq!(found(HeldFilter { waiting: true, ..any() }, None, 10), [hash(2), hash(3)], "decided is out");
    assert_eq!(found(HeldFilter { doc: Some(doc(1)), ..any() }, None, 10), [hash(1), hash(2)], "by document");
    let device = Some(DeviceId::from_bytes([1; 16]));
    assert_eq!(found(HeldFilter { device, ..any() }, None, 10), [hash(1), hash(3)], "by device");
    let one = log.held_one(doc(1), hash(1)).expect("reads").expect("it is there");
    assert_eq!(one.state, released, "a held change is replaced");
    assert_eq!(log.held_one(doc(2), hash(1)).expect("reads"), None, "by document and hash");
    assert_eq!(log.head(), Position(0), "the tray takes no positions");
}

fn records_are_put_removed_and_listed(home: &impl Home) {
    let log = home.open();
    let put = |key: &str, value: Option<&str>| {
        let records = vec![(key.as_bytes().to_vec(), value.map(|v| v.as_bytes().to_vec()))];
        log.append(Batch { records, ..Batch::default() }).expect("a sound log appends");
    };
    put("a/1", Some("one"));
    put("a/2", Some("two"));
    put("b/1", Some("three"));
    put("a/2", None);
    assert_eq!(log.record(b"a/1").expect("reads"), Some(b"one".to_vec()), "a record is put");
    assert_eq!(log.record(b"a/2").expect("reads"), None, "a record is removed");
    assert_eq!(log.records(b"a/").expect("reads"), [(b"a/1".to_vec(), b"one".to_vec())], "by prefix");
    assert!(!log.swap_record(b"a/1", None, None).expect("swaps"), "a swap expects what is there");
    assert!(!log.swap_record(b"a/1", Some(b"two"), None).expect("swaps"), "a swap expects what is there");
    assert!(log.swap_record(b"a/1", Some(b"one"), None).expect("swaps"), "a swap is made");
    assert_eq!(log.record(b"a/1").expect("reads"), None, "a swap is made");
}

fn of_eight_swaps_one_wins(home: &impl Home) {
    let log = home.open();
    for round in 0..20u8 {
        let before = log.record(b"once").expect("reads");
        let wins: Vec<bool> = std::thread::scope(|scope| {
            let swap = |n: u8| {
                let (log, before) = (&log, before.as_deref());
                move || log.swap_record(b"once", before, Some(vec![round, n])).expect("swaps")
            };
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(swap(n))).collect();
            threads.into_iter().map(|t| t.join().expect("no panic")).collect()
        });
        assert_eq!(wins.iter().filter(|won| **won).count(), 1, "of eight swaps one wins");
        let winner = wins.iter().position(|won| *won).and_then(|n| u8::try_from(n).ok());
        let stands = log.record(b"once").expect("reads").and_then(|v| v.get(1).copied());
        assert_eq!(stands, winner, "what stands is the winner's");
    }
}

fn compaction_keeps_the_document(home: &impl Home) {
    let log = home.open();
    append(&log, vec![change(1, 1), change(2, 2), change(1, 3), change(1, 4)]);
    let snapshot = Snapshot { doc: doc(1), bytes: b"snapshot".to_vec(), upto: Position(3) };
    log.compact(vec![snapshot]).expect("compacts");
    let stored = log.document(doc(1)).expect("reads").expect("it is there");
    assert_eq!(stored.snapshot.as_deref(), Some(&b"snapshot"[..]), "the snapshot stands");
    let left: Vec<_> = stored.changes.iter().map(|(p, h, _)| (p.0, *h)).collect();
    assert_eq!((left, stored.last), (vec![(4, hash(4))], Position(4)), "what came after it stands beside it");
    assert_eq!(log.head(), Position(4), "compaction takes no position");
    let read = log.read(Position(0), 10).expect("reads");
    let bytes: Vec<bool> =
        read.iter().map(|l| matches!(&l.entry, Entry::Change { bytes: Some(_), .. })).collect();
    assert_eq!(bytes, [false, true, false, true], "the feed tells which stand in the snapshot");
    assert_eq!(log.position_of(doc(1), hash(1)).expect("reads"), Some(Position(1)), "changes stay known");
    append(&log, vec![change(1, 5)]);
    for upto in [4, 5] {
        let snapshot = Snapshot { doc: doc(1), bytes: b"snapshot".to_vec(), upto: Position(upto) };
        log.compact(vec![snapshot]).expect("compacts");
        let found = [1, 2, 3, 4, 5].map(|n| log.position_of(doc(1), hash(n)).expect("reads"));
        assert_eq!(found, [1, 0, 3, 4, 5].map(|n| Some(Position(n)).filter(|p| p.0 > 0)), "all stay known");
    }
    let other = log.document(doc(2)).expect("reads").expect("it is there");
    assert_eq!((other.changes.len(), other.snapshot), (1, None), "another document is as it was");
}

fn what_was_appended_is_there_after_opening_again(home: &impl Home) {
    let log = home.open();
    let tag = Tag::All(DocKind::Order);
    let batch = Batch {
        entries: vec![change(1, 1), audience(1, &[tag], &[])],
        heads: Some((doc(1), vec![hash(1), hash(7)])),
        held: vec![held(2, 5, 1)],
        records: vec![(b"k".to_vec(), Some(b"v".to_vec()))],
        at_ms: 9,
    };
    log.append(batch).expect("a sound log appends");
    let seen = |log: &Shared| {
        (
            (log.head(), log.epoch(), log.read(Position(0), 10).expect("reads")),
            (log.document(doc(1)).expect("reads"), log.audience(doc(1)).expect("reads")),
            (log.held_one(doc(2), hash(5)).expect("reads"), log.record(b"k").expect("reads")),
            log.heads(doc(1)).expect("reads"),
        )
    };
    let before = seen(&log);
    assert_eq!(before.3, Some(vec![hash(1), hash(7)]), "heads stand with the change that made them");
    drop(log);
    let log = home.open();
    assert_eq!(seen(&log), before, "what was appended is there after opening again");
    assert_eq!(append(&log, vec![change(1, 2)]), Position(3), "positions go on after opening again");
    assert_eq!(log.heads(doc(1)).expect("reads"), None, "heads of before are not those of now");
}

fn eight_who_append_at_once_each_have_their_own_positions(home: &impl Home) {
    const EACH: u64 = 12;
    let log = home.open();
    let given: Vec<(u64, Position)> = std::thread::scope(|scope| {
        let work = |thread: u64| {
            let log = &log;
            move || -> Vec<(u64, Position)> {
                let one = |n: u64| {
                    let number = thread * 1_000 + n * 2;
                    let of = u8::try_from(thread).expect("small");
                    (number, append(log, vec![change(of, number), change(of, number + 1)]))
                };
                (0..EACH).map(one).collect()
            }
        };
        let threads: Vec<_> = (0..8).map(|t| scope.spawn(work(t))).collect();
        threads.into_iter().flat_map(|t| t.join().expect("no panic")).collect()
    });
    assert_eq!(log.head(), Position(8 * EACH * 2), "eight who append leave no gap");
    let read = log.read(Position(0), 10_000).expect("reads");
    for (number, last) in given {
        let at = |position: u64| {
            let logged = read.iter().find(|l| l.position.0 == position);
            logged.and_then(|l| if let Entry::Change { hash, .. } = &l.entry { Some(*hash) } else { None })
        };
        assert_eq!(at(last.0), Some(hash(number + 1)), "each has its own positions");
        assert_eq!(at(last.0 - 1), Some(hash(number)), "a batch stands together");
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use sync_core::store::{MemoryDisk, SledStore, StoreKey};

    use super::super::{KeptLog, LogError, Logged, StoredDocument};
    use super::*;

    fn in_memory() -> impl Home {
        let disk = MemoryDisk::new();
        move || -> Shared { Arc::new(KeptLog::open(disk.open().unwrap(), 3).unwrap()) }
    }
    fn on_sled() -> impl Home {
        use rand::SeedableRng as _;
        let folder = tempfile::tempdir().unwrap();
        move || -> Shared {
            let key = StoreKey::from_bytes([7; 32]);
            let chance = rand::rngs::StdRng::from_seed(crate::clock::random());
            let store = SledStore::open(&folder.path().join("log"), &key, chance).unwrap();
            Arc::new(KeptLog::open(store, 3).unwrap())
        }
    }

    #[test]
    fn the_log_in_memory_conforms() {
        conformance(in_memory);
    }
    #[test]
    fn the_log_on_disk_conforms() {
        conformance(on_sled);
    }

    /// What a sabotaged log does wrong.
    #[derive(Clone, Copy, PartialEq)]
    enum Wrong {
        /// Audiences only grow.
        DropsRemovals,
        /// Every batch begins one position late.
        LeavesGaps,
    }
    struct Sabotaged(Shared, Wrong);

    impl Sabotaged {
        fn moved(&self, position: Position) -> Position {
            if self.1 == Wrong::LeavesGaps { Position(position.0 * 2) } else { position }
        }
    }
    impl ChangeLog for Sabotaged {
        fn append(&self, mut batch: Batch) -> Result<Position, LogError> {
            for entry in &mut batch.entries {
                if let (Entry::Audience { lost, .. }, Wrong::DropsRemovals) = (entry, self.1) {
                    lost.clear();
                }
            }
            Ok(self.moved(self.0.append(batch)?))
        }
        fn head(&self) -> Position {
            self.moved(self.0.head())
        }
        fn epoch(&self) -> u64 {
            self.0.epoch()
        }
        fn read(&self, after: Position, limit: usize) -> Result<Vec<Logged>, LogError> {
            let after = if self.1 == Wrong::LeavesGaps { Position(after.0 / 2) } else { after };
            let read = self.0.read(after, limit)?;
            Ok(read.into_iter().map(|l| Logged { position: self.moved(l.position), ..l }).collect())
        }
        fn position_of(&self, doc: DocId, hash: ChangeHash) -> Result<Option<Position>, LogError> {
            Ok(self.0.position_of(doc, hash)?.map(|p| self.moved(p)))
        }
        fn document(&self, doc: DocId) -> Result<Option<StoredDocument>, LogError> {
            self.0.document(doc)
        }
        fn heads(&self, doc: DocId) -> Result<Option<Vec<ChangeHash>>, LogError> {
            self.0.heads(doc)
        }
        fn documents(&self, after: Option<DocId>, limit: usize) -> Result<Vec<(DocId, Position)>, LogError> {
            self.0.documents(after, limit)
        }
        fn compact(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError> {
            self.0.compact(snapshots)
        }
        fn audience(&self, doc: DocId) -> Result<BTreeSet<Tag>, LogError> {
            self.0.audience(doc)
        }
        fn tagged(&self, tag: Tag, after: Option<DocId>, limit: usize) -> Result<Vec<DocId>, LogError> {
            self.0.tagged(tag, after, limit)
        }
        fn held(
            &self,
            filter: &HeldFilter,
            after: Option<(DocId, ChangeHash)>,
            limit: usize,
        ) -> Result<Vec<HeldChange>, LogError> {
            self.0.held(filter, after, limit)
        }
        fn held_one(&self, doc: DocId, hash: ChangeHash) -> Result<Option<HeldChange>, LogError> {
            self.0.held_one(doc, hash)
        }
        fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
            self.0.record(key)
        }
        fn records(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, LogError> {
            self.0.records(prefix)
        }
        fn swap_record(
            &self,
            key: &[u8],
            expected: Option<&[u8]>,
            new: Option<Vec<u8>>,
        ) -> Result<bool, LogError> {
            self.0.swap_record(key, expected, new)
        }
    }

    #[test]
    fn sabotaged_logs_fail_the_suite() {
        for (wrong, law) in [(Wrong::DropsRemovals, "removed tag"), (Wrong::LeavesGaps, "three entries")] {
            let sabotaged = || {
                let disk = MemoryDisk::new();
                move || -> Shared {
                    let kept = KeptLog::open(disk.open().unwrap(), 3).unwrap();
                    Arc::new(Sabotaged(Arc::new(kept), wrong))
                }
            };
            let panic = catch_unwind(AssertUnwindSafe(|| conformance(sabotaged))).unwrap_err();
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|w| (*w).to_owned())).unwrap();
            assert!(words.contains(law), "{words}");
        }
    }
}
