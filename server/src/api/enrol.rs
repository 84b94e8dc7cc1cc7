//! Enrolment and tokens of devices.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sync_core::command::Command;
use sync_core::fact::keys::PublicKey;
use sync_core::ids::DeviceId;
use utoipa::ToSchema;

use super::{App, Shared, off};
use crate::identity::codes::{self, CodeError};
use crate::identity::tokens::{Bearer, Kind};
use crate::problem::Problem;
use crate::relay::found::certify;
use crate::relay::office::Clerk;

/// A device asks to be enrolled.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// The one-time code.
    code: String,
    /// The device's id (UUID), made on the device.
    #[schema(format = "uuid")]
    device: String,
    /// Its Ed25519 public key, hex.
    #[schema(pattern = "^[0-9A-Fa-f]{64}$")]
    public_key: String,
}

/// A device is enrolled.
#[derive(Serialize, ToSchema)]
pub struct Enrolled {
    /// The company's id.
    company: String,
    /// The company's public key, hex: everything is checked against it.
    company_key: String,
    /// The person the device is for.
    person: String,
    /// The device's certificate (COSE_Sign1), hex.
    certificate: String,
}

fn hex32(field: &str, text: &str) -> Result<[u8; 32], Problem> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| Problem::invalid(field, "64 hex digits"))?;
    Ok(bytes)
}

/// Trades a one-time code and a public key for a certificate.
#[utoipa::path(post, path = "/v1/enrol", request_body = Enrol,
    responses((status = 200, body = Enrolled), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub async fn enrol(
    State(app): State<Shared>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    body: Result<Json<Enrol>, JsonRejection>,
) -> Result<Json<Enrolled>, Problem> {
    let Json(body) = body?;
    app.attempt(address.ip())?;
    let device: DeviceId = body.device.parse().map_err(|e| Problem::invalid("device", e))?;
    let key = PublicKey(hex32("public_key", &body.public_key)?);
    off(move || enrol_now(&app, &body.code, device, key)).await.map(Json)
}

fn enrol_now(app: &App, code: &str, device: DeviceId, key: PublicKey) -> Result<Enrolled, Problem> {
    let now = app.clock.now();
    let footing = app.relay.footing();
    if footing.directory.devices.contains_key(&device) {
        let (zh, en) = ("此设备已登记过。", "This device is enrolled already.");
        return Err(Problem::new(StatusCode::CONFLICT, "already_exists", zh, en));
    }
    let person = codes::redeem(app.relay.log().as_ref(), code, now.unix_ms()).map_err(|e| match e {
        CodeError::Mistyped => {
            let (zh, en) = ("登记码输错了,请核对。", "The code is mistyped; check it.");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "code_mistyped", zh, en)
        }
        CodeError::Unknown => {
            let (zh, en) = (
                "登记码无效、已用过或已过期,请向办公室再要一个。",
                "The code is unknown, used or expired; ask the office for another.",
            );
            Problem::new(StatusCode::FORBIDDEN, "code_refused", zh, en)
        }
        CodeError::Log(e) => e.into(),
    })?;
    let company = app.keys.company;
    let certificate = certify(company, &app.keys.company_key, person, device, key, now.unix_ms());
    let founder = footing.directory.founder.ok_or_else(|| Problem::internal(&"no founder"))?;
    let (office, office_key) = app.custodial(founder)?;
    let mut chance = crate::clock::chance;
    let mut clerk = Clerk { person: founder, device: office, key: &office_key, chance: &mut chance };
    app.relay.act(&mut clerk, Command::Enrol(certificate.clone(), false), &now)?;
    Ok(Enrolled {
        company: company.to_string(),
        company_key: app.keys.company_key.public().to_string(),
        person: person.to_string(),
        certificate: hex::encode(certificate),
    })
}

/// A device asks for a challenge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// The device's id.
    #[schema(format = "uuid")]
    device: String,
}

/// What is to be signed: `gendan/challenge/1` ‖ company (16 bytes) ‖ nonce.
#[derive(Serialize, ToSchema)]
pub struct Nonce {
    /// 32 bytes, hex.
    nonce: String,
}

/// Gives a challenge to sign with the device's key.
#[utoipa::path(post, path = "/v1/challenge", request_body = Challenge,
    responses((status = 200, body = Nonce), (status = 422, body = Problem)))]
pub async fn challenge(
    State(app): State<Shared>,
    body: Result<Json<Challenge>, JsonRejection>,
) -> Result<Json<Nonce>, Problem> {
    let Json(body) = body?;
    let device: DeviceId = body.device.parse().map_err(|e| Problem::invalid("device", e))?;
    let nonce = crate::clock::random::<32>();
    app.tokens.challenge(device, nonce, app.clock.unix_ms());
    Ok(Json(Nonce { nonce: hex::encode(nonce) }))
}

/// A signed challenge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The device's id.
    #[schema(format = "uuid")]
    device: String,
    /// The nonce, hex.
    #[schema(pattern = "^[0-9A-Fa-f]{64}$")]
    nonce: String,
    /// The Ed25519 signature, hex.
    #[schema(pattern = "^[0-9A-Fa-f]{128}$")]
    signature: String,
}

/// A token.
#[derive(Serialize, ToSchema)]
pub struct Token {
    /// The token, for `Authorization: Bearer`.
    pub token: String,
    /// How long it lives, in seconds.
    pub expires_in_s: i64,
}

/// Trades a signed challenge for a short-lived token. A revoked device gets one too: with it, it can
/// hand in its unsent work, which is held, and be told to erase itself.
#[utoipa::path(post, path = "/v1/token", request_body = Signed,
    responses((status = 200, body = Token), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub async fn token(
    State(app): State<Shared>,
    body: Result<Json<Signed>, JsonRejection>,
) -> Result<Json<Token>, Problem> {
    let Json(body) = body?;
    let device: DeviceId = body.device.parse().map_err(|e| Problem::invalid("device", e))?;
    let nonce = hex32("nonce", &body.nonce)?;
    let signature = hex::decode(&body.signature).map_err(|_| Problem::invalid("signature", "hex digits"))?;
    let now_ms = app.clock.unix_ms();
    let footing = app.relay.footing();
    let refused = || {
        let (zh, en) =
            ("设备未登记,或签名不对。", "The device is not enrolled, or its signature does not hold.");
        Problem::new(StatusCode::UNAUTHORIZED, "device_unknown", zh, en)
    };
    let known = footing.directory.devices.get(&device).ok_or_else(refused)?;
    if known.custodial || !app.tokens.answered(device, &known.key, nonce, &signature, now_ms) {
        return Err(refused());
    }
    let bearer = Bearer { device, person: known.person, kind: Kind::Device };
    let token = app.tokens.issue(bearer, now_ms).map_err(|e| Problem::internal(&e))?;
    Ok(Json(Token { token, expires_in_s: app.tokens.lifetime_s() }))
}
