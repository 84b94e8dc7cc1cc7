//! `first_sync`: 5,000 orders of 30 changes each to a device that has nothing yet.
//!
//! Goal: at most 1.1 times the bytes of the documents as Automerge saves them (everything on the TCP
//! socket counted, both ways), and 0.2 s of relay CPU. Measured twice, each on a relay that has just been
//! started: with every document as one snapshot in the log, and (`loose_`) as its changes were admitted.

use gendan_server::clock::Clock;
use sync_core::ids::DocKind;

use super::Plan;
use super::baseline::{Held, Relay};
use super::company::{Company, OFFICE, Spec, token};
use super::idle_reconnect::fresh;
use super::line::{Bytes, Line};
use super::outcome::Outcome;
use super::process::{RelayProcess, Stopwatch, ms};

/// The company of this bench, of `idle_reconnect`, `disk` and `device_open`.
pub fn spec(plan: &Plan, compacted: bool) -> Spec {
    Spec { orders: plan.count(5_000, 200), changes: 30, crews: plan.count(125, 5), compacted }
}

/// Runs it.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("first_sync");
    let company = Company::prepare(plan, spec(plan, true))?;
    one(&company, "", &mut outcome)?;
    let loose = Company::prepare(plan, spec(plan, false))?;
    one(&loose, "loose_", &mut outcome)?;
    let (_temporary, company) = company.copied()?;
    let documents = company.documents()?;
    let mut relay = Relay::new(documents.clone());
    for (id, _) in documents {
        relay.exchange(id, &mut Held::empty())?;
    }
    relay.tally.tell(&mut outcome);
    Ok(outcome)
}

fn one(company: &Company, prefix: &str, outcome: &mut Outcome) -> anyhow::Result<()> {
    let snapshots = company.size.snapshots as f64;
    let (_temporary, company) = company.copied()?;
    let relay = RelayProcess::start(&company.folder)?;
    relay.settle()?;
    relay.reset_peak()?;
    let idle = relay.memory()?.now;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (watch, before) = (Stopwatch::start(), relay.cpu()?);
    let (bytes, documents) = runtime.block_on(sync(&relay))?;
    let (cpu, wall) = (relay.cpu()?.saturating_sub(before), watch.elapsed());
    drop(runtime);
    let mut figure = |name: &str, value: f64| outcome.figure(&format!("{prefix}{name}"), value);
    figure("documents", documents as f64);
    figure("bytes", bytes.all() as f64);
    figure("snapshot_bytes", snapshots);
    figure("wall_ms", ms(wall));
    figure("peak_above_idle_mb", (relay.memory()?.peak - idle) / 1e6);
    outcome.goal(&format!("{prefix}bytes_ratio"), bytes.all() as f64 / snapshots, 1.1);
    outcome.goal(&format!("{prefix}relay_cpu_ms"), ms(cpu), 200.0);
    relay.stop()
}

async fn sync(relay: &RelayProcess) -> anyhow::Result<(Bytes, usize)> {
    let clock = Clock::system(None);
    let mut device = fresh(OFFICE)?;
    let mut line = Line::open(relay.address, &token(OFFICE, clock.unix_ms())?).await?;
    line.greet(&mut device, &clock.now()).await?;
    line.until_in_step(&mut device, &clock.now()).await?;
    Ok((line.close().await?, device.rows(DocKind::Order)?.len()))
}
