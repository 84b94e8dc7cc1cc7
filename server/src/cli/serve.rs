//! `gendan serve`: the relay until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tracing_subscriber::EnvFilter;

use super::{Context, import, keep};
use crate::api::{App, router};
use crate::config::{Config, LogFormat};
use crate::control::{self, Ask};
use crate::listen;

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
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
        let company = context.open()?;
        let (served, data, clock) = (company.clone(), context.data.clone(), context.clock.clone());
        control::answer(&context.data, move |ask| match ask {
            Ask::Import { file, number } => {
                let imported = import::import(&served, &file, number.as_deref(), &clock.now(), &|_, _| {})?;
                Ok(serde_json::to_value(imported)?)
            }
            Ask::Backup { folder } => keep::back_up(&served.log, &data, &folder),
        })?;
        let clock = context.clock.clone();
        let app =
            Arc::new(App::new(company.relay, company.blobs, company.keys, config.clone(), clock, metrics));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let json = context.json;
        runtime.block_on(async {
            listen::serve(router(app), &config, stopped(), move |address| {
                println!("跟单服务已启动 / gendan is serving on {address}");
                if json {
                    println!("{}", serde_json::json!({ "listening": address.to_string() }));
                }
            })
            .await
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
