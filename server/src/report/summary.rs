//! Summaries by week and month (S6 第十五条, S9 1.6, S12 第九条): one row for each, with the figures of the
//! other reports.

use super::count::{
    Answers, COMPLAINT, COMPLETION, CSAT, FIRST_FIX, IN_FULL, ON_TIME, OTIF, Orders, PUNCTUAL, RESPONSE,
    Repeats, SOLUTION, Waits,
};
use super::orders::total;
use super::people::breaches;
use super::table::{Body, Cell, Column, Kind, Share, Sum, column};
use super::{Period, Report, View};

const COLUMNS: &[Column] = &[
    column("from", Kind::Day, "起", "from"),
    column("to", Kind::Day, "止", "to"),
    column("taken", Kind::Number, "新接订单", "orders taken in").counts(
        "期内接单且未取消的订单。",
        "Orders taken in within the days and not cancelled.",
        "S9 1.6",
    ),
    column("sales", Kind::Money, "销售额", "sales amount").counts(
        "新接订单的总价合计,按币种;只含有权看价者可见的订单。",
        "Totals of the orders taken in, by currency; of those whose prices the person may see.",
        "S9 1.6",
    ),
    column("placed", Kind::Number, "下单", "placed").counts(
        "期内下单且未取消的订单。",
        "Orders placed within the days and not cancelled.",
        "S21 整体流程 1",
    ),
    column("completed", Kind::Number, "完成", "completed").counts(
        "期内走完流程的订单。",
        "Orders that became complete within the days.",
        "S16 5.1",
    ),
    column("completion_rate", Kind::Rate, "订单完成率", "completion rate").counts(
        COMPLETION.0,
        COMPLETION.1,
        "S16 5.1",
    ),
    column("punctual_rate", Kind::Rate, "交付准时率", "on-time delivery rate")
        .counts(PUNCTUAL.0, PUNCTUAL.1, "S16 5.1"),
    column("on_time_rate", Kind::Rate, "明细准时率", "lines on time").counts(ON_TIME.0, ON_TIME.1, "S16 5.1"),
    column("in_full_rate", Kind::Rate, "明细足量率", "lines in full").counts(IN_FULL.0, IN_FULL.1, "S16 5.1"),
    column("otif_rate", Kind::Rate, "准时足量率", "OTIF").counts(OTIF.0, OTIF.1, "S16 5.1"),
    column("tickets", Kind::Number, "新受理售后单", "tickets opened"),
    column("solved", Kind::Number, "解决售后单", "tickets solved"),
    column("response_hours", Kind::Hours, "平均响应工时", "response hours").counts(
        RESPONSE.0,
        RESPONSE.1,
        "S12 第九条",
    ),
    column("solution_hours", Kind::Hours, "平均解决工时", "solution hours").counts(
        SOLUTION.0,
        SOLUTION.1,
        "S12 第九条",
    ),
    column("first_fix_rate", Kind::Rate, "一次修复率", "first-time fix rate").counts(
        FIRST_FIX.0,
        FIRST_FIX.1,
        "S4 第二十条",
    ),
    column("csat", Kind::Average, "满意度", "CSAT").counts(CSAT.0, CSAT.1, "S12 第十三条"),
    column("complaints", Kind::Number, "投诉", "complaints").counts(
        "期内受理的投诉。",
        "Complaints opened within the days.",
        "S11 七 3",
    ),
    column("breaches", Kind::Number, "违反", "breaches").counts(
        "规则判定的违反,其时刻在期内;由人决定。",
        "Breaches that the rules find, whose moment lies within the days; for people to decide about.",
        "S3 三",
    ),
    column("proposed", Kind::Money, "建议金额", "amount proposed").counts(
        "违反的建议金额,乘以涉及的岗位数(「其一」算一个)。",
        "The amounts of breaches, times the roles they are about (one for \"one of\").",
        "S3 三;S21 注意事项",
    ),
];

/// Week by week.
pub const WEEKLY: Report = Report {
    name: "weekly",
    title: ("周报", "Weekly summary"),
    definition: (
        "每周(周一至周日)一行;首末两周按期截断。",
        "A row for each week from Monday to Sunday; the first and last are cut to the days.",
    ),
    clause: "S6 第十五条;S9 1.6;S12 第九条",
    columns: COLUMNS,
    summary: &[],
    judges: true,
    make: |view| rows(view, view.period.weeks()),
};

/// Month by month.
pub const MONTHLY: Report = Report {
    name: "monthly",
    title: ("月报", "Monthly summary"),
    definition: (
        "每月一行;首末两月按期截断。",
        "A row for each month; the first and last are cut to the days.",
    ),
    clause: "S6 第十五条;S12 第九条",
    columns: COLUMNS,
    summary: &[],
    judges: true,
    make: |view| rows(view, view.period.months()),
};

fn rows(view: &View<'_>, pieces: Vec<Period>) -> Body {
    let repeats = Repeats::of(view);
    let row = |period: Period| row(&view.within(period), &repeats);
    Body { rows: pieces.into_iter().map(row).collect(), summary: Vec::new() }
}

fn row(view: &View<'_>, repeats: &Repeats<'_>) -> Vec<Cell> {
    let (mut taken, mut placed, mut completed) = (0, 0, 0);
    let (mut sales, mut orders, mut answers) = (Sum::default(), Orders::default(), Answers::default());
    for order in view.slice.orders.iter().filter(|o| !o.cancelled) {
        if view.has(order.opened_ms) {
            taken += 1;
            total(order).into_iter().for_each(|total| sales.take(total));
        }
        placed += usize::from(view.has(order.placed_ms));
        completed += usize::from(view.has(order.completed_ms));
        orders.take(view, order);
        answers.take(view, &order.answers);
    }
    let (mut opened, mut solved, mut complaints) = (0, 0, 0);
    let (mut waits, mut first_fix) = (Waits::default(), Share::default());
    for ticket in view.tickets() {
        let new = view.has(ticket.opened_ms);
        opened += usize::from(new);
        complaints += usize::from(new && ticket.flow.as_deref() == Some(COMPLAINT));
        solved += usize::from(view.has(ticket.solved_ms));
        waits.take(view, ticket);
        repeats.first_fix(view, ticket).into_iter().for_each(|fixed| first_fix.take(fixed));
        answers.take(view, &ticket.answers);
    }
    let (lines, (breaches, proposed)) = (view.lines(), breaches(view));
    vec![
        Cell::Day(view.period.from),
        Cell::Day(view.period.to),
        Cell::count(taken),
        sales.cell(),
        Cell::count(placed),
        Cell::count(completed),
        Cell::Rate(orders.complete),
        Cell::Rate(orders.punctual),
        Cell::Rate(lines.on_time),
        Cell::Rate(lines.in_full),
        Cell::Rate(lines.both),
        Cell::count(opened),
        Cell::count(solved),
        Cell::Hours(waits.response),
        Cell::Hours(waits.solution),
        Cell::Rate(first_fix),
        Cell::Average(answers.all),
        Cell::count(complaints),
        Cell::count(breaches),
        proposed.cell(),
    ]
}
