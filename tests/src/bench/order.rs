//! One order of the benches, written as devices would write it: each change by its author, each fact
//! signed with the author's key, nothing judged on the way (that is checked for some orders afterwards).
//!
//! An order has 40 values (7 fields, 3 items of 4 values, 21 remarks) and 11 changes with 10 facts: taken
//! in, handed in, reviewed (sealed), paid, asked for, placed, stocked in, complete, delivery note,
//! assigned to its crew, and one edit. More changes are more edits. Prices are left out: crews never
//! hold them.

use chrono::{Days, NaiveDate};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sync_core::document::history::fact_key;
use sync_core::document::{Actor, ChangeBytes, Document, Edit};
use sync_core::domain::fields::{Map, Value, item_key};
use sync_core::fact::keys::SecretKey;
use sync_core::fact::kinds::{Assigned, Cleared, Evidence, Opened, Outcome, Payload, Step};
use sync_core::fact::{Fact, READER};
use sync_core::ids::{
    AppointmentId, CommandId, CompanyId, DeviceId, DocId, DocKind, FactId, ItemId, Name, PersonId, StoreId,
};
use sync_core::time::{Stamp, UnixMs};

/// 2025-01-01 08:00 in Shanghai: when the benches' company begins.
pub const START_MS: UnixMs = 1_735_689_600_000;
/// The day that devices ask about; one order in 125 is due on it.
pub const TODAY: NaiveDate = NaiveDate::from_ymd_opt(2025, 3, 1).expect("a day");
/// Days over which orders are spread.
const DAYS: u64 = 125;
/// Remarks of an order.
const NOTES: usize = 21;

/// A person with a device.
pub struct Hand {
    /// The person.
    pub person: PersonId,
    /// Their device.
    pub device: DeviceId,
    /// Its key.
    pub key: SecretKey,
}

/// Who works on every order.
pub struct Staff {
    /// Sales (导购), of the one store.
    pub sales: Hand,
    /// The merchandiser (跟单员).
    pub merchandiser: Hand,
    /// The warehouse (成品仓).
    pub warehouse: Hand,
    /// The store.
    pub store: StoreId,
    /// The company.
    pub company: CompanyId,
}

/// One change with who wrote it.
pub struct Said {
    /// The change.
    pub change: ChangeBytes,
    /// Its author's device.
    pub device: DeviceId,
    /// Its author.
    pub person: PersonId,
}

/// A written order.
pub struct Order {
    /// The document with all its changes.
    pub doc: Document,
    /// The changes in their order.
    pub said: Vec<Said>,
}

/// A valid name.
pub fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

/// The number of the `index`-th order.
pub fn number(index: u32) -> String {
    format!("D{index:07}")
}

/// A fact's stamp at a moment of the company's calendar.
pub fn stamp(at_ms: UnixMs) -> Stamp {
    Stamp { wall_ms: at_ms, offset_min: 480, trusted_ms: Some(at_ms), known_since_ms: Some(at_ms) }
}

/// Writes changes into one document, one author after the other.
pub struct Pen {
    doc: Document,
    rng: ChaCha8Rng,
    at_ms: UnixMs,
    said: Vec<Said>,
}

impl Pen {
    /// Goes on writing in a document from a moment on.
    pub fn new(doc: Document, rng: ChaCha8Rng, at_ms: UnixMs) -> Self {
        Self { doc, rng, at_ms, said: Vec::new() }
    }

    /// One change: edits, and at most one fact.
    pub fn say(&mut self, hand: &Hand, mut edits: Vec<Edit>, payload: Option<Payload>) {
        self.at_ms += 1_200_000 + i64::from(self.rng.random_range(0..1_000_000));
        if let Some(payload) = payload {
            let fact = Fact {
                doc: self.doc.id(),
                id: FactId::at(self.at_ms, self.rng.random()),
                author: hand.person,
                device: hand.device,
                stamp: stamp(self.at_ms),
                policy: 1,
                payload,
                reader: READER,
            };
            edits.push(Edit::Put(Map::Log, fact_key(fact.id), Value::Bytes(fact.sign(&hand.key))));
        }
        let actor = Actor { device: hand.device, epoch: 0 };
        let command = CommandId::at(self.at_ms, self.rng.random());
        if let Some(change) = self.doc.write(actor, command, self.at_ms, &edits) {
            self.said.push(Said { change, device: hand.device, person: hand.person });
        }
    }

    fn step(&mut self, hand: &Hand, step: &str, seal: bool, evidence: Vec<Evidence>) {
        let payload = Step {
            step: name(step),
            outcome: Outcome::Done,
            items: Vec::new(),
            values: std::collections::BTreeMap::new(),
            evidence,
            appointment: None,
            signature: None,
            seal: seal.then(|| self.doc.heads()),
            note: None,
        };
        self.say(hand, Vec::new(), Some(payload.into()));
    }

    /// What was written.
    pub fn done(self) -> Order {
        Order { doc: self.doc, said: self.said }
    }
}

const FAMILY: [&str; 12] = ["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙"];
const STREETS: [&str; 8] =
    ["幸福街", "人民路", "中山北路", "解放大道", "滨江路", "建设街", "学府路", "和平巷"];
const PRODUCTS: [&str; 8] =
    ["三门衣柜", "双人床", "餐桌椅组合", "转角沙发", "电视柜", "儿童书桌", "鞋柜", "床头柜"];
const REMARKS: [&str; 8] = [
    "客户要求上午送货",
    "电梯较小,衣柜需拆板上楼",
    "旧沙发帮忙搬到楼下",
    "安装前请先打电话",
    "客户要求更换拉手颜色",
    "小区货车限行,停东门",
    "地板已铺好,注意保护",
    "尾款已约定送货前付清",
];

fn one_of<'a>(rng: &mut ChaCha8Rng, words: &[&'a str]) -> &'a str {
    words[rng.random_range(0..words.len())]
}

/// The values that an order begins with.
fn content(doc: DocId, company: CompanyId, day: NaiveDate, rng: &mut ChaCha8Rng) -> Vec<Edit> {
    let put = |map, key: String, text: String| Edit::Put(map, key, Value::Text(text));
    let customer = format!("{}{}", one_of(rng, &FAMILY), one_of(rng, &["女士", "先生"]));
    let file = DocId::numbered(company, DocKind::Customer, &format!("K{:06}", rng.random_range(0..900_000)));
    let mut edits = vec![
        put(Map::Fields, "customer".into(), customer),
        put(Map::Fields, "phone".into(), format!("138{:08}", rng.random_range(0..100_000_000))),
        put(
            Map::Fields,
            "address".into(),
            format!(
                "{}{}号{}室",
                one_of(rng, &STREETS),
                rng.random_range(1..400),
                rng.random_range(101..2_800)
            ),
        ),
        put(Map::Fields, "customer_file".into(), file.to_string()),
        put(Map::Fields, "sales".into(), "D01".into()),
        put(Map::Fields, "delivery_date".into(), day.to_string()),
        put(Map::Fields, "remark".into(), one_of(rng, &REMARKS).into()),
    ];
    for row in 0..3 {
        let item = ItemId::imported(doc, company, row);
        let key = |field| item_key(item, field);
        edits.push(put(Map::Items, key("product"), one_of(rng, &PRODUCTS).into()));
        edits.push(put(Map::Items, key("model"), format!("HJ-{:04}", rng.random_range(0..10_000))));
        edits.push(put(Map::Items, key("material"), one_of(rng, &["panel", "solid"]).into()));
        edits.push(Edit::Put(Map::Items, key("quantity"), Value::Int(rng.random_range(1..7))));
    }
    for _ in 0..NOTES {
        let key = hex::encode(FactId::at(START_MS, rng.random()).as_bytes());
        let text = format!("{},{}", one_of(rng, &REMARKS), rng.random_range(1..60));
        edits.push(put(Map::Notes, key, text));
    }
    edits
}

/// Writes the `index`-th order with so many changes (11 at least), assigned to these people.
pub fn write(staff: &Staff, seed: u64, index: u32, changes: u32, crew: &[PersonId]) -> Order {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (u64::from(index) << 20));
    let number = number(index);
    let doc = DocId::numbered(staff.company, DocKind::Order, &number);
    let day = TODAY + Days::new(u64::from(index) % DAYS);
    let first = content(doc, staff.company, day, &mut rng);
    let mut pen = Pen::new(Document::new(doc), rng, START_MS + i64::from(index) * 1_000);
    let Staff { sales, merchandiser, warehouse, .. } = staff;
    let opened = Opened {
        flow: name("order"),
        number: number.clone(),
        store: Some(staff.store),
        urgency: None,
        order: None,
        taken_ms: None,
        channel: Some("counter".into()),
        about: None,
    };
    pen.say(sales, first, Some(opened.into()));
    pen.step(sales, "handed-in", false, Vec::new());
    pen.step(merchandiser, "reviewed", true, Vec::new());
    pen.say(sales, Vec::new(), Some(Cleared { guarantee: false, evidence: Vec::new() }.into()));
    let words = Evidence::text_message(&format!("{number} 客户已确认,请下单"));
    pen.step(sales, "notice", false, vec![words]);
    pen.step(merchandiser, "placed", false, Vec::new());
    pen.step(warehouse, "stocked-in", false, Vec::new());
    pen.step(warehouse, "complete", false, Vec::new());
    pen.step(merchandiser, "delivery-note", false, Vec::new());
    let assigned = Assigned {
        appointment: AppointmentId::at(pen.at_ms, pen.rng.random()),
        people: crew.to_vec(),
        on: day.to_string(),
        purpose: name("delivered"),
        note: None,
    };
    pen.say(merchandiser, Vec::new(), Some(assigned.into()));
    for edit in 10..changes.max(11) {
        let text = format!("{},第{edit}次", one_of(&mut pen.rng, &REMARKS));
        let hand = if edit % 2 == 0 { merchandiser } else { sales };
        pen.say(hand, vec![Edit::Put(Map::Fields, "remark".into(), Value::Text(text))], None);
    }
    pen.done()
}
