//! What must hold after a run, each law apart from the others.
//!
//! In: a [`Run`] that healed. Out: sentences, each a law that does not hold; none is a pass. The laws
//! compare what the product shows with the run's own account and with the reference model
//! ([`super::model`]); they are shown to bite by `tests/sabotage.rs`.

use std::collections::{BTreeMap, BTreeSet};

use gendan_server::log::{Entry, HeldFilter, HeldState};
use sync_core::document::Document;
use sync_core::domain::fields::Map;
use sync_core::fold::clash::ClashKind;
use sync_core::fold::{State, fold};
use sync_core::ids::{BlobHash, ChangeHash, DocId, DocKind, Position};

use super::model::{Case, Taken};
use super::random::Run;
use super::story::{Content, Story, shown};
use super::world::World;

/// What a replica shows of a document: what the checkers hold against the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The content in force; `None` where nothing was sealed.
    pub in_force: Option<Content>,
    /// It is called off.
    pub cancelled: bool,
    /// The steps that were done, at least in part.
    pub done: BTreeSet<String>,
    /// A record about a person is in force.
    pub holds: bool,
    /// Of each part of a stock: how many there are, and whether a shortage is shown.
    pub parts: BTreeMap<String, (i64, bool)>,
}

/// How to see what a device (or `None`: the relay) shows of a document.
pub type Look<'a> = dyn Fn(&World, Option<&str>, DocId) -> Option<Shown> + 'a;

/// Steps of the two policies.
const STEPS: [&str; 14] = [
    "reviewed",
    "placed",
    "fetched",
    "delivered",
    "settled",
    "visited",
    "repaired",
    "closed",
    "reported",
    "proposed",
    "notified",
    "published",
    "appealed",
    "decided",
];

/// Every law, over one run.
pub fn check(run: &mut Run) -> Vec<String> {
    let mut faults = std::mem::take(&mut run.account.faults);
    faults.extend(documents_agree(run));
    faults.extend(digests_agree(run));
    let read = stories(run);
    faults.extend(nothing_acknowledged_is_missing(run, &read));
    faults.extend(photos_are_whole(run, &read));
    faults.extend(what_is_held_is_kept_with_its_reason(run));
    faults.extend(nothing_unauthorised_is_in_force(run, &read));
    faults.extend(in_force_is_what_must_be(run, &read, &shown_by));
    faults.extend(a_stock_below_zero_is_a_clash_that_is_shown(run, &read, &shown_by));
    faults.extend(devices_hold_what_their_person_may_see(run, &read));
    faults.extend(revoked_devices_are_empty(run));
    faults
}

/// Every document at the relay, read by the model's own means.
pub fn stories(run: &Run) -> BTreeMap<DocId, Story> {
    let relay = &run.world.relay;
    let all = relay.log().documents(None, usize::MAX).expect("the log reads");
    let found = |doc| relay.document(doc).expect("the relay reads").expect("the log names it");
    all.into_iter().map(|(doc, _)| (doc, Story::read(&found(doc)))).collect()
}

/// Sites that stand, with their devices.
fn standing(run: &Run) -> impl Iterator<Item = (&String, &super::world::Site)> {
    run.world.sites.iter().filter(|(_, site)| site.device.shut_out().is_none())
}

/// Every document that a device holds stands where the relay's stands, and nothing is unsent.
pub fn documents_agree(run: &Run) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, site) in standing(run) {
        let view = site.device.sync_view().expect("a sound device knows its state");
        if view.unsent > 0 || view.blobs_pending > 0 {
            let (unsent, blobs) = (view.unsent, view.blobs_pending);
            faults.push(format!("{name} has {unsent} changes and {blobs} photos unsent after it healed"));
        }
        for kind in DocKind::ALL {
            for row in site.device.rows(kind).expect("rows read") {
                let relay = run.world.relay.document(row.doc).expect("the relay reads");
                if relay.is_none_or(|doc| doc.heads() != row.heads) {
                    faults.push(format!("{name} and the relay differ about {} {}", row.doc, row.number));
                }
            }
        }
    }
    faults
}

/// The relay confirms each device's digest: it holds what it should, no less and no more.
pub fn digests_agree(run: &mut Run) -> Vec<String> {
    let names: Vec<String> = standing(run).map(|(name, _)| name.clone()).collect();
    let mut faults = Vec::new();
    for name in names {
        // Before the question: a device whose digest differs is repaired by the answer.
        let apart = difference(run, &name);
        match run.world.agreement(&name) {
            Some(true) => {}
            other => {
                faults.push(format!("the relay does not agree with {name}'s digest: {other:?}, {apart:?}"));
            }
        }
    }
    faults
}

/// The documents that only one of a device and the relay counts, by the relay's own reckoning.
fn difference(run: &Run, name: &str) -> Vec<DocId> {
    let device = &run.world.sites[name].device;
    let rows = DocKind::ALL.map(|kind| device.rows(kind).expect("rows read"));
    let here: BTreeSet<DocId> = rows.iter().flatten().map(|row| row.doc).collect();
    let scope = run.world.relay.scope(device.person(), run.world.time_ms).expect("the log reads");
    scope.into_iter().collect::<BTreeSet<_>>().symmetric_difference(&here).copied().collect()
}

/// What was acknowledged is in the relay's document, in its held tray, or held on the device.
pub fn nothing_acknowledged_is_missing(run: &Run, read: &BTreeMap<DocId, Story>) -> Vec<String> {
    let mut there = BTreeSet::new();
    for (doc, story) in read {
        there.extend(story.changes.values().filter_map(|written| Some((*doc, written.command?))));
    }
    let held = run.world.relay.log().held(&HeldFilter::default(), None, usize::MAX).expect("the tray reads");
    there.extend(held.iter().filter_map(|h| Some((h.doc, h.command?))));
    for site in run.world.sites.values() {
        let theirs = site.device.held().expect("held work reads");
        there.extend(theirs.iter().map(|h| (h.action.doc, h.action.command)));
    }
    let mut faults = Vec::new();
    for said in &run.account.said {
        for doc in said.docs.iter().filter(|doc| !there.contains(&(**doc, said.command))) {
            faults.push(format!(
                "{} was told that {} is recorded in {doc}: it is gone",
                said.site, said.command
            ));
        }
    }
    faults
}

/// Every photo that a device was told is kept is whole at the relay.
pub fn photos_are_whole(run: &Run, read: &BTreeMap<DocId, Story>) -> Vec<String> {
    let mut faults = Vec::new();
    // A restored relay gets again what some document names; what nobody ever used is not missed.
    let named = |hash: BlobHash| {
        let mut facts = read.values().flat_map(|story| &story.facts);
        facts.any(|told| told.what.evidence().iter().any(|e| e.blob == Some(hash)))
    };
    let asked = |t: &&Taken| run.account.restored == 0 || named(t.hash);
    for taken in run.account.taken.iter().filter(asked) {
        let mut size = 0;
        while let Ok(part) = run.world.blobs.read(taken.hash, size as u64)
            && !part.is_empty()
        {
            size += part.len();
        }
        if size != taken.size {
            faults.push(format!("photo {} has {size} of {} bytes at the relay", taken.hash, taken.size));
        }
    }
    for (name, site) in standing(run) {
        if site.device.wants_photos().expect("photos read") {
            faults.push(format!("{name} still waits for a photo"));
        }
    }
    faults
}

/// What a device holds back the relay has too, whole and with its reason; and what the office decided
/// about it the device was told.
pub fn what_is_held_is_kept_with_its_reason(run: &Run) -> Vec<String> {
    let mut faults = Vec::new();
    let log = run.world.relay.log();
    for (name, site) in standing(run) {
        for held in site.device.held().expect("held work reads") {
            let (doc, hash) = (held.action.doc, held.hash);
            let at_relay = log.held_one(doc, hash).expect("the tray reads");
            let Some(at_relay) = at_relay else {
                // A restored relay may have let in what the lost one had held.
                let entered = run.world.relay.document(doc).expect("the relay reads");
                if held.resolution.is_none() || entered.is_none_or(|found| !found.has(hash)) {
                    faults.push(format!("{name} holds {hash} of {doc} back, which the relay does not hold"));
                }
                continue;
            };
            if at_relay.bytes != *held.bytes {
                faults.push(format!("{hash} of {doc} is held in other bytes than {name} wrote"));
            }
            let decided = matches!(at_relay.state, HeldState::Released { .. } | HeldState::Discarded { .. });
            if decided && held.resolution.is_none() {
                faults.push(format!("{name} was not told what became of {hash} of {doc}"));
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

/// Every change in force was allowed to whoever wrote it, or the office released it.
pub fn nothing_unauthorised_is_in_force(run: &Run, read: &BTreeMap<DocId, Story>) -> Vec<String> {
    let received = receipts(run);
    let mut faults = Vec::new();
    let founding = run.world.office_ids().1;
    for (doc, story) in read {
        let case = Case { account: &run.account, doc: *doc, story, subject: read.get(&doc.subject()) };
        for (hash, written) in &story.changes {
            // The company's own beginning is by the office alone, before there are roles to have.
            let beginning = doc.kind() == DocKind::Directory && written.device == Some(founding);
            if written.device.is_none() || beginning {
                continue;
            }
            let verdict = match received.get(&(*doc, *hash)) {
                None => Err("the log never admitted it".to_owned()),
                Some(Receipt::Released) => Ok(()),
                Some(Receipt::Judged(at_ms)) => case.judge(*hash, *at_ms),
            };
            if let Err(why) = verdict {
                let said = story.facts.iter().find(|t| t.change == *hash).map(|t| t.what.name());
                faults.push(format!("{doc}: {hash} ({}) is in force, but {why}", said.unwrap_or("edits")));
            }
        }
    }
    faults
}

/// What the product shows of a document where it stands, at a device or (`None`) at the relay.
pub fn shown_by(world: &World, site: Option<&str>, doc: DocId) -> Option<Shown> {
    let (found, state) = match site {
        Some(site) => world.sites[site].device.state(doc).ok()?,
        None => {
            let found = world.relay.document(doc).expect("the relay reads")?;
            let state = fold(&found, &world.relay.footing().rules());
            (found, state)
        }
    };
    Some(show(&found, &state))
}

fn show(found: &Document, state: &State) -> Shown {
    let of = |map: Map| {
        let values = state.content(found, map).into_iter();
        values.map(move |(key, value)| ((map.name().to_owned(), key), shown(&value)))
    };
    let in_force = state.in_force.is_some().then(|| of(Map::Fields).chain(of(Map::Items)).collect());
    let done = STEPS.iter().filter(|step| state.did(step)).map(|step| (*step).to_owned()).collect();
    let short = |sku: &str| state.clashes.iter().any(|c| c.kind == ClashKind::StockShort(sku.to_owned()));
    let part = |sku: &String| (sku.clone(), (state.stocked(sku), short(sku)));
    let parts = state.moves.iter().map(|moved| part(&moved.what.sku)).collect();
    let holds = found.id().kind() == DocKind::Conduct && state.holds();
    Shown { in_force, cancelled: state.is_cancelled(), done, holds, parts }
}

/// What must be shown of a document.
fn expected(run: &Run, doc: DocId, story: &Story) -> Shown {
    let all = story.all();
    let done = STEPS.iter().filter(|step| all.did(step)).map(|step| (*step).to_owned()).collect();
    let short = all.short();
    let counted = run.account.counted(doc, story).into_iter();
    let parts = counted.map(|(sku, count)| (sku.clone(), (count, short.contains(&sku)))).collect();
    let holds = doc.kind() == DocKind::Conduct && all.holds();
    Shown { in_force: story.in_force(), cancelled: all.cancelled(), done, holds, parts }
}

/// What the relay and every device that holds it show of each document.
fn looks(run: &Run, read: &BTreeMap<DocId, Story>, shown: &Look<'_>) -> Vec<(String, DocId, Option<Shown>)> {
    let mut looks = Vec::new();
    for doc in read.keys().copied().filter(|doc| doc.kind() != DocKind::Directory) {
        looks.push(("the relay".to_owned(), doc, shown(&run.world, None, doc)));
        for (name, site) in standing(run) {
            let rows = site.device.rows(doc.kind()).expect("rows read");
            if rows.iter().any(|row| row.doc == doc) {
                looks.push((name.clone(), doc, shown(&run.world, Some(name), doc)));
            }
        }
    }
    looks
}

/// At the relay and on every device that holds it, a document shows what the model finds in its bytes: the
/// content in force, whether a record holds, how many parts there are.
pub fn in_force_is_what_must_be(run: &Run, read: &BTreeMap<DocId, Story>, shown: &Look<'_>) -> Vec<String> {
    let must: BTreeMap<DocId, Shown> =
        read.iter().map(|(doc, story)| (*doc, expected(run, *doc, story))).collect();
    let mut looks = looks(run, read, shown);
    looks.retain(|(_, doc, is)| is.as_ref() != Some(&must[doc]));
    let fault = |(name, doc, is): (String, DocId, Option<Shown>)| {
        format!("{name} shows {is:?} of {doc}: it must be {:?}", must[&doc])
    };
    looks.into_iter().map(fault).collect()
}

/// Where more parts went out than came in, everyone who sees the stock is shown a clash.
pub fn a_stock_below_zero_is_a_clash_that_is_shown(
    run: &Run,
    read: &BTreeMap<DocId, Story>,
    shown: &Look<'_>,
) -> Vec<String> {
    let stocks = |doc: &DocId| doc.kind() == DocKind::Stock;
    let below = |doc: DocId| {
        let counts = run.account.counted(doc, &read[&doc]).into_iter();
        counts.filter(|(_, count)| *count < 0).map(|(sku, _)| sku).collect::<Vec<_>>()
    };
    let mut faults = Vec::new();
    for (name, doc, is) in looks(run, read, shown).into_iter().filter(|(_, doc, _)| stocks(doc)) {
        let told = |sku: &String| is.as_ref().is_some_and(|is| is.parts.get(sku).is_some_and(|p| p.1));
        for sku in below(doc).into_iter().filter(|sku| !told(sku)) {
            faults.push(format!("{name} says nothing of {sku} in {doc}, which is below zero"));
        }
    }
    faults
}

/// A device holds every document that its person may see, and none besides.
pub fn devices_hold_what_their_person_may_see(run: &Run, read: &BTreeMap<DocId, Story>) -> Vec<String> {
    let mut faults = Vec::new();
    let now_ms = run.world.time_ms;
    for (name, site) in standing(run) {
        let rows = DocKind::ALL.map(|kind| site.device.rows(kind).expect("rows read"));
        let here: BTreeSet<DocId> = rows.iter().flatten().map(|row| row.doc).collect();
        let person = site.device.person();
        let sees = |doc: &DocId| run.account.sees(person, *doc, read.get(&doc.subject()), now_ms);
        let ought: BTreeSet<DocId> = read.keys().copied().filter(sees).collect();
        faults.extend(here.difference(&ought).map(|doc| format!("{name} holds {doc}: it is not for it")));
        faults.extend(ought.difference(&here).map(|doc| format!("{name} lacks {doc}")));
    }
    faults
}

/// A device that was shut out was told so and has erased itself.
pub fn revoked_devices_are_empty(run: &Run) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, site) in &run.world.sites {
        if !run.account.revoked.contains_key(&site.device.id()) {
            if site.device.shut_out().is_some() {
                faults.push(format!("{name} was shut out by nobody"));
            }
            continue;
        }
        let disk = site.disk.snapshot();
        let opened = sync_core::device::Device::open(disk.open().expect("a copy opens"), Box::new(|_| {}));
        if !matches!(opened.err(), Some(sync_core::device::DeviceError::NotEnrolled)) {
            faults.push(format!("{name} was revoked and has not erased itself"));
        }
    }
    faults
}
