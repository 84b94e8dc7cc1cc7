//! S7 跟单人员管理: intake, first check, passed on; complaints investigated; the right to ask of other departments.

use gendan_tests::scenario::{Company, Opening, POINTS, did, name};
use sync_core::notice::NoticeKind;
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
        ("C01", "warehouse", None),
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
    // Sixteen working hours: two days.
    company.at("2026-11-25 17:59");
    assert_eq!(company.found(request, "request-not-answered")[0].0, Due);
    company.at("2026-11-26 09:01");
    let late = company.finding(request, "request-not-answered");
    assert_eq!((late.verdict, late.clause.starts_with("S7 第五条 1")), (Breach, true));
    assert_eq!(company.told("L01", request), [NoticeKind::Escalation, NoticeKind::Task]);
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

#[test]
fn article_7_production_and_transport_are_tracked_before_the_order_is_delivered() {
    for tracked in [true, false] {
        let mut company = company();
        let order = company.open_order("S01", "A1", Some("一部"), "2027-01-20", &[("机柜", None)]);
        company.step("S01", order, did("handed-in"));
        company.online();
        company.step("G01", order, did("reviewed").checked(&POINTS));
        company.step("G01", order, did("placed"));
        company.online();
        company.step("P01", order, did("planned").value("plan", "12月1日开工"));
        company.online();
        let dispatched = || did("dispatched").value("ledger", "第9行");
        assert_eq!(company.refused_step("C01", order, dispatched()), RefusalCode::StepOrder);
        company.step("G01", order, did("progress-verified").value("progress", "六成"));
        company.step("G01", order, did("complete"));
        company.online();
        company.step("C01", order, dispatched());
        company.online();
        if tracked {
            company.step("G01", order, did("freight-tracked").value("progress", "已到徐州"));
        }
        assert_eq!(company.refused_step("G01", order, did("delivered")), RefusalCode::SignatureMissing);
        company.step("G01", order, did("delivered").signed("何女士"));
        company.all_agree();
        let found: Vec<_> =
            company.findings(order).into_iter().filter(|f| f.rule == *"freight-not-tracked").collect();
        assert_eq!(found.is_empty(), tracked);
        assert!(found.iter().all(|f| f.verdict == Breach && f.clause.contains("S7 第七条 2")));
    }
}

#[test]
fn article_8_2_a_complaint_is_investigated_then_proposed_then_told_to_the_customer() {
    let mut company = company();
    let wish = Opening { urgency: Some("urgent"), channel: Some("phone"), ..Opening::default() };
    let complaint = company.open("G01", "complaint", "T1", wish);
    let line = [
        ("G01", did("recorded")),
        ("G01", did("investigated").value("cause", "delivery")),
        ("G01", did("proposed").value("plan", "补发一件")),
        ("G01", did("answered")),
    ];
    company.in_order(complaint, &line);
    let again = did("investigated").value("cause", "quality");
    assert_eq!(company.refused_step("G01", complaint, again), RefusalCode::StepRepeated);
    company.step("G01", complaint, did("surveyed").value("csat", "4"));
    company.all_agree();
    let state = company.state(complaint);
    let steps: Vec<&str> = state.steps.iter().map(|s| s.what.step.as_str()).collect();
    assert_eq!(steps, ["recorded", "investigated", "proposed", "answered", "surveyed"]);
    assert_eq!(
        state.last("investigated").unwrap().what.values[&name("cause")],
        "delivery",
        "what was found stays"
    );
    assert!(company.found(complaint, "ticket-deadline").is_empty());
}
