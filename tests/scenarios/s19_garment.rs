//! S19 服装厂跟单: an order broken down and scheduled; sample, bulk production and inspection, each recorded and
//! traceable. The section has no articles: tests name what its paragraphs are about.

use gendan_tests::scenario::{Company, Did, did, name};
use sync_core::command::Command;
use sync_core::fact::kinds::Outcome;
use sync_core::fold::clash::ClashKind;
use sync_core::ids::DocId;
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::Breach;
use sync_core::refusal::RefusalCode;

/// A garment factory; sample maker and workshop work from what is assigned to them.
fn factory() -> Company {
    let mut factory = Company::under("garment");
    factory.people(&[
        ("D01", "sales", Some("外销")),
        ("G01", "merchandiser", None),
        ("U01", "supervisor", None),
        ("M02", "management", None),
        ("P01", "planner", None),
        ("Y01", "sample-maker", None),
        ("Y02", "sample-maker", None),
        ("R01", "worker", None),
        ("I01", "inspector", None),
        ("C01", "warehouse", None),
        ("F01", "finance", None),
    ]);
    factory
}

fn broken_down() -> Did {
    did("broken-down").value("parts", "衣身500、袖1000、领500")
}
fn planned() -> Did {
    did("scheduled").value("plan", "二组12月1日至12日")
}
fn sample() -> Did {
    did("sample-made").photo("样衣正面")
}
fn sample_approved() -> Did {
    did("sample-approved").text("样衣确认,领口照改")
}
fn produced() -> Did {
    did("produced").value("output", "500件")
}
fn inspected() -> Did {
    did("inspected").checked(&["size", "sewing", "fabric", "packing"])
}

/// An order that is scheduled, with its sample maker and its workshop.
fn scheduled(factory: &mut Company, number: &str) -> DocId {
    let order = factory.open_order("D01", number, Some("外销"), "2027-01-10", &[("衬衫", None)]);
    factory.step("D01", order, did("handed-in"));
    factory.sync(&["D01", "G01"]);
    for step in [did("reviewed"), broken_down(), planned()] {
        factory.step("G01", order, step);
    }
    factory.assign("G01", order, &["Y01"], "2026-12-01", "sample-made");
    factory.assign("G01", order, &["R01"], "2026-12-05", "in-production");
    factory.online();
    order
}

/// An order whose bulk production has begun.
fn in_production(factory: &mut Company, number: &str) -> DocId {
    let order = scheduled(factory, number);
    factory.step("Y01", order, sample());
    factory.online();
    factory.step("G01", order, sample_approved());
    factory.step("G01", order, did("placed"));
    factory.online();
    factory.step("R01", order, did("in-production"));
    factory.online();
    order
}

#[test]
fn workflow_an_order_is_broken_down_then_scheduled_then_made_as_a_sample() {
    let mut factory = factory();
    let order = factory.open_order("D01", "A1", Some("外销"), "2027-01-10", &[("衬衫", None)]);
    factory.online();
    factory.assign("G01", order, &["Y01"], "2026-12-01", "sample-made");
    factory.online();
    let line = [
        ("D01", did("handed-in")),
        ("G01", did("reviewed")),
        ("P01", broken_down()),
        ("P01", planned()),
        ("Y01", sample()),
        ("G01", sample_approved()),
        ("G01", did("placed")),
        ("P01", did("in-production")),
        ("P01", produced()),
        ("I01", inspected()),
        ("C01", did("shipped")),
        ("G01", did("delivered").signed("Smith")),
        ("F01", did("settled")),
    ];
    factory.in_order(order, &line);
    assert_eq!(factory.refused_step("G01", order, did("progress-told")), RefusalCode::Closed);
    factory.all_agree();
}

#[test]
fn workflow_breaking_down_and_scheduling_name_their_parts_and_their_plan() {
    let mut factory = factory();
    let order = factory.open_order("D01", "A1", Some("外销"), "2027-01-10", &[("衬衫", None)]);
    factory.step("D01", order, did("handed-in"));
    factory.online();
    factory.step("G01", order, did("reviewed"));
    factory.online();
    assert_eq!(factory.refused_step("P01", order, did("broken-down")), RefusalCode::ValueMissing);
    assert_eq!(factory.refused_step("P01", order, planned()), RefusalCode::StepOrder);
    // Planner and merchandiser each break it down, apart: it is done once, and a person settles which holds.
    factory.step("P01", order, broken_down());
    factory.step("G01", order, did("broken-down").value("parts", "整件外发"));
    factory.online();
    let state = factory.state(order);
    assert_eq!(state.clashes.iter().map(|c| &c.kind).collect::<Vec<_>>(), [&ClashKind::DoneTwice]);
    let (left, right) = (state.clashes[0].left, state.clashes[0].right);
    let settle = Command::Settle { doc: order, left, right, keep: left, reason: "按生产部分解".into() };
    assert_eq!(factory.refused("P01", settle.clone()), RefusalCode::RoleMissing);
    factory.perform("U01", settle);
    assert_eq!(factory.refused_step("P01", order, did("scheduled")), RefusalCode::ValueMissing);
    factory.step("P01", order, planned());
    factory.all_agree();
}

#[test]
fn workflow_bulk_production_waits_for_a_sample_that_the_customer_approved() {
    let mut factory = factory();
    let order = scheduled(&mut factory, "A1");
    assert_eq!(factory.refused_step("Y01", order, did("sample-made")), RefusalCode::EvidenceMissing);
    assert_eq!(factory.refused_step("Y02", order, sample()), RefusalCode::NotFound, "not their job");
    // The first sample is sent back: it is made again, offline in the sample room.
    factory.step("Y01", order, sample());
    factory.online();
    factory.step("G01", order, sample_approved().ended(Outcome::Refused).note("领口改小"));
    for who in ["G01", "R01"] {
        let step = if who == "G01" { did("placed") } else { did("in-production") };
        assert_eq!(factory.refused_step(who, order, step), RefusalCode::StepOrder, "{who}");
    }
    factory.step("Y01", order, did("sample-made").photo("改后样衣"));
    factory.online();
    assert_eq!(factory.refused_step("G01", order, did("sample-approved")), RefusalCode::EvidenceMissing);
    factory.step("G01", order, sample_approved());
    factory.step("G01", order, did("placed"));
    factory.all_agree();
    let made = factory.state(order).steps.into_iter().filter(|s| s.what.step == *"sample-made");
    assert!(made.map(|s| s.said.by).eq([factory.person("Y01"), factory.person("Y01")]));
}

#[test]
fn workflow_nothing_is_shipped_uninspected_and_each_point_of_the_inspection_counts() {
    let mut factory = factory();
    let order = in_production(&mut factory, "A1");
    assert_eq!(factory.refused_step("R01", order, did("produced")), RefusalCode::ValueMissing);
    factory.step("R01", order, produced());
    factory.online();
    for point in ["size", "sewing", "fabric", "packing"] {
        let failed = inspected().value(point, "色差大");
        assert_eq!(factory.refused_step("I01", order, failed), RefusalCode::CheckFailed, "{point}");
    }
    // What fails is said, and nothing leaves: neither the workshop nor the warehouse stands in for the inspector.
    factory.step("I01", order, did("inspected").ended(Outcome::Failed).note("20件跳线"));
    for who in ["R01", "G01"] {
        assert_eq!(factory.refused_step(who, order, inspected()), RefusalCode::RoleMissing, "{who}");
    }
    factory.online();
    assert_eq!(factory.refused_step("C01", order, did("shipped")), RefusalCode::StepOrder);
    factory.step("R01", order, did("produced").value("output", "返工20件"));
    factory.step("I01", order, inspected());
    factory.online();
    factory.step("C01", order, did("shipped"));
    factory.all_agree();
}

#[test]
fn workflow_each_link_is_recorded_with_who_and_when_and_can_be_traced() {
    let mut factory = factory();
    let order = in_production(&mut factory, "A1");
    // The workshop is offline for two days; what it did keeps its own time.
    factory.at("2026-12-05 10:00");
    factory.step("R01", order, did("progress-verified").value("progress", "50%"));
    factory.at("2026-12-06 16:00");
    factory.step("R01", order, produced());
    factory.at("2026-12-08 09:00");
    factory.all_agree();
    let state = factory.state(order);
    let traced = |step: &str| {
        let said = state.last(step).unwrap().said;
        (said.by, said.at.best().0 / 60_000 * 60_000)
    };
    let workshop = factory.person("R01");
    assert_eq!(traced("progress-verified"), (workshop, factory.moment("2026-12-05 10:00")));
    assert_eq!(traced("produced"), (workshop, factory.moment("2026-12-06 16:00")));
    assert_eq!(traced("sample-made").0, factory.person("Y01"));
    for who in ["G01", "P01", "I01"] {
        let facts = factory.world.sites[who].device.verify(order).unwrap();
        assert_eq!(facts, state.log.len(), "{who} can check every signature of it, offline");
    }
    assert!(factory.found(order, "progress-not-recorded").is_empty());
}

#[test]
fn workflow_production_without_recorded_progress_and_shipping_without_word_are_found() {
    let mut factory = factory();
    let order = in_production(&mut factory, "A1");
    factory.step("R01", order, produced());
    factory.online();
    factory.step("I01", order, inspected());
    factory.online();
    factory.step("C01", order, did("shipped"));
    factory.online();
    // Too late is not before.
    factory.step("G01", order, did("progress-told"));
    factory.step("G01", order, did("progress-verified").value("progress", "100%"));
    factory.all_agree();
    for (rule, clause) in [
        ("progress-not-recorded", "S19 工作流程:准确记录订单的各个环节信息"),
        ("progress-not-told", "S19 工作职责:及时更新订单进度"),
    ] {
        let found = factory.finding(order, rule);
        assert_eq!((found.verdict, found.clause.as_str()), (Breach, clause), "{rule}");
        assert_eq!(found.about, [name("merchandiser")], "{rule}");
    }
}

#[test]
fn duties_what_goes_wrong_in_production_is_told_upward_and_solved_in_the_companys_hours() {
    let mut factory = factory();
    let order = in_production(&mut factory, "A1");
    factory.at("2026-11-24 08:30");
    factory.perform("R01", Command::Report(order, "面料色差".into(), Vec::new()));
    factory.online();
    let exception = factory.state(order).exceptions[0].0.said.fact;
    let solved = Command::Resolve(order, exception, "换布".into());
    assert_eq!(factory.refused("R01", solved.clone()), RefusalCode::RoleMissing);
    // Four working hours to tell it: until 14:00. Eight to solve it: until 18:00.
    factory.at("2026-11-24 14:01");
    let found = factory.finding(order, "exception-not-reported");
    assert_eq!((found.verdict, found.escalate_to), (Breach, Some(name("management"))));
    assert!(factory.told("M02", order).contains(&NoticeKind::Escalation));
    factory.at("2026-11-24 17:59");
    factory.perform("G01", solved);
    factory.at("2026-11-24 18:01");
    factory.all_agree();
    assert!(factory.found(order, "exception-not-solved").is_empty());
}
