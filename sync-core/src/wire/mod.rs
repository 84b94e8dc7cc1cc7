//! The wire: what device and relay say to each other, and the bytes that carry it.
//!
//! In: [`Frame`]s, out: binary messages, and back. [`Encoder`] and [`Decoder`] are the two
//! ends of one direction of one connection. Invariants: a bound is checked before memory is taken for
//! what it bounds; a message that was altered, lost or repeated on the way is noticed, and its
//! connection ends; foreign bytes yield an error, never a panic. Not here: sockets, who says what when
//! ([`crate::device`]), and whether a change may enter ([`crate::admission`]).

mod bounded;
mod context;
pub mod codec;
pub mod digest;
pub mod frames;

pub use codec::{Arrived, Decoder, Encoder};
pub use digest::ScopeDigest;
pub use frames::Frame;

use crate::limits;

/// The oldest protocol version that this build speaks.
pub const VERSION_MIN: u16 = 1;
/// The newest protocol version that this build speaks.
pub const VERSION_MAX: u16 = 1;

/// The newest version that both speak, if there is one. Each range is (oldest, newest), both included.
pub fn negotiate(ours: (u16, u16), theirs: (u16, u16)) -> Option<u16> {
    let newest = ours.1.min(theirs.1);
    (newest >= ours.0 && newest >= theirs.0).then_some(newest)
}

/// Why a frame did not become a message, or a message a frame; by who can act on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The sender's caller: the frame breaks a bound and must be split. Nothing was written; the
    /// encoder goes on.
    #[error("the frame is too large to send: {0}")]
    TooLarge(String),
    /// Nobody need act: a kind of frame from a newer peer. The reader skips it; the decoder goes on.
    #[error("a frame of the unknown kind {0}")]
    UnknownFrame(i64),
    /// The reader's app must be updated: a known frame holds a variant that this build does not know.
    #[error("the frame holds what only a newer build can read: {0}")]
    Newer(String),
    /// The reader's app must be updated, or the peer is none of ours: an unknown message layout.
    #[error("a message of the unknown layout {0}")]
    Layout(u8),
    /// The peer broke the rules: a message longer than the bound, as sent or once inflated.
    #[error("the message is longer than {} bytes", limits::FRAME_BYTES_MAX)]
    Oversized,
    /// The peer broke the rules: not CBOR, or not a frame.
    #[error("the frame cannot be read: {0}")]
    Malformed(String),
    /// The connection must be made again: a message was altered, cut, lost or repeated on the way.
    #[error("the stream of messages is damaged")]
    Damaged,
    /// The connection should have been closed after an earlier error.
    #[error("the stream has ended with an earlier error")]
    Ended,
}

impl WireError {
    /// The stable code, for [`Frame::Failure`] and for logs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "frame_too_large",
            Self::UnknownFrame(_) => "frame_unknown",
            Self::Newer(_) => "frame_newer",
            Self::Layout(_) => "layout_unknown",
            Self::Oversized => "message_oversized",
            Self::Malformed(_) => "frame_malformed",
            Self::Damaged => "stream_damaged",
            Self::Ended => "stream_ended",
        }
    }

    /// Whether the connection can go on as if nothing had happened.
    pub const fn goes_on(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::UnknownFrame(_))
    }
}

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod tests;
