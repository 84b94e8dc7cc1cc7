//! One order, ticket, matter or record, whole: what is in force, what was said and done, what comes next,
//! what the rules find of it and what its customer is to be told.

use std::collections::HashMap;

use serde::Serialize;
use sync_core::draft::Draft;
use sync_core::policy::judge::{Finding, Verdict};
use sync_core::view::case;

fn all<A, B: From<A>>(from: Vec<A>) -> Vec<B> {
    from.into_iter().map(Into::into).collect()
}

copied! {
    /// A photo, file or message that was attached.
    EvidenceLine from case::EvidenceView {
        /// `text-message`, `photo`, `file` or `signature`.
        kind: String,
        /// A message, word for word.
        text: String,
        /// The photo's or file's hash, hex; empty for a message.
        blob: String,
        /// Its media type, such as `image/jpeg`.
        media: String,
        /// The document of a checklist that it is.
        document: String,
    }
    /// A contact with the customer.
    ContactLine from case::ContactView {
        /// Phone, message, e-mail, visit.
        channel: String,
        /// What was said.
        words: String,
        /// Who logged it.
        by: String,
        /// When.
        at_ms: i64,
        ;
        /// What proves it.
        evidence: EvidenceLine,
    }
    /// Something that endangers quality or date.
    ExceptionLine from case::ExceptionView {
        /// The fact's id, for resolving it.
        fact: String,
        /// What.
        what: String,
        /// How it was resolved; empty where it is not.
        resolved: String,
        /// Who reported it.
        by: String,
        /// When.
        at_ms: i64,
        ;
        /// What proves it.
        evidence: EvidenceLine,
    }
    /// Something that was passed upward.
    EscalationLine from case::EscalationView {
        /// The role it went to, as people call it.
        to: String,
        /// Why.
        reason: String,
        /// Who passed it on.
        by: String,
        /// When.
        at_ms: i64,
    }
    /// A part that the job needs, or that it used.
    NeededPart from case::PartView {
        /// The part.
        sku: String,
        /// How many.
        quantity: u32,
        /// Used; otherwise needed.
        used: bool,
        /// Who said it.
        by: String,
        /// When.
        at_ms: i64,
    }
    /// A payment; seen by who sees amounts.
    PaymentLine from case::PaymentView {
        /// How much, `100.00 CNY`; negative for a refund.
        amount: String,
        /// Cash, transfer, card.
        method: String,
        /// Who took it.
        by: String,
        /// When.
        at_ms: i64,
        ;
        /// What proves it.
        evidence: EvidenceLine,
    }
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
    /// Who signed, as written; empty where nobody did.
    pub signer: String,
    /// The items that it is about, as in the keys of their fields; empty where it is about all.
    pub items: Vec<String>,
    /// A remark.
    pub note: String,
    /// What proves it.
    pub evidence: Vec<EvidenceLine>,
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
            signer: s.signer,
            items: s.items,
            note: s.note,
            evidence: all(s.evidence),
            values: s.values.into_iter().collect(),
        }
    }
}

/// Words for the customer, to be read over by whoever sends them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct DraftLine {
    /// `result`, `refusal`, `date`, `exception`, `visit` or `progress`.
    pub kind: String,
    /// The words, in Chinese.
    pub words: String,
    /// The words, in English.
    pub words_en: String,
    /// The clause that wants it told.
    pub clause: String,
    /// When what it tells of was.
    pub at_ms: i64,
    /// Somebody has been in contact with the customer since.
    pub told: bool,
}
impl From<Draft> for DraftLine {
    fn from(draft: Draft) -> Self {
        Self {
            kind: draft.kind.name().to_owned(),
            words: draft.words.zh,
            words_en: draft.words.en,
            clause: draft.kind.clause().to_owned(),
            at_ms: draft.at_ms,
            told: draft.contact.is_some(),
        }
    }
}

/// What a rule finds of a case, for people to decide about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, uniffi::Record)]
pub struct FindingLine {
    /// The rule, by which it is proposed in a record about a person.
    pub rule: String,
    /// What people call it.
    pub title: String,
    /// In English.
    pub title_en: String,
    /// The clause that it rests on.
    pub clause: String,
    /// The step that it is about.
    pub step: String,
    /// The roles that it is about.
    pub about: Vec<String>,
    /// `breach`, `due` or `undecidable`.
    pub verdict: String,
    /// What the policy proposes for each of them, `50.00 CNY`; empty where it proposes no money.
    pub amount: String,
    /// The grade of penalty that it proposes; empty where it proposes none.
    pub penalty: String,
    /// When it was or is due.
    pub due_ms: Option<i64>,
}
impl From<Finding> for FindingLine {
    fn from(finding: Finding) -> Self {
        let verdict = match finding.verdict {
            Verdict::Breach => "breach",
            Verdict::Due => "due",
            Verdict::Undecidable => "undecidable",
        };
        Self {
            rule: finding.rule.to_string(),
            title: finding.title.zh,
            title_en: finding.title.en,
            clause: finding.clause,
            step: finding.step.to_string(),
            about: finding.about.iter().map(ToString::to_string).collect(),
            verdict: verdict.to_owned(),
            amount: finding.amount.map(|amount| amount.to_string()).unwrap_or_default(),
            penalty: finding.penalty.map(|grade| grade.to_string()).unwrap_or_default(),
            due_ms: finding.due_ms,
        }
    }
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
    /// How urgent a ticket is, by its name in the policy; empty where nobody said.
    pub urgency: String,
    /// How the request came.
    pub channel: String,
    /// The document that it rests on, such as a ticket's order.
    pub rests_on: String,
    /// The person whom it is about.
    pub about: String,
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
    /// What was passed upward.
    pub escalations: Vec<EscalationLine>,
    /// Parts needed and used.
    pub parts: Vec<NeededPart>,
    /// Payments, where this person sees amounts.
    pub payments: Vec<PaymentLine>,
    /// Facts that only a newer app understands.
    pub unknown: u32,
    /// What a ticket's clock stands still for; empty while it runs.
    pub paused: String,
    /// The document's heads, hex: what a signature made now would name.
    pub heads: Vec<String>,
}

impl From<case::CaseView> for Case {
    fn from(view: case::CaseView) -> Self {
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
            urgency: view.urgency,
            channel: view.channel,
            rests_on: view.rests_on,
            about: view.about,
            fields: all(view.fields),
            items: all(view.items),
            notes: view.notes,
            proposed: all(view.proposed),
            steps: all(view.steps),
            next: all(view.next),
            visits: all(view.appointments),
            clashes: all(view.clashes),
            exceptions: all(view.exceptions),
            contacts: all(view.contacts),
            escalations: all(view.escalations),
            parts: all(view.parts),
            payments: all(view.payments),
            unknown: view.unknown,
            paused: view.paused,
            heads: view.heads,
        }
    }
}
