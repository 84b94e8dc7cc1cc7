//! The store's key in a file, 64 hex digits, readable by the owner only. A phone has a keystore for this.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use client_ffi::FieldError;
use rand::Rng as _;

fn unusable(error: &std::io::Error) -> FieldError {
    FieldError::Store {
        code: "key_file".into(),
        reason: format!("密钥文件无法使用:{error}"),
        reason_en: format!("The key file cannot be used: {error}"),
        retryable: false,
    }
}

/// The key in this folder; a new one is made where that is allowed and there is none.
pub fn key(folder: &Path, make: bool) -> Result<Vec<u8>, FieldError> {
    let path = folder.join("key");
    match File::open(&path) {
        Ok(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(|e| unusable(&e))?;
            hex::decode(text.trim()).map_err(|e| unusable(&std::io::Error::new(ErrorKind::InvalidData, e)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && make => {
            fs::create_dir_all(folder).map_err(|e| unusable(&e))?;
            let mut key = [0; 32];
            client_ffi::clock::generator().fill_bytes(&mut key);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let mut file = file.map_err(|e| unusable(&e))?;
            file.write_all(hex::encode(key).as_bytes()).map_err(|e| unusable(&e))?;
            file.sync_all().map_err(|e| unusable(&e))?;
            Ok(key.to_vec())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(sync_core::device::DeviceError::NotEnrolled.into())
        }
        Err(error) => Err(unusable(&error)),
    }
}

/// Removes the key of a device that was wiped: what remains on the disk can no longer be read.
pub fn remove(folder: &Path) -> Result<(), FieldError> {
    fs::remove_file(folder.join("key")).map_err(|e| unusable(&e))
}
