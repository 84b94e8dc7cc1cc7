//! The relay of gendan (跟单): what the office and the devices talk to.

pub mod sheet;
