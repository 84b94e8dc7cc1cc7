//! Authority: may this person say this now, seen from where they stand?
//!
//! The one rulebook that commands ask before they are carried out and that the relay asks before a
//! change enters. Both ask it about the document *as the author had it* (at the change's
//! dependencies): what happened elsewhere meanwhile makes a clash, never a refusal. The answer is a
//! refusal in words, with the roles that could do it. It reads no clock: `at_ms` is the fact's best
//! time, `received_ms` the relay's (on a device: now).

mod company;
mod step;

use chrono::NaiveDate;

use crate::directory::{RoleSpan, Rules};
use crate::document::history::History;
use crate::document::{Document, Edit};
use crate::domain::fields::{self, Map, Value};
use crate::fact::Fact;
use crate::fact::kinds::{Evidence, Paused, Payload, StockMoved};
use crate::fold::State;
use crate::ids::{ChangeHash, DocId, DocKind, Name, PersonId, StoreId};
use crate::limits;
use crate::policy::model::{CONCERNED, Flow, Policy, Power, Role, Scope, Step as StepRule, Subject};
use crate::policy::values::CAUSE;
use crate::refusal::{Refusal, RefusalCode};
use crate::time::UnixMs;

/// Who acts, on what, and when.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// Directory and policies.
    pub rules: Rules<'a>,
    /// Who acts.
    pub person: PersonId,
    /// The document as its author had it.
    pub doc: &'a Document,
    /// What that amounts to.
    pub state: &'a State,
    /// When it was done, as far as the device knew.
    pub at_ms: UnixMs,
    /// When it arrived.
    pub received_ms: UnixMs,
}

/// Whether judging a fact of this kind asks what is in force, only proposed or clashing; the others are
/// judged by the outline of the state alone.
pub fn asks_what_is_in_force(payload: &Payload) -> bool {
    !matches!(
        payload,
        Payload::Contact(_)
            | Payload::Exception(_)
            | Payload::Resolved(_)
            | Payload::Escalated(_)
            | Payload::Part(_)
            | Payload::Visited(_)
            | Payload::Cleared(_)
            | Payload::Payment(_)
            | Payload::Opened(_)
    )
}

/// Refuses a payment for work that is free of charge. It is asked about the order or ticket as it is known
/// where the payment is judged, since prices and payments stand in a document of their own.
pub fn may_be_charged(subject: &State, rules: &Rules<'_>) -> Result<(), Refusal> {
    let free = |why: Pair<'_>| Err(no(RefusalCode::FreeOfCharge).with_words("step", why));
    let waived = |step: &&StepRule| step.waives && subject.done(step.id.as_str());
    if let Some(step) = subject.flow(rules).and_then(|flow| flow.steps.iter().find(waived)) {
        return free(step.title.pair());
    }
    let policy = subject.opened.as_ref().and_then(|opened| rules.at(opened.said.at.best().0));
    match policy.and_then(|(_, policy)| policy.free_cause(subject.value(CAUSE)?)) {
        Some(cause) => free(cause.pair()),
        None => Ok(()),
    }
}

type Verdict = Result<(), Refusal>;
/// Words in Chinese and English.
type Pair<'a> = (&'a str, &'a str);

fn no(code: RefusalCode) -> Refusal {
    Refusal::new(code)
}

impl<'a> Act<'a> {
    /// Judges a fact together with the edits of its change.
    pub fn judge(&self, fact: Option<&Fact>, edits: &[Edit]) -> Verdict {
        for edit in edits {
            self.edit_fits(edit)?;
        }
        if let Some(fact) = fact {
            self.fact(fact)?;
        }
        if edits.iter().any(|e| !matches!(e, Edit::Put(Map::Log, ..))) {
            self.may_edit(fact)?;
        }
        Ok(())
    }

    fn policy(&self) -> Result<&'a Policy, Refusal> {
        let found = self.rules.at(self.at_ms);
        found
            .map(|(_, policy)| policy)
            .ok_or_else(|| no(RefusalCode::PolicyInvalid).with("reason", "no policy is published"))
    }

    /// The person's roles that hold both when it was done and when it arrived.
    fn roles(&self) -> Result<Vec<&'a RoleSpan>, Refusal> {
        let directory = self.rules.directory;
        let then: Vec<_> = directory.roles_at(self.person, self.at_ms).collect();
        let both: Vec<_> = then.iter().copied().filter(|span| span.holds_at(self.received_ms)).collect();
        if !both.is_empty() {
            return Ok(both);
        }
        // Someone whose roles have all ended is told so, not that they never had one.
        let spans = directory.people.get(&self.person).map_or(&[][..], |p| &p.roles);
        match spans.iter().filter_map(|span| span.to_ms).max() {
            Some(ended) => {
                let ended = crate::time::utc(ended).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                Err(no(RefusalCode::RoleEnded).with("ended", ended))
            }
            None => Ok(both),
        }
    }

    /// Refuses unless one of the person's roles is among these.
    fn one_of(&self, roles: &[Name], action: Pair<'_>) -> Verdict {
        let theirs = self.roles()?;
        let concerned = !theirs.is_empty() && self.state.about() == Some(self.person);
        // Of a record about themselves nobody is the judge, whatever their roles.
        let judges = !concerned || self.doc.id().kind() != DocKind::Conduct;
        if (judges && theirs.iter().any(|span| roles.contains(&span.role)))
            || (concerned && roles.iter().any(|role| *role == *CONCERNED))
        {
            return Ok(());
        }
        let titles = &self.policy()?.roles;
        let title = |role: &Name| match titles.get(role) {
            Some(role) => role.title.pair(),
            None if *role == *CONCERNED => ("当事人", "the person concerned"),
            None => ("", ""),
        };
        let refusal = no(RefusalCode::RoleMissing).with_words("action", action);
        Err(roles.iter().fold(refusal, |refusal, role| refusal.by(role, title(role))))
    }

    /// Refuses unless one of the person's roles has the power.
    pub fn power(&self, power: Power, action: Pair<'_>) -> Verdict {
        self.role(|role| role.may.contains(&power), action)
    }

    fn role(&self, able: impl Fn(&Role) -> bool, action: Pair<'_>) -> Verdict {
        let roles = self.policy()?.roles.iter().filter(|(_, role)| able(role));
        let able: Vec<Name> = roles.map(|(name, _)| name.clone()).collect();
        self.one_of(&able, action)
    }

    /// Refuses unless the document is within the scope of one of the person's roles.
    pub fn in_scope(&self, store: Option<StoreId>) -> Verdict {
        let policy = self.policy()?;
        let money = self.doc.id().kind().is_money();
        let sees = |span: &&RoleSpan| {
            policy.roles.get(&span.role).is_some_and(|role| {
                (!money || role.money)
                    && match role.scope {
                        Scope::All => true,
                        Scope::Store => store.is_none() || span.store.is_none() || span.store == store,
                        Scope::Assigned => self.state.is_assigned(self.person),
                    }
            })
        };
        let roles = self.roles()?;
        let kind = self.doc.id().kind();
        let open = match kind {
            DocKind::Conduct => self.is_theirs() || self.power(Power::Conduct, CONDUCT).is_ok(),
            DocKind::Inbox => self.is_theirs(),
            DocKind::Stock => !roles.is_empty(),
            DocKind::Matter => self.is_theirs() || roles.iter().any(sees),
            _ => roles.iter().any(sees),
        };
        if open {
            return Ok(());
        }
        let assigned_only =
            roles.iter().any(|s| policy.roles.get(&s.role).is_some_and(|role| role.scope == Scope::Assigned));
        Err(no(if assigned_only { RefusalCode::NotAssigned } else { RefusalCode::OutOfScope }))
    }

    /// Whether the person opened it, also apart from another one's opening, or is whom it is about.
    fn is_theirs(&self) -> bool {
        let opened = self.state.openings().any(|(by, _)| by == self.person);
        opened || self.state.about() == Some(self.person)
    }

    fn edit_fits(&self, edit: &Edit) -> Verdict {
        let kind = self.doc.id().kind();
        match edit {
            Edit::Put(Map::Log, _, Value::Bytes(bytes)) if bytes.len() <= limits::FACT_BYTES_MAX => Ok(()),
            Edit::Put(map, key, value) => fields::check(kind, *map, key, value),
            Edit::Delete(Map::Fields | Map::Items, key) | Edit::Delete(Map::Notes, key) => {
                let known = [Map::Fields, Map::Items].iter().any(|m| fields::find(kind, *m, key).is_some());
                let note = fields::sixteen(key).is_some();
                if known || note { Ok(()) } else { Err(no(RefusalCode::UnknownField).with("field", key)) }
            }
            Edit::Delete(map, key) => {
                Err(no(RefusalCode::UnknownField).with("field", format!("{}.{key}", map.name())))
            }
        }
    }

    /// Anyone in scope may edit; what it brings into force is another question.
    fn may_edit(&self, fact: Option<&Fact>) -> Verdict {
        let kind = self.doc.id().kind();
        if kind == DocKind::Directory {
            return Err(no(RefusalCode::Grammar).with("reason", "a directory has facts only"));
        }
        if matches!(fact.map(|f| &f.payload), Some(Payload::Opened(_))) {
            // Whoever may open it, which was judged, may fill it in.
            return Ok(());
        }
        if kind.is_opened() && self.state.opened.is_none() {
            return Err(no(RefusalCode::NotFound).with("what", self.doc.id()));
        }
        self.in_scope(self.state.store())
    }

    fn fact(&self, fact: &Fact) -> Verdict {
        let kind = self.doc.id().kind();
        if !fact.payload.fits(kind) {
            return Err(
                no(RefusalCode::Grammar).with("reason", "the fact belongs in another kind of document")
            );
        }
        if kind == DocKind::Directory {
            return self.directory(&fact.payload);
        }
        let opening = matches!(fact.payload, Payload::Opened(_));
        if kind.is_opened() && self.state.opened.is_none() && !opening {
            return Err(no(RefusalCode::NotFound).with("what", self.doc.id()));
        }
        bounded(&fact.payload)?;
        if let Payload::Opened(p) = &fact.payload {
            return self.opened(p);
        }
        self.in_scope(self.state.store())?;
        self.work(&fact.payload)
    }

    fn opened(&self, p: &crate::fact::kinds::Opened) -> Verdict {
        if self.state.opened.is_some() {
            return Err(no(RefusalCode::AlreadyExists).with("what", &p.number));
        }
        let named = |title: Pair<'_>| given(&p.number, "number", title);
        match self.doc.id().kind() {
            // A customer file has no flow: whoever sees the files of its store may open one.
            DocKind::Customer => {
                named(("建立客户档案", "open a customer file"))?;
                return self.in_scope(p.store);
            }
            DocKind::Stock => {
                named(("建立备件库存", "open a stock of parts"))?;
                return self.power(Power::Stock, ("建立备件库存", "open a stock of parts"));
            }
            DocKind::Inbox => return self.inbox_opened(p),
            _ => {}
        }
        let unknown = || no(RefusalCode::NotFound).with("what", &p.flow);
        let policy = self.policy()?;
        let flow = policy.flows.get(&p.flow).ok_or_else(unknown)?;
        if kind_of(flow.subject) != self.doc.id().kind() {
            return Err(unknown());
        }
        named(flow.title.pair())?;
        if let Some(person) = p.about.filter(|person| !self.rules.directory.people.contains_key(person)) {
            return Err(no(RefusalCode::NotFound).with("what", person));
        }
        self.one_of(&flow.opened_by, flow.title.pair())?;
        if let Some(urgency) = p.urgency.as_ref().filter(|urgency| !policy.urgencies.contains_key(*urgency)) {
            return Err(no(RefusalCode::NotFound).with("what", urgency));
        }
        match flow.subject {
            // Nobody rewards or punishes themselves.
            Subject::Conduct if p.about == Some(self.person) => Err(no(RefusalCode::OnBehalf)),
            Subject::Conduct if p.about.is_none() => {
                let missing = no(RefusalCode::ValueMissing).with_words("action", flow.title.pair());
                Err(missing.with_words("field", ("当事人", "the person concerned")))
            }
            // Whom a matter or record is for is seen by its author too, wherever they work.
            Subject::Conduct | Subject::Matter => Ok(()),
            Subject::Order | Subject::Ticket => self.in_scope(p.store),
        }
    }

    /// A person's inbox is opened by them alone, under their own id.
    fn inbox_opened(&self, p: &crate::fact::kinds::Opened) -> Verdict {
        let company = self.rules.directory.company.ok_or_else(|| no(RefusalCode::DirectoryMissing))?;
        let own = self.doc.id() == DocId::inbox(company, self.person) && p.about == Some(self.person);
        if own { Ok(()) } else { Err(no(RefusalCode::OutOfScope)) }
    }

    fn work(&self, payload: &Payload) -> Verdict {
        match payload {
            Payload::Step(p) => self.step(p),
            Payload::Approved(p) => {
                let first = self.doc.id().kind().is_money() && self.state.in_force.is_none();
                if first {
                    self.may_seal()?;
                } else {
                    self.power(Power::Approve, ("批准修改", "approve a change"))?;
                    self.proposed()?;
                }
                self.seals(&p.heads)
            }
            Payload::Declined(_) => {
                self.power(Power::Approve, ("驳回修改", "decline a change"))?;
                self.proposed()
            }
            Payload::Cancelled(_) => {
                self.power(Power::Cancel, ("取消", "cancel"))?;
                self.open()?;
                let flow = self.flow()?;
                let gone = |s: &&StepRule| s.physical && s.signature && self.state.done(s.id.as_str());
                match flow.steps.iter().find(gone) {
                    Some(_) => Err(no(RefusalCode::Closed)),
                    None => Ok(()),
                }
            }
            Payload::Assigned(p) => self.assigned(&p.people, &p.purpose, &p.on),
            Payload::Visited(p) => match self.state.appointments.get(&p.appointment) {
                Some(a) if a.people.contains(&self.person) => Ok(()),
                Some(_) => self.power(Power::Assign, ("更改预约", "change an appointment")),
                None => Err(no(RefusalCode::NotFound).with("what", p.appointment)),
            },
            Payload::Settled(p) => {
                self.power(Power::Settle, ("裁决冲突", "settle a clash"))?;
                let clash = self.state.clashes.iter().any(|c| c.is_between(p.left, p.right));
                if clash && [p.left, p.right].contains(&p.keep) {
                    Ok(())
                } else {
                    Err(no(RefusalCode::NoClash))
                }
            }
            Payload::Cleared(_) | Payload::Payment(_) => {
                self.power(Power::Money, ("登记收款", "record a payment"))
            }
            Payload::Resolved(p) => {
                self.power(Power::Resolve, ("解除异常", "resolve an exception"))?;
                let known = self.state.exceptions.iter().any(|(e, _)| e.said.fact == p.exception);
                if known { Ok(()) } else { Err(no(RefusalCode::NotFound).with("what", p.exception)) }
            }
            Payload::StockMoved(p) => self.stock_moved(p),
            Payload::Paused(p) => self.paused(p),
            Payload::Resumed(_) if self.state.is_paused() => {
                self.answers_for_it(("恢复计时", "let the clock run"))
            }
            Payload::Resumed(_) => {
                let refusal =
                    no(RefusalCode::StepOrder).with_words("action", ("恢复计时", "let the clock run"));
                Err(refusal.with_words("missing", PAUSE))
            }
            Payload::Contact(p) => given(&p.words, "words", ("联系客户", "contact the customer")),
            Payload::Escalated(p) if !self.policy()?.roles.contains_key(&p.to) => {
                Err(no(RefusalCode::NotFound).with("what", &p.to))
            }
            Payload::Escalated(p) => given(&p.reason, "reason", ("上报", "pass it upward")),
            Payload::Exception(_) | Payload::Part(_) => Ok(()),
            _ => Err(no(RefusalCode::NewerApp)),
        }
    }

    /// Parts are counted in by whoever keeps the stock; who needs one takes it, while there is one as far as
    /// they know.
    fn stock_moved(&self, p: &StockMoved) -> Verdict {
        let title = ("领用备件", "take a part");
        if p.sku.trim().is_empty() || p.by == 0 {
            return Err(no(RefusalCode::ValueMissing).with_words("action", title).with("field", "sku"));
        }
        if p.by > 0 {
            return self.power(Power::Stock, ("备件入库", "count parts in"));
        }
        let there = self.state.stocked(&p.sku);
        if there.saturating_add(p.by) >= 0 {
            return Ok(());
        }
        Err(no(RefusalCode::StockShort).with("sku", &p.sku).with("there", there))
    }

    /// Stopping the clock moves deadlines: only who does the job or assigns it may, and says why.
    fn paused(&self, p: &Paused) -> Verdict {
        self.open()?;
        given(&p.reason, "reason", PAUSE)?;
        if self.state.is_paused() {
            return Err(no(RefusalCode::StepRepeated).with_words("action", PAUSE));
        }
        self.answers_for_it(PAUSE)
    }

    fn answers_for_it(&self, action: Pair<'_>) -> Verdict {
        if self.state.awaits(self.person) { Ok(()) } else { self.power(Power::Assign, action) }
    }

    /// Prices are sealed for the first time together with their order or ticket: by whoever may record
    /// a step that seals one.
    fn may_seal(&self) -> Verdict {
        let policy = self.policy()?;
        let kind = self.doc.id().kind().subject();
        let of_kind = policy.flows.values().filter(|f| kind_of(f.subject) == kind);
        let sealing = of_kind.flat_map(|f| &f.steps).filter(|s| s.seal);
        let roles: Vec<Name> = sealing.flat_map(|s| s.by.iter().cloned()).collect();
        self.one_of(&roles, ("确认价格", "confirm prices"))
    }

    fn flow(&self) -> Result<&'a Flow, Refusal> {
        let missing = || no(RefusalCode::NotFound).with("what", "flow");
        self.state.flow(&self.rules).ok_or_else(missing)
    }

    fn open(&self) -> Verdict {
        if self.state.is_cancelled() {
            return Err(no(RefusalCode::Cancelled));
        }
        if self.state.is_closed(self.state.flow(&self.rules)) {
            return Err(no(RefusalCode::Closed));
        }
        Ok(())
    }

    fn proposed(&self) -> Verdict {
        if self.state.proposed.is_empty() { Err(no(RefusalCode::NothingProposed)) } else { Ok(()) }
    }

    /// A seal must name what its author had, and no less than what is in force.
    fn seals(&self, heads: &[ChangeHash]) -> Verdict {
        let history: History = self.doc.history();
        let known =
            !heads.is_empty() && heads.len() <= limits::HEADS_MAX && heads.iter().all(|h| self.doc.has(*h));
        let whole = self.state.in_force.as_ref().is_none_or(|sealed| history.covers(heads, sealed));
        if known && whole { Ok(()) } else { Err(no(RefusalCode::SealStale)) }
    }

    fn assigned(&self, people: &[PersonId], purpose: &Name, on: &str) -> Verdict {
        self.power(Power::Assign, ("派单", "assign a job"))?;
        self.open()?;
        if self.flow()?.step(purpose.as_str()).is_none() {
            return Err(no(RefusalCode::StepUnknown).with("action", purpose));
        }
        day(on, "on")?;
        match people.iter().find(|p| !self.rules.directory.people.contains_key(p)) {
            Some(person) => Err(no(RefusalCode::NotFound).with("what", person)),
            None => Ok(()),
        }
    }
}

/// A text that must not be left empty.
fn given(text: &str, field: &str, action: Pair<'_>) -> Verdict {
    if text.trim().is_empty() {
        return Err(no(RefusalCode::ValueMissing).with_words("action", action).with("field", field));
    }
    Ok(())
}

/// A day as people write it.
fn day(text: &str, field: &str) -> Result<NaiveDate, Refusal> {
    text.parse().map_err(|_| {
        let refusal = no(RefusalCode::ValueInvalid).with("field", field);
        refusal.with_words("reason", ("日期写作2026-11-22", "a day is written 2026-11-22"))
    })
}

const CONDUCT: Pair<'static> = ("查看奖惩记录", "see a conduct record");
const PAUSE: Pair<'static> = ("暂停计时", "stop the clock");

/// The kind of document that a flow's subject stands in.
pub const fn kind_of(subject: Subject) -> DocKind {
    match subject {
        Subject::Order => DocKind::Order,
        Subject::Ticket => DocKind::Ticket,
        Subject::Matter => DocKind::Matter,
        Subject::Conduct => DocKind::Conduct,
    }
}

/// Text and evidence within bounds.
fn bounded(payload: &Payload) -> Verdict {
    let too_large = |what: Pair<'_>, limit: usize| {
        no(RefusalCode::TooLarge).with_words("what", what).with("limit", limit)
    };
    let evidence = payload.evidence();
    if evidence.len() > limits::EVIDENCE_MAX {
        return Err(too_large(("证据", "the evidence"), limits::EVIDENCE_MAX));
    }
    let long = |text: &str| text.chars().count() > limits::TEXT_CHARS_MAX;
    let wordy = |e: &Evidence| e.text.as_deref().is_some_and(long) || e.media.as_deref().is_some_and(long);
    if evidence.iter().any(wordy) {
        return Err(too_large(("文字", "the text"), limits::TEXT_CHARS_MAX));
    }
    if let Payload::Step(p) = payload
        && (p.values.len() > limits::EVIDENCE_MAX || p.values.values().any(|v| long(v)))
    {
        return Err(too_large(("内容", "the list of values"), limits::EVIDENCE_MAX));
    }
    Ok(())
}
