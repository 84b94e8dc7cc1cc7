//! What comes out: flat records for a screen, all of them also JSON for the command line.
//!
//! They repeat `sync_core::view` in shapes that cross a language border: no tuples, no borrowed text;
//! ids, hashes and heads are text, times Unix milliseconds.

use std::collections::{BTreeSet, HashMap};

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
use sync_core::view::case;
use sync_core::view::row::Row;
use sync_core::wire::frames::Resolution;

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
    /// `assignment`, `reminder`, `escalation`, `decision`, `clash`, `proposal` or `exception`.
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

macro_rules! copied {
    ($( $(#[$doc:meta])* $name:ident from $from:path { $( $(#[$fdoc:meta])* $field:ident : $ty:ty, )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
            pub struct $name { $( $(#[$fdoc])* pub $field: $ty, )* }
            impl From<$from> for $name {
                fn from(view: $from) -> Self { Self { $( $field: view.$field.into(), )* } }
            }
        )*
    };
}

copied! {
    /// One field with its value.
    FieldLine from case::FieldView {
        /// The key, for editing.
        key: String,
        /// What people call it.
        title: String,
        /// The value in force, or as it stands where nothing is sealed.
        value: String,
    }
    /// An edit that is not in force.
    Proposal from case::ProposalView {
        /// The key.
        key: String,
        /// What people call it.
        title: String,
        /// What is in force; empty where nothing is.
        in_force: String,
        /// What is proposed; empty where it is to go.
        proposed: String,
        /// Who proposed it.
        by: String,
    }
    /// A step that may come next.
    NextStep from case::NextView {
        /// The step.
        step: String,
        /// What people call it.
        title: String,
        /// Whether this person may record it now.
        possible: bool,
        /// Why not, in Chinese; empty where possible.
        why_not: String,
        /// Why not, in English.
        why_not_en: String,
        /// What it needs: `text-message`, `photo`, `file`, `signature`, or a value's name.
        needs: Vec<String>,
    }
    /// An appointment.
    Visit from case::AppointmentView {
        /// Its id.
        id: String,
        /// The day.
        on: String,
        /// Who goes.
        people: Vec<String>,
        /// What for.
        purpose: String,
        /// `scheduled`, `dispatched`, `travelling`, `on_site`, `completed`, `cannot_complete`, `cancelled`.
        status: String,
    }
    /// Two facts that cannot both lead.
    ClashLine from case::ClashView {
        /// The fact that leads until it is settled.
        left: String,
        /// The other.
        right: String,
        /// `cancelled_but_done`, `content_differs` or `done_twice`.
        kind: String,
        /// What happened, in Chinese.
        words: String,
        /// What happened, in English.
        words_en: String,
        /// How it was settled; empty where it is not.
        settled: String,
    }
}

/// A step that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct StepLine {
    /// The fact's id.
    pub fact: String,
    /// The step.
    pub step: String,
    /// What people call it.
    pub title: String,
    /// `done`, `partial`, `refused` or `failed`.
    pub outcome: String,
    /// Who recorded it.
    pub by: String,
    /// When.
    pub at_ms: i64,
    /// Whether the relay's time stands behind it, or the device's clock alone.
    pub trusted_time: bool,
    /// The customer signed.
    pub signed: bool,
    /// How many pieces of evidence it has.
    pub evidence: u32,
    /// Values.
    pub values: HashMap<String, String>,
}
impl From<case::StepView> for StepLine {
    fn from(s: case::StepView) -> Self {
        Self {
            fact: s.fact,
            step: s.step,
            title: s.title,
            outcome: s.outcome.to_owned(),
            by: s.by,
            at_ms: s.at_ms,
            trusted_time: s.trusted_time,
            signed: s.signed,
            evidence: s.evidence,
            values: s.values.into_iter().collect(),
        }
    }
}

/// An exception and how it was resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct ExceptionLine {
    /// The fact's id, for resolving it.
    pub fact: String,
    /// What.
    pub what: String,
    /// How it was resolved; empty where it is not.
    pub resolved: String,
}

/// A contact with the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct ContactLine {
    /// Phone, message, e-mail, visit.
    pub channel: String,
    /// What was said.
    pub words: String,
}

/// An item of an order with its fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct ItemLine {
    /// The item's id.
    pub item: String,
    /// Its fields.
    pub fields: Vec<FieldLine>,
}
impl From<Vec<case::FieldView>> for ItemLine {
    fn from(fields: Vec<case::FieldView>) -> Self {
        let key = fields.first().and_then(|f| f.key.split_once('.')).map(|(item, _)| item.to_owned());
        Self { item: key.unwrap_or_default(), fields: fields.into_iter().map(Into::into).collect() }
    }
}

/// An order or ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct Case {
    /// The document's id.
    pub doc: String,
    /// Its number.
    pub number: String,
    /// The flow.
    pub flow: String,
    /// What people call the flow.
    pub title: String,
    /// The store's name.
    pub store: String,
    /// Whether anything is in force yet.
    pub sealed: bool,
    /// Called off.
    pub cancelled: bool,
    /// Complete.
    pub closed: bool,
    /// Paid in full or guaranteed.
    pub cleared: bool,
    /// Of a record about a person: in force, that is published and not set aside by an appeal.
    pub record_in_force: bool,
    /// When it was opened.
    pub opened_ms: Option<i64>,
    /// Fields in force.
    pub fields: Vec<FieldLine>,
    /// Items in force.
    pub items: Vec<ItemLine>,
    /// Remarks.
    pub notes: Vec<String>,
    /// Edits not in force.
    pub proposed: Vec<Proposal>,
    /// Steps recorded.
    pub steps: Vec<StepLine>,
    /// Steps that may come next for this person.
    pub next: Vec<NextStep>,
    /// Appointments.
    pub visits: Vec<Visit>,
    /// Clashes.
    pub clashes: Vec<ClashLine>,
    /// Exceptions.
    pub exceptions: Vec<ExceptionLine>,
    /// Contacts with the customer.
    pub contacts: Vec<ContactLine>,
    /// Facts that only a newer app understands.
    pub unknown: u32,
    /// What a ticket's clock stands still for; empty while it runs.
    pub paused: String,
    /// The document's heads, hex: what a signature made now would name.
    pub heads: Vec<String>,
}

impl Case {
    /// From the core's view; `exceptions` are the exceptions' fact ids in the view's order.
    pub(crate) fn of(view: case::CaseView, exceptions: Vec<String>) -> Self {
        fn all<A, B: From<A>>(from: Vec<A>) -> Vec<B> {
            from.into_iter().map(Into::into).collect()
        }
        let exception = |((what, resolved), fact)| ExceptionLine { fact, what, resolved };
        let contact = |(channel, words)| ContactLine { channel, words };
        Self {
            doc: view.doc,
            number: view.number,
            flow: view.flow,
            title: view.title,
            store: view.store,
            sealed: view.sealed,
            cancelled: view.cancelled,
            closed: view.closed,
            cleared: view.cleared,
            record_in_force: view.record_in_force,
            opened_ms: view.opened_ms,
            fields: all(view.fields),
            items: all(view.items),
            notes: view.notes,
            proposed: all(view.proposed),
            steps: all(view.steps),
            next: all(view.next),
            visits: all(view.appointments),
            clashes: all(view.clashes),
            exceptions: view.exceptions.into_iter().zip(exceptions).map(exception).collect(),
            contacts: view.contacts.into_iter().map(contact).collect(),
            unknown: view.unknown,
            paused: view.paused,
            heads: view.heads,
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
