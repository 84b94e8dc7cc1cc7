//! The rules: what a relay that runs for ever may not do.
//!
//! - **Memory.** Over the second half, which one process serves, the resident memory at rest is fitted by a
//!   line (the median of the slopes between all pairs of samples, so that one sample weighs nothing), the
//!   first quarter of them left out because caches fill. What the line rises by may be at most
//!   [`MEMORY_MORE`] and [`MEMORY_A_DOCUMENT`] for each document that came in meanwhile. With fewer than
//!   [`SAMPLES_MIN`] samples there is no line: then the last may stand [`MEMORY_SHORT`] above the first.
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
pub const MEMORY_MORE: f64 = 12e6;
/// Bytes for each document that came in: the relay keeps none in memory but its index entry.
pub const MEMORY_A_DOCUMENT: f64 = 4e3;
/// Samples that make a line.
pub const SAMPLES_MIN: usize = 6;
/// Bytes between the first and the last sample where there is no line.
pub const MEMORY_SHORT: f64 = 64e6;
/// Handles more than at first: four connections of the read model with three files each, and a few.
pub const HANDLES_MORE: u32 = 16;
/// How many times its records the log may take on disk; sled takes about five times, at any size seen so far.
pub const DISK_TIMES: u64 = 8;
/// Bytes that the log may take beside that: a young store is small beside its segments.
pub const DISK_MORE: u64 = 16_000_000;

/// The median of the slopes between all pairs, in units of y by units of x; 0 of fewer than two points.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::new();
    for (at, a) in points.iter().enumerate() {
        slopes.extend(points[at + 1..].iter().filter(|b| b.0 > a.0).map(|b| (b.1 - a.1) / (b.0 - a.0)));
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or(0.0)
}

/// The samples of the last process.
fn steady(samples: &[Sample]) -> Vec<Sample> {
    let last = samples.last().map_or(0, |s| s.restarts);
    samples.iter().filter(|s| s.restarts == last).copied().collect()
}

/// What memory did over the second half, in words; an error where it rose too much.
#[allow(clippy::cast_precision_loss, reason = "for people")]
pub fn memory(samples: &[Sample]) -> Result<String, String> {
    let steady = steady(samples);
    let warm = &steady[steady.len() / 4..];
    let (Some(first), Some(last)) = (warm.first(), warm.last()) else { return Ok("nothing to judge".into()) };
    let came = last.documents.saturating_sub(first.documents);
    let (rose, allowed) = if warm.len() < SAMPLES_MIN {
        (last.resident as f64 - first.resident as f64, MEMORY_SHORT)
    } else {
        let points: Vec<(f64, f64)> = warm.iter().map(|s| (s.at_s, s.resident as f64)).collect();
        (slope(&points) * (last.at_s - first.at_s), MEMORY_MORE + MEMORY_A_DOCUMENT * came as f64)
    };
    let said = format!(
        "memory: {:+.1} MB over {:.0} s and {came} documents, {} samples; {:.1} MB allowed",
        rose / 1e6,
        last.at_s - first.at_s,
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
    fn a_leak_is_told_from_caches_that_fill_and_from_one_high_sample() {
        let fills = samples(|n| 40_000_000 + 30_000_000_u64.min(u64::from(n) * 10_000_000), |_| 20);
        assert!(memory(&fills).is_ok());
        let spike = samples(|n| if n == 23 { 400_000_000 } else { 40_000_000 }, |_| 20);
        assert!(memory(&spike).is_ok());
        let leak = samples(|n| 40_000_000 + u64::from(n) * 1_000_000, |_| 20);
        let said = memory(&leak).expect_err("17 MB and 340 documents");
        assert!(said.contains("+17.0 MB") && said.contains("13.4 MB allowed"), "{said}");
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
        assert!(disk(DISK_MORE + 40, 10, 1).is_ok());
        assert!(disk(DISK_MORE + 41, 10, 1).is_err());
    }
}
