//! The relay of gendan (跟单): admits what devices push, keeps it, and gives everyone what is theirs.
//!
//! The order of the `mod` lines is the layer order: a module names only modules above it.

pub mod clock;
pub mod config;
pub mod sheet;
pub mod log;
pub mod blob;
pub mod identity;
pub mod relay;
pub mod trial;
pub mod evidence;
pub mod projection;
pub mod outward;
pub mod report;
pub mod backup;
pub mod faulty;
pub mod problem;
pub mod api;
pub mod listen;
pub mod control;
pub mod cli;
