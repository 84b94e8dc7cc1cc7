//! The one place that reads clocks and draws randomness.
//!
//! Out: [`Now`] for `sync-core`, and seeded generators. The monotonic clock is `CLOCK_BOOTTIME` where
//! there is one, which goes on while the phone sleeps; elsewhere the process's own, with a boot number
//! drawn for each process, so that time is never carried forward across what it did not count.
//!
//! A demonstration of a made-up day sets a clock: `at_ms` moves wall clock and monotonic clock alike, as
//! if the machine lived then; `offset_ms` moves the wall clock alone, as on a phone that is set wrong.

use std::sync::OnceLock;
use std::time::Instant;

use chrono::Offset as _;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use sync_core::time::{Now, UnixMs, at_offset};

/// The clocks of this device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// The made-up moment at which this process began.
    at_ms: Option<UnixMs>,
    /// How far the wall clock is off.
    offset_ms: i64,
}

/// Milliseconds of the monotonic clock, and the boot that they count from.
struct Uptime {
    elapsed_ms: u64,
    boot: u64,
}

impl Clock {
    /// The machine's clocks as they are.
    pub const fn real() -> Self {
        Self { at_ms: None, offset_ms: 0 }
    }

    /// Made-up clocks; see the module.
    pub const fn made_up(at_ms: Option<UnixMs>, offset_ms: i64) -> Self {
        Self { at_ms, offset_ms }
    }

    /// What the clocks say now.
    pub fn now(&self) -> Now {
        let (wall_ms, offset_s) = wall();
        let (wall_ms, uptime) = match self.at_ms {
            None => (wall_ms, uptime()),
            Some(at_ms) => {
                let now_ms = at_ms.saturating_add(i64::try_from(since_start_ms()).unwrap_or(0));
                (now_ms, Uptime { elapsed_ms: u64::try_from(now_ms).unwrap_or(0), boot: 0 })
            }
        };
        Now {
            wall: at_offset(wall_ms.saturating_add(self.offset_ms), offset_s),
            elapsed_ms: uptime.elapsed_ms,
            boot: uptime.boot,
        }
    }
}

/// The wall clock in Unix milliseconds, and seconds east of UTC.
#[allow(clippy::disallowed_methods)] // The place where the wall clock enters.
fn wall() -> (UnixMs, i32) {
    let now = chrono::Local::now();
    (now.timestamp_millis(), now.offset().fix().local_minus_utc())
}

#[allow(clippy::disallowed_methods)] // The place where the process's clock enters.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Milliseconds since this process first asked; for limits on waiting.
pub fn since_start_ms() -> u64 {
    u64::try_from(start().elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A number for this process, where the machine names no boot.
fn process_boot() -> u64 {
    static BOOT: OnceLock<u64> = OnceLock::new();
    *BOOT.get_or_init(|| rand::rng().random())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn uptime() -> Uptime {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let digits =
        boot_id.ok().map(|id| id.chars().filter(char::is_ascii_hexdigit).take(16).collect::<String>());
    let boot = digits.and_then(|d| u64::from_str_radix(&d, 16).ok());
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let ms = u64::try_from(time.tv_sec).unwrap_or(0) * 1_000
        + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    Uptime { elapsed_ms: ms, boot: boot.unwrap_or_else(process_boot) }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn uptime() -> Uptime {
    Uptime { elapsed_ms: since_start_ms(), boot: process_boot() }
}

/// A generator of its own, seeded by the operating system.
pub fn generator() -> StdRng {
    rand::make_rng()
}

/// Fills buffers with randomness, for the device.
pub fn chance() -> sync_core::device::Chance {
    let mut rng = generator();
    Box::new(move |buffer| rng.fill_bytes(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_day_moves_both_clocks_and_a_wrong_one_the_wall_clock_only() {
        let day = Clock::made_up(Some(1_795_392_000_000), 0).now();
        let wrong = Clock::made_up(Some(1_795_392_000_000), 3_600_000).now();
        assert!((0..60_000).contains(&(day.unix_ms() - 1_795_392_000_000)));
        assert!((3_600_000..3_660_000).contains(&(wrong.unix_ms() - 1_795_392_000_000)));
        assert!(wrong.elapsed_ms - day.elapsed_ms < 60_000);
        assert_eq!(day.boot, wrong.boot);
    }
    #[test]
    fn the_monotonic_clock_does_not_run_back_within_a_boot() {
        let (a, b) = (Clock::real().now(), Clock::real().now());
        assert_eq!(a.boot, b.boot);
        assert!(a.elapsed_ms <= b.elapsed_ms);
    }
}
