//! A run from the founding to the judgement.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::bench::process::{Stopwatch, allow_many_sockets};
use crate::faults::process::{Place, Relay};

use super::cast::{CAST, Office, folder, found};
use super::course::{Course, Phase};
use super::desk::Desk;
use super::figures::{Sample, mb};
use super::hand::Hand;
use super::ledger::Ledger;
use super::{Plan, Tally, books, judge};

/// The relay compacts what has rested twice as long as its moments are apart, ten seconds.
const COMPACTED_AFTER: Duration = Duration::from_secs(24);

/// Works so long, rests between, and judges in the end; prints a line for each slice.
///
/// # Errors
/// Where the run itself cannot go on. Broken rules are no error: they stand in the tally.
pub fn run(plan: &Plan) -> anyhow::Result<Tally> {
    allow_many_sockets()?;
    let place = Place { programs: plan.programs.clone(), folder: plan.folder.clone() };
    let watch = Stopwatch::start();
    let (relay, office) = found(&place)?;
    println!("{} devices enrolled after {:.0} s", CAST.len(), watch.seconds());
    let mut soak = Soak::begin(place, relay, office, plan)?;
    for slice in 1..=plan.slices() {
        soak.slice(slice, plan)?;
    }
    soak.end(plan)
}

struct Soak {
    place: Place,
    relay: Relay,
    office: Office,
    course: Arc<Course>,
    ledger: Arc<Ledger>,
    rng: ChaCha8Rng,
    watch: Stopwatch,
    threads: Vec<JoinHandle<()>>,
    restarts: u32,
    samples: Vec<Sample>,
    /// Of a rest, before the figures are taken.
    quiet: Duration,
}

impl Soak {
    fn begin(place: Place, relay: Relay, office: Office, plan: &Plan) -> anyhow::Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        let mut soak = Self {
            place,
            relay,
            office,
            course: Arc::new(Course::new(CAST.len() + 1)),
            ledger: Arc::default(),
            rng: ChaCha8Rng::seed_from_u64(rng.random()),
            watch: Stopwatch::start(),
            threads: Vec::new(),
            restarts: 0,
            samples: Vec::new(),
            quiet: Duration::from_millis(plan.quiet_ms()),
        };
        for who in &CAST {
            let hand = Hand {
                who,
                dir: folder(&soak.place, who),
                rng: ChaCha8Rng::seed_from_u64(rng.random()),
                course: soak.course.clone(),
                ledger: soak.ledger.clone(),
                client: None,
                watch: None,
                offline: 0,
            };
            let named = std::thread::Builder::new().name(who.name.to_owned());
            soak.threads.push(named.spawn(move || hand.run())?);
        }
        let desk = Desk {
            office: soak.office.clone(),
            rng: ChaCha8Rng::seed_from_u64(rng.random()),
            course: soak.course.clone(),
            ledger: soak.ledger.clone(),
        };
        soak.threads.push(std::thread::Builder::new().name("desk".into()).spawn(move || desk.run())?);
        soak.rest(0)?;
        Ok(soak)
    }

    /// Everyone rests, and the figures are taken.
    fn rest(&mut self, slice: u32) -> anyhow::Result<()> {
        self.course.followed(Phase::Rest)?;
        std::thread::sleep(self.quiet);
        let around = (&self.relay, &self.place, &self.watch);
        let sample = Sample::take((slice, self.restarts), around, &self.ledger)?;
        println!("{sample}");
        self.samples.push(sample);
        Ok(())
    }

    /// A slice of work; in the first of them the relay is ended in it and started again.
    fn slice(&mut self, slice: u32, plan: &Plan) -> anyhow::Result<()> {
        let steady = slice > plan.restarts();
        let whole = plan.slice_ms();
        self.course.set_steady(steady);
        self.course.turn(Phase::Work);
        if steady {
            std::thread::sleep(Duration::from_millis(whole));
        } else {
            let before = self.rng.random_range(whole / 5..whole * 4 / 5);
            std::thread::sleep(Duration::from_millis(before));
            self.restart(slice % 2 == 1)?;
            std::thread::sleep(Duration::from_millis(whole - before));
        }
        self.rest(slice)
    }

    /// Ends the relay in the middle of the work, and starts it again where it listened.
    fn restart(&mut self, killed: bool) -> anyhow::Result<()> {
        let told = self.ledger.cursor();
        if killed {
            self.relay.victim.kill()?
        } else {
            self.relay.victim.dismiss()?
        }
        let address = self.relay.address.to_string();
        self.relay = Relay::start(&self.place, &address)?;
        self.restarts += 1;
        let head = self.office.head()?;
        if head < told {
            self.ledger.fault(format!("a device was told of position {told}; the relay came back at {head}"));
        }
        Ok(())
    }

    /// All is brought, all agree, the relay compacts and ends; then its store is read and the rules judged.
    fn end(mut self, plan: &Plan) -> anyhow::Result<Tally> {
        self.course.followed(Phase::Settle)?;
        self.course.followed(Phase::Compare)?;
        if plan.minutes > 1 {
            std::thread::sleep(COMPACTED_AFTER);
        }
        self.rest(plan.slices() + 1)?;
        self.course.turn(Phase::End);
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| anyhow::anyhow!("a hand panicked"))?;
        }
        self.relay.victim.dismiss()?;
        let (sound, said) = self.place.run(&["check"])?;
        let faults = said["faults"].as_array().map_or(1, Vec::len);
        if !sound || faults > 0 {
            self.ledger.fault(format!("gendan check: {said}"));
        }
        let log = std::fs::read_to_string(self.place.folder.join("relay.log"))?;
        if let Some(line) = log.lines().next() {
            self.ledger.fault(format!("the relay warned {} times, first: {line}", log.lines().count()));
        }
        let books = books::read(&self.place, &self.ledger)?;
        for lost in books.lost.iter().take(20) {
            println!("lost: {lost}");
        }
        println!(
            "{} documents, {} changes in the store; {} cases came to their end; the relay was away {} times for somebody",
            books.documents,
            books.changes,
            self.ledger.finished(),
            self.ledger.was_unreachable()
        );
        self.judged(&books)
    }

    fn judged(&self, books: &books::Books) -> anyhow::Result<Tally> {
        let (first, last) = (self.samples.first(), self.samples.last());
        let (first, last) = (first.context("a first sample")?, last.context("a last sample")?);
        let steady = self.samples.iter().find(|s| s.restarts == self.restarts).unwrap_or(first);
        ensure!(self.ledger.count() > 0, "nobody did anything");
        let mut broken = self.ledger.faults();
        // The last rest comes after everybody was there at once, which is other work than a slice's.
        let slices = &self.samples[..self.samples.len().saturating_sub(1)];
        let rules = [
            judge::memory(slices),
            judge::handles(&self.samples),
            judge::disk(last.store, books.records, books.live),
        ];
        for rule in rules {
            match rule {
                Ok(kept) => println!("✔ {kept}"),
                Err(told) => {
                    println!("✘ {told}");
                    broken.push(told);
                }
            }
        }
        println!("photos: {:.1} MB", mb(last.photos));
        Ok(Tally {
            changes: last.changes,
            restarts: self.restarts,
            lost: books.lost.len(),
            memory: (steady.resident, slices.last().unwrap_or(first).resident),
            handles: (first.handles, last.handles),
            disk: last.store,
            broken,
        })
    }
}
