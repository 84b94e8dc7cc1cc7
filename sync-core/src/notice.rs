//! Notices: what a person should hear about an order, ticket, matter or record, as their inbox shows it.
//!
//! In: a document with its state, the rules, now. Out: [`Notice`]s, each with whom it is for ([`To`]). They
//! follow from the document: nobody sends them, so they are the same on every device of a person, offline
//! and at the relay, and cannot be lost. A notice has an id that stays as long as what it tells of; which
//! were read stands in the person's inbox document, which merges like any other. The company as a whole has
//! notices too ([`company`]): they follow from the directory and its policies.
//!
//! Deliberately not here: telling anybody outside (the relay does), and any judgement of its own.

use std::collections::BTreeSet;
use std::fmt::Display;

use chrono::NaiveDate;
use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::directory::{Directory, Rules, Suspended};
use crate::document::Document;
use crate::document::history::Entry;
use crate::fact::kinds::{Outcome, Payload, Step};
use crate::findings::judged;
use crate::fold::State;
use crate::ids::{ChangeHash, DocId, DocKind, FactId, Name, PersonId, StoreId};
use crate::policy::calendar::WorkCalendar;
use crate::policy::judge::{Case, Finding, Verdict, judge};
use crate::policy::model::{CONCERNED, DECIDED, NOTIFIED, PUBLISHED, Policy, Power, Step as StepRule};
use crate::policy::review::review_due_ms;
use crate::time::UnixMs;

/// So long before something is due its notice comes.
const AHEAD_MS: i64 = 24 * 3_600_000;
/// So long a notice of something that is over stays.
const KEPT_MS: i64 = 30 * AHEAD_MS;
/// So long after the opening every deadline has passed.
const LONG_MS: i64 = 20 * 366 * AHEAD_MS;

/// What a notice is about. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum NoticeKind {
    /// A job was assigned.
    #[n(0)]
    Assignment,
    /// Something is due within a day, or has come due.
    #[n(1)]
    Reminder,
    /// A deadline passed, or someone passed it upward.
    #[n(2)]
    Escalation,
    /// What was proposed was approved or declined, a clash settled, a record about the person told.
    #[n(3)]
    Decision,
    /// A clash waits to be settled.
    #[n(4)]
    Clash,
    /// A change waits to be approved or declined.
    #[n(5)]
    Proposal,
    /// Something endangers quality or date, and nobody has resolved it.
    #[n(6)]
    Exception,
    /// A matter or record about a person waits for this person's role.
    #[n(7)]
    Task,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Assignment,
        Self::Reminder,
        Self::Escalation,
        Self::Decision,
        Self::Clash,
        Self::Proposal,
        Self::Exception,
        Self::Task,
    ];

    /// Its name in views and APIs, and its title in Chinese and English.
    pub const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Assignment => ("assignment", "派单", "assignment"),
            Self::Reminder => ("reminder", "到期提醒", "reminder"),
            Self::Escalation => ("escalation", "上报", "escalation"),
            Self::Decision => ("decision", "处理结果", "decision"),
            Self::Clash => ("clash", "待裁决的冲突", "clash to settle"),
            Self::Proposal => ("proposal", "待批准的修改", "change to approve"),
            Self::Exception => ("exception", "异常", "exception"),
            Self::Task => ("task", "待办", "to be done next"),
        }
    }
}

/// Whom a notice is for; only those who see its document get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// One person.
    Person(PersonId),
    /// Everyone of a role, where the role is for a store those of the document's.
    Role(Name),
    /// Everyone with a power.
    Power(Power),
}

/// One notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Stays the same as long as what it tells of.
    pub id: [u8; 16],
    /// What about.
    pub kind: NoticeKind,
    /// For whom.
    pub to: To,
    /// The document.
    pub doc: DocId,
    /// Its number.
    pub number: String,
    /// The document's store.
    pub store: Option<StoreId>,
    /// Since when, as far as is known.
    pub at_ms: UnixMs,
    /// When it is or was due.
    pub due_ms: Option<UnixMs>,
    /// What happened, in Chinese and English, with who said it and what they typed.
    pub words: (String, String),
    /// The same for outside the company: no name, and nothing that anybody typed.
    pub plain: (String, String),
}

impl Notice {
    /// Whether it is for this person now.
    pub fn reaches(&self, person: PersonId, rules: &Rules<'_>, now_ms: UnixMs) -> bool {
        match &self.to {
            To::Person(one) => *one == person,
            To::Power(power) => rules.has_power(person, now_ms, *power),
            To::Role(role) => {
                let here =
                    |store: Option<StoreId>| store.is_none() || self.store.is_none() || store == self.store;
                rules.directory.roles_at(person, now_ms).any(|span| span.role == *role && here(span.store))
            }
        }
    }
}

/// What there is to hear about a document at a moment, in no order that matters.
pub fn notices(doc: &Document, state: &State, rules: &Rules<'_>, now_ms: UnixMs) -> Vec<Notice> {
    Outlook::of(doc, state, rules).notices(now_ms)
}

/// A document as far as notices follow from it, read once for whatever is asked.
pub struct Outlook<'a> {
    telling: Telling<'a>,
    said: Vec<Notice>,
    waiting: Vec<Notice>,
    /// What is judged, and by which policy.
    judged: Option<(Case, &'a Policy)>,
    /// Complete or called off.
    over: bool,
}

impl<'a> Outlook<'a> {
    /// Reads a document.
    pub fn of(doc: &'a Document, state: &'a State, rules: &'a Rules<'a>) -> Self {
        let telling = Telling { doc, state, rules };
        let (said, waiting) = (telling.said(), telling.waiting());
        let over = state.is_cancelled() || state.is_closed(state.flow(rules));
        Self { telling, said, waiting, judged: judged(doc, state, rules), over }
    }

    fn findings(&self, now_ms: UnixMs) -> Vec<Finding> {
        self.judged.as_ref().map(|(case, policy)| judge(case, policy, now_ms)).unwrap_or_default()
    }

    /// What is judged of it.
    pub fn case(&self) -> Option<&Case> {
        self.judged.as_ref().map(|(case, _)| case)
    }

    /// What there is to hear at a moment, in no order that matters.
    pub fn notices(&self, now_ms: UnixMs) -> Vec<Notice> {
        self.notices_by(&self.findings(now_ms), now_ms)
    }

    /// What there is to hear at a moment, and the first moment after it at which there may be something else;
    /// `None` where there never will as it stands.
    pub fn look(&self, now_ms: UnixMs) -> (Vec<Notice>, Option<UnixMs>) {
        let found = self.findings(now_ms);
        (self.notices_by(&found, now_ms), self.stirs_next(&found, now_ms))
    }

    fn notices_by(&self, found: &[Finding], now_ms: UnixMs) -> Vec<Notice> {
        let fresh = |notice: &Notice| (0..KEPT_MS).contains(&now_ms.saturating_sub(notice.at_ms));
        let mut told: Vec<Notice> = self.said.iter().filter(|notice| fresh(notice)).cloned().collect();
        told.extend_from_slice(&self.waiting);
        let found = found.iter().flat_map(|found| self.telling.found(found, now_ms));
        told.extend(found.filter(|notice| !self.over || fresh(notice)));
        told
    }

    /// From when until when there may be something to tell; `None` where there never will as it stands.
    pub fn stirs(&self) -> Option<(UnixMs, UnixMs)> {
        let fades = |at_ms: UnixMs| (at_ms, at_ms.saturating_add(KEPT_MS));
        let said = self.said.iter().map(|notice| fades(notice.at_ms));
        let waiting = self.waiting.iter().map(|notice| (notice.at_ms, UnixMs::MAX));
        let later = self.judged.as_ref().and_then(|(case, _)| {
            let found = self.findings(case.opened_ms.saturating_add(LONG_MS));
            let due_ms = found.iter().filter_map(|f| f.due_ms).min()?.saturating_sub(AHEAD_MS);
            let newest_ms = found.iter().filter_map(|f| f.due_ms).max()?;
            Some((due_ms, if self.over { fades(newest_ms).1 } else { UnixMs::MAX }))
        });
        said.chain(waiting).chain(later).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The first moment after now at which there may be something else to tell than now. What is counted in
    /// days turns at midnight of the policy's zone, so every midnight is such a moment for what is still open.
    fn stirs_next(&self, found: &[Finding], now_ms: UnixMs) -> Option<UnixMs> {
        let (from_ms, until_ms) = self.stirs()?;
        if now_ms < from_ms {
            return Some(from_ms);
        }
        let fades = |at_ms: UnixMs| [at_ms, at_ms.saturating_add(KEPT_MS)];
        let mut moments: Vec<UnixMs> = self.said.iter().flat_map(|notice| fades(notice.at_ms)).collect();
        moments.extend(self.waiting.iter().map(|notice| notice.at_ms));
        let due = found.iter().filter_map(|found| found.due_ms);
        // Late is what is past its moment.
        moments.extend(due.flat_map(|due_ms| [due_ms.saturating_sub(AHEAD_MS), due_ms.saturating_add(1)]));
        if let Some((_, policy)) = self.judged.as_ref().filter(|_| now_ms <= until_ms) {
            let calendar = WorkCalendar::of(policy);
            moments.extend(calendar.local_date(now_ms).succ_opt().map(|day| calendar.day_start(day)));
        }
        moments.into_iter().filter(|ms| *ms > now_ms).min()
    }
}

/// What there is to hear about the company at a moment: that its policy is due for review, and on which days
/// intake rests.
pub fn company(rules: &Rules<'_>, now_ms: UnixMs) -> Vec<Notice> {
    let (Some(company), Some((version, policy))) = (rules.directory.company, rules.at(now_ms)) else {
        return Vec::new();
    };
    let doc = DocId::directory(company);
    let mut told = suspensions(doc, policy, rules.directory, now_ms);
    told.extend(review(doc, version, policy, rules.directory, now_ms));
    told
}

/// That the policy in force is due for review within a day, or has come due (S1 第二十二条, S4 第七条, S11 八,
/// S12 第十四条).
fn review(
    doc: DocId,
    version: u32,
    policy: &Policy,
    directory: &Directory,
    now_ms: UnixMs,
) -> Option<Notice> {
    let effective = directory.policies.iter().find(|p| p.version == version)?;
    let due_ms = review_due_ms(policy, effective.effective_ms);
    let ahead_ms = due_ms.saturating_sub(AHEAD_MS);
    let (zh, en) = policy.title.pair();
    let (late, words) = if due_ms <= now_ms {
        (true, (format!("制度「{zh}」已到评审日期"), format!("the policy \"{en}\" is due for review")))
    } else {
        let en = format!("the policy \"{en}\" is due for review within a day");
        (false, (format!("制度「{zh}」明日到评审日期"), en))
    };
    let what: [&dyn Display; 3] = [&version, &due_ms, &late];
    (ahead_ms <= now_ms).then(|| Notice {
        id: id_of(NoticeKind::Reminder, doc, &what),
        kind: NoticeKind::Reminder,
        to: To::Power(Power::Policy),
        doc,
        number: policy.name.to_string(),
        store: None,
        at_ms: if late { due_ms } else { ahead_ms },
        due_ms: Some(due_ms),
        plain: words.clone(),
        words,
    })
}

/// The days to come, and today, on which intake rests, to the roles that the policy tells (S21 注意事项 1).
fn suspensions(doc: DocId, policy: &Policy, directory: &Directory, now_ms: UnixMs) -> Vec<Notice> {
    let Some(rest) = &policy.suspension else { return Vec::new() };
    let calendar = WorkCalendar::of(policy);
    let today = calendar.local_date(now_ms);
    let (zh, en) = rest.title.pair();
    let notice = |(day, said): (&NaiveDate, &Suspended), role: &Name| {
        let what: [&dyn Display; 3] = [day, &said.at_ms, role];
        let plain = (format!("{day}:{zh}"), format!("{day}: {en}"));
        Notice {
            id: id_of(NoticeKind::Reminder, doc, &what),
            kind: NoticeKind::Reminder,
            to: To::Role(role.clone()),
            doc,
            number: day.to_string(),
            store: None,
            at_ms: said.at_ms,
            due_ms: Some(calendar.day_start(*day)),
            words: (format!("{}:{}", plain.0, said.reason), format!("{}: {}", plain.1, said.reason)),
            plain,
        }
    };
    let days = directory.suspended.range(today..);
    days.flat_map(|day| rest.tells.iter().map(move |role| (day, role)))
        .map(|(day, role)| notice(day, role))
        .collect()
}

fn id_of(kind: NoticeKind, doc: DocId, what: &[&dyn Display]) -> [u8; 16] {
    let mut id = Sha256::new();
    let parts = what.iter().map(ToString::to_string);
    for text in std::iter::once(kind.words().0.to_owned()).chain(parts) {
        id.update((text.len() as u64).to_be_bytes());
        id.update(text);
    }
    id.update(doc.to_bytes());
    let mut short = [0; 16];
    short.copy_from_slice(&id.finalize()[..16]);
    short
}

/// What somebody hears of a fact of somebody else's.
struct Heard<'a> {
    kind: NoticeKind,
    to: Vec<To>,
    /// What its author did, after their name.
    words: (String, String),
    /// Why, as they typed it.
    reason: Option<&'a str>,
}

struct Telling<'a> {
    doc: &'a Document,
    state: &'a State,
    rules: &'a Rules<'a>,
}

impl Telling<'_> {
    fn notice(
        &self,
        kind: NoticeKind,
        to: To,
        at_ms: UnixMs,
        what: &[&dyn Display],
        words: (String, String),
    ) -> Notice {
        Notice {
            id: id_of(kind, self.doc.id(), what),
            kind,
            to,
            doc: self.doc.id(),
            number: self.state.opened.as_ref().map(|o| o.what.number.clone()).unwrap_or_default(),
            store: self.state.store(),
            at_ms,
            due_ms: None,
            plain: words.clone(),
            words,
        }
    }

    /// What someone said that is for somebody else to hear.
    fn said(&self) -> Vec<Notice> {
        let mut told = Vec::new();
        for entry in &self.state.log {
            let fact = &entry.fact;
            let Some(Heard { kind, to, words: (zh, en), reason }) = self.hears(entry) else { continue };
            let by = self.rules.directory.person_name(fact.author);
            let words = match reason {
                Some(reason) => (format!("{by}{zh}:{reason}"), format!("{by} {en}: {reason}")),
                None => (format!("{by}{zh}"), format!("{by} {en}")),
            };
            let plain = (zh, en);
            let others = to.into_iter().filter(|to| *to != To::Person(fact.author));
            told.extend(others.map(|to| Notice {
                plain: plain.clone(),
                ..self.notice(kind, to, fact.stamp.best().0, &[&fact.id], words.clone())
            }));
        }
        told
    }

    /// Who hears of a fact, and the words after its author's name.
    fn hears<'e>(&self, entry: &'e Entry) -> Option<Heard<'e>> {
        use NoticeKind::{Decision, Escalation};
        let people = |people: BTreeSet<PersonId>| people.into_iter().map(To::Person).collect();
        let (kind, to, words, reason) = match &entry.fact.payload {
            Payload::Escalated(p) => {
                let to = vec![To::Role(p.to.clone())];
                (Escalation, to, ("上报", "passed it upward"), Some(p.reason.as_str()))
            }
            Payload::Approved(p) => {
                let to = people(self.proposers(entry.change, &p.heads));
                (Decision, to, ("批准了修改", "approved the change"), None)
            }
            Payload::Declined(p) => {
                let to = people(self.proposers(entry.change, &p.heads));
                (Decision, to, ("驳回了修改", "declined the change"), Some(p.reason.as_str()))
            }
            Payload::Settled(p) => {
                let sides = [p.left, p.right].into_iter().filter_map(|side| self.author_of(side));
                let to = people(sides.collect());
                (Decision, to, ("裁决了冲突", "settled the clash"), Some(p.reason.as_str()))
            }
            Payload::Step(p) if self.doc.id().kind() == DocKind::Conduct && p.step == *NOTIFIED => {
                let to = self.state.about().map(To::Person).into_iter().collect();
                (Decision, to, ("书面通知您一项奖惩记录", "told you of a conduct record"), None)
            }
            Payload::Step(p) if self.is_paper() && p.outcome == Outcome::Done => return self.step_heard(p),
            _ => return None,
        };
        Some(Heard { kind, to, words: (words.0.to_owned(), words.1.to_owned()), reason })
    }

    /// Matters and records about people: what goes from one desk to the next.
    fn is_paper(&self) -> bool {
        matches!(self.doc.id().kind(), DocKind::Matter | DocKind::Conduct)
    }

    /// Who began a paper hears how it goes on, and whom it is about; of a record not before its written notice.
    fn step_heard(&self, step: &Step) -> Option<Heard<'static>> {
        let rule = self.state.flow(self.rules)?.step(step.step.as_str())?;
        let record = self.doc.id().kind() == DocKind::Conduct;
        let told = !record || [PUBLISHED, DECIDED].iter().any(|known| step.step == **known);
        let began = self.state.openings().map(|(author, _)| author);
        let to: BTreeSet<PersonId> = began.chain(self.state.about().filter(|_| told)).collect();
        let (zh, en) = rule.title.pair();
        let words = (format!("办理了「{zh}」"), format!("recorded \"{en}\""));
        let to = to.into_iter().map(To::Person).collect();
        Some(Heard { kind: NoticeKind::Decision, to, words, reason: None })
    }

    /// The steps of a paper that come next, told to the roles that record them.
    fn tasks(&self) -> Vec<Notice> {
        let (state, flow) = (self.state, self.state.flow(self.rules));
        let Some(flow) = flow.filter(|_| self.is_paper() && !state.is_cancelled()) else { return Vec::new() };
        let appeal = |step: &StepRule| step.id == *DECIDED && !state.done(DECIDED);
        // What may be said again is not over with the first time: nothing is next after it.
        let once = |before: &Name| flow.step(before.as_str()).is_some_and(|before| !before.repeat);
        let owed = |step: &&StepRule| {
            let began = |before: &Name| once(before) && state.did(before.as_str());
            let began = !step.after.is_empty() && step.after.iter().all(began);
            let next = !step.optional && !state.did(step.id.as_str()) && step.once_over.is_none();
            began && (next || appeal(step))
        };
        let mut told = Vec::new();
        for step in flow.steps.iter().filter(owed).filter(|_| !state.is_closed(Some(flow))) {
            let since =
                step.after.iter().filter_map(|before| Some(state.last(before.as_str())?.said.at.best().0));
            let at_ms = since.max().unwrap_or_default();
            let words = (format!("待办:{}", step.title.zh), format!("to be done next: {}", step.title.en));
            for role in step.by.iter().filter(|role| **role != *CONCERNED) {
                let (to, what) = (To::Role(role.clone()), [&step.id as &dyn Display, role]);
                told.push(self.notice(NoticeKind::Task, to, at_ms, &what, words.clone()));
            }
        }
        told
    }

    fn author_of(&self, fact: FactId) -> Option<PersonId> {
        self.state.log.iter().find(|entry| entry.fact.id == fact).map(|entry| entry.fact.author)
    }

    /// Who wrote what a decision was about: what its heads cover and no earlier seal did.
    fn proposers(&self, decision: ChangeHash, heads: &[ChangeHash]) -> BTreeSet<PersonId> {
        let history = self.doc.history();
        let earlier: Vec<&[ChangeHash]> = self
            .state
            .seals
            .iter()
            .filter(|seal| history.knew(decision, seal.said.change))
            .map(|seal| seal.heads.as_slice())
            .collect();
        let facts: BTreeSet<_> = self.state.log.iter().map(|entry| entry.change).collect();
        let new = |hash: ChangeHash| {
            !facts.contains(&hash)
                && history.covers(heads, &[hash])
                && !earlier.iter().any(|sealed| history.covers(sealed, &[hash]))
        };
        let metas = self.doc.metas();
        let devices =
            metas.iter().filter(|meta| new(meta.hash)).filter_map(|meta| meta.actor).map(|a| a.device);
        devices.filter_map(|device| self.rules.directory.devices.get(&device)).map(|d| d.person).collect()
    }

    /// What waits for somebody, as it stands.
    fn waiting(&self) -> Vec<Notice> {
        let (state, mut told) = (self.state, Vec::new());
        for (id, appointment) in state.appointments.iter().filter(|(_, a)| a.status.is_open()) {
            let on = &appointment.on;
            for person in &appointment.people {
                let words = (format!("派给您的工作:{on}"), format!("a job for you on {on}"));
                let said = appointment.said;
                let what: [&dyn Display; 3] = [id, &said.fact, person];
                told.push(self.notice(
                    NoticeKind::Assignment,
                    To::Person(*person),
                    said.at.best().0,
                    &what,
                    words,
                ));
            }
        }
        for clash in state.clashes.iter().filter(|clash| clash.settled.is_none()) {
            let sides = state.log.iter().filter(|e| e.fact.id == clash.left || e.fact.id == clash.right);
            let at_ms = sides.map(|entry| entry.fact.stamp.best().0);
            let words = (
                "两边各自记录的事不能同时成立,请裁决".to_owned(),
                "two records cannot both lead: settle it".to_owned(),
            );
            let what: [&dyn Display; 2] = [&clash.left, &clash.right];
            let to = To::Power(Power::Settle);
            told.push(self.notice(NoticeKind::Clash, to, at_ms.max().unwrap_or_default(), &what, words));
        }
        if let Some(sealed) = state.in_force.as_ref().filter(|_| !state.proposed.is_empty()) {
            let keys: Vec<String> =
                state.proposed.iter().map(|p| format!("{}={:?}", p.key, p.proposed)).collect();
            let newest = state.seals.iter().map(|seal| seal.said.at.best().0).max().unwrap_or_default();
            let words = (
                format!("有{}处修改待批准", keys.len()),
                format!("{} changes wait to be approved", keys.len()),
            );
            let what: [&dyn Display; 2] = [&format!("{sealed:?}"), &keys.join(";")];
            told.push(self.notice(NoticeKind::Proposal, To::Power(Power::Approve), newest, &what, words));
        }
        for (exception, _) in state.exceptions.iter().filter(|(_, resolution)| resolution.is_none()) {
            let what = &exception.what.what;
            let words = (format!("异常:{what}"), format!("exception: {what}"));
            let (fact, at_ms) = (exception.said.fact, exception.said.at.best().0);
            let to = To::Power(Power::Resolve);
            let plain = ("异常".to_owned(), "exception".to_owned());
            let told_of = self.notice(NoticeKind::Exception, to, at_ms, &[&fact], words);
            told.push(Notice { plain, ..told_of });
        }
        told.extend(self.tasks());
        told
    }

    /// What the rules found: a reminder to those it is about, an escalation to whom the policy names.
    fn found(&self, found: &Finding, now_ms: UnixMs) -> Vec<Notice> {
        let due_ms = found.due_ms;
        let soon = due_ms.is_some_and(|due| due.saturating_sub(AHEAD_MS) <= now_ms);
        if found.verdict == Verdict::Undecidable || (found.verdict == Verdict::Due && !soon) {
            return Vec::new();
        }
        let done = |role: &Name| (found.verdict == Verdict::Breach, role.clone());
        let reminded =
            found.about.iter().filter(|_| found.open).map(|role| (NoticeKind::Reminder, done(role)));
        let escalated = found.escalate_to.iter().map(|role| (NoticeKind::Escalation, done(role)));
        let title = &found.title;
        let told = reminded.chain(escalated).map(|(kind, (late, role))| {
            let words = if late {
                (format!("已过期:{}", title.zh), format!("overdue: {}", title.en))
            } else {
                (format!("即将到期:{}", title.zh), format!("due soon: {}", title.en))
            };
            let due = due_ms.unwrap_or_default();
            let what: [&dyn Display; 4] = [&found.rule, &role, &due, &late];
            let at_ms = if late { due } else { due.saturating_sub(AHEAD_MS) };
            Notice { due_ms, ..self.notice(kind, To::Role(role.clone()), at_ms, &what, words) }
        });
        told.collect()
    }
}
