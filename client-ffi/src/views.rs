//! What comes out: flat records for a screen, all of them also JSON for the command line.
//!
//! They repeat `sync_core::view` in shapes that cross a language border: no tuples, no borrowed text;
//! ids, hashes and heads are text, times Unix milliseconds.

use std::collections::BTreeSet;

use serde::Serialize;
use sync_core::device::photos::PhotoView;
use sync_core::device::record;
use sync_core::device::{Performed, SyncView};
use sync_core::directory::Directory;
use sync_core::fact::kinds::Payload;
use sync_core::fold::State;
use sync_core::ids::PersonId;
use sync_core::notice::Notice;
use sync_core::refusal::Lang;
use sync_core::view::row::Row;
use sync_core::wire::frames::Resolution;

macro_rules! copied {
    ($( $(#[$doc:meta])* $name:ident from $from:path {
        $( $(#[$fdoc:meta])* $field:ident : $ty:ty, )*
        $( ; $( $(#[$ldoc:meta])* $list:ident : $each:ty, )* )?
    } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
            pub struct $name {
                $( $(#[$fdoc])* pub $field: $ty, )*
                $( $( $(#[$ldoc])* pub $list: Vec<$each>, )* )?
            }
            impl From<$from> for $name {
                fn from(view: $from) -> Self {
                    Self { $( $field: view.$field.into(), )* $( $( $list: all(view.$list), )* )? }
                }
            }
        )*
    };
}

mod whole;

pub use whole::{
    Case, ClashLine, ContactLine, DraftLine, EscalationLine, EvidenceLine, ExceptionLine, FieldLine,
    FindingLine, ItemLine, NeededPart, NextStep, PaymentLine, Proposal, StepLine, Visit,
};

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct Done {
    /// The command's id.
    pub command: String,
    /// The documents that it changed; empty where everything stood already.
    pub docs: Vec<String>,
}
impl From<Performed> for Done {
    fn from(p: Performed) -> Self {
        Self { command: p.command.to_string(), docs: p.docs.iter().map(ToString::to_string).collect() }
    }
}

/// One thing that a person should hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct NoticeLine {
    /// Its id, for marking it read.
    pub id: String,
    /// `assignment`, `reminder`, `escalation`, `decision`, `clash`, `proposal`, `exception` or `task`.
    pub kind: String,
    /// What kind it is, in Chinese.
    pub title: String,
    /// What kind it is, in English.
    pub title_en: String,
    /// The document's id.
    pub doc: String,
    /// Its number.
    pub number: String,
    /// Since when.
    pub at_ms: i64,
    /// When it is or was due.
    pub due_ms: Option<i64>,
    /// What happened, in Chinese.
    pub words: String,
    /// What happened, in English.
    pub words_en: String,
    /// The person has read it, on whichever of their devices.
    pub read: bool,
}
impl NoticeLine {
    pub(crate) fn of(notice: Notice, read: bool) -> Self {
        let (kind, title, title_en) = notice.kind.words();
        let (words, words_en) = notice.words;
        Self {
            id: hex::encode(notice.id),
            kind: kind.to_owned(),
            title: title.to_owned(),
            title_en: title_en.to_owned(),
            doc: notice.doc.to_string(),
            number: notice.number,
            at_ms: notice.at_ms,
            due_ms: notice.due_ms,
            words,
            words_en,
            read,
        }
    }
}

/// How many of a part are in a stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct PartLine {
    /// The part.
    pub sku: String,
    /// How many.
    pub count: i64,
}

/// A stock of parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct Stock {
    /// Its number.
    pub number: String,
    /// What is there, by part.
    pub parts: Vec<PartLine>,
}
impl Stock {
    pub(crate) fn of(number: &str, state: &State) -> Self {
        let skus: BTreeSet<&str> = state.moves.iter().map(|m| m.what.sku.as_str()).collect();
        let part = |sku: &str| PartLine { sku: sku.to_owned(), count: state.stocked(sku) };
        Self { number: number.to_owned(), parts: skus.into_iter().map(part).collect() }
    }
}

/// An open appointment in a list line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct LineVisit {
    /// The day.
    pub on: String,
    /// Who goes.
    pub people: Vec<String>,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct Line {
    /// The document's id.
    pub doc: String,
    /// Order or ticket number.
    pub number: String,
    /// The flow.
    pub flow: String,
    /// The newest step done; empty before the first.
    pub step: String,
    /// The store's name.
    pub store: String,
    /// Who it is for, as in force.
    pub customer: String,
    /// The day it is owed, as in force; empty where there is none.
    pub due: String,
    /// When it was opened.
    pub opened_ms: Option<i64>,
    /// Called off.
    pub cancelled: bool,
    /// Complete.
    pub closed: bool,
    /// Edits that are not in force.
    pub proposed: u32,
    /// Clashes that nobody settled.
    pub clashes: u32,
    /// Open appointments.
    pub visits: Vec<LineVisit>,
}
impl Line {
    pub(crate) fn of(row: Row, directory: &Directory) -> Self {
        let name = |p: &PersonId| directory.person_name(*p);
        let visit = |(on, people): (String, Vec<PersonId>)| LineVisit {
            on,
            people: people.iter().map(name).collect(),
        };
        Self {
            doc: row.doc.to_string(),
            number: row.number,
            flow: row.flow.map(|f| f.to_string()).unwrap_or_default(),
            step: row.step.map(|s| s.to_string()).unwrap_or_default(),
            store: row.store.and_then(|s| directory.stores.get(&s)).cloned().unwrap_or_default(),
            customer: row.customer,
            due: row.due.unwrap_or_default(),
            opened_ms: row.opened_ms,
            cancelled: row.cancelled,
            closed: row.closed,
            proposed: row.proposed,
            clashes: row.clashes,
            visits: row.appointments.into_iter().map(visit).collect(),
        }
    }
}

/// Something that was done here and did not take effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct HeldLine {
    /// The document's id.
    pub doc: String,
    /// The change that the relay holds.
    pub change: String,
    /// What was said: the fact's kind, or `Edit`.
    pub what: String,
    /// The stable code of why.
    pub code: String,
    /// Why, in Chinese.
    pub reason: String,
    /// Why, in English.
    pub reason_en: String,
    /// When it was made, by the device's clock.
    pub at_ms: i64,
    /// `held`, `released`, `replayed` or `discarded`.
    pub standing: String,
    /// The office's words where it was discarded.
    pub decided: String,
}
impl From<record::Held> for HeldLine {
    fn from(held: record::Held) -> Self {
        let fact = held.action.fact.as_ref();
        let what =
            fact.map(|(_, kind, bytes)| Payload::from_cbor(*kind, bytes).map_or("Unknown", |p| p.name()));
        let (standing, decided) = match held.resolution {
            None => ("held", String::new()),
            Some(Resolution::Released) => ("released", String::new()),
            Some(Resolution::Replayed) => ("replayed", String::new()),
            Some(Resolution::Discarded { why, by }) => ("discarded", format!("{by}: {why}")),
        };
        Self {
            doc: held.action.doc.to_string(),
            change: held.hash.to_string(),
            what: what.unwrap_or("Edit").to_owned(),
            code: held.refusal.code.as_str().to_owned(),
            reason: held.refusal.text(Lang::Zh),
            reason_en: held.refusal.text(Lang::En),
            at_ms: held.at_ms,
            standing: standing.to_owned(),
            decided,
        }
    }
}

copied! {
    /// How far the device is in step with the relay, honestly.
    SyncState from SyncView {
        /// Changes that the relay has not confirmed.
        unsent: u32,
        /// When the oldest of them was made.
        oldest_unsent_ms: Option<i64>,
        /// Changes that the relay holds back.
        held: u32,
        /// Photos and files that the relay does not have whole.
        blobs_pending: u32,
        /// Documents on the device.
        documents: u32,
        /// The feed position up to which the device has everything.
        cursor: u64,
        /// When the relay was last heard, by its clock.
        last_seen_ms: Option<i64>,
        /// Until when the device may be used without being seen.
        lease_until_ms: Option<i64>,
        /// Policy version in hand.
        policy: u32,
        /// Digest over all documents and their heads, hex: equal on two devices of one scope in step.
        digest: String,
    }
}

/// A photo or file that a document names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct PhotoLine {
    /// The document's id: the one asked about, or its money facet.
    pub doc: String,
    /// SHA-256 of its bytes, hex.
    pub hash: String,
    /// Its media type; empty where nobody said.
    pub media: String,
    /// All its bytes are on this device.
    pub here: bool,
}
impl From<PhotoView> for PhotoLine {
    fn from(view: PhotoView) -> Self {
        let (doc, hash) = (view.doc.to_string(), view.hash.to_string());
        Self { doc, hash, media: view.media, here: view.here }
    }
}

/// Whether relay and device hold the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct Agreement {
    /// They do.
    pub agree: bool,
    /// They did not at first, and a repair was needed.
    pub repaired: bool,
    /// The device's state afterwards.
    pub state: SyncState,
}

/// A person of the company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct PersonLine {
    /// The person's id.
    pub id: String,
    /// Staff number (工号).
    pub number: String,
    /// Name.
    pub name: String,
    /// Roles held now.
    pub roles: Vec<String>,
}

/// A store of the company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct StoreLine {
    /// The store's id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Who works with this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct Myself {
    /// The company's name; empty before the first sync.
    pub company: String,
    /// The company's id.
    pub company_id: String,
    /// The person's id.
    pub person_id: String,
    /// The person's name and number.
    pub person: String,
    /// The device's id.
    pub device: String,
    /// Where the relay is.
    pub relay: String,
}
