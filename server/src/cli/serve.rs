//! `gendan serve`: the relay until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use sync_core::store::{DeviceStore, SledStore, StoreError};
use tracing_subscriber::EnvFilter;

use super::{Context, import, keep, policy, proof, report};
use crate::api::{App, router};
use crate::blob::objects::ObjectBlobs;
use crate::clock::Clock;
use crate::config::{Config, LogFormat};
use crate::control::{self, Ask};
use crate::listen;
use crate::log::{ChangeLog as _, KeptLog, LogError};
use crate::projection::{Place, Projection};
use crate::relay::Relay;
use crate::trial;

/// Threads that work for sessions at a time: enough to go on while some wait for the disk, few enough that
/// what each works on fits memory. What is over waits its turn.
const WORKERS_MAX: usize = 8;
/// How late a role or a policy may begin or end for those who are connected.
const MOMENTS_EVERY: Duration = Duration::from_secs(10);
/// Values of the store that one step of the audit or of a compaction reads: some milliseconds, in which
/// writers wait.
const STEP_VALUES: usize = 1_024;
/// How often such a step is made: 100,000 documents take a minute or two, at a fraction of one core.
const STEP_EVERY: Duration = Duration::from_millis(20);
/// How often the store is looked at whether it is worth writing it anew.
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// For how many such looks in a row a wasteful store waits for a moment at which nobody writes.
const TIDY_PATIENCE: u32 = 60;
/// How long after a whole audit the next one begins.
const AUDIT_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Serve devices and the office until stopped (Ctrl-C or SIGTERM).
///
/// Configuration: defaults, then `--config FILE` (TOML), then variables such as GENDAN_TOKEN_S=900, then
/// the options here. Without TLS files it listens on loopback only, unless allow_plain = true.
#[derive(Args)]
pub struct Serve {
    /// A TOML file; see docs/configuration.md for every key.
    #[arg(long, env = "GENDAN_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port, such as 127.0.0.1:7420; port 0 takes a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
}

impl Serve {
    /// Runs it.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let config = Config::read(self.config.as_deref(), self.listen)?;
        observe(&config)?;
        quiet_panics();
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
        let company = context.open()?;
        let blobs = Arc::new(ObjectBlobs::open(&context.data, &config)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .max_blocking_threads(WORKERS_MAX)
            .enable_all()
            .build()?;
        let (served, data, clock) = (company.clone(), context.data.clone(), context.clock.clone());
        let (counted, handle) = (Arc::new(OnceLock::<Arc<Projection>>::new()), runtime.handle().clone());
        let rows = counted.clone();
        control::answer(&context.data, move |ask| match ask {
            Ask::Import { file, number } => {
                let imported = import::import(&served, &file, number.as_deref(), &clock.now(), &|_, _| {})?;
                Ok(serde_json::to_value(imported)?)
            }
            Ask::Evidence { number } => Ok(serde_json::to_value(proof::evidence(&served.relay, &number)?)?),
            Ask::Report(wanted) => {
                let rows = rows.get().context("the read model is still being built; try again in a while")?;
                report::answer(&served.relay, rows, &wanted, clock.unix_ms(), &handle)
            }
            Ask::Try { policy, days } => {
                let policy = policy::open(&policy)?;
                let tried = trial::try_policy(&served.relay, &policy, days, clock.unix_ms())?;
                Ok(serde_json::to_value(tried)?)
            }
            Ask::Backup { folder } => keep::back_up(&served.log, &data, &folder),
        })?;
        let (json, clock) = (context.json, context.clock.clone());
        let place = Place::File(context.data.join("read-model.sqlite"));
        runtime.block_on(async {
            let projection = Projection::open(&place, company.relay.clone()).await;
            let projection = Arc::new(projection.context(keep::READ_MODEL)?);
            let (relay, log) = (company.relay, company.log);
            let keys = company.keys;
            let app = App::open(
                relay.clone(),
                projection.clone(),
                blobs,
                keys,
                config.clone(),
                clock.clone(),
                metrics,
            )?;
            let app = Arc::new(app);
            // What is told outside is told as documents are read: the read model follows once somebody tells.
            projection.catch_up(clock.unix_ms()).await.context(keep::READ_MODEL)?;
            counted.get_or_init(|| projection.clone());
            let following = clock.clone();
            let follow = projection.clone().follow(relay.heads(), move || following.unix_ms());
            let followed = async {
                if let Err(error) = follow.await {
                    tracing::error!(%error, "the read model no longer follows; restart to go on");
                }
                std::future::pending::<()>().await
            };
            let audited = audit(log.clone());
            let tidied = tidy(log.clone());
            tokio::spawn(moments(relay, clock.clone()));
            tokio::spawn(app.outward.clone().run(clock));
            let serving = listen::serve(router(app), &config, stopped(), move |address| {
                println!("跟单服务已启动 / gendan is serving on {address}");
                if json {
                    println!("{}", serde_json::json!({ "listening": address.to_string() }));
                }
            });
            tokio::select! {
                served = serving => served,
                damaged = audited => Err(damaged),
                damaged = tidied => Err(damaged),
                () = followed => Ok(()),
            }
        })?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Writes the store anew, step by step beside the work, whenever it has grown far beyond what it holds and
/// nobody writes for a moment; one that is never quiet is not waited for forever. Ends only where the store
/// is found damaged.
async fn tidy(log: Arc<KeptLog<SledStore>>) -> anyhow::Error {
    let (mut before, mut looks) = (log.head(), 0);
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        let head = log.head();
        let quiet = std::mem::replace(&mut before, head) == head;
        let kept = log.clone();
        let look = move || kept.while_still(|store, _| store.is_wasteful());
        let due = tokio::task::spawn_blocking(look).await;
        looks = if matches!(due, Ok(Ok(true))) { looks + 1 } else { 0 };
        let done = match due {
            Ok(Ok(true)) if quiet || looks > TIDY_PATIENCE => rewrite(&log).await,
            Ok(looked) => looked.map(|_| ()),
            Err(panicked) => return anyhow::Error::new(panicked),
        };
        match done {
            Ok(()) => {}
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "the store is damaged; the relay stops");
                return anyhow::Error::new(error).context("writing the store anew found damage");
            }
            Err(error) => {
                tracing::error!(%error, "the store could not be written anew; it is tried again in a while");
                tokio::time::sleep(AUDIT_AGAIN / 24).await;
            }
        }
    }
}

/// One compaction. Readers and writers wait for each step by itself.
async fn rewrite(log: &Arc<KeptLog<SledStore>>) -> Result<(), StoreError> {
    let mut ticks = tokio::time::interval(STEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let kept = log.clone();
        let step = move || kept.while_alone(|store| store.compact_step(STEP_VALUES));
        let step = tokio::task::spawn_blocking(step).await;
        if step.map_err(|_| StoreError::Unavailable("its compaction panicked".to_owned()))?? {
            let sizes = log.while_still(|store, _| store.bytes_on_disk().map(|b| (b, store.live_bytes())));
            let (bytes, live) = sizes?;
            tracing::info!(bytes, live, "the store was written anew, without what was deleted");
            return Ok(());
        }
    }
}

/// Reads the whole store beside the work, again and again; ends only when it is damaged. Opening does not
/// read it all, so this is what finds a value that is silently missing or stale. From the moment it is
/// found the store refuses every call, so nothing is answered from it, and readiness is gone.
async fn audit<S: DeviceStore + Send + Sync + 'static>(log: Arc<KeptLog<S>>) -> anyhow::Error {
    let mut ticks = tokio::time::interval(STEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let log = log.clone();
        match tokio::task::spawn_blocking(move || log.audit_step(STEP_VALUES)).await {
            Ok(Ok(audited)) if audited.whole => {
                tracing::info!(values = audited.values, "the store was read whole; nothing is missing");
                tokio::time::sleep(AUDIT_AGAIN).await;
            }
            Ok(Ok(_)) => {}
            Ok(Err(error @ LogError::Store(StoreError::Corrupt { .. }))) => {
                tracing::error!(%error, "the store is damaged; the relay stops");
                return anyhow::Error::new(error).context("the audit of the store found damage");
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the store could not be audited; restart when that is resolved");
                tokio::time::sleep(AUDIT_AGAIN).await;
            }
            Err(error) => {
                tracing::error!(%error, "the audit of the store panicked");
                tokio::time::sleep(AUDIT_AGAIN).await;
            }
        }
    }
}

fn observe(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_level)
        .map_err(|e| anyhow::anyhow!("configuration: log_level: {e}; write such as \"info\""))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match config.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    done.map_err(|e| anyhow::anyhow!("logging cannot start: {e}"))
}

/// A panic over foreign bytes is contained where they are judged: one line with its place, no backtrace
/// that a hostile device could fill the log with, and no message, which may quote what it was about.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(at, "a panic was contained");
    }));
}

/// Lets roles and policies begin and end at their moment, also while nobody writes anything, and compacts
/// documents that have come to rest.
async fn moments(relay: Arc<Relay>, clock: Clock) {
    let mut ticks = tokio::time::interval(MOMENTS_EVERY);
    loop {
        ticks.tick().await;
        let (relay, now_ms) = (relay.clone(), clock.unix_ms());
        let work = move || relay.moments(now_ms).and_then(|_| relay.compact());
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "what is done now and then failed"),
            Err(error) => tracing::error!(%error, "what is done now and then panicked"),
        }
    }
}

/// Done once the process is asked to stop.
async fn stopped() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        result = tokio::signal::ctrl_c() => if result.is_err() { std::future::pending::<()>().await },
        () = terminated => {}
    }
}

#[cfg(test)]
mod tests {
    use sync_core::store::{Audited, Batch, MemoryStore, Pairs, Table};

    use super::*;

    /// A store in which the third step of an audit finds damage.
    struct Failing {
        inner: MemoryStore,
        steps: std::sync::atomic::AtomicU64,
    }
    impl DeviceStore for Failing {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.inner.get(table, key)
        }
        fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs, StoreError> {
            self.inner.scan(table, prefix)
        }
        fn scan_after(
            &self,
            table: Table,
            prefix: &[u8],
            after: Option<&[u8]>,
            limit: usize,
        ) -> Result<Pairs, StoreError> {
            self.inner.scan_after(table, prefix, after, limit)
        }
        fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
            self.inner.commit(batch)
        }
        fn erase(&mut self) -> Result<(), StoreError> {
            self.inner.erase()
        }
        fn audit_step(&self, _: usize) -> Result<Audited, StoreError> {
            match self.steps.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                values @ 0..2 => Ok(Audited { values, whole: false }),
                _ => Err(StoreError::Corrupt { what: "values are missing".into(), remedy: "restore" }),
            }
        }
        fn bytes_on_disk(&self) -> Result<u64, StoreError> {
            self.inner.bytes_on_disk()
        }
    }

    #[tokio::test]
    async fn an_audit_that_finds_damage_ends_the_relay_with_the_message() {
        let store = Failing { inner: MemoryStore::new(), steps: Default::default() };
        let ended = audit(Arc::new(KeptLog::open(store, 1).unwrap())).await;
        let words = format!("{ended:#}");
        assert!(words.contains("audit of the store found damage: the store is damaged: values are missing"));
    }
}
