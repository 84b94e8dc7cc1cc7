//! The `gendan` command.

use clap::Parser as _;
use gendan_server::cli::{Cli, run};

/// With glibc's allocator the same work grew from 35 MB to several hundred.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    match run(Cli::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gendan: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
