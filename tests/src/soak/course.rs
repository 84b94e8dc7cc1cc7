//! What the threads wait for: a phase that one conductor sets and all hands follow.
//!
//! Every hand works until the phase turns, does what the new phase asks for once, and parks; the conductor
//! goes on when all have parked. A wait is always ended by the next turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::ensure;

/// What everybody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Works, again and again.
    Work,
    /// Disconnects and closes its device.
    Rest,
    /// Sends all that is unsent.
    Settle,
    /// Takes all that is new and asks whether the relay agrees.
    Compare,
    /// Is gone.
    End,
}

/// No hand takes longer to follow, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// The phase, and who has followed it.
pub struct Course {
    state: Mutex<State>,
    turned: Condvar,
    hands: usize,
    steady: AtomicBool,
}

struct State {
    phase: Phase,
    turn: u64,
    parked: usize,
}

/// Which turn a hand has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen(u64);

impl Course {
    /// For so many hands, which rest.
    pub fn new(hands: usize) -> Self {
        let state = Mutex::new(State { phase: Phase::Rest, turn: 1, parked: 0 });
        Self { state, turned: Condvar::new(), hands, steady: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the relay is not restarted: a hand that cannot reach it says so.
    pub fn set_steady(&self, steady: bool) {
        self.steady.store(steady, Ordering::Release);
    }
    /// Whether the relay stays up.
    pub fn is_steady(&self) -> bool {
        self.steady.load(Ordering::Acquire)
    }

    /// Turns to a phase.
    pub fn turn(&self, phase: Phase) {
        let mut state = self.state();
        (state.phase, state.parked) = (phase, 0);
        state.turn += 1;
        self.turned.notify_all();
    }

    /// Turns to a phase and waits until all hands have followed.
    ///
    /// # Errors
    /// Where one does not.
    pub fn followed(&self, phase: Phase) -> anyhow::Result<()> {
        self.turn(phase);
        let state = self.state();
        let waiting = |state: &mut State| state.parked < self.hands;
        let (state, _) =
            self.turned.wait_timeout_while(state, PATIENCE, waiting).unwrap_or_else(PoisonError::into_inner);
        let missing = self.hands - state.parked;
        ensure!(missing == 0, "{missing} of {} do not follow to {phase:?}", self.hands);
        Ok(())
    }

    /// The phase now.
    pub fn look(&self, seen: &mut Seen) -> Phase {
        let state = self.state();
        seen.0 = state.turn;
        state.phase
    }

    /// Waits so long, or until the phase turns; whether it has turned.
    pub fn pause(&self, seen: Seen, pause: Duration) -> bool {
        let waiting = |state: &mut State| state.turn == seen.0;
        let (state, _) = self
            .turned
            .wait_timeout_while(self.state(), pause, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        state.turn != seen.0
    }

    /// Has followed, and waits for the next turn.
    pub fn park(&self, seen: Seen) {
        let mut state = self.state();
        if state.turn == seen.0 {
            state.parked += 1;
            self.turned.notify_all();
        }
        while state.turn == seen.0 {
            state = self.turned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hands_follow_every_phase_once_and_a_pause_ends_with_the_turn() {
        let course = Course::new(3);
        let followed = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _hand in 0..3 {
                scope.spawn(|| {
                    let mut seen = Seen::default();
                    loop {
                        match course.look(&mut seen) {
                            Phase::End => return,
                            Phase::Work => assert!(course.pause(seen, PATIENCE), "the turn ends it"),
                            phase => {
                                followed.lock().expect("no hand panics").push(phase);
                                course.park(seen);
                            }
                        }
                    }
                });
            }
            for phase in [Phase::Rest, Phase::Settle, Phase::Compare] {
                course.turn(Phase::Work);
                course.followed(phase).expect("all follow");
            }
            course.turn(Phase::End);
        });
        let followed = followed.into_inner().expect("no hand panics");
        assert_eq!(followed.iter().filter(|p| **p == Phase::Settle).count(), 3);
        assert_eq!(followed.iter().filter(|p| **p == Phase::Compare).count(), 3);
    }
}
