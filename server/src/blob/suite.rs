//! The laws of a blob store, run against every implementation, and shown to bite: a store that breaks
//! one of them must fail the suite.

#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sync_core::ids::{BlobHash, DocId, DocKind};
use sync_core::limits::{BLOB_BYTES_MAX, BLOB_PART_BYTES_MAX};

use super::{BlobError, BlobStore};

/// Opens one and the same place, each time anew: what was open before is gone as by a kill.
pub type Place = Box<dyn Fn() -> Arc<dyn BlobStore>>;

type Law = fn(&Place);

/// Every law with its name; each runs on an empty place of its own.
const LAWS: &[(&str, Law)] = &[
    ("an upload in parts is whole and reads back", whole),
    ("what is not whole is not given out", hidden),
    ("an upload resumes at the byte, also after a kill", resumes),
    ("a part that is repeated or out of place changes nothing", out_of_place),
    ("a wrong hash is refused, and the right bytes enter afterwards", wrong_hash),
    ("sizes are bounded and kept", sizes),
    ("a wrong size is mended by the right offer", wrong_size),
    ("a whole blob stays as it is", stays),
    ("devices that upload the same blob at once agree", at_once),
    ("a part of what nobody offered is refused", unknown),
    ("an empty blob is whole when it is offered", empty),
];

/// Holds an implementation to every law. `fresh` makes an empty place.
pub fn conformance(fresh: impl Fn() -> Place) {
    for (name, law) in LAWS {
        println!("{name}");
        law(&fresh());
    }
}

/// The laws that an implementation breaks.
pub fn broken(fresh: impl Fn() -> Place) -> Vec<&'static str> {
    let breaks = |law: &Law| catch_unwind(AssertUnwindSafe(|| law(&fresh()))).is_err();
    LAWS.iter().filter(|(_, law)| breaks(law)).map(|(name, _)| *name).collect()
}

pub fn doc() -> DocId {
    DocId::numbered(sync_core::ids::CompanyId::from_bytes([1; 16]), DocKind::Order, "A1")
}

/// Bytes that differ everywhere, so that a piece in a wrong place is seen.
pub fn photo(length: usize, seed: u8) -> (BlobHash, Vec<u8>) {
    let byte = |i: usize| (i.wrapping_mul(31) ^ (i >> 8)) as u8 ^ seed;
    let bytes: Vec<u8> = (0..length).map(byte).collect();
    (BlobHash::of(&bytes), bytes)
}

fn offer(store: &dyn BlobStore, hash: BlobHash, bytes: &[u8]) -> u64 {
    store.offer(hash, bytes.len() as u64, "image/jpeg", doc()).unwrap()
}

/// Uploads what is missing in pieces of `step` bytes.
fn upload(store: &dyn BlobStore, hash: BlobHash, bytes: &[u8], step: usize) {
    let mut have = offer(store, hash, bytes);
    while have < bytes.len() as u64 {
        let from = usize::try_from(have).unwrap();
        let piece = &bytes[from..(from + step).min(bytes.len())];
        let (now, size) = store.part(hash, have, piece).unwrap();
        assert!(now > have && size == bytes.len() as u64, "{have} of {size} and then {now}");
        have = now;
    }
    assert_eq!(have, bytes.len() as u64);
}

fn download(store: &dyn BlobStore, hash: BlobHash) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let part = store.read(hash, bytes.len() as u64).unwrap();
        bytes.extend_from_slice(&part);
        if part.len() < BLOB_PART_BYTES_MAX {
            assert!(store.read(hash, bytes.len() as u64).unwrap().is_empty(), "nothing follows the end");
            return bytes;
        }
    }
}

fn is_whole(store: &dyn BlobStore, hash: BlobHash, bytes: &[u8]) {
    assert_eq!(store.belongs(hash).unwrap(), Some((doc(), "image/jpeg".to_owned())));
    assert!(download(store, hash) == bytes, "every byte is where it was");
    assert_eq!(offer(store, hash, bytes), bytes.len() as u64, "an offer says that it is whole");
}

fn is_absent(store: &dyn BlobStore, hash: BlobHash) {
    assert_eq!(store.belongs(hash).unwrap(), None);
    assert!(matches!(store.read(hash, 0), Err(BlobError::Unknown)));
}

fn whole(place: &Place) {
    let lengths = [1, 1_000, BLOB_PART_BYTES_MAX, BLOB_PART_BYTES_MAX + 1, 2 * BLOB_PART_BYTES_MAX];
    for (seed, length) in lengths.into_iter().enumerate() {
        let (hash, bytes) = photo(length, u8::try_from(seed).unwrap());
        upload(&*place(), hash, &bytes, BLOB_PART_BYTES_MAX);
        is_whole(&*place(), hash, &bytes);
        let (store, middle) = (place(), length / 2);
        let to = (middle + BLOB_PART_BYTES_MAX).min(length);
        assert!(store.read(hash, middle as u64).unwrap() == bytes[middle..to], "from the middle on");
        assert!(store.read(hash, u64::MAX).unwrap().is_empty());
    }
}

fn hidden(place: &Place) {
    let (hash, bytes) = photo(1_000, 1);
    let store = place();
    is_absent(&*store, hash);
    offer(&*store, hash, &bytes);
    is_absent(&*store, hash);
    store.part(hash, 0, &bytes[..999]).unwrap();
    is_absent(&*store, hash);
    is_absent(&*place(), hash);
    store.part(hash, 999, &bytes[999..]).unwrap();
    is_whole(&*store, hash, &bytes);
}

fn resumes(place: &Place) {
    let (hash, bytes) = photo(5_000, 2);
    assert_eq!(offer(&*place(), hash, &bytes), 0);
    for have in [0, 1, 700, 2_048] {
        let store = place();
        assert_eq!(offer(&*store, hash, &bytes), have, "what was acknowledged is here after a kill");
        let to = if have == 0 {
            1
        } else if have == 1 {
            700
        } else {
            2_048
        };
        let from = usize::try_from(have).unwrap();
        let answer = store.part(hash, have, &bytes[from..to]).unwrap();
        assert_eq!(answer, (to as u64, 5_000));
        if have == 700 {
            // The part also goes on without an offer: the device may have forgotten that it made one.
            assert_eq!(place().part(hash, 2_048, &[]).unwrap(), (2_048, 5_000));
        }
    }
    upload(&*place(), hash, &bytes, 999);
    is_whole(&*place(), hash, &bytes);
}

fn out_of_place(place: &Place) {
    let (hash, bytes) = photo(3_000, 3);
    let store = place();
    offer(&*store, hash, &bytes);
    assert_eq!(store.part(hash, 0, &bytes[..1_000]).unwrap().0, 1_000);
    for (offset, piece) in [(0, &bytes[..1_000]), (500, &bytes[500..1_500]), (2_000, &bytes[2_000..])] {
        assert_eq!(store.part(hash, offset, piece).unwrap(), (1_000, 3_000), "a part at {offset}");
    }
    upload(&*store, hash, &bytes, 1_000);
    assert_eq!(store.part(hash, 2_000, &bytes[2_000..]).unwrap(), (3_000, 3_000), "the last one again");
    is_whole(&*store, hash, &bytes);
}

fn wrong_hash(place: &Place) {
    let (hash, bytes) = photo(2_000, 4);
    let mut lie = bytes.clone();
    lie[1_999] ^= 1;
    let store = place();
    offer(&*store, hash, &lie);
    store.part(hash, 0, &lie[..1_000]).unwrap();
    assert!(matches!(store.part(hash, 1_000, &lie[1_000..]), Err(BlobError::Hash)));
    is_absent(&*store, hash);
    assert_eq!(offer(&*place(), hash, &bytes), 0, "nothing of it stays");
    upload(&*place(), hash, &bytes, 1_500);
    is_whole(&*place(), hash, &bytes);
}

fn sizes(place: &Place) {
    let (hash, bytes) = photo(1_000, 5);
    let store = place();
    let large = store.offer(hash, BLOB_BYTES_MAX + 1, "image/jpeg", doc());
    assert!(matches!(large, Err(BlobError::Size)));
    assert!(matches!(store.part(hash, 0, &bytes), Err(BlobError::Unknown)), "nothing was begun");
    store.offer(hash, BLOB_BYTES_MAX, "image/jpeg", doc()).unwrap();
    offer(&*store, hash, &bytes);
    assert!(matches!(store.part(hash, 0, &[&bytes[..], &[0]].concat()), Err(BlobError::Size)));
    store.part(hash, 0, &bytes[..600]).unwrap();
    assert!(matches!(store.part(hash, 600, &bytes[..401]), Err(BlobError::Size)));
    upload(&*store, hash, &bytes, 400);
    is_whole(&*store, hash, &bytes);
}

fn wrong_size(place: &Place) {
    let (hash, bytes) = photo(1_000, 6);
    let store = place();
    store.offer(hash, 500, "text/html", doc()).unwrap();
    store.part(hash, 0, &bytes[..100]).unwrap();
    upload(&*store, hash, &bytes, 300);
    is_whole(&*place(), hash, &bytes);
}

fn stays(place: &Place) {
    let (hash, bytes) = photo(1_000, 7);
    upload(&*place(), hash, &bytes, 400);
    let other = DocId::numbered(sync_core::ids::CompanyId::from_bytes([1; 16]), DocKind::Order, "B9");
    let store = place();
    for size in [1_000, 10, BLOB_BYTES_MAX] {
        assert_eq!(store.offer(hash, size, "text/html", other).unwrap(), 1_000);
        assert_eq!(store.part(hash, 0, &[0; 10]).unwrap(), (1_000, 1_000));
        assert_eq!(store.part(hash, 1_000, &[0; 10]).unwrap(), (1_000, 1_000));
    }
    is_whole(&*store, hash, &bytes);
    is_whole(&*place(), hash, &bytes);
}

fn at_once(place: &Place) {
    let (hash, bytes) = photo(40_000, 8);
    let (second, seconds) = photo(40_000, 9);
    let store = place();
    std::thread::scope(|scope| {
        for device in 0..6 {
            let (store, bytes, seconds) = (&store, &bytes, &seconds);
            scope.spawn(move || {
                let (hash, bytes) = if device % 3 == 2 { (second, seconds) } else { (hash, bytes) };
                let mut have = offer(&**store, hash, bytes);
                while have < 40_000 {
                    let from = usize::try_from(have).unwrap();
                    let piece = &bytes[from..(from + 700 + device).min(40_000)];
                    // Another may have gone on meanwhile: the answer says from where.
                    have = store.part(hash, have, piece).unwrap().0;
                }
            });
        }
    });
    is_whole(&*store, hash, &bytes);
    is_whole(&*store, second, &seconds);
}

fn unknown(place: &Place) {
    let (hash, bytes) = photo(10, 10);
    assert!(matches!(place().part(hash, 0, &bytes), Err(BlobError::Unknown)));
    is_absent(&*place(), hash);
    assert_eq!(offer(&*place(), hash, &bytes), 0);
}

fn empty(place: &Place) {
    let (hash, bytes) = photo(0, 11);
    assert_eq!(offer(&*place(), hash, &bytes), 0);
    is_whole(&*place(), hash, &bytes);
    let (other, _) = photo(9, 12);
    assert!(matches!(place().offer(other, 0, "image/jpeg", doc()), Err(BlobError::Hash)));
    is_absent(&*place(), other);
}
