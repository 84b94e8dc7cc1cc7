//! Rows of what was staged, and the position they stand for, in one transaction.
//!
//! Where the company's policies changed, every row is made again, because a fold depends on them. Each
//! case is written in place of what stood for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::query_builder::Separated;
use sqlx::sqlite::SqlitePool;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use sync_core::domain::fields::Value;
use sync_core::ids::{DocId, Position};
use tokio::task::spawn_blocking;

use super::ProjectionError;
use super::measure::Line;
use super::notices::{Teller, put_notices};
use super::stage::{Case, Staged, cases, text_of};
use crate::relay::{Footing, Relay};

/// Cases whose rows go together, and rows that one statement takes: SQLite binds 32,766 values at most.
const CASES_AT_ONCE: usize = 200;
const ROWS_AT_ONCE: usize = 1_000;

/// Which policies are in force when: what every fold stands on.
fn policies(footing: &Footing) -> String {
    let one = |p: &sync_core::directory::PolicyRef| format!("{}@{}:{:?}", p.version, p.effective_ms, p.hash);
    footing.directory.policies.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Writes what was staged, with the position, in one transaction.
pub(super) async fn write(
    pool: &SqlitePool,
    relay: &Arc<Relay>,
    staged: Staged,
    teller: Option<Teller>,
) -> Result<Position, ProjectionError> {
    let mut tx = pool.begin().await?;
    let footing = staged.footing;
    let policies = policies(&footing);
    let before: String = sqlx::query_scalar("SELECT policies FROM meta").fetch_one(&mut *tx).await?;
    if before != policies {
        let rows = sqlx::query("SELECT doc, last_position FROM cases").fetch_all(&mut *tx).await?;
        let mut all = BTreeMap::new();
        for row in rows {
            let Ok(doc) = row.try_get::<String, _>(0)?.parse::<DocId>() else { continue };
            all.insert(doc, Position(u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0)));
        }
        let (relay, footing) = (relay.clone(), footing.clone());
        let again = spawn_blocking(move || cases(&relay, &footing, &all, teller.as_ref())).await;
        put(&mut tx, &again.map_err(|_| ProjectionError::Interrupted)??).await?;
    }
    put(&mut tx, &staged.cases).await?;
    if staged.directory {
        put_directory(&mut tx, &footing).await?;
    }
    sqlx::query("UPDATE meta SET position = ?, policies = ?")
        .bind(number(staged.upto.0))
        .bind(policies)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(staged.upto)
}

pub(super) fn number(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

async fn put_directory(tx: &mut SqliteConnection, footing: &Footing) -> Result<(), ProjectionError> {
    sqlx::raw_sql("DELETE FROM people; DELETE FROM stores").execute(&mut *tx).await?;
    for (id, person) in &footing.directory.people {
        let insert = sqlx::query("INSERT INTO people (person, number, name) VALUES (?, ?, ?)");
        insert.bind(id.to_string()).bind(&person.number).bind(&person.name).execute(&mut *tx).await?;
    }
    for (id, name) in &footing.directory.stores {
        let insert = sqlx::query("INSERT INTO stores (store, name) VALUES (?, ?)");
        insert.bind(id.to_string()).bind(name).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Writes cases, each in place of what stood for it. Rows of a table go together: a statement costs more
/// than a row does.
async fn put(tx: &mut SqliteConnection, cases: &[Case]) -> Result<(), ProjectionError> {
    for cases in cases.chunks(CASES_AT_ONCE) {
        let docs: Vec<String> = cases.iter().map(|case| case.row.doc.to_string()).collect();
        let mut ids = Vec::new();
        for (case, doc) in cases.iter().zip(&docs) {
            ids.push(put_case(tx, case, doc).await?);
        }
        for table in
            ["steps", "appointments", "seers", "items", "orders", "tickets", "answers", "ratings", "judged"]
        {
            clear(tx, &format!("DELETE FROM {table} WHERE doc IN ("), &docs).await?;
        }
        clear(tx, "DELETE FROM search WHERE rowid IN (", &ids).await?;
        put_steps(tx, cases, &docs).await?;
        put_appointments(tx, cases, &docs).await?;
        put_seers(tx, cases, &docs).await?;
        put_items(tx, cases, &docs).await?;
        put_orders(tx, cases, &docs).await?;
        put_tickets(tx, cases, &docs).await?;
        put_answers(tx, cases, &docs).await?;
        put_ratings(tx, cases, &docs).await?;
        put_judged(tx, cases, &docs).await?;
        put_search(tx, cases, &ids).await?;
        put_looks(tx, cases, &docs).await?;
    }
    Ok(())
}

pub(super) async fn clear<'a, T>(
    tx: &mut SqliteConnection,
    begin: &str,
    keys: &'a [T],
) -> Result<(), ProjectionError>
where
    &'a T: sqlx::Encode<'a, Sqlite> + sqlx::Type<Sqlite> + Send,
{
    let mut clear = QueryBuilder::new(begin);
    let mut list = clear.separated(", ");
    for key in keys {
        list.push_bind(key);
    }
    clear.push(")").build().persistent(false).execute(tx).await?;
    Ok(())
}

/// Inserts rows, as many with one statement as SQLite lets us bind.
pub(super) async fn insert<'a, R>(
    tx: &mut SqliteConnection,
    into: &str,
    rows: &[R],
    bind: impl Fn(&mut Separated<'_, 'a, Sqlite, &'static str>, &R),
) -> Result<(), ProjectionError> {
    for rows in rows.chunks(ROWS_AT_ONCE) {
        let mut insert = QueryBuilder::new(format!("INSERT INTO {into} "));
        insert.push_values(rows, |mut row, values| bind(&mut row, values));
        insert.build().persistent(false).execute(&mut *tx).await?;
    }
    Ok(())
}

/// What cases have many of, each with its case's document.
fn each<'a, T>(
    cases: &'a [Case],
    docs: &'a [String],
    of: impl Fn(&'a Case) -> &'a [T],
) -> Vec<(&'a String, &'a T)> {
    cases.iter().zip(docs).flat_map(|(case, doc)| of(case).iter().map(move |one| (doc, one))).collect()
}

async fn put_steps(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let mut rows = Vec::new();
    for (case, doc) in cases.iter().zip(docs) {
        let steps = case.steps.iter().zip(&case.step_times);
        rows.extend(steps.map(|(step, at_ms)| (doc, step, *at_ms)));
    }
    let into = "steps (doc, fact, step, person, outcome, at_ms)";
    insert(tx, into, &rows, |row, (doc, [fact, step, person, outcome], at_ms)| {
        row.push_bind(*doc).push_bind(fact).push_bind(step);
        row.push_bind(person).push_bind(outcome).push_bind(*at_ms);
    })
    .await
}

async fn put_appointments(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let mut rows = Vec::new();
    for (case, doc) in cases.iter().zip(docs) {
        rows.extend(case.appointments.iter().map(|(texts, open)| (doc, texts, *open)));
    }
    let into = "appointments (doc, appointment, day, person, status, open)";
    insert(tx, into, &rows, |row, (doc, [appointment, day, person, status], open)| {
        row.push_bind(*doc).push_bind(appointment).push_bind(day);
        row.push_bind(person).push_bind(status).push_bind(*open);
    })
    .await
}

async fn put_seers(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let rows = each(cases, docs, |case| &case.seers);
    insert(tx, "seers (doc, person)", &rows, |row, (doc, person)| {
        row.push_bind(*doc).push_bind(*person);
    })
    .await
}

async fn put_items(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let nothing = Line::default();
    let mut rows = Vec::new();
    for (case, doc) in cases.iter().zip(docs) {
        let lines = case.measures.order.iter().flat_map(|order| &order.lines);
        let lines: BTreeMap<_, _> = lines.map(|(item, line)| (*item, line)).collect();
        let line = |item| lines.get(item).copied().unwrap_or(&nothing);
        rows.extend(case.items.iter().map(|(item, fields)| (doc, *item, fields, line(item))));
    }
    let into = "items (doc, item, product, model, material, quantity, stocked_ms, first_day, full_day)";
    insert(tx, into, &rows, |row, (doc, item, fields, line)| {
        let quantity = match fields.get("quantity") {
            Some(Value::Int(quantity)) => Some(*quantity),
            _ => None,
        };
        row.push_bind(*doc).push_bind(item.to_string()).push_bind(text_of(fields, "product"));
        row.push_bind(text_of(fields, "model")).push_bind(text_of(fields, "material")).push_bind(quantity);
        row.push_bind(line.stocked_ms).push_bind(&line.first_day).push_bind(&line.full_day);
    })
    .await
}

async fn put_orders(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let all = cases.iter().zip(docs);
    let rows: Vec<_> = all.filter_map(|(case, doc)| Some((doc, case.measures.order.as_ref()?))).collect();
    let into = "orders (doc, placed_ms, completed_ms, place_by, delivered_day)";
    insert(tx, into, &rows, |row, (doc, order)| {
        row.push_bind(*doc).push_bind(order.placed_ms).push_bind(order.completed_ms);
        row.push_bind(&order.place_by).push_bind(&order.delivered_day);
    })
    .await
}

async fn put_tickets(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let all = cases.iter().zip(docs);
    let tickets = all.filter_map(|(case, doc)| Some((doc, &case.texts, case.measures.ticket.as_ref()?)));
    let rows: Vec<_> = tickets.collect();
    let into = "tickets (doc, urgency, order_doc, cause, customer_file, visits, response_ms,
        response_work_ms, response_limit_ms, solved_ms, solution_work_ms, solution_limit_ms)";
    insert(tx, into, &rows, |row, (doc, texts, ticket)| {
        row.push_bind(*doc).push_bind(&texts.urgency).push_bind(&texts.order).push_bind(&texts.cause);
        row.push_bind(&texts.customer_file).push_bind(ticket.visits);
        for wait in [&ticket.response, &ticket.solution] {
            row.push_bind(wait.at_ms).push_bind(wait.work_ms).push_bind(wait.limit_ms);
        }
    })
    .await
}

async fn put_answers(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let rows = each(cases, docs, |case| &case.measures.answers);
    insert(tx, "answers (doc, fact, question, score, at_ms)", &rows, |row, (doc, answer)| {
        row.push_bind(*doc).push_bind(answer.fact.to_string()).push_bind(answer.question.to_string());
        row.push_bind(answer.score).push_bind(answer.at_ms);
    })
    .await
}

async fn put_ratings(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let rows = each(cases, docs, |case| &case.measures.ratings);
    let into = "ratings (doc, fact, measure, person, score, at_ms)";
    insert(tx, into, &rows, |row, (doc, rating)| {
        row.push_bind(*doc).push_bind(rating.fact.to_string()).push_bind(rating.measure.to_string());
        row.push_bind(rating.person.to_string()).push_bind(rating.score).push_bind(rating.at_ms);
    })
    .await
}

async fn put_judged(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let all = cases.iter().zip(docs);
    let rows: Vec<_> = all.filter_map(|(case, doc)| Some((doc, case.measures.judged.as_ref()?))).collect();
    insert(tx, "judged (doc, policy, until_ms, body)", &rows, |row, (doc, judged)| {
        row.push_bind(*doc).push_bind(judged.policy).push_bind(judged.until_ms).push_bind(&judged.case);
    })
    .await
}

async fn put_search(tx: &mut SqliteConnection, cases: &[Case], ids: &[i64]) -> Result<(), ProjectionError> {
    let rows: Vec<_> = cases.iter().zip(ids).collect();
    insert(tx, "search (rowid, tokens)", &rows, |row, (case, id)| {
        row.push_bind(**id).push_bind(&case.tokens);
    })
    .await
}

/// Cases that changed are to be looked at: at their first moment, or at once where something of them is told.
/// What there is to hear of the cases that were looked at, and when each is to be looked at again; what was
/// not, as soon as may be.
async fn put_looks(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let all = || cases.iter().zip(docs);
    let looked: Vec<_> = all().filter_map(|(case, doc)| Some((doc, case.look.as_ref()?))).collect();
    put_notices(tx, &looked).await?;
    clear(tx, "DELETE FROM stirring WHERE doc IN (", docs).await?;
    let next = |case: &Case| case.look.as_ref().map_or(Some(0), |look| look.next_ms);
    let rows: Vec<_> =
        all().filter_map(|(case, doc)| Some((doc, next(case)?, number(case.position.0)))).collect();
    insert(tx, "stirring (doc, next_ms, position)", &rows, |row, (doc, next_ms, position)| {
        row.push_bind(*doc).push_bind(*next_ms).push_bind(*position);
    })
    .await
}

async fn put_case(tx: &mut SqliteConnection, case: &Case, doc: &str) -> Result<i64, ProjectionError> {
    // The row keeps its id, which the search table knows it by.
    let upsert =
        "INSERT INTO cases (doc, kind, number, flow, step, store, customer, phone, address, sales, due,
        opened_by, channel, circle, everyone, escalations, opened_ms, due_key, opened_key, cancelled, closed, sealed, cleared, placed, proposed, clashes,
        total_minor, paid_minor, currency, last_position)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (doc) DO UPDATE SET kind = excluded.kind, number = excluded.number, flow = excluded.flow,
        step = excluded.step, store = excluded.store, customer = excluded.customer, phone = excluded.phone,
        address = excluded.address, sales = excluded.sales, due = excluded.due,
        opened_by = excluded.opened_by, channel = excluded.channel, circle = excluded.circle, everyone = excluded.everyone,
        escalations = excluded.escalations,
        opened_ms = excluded.opened_ms, due_key = excluded.due_key, opened_key = excluded.opened_key,
        cancelled = excluded.cancelled, closed = excluded.closed, sealed = excluded.sealed,
        cleared = excluded.cleared, placed = excluded.placed, proposed = excluded.proposed,
        clashes = excluded.clashes, total_minor = excluded.total_minor, paid_minor = excluded.paid_minor,
        currency = excluded.currency, last_position = excluded.last_position
        RETURNING id";
    let row = &case.row;
    let currency = case.total.or(case.paid).map(|m| m.currency.code().to_owned());
    let id = sqlx::query_scalar(upsert)
        .bind(doc)
        .bind(row.doc.kind().name())
        .bind(&row.number)
        .bind(row.flow.as_ref().map(ToString::to_string))
        .bind(row.step.as_ref().map(ToString::to_string))
        .bind(row.store.as_ref().map(ToString::to_string))
        .bind(&row.customer)
        .bind(&case.texts.phone)
        .bind(&case.texts.address)
        .bind(&case.texts.sales)
        .bind(&row.due)
        .bind(&case.opened_by)
        .bind(&case.texts.channel)
        .bind(case.circle)
        .bind(case.everyone)
        .bind(case.escalations)
        .bind(row.opened_ms)
        // What has no day comes after what has one.
        .bind(row.due.clone().unwrap_or_else(|| "~".to_owned()))
        .bind(format!("{:020}", row.opened_ms.unwrap_or(0).max(0)))
        .bind(row.cancelled)
        .bind(row.closed)
        .bind(case.sealed)
        .bind(case.cleared)
        .bind(case.placed)
        .bind(row.proposed)
        .bind(row.clashes)
        .bind(case.total.map(|m| m.minor))
        .bind(case.paid.map(|m| m.minor))
        .bind(currency)
        .bind(number(case.position.0))
        .fetch_one(tx)
        .await?;
    Ok(id)
}
