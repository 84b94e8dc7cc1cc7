//! The network: a connection between a device and the relay, and what may go wrong on it.
//!
//! The transport (a WebSocket over TLS) delivers what is sent in order or breaks. So within one
//! connection no frame is lost or overtakes another of its direction; but a connection breaks anywhere,
//! also in the middle of a frame, the two directions run as they like, an end may say a frame twice, and
//! what a broken connection had under way may reach the relay long after the device has come again.

use std::collections::VecDeque;

use gendan_server::relay::end::RelayEnd;
use gendan_server::relay::gate::Peer;
use rand::RngExt as _;
use sync_core::wire::{Arrived, Decoder, Encoder, Frame};

use super::world::World;

/// One connection: both ends, and what is on its way.
pub struct Link {
    end: RelayEnd,
    up: (Encoder, Decoder),
    down: (Encoder, Decoder),
    to_relay: VecDeque<Vec<u8>>,
    to_device: VecDeque<Vec<u8>>,
}

/// What a connection that is gone had under way to the relay.
pub struct Stray {
    end: RelayEnd,
    decoder: Decoder,
    frames: VecDeque<Vec<u8>>,
}

/// What may go wrong, each with its probability for each frame, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// The connection breaks before the frame arrives.
    pub cut: u32,
    /// It breaks in the middle of the frame.
    pub torn: u32,
    /// The frame arrives twice.
    pub twice: u32,
    /// The device's app is killed after the frame arrived.
    pub kill: u32,
    /// The frame waits for one of the other direction.
    pub late: u32,
}

/// What happens to one frame.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    cut: bool,
    torn: bool,
    twice: bool,
    kill: bool,
    late: bool,
}

/// Nobody rests here and nothing is cut: each message is a frame.
fn frame_of(decoder: &mut Decoder, bytes: &[u8]) -> Frame {
    match decoder.decode(bytes).expect("an honest frame decodes") {
        Arrived::Frame(frame) => frame,
        other => panic!("no frame but {other:?}"),
    }
}

/// Half a message is never taken for a frame.
fn tear(decoder: &mut Decoder, bytes: &[u8]) {
    let half = &bytes[..bytes.len() / 2];
    assert!(!matches!(decoder.decode(half), Ok(Arrived::Frame(_))), "half a frame was taken for a whole");
}

impl Link {
    fn send_up(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            self.to_relay.push_back(self.up.0.encode(&frame).expect("a frame fits"));
        }
    }
    fn send_down(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            self.to_device.push_back(self.down.0.encode(&frame).expect("a frame fits"));
        }
    }
}

impl World {
    /// Opens a connection, over an older one if there is one.
    pub fn connect(&mut self, name: &str) {
        let now = self.now_at(name);
        let (relay, blobs) = (self.relay.clone(), self.blobs.clone());
        let site = self.sites.get_mut(name).expect("a known device");
        let peer = Peer { device: site.device.id(), person: site.device.person() };
        let mut link = Link {
            end: RelayEnd::new(relay, blobs, peer, 14 * 24 * 3_600_000),
            up: (Encoder::new(), Decoder::new()),
            down: (Encoder::new(), Decoder::new()),
            to_relay: VecDeque::new(),
            to_device: VecDeque::new(),
        };
        let hello = site.device.connect("simulation", &now).expect("a device connects");
        link.send_up(hello);
        site.link = Some(link);
    }

    /// Lets a connection run until nothing moves or it breaks; gives how many frames carried something new.
    pub fn run(&mut self, name: &str, weather: Option<Weather>) -> usize {
        let mut moved = 0;
        for _step in 0..10_000 {
            self.pass(5);
            match self.step(name, weather) {
                None => return moved,
                Some(news) => moved += usize::from(news),
            }
        }
        panic!("a connection never comes to rest");
    }

    /// Opens a connection, lets so many frames through, and breaks it.
    pub fn run_briefly(&mut self, name: &str, frames: usize) {
        self.connect(name);
        for _frame in 0..frames {
            self.pass(5);
            if self.step(name, None).is_none() {
                break;
            }
        }
        self.break_off(name);
        self.strays.clear();
    }

    /// Asks the relay, on a calm connection, whether a device holds what it should; its answer.
    pub fn agreement(&mut self, name: &str) -> Option<bool> {
        self.connect(name);
        self.run(name, None);
        let site = self.sites.get_mut(name)?;
        let asked = site.device.ask_agreement().expect("a device knows its documents");
        site.link.as_mut()?.send_up(vec![asked]);
        self.run(name, None);
        self.sites[name].device.agreement()
    }

    /// One thing that a broken connection had under way reaches the relay after all; nobody hears the
    /// answers.
    pub fn deliver_stray(&mut self, which: usize) {
        let Some(stray) = self.strays.get_mut(which) else { return };
        let Some(bytes) = stray.frames.pop_front() else {
            drop(self.strays.remove(which));
            return;
        };
        let frame = frame_of(&mut stray.decoder, &bytes);
        stray.end.handle(frame, self.time_ms).expect("an honest device is served, late as it is");
        self.note("stray", &bytes);
    }

    fn fate(&mut self, weather: Option<Weather>) -> Fate {
        let Some(w) = weather else { return Fate::default() };
        let mut roll = |chance: u32| self.rng.random_range(0..1_000) < chance;
        Fate {
            cut: roll(w.cut),
            torn: roll(w.torn),
            twice: roll(w.twice),
            kill: roll(w.kill),
            late: roll(w.late),
        }
    }

    /// The connection breaks; what was under way may be lost or come late.
    fn break_off(&mut self, name: &str) {
        let comes_late = self.rng.random_range(0..3) == 0;
        let Some(site) = self.sites.get_mut(name) else { return };
        site.device.disconnected();
        let Some(link) = site.link.take() else { return };
        if comes_late && !link.to_relay.is_empty() {
            self.strays.push(Stray { end: link.end, decoder: link.up.1, frames: link.to_relay });
        }
    }

    /// One frame in one direction. `None`: nothing moves any more, or the connection broke.
    fn step(&mut self, name: &str, weather: Option<Weather>) -> Option<bool> {
        let fate = self.fate(weather);
        if fate.cut {
            self.break_off(name);
            return None;
        }
        let time_ms = self.time_ms;
        let now = self.sites.contains_key(name).then(|| self.now_at(name))?;
        let site = self.sites.get_mut(name)?;
        let link = site.link.as_mut()?;
        let up = !link.to_relay.is_empty() && (!fate.late || link.to_device.is_empty());
        let queue = if up { &mut link.to_relay } else { &mut link.to_device };
        let Some(bytes) = queue.pop_front() else {
            let pumped = site.device.pump().expect("the outbox reads");
            link.send_up(pumped);
            let polled = link.end.poll(time_ms).expect("the log reads");
            link.send_down(polled.into_iter().collect());
            let moves = !link.to_relay.is_empty() || !link.to_device.is_empty();
            return moves.then_some(false);
        };
        let decoder = if up { &mut link.up.1 } else { &mut link.down.1 };
        if fate.torn {
            tear(decoder, &bytes);
            // What it spoilt is not read on; the rest of this direction is gone with it.
            link.to_relay.clear();
            self.break_off(name);
            return None;
        }
        let frame = frame_of(decoder, &bytes);
        let news = match &frame {
            Frame::Push(_) | Frame::BlobPart { .. } => true,
            Frame::Feed(feed) => !feed.items.is_empty(),
            _ => false,
        };
        for _time in 0..=usize::from(fate.twice) {
            if up {
                let answers = link.end.handle(frame.clone(), time_ms).expect("an honest device is served");
                link.send_down(answers);
            } else {
                let answers = site.device.handle(frame.clone(), &now).expect("an honest relay is understood");
                link.send_up(answers);
            }
        }
        self.note(if up { "up" } else { "down" }, &bytes);
        if fate.kill {
            self.restart(name);
            return None;
        }
        Some(news)
    }
}
