//! One line of a list: what an order or ticket comes to. Kept beside each document, so that listing
//! five thousand needs no document.

use minicbor::{Decode, Encode};

use crate::directory::Rules;
use crate::document::Document;
use crate::domain::fields::{Map, Value};
use crate::fold::State;
use crate::ids::{ChangeHash, DocId, Name, PersonId, StoreId};
use crate::notice::Outlook;
use crate::time::UnixMs;

/// One line of a list. CBOR with integer keys; rebuilt from the document at any time.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Row {
    /// The document.
    #[n(0)]
    pub doc: DocId,
    /// The document's heads.
    #[n(1)]
    pub heads: Vec<ChangeHash>,
    /// Order or ticket number.
    #[n(2)]
    pub number: String,
    /// The flow.
    #[n(3)]
    pub flow: Option<Name>,
    /// The newest step done.
    #[n(4)]
    pub step: Option<Name>,
    /// The store.
    #[n(5)]
    pub store: Option<StoreId>,
    /// Who it is for, as in force; of a matter for nobody, what it is about.
    #[n(6)]
    pub customer: String,
    /// The day it is owed, as in force.
    #[n(7)]
    pub due: Option<String>,
    /// When it was opened.
    #[n(8)]
    pub opened_ms: Option<UnixMs>,
    /// Called off.
    #[n(9)]
    pub cancelled: bool,
    /// Complete.
    #[n(10)]
    pub closed: bool,
    /// Edits that are not in force.
    #[n(11)]
    pub proposed: u32,
    /// Clashes that nobody settled.
    #[n(12)]
    pub clashes: u32,
    /// Open appointments: day and people.
    #[n(13)]
    pub appointments: Vec<(String, Vec<PersonId>)>,
    /// From when until when it may have a notice for somebody; never where none.
    #[n(14)]
    pub stirs: Option<(UnixMs, UnixMs)>,
}

impl Row {
    /// The line of a document.
    pub fn of(doc: &Document, state: &State, rules: &Rules<'_>) -> Self {
        Self { stirs: Outlook::of(doc, state, rules).stirs(), ..Self::still(doc, state, rules) }
    }

    /// The line of a document without when it may have a notice, for whoever looks at that anyway.
    pub fn still(doc: &Document, state: &State, rules: &Rules<'_>) -> Self {
        let fields = state.content(doc, Map::Fields);
        let text = |name: &str| fields.get(name).and_then(Value::as_text).map(str::to_owned);
        let open = state.appointments.values().filter(|a| a.status.is_open());
        Self {
            doc: doc.id(),
            heads: doc.heads(),
            number: state.opened.as_ref().map(|o| o.what.number.clone()).unwrap_or_default(),
            flow: state.flow_name().cloned(),
            step: state
                .steps
                .iter()
                .rev()
                .find(|s| state.did(s.what.step.as_str()))
                .map(|s| s.what.step.clone()),
            store: state.store(),
            customer: ["customer", "name", "subject"].into_iter().find_map(text).unwrap_or_default(),
            due: ["delivery_date", "appointment", "due"].into_iter().find_map(text),
            opened_ms: state.opened_ms(),
            cancelled: state.is_cancelled(),
            closed: state.is_closed(state.flow(rules)),
            proposed: u32::try_from(state.proposed.len()).unwrap_or(u32::MAX),
            clashes: u32::try_from(state.clashes.iter().filter(|c| c.settled.is_none()).count())
                .unwrap_or(u32::MAX),
            appointments: open.map(|a| (a.on.clone(), a.people.clone())).collect(),
            stirs: None,
        }
    }
}
