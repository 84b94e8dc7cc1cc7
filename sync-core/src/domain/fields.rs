//! The registry of fields: every field's document kind, map, name, type and words.
//!
//! A document has four maps, created by its genesis change and never any other object. `fields` holds
//! one scalar for each name; `items` holds `ITEM.name` (the item id as 32 hex digits), so that an item
//! needs no object of its own and two devices can add one apart; `notes` holds `ID` → text; `log` holds
//! `FACT` → the signed fact. Adding a field to a kind is adding a row here.

use std::fmt;

use chrono::NaiveDate;

use crate::ids::{DocId, DocKind, ItemId, Name, StoreId};
use crate::limits;
use crate::money::{Currency, Money};
use crate::policy::model::Words;
use crate::refusal::{Refusal, RefusalCode};

/// The maps of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Map {
    /// One value for each field.
    #[n(0)]
    Fields,
    /// Values of items.
    #[n(1)]
    Items,
    /// Remarks.
    #[n(2)]
    Notes,
    /// Signed facts; insert only.
    #[n(3)]
    Log,
}

impl Map {
    /// Every map, in the order in which genesis creates them.
    pub const ALL: [Self; 4] = [Self::Fields, Self::Items, Self::Notes, Self::Log];
    /// The map's key in the document's root.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Items => "items",
            Self::Notes => "notes",
            Self::Log => "log",
        }
    }
}

/// One value of a document's map.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
pub enum Value {
    /// Text; also dates, amounts and references, in the one form that their type names.
    #[n(0)]
    Text(#[n(0)] String),
    /// A whole number.
    #[n(1)]
    Int(#[n(0)] i64),
    /// Yes or no.
    #[n(2)]
    Flag(#[n(0)] bool),
    /// Bytes; only a fact.
    #[n(3)]
    Bytes(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
}

impl Value {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
    /// An amount, in the form that [`Kind::Money`] names.
    pub fn money(amount: Money) -> Self {
        Self::Text(amount.to_string())
    }
    /// A day, in the form that [`Kind::Date`] names.
    pub fn date(day: NaiveDate) -> Self {
        Self::Text(day.to_string())
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Int(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The type of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of at most [`limits::TEXT_CHARS_MAX`] characters.
    Text,
    /// A day, `2026-11-22`.
    Date,
    /// A whole number from 1 on.
    Quantity,
    /// An amount, `2808.00 CNY`.
    Money,
    /// Yes or no.
    Flag,
    /// A name of the policy.
    Name,
    /// A store's id.
    Store,
    /// A document's id.
    Document,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The kind of document.
    pub doc: DocKind,
    /// The map it stands in.
    pub map: Map,
    /// Its name: the key, or what follows the item id.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What people call it, Chinese first.
    pub words: (&'static str, &'static str),
}

impl Field {
    /// What people call it.
    pub fn title(&self) -> Words {
        Words { zh: self.words.0.to_owned(), en: self.words.1.to_owned() }
    }
}

const fn row(
    doc: DocKind,
    map: Map,
    name: &'static str,
    kind: Kind,
    zh: &'static str,
    en: &'static str,
) -> Field {
    Field { doc, map, name, kind, words: (zh, en) }
}

use DocKind::{Customer, Matter, Order, OrderMoney, Ticket, TicketMoney};
use Map::{Fields, Items};

/// Every field there is, money facets included.
pub const FIELDS: &[Field] = &[
    row(Order, Fields, "customer", Kind::Text, "客户", "customer"),
    row(Order, Fields, "phone", Kind::Text, "电话", "phone"),
    row(Order, Fields, "address", Kind::Text, "地址", "address"),
    row(Order, Fields, "customer_file", Kind::Document, "客户档案", "customer file"),
    row(Order, Fields, "sales", Kind::Text, "导购工号", "sales staff number"),
    row(Order, Fields, "delivery_date", Kind::Date, "送货日期", "delivery date"),
    row(Order, Fields, "remark", Kind::Text, "备注", "remark"),
    row(Order, Items, "product", Kind::Text, "产品", "product"),
    row(Order, Items, "model", Kind::Text, "型号", "model"),
    row(Order, Items, "material", Kind::Name, "材质", "material"),
    row(Order, Items, "quantity", Kind::Quantity, "数量", "quantity"),
    row(OrderMoney, Items, "unit_price", Kind::Money, "单价", "unit price"),
    row(OrderMoney, Fields, "total", Kind::Money, "总价", "total"),
    row(Ticket, Fields, "customer", Kind::Text, "客户", "customer"),
    row(Ticket, Fields, "phone", Kind::Text, "电话", "phone"),
    row(Ticket, Fields, "address", Kind::Text, "地址", "address"),
    row(Ticket, Fields, "customer_file", Kind::Document, "客户档案", "customer file"),
    row(Ticket, Fields, "product", Kind::Text, "产品", "product"),
    row(Ticket, Fields, "fault", Kind::Text, "故障描述", "fault"),
    row(Ticket, Fields, "plan", Kind::Text, "处理方案", "plan"),
    row(Ticket, Fields, "cause", Kind::Name, "原因", "cause"),
    row(Ticket, Fields, "appointment", Kind::Date, "预约日期", "appointment"),
    row(TicketMoney, Fields, "quotation", Kind::Money, "报价", "quotation"),
    row(Customer, Fields, "name", Kind::Text, "姓名", "name"),
    row(Customer, Fields, "phone", Kind::Text, "电话", "phone"),
    row(Customer, Fields, "address", Kind::Text, "地址", "address"),
    row(Customer, Fields, "remark", Kind::Text, "备注", "remark"),
    row(Matter, Fields, "subject", Kind::Text, "事项", "subject"),
    row(Matter, Fields, "customer", Kind::Text, "客户", "customer"),
    row(Matter, Fields, "phone", Kind::Text, "电话", "phone"),
    row(Matter, Fields, "address", Kind::Text, "地址", "address"),
    row(Matter, Fields, "customer_file", Kind::Document, "客户档案", "customer file"),
    row(Matter, Fields, "due", Kind::Date, "到期日", "due date"),
    row(Matter, Fields, "remark", Kind::Text, "备注", "remark"),
];

/// The key of an item's field.
pub fn item_key(item: ItemId, field: &str) -> String {
    format!("{}.{field}", hex::encode(item.as_bytes()))
}

/// The item and field that a key of the items map names.
pub fn split_item_key(key: &str) -> Option<(ItemId, &str)> {
    let (item, field) = key.split_once('.')?;
    Some((ItemId::from_bytes(sixteen(item)?), field))
}

/// The 16 bytes that 32 lower-case hex digits name; nothing else is taken.
pub fn sixteen(digits: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    (hex::encode(bytes) == digits).then_some(bytes)
}

/// The field that a key of a map names.
pub fn find(doc: DocKind, map: Map, key: &str) -> Option<&'static Field> {
    let name = if map == Map::Items { split_item_key(key)?.1 } else { key };
    FIELDS.iter().find(|f| f.doc == doc && f.map == map && f.name == name)
}

/// Whether a value may stand under a key, facts aside: known field, right type, bounded size.
pub fn check(doc: DocKind, map: Map, key: &str, value: &Value) -> Result<(), Refusal> {
    let unknown = || Refusal::new(RefusalCode::UnknownField).with("field", format!("{}.{key}", map.name()));
    if key.len() > limits::KEY_BYTES_MAX {
        return Err(unknown());
    }
    match map {
        Map::Log => Err(unknown()),
        Map::Notes => {
            sixteen(key).ok_or_else(unknown)?;
            check_kind("note", Kind::Text, value)
        }
        Map::Fields | Map::Items => {
            let field = find(doc, map, key).ok_or_else(unknown)?;
            check_kind(field.name, field.kind, value)
        }
    }
}

fn check_kind(name: &str, kind: Kind, value: &Value) -> Result<(), Refusal> {
    let bad = |reason: &str| {
        Err(Refusal::new(RefusalCode::ValueInvalid).with("field", name).with("reason", reason))
    };
    match (kind, value) {
        (Kind::Text, Value::Text(text)) => {
            if text.chars().count() > limits::TEXT_CHARS_MAX {
                return bad("longer than 2000 characters");
            }
            Ok(())
        }
        (Kind::Date, Value::Text(text)) => match text.parse::<NaiveDate>() {
            Ok(day) if day.to_string() == *text => Ok(()),
            _ => bad("a day is written 2026-11-22"),
        },
        (Kind::Money, Value::Text(text)) => match parse_money(text) {
            Some(_) => Ok(()),
            None => bad("an amount is written 2808.00 CNY"),
        },
        (Kind::Name, Value::Text(text)) if text.parse::<Name>().is_ok() => Ok(()),
        (Kind::Store, Value::Text(text)) if text.parse::<StoreId>().is_ok() => Ok(()),
        (Kind::Document, Value::Text(text)) if text.parse::<DocId>().is_ok() => Ok(()),
        (Kind::Quantity, Value::Int(number)) if (1..=1_000_000).contains(number) => Ok(()),
        (Kind::Quantity, Value::Int(_)) => bad("a quantity is from 1 to 1000000"),
        (Kind::Flag, Value::Flag(_)) => Ok(()),
        _ => bad("another type of value"),
    }
}

/// The amount that text of the form `2808.00 CNY` names.
pub fn parse_money(text: &str) -> Option<Money> {
    let (amount, currency) = text.split_once(' ')?;
    let money = Money::parse(amount, Currency::parse(currency).ok()?).ok()?;
    (money.to_string() == text).then_some(money)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_field_is_named_once_and_money_stands_in_facets_only() {
        let mut seen = BTreeSet::new();
        for field in FIELDS {
            assert!(seen.insert((field.doc, field.map, field.name)), "{field:?} twice");
            assert_eq!(field.kind == Kind::Money, field.doc.is_money(), "{field:?}");
        }
    }
    #[test]
    fn each_type_takes_its_one_form_only() {
        let ok = |map, key: &str, value: Value| check(Order, map, key, &value).is_ok();
        let item = item_key(ItemId::from_bytes([10; 16]), "quantity");
        assert!(ok(Items, &item, Value::Int(2)));
        assert!(!ok(Items, &item, Value::Int(0)));
        assert!(!ok(Items, &item.to_uppercase(), Value::Int(2)));
        assert!(!ok(Items, "quantity", Value::Int(2)));
        assert!(ok(Fields, "delivery_date", "2026-11-22".into()));
        for bad in ["2026-13-40", "2026-11-2", "22.11.2026", ""] {
            assert!(!ok(Fields, "delivery_date", bad.into()), "{bad}");
        }
        assert!(!ok(Fields, "unheard_of", "x".into()));
        assert!(!ok(Fields, "remark", Value::Bytes(vec![1])));
        assert!(!ok(Map::Log, "remark", Value::Bytes(vec![1])));
        assert!(!ok(Fields, "remark", Value::Text("长".repeat(2_001))));
    }
}
