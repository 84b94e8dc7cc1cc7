//! The simulation: a relay and a handful of devices in one process, from one seed.
//!
//! Real devices, the real relay and the real codec, over a network that loses, repeats, cuts and delays
//! as chance has it. Clock and randomness come from the seed; a failing seed replays.

pub mod checkers;
pub mod net;
pub mod random;
pub mod world;
