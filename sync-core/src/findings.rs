//! Findings of a document: its folded state as a case, judged by the policy in force when it was opened.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use crate::directory::Rules;
use crate::document::Document;
use crate::document::history::Entry;
use crate::domain::fields::{Map, Value, split_item_key};
use crate::fact::kinds::{Outcome, Payload};
use crate::fold::State;
use crate::ids::{ItemId, Name};
use crate::policy::judge::{Case, Event, Finding, judge};
use crate::policy::model::Policy;
use crate::time::UnixMs;

/// What is judged about an order or ticket; `None` before it is opened.
pub fn case_of(doc: &Document, state: &State, rules: &Rules<'_>) -> Option<Case> {
    let fields = state.content(doc, Map::Fields);
    let items = state.content(doc, Map::Items);
    let quantity = items.iter().filter(|(key, _)| key.ends_with(".quantity"));
    let all_items = u32::try_from(quantity.count()).unwrap_or(u32::MAX);
    let material = |(key, value): (&String, &Value)| {
        key.ends_with(".material").then(|| value.as_text()?.parse().ok()).flatten()
    };
    let closed = state.closing(state.flow(rules));
    let cancelled = state.cancelled.as_ref().filter(|_| state.is_cancelled());
    let ended = cancelled.map(|c| c.said.at.best().0).or_else(|| closed.map(|s| s.said.at.best().0));
    // Of two openings made apart the first leads, and the other is none.
    let leads = |entry: &Entry| {
        !matches!(entry.fact.payload, Payload::Opened(_))
            || state.opened.as_ref().is_some_and(|o| o.said.fact == entry.fact.id)
    };
    Some(Case {
        flow: state.flow_name()?.clone(),
        opened_ms: state.opened_ms()?,
        delivery: fields.get("delivery_date").and_then(Value::as_text).and_then(|d| d.parse().ok()),
        materials: items.iter().filter_map(material).collect(),
        urgency: state.opened.as_ref().and_then(|o| o.what.urgency.clone()),
        ended_ms: ended,
        pauses: state
            .pauses
            .iter()
            .map(|(p, end)| (p.said.at.best().0, end.map(|e| e.at.best().0)))
            .collect(),
        events: events(state.log.iter().filter(|e| leads(e)), &items, all_items),
    })
}

/// What the facts of a log are to the rules. A step that is done part by part is whole with its last part.
fn events<'a>(
    log: impl Iterator<Item = &'a Entry>,
    items: &BTreeMap<String, Value>,
    all_items: u32,
) -> Vec<Event> {
    let all: BTreeSet<ItemId> = items.keys().filter_map(|key| Some(split_item_key(key)?.0)).collect();
    let mut done: BTreeMap<&Name, BTreeSet<ItemId>> = BTreeMap::new();
    let mut whole = |entry: &'a Entry| match &entry.fact.payload {
        Payload::Step(p) if p.outcome == Outcome::Partial => {
            let done = done.entry(&p.step).or_default();
            done.extend(&p.items);
            !all.is_empty() && all.is_subset(done)
        }
        _ => true,
    };
    log.filter_map(|entry| Some(Event { whole: whole(entry), ..event(entry, all_items)? })).collect()
}

/// What a fact is to the rules; nothing where they do not speak of its kind.
fn event(entry: &Entry, all_items: u32) -> Option<Event> {
    let fact = &entry.fact;
    let happening = |name: &str| Some((Name::from_str(name).expect("a name of lower-case letters"), 0));
    let (step, items) = match &fact.payload {
        Payload::Step(p) if matches!(p.outcome, Outcome::Done | Outcome::Partial) => {
            Some((p.step.clone(), p.items.len()))
        }
        Payload::Opened(_) => happening("opened"),
        Payload::Contact(_) => happening("contact"),
        Payload::Exception(_) => happening("exception"),
        Payload::Resolved(_) => happening("resolved"),
        Payload::Escalated(_) => happening("escalated"),
        _ => None,
    }?;
    let items = if items == 0 { all_items } else { u32::try_from(items).unwrap_or(u32::MAX) };
    let resolves = match &fact.payload {
        Payload::Resolved(p) => Some(p.exception),
        _ => None,
    };
    Some(Event { fact: fact.id, step, at: fact.stamp, by: fact.author, items, resolves, whole: true })
}

/// What is judged about a document, with the policy that judges it: the one in force when it was opened.
pub fn judged<'a>(doc: &Document, state: &State, rules: &Rules<'a>) -> Option<(Case, &'a Policy)> {
    let (_, policy) = rules.at(state.opened.as_ref()?.said.at.best().0)?;
    Some((case_of(doc, state, rules)?, policy))
}

/// What the rules find about an order or ticket at a moment.
pub fn findings(doc: &Document, state: &State, rules: &Rules<'_>, now_ms: UnixMs) -> Vec<Finding> {
    judged(doc, state, rules).map(|(case, policy)| judge(&case, policy, now_ms)).unwrap_or_default()
}
