//! A device as one object: commands in, views out, frames both ways.
//!
//! In: a store, an identity, commands with the time, frames from a relay. Out: durable changes, views,
//! frames to send. Invariants: a command returns after its change is durable; a change leaves the
//! outbox only by the relay's verdict; what the relay refused is kept with its reason, and what was
//! said after it is said again under a new epoch. No socket, clock or randomness of its own.

pub mod shelf;
pub mod photos;
pub mod sync;
pub mod replay;
pub mod salvage;
pub mod record;

use std::collections::{BTreeMap, BTreeSet};

use crate::admission;
use crate::command::decide::{Setting, decide};
use crate::command::write::{Author, carry_out};
use crate::command::{Action, Command};
use crate::directory::{Directory, Rules};
use crate::document::{Document, DocumentError};
use crate::domain::fields::Map;
use crate::draft::{Draft, drafts};
use crate::fact::keys::SecretKey;
use crate::findings::findings;
use crate::fold::{State, fold};
use crate::ids::{BlobHash, CommandId, CompanyId, DeviceId, DocId, DocKind, PersonId};
use crate::limits;
use crate::notice::{self, Notice, notices};
use crate::policy::judge::Finding;
use crate::policy::model::Policy;
use crate::refusal::{Refusal, RefusalCode};
use crate::store::{Batch, DeviceStore, StoreError, Table};
use crate::time::{Now, UnixMs};
use crate::view::case::{CaseView, Look, case};
use crate::view::row::Row;
use record::{Held, Identity, Link, PendingBlob};
use shelf::Shelf;
use sync::Session;

/// What went wrong, by what an app does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// An expected no: show its words.
    #[error("{0}")]
    Refused(Refusal),
    /// The store cannot do what it should: show it, and stop recording.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something stored or received cannot be read.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The peer broke the protocol: drop the connection and try again later.
    #[error("{code}: {message}")]
    Protocol {
        /// Stable code.
        code: &'static str,
        /// What happened.
        message: String,
    },
    /// The relay ended the connection and said why: `relay_failed`, `relay_stopping` and `replaced` pass.
    #[error("{code}: {message}")]
    Relay {
        /// Its stable code.
        code: String,
        /// What happened.
        message: String,
    },
    /// The device was revoked and has erased itself: enrol anew.
    #[error("this device was revoked and has erased itself")]
    Wiped,
    /// The device has no identity yet: enrol.
    #[error("this device is not enrolled")]
    NotEnrolled,
}

impl From<Refusal> for DeviceError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
impl From<DocumentError> for DeviceError {
    fn from(error: DocumentError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Fills a buffer with randomness.
pub type Chance = Box<dyn FnMut(&mut [u8]) + Send>;

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performed {
    /// The command.
    pub command: CommandId,
    /// The documents that it changed; empty where everything stood already.
    pub docs: Vec<DocId>,
}

/// How far the device is in step with the relay, honestly.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SyncView {
    /// Changes that the relay has not confirmed.
    pub unsent: u32,
    /// When the oldest of them was made.
    pub oldest_unsent_ms: Option<UnixMs>,
    /// Changes that the relay holds back.
    pub held: u32,
    /// Photos and files that the relay does not have whole.
    pub blobs_pending: u32,
    /// Documents on the device.
    pub documents: u32,
    /// The feed position up to which the device has everything.
    pub cursor: u64,
    /// When the relay was last heard, by its clock.
    pub last_seen_ms: Option<UnixMs>,
    /// Until when the device may be used without being seen.
    pub lease_until_ms: Option<UnixMs>,
    /// Policy version in hand.
    pub policy: u32,
    /// Digest over all documents and their heads, hex: equal on two devices of one scope in step.
    pub digest: String,
}

/// The device.
pub struct Device<S> {
    shelf: Shelf<S>,
    me: Identity,
    key: SecretKey,
    directory: Directory,
    policies: BTreeMap<u32, Policy>,
    link: Link,
    session: Session,
    chance: Chance,
    /// It has erased itself: nothing is recorded any more.
    wiped: bool,
    /// Every value of its store was seen since it was opened.
    audited: bool,
}

impl<S: DeviceStore> Device<S> {
    /// Writes the identity that enrolment gave into an empty store, and opens the device.
    pub fn enrol(mut store: S, identity: &Identity, chance: Chance) -> Result<Self, DeviceError> {
        if store.get(Table::Meta, record::IDENTITY)?.is_some() {
            let exists = Refusal::new(RefusalCode::AlreadyExists).with("what", identity.device);
            return Err(DeviceError::Refused(exists));
        }
        store.commit(Batch::new().put(Table::Meta, record::IDENTITY, record::cbor(identity)))?;
        Self::open(store, chance)
    }

    /// Opens an enrolled device.
    pub fn open(store: S, chance: Chance) -> Result<Self, DeviceError> {
        let bytes = store.get(Table::Meta, record::IDENTITY)?.ok_or(DeviceError::NotEnrolled)?;
        let me: Identity = record::read(&bytes)?;
        let link = match store.get(Table::Meta, record::LINK)? {
            Some(bytes) => record::read(&bytes)?,
            None => Link::default(),
        };
        let key = SecretKey::from_seed(&me.seed);
        let shelf = Shelf::open(store)?;
        let mut device = Self {
            shelf,
            me,
            key,
            directory: Directory::default(),
            policies: BTreeMap::new(),
            link,
            session: Session::default(),
            chance,
            wiped: false,
            audited: false,
        };
        device.read_directory()?;
        device.read_policies()?;
        Ok(device)
    }

    fn read_directory(&mut self) -> Result<(), DeviceError> {
        if let Some(doc) = self.shelf.document(DocId::directory(self.me.company))? {
            self.directory = Directory::read(&doc);
        }
        Ok(())
    }

    fn read_policies(&mut self) -> Result<(), DeviceError> {
        for (key, bytes) in self.shelf.store.scan(Table::Meta, record::POLICY)? {
            let version = key[record::POLICY.len()..].try_into().map(u32::from_be_bytes);
            let version = version.map_err(|_| DeviceError::Damaged("a policy's key".into()))?;
            let opened = crate::policy::publish::Published::open(&bytes, BlobHash::of(&bytes));
            let policy = opened.map_err(|e| DeviceError::Damaged(e.to_string()))?;
            self.policies.insert(version, policy.policy);
        }
        Ok(())
    }

    /// Who this device is.
    pub fn identity(&self) -> &Identity {
        &self.me
    }
    /// The directory as this device has it.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
    /// Directory and policies.
    pub fn rules(&self) -> Rules<'_> {
        Rules { directory: &self.directory, policies: &self.policies }
    }
    /// The company.
    pub fn company(&self) -> CompanyId {
        self.me.company
    }
    /// The person who works with it.
    pub fn person(&self) -> PersonId {
        self.me.person
    }
    /// The device's id.
    pub fn id(&self) -> DeviceId {
        self.me.device
    }
    /// Signs a relay's challenge with the device's key.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message)
    }

    /// Whether the device may be used now: it may not once its offline lease has run out, until it has
    /// been seen by the relay again. What it holds stays, and it syncs at any time.
    pub fn unlocked(&self, now: &Now) -> Result<(), DeviceError> {
        let (at_ms, _) = now.stamp(self.link.trusted).best();
        match self.link.lease_until_ms {
            Some(until) if at_ms > until => {
                let until = crate::time::at_offset(until, now.wall.offset().local_minus_utc());
                let until = until.format("%Y-%m-%d %H:%M").to_string();
                Err(Refusal::new(RefusalCode::LeaseEnded).with("until", until).into())
            }
            _ => Ok(()),
        }
    }

    /// Ten random bytes for an id.
    fn draw(chance: &mut Chance) -> [u8; 10] {
        let mut bytes = [0; 10];
        chance(&mut bytes);
        bytes
    }

    /// Carries out a command: judged, signed, written and durable when this returns.
    pub fn perform(&mut self, command: Command, now: &Now) -> Result<Performed, DeviceError> {
        if self.wiped {
            return Err(DeviceError::Wiped);
        }
        self.unlocked(now)?;
        if self.directory.key.is_none() {
            return Err(Refusal::new(RefusalCode::DirectoryMissing).into());
        }
        let stamp = now.stamp(self.link.trusted);
        let (at_ms, _) = stamp.best();
        let id = CommandId::at(at_ms, Self::draw(&mut self.chance));
        let rules = Rules { directory: &self.directory, policies: &self.policies };
        let setting = Setting {
            company: self.me.company,
            person: self.me.person,
            rules,
            find: &|doc| self.shelf.document(doc).ok().flatten(),
            stamp,
            money: rules.sees_money(self.me.person, at_ms),
        };
        let actions = decide(command, id, &setting, &mut || Self::draw(&mut self.chance))?;
        self.write(actions, now)
    }

    fn write(&mut self, actions: Vec<Action>, now: &Now) -> Result<Performed, DeviceError> {
        let mut written = Vec::new();
        let command = actions.first().map_or(CommandId::from_bytes([0; 16]), |a| a.command);
        for action in actions {
            let mut doc = self.shelf.document(action.doc)?.unwrap_or_else(|| Document::new(action.doc));
            let author = self.author(self.shelf.epoch(action.doc)?);
            let change =
                carry_out(&mut doc, &action, author, self.rules(), now.unix_ms().max(action.stamp.best().0))?;
            if let Some(change) = change {
                written.push((doc, action, change));
            }
        }
        let docs: Vec<DocId> = written.iter().map(|(doc, ..)| doc.id()).collect();
        let mut batch = Batch::new();
        for (doc, action, change) in &written {
            batch = batch.and(self.shelf.outgoing(doc, action, change, now.unix_ms()));
            batch = batch.and(self.row(doc));
        }
        self.shelf.commit(batch, written.into_iter().map(|(doc, ..)| doc))?;
        if docs.contains(&DocId::directory(self.me.company)) {
            self.read_directory()?;
        }
        Ok(Performed { command, docs })
    }

    fn author(&self, epoch: u32) -> Author<'_> {
        Author { person: self.me.person, device: self.me.device, key: &self.key, epoch }
    }

    /// The write of a document's list line.
    fn row(&self, doc: &Document) -> Batch {
        let state = fold(doc, &self.rules());
        let row = Row::of(doc, &state, &self.rules());
        Batch::new().put(Table::Meta, record::row_key(doc.id()), record::cbor(&row))
    }

    /// Keeps a photo or file until the relay has it; gives its hash, for evidence of `doc`.
    pub fn attach(&mut self, doc: DocId, media: &str, bytes: &[u8]) -> Result<BlobHash, DeviceError> {
        if self.wiped {
            return Err(DeviceError::Wiped);
        }
        if bytes.len() as u64 > limits::BLOB_BYTES_MAX {
            let large = Refusal::new(RefusalCode::TooLarge).with("what", "file");
            return Err(large.with("limit", limits::BLOB_BYTES_MAX).into());
        }
        let hash = BlobHash::of(bytes);
        let pending = PendingBlob { doc, media: media.to_owned(), size: bytes.len() as u64 };
        let batch = Batch::new().put(Table::Blob, hash.0, bytes).put(
            Table::Meta,
            record::pending_key(hash),
            record::cbor(&pending),
        );
        self.shelf.store.commit(batch)?;
        Ok(hash)
    }

    /// A document and what it amounts to.
    pub fn state(&self, doc: DocId) -> Result<(Document, State), DeviceError> {
        let missing = || Refusal::new(RefusalCode::NotFound).with("what", doc);
        let found = self.shelf.document(doc)?.ok_or_else(missing)?;
        let state = fold(&found, &self.rules());
        Ok((found, state))
    }

    /// The view of an order or ticket.
    pub fn case(&self, doc: DocId, now: &Now) -> Result<CaseView, DeviceError> {
        let (found, state) = self.state(doc)?;
        let look = Look { rules: self.rules(), person: self.me.person, now_ms: now.unix_ms() };
        let facet = doc.kind().money().map(|kind| self.shelf.document(doc.facet(kind))).transpose()?;
        let money = facet.flatten().map(|money| fold(&money, &look.rules));
        Ok(case(&found, &state, money.as_ref(), look))
    }

    /// What the rules find of a document.
    pub fn findings(&self, doc: DocId, now: &Now) -> Result<Vec<Finding>, DeviceError> {
        let (found, state) = self.state(doc)?;
        Ok(findings(&found, &state, &self.rules(), now.unix_ms()))
    }

    /// What there is to tell the customer of an order or ticket.
    pub fn drafts(&self, doc: DocId) -> Result<Vec<Draft>, DeviceError> {
        let (found, state) = self.state(doc)?;
        Ok(drafts(&found, &state, &self.rules()))
    }

    /// The list lines of a kind, by number.
    pub fn rows(&self, kind: DocKind) -> Result<Vec<Row>, DeviceError> {
        let mut rows = self.all_rows()?;
        rows.retain(|row| row.doc.kind() == kind);
        rows.sort_by(|a, b| (&a.number, a.doc).cmp(&(&b.number, b.doc)));
        Ok(rows)
    }

    fn all_rows(&self) -> Result<Vec<Row>, DeviceError> {
        let stored = self.shelf.store.scan(Table::Meta, record::ROW)?;
        stored.iter().map(|(_, bytes)| record::read(bytes)).collect()
    }

    /// What this device's person should hear, newest first, each with whether they have read it.
    pub fn inbox(&self, now: &Now) -> Result<Vec<(Notice, bool)>, DeviceError> {
        let (now_ms, _) = now.stamp(self.link.trusted).best();
        let inbox = self.shelf.document(DocId::inbox(self.me.company, self.me.person))?;
        let marks: BTreeSet<String> =
            inbox.iter().flat_map(|doc| doc.values(Map::Notes)).map(|(notice, _)| notice).collect();
        let theirs =
            |notice: &Notice| notice.at_ms <= now_ms && notice.reaches(self.me.person, &self.rules(), now_ms);
        let mut found = notice::company(&self.rules(), now_ms);
        found.retain(theirs);
        let stirs = |row: &Row| row.stirs.is_some_and(|(from, until)| (from..=until).contains(&now_ms));
        for row in self.all_rows()?.into_iter().filter(stirs) {
            let (doc, state) = self.state(row.doc)?;
            found.extend(notices(&doc, &state, &self.rules(), now_ms).into_iter().filter(theirs));
        }
        found.sort_by_key(|notice| (std::cmp::Reverse(notice.at_ms), notice.id));
        // One thing may be for a person in more than one of their roles.
        found.dedup_by_key(|notice| notice.id);
        Ok(found
            .into_iter()
            .map(|n| (marks.contains(&hex::encode(n.id)), n))
            .map(|(read, n)| (n, read))
            .collect())
    }

    /// What the relay holds back, oldest first.
    pub fn held(&self) -> Result<Vec<Held>, DeviceError> {
        let stored = self.shelf.store.scan(Table::Held, &[])?;
        let mut held = stored.iter().map(|(_, b)| record::read::<Held>(b)).collect::<Result<Vec<_>, _>>()?;
        held.sort_by_key(|h| h.at_ms);
        Ok(held)
    }

    /// How far the device is in step.
    pub fn sync_view(&self) -> Result<SyncView, DeviceError> {
        let unsent = self.shelf.unsent();
        let rows = self.all_rows()?;
        let blobs = self.shelf.store.scan(Table::Meta, record::PENDING)?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let held = self.held()?.iter().filter(|h| h.resolution.is_none()).count();
        Ok(SyncView {
            unsent: count(unsent.len()),
            oldest_unsent_ms: unsent.values().map(|u| u.at_ms).min(),
            held: count(held),
            blobs_pending: count(blobs.len()),
            documents: count(rows.len()),
            cursor: self.link.cursor.0,
            last_seen_ms: self.link.trusted.map(|t| t.unix_ms),
            lease_until_ms: self.link.lease_until_ms,
            policy: self.directory.policies.last().map_or(0, |p| p.version),
            digest: hex::encode(self.digest()?.bytes()),
        })
    }

    /// Digest over all documents here and their heads.
    pub fn digest(&self) -> Result<crate::wire::digest::ScopeDigest, DeviceError> {
        let mut digest = crate::wire::digest::ScopeDigest::new();
        for row in self.all_rows()? {
            digest.add(row.doc, &row.heads);
        }
        Ok(digest)
    }

    /// Checks every signature of a document here; the number of facts that hold.
    pub fn verify(&self, doc: DocId) -> Result<usize, DeviceError> {
        let (found, state) = self.state(doc)?;
        admission::verify_log(&found, &self.rules())?;
        Ok(state.log.len())
    }
}
