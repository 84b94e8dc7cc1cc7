//! The project's own tasks: `cargo xtask demo`, `cargo xtask test` and those beside them.

mod api;
mod bench;
mod demo;
mod faults;
mod fuzz;
mod outsiders;
mod phones;
mod process;
mod rows;
mod sim;
mod soak;
mod tests;

use clap::{Parser, Subcommand};

/// Tasks of the gendan project.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// A furniture retailer's real days: a relay, twelve people's devices, offline work, one evening of merging.
    Demo(demo::Demo),
    /// Everything that CI checks: formatting, lints, tests, documentation, licences.
    Test(tests::Test),
    /// The simulation over many seeds.
    Sim(sim::Sim),
    /// The regulations' 21 sections at work, each with pass or fail from a real run.
    Rows(rows::Rows),
    /// What other people's tools make of us: evidence checked by a COSE library that is not ours.
    Outsiders(outsiders::Outsiders),
    /// The API against its document: everything asked that it allows, and much that it does not.
    Api(api::Api),
    /// The phone build, compiled for Android and iOS as far as a machine without their kits can.
    Phones(phones::Phones),
    /// The relay's and the device's figures against their goals.
    Bench(bench::Bench),
    /// Every decoder under libFuzzer, each for a while; needs a nightly compiler.
    Fuzz(fuzz::Fuzz),
    /// Relays and devices killed under load.
    Faults(faults::Faults),
    /// An hour of ordinary work: memory, handles, disk, and nothing lost.
    Soak(soak::Soak),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Demo(demo) => demo.run(),
        Task::Test(test) => test.run(),
        Task::Sim(sim) => sim.run(),
        Task::Rows(rows) => rows.run(),
        Task::Outsiders(outsiders) => outsiders.run(),
        Task::Api(api) => api.run(),
        Task::Phones(phones) => phones.run(),
        Task::Bench(bench) => bench.run(),
        Task::Fuzz(fuzz) => fuzz.run(),
        Task::Faults(faults) => faults.run(),
        Task::Soak(soak) => soak.run(),
    }
}
