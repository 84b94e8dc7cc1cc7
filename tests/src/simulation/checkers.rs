//! What must hold after a run, each law apart from the others.
//!
//! In: a [`Run`] that healed. Out: sentences, each a law that does not hold; none is a pass. The model
//! of who may do what is written here once more, small and by hand for the small policy, so that a
//! mistake in the rulebook cannot hide behind itself.

use std::collections::{BTreeMap, BTreeSet};

use gendan_server::log::{Entry, HeldFilter, HeldState};
use sync_core::document::Document;
use sync_core::document::history::{Entry as Fact, History};
use sync_core::fact::kinds::{Outcome, Payload};
use sync_core::ids::{ChangeHash, DeviceId, DocId, DocKind, PersonId, Position, StoreId};

use super::random::Run;

/// Every law, over one run.
pub fn check(run: &mut Run) -> Vec<String> {
    let mut faults = std::mem::take(&mut run.ledger.faults);
    faults.extend(documents_agree(run));
    faults.extend(digests_agree(run));
    faults.extend(nothing_acknowledged_is_missing(run));
    faults.extend(nothing_unauthorised_is_in_force(run));
    faults
}

/// Every document that a device holds stands where the relay's stands, and nothing is unsent.
fn documents_agree(run: &Run) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, site) in &run.world.sites {
        if site.device.shut_out().is_some() {
            continue;
        }
        let view = site.device.sync_view().expect("a sound device knows its state");
        if view.unsent > 0 {
            faults.push(format!("{name} has {} changes unsent after it healed", view.unsent));
        }
        for kind in DocKind::ALL {
            for row in site.device.rows(kind).expect("rows read") {
                let relay = run.world.relay.document(row.doc).expect("the relay reads");
                if relay.is_none_or(|doc| doc.heads() != row.heads) {
                    faults.push(format!(
                        "{name} and the relay differ about {} {} ({} openings)",
                        row.doc,
                        row.number,
                        openings(run, row.doc)
                    ));
                }
            }
        }
    }
    faults
}

/// The relay confirms each device's digest: it holds what it should, no less and no more.
fn digests_agree(run: &mut Run) -> Vec<String> {
    let names: Vec<String> = run.world.sites.keys().cloned().collect();
    let mut faults = Vec::new();
    for name in names {
        if run.world.sites[&name].device.shut_out().is_some() {
            continue;
        }
        match run.world.agreement(&name) {
            Some(true) => {}
            other => faults.push(format!("the relay does not agree with {name}'s digest: {other:?}")),
        }
    }
    faults
}

/// What was acknowledged is in the relay's document, in its held tray, or held on the device.
fn nothing_acknowledged_is_missing(run: &Run) -> Vec<String> {
    let mut there = BTreeSet::new();
    for (doc, found) in documents(run) {
        there.extend(found.metas().into_iter().filter_map(|m| Some((doc, m.command?))));
    }
    let held = run.world.relay.log().held(&HeldFilter::default(), None, usize::MAX).expect("the tray reads");
    there.extend(held.iter().filter_map(|h| Some((h.doc, h.command?))));
    for site in run.world.sites.values() {
        let theirs = site.device.held().expect("held work reads");
        there.extend(theirs.iter().map(|h| (h.action.doc, h.action.command)));
    }
    let mut faults = Vec::new();
    for said in &run.ledger.said {
        for doc in said.docs.iter().filter(|doc| !there.contains(&(**doc, said.command))) {
            faults.push(format!(
                "{} was told that {} is recorded in {doc}: it is gone",
                said.site, said.command
            ));
        }
    }
    faults
}

fn openings(run: &Run, doc: DocId) -> usize {
    let subject = run.world.relay.document(doc.subject()).expect("the relay reads");
    let log = subject.map(|s| s.log()).unwrap_or_default();
    log.iter().filter(|e| matches!(e.fact.payload, Payload::Opened(_))).count()
}

fn documents(run: &Run) -> Vec<(DocId, Document)> {
    let relay = &run.world.relay;
    let all = relay.log().documents(None, usize::MAX).expect("the log reads");
    let found = |doc| relay.document(doc).expect("the relay reads").expect("the log names it");
    all.into_iter().map(|(doc, _)| (doc, found(doc))).collect()
}

/// Every change in force was allowed to whoever wrote it, or the office released it.
fn nothing_unauthorised_is_in_force(run: &Run) -> Vec<String> {
    let received = receipts(run);
    let mut faults = Vec::new();
    for (doc, found) in documents(run) {
        let subject = run.world.relay.document(doc.subject()).expect("the relay reads");
        let log = found.log();
        let history = found.history();
        let case = Case { run, doc, log: &log, history: &history, stores: stores(subject.as_ref()) };
        for meta in found.metas() {
            let Some(actor) = meta.actor else { continue };
            let Some(receipt) = received.get(&(doc, meta.hash)) else {
                faults.push(format!("{doc} has {} which the log never admitted", meta.hash));
                continue;
            };
            let Receipt::Judged(at_ms) = *receipt else { continue };
            let mut verdict = case.may_write(actor.device, meta.hash, at_ms);
            for fact in log.iter().filter(|e| e.change == meta.hash) {
                verdict = verdict.and_then(|()| case.may_say(fact, actor.device, at_ms));
            }
            if let Err(why) = verdict {
                faults.push(format!("{doc}: {} is in force, but {why}", meta.hash));
            }
        }
    }
    faults
}

/// How a change came in.
#[derive(Clone, Copy)]
enum Receipt {
    /// By the gate, judged by the relay's clock at this time.
    Judged(i64),
    /// By the office's word.
    Released,
}

fn receipts(run: &Run) -> BTreeMap<(DocId, ChangeHash), Receipt> {
    let log = run.world.relay.log();
    let mut receipts = BTreeMap::new();
    for logged in log.read(Position(0), usize::MAX).expect("the log reads") {
        let Entry::Change { doc, hash, .. } = logged.entry else { continue };
        let held = log.held_one(doc, hash).expect("the tray reads");
        let receipt = match held.map(|h| (h.state, h.person, h.at_ms)) {
            // What only lacked its dependency was judged as of the day it came.
            Some((HeldState::Released { by, .. }, person, at_ms)) if by == person => Receipt::Judged(at_ms),
            Some((HeldState::Released { .. }, ..)) => Receipt::Released,
            _ => Receipt::Judged(logged.at_ms),
        };
        receipts.insert((doc, hash), receipt);
    }
    receipts
}

fn stores(subject: Option<&Document>) -> Vec<Option<StoreId>> {
    let opened = |entry: &Fact| match &entry.fact.payload {
        Payload::Opened(opened) => Some(opened.store),
        _ => None,
    };
    subject.map(|s| s.log().iter().filter_map(opened).collect()).unwrap_or_default()
}

/// One document, seen by the small model.
struct Case<'a> {
    run: &'a Run,
    doc: DocId,
    log: &'a [Fact],
    history: &'a History,
    /// The stores that took the order's number: two, where they did so apart.
    stores: Vec<Option<StoreId>>,
}

impl Case<'_> {
    /// The roles of a person at a moment, by the run's own account.
    fn roles(&self, person: PersonId, at_ms: i64) -> Vec<(&'static str, Option<StoreId>)> {
        let grants = self.run.ledger.grants.iter().filter(|g| g.person == person);
        grants.filter(|g| g.ended_ms.is_none_or(|end| at_ms < end)).map(|g| (g.role, g.store)).collect()
    }

    /// What the author had of the log when they wrote a change.
    fn known(&self, change: ChangeHash) -> impl Iterator<Item = &Fact> {
        self.log.iter().filter(move |e| self.history.knew(change, e.change))
    }

    /// Whoever writes at all has a device that stands, a role, and the document in its scope.
    fn may_write(&self, device: DeviceId, change: ChangeHash, at_ms: i64) -> Result<(), String> {
        let ledger = &self.run.ledger;
        let person = *ledger.devices.get(&device).ok_or("its device was never enrolled")?;
        if ledger.revoked.get(&device).is_some_and(|end| at_ms >= *end) {
            return Err("its device was shut out".into());
        }
        let assigned = self.known(change).any(|e| match &e.fact.payload {
            Payload::Assigned(p) => p.people.contains(&person),
            _ => false,
        });
        let inside = self.roles(person, at_ms).into_iter().any(|(role, store)| match role {
            "management" => true,
            "sales" => self.stores.contains(&store),
            "crew" => !self.doc.kind().is_money() && assigned,
            _ => false,
        });
        if inside {
            Ok(())
        } else {
            Err(format!("{person} had no business with it ({} openings)", openings(self.run, self.doc)))
        }
    }

    /// Whether a fact of this kind was the author's to say.
    fn may_say(&self, entry: &Fact, device: DeviceId, at_ms: i64) -> Result<(), String> {
        let fact = &entry.fact;
        if fact.device != device || self.run.ledger.devices.get(&device) != Some(&fact.author) {
            return Err("the fact is in another name than its change".into());
        }
        let roles = self.roles(fact.author, at_ms);
        let has = |wanted: &[&str]| roles.iter().any(|(role, _)| wanted.contains(role));
        let boss = ["management"];
        let allowed = match &fact.payload {
            Payload::Opened(_) | Payload::Cleared(_) | Payload::Payment(_) => has(&["management", "sales"]),
            Payload::Step(step) => match step.step.as_str() {
                "reviewed" | "settled" => has(&boss),
                "placed" => has(&["management", "sales"]),
                "fetched" | "delivered" => has(&["crew"]),
                _ => false,
            },
            Payload::Contact(_) | Payload::Exception(_) => !roles.is_empty(),
            Payload::Visited(p) => {
                has(&boss)
                    || self.known(entry.change).any(|e| match &e.fact.payload {
                        Payload::Assigned(a) => {
                            a.appointment == p.appointment && a.people.contains(&fact.author)
                        }
                        _ => false,
                    })
            }
            _ => has(&boss),
        };
        if !allowed {
            return Err(format!("{} was not {}'s to say", fact.payload.name(), fact.author));
        }
        match &fact.payload {
            Payload::Step(step) if matches!(step.outcome, Outcome::Done | Outcome::Partial) => {
                self.complete(entry, step)
            }
            _ => Ok(()),
        }
    }

    /// A step stands on those before it, as its author knew them, with what it needs.
    fn complete(&self, entry: &Fact, step: &sync_core::fact::kinds::Step) -> Result<(), String> {
        let did = |wanted: &str| {
            self.known(entry.change)
                .any(|e| matches!(&e.fact.payload, Payload::Step(s) if s.step.as_str() == wanted))
        };
        let before = match step.step.as_str() {
            "placed" => Some("reviewed"),
            "fetched" => Some("placed"),
            "delivered" => Some("fetched"),
            "settled" => Some("delivered"),
            _ => None,
        };
        if before.is_some_and(|before| !did(before)) {
            return Err(format!("{} came before its time", step.step));
        }
        if step.step.as_str() != "fetched" && did(step.step.as_str()) {
            return Err(format!("{} was recorded twice", step.step));
        }
        match step.step.as_str() {
            "delivered" if step.signature.is_none() => Err("nobody signed".into()),
            "placed" if step.evidence.is_empty() => Err("there is no message".into()),
            "placed" if !self.known(entry.change).any(|e| matches!(e.fact.payload, Payload::Cleared(_))) => {
                Err("it was not paid".into())
            }
            _ => Ok(()),
        }
    }
}
