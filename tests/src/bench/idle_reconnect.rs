//! `idle_reconnect`: a device that holds 5,000 documents connects again and there is nothing new.
//!
//! Goal: one round trip, under 500 bytes both ways together (WebSocket frames on the TCP socket; the HTTP
//! upgrade, whose size is the token's and the headers', is told apart), under 1 ms of relay CPU with the
//! upgrade, the token's check and the farewell. The CPU is the mean of many reconnects.

use gendan_server::clock::Clock;
use sync_core::device::Device;
use sync_core::store::{MemoryDisk, MemoryStore};

use super::Plan;
use super::baseline::{Held, Relay};
use super::company::{Company, OFFICE, identity, token};
use super::first_sync::spec;
use super::line::{Bytes, Line};
use super::outcome::Outcome;
use super::process::{RelayProcess, Stopwatch, ms};

/// Runs it.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("idle_reconnect");
    let company = Company::prepare(plan, spec(plan, true))?;
    let (_temporary, company) = company.copied()?;
    let relay = RelayProcess::start(&company.folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let times = plan.count(200, 10);
    runtime.block_on(reconnects(&relay, &mut outcome, times))?;
    drop(runtime);
    relay.stop()?;
    baseline(&company, &mut outcome)?;
    Ok(outcome)
}

/// A fresh device of the office, in memory.
pub fn fresh(number: &str) -> anyhow::Result<Device<MemoryStore>> {
    let store = MemoryDisk::new().open()?;
    Ok(Device::enrol(store, &identity(number), Box::new(gendan_server::clock::chance))?)
}

async fn reconnects(relay: &RelayProcess, outcome: &mut Outcome, times: u32) -> anyhow::Result<()> {
    let clock = Clock::system(None);
    let token = token(OFFICE, clock.unix_ms())?;
    let mut device = fresh(OFFICE)?;
    let mut line = Line::open(relay.address, &token).await?;
    line.greet(&mut device, &clock.now()).await?;
    line.until_in_step(&mut device, &clock.now()).await?;
    line.close().await?;
    device.disconnected();
    relay.settle()?;
    let documents = device.sync_view()?.documents;
    let (watch, before) = (Stopwatch::start(), relay.cpu()?);
    let (mut bytes, mut turns, mut frames) = (Bytes::default(), 0, 0);
    for _ in 0..times {
        let mut line = Line::open(relay.address, &token).await?;
        line.greet(&mut device, &clock.now()).await?;
        line.until_in_step(&mut device, &clock.now()).await?;
        (turns, frames) = (line.turns, line.frames);
        bytes = line.close().await?;
        device.disconnected();
    }
    let cpu = relay.cpu()?.saturating_sub(before);
    let wall = watch.elapsed();
    outcome.figure("documents", f64::from(documents));
    outcome.goal("round_trips", turns as f64, 1.0);
    outcome.figure("frames", frames as f64);
    outcome.goal("session_bytes", bytes.session() as f64, 499.0);
    outcome.figure("upgrade_bytes", bytes.upgrade as f64);
    outcome.goal("relay_cpu_ms", ms(cpu) / f64::from(times), 1.0);
    outcome.figure("wall_ms", ms(wall) / f64::from(times));
    Ok(())
}

/// Both ends remember what they had in common; each document is still asked about.
fn baseline(company: &Company, outcome: &mut Outcome) -> anyhow::Result<()> {
    let documents = company.documents()?;
    let mut relay = Relay::new(documents.clone());
    let mut held = Vec::new();
    for (id, bytes) in documents {
        let mut doc = Held::load(&bytes)?;
        relay.exchange(id, &mut doc)?;
        doc.reconnect()?;
        held.push((id, doc));
    }
    relay.restart();
    for (id, doc) in &mut held {
        relay.exchange(*id, doc)?;
    }
    relay.tally.tell(outcome);
    Ok(())
}
