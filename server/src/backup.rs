//! Backup and restore: the whole store as files with their hashes, taken while the relay runs.
//!
//! A backup is a folder: `manifest.json` names every file with its SHA-256; `records-*.cbor` hold the
//! store's pairs, `identity/` the keys, `blobs/` photos and files. It is written beside its place and
//! renamed when it is whole. It holds secrets and personal data: its files are for their owner only. A
//! restored store is another incarnation: devices then send again what it lacks.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use minicbor::bytes::ByteVec;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sync_core::store::{Batch, DeviceStore, Table};

/// The layout of backups that this build writes.
const LAYOUT: u32 = 1;
/// Bytes of one file of records, about.
const FILE_BYTES: usize = 16 * 1024 * 1024;
/// Bytes that are put back in one commit, about.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// What a backup holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The layout.
    pub layout: u32,
    /// The log's position.
    pub head: u64,
    /// Pairs of the store.
    pub records: u64,
    /// Every file, by its path in the folder.
    pub files: Vec<BackupFile>,
}

/// One file of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupFile {
    /// Its path in the folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256, hex.
    pub sha256: String,
}

type Record = (u8, ByteVec, ByteVec);

fn create(path: &Path) -> anyhow::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    file.with_context(|| path.display().to_string())
}

/// A file's length and SHA-256, hex.
pub fn hash(path: &Path) -> anyhow::Result<(u64, String)> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut sha = Sha256::new();
    let (mut buffer, mut length) = (vec![0; 128 * 1024], 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((length, hex::encode(sha.finalize())));
        }
        sha.update(&buffer[..read]);
        length += read as u64;
    }
}

/// Writes a backup of a store (as it stands while `store` is borrowed) and of the folders beside it.
pub fn backup<S: DeviceStore>(store: &S, head: u64, data: &Path, folder: &Path) -> anyhow::Result<Manifest> {
    if folder.exists() {
        bail!("{} exists already: name a new folder", folder.display());
    }
    let making = folder.with_extension("making");
    if making.exists() {
        fs::remove_dir_all(&making).with_context(|| making.display().to_string())?;
    }
    fs::create_dir_all(&making)?;
    let records = write_records(store, &making)?;
    for beside in ["identity", "blobs"] {
        copy_folder(&data.join(beside), &making.join(beside))?;
    }
    let mut files = Vec::new();
    list(&making, &making, &mut files)?;
    let manifest = Manifest { layout: LAYOUT, head, records, files };
    let mut file = create(&making.join("manifest.json"))?;
    file.write_all(&serde_json::to_vec_pretty(&manifest)?)?;
    file.sync_all()?;
    fs::rename(&making, folder).with_context(|| folder.display().to_string())?;
    Ok(manifest)
}

fn write_records<S: DeviceStore>(store: &S, folder: &Path) -> anyhow::Result<u64> {
    let (mut count, mut number, mut size) = (0, 0, FILE_BYTES);
    let mut out: Option<BufWriter<File>> = None;
    for table in Table::ALL {
        for (key, value) in store.scan(table, &[])? {
            if size >= FILE_BYTES {
                finish(out.take())?;
                out = Some(BufWriter::new(create(&folder.join(format!("records-{number:05}.cbor")))?));
                (number, size) = (number + 1, 0);
            }
            let record: Record = (table.number(), key.into(), value.into());
            let bytes = minicbor::to_vec(&record).context("a record")?;
            size += bytes.len();
            count += 1;
            if let Some(out) = &mut out {
                out.write_all(&bytes)?;
            }
        }
    }
    finish(out)?;
    Ok(count)
}

fn finish(out: Option<BufWriter<File>>) -> anyhow::Result<()> {
    if let Some(mut out) = out {
        out.flush()?;
        out.get_ref().sync_all()?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // What an object store is just writing has another name, and may be gone in a moment.
        if entry.file_name().to_string_lossy().contains('#') {
            continue;
        }
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            let mut target = create(&to)?;
            std::io::copy(&mut File::open(entry.path())?, &mut target)?;
            target.sync_all()?;
        }
    }
    Ok(())
}

fn list(root: &Path, folder: &Path, files: &mut Vec<BackupFile>) -> anyhow::Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            list(root, &path, files)?;
        } else {
            let (bytes, sha256) = hash(&path)?;
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push(BackupFile { path, bytes, sha256 });
        }
    }
    Ok(())
}

/// Reads a backup's manifest and checks every file against it.
pub fn verify(folder: &Path) -> anyhow::Result<Manifest> {
    let path = folder.join("manifest.json");
    let bytes = fs::read(&path).with_context(|| format!("{}: this is not a whole backup", path.display()))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?;
    if manifest.layout != LAYOUT {
        bail!("the backup has layout {}; this build reads {LAYOUT}", manifest.layout);
    }
    for file in &manifest.files {
        let relative = Path::new(&file.path);
        if relative.components().any(|c| !matches!(c, std::path::Component::Normal(_))) {
            bail!("the manifest names a file outside the backup: {}", file.path);
        }
        let (bytes, sha256) = hash(&folder.join(relative))?;
        if bytes != file.bytes || sha256 != file.sha256 {
            bail!("{} is damaged: its hash is not the manifest's; take another backup", file.path);
        }
    }
    Ok(manifest)
}

/// Puts the keys and blobs of a verified backup in place.
pub fn restore_files(folder: &Path, manifest: &Manifest, data: &Path) -> anyhow::Result<()> {
    for file in manifest.files.iter().filter(|f| !f.path.starts_with("records-")) {
        let mut target = create(&data.join(&file.path))?;
        std::io::copy(&mut File::open(folder.join(&file.path))?, &mut target)?;
        target.sync_all()?;
    }
    Ok(())
}

/// Puts the records of a verified backup into an empty store; gives how many.
pub fn restore_records<S: DeviceStore>(
    folder: &Path,
    manifest: &Manifest,
    store: &mut S,
) -> anyhow::Result<u64> {
    let (mut count, mut size, mut batch) = (0, 0, Batch::new());
    for file in manifest.files.iter().filter(|f| f.path.starts_with("records-")) {
        let bytes = fs::read(folder.join(&file.path))?;
        let mut decoder = minicbor::Decoder::new(&bytes);
        while decoder.position() < bytes.len() {
            let (table, key, value): Record =
                decoder.decode().map_err(|e| anyhow::anyhow!("{}: {e}", file.path))?;
            let table = Table::ALL.into_iter().find(|t| t.number() == table);
            let table = table.with_context(|| format!("{}: a table this build does not know", file.path))?;
            size += key.len() + value.len();
            count += 1;
            batch = batch.put(table, Vec::from(key), Vec::from(value));
            if size > COMMIT_BYTES {
                store.commit(std::mem::take(&mut batch))?;
                size = 0;
            }
        }
    }
    if !batch.is_empty() {
        store.commit(batch)?;
    }
    if count != manifest.records {
        bail!("the backup names {} records and holds {count}", manifest.records);
    }
    Ok(count)
}
