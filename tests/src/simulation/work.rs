//! What people do in a random run: they take orders and tickets in, go out, decide at desks.
//!
//! In: a [`Run`]. Out: wishes, mostly such as make sense where their author stands, now and then any at
//! all: what is refused, at once or at the relay, is as much a part of it as what enters.

use std::collections::BTreeMap;

use gendan_server::log::HeldFilter;
use gendan_server::relay::RelayError;
use rand::{Rng as _, RngExt as _};
use sync_core::command::{Command, NewItem, Record};
use sync_core::fact::kinds::{AppointmentStatus, Evidence, Outcome, Signature};
use sync_core::fold::State;
use sync_core::ids::{BlobHash, DocId, DocKind, ItemId, StoreId};
use sync_core::limits::BLOB_PART_BYTES_MAX;
use sync_core::money::{Currency, Money};
use sync_core::refusal::RefusalCode;

use super::faults::STORES;
use super::model::{CREW, Taken};
use super::random::{Run, name};

const ORDER_STEPS: [&str; 5] = ["reviewed", "placed", "fetched", "delivered", "settled"];
const TICKET_STEPS: [&str; 3] = ["visited", "repaired", "closed"];
const JPEG: &str = "image/jpeg";

pub(super) fn texts(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn steps(kind: DocKind) -> &'static [&'static str] {
    if kind == DocKind::Ticket { &TICKET_STEPS } else { &ORDER_STEPS }
}

impl Run {
    /// Somebody takes an order or a ticket in; now and then under a number that is taken already.
    pub(super) fn open(&mut self) {
        let sites: Vec<String> =
            self.world.sites.keys().filter(|site| !site.starts_with('S')).cloned().collect();
        let (Some(site), Some(store)) = (self.pick(&sites), self.pick(&STORES)) else { return };
        let taken = self.roll(12) == 0;
        self.opened += u32::from(!taken);
        let number = format!("A{}", self.opened);
        let store = self.own_store(&site).or(Some(StoreId::named(self.world.company(), store)));
        let command = if self.roll(3) == 0 { self.ticket(number, store) } else { self.order(number, store) };
        self.perform(&site, command);
    }

    /// The store of a device's person, mostly.
    pub(super) fn own_store(&mut self, site: &str) -> Option<StoreId> {
        let person = self.world.sites[site].device.person();
        let theirs = self.account.grants.iter().rev().find(|g| g.person == person)?.store;
        theirs.filter(|_| self.roll(8) > 0)
    }

    fn order(&mut self, number: String, store: Option<StoreId>) -> Command {
        let fields = [
            ("customer", "何女士"),
            ("phone", "13800000000"),
            ("address", "幸福街1号"),
            ("delivery_date", "2026-12-01"),
        ];
        let price = Money::parse("468.00", Currency::CNY).expect("an amount");
        let item = NewItem {
            item: ItemId::from_bytes(self.world.rng.random()),
            product: "餐桌".into(),
            model: "1.4米".into(),
            material: None,
            quantity: 1,
            unit_price: (self.roll(2) == 0).then_some(price),
        };
        let (fields, items) = (texts(&fields), vec![item]);
        Command::OpenOrder { number, store, fields, items, taken_ms: None, channel: None }
    }

    pub(super) fn ticket(&mut self, number: String, store: Option<StoreId>) -> Command {
        let fields = texts(&[("customer", "何女士"), ("phone", "13800000000"), ("fault", "抽屉卡住")]);
        let order = DocId::numbered(self.world.company(), DocKind::Order, "A1");
        Command::OpenCase {
            flow: name("repair"),
            number,
            store,
            urgency: None,
            order: Some(order),
            about: None,
            channel: Some("phone".into()),
            fields,
        }
    }

    /// Somebody with a device does something about an order or ticket they hold.
    pub(super) fn work(&mut self) {
        let Some(site) = self.site() else { return };
        let device = &self.world.sites[&site].device;
        let rows = [DocKind::Order, DocKind::Ticket].map(|kind| device.rows(kind).expect("rows read"));
        let mut docs: Vec<(&str, DocId)> = rows.iter().flatten().map(|row| (&*row.number, row.doc)).collect();
        docs.sort_unstable_by_key(|(number, _)| (number.len(), *number));
        let docs: Vec<DocId> = docs.into_iter().map(|(_, doc)| doc).collect();
        // Mostly one of the newest, so that some come to their end.
        let newest = docs.len().saturating_sub(if self.roll(3) == 0 { docs.len() } else { 3 });
        let Some(doc) = self.pick(&docs[newest..]) else { return };
        let command = match self.roll(40) {
            24.. => Some(self.whatever_is_next(&site, &docs)),
            0..4 => Some(self.edit(doc)),
            4 => Some(Command::Note(doc, format!("备注{}", self.roll(1_000_000)))),
            5..14 => Some(self.step(&site, doc)),
            14 => Some(Command::Contact(doc, "phone".into(), "周六上午送".into(), vec![])),
            15 => {
                let evidence = self.photo(&site, doc).into_iter().collect();
                Some(Command::Report(doc, "板材有划痕".into(), evidence))
            }
            16 => {
                let amount = Money::parse("100.00", Currency::CNY).expect("an amount");
                Some(Command::Pay(doc, amount, "cash".into(), vec![]))
            }
            17 => self.visit(&site, doc),
            18 => Some(self.aside(doc)),
            19 => return self.want(&site, doc),
            _ => self.desk(doc, &site),
        };
        if let Some(command) = command {
            self.perform(&site, command);
        }
    }

    /// Somebody fetches the day's work, does what is next, and reports it in the evening.
    pub(super) fn outing(&mut self) {
        let Some(site) = self.site() else { return };
        for _visit in 0..4 {
            if !self.sync_in(&site, None) {
                return;
            }
            let device = &self.world.sites[&site].device;
            let rows = [DocKind::Order, DocKind::Ticket].map(|kind| device.rows(kind).expect("rows read"));
            let docs: Vec<DocId> = rows.iter().flatten().map(|row| row.doc).collect();
            if docs.is_empty() {
                return;
            }
            let command = self.whatever_is_next(&site, &docs);
            self.perform(&site, command);
        }
    }

    fn edit(&mut self, doc: DocId) -> Command {
        let number = self.roll(1_000_000);
        let value = match (doc.kind(), self.roll(4)) {
            (_, 0) => ("address", Some(format!("幸福街{number}号"))),
            (_, 1) => ("customer", Some(format!("何女士{number}"))),
            (_, 2) => ("phone", (!number.is_multiple_of(3)).then(|| format!("138{number:08}"))),
            (DocKind::Ticket, _) => ("fault", Some(format!("抽屉卡住{number}"))),
            _ => ("delivery_date", Some(format!("{}-12-{:02}", 2026 + number % 900, 1 + number % 28))),
        };
        Command::Edit(doc, BTreeMap::from([(value.0.to_owned(), value.1)]))
    }

    /// What a ticket has beside its steps.
    fn aside(&mut self, doc: DocId) -> Command {
        match self.roll(4) {
            0 => Command::Pause(doc, "等配件".into()),
            1 => Command::Resume(doc, None),
            2 => {
                let consumed = self.roll(2) == 0;
                Command::Part { doc, sku: "滑轨".into(), quantity: 1, consumed, stock: None }
            }
            _ => Command::Escalate(doc, name("management"), "客户着急".into()),
        }
    }

    /// A step that is next somewhere, as far as the device knows; where there is none, an edit.
    fn whatever_is_next(&mut self, site: &str, docs: &[DocId]) -> Command {
        let now = self.world.now_at(site);
        let device = &self.world.sites[site].device;
        let possible = |doc: &&DocId| {
            let case = device.case(**doc, &now);
            case.is_ok_and(|view| view.next.iter().any(|next| next.possible))
        };
        let ready: Vec<DocId> = docs.iter().rev().take(8).filter(possible).copied().collect();
        match self.pick(&ready) {
            Some(doc) => self.step(site, doc),
            None => self.edit(docs[docs.len() - 1]),
        }
    }

    /// A step: mostly one that is next, sometimes any, complete or not.
    fn step(&mut self, site: &str, doc: DocId) -> Command {
        let case = self.world.sites[site].device.case(doc, &self.world.now_at(site));
        let next: Vec<String> = case.map_or(Vec::new(), |view| {
            view.next.iter().filter(|n| n.possible).map(|n| n.step.to_string()).collect()
        });
        let step = if self.roll(5) == 0 { None } else { self.pick(&next) };
        let step = step.or_else(|| self.pick(steps(doc.kind())).map(str::to_owned)).unwrap_or_default();
        let mut record = Record::done(name(&step));
        record.outcome = self.outcome();
        if step == "placed" && self.roll(10) > 0 {
            record.evidence.push(Evidence::text_message("请下单"));
        }
        if matches!(step.as_str(), "delivered" | "repaired") {
            if self.roll(10) > 0 {
                let strokes = vec![vec![(1, 1), (500, 800), (900, 200)]];
                record.signature = Some(Signature { signer: "何女士".into(), strokes });
            }
            if self.roll(3) > 0 {
                record.evidence.extend(self.photo(site, doc));
            }
        }
        Command::Step(doc, record)
    }

    /// How a step ends: mostly done.
    pub(super) fn outcome(&mut self) -> Outcome {
        match self.roll(20) {
            0 => Outcome::Partial,
            1 => Outcome::Refused,
            2 => Outcome::Failed,
            _ => Outcome::Done,
        }
    }

    /// A photo, taken with a device and kept there until the relay has it.
    fn photo(&mut self, site: &str, doc: DocId) -> Option<Evidence> {
        let size = if self.roll(12) == 0 { BLOB_PART_BYTES_MAX + 1_000 } else { 500 };
        let mut bytes = vec![0; size];
        self.world.rng.fill_bytes(&mut bytes);
        let device = &mut self.world.sites.get_mut(site)?.device;
        let hash: BlobHash = device.attach(doc, JPEG, &bytes).ok()?;
        let taken = Taken { device: device.id(), hash, size };
        self.account.taken.push(taken);
        self.count("photo taken");
        Some(Evidence::photo(hash, JPEG))
    }

    /// Somebody wants to see a photo.
    fn want(&mut self, site: &str, doc: DocId) {
        let device = &self.world.sites[site].device;
        let away = device.photos(doc).unwrap_or_default().into_iter().filter(|photo| !photo.here);
        let away: Vec<BlobHash> = away.map(|photo| photo.hash).collect();
        let Some(hash) = self.pick(&away) else { return };
        let now = self.world.now_at(site);
        let Some(site) = self.world.sites.get_mut(site) else { return };
        match site.device.want_photo(doc, hash, &now) {
            Ok(()) => self.count("photo wanted"),
            Err(error) => self.account.faults.push(format!("a photo cannot be asked for: {error}")),
        }
    }

    pub(super) fn visit(&mut self, site: &str, doc: DocId) -> Option<Command> {
        use AppointmentStatus::{CannotComplete, Completed, Dispatched, OnSite, Travelling};
        let (_, state) = self.world.sites[site].device.state(doc).ok()?;
        let known: Vec<_> = state.appointments.keys().copied().collect();
        let appointment = self.pick(&known)?;
        let status = self.pick(&[Dispatched, Travelling, OnSite, OnSite, Completed, CannotComplete])?;
        Some(Command::Visit(doc, appointment, status))
    }

    /// What is decided at a desk: by the office, or tried by anyone.
    fn desk(&mut self, doc: DocId, site: &str) -> Option<Command> {
        let state = match self.world.sites.get(site) {
            Some(site) => site.device.state(doc).ok().map(|(_, state)| state),
            None => self.state_at_relay(doc),
        }?;
        if self.roll(3) > 0
            && let Some(command) = self.sensible(doc, &state)
        {
            return Some(command);
        }
        let ticket = doc.kind() == DocKind::Ticket;
        Some(match self.roll(15) {
            0..3 => {
                let evidence = vec![Evidence::text_message("请下单")];
                let step =
                    self.pick(if ticket { &["closed"][..] } else { &["reviewed", "placed", "settled"] })?;
                Command::Step(doc, Record { evidence, ..Record::done(name(step)) })
            }
            3..5 => {
                let amount = Money::parse("468.00", Currency::CNY).ok();
                Command::Clear { doc, guarantee: true, amount, method: "cash".into(), evidence: vec![] }
            }
            5..9 => self.assign(doc, &state)?,
            9 => Command::Approve(doc, None),
            10 => Command::Decline(doc, "太晚".into()),
            11 => Command::Cancel(doc, "客户退单".into(), vec![]),
            12 => {
                let open: Vec<_> = state.clashes.iter().filter(|c| c.settled.is_none()).cloned().collect();
                let clash = self.pick(&open)?;
                let (left, right) = (clash.left, clash.right);
                let keep = self.pick(&[left, right])?;
                Command::Settle { doc, left, right, keep, reason: "已与客户确认".into() }
            }
            13 => {
                let open = state.exceptions.iter().filter(|(_, end)| end.is_none());
                let open: Vec<_> = open.map(|(said, _)| said.said.fact).collect();
                Command::Resolve(doc, self.pick(&open)?, "已更换".into())
            }
            _ => {
                let known: Vec<_> = state.appointments.keys().copied().collect();
                Command::Visit(doc, self.pick(&known)?, AppointmentStatus::Cancelled)
            }
        })
    }

    /// What a desk would do next, if everything went as it should.
    fn sensible(&mut self, doc: DocId, state: &State) -> Option<Command> {
        let done = |step: &str| {
            let evidence = vec![Evidence::text_message("请下单")];
            Command::Step(doc, Record { evidence, ..Record::done(name(step)) })
        };
        let evidence = Vec::new();
        let ticket = doc.kind() == DocKind::Ticket;
        let assigned = !state.appointments.is_empty();
        match ticket {
            true if !assigned => self.assign(doc, state),
            true => state.done("repaired").then(|| done("closed")),
            false if !state.did("reviewed") => Some(done("reviewed")),
            false if state.cleared.is_none() => {
                let (amount, method) = (Money::parse("468.00", Currency::CNY).ok(), "cash".into());
                Some(Command::Clear { doc, guarantee: true, amount, method, evidence })
            }
            false if !state.did("placed") => Some(done("placed")),
            false if !assigned => self.assign(doc, state),
            false => state.done("delivered").then(|| done("settled")),
        }
    }

    pub(super) fn assign(&mut self, doc: DocId, state: &State) -> Option<Command> {
        let known: Vec<_> = state.appointments.keys().copied().collect();
        let mut people = vec![self.someone(CREW)?];
        if self.roll(4) == 0 {
            people.extend(self.someone(CREW).filter(|other| *other != people[0]));
        }
        let appointment = if self.roll(3) == 0 { self.pick(&known) } else { None };
        let purpose = name(match doc.kind() {
            DocKind::Ticket => "repaired",
            DocKind::Matter => "reported",
            _ => "delivered",
        });
        let on = "2026-12-01".into();
        Some(Command::Assign { doc, appointment, people, on, purpose, note: None })
    }

    pub(super) fn number_at_relay(&self, doc: DocId) -> Option<String> {
        let found = self.world.relay.document(doc).ok()??;
        Some(sync_core::fold::outline(&found).opened?.what.number)
    }

    pub(super) fn state_at_relay(&self, doc: DocId) -> Option<State> {
        let found = self.world.relay.document(doc).ok()??;
        Some(sync_core::fold::fold(&found, &self.world.relay.footing().rules()))
    }

    /// The office at the relay: decides about orders and tickets, or about what is held.
    pub(super) fn office(&mut self) {
        if self.roll(5) == 0 {
            return self.tray();
        }
        let all = self.world.relay.log().documents(None, usize::MAX).expect("the log reads");
        let ours = |doc: &DocId| matches!(doc.kind(), DocKind::Order | DocKind::Ticket);
        let mut docs: Vec<DocId> = all.into_iter().map(|(doc, _)| doc).filter(ours).collect();
        let number = |doc: &DocId| self.number_at_relay(*doc).map(|number| (number.len(), number));
        docs.sort_by_cached_key(number);
        let newest = docs.len().saturating_sub(if self.roll(3) == 0 { docs.len() } else { 4 });
        let Some(doc) = self.pick(&docs[newest..]) else { return };
        if let Some(command) = self.desk(doc, "") {
            self.try_office(command);
        }
    }

    fn tray(&mut self) {
        let filter = HeldFilter { waiting: true, ..HeldFilter::default() };
        let held = self.world.relay.log().held(&filter, None, usize::MAX).expect("the tray reads");
        let Some(held) = self.pick(&held) else { return };
        let release = self.roll(3) > 0;
        let result = self.world.as_office(|relay, clerk, now_ms| {
            if release {
                relay.release(clerk, held.doc, held.hash, now_ms)
            } else {
                relay.discard(clerk, held.doc, held.hash, "不采纳".into(), now_ms)
            }
        });
        self.world.note("tray", format!("{release} {result:?}").as_bytes());
        match result {
            Ok(()) => self.count(if release { "held change released" } else { "held change discarded" }),
            Err(RelayError::Refused(refusal)) => {
                // What lacks its dependency or is malformed cannot be released by anyone.
                if refusal.code == RefusalCode::RoleMissing && held.doc.kind() != DocKind::Directory {
                    self.account.faults.push(format!("the office may not release: {refusal}"));
                }
            }
            Err(error) => self.account.faults.push(format!("the tray fails: {error}")),
        }
    }
}
