//! Drafts: what the regulations want told to the customer about an order or ticket (告知客户), in words to
//! read over and send.
//!
//! In: a document's folded state, the rules. Out: at most one [`Draft`] of each kind, for what is newest of
//! it, in Chinese and English, with its clause and the contact that came after it. Drafts follow from the
//! document as notices do: nobody makes them, so they are the same everywhere.
//!
//! Deliberately not here: sending. A person sends the words, and logs the contact with its evidence
//! (`Command::Contact`); nothing counts as told before that.

use crate::directory::Rules;
use crate::document::Document;
use crate::domain::fields::{Map, Value};
use crate::fact::kinds::Outcome;
use crate::fold::{Said, State};
use crate::ids::{DocKind, FactId, Name};
use crate::policy::calendar::WorkCalendar;
use crate::policy::model::{Flow, Policy, RuleForm, Words};
use crate::time::UnixMs;

/// The step of an order flow with which an order is not taken, and its value that says what to amend
/// (S13 第五条 1).
const REFUSED: &str = "refused";
const AMEND: &str = "amend";

/// What a draft tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DraftKind {
    /// A ticket was worked to its end: what came of it.
    Result,
    /// The order was not taken, and what is to be amended.
    Refusal,
    /// The day of delivery or visit changed, and the change is in force.
    Date,
    /// Something endangers quality or date.
    Exception,
    /// Who comes to do something is coming on a day.
    Visit,
    /// How far the order is.
    Progress,
}

impl DraftKind {
    /// Every kind, in the order in which drafts are given.
    pub const ALL: [Self; 6] =
        [Self::Result, Self::Refusal, Self::Date, Self::Exception, Self::Visit, Self::Progress];

    /// Its name in views and APIs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Refusal => "refusal",
            Self::Date => "date",
            Self::Exception => "exception",
            Self::Visit => "visit",
            Self::Progress => "progress",
        }
    }

    /// The clause that wants it told.
    pub const fn clause(self) -> &'static str {
        match self {
            Self::Result => "S1 第六条;S11 七.2",
            Self::Refusal => "S13 第六条 3",
            Self::Date => "S15 2.1.4;S2 第六章 2",
            Self::Exception => "S19 工作职责;S14 第七条 2",
            Self::Visit => "S5 第七条 2、第八条 2、第九条 2",
            Self::Progress => "S6 第十二条;S13 第八条 3",
        }
    }
}

/// Words for the customer, to be read over by whoever sends them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it tells.
    pub kind: DraftKind,
    /// The words.
    pub words: Words,
    /// The fact that it tells of.
    pub fact: FactId,
    /// When that was.
    pub at_ms: UnixMs,
    /// The first contact with the customer since; none while nobody has told them.
    pub contact: Option<FactId>,
}

/// What there is to tell the customer; nothing of a document without a customer.
pub fn drafts(doc: &Document, state: &State, rules: &Rules<'_>) -> Vec<Draft> {
    let kind = doc.id().kind();
    let opened = state.opened.as_ref().filter(|_| matches!(kind, DocKind::Order | DocKind::Ticket));
    let policy = opened.and_then(|opened| rules.at(opened.said.at.best().0));
    let (Some(opened), Some((_, policy))) = (opened, policy) else { return Vec::new() };
    let Some(flow) = policy.flows.get(&opened.what.flow) else { return Vec::new() };
    let (name, number) = (&opened.what.flow, &opened.what.number);
    let drafting = Drafting { doc, state, policy, name, flow, number };
    DraftKind::ALL.into_iter().filter_map(|kind| drafting.draft(kind)).collect()
}

struct Drafting<'a> {
    doc: &'a Document,
    state: &'a State,
    policy: &'a Policy,
    name: &'a Name,
    flow: &'a Flow,
    number: &'a str,
}

impl Drafting<'_> {
    fn draft(&self, kind: DraftKind) -> Option<Draft> {
        let (said, zh, en) = match kind {
            DraftKind::Result => self.result()?,
            DraftKind::Refusal => self.refusal()?,
            DraftKind::Date => self.date()?,
            DraftKind::Exception => self.exception()?,
            DraftKind::Visit => self.visit()?,
            DraftKind::Progress => self.progress()?,
        };
        let at_ms = said.at.best().0;
        let mut contacts = self.state.contacts.iter().map(|contact| contact.said);
        let contact = contacts.find(|contact| contact.at.best().0 >= at_ms).map(|contact| contact.fact);
        Some(Draft { kind, words: Words { zh, en }, fact: said.fact, at_ms, contact })
    }

    fn is_ticket(&self) -> bool {
        self.doc.id().kind() == DocKind::Ticket
    }
    fn is_over(&self) -> bool {
        self.state.is_cancelled() || self.state.is_closed(Some(self.flow))
    }
    fn title(&self, step: &Name) -> Words {
        let same = || Words { zh: step.to_string(), en: step.to_string() };
        self.flow.step(step.as_str()).map_or_else(same, |step| step.title.clone())
    }
    fn text(&self, field: &str) -> Option<String> {
        let content = self.state.content(self.doc, Map::Fields);
        content.get(field).and_then(Value::as_text).filter(|text| !text.is_empty()).map(str::to_owned)
    }
    /// The field of the day that the customer was promised.
    fn promised(&self) -> &'static str {
        if self.is_ticket() { "appointment" } else { "delivery_date" }
    }

    /// A ticket's solution: the step that the policy measures as such, or the one that closes it.
    fn result(&self) -> Option<(Said, String, String)> {
        let rules = self.policy.rules.iter().filter(|rule| rule.concerns(self.name, self.flow));
        let solves: Vec<&Name> = rules
            .filter_map(|rule| match &rule.form {
                RuleForm::Urgency { resolution, .. } => Some(resolution),
                _ => None,
            })
            .collect();
        let closes = |id: &Name| self.flow.step(id.as_str()).is_some_and(|step| step.closes);
        let ends = |id: &Name| solves.contains(&id) || closes(id);
        let mut done = self.state.steps.iter().rev().filter(|_| self.is_ticket());
        let step = done.find(|step| step.what.outcome == Outcome::Done && ends(&step.what.step))?;
        let (title, number) = (self.title(&step.what.step), self.number);
        let product = self.text("product").map(|text| format!("「{text}」")).unwrap_or_default();
        let (plan_zh, plan_en) = match self.text("plan") {
            Some(plan) => (format!("处理方案:{plan}。"), format!(" What was done: {plan}.")),
            None => Default::default(),
        };
        Some((
            step.said,
            format!(
                "您好,您反映的{product}问题(售后单{number})已处理:{}。{plan_zh}如有疑问请随时联系我们。",
                title.zh
            ),
            format!(
                "Your request {number} has been dealt with: {}.{plan_en} Please tell us if anything is left.",
                title.en
            ),
        ))
    }

    /// While nothing was done since: an order that was handed in again is not refused any more.
    fn refusal(&self) -> Option<(Said, String, String)> {
        let step = self.state.steps.last().filter(|step| step.what.step == *REFUSED)?;
        let amend = step.what.values.get(AMEND);
        let amend = amend.or(step.what.note.as_ref()).cloned().unwrap_or_default();
        let number = self.number;
        Some((
            step.said,
            format!("您好,您的订单{number}暂时不能受理,请修改后再提交:{amend}"),
            format!("We cannot take your order {number} as it is. Please amend: {amend}"),
        ))
    }

    /// A day that a seal changed: what is in force against what the seals before it had.
    fn date(&self) -> Option<(Said, String, String)> {
        let field = self.promised();
        let now = self.text(field).filter(|_| !self.is_over())?;
        let sealed = |heads: &[_]| {
            let values = self.doc.values_at(Map::Fields, heads).into_iter();
            values.filter(|(key, _)| key == field).find_map(|(_, value)| value.as_text().map(str::to_owned))
        };
        let days: Vec<_> = self.state.seals.iter().map(|seal| (seal.said, sealed(&seal.heads))).collect();
        let before = days.iter().rposition(|(_, day)| day.as_ref().is_some_and(|day| *day != now))?;
        let (said, _) = days.iter().skip(before + 1).find(|(_, day)| day.as_ref() == Some(&now))?;
        let (number, was) = (self.number, days.get(before)?.1.as_deref()?);
        let (zh, en) =
            if self.is_ticket() { ("上门日期", "visit") } else { ("送货日期", "delivery") };
        Some((
            *said,
            format!("您好,您的单据{number}的{zh}已由{was}改为{now}。"),
            format!("The day of {en} of {number} has been changed from {was} to {now}."),
        ))
    }

    fn exception(&self) -> Option<(Said, String, String)> {
        let mut newest = self.state.exceptions.iter().rev().filter(|_| !self.is_over());
        let (exception, _) = newest.find(|(_, resolution)| resolution.is_none())?;
        let (what, number) = (&exception.what.what, self.number);
        let (day_zh, day_en) = match self.text(self.promised()) {
            Some(day) => (format!("原定日期{day}可能受影响,"), format!(" The day agreed, {day}, may move;")),
            None => Default::default(),
        };
        Some((
            exception.said,
            format!("您好,您的单据{number}出现异常:{what}。{day_zh}我们正在处理,有结果立即告知。"),
            format!(
                "Something came up with {number}: {what}.{day_en} we are on it and will tell you at once."
            ),
        ))
    }

    fn visit(&self) -> Option<(Said, String, String)> {
        let open = self.state.appointments.values().filter(|appointment| appointment.status.is_open());
        let appointment = open.max_by_key(|appointment| appointment.said.at.best().0)?;
        let (title, on, number) = (self.title(&appointment.purpose), &appointment.on, self.number);
        Some((
            appointment.said,
            format!("您好,我们将于{on}上门(单据{number}:{}),请留意接听电话。", title.zh),
            format!("We will come on {on} for {number}: {}.", title.en),
        ))
    }

    fn progress(&self) -> Option<(Said, String, String)> {
        let mut done = self.state.steps.iter().rev().filter(|_| !self.is_ticket() && !self.is_over());
        let counts = |outcome| matches!(outcome, Outcome::Done | Outcome::Partial);
        let step = done.find(|step| step.what.step != *REFUSED && counts(step.what.outcome))?;
        let (title, number) = (self.title(&step.what.step), self.number);
        let on = WorkCalendar::of(self.policy).local_date(step.said.at.best().0);
        let (day_zh, day_en) = match self.text(self.promised()) {
            Some(day) => (format!("预计送货日期:{day}。"), format!(" Delivery is planned for {day}.")),
            None => Default::default(),
        };
        Some((
            step.said,
            format!("您好,您的订单{number}最新进度:{}({on})。{day_zh}", title.zh),
            format!("Your order {number} has reached \"{}\" ({on}).{day_en}", title.en),
        ))
    }
}
