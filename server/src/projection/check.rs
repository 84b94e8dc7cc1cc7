//! Whether the file says what the log says: rebuilt in memory and compared row by row.
//!
//! Out: the table and key of every row that differs, is missing or is too many. Keys are ids, so nothing
//! personal is in them. Both sides are brought to the log's end first; run it while nothing is written,
//! or what was written in between shows as a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use sqlx::Row as _;
use sync_core::time::UnixMs;
use utoipa::ToSchema;

use super::{Place, Projection, ProjectionError};

/// A row that is not what the log makes of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The row's key: ids, joined by `/`.
    pub key: String,
}

/// Each table with a query that gives key and content as text; but for those of notices, which say what was
/// so when they were looked at.
const TABLES: [(&str, &str); 13] = [
    ("people", "SELECT person, json_array(number, name) FROM people"),
    ("stores", "SELECT store, name FROM stores"),
    (
        "cases",
        "SELECT doc, json_array(kind, number, flow, step, store, customer, phone, address, sales, due,
            opened_by, channel, circle, everyone, escalations, opened_ms, due_key, opened_key, cancelled, closed, sealed, cleared, placed, proposed, clashes,
            total_minor, paid_minor, currency, last_position) FROM cases",
    ),
    ("steps", "SELECT doc || '/' || fact, json_array(step, person, at_ms, outcome) FROM steps"),
    (
        "appointments",
        "SELECT doc || '/' || appointment || '/' || person, json_array(day, status, open) FROM appointments",
    ),
    ("seers", "SELECT doc || '/' || person, '' FROM seers"),
    ("items", "SELECT doc || '/' || item, json_array(product, model, material, quantity, stocked_ms,
            first_day, full_day) FROM items"),
    ("orders", "SELECT doc, json_array(placed_ms, completed_ms, place_by, delivered_day) FROM orders"),
    (
        "tickets",
        "SELECT doc, json_array(urgency, order_doc, cause, customer_file, visits, response_ms,
            response_work_ms, response_limit_ms, solved_ms, solution_work_ms, solution_limit_ms)
            FROM tickets",
    ),
    ("answers", "SELECT doc || '/' || fact || '/' || question, json_array(score, at_ms) FROM answers"),
    ("ratings", "SELECT doc || '/' || fact || '/' || measure, json_array(person, score, at_ms) FROM ratings"),
    ("judged", "SELECT doc, json_array(policy, until_ms, hex(body)) FROM judged"),
    // The index keeps no text. A sum over its tokens and their places stands for what it knows of a case.
    (
        "search",
        "SELECT coalesce(c.doc, 'row ' || t.doc), json_array(count(*),
            sum((t.offset + 1) * (unicode(t.term) * 31 + coalesce(unicode(substr(t.term, 2)), 0))))
            FROM search_tokens t LEFT JOIN cases c ON c.id = t.doc GROUP BY t.doc",
    ),
];

impl Projection {
    /// Rebuilds the read model in memory and names every row of this one that differs.
    pub async fn check(&self, now_ms: UnixMs) -> Result<Vec<Difference>, ProjectionError> {
        let fresh = Self::open(&Place::Memory, Arc::clone(&self.relay)).await?;
        fresh.catch_up(now_ms).await?;
        self.catch_up(now_ms).await?;
        let mut differences = Vec::new();
        for (table, sql) in TABLES {
            let (ours, theirs) = (self.dump(sql).await?, fresh.dump(sql).await?);
            let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            let differing = keys.into_iter().filter(|key| ours.get(*key) != theirs.get(*key));
            differences.extend(differing.map(|key| Difference { table, key: key.clone() }));
        }
        fresh.close().await;
        Ok(differences)
    }

    pub(super) async fn dump(&self, sql: &'static str) -> Result<BTreeMap<String, String>, ProjectionError> {
        let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}
