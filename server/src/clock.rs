//! The one place where the relay reads a clock and draws randomness.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rand::{Rng as _, RngExt as _};
use sync_core::time::{Now, UnixMs, at_offset};

/// The relay's clock: the system's, or one moved by a test.
#[derive(Clone)]
pub struct Clock {
    started: Instant,
    boot: u64,
    /// A file that holds by how many milliseconds the clock is moved; for demonstrations and tests.
    moved_by: Option<Arc<PathBuf>>,
}

impl Clock {
    /// The system's clock; moved by what `moved_by` holds, where it is given.
    #[allow(clippy::disallowed_methods, reason = "the edge: time enters here and nowhere else")]
    pub fn system(moved_by: Option<PathBuf>) -> Self {
        Self { started: Instant::now(), boot: rand::rng().random(), moved_by: moved_by.map(Arc::new) }
    }

    /// Now. A moved clock's file is read anew each time; what cannot be read moves nothing.
    #[allow(clippy::disallowed_methods, reason = "the edge: time enters here and nowhere else")]
    pub fn now(&self) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let moved = self.moved_by.as_ref().and_then(|p| std::fs::read_to_string(p.as_path()).ok());
        let moved: i64 = moved.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let wall = i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(moved);
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let elapsed_ms = u64::try_from(elapsed.saturating_add(moved.max(0))).unwrap_or(0);
        Now { wall: at_offset(wall, 0), elapsed_ms, boot: self.boot }
    }

    /// Now, in Unix milliseconds.
    pub fn unix_ms(&self) -> UnixMs {
        self.now().unix_ms()
    }
}

/// Fills a buffer with the system's randomness.
pub fn chance(buffer: &mut [u8]) {
    rand::rng().fill_bytes(buffer);
}

/// Fresh random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    chance(&mut bytes);
    bytes
}
