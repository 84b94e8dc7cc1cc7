//! S16 跟单岗位职责: an execution plan for each order, progress reported upward, archive and order database kept
//! whole, invoices and payments with finance, and what the work is measured by.

use std::collections::BTreeSet;

use gendan_tests::scenario::{Company, Did, Opening, POINTS, did, name};
use sync_core::command::Command;
use sync_core::fact::kinds::Outcome;
use sync_core::ids::{DocId, DocKind};
use sync_core::money::{Currency, Money};
use sync_core::policy::judge::Verdict::Breach;
use sync_core::policy::model::MeasureForm;
use sync_core::refusal::RefusalCode;

/// A company with a merchandising post and the departments it works with.
fn company() -> Company {
    let mut company = Company::under("general");
    company.people(&[
        ("D01", "sales", Some("一部")),
        ("G01", "merchandiser", None),
        ("G02", "merchandiser", None),
        ("U01", "supervisor", None),
        ("P01", "planner", None),
        ("C01", "warehouse", None),
        ("F01", "finance", None),
    ]);
    company
}

fn planned() -> Did {
    did("planned").value("plan", "12月1日至15日")
}

/// An order that is placed, and waits for its plan.
fn placed(company: &mut Company, number: &str) -> DocId {
    placed_of(company, number, &[("机柜", None)])
}

fn placed_of(company: &mut Company, number: &str, items: &[(&str, Option<&str>)]) -> DocId {
    let order = company.open_order("D01", number, Some("一部"), "2026-12-10", items);
    company.step("D01", order, did("handed-in"));
    company.online();
    company.step("G01", order, did("reviewed").checked(&POINTS));
    company.step("G01", order, did("placed"));
    company.online();
    order
}

/// An order that is on its way to the customer.
fn dispatched(company: &mut Company, number: &str) -> DocId {
    let order = placed(company, number);
    sent(company, order)
}

fn sent(company: &mut Company, order: DocId) -> DocId {
    company.step("G01", order, planned());
    company.step("G01", order, did("progress-verified").value("progress", "完成"));
    company.step("G01", order, did("complete"));
    company.step("G01", order, did("dispatched").value("ledger", "第3行"));
    company.online();
    order
}

fn yuan(text: &str) -> Money {
    Money::parse(text, Currency::CNY).unwrap()
}

#[test]
fn article_3_3_no_order_is_executed_without_its_plan() {
    let mut company = company();
    let order = placed(&mut company, "A1");
    for step in ["progress-verified", "progress-reported", "complete", "outsourcing-planned"] {
        assert_eq!(company.refused_step("G01", order, did(step)), RefusalCode::StepOrder, "{step}");
    }
    assert_eq!(company.refused_step("P01", order, did("planned")), RefusalCode::ValueMissing);
    assert_eq!(company.refused_step("D01", order, planned()), RefusalCode::RoleMissing);
    company.step("P01", order, planned());
    company.all_agree();
    let (_, seen) = company.world.sites["G01"].device.state(order).unwrap();
    assert_eq!(seen.last("planned").unwrap().what.values[&name("plan")], "12月1日至15日");
}

#[test]
fn article_3_5_progress_is_reported_upward_and_stands_there_in_its_own_time() {
    let mut company = company();
    let order = placed(&mut company, "A1");
    company.step("G01", order, planned());
    assert_eq!(company.refused_step("G01", order, did("progress-reported")), RefusalCode::ValueMissing);
    assert_eq!(
        company.refused_step("U01", order, planned()),
        RefusalCode::RoleMissing,
        "a report is the post's own"
    );
    // Reported offline at the factory, read by the superior the next day.
    company.at("2026-11-25 15:00");
    company.step("G01", order, did("progress-reported").value("progress", "开料完成"));
    company.at("2026-11-26 09:00");
    company.online();
    let (_, seen) = company.world.sites["U01"].device.state(order).unwrap();
    let report = seen.last("progress-reported").unwrap();
    assert_eq!(report.said.by, company.person("G01"));
    assert_eq!(report.said.at.best().0 / 60_000 * 60_000, company.moment("2026-11-25 15:00"));
    company.all_agree();
}

#[test]
fn article_3_6_an_order_number_is_one_order_also_when_two_take_it_in_apart() {
    let mut company = company();
    let items = [("机柜", None)];
    company.open_order("G01", "A7", Some("一部"), "2026-12-10", &items);
    let order = company.open_order("G02", "A7", Some("一部"), "2026-12-10", &items);
    company.all_agree();
    for who in ["G01", "G02", "U01"] {
        let rows = company.world.sites[who].device.rows(DocKind::Order).unwrap();
        assert_eq!(rows.iter().filter(|row| row.number == "A7").count(), 1, "{who}");
    }
    let again = Command::OpenOrder {
        number: "A7".into(),
        store: Some(company.store("一部")),
        fields: Default::default(),
        items: Vec::new(),
        taken_ms: None,
        channel: None,
    };
    assert_eq!(company.refused("D01", again), RefusalCode::AlreadyExists);
    assert!(company.state(order).opened.is_some());
}

#[test]
fn article_3_6_an_order_is_archived_once_it_is_settled_and_stays_as_it_is() {
    let mut company = company();
    let order = dispatched(&mut company, "A1");
    let line =
        [("G01", did("delivered").signed("何女士")), ("F01", did("settled")), ("G01", did("archived"))];
    company.in_order(order, &line);
    // Nobody writes into the archive: an edit is visible as proposed and changes nothing that is in force.
    company.edit("G02", order, "delivery_date", "2027-06-01");
    company.online();
    assert_eq!(company.in_force(order, "delivery_date").as_deref(), Some("2026-12-10"));
    assert_eq!(company.refused_step("G02", order, did("progress-told")), RefusalCode::Closed);
    assert_eq!(
        company.refused("U01", Command::Cancel(order, "重开".into(), Vec::new())),
        RefusalCode::Closed
    );
    company.all_agree();
    let facts = company.world.sites["G02"].device.verify(order).unwrap();
    assert_eq!(facts, company.state(order).log.len(), "every signature of it holds");
}

#[test]
fn article_3_7_invoices_and_payments_are_finances_and_the_post_follows_them() {
    let mut company = company();
    let order = dispatched(&mut company, "A1");
    let invoice = did("invoiced").documents(&["invoice"]);
    assert_eq!(company.refused_step("G01", order, invoice.clone()), RefusalCode::RoleMissing);
    assert_eq!(company.refused_step("F01", order, did("invoiced")), RefusalCode::EvidenceMissing);
    assert_eq!(
        company.refused_step("F01", order, did("invoiced").documents(&["contract"])),
        RefusalCode::EvidenceMissing
    );
    let paid = |amount: &str| Command::Pay(order, yuan(amount), "转账".into(), Vec::new());
    assert_eq!(company.refused("G01", paid("100")), RefusalCode::RoleMissing);
    company.step("G01", order, did("payment-followed").value("progress", "客户承诺周五付款"));
    company.step("F01", order, invoice);
    company.perform("F01", paid("1000.50"));
    company.perform("F01", paid("807.50"));
    company.all_agree();
    let money = order.facet(DocKind::OrderMoney);
    let (_, seen) = company.world.sites["G01"].device.state(money).unwrap();
    let sum: Vec<_> = seen.payments.iter().map(|p| p.what.amount).collect();
    assert_eq!(sum, [yuan("1000.50"), yuan("807.50")], "the post that follows payment sees what came");
    assert!(company.world.sites["C01"].device.state(money).is_err(), "the warehouse does not");
}

#[test]
fn articles_3_2_and_3_4_departments_answer_the_post_and_the_post_answers_the_customer() {
    let mut company = company();
    company.at("2026-11-23 08:30");
    let [answered, ignored] =
        ["Q1", "Q2"].map(|number| company.open("G01", "request", number, Opening::default()));
    let raised = || did("raised").value("department", "生产").value("request", "提前两天");
    for request in [answered, ignored] {
        company.step("G01", request, raised());
    }
    assert_eq!(
        company.refused_step("G01", answered, did("answered").value("answer", "好")),
        RefusalCode::RoleMissing
    );
    company.online();
    assert_eq!(company.refused_step("P01", answered, did("answered")), RefusalCode::ValueMissing);
    company.step("P01", answered, did("answered").value("answer", "可提前一天"));
    // Sixteen working hours: until Tuesday 18:00.
    company.at("2026-11-24 18:01");
    company.all_agree();
    assert!(company.found(answered, "request-not-answered").is_empty());
    let found = company.finding(ignored, "request-not-answered");
    assert_eq!((found.verdict, found.escalate_to), (Breach, Some(name("management"))));
    let wish = Opening { store: Some("一部"), urgency: Some("urgent"), ..Opening::default() };
    let question = company.open("G01", "consultation", "T1", wish);
    company.in_order(question, &[("G01", did("recorded")), ("G01", did("answered"))]);
    assert!(company.found(question, "ticket-deadline").is_empty());
}

#[test]
fn article_5_1_delivery_on_time_is_told_by_the_day_and_graded_by_the_days_late() {
    let mut company = company();
    let days = [
        ("A1", "2026-12-10 23:59:59", None),
        ("A2", "2026-12-11 00:00:00", Some((Some("50.00 CNY"), None, 1))),
        ("A3", "2026-12-13 23:59:59", Some((Some("50.00 CNY"), None, 3))),
        ("A4", "2026-12-14 00:00:00", Some((Some("100.00 CNY"), None, 4))),
        ("A5", "2026-12-18 00:00:00", Some((None, Some("demotion"), 8))),
    ];
    for (number, ..) in days {
        dispatched(&mut company, number);
    }
    company.at("2026-12-06 09:00");
    company.online();
    for (number, at, _) in days {
        company.next_at(at);
        company.step("G01", company.order(number), did("delivered").signed("何女士"));
    }
    company.all_agree();
    for (number, at, expected) in days {
        let order = company.order(number);
        let Some((amount, penalty, late)) = expected else {
            assert!(company.found(order, "late-delivery").is_empty(), "{at}");
            continue;
        };
        let found = company.finding(order, "late-delivery");
        assert_eq!(found.amount.map(|a| a.to_string()).as_deref(), amount, "{at}");
        assert_eq!((found.penalty, found.days_late), (penalty.map(name), Some(late)), "{at}");
    }
}

#[test]
fn article_5_1_an_order_is_delivered_with_its_last_part() {
    let mut company = company();
    let order = placed_of(&mut company, "A1", &[("机柜", None), ("椅子", None)]);
    sent(&mut company, order);
    let part = |company: &Company, place| {
        did("delivered").ended(Outcome::Partial).items(&[company.item(order, place)]).signed("何女士")
    };
    company.at("2026-12-10 09:00");
    company.online();
    let first = part(&company, 0);
    company.step("G01", order, first);
    company.online();
    company.at("2026-12-12 09:00");
    let found = company.finding(order, "late-delivery");
    assert_eq!(
        (found.verdict, found.days_late),
        (Breach, Some(2)),
        "a part in time is not the order in time"
    );
    company.sync(&["G01"]);
    let last = part(&company, 1);
    company.step("G01", order, last);
    company.online();
    company.at("2026-12-20 09:00");
    assert_eq!(company.finding(order, "late-delivery").days_late, Some(2), "the days end with the last part");
    company.all_agree();
}

#[test]
fn article_5_the_post_is_measured_by_what_the_section_names() {
    let company = Company::under("general");
    let of = |clause: &str| -> BTreeSet<MeasureForm> {
        let measures = company.policy.measures.values().filter(|m| m.clause.contains(clause));
        measures.map(|m| m.form).collect()
    };
    use MeasureForm::{Completed, CompletionRate, OnTimeRate, Rated, Satisfaction, SolutionHours};
    assert_eq!(of("S16 5.1"), BTreeSet::from([Completed, CompletionRate, OnTimeRate]));
    assert_eq!(of("S16 5.2"), BTreeSet::from([Satisfaction, SolutionHours]));
    assert_eq!(of("S16 5.3"), BTreeSet::from([Rated]));
}

#[test]
fn article_5_3_communication_is_rated_by_the_superior_and_seen_by_whom_it_is_about() {
    let mut company = company();
    company.people(&[("B01", "hr", None)]);
    let about = Opening { about: Some("G01"), ..Opening::default() };
    let appraisal = company.open("U01", "appraisal", "K1", about);
    let rated = || did("rated").value("work-quality", "5").value("teamwork", "4").value("ethics", "5");
    assert_eq!(company.refused_step("U01", appraisal, rated()), RefusalCode::ValueMissing, "沟通与协调能力");
    company.online();
    let own = rated().value("communication", "5");
    assert_eq!(
        company.refused_step("G01", appraisal, own),
        RefusalCode::RoleMissing,
        "nobody rates themselves"
    );
    company.step("U01", appraisal, rated().value("communication", "3"));
    company.online();
    company.step("B01", appraisal, did("filed"));
    company.all_agree();
    let (_, seen) = company.world.sites["G01"].device.state(appraisal).unwrap();
    assert_eq!(seen.last("rated").unwrap().what.values[&name("communication")], "3");
}
