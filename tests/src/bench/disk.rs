//! `disk`: what the relay's log takes on disk, against the data that lives in it.
//!
//! Goal: at most 3 times, once every document stands as one snapshot and the relay had a quiet moment, in
//! which it writes its store anew. Live data is the documents as Automerge saves them; keys, indexes,
//! entries and anchors are what the factor pays for. How long everyone waits for one step of that is
//! measured on the store with every change by itself.

use std::thread::sleep;
use std::time::Duration;

use super::Plan;
use super::company::{Company, bytes_in};
use super::first_sync::spec;
use super::outcome::Outcome;
use super::process::{RelayProcess, Stopwatch, ms};

/// A relay looks at its store every ten seconds; it has done with it when twice as long nothing changed.
const QUIET: Duration = Duration::from_secs(22);
/// Values of one step, as the relay takes them.
const STEP_VALUES: usize = 1_024;

/// Runs it.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("disk");
    let company = Company::prepare(plan, spec(plan, true))?;
    let log = at_rest(&company)?;
    outcome.figure("live_bytes", company.size.snapshots as f64);
    outcome.figure("log_bytes", log);
    outcome.goal("log_ratio", log / company.size.snapshots as f64, 3.0);
    let loose = Company::prepare(plan, spec(plan, false))?;
    outcome.figure("loose_live_bytes", loose.size.changes as f64);
    let log = bytes_in(&loose.folder.join("log"))? as f64;
    outcome.figure("loose_log_bytes", log);
    outcome.figure("loose_log_ratio", log / loose.size.changes as f64);
    outcome.figure(
        "read_model_bytes",
        std::fs::metadata(company.folder.join("read-model.sqlite"))?.len() as f64,
    );
    rewrite(&loose, &mut outcome)?;
    Ok(outcome)
}

/// Bytes of the log when a relay has had nothing to do for a while.
fn at_rest(company: &Company) -> anyhow::Result<f64> {
    let relay = RelayProcess::start(&company.folder)?;
    let mut bytes = 0;
    loop {
        // A file may go while it is looked at; then it is looked at again.
        let before = std::mem::replace(&mut bytes, bytes_in(&company.folder.join("log")).unwrap_or(0));
        if before == bytes {
            break;
        }
        sleep(QUIET);
    }
    relay.stop()?;
    Ok(bytes as f64)
}

/// Writes a copy of the store anew, step by step.
fn rewrite(company: &Company, outcome: &mut Outcome) -> anyhow::Result<()> {
    let (_temporary, company) = company.copied()?;
    let opened = company.open()?;
    let (whole, mut longest, mut done) = (Stopwatch::start(), Duration::ZERO, false);
    while !done {
        let step = Stopwatch::start();
        done = opened.log.while_alone(|store| store.compact_step(STEP_VALUES))?;
        longest = longest.max(step.elapsed());
        sleep(Duration::from_millis(1));
    }
    outcome.figure("rewrite_ms", ms(whole.elapsed()));
    outcome.figure("rewrite_step_ms_max", ms(longest));
    outcome.figure("rewritten_bytes", bytes_in(&company.folder.join("log"))? as f64);
    Ok(())
}
