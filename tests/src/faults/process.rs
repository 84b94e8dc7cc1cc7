//! The programs as processes: `gendan serve`, `gendan-field batch -`, and requests over plain HTTP.
//!
//! A process is ended by `SIGKILL`, also when its handle goes: nothing tidies up unless it is told to
//! ([`Victim::dismiss`]).

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Longest silence of a relay before a request counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Where the programs are and where their data goes.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder of `gendan` and `gendan-field`.
    pub programs: PathBuf,
    /// The folder of all data.
    pub folder: PathBuf,
}

impl Place {
    /// The relay's data folder.
    pub fn relay(&self) -> PathBuf {
        self.folder.join("relay")
    }
    /// The relay's configuration, where it has one.
    pub fn config(&self) -> PathBuf {
        self.folder.join("relay.toml")
    }
    /// A `gendan` command on the relay's folder.
    pub fn gendan(&self) -> Command {
        let mut command = Command::new(self.programs.join("gendan"));
        command.env("GENDAN_DATA", self.relay()).arg("--json").stdin(Stdio::null());
        command
    }
    /// Runs `gendan` to its end: whether it succeeded, and the JSON of its last line.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<(bool, Value)> {
        let output = self.gendan().args(arguments).output().context("gendan does not start")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().next_back().unwrap_or_default();
        let told = || format!("gendan {arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), serde_json::from_str(last).with_context(told)?))
    }
}

/// A process that dies by `SIGKILL`.
#[derive(Clone, Debug)]
pub struct Victim(Arc<Mutex<Child>>);

impl Victim {
    fn new(child: Child) -> Self {
        Self(Arc::new(Mutex::new(child)))
    }
    /// Kills it and waits until it is gone. A process that has ended already stays ended.
    pub fn kill(&self) -> anyhow::Result<()> {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill().context("kill")?;
        child.wait().context("wait")?;
        Ok(())
    }
    /// Its number.
    pub fn number(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).id()
    }
    /// Ends it as an operator would, by `SIGTERM`, and waits until it is gone.
    pub fn dismiss(&self) -> anyhow::Result<()> {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        let status = child.wait().context("wait")?;
        ensure!(status.success(), "it ended badly when it was told to end: {status}");
        Ok(())
    }
}

/// A running relay.
#[derive(Debug)]
pub struct Relay {
    /// The process.
    pub victim: Victim,
    /// Where it listens.
    pub address: SocketAddr,
    /// Kept open, so that printing never fails.
    _out: BufReader<ChildStdout>,
}

impl Relay {
    /// Starts `gendan serve` and waits until it listens.
    pub fn start(place: &Place, listen: &str) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(place.folder.join("relay.log"))?;
        let mut child = place
            .gendan()
            .args(["serve", "--listen", listen])
            .args(place.config().is_file().then(|| ["--config".into(), place.config()]).into_iter().flatten())
            .env("GENDAN_LOG_LEVEL", "warn")
            .env("GENDAN_ATTEMPTS_PER_MINUTE", "10000")
            .env("GENDAN_TOKEN_S", "86400")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("the relay does not start")?;
        let mut out = BufReader::new(child.stdout.take().context("the relay's output")?);
        let victim = Victim::new(child);
        let mut line = String::new();
        while out.read_line(&mut line)? > 0 {
            let said: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = said["listening"].as_str() {
                return Ok(Self { victim, address: address.parse()?, _out: out });
            }
            line.clear();
        }
        victim.kill()?;
        let told = std::fs::read_to_string(place.folder.join("relay.log"))?;
        bail!("the relay ended before it listened: {}", told.lines().next_back().unwrap_or_default())
    }
}

/// One request on a connection of its own: the status, and the body as JSON.
pub fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> anyhow::Result<(u16, Value)> {
    let body = body.to_string();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (status, body) = exchange(address, &(head + &body))?;
    Ok((status, serde_json::from_str(&body).unwrap_or_default()))
}

/// What the relay answers at an open path, as text.
pub fn text(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
    let (status, body) = exchange(address, &head)?;
    ensure!(status == 200, "{path}: {status}");
    Ok(body)
}

fn exchange(address: SocketAddr, request: &str) -> anyhow::Result<(u16, String)> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    socket.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("not a whole answer")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
    let whole =
        head.to_ascii_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
    ensure!(whole.is_none_or(|length: usize| length == body.len()), "an answer that was cut");
    Ok((status, body.to_owned()))
}

/// A `gendan-field batch -` that is asked one line after the other.
#[derive(Debug)]
pub struct Batch {
    /// The process.
    pub victim: Victim,
    lines: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Batch {
    /// Starts the device in a folder.
    pub fn start(place: &Place, data: &Path) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(place.folder.join("devices.log"))?;
        let mut child = Command::new(place.programs.join("gendan-field"))
            .env("GENDAN_DATA", data)
            .args(["--json", "batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("gendan-field does not start")?;
        let lines = child.stdin.take().context("the device's input")?;
        let answers = BufReader::new(child.stdout.take().context("the device's output")?);
        Ok(Self { victim: Victim::new(child), lines, answers })
    }

    /// Says a line and waits for its answer; `None` where the process died first. A last line without
    /// its end was not printed whole: it acknowledges nothing.
    pub fn ask(&mut self, line: &Value) -> Option<Value> {
        self.lines.write_all(format!("{line}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).ok()?;
        if answer.ends_with('\n') { serde_json::from_str(&answer).ok() } else { None }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // It may have been killed already.
        drop(self.victim.kill());
    }
}
impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.victim.kill());
    }
}
