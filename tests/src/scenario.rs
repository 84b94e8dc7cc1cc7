//! A company at work under a shipped profile, for the scenarios of the regulations' sections.
//!
//! In: a profile's name, people, what they do and when. Out: what devices and the relay show. Every device
//! is a real one, offline until [`Company::online`]; the relay is the real one too, in process; the clock is
//! the test's. Times are local to the profile's zone, `2026-11-24 17:10`.

use std::collections::BTreeMap;

use chrono::{NaiveDateTime, TimeZone as _};
use gendan_server::relay::Relay;
use gendan_server::relay::office::Clerk;
use sync_core::command::{Command, NewItem, Record};
use sync_core::device::DeviceError;
use sync_core::fact::kinds::{Evidence, Outcome, Signature};
use sync_core::findings::findings;
use sync_core::fold::{State, fold};
use sync_core::ids::{DocId, DocKind, ItemId, Name, PersonId, StoreId};
use sync_core::notice::{Notice, NoticeKind};
use sync_core::policy::check::shipped;
use sync_core::policy::judge::{Finding, Verdict};
use sync_core::policy::model::Policy;
use sync_core::refusal::RefusalCode;
use sync_core::view::case::CaseView;

use crate::simulation::world::World;

/// The points that a review answers under the general profile (S15 3.2.1).
pub const POINTS: [&str; 6] = ["quantity", "delivery-date", "quality", "capacity", "cost", "cycle"];

/// A name of the policy.
pub fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

/// A step as a person records it, with what it needs.
#[derive(Clone, Debug)]
pub struct Did {
    record: Record,
    documents: Vec<Name>,
    photos: Vec<String>,
}

/// A step that was done.
pub fn did(step: &str) -> Did {
    Did { record: Record::done(name(step)), documents: Vec::new(), photos: Vec::new() }
}

impl Did {
    /// It ended otherwise.
    #[must_use]
    pub fn ended(mut self, outcome: Outcome) -> Self {
        self.record.outcome = outcome;
        self
    }
    /// With a value that the policy asks for.
    #[must_use]
    pub fn value(mut self, key: &str, value: &str) -> Self {
        self.record.values.insert(name(key), value.to_owned());
        self
    }
    /// With these points of a review in order.
    #[must_use]
    pub fn checked(self, points: &[&str]) -> Self {
        points.iter().fold(self, |did, point| did.value(point, "ok"))
    }
    /// With a text message, word for word.
    #[must_use]
    pub fn text(mut self, words: &str) -> Self {
        self.record.evidence.push(Evidence::text_message(words));
        self
    }
    /// With these documents of a checklist, each a file.
    #[must_use]
    pub fn documents(mut self, names: &[&str]) -> Self {
        self.documents.extend(names.iter().map(|text| name(text)));
        self
    }
    /// With a photo of something.
    #[must_use]
    pub fn photo(mut self, of: &str) -> Self {
        self.photos.push(of.to_owned());
        self
    }
    /// With the customer's signature.
    #[must_use]
    pub fn signed(mut self, signer: &str) -> Self {
        let strokes = vec![vec![(10, 10), (400, 300), (900, 200)]];
        self.record.signature = Some(Signature { signer: signer.to_owned(), strokes });
        self
    }
    /// With a remark.
    #[must_use]
    pub fn note(mut self, words: &str) -> Self {
        self.record.note = Some(words.to_owned());
        self
    }
    /// About these items alone.
    #[must_use]
    pub fn items(mut self, items: &[ItemId]) -> Self {
        self.record.items = items.to_vec();
        self
    }
}

/// The company.
pub struct Company {
    /// Its relay, devices and clock.
    pub world: World,
    /// The profile it works by.
    pub policy: Policy,
}

impl Company {
    /// A company under a shipped profile, on Monday 2026-11-23 at 08:00.
    pub fn under(profile: &str) -> Self {
        let toml = shipped(profile).unwrap_or_else(|| panic!("no profile {profile}"));
        let policy = Policy::parse(toml).unwrap_or_else(|faults| panic!("{profile}: {faults:#?}"));
        Self { world: World::found(21, &policy), policy }
    }

    /// People join, each with a staff number, a role and perhaps a store, and a device under their number.
    pub fn people(&mut self, people: &[(&str, &str, Option<&str>)]) {
        for (number, role, store) in people {
            self.world.join(number, role, *store);
        }
        self.online();
    }

    /// Every device connects and syncs until all are in step.
    pub fn online(&mut self) {
        self.world.heal();
    }

    /// These devices alone connect and sync, as often as they have something to say to each other.
    pub fn sync(&mut self, who: &[&str]) {
        for _round in 0..4 {
            for name in who {
                self.world.connect(name);
                self.world.run(name, None);
            }
        }
    }

    /// The moment of a local time, `2026-11-24 17:10` or `2026-11-24 17:10:59`.
    pub fn moment(&self, local: &str) -> i64 {
        let read = |form| NaiveDateTime::parse_from_str(local, form);
        let at = read("%Y-%m-%d %H:%M:%S").or_else(|_| read("%Y-%m-%d %H:%M")).expect("a local time");
        let zone: chrono_tz::Tz = self.policy.timezone.parse().expect("a checked policy's zone");
        zone.from_local_datetime(&at).earliest().expect("a time that exists").timestamp_millis()
    }

    /// It is that time now, which must be later than before; what comes by itself at the relay comes.
    pub fn at(&mut self, local: &str) {
        let ms = self.moment(local);
        assert!(ms >= self.world.time_ms, "{local} is over");
        self.world.time_ms = ms;
        self.world.relay.moments(ms).expect("the log takes what comes by itself");
    }

    /// What is done next is done within that second, which is a boundary, and half a second into it: the
    /// trusted time of a device stays behind the relay's by the way of a frame.
    pub fn next_at(&mut self, local: &str) {
        let ms = self.moment(local) - 500;
        assert!(ms >= self.world.time_ms, "{local} is over");
        self.world.time_ms = ms;
    }

    /// The document of a kind with this number.
    pub fn doc(&self, kind: DocKind, number: &str) -> DocId {
        DocId::numbered(self.world.company(), kind, number)
    }
    /// The order of this number.
    pub fn order(&self, number: &str) -> DocId {
        self.doc(DocKind::Order, number)
    }
    /// The ticket of this number.
    pub fn ticket(&self, number: &str) -> DocId {
        self.doc(DocKind::Ticket, number)
    }
    /// The person of a staff number.
    pub fn person(&self, number: &str) -> PersonId {
        PersonId::staffed(self.world.company(), number)
    }
    /// The store of this name.
    pub fn store(&self, store: &str) -> StoreId {
        StoreId::named(self.world.company(), store)
    }

    /// Somebody does something on their device, online or not.
    pub fn perform(&mut self, who: &str, command: Command) {
        let told = format!("{who}: {command:?}");
        self.world.perform(who, command).unwrap_or_else(|error| panic!("{told}: {error}"));
    }
    /// Somebody tries something that is refused where they stand: why.
    pub fn refused(&mut self, who: &str, command: Command) -> RefusalCode {
        match self.world.perform(who, command) {
            Err(DeviceError::Refused(refusal)) => refusal.code,
            other => panic!("{who} may not do this: {other:?}"),
        }
    }

    fn record(&mut self, who: &str, doc: DocId, did: Did) -> Command {
        let Did { mut record, documents, photos } = did;
        for of in photos {
            let device = &mut self.world.sites.get_mut(who).expect("a known device").device;
            let photo = format!("a photo of {of}");
            let blob = device.attach(doc, "image/jpeg", photo.as_bytes()).expect("a device keeps a photo");
            record.evidence.push(Evidence::photo(blob, "image/jpeg"));
        }
        for document in documents {
            let file = format!("%PDF {document} of {doc}");
            let device = &mut self.world.sites.get_mut(who).expect("a known device").device;
            let blob = device.attach(doc, "application/pdf", file.as_bytes()).expect("a device keeps a file");
            record.evidence.push(Evidence::document(document, blob, "application/pdf"));
        }
        Command::Step(doc, record)
    }
    /// Somebody records a step.
    pub fn step(&mut self, who: &str, doc: DocId, did: Did) {
        let command = self.record(who, doc, did);
        self.perform(who, command);
    }
    /// Somebody tries to record a step, and is refused: why.
    pub fn refused_step(&mut self, who: &str, doc: DocId, did: Did) -> RefusalCode {
        let command = self.record(who, doc, did);
        self.refused(who, command)
    }
    /// Steps that need nothing, one minute after the other.
    pub fn steps(&mut self, doc: DocId, steps: &[(&str, &str)]) {
        for (who, step) in steps {
            self.world.pass(60_000);
            self.step(who, doc, did(step));
        }
    }

    /// Steps in their order, each in step with every device before the next, and each first tried before the
    /// one that it follows: refused where the person stands.
    pub fn in_order(&mut self, doc: DocId, line: &[(&str, Did)]) {
        for (at, (who, did)) in line.iter().enumerate() {
            if let Some((next, early)) = line.get(at + 1) {
                let code = self.refused(next, Command::Step(doc, Record::done(early.record.step.clone())));
                assert_eq!(code, RefusalCode::StepOrder, "{} before {}", early.record.step, did.record.step);
            }
            self.world.pass(60_000);
            self.step(who, doc, did.clone());
            self.online();
        }
    }

    /// Somebody takes an order in: one item of each product, delivered on a day.
    pub fn open_order(
        &mut self,
        who: &str,
        number: &str,
        store: Option<&str>,
        due: &str,
        items: &[(&str, Option<&str>)],
    ) -> DocId {
        let fields = [
            ("customer", "何女士"),
            ("phone", "13800000000"),
            ("address", "幸福街1号"),
            ("delivery_date", due),
        ];
        let item = |(at, (product, material)): (usize, &(&str, Option<&str>))| NewItem {
            item: ItemId::imported(self.order(number), self.world.company(), at),
            product: (*product).to_owned(),
            model: "标准".to_owned(),
            material: material.map(name),
            quantity: 1,
            unit_price: None,
        };
        let command = Command::OpenOrder {
            number: number.to_owned(),
            store: store.map(|store| self.store(store)),
            fields: texts(&fields),
            items: items.iter().enumerate().map(item).collect(),
            taken_ms: None,
            channel: None,
        };
        self.perform(who, command);
        self.order(number)
    }

    /// An item of an order that [`open_order`](Self::open_order) took in, by its place.
    pub fn item(&self, order: DocId, place: usize) -> ItemId {
        ItemId::imported(order, self.world.company(), place)
    }

    /// Somebody opens a case of a flow.
    pub fn open(&mut self, who: &str, flow: &str, number: &str, wish: Opening<'_>) -> DocId {
        let subject = self.policy.flows[&name(flow)].subject;
        let command = self.opening(flow, number, wish);
        self.perform(who, command);
        self.doc(sync_core::authority::kind_of(subject), number)
    }
    /// Somebody tries to open a case, and is refused: why.
    pub fn refused_open(&mut self, who: &str, flow: &str, number: &str, wish: Opening<'_>) -> RefusalCode {
        let command = self.opening(flow, number, wish);
        self.refused(who, command)
    }
    fn opening(&self, flow: &str, number: &str, wish: Opening<'_>) -> Command {
        Command::OpenCase {
            flow: name(flow),
            number: number.to_owned(),
            store: wish.store.map(|store| self.store(store)),
            urgency: wish.urgency.map(name),
            order: wish.order,
            about: wish.about.map(|number| self.person(number)),
            channel: wish.channel.map(str::to_owned),
            fields: texts(wish.fields),
        }
    }

    /// Somebody sends people to a job on a day.
    pub fn assign(&mut self, who: &str, doc: DocId, people: &[&str], on: &str, purpose: &str) {
        let people = people.iter().map(|number| self.person(number)).collect();
        let (on, purpose) = (on.to_owned(), name(purpose));
        self.perform(who, Command::Assign { doc, appointment: None, people, on, purpose, note: None });
    }

    /// Somebody proposes another value of a field.
    pub fn edit(&mut self, who: &str, doc: DocId, field: &str, value: &str) {
        let change = BTreeMap::from([(field.to_owned(), Some(value.to_owned()))]);
        self.perform(who, Command::Edit(doc, change));
    }

    /// What a document comes to at the relay.
    pub fn state(&self, doc: DocId) -> State {
        let found = self.world.relay.document(doc).expect("the relay reads").expect("the relay has it");
        fold(&found, &self.world.relay.footing().rules())
    }
    /// A document as somebody's device shows it.
    pub fn view(&self, who: &str, doc: DocId) -> CaseView {
        let now = self.world.now_at(who);
        self.world.sites[who].device.case(doc, &now).expect("the device holds it")
    }
    /// The value of a field in force at the relay.
    pub fn in_force(&self, doc: DocId, field: &str) -> Option<String> {
        let found = self.world.relay.document(doc).expect("the relay reads").expect("the relay has it");
        let content = self.state(doc).content(&found, sync_core::domain::fields::Map::Fields);
        content.get(field).map(ToString::to_string)
    }
    /// What the rules find about a document at the relay now.
    pub fn findings(&self, doc: DocId) -> Vec<Finding> {
        let found = self.world.relay.document(doc).expect("the relay reads").expect("the relay has it");
        let footing = self.world.relay.footing();
        findings(&found, &fold(&found, &footing.rules()), &footing.rules(), self.world.time_ms)
    }
    /// The findings of one rule: how each stands and what is proposed.
    pub fn found(&self, doc: DocId, rule: &str) -> Vec<(Verdict, Option<String>)> {
        assert!(self.policy.rules.iter().any(|known| known.id == *rule), "no rule {rule}");
        let of = self.findings(doc).into_iter().filter(|f| f.rule == *rule);
        of.map(|f| (f.verdict, f.amount.map(|a| a.to_string()))).collect()
    }
    /// The one finding of a rule.
    pub fn finding(&self, doc: DocId, rule: &str) -> Finding {
        let of = self.findings(doc).into_iter().filter(|f| f.rule == *rule).collect::<Vec<_>>();
        let [one] = <[Finding; 1]>::try_from(of).unwrap_or_else(|of| panic!("one {rule}, not {of:#?}"));
        one
    }
    /// What somebody's device tells them about a document now.
    pub fn told(&self, who: &str, doc: DocId) -> Vec<NoticeKind> {
        let about = self.notices(who).into_iter().filter(|(notice, _)| notice.doc == doc);
        about.map(|(notice, _)| notice.kind).collect()
    }
    /// What somebody's device tells them now, newest first, each with whether it was read.
    pub fn notices(&self, who: &str) -> Vec<(Notice, bool)> {
        self.world.sites[who].device.inbox(&self.world.now_at(who)).expect("a sound device reads")
    }
    /// Whether somebody's device holds a document.
    pub fn holds(&self, who: &str, doc: DocId) -> bool {
        let rows = self.world.sites[who].device.rows(doc.kind()).expect("rows read");
        rows.iter().any(|row| row.doc == doc)
    }
    /// Why the relay holds something of a document back, if it does.
    pub fn held(&self, doc: DocId) -> Vec<RefusalCode> {
        let waiting = self.world.relay.waiting(doc).expect("the tray reads");
        waiting.iter().map(|held| held.reason.code).collect()
    }
    /// The office releases what the relay holds back of a document.
    pub fn release(&mut self, doc: DocId) {
        for held in self.world.relay.waiting(doc).expect("the tray reads") {
            let release =
                |relay: &Relay, clerk: &Clerk<'_>, now_ms| relay.release(clerk, doc, held.hash, now_ms);
            self.world.as_office(release).expect("the office may release it");
        }
    }
    /// Every device that holds a document shows what the relay shows of it.
    pub fn all_agree(&mut self) {
        self.online();
        for name in self.world.sites.keys().cloned().collect::<Vec<_>>() {
            assert_eq!(self.world.agreement(&name), Some(true), "{name} and the relay agree");
        }
    }
}

/// What an opening says beside its flow and number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening<'a> {
    /// The store's name.
    pub store: Option<&'a str>,
    /// How urgent.
    pub urgency: Option<&'a str>,
    /// The order or ticket it is about.
    pub order: Option<DocId>,
    /// The staff number of the person it is about.
    pub about: Option<&'a str>,
    /// How it came.
    pub channel: Option<&'a str>,
    /// Fields.
    pub fields: &'a [(&'a str, &'a str)],
}

fn texts(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
