//! S12 售后服务部规章制度: complaints, customer files, service records and their figures, surveys, rewards, privacy,
//! and rules that are reviewed at intervals.

use std::collections::BTreeMap;

use gendan_tests::scenario::{Company, Opening, did, name};
use sync_core::command::Command;
use sync_core::fact::kinds::AppointmentStatus;
use sync_core::ids::{BlobHash, DocId, DocKind};
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::policy::model::{MeasureForm, Policy};
use sync_core::policy::review::review_due_ms;
use sync_core::refusal::RefusalCode;

/// An after-sales department.
fn department() -> Company {
    let mut department = Company::under("service-centre");
    department.people(&[
        ("K01", "service-desk", None),
        ("K02", "service-desk", None),
        ("E01", "engineer", None),
        ("E02", "engineer", None),
        ("U01", "supervisor", None),
        ("B01", "hr", None),
        ("M02", "management", None),
    ]);
    department
}

/// A customer's file, opened offline by the service desk.
fn file(department: &mut Company, number: &str) -> DocId {
    let fields = [("name", "何女士"), ("phone", "13800000000"), ("address", "幸福街1号")];
    let fields: BTreeMap<_, _> = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    department.perform("K01", Command::OpenCustomer { number: number.into(), store: None, fields });
    department.doc(DocKind::Customer, number)
}

fn complaint(department: &mut Company, number: &str, file: DocId) -> DocId {
    let file = file.to_string();
    let fields = [("customer", "何女士"), ("phone", "13800000000"), ("customer_file", file.as_str())];
    let wish =
        Opening { urgency: Some("urgent"), channel: Some("电话"), fields: &fields, ..Opening::default() };
    let ticket = department.open("K01", "complaint", number, wish);
    department.online();
    ticket
}

#[test]
fn article_3_a_complaint_is_handled_in_its_steps_and_in_time() {
    let mut department = department();
    department.at("2026-11-24 08:30");
    let file = file(&mut department, "H1");
    let [solved, open] = ["T1", "T2"].map(|number| complaint(&mut department, number, file));
    let line = [
        ("K01", did("recorded")),
        ("K01", did("investigated").value("cause", "product-defect")),
        ("K01", did("proposed").value("plan", "更换门板")),
        ("K01", did("solved")),
        ("K02", did("answered")),
        ("K02", did("surveyed").value("csat", "5")),
    ];
    department.in_order(solved, &line);
    department.step("K01", open, did("recorded"));
    department.online();
    department.at("2026-11-24 18:00");
    assert_eq!(department.finding(open, "complaint-late").verdict, Due);
    department.at("2026-11-24 18:01");
    department.all_agree();
    assert!(department.found(solved, "complaint-late").is_empty());
    let found = department.finding(open, "complaint-late");
    assert_eq!(
        (found.verdict, found.step, found.escalate_to),
        (Breach, name("solved"), Some(name("management")))
    );
    assert!(found.clause.contains("S12 第三条"), "{}", found.clause);
}

#[test]
fn article_5_a_customers_file_leads_to_every_problem_and_how_it_was_solved() {
    let mut department = department();
    let file = file(&mut department, "H1");
    let [first, second] = ["T1", "T2"].map(|number| complaint(&mut department, number, file));
    for (ticket, plan) in [(first, "更换门板"), (second, "调整铰链")] {
        department.step("K01", ticket, did("recorded"));
        department.step("K01", ticket, did("investigated").value("cause", "installation"));
        department.step("K01", ticket, did("proposed").value("plan", plan));
    }
    // The customer moves; two of the desk hear of it apart.
    department.edit("K01", file, "address", "建设路5号");
    department.edit("K02", file, "remark", "周末在家");
    department.all_agree();
    assert_eq!(department.in_force(file, "address").as_deref(), Some("建设路5号"));
    assert_eq!(department.in_force(file, "remark").as_deref(), Some("周末在家"), "neither undoes the other");
    // The other one at the desk has the whole history at hand, offline.
    let device = &department.world.sites["K02"].device;
    let mut plans = Vec::new();
    for row in device.rows(DocKind::Ticket).unwrap() {
        let (found, state) = device.state(row.doc).unwrap();
        let fields = state.content(&found, sync_core::domain::fields::Map::Fields);
        if fields.get("customer_file").is_some_and(|of| of.to_string() == file.to_string()) {
            plans.push(state.last("proposed").unwrap().what.values[&name("plan")].clone());
        }
    }
    plans.sort();
    assert_eq!(plans, ["更换门板", "调整铰链"]);
}

#[test]
fn article_8_a_customers_data_is_only_where_the_work_needs_it_and_leaves_when_it_does_not() {
    let mut department = department();
    let file = file(&mut department, "H1");
    let wish =
        Opening { urgency: Some("normal"), fields: &[("customer", "何女士")], ..Opening::default() };
    let ticket = department.open("K01", "repair", "T1", wish);
    department.step("K01", ticket, did("requested"));
    department.online();
    for who in ["E01", "E02"] {
        assert!(!department.holds(who, ticket) && !department.holds(who, file), "{who}");
    }
    let look = Command::Note(ticket, "看看".into());
    assert_eq!(department.refused("E02", look), RefusalCode::NotFound);
    department.assign("K01", ticket, &["E01"], "2026-11-25", "diagnosed");
    department.online();
    assert!(department.holds("E01", ticket) && !department.holds("E02", ticket));
    assert!(!department.holds("E01", file), "the job, and not the customer's whole history");
    // The job goes to nobody: the engineer's device loses it.
    let appointment = *department.state(ticket).appointments.keys().next().unwrap();
    department.perform("K01", Command::Visit(ticket, appointment, AppointmentStatus::Cancelled));
    department.all_agree();
    assert!(!department.holds("E01", ticket));
}

#[test]
fn articles_4_and_9_service_is_counted_reported_upward_and_assessed() {
    let mut department = department();
    let report = department.open("K01", "service-report", "B1", Opening::default());
    assert_eq!(department.refused_step("K01", report, did("reported")), RefusalCode::StepOrder);
    assert_eq!(department.refused_step("K01", report, did("counted")), RefusalCode::ValueMissing);
    department.step("K01", report, did("counted").value("figures", "受理42,解决40,满意度4.6"));
    department.step("K01", report, did("reported"));
    department.all_agree();
    // The next is due 60 days after the opening.
    assert_eq!(department.finding(report, "service-report-due").verdict, Due);
    department.at("2027-01-23 00:00");
    let late = department.finding(report, "service-report-due");
    assert_eq!((late.verdict, late.clause.starts_with("S12 第九条")), (Breach, true));
    department.sync(&["K01", "U01"]);
    let (_, seen) = department.world.sites["M02"].device.state(report).unwrap();
    assert_eq!(seen.last("counted").unwrap().what.values[&name("figures")], "受理42,解决40,满意度4.6");
    let of = |clause: &str| -> Vec<MeasureForm> {
        let measures = department.policy.measures.values().filter(|m| m.clause.contains(clause));
        measures.map(|m| m.form).collect()
    };
    assert_eq!(of("S12 第四条").len(), 2, "justified complaints, and what the superior rates");
    assert_eq!(of("S12 第十三条"), [MeasureForm::Satisfaction]);
    let appraisal =
        department.open("U01", "appraisal", "K1", Opening { about: Some("K01"), ..Opening::default() });
    assert_eq!(department.refused_step("U01", appraisal, did("rated")), RefusalCode::ValueMissing);
    department.online();
    let rated = did("rated").value("service-quality", "4");
    assert_eq!(department.refused_step("K01", appraisal, rated.clone()), RefusalCode::RoleMissing);
    department.step("U01", appraisal, rated);
    department.all_agree();
}

#[test]
fn article_12_rewards_and_penalties_are_proposed_reviewed_told_and_published() {
    let mut department = department();
    let award = department.policy.rewards.iter().find(|r| r.clause.contains("S12 第十二条")).unwrap();
    assert_eq!(award.id, name("service-award"));
    let about = Opening { about: Some("E01"), ..Opening::default() };
    let record = department.open("U01", "conduct", "J1", about);
    department.online();
    let line = [
        ("U01", did("proposed").value("kind", "service-award").value("reason", "客户表扬")),
        ("B01", did("reviewed")),
        ("B01", did("notified").text("公司拟授予您优质服务奖")),
    ];
    department.in_order(record, &line);
    assert_eq!(department.refused_step("U01", record, did("published")), RefusalCode::RoleMissing);
    assert!(department.holds("E01", record) && !department.holds("E02", record), "first whom it is about");
    department.step("B01", record, did("published"));
    department.all_agree();
    assert!(department.state(record).holds() && department.holds("E02", record));
}

#[test]
fn article_13_satisfaction_is_asked_every_ninety_days_and_service_improved_by_it() {
    let mut department = department();
    let round = department.open("K01", "survey-round", "R1", Opening::default());
    assert_eq!(department.refused_step("K01", round, did("asked")), RefusalCode::ValueMissing);
    let asked = || did("asked").value("answers", "50份,平均4.4");
    department.step("K01", round, asked());
    department.online();
    let improved = did("analysed").value("improvement", "送货前一小时电话");
    assert_eq!(department.refused_step("K01", round, improved.clone()), RefusalCode::RoleMissing);
    assert_eq!(department.refused_step("U01", round, did("analysed")), RefusalCode::ValueMissing);
    department.step("U01", round, improved);
    department.online();
    // The first round was held at once; the second is due 180 days after the opening.
    department.at("2027-05-22 23:59");
    let due = department.finding(round, "survey-due");
    assert_eq!((due.verdict, due.due_ms), (Due, Some(department.moment("2027-05-23 00:00") - 1)));
    department.at("2027-05-23 00:00");
    let late = department.finding(round, "survey-due");
    assert_eq!((late.verdict, late.clause.starts_with("S12 第十三条")), (Breach, true));
    department.sync(&["K01", "U01"]);
    department.step("K01", round, asked());
    assert_eq!(department.refused_step("K01", round, did("ended")), RefusalCode::RoleMissing);
    department.step("U01", round, did("ended"));
    department.all_agree();
    assert_eq!(department.refused_step("K01", round, asked()), RefusalCode::Closed);
}

#[test]
fn article_14_rules_are_reviewed_after_12_months_and_changed_by_managements_approval_only() {
    let mut department = department();
    let from_ms = department.moment("2026-11-23 08:00");
    assert_eq!(review_due_ms(&department.policy, from_ms), department.moment("2027-11-23 00:00"));
    let revised = Policy { review_months: 6, ..department.policy.clone() };
    let proposed = department.world.as_clerk(|relay, clerk, now| relay.propose(clerk, &revised, None, now));
    let hash: BlobHash = proposed.unwrap();
    department.online();
    let effective_ms = department.world.time_ms + 3_600_000;
    for who in ["K01", "U01", "B01"] {
        let publish = Command::PublishPolicy { version: 2, hash, effective_ms, proposal: Some(hash) };
        assert_eq!(department.refused(who, publish), RefusalCode::RoleMissing, "{who}");
    }
    let version = |department: &Company, who: &str| {
        let device = &department.world.sites[who].device;
        device.rules().at(department.world.time_ms).map(|(version, policy)| (version, policy.review_months))
    };
    assert_eq!(version(&department, "K01"), Some((1, 12)), "what is proposed rules nobody");
    let approved =
        department.world.as_clerk(|relay, clerk, now| relay.approve(clerk, hash, |_| effective_ms, now));
    assert_eq!(approved.unwrap(), 2);
    department.online();
    assert_eq!(version(&department, "K01"), Some((1, 12)), "until its hour has come");
    department.world.time_ms = effective_ms;
    department.all_agree();
    assert_eq!(version(&department, "K01"), Some((2, 6)));
}
