//! The `gendan` command.

use clap::Parser as _;
use gendan_server::cli::{Cli, run};

/// With glibc's allocator the same work grew from 35 MB to several hundred.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    small_pages();
    match run(Cli::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gendan: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// With huge pages every thread that allocates a little is given megabytes, all of which the kernel clears.
/// A kernel that cannot leave them away is no fault.
fn small_pages() {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_thp_disable(true).unwrap_or_default();
}
