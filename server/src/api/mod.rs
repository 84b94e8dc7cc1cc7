//! The HTTP API: for devices to enrol and sync, for the office to work.
//!
//! One file for each resource. Handlers parse, ask the relay off the async threads, and answer; what
//! one may not see is answered as not there. The OpenAPI document is made from this code and checked in.

pub mod blobs;
pub mod cases;
pub mod commands;
pub mod devices;
pub mod enrol;
pub mod held;
pub mod office;
pub mod policy;
pub mod sync;
pub mod system;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sync_core::fact::keys::SecretKey;
use sync_core::ids::{DeviceId, PersonId};
use sync_core::time::UnixMs;
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::blob::BlobStore;
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::keys::KeyRing;
use crate::identity::tokens::{Bearer, Kind, Tokens};
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
    /// Places for connected devices.
    pub places: Arc<Semaphore>,
    /// Renders the metrics.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    attempts: Mutex<HashMap<IpAddr, (u32, UnixMs)>>,
}

/// The state of handlers.
pub type Shared = Arc<App>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    /// The application over an opened relay.
    pub fn new(
        relay: Arc<Relay>,
        projection: Arc<Projection>,
        blobs: Arc<dyn BlobStore>,
        keys: Arc<KeyRing>,
        config: Config,
        clock: Clock,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
    ) -> Self {
        let tokens = Tokens::new(keys.company, &keys.token_secret[..], i64::from(config.token_s) * 1000);
        let places = Arc::new(Semaphore::new(config.connections_max));
        let (seen, attempts) = (Mutex::default(), Mutex::default());
        Self { relay, projection, blobs, keys, tokens, config, clock, seen, places, metrics, attempts }
    }

    /// Counts an attempt of an address; a problem once there were too many in a minute.
    pub fn attempt(&self, address: IpAddr, now_ms: UnixMs) -> Result<(), Problem> {
        let mut attempts = lock(&self.attempts);
        attempts.retain(|_, (_, since)| now_ms - *since < 60_000);
        let (count, _) = attempts.entry(counted(address)).or_insert((0, now_ms));
        *count += 1;
        if *count > self.config.attempts_per_minute { Err(Problem::too_many()) } else { Ok(()) }
    }

    /// The custodial device that a person's office work goes through.
    pub fn custodial(&self, person: PersonId) -> Result<(DeviceId, SecretKey), Problem> {
        let found = self.keys.custodial(person).map_err(|e| Problem::internal(&e))?;
        let (zh, en) = ("您没有办公室账号。", "You have no office account.");
        found.ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "no_office_account", zh, en))
    }
}

/// What attempts are counted by: an IPv4 address, or the /64 that one IPv6 customer holds (RFC 6177).
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
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
        // A token lives on after a revocation; the device behind it does not.
        let stands = device.is_some_and(|d| d.revoked.is_none() && d.person == bearer.person);
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
#[openapi(info(
    title = "gendan 跟单",
    description = "The relay's API. Errors are RFC 9457 problems with a stable `code`."
))]
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
        .routes(routes!(cases::case))
        .routes(routes!(cases::history))
        .routes(routes!(cases::findings))
        .routes(routes!(held::list))
        .routes(routes!(held::release))
        .routes(routes!(held::discard))
        .routes(routes!(devices::list))
        .routes(routes!(policy::publish))
        .routes(routes!(policy::current))
        .routes(routes!(blobs::blob))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics))
}

/// The OpenAPI document, as JSON.
pub fn openapi() -> String {
    documented().to_openapi().to_pretty_json().expect("the OpenAPI document is plain data")
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
        .layer(axum::middleware::from_fn(observe))
        .layer(axum::extract::DefaultBodyLimit::max(app.config.body_bytes_max))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| -> Response {
                Problem::internal(&"a handler panicked").into_response()
            },
        ))
        .with_state(app)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_by_what_one_customer_holds() {
        let counted = |text: &str| counted(text.parse().expect("an address"));
        assert_eq!(counted("2001:db8:1:2:3::4"), counted("2001:db8:1:2:ffff::"));
        assert_ne!(counted("2001:db8:1:2::1"), counted("2001:db8:1:3::1"));
        assert_eq!(counted("::ffff:192.0.2.7"), counted("192.0.2.7"));
        assert_ne!(counted("192.0.2.7"), counted("192.0.2.8"));
    }
}
