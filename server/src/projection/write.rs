//! From the log to rows: which documents a piece of the log touched, what they come to, one transaction.
//!
//! [`stage`] blocks (it reads the log and folds documents) and runs off the reactor; [`write`] writes what
//! it made with the new position. A money facet is read with its order or ticket into one row. Where the
//! company's policies changed, every row is made again, because a fold depends on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::query_builder::Separated;
use sqlx::sqlite::SqlitePool;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use sync_core::document::Document;
use sync_core::domain::fields::{Map, Value, parse_money, split_item_key};
use sync_core::fact::kinds::{AppointmentStatus, Outcome};
use sync_core::fold::{State, fold};
use sync_core::ids::{DocId, DocKind, ItemId, Position};
use sync_core::money::Money;
use sync_core::view::row::Row;

use super::ProjectionError;
use crate::log::Entry;
use crate::relay::{Footing, Relay, RelayError};

/// The step that counts as placed with the factory (S21).
const PLACED: &str = "placed";
/// Cases whose rows go together, and rows that one statement takes: SQLite binds 32,766 values at most.
const CASES_AT_ONCE: usize = 200;
const ROWS_AT_ONCE: usize = 1_000;

/// What a piece of the log comes to.
pub(super) struct Staged {
    upto: Position,
    cases: Vec<Case>,
    directory: bool,
    /// What they were folded by; the policies that are noted with the rows must be these.
    footing: Arc<Footing>,
}

/// One order or ticket with its rows.
struct Case {
    row: Row,
    position: Position,
    texts: Texts,
    sealed: bool,
    cleared: bool,
    placed: bool,
    total: Option<Money>,
    paid: Option<Money>,
    steps: Vec<[String; 4]>,
    step_times: Vec<i64>,
    appointments: Vec<([String; 4], bool)>,
    items: Vec<(ItemId, BTreeMap<String, Value>)>,
}

#[derive(Default)]
struct Texts {
    phone: String,
    address: String,
    sales: String,
    /// A ticket's product; an order's stand in its items.
    product: String,
}

/// Reads at most `limit` entries after a position and folds what they touched; `None` at the log's end.
pub(super) fn stage(relay: &Relay, after: Position, limit: usize) -> Result<Option<Staged>, RelayError> {
    let entries = relay.entries(after, limit)?;
    let Some(last) = entries.last() else { return Ok(None) };
    let upto = last.position;
    let mut touched = BTreeMap::new();
    let mut directory = false;
    for logged in &entries {
        let Entry::Change { doc, .. } = &logged.entry else { continue };
        match doc.subject().kind() {
            DocKind::Order | DocKind::Ticket | DocKind::Customer => {
                touched.insert(doc.subject(), logged.position);
            }
            DocKind::Directory => directory = true,
            _ => {}
        }
    }
    if directory {
        // Waits until whoever wrote it has also replaced the footing.
        relay.document(DocId::directory(relay.company()))?;
    }
    let footing = relay.footing();
    let cases = cases(relay, &footing, &touched)?;
    Ok(Some(Staged { upto, cases, directory, footing }))
}

fn cases(
    relay: &Relay,
    footing: &Footing,
    touched: &BTreeMap<DocId, Position>,
) -> Result<Vec<Case>, RelayError> {
    let made = touched.iter().map(|(doc, position)| case(relay, footing, *doc, *position));
    made.filter_map(Result::transpose).collect()
}

/// What one order or ticket comes to; `None` where only its money facet has arrived so far.
fn case(relay: &Relay, footing: &Footing, id: DocId, position: Position) -> Result<Option<Case>, RelayError> {
    let Some(made) = relay.look(id, |doc| case_of(doc, footing, position))? else { return Ok(None) };
    let (total, paid) = money(relay, footing, id)?;
    Ok(Some(Case { total, paid, ..made }))
}

/// One order or ticket without its money.
fn case_of(doc: &Document, footing: &Footing, position: Position) -> Case {
    let rules = footing.rules();
    let state = fold(doc, &rules);
    let fields = state.content(doc, Map::Fields);
    let text = |name: &str| text_of(&fields, name);
    let mut items: BTreeMap<ItemId, BTreeMap<String, Value>> = BTreeMap::new();
    for (key, value) in state.content(doc, Map::Items) {
        if let Some((item, field)) = split_item_key(&key) {
            items.entry(item).or_default().insert(field.to_owned(), value);
        }
    }
    Case {
        row: Row::of(doc, &state, &rules),
        position,
        texts: Texts {
            phone: text("phone"),
            address: text("address"),
            sales: text("sales"),
            product: text("product"),
        },
        sealed: state.in_force.is_some(),
        cleared: state.cleared.is_some(),
        placed: state.done(PLACED),
        total: None,
        paid: None,
        steps: steps(&state),
        step_times: state.steps.iter().map(|s| s.said.at.best().0).collect(),
        appointments: appointments(&state),
        items: items.into_iter().collect(),
    }
}

fn text_of(fields: &BTreeMap<String, Value>, name: &str) -> String {
    fields.get(name).and_then(Value::as_text).unwrap_or_default().to_owned()
}

/// Total or quotation, and the sum of payments in the currency of the first of these.
fn money(relay: &Relay, footing: &Footing, id: DocId) -> Result<(Option<Money>, Option<Money>), RelayError> {
    let Some(kind) = id.kind().money() else { return Ok((None, None)) };
    let Some(doc) = relay.document(id.facet(kind))? else { return Ok((None, None)) };
    let state = fold(&doc, &footing.rules());
    let fields = state.content(&doc, Map::Fields);
    let amount = |name: &str| fields.get(name).and_then(Value::as_text).and_then(parse_money);
    let total = amount("total").or_else(|| amount("quotation"));
    let mut paid: Option<Money> = None;
    for payment in state.payments.iter().map(|p| p.what.amount) {
        let currency = total.or(paid).map_or(payment.currency, |m| m.currency);
        if payment.currency == currency {
            let minor = paid.map_or(0, |p| p.minor).saturating_add(payment.minor);
            paid = Some(Money::new(minor, currency));
        }
    }
    Ok((total, paid))
}

fn steps(state: &State) -> Vec<[String; 4]> {
    let outcome = |outcome| match outcome {
        Outcome::Done => "done",
        Outcome::Partial => "partial",
        Outcome::Refused => "refused",
        Outcome::Failed => "failed",
    };
    let row = |s: &sync_core::fold::Saying<sync_core::fact::kinds::Step>| {
        let by = s.said.by.to_string();
        [s.said.fact.to_string(), s.what.step.to_string(), by, outcome(s.what.outcome).to_owned()]
    };
    state.steps.iter().map(row).collect()
}

fn appointments(state: &State) -> Vec<([String; 4], bool)> {
    let status = |status| match status {
        AppointmentStatus::Scheduled => "scheduled",
        AppointmentStatus::Dispatched => "dispatched",
        AppointmentStatus::Travelling => "travelling",
        AppointmentStatus::OnSite => "on_site",
        AppointmentStatus::Completed => "completed",
        AppointmentStatus::CannotComplete => "cannot_complete",
        AppointmentStatus::Cancelled => "cancelled",
    };
    let mut rows = Vec::new();
    for (id, a) in &state.appointments {
        for person in a.people.iter().collect::<BTreeSet<_>>() {
            let row = [id.to_string(), a.on.clone(), person.to_string(), status(a.status).to_owned()];
            rows.push((row, a.status.is_open()));
        }
    }
    rows
}

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
        let again = tokio::task::spawn_blocking(move || cases(&relay, &footing, &all)).await;
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

fn number(position: u64) -> i64 {
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
        for table in ["steps", "appointments", "items"] {
            clear(tx, &format!("DELETE FROM {table} WHERE doc IN ("), &docs).await?;
        }
        clear(tx, "DELETE FROM search WHERE rowid IN (", &ids).await?;
        put_steps(tx, cases, &docs).await?;
        put_appointments(tx, cases, &docs).await?;
        put_items(tx, cases, &docs).await?;
        put_search(tx, cases, &ids).await?;
    }
    Ok(())
}

async fn clear<'a, T>(tx: &mut SqliteConnection, begin: &str, keys: &'a [T]) -> Result<(), ProjectionError>
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
async fn insert<'a, R>(
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

async fn put_items(
    tx: &mut SqliteConnection,
    cases: &[Case],
    docs: &[String],
) -> Result<(), ProjectionError> {
    let mut rows = Vec::new();
    for (case, doc) in cases.iter().zip(docs) {
        rows.extend(case.items.iter().map(|(item, fields)| (doc, *item, fields)));
    }
    let into = "items (doc, item, product, model, material, quantity)";
    insert(tx, into, &rows, |row, (doc, item, fields)| {
        let quantity = match fields.get("quantity") {
            Some(Value::Int(quantity)) => Some(*quantity),
            _ => None,
        };
        row.push_bind(*doc).push_bind(item.to_string()).push_bind(text_of(fields, "product"));
        row.push_bind(text_of(fields, "model")).push_bind(text_of(fields, "material")).push_bind(quantity);
    })
    .await
}

async fn put_search(tx: &mut SqliteConnection, cases: &[Case], ids: &[i64]) -> Result<(), ProjectionError> {
    let products = |case: &Case| {
        let of_items = case.items.iter().flat_map(|(_, f)| [text_of(f, "product"), text_of(f, "model")]);
        let all = std::iter::once(case.texts.product.clone()).chain(of_items);
        all.filter(|product| !product.is_empty()).collect::<Vec<_>>().join("\n")
    };
    let rows: Vec<_> = cases.iter().zip(ids).collect();
    let into = "search (rowid, number, customer, phone, address, product)";
    insert(tx, into, &rows, |row, (case, id)| {
        row.push_bind(**id).push_bind(&case.row.number).push_bind(&case.row.customer);
        row.push_bind(&case.texts.phone).push_bind(&case.texts.address).push_bind(products(case));
    })
    .await
}

async fn put_case(tx: &mut SqliteConnection, case: &Case, doc: &str) -> Result<i64, ProjectionError> {
    // The row keeps its id, which the search table knows it by.
    let upsert =
        "INSERT INTO cases (doc, kind, number, flow, step, store, customer, phone, address, sales, due,
        opened_ms, due_key, opened_key, cancelled, closed, sealed, cleared, placed, proposed, clashes,
        total_minor, paid_minor, currency, last_position)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (doc) DO UPDATE SET kind = excluded.kind, number = excluded.number, flow = excluded.flow,
        step = excluded.step, store = excluded.store, customer = excluded.customer, phone = excluded.phone,
        address = excluded.address, sales = excluded.sales, due = excluded.due,
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
