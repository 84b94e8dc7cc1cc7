//! The company: its people with their devices, its relay, and the office's requests.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use client_ffi::FieldClient;
use client_ffi::shell::block_on;
use serde_json::{Value, json};

use crate::faults::process::{Place, Relay, ask};

const PASSWORD: &str = "gendan-soak-2026";
/// The key of every device's store.
pub const STORE_KEY: [u8; 32] = [7; 32];

/// A person with a device.
#[derive(Debug)]
pub struct Person {
    /// The device's name, and its folder's.
    pub name: &'static str,
    /// The staff number.
    pub number: &'static str,
    /// The role in the shipped furniture profile.
    pub role: &'static str,
    /// The store of the role, where it has one.
    pub store: Option<&'static str>,
}

const fn person(
    name: &'static str,
    number: &'static str,
    role: &'static str,
    store: Option<&'static str>,
) -> Person {
    Person { name, number, role, store }
}

/// Everyone with a device; one salesperson has two.
pub static CAST: [Person; 11] = [
    person("D01", "D01", "sales", Some("城东店")),
    person("D02", "D02", "sales", Some("城西店")),
    person("D02b", "D02", "sales", Some("城西店")),
    person("G01", "G01", "merchandiser", None),
    person("K01", "K01", "warehouse", None),
    person("S01", "S01", "crew", None),
    person("S02", "S02", "crew", None),
    person("F01", "F01", "finance", None),
    person("C01", "C01", "service-desk", None),
    person("E01", "E01", "engineer", None),
    person("M02", "M02", "management", None),
];

/// The office's way to the relay.
#[derive(Clone, Debug)]
pub struct Office {
    /// Where the relay listens, also after it was started again.
    pub address: SocketAddr,
    token: String,
}

impl Office {
    /// A request: the status and the body.
    ///
    /// # Errors
    /// Where the relay does not answer.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        ask(self.address, method, path, &self.token, body)
    }
    /// A request that must succeed.
    ///
    /// # Errors
    /// Where it does not.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let (status, said) = self.ask("POST", path, body)?;
        ensure!(status < 300, "{path}: {status} {said}");
        Ok(said)
    }
    /// How far the relay's log goes.
    ///
    /// # Errors
    /// Where the relay does not say.
    pub fn head(&self) -> anyhow::Result<u64> {
        let text = crate::faults::process::text(self.address, "/metrics")?;
        let head = text.lines().find_map(|l| l.strip_prefix("gendan_log_head "));
        Ok(head.context("no head in the metrics")?.trim().parse()?)
    }
}

/// Where a device's data goes.
pub fn folder(place: &Place, who: &Person) -> PathBuf {
    place.folder.join("devices").join(who.name)
}

/// Founds the company, starts its relay and enrols everyone.
///
/// # Errors
/// Where any of that fails.
pub fn found(place: &Place) -> anyhow::Result<(Relay, Office)> {
    let founding = ["init", "--company", "好家居", "--name", "周总", "--password", PASSWORD];
    let (founded, said) = place.run(&founding)?;
    ensure!(founded, "init: {said}");
    let relay = Relay::start(place, "127.0.0.1:0")?;
    let mut office = Office { address: relay.address, token: String::new() };
    let login = office.post("/v1/office/login", &json!({ "number": "M01", "password": PASSWORD }))?;
    office.token = login["token"].as_str().context("a token")?.to_owned();
    for store in ["城东店", "城西店"] {
        office.post("/v1/commands", &json!({ "do": "add_store", "name": store }))?;
    }
    for who in CAST.iter().filter(|p| p.name == p.number) {
        let (number, role, store) = (who.number, who.role, who.store);
        office.post("/v1/commands", &json!({ "do": "add_person", "number": number, "name": "员工" }))?;
        let grant = json!({ "do": "grant_role", "number": number, "role": role, "store": store });
        office.post("/v1/commands", &grant)?;
    }
    for who in &CAST {
        enrol(place, &office, who)?;
    }
    Ok((relay, office))
}

/// A person's device is enrolled and taken into step once.
fn enrol(place: &Place, office: &Office, who: &Person) -> anyhow::Result<()> {
    let code = office.post("/v1/enrolments", &json!({ "number": who.number }))?;
    let code = code["code"].as_str().context("a code")?.to_owned();
    let dir = folder(place, who).to_str().context("a folder's name is text")?.to_owned();
    let relay = format!("http://{}", office.address);
    let client = block_on(FieldClient::enrol(dir, STORE_KEY.to_vec(), relay, code))?;
    block_on(client.sync(Some(60_000), None))?;
    Ok(())
}
