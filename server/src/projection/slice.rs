//! The slice of the read model that a report counts: what touches a period or is still open.
//!
//! In: a [`Reach`] (period, store, who looks). Out: [`Slice`]: orders with their lines, tickets, people
//! who took part, answers, and what the rules find *at that moment*: cases are kept as they are judged,
//! and judged when they are asked for, so no finding in this file grows old. Invariants: one transaction
//! reads it all; what a person may not see is not in it, amounts only with a money scope; at most
//! [`ROWS_MAX`] cases and [`PARTS_MAX`] parts of them, else the question is refused as `report_too_large`.
//! Times are Unix milliseconds. Deliberately not here: any rate or sum (`report`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};
use sync_core::ids::StoreId;
use sync_core::policy::judge::{Case, Finding, judge};
use sync_core::time::UnixMs;

use super::query::{sees_money, visible};
use super::{Projection, ProjectionError};
use crate::relay::Footing;
use crate::relay::audience::Tags;

/// Orders, tickets or findings that a report takes, at most.
pub const ROWS_MAX: usize = 50_000;
/// Lines, answers or people who took part of these, at most: enough for a year of a large retailer.
pub const PARTS_MAX: usize = 400_000;
/// Cases that are judged in one go, off the reactor.
const JUDGED_AT_ONCE: i64 = 500;

/// What a report is about.
#[derive(Clone, Debug)]
pub struct Reach {
    /// First day.
    pub from: NaiveDate,
    /// Last day, included.
    pub to: NaiveDate,
    /// The first moment of the first day.
    pub from_ms: UnixMs,
    /// The first moment after the last day.
    pub to_ms: UnixMs,
    /// Up to when a ticket may be a repeat of one that was solved within the days.
    pub repeats_ms: UnixMs,
    /// Of this store only.
    pub store: Option<StoreId>,
    /// What a person with these interests may see; everything where none are given.
    pub visible_to: Option<Tags>,
}

/// An order.
#[derive(Clone, Debug, Default, FromRow)]
pub struct OrderRow {
    /// The document's id.
    pub doc: String,
    /// Its number.
    pub number: String,
    /// The kind of order.
    pub flow: Option<String>,
    /// The store's id.
    pub store: Option<String>,
    /// The store's name.
    pub store_name: Option<String>,
    /// Who it is for.
    pub customer: String,
    /// Staff number of who sold it.
    pub sales: String,
    /// The newest step done.
    pub step: Option<String>,
    /// The day it is owed.
    pub due: Option<String>,
    /// Who took it in.
    pub opened_by: String,
    /// When it was opened.
    pub opened_ms: Option<i64>,
    /// Called off.
    pub cancelled: bool,
    /// Complete.
    pub closed: bool,
    /// Paid in full or guaranteed.
    pub cleared: bool,
    /// When it was placed.
    pub placed_ms: Option<i64>,
    /// When it was complete.
    pub completed_ms: Option<i64>,
    /// The last day for placing.
    pub place_by: Option<String>,
    /// The day on which the last of it was handed over.
    pub delivered_day: Option<String>,
    /// Its total, minor units.
    pub total_minor: Option<i64>,
    /// The total's currency.
    pub currency: Option<String>,
    /// Its lines.
    #[sqlx(skip)]
    pub lines: Vec<LineRow>,
    /// Who recorded a step of it.
    #[sqlx(skip)]
    pub people: BTreeSet<String>,
    /// What its customer answered.
    #[sqlx(skip)]
    pub answers: Vec<AnswerRow>,
}

/// A line of an order.
#[derive(Clone, Debug, Default, FromRow)]
pub struct LineRow {
    /// The order's document id.
    pub doc: String,
    /// Product.
    pub product: String,
    /// Model.
    pub model: String,
    /// How many.
    pub quantity: Option<i64>,
    /// When it was last counted into stock.
    pub stocked_ms: Option<i64>,
    /// The day of the first handing over that it can have been part of.
    pub first_day: Option<String>,
    /// The day on which it was surely handed over.
    pub full_day: Option<String>,
}

/// A ticket.
#[derive(Clone, Debug, Default, FromRow)]
pub struct TicketRow {
    /// The document's id.
    pub doc: String,
    /// The kind of ticket.
    pub flow: Option<String>,
    /// The store's id.
    pub store: Option<String>,
    /// The customer's phone.
    pub phone: String,
    /// Who took it in.
    pub opened_by: String,
    /// How the request came.
    pub channel: String,
    /// How often it was passed upward.
    pub escalations: i64,
    /// When it was opened.
    pub opened_ms: Option<i64>,
    /// Called off.
    pub cancelled: bool,
    /// Complete.
    pub closed: bool,
    /// How urgent; empty where that was not said.
    pub urgency: String,
    /// The order it is about, or empty.
    pub order_doc: String,
    /// A complaint that was found justified.
    pub justified: bool,
    /// The cause, or empty.
    pub cause: String,
    /// The customer file it names, or empty.
    pub customer_file: String,
    /// Visits that took place.
    pub visits: i64,
    /// When it was answered.
    pub response_ms: Option<i64>,
    /// Working time until then, pauses left out.
    pub response_work_ms: Option<i64>,
    /// What its urgency allows for that.
    pub response_limit_ms: Option<i64>,
    /// When it was solved.
    pub solved_ms: Option<i64>,
    /// Working time until then, pauses left out.
    pub solution_work_ms: Option<i64>,
    /// What its urgency allows for that.
    pub solution_limit_ms: Option<i64>,
    /// Who recorded a step of it.
    #[sqlx(skip)]
    pub people: BTreeSet<String>,
    /// What its customer answered.
    #[sqlx(skip)]
    pub answers: Vec<AnswerRow>,
}

/// An answer of a survey.
#[derive(Clone, Debug, Default, FromRow)]
pub struct AnswerRow {
    /// The order's or ticket's document id.
    pub doc: String,
    /// The question.
    pub question: String,
    /// From 1 to 5; none where the answer was another text.
    pub score: Option<i64>,
    /// When it was recorded.
    pub at_ms: i64,
}

/// What a superior said of a person's work.
#[derive(Clone, Debug, FromRow)]
pub struct RatingRow {
    /// The person.
    pub person: String,
    /// The measure of the policy.
    pub measure: String,
    /// From 1 to 5.
    pub score: i64,
}

/// What may become an order: taken in within the days, and ended.
#[derive(Clone, Debug, FromRow)]
pub struct OpportunityRow {
    /// Who took it in.
    pub opened_by: String,
    /// A contract was signed; otherwise it was lost or called off.
    pub signed: bool,
}

/// Something that the rules find.
#[derive(Clone, Debug)]
pub struct FoundRow {
    /// The case's number.
    pub number: String,
    /// Its flow.
    pub flow: Option<String>,
    /// Its store's name.
    pub store_name: Option<String>,
    /// What is found; its amount only with a money scope.
    pub finding: Finding,
    /// The moment it stands for.
    pub moment_ms: UnixMs,
}

/// What a report counts.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Orders of the store that touch the days or are open, in the order in which they were opened.
    pub orders: Vec<OrderRow>,
    /// Tickets of *every* store, so that a repeat elsewhere is known; and those of later days that may be
    /// repeats.
    pub tickets: Vec<TicketRow>,
    /// Ratings of people within the days.
    pub ratings: Vec<RatingRow>,
    /// Opportunities of the days that came to something or to nothing.
    pub opportunities: Vec<OpportunityRow>,
    /// What the rules find of the store's cases within the days, oldest first; empty where not asked for.
    pub found: Vec<FoundRow>,
}

#[derive(FromRow)]
struct Part {
    doc: String,
    person: String,
}

#[derive(FromRow)]
struct Kept {
    doc: String,
    number: String,
    flow: Option<String>,
    store: Option<String>,
    store_name: Option<String>,
    policy: i64,
    body: Vec<u8>,
}

impl Projection {
    /// The slice of a reach; what the rules find only where `judged` asks for it, as of `now_ms`.
    pub async fn slice(&self, reach: &Reach, judged: bool, now_ms: UnixMs) -> Result<Slice, ProjectionError> {
        let mut tx = self.pool.begin().await?;
        let mut orders: Vec<OrderRow> = rows(
            &mut tx,
            "SELECT c.*, s.name AS store_name, o.placed_ms, o.completed_ms, o.place_by, o.delivered_day
            FROM cases c LEFT JOIN stores s ON s.store = c.store LEFT JOIN orders o ON o.doc = c.doc
            WHERE c.doc IN (",
            touching_orders,
            reach,
            ") ORDER BY c.opened_key, c.doc",
            ROWS_MAX,
        )
        .await?;
        let mut tickets: Vec<TicketRow> = rows(
            &mut tx,
            "SELECT c.*, t.*, EXISTS (SELECT 1 FROM steps s WHERE s.doc = c.doc AND s.step = 'justified'
                AND s.outcome = 'done') AS justified
            FROM cases c JOIN tickets t ON t.doc = c.doc WHERE c.doc IN (",
            touching_tickets,
            reach,
            ") ORDER BY c.opened_key, c.doc",
            ROWS_MAX,
        )
        .await?;
        self.fill(&mut tx, reach, &mut orders, &mut tickets).await?;
        let found = if judged { self.found(&mut tx, reach, now_ms).await? } else { Vec::new() };
        if let Some(tags) = &reach.visible_to {
            for order in orders.iter_mut().filter(|o| !sees_money(&o.doc, o.store.as_deref(), tags)) {
                (order.total_minor, order.currency) = (None, None);
            }
        }
        let rated =
            "SELECT r.person, r.measure, r.score FROM ratings r JOIN cases c ON c.doc = r.doc WHERE (0";
        let ratings = rows(&mut tx, rated, rated_within, reach, " ORDER BY r.at_ms", PARTS_MAX).await?;
        let ended =
            "SELECT c.opened_by, EXISTS (SELECT 1 FROM steps s WHERE s.doc = c.doc AND s.step = 'contract'
                AND s.outcome = 'done') AS signed
            FROM cases c WHERE c.kind = 'order' AND c.flow = 'opportunity'
            AND (c.closed = 1 OR c.cancelled = 1) AND (0";
        let opportunities = rows(&mut tx, ended, opened_within, reach, "", ROWS_MAX).await?;
        Ok(Slice { orders, tickets, ratings, opportunities, found })
    }

    /// Gives orders and tickets their lines, people and answers.
    async fn fill(
        &self,
        tx: &mut SqliteConnection,
        reach: &Reach,
        orders: &mut [OrderRow],
        tickets: &mut [TicketRow],
    ) -> Result<(), ProjectionError> {
        let end = ") ORDER BY doc";
        let items = "SELECT * FROM items WHERE doc IN (";
        let mut lines =
            by_doc(rows(tx, items, touching_orders, reach, end, PARTS_MAX).await?, |l: &LineRow| &l.doc);
        let steps = "SELECT DISTINCT doc, person FROM steps WHERE doc IN (";
        let answers = "SELECT * FROM answers WHERE doc IN (";
        let mut people: Vec<Part> = rows(tx, steps, touching_orders, reach, end, PARTS_MAX).await?;
        people.extend(rows::<Part>(tx, steps, touching_tickets, reach, end, PARTS_MAX).await?);
        let mut answered: Vec<AnswerRow> = rows(tx, answers, touching_orders, reach, end, PARTS_MAX).await?;
        answered.extend(rows::<AnswerRow>(tx, answers, touching_tickets, reach, end, PARTS_MAX).await?);
        let mut people = by_doc(people, |part| &part.doc);
        let mut answered = by_doc(answered, |answer| &answer.doc);
        let mut worked = |doc: &str| people.remove(doc).into_iter().flatten().map(|p| p.person).collect();
        for order in orders {
            order.lines = lines.remove(&order.doc).unwrap_or_default();
            order.people = worked(&order.doc);
            order.answers = answered.remove(&order.doc).unwrap_or_default();
        }
        for ticket in tickets {
            ticket.people = worked(&ticket.doc);
            ticket.answers = answered.remove(&ticket.doc).unwrap_or_default();
        }
        Ok(())
    }

    /// Judges what was kept of each case, page by page.
    async fn found(
        &self,
        tx: &mut SqliteConnection,
        reach: &Reach,
        now_ms: UnixMs,
    ) -> Result<Vec<FoundRow>, ProjectionError> {
        let footing = self.relay.footing();
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = kept(tx, reach, &after).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.doc);
            let (footing, reach) = (footing.clone(), reach.clone());
            let judged = tokio::task::spawn_blocking(move || judge_page(page, &footing, &reach, now_ms));
            found.extend(judged.await.map_err(|_| ProjectionError::Interrupted)??);
            bounded(&found, ROWS_MAX)?;
        }
        found.sort_by(|a: &FoundRow, b| (a.moment_ms, &a.number).cmp(&(b.moment_ms, &b.number)));
        Ok(found)
    }
}

fn judge_page(
    page: Vec<Kept>,
    footing: &Arc<Footing>,
    reach: &Reach,
    now_ms: UnixMs,
) -> Result<Vec<FoundRow>, ProjectionError> {
    let unread = || ProjectionError::Database("a kept case cannot be read".to_owned());
    let mut found = Vec::new();
    for kept in page {
        let policy = u32::try_from(kept.policy).ok().and_then(|version| footing.policies.get(&version));
        let (policy, case) = policy.zip(minicbor::decode::<Case>(&kept.body).ok()).ok_or_else(unread)?;
        let money = reach.visible_to.as_ref();
        let money = money.is_none_or(|tags| sees_money(&kept.doc, kept.store.as_deref(), tags));
        for mut finding in judge(&case, policy, now_ms) {
            let moment_ms = finding.moment(&case).unwrap_or(case.opened_ms);
            if !(reach.from_ms..reach.to_ms).contains(&moment_ms) {
                continue;
            }
            finding.amount = finding.amount.filter(|_| money);
            found.push(FoundRow {
                number: kept.number.clone(),
                flow: kept.flow.clone(),
                store_name: kept.store_name.clone(),
                finding,
                moment_ms,
            });
        }
    }
    Ok(found)
}

async fn kept(tx: &mut SqliteConnection, reach: &Reach, after: &str) -> Result<Vec<Kept>, ProjectionError> {
    let mut sql = QueryBuilder::new(
        "SELECT c.doc, c.number, c.flow, c.store, s.name AS store_name, j.policy, j.body
        FROM judged j JOIN cases c ON c.doc = j.doc LEFT JOIN stores s ON s.store = c.store
        WHERE c.doc > ",
    );
    sql.push_bind(after).push(" AND c.opened_ms < ").push_bind(reach.to_ms);
    sql.push(" AND (j.until_ms IS NULL OR j.until_ms >= ").push_bind(reach.from_ms).push(")");
    narrow(&mut sql, reach, true);
    sql.push(" ORDER BY c.doc LIMIT ").push_bind(JUDGED_AT_ONCE);
    Ok(sql.build_query_as().fetch_all(tx).await?)
}

/// Rows of documents that a condition names, as many as a report may take.
async fn rows<T: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin>(
    tx: &mut SqliteConnection,
    begin: &'static str,
    touching: fn(&mut QueryBuilder<'_, Sqlite>, &Reach),
    reach: &Reach,
    end: &'static str,
    most: usize,
) -> Result<Vec<T>, ProjectionError> {
    let mut sql = QueryBuilder::new(begin);
    touching(&mut sql, reach);
    sql.push(end).push(" LIMIT ").push_bind(i64::try_from(most).unwrap_or(i64::MAX - 1) + 1);
    let found = sql.build_query_as().fetch_all(tx).await?;
    bounded(&found, most)?;
    Ok(found)
}

fn bounded<T>(rows: &[T], most: usize) -> Result<(), ProjectionError> {
    let fits = rows.len() <= most;
    fits.then_some(()).ok_or(ProjectionError::Question { code: "report_too_large" })
}

fn by_doc<T>(rows: Vec<T>, doc: impl Fn(&T) -> &String) -> HashMap<String, Vec<T>> {
    let mut found: HashMap<String, Vec<T>> = HashMap::new();
    for row in rows {
        found.entry(doc(&row).clone()).or_default().push(row);
    }
    found
}

/// Store and visibility.
fn narrow(sql: &mut QueryBuilder<'_, Sqlite>, reach: &Reach, of_store: bool) {
    if let Some(store) = reach.store.filter(|_| of_store) {
        sql.push(" AND c.store = ").push_bind(store.to_string());
    }
    if let Some(tags) = &reach.visible_to {
        visible(sql, tags);
    }
}

fn within(sql: &mut QueryBuilder<'_, Sqlite>, column: &'static str, from: UnixMs, to: UnixMs) {
    sql.push(" OR (").push(column).push(" >= ").push_bind(from);
    sql.push(" AND ").push(column).push(" < ").push_bind(to).push(")");
}

fn touching_orders(sql: &mut QueryBuilder<'_, Sqlite>, reach: &Reach) {
    let (from, to) = (reach.from_ms, reach.to_ms);
    sql.push(
        "SELECT c.doc FROM cases c LEFT JOIN orders o ON o.doc = c.doc
        WHERE c.kind = 'order' AND c.flow <> 'opportunity'",
    );
    narrow(sql, reach, true);
    sql.push(" AND ((c.closed = 0 AND c.cancelled = 0) OR c.due BETWEEN ").push_bind(reach.from.to_string());
    sql.push(" AND ").push_bind(reach.to.to_string());
    for column in ["c.opened_ms", "o.placed_ms", "o.completed_ms"] {
        within(sql, column, from, to);
    }
    sql.push(" OR c.doc IN (SELECT i.doc FROM items i WHERE 0");
    within(sql, "i.stocked_ms", from, to);
    sql.push(") OR c.doc IN (SELECT a.doc FROM answers a WHERE 0");
    within(sql, "a.at_ms", from, to);
    // Whom a complaint is about is read off its order, however old that is.
    sql.push(") OR c.doc IN (SELECT t.order_doc FROM tickets t JOIN cases k ON k.doc = t.doc WHERE 0");
    within(sql, "k.opened_ms", from, to);
    sql.push("))");
}

fn touching_tickets(sql: &mut QueryBuilder<'_, Sqlite>, reach: &Reach) {
    let (from, to) = (reach.from_ms, reach.to_ms);
    sql.push("SELECT c.doc FROM cases c JOIN tickets t ON t.doc = c.doc WHERE c.kind = 'ticket'");
    narrow(sql, reach, false);
    sql.push(" AND ((c.closed = 0 AND c.cancelled = 0)");
    within(sql, "c.opened_ms", from, reach.repeats_ms);
    within(sql, "t.response_ms", from, to);
    within(sql, "t.solved_ms", from, to);
    sql.push(" OR c.doc IN (SELECT a.doc FROM answers a WHERE 0");
    within(sql, "a.at_ms", from, to);
    sql.push("))");
}

fn rated_within(sql: &mut QueryBuilder<'_, Sqlite>, reach: &Reach) {
    within(sql, "r.at_ms", reach.from_ms, reach.to_ms);
    sql.push(")");
    narrow(sql, reach, true);
}

fn opened_within(sql: &mut QueryBuilder<'_, Sqlite>, reach: &Reach) {
    within(sql, "c.opened_ms", reach.from_ms, reach.to_ms);
    sql.push(")");
    narrow(sql, reach, true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_more_than_a_report_takes_is_refused() {
        assert!(bounded(&[(); ROWS_MAX], ROWS_MAX).is_ok());
        let refused = bounded(&[(); ROWS_MAX + 1], ROWS_MAX);
        assert!(matches!(refused, Err(ProjectionError::Question { code: "report_too_large" })));
    }
}
