//! The rules: what a relay that runs for ever may not do.
//!
//! - **Memory.** Of the time that one process serves, the first half of the rests is left out because caches
//!   fill: the newest entries alone take 16,384 changes, twenty minutes of this work. What an allocator keeps
//!   for a while comes and goes by tens of megabytes, a leak stays: so the lowest of the last third is held
//!   against the lowest of the first third. It may stand higher by [`MEMORY_MORE`] and [`MEMORY_A_DOCUMENT`]
//!   for each document that came in between. With fewer than [`SAMPLES_MIN`] rests there are no thirds: then
//!   the last may stand [`MEMORY_SHORT`] above the first.
//! - **Handles.** In every rest the relay has at most [`HANDLES_MORE`] more than in the first, where nobody
//!   had worked yet: the read model's connections are opened when they are first needed, three files each.
//!   The devices' process, with all devices closed, keeps to the same.
//! - **Disk.** After the last compaction the log's folder takes at most [`DISK_TIMES`] times the records that
//!   its store holds, and [`DISK_MORE`]: what was written and is not needed any more is given back.
//! - **The rest** is a matter of yes or no and stands where it is seen: nothing acknowledged is missing
//!   ([`super::books`]), the relay comes back no further back than it told a device, every device agrees with
//!   it, nothing of an honest device is held, `gendan check` finds no fault, the relay's log no warning.

use super::figures::{Sample, mb};

/// Bytes that memory may rise by, whatever came in.
pub const MEMORY_MORE: f64 = 8e6;
/// Bytes for each document that came in: the relay keeps none in memory but its index entry.
pub const MEMORY_A_DOCUMENT: f64 = 4e3;
/// Rests that make thirds.
pub const SAMPLES_MIN: usize = 6;
/// Bytes between the first and the last rest where there are no thirds.
pub const MEMORY_SHORT: f64 = 64e6;
/// Handles more than at first: four connections of the read model with three files each, and a few.
pub const HANDLES_MORE: u32 = 16;
/// How many times its records the log may take on disk; sled was seen to take five to seven
/// and a half times.
pub const DISK_TIMES: u64 = 8;
/// Bytes that the log may take beside that: a young store is small beside its segments.
pub const DISK_MORE: u64 = 16_000_000;

/// The samples of the last process.
fn steady(samples: &[Sample]) -> Vec<Sample> {
    let last = samples.last().map_or(0, |s| s.restarts);
    samples.iter().filter(|s| s.restarts == last).copied().collect()
}

/// The sample with the least memory.
fn lowest(samples: &[Sample]) -> Option<Sample> {
    samples.iter().min_by_key(|s| s.resident).copied()
}

/// What memory did under the last process, in words; an error where it rose too much.
#[allow(clippy::cast_precision_loss, reason = "for people")]
pub fn memory(samples: &[Sample]) -> Result<String, String> {
    let steady = steady(samples);
    let warm = &steady[steady.len() / 2..];
    let third = warm.len() / 3;
    let ends = if warm.len() < SAMPLES_MIN {
        (warm.first().copied(), warm.last().copied())
    } else {
        (lowest(&warm[..third]), lowest(&warm[warm.len() - third..]))
    };
    let (Some(first), Some(last)) = ends else { return Ok("memory: nothing to judge".into()) };
    let came = last.documents.saturating_sub(first.documents);
    let allowed =
        if warm.len() < SAMPLES_MIN { MEMORY_SHORT } else { MEMORY_MORE + MEMORY_A_DOCUMENT * came as f64 };
    let (rose, span) = (last.resident as f64 - first.resident as f64, (last.at_s - first.at_s).max(1.0));
    let said = format!(
        "memory: {:+.1} MB ({:+.1} MB an hour) over {span:.0} s and {came} documents, {} rests; {:.1} MB allowed",
        rose / 1e6,
        rose / span * 3_600.0 / 1e6,
        warm.len(),
        allowed / 1e6
    );
    if rose > allowed { Err(said) } else { Ok(said) }
}

/// Whether handles were given back.
pub fn handles(samples: &[Sample]) -> Result<String, String> {
    let Some(first) = samples.first() else { return Ok("nothing to judge".into()) };
    let most = samples.iter().map(|s| s.handles).max().unwrap_or(0);
    let devices = samples.iter().map(|s| s.devices).max().unwrap_or(0);
    let said = format!(
        "handles at rest: relay {} at first, {most} at most; devices {} at first, {devices} at most; {HANDLES_MORE} more allowed",
        first.handles, first.devices
    );
    let kept = most <= first.handles + HANDLES_MORE && devices <= first.devices + HANDLES_MORE;
    if kept { Ok(said) } else { Err(said) }
}

/// Whether the log is bounded by the records in it; `live` are the documents as Automerge saves them.
pub fn disk(store: u64, records: u64, live: u64) -> Result<String, String> {
    let allowed = records * DISK_TIMES + DISK_MORE;
    let said = format!(
        "disk: the log takes {:.1} MB for {:.1} MB of records ({:.1} MB of documents); {:.1} MB allowed",
        mb(store),
        mb(records),
        mb(live),
        mb(allowed)
    );
    if store > allowed { Err(said) } else { Ok(said) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(resident: impl Fn(u32) -> u64, handles: impl Fn(u32) -> u32) -> Vec<Sample> {
        let sample = |slice: u32| Sample {
            slice,
            at_s: f64::from(slice) * 60.0,
            documents: u64::from(slice) * 20,
            resident: resident(slice),
            handles: handles(slice),
            devices: 20,
            ..Sample::default()
        };
        (0..24).map(sample).collect()
    }

    #[test]
    fn a_leak_is_told_from_caches_that_fill_and_from_what_comes_and_goes() {
        let fills = samples(|n| 40_000_000 + 30_000_000_u64.min(u64::from(n) * 10_000_000), |_| 20);
        assert!(memory(&fills).is_ok());
        let comes_and_goes = samples(|n| 40_000_000 + u64::from(n * 7 % 5) * 15_000_000, |_| 20);
        assert!(memory(&comes_and_goes).is_ok());
        let leak = samples(|n| 40_000_000 + u64::from(n) * 1_000_000 + u64::from(n % 3) * 9_000_000, |_| 20);
        let said = memory(&leak).expect_err("9 MB in 9 minutes, and 180 documents");
        assert!(said.contains("+9.0 MB (+60.0 MB an hour)") && said.contains("8.7 MB allowed"), "{said}");
    }

    #[test]
    fn a_relay_that_was_measured_is_flat() {
        let measured = [165, 182, 155, 169, 172, 173, 166, 158, 159, 165, 173];
        let all = samples(|n| measured[n as usize % measured.len()] * 1_000_000, |_| 20);
        let said = memory(&all[..measured.len()]).expect("as measured over 11 minutes");
        assert!(said.contains("-1.0 MB"), "{said}");
    }

    #[test]
    fn only_the_last_process_is_judged_and_a_short_run_by_its_ends() {
        let mut all = samples(|n| 40_000_000 + u64::from(n) * 5_000_000, |_| 20);
        for sample in all.iter_mut().rev().take(3) {
            sample.restarts = 1;
        }
        assert!(memory(&all).is_ok(), "three samples rise by 10 MB");
    }

    #[test]
    fn handles_that_are_not_given_back_are_told() {
        assert!(handles(&samples(|_| 0, |n| 20 + n % 16)).is_ok());
        assert!(handles(&samples(|_| 0, |n| 20 + n)).is_err());
    }

    #[test]
    fn a_log_may_take_a_bounded_multiple_of_its_records() {
        assert!(disk(DISK_MORE + 10 * DISK_TIMES, 10, 1).is_ok());
        assert!(disk(DISK_MORE + 10 * DISK_TIMES + 1, 10, 1).is_err());
    }
}
