//! `gendan-sim`: the simulation over many seeds. Run by `cargo xtask sim`.

use std::process::ExitCode;

use clap::Parser;
use gendan_tests::simulation::batch::many;

/// Devices and a relay from one seed, many times over; the last line is `N seeds, N failed`.
#[derive(Parser)]
struct Cli {
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

fn main() -> ExitCode {
    let Cli { seeds, seed, counts } = Cli::parse();
    let seeds: Vec<u64> = seed.map_or_else(|| (1..=seeds).collect(), |seed| vec![seed]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(seeds.len());
    let outcomes = many(&seeds, threads);
    if counts {
        outcomes.counts.iter().for_each(|(what, count)| eprintln!("{count:8} {what}"));
    }
    if outcomes.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
