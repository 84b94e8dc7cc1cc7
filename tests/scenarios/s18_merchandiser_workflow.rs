//! S18 跟单员工作流程: intake checked and entered, anomalies acted on, urgent cases to management, return visits,
//! rewards.

use gendan_tests::scenario::{Company, Did, Opening, POINTS, did, name};
use sync_core::command::Command;
use sync_core::ids::DocId;
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

/// A company whose merchandisers work between sales, production and logistics.
fn company() -> Company {
    let mut company = Company::under("general");
    company.people(&[
        ("D01", "sales", Some("一部")),
        ("G01", "merchandiser", None),
        ("U01", "supervisor", None),
        ("M02", "management", None),
        ("P01", "planner", None),
        ("C01", "warehouse", None),
        ("K01", "service-desk", None),
        ("B01", "hr", None),
    ]);
    company
}

fn handed_in(company: &mut Company, number: &str) -> DocId {
    let order = company.open_order("D01", number, Some("一部"), "2026-12-20", &[("机柜", None)]);
    company.step("D01", order, did("handed-in"));
    company.online();
    order
}

fn reviewed() -> Did {
    did("reviewed").checked(&POINTS)
}

/// An order that is entered and planned.
fn planned(company: &mut Company, number: &str) -> DocId {
    let order = handed_in(company, number);
    for step in [reviewed(), did("placed"), did("planned").value("plan", "12月")] {
        company.step("G01", order, step);
    }
    company.online();
    order
}

#[test]
fn article_6_an_order_is_checked_its_errors_cleared_and_the_departments_told() {
    let mut company = company();
    let order = handed_in(&mut company, "A1");
    let wrong = did("reviewed").checked(&POINTS[1..]).value("quantity", "少一件");
    assert_eq!(company.refused_step("G01", order, wrong), RefusalCode::CheckFailed);
    assert_eq!(company.refused_step("G01", order, did("placed")), RefusalCode::StepOrder);
    // By telephone, without a connection: what the customer meant is entered and then checked again.
    company.step("G01", order, did("doubt-cleared").note("客户确认为2件"));
    let quantity = sync_core::domain::fields::item_key(company.item(order, 0), "quantity");
    company.edit("G01", order, &quantity, "2");
    company.in_order(order, &[("G01", reviewed()), ("G01", did("placed"))]);
    company.all_agree();
    assert!(company.state(order).proposed.is_empty(), "it was entered before the review");
    for who in ["P01", "C01"] {
        let (found, seen) = company.world.sites[who].device.state(order).unwrap();
        assert!(seen.done("placed"), "{who} is told");
        let content = seen.content(&found, sync_core::domain::fields::Map::Items);
        assert_eq!(content[&quantity].to_string(), "2", "{who} works from what was cleared");
    }
}

#[test]
fn article_4_3_two_who_change_an_order_apart_leave_one_content_for_everybody() {
    let mut company = company();
    let order = planned(&mut company, "A1");
    company.edit("D01", order, "delivery_date", "2026-12-24");
    company.edit("G01", order, "delivery_date", "2026-12-28");
    company.online();
    let state = company.state(order);
    assert_eq!(state.proposed.len(), 1, "one field, one value to decide about");
    let proposed = state.proposed[0].proposed.as_ref().unwrap().to_string();
    assert_eq!(company.in_force(order, "delivery_date").as_deref(), Some("2026-12-20"));
    assert_eq!(company.refused("G01", Command::Approve(order, None)), RefusalCode::RoleMissing);
    company.perform("U01", Command::Approve(order, None));
    company.all_agree();
    assert_eq!(company.in_force(order, "delivery_date"), Some(proposed));
}

#[test]
fn article_7_2_an_anomaly_is_acted_on_in_the_companys_8_hours() {
    let mut company = company();
    let [acted, ignored] = ["A1", "A2"].map(|number| planned(&mut company, number));
    company.at("2026-11-24 08:30");
    for order in [acted, ignored] {
        company.perform("P01", Command::Report(order, "设备故障,进度落后".into(), Vec::new()));
    }
    company.online();
    assert!(company.told("G01", acted).contains(&NoticeKind::Exception));
    let exception = company.state(acted).exceptions[0].0.said.fact;
    let solved = Command::Resolve(acted, exception, "转二车间".into());
    assert_eq!(company.refused("C01", solved.clone()), RefusalCode::RoleMissing);
    company.at("2026-11-24 17:59");
    company.perform("G01", solved);
    company.online();
    company.at("2026-11-24 18:00");
    assert_eq!(company.finding(ignored, "exception-not-acted-on").verdict, Due);
    company.at("2026-11-24 18:01");
    company.all_agree();
    assert!(company.found(acted, "exception-not-acted-on").is_empty());
    let found = company.finding(ignored, "exception-not-acted-on");
    assert_eq!((found.verdict, found.escalate_to), (Breach, Some(name("management"))));
    assert!(found.clause.starts_with("S18 第七条 2"), "{}", found.clause);
    assert!(company.told("M02", ignored).contains(&NoticeKind::Escalation));
}

#[test]
fn article_7_3_an_urgent_case_goes_to_management_at_once() {
    let mut company = company();
    let order = planned(&mut company, "A1");
    assert!(company.told("M02", order).is_empty());
    company.at("2026-11-24 09:00");
    company.perform("P01", Command::Report(order, "客户要求停产".into(), Vec::new()));
    company.online();
    let reported = |company: &Company| company.found(order, "exception-not-reported");
    company.at("2026-11-24 10:00");
    assert_eq!(reported(&company), [(Due, None)]);
    company.at("2026-11-24 10:01");
    assert_eq!(reported(&company), [(Breach, None)], "not at once");
    company.sync(&["G01"]);
    company.perform("G01", Command::Escalate(order, name("management"), "客户要求停产".into()));
    company.sync(&["G01", "M02"]);
    assert!(company.told("M02", order).contains(&NoticeKind::Escalation));
    assert!(!company.told("P01", order).contains(&NoticeKind::Escalation), "it is for management");
    let reason = company.state(order).escalations[0].what.reason.clone();
    assert_eq!(reason, "客户要求停产");
    company.all_agree();
}

#[test]
fn article_8_2_a_complaint_is_heard_investigated_and_answered_in_its_order() {
    let mut company = company();
    let wish =
        Opening {
            store: Some("一部"), urgency: Some("normal"), channel: Some("电话"), ..Opening::default()
        };
    let ticket = company.open("K01", "complaint", "T1", wish);
    company.online();
    let line = [
        ("K01", did("recorded")),
        ("G01", did("investigated").value("cause", "delivery")),
        ("G01", did("proposed").value("plan", "补送")),
        ("G01", did("answered")),
        ("K01", did("surveyed").value("csat", "4")),
    ];
    company.in_order(ticket, &line);
    assert_eq!(
        company.refused_step("G01", ticket, did("proposed").value("plan", "再补")),
        RefusalCode::Closed
    );
    company.all_agree();
    assert!(company.found(ticket, "ticket-deadline").is_empty());
}

#[test]
fn article_8_3_a_customer_is_visited_again_within_the_companys_30_days_of_the_delivery() {
    let mut company = company();
    company.at("2026-11-30 10:00");
    let [visited, forgotten] = ["A1", "A2"].map(|number| planned(&mut company, number));
    for order in [visited, forgotten] {
        company.step("G01", order, did("progress-verified").value("progress", "完成"));
        company.step("G01", order, did("complete"));
        company.step("G01", order, did("dispatched").value("ledger", "第1行"));
        company.step("G01", order, did("delivered").signed("何女士"));
    }
    company.at("2026-12-13 10:00");
    company.online();
    company.at("2026-12-26 10:00");
    company.online();
    company.next_at("2026-12-30 23:59:59");
    let visit = Command::Contact(visited, "上门".into(), "使用良好".into(), Vec::new());
    company.perform("G01", visit);
    company.at("2026-12-31 00:01");
    company.online();
    let next = company.finding(visited, "return-visit-due");
    assert_eq!(next.verdict, Due, "the next one is owed 60 days after the delivery");
    assert_eq!(next.due_ms.map(|ms| ms + 1), Some(company.moment("2027-01-30 00:00")));
    let found = company.finding(forgotten, "return-visit-due");
    assert_eq!((found.verdict, found.about), (Breach, vec![name("merchandiser")]));
    assert!(found.clause.starts_with("S18 第八条 3"), "{}", found.clause);
    assert!(company.told("G01", forgotten).contains(&NoticeKind::Reminder));
    company.all_agree();
}

#[test]
fn article_9_three_rewards_stand_in_the_policy_and_each_takes_the_course_of_all() {
    let mut company = company();
    let named = company.policy.rewards.iter().filter(|r| r.clause.contains("S18 第九条"));
    let named: Vec<String> = named.map(|r| r.id.to_string()).collect();
    assert_eq!(named, ["performance-bonus", "commendation", "promotion"]);
    let about = Opening { about: Some("G01"), ..Opening::default() };
    assert_eq!(company.refused_open("G01", "conduct", "J0", about), RefusalCode::RoleMissing, "self-praise");
    for (number, kind) in ["J1", "J2", "J3"].into_iter().zip(&named) {
        let record = company.open("U01", "conduct", number, about);
        let line = [
            ("U01", did("proposed").value("kind", kind).value("reason", "完成订单数量和质量达标")),
            ("B01", did("reviewed")),
            ("B01", did("notified").text("公司拟奖励您")),
        ];
        company.online();
        company.in_order(record, &line);
        assert!(!company.state(record).holds(), "{kind} is told and not yet published");
        assert!(!company.holds("C01", record), "a colleague sees nothing of it yet");
        company.step("B01", record, did("published"));
        company.online();
        assert!(company.state(record).holds() && company.holds("C01", record), "{kind}");
    }
    company.all_agree();
}
