//! Steps: may this person record this step of the flow now, and is everything there that it needs?
//!
//! In: what the policy says of the step, the document as the author had it, the moment. Out: a refusal that
//! names what is missing in the policy's own words.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::{Act, Pair, Verdict, no};
use crate::fact::kinds::{Outcome, Signature, Step};
use crate::ids::Name;
use crate::policy::calendar::WorkCalendar;
use crate::policy::model::{EvidenceKind, Point, Step as StepRule, Subject, Until};
use crate::policy::values::CAUSE;
use crate::refusal::{Refusal, RefusalCode};

impl Act<'_> {
    pub(super) fn step(&self, p: &Step) -> Verdict {
        let rule = self.flow()?.step(p.step.as_str());
        let rule = rule.ok_or_else(|| no(RefusalCode::StepUnknown).with("action", &p.step))?;
        self.step_possible(rule)?;
        if p.outcome == Outcome::Done || p.outcome == Outcome::Partial {
            self.complete(rule, p)?;
        }
        match &p.seal {
            Some(heads) => self.seals(heads),
            None if rule.seal || (rule.signature && p.signature.is_some()) => Err(no(RefusalCode::SealStale)),
            None => Ok(()),
        }
    }

    /// Whether the person could record this step now, what it needs aside.
    pub fn step_possible(&self, rule: &StepRule) -> Verdict {
        let title = rule.title.pair();
        self.one_of(&rule.by, title)?;
        self.open()?;
        if !rule.repeat && self.state.done(rule.id.as_str()) {
            return Err(no(RefusalCode::StepRepeated).with_words("action", title));
        }
        let flow = self.flow()?;
        for before in &rule.after {
            if !self.state.did(before.as_str()) {
                let missing =
                    flow.step(before.as_str()).map_or((before.as_str(), before.as_str()), |s| s.title.pair());
                let refusal = no(RefusalCode::StepOrder).with_words("action", title);
                return Err(refusal.with_words("missing", missing));
            }
        }
        if rule.paid && self.state.cleared.is_none() {
            return Err(no(RefusalCode::NotPaid).with_words("action", title));
        }
        if let Some(day) = self.suspended(rule)? {
            return Err(no(RefusalCode::IntakeSuspended).with_words("action", title).with("day", day));
        }
        // A step may only follow another for so many working days, or only after them.
        let refused = |code, last| Err(no(code).with_words("action", title).with("until", last));
        match (self.days_over(rule.until.as_ref())?, self.days_over(rule.once_over.as_ref())?) {
            (Some((last, true)), _) => refused(RefusalCode::TooLate, last),
            (_, Some((last, false))) => refused(RefusalCode::TooEarly, last),
            _ => Ok(()),
        }
    }

    /// The day, where it is one on which this step of an order rests.
    fn suspended(&self, rule: &StepRule) -> Result<Option<NaiveDate>, Refusal> {
        let policy = self.policy()?;
        let rests = policy.suspension.as_ref().is_some_and(|rest| rest.steps.contains(&rule.id));
        if !rests || self.flow()?.subject != Subject::Order {
            return Ok(None);
        }
        let today = WorkCalendar::of(policy).local_date(self.at_ms);
        Ok(Some(today).filter(|day| self.rules.directory.suspended.contains_key(day)))
    }

    /// The last of so many working days after a step, and whether it is over; none before the step.
    fn days_over(&self, days: Option<&Until>) -> Result<Option<(NaiveDate, bool)>, Refusal> {
        let started = days.and_then(|days| Some((days, self.state.last(days.after.as_str())?)));
        let Some((days, started)) = started else { return Ok(None) };
        let calendar = WorkCalendar::of(self.policy()?);
        let day = calendar.local_date(started.said.at.best().0);
        let last = calendar.add_working_days(day, days.working_days);
        Ok(Some((last, calendar.local_date(self.at_ms) > last)))
    }

    /// Whether a step record has the evidence, documents, values, answers and signature that the policy asks
    /// for.
    fn complete(&self, rule: &StepRule, p: &Step) -> Verdict {
        let title = rule.title.pair();
        let policy = self.policy()?;
        let lacks = |words: Pair<'_>| {
            let refusal = no(RefusalCode::EvidenceMissing).with_words("action", title);
            Err(refusal.with_words("evidence", words))
        };
        let there = || p.evidence.iter().filter(|e| e.is_substantial());
        let kinds: BTreeSet<_> = there().map(|e| e.kind).collect();
        if let Some(missing) = rule.evidence.iter().find(|kind| !kinds.contains(kind)) {
            return lacks(evidence_word(*missing));
        }
        // A document is there as a photo or file, not by a word that says so.
        let kept = p.evidence.iter().filter(|e| e.blob.is_some());
        let documents: BTreeSet<_> = kept.filter_map(|e| e.document.as_ref()).collect();
        if let Some(missing) = rule.documents.iter().find(|name| !documents.contains(name)) {
            return lacks(
                policy.documents.get(missing).map_or((missing.as_str(), missing.as_str()), Point::pair),
            );
        }
        let empty = |field: &&Name| p.values.get(*field).is_none_or(|v| v.trim().is_empty());
        if let Some(field) = rule.values.iter().find(empty) {
            return Err(no(RefusalCode::ValueMissing).with_words("action", title).with("field", field));
        }
        if let Some([field, reason]) = policy.odd_value(self.flow()?.subject, &p.values) {
            let refusal = no(RefusalCode::ValueInvalid).with_words("field", field);
            return Err(refusal.with_words("reason", reason));
        }
        // What makes work free of charge rests on a cause for which it is.
        let cause = p.values.get(CAUSE).map(|cause| cause.trim()).filter(|_| rule.waives);
        if cause.is_some_and(|cause| !policy.free_of_charge.is_empty() && policy.free_cause(cause).is_none())
        {
            let refusal = no(RefusalCode::ValueInvalid).with_words("field", ("原因", "cause"));
            return Err(refusal.with_words("reason", ("不属于免费的原因", "no cause for which it is free")));
        }
        let fails = |check: &&Name| p.values.get(*check).is_none_or(|answer| answer != StepRule::OK);
        if let Some(check) = rule.checks.iter().find(fails) {
            let words = policy.checks.get(check).map_or((check.as_str(), check.as_str()), Point::pair);
            return Err(no(RefusalCode::CheckFailed).with_words("action", title).with_words("check", words));
        }
        if rule.signature && !p.signature.as_ref().is_some_and(Signature::is_drawn) {
            return Err(no(RefusalCode::SignatureMissing).with_words("action", title));
        }
        Ok(())
    }
}

fn evidence_word(kind: EvidenceKind) -> Pair<'static> {
    match kind {
        EvidenceKind::TextMessage => ("短信", "a text message"),
        EvidenceKind::Photo => ("照片", "a photo"),
        EvidenceKind::Signature => ("签名", "a signature"),
        EvidenceKind::File => ("文件", "a file"),
    }
}
