//! Orders and tickets: one with its content, steps, clashes and what comes next; and its history.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use sync_core::fold::fold;
use sync_core::ids::PersonId;
use sync_core::view::case::{CaseView, Look, case as view};
use utoipa::ToSchema;

use super::commands::doc_named;
use super::{App, Office, Shared, off};
use crate::problem::Problem;
use crate::relay::audience::visible;

fn found(app: &App, person: PersonId, text: &str) -> Result<sync_core::document::Document, Problem> {
    let doc = doc_named(app, text)?;
    let interests = app.relay.footing().interests(person, app.clock.unix_ms());
    if !visible(&app.relay.log().audience(doc)?, &interests) {
        return Err(Problem::not_found());
    }
    app.relay.document(doc)?.ok_or_else(Problem::not_found)
}

/// One order or ticket, by document id or number.
#[utoipa::path(get, path = "/v1/cases/{doc}", params(("doc" = String, Path)),
    responses((status = 200, body = serde_json::Value), (status = 404, body = Problem)))]
pub async fn case(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<CaseView>, Problem> {
    let Path(text) = path?;
    off(move || {
        let doc = found(&app, person, &text)?;
        let footing = app.relay.footing();
        let look = Look { rules: footing.rules(), person, now_ms: app.clock.unix_ms() };
        let state = fold(&doc, &look.rules);
        Ok(Json(view(&doc, &state, look)))
    })
    .await
}

/// One fact of a history.
#[derive(Serialize, ToSchema)]
pub struct FactView {
    /// Its id.
    id: String,
    /// Its kind.
    kind: &'static str,
    /// Who said it.
    by: String,
    /// With which device.
    device: String,
    /// When, as far as the device knew, Unix milliseconds.
    at_ms: i64,
    /// When the relay received it, Unix milliseconds.
    received_ms: Option<i64>,
    /// The change that brought it.
    change: String,
    /// The signed bytes (COSE_Sign1, RFC 9052), hex: anyone can check them.
    signed: String,
}

/// The whole log of an order or ticket, in its one order.
#[utoipa::path(get, path = "/v1/cases/{doc}/history", params(("doc" = String, Path)),
    responses((status = 200, body = Vec<FactView>), (status = 404, body = Problem)))]
pub async fn history(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Vec<FactView>>, Problem> {
    let Path(text) = path?;
    off(move || {
        let doc = found(&app, person, &text)?;
        let footing = app.relay.footing();
        let mut facts = Vec::new();
        for entry in doc.log() {
            let position = app.relay.log().position_of(doc.id(), entry.change)?;
            let before = position.map(|p| sync_core::ids::Position(p.0 - 1));
            let logged = before.map(|p| app.relay.log().read(p, 1)).transpose()?.unwrap_or_default();
            facts.push(FactView {
                id: entry.fact.id.to_string(),
                kind: entry.fact.payload.name(),
                by: footing.directory.person_name(entry.fact.author),
                device: entry.fact.device.to_string(),
                at_ms: entry.fact.stamp.best().0,
                received_ms: logged.first().map(|l| l.at_ms),
                change: entry.change.to_string(),
                signed: doc.fact_bytes(entry.fact.id).map(hex::encode).unwrap_or_default(),
            });
        }
        Ok(Json(facts))
    })
    .await
}
