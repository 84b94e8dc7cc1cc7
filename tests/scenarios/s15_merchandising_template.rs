//! S15 跟单规章制度范本: order review, negotiation, changes and cancellations, outsourced work, the ledger of goods
//! sent, the customer's receipt, payment.

use gendan_tests::scenario::{Company, Did, POINTS, did, name};
use sync_core::command::Command;
use sync_core::fact::kinds::Outcome;
use sync_core::fold::clash::ClashKind;
use sync_core::ids::DocId;
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

/// The six points of an order review (3.1.1 to 3.2.1).
/// A marketing centre with the departments it works with.
fn centre() -> Company {
    let mut centre = Company::under("general");
    centre.people(&[
        ("D01", "sales", Some("一部")),
        ("G01", "merchandiser", None),
        ("U01", "supervisor", None),
        ("X01", "sales-director", None),
        ("P01", "planner", None),
        ("C01", "warehouse", None),
        ("W01", "crew", None),
        ("F01", "finance", None),
    ]);
    centre
}

/// An order that is handed in.
fn handed_in(centre: &mut Company, number: &str) -> DocId {
    let items = [("机柜", None), ("支架", None)];
    let order = centre.open_order("D01", number, Some("一部"), "2026-12-20", &items);
    centre.step("D01", order, did("handed-in"));
    centre.online();
    order
}

fn reviewed() -> Did {
    did("reviewed").checked(&POINTS)
}

fn planned() -> Did {
    did("planned").value("plan", "一车间12月1日至10日")
}

/// An order in production.
fn in_production(centre: &mut Company, number: &str) -> DocId {
    let order = handed_in(centre, number);
    for step in [reviewed(), did("placed"), planned()] {
        centre.step("G01", order, step);
    }
    centre.online();
    order
}

/// An order whose goods are ready, with the crew that delivers them.
fn complete(centre: &mut Company, number: &str) -> DocId {
    let order = in_production(centre, number);
    centre.step("P01", order, did("complete"));
    centre.assign("G01", order, &["W01"], "2026-12-15", "delivered");
    centre.online();
    order
}

fn dispatched() -> Did {
    did("dispatched").value("ledger", "发出商品台账第7行")
}

#[test]
fn article_3_2_1_a_review_holds_only_with_all_of_its_six_points_in_order() {
    let mut centre = centre();
    let order = handed_in(&mut centre, "A1");
    assert_eq!(centre.refused_step("D01", order, reviewed()), RefusalCode::RoleMissing);
    for left_out in POINTS {
        let others: Vec<_> = POINTS.into_iter().filter(|point| *point != left_out).collect();
        let without = did("reviewed").checked(&others);
        assert_eq!(
            centre.refused_step("G01", order, without.clone()),
            RefusalCode::CheckFailed,
            "{left_out}"
        );
        let against = without.value(left_out, "no");
        assert_eq!(centre.refused_step("G01", order, against), RefusalCode::CheckFailed, "{left_out}");
    }
    assert_eq!(centre.refused_step("G01", order, did("placed")), RefusalCode::StepOrder);
    centre.step("G01", order, reviewed());
    centre.step("G01", order, did("placed"));
    centre.all_agree();
    assert!(centre.state(order).in_force.is_some(), "the review puts the content in force");
}

#[test]
fn article_3_2_1_the_review_comes_at_once_after_intake() {
    let mut centre = centre();
    centre.at("2026-11-24 09:00");
    let [timely, late] = ["A1", "A2"].map(|number| handed_in(&mut centre, number));
    assert_eq!(centre.found(late, "review-late"), [(Due, None)]);
    centre.next_at("2026-11-25 23:59:59");
    centre.step("G01", timely, reviewed());
    centre.next_at("2026-11-26 00:00:00");
    centre.step("G01", late, reviewed());
    centre.all_agree();
    assert!(centre.found(timely, "review-late").is_empty());
    let found = centre.finding(late, "review-late");
    assert_eq!((found.verdict, found.days_late), (Breach, Some(1)));
    assert_eq!((found.about, found.amount), (vec![name("merchandiser")], None));
    assert!(found.clause.starts_with("S15 3.2.1:接单后立即评审"), "{}", found.clause);
}

#[test]
fn articles_3_2_2_and_3_2_3_what_does_not_fit_is_negotiated_and_reviewed_as_agreed() {
    let mut centre = centre();
    let order = handed_in(&mut centre, "A1");
    let dear = did("reviewed").checked(&["quantity", "delivery-date", "quality", "capacity", "cycle"]);
    assert_eq!(centre.refused_step("G01", order, dear.value("cost", "over")), RefusalCode::CheckFailed);
    assert_eq!(centre.refused_step("G01", order, did("negotiated")), RefusalCode::ValueMissing);
    // At the customer's, without a connection: what was agreed, and the date that goes with it.
    centre.step("G01", order, did("negotiated").value("outcome", "客户加预算,交货期延后"));
    centre.edit("D01", order, "delivery_date", "2027-01-08");
    centre.online();
    centre.step("G01", order, reviewed());
    centre.all_agree();
    let state = centre.state(order);
    assert_eq!(centre.in_force(order, "delivery_date").as_deref(), Some("2027-01-08"));
    assert!(state.proposed.is_empty(), "what was agreed before the review is in force by it");
}

#[test]
fn article_2_1_2_the_plan_follows_the_placing_and_production_follows_the_plan() {
    let mut centre = centre();
    let order = handed_in(&mut centre, "A1");
    centre.in_order(order, &[("G01", reviewed()), ("G01", did("placed")), ("P01", planned())]);
    assert_eq!(centre.refused_step("P01", order, planned()), RefusalCode::StepRepeated);
    assert_eq!(centre.refused_step("C01", order, dispatched()), RefusalCode::StepOrder);
    let other = handed_in(&mut centre, "A2");
    centre.step("G01", other, reviewed());
    centre.step("G01", other, did("placed"));
    assert_eq!(centre.refused_step("G01", other, did("planned")), RefusalCode::ValueMissing);
    centre.all_agree();
    assert_eq!(centre.state(order).last("planned").unwrap().said.by, centre.person("P01"));
}

#[test]
fn article_2_1_3_production_is_followed_and_nothing_is_complete_unverified() {
    let mut centre = centre();
    let [followed, unseen] = ["A1", "A2"].map(|number| in_production(&mut centre, number));
    // In the workshop, offline.
    centre.step("P01", followed, did("progress-verified").value("progress", "完成60%"));
    for order in [followed, unseen] {
        centre.step("P01", order, did("complete"));
    }
    centre.all_agree();
    assert!(centre.found(followed, "progress-not-verified").is_empty());
    assert_eq!(centre.found(unseen, "progress-not-verified"), [(Breach, None)]);
}

#[test]
fn article_2_1_4_a_change_comes_into_force_by_approval_and_not_by_editing() {
    let mut centre = centre();
    let order = in_production(&mut centre, "A1");
    let quantity = sync_core::domain::fields::item_key(centre.item(order, 0), "quantity");
    centre.edit("G01", order, &quantity, "5");
    centre.edit("D01", order, "delivery_date", "2026-12-10");
    for who in ["G01", "D01"] {
        assert_eq!(centre.refused(who, Command::Approve(order, None)), RefusalCode::RoleMissing);
    }
    centre.online();
    let state = centre.state(order);
    assert_eq!(state.proposed.len(), 2);
    assert_eq!(centre.in_force(order, "delivery_date").as_deref(), Some("2026-12-20"));
    assert_eq!(centre.told("X01", order), [NoticeKind::Proposal]);
    centre.perform("X01", Command::Approve(order, Some("客户书面同意".into())));
    centre.all_agree();
    assert_eq!(centre.in_force(order, "delivery_date").as_deref(), Some("2026-12-10"));
    assert!(centre.state(order).proposed.is_empty());
    assert_eq!(centre.told("D01", order), [NoticeKind::Decision], "who asked for it is told");
    // A change that is declined leaves what was agreed.
    centre.edit("G01", order, "delivery_date", "2027-02-01");
    centre.online();
    centre.perform("U01", Command::Decline(order, "客户不同意".into()));
    centre.all_agree();
    assert_eq!(centre.in_force(order, "delivery_date").as_deref(), Some("2026-12-10"));
    assert!(centre.state(order).proposed.is_empty());
}

#[test]
fn article_2_1_4_an_order_is_called_off_by_a_superior_and_never_over_goods_that_left() {
    let mut centre = centre();
    let [idle, sent] = ["A1", "A2"].map(|number| complete(&mut centre, number));
    let off = |order| Command::Cancel(order, "客户取消".into(), Vec::new());
    for who in ["D01", "G01"] {
        assert_eq!(centre.refused(who, off(idle)), RefusalCode::RoleMissing);
    }
    // The warehouse sends goods while the office, apart, calls both orders off.
    centre.step("C01", sent, dispatched());
    centre.perform("U01", off(sent));
    centre.perform("U01", off(idle));
    centre.online();
    assert_eq!(centre.refused_step("C01", idle, dispatched()), RefusalCode::Cancelled);
    assert!(centre.state(idle).is_cancelled());
    let state = centre.state(sent);
    assert!(!state.is_cancelled(), "the goods are on their way");
    assert_eq!(state.clashes.iter().map(|c| &c.kind).collect::<Vec<_>>(), [&ClashKind::CancelledButDone]);
    // The director finds that the goods come back: the cancellation leads.
    let (left, right) = (state.clashes[0].left, state.clashes[0].right);
    let settle = Command::Settle { doc: sent, left, right, keep: right, reason: "货已追回".into() };
    centre.perform("X01", settle);
    centre.all_agree();
    assert!(centre.state(sent).is_cancelled());
}

#[test]
fn article_2_1_5_outsourced_work_has_its_plan_its_sheet_its_progress_and_its_receipt() {
    let mut centre = centre();
    let order = in_production(&mut centre, "A1");
    let sheet = did("outsourcing-issued").documents(&["outsourcing-sheet"]);
    assert_eq!(centre.refused_step("G01", order, did("outsourcing-planned")), RefusalCode::ValueMissing);
    assert_eq!(centre.refused_step("G01", order, did("outsourcing-issued")), RefusalCode::StepOrder);
    centre.step("G01", order, did("outsourcing-planned").value("plan", "喷漆外协,12月8日前"));
    assert_eq!(centre.refused_step("G01", order, did("outsourcing-issued")), RefusalCode::EvidenceMissing);
    let wrong = did("outsourcing-issued").documents(&["invoice"]);
    assert_eq!(centre.refused_step("G01", order, wrong), RefusalCode::EvidenceMissing);
    centre.in_order(
        order,
        &[("G01", sheet), ("G01", did("outsourcing-tracked").value("progress", "完成一半"))],
    );
    // Goods come back in two lots, taken in offline.
    let first = [centre.item(order, 0)];
    let lot = did("outsourcing-received");
    centre.step("C01", order, lot.clone().ended(Outcome::Partial).items(&first));
    centre.step("C01", order, lot);
    centre.all_agree();
    let received =
        centre.state(order).steps.iter().filter(|s| s.what.step == *"outsourcing-received").count();
    assert_eq!(received, 2);
}

#[test]
fn article_2_1_6_goods_sent_stand_in_the_ledger_and_the_customer_confirms_their_receipt() {
    let mut centre = centre();
    let [followed, lost_sight] = ["A1", "A2"].map(|number| complete(&mut centre, number));
    for order in [followed, lost_sight] {
        assert_eq!(centre.refused_step("C01", order, did("dispatched")), RefusalCode::ValueMissing);
        assert_eq!(centre.refused_step("W01", order, dispatched()), RefusalCode::RoleMissing);
        assert_eq!(
            centre.refused_step("W01", order, did("delivered").signed("何女士")),
            RefusalCode::StepOrder
        );
        centre.step("C01", order, dispatched());
    }
    centre.online();
    centre.step("G01", followed, did("freight-tracked").value("progress", "已到市内"));
    centre.online();
    // At the customer's, offline: one item of two first, then the rest.
    let first = [centre.item(followed, 0)];
    assert_eq!(centre.refused_step("W01", followed, did("delivered")), RefusalCode::SignatureMissing);
    let receipt = did("delivered").signed("何女士");
    centre.step("W01", followed, receipt.clone().ended(Outcome::Partial).items(&first));
    centre.step("W01", followed, receipt.clone());
    centre.step("W01", lost_sight, receipt);
    centre.all_agree();
    let state = centre.state(followed);
    assert_eq!(state.last("dispatched").unwrap().what.values[&name("ledger")], "发出商品台账第7行");
    assert!(state.seals.iter().any(|seal| seal.step == Some(name("delivered"))), "signed for what was shown");
    assert!(centre.found(followed, "freight-not-tracked").is_empty());
    assert_eq!(centre.found(lost_sight, "freight-not-tracked"), [(Breach, None)]);
}

#[test]
fn article_1_1_payment_that_does_not_come_within_the_companys_30_days_is_found() {
    let mut centre = centre();
    let [paid, late] = ["A1", "A2"].map(|number| complete(&mut centre, number));
    centre.at("2026-12-01 10:00");
    for order in [paid, late] {
        centre.step("C01", order, dispatched());
        centre.online();
        centre.step("W01", order, did("delivered").signed("何女士"));
    }
    centre.online();
    assert_eq!(centre.refused_step("G01", paid, did("settled")), RefusalCode::RoleMissing);
    centre.at("2026-12-12 10:00");
    centre.online();
    centre.at("2026-12-24 10:00");
    centre.online();
    centre.next_at("2026-12-31 23:59:59");
    centre.step("F01", paid, did("settled"));
    centre.next_at("2027-01-01 00:00:00");
    centre.step("F01", late, did("settled"));
    centre.all_agree();
    assert!(centre.found(paid, "payment-late").is_empty());
    assert_eq!(centre.finding(late, "payment-late").days_late, Some(1));
}

#[test]
fn article_1_1_the_order_is_followed_until_it_is_paid() {
    let mut centre = centre();
    let order = complete(&mut centre, "A1");
    centre.in_order(
        order,
        &[
            ("C01", dispatched()),
            ("W01", did("delivered").signed("何女士")),
            ("F01", did("settled")),
            ("G01", did("archived")),
        ],
    );
    assert_eq!(centre.refused_step("G01", order, did("payment-followed")), RefusalCode::Closed);
    assert_eq!(centre.refused_step("D01", order, did("settled")), RefusalCode::RoleMissing);
    centre.all_agree();
}
