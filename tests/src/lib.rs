//! End-to-end tests of gendan: the simulation, the scenarios, the demo, the bindings.

pub mod simulation;
