//! The network: a connection between a device and the relay that may lose, repeat and cut.

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

/// What may go wrong, each with its probability for each frame, in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The connection breaks before the frame arrives.
    pub cut: u32,
    /// The device's app is killed after the frame arrived.
    pub kill: u32,
}

/// Nobody rests here and nothing is cut: each message is a frame.
fn frame_of(decoder: &mut Decoder, bytes: &[u8]) -> Frame {
    match decoder.decode(bytes).expect("an honest frame decodes") {
        Arrived::Frame(frame) => frame,
        other => panic!("no frame but {other:?}"),
    }
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
        let off = self.sites[name].clock_off_ms;
        let now = self.now(off);
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

    /// One frame in one direction. `None`: nothing moves any more, or the connection broke.
    fn step(&mut self, name: &str, weather: Option<Weather>) -> Option<bool> {
        let roll = |chance: u32, rng: &mut rand_chacha::ChaCha8Rng| rng.random_range(0..1_000) < chance;
        let (cut, kill) = match weather {
            Some(w) => (roll(w.cut, &mut self.rng), roll(w.kill, &mut self.rng)),
            None => (false, false),
        };
        let time_ms = self.time_ms;
        let now = self.now(self.sites[name].clock_off_ms);
        let site = self.sites.get_mut(name)?;
        let link = site.link.as_mut()?;
        if cut {
            site.link = None;
            site.device.disconnected();
            return None;
        }
        let news = if let Some(bytes) = link.to_relay.pop_front() {
            let frame = frame_of(&mut link.up.1, &bytes);
            let news = matches!(frame, Frame::Push(_) | Frame::BlobPart { .. });
            let answers = link.end.handle(frame, time_ms).expect("an honest device is served");
            link.send_down(answers);
            news
        } else if let Some(bytes) = link.to_device.pop_front() {
            let frame = frame_of(&mut link.down.1, &bytes);
            let news = matches!(&frame, Frame::Feed(feed) if !feed.items.is_empty());
            let answers = site.device.handle(frame, &now).expect("an honest relay is understood");
            link.send_up(answers);
            news
        } else {
            let pumped = site.device.pump().expect("the outbox reads");
            link.send_up(pumped);
            let polled = link.end.poll(time_ms).expect("the log reads");
            link.send_down(polled.into_iter().collect());
            if link.to_relay.is_empty() && link.to_device.is_empty() {
                return None;
            }
            false
        };
        if kill {
            self.restart(name);
            return None;
        }
        Some(news)
    }
}
