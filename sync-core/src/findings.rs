//! Findings of a document: its folded state as a case, judged by the policy in force when it was opened.

use std::str::FromStr as _;

use crate::directory::Rules;
use crate::document::Document;
use crate::domain::fields::{Map, Value};
use crate::fact::kinds::Outcome;
use crate::fold::State;
use crate::ids::Name;
use crate::policy::judge::{Case, Event, Finding, judge};
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
    let happened = state.steps.iter().filter(|s| matches!(s.what.outcome, Outcome::Done | Outcome::Partial));
    let event = |s: &crate::fold::Saying<crate::fact::kinds::Step>| Event {
        fact: s.said.fact,
        step: s.what.step.clone(),
        at: s.said.at,
        by: s.said.by,
        items: match u32::try_from(s.what.items.len()) {
            Ok(0) => all_items,
            Ok(count) => count,
            Err(_) => u32::MAX,
        },
    };
    let opening = state.opened.as_ref().map(|opened| Event {
        fact: opened.said.fact,
        step: Name::from_str("opened").expect("a name of lower-case letters"),
        at: opened.said.at,
        by: opened.said.by,
        items: all_items,
    });
    let flow = state.flow(rules);
    let closes = |id: &Name| flow.and_then(|f| f.step(id.as_str())).is_some_and(|step| step.closes);
    let closed = state.steps.iter().find(|s| s.what.outcome == Outcome::Done && closes(&s.what.step));
    let cancelled = state.cancelled.as_ref().filter(|_| state.is_cancelled());
    let ended = cancelled.map(|c| c.said.at.best().0).or_else(|| closed.map(|s| s.said.at.best().0));
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
        events: opening.into_iter().chain(happened.map(event)).collect(),
    })
}

/// What the rules find about an order or ticket at a moment.
pub fn findings(doc: &Document, state: &State, rules: &Rules<'_>, now_ms: UnixMs) -> Vec<Finding> {
    let opened = state.opened.as_ref().map(|o| o.said.at.best().0);
    let policy = opened.and_then(|ms| rules.at(ms));
    let Some(((_, policy), case)) = policy.zip(case_of(doc, state, rules)) else { return Vec::new() };
    judge(&case, policy, now_ms)
}
