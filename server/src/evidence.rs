//! Evidence: one order or ticket in a file that anyone can check later, without us.
//!
//! The file holds the document's bytes, the certificates of the devices that signed in it, and the
//! company's public key. Checking it needs nothing else: no relay, no directory, no network. What the
//! checker must know from elsewhere is that the public key is the company's. Hex in JSON, so that it can
//! be read with any tool; each fact is a COSE_Sign1 (RFC 9052) that any COSE library verifies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sync_core::document::Document;
use sync_core::domain::fields::Map;
use sync_core::fact::Fact;
use sync_core::fact::keys::{Certificate, PublicKey};
use sync_core::fact::kinds::Payload;
use sync_core::ids::DocId;

use crate::relay::Footing;

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// `gendan evidence 1`.
    pub format: String,
    /// The company's public key (Ed25519), hex.
    pub company_key: String,
    /// The document's id.
    pub doc: String,
    /// The document as an Automerge file, hex.
    pub document: String,
    /// The facts that stand in its log (COSE_Sign1), hex, for tools that do not read Automerge.
    pub facts: Vec<String>,
    /// Certificates (COSE_Sign1) of the devices that signed facts in it, hex.
    pub certificates: Vec<String>,
}

const FORMAT: &str = "gendan evidence 1";

/// Why a file proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Not such a file, or damaged.
    #[error("not an evidence file: {0}")]
    Malformed(String),
    /// A certificate is not the company's.
    #[error("a certificate does not hold for the company's key: {0}")]
    Certificate(String),
    /// A fact's signature does not hold.
    #[error("a fact does not hold: {0}")]
    Fact(String),
}

/// What a file proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proved {
    /// Facts whose signatures hold.
    pub facts: usize,
    /// Customers' signatures, each with exactly what was on the screen.
    pub signatures: Vec<SignedOff>,
}

/// One customer's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignedOff {
    /// The step.
    pub step: String,
    /// Who signed, as written.
    pub signer: String,
    /// When, as far as the device knew, Unix milliseconds.
    pub at_ms: i64,
    /// The person whose device captured it.
    pub captured_by: String,
    /// The content that was on the screen, by field.
    pub content: BTreeMap<String, String>,
}

impl EvidenceFile {
    /// The evidence of a document.
    pub fn of(doc: &Document, footing: &Footing) -> Self {
        let log = doc.log();
        let devices: std::collections::BTreeSet<_> = log.iter().map(|e| e.fact.device).collect();
        let known = devices.iter().filter_map(|d| footing.directory.devices.get(d));
        Self {
            format: FORMAT.to_owned(),
            company_key: footing.directory.key.map(|k| k.to_string()).unwrap_or_default(),
            doc: doc.id().to_string(),
            document: hex::encode(doc.save()),
            facts: signed(doc).into_iter().map(hex::encode).collect(),
            certificates: known.map(|d| hex::encode(&d.certificate)).collect(),
        }
    }

    /// Checks every signature and gives what the customers signed.
    pub fn prove(&self) -> Result<Proved, EvidenceError> {
        let malformed = |e: &dyn std::fmt::Display| EvidenceError::Malformed(e.to_string());
        if self.format != FORMAT {
            return Err(malformed(&"another format"));
        }
        let mut key = [0; 32];
        hex::decode_to_slice(&self.company_key, &mut key).map_err(|e| malformed(&e))?;
        let mut devices = BTreeMap::new();
        for certificate in &self.certificates {
            let bytes = hex::decode(certificate).map_err(|e| malformed(&e))?;
            let read = Certificate::verify(&bytes, &PublicKey(key));
            let read = read.map_err(|e| EvidenceError::Certificate(e.to_string()))?;
            devices.insert(read.device, read);
        }
        let id: DocId = self.doc.parse().map_err(|e| malformed(&e))?;
        let bytes = hex::decode(&self.document).map_err(|e| malformed(&e))?;
        let doc = Document::load(id, &bytes).map_err(|e| malformed(&e))?;
        let log = doc.log();
        if log.len() != doc.values(Map::Log).len() {
            return Err(EvidenceError::Fact("the log holds what is no fact of this document".into()));
        }
        if self.facts != signed(&doc).into_iter().map(hex::encode).collect::<Vec<_>>() {
            return Err(EvidenceError::Fact("the facts beside the document are not those in it".into()));
        }
        for entry in &log {
            let bytes = doc.fact_bytes(entry.fact.id).unwrap_or_default();
            let key_of = |fact: &Fact| {
                let device = devices.get(&fact.device)?;
                (device.person == fact.author).then(|| device.public_key())
            };
            Fact::verify(&bytes, key_of).map_err(|e| EvidenceError::Fact(e.to_string()))?;
        }
        let signatures = log.iter().filter_map(|e| signed_off(&doc, &e.fact)).collect();
        Ok(Proved { facts: log.len(), signatures })
    }
}

/// The signed bytes of every fact of a document, in the log's order.
fn signed(doc: &Document) -> Vec<Vec<u8>> {
    doc.log().iter().filter_map(|entry| doc.fact_bytes(entry.fact.id)).collect()
}

fn signed_off(doc: &Document, fact: &Fact) -> Option<SignedOff> {
    let Payload::Step(step) = &fact.payload else { return None };
    let (signature, heads) = (step.signature.as_ref()?, step.seal.as_deref()?);
    let content = [Map::Fields, Map::Items].into_iter().flat_map(|map| doc.values_at(map, heads));
    Some(SignedOff {
        step: step.step.to_string(),
        signer: signature.signer.clone(),
        at_ms: fact.stamp.best().0,
        captured_by: fact.author.to_string(),
        content: content.map(|(key, value)| (key, value.to_string())).collect(),
    })
}
