//! The shape of a policy (制度): what a company works by, as data.
//!
//! Written by hand as TOML, checked by [`super::check`], published as CBOR with a hash. Every step,
//! window, deadline and amount carries the clause of the regulations that it comes from. Nothing here
//! knows a company: adding a ticket kind or a rule of a known form is editing TOML.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, NaiveDate, NaiveTime, Weekday};
use serde::{Deserialize, Serialize};

use crate::ids::Name;
use crate::refusal::Lang;

/// Words for people, Chinese first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Words {
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Words {
    /// The words in one language.
    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::Zh => &self.zh,
            Lang::En => &self.en,
        }
    }
    /// Both, Chinese first.
    pub fn pair(&self) -> (&str, &str) {
        (&self.zh, &self.en)
    }
}

/// A whole policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The profile's name, such as `furniture`.
    pub name: Name,
    /// Its title.
    pub title: Words,
    /// ISO 4217 code of every amount here.
    pub currency: String,
    /// IANA time zone in which windows and days are meant, such as `Asia/Shanghai`.
    pub timezone: String,
    /// Months after which the policy is due for review.
    pub review_months: u32,
    /// The working calendar that deadlines count on.
    pub calendar: Calendar,
    /// Who may do what.
    pub roles: BTreeMap<Name, Role>,
    /// The flows: `order` and the kinds of ticket.
    pub flows: BTreeMap<Name, Flow>,
    /// Material classes of items with their lead times.
    #[serde(default)]
    pub materials: BTreeMap<Name, Material>,
    /// Urgencies of tickets with their deadlines.
    #[serde(default)]
    pub urgencies: BTreeMap<Name, Urgency>,
    /// Daily and monthly windows.
    #[serde(default)]
    pub windows: BTreeMap<Name, Window>,
    /// Days on which intake rests, where the company has such.
    #[serde(default)]
    pub suspension: Option<Suspension>,
    /// Causes of tickets.
    #[serde(default)]
    pub causes: BTreeMap<Name, Words>,
    /// The causes for which no payment is taken.
    #[serde(default)]
    pub free_of_charge: Vec<Name>,
    /// Documents that checklists of steps name.
    #[serde(default)]
    pub documents: BTreeMap<Name, Point>,
    /// Points that reviews answer.
    #[serde(default)]
    pub checks: BTreeMap<Name, Point>,
    /// Survey questions, each answered 1 to 5 (CSAT).
    #[serde(default)]
    pub survey: BTreeMap<Name, Words>,
    /// Grades of penalties, mildest first.
    #[serde(default)]
    pub penalties: Vec<Grade>,
    /// Rewards.
    #[serde(default)]
    pub rewards: Vec<Grade>,
    /// What people's work is measured by.
    #[serde(default)]
    pub measures: BTreeMap<Name, Measure>,
    /// What is judged.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// The step of a conduct flow with which the person is told in writing, and sees the record.
pub const NOTIFIED: &str = "notified";
/// The step of a conduct flow with which it is told to all, and in force; a matter too is everybody's from then.
pub const PUBLISHED: &str = "published";
/// The step of a conduct flow by which the person objects: it is in force no more until it is decided.
pub const APPEALED: &str = "appealed";
/// The step of a conduct flow that decides about an appeal; its value `decision` is [`UPHELD`] or [`LIFTED`].
pub const DECIDED: &str = "decided";
/// The decision that leaves a record in force.
pub const UPHELD: &str = "upheld";
/// The decision that sets it aside.
pub const LIFTED: &str = "lifted";
/// The role that every record about a person gives to that person (当事人); no policy grants it.
pub const CONCERNED: &str = "concerned";

/// One entry of a checklist or review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
    /// Where it comes from.
    pub clause: String,
}

impl Point {
    /// Both words, Chinese first.
    pub fn pair(&self) -> (&str, &str) {
        (&self.zh, &self.en)
    }
}

/// Working days and hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Working weekdays, such as `["Mon", "Tue"]`.
    pub days: Vec<Weekday>,
    /// Working periods of a day, in order, none past midnight.
    pub hours: Vec<Period>,
    /// Days off that would be working days.
    #[serde(default)]
    pub holidays: BTreeSet<NaiveDate>,
    /// Working days that would be off (调休).
    #[serde(default)]
    pub extra_days: BTreeSet<NaiveDate>,
    /// Where it comes from.
    pub clause: String,
}

/// A period of a day, the end excluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Start.
    pub from: NaiveTime,
    /// End.
    pub to: NaiveTime,
}

/// A role and its powers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What people call it.
    pub title: Words,
    /// Which orders and tickets a device of this role holds.
    pub scope: Scope,
    /// Whether it holds prices and payments.
    #[serde(default)]
    pub money: bool,
    /// What it may do beside the steps that name it.
    #[serde(default)]
    pub may: BTreeSet<Power>,
}

/// Which documents a role's devices hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All of the company.
    All,
    /// Those of the person's stores.
    Store,
    /// Those with an appointment assigned to the person.
    Assigned,
}

/// A power that is not a step of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Approve or decline proposed changes of orders and tickets (a seal).
    Approve,
    /// Cancel an order or ticket.
    Cancel,
    /// Assign appointments and reschedule them.
    Assign,
    /// Record payments, guarantees, prices.
    Money,
    /// Settle clashes.
    Settle,
    /// Add people, roles, stores; issue enrolment codes; revoke devices.
    People,
    /// Publish a policy.
    Policy,
    /// Release or discard what is held.
    Release,
    /// Give an exception its resolution, or a ticket its escalation.
    Resolve,
    /// See and keep everyone's conduct records.
    Conduct,
    /// Count parts into stock.
    Stock,
    /// See what other people's work came to: reports about people, and what is said of them before it is
    /// published.
    Assess,
}

impl Power {
    /// Its name, as policies write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Cancel => "cancel",
            Self::Assign => "assign",
            Self::Money => "money",
            Self::Settle => "settle",
            Self::People => "people",
            Self::Policy => "policy",
            Self::Release => "release",
            Self::Resolve => "resolve",
            Self::Conduct => "conduct",
            Self::Stock => "stock",
            Self::Assess => "assess",
        }
    }
}

/// A flow: an order's stages or one kind of ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// What people call it.
    pub title: Words,
    /// What it is a flow of.
    pub subject: Subject,
    /// The roles that may open one.
    pub opened_by: Vec<Name>,
    /// The steps in their usual order.
    pub steps: Vec<Step>,
    /// Where it comes from.
    pub clause: String,
}

impl Flow {
    /// The step of this name.
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|s| s.id == *id)
    }
}

/// What a flow is a flow of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// An order, or what may become one.
    Order,
    /// A ticket.
    Ticket,
    /// Anything else that is followed: a visit, customer material in custody, a proposal.
    Matter,
    /// A reward or penalty of a person.
    Conduct,
}

/// One step of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name.
    pub id: Name,
    /// What people call it.
    pub title: Words,
    /// The roles that may record it; [`CONCERNED`] stands for the person whom the record is about.
    pub by: Vec<Name>,
    /// Steps that must stand before it.
    #[serde(default)]
    pub after: Vec<Name>,
    /// It may be recorded only so long after another step.
    #[serde(default)]
    pub until: Option<Until>,
    /// It may be recorded only once so many working days are over after another step.
    #[serde(default)]
    pub once_over: Option<Until>,
    /// Evidence that must be attached.
    #[serde(default)]
    pub evidence: Vec<EvidenceKind>,
    /// Documents that must be attached, each under its name.
    #[serde(default)]
    pub documents: Vec<Name>,
    /// Points that must all be answered [`Step::OK`] before it is done.
    #[serde(default)]
    pub checks: Vec<Name>,
    /// Values that must be filled in, by name.
    #[serde(default)]
    pub values: Vec<Name>,
    /// The customer signs the exact version on the screen.
    #[serde(default)]
    pub signature: bool,
    /// The content becomes in force with this step.
    #[serde(default)]
    pub seal: bool,
    /// Only for an order paid in full or with a guarantee.
    #[serde(default)]
    pub paid: bool,
    /// It may be recorded more than once (partial deliveries, several visits).
    #[serde(default)]
    pub repeat: bool,
    /// Something that happened in the world: it stands against a concurrent decision at a desk.
    #[serde(default)]
    pub physical: bool,
    /// The work is free of charge from then on: no payment is taken for it.
    #[serde(default)]
    pub waives: bool,
    /// The order or ticket is complete with it.
    #[serde(default)]
    pub closes: bool,
    /// It is complete too where the customer refuses this step, such as to answer a survey.
    #[serde(default)]
    pub refusable: bool,
    /// May be left out.
    #[serde(default)]
    pub optional: bool,
    /// Where it comes from.
    pub clause: String,
}

impl Step {
    /// The answer to a check that holds.
    pub const OK: &str = "ok";
}

/// Working days that begin with a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// The step that starts the days; its own day is not counted.
    pub after: Name,
    /// Working days; the last one is included whole.
    pub working_days: u32,
}

/// A kind of evidence.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum EvidenceKind {
    /// A text message, word for word.
    #[n(0)]
    TextMessage,
    /// A photo.
    #[n(1)]
    Photo,
    /// A signature.
    #[n(2)]
    Signature,
    /// Any file.
    #[n(3)]
    File,
}

/// A material class of items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// What people call it; also what a sheet's column says.
    pub title: Words,
    /// Days before the delivery date by which it must be placed.
    pub lead_days: u32,
    /// Where it comes from.
    pub clause: String,
}

/// An urgency of tickets. Hours count on the working calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Urgency {
    /// What people call it.
    pub title: Words,
    /// Working hours until the first response is due.
    pub response_hours: u32,
    /// Working hours until the solution is due.
    pub resolution_hours: u32,
    /// Where it comes from.
    pub clause: String,
}

/// A window in which something is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// What people call it.
    pub title: Words,
    /// Start of the day's period.
    pub from: NaiveTime,
    /// Its end, excluded.
    pub to: NaiveTime,
    /// Days of the month, both included; every day where left out.
    pub days_of_month: Option<(u32, u32)>,
    /// Where it comes from.
    pub clause: String,
}

impl Window {
    /// Whether it is open on this day.
    pub fn has_day(&self, day: NaiveDate) -> bool {
        self.days_of_month.is_none_or(|(first, last)| (first..=last).contains(&day.day()))
    }
}

/// When and how intake rests for a day (暂停接单下单): said before the day, and told to those who hand in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// What people call it.
    pub title: Words,
    /// The roles that may say so.
    pub by: Vec<Name>,
    /// The window whose days of the month it may be.
    pub window: Name,
    /// The steps of orders that rest on such a day.
    pub steps: Vec<Name>,
    /// The roles that are told.
    pub tells: Vec<Name>,
    /// Where it comes from.
    pub clause: String,
}

/// Something that people's work is measured by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// What people call it.
    pub title: Words,
    /// What is counted.
    pub form: MeasureForm,
    /// Where it comes from.
    pub clause: String,
}

/// What a measure counts, of one person over a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeasureForm {
    /// Orders completed.
    Completed,
    /// Orders completed of those due.
    CompletionRate,
    /// Orders delivered on time of those delivered.
    OnTimeRate,
    /// The mean answer to surveys (CSAT).
    Satisfaction,
    /// Complaints that were found justified.
    Complaints,
    /// Mean working hours until the response.
    ResponseHours,
    /// Mean working hours until the solution.
    SolutionHours,
    /// Sales in money.
    SalesAmount,
    /// Opportunities that became orders of those that ended.
    ContractRate,
    /// Rated by the superior, 1 to 5.
    Rated,
}

/// A grade of penalty, or a reward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grade {
    /// Its name.
    pub id: Name,
    /// What people call it.
    pub title: Words,
    /// Where it comes from.
    pub clause: String,
}

/// One thing that is judged: its form, and what is proposed when it is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name; findings carry it.
    pub id: Name,
    /// What people call the finding.
    pub title: Words,
    /// Whom the proposal is about: roles of the order's or ticket's people.
    #[serde(default)]
    pub about: Vec<Name>,
    /// The flows that it judges; every flow that has its steps where none are named.
    #[serde(default)]
    pub flows: Vec<Name>,
    /// The proposal is for the one of `about` who did it, not for each; people find out which.
    #[serde(default)]
    pub one_of: bool,
    /// Where it comes from.
    pub clause: String,
    /// The form with its numbers.
    #[serde(flatten)]
    pub form: RuleForm,
}

/// The forms of rule. Amounts are decimal text in the policy's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "kebab-case")]
pub enum RuleForm {
    /// A step recorded outside a window, such as an insertion (插单).
    OutsideWindow {
        /// The step; `opened` stands for the opening itself.
        step: Name,
        /// The window.
        window: Name,
        /// What is proposed, if anything.
        amount: Option<String>,
    },
    /// A step recorded later than the lead time of the slowest material before the delivery date.
    LeadTime {
        /// The step.
        step: Name,
        /// What is proposed, if anything.
        amount: Option<String>,
    },
    /// The day for a step has come (by lead time) and it is not recorded: someone must remind. Once
    /// `remind` is not recorded either by the end of the day, the amount is proposed for each role of `about`.
    Reminder {
        /// The step that is due.
        step: Name,
        /// The step or contact that counts as the reminder.
        remind: Name,
        /// What is proposed once the day has passed with neither, for each of `about`.
        amount: Option<String>,
    },
    /// `until` must follow `from` within so many days; then the amounts run, doubling each day.
    Within {
        /// The step that starts the days.
        from: Name,
        /// The step that ends them.
        until: Name,
        /// Whole days.
        days: u32,
        /// The first late day's amount.
        amount: Option<String>,
        /// Each further day costs twice the one before; otherwise the amount stands once.
        #[serde(default)]
        doubling: bool,
        /// A step whose recording excuses the delay, such as deliveries overbooked.
        excused_by: Option<Name>,
    },
    /// A recorded mistake of one of these causes, with an amount for each item by how far the goods had come.
    Mistake {
        /// The step by which the mistake is recorded.
        step: Name,
        /// Once for each record, whatever the items.
        once: Option<String>,
        /// For each item, chosen by the latest of these steps that was recorded before.
        #[serde(default)]
        each_item_after: BTreeMap<Name, String>,
    },
    /// A step recorded while another, which should have come before it, is not.
    Without {
        /// The step.
        step: Name,
        /// What should have come before.
        needs: Name,
        /// What is proposed, if anything.
        amount: Option<String>,
    },
    /// `until` must follow each `from` within so many working hours of the calendar.
    WithinHours {
        /// The step that starts the hours.
        from: Name,
        /// The step that ends them.
        until: Name,
        /// Working hours.
        hours: u32,
        /// What is proposed, if anything.
        amount: Option<String>,
        /// Who is told when they pass.
        escalate_to: Option<Name>,
    },
    /// After `from`, `step` comes again and again: the k-th is due k times so many days later.
    Every {
        /// The step that starts the days.
        from: Name,
        /// The step that comes again.
        step: Name,
        /// Whole days from one to the next.
        days: u32,
        /// How often.
        times: u32,
    },
    /// A step recorded later than the delivery date: the grade of the most days reached counts.
    LateDelivery {
        /// The step.
        step: Name,
        /// What is proposed, by days late.
        grades: Vec<Lateness>,
    },
    /// A ticket's response or resolution is late by its urgency.
    Urgency {
        /// The step that counts as the response.
        response: Name,
        /// The step that counts as the resolution.
        resolution: Name,
        /// Who is told when it passes.
        escalate_to: Name,
    },
}

/// What is proposed from so many days late on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lateness {
    /// Whole days late, from 1.
    pub days: u32,
    /// An amount.
    pub amount: Option<String>,
    /// A grade of the policy's penalties.
    pub penalty: Option<Name>,
}

/// What rules may speak of beside the steps of a flow: the opening, a contact with the customer, an
/// exception and its resolution, an escalation, and for windows any step at all.
pub const HAPPENINGS: [&str; 6] = ["opened", "contact", "exception", "resolved", "escalated", ANY];
/// Any step: what is done outside a window, whatever it is.
pub const ANY: &str = "any";

impl RuleForm {
    /// The steps the form speaks of, each with the key that names it. [`HAPPENINGS`] are not among them:
    /// they may come in every flow.
    pub fn steps(&self) -> Vec<(&'static str, &Name)> {
        self.names().into_iter().filter(|(_, name)| !HAPPENINGS.contains(&name.as_str())).collect()
    }

    /// Whatever the form speaks of, each with the key that names it.
    pub fn names(&self) -> Vec<(&'static str, &Name)> {
        match self {
            Self::OutsideWindow { step, .. }
            | Self::LeadTime { step, .. }
            | Self::LateDelivery { step, .. } => vec![("step", step)],
            Self::WithinHours { from, until, .. } => vec![("from", from), ("until", until)],
            Self::Every { from, step, .. } => vec![("from", from), ("step", step)],
            Self::Reminder { step, remind, .. } => vec![("step", step), ("remind", remind)],
            Self::Within { from, until, excused_by, .. } => {
                let excuse = excused_by.iter().map(|name| ("excused_by", name));
                [("from", from), ("until", until)].into_iter().chain(excuse).collect()
            }
            Self::Mistake { step, each_item_after, .. } => {
                let chosen = each_item_after.keys().map(|name| ("each_item_after", name));
                [("step", step)].into_iter().chain(chosen).collect()
            }
            Self::Without { step, needs, .. } => vec![("step", step), ("needs", needs)],
            Self::Urgency { response, resolution, .. } => {
                vec![("response", response), ("resolution", resolution)]
            }
        }
    }
}

impl Rule {
    /// Whether the rule judges this flow: it is one of those named, and all its steps are steps of the flow.
    pub fn concerns(&self, name: &Name, flow: &Flow) -> bool {
        (self.flows.is_empty() || self.flows.contains(name))
            && self.form.steps().iter().all(|(_, name)| flow.step(name.as_str()).is_some())
    }
}
