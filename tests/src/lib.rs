//! End-to-end tests of gendan: the simulation, the kills, the benches, the scenarios, the demo, the bindings.

pub mod simulation;
pub mod faults;
pub mod bench;
pub mod fuzz;
