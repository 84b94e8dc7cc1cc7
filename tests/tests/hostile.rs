//! An enrolled device turns hostile: whatever it pushes is refused or held with a reason, nothing breaks,
//! and the others work on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::Arc;

use gendan_server::relay::end::RelayEnd;
use gendan_server::relay::gate::Peer;
use gendan_tests::simulation::world::{World, small_policy};
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};
use sync_core::command::{Command, Record};
use sync_core::device::Performed;
use sync_core::document::history::fact_key;
use sync_core::document::{Actor, Document, Edit};
use sync_core::domain::fields::{Map, Value};
use sync_core::fact::keys::SecretKey;
use sync_core::fact::kinds::{Approved, Contact, Evidence, Payload, Payment, RoleGranted};
use sync_core::fact::{Fact, READER};
use sync_core::fold::fold;
use sync_core::ids::{ChangeHash, CommandId, DocId, DocKind, FactId, Position, StoreId};
use sync_core::money::{Currency, Money};
use sync_core::refusal::RefusalCode;
use sync_core::time::Stamp;
use sync_core::wire::frames::{Frame, Hello, Push, Verdict};
use sync_core::wire::{VERSION_MAX, VERSION_MIN};

/// The attacker: an enrolled salesperson of 城东店 with a key of their own.
struct Attacker {
    end: RelayEnd,
    key: SecretKey,
    peer: Peer,
    pushes: u64,
    drawn: u8,
}

fn order(world: &World, number: &str) -> DocId {
    DocId::numbered(world.company(), DocKind::Order, number)
}
fn open_order(world: &World, number: &str, store: &str) -> Command {
    let fields = [("customer", "何女士"), ("phone", "13800000000"), ("delivery_date", "2026-12-01")];
    Command::OpenOrder {
        number: number.into(),
        store: Some(StoreId::named(world.company(), store)),
        fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        items: vec![],
        taken_ms: None,
        channel: None,
    }
}

/// A company with an attacker D01, an honest colleague D02, and another store's D03; orders A1 and B1.
fn company(seed: u64) -> World {
    let mut world = World::found(seed, &small_policy());
    world.join("D01", "sales", Some("城东店"));
    world.join("D02", "sales", Some("城东店"));
    world.join("D03", "sales", Some("城西店"));
    world.heal();
    world.perform("D02", open_order(&world, "A1", "城东店")).unwrap();
    world.perform("D03", open_order(&world, "B1", "城西店")).unwrap();
    world.heal();
    let doc = order(&world, "A1");
    world.office(Command::Step(doc, Record::done("reviewed".parse().unwrap())));
    world.office(Command::Clear {
        doc,
        guarantee: true,
        amount: None,
        method: "cash".into(),
        evidence: vec![],
    });
    world.perform("D02", Command::Contact(doc, "phone".into(), "周六送".into(), vec![])).unwrap();
    world.heal();
    world
}

impl Attacker {
    fn new(world: &World) -> Self {
        let identity = world.sites["D01"].device.identity();
        let peer = Peer { device: identity.device, person: identity.person };
        let key = SecretKey::from_seed(&identity.seed);
        let mut end = RelayEnd::new(world.relay.clone(), world.blobs.clone(), peer, 1_000_000);
        let hello = Hello {
            versions: (VERSION_MIN, VERSION_MAX),
            app: "hostile".into(),
            cursor: Position(0),
            epoch: 0,
            policy: 0,
            unsent: 0,
            oldest_unsent_ms: None,
            held: 0,
            blobs_pending: 0,
            wall_ms: 0,
        };
        end.handle(Frame::Hello(hello), world.time_ms).unwrap();
        Self { end, key, peer, pushes: 0, drawn: 0 }
    }

    fn push(&mut self, world: &World, doc: DocId, bytes: Vec<u8>) -> Verdict {
        self.pushes += 1;
        let push = Push { id: self.pushes, doc, changes: vec![bytes.into()] };
        let answers = self.end.handle(Frame::Push(push), world.time_ms).expect("a push is answered");
        let Some(Frame::Verdicts(verdicts)) = answers.into_iter().next() else {
            panic!("a push is answered")
        };
        verdicts.verdicts.into_iter().next().expect("each change has its verdict")
    }

    fn id(&mut self) -> [u8; 16] {
        self.drawn += 1;
        [self.drawn; 16]
    }
    fn fact(&mut self, world: &World, doc: DocId, payload: impl Into<Payload>) -> Fact {
        let ms = world.time_ms;
        Fact {
            doc,
            id: FactId::from_bytes(self.id()),
            author: self.peer.person,
            device: self.peer.device,
            stamp: Stamp { wall_ms: ms, offset_min: 480, trusted_ms: Some(ms), known_since_ms: Some(ms) },
            policy: 1,
            payload: payload.into(),
            reader: READER,
        }
    }
    fn say(&self, fact: &Fact) -> Edit {
        Edit::Put(Map::Log, fact_key(fact.id), Value::Bytes(fact.sign(&self.key)))
    }
    /// A change as the honest library writes it, on the relay's document as it stands.
    fn write(&mut self, world: &World, doc: DocId, edits: &[Edit]) -> Vec<u8> {
        let actor = Actor { device: self.peer.device, epoch: 77 };
        let mut found = world.relay.document(doc).unwrap().unwrap_or_else(|| Document::new(doc));
        let command = CommandId::from_bytes(self.id());
        found.write(actor, command, world.time_ms, edits).unwrap().bytes
    }
}

fn contact(words: &str) -> Contact {
    Contact { channel: "phone".into(), words: words.into(), evidence: vec![] }
}
fn put(key: &str, value: &str) -> Edit {
    Edit::Put(Map::Fields, key.into(), value.into())
}
fn held_for(verdict: &Verdict) -> Option<RefusalCode> {
    match verdict {
        Verdict::Held { refusal } => Some(refusal.code),
        Verdict::Admitted { .. } => None,
    }
}
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&bytes[8..]);
    bytes[4..8].copy_from_slice(&digest[..4]);
    bytes
}

/// Afterwards: a relay that starts anew loads and folds everything, and honest devices agree with it.
fn all_is_sound(world: &mut World) {
    world.restart_relay();
    for (doc, _) in world.relay.log().documents(None, usize::MAX).unwrap() {
        let found = world.relay.document(doc).unwrap().unwrap();
        let loaded = Document::load(doc, &found.save()).expect("what entered loads again");
        assert_eq!(loaded.heads(), found.heads());
        fold(&found, &world.relay.footing().rules());
    }
    for name in ["D02", "D03"] {
        world.connect(name);
        world.run(name, None);
        assert_eq!(world.agreement(name), Some(true), "{name} is in step");
    }
}

fn an_honest_colleague_works(world: &mut World) {
    let words = format!("备注{}", world.rng.random::<u32>());
    let done: Performed = world.perform("D02", Command::Note(order(world, "A1"), words)).unwrap();
    world.connect("D02");
    world.run("D02", None);
    assert_eq!(world.sites["D02"].device.sync_view().unwrap().unsent, 0, "{done:?} was taken");
    assert!(world.sites["D02"].device.held().unwrap().is_empty());
}

#[test]
fn one_bit_variations_of_valid_changes_break_nothing_and_nobody_waits_for_them() {
    const SAMPLES: usize = 1_500;
    let mut world = company(21);
    let doc = order(&world, "A1");
    let mut attacker = Attacker::new(&world);
    let evidence = vec![Evidence::text_message("请下单")];
    let placed = Record { evidence, ..Record::done("placed".parse().unwrap()) };
    let kinds = [
        Command::Edit(
            doc,
            [("address".to_owned(), Some("幸福街9号".to_owned())), ("phone".to_owned(), None)].into(),
        ),
        Command::Note(doc, "靠窗".into()),
        Command::Contact(doc, "phone".into(), "周日送".into(), vec![]),
        Command::Step(doc, placed),
    ];
    let (mut admitted, mut held) = (0, 0);
    for command in kinds {
        let before: Vec<ChangeHash> = world.sites["D01"].device.state(doc).unwrap().0.heads();
        world.perform("D01", command).unwrap();
        // The attacker's own document tells what an honest app would have pushed.
        let (theirs, _) = world.sites["D01"].device.state(doc).unwrap();
        let made = theirs.heads().into_iter().find(|h| !before.contains(h)).unwrap();
        let valid = theirs.change(made).unwrap().bytes;
        for sample in 0..SAMPLES {
            let mut hostile = valid.clone();
            let bit = world.rng.random_range(64..valid.len() * 8);
            hostile[bit / 8] ^= 1 << (bit % 8);
            match attacker.push(&world, doc, with_checksum(hostile)) {
                Verdict::Admitted { .. } => admitted += 1,
                Verdict::Held { .. } => held += 1,
            }
            if sample % 300 == 0 {
                an_honest_colleague_works(&mut world);
            }
        }
        // The true one, or what stands in its place, goes through the ordinary way.
        world.connect("D01");
        world.run("D01", None);
    }
    println!("{admitted} variations that an honest device could have made, {held} held");
    assert!(held > admitted, "{held} held, {admitted} admitted");
    assert!(world.relay.waiting(doc).unwrap().iter().all(|h| h.device == attacker.peer.device));
    drop(attacker);
    all_is_sound(&mut world);
}

#[test]
fn every_known_trick_is_held_with_its_reason() {
    let mut world = company(22);
    let (ours, theirs) = (order(&world, "A1"), order(&world, "B1"));
    let mut attacker = Attacker::new(&world);
    let a = &mut attacker;
    let victim = world.sites["D02"].device.identity().clone();
    let mut tricks: Vec<(&str, DocId, Vec<u8>, RefusalCode)> = Vec::new();

    let mut found = world.relay.document(ours).unwrap().unwrap();
    let actor = Actor { device: victim.device, epoch: 9 };
    let foreign = found.write(actor, CommandId::from_bytes([201; 16]), 0, &[put("customer", "x")]).unwrap();
    tricks.push(("another's actor", ours, foreign.bytes, RefusalCode::ForeignActor));

    let mut forged = a.fact(&world, ours, contact("伪造"));
    (forged.author, forged.device) = (victim.person, victim.device);
    let forged = a.say(&forged);
    tricks.push((
        "another's name under our key",
        ours,
        a.write(&world, ours, &[forged]),
        RefusalCode::SignatureInvalid,
    ));

    let log = world.relay.document(ours).unwrap().unwrap();
    let said = log.log().into_iter().find(|e| matches!(e.fact.payload, Payload::Contact(_)));
    let said = said.expect("the colleague said something").fact;
    let stolen = Value::Bytes(log.fact_bytes(said.id).unwrap());
    let copied = Edit::Put(Map::Log, fact_key(FactId::from_bytes([202; 16])), stolen.clone());
    tricks.push(("another's fact again", ours, a.write(&world, ours, &[copied]), RefusalCode::OnBehalf));
    let carried = Edit::Put(Map::Log, fact_key(said.id), stolen);
    tricks.push((
        "another's fact elsewhere",
        theirs,
        a.write(&world, theirs, &[carried]),
        RefusalCode::OnBehalf,
    ));

    let moved = a.fact(&world, theirs, contact("别处"));
    let moved = a.say(&moved);
    tricks.push(("a fact of another document", ours, a.write(&world, ours, &[moved]), RefusalCode::Grammar));
    let fact = a.fact(&world, ours, contact("换号"));
    let renamed =
        Edit::Put(Map::Log, fact_key(FactId::from_bytes([203; 16])), Value::Bytes(fact.sign(&a.key)));
    tricks.push(("a fact under another id", ours, a.write(&world, ours, &[renamed]), RefusalCode::Grammar));
    let mut over = a.fact(&world, ours, contact("改写"));
    over.id = said.id;
    let over = a.say(&over);
    tricks.push(("a fact over another", ours, a.write(&world, ours, &[over]), RefusalCode::Grammar));
    let gone = Edit::Delete(Map::Log, fact_key(said.id));
    tricks.push(("a fact deleted", ours, a.write(&world, ours, &[gone]), RefusalCode::Grammar));
    let two = [a.fact(&world, ours, contact("一")), a.fact(&world, ours, contact("二"))].map(|f| a.say(&f));
    tricks.push(("two facts in one change", ours, a.write(&world, ours, &two), RefusalCode::Grammar));

    let approved = a.fact(&world, ours, Approved { heads: log.heads(), note: None });
    let approved = a.say(&approved);
    tricks.push(("an approval", ours, a.write(&world, ours, &[approved]), RefusalCode::RoleMissing));
    tricks.push((
        "an unknown field",
        ours,
        a.write(&world, ours, &[put("salary", "1")]),
        RefusalCode::UnknownField,
    ));
    tricks.push((
        "another store's order",
        theirs,
        a.write(&world, theirs, &[put("phone", "1")]),
        RefusalCode::OutOfScope,
    ));
    let money = theirs.facet(DocKind::OrderMoney);
    let amount = Money::parse("1.00", Currency::CNY).unwrap();
    let paid = a.fact(&world, money, Payment { amount, method: "cash".into(), evidence: vec![] });
    let paid = a.say(&paid);
    tricks.push(("another store's money", money, a.write(&world, money, &[paid]), RefusalCode::OutOfScope));
    let directory = DocId::directory(world.company());
    let (person, role) = (a.peer.person, "management".parse().unwrap());
    let crowned = a.fact(&world, directory, RoleGranted { person, role, store: None, from_ms: 0 });
    let crowned = a.say(&crowned);
    tricks.push((
        "a role for oneself",
        directory,
        a.write(&world, directory, &[crowned]),
        RefusalCode::RoleMissing,
    ));

    let mut ahead = world.relay.document(ours).unwrap().unwrap();
    let actor = Actor { device: a.peer.device, epoch: 78 };
    ahead.write(actor, CommandId::from_bytes([204; 16]), 0, &[put("customer", "y")]).unwrap();
    let late = ahead.write(actor, CommandId::from_bytes([205; 16]), 0, &[put("customer", "z")]).unwrap();
    tricks.push(("what it builds on is missing", ours, late.bytes, RefusalCode::DependencyMissing));
    let mut deflated = a.write(&world, ours, &[put("customer", "d")]);
    deflated[8] = 2;
    tricks.push(("a deflated chunk", ours, with_checksum(deflated), RefusalCode::Malformed));
    let mut short = a.write(&world, ours, &[put("customer", "s")]);
    short.truncate(short.len() / 2);
    tricks.push(("half a change", ours, with_checksum(short), RefusalCode::Malformed));
    let garbage: Vec<u8> = (0..300 * 1024).map(|_| world.rng.random()).collect();
    tricks.push(("300 KB of garbage", ours, garbage, RefusalCode::TooLarge));

    for (trick, doc, bytes, reason) in tricks {
        let before = world.relay.document(doc).unwrap().map(|d| d.heads());
        let verdict = attacker.push(&world, doc, bytes);
        assert_eq!(held_for(&verdict), Some(reason), "{trick}: {verdict:?}");
        assert_eq!(world.relay.document(doc).unwrap().map(|d| d.heads()), before, "{trick} changed nothing");
        an_honest_colleague_works(&mut world);
    }
    drop(attacker);
    all_is_sound(&mut world);
}

#[test]
fn a_photo_of_another_stores_order_is_not_given_to_who_knows_its_hash() {
    let mut world = company(24);
    let theirs = order(&world, "B1");
    let site = world.sites.get_mut("D03").unwrap();
    let hash = site.device.attach(theirs, "image/jpeg", &[7; 5_000]).unwrap();
    let unnamed = site.device.attach(theirs, "image/jpeg", &[8; 5_000]).unwrap();
    let evidence = vec![Evidence::photo(hash, "image/jpeg")];
    world.perform("D03", Command::Report(theirs, "面板有划痕".into(), evidence)).unwrap();
    world.connect("D03");
    world.run("D03", None);
    assert!(world.blobs.belongs(hash).unwrap().is_some(), "the relay has it");
    let mut attacker = Attacker::new(&world);
    let ours = order(&world, "A1");
    for doc in [None, Some(theirs), Some(ours)] {
        let get = Frame::BlobGet { hash, offset: 0, doc };
        let asked = attacker.end.handle(get, world.time_ms).unwrap();
        assert_eq!(asked, [Frame::BlobState { hash, have: 0, complete: false }], "asked for through {doc:?}");
    }
    let owner = &world.sites["D03"].device;
    let peer = Peer { device: owner.id(), person: owner.person() };
    let mut end = RelayEnd::new(Arc::clone(&world.relay), world.blobs.clone(), peer, 1_000);
    let now = world.now(0);
    let mut hello = world.sites.get_mut("D03").unwrap().device.connect("app", &now).unwrap();
    end.handle(hello.remove(0), world.time_ms).unwrap();
    for doc in [None, Some(theirs)] {
        let given = end.handle(Frame::BlobGet { hash, offset: 0, doc }, world.time_ms).unwrap();
        assert!(matches!(&given[0], Frame::BlobPart { bytes, .. } if bytes.len() == 5_000));
    }
    let get = Frame::BlobGet { hash: unnamed, offset: 0, doc: Some(theirs) };
    let given = end.handle(get, world.time_ms).unwrap();
    assert!(matches!(given[0], Frame::BlobState { have: 0, .. }), "what no fact names is given to nobody");
}
