//! Photos and files, for those who may see the document they belong to.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sync_core::ids::BlobHash;

use super::{Office, Shared, off};
use crate::problem::Problem;
use crate::relay::audience::visible;

/// Media types that a browser may show; anything else is a download.
const SHOWN: [&str; 3] = ["image/jpeg", "image/png", "image/webp"];

/// A photo or file by its SHA-256.
#[utoipa::path(get, path = "/v1/blobs/{hash}", security(("office" = [])), params(("hash" = String, Path)),
    responses((status = 200, description = "the bytes"), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub async fn blob(
    State(app): State<Shared>,
    Office(person): Office,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(hash) = path?;
    let hash: BlobHash = hash.parse().map_err(|e| Problem::invalid("hash", e))?;
    off(move || {
        let belongs = app.blobs.belongs(hash).map_err(|e| Problem::internal(&e))?;
        let (doc, media) = belongs.ok_or_else(Problem::not_found)?;
        let interests = app.relay.footing().interests(person, app.clock.unix_ms());
        if !visible(&app.relay.log().audience(doc)?, &interests) {
            return Err(Problem::not_found());
        }
        let mut bytes = Vec::new();
        loop {
            let part = app.blobs.read(hash, bytes.len() as u64).map_err(|e| Problem::internal(&e))?;
            if part.is_empty() {
                break;
            }
            bytes.extend(part);
        }
        let media = if SHOWN.contains(&media.as_str()) { media } else { "application/octet-stream".into() };
        let headers = [(header::CONTENT_TYPE, media), (header::X_CONTENT_TYPE_OPTIONS, "nosniff".into())];
        Ok((headers, bytes).into_response())
    })
    .await
}
