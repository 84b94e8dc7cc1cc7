//! Problems: every wrong request is answered as RFC 9457 says, with a stable code and words in two
//! languages. The only place that knows status codes of errors.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection, StringRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sync_core::refusal::{Lang, Refusal, RefusalCode};

use crate::faulty::{Fault, Faulty};
use crate::log::LogError;
use crate::relay::RelayError;

/// A problem (RFC 9457 §3.1), with the extension members `code`, `detail_en` and,
/// of a policy, `faults`.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:gendan:problem:CODE`.
    #[schema(value_type = String)]
    pub r#type: Box<str>,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// What is wrong and what to do, in Chinese.
    #[schema(value_type = String)]
    pub detail: Box<str>,
    /// The same in English.
    #[schema(value_type = String)]
    pub detail_en: Box<str>,
    /// What is wrong with a policy, one by one.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    #[schema(value_type = Vec<Fault>, required = false)]
    pub faults: Box<[Fault]>,
    /// Seconds after which it is worth trying again: the header `Retry-After` (RFC 9110 §10.2.3).
    #[serde(skip)]
    #[schema(ignore)]
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem with its words.
    pub fn new(status: StatusCode, code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            r#type: format!("urn:gendan:problem:{code}").into(),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: zh.into().into(),
            detail_en: en.into().into(),
            faults: Box::default(),
            retry_after_s: None,
        }
    }
    /// No valid token.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "请先登录。", "Log in first.")
    }
    /// Nothing there, or not for this person: which is not told.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "找不到。", "Not found.")
    }
    /// A value that does not fit.
    pub fn invalid(field: &str, reason: impl std::fmt::Display) -> Self {
        let (zh, en) = (format!("「{field}」不对:{reason}"), format!("\"{field}\" is not valid: {reason}"));
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value", zh, en)
    }
    /// A role that may not; the words say what.
    pub fn role_missing(zh: &str, en: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "role_missing", zh, en)
    }
    /// Too many attempts.
    pub fn too_many(wait: Duration) -> Self {
        let (zh, en) = ("尝试太多,请稍后再试。", "Too many attempts; try again later.");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", zh, en).after(wait)
    }
    /// Too many requests from one address.
    pub fn too_fast(wait: Duration) -> Self {
        let (zh, en) = ("请求太多,请稍后再试。", "Too many requests; try again later.");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", zh, en).after(wait)
    }
    /// The same, worth trying again after a while.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        // Whole seconds, never sooner.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.retry_after_s = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        self
    }
    /// Something of ours failed; logged where it is made.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        let (zh, en) =
            ("服务器出错,记录没有丢失,请稍后再试。", "The server failed; nothing was lost. Try again later.");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", zh, en)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let wait = self.retry_after_s.map(HeaderValue::from);
        let media = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, media, Json(self)).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = wait {
            headers.insert(header::RETRY_AFTER, wait);
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1: how to get in.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            RefusalCode::RoleMissing | RefusalCode::NotAssigned | RefusalCode::RoleEnded => {
                StatusCode::FORBIDDEN
            }
            RefusalCode::NotFound | RefusalCode::OutOfScope => StatusCode::NOT_FOUND,
            RefusalCode::AlreadyExists
            | RefusalCode::StepOrder
            | RefusalCode::StepRepeated
            | RefusalCode::Cancelled
            | RefusalCode::Closed
            | RefusalCode::SealStale
            | RefusalCode::NothingProposed => StatusCode::CONFLICT,
            RefusalCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, refusal.code.as_str(), refusal.text(Lang::Zh), refusal.text(Lang::En))
    }
}
impl From<RelayError> for Problem {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Refused(refusal) => refusal.into(),
            RelayError::Protocol { code, message } => {
                Self::new(StatusCode::BAD_REQUEST, code, format!("协议错误:{message}"), message)
            }
            other => Self::internal(&other),
        }
    }
}
impl From<Faulty> for Problem {
    fn from(faulty: Faulty) -> Self {
        let (zh, en) = ("制度有问题,改好后再试。", "The policy has faults; mend them and try again.");
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "policy_invalid", zh, en);
        Self { faults: faulty.faults().into(), ..problem }
    }
}
impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        Self::internal(&error)
    }
}
impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), "bad_json", "请求内容不是所要的 JSON。", rejection.body_text())
    }
}
impl From<StringRejection> for Problem {
    fn from(rejection: StringRejection) -> Self {
        Self::new(rejection.status(), "bad_body", "请求内容无法读取。", rejection.body_text())
    }
}
impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), "bad_path", "网址不对。", rejection.body_text())
    }
}
impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), "bad_query", "查询参数不对。", rejection.body_text())
    }
}
