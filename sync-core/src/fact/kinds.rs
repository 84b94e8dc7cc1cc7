//! The kinds of fact: what can be said in a document's log, each with its stable number.
//!
//! A payload is a CBOR map with integer keys, so an older app skips keys it does not know. A kind it
//! does not know is kept whole as [`Payload::Unknown`] and passed on. Numbers and keys are never reused.
//! Text in payloads may be personal data: nothing here is for logs.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::ids::{
    AppointmentId, BlobHash, ChangeHash, DeviceId, DocId, DocKind, FactId, ItemId, Name, PersonId, StoreId,
};
use crate::money::Money;
use crate::policy::model::EvidenceKind;
use crate::time::UnixMs;

/// A piece of evidence (证据): words in place, or a blob by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Evidence {
    /// What it is.
    #[n(0)]
    pub kind: EvidenceKind,
    /// A text message, word for word.
    #[n(1)]
    pub text: Option<String>,
    /// The photo or file.
    #[n(2)]
    pub blob: Option<BlobHash>,
    /// The blob's media type, such as `image/jpeg`.
    #[n(3)]
    pub media: Option<String>,
    /// The document of a checklist that it is, such as `contract`.
    #[n(4)]
    pub document: Option<Name>,
}

impl Payment {
    /// Whether it takes money; otherwise it gives some back.
    pub fn charges(&self) -> bool {
        self.amount.minor > 0
    }
}

impl Evidence {
    /// A text message, word for word.
    pub fn text_message(words: &str) -> Self {
        let text = Some(words.to_owned());
        Self { kind: EvidenceKind::TextMessage, text, blob: None, media: None, document: None }
    }
    /// A photo by its hash.
    pub fn photo(blob: BlobHash, media: &str) -> Self {
        let media = Some(media.to_owned());
        Self { kind: EvidenceKind::Photo, text: None, blob: Some(blob), media, document: None }
    }
    /// A document of a checklist, as a file by its hash.
    pub fn document(document: Name, blob: BlobHash, media: &str) -> Self {
        let media = Some(media.to_owned());
        Self { kind: EvidenceKind::File, text: None, blob: Some(blob), media, document: Some(document) }
    }
    /// Whether there is anything behind it: words, or a blob's hash.
    pub fn is_substantial(&self) -> bool {
        self.blob.is_some() || self.text.as_ref().is_some_and(|t| !t.trim().is_empty())
    }
}

/// A customer's signature: vector strokes, small enough to stand in the fact and never be orphaned.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Signature {
    /// The name of the person who signed, as written.
    #[n(0)]
    pub signer: String,
    /// Strokes, each a list of points x, y in 1/10,000 of the pad's width, from the upper left.
    #[n(1)]
    pub strokes: Vec<Vec<(u16, u16)>>,
}

impl Signature {
    /// Whether a pen touched the pad at all.
    pub fn is_drawn(&self) -> bool {
        !self.signer.trim().is_empty() && self.strokes.iter().map(Vec::len).sum::<usize>() >= 2
    }
}

/// How a step ended: partial and refused are values, not notes (POD).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Outcome {
    /// Done as meant.
    #[n(0)]
    Done,
    /// Done for some of the items; `items` names them.
    #[n(1)]
    Partial,
    /// The customer refused.
    #[n(2)]
    Refused,
    /// Tried and could not be done.
    #[n(3)]
    Failed,
}

impl Outcome {
    /// Its name in views and APIs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The state of an appointment (上门预约).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum AppointmentStatus {
    /// Planned.
    #[n(0)]
    Scheduled,
    /// The people know and set out.
    #[n(1)]
    Dispatched,
    /// On the way.
    #[n(2)]
    Travelling,
    /// At the customer's.
    #[n(3)]
    OnSite,
    /// Done.
    #[n(4)]
    Completed,
    /// Could not be completed.
    #[n(5)]
    CannotComplete,
    /// Called off; the people lose it from their devices.
    #[n(6)]
    Cancelled,
}

impl AppointmentStatus {
    /// Its name in views and APIs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Dispatched => "dispatched",
            Self::Travelling => "travelling",
            Self::OnSite => "on_site",
            Self::Completed => "completed",
            Self::CannotComplete => "cannot_complete",
            Self::Cancelled => "cancelled",
        }
    }
    /// Whether the people of the appointment still need the document.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Scheduled | Self::Dispatched | Self::Travelling | Self::OnSite)
    }
}

macro_rules! payloads {
    ($( $(#[$doc:meta])* $number:literal $kind:ident { $( $(#[$fdoc:meta])* $key:literal $field:ident : $ty:ty, )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
            #[cbor(map)]
            pub struct $kind { $( $(#[$fdoc])* #[n($key)] pub $field: $ty, )* }
            impl From<$kind> for Payload {
                fn from(payload: $kind) -> Self { Self::$kind(payload) }
            }
        )*
        /// What a fact says.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Payload {
            $( $(#[$doc])* $kind($kind), )*
            /// A kind from a newer app: kept whole, shown as such, passed on.
            Unknown {
                /// Its number.
                kind: u16,
                /// Its CBOR.
                bytes: Vec<u8>,
            },
        }
        impl Payload {
            /// The kind's stable number.
            pub const fn number(&self) -> u16 {
                match self { $( Self::$kind(_) => $number, )* Self::Unknown { kind, .. } => *kind }
            }
            /// The kind's name in views and APIs.
            pub const fn name(&self) -> &'static str {
                match self { $( Self::$kind(_) => stringify!($kind), )* Self::Unknown { .. } => "Unknown" }
            }
            /// The payload's CBOR.
            pub fn to_cbor(&self) -> Vec<u8> {
                match self {
                    $( Self::$kind(p) => minicbor::to_vec(p).expect("writing CBOR to memory cannot fail"), )*
                    Self::Unknown { bytes, .. } => bytes.clone(),
                }
            }
            /// Reads the CBOR of a kind; an unknown number is kept as it is.
            pub fn from_cbor(kind: u16, bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
                match kind {
                    $( $number => whole(bytes).map(Self::$kind), )*
                    _ => Ok(Self::Unknown { kind, bytes: bytes.to_vec() }),
                }
            }
        }
    };
}

/// Decodes a value that must fill the bytes to the end.
fn whole<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, minicbor::decode::Error> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode()?;
    if decoder.position() == bytes.len() {
        Ok(value)
    } else {
        Err(minicbor::decode::Error::message("bytes follow the payload"))
    }
}

payloads! {
    /// An order or ticket begins.
    1 Opened {
        /// The flow of the policy: `order`, or the kind of ticket.
        0 flow: Name,
        /// The number people call it by (订单号).
        1 number: String,
        /// The store it belongs to.
        2 store: Option<StoreId>,
        /// A ticket's urgency.
        3 urgency: Option<Name>,
        /// The order that a ticket is about; what an order came from; what a record about a person rests on.
        4 order: Option<DocId>,
        /// When the customer's request was taken, where that was earlier than this fact (a sheet's row).
        5 taken_ms: Option<UnixMs>,
        /// How the request came: phone, e-mail, chat, counter, sheet.
        6 channel: Option<String>,
        /// The person whom it is about: of a conduct record, an appraisal, an inbox.
        7 about: Option<PersonId>,
    }
    /// A step of the flow was done.
    2 Step {
        /// The step of the policy.
        0 step: Name,
        /// How it ended.
        1 outcome: Outcome,
        /// The items it is about; all where empty.
        2 items: Vec<ItemId>,
        /// Values the policy asks for, by name.
        3 values: BTreeMap<Name, String>,
        /// Evidence.
        4 evidence: Vec<Evidence>,
        /// The appointment during which it was done.
        5 appointment: Option<AppointmentId>,
        /// The customer's signature.
        6 signature: Option<Signature>,
        /// The heads that were on the screen: the content that this step puts in force.
        7 seal: Option<Vec<ChangeHash>>,
        /// A remark.
        8 note: Option<String>,
    }
    /// A proposed change is approved: the document at these heads is in force.
    3 Approved {
        /// What was on the screen.
        0 heads: Vec<ChangeHash>,
        /// A remark.
        1 note: Option<String>,
    }
    /// A proposed change is declined; the same change writes the sealed values back.
    4 Declined {
        /// What was on the screen.
        0 heads: Vec<ChangeHash>,
        /// Why.
        1 reason: String,
    }
    /// The order or ticket is called off.
    5 Cancelled {
        /// Why.
        0 reason: String,
        /// Evidence, such as the customer's message.
        1 evidence: Vec<Evidence>,
    }
    /// Who goes when. A later one of the same id replaces the former.
    6 Assigned {
        /// The appointment.
        0 appointment: AppointmentId,
        /// The people who go.
        1 people: Vec<PersonId>,
        /// The day, ISO 8601.
        2 on: String,
        /// What for: a step of the flow.
        3 purpose: Name,
        /// A remark.
        4 note: Option<String>,
    }
    /// An appointment's state changed.
    7 Visited {
        /// The appointment.
        0 appointment: AppointmentId,
        /// Its state.
        1 status: AppointmentStatus,
    }
    /// A clash is settled.
    8 Settled {
        /// The one side.
        0 left: FactId,
        /// The other side.
        1 right: FactId,
        /// The side that leads.
        2 keep: FactId,
        /// Why.
        3 reason: String,
    }
    /// Paid in full or guaranteed: what placing waits for. Amounts stand in the money facet.
    9 Cleared {
        /// By guarantee; otherwise paid in full.
        0 guarantee: bool,
        /// Evidence.
        1 evidence: Vec<Evidence>,
    }
    /// A contact with the customer.
    10 Contact {
        /// Phone, message, e-mail, visit.
        0 channel: String,
        /// What was said.
        1 words: String,
        /// Evidence.
        2 evidence: Vec<Evidence>,
    }
    /// Something endangers quality or date.
    11 Exception {
        /// What.
        0 what: String,
        /// Evidence.
        1 evidence: Vec<Evidence>,
    }
    /// An exception is resolved.
    12 Resolved {
        /// The exception.
        0 exception: FactId,
        /// How.
        1 how: String,
    }
    /// Passed upward.
    13 Escalated {
        /// To whom.
        0 to: Name,
        /// Why.
        1 reason: String,
    }
    /// A part is needed or used.
    14 Part {
        /// The part.
        0 sku: String,
        /// How many.
        1 quantity: u32,
        /// Used; otherwise needed.
        2 consumed: bool,
    }
    /// The clock of a ticket stops: it waits for a part, or for the customer.
    15 Paused {
        /// What it waits for.
        0 reason: String,
    }
    /// The clock of a ticket runs again.
    16 Resumed {
        /// A remark.
        0 note: Option<String>,
    }
    /// Money came in or went out (money facet).
    20 Payment {
        /// How much; negative for a refund.
        0 amount: Money,
        /// Cash, transfer, card.
        1 method: String,
        /// Evidence.
        2 evidence: Vec<Evidence>,
    }
    /// The company begins; the first fact of every directory.
    40 Founded {
        /// The company's name.
        0 name: String,
        /// The company's public key (Ed25519).
        1 key: minicbor::bytes::ByteArray<32>,
        /// The certificate of the device that signs this fact.
        2 certificate: minicbor::bytes::ByteVec,
        /// The person who founds it.
        3 number: String,
        /// Their name.
        4 person_name: String,
        /// Their role from now on.
        5 role: Name,
    }
    /// A person joins.
    41 PersonAdded {
        /// The person.
        0 person: PersonId,
        /// Staff number (工号).
        1 number: String,
        /// Name.
        2 name: String,
    }
    /// A person has a role from a time on.
    42 RoleGranted {
        /// The person.
        0 person: PersonId,
        /// The role of the policy.
        1 role: Name,
        /// The store it is for, where the role's scope is a store.
        2 store: Option<StoreId>,
        /// From when.
        3 from_ms: UnixMs,
    }
    /// A person's role ends.
    43 RoleEnded {
        /// The person.
        0 person: PersonId,
        /// The role.
        1 role: Name,
        /// When.
        2 at_ms: UnixMs,
    }
    /// A store opens.
    44 StoreAdded {
        /// The store.
        0 store: StoreId,
        /// Its name.
        1 name: String,
    }
    /// A device is enrolled for a person.
    45 DeviceEnrolled {
        /// Its certificate, signed by the company key.
        0 certificate: minicbor::bytes::ByteVec,
        /// The relay keeps its key (the office's devices).
        1 custodial: bool,
    }
    /// A device is shut out.
    46 DeviceRevoked {
        /// The device.
        0 device: DeviceId,
        /// Why.
        1 reason: String,
    }
    /// A policy is published.
    47 PolicyPublished {
        /// Its version; each is higher than the one before.
        0 version: u32,
        /// The hash of its published form.
        1 hash: BlobHash,
        /// From when it is in force.
        2 effective_ms: UnixMs,
        /// The proposal that is approved with it, by the hash of its proposed form.
        3 proposal: Option<BlobHash>,
    }
    /// A policy is proposed to management; it is in force once it is published (47).
    48 PolicyProposed {
        /// The hash of its proposed form: the published form with version 0, which no policy has.
        0 hash: BlobHash,
        /// The policy's name.
        1 name: Name,
        /// Why.
        2 note: Option<String>,
    }
    /// A proposed policy is declined; it may be proposed again.
    49 PolicyDeclined {
        /// The hash of its proposed form.
        0 hash: BlobHash,
        /// Why.
        1 reason: String,
    }
    /// On a day to come intake rests (S21 注意事项 1).
    50 IntakeSuspended {
        /// The day, `2026-12-18` in the policy's zone.
        0 day: String,
        /// Why.
        1 reason: String,
    }
    /// That day intake does not rest after all.
    51 IntakeResumed {
        /// The day.
        0 day: String,
        /// Why.
        1 reason: String,
    }
    /// Parts were counted into a stock or taken out of it: what is there is the sum of all these.
    60 StockMoved {
        /// The part.
        0 sku: String,
        /// How many more (counted in) or, below zero, fewer (taken).
        1 by: i64,
        /// The ticket that they were taken for.
        2 ticket: Option<DocId>,
        /// A remark.
        3 note: Option<String>,
    }
}

impl Payload {
    /// Whether this kind may stand in a document of this kind.
    pub const fn fits(&self, kind: DocKind) -> bool {
        match self.number() {
            1 => !matches!(kind, DocKind::Directory),
            15 | 16 => matches!(kind, DocKind::Ticket),
            8 => !matches!(kind, DocKind::Directory | DocKind::Inbox),
            2..=14 => !matches!(kind, DocKind::Directory | DocKind::Stock | DocKind::Inbox),
            20..=39 => kind.is_money(),
            40..=59 => matches!(kind, DocKind::Directory),
            60..=69 => matches!(kind, DocKind::Stock),
            _ => true,
        }
    }
    /// The heads that this fact seals, if it is a seal.
    pub fn seal(&self) -> Option<&[ChangeHash]> {
        match self {
            Self::Step(step) => step.seal.as_deref(),
            Self::Approved(approved) => Some(&approved.heads),
            _ => None,
        }
    }
    /// The evidence that the fact names.
    pub fn evidence(&self) -> &[Evidence] {
        match self {
            Self::Step(p) => &p.evidence,
            Self::Cancelled(p) => &p.evidence,
            Self::Cleared(p) => &p.evidence,
            Self::Contact(p) => &p.evidence,
            Self::Exception(p) => &p.evidence,
            Self::Payment(p) => &p.evidence,
            _ => &[],
        }
    }
}
