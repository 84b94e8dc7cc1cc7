//! Frames to binary messages and back: CBOR, plain or deflated with the context of its direction.
//!
//! A message is `form (1 byte) ‖ check (4 bytes, big-endian) ‖ body`. The form's upper half is the layout,
//! 1; its lower half says what the body is:
//!
//! | form | body |
//! |---|---|
//! | `10` plain | a frame's CBOR |
//! | `13` deflated | the same, deflated with the context of all deflated messages since the last rest |
//! | `15` rest | nothing: both sides drop this direction's context. Who gets a rest answers with one if its own direction holds a context |
//! | `16` part | no check: a piece of one of the messages above, which was cut because it is long |
//! | `19` last | no check: the piece that completes it |
//! | `1a` alone | a frame's CBOR, deflated with a context of its own |
//!
//! Any two forms differ in two bits. The sender chooses: plain are bytes that are packed already, and
//! small frames while there is no context; alone is what comes once; the rest is deflated. The check is the CRC-32 (as in RFC 1952 §8) over
//! form and CBOR of *all* messages of this direction so far, so one that was altered, lost or repeated is
//! noticed, at the latest by the next. It guards against accidents; against people there is TLS.
//!
//! Bounds, each checked before memory is taken: the message and its parts, what it inflates to, the
//! number and depth of CBOR items, and then each list and text (`bounded`). CBOR here (RFC 8949) has
//! definite lengths and no tags. One encoder and one decoder live as long as their connection; when to
//! rest is the connection's decision, since there is no time here.

use flate2::Crc;
use minicbor::data::Type;

use super::context::{Deflater, Inflater};
use super::frames::FeedItem;
use super::{Frame, WireError};
use crate::limits::{FRAME_BYTES_MAX, FRAME_BYTES_SENT_MAX, FRAME_DEPTH_MAX, FRAME_ITEMS_MAX};

/// The layout of messages that this build writes and reads.
pub const LAYOUT: u8 = 1;
/// The longest message that [`parts`] leaves whole, in bytes. Whoever sends and receives keeps buffers
/// of the longest message for as long as a connection lives.
pub const PART_BYTES_MAX: usize = 8 * 1024;

const PLAIN: u8 = LAYOUT << 4;
const DEFLATED: u8 = PLAIN | 0x3;
const REST: u8 = PLAIN | 0x5;
const PART: u8 = PLAIN | 0x6;
const LAST: u8 = PLAIN | 0x9;
const ALONE: u8 = PLAIN | 0xa;

/// Form and check.
const HEAD_BYTES: usize = 5;
/// Frames below this many bytes of CBOR do not make a context: that would cost more than it saves.
const SMALL_BYTES: usize = 200;

/// The sending end of one direction of a connection.
#[derive(Debug)]
pub struct Encoder {
    context: Option<Deflater>,
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
        Self { context: None, check: Crc::new(), ended: false }
    }

    /// The next message; messages must be sent in this order, all of them.
    ///
    /// [`WireError::TooLarge`] leaves the stream as it was: split the frame and go on.
    pub fn encode(&mut self, frame: &Frame) -> Result<Vec<u8>, WireError> {
        if self.ended {
            return Err(WireError::Ended);
        }
        let cbor = frame.to_cbor()?;
        let form = self.form(frame, cbor.len());
        if form == PLAIN {
            let mut message = self.head(PLAIN, &cbor, cbor.len());
            message.extend_from_slice(&cbor);
            return Ok(message);
        }
        let mut message = self.head(form, &cbor, cbor.len() / 2 + 64);
        let flushed = match form {
            ALONE => Deflater::new().deflate(&cbor, &mut message),
            _ => self.context.get_or_insert_with(Deflater::new).deflate(&cbor, &mut message),
        };
        if !flushed || message.len() > FRAME_BYTES_MAX {
            self.ended = true;
            return Err(WireError::Ended);
        }
        Ok(message)
    }

    /// What pays for this frame of `len` bytes.
    fn form(&self, frame: &Frame, len: usize) -> u8 {
        let (packed, once) = kinds_of_bytes(frame);
        match self.context {
            _ if packed > len / 2 => PLAIN,
            None if len < SMALL_BYTES => PLAIN,
            _ if packed + once > len / 2 => ALONE,
            _ => DEFLATED,
        }
    }

    /// Drops the context; gives the message that tells the peer so and asks it for the same. Sending it
    /// while there is none does no harm.
    pub fn rest(&mut self) -> Result<Vec<u8>, WireError> {
        if self.ended {
            return Err(WireError::Ended);
        }
        self.context = None;
        Ok(self.head(REST, &[], 0))
    }

    /// Whether a context is kept for later frames.
    pub fn holds_context(&self) -> bool {
        self.context.is_some()
    }

    /// The head of a message with the check, and room behind it.
    fn head(&mut self, form: u8, cbor: &[u8], room: usize) -> Vec<u8> {
        self.check.update(&[form]);
        self.check.update(cbor);
        let mut message = Vec::with_capacity(HEAD_BYTES + room);
        message.push(form);
        message.extend(self.check.sum().to_be_bytes());
        message
    }
}

/// Bytes of a frame that deflating would hardly make fewer (an Automerge document's columns are deflated,
/// and so are photos), and bytes that no later frame resembles (policies).
fn kinds_of_bytes(frame: &Frame) -> (usize, usize) {
    match frame {
        Frame::BlobPart { bytes, .. } => (bytes.len(), 0),
        Frame::Feed(feed) => feed.items.iter().fold((0, 0), |(packed, once), item| match item {
            FeedItem::Snapshot { bytes, .. } => (packed + bytes.len(), once),
            FeedItem::Policy { bytes, .. } => (packed, once + bytes.len()),
            _ => (packed, once),
        }),
        _ => (0, 0),
    }
}

/// Cuts a message of an [`Encoder`] into messages of at most [`PART_BYTES_MAX`] bytes, to be sent in this
/// order with nothing between them; one that is short enough stays as it is.
pub fn parts(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cut = message.len() > PART_BYTES_MAX;
    let pieces = message.chunks(if cut { PART_BYTES_MAX - 1 } else { PART_BYTES_MAX });
    let last = pieces.len().saturating_sub(1);
    pieces.enumerate().map(move |(n, piece)| match cut {
        false => piece.to_vec(),
        true => [&[if n == last { LAST } else { PART }], piece].concat(),
    })
}

/// What one message brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// A frame.
    Frame(Frame),
    /// A piece of a longer message: nothing yet.
    Part,
    /// The peer's direction rests, and asks that ours does ([`Encoder::rest`]) if it holds a context.
    Rest,
}

/// The receiving end of one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    context: Option<Inflater>,
    check: Crc,
    parts: Vec<u8>,
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
        Self { context: None, check: Crc::new(), parts: Vec::new(), ended: false }
    }

    /// What the next message brings; messages must be given in the order of sending, all of them.
    ///
    /// After [`WireError::UnknownFrame`] the stream goes on; after any other error it has ended.
    pub fn decode(&mut self, message: &[u8]) -> Result<Arrived, WireError> {
        if self.ended {
            return Err(WireError::Ended);
        }
        let arrived = self.next(message);
        self.ended = arrived.as_ref().is_err_and(|error| !error.goes_on());
        arrived
    }

    /// Whether the peer's direction holds a context.
    pub fn holds_context(&self) -> bool {
        self.context.is_some()
    }

    fn next(&mut self, message: &[u8]) -> Result<Arrived, WireError> {
        if message.len() > FRAME_BYTES_MAX {
            return Err(WireError::Oversized);
        }
        match message.split_first().ok_or(WireError::Damaged)? {
            (form @ (&PART | &LAST), piece) => {
                if piece.len() > FRAME_BYTES_MAX - self.parts.len() {
                    return Err(WireError::Oversized);
                }
                self.parts.extend_from_slice(piece);
                if *form == PART {
                    return Ok(Arrived::Part);
                }
                let whole = std::mem::take(&mut self.parts);
                self.whole(&whole)
            }
            _ if !self.parts.is_empty() => Err(WireError::Damaged),
            _ => self.whole(message),
        }
    }

    fn whole(&mut self, message: &[u8]) -> Result<Arrived, WireError> {
        let (form, rest) = match message.split_first().ok_or(WireError::Damaged)? {
            (form @ (&PLAIN | &DEFLATED | &ALONE | &REST), rest) => (*form, rest),
            (other, _) => return Err(WireError::Layout(*other)),
        };
        let (check, body) = rest.split_first_chunk::<4>().ok_or(WireError::Damaged)?;
        let inflated;
        let cbor = match form {
            DEFLATED => {
                inflated = self.context.get_or_insert_with(Inflater::new).inflate(body)?;
                &inflated[..]
            }
            ALONE => {
                inflated = Inflater::new().inflate(body)?;
                &inflated[..]
            }
            _ => body,
        };
        self.check.update(&[form]);
        self.check.update(cbor);
        if self.check.sum().to_be_bytes() != *check {
            return Err(WireError::Damaged);
        }
        if form == REST {
            self.context = None;
            return if cbor.is_empty() { Ok(Arrived::Rest) } else { Err(WireError::Damaged) };
        }
        Frame::from_cbor(cbor).map(Arrived::Frame)
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
    use flate2::{Compress, Compression, FlushCompress};

    /// A message within the bound that claims a gibibyte: one self-contained megabyte, 1,024 times.
    fn bomb() -> Vec<u8> {
        let mut deflate = Compress::new(Compression::default(), false);
        let mut block = Vec::with_capacity(64 * 1024);
        deflate.compress_vec(&vec![0; 1024 * 1024], &mut block, FlushCompress::Full).unwrap();
        assert_eq!(deflate.total_in(), 1024 * 1024);
        let mut message = vec![DEFLATED, 0, 0, 0, 0];
        message.extend(block.repeat(1024));
        message
    }

    #[test]
    fn a_decompression_bomb_is_inflated_to_the_bound_and_no_further() {
        let bomb = bomb();
        assert!(bomb.len() <= FRAME_BYTES_MAX, "the bomb has {} bytes", bomb.len());
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(&bomb), Err(WireError::Oversized));
        assert!(decoder.context.as_ref().unwrap().total_out() <= FRAME_BYTES_MAX as u64 + 1);
        assert_eq!(decoder.decode(&bomb), Err(WireError::Ended));
    }

    #[test]
    fn a_message_over_the_bound_is_not_inflated_at_all() {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(&vec![DEFLATED; FRAME_BYTES_MAX + 1]), Err(WireError::Oversized));
        assert!(!decoder.holds_context());
    }

    #[test]
    fn a_stream_that_its_peer_ended_is_damaged() {
        let mut deflate = Compress::new(Compression::default(), false);
        let cbor = Frame::Agreement { agree: true }.to_cbor().unwrap();
        let mut check = Crc::new();
        check.update(&[DEFLATED]);
        check.update(&cbor);
        let mut message = vec![DEFLATED];
        message.extend(check.sum().to_be_bytes());
        message.reserve(100);
        deflate.compress_vec(&cbor, &mut message, FlushCompress::Finish).unwrap();
        assert_eq!(Decoder::new().decode(&message), Err(WireError::Damaged));
    }

    #[test]
    fn parts_are_kept_up_to_the_bound_and_no_further() {
        let mut decoder = Decoder::new();
        let part = vec![PART; 1 + 64 * 1024];
        for _ in 0..FRAME_BYTES_MAX / (64 * 1024) {
            assert_eq!(decoder.decode(&part), Ok(Arrived::Part));
        }
        assert_eq!(decoder.parts.len(), FRAME_BYTES_MAX);
        assert_eq!(decoder.decode(&[PART, 0]), Err(WireError::Oversized));
    }

    #[test]
    fn between_parts_comes_nothing_else() {
        let mut encoder = Encoder::new();
        for between in [encoder.encode(&Frame::Agreement { agree: true }).unwrap(), encoder.rest().unwrap()] {
            let mut decoder = Decoder::new();
            assert_eq!(decoder.decode(&[PART, PLAIN]), Ok(Arrived::Part));
            assert_eq!(decoder.decode(&between), Err(WireError::Damaged));
        }
        assert_eq!(
            Decoder::new().decode(&[LAST, PART, 0]),
            Err(WireError::Layout(PART)),
            "no parts of parts"
        );
    }

    #[test]
    fn forms_differ_in_two_bits() {
        let forms = [PLAIN, DEFLATED, REST, PART, LAST, ALONE];
        for (n, one) in forms.iter().enumerate() {
            assert_eq!(one >> 4, LAYOUT);
            assert!(forms[n + 1..].iter().all(|other| (one ^ other).count_ones() >= 2));
        }
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
