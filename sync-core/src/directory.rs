//! The directory: the company's people, roles, stores, devices and policies, folded from its log.
//!
//! In: the directory document, whose only content is signed facts. Out: who somebody is, which roles
//! they had at a moment, whose key a device has, which policies are in force, proposed and declined. Facts stand in the log's one order, so every replica
//! folds the same directory. [`Rules`] joins it with the policies it names.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::document::Document;
use crate::fact::Fact;
use crate::fact::keys::{Certificate, PublicKey};
use crate::fact::kinds::Payload;
use crate::ids::{BlobHash, CompanyId, DeviceId, Name, PersonId, StoreId};
use crate::policy::model::{Policy, Power, Scope};
use crate::time::UnixMs;

/// One person of the company.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Staff number (工号).
    pub number: String,
    /// Name.
    pub name: String,
    /// Roles, each from a time on and perhaps to one.
    pub roles: Vec<RoleSpan>,
}

/// A role that a person has or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSpan {
    /// The role of the policy.
    pub role: Name,
    /// The store it is for.
    pub store: Option<StoreId>,
    /// From when.
    pub from_ms: UnixMs,
    /// Until when, excluded.
    pub to_ms: Option<UnixMs>,
}

impl RoleSpan {
    /// Whether the person has the role at this moment.
    pub fn holds_at(&self, ms: UnixMs) -> bool {
        self.from_ms <= ms && self.to_ms.is_none_or(|to| ms < to)
    }
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The person who works with it.
    pub person: PersonId,
    /// Its public key.
    pub key: PublicKey,
    /// Its certificate's bytes.
    pub certificate: Vec<u8>,
    /// The relay keeps its key.
    pub custodial: bool,
    /// Why it was shut out, if it was.
    pub revoked: Option<String>,
}

/// A policy that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRef {
    /// Its version.
    pub version: u32,
    /// The hash of its published form.
    pub hash: BlobHash,
    /// From when it is in force.
    pub effective_ms: UnixMs,
}

/// A day on which intake rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspended {
    /// Why.
    pub reason: String,
    /// When it was said, as far as the author's device knew.
    pub at_ms: UnixMs,
}

/// A policy that was proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The hash of its proposed form.
    pub hash: BlobHash,
    /// The policy's name.
    pub name: Name,
    /// Why.
    pub note: Option<String>,
    /// Who proposed it.
    pub by: PersonId,
    /// When, as far as their device knew.
    pub at_ms: UnixMs,
    /// How it stands.
    pub state: ProposalState,
}

/// How it stands with a proposed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalState {
    /// Management has not decided.
    Waiting,
    /// It is published. That stands also where somebody declined it elsewhere meanwhile.
    Approved {
        /// As this version.
        version: u32,
    },
    /// It was declined; the same policy may be proposed again.
    Declined {
        /// Why.
        reason: String,
        /// By whom.
        by: PersonId,
    },
}

/// The folded directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// The company's id, once founded.
    pub company: Option<CompanyId>,
    /// The company's name.
    pub name: String,
    /// The company's public key.
    pub key: Option<PublicKey>,
    /// Who founded it: may publish the first policy.
    pub founder: Option<PersonId>,
    /// People by id.
    pub people: BTreeMap<PersonId, Person>,
    /// Stores by id.
    pub stores: BTreeMap<StoreId, String>,
    /// Devices by id.
    pub devices: BTreeMap<DeviceId, Device>,
    /// Policies, oldest first.
    pub policies: Vec<PolicyRef>,
    /// Days on which intake rests.
    pub suspended: BTreeMap<NaiveDate, Suspended>,
    /// Proposed policies, oldest first; of those with one hash at most the last waits.
    pub proposals: Vec<Proposal>,
}

impl Directory {
    /// Folds a directory document.
    pub fn read(doc: &Document) -> Self {
        let mut directory = Self::default();
        for entry in doc.log() {
            directory.apply(&entry.fact);
        }
        directory
    }

    /// Folds the policies, proposals and days of rest of a directory document, and nothing else of it: as
    /// somebody had them there, without verifying every device again.
    pub fn regulations_of(doc: &Document) -> Self {
        let mut directory = Self::default();
        for entry in doc.log() {
            directory.regulation(&entry.fact);
        }
        directory
    }

    /// The proposal of this hash that waits for a decision.
    pub fn waiting(&self, hash: BlobHash) -> Option<&Proposal> {
        self.proposals.iter().rfind(|p| p.hash == hash && p.state == ProposalState::Waiting)
    }

    fn apply(&mut self, fact: &Fact) {
        let author = fact.author;
        match &fact.payload {
            Payload::Founded(p) if self.key.is_none() => {
                let key = PublicKey(*p.key);
                let Ok(certificate) = Certificate::verify(&p.certificate, &key) else { return };
                self.company = Some(certificate.company);
                self.name = p.name.clone();
                self.key = Some(key);
                self.founder = Some(author);
                let role = RoleSpan { role: p.role.clone(), store: None, from_ms: UnixMs::MIN, to_ms: None };
                let person =
                    Person { number: p.number.clone(), name: p.person_name.clone(), roles: vec![role] };
                self.people.insert(author, person);
                self.enrol(&p.certificate, true);
            }
            Payload::PersonAdded(p) => {
                let person = self.people.entry(p.person).or_default();
                person.number.clone_from(&p.number);
                person.name.clone_from(&p.name);
            }
            Payload::RoleGranted(p) => {
                let span = RoleSpan { role: p.role.clone(), store: p.store, from_ms: p.from_ms, to_ms: None };
                self.people.entry(p.person).or_default().roles.push(span);
            }
            Payload::RoleEnded(p) => {
                let spans = self.people.get_mut(&p.person).map(|person| &mut person.roles);
                for span in spans.into_iter().flatten().filter(|s| s.role == p.role) {
                    span.to_ms = Some(span.to_ms.map_or(p.at_ms, |to| to.min(p.at_ms)));
                }
            }
            Payload::StoreAdded(p) => {
                self.stores.insert(p.store, p.name.clone());
            }
            Payload::DeviceEnrolled(p) => self.enrol(&p.certificate, p.custodial),
            Payload::DeviceRevoked(p) => {
                if let Some(device) = self.devices.get_mut(&p.device) {
                    device.revoked.get_or_insert_with(|| p.reason.clone());
                }
            }
            _ => self.regulation(fact),
        }
    }

    fn regulation(&mut self, fact: &Fact) {
        match &fact.payload {
            Payload::IntakeSuspended(p) => {
                let said = Suspended { reason: p.reason.clone(), at_ms: fact.stamp.best().0 };
                if let Ok(day) = p.day.parse() {
                    self.suspended.entry(day).or_insert(said);
                }
            }
            Payload::IntakeResumed(p) => self.suspended.retain(|day, _| p.day.parse() != Ok(*day)),
            Payload::PolicyPublished(p) => {
                let newest = self.policies.last().map_or(0, |last| last.version);
                if p.version <= newest {
                    return;
                }
                let published = PolicyRef { version: p.version, hash: p.hash, effective_ms: p.effective_ms };
                self.policies.push(published);
                let approved = self.proposals.iter_mut().rfind(|proposal| Some(proposal.hash) == p.proposal);
                if let Some(proposal) = approved {
                    proposal.state = ProposalState::Approved { version: p.version };
                }
            }
            // Two who propose the same apart propose one.
            Payload::PolicyProposed(p) if self.waiting(p.hash).is_none() => self.proposals.push(Proposal {
                hash: p.hash,
                name: p.name.clone(),
                note: p.note.clone(),
                by: fact.author,
                at_ms: fact.stamp.best().0,
                state: ProposalState::Waiting,
            }),
            Payload::PolicyDeclined(p) => {
                let waits = |proposal: &&mut Proposal| {
                    proposal.hash == p.hash && proposal.state == ProposalState::Waiting
                };
                if let Some(proposal) = self.proposals.iter_mut().rfind(waits) {
                    let (reason, by) = (p.reason.clone(), fact.author);
                    proposal.state = ProposalState::Declined { reason, by };
                }
            }
            _ => {}
        }
    }

    fn enrol(&mut self, certificate: &[u8], custodial: bool) {
        let Some(key) = self.key else { return };
        let Ok(read) = Certificate::verify(certificate, &key) else { return };
        let device = Device {
            person: read.person,
            key: read.public_key(),
            certificate: certificate.to_vec(),
            custodial,
            revoked: None,
        };
        // A device id keeps its first key for ever: what it signed before must stay verifiable.
        self.devices.entry(read.device).or_insert(device);
    }

    /// The roles of a person at a moment.
    pub fn roles_at(&self, person: PersonId, ms: UnixMs) -> impl Iterator<Item = &RoleSpan> {
        let spans = self.people.get(&person).map_or(&[][..], |p| &p.roles);
        spans.iter().filter(move |span| span.holds_at(ms))
    }

    /// The policy version in force at a moment.
    pub fn policy_at(&self, ms: UnixMs) -> Option<&PolicyRef> {
        let effective = self.policies.iter().rev().find(|p| p.effective_ms <= ms);
        // Before the first policy's day its rules hold already: there are no others.
        effective.or(self.policies.first())
    }

    /// The person with this staff number.
    pub fn by_number(&self, number: &str) -> Option<PersonId> {
        self.people.iter().find(|(_, p)| p.number == number).map(|(id, _)| *id)
    }

    /// What to call a person: name and staff number.
    pub fn person_name(&self, person: PersonId) -> String {
        match self.people.get(&person) {
            Some(p) => format!("{} ({})", p.name, p.number),
            None => "?".to_owned(),
        }
    }
}

/// The directory with the policies that are at hand, by version.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The directory.
    pub directory: &'a Directory,
    /// Policies by version.
    pub policies: &'a BTreeMap<u32, Policy>,
}

impl<'a> Rules<'a> {
    /// The policy in force at a moment, with its version.
    pub fn at(&self, ms: UnixMs) -> Option<(u32, &'a Policy)> {
        let version = self.directory.policy_at(ms)?.version;
        self.policies.get(&version).map(|policy| (version, policy))
    }
    /// Whether a person has a power at a moment.
    pub fn has_power(&self, person: PersonId, ms: UnixMs, power: Power) -> bool {
        let Some((_, policy)) = self.at(ms) else { return false };
        let may = |span: &RoleSpan| policy.roles.get(&span.role).is_some_and(|r| r.may.contains(&power));
        self.directory.roles_at(person, ms).any(may)
    }
    /// Every power that a person has at a moment.
    pub fn powers(&self, person: PersonId, ms: UnixMs) -> BTreeSet<Power> {
        let Some((_, policy)) = self.at(ms) else { return BTreeSet::new() };
        let of = |span: &RoleSpan| policy.roles.get(&span.role).map(|role| role.may.iter().copied());
        self.directory.roles_at(person, ms).filter_map(of).flatten().collect()
    }
    /// Whether a person's devices hold prices and payments.
    pub fn sees_money(&self, person: PersonId, ms: UnixMs) -> bool {
        let Some((_, policy)) = self.at(ms) else { return false };
        self.directory.roles_at(person, ms).any(|s| policy.roles.get(&s.role).is_some_and(|r| r.money))
    }
    /// The scopes of a person's roles, each with its store.
    pub fn scopes(&self, person: PersonId, ms: UnixMs) -> Vec<(Scope, Option<StoreId>, bool)> {
        let Some((_, policy)) = self.at(ms) else { return Vec::new() };
        let scope =
            |span: &RoleSpan| policy.roles.get(&span.role).map(|role| (role.scope, span.store, role.money));
        self.directory.roles_at(person, ms).filter_map(scope).collect()
    }
}
