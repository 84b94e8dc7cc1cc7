//! Admission: may this change enter the document?
//!
//! The relay asks it of every pushed change before anything is stored or forwarded; a device asks the
//! same of what it is about to write, so that a refusal is told at once. A change enters only if it
//! parses, belongs to this device, builds on admitted changes, fits the grammar, carries a fact that
//! verifies and that its author may record as they stood, and is reproduced exactly ([`untrusted`]).
//! Anything else is refused with its reason and, at the relay, held whole: nothing is lost.
//!
//! [`untrusted`]: crate::document::untrusted

use std::borrow::Cow;

use crate::authority::{self, Act};
use crate::directory::Rules;
use crate::document::history::fact_key;
use crate::document::untrusted::Untrusted;
use crate::document::{ChangeBytes, Document, Edit};
use crate::domain::fields::{Map, Value};
use crate::fact::Fact;
use crate::fact::keys::{Certificate, PublicKey};
use crate::fact::kinds::Payload;
use crate::fold::{fold, outline};
use crate::ids::{ChangeHash, CommandId, DeviceId, DocId, DocKind, PersonId};
use crate::refusal::{Refusal, RefusalCode};
use crate::time::UnixMs;

/// At whose door a change stands, and when.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// Directory and policies as they are here.
    pub rules: Rules<'a>,
    /// The device that the change must belong to.
    pub device: DeviceId,
    /// The person of that device.
    pub person: PersonId,
    /// Now, by the clock of this side.
    pub now_ms: UnixMs,
    /// The office released it: authority is not asked again; everything else is.
    pub released: bool,
}

/// A change that entered.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Its hash and bytes.
    pub change: ChangeBytes,
    /// The action it belongs to.
    pub command: CommandId,
    /// Its fact, if it carries one.
    pub fact: Option<Fact>,
}

/// A document on the stage, where foreign changes enter before anything is stored.
///
/// A device's changes come in runs, each on top of the one before. Where the document has moved on
/// meanwhile, their branch is forked once and followed. Changes are performed on the stage's own copies;
/// one that is refused there spoils its copy, which is then made anew from what was sound.
#[derive(Debug)]
pub struct Stage<'a> {
    sound: Cow<'a, Document>,
    /// What has entered since.
    entered: Vec<ChangeBytes>,
    /// Both together, once something was performed on it.
    doc: Option<Document>,
    branch: Option<Document>,
}

impl<'a> Stage<'a> {
    /// The document as it stands; a blank one where there is none.
    pub fn new(id: DocId, found: Option<&'a Document>) -> Self {
        let sound = found.map_or_else(|| Cow::Owned(Document::new(id)), Cow::Borrowed);
        Self { sound, entered: Vec::new(), doc: None, branch: None }
    }
    /// The document with what has entered so far.
    pub fn document(&self) -> &Document {
        self.doc.as_ref().unwrap_or(&self.sound)
    }
    /// The document with all that has entered.
    pub fn into_document(self) -> Document {
        self.doc.unwrap_or_else(|| self.sound.into_owned())
    }

    /// The document at exactly these heads, if it has them; where the document has moved on, this is the
    /// branch from now on.
    fn at(&mut self, deps: &[ChangeHash]) -> Option<&Document> {
        if same(deps, &self.document().heads()) {
            return Some(self.document());
        }
        if !self.branch.as_ref().is_some_and(|branch| same(deps, &branch.heads())) {
            self.branch = Some(self.document().at(deps)?);
        }
        self.branch.as_ref()
    }

    /// Performs a change at its dependencies, where [`Stage::at`] stood last, and enters it.
    fn enter(&mut self, foreign: Untrusted) -> Result<(), Refusal> {
        let change = foreign.bytes();
        let entered = self.perform(foreign);
        if entered.is_ok() {
            self.entered.push(change);
        } else {
            self.mend();
        }
        entered
    }

    fn perform(&mut self, foreign: Untrusted) -> Result<(), Refusal> {
        let doc = self.doc.get_or_insert_with(|| self.sound.clone().into_owned());
        if same(&foreign.deps, &doc.heads()) {
            return foreign.perform(doc);
        }
        let missing = || Refusal::new(RefusalCode::DependencyMissing);
        foreign.perform(self.branch.as_mut().ok_or_else(missing)?)?;
        foreign.enter(doc)
    }

    /// Makes the copies anew, without what was refused.
    fn mend(&mut self) {
        let mut doc = self.sound.clone().into_owned();
        doc.restore(self.entered.iter().map(|change| change.bytes.as_slice()))
            .expect("what has entered once enters again, on the same document");
        self.entered.clear();
        self.sound = Cow::Owned(doc);
        (self.doc, self.branch) = (None, None);
    }
}

/// Whether both are the same heads; `heads` are sorted, as a document gives them.
fn same(deps: &[ChangeHash], heads: &[ChangeHash]) -> bool {
    deps.len() == heads.len() && heads.iter().all(|head| deps.contains(head))
}

/// Lets one foreign change in, or refuses it and leaves the document as it was.
pub fn admit(stage: &mut Stage<'_>, bytes: &[u8], gate: &Gate<'_>) -> Result<Admitted, Refusal> {
    let foreign = Untrusted::parse(bytes)?;
    if foreign.actor.device != gate.device {
        return Err(Refusal::new(RefusalCode::ForeignActor));
    }
    let missing = || Refusal::new(RefusalCode::DependencyMissing);
    if !foreign.deps.iter().all(|dep| stage.document().has(*dep)) {
        return Err(missing());
    }
    let base = stage.at(&foreign.deps).ok_or_else(missing)?;
    let fact = fact_of(&foreign, base, gate)?;
    if !gate.released {
        let whole = fact.as_ref().is_some_and(|fact| authority::asks_what_is_in_force(&fact.payload));
        let state = if whole { fold(base, &gate.rules) } else { outline(base) };
        let at_ms = fact.as_ref().map_or(foreign.unix_ms, |f| f.stamp.best().0);
        let act = Act {
            rules: gate.rules,
            person: gate.person,
            doc: base,
            state: &state,
            at_ms: at_ms.min(gate.now_ms),
            received_ms: gate.now_ms,
        };
        act.judge(fact.as_ref(), &foreign.edits)?;
    }
    let (command, change) = (foreign.command, foreign.bytes());
    stage.enter(foreign)?;
    Ok(Admitted { change, command, fact })
}

/// Lets a change in that the relay sent and admitted before: by a device of the company, proved and
/// verified; authority is not judged.
pub fn receive(doc: &mut Document, bytes: &[u8], rules: &Rules<'_>) -> Result<ChangeHash, Refusal> {
    let foreign = Untrusted::parse(bytes)?;
    let hash = foreign.hash;
    if doc.has(hash) {
        return Ok(hash);
    }
    let missing = || Refusal::new(RefusalCode::DependencyMissing);
    if !foreign.deps.iter().all(|dep| doc.has(*dep)) {
        return Err(missing());
    }
    let mut base = doc.at(&foreign.deps).ok_or_else(missing)?;
    let founds = doc.id().kind() == DocKind::Directory && doc.is_blank();
    if !founds && !rules.directory.devices.contains_key(&foreign.actor.device) {
        return Err(Refusal::new(RefusalCode::ForeignActor));
    }
    for edit in &foreign.edits {
        if let Edit::Put(Map::Log, _, Value::Bytes(bytes)) = edit {
            verify_here(bytes, doc, rules)?;
        }
    }
    foreign.perform(&mut base)?;
    if !same(&foreign.deps, &doc.heads()) {
        let mut next = doc.clone();
        foreign.enter(&mut next)?;
        base = next;
    }
    *doc = base;
    Ok(hash)
}

/// Checks of a document that came as a snapshot that every change is by a device of the company, and the
/// signature of every fact, which must be this document's.
pub fn verify_log(doc: &Document, rules: &Rules<'_>) -> Result<(), Refusal> {
    let known = |device: &DeviceId| rules.directory.devices.contains_key(device);
    if doc.metas().iter().filter(|m| !m.deps.is_empty()).any(|m| !m.actor.is_some_and(|a| known(&a.device))) {
        return Err(Refusal::new(RefusalCode::ForeignActor));
    }
    for (_, value) in doc.values(Map::Log) {
        if let Value::Bytes(bytes) = value {
            verify_here(&bytes, doc, rules)?;
        }
    }
    Ok(())
}

/// Verifies a fact, which must be this document's: under another id it would be a document of nobody's.
fn verify_here(bytes: &[u8], doc: &Document, rules: &Rules<'_>) -> Result<(), Refusal> {
    let fact = verify(bytes, doc.id().kind(), rules)?;
    if fact.doc == doc.id() {
        return Ok(());
    }
    Err(Refusal::new(RefusalCode::Grammar).with("reason", "the fact belongs elsewhere"))
}

fn verify(bytes: &[u8], kind: DocKind, rules: &Rules<'_>) -> Result<Fact, Refusal> {
    let invalid = |e| Refusal::new(RefusalCode::SignatureInvalid).with("reason", e);
    Fact::verify(bytes, |fact| key_of(fact, kind, rules)).map_err(invalid)
}

/// The key that a fact must be signed with: its device's, or the one that the founding fact brings.
fn key_of(fact: &Fact, kind: DocKind, rules: &Rules<'_>) -> Option<PublicKey> {
    if let Some(device) = rules.directory.devices.get(&fact.device) {
        return (device.person == fact.author).then_some(device.key);
    }
    match &fact.payload {
        Payload::Founded(p) if kind == DocKind::Directory => {
            let certificate = Certificate::verify(&p.certificate, &PublicKey(*p.key)).ok()?;
            let fits = certificate.device == fact.device && certificate.person == fact.author;
            fits.then(|| certificate.public_key())
        }
        _ => None,
    }
}

/// The change's one fact, verified: signed by this device for its person, for this document, under its
/// own id, and not there before.
fn fact_of(foreign: &Untrusted, base: &Document, gate: &Gate<'_>) -> Result<Option<Fact>, Refusal> {
    let grammar = |reason: &str| Refusal::new(RefusalCode::Grammar).with("reason", reason);
    let mut found = None;
    for edit in &foreign.edits {
        let Edit::Put(Map::Log, key, value) = edit else { continue };
        let Value::Bytes(bytes) = value else { return Err(grammar("a log entry is bytes")) };
        let fact = verify(bytes, base.id().kind(), &gate.rules)?;
        if fact.device != gate.device || fact.author != gate.person {
            return Err(Refusal::new(RefusalCode::OnBehalf));
        }
        if fact.doc != base.id() || fact_key(fact.id) != *key {
            return Err(grammar("the fact belongs elsewhere"));
        }
        if base.value(Map::Log, key).is_some() {
            return Err(grammar("a fact is never overwritten"));
        }
        if found.replace(fact).is_some() {
            return Err(grammar("one change carries one fact"));
        }
    }
    Ok(found)
}
