//! The soak: a company's ordinary days, an hour long, against the real relay process.
//!
//! Eleven real devices (each with its store on disk, over real WebSockets) and an office work on orders and
//! tickets from opening to closing, with photos, cut connections, long connections and devices that are
//! closed and opened again. In the first third of the slices the relay is ended and started again, every other
//! time by `kill -9`; then one process serves throughout, so that its memory and handles can be judged. Between slices everyone rests, disconnected, and a line of figures is taken.
//!
//! In: minutes and a seed (of who does what; threads and clocks are the machine's, so no run repeats
//! another). Out: a [`Tally`]. [`course`] is what the threads wait for, [`ledger`] what was said and what
//! was seen to be wrong, [`cast`] the people, [`work`] what a person does next, [`hand`] a device, [`desk`]
//! the office, [`figures`] what is measured, [`judge`] the rules, [`books`] the store read at the end, [`run`]
//! the whole. Deliberately not here: devices killed (the kills do that), damaged files, wrong clocks.

pub mod course;
pub mod ledger;
pub mod cast;
pub mod work;
pub mod hand;
pub mod desk;
pub mod figures;
pub mod judge;
pub mod books;
pub mod run;

use std::path::PathBuf;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long the work goes on. One minute is the short form: half a minute of work in four slices.
    pub minutes: u32,
    /// Draws who does what.
    pub seed: u64,
    /// The folder of `gendan`.
    pub programs: PathBuf,
    /// An empty folder for all data.
    pub folder: PathBuf,
}

impl Plan {
    /// Slices of work, each ended by a rest; two at least.
    pub fn slices(&self) -> u32 {
        if self.minutes <= 1 { 4 } else { self.minutes }
    }
    /// The first slices, in each of which the relay is ended and started again.
    pub fn restarts(&self) -> u32 {
        if self.minutes <= 1 { 2 } else { self.minutes / 3 }
    }
    /// Milliseconds of work in a slice.
    pub fn slice_ms(&self) -> u64 {
        if self.minutes <= 1 { 7_000 } else { 60_000 - self.quiet_ms() }
    }
    /// Milliseconds of a rest before the figures are taken: longer than the relay keeps threads that have
    /// nothing to do (ten seconds), each of which holds memory of its own.
    pub fn quiet_ms(&self) -> u64 {
        if self.minutes <= 1 { 0 } else { 12_000 }
    }
}

/// What it came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Acknowledged commands, of devices and of the office.
    pub changes: usize,
    /// How often the relay was started again.
    pub restarts: u32,
    /// Acknowledged commands that are nowhere.
    pub lost: usize,
    /// The relay's resident bytes at rest, when the last process began and after the last slice.
    pub memory: (u64, u64),
    /// The relay's handles with nobody connected, at the first rest and at the end.
    pub handles: (u32, u32),
    /// Bytes of the relay's log in the end.
    pub disk: u64,
    /// Rules that were broken, in words.
    pub broken: Vec<String>,
}
