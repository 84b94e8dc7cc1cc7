//! The checkers bite: a run is spoilt in one place each time, and the law that is broken says so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gendan_server::log::{
    Batch, ChangeLog, Entry, HeldChange, HeldFilter, LogError, Logged, Snapshot, StoredDocument, Tag,
};
use gendan_server::relay::Relay;
use gendan_tests::simulation::checkers::{self, Shown, shown_by};
use gendan_tests::simulation::model::{Grant, Moved};
use gendan_tests::simulation::random::{Run, run};
use gendan_tests::simulation::story::Story;
use gendan_tests::simulation::world::World;
use sync_core::command::Command;
use sync_core::document::history::fact_key;
use sync_core::document::{Actor, Edit};
use sync_core::domain::fields::{Map, Value};
use sync_core::fact::keys::SecretKey;
use sync_core::fact::kinds::{Approved, Outcome, Payload, Step, StockMoved};
use sync_core::fact::{Fact, READER};
use sync_core::ids::{ChangeHash, CommandId, DeviceId, DocId, DocKind, FactId, Position};
use sync_core::store::Pairs;
use sync_core::time::Stamp;

/// A seed whose run is sound, with devices, orders and seals of which to spoil one.
const SEED: u64 = 2;

/// A seed whose run is sound, with matters and records that nobody was told of, one in force, and a stock.
const PAPERS: u64 = 18;

/// A log that says of one change that it is durable, and has lost it; or that gives a document to everybody.
struct Spoilt {
    inner: Arc<dyn ChangeLog>,
    lost: Option<ChangeHash>,
    leaks: Option<DocId>,
}

impl ChangeLog for Spoilt {
    fn append(&self, batch: Batch) -> Result<Position, LogError> {
        self.inner.append(batch)
    }
    fn head(&self) -> Position {
        self.inner.head()
    }
    fn epoch(&self) -> u64 {
        self.inner.epoch()
    }
    fn read(&self, after: Position, limit: usize) -> Result<Vec<Logged>, LogError> {
        self.inner.read(after, limit)
    }
    fn position_of(&self, doc: DocId, hash: ChangeHash) -> Result<Option<Position>, LogError> {
        self.inner.position_of(doc, hash)
    }
    fn document(&self, doc: DocId) -> Result<Option<StoredDocument>, LogError> {
        let mut found = self.inner.document(doc)?;
        if let Some(stored) = &mut found {
            stored.changes.retain(|(_, hash, _)| Some(*hash) != self.lost);
        }
        Ok(found)
    }
    fn heads(&self, doc: DocId) -> Result<Option<Vec<ChangeHash>>, LogError> {
        self.inner.heads(doc)
    }
    fn documents(&self, after: Option<DocId>, limit: usize) -> Result<Vec<(DocId, Position)>, LogError> {
        self.inner.documents(after, limit)
    }
    fn compact(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError> {
        self.inner.compact(snapshots)
    }
    fn audience(&self, doc: DocId) -> Result<BTreeSet<Tag>, LogError> {
        let mut tags = self.inner.audience(doc)?;
        tags.extend((self.leaks == Some(doc)).then_some(Tag::Everyone));
        Ok(tags)
    }
    fn tagged(&self, tag: Tag, after: Option<DocId>, limit: usize) -> Result<Vec<DocId>, LogError> {
        let mut docs = self.inner.tagged(tag, after, limit)?;
        let more = self.leaks.filter(|doc| tag == Tag::Everyone && Some(*doc) > after && !docs.contains(doc));
        docs.extend(more);
        docs.sort();
        Ok(docs)
    }
    fn held(
        &self,
        filter: &HeldFilter,
        after: Option<(DocId, ChangeHash)>,
        limit: usize,
    ) -> Result<Vec<HeldChange>, LogError> {
        self.inner.held(filter, after, limit)
    }
    fn held_one(&self, doc: DocId, hash: ChangeHash) -> Result<Option<HeldChange>, LogError> {
        self.inner.held_one(doc, hash)
    }
    fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.inner.record(key)
    }
    fn records(&self, prefix: &[u8]) -> Result<Pairs, LogError> {
        self.inner.records(prefix)
    }
    fn swap_record(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<Vec<u8>>,
    ) -> Result<bool, LogError> {
        self.inner.swap_record(key, expected, new)
    }
}

fn reopen(run: &mut Run, log: Arc<dyn ChangeLog>) {
    let company = run.world.company();
    run.world.relay = Arc::new(Relay::open(log, company).unwrap());
}

fn orders(run: &Run) -> Vec<DocId> {
    let all = run.world.relay.log().documents(None, usize::MAX).unwrap();
    all.into_iter().map(|(doc, _)| doc).filter(|doc| doc.kind() == DocKind::Order).collect()
}

/// A newest change of an order that a device was told is recorded.
fn acknowledged(run: &Run) -> (DocId, ChangeHash) {
    let said = |doc: DocId, command: CommandId| {
        run.account.said.iter().any(|said| said.command == command && said.docs.contains(&doc))
    };
    let found = orders(run).into_iter().find_map(|doc| {
        let found = run.world.relay.document(doc).unwrap().unwrap();
        let heads = found.heads();
        let metas = found.metas().into_iter();
        let mut ours = metas.filter(|m| heads.contains(&m.hash) && m.command.is_some_and(|c| said(doc, c)));
        Some((doc, ours.next()?.hash))
    });
    found.expect("a device wrote the newest change of some order")
}

fn some_fault(faults: &[String], words: &str) -> bool {
    faults.iter().any(|fault| fault.contains(words))
}

#[test]
fn a_run_that_nobody_spoilt_breaks_no_law() {
    let mut run = run(SEED);
    assert_eq!(checkers::check(&mut run), Vec::<String>::new());
    assert!(!run.account.said.is_empty() && !orders(&run).is_empty());
}

#[test]
fn a_relay_that_drops_one_acknowledged_change_is_found_out() {
    let mut run = run(SEED);
    let (doc, lost) = acknowledged(&run);
    let inner = run.world.relay.log().clone();
    reopen(&mut run, Arc::new(Spoilt { inner, lost: Some(lost), leaks: None }));
    let gone = checkers::nothing_acknowledged_is_missing(&run, &checkers::stories(&run));
    assert!(some_fault(&gone, &format!("is recorded in {doc}: it is gone")), "{gone:?}");
    let apart = checkers::documents_agree(&run);
    assert!(some_fault(&apart, "and the relay differ about"), "{apart:?}");
}

/// A salesperson's or crew's device, with its key.
fn stranger(run: &Run) -> (DeviceId, sync_core::ids::PersonId, SecretKey) {
    let boss = |g: &&Grant| g.role == "management";
    let bosses: BTreeSet<_> = run.account.grants.iter().filter(boss).map(|g| g.person).collect();
    let site = run
        .world
        .sites
        .values()
        .find(|s| s.device.shut_out().is_none() && !bosses.contains(&s.device.person()));
    let identity = site.expect("not everyone decides").device.identity();
    (identity.device, identity.person, SecretKey::from_seed(&identity.seed))
}

/// Appends, past the gate, what is said of a document as it stands, signed by this device.
fn let_through(
    run: &mut Run,
    doc: DocId,
    (device, key): (DeviceId, &SecretKey),
    say: impl FnOnce(Vec<ChangeHash>) -> Payload,
) -> ChangeHash {
    let person = run.account.devices[&device];
    let mut found = run.world.relay.document(doc).unwrap().unwrap();
    let ms = run.world.time_ms;
    let fact = Fact {
        doc,
        id: FactId::from_bytes([7; 16]),
        author: person,
        device,
        stamp: Stamp { wall_ms: ms, offset_min: 480, trusted_ms: Some(ms), known_since_ms: Some(ms) },
        policy: 1,
        payload: say(found.heads()),
        reader: READER,
    };
    let say = Edit::Put(Map::Log, fact_key(fact.id), Value::Bytes(fact.sign(key)));
    let change =
        found.write(Actor { device, epoch: 77 }, CommandId::from_bytes([7; 16]), ms, &[say]).unwrap();
    let entry = Entry::Change { doc, hash: change.hash, device, bytes: Some(change.bytes) };
    let heads = Some((doc, found.heads()));
    let log = run.world.relay.log().clone();
    log.append(Batch { entries: vec![entry], heads, at_ms: ms, ..Batch::default() }).unwrap();
    reopen(run, log);
    change.hash
}

/// A seal over an order.
fn seal(heads: Vec<ChangeHash>) -> Payload {
    Approved { heads, note: None }.into()
}

#[test]
fn a_strangers_seal_that_was_let_through_is_found_out() {
    let mut run = run(SEED);
    let doc = orders(&run)[0];
    let (device, _, key) = stranger(&run);
    let seal = let_through(&mut run, doc, (device, &key), seal);
    let faults = checkers::nothing_unauthorised_is_in_force(&run, &checkers::stories(&run));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains(&format!("{doc}: {seal} (Approved) is in force")), "{faults:?}");
}

#[test]
fn a_seal_of_a_device_that_was_shut_out_is_found_out() {
    let mut run = run(SEED);
    let doc = orders(&run)[0];
    let (device, _, key) = stranger(&run);
    run.account.revoked.insert(device, run.world.time_ms - 1);
    let_through(&mut run, doc, (device, &key), seal);
    let faults = checkers::nothing_unauthorised_is_in_force(&run, &checkers::stories(&run));
    assert!(some_fault(&faults, "its device was shut out"), "{faults:?}");
    let faults = checkers::revoked_devices_are_empty(&run);
    assert!(some_fault(&faults, "was revoked and has not erased itself"), "{faults:?}");
}

/// What is shown, but that a device (or `None`: the relay) shows one document otherwise.
fn spoilt<'a>(
    place: Option<&'a str>,
    doc: DocId,
    spoil: &'a dyn Fn(&mut Shown),
) -> impl Fn(&World, Option<&str>, DocId) -> Option<Shown> + 'a {
    move |world: &World, site: Option<&str>, at: DocId| {
        let mut shown = shown_by(world, site, at)?;
        if site == place && at == doc {
            spoil(&mut shown);
        }
        Some(shown)
    }
}

#[test]
fn what_is_shown_as_in_force_and_is_not_is_found_out() {
    let run = run(SEED);
    let read = checkers::stories(&run);
    let honest = checkers::in_force_is_what_must_be(&run, &read, &shown_by);
    assert_eq!(honest, Vec::<String>::new());
    let sealed = |doc: &DocId| shown_by(&run.world, None, *doc).is_some_and(|s| s.in_force.is_some());
    let doc = orders(&run).into_iter().find(sealed).expect("some order was sealed");
    let altered = |spoil: &dyn Fn(&mut Shown)| {
        checkers::in_force_is_what_must_be(&run, &read, &spoilt(None, doc, spoil))
    };
    let another_date = altered(&|shown| {
        let key = ("fields".to_owned(), "delivery_date".to_owned());
        shown.in_force.as_mut().unwrap().insert(key, "text 1999-01-01".into());
    });
    let cancelled = altered(&|shown| shown.cancelled = !shown.cancelled);
    let undone = altered(&|shown| drop(shown.done.pop_first()));
    for faults in [another_date, cancelled, undone] {
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("the relay shows") && faults[0].contains(&doc.to_string()));
    }
}

#[test]
fn a_photo_that_the_relay_lost_is_found_out() {
    let mut run = run(SEED);
    let read = checkers::stories(&run);
    assert_eq!(checkers::photos_are_whole(&run, &read), Vec::<String>::new());
    run.account.restored = 0;
    run.world.blobs = Arc::new(gendan_server::blob::memory::MemoryBlobs::default());
    let faults = checkers::photos_are_whole(&run, &read);
    assert!(some_fault(&faults, "bytes at the relay"), "{faults:?}");
}

#[test]
fn an_order_on_a_device_that_it_is_not_for_is_found_out() {
    let mut run = run(SEED);
    let read = checkers::stories(&run);
    assert_eq!(checkers::devices_hold_what_their_person_may_see(&run, &read), Vec::<String>::new());
    // By the run's own account nobody ever had a role: then every order on a device is one too many.
    run.account.grants.clear();
    let faults = checkers::devices_hold_what_their_person_may_see(&run, &read);
    assert!(some_fault(&faults, "it is not for it"), "{faults:?}");
}

#[test]
fn a_device_that_goes_on_alone_is_found_out() {
    let mut run = run(SEED);
    let site = |(name, site): (&String, &gendan_tests::simulation::world::Site)| {
        let order = site.device.rows(DocKind::Order).ok()?.first()?.doc;
        site.device.shut_out().is_none().then(|| (name.clone(), order))
    };
    let held: Vec<_> = run.world.sites.iter().filter_map(site).collect();
    let mut alone = held.into_iter();
    let noted = alone.find_map(|(name, doc)| {
        run.world.perform(&name, Command::Note(doc, "只在本机".into())).ok().map(|_| name)
    });
    let name = noted.expect("somebody may note something");
    let faults = checkers::documents_agree(&run);
    assert!(some_fault(&faults, &format!("{name} has 1 changes")), "{faults:?}");
    assert!(some_fault(&faults, &format!("{name} and the relay differ")), "{faults:?}");
}

/// A document of a kind at the relay that is so, as the model reads it.
fn some_paper(read: &BTreeMap<DocId, Story>, kind: DocKind, so: impl Fn(&Story) -> bool) -> DocId {
    let found = read.iter().find(|(doc, story)| doc.kind() == kind && so(story));
    *found.unwrap_or_else(|| panic!("no such {}", kind.name())).0
}

/// A device that holds a document.
fn holder(run: &Run, doc: DocId) -> String {
    let holds = |(_, site): &(&String, &gendan_tests::simulation::world::Site)| {
        let rows = site.device.rows(doc.kind()).unwrap();
        site.device.shut_out().is_none() && rows.iter().any(|row| row.doc == doc)
    };
    run.world.sites.iter().find(holds).expect("somebody holds it").0.clone()
}

/// A device of a crew that never was anything else, with its key.
fn crew(run: &Run) -> (DeviceId, SecretKey) {
    let other = |person| run.account.grants.iter().any(|g| g.person == person && g.role != "crew");
    let site = run.world.sites.values().find(|s| s.device.shut_out().is_none() && !other(s.device.person()));
    let identity = site.expect("somebody goes out").device.identity();
    (identity.device, SecretKey::from_seed(&identity.seed))
}

#[test]
fn a_stock_that_one_device_counts_otherwise_is_found_out() {
    let mut run = run(PAPERS);
    let read = checkers::stories(&run);
    assert_eq!(checkers::in_force_is_what_must_be(&run, &read, &shown_by), Vec::<String>::new());
    let stock = some_paper(&read, DocKind::Stock, |story| !story.all().moves().is_empty());
    let site = holder(&run, stock);
    let one_more = |shown: &mut Shown| shown.parts.values_mut().next().unwrap().0 += 1;
    let faults = checkers::in_force_is_what_must_be(&run, &read, &spoilt(Some(&site), stock, &one_more));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with(&format!("{site} shows")), "{faults:?}");
    // By the run's own account one movement less was acknowledged: then everybody counts wrongly.
    let entered = |command| read[&stock].changes.values().any(|written| written.command == Some(command));
    let at = run.account.moved.iter().position(|m| m.stock == stock && entered(m.command)).unwrap();
    run.account.moved.remove(at);
    let faults = checkers::in_force_is_what_must_be(&run, &read, &shown_by);
    assert!(some_fault(&faults, "the relay shows") && faults.len() > 1, "{faults:?}");
}

#[test]
fn a_stock_below_zero_of_which_nothing_is_said_is_found_out() {
    let mut run = run(PAPERS);
    let read = checkers::stories(&run);
    let honest = checkers::a_stock_below_zero_is_a_clash_that_is_shown(&run, &read, &shown_by);
    assert_eq!(honest, Vec::<String>::new());
    // A part that nobody ever counted in is taken, past the gate: there is nobody whom it clashes with.
    let (device, key) = crew(&run);
    let (stock, sku, by) = (some_paper(&read, DocKind::Stock, |_| true), "新件".to_owned(), -5);
    let taken = StockMoved { sku: sku.clone(), by, ticket: None, note: None };
    let_through(&mut run, stock, (device, &key), |_| taken.into());
    run.account.moved.push(Moved { command: CommandId::from_bytes([7; 16]), stock, sku, by });
    let read = checkers::stories(&run);
    let faults = checkers::a_stock_below_zero_is_a_clash_that_is_shown(&run, &read, &shown_by);
    assert!(some_fault(&faults, "the relay says nothing of 新件"), "{faults:?}");
}

#[test]
fn a_record_that_is_said_to_be_in_force_and_is_not_is_found_out() {
    let run = run(PAPERS);
    let read = checkers::stories(&run);
    for holds in [false, true] {
        let record = some_paper(&read, DocKind::Conduct, |story| story.all().holds() == holds);
        let turned = |shown: &mut Shown| shown.holds = !shown.holds;
        for place in [None, Some(holder(&run, record))] {
            let look = spoilt(place.as_deref(), record, &turned);
            let faults = checkers::in_force_is_what_must_be(&run, &read, &look);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].contains(&format!("holds: {}", !holds)), "{faults:?}");
        }
    }
}

#[test]
fn a_paper_that_the_relay_gives_to_everybody_is_found_out() {
    for kind in [DocKind::Conduct, DocKind::Matter] {
        let mut run = run(PAPERS);
        let read = checkers::stories(&run);
        let untold = |story: &Story| !story.all().did("published");
        let doc = some_paper(&read, kind, untold);
        let mut people = run.world.sites.values().map(|site| site.device.person());
        let sees = |person| run.account.sees(person, doc, read.get(&doc), run.world.time_ms);
        let stranger = people.find(|person| !sees(*person)).expect("not everybody sees it");
        let inner = run.world.relay.log().clone();
        reopen(&mut run, Arc::new(Spoilt { inner, lost: None, leaks: Some(doc) }));
        run.world.equip("Q01", stranger);
        run.world.connect("Q01");
        run.world.run("Q01", None);
        let faults = checkers::devices_hold_what_their_person_may_see(&run, &checkers::stories(&run));
        assert_eq!(faults, [format!("Q01 holds {doc}: it is not for it")]);
    }
}

#[test]
fn a_crews_count_and_its_publication_of_a_record_that_were_let_through_are_found_out() {
    let mut run = run(PAPERS);
    let read = checkers::stories(&run);
    let (device, key) = crew(&run);
    let stock = some_paper(&read, DocKind::Stock, |_| true);
    let record = some_paper(&read, DocKind::Conduct, |story| !story.all().did("published"));
    let counted = let_through(&mut run, stock, (device, &key), |_| {
        StockMoved { sku: "滑轨".into(), by: 5, ticket: None, note: None }.into()
    });
    let published = let_through(&mut run, record, (device, &key), |heads| {
        let step = Step {
            step: "published".parse().unwrap(),
            outcome: Outcome::Done,
            items: Vec::new(),
            values: BTreeMap::new(),
            evidence: Vec::new(),
            appointment: None,
            signature: None,
            seal: Some(heads),
            note: None,
        };
        step.into()
    });
    let faults = checkers::nothing_unauthorised_is_in_force(&run, &checkers::stories(&run));
    assert_eq!(faults.len(), 2, "{faults:?}");
    let stands =
        |doc: DocId, hash: ChangeHash, what: &str| format!("{doc}: {hash} ({what}) is in force, but");
    assert!(some_fault(&faults, &stands(stock, counted, "StockMoved")), "{faults:?}");
    assert!(some_fault(&faults, &stands(record, published, "Step")), "{faults:?}");
}
