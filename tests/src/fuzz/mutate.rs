//! Bytes altered as chance has it, from a seed: what a fuzzer without feedback does.
//!
//! Cut, bits and bytes changed, runs removed, repeated and copied about, lengths and numbers made
//! extreme, and two inputs of one corpus spliced.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Bytes that decoders trip over: ends of ranges of lengths and of CBOR heads.
const ODD: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, 0x1b, 0x5b, 0x7b, 0x9b, 0xbb, 0x9f, 0xc0];

/// One to four alterations of `seed`; `other` lends bytes.
pub fn mutated(seed: &[u8], other: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        alter(&mut bytes, other, rng);
    }
    bytes
}

fn range(len: usize, rng: &mut ChaCha8Rng) -> std::ops::Range<usize> {
    let from = rng.random_range(0..len);
    from..(from + rng.random_range(1..=32)).min(len)
}

fn alter(bytes: &mut Vec<u8>, other: &[u8], rng: &mut ChaCha8Rng) {
    if bytes.is_empty() {
        bytes.extend_from_slice(&other[..other.len().min(rng.random_range(1..=64))]);
        bytes.push(rng.random());
    }
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..9) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 => bytes[at] = ODD[rng.random_range(0..ODD.len())],
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(range(bytes.len(), rng))),
        5 => {
            let run = bytes[range(bytes.len(), rng)].to_vec();
            let times = rng.random_range(1..=40);
            bytes.splice(at..at, run.repeat(times));
        }
        6 => {
            let run = bytes[range(bytes.len(), rng)].to_vec();
            let to = (at + run.len()).min(bytes.len());
            bytes.splice(at..to, run);
        }
        7 => {
            let to = (at + 8).min(bytes.len());
            bytes[at..to].fill(if rng.random() { 0xff } else { 0 });
        }
        _ if other.is_empty() => bytes.push(rng.random()),
        _ => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[rng.random_range(0..other.len())..]);
        }
    }
}
