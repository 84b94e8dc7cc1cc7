//! `cargo xtask faults`: builds the programs and lets `faults` kill them.

use clap::Args;

use crate::process::{built, run};

/// `kill -9` of relays and devices under load: nothing acknowledged may be lost, nothing may be torn.
#[derive(Args)]
pub struct Faults {
    /// How many processes are killed.
    #[arg(long, default_value_t = 100)]
    pub kills: u32,
    /// The seed of victims and moments, to replay a failure; drawn and printed where it is not given.
    #[arg(long)]
    pub seed: Option<u64>,
}

impl Faults {
    /// Runs it; the last line is `N kills, N lost, N torn`.
    pub fn run(self) -> anyhow::Result<()> {
        run("cargo", &["build", "--workspace", "--bins"])?;
        let mut arguments = vec!["--kills".to_owned(), self.kills.to_string()];
        arguments.extend(self.seed.iter().flat_map(|seed| ["--seed".to_owned(), seed.to_string()]));
        let program = built().join("faults");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&program.to_string_lossy(), &arguments)
    }
}
