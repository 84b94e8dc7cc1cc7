//! End-to-end tests of gendan: the simulation, the kills, the soak, the decoders under fire, the benches, the
//! scenarios, the demo, the bindings.

pub mod simulation;
pub mod scenario;
pub mod receiver;
pub mod faults;
pub mod bench;
pub mod soak;
pub mod fuzz;
