//! S9 销售及售后规章制度: needs, presentation, quotation, contract, order; targets and the weekly report.

use gendan_tests::scenario::{Company, Opening, did, name};
use sync_core::command::Command;
use sync_core::ids::DocId;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

fn company() -> Company {
    let mut company = Company::under("general");
    company.people(&[
        ("S01", "sales", Some("一部")),
        ("S02", "sales", Some("二部")),
        ("D01", "sales-director", None),
        ("G01", "merchandiser", None),
        ("L01", "management", None),
    ]);
    company
}

fn opportunity(company: &mut Company) -> DocId {
    let fields = &[("customer", "何女士"), ("phone", "13800000000"), ("delivery_date", "2027-01-20")];
    let wish = Opening { store: Some("一部"), fields, ..Opening::default() };
    company.open("S01", "opportunity", "J1", wish)
}

#[test]
fn section_1_2_needs_presentation_quotation_and_contract_come_in_this_order() {
    let mut company = company();
    let chance = opportunity(&mut company);
    for early in ["presented", "quoted"] {
        assert_eq!(company.refused_step("S01", chance, did(early)), RefusalCode::StepOrder, "{early}");
    }
    company.step("S01", chance, did("needs").value("needs", "全屋定制"));
    company.step("S01", chance, did("presented"));
    let contract = || did("contract").documents(&["contract"]);
    assert_eq!(company.refused_step("S01", chance, contract()), RefusalCode::StepOrder);
    company.step("S01", chance, did("quoted"));
    assert_eq!(company.refused_step("S01", chance, did("contract")), RefusalCode::EvidenceMissing);
    company.step("S01", chance, contract());
    company.all_agree();
    assert!(company.state(chance).is_closed(company.policy.flows.get(&name("opportunity"))));
}

#[test]
fn section_1_2_what_was_agreed_becomes_the_order_without_being_typed_again() {
    let mut company = company();
    let chance = opportunity(&mut company);
    company.step("S01", chance, did("needs").value("needs", "全屋定制"));
    company.step("S01", chance, did("presented"));
    company.step("S01", chance, did("quoted"));
    company.edit("S01", chance, "remark", "口头说的,没有报价");
    // In the showroom there is no connection: the contract and the order are made there.
    company.step("S01", chance, did("contract").documents(&["contract"]));
    company.perform("S01", Command::BecomeOrder(chance, "A1".into()));
    company.all_agree();
    let order = company.order("A1");
    assert_eq!(company.state(order).opened.unwrap().what.order, Some(chance), "it says where it came from");
    for (field, value) in
        [("customer", Some("何女士")), ("delivery_date", Some("2027-01-20")), ("remark", None)]
    {
        assert_eq!(company.in_force(order, field).as_deref(), value, "{field}: what was quoted, and no more");
    }
    assert_eq!(company.refused("S01", Command::BecomeOrder(chance, "A1".into())), RefusalCode::AlreadyExists);
    company.step("S01", order, did("handed-in"));
}

#[test]
fn section_1_1_management_sets_the_target_and_sales_plan_for_it() {
    let mut company = company();
    let target = company.open("D01", "target", "M2027", Opening::default());
    let set = || did("set").value("amount", "1200000").value("period", "2027");
    assert_eq!(company.refused_step("D01", target, set()), RefusalCode::RoleMissing);
    company.online();
    company.step("L01", target, set());
    company.online();
    company.step("D01", target, did("planned").value("plan", "每季三十万"));
    company.step("D01", target, did("told"));
    assert_eq!(company.refused_step("D01", target, did("attained")), RefusalCode::ValueMissing);
    company.step("D01", target, did("attained").value("attained", "1250000"));
    company.all_agree();
}

#[test]
fn section_1_6_sales_are_reported_every_week_with_amount_feedback_and_market() {
    let mut company = company();
    company.at("2026-11-24 09:00");
    let report =
        company.open("S01", "weekly-report", "W1", Opening { store: Some("一部"), ..Opening::default() });
    company.online();
    assert_eq!(company.found(report, "weekly-report-due")[0].0, Due);
    company.at("2026-12-02 00:00");
    assert_eq!(company.found(report, "weekly-report-due")[0].0, Breach);
    company.sync(&["S01"]);
    let short = did("reported").value("amount", "86000").value("feedback", "嫌交期长");
    assert_eq!(company.refused_step("S01", report, short), RefusalCode::ValueMissing, "the market too");
    let whole =
        did("reported").value("amount", "86000").value("feedback", "嫌交期长").value("market", "对手降价");
    company.step("S01", report, whole);
    company.all_agree();
    assert!(company.holds("D01", report) && !company.holds("S02", report));
}

#[test]
fn section_2_2_a_customers_file_is_on_no_device_of_another_store() {
    let mut company = company();
    let fields = [("name", "何女士"), ("phone", "13800000000")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let store = Some(company.store("一部"));
    company.perform("S01", Command::OpenCustomer { number: "K1".into(), store, fields: fields.into() });
    company.all_agree();
    let file = company.doc(sync_core::ids::DocKind::Customer, "K1");
    assert!(company.holds("S01", file) && company.holds("G01", file) && !company.holds("S02", file));
}
