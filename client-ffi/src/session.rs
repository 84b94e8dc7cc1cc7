//! One session from the app's side: a token, a connection, frames both ways until the goal is reached.
//!
//! The loop is one for every transport. It keeps no time and starts no thread: limits on waiting go
//! down to the transport, and whoever awaits drives it. The device is locked for one frame at a time
//! and never while anything is awaited or called back, so commands go on beside a session. One session
//! runs at a time. Not here: reconnecting, which is the app's decision.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{Either, select};
use serde_json::{Value, json};
use sync_core::device::{Device, DeviceError};
use sync_core::ids::{BlobHash, DocId};
use sync_core::store::SledStore;
use sync_core::time::Now;
use sync_core::wire::frames::FeedItem;
use sync_core::wire::{Decoder, Encoder, Frame};
use tokio::sync::Notify;

use crate::clock::{Clock, since_start_ms};
use crate::error::FieldError;
use crate::transport::{HttpAnswer, Transport, TransportError};
use crate::views::SyncState;

/// How long one answer of the relay may take, in milliseconds.
pub const ANSWER_MS_MAX: u64 = 30_000;
/// How often a loop that a disagreement keeps repairing asks again before it gives up.
const ASKS_MAX: u32 = 4;
/// Values of the store that are read between two looks at other work.
const AUDIT_VALUES: usize = 256;
/// What the device calls itself.
const APP: &str = concat!("gendan-field/", env!("CARGO_PKG_VERSION"));

/// Stops a sync or a watch from outside. One handle serves one call.
#[derive(Debug, Default, uniffi::Object)]
pub struct Cancel {
    cancelled: AtomicBool,
    wake: Notify,
}

#[uniffi::export]
impl Cancel {
    /// A handle that was not used.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }
    /// Ends the call that was given this handle: it returns soon, with code `stopped`.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.wake.notify_one();
    }
    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

/// Hears what a session brings. Called without any lock held; an error ends the session.
#[uniffi::export(with_foreign)]
pub trait Listener: Send + Sync {
    /// These documents (ids as text) changed by what the relay said, and this is how things stand.
    fn changed(&self, docs: Vec<String>, state: SyncState) -> Result<(), TransportError>;
}

/// The device with what a session needs beside it.
pub struct Site {
    /// The device; nothing once it was wiped.
    device: Mutex<Option<Device<SledStore>>>,
    /// Its clocks.
    pub clock: Clock,
    /// The network.
    pub transport: Arc<dyn Transport>,
    /// Something new stands in the outbox.
    pub news: Notify,
    running: tokio::sync::Mutex<()>,
    /// The store was read whole since it was opened.
    audited: AtomicBool,
}

impl Site {
    /// Of an open device.
    pub fn new(device: Device<SledStore>, clock: Clock, transport: Arc<dyn Transport>) -> Self {
        Self {
            device: Mutex::new(Some(device)),
            clock,
            transport,
            news: Notify::new(),
            running: tokio::sync::Mutex::new(()),
            audited: AtomicBool::new(false),
        }
    }

    /// Works with the device.
    ///
    /// # Errors
    /// [`FieldError::Wiped`] once it erased itself; else what the work gives.
    pub fn with<T>(
        &self,
        work: impl FnOnce(&mut Device<SledStore>, &Now) -> Result<T, DeviceError>,
    ) -> Result<T, FieldError> {
        let mut device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        let device = device.as_mut().ok_or(DeviceError::Wiped)?;
        Ok(work(device, &self.clock.now())?)
    }

    /// As [`Site::with`], for what a person sees or records: refused while the offline lease has run out.
    ///
    /// # Errors
    /// `lease_ended`; else as [`Site::with`].
    pub fn look<T>(
        &self,
        work: impl FnOnce(&mut Device<SledStore>, &Now) -> Result<T, DeviceError>,
    ) -> Result<T, FieldError> {
        self.with(|device, now| {
            device.unlocked(now)?;
            work(device, now)
        })
    }

    /// Checks the whole store once, slice by slice: before anything is synced from or into it.
    async fn audit(&self) -> Result<(), FieldError> {
        while !self.audited.load(Ordering::Relaxed) {
            let audited = self.with(|device, _| device.audit_step(AUDIT_VALUES))?;
            self.audited.store(audited.whole, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn wiped(&self) -> FieldError {
        *self.device.lock().unwrap_or_else(PoisonError::into_inner) = None;
        DeviceError::Wiped.into()
    }
}

/// When a session has done what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Everything was brought, everything was taken, photos too.
    InStep,
    /// As that, and the relay agrees with the digest.
    Agreed,
    /// Never: it stays connected until cancelled.
    Stay,
}

/// How a session is to go.
pub struct Course {
    /// When it has done what it was for.
    pub goal: Goal,
    /// How long it may take in all, in milliseconds.
    pub limit_ms: Option<u64>,
    /// Stops it.
    pub cancel: Option<Arc<Cancel>>,
    /// Hears what it brings.
    pub listener: Option<Arc<dyn Listener>>,
}

/// What a session came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// The relay did not agree at first.
    pub repaired: bool,
    /// The relay agreed.
    pub agreed: bool,
}

/// The caller's limit as a moment of the process's clock.
#[derive(Clone, Copy)]
struct Deadline(Option<u64>);

impl Deadline {
    fn after(limit_ms: Option<u64>) -> Self {
        Self(limit_ms.map(|ms| since_start_ms().saturating_add(ms)))
    }
    fn is_over(self) -> bool {
        self.0.is_some_and(|at| since_start_ms() >= at)
    }
    /// How long the next answer may take.
    fn left_ms(self) -> u64 {
        self.0.map_or(ANSWER_MS_MAX, |at| at.saturating_sub(since_start_ms()).clamp(1, ANSWER_MS_MAX))
    }
    /// The error that a transport's error amounts to.
    fn failure(self, error: &TransportError) -> FieldError {
        match error {
            _ if self.is_over() => FieldError::timeout(),
            TransportError::Status { status, body } => {
                match problem(&HttpAnswer { status: *status, body: body.clone() }) {
                    Some(problem) => problem.not_admitted(),
                    None => FieldError::protocol("upgrade", error),
                }
            }
            TransportError::Unreachable { .. } => FieldError::offline("unreachable", error),
            TransportError::TimedOut => FieldError::offline("no_answer", error),
            TransportError::Closed { .. } => FieldError::offline("connection_closed", error),
        }
    }
}

/// What the relay's API says when it does not do something (RFC 9457).
pub struct Problem {
    status: u16,
    code: String,
    detail: String,
    detail_en: String,
}

/// The problem that an answer is, unless it is a success.
pub fn problem(answer: &HttpAnswer) -> Option<Problem> {
    if (200..300).contains(&answer.status) {
        return None;
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let text = |name: &str, or: String| body[name].as_str().map_or(or, |t| t.chars().take(400).collect());
    Some(Problem {
        status: answer.status,
        code: text("code", format!("http_{}", answer.status)),
        detail: text("detail", format!("服务器答复{}。", answer.status)),
        detail_en: text("detail_en", format!("The relay answered with status {}.", answer.status)),
    })
}

impl Problem {
    /// The relay is there and cannot serve now; trying later helps.
    fn passing(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..)
    }
    fn offline(self) -> FieldError {
        FieldError::Offline {
            code: self.code,
            reason: self.detail,
            reason_en: self.detail_en,
            retryable: true,
        }
    }
    /// Of a request with which the device proves who it is.
    pub fn not_admitted(self) -> FieldError {
        if self.passing() {
            return self.offline();
        }
        let (code, reason, reason_en) = (self.code, self.detail, self.detail_en);
        FieldError::NotAdmitted { code, reason, reason_en, retryable: false }
    }
    /// Of a request that a person made.
    pub fn refused(self) -> FieldError {
        if self.passing() {
            return self.offline();
        }
        let (code, reason, reason_en) = (self.code, self.detail, self.detail_en);
        FieldError::Refused { code, reason, reason_en, retryable: false }
    }
}

/// The text under a name of an answer.
pub fn text_of(answer: &HttpAnswer, name: &str) -> Result<String, FieldError> {
    let body: Value = serde_json::from_str(&answer.body).map_err(|e| FieldError::protocol("answer", e))?;
    let text = body[name].as_str().map(str::to_owned);
    text.ok_or_else(|| FieldError::protocol("answer", format!("it has no \"{name}\"")))
}

/// A token for one connection, got by signing the relay's challenge.
async fn token(site: &Site, relay: &str, deadline: Deadline) -> Result<String, FieldError> {
    let (device, company) = site.with(|d, _| Ok((d.id().to_string(), d.company())))?;
    let ask = async |path: &str, body: Value| {
        let url = format!("{relay}/v1/{path}");
        let sent = site.transport.post(url, body.to_string(), deadline.left_ms()).await;
        let answer = sent.map_err(|e| deadline.failure(&e))?;
        match problem(&answer) {
            Some(problem) => Err(problem.not_admitted()),
            None => Ok(answer),
        }
    };
    let nonce = text_of(&ask("challenge", json!({ "device": device })).await?, "nonce")?;
    let bytes = hex::decode(&nonce).map_err(|e| FieldError::protocol("challenge", e))?;
    let message = [&b"gendan/challenge/1"[..], company.as_bytes(), &bytes].concat();
    let signature = site.with(|d, _| Ok(hex::encode(d.sign(&message))))?;
    let proof = json!({ "device": device, "nonce": nonce, "signature": signature });
    text_of(&ask("token", proof).await?, "token")
}

/// A connection that is closed however the session ends, also by being dropped.
struct Connection<'a> {
    site: &'a Site,
    number: u64,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.site.transport.close(self.number);
        let mut device = self.site.device.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = device.as_mut() {
            device.disconnected();
        }
    }
}

/// What is true of one connection beside the device's own state.
struct Talk {
    up: Encoder,
    down: Decoder,
    /// Documents that were asked for and have not come: not in step before.
    missing: BTreeSet<DocId>,
    /// Photos and files that were offered: each once, since its parts answer each other.
    offered: BTreeSet<BlobHash>,
    asks: u32,
    ran: Ran,
}

/// What one frame of the relay led to.
#[derive(Default)]
struct Taken {
    answers: Vec<Frame>,
    docs: BTreeSet<DocId>,
    /// Something that may bring the goal nearer.
    progress: bool,
    wiped: bool,
}

/// Runs one session to its goal.
///
/// # Errors
/// [`FieldError::Offline`] with `timeout` or `stopped` where the course says so; else by its variant.
pub async fn run_session(site: &Site, course: &Course) -> Result<Ran, FieldError> {
    let _running = site.running.try_lock().map_err(|_| FieldError::busy())?;
    let deadline = Deadline::after(course.limit_ms);
    site.audit().await?;
    let relay = site.with(|d, _| Ok(d.identity().relay.clone()))?;
    let token = token(site, &relay, deadline).await?;
    let url = format!("{}/v1/sync", relay.replacen("http", "ws", 1));
    let opened = site.transport.connect(url, token, deadline.left_ms()).await;
    let number = opened.map_err(|e| deadline.failure(&e))?;
    let connection = Connection { site, number };
    let mut talk = Talk {
        up: Encoder::new(),
        down: Decoder::new(),
        missing: BTreeSet::new(),
        offered: BTreeSet::new(),
        asks: 0,
        ran: Ran::default(),
    };
    let hello = site.with(|d, now| d.connect(APP, now))?;
    talk.send(&connection, hello, deadline).await?;
    converse(&connection, &mut talk, course, deadline).await?;
    Ok(talk.ran)
}

async fn converse(
    connection: &Connection<'_>,
    talk: &mut Talk,
    course: &Course,
    deadline: Deadline,
) -> Result<(), FieldError> {
    let site = connection.site;
    let idle = Cancel::default();
    let cancel = course.cancel.as_deref().unwrap_or(&idle);
    let receive = || site.transport.receive(connection.number, deadline.left_ms());
    let mut incoming = receive();
    loop {
        if cancel.is_cancelled() {
            return Err(FieldError::stopped());
        }
        let arrived = {
            let (news, stop) = (pin!(site.news.notified()), pin!(cancel.wake.notified()));
            match select(incoming.as_mut(), select(news, stop)).await {
                Either::Left((arrived, _)) => Some(arrived),
                Either::Right(_) => None,
            }
        };
        let arrived = match arrived {
            Some(arrived) => arrived,
            None => {
                let news = site.with(|d, _| Ok([d.pump()?, d.offers()?].concat()))?;
                talk.send(connection, news, deadline).await?;
                continue;
            }
        };
        incoming = receive();
        match arrived {
            Ok(message) => {
                let Some(taken) = talk.take(site, &message)? else { continue };
                talk.send(connection, taken.answers, deadline).await?;
                if taken.wiped {
                    return Err(site.wiped());
                }
                tell(site, course, taken.docs)?;
                if taken.progress && talk.reached(connection, course.goal, deadline).await? {
                    return Ok(());
                }
            }
            Err(TransportError::TimedOut) if course.goal == Goal::Stay && !deadline.is_over() => {}
            Err(error) => return Err(deadline.failure(&error)),
        }
        if deadline.is_over() {
            return Err(FieldError::timeout());
        }
    }
}

fn tell(site: &Site, course: &Course, docs: BTreeSet<DocId>) -> Result<(), FieldError> {
    let Some(listener) = course.listener.as_ref().filter(|_| !docs.is_empty()) else { return Ok(()) };
    let state = site.with(|d, _| d.sync_view())?;
    let docs = docs.iter().map(ToString::to_string).collect();
    listener.changed(docs, state.into()).map_err(|e| FieldError::protocol("listener", e))
}

impl Talk {
    async fn send(
        &mut self,
        connection: &Connection<'_>,
        frames: Vec<Frame>,
        deadline: Deadline,
    ) -> Result<(), FieldError> {
        for frame in frames {
            if let Frame::Need(need) = &frame {
                self.missing.insert(need.doc);
            }
            if matches!(&frame, Frame::BlobOffer { hash, .. } if !self.offered.insert(*hash)) {
                continue;
            }
            let message = self.up.encode(&frame).map_err(|e| FieldError::protocol(e.code(), &e))?;
            let sent = connection.site.transport.send(connection.number, message).await;
            sent.map_err(|e| deadline.failure(&e))?;
        }
        Ok(())
    }

    /// Takes one message; `None` for a frame of a newer relay that is passed over.
    fn take(&mut self, site: &Site, message: &[u8]) -> Result<Option<Taken>, FieldError> {
        let frame = match self.down.decode(message) {
            Ok(frame) => frame,
            Err(error) if error.goes_on() => return Ok(None),
            Err(error) => return Err(FieldError::protocol(error.code(), &error)),
        };
        let mut taken = Taken::default();
        match &frame {
            Frame::Feed(feed) => {
                taken.progress = true;
                for item in &feed.items {
                    if let FeedItem::Snapshot { doc, .. } | FeedItem::Forget { doc } = item {
                        self.missing.remove(doc);
                    }
                    taken.docs.extend(doc_of(item));
                }
            }
            Frame::Verdicts(_) | Frame::BlobState { .. } | Frame::Agreement { .. } => taken.progress = true,
            Frame::Wipe { .. } => taken.wiped = true,
            _ => {}
        }
        if let Frame::Agreement { agree } = &frame {
            self.ran.agreed = *agree;
            self.ran.repaired |= !agree;
            taken.progress = *agree;
        }
        taken.answers = site.with(|d, now| d.handle(frame, now))?;
        Ok(Some(taken))
    }

    /// Whether the goal is reached; asks for agreement where that is still to come.
    async fn reached(
        &mut self,
        connection: &Connection<'_>,
        goal: Goal,
        deadline: Deadline,
    ) -> Result<bool, FieldError> {
        let in_step = |d: &mut Device<SledStore>, _: &Now| Ok(d.is_in_step()? && d.offers()?.is_empty());
        if goal == Goal::Stay || !self.missing.is_empty() || !connection.site.with(in_step)? {
            return Ok(false);
        }
        if goal == Goal::InStep || self.ran.agreed {
            return Ok(true);
        }
        if self.asks == ASKS_MAX {
            return Ok(true);
        }
        self.asks += 1;
        let ask = connection.site.with(|d, _| d.ask_agreement())?;
        self.send(connection, vec![ask], deadline).await?;
        Ok(false)
    }
}

fn doc_of(item: &FeedItem) -> Option<DocId> {
    match item {
        FeedItem::Snapshot { doc, .. }
        | FeedItem::Changes { doc, .. }
        | FeedItem::Forget { doc }
        | FeedItem::Resolved { doc, .. } => Some(*doc),
        FeedItem::Policy { .. } | FeedItem::Need { .. } => None,
    }
}
