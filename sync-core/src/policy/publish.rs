//! Publishing: the one form of a policy that everyone holds, named by its hash.
//!
//! In: a checked policy and its version. Out: CBOR bytes (layout, version, policy) and their SHA-256;
//! the same policy gives the same bytes. Opening checks length, hash, layout and every rule of
//! [`super::check`] again, so that foreign bytes yield an error, never a policy that does not hold.

use super::check;
use super::model::Policy;
use crate::ids::BlobHash;
use crate::limits;

/// The layout of published policies.
const LAYOUT: u16 = 1;
/// Nesting of a published policy; deeper bytes are not read.
const DEPTH_MAX: usize = 32;

/// A policy with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedPolicy {
    /// Its version.
    pub version: u32,
    /// The hash of its published form.
    pub hash: BlobHash,
    /// The policy.
    pub policy: Policy,
}

/// The published form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// CBOR.
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes.
    pub hash: BlobHash,
}

/// Why bytes are not a published policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Longer than allowed.
    #[error("a policy has at most {} bytes", limits::POLICY_BYTES_MAX)]
    TooLarge,
    /// The bytes are not what their hash says.
    #[error("the policy's bytes do not have the hash that was published")]
    Hash,
    /// Not CBOR of a policy.
    #[error("not a published policy: {0}")]
    Malformed(String),
    /// From a newer build.
    #[error("the policy has layout {0}; a newer app reads it")]
    Newer(u16),
    /// It has faults.
    #[error("the policy has faults: {0}")]
    Faults(String),
}

impl Published {
    /// The published form of a checked policy.
    pub fn of(version: u32, policy: &Policy) -> Self {
        let mut bytes = Vec::new();
        ciborium::into_writer(&(LAYOUT, version, policy), &mut bytes)
            .expect("a policy is plain data, and writing to memory cannot fail");
        Self { hash: BlobHash::of(&bytes), bytes }
    }

    /// Opens published bytes that should have this hash.
    pub fn open(bytes: &[u8], hash: BlobHash) -> Result<VersionedPolicy, PublishError> {
        if bytes.len() > limits::POLICY_BYTES_MAX {
            return Err(PublishError::TooLarge);
        }
        if BlobHash::of(bytes) != hash {
            return Err(PublishError::Hash);
        }
        let read: Result<(u16, u32, Policy), _> =
            ciborium::de::from_reader_with_recursion_limit(bytes, DEPTH_MAX);
        let (layout, version, policy) = read.map_err(|e| PublishError::Malformed(e.to_string()))?;
        if layout != LAYOUT {
            return Err(PublishError::Newer(layout));
        }
        match check::check(&policy).first() {
            None => Ok(VersionedPolicy { version, hash, policy }),
            Some(fault) => Err(PublishError::Faults(fault.text(crate::refusal::Lang::En))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_shipped_profile_survives_publishing() {
        for name in check::shipped_names() {
            let policy = check::parse(check::shipped(name).unwrap()).unwrap();
            let published = Published::of(7, &policy);
            let opened = Published::open(&published.bytes, published.hash).unwrap();
            assert_eq!((opened.version, &opened.policy), (7, &policy));
            assert_eq!(Published::of(7, &policy), published, "the same policy gives the same bytes");
            assert_eq!(Published::open(&published.bytes, BlobHash([0; 32])), Err(PublishError::Hash));
        }
    }
    proptest! {
        #[test]
        fn foreign_bytes_are_refused_without_a_panic(bytes: Vec<u8>, at in 0usize..9_000, bit in 0u8..8) {
            prop_assert!(Published::open(&bytes, BlobHash::of(&bytes)).is_err());
            let policy = check::parse(check::shipped("service-centre").unwrap()).unwrap();
            let mut near = Published::of(1, &policy).bytes;
            let at = at % near.len();
            near[at] ^= 1 << bit;
            // A changed letter of a title is another valid policy; what matters is that nothing panics.
            drop(Published::open(&near, BlobHash::of(&near)));
        }
    }
}
