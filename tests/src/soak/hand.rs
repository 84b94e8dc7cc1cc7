//! A device at work: what its person does, and how it comes and goes.
//!
//! It syncs every now and then, is cut off in the middle, stays connected for a while, works offline, is
//! closed and opened again, and fetches others' photos. In a rest it is closed altogether.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use client_ffi::session::{Cancel, Listener};
use client_ffi::shell::block_on;
use client_ffi::transport::TransportError;
use client_ffi::views::SyncState;
use client_ffi::{FieldClient, FieldError};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::cast::{Person, STORE_KEY};
use super::course::{Course, Phase, Seen};
use super::ledger::Ledger;
use super::work::Worker;

/// Milliseconds between two things that a person does.
const PAUSE_MS: std::ops::Range<u64> = 80..600;
/// Longest sync, in milliseconds.
const SYNC_MS_MAX: u64 = 120_000;
/// A sync that is to be cut is given so many milliseconds at most.
const CUT_MS: std::ops::Range<u64> = 1..60;
/// How often a device tries to bring what it has, in the end.
const TRIES: u32 = 5;

/// A device.
pub struct Hand {
    /// Whose it is.
    pub who: &'static Person,
    /// Its folder.
    pub dir: PathBuf,
    /// Chance.
    pub rng: ChaCha8Rng,
    /// What it waits for.
    pub course: Arc<Course>,
    /// Hears what was acknowledged.
    pub ledger: Arc<Ledger>,
    /// Open, unless it rests.
    pub client: Option<Arc<FieldClient>>,
    /// The connection that stays, if there is one.
    pub watch: Option<Watch>,
    /// So many things more are done without a sync.
    pub offline: u32,
}

/// A connection that stays until it is cancelled.
pub struct Watch {
    cancel: Arc<Cancel>,
    ended: JoinHandle<Result<(), FieldError>>,
    left: u32,
}

struct Quiet;
impl Listener for Quiet {
    fn changed(&self, _: Vec<String>, _: SyncState) -> Result<(), TransportError> {
        Ok(())
    }
}

impl Hand {
    /// Follows the course to its end.
    pub fn run(mut self) {
        let mut seen = Seen::default();
        loop {
            let phase = self.course.look(&mut seen);
            let done = match phase {
                Phase::Work => self.work(seen),
                Phase::Rest => self.rest(),
                Phase::Settle => self.settle(),
                Phase::Compare => self.compare(),
                Phase::End => return,
            };
            let failed = done.is_err();
            if let Err(error) = done {
                self.ledger.fault(format!("{}: {error:#}", self.who.name));
            }
            if failed || phase != Phase::Work {
                self.course.park(seen);
            }
        }
    }

    fn open(&mut self) -> anyhow::Result<Arc<FieldClient>> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let dir = self.dir.to_str().context("a folder's name is text")?.to_owned();
        let client = FieldClient::open(dir, STORE_KEY.to_vec()).context("the device does not open")?;
        self.client = Some(client.clone());
        Ok(client)
    }

    fn work(&mut self, seen: Seen) -> anyhow::Result<()> {
        loop {
            let pause = Duration::from_millis(self.rng.random_range(PAUSE_MS));
            if self.course.pause(seen, pause) {
                return Ok(());
            }
            let client = self.open()?;
            let (who, ledger, rng) = (self.who, &*self.ledger, &mut self.rng);
            Worker { client: &client, who, ledger, rng }.act().context("it cannot work")?;
            self.network(&client)?;
        }
    }

    /// What it does about its connection after each thing that its person did.
    fn network(&mut self, client: &Arc<FieldClient>) -> anyhow::Result<()> {
        if let Some(watch) = &mut self.watch {
            watch.left = watch.left.saturating_sub(1);
            if watch.left == 0 || watch.ended.is_finished() {
                self.end_watch()?;
            }
            return Ok(());
        }
        if self.offline > 0 {
            self.offline -= 1;
            return Ok(());
        }
        match self.rng.random_range(0..60) {
            0..20 => self.heard(block_on(client.sync(Some(SYNC_MS_MAX), None)), false),
            20..23 => {
                let limit = self.rng.random_range(CUT_MS);
                self.heard(block_on(client.sync(Some(limit), None)), true)
            }
            23..26 => {
                self.begin_watch(client);
                Ok(())
            }
            26 => {
                self.offline = self.rng.random_range(4..20);
                Ok(())
            }
            27 => {
                // Whoever else held it has let go: no watch is running.
                self.client = None;
                Ok(())
            }
            28..30 => self.fetch(client),
            _ => Ok(()),
        }
    }

    /// What a sync came to.
    fn heard(&self, synced: Result<SyncState, FieldError>, cut: bool) -> anyhow::Result<()> {
        match synced {
            Ok(state) => {
                ensure!(state.held == 0, "{} changes of an honest device are held", state.held);
                self.ledger.in_step(state.documents, state.cursor);
            }
            Err(FieldError::Offline { .. }) if cut => {}
            Err(FieldError::Offline { .. }) if !self.course.is_steady() => self.ledger.unreachable(),
            Err(error) => return Err(anyhow::Error::new(error).context("a sync fails")),
        }
        Ok(())
    }

    /// A photo that somebody else took.
    fn fetch(&mut self, client: &Arc<FieldClient>) -> anyhow::Result<()> {
        let roll = self.rng.random_range(0..1_000);
        let Some(live) = self.ledger.pick(roll, None, u32::MAX) else { return Ok(()) };
        let Ok(photos) = client.photos(live.number.clone()) else { return Ok(()) };
        let Some(photo) = photos.into_iter().find(|photo| !photo.here) else { return Ok(()) };
        let fetched = block_on(client.fetch_photo(live.number, photo.hash, Some(SYNC_MS_MAX), None));
        match fetched {
            // The relay may not have it yet.
            Ok(_) | Err(FieldError::Refused { .. }) => Ok(()),
            Err(FieldError::Offline { .. }) if !self.course.is_steady() => {
                self.ledger.unreachable();
                Ok(())
            }
            Err(error) => Err(anyhow::Error::new(error).context("a photo cannot be fetched")),
        }
    }

    fn begin_watch(&mut self, client: &Arc<FieldClient>) {
        let (client, cancel) = (client.clone(), Cancel::new());
        let stop = cancel.clone();
        let ended = std::thread::spawn(move || block_on(client.watch(Arc::new(Quiet), stop)));
        self.watch = Some(Watch { cancel, ended, left: self.rng.random_range(8..60) });
    }

    fn end_watch(&mut self) -> anyhow::Result<()> {
        let Some(watch) = self.watch.take() else { return Ok(()) };
        watch.cancel.cancel();
        match watch.ended.join().map_err(|_| anyhow::anyhow!("a watch panicked"))? {
            Ok(()) => Ok(()),
            Err(error) if error.code() == "stopped" => Ok(()),
            Err(FieldError::Offline { .. }) if !self.course.is_steady() => {
                self.ledger.unreachable();
                Ok(())
            }
            Err(error) => Err(anyhow::Error::new(error).context("a connection that was to stay ended")),
        }
    }

    fn rest(&mut self) -> anyhow::Result<()> {
        let ended = self.end_watch();
        self.client = None;
        ended
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        self.offline = 0;
        let client = self.open()?;
        for _try in 0..TRIES {
            self.heard(block_on(client.sync(Some(SYNC_MS_MAX), None)), false)?;
            let state = client.sync_state()?;
            if state.unsent == 0 && state.blobs_pending == 0 {
                return Ok(());
            }
        }
        let state = client.sync_state()?;
        anyhow::bail!("{} changes and {} photos stay unsent", state.unsent, state.blobs_pending)
    }

    fn compare(&mut self) -> anyhow::Result<()> {
        let client = self.open()?;
        self.heard(block_on(client.sync(Some(SYNC_MS_MAX), None)), false)?;
        let said = block_on(client.check(Some(SYNC_MS_MAX)))?;
        ensure!(said.agree && !said.repaired, "the relay does not agree with what it holds");
        ensure!(said.state.unsent == 0 && said.state.held == 0, "something of it did not enter");
        self.rest()
    }
}
