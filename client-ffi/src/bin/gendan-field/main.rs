//! `gendan-field`: a device on the command line, over exactly the calls that a phone's app has.
//!
//! In: a folder (`--data`), a subcommand; out: Chinese first with English beside it, or with `--json` one
//! JSON object as the last line. Exit codes: 0 done, 2 refused, 3 the relay cannot be reached, 4 anything
//! else. The folder holds the sealed store (`store/`) and its key (`key`, readable by the owner only).

mod batch;
mod reading;
mod deed;
mod keyfile;
mod words;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use client_ffi::clock::Clock;
use client_ffi::shell::{Sockets, block_on};
use client_ffi::{FieldClient, FieldError, salvage};
use serde_json::{Value, json};
use sync_core::device::salvage::TakenOver;

use deed::Deed;

/// 跟单外勤终端 — a device of gendan on the command line.
///
/// 断网照常记录,联网后同步。Work is recorded offline and goes out with the next sync.
/// The store is sealed under the key in DATA/key; a phone keeps that key in its keystore instead.
#[derive(Parser)]
#[command(name = "gendan-field", version, after_help = AFTER)]
struct Args {
    /// 数据目录 — the device's folder: `store/` and `key`.
    #[arg(long, env = "GENDAN_DATA", value_name = "DIR", global = true, default_value = "gendan-field")]
    data: PathBuf,
    /// 输出JSON — one JSON object as the last line; errors as {"error":{"code","reason","reason_en"}}.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    work: Work,
}

const AFTER: &str = "Exit codes: 0 done, 2 refused, 3 relay not reached, 4 anything else.\n\
Environment: GENDAN_CA=FILE trusts more certificates (PEM). For demonstrations of a made-up day: \
GENDAN_CLOCK=UNIX_MS lives at that moment, GENDAN_CLOCK_OFFSET_MS=N sets the wall clock wrong by N.";

#[derive(clap::Subcommand)]
#[allow(clippy::large_enum_variant, reason = "parsed once for each process")]
enum Work {
    /// 登记设备 — enrol this folder with the office's one-time code.
    Enrol {
        /// The relay's address, https:// (http:// for this machine only).
        url: String,
        /// The code, XXXX-XXXX-XXXX.
        code: String,
    },
    /// 批量执行 — one JSON command per line, {"do":"note","doc":"…","text":"…"}; one result line each.
    Batch {
        /// The file, or - for standard input.
        file: String,
    },
    /// 移开损坏的数据 — moves a damaged store aside; nothing is deleted. Then enrol again.
    SetAside,
    /// 取回未同步的记录 — takes over the unsent work of stores that were set aside. Sync before and after.
    Salvage,
    #[command(flatten)]
    Deed(Deed),
}

/// What a command came to: for programs and for people.
pub struct Shown {
    value: Value,
    words: String,
}

/// An error as the command line's JSON has it.
fn error_value(error: &FieldError) -> Value {
    json!({"error": {
        "code": error.code(),
        "reason": error.reason(),
        "reason_en": error.reason_en(),
        "retryable": error.is_retryable(),
    }})
}

const fn exit_code(error: &FieldError) -> u8 {
    match error {
        FieldError::Refused { .. } => 2,
        FieldError::Offline { .. } => 3,
        _ => 4,
    }
}

/// A number of the environment, for demonstrations.
fn environment(name: &str) -> Result<Option<i64>, FieldError> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|e| FieldError::invalid(name, e))
}

fn clock() -> Result<Clock, FieldError> {
    let offset = environment("GENDAN_CLOCK_OFFSET_MS")?.unwrap_or(0);
    Ok(match environment("GENDAN_CLOCK")? {
        None if offset == 0 => Clock::real(),
        at_ms => Clock::made_up(at_ms, offset),
    })
}

fn run(args: &Args) -> Result<Shown, FieldError> {
    let transport = Arc::new(Sockets::new().map_err(|e| FieldError::offline("no_network_stack", e))?);
    let store = args.data.join("store");
    let store = store.to_str().ok_or_else(|| FieldError::invalid("data", "not a text path"))?;
    let (key, clock) = (keyfile::key(&args.data, matches!(args.work, Work::Enrol { .. }))?, clock()?);
    let opened = || FieldClient::open_at(store, &key, transport.clone(), clock);
    match &args.work {
        Work::Enrol { url, code } => {
            let client = block_on(FieldClient::enrol_at(store, &key, (url, code), transport.clone(), clock))?;
            Deed::Me.carry_out(&client)
        }
        Work::Batch { file } => batch::run(&opened()?, file),
        Work::SetAside => {
            let aside = salvage::set_aside(Path::new(store), &key)?;
            let words =
                format!("旧数据已移到 {}。 The old store lies there now; enrol again.", aside.display());
            Ok(Shown { value: json!({"aside": aside}), words })
        }
        Work::Salvage => salvaged(&opened()?, Path::new(store), &key),
        Work::Deed(deed) => {
            let done = deed.clone().carry_out(&opened()?);
            if matches!(done, Err(FieldError::Wiped { .. })) {
                keyfile::remove(&args.data)?;
            }
            done
        }
    }
}

/// Takes over every store that was set aside; one that cannot be read does not stop the others.
fn salvaged(client: &FieldClient, store: &Path, key: &[u8]) -> Result<Shown, FieldError> {
    let (mut told, mut words) = (Vec::new(), String::new());
    for aside in salvage::aside(store) {
        let (value, line) = match client.salvage(&aside, key) {
            Ok(taken) => {
                let TakenOver { again, there, held, blobs, unreadable } = taken;
                let line = format!(
                    "重报 said again {again},已在 there {there},搁置 held {held},照片文件 files {blobs},无法读取 unreadable {unreadable}"
                );
                (json!(taken), line)
            }
            Err(error) => (error_value(&error), format!("{}\n{}", error.reason(), error.reason_en())),
        };
        words.push_str(&format!("{}: {line}\n", aside.display()));
        told.push(value);
    }
    Ok(Shown { value: json!({"salvaged": told}), words })
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { 4 } else { 0 };
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::from(4) };
        }
    };
    let (line, code) = match run(&args) {
        Ok(shown) if args.json => (shown.value.to_string(), 0),
        Ok(shown) => (shown.words, 0),
        Err(error) if args.json => (error_value(&error).to_string(), exit_code(&error)),
        Err(error) => {
            eprintln!("{}\n{} [{}]", error.reason(), error.reason_en(), error.code());
            return ExitCode::from(exit_code(&error));
        }
    };
    match writeln!(std::io::stdout(), "{}", line.trim_end()) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
