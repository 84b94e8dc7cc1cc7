//! Webhooks: where notices are told outside the company, as the configuration names them.
//!
//! In: `[[webhooks]]` of the file; each secret from a file or a variable of its own, never from the
//! configuration itself. Out: checked values, or what is wrong with which hook and what to write. A secret
//! has the form that Standard Webhooks gives it: `whsec_` and base64 of 24 to 64 bytes. It is never shown,
//! logged or written back.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use sync_core::notice::NoticeKind;
use zeroize::Zeroizing;

/// Webhooks at most.
const WEBHOOKS_MAX: usize = 16;
/// Characters of a name and of an address.
const NAME_CHARS_MAX: usize = 40;
const URL_CHARS_MAX: usize = 1_000;
/// Bytes of a secret (Standard Webhooks).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Variables that hold secrets are called `GENDAN_WEBHOOK_SECRET_` and the hook's name.
pub(super) const SECRETS: &str = "webhook_secret_";

/// One webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// What it is called, `a-z`, `0-9` and `-`. What was told stands under this name: another name is
    /// another hook.
    pub name: String,
    /// Where it is told: `https://`, or `http://` on this machine.
    pub url: String,
    /// A file with its secret; where none is given it is read from `GENDAN_WEBHOOK_SECRET_NAME`.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The kinds of notices that are told, such as `escalation`; all where none are given.
    #[serde(default)]
    pub kinds: BTreeSet<String>,
}

/// The key that a webhook's deliveries are signed with.
#[derive(Clone)]
pub struct Secret(pub(crate) Zeroizing<Vec<u8>>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Reads `whsec_` and base64; says what is wrong, without the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or("does not begin with whsec_")?;
        let bytes = STANDARD.decode(digits).map_err(|_| "is not base64 after whsec_")?;
        let bytes = Zeroizing::new(bytes);
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err(format!("has {} bytes after whsec_; 24 to 64 are needed", bytes.len()));
        }
        Ok(Self(bytes))
    }
}

impl Webhook {
    /// Its secret, from its file or variable.
    pub fn secret(&self) -> Result<Secret, String> {
        let variable = format!("GENDAN_{SECRETS}{}", self.name.replace('-', "_")).to_uppercase();
        let (place, text) = match &self.secret_file {
            Some(file) => {
                let read = std::fs::read_to_string(file).map_err(|e| e.kind().to_string());
                (format!("secret_file {}", file.display()), read)
            }
            None => (variable.clone(), std::env::var(&variable).map_err(|_| "is not set".to_owned())),
        };
        let text =
            Zeroizing::new(text.map_err(|e| format!("{place}: {e}; write secret_file or set {variable}"))?);
        Secret::parse(&text).map_err(|e| format!("{place} {e}; write whsec_ and base64 of 24 to 64 bytes"))
    }

    /// Its address.
    pub fn address(&self) -> Result<Url, String> {
        let needs = "write an https:// address, or http:// on this machine";
        if self.url.chars().count() > URL_CHARS_MAX {
            return Err(format!("url is longer than {URL_CHARS_MAX} characters"));
        }
        let url = Url::parse(&self.url).map_err(|e| format!("url: {e}; {needs}"))?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("url holds a user, a password or a fragment; leave it out".to_owned());
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_loopback(&url) => Ok(url),
            _ => Err(format!("url would send notices in the clear; {needs}")),
        }
    }

    /// Whether notices of a kind are told there.
    pub fn tells(&self, kind: NoticeKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind.words().0)
    }

    fn check(&self) -> Result<(), String> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > NAME_CHARS_MAX || !self.name.chars().all(letters) {
            return Err(format!("name: 1 to {NAME_CHARS_MAX} of a-z, 0-9 and - are taken"));
        }
        let known: Vec<&str> = NoticeKind::ALL.into_iter().map(|kind| kind.words().0).collect();
        if let Some(kind) = self.kinds.iter().find(|kind| !known.contains(&kind.as_str())) {
            return Err(format!("kinds: no kind is called {kind:?}; write of {}", known.join(", ")));
        }
        self.address()?;
        self.secret().map(drop)
    }
}

/// Whether an address is on this machine, whatever a name server says.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What is wrong with the webhooks, of the first that is.
pub(super) fn check(webhooks: &[Webhook]) -> Result<(), String> {
    if webhooks.len() > WEBHOOKS_MAX {
        return Err(format!("{} are too many; {WEBHOOKS_MAX} are taken", webhooks.len()));
    }
    let mut names = BTreeSet::new();
    for webhook in webhooks {
        webhook.check().map_err(|problem| format!("{:?}: {problem}", webhook.name))?;
        if !names.insert(&webhook.name) {
            return Err(format!("{:?} is there twice; every hook has a name of its own", webhook.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_webhook_is_told_with_its_name_and_what_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            Some(file)
        };
        let good = write("good", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
        let hook = |name: &str, url: &str, secret_file: &Option<PathBuf>, kinds: &[&str]| Webhook {
            name: name.to_owned(),
            url: url.to_owned(),
            secret_file: secret_file.clone(),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        let (url, none) = ("https://crm.example/gendan", None);
        for taken in [url, "http://127.0.0.1:9/x", "http://[::1]/", "http://localhost:8080/in"] {
            assert_eq!(check(&[hook("crm", taken, &good, &["escalation"])]), Ok(()), "{taken}");
        }
        let missing = Some(folder.path().join("missing"));
        for (hook, words) in [
            (hook("CRM", url, &good, &[]), "a-z, 0-9"),
            (hook("", url, &good, &[]), "a-z, 0-9"),
            (hook("crm", "crm.example", &good, &[]), "https://"),
            (hook("crm", "http://crm.example/", &good, &[]), "in the clear"),
            (hook("crm", "http://127.0.0.1.example/", &good, &[]), "in the clear"),
            (hook("crm", "http://10.0.0.1/", &good, &[]), "in the clear"),
            (hook("crm", "ftp://localhost/", &good, &[]), "in the clear"),
            (hook("crm", "https://u:p@crm.example/", &good, &[]), "leave it out"),
            (hook("crm", url, &good, &["urgent"]), "write of assignment, reminder"),
            (hook("crm", url, &missing, &[]), "entity not found"),
            (hook("crm", url, &none, &[]), "set GENDAN_WEBHOOK_SECRET_CRM"),
            (hook("crm", url, &write("plain", "hunter2 hunter2 hunter2"), &[]), "begin with whsec_"),
            (hook("crm", url, &write("letters", "whsec_hunter2 hunter2"), &[]), "not base64"),
            (hook("crm", url, &write("short", "whsec_aHVudGVyMg=="), &[]), "has 7 bytes"),
        ] {
            let problem = check(std::slice::from_ref(&hook)).unwrap_err();
            assert!(problem.contains(&format!("{:?}", hook.name)) && problem.contains(words), "{problem}");
            assert!(!problem.contains("hunter2") && !problem.contains("aHVu"), "a secret is told: {problem}");
        }
        let twice = [hook("crm", url, &good, &[]), hook("crm", url, &good, &[])];
        assert!(check(&twice).unwrap_err().contains("twice"));
        let many: Vec<_> = (0..17).map(|n| hook(&format!("h{n}"), url, &good, &[])).collect();
        assert!(check(&many).unwrap_err().contains("too many"));
        assert_eq!(format!("{:?}", twice[0].secret().unwrap()), "Secret");
    }
}
