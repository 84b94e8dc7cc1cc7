//! Keys and certificates: who may sign for whom.
//!
//! The company key (Ed25519) signs one certificate for each device; the device key signs facts. A
//! certificate is a COSE_Sign1 (RFC 9052) over a CBOR map, so it can be checked with the company's
//! public key alone, without a relay. Private bytes are wiped on drop and never shown.

use coset::{CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use crate::ids::{CompanyId, DeviceId, PersonId};
use crate::time::UnixMs;

/// What does not hold about a signed thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Not a COSE_Sign1 in its one exact encoding.
    #[error("not a COSE_Sign1 in canonical form: {0}")]
    Malformed(String),
    /// The algorithm is not Ed25519.
    #[error("the signature algorithm is not EdDSA")]
    Algorithm,
    /// The signature does not hold for the key.
    #[error("the signature does not hold")]
    Signature,
    /// It is longer than allowed.
    #[error("longer than {0} bytes")]
    TooLong(usize),
}

/// An Ed25519 signing key. `Debug` shows the public half only.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key with this seed; draw it from a good source of randomness.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }
    /// The seed, for a keystore.
    pub fn seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }
    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    /// A raw signature, for challenges.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}
impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey(public {:?})", self.public())
    }
}

/// An Ed25519 public key: 32 bytes, in text hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Whether a raw signature holds, by the strict rules (no small-order keys, no malleability).
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        key.verify_strict(message, &signature).is_ok()
    }
}
impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0[..6]))
    }
}

/// Signs `payload` as COSE_Sign1 (RFC 9052 §4.2) with `kid` in the protected header.
pub(super) fn sign1(key: &SecretKey, kid: &[u8], aad: &[u8], payload: Vec<u8>) -> Vec<u8> {
    let header = HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).key_id(kid.to_vec()).build();
    CoseSign1Builder::new()
        .protected(header)
        .payload(payload)
        .create_signature(aad, |message| key.sign(message).to_vec())
        .build()
        .to_vec()
        .expect("a COSE_Sign1 built here can be encoded")
}

/// A COSE_Sign1 that was parsed and is canonical; its signature is not yet checked.
pub(super) struct Unverified {
    cose: CoseSign1,
}

impl Unverified {
    /// Parses; the bytes must be exactly what encoding the parsed value again gives, and nothing may
    /// stand in the unprotected header, which no signature covers.
    pub(super) fn parse(bytes: &[u8], max: usize) -> Result<Self, SignedError> {
        if bytes.len() > max {
            return Err(SignedError::TooLong(max));
        }
        let cose = CoseSign1::from_slice(bytes).map_err(|e| SignedError::Malformed(e.to_string()))?;
        if !cose.unprotected.is_empty() {
            return Err(SignedError::Malformed("the unprotected header is not empty".into()));
        }
        let again = cose.clone().to_vec().map_err(|e| SignedError::Malformed(e.to_string()))?;
        if again != bytes {
            return Err(SignedError::Malformed("another encoding of the same value".into()));
        }
        if cose.protected.header.alg != Some(coset::Algorithm::Assigned(iana::Algorithm::EdDSA)) {
            return Err(SignedError::Algorithm);
        }
        Ok(Self { cose })
    }
    pub(super) fn kid(&self) -> &[u8] {
        &self.cose.protected.header.key_id
    }
    pub(super) fn payload(&self) -> &[u8] {
        self.cose.payload.as_deref().unwrap_or_default()
    }
    pub(super) fn verify(&self, key: &PublicKey, aad: &[u8]) -> Result<(), SignedError> {
        self.cose.verify_signature(aad, |signature, message| {
            if key.verifies(message, signature) { Ok(()) } else { Err(SignedError::Signature) }
        })
    }
}

/// What a certificate says: this key belongs to this device of this person.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Certificate {
    /// The company.
    #[n(0)]
    pub company: CompanyId,
    /// The device.
    #[n(1)]
    pub device: DeviceId,
    /// The person who works with it.
    #[n(2)]
    pub person: PersonId,
    /// The device's public key.
    #[n(3)]
    pub key: ByteArray<32>,
    /// When it was issued.
    #[n(4)]
    pub issued_ms: UnixMs,
}

const CERTIFICATE_AAD: &[u8] = b"gendan/certificate/1";
const CERTIFICATE_BYTES_MAX: usize = 1024;

impl Certificate {
    /// Signs with the company key. The result is the certificate's one encoding.
    pub fn issue(&self, company_key: &SecretKey) -> Vec<u8> {
        let payload = minicbor::to_vec(self).expect("writing CBOR to memory cannot fail");
        sign1(company_key, self.company.as_bytes(), CERTIFICATE_AAD, payload)
    }
    /// Reads a certificate and checks it against the company's public key.
    pub fn verify(bytes: &[u8], company_key: &PublicKey) -> Result<Self, SignedError> {
        let signed = Unverified::parse(bytes, CERTIFICATE_BYTES_MAX)?;
        signed.verify(company_key, CERTIFICATE_AAD)?;
        minicbor::decode(signed.payload()).map_err(|e| SignedError::Malformed(e.to_string()))
    }
    /// The device's public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(*self.key)
    }
}
