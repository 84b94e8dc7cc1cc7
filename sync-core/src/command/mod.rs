//! Commands: what a person wishes to do, decided into edits and facts of documents.
//!
//! `decide` turns one [`Command`] into [`Action`]s, at most one for each document it touches (an order
//! and its money facet). [`carry_out`](write::carry_out) judges an action by the one rulebook
//! ([`crate::authority`]), signs its fact and writes it as one change. The action is kept beside the
//! change until the relay has it, so that it can be said again under a new epoch after a refusal.

mod propose;
pub mod decide;
pub mod write;

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::document::Edit;
use crate::fact::kinds::{AppointmentStatus, Evidence, Outcome, Signature};
use crate::ids::{
    AppointmentId, BlobHash, CommandId, DeviceId, DocId, FactId, ItemId, Name, PersonId, StoreId,
};
use crate::money::Money;
use crate::time::{Stamp, UnixMs};

/// A new item of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// Its id.
    pub item: ItemId,
    /// Product (产品).
    pub product: String,
    /// Model (型号).
    pub model: String,
    /// Material class of the policy (材质).
    pub material: Option<Name>,
    /// How many.
    pub quantity: u32,
    /// Price of one, where the author may see prices.
    pub unit_price: Option<Money>,
}

/// A step as a person records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The step of the policy.
    pub step: Name,
    /// How it ended.
    pub outcome: Outcome,
    /// The items it is about; all where empty.
    pub items: Vec<ItemId>,
    /// Values the policy asks for.
    pub values: BTreeMap<Name, String>,
    /// Evidence.
    pub evidence: Vec<Evidence>,
    /// The appointment during which it was done.
    pub appointment: Option<AppointmentId>,
    /// The customer's signature.
    pub signature: Option<Signature>,
    /// A remark.
    pub note: Option<String>,
}

impl Record {
    /// A step that was done, with nothing attached.
    pub fn done(step: Name) -> Self {
        Self {
            step,
            outcome: Outcome::Done,
            items: Vec::new(),
            values: BTreeMap::new(),
            evidence: Vec::new(),
            appointment: None,
            signature: None,
            note: None,
        }
    }
}

/// A wish. Texts are as people write them; fields are named as in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Take an order in.
    OpenOrder {
        /// 订单号.
        number: String,
        /// 门店.
        store: Option<StoreId>,
        /// Fields by name, as text.
        fields: BTreeMap<String, String>,
        /// Items.
        items: Vec<NewItem>,
        /// When the customer's order was taken, where that was earlier.
        taken_ms: Option<UnixMs>,
        /// How it came.
        channel: Option<String>,
    },
    /// Open whatever else follows a flow of the policy: a ticket, a matter, a record about a person, an
    /// opportunity.
    OpenCase {
        /// The flow of the policy; its subject says what kind of document it is.
        flow: Name,
        /// 单号.
        number: String,
        /// 门店.
        store: Option<StoreId>,
        /// How urgent.
        urgency: Option<Name>,
        /// The order or ticket it is about or rests on.
        order: Option<DocId>,
        /// The person it is about.
        about: Option<PersonId>,
        /// How it came.
        channel: Option<String>,
        /// Fields by name, as text.
        fields: BTreeMap<String, String>,
    },
    /// Open a customer file.
    OpenCustomer {
        /// 客户编号.
        number: String,
        /// 门店.
        store: Option<StoreId>,
        /// Fields by name, as text.
        fields: BTreeMap<String, String>,
    },
    /// An opportunity becomes an order of this number, with the content in force: nothing is typed again.
    BecomeOrder(DocId, String),
    /// Open a stock of parts: its number, its store.
    OpenStock(String, Option<StoreId>),
    /// Count parts into a stock: part, how many, a remark.
    CountIn(DocId, String, u32, Option<String>),
    /// Note that notices were read, by their ids.
    Read(Vec<[u8; 16]>),
    /// Propose other values of fields or items: key → text, or nothing to remove it.
    Edit(DocId, BTreeMap<String, Option<String>>),
    /// Add an item to an order.
    AddItem(DocId, NewItem),
    /// Add a remark.
    Note(DocId, String),
    /// Record a step.
    Step(DocId, Record),
    /// Propose, in a record about a person, what the rules found of the case that it rests on: which rule, and
    /// the penalty or reward where the rule names none.
    ProposeFound(DocId, Name, Option<Name>),
    /// Approve what is proposed.
    Approve(DocId, Option<String>),
    /// Decline what is proposed; the sealed values are written back.
    Decline(DocId, String),
    /// Call it off.
    Cancel(DocId, String, Vec<Evidence>),
    /// Say who goes when.
    Assign {
        /// The order or ticket.
        doc: DocId,
        /// An appointment to change; a new one where empty.
        appointment: Option<AppointmentId>,
        /// Who goes.
        people: Vec<PersonId>,
        /// The day, `2026-11-22`.
        on: String,
        /// What for: a step.
        purpose: Name,
        /// A remark.
        note: Option<String>,
    },
    /// Say how a visit stands.
    Visit(DocId, AppointmentId, AppointmentStatus),
    /// Settle a clash between two facts.
    Settle {
        /// The order or ticket.
        doc: DocId,
        /// One side.
        left: FactId,
        /// The other.
        right: FactId,
        /// The one that leads.
        keep: FactId,
        /// Why.
        reason: String,
    },
    /// Record that it is paid in full, or guaranteed.
    Clear {
        /// The order.
        doc: DocId,
        /// By guarantee.
        guarantee: bool,
        /// The amount that was paid, for the money facet.
        amount: Option<Money>,
        /// Cash, transfer, card.
        method: String,
        /// Evidence.
        evidence: Vec<Evidence>,
    },
    /// Record a payment.
    Pay(DocId, Money, String, Vec<Evidence>),
    /// Record a contact with the customer: channel, words, evidence.
    Contact(DocId, String, String, Vec<Evidence>),
    /// Report that quality or date is in danger.
    Report(DocId, String, Vec<Evidence>),
    /// Say how an exception was resolved.
    Resolve(DocId, FactId, String),
    /// Pass it upward: to whom, why.
    Escalate(DocId, Name, String),
    /// A part is needed or used.
    Part {
        /// The ticket.
        doc: DocId,
        /// The part.
        sku: String,
        /// How many.
        quantity: u32,
        /// Used; otherwise needed.
        consumed: bool,
        /// The stock that it was taken from.
        stock: Option<DocId>,
    },
    /// Stop a ticket's clock: what it waits for.
    Pause(DocId, String),
    /// Let it run again.
    Resume(DocId, Option<String>),
    /// Add a person: staff number, name.
    AddPerson(String, String),
    /// Give a role from a time on.
    GrantRole(PersonId, Name, Option<StoreId>, UnixMs),
    /// End a role.
    EndRole(PersonId, Name, UnixMs),
    /// Add a store by its name.
    AddStore(String),
    /// Enrol a device by its certificate; custodial or not.
    Enrol(Vec<u8>, bool),
    /// Shut a device out.
    Revoke(DeviceId, String),
    /// Let intake rest on a day to come: the day, why.
    SuspendIntake(String, String),
    /// Let it not rest that day after all: the day, why.
    ResumeIntake(String, String),
    /// Publish a policy.
    PublishPolicy {
        /// Its version.
        version: u32,
        /// The hash of its published form.
        hash: BlobHash,
        /// From when it is in force.
        effective_ms: UnixMs,
        /// The proposal that is approved with it.
        proposal: Option<BlobHash>,
    },
    /// Propose a policy: the hash of its proposed form, its name, why.
    ProposePolicy(BlobHash, Name, Option<String>),
    /// Decline a proposed policy: the hash of its proposed form, why.
    DeclinePolicy(BlobHash, String),
}

/// What one command does to one document. Kept until the relay has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Action {
    /// The command it belongs to.
    #[n(0)]
    pub command: CommandId,
    /// The document.
    #[n(1)]
    pub doc: DocId,
    /// Edits beside the fact.
    #[n(2)]
    pub edits: Vec<Edit>,
    /// The fact's id, kind and payload.
    #[n(3)]
    pub fact: Option<(FactId, u16, minicbor::bytes::ByteVec)>,
    /// When it was done.
    #[n(4)]
    pub stamp: Stamp,
}
