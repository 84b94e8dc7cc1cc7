//! The `gendan` command: a company's relay and what its keeper does with it.

pub mod founding;
pub mod import;
pub mod keep;
pub mod policy;
pub mod proof;
pub mod report;
pub mod serve;
mod sound;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use sync_core::store::{SledStore, StoreKey};

use crate::clock::Clock;
use crate::faulty::Faulty;
use crate::identity::keys::KeyRing;
use crate::log::KeptLog;
use crate::relay::Relay;

/// gendan 跟单: orders and after-sales tickets, worked offline, merged by this relay.
#[derive(Parser)]
#[command(name = "gendan", version, about)]
pub struct Cli {
    /// The store's folder.
    #[arg(long, global = true, env = "GENDAN_DATA", default_value = "gendan-data")]
    data: PathBuf,
    /// One JSON object as the last line.
    #[arg(long, global = true)]
    json: bool,
    /// A file that holds by how many milliseconds the clock is moved; for demonstrations and tests only.
    #[arg(long, global = true, hide = true, env = "GENDAN_TEST_CLOCK")]
    test_clock: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Found a company in an empty folder.
    Init(founding::Init),
    /// Serve devices and the office until stopped.
    Serve(serve::Serve),
    /// Take orders in from a spreadsheet (.xlsx or .csv).
    Import(import::Import),
    /// Write a verified backup into a new folder.
    Backup(keep::Backup),
    /// Put a backup into an empty data folder; devices then send what it lacks.
    Restore(keep::Restore),
    /// Read the whole store and say what was found.
    Check(keep::Check),
    /// Give back room on the disk; the relay must be stopped.
    Compact(keep::Compact),
    /// Write one order or ticket into a file that anyone can check.
    Evidence(proof::Evidence),
    /// Check an evidence file; needs no data folder.
    Verify(proof::Verify),
    /// Write a report as JSON, CSV, Excel or a page to print.
    Report(report::Report),
    /// Check, compare or try policies; only trying needs a data folder.
    #[command(subcommand)]
    Policy(policy::Policies),
    /// Print the OpenAPI document.
    Openapi,
}

/// What every command works with.
pub struct Context {
    /// The data folder.
    pub data: PathBuf,
    /// JSON as the last line.
    pub json: bool,
    /// The clock.
    pub clock: Clock,
}

/// An opened company.
#[derive(Clone)]
pub struct Company {
    /// Its secrets.
    pub keys: Arc<KeyRing>,
    /// Its change log.
    pub log: Arc<KeptLog<SledStore>>,
    /// Its relay.
    pub relay: Arc<Relay>,
}

impl Context {
    /// Opens the change log with the company's keys.
    pub fn log(&self, keys: &KeyRing) -> anyhow::Result<Arc<KeptLog<SledStore>>> {
        let store = self.store(keys)?;
        let epoch = u64::from_be_bytes(crate::clock::random()) | 1;
        Ok(Arc::new(KeptLog::open(store, epoch)?))
    }

    /// Opens the store.
    pub fn store(&self, keys: &KeyRing) -> anyhow::Result<SledStore> {
        let key = StoreKey::from_bytes(*keys.store_key);
        let folder = self.data.join("log");
        SledStore::open(&folder, &key, seeded()).map_err(|error| sound::told(&folder, &error))
    }

    /// Opens the company in the data folder.
    pub fn open(&self) -> anyhow::Result<Company> {
        let keys = Arc::new(KeyRing::open(&self.data)?);
        sound::present(&self.data)?;
        let log = self.log(&keys)?;
        let relay = Arc::new(Relay::open(log.clone(), keys.company)?);
        sound::fits(&keys, &relay)?;
        Ok(Company { keys, log, relay })
    }

    /// Prints the last line for machines, where it was asked for.
    pub fn say(&self, value: &serde_json::Value) {
        if self.json {
            println!("{value}");
        }
    }
}

/// A generator seeded by the system: for nonces of sealed values.
pub fn seeded() -> rand::rngs::StdRng {
    use rand::SeedableRng as _;
    rand::rngs::StdRng::from_seed(crate::clock::random())
}

/// Runs the command line.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let context = Context { data: cli.data, json: cli.json, clock: Clock::system(cli.test_clock) };
    let outcome = match cli.command {
        Command::Init(init) => init.run(&context),
        Command::Serve(serve) => serve.run(&context),
        Command::Import(import) => import.run(&context),
        Command::Backup(backup) => backup.run(&context),
        Command::Restore(restore) => restore.run(&context),
        Command::Check(check) => check.run(&context),
        Command::Compact(compact) => compact.run(&context),
        Command::Evidence(evidence) => evidence.run(&context),
        Command::Verify(verify) => verify.run(&context),
        Command::Report(report) => report.run(&context),
        Command::Policy(policy) => policy.run(&context),
        Command::Openapi => {
            println!("{}", crate::api::openapi());
            Ok(())
        }
    };
    if let Err(error) = &outcome {
        let mut told = serde_json::json!({ "error": format!("{error:#}") });
        if let Some(faulty) = error.downcast_ref::<Faulty>() {
            print!("{}", faulty.lines());
            told["faults"] = serde_json::json!(faulty.faults());
        }
        context.say(&told);
    }
    outcome
}
