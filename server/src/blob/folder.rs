//! Blobs in a folder: whole ones under their hash, parts in files beside them.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};
use sync_core::ids::{BlobHash, DocId};
use sync_core::limits;

use super::{BlobError, BlobStore};

#[derive(Encode, Decode)]
#[cbor(map)]
struct About {
    #[n(0)]
    size: u64,
    #[n(1)]
    media: String,
    #[n(2)]
    doc: DocId,
}

/// Blobs in a folder of the relay's data.
pub struct FolderBlobs {
    folder: PathBuf,
    /// One writer at a time: uploads are bounded by the network, not by this.
    writing: Mutex<()>,
}

fn unavailable(error: impl std::fmt::Display) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

impl FolderBlobs {
    /// Opens or makes the folder.
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        fs::create_dir_all(folder).map_err(unavailable)?;
        Ok(Self { folder: folder.to_owned(), writing: Mutex::new(()) })
    }

    fn path(&self, hash: BlobHash, ending: &str) -> PathBuf {
        self.folder.join(format!("{hash}.{ending}"))
    }

    fn about(&self, hash: BlobHash) -> Result<Option<About>, BlobError> {
        match fs::read(self.path(hash, "about")) {
            Ok(bytes) => minicbor::decode(&bytes).map(Some).map_err(unavailable),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unavailable(e)),
        }
    }

    fn size_of(path: &Path) -> u64 {
        fs::metadata(path).map_or(0, |m| m.len())
    }

    /// Writes a file so that after a crash it is there whole or not at all.
    fn write_whole(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(&self.folder)?.sync_all()
    }

    fn finish(&self, hash: BlobHash) -> Result<(), BlobError> {
        let part = self.path(hash, "part");
        let mut file = File::open(&part).map_err(unavailable)?;
        let mut sha = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = file.read(&mut buffer).map_err(unavailable)?;
            if read == 0 {
                break;
            }
            sha.update(&buffer[..read]);
        }
        if <[u8; 32]>::from(sha.finalize()) != hash.0 {
            fs::remove_file(&part).map_err(unavailable)?;
            return Err(BlobError::Hash);
        }
        fs::rename(&part, self.path(hash, "blob")).map_err(unavailable)?;
        File::open(&self.folder).and_then(|d| d.sync_all()).map_err(unavailable)
    }
}

impl BlobStore for FolderBlobs {
    fn offer(&self, hash: BlobHash, size: u64, media: &str, doc: DocId) -> Result<u64, BlobError> {
        if size > limits::BLOB_BYTES_MAX {
            return Err(BlobError::Size);
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.about(hash)?.is_none() {
            let about = About { size, media: media.to_owned(), doc };
            let bytes = minicbor::to_vec(&about).map_err(unavailable)?;
            self.write_whole(&self.path(hash, "about"), &bytes).map_err(unavailable)?;
        }
        let whole = Self::size_of(&self.path(hash, "blob"));
        Ok(if whole > 0 { whole } else { Self::size_of(&self.path(hash, "part")) })
    }

    fn part(&self, hash: BlobHash, offset: u64, bytes: &[u8]) -> Result<(u64, u64), BlobError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let about = self.about(hash)?.ok_or(BlobError::Unknown)?;
        let whole = Self::size_of(&self.path(hash, "blob"));
        if whole > 0 {
            return Ok((whole, about.size));
        }
        let path = self.path(hash, "part");
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(unavailable)?;
        let have = file.seek(SeekFrom::End(0)).map_err(unavailable)?;
        if offset != have {
            return Ok((have, about.size));
        }
        let now = have + bytes.len() as u64;
        if now > about.size {
            return Err(BlobError::Size);
        }
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(unavailable)?;
        if now == about.size {
            self.finish(hash)?;
        }
        Ok((now, about.size))
    }

    fn read(&self, hash: BlobHash, offset: u64) -> Result<Vec<u8>, BlobError> {
        let mut file = File::open(self.path(hash, "blob")).map_err(|_| BlobError::Unknown)?;
        file.seek(SeekFrom::Start(offset)).map_err(unavailable)?;
        let mut bytes = Vec::new();
        file.take(limits::BLOB_PART_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(unavailable)?;
        Ok(bytes)
    }

    fn belongs(&self, hash: BlobHash) -> Result<Option<(DocId, String)>, BlobError> {
        if !self.path(hash, "blob").exists() {
            return Ok(None);
        }
        Ok(self.about(hash)?.map(|a| (a.doc, a.media)))
    }
}
