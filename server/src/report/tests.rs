//! Reports over a small made-up company ([`shop`]), every figure computed by hand beside it; and over rows
//! made by hand, at the moments where a figure begins and ends.

mod shop;
mod written;

use serde_json::{Value, json};
use sync_core::command::{Command, Record};
use sync_core::fact::kinds::Evidence;
use sync_core::ids::{BlobHash, DocKind, PersonId, StoreId};
use sync_core::policy::check;

use super::table::{Mean, Share};
use super::*;
use crate::log::Tag;
use crate::projection::query::{CaseFilter, CaseKind, Sort, SortBy};
use crate::projection::slice::{OrderRow, TicketRow};
use shop::{COMPANY, LATER, Shop, as_json, date, mean, ms, name, november, order, pick, rate, ticket};

#[tokio::test]
async fn a_line_is_on_time_until_the_last_second_of_its_day_and_in_full_when_all_of_it_came() {
    let shop = Shop::november();
    let report = shop.json("otif", LATER).await;
    let rows = pick(&report, &["number", "product", "first_day", "full_day", "on_time", "in_full", "both"]);
    let expected = json!([
        ["O1", "餐桌", "2026-11-20", "2026-11-20", true, true, true],
        ["O1", "椅子", "2026-11-20", "2026-11-20", true, true, true],
        ["O2", "餐桌", "2026-11-20", "2026-11-20", true, true, true],
        ["O2", "椅子", "2026-11-21", "2026-11-21", false, true, false],
        ["O3", "餐桌", null, null, false, false, false],
    ]);
    assert_eq!(rows, expected);
    let summary = json!({
        "lines": 5, "on_time_rate": rate(3, 5), "in_full_rate": rate(4, 5), "otif_rate": rate(3, 5),
        "completion_rate": rate(1, 3), "punctual_rate": rate(1, 3),
    });
    assert_eq!(report["summary"], summary);
    // On its own day an order that did not come yet is not late yet.
    let before = shop.json("otif", "2026-11-30T23:59:59").await;
    let summary = json!({
        "lines": 4, "on_time_rate": rate(3, 4), "in_full_rate": rate(4, 4), "otif_rate": rate(3, 4),
        "completion_rate": rate(1, 2), "punctual_rate": rate(1, 2),
    });
    assert_eq!((&before["summary"], &before["rows"][4]["on_time"]), (&summary, &Value::Null));
}

#[tokio::test]
async fn what_is_placed_owed_and_in_stock_is_listed() {
    let shop = Shop::november();
    let placing = shop.json("placing", LATER).await;
    // Solid wood is placed 10 days before delivery; item 1 of each order is solid.
    let expected = json!([
        ["O3", "2026-11-20", -11, false, null, "2808.00 CNY"],
        ["O4", "2026-12-15", 14, false, null, "2808.00 CNY"],
        ["O1", "2026-11-10", null, true, "2026-11-05", "2808.00 CNY"],
        ["O2", "2026-11-10", null, true, "2026-11-06", "2808.00 CNY"],
    ]);
    assert_eq!(
        pick(&placing, &["number", "place_by", "days_left", "placed", "placed_on", "total"]),
        expected
    );
    assert_eq!(placing["summary"], json!({ "placed": 2, "not_placed": 2 }));
    let owed = shop.json("owed", LATER).await;
    assert_eq!(
        pick(&owed, &["number", "days_late", "lines", "in_stock", "delivered", "owed"]),
        json!([["O3", 1, 1, 0, 0, "餐桌"],])
    );
    assert_eq!(owed["summary"], json!({ "orders": 1, "late": 1 }));
    let stock = shop.json("stock-in", LATER).await;
    assert_eq!(
        pick(&stock, &["number", "product", "stocked", "complete"]),
        json!([
            ["O2", "餐桌", "2026-11-16T10:00:00", true],
            ["O2", "椅子", "2026-11-16T10:00:00", true],
            ["O1", "餐桌", "2026-11-15T10:00:00", true],
            ["O1", "椅子", "2026-11-15T10:00:00", true],
        ])
    );
}

#[tokio::test]
async fn waiting_counts_working_hours_without_pauses_and_a_repeat_is_no_first_fix() {
    let shop = Shop::november();
    let service = shop.json("service", LATER).await;
    let columns = [
        "opened",
        "solved",
        "response_hours",
        "response_kept",
        "solution_hours",
        "solution_kept",
        "first_fix_rate",
        "csat",
        "csat_questions",
        "csat_unread",
    ];
    let questions = "csat 5.00 (1)";
    let expected = json!([
        [1, 1, mean(0.5, 1), rate(1, 1), mean(2.0, 1), rate(1, 1), null, null, null, 0],
        [1, 0, mean(9.0, 1), rate(0, 1), null, null, null, null, null, 0],
        [1, 1, mean(0.5, 1), rate(1, 1), mean(2.0, 1), rate(1, 1), rate(0, 1), mean(5.0, 1), questions, 1],
        [3, 2, mean(3.33, 3), rate(2, 3), mean(2.0, 2), rate(2, 2), rate(0, 1), mean(5.0, 1), questions, 1],
    ]);
    assert_eq!(pick(&service, &columns), expected, "complaint, repair normal, repair urgent, all");
    let complaints = shop.json("complaints", LATER).await;
    let columns =
        ["cause", "complaints", "share", "tickets", "solved", "escalated", "solution_hours", "channels"];
    assert_eq!(
        pick(&complaints, &columns),
        json!([
            ["登记错误 / error of registration", 1, rate(1, 1), 1, 1, 1, mean(2.0, 1), "phone 1"],
            ["未判定 / not named", 0, rate(0, 1), 2, 1, 0, mean(2.0, 1), "phone 2"],
        ])
    );
}

#[tokio::test]
async fn each_person_counts_by_what_they_took_part_in() {
    let mut shop = Shop::november();
    let complained = shop.json("people", LATER).await;
    assert_eq!(pick(&complained, &["complaints"]), json!([[0], [0]]), "nobody found it justified yet");
    shop.request("2026-11-29T10:00:00", "T4", "complaint", "O2", None);
    let cause = [(name("cause"), "registration-error".to_owned())].into();
    let recorded = Record { values: cause, ..Record::done(name("recorded")) };
    shop.record("2026-12-01T09:00:00", ticket("T4"), recorded);
    shop.step("2026-12-01T09:30:00", ticket("T4"), "justified");
    let people = shop.json("people", LATER).await;
    let columns = [
        "number",
        "completed",
        "completion_rate",
        "punctual_rate",
        "csat",
        "complaints",
        "solved",
        "solution_hours",
    ];
    assert_eq!(
        pick(&people, &columns),
        json!([
            ["M01", 1, rate(1, 3), rate(1, 3), mean(5.0, 1), 1, 2, mean(2.0, 2)],
            ["S01", 1, rate(1, 2), rate(1, 2), null, 1, 0, null],
        ])
    );
}

/// S9 1.4 (1) 合同签订率; S17 项目订单.
#[tokio::test]
async fn contracts_are_counted_of_opportunities_alone_and_projects_are_orders() {
    let mut shop = Shop::new("general");
    let begun = "2026-11-02T10:00:00";
    let open = |shop: &mut Shop, flow: &str, number: &str| {
        let fields = [("customer", "何女士"), ("phone", "13800000000"), ("delivery_date", "2026-11-20")];
        let opening = Command::OpenCase {
            flow: name(flow),
            number: number.into(),
            store: None,
            urgency: None,
            order: None,
            about: None,
            channel: None,
            fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        };
        shop.at(begun, opening);
        order(number)
    };
    let with = |step: &str, values: &[(&str, &str)], contract: bool| Record {
        values: values.iter().map(|(key, said)| (name(key), (*said).to_owned())).collect(),
        evidence: contract
            .then(|| Evidence::document(name("contract"), BlobHash::of(b"contract"), "application/pdf"))
            .into_iter()
            .collect(),
        ..Record::done(name(step))
    };
    // Of three opportunities one is signed, one lost, one goes on; the project is none of them.
    for number in ["P1", "P2", "P3"] {
        let doc = open(&mut shop, "opportunity", number);
        shop.record(begun, doc, with("needs", &[("needs", "沙发")], false));
    }
    for step in ["presented", "quoted"] {
        shop.step(begun, order("P1"), step);
    }
    shop.record(begun, order("P1"), with("contract", &[], true));
    shop.record(begun, order("P2"), with("lost", &[("reason", "预算")], false));
    let project = open(&mut shop, "project", "X1");
    shop.record(begun, project, with("needs", &[("needs", "酒店大堂")], false));
    let ranking = shop.json("ranking", LATER).await;
    let rows = ranking["rows"].as_array().unwrap();
    let contracts = rows.iter().find(|row| row["measure"].as_str().unwrap().contains("合同签订率"));
    assert_eq!(contracts.unwrap()["rate"], rate(1, 2));
    let owed = shop.json("owed", LATER).await;
    assert_eq!(
        pick(&owed, &["number", "days_late", "step"]),
        json!([["X1", 11, "客户需求沟通 / needs taken with the customer"]])
    );
}

#[tokio::test]
async fn findings_are_those_of_the_documents_at_that_moment() {
    let shop = Shop::november();
    let footing = shop.relay.footing();
    for now in ["2026-11-24T12:00:00", LATER] {
        let report = shop.json("findings", now).await;
        let mut expected = Vec::new();
        let orders = ["O1", "O2", "O3", "O4", "O5"].map(order);
        for doc in orders.into_iter().chain(["T1", "T2", "T3"].map(ticket)) {
            let found = shop.relay.document(doc).unwrap().unwrap();
            let state = sync_core::fold::fold(&found, &footing.rules());
            let case = sync_core::findings::case_of(&found, &state, &footing.rules()).unwrap();
            let findings = sync_core::findings::findings(&found, &state, &footing.rules(), ms(now));
            let within = findings.into_iter().filter(|f| {
                let moment = f.moment(&case).unwrap_or(case.opened_ms);
                (ms("2026-11-01T00:00:00")..ms("2026-12-01T00:00:00")).contains(&moment)
            });
            let number = state.opened.as_ref().unwrap().what.number.clone();
            expected.extend(
                within.map(|f| (number.clone(), f.rule.to_string(), f.amount.map(|a| a.to_string()))),
            );
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let rows = report["rows"].as_array().unwrap().iter();
        let mut found: Vec<_> = rows
            .map(|r| (text(&r["number"]).unwrap(), text(&r["rule"]).unwrap(), text(&r["amount"])))
            .collect();
        found.sort();
        expected.sort();
        assert!(!found.is_empty());
        assert_eq!(found, expected, "as of {now}");
    }
    // The placing day of O3 was the 20th: neither side acted, 50 yuan for each of the two roles. The last part
    // of O2 came a day late: 50 more.
    let report = shop.json("findings", LATER).await;
    let rows = report["rows"].as_array().unwrap();
    let due = rows.iter().find(|r| r["number"] == "O3" && r["rule"] == "placing-due").unwrap();
    assert_eq!((&due["amount"], &due["verdict"]), (&json!("50.00 CNY"), &json!("违反 / breach")));
    assert_eq!(report["summary"]["amount"], "150.00 CNY");
}

#[tokio::test]
async fn weeks_and_months_are_cut_to_the_days_and_add_up() {
    let shop = Shop::november();
    let asked = Asked { from: Some(date("2026-10-15")), to: Some(date("2026-12-01")), ..november(LATER) };
    let months = as_json(&shop.report("monthly", asked).await.unwrap());
    let columns = [
        "from",
        "to",
        "taken",
        "sales",
        "placed",
        "completed",
        "completion_rate",
        "otif_rate",
        "tickets",
        "solved",
        "first_fix_rate",
        "csat",
        "complaints",
        "breaches",
    ];
    let breaches = shop.json("findings", LATER).await["summary"]["breaches"].clone();
    let expected = json!([
        ["2026-10-15", "2026-10-31", 0, null, 0, 0, null, null, 0, 0, null, null, 0, 0],
        [
            "2026-11-01",
            "2026-11-30",
            4,
            "11232.00 CNY",
            2,
            1,
            rate(1, 3),
            rate(3, 5),
            3,
            2,
            rate(0, 1),
            mean(5.0, 1),
            1,
            breaches
        ],
        ["2026-12-01", "2026-12-01", 0, null, 0, 0, null, null, 0, 0, null, null, 0, 1],
    ]);
    // O3 was owed until the end of November: it is late from the first moment of December on.
    let december = Asked { from: Some(date("2026-12-01")), to: Some(date("2026-12-01")), ..november(LATER) };
    let found = as_json(&shop.report("findings", december).await.unwrap());
    let late = json!([["2026-12-01T00:00:00", "O3", "late-delivery", "违反 / breach", 1]]);
    assert_eq!(pick(&found, &["moment", "number", "rule", "verdict", "days_late"]), late);
    assert_eq!(pick(&months, &columns), expected);
    let weeks = shop.json("weekly", LATER).await;
    let days = json!([
        ["2026-11-01", "2026-11-01", 0],
        ["2026-11-02", "2026-11-08", 2],
        ["2026-11-09", "2026-11-15", 1],
        ["2026-11-16", "2026-11-22", 0],
        ["2026-11-23", "2026-11-29", 1],
        ["2026-11-30", "2026-11-30", 0],
    ]);
    assert_eq!(pick(&weeks, &["from", "to", "taken"]), days);
}

#[tokio::test]
async fn a_person_is_told_of_what_they_see_only_and_of_money_only_with_its_scope() {
    let shop = Shop::november();
    let west = StoreId::named(COMPANY, "城西店");
    let tags = Tags::from([Tag::Store(west, DocKind::Order), Tag::Store(west, DocKind::Ticket)]);
    let asked = |tags: &Tags| Asked { visible_to: Some(tags.clone()), ..november(LATER) };
    let placing = as_json(&shop.report("placing", asked(&tags)).await.unwrap());
    assert_eq!(pick(&placing, &["number", "total"]), json!([["O3", null], ["O4", null]]));
    let found = as_json(&shop.report("findings", asked(&tags)).await.unwrap());
    let amounts = pick(&found, &["number", "amount"]);
    assert!(amounts.as_array().unwrap().iter().all(|row| row[0] == "O3" && row[1].is_null()), "{amounts}");
    let service = as_json(&shop.report("service", asked(&tags)).await.unwrap());
    assert_eq!(pick(&service, &["opened", "csat"]), json!([[0, null]]));
    let with_money = tags.iter().copied().chain([Tag::Store(west, DocKind::OrderMoney)]).collect();
    let monthly = as_json(&shop.report("monthly", asked(&with_money)).await.unwrap());
    assert_eq!(pick(&monthly, &["taken", "sales"]), json!([[2, "5616.00 CNY"]]));
    let east = Asked { store: Some(StoreId::named(COMPANY, "城东店")), ..november(LATER) };
    let otif = as_json(&shop.report("otif", east).await.unwrap());
    assert_eq!((&otif["summary"]["lines"], &otif["store"]), (&json!(4), &json!("城东店")));
}

#[tokio::test]
async fn a_closed_order_is_found_by_two_characters_of_what_its_customer_said() {
    let projection = Shop::november().rows().await;
    for (text, expected) in [("划痕", &["O1"][..]), ("收货", &["O1"]), ("痕先", &[]), ("担保", &["O1", "O2"])]
    {
        let filter = CaseFilter {
            text: Some(text.into()),
            kind: Some(CaseKind::Order),
            closed: Some(text != "担保").filter(|closed| *closed),
            ..CaseFilter::default()
        };
        let sort = Sort { by: SortBy::Number, descending: false };
        let page = projection.list(&filter, sort, None, 10).await.unwrap();
        let numbers: Vec<_> = page.rows.into_iter().map(|row| row.number).collect();
        assert_eq!(numbers, expected, "{text}");
    }
    assert_eq!(projection.check(ms(LATER)).await.unwrap(), [], "and the file says what the log says");
}

#[tokio::test]
async fn a_rate_of_nothing_is_empty_and_a_period_is_bounded() {
    let shop = Shop::november();
    let asked =
        |from: &str, to: &str| Asked { from: Some(date(from)), to: Some(date(to)), ..november(LATER) };
    let empty = as_json(&shop.report("otif", asked("2025-01-01", "2025-12-31")).await.unwrap());
    assert_eq!(empty["rows"], json!([]));
    let rates = ["on_time_rate", "in_full_rate", "otif_rate", "completion_rate", "punctual_rate"];
    assert!(rates.iter().all(|rate| empty["summary"][rate].is_null()), "{empty}");
    for (from, to) in [("2026-11-02", "2026-11-01"), ("2024-01-01", "2025-01-01")] {
        let refused = shop.report("otif", asked(from, to)).await;
        assert!(matches!(refused, Err(ProjectionError::Question { code: "period_invalid" })), "{from} {to}");
    }
    let usual = shop.report("otif", Asked { from: None, to: None, ..november(LATER) }).await.unwrap();
    assert_eq!((usual.from, usual.to), (date("2026-12-01"), date("2026-12-01")));
}

/// A view of one slice made by hand, as of a day's noon.
fn viewed<T>(slice: &Slice, today: &str, look: impl FnOnce(&View<'_>) -> T) -> T {
    let policy = Policy::parse(check::shipped("furniture").unwrap()).unwrap();
    let footing = Footing::default();
    look(&View {
        slice,
        period: Period { from: date("2026-11-01"), to: date("2026-11-30") },
        store: None,
        whose: None,
        footing: &footing,
        policy: &policy,
        calendar: WorkCalendar::of(&policy),
        today: date(today),
        now_ms: ms(&format!("{today}T12:00:00")),
    })
}

#[test]
fn a_first_fix_is_one_visit_and_nothing_of_the_same_customer_for_thirty_days() {
    let solved = ms("2026-11-10T10:00:00");
    let days = |n: i64| solved + n * 24 * 3_600_000;
    let first = TicketRow {
        doc: "ticket:1".into(),
        order_doc: "order:1".into(),
        phone: "13800000000".into(),
        opened_ms: Some(days(-1)),
        solved_ms: Some(solved),
        visits: 1,
        ..TicketRow::default()
    };
    let other = |opened_ms: i64, order: &str, phone: &str| TicketRow {
        doc: "ticket:2".into(),
        order_doc: order.into(),
        phone: phone.into(),
        opened_ms: Some(opened_ms),
        ..TicketRow::default()
    };
    let cancelled = TicketRow { cancelled: true, ..other(days(1), "order:1", "") };
    for (tickets, expected) in [
        (vec![first.clone()], Some(true)),
        (vec![TicketRow { visits: 2, ..first.clone() }], Some(false)),
        (vec![TicketRow { visits: 0, ..first.clone() }], None),
        (vec![TicketRow { solved_ms: None, ..first.clone() }], None),
        (vec![first.clone(), other(days(30), "order:1", "")], Some(false)),
        (vec![first.clone(), other(days(30) + 1, "order:1", "")], Some(true)),
        (vec![first.clone(), other(days(3), "order:2", " 13800000000")], Some(false)),
        (vec![first.clone(), other(days(3), "order:2", "13900000000")], Some(true)),
        (vec![first.clone(), other(solved, "order:1", "")], Some(true)),
        (vec![first.clone(), other(days(3), "", "")], Some(true)),
        (vec![first.clone(), cancelled], Some(true)),
    ] {
        let slice = Slice { tickets, ..Slice::default() };
        let found =
            viewed(&slice, "2026-12-31", |view| count::Repeats::of(view).first_fix(view, &slice.tickets[0]));
        assert_eq!(found, expected, "{:?}", slice.tickets);
    }
}

#[test]
fn an_order_counts_once_its_day_has_passed_or_it_came() {
    let order = |due: &str, delivered: Option<&str>, completed: Option<&str>| OrderRow {
        due: Some(due.into()),
        delivered_day: delivered.map(str::to_owned),
        completed_ms: completed.map(ms),
        ..OrderRow::default()
    };
    let share = |part, of| Share { part, of };
    let early = order("2026-11-20", Some("2026-11-19"), Some("2026-11-19T10:00:00"));
    for (order, complete, punctual) in [
        (early.clone(), share(1, 1), share(1, 1)),
        (order("2026-11-30", Some("2026-11-20"), None), share(0, 0), share(1, 1)),
        (order("2026-11-19", Some("2026-11-20"), None), share(0, 1), share(0, 1)),
        (order("2026-11-19", None, None), share(0, 1), share(0, 1)),
        (order("2026-11-20", None, None), share(0, 0), share(0, 0)),
        (order("2026-10-31", None, None), share(0, 0), share(0, 0)),
        (order("2026-12-01", Some("2026-11-20"), None), share(0, 0), share(0, 0)),
        (OrderRow { cancelled: true, ..early }, share(0, 0), share(0, 0)),
        (OrderRow { due: None, ..order("2026-11-20", None, None) }, share(0, 0), share(0, 0)),
    ] {
        let found = viewed(&Slice::default(), "2026-11-20", |view| {
            let mut orders = count::Orders::default();
            orders.take(view, &order);
            orders
        });
        assert_eq!((found.complete, found.punctual), (complete, punctual), "{order:?}");
    }
}

#[test]
fn averages_round_half_up_and_none_is_none() {
    let mean = |sum, of| Mean { sum, of };
    for (mean, unit, expected) in [
        (mean(0, 0), 1, None),
        (mean(0, 3), 1, Some(0)),
        (mean(10, 3), 1, Some(333)),
        (mean(14, 3), 1, Some(467)),
        (mean(9, 8), 1, Some(113)),
        (mean(5_400_000, 1), 3_600_000, Some(150)),
        (mean(i64::MAX, 1), 3_600_000, Some(256_204_778_801_522)),
    ] {
        assert_eq!(mean.hundredths(unit), expected, "{mean:?} in {unit}");
    }
}

#[test]
fn every_report_says_what_it_counts_and_by_which_clause() {
    let figure = |column: &&Column| {
        use table::Kind::{Average, Hours, Rate};
        matches!(column.kind, Rate | Average | Hours)
    };
    let mut names = std::collections::BTreeSet::new();
    for report in &REPORTS {
        assert!(names.insert(report.name), "{} twice", report.name);
        assert!(report.clause.starts_with('S'), "{} names no section", report.name);
        for column in report.columns.iter().chain(report.summary).filter(figure) {
            let (zh, en) = column.definition;
            assert!(
                !zh.is_empty() && !en.is_empty(),
                "{}/{} says not what it counts",
                report.name,
                column.name
            );
            assert!(column.clause.starts_with('S'), "{}/{} names no clause", report.name, column.name);
        }
    }
}

#[tokio::test]
async fn places_are_counted_within_a_role_by_the_policys_own_measures() {
    let mut shop = Shop::november();
    for number in ["S01", "S02", "S03"] {
        shop.at("2026-12-01T09:00:00", Command::AddPerson(number.into(), format!("员工{number}")));
        let person = PersonId::staffed(COMPANY, number);
        shop.at(
            "2026-12-01T09:00:01",
            Command::GrantRole(person, name("sales"), None, ms("2026-10-01T09:00:00")),
        );
    }
    for (number, about, teamwork) in [("K1", "S01", "4"), ("K2", "S02", "4"), ("K3", "S03", "5")] {
        shop.appraise("2026-11-28T10:00:00", number, about, teamwork);
    }
    let ranking = shop.json("ranking", LATER).await;
    let of = |role: &str, measure: &str| -> Vec<Value> {
        let rows = ranking["rows"].as_array().unwrap().iter();
        let theirs = rows.filter(|row| {
            row["role"].as_str().unwrap().contains(role) && row["measure"].as_str().unwrap().contains(measure)
        });
        theirs.map(|row| json!([row["place"], row["number"], row["rate"], row["average"]])).collect()
    };
    assert_eq!(
        of("导购", "团队协作"),
        [
            json!([1, "S03", null, mean(5.0, 1)]),
            json!([2, "S01", null, mean(4.0, 1)]),
            json!([2, "S02", null, mean(4.0, 1)]),
        ]
    );
    assert_eq!(of("导购", "准时"), [json!([1, "S01", rate(1, 2), null])], "who has no orders has no place");
    assert_eq!(of("领导", "准时"), [json!([1, "M01", rate(1, 3), null])]);
    // Who may not assess others sees their own places among all, and nobody else's.
    let own = Asked { whose: Some(PersonId::staffed(COMPANY, "S02")), ..november(LATER) };
    let own = as_json(&shop.report("ranking", own).await.unwrap());
    let rows: Vec<Value> = own["rows"].as_array().unwrap().iter().map(|row| row["number"].clone()).collect();
    assert!(!rows.is_empty() && rows.iter().all(|number| *number == *"S02"), "{rows:?}");
    let rated = own["rows"].as_array().unwrap().iter().find(|row| !row["average"].is_null()).unwrap();
    assert_eq!(rated["place"], json!(2));
    let own = Asked { whose: Some(PersonId::staffed(COMPANY, "S01")), ..november(LATER) };
    let own = as_json(&shop.report("people", own).await.unwrap());
    assert_eq!(pick(&own, &["number"]), json!([["S01"]]));
}
