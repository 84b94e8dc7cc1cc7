//! The key ring: the relay's secrets as files that only their owner can read.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sync_core::fact::keys::SecretKey;
use sync_core::ids::{CompanyId, DeviceId, PersonId};
use zeroize::Zeroizing;

/// What is wrong with the key ring.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file is missing.
    #[error(
        "{0} is missing: this folder holds no company; `gendan init` makes one, `gendan restore` brings one back"
    )]
    Missing(PathBuf),
    /// A file can be read by others.
    #[error("{0} can be read by others: `chmod 600` it, and consider whether the key is still secret")]
    Open(PathBuf),
    /// A file is not a key.
    #[error("{0} is damaged: restore it from a backup")]
    Damaged(PathBuf),
    /// A file exists already.
    #[error("{0} exists already: this folder holds a company")]
    Exists(PathBuf),
    /// The file system failed.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed.
        error: std::io::Error,
    },
}

/// The relay's secrets.
pub struct KeyRing {
    folder: PathBuf,
    /// The company.
    pub company: CompanyId,
    /// The company key: signs certificates.
    pub company_key: SecretKey,
    /// Signs tokens.
    pub token_secret: Zeroizing<[u8; 32]>,
    /// Seals the store.
    pub store_key: Zeroizing<[u8; 32]>,
}

fn read<const N: usize>(path: &Path) -> Result<Zeroizing<[u8; N]>, KeyError> {
    let io = |error| KeyError::Io { path: path.to_owned(), error };
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(KeyError::Missing(path.to_owned())),
        Err(error) => return Err(io(error)),
    };
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Open(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
    let mut bytes = Zeroizing::new([0; N]);
    hex::decode_to_slice(text.trim(), &mut bytes[..]).map_err(|_| KeyError::Damaged(path.to_owned()))?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let io = |error| KeyError::Io { path: path.to_owned(), error };
    if path.exists() {
        return Err(KeyError::Exists(path.to_owned()));
    }
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(io)?;
    file.write_all(Zeroizing::new(hex::encode(bytes)).as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io)?;
    fs::rename(&temporary, path).map_err(io)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|d| d.sync_all()).map_err(io)
}

impl KeyRing {
    fn folder(data: &Path) -> PathBuf {
        data.join("identity")
    }

    /// Makes the keys of a new company.
    pub fn create(data: &Path) -> Result<Self, KeyError> {
        let folder = Self::folder(data);
        fs::create_dir_all(folder.join("office"))
            .map_err(|error| KeyError::Io { path: folder.clone(), error })?;
        write(&folder.join("company.id"), &crate::clock::random::<16>())?;
        for name in ["company.key", "token.key", "store.key"] {
            write(&folder.join(name), &crate::clock::random::<32>())?;
        }
        Self::open(data)
    }

    /// Opens the keys of a company.
    pub fn open(data: &Path) -> Result<Self, KeyError> {
        let folder = Self::folder(data);
        Ok(Self {
            company: CompanyId::from_bytes(*read::<16>(&folder.join("company.id"))?),
            company_key: SecretKey::from_seed(&*read::<32>(&folder.join("company.key"))?),
            token_secret: read(&folder.join("token.key"))?,
            store_key: read(&folder.join("store.key"))?,
            folder,
        })
    }

    /// The custodial device of a person: its id and key; `None` where the person has none.
    pub fn custodial(&self, person: PersonId) -> Result<Option<(DeviceId, SecretKey)>, KeyError> {
        let path = self.folder.join("office").join(format!("{person}.key"));
        match read::<48>(&path) {
            Ok(bytes) => {
                let (device, seed) = bytes.split_at(16);
                let device = device.try_into().map(DeviceId::from_bytes);
                let seed = seed.try_into().map(|seed: [u8; 32]| SecretKey::from_seed(&seed));
                match (device, seed) {
                    (Ok(device), Ok(key)) => Ok(Some((device, key))),
                    _ => Err(KeyError::Damaged(path)),
                }
            }
            Err(KeyError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a custodial device for a person.
    pub fn make_custodial(&self, person: PersonId) -> Result<(DeviceId, SecretKey), KeyError> {
        let bytes = Zeroizing::new(crate::clock::random::<48>());
        let path = self.folder.join("office").join(format!("{person}.key"));
        write(&path, &bytes[..])?;
        self.custodial(person)?.ok_or(KeyError::Missing(path))
    }
}
