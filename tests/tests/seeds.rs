//! Random runs, with every law checked after each: a fixed set of seeds, and some hundred that each commit
//! draws anew.
//!
//! The cases are parts of one whole, so that a test runner which gives each case a process of its own uses
//! all cores. A seed that fails is printed with the command that replays it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::process::Command;

use gendan_tests::simulation::batch::{drawn_from, many, one};
use gendan_tests::simulation::faults::NAMED;

/// Seeds that draw papers and stocks: 3 publishes a policy at once, in 31 and 54 two take one number apart.
const PAPERS: [u64; 5] = [3, 18, 29, 31, 54];
/// Seeds that one commit draws, in all parts together.
const DRAWN: usize = 200;
const PARTS: usize = 4;

/// What the seeds of this commit are drawn from: `GENDAN_BASE`, or else the commit's name.
fn base() -> String {
    let commit = || {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let asked = Command::new("git").args(["-C", root, "rev-parse", "HEAD"]).output().ok()?;
        let name = String::from_utf8(asked.stdout).ok()?;
        asked.status.success().then(|| name.trim().to_owned())
    };
    let given = std::env::var("GENDAN_BASE").ok();
    given.or_else(commit).unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())
}

fn all_hold(seeds: &[u64]) {
    let failed = many(seeds, 1).failed;
    assert!(failed.is_empty(), "failing seeds: {failed:?}");
}

fn drawn(part: usize) {
    let base = base();
    println!("seeds drawn from {base}, part {part} of {PARTS}");
    let seeds: Vec<u64> = drawn_from(&base).take(DRAWN).skip(part).step_by(PARTS).collect();
    all_hold(&seeds);
}

#[test]
fn every_law_holds_for_the_first_half_of_the_fixed_seeds() {
    all_hold(&NAMED[..NAMED.len() / 2]);
}

#[test]
fn every_law_holds_for_the_second_half_of_the_fixed_seeds() {
    all_hold(&NAMED[NAMED.len() / 2..]);
}

#[test]
fn every_law_holds_for_the_fixed_seeds_that_draw_papers_and_stocks() {
    all_hold(&PAPERS);
}

#[test]
fn every_law_holds_for_the_first_quarter_of_the_seeds_of_this_commit() {
    drawn(0);
}

#[test]
fn every_law_holds_for_the_second_quarter_of_the_seeds_of_this_commit() {
    drawn(1);
}

#[test]
fn every_law_holds_for_the_third_quarter_of_the_seeds_of_this_commit() {
    drawn(2);
}

#[test]
fn every_law_holds_for_the_last_quarter_of_the_seeds_of_this_commit() {
    drawn(3);
}

#[test]
fn one_seed_run_twice_is_the_same_to_the_last_byte_on_the_wire() {
    for seed in [2, 5, 12] {
        let (first, second) = (one(seed), one(seed));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.counts, second.counts, "seed {seed}");
    }
    assert_ne!(one(2).trace, one(3).trace);
}

#[test]
fn the_fixed_seeds_reach_whatever_may_happen() {
    reached(
        &NAMED[..14],
        &[
            "Leap",
            "Reboot",
            "Stray",
            "WindClock",
            "device enrolled",
            "device revoked",
            "fact: Approved",
            "fact: Cancelled",
            "fact: Exception",
            "fact: Visited",
            "photo taken",
            "policy published",
            "relay restored",
            "role ended",
            "role transferred",
            "step: fetched",
            "step: visited",
        ],
    );
}

#[test]
fn the_fixed_seeds_that_draw_papers_reach_parts_records_and_refusals() {
    let must = ["fact: StockMoved", "record in force", "refused: role_missing", "refused: stock_short"];
    reached(&PAPERS, &must);
    reached(&PAPERS, &["step: notified", "step: published", "step: reported"]);
}

/// What each of these must have come to at least once.
fn reached(seeds: &[u64], must: &[&str]) {
    let counts = many(seeds, 2).counts;
    let never = |what: &&&str| counts.get(**what).is_none_or(|count| *count == 0);
    let missing: Vec<_> = must.iter().filter(never).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}, of {counts:?}");
}
