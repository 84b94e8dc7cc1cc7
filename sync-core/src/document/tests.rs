//! Tests of the document: merging, reading at heads, and what hostile bytes do to it.

use proptest::prelude::*;

use super::untrusted::Untrusted;
use super::*;
use crate::domain::fields::item_key;
use crate::ids::{DocKind, ItemId};
use crate::refusal::RefusalCode;

fn id() -> DocId {
    DocId::new(DocKind::Order, [1; 16])
}
fn actor(n: u8) -> Actor {
    Actor { device: DeviceId::from_bytes([n; 16]), epoch: 0 }
}
fn command(n: u8) -> CommandId {
    CommandId::from_bytes([n; 16])
}
fn put(key: &str, value: &str) -> Edit {
    Edit::Put(Map::Fields, key.into(), value.into())
}

/// Lets `doc` take a foreign change as the relay does.
fn take(doc: &mut Document, bytes: &[u8]) -> Result<ChangeBytes, crate::refusal::Refusal> {
    let foreign = Untrusted::parse(bytes)?;
    let mut base =
        doc.at(&foreign.deps).ok_or(crate::refusal::Refusal::new(RefusalCode::DependencyMissing))?;
    foreign.perform(&mut base)?;
    let change = foreign.bytes();
    foreign.enter(doc).map(|()| change)
}

#[test]
fn two_devices_create_one_document_apart_and_agree() {
    let (mut a, mut b) = (Document::new(id()), Document::new(id()));
    let from_a = a.write(actor(1), command(1), 5_000, &[put("customer", "何女士")]).unwrap();
    let item = item_key(ItemId::from_bytes([3; 16]), "quantity");
    let from_b = b.write(actor(2), command(2), 6_000, &[Edit::Put(Map::Items, item, Value::Int(2))]).unwrap();
    take(&mut a, &from_b.bytes).unwrap();
    take(&mut b, &from_a.bytes).unwrap();
    assert_eq!(a.heads(), b.heads());
    assert_eq!(a.values(Map::Items), b.values(Map::Items));
    let loaded = Document::load(id(), &a.save()).unwrap();
    assert_eq!(loaded.heads(), a.heads());
    assert_eq!(loaded.epoch_of(actor(1).device), Some(0));
    assert_eq!(loaded.epoch_of(actor(9).device), None);
}

#[test]
fn what_already_stands_makes_no_change() {
    let mut doc = Document::new(id());
    doc.write(actor(1), command(1), 0, &[put("customer", "a")]).unwrap();
    assert_eq!(doc.write(actor(1), command(2), 0, &[put("customer", "a")]), None);
    assert_eq!(doc.write(actor(1), command(2), 0, &[Edit::Delete(Map::Fields, "phone".into())]), None);
}

#[test]
fn the_document_can_be_read_at_earlier_heads() {
    let mut doc = Document::new(id());
    doc.write(actor(1), command(1), 0, &[put("customer", "before")]).unwrap();
    let sealed = doc.heads();
    doc.write(actor(2), command(2), 0, &[put("customer", "after")]).unwrap();
    assert_eq!(doc.values_at(Map::Fields, &sealed), vec![("customer".into(), "before".into())]);
    assert_eq!(doc.value(Map::Fields, "customer"), Some("after".into()));
    assert_eq!(doc.writer(Map::Fields, "customer"), Some(actor(2)));
    assert_eq!(doc.at(&sealed).unwrap().heads(), sealed);
}

#[test]
fn who_knew_whom_is_read_off_the_graph() {
    let mut a = Document::new(id());
    let first = a.write(actor(1), command(1), 0, &[put("customer", "1")]).unwrap();
    let mut b = a.clone();
    let left = a.write(actor(1), command(2), 0, &[put("customer", "2")]).unwrap();
    let right = b.write(actor(2), command(3), 0, &[put("customer", "3")]).unwrap();
    take(&mut a, &right.bytes).unwrap();
    let history = a.history();
    assert!(history.knew(left.hash, first.hash) && !history.knew(first.hash, left.hash));
    assert!(history.concurrent(left.hash, right.hash));
    assert_eq!(history.dependents(&[first.hash]).len(), 3);
    assert!(history.covers(&a.heads(), &[first.hash]));
}

#[test]
fn a_put_of_the_winner_over_a_conflict_is_reproduced() {
    let (mut a, mut b) = (Document::new(id()), Document::new(id()));
    let left = a.write(actor(1), command(1), 0, &[put("customer", "left")]).unwrap();
    let right = b.write(actor(2), command(2), 0, &[put("customer", "right")]).unwrap();
    take(&mut a, &right.bytes).unwrap();
    take(&mut b, &left.bytes).unwrap();
    let Some(Value::Text(winner)) = a.value(Map::Fields, "customer") else { panic!("a value stands") };
    let settled = a.write(actor(1), command(3), 0, &[put("customer", &winner)]).unwrap();
    take(&mut b, &settled.bytes).unwrap();
    assert_eq!(a.heads(), b.heads());
}

#[test]
fn a_fact_is_never_overwritten_or_deleted() {
    let mut doc = Document::new(id());
    let log = |bytes: u8| Edit::Put(Map::Log, "00".repeat(16), Value::Bytes(vec![bytes]));
    doc.write(actor(1), command(1), 0, &[log(1)]).unwrap();
    let again = doc.clone().write(actor(2), command(2), 0, &[log(2)]).unwrap();
    assert_eq!(take(&mut doc, &again.bytes).unwrap_err().code, RefusalCode::Grammar);
    let gone = Edit::Delete(Map::Log, "00".repeat(16));
    let gone = doc.clone().write(actor(2), command(2), 0, &[gone]).unwrap();
    assert_eq!(take(&mut doc, &gone.bytes).unwrap_err().code, RefusalCode::Grammar);
}

/// A valid change with its checksum (first four bytes of SHA-256 over type, length and body) repaired.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(&bytes[8..]);
    bytes[4..8].copy_from_slice(&digest[..4]);
    bytes
}

#[test]
fn every_one_bit_variation_with_a_repaired_checksum_is_refused_or_does_no_harm() {
    let mut doc = Document::new(id());
    doc.write(actor(1), command(1), 0, &[put("customer", "a"), put("phone", "138")]).unwrap();
    let edits = [put("customer", "b"), Edit::Delete(Map::Fields, "phone".into())];
    let change = doc.clone().write(actor(2), command(2), 7_000, &edits).unwrap();
    let mut entered = 0;
    for at in 8..change.bytes.len() {
        for bit in 0..8 {
            let mut hostile = change.bytes.clone();
            hostile[at] ^= 1 << bit;
            let mut copy = doc.clone();
            if take(&mut copy, &with_checksum(hostile)).is_ok() {
                entered += 1;
                let loaded = Document::load(id(), &copy.save()).expect("what entered loads again");
                assert_eq!(loaded.heads(), copy.heads());
            }
        }
    }
    // Variations of the time, the message's digits, the text and the epoch are changes an honest
    // device could have made; all others are refused.
    assert!(entered > 0 && entered < change.bytes.len() * 4, "{entered}");
}

proptest! {
    #[test]
    fn foreign_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
        prop_assert!(Untrusted::parse(&bytes).is_err());
        prop_assert!(Document::load(id(), &bytes).is_err());
    }

    /// Honest devices that write and merge at random always reproduce, and always agree.
    #[test]
    fn honest_changes_reproduce_whatever_the_order(
        steps in prop::collection::vec((0usize..3, 0u8..6, any::<bool>(), 0usize..3), 1..40),
    ) {
        let mut docs = [Document::new(id()), Document::new(id()), Document::new(id())];
        let keys = ["customer", "phone", "address"];
        let mut all = Vec::new();
        for (n, (who, value, delete, from)) in steps.into_iter().enumerate() {
            for change in docs[from].clone().changes() {
                if !docs[who].has(change.hash) { take(&mut docs[who], &change.bytes).unwrap(); }
            }
            let key = keys[usize::from(value) % 3];
            let edit = if delete { Edit::Delete(Map::Fields, key.into()) } else { put(key, &value.to_string()) };
            let stamp = i64::try_from(n).unwrap() * 1000;
            let command = CommandId::from_bytes([u8::try_from(n).unwrap(); 16]);
            let device = actor(u8::try_from(who).unwrap() + 1);
            all.extend(docs[who].write(device, command, stamp, &[edit]));
        }
        let mut fresh = Document::new(id());
        let mut waiting = all;
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|c| take(&mut fresh, &c.bytes).is_err());
            prop_assert!(waiting.len() < before);
        }
        for doc in &mut docs {
            for change in fresh.changes() {
                if !doc.has(change.hash) { take(doc, &change.bytes).unwrap(); }
            }
            prop_assert_eq!(doc.heads(), fresh.heads());
            prop_assert_eq!(doc.values(Map::Fields), fresh.values(Map::Fields));
        }
    }
}
