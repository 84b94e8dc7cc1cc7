//! `device_open`: the app starts on a device that holds 5,000 documents and lists today's work.
//!
//! Goal: 100 ms of wall time from the folder to the lines. The store is the device's real one, filled by
//! a first sync from a real relay; the best of several openings counts, with the files in the system's
//! cache.

use std::path::Path;

use anyhow::ensure;
use gendan_server::cli::seeded;
use gendan_server::clock::{Clock, chance};
use sync_core::device::Device;
use sync_core::ids::DocKind;
use sync_core::store::{SledStore, StoreKey};

use super::Plan;
use super::company::{Company, OFFICE, identity, token};
use super::first_sync::spec;
use super::line::Line;
use super::order::TODAY;
use super::outcome::Outcome;
use super::process::{RelayProcess, Stopwatch, ms};

const OPENINGS: usize = 5;

fn store(folder: &Path) -> anyhow::Result<SledStore> {
    Ok(SledStore::open(folder, &StoreKey::from_bytes([7; 32]), seeded())?)
}

/// Runs it.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("device_open");
    let company = Company::prepare(plan, spec(plan, true))?;
    let (temporary, company) = company.copied()?;
    let folder = temporary.path().join("device");
    let relay = RelayProcess::start(&company.folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let watch = Stopwatch::start();
    runtime.block_on(fill(&relay, &folder))?;
    outcome.figure("first_sync_wall_ms", ms(watch.elapsed()));
    drop(runtime);
    relay.stop()?;
    let mut taken = Vec::new();
    for _ in 0..OPENINGS {
        let watch = Stopwatch::start();
        let store = store(&folder)?;
        let stored = watch.elapsed();
        let device = Device::open(store, Box::new(chance))?;
        let opened = watch.elapsed();
        let today = TODAY.to_string();
        let mut lines = device.rows(DocKind::Order)?;
        let all = lines.len();
        lines.retain(|row| row.appointments.iter().any(|(on, _)| *on == today));
        taken.push((ms(watch.elapsed()), ms(stored), ms(opened), all, lines.len()));
    }
    taken.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (all_ms, stored_ms, opened_ms, documents, today) = taken[0];
    ensure!(today > 0 && documents > today, "{today} of {documents} orders are due today");
    outcome.figure("documents", documents as f64);
    outcome.figure("today", today as f64);
    outcome.figure("store_ms", stored_ms);
    outcome.figure("device_ms", opened_ms - stored_ms);
    outcome.figure("list_ms", all_ms - opened_ms);
    outcome.goal("open_and_list_ms", all_ms, 100.0);
    outcome.figure("slowest_ms", taken[OPENINGS - 1].0);
    outcome.figure("store_bytes", super::company::bytes_in(&folder)? as f64);
    Ok(outcome)
}

async fn fill(relay: &RelayProcess, folder: &Path) -> anyhow::Result<()> {
    let clock = Clock::system(None);
    let mut device = Device::enrol(store(folder)?, &identity(OFFICE), Box::new(chance))?;
    let mut line = Line::open(relay.address, &token(OFFICE, clock.unix_ms())?).await?;
    line.greet(&mut device, &clock.now()).await?;
    line.until_in_step(&mut device, &clock.now()).await?;
    line.close().await?;
    Ok(())
}
