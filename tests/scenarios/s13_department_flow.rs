//! S13 跟单部门 (流程): the right to refuse an order, plan and production, dispatch and freight, payment, archive.

use gendan_tests::scenario::{Company, Did, Opening, POINTS, did, name};
use sync_core::command::Command;
use sync_core::ids::DocId;
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

/// A merchandising department with its neighbours.
fn department() -> Company {
    let mut department = Company::under("general");
    department.people(&[
        ("D01", "sales", Some("一部")),
        ("G01", "merchandiser", None),
        ("U01", "supervisor", None),
        ("M02", "management", None),
        ("P01", "planner", None),
        ("C01", "warehouse", None),
        ("F01", "finance", None),
    ]);
    department
}

fn handed_in(department: &mut Company, number: &str) -> DocId {
    let order = department.open_order("D01", number, Some("一部"), "2026-12-20", &[("机柜", None)]);
    department.step("D01", order, did("handed-in"));
    department.online();
    order
}

fn reviewed() -> Did {
    did("reviewed").checked(&POINTS)
}

fn refusal() -> Did {
    did("refused").value("amend", "请补充图纸和交货地址")
}

/// An order with its plan.
fn planned(department: &mut Company, number: &str) -> DocId {
    let order = handed_in(department, number);
    for step in [reviewed(), did("placed"), did("planned").value("plan", "12月1日开工")] {
        department.step("G01", order, step);
    }
    department.online();
    order
}

fn tell(order: DocId) -> Command {
    Command::Contact(order, "电话".into(), "请客户补充图纸".into(), Vec::new())
}

fn upward(order: DocId) -> Command {
    Command::Escalate(order, name("management"), "订单不符合规定,已拒收".into())
}

#[test]
fn articles_5_1_and_6_3_a_refused_order_says_what_to_amend_and_goes_no_further() {
    let mut department = department();
    let order = handed_in(&mut department, "A1");
    assert_eq!(department.refused_step("D01", order, refusal()), RefusalCode::RoleMissing);
    assert_eq!(department.refused_step("G01", order, did("refused")), RefusalCode::ValueMissing);
    department.step("G01", order, refusal());
    department.perform("G01", upward(order));
    department.perform("G01", tell(order));
    department.online();
    // Refused upward and to the customer: who hands it in sees what is to be amended, and nobody places it.
    let (_, seen) = department.world.sites["D01"].device.state(order).unwrap();
    assert_eq!(seen.last("refused").unwrap().what.values[&name("amend")], "请补充图纸和交货地址");
    assert!(department.told("M02", order).contains(&NoticeKind::Escalation));
    assert_eq!(department.refused_step("G01", order, did("placed")), RefusalCode::StepOrder);
    assert!(department.state(order).in_force.is_none(), "nothing of it is in force");
    assert!(department.found(order, "review-late").is_empty(), "a refusal is an answer");
    // The customer amends it, and it is reviewed as amended.
    department.edit("D01", order, "address", "建设路5号");
    department.online();
    department.step("G01", order, reviewed());
    department.step("G01", order, did("placed"));
    department.all_agree();
    assert_eq!(department.in_force(order, "address").as_deref(), Some("建设路5号"));
}

#[test]
fn article_6_3_a_refusal_is_reported_upward_at_once_and_the_customer_is_told() {
    let mut department = department();
    department.at("2026-11-24 09:00");
    let [prompt, slow] = ["A1", "A2"].map(|number| handed_in(&mut department, number));
    department.next_at("2026-11-24 10:00:00");
    department.step("G01", prompt, refusal());
    department.step("G01", slow, refusal());
    // One working hour for the report, four for the customer: noon does not count.
    department.at("2026-11-24 10:59");
    department.perform("G01", upward(prompt));
    department.online();
    assert_eq!(department.finding(slow, "refusal-not-reported").verdict, Due);
    department.at("2026-11-24 11:01");
    assert_eq!(department.finding(slow, "refusal-not-reported").verdict, Breach);
    department.at("2026-11-24 14:59");
    department.online();
    assert_eq!(department.finding(slow, "refusal-not-told").verdict, Due);
    department.perform("G01", tell(prompt));
    department.at("2026-11-24 15:01");
    department.all_agree();
    for (rule, to) in [("refusal-not-reported", "management"), ("refusal-not-told", "supervisor")] {
        assert!(department.found(prompt, rule).is_empty(), "{rule}");
        let found = department.finding(slow, rule);
        assert_eq!((found.verdict, found.escalate_to), (Breach, Some(name(to))), "{rule}");
        assert!(found.clause.starts_with("S13 第六条 3"), "{}", found.clause);
    }
}

#[test]
fn articles_6_and_7_an_order_is_reviewed_planned_and_followed_before_it_is_complete() {
    let mut department = department();
    let order = handed_in(&mut department, "A1");
    let plan = did("planned").value("plan", "12月1日开工");
    department.in_order(order, &[("G01", reviewed()), ("G01", did("placed")), ("P01", plan)]);
    assert_eq!(department.refused_step("G01", order, did("progress-verified")), RefusalCode::ValueMissing);
    department.step("G01", order, did("progress-verified").value("progress", "80%"));
    // What goes wrong in production is told, and settled with the planners (7.3).
    department.perform("P01", Command::Report(order, "缺料".into(), Vec::new()));
    department.online();
    let exception = department.state(order).exceptions[0].0.said.fact;
    let solved = Command::Resolve(order, exception, "借调库存".into());
    assert_eq!(department.refused("P01", solved.clone()), RefusalCode::RoleMissing);
    department.perform("G01", solved);
    department.step("P01", order, did("complete"));
    department.all_agree();
    assert!(department.found(order, "progress-not-verified").is_empty());
    assert!(department.found(order, "exception-not-acted-on").is_empty());
}

#[test]
fn article_8_3_the_customer_hears_of_the_progress_every_7_days() {
    let mut department = department();
    department.at("2026-11-30 10:00");
    let order = planned(&mut department, "A1");
    department.at("2026-12-07 23:00");
    department.online();
    assert_eq!(department.finding(order, "progress-not-told").verdict, Due);
    department.next_at("2026-12-07 23:59:59");
    department.step("G01", order, did("progress-told"));
    department.at("2026-12-14 23:59");
    department.online();
    assert_eq!(department.finding(order, "progress-not-told").verdict, Due, "the next is owed a week later");
    department.at("2026-12-15 00:00");
    let found = department.finding(order, "progress-not-told");
    assert_eq!((found.verdict, found.about), (Breach, vec![name("merchandiser")]));
    assert!(found.clause.starts_with("S13 第八条 3"), "{}", found.clause);
}

#[test]
fn articles_9_and_4_an_order_is_dispatched_tracked_paid_and_archived() {
    let mut department = department();
    let order = planned(&mut department, "A1");
    department.step("P01", order, did("progress-verified").value("progress", "完成"));
    let line = [
        ("P01", did("complete")),
        ("C01", did("dispatched").value("ledger", "第9行")),
        ("G01", did("freight-tracked").value("progress", "途中")),
    ];
    department.in_order(order, &line);
    let rest =
        [("G01", did("delivered").signed("何女士")), ("F01", did("settled")), ("G01", did("archived"))];
    department.in_order(order, &rest);
    assert_eq!(department.refused_step("G01", order, did("payment-followed")), RefusalCode::Closed);
    department.all_agree();
    assert!(department.found(order, "freight-not-tracked").is_empty());
    assert!(department.found(order, "payment-late").is_empty());
    // What was filed is whole years later.
    department.at("2029-12-01 09:00");
    department.all_agree();
    let kept = department.state(order);
    assert!(kept.done("archived") && kept.done("dispatched"));
    assert_eq!(department.in_force(order, "customer").as_deref(), Some("何女士"));
}

#[test]
fn article_5_3_and_4_who_follows_orders_may_propose_and_does_not_decide() {
    let mut department = department();
    let idea = department.open("G01", "innovation", "N1", Opening::default());
    assert_eq!(department.refused_step("G01", idea, did("proposed")), RefusalCode::ValueMissing);
    department.step("G01", idea, did("proposed").value("proposal", "物流改走水运"));
    let adopted = did("adopted").value("reward", "200");
    assert_eq!(department.refused_step("G01", idea, adopted.clone()), RefusalCode::RoleMissing);
    department.online();
    department.step("U01", idea, adopted);
    department.all_agree();
    assert_eq!(
        department.refused_step("U01", idea, did("declined").value("reason", "晚了")),
        RefusalCode::Closed
    );
}

#[test]
fn articles_10_and_11_work_is_appraised_by_the_superior_and_rewards_take_their_course() {
    let mut department = department();
    department.people(&[("B01", "hr", None)]);
    let about = Opening { about: Some("G01"), ..Opening::default() };
    let appraisal = department.open("U01", "appraisal", "K1", about);
    let rated = did("rated").value("teamwork", "4").value("ethics", "5").value("communication", "4");
    assert_eq!(
        department.refused_step("U01", appraisal, rated.clone()),
        RefusalCode::ValueMissing,
        "工作质量"
    );
    department.step("U01", appraisal, rated.value("work-quality", "5"));
    department.online();
    assert_eq!(department.refused_step("G01", appraisal, did("filed")), RefusalCode::RoleMissing);
    department.step("B01", appraisal, did("filed"));
    let grades: Vec<_> =
        department.policy.rewards.iter().filter(|r| r.clause.contains("S13 第十一条")).collect();
    assert_eq!(grades.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["commendation"]);
    let reward = department.open("U01", "conduct", "J1", about);
    department.step("U01", reward, did("proposed").value("kind", "commendation").value("reason", "表现优秀"));
    department.online();
    assert!(!department.state(reward).holds() && !department.holds("G01", reward));
    for step in [did("reviewed"), did("notified").text("公司拟表彰您"), did("published")] {
        assert!(!department.state(reward).holds());
        department.step("B01", reward, step);
        department.online();
    }
    assert!(department.state(reward).holds() && department.holds("G01", reward));
    department.all_agree();
}
