//! `storm`, the evening: 200 devices that worked offline all day connect at once.
//!
//! Crews of two share 40 jobs each and meet only through the relay. Each device made 5 changes in 8 of
//! its jobs (fetched, a contact, an edit, a remark, delivered with the customer's signature), the two of
//! a crew partly in the same ones; the office edited a quarter of all jobs meanwhile; the relay has just
//! been started. It ends when every device is in step and nothing moves any more; only then are devices
//! and relay asked whether they agree. Goal: converged; 250 µs of relay CPU for each admitted change;
//! 1.3 times the bytes of all that had to travel, deflated as one stream for each device (everything on
//! the TCP socket counted); 100 MB above idle.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use gendan_server::clock::Clock;
use sync_core::command::{Command, Record};
use sync_core::device::Device;
use sync_core::fact::kinds::Signature;
use sync_core::ids::{ChangeHash, DocId, DocKind};
use sync_core::store::MemoryStore;

use super::Plan;
use super::baseline::{Held, Relay};
use super::company::{Company, Spec, crew_number, token};
use super::idle_reconnect::fresh;
use super::line::{Bytes, Line};
use super::order::name;
use super::outcome::Outcome;
use super::process::{RelayProcess, Stopwatch, ms};

/// Jobs of a crew, and in how many of them a device works.
const JOBS: u32 = 40;
const WORKED: usize = 8;
/// The office edits every so-many-th job.
const OFFICE_EVERY: u32 = 4;
/// Nothing has moved for so long: the storm is over.
const QUIET: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(900);

/// A device of the storm.
struct Site {
    number: String,
    device: Device<MemoryStore>,
    jobs: Vec<DocId>,
    /// Its changes before the day began.
    known: BTreeSet<ChangeHash>,
    /// Those it made during the day.
    made: BTreeSet<ChangeHash>,
}

/// Runs it.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("storm");
    let crews = plan.count(100, 5);
    let spec = Spec { orders: crews * JOBS, changes: 11, crews, compacted: false };
    let (_temporary, company) = Company::prepare(plan, spec)?.copied()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut sites = morning(&company, &runtime)?;
    day(&mut sites)?;
    let unsent: u32 =
        sites.iter().map(|site| Ok(site.device.sync_view()?.unsent)).sum::<anyhow::Result<u32>>()?;
    office(&company)?;
    let before = Before::of(&company, &sites)?;
    let relay = RelayProcess::start(&company.folder)?;
    relay.settle()?;
    relay.reset_peak()?;
    let (idle, cpu) = (relay.memory()?.now, relay.cpu()?);
    let (sites, bytes, wall) = runtime.block_on(evening(&relay, sites, cpu, &mut outcome))?;
    let peak = relay.memory()?.peak;
    let agreed = runtime.block_on(agreements(&relay, sites))?;
    relay.stop()?;
    outcome.figure("devices", agreed.sites.len() as f64);
    outcome.figure("changes_pushed", f64::from(unsent));
    outcome.goal("devices_that_disagree", agreed.disagree as f64, 0.0);
    outcome.goal("changes_unsent_or_held", f64::from(agreed.unsettled), 0.0);
    outcome.figure("wall_ms", ms(wall));
    let cpu_us = outcome.value("relay_cpu_ms").unwrap_or(f64::NAN) * 1_000.0;
    outcome.goal("relay_cpu_us_a_change", cpu_us / f64::from(unsent.max(1)), 250.0);
    let changes = travelled(&agreed.sites)?;
    let deflated = changes.deflated as f64;
    outcome.figure("bytes", bytes.all() as f64);
    outcome.figure("bytes_up", bytes.up as f64);
    outcome.figure("bytes_of_upgrades", bytes.upgrade as f64);
    outcome.figure("bytes_down", bytes.down as f64);
    outcome.figure("changes_raw_bytes", changes.raw as f64);
    outcome.figure("changes_deflated_bytes", deflated);
    outcome.figure("changes_up_deflated_bytes", changes.up as f64);
    outcome.figure("changes_down_deflated_bytes", changes.down as f64);
    outcome.goal("bytes_ratio", bytes.all() as f64 / deflated, 1.3);
    outcome.figure("session_bytes_ratio", bytes.session() as f64 / deflated);
    outcome.figure("idle_mb", idle / 1e6);
    outcome.goal("peak_above_idle_mb", (peak - idle) / 1e6, 100.0);
    before.exchange(&mut outcome)?;
    Ok(outcome)
}

/// Every device gets its jobs from a relay, which is stopped then.
fn morning(company: &Company, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Vec<Site>> {
    let relay = RelayProcess::start(&company.folder)?;
    let mut sites = Vec::new();
    for crew in 0..company.spec.crews {
        for second in [false, true] {
            let (number, jobs) = (crew_number(crew, second), company.jobs(crew));
            sites.push(Site {
                device: fresh(&number)?,
                number,
                jobs,
                known: BTreeSet::new(),
                made: BTreeSet::new(),
            });
        }
    }
    let sites = runtime.block_on(async {
        let mut ready = Vec::new();
        for mut site in sites {
            let clock = Clock::system(None);
            let mut line = Line::open(relay.address, &token(&site.number, clock.unix_ms())?).await?;
            line.greet(&mut site.device, &clock.now()).await?;
            line.until_in_step(&mut site.device, &clock.now()).await?;
            line.close().await?;
            site.device.disconnected();
            let rows = site.device.rows(DocKind::Order)?;
            let held: BTreeSet<DocId> = rows.iter().map(|row| row.doc).collect();
            ensure!(
                held == site.jobs.iter().copied().collect(),
                "{} holds other jobs than its own",
                site.number
            );
            for doc in &site.jobs {
                site.known.extend(site.device.state(*doc)?.0.changes().iter().map(|c| c.hash));
            }
            ready.push(site);
        }
        anyhow::Ok(ready)
    })?;
    relay.stop()?;
    Ok(sites)
}

/// A customer's signature: three strokes of a pen, other ones for each job.
fn signature(seed: usize) -> Signature {
    let coordinate =
        |base: usize, at: usize| u16::try_from((base + at * (37 + seed % 11)) % 10_000).unwrap_or(0);
    let stroke =
        |from: usize| (0..24).map(|at| (coordinate(from, at), coordinate(from / 2 + seed, at))).collect();
    Signature { signer: "客户".into(), strokes: vec![stroke(900), stroke(3_200), stroke(6_100)] }
}

/// Everyone works offline.
fn day(sites: &mut [Site]) -> anyhow::Result<()> {
    let half = sites.len().div_ceil(2);
    std::thread::scope(|scope| {
        let parts: Vec<_> = sites
            .chunks_mut(half)
            .map(|part| scope.spawn(move || part.iter_mut().try_for_each(works)))
            .collect();
        parts
            .into_iter()
            .try_for_each(|part| part.join().map_err(|_| anyhow::anyhow!("a device panicked"))?)
    })
}

fn works(site: &mut Site) -> anyhow::Result<()> {
    let clock = Clock::system(None);
    // The second of a crew begins in the middle of the first one's jobs.
    let first = if site.number.ends_with('b') { WORKED / 2 } else { 0 };
    for (at, doc) in site.jobs.iter().copied().enumerate().skip(first).take(WORKED) {
        let delivered = Record { signature: Some(signature(at)), ..Record::done(name("delivered")) };
        let remark =
            BTreeMap::from([("remark".to_owned(), Some(format!("{} 第{at}单,客户改约下午", site.number)))]);
        for command in [
            Command::Step(doc, Record::done(name("fetched"))),
            Command::Contact(doc, "phone".into(), "已联系客户,约一小时后到".into(), Vec::new()),
            Command::Edit(doc, remark),
            Command::Note(doc, format!("{}:旧家具已搬走,现场整洁", site.number)),
            Command::Step(doc, delivered),
        ] {
            let performed = site.device.perform(command, &clock.now())?;
            ensure!(performed.docs == [doc], "a command of the day wrote nothing");
        }
    }
    for doc in &site.jobs {
        let hashes = site.device.state(*doc)?.0.changes().into_iter().map(|change| change.hash);
        site.made.extend(hashes.filter(|hash| !site.known.contains(hash)));
    }
    Ok(())
}

/// The office edits a quarter of the jobs while no relay runs.
fn office(company: &Company) -> anyhow::Result<()> {
    let clock = Clock::system(None);
    company.as_office(|opened, clerk| {
        let every = OFFICE_EVERY as usize;
        for (at, doc) in company.orders((0..company.spec.orders).step_by(every)).into_iter().enumerate() {
            let edit = BTreeMap::from([("address".to_owned(), Some(format!("滨江路{}号,东门进", at + 1)))]);
            opened.relay.act(clerk, Command::Edit(doc, edit), &clock.now())?;
        }
        anyhow::Ok(())
    })?
}

/// What stands where before the storm, for the baseline.
struct Before {
    relay: Vec<(DocId, Vec<u8>)>,
    devices: Vec<Vec<(DocId, Vec<u8>)>>,
}

impl Before {
    fn of(company: &Company, sites: &[Site]) -> anyhow::Result<Self> {
        let mut devices = Vec::new();
        for site in sites {
            let saved = site.jobs.iter().map(|doc| Ok((*doc, site.device.state(*doc)?.0.save())));
            devices.push(saved.collect::<anyhow::Result<_>>()?);
        }
        Ok(Self { relay: company.documents()?, devices })
    }

    /// Two rounds, so that what one device brought reaches the other.
    fn exchange(&self, outcome: &mut Outcome) -> anyhow::Result<()> {
        let mut relay = Relay::new(self.relay.clone());
        let mut devices = Vec::new();
        for device in &self.devices {
            let held = device.iter().map(|(id, bytes)| Ok((*id, Held::load(bytes)?)));
            devices.push(held.collect::<anyhow::Result<Vec<_>>>()?);
        }
        for _round in 0..2 {
            for (id, held) in devices.iter_mut().flatten() {
                relay.exchange(*id, held)?;
            }
        }
        relay.tally.tell(outcome);
        Ok(())
    }
}

/// Who is still moving.
#[derive(Default)]
struct Weather {
    /// When the last frame came, in milliseconds since the beginning.
    last_ms: AtomicU64,
    in_step: AtomicU64,
}

/// All connect at once; until nothing moves.
async fn evening(
    relay: &RelayProcess,
    sites: Vec<Site>,
    cpu: Duration,
    outcome: &mut Outcome,
) -> anyhow::Result<(Vec<(Site, Line)>, Bytes, Duration)> {
    let (watch, weather) = (Arc::new(Stopwatch::start()), Arc::new(Weather::default()));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let count = sites.len() as u64;
    let address = relay.address;
    let mut tasks = Vec::new();
    for mut site in sites {
        let (watch, weather, mut stopped) = (watch.clone(), weather.clone(), stopped.clone());
        tasks.push(tokio::spawn(async move {
            let clock = Clock::system(None);
            let mut line = Line::open(address, &token(&site.number, clock.unix_ms())?).await?;
            line.greet(&mut site.device, &clock.now()).await?;
            let mut was_in_step = false;
            loop {
                let frame = tokio::select! {
                    frame = line.next() => frame.with_context(|| site.number.clone())?,
                    changed = stopped.changed() => { changed?; return anyhow::Ok((site, line)); }
                };
                line.take(&mut site.device, frame, &clock.now()).await?;
                let is_in_step = site.device.is_in_step()?;
                match (was_in_step, is_in_step) {
                    (false, true) => weather.in_step.fetch_add(1, Ordering::SeqCst),
                    (true, false) => weather.in_step.fetch_sub(1, Ordering::SeqCst),
                    _ => 0,
                };
                was_in_step = is_in_step;
                let at = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
                weather.last_ms.fetch_max(at, Ordering::SeqCst);
            }
        }));
    }
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        let last = Duration::from_millis(weather.last_ms.load(Ordering::SeqCst));
        let over =
            weather.in_step.load(Ordering::SeqCst) == count && watch.elapsed().saturating_sub(last) > QUIET;
        if over || tasks.iter().any(tokio::task::JoinHandle::is_finished) {
            break;
        }
        if watch.elapsed() > PATIENCE {
            bail!(
                "the storm does not come to rest: {} of {count} in step",
                weather.in_step.load(Ordering::SeqCst)
            );
        }
    }
    let spent = relay.cpu()?.saturating_sub(cpu);
    outcome.figure("relay_cpu_ms", ms(spent));
    stop.send(true)?;
    let (mut ended, mut bytes) = (Vec::new(), Bytes::default());
    for task in tasks {
        let (site, line) = task.await??;
        let one = line.bytes();
        bytes.up += one.up;
        bytes.down += one.down;
        bytes.upgrade += one.upgrade;
        ended.push((site, line));
    }
    Ok((ended, bytes, Duration::from_millis(weather.last_ms.load(Ordering::SeqCst))))
}

/// What devices and relay say of each other afterwards.
struct Agreed {
    sites: Vec<Site>,
    disagree: usize,
    unsettled: u32,
}

async fn agreements(relay: &RelayProcess, ended: Vec<(Site, Line)>) -> anyhow::Result<Agreed> {
    relay.settle()?;
    let clock = Clock::system(None);
    let mut agreed = Agreed { sites: Vec::new(), disagree: 0, unsettled: 0 };
    for (mut site, mut line) in ended {
        let agrees = line.agrees(&mut site.device, &clock.now()).await?;
        agreed.disagree += usize::from(!agrees);
        let state = site.device.sync_view()?;
        agreed.unsettled += state.unsent + state.held;
        line.close().await?;
        agreed.sites.push(site);
    }
    Ok(agreed)
}

/// Bytes of the changes that had to travel: each device's own, and those that came to it.
#[derive(Default)]
struct Travelled {
    raw: u64,
    /// Deflated as one stream for each device, both directions in it.
    deflated: u64,
    /// Deflated as one stream for each device and direction.
    up: u64,
    down: u64,
}

fn travelled(sites: &[Site]) -> anyhow::Result<Travelled> {
    let stream = || ZlibEncoder::new(Vec::new(), Compression::default());
    let mut sum = Travelled::default();
    for site in sites {
        let (mut both, mut up, mut down) = (stream(), stream(), stream());
        for doc in &site.jobs {
            let (found, _) = site.device.state(*doc)?;
            for change in found.changes().iter().filter(|c| !site.known.contains(&c.hash)) {
                sum.raw += change.bytes.len() as u64;
                both.write_all(&change.bytes)?;
                let way = if site.made.contains(&change.hash) { &mut up } else { &mut down };
                way.write_all(&change.bytes)?;
            }
        }
        sum.deflated += both.finish()?.len() as u64;
        sum.up += up.finish()?.len() as u64;
        sum.down += down.finish()?.len() as u64;
    }
    Ok(sum)
}
