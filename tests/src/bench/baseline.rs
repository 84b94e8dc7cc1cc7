//! The same work through plain Automerge sync: one exchange for each document, in this process.
//!
//! What is counted is the relay's half alone: loading a document the first time it is touched, reading and
//! writing messages, saving what changed. No sockets, signatures, judgement or durability: a floor for
//! what a relay over `automerge::sync` would cost, not a relay.

use std::collections::BTreeMap;
use std::time::Duration;

use automerge::Automerge;
use automerge::sync::{State, SyncDoc as _};
use sync_core::ids::DocId;

use super::outcome::Outcome;
use super::process::{ms, thread_cpu};

/// What the exchanges came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// CPU time of the relay's half.
    pub cpu: Duration,
    /// Bytes of all messages.
    pub bytes: u64,
    /// Messages both ways.
    pub messages: u64,
    /// The longest exchange of one document, in messages.
    pub longest: u64,
}

impl Tally {
    /// Puts the figures beside those of a bench.
    pub fn tell(&self, outcome: &mut Outcome) {
        outcome.baseline("relay_cpu_ms", ms(self.cpu));
        outcome.baseline("bytes", self.bytes as f64);
        outcome.baseline("messages", self.messages as f64);
        outcome.baseline("round_trips", (self.longest as f64 / 2.0).ceil());
    }
}

/// The relay's documents, loaded once they are touched.
#[derive(Default)]
pub struct Relay {
    stored: BTreeMap<DocId, Vec<u8>>,
    loaded: BTreeMap<DocId, Automerge>,
    /// What was counted.
    pub tally: Tally,
}

/// A device's document with both ends' memory of the exchange.
pub struct Held {
    doc: Automerge,
    ours: State,
    theirs: State,
}

impl Held {
    /// A device's document; what was exchanged before, `bytes`, is remembered by both ends.
    pub fn load(bytes: &[u8]) -> anyhow::Result<Self> {
        Ok(Self { doc: Automerge::load(bytes)?, ours: State::new(), theirs: State::new() })
    }
    /// A document that the device does not have yet.
    pub fn empty() -> Self {
        Self { doc: Automerge::new(), ours: State::new(), theirs: State::new() }
    }
    /// The connection is opened anew: what both ends keep is what they last had in common.
    pub fn reconnect(&mut self) -> anyhow::Result<()> {
        self.ours = State::decode(&self.ours.encode())?;
        self.theirs = State::decode(&self.theirs.encode())?;
        Ok(())
    }
}

impl Relay {
    /// A relay that stores these documents.
    pub fn new(stored: impl IntoIterator<Item = (DocId, Vec<u8>)>) -> Self {
        Self { stored: stored.into_iter().collect(), ..Self::default() }
    }

    /// Lets go of everything in memory and of what was counted.
    pub fn restart(&mut self) {
        self.loaded.clear();
        self.tally = Tally::default();
    }

    /// One exchange, until neither end has anything to say.
    pub fn exchange(&mut self, id: DocId, held: &mut Held) -> anyhow::Result<()> {
        let mut messages = 0;
        loop {
            let up = held.doc.generate_sync_message(&mut held.ours).map(automerge::sync::Message::encode);
            let begun = thread_cpu()?;
            let doc = match self.loaded.entry(id) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let stored = self.stored.get(&id).map(|bytes| Automerge::load(bytes)).transpose()?;
                    entry.insert(stored.unwrap_or_default())
                }
            };
            if let Some(bytes) = &up {
                let heads = doc.get_heads();
                doc.receive_sync_message(&mut held.theirs, automerge::sync::Message::decode(bytes)?)?;
                if doc.get_heads() != heads {
                    self.stored.insert(id, doc.save());
                }
            }
            let down = doc.generate_sync_message(&mut held.theirs).map(automerge::sync::Message::encode);
            self.tally.cpu += thread_cpu()?.saturating_sub(begun);
            if let Some(bytes) = &down {
                held.doc.receive_sync_message(&mut held.ours, automerge::sync::Message::decode(bytes)?)?;
            }
            for bytes in [&up, &down].into_iter().flatten() {
                self.tally.bytes += bytes.len() as u64;
                messages += 1;
            }
            if up.is_none() && down.is_none() {
                self.tally.messages += messages;
                self.tally.longest = self.tally.longest.max(messages);
                return Ok(());
            }
        }
    }
}
