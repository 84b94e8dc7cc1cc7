//! What goes in: records as an app fills them, parsed into the core's types at this border.
//!
//! Ids, hashes, days and amounts are text (`2026-11-22`, `2808.00`); texts are as people write them.
//! Nothing is judged here but whether the text can be read at all.

use std::collections::{BTreeMap, HashMap};

use sync_core::command::{NewItem, Record};
use sync_core::fact::kinds::{AppointmentStatus, Evidence, Outcome, Signature};
use sync_core::ids::{BlobHash, ItemId, Name};
use sync_core::money::{Currency, Money};
use sync_core::policy::model::EvidenceKind;

use crate::error::FieldError;

/// A new item of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct ItemWish {
    /// Product (产品).
    pub product: String,
    /// Model (型号).
    pub model: String,
    /// Material class of the policy (材质).
    #[uniffi(default = None)]
    pub material: Option<String>,
    /// How many.
    #[uniffi(default = 1)]
    pub quantity: u32,
    /// Price of one in yuan, `2808.00`, where the author may see prices.
    #[uniffi(default = None)]
    pub unit_price: Option<String>,
}

/// An order to open.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct OrderWish {
    /// 订单号.
    pub number: String,
    /// 门店: its name or id.
    #[uniffi(default = None)]
    pub store: Option<String>,
    /// Fields by name: `customer`, `phone`, `address`, `delivery_date`, …
    #[uniffi(default)]
    pub fields: HashMap<String, String>,
    /// Items.
    #[uniffi(default = [])]
    pub items: Vec<ItemWish>,
    /// When the customer's order was taken, Unix milliseconds, where that was earlier.
    #[uniffi(default = None)]
    pub taken_ms: Option<i64>,
    /// How it came: counter, phone, sheet, …
    #[uniffi(default = None)]
    pub channel: Option<String>,
}

/// A ticket, matter, record about a person or opportunity to open.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct CaseWish {
    /// The flow of the policy: `complaint`, `repair`, `custody`, …
    pub flow: String,
    /// 售后单号.
    pub number: String,
    /// 门店: its name or id.
    #[uniffi(default = None)]
    pub store: Option<String>,
    /// How urgent, a name of the policy.
    #[uniffi(default = None)]
    pub urgency: Option<String>,
    /// The order or ticket it is about: number or document id.
    #[uniffi(default = None)]
    pub order: Option<String>,
    /// The person it is about: staff number.
    #[uniffi(default = None)]
    pub about: Option<String>,
    /// How it came.
    #[uniffi(default = None)]
    pub channel: Option<String>,
    /// Fields by name: `customer`, `phone`, `fault`, …
    #[uniffi(default)]
    pub fields: HashMap<String, String>,
}

/// What a piece of evidence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Proof {
    /// A text message, word for word.
    TextMessage,
    /// A photo.
    Photo,
    /// A signature on paper, photographed.
    Signature,
    /// Any file.
    File,
}

/// A piece of evidence: words in place, or a photo or file that [`crate::FieldClient::attach`] took.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct EvidenceWish {
    /// What it is.
    pub proof: Proof,
    /// A text message, word for word.
    #[uniffi(default = None)]
    pub text: Option<String>,
    /// The photo's or file's hash, 64 hex digits.
    #[uniffi(default = None)]
    pub blob: Option<String>,
    /// Its media type, such as `image/jpeg`.
    #[uniffi(default = None)]
    pub media: Option<String>,
    /// The document of a checklist that it is, such as `contract`.
    #[uniffi(default = None)]
    pub document: Option<String>,
}

impl EvidenceWish {
    /// A text message, word for word.
    pub fn words(text: &str) -> Self {
        Self {
            proof: Proof::TextMessage,
            text: Some(text.to_owned()),
            blob: None,
            media: None,
            document: None,
        }
    }
    pub(crate) fn parse(self) -> Result<Evidence, FieldError> {
        let kind = match self.proof {
            Proof::TextMessage => EvidenceKind::TextMessage,
            Proof::Photo => EvidenceKind::Photo,
            Proof::Signature => EvidenceKind::Signature,
            Proof::File => EvidenceKind::File,
        };
        let blob = self.blob.map(|hex| hex.parse::<BlobHash>()).transpose()?;
        let document = self.document.map(|name| name.parse()).transpose()?;
        Ok(Evidence { kind, text: self.text, blob, media: self.media, document })
    }
}

pub(crate) fn evidence(wishes: Vec<EvidenceWish>) -> Result<Vec<Evidence>, FieldError> {
    wishes.into_iter().map(EvidenceWish::parse).collect()
}

/// One point of a stroke, in 1/10,000 of the pad's width, from the upper left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Point {
    /// To the right.
    pub x: u16,
    /// Downward.
    pub y: u16,
}

/// One line that the pen drew without being lifted.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Stroke {
    /// Its points in the order in which they were drawn.
    pub points: Vec<Point>,
}

/// The customer's signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct SignatureWish {
    /// The name of the person who signed, as written.
    pub signer: String,
    /// What the pen drew.
    pub strokes: Vec<Stroke>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum Ended {
    /// Done as meant.
    #[default]
    Done,
    /// Done for some of the items.
    Partial,
    /// The customer refused.
    Refused,
    /// Tried and could not be done.
    Failed,
}

/// A step as a person records it.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct StepWish {
    /// The step of the policy.
    pub step: String,
    /// How it ended; done where empty.
    #[uniffi(default = None)]
    pub ended: Option<Ended>,
    /// The ids of the items it is about; all where empty.
    #[uniffi(default = [])]
    pub items: Vec<String>,
    /// Values the policy asks for.
    #[uniffi(default)]
    pub values: HashMap<String, String>,
    /// Evidence.
    #[uniffi(default = [])]
    pub evidence: Vec<EvidenceWish>,
    /// The appointment during which it was done.
    #[uniffi(default = None)]
    pub appointment: Option<String>,
    /// The customer's signature.
    #[uniffi(default = None)]
    pub signature: Option<SignatureWish>,
    /// A remark.
    #[uniffi(default = None)]
    pub note: Option<String>,
}

impl StepWish {
    /// A step that was done, with nothing attached.
    pub fn done(step: &str) -> Self {
        Self { step: step.to_owned(), ..Self::default() }
    }

    pub(crate) fn parse(self) -> Result<Record, FieldError> {
        let strokes = |s: SignatureWish| Signature {
            signer: s.signer,
            strokes: s.strokes.into_iter().map(|s| s.points.iter().map(|p| (p.x, p.y)).collect()).collect(),
        };
        let mut values = BTreeMap::new();
        for (name, value) in self.values {
            values.insert(name.parse::<Name>()?, value);
        }
        Ok(Record {
            step: self.step.parse()?,
            outcome: match self.ended.unwrap_or_default() {
                Ended::Done => Outcome::Done,
                Ended::Partial => Outcome::Partial,
                Ended::Refused => Outcome::Refused,
                Ended::Failed => Outcome::Failed,
            },
            items: self.items.iter().map(|id| item(id)).collect::<Result<_, _>>()?,
            values,
            evidence: evidence(self.evidence)?,
            appointment: self.appointment.map(|id| id.parse()).transpose()?,
            signature: self.signature.map(strokes),
            note: self.note,
        })
    }
}

/// An item's id, with or without hyphens.
fn item(id: &str) -> Result<ItemId, FieldError> {
    Ok(id.parse::<ItemId>()?)
}

/// How a visit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum VisitStatus {
    /// Planned.
    Scheduled,
    /// The people know and set out.
    Dispatched,
    /// On the way.
    Travelling,
    /// At the customer's.
    OnSite,
    /// Done.
    Completed,
    /// Could not be completed.
    CannotComplete,
    /// Called off.
    Cancelled,
}

impl From<VisitStatus> for AppointmentStatus {
    fn from(status: VisitStatus) -> Self {
        match status {
            VisitStatus::Scheduled => Self::Scheduled,
            VisitStatus::Dispatched => Self::Dispatched,
            VisitStatus::Travelling => Self::Travelling,
            VisitStatus::OnSite => Self::OnSite,
            VisitStatus::Completed => Self::Completed,
            VisitStatus::CannotComplete => Self::CannotComplete,
            VisitStatus::Cancelled => Self::Cancelled,
        }
    }
}

/// An amount as a person writes it: `2808`, `2808.00` or `2808.00 CNY`.
pub(crate) fn money(text: &str) -> Result<Money, FieldError> {
    let (amount, currency) = match text.trim().split_once(' ') {
        Some((amount, code)) => {
            (amount, Currency::parse(code).map_err(|e| FieldError::invalid("amount", e))?)
        }
        None => (text.trim(), Currency::CNY),
    };
    Money::parse(amount, currency).map_err(|e| FieldError::invalid("amount", e))
}

impl ItemWish {
    pub(crate) fn parse(self, id: ItemId) -> Result<NewItem, FieldError> {
        Ok(NewItem {
            item: id,
            product: self.product,
            model: self.model,
            material: self.material.map(|m| m.parse()).transpose()?,
            quantity: self.quantity,
            unit_price: self.unit_price.map(|text| money(&text)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_yuan_unless_they_say_otherwise() {
        assert_eq!(money("2808.5").map(|m| m.to_string()), Ok("2808.50 CNY".into()));
        assert_eq!(money(" -20 USD ").map(|m| m.to_string()), Ok("-20.00 USD".into()));
        assert_eq!(money("两千").map_err(|e| e.code().to_owned()), Err("value_invalid".into()));
    }
    #[test]
    fn an_id_that_cannot_be_read_is_refused_by_name() {
        let step = StepWish { items: vec!["x".into()], ..StepWish::done("placed") };
        assert!(matches!(step.parse(), Err(FieldError::Refused { code, .. }) if code == "value_invalid"));
    }
}
