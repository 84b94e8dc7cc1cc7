//! The benches: built in release, then run; the figures go to `bench.json` in cargo's target folder.

use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::{built, root, run};

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
        let programs = ["--bin", "gendan", "--bin", "gendan-bench"];
        let build = ["build", "--release", "-p", "gendan-server", "-p", "gendan-tests"];
        run("cargo", &[&build[..], &programs].concat())?;
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
