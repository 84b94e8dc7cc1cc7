//! Unfinished uploads in a folder of our own: `HASH.part` holds the bytes so far, `HASH.about` what was
//! offered.
//!
//! In: the next bytes of a blob. Out: how many are here. Invariant: what is counted was synced to disk,
//! file and folder; a part that was cut by a crash is a shorter beginning of the same bytes. Nothing is
//! proved here and nothing is given out. Callers serialise the calls for one hash.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use sync_core::ids::BlobHash;

use super::{About, BlobError};

/// The folder of unfinished uploads.
pub struct Staging(PathBuf);

fn unavailable(error: impl std::fmt::Display) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

fn found<T>(result: std::io::Result<T>) -> Result<Option<T>, BlobError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unavailable(e)),
    }
}

impl Staging {
    /// Opens or makes the folder.
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        fs::create_dir_all(folder).map_err(unavailable)?;
        if let Some(parent) = folder.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(parent).and_then(|d| d.sync_all()).map_err(unavailable)?;
        }
        Ok(Self(folder.to_owned()))
    }

    fn path(&self, hash: BlobHash, ending: &str) -> PathBuf {
        self.0.join(format!("{hash}.{ending}"))
    }

    fn sync_folder(&self) -> Result<(), BlobError> {
        File::open(&self.0).and_then(|d| d.sync_all()).map_err(unavailable)
    }

    /// What was offered; `None` where no upload is under way, or what stands there cannot be read.
    pub fn about(&self, hash: BlobHash) -> Result<Option<About>, BlobError> {
        let bytes = found(fs::read(self.path(hash, "about")))?;
        Ok(bytes.and_then(|bytes| minicbor::decode(&bytes).ok()))
    }

    /// Begins an upload; what was there of it before goes.
    pub fn begin(&self, hash: BlobHash, about: &About) -> Result<(), BlobError> {
        self.drop_part(hash)?;
        let bytes = minicbor::to_vec(about).map_err(unavailable)?;
        let (path, new) = (self.path(hash, "about"), self.path(hash, "new"));
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        });
        written.map_err(unavailable)?;
        self.sync_folder()
    }

    /// Bytes that are here.
    pub fn have(&self, hash: BlobHash) -> Result<u64, BlobError> {
        Ok(found(fs::metadata(self.path(hash, "part")))?.map_or(0, |m| m.len()))
    }

    /// Puts bytes at the end; durable when it returns. How many are here now.
    pub fn append(&self, hash: BlobHash, bytes: &[u8]) -> Result<u64, BlobError> {
        let path = self.path(hash, "part");
        let fresh = !path.exists();
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            Ok(file.metadata()?.len())
        });
        let have = written.map_err(unavailable)?;
        if fresh {
            self.sync_folder()?;
        }
        Ok(have)
    }

    /// All bytes so far; the caller knows how many they are.
    pub fn bytes(&self, hash: BlobHash) -> Result<Vec<u8>, BlobError> {
        Ok(found(fs::read(self.path(hash, "part")))?.unwrap_or_default())
    }

    /// Throws the bytes away and keeps what was offered: the upload may begin again.
    pub fn drop_part(&self, hash: BlobHash) -> Result<(), BlobError> {
        if found(fs::remove_file(self.path(hash, "part")))?.is_some() {
            self.sync_folder()?;
        }
        Ok(())
    }

    /// Ends an upload. Not synced: what a crash brings back is swept at the next offer.
    pub fn end(&self, hash: BlobHash) -> Result<(), BlobError> {
        for ending in ["part", "about"] {
            found(fs::remove_file(self.path(hash, ending)))?;
        }
        Ok(())
    }
}
