//! The decoders of the relay and of the phone library.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use client_ffi::FieldClient;
use client_ffi::wishes::{
    CaseWish, EvidenceWish, ItemWish, OrderWish, Proof, SignatureWish, StepWish, Stroke,
};
use gendan_server::evidence::EvidenceFile;
use gendan_server::log::{ChangeLog as _, HeldFilter, KeptLog, Tag};
use gendan_server::relay::Relay;
use gendan_server::sheet::read_orders;
use sync_core::ids::{ChangeHash, CompanyId, DocId, DocKind, Name, Position};
use sync_core::store::{Batch, DeviceStore as _, MemoryStore, SledStore, StoreKey, Table};

use super::company::Company;
use super::pure::pieces;

/// An order sheet, CSV or Excel.
pub fn sheet(bytes: &[u8]) {
    let materials: BTreeMap<String, Name> =
        [("实木".to_owned(), "solid".parse().expect("a valid name"))].into();
    match read_orders(bytes, "orders.xlsx", &materials, chrono_tz::Asia::Shanghai) {
        Ok(sheet) => assert!(sheet.orders.len() + sheet.held <= sheet.rows, "an order has a row"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A file of evidence.
pub fn evidence(bytes: &[u8]) {
    let Ok(file) = serde_json::from_slice::<EvidenceFile>(bytes) else { return };
    drop(file.prove());
}

/// A relay's stored records: pieces are a table, the length of a key, the key and the value. The log
/// reads or says what is damaged, and so does a relay on it.
pub fn relay_records(bytes: &[u8]) {
    let mut store = MemoryStore::new();
    let mut batch = Batch::new();
    for piece in pieces(bytes) {
        let [table, length, rest @ ..] = piece else { continue };
        let table = Table::ALL[usize::from(*table) % Table::ALL.len()];
        let (key, value) = rest.split_at(usize::from(*length).min(rest.len()));
        if key == b"head" && value.first_chunk::<5>().is_some_and(|high| *high != [0; 5]) {
            // The log is sealed; reading up to an end that nobody wrote is no decoder's matter.
            continue;
        }
        batch = batch.put(table, key, value);
    }
    store.commit(batch).expect("memory takes it");
    let Ok(log) = KeptLog::open(store, 1) else { return };
    let company = CompanyId::from_bytes([1; 16]);
    let doc = DocId::numbered(company, DocKind::Order, "A1");
    drop((log.read(Position(0), 100), log.documents(None, 100), log.records(&[])));
    drop(log.held(&HeldFilter::default(), None, 100));
    drop((log.document(doc), log.heads(doc), log.audience(doc), log.held_one(doc, ChangeHash([0; 32]))));
    drop(log.tagged(Tag::Everyone, None, 100));
    if let Ok(relay) = Relay::open(Arc::new(log), company) {
        drop((relay.document(doc), relay.document(DocId::directory(company))));
    }
}

thread_local! {
    static PHONE: RefCell<Option<(tempfile::TempDir, Arc<FieldClient>)>> = const { RefCell::new(None) };
}

/// A phone with the company's order, opened anew where there is none.
fn phone() -> (tempfile::TempDir, Arc<FieldClient>) {
    let company = Company::found();
    let folder = tempfile::tempdir().expect("a folder of our own");
    let key = StoreKey::from_bytes([7; 32]);
    let store = SledStore::open(folder.path(), &key, client_ffi::clock::generator());
    drop(company.device_on(store.expect("an empty folder takes a store")));
    let client = FieldClient::open(folder.path().to_string_lossy().into_owned(), vec![7; 32]);
    (folder, client.expect("it opens again"))
}

/// What an app fills in: the pieces are texts, used in turn for every field of every wish.
pub fn wishes(bytes: &[u8]) {
    let texts: Vec<String> =
        pieces(bytes).into_iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect();
    let numbers = bytes.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let mut next = 0;
    let mut text = || {
        next += 1;
        texts.get(next % texts.len().max(1)).cloned().unwrap_or_default()
    };
    PHONE.with_borrow_mut(|slot| {
        // A phone's store grows with what it takes: a new one every now and then.
        if slot.as_ref().is_some_and(|(_, phone)| phone.sync_state().map_or(true, |s| s.unsent > 300)) {
            *slot = None;
        }
        let (_, phone) = slot.get_or_insert_with(phone);
        wish(phone, &mut text, numbers);
    });
}

fn proof(text: &mut impl FnMut() -> String, number: u64) -> EvidenceWish {
    let proof = [Proof::TextMessage, Proof::Photo, Proof::Signature, Proof::File][number as usize % 4];
    EvidenceWish {
        proof,
        text: Some(text()),
        blob: Some(text()).filter(|b| b.len() > 20),
        media: Some(text()),
        document: Some(text()),
    }
}

fn wish(phone: &FieldClient, text: &mut impl FnMut() -> String, number: u64) {
    let item = ItemWish {
        product: text(),
        model: text(),
        material: Some(text()),
        quantity: number as u32,
        unit_price: Some(text()),
    };
    let fields: HashMap<String, String> = [(text(), text()), ("phone".to_owned(), text())].into();
    let order = OrderWish {
        number: text(),
        store: Some(text()),
        fields: fields.clone(),
        items: vec![item.clone()],
        taken_ms: Some(number as i64),
        channel: Some(text()),
    };
    let ticket = CaseWish {
        flow: text(),
        number: text(),
        store: Some(text()),
        urgency: Some(text()),
        order: Some(text()),
        about: Some(text()),
        channel: Some(text()),
        fields,
    };
    let points = vec![client_ffi::wishes::Point { x: number as u16, y: (number >> 16) as u16 }; 3];
    let step = StepWish {
        step: text(),
        items: vec![text()],
        values: [(text(), text())].into(),
        evidence: vec![proof(text, number)],
        appointment: Some(text()).filter(|_| number.is_multiple_of(2)),
        signature: Some(SignatureWish { signer: text(), strokes: vec![Stroke { points }] }),
        note: Some(text()),
        ..StepWish::default()
    };
    // One of them for each input, or the store would be all that is tested.
    let doc = if number.is_multiple_of(3) { text() } else { "A1".to_owned() };
    let told = match (number >> 8) % 10 {
        0 => phone.open_order(order).err(),
        1 => phone.open_case(ticket).err(),
        2 => phone.add_item(doc, item).err(),
        3 => phone.step(doc, step).err(),
        4 => phone.edit(doc, [(text(), Some(text())), (text(), None)].into()).err(),
        5 => phone.pay(doc, text(), text(), vec![proof(text, number)]).err(),
        6 => phone.contact(doc, text(), text(), vec![proof(text, number)]).err(),
        7 => phone.resolve(doc, text(), text()).err(),
        8 => phone.escalate(doc, text(), text()).err(),
        _ => phone.part(doc, text(), number as u32, true, Some(text())).err(),
    };
    drop(told.map(|error| error.to_string()));
    drop((phone.case(text()), phone.photos(text()), phone.verify(text())));
}
