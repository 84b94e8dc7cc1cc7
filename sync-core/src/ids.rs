//! Identifiers as newtypes: what names a company, person, device, document, fact, change or blob.
//!
//! Ids are 16 random or derived bytes (UUID, RFC 9562), hashes are 32 bytes of SHA-256. In text they
//! are the usual hyphenated UUID or lower-case hex; in CBOR they are byte strings. Nothing here draws
//! randomness: new ids are made from bytes that the caller supplies.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::limits;

/// A text or byte string that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {found:?}")]
pub struct IdError {
    /// What was expected, such as `order id`.
    pub what: &'static str,
    /// What was found, cut to a readable length.
    pub found: String,
}

impl IdError {
    fn new(what: &'static str, found: &str) -> Self {
        Self { what, found: found.chars().take(60).collect() }
    }
}

macro_rules! bytes_in_cbor {
    ($name:ident, $len:literal, $get:expr, $make:expr) => {
        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                #[allow(clippy::redundant_closure_call)]
                e.bytes(&($get)(self))?.ok()
            }
        }
        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let at = d.position();
                let bytes: [u8; $len] = d.bytes()?.try_into().map_err(|_| {
                    minicbor::decode::Error::message(concat!(stringify!($name), " has a wrong length")).at(at)
                })?;
                #[allow(clippy::redundant_closure_call)]
                Ok(($make)(bytes))
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The id with exactly these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
            /// A time-ordered id (UUIDv7) from a wall clock in Unix milliseconds and ten random bytes.
            pub fn at(unix_ms: i64, random: [u8; 10]) -> Self {
                let ms = u64::try_from(unix_ms).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
            }
            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                Uuid::parse_str(s).map(Self).map_err(|_| IdError::new($what, s))
            }
        }
        bytes_in_cbor!($name, 16, |id: &$name| *id.as_bytes(), $name::from_bytes);
    };
}

uuid_id!(/// One company: everything a relay keeps belongs to one.
    CompanyId, "company id");
uuid_id!(/// One person of the company.
    PersonId, "person id");
uuid_id!(/// One device: a phone, a computer, or the office's custodial device.
    DeviceId, "device id");
uuid_id!(/// One store (门店) of the company.
    StoreId, "store id");
uuid_id!(/// One fact (事实记录) in a document's log.
    FactId, "fact id");
uuid_id!(/// One action of a person; it stays the same when the action is replayed under a new epoch.
    CommandId, "command id");
uuid_id!(/// One item (明细) of an order.
    ItemId, "item id");
uuid_id!(/// One appointment (上门预约).
    AppointmentId, "appointment id");

/// Sixteen bytes derived from a company and a text: two devices derive the same id apart (UUIDv8).
fn derived(company: CompanyId, domain: &str, text: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(company.as_bytes());
    hash.update([u8::try_from(domain.len()).unwrap_or(u8::MAX)]);
    hash.update(domain.as_bytes());
    hash.update(text.as_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    *uuid::Builder::from_custom_bytes(bytes).into_uuid().as_bytes()
}

impl StoreId {
    /// The store of this name.
    pub fn named(company: CompanyId, name: &str) -> Self {
        Self::from_bytes(derived(company, "store", name))
    }
}
impl PersonId {
    /// The person with this staff number (工号).
    pub fn staffed(company: CompanyId, number: &str) -> Self {
        Self::from_bytes(derived(company, "person", number))
    }
}
impl ItemId {
    /// The `row`-th item of an imported order, counted from 0.
    pub fn imported(order: DocId, company: CompanyId, row: usize) -> Self {
        Self::from_bytes(derived(company, "item", &format!("{order}/{row}")))
    }
}

/// The kinds of document. A facet with prices stands in a document of its own, with the same UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DocKind {
    /// The company's people, roles, stores, devices and policies; one per company.
    Directory = 0,
    /// An order (订单).
    Order = 1,
    /// Prices, costs and payments of an order.
    OrderMoney = 2,
    /// An after-sales ticket (售后单).
    Ticket = 3,
    /// Quotation and charges of a ticket.
    TicketMoney = 4,
    /// A customer file (客户档案).
    Customer = 5,
    /// Anything else that is followed (事项): a visit, customer material in custody, a proposal.
    Matter = 6,
    /// A reward or penalty of a person (奖惩记录).
    Conduct = 7,
    /// The parts of a warehouse (备件库存).
    Stock = 8,
    /// What a person has read of their notices; one per person.
    Inbox = 9,
}

impl DocKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Directory,
        Self::Order,
        Self::OrderMoney,
        Self::Ticket,
        Self::TicketMoney,
        Self::Customer,
        Self::Matter,
        Self::Conduct,
        Self::Stock,
        Self::Inbox,
    ];

    /// The kinds that people name by a number of their own.
    pub const NUMBERED: [Self; 6] =
        [Self::Order, Self::Ticket, Self::Customer, Self::Matter, Self::Conduct, Self::Stock];

    /// The kind's name in ids and APIs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Order => "order",
            Self::OrderMoney => "order-money",
            Self::Ticket => "ticket",
            Self::TicketMoney => "ticket-money",
            Self::Customer => "customer",
            Self::Matter => "matter",
            Self::Conduct => "conduct",
            Self::Stock => "stock",
            Self::Inbox => "inbox",
        }
    }
    /// Whether a document of this kind begins with an opening, which says whose it is.
    pub const fn is_opened(self) -> bool {
        !self.is_money() && !matches!(self, Self::Directory)
    }
    /// Whether documents of this kind follow a flow of the policy.
    pub const fn has_flow(self) -> bool {
        matches!(self, Self::Order | Self::Ticket | Self::Matter | Self::Conduct)
    }
    /// Whether documents of this kind hold prices and payments.
    pub const fn is_money(self) -> bool {
        matches!(self, Self::OrderMoney | Self::TicketMoney)
    }
    /// The kind of the facet that holds this kind's money, if it has one.
    pub const fn money(self) -> Option<Self> {
        match self {
            Self::Order => Some(Self::OrderMoney),
            Self::Ticket => Some(Self::TicketMoney),
            _ => None,
        }
    }
    /// The kind that a money facet belongs to; any other kind is its own.
    pub const fn subject(self) -> Self {
        match self {
            Self::OrderMoney => Self::Order,
            Self::TicketMoney => Self::Ticket,
            kind => kind,
        }
    }
}

/// One document: its kind and 16 bytes. In text `order:0192…`; in CBOR and as a key 17 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId {
    kind: DocKind,
    uuid: Uuid,
}

impl DocId {
    /// The document of this kind with these bytes.
    pub const fn new(kind: DocKind, bytes: [u8; 16]) -> Self {
        Self { kind, uuid: Uuid::from_bytes(bytes) }
    }
    /// The company's directory.
    pub const fn directory(company: CompanyId) -> Self {
        Self { kind: DocKind::Directory, uuid: company.0 }
    }
    /// The document of this kind with this number (订单号, 售后单号): made apart, it is still one document.
    pub fn numbered(company: CompanyId, kind: DocKind, number: &str) -> Self {
        Self::new(kind, derived(company, kind.subject().name(), number))
    }
    /// A person's inbox.
    pub fn inbox(company: CompanyId, person: PersonId) -> Self {
        Self::numbered(company, DocKind::Inbox, &person.to_string())
    }
    /// The kind.
    pub const fn kind(self) -> DocKind {
        self.kind
    }
    /// The document of another kind with the same UUID, such as an order's money facet.
    pub const fn facet(self, kind: DocKind) -> Self {
        Self { kind, uuid: self.uuid }
    }
    /// The order, ticket, customer file or directory that this document belongs to.
    pub const fn subject(self) -> Self {
        self.facet(self.kind.subject())
    }
    /// 17 bytes: the kind, then the UUID.
    pub fn to_bytes(self) -> [u8; 17] {
        let mut bytes = [self.kind as u8; 17];
        bytes[1..].copy_from_slice(self.uuid.as_bytes());
        bytes
    }
    /// The reverse of [`DocId::to_bytes`].
    pub fn from_bytes(bytes: [u8; 17]) -> Result<Self, IdError> {
        let kind = DocKind::ALL
            .get(usize::from(bytes[0]))
            .ok_or_else(|| IdError::new("document kind", &bytes[0].to_string()))?;
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[1..]);
        Ok(Self::new(*kind, uuid))
    }
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.uuid)
    }
}
impl fmt::Debug for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for DocId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let bad = || IdError::new("document id", s);
        let (kind, uuid) = s.split_once(':').ok_or_else(bad)?;
        let kind = DocKind::ALL.into_iter().find(|k| k.name() == kind).ok_or_else(bad)?;
        let uuid = Uuid::parse_str(uuid).map_err(|_| bad())?;
        Ok(Self { kind, uuid })
    }
}
impl<C> Encode<C> for DocId {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.to_bytes())?.ok()
    }
}
impl<'b, C> Decode<'b, C> for DocId {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let bytes: [u8; 17] = d
            .bytes()?
            .try_into()
            .map_err(|_| minicbor::decode::Error::message("document id has a wrong length").at(at))?;
        Self::from_bytes(bytes).map_err(|e| minicbor::decode::Error::message(e.to_string()).at(at))
    }
}

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(&self.0[..6]))
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(s, &mut bytes).map_err(|_| IdError::new($what, s))?;
                Ok(Self(bytes))
            }
        }
        bytes_in_cbor!($name, 32, |h: &$name| h.0, $name);
    };
}

hash_id!(/// The hash of one Automerge change; what a document's heads are made of.
    ChangeHash, "change hash");
hash_id!(/// SHA-256 of a blob: a photo, a file, a published policy.
    BlobHash, "blob hash");

impl BlobHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// A place in the relay's log; the first entry stands at 1, and 0 is before everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Position(#[n(0)] pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A name from the policy: a role, step, flow, rule. Lower-case ASCII letters, digits, `-` and `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cbor(transparent)]
pub struct Name(#[n(0)] String);

impl Name {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
impl FromStr for Name {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let ok = !s.is_empty()
            && s.len() <= limits::NAME_CHARS_MAX
            && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
        if ok { Ok(Self(s.to_owned())) } else { Err(IdError::new("name", s)) }
    }
}
impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}
impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}
impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}
#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Name {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
#[cfg(feature = "schema")]
impl utoipa::ToSchema for Name {}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}
impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
impl<'b, C> Decode<'b, C> for Name {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        d.str()?.parse().map_err(|e: IdError| minicbor::decode::Error::message(e.to_string()).at(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_document_id_survives_text_and_bytes(kind in 0usize..6, bytes: [u8; 16]) {
            let id = DocId::new(DocKind::ALL[kind], bytes);
            prop_assert_eq!(id.to_string().parse::<DocId>().unwrap(), id);
            prop_assert_eq!(DocId::from_bytes(id.to_bytes()).unwrap(), id);
            let cbor = minicbor::to_vec(id).unwrap();
            prop_assert_eq!(minicbor::decode::<DocId>(&cbor).unwrap(), id);
        }
        #[test]
        fn foreign_text_is_refused_and_never_panics(text: String) {
            let parsed: Result<DocId, _> = text.parse();
            prop_assert!(parsed.is_err());
            if let Ok(name) = text.parse::<Name>() { prop_assert_eq!(name.as_str(), text); }
        }
    }

    #[test]
    fn the_same_number_names_the_same_order_everywhere() {
        let company = CompanyId::from_bytes([7; 16]);
        let a = DocId::numbered(company, DocKind::Order, "2611120000");
        let money = DocId::numbered(company, DocKind::OrderMoney, "2611120000");
        assert_eq!(a, DocId::numbered(company, DocKind::Order, "2611120000"));
        assert_eq!(a.facet(DocKind::OrderMoney), money);
        assert_ne!(a, DocId::numbered(company, DocKind::Ticket, "2611120000").facet(DocKind::Order));
    }
}
