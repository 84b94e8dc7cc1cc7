//! S14 物流跟单员: production, transport and delivery each tracked; exceptions told at once; complaints with a plan;
//! return visits; adjustments within the company's rules only.

use gendan_tests::scenario::{Company, Did, Opening, did, name};
use sync_core::command::Command;
use sync_core::fact::kinds::Outcome;
use sync_core::ids::{DocId, DocKind};
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

/// A carrier and the people whom its order followers work with.
fn carrier() -> Company {
    let mut carrier = Company::under("logistics");
    carrier.people(&[
        ("D01", "sales", Some("一部")),
        ("G01", "merchandiser", None),
        ("U01", "supervisor", None),
        ("M02", "management", None),
        ("P01", "planner", None),
        ("T01", "dispatcher", None),
        ("C01", "warehouse", None),
        ("W01", "crew", None),
        ("F01", "finance", None),
    ]);
    carrier
}

fn handed_in(carrier: &mut Company, number: &str) -> DocId {
    let order =
        carrier.open_order("D01", number, Some("一部"), "2026-12-10", &[("电机", None), ("泵", None)]);
    carrier.step("D01", order, did("handed-in"));
    carrier.online();
    order
}

fn reviewed() -> Did {
    did("reviewed").checked(&["content-correct"])
}

/// An order that is placed, with the driver who takes it.
fn placed(carrier: &mut Company, number: &str) -> DocId {
    let order = handed_in(carrier, number);
    carrier.step("G01", order, reviewed());
    carrier.step("G01", order, did("placed"));
    carrier.assign("G01", order, &["W01"], "2026-12-08", "delivered");
    carrier.online();
    order
}

/// An order that was delivered and signed for.
fn delivered(carrier: &mut Company, number: &str) -> DocId {
    let order = placed(carrier, number);
    carrier.step("C01", order, did("produced"));
    carrier.online();
    for step in [did("loaded"), did("out-for-delivery"), did("delivered").signed("何女士")] {
        carrier.step("W01", order, step);
    }
    carrier.online();
    order
}

fn contact() -> (String, String) {
    ("电话".into(), "回访:客户满意".into())
}

#[test]
fn article_6_an_order_is_checked_at_once_and_doubts_are_cleared_with_the_customer() {
    let mut carrier = carrier();
    carrier.at("2026-11-24 09:50");
    let [timely, late] = ["A1", "A2"].map(|number| handed_in(&mut carrier, number));
    assert_eq!(carrier.refused_step("G01", timely, did("reviewed")), RefusalCode::CheckFailed);
    let wrong = did("reviewed").value("content-correct", "地址不明");
    assert_eq!(carrier.refused_step("G01", timely, wrong), RefusalCode::CheckFailed);
    assert_eq!(carrier.refused_step("D01", timely, reviewed()), RefusalCode::RoleMissing);
    assert_eq!(carrier.refused_step("G01", timely, did("placed")), RefusalCode::StepOrder);
    carrier.step("G01", timely, did("doubt-cleared").note("客户确认地址"));
    carrier.edit("G01", timely, "address", "幸福街2号");
    carrier.step("G01", timely, reviewed());
    // Within two working hours.
    carrier.at("2026-11-24 11:50");
    assert_eq!(carrier.finding(late, "review-late").verdict, Due);
    carrier.at("2026-11-24 11:51");
    carrier.all_agree();
    assert_eq!(carrier.in_force(timely, "address").as_deref(), Some("幸福街2号"));
    assert!(carrier.found(timely, "review-late").is_empty());
    let found = carrier.finding(late, "review-late");
    assert_eq!((found.verdict, found.escalate_to), (Breach, Some(name("supervisor"))));
    assert!(found.clause.starts_with("S14 第六条 1:立即核对"), "{}", found.clause);
    assert!(carrier.told("U01", late).contains(&NoticeKind::Escalation));
}

#[test]
fn article_7_1_production_transport_and_delivery_are_each_tracked() {
    let mut carrier = carrier();
    let [tracked, untracked] = ["A1", "A2"].map(|number| placed(&mut carrier, number));
    let progress = |step| did(step).value("progress", "正常");
    carrier.step("P01", tracked, progress("production-tracked"));
    for order in [tracked, untracked] {
        assert_eq!(carrier.refused_step("W01", order, did("loaded")), RefusalCode::StepOrder);
        carrier.step("P01", order, did("produced"));
    }
    carrier.online();
    // The driver is offline from the warehouse to the customer's door.
    assert_eq!(carrier.refused_step("W01", tracked, did("out-for-delivery")), RefusalCode::StepOrder);
    for order in [tracked, untracked] {
        carrier.step("W01", order, did("loaded"));
    }
    assert_eq!(carrier.refused_step("W01", tracked, did("transport-tracked")), RefusalCode::ValueMissing);
    carrier.step("W01", tracked, did("transport-tracked").value("place", "南京服务区"));
    for order in [tracked, untracked] {
        carrier.step("W01", order, did("out-for-delivery"));
    }
    carrier.online();
    carrier.step("T01", tracked, progress("delivery-tracked"));
    carrier.online();
    for order in [tracked, untracked] {
        assert_eq!(carrier.refused_step("W01", order, did("delivered")), RefusalCode::SignatureMissing);
        carrier.step("W01", order, did("delivered").signed("何女士"));
    }
    carrier.all_agree();
    for rule in ["production-not-tracked", "transport-not-tracked", "delivery-not-tracked"] {
        assert!(carrier.found(tracked, rule).is_empty(), "{rule}");
        let found = carrier.finding(untracked, rule);
        assert_eq!(found.about, [name("merchandiser")], "{rule}");
        assert_eq!(found.clause, "S14 第七条 1:定期跟踪订单生产、运输、配送等环节");
    }
}

#[test]
fn article_7_1_a_delivery_in_parts_or_refused_at_the_door_is_said_so() {
    let mut carrier = carrier();
    let order = placed(&mut carrier, "A1");
    carrier.step("C01", order, did("produced"));
    carrier.online();
    let first = [carrier.item(order, 0)];
    carrier.step("W01", order, did("loaded"));
    carrier.step("W01", order, did("out-for-delivery"));
    carrier.step("W01", order, did("delivered").ended(Outcome::Refused).note("外箱破损"));
    carrier.online();
    assert_eq!(carrier.refused_step("F01", order, did("settled")), RefusalCode::StepOrder);
    let receipt = did("delivered").signed("何女士");
    carrier.step("W01", order, receipt.clone().ended(Outcome::Partial).items(&first));
    carrier.step("W01", order, receipt);
    carrier.online();
    carrier.step("F01", order, did("settled"));
    carrier.all_agree();
    let outcomes: Vec<_> = {
        let state = carrier.state(order);
        let of = state.steps.into_iter().filter(|s| s.what.step == *"delivered");
        of.map(|s| s.what.outcome).collect()
    };
    assert_eq!(outcomes, [Outcome::Refused, Outcome::Partial, Outcome::Done]);
}

#[test]
fn article_7_2_an_exception_goes_upward_within_the_hour_and_is_solved() {
    let mut carrier = carrier();
    let [prompt, slow] = ["A1", "A2"].map(|number| placed(&mut carrier, number));
    carrier.at("2026-11-24 10:00");
    // The driver says it from the road and has a connection again soon after.
    for order in [prompt, slow] {
        carrier.perform("W01", Command::Report(order, "高速封路".into(), Vec::new()));
    }
    carrier.sync(&["W01", "G01", "U01", "M02"]);
    assert!(carrier.told("G01", prompt).contains(&NoticeKind::Exception), "who may resolve it hears of it");
    assert!(!carrier.told("W01", prompt).contains(&NoticeKind::Exception));
    let upward = |order| Command::Escalate(order, name("management"), "预计延误一天".into());
    carrier.next_at("2026-11-24 10:59:59");
    carrier.perform("G01", upward(prompt));
    carrier.next_at("2026-11-24 11:00:05");
    carrier.perform("G01", upward(slow));
    carrier.online();
    assert!(carrier.told("M02", prompt).contains(&NoticeKind::Escalation));
    assert!(carrier.found(prompt, "exception-not-reported").is_empty());
    let found = carrier.finding(slow, "exception-not-reported");
    assert_eq!((found.verdict, found.escalate_to), (Breach, Some(name("management"))));
    assert!(found.clause.starts_with("S14 第七条 2:应及时上报领导"), "{}", found.clause);
    // Eight working hours to solve it; a driver cannot say that it is solved.
    let exception = carrier.state(prompt).exceptions[0].0.said.fact;
    let solved = Command::Resolve(prompt, exception, "改走国道".into());
    assert_eq!(carrier.refused("W01", solved.clone()), RefusalCode::RoleMissing);
    carrier.at("2026-11-25 09:59");
    carrier.perform("G01", solved);
    carrier.at("2026-11-25 10:01");
    carrier.all_agree();
    assert!(carrier.found(prompt, "exception-not-solved").is_empty());
    assert_eq!(carrier.found(slow, "exception-not-solved"), [(Breach, None)]);
}

#[test]
fn article_8_a_complaint_that_cannot_be_solved_at_once_goes_to_management_with_a_plan() {
    let mut carrier = carrier();
    carrier.at("2026-11-24 08:30");
    let wish = Opening { store: Some("一部"), urgency: Some("urgent"), ..Opening::default() };
    let [quick, hard] = ["T1", "T2"].map(|number| carrier.open("G01", "complaint", number, wish));
    for ticket in [quick, hard] {
        carrier.step("G01", ticket, did("recorded"));
        assert_eq!(carrier.refused_step("G01", ticket, did("answered")), RefusalCode::StepOrder);
        assert_eq!(carrier.refused_step("G01", ticket, did("measured")), RefusalCode::ValueMissing);
        carrier.step("G01", ticket, did("measured").value("cause", "damaged"));
    }
    carrier.step("G01", quick, did("answered"));
    assert_eq!(carrier.refused_step("G01", hard, did("proposed")), RefusalCode::ValueMissing);
    carrier.step("G01", hard, did("proposed").value("plan", "补发一台,运费公司承担"));
    carrier.perform("G01", Command::Escalate(hard, name("management"), "需补发".into()));
    assert_eq!(carrier.refused_step("G01", hard, did("approved")), RefusalCode::RoleMissing);
    carrier.online();
    assert!(carrier.told("M02", hard).contains(&NoticeKind::Escalation));
    let (_, seen) = carrier.world.sites["M02"].device.state(hard).unwrap();
    assert_eq!(seen.last("proposed").unwrap().what.values[&name("plan")], "补发一台,运费公司承担");
    carrier.step("M02", hard, did("approved"));
    // Urgent: to be solved within the eight working hours of this day.
    carrier.at("2026-11-24 18:00");
    assert_eq!(carrier.finding(hard, "complaint-late").verdict, Due);
    carrier.at("2026-11-24 18:01");
    carrier.all_agree();
    assert!(carrier.found(quick, "complaint-late").is_empty());
    let found = carrier.finding(hard, "complaint-late");
    assert_eq!(
        (found.verdict, found.step, found.escalate_to),
        (Breach, name("answered"), Some(name("management")))
    );
    assert!(found.clause.starts_with("S14 第八条"), "{}", found.clause);
}

#[test]
fn article_9_1_customers_are_asked_again_every_30_days_three_times() {
    let mut carrier = carrier();
    carrier.at("2026-11-30 10:00");
    let [visited, forgotten] = ["A1", "A2"].map(|number| delivered(&mut carrier, number));
    carrier.step("F01", visited, did("settled"));
    carrier.online();
    let call = |order| {
        let (channel, words) = contact();
        Command::Contact(order, channel, words, Vec::new())
    };
    // Days are local: from 30 November the visits are owed until the end of 30 December, 29 January and
    // 28 February, also after the order was settled.
    for (before, at, after) in [
        ("2026-12-30 09:00", "2026-12-30 23:59:59", "2026-12-31 00:01"),
        ("2027-01-29 09:00", "2027-01-29 23:59:59", "2027-01-30 00:01"),
        ("2027-02-28 09:00", "2027-02-28 23:59:59", "2027-03-01 00:01"),
    ] {
        carrier.at(before);
        carrier.online();
        assert_eq!(carrier.finding(visited, "return-visit-due").verdict, Due, "{before}");
        carrier.next_at(at);
        carrier.perform("G01", call(visited));
        carrier.at(after);
        carrier.online();
        let late = carrier.finding(forgotten, "return-visit-due");
        assert_eq!((late.verdict, late.about), (Breach, vec![name("merchandiser")]), "{after}");
    }
    assert!(carrier.found(visited, "return-visit-due").is_empty(), "three are all");
    assert!(carrier.finding(forgotten, "return-visit-due").clause.starts_with("S14 第九条 1:定期回访客户"));
    carrier.all_agree();
}

#[test]
fn article_9_2_an_opinion_is_passed_to_its_department_and_followed_until_solved() {
    let mut carrier = carrier();
    carrier.at("2026-11-24 08:30");
    let [passed, left] =
        ["O1", "O2"].map(|number| carrier.open("G01", "feedback", number, Opening::default()));
    assert_eq!(carrier.refused_step("G01", passed, did("passed-on")), RefusalCode::StepOrder);
    for opinion in [passed, left] {
        carrier.step("G01", opinion, did("collected").value("feedback", "希望送货前一小时电话"));
    }
    assert_eq!(carrier.refused_step("G01", passed, did("passed-on")), RefusalCode::ValueMissing);
    assert_eq!(carrier.refused_step("G01", passed, did("followed-up")), RefusalCode::StepOrder);
    carrier.step("G01", passed, did("passed-on").value("department", "调度"));
    carrier.step("G01", passed, did("followed-up").value("solution", "调度前电话"));
    carrier.online();
    carrier.at("2026-11-24 18:00");
    assert_eq!(carrier.finding(left, "opinion-not-passed-on").verdict, Due);
    carrier.at("2026-11-24 18:01");
    carrier.all_agree();
    assert!(carrier.found(passed, "opinion-not-passed-on").is_empty());
    let found = carrier.finding(left, "opinion-not-passed-on");
    assert_eq!((found.verdict, found.escalate_to), (Breach, Some(name("supervisor"))));
}

#[test]
fn article_5_1_an_order_is_adjusted_by_an_approved_proposal_only() {
    let mut carrier = carrier();
    let order = placed(&mut carrier, "A1");
    // The driver on the road and the order follower at a desk each wish something else.
    carrier.edit("W01", order, "address", "建设路5号");
    carrier.edit("G01", order, "delivery_date", "2026-12-15");
    for who in ["W01", "G01"] {
        assert_eq!(carrier.refused(who, Command::Approve(order, None)), RefusalCode::RoleMissing, "{who}");
    }
    carrier.online();
    assert_eq!(carrier.state(order).proposed.len(), 2);
    assert_eq!(carrier.in_force(order, "address").as_deref(), Some("幸福街1号"));
    assert_eq!(carrier.in_force(order, "delivery_date").as_deref(), Some("2026-12-10"));
    carrier.perform("U01", Command::Approve(order, None));
    carrier.all_agree();
    assert_eq!(carrier.in_force(order, "address").as_deref(), Some("建设路5号"));
    assert_eq!(carrier.told("G01", order), [NoticeKind::Decision]);
}

#[test]
fn article_5_2_a_late_delivery_is_found_by_the_days_it_is_late() {
    let mut carrier = carrier();
    let order = placed(&mut carrier, "A1");
    carrier.at("2026-12-10 23:59");
    assert!(carrier.found(order, "late-delivery").is_empty(), "the day itself is in time");
    for (day, amount, penalty) in [
        ("2026-12-11 00:00", Some("50.00 CNY"), None),
        ("2026-12-14 00:00", Some("100.00 CNY"), None),
        ("2026-12-18 00:00", None, Some(name("demotion"))),
    ] {
        carrier.at(day);
        let found = carrier.finding(order, "late-delivery");
        assert_eq!(
            (found.amount.map(|a| a.to_string()).as_deref(), found.penalty),
            (amount, penalty),
            "{day}"
        );
    }
}

#[test]
fn article_5_4_who_sees_a_breach_of_the_rules_may_stop_it_and_asks_for_its_correction() {
    let mut carrier = carrier();
    let stopped = did("stopped").value("what", "超载").value("correction", "卸货分车");
    let breach = carrier.open("T01", "violation", "V1", Opening { about: Some("W01"), ..Opening::default() });
    assert_eq!(
        carrier.refused_step("T01", breach, did("stopped").value("what", "超载")),
        RefusalCode::ValueMissing
    );
    carrier.step("T01", breach, stopped);
    assert_eq!(carrier.refused_step("T01", breach, did("corrected")), RefusalCode::RoleMissing);
    carrier.online();
    carrier.step("U01", breach, did("corrected"));
    carrier.all_agree();
    assert!(carrier.holds("W01", breach), "whom it is about knows of it");
}

#[test]
fn article_11_2_the_companys_secrets_stay_with_those_whose_work_needs_them() {
    let mut carrier = carrier();
    let order = handed_in(&mut carrier, "A1");
    carrier.edit("D01", order, "total", "9000.00 CNY");
    carrier.online();
    let money = order.facet(DocKind::OrderMoney);
    for (who, order_held, prices) in [
        ("D01", true, true),
        ("F01", true, true),
        ("T01", true, false),
        ("C01", true, false),
        ("W01", false, false),
    ] {
        assert_eq!(carrier.holds(who, order), order_held, "{who}");
        assert_eq!(carrier.world.sites[who].device.state(money).is_ok(), prices, "{who}");
    }
    carrier.assign("T01", order, &["W01"], "2026-12-08", "delivered");
    carrier.all_agree();
    assert!(carrier.holds("W01", order), "the driver gets the job, and no price");
    assert!(carrier.world.sites["W01"].device.state(money).is_err());
}
