//! The reference model: what was acknowledged, who may do what when, what must be in force.
//!
//! In: what the run itself did and was told ([`Account`]), and documents as [`Story`] reads them. Out:
//! sentences why something should not be there. The table is written by hand from the two policies of
//! the simulation; nothing here asks the product's rulebook or its fold, and no wish of the run's
//! actors is needed to judge what came of it.

use std::collections::BTreeMap;

use sync_core::fact::kinds::{Outcome, Payload, Step};
use sync_core::ids::{BlobHash, ChangeHash, CommandId, DeviceId, DocId, DocKind, PersonId, StoreId};

use super::story::{Known, Story, Told};

/// The role that decides.
pub const BOSS: &str = "management";
/// The role that sells, for a store.
pub const SALES: &str = "sales";
/// The role that goes out, where it is sent.
pub const CREW: &str = "crew";

/// Who may do what: under the first policy, and under the second.
const TABLE: [(&str, &[&str], &[&str]); 28] = [
    ("open", &[SALES, BOSS], &[SALES, BOSS]),
    ("open a matter", &[SALES, CREW, BOSS], &[SALES, BOSS]),
    ("open a record", &[SALES, BOSS], &[BOSS]),
    ("reviewed", &[BOSS], &[BOSS]),
    ("placed", &[BOSS, SALES], &[BOSS]),
    ("fetched", &[CREW], &[CREW]),
    ("delivered", &[CREW], &[CREW]),
    ("settled", &[BOSS], &[BOSS]),
    ("visited", &[CREW], &[CREW]),
    ("repaired", &[CREW], &[CREW]),
    ("reported", &[SALES, CREW], &[CREW]),
    ("proposed", &[SALES, BOSS], &[SALES, BOSS]),
    ("notified", &[BOSS], &[BOSS]),
    ("published", &[BOSS], &[BOSS]),
    ("appealed", &[], &[]),
    ("decided", &[BOSS], &[BOSS]),
    ("closed", &[BOSS], &[BOSS]),
    ("approve", &[BOSS], &[BOSS]),
    ("cancel", &[BOSS], &[BOSS]),
    ("assign", &[BOSS], &[BOSS, SALES]),
    ("money", &[BOSS, SALES], &[BOSS]),
    ("settle", &[BOSS], &[BOSS]),
    ("resolve", &[BOSS], &[BOSS]),
    ("people", &[BOSS], &[BOSS]),
    ("policy", &[BOSS], &[BOSS]),
    ("conduct", &[BOSS], &[BOSS, SALES]),
    ("stock", &[BOSS], &[BOSS, SALES]),
    ("assess", &[BOSS], &[BOSS]),
];
/// What also the person may say whom a matter or record is about.
const CONCERNED: [&str; 2] = ["reported", "appealed"];
/// The values that a step is not done without.
const VALUES: [(&str, &[&str]); 4] = [
    ("reported", &["result"]),
    ("proposed", &["kind", "reason"]),
    ("appealed", &["reason"]),
    ("decided", &["decision"]),
];

/// A role as the company gave it, and as it took it back.
#[derive(Clone, Debug)]
pub struct Grant {
    /// To whom.
    pub person: PersonId,
    /// [`BOSS`], [`SALES`] or [`CREW`].
    pub role: &'static str,
    /// The store it is for.
    pub store: Option<StoreId>,
    /// From when, true time in Unix milliseconds.
    pub from_ms: i64,
    /// When the relay was told.
    pub told_ms: i64,
    /// Each end that was said: when it ends, and when that was said.
    pub ends: Vec<(i64, i64)>,
}

impl Grant {
    /// Whether it held at a moment, as far as the relay knew at another.
    pub fn held(&self, at_ms: i64, as_of_ms: i64) -> bool {
        let ended = |(end, told): &(i64, i64)| *told <= as_of_ms && *end <= at_ms;
        self.told_ms <= as_of_ms && self.from_ms <= at_ms && !self.ends.iter().any(ended)
    }
}

/// What a device was told is recorded.
#[derive(Clone, Debug)]
pub struct Said {
    /// The site's name.
    pub site: String,
    /// The command.
    pub command: CommandId,
    /// The documents it changed.
    pub docs: Vec<DocId>,
}

/// Parts that a device was told were counted in or taken.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The command.
    pub command: CommandId,
    /// The stock.
    pub stock: DocId,
    /// The part.
    pub sku: String,
    /// How many more; below zero, fewer.
    pub by: i64,
}

/// A photo that a device was told is kept.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The device.
    pub device: DeviceId,
    /// The hash of its bytes.
    pub hash: BlobHash,
    /// How many bytes.
    pub size: usize,
}

/// What really happened, by the run's own account.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Roles.
    pub grants: Vec<Grant>,
    /// Whose a device is.
    pub devices: BTreeMap<DeviceId, PersonId>,
    /// When a device was shut out, by true time.
    pub revoked: BTreeMap<DeviceId, i64>,
    /// The second policy: from when it holds, and when the relay was told.
    pub second_policy: Option<(i64, i64)>,
    /// Everything that was acknowledged to a person with a device.
    pub said: Vec<Said>,
    /// Movements of parts that were acknowledged; the office at the relay makes none.
    pub moved: Vec<Moved>,
    /// Photos that were acknowledged.
    pub taken: Vec<Taken>,
    /// An older copy of the relay was put back so often.
    pub restored: usize,
    /// Faults that were seen on the way.
    pub faults: Vec<String>,
}

type Verdict = Result<(), String>;

fn unless(fault: bool, why: &str) -> Verdict {
    if fault { Err(why.to_owned()) } else { Ok(()) }
}

impl Account {
    /// Whether the second policy is the one at a moment, as far as the relay knew at another.
    fn second(&self, at_ms: i64, as_of_ms: i64) -> bool {
        self.second_policy.is_some_and(|(from, told)| told <= as_of_ms && from <= at_ms)
    }

    /// The roles of a person that held when something was done and when it arrived.
    fn roles(&self, person: PersonId, when: When) -> Vec<(&'static str, Option<StoreId>)> {
        let held = |g: &&Grant| {
            g.person == person
                && g.held(when.done_ms, when.received_ms)
                && g.held(when.received_ms, when.received_ms)
        };
        self.grants.iter().filter(held).map(|g| (g.role, g.store)).collect()
    }

    /// Whether the table gives a person this at a moment: by the second policy, or the first.
    fn able(&self, wanted: &str, person: PersonId, when: When, second: bool) -> Result<bool, String> {
        let row =
            TABLE.iter().find(|(what, ..)| *what == wanted).ok_or(format!("{wanted}: no such thing"))?;
        let able = if second { row.2 } else { row.1 };
        Ok(self.roles(person, when).iter().any(|(role, _)| able.contains(role)))
    }

    /// Whether a person looks after everyone's records.
    fn keeps_records(&self, person: PersonId, when: When) -> bool {
        self.able("conduct", person, when, self.second(when.done_ms, when.received_ms)) == Ok(true)
    }

    /// Whether a person's devices should hold a document now.
    pub fn sees(&self, person: PersonId, doc: DocId, subject: Option<&Story>, now_ms: i64) -> bool {
        let when = When { done_ms: now_ms, received_ms: now_ms };
        let roles = self.roles(person, when);
        let mine = |(role, store): &(&str, Option<StoreId>)| match (*role, subject) {
            (BOSS, _) => true,
            (SALES, Some(subject)) => subject.all().stores().contains(store),
            (CREW, Some(subject)) => !doc.kind().is_money() && subject.all().awaits(person),
            _ => false,
        };
        let all = subject.map(Story::all);
        let published = all.as_ref().is_some_and(|all| all.done("published"));
        let author = all.as_ref().is_some_and(|all| all.opened_by(person));
        let about = all.as_ref().is_some_and(|all| all.about() == Some(person));
        match doc.kind() {
            DocKind::Directory => true,
            DocKind::Stock => !roles.is_empty(),
            DocKind::Conduct => {
                // Whom it is about is told in writing first.
                let told = about && all.is_some_and(|all| all.done("notified"));
                published || self.keeps_records(person, when) || (!roles.is_empty() && (author || told))
            }
            DocKind::Matter => {
                let sent = all.is_some_and(|all| all.awaits(person));
                let theirs = !roles.is_empty() && (author || about || sent);
                // What is said of a person is for who assesses people, until it is published.
                let of_a_person = subject.map(Story::all).is_some_and(|all| all.about().is_some());
                let second = self.second(now_ms, now_ms);
                let others = if of_a_person {
                    self.able("assess", person, when, second) == Ok(true)
                } else {
                    roles.iter().any(mine)
                };
                published || theirs || others
            }
            _ => roles.iter().any(mine),
        }
    }
}

/// When something was done, as far as its device knew and never after it arrived; and when it arrived.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// Unix milliseconds.
    pub done_ms: i64,
    /// Unix milliseconds, by the relay.
    pub received_ms: i64,
}

/// One document before the model.
pub struct Case<'a> {
    /// The run's account.
    pub account: &'a Account,
    /// The document.
    pub doc: DocId,
    /// What stands in it.
    pub story: &'a Story,
    /// The order or ticket it belongs to; itself, where it is one.
    pub subject: Option<&'a Story>,
}

impl Case<'_> {
    /// Whether a change that came in by the gate at `received_ms` was its author's to write.
    pub fn judge(&self, change: ChangeHash, received_ms: i64) -> Verdict {
        let Some(written) = self.story.changes.get(&change) else { return Err("nobody wrote it".into()) };
        let device = written.device.ok_or("no device wrote it")?;
        let person = *self.account.devices.get(&device).ok_or("its device was never enrolled")?;
        let shut_out = self.account.revoked.get(&device).is_some_and(|end| received_ms >= *end);
        unless(shut_out, "its device was shut out")?;
        let told: Vec<&Told> = self.story.facts.iter().filter(|t| t.change == change).collect();
        let done_ms = told.first().map_or(written.at_ms, |t| t.at_ms).min(received_ms);
        let when = When { done_ms, received_ms };
        self.inside(person, change, when)?;
        for told in told {
            unless(told.device != device || told.author != person, "it speaks in another's name")?;
            self.may_say(told, when)?;
        }
        Ok(())
    }

    /// Whoever writes at all has a role that reaches the document.
    fn inside(&self, person: PersonId, change: ChangeHash, when: When) -> Verdict {
        let (known, kind) = (self.story.known_to(change), self.doc.kind());
        let own = self.story.facts.iter().find(|t| t.change == change);
        let own = own.and_then(|t| if let Payload::Opened(p) = &t.what { Some(p.store) } else { None });
        let stores = self.subject.map(|s| s.all().stores()).unwrap_or_default();
        // A matter of no store is any store's.
        let anywhere = kind == DocKind::Matter && known.stores().first() == Some(&None);
        let roles = self.account.roles(person, when);
        let by_role = roles.iter().any(|(role, store)| match *role {
            BOSS => true,
            SALES => anywhere || stores.contains(store) || own == Some(*store),
            CREW => !kind.is_money() && known.assigned(person),
            _ => false,
        });
        let theirs = own.is_some() || known.opened_by(person) || known.about() == Some(person);
        let reached = match kind {
            DocKind::Stock => true,
            DocKind::Conduct => theirs || self.account.keeps_records(person, when),
            DocKind::Matter => theirs || by_role,
            _ => by_role,
        };
        unless(!reached || roles.is_empty(), "its author had no business with it")
    }

    fn may(&self, wanted: &str, person: PersonId, when: When, second: bool) -> Verdict {
        let able = self.account.able(wanted, person, when, second)?;
        unless(!able, &format!("{wanted} was not theirs to say"))
    }

    fn may_say(&self, told: &Told, when: When) -> Verdict {
        let known = self.story.known_to(told.change);
        let second = self.account.second(when.done_ms, when.received_ms);
        let may = |what: &str| self.may(what, told.author, when, second);
        let going =
            || unless(known.cancelled(), "it was cancelled").and(unless(known.closed(), "it was closed"));
        let theirs = |what: &str| if known.awaits(told.author) { Ok(()) } else { may(what) };
        match &told.what {
            Payload::Opened(p) => {
                let record = self.doc.kind() == DocKind::Conduct;
                let nobody = record && p.about.is_none();
                let oneself = record && p.about == Some(told.author);
                may(match self.doc.kind() {
                    DocKind::Matter => "open a matter",
                    DocKind::Conduct => "open a record",
                    DocKind::Stock => "stock",
                    _ => "open",
                })
                .and(unless(known.opened_ms().is_some(), "it was opened already"))
                .and(unless(nobody, "it is about nobody"))
                .and(unless(oneself, "it is about its author"))
            }
            Payload::Step(step) => going().and_then(|()| self.step(told, step, &known, when)),
            Payload::Approved(_) | Payload::Declined(_) => may("approve"),
            Payload::Cancelled(_) => {
                let signed = known.done("delivered") || known.done("repaired");
                may("cancel").and(going()).and(unless(signed, "the customer had signed"))
            }
            Payload::Assigned(_) => may("assign").and(going()),
            Payload::Visited(p) => match known.visits().get(&p.appointment) {
                Some(visit) if visit.people.contains(&told.author) => Ok(()),
                Some(_) => may("assign"),
                None => Err("there was no such appointment".into()),
            },
            Payload::Settled(p) => {
                let both = [p.left, p.right].iter().all(|id| known.facts().iter().any(|t| t.id == *id));
                may("settle").and(unless(!both, "one side was not known"))
            }
            Payload::Cleared(_) | Payload::Payment(_) => may("money"),
            Payload::Resolved(_) => may("resolve"),
            Payload::Paused(_) => {
                theirs("assign").and(going()).and(unless(known.paused(), "the clock stood still already"))
            }
            Payload::Resumed(_) => theirs("assign").and(unless(!known.paused(), "the clock was running")),
            Payload::Contact(_) | Payload::Exception(_) | Payload::Escalated(_) | Payload::Part(_) => Ok(()),
            Payload::StockMoved(p) if p.by > 0 => may("stock"),
            Payload::StockMoved(p) => unless(known.stocked(&p.sku) + p.by < 0, "there were none left"),
            Payload::PolicyPublished(_) | Payload::PolicyDeclined(_) => may("policy"),
            Payload::Unknown { .. } => Err("nobody here says such things".into()),
            _ => may("people"),
        }
    }

    /// A step stands on those before it, as its author knew them, with what the policy asks for that
    /// held when the order or ticket was taken in.
    fn step(&self, told: &Told, step: &Step, known: &Known<'_>, when: When) -> Verdict {
        let opened_ms = known.opened_ms().ok_or("it was never opened")?;
        let second = self.account.second(opened_ms, when.received_ms);
        let what = step.step.as_str();
        let concerned = CONCERNED.contains(&what) && known.about() == Some(told.author);
        if !concerned {
            let own = self.doc.kind() == DocKind::Conduct && known.about() == Some(told.author);
            unless(own, "it judges its own author")?;
            self.may(what, told.author, when, second)?;
        }
        let before = match (self.doc.kind(), what) {
            (DocKind::Matter, "published" | "closed") => Some("reported"),
            (DocKind::Conduct, "closed") => Some("published"),
            (_, "placed") => Some("reviewed"),
            (_, "fetched") => Some("placed"),
            (_, "delivered") => Some("fetched"),
            (_, "settled") => Some("delivered"),
            (_, "repaired") => Some("visited"),
            (_, "closed") => Some("repaired"),
            (_, "notified") => Some("proposed"),
            (_, "published" | "appealed") => Some("notified"),
            (_, "decided") => Some("appealed"),
            _ => None,
        };
        unless(before.is_some_and(|before| !known.did(before)), "it came before its time")?;
        let again = !matches!(what, "fetched" | "visited" | "reported") && known.done(what);
        unless(again, "it was recorded already")?;
        let paid = known.facts().iter().any(|t| matches!(t.what, Payload::Cleared(_)));
        unless(what == "placed" && !paid, "it was not paid")?;
        if !matches!(step.outcome, Outcome::Done | Outcome::Partial) {
            return Ok(());
        }
        let signed = matches!(what, "delivered" | "repaired");
        unless(signed && step.signature.is_none(), "nobody signed")?;
        let words = step.evidence.iter().any(|e| e.text.is_some());
        unless(matches!(what, "placed" | "notified") && !words, "there is no message")?;
        let said = |value: &&str| {
            step.values.iter().any(|(key, said)| key.as_str() == *value && !said.trim().is_empty())
        };
        let wanted = VALUES.iter().find(|(step, _)| *step == what).map_or(&[][..], |(_, values)| values);
        unless(!wanted.iter().all(said), "a value is missing")?;
        let photo = step.evidence.iter().any(|e| e.blob.is_some());
        unless(signed && second && !photo, "there is no photo")
    }
}
