//! Stores whose process dies by `kill -9`, or whose disk fills up, in a child that is this very test
//! binary run again: it commits in a loop and prints each commit that was acknowledged.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

const FOLDER: &str = "GENDAN_TEST_STORE";
const CHILD: &str = "store::damage::killed::a_child_commits_until_it_is_stopped";
/// How many of its newest commits' values the child keeps.
const KEPT: &str = "GENDAN_TEST_KEPT";

fn number(store: &impl DeviceStore) -> u64 {
    let bytes = store.get(Table::Meta, b"n").unwrap().unwrap_or(vec![0; 8]);
    u64::from_be_bytes(bytes.try_into().unwrap())
}
fn payload(n: u64) -> Vec<u8> {
    let mut bytes = vec![0; 100 + (n as usize * 131) % 20_000];
    rng(n).fill_bytes(&mut bytes);
    bytes
}

/// The child's part; without its folder in the environment it has nothing to do.
#[test]
fn a_child_commits_until_it_is_stopped() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let kept: u64 = std::env::var(KEPT).unwrap().parse().unwrap();
    let seed = u64::from(std::process::id());
    let mut store = SledStore::open(Path::new(&folder), &key(), rng(seed)).unwrap();
    for n in number(&store) + 1.. {
        let batch = Batch::new()
            .put(Table::Outbox, n.to_be_bytes(), payload(n))
            .put(Table::Document, [(n % 5) as u8], n.to_be_bytes())
            .put(Table::Meta, "n", n.to_be_bytes())
            .delete(Table::Outbox, n.wrapping_sub(kept).to_be_bytes());
        match store.commit(batch) {
            Ok(()) => println!("ack {n}"),
            Err(error) => return println!("refused {}", error.code()),
        }
    }
}

fn spawn(folder: &Path, kept: u64, wrapper: &[&str]) -> Child {
    let mut words: Vec<_> = wrapper.iter().map(Into::into).collect();
    words.push(std::env::current_exe().unwrap().into_os_string());
    words.extend([CHILD, "--exact", "--nocapture"].map(Into::into));
    Command::new(&words[0])
        .args(&words[1..])
        .env(FOLDER, folder)
        .env(KEPT, kept.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.split_once(word).map(|(_, rest)| rest.trim())
}

/// All that the child acknowledged is there; at most one commit more; and no commit is torn.
fn check(folder: &Path, kept: u64, acknowledged: u64) -> u64 {
    let store = open(folder).unwrap();
    let n = number(&store);
    assert!(n == acknowledged || n == acknowledged + 1, "{acknowledged} acknowledged, {n} found");
    let outbox: Vec<_> =
        (n.saturating_sub(kept) + 1..=n).map(|n| (n.to_be_bytes().to_vec(), payload(n))).collect();
    assert!(store.scan(Table::Outbox, b"").unwrap() == outbox, "commit {n} is torn");
    assert_eq!(store.get(Table::Document, &[(n % 5) as u8]).unwrap(), Some(n.to_be_bytes().to_vec()));
    n
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..10 {
        let mut child = spawn(folder.path(), 20, &[]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = 3 + round * 13 % 40;
        // After the kill the pipe still holds what was printed before it.
        while let Some(Ok(line)) = lines.next() {
            let Some(n) = after(&line, "ack ") else { continue };
            last = n.parse().unwrap();
            left -= 1;
            if left == 0 {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success() && left <= 0, "the child was to be killed");
        last = check(folder.path(), 20, last);
    }
    println!("10 kills, {last} commits, nothing lost");
}

#[test]
fn a_full_disk_is_told_and_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    // No file may grow beyond 3 MiB (6,144 blocks of 512 bytes); a store that spins is stopped.
    let script = "trap '' XFSZ; ulimit -f 6144; ulimit -t 30; exec \"$0\" \"$@\"";
    let child = spawn(folder.path(), 1_000_000, &["sh", "-c", script]);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().filter_map(|l| after(l, "ack ")).next_back().unwrap().parse().unwrap();
    let refusal = text.lines().find_map(|l| after(l, "refused ")).map(str::to_owned);
    assert_eq!(refusal.as_deref(), Some("store_full"), "after {last} commits");
    check(folder.path(), 1_000_000, last);
}
