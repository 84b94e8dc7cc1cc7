//! From a wish to edits and facts. Nothing is judged here but what cannot be expressed at all; whether
//! the person may do it is the rulebook's answer.

use std::collections::BTreeMap;

use super::propose::proposal;
use super::{Action, Command, NewItem, Record};
use crate::authority::{kind_of, may_be_charged};
use crate::directory::Rules;
use crate::document::{Document, Edit};
use crate::domain::fields::{self, Field, Kind, Map, Value, item_key};
use crate::fact::kinds::{
    Approved, Assigned, Cancelled, Cleared, Contact, Declined, DeviceEnrolled, DeviceRevoked, Escalated,
    Exception, IntakeResumed, IntakeSuspended, Opened, Part, Paused, Payload, Payment, PersonAdded,
    PolicyDeclined, PolicyProposed, PolicyPublished, Resolved, Resumed, RoleEnded, RoleGranted, Settled,
    Step, StockMoved, StoreAdded, Visited,
};
use crate::findings::findings;
use crate::fold::content::SEALED;
use crate::fold::{State, fold};
use crate::ids::{AppointmentId, CommandId, CompanyId, DocId, DocKind, FactId, Name, PersonId, StoreId};
use crate::money::Currency;
use crate::refusal::{Refusal, RefusalCode};
use crate::time::Stamp;

/// What a notice's mark in the inbox says.
pub const READ: &str = "read";
/// The step of an opportunity without which it becomes no order (S9 1.2 (1) 签订合同).
const CONTRACT: &str = "contract";

/// Draws ten fresh random bytes for an id.
pub type Draw<'a> = &'a mut dyn FnMut() -> [u8; 10];

/// What deciding needs beside the wish.
pub struct Setting<'a> {
    /// The company.
    pub company: CompanyId,
    /// Who wishes.
    pub person: PersonId,
    /// Directory and policies.
    pub rules: Rules<'a>,
    /// The documents at hand, by id.
    pub find: &'a dyn Fn(DocId) -> Option<Document>,
    /// When.
    pub stamp: Stamp,
    /// Whether the author holds prices and payments.
    pub money: bool,
}

/// The documents and what is to be written in each, before ids are drawn.
type Plan = Vec<(DocId, Vec<Edit>, Option<Payload>)>;

/// Decides a command into actions, at most one for each document, the subject's first.
pub fn decide(
    command: Command,
    id: CommandId,
    setting: &Setting<'_>,
    draw: Draw<'_>,
) -> Result<Vec<Action>, Refusal> {
    let plan = plan(command, setting, draw)?;
    let (at_ms, _) = setting.stamp.best();
    let action = |(doc, edits, payload): (DocId, Vec<Edit>, Option<Payload>)| Action {
        command: id,
        doc,
        edits,
        fact: payload.map(|p| (FactId::at(at_ms, draw()), p.number(), p.to_cbor().into())),
        stamp: setting.stamp,
    };
    Ok(plan.into_iter().map(action).collect())
}

fn one(doc: DocId, payload: impl Into<Payload>) -> Result<Plan, Refusal> {
    Ok(vec![(doc, Vec::new(), Some(payload.into()))])
}

fn plan(command: Command, setting: &Setting<'_>, draw: Draw<'_>) -> Result<Plan, Refusal> {
    match command {
        Command::OpenOrder { .. } | Command::OpenCase { .. } | Command::OpenCustomer { .. } => {
            open(command, setting)
        }
        Command::BecomeOrder(doc, number) => become_order(doc, number, setting),
        Command::Read(notices) => read(&notices, setting),
        Command::Part { doc, sku, quantity, consumed, stock } => {
            let by = -i64::from(quantity);
            let taken =
                |stock| one(stock, StockMoved { sku: sku.clone(), by, ticket: Some(doc), note: None });
            let mut plan = one(doc, Part { sku: sku.clone(), quantity, consumed })?;
            if let Some(stock) = stock.filter(|_| consumed) {
                plan.extend(taken(stock)?);
            }
            Ok(plan)
        }
        Command::Edit(doc, changes) => edit(doc, &changes, setting),
        Command::AddItem(doc, item) => Ok(with_money(doc, item_edits(&item), None, setting)),
        Command::Note(doc, text) => {
            let key = hex::encode(FactId::at(setting.stamp.best().0, draw()).as_bytes());
            Ok(vec![(doc, vec![Edit::Put(Map::Notes, key, Value::Text(text))], None)])
        }
        Command::Step(doc, record) => step(doc, record, setting),
        Command::ProposeFound(doc, rule, penalty) => propose_found(doc, &rule, penalty, setting),
        Command::Approve(doc, note) => {
            let facets = [Some(doc), doc.kind().money().map(|kind| doc.facet(kind))];
            let mut plan = Plan::new();
            for facet in facets.into_iter().flatten() {
                let Some((found, state)) = known(facet, setting) else { continue };
                if facet == doc || !state.proposed.is_empty() {
                    let approved = Approved { heads: found.heads(), note: note.clone() };
                    plan.push((facet, Vec::new(), Some(approved.into())));
                }
            }
            Ok(plan)
        }
        Command::Decline(doc, reason) => decline(doc, reason, setting),
        Command::Clear { doc, guarantee, amount, method, evidence } => {
            let mut plan = one(doc, Cleared { guarantee, evidence: evidence.clone() })?;
            if let Some(amount) = amount {
                plan.extend(pay(doc, Payment { amount, method, evidence }, setting)?);
            }
            Ok(plan)
        }
        Command::Assign { doc, appointment, people, on, purpose, note } => {
            let fresh = || AppointmentId::at(setting.stamp.best().0, draw());
            let appointment = appointment.unwrap_or_else(fresh);
            one(doc, Assigned { appointment, people, on, purpose, note })
        }
        Command::Pay(doc, amount, method, evidence) => {
            pay(doc, Payment { amount, method, evidence }, setting)
        }
        other => simple(other, setting),
    }
}

fn pay(doc: DocId, payment: Payment, setting: &Setting<'_>) -> Result<Plan, Refusal> {
    if let Some((_, state)) = known(doc, setting).filter(|_| payment.charges()) {
        may_be_charged(&state, &setting.rules)?;
    }
    one(doc.facet(doc.kind().money().unwrap_or(doc.kind())), payment)
}

/// Commands that are one fact and nothing else.
fn simple(command: Command, setting: &Setting<'_>) -> Result<Plan, Refusal> {
    let directory = DocId::directory(setting.company);
    match command {
        Command::Cancel(doc, reason, evidence) => one(doc, Cancelled { reason, evidence }),
        Command::Visit(doc, appointment, status) => one(doc, Visited { appointment, status }),
        Command::Settle { doc, left, right, keep, reason } => one(doc, Settled { left, right, keep, reason }),
        Command::Contact(doc, channel, words, evidence) => one(doc, Contact { channel, words, evidence }),
        Command::Report(doc, what, evidence) => one(doc, Exception { what, evidence }),
        Command::Resolve(doc, exception, how) => one(doc, Resolved { exception, how }),
        Command::Escalate(doc, to, reason) => one(doc, Escalated { to, reason }),
        Command::OpenStock(number, store) => {
            let doc = DocId::numbered(setting.company, DocKind::Stock, number.trim());
            one(doc, opening("stock", number, store))
        }
        Command::CountIn(doc, sku, by, note) => {
            one(doc, StockMoved { sku, by: i64::from(by), ticket: None, note })
        }
        Command::Pause(doc, reason) => one(doc, Paused { reason }),
        Command::Resume(doc, note) => one(doc, Resumed { note }),
        Command::AddPerson(number, name) => {
            let person = PersonId::staffed(setting.company, &number);
            one(directory, PersonAdded { person, number, name })
        }
        Command::GrantRole(person, role, store, from_ms) => {
            one(directory, RoleGranted { person, role, store, from_ms })
        }
        Command::EndRole(person, role, at_ms) => one(directory, RoleEnded { person, role, at_ms }),
        Command::AddStore(name) => {
            one(directory, StoreAdded { store: StoreId::named(setting.company, &name), name })
        }
        Command::Enrol(certificate, custodial) => {
            one(directory, DeviceEnrolled { certificate: certificate.into(), custodial })
        }
        Command::Revoke(device, reason) => one(directory, DeviceRevoked { device, reason }),
        Command::PublishPolicy { version, hash, effective_ms, proposal } => {
            one(directory, PolicyPublished { version, hash, effective_ms, proposal })
        }
        Command::SuspendIntake(day, reason) => one(directory, IntakeSuspended { day, reason }),
        Command::ResumeIntake(day, reason) => one(directory, IntakeResumed { day, reason }),
        Command::ProposePolicy(hash, name, note) => one(directory, PolicyProposed { hash, name, note }),
        Command::DeclinePolicy(hash, reason) => one(directory, PolicyDeclined { hash, reason }),
        _ => Err(Refusal::new(RefusalCode::NewerApp)),
    }
}

fn known(doc: DocId, setting: &Setting<'_>) -> Option<(Document, State)> {
    let found = (setting.find)(doc)?;
    let state = fold(&found, &setting.rules);
    Some((found, state))
}

fn required(doc: DocId, setting: &Setting<'_>) -> Result<(Document, State), Refusal> {
    known(doc, setting).ok_or_else(|| Refusal::new(RefusalCode::NotFound).with("what", doc))
}

/// The edits of the subject and, where the author holds prices, those of the money facet.
fn with_money(
    doc: DocId,
    edits: (Vec<Edit>, Vec<Edit>),
    payload: Option<Payload>,
    setting: &Setting<'_>,
) -> Plan {
    let mut plan = vec![(doc, edits.0, payload)];
    if let Some(kind) = doc.kind().money().filter(|_| setting.money && !edits.1.is_empty()) {
        plan.push((doc.facet(kind), edits.1, None));
    }
    plan
}

fn item_edits(new: &NewItem) -> (Vec<Edit>, Vec<Edit>) {
    let put = |field: &str, value| Edit::Put(Map::Items, item_key(new.item, field), value);
    let mut edits = vec![
        put("product", Value::Text(new.product.clone())),
        put("model", Value::Text(new.model.clone())),
        put("quantity", Value::Int(i64::from(new.quantity))),
    ];
    edits.extend(new.material.as_ref().map(|m| put("material", Value::Text(m.to_string()))));
    let money = new.unit_price.map(|price| put("unit_price", Value::money(price)));
    (edits, money.into_iter().collect())
}

/// An opening with nothing but a flow, a number and a store.
fn opening(flow: &str, number: String, store: Option<StoreId>) -> Opened {
    let flow = flow.parse().expect("a valid name");
    Opened { flow, number, store, urgency: None, order: None, taken_ms: None, channel: None, about: None }
}

fn open(command: Command, setting: &Setting<'_>) -> Result<Plan, Refusal> {
    let (kind, opened, fields, items) = match command {
        Command::OpenOrder { number, store, fields, items, taken_ms, channel } => {
            let opened = Opened { taken_ms, channel, ..opening("order", number, store) };
            (DocKind::Order, opened, fields, items)
        }
        Command::OpenCase { flow, number, store, urgency, order, about, channel, fields } => {
            let policy = setting.rules.at(setting.stamp.best().0).map(|(_, policy)| policy);
            let subject = policy.and_then(|policy| policy.flows.get(&flow)).map(|flow| flow.subject);
            let unknown = || Refusal::new(RefusalCode::NotFound).with("what", &flow);
            let kind = kind_of(subject.ok_or_else(unknown)?);
            let opened = Opened { flow, number, store, urgency, order, taken_ms: None, channel, about };
            (kind, opened, fields, Vec::new())
        }
        Command::OpenCustomer { number, store, fields } => {
            (DocKind::Customer, opening("customer", number, store), fields, Vec::new())
        }
        _ => return Err(Refusal::new(RefusalCode::NewerApp)),
    };
    let doc = DocId::numbered(setting.company, kind, opened.number.trim());
    let mut edits = (Vec::new(), Vec::new());
    for (name, text) in &fields {
        let (facet, edit) = parse(doc, name, text)?;
        if facet.is_money() { edits.1.push(edit) } else { edits.0.push(edit) }
    }
    for item in &items {
        let (ours, money) = item_edits(item);
        edits.0.extend(ours);
        edits.1.extend(money);
    }
    Ok(with_money(doc, edits, Some(opened.into()), setting))
}

/// A new order with the content of an opportunity, as far as its author sees it.
fn become_order(from: DocId, number: String, setting: &Setting<'_>) -> Result<Plan, Refusal> {
    let (found, state) = required(from, setting)?;
    if state.is_cancelled() {
        return Err(Refusal::new(RefusalCode::Cancelled));
    }
    let contract = state.flow(&setting.rules).and_then(|flow| flow.step(CONTRACT));
    if let Some(contract) = contract.filter(|_| !state.done(CONTRACT)) {
        let refusal =
            Refusal::new(RefusalCode::StepOrder).with_words("action", ("转为订单", "become an order"));
        return Err(refusal.with_words("missing", contract.title.pair()));
    }
    let order = DocId::numbered(setting.company, DocKind::Order, number.trim());
    let copied = |doc: &Document, state: &State| -> Vec<Edit> {
        let of = |map: Map| state.content(doc, map).into_iter().map(move |(key, v)| Edit::Put(map, key, v));
        SEALED.into_iter().flat_map(of).collect()
    };
    let prices = from.kind().money().and_then(|kind| known(from.facet(kind), setting));
    let edits = (copied(&found, &state), prices.map(|(doc, state)| copied(&doc, &state)).unwrap_or_default());
    let opened = Opened { order: Some(from), ..opening("order", number, state.store()) };
    Ok(with_money(order, edits, Some(opened.into()), setting))
}

/// Marks in the person's inbox, which is opened by the first of them.
fn read(notices: &[[u8; 16]], setting: &Setting<'_>) -> Result<Plan, Refusal> {
    let inbox = DocId::inbox(setting.company, setting.person);
    let mark = |notice: &[u8; 16]| Edit::Put(Map::Notes, hex::encode(notice), Value::Text(READ.into()));
    let opens = (setting.find)(inbox).is_none();
    let opened = opens.then(|| {
        let opened = opening("inbox", setting.person.to_string(), None);
        Opened { about: Some(setting.person), ..opened }.into()
    });
    Ok(vec![(inbox, notices.iter().map(mark).collect(), opened)])
}

/// The field that a key names in a document or its money facet, and the edit that puts the text there.
fn parse(doc: DocId, key: &str, text: &str) -> Result<(DocKind, Edit), Refusal> {
    let (field, map) = field_of(doc, key)?;
    let value = typed(field, text)?;
    let edit = Edit::Put(map, key.to_owned(), value);
    Ok((field.doc, edit))
}

fn field_of(doc: DocId, key: &str) -> Result<(&'static Field, Map), Refusal> {
    let kinds = [Some(doc.kind()), doc.kind().money()];
    let found = kinds.into_iter().flatten().find_map(|kind| {
        [Map::Fields, Map::Items].into_iter().find_map(|map| Some((fields::find(kind, map, key)?, map)))
    });
    found.ok_or_else(|| Refusal::new(RefusalCode::UnknownField).with("field", key))
}

/// Text as a person writes it, as the field's type.
fn typed(field: &Field, text: &str) -> Result<Value, Refusal> {
    let bad = |reason: &dyn std::fmt::Display| {
        Refusal::new(RefusalCode::ValueInvalid).with_words("field", field.words).with("reason", reason)
    };
    let text = text.trim();
    match field.kind {
        Kind::Quantity => text.parse().map(Value::Int).map_err(|e| bad(&e)),
        Kind::Flag => text.parse().map(Value::Flag).map_err(|e| bad(&e)),
        Kind::Money => match fields::parse_money(text) {
            Some(money) => Ok(Value::money(money)),
            None => {
                let money = crate::money::Money::parse(text, Currency::CNY).map_err(|e| bad(&e))?;
                Ok(Value::money(money))
            }
        },
        _ => Ok(Value::Text(text.to_owned())),
    }
}

fn edit(
    doc: DocId,
    changes: &BTreeMap<String, Option<String>>,
    setting: &Setting<'_>,
) -> Result<Plan, Refusal> {
    let mut edits = (Vec::new(), Vec::new());
    for (key, text) in changes {
        let (facet, edit) = match text {
            Some(text) => parse(doc, key, text)?,
            None => {
                let (field, map) = field_of(doc, key)?;
                (field.doc, Edit::Delete(map, key.clone()))
            }
        };
        if facet == doc.kind() { edits.0.push(edit) } else { edits.1.push(edit) }
    }
    let mut plan = with_money(doc, edits, None, setting);
    plan.retain(|(_, edits, _)| !edits.is_empty());
    Ok(plan)
}

fn step(doc: DocId, record: Record, setting: &Setting<'_>) -> Result<Plan, Refusal> {
    let (found, state) = required(doc, setting)?;
    let flow = state.flow(&setting.rules);
    let rule = flow.and_then(|f| f.step(record.step.as_str()));
    let unknown = || Refusal::new(RefusalCode::StepUnknown).with("action", &record.step);
    let rule = rule.ok_or_else(unknown)?;
    let seals = rule.seal || record.signature.is_some();
    let payload = Step {
        step: record.step,
        outcome: record.outcome,
        items: record.items,
        values: record.values,
        evidence: record.evidence,
        appointment: record.appointment,
        signature: record.signature,
        seal: seals.then(|| found.heads()),
        note: record.note,
    };
    let mut plan = one(doc, payload)?;
    let money = doc.kind().money().map(|kind| doc.facet(kind)).filter(|_| rule.seal && setting.money);
    if let Some((facet, (prices, _))) = money.and_then(|facet| Some((facet, known(facet, setting)?))) {
        let approved = Approved { heads: prices.heads(), note: None };
        plan.push((facet, Vec::new(), Some(approved.into())));
    }
    Ok(plan)
}

fn propose_found(
    doc: DocId,
    rule: &Name,
    penalty: Option<Name>,
    setting: &Setting<'_>,
) -> Result<Plan, Refusal> {
    let (_, state) = required(doc, setting)?;
    let missing = |what: &dyn std::fmt::Display| Refusal::new(RefusalCode::NotFound).with("what", what);
    let first = state.flow(&setting.rules).and_then(|flow| flow.steps.first());
    let first = first.ok_or_else(|| missing(&doc))?.id.clone();
    let rests_on = state.opened.as_ref().and_then(|opened| opened.what.order);
    let (case, of_case) = required(rests_on.ok_or_else(|| missing(&doc))?, setting)?;
    let found = findings(&case, &of_case, &setting.rules, setting.stamp.best().0);
    let number = of_case.opened.as_ref().map_or("", |opened| opened.what.number.as_str());
    let record = proposal(first, &found, rule, number, penalty).ok_or_else(|| missing(rule))?;
    step(doc, record, setting)
}

fn decline(doc: DocId, reason: String, setting: &Setting<'_>) -> Result<Plan, Refusal> {
    let (found, state) = required(doc, setting)?;
    let back = |p: &crate::fold::content::Proposal| match &p.in_force {
        Some(value) => Edit::Put(p.map, p.key.clone(), value.clone()),
        None => Edit::Delete(p.map, p.key.clone()),
    };
    let edits = state.proposed.iter().map(back).collect();
    Ok(vec![(doc, edits, Some(Declined { heads: found.heads(), reason }.into()))])
}
