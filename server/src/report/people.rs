//! Reports about people: what the rules find, and what each person's work came to.
//!
//! Both count; neither judges. An order or ticket counts for everyone who took part in it: took it in,
//! sold it or recorded a step of it, so figures compare people of the same role.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sync_core::ids::PersonId;
use sync_core::money::{Currency, Money};
use sync_core::policy::judge::Verdict;

use super::count::{Answers, COMPLETION, CSAT, Orders, PUNCTUAL};
use super::table::{Body, Cell, Kind, Mean, Sum, column};
use super::{Report, View, both};
use crate::projection::slice::FoundRow;

/// What the rules find: proposals, for people to decide about (S3 三, S21 注意事项).
pub const FINDINGS: Report = Report {
    name: "findings",
    title: ("制度判定表", "Findings"),
    definition: (
        "规则判定的情形,其时刻(到期时刻或最新依据,取较晚者)在期内;只是建议,由人决定。到此刻为止。",
        "What the rules find, whose moment (when it was due, or its newest fact, whichever is later) lies within the days; proposals, for people to decide about. As of now.",
    ),
    clause: "S3 三;S21 注意事项",
    columns: &[
        column("moment", Kind::Moment, "时刻", "moment"),
        column("store", Kind::Text, "门店", "store"),
        column("number", Kind::Text, "单号", "number"),
        column("kind", Kind::Text, "类型", "kind"),
        column("rule", Kind::Text, "规则", "rule"),
        column("title", Kind::Text, "情形", "finding"),
        column("clause", Kind::Text, "条款", "clause"),
        column("verdict", Kind::Text, "判定", "verdict").counts(
            "违反;到期未做(尚未违反);时间不可信,无法判定。",
            "A breach; due and not yet a breach; not decidable by the times that are known.",
            "",
        ),
        column("about", Kind::Text, "涉及岗位", "about").counts(
            "涉及的岗位;「其一」指其中做此事的一人。",
            "The roles it is about; \"one of\" where it is the one of them who did it.",
            "",
        ),
        column("amount", Kind::Money, "建议金额", "amount proposed").counts(
            "制度对每个涉及者建议的金额。",
            "What the policy proposes for each whom it is about.",
            "",
        ),
        column("penalty", Kind::Text, "建议处分", "penalty proposed"),
        column("days_late", Kind::Number, "迟延天数", "days late"),
        column("trusted_time", Kind::Flag, "时间可信", "trusted time"),
    ],
    summary: &[
        column("breaches", Kind::Number, "违反", "breaches"),
        column("amount", Kind::Money, "建议金额合计", "amount proposed in all").counts(
            "违反的建议金额,乘以涉及的岗位数(「其一」算一个)。",
            "The amounts of breaches, times the roles they are about (one for \"one of\").",
            "",
        ),
    ],
    judges: true,
    make: findings,
};

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Breach => "违反 / breach",
        Verdict::Due => "到期未做 / due",
        Verdict::Undecidable => "无法判定 / undecidable",
    }
}

/// Breaches within the days, and what is proposed for them in all.
pub(super) fn breaches(view: &View<'_>) -> (usize, Sum) {
    let (mut count, mut sum) = (0, Sum::default());
    for found in view.slice.found.iter().filter(|f| view.has(Some(f.moment_ms))) {
        let finding = &found.finding;
        if finding.verdict != Verdict::Breach {
            continue;
        }
        count += 1;
        let each = if finding.one_of { 1 } else { i64::try_from(finding.about.len()).unwrap_or(1).max(1) };
        if let Some(amount) = finding.amount.and_then(|amount| amount.checked_mul(each).ok()) {
            sum.take(amount);
        }
    }
    (count, sum)
}

fn findings(view: &View<'_>) -> Body {
    let role = |name: &sync_core::ids::Name| {
        view.policy.roles.get(name).map_or_else(|| name.to_string(), |role| both(&role.title))
    };
    let penalty = |name: &sync_core::ids::Name| {
        let grade = view.policy.penalties.iter().find(|grade| grade.id == *name);
        grade.map_or_else(|| name.to_string(), |grade| both(&grade.title))
    };
    let row = |found: &FoundRow| {
        let finding = &found.finding;
        let about = finding.about.iter().map(role).collect::<Vec<_>>().join("、");
        let about = if finding.one_of { format!("其一 / one of: {about}") } else { about };
        vec![
            Cell::Moment(view.local(found.moment_ms)),
            Cell::text(found.store_name.clone().unwrap_or_default()),
            Cell::text(&found.number),
            Cell::text(view.flow_title(found.flow.as_deref())),
            Cell::text(finding.rule.to_string()),
            Cell::text(both(&finding.title)),
            Cell::text(&finding.clause),
            Cell::text(verdict(finding.verdict)),
            Cell::text(about),
            finding.amount.map_or(Cell::Empty, |amount| Cell::Money(vec![amount])),
            finding.penalty.as_ref().map_or(Cell::Empty, |name| Cell::text(penalty(name))),
            finding.days_late.map_or(Cell::Empty, |days| Cell::Number(i64::from(days))),
            Cell::Flag(finding.trusted_time),
        ]
    };
    let (count, sum) = breaches(view);
    Body { rows: view.slice.found.iter().map(row).collect(), summary: vec![Cell::count(count), sum.cell()] }
}

/// Per person (S3 四, S4 第二十条, S7 第十条, S16 5): the base for the rankings of month and year.
pub const PEOPLE: Report = Report {
    name: "people",
    title: ("人员考核表", "People"),
    definition: (
        "参与了所列订单或售后单的每个人;接单、销售或记录过步骤即为参与。同岗位之间可比。无考核权限者只看到自己。",
        "Everyone who took part in an order or ticket that counts: took it in, sold it or recorded a step. Compare people of one role. Who may not assess others sees themselves alone.",
    ),
    clause: "S3 四;S4 第二十条;S7 第十条;S16 5",
    columns: &[
        column("number", Kind::Text, "工号", "staff number"),
        column("name", Kind::Text, "姓名", "name"),
        column("roles", Kind::Text, "岗位", "roles"),
        column("completed", Kind::Number, "完成订单", "orders completed").counts(
            "参与的订单中,期内走完流程的数量。",
            "Orders they took part in that became complete within the days.",
            "S16 5.1;S3 四 1",
        ),
        column("completion_rate", Kind::Rate, "订单完成率", "completion rate").counts(
            COMPLETION.0,
            COMPLETION.1,
            "S7 第十条 1;S16 5.1",
        ),
        column("punctual_rate", Kind::Rate, "交付准时率", "on-time rate").counts(
            PUNCTUAL.0,
            PUNCTUAL.1,
            "S16 5.1",
        ),
        column("csat", Kind::Average, "满意度", "CSAT").counts(
            CSAT.0,
            CSAT.1,
            "S3 四 2;S4 第二十条;S7 第十条 2",
        ),
        column("csat_answers", Kind::Number, "答复数", "answers"),
        column("complaints", Kind::Number, "有效投诉", "justified complaints").counts(
            "期内受理、指向其参与的订单、经查实的投诉。",
            "Complaints opened within the days about orders they took part in, found justified by now.",
            "S3 四 2",
        ),
        column("solved", Kind::Number, "解决售后单", "tickets solved"),
        column("solution_hours", Kind::Hours, "平均解决工时", "solution hours").counts(
            "参与的、期内解决的售后单,从受理到解决的平均工作小时,暂停时间不计。",
            "Average working hours from opening to solution of tickets they took part in that were solved within the days, pauses left out.",
            "S4 第二十条:工作效率;S7 第十条 3",
        ),
    ],
    summary: &[],
    judges: false,
    make: people,
};

/// What a person's work came to.
#[derive(Default)]
pub(super) struct Work {
    pub completed: usize,
    pub orders: Orders,
    pub answers: Answers,
    pub complaints: usize,
    pub response: Mean,
    pub solution: Mean,
    pub solved: usize,
    /// Totals of the orders of these days that they sold.
    pub sales: Sum,
}

impl Work {
    fn is_empty(&self) -> bool {
        let counted = self.orders.complete.of + self.orders.punctual.of + self.answers.all.of;
        self.completed + self.complaints + self.solved == 0 && counted == 0
    }
}

/// Everyone's work, by the person's id.
pub(super) fn work(view: &View<'_>) -> BTreeMap<String, Work> {
    let mut work: BTreeMap<String, Work> = BTreeMap::new();
    let mut of_order: HashMap<&str, BTreeSet<String>> = HashMap::new();
    for order in view.slice.orders.iter().filter(|o| !o.cancelled) {
        let seller = view.footing.directory.by_number(order.sales.trim()).map(|person| person.to_string());
        let seller = seller.unwrap_or_else(|| order.opened_by.clone());
        if view.has(order.opened_ms) {
            let currency = order.currency.as_deref().and_then(|code| Currency::parse(code).ok());
            if let Some((minor, currency)) = order.total_minor.zip(currency) {
                work.entry(seller.clone()).or_default().sales.take(Money::new(minor, currency));
            }
        }
        let mut took_part = order.people.clone();
        took_part.extend([seller, order.opened_by.clone()]);
        for person in &took_part {
            let work = work.entry(person.clone()).or_default();
            work.completed += usize::from(view.has(order.completed_ms));
            work.orders.take(view, order);
            work.answers.take(view, &order.answers);
        }
        of_order.insert(&order.doc, took_part);
    }
    for ticket in view.tickets() {
        let took_part = ticket.people.iter().chain([&ticket.opened_by]).collect::<BTreeSet<_>>();
        for person in took_part {
            let work = work.entry(person.clone()).or_default();
            work.answers.take(view, &ticket.answers);
            if view.has(ticket.response_ms) {
                ticket.response_work_ms.into_iter().for_each(|ms| work.response.take(ms));
            }
            if view.has(ticket.solved_ms) {
                work.solved += 1;
                ticket.solution_work_ms.into_iter().for_each(|ms| work.solution.take(ms));
            }
        }
        if ticket.justified && view.has(ticket.opened_ms) {
            for person in of_order.get(ticket.order_doc.as_str()).into_iter().flatten() {
                work.entry(person.clone()).or_default().complaints += 1;
            }
        }
    }
    work
}

fn people(view: &View<'_>) -> Body {
    let mut work = work(view);
    work.retain(|_, work| !work.is_empty());
    let known = work.into_iter().filter_map(|(id, work)| Some((id.parse().ok()?, work)));
    let known = known.filter(|(id, _)| view.shows(*id));
    let mut rows: Vec<(String, Vec<Cell>)> = known.map(|(id, work)| person_row(view, id, work)).collect();
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    Body { rows: rows.into_iter().map(|(_, row)| row).collect(), summary: Vec::new() }
}

fn person_row(view: &View<'_>, id: PersonId, work: Work) -> (String, Vec<Cell>) {
    let person = view.footing.directory.people.get(&id);
    let (number, name) = person.map(|p| (p.number.clone(), p.name.clone())).unwrap_or_default();
    let spans = person.into_iter().flat_map(|p| &p.roles).filter(|span| span.holds_at(view.now_ms));
    let title = |span: &sync_core::directory::RoleSpan| {
        view.policy.roles.get(&span.role).map_or_else(|| span.role.to_string(), |r| r.title.zh.clone())
    };
    let roles: BTreeSet<String> = spans.map(title).collect();
    let row = vec![
        Cell::text(&number),
        Cell::text(name),
        Cell::text(roles.into_iter().collect::<Vec<_>>().join("、")),
        Cell::count(work.completed),
        Cell::Rate(work.orders.complete),
        Cell::Rate(work.orders.punctual),
        Cell::Average(work.answers.all),
        Cell::Number(i64::from(work.answers.all.of)),
        Cell::count(work.complaints),
        Cell::count(work.solved),
        Cell::Hours(work.solution),
    ];
    (number, row)
}
