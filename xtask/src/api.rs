//! `cargo xtask api`: schemathesis asks a real relay everything its OpenAPI document allows and much that
//! it does not, and compares every answer with the document.
//!
//! In: Python 3 with `venv`, and PyPI (a pinned package, into `target/venv-api`). Out: a last line
//! `N operations, N cases, N failed`, and a failure where one did. The seed and the number of examples
//! are fixed. `/v1/sync` is not asked: it is a WebSocket, which the document can only name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::process::{Relay, built, json, root, run};

/// What asks, at this version.
const PACKAGE: &str = "schemathesis==4.32.5";
const PASSWORD: &str = "a made-up password";
/// What every answer is held against.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance,response_headers_conformance,negative_data_rejection,unsupported_method";
/// One of the sample's orders, for questions that get beyond "not found".
const AN_ORDER: &str = "2611120000";

/// Everything that the API's document allows, and much that it does not, asked by schemathesis.
#[derive(Args)]
pub struct Api {
    /// Fewer examples: what `cargo xtask test` runs.
    #[arg(long)]
    short: bool,
    /// Examples of each operation that are drawn by chance.
    #[arg(long, default_value_t = 60)]
    examples: u32,
    /// What they are drawn from.
    #[arg(long, default_value_t = 20_261_124)]
    seed: u64,
}

impl Api {
    /// Runs it on a fresh company with the sample's orders.
    pub fn run(self) -> anyhow::Result<()> {
        run("cargo", &["build", "-p", "gendan-server"])?;
        let schemathesis = venv()?;
        let folder = tempfile::tempdir()?;
        let relay = founded(folder.path())?;
        let login = json!({ "number": "M01", "password": PASSWORD });
        let said: Value =
            ureq::post(format!("{}/v1/office/login", relay.url)).send_json(&login)?.body_mut().read_json()?;
        let token = said["token"].as_str().context("a token")?;
        let report = folder.path().join("report.json");
        let examples = if self.short { 10 } else { self.examples };
        println!("▶ schemathesis run server/openapi.json --seed {} -n {examples}", self.seed);
        let status = Command::new(schemathesis)
            .current_dir(folder.path())
            .env("SCHEMATHESIS_HOOKS", root().join("tests/python/schemathesis_hooks.py"))
            .env("GENDAN_AN_ORDER", AN_ORDER)
            .arg("run")
            .arg(root().join("server/openapi.json"))
            .args(["--url", &relay.url, "--header", &format!("Authorization: Bearer {token}")])
            .args(["--seed", &self.seed.to_string(), "--max-examples", &examples.to_string()])
            .args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS])
            .args(["--exclude-path", "/v1/sync", "--generation-database", "none"])
            .args(["--continue-on-failure", "--warnings", "off", "--no-color"])
            .args(["--report", "json", "--report-json-path"])
            .arg(&report)
            .status()
            .context("schemathesis does not start")?;
        answered(&relay)?;
        let counted = Counted::read(&report)?;
        println!("{} operations, {} cases, {} failed", counted.operations, counted.cases, counted.failed);
        ensure!(status.success() && counted.failed == 0, "the API and its document do not agree");
        ensure!(counted.cases > 0, "nothing was asked");
        Ok(())
    }
}

/// A relay on a new company with the sample's orders.
fn founded(folder: &Path) -> anyhow::Result<Relay> {
    let data = folder.join("data");
    let sample = root().join("server/data/orders.csv");
    for arguments in [
        &["init", "--company", "好家居", "--name", "周总", "--password", PASSWORD][..],
        &["import", &sample.to_string_lossy()],
    ] {
        let mut command = Command::new(built().join("gendan"));
        let (code, said) = json(command.env("GENDAN_DATA", &data).arg("--json").args(arguments))?;
        ensure!(code == 0, "{}: {said}", arguments[0]);
    }
    Relay::start(&data, &folder.join("clock"), "127.0.0.1:0")
}

/// Prints how the relay answered, by its own count: that the questions got beyond the door.
fn answered(relay: &Relay) -> anyhow::Result<()> {
    let metrics = ureq::get(format!("{}/metrics", relay.url)).call()?.body_mut().read_to_string()?;
    let mut statuses = BTreeMap::<String, u64>::new();
    for line in metrics.lines().filter(|l| l.starts_with("gendan_http_requests_total")) {
        let status = line.split_once("status=\"").and_then(|(_, rest)| rest.split_once('"'));
        let count = line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok());
        if let (Some((status, _)), Some(count)) = (status, count) {
            *statuses.entry(status.to_owned()).or_default() += count;
        }
    }
    println!("answers by status: {statuses:?}");
    ensure!(statuses.keys().any(|s| s == "200"), "nothing was answered well");
    ensure!(!statuses.keys().any(|s| s == "429"), "the relay's limits were met: raise them for this run");
    Ok(())
}

/// What schemathesis counted.
struct Counted {
    operations: u64,
    cases: u64,
    failed: u64,
}

impl Counted {
    fn read(report: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(report).context("schemathesis left no report")?;
        let report: Value = serde_json::from_str(&text)?;
        let number = |at: &str| report.pointer(at).and_then(Value::as_u64).with_context(|| at.to_owned());
        Ok(Self {
            operations: number("/operations/tested")?,
            cases: number("/test_cases/generated")?,
            failed: number("/test_cases/with_failures")? + number("/test_cases/errored")?,
        })
    }
}

/// Python with the pinned package; gives its program.
fn venv() -> anyhow::Result<PathBuf> {
    let venv = root().join("target/venv-api");
    let python = venv.join("bin/python");
    if !python.exists() {
        run("python3", &["-m", "venv", &venv.to_string_lossy()])
            .context("python3 with its venv module is needed: apt-get install python3-venv")?;
    }
    run(
        &python.to_string_lossy(),
        &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE],
    )?;
    Ok(venv.join("bin/schemathesis"))
}
