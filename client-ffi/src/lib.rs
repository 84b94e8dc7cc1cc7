//! The device as an app holds it: one object with typed calls, plain records and a session.
//!
//! In: what a person does, in words and names as text. Out: records for a screen, and errors with words
//! in both languages. Each method converts and calls `sync-core`; nothing is decided here. What enters
//! here and nowhere else: clocks, randomness ([`clock`]) and the network ([`transport`]; with the feature
//! `shell` one of our own, otherwise the platform's through the foreign trait).
//!
//! The order of the `mod` lines is the layer order: a module names only modules above it.
#![allow(unsafe_code)] // The scaffolding that UniFFI's macros generate; no `unsafe` is written by hand.

pub mod clock;
pub mod error;
pub mod wishes;
pub mod views;
pub mod transport;
pub mod session;
pub mod enrolment;
#[cfg(feature = "shell")]
pub mod shell;
pub mod client;
pub mod salvage;

pub use client::FieldClient;
pub use error::FieldError;

uniffi::setup_scaffolding!("gendan");
