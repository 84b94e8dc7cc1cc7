//! What is measured in a rest: nobody is connected, and the relay does nothing any more.

use std::fmt;
use std::path::Path;

use crate::bench::company::bytes_in;
use crate::bench::process::{Stopwatch, Watched};
use crate::faults::process::{Place, Relay};

use super::ledger::Ledger;

/// The figures of one rest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// After so many slices of work.
    pub slice: u32,
    /// Seconds since the work began.
    pub at_s: f64,
    /// How often the relay had been started again: samples of one number are of one process.
    pub restarts: u32,
    /// Documents on the device that sees all of them.
    pub documents: u64,
    /// Acknowledged commands, of devices and of the office.
    pub changes: usize,
    /// The relay's resident memory, in bytes.
    pub resident: u64,
    /// Its open files and sockets.
    pub handles: u32,
    /// Its threads.
    pub threads: u32,
    /// Bytes of its log's folder.
    pub store: u64,
    /// Bytes of photos and files.
    pub photos: u64,
    /// Open files and sockets of all devices together, closed: what their process holds.
    pub devices: u32,
}

fn bytes(folder: &Path) -> anyhow::Result<u64> {
    if folder.exists() { bytes_in(folder) } else { Ok(0) }
}

impl Sample {
    /// Waits until the relay is at rest, and measures.
    ///
    /// # Errors
    /// Where the relay is gone or does not come to rest.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of memory")]
    pub fn take(
        (slice, restarts): (u32, u32),
        (relay, place, watch): (&Relay, &Place, &Stopwatch),
        ledger: &Ledger,
    ) -> anyhow::Result<Self> {
        let process = Watched::new(relay.victim.number());
        process.settle()?;
        Ok(Self {
            slice,
            at_s: watch.seconds(),
            restarts,
            documents: ledger.documents(),
            changes: ledger.count(),
            resident: process.memory()?.now as u64,
            handles: process.handles()?,
            threads: process.threads()?,
            store: bytes(&place.relay().join("log"))?,
            photos: bytes(&place.relay().join("blobs"))?,
            devices: Watched::new(std::process::id()).handles()?,
        })
    }
}

/// Bytes as megabytes.
#[allow(clippy::cast_precision_loss, reason = "for people")]
pub fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>3}  {:>6.0} s  {:>6} documents {:>7} changes  RSS {:>6.1} MB  {:>3} handles {:>3} threads  store {:>7.1} MB \
             photos {:>6.1} MB  {:>2} restarts  devices {:>3} handles",
            self.slice,
            self.at_s,
            self.documents,
            self.changes,
            mb(self.resident),
            self.handles,
            self.threads,
            mb(self.store),
            mb(self.photos),
            self.restarts,
            self.devices
        )
    }
}
