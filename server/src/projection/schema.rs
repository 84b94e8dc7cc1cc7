//! The tables of the read model, and whether a file holds them.
//!
//! One version number for all of it: a file of another version, company or log epoch is replaced by an
//! empty one and filled from the log. There are no migrations here, on purpose. A file that is no read
//! model at all is left alone: somebody named the wrong path.

use sqlx::{Row as _, SqliteConnection};

use super::ProjectionError;

/// The version of the tables; raise it with every change to `TABLES` or to what is written into them.
pub const VERSION: i64 = 5;
/// The circle of what is seen by those who assess people; any other is a kind of document.
pub(super) const ASSESSORS: &str = "assessors";

/// `PRAGMA application_id` of a read model: "gnd1".
const APPLICATION: i64 = 0x676e_6431;

/// Times in Unix milliseconds, money in minor units, days as `2026-11-22`, flags 0 or 1. The `_key`
/// columns are text that sorts as its column does, never empty of a value.
const TABLES: &str = "
CREATE TABLE meta (only INTEGER PRIMARY KEY CHECK (only = 1), company TEXT NOT NULL, epoch TEXT NOT NULL,
    position INTEGER NOT NULL, policies TEXT NOT NULL);
CREATE TABLE people (person TEXT PRIMARY KEY, number TEXT NOT NULL, name TEXT NOT NULL);
CREATE TABLE stores (store TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE cases (id INTEGER PRIMARY KEY, doc TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    number TEXT NOT NULL, flow TEXT, step TEXT, store TEXT, customer TEXT NOT NULL, phone TEXT NOT NULL,
    address TEXT NOT NULL, sales TEXT NOT NULL, due TEXT, opened_by TEXT NOT NULL, channel TEXT NOT NULL,
    circle TEXT NOT NULL, everyone INTEGER NOT NULL, escalations INTEGER NOT NULL, opened_ms INTEGER, due_key TEXT NOT NULL,
    opened_key TEXT NOT NULL, cancelled INTEGER NOT NULL, closed INTEGER NOT NULL, sealed INTEGER NOT NULL,
    cleared INTEGER NOT NULL, placed INTEGER NOT NULL, proposed INTEGER NOT NULL, clashes INTEGER NOT NULL,
    total_minor INTEGER, paid_minor INTEGER, currency TEXT, last_position INTEGER NOT NULL);
CREATE INDEX cases_number ON cases (number, doc);
CREATE INDEX cases_due ON cases (due_key, doc);
CREATE INDEX cases_opened ON cases (opened_key, doc);
CREATE INDEX cases_store ON cases (store, kind);
CREATE TABLE steps (doc TEXT NOT NULL, fact TEXT NOT NULL, step TEXT NOT NULL, person TEXT NOT NULL,
    at_ms INTEGER NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (doc, fact)) WITHOUT ROWID;
CREATE TABLE appointments (doc TEXT NOT NULL, appointment TEXT NOT NULL, day TEXT NOT NULL,
    person TEXT NOT NULL, status TEXT NOT NULL, open INTEGER NOT NULL,
    PRIMARY KEY (doc, appointment, person)) WITHOUT ROWID;
CREATE INDEX appointments_person ON appointments (person, doc);
CREATE TABLE seers (doc TEXT NOT NULL, person TEXT NOT NULL, PRIMARY KEY (doc, person)) WITHOUT ROWID;
CREATE TABLE items (doc TEXT NOT NULL, item TEXT NOT NULL, product TEXT NOT NULL, model TEXT NOT NULL,
    material TEXT NOT NULL, quantity INTEGER, stocked_ms INTEGER, first_day TEXT, full_day TEXT,
    PRIMARY KEY (doc, item)) WITHOUT ROWID;
CREATE INDEX items_stocked ON items (stocked_ms) WHERE stocked_ms IS NOT NULL;
CREATE TABLE orders (doc TEXT PRIMARY KEY, placed_ms INTEGER, completed_ms INTEGER, place_by TEXT,
    delivered_day TEXT) WITHOUT ROWID;
CREATE TABLE tickets (doc TEXT PRIMARY KEY, urgency TEXT NOT NULL, order_doc TEXT NOT NULL,
    cause TEXT NOT NULL, customer_file TEXT NOT NULL, visits INTEGER NOT NULL, response_ms INTEGER,
    response_work_ms INTEGER, response_limit_ms INTEGER, solved_ms INTEGER, solution_work_ms INTEGER,
    solution_limit_ms INTEGER) WITHOUT ROWID;
CREATE TABLE answers (doc TEXT NOT NULL, fact TEXT NOT NULL, question TEXT NOT NULL, score INTEGER,
    at_ms INTEGER NOT NULL, PRIMARY KEY (doc, fact, question)) WITHOUT ROWID;
CREATE INDEX answers_at ON answers (at_ms);
CREATE TABLE ratings (doc TEXT NOT NULL, fact TEXT NOT NULL, measure TEXT NOT NULL, person TEXT NOT NULL,
    score INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (doc, fact, measure)) WITHOUT ROWID;
CREATE INDEX ratings_at ON ratings (at_ms);
CREATE TABLE judged (doc TEXT PRIMARY KEY, policy INTEGER NOT NULL, until_ms INTEGER, body BLOB NOT NULL);
CREATE TABLE stirring (doc TEXT PRIMARY KEY, next_ms INTEGER NOT NULL, position INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE INDEX stirring_next ON stirring (next_ms);
CREATE TABLE notices (doc TEXT NOT NULL, id TEXT NOT NULL, recipient TEXT NOT NULL, whom TEXT NOT NULL,
    kind TEXT NOT NULL, number TEXT NOT NULL, store TEXT, at_ms INTEGER NOT NULL, due_ms INTEGER,
    zh TEXT NOT NULL, en TEXT NOT NULL, PRIMARY KEY (doc, id, recipient, whom)) WITHOUT ROWID;
CREATE INDEX notices_at ON notices (at_ms, id);
CREATE VIRTUAL TABLE search USING fts5 (tokens, content = '', contentless_delete = 1,
    tokenize = \"unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'\");
CREATE VIRTUAL TABLE search_tokens USING fts5vocab (search, instance);
";

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing in it yet.
    Empty,
    /// This company's, this epoch's, this version's; reaches to this position.
    Ours(u64),
    /// A read model, but another's or another version's.
    Stale,
}

/// What a file is.
pub(super) async fn inspect(
    db: &mut SqliteConnection,
    company: &str,
    epoch: &str,
) -> Result<Found, ProjectionError> {
    let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *db).await?;
    if application != APPLICATION {
        let tables: i64 =
            sqlx::query_scalar("SELECT count(*) FROM sqlite_master").fetch_one(&mut *db).await?;
        return if tables == 0 && application == 0 {
            Ok(Found::Empty)
        } else {
            Err(ProjectionError::Foreign)
        };
    }
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *db).await?;
    if version != VERSION {
        return Ok(Found::Stale);
    }
    let meta = sqlx::query("SELECT company, epoch, position FROM meta").fetch_optional(&mut *db).await?;
    let Some(meta) = meta else { return Ok(Found::Stale) };
    if meta.try_get::<String, _>(0)? != company || meta.try_get::<String, _>(1)? != epoch {
        return Ok(Found::Stale);
    }
    Ok(u64::try_from(meta.try_get::<i64, _>(2)?).map_or(Found::Stale, Found::Ours))
}

/// Makes the tables, all or none of them.
pub(super) async fn create(
    db: &mut SqliteConnection,
    company: &str,
    epoch: &str,
) -> Result<(), ProjectionError> {
    // Both pragmas are part of the file's header and so of the transaction.
    let script = format!(
        "BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {TABLES}"
    );
    sqlx::raw_sql(&script).execute(&mut *db).await?;
    sqlx::query("INSERT INTO meta (only, company, epoch, position, policies) VALUES (1, ?, ?, 0, '')")
        .bind(company)
        .bind(epoch)
        .execute(&mut *db)
        .await?;
    sqlx::raw_sql("COMMIT").execute(db).await?;
    Ok(())
}
