//! The kills: a relay and its devices under load, one of them killed at a random moment, again and again.
//!
//! After a relay's death `gendan check` reads its whole store, then it serves again where it served and
//! must show every mark that it acknowledged. After a device's death [`super::phone`] does the same.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::ledger::{Ledger, missing};
use super::pace::Pace;
use super::phone::{Event, Phone};
use super::process::{Place, Relay, Victim, ask};
use super::told::Told;

const PHONES: usize = 3;
const PASSWORD: &str = "gendan-faults-2026";
/// A process is killed within so many milliseconds.
const MOMENT_MS_MAX: u64 = 800;
/// No step takes longer on the slowest machine.
const STUCK: Duration = Duration::from_secs(300);

const SECOND: Duration = Duration::from_millis(1_100);

fn staff(number: usize) -> String {
    format!("D{number:02}")
}

/// What the kills came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Processes killed.
    pub kills: u32,
    /// Of these, relays.
    pub relays: u32,
    /// Marks that were acknowledged and are gone.
    pub lost: usize,
    /// What is there in part.
    pub torn: usize,
    /// Marks acknowledged in all.
    pub acknowledged: usize,
    /// Exceptions that were reported, of which a webhook had to hear.
    pub reported: usize,
}

/// Kills so many processes and says what was lost; the programs stand in `programs`.
///
/// # Errors
/// Where a program cannot be run, or does what no kill explains.
pub fn run(programs: &Path, folder: &Path, kills: u32, seed: u64) -> anyhow::Result<Tally> {
    let place = Place { programs: programs.to_owned(), folder: folder.to_owned() };
    let mut field = Field::open(place, seed)?;
    for n in 1..=kills {
        field.kill()?;
        if n % 10 == 0 {
            println!(
                "{n} kills, {} acknowledged, {} lost, {} torn",
                field.ledger.count(),
                field.tally.lost,
                field.tally.torn
            );
        }
    }
    field.close()
}

/// The company, its relay and devices.
struct Field {
    place: Place,
    relay: Relay,
    token: String,
    ledger: Arc<Ledger>,
    rng: ChaCha8Rng,
    running: Vec<Arc<Mutex<Option<Victim>>>>,
    pace: Arc<Pace>,
    stop: Arc<AtomicBool>,
    rested: Arc<Barrier>,
    events: Receiver<Event>,
    told: Told,
    tally: Tally,
}

impl Field {
    fn open(place: Place, seed: u64) -> anyhow::Result<Self> {
        let founding = ["init", "--company", "好家居", "--name", "周总", "--password", PASSWORD];
        let (founded, said) = place.run(&founding)?;
        ensure!(founded, "init: {said}");
        let told = Told::open(&place)?;
        let relay = Relay::start(&place, "127.0.0.1:0")?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (sender, events) = mpsc::channel();
        let mut field = Self {
            place,
            relay,
            token: String::new(),
            ledger: Arc::default(),
            rng: ChaCha8Rng::seed_from_u64(rng.random()),
            running: Vec::new(),
            pace: Arc::default(),
            stop: Arc::default(),
            rested: Arc::new(Barrier::new(PHONES + 1)),
            events,
            told,
            tally: Tally::default(),
        };
        let login = field.office("/v1/office/login", &json!({ "number": "M01", "password": PASSWORD }))?;
        field.token = login["token"].as_str().context("a token")?.to_owned();
        field.office("/v1/commands", &json!({ "do": "add_store", "name": "城东店" }))?;
        for number in 0..PHONES {
            field.hire(number)?;
        }
        // An edit without a fact is dated in whole seconds: one of the very second in which the role was
        // granted would count as made before it.
        if let Ok(event) = field.events.recv_timeout(SECOND) {
            bail!("nobody works yet: {event:?}");
        }
        for number in 0..PHONES {
            field.equip(number, ChaCha8Rng::seed_from_u64(rng.random()), sender.clone())?;
        }
        for _ in 0..PHONES {
            field.opened(None)?;
        }
        Ok(field)
    }

    fn office(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let (status, said) = ask(self.relay.address, "POST", path, &self.token, body)?;
        ensure!(status < 300, "{path}: {status} {said}");
        Ok(said)
    }

    /// A salesperson.
    fn hire(&mut self, number: usize) -> anyhow::Result<()> {
        let staff = staff(number);
        self.office("/v1/commands", &json!({ "do": "add_person", "number": staff, "name": "导购" }))?;
        let role = json!({ "do": "grant_role", "number": staff, "role": "sales", "store": "城东店" });
        self.office("/v1/commands", &role)?;
        Ok(())
    }

    /// A person's enrolled device, which begins to work.
    fn equip(&mut self, number: usize, rng: ChaCha8Rng, events: Sender<Event>) -> anyhow::Result<()> {
        let staff = staff(number);
        let code = self.office("/v1/enrolments", &json!({ "number": staff }))?;
        let data = self.place.folder.join(&staff);
        let enrolled = std::process::Command::new(self.place.programs.join("gendan-field"))
            .env("GENDAN_DATA", &data)
            .args(["--json", "enrol", &format!("http://{}", self.relay.address)])
            .arg(code["code"].as_str().context("a code")?)
            .output()?;
        ensure!(enrolled.status.success(), "enrol: {}", String::from_utf8_lossy(&enrolled.stdout));
        let synced = std::process::Command::new(self.place.programs.join("gendan-field"))
            .env("GENDAN_DATA", &data)
            .args(["--json", "sync"])
            .output()?;
        ensure!(synced.status.success(), "sync: {}", String::from_utf8_lossy(&synced.stdout));
        let running = Arc::default();
        let phone = Phone {
            number,
            data,
            place: self.place.clone(),
            ledger: self.ledger.clone(),
            rng,
            running: Arc::clone(&running),
            pace: self.pace.clone(),
            stop: self.stop.clone(),
            rested: self.rested.clone(),
            events,
        };
        self.running.push(running);
        std::thread::Builder::new().name(staff).spawn(move || phone.run())?;
        Ok(())
    }

    /// Waits until a device (this one, or any) has opened its store again.
    fn opened(&mut self, whom: Option<usize>) -> anyhow::Result<()> {
        loop {
            match self.events.recv_timeout(STUCK).context("a device does not open again")? {
                Event::Opened { phone, lost, torn } => {
                    for mark in &lost {
                        println!("lost at device {phone}: {mark}");
                    }
                    for what in &torn {
                        println!("torn at device {phone}: {what}");
                    }
                    self.tally.lost += lost.len();
                    self.tally.torn += torn.len();
                    if whom.is_none_or(|w| w == phone) {
                        return Ok(());
                    }
                }
                Event::Acknowledged { .. } => {}
                Event::AtRest | Event::Ended => bail!("a device ended before it was told to"),
                Event::Broken(error) => return Err(error),
            }
        }
    }

    /// Lets the work go on until a random moment; at least one line more is acknowledged.
    fn moment(&mut self, whom: Option<usize>) -> anyhow::Result<()> {
        self.pace.full();
        loop {
            match self.events.recv_timeout(STUCK).context("nothing is acknowledged any more")? {
                Event::Acknowledged { phone } if whom.is_none_or(|w| w == phone) => break,
                Event::Broken(error) => return Err(error),
                _ => {}
            }
        }
        self.remark()?;
        let mut left = Duration::from_millis(self.rng.random_range(0..MOMENT_MS_MAX));
        let slice = Duration::from_millis(20);
        while !left.is_zero() {
            match self.events.recv_timeout(left.min(slice)) {
                Ok(Event::Broken(error)) => return Err(error),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the devices are gone"),
            }
            left = left.saturating_sub(slice);
        }
        Ok(())
    }

    /// The office works too: a note on an order that the relay has, or an exception, of which the webhook hears.
    fn remark(&mut self) -> anyhow::Result<()> {
        let known = |all: &mut std::collections::BTreeMap<String, super::ledger::Marks>| {
            all.iter()
                .filter(|(_, m)| !m.received.is_empty())
                .map(|(order, _)| order.clone())
                .collect::<Vec<_>>()
        };
        let orders = self.ledger.with(known);
        if orders.is_empty() {
            return Ok(());
        }
        let order = &orders[self.rng.random_range(0..orders.len())];
        let mark = format!("<office:{}>", self.tally.kills);
        let words = format!("办公室 {mark}");
        let said = if self.rng.random() {
            json!({ "do": "note", "doc": order, "text": words })
        } else {
            self.tally.reported += 1;
            self.told.fail_once();
            json!({ "do": "report", "doc": order, "what": words })
        };
        self.office("/v1/commands", &said)?;
        self.ledger.received(order, mark);
        Ok(())
    }

    /// One kill, of a relay or a device, and what became of it.
    fn kill(&mut self) -> anyhow::Result<()> {
        let victim = self.rng.random_range(0..2 * PHONES);
        if victim < PHONES {
            self.moment(Some(victim))?;
            let running = self.running[victim].lock().unwrap_or_else(PoisonError::into_inner).clone();
            running.context("a device that runs")?.kill()?;
            self.pace.slow();
            self.opened(Some(victim))?;
        } else {
            self.moment(None)?;
            self.relay.victim.kill()?;
            self.pace.slow();
            self.tally.relays += 1;
            self.check()?;
            let address: SocketAddr = self.relay.address;
            self.relay = Relay::start(&self.place, &address.to_string())?;
            self.compare()?;
        }
        self.tally.kills += 1;
        Ok(())
    }

    /// The whole store of a relay that is down.
    fn check(&mut self) -> anyhow::Result<()> {
        let (sound, said) = self.place.run(&["check"])?;
        let faults = said["faults"].as_array().map_or(1, Vec::len);
        if !sound || faults > 0 {
            println!("torn at the relay: {said}");
            self.tally.torn += faults.max(1);
        }
        Ok(())
    }

    /// What the relay acknowledged is shown by it.
    fn compare(&mut self) -> anyhow::Result<()> {
        let received = self.ledger.with(|all| all.clone());
        for (order, marks) in received.iter().filter(|(_, m)| !m.received.is_empty()) {
            let path = format!("/v1/cases/{order}");
            let (status, shown) = ask(self.relay.address, "GET", &path, &self.token, &Value::Null)?;
            ensure!(status == 200 || status == 404, "{path}: {status} {shown}");
            let gone = missing(&marks.received, &format!("{order} {shown}"));
            let gone = if status == 404 { marks.received.iter().cloned().collect() } else { gone };
            for mark in &gone {
                println!("lost at the relay, {order}: {mark}");
            }
            self.tally.lost += gone.len();
        }
        Ok(())
    }

    /// Waits until every device has told this.
    fn all(&self, awaited: impl Fn(&Event) -> bool) -> anyhow::Result<()> {
        let mut left = PHONES;
        while left > 0 {
            match self.events.recv_timeout(STUCK).context("a device does not come to rest")? {
                Event::Broken(error) => return Err(error),
                event if awaited(&event) => left -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Everyone comes to rest; all replicas agree and the relay's store is whole.
    fn close(mut self) -> anyhow::Result<Tally> {
        self.stop.store(true, Ordering::Release);
        self.pace.full();
        self.all(|event| matches!(event, Event::AtRest))?;
        self.rested.wait();
        self.all(|event| matches!(event, Event::Ended))?;
        self.compare()?;
        let untold = self.told.missing(self.relay.address, &self.token, self.tally.reported)?;
        for id in &untold {
            println!("the webhook never heard of {id}");
        }
        self.tally.lost += untold.len();
        self.relay.victim.kill()?;
        self.check()?;
        self.tally.acknowledged = self.ledger.count();
        Ok(self.tally)
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.pace.full();
        for running in &self.running {
            let victim = running.lock().unwrap_or_else(PoisonError::into_inner).take();
            // One that is gone already needs no end.
            drop(victim.map(|victim| victim.kill()));
        }
    }
}
