//! Policies: which are published, publishing one, and trying one on the orders of the last days.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection, StringRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sync_core::directory::{PolicyRef, Rules};
use sync_core::ids::PersonId;
use sync_core::policy::calendar::WorkCalendar;
use sync_core::policy::model::{Policy, Scope};
use sync_core::policy::review::review_due_ms;
use sync_core::time::UnixMs;
use utoipa::{IntoParams, ToSchema};

use super::{Office, Shared, as_clerk, off};
use crate::faulty::Faulty;
use crate::problem::Problem;
use crate::trial::{self, Trial, try_policy};

/// What a policy handed in here is called in words about it.
pub(super) const HANDED_IN: &str = "制度";

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
    /// Whether it is the one in force now.
    in_force: bool,
    /// When it is due for review, Unix milliseconds.
    review_due_ms: Option<i64>,
    /// It is in force, and its review is overdue.
    review_overdue: bool,
}

impl PolicyView {
    pub(super) fn of(published: &PolicyRef, policy: Option<&Policy>, in_force: bool, now_ms: UnixMs) -> Self {
        let review_due_ms = policy.map(|policy| review_due_ms(policy, published.effective_ms));
        Self {
            version: published.version,
            hash: published.hash.to_string(),
            effective_ms: published.effective_ms,
            name: policy.map(|p| p.name.to_string()).unwrap_or_default(),
            title: policy.map(|p| p.title.zh.clone()).unwrap_or_default(),
            in_force,
            review_due_ms,
            review_overdue: in_force && review_due_ms.is_some_and(|due_ms| due_ms <= now_ms),
        }
    }

    /// One that was published just now.
    pub(super) fn version(rules: &Rules<'_>, version: u32, now_ms: UnixMs) -> Result<Self, Problem> {
        let published = rules.directory.policies.iter().find(|p| p.version == version);
        let published =
            published.ok_or_else(|| Problem::internal(&"a policy was published and is not there"))?;
        let in_force = rules.at(now_ms).is_some_and(|(current, _)| current == version);
        Ok(Self::of(published, rules.policies.get(&version), in_force, now_ms))
    }
}

/// Policies, oldest first, each with when it is due for review.
#[utoipa::path(get, path = "/v1/policies", security(("office" = [])), responses((status = 200, body = Vec<PolicyView>), (status = 401, body = Problem)))]
pub async fn current(State(app): State<Shared>, _: Office) -> Json<Vec<PolicyView>> {
    let (footing, now_ms) = (app.relay.footing(), app.clock.unix_ms());
    let current = footing.directory.policy_at(now_ms).map(|p| p.version);
    let view = |p: &PolicyRef| {
        PolicyView::of(p, footing.policies.get(&p.version), current == Some(p.version), now_ms)
    };
    Json(footing.directory.policies.iter().map(view).collect())
}

/// A published policy, whole (TOML): to be read, or changed and handed in again.
#[utoipa::path(get, path = "/v1/policies/{version}", security(("office" = [])), params(("version" = u32, Path)),
    responses((status = 200, body = String, content_type = "application/toml"), (status = 404, body = Problem)))]
pub async fn whole(
    State(app): State<Shared>,
    _: Office,
    path: Result<Path<u32>, PathRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Path(version) = path?;
    let footing = app.relay.footing();
    let policy = footing.policies.get(&version).ok_or_else(Problem::not_found)?;
    let text = toml::to_string(policy).map_err(|e| Problem::internal(&e))?;
    Ok(([(CONTENT_TYPE, "application/toml")], text))
}

/// From when a policy is in force; from now on where nothing is said.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct When {
    /// The day, `2026-12-01`: from its first moment on, in the policy's time zone.
    #[param(format = "date")]
    #[schema(format = "date")]
    effective: Option<String>,
    /// The moment, Unix milliseconds; instead of the day.
    effective_ms: Option<i64>,
}

/// From when a policy is to be in force, read.
pub(super) enum Effective {
    Now,
    On(NaiveDate),
    At(UnixMs),
}

impl When {
    pub(super) fn read(&self) -> Result<Effective, Problem> {
        match (&self.effective, self.effective_ms) {
            (None, None) => Ok(Effective::Now),
            (None, Some(ms)) => Ok(Effective::At(ms)),
            (Some(day), None) if day.len() == 10 => {
                day.parse().map(Effective::On).map_err(|e| Problem::invalid("effective", e))
            }
            (Some(_), None) => Err(Problem::invalid("effective", "2026-12-01")),
            (Some(_), Some(_)) => Err(Problem::invalid("effective", "effective | effective_ms")),
        }
    }
}

impl Effective {
    pub(super) fn ms(&self, policy: &Policy, now_ms: UnixMs) -> UnixMs {
        match self {
            Self::Now => now_ms,
            Self::On(day) => WorkCalendar::of(policy).day_start(*day),
            Self::At(ms) => *ms,
        }
    }
}

/// Checks a policy (TOML) and publishes it: the way of management, without a proposal.
#[utoipa::path(post, path = "/v1/policies", security(("office" = [])), params(When), request_body(content = String, content_type = "application/toml"),
    responses((status = 200, body = PolicyView), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub async fn publish(
    State(app): State<Shared>,
    Office(person): Office,
    when: Result<Query<When>, QueryRejection>,
    body: Result<String, StringRejection>,
) -> Result<Json<PolicyView>, Problem> {
    let (Query(when), body) = (when?, body?);
    let effective = when.read()?;
    let policy = Faulty::check(HANDED_IN, &body)?;
    as_clerk(app, person, move |app, clerk| {
        let now = app.clock.now();
        let effective_ms = effective.ms(&policy, now.unix_ms());
        let version = app.relay.publish_next(clerk, &policy, effective_ms, &now)?;
        Ok(Json(PolicyView::version(&app.relay.footing().rules(), version, now.unix_ms())?))
    })
    .await
}

/// How far a trial looks back.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LookBack {
    /// Days, at most 366; 30 where nothing is said.
    #[param(minimum = 1, maximum = 366)]
    days: Option<u32>,
}

/// Whether a person sees all of the company's orders and tickets, in some role.
fn oversees(rules: &Rules<'_>, person: PersonId, now_ms: UnixMs) -> bool {
    rules.scopes(person, now_ms).iter().any(|(scope, ..)| *scope == Scope::All)
}

/// Checks a policy (TOML) and says what it would have found in the orders and tickets of the last days,
/// beside what is found now. Nothing is kept. One at a time.
#[utoipa::path(post, path = "/v1/policies/try", security(("office" = [])), params(LookBack), request_body(content = String, content_type = "application/toml"),
    responses((status = 200, body = Trial), (status = 403, body = Problem)))]
pub async fn try_one(
    State(app): State<Shared>,
    Office(person): Office,
    query: Result<Query<LookBack>, QueryRejection>,
    body: Result<String, StringRejection>,
) -> Result<Json<Trial>, Problem> {
    let (Query(query), body) = (query?, body?);
    let days = query.days.unwrap_or(trial::DAYS);
    if !(1..=trial::DAYS_MAX).contains(&days) {
        return Err(Problem::invalid("days", format!("1–{}", trial::DAYS_MAX)));
    }
    off(move || {
        let now_ms = app.clock.unix_ms();
        if !oversees(&app.relay.footing().rules(), person, now_ms) {
            let en = "Only who sees all orders may try a policy on them.";
            return Err(Problem::role_missing("看得到全部订单的岗位才能试行制度。", en));
        }
        let policy = Faulty::check(HANDED_IN, &body)?;
        let Ok(_alone) = app.trying.try_lock() else {
            let (zh, en) =
                ("另一次试行还没有结束,请稍后再试。", "Another trial is running; try again later.");
            let busy = Problem::new(StatusCode::TOO_MANY_REQUESTS, "trial_running", zh, en);
            return Err(busy.after(std::time::Duration::from_secs(10)));
        };
        Ok(Json(try_policy(&app.relay, &policy, days, now_ms)?))
    })
    .await
}
