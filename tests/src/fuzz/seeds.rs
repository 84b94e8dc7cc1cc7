//! The corpus, made from real values: what devices, relays and people write.
//!
//! Out: for each target named byte strings, the same in every run, and mostly below 4 KB. What a fuzzer
//! found is kept beside them under its own name and is not made here.

use std::collections::BTreeMap;
use std::sync::Arc;

use gendan_server::evidence::EvidenceFile;
use gendan_server::log::{ChangeLog, KeptLog};
use gendan_server::relay::found::{Founding, found};
use gendan_server::relay::office::Clerk;
use minicbor::bytes::ByteArray;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook};
use sync_core::command::Command;
use sync_core::document::{Actor, Document, Edit};
use sync_core::domain::fields::Map;
use sync_core::fact::keys::Certificate;
use sync_core::fact::kinds::*;
use sync_core::ids::{
    AppointmentId, BlobHash, ChangeHash, CommandId, DeviceId, DocId, DocKind, FactId, Name, PersonId,
    Position,
};
use sync_core::money::{Currency, Money};
use sync_core::refusal::{Refusal, RefusalCode};
use sync_core::store::{DeviceStore, MemoryDisk, Table};
use sync_core::wire::codec::parts;
use sync_core::wire::frames::*;
use sync_core::wire::{Encoder, Frame};

use super::company::{Company, NOW_MS, POLICY, now};
use super::pure::body;

/// Seeds by target and name.
pub type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

/// All of them.
///
/// # Panics
/// Where a real value cannot be made: the code under test is broken before any fuzzing.
pub fn all() -> Seeds {
    let company = Company::found();
    let mut seeds = Seeds::new();
    let mut put = |target: &'static str, name: &str, bytes: Vec<u8>| {
        let before = seeds.insert((target, name.to_owned()), bytes);
        assert!(before.is_none(), "{target}/{name} is there once");
    };
    wire(&company, &mut put);
    documents(&company, &mut put);
    facts(&company, &mut put);
    policies(&company, &mut put);
    stores(&company, &mut put);
    people(&company, &mut put);
    seeds
}

type Put<'a> = dyn FnMut(&'static str, &str, Vec<u8>) + 'a;

/// A piece behind its length, as `pure::pieces` reads it.
fn piece(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("seeds are small");
    [&length.to_be_bytes()[..], bytes].concat()
}
fn row<B: AsRef<[u8]>>(pieces: impl IntoIterator<Item = B>) -> Vec<u8> {
    pieces.into_iter().flat_map(|bytes| piece(bytes.as_ref())).collect()
}
fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

fn from_device(company: &Company) -> Vec<Frame> {
    let (doc, hash) = (company.order(), BlobHash([5; 32]));
    let change = vec![company.device_changes()[0].clone().into()];
    vec![
        Frame::Push(Push { id: 1, doc, changes: change }),
        Frame::Need(Need { doc }),
        Frame::Digest(Digest { digest: ByteArray::from([7; 32]), documents: 3, cursor: Position(9) }),
        Frame::Inventory(Inventory { documents: vec![(doc, ByteArray::from([8; 8]))], last: true }),
        Frame::BlobOffer { hash, size: 5_000, media: "image/jpeg".into(), doc },
        Frame::BlobPart { hash, offset: 0, bytes: vec![9; 500] },
        Frame::BlobGet { hash, offset: 0, doc: Some(doc) },
        Frame::Wiped { receipt: vec![1; 64] },
    ]
}

fn from_relay(company: &Company) -> Vec<Frame> {
    let (doc, hash) = (company.order(), ChangeHash([6; 32]));
    let held = Refusal::new(RefusalCode::RoleEnded).with("role", "crew");
    let verdicts = |verdict| Frame::Verdicts(Verdicts { id: 1, at_ms: NOW_MS, verdicts: vec![verdict] });
    let discarded = Resolution::Discarded { why: "重复".into(), by: "周总".into() };
    let items = vec![
        FeedItem::Changes { doc, changes: vec![company.device_changes()[0].clone().into()] },
        FeedItem::Forget { doc },
        FeedItem::Resolved { doc, hash, resolution: discarded },
        FeedItem::Need { doc },
    ];
    let mut frames = company.first_frames().to_vec();
    frames.extend([
        Frame::Feed(Feed { items, upto: Position(7), more: true }),
        verdicts(Verdict::Admitted { position: Position(3) }),
        verdicts(Verdict::Held { refusal: held }),
        verdicts(Verdict::Held { refusal: Refusal::new(RefusalCode::DependencyMissing) }),
        Frame::Agreement { agree: false },
        Frame::BlobState { hash: BlobHash([5; 32]), have: 0, complete: true },
        Frame::Wipe { reason: Refusal::new(RefusalCode::DeviceRevoked) },
        Frame::Failure { code: "closing".into(), message: "again later".into() },
    ]);
    frames
}

fn wire(company: &Company, put: &mut Put<'_>) {
    let mut frames = from_device(company);
    let down = from_relay(company);
    frames.extend(down.clone());
    let mut encoder = Encoder::new();
    let mut stream = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let cbor = frame.to_cbor().expect("it fits");
        put("frame", &format!("{number:02}-{}", frame.kind()), cbor);
        stream.push(Encoder::new().encode(frame).expect("it fits"));
        let message = encoder.encode(frame).expect("it fits");
        put("frames", &format!("{number:02}-{}", frame.kind()), row(parts(&message)));
    }
    put("frames", "fresh-ones", stream.iter().take(3).flat_map(|m| row(parts(m))).collect());
    let mut encoder = Encoder::new();
    let mut run: Vec<Vec<u8>> = Vec::new();
    for _ in 0..3 {
        run.extend(down.iter().flat_map(|f| parts(&encoder.encode(f).expect("it fits")).collect::<Vec<_>>()));
        run.push(encoder.rest().expect("it goes on"));
    }
    put("frames", "a-connection-that-rests", row(&run));
    let cbor: Vec<Vec<u8>> = down.iter().map(|f| f.to_cbor().expect("it fits")).collect();
    put("session", "greeting", row(&cbor[..2]));
    for (number, frame) in down.iter().enumerate().skip(2) {
        put("session", &format!("{number:02}-{}", frame.kind()), row([&cbor[0], &cbor[number]]));
    }
    put("session", "all", row(&cbor));
}

fn documents(company: &Company, put: &mut Put<'_>) {
    let mut order = company.device_order();
    for (number, bytes) in company.device_changes().iter().enumerate() {
        put("change", &format!("order-{number}"), [&[0], &bytes[..]].concat());
        put("change", &format!("order-{number}-body"), [&[1], body(bytes)].concat());
    }
    for (number, change) in company.directory_doc.changes().into_iter().enumerate() {
        put("change", &format!("directory-{number}-body"), [&[3], body(&change.bytes)].concat());
    }
    let actor = Actor { device: company.device, epoch: 0 };
    let edits = [
        Edit::Put(Map::Fields, "phone".into(), "13900000000".into()),
        Edit::Delete(Map::Fields, "customer".into()),
        Edit::Put(Map::Notes, CommandId::from_bytes([50; 16]).to_string(), "靠窗".into()),
    ];
    let edited =
        order.write(actor, CommandId::from_bytes([51; 16]), NOW_MS, &edits).expect("it says something");
    put("change", "edits", [&[0], &edited.bytes[..]].concat());
    put("change", "edits-body", [&[1], body(&edited.bytes)].concat());
    for doc in [&order, &company.directory_doc] {
        let kind = DocKind::ALL.iter().position(|kind| *kind == doc.id().kind()).expect("a kind");
        let kind = u8::try_from(kind).expect("a handful of kinds");
        put("snapshot", doc.id().kind().name(), [&[kind], &doc.save()[..]].concat());
        let whole = doc.save();
        put("snapshot", &format!("{}-body", doc.id().kind().name()), [&[kind | 128], body(&whole)].concat());
    }
    for (number, kind) in (0u8..).zip(DocKind::ALL) {
        let fresh = Document::new(DocId::new(kind, [1; 16])).save();
        put("snapshot", &format!("blank-{}", kind.name()), [&[number], &fresh[..]].concat());
    }
}

fn payloads(company: &Company) -> Vec<Payload> {
    let heads = company.device_order().heads();
    let order = company.order();
    let amount = Money::parse("2808.00", Currency::CNY).expect("an amount");
    let photo = Evidence::photo(BlobHash([5; 32]), "image/jpeg");
    let appointment = AppointmentId::from_bytes([31; 16]);
    let person = PersonId::from_bytes([32; 16]);
    let step = Step {
        step: name("fetched"),
        outcome: Outcome::Partial,
        items: vec![sync_core::ids::ItemId::from_bytes([9; 16])],
        values: [(name("pieces"), "3".to_owned())].into(),
        evidence: vec![photo.clone(), Evidence::text_message("请下单")],
        appointment: Some(appointment),
        signature: Some(Signature { signer: "何女士".into(), strokes: vec![vec![(1, 2), (300, 4_000)]] }),
        seal: Some(heads.clone()),
        note: Some("靠窗".into()),
    };
    let later = Certificate {
        company: company.id,
        device: DeviceId::from_bytes([33; 16]),
        person,
        key: [34; 32].into(),
        issued_ms: NOW_MS,
    };
    let (words, reason) = ("周日送".to_owned(), "客户改期".to_owned());
    vec![
        Opened {
            flow: name("order"),
            number: "A1".into(),
            store: Some(company.store()),
            urgency: None,
            order: Some(order),
            taken_ms: Some(NOW_MS),
            channel: Some("phone".into()),
            about: None,
        }
        .into(),
        step.into(),
        Approved { heads: heads.clone(), note: None }.into(),
        Declined { heads, reason: reason.clone() }.into(),
        Assigned {
            appointment,
            people: vec![person],
            on: "2026-12-01".into(),
            purpose: name("delivery"),
            note: None,
        }
        .into(),
        Visited { appointment, status: AppointmentStatus::Travelling }.into(),
        Settled {
            left: FactId::from_bytes([100; 16]),
            right: FactId::from_bytes([101; 16]),
            keep: FactId::from_bytes([100; 16]),
            reason: reason.clone(),
        }
        .into(),
        Cleared { guarantee: true, evidence: vec![photo.clone()] }.into(),
        Contact { channel: "phone".into(), words, evidence: vec![photo.clone()] }.into(),
        Exception { what: "面板有划痕".into(), evidence: vec![photo.clone()] }.into(),
        Resolved { exception: FactId::from_bytes([102; 16]), how: "换新".into() }.into(),
        Escalated { to: name("supervisor"), reason: reason.clone() }.into(),
        Part { sku: "P-1".into(), quantity: 2, consumed: true }.into(),
        Paused { reason: reason.clone() }.into(),
        Resumed { note: None }.into(),
        Payment { amount, method: "cash".into(), evidence: vec![] }.into(),
        PersonAdded { person, number: "D02".into(), name: "员工".into() }.into(),
        RoleGranted { person, role: name("sales"), store: Some(company.store()), from_ms: 0 }.into(),
        RoleEnded { person, role: name("sales"), at_ms: NOW_MS }.into(),
        DeviceEnrolled { certificate: later.issue(&company.key).into(), custodial: false }.into(),
        DeviceRevoked { device: later.device, reason: reason.clone() }.into(),
        PolicyPublished {
            version: 2,
            hash: BlobHash([35; 32]),
            effective_ms: NOW_MS,
            proposal: Some(BlobHash([36; 32])),
        }
        .into(),
        Cancelled { reason: reason.clone(), evidence: vec![] }.into(),
        PolicyProposed { hash: BlobHash([36; 32]), name: name("furniture"), note: Some(reason.clone()) }
            .into(),
        PolicyDeclined { hash: BlobHash([36; 32]), reason: reason.clone() }.into(),
        IntakeSuspended { day: "2026-12-18".into(), reason: reason.clone() }.into(),
        IntakeResumed { day: "2026-12-18".into(), reason }.into(),
    ]
}

fn facts(company: &Company, put: &mut Put<'_>) {
    let numbered = |payload: &Payload| [&payload.number().to_be_bytes()[..], &payload.to_cbor()].concat();
    let all = payloads(company);
    for (number, payload) in (100..).zip(&all) {
        put("fact", &format!("payload-{:02}-{}", payload.number(), payload.name()), numbered(payload));
        if number % 4 == 0 {
            let fact = company.fact(company.order(), number, payload.clone()).sign(&company.device_key);
            put("fact", &format!("signed-{}", payload.name()), fact);
        }
    }
    for (number, kind) in (0u8..).zip(DocKind::ALL) {
        let fitting = all.iter().filter(|payload| payload.fits(kind)).map(numbered);
        put("log", kind.name(), [vec![number], row(fitting)].concat());
    }
    put("certificate", "whole", company.certificate.clone());
    let said = Certificate {
        company: company.id,
        device: company.device,
        person: company.person,
        key: company.device_key.public().0.into(),
        issued_ms: NOW_MS,
    };
    put("certificate", "payload", minicbor::to_vec(&said).expect("memory takes it"));
}

fn policies(company: &Company, put: &mut Put<'_>) {
    put("policy_toml", "small", include_bytes!("../../policies/small.toml").to_vec());
    put("policy_toml", "general", POLICY.as_bytes().to_vec());
    let half: String = POLICY.chars().take(1_500).collect();
    put("policy_toml", "broken-off", half.into_bytes());
    put(
        "policy_toml",
        "odd-values",
        b"name = 1\nversion = -9223372036854775808\n[roles.x]\nmay = [[[]]]\n".to_vec(),
    );
    put("policy", "general", company.published.bytes.clone());
    let small = crate::simulation::world::small_policy();
    put("policy", "small", sync_core::policy::publish::Published::of(3, &small).bytes);
}

/// Every entry of a store as a piece; long ones are left out.
fn entries(store: &impl DeviceStore) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for table in Table::ALL {
        for (key, value) in store.scan(table, &[]).expect("memory reads") {
            let Ok(length) = u8::try_from(key.len()) else { continue };
            if value.len() < 6_000 {
                let entry = [&[table.number(), length], &key[..], &value].concat();
                found.push((format!("{table:?}-{}", found.len()).to_lowercase(), piece(&entry)));
            }
        }
    }
    found
}

fn stores(company: &Company, put: &mut Put<'_>) {
    let disk = MemoryDisk::new();
    let mut device = company.device_on(disk.open().expect("a fresh disk opens"));
    let order = company.order();
    let photo = device.attach(order, "image/jpeg", &[7; 300]).expect("it takes a photo");
    let evidence = vec![Evidence::photo(photo, "image/jpeg")];
    device.perform(Command::Report(order, "面板有划痕".into(), evidence), &now()).expect("it may");
    let held = Refusal::new(RefusalCode::RoleEnded).with("role", "crew");
    device.connect("fuzz", &now()).expect("it connects");
    let pushed = device.handle(company.first_frames()[0].clone(), &now()).expect("it is understood");
    assert!(pushed.iter().any(|frame| matches!(frame, Frame::Push(_))));
    device.perform(Command::Note(order, "靠窗".into()), &now()).expect("it may");
    for frame in device.pump().expect("the outbox reads") {
        let Frame::Push(push) = frame else { continue };
        let verdicts = push.changes.iter().map(|_| Verdict::Held { refusal: held.clone() }).collect();
        let verdicts = Verdicts { id: push.id, at_ms: NOW_MS, verdicts };
        device.handle(Frame::Verdicts(verdicts), &now()).expect("it is understood");
    }
    drop(device);
    let store = disk.open().expect("it was closed");
    for (name, bytes) in entries(&store) {
        put("records", &name, bytes);
    }

    let disk = MemoryDisk::new();
    let log: Arc<dyn ChangeLog> =
        Arc::new(KeptLog::open(disk.open().expect("a fresh disk opens"), 1).expect("an empty store opens"));
    let mut drawn = 0u8;
    let mut chance = |buffer: &mut [u8]| {
        drawn = drawn.wrapping_add(1);
        buffer.fill(drawn);
    };
    let (person, device) = (company.person, company.device);
    let mut clerk = Clerk { person, device, key: &company.device_key, chance: &mut chance };
    let founding = Founding {
        name: "好家居".into(),
        number: "M01".into(),
        person_name: "周总".into(),
        role: name("management"),
    };
    let relay = found(log, company.id, &company.key, &mut clerk, founding, &company.published, &now())
        .expect("an empty log takes a company");
    relay.act(&mut clerk, Command::AddStore("城东店".into()), &now()).expect("it may");
    drop(relay);
    let entries = entries(&disk.open().expect("it was closed"));
    put("relay_records", "all", entries.iter().flat_map(|(_, bytes)| bytes.clone()).collect());
    for (name, bytes) in entries {
        put("relay_records", &name, bytes);
    }
}

const SHEET: &str = "订单号,门店,业务,客户,电话,地址,产品,型号,材质,数量,单价,已付,担保,下单时间,交货日期,备注\n\
A1,城东店,D09,何先生,13805032582,解放大道1号,床,1.8米,实木,2,4980.00,9960,,2026-11-15 17:36,2026-11-22,\n\
A1,城东店,D09,何先生,13805032582,解放大道1号,柜,2米,实木,1,1280,,,,,\"靠窗,轻放\"\n\
A2,,,,,,,,,x,-1,,,2026-13-41,昨天,\n";

fn people(company: &Company, put: &mut Put<'_>) {
    put("sheet", "utf8.csv", SHEET.as_bytes().to_vec());
    put("sheet", "mark.csv", [b"\xef\xbb\xbf", SHEET.as_bytes()].concat());
    put("sheet", "semicolons.csv", SHEET.replace(',', ";").into_bytes());
    put(
        "sheet",
        "utf16.csv",
        [0xfeff].into_iter().chain(SHEET.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
    );
    put("sheet", "small.xlsx", workbook());
    let hex_of = |bytes: &[u8]| hex::encode(bytes);
    let order = company.device_order();
    let file = EvidenceFile {
        format: "gendan evidence 1".into(),
        company_key: company.key.public().to_string(),
        doc: order.id().to_string(),
        document: hex_of(&order.save()),
        facts: order.log().iter().filter_map(|e| order.fact_bytes(e.fact.id)).map(hex::encode).collect(),
        certificates: vec![hex_of(&company.certificate)],
    };
    assert!(file.prove().is_ok(), "the seed proves something");
    put("evidence", "order.json", serde_json::to_vec(&file).expect("it can be written"));
    let doc = order.id().to_string();
    let person = company.person.to_string();
    let hash = BlobHash([5; 32]).to_string();
    let texts = ["A1", "order-1", "2808.00", "0.1", "-99999999999999.99", "CNY", &doc, &person, &hash];
    for (number, text) in texts.iter().enumerate() {
        put("text", &format!("{number}"), text.as_bytes().to_vec());
    }
    for (number, step) in ["reviewed", "placed", "fetched", "delivered"].iter().enumerate() {
        let texts = ["A1", step, "城东店", "2808.00", "2026-12-01", "order", &doc, &hash, "image/jpeg", "床"];
        put("wishes", &format!("{number}-{step}"), row(&texts[number..]));
    }
    put(
        "wishes",
        "odd",
        row(["", "\u{0}", "𠮷\u{200f}", "99999999999999999999", "-0.001", "%s", "A1\n", "../.."]),
    );
}

fn workbook() -> Vec<u8> {
    let mut workbook = Workbook::new();
    let made = ExcelDateTime::from_ymd(2026, 11, 23).expect("a day");
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&made));
    let sheet = workbook.add_worksheet();
    for (row, line) in (0u32..).zip(SHEET.lines()) {
        for (column, cell) in (0u16..).zip(line.split(',')) {
            let written = match cell.parse::<f64>() {
                Ok(number) if column > 8 => sheet.write_number(row, column, number),
                _ => sheet.write_string(row, column, cell),
            };
            written.expect("a cell within the sheet");
        }
    }
    workbook.save_to_buffer().expect("memory takes it")
}

impl Company {
    /// The order as the founder's device has it.
    fn device_order(&self) -> Document {
        self.device().state(self.order()).expect("it is here").0
    }
    /// Its changes.
    fn device_changes(&self) -> Vec<Vec<u8>> {
        self.device_order().changes().into_iter().map(|change| change.bytes).collect()
    }
}
