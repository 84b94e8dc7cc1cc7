//! One webhook: its address, its key, and what is sent there in the form of Standard Webhooks
//! (<https://www.standardwebhooks.com>).
//!
//! In: what notices of a document say of one thing. Out: a body, the same for every attempt, and for each
//! attempt its headers. In a body stand ids, numbers of documents and staff, roles, times and words of the
//! program and the policy; no name, and nothing that anybody typed. Not here: when it is sent, and what is
//! made of the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Url;
use serde::Serialize;
use sha2::Sha256;
use sync_core::directory::Directory;
use sync_core::notice::{Notice, To};
use sync_core::time::{UnixMs, utc};

use crate::config::{Secret, Webhook};

/// A webhook that is ready to be told.
#[derive(Clone, Debug)]
pub struct Hook {
    /// As it is configured.
    pub config: Webhook,
    /// Its address.
    pub url: Url,
    secret: Secret,
}

/// What is sent of a notice (Standard Webhooks, "Payload structure").
#[derive(Serialize)]
struct Body<'a> {
    /// `notice.` and its kind.
    r#type: String,
    /// Since when, ISO 8601.
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: String,
    kind: &'static str,
    title: &'static str,
    title_en: &'static str,
    doc: String,
    number: &'a str,
    at_ms: UnixMs,
    due_ms: Option<UnixMs>,
    roles: Vec<String>,
    powers: Vec<&'static str>,
    people: Vec<String>,
    words: &'a str,
    words_en: &'a str,
}

impl Hook {
    /// Reads its address and secret.
    pub fn open(config: &Webhook) -> Result<Self, String> {
        Ok(Self { url: config.address()?, secret: config.secret()?, config: config.clone() })
    }

    /// The headers of an attempt at a moment: the message's id, the moment in seconds, the signature over
    /// both and the body.
    pub fn headers(&self, id: &[u8; 16], body: &[u8], now_ms: UnixMs) -> [(&'static str, String); 3] {
        let (id, seconds) = (message_id(id), now_ms.div_euclid(1_000).to_string());
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret.0).expect("HMAC takes a key of any length");
        for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
            mac.update(part);
        }
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        [("webhook-id", id), ("webhook-timestamp", seconds), ("webhook-signature", signature)]
    }
}

/// A message is named after its notice: the same for every attempt and on every day.
fn message_id(id: &[u8; 16]) -> String {
    format!("msg_{}", hex::encode(id))
}

/// What is sent of one thing that several notices may tell: to each of its recipients its own.
pub fn body(notices: &[&Notice], directory: &Directory) -> Vec<u8> {
    let Some(first) = notices.first() else { return Vec::new() };
    let (kind, title, title_en) = first.kind.words();
    let mut data = Data {
        id: hex::encode(first.id),
        kind,
        title,
        title_en,
        doc: first.doc.to_string(),
        number: &first.number,
        at_ms: first.at_ms,
        due_ms: first.due_ms,
        roles: Vec::new(),
        powers: Vec::new(),
        people: Vec::new(),
        words: &first.plain.0,
        words_en: &first.plain.1,
    };
    for notice in notices {
        match &notice.to {
            To::Role(role) => data.roles.push(role.to_string()),
            To::Power(power) => data.powers.push(power.name()),
            To::Person(person) => {
                data.people.extend(directory.people.get(person).map(|person| person.number.clone()));
            }
        }
    }
    let body = Body { r#type: format!("notice.{kind}"), timestamp: utc(first.at_ms).to_rfc3339(), data };
    serde_json::to_vec(&body).expect("a record of texts and numbers is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_standard_webhooks_gives_as_its_example() {
        // The example of the specification's reference libraries.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let config = Webhook {
            name: "crm".into(),
            url: "https://crm.example/".into(),
            secret_file: Some(file),
            kinds: Default::default(),
        };
        let hook = Hook::open(&config).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&hook.secret.0).unwrap();
        mac.update(br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#);
        let example = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(example, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let headers = hook.headers(&[7; 16], b"{}", 1_614_265_330_999);
        assert_eq!(headers[0], ("webhook-id", format!("msg_{}", "07".repeat(16))));
        assert_eq!(headers[1], ("webhook-timestamp", "1614265330".to_owned()));
        assert!(!format!("{hook:?}").contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    }
}
