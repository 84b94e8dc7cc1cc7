//! What people and customers are told by itself: a policy's review on devices, the moments at which a document
//! has something else to tell, and drafts for the customer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::collections::BTreeMap;

use gendan_tests::scenario::{Company, did, name};
use gendan_tests::simulation::world::{World, small_policy};
use sync_core::command::{Command, Record};
use sync_core::draft::{Draft, DraftKind, drafts};
use sync_core::fact::kinds::Evidence;
use sync_core::fold::fold;
use sync_core::ids::{DocId, DocKind};
use sync_core::notice::{NoticeKind, Outlook, notices};
use sync_core::policy::review::review_due_ms;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A shop with an order that was reviewed.
fn shop() -> (World, DocId) {
    let mut world = World::found(5, &small_policy());
    world.join("D01", "sales", Some("城东店"));
    world.join("C01", "crew", None);
    world.join("M02", "management", None);
    let fields = [("customer", "何女士"), ("delivery_date", "2026-12-20")];
    world.office(Command::OpenOrder {
        number: "A1".into(),
        store: None,
        fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        items: Vec::new(),
        taken_ms: None,
        channel: None,
    });
    let doc = DocId::numbered(world.company(), DocKind::Order, "A1");
    world.pass(60_000);
    world.office(Command::Step(doc, Record::done(name("reviewed"))));
    world.heal();
    (world, doc)
}

fn drafted(world: &World, doc: DocId) -> Vec<Draft> {
    let found = world.relay.document(doc).unwrap().unwrap();
    let footing = world.relay.footing();
    drafts(&found, &fold(&found, &footing.rules()), &footing.rules())
}
#[track_caller]
fn draft(world: &World, doc: DocId, kind: DraftKind) -> Draft {
    drafted(world, doc).into_iter().find(|draft| draft.kind == kind).expect("there is such a draft")
}

#[test]
fn a_device_tells_who_may_publish_that_the_policy_is_due_for_review_s1_22() {
    let (mut world, _) = shop();
    let told = |world: &World, who: &str| -> Vec<(String, i64, [u8; 16])> {
        let inbox = world.sites[who].device.inbox(&world.now_at(who)).unwrap();
        let of = |kind| kind == NoticeKind::Reminder;
        inbox.into_iter().filter(|(n, _)| of(n.kind)).map(|(n, _)| (n.words.0, n.at_ms, n.id)).collect()
    };
    let effective_ms = world.relay.footing().directory.policies[0].effective_ms;
    let due_ms = review_due_ms(&small_policy(), effective_ms);
    let until_due_ms = due_ms - world.time_ms;
    // Syncing takes its minutes.
    world.pass(until_due_ms - DAY_MS - HOUR_MS);
    world.heal();
    assert_eq!(told(&world, "M02"), []);
    world.pass(2 * HOUR_MS);
    world.heal();
    let soon = told(&world, "M02");
    assert_eq!((soon.len(), soon[0].1), (1, due_ms - DAY_MS));
    assert!(soon[0].0.contains("小店") && soon[0].0.contains("明日"), "{soon:?}");
    world.pass(DAY_MS);
    world.heal();
    let late = told(&world, "M02");
    assert_eq!((late.len(), late[0].1), (1, due_ms));
    assert_ne!(late[0].2, soon[0].2, "another notice, to be read anew");
    assert_eq!(told(&world, "D01"), [], "a salesperson publishes none");
}

#[test]
fn between_the_moments_that_a_document_names_it_tells_the_same() {
    let mut company = Company::under("furniture");
    company.people(&[("D09", "sales", None), ("K01", "service-desk", None)]);
    let wish = gendan_tests::scenario::Opening { urgency: Some("normal"), ..Default::default() };
    company.at("2026-11-24 10:00");
    let ticket = company.open("K01", "repair", "T1", wish);
    let order = company.open_order("D09", "A1", None, "2026-12-20", &[("实木床", Some("solid"))]);
    company.step("D09", order, did("handed-in"));
    company.perform("D09", Command::Report(order, "木料受潮".into(), Vec::new()));
    company.online();
    let relay = &company.world.relay;
    for doc in [ticket, order] {
        let (found, footing) = (relay.document(doc).unwrap().unwrap(), relay.footing());
        let state = fold(&found, &footing.rules());
        let told = |ms| notices(&found, &state, &footing.rules(), ms).into_iter().map(|n| n.id);
        let mut next_ms = company.world.time_ms;
        let (end_ms, mut changes, mut moments) = (next_ms + 50 * DAY_MS, 0, 0);
        let mut before: Vec<_> = told(next_ms).collect();
        let mut at_ms = next_ms;
        while at_ms < end_ms {
            let now: Vec<_> = told(at_ms).collect();
            if now != before {
                // Found by looking every half hour: a moment was named since the look before.
                assert!(next_ms <= at_ms, "{doc}: it told something else before the moment it named");
                (before, changes) = (now, changes + 1);
            }
            while next_ms <= at_ms {
                next_ms = Outlook::of(&found, &state, &footing.rules()).look(next_ms).1.unwrap_or(i64::MAX);
                moments += 1;
            }
            at_ms += HOUR_MS / 2;
        }
        assert!(changes >= 3, "{doc}: {changes} changes");
        assert!(moments <= 80, "{doc}: {moments} looks in 50 days");
    }
}

#[test]
fn the_customer_is_told_progress_visits_dangers_and_dates_in_force_until_a_contact_is_logged() {
    let (mut world, doc) = shop();
    let progress = draft(&world, doc, DraftKind::Progress);
    assert!(progress.words.zh.contains("A1") && progress.words.zh.contains("评审"), "{progress:?}");
    assert!(progress.words.zh.contains("2026-12-20") && progress.words.en.contains("reviewed"));
    assert_eq!(progress.contact, None);
    let date = BTreeMap::from([("delivery_date".to_owned(), Some("2026-12-28".to_owned()))]);
    world.pass(60_000);
    world.office(Command::Edit(doc, date));
    assert!(drafted(&world, doc).iter().all(|d| d.kind != DraftKind::Date), "it is proposed only");
    world.pass(60_000);
    world.office(Command::Approve(doc, None));
    let date = draft(&world, doc, DraftKind::Date);
    assert!(date.words.zh.contains("由2026-12-20改为2026-12-28"), "{date:?}");
    world.pass(60_000);
    world.office(Command::Report(doc, "木料受潮".into(), Vec::new()));
    let danger = draft(&world, doc, DraftKind::Exception);
    assert!(danger.words.zh.contains("木料受潮") && danger.words.zh.contains("2026-12-28"), "{danger:?}");
    let people = vec![sync_core::ids::PersonId::staffed(world.company(), "C01")];
    let (on, purpose) = ("2026-12-28".to_owned(), name("delivered"));
    world.office(Command::Assign { doc, appointment: None, people, on, purpose, note: None });
    assert!(draft(&world, doc, DraftKind::Visit).words.zh.contains("2026-12-28上门"));
    let kinds: Vec<_> = drafted(&world, doc).iter().map(|draft| draft.kind).collect();
    assert_eq!(kinds, [DraftKind::Date, DraftKind::Exception, DraftKind::Visit, DraftKind::Progress]);

    world.pass(60_000);
    let evidence = vec![Evidence::text_message(&danger.words.zh)];
    world.office(Command::Contact(doc, "message".into(), danger.words.zh, evidence));
    let told = drafted(&world, doc);
    assert!(told.iter().all(|draft| draft.contact.is_some()), "{told:?}");
    world.pass(60_000);
    world.office(Command::Report(doc, "又停电".into(), Vec::new()));
    assert_eq!(draft(&world, doc, DraftKind::Exception).contact, None, "what came since was not told");
    world.office(Command::Cancel(doc, "客户搬家".into(), Vec::new()));
    let kinds: Vec<_> = drafted(&world, doc).iter().map(|draft| draft.kind).collect();
    assert!(!kinds.contains(&DraftKind::Progress) && !kinds.contains(&DraftKind::Date), "{kinds:?}");
}

#[test]
fn a_refused_order_tells_the_customer_what_to_amend_until_it_is_handed_in_again_s13_6_3() {
    let mut company = Company::under("general");
    company.people(&[("G01", "merchandiser", None)]);
    let doc = company.open_order("G01", "A1", None, "2026-12-20", &[("椅子", None)]);
    company.steps(doc, &[("G01", "handed-in")]);
    company.world.pass(60_000);
    company.step("G01", doc, did("refused").value("amend", "请写明数量"));
    company.online();
    let refusal = draft(&company.world, doc, DraftKind::Refusal);
    assert!(
        refusal.words.zh.contains("请写明数量") && refusal.words.en.contains("请写明数量"),
        "{refusal:?}"
    );
    assert!(refusal.kind.clause().contains("S13 第六条 3"));
    company.world.pass(60_000);
    company.step("G01", doc, did("negotiated").value("outcome", "已改"));
    company.online();
    assert!(drafted(&company.world, doc).iter().all(|draft| draft.kind != DraftKind::Refusal));
}

#[test]
fn a_ticket_that_was_worked_to_its_end_tells_the_customer_the_result_s1_6() {
    let (mut world, _) = shop();
    let doc = DocId::numbered(world.company(), DocKind::Ticket, "T1");
    world.office(Command::OpenCase {
        flow: name("repair"),
        number: "T1".into(),
        store: None,
        urgency: None,
        order: None,
        about: None,
        channel: Some("phone".into()),
        fields: BTreeMap::from([
            ("product".to_owned(), "衣柜".to_owned()),
            ("plan".to_owned(), "换铰链".to_owned()),
        ]),
    });
    let people = vec![sync_core::ids::PersonId::staffed(world.company(), "C01")];
    let (on, purpose) = ("2026-11-25".to_owned(), name("visited"));
    world.office(Command::Assign { doc, appointment: None, people, on, purpose, note: None });
    world.heal();
    let strokes = vec![vec![(1, 1), (400, 300)]];
    let signature = sync_core::fact::kinds::Signature { signer: "何女士".into(), strokes };
    let repaired = Record { signature: Some(signature), ..Record::done(name("repaired")) };
    world.perform("C01", Command::Step(doc, Record::done(name("visited")))).unwrap();
    world.perform("C01", Command::Step(doc, repaired)).unwrap();
    world.heal();
    assert!(drafted(&world, doc).iter().all(|draft| draft.kind != DraftKind::Result), "not closed yet");
    world.office(Command::Step(doc, Record::done(name("closed"))));
    let result = draft(&world, doc, DraftKind::Result);
    for words in ["衣柜", "T1", "结案", "换铰链"] {
        assert!(result.words.zh.contains(words), "{words}: {result:?}");
    }
}
