//! A handful of devices and a relay, from one seed.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use gendan_server::relay::end::RelayEnd;
use gendan_server::relay::gate::Peer;
use gendan_tests::simulation::world::{World, small_policy};
use sync_core::command::{Command, NewItem, Record};
use sync_core::fact::kinds::{Evidence, Signature};
use sync_core::ids::{CommandId, DocId, DocKind, ItemId, StoreId};
use sync_core::money::{Currency, Money};
use sync_core::refusal::RefusalCode;
use sync_core::wire::frames::{FeedItem, Frame, Inventory, Need, Push, Verdict};

fn open_order(world: &World, number: &str) -> Command {
    open_order_at(world, "城东店", number)
}
fn open_order_at(world: &World, store: &str, number: &str) -> Command {
    let fields = [
        ("customer", "何女士"),
        ("phone", "13800000000"),
        ("address", "幸福街1号"),
        ("delivery_date", "2026-12-01"),
    ];
    Command::OpenOrder {
        number: number.into(),
        store: Some(StoreId::named(world.company(), store)),
        fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        items: vec![NewItem {
            item: ItemId::from_bytes([5; 16]),
            product: "餐桌".into(),
            model: "1.4米".into(),
            material: None,
            quantity: 1,
            unit_price: Some(Money::new(128_000, Currency::CNY)),
        }],
        taken_ms: None,
        channel: None,
    }
}
fn step(name: &str) -> Record {
    Record::done(name.parse().unwrap())
}
fn signed(name: &str) -> Record {
    let signature =
        Signature { signer: "何女士".into(), strokes: vec![vec![(1, 1), (500, 800), (900, 200)]] };
    Record { signature: Some(signature), ..step(name) }
}
fn edit(key: &str, value: &str) -> BTreeMap<String, Option<String>> {
    BTreeMap::from([(key.to_owned(), Some(value.to_owned()))])
}

/// A company with one shop, one salesperson, one crew, all in step.
fn shop(seed: u64) -> (World, DocId) {
    let mut world = World::found(seed, &small_policy());
    world.join("D01", "sales", Some("城东店"));
    world.join("S01", "crew", None);
    world.heal();
    world.perform("D01", open_order(&world, "A1")).unwrap();
    let doc = DocId::numbered(world.company(), DocKind::Order, "A1");
    world.heal();
    world.office(Command::Step(doc, step("reviewed")));
    world.office(Command::Clear {
        doc,
        guarantee: true,
        amount: None,
        method: "cash".into(),
        evidence: vec![],
    });
    world.heal();
    let mut placed = step("placed");
    placed.evidence = vec![Evidence::text_message("请下单")];
    world.perform("D01", Command::Step(doc, placed)).unwrap();
    world.heal();
    let crew = sync_core::ids::PersonId::staffed(world.company(), "S01");
    world.office(Command::Assign {
        doc,
        appointment: None,
        people: vec![crew],
        on: "2026-12-01".into(),
        purpose: "delivered".parse().unwrap(),
        note: None,
    });
    world.heal();
    (world, doc)
}

fn agree(world: &World) {
    for (name, site) in &world.sites {
        let sync = site.device.sync_view().unwrap();
        assert_eq!(sync.unsent, 0, "{name}");
        for row in site.device.rows(DocKind::Order).unwrap() {
            let relay = world.relay.document(row.doc).unwrap().unwrap();
            assert_eq!(row.heads, relay.heads(), "{name} and the relay differ about {}", row.number);
        }
    }
}

#[test]
fn an_order_goes_from_sales_to_the_crew_that_is_assigned_and_to_nobody_else() {
    let (world, doc) = shop(1);
    agree(&world);
    let crew = &world.sites["S01"].device;
    assert_eq!(crew.rows(DocKind::Order).unwrap().len(), 1);
    assert!(crew.rows(DocKind::OrderMoney).unwrap().is_empty(), "a crew holds no prices");
    let view = crew.case(doc, &world.now(0)).unwrap();
    let next: Vec<_> = view.next.iter().filter(|n| n.possible).map(|n| n.step.as_str()).collect();
    assert_eq!(next, ["fetched"]);
}

#[test]
fn a_cancelled_order_that_was_delivered_offline_is_a_clash_that_the_office_settles() {
    let (mut world, doc) = shop(2);
    world.perform("S01", Command::Step(doc, step("fetched"))).unwrap();
    world.perform("S01", Command::Step(doc, signed("delivered"))).unwrap();
    world.office(Command::Cancel(doc, "客户退单".into(), vec![]));
    world.heal();
    agree(&world);
    let (_, state) = world.sites["D01"].device.state(doc).unwrap();
    assert!(!state.is_cancelled(), "the physical fact stands");
    assert_eq!(state.clashes.len(), 1);
    let clash = state.clashes[0].clone();
    world.office(Command::Settle {
        doc,
        left: clash.left,
        right: clash.right,
        keep: clash.left,
        reason: "货已签收".into(),
    });
    world.heal();
    let (_, state) = world.sites["D01"].device.state(doc).unwrap();
    assert!(state.clashes[0].settled.is_some());
}

#[test]
fn an_edit_after_a_seal_is_only_proposed_until_the_office_approves() {
    let (mut world, doc) = shop(3);
    world.perform("D01", Command::Edit(doc, edit("delivery_date", "2026-12-24"))).unwrap();
    world.heal();
    let date = |world: &World| {
        let view = world.sites["D01"].device.case(doc, &world.now(0)).unwrap();
        view.fields.into_iter().find(|f| f.key == "delivery_date").unwrap().value
    };
    assert_eq!(date(&world), "2026-12-01");
    world.office(Command::Approve(doc, None));
    world.heal();
    assert_eq!(date(&world), "2026-12-24");
    world.perform("D01", Command::Edit(doc, edit("delivery_date", "2027-01-01"))).unwrap();
    world.heal();
    world.office(Command::Decline(doc, "太晚".into()));
    world.heal();
    assert_eq!(date(&world), "2026-12-24");
    let (_, state) = world.sites["D01"].device.state(doc).unwrap();
    assert!(state.proposed.is_empty(), "a declined edit is written back");
    agree(&world);
}

#[test]
fn what_a_person_may_not_do_is_refused_at_once_in_words() {
    let (mut world, doc) = shop(4);
    let refused = world.perform("S01", Command::Cancel(doc, "x".into(), vec![])).unwrap_err();
    let sync_core::device::DeviceError::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal.code, RefusalCode::RoleMissing);
    assert_eq!(refusal.who.len(), 1);
    let unsigned = world.perform("S01", Command::Step(doc, step("delivered"))).unwrap_err();
    assert!(unsigned.to_string().contains("step_order"), "{unsigned}");
}

#[test]
fn work_after_the_role_ended_is_held_with_its_reason_and_can_be_released() {
    let (mut world, doc) = shop(5);
    world.perform("S01", Command::Step(doc, step("fetched"))).unwrap();
    world.perform("S01", Command::Note(doc, "放在门口".into())).unwrap();
    let crew = world.sites["S01"].device.person();
    let ended = world.time_ms;
    world.office(Command::EndRole(crew, "crew".parse().unwrap(), ended));
    world.heal();
    let held = world.relay.waiting(doc).unwrap();
    assert_eq!(held[0].reason.code, RefusalCode::RoleEnded);
    let theirs = world.sites["S01"].device.held().unwrap();
    assert_eq!(theirs.len(), 2);
    let (_, state) = world.sites["D01"].device.state(doc).unwrap();
    assert!(!state.did("fetched"), "nothing unauthorised takes effect");
    for change in held {
        world.as_office(|relay, clerk, now_ms| relay.release(clerk, doc, change.hash, now_ms)).unwrap();
    }
    world.heal();
    let (_, state) = world.sites["D01"].device.state(doc).unwrap();
    assert!(state.did("fetched"), "released");
    let theirs = world.sites["S01"].device.held().unwrap();
    assert!(theirs.iter().all(|h| h.resolution.is_some()), "the device is told");
}

#[test]
fn a_revoked_device_hands_its_unsent_work_in_and_erases_itself() {
    let (mut world, doc) = shop(6);
    world.perform("S01", Command::Step(doc, step("fetched"))).unwrap();
    let device = world.sites["S01"].device.id();
    world.office(Command::Revoke(device, "手机丢失".into()));
    world.connect("S01");
    world.run("S01", None);
    assert_eq!(world.relay.waiting(doc).unwrap()[0].reason.code, RefusalCode::DeviceRevoked);
    let mut site = world.sites.remove("S01").unwrap();
    assert!(site.device.shut_out().is_some());
    let note = Command::Note(doc, "还在用".into());
    let after = site.device.perform(note, &world.now(0));
    assert_eq!(after.unwrap_err(), sync_core::device::DeviceError::Wiped, "nothing is acknowledged any more");
    drop(site.device);
    let reopened = sync_core::device::Device::open(site.disk.open().unwrap(), Box::new(|_| {}));
    assert!(matches!(reopened.err(), Some(sync_core::device::DeviceError::NotEnrolled)), "nothing is left");
}

#[test]
fn an_order_withdrawn_shortly_before_the_role_ends_leaves_the_device_too() {
    let (mut world, doc) = shop(7);
    let crew = world.sites["S01"].device.person();
    let (_, state) = world.sites["D01"].device.state(doc).unwrap();
    let appointment = *state.appointments.keys().next().unwrap();
    world.office(Command::Visit(doc, appointment, sync_core::fact::kinds::AppointmentStatus::Cancelled));
    let ended = world.time_ms;
    world.office(Command::EndRole(crew, "crew".parse().unwrap(), ended));
    world.heal();
    assert!(world.sites["S01"].device.rows(DocKind::Order).unwrap().is_empty(), "no address stays behind");
}

#[test]
fn two_stores_that_took_one_number_apart_both_go_on_seeing_it() {
    let (mut world, _) = shop(8);
    world.join("D02", "sales", Some("城西店"));
    world.heal();
    world.perform("D01", open_order(&world, "B7")).unwrap();
    let Command::OpenOrder { number, fields, items, .. } = open_order(&world, "B7") else { panic!() };
    let store = Some(StoreId::named(world.company(), "城西店"));
    let theirs = Command::OpenOrder { number, store, fields, items, taken_ms: None, channel: None };
    world.perform("D02", theirs).unwrap();
    world.heal();
    agree(&world);
    assert_eq!(world.agreement("D01"), Some(true));
    assert_eq!(world.agreement("D02"), Some(true));
}

#[test]
fn an_order_that_was_refused_whole_leaves_no_empty_line() {
    let (mut world, _) = shop(9);
    world.perform("D01", open_order(&world, "B8")).unwrap();
    let (person, ended) = (world.sites["D01"].device.person(), world.time_ms);
    world.office(Command::EndRole(person, "sales".parse().unwrap(), ended));
    world.heal();
    let site = &world.sites["D01"].device;
    assert!(site.rows(DocKind::Order).unwrap().is_empty(), "neither an empty line nor an old order");
    assert!(!site.held().unwrap().is_empty(), "what was said is kept with its reason");
}

#[test]
fn what_a_customer_signed_is_proved_from_a_file_alone_and_no_altered_file_holds() {
    let (mut world, doc) = shop(7);
    world.perform("S01", Command::Step(doc, step("fetched"))).unwrap();
    world.perform("S01", Command::Step(doc, signed("delivered"))).unwrap();
    world.perform("D01", Command::Edit(doc, edit("delivery_date", "2027-01-01"))).unwrap();
    world.heal();
    let found = world.relay.document(doc).unwrap().unwrap();
    let file = gendan_server::evidence::EvidenceFile::of(&found, &world.relay.footing());
    let proved = file.prove().unwrap();
    assert_eq!(proved.signatures.len(), 1);
    assert_eq!(proved.signatures[0].content["delivery_date"], "2026-12-01", "what was on the screen");
    let mut other = file.clone();
    other.company_key = "11".repeat(32);
    assert!(other.prove().is_err(), "another company's key");
    let mut other = file.clone();
    other.certificates.pop();
    assert!(other.prove().is_err(), "a certificate is missing");
    let mut other = file.clone();
    other.doc = DocId::new(DocKind::Order, [9; 16]).to_string();
    assert!(other.prove().is_err(), "moved to another order");
    for at in (0..file.document.len()).step_by(97) {
        let mut other = file.clone();
        let digit = if &other.document[at..=at] == "0" { "1" } else { "0" };
        other.document.replace_range(at..=at, digit);
        assert!(other.prove().is_err(), "altered at {at}");
    }
}

#[test]
fn after_a_cancellation_that_was_overtaken_another_one_takes_effect() {
    let (mut world, doc) = shop(10);
    world.perform("S01", Command::Step(doc, step("fetched"))).unwrap();
    world.office(Command::Cancel(doc, "客户退单".into(), vec![]));
    world.heal();
    let cancelled = |world: &World| world.sites["D01"].device.state(doc).unwrap().1.is_cancelled();
    assert!(!cancelled(&world), "it was fetched meanwhile");
    world.office(Command::Cancel(doc, "已知提货,仍退单".into(), vec![]));
    world.heal();
    assert!(cancelled(&world), "whoever said this knew of it");
    let now = world.now(0);
    assert!(world.sites["S01"].device.case(doc, &now).unwrap().next.iter().all(|n| !n.possible));
    agree(&world);
}

/// A relay with an edit by D01 that D01b has too, and a copy of it from before.
fn edited(seed: u64) -> (World, DocId, gendan_tests::simulation::world::RelayCopy) {
    let (mut world, doc) = shop(seed);
    let person = world.sites["D01"].device.person();
    world.equip("D01b", person);
    world.heal();
    let photo = world.sites.get_mut("D01").unwrap().device.attach(doc, "image/jpeg", b"jpeg").unwrap();
    let evidence = vec![Evidence::photo(photo, "image/jpeg")];
    let copy = world.back_up([photo]);
    world.perform("D01", Command::Report(doc, "板材有划痕".into(), evidence)).unwrap();
    world.perform("D01", Command::Edit(doc, edit("address", "幸福街7号"))).unwrap();
    world.heal();
    (world, doc, copy)
}

/// A copy of a relay, and what S01 was told is recorded after it.
fn confirmed(seed: u64) -> (World, DocId, (gendan_tests::simulation::world::RelayCopy, CommandId)) {
    let (mut world, doc) = shop(seed);
    let copy = world.back_up([]);
    let fetched = world.perform("S01", Command::Step(doc, step("fetched"))).unwrap();
    world.connect("S01");
    world.run("S01", None);
    assert_eq!(world.sites["S01"].device.sync_view().unwrap().unsent, 0);
    (world, doc, (copy, fetched.command))
}

fn whole_again(world: &mut World, doc: DocId) {
    world.heal();
    agree(world);
    assert_eq!(world.agreement("D01"), Some(true));
    let address = |d: &sync_core::document::Document| {
        d.value(sync_core::domain::fields::Map::Fields, "address").map(|v| format!("{v:?}"))
    };
    let relay = address(&world.relay.document(doc).unwrap().unwrap());
    assert!(relay.is_some_and(|a| a.contains("幸福街7号")), "the work of D01 is at the relay again");
    assert!(world.relay.waiting(doc).unwrap().is_empty(), "nobody has to release it");
}

#[test]
fn what_another_device_gives_back_first_does_not_shut_its_author_out() {
    let (mut world, doc, copy) = edited(11);
    world.restore_relay(copy);
    world.connect("D01b");
    world.run("D01b", None);
    assert!(!world.relay.waiting(doc).unwrap().is_empty(), "not in another's name");
    whole_again(&mut world, doc);
}

#[test]
fn what_only_a_colleagues_device_still_has_after_a_restore_is_released_in_its_authors_name() {
    let (mut world, doc, copy) = edited(16);
    let author = world.sites["D01"].device.identity().device;
    world.restore_relay(copy);
    let again = world.back_up([]);
    world.connect("D01b");
    world.run("D01b", None);
    let held = world.relay.waiting(doc).unwrap().len();
    // A relay that loses its tray too gets it once more.
    world.restore_relay(again);
    assert!(held > 0 && world.relay.waiting(doc).unwrap().is_empty());
    world.connect("D01b");
    world.run("D01b", None);
    let held = world.relay.waiting(doc).unwrap();
    assert!(!held.is_empty());
    assert!(held.iter().all(|held| held.device != author), "its author's device is gone");
    assert_eq!(world.agreement("D01b"), Some(true), "what the relay holds back is in force nowhere");
    // Each builds on the one before, in whatever order they are listed.
    for _ in &held {
        for change in world.relay.waiting(doc).unwrap() {
            drop(world.as_office(|relay, clerk, now_ms| relay.release(clerk, doc, change.hash, now_ms)));
        }
    }
    assert!(world.relay.waiting(doc).unwrap().is_empty());
    let found = world.relay.document(doc).unwrap().unwrap();
    let writer = found.writer(sync_core::domain::fields::Map::Fields, "address").unwrap();
    assert_eq!(writer.device, author);
    world.run("D01b", None);
    assert_eq!(world.agreement("D01b"), Some(true));
    whole_again(&mut world, doc);
}

#[test]
fn prices_that_come_before_their_order_enter_with_it_also_where_its_number_is_taken() {
    for taken in [false, true] {
        let mut world = World::found(20, &small_policy());
        world.join("D01", "sales", Some("城东店"));
        world.join("D02", "sales", Some("城西店"));
        world.heal();
        if taken {
            world.perform("D02", open_order_at(&world, "城西店", "A1")).unwrap();
            world.connect("D02");
            world.run("D02", None);
        }
        world.perform("D01", open_order_at(&world, "城东店", "A1")).unwrap();
        let doc = DocId::numbered(world.company(), DocKind::Order, "A1");
        let money = doc.facet(DocKind::OrderMoney);
        let mut pushes = unsent(&mut world, "D01");
        pushes.sort_by_key(|push| push.doc != money);
        let device = &world.sites["D01"].device;
        let peer = Peer { device: device.id(), person: device.person() };
        let code = if taken { RefusalCode::OutOfScope } else { RefusalCode::DependencyMissing };
        for push in pushes {
            let early = push.doc == money;
            let verdicts = world.relay.push(peer, push, world.time_ms).unwrap().verdicts;
            let held =
                |verdict: &Verdict| matches!(verdict, Verdict::Held { refusal } if refusal.code == code);
            assert!(verdicts.iter().all(|verdict| held(verdict) == early), "{verdicts:?}");
        }
        assert!(world.relay.waiting(money).unwrap().is_empty(), "nobody has to release it");
        world.heal();
        assert_eq!(world.agreement("D01"), Some(true));
        assert!(world.sites["D01"].device.rows(DocKind::OrderMoney).unwrap().iter().any(|r| r.doc == money));
    }
}

/// What a device pushes when it connects; it never hears an answer.
fn unsent(world: &mut World, name: &str) -> Vec<Push> {
    let now = world.now_at(name);
    let (relay, blobs, time_ms) = (world.relay.clone(), world.blobs.clone(), world.time_ms);
    let site = &mut world.sites.get_mut(name).unwrap().device;
    let peer = Peer { device: site.id(), person: site.person() };
    let mut end = RelayEnd::new(relay, blobs, peer, 1_000_000);
    let hello = site.connect("simulation", &now).unwrap().remove(0);
    let welcome = end.handle(hello, time_ms).unwrap().remove(0);
    let frames = site.handle(welcome, &now).unwrap();
    site.disconnected();
    let push = |frame| if let Frame::Push(push) = frame { Some(push) } else { None };
    frames.into_iter().filter_map(push).collect()
}

#[test]
fn a_connection_that_breaks_while_a_restored_relay_is_compared_with_is_not_the_last_to_compare() {
    for frames in 1..9 {
        let (mut world, doc, copy) = edited(12);
        world.restore_relay(copy);
        world.run_briefly("D01", frames);
        whole_again(&mut world, doc);
    }
}

/// What stands at the relay or in its tray, by command.
fn known_at_relay(world: &World, doc: DocId) -> BTreeSet<CommandId> {
    let found = world.relay.document(doc).unwrap().unwrap();
    let mut commands: BTreeSet<_> = found.metas().iter().filter_map(|m| m.command).collect();
    commands.extend(world.relay.waiting(doc).unwrap().iter().filter_map(|held| held.command));
    commands
}

#[test]
fn what_left_a_device_goes_only_once_a_restored_relay_has_it() {
    for frames in 1..12 {
        let (mut world, doc, copy) = confirmed(17);
        let note = world.perform("S01", Command::Note(doc, "在路上".into())).unwrap();
        world.restore_relay(copy.0);
        let (crew, ended) = (world.sites["S01"].device.person(), world.time_ms);
        world.office(Command::EndRole(crew, "crew".parse().unwrap(), ended));
        world.run_briefly("S01", frames);
        world.heal();
        let known = known_at_relay(&world, doc);
        assert!(known.contains(&copy.1) && known.contains(&note.command), "after {frames} frames");
        assert!(world.sites["S01"].device.rows(DocKind::Order).unwrap().is_empty(), "it left all the same");
    }
}

#[test]
fn a_revoked_device_gives_a_restored_relay_everything_before_it_erases_itself() {
    for frames in 1..16 {
        let (mut world, doc, copy) = confirmed(18);
        let photo = world.sites.get_mut("S01").unwrap().device.attach(doc, "image/jpeg", &[7; 300_000]);
        let photo = photo.unwrap();
        let evidence = vec![Evidence::photo(photo, "image/jpeg")];
        let report = world.perform("S01", Command::Report(doc, "门口有水".into(), evidence)).unwrap();
        world.restore_relay(copy.0);
        let device = world.sites["S01"].device.id();
        world.office(Command::Revoke(device, "手机丢失".into()));
        world.run_briefly("S01", frames);
        world.connect("S01");
        world.run("S01", None);
        assert!(world.sites["S01"].device.shut_out().is_some());
        world.restart("S01");
        assert!(!world.sites.contains_key("S01"), "it erased itself, after {frames} frames");
        let known = known_at_relay(&world, doc);
        assert!(known.contains(&copy.1) && known.contains(&report.command), "after {frames} frames");
        let mut size = 0;
        while let Ok(part) = world.blobs.read(photo, size as u64)
            && !part.is_empty()
        {
            size += part.len();
        }
        assert_eq!(size, 300_000, "after {frames} frames");
    }
}

#[test]
fn what_was_held_after_the_backup_is_handed_in_again() {
    for frames in 1..10 {
        let (mut world, doc) = shop(19);
        let copy = world.back_up([]);
        let fetched = world.perform("S01", Command::Step(doc, step("fetched"))).unwrap();
        let (crew, ended) = (world.sites["S01"].device.person(), world.time_ms - 10_000);
        world.office(Command::EndRole(crew, "crew".parse().unwrap(), ended));
        world.heal();
        assert!(world.relay.waiting(doc).unwrap().iter().any(|h| h.command == Some(fetched.command)));
        world.restore_relay(copy);
        world.office(Command::EndRole(crew, "crew".parse().unwrap(), ended));
        assert!(world.relay.waiting(doc).unwrap().is_empty(), "the tray is as old as the copy");
        world.run_briefly("S01", frames);
        world.heal();
        assert!(world.relay.waiting(doc).unwrap().iter().any(|h| h.command == Some(fetched.command)));
    }
}

#[test]
fn what_amounts_to_nothing_without_a_refused_change_is_held_with_it() {
    let (mut world, _) = shop(21);
    let copy = world.back_up([]);
    world.perform("D01", open_order(&world, "A2")).unwrap();
    let doc = DocId::numbered(world.company(), DocKind::Order, "A2");
    let taken_back = BTreeMap::from([("address".to_owned(), None)]);
    let edited = world.perform("D01", Command::Edit(doc, taken_back)).unwrap().command;
    let (sales, ended) = (world.sites["D01"].device.person(), world.time_ms - 10_000);
    world.office(Command::EndRole(sales, "sales".parse().unwrap(), ended));
    world.heal();
    assert!(world.sites["D01"].device.held().unwrap().iter().any(|held| held.action.command == edited));
    world.restore_relay(copy);
    world.office(Command::EndRole(sales, "sales".parse().unwrap(), ended));
    world.heal();
    assert!(world.relay.waiting(doc).unwrap().iter().any(|held| held.command == Some(edited)));
}

#[test]
fn a_photo_that_a_restored_relay_lacks_is_offered_again() {
    let (mut world, doc, copy) = edited(13);
    world.restore_relay(copy);
    let photo = world.sites["D01"].device.photos(doc).unwrap()[0].hash;
    assert!(world.blobs.belongs(photo).unwrap().is_none(), "it came after the copy");
    whole_again(&mut world, doc);
    assert_eq!(world.blobs.read(photo, 0).unwrap(), b"jpeg");
}

#[test]
fn a_document_that_comes_back_without_what_was_said_in_it_takes_no_number_twice() {
    let (mut world, doc) = shop(23);
    let copy = world.back_up([]);
    let lost = world.perform("S01", Command::Note(doc, "在路上".into())).unwrap().command;
    world.heal();
    let (crew, ended) = (world.sites["S01"].device.person(), world.time_ms);
    world.office(Command::EndRole(crew, "crew".parse().unwrap(), ended));
    world.heal();
    assert!(world.sites["S01"].device.rows(DocKind::Order).unwrap().is_empty());
    // The copy knows nothing of the note, nor of the role's end.
    world.restore_relay(copy);
    world.connect("S01");
    world.run("S01", None);
    let again = world.perform("S01", Command::Note(doc, "到了".into())).unwrap().command;
    world.connect("S01");
    world.run("S01", None);
    world.heal();
    agree(&world);
    assert_eq!(world.agreement("D01"), Some(true));
    let known = known_at_relay(&world, doc);
    assert!(known.contains(&lost) && known.contains(&again), "the colleague's copy gave it back");
}

#[test]
fn a_photo_whose_document_has_left_is_offered_again_too() {
    let (mut world, doc) = shop(22);
    let photo = world.sites.get_mut("S01").unwrap().device.attach(doc, "image/jpeg", b"jpeg").unwrap();
    let evidence = vec![Evidence::photo(photo, "image/jpeg")];
    world.perform("S01", Command::Report(doc, "板材有划痕".into(), evidence)).unwrap();
    world.heal();
    let (crew, ended) = (world.sites["S01"].device.person(), world.time_ms);
    world.office(Command::EndRole(crew, "crew".parse().unwrap(), ended));
    world.heal();
    assert!(world.sites["S01"].device.rows(DocKind::Order).unwrap().is_empty());
    let copy = world.back_up([]);
    world.restore_relay(copy);
    assert!(world.blobs.belongs(photo).unwrap().is_none(), "the bucket is not in the copy");
    world.heal();
    assert_eq!(world.blobs.read(photo, 0).unwrap(), b"jpeg");
}

#[test]
fn what_became_of_a_held_change_is_told_also_by_a_relay_that_was_restored() {
    let (mut world, doc) = shop(14);
    world.perform("S01", Command::Step(doc, step("fetched"))).unwrap();
    let (crew, ended) = (world.sites["S01"].device.person(), world.time_ms);
    world.office(Command::EndRole(crew, "crew".parse().unwrap(), ended));
    world.heal();
    for change in world.relay.waiting(doc).unwrap() {
        world.as_office(|relay, clerk, now_ms| relay.release(clerk, doc, change.hash, now_ms)).unwrap();
    }
    let copy = world.back_up([]);
    world.restore_relay(copy);
    world.heal();
    let held = world.sites["S01"].device.held().unwrap();
    assert!(!held.is_empty() && held.iter().all(|h| h.resolution.is_some()), "{held:?}");
}

#[test]
fn a_first_sync_that_broke_off_leaves_nothing_that_is_for_others_by_now() {
    for frames in 1..9 {
        let (mut world, _) = shop(15);
        let person = world.sites["D01"].device.person();
        world.equip("D01b", person);
        world.run_briefly("D01b", frames);
        let ended = world.time_ms;
        world.office(Command::EndRole(person, "sales".parse().unwrap(), ended));
        world.heal();
        let left = world.sites["D01b"].device.rows(DocKind::Order).unwrap();
        assert!(left.is_empty(), "after {frames} frames: {left:?}");
    }
}

#[test]
fn a_device_that_was_shut_out_gets_no_documents_for_naming_what_it_has() {
    let (mut world, doc) = shop(16);
    let device = world.sites["D01"].device.id();
    world.office(Command::Revoke(device, "手机丢失".into()));
    let now = world.now(0);
    let site = &mut world.sites.get_mut("D01").unwrap().device;
    let peer = Peer { device, person: site.person() };
    let hello = site.connect("simulation", &now).unwrap().remove(0);
    let mut end = RelayEnd::new(world.relay.clone(), world.blobs.clone(), peer, 1_000_000);
    let answers = end.handle(hello, world.time_ms).unwrap();
    assert!(matches!(answers[..], [Frame::Welcome(_), Frame::Wipe { .. }]), "{answers:?}");
    for documents in [vec![], vec![(doc, [7; 8].into())]] {
        let mut asked: Vec<_> = documents.iter().map(|(doc, _)| FeedItem::Need { doc: *doc }).collect();
        asked.extend(documents.iter().map(|(doc, _)| FeedItem::Forget { doc: *doc }));
        let inventory = Frame::Inventory(Inventory { documents, last: true });
        let answers = end.handle(inventory, world.time_ms).unwrap();
        let [Frame::Feed(feed)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(feed.items, asked);
    }
    let answers = end.handle(Frame::Need(Need { doc }), world.time_ms).unwrap();
    let [Frame::Feed(feed)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(feed.items, [FeedItem::Forget { doc }]);
}
