//! `cargo xtask fuzz`: every decoder under libFuzzer, each for a while.
//!
//! Needs a nightly compiler; cargo-fuzz is built into `target/` where it is missing. What is found lies
//! in `fuzz/artifacts`; a finding that was mended goes into `fuzz/corpus/TARGET/found-…`, where the
//! ordinary tests run it for ever.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::{root, run};

/// Targets that need the relay and the phone library, not `sync-core` alone.
const OUTER: [&str; 4] = ["evidence", "relay_records", "sheet", "wishes"];
/// Bytes of one input: more only makes a fuzzer slow.
const INPUT_BYTES_MAX: u32 = 8 * 1024;
/// Megabytes that one allocation may take: more is a finding.
const ALLOCATION_MB_MAX: u32 = 48;

/// Every decoder under libFuzzer.
#[derive(Args)]
pub struct Fuzz {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// The targets of the relay and the phone library too; their first build takes long.
    #[arg(long)]
    outer: bool,
    /// One target alone.
    target: Option<String>,
}

impl Fuzz {
    /// Runs it; an error where a target found something.
    pub fn run(self) -> anyhow::Result<()> {
        let path = programs()?;
        let mut targets = targets()?;
        match &self.target {
            Some(one) if targets.contains(one) => targets.retain(|target| target == one),
            Some(one) => bail!("no target {one}; there are: {}", targets.join(", ")),
            None => targets.retain(|target| self.outer || !OUTER.contains(&target.as_str())),
        }
        let mut found = Vec::new();
        for target in targets {
            println!("▶ {target} for {} seconds", self.seconds);
            if !self.one(&path, &target)? {
                found.push(target);
            }
        }
        if found.is_empty() { Ok(()) } else { bail!("findings in {}: see fuzz/artifacts", found.join(", ")) }
    }

    fn one(&self, path: &str, target: &str) -> anyhow::Result<bool> {
        // New inputs go beside the build; the checked-in corpus is read only.
        let grown = root().join("fuzz/target/grown").join(target);
        std::fs::create_dir_all(&grown)?;
        let mut command = Command::new("cargo");
        command.args(["+nightly", "fuzz", "run", "-s", "none"]).env("PATH", path).current_dir(root());
        if OUTER.contains(&target) {
            command.args(["--features", "outer"]);
        }
        command.arg(target).arg(&grown).arg(root().join("fuzz/corpus").join(target)).arg("--");
        command.args([
            format!("-max_total_time={}", self.seconds),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-malloc_limit_mb={ALLOCATION_MB_MAX}"),
            "-timeout=10".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        Ok(command.status().context("cargo fuzz")?.success())
    }
}

/// The targets' names, sorted.
fn targets() -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        found.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    found.sort();
    Ok(found)
}

/// A PATH on which cargo finds `cargo fuzz`.
fn programs() -> anyhow::Result<String> {
    let own = root().join("target/cargo-fuzz");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = [own.join("bin")].into_iter().chain(std::env::split_paths(&path)).collect();
    let joined = std::env::join_paths(folders)?.to_string_lossy().into_owned();
    let there = Command::new("cargo").args(["fuzz", "--version"]).env("PATH", &joined).output();
    if !there.is_ok_and(|output| output.status.success()) {
        run("cargo", &["install", "--locked", "cargo-fuzz", "--root", &own.to_string_lossy()])?;
    }
    Ok(joined)
}
