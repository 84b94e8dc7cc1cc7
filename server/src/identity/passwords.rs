//! Office passwords: argon2id, as PHC strings in the log's records. Slow on purpose: callers keep it off
//! async threads.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use sync_core::ids::PersonId;
use sync_core::time::UnixMs;

use crate::log::{Batch, ChangeLog, LogError};

/// Characters that a password has at least.
pub const CHARS_MIN: usize = 10;

/// Why a password is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too short, or longer than anyone types.
    #[error("a password has at least {CHARS_MIN} characters")]
    Length,
    /// It could not be hashed.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
}

fn record_key(person: PersonId) -> Vec<u8> {
    [b"password/", &person.as_bytes()[..]].concat()
}

/// Sets a person's password.
pub fn set(
    log: &dyn ChangeLog,
    person: PersonId,
    password: &str,
    now_ms: UnixMs,
) -> Result<(), PasswordError> {
    if !(CHARS_MIN..=200).contains(&password.chars().count()) {
        return Err(PasswordError::Length);
    }
    let salt = crate::clock::random::<16>();
    let hash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|e| PasswordError::Hash(e.to_string()))?;
    let records = vec![(record_key(person), Some(hash.to_string().into_bytes()))];
    log.append(Batch { records, at_ms: now_ms, ..Batch::default() })?;
    Ok(())
}

/// Whether a person's password is this. A person without one costs as much time as one with.
pub fn verify(log: &dyn ChangeLog, person: Option<PersonId>, password: &str) -> Result<bool, LogError> {
    let stored = person.map(|p| log.record(&record_key(p))).transpose()?.flatten();
    let known = stored.is_some();
    let phc = stored.and_then(|b| String::from_utf8(b).ok()).unwrap_or_else(|| DUMMY.to_owned());
    let hash = PasswordHash::new(&phc).map_err(|e| LogError::Corrupt(e.to_string()))?;
    let fits =
        password.len() <= 1_000 && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
    Ok(known && fits)
}

/// A hash that no password has, to spend the same time on.
const DUMMY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::KeptLog;
    use sync_core::store::MemoryStore;

    #[test]
    fn only_the_right_password_of_the_right_person_is_taken() {
        let log = KeptLog::open(MemoryStore::new(), 1).unwrap();
        let (a, b) = (PersonId::from_bytes([1; 16]), PersonId::from_bytes([2; 16]));
        assert!(matches!(set(&log, a, "short", 0), Err(PasswordError::Length)));
        set(&log, a, "correct horse", 0).unwrap();
        assert!(verify(&log, Some(a), "correct horse").unwrap());
        assert!(!verify(&log, Some(a), "wrong horse!").unwrap());
        assert!(!verify(&log, Some(b), "correct horse").unwrap());
        assert!(!verify(&log, None, "correct horse").unwrap());
    }
}
