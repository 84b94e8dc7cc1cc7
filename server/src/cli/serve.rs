//! `gendan serve`: the relay until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use sync_core::store::DeviceStore;
use tracing_subscriber::EnvFilter;

use super::{Company, Context, import, keep, proof};
use crate::api::{App, router};
use crate::blob::objects::ObjectBlobs;
use crate::clock::Clock;
use crate::config::{Config, LogFormat};
use crate::control::{self, Ask};
use crate::listen;
use crate::log::KeptLog;
use crate::projection::{Place, Projection};
use crate::relay::Relay;

/// Threads that work for sessions at a time: enough to go on while some wait for the disk, few enough that
/// what each works on fits memory. What is over waits its turn.
const WORKERS_MAX: usize = 8;
/// How late a role or a policy may begin or end for those who are connected.
const MOMENTS_EVERY: Duration = Duration::from_secs(10);

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
        let (served, data, clock) = (company.clone(), context.data.clone(), context.clock.clone());
        control::answer(&context.data, move |ask| match ask {
            Ask::Import { file, number } => {
                let imported = import::import(&served, &file, number.as_deref(), &clock.now(), &|_, _| {})?;
                Ok(serde_json::to_value(imported)?)
            }
            Ask::Evidence { number } => Ok(serde_json::to_value(proof::evidence(&served.relay, &number)?)?),
            Ask::Backup { folder } => keep::back_up(&served.log, &data, &folder),
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .max_blocking_threads(WORKERS_MAX)
            .enable_all()
            .build()?;
        let (json, clock) = (context.json, context.clock.clone());
        let place = Place::File(context.data.join("read-model.sqlite"));
        runtime.block_on(async {
            let projection = Projection::open(&place, company.relay.clone()).await;
            let projection = Arc::new(projection.context(keep::READ_MODEL)?);
            projection.catch_up(clock.unix_ms()).await.context(keep::READ_MODEL)?;
            let following = clock.clone();
            let follow = projection.clone().follow(company.relay.heads(), move || following.unix_ms());
            let followed = async {
                if let Err(error) = follow.await {
                    tracing::error!(%error, "the read model no longer follows; restart to go on");
                }
                std::future::pending::<()>().await
            };
            let audited = audit(company.log.clone());
            tokio::spawn(moments(company.relay.clone(), clock.clone()));
            let Company { relay, keys, .. } = company;
            let app = Arc::new(App::new(relay, projection, blobs, keys, config.clone(), clock, metrics));
            let serving = listen::serve(router(app), &config, stopped(), move |address| {
                println!("跟单服务已启动 / gendan is serving on {address}");
                if json {
                    println!("{}", serde_json::json!({ "listening": address.to_string() }));
                }
            });
            tokio::select! {
                served = serving => served,
                damaged = audited => Err(damaged),
                () = followed => Ok(()),
            }
        })?;
        tracing::info!("stopped");
        Ok(())
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

/// Sees in the background that every stored value is there. Done only where one is not: a relay whose
/// store is damaged does not go on.
async fn audit<S: DeviceStore + Sync + 'static>(log: Arc<KeptLog<S>>) -> anyhow::Error {
    loop {
        let step = log.clone();
        match tokio::task::spawn_blocking(move || step.audit_step()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => return std::future::pending().await,
            Ok(Err(error)) => {
                tracing::error!(code = error.code(), "the store is damaged");
                return anyhow::Error::new(error);
            }
            Err(error) => return anyhow::Error::new(error),
        }
    }
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
