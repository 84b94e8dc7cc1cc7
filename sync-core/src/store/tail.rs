//! What sled will replay at its next opening, looked at before it does so.
//!
//! sled 0.34 keeps a log of segments and, in `snap.N`, where every page stood when the store was last
//! opened. Opening it replays all segments from N on, in the order of their sequence numbers. It finds a
//! tear in the last of them, and cuts there; then the newest commit is gone and the anchor tells. But in
//! any earlier segment it takes a message that does not match its checksum, a header that does not, or
//! a file of a large page that is missing for leftovers of a segment freed before, and skips them: then a
//! page is stale, and nothing says so. Damage before N is found when the page is read.
//!
//! In: the folder of the data and the segments' size. Out: whether all that will be replayed is whole.
//! `false` is no damage yet: leftovers look the same. It is the reason to read everything.
//!
//! Invariants: reads only, one segment in memory at a time; foreign bytes cannot make it panic.
//!
//! Deliberately not here: what pages contain. Format: sled 0.34.7, `pagecache/{logger,iterator,snapshot}.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

const SEGMENT_HEADER: usize = 20;
/// No message begins in a segment's last bytes.
const MESSAGE_HEADER_MAX: usize = 32;
const LSN_MASK: u64 = 0x7fff_ffff_ffff_ffff;

/// The number in the name of sled's newest snapshot; `u64::MAX` where there is none.
pub(super) fn snapshot(data: &Path) -> io::Result<u64> {
    let mut newest = None;
    for entry in fs::read_dir(data)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix("snap."));
        // Zeroes stand in front, so the order of names is that of numbers.
        newest = newest.max(number.and_then(|n| u64::from_str_radix(n, 16).ok()));
    }
    Ok(newest.unwrap_or(u64::MAX))
}

/// Whether everything after `snapshot` is whole, as far as checksums tell.
pub(super) fn is_whole(data: &Path, snapshot: u64, segment: usize) -> io::Result<bool> {
    let mut log = File::open(data.join("db"))?;
    let from = if snapshot == u64::MAX { 0 } else { snapshot / segment as u64 * segment as u64 };
    let Some(segments) = headers(&mut log, from, segment)? else { return Ok(false) };
    let Some(last) = segments.keys().next_back().copied() else { return Ok(true) };
    let mut buffer = vec![0; segment];
    let mut missing = BTreeSet::new();
    for (lsn, offset) in segments {
        log.seek(SeekFrom::Start(offset))?;
        let mut read = 0;
        while let got @ 1.. = log.read(&mut buffer[read..])? {
            read += got;
        }
        let whole = messages(&buffer[..read], lsn / segment as u64, segment, data, &mut missing);
        if !whole && lsn != last {
            return Ok(false);
        }
    }
    Ok(missing.is_empty())
}

/// Offsets of the segments from `from` on, by sequence number; nothing where a header does not read. sled
/// fills a segment with zeroes when it gives it up, so one of zeroes only is none.
fn headers(log: &mut File, from: u64, segment: usize) -> io::Result<Option<BTreeMap<u64, u64>>> {
    let bytes = log.metadata()?.len();
    let mut found = BTreeMap::new();
    let mut header = [0; SEGMENT_HEADER];
    let mut whole = Vec::new();
    for offset in (0..bytes).step_by(segment) {
        if bytes - offset < SEGMENT_HEADER as u64 {
            return Ok(None);
        }
        log.seek(SeekFrom::Start(offset))?;
        log.read_exact(&mut header)?;
        if header == [0; SEGMENT_HEADER] {
            whole.clear();
            log.by_ref().take((segment - SEGMENT_HEADER) as u64).read_to_end(&mut whole)?;
            if whole.iter().all(|byte| *byte == 0) {
                continue;
            }
        }
        if crc32fast::hash(&header[4..]) != number(&header[..4]) as u32 ^ u32::MAX {
            return Ok(None);
        }
        let lsn = number(&header[4..12]) ^ LSN_MASK;
        if lsn >= from && found.insert(lsn, offset).is_some() {
            return Ok(None);
        }
    }
    Ok(Some(found))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Whether a segment's messages are whole up to its end or its cap. `missing` gathers pages whose newest
/// form stands in a file that is not there.
fn messages(
    segment: &[u8],
    segment_number: u64,
    size: usize,
    data: &Path,
    missing: &mut BTreeSet<u64>,
) -> bool {
    let mut at = SEGMENT_HEADER;
    while at + MESSAGE_HEADER_MAX <= size {
        let Some(message) = Message::read(&segment[at.min(segment.len())..]) else { return false };
        if message.segment != segment_number {
            return false;
        }
        match message.kind {
            // Padding to the end.
            2 => return true,
            // A page freed or written anew, inline.
            4..=6 | 8 => {
                missing.remove(&message.page);
            }
            // A page, or a change of it, in a file of its own.
            7 | 9 | 11 => {
                if data.join("blobs").join(number(message.body).to_string()).exists() {
                    if message.kind != 11 {
                        missing.remove(&message.page);
                    }
                } else {
                    missing.insert(message.page);
                }
            }
            // Cancelled, the end of a batch, a change of a page.
            1 | 3 | 10 => {}
            _ => return false,
        }
        at += message.bytes;
    }
    true
}

/// One message of sled's log whose checksum fits.
struct Message<'a> {
    kind: u8,
    segment: u64,
    page: u64,
    body: &'a [u8],
    bytes: usize,
}

impl<'a> Message<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (checksum, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, mut rest) = rest.split_first()?;
        let [length, segment, page] = {
            let mut next = || {
                let (value, after) = varint(rest)?;
                rest = after;
                Some(value)
            };
            [next()?, next()?, next()?]
        };
        let header = bytes.len() - rest.len();
        let body = rest.get(..usize::try_from(length).ok()?)?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(body);
        hasher.update(&bytes[4..header]);
        let fits = hasher.finalize() ^ u32::MAX == u32::from_le_bytes(*checksum);
        fits.then_some(Self { kind: *kind, segment, page, body, bytes: header + body.len() })
    }
}

/// sled's numbers of varying length.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let extra = match first {
        0..=240 => return Some((u64::from(*first), rest)),
        241..=248 => {
            let (low, rest) = rest.split_first()?;
            return Some((240 + 256 * (u64::from(*first) - 241) + u64::from(*low), rest));
        }
        249 => {
            let (pair, rest) = rest.split_first_chunk::<2>()?;
            return Some((2288 + 256 * u64::from(pair[0]) + u64::from(pair[1]), rest));
        }
        more => usize::from(*more) - 247,
    };
    let (bytes, rest) = rest.split_at_checked(extra)?;
    Some((number(bytes), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_sled_writes_them() {
        for (bytes, value) in [
            (vec![0], 0),
            (vec![240], 240),
            (vec![241, 0], 240),
            (vec![248, 255], 2287),
            (vec![249, 0, 0], 2288),
            (vec![249, 255, 255], 67_823),
            (vec![250, 1, 2, 3], 0x03_0201),
            (vec![255, 1, 0, 0, 0, 0, 0, 0, 0x80], 0x8000_0000_0000_0001),
        ] {
            assert_eq!(varint(&bytes), Some((value, &[][..])));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), None);
        }
    }
    #[test]
    fn foreign_bytes_are_no_whole_tail_and_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [vec![0xff; 5000], vec![7; 19], [vec![0; 2000], vec![1; 10]].concat()] {
            fs::write(folder.path().join("db"), bytes).unwrap();
            assert!(!is_whole(folder.path(), u64::MAX, 1024).unwrap());
        }
        assert_eq!(snapshot(folder.path()).unwrap(), u64::MAX);
    }
}
