//! The OpenAPI document, completed: what every operation answers in the same way is written once here.
//!
//! In: what the handlers say of themselves. Out: the same, with how one gets in (a token of the office
//! or of a device), and with every problem that the layers around a handler answer: bad requests, no
//! token, bodies too large or of another type, too many requests. Problems are
//! `application/problem+json` everywhere.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr};

/// The media type of problems (RFC 9457 §3).
pub const PROBLEM: &str = "application/problem+json";

/// Completes the document of the handlers.
pub fn complete(api: &mut OpenApi) {
    let components = api.components.get_or_insert_with(Components::new);
    for (name, words) in
        [("office", "of POST /v1/office/login"), ("device", "of POST /v1/token, with a device's key")]
    {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(format!("A token {words}.")));
        components.add_security_scheme(name, SecurityScheme::Http(scheme.build()));
    }
    for (path, item) in &mut api.paths.paths {
        for operation in operations(item) {
            for status in around(path, operation) {
                operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(empty);
            }
            problems(&mut operation.responses.responses);
        }
    }
}

fn empty() -> RefOr<Response> {
    RefOr::T(Response::default())
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// What is answered before a handler is asked.
fn around(path: &str, operation: &Operation) -> Vec<StatusCode> {
    let mut found = Vec::new();
    if path.starts_with("/v1/") {
        found.push(StatusCode::TOO_MANY_REQUESTS);
    }
    if operation.security.is_some() {
        found.push(StatusCode::UNAUTHORIZED);
    }
    if let Some(RefOr::T(body)) = &operation.request_body {
        found.extend([
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ]);
        if body.content.contains_key("application/json") {
            found.push(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
    }
    let read = |p: &RefOr<utoipa::openapi::path::Parameter>| matches!(p, RefOr::T(p) if matches!(p.parameter_in, ParameterIn::Path | ParameterIn::Query));
    if operation.parameters.iter().flatten().any(read) {
        found.push(StatusCode::BAD_REQUEST);
    }
    found
}

/// Every answer that is not a success is a problem.
fn problems(responses: &mut BTreeMap<String, RefOr<Response>>) {
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        let Some(status) = status.parse().ok().filter(|s: &StatusCode| s.as_u16() >= 400) else { continue };
        if response.description.is_empty() {
            response.description = status.canonical_reason().unwrap_or_default().to_owned();
        }
        response.content.clear();
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        response.content.insert(PROBLEM.to_owned(), RefOr::T(problem));
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let mut header = Header::new(Object::with_type(Type::Integer));
            header.description = Some("Seconds after which to try again.".into());
            response.headers.insert("Retry-After".into(), header.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            let header = Header::new(Object::with_type(Type::String));
            response.headers.insert("WWW-Authenticate".into(), header.into());
        }
    }
}
