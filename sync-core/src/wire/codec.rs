//! Frames to binary messages and back: CBOR, deflated as one continuing stream per direction.
//!
//! A message is `layout (1 byte, 1) ‖ check (4 bytes, big-endian) ‖ deflate (RFC 1951)`. Each frame ends
//! with a sync flush whose last four bytes `00 00 FF FF` are left out, as in RFC 7692 §7.2.1; later
//! frames use the context of earlier ones. The check is the CRC-32 (as in RFC 1952 §8) over the CBOR of
//! *all* frames of this direction so far, so a message that was altered, lost or repeated is noticed.
//! It guards against accidents; against people there is TLS.
//!
//! Bounds, each checked before memory is taken: the message, what it inflates to, the number and depth
//! of CBOR items, and then each list and text (`bounded`). CBOR here (RFC 8949) has definite
//! lengths and no tags. One encoder and one decoder live as long as their connection.

use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};
use minicbor::data::Type;

use super::{Frame, WireError};
use crate::limits::{FRAME_BYTES_MAX, FRAME_BYTES_SENT_MAX, FRAME_DEPTH_MAX, FRAME_ITEMS_MAX};

/// The layout of messages that this build writes and reads.
pub const LAYOUT: u8 = 1;

const CHECK_AT: usize = 1;
const BODY_AT: usize = 5;
/// The end of every sync flush: an empty stored block.
const FLUSH_END: [u8; 4] = [0, 0, 0xff, 0xff];
/// What the first step of inflating takes; it doubles from there up to the bound.
const INFLATE_STEP_BYTES: usize = 16 * 1024;

/// The sending end of one direction of a connection.
#[derive(Debug)]
pub struct Encoder {
    deflate: Compress,
    check: Crc,
    ended: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// At the start of a connection.
    pub fn new() -> Self {
        Self { deflate: Compress::new(Compression::default(), false), check: Crc::new(), ended: false }
    }

    /// The next message; messages must be sent in this order, all of them.
    ///
    /// [`WireError::TooLarge`] leaves the stream as it was: split the frame and go on.
    pub fn encode(&mut self, frame: &Frame) -> Result<Vec<u8>, WireError> {
        if self.ended {
            return Err(WireError::Ended);
        }
        let cbor = frame.to_cbor()?;
        self.check.update(&cbor);
        let mut message = Vec::with_capacity(BODY_AT + cbor.len() / 2 + 64);
        message.push(LAYOUT);
        message.extend(self.check.sum().to_be_bytes());
        let flushed = deflate(&mut self.deflate, &cbor, &mut message);
        if !flushed || message.len() > FRAME_BYTES_MAX {
            self.ended = true;
            return Err(WireError::Ended);
        }
        Ok(message)
    }
}

/// Deflates all of `cbor` behind `message`, without the flush's end; false where the deflater fails.
fn deflate(deflate: &mut Compress, cbor: &[u8], message: &mut Vec<u8>) -> bool {
    let mut rest = cbor;
    loop {
        // More room than a flush marker takes, so that a full buffer does not get a second marker.
        message.reserve(rest.len() / 2 + 64);
        let before = deflate.total_in();
        let Ok(Status::Ok | Status::BufError) = deflate.compress_vec(rest, message, FlushCompress::Sync)
        else {
            return false;
        };
        let taken = usize::try_from(deflate.total_in() - before).unwrap_or(usize::MAX);
        rest = rest.get(taken..).unwrap_or_default();
        if rest.is_empty() && message.len() < message.capacity() {
            break;
        }
    }
    let ends = message.ends_with(&FLUSH_END);
    message.truncate(message.len().saturating_sub(FLUSH_END.len()));
    ends
}

/// The receiving end of one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    inflate: Decompress,
    check: Crc,
    ended: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// At the start of a connection.
    pub fn new() -> Self {
        Self { inflate: Decompress::new(false), check: Crc::new(), ended: false }
    }

    /// The frame of the next message; messages must be given in the order of sending, all of them.
    ///
    /// After [`WireError::UnknownFrame`] the stream goes on; after any other error it has ended.
    pub fn decode(&mut self, message: &[u8]) -> Result<Frame, WireError> {
        if self.ended {
            return Err(WireError::Ended);
        }
        let frame = self.next(message);
        self.ended = frame.as_ref().is_err_and(|error| !error.goes_on());
        frame
    }

    fn next(&mut self, message: &[u8]) -> Result<Frame, WireError> {
        if message.len() > FRAME_BYTES_MAX {
            return Err(WireError::Oversized);
        }
        match message.first() {
            Some(&LAYOUT) => {}
            Some(&other) => return Err(WireError::Layout(other)),
            None => return Err(WireError::Damaged),
        }
        let (check, body) = match (message.get(CHECK_AT..BODY_AT), message.get(BODY_AT..)) {
            (Some(check), Some(body)) => (check, body),
            _ => return Err(WireError::Damaged),
        };
        let mut cbor = Vec::new();
        self.inflate(body, &mut cbor)?;
        self.inflate(&FLUSH_END, &mut cbor)?;
        self.check.update(&cbor);
        if self.check.sum().to_be_bytes() != check {
            return Err(WireError::Damaged);
        }
        Frame::from_cbor(&cbor)
    }

    /// Inflates all of `input` behind `cbor`, which never grows beyond the bound and one byte.
    fn inflate(&mut self, input: &[u8], cbor: &mut Vec<u8>) -> Result<(), WireError> {
        let mut rest = input;
        loop {
            if cbor.len() == cbor.capacity() {
                let step = cbor.len().max(INFLATE_STEP_BYTES).min(FRAME_BYTES_MAX + 1 - cbor.len());
                cbor.reserve_exact(step);
            }
            let before = (self.inflate.total_in(), cbor.len());
            let status = self.inflate.decompress_vec(rest, cbor, FlushDecompress::Sync);
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                return Err(WireError::Damaged);
            }
            if cbor.len() > FRAME_BYTES_MAX {
                return Err(WireError::Oversized);
            }
            let taken = usize::try_from(self.inflate.total_in() - before.0).unwrap_or(usize::MAX);
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

/// A buffer that stops at the sender's bound.
struct Outgoing(Vec<u8>);

#[derive(Debug, thiserror::Error)]
#[error("more than {FRAME_BYTES_SENT_MAX} bytes")]
struct Full;

impl minicbor::encode::Write for Outgoing {
    type Error = Full;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > FRAME_BYTES_SENT_MAX.saturating_sub(self.0.len()) {
            return Err(Full);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

impl Frame {
    /// The frame as CBOR, within every bound that a reader checks; else [`WireError::TooLarge`].
    pub fn to_cbor(&self) -> Result<Vec<u8>, WireError> {
        let mut outgoing = Outgoing(Vec::new());
        minicbor::encode(self, &mut outgoing).map_err(|error| WireError::TooLarge(error.to_string()))?;
        walk(&outgoing.0).map_err(|why| WireError::TooLarge(why.to_owned()))?;
        Ok(outgoing.0)
    }

    /// The frame of these bytes, which may be anyone's; nothing may follow it.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(WireError::Oversized);
        }
        walk(bytes).map_err(|why| WireError::Malformed(why.to_owned()))?;
        let malformed = |error: minicbor::decode::Error| WireError::Malformed(error.to_string());
        let mut header = minicbor::Decoder::new(bytes);
        if header.array().map_err(malformed)? != Some(2) {
            return Err(WireError::Malformed("a frame is an array of two".to_owned()));
        }
        let kind = header.i64().map_err(malformed)?;
        if !(0..Self::KINDS).contains(&kind) {
            return Err(WireError::UnknownFrame(kind));
        }
        minicbor::decode(bytes).map_err(|error: minicbor::decode::Error| match error.is_unknown_variant() {
            true => WireError::Newer(error.to_string()),
            false => malformed(error),
        })
    }
}

/// Walks over one CBOR value without building anything: it is whole, nothing follows it, and neither
/// its items nor its depth break the bounds.
fn walk(bytes: &[u8]) -> Result<(), &'static str> {
    const CUT: &str = "the CBOR is cut off or not valid";
    let mut decoder = minicbor::Decoder::new(bytes);
    let mut open: Vec<u64> = vec![1];
    let mut items = 0u64;
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        let inside = match decoder.datatype().map_err(|_| CUT)? {
            Type::Array => decoder.array().map_err(|_| CUT)?,
            Type::Map => decoder.map().map_err(|_| CUT)?.and_then(|pairs| pairs.checked_mul(2)),
            Type::ArrayIndef | Type::MapIndef | Type::BytesIndef | Type::StringIndef => {
                return Err("an indefinite length");
            }
            Type::Tag => return Err("a tag"),
            Type::Break | Type::Unknown(_) => return Err(CUT),
            _ => {
                decoder.skip().map_err(|_| CUT)?;
                Some(0)
            }
        };
        let inside = inside.filter(|inside| *inside <= FRAME_ITEMS_MAX).ok_or("too many items")?;
        items += 1;
        if items.saturating_add(inside) > FRAME_ITEMS_MAX {
            return Err("too many items");
        }
        if inside > 0 {
            if open.len() > FRAME_DEPTH_MAX {
                return Err("nested too deeply");
            }
            open.push(inside);
        }
    }
    if decoder.position() == bytes.len() { Ok(()) } else { Err("bytes follow the frame") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::FlushCompress;

    /// A message within the bound that claims a gibibyte: one self-contained megabyte, 1,024 times.
    fn bomb() -> Vec<u8> {
        let mut deflate = Compress::new(Compression::default(), false);
        let mut block = Vec::with_capacity(64 * 1024);
        deflate.compress_vec(&vec![0; 1024 * 1024], &mut block, FlushCompress::Full).unwrap();
        assert_eq!(deflate.total_in(), 1024 * 1024);
        let mut message = vec![LAYOUT, 0, 0, 0, 0];
        message.extend(block.repeat(1024));
        message
    }

    #[test]
    fn a_decompression_bomb_is_inflated_to_the_bound_and_no_further() {
        let bomb = bomb();
        assert!(bomb.len() <= FRAME_BYTES_MAX, "the bomb has {} bytes", bomb.len());
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(&bomb), Err(WireError::Oversized));
        assert!(decoder.inflate.total_out() <= FRAME_BYTES_MAX as u64 + 1);
        assert_eq!(decoder.decode(&bomb), Err(WireError::Ended));
    }

    #[test]
    fn a_message_over_the_bound_is_not_inflated_at_all() {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(&vec![LAYOUT; FRAME_BYTES_MAX + 1]), Err(WireError::Oversized));
        assert_eq!(decoder.inflate.total_in(), 0);
    }

    #[test]
    fn a_stream_that_its_peer_ended_is_damaged() {
        let mut deflate = Compress::new(Compression::default(), false);
        let cbor = Frame::Agreement { agree: true }.to_cbor().unwrap();
        let mut check = Crc::new();
        check.update(&cbor);
        let mut message = vec![LAYOUT];
        message.extend(check.sum().to_be_bytes());
        message.reserve(100);
        deflate.compress_vec(&cbor, &mut message, FlushCompress::Finish).unwrap();
        assert_eq!(Decoder::new().decode(&message), Err(WireError::Damaged));
    }

    #[test]
    fn the_walk_counts_before_it_builds() {
        let nested = |depth: usize| [vec![0x81; depth], vec![0]].concat();
        assert_eq!(walk(&nested(FRAME_DEPTH_MAX)), Ok(()));
        assert_eq!(walk(&nested(FRAME_DEPTH_MAX + 1)), Err("nested too deeply"));
        assert_eq!(walk(&nested(1_000_000)), Err("nested too deeply"));
        assert_eq!(walk(&[0x9b, 0, 0, 1, 0, 0, 0, 0, 0]), Err("too many items"));
        assert_eq!(walk(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Err("too many items"));
        assert_eq!(walk(&[0x9f, 0xff]), Err("an indefinite length"));
        assert_eq!(walk(&[0xc0, 0]), Err("a tag"));
        assert_eq!(walk(&[0, 0]), Err("bytes follow the frame"));
        assert!(walk(&[]).is_err());
        assert!(walk(&[0x5b, 0, 0, 1, 0, 0, 0, 0, 0, 1]).is_err());
    }
}
