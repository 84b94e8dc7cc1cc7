//! Facts (事实记录): immutable, signed entries of a document's log.
//!
//! A fact is a COSE_Sign1 (RFC 9052, Ed25519) over a CBOR map that names its document, its own id, its
//! author and device, the device's time, the policy version and what happened. It cannot be altered,
//! moved to another document, or made for another person; anyone with the company's public key and the
//! device's certificate can check it without us.
//!
//! Not here: whether the author *may* say it ([`crate::authority`]) and what follows ([`crate::fold`]).

pub mod keys;
pub mod kinds;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::ids::{DeviceId, DocId, FactId, PersonId};
use crate::limits;
use crate::time::Stamp;
use keys::{PublicKey, SecretKey, SignedError, Unverified};
use kinds::Payload;

/// The newest layout of facts that this build reads. A fact that needs a newer one is kept, not judged.
pub const READER: u16 = 1;

const FACT_AAD: &[u8] = b"gendan/fact/1";

/// What a fact says, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The document it stands in.
    pub doc: DocId,
    /// Its id, also its key in the log.
    pub id: FactId,
    /// Who says it.
    pub author: PersonId,
    /// With which device.
    pub device: DeviceId,
    /// When.
    pub stamp: Stamp,
    /// The policy version that the device worked by; 0 before there is one.
    pub policy: u32,
    /// What happened.
    pub payload: Payload,
    /// The reader that is needed to understand it.
    pub reader: u16,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Body {
    #[n(0)]
    doc: DocId,
    #[n(1)]
    id: FactId,
    #[n(2)]
    author: PersonId,
    #[n(3)]
    device: DeviceId,
    #[n(4)]
    stamp: Stamp,
    #[n(5)]
    policy: u32,
    #[n(6)]
    kind: u16,
    #[n(7)]
    payload: ByteVec,
    #[n(8)]
    reader: u16,
}

impl Fact {
    /// Signs the fact; the bytes are what stands in the log.
    pub fn sign(&self, key: &SecretKey) -> Vec<u8> {
        let body = Body {
            doc: self.doc,
            id: self.id,
            author: self.author,
            device: self.device,
            stamp: self.stamp,
            policy: self.policy,
            kind: self.payload.number(),
            payload: self.payload.to_cbor().into(),
            reader: self.reader,
        };
        let payload = minicbor::to_vec(&body).expect("writing CBOR to memory cannot fail");
        keys::sign1(key, self.device.as_bytes(), FACT_AAD, payload)
    }

    /// Reads a fact and checks that its parts agree; the signature is checked by `key_of`, which gives
    /// the public key of the device that the fact names, or nothing if there is none.
    pub fn verify(
        bytes: &[u8],
        key_of: impl FnOnce(&Fact) -> Option<PublicKey>,
    ) -> Result<Self, SignedError> {
        let (fact, signed) = Self::parse(bytes)?;
        let key = key_of(&fact).ok_or(SignedError::Signature)?;
        signed.verify(&key, FACT_AAD)?;
        Ok(fact)
    }

    /// Reads a fact whose signature was checked when it was admitted.
    pub fn read(bytes: &[u8]) -> Result<Self, SignedError> {
        Self::parse(bytes).map(|(fact, _)| fact)
    }

    fn parse(bytes: &[u8]) -> Result<(Self, Unverified), SignedError> {
        let signed = Unverified::parse(bytes, limits::FACT_BYTES_MAX)?;
        let malformed = |e: minicbor::decode::Error| SignedError::Malformed(e.to_string());
        let body: Body = minicbor::decode(signed.payload()).map_err(malformed)?;
        if signed.kid() != body.device.as_bytes() {
            return Err(SignedError::Malformed("the key id is not the device's".into()));
        }
        let payload = if body.reader > READER {
            Payload::Unknown { kind: body.kind, bytes: body.payload.into() }
        } else {
            Payload::from_cbor(body.kind, &body.payload).map_err(malformed)?
        };
        let fact = Self {
            doc: body.doc,
            id: body.id,
            author: body.author,
            device: body.device,
            stamp: body.stamp,
            policy: body.policy,
            payload,
            reader: body.reader,
        };
        Ok((fact, signed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CompanyId, DocKind};
    use kinds::{Contact, Payload};
    use proptest::prelude::*;

    fn fact() -> Fact {
        Fact {
            doc: DocId::new(DocKind::Order, [1; 16]),
            id: FactId::from_bytes([2; 16]),
            author: PersonId::from_bytes([3; 16]),
            device: DeviceId::from_bytes([4; 16]),
            stamp: Stamp { wall_ms: 1, offset_min: 480, trusted_ms: None, known_since_ms: Some(0) },
            policy: 3,
            payload: Payload::Contact(Contact {
                channel: "phone".into(),
                words: "周六上午送".into(),
                evidence: vec![],
            }),
            reader: 1,
        }
    }
    fn key() -> SecretKey {
        SecretKey::from_seed(&[9; 32])
    }

    #[test]
    fn a_signed_fact_reads_back_and_holds() {
        let bytes = fact().sign(&key());
        assert_eq!(Fact::verify(&bytes, |_| Some(key().public())).unwrap(), fact());
        let other = SecretKey::from_seed(&[8; 32]).public();
        assert_eq!(Fact::verify(&bytes, |_| Some(other)), Err(SignedError::Signature));
    }
    #[test]
    fn a_kind_from_a_newer_app_is_kept_whole() {
        let mut newer = fact();
        newer.payload = Payload::Unknown { kind: 999, bytes: vec![0xa0] };
        let bytes = newer.sign(&key());
        assert_eq!(Fact::verify(&bytes, |_| Some(key().public())).unwrap(), newer);
    }
    #[test]
    fn a_certificate_holds_for_its_company_only() {
        let company_key = SecretKey::from_seed(&[1; 32]);
        let certificate = keys::Certificate {
            company: CompanyId::from_bytes([5; 16]),
            device: DeviceId::from_bytes([4; 16]),
            person: PersonId::from_bytes([3; 16]),
            key: key().public().0.into(),
            issued_ms: 5,
        };
        let bytes = certificate.issue(&company_key);
        assert_eq!(keys::Certificate::verify(&bytes, &company_key.public()).unwrap(), certificate);
        assert!(keys::Certificate::verify(&bytes, &key().public()).is_err());
    }
    proptest! {
        #[test]
        fn any_flipped_bit_breaks_the_signature(at in 0usize..10_000, bit in 0u8..8) {
            let mut bytes = fact().sign(&key());
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(Fact::verify(&bytes, |_| Some(key().public())).is_err());
        }
        #[test]
        fn foreign_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
            prop_assert!(Fact::read(&bytes).is_err());
        }
    }
}
