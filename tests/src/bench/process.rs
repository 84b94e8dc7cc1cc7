//! The relay as a process of its own, and what the kernel says of its CPU time and memory.
//!
//! CPU time is the process's own clock, user and system together, threads that ended included: the sum
//! that `/proc/PID/stat` gives in ticks of 10 ms, in nanoseconds. Memory is `VmRSS` and `VmHWM` of
//! `/proc/PID/status`, in bytes; the peak is reset at the beginning of a phase where the kernel lets us.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use serde_json::Value;

/// How long a relay may take until it listens or has ended.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// A relay is at rest when it took less than `REST_CPU` in this time.
const REST_WINDOW: Duration = Duration::from_millis(600);
const REST_CPU: Duration = Duration::from_millis(6);

/// Wall time: measuring is what this is for.
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins.
    #[allow(clippy::disallowed_methods, reason = "the edge: a bench measures time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }
    /// What has passed.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
    /// What has passed, in seconds.
    pub fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}

/// A duration in milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// The CPU time of the calling thread.
pub fn thread_cpu() -> anyhow::Result<Duration> {
    Ok(Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?))
}

/// As many open sockets as the system lets this process and the relay have.
pub fn allow_many_sockets() -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now.
    pub now: f64,
    /// Resident at most since the start or the last reset.
    pub peak: f64,
}

/// A process that the kernel is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Watched(pub Pid);

impl Watched {
    /// The process with this number.
    pub fn new(number: u32) -> Self {
        // A process id fits in an i32 on Linux (PID_MAX_LIMIT is 2^22).
        Self(Pid::from_raw(i32::try_from(number).unwrap_or_default()))
    }

    /// CPU time since its start.
    pub fn cpu(self) -> anyhow::Result<Duration> {
        Ok(Duration::from(clock_getcpuclockid(self.0)?.now()?))
    }

    /// A number of `/proc/PID/status`, with its unit.
    fn status(self, name: &str) -> anyhow::Result<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|l| l.strip_prefix(name)).context("a field of status")?;
        Ok(line.trim_start_matches(':').trim().to_owned())
    }

    /// Its memory.
    pub fn memory(self) -> anyhow::Result<Memory> {
        let field = |name: &str| -> anyhow::Result<f64> {
            let kib: f64 = self.status(name)?.trim_end_matches(" kB").parse()?;
            Ok(kib * 1_024.0)
        };
        Ok(Memory { now: field("VmRSS")?, peak: field("VmHWM")? })
    }

    /// Its threads.
    pub fn threads(self) -> anyhow::Result<u32> {
        Ok(self.status("Threads")?.parse()?)
    }

    /// Its open handles: files, sockets and pipes.
    pub fn handles(self) -> anyhow::Result<u32> {
        let count = std::fs::read_dir(format!("/proc/{}/fd", self.0))?.count();
        Ok(u32::try_from(count)?)
    }

    /// Waits until it does nothing any more.
    pub fn settle(self) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        loop {
            let before = self.cpu()?;
            sleep(REST_WINDOW);
            if self.cpu()?.saturating_sub(before) < REST_CPU {
                return Ok(());
            }
            if watch.elapsed() > PATIENCE {
                bail!("the relay does not come to rest");
            }
        }
    }
}

/// A running relay; ended when this goes.
pub struct RelayProcess {
    child: Child,
    /// Held, or its writes would fail.
    _out: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: SocketAddr,
    /// From the start of the process until it listened.
    pub opened: Duration,
}

impl RelayProcess {
    /// Starts `gendan serve` on a data folder and waits until it listens.
    pub fn start(data: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("gendan");
        let watch = Stopwatch::start();
        let mut child = Command::new(&program)
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("GENDAN_LOG_LEVEL", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let mut out = BufReader::new(child.stdout.take().context("the relay's output")?);
        let mut line = String::new();
        while out.read_line(&mut line)? > 0 {
            let said: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = said["listening"].as_str() {
                let address = address.parse()?;
                return Ok(Self { child, _out: out, address, opened: watch.elapsed() });
            }
            line.clear();
        }
        bail!("the relay ended before it listened: {}", child.wait()?)
    }

    fn watched(&self) -> Watched {
        Watched::new(self.child.id())
    }

    /// CPU time since its start.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        self.watched().cpu()
    }

    /// Its memory.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        self.watched().memory()
    }

    /// From now on the peak is counted anew.
    pub fn reset_peak(&self) -> anyhow::Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").context("resetting the peak")
    }

    /// Waits until it does nothing any more.
    pub fn settle(&self) -> anyhow::Result<()> {
        self.watched().settle()
    }

    /// Ends it as an operator would, and waits for that.
    pub fn stop(mut self) -> anyhow::Result<()> {
        kill(self.watched().0, Signal::SIGTERM)?;
        let watch = Stopwatch::start();
        while watch.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the relay ended badly: {status}");
            }
            sleep(Duration::from_millis(20));
        }
        bail!("the relay does not end")
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        // It may have ended already.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}
