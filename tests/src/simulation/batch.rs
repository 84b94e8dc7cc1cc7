//! Many seeds, one after the other or side by side, and what is said of those that fail.
//!
//! In: seeds. Out: one line for each that fails, with the command that replays it and what was found; in
//! the end the numbers. A panic in a run is a finding like any other.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use sync_core::fact::kinds::Payload;
use sync_core::ids::DocKind;

use super::{checkers, random};

/// What one seed came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Laws that do not hold.
    pub faults: Vec<String>,
    /// The digest of everything that happened, hex.
    pub trace: String,
    /// What happened how often.
    pub counts: BTreeMap<String, u64>,
}

/// Runs a seed and checks every law.
pub fn one(seed: u64) -> Outcome {
    let outcome = catch_unwind(|| {
        let mut run = random::run(seed);
        let trace = run.world.trace();
        let faults = checkers::check(&mut run);
        let mut counts = std::mem::take(&mut run.counts);
        for (doc, story) in &checkers::stories(&run) {
            for told in &story.facts {
                let what = match &told.what {
                    Payload::Step(step) => format!("step: {}", step.step),
                    other => format!("fact: {}", other.name()),
                };
                *counts.entry(what).or_default() += 1;
            }
            *counts.entry("parts taken by two".into()).or_default() += story.all().short().len() as u64;
            *counts.entry("takings set aside".into()).or_default() += story.all().set_aside().len() as u64;
            if doc.kind() == DocKind::Conduct && story.all().holds() {
                *counts.entry("record in force".into()).or_default() += 1;
            }
            if story.all().closed() {
                *counts.entry("ticket, order or paper closed".into()).or_default() += 1;
            }
        }
        Outcome { faults, trace, counts }
    });
    outcome.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|w| (*w).to_owned()));
        Outcome { faults: vec![format!("a panic: {}", words.unwrap_or_default())], ..Outcome::default() }
    })
}

/// What many seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    /// The seeds that fail.
    pub failed: Vec<u64>,
    /// What happened how often, over all.
    pub counts: BTreeMap<String, u64>,
}

/// Runs seeds on so many threads; says what fails as it fails, and the numbers last.
pub fn many(seeds: &[u64], threads: usize) -> Outcomes {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Outcomes::default()));
    std::thread::scope(|scope| {
        for _thread in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = one(*seed);
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    for (what, count) in outcome.counts {
                        *outcomes.counts.entry(what).or_default() += count;
                    }
                    if !outcome.faults.is_empty() {
                        println!("seed {seed} fails; replay it with: cargo xtask sim --seed {seed}");
                        outcome.faults.iter().for_each(|fault| println!("  {fault}"));
                        outcomes.failed.push(*seed);
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} seeds, {} failed", seeds.len(), outcomes.failed.len());
    outcomes
}

/// Seeds drawn from a text, such as the name of a commit: the same text gives the same seeds.
pub fn drawn_from(text: &str) -> impl Iterator<Item = u64> {
    let text = text.to_owned();
    (0u64..).map(move |at| {
        let digest = Sha256::new().chain_update(text.as_bytes()).chain_update(at.to_be_bytes()).finalize();
        // Six digits less than a u64 has: easier to type.
        digest.iter().take(6).fold(0, |number, byte| number << 8 | u64::from(*byte))
    })
}
