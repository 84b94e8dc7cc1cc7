//! `relay_100k`: a relay that stores 100,000 documents, and 1,000 devices that are connected and idle.
//!
//! Goal: it listens within 2 s of its start, takes at most 150 MB at rest, and 30 KB for each connection.
//! The store is used in place: it is large, and nothing here writes to it. The devices say hello as ones
//! that are in step; 500 of them connect twice.

use anyhow::{Context as _, ensure};
use gendan_server::clock::Clock;
use sync_core::ids::Position;
use sync_core::wire::frames::{Hello, Welcome};
use sync_core::wire::{Frame, VERSION_MAX, VERSION_MIN};

use super::Plan;
use super::company::{Company, Spec, bytes_in, crew_number, token};
use super::line::Line;
use super::outcome::Outcome;
use super::process::{RelayProcess, ms};

/// Runs it.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("relay_100k");
    // Two devices each, and one session for each of them.
    let crews = plan.count(500, 20);
    let spec = Spec { orders: plan.count(100_000, 1_000), changes: 11, crews, compacted: true };
    let company = Company::prepare(plan, spec)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let relay = RelayProcess::start(&company.folder)?;
    let welcome = runtime.block_on(ask(&relay))?;
    relay.stop()?;
    let relay = RelayProcess::start(&company.folder)?;
    outcome.figure("documents", f64::from(spec.orders));
    outcome.goal("open_ms", ms(relay.opened), 2_000.0);
    outcome.figure("open_cpu_ms", ms(relay.cpu()?));
    outcome.figure("open_peak_mb", relay.memory()?.peak / 1e6);
    outcome.figure("open_without_read_model_ms", company.size.first_open_ms);
    relay.settle()?;
    let idle = relay.memory()?.now;
    outcome.goal("idle_mb", idle / 1e6, 150.0);
    let connections = plan.count(1_000, 40);
    let before = relay.cpu()?;
    let lines = runtime.block_on(connect(&relay, &welcome, connections))?;
    outcome.figure("connect_cpu_ms_each", ms(relay.cpu()?.saturating_sub(before)) / f64::from(connections));
    relay.settle()?;
    let connected = relay.memory()?.now;
    outcome.figure("connections", f64::from(connections));
    outcome.goal("connection_kb", (connected - idle) / 1_024.0 / f64::from(connections), 30.0);
    runtime.block_on(async {
        for line in lines {
            line.close().await?;
        }
        anyhow::Ok(())
    })?;
    relay.stop()?;
    let log = bytes_in(&company.folder.join("log"))? as f64;
    outcome.figure("log_bytes", log);
    outcome.figure("log_ratio", log / company.size.snapshots as f64);
    Ok(outcome)
}

fn hello(welcome: Option<&Welcome>, now_ms: i64) -> Frame {
    Frame::Hello(Hello {
        versions: (VERSION_MIN, VERSION_MAX),
        app: "bench/1".into(),
        cursor: welcome.map_or(Position(0), |w| w.head),
        epoch: welcome.map_or(0, |w| w.epoch),
        policy: 1,
        unsent: 0,
        oldest_unsent_ms: None,
        held: 0,
        blobs_pending: 0,
        wall_ms: now_ms,
    })
}

/// What the relay says of its log.
async fn ask(relay: &RelayProcess) -> anyhow::Result<Welcome> {
    let clock = Clock::system(None);
    let mut line = Line::open(relay.address, &token(&crew_number(0, false), clock.unix_ms())?).await?;
    line.send(vec![hello(None, clock.unix_ms())]).await?;
    let Frame::Welcome(welcome) = line.next().await? else { anyhow::bail!("no welcome") };
    line.close().await?;
    Ok(welcome)
}

async fn connect(relay: &RelayProcess, welcome: &Welcome, count: u32) -> anyhow::Result<Vec<Line>> {
    let clock = Clock::system(None);
    let mut lines = Vec::new();
    for index in 0..count {
        let number = crew_number(index / 2, index % 2 == 1);
        let mut line = Line::open(relay.address, &token(&number, clock.unix_ms())?).await?;
        line.send(vec![hello(Some(welcome), clock.unix_ms())]).await?;
        let Frame::Welcome(now) = line.next().await? else { anyhow::bail!("no welcome") };
        ensure!(now.epoch == welcome.epoch && now.head == welcome.head, "the log has moved");
        let frame = line.next().await.context("the answer that nothing is new")?;
        ensure!(matches!(frame, Frame::Feed(feed) if feed.items.is_empty()), "there is something new");
        lines.push(line);
    }
    Ok(lines)
}
