//! Reports about orders: what is placed, what is owed, what came into stock, and whether it was on time.

use super::count::{self, COMPLETION, IN_FULL, ON_TIME, OTIF as BOTH, Orders, PUNCTUAL};
use super::table::{Body, Cell, Column, Kind, column};
use super::{Report, View, day};
use crate::projection::slice::OrderRow;
use sync_core::money::{Currency, Money};

const STORE: Column = column("store", Kind::Text, "门店", "store");
const NUMBER: Column = column("number", Kind::Text, "订单号", "order");
const CUSTOMER: Column = column("customer", Kind::Text, "客户", "customer");
const DUE: Column = column("due", Kind::Day, "送货日期", "delivery date");
const PRODUCT: Column = column("product", Kind::Text, "产品", "product");
const MODEL: Column = column("model", Kind::Text, "型号", "model");
const QUANTITY: Column = column("quantity", Kind::Number, "数量", "quantity");

/// Placed and not placed (S21 整体流程 1: 必须清楚知道现有未下单及已下单的数量), in the order of placing.
pub const PLACING: Report = Report {
    name: "placing",
    title: ("排单表", "Placing schedule"),
    definition: (
        "期末前接单而未下单、未完成、未取消的订单,按最迟下单日排列;其后是期内已下单的订单。",
        "Orders taken in by the last day and neither placed, complete nor cancelled, by their last day for placing; then those placed within the days.",
    ),
    clause: "S21 整体流程 1",
    columns: &[
        STORE,
        NUMBER,
        CUSTOMER,
        column("sales", Kind::Text, "导购", "sales"),
        column("taken", Kind::Day, "接单日期", "taken in"),
        DUE,
        column("place_by", Kind::Day, "最迟下单日", "place by").counts(
            "送货日期减去最慢材质的提前天数。",
            "Delivery date less the lead days of the slowest material.",
            "S21 下单时间",
        ),
        column("days_left", Kind::Number, "剩余天数", "days left").counts(
            "到最迟下单日还有几天;负数表示已过。",
            "Days until the last day for placing; negative once it has passed.",
            "S21 注意事项 4",
        ),
        column("cleared", Kind::Flag, "全款或担保", "paid or guaranteed"),
        column("placed", Kind::Flag, "已下单", "placed"),
        column("placed_on", Kind::Day, "下单日期", "placed on"),
        column("total", Kind::Money, "总价", "total"),
    ],
    summary: &[
        column("placed", Kind::Number, "已下单数", "placed"),
        column("not_placed", Kind::Number, "未下单数", "not placed"),
    ],
    judges: false,
    make: placing,
};

/// The total of an order, where it is seen.
pub(super) fn total(order: &OrderRow) -> Option<Money> {
    let currency = Currency::parse(order.currency.as_deref()?).ok()?;
    order.total_minor.map(|minor| Money::new(minor, currency))
}

fn placing(view: &View<'_>) -> Body {
    let local = |ms: i64| view.local(ms).date();
    let waits = |o: &&OrderRow| {
        let taken = o.opened_ms.is_some_and(|ms| local(ms) <= view.period.to);
        taken && o.placed_ms.is_none() && !o.closed && !o.cancelled
    };
    let mut waiting: Vec<&OrderRow> = view.slice.orders.iter().filter(waits).collect();
    let first = |o: &OrderRow| o.place_by.clone().or_else(|| o.due.clone());
    waiting.sort_by_key(|o| (first(o).is_none(), first(o), o.opened_ms));
    let placed: Vec<&OrderRow> =
        view.slice.orders.iter().filter(|o| view.has(o.placed_ms) && !o.cancelled).collect();
    let summary = vec![Cell::count(placed.len()), Cell::count(waiting.len())];
    let row = |o: &OrderRow| {
        let place_by = day(o.place_by.as_ref());
        let left = place_by.filter(|_| o.placed_ms.is_none()).map(|by| (by - view.today).num_days());
        vec![
            Cell::text(o.store_name.clone().unwrap_or_default()),
            Cell::text(&o.number),
            Cell::text(&o.customer),
            Cell::text(view.staff(&o.sales)),
            Cell::day(o.opened_ms.map(local)),
            Cell::day(day(o.due.as_ref())),
            Cell::day(place_by),
            left.map_or(Cell::Empty, Cell::Number),
            Cell::Flag(o.cleared),
            Cell::Flag(o.placed_ms.is_some()),
            Cell::day(o.placed_ms.map(local)),
            total(o).map_or(Cell::Empty, |total| Cell::Money(vec![total])),
        ]
    };
    Body { rows: waiting.into_iter().chain(placed).map(row).collect(), summary }
}

/// Owed dates, and what is late (S21 整体流程 3: 欠货交期).
pub const OWED: Report = Report {
    name: "owed",
    title: ("欠货交期表", "Owed orders"),
    definition: (
        "送货日期不晚于期末、至今未交齐、未完成也未取消的订单;仍欠的一直列出,不论多久。",
        "Orders owed by the last day that are not wholly handed over, complete or cancelled; what is still owed stays listed, however old.",
    ),
    clause: "S21 整体流程 3",
    columns: &[
        STORE,
        NUMBER,
        CUSTOMER,
        DUE,
        column("days_late", Kind::Number, "已迟天数", "days late").counts(
            "今天比送货日期晚几天;未到期为0。",
            "Days that today is past the delivery date; 0 until then.",
            "S21 整体流程 3",
        ),
        column("step", Kind::Text, "当前步骤", "newest step"),
        column("lines", Kind::Number, "明细数", "lines"),
        column("in_stock", Kind::Number, "已入库", "in stock"),
        column("delivered", Kind::Number, "已交付", "handed over"),
        column("owed", Kind::Text, "所欠产品", "owed products"),
    ],
    summary: &[
        column("orders", Kind::Number, "欠货订单数", "owed orders"),
        column("late", Kind::Number, "其中已迟", "late"),
    ],
    judges: false,
    make: owed,
};

fn owed(view: &View<'_>) -> Body {
    let due = |o: &OrderRow| day(o.due.as_ref()).filter(|due| *due <= view.period.to);
    let owes = |o: &&OrderRow| !o.closed && !o.cancelled && o.delivered_day.is_none() && due(o).is_some();
    let mut orders: Vec<&OrderRow> = view.slice.orders.iter().filter(owes).collect();
    orders.sort_by_key(|o| (o.store_name.clone(), due(o), o.number.clone()));
    let late = |o: &OrderRow| due(o).map_or(0, |due| (view.today - due).num_days().max(0));
    let row = |o: &&OrderRow| {
        let missing = o.lines.iter().filter(|l| l.full_day.is_none()).map(|l| l.product.as_str());
        vec![
            Cell::text(o.store_name.clone().unwrap_or_default()),
            Cell::text(&o.number),
            Cell::text(&o.customer),
            Cell::day(due(o)),
            Cell::Number(late(o)),
            Cell::text(view.step_title(o.flow.as_deref(), o.step.as_deref())),
            Cell::count(o.lines.len()),
            Cell::count(o.lines.iter().filter(|l| l.stocked_ms.is_some()).count()),
            Cell::count(o.lines.iter().filter(|l| l.full_day.is_some()).count()),
            Cell::text(missing.collect::<Vec<_>>().join("、")),
        ]
    };
    let summary = vec![Cell::count(orders.len()), Cell::count(orders.iter().filter(|o| late(o) > 0).count())];
    Body { rows: orders.iter().map(row).collect(), summary }
}

/// The newest stock-in of each store (S21 整体流程 3: 最新入库数据).
pub const STOCK_IN: Report = Report {
    name: "stock-in",
    title: ("最新入库表", "Newest stock-in"),
    definition: (
        "最近一次入库在期内的明细,按门店、由新到旧排列。",
        "Lines last counted into stock within the days, by store, the newest first.",
    ),
    clause: "S21 整体流程 3",
    columns: &[
        STORE,
        column("stocked", Kind::Moment, "入库时间", "stocked in"),
        NUMBER,
        CUSTOMER,
        PRODUCT,
        MODEL,
        QUANTITY,
        DUE,
        column("complete", Kind::Flag, "单齐", "order complete").counts(
            "该订单全部明细都已入库。",
            "Every line of the order is in stock.",
            "S21 整体流程 5",
        ),
    ],
    summary: &[],
    judges: false,
    make: stock_in,
};

fn stock_in(view: &View<'_>) -> Body {
    let orders = view.slice.orders.iter().filter(|o| !o.cancelled);
    let lines = orders.flat_map(|o| o.lines.iter().filter_map(move |l| Some((o, l, l.stocked_ms?))));
    let mut lines: Vec<_> = lines.filter(|(_, _, ms)| view.has(Some(*ms))).collect();
    lines.sort_by_key(|(o, _, ms)| (o.store_name.clone(), -ms, o.number.clone()));
    let row = |(o, l, ms): (&OrderRow, &crate::projection::slice::LineRow, i64)| {
        vec![
            Cell::text(o.store_name.clone().unwrap_or_default()),
            Cell::Moment(view.local(ms)),
            Cell::text(&o.number),
            Cell::text(&o.customer),
            Cell::text(&l.product),
            Cell::text(&l.model),
            l.quantity.map_or(Cell::Empty, Cell::Number),
            Cell::day(day(o.due.as_ref())),
            Cell::Flag(o.lines.iter().all(|l| l.stocked_ms.is_some())),
        ]
    };
    Body { rows: lines.into_iter().map(row).collect(), summary: Vec::new() }
}

/// On time and in full, line by line (S16 5.1 订单完成率、订单交付准时率).
pub const OTIF: Report = Report {
    name: "otif",
    title: ("准时足量交付表", "On time and in full"),
    definition: (
        "送货日期在期内、未取消订单的每条明细;日期按生效内容,交付按送货签收记录。",
        "Each line of orders that are owed within the days and not cancelled; dates as in force, deliveries as recorded.",
    ),
    clause: "S16 5.1",
    columns: &[
        STORE,
        NUMBER,
        PRODUCT,
        MODEL,
        QUANTITY,
        DUE,
        column("first_day", Kind::Day, "首次交付", "first handed over"),
        column("full_day", Kind::Day, "全数交付", "wholly handed over"),
        column("on_time", Kind::Flag, "准时", "on time").counts(
            "首次交付不晚于送货日;未到期而未交付为空。",
            "First handed over on the delivery day or before; empty while not due and not handed over.",
            "S16 5.1",
        ),
        column("in_full", Kind::Flag, "足量", "in full").counts(
            "至今已全数交付。",
            "Wholly handed over by now.",
            "S16 5.1",
        ),
        column("both", Kind::Flag, "准时且足量", "on time and in full").counts(
            "不晚于送货日全数交付。",
            "Wholly handed over on the delivery day or before.",
            "S16 5.1",
        ),
    ],
    summary: &[
        column("lines", Kind::Number, "计入明细", "lines counted"),
        column("on_time_rate", Kind::Rate, "准时率", "on-time rate").counts(ON_TIME.0, ON_TIME.1, "S16 5.1"),
        column("in_full_rate", Kind::Rate, "足量率", "in-full rate").counts(IN_FULL.0, IN_FULL.1, "S16 5.1"),
        column("otif_rate", Kind::Rate, "准时足量率", "OTIF").counts(BOTH.0, BOTH.1, "S16 5.1"),
        column("completion_rate", Kind::Rate, "订单完成率", "completion rate").counts(
            COMPLETION.0,
            COMPLETION.1,
            "S16 5.1;S7 第十条 1",
        ),
        column("punctual_rate", Kind::Rate, "订单交付准时率", "on-time delivery rate")
            .counts(PUNCTUAL.0, PUNCTUAL.1, "S16 5.1"),
    ],
    judges: false,
    make: otif,
};

fn otif(view: &View<'_>) -> Body {
    let mut rows = Vec::new();
    let mut orders = Orders::default();
    for order in view.slice.orders.iter().filter(|o| view.owes_within(o) && !o.cancelled) {
        orders.take(view, order);
        for line in &order.lines {
            let flag = |flag: Option<bool>| flag.map_or(Cell::Empty, Cell::Flag);
            let found = count::line(order, line, view.today);
            rows.push(vec![
                Cell::text(order.store_name.clone().unwrap_or_default()),
                Cell::text(&order.number),
                Cell::text(&line.product),
                Cell::text(&line.model),
                line.quantity.map_or(Cell::Empty, Cell::Number),
                Cell::day(day(order.due.as_ref())),
                Cell::day(day(line.first_day.as_ref())),
                Cell::day(day(line.full_day.as_ref())),
                flag(found.map(|f| f.0)),
                flag(found.map(|f| f.1)),
                flag(found.map(|f| f.2)),
            ]);
        }
    }
    let lines = view.lines();
    let summary = vec![
        Cell::Number(i64::from(lines.both.of)),
        Cell::Rate(lines.on_time),
        Cell::Rate(lines.in_full),
        Cell::Rate(lines.both),
        Cell::Rate(orders.complete),
        Cell::Rate(orders.punctual),
    ];
    Body { rows, summary }
}
