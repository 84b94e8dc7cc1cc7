//! S9 销售及售后规章制度: needs, presentation, quotation, contract, order; targets and the weekly report.

use gendan_tests::scenario::{Company, Opening, did, name};
use sync_core::command::Command;
use sync_core::ids::DocId;
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::policy::model::MeasureForm;
use sync_core::refusal::RefusalCode;

fn company() -> Company {
    let mut company = Company::under("general");
    company.people(&[
        ("S01", "sales", Some("一部")),
        ("S02", "sales", Some("二部")),
        ("D01", "sales-director", None),
        ("G01", "merchandiser", None),
        ("L01", "management", None),
        ("K01", "service-desk", None),
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
    let early = Command::BecomeOrder(chance, "A1".into());
    assert_eq!(company.refused("S01", early), RefusalCode::StepOrder, "no contract yet");
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
    company.online();
    assert!(!company.holds("S01", target));
    company.step("D01", target, did("published"));
    company.online();
    assert!(company.holds("S01", target) && company.holds("S02", target), "全体销售人员均知悉");
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
    company.at("2026-12-01 23:59");
    assert_eq!(company.found(report, "weekly-report-due")[0].0, Due);
    company.at("2026-12-02 00:00");
    let late = company.finding(report, "weekly-report-due");
    assert_eq!((late.verdict, late.clause.starts_with("S9 1.6 (1)")), (Breach, true));
    company.sync(&["S01"]);
    let short = did("reported").value("amount", "86000").value("feedback", "嫌交期长");
    assert_eq!(company.refused_step("S01", report, short), RefusalCode::ValueMissing, "the market too");
    let whole =
        did("reported").value("amount", "86000").value("feedback", "嫌交期长").value("market", "对手降价");
    company.step("S01", report, whole);
    company.all_agree();
    assert!(company.holds("D01", report) && !company.holds("S02", report));
    // The first week came late. The second is owed by itself, told before it is, and found when it is not there.
    company.at("2026-12-08 09:00");
    let weeks = |company: &Company| {
        company.found(report, "weekly-report-due").iter().map(|f| f.0).collect::<Vec<_>>()
    };
    assert_eq!(weeks(&company), [Breach, Due]);
    company.sync(&["S01"]);
    assert_eq!(company.told("S01", report), [NoticeKind::Reminder]);
    company.at("2026-12-09 00:00");
    assert_eq!(weeks(&company), [Breach, Breach]);
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

#[test]
fn section_2_2_by_hotline_or_chat_every_problem_and_its_solution_come_into_the_customers_file() {
    let mut company = company();
    let fields = [("name", "何女士"), ("phone", "13800000000")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let store = Some(company.store("一部"));
    company.perform("S01", Command::OpenCustomer { number: "K1".into(), store, fields: fields.into() });
    company.online();
    let file = company.doc(sync_core::ids::DocKind::Customer, "K1").to_string();
    let fields = &[("customer", "何女士"), ("customer_file", file.as_str())];
    let mut solved = Vec::new();
    for (number, channel, solution) in [("T1", "hotline", "更换铰链"), ("T2", "chat", "远程指导")] {
        let wish = Opening { store: Some("一部"), channel: Some(channel), fields, ..Opening::default() };
        let ticket = company.open("K01", "service", number, wish);
        company.online();
        let line = [
            ("K01", did("recorded")),
            ("K01", did("diagnosed").value("cause", "quality")),
            ("K01", did("solved").value("solution", solution)),
            ("K01", did("answered")),
            ("K01", did("surveyed").value("csat", "5")),
        ];
        company.in_order(ticket, &line);
        solved.push((ticket, channel, solution));
    }
    company.all_agree();
    // Who sold it has the whole history at hand, offline; another store has none of it.
    for (ticket, channel, solution) in solved {
        let (found, state) = company.world.sites["S01"].device.state(ticket).unwrap();
        let fields = state.content(&found, sync_core::domain::fields::Map::Fields);
        assert_eq!(fields["customer_file"].to_string(), file);
        assert_eq!(state.opened.as_ref().unwrap().what.channel.as_deref(), Some(channel));
        assert_eq!(state.last("solved").unwrap().what.values[&name("solution")], solution);
        assert!(!company.holds("S02", ticket));
    }
}

#[test]
fn section_1_4_sales_are_assessed_by_amount_service_and_contracts_and_what_is_lost_says_why() {
    let mut company = company();
    let measures = company.policy.measures.values().filter(|m| m.clause.contains("S9 1.4 (1)"));
    let mut forms: Vec<MeasureForm> = measures.map(|m| m.form).collect();
    forms.sort();
    assert_eq!(forms, [MeasureForm::Satisfaction, MeasureForm::SalesAmount, MeasureForm::ContractRate]);
    let chance = opportunity(&mut company);
    company.step("S01", chance, did("needs").value("needs", "全屋定制"));
    assert_eq!(company.refused_step("S01", chance, did("lost")), RefusalCode::ValueMissing);
    company.step("S01", chance, did("lost").value("reason", "价格"));
    assert_eq!(company.refused_step("S01", chance, did("presented")), RefusalCode::Closed);
    company.all_agree();
    assert!(company.holds("D01", chance) && !company.holds("S02", chance));
}
