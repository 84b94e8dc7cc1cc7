//! What befalls a store on a phone: killed processes, full disks, cut, flipped and missing files.
//!
//! One law over all of it: a store opens with every durable commit, or says clearly what is wrong.

use std::fs;
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use tempfile::TempDir;

use super::*;

mod killed;

fn key() -> StoreKey {
    StoreKey::from_bytes([7; 32])
}
/// Seeds differ between openings, as real randomness does.
fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}
fn open(folder: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(folder, &key(), rng(folder.metadata().map_or(1, |_| 2)))
}
fn code(result: Result<SledStore, StoreError>) -> &'static str {
    result.err().map_or("opened", |e| e.code())
}

type Everything = Vec<Pairs>;

fn everything(store: &impl DeviceStore) -> Result<Everything, StoreError> {
    Table::ALL.iter().map(|table| store.scan(*table, b"")).collect()
}

/// A closed store with a life behind it, and all that it holds.
fn lived_in(commits: u64) -> (TempDir, Everything) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).unwrap();
    let mut chance = rng(11);
    for n in 0..commits {
        let mut value = vec![0; 200 + (n as usize * 97) % 3000];
        chance.fill_bytes(&mut value);
        let mut batch = Batch::new()
            .put(Table::Outbox, n.to_be_bytes(), value.clone())
            .put(Table::Document, [(n % 7) as u8], value)
            .put(Table::Meta, "position", n.to_be_bytes());
        if n >= 10 {
            batch = batch.delete(Table::Outbox, (n - 10).to_be_bytes());
        }
        if n == commits / 2 {
            let mut photo = vec![0; 1_200_000];
            chance.fill_bytes(&mut photo);
            batch = batch.put(Table::Blob, "photo", photo);
        }
        store.commit(batch).unwrap();
    }
    let all = everything(&store).unwrap();
    (folder, all)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
fn copied(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    copy(from, to.path());
    to
}
/// Every file that holds something, in a fixed order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if entry.metadata().unwrap().len() > 0 {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Opens a damaged store: whole, or a clear error. Says which.
fn outcome(folder: &Path, whole: &Everything, what: &str) -> &'static str {
    let store = match open(folder) {
        Ok(store) => store,
        Err(error @ (StoreError::Corrupt { .. } | StoreError::LostTail { .. })) => return error.code(),
        Err(other) => panic!("{what}: a damaged store was called {other}"),
    };
    match everything(&store) {
        Ok(found) => assert!(found == *whole, "{what}: a silent loss"),
        Err(error) => return error.code(),
    }
    "whole"
}
fn tell(name: &str, outcomes: &[&'static str]) {
    let count = |code| outcomes.iter().filter(|o| **o == code).count();
    println!(
        "{name}: {} tries, {} whole, {} lost tail, {} corrupt",
        outcomes.len(),
        count("whole"),
        count("store_lost_tail"),
        count("store_corrupt")
    );
}

#[test]
fn the_sled_store_conforms() {
    suite::conformance(|| {
        let folder = tempfile::tempdir().unwrap();
        move || open(folder.path()).unwrap()
    });
}

#[test]
fn a_cut_tail_is_never_a_silent_loss() {
    let (folder, whole) = lived_in(60);
    let mut chance = rng(21);
    let mut outcomes = Vec::new();
    assert_eq!(outcome(copied(folder.path()).path(), &whole, "an untouched copy"), "whole");
    for n in 0..50 {
        let broken = copied(folder.path());
        let db = broken.path().join("data/db");
        let len = fs::metadata(&db).unwrap().len();
        let cut = match n {
            0 => 0,
            1..=20 => len - 1 - chance.next_u64() % 4096,
            _ => chance.next_u64() % len,
        };
        fs::OpenOptions::new().write(true).open(&db).unwrap().set_len(cut).unwrap();
        outcomes.push(outcome(broken.path(), &whole, &format!("data cut to {cut} of {len} bytes")));
    }
    tell("cut tails", &outcomes);
    assert!(outcomes.iter().any(|o| *o != "whole"), "the cuts cut nothing");
}

#[test]
fn a_cut_of_any_other_file_is_never_a_silent_loss() {
    let (folder, whole) = lived_in(40);
    let mut outcomes = Vec::new();
    for path in files(folder.path()) {
        let name = path.strip_prefix(folder.path()).unwrap();
        let len = fs::metadata(&path).unwrap().len();
        for cut in [0, 1, len / 2, len - 1] {
            let broken = copied(folder.path());
            let file = fs::OpenOptions::new().write(true).open(broken.path().join(name)).unwrap();
            file.set_len(cut).unwrap();
            outcomes.push(outcome(broken.path(), &whole, &format!("{} cut to {cut}", name.display())));
        }
    }
    tell("cut files", &outcomes);
}

#[test]
fn a_flipped_byte_is_never_a_silent_loss() {
    let (folder, whole) = lived_in(60);
    let files = files(folder.path());
    let mut chance = rng(22);
    let mut outcomes = Vec::new();
    for n in 0..50 {
        let broken = copied(folder.path());
        // Half of the flips go to the data, the others to every file in turn.
        let picked =
            if n % 2 == 0 { folder.path().join("data/db") } else { files[n / 2 % files.len()].clone() };
        let name = picked.strip_prefix(folder.path()).unwrap();
        let mut bytes = fs::read(&picked).unwrap();
        let at = (chance.next_u64() % bytes.len() as u64) as usize;
        bytes[at] ^= 1 << (n % 8);
        fs::write(broken.path().join(name), bytes).unwrap();
        outcomes.push(outcome(broken.path(), &whole, &format!("{} flipped at {at}", name.display())));
    }
    tell("flipped bytes", &outcomes);
}

#[test]
fn a_zeroed_page_is_never_a_silent_loss() {
    let (folder, whole) = lived_in(60);
    let bytes = fs::read(folder.path().join("data/db")).unwrap();
    let mut chance = rng(23);
    let mut outcomes = Vec::new();
    for _ in 0..50 {
        let broken = copied(folder.path());
        let mut bytes = bytes.clone();
        let at = (chance.next_u64() % (bytes.len() as u64 / 4096)) as usize * 4096;
        bytes[at..at + 4096].fill(0);
        fs::write(broken.path().join("data/db"), bytes).unwrap();
        outcomes.push(outcome(broken.path(), &whole, &format!("page at {at} zeroed")));
    }
    tell("zeroed pages", &outcomes);
    assert!(outcomes.iter().any(|o| *o != "whole"), "the zeroes hit nothing");
}

#[test]
fn a_deleted_file_is_never_a_silent_loss() {
    let (folder, whole) = lived_in(40);
    let mut outcomes = Vec::new();
    for path in files(folder.path()) {
        let broken = copied(folder.path());
        let name = path.strip_prefix(folder.path()).unwrap();
        fs::remove_file(broken.path().join(name)).unwrap();
        let how = outcome(broken.path(), &whole, &format!("{} deleted", name.display()));
        if name == Path::new("anchor") || name == Path::new("data/db") {
            assert_eq!(how, "store_corrupt", "{} deleted", name.display());
        }
        outcomes.push(how);
    }
    // The photo may stand in two files, an older and a newer form of its page; without either it is missed.
    let broken = copied(folder.path());
    let blobs = files(&broken.path().join("data/blobs"));
    assert!(!blobs.is_empty(), "the photo has a file of its own");
    blobs.iter().for_each(|blob| fs::remove_file(blob).unwrap());
    assert_ne!(outcome(broken.path(), &whole, "every blob file deleted"), "whole");
    for dir in ["data", "data/blobs"] {
        let broken = copied(folder.path());
        fs::remove_dir_all(broken.path().join(dir)).unwrap();
        assert_eq!(outcome(broken.path(), &whole, dir), "store_corrupt");
    }
    tell("deleted files", &outcomes);
}

#[test]
fn an_older_copy_of_the_data_is_told_by_the_anchor() {
    let (folder, _) = lived_in(20);
    let older = copied(folder.path());
    let mut store = open(folder.path()).unwrap();
    for n in 0..3u8 {
        store.commit(Batch::new().put(Table::Outbox, "unsent", [n])).unwrap();
    }
    drop(store);
    fs::remove_dir_all(folder.path().join("data")).unwrap();
    copy(&older.path().join("data"), &folder.path().join("data"));
    assert_eq!(open(folder.path()).err(), Some(StoreError::LostTail { expected: 23, found: 20 }));

    // Only a caller who accepts the loss gets what is left, and from then on that is the state.
    let left = SledStore::open_after_loss(folder.path(), &key(), rng(5)).unwrap();
    assert_eq!((left.sequence(), left.get(Table::Outbox, b"unsent").unwrap()), (20, None));
    assert_eq!(left.get(Table::Meta, b"position").unwrap(), Some(19u64.to_be_bytes().to_vec()));
    drop(left);
    assert_eq!(code(open(folder.path())), "opened");
}

#[test]
fn an_older_anchor_is_passed_by_one_commit_only() {
    let (folder, _) = lived_in(5);
    for (behind, expected) in [(1, "opened"), (2, "store_corrupt")] {
        let older = fs::read(folder.path().join("anchor")).unwrap();
        let mut store = open(folder.path()).unwrap();
        for _ in 0..behind {
            store.commit(Batch::new().put(Table::Meta, "a", "b")).unwrap();
        }
        drop(store);
        fs::write(folder.path().join("anchor"), older).unwrap();
        assert_eq!(code(open(folder.path())), expected, "anchor {behind} behind");
    }
}

#[test]
fn data_of_another_life_does_not_fit_the_anchor() {
    let (folder, _) = lived_in(8);
    let fork = copied(folder.path());
    for (path, value) in [(folder.path(), "one"), (fork.path(), "other")] {
        open(path).unwrap().commit(Batch::new().put(Table::Meta, "a", value)).unwrap();
    }
    fs::copy(fork.path().join("anchor"), folder.path().join("anchor")).unwrap();
    assert_eq!(code(open(folder.path())), "store_corrupt");
}

#[test]
fn a_wrong_key_is_told_and_harms_nothing() {
    let (folder, whole) = lived_in(5);
    let wrong = StoreKey::from_bytes([8; 32]);
    assert_eq!(SledStore::open(folder.path(), &wrong, rng(1)).err(), Some(StoreError::WrongKey));
    assert_eq!(SledStore::open_after_loss(folder.path(), &wrong, rng(1)).err(), Some(StoreError::WrongKey));
    assert!(everything(&open(folder.path()).unwrap()).unwrap() == whole);
}

#[test]
fn a_newer_layout_is_told_and_harms_nothing() {
    let (folder, whole) = lived_in(5);
    let anchor = folder.path().join("anchor");
    let ours = fs::read(&anchor).unwrap();
    fs::write(&anchor, [&anchor::header(LAYOUT + 1), &ours[19..]].concat()).unwrap();
    let newer = StoreError::NewerLayout { found: LAYOUT + 1, known: LAYOUT };
    assert_eq!(open(folder.path()).err(), Some(newer.clone()));
    assert_eq!(SledStore::open_after_loss(folder.path(), &key(), rng(1)).err(), Some(newer));
    fs::write(&anchor, ours).unwrap();
    assert!(everything(&open(folder.path()).unwrap()).unwrap() == whole);
}

#[test]
fn a_store_is_open_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    assert_eq!(open(folder.path()).err(), Some(StoreError::Busy));
    assert_eq!(SledStore::discard(folder.path()), Err(StoreError::Busy));
    drop(first);
    assert_eq!(code(open(folder.path())), "opened");
}

#[test]
fn no_word_about_a_person_is_readable_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["钱多多", "13800138000", "幸福路七号"];
    let mut store = open(folder.path()).unwrap();
    for n in 0..200u8 {
        let text = words.join(",").repeat(1 + usize::from(n));
        store.commit(Batch::new().put(Table::Document, [n], text)).unwrap();
    }
    let photo = words.join(";").repeat(40_000);
    store.commit(Batch::new().put(Table::Blob, "photo", photo).put(Table::Meta, "name", words[0])).unwrap();
    drop(store);
    for path in files(folder.path()) {
        let bytes = fs::read(&path).unwrap();
        for word in words {
            let found = bytes.windows(word.len()).any(|w| w == word.as_bytes());
            assert!(!found, "{word} stands readable in {}", path.display());
        }
    }
}

#[test]
fn erasing_leaves_no_byte_of_the_old_data() {
    let (folder, _) = lived_in(20);
    let before: Vec<_> = fs::read(folder.path().join("data/db")).unwrap();
    let marks: Vec<&[u8]> =
        before.chunks_exact(64).filter(|c| c.iter().any(|b| *b != 0)).skip(40).step_by(97).collect();
    assert!(marks.len() > 10);
    let mut store = open(folder.path()).unwrap();
    store.erase().unwrap();
    assert_eq!(store.sequence(), 0);
    drop(store);
    for path in files(folder.path()) {
        let bytes = fs::read(&path).unwrap();
        assert!(marks.iter().all(|mark| bytes.windows(64).all(|w| w != *mark)), "{}", path.display());
    }
    assert!(everything(&open(folder.path()).unwrap()).unwrap().iter().all(Vec::is_empty));
}

#[test]
fn an_erasure_cut_short_is_finished_at_the_next_opening() {
    let (folder, _) = lived_in(5);
    for removed in [None, Some("anchor"), Some("data/conf"), Some("data/db")] {
        fs::write(folder.path().join("unfinished"), "").unwrap();
        if let Some(name) = removed {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
        let mut store = open(folder.path()).unwrap();
        assert!(everything(&store).unwrap().iter().all(Vec::is_empty));
        store.commit(Batch::new().put(Table::Meta, "a", "b")).unwrap();
    }
}

#[test]
fn a_damaged_store_can_be_discarded_without_its_key() {
    let (folder, _) = lived_in(5);
    fs::write(folder.path().join("data/db"), [0xee; 5000]).unwrap();
    assert_ne!(code(open(folder.path())), "opened");
    SledStore::discard(folder.path()).unwrap();
    assert!(everything(&open(folder.path()).unwrap()).unwrap().iter().all(Vec::is_empty));
}

#[test]
fn errors_and_stores_show_no_values() {
    let (folder, _) = lived_in(5);
    fs::remove_file(folder.path().join("anchor")).unwrap();
    let words = open(folder.path()).err().unwrap().to_string();
    assert!(words.contains("anchor file is missing") && !words.contains("tmp"), "{words}");
}

#[test]
fn a_single_value_gone_or_stale_under_a_level_anchor_is_told() {
    let (folder, _) = lived_in(12);
    for stale in [false, true] {
        let broken = copied(folder.path());
        let data = ::sled::Config::new().path(broken.path().join("data")).segment_size(512 * 1024);
        let db = data.flush_every_ms(None).open().unwrap();
        let (one, other) = ([Table::Document.number(), 3], [Table::Document.number(), 4]);
        let gone = db.remove(one).unwrap().unwrap();
        if stale {
            assert_ne!(db.insert(one, db.get(other).unwrap().unwrap()).unwrap(), Some(gone));
        }
        db.flush().unwrap();
        drop(db);
        let told = open(broken.path()).err().unwrap().to_string();
        let says = ["values are missing or stale", "a value does not open under its key"][usize::from(stale)];
        assert!(told.contains(says), "{told}");
    }
}
