//! `faults`: kills the real programs under load and says what was lost. `cargo xtask faults` runs it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use gendan_tests::faults::kills;
use rand::RngExt as _;

/// `kill -9` of relays and devices under load; nothing that was acknowledged may be lost.
#[derive(Parser)]
struct Args {
    /// How many processes are killed.
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// The seed of victims and moments; drawn and printed where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// The folder of `gendan` and `gendan-field`; where this program stands, if not given.
    #[arg(long)]
    programs: Option<PathBuf>,
}

fn run(args: Args) -> anyhow::Result<bool> {
    let seed = args.seed.unwrap_or_else(|| rand::rng().random());
    println!("seed {seed}");
    let here = std::env::current_exe()?;
    let programs = match args.programs {
        Some(programs) => programs,
        None => here.parent().context("a program stands in a folder")?.to_owned(),
    };
    let folder = tempfile::tempdir()?;
    let done = kills::run(&programs, folder.path(), args.kills, seed);
    if done.as_ref().map_or(true, |t| t.lost + t.torn > 0) {
        println!("the data stays in {}", folder.keep().display());
    }
    let tally = done?;
    println!(
        "{} relays and {} devices killed, {} marks acknowledged, a webhook told of {} exceptions",
        tally.relays,
        tally.kills - tally.relays,
        tally.acknowledged,
        tally.reported
    );
    println!("{} kills, {} lost, {} torn", tally.kills, tally.lost, tally.torn);
    Ok(tally.lost + tally.torn == 0)
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}
