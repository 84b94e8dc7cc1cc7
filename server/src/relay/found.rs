//! Founding a company: its key, its first person, its first policy, and the office's first device.

use std::sync::Arc;

use sync_core::command::Action;
use sync_core::fact::keys::{Certificate, PublicKey, SecretKey};
use sync_core::fact::kinds::{Founded, Payload};
use sync_core::ids::{CommandId, CompanyId, DeviceId, DocId, FactId, Name, PersonId};
use sync_core::policy::publish::Published;
use sync_core::time::{Now, UnixMs};

use super::office::Clerk;
use super::{Relay, RelayError};
use crate::log::ChangeLog;

/// Who founds what.
#[derive(Clone, Debug)]
pub struct Founding {
    /// The company's name.
    pub name: String,
    /// The founder's staff number.
    pub number: String,
    /// The founder's name.
    pub person_name: String,
    /// The founder's role; it should have every power.
    pub role: Name,
}

/// The certificate of a device, signed with the company key.
pub fn certify(
    company: CompanyId,
    company_key: &SecretKey,
    person: PersonId,
    device: DeviceId,
    key: PublicKey,
    now_ms: UnixMs,
) -> Vec<u8> {
    Certificate { company, device, person, key: key.0.into(), issued_ms: now_ms }.issue(company_key)
}

/// Founds a company in an empty log: the directory begins, and the first policy is published.
pub fn found(
    log: Arc<dyn ChangeLog>,
    company: CompanyId,
    company_key: &SecretKey,
    clerk: &mut Clerk<'_>,
    founding: Founding,
    policy: &Published,
    now: &Now,
) -> Result<Relay, RelayError> {
    let relay = Relay::open(log, company)?;
    let now_ms = now.unix_ms();
    let certificate = certify(company, company_key, clerk.person, clerk.device, clerk.key.public(), now_ms);
    let founded = Payload::from(Founded {
        name: founding.name,
        key: company_key.public().0.into(),
        certificate: certificate.into(),
        number: founding.number,
        person_name: founding.person_name,
        role: founding.role,
    });
    let action = Action {
        command: CommandId::at(now_ms, clerk.draw()),
        doc: DocId::directory(company),
        edits: Vec::new(),
        fact: Some((FactId::at(now_ms, clerk.draw()), founded.number(), founded.to_cbor().into())),
        stamp: now.stamp(None),
    };
    relay.write(clerk, &action, None, now_ms)?;
    relay.publish(clerk, policy, 1, now_ms, now)?;
    Ok(relay)
}
