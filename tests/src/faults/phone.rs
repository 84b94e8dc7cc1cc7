//! A device under load: it opens orders, notes, records contacts and syncs, one acknowledged line after
//! the other, until its process dies; then it is started again and must show all that it acknowledged.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Barrier, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::ledger::{Ledger, missing};
use super::pace::{Pace, Spent};
use super::process::{Batch, Place, Victim};

/// Orders that one device opens.
const ORDERS_MAX: u32 = 24;
/// Lines that a device says before it syncs: an outbox that grows costs more than it tests.
const UNSENT_MAX: u32 = 8;
/// The price of what every order is about; it stands in a document of its own, the order's money, which
/// is written together with the order or not at all.
const PRICE: &str = "1286.00";

/// What a device tells.
#[derive(Debug)]
pub enum Event {
    /// A process has started, and its store showed so much amiss.
    Opened {
        /// Which device.
        phone: usize,
        /// Acknowledged and gone.
        lost: Vec<String>,
        /// There in part.
        torn: Vec<String>,
    },
    /// A line was acknowledged.
    Acknowledged {
        /// Which device.
        phone: usize,
    },
    /// It has nothing unsent any more and waits for the others.
    AtRest,
    /// It ended well, in step with the relay.
    Ended,
    /// It cannot go on.
    Broken(anyhow::Error),
}

/// A device and what drives it.
pub struct Phone {
    /// Its number.
    pub number: usize,
    /// Its folder.
    pub data: PathBuf,
    /// The programs.
    pub place: Place,
    /// What was acknowledged.
    pub ledger: Arc<Ledger>,
    /// Its chance.
    pub rng: ChaCha8Rng,
    /// The process that runs now.
    pub running: Arc<Mutex<Option<Victim>>>,
    /// How fast it may work.
    pub pace: Arc<Pace>,
    /// Whether it is to come to an end.
    pub stop: Arc<AtomicBool>,
    /// Everyone is at rest: it may compare itself with the relay.
    pub rested: Arc<Barrier>,
    /// Hears what happens.
    pub events: Sender<Event>,
}

/// What the lines of one process came to.
enum Run {
    Killed,
    Stopped,
}

impl Phone {
    /// Its orders' numbers begin so.
    fn prefix(&self) -> String {
        format!("F{}-", self.number)
    }

    /// Runs until it is stopped.
    pub fn run(mut self) {
        let (events, done) = (self.events.clone(), self.live());
        // Whoever listened may be gone: then nobody is left to be told.
        drop(events.send(done.map_or_else(Event::Broken, |()| Event::Ended)));
    }

    fn live(&mut self) -> anyhow::Result<()> {
        let (mut opened, mut said) = (0, 0);
        loop {
            let mut batch = Batch::start(&self.place, &self.data)?;
            let (lost, torn) = self.inspect(&mut batch, &mut opened)?;
            *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(batch.victim.clone());
            self.events.send(Event::Opened { phone: self.number, lost, torn })?;
            if let Run::Stopped = self.load(&mut batch, &mut opened, &mut said)? {
                return self.settle(&mut batch);
            }
        }
    }

    /// Everything that this device acknowledged is shown, and every order is whole.
    fn inspect(&self, batch: &mut Batch, opened: &mut u32) -> anyhow::Result<(Vec<String>, Vec<String>)> {
        let (mut lost, mut torn) = (Vec::new(), Vec::new());
        let in_flight = *opened + 1;
        for n in 1..=in_flight {
            let order = format!("{}{n}", self.prefix());
            let shown =
                batch.ask(&json!({"do": "case", "doc": order})).context("a store that opens shows")?;
            let marks = self.ledger.with(|all| all.get(&order).cloned());
            if let Some(code) = shown["error"]["code"].as_str() {
                match (code, marks) {
                    ("not_found", None) => {}
                    ("not_found", Some(marks)) => lost.extend(marks.kept),
                    (code, _) => torn.push(format!("{order}: {code}")),
                }
                continue;
            }
            *opened = (*opened).max(n);
            let money = shown["doc"].as_str().unwrap_or_default().replacen("order:", "order-money:", 1);
            let shown = shown.to_string();
            lost.extend(missing(&marks.unwrap_or_default().kept, &shown));
            for doc in [&order, &money] {
                let verified = batch.ask(&json!({"do": "verify", "doc": doc})).context("a store reads on")?;
                if !verified["facts"].is_u64() {
                    torn.push(format!("{order}, {doc}: {verified}"));
                }
            }
        }
        Ok((lost, torn))
    }

    fn load(&mut self, batch: &mut Batch, opened: &mut u32, said: &mut u64) -> anyhow::Result<Run> {
        let (mut unsent, mut spent) = (0, Spent::default());
        loop {
            self.pace.line(&mut spent);
            if self.stop.load(Ordering::Acquire) {
                return Ok(Run::Stopped);
            }
            let roll = if unsent >= UNSENT_MAX { 0 } else { self.rng.random_range(0..12) };
            unsent = if roll < 3 { 0 } else { unsent + 1 };
            let (line, order, mark) = match roll {
                0..3 => (json!({"do": "sync"}), None, None),
                3 if *opened < ORDERS_MAX => (self.opening(*opened + 1), Some(*opened + 1), None),
                _ if *opened == 0 => (self.opening(1), Some(1), None),
                _ => {
                    *said += 1;
                    let order = self.rng.random_range(1..=*opened);
                    let mark = format!("<{}:{said}>", self.number);
                    (self.remark(order, &mark, roll), Some(order), Some(mark))
                }
            };
            let Some(answer) = batch.ask(&line) else { return Ok(Run::Killed) };
            self.heard(&line, &answer)?;
            if let Some(n) = order {
                *opened = (*opened).max(n);
                let order = format!("{}{n}", self.prefix());
                self.ledger.kept(&order, mark.unwrap_or_else(|| order.clone()));
            }
            self.events.send(Event::Acknowledged { phone: self.number })?;
        }
    }

    fn opening(&self, n: u32) -> Value {
        json!({
            "do": "open-order", "number": format!("{}{n}", self.prefix()), "store": "城东店",
            "item": [format!("product=沙发,model=L3,quantity=1,unit_price={PRICE}")],
            "fields": ["customer=何女士", "phone=13800000000", "delivery_date=2027-03-01"],
        })
    }

    fn remark(&self, order: u32, mark: &str, roll: u32) -> Value {
        let doc = format!("{}{order}", self.prefix());
        if roll.is_multiple_of(3) {
            json!({"do": "contact", "doc": doc, "channel": "phone", "words": format!("客户来电 {mark}")})
        } else {
            json!({"do": "note", "doc": doc, "text": format!("记一笔 {mark}")})
        }
    }

    /// An answer is an acknowledgement, or a relay that is away; nothing else may happen.
    fn heard(&self, line: &Value, answer: &Value) -> anyhow::Result<()> {
        let is_sync = line["do"] == "sync";
        if answer["error"].is_object() {
            if is_sync && answer["error"]["retryable"] == true {
                return Ok(());
            }
            bail!("{line} was answered {answer}");
        }
        if is_sync {
            anyhow::ensure!(answer["held"] == 0, "an honest device's work was held: {answer}");
            if answer["unsent"] == 0 {
                self.ledger.all_received(&self.prefix());
            }
        }
        Ok(())
    }

    /// In the end it is in step, and the relay agrees.
    fn settle(&self, batch: &mut Batch) -> anyhow::Result<()> {
        for line in [json!({"do": "sync"}), json!({"do": "check"})] {
            if line["do"] == "check" {
                self.events.send(Event::AtRest)?;
                self.rested.wait();
            }
            let answer = batch.ask(&line).context("the device ended by itself")?;
            anyhow::ensure!(answer["error"].is_null(), "{line}: {answer}");
            self.heard(&line, &answer)?;
        }
        Ok(())
    }
}
