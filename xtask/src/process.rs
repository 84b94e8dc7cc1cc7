//! Running programs: cargo, the relay, and devices as processes of their own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Where cargo puts its programs.
pub fn built() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("debug")
}

/// Runs a program in the project's folder; an error where it fails.
///
/// What the outer cargo says of xtask is kept from it: some build scripts take that for a change, and the
/// cryptography with all that stands on it would be built again each time.
pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    println!("▶ {program} {}", arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let status = command.status().with_context(|| format!("{program} is not on this machine"))?;
    if status.success() { Ok(()) } else { bail!("{program} {} failed", arguments.join(" ")) }
}

/// A relay process; ended when this goes.
pub struct Relay {
    child: Child,
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Relay {
    /// Starts a relay on a data folder and waits for its address.
    pub fn start(data: &Path, clock: &Path, listen: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(built().join("gendan"))
            .args(["serve", "--json", "--listen", listen])
            .env("GENDAN_DATA", data)
            .env("GENDAN_TEST_CLOCK", clock)
            .env("GENDAN_LOG_LEVEL", "warn")
            .env("GENDAN_ATTEMPTS_PER_MINUTE", "1000")
            .env("GENDAN_TOKEN_S", "86400")
            .stdout(Stdio::piped())
            .spawn()
            .context("the relay does not start")?;
        let out = child.stdout.take().context("the relay's output")?;
        for line in BufReader::new(out).lines() {
            let said: Value = serde_json::from_str(&line?).unwrap_or_default();
            if let Some(address) = said["listening"].as_str() {
                return Ok(Self { child, url: format!("http://{address}") });
            }
        }
        bail!("the relay ended before it listened")
    }

    /// Waits until the process ends by itself.
    pub fn wait(mut self) -> anyhow::Result<()> {
        self.child.wait()?;
        Ok(())
    }
}
impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended already.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// Runs one program to its end and reads the JSON object of its last line; with its exit code.
pub fn json(command: &mut Command) -> anyhow::Result<(i32, Value)> {
    let output = command.stderr(Stdio::piped()).output().context("a program does not start")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
    let value = serde_json::from_str(last)
        .with_context(|| format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((output.status.code().unwrap_or(-1), value))
}
