//! The control socket: how the command line asks a running relay, which alone has the store open.
//!
//! A Unix socket in the data folder that only its owner may use. One JSON line asks, one answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What may be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Import a sheet.
    Import {
        /// The sheet.
        file: PathBuf,
        /// In whose name.
        number: Option<String>,
    },
    /// The evidence of an order or ticket.
    Evidence {
        /// Its number or document id.
        number: String,
    },
    /// A report's bytes, in base64.
    Report(Wanted),
    /// Try a policy on the orders and tickets of the last days.
    Try {
        /// The policy: an absolute path, or the name of a shipped one.
        policy: String,
        /// How many days.
        days: u32,
    },
    /// Write a backup.
    Backup {
        /// A new folder.
        folder: PathBuf,
    },
}

/// Which report, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// First day.
    pub from: Option<NaiveDate>,
    /// Last day, included.
    pub to: Option<NaiveDate>,
    /// A store's name.
    pub store: Option<String>,
    /// The format's name.
    pub format: String,
}

/// Bytes of a question.
const ASK_BYTES_MAX: u64 = 64 * 1024;

fn socket(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Asks the relay that has the store open; `None` where none runs.
pub fn ask(data: &Path, ask: &Ask) -> anyhow::Result<Option<Value>> {
    let Ok(mut stream) = UnixStream::connect(socket(data)) else { return Ok(None) };
    let mut line = serde_json::to_string(ask)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    let mut answer: Value = serde_json::from_str(&answer).context("the relay ended while it was asked")?;
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => bail!("{error}"),
        None => Ok(Some(answer["done"].take())),
    }
}

/// Answers until the process ends, on a thread of its own. An old socket of a relay that is gone is
/// replaced: the store's lock has told already that no other runs.
pub fn answer(
    data: &Path,
    work: impl Fn(Ask) -> anyhow::Result<Value> + Send + 'static,
) -> anyhow::Result<()> {
    let path = socket(data);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
        _ => {}
    }
    let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    std::thread::Builder::new().name("control".into()).spawn(move || {
        for stream in listener.incoming() {
            let done = stream.map_err(Into::into).and_then(|stream| one(stream, &work));
            if let Err(error) = done {
                tracing::warn!(%error, "control");
            }
        }
    })?;
    Ok(())
}

fn one(mut stream: UnixStream, work: &dyn Fn(Ask) -> anyhow::Result<Value>) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).take(ASK_BYTES_MAX).read_line(&mut line)?;
    let answer = match serde_json::from_str(&line).map_err(Into::into).and_then(work) {
        Ok(done) => json!({ "done": done }),
        Err(error) => json!({ "error": format!("{error:#}") }),
    };
    stream.write_all(format!("{answer}\n").as_bytes())?;
    Ok(())
}
