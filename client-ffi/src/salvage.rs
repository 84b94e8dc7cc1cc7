//! The way on for a damaged store: the old folder is set aside, the device enrolled anew, and what can be
//! read of the unsent work taken over.
//!
//! Nothing is deleted and the old folder is not written to: what is read is a copy of it.

use std::fs;
use std::path::{Path, PathBuf};

use sync_core::device::DeviceError;
use sync_core::device::salvage::{Salvage, TakenOver};
use sync_core::store::{SledStore, StoreError, StoreKey};

use crate::client::FieldClient;
use crate::clock;
use crate::error::FieldError;

fn unusable(error: &std::io::Error) -> FieldError {
    StoreError::Unavailable(format!("the file system failed: {}", error.kind())).into()
}

fn store_key(key: &[u8]) -> Result<StoreKey, FieldError> {
    let key = key.try_into().map_err(|_| FieldError::invalid("key", "a key is 32 bytes"))?;
    Ok(StoreKey::from_bytes(key))
}

fn sound() -> FieldError {
    FieldError::Refused {
        code: "store_sound".into(),
        reason: "本机数据完好,无需移开。".into(),
        reason_en: "The store opens and reads; there is nothing to set aside.".into(),
        retryable: false,
    }
}

/// Moves a damaged store out of the way, to a free name beside it; gives where it lies now.
///
/// # Errors
/// `store_sound` where it opens; the store's own error where it is not damaged but busy, full, of a newer
/// layout or under another key.
pub fn set_aside(dir: &Path, key: &[u8]) -> Result<PathBuf, FieldError> {
    let opened = SledStore::open(dir, &store_key(key)?, clock::generator());
    match opened.map_err(DeviceError::from).and_then(|s| sync_core::device::Device::open(s, clock::chance()))
    {
        Ok(_) | Err(DeviceError::NotEnrolled) => return Err(sound()),
        Err(DeviceError::Store(StoreError::Corrupt { .. } | StoreError::LostTail { .. })) => {}
        Err(DeviceError::Damaged(_)) => {}
        Err(other) => return Err(other.into()),
    }
    let free = (1_u32..).map(|n| beside(dir, &format!("-aside-{n}"))).find(|path| !path.exists());
    let aside = free.ok_or_else(sound)?;
    fs::rename(dir, &aside).map_err(|e| unusable(&e))?;
    Ok(aside)
}

/// The folders that were set aside from this one, oldest first.
pub fn aside(dir: &Path) -> Vec<PathBuf> {
    (1_u32..).map(|n| beside(dir, &format!("-aside-{n}"))).take_while(|path| path.exists()).collect()
}

fn beside(dir: &Path, ending: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    dir.with_file_name(name)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

impl FieldClient {
    /// Takes over the unsent work of a store that was set aside. Sync before, and after.
    ///
    /// # Errors
    /// The store's error where nothing of it can be read: then it stays aside for somebody else to try;
    /// `on_behalf` where it was another person's.
    pub fn salvage(&self, aside: &Path, key: &[u8]) -> Result<TakenOver, FieldError> {
        let reading = beside(aside, ".reading");
        if reading.exists() {
            fs::remove_dir_all(&reading).map_err(|e| unusable(&e))?;
        }
        copy(aside, &reading).map_err(|e| unusable(&e))?;
        let opened = SledStore::open_after_loss(&reading, &store_key(key)?, clock::generator());
        let found = opened.map_err(DeviceError::from).and_then(|store| Salvage::read(&store));
        fs::remove_dir_all(&reading).map_err(|e| unusable(&e))?;
        self.take_over(found?)
    }
}
