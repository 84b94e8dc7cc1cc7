//! The simulation over many seeds: built, then run; the last line is `N seeds, N failed`.

use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::{built, root, run};

/// The simulation over many seeds.
#[derive(Args)]
pub struct Sim {
    /// How many seeds, from 1 on.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// One seed alone, to replay a failure.
    #[arg(long)]
    seed: Option<u64>,
    /// Say also what the seeds came to, and how often.
    #[arg(long)]
    counts: bool,
}

impl Sim {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<()> {
        run("cargo", &["build", "--quiet", "-p", "gendan-tests", "--bin", "gendan-sim"])?;
        let mut command = Command::new(built().join("gendan-sim"));
        command.current_dir(root()).args(["--seeds", &self.seeds.to_string()]);
        if let Some(seed) = self.seed {
            command.args(["--seed", &seed.to_string()]);
        }
        command.args(self.counts.then_some("--counts"));
        if command.status().context("gendan-sim")?.success() { Ok(()) } else { bail!("seeds failed") }
    }
}
