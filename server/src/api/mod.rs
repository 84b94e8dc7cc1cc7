//! The HTTP API: for devices to enrol and sync, for the office to work.
//!
//! One file for each resource. Handlers parse, ask the relay off the async threads, and answer; what
//! one may not see is answered as not there. The OpenAPI document is made from this code and checked in.

pub mod blobs;
pub mod cases;
pub mod drafts;
pub mod commands;
pub mod devices;
pub mod document;
pub mod door;
pub mod enrol;
pub mod held;
pub mod notices;
pub mod office;
pub mod policy;
pub mod proposals;
pub mod reports;
pub mod sync;
pub mod system;
pub mod webhooks;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sync_core::fact::keys::SecretKey;
use sync_core::ids::{DeviceId, PersonId};
use sync_core::time::UnixMs;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::door::{Pace, Seats, counted};
use crate::blob::BlobStore;
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::keys::KeyRing;
use crate::identity::tokens::{Bearer, Kind, Tokens};
use crate::outward::{Outward, OutwardError};
use crate::problem::Problem;
use crate::projection::Projection;
use crate::relay::Relay;
use crate::relay::end::Reported;
use crate::relay::office::Clerk;

/// What every handler stands on.
pub struct App {
    /// The relay.
    pub relay: Arc<Relay>,
    /// The read model.
    pub projection: Arc<Projection>,
    /// Notices on their way out.
    pub outward: Arc<Outward>,
    /// Photos and files.
    pub blobs: Arc<dyn BlobStore>,
    /// The relay's secrets.
    pub keys: Arc<KeyRing>,
    /// Tokens.
    pub tokens: Tokens,
    /// The configuration.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// What connected devices last said of themselves.
    pub seen: Mutex<HashMap<DeviceId, Reported>>,
    /// Seats for connected devices.
    pub seats: Arc<Seats>,
    /// The pace at which each device is read.
    pub changes: Pace<DeviceId>,
    /// Held while a policy is tried.
    pub trying: Mutex<()>,
    /// Renders the metrics.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    requests: Pace<IpAddr>,
    attempts: Pace<IpAddr>,
}

/// The state of handlers.
pub type Shared = Arc<App>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    /// The application over an opened relay, with the webhooks that the configuration names.
    pub fn open(
        relay: Arc<Relay>,
        projection: Arc<Projection>,
        blobs: Arc<dyn BlobStore>,
        keys: Arc<KeyRing>,
        config: Config,
        clock: Clock,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
    ) -> Result<Self, OutwardError> {
        let webhooks = &config.webhooks;
        let outward = Outward::open(relay.clone(), projection.clone(), webhooks, clock.unix_ms())?;
        let tokens = Tokens::new(keys.company, &keys.token_secret[..], i64::from(config.token_s) * 1000);
        Ok(Self {
            tokens,
            seats: Seats::of(&config),
            changes: Pace::per_minute(config.changes_per_minute),
            requests: Pace::per_minute(config.requests_per_minute),
            attempts: Pace::per_minute(config.attempts_per_minute),
            seen: Mutex::default(),
            trying: Mutex::default(),
            relay,
            projection,
            outward: Arc::new(outward),
            blobs,
            keys,
            config,
            clock,
            metrics,
        })
    }

    /// Since the relay started: time that no change of the wall clock moves back.
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.clock.now().elapsed_ms)
    }

    /// Counts an attempt of an address; a problem where there were too many in a minute.
    pub fn attempt(&self, address: IpAddr) -> Result<(), Problem> {
        self.attempts.ask(counted(address), self.elapsed()).map_err(Problem::too_many)
    }

    /// Whether a person has a role in force: without one, no token of the office holds.
    pub fn is_at_work(&self, person: PersonId, now_ms: UnixMs) -> bool {
        let footing = self.relay.footing();
        let person = footing.directory.people.get(&person);
        person.is_some_and(|p| p.roles.iter().any(|role| role.holds_at(now_ms)))
    }

    /// The custodial device that a person's office work goes through.
    pub fn custodial(&self, person: PersonId) -> Result<(DeviceId, SecretKey), Problem> {
        let found = self.keys.custodial(person).map_err(|e| Problem::internal(&e))?;
        let (zh, en) = ("您没有办公室账号。", "You have no office account.");
        found.ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "no_office_account", zh, en))
    }
}

/// Runs blocking work off the async threads.
pub(crate) async fn off<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// Runs office work in the name of a person, off the async threads.
pub(crate) async fn as_clerk<T: Send + 'static>(
    app: Shared,
    person: PersonId,
    work: impl FnOnce(&App, &mut Clerk<'_>) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    off(move || {
        let (device, key) = app.custodial(person)?;
        let mut chance = crate::clock::chance;
        let mut clerk = Clerk { person, device, key: &key, chance: &mut chance };
        work(&app, &mut clerk)
    })
    .await
}

/// A person of the office, by a token that holds.
pub struct Office(pub PersonId);

/// A device, by a token that holds.
pub struct Field(pub Bearer);

fn bearer(parts: &Parts, app: &App) -> Result<Bearer, Problem> {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|h| h.to_str().ok());
    let token = header.and_then(|h| h.strip_prefix("Bearer ")).ok_or_else(Problem::unauthorized)?;
    app.tokens.verify(token, app.clock.unix_ms()).ok_or_else(Problem::unauthorized)
}

impl FromRequestParts<Shared> for Office {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let bearer = bearer(parts, app)?;
        let footing = app.relay.footing();
        let device = footing.directory.devices.get(&bearer.device);
        // A token lives on after a revocation or a leave; who stands behind it does not.
        let stands = device.is_some_and(|d| d.revoked.is_none() && d.person == bearer.person)
            && app.is_at_work(bearer.person, app.clock.unix_ms());
        if bearer.kind == Kind::Office && stands {
            Ok(Self(bearer.person))
        } else {
            Err(Problem::unauthorized())
        }
    }
}
impl FromRequestParts<Shared> for Field {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let bearer = bearer(parts, app)?;
        if bearer.kind == Kind::Device { Ok(Self(bearer)) } else { Err(Problem::unauthorized()) }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "gendan 跟单",
        description = "The relay's API. Errors are RFC 9457 problems with a stable `code`."
    ),
    components(schemas(crate::projection::query::CaseKind, crate::projection::query::SortBy))
)]
struct Doc;

fn documented() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Doc::openapi())
        .routes(routes!(enrol::enrol))
        .routes(routes!(enrol::challenge))
        .routes(routes!(enrol::token))
        .routes(routes!(sync::sync))
        .routes(routes!(office::login))
        .routes(routes!(office::people))
        .routes(routes!(office::stores))
        .routes(routes!(office::enrolment))
        .routes(routes!(office::account))
        .routes(routes!(commands::command))
        .routes(routes!(cases::list))
        .routes(routes!(cases::placed))
        .routes(routes!(reports::list))
        .routes(routes!(reports::report))
        .routes(routes!(cases::case))
        .routes(routes!(cases::history))
        .routes(routes!(cases::findings))
        .routes(routes!(drafts::list))
        .routes(routes!(notices::list))
        .routes(routes!(webhooks::list))
        .routes(routes!(webhooks::retry))
        .routes(routes!(held::list))
        .routes(routes!(held::release))
        .routes(routes!(held::discard))
        .routes(routes!(devices::list))
        .routes(routes!(policy::publish))
        .routes(routes!(policy::current))
        .routes(routes!(policy::whole))
        .routes(routes!(policy::try_one))
        .routes(routes!(proposals::list))
        .routes(routes!(proposals::propose))
        .routes(routes!(proposals::approve))
        .routes(routes!(proposals::decline))
        .routes(routes!(blobs::blob))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics))
}

/// The OpenAPI document, as JSON.
pub fn openapi() -> String {
    let mut api = documented().to_openapi();
    document::complete(&mut api);
    api.to_pretty_json().expect("the OpenAPI document is plain data")
}

/// The whole API.
pub fn router(app: Shared) -> Router {
    let (router, _) = documented().split_for_parts();
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async {
            let (zh, en) = ("此处不能用这个方法。", "This method is not allowed here.");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", zh, en)
        })
        .layer(axum::middleware::from_fn_with_state(app.clone(), paced))
        .layer(axum::middleware::from_fn(observe))
        .layer(axum::extract::DefaultBodyLimit::max(app.config.body_bytes_max))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| -> Response {
                Problem::internal(&"a handler panicked").into_response()
            },
        ))
        .with_state(app)
}

/// Answers an address that asks too often, before anything is read. Not whether the relay lives, which
/// other programs ask.
async fn paced(State(app): State<Shared>, request: Request, next: axum::middleware::Next) -> Response {
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip());
    match address.filter(|_| request.uri().path().starts_with("/v1/")) {
        Some(address) => match app.requests.ask(counted(address), app.elapsed()) {
            Ok(()) => next.run(request).await,
            Err(wait) => Problem::too_fast(wait).into_response(),
        },
        None => next.run(request).await,
    }
}

/// Counts requests by route and status; no path, no query, no person.
async fn observe(request: Request, next: axum::middleware::Next) -> Response {
    let matched = request.extensions().get::<axum::extract::MatchedPath>();
    let route = matched.map_or("unmatched", |m| m.as_str()).to_owned();
    let method = request.method().to_string();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    tracing::debug!(method, route, status, "request");
    metrics::counter!("gendan_http_requests_total", "method" => method, "route" => route, "status" => status)
        .increment(1);
    response
}
