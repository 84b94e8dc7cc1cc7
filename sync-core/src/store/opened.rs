//! What an opening proves and what it leaves to the audit; compaction that is killed at every stage.
//!
//! The law is that of `damage`: whole, or told. Here it is also said *where*.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use tempfile::TempDir;

use super::compact::Stage;
use super::files::SEGMENT_BYTES;
use super::*;

const SEGMENT: usize = SEGMENT_BYTES as usize;

fn key() -> StoreKey {
    StoreKey::from_bytes([9; 32])
}
fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}
fn open(folder: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(folder, &key(), rng(3))
}
fn value(n: u64) -> Vec<u8> {
    let mut bytes = vec![0; 300 + (n as usize * 131) % 9_000];
    rng(n).fill_bytes(&mut bytes);
    bytes
}
fn everything(store: &impl DeviceStore) -> Result<Vec<Pairs>, StoreError> {
    Table::ALL.iter().map(|table| store.scan(*table, b"")).collect()
}
/// Audits to the end; the values read.
fn audit(store: &SledStore, values_max: usize) -> Result<u64, StoreError> {
    loop {
        let audited = store.audit_step(values_max)?;
        if audited.whole {
            return Ok(audited.values);
        }
    }
}
/// Commits `count` documents from `first` on, eight at a time, over one another every 400.
fn live(store: &mut SledStore, first: u64, count: u64) {
    for n in (first..first + count).step_by(8) {
        let documents = n..(n + 8).min(first + count);
        let batch = Batch::new().put(Table::Meta, "position", n.to_be_bytes());
        let put = |batch: Batch, n: u64| batch.put(Table::Document, (n % 400).to_be_bytes(), value(n));
        store.commit(documents.fold(batch, put)).unwrap();
    }
}
/// A closed store whose newest part was written after its last opening, and will be replayed.
fn lived_in(before: u64, after: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    live(&mut open(folder.path()).unwrap(), 0, before);
    live(&mut open(folder.path()).unwrap(), before, after);
    folder
}
fn copied(from: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.is_dir() {
                copy(&from, &to);
            } else {
                fs::copy(from, to).unwrap();
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    copy(from, to.path());
    to
}
/// How a damaged store is told, or that it is whole.
fn told(folder: &Path, whole: &[Pairs]) -> &'static str {
    let Ok(store) = open(folder) else { return "opening" };
    match everything(&store) {
        Err(_) => "read",
        Ok(found) if found == whole => "whole",
        Ok(_) => match audit(&store, 64) {
            Err(_) => "audit",
            Ok(_) => panic!("a silent loss"),
        },
    }
}
/// Whether an opening would do without reading every value.
fn is_plain(folder: &Path) -> bool {
    let mut lock = super::folder::Folder::lock(folder).unwrap();
    let sealer = super::sealed::Sealer::new(&key(), rng(1));
    let anchor = lock.read_anchor(LAYOUT, &sealer).unwrap();
    super::sled::is_plain(&lock, &anchor).unwrap()
}

#[test]
fn a_sound_store_opens_without_being_read() {
    let folder = lived_in(300, 300);
    for _ in 0..4 {
        assert!(is_plain(folder.path()));
        let mut store = open(folder.path()).unwrap();
        assert_eq!(audit(&store, 50).unwrap(), 401);
        live(&mut store, 700, 20);
    }
    open(folder.path()).unwrap().compact().unwrap();
    assert!(is_plain(folder.path()));
}

#[test]
fn what_will_be_replayed_is_looked_at_and_its_damage_told_at_opening() {
    let folder = lived_in(100, 300);
    let whole = everything(&open(copied(folder.path()).path()).unwrap()).unwrap();
    let db = fs::read(folder.path().join("data/db")).unwrap();
    let mut chance = rng(5);
    let mut how = std::collections::BTreeMap::new();
    for n in 0..30u64 {
        let broken = copied(folder.path());
        let mut bytes = db.clone();
        let segment = chance.next_u64() as usize % (bytes.len() / SEGMENT) * SEGMENT;
        match n % 3 {
            0 => bytes[segment..segment + 4096].fill(0),
            1 => bytes[segment + 20 + chance.next_u64() as usize % (SEGMENT - 20)] ^= 1 << (n % 8),
            _ => bytes[segment + (n as usize) % 20] ^= 0x10,
        }
        fs::write(broken.path().join("data/db"), bytes).unwrap();
        *how.entry(told(broken.path(), &whole)).or_insert(0) += 1;
    }
    println!("damage in a store with much to replay: {how:?}");
    assert!(how.contains_key("opening") && how.contains_key("whole"));
    assert!(!how.contains_key("audit"), "what checksums tell is told before the audit");
}

#[test]
fn an_older_part_of_the_log_is_told_by_the_audit_at_the_latest() {
    let folder = lived_in(300, 10);
    let older = fs::read(folder.path().join("data/db")).unwrap();
    live(&mut open(folder.path()).unwrap(), 310, 300);
    drop(open(folder.path()).unwrap());
    let whole = everything(&open(folder.path()).unwrap()).unwrap();
    let mut how = std::collections::BTreeMap::new();
    for segment in 0..older.len() / SEGMENT {
        let broken = copied(folder.path());
        let mut bytes = fs::read(broken.path().join("data/db")).unwrap();
        let part = segment * SEGMENT..(segment + 1) * SEGMENT;
        if part.end > bytes.len() {
            break;
        }
        bytes[part.clone()].copy_from_slice(&older[part]);
        fs::write(broken.path().join("data/db"), bytes).unwrap();
        *how.entry(told(broken.path(), &whole)).or_insert(0) += 1;
    }
    println!("older segments put back: {how:?}");
}

#[test]
fn a_stale_value_under_sound_files_is_told_by_the_audit_and_at_every_later_opening() {
    let folder = lived_in(40, 0);
    let mut store = open(folder.path()).unwrap();
    store.meddle(|db| {
        let one = super::sled::full_key(Table::Document, &3u64.to_be_bytes());
        db.remove(one).unwrap();
        db.flush().unwrap();
    });
    drop(store);
    // Nothing about the files is wrong, and the value is asked for by nobody.
    assert!(is_plain(folder.path()));
    let store = open(folder.path()).unwrap();
    let damage = audit(&store, 7).unwrap_err();
    assert!(damage.to_string().contains("40 found, 41 committed"), "{damage}");
    assert_eq!(store.get(Table::Meta, b"position"), Err(damage.clone()), "nothing is answered any more");
    drop(store);
    assert_eq!(open(folder.path()).err(), Some(damage.clone()));
    assert_eq!(open(folder.path()).err(), Some(damage));
    let left = SledStore::open_after_loss(folder.path(), &key(), rng(4)).unwrap();
    assert_eq!(audit(&left, 7).unwrap(), 40);
    drop(left);
    assert!(open(folder.path()).is_ok());
}

#[test]
fn commits_between_the_steps_of_an_audit_do_not_disturb_it() {
    let folder = lived_in(300, 0);
    let mut store = open(folder.path()).unwrap();
    let mut chance = rng(8);
    for values_max in [1, 17, 64, 1000] {
        for round in 0..500u64 {
            if store.audit_step(values_max).unwrap().whole {
                break;
            }
            let at = chance.next_u64() % 420;
            let mut batch = Batch::new().put(Table::Meta, "position", round.to_be_bytes());
            batch = match chance.next_u64() % 3 {
                0 => batch.delete(Table::Document, at.to_be_bytes()),
                1 => batch.put(Table::Document, at.to_be_bytes(), value(round)),
                _ => batch
                    .put(Table::Document, at.to_be_bytes(), "a")
                    .delete(Table::Document, (at + 1).to_be_bytes()),
            };
            store.commit(batch).unwrap();
        }
    }
    store.erase().unwrap();
    assert_eq!(audit(&store, 1).unwrap(), 0);
}

#[test]
fn compaction_keeps_everything_in_fresh_files() {
    let folder = lived_in(300, 1_000);
    let mut store = open(folder.path()).unwrap();
    let (before, whole) = (store.bytes_on_disk().unwrap(), everything(&store).unwrap());
    let live_bytes: usize = whole.iter().flatten().map(|(k, v)| 1 + k.len() + 40 + v.len()).sum();
    assert_eq!(store.live_bytes(), live_bytes as u64);
    store.compact().unwrap();
    let after = store.bytes_on_disk().unwrap();
    println!("{before} to {after} bytes, {live_bytes} of them live");
    // sled needs some segments even for little; what matters is that more data does not mean more of them.
    assert!(after < 3 * live_bytes as u64 + 8 * SEGMENT as u64, "{before} to {after} of {live_bytes} live");
    assert!(everything(&store).unwrap() == whole);
    live(&mut store, 1_300, 3);
    store.commit(Batch::new().put(Table::Blob, "photo", vec![7; 1_500_000])).unwrap();
    store.compact().unwrap();
    let whole = everything(&store).unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    assert!(everything(&store).unwrap() == whole);
    audit(&store, 100).unwrap();
    assert!(!folder.path().join("data").exists() && folder.path().join("data.2/db").exists());
}

#[test]
fn a_damaged_store_is_not_compacted_into_a_sound_one() {
    let folder = lived_in(40, 0);
    let mut store = open(folder.path()).unwrap();
    store.meddle(|db| {
        db.remove(super::sled::full_key(Table::Document, &3u64.to_be_bytes())).unwrap();
    });
    assert_eq!(store.compact().unwrap_err().code(), "store_corrupt");
    assert_eq!(
        folder
            .path()
            .read_dir()
            .unwrap()
            .filter(|e| { e.as_ref().unwrap().file_name().to_string_lossy().starts_with("data") })
            .count(),
        1,
        "the draft is gone"
    );
}

#[test]
fn a_store_of_layout_1_opens_and_is_of_layout_2_from_then_on() {
    let folder = lived_in(40, 5);
    let whole = everything(&open(folder.path()).unwrap()).unwrap();
    super::sled::age(folder.path(), &key());
    for _ in 0..2 {
        assert!(everything(&open(folder.path()).unwrap()).unwrap() == whole);
    }
    assert!(is_plain(folder.path()));
}

const FOLDER: &str = "GENDAN_TEST_COMPACTED";
const STAGE: &str = "GENDAN_TEST_STAGE";
const CHILD: &str = "store::opened::a_child_compacts_until_it_is_stopped";

/// Compacts in small steps with a commit between any two; each stage with the last commit before it.
fn compact_at_work(store: &mut SledStore, first: u64, at: &mut dyn FnMut(Stage, u64)) -> u64 {
    for n in first.. {
        live(store, n, 1);
        if store.compact_watched(40, &mut |stage| at(stage, n)).unwrap() {
            return n;
        }
    }
    unreachable!("a compaction ends")
}
/// The documents that stand there after [`live`] from 0 up to and with `last`.
fn documents(last: u64) -> Pairs {
    let newest = |key: u64| (last - last % 400 + key).checked_sub(if key > last % 400 { 400 } else { 0 });
    let pair = |key: u64| newest(key).map(|n| (key.to_be_bytes().to_vec(), value(n)));
    (0..400).filter_map(pair).collect()
}

#[test]
fn commits_between_the_steps_of_a_compaction_are_kept() {
    let folder = lived_in(300, 500);
    let mut store = open(folder.path()).unwrap();
    let mut next = 800;
    for round in 1..4 {
        let mut stages = std::collections::BTreeSet::new();
        let last = compact_at_work(&mut store, next, &mut |stage, _| {
            stages.insert(format!("{stage:?}"));
        });
        assert_eq!(stages.len(), 5, "{stages:?}");
        assert!(last > next + 10, "there were commits in between");
        assert!(store.scan(Table::Document, b"").unwrap() == documents(last));
        audit(&store, 100).unwrap();
        live(&mut store, last + 1, 1);
        next = last + 2;
        assert!(folder.path().join(format!("data.{round}/db")).exists());
    }
    drop(store);
    assert!(is_plain(folder.path()), "the next opening reads little");
    let store = open(folder.path()).unwrap();
    assert!(store.scan(Table::Document, b"").unwrap() == documents(next - 1));
}

#[test]
fn a_compaction_that_was_begun_gives_way_to_erasing_and_closing() {
    let folder = lived_in(200, 0);
    for steps in [1, 3, 11, 12] {
        let mut store = open(folder.path()).unwrap();
        for _ in 0..steps {
            store.compact_step(20).unwrap();
        }
        drop(store);
        let store = open(folder.path()).unwrap();
        assert!(store.scan(Table::Document, b"").unwrap() == documents(199));
        audit(&store, 100).unwrap();
    }
    let mut store = open(folder.path()).unwrap();
    store.compact_step(20).unwrap();
    store.erase().unwrap();
    assert!(everything(&store).unwrap().iter().all(Vec::is_empty));
    live(&mut store, 0, 30);
    store.compact().unwrap();
    assert!(store.scan(Table::Document, b"").unwrap() == documents(29));
}

/// The child's part; without its folder in the environment it has nothing to do.
#[test]
fn a_child_compacts_until_it_is_stopped() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let stop = std::env::var(STAGE).unwrap();
    let mut store = open(Path::new(&folder)).unwrap();
    let position = store.get(Table::Meta, b"position").unwrap().unwrap();
    let next = u64::from_be_bytes(position.try_into().unwrap()) + 1;
    let mut copied = 0;
    compact_at_work(&mut store, next, &mut |stage, last| {
        copied += 1;
        // In the midst of copying, not at its beginning.
        if format!("{stage:?}") == stop && (stage != Stage::Drafted || copied == 5) {
            println!("at {stop} after {last}");
            loop {
                std::thread::park();
            }
        }
    });
}

#[cfg(unix)]
#[test]
fn a_compaction_killed_at_any_stage_leaves_the_store_whole() {
    let folder = lived_in(200, 200);
    // Its own last commit says how far it is; `live` commits eight at a time.
    live(&mut open(folder.path()).unwrap(), 400, 1);
    for stage in [Stage::Drafted, Stage::Written, Stage::Opened, Stage::Finished, Stage::Switched] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(STAGE, format!("{stage:?}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let at = format!("at {stage:?} after ");
        let last = lines.find_map(|line| line.split_once(&at)?.1.parse::<u64>().ok());
        child.kill().unwrap();
        child.wait().unwrap();
        let mut store = open(folder.path()).unwrap();
        assert!(store.scan(Table::Document, b"").unwrap() == documents(last.unwrap()), "{stage:?}");
        audit(&store, 100).unwrap();
        let folders = folder
            .path()
            .read_dir()
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("data"));
        assert_eq!(folders.count(), 1, "what was not taken is removed: {stage:?}");
        live(&mut store, last.unwrap() + 1, 1);
    }
    open(folder.path()).unwrap().compact().unwrap();
}
