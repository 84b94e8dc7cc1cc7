//! Blobs in an object store: `HASH.blob` holds the bytes, `HASH.about` what was said of them.
//!
//! Unfinished uploads stand in [`Staging`]. Once all bytes are there and the hash is proved, the blob is
//! put into the object store and only then acknowledged: `object_store` syncs file and folder where it
//! is told to (`with_fsync`), and S3 answers when it is durable. The blob is put last, so it is whole if
//! its object is there. Object stores are asynchronous and this trait is not: a small runtime of our own
//! carries them, so that a caller may stand on any thread.

use std::future::Future;
use std::ops::Deref as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _};
use sync_core::ids::{BlobHash, DocId};
use sync_core::limits;
use tokio::runtime::{Builder, Runtime};

use super::staging::Staging;
use super::{About, BlobError, BlobStore};
use crate::config::Config;

/// Uploads of so many hashes are worked on at once; each holds one blob in memory while it is proved.
const LANES: usize = 8;

/// Blobs in an object store.
pub struct ObjectBlobs {
    objects: Arc<dyn ObjectStore>,
    staging: Staging,
    /// One caller at a time for one hash.
    lanes: [Mutex<()>; LANES],
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

fn unavailable(error: impl std::fmt::Display) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

fn failed(error: object_store::Error) -> BlobError {
    match error {
        object_store::Error::NotFound { .. } => BlobError::Unknown,
        other => unavailable(other),
    }
}

fn key(hash: BlobHash, ending: &str) -> Key {
    Key::from(format!("{hash}.{ending}"))
}

/// A bucket, by configuration; its keys come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
fn bucket(name: &str, config: &Config) -> Result<Arc<dyn ObjectStore>, BlobError> {
    // Whoever came first has set it; both are the same provider.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut s3 = AmazonS3Builder::from_env().with_bucket_name(name).with_region(&config.s3_region);
    if let Some(endpoint) = &config.s3_endpoint {
        s3 = s3.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    Ok(Arc::new(s3.build().map_err(unavailable)?))
}

impl ObjectBlobs {
    /// As the configuration says: in the bucket it names, else in the folder `blobs` of the data.
    pub fn open(data: &Path, config: &Config) -> Result<Self, BlobError> {
        match &config.s3_bucket {
            Some(name) => Self::over(bucket(name, config)?, data),
            None => Self::in_folder(data),
        }
    }

    /// In the folder `blobs` of the data.
    pub fn in_folder(data: &Path) -> Result<Self, BlobError> {
        let folder = data.join("blobs");
        std::fs::create_dir_all(&folder).map_err(unavailable)?;
        let objects = LocalFileSystem::new_with_prefix(&folder).map_err(unavailable)?.with_fsync(true);
        Self::over(Arc::new(objects), data)
    }

    /// In an object store whose puts are durable when they return; unfinished uploads in the folder
    /// `staging` of the data.
    pub fn over(objects: Arc<dyn ObjectStore>, data: &Path) -> Result<Self, BlobError> {
        let staging = Staging::open(&data.join("staging"))?;
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("blobs").enable_all().build();
        let runtime = Some(runtime.map_err(unavailable)?);
        Ok(Self { objects, staging, lanes: Default::default(), runtime })
    }

    /// Waits for the object store. The caller's thread blocks, whatever it is.
    fn wait<T, W>(&self, work: impl FnOnce(Arc<dyn ObjectStore>) -> W) -> Result<T, BlobError>
    where
        T: Send + 'static,
        W: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        let runtime = self.runtime.as_ref().expect("the runtime is there until this is dropped");
        let (done, answer) = mpsc::sync_channel(1);
        let work = work(self.objects.clone());
        runtime.spawn(async move {
            // The caller waits below; where it is gone there is nobody to tell.
            drop(done.send(work.await));
        });
        answer.recv().map_err(unavailable)?.map_err(failed)
    }

    fn lane(&self, hash: BlobHash) -> MutexGuard<'_, ()> {
        self.lanes[usize::from(hash.0[0]) % LANES].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of a whole blob; `None` where it is not whole.
    fn whole(&self, hash: BlobHash) -> Result<Option<u64>, BlobError> {
        match self.wait(|objects| async move { objects.head(&key(hash, "blob")).await }) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(BlobError::Unknown) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn put(&self, hash: BlobHash, ending: &'static str, bytes: Vec<u8>) -> Result<(), BlobError> {
        self.wait(move |objects| async move { objects.put(&key(hash, ending), bytes.into()).await }).map(drop)
    }

    /// All bytes are here: proves them and puts them; what is not what it says is thrown away.
    fn finish(&self, hash: BlobHash, about: &About) -> Result<(), BlobError> {
        let bytes = self.staging.bytes(hash)?;
        if bytes.len() as u64 != about.size || BlobHash::of(&bytes) != hash {
            self.staging.end(hash)?;
            return Err(BlobError::Hash);
        }
        self.put(hash, "about", minicbor::to_vec(about).map_err(unavailable)?)?;
        self.put(hash, "blob", bytes)?;
        self.staging.end(hash)
    }
}

impl Drop for ObjectBlobs {
    fn drop(&mut self) {
        // Not by its own drop, which would wait, and may not where the caller is asynchronous.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl BlobStore for ObjectBlobs {
    fn offer(&self, hash: BlobHash, size: u64, media: &str, doc: DocId) -> Result<u64, BlobError> {
        if size > limits::BLOB_BYTES_MAX {
            return Err(BlobError::Size);
        }
        let _lane = self.lane(hash);
        if let Some(whole) = self.whole(hash)? {
            self.staging.end(hash)?;
            return Ok(whole);
        }
        let about = match self.staging.about(hash)? {
            Some(about) if about.size == size => about,
            _ => {
                let about = About { size, media: media.to_owned(), doc };
                self.staging.begin(hash, &about)?;
                about
            }
        };
        let have = self.staging.have(hash)?;
        // All of it, and not whole: it broke off before it was proved and put.
        if have >= size {
            return match self.finish(hash, &about) {
                Ok(()) => Ok(size),
                Err(BlobError::Hash) if size > 0 => self.staging.begin(hash, &about).map(|()| 0),
                Err(error) => Err(error),
            };
        }
        Ok(have)
    }

    fn part(&self, hash: BlobHash, offset: u64, bytes: &[u8]) -> Result<(u64, u64), BlobError> {
        let _lane = self.lane(hash);
        let Some(about) = self.staging.about(hash)? else {
            let whole = self.whole(hash)?.ok_or(BlobError::Unknown)?;
            return Ok((whole, whole));
        };
        let have = self.staging.have(hash)?;
        if offset == have && have < about.size {
            if have.saturating_add(bytes.len() as u64) > about.size {
                return Err(BlobError::Size);
            }
            self.staging.append(hash, bytes)?;
        }
        let have = self.staging.have(hash)?;
        if have >= about.size {
            self.finish(hash, &about)?;
        }
        Ok((have.min(about.size), about.size))
    }

    fn read(&self, hash: BlobHash, offset: u64) -> Result<Vec<u8>, BlobError> {
        let to = offset.saturating_add(limits::BLOB_PART_BYTES_MAX as u64);
        let given = self.wait(|objects| async move {
            let options = GetOptions::new().with_range(Some(offset..to));
            objects.get_opts(&key(hash, "blob"), options).await?.bytes().await
        });
        match given {
            Ok(bytes) => Ok(bytes.deref().to_vec()),
            Err(BlobError::Unavailable(_)) if self.whole(hash)?.is_some_and(|size| offset >= size) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    fn belongs(&self, hash: BlobHash) -> Result<Option<(DocId, String)>, BlobError> {
        if self.whole(hash)?.is_none() {
            return Ok(None);
        }
        let given =
            self.wait(|objects| async move { objects.get(&key(hash, "about")).await?.bytes().await })?;
        let about: About = minicbor::decode(&given).map_err(unavailable)?;
        Ok(Some((about.doc, about.media)))
    }
}
