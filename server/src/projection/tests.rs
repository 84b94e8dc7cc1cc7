//! The read model over a founded relay.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::command::{Command, NewItem, Record};
use sync_core::fact::keys::SecretKey;
use sync_core::ids::{CompanyId, DeviceId, DocId, DocKind, ItemId, PersonId, StoreId};
use sync_core::money::{Currency, Money};
use sync_core::policy::model::Policy;
use sync_core::policy::publish::Published;
use sync_core::time::{Now, at_offset};

use super::check::Difference;
use super::query::{CaseFilter, Sort, SortBy, TEXT_CHARS_MAX};
use super::*;
use crate::log::KeptLog;
use crate::log::Tag;
use crate::relay::audience::Tags;
use crate::relay::found::{Founding, found};
use crate::relay::office::Clerk;
use sync_core::store::MemoryStore;

const START_MS: i64 = 1_795_392_000_000;
const COMPANY: CompanyId = CompanyId::from_bytes([7; 16]);

struct Shop {
    relay: Arc<Relay>,
    key: SecretKey,
    tick: u8,
    draws: u64,
}

impl Shop {
    fn new(epoch: u64) -> Self {
        let policy: Policy = toml::from_str(include_str!("../../../tests/policies/small.toml")).unwrap();
        let key = SecretKey::from_seed(&[2; 32]);
        let mut draws = 0;
        let mut fill = |b: &mut [u8]| fill(&mut draws, b);
        let mut clerk = clerk(&key, &mut fill);
        let founding = Founding {
            name: "好家居".into(),
            number: "M01".into(),
            person_name: "周总".into(),
            role: "management".parse().unwrap(),
        };
        let published = Published::of(1, &policy);
        let log = Arc::new(KeptLog::open(MemoryStore::new(), epoch).unwrap());
        let company_key = SecretKey::from_seed(&[1; 32]);
        let relay = found(log, COMPANY, &company_key, &mut clerk, founding, &published, &now(0)).unwrap();
        Self { relay: Arc::new(relay), key, tick: 0, draws }
    }

    fn act(&mut self, command: Command) {
        self.tick += 1;
        let Self { relay, key, tick, draws } = self;
        let mut fill = |b: &mut [u8]| fill(draws, b);
        relay.act(&mut clerk(key, &mut fill), command, &now(*tick)).unwrap();
    }

    /// An order of a store; gives its document.
    fn order(&mut self, number: &str, store: &str, customer: &str, product: &str) -> DocId {
        let fields = [("customer", customer), ("phone", "13800000000"), ("address", "幸福大街1号_甲%")];
        self.act(Command::OpenOrder {
            number: number.into(),
            store: Some(StoreId::named(COMPANY, store)),
            fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            items: vec![NewItem {
                item: ItemId::from_bytes([5; 16]),
                product: product.into(),
                model: "1.4米".into(),
                material: None,
                quantity: 1,
                unit_price: None,
            }],
            taken_ms: None,
            channel: None,
        });
        DocId::numbered(COMPANY, DocKind::Order, number)
    }

    /// Two stores, three orders: the first reviewed, paid and with an edit proposed since.
    fn busy() -> Self {
        let mut shop = Self::new(9);
        shop.act(Command::AddStore("城东店".into()));
        shop.act(Command::AddStore("城西店".into()));
        let first = shop.order("A1", "城东店", "何女士", "实木餐桌");
        shop.order("A2", "城东店", "欧阳先生", "布艺沙发");
        shop.order("B1", "城西店", "O'Brien \"老\"", "衣柜");
        shop.act(Command::Step(first, Record::done("reviewed".parse().unwrap())));
        shop.act(Command::Pay(first, Money::new(280_800, Currency::CNY), "cash".into(), Vec::new()));
        let edit = BTreeMap::from([("phone".to_owned(), Some("13900000000".to_owned()))]);
        shop.act(Command::Edit(first, edit));
        shop.act(Command::Assign {
            doc: first,
            appointment: None,
            people: vec![person()],
            on: "2026-12-01".into(),
            purpose: "delivered".parse().unwrap(),
            note: None,
        });
        shop
    }

    async fn open(&self, place: &Place) -> Projection {
        let projection = Projection::open(place, self.relay.clone()).await.unwrap();
        projection.catch_up(START_MS).await.unwrap();
        projection
    }
}

fn fill(draws: &mut u64, buffer: &mut [u8]) {
    *draws += 1;
    buffer.fill(0);
    buffer[..8].copy_from_slice(&draws.to_be_bytes());
}
fn person() -> PersonId {
    PersonId::staffed(COMPANY, "M01")
}
fn clerk<'a>(key: &'a SecretKey, chance: &'a mut dyn FnMut(&mut [u8])) -> Clerk<'a> {
    Clerk { person: person(), device: DeviceId::from_bytes([3; 16]), key, chance }
}
fn now(tick: u8) -> Now {
    let ms = i64::from(tick) * 1_000;
    Now { wall: at_offset(START_MS + ms, 8 * 3600), elapsed_ms: u64::from(tick) * 1_000, boot: 0 }
}
fn number_order() -> Sort {
    Sort { by: SortBy::Number, descending: false }
}
async fn numbers(projection: &Projection, filter: CaseFilter) -> Vec<String> {
    let page = projection.list(&filter, number_order(), None, 200).await.unwrap();
    page.rows.into_iter().map(|r| r.number).collect()
}
async fn found_by(projection: &Projection, text: &str) -> Vec<String> {
    numbers(projection, CaseFilter { text: Some(text.into()), ..CaseFilter::default() }).await
}

#[tokio::test]
async fn a_deleted_file_is_built_again_with_the_same_rows() {
    let shop = Shop::busy();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.sqlite");
    let place = Place::File(path.clone());
    let all = CaseFilter::default();
    let projection = shop.open(&place).await;
    let before = projection.list(&all, number_order(), None, 200).await.unwrap();
    assert_eq!(projection.position().await.unwrap(), shop.relay.log().head());
    projection.close().await;
    remove(&path).unwrap();
    let projection = shop.open(&place).await;
    assert_eq!(projection.list(&all, number_order(), None, 200).await.unwrap(), before);
    let first = &before.rows[0];
    assert_eq!((before.rows.len(), first.number.as_str(), first.paid_minor), (3, "A1", Some(280_800)));
    assert_eq!((first.store_name.as_deref(), first.proposed, first.sealed), (Some("城东店"), 1, true));
    // What is in force is what counts, not what is proposed.
    assert_eq!(first.phone, "13800000000");
    assert_eq!(projection.check(START_MS).await.unwrap(), []);
}

#[tokio::test]
async fn another_epoch_or_version_is_dropped_and_a_foreign_file_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::File(folder.path().join("rows.sqlite"));
    Shop::busy().open(&place).await.close().await;
    let empty = Shop::new(10);
    let projection = empty.open(&place).await;
    assert_eq!(numbers(&projection, CaseFilter::default()).await, Vec::<String>::new());
    sqlx::raw_sql("PRAGMA user_version = 1; DELETE FROM people").execute(&projection.pool).await.unwrap();
    projection.close().await;
    let projection = empty.open(&place).await;
    assert_eq!(projection.check(START_MS).await.unwrap(), []);
    projection.close().await;
    let foreign = folder.path().join("other.txt");
    std::fs::write(&foreign, "somebody's notes, which are not a database at all").unwrap();
    let refused = Projection::open(&Place::File(foreign.clone()), empty.relay.clone()).await;
    assert!(matches!(refused, Err(ProjectionError::Foreign)));
    assert!(std::fs::read_to_string(foreign).unwrap().starts_with("somebody"));
}

#[tokio::test]
async fn pages_give_every_row_once_while_others_arrive() {
    let mut shop = Shop::busy();
    for n in 10..31 {
        shop.order(&format!("C{n}"), "城东店", "客户", "椅子");
    }
    let projection = shop.open(&Place::Memory).await;
    for by in [SortBy::Number, SortBy::Due, SortBy::Opened] {
        for descending in [false, true] {
            let sort = Sort { by, descending };
            let all = numbers(&projection, CaseFilter::default()).await;
            let (mut seen, mut after, mut extra) = (Vec::new(), None, 0);
            loop {
                let page = projection.list(&CaseFilter::default(), sort, after.as_deref(), 4).await.unwrap();
                seen.extend(page.rows.into_iter().map(|r| r.number));
                after = page.next;
                if after.is_none() {
                    break;
                }
                if extra < 2 {
                    extra += 1;
                    shop.order(&format!("{by:?}{descending}{extra}"), "城西店", "新客", "床");
                    projection.catch_up(START_MS).await.unwrap();
                }
            }
            let unique: BTreeSet<_> = seen.iter().cloned().collect();
            assert_eq!(unique.len(), seen.len(), "{sort:?} repeats a row");
            assert!(all.iter().all(|n| unique.contains(n)), "{sort:?} hides a row");
        }
    }
}

#[tokio::test]
async fn chinese_is_found_by_any_part_of_it() {
    let projection = Shop::busy().open(&Place::Memory).await;
    let table = [
        ("实木餐桌", &["A1"][..]),
        ("木餐桌", &["A1"]),
        ("沙发", &["A2"]),
        ("欧", &["A2"]),
        ("幸福大街", &["A1", "A2", "B1"]),
        ("1380000", &["A1", "A2", "B1"]),
        ("b1", &["B1"]),
        ("没有的词", &[]),
    ];
    for (text, expected) in table {
        assert_eq!(found_by(&projection, text).await, expected, "{text}");
    }
}

#[tokio::test]
async fn what_was_said_about_a_case_is_found_years_later_by_words_of_one_or_two_characters() {
    let mut shop = Shop::busy();
    let doc = |number: &str| DocId::numbered(COMPANY, DocKind::Order, number);
    let contact = |words: &str| Command::Contact(doc("A2"), "phone".into(), words.into(), Vec::new());
    shop.act(contact("客户说沙发有划痕,要求换"));
    shop.act(Command::Report(doc("A2"), "木料受潮".into(), Vec::new()));
    shop.act(Command::Escalate(doc("A2"), "management".parse().unwrap(), "供应商停产".into()));
    shop.act(Command::Note(doc("B1"), "楼道窄,要吊装".into()));
    shop.act(Command::Cancel(doc("A2"), "客户搬家".into(), Vec::new()));
    let projection = shop.open(&Place::Memory).await;
    let table = [
        ("划痕", &["A2"][..]),
        ("痕", &["A2"]),
        ("受潮", &["A2"]),
        ("停产", &["A2"]),
        ("搬家", &["A2"]),
        ("吊", &["B1"]),
        ("吊 装", &["B1"]),
        // Words that meet only where one text ends and the next begins are no words.
        ("换木", &[]),
        ("13800000000", &["A1", "A2", "B1"]),
        ("１３８０", &["A1", "A2", "B1"]),
    ];
    for (text, expected) in table {
        assert_eq!(found_by(&projection, text).await, expected, "{text}");
    }
    let filter = CaseFilter { text: Some("划痕".into()), cancelled: Some(true), ..CaseFilter::default() };
    assert_eq!(numbers(&projection, filter).await, ["A2"]);
    assert_eq!(projection.check(START_MS).await.unwrap(), []);
}

#[tokio::test]
async fn a_case_is_searched_up_to_a_bound_the_newest_words_first() {
    let mut shop = Shop::busy();
    let doc = DocId::numbered(COMPANY, DocKind::Order, "A2");
    let contact = |words: String| Command::Contact(doc, "phone".into(), words, Vec::new());
    shop.act(contact("最早的话".into()));
    for _ in 0..said::SAID_CHARS_MAX / sync_core::limits::TEXT_CHARS_MAX {
        shop.act(contact("长".repeat(sync_core::limits::TEXT_CHARS_MAX)));
    }
    shop.act(contact("最新的话".into()));
    let projection = shop.open(&Place::Memory).await;
    assert_eq!(found_by(&projection, "最新").await, ["A2"]);
    assert_eq!(found_by(&projection, "最早").await, Vec::<String>::new());
}

#[tokio::test]
async fn hostile_searches_are_only_text() {
    let projection = Shop::busy().open(&Place::Memory).await;
    let all = ["A1", "A2", "B1"];
    let table = [
        ("%", &all[..]),
        ("_", &all),
        ("%%", &[]),
        ("\\", &[]),
        ("'", &["B1"]),
        ("\"", &["B1"]),
        ("O'Brien \"老\"", &["B1"]),
        ("A1\" OR \"A2", &[]),
        ("' OR 1=1 --", &[]),
        ("number:A1", &[]),
        ("NEAR(A1 A2)", &[]),
        ("%_%", &[]),
        ("***", &[]),
        ("\0", &all),
        ("沙\0发", &["A2"]),
    ];
    for (text, expected) in table {
        assert_eq!(found_by(&projection, text).await, expected, "{text:?}");
    }
    for text in ["长".repeat(TEXT_CHARS_MAX + 1), "x".repeat(10_000), "\"".repeat(10_000)] {
        let filter = CaseFilter { text: Some(text), ..CaseFilter::default() };
        let refused = projection.list(&filter, number_order(), None, 10).await;
        assert!(matches!(refused, Err(ProjectionError::Question { code: "text_too_long" })));
    }
    for cursor in ["", "x", "bnVsbA", &"A".repeat(100_000)] {
        let refused = projection.list(&CaseFilter::default(), number_order(), Some(cursor), 10).await;
        assert!(matches!(refused, Err(ProjectionError::Question { code: "cursor_invalid" })));
    }
    for limit in [0, 201, u32::MAX] {
        let refused = projection.list(&CaseFilter::default(), number_order(), None, limit).await;
        assert!(matches!(refused, Err(ProjectionError::Question { code: "limit_invalid" })));
    }
}

#[tokio::test]
async fn a_person_finds_and_counts_only_what_they_may_see() {
    let shop = Shop::busy();
    let projection = shop.open(&Place::Memory).await;
    let east = StoreId::named(COMPANY, "城东店");
    let seen = |tags: Tags| CaseFilter { visible_to: Some(tags), ..CaseFilter::default() };
    let store = Tags::from([Tag::Store(east, DocKind::Order), Tag::Store(east, DocKind::OrderMoney)]);
    assert_eq!(numbers(&projection, seen(store.clone())).await, ["A1", "A2"]);
    let assigned = seen(Tags::from([Tag::Person(person(), DocKind::Order)]));
    let page = projection.list(&assigned, number_order(), None, 10).await.unwrap();
    assert_eq!((page.rows.len(), page.rows[0].paid_minor), (1, None));
    assert_eq!(numbers(&projection, seen(Tags::from([Tag::Everyone]))).await, Vec::<String>::new());
    let counts = projection.counts(Some(&store)).await.unwrap();
    assert_eq!((counts.len(), counts[0].placed, counts[0].not_placed), (1, 0, 2));
    assert_eq!(projection.counts(None).await.unwrap().len(), 2);
    let proposed = CaseFilter { has_proposed: Some(true), open: Some(true), ..CaseFilter::default() };
    assert_eq!(numbers(&projection, proposed).await, ["A1"]);
    let theirs = CaseFilter { person: Some(person()), ..CaseFilter::default() };
    assert_eq!(numbers(&projection, theirs).await, ["A1"]);
}

#[tokio::test]
async fn check_names_every_sabotaged_row() {
    let projection = Shop::busy().open(&Place::Memory).await;
    assert_eq!(projection.check(START_MS).await.unwrap(), []);
    let doc = DocId::numbered(COMPANY, DocKind::Order, "A1").to_string();
    for sabotage in [
        "UPDATE cases SET paid_minor = 1 WHERE number = 'A1'",
        "DELETE FROM items WHERE doc = (SELECT doc FROM cases WHERE number = 'A1')",
        "UPDATE search SET tokens = '别人 人' WHERE rowid = (SELECT id FROM cases WHERE number = 'A1')",
        "INSERT INTO stores VALUES ('nowhere', '无')",
    ] {
        sqlx::raw_sql(sabotage).execute(&projection.pool).await.unwrap();
    }
    let item = format!("{doc}/{}", ItemId::from_bytes([5; 16]));
    let expected = [("stores", "nowhere"), ("cases", &doc), ("items", &item), ("search", &doc)];
    let expected = expected.map(|(table, key)| Difference { table, key: key.to_owned() });
    assert_eq!(projection.check(START_MS).await.unwrap(), expected);
}

#[tokio::test]
async fn a_new_policy_makes_every_row_again() {
    let mut shop = Shop::busy();
    let projection = shop.open(&Place::Memory).await;
    let closed = CaseFilter { closed: Some(true), ..CaseFilter::default() };
    assert_eq!(numbers(&projection, closed.clone()).await, Vec::<String>::new());
    // The review closes an order, and this held before the orders were opened.
    let small = include_str!("../../../tests/policies/small.toml");
    let policy: Policy =
        toml::from_str(&small.replacen("seal = true", "seal = true\ncloses = true", 1)).unwrap();
    shop.tick += 1;
    let Shop { relay, key, tick, draws } = &mut shop;
    let mut fill = |b: &mut [u8]| fill(draws, b);
    let mut clerk = clerk(key, &mut fill);
    relay.publish(&mut clerk, &Published::of(2, &policy), 2, START_MS + 1, &now(*tick)).unwrap();
    projection.catch_up(START_MS).await.unwrap();
    assert_eq!(numbers(&projection, closed).await, ["A1"]);
    assert_eq!(projection.check(START_MS).await.unwrap(), []);
}

#[tokio::test]
async fn a_follower_catches_up_and_ends_with_its_sender() {
    let shop = Shop::busy();
    let projection = Arc::new(Projection::open(&Place::Memory, shop.relay.clone()).await.unwrap());
    let (sender, receiver) = watch::channel(shop.relay.log().head());
    drop(sender);
    projection.clone().follow(receiver, || START_MS).await.unwrap();
    assert_eq!(projection.position().await.unwrap(), shop.relay.log().head());
}

#[tokio::test]
async fn a_document_that_changed_while_it_was_looked_at_is_looked_at_again() {
    let mut shop = Shop::busy();
    let projection = shop.open(&Place::Memory).await;
    let doc = DocId::numbered(COMPANY, DocKind::Order, "A1");
    let later_ms = START_MS + 3_600_000;
    let taken_up = projection.stirring(later_ms, 10).await.unwrap();
    let (_, position) = *taken_up.iter().find(|(found, _)| *found == doc).expect("an appointment is told");
    let look = |position| notices::Look { doc, position, notices: Vec::new(), next_ms: Some(i64::MAX) };
    let stirs = async |projection: &Projection| {
        projection.stirring(later_ms, 10).await.unwrap().iter().any(|(found, _)| *found == doc)
    };
    shop.act(Command::Note(doc, "楼道窄".into()));
    projection.catch_up(START_MS).await.unwrap();
    projection.looked(&[look(position)]).await.unwrap();
    assert!(stirs(&projection).await, "the look was at what it was before");
    let newest = projection.stirring(later_ms, 10).await.unwrap();
    let (_, position) = *newest.iter().find(|(found, _)| *found == doc).unwrap();
    projection.looked(&[look(position)]).await.unwrap();
    assert!(!stirs(&projection).await);
    shop.act(Command::Note(doc, "要吊装".into()));
    projection.catch_up(START_MS).await.unwrap();
    assert!(stirs(&projection).await, "it changed again");
}
