//! S8 销售部跟单规章制度: confirmed at intake, tracked, customer visits, nobody acts beyond their authority.

use gendan_tests::scenario::{Company, Opening, POINTS, did};
use sync_core::command::Command;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

fn company() -> Company {
    let mut company = Company::under("general");
    company.people(&[
        ("S01", "sales", Some("一部")),
        ("S02", "sales", Some("二部")),
        ("G01", "merchandiser", None),
        ("U01", "supervisor", None),
        ("D01", "sales-director", None),
        ("P01", "planner", None),
        ("C01", "warehouse", None),
    ]);
    company
}

#[test]
fn chapter_3_1_content_quantity_and_delivery_time_are_confirmed_and_recorded() {
    let mut company = company();
    let order = company.open_order("S01", "A1", Some("一部"), "2027-01-20", &[("机柜", None)]);
    company.step("S01", order, did("handed-in"));
    company.online();
    let without = |point: &str| POINTS.into_iter().filter(|p| *p != point).collect::<Vec<_>>();
    for point in ["quantity", "delivery-date"] {
        let refused = company.refused_step("G01", order, did("reviewed").checked(&without(point)));
        assert_eq!(refused, RefusalCode::CheckFailed, "{point}");
    }
    assert!(company.state(order).in_force.is_none());
    company.step("G01", order, did("reviewed").checked(&POINTS));
    company.all_agree();
    assert_eq!(company.in_force(order, "delivery_date").as_deref(), Some("2027-01-20"));
}

#[test]
fn chapter_2_4_customers_are_visited_every_thirty_days_and_their_wishes_fed_back() {
    let mut company = company();
    company.at("2026-11-24 09:00");
    let visits = company.open("S01", "visit", "V1", Opening { store: Some("一部"), ..Opening::default() });
    company.online();
    company.at("2026-12-24 23:59");
    assert_eq!(company.found(visits, "customer-visit-due")[0].0, Due);
    company.at("2026-12-25 00:00");
    let due = company.finding(visits, "customer-visit-due");
    assert_eq!((due.verdict, due.clause.starts_with("S8 第二章 4")), (Breach, true));
    company.sync(&["S01"]);
    assert_eq!(company.refused_step("S01", visits, did("visited")), RefusalCode::ValueMissing);
    company.step("S01", visits, did("visited").value("feedback", "希望交期更短"));
    company.step("S01", visits, did("fed-back").value("feedback", "希望交期更短"));
    company.all_agree();
    assert!(company.holds("U01", visits) && !company.holds("S02", visits));
}

#[test]
fn chapter_4_2_and_4_3_who_is_not_concerned_sees_nothing_and_nobody_goes_beyond_their_authority() {
    let mut company = company();
    let order = company.open_order("S01", "A1", Some("一部"), "2027-01-20", &[("机柜", None)]);
    company.step("S01", order, did("handed-in"));
    company.online();
    assert!(company.holds("S01", order) && !company.holds("S02", order));
    assert_eq!(
        company.refused("S01", Command::Cancel(order, "客户不要了".into(), vec![])),
        RefusalCode::RoleMissing
    );
    let reviewed = did("reviewed").checked(&POINTS);
    assert_eq!(company.refused_step("S01", order, reviewed), RefusalCode::RoleMissing);
    company.all_agree();
    assert!(!company.state(order).is_cancelled() && company.state(order).in_force.is_none());
}

#[test]
fn chapters_2_1_and_3_2_and_3_3_production_hears_of_it_the_manager_how_it_goes_and_sales_follow_it_home() {
    let mut company = company();
    let order = company.open_order("S01", "A1", Some("一部"), "2027-01-20", &[("机柜", None)]);
    company.step("S01", order, did("handed-in"));
    company.online();
    let plan = || did("planned").value("plan", "12月1日开工");
    assert_eq!(company.refused_step("P01", order, plan()), RefusalCode::StepOrder, "nobody told production");
    company.step("G01", order, did("reviewed").checked(&POINTS));
    company.step("G01", order, did("placed"));
    company.online();
    company.step("P01", order, plan());
    company.online();
    assert_eq!(company.refused_step("G01", order, did("progress-reported")), RefusalCode::ValueMissing);
    company.step("G01", order, did("progress-verified").value("progress", "完成"));
    company.step("G01", order, did("progress-reported").value("progress", "按期"));
    company.step("G01", order, did("complete"));
    company.online();
    let (_, seen) = company.world.sites["D01"].device.state(order).unwrap();
    assert!(seen.did("progress-reported"), "the manager has it at hand");
    let tracked = || did("freight-tracked").value("progress", "已装车");
    assert_eq!(company.refused_step("S01", order, tracked()), RefusalCode::StepOrder);
    company.step("C01", order, did("dispatched").value("ledger", "第9行"));
    company.online();
    // At the customer's there is no connection.
    company.step("S01", order, tracked());
    company.step("S01", order, did("delivered").signed("何女士"));
    assert!(!company.state(order).did("delivered"));
    company.all_agree();
    assert!(company.state(order).did("delivered") && company.found(order, "freight-not-tracked").is_empty());
    assert!(company.found(order, "late-delivery").is_empty());
}
