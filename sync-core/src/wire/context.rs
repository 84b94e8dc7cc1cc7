//! A direction's context: one deflate stream (RFC 1951) that continues from message to message.
//!
//! In: the CBOR of a frame, out: its deflated bytes, and back. Each ends with a sync flush whose last four
//! bytes `00 00 FF FF` are left out, as in RFC 7692 §7.2.1. A context is large (some 400 KB to deflate,
//! 50 KB to inflate, whatever it has seen), so [`super::codec`] makes it at the first message that wants
//! it and drops it at a rest. Invariant: inflating takes no memory beyond the bound of a frame and one
//! byte. Not here: when to deflate, and the check.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::WireError;
use crate::limits::FRAME_BYTES_MAX;

/// The end of every sync flush: an empty stored block.
const FLUSH_END: [u8; 4] = [0, 0, 0xff, 0xff];
/// What the first step of inflating takes; it doubles from there up to the bound.
const INFLATE_STEP_BYTES: usize = 16 * 1024;

/// How hard the sender tries: 1 to 2 % fewer bytes than by default, for a few microseconds a frame.
const LEVEL: Compression = Compression::new(7);

/// The sender's context.
#[derive(Debug)]
pub struct Deflater(Compress);

impl Deflater {
    /// That has seen nothing.
    pub fn new() -> Self {
        Self(Compress::new(LEVEL, false))
    }

    /// Deflates all of `cbor` behind `message`, without the flush's end; false where the deflater fails.
    pub fn deflate(&mut self, cbor: &[u8], message: &mut Vec<u8>) -> bool {
        let mut rest = cbor;
        loop {
            // More room than a flush marker takes, so that a full buffer does not get a second marker.
            message.reserve(rest.len() / 2 + 64);
            let before = self.0.total_in();
            let Ok(Status::Ok | Status::BufError) = self.0.compress_vec(rest, message, FlushCompress::Sync)
            else {
                return false;
            };
            let taken = usize::try_from(self.0.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            if rest.is_empty() && message.len() < message.capacity() {
                break;
            }
        }
        let ends = message.ends_with(&FLUSH_END);
        message.truncate(message.len().saturating_sub(FLUSH_END.len()));
        ends
    }
}

/// The receiver's context.
#[derive(Debug)]
pub struct Inflater(Decompress);

impl Inflater {
    /// That has seen nothing.
    pub fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// The CBOR of one message's deflated bytes.
    pub fn inflate(&mut self, deflated: &[u8]) -> Result<Vec<u8>, WireError> {
        let mut cbor = Vec::new();
        self.step(deflated, &mut cbor)?;
        self.step(&FLUSH_END, &mut cbor)?;
        Ok(cbor)
    }

    /// Bytes inflated since the context was made.
    #[cfg(test)]
    pub fn total_out(&self) -> u64 {
        self.0.total_out()
    }

    /// Inflates all of `input` behind `cbor`, which never grows beyond the bound and one byte.
    fn step(&mut self, input: &[u8], cbor: &mut Vec<u8>) -> Result<(), WireError> {
        let mut rest = input;
        loop {
            if cbor.len() == cbor.capacity() {
                let step = cbor.len().max(INFLATE_STEP_BYTES).min(FRAME_BYTES_MAX + 1 - cbor.len());
                cbor.reserve_exact(step);
            }
            let before = (self.0.total_in(), cbor.len());
            let status = self.0.decompress_vec(rest, cbor, FlushDecompress::Sync);
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                return Err(WireError::Damaged);
            }
            if cbor.len() > FRAME_BYTES_MAX {
                return Err(WireError::Oversized);
            }
            let taken = usize::try_from(self.0.total_in() - before.0).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            if cbor.len() == cbor.capacity() {
                continue;
            }
            if rest.is_empty() {
                return Ok(());
            }
            if taken == 0 && cbor.len() == before.1 {
                return Err(WireError::Damaged);
            }
        }
    }
}
