//! Sealing at rest: XChaCha20-Poly1305 under a key that the app keeps in the platform's keystore.
//!
//! In: a name (what the bytes are and where they belong) and plain bytes. Out: 24 bytes of nonce, the
//! ciphertext, 16 bytes of tag ([`OVERHEAD`] in all). The name is authenticated and not stored, so a
//! sealed value that is moved under another name does not open.
//!
//! Invariants: every seal draws a fresh random nonce (192 bits: random ones do not meet); the key is
//! wiped from memory on drop and shown by no `Debug`.
//!
//! Deliberately not here: where the key comes from, and the nonce's randomness, which is a parameter.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Bytes that a seal adds to a value.
pub(super) const OVERHEAD: usize = NONCE_BYTES + TAG_BYTES;

/// The key of one device's store: 32 bytes, wiped from memory on drop.
pub struct StoreKey(Zeroizing<[u8; 32]>);

impl StoreKey {
    /// The key with these bytes, which must come from a cryptographic source of randomness.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}
impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// Seals and opens under one key.
pub(super) struct Sealer {
    cipher: XChaCha20Poly1305,
    rng: Box<dyn CryptoRng + Send + Sync>,
}

impl Sealer {
    pub(super) fn new(key: &StoreKey, rng: impl CryptoRng + Send + Sync + 'static) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.0.as_slice().try_into().expect("32 bytes")),
            rng: Box::new(rng),
        }
    }
    pub(super) fn seal(&mut self, name: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
        let mut nonce = [0; NONCE_BYTES];
        self.rng.fill_bytes(&mut nonce);
        sealed.extend_from_slice(&nonce);
        let body = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: name })
            .expect("the cipher takes up to 256 GiB, far above every bound on a value");
        sealed.extend_from_slice(&body);
        sealed
    }
    /// The plain bytes; `None` where key, name or bytes are not those of the seal.
    pub(super) fn open(&self, name: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: name }).ok()
    }
}

/// A sealed value's tag as a number: it stands for name and value, and differs for each sealing.
pub(super) fn tag(sealed: &[u8]) -> u128 {
    sealed.last_chunk::<TAG_BYTES>().map_or(0, |tag| u128::from_be_bytes(*tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng as _;

    fn sealer(key: u8) -> Sealer {
        Sealer::new(&StoreKey::from_bytes([key; 32]), rand_chacha::ChaCha20Rng::from_seed([1; 32]))
    }

    #[test]
    fn a_seal_opens_under_its_key_and_name_only() {
        let mut one = sealer(1);
        let sealed = one.seal(b"name", b"value");
        assert_eq!(sealed.len(), 5 + OVERHEAD);
        assert_eq!(one.open(b"name", &sealed).as_deref(), Some(b"value".as_slice()));
        assert_eq!(one.open(b"other", &sealed), None);
        assert_eq!(sealer(2).open(b"name", &sealed), None);
    }
    #[test]
    fn no_byte_of_a_seal_can_change_and_no_cut_opens() {
        let mut one = sealer(1);
        let sealed = one.seal(b"name", b"value");
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert_eq!(one.open(b"name", &bad), None);
            assert_eq!(one.open(b"name", &sealed[..at]), None);
        }
    }
    #[test]
    fn the_same_value_is_never_sealed_alike() {
        let mut one = sealer(1);
        assert_ne!(one.seal(b"name", b"value"), one.seal(b"name", b"value"));
    }
    #[test]
    fn a_key_shows_no_bytes() {
        assert_eq!(format!("{:?}", StoreKey::from_bytes([0x41; 32])), "StoreKey(..)");
    }
}
