//! The functions that are fuzzed: the same files as the tests have, compiled for libFuzzer.

#[path = "../../tests/src/fuzz/company.rs"]
pub mod company;
#[path = "../../tests/src/fuzz/pure.rs"]
pub mod pure;
#[cfg(feature = "outer")]
#[path = "../../tests/src/fuzz/outer.rs"]
pub mod outer;
