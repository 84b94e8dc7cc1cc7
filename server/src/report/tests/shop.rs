//! A furniture retailer's November 2026: five orders and three tickets.
//!
//! The furniture policy, every step by management; Shanghai time, 09:00–12:00 and 13:00–18:00 daily.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sync_core::command::{Command, NewItem, Record};
use sync_core::fact::keys::SecretKey;
use sync_core::fact::kinds::{AppointmentStatus, Evidence, Outcome, Signature};
use sync_core::ids::{AppointmentId, CompanyId, DeviceId, DocId, DocKind, ItemId, Name, PersonId, StoreId};
use sync_core::policy::check;
use sync_core::policy::publish::Published;
use sync_core::store::MemoryStore;
use sync_core::time::{Now, at_offset};

use super::super::write::{Format, write};
use super::super::*;
use crate::log::KeptLog;
use crate::projection::Place;
use crate::relay::Relay;
use crate::relay::found::{Founding, found};
use crate::relay::office::Clerk;

pub const COMPANY: CompanyId = CompanyId::from_bytes([7; 16]);
/// After everything that happens below, unless a test says otherwise.
pub const LATER: &str = "2026-12-01T12:00:00";

pub fn ms(local: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(&format!("{local}+08:00")).unwrap().timestamp_millis()
}
pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}
pub fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}
fn person() -> PersonId {
    PersonId::staffed(COMPANY, "M01")
}
fn item(n: u8) -> ItemId {
    ItemId::from_bytes([n; 16])
}
pub fn order(number: &str) -> DocId {
    DocId::numbered(COMPANY, DocKind::Order, number)
}
pub fn ticket(number: &str) -> DocId {
    DocId::numbered(COMPANY, DocKind::Ticket, number)
}

pub struct Shop {
    pub relay: Arc<Relay>,
    key: SecretKey,
    draws: u64,
}

impl Shop {
    /// An empty company by a shipped profile.
    pub fn new(profile: &str) -> Self {
        let toml = check::shipped(profile).unwrap();
        let by = |line: &str| line.starts_with("by = ");
        let all: Vec<&str> =
            toml.lines().map(|line| if by(line) { "by = [\"management\"]" } else { line }).collect();
        let policy = Policy::parse(&all.join("\n")).unwrap();
        let (key, mut draws) = (SecretKey::from_seed(&[2; 32]), 0);
        let mut chance = |buffer: &mut [u8]| fill(&mut draws, buffer);
        let mut clerk =
            Clerk { person: person(), device: DeviceId::from_bytes([3; 16]), key: &key, chance: &mut chance };
        let founding = Founding {
            name: "好家居".into(),
            number: "M01".into(),
            person_name: "周总".into(),
            role: name("management"),
        };
        let log = Arc::new(KeptLog::open(MemoryStore::new(), 9).unwrap());
        let company_key = SecretKey::from_seed(&[1; 32]);
        let published = Published::of(1, &policy);
        let begun = now("2026-10-01T09:00:00");
        let relay = found(log, COMPANY, &company_key, &mut clerk, founding, &published, &begun).unwrap();
        Self { relay: Arc::new(relay), key, draws }
    }

    #[track_caller]
    pub fn at(&mut self, local: &str, command: Command) {
        let Self { relay, key, draws } = self;
        let mut chance = |buffer: &mut [u8]| fill(draws, buffer);
        let mut clerk =
            Clerk { person: person(), device: DeviceId::from_bytes([3; 16]), key, chance: &mut chance };
        relay.act(&mut clerk, command, &now(local)).unwrap();
    }

    #[track_caller]
    pub fn step(&mut self, local: &str, doc: DocId, step: &str) {
        self.record(local, doc, Record::done(name(step)));
    }

    #[track_caller]
    pub fn record(&mut self, local: &str, doc: DocId, record: Record) {
        let signature = Signature { signer: "客户".into(), strokes: vec![vec![(1, 1), (2, 2)]] };
        let signs = ["delivered", "agreed", "accepted"].contains(&record.step.as_str());
        let signature = signs.then_some(signature);
        self.at(local, Command::Step(doc, Record { signature, ..record }));
    }

    /// An order of a store, owed on a day, with items 1 to `lines`.
    fn open(&mut self, local: &str, number: &str, (store, sales): (&str, &str), due: &str, lines: u8) {
        let fields = [
            ("customer", "何女士"),
            ("phone", "13800000000"),
            ("address", "幸福街1号"),
            ("delivery_date", due),
            ("sales", sales),
            ("total", "2808.00 CNY"),
        ];
        let new = |n| NewItem {
            item: item(n),
            product: ["餐桌", "椅子", "衣柜"][usize::from(n - 1)].into(),
            model: "A".into(),
            material: Some(name(if n == 1 { "solid" } else { "panel" })),
            quantity: u32::from(n),
            unit_price: None,
        };
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        self.at(
            local,
            Command::OpenOrder {
                number: number.into(),
                store: Some(StoreId::named(COMPANY, store)),
                fields: fields.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
                items: (1..=lines).map(new).collect(),
                taken_ms: None,
                channel: None,
            },
        );
    }

    /// From hand-in to the crew's car, on these days of November.
    fn on_its_way(&mut self, number: &str, [taken, placed, stocked, note]: [&str; 4]) {
        let doc = order(number);
        let at = |day: &str, time: &str| format!("2026-11-{day}T{time}");
        self.step(&at(taken, "17:30:00"), doc, "handed-in");
        self.step(&at(taken, "17:40:00"), doc, "reviewed");
        let cleared = Command::Clear {
            doc,
            guarantee: true,
            amount: None,
            method: "guarantee".into(),
            evidence: vec![Evidence::text_message("店长担保")],
        };
        self.at(&at(taken, "17:50:00"), cleared);
        let evidence = vec![Evidence::text_message("请下单")];
        self.record(&at(placed, "17:10:00"), doc, Record { evidence, ..Record::done(name("notice")) });
        self.step(&at(placed, "17:20:00"), doc, "placed");
        self.step(&at(stocked, "10:00:00"), doc, "stocked-in");
        self.step(&at(stocked, "11:00:00"), doc, "complete");
        self.step(&at(note, "10:00:00"), doc, "delivery-note");
        self.step(&at(note, "15:00:00"), doc, "fetched");
    }

    pub fn request(&mut self, local: &str, number: &str, kind: &str, about: &str, urgency: Option<&str>) {
        let fields = [("customer", "何女士"), ("phone", "13800000001"), ("address", "幸福街1号")];
        self.at(
            local,
            Command::OpenCase {
                flow: name(kind),
                number: number.into(),
                store: Some(StoreId::named(COMPANY, "城东店")),
                urgency: urgency.map(name),
                order: Some(order(about)),
                about: None,
                channel: Some("phone".into()),
                fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            },
        );
        self.step(local, ticket(number), "requested");
    }

    /// A superior rates somebody's teamwork.
    pub fn appraise(&mut self, local: &str, number: &str, about: &str, teamwork: &str) {
        let opening = Command::OpenCase {
            flow: name("appraisal"),
            number: number.into(),
            store: None,
            urgency: None,
            order: None,
            about: Some(PersonId::staffed(COMPANY, about)),
            channel: None,
            fields: BTreeMap::new(),
        };
        self.at(local, opening);
        let values = BTreeMap::from([(name("teamwork"), teamwork.to_owned())]);
        let doc = DocId::numbered(COMPANY, DocKind::Matter, number);
        self.record(local, doc, Record { values, ..Record::done(name("rated")) });
    }

    /// The whole company: five orders and three tickets of November 2026.
    pub fn november() -> Self {
        let mut shop = Self::new("furniture");
        shop.at("2026-10-01T10:00:00", Command::AddStore("城东店".into()));
        shop.at("2026-10-01T10:00:00", Command::AddStore("城西店".into()));
        shop.at("2026-10-01T10:00:00", Command::AddPerson("S01".into(), "小王".into()));
        // O1: two lines, handed over in the last second of their day, complete the day after.
        shop.open("2026-11-02T17:30:00", "O1", ("城东店", "S01"), "2026-11-20", 2);
        shop.on_its_way("O1", ["02", "05", "15", "19"]);
        shop.step("2026-11-20T23:59:59", order("O1"), "delivered");
        let words = "客户说桌面有划痕,先收货";
        let contact = Command::Contact(order("O1"), "phone".into(), words.into(), Vec::new());
        shop.at("2026-11-21T09:00:00", contact);
        shop.step("2026-11-21T10:00:00", order("O1"), "settled");
        // O2: the first line on its day, the second in the first second of the next.
        shop.open("2026-11-03T17:30:00", "O2", ("城东店", "S01"), "2026-11-20", 2);
        shop.on_its_way("O2", ["03", "06", "16", "19"]);
        let part =
            Record { outcome: Outcome::Partial, items: vec![item(1)], ..Record::done(name("delivered")) };
        shop.record("2026-11-20T10:00:00", order("O2"), part);
        shop.step("2026-11-21T00:00:00", order("O2"), "delivered");
        // O3: owed on the month's last day and never handed over. O4: owed later. O5: called off.
        shop.open("2026-11-10T17:30:00", "O3", ("城西店", ""), "2026-11-30", 1);
        shop.open("2026-11-28T17:30:00", "O4", ("城西店", ""), "2026-12-25", 3);
        shop.open("2026-11-11T17:30:00", "O5", ("城东店", "S01"), "2026-11-25", 1);
        shop.at("2026-11-12T10:00:00", Command::Cancel(order("O5"), "客户搬家".into(), Vec::new()));
        shop.tickets();
        shop
    }

    fn tickets(&mut self) {
        // T1: 10:00 to 16:00 are 5 working hours, 3 of them paused; one visit; the answer is 5.
        self.request("2026-11-23T10:00:00", "T1", "repair", "O1", Some("urgent"));
        let doc = ticket("T1");
        self.step("2026-11-23T10:30:00", doc, "recorded");
        self.at("2026-11-23T11:00:00", Command::Pause(doc, "等配件".into()));
        self.at("2026-11-23T15:00:00", Command::Resume(doc, None));
        let visit = AppointmentId::from_bytes([4; 16]);
        self.at(
            "2026-11-23T15:00:00",
            Command::Assign {
                doc,
                appointment: Some(visit),
                people: vec![person()],
                on: "2026-11-23".into(),
                purpose: name("repaired"),
                note: None,
            },
        );
        let values = BTreeMap::from([(name("plan"), "换合页".to_owned())]);
        self.record("2026-11-23T15:20:00", doc, Record { values, ..Record::done(name("diagnosed")) });
        for (time, step) in [("15:30:00", "agreed"), ("15:50:00", "repaired"), ("16:00:00", "accepted")] {
            let record = Record { appointment: Some(visit), ..Record::done(name(step)) };
            self.record(&format!("2026-11-23T{time}"), doc, record);
        }
        self.at("2026-11-23T16:10:00", Command::Visit(doc, visit, AppointmentStatus::Completed));
        // First the customer would not say it in a number.
        let said = |question: &str, answer: &str| BTreeMap::from([(name(question), answer.to_owned())]);
        let vague = Record { outcome: Outcome::Failed, ..Record::done(name("surveyed")) };
        self.record("2026-11-24T09:00:00", doc, Record { values: said("satisfaction", "还行"), ..vague });
        let values = said("csat", "5");
        self.record("2026-11-24T10:00:00", doc, Record { values, ..Record::done(name("surveyed")) });
        // T2: the same order again, answered after 9 working hours, not solved.
        self.request("2026-11-25T09:00:00", "T2", "repair", "O1", Some("normal"));
        self.step("2026-11-26T10:00:00", ticket("T2"), "recorded");
        // T3: a complaint about O2, answered after half an hour and solved after two.
        self.request("2026-11-28T10:00:00", "T3", "complaint", "O2", None);
        for (time, step, value) in [
            ("10:30:00", "recorded", ("cause", "registration-error")),
            ("11:00:00", "proposed", ("plan", "重新送货")),
            ("12:00:00", "answered", ("cause", "registration-error")),
        ] {
            let values = BTreeMap::from([(name(value.0), value.1.to_owned())]);
            let record = Record { values, ..Record::done(name(step)) };
            self.record(&format!("2026-11-28T{time}"), ticket("T3"), record);
        }
        self.at(
            "2026-11-28T11:30:00",
            Command::Escalate(ticket("T3"), name("management"), "客户坚持".into()),
        );
    }

    /// The read model in memory, at the log's end.
    pub async fn rows(&self) -> Projection {
        let projection = Projection::open(&Place::Memory, self.relay.clone()).await.unwrap();
        projection.catch_up(ms(LATER)).await.unwrap();
        projection
    }

    pub async fn report(&self, report: &str, asked: Asked) -> Result<Table, ProjectionError> {
        let projection = self.rows().await;
        let made = make(&projection, &self.relay.footing(), named(report).unwrap(), &asked).await;
        projection.close().await;
        made
    }

    /// A report over November for who sees all, as JSON.
    pub async fn json(&self, report: &str, now: &str) -> Value {
        as_json(&self.report(report, november(now)).await.unwrap())
    }
}

fn fill(draws: &mut u64, buffer: &mut [u8]) {
    *draws += 1;
    buffer.fill(0);
    buffer[..8].copy_from_slice(&draws.to_be_bytes());
}
fn now(local: &str) -> Now {
    Now { wall: at_offset(ms(local), 8 * 3600), elapsed_ms: 0, boot: 0 }
}
pub fn november(now: &str) -> Asked {
    Asked {
        from: Some(date("2026-11-01")),
        to: Some(date("2026-11-30")),
        store: None,
        visible_to: None,
        whose: None,
        now_ms: ms(now),
    }
}
pub fn as_json(table: &Table) -> Value {
    serde_json::from_slice(&write(table, Format::Json).unwrap()).unwrap()
}
/// Some columns of every row.
pub fn pick(report: &Value, columns: &[&str]) -> Value {
    let row = |row: &Value| columns.iter().map(|column| row[column].clone()).collect::<Value>();
    report["rows"].as_array().unwrap().iter().map(row).collect()
}
pub fn rate(part: u32, of: u32) -> Value {
    json!({ "value": f64::from(part) / f64::from(of), "part": part, "of": of })
}
pub fn mean(value: f64, of: u32) -> Value {
    json!({ "value": value, "of": of })
}
