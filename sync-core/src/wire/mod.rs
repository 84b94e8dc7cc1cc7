//! The wire: frames, their bytes, versions and digests.

mod bounded;
pub mod frames;
