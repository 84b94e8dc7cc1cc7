//! `disk`: what the relay's log takes on disk, against the data that lives in it.
//!
//! Goal: at most 3 times, once every document stands as one snapshot. Live data is the documents as
//! Automerge saves them; keys, indexes, entries and anchors are what the factor pays for.

use super::Plan;
use super::company::{Company, bytes_in};
use super::first_sync::spec;
use super::outcome::Outcome;

/// Runs it.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("disk");
    let company = Company::prepare(plan, spec(plan, true))?;
    let log = bytes_in(&company.folder.join("log"))? as f64;
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
    Ok(outcome)
}
