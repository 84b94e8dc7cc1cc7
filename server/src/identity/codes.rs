//! Enrolment codes: shown once, used once, kept as their hash.
//!
//! A code is twelve symbols of Crockford's base 32 in three groups, the last a check symbol: 55 bits of
//! chance. The log keeps its SHA-256 with person and expiry; using it up is one atomic swap.

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};
use sync_core::ids::PersonId;
use sync_core::time::UnixMs;

use crate::log::{Batch, ChangeLog, LogError};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SYMBOLS: usize = 11;

/// Why a code is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// Mistyped: the check symbol does not fit.
    #[error("mistyped")]
    Mistyped,
    /// No such code, used, or expired; which is not told.
    #[error("unknown, used or expired")]
    Unknown,
    /// The log cannot be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Issued {
    #[n(0)]
    person: PersonId,
    #[n(1)]
    expires_ms: UnixMs,
    #[n(2)]
    used: bool,
}

fn check_symbol(symbols: &[u8]) -> u8 {
    let sum = symbols.iter().enumerate().map(|(i, s)| (i + 1) * usize::from(*s)).sum::<usize>();
    u8::try_from(sum % 31).unwrap_or(0)
}

fn record_key(symbols: &[u8]) -> Vec<u8> {
    [b"enrol/", &Sha256::digest(symbols)[..]].concat()
}

/// Reads a code as a person types it: any case, with or without dashes, O for 0, I and L for 1.
fn parse(code: &str) -> Result<Vec<u8>, CodeError> {
    let symbol = |c: char| {
        let c = match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        };
        ALPHABET.iter().position(|a| char::from(*a) == c).and_then(|i| u8::try_from(i).ok())
    };
    let typed = code.chars().filter(|c| !matches!(c, '-' | ' ')).take(SYMBOLS + 2);
    let symbols: Vec<u8> = typed.map(symbol).collect::<Option<_>>().ok_or(CodeError::Mistyped)?;
    match symbols.split_last() {
        Some((check, rest)) if rest.len() == SYMBOLS && check_symbol(rest) == *check => Ok(rest.to_vec()),
        _ => Err(CodeError::Mistyped),
    }
}

/// Issues a code for a person.
pub fn issue(
    log: &dyn ChangeLog,
    person: PersonId,
    chance: [u8; SYMBOLS],
    now_ms: UnixMs,
    lifetime_ms: i64,
) -> Result<String, LogError> {
    let mut symbols: Vec<u8> = chance.iter().map(|b| b & 31).collect();
    let issued = Issued { person, expires_ms: now_ms + lifetime_ms, used: false };
    let value = minicbor::to_vec(&issued).expect("writing CBOR to memory cannot fail");
    let records = vec![(record_key(&symbols), Some(value))];
    log.append(Batch { records, at_ms: now_ms, ..Batch::default() })?;
    symbols.push(check_symbol(&symbols));
    let letters: Vec<char> = symbols.iter().map(|s| char::from(ALPHABET[usize::from(*s)])).collect();
    Ok(letters.chunks(4).map(|c| c.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

/// Uses a code up; gives the person it was issued for.
pub fn redeem(log: &dyn ChangeLog, code: &str, now_ms: UnixMs) -> Result<PersonId, CodeError> {
    let key = record_key(&parse(code)?);
    let bytes = log.record(&key)?.ok_or(CodeError::Unknown)?;
    let issued: Issued = minicbor::decode(&bytes).map_err(|e| LogError::Corrupt(e.to_string()))?;
    if issued.used || issued.expires_ms <= now_ms {
        return Err(CodeError::Unknown);
    }
    let used = Issued { used: true, ..issued };
    let value = minicbor::to_vec(&used).expect("writing CBOR to memory cannot fail");
    if log.swap_record(&key, Some(&bytes), Some(value))? { Ok(used.person) } else { Err(CodeError::Unknown) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::KeptLog;
    use sync_core::store::MemoryStore;

    #[test]
    fn a_code_is_used_once_before_it_expires_and_mistyping_is_told() {
        let log = KeptLog::open(MemoryStore::new(), 1).unwrap();
        let person = PersonId::from_bytes([7; 16]);
        let code = issue(&log, person, [3, 9, 30, 1, 2, 3, 4, 5, 6, 7, 8], 1_000, 500).unwrap();
        assert_eq!(code.len(), 14);
        let mut typo = code.clone().into_bytes();
        typo[0] = if typo[0] == b'A' { b'B' } else { b'A' };
        let typo = String::from_utf8(typo).unwrap();
        assert!(matches!(redeem(&log, &typo, 1_100), Err(CodeError::Mistyped)));
        assert!(matches!(redeem(&log, &code, 1_500), Err(CodeError::Unknown)));
        let lower = code.to_lowercase().replace('-', "");
        assert_eq!(redeem(&log, &lower, 1_499).unwrap(), person);
        assert!(matches!(redeem(&log, &code, 1_499), Err(CodeError::Unknown)));
        for junk in ["", "你好", "0000-0000-000", &"Z".repeat(1_000)] {
            assert!(redeem(&log, junk, 0).is_err());
        }
    }
}
