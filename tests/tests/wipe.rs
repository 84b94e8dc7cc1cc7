//! A revoked device that connects erases itself, and its files then hold nothing of what it knew: no name,
//! number, address or photo, in no encoding.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::collections::VecDeque;
use std::path::Path;

use gendan_server::relay::end::RelayEnd;
use gendan_server::relay::gate::Peer;
use gendan_tests::simulation::world::{World, small_policy};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use sync_core::command::Command;
use sync_core::device::{Device, DeviceError};
use sync_core::fact::kinds::Evidence;
use sync_core::ids::{BlobHash, DocId, DocKind, StoreId};
use sync_core::limits::BLOB_PART_BYTES_MAX;
use sync_core::refusal::RefusalCode;
use sync_core::store::{DeviceStore, SledStore, StoreKey, Table};
use sync_core::wire::Frame;

/// What the order says of the customer, and what else must not stay behind.
const KNOWN: [&str; 7] = [
    "欧阳小满",
    "13912345678",
    "幸福街道九十九号",
    "DD-2026-7788",
    "靠窗放轻一点",
    "CUSTOMER-ADDRESS",
    "城东店",
];
const OPEN: &str = "DD-2026-7788";

/// A photo whose bytes are found wherever 24 of them in a row are.
fn photo(length: usize, tone: u8) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(31) ^ (i >> 8)) as u8 ^ tone).collect()
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextets = bytes.chunks(3).flat_map(|three| {
        let bits =
            three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        (0..=three.len()).map(move |n| LETTERS[(bits >> (18 - 6 * n) & 63) as usize])
    });
    sextets.collect()
}

/// The ways in which a text may stand in a file: plain, UTF-16 of both orders, hex, and base64 at each of the
/// three places it can begin at (without what its neighbours decide).
fn ways(text: &[u8]) -> Vec<Vec<u8>> {
    let mut ways = vec![text.to_vec(), hex::encode(text).into_bytes(), hex::encode_upper(text).into_bytes()];
    if let Ok(words) = std::str::from_utf8(text) {
        ways.push(words.encode_utf16().flat_map(u16::to_le_bytes).collect());
        ways.push(words.encode_utf16().flat_map(u16::to_be_bytes).collect());
    }
    for before in 0..3 {
        let shifted = base64(&[&vec![0; before], text].concat());
        let inner = shifted.get(before + 2..shifted.len() - 4).unwrap_or_default();
        if inner.len() >= 6 {
            ways.push(inner.to_vec());
        }
    }
    ways
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// Every file below a folder: name and bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// Texts, the device's seed and pieces of photos as they may stand somewhere.
fn contents(world: &World, photos: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut needles: Vec<Vec<u8>> = KNOWN.iter().flat_map(|text| ways(text.as_bytes())).collect();
    needles.extend(ways(&*world.sites["D01"].device.identity().seed));
    for photo in photos {
        let places = [0, photo.len() / 2, photo.len() - 24];
        needles.extend(places.iter().flat_map(|at| ways(&photo[*at..at + 24])));
    }
    needles
}

/// Ids and hashes, which are keys and stand in the clear while a store is used, but not after it was erased.
fn keys(doc: DocId, photos: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let ids = [doc.to_string().into_bytes(), doc.to_bytes()[1..].to_vec()];
    ids.into_iter()
        .chain(photos.iter().map(|photo| BlobHash::of(photo).0.to_vec()))
        .flat_map(|id| ways(&id))
        .collect()
}

/// How many of the needles stand in the files.
fn traces(folder: &Path, needles: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, bytes) in files(folder) {
        for needle in needles {
            if contains(&bytes, needle) || contains(name.as_bytes(), needle) {
                found.push(format!("{name}: {}", String::from_utf8_lossy(needle)));
            }
        }
    }
    found
}

fn store(folder: &Path) -> SledStore {
    let key = StoreKey::from_bytes([7; 32]);
    SledStore::open(folder, &key, ChaCha20Rng::seed_from_u64(1)).unwrap()
}

/// A connection of a device to the world's relay until nothing moves, or so many frames came.
fn connect<S: DeviceStore>(world: &World, device: &mut Device<S>, frames_max: usize) {
    let now = world.now(0);
    let peer = Peer { device: device.id(), person: device.person() };
    let mut end = RelayEnd::new(world.relay.clone(), world.blobs.clone(), peer, 1_000_000_000);
    let mut up = VecDeque::from(device.connect("app", &now).unwrap());
    let mut taken = 0;
    loop {
        let answers: Vec<Frame> = match up.pop_front() {
            Some(frame) => end.handle(frame, world.time_ms).unwrap(),
            None => end.poll(world.time_ms).unwrap().into_iter().collect(),
        };
        let quiet = answers.is_empty();
        for frame in answers {
            taken += 1;
            if taken > frames_max {
                return device.disconnected();
            }
            up.extend(device.handle(frame, &now).unwrap());
        }
        up.extend(device.pump().unwrap());
        if quiet && up.is_empty() {
            return device.disconnected();
        }
    }
}

/// The victim D01 on a real store in `folder`: a customer's order, a photo of its own that waits, a
/// colleague's photo that is here and one that came in part, and something unsent.
fn full_device(world: &mut World, folder: &Path) -> (Device<SledStore>, DocId, Vec<Vec<u8>>) {
    let doc = DocId::numbered(world.company(), DocKind::Order, OPEN);
    let fields =
        [("customer", KNOWN[0]), ("phone", KNOWN[1]), ("address", KNOWN[2]), ("delivery_date", "2026-12-01")];
    let open = Command::OpenOrder {
        number: OPEN.into(),
        store: Some(StoreId::named(world.company(), "城东店")),
        fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        items: vec![],
        taken_ms: None,
        channel: None,
    };
    world.perform("D02", open).unwrap();
    let photos = vec![photo(40_000, 1), photo(3 * BLOB_PART_BYTES_MAX, 2), photo(30_000, 3)];
    for bytes in &photos[..2] {
        let site = world.sites.get_mut("D02").unwrap();
        let hash = site.device.attach(doc, "image/jpeg", bytes).unwrap();
        let evidence = vec![Evidence::photo(hash, "image/jpeg")];
        world.perform("D02", Command::Report(doc, "面板有划痕".into(), evidence)).unwrap();
    }
    world.heal();
    let identity = world.sites["D01"].device.identity().clone();
    let mut device = Device::enrol(store(folder), &identity, Box::new(|b| b.fill(5))).unwrap();
    connect(world, &mut device, usize::MAX);
    let now = world.now(0);
    device.want_photo(doc, BlobHash::of(&photos[0]), &now).unwrap();
    connect(world, &mut device, usize::MAX);
    device.want_photo(doc, BlobHash::of(&photos[1]), &now).unwrap();
    connect(world, &mut device, 4);
    device.attach(doc, "image/jpeg", &photos[2]).unwrap();
    device.perform(Command::Note(doc, KNOWN[4].into()), &now).unwrap();
    device.perform(Command::Note(doc, KNOWN[5].into()), &now).unwrap();
    let views = device.photos(doc).unwrap();
    assert!(views.iter().any(|v| v.here) && views.iter().any(|v| !v.here), "one is here, one is on its way");
    (device, doc, photos)
}

fn company() -> World {
    let mut world = World::found(61, &small_policy());
    world.join("D01", "sales", Some("城东店"));
    world.join("D02", "sales", Some("城东店"));
    world.heal();
    world
}

#[test]
fn a_revoked_device_leaves_no_trace_in_its_files_and_its_files_never_held_one_in_the_clear() {
    let mut world = company();
    let folder = tempfile::tempdir().unwrap();
    let (mut device, doc, photos) = full_device(&mut world, folder.path());
    let mut needles = contents(&world, &photos);
    assert_eq!(traces(folder.path(), &needles), Vec::<String>::new(), "sealed while it is used");
    needles.extend(keys(doc, &photos));

    world.office(Command::Revoke(device.id(), "手机丢失".into()));
    connect(&world, &mut device, usize::MAX);
    let waiting = world.relay.waiting(doc).unwrap();
    assert_eq!(waiting.len(), 2, "what was unsent was handed in first, and is held");
    assert!(waiting.iter().all(|held| held.reason.code == RefusalCode::DeviceRevoked));
    assert!(matches!(device.perform(Command::Note(doc, "x".into()), &world.now(0)), Err(DeviceError::Wiped)));
    assert!(device.rows(DocKind::Order).unwrap().is_empty(), "nor is anything in memory shown");
    assert!(device.photo(doc, BlobHash::of(&photos[0])).is_err());
    drop(device);

    assert_eq!(traces(folder.path(), &needles), Vec::<String>::new());
    // Whoever has the key of the store finds nothing either.
    let opened = store(folder.path());
    for table in Table::ALL {
        assert!(opened.scan(table, &[]).unwrap().is_empty(), "{table:?} is empty");
    }
    assert!(matches!(Device::open(opened, Box::new(|_| {})).err(), Some(DeviceError::NotEnrolled)));
    let bytes: usize = files(folder.path()).iter().map(|(_, bytes)| bytes.len()).sum();
    println!("{} ways of standing in a file, none found in {bytes} bytes", needles.len());
}

#[test]
fn the_search_finds_what_stands_in_a_store_without_a_seal() {
    let mut world = company();
    let folder = tempfile::tempdir().unwrap();
    let (device, doc, photos) = full_device(&mut world, folder.path());
    drop(device);
    let needles = contents(&world, &photos);
    // What the key opens, written down in the clear, documents without their compression.
    let clear = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    let opened = store(folder.path());
    for table in Table::ALL {
        bytes.extend(
            opened.scan(table, &[]).unwrap().into_iter().flat_map(|(key, value)| [key, value].concat()),
        );
    }
    for change in Device::open(opened, Box::new(|_| {})).unwrap().state(doc).unwrap().0.changes() {
        bytes.extend(change.bytes);
    }
    std::fs::write(clear.path().join("all"), &bytes).unwrap();
    let found = traces(clear.path(), &needles).join("\n");
    for text in &KNOWN[..6] {
        assert!(found.contains(text), "{text} is found in the clear");
    }
    for (number, what) in ["is here", "is on its way", "waits"].iter().enumerate() {
        assert!(contains(&bytes, &photos[number][..24]), "the photo that {what}");
    }
    let utf16: Vec<u8> = KNOWN[0].encode_utf16().flat_map(u16::to_be_bytes).collect();
    for encoded in [base64(KNOWN[1].as_bytes()), hex::encode(KNOWN[1]).into_bytes(), utf16] {
        std::fs::write(clear.path().join("all"), [b"..", &encoded[..]].concat()).unwrap();
        assert!(!traces(clear.path(), &needles).is_empty(), "{} is found", String::from_utf8_lossy(&encoded));
    }
}
