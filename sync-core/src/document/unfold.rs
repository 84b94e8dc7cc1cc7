//! How much a chunk of Automerge's format unfolds to, counted before Automerge reads it.
//!
//! A chunk's columns are run-length encoded, and a document's may be deflated besides: a hundred bytes
//! can name 2⁶⁰ operations, and two megabytes can inflate to two gigabytes. The library believes both.
//! In: the bytes of one change or one document. Out: whether rows, texts and inflated bytes stay within
//! the bounds of [`crate::limits`]. The walk takes time and memory by the bytes that are there, not by
//! the numbers in them. Not here: whether checksum and values are right, which Automerge says.
//!
//! The format: <https://automerge.org/automerge-binary-format-spec/>.

use std::io::Read as _;

use crate::limits;

/// Magic, checksum and the chunk's type.
const HEAD_BYTES: usize = 9;
const DOCUMENT: u8 = 0;
const CHANGE: u8 = 1;
const HASH_BYTES: u64 = 32;
/// The bit of a column's specification that says it is deflated.
const DEFLATED: u64 = 0b1000;

/// Why a chunk is not given to Automerge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfoldable {
    #[error("the chunk is cut off or not one whole chunk of its kind")]
    Cut,
    #[error("it unfolds to more than is allowed")]
    TooMuch,
}
use Unfoldable::{Cut, TooMuch};

/// What may come out of one chunk, in all of its columns.
struct Bounds {
    rows: u64,
    bytes: u64,
}

/// Checks a change chunk, not deflated.
pub(super) fn change(bytes: &[u8]) -> Result<(), Unfoldable> {
    let mut at = Cursor(content(bytes, CHANGE)?);
    let deps = at.number()?;
    at.skip(deps.checked_mul(HASH_BYTES).ok_or(Cut)?)?;
    at.skip_counted()?; // the actor
    for _sequence_operation_time in 0..3 {
        at.number()?;
    }
    at.skip_counted()?; // the message
    for _actor in 0..at.number()? {
        at.skip_counted()?;
    }
    let mut bounds = Bounds { rows: limits::CHANGE_ROWS_MAX, bytes: limits::CHANGE_UNFOLDED_BYTES_MAX };
    let columns = at.columns()?;
    columns.into_iter().try_for_each(|column| at.column(column, &mut bounds))
}

/// Checks a document chunk; nothing may stand beside it.
pub(super) fn document(bytes: &[u8]) -> Result<(), Unfoldable> {
    let mut at = Cursor(content(bytes, DOCUMENT)?);
    for _actor in 0..at.number()? {
        at.skip_counted()?;
    }
    let heads = at.number()?;
    at.skip(heads.checked_mul(HASH_BYTES).ok_or(Cut)?)?;
    let mut columns = at.columns()?;
    columns.extend(at.columns()?);
    let mut bounds = Bounds { rows: limits::DOCUMENT_ROWS_MAX, bytes: limits::DOCUMENT_UNFOLDED_BYTES_MAX };
    columns.into_iter().try_for_each(|column| at.column(column, &mut bounds))
}

/// What stands in a chunk of this kind that fills the bytes.
fn content(bytes: &[u8], kind: u8) -> Result<&[u8], Unfoldable> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES).ok_or(Cut)?;
    let mut at = Cursor(rest);
    let length = at.number()?;
    if head[HEAD_BYTES - 1] != kind || length != at.0.len() as u64 {
        return Err(Cut);
    }
    Ok(at.0)
}

/// A column's specification and its length in bytes.
type Column = (u64, u64);

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// A number in LEB128, read without its sign.
    fn number(&mut self) -> Result<u64, Unfoldable> {
        self.leb().map(|(value, _, _)| value)
    }

    /// A number in LEB128 with its sign.
    fn signed(&mut self) -> Result<i64, Unfoldable> {
        let (value, bits, negative) = self.leb()?;
        let filled = if negative && bits < 64 { value | (u64::MAX << bits) } else { value };
        Ok(filled.cast_signed())
    }

    /// Value, its bits, and whether the last byte's sign bit is set.
    fn leb(&mut self) -> Result<(u64, u32, bool), Unfoldable> {
        let (mut value, mut bits) = (0u64, 0u32);
        loop {
            let (byte, rest) = self.0.split_first().ok_or(Cut)?;
            self.0 = rest;
            if bits >= 70 {
                return Err(Cut);
            }
            value |= u64::from(byte & 0x7f).checked_shl(bits).unwrap_or(0);
            bits += 7;
            if byte & 0x80 == 0 {
                return Ok((value, bits, byte & 0x40 != 0));
            }
        }
    }

    fn skip(&mut self, count: u64) -> Result<&'a [u8], Unfoldable> {
        let count = usize::try_from(count).map_err(|_| Cut)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn skip_counted(&mut self) -> Result<&'a [u8], Unfoldable> {
        let count = self.number()?;
        self.skip(count)
    }

    fn columns(&mut self) -> Result<Vec<Column>, Unfoldable> {
        let count = self.number()?;
        // Each takes two bytes at least, so memory is taken as bytes are read.
        (0..count).map(|_| Ok((self.number()?, self.number()?))).collect()
    }

    /// Takes one column's bytes and counts what it unfolds to.
    fn column(&mut self, (specification, length): Column, bounds: &mut Bounds) -> Result<(), Unfoldable> {
        let packed = self.skip(length)?;
        if specification & DEFLATED == 0 {
            return count(specification, packed, bounds);
        }
        let mut inflated = Vec::new();
        let read =
            flate2::bufread::DeflateDecoder::new(packed).take(bounds.bytes + 1).read_to_end(&mut inflated);
        read.map_err(|_| Cut)?;
        bounds.bytes = bounds.bytes.checked_sub(inflated.len() as u64).ok_or(TooMuch)?;
        count(specification, &inflated, bounds)
    }
}

/// Counts the rows of one column, what its groups name, and what its texts amount to.
fn count(specification: u64, bytes: &[u8], bounds: &mut Bounds) -> Result<(), Unfoldable> {
    const GROUP: u64 = 0;
    const BOOLEAN: u64 = 4;
    const TEXT: u64 = 5;
    const RAW: u64 = 7;
    let kind = specification & 0b111;
    let mut at = Cursor(bytes);
    let (mut rows, mut members) = (0u64, 0u64);
    while kind != RAW && !at.0.is_empty() {
        if kind == BOOLEAN {
            rows = rows.saturating_add(at.number()?);
            continue;
        }
        // A run of one value; or so many values, each once; or nothing, so many times.
        let (times, values) = match at.signed()? {
            0 => (at.number()?, 0),
            run if run > 0 => (run.unsigned_abs(), 1),
            literal => (1, literal.unsigned_abs()),
        };
        rows = rows.saturating_add(times.saturating_mul(values.max(1)));
        if rows > bounds.rows {
            return Err(TooMuch);
        }
        for _ in 0..values {
            match kind {
                TEXT => {
                    let text = at.skip_counted()?.len() as u64;
                    bounds.bytes = bounds.bytes.checked_sub(text.saturating_mul(times)).ok_or(TooMuch)?;
                }
                GROUP => members = members.saturating_add(at.number()?.saturating_mul(times)),
                _ => drop(at.number()?),
            }
        }
    }
    if rows.max(members) > bounds.rows { Err(TooMuch) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::untrusted::Untrusted;
    use crate::document::{Actor, Document, Edit};
    use crate::domain::fields::Map;
    use crate::ids::{CommandId, DeviceId, DocId, DocKind};
    use crate::refusal::RefusalCode;
    use sha2::{Digest as _, Sha256};

    fn number(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        bytes.push(value.to_le_bytes()[0]);
        bytes
    }
    fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
        let hashed = [&[kind][..], &number(body.len() as u64), body].concat();
        [&[0x85, 0x6f, 0x4a, 0x83], &Sha256::digest(&hashed)[..4], &hashed].concat()
    }
    fn columns(columns: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let heads = columns.iter().map(|(spec, data)| [number(*spec), number(data.len() as u64)].concat());
        let data = columns.iter().map(|(_, data)| data.clone());
        [number(columns.len() as u64), heads.collect::<Vec<_>>().concat(), data.collect::<Vec<_>>().concat()]
            .concat()
    }
    /// A run of `times` of one value.
    fn run(times: u64, value: &[u8]) -> Vec<u8> {
        // A positive signed number needs its sign bit clear; these are far below 2⁶².
        let mut bytes = number(times);
        if bytes.last().is_some_and(|last| last & 0x40 != 0) {
            *bytes.last_mut().unwrap() |= 0x80;
            bytes.push(0);
        }
        [&bytes[..], value].concat()
    }
    /// A change of so many puts of nothing under one key of the root, each over `preds` others.
    fn puts(times: u64, preds: u64) -> Vec<u8> {
        let ops = columns(&[
            (0x15, run(times, b"\x01a")),
            (0x34, number(times)),
            (0x42, run(times, &[1])),
            (0x56, run(times, &[0])),
            (0x70, run(times, &number(preds))),
            (0x71, run(times.saturating_mul(preds).max(1), &[0])),
            (0x73, run(times.saturating_mul(preds).max(1), &[1])),
        ]);
        chunk(1, &[&[0, 1, 9, 1, 1, 0, 0, 0][..], &ops].concat())
    }

    #[test]
    fn a_change_that_names_more_operations_than_it_has_bytes_is_refused_at_once() {
        assert_eq!(change(&puts(3, 1)), Ok(()));
        for (times, preds) in
            [(1 << 40, 0), (1, 1 << 40), (1 << 20, 1 << 20), (limits::CHANGE_ROWS_MAX + 1, 0)]
        {
            let bomb = puts(times, preds);
            assert!(bomb.len() < 150, "{} bytes", bomb.len());
            assert_eq!(change(&bomb), Err(TooMuch), "{times} operations over {preds} each");
            assert_eq!(Untrusted::parse(&bomb).unwrap_err().code, RefusalCode::Malformed);
        }
    }

    #[test]
    fn a_snapshot_whose_columns_inflate_without_end_is_refused_at_the_bound() {
        use std::io::Write as _;
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        for _ in 0..17 {
            deflate.write_all(&vec![0; 1024 * 1024]).unwrap();
        }
        let bomb = deflate.finish().unwrap();
        let body = [&[0, 0, 0][..], &columns(&[(0x57 | DEFLATED, bomb)])].concat();
        let bomb = chunk(0, &body);
        assert!(bomb.len() < limits::DOCUMENT_BYTES_MAX, "{} bytes", bomb.len());
        assert_eq!(document(&bomb), Err(TooMuch));
        assert!(Document::load(DocId::new(DocKind::Order, [1; 16]), &bomb).is_err());
        let runs = [&[0, 0, 0][..], &columns(&[(0x42, run(1 << 40, &[1]))])].concat();
        assert_eq!(document(&chunk(0, &runs)), Err(TooMuch));
    }

    #[test]
    fn what_this_product_writes_is_within_the_bounds() {
        let actor = Actor { device: DeviceId::from_bytes([1; 16]), epoch: 0 };
        let mut doc = Document::new(DocId::new(DocKind::Order, [1; 16]));
        for number in 0..200u8 {
            let text = "很长的备注".repeat(usize::from(number) + 1);
            let edits = [
                Edit::Put(Map::Fields, "phone".into(), text.as_str().into()),
                Edit::Put(Map::Notes, format!("note-{number}"), text.as_str().into()),
            ];
            let written = doc.write(actor, CommandId::from_bytes([number; 16]), 0, &edits).unwrap();
            assert_eq!(change(&written.bytes), Ok(()));
        }
        assert_eq!(document(&doc.save()), Ok(()));
        for kind in DocKind::ALL {
            assert_eq!(document(&Document::new(DocId::new(kind, [1; 16])).save()), Ok(()));
        }
    }

    #[test]
    fn every_cut_of_a_chunk_is_called_cut() {
        let save = Document::new(DocId::new(DocKind::Order, [1; 16])).save();
        for length in 0..save.len() {
            assert_eq!(document(&save[..length]), Err(Cut));
        }
        assert_eq!(document(&[&save[..], &save].concat()), Err(Cut), "one chunk and no more");
    }
}
