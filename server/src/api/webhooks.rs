//! Webhooks: how it stands with each, and trying again what was given up. They are configured in the file of
//! `gendan serve`, not here.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use sync_core::ids::PersonId;
use sync_core::policy::model::Power;
use utoipa::ToSchema;

use super::{App, Office, Shared, off};
use crate::outward::{HookView, OutwardError};
use crate::problem::Problem;

/// How it stands with a webhook.
#[derive(Serialize, ToSchema)]
pub struct WebhookView {
    /// Its name.
    name: String,
    /// Where it is told: scheme, host and port. What follows may be a secret.
    origin: String,
    /// The kinds of notices that are told; all where none are named.
    kinds: Vec<String>,
    /// What happened before is not told, Unix milliseconds.
    since_ms: i64,
    /// Deliveries that wait.
    waiting: usize,
    /// Of these, so many failed at least once.
    failing: usize,
    /// Deliveries that were given up until somebody tries them again.
    parked: usize,
    /// Parked deliveries that gave way to newer ones.
    dropped: u64,
    /// Its line is full; what else there is to tell is told later.
    full: bool,
    /// The last answer since the relay started: an HTTP status, `timeout` or `connection`.
    last_answer: Option<String>,
    /// When that was, Unix milliseconds.
    last_ms: Option<i64>,
}

impl From<HookView<'_>> for WebhookView {
    fn from(HookView { hook, standing }: HookView<'_>) -> Self {
        let (last_ms, last_answer) = standing.last.unzip();
        Self {
            name: hook.config.name.clone(),
            origin: hook.url.origin().ascii_serialization(),
            kinds: hook.config.kinds.iter().cloned().collect(),
            since_ms: standing.since_ms,
            waiting: standing.waiting,
            failing: standing.failing,
            parked: standing.parked,
            dropped: standing.dropped,
            full: standing.full,
            last_answer,
            last_ms,
        }
    }
}

impl From<OutwardError> for Problem {
    fn from(error: OutwardError) -> Self {
        Self::internal(&error)
    }
}

fn may(app: &App, person: PersonId) -> Result<(), Problem> {
    let footing = app.relay.footing();
    let may = footing.rules().has_power(person, app.clock.unix_ms(), Power::Policy);
    may.then_some(()).ok_or_else(|| {
        Problem::role_missing("您没有查看对外通知的权限。", "You may not see what is told outside.")
    })
}

/// How it stands with each webhook, for those who may publish a policy.
#[utoipa::path(get, path = "/v1/webhooks", security(("office" = [])),
    responses((status = 200, body = Vec<WebhookView>), (status = 403, body = Problem)))]
pub async fn list(
    State(app): State<Shared>,
    Office(person): Office,
) -> Result<Json<Vec<WebhookView>>, Problem> {
    may(&app, person)?;
    Ok(Json(app.outward.hooks().into_iter().map(Into::into).collect()))
}

/// How many deliveries are tried again.
#[derive(Serialize, ToSchema)]
pub struct Retried {
    /// Deliveries that were parked and wait again.
    retried: usize,
}

/// Tries again what was given up of a webhook.
#[utoipa::path(post, path = "/v1/webhooks/{name}/retry", security(("office" = [])), params(("name" = String, Path)),
    responses((status = 200, body = Retried), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn retry(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Retried>, Problem> {
    let Path(name) = path?;
    off(move || {
        may(&app, person)?;
        let retried = app.outward.retry(&name, app.clock.unix_ms())?.ok_or_else(Problem::not_found)?;
        Ok(Json(Retried { retried }))
    })
    .await
}
