//! Reports about after-sales: how fast, how well and why.

use std::collections::BTreeMap;

use super::count::{Answers, COMPLAINT, CSAT, FIRST_FIX, RESPONSE, Repeats, SOLUTION, Waits};
use super::table::{Body, Cell, Kind, Mean, Share, column};
use super::{Report, View, both};
use crate::projection::slice::TicketRow;

/// Response, solution, first-time fix and satisfaction, by kind and urgency (S1 第五、六条, S4 第二十条, S5).
pub const SERVICE: Report = Report {
    name: "service",
    title: ("售后服务表", "After-sales service"),
    definition: (
        "按售后单类型和紧急程度;最后一行为合计。取消的不计。",
        "By kind of ticket and urgency; the last row is all of them. Cancelled ones do not count.",
    ),
    clause: "S1 第五条、第六条;S4 第二十条;S5 第十二条",
    columns: &[
        column("kind", Kind::Text, "类型", "kind"),
        column("urgency", Kind::Text, "紧急程度", "urgency"),
        column("opened", Kind::Number, "新受理", "opened"),
        column("solved", Kind::Number, "已解决", "solved"),
        column("response_hours", Kind::Hours, "平均响应工时", "response hours").counts(
            RESPONSE.0,
            RESPONSE.1,
            "S1 第五条",
        ),
        column("response_kept", Kind::Rate, "响应及时率", "responses in time").counts(
            "期内得到响应的售后单中,在其紧急程度规定的工时内响应的比例;未定紧急程度的按最宽的一级算。",
            "Of tickets answered within the days, those answered within the hours of their urgency, of the least urgent where none was said.",
            "S1 第六条",
        ),
        column("solution_hours", Kind::Hours, "平均解决工时", "solution hours").counts(
            SOLUTION.0,
            SOLUTION.1,
            "S1 第六条;S4 第二十条",
        ),
        column("solution_kept", Kind::Rate, "解决及时率", "solutions in time").counts(
            "期内解决的售后单中,在其紧急程度规定的工时内解决的比例;未定紧急程度的按最宽的一级算。",
            "Of tickets solved within the days, those solved within the hours of their urgency, of the least urgent where none was said.",
            "S1 第六条",
        ),
        column("first_fix_rate", Kind::Rate, "一次修复率", "first-time fix rate").counts(
            FIRST_FIX.0,
            FIRST_FIX.1,
            "S4 第二十条:问题处理能力",
        ),
        column("csat", Kind::Average, "满意度", "CSAT").counts(CSAT.0, CSAT.1, "S5 第十二条;S12 第十三条"),
        column("csat_answers", Kind::Number, "答复数", "answers"),
        column("csat_questions", Kind::Text, "各题平均分", "by question").counts(
            "每个调查问题的平均分(答复数)。",
            "The average of each question of the survey (answers).",
            "S5 第十二条",
        ),
        column("csat_unread", Kind::Number, "无法计分", "not a score").counts(
            "答复不是1至5的整数,未计入平均分。",
            "Answers that are no whole number from 1 to 5 and do not count.",
            "S5 第十二条",
        ),
    ],
    summary: &[],
    judges: false,
    make: service,
};

#[derive(Default)]
struct Group {
    opened: usize,
    solved: usize,
    waits: Waits,
    first_fix: Share,
    answers: Answers,
}

impl Group {
    fn take(&mut self, view: &View<'_>, repeats: &Repeats<'_>, ticket: &TicketRow) {
        self.opened += usize::from(view.has(ticket.opened_ms));
        self.solved += usize::from(view.has(ticket.solved_ms));
        self.waits.take(view, ticket);
        if let Some(fixed) = repeats.first_fix(view, ticket) {
            self.first_fix.take(fixed);
        }
        self.answers.take(view, &ticket.answers);
    }
    fn is_empty(&self) -> bool {
        self.opened + self.solved + self.answers.unread == 0
            && self.answers.all.of + self.waits.response.of == 0
    }
    fn row(self, view: &View<'_>, kind: String, urgency: String) -> Vec<Cell> {
        let questions = self.answers.by_question.iter().map(|(question, mean)| {
            let words = view.policy.survey.iter().find(|(name, _)| name.as_str() == question);
            let title = words.map_or_else(|| question.clone(), |(_, words)| words.zh.clone());
            let score = mean.hundredths(1).unwrap_or(0);
            format!("{title} {}.{:02} ({})", score / 100, score % 100, mean.of)
        });
        vec![
            Cell::text(kind),
            Cell::text(urgency),
            Cell::count(self.opened),
            Cell::count(self.solved),
            Cell::Hours(self.waits.response),
            Cell::Rate(self.waits.response_kept),
            Cell::Hours(self.waits.solution),
            Cell::Rate(self.waits.solution_kept),
            Cell::Rate(self.first_fix),
            Cell::Average(self.answers.all),
            Cell::Number(i64::from(self.answers.all.of)),
            Cell::text(questions.collect::<Vec<_>>().join("; ")),
            Cell::count(self.answers.unread),
        ]
    }
}

fn service(view: &View<'_>) -> Body {
    let repeats = Repeats::of(view);
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    let mut all = Group::default();
    for ticket in view.tickets() {
        let flow = ticket.flow.clone().unwrap_or_default();
        groups.entry((flow, ticket.urgency.clone())).or_default().take(view, &repeats, ticket);
        all.take(view, &repeats, ticket);
    }
    groups.retain(|_, group| !group.is_empty());
    let urgency = |name: &str| {
        let known = view.policy.urgencies.iter().find(|(urgency, _)| urgency.as_str() == name);
        known.map_or_else(|| name.to_owned(), |(_, urgency)| both(&urgency.title))
    };
    let row = |((flow, name), group): ((String, String), Group)| {
        group.row(view, view.flow_title(Some(&flow)), urgency(&name))
    };
    let mut rows: Vec<_> = groups.into_iter().map(row).collect();
    rows.push(all.row(view, "合计 / all".to_owned(), String::new()));
    Body { rows, summary: Vec::new() }
}

/// Complaints and other tickets by cause (S11 七 3: 定期对投诉数据进行分析).
pub const COMPLAINTS: Report = Report {
    name: "complaints",
    title: ("投诉与售后原因表", "Complaints by cause"),
    definition: (
        "期内受理的售后单,按原因;原因取生效内容,未判定的单列一行。取消的不计。",
        "Tickets opened within the days, by cause as in force; those without one have a row of their own. Cancelled ones do not count.",
    ),
    clause: "S11 七 3",
    columns: &[
        column("cause", Kind::Text, "原因", "cause"),
        column("complaints", Kind::Number, "投诉", "complaints").counts(
            "类型为投诉的售后单。",
            "Tickets of the kind complaint.",
            "S11 七 3",
        ),
        column("share", Kind::Rate, "占投诉比例", "share of complaints").counts(
            "占期内全部投诉的比例。",
            "Of all complaints of the days.",
            "S11 七 3",
        ),
        column("tickets", Kind::Number, "全部售后单", "all tickets"),
        column("solved", Kind::Number, "其中已解决", "solved").counts(
            "至今已解决。",
            "Solved by now.",
            "S11 七 2",
        ),
        column("escalated", Kind::Number, "其中上报", "passed upward").counts(
            "至少上报过一次。",
            "Passed upward at least once.",
            "S14 第八条",
        ),
        column("solution_hours", Kind::Hours, "平均解决工时", "solution hours").counts(
            "其中已解决的,从受理到解决的平均工作小时,暂停时间不计。",
            "Average working hours from opening to solution of those that are solved, pauses left out.",
            "S11 七 2",
        ),
        column("channels", Kind::Text, "来源", "channels").counts(
            "申请的来源及数量。",
            "How the requests came, and how many.",
            "S1 第五条",
        ),
    ],
    summary: &[],
    judges: false,
    make: complaints,
};

#[derive(Default)]
struct OfCause {
    complaints: u32,
    tickets: usize,
    solved: usize,
    escalated: usize,
    solution: Mean,
    channels: BTreeMap<String, usize>,
}

fn complaints(view: &View<'_>) -> Body {
    let mut causes: BTreeMap<String, OfCause> = BTreeMap::new();
    let mut all = 0;
    for ticket in view.tickets().filter(|t| view.has(t.opened_ms)) {
        let of = causes.entry(ticket.cause.clone()).or_default();
        let complaint = u32::from(ticket.flow.as_deref() == Some(COMPLAINT));
        of.complaints += complaint;
        all += complaint;
        of.tickets += 1;
        of.solved += usize::from(ticket.solved_ms.is_some());
        of.escalated += usize::from(ticket.escalations > 0);
        if let Some(work) = ticket.solution_work_ms {
            of.solution.take(work);
        }
        let channel = if ticket.channel.is_empty() { "?" } else { &ticket.channel };
        *of.channels.entry(channel.to_owned()).or_default() += 1;
    }
    let title = |cause: &str| {
        let known = view.policy.causes.iter().find(|(name, _)| name.as_str() == cause);
        let unknown = if cause.is_empty() { "未判定 / not named" } else { cause };
        known.map_or_else(|| unknown.to_owned(), |(_, words)| both(words))
    };
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, of)| std::cmp::Reverse((of.complaints, of.tickets)));
    let row = |(cause, of): (String, OfCause)| {
        let channels = of.channels.iter().map(|(channel, count)| format!("{channel} {count}"));
        vec![
            Cell::text(title(&cause)),
            Cell::Number(i64::from(of.complaints)),
            Cell::Rate(Share { part: of.complaints, of: all }),
            Cell::count(of.tickets),
            Cell::count(of.solved),
            Cell::count(of.escalated),
            Cell::Hours(of.solution),
            Cell::text(channels.collect::<Vec<_>>().join("; ")),
        ]
    };
    Body { rows: causes.into_iter().map(row).collect(), summary: Vec::new() }
}
