//! The figures that several reports share, each defined once.
//!
//! In: a [`View`]. Out: shares and averages. What is not yet due does not count as late: a line or order
//! counts once it is handed over, or once its day has passed.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;

use super::table::{Mean, Pair, Share};
use super::{REPEAT_DAYS, View, day};
use crate::projection::slice::{AnswerRow, LineRow, OrderRow, TicketRow};

/// The flow of complaints (S11 七, S21 售后问题).
pub const COMPLAINT: &str = "complaint";

/// What each shared figure counts, in Chinese and English.
pub const ON_TIME: Pair = (
    "送货日在期内的明细中,首次交付不晚于送货日(当日也算)的比例;未到期而未交付的不计。",
    "Of lines owed within the days, those first handed over on their delivery day or before; what is not yet due and not handed over does not count.",
);
/// In full, also apart.
pub const IN_FULL: Pair = (
    "同上明细中,至今已全数交付的比例;「部分」交付只算所列明细。",
    "Of the same lines, those wholly handed over by now; a partial delivery counts for the lines it names only.",
);
/// Both at once.
pub const OTIF: Pair = (
    "同上明细中,不晚于送货日全数交付的比例。",
    "Of the same lines, those wholly handed over on their delivery day or before.",
);
/// Completion of orders.
pub const COMPLETION: Pair = (
    "送货日在期内且已到期(或已完成)的订单中,流程已走完的比例;取消的不计。",
    "Of orders owed within the days whose day has passed or that are complete, those complete by now; cancelled ones do not count.",
);
/// Punctuality of orders.
pub const PUNCTUAL: Pair = (
    "送货日在期内的订单中,全部明细不晚于送货日交付的比例;未到期而未交齐的不计。",
    "Of orders owed within the days, those wholly handed over on their delivery day or before; what is not yet due and not whole does not count.",
);
/// Time to the response.
pub const RESPONSE: Pair = (
    "期内得到响应的售后单,从受理到响应的平均工作小时,暂停时间不计;响应步骤由制度规定。",
    "Average working hours from opening to response of tickets answered within the days, pauses left out; the policy names the step.",
);
/// Time to the solution.
pub const SOLUTION: Pair = (
    "期内解决的售后单,从受理到解决的平均工作小时,暂停时间不计;解决步骤由制度规定。",
    "Average working hours from opening to solution of tickets solved within the days, pauses left out; the policy names the step.",
);
/// First-time fix rate.
pub const FIRST_FIX: Pair = (
    "期内解决且曾上门的售后单中,一次上门即解决、且解决后30天内(至今)同一订单或客户没有再报修的比例。",
    "Of tickets solved within the days by a visit, those solved at the first visit with no other ticket of the same order or customer within 30 days after it (as far as they have passed).",
);
/// Satisfaction.
pub const CSAT: Pair = (
    "期内记录的满意度答复(1至5分)的平均分。",
    "Average of the survey's answers (1 to 5) recorded within the days.",
);

/// Lines owed within the days.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    /// On time.
    pub on_time: Share,
    /// In full.
    pub in_full: Share,
    /// Both.
    pub both: Share,
}

/// A line of an order: on time, in full, both; nothing while it does not count.
pub fn line(order: &OrderRow, line: &LineRow, today: NaiveDate) -> Option<(bool, bool, bool)> {
    let due = day(order.due.as_ref()).filter(|_| !order.cancelled)?;
    let (first, full) = (day(line.first_day.as_ref()), day(line.full_day.as_ref()));
    let by_then = |at: Option<NaiveDate>| at.is_some_and(|at| at <= due);
    (full.is_some() || today > due).then(|| (by_then(first), full.is_some(), by_then(full)))
}

/// Orders owed within the days.
#[derive(Clone, Copy, Debug, Default)]
pub struct Orders {
    /// Complete.
    pub complete: Share,
    /// Wholly handed over in time.
    pub punctual: Share,
}

impl Orders {
    /// Takes an order that is owed within the days, as far as it counts.
    pub fn take(&mut self, view: &View<'_>, order: &OrderRow) {
        let due = day(order.due.as_ref()).filter(|due| view.period.holds(*due) && !order.cancelled);
        let Some(due) = due else { return };
        let delivered = day(order.delivered_day.as_ref());
        if order.completed_ms.is_some() || view.today > due {
            self.complete.take(order.completed_ms.is_some());
        }
        if delivered.is_some() || view.today > due {
            self.punctual.take(delivered.is_some_and(|at| at <= due));
        }
    }
}

/// Answers of a survey within the days.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// All of them.
    pub all: Mean,
    /// By question.
    pub by_question: BTreeMap<String, Mean>,
    /// Those that are no score from 1 to 5.
    pub unread: usize,
}

impl Answers {
    /// Takes the answers that were recorded within the days.
    pub fn take(&mut self, view: &View<'_>, answers: &[AnswerRow]) {
        for answer in answers.iter().filter(|answer| view.has(Some(answer.at_ms))) {
            match answer.score {
                Some(score) => {
                    self.all.take(score);
                    self.by_question.entry(answer.question.clone()).or_default().take(score);
                }
                None => self.unread += 1,
            }
        }
    }
}

/// How long tickets waited, within the days.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    /// Until the response.
    pub response: Mean,
    /// Within what their urgency allows.
    pub response_kept: Share,
    /// Until the solution.
    pub solution: Mean,
    /// Within what their urgency allows.
    pub solution_kept: Share,
}

impl Waits {
    /// Takes a ticket.
    pub fn take(&mut self, view: &View<'_>, ticket: &TicketRow) {
        if let Some(work) = ticket.response_work_ms.filter(|_| view.has(ticket.response_ms)) {
            self.response.take(work);
            if let Some(limit) = ticket.response_limit_ms {
                self.response_kept.take(work <= limit);
            }
        }
        if let Some(work) = ticket.solution_work_ms.filter(|_| view.has(ticket.solved_ms)) {
            self.solution.take(work);
            if let Some(limit) = ticket.solution_limit_ms {
                self.solution_kept.take(work <= limit);
            }
        }
    }
}

impl View<'_> {
    /// The tickets of the store that were not called off.
    pub fn tickets(&self) -> impl Iterator<Item = &TicketRow> {
        let ours = |t: &&TicketRow| self.store.is_none() || t.store == self.store;
        self.slice.tickets.iter().filter(ours).filter(|t| !t.cancelled)
    }

    /// The lines that are owed within the days.
    pub fn lines(&self) -> Lines {
        let mut lines = Lines::default();
        for order in self.slice.orders.iter().filter(|o| self.owes_within(o)) {
            for (on_time, in_full, both) in order.lines.iter().filter_map(|l| line(order, l, self.today)) {
                lines.on_time.take(on_time);
                lines.in_full.take(in_full);
                lines.both.take(both);
            }
        }
        lines
    }

    /// Whether an order is owed within the days.
    pub fn owes_within(&self, order: &OrderRow) -> bool {
        day(order.due.as_ref()).is_some_and(|due| self.period.holds(due))
    }
}

/// Which tickets came again.
pub struct Repeats<'a>(HashMap<(u8, &'a str), Vec<(i64, &'a str)>>);

impl<'a> Repeats<'a> {
    /// The openings of tickets by order, customer file and phone.
    pub fn of(view: &View<'a>) -> Self {
        let mut opened: HashMap<(u8, &'a str), Vec<(i64, &'a str)>> = HashMap::new();
        for ticket in view.slice.tickets.iter().filter(|t| !t.cancelled) {
            let Some(ms) = ticket.opened_ms else { continue };
            for key in keys(ticket) {
                opened.entry(key).or_default().push((ms, &ticket.doc));
            }
        }
        Self(opened)
    }

    /// Whether a ticket that was solved then came again within [`REPEAT_DAYS`].
    fn again(&self, ticket: &TicketRow, solved_ms: i64) -> bool {
        let until = solved_ms.saturating_add(i64::try_from(REPEAT_DAYS).unwrap_or(0) * 24 * 3_600_000);
        keys(ticket)
            .filter_map(|key| self.0.get(&key))
            .flatten()
            .any(|(opened, doc)| (solved_ms + 1..=until).contains(opened) && *doc != ticket.doc)
    }

    /// Whether a ticket was fixed at the first visit; nothing where no visit solved it within the days.
    pub fn first_fix(&self, view: &View<'_>, ticket: &TicketRow) -> Option<bool> {
        let solved = ticket.solved_ms.filter(|_| view.has(ticket.solved_ms) && ticket.visits > 0)?;
        Some(ticket.visits == 1 && !self.again(ticket, solved))
    }
}

/// What makes two tickets one customer's or one order's.
fn keys(ticket: &TicketRow) -> impl Iterator<Item = (u8, &str)> {
    let all = [(0, &ticket.order_doc), (1, &ticket.customer_file), (2, &ticket.phone)];
    all.into_iter().map(|(kind, key)| (kind, key.trim())).filter(|(_, key)| !key.is_empty())
}
