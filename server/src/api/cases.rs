//! Orders and tickets: lists from the read model; one with its content, steps, clashes and what comes
//! next; and its history.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sync_core::document::Document;
use sync_core::fold::fold;
use sync_core::ids::{DocId, PersonId};
use sync_core::policy::judge::Finding;
use sync_core::view::case::{CaseView, Look, case as view};
use utoipa::ToSchema;

use super::commands::doc_named;
use super::{App, Office, Shared, off};
use crate::problem::Problem;
use crate::projection::ProjectionError;
use crate::projection::query::{CaseFilter, CaseKind, Page, Sort, SortBy, StoreCount};
use crate::relay::audience::visible;

/// The document that a person names by its id or number, if they may see it.
pub(super) fn found(app: &App, person: PersonId, text: &str) -> Result<Document, Problem> {
    seen(app, person, doc_named(app, text)?)?.ok_or_else(Problem::not_found)
}

/// A document, if it is there and this person may see it.
fn seen(app: &App, person: PersonId, doc: DocId) -> Result<Option<Document>, Problem> {
    let interests = app.relay.footing().interests(person, app.clock.unix_ms());
    if visible(&app.relay.log().audience(doc)?, &interests) { Ok(app.relay.document(doc)?) } else { Ok(None) }
}

/// Which orders and tickets; everything that is given must hold.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// `order` or `ticket`.
    kind: Option<CaseKind>,
    /// A store's name.
    store: Option<String>,
    /// The newest step.
    step: Option<String>,
    /// The flow.
    flow: Option<String>,
    /// Neither closed nor cancelled.
    open: Option<bool>,
    /// Complete.
    closed: Option<bool>,
    /// Called off.
    cancelled: Option<bool>,
    /// Due on this day or later, `2026-11-22`.
    #[param(format = "date")]
    due_from: Option<String>,
    /// Due on this day or earlier.
    #[param(format = "date")]
    due_to: Option<String>,
    /// Found in number, customer, phone, address or product, or in what was said about it.
    text: Option<String>,
    /// With a clash that nobody settled.
    has_clash: Option<bool>,
    /// With edits that are not in force.
    has_proposed: Option<bool>,
    /// Staff number: sold by them, or with an appointment of theirs.
    person: Option<String>,
    /// `number`, `due` or `opened`.
    sort: Option<SortBy>,
    /// Largest first.
    #[serde(default)]
    descending: bool,
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
    /// Rows, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl From<ProjectionError> for Problem {
    fn from(error: ProjectionError) -> Self {
        match error {
            ProjectionError::Question { code } => {
                let (zh, en) = match code {
                    "period_invalid" => (
                        "期间不对:止日不得早于起日,最多366天。",
                        "The last day comes before the first, or the period has more than 366 days.",
                    ),
                    "report_too_large" => (
                        "数据太多,请缩短期间或只选一个门店。",
                        "Too much for one report: ask for fewer days or one store.",
                    ),
                    _ => ("查询条件不对。", "The question does not fit."),
                };
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, zh, en)
            }
            other => Self::internal(&other),
        }
    }
}

/// Orders and tickets that this person may see, page by page.
#[utoipa::path(get, path = "/v1/cases", security(("office" = [])), params(ListQuery),
    responses((status = 200, body = Page), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<Shared>,
    Office(person): Office,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(query) = query?;
    for (field, day) in [("due_from", &query.due_from), ("due_to", &query.due_to)] {
        let Some(day) = day else { continue };
        let whole = day.len() == 10 && day.parse::<chrono::NaiveDate>().is_ok();
        whole.then_some(()).ok_or_else(|| Problem::invalid(field, "2026-11-22"))?;
    }
    let (footing, now_ms) = (app.relay.footing(), app.clock.unix_ms());
    let of =
        query.person.map(|n| footing.directory.by_number(&n).ok_or_else(Problem::not_found)).transpose()?;
    let filter = CaseFilter {
        kind: query.kind,
        store: query.store.map(|name| sync_core::ids::StoreId::named(app.relay.company(), &name)),
        step: query.step,
        flow: query.flow,
        open: query.open,
        closed: query.closed,
        cancelled: query.cancelled,
        due_from: query.due_from,
        due_to: query.due_to,
        text: query.text,
        has_clash: query.has_clash,
        has_proposed: query.has_proposed,
        person: of,
        visible_to: Some(footing.interests(person, now_ms)),
    };
    let sort = Sort { by: query.sort.unwrap_or_default(), descending: query.descending };
    let page = app.projection.list(&filter, sort, query.after.as_deref(), query.limit.unwrap_or(50)).await?;
    Ok(Json(page))
}

/// What is placed and not placed, store by store (未下单及已下单的数量).
#[utoipa::path(get, path = "/v1/reports/placed", security(("office" = [])), responses((status = 200, body = Vec<StoreCount>), (status = 401, body = Problem)))]
pub async fn placed(
    State(app): State<Shared>,
    Office(person): Office,
) -> Result<Json<Vec<StoreCount>>, Problem> {
    let interests = app.relay.footing().interests(person, app.clock.unix_ms());
    Ok(Json(app.projection.counts(Some(&interests)).await?))
}

/// One order or ticket, by document id or number.
#[utoipa::path(get, path = "/v1/cases/{doc}", security(("office" = [])), params(("doc" = String, Path)),
    responses((status = 200, body = CaseView), (status = 404, body = Problem)))]
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
        let facet =
            doc.id().kind().money().map(|kind| seen(&app, person, doc.id().facet(kind))).transpose()?;
        let money = facet.flatten().map(|money| fold(&money, &look.rules));
        Ok(Json(view(&doc, &state, money.as_ref(), look)))
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
#[utoipa::path(get, path = "/v1/cases/{doc}/history", security(("office" = [])), params(("doc" = String, Path)),
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

/// What the rules of the policy find about an order or ticket: proposals, for people to decide about.
#[utoipa::path(get, path = "/v1/cases/{doc}/findings", security(("office" = [])), params(("doc" = String, Path)),
    responses((status = 200, body = Vec<Finding>), (status = 404, body = Problem)))]
pub async fn findings(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Vec<Finding>>, Problem> {
    let Path(text) = path?;
    off(move || {
        let doc = found(&app, person, &text)?;
        let footing = app.relay.footing();
        let rules = footing.rules();
        let state = fold(&doc, &rules);
        Ok(Json(sync_core::findings::findings(&doc, &state, &rules, app.clock.unix_ms())))
    })
    .await
}
