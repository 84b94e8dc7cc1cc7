//! `gendan-bench`: the relay's and the device's figures against their goals. Run by `cargo xtask bench`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gendan_tests::bench::{Plan, run};

/// Measures the relay and the device against their goals; see docs/performance.md.
#[derive(Parser)]
struct Cli {
    /// Only these keys, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A quick form with small counts, to see that the harness works; goals are not judged.
    #[arg(long)]
    small: bool,
    /// Build the stores anew instead of taking those of an earlier run.
    #[arg(long)]
    fresh: bool,
    /// Where cargo puts what it builds: the figures and the prepared stores go there.
    #[arg(long, default_value = "target")]
    target: PathBuf,
}

fn main() -> ExitCode {
    let Cli { only, small, fresh, target } = Cli::parse();
    match run(&Plan { only, small, fresh, target }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
