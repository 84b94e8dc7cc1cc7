//! Policies: what is in force, and publishing a new one.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::StringRejection;
use axum::http::StatusCode;
use serde::Serialize;
use sync_core::policy::model::Policy;
use sync_core::policy::publish::Published;
use utoipa::ToSchema;

use super::{Office, Shared, as_clerk};
use crate::problem::Problem;

/// A published policy.
#[derive(Serialize, ToSchema)]
pub struct PolicyView {
    /// Its version.
    version: u32,
    /// The hash of its published form.
    hash: String,
    /// From when it is in force, Unix milliseconds.
    effective_ms: i64,
    /// The profile's name.
    name: String,
    /// Its title.
    title: String,
}

/// Policies, oldest first.
#[utoipa::path(get, path = "/v1/policies", security(("office" = [])), responses((status = 200, body = Vec<PolicyView>), (status = 401, body = Problem)))]
pub async fn current(State(app): State<Shared>, _: Office) -> Json<Vec<PolicyView>> {
    let footing = app.relay.footing();
    let view = |p: &sync_core::directory::PolicyRef| {
        let policy = footing.policies.get(&p.version);
        PolicyView {
            version: p.version,
            hash: p.hash.to_string(),
            effective_ms: p.effective_ms,
            name: policy.map(|p| p.name.to_string()).unwrap_or_default(),
            title: policy.map(|p| p.title.zh.clone()).unwrap_or_default(),
        }
    };
    Json(footing.directory.policies.iter().map(view).collect())
}

/// Checks a policy (TOML) and publishes it, in force at once.
#[utoipa::path(post, path = "/v1/policies", security(("office" = [])), request_body(content = String, content_type = "application/toml"),
    responses((status = 200, body = PolicyView), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub async fn publish(
    State(app): State<Shared>,
    Office(person): Office,
    body: Result<String, StringRejection>,
) -> Result<Json<PolicyView>, Problem> {
    let body = body?;
    let policy = Policy::parse(&body).map_err(|faults| {
        let zh: Vec<String> = faults.iter().map(|f| f.words(sync_core::refusal::Lang::Zh)).collect();
        let en: Vec<String> = faults.iter().map(|f| f.words(sync_core::refusal::Lang::En)).collect();
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "policy_invalid", zh.join("\n"), en.join("\n"))
    })?;
    as_clerk(app, person, move |app, clerk| {
        let now = app.clock.now();
        let version = app.relay.footing().directory.policies.last().map_or(0, |p| p.version) + 1;
        let published = Published::of(version, &policy);
        app.relay.publish(clerk, &published, version, now.unix_ms(), &now)?;
        Ok(Json(PolicyView {
            version,
            hash: published.hash.to_string(),
            effective_ms: now.unix_ms(),
            name: policy.name.to_string(),
            title: policy.title.zh,
        }))
    })
    .await
}
