//! What is held back: with its reason, for the office to release or discard.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sync_core::ids::{ChangeHash, DocId};
use sync_core::policy::model::Power;
use sync_core::refusal::Lang;
use utoipa::ToSchema;

use super::{Office, Shared, as_clerk, off};
use crate::log::{HeldChange, HeldFilter, HeldState};
use crate::problem::Problem;
use crate::relay::gate::facts_in;

/// A change that did not enter.
#[derive(Serialize, ToSchema)]
pub struct HeldView {
    /// The document it was for.
    doc: String,
    /// The change.
    hash: String,
    /// Who sent it.
    person: String,
    /// With which device.
    device: String,
    /// When it came, Unix milliseconds.
    at_ms: i64,
    /// The stable code of the reason.
    code: String,
    /// Why, in Chinese.
    reason: String,
    /// Why, in English.
    reason_en: String,
    /// The kinds of facts in it.
    facts: Vec<String>,
    /// `waiting`, `released`, `discarded` or `replayed`.
    state: &'static str,
}

fn view(held: &HeldChange, directory: &sync_core::directory::Directory) -> HeldView {
    HeldView {
        doc: held.doc.to_string(),
        hash: held.hash.to_string(),
        person: directory.person_name(held.person),
        device: held.device.to_string(),
        at_ms: held.at_ms,
        code: held.reason.code.as_str().to_owned(),
        reason: held.reason.text(Lang::Zh),
        reason_en: held.reason.text(Lang::En),
        facts: facts_in(&held.bytes).iter().map(|f| f.payload.name().to_owned()).collect(),
        state: match held.state {
            HeldState::Waiting => "waiting",
            HeldState::Released { .. } => "released",
            HeldState::Discarded { .. } => "discarded",
            HeldState::Replayed { .. } => "replayed",
        },
    }
}

/// Everything that waits for a decision.
#[utoipa::path(get, path = "/v1/held", security(("office" = [])), responses((status = 200, body = Vec<HeldView>), (status = 403, body = Problem)))]
pub async fn list(State(app): State<Shared>, Office(person): Office) -> Result<Json<Vec<HeldView>>, Problem> {
    off(move || {
        let footing = app.relay.footing();
        if !footing.rules().has_power(person, app.clock.unix_ms(), Power::Release) {
            let (zh, en) = ("您没有放行的权限。", "You may not decide about held changes.");
            return Err(Problem::new(StatusCode::FORBIDDEN, "role_missing", zh, en));
        }
        let held =
            app.relay.log().held(&HeldFilter { waiting: true, ..HeldFilter::default() }, None, 1_000)?;
        Ok(Json(held.iter().map(|h| view(h, &footing.directory)).collect()))
    })
    .await
}

fn parse(path: Result<Path<(String, String)>, PathRejection>) -> Result<(DocId, ChangeHash), Problem> {
    let Path((doc, hash)) = path?;
    let doc = doc.parse().map_err(|e| Problem::invalid("doc", e))?;
    let hash = hash.parse().map_err(|e| Problem::invalid("hash", e))?;
    Ok((doc, hash))
}

/// Lets a held change enter after all.
#[utoipa::path(post, path = "/v1/held/{doc}/{hash}/release", security(("office" = [])), params(("doc" = String, Path), ("hash" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn release(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let (doc, hash) = parse(path)?;
    as_clerk(app, person, move |app, clerk| {
        app.relay.release(clerk, doc, hash, app.clock.unix_ms())?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Why it is set aside.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// The reason, which the device's person is shown.
    reason: String,
}

/// Sets a held change aside for good; it stays readable.
#[utoipa::path(post, path = "/v1/held/{doc}/{hash}/discard", security(("office" = [])), params(("doc" = String, Path), ("hash" = String, Path)),
    request_body = Why, responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn discard(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<(String, String)>, PathRejection>,
    body: Result<Json<Why>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let (doc, hash) = parse(path)?;
    let Json(body) = body?;
    if body.reason.trim().is_empty() || body.reason.chars().count() > sync_core::limits::TEXT_CHARS_MAX {
        return Err(Problem::invalid("reason", "1 to 2000 characters"));
    }
    as_clerk(app, person, move |app, clerk| {
        app.relay.discard(clerk, doc, hash, body.reason, app.clock.unix_ms())?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
