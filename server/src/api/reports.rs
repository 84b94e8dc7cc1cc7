//! Reports: which there are, and one for a period as JSON, CSV, Excel or a page to print.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sync_core::ids::StoreId;
use sync_core::policy::model::Power;
use utoipa::ToSchema;

use super::{Office, Shared, off};
use crate::problem::Problem;
use crate::report::table::{Column, Pair};
use crate::report::write::{self, Format};
use crate::report::{self, Asked, REPORTS, Report};

/// What a page may do: show itself. It brings no scripts and fetches nothing.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Words in two languages.
#[derive(Serialize, ToSchema)]
pub struct WordsView {
    /// 中文.
    zh: &'static str,
    /// English.
    en: &'static str,
}

impl From<Pair> for WordsView {
    fn from((zh, en): Pair) -> Self {
        Self { zh, en }
    }
}

/// A column of a report.
#[derive(Serialize, ToSchema)]
pub struct ColumnView {
    /// Its stable name: the key of its cells.
    name: &'static str,
    /// What people call it.
    title: WordsView,
    /// `text`, `number`, `day`, `moment`, `flag`, `rate`, `average`, `hours` or `money`.
    r#type: &'static str,
    /// What it counts; empty where the title says it.
    definition: WordsView,
    /// The clause it comes from.
    clause: &'static str,
}

impl From<&Column> for ColumnView {
    fn from(column: &Column) -> Self {
        Self {
            name: column.name,
            title: column.title.into(),
            r#type: column.kind.name(),
            definition: column.definition.into(),
            clause: column.clause,
        }
    }
}

/// A report that can be asked for.
#[derive(Serialize, ToSchema)]
pub struct ReportView {
    /// Its stable name.
    name: &'static str,
    /// What people call it.
    title: WordsView,
    /// What it takes in.
    definition: WordsView,
    /// The clause it comes from.
    clause: &'static str,
    /// The columns of its rows.
    columns: Vec<ColumnView>,
    /// The columns of its summary.
    summary: Vec<ColumnView>,
}

impl From<&Report> for ReportView {
    fn from(report: &Report) -> Self {
        Self {
            name: report.name,
            title: report.title.into(),
            definition: report.definition.into(),
            clause: report.clause,
            columns: report.columns.iter().map(Into::into).collect(),
            summary: report.summary.iter().map(Into::into).collect(),
        }
    }
}

/// The reports there are, each figure with its definition and clause.
#[utoipa::path(get, path = "/v1/reports", security(("office" = [])),
    responses((status = 200, body = Vec<ReportView>), (status = 401, body = Problem)))]
pub async fn list(_: Office) -> Json<Vec<ReportView>> {
    Json(REPORTS.iter().map(Into::into).collect())
}

/// For which days, and how.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// First day, `2026-11-01`; the first of the last day's month where it is not given.
    #[param(format = "date")]
    from: Option<String>,
    /// Last day, included, `2026-11-30`; today where it is not given. A period has at most 366 days.
    #[param(format = "date")]
    to: Option<String>,
    /// A store's name.
    store: Option<String>,
    /// `json` (also where it is not given), `csv`, `xlsx` or `html`.
    format: Option<String>,
}

/// A report over what this person may see; amounts only with a money scope, what others' work came to only
/// with the power `assess`.
#[utoipa::path(get, path = "/v1/reports/{name}", security(("office" = [])), params(("name" = String, Path), ReportQuery),
    responses(
        (status = 200, description = "The report: columns with definitions, rows, summary", content(
            (serde_json::Value = "application/json"), (String = "text/csv"), (String = "text/html"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn report(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (Path(name), Query(query)) = (path?, query?);
    let report = report::named(&name).ok_or_else(unknown)?;
    let named = query.format.as_deref().unwrap_or(Format::Json.name());
    let format = Format::named(named).ok_or_else(no_format)?;
    let (footing, now_ms) = (app.relay.footing(), app.clock.unix_ms());
    let store = query.store.map(|name| StoreId::named(app.relay.company(), &name));
    if store.is_some_and(|store| !footing.directory.stores.contains_key(&store)) {
        return Err(Problem::not_found());
    }
    let asked = Asked {
        from: query.from.map(|text| day("from", &text)).transpose()?,
        to: query.to.map(|text| day("to", &text)).transpose()?,
        store,
        visible_to: Some(footing.interests(person, now_ms)),
        whose: Some(person).filter(|person| !footing.rules().has_power(*person, now_ms, Power::Assess)),
        now_ms,
    };
    let table = report::make(&app.projection, &footing, report, &asked).await?;
    let file = format!("gendan-{name}-{}-{}.{}", table.from, table.to, format.name());
    let bytes = off(move || write::write(&table, format).map_err(|e| Problem::internal(&e))).await?;
    Ok((headers(format, &file)?, bytes).into_response())
}

fn headers(format: Format, file: &str) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media()));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Figures of people and customers: no shared cache keeps them.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if matches!(format, Format::Csv | Format::Xlsx) {
        let value = HeaderValue::try_from(format!("attachment; filename=\"{file}\""));
        headers.insert(header::CONTENT_DISPOSITION, value.map_err(|e| Problem::internal(&e))?);
    }
    if format == Format::Html {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    }
    Ok(headers)
}

fn unknown() -> Problem {
    let names = REPORTS.map(|report| report.name).join(", ");
    let (zh, en) =
        (format!("没有这个报表。现有:{names}"), format!("There is no such report. There are: {names}"));
    Problem::new(StatusCode::NOT_FOUND, "report_unknown", zh, en)
}

fn no_format() -> Problem {
    let names = Format::ALL.map(Format::name).join(", ");
    let (zh, en) =
        (format!("没有这种格式。现有:{names}"), format!("There is no such format. There are: {names}"));
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "format_unknown", zh, en)
}

fn day(field: &str, text: &str) -> Result<NaiveDate, Problem> {
    let day = text.parse().ok().filter(|_| text.len() == 10);
    day.ok_or_else(|| Problem::invalid(field, "2026-11-22"))
}
