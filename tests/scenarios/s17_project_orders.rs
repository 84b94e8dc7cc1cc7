//! S17 跟单人员工作制度: project orders, from the customer's needs through feasibility, application and approval to
//! plan, progress, quality, contact with the customer and the survey; the contract kept with the order.

use gendan_tests::scenario::{Company, Did, Opening, did, name};
use sync_core::command::Command;
use sync_core::ids::DocId;
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

/// A company that takes projects.
fn company() -> Company {
    let mut company = Company::under("general");
    company.people(&[
        ("D01", "sales", Some("一部")),
        ("D02", "sales", Some("二部")),
        ("G01", "merchandiser", None),
        ("U01", "supervisor", None),
        ("X01", "sales-director", None),
        ("P01", "planner", None),
        ("W01", "crew", None),
        ("F01", "finance", None),
    ]);
    company
}

fn project(company: &mut Company, number: &str) -> DocId {
    let fields = [("customer", "何女士"), ("delivery_date", "2027-01-20")];
    let wish = Opening { store: Some("一部"), fields: &fields, ..Opening::default() };
    let project = company.open("D01", "project", number, wish);
    company.online();
    project
}

fn needs() -> Did {
    did("needs").value("needs", "两层办公室家具")
}
fn assessed() -> Did {
    did("assessed").value("feasibility", "可行,须外协喷漆")
}
fn contract() -> Did {
    did("contract-kept").documents(&["contract"])
}
fn planned() -> Did {
    did("planned").value("plan", "12月1日至31日")
}

/// A project that is applied for.
fn applied(company: &mut Company, number: &str) -> DocId {
    let project = project(company, number);
    for step in [needs(), assessed(), did("applied")] {
        company.step("G01", project, step);
    }
    company.online();
    project
}

/// A project in production.
fn placed(company: &mut Company, number: &str) -> DocId {
    let project = applied(company, number);
    company.step("U01", project, did("approved"));
    company.online();
    for step in [contract(), planned(), did("placed")] {
        company.step("G01", project, step);
    }
    company.online();
    project
}

#[test]
fn article_3_1_a_project_is_assessed_applied_for_and_approved_in_this_order() {
    let mut company = company();
    let project = project(&mut company, "X1");
    assert_eq!(company.refused_step("G01", project, did("needs")), RefusalCode::ValueMissing);
    let line = [
        ("G01", needs()),
        ("G01", assessed()),
        ("G01", did("applied")),
        ("U01", did("approved")),
        ("G01", contract()),
        ("P01", planned()),
        ("G01", did("placed")),
    ];
    company.in_order(project, &line);
    company.all_agree();
    assert!(company.state(project).in_force.is_some(), "the approval puts the project in force");
    assert!(!company.holds("D02", project), "another department's sales have no sight of it");
}

#[test]
fn article_3_1_3_who_applies_does_not_approve_and_nothing_begins_before_it() {
    let mut company = company();
    let project = applied(&mut company, "X1");
    for who in ["G01", "D01", "P01"] {
        assert_eq!(company.refused_step(who, project, did("approved")), RefusalCode::RoleMissing, "{who}");
    }
    // The superior approves apart; who follows the project cannot go on until they know of it.
    company.step("U01", project, did("approved"));
    assert_eq!(company.refused_step("G01", project, contract()), RefusalCode::StepOrder);
    company.online();
    company.step("G01", project, contract());
    company.all_agree();
}

#[test]
fn article_3_1_4_a_project_that_is_not_approved_ends_with_its_reason() {
    let mut company = company();
    let project = applied(&mut company, "X1");
    assert_eq!(company.refused_step("U01", project, did("rejected")), RefusalCode::ValueMissing);
    company.step("U01", project, did("rejected").value("reason", "产能不足"));
    assert_eq!(company.refused_step("U01", project, did("approved")), RefusalCode::Closed);
    company.online();
    assert_eq!(company.refused_step("G01", project, contract()), RefusalCode::Closed);
    company.all_agree();
}

#[test]
fn article_3_1_4_two_superiors_who_decide_apart_do_not_begin_the_project() {
    let mut company = company();
    let project = applied(&mut company, "X1");
    company.step("U01", project, did("rejected").value("reason", "产能不足"));
    company.step("X01", project, did("approved"));
    company.online();
    assert_eq!(company.refused_step("G01", project, contract()), RefusalCode::Closed);
    company.all_agree();
    let decided: Vec<_> = {
        let steps = company.state(project).steps.into_iter().map(|s| s.what.step);
        steps.filter(|step| ["approved", "rejected"].contains(&step.as_str())).collect()
    };
    assert_eq!(decided.len(), 2, "neither decision is lost");
}

#[test]
fn article_2_1_5_the_contract_is_kept_with_the_order_and_planning_waits_for_it() {
    let mut company = company();
    let project = applied(&mut company, "X1");
    company.step("U01", project, did("approved"));
    company.online();
    assert_eq!(company.refused_step("G01", project, did("contract-kept")), RefusalCode::EvidenceMissing);
    let photo = did("contract-kept").photo("合同");
    assert_eq!(company.refused_step("G01", project, photo), RefusalCode::EvidenceMissing);
    assert_eq!(company.refused_step("P01", project, planned()), RefusalCode::StepOrder);
    company.step("G01", project, contract());
    company.all_agree();
    let state = company.state(project);
    let kept = &state.last("contract-kept").unwrap().what.evidence[0];
    assert_eq!(kept.document, Some(name("contract")));
    let relay = company.world.blobs.belongs(kept.blob.unwrap()).unwrap();
    assert_eq!(relay, Some((project, "application/pdf".into())), "the file too");
}

#[test]
fn article_3_2_progress_is_followed_quality_checked_and_the_project_delivered() {
    let mut company = company();
    let project = placed(&mut company, "X1");
    company.assign("G01", project, &["W01"], "2027-01-15", "delivered");
    company.online();
    assert_eq!(company.refused_step("P01", project, did("progress-verified")), RefusalCode::ValueMissing);
    company.step("P01", project, did("progress-verified").value("progress", "一层完成"));
    assert_eq!(company.refused_step("G01", project, did("quality-checked")), RefusalCode::CheckFailed);
    assert_eq!(
        company.refused_step("W01", project, did("delivered").signed("何女士")),
        RefusalCode::StepOrder
    );
    company.step("G01", project, did("quality-checked").checked(&["quality"]));
    company.online();
    let line = [
        ("W01", did("delivered").signed("何女士")),
        ("G01", did("surveyed").value("csat", "5")),
        ("F01", did("settled")),
        ("G01", did("archived")),
    ];
    company.in_order(project, &line);
    company.all_agree();
    assert!(company.found(project, "late-delivery").is_empty());
}

#[test]
fn article_3_3_the_customer_is_told_regularly_and_asked_at_once_when_it_is_urgent() {
    let mut company = company();
    company.at("2026-11-30 10:00");
    let project = placed(&mut company, "X1");
    // Every seven days from the plan, by the company's own number.
    company.at("2026-12-07 22:00");
    company.online();
    assert_eq!(company.finding(project, "progress-not-told").verdict, Due);
    assert!(company.told("G01", project).contains(&NoticeKind::Reminder));
    company.at("2026-12-08 00:00");
    let found = company.finding(project, "progress-not-told");
    assert_eq!((found.verdict, found.about), (Breach, vec![name("merchandiser")]));
    assert!(found.clause.contains("S17 3.3 (1)"), "{}", found.clause);
    company.step("G01", project, did("progress-told"));
    // Something endangers the date: told, agreed on with the customer, resolved.
    company.perform("P01", Command::Report(project, "木料到货延迟".into(), Vec::new()));
    assert_eq!(company.refused_step("G01", project, did("urgent-contact")), RefusalCode::ValueMissing);
    company.online();
    company.step("G01", project, did("urgent-contact").value("plan", "先交一层"));
    let exception = company.state(project).exceptions[0].0.said.fact;
    company.perform("G01", Command::Resolve(project, exception, "客户同意分批".into()));
    company.all_agree();
    let weeks: Vec<_> = company.found(project, "progress-not-told").into_iter().map(|f| f.0).collect();
    assert_eq!(weeks, [Breach, Due], "a late week stays late, and the next is owed");
    assert!(company.found(project, "exception-not-acted-on").is_empty());
}

#[test]
fn article_3_3_3_the_customer_is_asked_how_satisfied_they_are_after_the_delivery() {
    let mut company = company();
    let project = placed(&mut company, "X1");
    assert_eq!(
        company.refused_step("G01", project, did("surveyed").value("csat", "5")),
        RefusalCode::StepOrder
    );
    company.step("G01", project, did("quality-checked").checked(&["quality"]));
    company.step("G01", project, did("delivered").signed("何女士"));
    company.online();
    assert_eq!(
        company.refused_step("F01", project, did("settled")),
        RefusalCode::StepOrder,
        "it is asked first"
    );
    assert_eq!(company.refused_step("G01", project, did("surveyed")), RefusalCode::ValueMissing);
    company.step("G01", project, did("surveyed").value("csat", "4"));
    company.all_agree();
    assert_eq!(company.state(project).last("surveyed").unwrap().what.values[&name("csat")], "4");
}
