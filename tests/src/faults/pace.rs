//! How fast devices may work: as they can before a kill, a few lines only while what it left is looked at.
//!
//! Looking at a store takes longer the more stands in it. If devices went on at full pace meanwhile, each
//! round would leave more to look at than the one before, and rounds would take minutes. So the work of a
//! round is bounded, not what is looked at. The kill itself always comes at full pace.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Lines that a device says while the pace is slow: enough that some are said to a relay that is away.
const SLOW_LINES: u32 = 6;

/// The pace of all devices; it begins at full.
#[derive(Debug, Default)]
pub struct Pace {
    state: Mutex<State>,
    turned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    slow: bool,
    /// How often it became slow.
    round: u64,
}

/// What one device has said of its lines in a slow round.
#[derive(Debug, Default)]
pub struct Spent {
    round: u64,
    lines: u32,
}

impl Pace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Everyone works as fast as they can.
    pub fn full(&self) {
        self.state().slow = false;
        self.turned.notify_all();
    }
    /// From now on everyone says a few lines and waits.
    pub fn slow(&self) {
        let mut state = self.state();
        state.slow = true;
        state.round += 1;
    }
    /// Before a line: waits until it may be said.
    pub fn line(&self, spent: &mut Spent) {
        let mut state = self.state();
        while state.slow {
            if spent.round != state.round {
                *spent = Spent { round: state.round, lines: 0 };
            }
            if spent.lines < SLOW_LINES {
                spent.lines += 1;
                return;
            }
            state = self.turned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_round_allows_a_few_lines_and_the_next_one_as_many_again() {
        let (pace, mut spent) = (Pace::default(), Spent::default());
        pace.line(&mut spent);
        assert_eq!(spent.lines, 0, "at full pace nothing is counted");
        for _round in 0..2 {
            pace.slow();
            for _line in 0..SLOW_LINES {
                pace.line(&mut spent);
            }
            assert_eq!(spent.lines, SLOW_LINES);
        }
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pace.line(&mut spent));
            pace.full();
            waiting.join().expect("it goes on at full pace");
        });
    }
}
