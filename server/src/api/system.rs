//! Whether the relay lives and can work, and its metrics.

use axum::extract::State;

use super::{Shared, off};
use crate::problem::Problem;

/// The process lives.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = String)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// The relay can read its log.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = String), (status = 500, body = Problem)))]
pub async fn readyz(State(app): State<Shared>) -> Result<&'static str, Problem> {
    off(move || {
        app.relay.log().record(b"ready")?;
        Ok("ready\n")
    })
    .await
}

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String)))]
pub async fn metrics(State(app): State<Shared>) -> String {
    let head = app.relay.log().head().0;
    #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
    metrics::gauge!("gendan_log_head").set(head as f64);
    app.metrics.render()
}
