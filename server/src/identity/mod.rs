//! Who is at the door: the company's keys, enrolment codes, tokens and passwords.
//!
//! A device has no stored secret but its key: it signs a challenge and gets a short-lived token. An
//! office user has a password and acts through a custodial device whose key stands in the key ring.

pub mod codes;
pub mod keys;
pub mod passwords;
pub mod tokens;
