//! `soak`: a company's ordinary work on the real relay, for a long time. `cargo xtask soak` runs it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use gendan_tests::soak::figures::mb;
use gendan_tests::soak::{Plan, run};
use rand::RngExt as _;

/// Memory stays flat, handles are given back, the disk is bounded, nothing acknowledged is missing.
#[derive(Parser)]
struct Args {
    /// How long the work goes on; 1 is a short form of half a minute.
    #[arg(long, default_value_t = 60)]
    minutes: u32,
    /// The seed of who does what; drawn and printed where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// The folder of `gendan`; where this program stands, if not given.
    #[arg(long)]
    programs: Option<PathBuf>,
}

fn soak(args: Args) -> anyhow::Result<bool> {
    let seed = args.seed.unwrap_or_else(|| rand::rng().random());
    println!("seed {seed}");
    let here = std::env::current_exe()?;
    let programs = match args.programs {
        Some(programs) => programs,
        None => here.parent().context("a program stands in a folder")?.to_owned(),
    };
    let folder = tempfile::tempdir()?;
    let plan = Plan { minutes: args.minutes.max(1), seed, programs, folder: folder.path().to_owned() };
    let done = run::run(&plan);
    let whole = done.as_ref().is_ok_and(|t| t.lost == 0 && t.broken.is_empty());
    if !whole {
        println!("the data stays in {}", folder.keep().display());
    }
    let tally = done?;
    println!(
        "{} minutes, {} changes, {} restarts, {} lost; memory {:.0}→{:.0} MB, handles {}→{}, disk {:.0} MB",
        plan.minutes,
        tally.changes,
        tally.restarts,
        tally.lost,
        mb(tally.memory.0),
        mb(tally.memory.1),
        tally.handles.0,
        tally.handles.1,
        mb(tally.disk)
    );
    Ok(whole)
}

fn main() -> ExitCode {
    match soak(Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}
