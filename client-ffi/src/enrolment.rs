//! Enrolment: a one-time code and a fresh key become a certificate and an identity.
//!
//! The key is drawn here and kept in the store before the relay hears of it, so that an answer that got
//! lost on the way can be asked for again: the same code with the same device and key.

use std::sync::Arc;

use rand::Rng as _;
use serde_json::json;
use sync_core::device::record::Identity;
use sync_core::device::{Device, DeviceError};
use sync_core::fact::keys::{Certificate, PublicKey, SecretKey};
use sync_core::ids::DeviceId;
use sync_core::store::{Batch, DeviceStore as _, SledStore, Table};

use crate::clock::{self, Clock};
use crate::error::FieldError;
use crate::session::{ANSWER_MS_MAX, problem, text_of};
use crate::transport::{HttpAnswer, Transport, TransportError};

/// Where the key stands while the relay has not answered: device id ‖ seed.
const BEGUN: &[u8] = b"enrolling";

/// The relay's address as it is kept: a scheme that protects codes and tokens, and no trailing slash.
/// Plain HTTP is for this machine only.
pub fn relay_address(url: &str) -> Result<String, FieldError> {
    let url = url.trim().trim_end_matches('/');
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let is_local = local
        .iter()
        .any(|l| url.strip_prefix(l).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])));
    if url.starts_with("https://") || is_local {
        Ok(url.to_owned())
    } else {
        Err(FieldError::invalid("relay", "an address begins with https://"))
    }
}

/// Enrols an empty store; gives the device.
///
/// # Errors
/// [`FieldError::Refused`] with the relay's words for a code that is wrong, used or too old;
/// [`FieldError::Protocol`] where the certificate is not for this device.
pub async fn enrol(
    mut store: SledStore,
    transport: &Arc<dyn Transport>,
    clock: Clock,
    url: &str,
    code: &str,
) -> Result<Device<SledStore>, FieldError> {
    let relay = relay_address(url)?;
    let (device, seed) = begin(&mut store, clock)?;
    let key = SecretKey::from_seed(&seed);
    let body = json!({
        "code": code.trim(),
        "device": device.to_string(),
        "public_key": hex::encode(key.public().0),
    });
    let sent = transport.post(format!("{relay}/v1/enrol"), body.to_string(), ANSWER_MS_MAX).await;
    let answer = sent.map_err(|e: TransportError| FieldError::offline("unreachable", e))?;
    if let Some(problem) = problem(&answer) {
        return Err(problem.refused());
    }
    let identity = identity(&answer, device, &seed, relay)?;
    Ok(Device::enrol(store, &identity, clock::chance())?)
}

/// The device's id and seed: those of an enrolment that was begun, or fresh ones.
fn begin(store: &mut SledStore, clock: Clock) -> Result<(DeviceId, [u8; 32]), FieldError> {
    let damaged = || FieldError::from(DeviceError::Damaged("a begun enrolment".into()));
    if let Some(bytes) = store.get(Table::Meta, BEGUN)? {
        let (id, seed) = bytes.split_at_checked(16).ok_or_else(damaged)?;
        let id = id.try_into().map_err(|_| damaged())?;
        return Ok((DeviceId::from_bytes(id), seed.try_into().map_err(|_| damaged())?));
    }
    let mut rng = clock::generator();
    let (mut random, mut seed) = ([0; 10], [0; 32]);
    rng.fill_bytes(&mut random);
    rng.fill_bytes(&mut seed);
    let device = DeviceId::at(clock.now().unix_ms(), random);
    store.commit(Batch::new().put(Table::Meta, BEGUN, [&device.as_bytes()[..], &seed].concat()))?;
    Ok((device, seed))
}

fn identity(
    answer: &HttpAnswer,
    device: DeviceId,
    seed: &[u8; 32],
    relay: String,
) -> Result<Identity, FieldError> {
    let bad = |what: &str| FieldError::protocol("certificate", what);
    let bytes = |name: &str| hex::decode(text_of(answer, name)?).map_err(|_| bad("not hexadecimal"));
    let company_key: [u8; 32] =
        bytes("company_key")?.try_into().map_err(|_| bad("the company's key is not 32 bytes"))?;
    let certificate = bytes("certificate")?;
    let read = Certificate::verify(&certificate, &PublicKey(company_key));
    let read = read.map_err(|e| FieldError::protocol("certificate", e))?;
    let is_ours = read.device == device
        && read.public_key() == SecretKey::from_seed(seed).public()
        && read.company.to_string() == text_of(answer, "company")?
        && read.person.to_string() == text_of(answer, "person")?;
    if !is_ours {
        return Err(bad("it is not for this device"));
    }
    Ok(Identity {
        company: read.company,
        device,
        person: read.person,
        seed: (*seed).into(),
        certificate: certificate.into(),
        company_key: company_key.into(),
        relay,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for good in
            ["https://relay.example.com/", "http://127.0.0.1:8080", "http://localhost", " http://[::1]:1/ "]
        {
            assert!(relay_address(good).is_ok(), "{good}");
        }
        for bad in ["http://relay.example.com", "ftp://x", "", "http://localhost.example.com", "127.0.0.1:80"]
        {
            assert!(relay_address(bad).is_err(), "{bad}");
        }
    }
}
