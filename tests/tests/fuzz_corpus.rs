//! Every decoder over its whole corpus and over thousands of mutations of it: no panic, and never more
//! memory than its bound. The same functions run under cargo-fuzz (`cargo xtask fuzz`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gendan_tests::fuzz::mutate::mutated;
use gendan_tests::fuzz::{TARGETS, Target, seeds};
use peak_alloc::PeakAlloc;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What is measured is the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

/// A target's corpus by file name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(folder(target))
        .unwrap_or_else(|e| panic!("the corpus of {target}: {e}; UPDATE_GOLDEN=1 makes it"))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{target} has seeds");
    found
}

/// Runs one input and gives the bytes of memory that it took beside itself.
fn measured(target: &Target, input: &[u8], what: &str) -> usize {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let ran = std::panic::catch_unwind(|| (target.run)(input));
    let took = MEMORY.peak_usage().saturating_sub(before);
    let shown = || format!("{} on {what}: {}", target.name, hex::encode(&input[..input.len().min(2_000)]));
    assert!(ran.is_ok(), "a panic in {}", shown());
    assert!(took <= target.memory_bytes_max, "{took} bytes of memory in {}", shown());
    took
}

/// How many mutations of a target's corpus are tried.
fn mutations() -> usize {
    let asked = std::env::var("GENDAN_MUTATIONS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(2_000)
}

fn endures(name: &str) {
    let _turn = alone();
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = corpus(name);
    // What is made once for all, such as tables and the company, is not an input's.
    (target.run)(&corpus[0].1);
    let mut most = 0;
    for (file, input) in &corpus {
        most = most.max(measured(target, input, file));
    }
    let seed = name.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = mutations();
    for number in 0..count {
        let (file, input) = &corpus[rng.random_range(0..corpus.len())];
        let (_, other) = &corpus[rng.random_range(0..corpus.len())];
        let input = mutated(input, other, &mut rng);
        most = most.max(measured(target, &input, &format!("mutation {number} of {file}")));
    }
    println!("{name}: {} seeds, {count} mutations, at most {most} bytes of memory", corpus.len());
}

macro_rules! endures {
    ($($test:ident $name:literal)*) => { $(
        #[test]
        fn $test() {
            endures($name);
        }
    )* };
}

endures! {
    messages_of_a_connection_are_taken_or_refused "frames"
    a_frame_is_taken_or_refused "frame"
    a_change_is_taken_or_refused "change"
    a_snapshot_is_taken_or_refused "snapshot"
    a_fact_is_taken_or_refused "fact"
    a_log_of_any_facts_folds "log"
    a_certificate_is_taken_or_refused "certificate"
    a_policy_text_is_taken_or_refused "policy_toml"
    a_published_policy_is_taken_or_refused "policy"
    texts_are_taken_or_refused "text"
    a_devices_records_open_or_are_called_damaged "records"
    a_device_endures_a_relay_that_says_anything "session"
    a_sheet_is_taken_or_refused "sheet"
    evidence_proves_or_is_refused "evidence"
    a_relays_records_open_or_are_called_damaged "relay_records"
    wishes_are_carried_out_or_refused "wishes"
}

#[test]
fn the_seeds_are_what_the_generator_makes() {
    let _turn = alone();
    let seeds = seeds::all();
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for ((target, name), bytes) in &seeds {
        let file = folder(target).join(name);
        if update {
            std::fs::create_dir_all(folder(target)).unwrap();
            std::fs::write(&file, bytes).unwrap();
        }
        let kept = std::fs::read(&file).unwrap_or_default();
        assert!(kept == *bytes, "{target}/{name} is another now: UPDATE_GOLDEN=1 makes it anew");
    }
    for target in TARGETS {
        let files = corpus(target.name);
        let found = files.iter().filter(|(name, _)| !seeds.contains_key(&(target.name, name.clone())));
        for (name, _) in found {
            assert!(name.starts_with("found-"), "{}/{name} is neither made nor found", target.name);
        }
    }
}

#[test]
fn every_target_is_run_here_and_under_cargo_fuzz() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.map(|f| f.replace(".rs", "")).collect::<BTreeSet<_>>(), names);
    let here = include_str!("fuzz_corpus.rs");
    assert!(names.iter().all(|name| here.contains(&format!(" \"{name}\"\n"))), "each has its test");
}
