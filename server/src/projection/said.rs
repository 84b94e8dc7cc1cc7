//! What was said about a case, for the archive's search (S6 第十三条: 便于日后查阅): fields, remarks, contacts,
//! exceptions, steps' notes and values, messages kept as evidence, and every reason given.
//!
//! In: a document and its state. Out: texts, the newest first, of bounded length: [`SAID_CHARS_MAX`]
//! characters of a case are searched, and of one text as many as a field may have. What is older than
//! that stands in the document and is not found. Deliberately not here: anything of the money facet.

use sync_core::document::Document;
use sync_core::domain::fields::{Map, Value};
use sync_core::fact::kinds::Payload;
use sync_core::fold::State;
use sync_core::limits;

/// Characters of one case that are searched.
pub(super) const SAID_CHARS_MAX: usize = 40_000;

/// The texts of a case.
pub(super) fn said(doc: &Document, state: &State) -> Vec<String> {
    let mut left = SAID_CHARS_MAX;
    let mut found = Vec::new();
    let facts = state.log.iter().rev().flat_map(|entry| texts(&entry.fact.payload));
    let notes = doc.values(Map::Notes).into_iter().map(|(_, note)| note.to_string());
    let fields = state.content(doc, Map::Fields).into_values().filter_map(|value| match value {
        Value::Text(text) => Some(text),
        _ => None,
    });
    for text in fields.chain(notes).chain(facts).filter(|text| !text.trim().is_empty()) {
        let text: String = text.chars().take(limits::TEXT_CHARS_MAX.min(left)).collect();
        left -= text.chars().count();
        found.push(text);
        if left == 0 {
            break;
        }
    }
    found
}

/// What a fact says in words.
fn texts(payload: &Payload) -> Vec<String> {
    let mut found: Vec<&str> = match payload {
        Payload::Step(p) => p.values.values().chain(&p.note).map(String::as_str).collect(),
        Payload::Approved(p) => p.note.as_deref().into_iter().collect(),
        Payload::Declined(p) => vec![&p.reason],
        Payload::Cancelled(p) => vec![&p.reason],
        Payload::Assigned(p) => p.note.as_deref().into_iter().collect(),
        Payload::Settled(p) => vec![&p.reason],
        Payload::Contact(p) => vec![&p.words],
        Payload::Exception(p) => vec![&p.what],
        Payload::Resolved(p) => vec![&p.how],
        Payload::Escalated(p) => vec![&p.reason],
        Payload::Part(p) => vec![&p.sku],
        Payload::Paused(p) => vec![&p.reason],
        Payload::Resumed(p) => p.note.as_deref().into_iter().collect(),
        _ => Vec::new(),
    };
    found.extend(payload.evidence().iter().filter_map(|evidence| evidence.text.as_deref()));
    found.into_iter().map(str::to_owned).collect()
}
