//! Commands of the office: one body for each wish, carried out in the name of the person.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::{Deserialize, Serialize};
use sync_core::command::{Command, NewItem, Record};
use sync_core::domain::fields::sixteen;
use sync_core::fact::kinds::{AppointmentStatus, Evidence, Outcome};
use sync_core::ids::{BlobHash, DocId, DocKind, ItemId, Name, PersonId, StoreId};
use sync_core::money::{Currency, Money};
use sync_core::policy::model::EvidenceKind;
use utoipa::ToSchema;

use super::{App, Office, Shared, as_clerk};
use crate::problem::Problem;

/// A piece of evidence.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceBody {
    /// `text-message`, `photo` or `file`.
    kind: String,
    /// A message, word for word.
    text: Option<String>,
    /// A blob's SHA-256, hex.
    blob: Option<String>,
    /// The document of a checklist that it is, such as `contract`.
    document: Option<String>,
}

/// An item of a new order.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemBody {
    /// Product.
    product: String,
    /// Model.
    #[serde(default)]
    model: String,
    /// Material class of the policy.
    material: Option<String>,
    /// How many.
    quantity: u32,
    /// Price of one, such as `468.00`.
    unit_price: Option<String>,
}

/// What the office wishes. `doc` is a document id (`order:…`) or an order's or ticket's number.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of sync_core::command::Command")]
pub enum CommandBody {
    OpenOrder {
        number: String,
        store: Option<String>,
        fields: BTreeMap<String, String>,
        items: Vec<ItemBody>,
    },
    /// A ticket, a matter, a record about a person or an opportunity, by its flow of the policy.
    OpenCase {
        flow: String,
        number: String,
        store: Option<String>,
        urgency: Option<String>,
        order: Option<String>,
        /// A staff number.
        about: Option<String>,
        channel: Option<String>,
        #[serde(default)]
        fields: BTreeMap<String, String>,
    },
    /// An opportunity becomes an order.
    BecomeOrder {
        doc: String,
        number: String,
    },
    OpenStock {
        number: String,
        store: Option<String>,
    },
    CountIn {
        doc: String,
        sku: String,
        quantity: u32,
        note: Option<String>,
    },
    /// Proposes, in a record about a person, what the rules found of the case that it rests on.
    ProposeFound {
        /// The record.
        doc: String,
        /// The rule.
        rule: String,
        /// The penalty or reward, where the rule names none.
        kind: Option<String>,
    },
    /// Notices were read: their ids.
    Read {
        notices: Vec<String>,
    },
    OpenCustomer {
        number: String,
        store: Option<String>,
        fields: BTreeMap<String, String>,
    },
    Edit {
        doc: String,
        fields: BTreeMap<String, Option<String>>,
    },
    Note {
        doc: String,
        text: String,
    },
    Step {
        doc: String,
        step: String,
        outcome: Option<String>,
        #[serde(default)]
        values: BTreeMap<String, String>,
        #[serde(default)]
        evidence: Vec<EvidenceBody>,
        /// The items that it is about; all where none are named.
        #[serde(default)]
        items: Vec<String>,
        /// The appointment that it belongs to.
        appointment: Option<String>,
        note: Option<String>,
    },
    Approve {
        doc: String,
        note: Option<String>,
    },
    Decline {
        doc: String,
        reason: String,
    },
    Cancel {
        doc: String,
        reason: String,
        #[serde(default)]
        evidence: Vec<EvidenceBody>,
    },
    Assign {
        doc: String,
        appointment: Option<String>,
        people: Vec<String>,
        on: String,
        purpose: String,
        note: Option<String>,
    },
    Visit {
        doc: String,
        appointment: String,
        status: String,
    },
    Settle {
        doc: String,
        left: String,
        right: String,
        keep: String,
        reason: String,
    },
    Clear {
        doc: String,
        guarantee: bool,
        amount: Option<String>,
        method: Option<String>,
        #[serde(default)]
        evidence: Vec<EvidenceBody>,
    },
    Pay {
        doc: String,
        amount: String,
        method: String,
        #[serde(default)]
        evidence: Vec<EvidenceBody>,
    },
    Contact {
        doc: String,
        channel: String,
        words: String,
        #[serde(default)]
        evidence: Vec<EvidenceBody>,
    },
    Report {
        doc: String,
        what: String,
        #[serde(default)]
        evidence: Vec<EvidenceBody>,
    },
    Resolve {
        doc: String,
        exception: String,
        how: String,
    },
    Escalate {
        doc: String,
        to: String,
        reason: String,
    },
    Part {
        doc: String,
        sku: String,
        quantity: u32,
        consumed: bool,
        /// The stock that it was taken from.
        stock: Option<String>,
    },
    Pause {
        doc: String,
        reason: String,
    },
    Resume {
        doc: String,
        note: Option<String>,
    },
    AddPerson {
        number: String,
        name: String,
    },
    GrantRole {
        number: String,
        role: String,
        store: Option<String>,
    },
    EndRole {
        number: String,
        role: String,
    },
    AddStore {
        name: String,
    },
    /// On a day to come intake rests.
    SuspendIntake {
        /// `2026-12-18`.
        day: String,
        reason: String,
    },
    /// That day intake does not rest after all.
    ResumeIntake {
        day: String,
        reason: String,
    },
    RevokeDevice {
        device: String,
        reason: String,
    },
}

/// What a command came to.
#[derive(Serialize, ToSchema)]
pub struct Done {
    /// The documents that changed.
    docs: Vec<String>,
}

/// Carries out a command in the name of the office user.
#[utoipa::path(post, path = "/v1/commands", security(("office" = [])), request_body = CommandBody,
    responses((status = 200, body = Done), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn command(
    State(app): State<Shared>,
    Office(person): Office,
    body: Result<Json<CommandBody>, JsonRejection>,
) -> Result<Json<Done>, Problem> {
    let Json(body) = body?;
    as_clerk(app, person, move |app, clerk| {
        let command = Reading { app }.command(body)?;
        let docs = app.relay.act(clerk, command, &app.clock.now())?;
        Ok(Json(Done { docs: docs.iter().map(ToString::to_string).collect() }))
    })
    .await
}

/// Reads the texts of a body.
struct Reading<'a> {
    app: &'a App,
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|e| Problem::invalid(field, e))
}
fn name(field: &str, text: &str) -> Result<Name, Problem> {
    parse(field, text)
}
fn money(text: &str) -> Result<Money, Problem> {
    Money::parse(text, Currency::CNY).map_err(|e| Problem::invalid("amount", e))
}
fn evidence(bodies: Vec<EvidenceBody>) -> Result<Vec<Evidence>, Problem> {
    let one = |body: EvidenceBody| {
        let kind = match body.kind.as_str() {
            "text-message" => EvidenceKind::TextMessage,
            "photo" => EvidenceKind::Photo,
            "file" => EvidenceKind::File,
            other => return Err(Problem::invalid("evidence.kind", other)),
        };
        let blob = body.blob.map(|b| parse::<BlobHash>("evidence.blob", &b)).transpose()?;
        let document = body.document.map(|d| name("evidence.document", &d)).transpose()?;
        Ok(Evidence { kind, text: body.text, blob, media: None, document })
    };
    bodies.into_iter().map(one).collect()
}

/// The document that a text names: an id, or the number of an order, ticket, matter or another one.
pub(super) fn doc_named(app: &App, text: &str) -> Result<DocId, Problem> {
    if let Ok(doc) = text.parse() {
        return Ok(doc);
    }
    let company = app.relay.company();
    for doc in DocKind::NUMBERED.map(|kind| DocId::numbered(company, kind, text.trim())) {
        if !app.relay.log().audience(doc)?.is_empty() {
            return Ok(doc);
        }
    }
    Err(Problem::not_found())
}

impl Reading<'_> {
    fn doc(&self, text: &str) -> Result<DocId, Problem> {
        doc_named(self.app, text)
    }
    fn person(&self, number: &str) -> Result<PersonId, Problem> {
        let found = self.app.relay.footing().directory.by_number(number);
        found.ok_or_else(|| Problem::invalid("number", format!("nobody has staff number {number}")))
    }
    fn store(&self, name: Option<String>) -> Option<StoreId> {
        name.map(|n| StoreId::named(self.app.relay.company(), &n))
    }
    fn item(&self, body: ItemBody) -> Result<NewItem, Problem> {
        Ok(NewItem {
            item: ItemId::at(self.app.clock.unix_ms(), crate::clock::random()),
            product: body.product,
            model: body.model,
            material: body.material.map(|m| name("material", &m)).transpose()?,
            quantity: body.quantity,
            unit_price: body.unit_price.map(|p| money(&p)).transpose()?,
        })
    }

    fn command(&self, body: CommandBody) -> Result<Command, Problem> {
        use CommandBody as B;
        Ok(match body {
            B::OpenOrder { number, store, fields, items } => Command::OpenOrder {
                number,
                store: self.store(store),
                fields,
                items: items.into_iter().map(|i| self.item(i)).collect::<Result<_, _>>()?,
                taken_ms: None,
                channel: Some("office".into()),
            },
            B::OpenCase { flow, number, store, urgency, order, about, channel, fields } => {
                Command::OpenCase {
                    flow: name("flow", &flow)?,
                    number,
                    store: self.store(store),
                    urgency: urgency.map(|u| name("urgency", &u)).transpose()?,
                    order: order.map(|o| self.doc(&o)).transpose()?,
                    about: about.map(|p| self.person(&p)).transpose()?,
                    channel,
                    fields,
                }
            }
            B::BecomeOrder { doc, number } => Command::BecomeOrder(self.doc(&doc)?, number),
            B::OpenCustomer { number, store, fields } => {
                Command::OpenCustomer { number, store: self.store(store), fields }
            }
            B::Step { doc, step, outcome, values, evidence: given, items, appointment, note } => {
                let mut record = Record::done(name("step", &step)?);
                record.outcome = match outcome.as_deref() {
                    None | Some("done") => Outcome::Done,
                    Some("partial") => Outcome::Partial,
                    Some("refused") => Outcome::Refused,
                    Some("failed") => Outcome::Failed,
                    Some(other) => return Err(Problem::invalid("outcome", other)),
                };
                for (key, value) in values {
                    record.values.insert(name("values", &key)?, value);
                }
                record.evidence = evidence(given)?;
                record.items = items.iter().map(|item| parse("items", item)).collect::<Result<_, _>>()?;
                record.appointment = appointment.map(|a| parse("appointment", &a)).transpose()?;
                record.note = note;
                Command::Step(self.doc(&doc)?, record)
            }
            B::Assign { doc, appointment, people, on, purpose, note } => Command::Assign {
                doc: self.doc(&doc)?,
                appointment: appointment.map(|a| parse("appointment", &a)).transpose()?,
                people: people.iter().map(|p| self.person(p)).collect::<Result<_, _>>()?,
                on,
                purpose: name("purpose", &purpose)?,
                note,
            },
            other => return self.short(other),
        })
    }

    /// The commands that are one document and a few words.
    fn short(&self, body: CommandBody) -> Result<Command, Problem> {
        use CommandBody as B;
        Ok(match body {
            B::Edit { doc, fields } => Command::Edit(self.doc(&doc)?, fields),
            B::Note { doc, text } => Command::Note(self.doc(&doc)?, text),
            B::Approve { doc, note } => Command::Approve(self.doc(&doc)?, note),
            B::Decline { doc, reason } => Command::Decline(self.doc(&doc)?, reason),
            B::Cancel { doc, reason, evidence: e } => Command::Cancel(self.doc(&doc)?, reason, evidence(e)?),
            B::Visit { doc, appointment, status } => {
                Command::Visit(self.doc(&doc)?, parse("appointment", &appointment)?, visit_status(&status)?)
            }
            B::Settle { doc, left, right, keep, reason } => Command::Settle {
                doc: self.doc(&doc)?,
                left: parse("left", &left)?,
                right: parse("right", &right)?,
                keep: parse("keep", &keep)?,
                reason,
            },
            B::Clear { doc, guarantee, amount, method, evidence: e } => Command::Clear {
                doc: self.doc(&doc)?,
                guarantee,
                amount: amount.map(|a| money(&a)).transpose()?,
                method: method.unwrap_or_default(),
                evidence: evidence(e)?,
            },
            B::Pay { doc, amount, method, evidence: e } => {
                Command::Pay(self.doc(&doc)?, money(&amount)?, method, evidence(e)?)
            }
            B::Contact { doc, channel, words, evidence: e } => {
                Command::Contact(self.doc(&doc)?, channel, words, evidence(e)?)
            }
            B::Report { doc, what, evidence: e } => Command::Report(self.doc(&doc)?, what, evidence(e)?),
            B::Resolve { doc, exception, how } => {
                Command::Resolve(self.doc(&doc)?, parse("exception", &exception)?, how)
            }
            B::Escalate { doc, to, reason } => Command::Escalate(self.doc(&doc)?, name("to", &to)?, reason),
            B::Part { doc, sku, quantity, consumed, stock } => Command::Part {
                doc: self.doc(&doc)?,
                sku,
                quantity,
                consumed,
                stock: stock.map(|s| self.doc(&s)).transpose()?,
            },
            B::OpenStock { number, store } => Command::OpenStock(number, self.store(store)),
            B::CountIn { doc, sku, quantity, note } => Command::CountIn(self.doc(&doc)?, sku, quantity, note),
            B::ProposeFound { doc, rule, kind } => {
                let kind = kind.map(|kind| name("kind", &kind)).transpose()?;
                Command::ProposeFound(self.doc(&doc)?, name("rule", &rule)?, kind)
            }
            B::Read { notices } => {
                let id = |text: &String| sixteen(text).ok_or_else(|| Problem::invalid("notices", text));
                Command::Read(notices.iter().map(id).collect::<Result<_, _>>()?)
            }
            B::Pause { doc, reason } => Command::Pause(self.doc(&doc)?, reason),
            B::Resume { doc, note } => Command::Resume(self.doc(&doc)?, note),
            other => return self.people(other),
        })
    }

    fn people(&self, body: CommandBody) -> Result<Command, Problem> {
        use CommandBody as B;
        let now_ms = self.app.clock.unix_ms();
        Ok(match body {
            B::AddPerson { number, name } => Command::AddPerson(number, name),
            B::GrantRole { number, role, store } => {
                Command::GrantRole(self.person(&number)?, name("role", &role)?, self.store(store), now_ms)
            }
            B::EndRole { number, role } => {
                Command::EndRole(self.person(&number)?, name("role", &role)?, now_ms)
            }
            B::AddStore { name } => Command::AddStore(name),
            B::SuspendIntake { day, reason } => Command::SuspendIntake(day, reason),
            B::ResumeIntake { day, reason } => Command::ResumeIntake(day, reason),
            B::RevokeDevice { device, reason } => Command::Revoke(parse("device", &device)?, reason),
            _ => return Err(Problem::invalid("do", "unknown")),
        })
    }
}

fn visit_status(text: &str) -> Result<AppointmentStatus, Problem> {
    Ok(match text {
        "scheduled" => AppointmentStatus::Scheduled,
        "dispatched" => AppointmentStatus::Dispatched,
        "travelling" => AppointmentStatus::Travelling,
        "on_site" => AppointmentStatus::OnSite,
        "completed" => AppointmentStatus::Completed,
        "cannot_complete" => AppointmentStatus::CannotComplete,
        "cancelled" => AppointmentStatus::Cancelled,
        other => return Err(Problem::invalid("status", other)),
    })
}
