//! S21 下单及售后规章制度 (家具): the furniture retailer's hours, lead times, notes, fines and returns.

use gendan_tests::scenario::{Company, Did, Opening, did, name};
use sync_core::command::Command;
use sync_core::fact::kinds::Outcome;
use sync_core::fold::clash::ClashKind;
use sync_core::ids::{DocId, DocKind};
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

const EAST: &str = "城东店";

/// A shop: sales of two stores, the east store's manager, and whoever works for both.
fn shop() -> Company {
    let mut shop = Company::under("furniture");
    shop.people(&[
        ("D01", "sales", Some(EAST)),
        ("D02", "sales", Some("城西店")),
        ("S01", "store-manager", Some(EAST)),
        ("G01", "merchandiser", None),
        ("U01", "supervisor", None),
        ("C01", "warehouse", None),
        ("W01", "crew", None),
        ("F01", "finance", None),
        ("K01", "service-desk", None),
    ]);
    shop
}

/// An order of these materials that is handed in and scheduled.
fn scheduled(shop: &mut Company, number: &str, due: &str, materials: &[&str]) -> DocId {
    let items: Vec<_> = materials.iter().map(|material| ("柜子", Some(*material))).collect();
    let order = shop.open_order("D01", number, Some(EAST), due, &items);
    shop.step("D01", order, did("handed-in"));
    shop.sync(&["D01", "G01"]);
    shop.step("G01", order, did("reviewed"));
    shop.online();
    order
}

fn clear(shop: &mut Company, order: DocId, guarantee: bool) {
    let (method, evidence) = ("转账".to_owned(), Vec::new());
    shop.perform("F01", Command::Clear { doc: order, guarantee, amount: None, method, evidence });
    shop.online();
}

fn notice() -> Did {
    did("notice").text("何女士的柜子请下单")
}

/// It is paid, and the notice to place is given.
fn noticed(shop: &mut Company, order: DocId) {
    clear(shop, order, false);
    shop.step("D01", order, notice());
    shop.online();
}

/// Everything until the delivery note, which is the next thing to do.
fn complete(shop: &mut Company, number: &str, materials: &[&str]) -> DocId {
    let order = scheduled(shop, number, "2026-12-20", materials);
    noticed(shop, order);
    shop.step("G01", order, did("placed"));
    shop.online();
    shop.step("C01", order, did("stocked-in"));
    shop.step("C01", order, did("complete"));
    shop.assign("S01", order, &["W01"], "2026-12-02", "fetched");
    shop.online();
    order
}

fn yuan(amount: &str) -> Option<String> {
    Some(format!("{amount}.00 CNY"))
}

#[test]
fn intake_is_from_17_to_18_and_an_insertion_is_taken_and_may_cost_50_yuan() {
    let mut shop = shop();
    let hours = [("A1", "16:59:59", true), ("A2", "17:00:00", false), ("A3", "17:59:59", false)];
    let hours = [hours.as_slice(), &[("A4", "18:00:00", true)]].concat();
    shop.at("2026-11-24 16:30");
    for (number, ..) in &hours {
        shop.open_order("D01", number, Some(EAST), "2026-12-20", &[("柜子", Some("panel"))]);
    }
    // The salesperson is offline all the while: the hour is that of the work, not of the connection.
    for (number, at, _) in &hours {
        shop.next_at(&format!("2026-11-24 {at}"));
        shop.step("D01", shop.order(number), did("handed-in"));
    }
    shop.at("2026-11-25 09:00");
    shop.online();
    for (number, at, insertion) in &hours {
        let order = shop.order(number);
        let expected = if *insertion { vec![(Breach, yuan("50"))] } else { Vec::new() };
        assert_eq!(shop.found(order, "insertion"), expected, "{at}");
        assert!(shop.state(order).done("handed-in"), "an insertion is allowed, at {at}");
    }
    let found = shop.finding(shop.order("A4"), "insertion");
    assert!(found.clause.starts_with("S21 在此时间外交单属插单"), "{}", found.clause);
    assert_eq!(found.about, [name("sales")]);
    assert!(!shop.holds("D02", shop.order("A4")), "another store's sales see nothing of it");
    shop.all_agree();
}

#[test]
fn placing_is_asked_for_by_text_message_and_only_when_paid_in_full_or_guaranteed() {
    let mut shop = shop();
    let paid = scheduled(&mut shop, "A1", "2026-12-20", &["panel"]);
    let guaranteed = scheduled(&mut shop, "A2", "2026-12-20", &["panel"]);
    assert_eq!(shop.refused_step("D01", paid, notice()), RefusalCode::NotPaid);
    clear(&mut shop, paid, false);
    clear(&mut shop, guaranteed, true);
    assert_eq!(shop.refused_step("D01", paid, did("notice")), RefusalCode::EvidenceMissing);
    assert_eq!(shop.refused_step("D01", paid, did("notice").text("  ")), RefusalCode::EvidenceMissing);
    assert_eq!(shop.refused_step("D01", paid, did("notice").photo("聊天")), RefusalCode::EvidenceMissing);
    assert_eq!(shop.refused_step("G01", paid, notice()), RefusalCode::RoleMissing);
    assert_eq!(shop.refused_step("G01", paid, did("placed")), RefusalCode::StepOrder);
    for order in [paid, guaranteed] {
        shop.step("D01", order, notice());
        shop.online();
        shop.step("G01", order, did("placed"));
    }
    shop.all_agree();
    let state = shop.state(paid);
    assert_eq!(state.last("notice").unwrap().what.evidence[0].text.as_deref(), Some("何女士的柜子请下单"));
    assert!(shop.state(guaranteed).done("placed"));
}

#[test]
fn placing_is_asked_for_from_17_to_18() {
    let mut shop = shop();
    let hours = [("A1", "16:59:59", 1), ("A2", "17:00:00", 0), ("A3", "17:59:59", 0), ("A4", "18:00:00", 1)];
    for (number, ..) in hours {
        let order = scheduled(&mut shop, number, "2026-12-20", &["panel"]);
        clear(&mut shop, order, false);
    }
    for (number, at, _) in hours {
        shop.next_at(&format!("2026-11-24 {at}"));
        shop.step("D01", shop.order(number), notice());
    }
    shop.online();
    for (number, at, outside) in hours {
        assert_eq!(shop.found(shop.order(number), "placing-outside-hours").len(), outside, "{at}");
    }
}

#[test]
fn panel_is_placed_5_days_and_solid_wood_10_days_before_delivery() {
    let mut shop = shop();
    let orders = [
        ("A1", vec!["solid"], "2026-12-10 23:59:59", None),
        ("A2", vec!["solid"], "2026-12-11 00:00:00", Some(1)),
        ("A3", vec!["panel", "solid"], "2026-12-11 17:30:00", Some(1)),
        ("A4", vec!["panel"], "2026-12-15 23:59:59", None),
        ("A5", vec!["panel"], "2026-12-17 00:00:00", Some(2)),
    ];
    for (number, materials, ..) in &orders {
        let order = scheduled(&mut shop, number, "2026-12-20", materials);
        noticed(&mut shop, order);
    }
    shop.at("2026-12-06 09:00");
    shop.online();
    for (number, _, at, _) in &orders {
        shop.next_at(at);
        shop.step("G01", shop.order(number), did("placed"));
    }
    shop.online();
    for (number, _, at, late) in &orders {
        let order = shop.order(number);
        assert_eq!(shop.found(order, "placed-late").len(), usize::from(late.is_some()), "{number} at {at}");
        if late.is_some() {
            let found = shop.finding(order, "placed-late");
            assert_eq!((found.verdict, found.days_late), (Breach, *late), "{number} at {at}");
            assert_eq!(found.clause, "S21 下单时间:板木提前5天、实木提前10天");
            assert_eq!(found.about, [name("merchandiser")], "the notice was in time");
            assert!(shop.found(order, "notice-late").is_empty());
        }
    }
}

#[test]
fn the_notice_counts_and_not_the_date_of_the_contract_that_was_handed_in() {
    let mut shop = shop();
    let order = scheduled(&mut shop, "A1", "2026-12-20", &["panel"]);
    clear(&mut shop, order, false);
    // The customer changes the date; offline, in the shop. It is only proposed.
    shop.edit("D01", order, "delivery_date", "2027-01-30");
    shop.online();
    assert_eq!(shop.in_force(order, "delivery_date").as_deref(), Some("2026-12-20"));
    assert_eq!(shop.refused("D01", Command::Approve(order, None)), RefusalCode::RoleMissing);
    assert_eq!(shop.told("U01", order), [NoticeKind::Proposal]);
    shop.perform("U01", Command::Approve(order, None));
    shop.online();
    assert_eq!(shop.in_force(order, "delivery_date").as_deref(), Some("2027-01-30"));
    // The day that the handed-in contract named comes: nobody places without a notice, nobody owes one.
    shop.at("2026-12-16 09:00");
    shop.online();
    assert_eq!(shop.refused_step("G01", order, did("placed")), RefusalCode::StepOrder);
    assert!(shop.found(order, "placing-due").is_empty());
    shop.at("2027-01-25 17:30");
    shop.online();
    shop.step("D01", order, notice());
    shop.online();
    shop.step("G01", order, did("placed"));
    shop.all_agree();
    assert!(shop.found(order, "placed-late").is_empty(), "in time for the date that is in force");
}

#[test]
fn process_1_the_merchandiser_knows_offline_what_is_placed_and_what_is_not() {
    let mut shop = shop();
    let orders = ["A1", "A2", "A3"].map(|number| scheduled(&mut shop, number, "2026-12-20", &["panel"]));
    noticed(&mut shop, orders[1]);
    shop.step("G01", orders[1], did("placed"));
    // Not synced since: this is what the merchandiser's own device says.
    let device = &shop.world.sites["G01"].device;
    let rows = device.rows(DocKind::Order).unwrap();
    let (placed, open): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.step == Some(name("placed")));
    assert_eq!(placed.iter().map(|row| row.doc).collect::<Vec<_>>(), [orders[1]]);
    assert_eq!(open.len(), 2);
    assert!(rows.iter().all(|row| row.due.as_deref() == Some("2026-12-20")), "with the day that each is due");
}

#[test]
fn process_2_the_customer_is_asked_again_before_placing() {
    let mut shop = shop();
    let asked = scheduled(&mut shop, "A1", "2026-12-20", &["panel"]);
    let unasked = scheduled(&mut shop, "A2", "2026-12-20", &["panel"]);
    shop.step("D01", asked, did("reconfirmed"));
    for order in [asked, unasked] {
        noticed(&mut shop, order);
        shop.step("G01", order, did("placed"));
    }
    // Asked when it was placed already: that mends nothing.
    shop.online();
    shop.step("D01", unasked, did("reconfirmed"));
    shop.all_agree();
    assert!(shop.found(asked, "not-reconfirmed").is_empty());
    let found = shop.finding(unasked, "not-reconfirmed");
    assert_eq!((found.verdict, found.about), (Breach, vec![name("sales")]));
    assert_eq!(found.clause, "S21 整体流程 2:下单前必须跟客户再次确认");
}

#[test]
fn remarks_4_the_day_for_placing_is_reminded_of_and_costs_both_sides_50_yuan_once_it_has_passed() {
    let mut shop = shop();
    let [idle, reminded, asked] =
        ["A1", "A2", "A3"].map(|number| scheduled(&mut shop, number, "2026-12-20", &["panel"]));
    clear(&mut shop, asked, false);
    shop.at("2026-12-14 23:58");
    shop.online();
    assert!(shop.found(idle, "placing-due").is_empty(), "it is not the day yet");
    shop.at("2026-12-15 00:00");
    assert_eq!(shop.found(idle, "placing-due"), [(Due, None)]);
    shop.at("2026-12-15 00:01");
    for who in ["G01", "D01"] {
        assert!(shop.told(who, idle).contains(&NoticeKind::Reminder), "{who} is reminded by their device");
    }
    assert!(shop.told("D02", idle).is_empty());
    shop.next_at("2026-12-15 17:30:00");
    shop.step("D01", asked, notice());
    let bare = did("reminded");
    assert_eq!(shop.refused_step("G01", reminded, bare), RefusalCode::EvidenceMissing, "以短信文字作为证据");
    shop.next_at("2026-12-15 23:59:59");
    shop.step("G01", reminded, did("reminded").text("请尽快下单"));
    shop.at("2026-12-16 00:00");
    shop.online();
    assert!(shop.found(asked, "placing-due").is_empty());
    assert_eq!(
        shop.found(reminded, "placing-due"),
        [(Due, None)],
        "one side acted; it is still to be placed"
    );
    let found = shop.finding(idle, "placing-due");
    assert_eq!((found.verdict, found.amount.map(|a| a.to_string())), (Breach, yuan("50")));
    assert_eq!((found.about, found.one_of), (vec![name("sales"), name("merchandiser")], false));
    assert_eq!(found.clause, "S21 注意事项 4:两方各罚款50元/次");
}

#[test]
fn process_3_stock_figures_and_owed_dates_go_to_the_store_manager_before_the_note() {
    let mut shop = shop();
    let [told, untold] = ["A1", "A2"].map(|number| complete(&mut shop, number, &["panel"]));
    assert_eq!(shop.refused_step("G01", told, did("stock-told")), RefusalCode::ValueMissing);
    shop.step("G01", told, did("stock-told").value("owed", "余1件,12月1日到"));
    for order in [told, untold] {
        shop.step("G01", order, did("delivery-note"));
    }
    shop.all_agree();
    let (_, state) = shop.world.sites["S01"].device.state(told).unwrap();
    assert_eq!(state.last("stock-told").unwrap().what.values[&name("owed")], "余1件,12月1日到");
    assert!(shop.found(told, "stock-not-told").is_empty());
    let found = shop.finding(untold, "stock-not-told");
    assert_eq!(
        (found.about, found.clause.as_str()),
        (vec![name("merchandiser")], "S21 整体流程 3:及时提供给各店长")
    );
}

#[test]
fn process_5_goods_leave_within_3_days_of_the_note_or_it_costs_10_20_40_and_doubles_on() {
    let mut shop = shop();
    let order = complete(&mut shop, "A1", &["panel"]);
    shop.at("2026-12-01 10:00");
    shop.step("G01", order, did("delivery-note"));
    shop.online();
    shop.at("2026-12-04 23:59");
    let due = shop.finding(order, "fetched-late");
    assert_eq!((due.verdict, due.due_ms), (Due, Some(shop.moment("2026-12-05 00:00"))));
    for (day, amount) in [("05", "10"), ("06", "20"), ("07", "40"), ("08", "80")] {
        shop.at(&format!("2026-12-{day} 00:00"));
        assert_eq!(shop.found(order, "fetched-late"), [(Breach, yuan(amount))], "on the {day}th");
    }
    shop.next_at("2026-12-08 09:00:00");
    shop.step("W01", order, did("fetched"));
    shop.at("2026-12-20 09:00");
    shop.all_agree();
    let found = shop.finding(order, "fetched-late");
    assert_eq!(found.amount.map(|a| a.to_string()), yuan("80"), "fetching ends it");
    assert_eq!((found.days_late, found.about), (Some(4), vec![name("store-manager")]));
    assert!(found.clause.contains("第一天10元、第二天20元、第三天40元"), "{}", found.clause);
}

#[test]
fn process_5_half_of_it_in_time_is_not_all_of_it_and_overbooked_deliveries_are_excused() {
    let mut shop = shop();
    let [half, late, overbooked] =
        ["A1", "A2", "A3"].map(|number| complete(&mut shop, number, &["panel", "panel"]));
    shop.at("2026-12-01 10:00");
    for order in [half, late, overbooked] {
        shop.step("G01", order, did("delivery-note"));
    }
    shop.online();
    // Fetched on the last second of the third day, and on the first of the fourth; the crew is offline.
    let first = [shop.item(half, 0)];
    shop.next_at("2026-12-04 23:59:59");
    shop.step("W01", half, did("fetched").ended(Outcome::Partial).items(&first));
    shop.next_at("2026-12-05 00:00:00");
    shop.step("W01", late, did("fetched"));
    assert_eq!(shop.refused_step("W01", overbooked, did("overbooked")), RefusalCode::RoleMissing);
    assert_eq!(shop.refused_step("S01", overbooked, did("overbooked")), RefusalCode::EvidenceMissing);
    shop.step("S01", overbooked, did("overbooked").text("本周单满,下周一送"));
    shop.at("2026-12-05 09:00");
    shop.online();
    assert_eq!(shop.found(half, "fetched-late"), [(Breach, yuan("10"))], "不管是先送一半或全送");
    let other = [shop.item(half, 1)];
    shop.step("W01", half, did("fetched").ended(Outcome::Partial).items(&other));
    shop.at("2026-12-10 09:00");
    shop.online();
    assert_eq!(shop.found(half, "fetched-late"), [(Breach, yuan("10"))], "the last part ended it");
    assert_eq!(shop.found(late, "fetched-late"), [(Breach, yuan("10"))]);
    assert!(shop.found(overbooked, "fetched-late").is_empty(), "除单太多,送不过来");
}

#[test]
fn process_5_only_the_store_manager_says_that_scarce_goods_stand_in_the_small_warehouse() {
    let mut shop = shop();
    let order = complete(&mut shop, "A1", &["panel"]);
    assert_eq!(shop.refused_step("G01", shop.order("A1"), did("external-crew")), RefusalCode::RoleMissing);
    shop.step("G01", order, did("delivery-note"));
    shop.online();
    for who in ["W01", "C01", "D01"] {
        assert_eq!(shop.refused_step(who, order, did("store-parked")), RefusalCode::RoleMissing, "{who}");
    }
    shop.step("S01", order, did("store-parked").text("货量稀缺,先提至小仓库"));
    shop.step("S01", order, did("external-crew"));
    shop.all_agree();
    assert_eq!(shop.state(order).last("store-parked").unwrap().said.by, shop.person("S01"));
}

#[test]
fn processes_1_to_6_run_in_their_order_to_the_settled_order() {
    let mut shop = shop();
    let order = shop.open_order("D01", "A1", Some(EAST), "2026-12-20", &[("柜子", Some("panel"))]);
    shop.edit("D01", order, "total", "2808.00 CNY");
    clear_offline_later(&mut shop, order);
    shop.in_order(
        order,
        &[
            ("D01", did("handed-in")),
            ("G01", did("reviewed")),
            ("D01", notice()),
            ("G01", did("placed")),
            ("C01", did("stocked-in")),
            ("G01", did("complete")),
            ("G01", did("delivery-note")),
            ("W01", did("fetched")),
            ("W01", did("delivered").signed("何女士")),
            ("F01", did("settled")),
        ],
    );
    assert_eq!(shop.refused_step("G01", order, did("expedited")), RefusalCode::Closed);
    shop.all_agree();
    // A crew holds the job and no price; another store holds neither.
    let money = order.facet(DocKind::OrderMoney);
    assert!(shop.world.sites["F01"].device.state(money).is_ok());
    for who in ["W01", "C01", "D02"] {
        assert!(shop.world.sites[who].device.state(money).is_err(), "{who} holds no prices");
    }
    assert!(!shop.holds("D02", order));
}

/// The order is opened everywhere, paid, and has its crew, who sees no order but those assigned.
fn clear_offline_later(shop: &mut Company, order: DocId) {
    shop.online();
    assert!(!shop.holds("W01", order), "nothing was assigned yet");
    clear(shop, order, false);
    shop.assign("S01", order, &["W01"], "2026-12-18", "delivered");
    shop.online();
    assert!(shop.holds("W01", order));
}

#[test]
fn process_6_a_delivery_that_was_signed_offline_stands_against_a_cancellation() {
    let mut shop = shop();
    let order = complete(&mut shop, "A1", &["panel"]);
    shop.step("G01", order, did("delivery-note"));
    shop.online();
    assert_eq!(shop.refused_step("W01", order, did("delivered").signed("何女士")), RefusalCode::StepOrder);
    shop.step("W01", order, did("fetched"));
    assert_eq!(shop.refused_step("W01", order, did("delivered")), RefusalCode::SignatureMissing);
    shop.step("W01", order, did("delivered").signed("何女士"));
    shop.perform("U01", Command::Cancel(order, "客户改主意".into(), Vec::new()));
    assert_eq!(
        shop.refused("D01", Command::Cancel(order, "客户改主意".into(), Vec::new())),
        RefusalCode::RoleMissing
    );
    shop.online();
    let state = shop.state(order);
    assert!(!state.is_cancelled() && state.done("delivered"));
    assert_eq!(state.clashes.iter().map(|c| &c.kind).collect::<Vec<_>>(), [&ClashKind::CancelledButDone]);
    assert_eq!(shop.told("U01", order), [NoticeKind::Clash]);
    let (left, right) = (state.clashes[0].left, state.clashes[0].right);
    let reason = "已经签收".to_owned();
    shop.perform("U01", Command::Settle { doc: order, left, right, keep: left, reason });
    shop.all_agree();
    assert_eq!(shop.state(order).clashes[0].settled.as_ref().unwrap().keep, left);
    assert!(shop.told("U01", order).is_empty());
}

#[test]
fn remarks_1_returns_are_confirmed_from_the_15th_to_the_20th_and_sales_are_told_before() {
    let mut shop = shop();
    let days = [
        ("T1", "2026-12-14 23:59:59", 1),
        ("T2", "2026-12-15 00:00:00", 0),
        ("T3", "2026-12-20 23:59:59", 0),
        ("T4", "2026-12-21 00:00:00", 1),
    ];
    for (number, ..) in days {
        let wish = Opening { store: Some(EAST), ..Opening::default() };
        let ticket = shop.open("D01", "return", number, wish);
        shop.step("D01", ticket, did("requested"));
        shop.sync(&["D01", "G01"]);
        shop.step("G01", ticket, did("recorded").value("cause", "quality-defect"));
    }
    shop.step("G01", shop.ticket("T2"), did("sales-told").text("今天暂停接单"));
    shop.online();
    let (_, seen) = shop.world.sites["D01"].device.state(shop.ticket("T2")).unwrap();
    assert!(seen.done("sales-told"), "the salesperson's device says so");
    assert_eq!(shop.refused_step("D01", shop.ticket("T2"), did("confirmed")), RefusalCode::RoleMissing);
    shop.at("2026-12-14 09:00");
    shop.online();
    for (number, at, _) in days {
        shop.next_at(at);
        shop.step("G01", shop.ticket(number), did("confirmed"));
    }
    shop.all_agree();
    for (number, at, outside) in days {
        assert_eq!(shop.found(shop.ticket(number), "returns-outside-days").len(), outside, "{at}");
    }
    assert!(shop.found(shop.ticket("T2"), "sales-not-told").is_empty());
    let found = shop.finding(shop.ticket("T3"), "sales-not-told");
    assert_eq!(
        (found.about, found.clause.as_str()),
        (vec![name("merchandiser")], "S21 注意事项 1:跟单必须提前通知导购员")
    );
}

#[test]
fn remarks_1_on_the_day_of_a_return_intake_and_placing_rest_and_sales_are_told_before() {
    let mut shop = shop();
    let early = scheduled(&mut shop, "A1", "2027-01-20", &["panel"]);
    let late = shop.open_order("D02", "A2", Some("城西店"), "2027-01-20", &[("柜子", None)]);
    shop.at("2026-12-10 09:00");
    shop.online();
    let rest = |day: &str| Command::SuspendIntake(day.into(), "集中退货".into());
    assert_eq!(shop.refused("D01", rest("2026-12-18")), RefusalCode::RoleMissing);
    for day in ["2026-12-14", "2026-12-21", "2028-01-18", "12月18日"] {
        assert_eq!(shop.refused("G01", rest(day)), RefusalCode::ValueInvalid, "{day}");
    }
    shop.perform("G01", rest("2026-12-17"));
    shop.perform("G01", rest("2026-12-18"));
    // One device does not hear of it.
    shop.sync(&["G01", "D01", "S01", "U01"]);
    let directory = DocId::directory(shop.world.company());
    for (who, told) in [("D01", 2), ("S01", 2), ("G01", 0), ("D02", 0)] {
        assert_eq!(shop.told(who, directory), vec![NoticeKind::Reminder; told], "{who}");
    }
    let instead = Command::ResumeIntake("2026-12-17".into(), "改为18日".into());
    shop.perform("G01", instead);
    shop.sync(&["G01", "D01", "U01"]);
    assert_eq!(shop.told("D01", directory).len(), 1);
    shop.at("2026-12-18 17:30");
    assert_eq!(shop.refused("G01", rest("2026-12-18")), RefusalCode::AlreadyExists);
    assert_eq!(shop.refused("G01", rest("2026-12-16")), RefusalCode::TooLate);
    shop.step("D02", late, did("handed-in"));
    clear(&mut shop, early, false);
    assert_eq!(shop.held(late), [RefusalCode::IntakeSuspended], "nothing is lost, and it says why");
    assert!(!shop.state(late).did("handed-in"));
    assert_eq!(shop.refused_step("D01", early, notice()), RefusalCode::IntakeSuspended);
    shop.at("2026-12-19 17:30");
    shop.online();
    assert!(shop.told("D01", directory).is_empty(), "the day is over");
    shop.step("D01", early, notice());
    shop.all_agree();
    assert!(shop.state(early).done("notice"));
}

#[test]
fn remarks_2_an_order_not_placed_or_wrongly_placed_costs_the_merchandiser_50_yuan_each() {
    let mut shop = shop();
    let order = scheduled(&mut shop, "A1", "2026-12-20", &["panel"]);
    assert_eq!(shop.refused_step("S01", order, did("not-placed")), RefusalCode::StepOrder);
    noticed(&mut shop, order);
    assert_eq!(shop.refused_step("G01", order, did("not-placed")), RefusalCode::RoleMissing);
    assert_eq!(shop.refused_step("S01", order, did("not-placed")), RefusalCode::EvidenceMissing);
    shop.step("S01", order, did("not-placed").text("通知两天未下单"));
    shop.step("S01", order, did("not-placed").text("又未下单"));
    shop.all_agree();
    assert_eq!(shop.found(order, "not-placed"), [(Breach, yuan("50")), (Breach, yuan("50"))]);
    let found = shop.findings(order).into_iter().find(|f| f.rule == *"not-placed").unwrap();
    assert_eq!(
        (found.about, found.clause.as_str()),
        (vec![name("merchandiser")], "S21 注意事项 2:罚款50元/次")
    );
}

#[test]
fn remarks_3_a_wrong_order_costs_30_yuan_an_item_after_the_note_and_50_once_goods_were_fetched() {
    let mut shop = shop();
    let order = complete(&mut shop, "A1", &["panel", "panel", "panel"]);
    let two = [shop.item(order, 0), shop.item(order, 1)];
    let wrong = || did("wrong-order").value("by", "D01").text("颜色与短信不符");
    let unnamed = did("wrong-order").text("颜色与短信不符");
    assert_eq!(shop.refused_step("G01", order, unnamed), RefusalCode::ValueMissing);
    shop.step("G01", order, wrong());
    shop.step("G01", order, did("delivery-note"));
    shop.step("G01", order, wrong().items(&two));
    shop.online();
    shop.step("W01", order, did("fetched"));
    shop.online();
    shop.step("G01", order, wrong().items(&two[..1]));
    shop.step("G01", order, wrong());
    shop.all_agree();
    let amounts = [None, yuan("60"), yuan("50"), yuan("150")];
    assert_eq!(shop.found(order, "wrong-order"), amounts.map(|amount| (Breach, amount)));
    let found = shop.findings(order).into_iter().find(|f| f.rule == *"wrong-order").unwrap();
    assert!(found.one_of, "it is for the one who did it, sales or merchandiser");
    assert_eq!(found.about, [name("sales"), name("merchandiser")]);
    assert_eq!(found.clause, "S21 注意事项 3:单已打30元/件,货已提50元/件");
}

#[test]
fn everything_goes_by_written_evidence_and_a_found_amount_is_only_proposed() {
    let mut shop = shop();
    shop.people(&[("B01", "hr", None)]);
    let order = shop.open_order("D01", "A1", Some(EAST), "2026-12-20", &[("柜子", Some("panel"))]);
    shop.step("D01", order, did("handed-in"));
    shop.online();
    assert_eq!(shop.found(order, "insertion"), [(Breach, yuan("50"))], "it is Monday morning");
    let about = |number| Opening { about: Some(number), order: Some(order), ..Opening::default() };
    let by_sales = Opening { about: Some("G01"), ..Opening::default() };
    assert_eq!(shop.refused_open("D01", "conduct", "J0", by_sales), RefusalCode::RoleMissing);
    let record = shop.open("S01", "conduct", "J1", about("D01"));
    assert_eq!(
        shop.refused_step("S01", record, did("proposed").value("kind", "fine").text("11月23日短信")),
        RefusalCode::ValueMissing
    );
    let proposed = || did("proposed").value("kind", "fine").value("reason", "插单,50元");
    assert_eq!(shop.refused_step("S01", record, proposed()), RefusalCode::EvidenceMissing);
    shop.step("S01", record, proposed().text("11月23日短信"));
    shop.online();
    shop.step("B01", record, did("reviewed"));
    assert_eq!(shop.refused_step("B01", record, did("notified")), RefusalCode::EvidenceMissing);
    assert_eq!(shop.refused_step("B01", record, did("published")), RefusalCode::StepOrder);
    shop.online();
    assert!(!shop.state(record).holds() && !shop.holds("D01", record), "nothing is in force, or told, yet");
    shop.step("B01", record, did("notified").text("您11月23日插单,拟罚款50元"));
    shop.step("B01", record, did("published"));
    shop.all_agree();
    assert!(shop.state(record).holds() && shop.holds("D01", record));
}

#[test]
fn after_sales_is_handled_from_15_to_17_and_each_cause_is_told_apart() {
    let mut shop = shop();
    let hours = [
        ("T1", "14:59:59", "quality-defect", 1),
        ("T2", "15:00:00", "whole-order", 0),
        ("T3", "16:59:59", "size-mismatch", 0),
        ("T4", "17:00:00", "registration-error", 1),
    ];
    shop.at("2026-11-24 14:00");
    for (number, ..) in hours {
        let wish = Opening { store: Some(EAST), urgency: Some("normal"), ..Opening::default() };
        let ticket = shop.open("D01", "complaint", number, wish);
        shop.step("D01", ticket, did("requested"));
    }
    shop.online();
    assert_eq!(shop.refused_step("K01", shop.ticket("T1"), did("recorded")), RefusalCode::ValueMissing);
    assert_eq!(shop.refused_step("K01", shop.ticket("T1"), did("proposed")), RefusalCode::StepOrder);
    let other = did("recorded").value("cause", "客户不喜欢");
    assert_eq!(shop.refused_step("K01", shop.ticket("T1"), other), RefusalCode::ValueInvalid);
    for (number, at, cause, _) in hours {
        shop.next_at(&format!("2026-11-24 {at}"));
        shop.step("K01", shop.ticket(number), did("recorded").value("cause", cause));
    }
    shop.all_agree();
    let causes: Vec<_> = hours.iter().map(|(_, _, cause, _)| name(cause)).collect();
    assert!(shop.policy.causes.len() == 4 && shop.policy.causes.keys().all(|cause| causes.contains(cause)));
    for (number, at, _, outside) in hours {
        let ticket = shop.ticket(number);
        assert_eq!(shop.found(ticket, "after-sales-outside-hours").len(), outside, "{at}");
        assert!(!shop.holds("D02", ticket));
    }
    let found = shop.finding(shop.ticket("T4"), "after-sales-outside-hours");
    assert_eq!(found.clause, "S21 跟单售后处理时间");
}
