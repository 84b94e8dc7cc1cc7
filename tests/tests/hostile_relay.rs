//! A relay turns hostile towards a device: whatever it says is refused or kept without effect, nothing that
//! the person recorded is lost, and with an honest relay the device is in step again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::collections::VecDeque;

use gendan_server::relay::end::RelayEnd;
use gendan_server::relay::gate::Peer;
use gendan_tests::fuzz::mutate::mutated;
use gendan_tests::fuzz::pure::chunk;
use gendan_tests::simulation::world::{World, small_policy};
use minicbor::bytes::ByteVec;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};
use sync_core::command::Command;
use sync_core::device::DeviceError;
use sync_core::document::{Actor, Document, Edit};
use sync_core::domain::fields::Map;
use sync_core::fact::kinds::Evidence;
use sync_core::ids::{BlobHash, ChangeHash, CommandId, DeviceId, DocId, DocKind, Position, StoreId};
use sync_core::refusal::{Refusal, RefusalCode};
use sync_core::wire::Frame;
use sync_core::wire::frames::{Feed, FeedItem, Resolution, Verdict, Verdicts, Welcome};

const VICTIM: &str = "D01";

/// A company with the victim D01 and a colleague D02 of one store, who share the order A1.
fn company(seed: u64) -> World {
    let mut world = World::found(seed, &small_policy());
    world.join(VICTIM, "sales", Some("城东店"));
    world.join("D02", "sales", Some("城东店"));
    world.heal();
    let fields = [("customer", "何女士"), ("phone", "13800000000"), ("delivery_date", "2026-12-01")];
    let open = Command::OpenOrder {
        number: "A1".into(),
        store: Some(StoreId::named(world.company(), "城东店")),
        fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        items: vec![],
        taken_ms: None,
        channel: None,
    };
    world.perform("D02", open).unwrap();
    world
}

fn order(world: &World) -> DocId {
    DocId::numbered(world.company(), DocKind::Order, "A1")
}

/// An honest connection of a device, frame by frame; gives what the relay said.
fn honest(world: &mut World, name: &str) -> Vec<Frame> {
    let now = world.now(0);
    let device = &mut world.sites.get_mut(name).unwrap().device;
    let peer = Peer { device: device.id(), person: device.person() };
    let mut end = RelayEnd::new(world.relay.clone(), world.blobs.clone(), peer, 1_000_000_000);
    let mut up = VecDeque::from(device.connect("app", &now).unwrap());
    let mut said = Vec::new();
    loop {
        let answers: Vec<Frame> = match up.pop_front() {
            Some(frame) => end.handle(frame, world.time_ms).unwrap(),
            None => end.poll(world.time_ms).unwrap().into_iter().collect(),
        };
        let quiet = answers.is_empty();
        for frame in answers {
            said.push(frame.clone());
            up.extend(device.handle(frame, &now).unwrap());
        }
        up.extend(device.pump().unwrap());
        if quiet && up.is_empty() {
            return said;
        }
    }
}

/// What an honest relay says to the victim, from its greeting on: snapshots, policies, single changes.
fn true_frames(world: &mut World) -> Vec<Frame> {
    let mut said = Vec::new();
    let doc = order(world);
    for words in ["周六送", "靠窗", "轻放"] {
        world.perform("D02", Command::Note(doc, words.into())).unwrap();
        world.perform("D02", Command::Contact(doc, "phone".into(), words.into(), vec![])).unwrap();
        honest(world, "D02");
        said.extend(honest(world, VICTIM));
    }
    // All of it once more, as a device that has nothing gets it.
    let person = world.sites[VICTIM].device.person();
    world.equip("D01b", person);
    said.extend(honest(world, "D01b"));
    world.sites.remove("D01b");
    said
}

fn feed(items: Vec<FeedItem>) -> Frame {
    Frame::Feed(Feed { items, upto: Position(0), more: false })
}

/// A document of 2 MiB at most whose one column inflates to 64 MiB.
fn bomb() -> Vec<u8> {
    let mut deflate = flate2::Compress::new(flate2::Compression::fast(), false);
    let mut block = Vec::with_capacity(64 * 1024);
    deflate.compress_vec(&vec![0; 1 << 20], &mut block, flate2::FlushCompress::Full).unwrap();
    let mut packed = block.repeat(64);
    packed.extend([3, 0]);
    let mut body = vec![0, 0, 0, 1, 0x5f];
    let mut length = packed.len();
    while length >= 0x80 {
        body.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    body.push(length.to_le_bytes()[0]);
    body.extend(packed);
    chunk(0, &body)
}

/// A relay that knows what the honest one said, and says something like it.
struct Hostile {
    rng: ChaCha8Rng,
    said: Vec<Frame>,
    foreign_directory: Vec<u8>,
    doc: DocId,
    directory: DocId,
    photo: BlobHash,
    frames: u32,
}

impl Hostile {
    fn new(seed: u64, world: &mut World, photo: BlobHash) -> Self {
        let said = true_frames(world);
        let other = World::found(seed + 1_000, &small_policy());
        let foreign = other.relay.document(DocId::directory(other.company())).unwrap().unwrap().save();
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            said,
            foreign_directory: foreign,
            doc: order(world),
            directory: DocId::directory(world.company()),
            photo,
            frames: 0,
        }
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.rng.random_range(0..all.len())].clone()
    }

    fn any_doc(&mut self) -> DocId {
        let foreign = DocId::new(self.pick(&DocKind::ALL), self.rng.random());
        self.pick(&[self.doc, self.directory, foreign, self.doc.facet(DocKind::OrderMoney)])
    }

    fn items(&mut self) -> Vec<FeedItem> {
        let feeds = |frame: &Frame| match frame {
            Frame::Feed(feed) => feed.items.clone(),
            _ => Vec::new(),
        };
        self.said.iter().flat_map(feeds).collect()
    }

    fn altered(&mut self, bytes: &[u8]) -> Vec<u8> {
        mutated(bytes, &[], &mut self.rng)
    }

    /// A true item of a feed, made false.
    fn item(&mut self) -> FeedItem {
        let items = self.items();
        let item = self.pick(&items);
        let how = self.rng.random_range(0..4);
        match item {
            FeedItem::Changes { doc, mut changes } => {
                let at = self.rng.random_range(0..changes.len());
                match how {
                    0 => drop(changes.remove(at)),
                    1 => changes[at] = ByteVec::from(self.altered(&changes[at])),
                    2 => changes.reverse(),
                    _ => return FeedItem::Changes { doc: self.any_doc(), changes },
                }
                FeedItem::Changes { doc, changes }
            }
            FeedItem::Snapshot { doc, bytes } => match how {
                0 => FeedItem::Snapshot { doc: self.any_doc(), bytes },
                1 => FeedItem::Snapshot { doc, bytes: bomb() },
                2 => FeedItem::Snapshot { doc: self.directory, bytes: self.foreign_directory.clone() },
                _ => FeedItem::Snapshot { doc, bytes: self.altered(&bytes) },
            },
            FeedItem::Policy { version, hash, bytes } => match how {
                0 => FeedItem::Policy { version: version + 7, hash, bytes },
                1 => FeedItem::Policy { version, hash: BlobHash([1; 32]), bytes },
                _ => {
                    let bytes = self.altered(&bytes);
                    FeedItem::Policy { version, hash: BlobHash::of(&bytes), bytes }
                }
            },
            other => other,
        }
    }

    fn verdict(&mut self) -> Verdict {
        let codes = RefusalCode::ALL;
        let refusal = Refusal::new(self.pick(codes)).with("reason", "sequence_used");
        match self.rng.random_range(0..3) {
            0 => Verdict::Admitted { position: Position(self.rng.random()) },
            _ => Verdict::Held { refusal },
        }
    }

    /// The next thing it says; nothing where what it thought of is no frame.
    fn frame(&mut self) -> Option<Frame> {
        let odd: u64 = self.pick(&[0, 1, 77, u64::MAX]);
        Some(match self.rng.random_range(0..12) {
            0 => self.pick(&self.said.clone()),
            1 => {
                let cbor = self.pick(&self.said.clone()).to_cbor().unwrap();
                return Frame::from_cbor(&self.altered(&cbor))
                    .ok()
                    .filter(|f| !matches!(f, Frame::Wipe { .. }));
            }
            2 => {
                let (id, count) = (self.rng.random_range(0..4), self.rng.random_range(0..5));
                let verdicts = (0..count).map(|_| self.verdict()).collect();
                Frame::Verdicts(Verdicts { id, at_ms: 0, verdicts })
            }
            3 => Frame::Welcome(Welcome {
                version: self.pick(&[0, sync_core::wire::VERSION_MAX, u16::MAX]),
                epoch: odd,
                now_ms: self.pick(&[i64::MIN, 0, i64::MAX]),
                head: Position(self.pick(&[0, 3, u64::MAX])),
                lease_until_ms: self.pick(&[i64::MIN, 0, i64::MAX]),
            }),
            4 => Frame::Agreement { agree: self.rng.random() },
            5 => {
                let hash = ChangeHash(self.rng.random());
                let doc = self.any_doc();
                let gone = [
                    FeedItem::Forget { doc },
                    FeedItem::Need { doc },
                    FeedItem::Resolved { doc, hash, resolution: Resolution::Replayed },
                ];
                feed(vec![self.pick(&gone)])
            }
            6 => {
                let (have, complete) = (odd, self.rng.random());
                Frame::BlobState { hash: self.photo, have, complete }
            }
            7 => Frame::BlobPart { hash: self.photo, offset: odd, bytes: vec![0; 100] },
            8 => Frame::Feed(Feed { items: vec![], upto: Position(odd), more: self.rng.random() }),
            _ => {
                let items = (0..self.rng.random_range(1..3)).map(|_| self.item()).collect();
                Frame::Feed(Feed { items, upto: Position(self.rng.random_range(0..9)), more: false })
            }
        })
    }
}

/// One hostile connection of a few frames.
fn suffer(world: &mut World, hostile: &mut Hostile) -> bool {
    let now = world.now(0);
    let device = &mut world.sites.get_mut(VICTIM).unwrap().device;
    let mut admitted = false;
    device.connect("app", &now).unwrap();
    let greeting = hostile.said.iter().find(|f| matches!(f, Frame::Welcome(_))).unwrap().clone();
    let mut frames = vec![greeting];
    frames.extend((0..hostile.rng.random_range(4..16)).filter_map(|_| hostile.frame()));
    for frame in frames {
        if let Frame::Verdicts(said) = &frame {
            admitted |= said.verdicts.iter().any(|v| matches!(v, Verdict::Admitted { .. }));
        }
        hostile.frames += 1;
        match device.handle(frame, &now) {
            Ok(_) => {}
            Err(DeviceError::Store(error)) => panic!("its own store is sound: {error}"),
            Err(_) => {
                device.disconnected();
                device.connect("app", &now).unwrap();
            }
        }
    }
    device.disconnected();
    admitted
}

/// What the victim recorded last is at the honest relay, or held on the device with its reason.
fn nothing_is_lost(world: &mut World, command: CommandId, told: &str) {
    let doc = order(world);
    let there = world.relay.document(doc).unwrap().unwrap();
    let note = there.values(Map::Notes).iter().any(|(_, value)| format!("{value:?}").contains(told));
    let held = world.sites[VICTIM].device.held().unwrap();
    assert!(note || held.iter().any(|h| h.action.command == command), "{told} is nowhere");
}

#[test]
fn thousands_of_hostile_frames_lose_nothing_and_the_device_is_in_step_with_an_honest_relay() {
    const ROUNDS: u64 = 8;
    const CONNECTIONS: usize = 30;
    let mut frames = 0;
    for seed in 0..ROUNDS {
        let mut world = company(300 + seed);
        honest(&mut world, "D02");
        honest(&mut world, VICTIM);
        let doc = order(&world);
        let site = world.sites.get_mut(VICTIM).unwrap();
        let photo = site.device.attach(doc, "image/jpeg", &[7; 3_000]).unwrap();
        let mut hostile = Hostile::new(seed, &mut world, photo);
        for connection in 0..CONNECTIONS {
            let told = format!("备注{seed}-{connection}。");
            // A lease that a hostile relay ended, or a clock it set, stands until an honest one is heard.
            let done = match world.perform(VICTIM, Command::Note(doc, told.clone())) {
                Ok(done) => Some(done.command),
                Err(DeviceError::Refused(_)) => None,
                Err(error) => panic!("{error}"),
            };
            let lied = suffer(&mut world, &mut hostile);
            if connection % 10 == 0 {
                world.restart(VICTIM);
            }
            world.connect(VICTIM);
            world.run(VICTIM, None);
            assert_eq!(world.sites[VICTIM].device.sync_view().unwrap().unsent, 0, "{told} was answered");
            if let Some(command) = done.filter(|_| !lied) {
                nothing_is_lost(&mut world, command, &told);
            }
            if connection % 10 == 9 {
                world.agreement(VICTIM);
                assert_eq!(world.agreement(VICTIM), Some(true), "round {seed}, connection {connection}");
            }
        }
        let (found, _) = world.sites[VICTIM].device.state(doc).unwrap();
        Document::load(doc, &found.save()).unwrap();
        frames += hostile.frames;
    }
    println!("{frames} hostile frames");
    assert!(frames > 1_500, "{frames} hostile frames");
}

/// A change that a relay makes up, in the name of a device, on top of what the victim has.
fn made_up(world: &World, device: DeviceId, epoch: u32, value: &str) -> Vec<u8> {
    let (mut doc, _) = world.sites[VICTIM].device.state(order(world)).unwrap();
    let edits = [Edit::Put(Map::Fields, "address".into(), value.into())];
    let command = CommandId::from_bytes([epoch.to_be_bytes()[3]; 16]);
    doc.write(Actor { device, epoch }, command, world.time_ms, &edits).unwrap().bytes
}

fn say(world: &mut World, frames: Vec<Frame>) -> Result<(), DeviceError> {
    let now = world.now(0);
    let device = &mut world.sites.get_mut(VICTIM).unwrap().device;
    device.connect("app", &now)?;
    frames.into_iter().try_for_each(|frame| device.handle(frame, &now).map(|_| ()))
}

fn changes(doc: DocId, bytes: Vec<u8>) -> Frame {
    feed(vec![FeedItem::Changes { doc, changes: vec![bytes.into()] }])
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&bytes[8..]);
    bytes[4..8].copy_from_slice(&digest[..4]);
    bytes
}

fn in_step(seed: u64) -> World {
    let mut world = company(seed);
    honest(&mut world, "D02");
    honest(&mut world, VICTIM);
    world
}

#[test]
fn a_change_by_a_device_that_the_directory_does_not_know_is_refused() {
    let mut world = in_step(41);
    let bytes = made_up(&world, DeviceId::from_bytes([9; 16]), 1, "骗子路1号");
    let doc = order(&world);
    let before = world.sites[VICTIM].device.state(doc).unwrap().0.heads();
    let refused = say(&mut world, vec![changes(doc, bytes)]);
    assert!(matches!(refused, Err(DeviceError::Protocol { code: "bad_change", .. })), "{refused:?}");
    assert_eq!(world.sites[VICTIM].device.state(doc).unwrap().0.heads(), before);
    assert_eq!(world.agreement(VICTIM), Some(true));
}

#[test]
fn a_document_under_another_id_is_refused() {
    let mut world = in_step(47);
    let there = world.relay.document(order(&world)).unwrap().unwrap();
    let doc = DocId::numbered(world.company(), DocKind::Order, "B9");
    for bytes in [there.save(), Document::new(doc).save()] {
        assert!(say(&mut world, vec![feed(vec![FeedItem::Snapshot { doc, bytes }])]).is_err());
    }
    assert_eq!(world.sites[VICTIM].device.rows(DocKind::Order).unwrap().len(), 1, "no order that nobody has");
    assert_eq!(world.agreement(VICTIM), Some(true));
}

#[test]
fn a_fact_with_a_broken_signature_is_refused_and_nothing_of_its_feed_is_kept() {
    let mut world = in_step(43);
    let doc = order(&world);
    world.perform("D02", Command::Contact(doc, "phone".into(), "周六上午送".into(), vec![])).unwrap();
    honest(&mut world, "D02");
    let there = world.relay.document(doc).unwrap().unwrap();
    let head = there.heads()[0];
    let valid = there.change(head).unwrap().bytes;
    let at = valid.windows(6).position(|w| w == "周六".as_bytes()).unwrap();
    for bit in 0..48 {
        let mut hostile = valid.clone();
        hostile[at + bit / 8] ^= 1 << (bit % 8);
        let refused = say(&mut world, vec![changes(doc, with_checksum(hostile))]);
        assert!(matches!(refused, Err(DeviceError::Protocol { code: "bad_change", .. })), "{refused:?}");
    }
    assert_eq!(world.agreement(VICTIM), Some(true));
}

#[test]
fn parts_without_end_are_cut_off_at_the_frames_bound() {
    let mut decoder = sync_core::wire::Decoder::new();
    let part = [&[0x16][..], &[0; 8 * 1024]].concat();
    let taken = (0..10_000).take_while(|_| decoder.decode(&part).is_ok()).count();
    assert_eq!(taken, sync_core::limits::FRAME_BYTES_MAX / (8 * 1024));
}

#[test]
fn a_directory_without_the_chain_to_the_company_key_is_refused_and_the_old_one_holds() {
    let mut world = in_step(44);
    let other = World::found(45, &small_policy());
    let foreign = other.relay.document(DocId::directory(other.company())).unwrap().unwrap();
    let doc = DocId::directory(world.company());
    let blank = Document::new(doc);
    let before = world.sites[VICTIM].device.directory().clone();
    for bytes in [foreign.save(), blank.save(), bomb()] {
        let refused = say(&mut world, vec![feed(vec![FeedItem::Snapshot { doc, bytes }])]);
        assert!(refused.is_err());
        assert_eq!(world.sites[VICTIM].device.directory(), &before);
    }
    world.restart(VICTIM);
    assert_eq!(world.sites[VICTIM].device.directory(), &before);
    assert_eq!(world.agreement(VICTIM), Some(true));
}

#[test]
fn a_photo_that_waits_goes_to_the_honest_relay_though_a_hostile_one_asked_beyond_its_end() {
    let mut world = in_step(46);
    let doc = order(&world);
    let photo = world.sites.get_mut(VICTIM).unwrap().device.attach(doc, "image/jpeg", &[7; 3_000]).unwrap();
    let evidence = vec![Evidence::photo(photo, "image/jpeg")];
    world.perform(VICTIM, Command::Report(doc, "有划痕".into(), evidence)).unwrap();
    let state = |have| Frame::BlobState { hash: photo, have, complete: false };
    say(&mut world, vec![state(u64::MAX), state(2_999), state(0)]).unwrap();
    let part = Frame::BlobPart { hash: photo, offset: u64::MAX, bytes: vec![0; 10] };
    say(&mut world, vec![part]).unwrap();
    world.connect(VICTIM);
    world.run(VICTIM, None);
    assert!(world.blobs.belongs(photo).unwrap().is_some());
}

/// After an edit that a relay made up, which no fact signs: what the person does next still arrives.
fn what_is_done_next_arrives(mut world: World, bytes: Vec<u8>) -> World {
    let doc = order(&world);
    say(&mut world, vec![changes(doc, bytes)]).unwrap();
    let done = world.perform(VICTIM, Command::Note(doc, "真的".into())).unwrap();
    world.connect(VICTIM);
    world.run(VICTIM, None);
    world.agreement(VICTIM);
    nothing_is_lost(&mut world, done.command, "真的");
    world
}

#[test]
fn after_a_made_up_edit_in_a_colleagues_name_the_persons_own_work_still_arrives_and_the_edit_goes() {
    let world = in_step(48);
    let bytes = made_up(&world, world.sites["D02"].device.id(), 7, "骗子路3号");
    let mut world = what_is_done_next_arrives(world, bytes);
    assert_eq!(
        world.agreement(VICTIM),
        Some(true),
        "an honest relay holds it back, and the device lets it go"
    );
    let there = world.relay.document(order(&world)).unwrap().unwrap();
    assert!(!format!("{:?}", there.values(Map::Fields)).contains("骗子路"), "it was made in nobody's name");
}

#[test]
fn a_made_up_edit_that_takes_a_colleagues_next_number_does_not_keep_the_colleagues_word_out() {
    let mut world = in_step(50);
    let doc = order(&world);
    let bytes = made_up(&world, world.sites["D02"].device.id(), 0, "骗子路5号");
    say(&mut world, vec![changes(doc, bytes)]).unwrap();
    world.perform("D02", Command::Note(doc, "同事写的".into())).unwrap();
    honest(&mut world, "D02");
    world.connect(VICTIM);
    world.run(VICTIM, None);
    world.agreement(VICTIM);
    assert_eq!(world.agreement(VICTIM), Some(true));
    let (found, _) = world.sites[VICTIM].device.state(doc).unwrap();
    let said = format!("{:?}{:?}", found.values(Map::Notes), found.values(Map::Fields));
    assert!(said.contains("同事写的") && !said.contains("骗子路"), "{said}");
}

#[test]
fn a_made_up_edit_in_the_devices_own_name_does_not_part_it_from_an_honest_relay() {
    let world = in_step(49);
    let bytes = made_up(&world, world.sites[VICTIM].device.id(), 0, "骗子路4号");
    let mut world = what_is_done_next_arrives(world, bytes);
    assert_eq!(world.agreement(VICTIM), Some(true));
}
