//! A device fetches others' photos: in parts, across kills, bounded by its scope, and proved.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use gendan_server::relay::end::RelayEnd;
use gendan_server::relay::gate::Peer;
use gendan_tests::simulation::world::{World, small_policy};
use sync_core::command::Command;
use sync_core::device::DeviceError;
use sync_core::fact::kinds::Evidence;
use sync_core::ids::{BlobHash, DocId, DocKind};
use sync_core::limits::BLOB_PART_BYTES_MAX;
use sync_core::refusal::RefusalCode;
use sync_core::wire::frames::Frame;

const LENGTH: usize = 2 * BLOB_PART_BYTES_MAX + 77_000;

fn bytes() -> Vec<u8> {
    (0..LENGTH).map(|i| (i.wrapping_mul(31) ^ (i >> 8)) as u8).collect()
}

/// Two salespeople of one store; the second reported something with a photo, and both are in step.
fn reported(seed: u64) -> (World, DocId, BlobHash) {
    let mut world = World::found(seed, &small_policy());
    world.join("D01", "sales", Some("城东店"));
    world.join("D02", "sales", Some("城东店"));
    world.heal();
    let doc = DocId::numbered(world.company(), DocKind::Order, "A1");
    let open = Command::OpenOrder {
        number: "A1".into(),
        store: Some(sync_core::ids::StoreId::named(world.company(), "城东店")),
        fields: [("customer", "王女士"), ("phone", "13800000001")].map(|(k, v)| (k.into(), v.into())).into(),
        items: vec![],
        taken_ms: None,
        channel: None,
    };
    world.perform("D02", open).unwrap();
    let device = &mut world.sites.get_mut("D02").unwrap().device;
    let hash = device.attach(doc, "image/jpeg", &bytes()).unwrap();
    let evidence = vec![Evidence::photo(hash, "image/jpeg")];
    world.perform("D02", Command::Report(doc, "面板有划痕".into(), evidence)).unwrap();
    world.heal();
    (world, doc, hash)
}

/// A new connection of D01, past its greeting; gives what the device asks for.
fn greet(world: &mut World) -> (RelayEnd, Vec<Frame>) {
    let now = world.now(0);
    let device = &mut world.sites.get_mut("D01").unwrap().device;
    let peer = Peer { device: device.id(), person: device.person() };
    let mut end = RelayEnd::new(world.relay.clone(), world.blobs.clone(), peer, 1_000_000);
    let mut asked = Vec::new();
    for hello in device.connect("app", &now).unwrap() {
        for frame in end.handle(hello, world.time_ms).unwrap() {
            asked.extend(device.handle(frame, &now).unwrap());
        }
    }
    (end, asked)
}

/// One question and its answer; gives the next questions.
fn step(world: &mut World, end: &mut RelayEnd, ask: Frame) -> Vec<Frame> {
    let now = world.now(0);
    let answers = end.handle(ask, world.time_ms).unwrap();
    let device = &mut world.sites.get_mut("D01").unwrap().device;
    answers.into_iter().flat_map(|frame| device.handle(frame, &now).unwrap()).collect()
}

fn want(world: &mut World, doc: DocId, hash: BlobHash) -> Result<(), DeviceError> {
    let now = world.now(0);
    world.sites.get_mut("D01").unwrap().device.want_photo(doc, hash, &now)
}

#[test]
fn a_fetch_goes_on_where_it_broke_off_also_after_a_kill() {
    let (mut world, doc, hash) = reported(31);
    assert!(!world.sites["D01"].device.photos(doc).unwrap()[0].here);
    want(&mut world, doc, hash).unwrap();
    for part in 0..3 {
        let (mut end, asked) = greet(&mut world);
        let offset = (part * BLOB_PART_BYTES_MAX) as u64;
        assert_eq!(asked, [Frame::BlobGet { hash, offset, doc: Some(doc) }], "connection {part}");
        let asked = step(&mut world, &mut end, asked[0].clone());
        assert_eq!(asked.len(), usize::from(part < 2), "the last part ends it");
        world.restart("D01");
    }
    let device = &world.sites["D01"].device;
    assert!(device.photo(doc, hash).unwrap().unwrap() == bytes());
    assert!(device.photos(doc).unwrap()[0].here && !device.wants_photos().unwrap());
    assert_eq!(greet(&mut world).1, [], "it is not asked for again");
}

#[test]
fn a_part_that_comes_twice_or_unasked_changes_nothing() {
    let (mut world, doc, hash) = reported(32);
    let stray = Frame::BlobPart { hash, offset: 0, bytes: vec![1; BLOB_PART_BYTES_MAX] };
    let now = world.now(0);
    let device = &mut world.sites.get_mut("D01").unwrap().device;
    assert_eq!(device.handle(stray, &now).unwrap(), []);
    want(&mut world, doc, hash).unwrap();
    let (mut end, mut asked) = greet(&mut world);
    while let Some(ask) = asked.pop() {
        let answers = end.handle(ask, world.time_ms).unwrap();
        let device = &mut world.sites.get_mut("D01").unwrap().device;
        for answer in answers {
            asked.extend(device.handle(answer.clone(), &now).unwrap());
            assert_eq!(device.handle(answer, &now).unwrap(), [], "the same once more");
        }
    }
    assert!(world.sites["D01"].device.photo(doc, hash).unwrap().unwrap() == bytes());
}

#[test]
fn bytes_that_are_not_the_photo_are_thrown_away_and_it_may_be_asked_for_again() {
    let (mut world, doc, hash) = reported(33);
    want(&mut world, doc, hash).unwrap();
    let (mut end, asked) = greet(&mut world);
    step(&mut world, &mut end, asked[0].clone());
    let now = world.now(0);
    let offset = BLOB_PART_BYTES_MAX as u64;
    let device = &mut world.sites.get_mut("D01").unwrap().device;
    let wrong = device.handle(Frame::BlobPart { hash, offset, bytes: vec![1; 9] }, &now);
    assert!(matches!(wrong, Err(DeviceError::Protocol { code: "bad_photo", .. })), "{wrong:?}");
    assert_eq!(device.photo(doc, hash).unwrap(), None);
    want(&mut world, doc, hash).unwrap();
    let (mut end, mut asked) = greet(&mut world);
    assert_eq!(asked, [Frame::BlobGet { hash, offset: 0, doc: Some(doc) }], "from the beginning");
    while let Some(ask) = asked.pop() {
        asked.extend(step(&mut world, &mut end, ask));
    }
    assert!(world.sites["D01"].device.photo(doc, hash).unwrap().unwrap() == bytes());
}

#[test]
fn only_what_a_document_names_is_asked_for_and_what_the_relay_lacks_is_no_error() {
    let (mut world, doc, hash) = reported(34);
    let unnamed = want(&mut world, doc, BlobHash([9; 32])).unwrap_err();
    assert!(matches!(unnamed, DeviceError::Refused(r) if r.code == RefusalCode::NotFound));
    // Named by hash before its bytes were ever uploaded.
    let absent = BlobHash([8; 32]);
    let evidence = vec![Evidence::photo(absent, "image/jpeg")];
    world.perform("D02", Command::Report(doc, "照片稍后补传".into(), evidence)).unwrap();
    world.heal();
    want(&mut world, doc, absent).unwrap();
    want(&mut world, doc, hash).unwrap();
    world.heal();
    let device = &world.sites["D01"].device;
    assert!(!device.wants_photos().unwrap(), "nothing is waited for");
    assert_eq!(device.photo(doc, absent).unwrap(), None);
    assert!(device.photo(doc, hash).unwrap().is_some(), "the other one came");
}
