//! Drafts of what the customer is to be told about an order or ticket. Sending is a person's; the command
//! `contact` logs it with its evidence.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use sync_core::draft::{Draft, drafts};
use sync_core::fold::fold;
use utoipa::ToSchema;

use super::cases::found;
use super::{Office, Shared, off};
use crate::problem::Problem;

/// Words for the customer, to be read over by whoever sends them.
#[derive(Serialize, ToSchema)]
pub struct DraftView {
    /// `result`, `refusal`, `date`, `exception`, `visit` or `progress`.
    kind: &'static str,
    /// The words, in Chinese.
    words: String,
    /// The words, in English.
    words_en: String,
    /// The clause that wants it told.
    clause: &'static str,
    /// The fact that it tells of.
    fact: String,
    /// When that was, Unix milliseconds.
    at_ms: i64,
    /// The first contact with the customer since; none while nobody has told them.
    contact: Option<String>,
}

impl From<Draft> for DraftView {
    fn from(draft: Draft) -> Self {
        Self {
            kind: draft.kind.name(),
            words: draft.words.zh,
            words_en: draft.words.en,
            clause: draft.kind.clause(),
            fact: draft.fact.to_string(),
            at_ms: draft.at_ms,
            contact: draft.contact.map(|contact| contact.to_string()),
        }
    }
}

/// What there is to tell the customer of an order or ticket; at most one draft of each kind.
#[utoipa::path(get, path = "/v1/cases/{doc}/drafts", security(("office" = [])), params(("doc" = String, Path)),
    responses((status = 200, body = Vec<DraftView>), (status = 404, body = Problem)))]
pub async fn list(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Vec<DraftView>>, Problem> {
    let Path(text) = path?;
    off(move || {
        let doc = found(&app, person, &text)?;
        let footing = app.relay.footing();
        let rules = footing.rules();
        let state = fold(&doc, &rules);
        Ok(Json(drafts(&doc, &state, &rules).into_iter().map(Into::into).collect()))
    })
    .await
}
