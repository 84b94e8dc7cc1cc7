//! A document read once more from its bytes, by plain means: who knew what, what was said, what was written.
//!
//! In: a saved document. Out: its facts in their one order, the changes each author had, and the content
//! at any heads, found with sets and loops over the operations that the Automerge library decodes. It
//! shares nothing with the product's fold, history or judgement, so that a mistake there cannot hide
//! here. Not here: what may be said ([`super::model`]).

use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::{Key, ObjectId, OpType};
use automerge::{Automerge, ScalarValue};
use sync_core::document::Document;
use sync_core::domain::fields::Value;
use sync_core::fact::Fact;
use sync_core::fact::kinds::{AppointmentStatus, Outcome, Payload, Step};
use sync_core::ids::{AppointmentId, ChangeHash, CommandId, DeviceId, FactId, PersonId, StoreId};

/// Steps that happen in the world: no desk undoes them.
const PHYSICAL: [&str; 4] = ["fetched", "delivered", "visited", "repaired"];
/// Steps that end a flow.
const CLOSING: [&str; 2] = ["settled", "closed"];
/// The steps that put content in force.
const SEALING: [&str; 2] = ["reviewed", "published"];

/// Content by map and key, as text that shows the type.
pub type Content = BTreeMap<(String, String), String>;
type OpId = (u64, Vec<u8>);

/// A fact as it was said.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its id.
    pub id: FactId,
    /// Who said it.
    pub author: PersonId,
    /// With which device.
    pub device: DeviceId,
    /// When, as far as the device knew: Unix milliseconds.
    pub at_ms: i64,
    /// What.
    pub what: Payload,
    /// The change that brought it.
    pub change: ChangeHash,
    order: OpId,
}

/// A change: who wrote it, when by its own word, and for which command.
#[derive(Clone, Debug)]
pub struct Written {
    /// The device; none for the change that every document begins with.
    pub device: Option<DeviceId>,
    /// The command it belongs to.
    pub command: Option<CommandId>,
    /// The end of the second it names, Unix milliseconds.
    pub at_ms: i64,
    before: BTreeSet<ChangeHash>,
}

struct Op {
    id: OpId,
    change: ChangeHash,
    map: String,
    key: String,
    value: Option<String>,
    replaces: Vec<OpId>,
}

/// A document, read.
pub struct Story {
    /// Facts in their one order.
    pub facts: Vec<Told>,
    /// Changes by hash.
    pub changes: BTreeMap<ChangeHash, Written>,
    ops: Vec<Op>,
}

/// An appointment as some author knew it.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Who goes.
    pub people: Vec<PersonId>,
    /// How it stands.
    pub status: AppointmentStatus,
}

/// The facts that somebody knew, in order; all of them, or those before a change.
#[derive(Clone)]
pub struct Known<'a> {
    story: &'a Story,
    facts: Vec<&'a Told>,
}

/// How a scalar is shown.
fn scalar(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Str(text) => Some(format!("text {text}")),
        ScalarValue::Int(number) => Some(format!("int {number}")),
        ScalarValue::Boolean(flag) => Some(format!("flag {flag}")),
        _ => None,
    }
}

/// How the product's value is shown, for comparing.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("text {text}"),
        Value::Int(number) => format!("int {number}"),
        Value::Flag(flag) => format!("flag {flag}"),
        Value::Bytes(bytes) => format!("bytes {}", bytes.len()),
    }
}

fn device_of(actor: &[u8]) -> Option<DeviceId> {
    let id: [u8; 16] = actor.get(..16)?.try_into().ok()?;
    (actor.len() == 20).then(|| DeviceId::from_bytes(id))
}

/// Done, wholly or in part.
fn happened(step: &Step) -> bool {
    matches!(step.outcome, Outcome::Done | Outcome::Partial)
}

impl Story {
    /// Reads a document.
    pub fn read(doc: &Document) -> Self {
        let loaded = Automerge::load(&doc.save()).expect("a saved document loads");
        let mut story = Self { facts: Vec::new(), changes: BTreeMap::new(), ops: Vec::new() };
        let mut maps: BTreeMap<OpId, String> = BTreeMap::new();
        for change in loaded.get_changes(&[]) {
            story.change(&change, &mut maps);
        }
        story.facts.sort_by(|a, b| a.order.cmp(&b.order));
        story
    }

    fn change(&mut self, change: &automerge::Change, maps: &mut BTreeMap<OpId, String>) {
        let hash = ChangeHash(change.hash().0);
        let actor = change.actor_id().to_bytes().to_vec();
        let mut before = BTreeSet::new();
        for dep in change.deps() {
            let dep = ChangeHash(dep.0);
            before.extend(self.changes[&dep].before.iter().copied());
            before.insert(dep);
        }
        let decoded = change.decode();
        for (counter, op) in (decoded.start_op.get()..).zip(decoded.operations) {
            let id = (counter, actor.clone());
            let Key::Map(key) = &op.key else { continue };
            let map = match &op.obj {
                ObjectId::Root => {
                    if matches!(op.action, OpType::Make(_)) {
                        maps.insert(id, key.to_string());
                    }
                    continue;
                }
                ObjectId::Id(object) => maps[&(object.0, object.1.to_bytes().to_vec())].clone(),
            };
            let value = match &op.action {
                OpType::Put(ScalarValue::Bytes(bytes)) if map == "log" => {
                    self.fact(bytes, hash, id);
                    continue;
                }
                OpType::Put(value) => scalar(value),
                _ => None,
            };
            let replaces = op.pred.into_iter().map(|p| (p.0, p.1.to_bytes().to_vec())).collect();
            self.ops.push(Op { id, change: hash, map, key: key.to_string(), value, replaces });
        }
        let command = change.message().and_then(|m| m.parse().ok());
        let at_ms = change.timestamp().saturating_mul(1_000).saturating_add(999);
        self.changes.insert(hash, Written { device: device_of(&actor), command, at_ms, before });
    }

    fn fact(&mut self, bytes: &[u8], change: ChangeHash, order: OpId) {
        let Ok(fact) = Fact::read(bytes) else { return };
        let floor = fact.stamp.known_since_ms.unwrap_or(i64::MIN);
        let at_ms = fact.stamp.trusted_ms.unwrap_or_else(|| fact.stamp.wall_ms.max(floor));
        let Fact { id, author, device, payload: what, .. } = fact;
        self.facts.push(Told { id, author, device, at_ms, what, change, order });
    }

    /// Whether the author of `late` had `early`.
    pub fn knew(&self, late: ChangeHash, early: ChangeHash) -> bool {
        self.changes.get(&late).is_some_and(|written| written.before.contains(&early))
    }
    fn apart(&self, a: ChangeHash, b: ChangeHash) -> bool {
        a != b && !self.knew(a, b) && !self.knew(b, a)
    }

    /// Everything that was said.
    pub fn all(&self) -> Known<'_> {
        Known { story: self, facts: self.facts.iter().collect() }
    }
    /// What the author of a change had been told.
    pub fn known_to(&self, change: ChangeHash) -> Known<'_> {
        let facts = self.facts.iter().filter(|told| self.knew(change, told.change)).collect();
        Known { story: self, facts }
    }

    /// The content at these heads: of each key the newest value that nothing there has replaced.
    pub fn content(&self, heads: &[ChangeHash]) -> Content {
        let inside = |op: &&Op| heads.iter().any(|h| *h == op.change || self.knew(*h, op.change));
        let ops: Vec<&Op> = self.ops.iter().filter(inside).collect();
        let replaced: BTreeSet<&OpId> = ops.iter().flat_map(|op| &op.replaces).collect();
        let mut standing: BTreeMap<(String, String), (&OpId, &String)> = BTreeMap::new();
        for op in ops.iter().filter(|op| !replaced.contains(&op.id)) {
            let (Some(value), "fields" | "items") = (&op.value, op.map.as_str()) else { continue };
            let place = standing.entry((op.map.clone(), op.key.clone())).or_insert((&op.id, value));
            if *place.0 < op.id {
                *place = (&op.id, value);
            }
        }
        standing.into_iter().map(|(key, (_, value))| (key, value.clone())).collect()
    }

    /// The content in force; `None` where nothing was sealed.
    pub fn in_force(&self) -> Option<Content> {
        let seals: Vec<(ChangeHash, &[ChangeHash])> = self.facts.iter().filter_map(seal).collect();
        let newest = |of: ChangeHash| !seals.iter().any(|(later, _)| self.knew(*later, of));
        let leading = seals.iter().filter(|(change, _)| newest(*change));
        let heads: Vec<ChangeHash> = leading.flat_map(|(_, heads)| heads.iter().copied()).collect();
        (!heads.is_empty()).then(|| self.content(&heads))
    }
}

/// The heads that a fact puts in force.
fn seal(told: &Told) -> Option<(ChangeHash, &[ChangeHash])> {
    let heads = match &told.what {
        Payload::Approved(p) => Some(p.heads.as_slice()),
        Payload::Step(p) if SEALING.contains(&p.step.as_str()) => p.seal.as_deref(),
        _ => None,
    };
    heads.map(|heads| (told.change, heads))
}

impl<'a> Known<'a> {
    /// The facts.
    pub fn facts(&self) -> &[&'a Told] {
        &self.facts
    }
    /// The steps among them.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = (&'a Told, &'a Step)> + '_ {
        self.facts.iter().filter_map(|told| match &told.what {
            Payload::Step(step) => Some((*told, step)),
            _ => None,
        })
    }

    /// The stores that took the order or ticket in: two, where they did so apart.
    pub fn stores(&self) -> Vec<Option<StoreId>> {
        let store = |told: &&Told| match &told.what {
            Payload::Opened(opened) => Some(opened.store),
            _ => None,
        };
        self.facts.iter().filter_map(store).collect()
    }
    /// When it was taken in, by the device's word.
    pub fn opened_ms(&self) -> Option<i64> {
        self.facts.iter().find(|t| matches!(t.what, Payload::Opened(_))).map(|t| t.at_ms)
    }
    /// Whether a step was done, at least in part.
    pub fn did(&self, wanted: &str) -> bool {
        self.steps().any(|(_, step)| step.step.as_str() == wanted && happened(step))
    }
    /// Whether a step was wholly done.
    pub fn done(&self, wanted: &str) -> bool {
        self.steps().any(|(_, step)| step.step.as_str() == wanted && step.outcome == Outcome::Done)
    }
    /// Whether it is at its end.
    pub fn closed(&self) -> bool {
        CLOSING.iter().any(|step| self.done(step))
    }
    /// Whether the clock stands still.
    pub fn paused(&self) -> bool {
        let open = |now: bool, told: &&Told| match told.what {
            Payload::Paused(_) => true,
            Payload::Resumed(_) => false,
            _ => now,
        };
        self.facts.iter().fold(false, open)
    }
    /// Whether it is called off: some cancellation that nothing overtook which was done elsewhere at the
    /// same time, or that a person said leads all the same.
    pub fn cancelled(&self) -> bool {
        let mut cancellations = self.facts.iter().filter(|t| matches!(t.what, Payload::Cancelled(_)));
        cancellations.any(|cancelled| {
            let overtaking = self.steps().rfind(|(told, step)| {
                let physical = PHYSICAL.contains(&step.step.as_str()) && happened(step);
                physical && self.story.apart(told.change, cancelled.change)
            });
            overtaking.is_none_or(|(done, _)| self.kept(cancelled.id, done.id) == Some(cancelled.id))
        })
    }
    /// Whether neither of two authors knew what the other said.
    pub fn apart(&self, one: &Told, other: &Told) -> bool {
        self.story.apart(one.change, other.change)
    }
    /// Which of two facts leads by a person's word, if one was said.
    pub fn kept(&self, one: FactId, other: FactId) -> Option<FactId> {
        self.facts.iter().rev().find_map(|told| match &told.what {
            Payload::Settled(p) => {
                let pair = BTreeSet::from([p.left, p.right]);
                (pair == BTreeSet::from([one, other])).then_some(p.keep)
            }
            _ => None,
        })
    }
    /// Appointments.
    pub fn visits(&self) -> BTreeMap<AppointmentId, Visit> {
        let mut visits: BTreeMap<AppointmentId, Visit> = BTreeMap::new();
        for told in &self.facts {
            match &told.what {
                Payload::Assigned(p) => {
                    let fresh = || Visit { people: Vec::new(), status: AppointmentStatus::Scheduled };
                    visits.entry(p.appointment).or_insert_with(fresh).people.clone_from(&p.people);
                }
                Payload::Visited(p) => {
                    visits.entry(p.appointment).and_modify(|visit| visit.status = p.status);
                }
                _ => {}
            }
        }
        visits
    }
    /// Whether somebody goes there: in an appointment that was not called off.
    pub fn assigned(&self, person: PersonId) -> bool {
        let theirs = |v: &Visit| v.status != AppointmentStatus::Cancelled && v.people.contains(&person);
        self.visits().values().any(theirs)
    }
    /// Whether somebody has still to go there, or is there.
    pub fn awaits(&self, person: PersonId) -> bool {
        use AppointmentStatus::{Dispatched, OnSite, Scheduled, Travelling};
        let open = |v: &Visit| matches!(v.status, Scheduled | Dispatched | Travelling | OnSite);
        self.visits().values().any(|v| open(v) && v.people.contains(&person))
    }
}
