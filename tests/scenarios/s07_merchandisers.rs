//! S7 跟单人员管理: intake, first check, passed on; complaints investigated; the right to ask of other departments.

use gendan_tests::scenario::{Company, Opening, POINTS, did};
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::policy::model::MeasureForm;
use sync_core::refusal::RefusalCode;

fn company() -> Company {
    let mut company = Company::under("general");
    company.people(&[
        ("S01", "sales", Some("一部")),
        ("G01", "merchandiser", None),
        ("P01", "planner", None),
        ("B01", "purchaser", None),
        ("U01", "supervisor", None),
        ("L01", "management", None),
        ("H01", "hr", None),
    ]);
    company
}

#[test]
fn article_6_an_order_is_checked_before_it_is_passed_to_the_departments() {
    let mut company = company();
    let order = company.open_order("S01", "A1", Some("一部"), "2027-01-20", &[("机柜", None)]);
    assert_eq!(company.refused_step("S01", order, did("placed")), RefusalCode::RoleMissing);
    company.step("S01", order, did("handed-in"));
    company.online();
    assert_eq!(
        company.refused_step("G01", order, did("placed")),
        RefusalCode::StepOrder,
        "not before its check"
    );
    assert_eq!(company.refused_step("G01", order, did("reviewed")), RefusalCode::CheckFailed);
    company.step("G01", order, did("reviewed").checked(&POINTS));
    company.step("G01", order, did("placed"));
    company.all_agree();
    assert!(company.holds("P01", order) && company.holds("B01", order));
}

#[test]
fn article_5_1_a_request_to_purchasing_is_answered_within_two_working_days() {
    let mut company = company();
    company.at("2026-11-24 09:00");
    let request = company.open("G01", "request", "Q1", Opening::default());
    let raised = did("raised").value("department", "采购部").value("request", "提前备板材");
    company.step("G01", request, raised);
    company.online();
    assert_eq!(company.found(request, "request-not-answered")[0].0, Due);
    company.at("2026-11-26 09:30");
    assert_eq!(company.found(request, "request-not-answered")[0].0, Breach);
    assert_eq!(
        company.refused_step("G01", request, did("answered").value("answer", "好")),
        RefusalCode::RoleMissing
    );
    company.sync(&["B01"]);
    company.step("B01", request, did("answered").value("answer", "周五到"));
    company.all_agree();
}

#[test]
fn article_10_the_five_measures_are_there_and_the_superior_rates_two_of_them() {
    let mut company = company();
    let form = |measure: &str| {
        company.policy.measures.iter().find(|(name, _)| name.as_str() == measure).unwrap().1.form
    };
    assert_eq!(form("completion-rate"), MeasureForm::CompletionRate);
    assert_eq!(form("satisfaction"), MeasureForm::Satisfaction);
    assert_eq!(form("efficiency"), MeasureForm::ResponseHours);
    assert_eq!((form("teamwork"), form("ethics")), (MeasureForm::Rated, MeasureForm::Rated));
    let wish = Opening { about: Some("G01"), ..Opening::default() };
    let appraisal = company.open("U01", "appraisal", "P1", wish);
    let rated = || did("rated").value("work-quality", "4").value("teamwork", "5").value("communication", "4");
    assert_eq!(company.refused_step("U01", appraisal, rated()), RefusalCode::ValueMissing, "ethics too");
    company.step("U01", appraisal, rated().value("ethics", "5"));
    company.all_agree();
    assert!(company.holds("G01", appraisal), "they see how they were rated");
    assert_eq!(
        company.refused_step("G01", appraisal, rated().value("ethics", "5")),
        RefusalCode::RoleMissing
    );
}
