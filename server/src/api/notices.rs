//! The office's inbox: what the person who asks should hear, newest first, as their device would tell it.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use sync_core::domain::fields::Map;
use sync_core::ids::{DocId, PersonId};
use sync_core::notice::NoticeKind;
use utoipa::ToSchema;

use super::{Office, Shared, off};
use crate::problem::Problem;
use crate::projection::notices::NoticeRow;

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NoticesQuery {
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
    /// Notices, at most 200; 50 where it is not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// One notice.
#[derive(Serialize, ToSchema)]
pub struct NoticeView {
    /// Its id: what the command `read` takes.
    id: String,
    /// `assignment`, `reminder`, `escalation`, `decision`, `clash`, `proposal`, `exception` or `task`.
    kind: String,
    /// What kind it is, in Chinese.
    title: &'static str,
    /// What kind it is, in English.
    title_en: &'static str,
    /// The document's id.
    doc: String,
    /// Its number.
    number: String,
    /// The name of its store.
    store: Option<String>,
    /// Since when, Unix milliseconds.
    at_ms: i64,
    /// When it is or was due, Unix milliseconds.
    due_ms: Option<i64>,
    /// What happened, in Chinese.
    words: String,
    /// What happened, in English.
    words_en: String,
    /// The person has read it, here or on a device.
    read: bool,
}

/// A page of notices.
#[derive(Serialize, ToSchema)]
pub struct Notices {
    /// Newest first.
    rows: Vec<NoticeView>,
    /// What the next page begins after; none at the end.
    next: Option<String>,
}

fn view(row: NoticeRow, marks: &BTreeSet<String>) -> NoticeView {
    let words = NoticeKind::ALL.into_iter().map(NoticeKind::words).find(|(name, ..)| *name == row.kind);
    let (_, title, title_en) = words.unwrap_or_default();
    NoticeView {
        read: marks.contains(&row.id),
        title,
        title_en,
        id: row.id,
        kind: row.kind,
        doc: row.doc,
        number: row.number,
        store: row.store_name,
        at_ms: row.at_ms,
        due_ms: row.due_ms,
        words: row.zh,
        words_en: row.en,
    }
}

/// What this person should hear, page by page; seconds after it happened or came due.
#[utoipa::path(get, path = "/v1/notices", security(("office" = [])), params(NoticesQuery),
    responses((status = 200, body = Notices), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<Shared>,
    Office(person): Office,
    query: Result<Query<NoticesQuery>, QueryRejection>,
) -> Result<Json<Notices>, Problem> {
    let Query(query) = query?;
    let (footing, now_ms) = (app.relay.footing(), app.clock.unix_ms());
    let (rules, after, limit) = (footing.rules(), query.after.as_deref(), query.limit.unwrap_or(50));
    let page = app.projection.notices(person, &rules, now_ms, after, limit).await?;
    let marks = off(move || marks(&app, person)).await?;
    Ok(Json(Notices { rows: page.rows.into_iter().map(|row| view(row, &marks)).collect(), next: page.next }))
}

/// The ids of the notices that a person has read.
fn marks(app: &super::App, person: PersonId) -> Result<BTreeSet<String>, Problem> {
    let inbox = DocId::inbox(app.relay.company(), person);
    let read = app.relay.look(inbox, |doc| doc.values(Map::Notes).into_iter().map(|(id, _)| id).collect())?;
    Ok(read.unwrap_or_default())
}
