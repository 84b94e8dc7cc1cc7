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
    assert_eq!(company.found(visits, "customer-visit-due")[0].0, Breach);
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
