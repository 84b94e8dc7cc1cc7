//! What must hold before a company is opened, and what its keeper is told where it does not.
//!
//! A relay that lost its store, or whose keys are another company's, must not start as if all were well:
//! devices would be told that what they once sent was never there. Every message names what is wrong and
//! the way on. Not here: reading the whole store, which is `gendan check`.

use std::path::Path;

use anyhow::{anyhow, bail};
use sync_core::store::StoreError;

use crate::identity::keys::KeyRing;
use crate::relay::Relay;

/// The way on for a store that is damaged or gone.
const WAY_ON: &str = "restore a backup into an empty folder (`gendan --data NEW restore BACKUP`); devices then \
                      send again what the backup lacks. Keep this folder until that is done: nothing in it \
                      was deleted";

/// Refuses a company folder without its store: opening it would make an empty one.
pub fn present(data: &Path) -> anyhow::Result<()> {
    let log = data.join("log");
    let ours = |name: &str| name == "anchor" || name.split('.').next() == Some("data");
    let mut entries = log.read_dir().into_iter().flatten().flatten();
    if entries.any(|entry| entry.file_name().to_str().is_some_and(ours)) {
        return Ok(());
    }
    bail!("the store in {} is missing, although the company's keys are here: {WAY_ON}", log.display())
}

/// The error of a store that does not open, in words for its keeper.
pub fn told(log: &Path, error: &StoreError) -> anyhow::Error {
    let at = log.display();
    match error {
        StoreError::Busy => anyhow!(
            "the store in {at} is open in another process (`gendan serve`?): stop that one first, or ask it \
             with a command that speaks with a running relay (backup, import, evidence)"
        ),
        StoreError::Corrupt { what, .. } => anyhow!("the store in {at} is damaged ({what}): {WAY_ON}"),
        StoreError::LostTail { expected, found } => anyhow!(
            "the store in {at} has lost its last {} commits (it stands at {found}, {expected} were durable): {WAY_ON}",
            expected.saturating_sub(*found)
        ),
        StoreError::WrongKey => anyhow!(
            "identity/store.key does not open the store in {at}: put the right key back from a backup (its \
             identity/ folder), or {WAY_ON}"
        ),
        StoreError::NewerLayout { found, known } => anyhow!(
            "the store in {at} has layout {found}, this build reads {known}: run the newer gendan that wrote it"
        ),
        StoreError::Full => {
            anyhow!("there is no room left for the store in {at}: free some space, then start again")
        }
        other => anyhow!("the store in {at} cannot be used: {other}"),
    }
}

/// Refuses keys that are not those of the company in the store.
pub fn fits(keys: &KeyRing, relay: &Relay) -> anyhow::Result<()> {
    let footing = relay.footing();
    let Some(key) = footing.directory.key else {
        if relay.log().head().0 == 0 {
            bail!(
                "the store holds no company: its founding was cut short, or it was lost; found it anew in an \
                   empty folder (`gendan init`), or {WAY_ON}"
            );
        }
        bail!(
            "identity/company.id names another company than the store holds: put the file back from a backup"
        );
    };
    if key != keys.company_key.public() {
        bail!(
            "identity/company.key is not the key of the company in the store: put the file back from a backup"
        );
    }
    for person in footing.directory.people.keys() {
        let Some((device, key)) = keys.custodial(*person)? else { continue };
        let enrolled = footing.directory.devices.get(&device).is_some_and(|d| d.key == key.public());
        if !enrolled {
            bail!(
                "identity/office/{person}.key is not the key that was enrolled: put the file back from a backup"
            );
        }
    }
    Ok(())
}
