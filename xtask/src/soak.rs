//! `cargo xtask soak`: builds the programs and lets `soak` work them for a long time.

use clap::Args;

use crate::process::{built, run};

/// A company's ordinary work on the real relay, for an hour: memory, handles, disk, and nothing lost.
#[derive(Args)]
pub struct Soak {
    /// How long the work goes on; 1 is a short form of half a minute.
    #[arg(long, default_value_t = 60)]
    pub minutes: u32,
    /// The seed of who does what; drawn and printed where it is not given.
    #[arg(long)]
    pub seed: Option<u64>,
}

impl Soak {
    /// Runs it; fails where a rule is broken. The last line is
    /// `N minutes, N changes, N restarts, N lost; memory N→N MB, handles N→N, disk N MB`.
    pub fn run(self) -> anyhow::Result<()> {
        run("cargo", &["build", "--workspace", "--bins"])?;
        let mut arguments = vec!["--minutes".to_owned(), self.minutes.to_string()];
        arguments.extend(self.seed.iter().flat_map(|seed| ["--seed".to_owned(), seed.to_string()]));
        let program = built().join("soak");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&program.to_string_lossy(), &arguments)
    }
}
