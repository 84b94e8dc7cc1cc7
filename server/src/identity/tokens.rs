//! Tokens: short-lived JWTs (RFC 7519, HS256), got by signing a challenge with the device's key or by an
//! office password. The relay alone makes and checks them, so a shared secret is enough. A token is
//! good only while its device is not revoked; that is asked at each use.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sync_core::fact::keys::PublicKey;
use sync_core::ids::{CompanyId, DeviceId, PersonId};
use sync_core::time::UnixMs;

/// Challenges that may be open at once; the oldest go first.
const CHALLENGES_MAX: usize = 10_000;
/// How long a challenge may be answered.
const CHALLENGE_MS: i64 = 60_000;

/// Who a token speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A device in the field.
    Device,
    /// A person in the office, through their custodial device.
    Office,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    person: String,
    kind: Kind,
    iat: i64,
    exp: i64,
}

/// Who stands behind a token that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The device.
    pub device: DeviceId,
    /// Its person.
    pub person: PersonId,
    /// Field or office.
    pub kind: Kind,
}

/// Makes and checks tokens.
pub struct Tokens {
    company: CompanyId,
    encoding: EncodingKey,
    decoding: DecodingKey,
    lifetime_ms: i64,
    challenges: Mutex<HashMap<[u8; 32], (DeviceId, UnixMs)>>,
}

/// What a device signs: a fixed text, the company, the nonce.
pub fn challenge_message(company: CompanyId, nonce: &[u8]) -> Vec<u8> {
    [b"gendan/challenge/1", &company.as_bytes()[..], nonce].concat()
}

impl Tokens {
    /// Tokens of a company that live so long.
    pub fn new(company: CompanyId, secret: &[u8], lifetime_ms: i64) -> Self {
        Self {
            company,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            lifetime_ms,
            challenges: Mutex::default(),
        }
    }

    /// How long a token lives, in seconds.
    pub fn lifetime_s(&self) -> i64 {
        self.lifetime_ms / 1000
    }

    /// A challenge for a device; `nonce` is fresh randomness.
    pub fn challenge(&self, device: DeviceId, nonce: [u8; 32], now_ms: UnixMs) {
        let mut open = self.challenges.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, (_, until)| *until > now_ms);
        if open.len() >= CHALLENGES_MAX {
            let oldest = open.iter().min_by_key(|(_, (_, until))| *until).map(|(nonce, _)| *nonce);
            if let Some(oldest) = oldest {
                open.remove(&oldest);
            }
        }
        open.insert(nonce, (device, now_ms + CHALLENGE_MS));
    }

    /// Whether a device answered its challenge with its key; a challenge is answered once.
    pub fn answered(
        &self,
        device: DeviceId,
        key: &PublicKey,
        nonce: [u8; 32],
        signature: &[u8],
        now_ms: UnixMs,
    ) -> bool {
        let open = self.challenges.lock().unwrap_or_else(PoisonError::into_inner).remove(&nonce);
        open.is_some_and(|(asked, until)| asked == device && now_ms < until)
            && key.verifies(&challenge_message(self.company, &nonce), signature)
    }

    /// A token.
    pub fn issue(&self, bearer: Bearer, now_ms: UnixMs) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            sub: bearer.device.to_string(),
            person: bearer.person.to_string(),
            kind: bearer.kind,
            iat: now_ms / 1000,
            exp: (now_ms + self.lifetime_ms) / 1000,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
    }

    /// Who stands behind a token; `None` where it does not hold or has expired.
    pub fn verify(&self, token: &str, now_ms: UnixMs) -> Option<Bearer> {
        let mut validation = Validation::new(Algorithm::HS256);
        // Time is a parameter here: expiry is compared below.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).ok()?.claims;
        let bearer = Bearer {
            device: claims.sub.parse().ok()?,
            person: claims.person.parse().ok()?,
            kind: claims.kind,
        };
        (now_ms / 1000 < claims.exp).then_some(bearer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_core::fact::keys::SecretKey;

    #[test]
    fn a_token_holds_until_its_second_and_a_challenge_is_answered_once() {
        let company = CompanyId::from_bytes([1; 16]);
        let tokens = Tokens::new(company, &[9; 32], 600_000);
        let (device, person) = (DeviceId::from_bytes([2; 16]), PersonId::from_bytes([3; 16]));
        let bearer = Bearer { device, person, kind: Kind::Device };
        let token = tokens.issue(bearer, 0).unwrap();
        assert_eq!(tokens.verify(&token, 599_999), Some(bearer));
        assert_eq!(tokens.verify(&token, 600_000), None);
        assert_eq!(Tokens::new(company, &[8; 32], 1).verify(&token, 0), None);
        assert_eq!(tokens.verify("x.y.z", 0), None);
        let key = SecretKey::from_seed(&[4; 32]);
        tokens.challenge(device, [5; 32], 0);
        let signature = key.sign(&challenge_message(company, &[5; 32]));
        assert!(tokens.answered(device, &key.public(), [5; 32], &signature, 1));
        assert!(!tokens.answered(device, &key.public(), [5; 32], &signature, 2));
        tokens.challenge(device, [5; 32], 0);
        assert!(!tokens.answered(device, &key.public(), [5; 32], &signature, CHALLENGE_MS));
    }
}
