//! The office: login, people, enrolment codes and accounts.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sync_core::command::Command;
use sync_core::ids::{PersonId, StoreId};
use sync_core::policy::model::Power;
use utoipa::ToSchema;

use super::enrol::Token;
use super::{App, Office, Shared, as_clerk, off};
use crate::identity::codes;
use crate::identity::passwords::{self, PasswordError};
use crate::identity::tokens::{Bearer, Kind};
use crate::problem::Problem;
use crate::relay::found::certify;
use crate::relay::office::Clerk;

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Staff number (工号).
    number: String,
    /// Password.
    password: String,
}

/// Logs an office user in.
#[utoipa::path(post, path = "/v1/office/login", request_body = Login,
    responses((status = 200, body = Token), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub async fn login(
    State(app): State<Shared>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    body: Result<Json<Login>, JsonRejection>,
) -> Result<Json<Token>, Problem> {
    let Json(body) = body?;
    let now_ms = app.clock.unix_ms();
    app.attempt(address.ip())?;
    off(move || {
        let person = app.relay.footing().directory.by_number(&body.number);
        let fits = passwords::verify(app.relay.log().as_ref(), person, &body.password)?;
        let (Some(person), true) = (person, fits) else {
            let (zh, en) = ("工号或密码不对。", "Staff number or password is wrong.");
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "login_refused", zh, en));
        };
        let (device, _) = app.custodial(person)?;
        if !app.is_at_work(person, now_ms) {
            let (zh, en) =
                ("您目前没有任何岗位,请联系管理人员。", "You have no role in force; ask who manages people.");
            return Err(Problem::new(StatusCode::FORBIDDEN, "no_role", zh, en));
        }
        let bearer = Bearer { device, person, kind: Kind::Office };
        let token = app.tokens.issue(bearer, now_ms).map_err(|e| Problem::internal(&e))?;
        Ok(Json(Token { token, expires_in_s: app.tokens.lifetime_s() }))
    })
    .await
}

/// A person of the company.
#[derive(Serialize, ToSchema)]
pub struct PersonView {
    /// Id.
    id: String,
    /// Staff number.
    number: String,
    /// Name.
    name: String,
    /// Roles in force now, each with its store's name where it has one.
    roles: Vec<String>,
}

/// The people of the company.
#[utoipa::path(get, path = "/v1/people", security(("office" = [])), responses((status = 200, body = Vec<PersonView>), (status = 401, body = Problem)))]
pub async fn people(State(app): State<Shared>, _: Office) -> Json<Vec<PersonView>> {
    let (footing, now_ms) = (app.relay.footing(), app.clock.unix_ms());
    let directory = &footing.directory;
    let view = |(id, person): (&PersonId, &sync_core::directory::Person)| PersonView {
        id: id.to_string(),
        number: person.number.clone(),
        name: person.name.clone(),
        roles: person
            .roles
            .iter()
            .filter(|r| r.holds_at(now_ms))
            .map(|r| match r.store.and_then(|s| directory.stores.get(&s)) {
                Some(store) => format!("{}@{store}", r.role),
                None => r.role.to_string(),
            })
            .collect(),
    };
    Json(directory.people.iter().map(view).collect())
}

/// A store of the company.
#[derive(Serialize, ToSchema)]
pub struct StoreView {
    /// Id.
    id: String,
    /// Name.
    name: String,
}

/// The stores of the company.
#[utoipa::path(get, path = "/v1/stores", security(("office" = [])), responses((status = 200, body = Vec<StoreView>), (status = 401, body = Problem)))]
pub async fn stores(State(app): State<Shared>, _: Office) -> Json<Vec<StoreView>> {
    let footing = app.relay.footing();
    let view = |(id, name): (&StoreId, &String)| StoreView { id: id.to_string(), name: name.clone() };
    Json(footing.directory.stores.iter().map(view).collect())
}

/// For whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForPerson {
    /// Staff number.
    number: String,
}

/// A one-time enrolment code.
#[derive(Serialize, ToSchema)]
pub struct Code {
    /// The code to type.
    code: String,
    /// What a QR code says: relay-independent, the app knows the address.
    qr: String,
    /// Until when, Unix milliseconds.
    expires_ms: i64,
}

/// Issues an enrolment code for a person's device.
#[utoipa::path(post, path = "/v1/enrolments", security(("office" = [])), request_body = ForPerson,
    responses((status = 200, body = Code), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn enrolment(
    State(app): State<Shared>,
    Office(clerk): Office,
    body: Result<Json<ForPerson>, JsonRejection>,
) -> Result<Json<Code>, Problem> {
    let Json(body) = body?;
    off(move || {
        let now_ms = app.clock.unix_ms();
        may_manage(&app, clerk)?;
        let person = app.relay.footing().directory.by_number(&body.number).ok_or_else(Problem::not_found)?;
        issue_code(&app, person, now_ms).map(Json)
    })
    .await
}

fn may_manage(app: &App, person: PersonId) -> Result<(), Problem> {
    let footing = app.relay.footing();
    if footing.rules().has_power(person, app.clock.unix_ms(), Power::People) {
        return Ok(());
    }
    let (zh, en) = ("您没有管理人员的权限。", "You may not manage people.");
    Err(Problem::new(StatusCode::FORBIDDEN, "role_missing", zh, en))
}

fn issue_code(app: &App, person: PersonId, now_ms: i64) -> Result<Code, Problem> {
    let lifetime_ms = i64::from(app.config.enrolment_h) * 3_600_000;
    let code = codes::issue(app.relay.log().as_ref(), person, crate::clock::random(), now_ms, lifetime_ms)?;
    Ok(Code { qr: format!("gendan:enrol?code={code}"), expires_ms: now_ms + lifetime_ms, code })
}

/// An office account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Staff number.
    number: String,
    /// Password, at least 10 characters.
    password: String,
}

/// Gives a person an office account, or another password.
#[utoipa::path(post, path = "/v1/accounts", security(("office" = [])), request_body = Account,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn account(
    State(app): State<Shared>,
    Office(clerk): Office,
    body: Result<Json<Account>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(body) = body?;
    as_clerk(app, clerk, move |app, clerk| {
        let person = app.relay.footing().directory.by_number(&body.number).ok_or_else(Problem::not_found)?;
        if person != clerk.person {
            may_manage(app, clerk.person)?;
        }
        open_account(app, clerk, person, &body.password)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Sets a person's password and makes their custodial device, if they have none.
pub fn open_account(
    app: &App,
    clerk: &mut Clerk<'_>,
    person: PersonId,
    password: &str,
) -> Result<(), Problem> {
    let now = app.clock.now();
    passwords::set(app.relay.log().as_ref(), person, password, now.unix_ms()).map_err(|e| match e {
        PasswordError::Length => Problem::invalid("password", e),
        other => Problem::internal(&other),
    })?;
    if app.keys.custodial(person).map_err(|e| Problem::internal(&e))?.is_none() {
        let (device, key) = app.keys.make_custodial(person).map_err(|e| Problem::internal(&e))?;
        let (company, company_key) = (app.keys.company, &app.keys.company_key);
        let certificate = certify(company, company_key, person, device, key.public(), now.unix_ms());
        app.relay.act(clerk, Command::Enrol(certificate, true), &now)?;
    }
    Ok(())
}
