//! Laws of the merge over documents that several devices wrote apart: any order and any grouping give the
//! same document, the same fold and the same view, and looking changes nothing.
//!
//! That mutated, cut and foreign bytes yield an error, never a panic and never more memory than the bound,
//! stands in `fuzz_corpus.rs` for every decoder.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use gendan_tests::fuzz::company::{Company, NOW_MS};
use proptest::prelude::*;
use sync_core::admission::receive;
use sync_core::document::{Actor, ChangeBytes, Document, Edit};
use sync_core::domain::fields::Map;
use sync_core::fact::kinds::{Approved, Contact, Payload};
use sync_core::fold::fold;
use sync_core::ids::{ChangeHash, CommandId, DocId};
use sync_core::view::case::{Look, case};
use sync_core::view::row::Row;

/// What one replica does: a field, its value, or a fact; and whether it hears of the others first.
#[derive(Clone, Debug)]
struct Deed {
    replica: usize,
    hears: bool,
    what: u8,
    value: String,
}

const REPLICAS: usize = 3;

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = (0..REPLICAS, any::<bool>(), 0u8..6, "[甲乙丙]{1,3}");
    let deed = deed.prop_map(|(replica, hears, what, value)| Deed { replica, hears, what, value });
    prop::collection::vec(deed, 1..12)
}

/// The changes of replicas that worked apart, each after those it builds on.
fn worked(company: &Company, deeds: &[Deed]) -> (Document, Vec<ChangeBytes>) {
    let (order, _) = company.device().state(company.order()).unwrap();
    let mut replicas = vec![order.clone(); REPLICAS];
    let mut all: Vec<ChangeBytes> = Vec::new();
    for (number, deed) in (100u8..).zip(deeds) {
        let doc = &mut replicas[deed.replica];
        if deed.hears {
            for change in &all {
                receive(doc, &change.bytes, &company.rules()).unwrap();
            }
        }
        let epoch = u32::try_from(deed.replica).unwrap() + 1;
        let actor = Actor { device: company.device, epoch };
        let put = |field: &str| Edit::Put(Map::Fields, field.into(), deed.value.as_str().into());
        let edit = match deed.what {
            0 => put("address"),
            1 => put("customer"),
            2 => Edit::Delete(Map::Fields, "phone".into()),
            3 => Edit::Put(Map::Notes, format!("note-{number}"), deed.value.as_str().into()),
            what => {
                let payload: Payload = match what {
                    4 => Approved { heads: doc.heads(), note: None }.into(),
                    _ => Contact { channel: "phone".into(), words: deed.value.clone(), evidence: vec![] }
                        .into(),
                };
                let fact = company.fact(doc.id(), number, payload);
                let key = sync_core::document::history::fact_key(fact.id);
                Edit::Put(
                    Map::Log,
                    key,
                    sync_core::domain::fields::Value::Bytes(fact.sign(&company.device_key)),
                )
            }
        };
        all.extend(doc.write(actor, CommandId::from_bytes([number; 16]), NOW_MS, &[edit]));
    }
    (order, all)
}

/// A replica that gets the changes in this order, trying again what came before what it builds on.
fn received(company: &Company, start: &Document, changes: &[ChangeBytes]) -> Document {
    let mut doc = start.clone();
    let mut left: Vec<&ChangeBytes> = changes.iter().collect();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|change| receive(&mut doc, &change.bytes, &company.rules()).is_err());
        assert!(left.len() < before, "each round something enters");
    }
    doc
}

/// All that is shown of a document.
fn shown(company: &Company, doc: &Document) -> String {
    let rules = company.rules();
    let state = fold(doc, &rules);
    let look = Look { rules, person: company.person, now_ms: NOW_MS };
    format!("{state:?}\n{:?}\n{:?}", case(doc, &state, Some(&state), look), Row::of(doc, &state, &rules))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_grouping_of_changes_give_the_same_document_and_view(
        deeds in deeds(), order in any::<[u16; 12]>(), at in 0usize..12,
    ) {
        let company = Company::found();
        let (start, changes) = worked(&company, &deeds);
        let there = received(&company, &start, &changes);
        let mut shuffled: Vec<(u16, ChangeBytes)> = order.into_iter().cycle().zip(changes.clone()).collect();
        shuffled.sort_by_key(|(place, _)| *place);
        let shuffled: Vec<ChangeBytes> = shuffled.into_iter().map(|(_, change)| change).collect();
        let elsewhere = received(&company, &start, &shuffled);
        prop_assert_eq!(there.heads(), elsewhere.heads());
        prop_assert_eq!(shown(&company, &there), shown(&company, &elsewhere));
        // In two groups, over a snapshot between them, and all of it twice.
        let at = at.min(changes.len());
        let half = received(&company, &start, &changes[..at]);
        let half = Document::load(half.id(), &half.save()).unwrap();
        let whole = received(&company, &half, &[&changes[at..], &changes].concat());
        prop_assert_eq!(there.heads(), whole.heads());
        prop_assert_eq!(shown(&company, &there), shown(&company, &whole));
    }

    #[test]
    fn looking_changes_nothing_and_gives_the_same_every_time(deeds in deeds()) {
        let company = Company::found();
        let (start, changes) = worked(&company, &deeds);
        let doc = received(&company, &start, &changes);
        let before: (Vec<ChangeHash>, Vec<u8>, DocId) = (doc.heads(), doc.save(), doc.id());
        let first = shown(&company, &doc);
        prop_assert_eq!(&first, &shown(&company, &doc));
        prop_assert_eq!(&first, &shown(&company, &doc.clone()));
        prop_assert_eq!(before, (doc.heads(), doc.save(), doc.id()));
        let loaded = Document::load(doc.id(), &doc.save()).unwrap();
        prop_assert_eq!(first, shown(&company, &loaded));
    }
}
