//! `gendan evidence` and `gendan verify`: what was signed, checked by anyone.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use sync_core::ids::{DocId, DocKind};

use super::Context;
use crate::control::{self, Ask};
use crate::evidence::EvidenceFile;
use crate::relay::Relay;

/// Bytes of an evidence file: a document in hex, and its certificates.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Write one order or ticket into a file that anyone can check, without this relay.
#[derive(Args)]
pub struct Evidence {
    /// Its number, or the document's id.
    number: String,
    /// The file to write; it holds personal data.
    file: PathBuf,
}

impl Evidence {
    /// Runs it: on the store itself, or through the relay that has it open.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let asked = control::ask(&context.data, &Ask::Evidence { number: self.number.clone() })?;
        let evidence: EvidenceFile = match asked {
            Some(answer) => serde_json::from_value(answer)?,
            None => evidence(&context.open()?.relay, &self.number)?,
        };
        evidence.prove().context("the evidence does not hold; run `gendan check`")?;
        std::fs::write(&self.file, serde_json::to_vec_pretty(&evidence)?)
            .with_context(|| self.file.display().to_string())?;
        println!("证据已写入 / evidence written: {}", self.file.display());
        context.say(&json!({ "doc": evidence.doc, "file": self.file }));
        Ok(())
    }
}

/// The evidence of an order or ticket.
pub fn evidence(relay: &Relay, number: &str) -> anyhow::Result<EvidenceFile> {
    let kinds = [DocKind::Order, DocKind::Ticket];
    let numbered = kinds.map(|kind| DocId::numbered(relay.company(), kind, number.trim()));
    for doc in number.parse().into_iter().chain(numbered) {
        if let Some(found) = relay.document(doc)? {
            return Ok(EvidenceFile::of(&found, &relay.footing()));
        }
    }
    bail!("there is no order or ticket {number}")
}

/// Check an evidence file: every signature, and what each customer had on the screen.
#[derive(Args)]
pub struct Verify {
    /// The file.
    file: PathBuf,
    /// The company's public key as you know it from elsewhere, hex.
    #[arg(long)]
    key: Option<String>,
}

impl Verify {
    /// Runs it; needs no data folder.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let size = std::fs::metadata(&self.file).with_context(|| self.file.display().to_string())?.len();
        if size > FILE_BYTES_MAX {
            bail!("an evidence file has at most {FILE_BYTES_MAX} bytes");
        }
        let file: EvidenceFile =
            serde_json::from_slice(&std::fs::read(&self.file)?).context("not an evidence file")?;
        if self.key.as_ref().is_some_and(|key| !key.eq_ignore_ascii_case(&file.company_key)) {
            bail!("the file is signed under another company's key: {}", file.company_key);
        }
        let proved = file.prove()?;
        println!("{} 条记录的签名全部有效 / all {} facts hold", proved.facts, proved.facts);
        for signed in &proved.signatures {
            let at = sync_core::time::utc(signed.at_ms).to_rfc3339();
            println!("客户签字 / signed: {} — {} ({at})", signed.signer, signed.step);
            for (field, value) in &signed.content {
                println!("    {field}: {value}");
            }
        }
        println!("公司公钥 / company key: {}", file.company_key);
        context.say(&serde_json::to_value(&proved)?);
        Ok(())
    }
}
