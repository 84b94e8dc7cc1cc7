//! Real processes that die by `kill -9` under load.
//!
//! In: how many kills and a seed. Out: what was acknowledged and is gone (lost), and what is there in
//! part (torn); both must be nothing. [`process`] runs the programs, [`ledger`] remembers what they
//! acknowledged, [`phone`] is a device under load, [`pace`] bounds a round's work, `told` is a webhook's
//! receiver, [`kills`] picks the victims and compares.
//!
//! Deliberately not here: damaged files and full disks (tests of their own), and what a device says
//! while nobody kills it (the simulation).

pub mod process;
pub mod ledger;
pub mod pace;
pub mod phone;
mod told;
pub mod kills;
