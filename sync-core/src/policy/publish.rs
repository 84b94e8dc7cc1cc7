//! The published form of a policy: CBOR with a version, named by its hash.
//!
//! Out: the array `[layout, version, policy]`, the same bytes for the same policy everywhere: fields in
//! the order of the model, maps in the order of their keys. In: bytes from a relay or from storage, and the
//! hash that the directory's fact names. They are hostile until the hash fits and the policy was checked
//! again; size and depth are bounded first.
//!
//! Deliberately not here: who published it and from when it is in force (a fact of the directory), and
//! whether the bytes are the only encoding of their policy — the hash names bytes, and a policy published
//! by an earlier release must open under a model that has gained fields.

use super::fault::PolicyFault;
use super::model::Policy;
use crate::ids::BlobHash;
use crate::limits;

/// The layout that this release writes and reads.
const LAYOUT: u16 = 1;

/// A policy with the version and hash it is published under.
#[derive(Clone, Debug)]
pub struct VersionedPolicy {
    /// Its version, rising from 1 within a company.
    pub version: u32,
    /// The hash of its published bytes.
    pub hash: BlobHash,
    /// The policy, checked.
    pub policy: Policy,
}

/// Why published bytes are not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishedError {
    /// Larger than any policy may be.
    #[error("a published policy of {0} bytes is too large")]
    TooLarge(usize),
    /// Not the bytes that the hash names.
    #[error("the published policy does not have the hash it is named by")]
    WrongHash,
    /// A layout of a newer release.
    #[error("the published policy has layout {0}; this release reads layout 1")]
    NewerLayout(u16),
    /// Not a published policy.
    #[error("not a published policy: {0}")]
    Malformed(String),
    /// A policy that cannot be worked by.
    #[error("the published policy has {count} faults, first {first}")]
    Faulty {
        /// How many faults were found.
        count: usize,
        /// The first of them.
        first: Box<PolicyFault>,
    },
}

impl PublishedError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "policy_too_large",
            Self::WrongHash => "policy_wrong_hash",
            Self::NewerLayout(_) => "policy_newer_layout",
            Self::Malformed(_) => "policy_malformed",
            Self::Faulty { .. } => "policy_faulty",
        }
    }
    fn malformed(error: impl std::fmt::Display) -> Self {
        Self::Malformed(error.to_string().chars().take(200).collect())
    }
}

/// A policy as bytes, named by their hash.
pub struct Published {
    /// The CBOR.
    pub bytes: Vec<u8>,
    /// The hash of the bytes.
    pub hash: BlobHash,
}

impl Published {
    /// The published form of a checked policy.
    pub fn of(version: u32, policy: &Policy) -> Self {
        let mut bytes = Vec::new();
        ciborium::into_writer(&(LAYOUT, version, policy), &mut bytes)
            .expect("memory takes every write, and each value of the model has a CBOR form");
        Self { hash: BlobHash::of(&bytes), bytes }
    }

    /// Opens published bytes and checks the policy again.
    ///
    /// # Errors
    /// See [`PublishedError`]; nothing of the bytes is used then.
    pub fn open(bytes: &[u8], hash: BlobHash) -> Result<VersionedPolicy, PublishedError> {
        if bytes.len() > limits::POLICY_BYTES_MAX {
            return Err(PublishedError::TooLarge(bytes.len()));
        }
        if BlobHash::of(bytes) != hash {
            return Err(PublishedError::WrongHash);
        }
        let mut head = minicbor::Decoder::new(bytes);
        let parts = head.array().map_err(PublishedError::malformed)?;
        let layout = head.u16().map_err(PublishedError::malformed)?;
        if layout > LAYOUT {
            return Err(PublishedError::NewerLayout(layout));
        }
        if parts != Some(3) || layout != LAYOUT {
            return Err(PublishedError::malformed("not an array of layout, version and policy"));
        }
        let version = head.u32().map_err(PublishedError::malformed)?;
        let mut rest = bytes.get(head.position()..).unwrap_or_default();
        let policy: Policy =
            ciborium::de::from_reader_with_recursion_limit(&mut rest, limits::POLICY_DEPTH_MAX)
                .map_err(PublishedError::malformed)?;
        if !rest.is_empty() {
            return Err(PublishedError::malformed("bytes follow the policy"));
        }
        let faults = policy.faults();
        let count = faults.len();
        match faults.into_iter().next() {
            Some(first) => Err(PublishedError::Faulty { count, first: Box::new(first) }),
            None => Ok(VersionedPolicy { version, hash, policy }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{SHIPPED, shipped};
    use super::*;
    use proptest::prelude::*;

    fn general() -> Policy {
        Policy::parse(shipped("general").unwrap()).unwrap()
    }
    fn code_of(bytes: &[u8]) -> &'static str {
        Published::open(bytes, BlobHash::of(bytes)).map_or_else(|error| error.code(), |_| "opened")
    }

    #[test]
    fn every_shipped_policy_comes_back_from_its_published_form() {
        for (name, toml) in SHIPPED {
            let policy = Policy::parse(toml).unwrap();
            let published = Published::of(7, &policy);
            let opened = Published::open(&published.bytes, published.hash).unwrap();
            assert_eq!((opened.version, opened.hash), (7, published.hash), "{name}");
            assert_eq!(opened.policy, policy, "{name}");
            assert_eq!(Published::of(7, &opened.policy).bytes, published.bytes, "{name}");
            assert_ne!(Published::of(8, &policy).hash, published.hash, "{name}");
        }
    }

    #[test]
    fn the_order_and_comments_of_the_toml_do_not_change_the_published_bytes() {
        let policy = general();
        let toml = toml::to_string(&policy).unwrap();
        let again = Policy::parse(&toml).unwrap();
        assert_eq!(Published::of(1, &again).bytes, Published::of(1, &policy).bytes);
    }

    #[test]
    fn what_is_not_the_named_published_policy_is_refused_by_code() {
        let policy = general();
        let good = Published::of(1, &policy).bytes;
        assert_eq!(code_of(&good), "opened");
        let other = Published::open(&good, BlobHash::of(b"other")).unwrap_err();
        assert_eq!(other.code(), "policy_wrong_hash");
        assert_eq!(code_of(&vec![0; limits::POLICY_BYTES_MAX + 1]), "policy_too_large");
        let mut newer = Vec::new();
        ciborium::into_writer(&(LAYOUT + 1, "whatever comes"), &mut newer).unwrap();
        assert_eq!(code_of(&newer), "policy_newer_layout");
        assert_eq!(code_of(&[good.as_slice(), &[0]].concat()), "policy_malformed");
        assert_eq!(code_of(&good[..good.len() - 1]), "policy_malformed");
        assert_eq!(code_of(&[]), "policy_malformed");
        let faulty = Policy { timezone: "Asia/Atlantis".into(), ..policy };
        assert_eq!(code_of(&Published::of(1, &faulty).bytes), "policy_faulty");
    }

    #[test]
    fn nesting_without_end_is_refused_and_not_followed() {
        for nest in [0x81_u8, 0x9f, 0xbf, 0xd8, 0xc1] {
            let bytes = [&[0x83, 1, 1][..], &vec![nest; 200_000]].concat();
            assert_eq!(code_of(&bytes), "policy_malformed", "{nest:x}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert_ne!(code_of(&bytes), "opened");
            let after_a_good_head = [&[0x83, 1, 1][..], &bytes].concat();
            prop_assert_ne!(code_of(&after_a_good_head), "opened");
        }
        #[test]
        fn a_published_policy_with_bytes_changed_never_panics(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = Published::of(1, &general()).bytes;
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(opened) = Published::open(&bytes, BlobHash::of(&bytes)) {
                prop_assert_eq!(opened.policy.faults(), Vec::new());
            }
        }
    }
}
