//! The outbox: what webhooks are still to be told, kept until each has confirmed it.
//!
//! In: what there is to tell of a document, answers to attempts, a person's wish to try again. Out: the next
//! delivery of a hook. Invariants: a thing counts as told in the batch that puts its delivery on disk, so
//! neither a restart nor a second look tells it twice; a delivery leaves by its confirmation, or it is parked
//! and shown; every line is bounded, and what finds it full is not told yet: the document still says it.
//! Memory holds ids and moments, the store the rest. Time and chance are parameters. Records of the log:
//!
//! | key | value |
//! |---|---|
//! | `hook/` name | since when it is told, how many parked ones gave way |
//! | `hook-told/` document | what each hook was told of it |
//! | `hook-out/` name `/` notice | a delivery |
//!
//! Deliberately not here: the network, and what there is to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicbor::{Decode, Encode};
use sync_core::ids::DocId;
use sync_core::time::UnixMs;

use crate::log::{Batch, ChangeLog, LogError};

/// Deliveries that wait in one hook's line at most, and that are parked at most.
pub const WAITING_MAX: usize = 5_000;
/// Beyond, the oldest parked one gives way and is counted.
pub const PARKED_MAX: usize = 1_000;
/// So long a delivery is tried before it is parked.
pub const GIVE_UP_MS: i64 = 3 * 24 * 3_600_000;
/// The pause after the first failure, and the longest.
const PAUSE_MS: i64 = 5_000;
const PAUSE_MS_MAX: i64 = 4 * 3_600_000;
/// So long it is remembered that a thing was told, once its document does not tell it any more.
const REMEMBERED_MS: i64 = 30 * 24 * 3_600_000;
/// Records that one batch moves.
const BATCH_RECORDS: usize = 500;

/// One thing to tell one hook.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Delivery {
    /// The notice.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub id: [u8; 16],
    /// What is sent.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub body: Vec<u8>,
    /// Since when it is tried.
    #[n(2)]
    pub since_ms: UnixMs,
    /// Attempts that failed since.
    #[n(3)]
    pub failures: u32,
    /// When it is tried next.
    #[n(4)]
    pub next_ms: UnixMs,
    /// It was given up until somebody asks for it.
    #[n(5)]
    pub parked: bool,
}

/// What came of an attempt: an HTTP status, or why there is none (`timeout`, `connection`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// In one word.
    pub word: String,
    /// What is made of it.
    pub means: Means,
}

/// What is made of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// It arrived.
    Confirmed,
    /// It may arrive later.
    Again,
    /// The receiver wants no more (410).
    Never,
}

/// What is told of one document: an id, since when, and for each hook's line the body.
#[derive(Clone, Debug)]
pub struct Telling {
    /// The notice.
    pub id: [u8; 16],
    /// Since when.
    pub at_ms: UnixMs,
    /// The lines of the hooks that are told.
    pub lines: Vec<usize>,
    /// What is sent.
    pub body: Vec<u8>,
}

/// How it stands with one hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when it is told.
    pub since_ms: UnixMs,
    /// Deliveries that wait.
    pub waiting: usize,
    /// Of these, so many failed at least once.
    pub failing: usize,
    /// Deliveries that were given up until somebody asks for them.
    pub parked: usize,
    /// Parked ones that gave way to newer ones.
    pub dropped: u64,
    /// The line is full: the documents keep what else there is to tell.
    pub full: bool,
    /// The last answer since the relay started, and when.
    pub last: Option<(UnixMs, String)>,
}

#[derive(Clone, Debug, Default, Encode, Decode)]
#[cbor(map)]
struct Begun {
    #[n(0)]
    since_ms: UnixMs,
    #[n(1)]
    dropped: u64,
}

/// What each hook was told of a document: ids, and when it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Told {
    #[n(0)]
    hooks: BTreeMap<String, BTreeMap<Id, UnixMs>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
struct Id(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

/// One hook's line, in memory: ids by moment.
#[derive(Default)]
struct Line {
    begun: Begun,
    waiting: BTreeSet<(UnixMs, Id)>,
    failing: BTreeSet<Id>,
    parked: BTreeSet<(UnixMs, Id)>,
    full: bool,
    last: Option<(UnixMs, String)>,
}

/// The outbox of all hooks, each a line in the order of their names given.
pub struct Outbox {
    log: Arc<dyn ChangeLog>,
    names: Vec<String>,
    lines: Mutex<Vec<Line>>,
}

type Records = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing CBOR to memory cannot fail")
}
fn read<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, LogError> {
    minicbor::decode(bytes).map_err(|error| LogError::Corrupt(format!("a webhook's record: {error}")))
}
fn hook_key(name: &str) -> Vec<u8> {
    [b"hook/", name.as_bytes()].concat()
}
fn told_key(doc: DocId) -> Vec<u8> {
    [b"hook-told/", &doc.to_bytes()[..]].concat()
}
fn out_prefix(name: &str) -> Vec<u8> {
    [b"hook-out/", name.as_bytes(), b"/"].concat()
}
fn out_key(name: &str, id: Id) -> Vec<u8> {
    [&out_prefix(name)[..], &id.0].concat()
}

/// The pause after so many failures: doubling up to a bound, its second half by chance, so that many do not
/// come back at once.
pub fn pause_ms(failures: u32, chance: u64) -> i64 {
    let whole = PAUSE_MS.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(PAUSE_MS_MAX);
    let half = whole / 2;
    half + i64::try_from(chance % half.unsigned_abs().saturating_add(1)).unwrap_or(half)
}

impl Outbox {
    /// Opens the lines of these hooks. One that is named for the first time is told what happens from now on.
    pub fn open(log: Arc<dyn ChangeLog>, names: Vec<String>, now_ms: UnixMs) -> Result<Self, LogError> {
        let (mut lines, mut records) = (Vec::new(), Vec::new());
        for name in &names {
            let mut line = Line::default();
            match log.record(&hook_key(name))? {
                Some(bytes) => line.begun = read(&bytes)?,
                None => {
                    line.begun.since_ms = now_ms;
                    records.push((hook_key(name), Some(cbor(&line.begun))));
                }
            }
            for (_, bytes) in log.records(&out_prefix(name))? {
                let delivery: Delivery = read(&bytes)?;
                line.take_in(&delivery);
            }
            lines.push(line);
        }
        if !records.is_empty() {
            log.append(Batch { records, at_ms: now_ms, ..Batch::default() })?;
        }
        Ok(Self { log, names, lines: Mutex::new(lines) })
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        // Memory of the store: what a panic left half done is read again at the next start.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is any hook to tell.
    pub fn is_idle(&self) -> bool {
        self.names.is_empty()
    }

    /// Queues what hooks were not told yet of a document; durable when this returns. Gives which lines have
    /// something new, and whether some line was full.
    pub fn tell(
        &self,
        doc: DocId,
        tellings: &[Telling],
        now_ms: UnixMs,
    ) -> Result<(BTreeSet<usize>, bool), LogError> {
        let mut lines = self.lines();
        let stored = self.log.record(&told_key(doc))?;
        let before: Told = stored.as_deref().map(read).transpose()?.unwrap_or_default();
        let (mut told, mut records, mut queued) = (before.clone(), Records::new(), Vec::new());
        let mut full = BTreeSet::new();
        for telling in tellings {
            let id = Id(telling.id);
            for at in &telling.lines {
                let (Some(name), Some(line)) = (self.names.get(*at), lines.get(*at)) else { continue };
                let known = told.hooks.entry(name.clone()).or_default();
                if known.contains_key(&id) || telling.at_ms < line.begun.since_ms {
                    continue;
                }
                if line.waiting.len() + queued.iter().filter(|(line, _)| line == at).count() >= WAITING_MAX {
                    full.insert(*at);
                    continue;
                }
                known.insert(id, now_ms);
                let delivery = Delivery {
                    id: telling.id,
                    body: telling.body.clone(),
                    since_ms: now_ms,
                    failures: 0,
                    next_ms: now_ms,
                    parked: false,
                };
                records.push((out_key(name, id), Some(cbor(&delivery))));
                queued.push((*at, delivery));
            }
        }
        forget(&mut told, tellings, now_ms);
        if told != before {
            let value = (!told.hooks.is_empty()).then(|| cbor(&told));
            records.push((told_key(doc), value));
            self.log.append(Batch { records, at_ms: now_ms, ..Batch::default() })?;
        }
        for (at, delivery) in &queued {
            lines[*at].take_in(delivery);
        }
        for at in &full {
            lines[*at].full = true;
        }
        Ok((queued.into_iter().map(|(at, _)| at).collect(), !full.is_empty()))
    }

    /// When a line has something to send next; never as it stands where nothing waits.
    pub fn next_ms(&self, line: usize) -> Option<UnixMs> {
        self.lines().get(line)?.waiting.first().map(|(next_ms, _)| *next_ms)
    }

    /// The delivery whose moment came first, if it has come.
    pub fn due(&self, line: usize, now_ms: UnixMs) -> Result<Option<Delivery>, LogError> {
        let first = self.lines().get(line).and_then(|line| line.waiting.first().copied());
        let Some((_, id)) = first.filter(|(next_ms, _)| *next_ms <= now_ms) else { return Ok(None) };
        let stored = self.log.record(&out_key(&self.names[line], id))?;
        let missing = || LogError::Corrupt("a webhook's delivery is missing".into());
        read(&stored.ok_or_else(missing)?).map(Some)
    }

    /// Takes an answer in, durably: the delivery is done, tried again after a pause, or parked.
    pub fn answered(
        &self,
        line: usize,
        delivery: Delivery,
        answer: &Answer,
        now_ms: UnixMs,
        chance: u64,
    ) -> Result<(), LogError> {
        let mut lines = self.lines();
        let (name, stands) = (&self.names[line], &mut lines[line]);
        let (id, key) = (Id(delivery.id), out_key(name, Id(delivery.id)));
        stands.last = Some((now_ms, answer.word.clone()));
        if answer.means == Means::Confirmed {
            self.log.append(Batch { records: vec![(key, None)], at_ms: now_ms, ..Batch::default() })?;
            stands.let_go(&delivery, id);
            stands.full = false;
            return Ok(());
        }
        let failures = delivery.failures.saturating_add(1);
        let over = now_ms.saturating_sub(delivery.since_ms) >= GIVE_UP_MS || answer.means == Means::Never;
        let next_ms = now_ms.saturating_add(pause_ms(failures, chance));
        let after = Delivery { failures, next_ms, parked: over, ..delivery.clone() };
        let mut records = vec![(key, Some(cbor(&after)))];
        let gives_way = stands.parked.first().copied().filter(|_| over && stands.parked.len() >= PARKED_MAX);
        let mut begun = stands.begun.clone();
        if let Some((_, oldest)) = gives_way {
            begun.dropped += 1;
            records.extend([(out_key(name, oldest), None), (hook_key(name), Some(cbor(&begun)))]);
        }
        self.log.append(Batch { records, at_ms: now_ms, ..Batch::default() })?;
        stands.begun = begun;
        if let Some(oldest) = gives_way {
            stands.parked.remove(&oldest);
        }
        stands.let_go(&delivery, id);
        stands.take_in(&after);
        Ok(())
    }

    /// Puts what is parked back into the line, as far as there is room; gives how many that were.
    pub fn retry(&self, line: usize, now_ms: UnixMs) -> Result<usize, LogError> {
        let mut lines = self.lines();
        let (name, stands) = (&self.names[line], &mut lines[line]);
        let room = WAITING_MAX.saturating_sub(stands.waiting.len());
        let ids: Vec<Id> = stands.parked.iter().take(room).map(|(_, id)| *id).collect();
        for ids in ids.chunks(BATCH_RECORDS) {
            let mut again = Vec::with_capacity(ids.len());
            for id in ids {
                let Some(bytes) = self.log.record(&out_key(name, *id))? else { continue };
                let parked: Delivery = read(&bytes)?;
                let fresh = Delivery {
                    since_ms: now_ms,
                    failures: 0,
                    next_ms: now_ms,
                    parked: false,
                    ..parked.clone()
                };
                again.push((parked, fresh));
            }
            let record = |(_, fresh): &(Delivery, Delivery)| (out_key(name, Id(fresh.id)), Some(cbor(fresh)));
            let records = again.iter().map(record).collect();
            self.log.append(Batch { records, at_ms: now_ms, ..Batch::default() })?;
            for (parked, fresh) in &again {
                stands.parked.remove(&(parked.since_ms, Id(parked.id)));
                stands.take_in(fresh);
            }
        }
        Ok(ids.len())
    }

    /// How it stands with each hook.
    pub fn standings(&self) -> Vec<Standing> {
        let standing = |line: &Line| Standing {
            since_ms: line.begun.since_ms,
            waiting: line.waiting.len(),
            failing: line.failing.len(),
            parked: line.parked.len(),
            dropped: line.begun.dropped,
            full: line.full,
            last: line.last.clone(),
        };
        self.lines().iter().map(standing).collect()
    }
}

impl Line {
    fn take_in(&mut self, delivery: &Delivery) {
        let id = Id(delivery.id);
        if delivery.parked {
            self.parked.insert((delivery.since_ms, id));
            return;
        }
        self.waiting.insert((delivery.next_ms, id));
        if delivery.failures > 0 {
            self.failing.insert(id);
        }
    }
    fn let_go(&mut self, delivery: &Delivery, id: Id) {
        self.waiting.remove(&(delivery.next_ms, id));
        self.failing.remove(&id);
    }
}

/// Forgets what a document does not tell any more and was told long ago. Sooner, it might come up again.
fn forget(told: &mut Told, tellings: &[Telling], now_ms: UnixMs) {
    let current: BTreeSet<Id> = tellings.iter().map(|telling| Id(telling.id)).collect();
    for known in told.hooks.values_mut() {
        known.retain(|id, at_ms| current.contains(id) || now_ms.saturating_sub(*at_ms) < REMEMBERED_MS);
    }
    told.hooks.retain(|_, known| !known.is_empty());
}

#[cfg(test)]
mod tests;
