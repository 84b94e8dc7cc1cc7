//! The benches: built in release, then run; the figures go to `bench.json` in cargo's target folder.

use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::{built, root};

/// The relay's and the device's figures against their goals; see docs/performance.md.
#[derive(Args)]
pub struct Bench {
    /// Only these keys, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A quick form with small counts, to see that the harness works; goals are not judged.
    #[arg(long)]
    small: bool,
    /// Build the stores anew instead of taking those of an earlier run.
    #[arg(long)]
    fresh: bool,
}

impl Bench {
    /// Runs it. A missed goal is printed as missed and is no failure.
    pub fn run(self) -> anyhow::Result<()> {
        build()?;
        let target = built().parent().context("cargo's target folder")?.to_owned();
        let mut command = Command::new(target.join("release").join("gendan-bench"));
        command.current_dir(root()).arg("--target").arg(&target);
        if !self.only.is_empty() {
            command.args(["--only", &self.only.join(",")]);
        }
        command.args(self.small.then_some("--small")).args(self.fresh.then_some("--fresh"));
        if command.status().context("gendan-bench")?.success() {
            Ok(())
        } else {
            bail!("a bench could not be run")
        }
    }
}

/// What the outer cargo says of xtask is kept from the inner one: some build scripts take it for a change,
/// and the cryptography with all that stands on it would be built again each time.
fn build() -> anyhow::Result<()> {
    let arguments = ["build", "--release", "-p", "gendan-server", "-p", "gendan-tests", "--bins"];
    println!("▶ cargo {}", arguments.join(" "));
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    if command.status().context("cargo")?.success() { Ok(()) } else { bail!("the benches do not build") }
}
