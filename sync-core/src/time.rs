//! Time as a parameter. Nothing in this crate reads a clock.
//!
//! [`Now`] is what the shell knows at this moment; [`Stamp`] is what a fact keeps of it. A phone's wall
//! clock may be wrong by years, so a stamp also says when the device last knew a trusted time (the
//! relay's) and how long ago that was by its monotonic clock. No merge is decided by either.

use chrono::{DateTime, FixedOffset, TimeDelta, TimeZone as _, Utc};
use minicbor::{Decode, Encode};

/// Unix time in milliseconds, UTC.
pub type UnixMs = i64;

/// What the device's clocks say now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock with the device's UTC offset.
    pub wall: DateTime<FixedOffset>,
    /// Milliseconds of the monotonic clock since `boot`.
    pub elapsed_ms: u64,
    /// A number that differs after each boot of the device: `elapsed_ms` counts within one boot only.
    pub boot: u64,
}

impl Now {
    /// The wall clock in Unix milliseconds.
    pub fn unix_ms(&self) -> UnixMs {
        self.wall.timestamp_millis()
    }
    /// A stamp for a fact made now.
    pub fn stamp(&self, trusted: Option<Trusted>) -> Stamp {
        let since = trusted.filter(|t| t.boot == self.boot).and_then(|t| {
            let elapsed = i64::try_from(self.elapsed_ms.checked_sub(t.elapsed_ms)?).ok()?;
            t.unix_ms.checked_add(elapsed)
        });
        Stamp {
            wall_ms: self.unix_ms(),
            offset_min: i16::try_from(self.wall.offset().local_minus_utc() / 60).unwrap_or(0),
            trusted_ms: since,
            known_since_ms: trusted.map(|t| t.unix_ms),
        }
    }
}

/// The last time that a relay told this device, and when by the device's own monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Trusted {
    /// The relay's clock.
    #[n(0)]
    pub unix_ms: UnixMs,
    /// The device's monotonic clock then.
    #[n(1)]
    pub elapsed_ms: u64,
    /// The boot in which that was.
    #[n(2)]
    pub boot: u64,
}

/// When a fact was made, as far as its device could know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stamp {
    /// The device's wall clock.
    #[n(0)]
    pub wall_ms: UnixMs,
    /// The device's UTC offset in minutes, for showing the time as the person saw it.
    #[n(1)]
    pub offset_min: i16,
    /// Trusted time carried forward by the monotonic clock, where the device had one in this boot.
    #[n(2)]
    pub trusted_ms: Option<UnixMs>,
    /// The newest trusted time the device knew at all: the fact is not older than this.
    #[n(3)]
    pub known_since_ms: Option<UnixMs>,
}

/// Which clock a judgement of time rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// The relay's time carried forward by the device's monotonic clock.
    Trusted,
    /// The device's wall clock alone.
    DeviceClock,
}

impl Stamp {
    /// The best time known for the fact, and where it comes from.
    pub fn best(&self) -> (UnixMs, TimeSource) {
        match (self.trusted_ms, self.known_since_ms) {
            (Some(ms), _) => (ms, TimeSource::Trusted),
            // A wall clock that runs behind what the device already knew is moved up to it.
            (None, Some(floor)) => (self.wall_ms.max(floor), TimeSource::DeviceClock),
            (None, None) => (self.wall_ms, TimeSource::DeviceClock),
        }
    }
    /// The best time with the device's own offset.
    pub fn local(&self) -> DateTime<FixedOffset> {
        let (ms, _) = self.best();
        at_offset(ms, i32::from(self.offset_min) * 60)
    }
}

/// The moment in a fixed offset of `seconds` east of UTC; a moment or offset out of range is clamped.
pub fn at_offset(ms: UnixMs, seconds: i32) -> DateTime<FixedOffset> {
    let offset = FixedOffset::east_opt(seconds.clamp(-50_400, 50_400))
        .unwrap_or_else(|| FixedOffset::east_opt(0).expect("an offset of zero is always in range"));
    utc(ms).with_timezone(&offset)
}

/// The moment in UTC; what chrono cannot hold in every zone (some 262,000 years away) is clamped.
pub fn utc(ms: UnixMs) -> DateTime<Utc> {
    let zones = TimeDelta::days(2);
    let (first, last) = (DateTime::<Utc>::MIN_UTC + zones, DateTime::<Utc>::MAX_UTC - zones);
    let within = ms.clamp(first.timestamp_millis(), last.timestamp_millis());
    Utc.timestamp_millis_opt(within).single().unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(wall_ms: i64, elapsed_ms: u64, boot: u64) -> Now {
        Now { wall: at_offset(wall_ms, 8 * 3600), elapsed_ms, boot }
    }

    #[test]
    fn a_wrong_wall_clock_does_not_move_a_trusted_time() {
        let trusted = Trusted { unix_ms: 1_000_000, elapsed_ms: 500, boot: 1 };
        let stamp = now(99_999_999_999, 2_500, 1).stamp(Some(trusted));
        assert_eq!(stamp.best(), (1_002_000, TimeSource::Trusted));
    }
    #[test]
    fn after_a_reboot_the_last_trusted_time_is_a_floor() {
        let trusted = Trusted { unix_ms: 1_000_000, elapsed_ms: 500, boot: 1 };
        let stamp = now(3, 2, 2).stamp(Some(trusted));
        assert_eq!(stamp.best(), (1_000_000, TimeSource::DeviceClock));
        assert_eq!(now(7, 2, 2).stamp(None).best(), (7, TimeSource::DeviceClock));
    }
    #[test]
    fn moments_out_of_range_are_clamped() {
        for ms in [i64::MIN, i64::MAX] {
            for hours in [-14, 14] {
                assert!(!at_offset(ms, hours * 3600).naive_local().to_string().is_empty());
            }
        }
    }
}
