//! The relay: documents, admission and fan-out over the change log, without sockets.
//!
//! In: pushes of devices, commands of the office, frames of sessions. Out: verdicts, feeds, positions.
//! One document is worked on by one caller at a time; different documents go in parallel and share the
//! log's group commit. Invariants: nothing is acknowledged before the log says that it is durable;
//! nothing enters a document but through [`sync_core::admission`]; what does not enter is held whole.
//! Time is a parameter. Blocking: callers on an async runtime keep it off their reactor threads.

pub mod audience;
pub mod compact;
pub mod end;
pub mod feed;
pub mod found;
pub mod gate;
mod hub;
pub mod moments;
pub mod office;
pub mod policies;
pub mod shelf;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sync_core::directory::{Directory, Rules};
use sync_core::document::{Document, DocumentError};
use sync_core::ids::{BlobHash, ChangeHash, CompanyId, DocId, PersonId, Position};
use sync_core::policy::model::Policy;
use sync_core::policy::publish::{Published, PublishedError};
use sync_core::refusal::Refusal;
use sync_core::time::UnixMs;
use sync_core::wire::frames::FeedItem;

use crate::log::{Batch, ChangeLog, Entry, LogError, Logged};
use compact::Noted;
use gate::Peer;
use hub::Hub;
use shelf::Shelf;

/// What the relay cannot do, by who can act.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// An expected no.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The log cannot do what it should.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A stored document cannot be read.
    #[error("a stored document cannot be read: {0}")]
    Damaged(#[from] DocumentError),
    /// The peer broke the protocol: the session ends.
    #[error("{code}: {message}")]
    Protocol {
        /// Stable code.
        code: &'static str,
        /// What happened.
        message: String,
    },
}

/// A published policy as it is sent.
#[derive(Clone, Debug)]
pub struct PolicyBlob {
    /// Its hash.
    pub hash: BlobHash,
    /// Its published form.
    pub bytes: Vec<u8>,
}

/// What every judgement stands on; replaced whole when the directory changes.
#[derive(Clone, Debug, Default)]
pub struct Footing {
    /// The directory.
    pub directory: Directory,
    /// Policies by version.
    pub policies: BTreeMap<u32, Policy>,
    /// Their published forms.
    pub blobs: BTreeMap<u32, PolicyBlob>,
}

impl Footing {
    /// Directory and policies.
    pub fn rules(&self) -> Rules<'_> {
        Rules { directory: &self.directory, policies: &self.policies }
    }
    /// What a person is interested in now.
    pub fn interests(&self, person: PersonId, now_ms: UnixMs) -> audience::Tags {
        audience::interests(&self.rules(), person, now_ms)
    }
}

/// The relay.
pub struct Relay {
    log: Arc<dyn ChangeLog>,
    company: CompanyId,
    footing: RwLock<Arc<Footing>>,
    shelf: Shelf,
    /// Up to which moment people's interests stand in the log, once that is known.
    as_of: Mutex<Option<UnixMs>>,
    /// Held while a policy gets its version.
    publishing: Mutex<()>,
    /// The position of the directory's newest change.
    directory_at: AtomicU64,
    /// Documents to compact.
    noted: Noted,
    /// Tells sessions what concerns them.
    hub: Hub,
    /// Tells the read model that the log has grown.
    heads: tokio::sync::watch::Sender<Position>,
}

/// The log's records of published and proposed policies begin so.
const POLICY_RECORD: &[u8] = b"policy/";

impl Relay {
    /// Opens the relay over a log.
    pub fn open(log: Arc<dyn ChangeLog>, company: CompanyId) -> Result<Self, RelayError> {
        let relay = Self {
            shelf: Shelf::new(log.clone()),
            heads: tokio::sync::watch::Sender::new(log.head()),
            log,
            company,
            footing: RwLock::new(Arc::default()),
            as_of: Mutex::new(None),
            publishing: Mutex::default(),
            directory_at: AtomicU64::new(0),
            noted: Noted::default(),
            hub: Hub::default(),
        };
        let directory = relay.shelf.read(DocId::directory(company))?;
        relay.set_footing(relay.footing_of(directory.as_ref(), &[])?);
        let last = relay.log.document(DocId::directory(company))?.map_or(0, |stored| stored.last.0);
        relay.directory_at.store(last, Ordering::Release);
        Ok(relay)
    }

    /// The log's newest position, as it grows.
    pub fn heads(&self) -> tokio::sync::watch::Receiver<Position> {
        self.heads.subscribe()
    }

    /// Appends to the log and tells everyone who follows it.
    fn append(&self, batch: Batch) -> Result<Position, RelayError> {
        let (entries, at_ms) = (batch.entries.clone(), batch.at_ms);
        let last = self.log.append(batch)?;
        self.noted.appended(&entries);
        let first = last.0 + 1 - entries.len() as u64;
        let directory = DocId::directory(self.company);
        let of_directory = |entry: &Entry| matches!(entry, Entry::Change { doc, .. } if *doc == directory);
        if let Some((at, _)) = (first..).zip(&entries).filter(|(_, entry)| of_directory(entry)).last() {
            self.directory_at.fetch_max(at, Ordering::AcqRel);
        }
        let logged = (first..).zip(entries);
        let logged = logged.map(|(at, entry)| Logged { position: Position(at), at_ms, entry });
        self.hub.appended(&*self.log, logged.collect())?;
        self.heads.send_if_modified(|head| {
            let grew = last > *head;
            *head = last.max(*head);
            grew
        });
        Ok(last)
    }

    /// Listens, for a session, to what concerns its person and device.
    pub fn listen(self: &Arc<Self>, peer: Peer, now_ms: UnixMs) -> Listening {
        let (id, woken) = self.hub.listen(peer, &self.footing().interests(peer.person, now_ms));
        Listening { relay: self.clone(), id, woken }
    }

    /// Up to `limit` entries of the log that follow a position; from memory where they are new.
    pub fn entries(&self, after: Position, limit: usize) -> Result<Vec<Arc<Logged>>, LogError> {
        self.hub.read(&*self.log, after, limit)
    }

    /// The change log.
    pub fn log(&self) -> &Arc<dyn ChangeLog> {
        &self.log
    }
    /// The company.
    pub fn company(&self) -> CompanyId {
        self.company
    }
    /// The directory and policies as they are now.
    pub fn footing(&self) -> Arc<Footing> {
        self.footing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_footing(&self, footing: Footing) {
        *self.footing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(footing);
    }

    /// The directory as it stands in a document, with the policies whose bytes are in the log, or come into it
    /// together with the document.
    fn footing_of(
        &self,
        directory: Option<&Document>,
        coming: &[(Vec<u8>, Option<Vec<u8>>)],
    ) -> Result<Footing, RelayError> {
        let mut footing = Footing::default();
        if let Some(doc) = directory {
            footing.directory = Directory::read(doc);
        }
        for policy in &footing.directory.policies {
            let key = policy_record(policy.hash);
            let comes = coming.iter().find(|(record, _)| *record == key).and_then(|(_, bytes)| bytes.clone());
            let kept = comes.map_or_else(|| self.log.record(&key), |bytes| Ok(Some(bytes)))?;
            let Some(bytes) = kept else { continue };
            let opened = Published::open(&bytes, policy.hash).map_err(|e| unreadable_policy(&e))?;
            footing.policies.insert(policy.version, opened.policy);
            footing.blobs.insert(policy.version, PolicyBlob { hash: policy.hash, bytes });
        }
        Ok(footing)
    }

    /// The directory, where it has changed after a position: it goes before a document that is sent as it
    /// is now, or facts by devices that were enrolled since would be strangers' facts.
    fn directory_since(&self, position: Position) -> Result<Vec<FeedItem>, RelayError> {
        let changed = self.directory_at.load(Ordering::Acquire) > position.0;
        if changed { self.whole(DocId::directory(self.company)) } else { Ok(Vec::new()) }
    }

    /// The heads of a document as it stands; `None` where the relay has none.
    pub fn heads_of(&self, doc: DocId) -> Result<Option<Vec<ChangeHash>>, RelayError> {
        match self.log.heads(doc)? {
            Some(heads) => Ok(Some(heads)),
            None => Ok(self.document(doc)?.map(|found| found.heads())),
        }
    }

    /// A copy of a document as it stands; `None` where the relay has none.
    pub fn document(&self, doc: DocId) -> Result<Option<Document>, RelayError> {
        self.shelf.read(doc)
    }

    /// Looks at a document as it stands, while nobody else works on it.
    pub fn look<T>(&self, doc: DocId, look: impl FnOnce(&Document) -> T) -> Result<Option<T>, RelayError> {
        self.shelf.with(doc, |found| Ok(found.as_ref().map(look)))
    }
}

/// A session's ear at the relay, while it lives.
pub struct Listening {
    relay: Arc<Relay>,
    id: u64,
    woken: Arc<tokio::sync::Notify>,
}

impl Listening {
    /// Waits until something in the log concerns the session.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.relay.hub.leave(self.id);
    }
}

fn unreadable_policy(error: &PublishedError) -> RelayError {
    DocumentError::Unreadable(format!("policy: {error}")).into()
}

/// The record under which a published or proposed policy is kept.
pub fn policy_record(hash: BlobHash) -> Vec<u8> {
    [POLICY_RECORD, &hash.0].concat()
}
