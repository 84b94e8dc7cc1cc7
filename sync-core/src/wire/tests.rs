//! The laws of the wire, and one golden sample of every kind of frame.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use rand::SeedableRng as _;

use super::arbitrary::{bytes, feed_item, frame};
use super::frames::*;
use super::*;
use crate::ids::{BlobHash, ChangeHash, DocId, DocKind, Position};
use crate::limits::*;
use crate::refusal::{Refusal, RefusalCode};

/// One accident on the way.
#[derive(Clone, Debug)]
enum Accident {
    Flip { at: prop::sample::Index, bit: u8 },
    Cut { at: prop::sample::Index },
    Grow { at: prop::sample::Index, byte: u8 },
}

fn accident() -> impl Strategy<Value = Accident> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 0u8..8).prop_map(|(at, bit)| Accident::Flip { at, bit }),
        at().prop_map(|at| Accident::Cut { at }),
        (at(), any::<u8>()).prop_map(|(at, byte)| Accident::Grow { at, byte }),
    ]
}

impl Accident {
    fn befall(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Flip { at, bit } => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Cut { at } => bytes.truncate(at.index(bytes.len())),
            Self::Grow { at, byte } => bytes.insert(at.index(bytes.len() + 1), *byte),
        }
    }
}

/// One thing that a sender says.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Frame(Frame),
    /// A frame that is plain and may be cut.
    Long(usize),
    Rest,
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => frame().prop_map(Said::Frame),
        1 => (1usize..40_000).prop_map(Said::Long),
        1 => Just(Said::Rest),
    ]
}

fn long(len: usize) -> Frame {
    Frame::BlobPart { hash: BlobHash([0; 32]), offset: 0, bytes: (0..len).map(|n| n as u8).collect() }
}

fn say(encoder: &mut Encoder, said: &Said) -> Vec<u8> {
    match said {
        Said::Frame(frame) => encoder.encode(frame).unwrap(),
        Said::Long(len) => encoder.encode(&long(*len)).unwrap(),
        Said::Rest => encoder.rest().unwrap(),
    }
}

proptest! {
    #[test]
    fn every_frame_survives_the_wire(frames in prop::collection::vec(frame(), 1..12)) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for frame in frames {
            let message = encoder.encode(&frame).unwrap();
            prop_assert_eq!(decoder.decode(&message).unwrap(), Arrived::Frame(frame));
        }
    }

    #[test]
    fn rests_and_cuts_change_nothing_of_what_is_said(said in prop::collection::vec(said(), 1..12)) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for said in said {
            let expected = match &said {
                Said::Frame(frame) => Arrived::Frame(frame.clone()),
                Said::Long(len) => Arrived::Frame(long(*len)),
                Said::Rest => Arrived::Rest,
            };
            let mut parts: Vec<_> = codec::parts(&say(&mut encoder, &said)).collect();
            let last = parts.pop().unwrap();
            for part in parts {
                prop_assert!(part.len() <= codec::PART_BYTES_MAX);
                prop_assert_eq!(decoder.decode(&part).unwrap(), Arrived::Part);
            }
            prop_assert!(last.len() <= codec::PART_BYTES_MAX);
            prop_assert_eq!(decoder.decode(&last).unwrap(), expected);
            prop_assert_eq!(encoder.holds_context(), decoder.holds_context());
            prop_assert!(said != Said::Rest || !decoder.holds_context());
        }
    }

    #[test]
    fn a_lost_swapped_or_repeated_message_is_noticed_by_the_next(
        said in prop::collection::vec(said(), 2..8),
        at in any::<prop::sample::Index>(),
        accident in prop::sample::select(vec!["lost", "swapped", "repeated"]),
    ) {
        let mut encoder = Encoder::new();
        let mut messages = Vec::new();
        for said in &said {
            messages.extend(codec::parts(&say(&mut encoder, said)));
        }
        let at = at.index(messages.len() - 1);
        match accident {
            "lost" => drop(messages.remove(at)),
            "swapped" => messages.swap(at, at + 1),
            _ => messages.insert(at, messages[at].clone()),
        }
        let mut decoder = Decoder::new();
        let noticed = messages.iter().any(|message| decoder.decode(message).is_err());
        prop_assert!(noticed || accident == "swapped" && messages[at] == messages[at + 1]);
    }

    #[test]
    fn an_altered_or_cut_message_ends_the_stream(frames in prop::collection::vec(frame(), 1..4), accident in accident()) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for frame in &frames[1..] {
            let message = encoder.encode(frame).unwrap();
            prop_assert_eq!(&decoder.decode(&message).unwrap(), &Arrived::Frame(frame.clone()));
        }
        let mut message = encoder.encode(&frames[0]).unwrap();
        accident.befall(&mut message);
        match decoder.decode(&message) {
            // A bit that fills up the last byte of a block may be either.
            Ok(Arrived::Frame(frame)) => prop_assert_eq!(&frame, &frames[0]),
            // It grew into a piece of a longer message: then that never ends.
            Ok(Arrived::Part) => {
                let next = encoder.encode(&frames[0]).unwrap();
                prop_assert_eq!(decoder.decode(&next), Err(WireError::Damaged));
            }
            Ok(Arrived::Rest) => prop_assert!(false, "a frame became a rest"),
            Err(error) => {
                prop_assert!(!error.goes_on(), "{}", error);
                prop_assert_eq!(decoder.decode(&message), Err(WireError::Ended));
            }
        }
    }

    #[test]
    fn a_lost_or_repeated_message_ends_the_stream(a in frame(), b in frame(), lost: bool) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let (first, second) = (encoder.encode(&a).unwrap(), encoder.encode(&b).unwrap());
        let unexpected = if lost {
            decoder.decode(&second)
        } else {
            prop_assert_eq!(decoder.decode(&first).unwrap(), Arrived::Frame(a));
            decoder.decode(&first)
        };
        prop_assert_eq!(unexpected, Err(WireError::Damaged));
    }

    #[test]
    fn foreign_bytes_are_an_error(mut foreign in bytes()) {
        prop_assert!(matches!(Decoder::new().decode(&foreign), Err(_) | Ok(Arrived::Part)));
        foreign.insert(0, 0);
        for form in 0..=u8::MAX {
            foreign[0] = form;
            let arrived = Decoder::new().decode(&foreign);
            prop_assert!(arrived.is_err() || arrived == Ok(Arrived::Part), "{:02x}", form);
        }
    }

    #[test]
    fn altered_cbor_is_read_or_refused_and_never_panics(
        frame in frame(),
        accidents in prop::collection::vec(accident(), 1..4),
    ) {
        let mut cbor = frame.to_cbor().unwrap();
        for accident in accidents {
            if !cbor.is_empty() { accident.befall(&mut cbor); }
        }
        if let Ok(read) = Frame::from_cbor(&cbor) {
            prop_assert_eq!(Frame::from_cbor(&read.to_cbor().unwrap()).unwrap(), read);
        }
    }

    #[test]
    fn the_hint_of_a_feed_item_is_never_too_small(item in feed_item()) {
        prop_assert!(minicbor::to_vec(&item).unwrap().len() <= item.len_hint());
    }

    #[test]
    fn versions_are_negotiated_alike_on_both_sides(ours: (u16, u16), theirs: (u16, u16)) {
        let agreed = negotiate(ours, theirs);
        prop_assert_eq!(agreed, negotiate(theirs, ours));
        if let Some(version) = agreed {
            prop_assert!((ours.0..=ours.1).contains(&version) && (theirs.0..=theirs.1).contains(&version));
        }
    }
}

#[test]
fn the_newest_common_version_is_spoken() {
    let cases = [
        ((1, 3), (2, 5), Some(3)),
        ((1, 1), (1, 1), Some(1)),
        ((1, 2), (3, 4), None),
        ((3, 1), (1, 3), None),
    ];
    for (ours, theirs, expected) in cases {
        assert_eq!(negotiate(ours, theirs), expected, "{ours:?} {theirs:?}");
    }
    assert_eq!(negotiate((VERSION_MIN, VERSION_MAX), (0, u16::MAX)), Some(VERSION_MAX));
}

fn order(n: u8) -> DocId {
    DocId::new(DocKind::Order, [n; 16])
}

fn sample_hello() -> Frame {
    Frame::Hello(Hello {
        versions: (VERSION_MIN, VERSION_MAX),
        app: "gendan-android/1.0.0".to_owned(),
        cursor: Position(4_812),
        epoch: 0x0123_4567_89ab_cdef,
        policy: 7,
        unsent: 2,
        oldest_unsent_ms: Some(1_790_000_000_000),
        held: 1,
        blobs_pending: 3,
        wall_ms: 1_790_000_360_000,
    })
}

fn sample_welcome() -> Frame {
    Frame::Welcome(Welcome {
        version: 1,
        epoch: 0x0123_4567_89ab_cdef,
        now_ms: 1_790_000_359_000,
        head: Position(4_812),
        lease_until_ms: 1_790_604_800_000,
    })
}

fn sample_refusal() -> Refusal {
    Refusal::new(RefusalCode::RoleMissing)
        .with("action", "approve")
        .by(&"supervisor".parse().unwrap(), ("跟单主管", "Supervisor"))
}

fn sample_feed() -> Frame {
    let (hash, released) = (ChangeHash([3; 32]), Resolution::Released);
    let discarded = Resolution::Discarded { why: "重复录入".to_owned(), by: "0042".to_owned() };
    let items = vec![
        FeedItem::Changes { doc: order(1), changes: vec![vec![1, 2].into(), vec![3].into()] },
        FeedItem::Snapshot { doc: order(2), bytes: vec![4, 5] },
        FeedItem::Forget { doc: order(3) },
        FeedItem::Resolved { doc: order(1), hash, resolution: released },
        FeedItem::Resolved { doc: order(1), hash, resolution: discarded },
        FeedItem::Resolved { doc: order(1), hash, resolution: Resolution::Replayed },
        FeedItem::Policy { version: 8, hash: BlobHash([6; 32]), bytes: vec![7] },
        FeedItem::Need { doc: order(4) },
    ];
    Frame::Feed(Feed { items, upto: Position(4_820), more: true })
}

/// One frame of every kind, in the order of their numbers, with every kind of item and verdict.
fn samples() -> Vec<Frame> {
    let (hash, doc) = (BlobHash([9; 32]), order(1));
    let change = vec![0x85, 0x6f, 0x4a, 0x83].into();
    let verdicts =
        vec![Verdict::Admitted { position: Position(4_813) }, Verdict::Held { refusal: sample_refusal() }];
    let documents = vec![(doc, digest::heads_digest(doc, &[ChangeHash([1; 32])]).into())];
    vec![
        sample_hello(),
        Frame::Push(Push { id: 1, doc, changes: vec![change] }),
        Frame::Need(Need { doc }),
        Frame::Digest(Digest { digest: [5; 32].into(), documents: 1, cursor: Position(4_812) }),
        Frame::Inventory(Inventory { documents, last: true }),
        Frame::BlobOffer { hash, size: 200_000, media: "image/jpeg".to_owned(), doc },
        Frame::BlobPart { hash, offset: 65_536, bytes: vec![0xff, 0xd8] },
        Frame::BlobGet { hash, offset: 0, doc: None },
        Frame::Wiped { receipt: vec![0xd2, 0x84] },
        sample_welcome(),
        sample_feed(),
        Frame::Verdicts(Verdicts { id: 1, at_ms: 1_790_000_359_000, verdicts }),
        Frame::Agreement { agree: false },
        Frame::BlobState { hash, have: 65_536, complete: false },
        Frame::Wipe { reason: Refusal::new(RefusalCode::DeviceRevoked) },
        Frame::Failure { code: "frame_malformed".to_owned(), message: "bytes follow the frame".to_owned() },
    ]
}

#[test]
fn frames_have_the_bytes_they_always_had() {
    let samples = samples();
    assert_eq!(samples.len() as i64, Frame::KINDS);
    let mut found = String::new();
    for (number, frame) in samples.iter().enumerate() {
        let cbor = frame.to_cbor().unwrap();
        assert_eq!(cbor[..2], [0x82, number as u8], "{}", frame.kind());
        writeln!(found, "{} {}", frame.kind(), hex::encode(cbor)).unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/frames.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|set| set == "1") {
        std::fs::write(path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    assert_eq!(found, golden, "if this is meant, run once with UPDATE_GOLDEN=1 and say so in the changelog");
    for (line, frame) in golden.lines().zip(&samples) {
        let cbor = hex::decode(line.split_once(' ').unwrap().1).unwrap();
        assert_eq!(&Frame::from_cbor(&cbor).unwrap(), frame);
    }
}

#[test]
fn a_reconnect_with_nothing_new_takes_less_than_300_bytes() {
    let nothing = Frame::Feed(Feed { items: Vec::new(), upto: Position(4_812), more: false });
    let (mut device, mut relay) = (Encoder::new(), Encoder::new());
    let bytes = device.encode(&sample_hello()).unwrap().len()
        + relay.encode(&sample_welcome()).unwrap().len()
        + relay.encode(&nothing).unwrap().len();
    assert!(bytes < 300, "{bytes} bytes");
}

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rand_chacha::ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

#[test]
fn a_later_frame_uses_the_context_of_earlier_ones() {
    let mut bytes = noise(1, 400);
    let mut encoder = Encoder::new();
    let mut push = |id: u64, bytes: &[u8]| {
        encoder
            .encode(&Frame::Push(Push { id, doc: order(1), changes: vec![bytes.to_vec().into()] }))
            .unwrap()
            .len()
    };
    let first = push(1, &bytes);
    bytes[200] ^= 1;
    let second = push(2, &bytes);
    assert!(second * 4 < first, "first {first}, second {second}");
}

/// A push of one change of about 300 bytes, two thirds of which recur.
fn push(id: u64) -> Frame {
    let bytes = [noise(id, 100), noise(0, 200)].concat();
    Frame::Push(Push { id, doc: order(1), changes: vec![bytes.into()] })
}

#[test]
fn small_frames_and_packed_bytes_make_no_context() {
    let mut encoder = Encoder::new();
    let full = snapshots(50, 2_000);
    for frame in [sample_hello(), sample_welcome(), full.clone(), Frame::Agreement { agree: true }] {
        let message = encoder.encode(&frame).unwrap();
        assert_eq!(message.len(), frame.to_cbor().unwrap().len() + 5);
        assert!(!encoder.holds_context(), "{}", frame.kind());
    }
    encoder.encode(&push(1)).unwrap();
    assert!(encoder.holds_context());
    assert_eq!(encoder.encode(&full).unwrap().len(), full.to_cbor().unwrap().len() + 5);
    assert!(encoder.encode(&push(2)).unwrap().len() < 200, "packed bytes between leave the context as it is");
}

#[test]
fn a_policy_is_deflated_and_leaves_no_context() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let policy = FeedItem::Policy { version: 1, hash: BlobHash([1; 32]), bytes: noise(1, 50).repeat(80) };
    let directory = FeedItem::Snapshot { doc: order(1), bytes: noise(2, 600) };
    let feed = Frame::Feed(Feed { items: vec![policy, directory], upto: Position(1), more: false });
    for frame in [feed.clone(), push(1), feed, push(2)] {
        let message = encoder.encode(&frame).unwrap();
        assert!(message.len() < 1_000);
        assert_eq!(decoder.decode(&message), Ok(Arrived::Frame(frame.clone())));
        assert_eq!(encoder.holds_context(), decoder.holds_context());
        assert!(frame == push(2) || message.len() > 200, "{}", message.len());
        assert!(frame != push(2) || message.len() < 200, "the context goes on behind it");
    }
}

#[test]
fn a_feed_is_deflated_where_changes_outweigh_snapshots() {
    let feed = |changes: usize, snapshot: usize| {
        let changes = (0..changes).map(|_| noise(1, 300).into()).collect();
        let items = vec![
            FeedItem::Changes { doc: order(1), changes },
            FeedItem::Snapshot { doc: order(2), bytes: noise(2, snapshot) },
        ];
        Frame::Feed(Feed { items, upto: Position(1), more: false })
    };
    for (changes, snapshot, deflated) in
        [(20, 3_000, true), (2, 3_000, false), (0, 3_000, false), (1, 0, true)]
    {
        let mut encoder = Encoder::new();
        encoder.encode(&feed(changes, snapshot)).unwrap();
        assert_eq!(encoder.holds_context(), deflated, "{changes} changes and {snapshot} bytes");
    }
}

#[test]
fn a_rest_takes_five_bytes_and_the_next_frame_begins_anew() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let mut lengths = Vec::new();
    for rest in [false, false, true, true, false] {
        if rest {
            let message = encoder.rest().unwrap();
            assert_eq!(message.len(), 5);
            assert_eq!(decoder.decode(&message), Ok(Arrived::Rest));
            assert!(!encoder.holds_context() && !decoder.holds_context());
        }
        let message = encoder.encode(&push(1)).unwrap();
        lengths.push(message.len());
        assert_eq!(decoder.decode(&message), Ok(Arrived::Frame(push(1))));
    }
    assert!(lengths[1] * 4 < lengths[0] && lengths[4] * 4 < lengths[0], "{lengths:?}");
    assert_eq!((lengths[2], lengths[3]), (lengths[0], lengths[0]));
}

fn snapshots(count: usize, len: usize) -> Frame {
    let items = (0..count).map(|n| FeedItem::Snapshot { doc: order(n as u8), bytes: noise(n as u64, len) });
    Frame::Feed(Feed { items: items.collect(), upto: Position(1), more: false })
}

#[test]
fn a_full_frame_of_noise_fits_and_a_larger_one_leaves_the_stream_whole() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let too_large = encoder.encode(&snapshots(3, DOCUMENT_BYTES_MAX)).unwrap_err();
    assert!(matches!(&too_large, WireError::TooLarge(_)) && too_large.goes_on(), "{too_large}");
    let full = snapshots(2, FRAME_BYTES_SENT_MAX / 2 - 100);
    assert!(full.to_cbor().unwrap().len() > FRAME_BYTES_SENT_MAX - 200);
    let message = encoder.encode(&full).unwrap();
    assert!(message.len() <= FRAME_BYTES_MAX, "{} bytes", message.len());
    assert_eq!(decoder.decode(&message).unwrap(), Arrived::Frame(full));
}

#[test]
fn a_sender_learns_of_every_bound_before_its_peer_does() {
    let push = |count| Frame::Push(Push { id: 1, doc: order(1), changes: vec![vec![1].into(); count] });
    let inventory =
        |count| Frame::Inventory(Inventory { documents: vec![(order(1), [1; 8].into()); count], last: true });
    let feed = |count| {
        let items = vec![FeedItem::Need { doc: order(1) }; count];
        Frame::Feed(Feed { items, upto: Position(1), more: false })
    };
    let part = |len| Frame::BlobPart { hash: BlobHash([1; 32]), offset: 0, bytes: vec![0; len] };
    let failure = |len| Frame::Failure { code: String::new(), message: "错".repeat(len) };
    let wiped = |len| Frame::Wiped { receipt: vec![0; len] };
    let cases = [
        (push(PUSH_CHANGES_MAX), push(PUSH_CHANGES_MAX + 1)),
        (inventory(INVENTORY_MAX), inventory(INVENTORY_MAX + 1)),
        (feed(FEED_ITEMS_MAX), feed(FEED_ITEMS_MAX + 1)),
        (part(BLOB_PART_BYTES_MAX), part(BLOB_PART_BYTES_MAX + 1)),
        (failure(TEXT_CHARS_MAX), failure(TEXT_CHARS_MAX + 1)),
        (wiped(FACT_BYTES_MAX), wiped(FACT_BYTES_MAX + 1)),
    ];
    for (fits, too_large) in cases {
        assert_eq!(Frame::from_cbor(&fits.to_cbor().unwrap()).unwrap(), fits);
        assert!(matches!(too_large.to_cbor(), Err(WireError::TooLarge(_))), "{}", too_large.kind());
    }
    let changes = vec![vec![].into(); PUSH_CHANGES_MAX];
    let items = vec![FeedItem::Changes { doc: order(1), changes }; 100];
    let many = Frame::Feed(Feed { items, upto: Position(1), more: false });
    assert_eq!(many.to_cbor(), Err(WireError::TooLarge("too many items".to_owned())));
}

/// A frame with the given kind and, as its one field, the CBOR that `write` leaves.
fn by_hand(kind: i64, write: impl FnOnce(&mut minicbor::Encoder<Vec<u8>>)) -> Vec<u8> {
    let mut e = minicbor::Encoder::new(Vec::new());
    e.array(2).unwrap().i64(kind).unwrap().array(1).unwrap();
    write(&mut e);
    e.into_writer()
}

#[test]
fn a_header_that_claims_more_than_is_there_takes_no_memory() {
    // Push, inventory, feed, verdicts: each with its list under the list's own key.
    for (kind, key) in [(1, 2), (4, 0), (10, 0), (11, 2)] {
        for claimed in [1 << 40, u64::MAX, 60_000, 7] {
            let cbor = by_hand(kind, |e| {
                e.map(1).unwrap().u8(key).unwrap().array(claimed).unwrap();
            });
            let error = Frame::from_cbor(&cbor).unwrap_err();
            assert!(matches!(error, WireError::Malformed(_)), "{kind}: {error}");
        }
    }
    let mut cbor = by_hand(8, |e| {
        e.u8(0).unwrap();
    });
    cbor.pop();
    cbor.extend([0xa1, 0x00, 0x5b, 0, 0, 1, 0, 0, 0, 0, 0]);
    assert!(matches!(Frame::from_cbor(&cbor), Err(WireError::Malformed(_))));
}

#[test]
fn keys_of_a_newer_peer_are_ignored_unless_they_nest_too_deeply() {
    let need = |depth: usize| {
        by_hand(2, |e| {
            e.map(2).unwrap().u8(0).unwrap().encode(order(1)).unwrap().u8(99).unwrap();
            for _ in 0..depth {
                e.array(1).unwrap();
            }
            e.str("later").unwrap();
        })
    };
    assert_eq!(Frame::from_cbor(&need(5)).unwrap(), Frame::Need(Need { doc: order(1) }));
    let error = Frame::from_cbor(&need(10_000)).unwrap_err();
    assert_eq!(error, WireError::Malformed("nested too deeply".to_owned()));
}

#[test]
fn a_kind_of_frame_from_a_newer_peer_is_skipped_and_the_stream_goes_on() {
    let later = by_hand(Frame::KINDS, |e| {
        e.map(1).unwrap().u8(0).unwrap().str("later").unwrap();
    });
    let agreement = Frame::Agreement { agree: true };
    // Plain messages by hand: form, check, CBOR.
    let mut check = flate2::Crc::new();
    let mut message = |cbor: &[u8]| {
        let form = codec::LAYOUT << 4;
        check.update(&[form]);
        check.update(cbor);
        [&[form][..], &check.sum().to_be_bytes(), cbor].concat()
    };
    let mut decoder = Decoder::new();
    let unknown = decoder.decode(&message(&later));
    assert_eq!(unknown, Err(WireError::UnknownFrame(Frame::KINDS)));
    assert_eq!(decoder.decode(&message(&agreement.to_cbor().unwrap())), Ok(Arrived::Frame(agreement)));
}

#[test]
fn an_unknown_variant_within_a_known_frame_asks_for_a_newer_build() {
    let item = by_hand(10, |e| {
        e.map(1).unwrap().u8(0).unwrap().array(1).unwrap();
        e.array(2).unwrap().u8(99).unwrap().map(0).unwrap();
    });
    let reason = by_hand(14, |e| {
        e.u8(0).unwrap();
    });
    // A wipe's only field is a map: the refusal under key 0, its code under key 0.
    let reason = [&reason[..2], &[0xa1, 0x00, 0xa1, 0x00, 0x19, 0x27, 0x0f]].concat();
    for cbor in [item, reason] {
        let error = Frame::from_cbor(&cbor).unwrap_err();
        assert!(matches!(error, WireError::Newer(_)) && !error.goes_on(), "{error}");
    }
}

#[test]
fn nothing_may_follow_a_frame() {
    for frame in samples() {
        let mut cbor = frame.to_cbor().unwrap();
        cbor.push(0);
        let expected = WireError::Malformed("bytes follow the frame".to_owned());
        assert_eq!(Frame::from_cbor(&cbor), Err(expected), "{}", frame.kind());
    }
}

#[test]
fn another_layout_is_named() {
    let mut message = Encoder::new().encode(&sample_hello()).unwrap();
    message[0] = 2;
    assert_eq!(Decoder::new().decode(&message), Err(WireError::Layout(2)));
}

#[test]
fn each_error_has_a_code_of_its_own() {
    let errors = [
        WireError::TooLarge(String::new()),
        WireError::UnknownFrame(0),
        WireError::Newer(String::new()),
        WireError::Layout(0),
        WireError::Oversized,
        WireError::Malformed(String::new()),
        WireError::Damaged,
        WireError::Ended,
    ];
    let codes: BTreeMap<_, _> = errors.iter().map(|error| (error.code(), error)).collect();
    assert_eq!(codes.len(), errors.len());
}
