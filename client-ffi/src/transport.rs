//! The network as the session sees it: requests, and connections that carry whole messages.
//!
//! A phone implements [`Transport`] with its platform's stack (OkHttp, URLSession), so that its build
//! needs no C and no TLS of ours; [`crate::shell`] implements it with tokio and rustls. Connections are
//! numbers, given by the implementation and valid until closed. Limits on waiting are the caller's and
//! in milliseconds; the implementation keeps the time.

/// What an HTTP request came to.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body as text; at most [`ANSWER_BYTES_MAX`] bytes of it.
    pub body: String,
}

/// The longest body of an answer that is looked at.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why the network gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum TransportError {
    /// No way to the relay: no network, no such host, no trust in its certificate.
    #[error("{detail}")]
    Unreachable {
        /// What the network stack says, without personal data.
        detail: String,
    },
    /// Nothing arrived in the time given. A connection stays usable.
    #[error("nothing arrived in time")]
    TimedOut,
    /// The connection is closed.
    #[error("the connection was closed: {detail}")]
    Closed {
        /// What the network stack says.
        detail: String,
    },
    /// The relay answered the upgrade with another status.
    #[error("the relay answered with status {status}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The body as text.
        body: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for TransportError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unreachable { detail: format!("the app's transport failed: {}", error.reason) }
    }
}

/// The network.
#[uniffi::export(with_foreign)]
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// POSTs JSON text; any status is an answer.
    async fn post(&self, url: String, json: String, limit_ms: u64) -> Result<HttpAnswer, TransportError>;

    /// Opens a WebSocket with `Authorization: Bearer TOKEN`; gives the connection's number.
    async fn connect(&self, url: String, token: String, limit_ms: u64) -> Result<u64, TransportError>;

    /// Sends one binary message.
    async fn send(&self, connection: u64, message: Vec<u8>) -> Result<(), TransportError>;

    /// The next binary message. [`TransportError::TimedOut`] when none came in the time given; no
    /// message is lost by that.
    async fn receive(&self, connection: u64, limit_ms: u64) -> Result<Vec<u8>, TransportError>;

    /// Closes a connection, at once and without waiting; unknown numbers are ignored.
    fn close(&self, connection: u64);
}
