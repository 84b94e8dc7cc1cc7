//! S20 跟单部门规章制度: six days of eight hours, visitors accompanied, customer material in custody, and nothing
//! that leaves the factory without the superior's approval.

use chrono::Weekday::{Fri, Mon, Sat, Thu, Tue, Wed};
use gendan_tests::scenario::{Company, Did, Opening, did, name};
use sync_core::command::Command;
use sync_core::ids::DocId;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

const OURS: &str = "甲组";
const THEIRS: &str = "乙组";

/// A factory with two groups of merchandisers, each with its supervisor.
fn factory() -> Company {
    let mut factory = Company::under("foreign-trade");
    factory.people(&[
        ("D01", "sales", Some(OURS)),
        ("G01", "merchandiser", Some(OURS)),
        ("G02", "merchandiser", Some(THEIRS)),
        ("U01", "supervisor", Some(OURS)),
        ("U02", "supervisor", Some(THEIRS)),
        ("X01", "department-manager", None),
        ("P01", "planner", None),
        ("I01", "inspector", None),
        ("C01", "warehouse", None),
        ("K01", "clerk", None),
        ("F01", "finance", None),
    ]);
    factory
}

fn handed_in(factory: &mut Company, number: &str) -> DocId {
    let order = factory.open_order("D01", number, Some(OURS), "2027-01-20", &[("挂钟", None)]);
    factory.step("D01", order, did("handed-in"));
    factory.online();
    order
}

fn filed() -> Did {
    did("filed").checked(&["content-correct", "content-complete"])
}

/// A matter of a flow that the group's merchandiser opens.
fn matter(factory: &mut Company, flow: &str, number: &str) -> DocId {
    let wish = Opening { store: Some(OURS), fields: &[("customer", "Smith & Co")], ..Opening::default() };
    let matter = factory.open("G01", flow, number, wish);
    factory.online();
    matter
}

/// Customer material that is received and stored.
fn stored(factory: &mut Company, number: &str) -> DocId {
    let custody = matter(factory, "custody", number);
    factory.step("G01", custody, received());
    factory.step("G01", custody, did("stored").value("place", "样品柜3层"));
    custody
}

fn received() -> Did {
    did("received").value("what", "色布样版").value("quantity", "12").photo("来料")
}

#[test]
fn article_1_1_work_is_on_six_days_from_monday_to_saturday_of_eight_hours_each() {
    let mut factory = factory();
    let calendar = factory.policy.calendar.clone();
    assert_eq!(calendar.days, [Mon, Tue, Wed, Thu, Fri, Sat]);
    let hours = calendar.hours.iter().map(|period| (period.to - period.from).num_hours());
    assert_eq!(hours.sum::<i64>(), 8);
    // Eight hours to file an order: those of Friday evening end on Saturday, those of Saturday on Monday.
    for (number, from, before, after) in [
        ("A1", "2026-11-27 17:00", "2026-11-28 16:59", "2026-11-28 17:01"),
        ("A2", "2026-11-28 17:30", "2026-11-30 17:29", "2026-11-30 17:31"),
    ] {
        factory.at(from);
        let order = handed_in(&mut factory, number);
        factory.at(before);
        assert_eq!(factory.finding(order, "filed-late").verdict, Due, "{before}");
        factory.at(after);
        let found = factory.finding(order, "filed-late");
        assert_eq!((found.verdict, found.escalate_to), (Breach, Some(name("supervisor"))), "{after}");
    }
    factory.all_agree();
}

#[test]
fn article_1_1_overtime_goes_no_later_than_22_30() {
    let mut factory = factory();
    let [timely, late] = ["A1", "A2"].map(|number| handed_in(&mut factory, number));
    // At the desk at night, without a connection.
    factory.next_at("2026-11-23 22:29:59");
    factory.step("G01", timely, filed());
    factory.next_at("2026-11-23 22:30:00");
    factory.step("G01", late, filed());
    factory.at("2026-11-24 08:00");
    factory.all_agree();
    assert!(factory.found(timely, "overtime-too-late").is_empty());
    let found = factory.finding(late, "overtime-too-late");
    assert_eq!((found.verdict, found.step), (Breach, name("filed")));
    assert_eq!(found.clause, "S20 一.1:晚上加班时间不得超过22:30");
    assert!(factory.state(late).done("filed"), "the work itself stands");
}

#[test]
fn article_1_2_visitors_are_accompanied_from_their_arrival_to_their_departure() {
    let mut factory = factory();
    let [with, alone] = ["V1", "V2"].map(|number| matter(&mut factory, "visit", number));
    assert_eq!(
        factory.refused_step("K01", with, did("arrived").value("visitor", "QC")),
        RefusalCode::RoleMissing
    );
    assert_eq!(factory.refused_step("G01", with, did("arrived")), RefusalCode::ValueMissing);
    for early in ["accompanied", "departed"] {
        assert_eq!(factory.refused_step("G01", with, did(early)), RefusalCode::StepOrder, "{early}");
    }
    // On the shop floor, offline throughout.
    for visit in [with, alone] {
        factory.step("G01", visit, did("arrived").value("visitor", "客户QC"));
    }
    factory.steps(with, &[("G01", "accompanied"), ("G01", "accompanied"), ("G01", "departed")]);
    factory.step("G01", alone, did("departed"));
    assert_eq!(factory.refused_step("G01", alone, did("accompanied")), RefusalCode::Closed);
    factory.all_agree();
    assert!(factory.found(with, "not-accompanied").is_empty());
    let found = factory.finding(alone, "not-accompanied");
    assert_eq!((found.about, found.clause.as_str()), (vec![name("merchandiser")], "S20 一.2:必须全程陪同"));
}

#[test]
fn article_3_1_reference_material_goes_back_to_where_it_was_taken() {
    let mut factory = factory();
    let [back, kept] = ["R1", "R2"].map(|number| matter(&mut factory, "reference", number));
    let taken = || did("taken").value("what", "布版").value("place", "A柜2层");
    assert_eq!(
        factory.refused_step("G01", back, did("taken").value("what", "布版")),
        RefusalCode::ValueMissing
    );
    assert_eq!(factory.refused_step("G01", back, did("put-back")), RefusalCode::StepOrder);
    factory.at("2026-12-01 10:00");
    for reference in [back, kept] {
        factory.step("G01", reference, taken());
    }
    factory.next_at("2026-12-04 23:59:59");
    factory.step("G01", back, did("put-back"));
    factory.at("2026-12-05 00:00");
    factory.all_agree();
    assert!(factory.found(back, "reference-not-put-back").is_empty());
    assert_eq!(factory.finding(kept, "reference-not-put-back").days_late, Some(1));
}

#[test]
fn article_4_1_customer_material_is_received_with_a_photo_and_stored_at_its_place() {
    let mut factory = factory();
    let custody = matter(&mut factory, "custody", "L1");
    let bare = did("received").value("what", "色布样版").value("quantity", "12");
    assert_eq!(factory.refused_step("G01", custody, bare), RefusalCode::EvidenceMissing);
    let uncounted = did("received").value("what", "色布样版").photo("来料");
    assert_eq!(factory.refused_step("G01", custody, uncounted), RefusalCode::ValueMissing);
    assert_eq!(
        factory.refused_step("G01", custody, did("stored").value("place", "地上")),
        RefusalCode::StepOrder
    );
    factory.step("G01", custody, received());
    assert_eq!(factory.refused_step("G01", custody, did("stored")), RefusalCode::ValueMissing);
    factory.online();
    factory.step("C01", custody, did("stored").value("place", "样品柜3层"));
    factory.all_agree();
    // Another group's people have nothing of it; the clerk, who keeps the desk, has.
    assert!(factory.holds("K01", custody) && factory.holds("U01", custody));
    assert!(!factory.holds("G02", custody) && !factory.holds("U02", custody));
}

#[test]
fn article_4_1_a_loss_is_recorded_and_the_merchandiser_answers_for_all_of_it() {
    let mut factory = factory();
    let custody = stored(&mut factory, "L1");
    factory.online();
    assert_eq!(
        factory.refused_step("F01", custody, did("compensated").value("amount", "300")),
        RefusalCode::StepOrder
    );
    assert_eq!(factory.refused_step("K01", custody, did("lost")), RefusalCode::ValueMissing);
    factory.step("K01", custody, did("lost").value("loss", "缺2件"));
    factory.online();
    let found = factory.finding(custody, "material-lost");
    assert_eq!((found.verdict, found.about), (Breach, vec![name("merchandiser")]));
    assert_eq!(found.clause, "S20 四.1:跟单负责全部赔偿");
    assert!(factory.policy.penalties.iter().any(|grade| grade.id == *"compensation"));
    let paid = did("compensated").value("amount", "300");
    assert_eq!(factory.refused_step("G01", custody, paid.clone()), RefusalCode::RoleMissing);
    factory.step("F01", custody, paid);
    factory.all_agree();
    assert_eq!(factory.refused_step("G01", custody, did("kept").value("place", "仓库")), RefusalCode::Closed);
}

#[test]
fn article_4_2_all_of_it_is_returned_at_once_when_the_customer_asks_for_it() {
    let mut factory = factory();
    let [timely, late, kept] = ["L1", "L2", "L3"].map(|number| stored(&mut factory, number));
    let returned = || did("returned").photo("退还的样版");
    assert_eq!(factory.refused_step("G01", timely, returned()), RefusalCode::StepOrder);
    factory.step("G01", timely, did("sample-made"));
    factory.at("2026-12-01 10:00");
    for custody in [timely, late] {
        factory.step("G01", custody, did("return-asked"));
    }
    assert_eq!(factory.refused_step("G01", timely, did("returned")), RefusalCode::EvidenceMissing);
    assert_eq!(factory.refused_step("G01", kept, did("kept")), RefusalCode::ValueMissing);
    factory.step("G01", kept, did("kept").value("place", "样品仓"));
    factory.next_at("2026-12-02 21:59:59");
    factory.step("G01", timely, returned());
    factory.next_at("2026-12-03 06:00:00");
    factory.step("G01", late, returned());
    factory.all_agree();
    assert!(factory.found(timely, "not-returned").is_empty());
    assert!(factory.found(kept, "not-returned").is_empty(), "nobody asked for it");
    let found = factory.finding(late, "not-returned");
    assert_eq!((found.days_late, found.about), (Some(1), vec![name("merchandiser")]));
    assert!(found.clause.starts_with("S20 四.2:第一时间退还"), "{}", found.clause);
}

#[test]
fn article_5_1_no_goods_leave_before_the_superior_has_approved() {
    let mut factory = factory();
    let order = handed_in(&mut factory, "A1");
    let papers = did("documents-complete").documents(&["contract", "packing-list", "invoice"]);
    factory.in_order(
        order,
        &[("G01", filed()), ("G01", papers), ("G01", did("freight-arranged").value("way", "海运"))],
    );
    factory.in_order(
        order,
        &[
            ("G01", did("placed")),
            ("P01", did("in-production")),
            ("P01", did("produced")),
            ("I01", did("inspected").checked(&["quality"])),
        ],
    );
    for who in ["C01", "G01"] {
        assert_eq!(factory.refused_step(who, order, did("shipped")), RefusalCode::StepOrder, "{who}");
        assert_eq!(factory.refused_step(who, order, did("gate-pass")), RefusalCode::RoleMissing, "{who}");
    }
    assert_eq!(
        factory.refused_step("U02", order, did("gate-pass")),
        RefusalCode::NotFound,
        "another group's"
    );
    // The superior approves offline: the gate knows nothing of it until both have synced.
    factory.step("U01", order, did("gate-pass"));
    assert_eq!(factory.refused_step("C01", order, did("shipped")), RefusalCode::StepOrder);
    factory.online();
    factory.step("C01", order, did("shipped"));
    factory.all_agree();
    assert!(factory.state(order).done("shipped"));
}

#[test]
fn article_5_1_no_half_product_is_carried_out_before_the_superior_has_approved() {
    let mut factory = factory();
    let asked = || did("requested").value("goods", "半成品3件").value("reason", "送客户确认");
    let [approved, declined, doubtful] =
        ["H1", "H2", "H3"].map(|number| matter(&mut factory, "carry-out", number));
    assert_eq!(
        factory.refused_step("G01", approved, did("requested").value("goods", "3件")),
        RefusalCode::ValueMissing
    );
    for request in [approved, declined, doubtful] {
        factory.step("G01", request, asked());
        assert_eq!(factory.refused_step("G01", request, did("left")), RefusalCode::StepOrder);
        assert_eq!(factory.refused_step("G01", request, did("gate-pass")), RefusalCode::RoleMissing);
    }
    factory.online();
    factory.step("U01", approved, did("gate-pass"));
    factory.step("U01", declined, did("declined").value("reason", "客户资料未脱敏"));
    // Two superiors decide apart, and not alike: nothing leaves.
    factory.step("U01", doubtful, did("declined").value("reason", "再议"));
    factory.step("X01", doubtful, did("gate-pass"));
    factory.online();
    factory.step("G01", approved, did("left"));
    for request in [declined, doubtful] {
        assert_eq!(factory.refused_step("C01", request, did("left")), RefusalCode::Closed);
    }
    factory.all_agree();
    assert!(factory.state(approved).done("left"));
    let by_group = Command::Note(approved, "看看".into());
    assert_eq!(factory.refused("G02", by_group), RefusalCode::NotFound, "another group has no sight of it");
}
