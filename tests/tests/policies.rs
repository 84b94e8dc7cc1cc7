//! The life of a policy between devices and relay: proposed, declined, approved under the next version, in
//! force from its moment on and never from the past.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use gendan_server::relay::RelayError;
use gendan_server::relay::gate::Peer;
use gendan_tests::simulation::policies::second_policy;
use gendan_tests::simulation::world::{World, small_policy};
use sync_core::command::Command;
use sync_core::device::DeviceError;
use sync_core::directory::{Directory, ProposalState};
use sync_core::document::history::fact_key;
use sync_core::document::{Actor, Edit};
use sync_core::domain::fields::{Map, Value};
use sync_core::fact::keys::SecretKey;
use sync_core::fact::kinds::{Payload, PolicyDeclined, PolicyProposed, PolicyPublished};
use sync_core::fact::{Fact, READER};
use sync_core::ids::{BlobHash, CommandId, DocId, FactId};
use sync_core::limits;
use sync_core::policy::model::{Policy, Scope};
use sync_core::policy::publish::Published;
use sync_core::refusal::RefusalCode;
use sync_core::time::{Stamp, UnixMs};
use sync_core::wire::frames::{Push, Verdict};

const DAY_MS: i64 = 24 * 3_600_000;

/// A shop with a salesperson and a second person of management in step.
fn shop() -> World {
    let mut world = World::found(11, &small_policy());
    world.join("D01", "sales", Some("城东店"));
    world.join("M02", "management", None);
    world.heal();
    world
}

fn propose(world: &mut World, policy: &Policy) -> Result<BlobHash, RelayError> {
    world.as_clerk(|relay, clerk, now| relay.propose(clerk, policy, Some("试用半年".into()), now))
}
fn approve(world: &mut World, hash: BlobHash, effective_ms: UnixMs) -> Result<u32, RelayError> {
    world.as_clerk(|relay, clerk, now| relay.approve(clerk, hash, |_| effective_ms, now))
}
fn decline(world: &mut World, hash: BlobHash, reason: &str) -> Result<(), RelayError> {
    world.try_office(Command::DeclinePolicy(hash, reason.into()))
}
fn code<T: std::fmt::Debug>(result: Result<T, RelayError>) -> RefusalCode {
    match result {
        Err(RelayError::Refused(refusal)) => refusal.code,
        other => panic!("a refusal was expected, not {other:?}"),
    }
}
fn states(directory: &Directory) -> Vec<&ProposalState> {
    directory.proposals.iter().map(|p| &p.state).collect()
}
/// The version in force, as the relay and as a device has it.
fn in_force(world: &World, ms: UnixMs) -> (Option<u32>, Option<u32>) {
    let version = |rules: sync_core::directory::Rules<'_>| rules.at(ms).map(|(version, _)| version);
    (version(world.relay.footing().rules()), version(world.sites["D01"].device.rules()))
}

#[test]
fn a_proposal_is_known_to_every_device_and_in_force_nowhere() {
    let mut world = shop();
    let hash = propose(&mut world, &second_policy(false)).unwrap();
    world.heal();
    for directory in [&world.relay.footing().directory, world.sites["D01"].device.directory()] {
        let proposal = directory.waiting(hash).unwrap();
        assert_eq!((proposal.by, proposal.note.as_deref()), (world.office_ids().0, Some("试用半年")));
        assert_eq!(directory.policies.len(), 1);
    }
    assert_eq!(code(propose(&mut world, &second_policy(false))), RefusalCode::AlreadyExists);
    world.restart_relay();
    assert_eq!(world.relay.proposed(hash).unwrap().unwrap(), second_policy(false), "its bytes are kept");
    assert_eq!(in_force(&world, world.time_ms), (Some(1), Some(1)));
}

#[test]
fn an_approved_proposal_becomes_the_next_version_whatever_was_published_meanwhile() {
    let mut world = shop();
    let hash = propose(&mut world, &second_policy(false)).unwrap();
    let (other, at_ms) = (Policy { review_months: 6, ..small_policy() }, world.time_ms);
    world.publish(2, &other, at_ms);
    let at_ms = world.time_ms;
    assert_eq!(approve(&mut world, hash, at_ms).unwrap(), 3);
    world.heal();
    let device = &world.sites["D01"].device;
    assert_eq!(states(device.directory()), [&ProposalState::Approved { version: 3 }]);
    let (version, policy) = device.rules().at(world.time_ms).unwrap();
    assert_eq!((version, policy), (3, &second_policy(false)));
    let published = device.directory().policies.last().unwrap();
    assert_eq!(published.hash, Published::of(3, &second_policy(false)).hash, "under its own version");
    assert_eq!(code(approve(&mut world, hash, at_ms)), RefusalCode::NothingProposed);
    assert_eq!(code(decline(&mut world, hash, "晚了")), RefusalCode::NothingProposed);
}

#[test]
fn a_declined_proposal_says_why_and_may_be_made_again() {
    let mut world = shop();
    let hash = propose(&mut world, &second_policy(false)).unwrap();
    assert_eq!(code(decline(&mut world, hash, " ")), RefusalCode::ValueMissing);
    assert_eq!(code(decline(&mut world, BlobHash([9; 32]), "没有")), RefusalCode::NotFound);
    decline(&mut world, hash, "太急").unwrap();
    let at_ms = world.time_ms;
    assert_eq!(code(approve(&mut world, hash, at_ms)), RefusalCode::NothingProposed);
    world.pass(1_000);
    assert_eq!(
        propose(&mut world, &second_policy(false)).unwrap(),
        hash,
        "the same policy has the same name"
    );
    world.heal();
    let by = world.office_ids().0;
    let declined = ProposalState::Declined { reason: "太急".into(), by };
    assert_eq!(states(world.sites["D01"].device.directory()), [&declined, &ProposalState::Waiting]);
    let at_ms = world.time_ms;
    assert_eq!(approve(&mut world, hash, at_ms).unwrap(), 2);
    let approved = ProposalState::Approved { version: 2 };
    assert_eq!(states(&world.relay.footing().directory), [&declined, &approved]);
}

#[test]
fn what_was_published_stands_also_where_somebody_declined_it_offline() {
    let mut world = shop();
    let hash = propose(&mut world, &second_policy(false)).unwrap();
    world.heal();
    world.perform("M02", Command::DeclinePolicy(hash, "不同意".into())).unwrap();
    let at_ms = world.time_ms;
    assert_eq!(approve(&mut world, hash, at_ms).unwrap(), 2);
    world.heal();
    assert!(world.sites["M02"].device.held().unwrap().is_empty(), "they said it where it still waited");
    for directory in [&world.relay.footing().directory, world.sites["M02"].device.directory()] {
        assert_eq!(states(directory), [&ProposalState::Approved { version: 2 }]);
    }
}

#[test]
fn no_more_proposals_wait_than_management_can_read() {
    let mut world = shop();
    for months in 1..=u32::try_from(limits::POLICY_PROPOSALS_MAX).unwrap() {
        world.pass(1_000);
        propose(&mut world, &Policy { review_months: months, ..small_policy() }).unwrap();
    }
    assert_eq!(code(propose(&mut world, &second_policy(false))), RefusalCode::TooLarge);
    let first = world.relay.footing().directory.proposals[0].hash;
    decline(&mut world, first, "不需要").unwrap();
    propose(&mut world, &second_policy(false)).unwrap();
}

#[test]
fn a_policy_set_for_later_begins_at_its_moment_and_none_begins_in_the_past() {
    let mut world = shop();
    let mut later = second_policy(false);
    later.roles.get_mut("sales").unwrap().scope = Scope::All;
    let hash = propose(&mut world, &later).unwrap();
    let now_ms = world.time_ms;
    let yesterday = now_ms - DAY_MS;
    assert_eq!(code(approve(&mut world, hash, yesterday)), RefusalCode::PolicyRetroactive);
    let just_over = now_ms - limits::POLICY_LATE_MS_MAX - 1;
    assert_eq!(code(approve(&mut world, hash, just_over)), RefusalCode::PolicyRetroactive);
    let never = now_ms + limits::POLICY_AHEAD_MS_MAX + 1;
    assert_eq!(code(approve(&mut world, hash, never)), RefusalCode::PolicyInvalid);
    assert_eq!(states(&world.relay.footing().directory), [&ProposalState::Waiting]);
    assert_eq!(approve(&mut world, hash, now_ms + DAY_MS).unwrap(), 2);
    world.heal();
    assert_eq!(in_force(&world, world.time_ms), (Some(1), Some(1)));
    assert_eq!(world.relay.moments(world.time_ms).unwrap(), 0, "nothing has begun yet");
    world.pass(DAY_MS);
    assert_eq!(world.relay.moments(world.time_ms).unwrap(), 1, "the salesperson sees more from now on");
    world.run("D01", None);
    assert_eq!(in_force(&world, world.time_ms), (Some(2), Some(2)));
}

/// Pushes a fact of the directory that a device's own app would not have written.
fn push(world: &World, name: &str, number: u8, payload: Payload) -> Verdict {
    let identity = world.sites[name].device.identity();
    let (doc, ms) = (DocId::directory(world.company()), world.time_ms);
    let fact = Fact {
        doc,
        id: FactId::from_bytes([number; 16]),
        author: identity.person,
        device: identity.device,
        stamp: Stamp { wall_ms: ms, offset_min: 480, trusted_ms: Some(ms), known_since_ms: Some(ms) },
        policy: 1,
        payload,
        reader: READER,
    };
    let signed = Value::Bytes(fact.sign(&SecretKey::from_seed(&identity.seed)));
    let actor = Actor { device: identity.device, epoch: 77 + u32::from(number) };
    let mut found = world.relay.document(doc).unwrap().unwrap();
    let put = [Edit::Put(Map::Log, fact_key(fact.id), signed)];
    let change = found.write(actor, CommandId::from_bytes([number; 16]), ms, &put).unwrap();
    let peer = Peer { device: identity.device, person: identity.person };
    let push = Push { id: u64::from(number), doc, changes: vec![change.bytes.into()] };
    world.relay.push(peer, push, ms).unwrap().verdicts.remove(0)
}

fn held(verdict: Verdict) -> RefusalCode {
    match verdict {
        Verdict::Held { refusal } => refusal.code,
        Verdict::Admitted { .. } => panic!("it was admitted"),
    }
}

#[test]
fn whoever_may_not_decide_about_policies_is_refused_by_their_device_and_by_the_relay() {
    let mut world = shop();
    let hash = propose(&mut world, &second_policy(false)).unwrap();
    world.heal();
    let (effective_ms, name) = (world.time_ms + DAY_MS, small_policy().name);
    let other = Published::of(0, &small_policy()).hash;
    for command in [
        Command::ProposePolicy(other, name.clone(), None),
        Command::DeclinePolicy(hash, "不要".into()),
        Command::PublishPolicy { version: 2, hash, effective_ms, proposal: Some(hash) },
    ] {
        match world.perform("D01", command) {
            Err(DeviceError::Refused(refusal)) => assert_eq!(refusal.code, RefusalCode::RoleMissing),
            other => panic!("a refusal was expected, not {other:?}"),
        }
    }
    // The relay has the bytes of the proposal, so only the rulebook stands in the way.
    let declined = PolicyDeclined { hash, reason: "不要".into() };
    let proposed = PolicyProposed { hash, name, note: None };
    let published = PolicyPublished { version: 2, hash, effective_ms, proposal: Some(hash) };
    let payloads: [Payload; 3] = [declined.into(), proposed.into(), published.into()];
    for (number, payload) in (1..).zip(payloads) {
        assert_eq!(held(push(&world, "D01", number, payload)), RefusalCode::RoleMissing);
    }
    assert_eq!(states(&world.relay.footing().directory), [&ProposalState::Waiting]);
}

#[test]
fn a_policy_whose_bytes_the_relay_lacks_never_rules() {
    let mut world = shop();
    let (hash, effective_ms) = (BlobHash([7; 32]), world.time_ms);
    let published = PolicyPublished { version: 2, hash, effective_ms, proposal: None };
    assert_eq!(held(push(&world, "M02", 1, published.into())), RefusalCode::PolicyInvalid);
    let proposed = PolicyProposed { hash, name: small_policy().name, note: None };
    assert_eq!(held(push(&world, "M02", 2, proposed.into())), RefusalCode::PolicyInvalid);
    assert_eq!(in_force(&world, world.time_ms), (Some(1), Some(1)));
    // Management decides from a device too, about what is here.
    let hash = propose(&mut world, &second_policy(false)).unwrap();
    world.heal();
    world.perform("M02", Command::DeclinePolicy(hash, "以后再说".into())).unwrap();
    world.heal();
    let states = states(&world.relay.footing().directory).len();
    assert_eq!(states, 1);
    assert!(world.relay.footing().directory.waiting(hash).is_none(), "it is declined");
}

#[test]
fn what_is_refused_leaves_no_bytes_behind() {
    let mut world = shop();
    let policy = second_policy(false);
    let (published, now_ms) = (Published::of(2, &policy), world.time_ms);
    let refused =
        world.as_clerk(|relay, clerk, now| relay.publish(clerk, &published, 2, now_ms - DAY_MS, now));
    assert_eq!(code(refused), RefusalCode::PolicyRetroactive);
    let record = gendan_server::relay::policy_record(published.hash);
    assert_eq!(world.relay.log().record(&record).unwrap(), None);
}
