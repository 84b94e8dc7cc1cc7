//! S4 售后客服部规章制度: complaints with their records kept, appraisal that is told and analysed, review of the rules.

use gendan_tests::scenario::{Company, Opening, did, name};
use sync_core::command::Command;
use sync_core::policy::model::MeasureForm;
use sync_core::refusal::RefusalCode;

fn department() -> Company {
    let mut department = Company::under("service-centre");
    department.people(&[
        ("K01", "service-desk", None),
        ("K02", "service-desk", None),
        ("U01", "supervisor", None),
        ("H01", "hr", None),
        ("E01", "engineer", None),
    ]);
    department
}

#[test]
fn articles_9_and_15_a_complaint_is_kept_with_every_word_about_it_on_every_desk() {
    let mut department = department();
    let wish = Opening { urgency: Some("normal"), channel: Some("phone"), ..Opening::default() };
    let doc = department.open("K01", "complaint", "T1", wish);
    department.step("K01", doc, did("recorded"));
    department.online();
    // Two desks go on without a connection; neither loses what the other wrote down.
    department.perform("K01", Command::Contact(doc, "phone".into(), "客户说等了三天".into(), vec![]));
    department.step("K02", doc, did("investigated").value("cause", "service"));
    department.perform("K02", Command::Note(doc, "仓库已查".into()));
    department.all_agree();
    let state = department.state(doc);
    assert_eq!((state.contacts.len(), state.steps.len()), (1, 2));
    // No step of a record is taken back: it is said again, or contradicted, never overwritten.
    assert_eq!(department.refused_step("K01", doc, did("recorded")), RefusalCode::StepRepeated);
}

#[test]
fn article_10_who_is_not_of_the_desk_holds_no_customers_words() {
    let mut department = department();
    let doc = department.open("K01", "complaint", "T1", Opening::default());
    department.online();
    assert!(department.holds("K02", doc) && !department.holds("E01", doc));
    let change = Command::Note(doc, "x".into());
    assert!(department.world.perform("E01", change).is_err(), "what is not here cannot be changed");
}

#[test]
fn articles_19_to_22_appraisal_goes_by_satisfaction_efficiency_and_problem_solving_and_is_told() {
    let mut department = department();
    let forms: Vec<MeasureForm> = department.policy.measures.values().map(|m| m.form).collect();
    for form in [MeasureForm::Satisfaction, MeasureForm::ResponseHours, MeasureForm::SolutionHours] {
        assert!(forms.contains(&form), "{form:?}");
    }
    let wish = Opening { about: Some("K01"), ..Opening::default() };
    let appraisal = department.open("U01", "appraisal", "P1", wish);
    let rated = || did("rated").value("service-quality", "4");
    department.step("U01", appraisal, rated());
    department.online();
    assert_eq!(
        department.refused_step("K01", appraisal, rated()),
        RefusalCode::RoleMissing,
        "nobody rates themselves"
    );
    let analysed = || did("analysed").value("conclusion", "响应偏慢,加一人");
    assert_eq!(department.refused_step("U01", appraisal, analysed()), RefusalCode::StepOrder, "told first");
    assert!(department.holds("K01", appraisal), "whom it is about sees it");
    assert!(!department.holds("E01", appraisal) && !department.holds("K02", appraisal), "no colleague does");
    department.step("H01", appraisal, did("published"));
    department.online();
    assert!(department.holds("E01", appraisal), "公示: everybody sees it, and only sees it");
    assert_eq!(department.refused("E01", Command::Note(appraisal, "不公".into())), RefusalCode::NotAssigned);
    department.step("U01", appraisal, analysed());
    department.all_agree();
    let flow = department.policy.flows.get(&name("appraisal"));
    assert!(department.state(appraisal).is_closed(flow), "分析总结,提出改进建议");
}

#[test]
fn article_7_the_rules_are_reviewed_at_their_interval() {
    let department = department();
    assert_eq!(department.policy.review_months, 12);
    let from = department.moment("2026-11-30 08:00");
    let due = sync_core::policy::review::review_due_ms(&department.policy, from);
    assert_eq!(due, department.moment("2027-11-30 00:00"));
    assert!(department.policy.flows.contains_key(&name("appraisal")));
}
