//! Outward: what there is to hear is noticed by the relay itself, kept for the office, and told to webhooks.
//!
//! In: what the read model sees of documents that changed or whose moment has come
//! ([`crate::projection::notices`]); the directory; now. Out: deliveries. Nobody needs to be connected: a
//! deadline passes by the relay's clock (S1 第八条, S14 第八条 2). Invariants: a document is looked at only where
//! it changed or its moment came; what is to be told is durable before the look counts as done; a receiver that hangs holds up
//! nobody but its own line. Memory is bounded by the hooks' lines, whatever the number of documents. Time is
//! a parameter of everything but [`Outward::run`].
//!
//! What is about a person's conduct is told to nobody outside. Deliberately not here: what is to be told and
//! to whom (`sync_core::notice`).

pub mod hook;
pub mod outbox;
pub mod post;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sync_core::ids::{DocId, DocKind};
use sync_core::notice::{self, Notice};
use sync_core::time::UnixMs;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use crate::clock::{Clock, random};
use crate::config::Webhook;
use crate::log::LogError;
use crate::projection::{Projection, ProjectionError};
use crate::relay::{Footing, Relay};
use hook::Hook;
use outbox::{Outbox, Standing, Telling};

/// How late a deadline may be noticed.
const TICK: Duration = Duration::from_secs(2);
/// Documents that are looked at together: some tens of milliseconds.
const LOOKS: u32 = 64;
/// How long a line sleeps at most: so late a clock that was set forward is noticed.
const NAP: Duration = Duration::from_secs(5);

/// What keeps notices from going out.
#[derive(Debug, thiserror::Error)]
pub enum OutwardError {
    /// A webhook's secret or address cannot be read: its name and what to write.
    #[error("webhooks: {0:?}: {1}")]
    Hook(String, String),
    /// No client can be made for one.
    #[error("webhooks: {0:?}: no connection can be made from here")]
    Client(String),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The read model.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// A thread that worked on it ended early.
    #[error("work was interrupted")]
    Interrupted,
}

/// One hook with its client, and what wakes its line.
struct Outlet {
    hook: Hook,
    client: reqwest::Client,
    woken: Notify,
}

/// Every hook, with what is kept for it.
struct Outlets {
    outbox: Outbox,
    lines: Vec<Outlet>,
}

/// Notices on their way out.
pub struct Outward {
    relay: Arc<Relay>,
    projection: Arc<Projection>,
    outlets: Arc<Outlets>,
    /// What was last told of the company's policies.
    reviewed: Mutex<Option<Vec<Notice>>>,
    /// Held while documents are looked at.
    looking: tokio::sync::Mutex<()>,
}

impl Outlets {
    /// Keeps what webhooks are to be told of a document; whether one of their lines was full.
    fn tell(
        &self,
        doc: DocId,
        notices: &[Notice],
        footing: &Footing,
        now_ms: UnixMs,
    ) -> Result<bool, LogError> {
        if self.outbox.is_idle() || doc.kind() == DocKind::Conduct {
            return Ok(false);
        }
        let mut things: BTreeMap<[u8; 16], Vec<&Notice>> = BTreeMap::new();
        for notice in notices.iter().filter(|notice| notice.at_ms <= now_ms) {
            things.entry(notice.id).or_default().push(notice);
        }
        let telling = |(id, notices): (&[u8; 16], &Vec<&Notice>)| {
            let first = notices.first()?;
            let told = self.lines.iter().enumerate();
            let told = told.filter(|(_, outlet)| outlet.hook.config.tells(first.kind));
            let lines: Vec<usize> = told.map(|(at, _)| at).collect();
            if lines.is_empty() {
                return None;
            }
            let body = hook::body(notices, &footing.directory);
            Some(Telling { id: *id, at_ms: first.at_ms, lines, body })
        };
        let tellings: Vec<Telling> = things.iter().filter_map(telling).collect();
        let (queued, full) = self.outbox.tell(doc, &tellings, now_ms)?;
        self.wake(&queued);
        Ok(full)
    }

    fn wake(&self, lines: &BTreeSet<usize>) {
        for outlet in lines.iter().filter_map(|at| self.lines.get(*at)) {
            outlet.woken.notify_one();
        }
    }
}

/// How it stands with a webhook.
pub struct HookView<'a> {
    /// As it is configured.
    pub hook: &'a Hook,
    /// Its line.
    pub standing: Standing,
}

impl Outward {
    /// Opens it over the relay, its read model and the webhooks that are configured.
    pub fn open(
        relay: Arc<Relay>,
        projection: Arc<Projection>,
        webhooks: &[Webhook],
        now_ms: UnixMs,
    ) -> Result<Self, OutwardError> {
        let outlet = |config: &Webhook| {
            let hook = Hook::open(config).map_err(|e| OutwardError::Hook(config.name.clone(), e))?;
            let client = post::client(&hook).map_err(|_| OutwardError::Client(config.name.clone()))?;
            Ok(Outlet { hook, client, woken: Notify::new() })
        };
        let lines = webhooks.iter().map(outlet).collect::<Result<Vec<_>, OutwardError>>()?;
        let names = lines.iter().map(|outlet| outlet.hook.config.name.clone()).collect();
        let outbox = Outbox::open(relay.log().clone(), names, now_ms)?;
        let outlets = Arc::new(Outlets { outbox, lines });
        let telling = outlets.clone();
        projection.tells(Arc::new(move |doc, notices, footing, now_ms| {
            telling.tell(doc, notices, footing, now_ms)
        }));
        Ok(Self {
            relay,
            projection,
            outlets,
            reviewed: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        })
    }

    /// Looks at everything whose moment has come; what is to be told is kept when this returns. Gives how many
    /// documents that were.
    pub async fn tick(self: &Arc<Self>, now_ms: UnixMs) -> Result<usize, OutwardError> {
        let _alone = self.looking.lock().await;
        self.review(now_ms).await?;
        let mut count = 0;
        loop {
            let looked = self.projection.look_again(now_ms, LOOKS).await?;
            if looked == 0 {
                return Ok(count);
            }
            count += looked;
        }
    }

    /// The company's own notices: they are few, so they are looked at each time.
    async fn review(self: &Arc<Self>, now_ms: UnixMs) -> Result<(), OutwardError> {
        let footing = self.relay.footing();
        let found = notice::company(&footing.rules(), now_ms);
        let last = || self.reviewed.lock().unwrap_or_else(PoisonError::into_inner);
        if last().as_ref() == Some(&found) {
            return Ok(());
        }
        let doc = DocId::directory(self.relay.company());
        let (outlets, notices) = (self.outlets.clone(), found.clone());
        let told = spawn_blocking(move || outlets.tell(doc, &notices, &footing, now_ms)).await;
        let full = told.map_err(|_| OutwardError::Interrupted)??;
        self.projection.company_looked(&found).await?;
        if !full {
            *last() = Some(found);
        }
        Ok(())
    }

    /// Tries the next delivery of a line whose moment has come; whether there was one.
    pub async fn post(&self, line: usize, clock: &Clock) -> Result<bool, OutwardError> {
        let Some(Outlet { hook, client, .. }) = self.outlets.lines.get(line) else { return Ok(false) };
        let (outlets, now_ms) = (self.outlets.clone(), clock.unix_ms());
        let due = spawn_blocking(move || outlets.outbox.due(line, now_ms)).await;
        let Some(delivery) = due.map_err(|_| OutwardError::Interrupted)?? else { return Ok(false) };
        let answer = post::post(client, hook, &delivery, now_ms).await;
        let outcome = if answer.means == outbox::Means::Confirmed { "confirmed" } else { "failed" };
        let name = hook.config.name.clone();
        tracing::debug!(
            hook = name,
            answer = answer.word,
            failures = delivery.failures,
            outcome,
            "told outside"
        );
        metrics::counter!("gendan_webhook_attempts_total", "hook" => name, "outcome" => outcome).increment(1);
        let (outlets, now_ms) = (self.outlets.clone(), clock.unix_ms());
        let chance = u64::from_be_bytes(random());
        let kept =
            spawn_blocking(move || outlets.outbox.answered(line, delivery, &answer, now_ms, chance)).await;
        kept.map_err(|_| OutwardError::Interrupted)??;
        Ok(true)
    }

    /// Puts what is parked of a hook back into its line; how many that were, or `None` where no hook has this
    /// name.
    pub fn retry(&self, name: &str, now_ms: UnixMs) -> Result<Option<usize>, OutwardError> {
        let Some(line) = self.outlets.lines.iter().position(|outlet| outlet.hook.config.name == name) else {
            return Ok(None);
        };
        let count = self.outlets.outbox.retry(line, now_ms)?;
        self.outlets.wake(&BTreeSet::from([line]));
        Ok(Some(count))
    }

    /// How it stands with each webhook.
    pub fn hooks(&self) -> Vec<HookView<'_>> {
        let both = self.outlets.lines.iter().zip(self.outlets.outbox.standings());
        both.map(|(outlet, standing)| HookView { hook: &outlet.hook, standing }).collect()
    }

    /// Looks every few seconds and serves every line, until it is dropped.
    pub async fn run(self: Arc<Self>, clock: Clock) {
        let mut lines = tokio::task::JoinSet::new();
        for line in 0..self.outlets.lines.len() {
            lines.spawn(self.clone().serve(line, clock.clone()));
        }
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.tick(clock.unix_ms()).await {
                tracing::error!(%error, "what is due could not be noticed; it is tried again");
            }
            self.measure(clock.unix_ms()).await;
        }
    }

    async fn serve(self: Arc<Self>, line: usize, clock: Clock) {
        loop {
            match self.post(line, &clock).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    // What cannot be kept would be sent again at once, and again.
                    tracing::error!(%error, "a webhook's line stands; it is tried again");
                    tokio::time::sleep(NAP).await;
                    continue;
                }
            }
            let wait_ms =
                self.outlets.outbox.next_ms(line).map(|next_ms| next_ms.saturating_sub(clock.unix_ms()));
            let wait = wait_ms.and_then(|ms| u64::try_from(ms).ok()).map_or(NAP, Duration::from_millis);
            tokio::select! {
                () = tokio::time::sleep(wait.clamp(Duration::from_millis(50), NAP)) => {}
                () = self.outlets.lines[line].woken.notified() => {}
            }
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
    async fn measure(&self, now_ms: UnixMs) {
        if let Ok(count) = self.projection.stirring_count(now_ms).await {
            metrics::gauge!("gendan_notices_behind").set(count as f64);
        }
        for HookView { hook, standing } in self.hooks() {
            let name = &hook.config.name;
            metrics::gauge!("gendan_webhook_waiting", "hook" => name.clone()).set(standing.waiting as f64);
            metrics::gauge!("gendan_webhook_parked", "hook" => name.clone()).set(standing.parked as f64);
        }
    }
}
