//! The office: it notes, edits, approves and looks things up through the API, beside the devices.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::cast::Office;
use super::course::{Course, Phase, Seen};
use super::ledger::Ledger;

/// Milliseconds between two requests.
const PAUSE_MS: std::ops::Range<u64> = 200..1_000;

/// The office at work.
pub struct Desk {
    /// The way to the relay.
    pub office: Office,
    /// Chance.
    pub rng: ChaCha8Rng,
    /// What it waits for.
    pub course: Arc<Course>,
    /// Hears what was acknowledged.
    pub ledger: Arc<Ledger>,
}

impl Desk {
    /// Follows the course to its end.
    pub fn run(mut self) {
        let mut seen = Seen::default();
        loop {
            match self.course.look(&mut seen) {
                Phase::Work => {
                    let pause = Duration::from_millis(self.rng.random_range(PAUSE_MS));
                    if !self.course.pause(seen, pause) {
                        self.act();
                    }
                }
                Phase::Rest | Phase::Settle | Phase::Compare => self.course.park(seen),
                Phase::End => return,
            }
        }
    }

    fn act(&mut self) {
        let roll = self.rng.random_range(0..1_000);
        let Some(live) = self.ledger.pick(roll, None, u32::MAX) else { return };
        let (doc, n) = (live.number, self.ledger.number());
        match self.rng.random_range(0..12) {
            0..4 => {
                let mark = format!("<office:{n}>");
                let note = json!({ "do": "note", "doc": doc, "text": format!("办公室 {mark}") });
                if self.ask("POST", "/v1/commands", &note) {
                    self.ledger.marked(mark);
                }
            }
            4 => {
                let fields = json!({ "customer": format!("周女士{n}") });
                self.ask("POST", "/v1/commands", &json!({ "do": "edit", "doc": doc, "fields": fields }));
            }
            5 => {
                self.ask("POST", "/v1/commands", &json!({ "do": "approve", "doc": doc, "note": null }));
            }
            6 => {
                self.ask("GET", "/v1/cases?kind=order&open=true&sort=due&limit=50", &Value::Null);
            }
            7 => {
                self.ask("GET", "/v1/reports/placed", &Value::Null);
            }
            8 => {
                self.ask("GET", "/v1/devices", &Value::Null);
            }
            9 => {
                self.ask("GET", &format!("/v1/cases/{doc}/history"), &Value::Null);
            }
            _ => {
                self.ask("GET", &format!("/v1/cases/{doc}"), &Value::Null);
            }
        }
    }

    /// Whether the relay did it. What is not there yet or not allowed is an answer; a failure is none.
    fn ask(&self, method: &str, path: &str, body: &Value) -> bool {
        match self.office.ask(method, path, body) {
            Ok((200..300, _)) => true,
            Ok((400..500, _)) => false,
            Ok((status, said)) => {
                self.ledger.fault(format!("office, {path}: {status} {said}"));
                false
            }
            Err(error) => {
                if self.course.is_steady() {
                    self.ledger.fault(format!("office, {path}: {error:#}"));
                } else {
                    self.ledger.unreachable();
                }
                false
            }
        }
    }
}
