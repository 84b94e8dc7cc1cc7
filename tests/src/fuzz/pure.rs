//! The decoders of `sync-core`.
//!
//! Inputs of several parts are a row of pieces, each after its length in two bytes, big-endian; the last
//! may be cut. What stands behind a checksum or a signature is reached on two ways: as the bytes are, and
//! with checksum or signature made to hold.

use std::cell::OnceCell;
use std::hint::black_box;

use coset::{CborSerializable as _, CoseSign1Builder, HeaderBuilder, iana};
use sha2::{Digest as _, Sha256};
use sync_core::admission::{Gate, Stage, admit, receive, verify_log};
use sync_core::command::Command;
use sync_core::device::salvage::Salvage;
use sync_core::device::{Device, DeviceError};
use sync_core::directory::Directory;
use sync_core::document::Document;
use sync_core::document::untrusted::Untrusted;
use sync_core::fact::Fact;
use sync_core::fact::keys::Certificate;
use sync_core::fact::kinds::Payload;
use sync_core::fold::{fold, outline};
use sync_core::ids::{BlobHash, ChangeHash, CommandId, DocId, DocKind, Name, PersonId};
use sync_core::money::{Currency, Money};
use sync_core::policy::model::Policy;
use sync_core::policy::publish::Published;
use sync_core::store::{Batch, DeviceStore, MemoryDisk, MemoryStore, Table};
use sync_core::view::case::{Look, case};
use sync_core::view::row::Row;
use sync_core::wire::codec::Arrived;
use sync_core::wire::{Decoder, Frame};

use super::company::{Company, NOW_MS, now};

/// Facts that one input says at most.
const FACTS_MAX: usize = 40;

thread_local! {
    static COMPANY: OnceCell<(Company, MemoryDisk)> = const { OnceCell::new() };
}

/// Runs something within the company: once founded for each thread, with its device's disk.
fn within<T>(work: impl FnOnce(&Company, &MemoryDisk) -> T) -> T {
    COMPANY.with(|cell| {
        let (company, disk) = cell.get_or_init(|| {
            let company = Company::found();
            let disk = MemoryDisk::new();
            drop(company.device_on(disk.open().expect("a fresh disk opens")));
            (company, disk)
        });
        work(company, disk)
    })
}

/// The pieces of an input.
pub fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (piece, after) = rest.split_at(length);
        found.push(piece);
        bytes = after;
    }
    found
}

/// Messages of one connection: forms, parts, contexts, checks.
pub fn frames(bytes: &[u8]) {
    let mut decoder = Decoder::new();
    for message in pieces(bytes) {
        match decoder.decode(message) {
            Ok(Arrived::Frame(frame)) => again(&frame),
            Ok(Arrived::Part | Arrived::Rest) => {}
            Err(error) => assert!(!error.code().is_empty()),
        }
    }
}

/// One frame's CBOR.
pub fn frame(bytes: &[u8]) {
    if let Ok(frame) = Frame::from_cbor(bytes) {
        again(&frame);
    }
}

/// What was read can be written, and reads as the same.
fn again(frame: &Frame) {
    if let Ok(cbor) = frame.to_cbor() {
        assert_eq!(Frame::from_cbor(&cbor).as_ref(), Ok(frame));
    }
}

/// An Automerge chunk of a type around a body, its length and checksum right.
pub fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut hashed = vec![kind];
    let mut length = body.len();
    while length >= 0x80 {
        hashed.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    hashed.push(length.to_le_bytes()[0]);
    hashed.extend_from_slice(body);
    let mut bytes = vec![0x85, 0x6f, 0x4a, 0x83];
    bytes.extend_from_slice(&Sha256::digest(&hashed)[..4]);
    bytes.extend(hashed);
    bytes
}

/// A chunk's body: what stands after magic, checksum, type and length.
pub fn body(chunk: &[u8]) -> &[u8] {
    let length = chunk.iter().skip(9).take_while(|byte| **byte >= 0x80).count() + 1;
    chunk.get(9 + length..).unwrap_or_default()
}

/// A change at the relay's gate and at a device's door. The first byte says whether what follows is a
/// change as it travels (even) or its body (odd).
pub fn change(bytes: &[u8]) {
    let Some((how, rest)) = bytes.split_first() else { return };
    let wrapped;
    let bytes = if how % 2 == 0 {
        rest
    } else {
        wrapped = chunk(1, rest);
        &wrapped
    };
    if Untrusted::parse(bytes).is_err() {
        return;
    }
    within(|company, disk| {
        let store = disk.snapshot().open().expect("a snapshot opens");
        let device = Device::open(store, Company::chance()).expect("it opened before");
        let (order, _) = device.state(company.order()).expect("it is here");
        for doc in [Document::new(company.order()), order, company.directory_doc.clone()] {
            let gate = Gate {
                rules: company.rules(),
                device: company.device,
                person: company.person,
                now_ms: NOW_MS,
                released: how & 2 != 0,
            };
            let mut stage = Stage::new(doc.id(), Some(&doc));
            if admit(&mut stage, bytes, &gate).is_ok() {
                sound(company, &stage.into_document());
            }
            let mut found = doc;
            if receive(&mut found, bytes, &company.rules()).is_ok() {
                sound(company, &found);
            }
        }
    });
}

/// A document that was taken loads again, and everything that looks at it can.
fn sound(company: &Company, doc: &Document) {
    let loaded = Document::load(doc.id(), &doc.save()).expect("what was taken loads again");
    assert_eq!(loaded.heads(), doc.heads());
    look(company, doc);
}

fn look(company: &Company, doc: &Document) {
    let rules = company.rules();
    let state = fold(doc, &rules);
    assert_eq!(format!("{state:?}"), format!("{:?}", fold(doc, &rules)), "the fold is pure");
    outline(doc);
    drop(case(doc, &state, Some(&state), Look { rules, person: company.person, now_ms: NOW_MS }));
    drop(Row::of(doc, &state, &rules));
    if doc.id().kind() == DocKind::Directory {
        let directory = Directory::read(doc);
        black_box(directory.policy_at(NOW_MS));
    }
}

/// A snapshot. The first byte: the kind of document, and whether the body alone follows (from 128 on).
pub fn snapshot(bytes: &[u8]) {
    let Some((how, rest)) = bytes.split_first() else { return };
    let kind = DocKind::ALL[usize::from(how & 0x7f) % DocKind::ALL.len()];
    let wrapped;
    let bytes = if *how < 128 {
        rest
    } else {
        wrapped = chunk(0, rest);
        &wrapped
    };
    within(|company, _| {
        let id = match kind {
            DocKind::Directory => DocId::directory(company.id),
            kind => DocId::numbered(company.id, kind, "A1"),
        };
        let Ok(doc) = Document::load(id, bytes) else { return };
        if verify_log(&doc, &company.rules()).is_ok() {
            look(company, &doc);
        }
    });
}

/// A signed fact, and a payload behind the number of its kind.
pub fn fact(bytes: &[u8]) {
    if let Ok(fact) = Fact::read(bytes) {
        within(|company, _| {
            // The signature holds or not; the payload is exactly what it says again.
            drop(Fact::verify(bytes, |_| Some(company.device_key.public())));
            let signed = fact.sign(&company.device_key);
            assert_eq!(Fact::read(&signed).as_ref().map(|f| &f.payload), Ok(&fact.payload));
        });
    }
    let Some((kind, rest)) = bytes.split_first_chunk::<2>() else { return };
    if let Ok(payload) = Payload::from_cbor(u16::from_be_bytes(*kind), rest) {
        let cbor = payload.to_cbor();
        assert_eq!(Payload::from_cbor(payload.number(), &cbor).as_ref().ok(), Some(&payload));
    }
}

/// Facts that were signed, in a document's log: the first byte is the kind of document, each piece a
/// payload behind the number of its kind. A directory is read, everything else is folded and seen.
pub fn log(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let kind = DocKind::ALL[usize::from(*kind) % DocKind::ALL.len()];
    within(|company, _| {
        let mut doc = match kind {
            DocKind::Directory => company.directory_doc.clone(),
            kind => Document::new(DocId::numbered(company.id, kind, "A1")),
        };
        for (number, piece) in (100..).zip(pieces(rest).into_iter().take(FACTS_MAX)) {
            let Some((kind, cbor)) = piece.split_first_chunk::<2>() else { continue };
            if let Ok(payload) = Payload::from_cbor(u16::from_be_bytes(*kind), cbor) {
                company.say(&mut doc, number, payload);
            }
        }
        look(company, &doc);
    });
}

/// A certificate, and a payload that the company key signed as one.
pub fn certificate(bytes: &[u8]) {
    within(|company, _| {
        drop(Certificate::verify(bytes, &company.key.public()));
        let header =
            HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).key_id(company.id.as_bytes().to_vec());
        let signed = CoseSign1Builder::new()
            .protected(header.build())
            .payload(bytes.to_vec())
            .create_signature(b"gendan/certificate/1", |message| company.key.sign(message).to_vec())
            .build();
        let signed = signed.to_vec().expect("it was built here");
        if let Ok(read) = Certificate::verify(&signed, &company.key.public()) {
            let issued = read.issue(&company.key);
            assert_eq!(Certificate::verify(&issued, &company.key.public()), Ok(read));
        }
    });
}

/// A policy as TOML; one without faults is published and opened.
pub fn policy_toml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Policy::parse(text) {
        Ok(policy) => {
            let published = Published::of(1, &policy);
            let opened = Published::open(&published.bytes, published.hash);
            assert_eq!(opened.expect("it was published here").policy, policy);
        }
        Err(faults) => assert!(!faults.is_empty()),
    }
}

/// A policy's published form.
pub fn policy(bytes: &[u8]) {
    if let Ok(opened) = Published::open(bytes, BlobHash::of(bytes)) {
        assert!(opened.policy.faults().is_empty());
    }
}

/// Ids, hashes, names and amounts as text.
pub fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    fn same<T: std::str::FromStr + std::fmt::Display + PartialEq>(text: &str) {
        if let Ok(value) = text.parse::<T>() {
            assert!(value.to_string().parse::<T>().is_ok_and(|again| again == value));
        }
    }
    same::<DocId>(text);
    same::<BlobHash>(text);
    same::<ChangeHash>(text);
    same::<CommandId>(text);
    same::<PersonId>(text);
    same::<Name>(text);
    if let Ok(money) = Money::parse(text, Currency::CNY) {
        black_box(money.checked_add(money)).ok();
        black_box(money.checked_mul(i64::MAX)).ok();
        black_box(sync_core::domain::fields::parse_money(text));
    }
    black_box(Currency::parse(text)).ok();
}

/// A device's stored records: pieces are a table, the length of a key, the key and the value, laid over
/// an enrolled device's store (an empty value deletes). It opens or says what is damaged.
pub fn records(bytes: &[u8]) {
    within(|company, disk| {
        let disk = disk.snapshot();
        let mut store = disk.open().expect("a snapshot opens");
        let mut batch = Batch::new();
        for piece in pieces(bytes) {
            let [table, length, rest @ ..] = piece else { continue };
            let table = Table::ALL[usize::from(*table) % Table::ALL.len()];
            let (key, value) = rest.split_at(usize::from(*length).min(rest.len()));
            batch = if value.is_empty() { batch.delete(table, key) } else { batch.put(table, key, value) };
        }
        store.commit(batch).expect("memory takes it");
        drop(Salvage::read(&store).map_err(|e| e.to_string()));
        let Ok(mut device) = Device::open(store, Company::chance()) else { return };
        // Each answers or says what is damaged.
        drop((device.sync_view(), device.held(), device.rows(DocKind::Order), device.digest()));
        drop((device.case(company.order(), &now()), device.photos(company.order()), device.offers()));
        if device.connect("fuzz", &now()).is_ok() {
            for frame in company.first_frames() {
                drop(device.handle(frame, &now()).map_err(|e| e.to_string()));
            }
        }
        drop(device.perform(Command::Note(company.order(), "x".into()), &now()));
    });
}

/// A relay that says anything: each piece is a frame's CBOR, given to a device with unsent work. It stays
/// whole, and what it recorded leaves its outbox only by a verdict.
pub fn session(bytes: &[u8]) {
    within(|company, disk| {
        let disk = disk.snapshot();
        let mut device = open(&disk).expect("it opened before");
        let (heads, _) = device.state(company.order()).expect("it is here");
        let heads = heads.heads();
        let mut judged = false;
        drop(device.connect("fuzz", &now()));
        for piece in pieces(bytes) {
            let Ok(frame) = Frame::from_cbor(piece) else { continue };
            judged |= matches!(frame, Frame::Verdicts(_) | Frame::Wipe { .. });
            if device.handle(frame, &now()).is_err() {
                device.disconnected();
                drop(device.connect("fuzz", &now()));
            }
        }
        let before = device.sync_view().map(|view| view.unsent);
        drop(device);
        match open(&disk) {
            Ok(device) => {
                assert_eq!(device.sync_view().map(|view| view.unsent), before, "as before its restart");
                if !judged {
                    assert_eq!(before, Ok(1), "no verdict came");
                    let (order, _) = device.state(company.order()).expect("what was recorded is there");
                    assert!(heads.iter().all(|head| order.has(*head)), "with what was recorded");
                }
            }
            Err(error) => assert!(judged && matches!(error, DeviceError::NotEnrolled), "{error}"),
        }
    });
}

fn open(disk: &MemoryDisk) -> Result<Device<MemoryStore>, DeviceError> {
    Device::open(disk.open().expect("nothing else has it open"), Company::chance())
}
