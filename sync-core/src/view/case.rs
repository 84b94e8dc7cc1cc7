//! One order or ticket as a person sees it: content, what is proposed, steps, what they may do next,
//! appointments and clashes, all in words.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::authority::Act;
use crate::directory::Rules;
use crate::document::Document;
use crate::domain::fields::{self, Map, Value};
use crate::fact::kinds::{Contact, Escalated, Evidence, Exception, Part, Payment, Step as StepFact};
use crate::fold::clash::{Clash, ClashKind};
use crate::fold::content::Proposal;
use crate::fold::{Said, Saying, State};
use crate::ids::{DocKind, FactId, PersonId};
use crate::policy::model::{EvidenceKind, Flow, Step};
use crate::refusal::Lang;
use crate::time::{TimeSource, UnixMs};

/// One field with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FieldView {
    /// The key, for editing.
    pub key: String,
    /// What people call it.
    pub title: String,
    /// The value in force, or as it stands where nothing is sealed.
    pub value: String,
}

/// An edit that is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProposalView {
    /// The key.
    pub key: String,
    /// What people call it.
    pub title: String,
    /// What is in force; empty where nothing is.
    pub in_force: String,
    /// What is proposed; empty where it is to go.
    pub proposed: String,
    /// Who proposed it.
    pub by: String,
}

/// A photo, file or message that was attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EvidenceView {
    /// `text-message`, `photo`, `file` or `signature`.
    pub kind: &'static str,
    /// A message, word for word.
    pub text: String,
    /// The photo's or file's hash, hex, by which it is fetched; empty for a message.
    pub blob: String,
    /// Its media type, such as `image/jpeg`.
    pub media: String,
    /// The document of a checklist that it is.
    pub document: String,
}

/// A contact with the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ContactView {
    /// Phone, message, e-mail, visit.
    pub channel: String,
    /// What was said.
    pub words: String,
    /// Who logged it.
    pub by: String,
    /// When.
    pub at_ms: UnixMs,
    /// What proves it.
    pub evidence: Vec<EvidenceView>,
}

/// Something that endangers quality or date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ExceptionView {
    /// The fact's id, for resolving it.
    pub fact: String,
    /// What.
    pub what: String,
    /// How it was resolved; empty where it is not.
    pub resolved: String,
    /// Who reported it.
    pub by: String,
    /// When.
    pub at_ms: UnixMs,
    /// What proves it.
    pub evidence: Vec<EvidenceView>,
}

/// Something that was passed upward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EscalationView {
    /// The role it went to, as people call it.
    pub to: String,
    /// Why.
    pub reason: String,
    /// Who passed it on.
    pub by: String,
    /// When.
    pub at_ms: UnixMs,
}

/// A part that the job needs, or that it used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PartView {
    /// The part.
    pub sku: String,
    /// How many.
    pub quantity: u32,
    /// Used; otherwise needed.
    pub used: bool,
    /// Who said it.
    pub by: String,
    /// When.
    pub at_ms: UnixMs,
}

/// A payment; seen by who sees amounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PaymentView {
    /// How much, `100.00 CNY`; negative for a refund.
    pub amount: String,
    /// Cash, transfer, card.
    pub method: String,
    /// Who took it.
    pub by: String,
    /// When.
    pub at_ms: UnixMs,
    /// What proves it.
    pub evidence: Vec<EvidenceView>,
}

/// A step that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StepView {
    /// The fact's id.
    pub fact: String,
    /// The step.
    pub step: String,
    /// What people call it.
    pub title: String,
    /// `done`, `partial`, `refused` or `failed`.
    pub outcome: &'static str,
    /// Who recorded it.
    pub by: String,
    /// When.
    pub at_ms: UnixMs,
    /// Whether the relay's time stands behind it, or the device's clock alone.
    pub trusted_time: bool,
    /// The customer signed.
    pub signed: bool,
    /// Who signed, as written; empty where nobody did.
    pub signer: String,
    /// The items that it is about, as in the keys of their fields; empty where it is about all.
    pub items: Vec<String>,
    /// A remark.
    pub note: String,
    /// What proves it.
    pub evidence: Vec<EvidenceView>,
    /// Values.
    pub values: BTreeMap<String, String>,
}

/// A step that may come next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NextView {
    /// The step.
    pub step: String,
    /// What people call it.
    pub title: String,
    /// Whether this person may record it now.
    pub possible: bool,
    /// Why not, in Chinese; empty where possible.
    pub why_not: String,
    /// Why not, in English.
    pub why_not_en: String,
    /// What it needs: `text-message`, `photo`, `file`, `signature`, or the name of a document, check or value.
    pub needs: Vec<String>,
}

/// An appointment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AppointmentView {
    /// Its id.
    pub id: String,
    /// The day.
    pub on: String,
    /// Who goes.
    pub people: Vec<String>,
    /// What for.
    pub purpose: String,
    /// `scheduled`, `dispatched`, `travelling`, `on_site`, `completed`, `cannot_complete`, `cancelled`.
    pub status: &'static str,
}

/// Two facts that cannot both lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClashView {
    /// The fact that leads until it is settled.
    pub left: String,
    /// The other.
    pub right: String,
    /// `cancelled_but_done`, `content_differs`, `done_twice` or `stock_short`.
    pub kind: &'static str,
    /// What happened, in Chinese.
    pub words: String,
    /// What happened, in English.
    pub words_en: String,
    /// How it was settled; empty where it is not.
    pub settled: String,
}

/// An order or ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CaseView {
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
    pub opened_ms: Option<UnixMs>,
    /// How urgent a ticket is, by its name in the policy; empty where nobody said.
    pub urgency: String,
    /// How the request came.
    pub channel: String,
    /// The document that it rests on, such as a ticket's order.
    pub rests_on: String,
    /// The person whom it is about.
    pub about: String,
    /// Fields in force.
    pub fields: Vec<FieldView>,
    /// Items in force, each with its fields.
    pub items: Vec<Vec<FieldView>>,
    /// Remarks.
    pub notes: Vec<String>,
    /// Edits not in force.
    pub proposed: Vec<ProposalView>,
    /// Steps recorded.
    pub steps: Vec<StepView>,
    /// Steps that may come next for this person.
    pub next: Vec<NextView>,
    /// Appointments.
    pub appointments: Vec<AppointmentView>,
    /// Clashes.
    pub clashes: Vec<ClashView>,
    /// Exceptions.
    pub exceptions: Vec<ExceptionView>,
    /// Contacts with the customer.
    pub contacts: Vec<ContactView>,
    /// What was passed upward.
    pub escalations: Vec<EscalationView>,
    /// Parts needed and used.
    pub parts: Vec<PartView>,
    /// Payments, where whoever looks sees amounts.
    pub payments: Vec<PaymentView>,
    /// What its clock stands still for; empty while it runs.
    pub paused: String,
    /// Facts that only a newer app understands.
    pub unknown: u32,
    /// The document's heads, hex: what a signature made now would name.
    pub heads: Vec<String>,
}

/// Who looks at a document, by which rules and when.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Directory and policies.
    pub rules: Rules<'a>,
    /// Who looks.
    pub person: PersonId,
    /// When.
    pub now_ms: UnixMs,
}

/// The view of an order or ticket; `money` is its money facet, where whoever looks sees amounts.
pub fn case(doc: &Document, state: &State, money: Option<&State>, look: Look<'_>) -> CaseView {
    let flow = state.flow(&look.rules);
    let directory = look.rules.directory;
    let store = state.store().and_then(|s| directory.stores.get(&s)).cloned();
    let notes = doc.values(Map::Notes);
    let opened = state.opened.as_ref().map(|opened| &opened.what);
    let open_pause = state.pauses.iter().rev().find(|(_, end)| end.is_none());
    CaseView {
        doc: doc.id().to_string(),
        number: opened.map(|opened| opened.number.clone()).unwrap_or_default(),
        flow: state.flow_name().map(ToString::to_string).unwrap_or_default(),
        title: flow.map(|f| f.title.zh.clone()).unwrap_or_default(),
        store: store.unwrap_or_default(),
        sealed: state.in_force.is_some(),
        cancelled: state.is_cancelled(),
        closed: state.is_closed(flow),
        cleared: state.cleared.is_some(),
        record_in_force: doc.id().kind() == DocKind::Conduct && state.holds(),
        opened_ms: state.opened_ms(),
        urgency: opened.and_then(|o| o.urgency.as_ref()).map(ToString::to_string).unwrap_or_default(),
        channel: opened.and_then(|o| o.channel.clone()).unwrap_or_default(),
        rests_on: opened.and_then(|o| o.order).map(|order| order.to_string()).unwrap_or_default(),
        about: state.about().map(|person| directory.person_name(person)).unwrap_or_default(),
        fields: fields_of(doc, state, Map::Fields),
        items: items_of(doc, state),
        notes: notes.into_iter().map(|(_, value)| value.to_string()).collect(),
        proposed: state.proposed.iter().map(|p| proposal(doc, p, look)).collect(),
        steps: state.steps.iter().map(|s| step_view(flow, s, look)).collect(),
        next: next_steps(doc, state, look),
        appointments: state
            .appointments
            .iter()
            .map(|(id, a)| appointment(&id.to_string(), a, look))
            .collect(),
        clashes: state.clashes.iter().map(|c| clash_view(c, state, flow, look)).collect(),
        exceptions: state.exceptions.iter().map(|e| exception(e, look)).collect(),
        contacts: state.contacts.iter().map(|c| contact(c, look)).collect(),
        escalations: state.escalations.iter().map(|e| escalation(e, look)).collect(),
        parts: state.parts.iter().map(|p| part(p, look)).collect(),
        payments: money.map(|m| m.payments.iter().map(|p| payment(p, look)).collect()).unwrap_or_default(),
        paused: open_pause.map(|(p, _)| p.what.clone()).unwrap_or_default(),
        unknown: u32::try_from(state.unknown).unwrap_or(u32::MAX),
        heads: doc.heads().iter().map(ToString::to_string).collect(),
    }
}

fn title_of(doc: &Document, map: Map, key: &str) -> String {
    fields::find(doc.id().kind(), map, key).map_or_else(|| key.to_owned(), |f| f.words.0.to_owned())
}

fn fields_of(doc: &Document, state: &State, map: Map) -> Vec<FieldView> {
    let content = state.content(doc, map);
    let view = |(key, value): (&String, &Value)| FieldView {
        key: key.clone(),
        title: title_of(doc, map, key),
        value: value.to_string(),
    };
    content.iter().map(view).collect()
}

fn items_of(doc: &Document, state: &State) -> Vec<Vec<FieldView>> {
    let mut items: BTreeMap<String, Vec<FieldView>> = BTreeMap::new();
    for field in fields_of(doc, state, Map::Items) {
        let item = field.key.split_once('.').map_or("", |(item, _)| item).to_owned();
        items.entry(item).or_default().push(field);
    }
    items.into_values().collect()
}

fn proposal(doc: &Document, p: &Proposal, look: Look<'_>) -> ProposalView {
    let directory = look.rules.directory;
    let device = p.writer.and_then(|actor| directory.devices.get(&actor.device));
    let text = |value: &Option<Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    ProposalView {
        key: p.key.clone(),
        title: title_of(doc, p.map, &p.key),
        in_force: text(&p.in_force),
        proposed: text(&p.proposed),
        by: device.map(|d| directory.person_name(d.person)).unwrap_or_default(),
    }
}

fn evidence(given: &[Evidence]) -> Vec<EvidenceView> {
    let view = |e: &Evidence| EvidenceView {
        kind: kind_name(e.kind),
        text: e.text.clone().unwrap_or_default(),
        blob: e.blob.map(|blob| blob.to_string()).unwrap_or_default(),
        media: e.media.clone().unwrap_or_default(),
        document: e.document.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    given.iter().map(view).collect()
}

/// Who said something, and when.
fn sayer(said: Said, look: Look<'_>) -> (String, UnixMs) {
    (look.rules.directory.person_name(said.by), said.at.best().0)
}

fn exception((e, resolved): &(Saying<Exception>, Option<Saying<String>>), look: Look<'_>) -> ExceptionView {
    let (by, at_ms) = sayer(e.said, look);
    ExceptionView {
        fact: e.said.fact.to_string(),
        what: e.what.what.clone(),
        resolved: resolved.as_ref().map(|r| r.what.clone()).unwrap_or_default(),
        by,
        at_ms,
        evidence: evidence(&e.what.evidence),
    }
}

fn contact(c: &Saying<Contact>, look: Look<'_>) -> ContactView {
    let (by, at_ms) = sayer(c.said, look);
    let Contact { channel, words, evidence: given } = &c.what;
    ContactView { channel: channel.clone(), words: words.clone(), by, at_ms, evidence: evidence(given) }
}

fn escalation(e: &Saying<Escalated>, look: Look<'_>) -> EscalationView {
    let (by, at_ms) = sayer(e.said, look);
    let roles = look.rules.at(at_ms).map(|(_, policy)| &policy.roles);
    let role = roles.and_then(|roles| roles.get(&e.what.to));
    let to = role.map_or_else(|| e.what.to.to_string(), |role| role.title.zh.clone());
    EscalationView { to, reason: e.what.reason.clone(), by, at_ms }
}

fn part(p: &Saying<Part>, look: Look<'_>) -> PartView {
    let (by, at_ms) = sayer(p.said, look);
    PartView { sku: p.what.sku.clone(), quantity: p.what.quantity, used: p.what.consumed, by, at_ms }
}

fn payment(p: &Saying<Payment>, look: Look<'_>) -> PaymentView {
    let (by, at_ms) = sayer(p.said, look);
    let (amount, method) = (p.what.amount.to_string(), p.what.method.clone());
    PaymentView { amount, method, by, at_ms, evidence: evidence(&p.what.evidence) }
}

fn step_view(flow: Option<&Flow>, s: &Saying<StepFact>, look: Look<'_>) -> StepView {
    let (at_ms, source) = s.said.at.best();
    StepView {
        fact: s.said.fact.to_string(),
        step: s.what.step.to_string(),
        title: step_title(flow, s.what.step.as_str(), Lang::Zh),
        outcome: s.what.outcome.name(),
        by: look.rules.directory.person_name(s.said.by),
        at_ms,
        trusted_time: source == TimeSource::Trusted,
        signed: s.what.signature.is_some(),
        signer: s.what.signature.as_ref().map(|signature| signature.signer.clone()).unwrap_or_default(),
        items: s.what.items.iter().map(|item| hex::encode(item.as_bytes())).collect(),
        note: s.what.note.clone().unwrap_or_default(),
        evidence: evidence(&s.what.evidence),
        values: s.what.values.iter().map(|(k, v)| (k.to_string(), v.clone())).collect(),
    }
}

fn step_title(flow: Option<&Flow>, step: &str, lang: Lang) -> String {
    flow.and_then(|f| f.step(step)).map_or_else(|| step.to_owned(), |s| s.title.get(lang).to_owned())
}

/// The steps that are not wholly done, each with whether this person may record it now.
pub fn next_steps(doc: &Document, state: &State, look: Look<'_>) -> Vec<NextView> {
    let Some(flow) = state.flow(&look.rules) else { return Vec::new() };
    let act = Act {
        rules: look.rules,
        person: look.person,
        doc,
        state,
        at_ms: look.now_ms,
        received_ms: look.now_ms,
    };
    let open = flow.steps.iter().filter(|s| s.repeat || !state.done(s.id.as_str()));
    let view = |step: &Step| {
        let verdict = act.in_scope(state.store()).and_then(|()| act.step_possible(step));
        NextView {
            step: step.id.to_string(),
            title: step.title.zh.clone(),
            possible: verdict.is_ok(),
            why_not: verdict.as_ref().err().map(|r| r.text(Lang::Zh)).unwrap_or_default(),
            why_not_en: verdict.as_ref().err().map(|r| r.text(Lang::En)).unwrap_or_default(),
            needs: needs(step),
        }
    };
    open.map(view).collect()
}

const fn kind_name(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::TextMessage => "text-message",
        EvidenceKind::Photo => "photo",
        EvidenceKind::Signature => "signature",
        EvidenceKind::File => "file",
    }
}

fn needs(step: &Step) -> Vec<String> {
    let mut needs: Vec<String> = step.evidence.iter().map(|kind| kind_name(*kind).to_owned()).collect();
    needs
        .extend([&step.documents, &step.checks, &step.values].into_iter().flatten().map(ToString::to_string));
    if step.signature {
        needs.push("signature".to_owned());
    }
    needs
}

fn appointment(id: &str, a: &crate::fold::Appointment, look: Look<'_>) -> AppointmentView {
    let name = |p: &PersonId| look.rules.directory.person_name(*p);
    AppointmentView {
        id: id.to_owned(),
        on: a.on.clone(),
        people: a.people.iter().map(name).collect(),
        purpose: a.purpose.to_string(),
        status: a.status.name(),
    }
}

fn clash_view(clash: &Clash, state: &State, flow: Option<&Flow>, look: Look<'_>) -> ClashView {
    let said = |fact: FactId| find_said(state, fact);
    let who = |fact: FactId| said(fact).map(|s| look.rules.directory.person_name(s.by)).unwrap_or_default();
    let step = |fact: FactId, lang| {
        let step = state.steps.iter().find(|s| s.said.fact == fact);
        step.map(|s| step_title(flow, s.what.step.as_str(), lang)).unwrap_or_default()
    };
    let (left, right) = (clash.left, clash.right);
    let (kind, words, words_en) = match &clash.kind {
        ClashKind::CancelledButDone => (
            "cancelled_but_done",
            format!("{}取消时,{}已在现场「{}」;现场事实在先。", who(right), who(left), step(left, Lang::Zh)),
            format!(
                "{} cancelled while {} recorded \"{}\" on site; what happened stands.",
                who(right),
                who(left),
                step(left, Lang::En)
            ),
        ),
        ClashKind::DoneTwice => (
            "done_twice",
            format!("{}与{}各自记录了「{}」。", who(left), who(right), step(left, Lang::Zh)),
            format!("{} and {} each recorded \"{}\".", who(left), who(right), step(left, Lang::En)),
        ),
        ClashKind::ContentDiffers(keys) => (
            "content_differs",
            format!("{}与{}确认的内容不同:{}。", who(left), who(right), keys.join("、")),
            format!("{} and {} sealed different content: {}.", who(left), who(right), keys.join(", ")),
        ),
        ClashKind::StockShort(sku) => (
            "stock_short",
            format!("{}与{}各自领用了备件{sku},库存不够两份。", who(left), who(right)),
            format!("{} and {} each took {sku}; there were not enough for both.", who(left), who(right)),
        ),
    };
    let settled = clash.settled.as_ref().map(|s| {
        format!(
            "{}:{} ({})",
            look.rules.directory.person_name(s.by),
            s.reason,
            if s.keep == left { "left" } else { "right" }
        )
    });
    ClashView {
        left: left.to_string(),
        right: right.to_string(),
        kind,
        words,
        words_en,
        settled: settled.unwrap_or_default(),
    }
}

fn find_said(state: &State, fact: FactId) -> Option<Said> {
    let step = state.steps.iter().find(|s| s.said.fact == fact).map(|s| s.said);
    let seal = || state.seals.iter().find(|s| s.said.fact == fact).map(|s| s.said);
    let cancelled = || state.cancellations.iter().find(|c| c.said.fact == fact).map(|c| c.said);
    let moved = || state.moves.iter().find(|m| m.said.fact == fact).map(|m| m.said);
    step.or_else(seal).or_else(cancelled).or_else(moved)
}
