//! The simulation: a relay and some dozens of devices in one process, from one seed.
//!
//! Real devices, the real relay and the real codec, over a network that breaks, repeats and delays as
//! chance has it. Clock and randomness come from the seed; a failing seed replays. `world` and `net` are
//! the company and its connections, `faults`, `work` and `papers` what happens in it under `policies`, `random`
//! one run, `story`, `reading` and `model` the reference that `checkers` hold it against.

pub mod batch;
pub mod checkers;
pub mod faults;
pub mod model;
pub mod net;
pub mod papers;
pub mod policies;
pub mod random;
pub mod reading;
pub mod story;
pub mod work;
pub mod world;
