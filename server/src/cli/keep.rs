//! `gendan backup`, `gendan restore`, `gendan check` and `gendan compact`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};
use sync_core::admission::verify_log;
use sync_core::document::Document;
use sync_core::ids::DocId;
use sync_core::store::DeviceStore;

use super::{Company, Context};
use crate::backup;
use crate::control::{self, Ask};
use crate::identity::keys::KeyRing;
use crate::log::KeptLog;
use crate::projection::{Place, Projection};
use crate::relay::Relay;

/// Write a verified backup into a new folder, also while the relay runs.
#[derive(Args)]
pub struct Backup {
    /// The folder; it must not exist yet. It will hold secrets and personal data.
    folder: PathBuf,
}

impl Backup {
    /// Runs it.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = std::path::absolute(&self.folder)?;
        let done = match control::ask(&context.data, &Ask::Backup { folder: folder.clone() })? {
            Some(done) => done,
            None => {
                let Company { log, .. } = context.open()?;
                back_up(&log, &context.data, &folder)?
            }
        };
        println!(
            "备份完成 / backed up: {} ({} records, head {})",
            folder.display(),
            done["records"],
            done["head"]
        );
        context.say(&done);
        Ok(())
    }
}

/// Backs a log up and verifies what was written.
pub fn back_up<S: DeviceStore>(
    log: &KeptLog<S>,
    data: &std::path::Path,
    folder: &std::path::Path,
) -> anyhow::Result<Value> {
    let manifest = log.while_still(|store, head| backup::backup(store, head.0, data, folder))?;
    backup::verify(folder)?;
    Ok(json!({ "records": manifest.records, "head": manifest.head, "files": manifest.files.len() }))
}

/// Put a backup into an empty data folder.
#[derive(Args)]
pub struct Restore {
    /// The backup's folder.
    folder: PathBuf,
}

impl Restore {
    /// Runs it.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let manifest = backup::verify(&self.folder)?;
        let occupied = std::fs::read_dir(&context.data).is_ok_and(|mut entries| entries.next().is_some());
        if occupied {
            bail!(
                "{} is not empty: restore into a new folder, and keep what is there",
                context.data.display()
            );
        }
        backup::restore_files(&self.folder, &manifest, &context.data)?;
        let keys = KeyRing::open(&context.data)?;
        let mut store = context.store(&keys)?;
        let records = backup::restore_records(&self.folder, &manifest, &mut store)?;
        // Devices compare and send again what the backup lacks, instead of trusting their cursors.
        KeptLog::new_epoch(&mut store, u64::from_be_bytes(crate::clock::random()) | 1)?;
        println!("已恢复 / restored: {records} records; devices will send again what the backup lacks.");
        context.say(&json!({ "records": records, "head": manifest.head }));
        Ok(())
    }
}

/// Read the whole store and say what was found.
#[derive(Args)]
pub struct Check {}

impl Check {
    /// Runs it.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let Company { relay, log, .. } = context.open()?;
        let mut found = Found::default();
        found.log(&relay)?;
        found.documents(&relay)?;
        found.blobs(&context.data.join("blobs"))?;
        found.read_model(context, relay)?;
        // Last, for a store that is known to be damaged answers nothing any more.
        found.store(&log);
        for fault in &found.faults {
            eprintln!("{fault}");
        }
        println!(
            "已检查 / checked: {} values, {} entries, {} documents, {} changes, {} facts, {} blobs ({} not here whole); {} faults",
            found.values,
            found.entries,
            found.documents,
            found.changes,
            found.facts,
            found.blobs,
            found.blobs_awaited,
            found.faults.len()
        );
        context.say(&json!({
            "values": found.values, "entries": found.entries, "documents": found.documents, "changes": found.changes,
            "facts": found.facts, "blobs": found.blobs, "blobs_awaited": found.blobs_awaited,
            "faults": found.faults,
        }));
        match found.faults.first() {
            None => Ok(()),
            Some(first) => bail!("{} faults, the first: {first}", found.faults.len()),
        }
    }
}

/// The way on for a read model that is damaged.
pub const READ_MODEL: &str = "the read model cannot be used: delete read-model.sqlite (and its -wal and -shm), it \
                              is built anew from the log";

/// Write the change log anew into fresh files, to give back the room that updates and deletions left. The
/// relay must be stopped; it needs room for the live data beside what is there.
#[derive(Args)]
pub struct Compact {}

impl Compact {
    /// Runs it.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let keys = KeyRing::open(&context.data)?;
        let mut store = context.store(&keys).context("stop the relay before compacting")?;
        let before = store.bytes_on_disk()?;
        store.compact()?;
        let (after, live) = (store.bytes_on_disk()?, store.live_bytes());
        println!("已压缩 / compacted: {before} → {after} bytes on disk, {live} of them live");
        context.say(&json!({ "before": before, "after": after, "live": live }));
        Ok(())
    }
}

#[derive(Default)]
struct Found {
    values: u64,
    entries: u64,
    documents: u64,
    changes: u64,
    facts: usize,
    blobs: u64,
    /// Offered, and not here whole: on their way, or lost.
    blobs_awaited: u64,
    faults: Vec<String>,
}

impl Found {
    /// Every value that was committed is there, opens, and is the newest.
    fn store<S: DeviceStore>(&mut self, log: &KeptLog<S>) {
        loop {
            match log.audit_step(4_096) {
                Ok(audited) => {
                    self.values = audited.values;
                    if audited.whole {
                        return;
                    }
                }
                Err(error) => return self.faults.push(format!("store: {error}")),
            }
        }
    }

    /// Positions are consecutive, and every admitted change stands in its index.
    fn log(&mut self, relay: &Relay) -> anyhow::Result<()> {
        let log = relay.log();
        let mut at = sync_core::ids::Position(0);
        loop {
            let logged = log.read(at, 1_000)?;
            for entry in &logged {
                if entry.position.0 != at.0 + 1 {
                    self.faults.push(format!("position {} is followed by {}", at, entry.position));
                }
                at = entry.position;
                self.entries += 1;
                if let crate::log::Entry::Change { doc, hash, .. } = &entry.entry
                    && log.position_of(*doc, *hash)? != Some(at)
                {
                    self.faults.push(format!("the change at {at} is not in the index"));
                }
            }
            if logged.len() < 1_000 {
                break;
            }
        }
        if at != log.head() {
            self.faults.push(format!("the log ends at {at}, its head is {}", log.head()));
        }
        Ok(())
    }

    /// Every whole photo and file is what its name says.
    fn blobs(&mut self, folder: &std::path::Path) -> anyhow::Result<()> {
        if !folder.exists() {
            return Ok(());
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let beside = |ending: &str| path.with_extension(ending).exists();
            match path.extension().and_then(|e| e.to_str()) {
                Some("blob") => {
                    self.blobs += 1;
                    let (_, sha256) = backup::hash(&path)?;
                    let name = path.file_stem().unwrap_or_default().to_string_lossy();
                    if *sha256 != *name || !beside("about") {
                        self.faults.push(format!("blob {name} is damaged: put its files back from a backup"));
                    }
                }
                Some("about") if !beside("blob") => self.blobs_awaited += 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// The read model says what the log says. It is disposable: where there is none, nothing is wrong.
    fn read_model(&mut self, context: &Context, relay: std::sync::Arc<Relay>) -> anyhow::Result<()> {
        let file = context.data.join("read-model.sqlite");
        if !file.exists() {
            return Ok(());
        }
        let now_ms = context.clock.unix_ms();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let differences = runtime
            .block_on(async {
                let projection = Projection::open(&Place::File(file), relay).await?;
                projection.catch_up(now_ms).await?;
                let differences = projection.check(now_ms).await?;
                projection.close().await;
                Ok::<_, crate::projection::ProjectionError>(differences)
            })
            .context(READ_MODEL)?;
        let told = differences
            .iter()
            .map(|d| format!("read model: {} {} differs from the log; {READ_MODEL}", d.table, d.key));
        self.faults.extend(told);
        Ok(())
    }

    /// Every document loads from its stored bytes; every change hashes to its name; every fact's
    /// signature holds.
    fn documents(&mut self, relay: &Relay) -> anyhow::Result<()> {
        let footing = relay.footing();
        let mut after = None;
        loop {
            let docs = relay.log().documents(after, 1_000)?;
            for (doc, _) in &docs {
                self.documents += 1;
                if let Err(error) = self.document(relay, *doc, &footing.rules()) {
                    self.faults.push(format!("{doc}: {error:#}"));
                }
            }
            after = docs.last().map(|(doc, _)| *doc);
            if docs.len() < 1_000 {
                return Ok(());
            }
        }
    }

    fn document(
        &mut self,
        relay: &Relay,
        doc: DocId,
        rules: &sync_core::directory::Rules<'_>,
    ) -> anyhow::Result<()> {
        let stored = relay.log().document(doc)?.context("its index names nothing")?;
        let mut found = match &stored.snapshot {
            Some(bytes) => Document::load(doc, bytes)?,
            None => Document::new(doc),
        };
        for (position, hash, bytes) in &stored.changes {
            found.restore([bytes.as_slice()])?;
            if !found.has(*hash) {
                bail!("the change at {position} is not what its hash says");
            }
        }
        verify_log(&found, rules)?;
        for change in found.changes() {
            if relay.log().position_of(doc, change.hash)?.is_none() {
                bail!("change {} is in the document and not in the log", change.hash);
            }
        }
        self.changes += found.changes().len() as u64;
        self.facts += found.log().len();
        Ok(())
    }
}
