//! The device as one object: what an app, the command line and the tests hold.
//!
//! Every call that records something returns after it is durable. Calls may come from any thread and
//! beside a running session. Documents are named by their id (`order:…`) or by their number, an order's
//! before a ticket's. Blocking calls take milliseconds (one write to flash); `sync`, `check` and `watch`
//! await the network.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use sync_core::command::Command;
use sync_core::device::salvage::{Salvage, TakenOver};
use sync_core::device::{Device, DeviceError};
use sync_core::domain::fields::sixteen;
use sync_core::ids::{BlobHash, CompanyId, DocId, DocKind, ItemId, PersonId, StoreId};
use sync_core::policy::model::Policy;
use sync_core::refusal::{Refusal, RefusalCode};
use sync_core::store::{SledStore, StoreKey};

use crate::clock::{self, Clock};
use crate::enrolment;
use crate::error::FieldError;
use crate::session::{Cancel, Course, Goal, Listener, Site, run_session};
use crate::transport::Transport;
use crate::views::{
    Agreement, Case, Done, DraftLine, FindingLine, HeldLine, Line, Myself, NoticeLine, PersonLine, PhotoLine,
    Stock, StoreLine, SyncState,
};
use crate::wishes::{CaseWish, EvidenceWish, ItemWish, OrderWish, StepWish, VisitStatus, evidence, money};

/// A device.
#[derive(uniffi::Object)]
pub struct FieldClient {
    site: Site,
}

fn open_store(dir: &str, key: &[u8]) -> Result<SledStore, FieldError> {
    let key = key.try_into().map_err(|_| FieldError::invalid("key", "a key is 32 bytes"))?;
    let mut store = SledStore::open(Path::new(dir), &StoreKey::from_bytes(key), clock::generator())?;
    store.compact_if_wasteful()?;
    Ok(store)
}

fn fresh_item(clock: Clock) -> ItemId {
    let mut random = [0; 10];
    clock::chance()(&mut random);
    ItemId::at(clock.now().unix_ms(), random)
}

impl FieldClient {
    /// Opens an enrolled device whose clocks and network are given.
    pub fn open_at(
        dir: &str,
        key: &[u8],
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> Result<Self, FieldError> {
        let device = Device::open(open_store(dir, key)?, clock::chance())?;
        Ok(Self { site: Site::new(device, clock, transport) })
    }

    /// Enrols an empty folder; clocks and network are given.
    pub async fn enrol_at(
        dir: &str,
        key: &[u8],
        relay_and_code: (&str, &str),
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> Result<Self, FieldError> {
        let (relay, code) = relay_and_code;
        // Before the code is spent: a folder holds one device for good.
        match Device::open(open_store(dir, key)?, clock::chance()) {
            Ok(device) => {
                return Err(Refusal::new(RefusalCode::AlreadyExists).with("what", device.id()).into());
            }
            Err(DeviceError::NotEnrolled) => {}
            Err(error) => return Err(error.into()),
        }
        let device = enrolment::enrol(open_store(dir, key)?, &transport, clock, relay, code).await?;
        Ok(Self { site: Site::new(device, clock, transport) })
    }

    /// Takes over what a damaged store held unsent.
    pub(crate) fn take_over(&self, found: Salvage) -> Result<TakenOver, FieldError> {
        let taken = self.site.with(|device, now| device.take_over(found, now))?;
        self.site.news.notify_one();
        Ok(taken)
    }

    fn perform(&self, command: Command) -> Result<Done, FieldError> {
        let done = self.site.with(|device, now| device.perform(command, now))?;
        self.site.news.notify_one();
        Ok(done.into())
    }

    fn company(&self) -> Result<CompanyId, FieldError> {
        self.site.with(|d, _| Ok(d.company()))
    }

    /// The document that an id or number names; it must be here.
    fn doc(&self, named: &str) -> Result<DocId, FieldError> {
        if let Ok(doc) = named.parse() {
            return Ok(doc);
        }
        let missing = || Refusal::new(RefusalCode::NotFound).with("what", named);
        self.site.look(|device, _| {
            for kind in DocKind::NUMBERED {
                let doc = DocId::numbered(device.company(), kind, named.trim());
                match device.state(doc) {
                    Ok(_) => return Ok(doc),
                    Err(DeviceError::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(missing().into())
        })
    }

    /// The person that an id, staff number or name names.
    fn person(&self, named: &str) -> Result<PersonId, FieldError> {
        if let Ok(id) = named.parse() {
            return Ok(id);
        }
        let found = self.site.look(|device, _| {
            let directory = device.directory();
            let by_name = || directory.people.iter().find(|(_, p)| p.name == named).map(|(id, _)| *id);
            Ok(directory.by_number(named).or_else(by_name))
        })?;
        found.ok_or_else(|| Refusal::new(RefusalCode::NotFound).with("what", named).into())
    }

    fn store_id(&self, named: Option<String>) -> Result<Option<StoreId>, FieldError> {
        let Some(named) = named else { return Ok(None) };
        if let Ok(id) = named.parse() {
            return Ok(Some(id));
        }
        let id = StoreId::named(self.company()?, &named);
        // Before the first sync nothing is known: then the device's own refusal says so.
        let known = self.site.with(|device, _| {
            let directory = device.directory();
            Ok(directory.key.is_none() || directory.stores.contains_key(&id))
        })?;
        if known { Ok(Some(id)) } else { Err(Refusal::new(RefusalCode::NotFound).with("what", named).into()) }
    }

    fn lines(&self, kind: DocKind) -> Result<Vec<Line>, FieldError> {
        self.site.look(|device, _| {
            let rows = device.rows(kind)?;
            Ok(rows.into_iter().map(|row| Line::of(row, device.directory())).collect())
        })
    }

    async fn run(
        &self,
        goal: Goal,
        limit_ms: Option<u64>,
        cancel: Option<Arc<Cancel>>,
        listener: Option<Arc<dyn Listener>>,
    ) -> Result<crate::session::Ran, FieldError> {
        run_session(&self.site, &Course { goal, limit_ms, cancel, listener }).await
    }
}

#[cfg(feature = "shell")]
fn sockets() -> Result<Arc<dyn Transport>, FieldError> {
    let sockets = crate::shell::Sockets::new();
    Ok(Arc::new(sockets.map_err(|e| FieldError::offline("no_network_stack", e))?))
}

/// A phone's build has no sockets of its own: its app gives a [`Transport`].
#[cfg(not(feature = "shell"))]
fn sockets() -> Result<Arc<dyn Transport>, FieldError> {
    Err(FieldError::offline("no_network_stack", "built without sockets: use open_over and enrol_over"))
}

/// With sockets and TLS of our own. A build without the feature `shell` has these calls too, so that one
/// set of bindings serves both; there they give `no_network_stack`.
#[uniffi::export]
impl FieldClient {
    /// Opens the enrolled device in a folder; `key` are the 32 bytes that the keystore keeps.
    #[uniffi::constructor]
    pub fn open(dir: String, key: Vec<u8>) -> Result<Arc<Self>, FieldError> {
        Self::open_at(&dir, &key, sockets()?, Clock::real()).map(Arc::new)
    }

    /// Enrols an empty folder with the office's one-time code.
    #[uniffi::constructor]
    pub async fn enrol(
        dir: String,
        key: Vec<u8>,
        relay: String,
        code: String,
    ) -> Result<Arc<Self>, FieldError> {
        Self::enrol_at(&dir, &key, (&relay, &code), sockets()?, Clock::real()).await.map(Arc::new)
    }
}

/// With the platform's network stack.
#[uniffi::export]
impl FieldClient {
    /// Opens the enrolled device in a folder, over a network stack of the app's.
    #[uniffi::constructor]
    pub fn open_over(
        dir: String,
        key: Vec<u8>,
        transport: Arc<dyn Transport>,
    ) -> Result<Arc<Self>, FieldError> {
        Self::open_at(&dir, &key, transport, Clock::real()).map(Arc::new)
    }

    /// Enrols an empty folder with the office's one-time code, over a network stack of the app's.
    #[uniffi::constructor]
    pub async fn enrol_over(
        dir: String,
        key: Vec<u8>,
        relay: String,
        code: String,
        transport: Arc<dyn Transport>,
    ) -> Result<Arc<Self>, FieldError> {
        Self::enrol_at(&dir, &key, (&relay, &code), transport, Clock::real()).await.map(Arc::new)
    }
}

/// What there is to see.
#[uniffi::export]
impl FieldClient {
    /// Who works with this device.
    pub fn myself(&self) -> Result<Myself, FieldError> {
        self.site.with(|device, _| {
            let me = device.identity();
            Ok(Myself {
                company: device.directory().name.clone(),
                company_id: me.company.to_string(),
                person_id: me.person.to_string(),
                person: device.directory().person_name(me.person),
                device: me.device.to_string(),
                relay: me.relay.clone(),
            })
        })
    }
    /// Orders by number.
    pub fn orders(&self) -> Result<Vec<Line>, FieldError> {
        self.lines(DocKind::Order)
    }
    /// After-sales tickets by number.
    pub fn tickets(&self) -> Result<Vec<Line>, FieldError> {
        self.lines(DocKind::Ticket)
    }
    /// Customer files by number.
    pub fn customers(&self) -> Result<Vec<Line>, FieldError> {
        self.lines(DocKind::Customer)
    }
    /// Matters (事项) by number: visits, material in custody, proposals.
    pub fn matters(&self) -> Result<Vec<Line>, FieldError> {
        self.lines(DocKind::Matter)
    }
    /// Conduct records (奖惩记录) by number, as far as this person may see them.
    pub fn conduct(&self) -> Result<Vec<Line>, FieldError> {
        self.lines(DocKind::Conduct)
    }
    /// Stocks of parts, each with what is there.
    pub fn stocks(&self) -> Result<Vec<Stock>, FieldError> {
        self.site.look(|device, _| {
            let rows = device.rows(DocKind::Stock)?;
            rows.iter().map(|row| Ok(Stock::of(&row.number, &device.state(row.doc)?.1))).collect()
        })
    }
    /// What this person should hear, newest first.
    pub fn notices(&self) -> Result<Vec<NoticeLine>, FieldError> {
        self.site.look(|device, now| {
            let lines = device.inbox(now)?.into_iter().map(|(notice, read)| NoticeLine::of(notice, read));
            Ok(lines.collect())
        })
    }
    /// An order, ticket, matter or record, whole.
    pub fn case(&self, doc: String) -> Result<Case, FieldError> {
        let doc = self.doc(&doc)?;
        self.site.look(|device, now| Ok(device.case(doc, now)?.into()))
    }
    /// What the rules find of a case as of now; nothing of it is in force before people decide.
    pub fn findings(&self, doc: String) -> Result<Vec<FindingLine>, FieldError> {
        let doc = self.doc(&doc)?;
        self.site.look(|device, now| Ok(device.findings(doc, now)?.into_iter().map(Into::into).collect()))
    }
    /// What there is to tell the customer of an order or ticket; at most one draft of each kind.
    pub fn drafts(&self, doc: String) -> Result<Vec<DraftLine>, FieldError> {
        let doc = self.doc(&doc)?;
        self.site.look(|device, _| Ok(device.drafts(doc)?.into_iter().map(Into::into).collect()))
    }
    /// The policy in force as JSON, in the layout of docs/policies.md: what people are called and judged by;
    /// empty before the first.
    pub fn policy(&self) -> Result<String, FieldError> {
        let json =
            |policy: &Policy| serde_json::to_string(policy).expect("each value of the model has a JSON form");
        self.site.look(|device, now| {
            Ok(device.rules().at(now.unix_ms()).map(|(_, policy)| json(policy)).unwrap_or_default())
        })
    }
    /// What the relay holds back, oldest first.
    pub fn held(&self) -> Result<Vec<HeldLine>, FieldError> {
        self.site.with(|device, _| Ok(device.held()?.into_iter().map(Into::into).collect()))
    }
    /// How far the device is in step, honestly.
    pub fn sync_state(&self) -> Result<SyncState, FieldError> {
        self.site.with(|device, _| Ok(device.sync_view()?.into()))
    }
    /// The company's people, with their roles now.
    pub fn people(&self) -> Result<Vec<PersonLine>, FieldError> {
        self.site.look(|device, now| {
            let directory = device.directory();
            let line = |(id, person): (&PersonId, &sync_core::directory::Person)| PersonLine {
                id: id.to_string(),
                number: person.number.clone(),
                name: person.name.clone(),
                roles: directory.roles_at(*id, now.unix_ms()).map(|r| r.role.to_string()).collect(),
            };
            Ok(directory.people.iter().map(line).collect())
        })
    }
    /// The company's stores.
    pub fn stores(&self) -> Result<Vec<StoreLine>, FieldError> {
        let line = |(id, name): (&StoreId, &String)| StoreLine { id: id.to_string(), name: name.clone() };
        self.site.look(|device, _| Ok(device.directory().stores.iter().map(line).collect()))
    }
    /// Checks every signature of a document here; the number of facts that hold.
    pub fn verify(&self, doc: String) -> Result<u32, FieldError> {
        let doc = self.doc(&doc)?;
        self.site.look(|device, _| Ok(u32::try_from(device.verify(doc)?).unwrap_or(u32::MAX)))
    }
}

/// Photos and files of others.
#[uniffi::export]
impl FieldClient {
    /// The photos and files that a document names.
    pub fn photos(&self, doc: String) -> Result<Vec<PhotoLine>, FieldError> {
        let doc = self.doc(&doc)?;
        self.site.with(|device, _| Ok(device.photos(doc)?.into_iter().map(Into::into).collect()))
    }

    /// The bytes of a photo or file that a document names: from this device, else from the relay. What
    /// came before an error stays here, and the next call or sync goes on from there. While a watch runs
    /// it is asked to bring them, and this gives `sync_running`: the listener hears of the document when
    /// they are here.
    pub async fn fetch_photo(
        &self,
        doc: String,
        hash: String,
        limit_ms: Option<u64>,
        cancel: Option<Arc<Cancel>>,
    ) -> Result<Vec<u8>, FieldError> {
        let (doc, hash) = (self.doc(&doc)?, hash.parse::<BlobHash>()?);
        if let Some(bytes) = self.site.with(|device, _| device.photo(doc, hash))? {
            return Ok(bytes);
        }
        self.site.with(|device, now| device.want_photo(doc, hash, now))?;
        self.site.news.notify_one();
        self.run(Goal::InStep, limit_ms, cancel, None).await?;
        let missing = || Refusal::new(RefusalCode::NotFound).with("what", hash);
        self.site.with(|device, _| device.photo(doc, hash)?.ok_or_else(|| missing().into()))
    }
}

/// What there is to do. Each is durable when it returns, online or not.
#[uniffi::export]
impl FieldClient {
    /// Takes an order in.
    pub fn open_order(&self, order: OrderWish) -> Result<Done, FieldError> {
        let clock = self.site.clock;
        let items = order.items.into_iter().map(|item| item.parse(fresh_item(clock)));
        self.perform(Command::OpenOrder {
            number: order.number,
            store: self.store_id(order.store)?,
            fields: order.fields.into_iter().collect(),
            items: items.collect::<Result<_, _>>()?,
            taken_ms: order.taken_ms,
            channel: order.channel,
        })
    }
    /// Opens a ticket, a matter, a record about a person or an opportunity.
    pub fn open_case(&self, case: CaseWish) -> Result<Done, FieldError> {
        self.perform(Command::OpenCase {
            flow: case.flow.parse()?,
            number: case.number,
            store: self.store_id(case.store)?,
            urgency: case.urgency.map(|u| u.parse()).transpose()?,
            order: case.order.map(|named| self.doc(&named)).transpose()?,
            about: case.about.map(|named| self.person(&named)).transpose()?,
            channel: case.channel,
            fields: case.fields.into_iter().collect(),
        })
    }
    /// Lets an opportunity become an order of this number, with its content.
    pub fn become_order(&self, doc: String, number: String) -> Result<Done, FieldError> {
        self.perform(Command::BecomeOrder(self.doc(&doc)?, number))
    }
    /// Opens a stock of parts.
    pub fn open_stock(&self, number: String, store: Option<String>) -> Result<Done, FieldError> {
        let store = self.store_id(store)?;
        self.perform(Command::OpenStock(number, store))
    }
    /// Counts parts into a stock.
    pub fn count_in(
        &self,
        stock: String,
        sku: String,
        quantity: u32,
        note: Option<String>,
    ) -> Result<Done, FieldError> {
        self.perform(Command::CountIn(self.doc(&stock)?, sku, quantity, note))
    }
    /// Proposes, in a record about a person, what the rules found of the case that it rests on; `kind` is the
    /// penalty or reward, where the rule names none.
    pub fn propose_found(
        &self,
        record: String,
        rule: String,
        kind: Option<String>,
    ) -> Result<Done, FieldError> {
        let kind = kind.map(|kind| kind.parse()).transpose()?;
        self.perform(Command::ProposeFound(self.doc(&record)?, rule.parse()?, kind))
    }
    /// Lets intake rest on a day to come, such as `2026-12-18`.
    pub fn suspend_intake(&self, day: String, reason: String) -> Result<Done, FieldError> {
        self.perform(Command::SuspendIntake(day, reason))
    }
    /// Lets intake not rest that day after all.
    pub fn resume_intake(&self, day: String, reason: String) -> Result<Done, FieldError> {
        self.perform(Command::ResumeIntake(day, reason))
    }
    /// Notes that notices were read, by their ids.
    pub fn mark_read(&self, notices: Vec<String>) -> Result<Done, FieldError> {
        let missing = |id: &String| Refusal::new(RefusalCode::NotFound).with("what", id);
        let id = |id: &String| sixteen(id).ok_or_else(|| DeviceError::from(missing(id)));
        self.perform(Command::Read(notices.iter().map(id).collect::<Result<_, _>>()?))
    }
    /// Opens a customer file.
    pub fn open_customer(
        &self,
        number: String,
        store: Option<String>,
        fields: HashMap<String, String>,
    ) -> Result<Done, FieldError> {
        let store = self.store_id(store)?;
        self.perform(Command::OpenCustomer { number, store, fields: fields.into_iter().collect() })
    }
    /// Proposes other values: key → text, or nothing to remove it.
    pub fn edit(&self, doc: String, changes: HashMap<String, Option<String>>) -> Result<Done, FieldError> {
        self.perform(Command::Edit(self.doc(&doc)?, changes.into_iter().collect()))
    }
    /// Adds an item to an order.
    pub fn add_item(&self, doc: String, item: ItemWish) -> Result<Done, FieldError> {
        self.perform(Command::AddItem(self.doc(&doc)?, item.parse(fresh_item(self.site.clock))?))
    }
    /// Adds a remark.
    pub fn note(&self, doc: String, text: String) -> Result<Done, FieldError> {
        self.perform(Command::Note(self.doc(&doc)?, text))
    }
    /// Keeps a photo or file until the relay has it; gives its hash, for evidence of this document.
    pub fn attach(&self, doc: String, media: String, bytes: Vec<u8>) -> Result<String, FieldError> {
        let doc = self.doc(&doc)?;
        let hash = self.site.look(|device, _| device.attach(doc, &media, &bytes))?;
        self.site.news.notify_one();
        Ok(hash.to_string())
    }
    /// Records a step.
    pub fn step(&self, doc: String, step: StepWish) -> Result<Done, FieldError> {
        self.perform(Command::Step(self.doc(&doc)?, step.parse()?))
    }
    /// Approves what is proposed.
    pub fn approve(&self, doc: String, note: Option<String>) -> Result<Done, FieldError> {
        self.perform(Command::Approve(self.doc(&doc)?, note))
    }
    /// Declines what is proposed; the sealed values are written back.
    pub fn decline(&self, doc: String, reason: String) -> Result<Done, FieldError> {
        self.perform(Command::Decline(self.doc(&doc)?, reason))
    }
    /// Calls it off.
    pub fn cancel(&self, doc: String, reason: String, proof: Vec<EvidenceWish>) -> Result<Done, FieldError> {
        self.perform(Command::Cancel(self.doc(&doc)?, reason, evidence(proof)?))
    }
    /// Says who goes when: people by id, staff number or name; a new appointment where none is named.
    pub fn assign(
        &self,
        doc: String,
        people: Vec<String>,
        on: String,
        purpose: String,
        appointment: Option<String>,
        note: Option<String>,
    ) -> Result<Done, FieldError> {
        self.perform(Command::Assign {
            doc: self.doc(&doc)?,
            appointment: appointment.map(|id| id.parse()).transpose()?,
            people: people.iter().map(|p| self.person(p)).collect::<Result<_, _>>()?,
            on,
            purpose: purpose.parse()?,
            note,
        })
    }
    /// Says how a visit stands.
    pub fn visit(&self, doc: String, appointment: String, status: VisitStatus) -> Result<Done, FieldError> {
        self.perform(Command::Visit(self.doc(&doc)?, appointment.parse()?, status.into()))
    }
    /// Settles a clash: `left`, `right` and `keep` are facts.
    pub fn settle(
        &self,
        doc: String,
        left: String,
        right: String,
        keep: String,
        reason: String,
    ) -> Result<Done, FieldError> {
        self.perform(Command::Settle {
            doc: self.doc(&doc)?,
            left: left.parse()?,
            right: right.parse()?,
            keep: keep.parse()?,
            reason,
        })
    }
    /// Records that it is paid in full, or guaranteed; an amount is kept in the money facet.
    pub fn clear(
        &self,
        doc: String,
        guarantee: bool,
        amount: Option<String>,
        method: String,
        proof: Vec<EvidenceWish>,
    ) -> Result<Done, FieldError> {
        let amount = amount.map(|text| money(&text)).transpose()?;
        self.perform(Command::Clear {
            doc: self.doc(&doc)?,
            guarantee,
            amount,
            method,
            evidence: evidence(proof)?,
        })
    }
    /// Records a payment; negative for a refund.
    pub fn pay(
        &self,
        doc: String,
        amount: String,
        method: String,
        proof: Vec<EvidenceWish>,
    ) -> Result<Done, FieldError> {
        self.perform(Command::Pay(self.doc(&doc)?, money(&amount)?, method, evidence(proof)?))
    }
    /// Records a contact with the customer.
    pub fn contact(
        &self,
        doc: String,
        channel: String,
        words: String,
        proof: Vec<EvidenceWish>,
    ) -> Result<Done, FieldError> {
        self.perform(Command::Contact(self.doc(&doc)?, channel, words, evidence(proof)?))
    }
    /// Reports that quality or date is in danger.
    pub fn report(&self, doc: String, what: String, proof: Vec<EvidenceWish>) -> Result<Done, FieldError> {
        self.perform(Command::Report(self.doc(&doc)?, what, evidence(proof)?))
    }
    /// Says how an exception (its fact) was resolved.
    pub fn resolve(&self, doc: String, exception: String, how: String) -> Result<Done, FieldError> {
        self.perform(Command::Resolve(self.doc(&doc)?, exception.parse()?, how))
    }
    /// Passes it upward: to a role, and why.
    pub fn escalate(&self, doc: String, to: String, reason: String) -> Result<Done, FieldError> {
        self.perform(Command::Escalate(self.doc(&doc)?, to.parse()?, reason))
    }
    /// Records a part: how many, used or (else) needed; one that is used may be taken from a stock.
    pub fn part(
        &self,
        doc: String,
        sku: String,
        quantity: u32,
        used: bool,
        stock: Option<String>,
    ) -> Result<Done, FieldError> {
        let doc = self.doc(&doc)?;
        let stock = stock.map(|named| self.doc(&named)).transpose()?;
        self.perform(Command::Part { doc, sku, quantity, consumed: used, stock })
    }
    /// Stops a ticket's clock: what it waits for.
    pub fn pause(&self, doc: String, reason: String) -> Result<Done, FieldError> {
        self.perform(Command::Pause(self.doc(&doc)?, reason))
    }
    /// Lets a ticket's clock run again.
    pub fn resume(&self, doc: String, note: Option<String>) -> Result<Done, FieldError> {
        self.perform(Command::Resume(self.doc(&doc)?, note))
    }
}

/// In step with the relay.
#[uniffi::export]
impl FieldClient {
    /// Connects, runs until everything is brought and taken, and closes. What was taken before an error
    /// stays taken. `limit_ms` cuts it short with `timeout`.
    pub async fn sync(
        &self,
        limit_ms: Option<u64>,
        cancel: Option<Arc<Cancel>>,
    ) -> Result<SyncState, FieldError> {
        self.run(Goal::InStep, limit_ms, cancel, None).await?;
        self.sync_state()
    }

    /// As [`FieldClient::sync`], and asks the relay whether both hold the same; repairs where not.
    pub async fn check(&self, limit_ms: Option<u64>) -> Result<Agreement, FieldError> {
        let ran = self.run(Goal::Agreed, limit_ms, None, None).await?;
        Ok(Agreement { agree: ran.agreed, repaired: ran.repaired, state: self.sync_state()? })
    }

    /// Stays connected and tells the listener what the relay brings; what is recorded meanwhile goes out
    /// at once. It ends with an error: `stopped` when cancelled, or what broke the connection. Whether and
    /// when to try again is the app's decision.
    pub async fn watch(&self, listener: Arc<dyn Listener>, cancel: Arc<Cancel>) -> Result<(), FieldError> {
        self.run(Goal::Stay, None, Some(cancel), Some(listener)).await.map(drop)
    }
}
