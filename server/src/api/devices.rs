//! Devices: whose they are, and how far they are in step.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Office, Shared, lock};
use crate::problem::Problem;

/// One device.
#[derive(Serialize, ToSchema)]
pub struct DeviceView {
    /// Its id.
    id: String,
    /// Whose it is.
    person: String,
    /// The relay keeps its key.
    custodial: bool,
    /// Why it was shut out; empty where it was not.
    revoked: String,
    /// When it last connected, Unix milliseconds; since the relay started.
    seen_ms: Option<i64>,
    /// App and version.
    app: String,
    /// Changes it had not had confirmed when it last spoke.
    unsent: u32,
    /// When the oldest of them was made, by its clock.
    oldest_unsent_ms: Option<i64>,
    /// Photos and files pending.
    blobs_pending: u32,
    /// Policy version in hand.
    policy: u32,
    /// Its clock less ours, milliseconds.
    clock_offset_ms: i64,
}

/// All devices.
#[utoipa::path(get, path = "/v1/devices", security(("office" = [])), responses((status = 200, body = Vec<DeviceView>), (status = 401, body = Problem)))]
pub async fn list(State(app): State<Shared>, _: Office) -> Json<Vec<DeviceView>> {
    let footing = app.relay.footing();
    let seen = lock(&app.seen);
    let views = footing.directory.devices.iter().map(|(id, device)| {
        let reported = seen.get(id);
        let said = reported.cloned().unwrap_or_default();
        DeviceView {
            id: id.to_string(),
            person: footing.directory.person_name(device.person),
            custodial: device.custodial,
            revoked: device.revoked.clone().unwrap_or_default(),
            seen_ms: reported.map(|r| r.seen_ms),
            app: said.app,
            unsent: said.unsent,
            oldest_unsent_ms: said.oldest_unsent_ms,
            blobs_pending: said.blobs_pending,
            policy: said.policy,
            clock_offset_ms: said.clock_offset_ms,
        }
    });
    Json(views.collect())
}
