//! The benches: what the relay and the device cost, each figure beside its goal.
//!
//! The relay is the real one, a process of its own, so that its CPU time and memory are its alone; the
//! devices live in this process and speak to it over real sockets whose bytes are counted. Data is made
//! from a seed. In: which keys, how large. Out: a table, and `bench.json`. A missed goal is printed as
//! missed and is no failure of the run. Deliberately not here: timed tests, and profiles of the CPU.

pub mod outcome;
pub mod process;
pub mod order;
pub mod company;
pub mod line;
pub mod baseline;
pub mod idle_reconnect;
pub mod first_sync;
pub mod storm;
pub mod relay_100k;
pub mod disk;
pub mod device_open;

use std::path::PathBuf;

use anyhow::bail;
use outcome::Outcome;
use process::Stopwatch;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Only these keys; all where empty.
    pub only: Vec<String>,
    /// Small counts; goals are not judged.
    pub small: bool,
    /// Prepared stores are built anew.
    pub fresh: bool,
    /// Where the figures and the prepared stores go.
    pub target: PathBuf,
}

impl Plan {
    /// A count, or a small one in its place.
    pub fn count(&self, full: u32, small: u32) -> u32 {
        if self.small { small } else { full }
    }
}

type Bench = fn(&Plan) -> anyhow::Result<Outcome>;

/// Every key with what measures it.
const KEYS: [(&str, Bench); 6] = [
    ("idle_reconnect", idle_reconnect::run),
    ("first_sync", first_sync::run),
    ("storm", storm::run),
    ("disk", disk::run),
    ("device_open", device_open::run),
    ("relay_100k", relay_100k::run),
];

/// Runs the benches, prints the table and writes `bench.json`.
pub fn run(plan: &Plan) -> anyhow::Result<()> {
    if let Some(unknown) = plan.only.iter().find(|key| KEYS.iter().all(|(known, _)| known != key)) {
        let known: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
        bail!("there is no key {unknown:?}; there are {}", known.join(", "));
    }
    process::allow_many_sockets()?;
    let chosen = |key: &&str| plan.only.is_empty() || plan.only.iter().any(|k| k == key);
    let mut outcomes = Vec::new();
    for (key, bench) in KEYS.iter().filter(|(key, _)| chosen(key)) {
        eprintln!("▶ {key}");
        let watch = Stopwatch::start();
        match bench(plan) {
            Ok(outcome) => {
                print!("{}", outcome.table(plan.small));
                outcomes.push(outcome);
            }
            // The other keys still have something to say; this one stands in the file as failed.
            Err(error) => {
                println!("{key}\n  ✘ failed: {error:#}\n");
                outcomes.push(Outcome::failed(key, &error));
            }
        }
        eprintln!("  {:.0} s", watch.seconds());
        outcome::write(plan, &outcomes)?;
    }
    if outcomes.iter().any(Outcome::has_failed) {
        bail!("a bench could not be run");
    }
    Ok(())
}
