//! S11 公司售后规范管理制度: diagnosed and classified, parts that are counted, free of charge for defects.

use gendan_tests::scenario::{Company, Opening, did, name};
use sync_core::command::Command;
use sync_core::fold::clash::ClashKind;
use sync_core::ids::{DocId, DocKind};
use sync_core::money::{Currency, Money};
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

fn company() -> Company {
    let mut company = Company::under("service-centre");
    company.people(&[
        ("K01", "service-desk", None),
        ("E01", "engineer", None),
        ("E02", "engineer", None),
        ("W01", "warehouse", None),
        ("U01", "supervisor", None),
        ("C01", "finance", None),
    ]);
    company
}

fn service(company: &mut Company, number: &str, engineer: &str) -> DocId {
    classified(company, number, engineer, "product-defect")
}

fn classified(company: &mut Company, number: &str, engineer: &str, cause: &str) -> DocId {
    let fields = &[("customer", "何女士"), ("phone", "13800000000"), ("fault", "不制冷")];
    let wish = Opening { urgency: Some("normal"), channel: Some("phone"), fields, ..Opening::default() };
    let doc = company.open("K01", "service", number, wish);
    company.step("K01", doc, did("received"));
    company.step("K01", doc, did("classified").value("class", "维修").value("cause", cause));
    company.step("K01", doc, did("customer-told").value("plan", "上门更换温控器"));
    company.assign("K01", doc, &[engineer], "2026-11-24", "performed");
    company.online();
    doc
}

fn taken(doc: DocId, stock: DocId) -> Command {
    several(doc, stock, 1)
}
fn several(doc: DocId, stock: DocId, quantity: u32) -> Command {
    Command::Part { doc, sku: "温控器".into(), quantity, consumed: true, stock: Some(stock) }
}

#[test]
fn section_4_a_request_is_classified_performed_followed_up_and_reported_back() {
    let mut company = company();
    let doc = service(&mut company, "F1", "E01");
    company.step("E01", doc, did("performed"));
    company.online();
    assert_eq!(
        company.refused_step("K01", doc, did("reported-back").value("summary", "已修")),
        RefusalCode::StepOrder
    );
    // Who served asks the customer within 16 working hours, two days.
    assert_eq!(company.found(doc, "not-followed-up")[0].0, Due);
    company.at("2026-11-24 17:59");
    assert_eq!(company.found(doc, "not-followed-up")[0].0, Due);
    company.at("2026-11-24 18:01");
    let late = company.finding(doc, "not-followed-up");
    assert_eq!((late.verdict, late.clause.starts_with("S11 四.4")), (Breach, true));
    assert!(company.told("U01", doc).contains(&NoticeKind::Escalation));
    company.step("K01", doc, did("followed-up").value("csat", "5"));
    company.step("K01", doc, did("reported-back").value("summary", "温控器批次不良"));
    company.all_agree();
    let steps: Vec<String> = company.state(doc).steps.iter().map(|s| s.what.step.to_string()).collect();
    let order = ["received", "classified", "customer-told", "performed", "followed-up", "reported-back"];
    assert_eq!(steps, order);
}

#[test]
fn section_4_2_a_request_is_not_performed_before_it_is_classified_and_the_customer_knows() {
    let mut company = company();
    let doc = company.open("K01", "service", "F1", Opening::default());
    company.step("K01", doc, did("received"));
    assert_eq!(company.refused_step("K01", doc, did("performed")), RefusalCode::StepOrder);
    assert_eq!(
        company.refused_step("K01", doc, did("classified").value("class", "维修")),
        RefusalCode::ValueMissing
    );
}

#[test]
fn section_6_2_two_crews_who_take_the_last_part_apart_are_a_clash_that_is_shown_and_settled() {
    let mut company = company();
    company.perform("W01", Command::OpenStock("总仓".into(), None));
    let stock = company.doc(DocKind::Stock, "总仓");
    company.perform("W01", Command::CountIn(stock, "温控器".into(), 1, None));
    let (one, other) = (service(&mut company, "F1", "E01"), service(&mut company, "F2", "E02"));
    assert_eq!(company.state(stock).stocked("温控器"), 1);
    assert_eq!(
        company.refused("E01", Command::CountIn(stock, "温控器".into(), 5, None)),
        RefusalCode::RoleMissing
    );
    // Both are in a stairwell, and each takes the last one.
    company.perform("E01", taken(one, stock));
    company.perform("E02", taken(other, stock));
    assert_eq!(
        company.refused("E01", taken(one, stock)),
        RefusalCode::StockShort,
        "there is none as they know"
    );
    company.online();
    let state = company.state(stock);
    assert_eq!(state.stocked("温控器"), -1);
    let [clash] = &state.clashes[..] else { panic!("one clash, not {:?}", state.clashes) };
    assert_eq!(clash.kind, ClashKind::StockShort("温控器".into()));
    assert_eq!(company.told("U01", stock), [NoticeKind::Clash]);
    assert_eq!(company.told("E01", stock), [], "who may not settle it is not asked");
    // Nothing is lost: both tickets keep their part, and the supervisor says which of them had it.
    assert!([one, other].iter().all(|doc| company.state(*doc).parts.len() == 1));
    let (left, right) = (clash.left, clash.right);
    let settle = Command::Settle { doc: stock, left, right, keep: left, reason: "第二件是旧件".into() };
    assert_eq!(company.refused("E02", settle.clone()), RefusalCode::RoleMissing);
    company.perform("U01", settle);
    company.all_agree();
    assert_eq!(company.state(stock).stocked("温控器"), 0);
    assert_eq!(company.told("U01", stock), []);
}

#[test]
fn section_6_2_what_was_counted_in_meanwhile_was_there_to_be_taken() {
    let mut company = company();
    company.perform("W01", Command::OpenStock("总仓".into(), None));
    let stock = company.doc(DocKind::Stock, "总仓");
    company.perform("W01", Command::CountIn(stock, "温控器".into(), 1, None));
    let (one, other) = (service(&mut company, "F1", "E01"), service(&mut company, "F2", "E02"));
    company.perform("E01", taken(one, stock));
    company.perform("E02", taken(other, stock));
    company.perform("W01", Command::CountIn(stock, "温控器".into(), 3, None));
    company.all_agree();
    let state = company.state(stock);
    assert_eq!((state.stocked("温控器"), state.clashes.len()), (2, 0));
}

/// Two parts, of which E01 took two and E02 one, apart; it is settled that E01 took none.
fn settled() -> (Company, DocId, DocId) {
    let mut company = company();
    company.perform("W01", Command::OpenStock("总仓".into(), None));
    let stock = company.doc(DocKind::Stock, "总仓");
    company.perform("W01", Command::CountIn(stock, "温控器".into(), 2, None));
    let (one, other) = (service(&mut company, "F1", "E01"), service(&mut company, "F2", "E02"));
    company.perform("E01", several(one, stock, 2));
    company.perform("E02", taken(other, stock));
    let all = ["E01", "E02", "U01"];
    company.sync(&all);
    let state = company.state(stock);
    let [clash] = &state.clashes[..] else { panic!("one clash, not {:?}", state.clashes) };
    let keep = state.moves.iter().find(|m| m.what.by == -1).unwrap().said.fact;
    let (left, right) = (clash.left, clash.right);
    company.perform("U01", Command::Settle { doc: stock, left, right, keep, reason: "未取走".into() });
    company.sync(&all);
    assert_eq!(company.state(stock).stocked("温控器"), 1);
    (company, stock, one)
}

#[test]
fn section_6_2_who_had_a_part_stands_as_it_was_settled_when_an_older_count_comes_in() {
    let (mut company, stock, doc) = settled();
    company.perform("E01", taken(doc, stock));
    // The warehouse has been offline since before the takings.
    company.perform("W01", Command::CountIn(stock, "温控器".into(), 1, None));
    company.all_agree();
    let state = company.state(stock);
    assert_eq!(state.stocked("温控器"), 1);
    assert!(state.clashes.iter().all(|clash| clash.settled.is_some()), "{:?}", state.clashes);
    assert_eq!(state.clashes.len(), 1);
}

#[test]
fn section_6_2_what_is_left_after_a_shortage_was_settled_is_no_shortage_when_two_take_it() {
    let (mut company, stock, doc) = settled();
    company.perform("W01", Command::CountIn(stock, "温控器".into(), 1, None));
    company.online();
    assert_eq!(company.state(stock).stocked("温控器"), 2);
    company.perform("E01", taken(doc, stock));
    let other = company.ticket("F2");
    company.perform("E02", taken(other, stock));
    company.all_agree();
    let state = company.state(stock);
    assert_eq!((state.stocked("温控器"), state.clashes.len()), (0, 1));
}

#[test]
fn section_6_2_a_stock_below_zero_is_a_clash_also_where_a_settlement_was_turned_round() {
    let (mut company, stock, doc) = settled();
    let clash = company.state(stock).clashes[0].clone();
    let keep = company.state(stock).moves.iter().find(|m| m.what.by == -2).unwrap().said.fact;
    let (left, right) = (clash.left, clash.right);
    company.perform("U01", Command::Settle { doc: stock, left, right, keep, reason: "已取走".into() });
    company.perform("E01", taken(doc, stock));
    company.all_agree();
    let state = company.state(stock);
    assert_eq!(state.stocked("温控器"), -1);
    assert!(state.clashes.iter().any(|clash| clash.settled.is_none()), "{:?}", state.clashes);
}

#[test]
fn section_6_3_a_defect_is_mended_free_of_charge_with_its_cause_named() {
    let mut company = company();
    let doc = classified(&mut company, "F1", "E01", "wear");
    assert_eq!(company.refused_step("E01", doc, did("free-of-charge")), RefusalCode::ValueMissing);
    let misuse = did("free-of-charge").value("cause", "misuse");
    assert_eq!(company.refused_step("E01", doc, misuse), RefusalCode::ValueInvalid);
    company.step("E01", doc, did("free-of-charge").value("cause", "product-defect"));
    company.all_agree();
    assert!(company.state(doc).did("free-of-charge"));
    let paid = |amount| Command::Pay(doc, Money::new(amount, Currency::CNY), "cash".into(), vec![]);
    assert_eq!(company.refused("C01", paid(8_000)), RefusalCode::FreeOfCharge);
    // Where the cause is known from the beginning, nobody has to say it twice.
    let known = service(&mut company, "F2", "E01");
    let paid = Command::Pay(known, Money::new(8_000, Currency::CNY), "cash".into(), vec![]);
    assert_eq!(company.refused("C01", paid), RefusalCode::FreeOfCharge);
}

#[test]
fn section_6_3_what_was_paid_before_the_defect_was_known_is_held_until_the_office_decides() {
    let mut company = company();
    let doc = classified(&mut company, "F1", "E01", "wear");
    company.step("E01", doc, did("free-of-charge").value("cause", "product-defect"));
    company.perform("C01", Command::Pay(doc, Money::new(8_000, Currency::CNY), "cash".into(), vec![]));
    company.sync(&["E01", "C01"]);
    let money = doc.facet(DocKind::TicketMoney);
    assert_eq!(company.held(money), [RefusalCode::FreeOfCharge]);
    company.release(money);
    company.all_agree();
    company.perform("C01", Command::Pay(doc, Money::new(-8_000, Currency::CNY), "cash".into(), vec![]));
    company.all_agree();
    assert!(company.held(money).is_empty());
    let paid: i64 = company.state(money).payments.iter().map(|payment| payment.what.amount.minor).sum();
    assert_eq!(paid, 0, "it was known, and is given back");
}

#[test]
fn section_8_the_policy_is_due_for_review_every_year() {
    let company = company();
    let in_force = company.moment("2026-11-23 00:00");
    let due = sync_core::policy::review::review_due_ms(&company.policy, in_force);
    assert_eq!(due, company.moment("2027-11-23 00:00"));
    assert!(company.policy.flows.contains_key(&name("problem-list")), "complaints are analysed for it");
}

#[test]
fn section_7_every_complaint_is_investigated_to_a_cause_that_figures_can_count() {
    let mut company = company();
    let doc = company.open("K01", "complaint", "T1", Opening::default());
    company.step("K01", doc, did("recorded"));
    let cause = |cause| did("investigated").value("cause", cause);
    assert_eq!(company.refused_step("K01", doc, did("investigated")), RefusalCode::ValueMissing);
    assert_eq!(company.refused_step("K01", doc, cause("说不清")), RefusalCode::ValueInvalid);
    company.step("K01", doc, cause("wear"));
    assert_eq!(company.refused_step("K01", doc, did("answered")), RefusalCode::StepOrder, "积极解决在先");
    company.step("K01", doc, did("proposed").value("plan", "换密封条"));
    company.step("K01", doc, did("solved"));
    company.step("K01", doc, did("answered"));
    company.all_agree();
    assert_eq!(company.state(doc).last("investigated").unwrap().what.values[&name("cause")], "wear");
}
