//! The outbox over a log in memory and on a disk that is opened again.

use super::*;
use crate::log::KeptLog;
use sync_core::ids::DocKind;
use sync_core::store::{MemoryDisk, MemoryStore};

const DOC: DocId = DocId::new(DocKind::Order, [1; 16]);
const START_MS: i64 = 1_795_000_000_000;

fn log() -> Arc<dyn ChangeLog> {
    Arc::new(KeptLog::open(MemoryStore::new(), 1).unwrap())
}
fn open(log: &Arc<dyn ChangeLog>, names: &[&str], now_ms: UnixMs) -> Outbox {
    Outbox::open(log.clone(), names.iter().map(|name| (*name).to_owned()).collect(), now_ms).unwrap()
}
fn id(n: u32) -> [u8; 16] {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&n.to_be_bytes());
    id
}
fn telling(n: u32, at_ms: UnixMs, lines: &[usize]) -> Telling {
    Telling { id: id(n), at_ms, lines: lines.to_vec(), body: n.to_string().into_bytes() }
}
fn answer(word: &str, means: Means) -> Answer {
    Answer { word: word.to_owned(), means }
}
fn due(outbox: &Outbox, line: usize, now_ms: UnixMs) -> Option<[u8; 16]> {
    outbox.due(line, now_ms).unwrap().map(|delivery| delivery.id)
}

#[test]
fn a_thing_is_told_once_to_each_hook_over_looks_and_restarts() {
    let disk = MemoryDisk::new();
    let log: Arc<dyn ChangeLog> = Arc::new(KeptLog::open(disk.open().unwrap(), 1).unwrap());
    let outbox = open(&log, &["a", "b"], START_MS);
    let things =
        [telling(1, START_MS, &[0, 1]), telling(2, START_MS - 1, &[0, 1]), telling(3, START_MS, &[1])];
    let (queued, full) = outbox.tell(DOC, &things, START_MS).unwrap();
    assert_eq!((queued, full), (BTreeSet::from([0, 1]), false));
    let waiting = |outbox: &Outbox| outbox.standings().iter().map(|s| s.waiting).collect::<Vec<_>>();
    assert_eq!(waiting(&outbox), [1, 2], "what was before the hooks began is not told");
    assert!(outbox.tell(DOC, &things, START_MS + 1).unwrap().0.is_empty(), "a second look tells nothing");
    let first = outbox.due(0, START_MS).unwrap().unwrap();
    outbox.answered(0, first, &answer("200", Means::Confirmed), START_MS, 0).unwrap();
    drop((outbox, log));

    let log: Arc<dyn ChangeLog> = Arc::new(KeptLog::open(disk.open().unwrap(), 1).unwrap());
    let outbox = open(&log, &["a", "b"], START_MS + 10);
    assert_eq!(waiting(&outbox), [0, 2], "what was confirmed is gone, the rest waits");
    assert!(outbox.tell(DOC, &things, START_MS + 10).unwrap().0.is_empty(), "nor after a restart");
    assert_eq!(outbox.standings()[0].since_ms, START_MS);
}

#[test]
fn what_a_document_tells_no_more_is_remembered_a_while_and_then_forgotten() {
    let log = log();
    let outbox = open(&log, &["a"], START_MS);
    let tell = |things: &[Telling], now_ms| outbox.tell(DOC, things, now_ms).unwrap().0.len();
    assert_eq!(tell(&[telling(1, START_MS, &[0])], START_MS), 1);
    assert_eq!(tell(&[], START_MS + 1), 0);
    assert_eq!(tell(&[telling(1, START_MS, &[0])], START_MS + 2), 0, "it came up again");
    assert_eq!(tell(&[], START_MS + REMEMBERED_MS), 0);
    assert_eq!(log.record(&told_key(DOC)).unwrap(), None, "nothing stays of what is long over");
}

#[test]
fn failures_come_again_later_and_later_until_they_are_parked_and_asked_for() {
    let log = log();
    let outbox = open(&log, &["a"], START_MS);
    outbox.tell(DOC, &[telling(1, START_MS, &[0])], START_MS).unwrap();
    let (mut now_ms, mut pauses) = (START_MS, Vec::new());
    while let Some(next_ms) = outbox.next_ms(0) {
        assert_eq!(due(&outbox, 0, next_ms - 1), None, "not before its moment");
        pauses.push(next_ms - now_ms);
        now_ms = next_ms;
        let delivery = outbox.due(0, now_ms).unwrap().unwrap();
        outbox.answered(0, delivery, &answer("503", Means::Again), now_ms, u64::MAX).unwrap();
    }
    assert!(pauses.windows(2).all(|w| w[0] <= w[1] || w[0] >= PAUSE_MS_MAX / 2), "{pauses:?}");
    let tried_ms = now_ms - START_MS;
    assert!((GIVE_UP_MS..GIVE_UP_MS + PAUSE_MS_MAX).contains(&tried_ms), "three days: {tried_ms}");
    let standing = outbox.standings().remove(0);
    assert_eq!((standing.waiting, standing.failing, standing.parked), (0, 0, 1));
    assert_eq!(standing.last, Some((now_ms, "503".to_owned())));

    let again = open(&log, &["a"], now_ms);
    assert_eq!(again.standings()[0].parked, 1, "over a restart");
    assert_eq!(again.retry(0, now_ms).unwrap(), 1);
    let delivery = again.due(0, now_ms).unwrap().unwrap();
    assert_eq!((delivery.id, delivery.failures), (id(1), 0), "under the same id");
    again.answered(0, delivery, &answer("204", Means::Confirmed), now_ms, 0).unwrap();
    assert_eq!(log.records(b"hook-out/").unwrap(), []);
    assert_eq!(again.retry(0, now_ms).unwrap(), 0);
}

#[test]
fn a_receiver_that_wants_no_more_is_not_asked_again() {
    let log = log();
    let outbox = open(&log, &["a"], START_MS);
    outbox.tell(DOC, &[telling(1, START_MS, &[0])], START_MS).unwrap();
    let delivery = outbox.due(0, START_MS).unwrap().unwrap();
    outbox.answered(0, delivery, &answer("410", Means::Never), START_MS, 0).unwrap();
    let standing = outbox.standings().remove(0);
    assert_eq!((standing.waiting, standing.parked), (0, 1));
}

#[test]
fn a_full_line_takes_no_more_and_goes_on_once_there_is_room() {
    let log = log();
    let outbox = open(&log, &["a", "b"], START_MS);
    let doc = |n: u32| DocId::new(DocKind::Order, id(n));
    let many: Vec<Telling> =
        (0..u32::try_from(WAITING_MAX).unwrap()).map(|n| telling(n, START_MS, &[0])).collect();
    for (n, things) in (0..).zip(many.chunks(1_000)) {
        assert!(!outbox.tell(doc(n), things, START_MS).unwrap().1);
    }
    let one_more = [telling(u32::MAX, START_MS, &[0, 1])];
    let (queued, full) = outbox.tell(doc(99), &one_more, START_MS).unwrap();
    assert_eq!((queued, full), (BTreeSet::from([1]), true), "the other line goes on");
    assert!(outbox.standings()[0].full);
    let delivery = outbox.due(0, START_MS).unwrap().unwrap();
    outbox.answered(0, delivery, &answer("200", Means::Confirmed), START_MS, 0).unwrap();
    let (queued, full) = outbox.tell(doc(99), &one_more, START_MS).unwrap();
    assert_eq!((queued, full), (BTreeSet::from([0]), false), "it was not lost: its document still told it");
    assert_eq!(outbox.standings()[0].waiting, WAITING_MAX);
}

#[test]
fn beyond_its_bound_the_oldest_parked_delivery_gives_way_and_is_counted() {
    let log = log();
    let outbox = open(&log, &["a"], START_MS);
    for n in 0..u32::try_from(PARKED_MAX).unwrap() + 2 {
        let now_ms = START_MS + i64::from(n);
        let doc = DocId::new(DocKind::Order, id(n));
        outbox.tell(doc, &[telling(n, now_ms, &[0])], now_ms).unwrap();
        let delivery = outbox.due(0, now_ms).unwrap().unwrap();
        outbox.answered(0, delivery, &answer("410", Means::Never), now_ms, 0).unwrap();
    }
    for outbox in [&outbox, &open(&log, &["a"], START_MS)] {
        let standing = outbox.standings().remove(0);
        assert_eq!((standing.parked, standing.dropped), (PARKED_MAX, 2));
    }
    assert_eq!(log.record(&out_key("a", Id(id(1)))).unwrap(), None);
    assert!(log.record(&out_key("a", Id(id(2)))).unwrap().is_some());
}

#[test]
fn a_pause_doubles_up_to_a_bound_and_half_of_it_is_chance() {
    for (failures, whole_ms) in [(1, 5_000), (2, 10_000), (3, 20_000), (12, 10_240_000), (40, PAUSE_MS_MAX)] {
        for chance in [0, 1, 7_777, u64::MAX] {
            let pause = pause_ms(failures, chance);
            assert!((whole_ms / 2..=whole_ms).contains(&pause), "{failures}, {chance}: {pause}");
        }
    }
    assert_ne!(pause_ms(5, 1), pause_ms(5, 20_000));
}
