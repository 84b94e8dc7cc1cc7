//! Rules that hold between device and relay: leases, moments, customer files, a ticket's clock, words.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use gendan_tests::simulation::world::{World, small_policy};
use sync_core::command::{Command, Record};
use sync_core::device::DeviceError;
use sync_core::findings::case_of;
use sync_core::ids::{DocId, DocKind, PersonId, StoreId};
use sync_core::refusal::{Lang, Refusal, RefusalCode};

const DAY_MS: i64 = 24 * 3_600_000;

fn refusal<T: std::fmt::Debug>(result: Result<T, DeviceError>) -> Refusal {
    match result {
        Err(DeviceError::Refused(refusal)) => refusal,
        other => panic!("a refusal was expected, not {other:?}"),
    }
}

fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// A shop with one salesperson in step.
fn shop() -> World {
    let mut world = World::found(7, &small_policy());
    world.join("D01", "sales", Some("城东店"));
    world.heal();
    world
}

fn order(world: &World, number: &str) -> Command {
    Command::OpenOrder {
        number: number.into(),
        store: Some(StoreId::named(world.company(), "城东店")),
        fields: fields(&[("customer", "何女士")]),
        items: Vec::new(),
        taken_ms: None,
        channel: None,
    }
}

#[test]
fn a_device_whose_lease_ran_out_records_nothing_until_it_has_been_seen_again() {
    let mut world = shop();
    world.pass(400 * DAY_MS);
    let opened = order(&world, "A1");
    let refused = refusal(world.perform("D01", opened.clone()));
    assert_eq!(refused.code, RefusalCode::LeaseEnded);
    assert!(refused.text(Lang::En).contains("connect and sync first"), "{}", refused.text(Lang::En));
    world.heal();
    world.perform("D01", opened).unwrap();
}

#[test]
fn what_was_recorded_before_the_lease_ran_out_is_pushed_afterwards() {
    let mut world = shop();
    let opened = order(&world, "A1");
    world.perform("D01", opened).unwrap();
    world.pass(400 * DAY_MS);
    world.heal();
    let doc = DocId::numbered(world.company(), DocKind::Order, "A1");
    assert!(world.relay.document(doc).unwrap().is_some());
}

#[test]
fn a_role_granted_for_later_reaches_a_connected_device_at_its_moment() {
    let mut world = shop();
    let opened = order(&world, "A1");
    world.perform("D01", opened).unwrap();
    let newcomer = PersonId::staffed(world.company(), "D02");
    world.office(Command::AddPerson("D02".into(), "新员工".into()));
    let store = Some(StoreId::named(world.company(), "城东店"));
    let begins = world.time_ms + DAY_MS;
    world.office(Command::GrantRole(newcomer, "sales".parse().unwrap(), store, begins));
    world.equip("D02", newcomer);
    world.heal();
    let rows = |world: &World| world.sites["D02"].device.rows(DocKind::Order).unwrap().len();
    assert_eq!(rows(&world), 0);
    assert_eq!(world.relay.moments(world.time_ms).unwrap(), 0, "nothing has begun yet");
    world.restart_relay();
    world.heal();
    world.pass(DAY_MS);
    assert_eq!(world.relay.moments(world.time_ms).unwrap(), 1);
    assert_eq!(world.relay.moments(world.time_ms).unwrap(), 0, "a moment comes once");
    // Without a new greeting: the feed alone brings it.
    world.run("D02", None);
    assert_eq!(rows(&world), 1);
}

#[test]
fn a_customer_file_is_opened_once_and_anyone_of_its_store_may_edit_it_offline() {
    let mut world = shop();
    let store = Some(StoreId::named(world.company(), "城东店"));
    let file = |name: &str| Command::OpenCustomer {
        number: "K1".into(),
        store,
        fields: fields(&[("name", name), ("phone", "13800000000")]),
    };
    world.perform("D01", file("何女士")).unwrap();
    assert_eq!(refusal(world.perform("D01", file("别人"))).code, RefusalCode::AlreadyExists);
    let doc = DocId::numbered(world.company(), DocKind::Customer, "K1");
    let change = BTreeMap::from([("address".to_owned(), Some("幸福街2号".to_owned()))]);
    world.perform("D01", Command::Edit(doc, change)).unwrap();
    world.heal();
    let row = world.sites["D01"].device.rows(DocKind::Customer).unwrap().remove(0);
    assert_eq!((row.number.as_str(), row.customer.as_str()), ("K1", "何女士"));
    assert_eq!(world.relay.document(doc).unwrap().unwrap().heads(), row.heads);
    let unknown = DocId::numbered(world.company(), DocKind::Customer, "K2");
    let change = BTreeMap::from([("name".to_owned(), Some("x".to_owned()))]);
    assert_eq!(refusal(world.perform("D01", Command::Edit(unknown, change))).code, RefusalCode::NotFound);
}

#[test]
fn a_tickets_clock_stands_still_while_it_is_paused_and_only_who_answers_for_it_may_stop_it() {
    let mut world = shop();
    world.join("S01", "crew", None);
    world.heal();
    world.office(Command::OpenCase {
        flow: "repair".parse().unwrap(),
        number: "T1".into(),
        store: Some(StoreId::named(world.company(), "城东店")),
        urgency: None,
        order: None,
        about: None,
        channel: None,
        fields: fields(&[("customer", "何女士")]),
    });
    let doc = DocId::numbered(world.company(), DocKind::Ticket, "T1");
    world.office(Command::Assign {
        doc,
        appointment: None,
        people: vec![PersonId::staffed(world.company(), "S01")],
        on: "2026-11-24".into(),
        purpose: "visited".parse().unwrap(),
        note: None,
    });
    world.heal();
    let pause = Command::Pause(doc, "等配件".into());
    let refused = refusal(world.perform("D01", pause.clone()));
    assert_eq!(refused.code, RefusalCode::RoleMissing);
    assert_eq!(refused.text(Lang::En), "You may not do \"stop the clock\". Could be done by: management.");
    assert_eq!(refusal(world.perform("S01", Command::Resume(doc, None))).code, RefusalCode::StepOrder);
    world.perform("S01", pause.clone()).unwrap();
    assert_eq!(refusal(world.perform("S01", pause)).code, RefusalCode::StepRepeated);
    world.pass(DAY_MS);
    world.perform("S01", Command::Resume(doc, None)).unwrap();
    world.heal();
    let device = &world.sites["D01"].device;
    let (found, state) = device.state(doc).unwrap();
    let case = case_of(&found, &state, &device.rules()).unwrap();
    let [(from, Some(to))] = case.pauses[..] else { panic!("one pause that has ended") };
    assert!((DAY_MS..DAY_MS + 60_000).contains(&(to - from)), "{}", to - from);
}

#[test]
fn a_refusal_names_steps_and_roles_in_the_readers_language() {
    let mut world = shop();
    let opened = order(&world, "A1");
    world.perform("D01", opened).unwrap();
    let doc = DocId::numbered(world.company(), DocKind::Order, "A1");
    let refused = refusal(world.perform("D01", Command::Step(doc, Record::done("placed".parse().unwrap()))));
    assert_eq!(refused.text(Lang::Zh), "「下单」之前须先完成「评审」。");
    assert_eq!(refused.text(Lang::En), "\"reviewed\" must come before \"placed\".");
}

#[test]
fn an_edit_within_the_second_in_which_its_authors_role_began_is_not_from_before_it() {
    let mut world = shop();
    let opened = order(&world, "A1");
    world.perform("D01", opened).unwrap();
    world.heal();
    // The second of the grant is the second of the edit; the grant comes half a second into it.
    world.pass(1_500 - world.time_ms.rem_euclid(1_000) - 1_000);
    let person = PersonId::staffed(world.company(), "D03");
    world.office(Command::AddPerson("D03".into(), "新员工".into()));
    let store = Some(StoreId::named(world.company(), "城东店"));
    world.equip("D03", person);
    let granted = world.time_ms + 1_000;
    world.office(Command::GrantRole(person, "sales".parse().unwrap(), store, granted));
    world.heal();
    let doc = DocId::numbered(world.company(), DocKind::Order, "A1");
    let now = world.now(0);
    assert_eq!(world.time_ms.div_euclid(1_000), granted.div_euclid(1_000));
    let device = &mut world.sites.get_mut("D03").unwrap().device;
    device.perform(Command::Note(doc, "刚到岗".into()), &now).unwrap();
    world.heal();
    let state = world.sites["D03"].device.sync_view().unwrap();
    assert_eq!((state.unsent, state.held), (0, 0));
}

#[test]
fn a_document_that_is_sent_as_it_is_now_comes_after_the_devices_that_signed_in_it() {
    let mut world = shop();
    // Opened before the second device was enrolled, and spoken in by it afterwards.
    let opened = order(&world, "A1");
    world.office(opened);
    world.join("D02", "sales", Some("城东店"));
    world.connect("D02");
    world.run("D02", None);
    let doc = DocId::numbered(world.company(), DocKind::Order, "A1");
    world.perform("D02", Command::Contact(doc, "phone".into(), "约周六".into(), Vec::new())).unwrap();
    world.connect("D02");
    world.run("D02", None);
    world.connect("D01");
    world.run("D01", None);
    let device = &world.sites["D01"].device;
    assert_eq!(device.verify(doc).unwrap(), 2);
}
