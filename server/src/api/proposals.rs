//! Proposed policies: anybody who sees all of the work proposes, management approves or declines (S1
//! 第二十二条).

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection, StringRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sync_core::command::Command;
use sync_core::directory::{Proposal, ProposalState};
use sync_core::ids::BlobHash;
use sync_core::policy::difference::{Difference, differences};
use utoipa::{IntoParams, ToSchema};

use super::policy::{HANDED_IN, PolicyView, When};
use super::{App, Office, Shared, as_clerk, off};
use crate::faulty::Faulty;
use crate::problem::Problem;
use crate::relay::Footing;

/// Proposals that are listed, and differences that are told of one.
const PROPOSALS_MAX: usize = 100;
const DIFFERENCES_MAX: usize = 200;

/// One value of a proposed policy that is not the same in the policy in force.
#[derive(Serialize, ToSchema)]
pub struct DifferenceView {
    /// Where, such as `rules[late-delivery].amount`.
    path: String,
    /// What stands in the policy in force.
    before: Option<String>,
    /// What is proposed.
    after: Option<String>,
    /// The clause it rests on.
    clause: Option<String>,
}

impl From<Difference> for DifferenceView {
    fn from(difference: Difference) -> Self {
        let Difference { path, before, after, clause } = difference;
        Self { path, before, after, clause }
    }
}

/// A proposed policy.
#[derive(Serialize, ToSchema)]
pub struct ProposalView {
    /// The hash that names it.
    hash: String,
    /// The policy's name.
    name: String,
    /// Why it is proposed.
    note: Option<String>,
    /// Who proposed it.
    by: String,
    /// When, Unix milliseconds.
    at_ms: i64,
    /// `waiting`, `approved` or `declined`.
    state: &'static str,
    /// The version as which it was published.
    version: Option<u32>,
    /// Why it was declined.
    reason: Option<String>,
    /// Who declined it.
    declined_by: Option<String>,
    /// While it waits: how many values differ from the policy in force.
    differences_total: Option<usize>,
    /// The first of them, at most 200.
    differences: Vec<DifferenceView>,
}

fn view(app: &App, footing: &Footing, proposal: &Proposal) -> Result<ProposalView, Problem> {
    let directory = &footing.directory;
    let mut view = ProposalView {
        hash: proposal.hash.to_string(),
        name: proposal.name.to_string(),
        note: proposal.note.clone(),
        by: directory.person_name(proposal.by),
        at_ms: proposal.at_ms,
        state: "waiting",
        version: None,
        reason: None,
        declined_by: None,
        differences_total: None,
        differences: Vec::new(),
    };
    match &proposal.state {
        ProposalState::Waiting => {
            let in_force = footing.rules().at(app.clock.unix_ms());
            if let Some(((_, current), proposed)) = in_force.zip(app.relay.proposed(proposal.hash)?) {
                let found = differences(current, &proposed);
                view.differences_total = Some(found.len());
                view.differences = found.into_iter().take(DIFFERENCES_MAX).map(Into::into).collect();
            }
        }
        ProposalState::Approved { version } => {
            view.state = "approved";
            view.version = Some(*version);
        }
        ProposalState::Declined { reason, by } => {
            view.state = "declined";
            view.reason = Some(reason.clone());
            view.declined_by = Some(directory.person_name(*by));
        }
    }
    Ok(view)
}

/// The newest proposals, newest first; those that wait with what differs from the policy in force.
#[utoipa::path(get, path = "/v1/policies/proposals", security(("office" = [])), responses((status = 200, body = Vec<ProposalView>), (status = 401, body = Problem)))]
pub async fn list(State(app): State<Shared>, _: Office) -> Result<Json<Vec<ProposalView>>, Problem> {
    off(move || {
        let footing = app.relay.footing();
        let newest = footing.directory.proposals.iter().rev().take(PROPOSALS_MAX);
        newest.map(|proposal| view(&app, &footing, proposal)).collect::<Result<_, _>>().map(Json)
    })
    .await
}

/// Why a policy is proposed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Note {
    /// In words, at most 2,000 characters.
    note: Option<String>,
}

/// A proposal's name.
#[derive(Serialize, ToSchema)]
pub struct Proposed {
    /// The hash that names it.
    hash: String,
}

/// Checks a policy (TOML) and proposes it to management.
#[utoipa::path(post, path = "/v1/policies/proposals", security(("office" = [])), params(Note), request_body(content = String, content_type = "application/toml"),
    responses((status = 200, body = Proposed), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub async fn propose(
    State(app): State<Shared>,
    Office(person): Office,
    query: Result<Query<Note>, QueryRejection>,
    body: Result<String, StringRejection>,
) -> Result<Json<Proposed>, Problem> {
    let (Query(query), body) = (query?, body?);
    let policy = Faulty::check(HANDED_IN, &body)?;
    as_clerk(app, person, move |app, clerk| {
        let hash = app.relay.propose(clerk, &policy, query.note, &app.clock.now())?;
        Ok(Json(Proposed { hash: hash.to_string() }))
    })
    .await
}

fn named(path: Result<Path<String>, PathRejection>) -> Result<BlobHash, Problem> {
    let Path(hash) = path?;
    hash.parse().map_err(|e| Problem::invalid("hash", e))
}

/// Approves a proposal: its policy is published as the next version, to everyone.
#[utoipa::path(post, path = "/v1/policies/proposals/{hash}/approve", security(("office" = [])), params(("hash" = String, Path)),
    request_body = When, responses((status = 200, body = PolicyView), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn approve(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<String>, PathRejection>,
    body: Result<Json<When>, JsonRejection>,
) -> Result<Json<PolicyView>, Problem> {
    let (hash, Json(when)) = (named(path)?, body?);
    let effective = when.read()?;
    as_clerk(app, person, move |app, clerk| {
        let now = app.clock.now();
        let from = |policy: &_| effective.ms(policy, now.unix_ms());
        let version = app.relay.approve(clerk, hash, from, &now)?;
        Ok(Json(PolicyView::version(&app.relay.footing().rules(), version, now.unix_ms())?))
    })
    .await
}

/// Why a proposal is declined.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// In words, at most 2,000 characters.
    reason: String,
}

/// Declines a proposal; the same policy may be proposed again.
#[utoipa::path(post, path = "/v1/policies/proposals/{hash}/decline", security(("office" = [])), params(("hash" = String, Path)),
    request_body = Reason, responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn decline(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<String>, PathRejection>,
    body: Result<Json<Reason>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let (hash, Json(body)) = (named(path)?, body?);
    as_clerk(app, person, move |app, clerk| {
        app.relay.act(clerk, Command::DeclinePolicy(hash, body.reason), &app.clock.now())?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
