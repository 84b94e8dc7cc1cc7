//! S1 售后办公室规章制度: requests by their urgency, results told, escalation by itself, a five-day week.

use gendan_tests::scenario::{Company, Opening, did, name};
use sync_core::command::Command;
use sync_core::ids::DocId;
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

fn office() -> Company {
    let mut office = Company::under("service-centre");
    office.people(&[
        ("K01", "service-desk", None),
        ("E01", "engineer", None),
        ("U01", "supervisor", None),
        ("L01", "management", None),
        ("H01", "hr", None),
    ]);
    office
}

fn asked(office: &mut Company, number: &str, channel: &str, urgency: &str) -> DocId {
    let fields = &[("customer", "何女士"), ("phone", "13800000000"), ("fault", "抽屉卡住")];
    let wish = Opening { channel: Some(channel), urgency: Some(urgency), fields, ..Opening::default() };
    office.open("K01", "complaint", number, wish)
}

#[test]
fn articles_4_and_5_requests_by_phone_mail_and_chat_are_due_by_their_urgency() {
    let mut office = office();
    // Half an hour before the desk opens: the hours run from nine.
    office.at("2026-11-24 08:30");
    for (number, channel, urgency, recorded, solved) in [
        ("T1", "phone", "urgent", "2026-11-24 10:00", "2026-11-24 18:00"),
        ("T2", "e-mail", "normal", "2026-11-24 14:00", "2026-11-26 18:00"),
        ("T3", "chat", "low", "2026-11-24 18:00", "2026-11-30 18:00"),
    ] {
        let doc = asked(&mut office, number, channel, urgency);
        office.online();
        assert_eq!(office.state(doc).opened.unwrap().what.channel.as_deref(), Some(channel));
        let found = office.findings(doc);
        for (step, due) in [("recorded", recorded), ("solved", solved)] {
            let of = found.iter().find(|f| f.step == *step).unwrap();
            assert_eq!(of.due_ms, Some(office.moment(due)), "{number} {step}");
            assert_eq!((of.verdict, of.clause.starts_with("S1 第六条")), (Due, true));
        }
    }
}

#[test]
fn article_5_no_request_is_without_a_deadline_because_nobody_said_how_urgent_it_is() {
    let mut office = office();
    office.at("2026-11-24 08:30");
    let doc = office.open("K01", "complaint", "T1", Opening { channel: Some("phone"), ..Opening::default() });
    office.online();
    let solved = office.findings(doc).into_iter().find(|f| f.step == *"solved").unwrap();
    assert_eq!(solved.due_ms, Some(office.moment("2026-11-30 18:00")), "as the least urgent");
    let misspelt = Opening { urgency: Some("urgnt"), ..Opening::default() };
    assert_eq!(office.refused_open("K01", "complaint", "T2", misspelt), RefusalCode::NotFound);
}

#[test]
fn article_14_the_week_has_five_days_of_eight_hours() {
    let mut office = office();
    // Friday, half past four: of eight working hours, half past one is left; the other comes on Monday.
    office.at("2026-11-27 16:30");
    let doc = asked(&mut office, "T1", "phone", "urgent");
    office.online();
    let solution = office.findings(doc).into_iter().find(|f| f.step == *"solved").unwrap();
    let due = office.moment("2026-11-30 16:30");
    assert!((due..due + 60_000).contains(&solution.due_ms.unwrap()));
}

#[test]
fn articles_6_and_8_what_is_late_goes_to_management_by_itself_with_the_result_told_at_last() {
    let mut office = office();
    office.at("2026-11-24 08:30");
    let doc = asked(&mut office, "T1", "phone", "urgent");
    office.step("K01", doc, did("recorded"));
    office.online();
    office.at("2026-11-24 18:00");
    assert_eq!(office.told("L01", doc), []);
    // Nobody is online any more, and nobody says anything.
    office.at("2026-11-24 18:01");
    assert_eq!(office.told("L01", doc), [NoticeKind::Escalation]);
    assert_eq!(office.found(doc, "complaint-late"), [(Breach, None)]);
    // The desk gives its reason, solves it and tells the customer, which is a logged contact.
    let reason = "要等厂家配件".to_owned();
    let nobody = Command::Escalate(doc, name("boss"), "找不到人".into());
    assert_eq!(office.refused("K01", nobody), RefusalCode::NotFound, "no such role would hear of it");
    office.perform("K01", Command::Escalate(doc, name("management"), reason));
    for step in
        [did("investigated").value("cause", "product-defect"), did("proposed").value("plan", "换滑轨")]
    {
        office.step("K01", doc, step);
    }
    assert_eq!(office.refused_step("K01", doc, did("answered")), RefusalCode::StepOrder);
    office.step("K01", doc, did("solved"));
    office.perform("K01", Command::Contact(doc, "phone".into(), "已经换好".into(), vec![]));
    office.step("K01", doc, did("answered"));
    office.all_agree();
    let state = office.state(doc);
    assert_eq!((state.escalations.len(), state.contacts.len()), (1, 1));
    assert!(office.found(doc, "result-not-told").is_empty());
}

#[test]
fn article_12_problems_are_listed_and_fed_back_to_the_department() {
    let mut office = office();
    let list = office.open("K01", "problem-list", "P1", Opening::default());
    assert_eq!(office.refused_step("K01", list, did("listed")), RefusalCode::ValueMissing);
    office.step("K01", list, did("listed").value("problems", "滑轨断裂3起"));
    office.online();
    assert_eq!(office.found(list, "problems-not-fed-back")[0].0, Due);
    office.step("U01", list, did("fed-back").value("department", "生产部"));
    office.step("U01", list, did("improved").value("improvement", "更换供应商"));
    office.all_agree();
    assert!(office.state(list).is_closed(office.policy.flows.get(&name("problem-list"))));
    assert!(office.found(list, "problems-not-fed-back").is_empty());
}

#[test]
fn article_18_customer_data_is_on_no_device_that_does_not_need_it() {
    let mut office = office();
    let doc = asked(&mut office, "T1", "phone", "normal");
    office.online();
    assert!(office.holds("K01", doc) && !office.holds("E01", doc));
    office.assign("K01", doc, &["E01"], "2026-11-25", "solved");
    office.online();
    assert!(office.holds("E01", doc), "who goes there holds it");
}

#[test]
fn articles_19_and_20_the_grades_are_five_from_a_word_to_dismissal() {
    let office = office();
    let grades: Vec<&str> = office.policy.penalties.iter().map(|grade| grade.id.as_str()).collect();
    assert_eq!(grades, ["verbal-warning", "written-warning", "suspension", "demotion", "dismissal"]);
    assert!(office.policy.penalties.iter().all(|grade| grade.clause.starts_with("S1 第十九条")));
}

#[test]
fn article_19_nobody_proposes_a_grade_that_the_policy_has_not_and_none_holds_before_it_is_published() {
    let mut office = office();
    let about = Opening { about: Some("K01"), ..Opening::default() };
    let record = office.open("U01", "conduct", "J1", about);
    let graded = |grade| did("proposed").value("kind", grade).value("reason", "外泄客户电话");
    assert_eq!(office.refused_step("U01", record, graded("fine")), RefusalCode::ValueInvalid);
    office.step("U01", record, graded("dismissal"));
    office.online();
    let told = did("notified").text("经核实,给予开除处理");
    for step in [did("reviewed"), told, did("published")] {
        assert!(!office.state(record).holds() && !office.view("H01", record).record_in_force);
        office.step("H01", record, step);
        office.online();
    }
    office.all_agree();
    assert!(office.state(record).holds() && office.view("K01", record).record_in_force);
}

#[test]
fn article_20_only_what_a_superior_has_verified_is_found_against_somebody() {
    let mut office = office();
    let doc = asked(&mut office, "T1", "phone", "low");
    for step in [did("recorded"), did("investigated").value("cause", "service")] {
        office.step("K01", doc, step);
    }
    office.online();
    assert!(office.found(doc, "justified-complaint").is_empty(), "a complaint alone proves nothing");
    assert_eq!(office.refused_step("K01", doc, did("justified")), RefusalCode::RoleMissing);
    office.step("U01", doc, did("justified"));
    office.all_agree();
    let found = office.finding(doc, "justified-complaint");
    assert_eq!((found.verdict, found.one_of), (Breach, true));
    assert!(found.clause.contains("S1 第十九条"), "{}", found.clause);
}

#[test]
fn article_22_a_change_of_the_policy_is_managements_and_published_to_all() {
    let mut office = office();
    let mut changed = office.policy.clone();
    changed.urgencies.get_mut(&name("urgent")).unwrap().response_hours = 2;
    let next = office.moment("2026-12-01 00:00");
    let hash = sync_core::policy::publish::Published::of(2, &changed).hash;
    let publish = Command::PublishPolicy { version: 2, hash, effective_ms: next, proposal: None };
    assert_eq!(office.refused("U01", publish), RefusalCode::RoleMissing);
    office.world.publish(2, &changed, next);
    office.online();
    for device in ["K01", "E01", "U01"] {
        let rules = office.world.sites[device].device.rules();
        let hours = |ms| rules.at(ms).unwrap().1.urgencies[&name("urgent")].response_hours;
        assert_eq!((hours(next - 1), hours(next)), (1, 2), "{device}");
    }
}
