//! S2 外贸跟单部的规章制度: filing, production, complete documents, freight, quality, settlement; nobody changes
//! the delivery date or the content on their own.

use gendan_tests::scenario::{Company, Did, Opening, did, name};
use sync_core::command::{Command, Record};
use sync_core::fact::kinds::{Evidence, Outcome};
use sync_core::ids::DocId;
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

/// Two groups, each with its supervisor, under the department's manager.
fn department() -> Company {
    let mut department = Company::under("foreign-trade");
    department.people(&[
        ("X01", "sales", Some("一组")),
        ("G01", "merchandiser", Some("一组")),
        ("U01", "supervisor", Some("一组")),
        ("G02", "merchandiser", Some("二组")),
        ("U02", "supervisor", Some("二组")),
        ("J01", "department-manager", None),
        ("P01", "planner", None),
        ("Q01", "inspector", None),
        ("W01", "warehouse", None),
        ("F01", "finance", None),
        ("L01", "management", None),
    ]);
    department
}

fn filed(department: &mut Company) -> DocId {
    let order = department.open_order("X01", "A1", Some("一组"), "2027-01-20", &[("衬衫", None)]);
    department.step("X01", order, did("handed-in"));
    department.online();
    let filed = did("filed").checked(&["content-correct", "content-complete"]);
    department.step("G01", order, filed);
    department.online();
    order
}

fn papers() -> Did {
    did("documents-complete").documents(&["contract", "packing-list", "invoice"])
}

#[test]
fn chapter_3_an_order_runs_from_filing_to_settlement_in_its_order() {
    let mut department = department();
    let order = filed(&mut department);
    for (who, step) in [("G01", "placed"), ("P01", "in-production"), ("P01", "produced")] {
        department.step(who, order, did(step));
        department.online();
    }
    assert_eq!(
        department.refused_step("G01", order, did("freight-arranged").value("way", "海运")),
        RefusalCode::StepOrder
    );
    department.step("G01", order, papers());
    department.step("G01", order, did("freight-arranged").value("way", "海运"));
    department.online();
    department.step("Q01", order, did("inspected").checked(&["quality"]));
    department.online();
    assert_eq!(
        department.refused_step("W01", order, did("shipped")),
        RefusalCode::StepOrder,
        "no gate pass yet"
    );
    department.step("U01", order, did("gate-pass"));
    department.online();
    department.step("W01", order, did("shipped"));
    department.online();
    department.step("G01", order, did("delivered").text("客户确认收货"));
    department.online();
    department.step("F01", order, did("settled"));
    department.all_agree();
    assert!(department.state(order).is_closed(department.policy.flows.get(&name("order"))));
}

#[test]
fn chapter_3_3_each_of_the_three_documents_must_be_there() {
    let mut department = department();
    let order = filed(&mut department);
    let all = ["contract", "packing-list", "invoice"];
    for missing in all {
        let rest: Vec<&str> = all.into_iter().filter(|name| *name != missing).collect();
        let refused = department.refused_step("G01", order, did("documents-complete").documents(&rest));
        assert_eq!(refused, RefusalCode::EvidenceMissing, "{missing}");
    }
    // A word that says it is there is not the document.
    let said = |document: &str| Evidence { document: Some(name(document)), ..Evidence::text_message("有") };
    let words = Record { evidence: all.map(said).into(), ..Record::done(name("documents-complete")) };
    assert_eq!(department.refused("G01", Command::Step(order, words)), RefusalCode::EvidenceMissing);
    department.step("G01", order, papers());
    department.all_agree();
    assert_eq!(department.state(order).last("documents-complete").unwrap().what.evidence.len(), 3);
}

#[test]
fn chapter_6_2_nobody_changes_the_delivery_date_or_the_content_on_their_own() {
    let mut department = department();
    let order = filed(&mut department);
    // Two people edit it apart, without a connection.
    department.edit("G01", order, "delivery_date", "2027-02-10");
    department.edit("X01", order, "remark", "换面料");
    department.online();
    assert_eq!(department.in_force(order, "delivery_date").as_deref(), Some("2027-01-20"));
    assert_eq!(department.in_force(order, "remark"), None);
    assert_eq!(department.state(order).proposed.len(), 2, "visible, and not in force");
    for who in ["G01", "X01"] {
        assert_eq!(department.refused(who, Command::Approve(order, None)), RefusalCode::RoleMissing);
    }
    department.perform("U01", Command::Approve(order, None));
    department.all_agree();
    assert_eq!(department.in_force(order, "delivery_date").as_deref(), Some("2027-02-10"));
}

#[test]
fn chapters_2_and_6_3_a_group_sees_its_own_orders_only() {
    let mut department = department();
    let order = filed(&mut department);
    for (who, sees) in [("G01", true), ("U01", true), ("J01", true), ("G02", false), ("U02", false)] {
        assert_eq!(department.holds(who, order), sees, "{who}");
    }
}

/// An order on its way, its quality in order; the customer was told of its production, or was not.
fn shipped(department: &mut Company, told: bool) -> DocId {
    let order = filed(department);
    department.steps(order, &[("G01", "placed"), ("G01", "in-production")]);
    if told {
        department.step("G01", order, did("progress-told"));
    }
    department.steps(order, &[("G01", "produced")]);
    department.step("G01", order, papers());
    department.step("G01", order, did("freight-arranged").value("way", "海运"));
    department.step("G01", order, did("inspected").checked(&["quality"]));
    department.online();
    department.steps(order, &[("U01", "gate-pass")]);
    department.online();
    department.steps(order, &[("W01", "shipped")]);
    department.online();
    order
}

#[test]
fn chapters_3_2_and_3_6_the_customer_is_told_of_the_production_and_finance_of_the_payment() {
    for told in [true, false] {
        let mut department = department();
        let order = shipped(&mut department, told);
        department.step("G01", order, did("delivered").text("客户确认收货"));
        if told {
            department.step("G01", order, did("finance-told"));
        }
        department.online();
        assert_eq!(department.refused_step("G01", order, did("settled")), RefusalCode::RoleMissing);
        department.step("F01", order, did("settled"));
        department.all_agree();
        for (rule, clause) in [("progress-not-told", "S2 第三章 2"), ("finance-not-told", "S2 第三章 6")]
        {
            let found: Vec<_> = department.findings(order).into_iter().filter(|f| f.rule == *rule).collect();
            assert_eq!(found.is_empty(), told, "{rule}");
            assert!(found.iter().all(|f| f.verdict == Breach && f.clause.starts_with(clause)), "{rule}");
        }
    }
}

#[test]
fn chapter_3_5_what_fails_its_inspection_gets_no_gate_pass_and_goes_to_the_manager_when_it_stays() {
    let mut department = department();
    department.at("2026-11-24 09:00");
    let order = filed(&mut department);
    department.steps(order, &[("G01", "placed"), ("G01", "in-production"), ("G01", "produced")]);
    department.online();
    assert_eq!(department.refused_step("Q01", order, did("inspected")), RefusalCode::CheckFailed);
    department.step("Q01", order, did("inspected").ended(Outcome::Failed).note("色差"));
    department.next_at("2026-11-24 10:00");
    department.perform("Q01", Command::Report(order, "整批色差".into(), vec![]));
    department.online();
    assert_eq!(department.refused_step("U01", order, did("gate-pass")), RefusalCode::StepOrder);
    // Eight working hours: from ten to ten, without the noon hour.
    department.at("2026-11-25 09:59");
    assert_eq!(department.finding(order, "exception-not-solved").verdict, Due);
    department.at("2026-11-25 10:01");
    let found = department.finding(order, "exception-not-solved");
    assert_eq!((found.verdict, found.escalate_to), (Breach, Some(name("department-manager"))));
    assert!(found.clause.starts_with("S2 第三章 5"), "{}", found.clause);
    assert!(department.told("J01", order).contains(&NoticeKind::Escalation));
    let exception = department.state(order).exceptions[0].0.said.fact;
    department.perform("G01", Command::Resolve(order, exception, "返工重染".into()));
    department.step("Q01", order, did("inspected").checked(&["quality"]));
    department.online();
    department.step("U01", order, did("gate-pass"));
    department.all_agree();
    assert!(department.state(order).done("gate-pass"));
}

#[test]
fn chapter_3_7_a_complaint_runs_to_its_answer_within_its_group_and_in_time() {
    let mut department = department();
    let order = filed(&mut department);
    department.at("2026-11-24 08:30");
    let wish =
        Opening { store: Some("一组"), urgency: Some("urgent"), order: Some(order), ..Opening::default() };
    let [answered, open] = ["T1", "T2"].map(|number| department.open("G01", "complaint", number, wish));
    department.online();
    let line = [
        ("G01", did("recorded")),
        ("G01", did("investigated").value("cause", "documents")),
        ("G01", did("proposed").value("plan", "重开发票")),
        ("G01", did("answered")),
        ("G01", did("surveyed").value("csat", "4")),
    ];
    department.in_order(answered, &line);
    department.at("2026-11-24 17:59");
    let answer =
        |department: &Company| department.findings(open).into_iter().find(|f| f.step == *"answered").unwrap();
    assert_eq!(answer(&department).verdict, Due);
    department.at("2026-11-24 18:01");
    department.all_agree();
    assert!(department.found(answered, "ticket-late").is_empty());
    let late = answer(&department);
    assert_eq!((late.verdict, late.escalate_to), (Breach, Some(name("management"))));
    assert!(late.clause.starts_with("S2 第三章 7"), "{}", late.clause);
    assert!(department.told("L01", open).contains(&NoticeKind::Escalation));
    assert!(department.holds("U01", open) && !department.holds("G02", open));
}

#[test]
fn chapters_5_3_and_5_5_a_late_delivery_and_a_late_payment_are_found_by_their_days() {
    let mut department = department();
    let order = shipped(&mut department, true);
    for (when, expected) in [
        ("2027-01-20 23:59", None),
        ("2027-01-21 00:01", Some((1, Some("50.00 CNY"), None))),
        ("2027-01-23 23:59", Some((3, Some("50.00 CNY"), None))),
        ("2027-01-24 00:01", Some((4, Some("100.00 CNY"), None))),
        ("2027-01-28 00:01", Some((8, None, Some("demotion")))),
    ] {
        department.at(when);
        let found = department.findings(order).into_iter().find(|f| f.rule == *"late-delivery");
        let amount = found.as_ref().and_then(|f| Some(f.amount?.to_string()));
        let told = found
            .as_ref()
            .map(|f| (f.days_late.unwrap(), amount.as_deref(), f.penalty.as_ref().map(|p| p.as_str())));
        assert_eq!(told, expected, "{when}");
        assert!(found.is_none_or(|f| f.clause.starts_with("S2 第五章 3")));
    }
    department.sync(&["G01"]);
    department.step("G01", order, did("delivered").text("客户确认收货"));
    department.online();
    department.at("2027-02-27 23:59");
    assert_eq!(department.finding(order, "payment-late").verdict, Due);
    department.at("2027-02-28 00:00");
    let late = department.finding(order, "payment-late");
    assert_eq!((late.verdict, late.clause.starts_with("S2 第五章 5")), (Breach, true));
    department.all_agree();
}
