//! From the log to cases in memory: which documents a piece of the log touched, and what they come to.
//!
//! [`stage`] blocks (it reads the log and folds documents) and runs off the reactor; [`super::write`]
//! makes rows of it. A money facet is read with its order or ticket into one case.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sync_core::document::Document;
use sync_core::domain::fields::{Map, Value, parse_money, split_item_key};
use sync_core::fold::{State, fold};
use sync_core::ids::{DocId, DocKind, ItemId, Position};
use sync_core::money::Money;
use sync_core::notice::Outlook;
use sync_core::policy::values::CAUSE;
use sync_core::time::UnixMs;
use sync_core::view::row::Row;

use super::measure::{self, Measures, PLACED};
use super::notices::{Look, Teller};
use super::schema::ASSESSORS;
use super::{said, words};
use crate::log::{Entry, Tag};
use crate::relay::audience::tags;
use crate::relay::{Footing, Relay, RelayError};

/// What a piece of the log comes to.
pub(super) struct Staged {
    pub upto: Position,
    pub cases: Vec<Case>,
    pub directory: bool,
    /// What they were folded by; the policies that are noted with the rows must be these.
    pub footing: Arc<Footing>,
}

/// One order, ticket, matter or another case with its rows.
pub(super) struct Case {
    pub row: Row,
    pub position: Position,
    /// What there is to hear of it, where somebody tells it outside; otherwise it is looked at later.
    pub look: Option<Look>,
    pub texts: Texts,
    pub opened_by: String,
    pub escalations: i64,
    pub sealed: bool,
    pub cleared: bool,
    pub placed: bool,
    pub total: Option<Money>,
    pub paid: Option<Money>,
    /// Fact, step, person, outcome.
    pub steps: Vec<[String; 4]>,
    pub step_times: Vec<i64>,
    /// Appointment, day, person, status; whether it is open.
    pub appointments: Vec<([String; 4], bool)>,
    /// Who sees it by their person: appointments, matters and records about them.
    pub seers: Vec<String>,
    /// Everybody does.
    pub everyone: bool,
    /// Those who see all documents of this kind see it, or those who assess people.
    pub circle: &'static str,
    pub items: Vec<(ItemId, BTreeMap<String, Value>)>,
    pub measures: Measures,
    /// The tokens that search knows it by.
    pub tokens: String,
}

/// Fields of the row that are texts.
#[derive(Default)]
pub(super) struct Texts {
    pub phone: String,
    pub address: String,
    pub sales: String,
    pub customer_file: String,
    pub channel: String,
    pub urgency: String,
    pub cause: String,
    /// The order that a ticket is about.
    pub order: String,
}

/// Reads at most `limit` entries after a position and folds what they touched; `None` at the log's end.
pub(super) fn stage(
    relay: &Relay,
    after: Position,
    limit: usize,
    teller: Option<&Teller>,
) -> Result<Option<Staged>, RelayError> {
    let entries = relay.entries(after, limit)?;
    let Some(last) = entries.last() else { return Ok(None) };
    let upto = last.position;
    let mut touched = BTreeMap::new();
    let mut directory = false;
    for logged in &entries {
        let Entry::Change { doc, .. } = &logged.entry else { continue };
        match doc.subject().kind() {
            kind if DocKind::NUMBERED.contains(&kind) => {
                touched.insert(doc.subject(), logged.position);
            }
            DocKind::Directory => directory = true,
            _ => {}
        }
    }
    if directory {
        // Waits until whoever wrote it has also replaced the footing.
        relay.document(DocId::directory(relay.company()))?;
    }
    let footing = relay.footing();
    let cases = cases(relay, &footing, &touched, teller)?;
    Ok(Some(Staged { upto, cases, directory, footing }))
}

pub(super) fn cases(
    relay: &Relay,
    footing: &Footing,
    touched: &BTreeMap<DocId, Position>,
    teller: Option<&Teller>,
) -> Result<Vec<Case>, RelayError> {
    let made = touched.iter().map(|(doc, position)| case(relay, footing, (*doc, *position), teller));
    made.filter_map(Result::transpose).collect()
}

/// What one order or ticket comes to; `None` where only its money facet has arrived so far.
fn case(
    relay: &Relay,
    footing: &Footing,
    (id, position): (DocId, Position),
    teller: Option<&Teller>,
) -> Result<Option<Case>, RelayError> {
    let now_ms = teller.map(|teller| teller.now_ms);
    let made = relay.look(id, |doc| case_of(doc, footing, position, now_ms))?;
    let Some(mut made) = made else { return Ok(None) };
    if let Some((look, teller)) = made.look.as_mut().zip(teller) {
        teller.tell(look, footing)?;
    }
    let (total, paid) = money(relay, footing, id)?;
    Ok(Some(Case { total, paid, ..made }))
}

/// One order or ticket without its money; looked at where the moment is given.
fn case_of(doc: &Document, footing: &Footing, position: Position, now_ms: Option<UnixMs>) -> Case {
    let rules = footing.rules();
    let state = fold(doc, &rules);
    let mut items: BTreeMap<ItemId, BTreeMap<String, Value>> = BTreeMap::new();
    for (key, value) in state.content(doc, Map::Items) {
        if let Some((item, field)) = split_item_key(&key) {
            items.entry(item).or_default().insert(field.to_owned(), value);
        }
    }
    let named: Vec<ItemId> = items.keys().copied().collect();
    let outlook = Outlook::of(doc, &state, &rules);
    let look = now_ms.map(|now_ms| Look::at(doc.id(), position, &outlook, now_ms));
    let row = Row::still(doc, &state, &rules);
    let tokens = tokens(doc, &state, &row, &items);
    let tags = tags(&state);
    let seers = tags.iter().filter_map(|tag| match tag {
        Tag::Person(person, _) => Some(person.to_string()),
        _ => None,
    });
    let circle = tags.iter().find_map(|tag| match tag {
        Tag::All(kind) => Some(kind.name()),
        Tag::Assessors => Some(ASSESSORS),
        _ => None,
    });
    Case {
        row,
        position,
        look,
        texts: texts(doc, &state),
        opened_by: state.opened.as_ref().map(|opened| opened.said.by.to_string()).unwrap_or_default(),
        escalations: i64::try_from(state.escalations.len()).unwrap_or(i64::MAX),
        sealed: state.in_force.is_some(),
        cleared: state.cleared.is_some(),
        placed: state.done(PLACED),
        total: None,
        paid: None,
        steps: steps(&state),
        step_times: state.steps.iter().map(|s| s.said.at.best().0).collect(),
        appointments: appointments(&state),
        seers: seers.collect(),
        everyone: tags.contains(&Tag::Everyone),
        circle: circle.unwrap_or_default(),
        items: items.into_iter().collect(),
        measures: measure::measures(doc, &state, &rules, &named, outlook.case()),
        tokens,
    }
}

fn texts(doc: &Document, state: &State) -> Texts {
    let fields = state.content(doc, Map::Fields);
    let text = |name: &str| text_of(&fields, name);
    let opened = state.opened.as_ref().map(|opened| &opened.what);
    // The cause in force; where none is, the one that a step named last.
    let cause = Some(text("cause")).filter(|cause| !cause.is_empty());
    Texts {
        phone: text("phone"),
        address: text("address"),
        sales: text("sales"),
        customer_file: text("customer_file"),
        channel: opened.and_then(|o| o.channel.clone()).unwrap_or_default(),
        urgency: opened.and_then(|o| o.urgency.as_ref()).map(ToString::to_string).unwrap_or_default(),
        cause: cause.or_else(|| state.value(CAUSE).map(str::to_owned)).unwrap_or_default(),
        order: opened.and_then(|o| o.order).map(|order| order.to_string()).unwrap_or_default(),
    }
}

/// What search knows a case by: its number, whom it is for, its fields and items, and what was said.
fn tokens(
    doc: &Document,
    state: &State,
    row: &Row,
    items: &BTreeMap<ItemId, BTreeMap<String, Value>>,
) -> String {
    let mut tokens = String::new();
    words::index(&row.number, &mut tokens);
    let products = items.values().flat_map(|item| ["product", "model"].map(|name| text_of(item, name)));
    for text in products.chain(said::said(doc, state)) {
        words::index(&text, &mut tokens);
    }
    tokens
}

pub(super) fn text_of(fields: &BTreeMap<String, Value>, name: &str) -> String {
    fields.get(name).and_then(Value::as_text).unwrap_or_default().to_owned()
}

/// Total or quotation, and the sum of payments in the currency of the first of these.
fn money(relay: &Relay, footing: &Footing, id: DocId) -> Result<(Option<Money>, Option<Money>), RelayError> {
    let Some(kind) = id.kind().money() else { return Ok((None, None)) };
    let Some(doc) = relay.document(id.facet(kind))? else { return Ok((None, None)) };
    let state = fold(&doc, &footing.rules());
    let fields = state.content(&doc, Map::Fields);
    let amount = |name: &str| fields.get(name).and_then(Value::as_text).and_then(parse_money);
    let total = amount("total").or_else(|| amount("quotation"));
    let mut paid: Option<Money> = None;
    for payment in state.payments.iter().map(|p| p.what.amount) {
        let currency = total.or(paid).map_or(payment.currency, |m| m.currency);
        if payment.currency == currency {
            let minor = paid.map_or(0, |p| p.minor).saturating_add(payment.minor);
            paid = Some(Money::new(minor, currency));
        }
    }
    Ok((total, paid))
}

fn steps(state: &State) -> Vec<[String; 4]> {
    let row = |s: &sync_core::fold::Saying<sync_core::fact::kinds::Step>| {
        let by = s.said.by.to_string();
        [s.said.fact.to_string(), s.what.step.to_string(), by, s.what.outcome.name().to_owned()]
    };
    state.steps.iter().map(row).collect()
}

fn appointments(state: &State) -> Vec<([String; 4], bool)> {
    let mut rows = Vec::new();
    for (id, a) in &state.appointments {
        for person in a.people.iter().collect::<BTreeSet<_>>() {
            let row = [id.to_string(), a.on.clone(), person.to_string(), a.status.name().to_owned()];
            rows.push((row, a.status.is_open()));
        }
    }
    rows
}
