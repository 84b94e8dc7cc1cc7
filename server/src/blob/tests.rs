//! The implementations under the suite, the suite under sabotage, and what only object stores can suffer.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use sync_core::ids::{BlobHash, DocId};

use super::memory::MemoryBlobs;
use super::objects::ObjectBlobs;
use super::suite::{Place, broken, conformance, doc, photo};
use super::{BlobError, BlobStore};

#[test]
fn blobs_in_memory_keep_the_laws() {
    conformance(|| {
        let blobs = MemoryBlobs::default();
        Box::new(move || Arc::new(blobs.clone()))
    });
}

#[test]
fn blobs_in_a_folder_keep_the_laws() {
    conformance(|| {
        let data = tempfile::tempdir().unwrap();
        Box::new(move || Arc::new(ObjectBlobs::in_folder(data.path()).unwrap()))
    });
}

fn over(objects: impl ObjectStore) -> Place {
    let (objects, data) = (Arc::new(objects), tempfile::tempdir().unwrap());
    Box::new(move || Arc::new(ObjectBlobs::over(objects.clone(), data.path()).unwrap()))
}

#[test]
fn blobs_in_any_object_store_keep_the_laws() {
    conformance(|| over(InMemory::new()));
}

/// One way of being wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    LosesTheTail,
    AcceptsAWrongHash,
    KeepsARefusedPart,
    ForgetsWhenReopened,
    ForgetsPartsWhenReopened,
    OverwritesAWholeBlob,
    AppendsAnywhere,
    GivesUnfinishedOnes,
    TakesAnySize,
    KeepsAWrongSize,
    AcknowledgesTooMuch,
    TakesWhatNobodyOffered,
}

const FAULTS: [(Fault, &str); 12] = [
    (Fault::LosesTheTail, "an upload in parts is whole and reads back"),
    (Fault::AcceptsAWrongHash, "a wrong hash is refused, and the right bytes enter afterwards"),
    (Fault::KeepsARefusedPart, "a wrong hash is refused, and the right bytes enter afterwards"),
    (Fault::ForgetsWhenReopened, "an upload in parts is whole and reads back"),
    (Fault::ForgetsPartsWhenReopened, "an upload resumes at the byte, also after a kill"),
    (Fault::OverwritesAWholeBlob, "a whole blob stays as it is"),
    (Fault::AppendsAnywhere, "a part that is repeated or out of place changes nothing"),
    (Fault::GivesUnfinishedOnes, "what is not whole is not given out"),
    (Fault::TakesAnySize, "sizes are bounded and kept"),
    (Fault::KeepsAWrongSize, "a wrong size is mended by the right offer"),
    (Fault::AcknowledgesTooMuch, "an upload resumes at the byte, also after a kill"),
    (Fault::TakesWhatNobodyOffered, "a part of what nobody offered is refused"),
];

#[derive(Clone)]
struct Kept {
    size: u64,
    media: String,
    doc: DocId,
    bytes: Vec<u8>,
    whole: bool,
}

type Shelf = std::collections::BTreeMap<BlobHash, Kept>;

/// A small store that is right but for its fault.
struct Sabotaged(Option<Fault>, Arc<Mutex<Shelf>>);

impl Sabotaged {
    fn open(fault: Option<Fault>, shelf: &Arc<Mutex<Shelf>>) -> Self {
        match fault {
            Some(Fault::ForgetsWhenReopened) => shelf.lock().unwrap().clear(),
            Some(Fault::ForgetsPartsWhenReopened) => {
                shelf.lock().unwrap().values_mut().filter(|k| !k.whole).for_each(|k| k.bytes.clear());
            }
            _ => {}
        }
        Self(fault, shelf.clone())
    }
    fn has(&self, fault: Fault) -> bool {
        self.0 == Some(fault)
    }
    fn prove(&self, shelf: &mut Shelf, hash: BlobHash) -> Result<(), BlobError> {
        let kept = shelf.get_mut(&hash).ok_or(BlobError::Unknown)?;
        if !kept.whole && kept.bytes.len() as u64 == kept.size {
            kept.whole = BlobHash::of(&kept.bytes) == hash || self.has(Fault::AcceptsAWrongHash);
            if !kept.whole {
                if self.has(Fault::KeepsARefusedPart) {
                    kept.bytes.pop();
                } else {
                    shelf.remove(&hash);
                }
                return Err(BlobError::Hash);
            }
        }
        Ok(())
    }
}

impl BlobStore for Sabotaged {
    fn offer(&self, hash: BlobHash, size: u64, media: &str, doc: DocId) -> Result<u64, BlobError> {
        if size > sync_core::limits::BLOB_BYTES_MAX && !self.has(Fault::TakesAnySize) {
            return Err(BlobError::Size);
        }
        let mut shelf = self.1.lock().unwrap();
        let stands = |k: &Kept| {
            (k.whole && !self.has(Fault::OverwritesAWholeBlob))
                || k.size == size
                || self.has(Fault::KeepsAWrongSize)
        };
        if !shelf.get(&hash).is_some_and(stands) {
            shelf.insert(hash, Kept { size, media: media.into(), doc, bytes: Vec::new(), whole: false });
        }
        self.prove(&mut shelf, hash)?;
        Ok(shelf[&hash].bytes.len() as u64)
    }
    fn part(&self, hash: BlobHash, offset: u64, bytes: &[u8]) -> Result<(u64, u64), BlobError> {
        let mut shelf = self.1.lock().unwrap();
        if self.has(Fault::TakesWhatNobodyOffered) {
            let size = bytes.len() as u64;
            shelf.entry(hash).or_insert(Kept {
                size,
                media: "image/jpeg".into(),
                doc: doc(),
                bytes: vec![],
                whole: false,
            });
        }
        let kept = shelf.get_mut(&hash).ok_or(BlobError::Unknown)?;
        let (have, size) = (kept.bytes.len() as u64, kept.size);
        if !kept.whole && (offset == have || self.has(Fault::AppendsAnywhere)) {
            if have + bytes.len() as u64 > size {
                return Err(BlobError::Size);
            }
            let lost = usize::from(self.has(Fault::AcknowledgesTooMuch) && have + 1 < size).min(bytes.len());
            kept.bytes.extend_from_slice(&bytes[..bytes.len() - lost]);
            let claimed = (kept.bytes.len() + lost) as u64;
            self.prove(&mut shelf, hash)?;
            return Ok((claimed, size));
        }
        Ok((have, size))
    }
    fn read(&self, hash: BlobHash, offset: u64) -> Result<Vec<u8>, BlobError> {
        let shelf = self.1.lock().unwrap();
        let given = |k: &&Kept| k.whole || self.has(Fault::GivesUnfinishedOnes);
        let bytes = &shelf.get(&hash).filter(given).ok_or(BlobError::Unknown)?.bytes;
        let end = bytes.len() - usize::from(self.has(Fault::LosesTheTail)).min(bytes.len());
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(end);
        Ok(bytes[from..end.min(from + sync_core::limits::BLOB_PART_BYTES_MAX)].to_vec())
    }
    fn belongs(&self, hash: BlobHash) -> Result<Option<(DocId, String)>, BlobError> {
        let shelf = self.1.lock().unwrap();
        Ok(shelf.get(&hash).filter(|k| k.whole).map(|k| (k.doc, k.media.clone())))
    }
}

fn sabotaged(fault: Option<Fault>) -> Place {
    let shelf = Arc::default();
    Box::new(move || Arc::new(Sabotaged::open(fault, &shelf)))
}

#[test]
fn the_suite_bites_every_sabotaged_store_at_the_law_it_breaks() {
    assert_eq!(broken(|| sabotaged(None)), Vec::<&str>::new(), "without a fault it is right");
    for (fault, law) in FAULTS {
        let laws = broken(|| sabotaged(Some(fault)));
        assert!(laws.contains(&law), "{fault:?} broke only {laws:?}");
    }
}

#[test]
fn a_kill_between_the_last_byte_and_the_proof_is_made_good_by_the_next_offer() {
    let data = tempfile::tempdir().unwrap();
    let (hash, bytes) = photo(3_000, 1);
    let blobs = ObjectBlobs::in_folder(data.path()).unwrap();
    blobs.offer(hash, 3_000, "image/jpeg", doc()).unwrap();
    blobs.part(hash, 0, &bytes[..2_000]).unwrap();
    drop(blobs);
    let part = data.path().join(format!("staging/{hash}.part"));
    std::fs::write(&part, &bytes).unwrap();
    let blobs = ObjectBlobs::in_folder(data.path()).unwrap();
    assert_eq!(blobs.offer(hash, 3_000, "image/jpeg", doc()).unwrap(), 3_000);
    assert_eq!(blobs.read(hash, 0).unwrap(), bytes);
    assert!(!part.exists(), "staging is swept");

    // The same with bytes that a torn disk made wrong: it begins again.
    let (hash, bytes) = photo(3_000, 2);
    blobs.offer(hash, 3_000, "image/jpeg", doc()).unwrap();
    std::fs::write(data.path().join(format!("staging/{hash}.part")), vec![0; 3_000]).unwrap();
    assert_eq!(blobs.offer(hash, 3_000, "image/jpeg", doc()).unwrap(), 0);
    assert_eq!(blobs.part(hash, 0, &bytes).unwrap(), (3_000, 3_000));
    assert_eq!(blobs.belongs(hash).unwrap(), Some((doc(), "image/jpeg".into())));
}

#[test]
fn a_blob_is_not_acknowledged_while_the_object_store_is_away_and_nothing_of_it_is_lost() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("blobs");
    let (hash, bytes) = photo(3_000, 3);
    let blobs = ObjectBlobs::in_folder(data.path()).unwrap();
    blobs.offer(hash, 3_000, "image/jpeg", doc()).unwrap();
    // A file stands where the folder was: every put fails.
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    assert!(matches!(blobs.part(hash, 0, &bytes), Err(BlobError::Unavailable(_))));
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(blobs.belongs(hash).unwrap(), None);
    assert_eq!(blobs.offer(hash, 3_000, "image/jpeg", doc()).unwrap(), 3_000, "no byte is sent again");
    assert_eq!(blobs.read(hash, 0).unwrap(), bytes);
}

#[tokio::test]
async fn a_store_may_be_used_and_dropped_on_an_asynchronous_thread() {
    let slow = ThrottledStore::new(InMemory::new(), ThrottleConfig::default());
    let place = over(slow);
    let blobs = place();
    let (hash, bytes) = photo(100, 4);
    blobs.offer(hash, 100, "image/jpeg", doc()).unwrap();
    blobs.part(hash, 0, &bytes).unwrap();
    assert_eq!(blobs.read(hash, 0).unwrap(), bytes);
}

/// A bucket over HTTP, as much of S3 as is asked for: put, get with a range, head.
mod bucket {
    use std::collections::BTreeMap;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::{Path, State};
    use axum::http::{HeaderMap, Method, StatusCode, header};
    use axum::response::{IntoResponse as _, Response};

    use super::*;

    #[derive(Default)]
    pub struct Bucket {
        objects: Mutex<BTreeMap<String, Bytes>>,
        pub signed: AtomicBool,
    }

    fn range(headers: &HeaderMap) -> Option<(usize, usize)> {
        let (from, to) =
            headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse().ok()?, to.parse().unwrap_or(usize::MAX)))
    }

    async fn serve(
        State(bucket): State<Arc<Bucket>>,
        method: Method,
        Path(key): Path<String>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|a| a.to_str().ok());
        let signed = authorization.is_some_and(|a| a.contains("made-up-key") && a.contains("Signature="));
        bucket.signed.store(signed, Ordering::Relaxed);
        let mut objects = bucket.objects.lock().unwrap();
        let tag = [(header::ETAG, "\"1\""), (header::LAST_MODIFIED, "Mon, 23 Nov 2026 08:00:00 GMT")];
        if method == Method::PUT {
            objects.insert(key, body);
            return tag.into_response();
        }
        let Some(object) = objects.get(&key).cloned() else { return StatusCode::NOT_FOUND.into_response() };
        let Some((from, to)) = range(&headers) else { return (tag, object).into_response() };
        if from >= object.len() {
            return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
        }
        let to = to.min(object.len() - 1);
        let range = [(header::CONTENT_RANGE, format!("bytes {from}-{to}/{}", object.len()))];
        (StatusCode::PARTIAL_CONTENT, tag, range, object.slice(from..=to)).into_response()
    }

    /// Serves a fresh bucket on a free port of loopback; gives its address.
    pub fn open(runtime: &tokio::runtime::Runtime) -> (Arc<Bucket>, String) {
        let bucket = Arc::new(Bucket::default());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/photos/{*key}", axum::routing::any(serve));
        let app = app.layer(axum::extract::DefaultBodyLimit::disable()).with_state(bucket.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        (bucket, address)
    }
}

#[test]
fn blobs_in_a_bucket_over_http_keep_the_laws() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    drop(rustls::crypto::ring::default_provider().install_default());
    let signed = Mutex::new(Vec::new());
    conformance(|| {
        let (bucket, address) = bucket::open(&runtime);
        signed.lock().unwrap().push(bucket);
        let s3 = object_store::aws::AmazonS3Builder::new()
            .with_bucket_name("photos")
            .with_region("us-east-1")
            .with_endpoint(address)
            .with_allow_http(true)
            .with_access_key_id("made-up-key")
            .with_secret_access_key("made-up-secret");
        over(s3.build().unwrap())
    });
    assert!(signed.lock().unwrap().iter().all(|b| b.signed.load(Ordering::Relaxed)), "requests are signed");
}
