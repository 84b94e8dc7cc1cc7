//! The rows of the log: their keys, and what stands in them.
//!
//! A row costs its seal on the disk, a place in the store's memory and a place in its index, so what is
//! written together stands together: a group's entries, a push's changes of a document, and later the
//! entries of a whole bucket and where a compacted document's changes were. Keys hold ids and hashes only.
//!
//! | table | key | value |
//! |---|---|---|
//! | `Change` | bucket ‖ first position | entries of one group, CBOR |
//! | `Change` | bucket | all entries of a full bucket, zlib (RFC 1950) |
//! | `Outbox` | document ‖ first position | loose changes of one push |
//! | `Document` | document | its snapshot |
//! | `Command` | document ‖ `i` | where its compacted changes were: pairs of a hash's first half and a position |
//! | `Command` | document ‖ hash | the same for one change, of a document with very many |
//! | `Held` | document ‖ hash | a held change |
//! | `Meta` | `d/` document | position of its newest change ‖ its heads then |
//! | `Meta` | `a/` document, `t/` tag ‖ document, `r/` name | audience, tags, records |
//!
//! Rows of older relays are read as well: single entries and changes, a bucket that is not deflated, and
//! under `Command` and the document alone pairs of a whole hash and a position.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use minicbor::bytes::ByteVec;
use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode};
use sync_core::ids::{ChangeHash, DocId, Position};
use sync_core::time::UnixMs;

use super::{Entry, LogError, Tag};

/// Entries that share a key prefix, so that a feed is read by a few scans.
pub(super) const BUCKET: u64 = 256;
/// Bytes of a document's id.
pub(super) const DOC_BYTES: usize = 17;
/// Bytes of a hash that tell it from the other changes of its document: nobody finds two that share them.
const TOLD_BYTES: usize = 16;
/// A hash's first bytes and a position.
pub(super) type Indexed = [u8; TOLD_BYTES + 8];
/// CMF of a zlib stream with a window of 32 KiB; no CBOR array begins so.
const ZLIB: u8 = 0x78;
/// What a bucket's row inflates to at most, in bytes.
const BUCKET_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) const HEAD: &[u8] = b"head";
pub(super) const EPOCH: &[u8] = b"epoch";
/// The number of buckets whose entries stand in one row each.
pub(super) const PACKED: &[u8] = b"packed";

/// Positions, and each entry as it was stored by itself.
pub(super) type Entries = Vec<(u64, ByteVec)>;
/// Positions, hashes and bytes of changes.
pub(super) type Loose = Vec<(u64, ChangeHash, ByteVec)>;

#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct StoredEntry {
    #[n(0)]
    pub at_ms: UnixMs,
    #[n(1)]
    pub entry: Entry,
}

#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct StoredSnapshot {
    #[n(0)]
    pub upto: Position,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

fn corrupt(error: impl std::fmt::Display) -> LogError {
    LogError::Corrupt(error.to_string())
}
pub(super) fn cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing CBOR to memory cannot fail")
}
pub(super) fn read<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, LogError> {
    minicbor::decode(bytes).map_err(corrupt)
}

pub(super) fn key(prefix: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    [prefix, &parts.concat()].concat()
}
/// The row of entries that begins at a position.
pub(super) fn entry_key(position: u64) -> Vec<u8> {
    key(&(position / BUCKET).to_be_bytes(), &[&position.to_be_bytes()])
}
pub(super) fn document_key(doc: DocId) -> Vec<u8> {
    key(b"d/", &[&doc.to_bytes()])
}
pub(super) fn audience_key(doc: DocId) -> Vec<u8> {
    key(b"a/", &[&doc.to_bytes()])
}
pub(super) fn tag_key(tag: Tag, doc: &[u8]) -> Vec<u8> {
    key(b"t/", &[&tag.to_bytes(), doc])
}
pub(super) fn record_key(name: &[u8]) -> Vec<u8> {
    key(b"r/", &[name])
}

/// The row of where a document's compacted changes were.
pub(super) fn index_key(doc: &[u8; DOC_BYTES]) -> Vec<u8> {
    key(doc, &[b"i"])
}
pub(super) fn indexed(hash: &[u8; 32], position: u64) -> Indexed {
    let mut pair = [0; TOLD_BYTES + 8];
    pair[..TOLD_BYTES].copy_from_slice(&hash[..TOLD_BYTES]);
    pair[TOLD_BYTES..].copy_from_slice(&position.to_be_bytes());
    pair
}
/// The pairs of a document's row, and of the one that an older relay wrote.
pub(super) fn pairs_in(row: &[u8], older: &[u8]) -> BTreeSet<Indexed> {
    let shorter = |pair: &[u8; 32 + 8]| {
        let (hash, position) = pair.split_at(32);
        [&hash[..TOLD_BYTES], position].concat().try_into().expect("half a hash and a position")
    };
    row.as_chunks().0.iter().copied().chain(older.as_chunks().0.iter().map(shorter)).collect()
}
/// Where a change was.
pub(super) fn find(pairs: &BTreeSet<Indexed>, hash: &[u8; 32]) -> Result<Option<Position>, LogError> {
    let of_it = pairs.range(indexed(hash, 0)..=indexed(hash, u64::MAX)).next();
    of_it.map(|pair| position_in(&pair[TOLD_BYTES..])).transpose()
}

pub(super) fn position_in(bytes: &[u8]) -> Result<Position, LogError> {
    let number = bytes.try_into().map(u64::from_be_bytes);
    number.map(Position).map_err(|_| corrupt("a position"))
}
pub(super) fn doc_in(bytes: &[u8]) -> Result<DocId, LogError> {
    let bytes: [u8; DOC_BYTES] = bytes.try_into().map_err(|_| corrupt("a document id"))?;
    DocId::from_bytes(bytes).map_err(corrupt)
}

/// The position of a document's newest change, and its heads where they were written with it.
pub(super) fn newest_in(bytes: &[u8]) -> Result<(Position, &[[u8; 32]]), LogError> {
    let (position, heads) = bytes.split_at_checked(8).ok_or_else(|| corrupt("a document's newest change"))?;
    Ok((position_in(position)?, heads.as_chunks().0))
}

/// The row of a full bucket.
pub(super) fn bucket(entries: &Entries) -> Result<Vec<u8>, LogError> {
    let mut row = ZlibEncoder::new(Vec::new(), Compression::default());
    row.write_all(&cbor(entries)).and_then(|()| row.finish()).map_err(corrupt)
}

/// The entries of a row: one, those of a group, or those of a bucket.
pub(super) fn entries_in(key: &[u8], row: Vec<u8>) -> Result<Entries, LogError> {
    if row.first() == Some(&ZLIB) {
        let mut entries = Vec::new();
        ZlibDecoder::new(&*row).take(BUCKET_BYTES_MAX).read_to_end(&mut entries).map_err(corrupt)?;
        return read(&entries);
    }
    let several = matches!(Decoder::new(&row).datatype(), Ok(Type::Array));
    match key.get(8..) {
        Some(position) if !several => Ok(vec![(position_in(position)?.0, row.into())]),
        _ => read(&row),
    }
}

/// The changes of a row.
pub(super) fn loose_in(key: &[u8], row: &[u8]) -> Result<Loose, LogError> {
    let mut first = Decoder::new(row);
    if first.array().is_ok() && matches!(first.datatype(), Ok(Type::Bytes)) {
        let (hash, bytes) = read(row)?;
        let position = position_in(key.get(DOC_BYTES..).unwrap_or_default())?;
        return Ok(vec![(position.0, hash, bytes)]);
    }
    read(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; DOC_BYTES + 8] = [0; DOC_BYTES + 8];

    #[test]
    fn a_row_of_entries_gives_them_back_also_one_of_an_older_relay_and_no_damaged_one() {
        for count in [1_u64, 2, 256] {
            let entries: Entries =
                (0..count).map(|n| (n, format!("the same again, {}", n % 7).into_bytes().into())).collect();
            let row = bucket(&entries).unwrap();
            assert_eq!(entries_in(&[0; 8], row.clone()).unwrap(), entries);
            assert_eq!(entries_in(&[0; 8], cbor(&entries)).unwrap(), entries, "of a bucket, as it was");
            assert_eq!(entries_in(&[0; 16], cbor(&entries)).unwrap(), entries, "of a group");
            for cut in 1..row.len() {
                assert!(entries_in(&[0; 8], row[..cut].to_vec()).is_err(), "{cut} of {}", row.len());
            }
        }
        let doc = DocId::new(sync_core::ids::DocKind::Order, [1; 16]);
        let entry = Entry::Audience { doc, gained: vec![], lost: vec![] };
        let single = cbor(&StoredEntry { at_ms: 5, entry });
        assert_eq!(entries_in(&entry_key(7), single.clone()).unwrap(), [(7, single.into())]);
    }

    #[test]
    fn a_row_of_changes_gives_them_back_also_one_of_an_older_relay() {
        let loose: Loose = (1..4).map(|n| (n, ChangeHash([n as u8; 32]), vec![n as u8].into())).collect();
        assert_eq!(loose_in(&KEY, &cbor(&loose)).unwrap(), loose);
        let single = cbor(&(loose[0].1, loose[0].2.clone()));
        let mut key = KEY;
        key[DOC_BYTES + 7] = 1;
        assert_eq!(loose_in(&key, &single).unwrap(), loose[..1]);
        assert!(loose_in(&KEY[..3], &single).is_err() && loose_in(&KEY, b"").is_err());
    }
}
