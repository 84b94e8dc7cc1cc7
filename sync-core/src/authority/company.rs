//! The company's own log: may this person change people, devices, policies, and the days on which intake rests?

use chrono::{Months, NaiveDate};

use super::{Act, Verdict, day, given, no};
use crate::directory::{Directory, Proposal, ProposalState};
use crate::fact::keys::{Certificate, PublicKey};
use crate::fact::kinds::{Payload, PolicyProposed, PolicyPublished};
use crate::ids::BlobHash;
use crate::limits;
use crate::policy::calendar::WorkCalendar;
use crate::policy::model::{Policy, Power, Scope, Suspension};
use crate::refusal::{Refusal, RefusalCode};

impl Act<'_> {
    pub(super) fn directory(&self, payload: &Payload) -> Verdict {
        let directory = self.rules.directory;
        if let Payload::Founded(p) = payload {
            let key = PublicKey(*p.key);
            let certificate = Certificate::verify(&p.certificate, &key);
            let holds = certificate.is_ok_and(|c| c.person == self.person);
            return match (directory.key, holds) {
                (None, true) => Ok(()),
                (None, false) => {
                    Err(no(RefusalCode::SignatureInvalid).with("reason", "the company's certificate"))
                }
                (Some(_), _) => Err(no(RefusalCode::AlreadyExists).with("what", &directory.name)),
            };
        }
        match payload {
            Payload::PolicyPublished(p) => self.published(p),
            Payload::PolicyProposed(p) => self.policy_proposed(p),
            Payload::PolicyDeclined(p) => {
                let action = ("驳回制度", "decline a policy");
                self.power(Power::Policy, action)?;
                given(&p.reason, "reason", action)?;
                not_long(&p.reason)?;
                self.proposal_waits(p.hash)
            }
            Payload::IntakeSuspended(p) => self.intake_suspended(&p.day, &p.reason),
            Payload::IntakeResumed(p) => {
                let day = self.day_of_rest(&p.day, &p.reason)?.2;
                let known = Directory::regulations_of(self.doc).suspended.contains_key(&day);
                if known { Ok(()) } else { Err(no(RefusalCode::NotFound).with("what", day)) }
            }
            Payload::DeviceEnrolled(p) => {
                let key = directory.key.ok_or_else(|| no(RefusalCode::DirectoryMissing))?;
                let certificate = Certificate::verify(&p.certificate, &key)
                    .map_err(|e| no(RefusalCode::SignatureInvalid).with("reason", e))?;
                if !directory.people.contains_key(&certificate.person) {
                    return Err(no(RefusalCode::NotFound).with("what", certificate.person));
                }
                self.power(Power::People, ("登记设备", "enrol a device"))
            }
            Payload::RoleGranted(p) => {
                if !self.policy()?.roles.contains_key(&p.role) {
                    return Err(no(RefusalCode::NotFound).with("what", &p.role));
                }
                self.power(Power::People, ("授予岗位", "grant a role"))
            }
            Payload::PersonAdded(_)
            | Payload::RoleEnded(_)
            | Payload::StoreAdded(_)
            | Payload::DeviceRevoked(_) => self.power(Power::People, ("更改人员", "change people")),
            _ => Err(no(RefusalCode::NewerApp)),
        }
    }

    /// What the policy says of suspending intake, to whoever may, with the day that is meant.
    fn day_of_rest(&self, text: &str, reason: &str) -> Result<(&Policy, &Suspension, NaiveDate), Refusal> {
        let policy = self.policy()?;
        let none = || no(RefusalCode::NotFound).with("what", "suspension");
        let rest = policy.suspension.as_ref().ok_or_else(none)?;
        self.one_of(&rest.by, rest.title.pair())?;
        given(reason, "reason", rest.title.pair())?;
        not_long(reason)?;
        Ok((policy, rest, day(text, "day")?))
    }

    /// Intake rests on a day of its window, and all can hear of it before the day begins (S21 注意事项 1).
    fn intake_suspended(&self, text: &str, reason: &str) -> Verdict {
        let (policy, rest, day) = self.day_of_rest(text, reason)?;
        if Directory::regulations_of(self.doc).suspended.contains_key(&day) {
            return Err(no(RefusalCode::AlreadyExists).with("what", day));
        }
        let today = WorkCalendar::of(policy).local_date(self.received_ms.max(self.at_ms));
        if day <= today {
            let refusal = no(RefusalCode::TooLate).with_words("action", rest.title.pair());
            return Err(refusal.with("until", day.pred_opt().unwrap_or(day)));
        }
        let far = today.checked_add_months(Months::new(limits::SUSPENSION_MONTHS_MAX));
        match policy.windows.get(&rest.window) {
            Some(window) if window.has_day(day) && far.is_some_and(|far| day <= far) => Ok(()),
            window => {
                let words = window.map_or(rest.title.pair(), |window| window.title.pair());
                Err(no(RefusalCode::ValueInvalid).with_words("field", words).with("reason", day))
            }
        }
    }

    /// Management publishes, the founder the first one (S1 第二十二条). It judges nothing that was done
    /// before it was published: its day does not lie back when it arrives.
    fn published(&self, p: &PolicyPublished) -> Verdict {
        let directory = self.rules.directory;
        if directory.policies.last().is_some_and(|last| p.version <= last.version) {
            return Err(no(RefusalCode::PolicyInvalid).with("reason", "the version is not higher"));
        }
        if directory.policies.is_empty() && directory.founder == Some(self.person) {
            return Ok(());
        }
        self.power(Power::Policy, ("发布制度", "publish a policy"))?;
        if p.effective_ms < self.received_ms.saturating_sub(limits::POLICY_LATE_MS_MAX) {
            let effective =
                crate::time::utc(p.effective_ms).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            return Err(no(RefusalCode::PolicyRetroactive).with("effective", effective));
        }
        if p.effective_ms > self.received_ms.saturating_add(limits::POLICY_AHEAD_MS_MAX) {
            return Err(no(RefusalCode::PolicyInvalid).with("reason", "its day is more than ten years ahead"));
        }
        p.proposal.map_or(Ok(()), |hash| self.proposal_waits(hash))
    }

    /// Whoever sees all of the company's work may propose how it is done.
    fn policy_proposed(&self, p: &PolicyProposed) -> Verdict {
        self.role(|role| role.scope == Scope::All, ("提议制度", "propose a policy"))?;
        not_long(p.note.as_deref().unwrap_or_default())?;
        let known = Directory::regulations_of(self.doc);
        if known.waiting(p.hash).is_some() {
            return Err(no(RefusalCode::AlreadyExists).with("what", &p.name));
        }
        let waiting = |p: &&Proposal| p.state == ProposalState::Waiting;
        if known.proposals.iter().filter(waiting).count() >= limits::POLICY_PROPOSALS_MAX {
            let refusal =
                no(RefusalCode::TooLarge).with_words("what", ("待批制度的数量", "the number of proposals"));
            return Err(refusal.with("limit", limits::POLICY_PROPOSALS_MAX));
        }
        Ok(())
    }

    /// Whether the author had a proposal of this hash before them that nobody has decided about.
    fn proposal_waits(&self, hash: BlobHash) -> Verdict {
        let known = Directory::regulations_of(self.doc);
        if known.waiting(hash).is_some() {
            return Ok(());
        }
        let decided = known.proposals.iter().any(|p| p.hash == hash);
        Err(if decided {
            no(RefusalCode::NothingProposed)
        } else {
            no(RefusalCode::NotFound).with("what", hash)
        })
    }
}

fn not_long(text: &str) -> Verdict {
    if text.chars().count() <= limits::TEXT_CHARS_MAX {
        return Ok(());
    }
    let refusal = no(RefusalCode::TooLarge).with_words("what", ("文字", "the text"));
    Err(refusal.with("limit", limits::TEXT_CHARS_MAX))
}
