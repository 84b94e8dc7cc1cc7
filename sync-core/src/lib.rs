//! The shared core of gendan (跟单): orders and after-sales tickets that are worked offline and merged.
//!
//! One way through: *command → fields and facts → one change → session ⇒ wire ⇒ relay session →
//! admission → log → fan-out ⇒ session → document → fold → view*. This crate is pure: it opens no
//! socket, reads no clock and draws no randomness of its own; both are parameters.
//!
//! The order of the `mod` lines is the layer order: a module names only modules above it.

pub mod limits;
pub mod ids;
pub mod money;
pub mod time;
pub mod refusal;
pub mod policy;
pub mod fact;
pub mod domain;
pub mod document;
pub mod directory;
pub mod fold;
pub mod findings;
pub mod notice;
pub mod draft;
pub mod authority;
pub mod admission;
pub mod command;
pub mod wire;
pub mod store;
pub mod view;
pub mod device;
