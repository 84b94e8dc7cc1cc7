//! Questions to the read model: lists with filters and pages, search, and what is placed or not.
//!
//! In: a [`CaseFilter`], a [`Sort`] and an opaque cursor. Out: rows of at most [`LIMIT_MAX`] a page.
//! Pages are keysets: a page begins after the last row's sort key and document, so rows that arrive in
//! between neither repeat nor hide others. Every value is a bind; SQL text is made of constants only.
//! What a person may not see is not counted, not found and not hinted at; without a money scope, amounts
//! are empty.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite};
use sync_core::ids::{DocId, DocKind, PersonId, StoreId};
use utoipa::ToSchema;

use super::schema::ASSESSORS;
use super::{Projection, ProjectionError, words};
use crate::log::Tag;
use crate::relay::audience::Tags;

/// Rows of one page, at most.
pub const LIMIT_MAX: u32 = 200;
/// Characters of a search, at most.
pub const TEXT_CHARS_MAX: usize = 200;
/// Bytes of any other value or a cursor, at most.
const VALUE_BYTES_MAX: usize = 1_024;

/// Orders, tickets and whatever else has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseKind {
    /// Orders (订单).
    Order,
    /// After-sales tickets (售后单).
    Ticket,
    /// Customer files (客户档案).
    Customer,
    /// Matters (事项).
    Matter,
    /// Conduct records (奖惩记录).
    Conduct,
    /// Stocks of parts (备件库存).
    Stock,
}

impl CaseKind {
    const fn doc(self) -> DocKind {
        match self {
            Self::Order => DocKind::Order,
            Self::Ticket => DocKind::Ticket,
            Self::Customer => DocKind::Customer,
            Self::Matter => DocKind::Matter,
            Self::Conduct => DocKind::Conduct,
            Self::Stock => DocKind::Stock,
        }
    }
}

/// Which rows; everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct CaseFilter {
    /// Orders or tickets.
    pub kind: Option<CaseKind>,
    /// Of this store.
    pub store: Option<StoreId>,
    /// Whose newest step is this.
    pub step: Option<String>,
    /// Of this flow.
    pub flow: Option<String>,
    /// Neither closed nor cancelled (`true`), or one of these (`false`).
    pub open: Option<bool>,
    /// Complete.
    pub closed: Option<bool>,
    /// Called off.
    pub cancelled: Option<bool>,
    /// Due on this day or later, `2026-11-22`.
    pub due_from: Option<String>,
    /// Due on this day or earlier.
    pub due_to: Option<String>,
    /// Found in number, customer, phone, address or product, or in what was said about it.
    pub text: Option<String>,
    /// With a clash that nobody settled.
    pub has_clash: Option<bool>,
    /// With edits that are not in force.
    pub has_proposed: Option<bool>,
    /// Sold by this person, or with an appointment of theirs.
    pub person: Option<PersonId>,
    /// What a person with these interests may see; everything where none are given.
    pub visible_to: Option<Tags>,
}

/// What to sort by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    /// Number, as text.
    Number,
    /// Due day; what has none comes last.
    Due,
    /// When it was opened.
    #[default]
    Opened,
}

/// The order of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// Largest first.
    pub descending: bool,
}

/// One order or ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct CaseRow {
    /// The document's id.
    pub doc: String,
    /// `order` or `ticket`.
    pub kind: String,
    /// Its number.
    pub number: String,
    /// The flow.
    pub flow: Option<String>,
    /// The newest step done.
    pub step: Option<String>,
    /// The store's id.
    pub store: Option<String>,
    /// The store's name.
    pub store_name: Option<String>,
    /// Who it is for.
    pub customer: String,
    /// Phone.
    pub phone: String,
    /// Address.
    pub address: String,
    /// Staff number of who sold it.
    pub sales: String,
    /// The day it is owed, `2026-11-22`.
    pub due: Option<String>,
    /// When it was opened, Unix milliseconds.
    pub opened_ms: Option<i64>,
    /// Called off.
    pub cancelled: bool,
    /// Complete.
    pub closed: bool,
    /// Something is in force.
    pub sealed: bool,
    /// Paid in full or guaranteed.
    pub cleared: bool,
    /// Placed with the factory (已下单).
    pub placed: bool,
    /// Edits that are not in force.
    pub proposed: i64,
    /// Clashes that nobody settled.
    pub clashes: i64,
    /// Total or quotation, minor units.
    pub total_minor: Option<i64>,
    /// Payments less refunds, minor units.
    pub paid_minor: Option<i64>,
    /// Their currency, such as `CNY`.
    pub currency: Option<String>,
    /// The log position that last changed it.
    pub last_position: i64,
    #[serde(skip)]
    #[schema(ignore)]
    sort_key: String,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page {
    /// Rows, in the order that was asked for.
    pub rows: Vec<CaseRow>,
    /// What the next page begins after; none at the end.
    pub next: Option<String>,
}

/// How many orders of a store are placed (S21: 未下单/已下单). Cancelled ones do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct StoreCount {
    /// The store's id; none for orders of no store.
    pub store: Option<String>,
    /// Its name.
    pub store_name: Option<String>,
    /// 已下单.
    pub placed: i64,
    /// 未下单.
    pub not_placed: i64,
}

/// Where a page ended: sort, key and document.
#[derive(Serialize, Deserialize)]
struct Cursor(Sort, String, String);

impl Cursor {
    fn read(text: &str, sort: Sort) -> Result<Self, ProjectionError> {
        let invalid = || ProjectionError::Question { code: "cursor_invalid" };
        // A number of the longest text, its escapes and base64 fit in four times the bound.
        if text.len() > VALUE_BYTES_MAX * 16 {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        let known = cursor.2.parse::<DocId>().is_ok() && cursor.0 == sort;
        known.then_some(cursor).ok_or_else(invalid)
    }
    fn write(sort: Sort, last: &CaseRow) -> String {
        let cursor = Self(sort, last.sort_key.clone(), last.doc.clone());
        let bytes = serde_json::to_vec(&cursor).expect("a record of texts is always JSON");
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl Projection {
    /// One page of rows. `after`: the last page's `next`; `limit`: from 1 to [`LIMIT_MAX`].
    pub async fn list(
        &self,
        filter: &CaseFilter,
        sort: Sort,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page, ProjectionError> {
        if limit == 0 || limit > LIMIT_MAX {
            return Err(ProjectionError::Question { code: "limit_invalid" });
        }
        let after = after.map(|text| Cursor::read(text, sort)).transpose()?;
        let key = match sort.by {
            SortBy::Number => "c.number",
            SortBy::Due => "c.due_key",
            SortBy::Opened => "c.opened_key",
        };
        let mut sql = QueryBuilder::new("SELECT c.*, s.name AS store_name, ");
        sql.push(key).push(" AS sort_key FROM cases c LEFT JOIN stores s ON s.store = c.store WHERE 1");
        narrow(&mut sql, filter)?;
        if let Some(Cursor(_, at, doc)) = after {
            sql.push(" AND (").push(key).push(", c.doc) ").push(if sort.descending { "< (" } else { "> (" });
            sql.push_bind(at).push(", ").push_bind(doc).push(")");
        }
        let way = if sort.descending { " DESC" } else { " ASC" };
        sql.push(" ORDER BY ").push(key).push(way).push(", c.doc").push(way).push(" LIMIT ");
        sql.push_bind(i64::from(limit) + 1);
        let mut rows: Vec<CaseRow> = sql.build_query_as().fetch_all(&self.pool).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|last| Cursor::write(sort, last));
        if let Some(tags) = &filter.visible_to {
            rows.iter_mut().for_each(|row| without_money(row, tags));
        }
        Ok(Page { rows, next })
    }

    /// Placed and not placed, by store name; `visible_to` as in [`CaseFilter`].
    pub async fn counts(&self, visible_to: Option<&Tags>) -> Result<Vec<StoreCount>, ProjectionError> {
        let mut sql = QueryBuilder::new(
            "SELECT c.store AS store, s.name AS store_name, sum(c.placed) AS placed,
            sum(1 - c.placed) AS not_placed FROM cases c LEFT JOIN stores s ON s.store = c.store
            WHERE c.kind = 'order' AND c.cancelled = 0",
        );
        if let Some(tags) = visible_to {
            visible(&mut sql, tags);
        }
        sql.push(" GROUP BY c.store, s.name ORDER BY s.name, c.store");
        Ok(sql.build_query_as().fetch_all(&self.pool).await?)
    }
}

fn narrow(sql: &mut QueryBuilder<'_, Sqlite>, filter: &CaseFilter) -> Result<(), ProjectionError> {
    let texts = [
        (" AND c.step = ", &filter.step),
        (" AND c.flow = ", &filter.flow),
        (" AND c.due >= ", &filter.due_from),
        (" AND c.due <= ", &filter.due_to),
    ];
    for (clause, value) in texts {
        let Some(value) = value else { continue };
        if value.len() > VALUE_BYTES_MAX {
            return Err(ProjectionError::Question { code: "value_too_long" });
        }
        sql.push(clause).push_bind(value.clone());
    }
    let flags = [
        (" AND (c.closed = 0 AND c.cancelled = 0) = ", filter.open),
        (" AND c.closed = ", filter.closed),
        (" AND c.cancelled = ", filter.cancelled),
        (" AND (c.clashes > 0) = ", filter.has_clash),
        (" AND (c.proposed > 0) = ", filter.has_proposed),
    ];
    for (clause, value) in flags {
        if let Some(value) = value {
            sql.push(clause).push_bind(value);
        }
    }
    if let Some(kind) = filter.kind {
        sql.push(" AND c.kind = ").push_bind(kind.doc().name());
    }
    if let Some(store) = filter.store {
        sql.push(" AND c.store = ").push_bind(store.to_string());
    }
    if let Some(person) = filter.person.map(|p| p.to_string()) {
        sql.push(" AND (c.sales IN (SELECT number FROM people WHERE person = ").push_bind(person.clone());
        sql.push(") OR EXISTS (SELECT 1 FROM appointments a WHERE a.doc = c.doc AND a.status <> 'cancelled'");
        sql.push(" AND a.person = ").push_bind(person).push("))");
    }
    if let Some(text) = &filter.text {
        search(sql, text)?;
    }
    if let Some(tags) = &filter.visible_to {
        visible(sql, tags);
    }
    Ok(())
}

fn search(sql: &mut QueryBuilder<'_, Sqlite>, text: &str) -> Result<(), ProjectionError> {
    // Bounded before it is walked: no character has more than four bytes.
    if text.len() > TEXT_CHARS_MAX * 4 || text.chars().count() > TEXT_CHARS_MAX {
        return Err(ProjectionError::Question { code: "text_too_long" });
    }
    if let Some(query) = words::query(text) {
        sql.push(" AND c.id IN (SELECT rowid FROM search WHERE search MATCH ").push_bind(query).push(")");
    }
    Ok(())
}

/// The same rule as [`crate::relay::audience::tags`], as SQL.
pub(super) fn visible(sql: &mut QueryBuilder<'_, Sqlite>, tags: &Tags) {
    sql.push(" AND (0");
    for tag in tags {
        match tag {
            Tag::Everyone => {
                sql.push(" OR c.everyone = 1");
            }
            Tag::All(kind) => {
                sql.push(" OR c.circle = ").push_bind(kind.name());
            }
            Tag::Assessors => {
                sql.push(" OR c.circle = ").push_bind(ASSESSORS);
            }
            Tag::Store(store, kind) => {
                sql.push(" OR (c.kind = ").push_bind(kind.name());
                sql.push(" AND c.store = ").push_bind(store.to_string()).push(")");
            }
            Tag::Person(person, kind) => {
                sql.push(" OR (c.kind = ").push_bind(kind.name());
                sql.push(" AND EXISTS (SELECT 1 FROM seers s WHERE s.doc = c.doc");
                sql.push(" AND s.person = ").push_bind(person.to_string()).push("))");
            }
        }
    }
    sql.push(")");
}

fn without_money(row: &mut CaseRow, tags: &Tags) {
    if !sees_money(&row.doc, row.store.as_deref(), tags) {
        (row.total_minor, row.paid_minor, row.currency) = (None, None, None);
    }
}

/// Whether somebody with these interests sees the amounts of an order or ticket of this store.
pub(super) fn sees_money(doc: &str, store: Option<&str>, tags: &Tags) -> bool {
    let kind = doc.parse::<DocId>().ok().and_then(|doc| doc.kind().money());
    let store = store.and_then(|s| s.parse::<StoreId>().ok());
    kind.is_some_and(|kind| {
        tags.contains(&Tag::All(kind)) || store.is_some_and(|s| tags.contains(&Tag::Store(s, kind)))
    })
}
