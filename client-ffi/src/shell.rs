//! The transport of our own: tokio, rustls with ring, and WebSockets, on a runtime of its own.
//!
//! Every call hands its work to that runtime and awaits it, so that a caller may stand on any executor:
//! Kotlin's, Python's, or none. Trust: the system's roots, and the certificates in the PEM file that the
//! environment variable `GENDAN_CA` names. Messages are bounded before memory is taken.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use sync_core::limits;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::transport::{ANSWER_BYTES_MAX, HttpAnswer, Transport, TransportError};

type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The runtime that carries the sockets.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("gendan").enable_all();
        builder.build().expect("the operating system gives threads and a reactor")
    })
}

/// Runs something to its end on the calling thread.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

/// One open connection. The reading end is taken by one call at a time.
struct Open {
    sink: tokio::sync::Mutex<SplitSink<Ws, Message>>,
    stream: tokio::sync::Mutex<Reading>,
}

struct Reading {
    stream: SplitStream<Ws>,
    /// A ping went out and nothing has come since.
    silent: bool,
}

/// Sockets of the operating system.
pub struct Sockets {
    http: reqwest::Client,
    tls: Arc<ClientConfig>,
    open: Mutex<(u64, BTreeMap<u64, Arc<Open>>)>,
}

fn unreachable(error: impl std::fmt::Display) -> TransportError {
    TransportError::Unreachable { detail: error.to_string() }
}
fn closed(detail: impl std::fmt::Display) -> TransportError {
    TransportError::Closed { detail: detail.to_string() }
}

/// The whole chain of causes: the outermost alone says only that sending failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn tls() -> Result<ClientConfig, TransportError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = std::env::var_os("GENDAN_CA") {
        let more = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        for certificate in more.map_err(|e| unreachable(format!("GENDAN_CA: {e}")))? {
            roots.add(certificate).map_err(|e| unreachable(format!("GENDAN_CA: {e}")))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(unreachable)?.with_root_certificates(roots).with_no_client_auth())
}

impl Sockets {
    /// A transport over the operating system's sockets.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] where the certificates to trust cannot be read.
    pub fn new() -> Result<Self, TransportError> {
        let tls = tls()?;
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls.clone());
        let http = http.no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self {
            http: http.map_err(|e| unreachable(causes(&e)))?,
            tls: Arc::new(tls),
            open: Mutex::default(),
        })
    }

    fn find(&self, connection: u64) -> Result<Arc<Open>, TransportError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.1.get(&connection).cloned().ok_or_else(|| closed("there is no such connection"))
    }
}

/// Runs work on the runtime within a limit.
async fn within<T: Send + 'static>(
    limit_ms: u64,
    work: impl Future<Output = Result<T, TransportError>> + Send + 'static,
) -> Result<T, TransportError> {
    let limit = Duration::from_millis(limit_ms);
    let spawned = runtime().spawn(async move { timeout(limit, work).await });
    spawned.await.map_err(unreachable)?.map_err(|_| TransportError::TimedOut)?
}

#[async_trait::async_trait]
impl Transport for Sockets {
    async fn post(&self, url: String, json: String, limit_ms: u64) -> Result<HttpAnswer, TransportError> {
        let request = self.http.post(url).header("content-type", "application/json").body(json);
        within(limit_ms, async move {
            let mut answer = request.send().await.map_err(|e| unreachable(causes(&e.without_url())))?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(|e| unreachable(causes(&e.without_url())))? {
                if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                    return Err(unreachable("the answer is too long"));
                }
                body.extend_from_slice(&chunk);
            }
            let body = String::from_utf8_lossy(&body).into_owned();
            Ok(HttpAnswer { status: answer.status().as_u16(), body })
        })
        .await
    }

    async fn connect(&self, url: String, token: String, limit_ms: u64) -> Result<u64, TransportError> {
        let mut request = url.into_client_request().map_err(unreachable)?;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(unreachable)?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits::FRAME_BYTES_MAX))
            .max_frame_size(Some(limits::FRAME_BYTES_MAX));
        let connector = Connector::Rustls(self.tls.clone());
        let connected = within(limit_ms, async move {
            let opened = connect_async_tls_with_config(request, Some(config), true, Some(connector)).await;
            opened.map(|(ws, _)| ws).map_err(refused)
        })
        .await?;
        let (sink, stream) = connected.split();
        let reading = Reading { stream, silent: false };
        let connection =
            Open { sink: tokio::sync::Mutex::new(sink), stream: tokio::sync::Mutex::new(reading) };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.0 += 1;
        let number = open.0;
        open.1.insert(number, Arc::new(connection));
        Ok(number)
    }

    async fn send(&self, connection: u64, message: Vec<u8>) -> Result<(), TransportError> {
        let open = self.find(connection)?;
        let work = async move { open.sink.lock().await.send(Message::binary(message)).await.map_err(closed) };
        runtime().spawn(work).await.map_err(closed)?
    }

    async fn receive(&self, connection: u64, limit_ms: u64) -> Result<Vec<u8>, TransportError> {
        let open = self.find(connection)?;
        let work = async move { next(&open, Duration::from_millis(limit_ms)).await };
        runtime().spawn(work).await.map_err(closed)?
    }

    fn close(&self, connection: u64) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&connection);
        if let Some(open) = open {
            runtime().spawn(async move {
                // What was sent goes out first; whether the other side hears the farewell is its affair.
                let farewell = async { open.sink.lock().await.close().await };
                timeout(Duration::from_secs(2), farewell).await.map(drop).unwrap_or_default();
            });
        }
    }
}

fn refused(error: WsError) -> TransportError {
    match error {
        WsError::Http(answer) => TransportError::Status {
            status: answer.status().as_u16(),
            body: answer
                .body()
                .as_deref()
                .map(|b| String::from_utf8_lossy(b).into_owned())
                .unwrap_or_default(),
        },
        other => unreachable(causes(&other)),
    }
}

/// The next binary message. A silent connection is pinged once and then taken for dead.
async fn next(open: &Open, limit: Duration) -> Result<Vec<u8>, TransportError> {
    let mut reading = open.stream.lock().await;
    let arrived = timeout(limit, async {
        loop {
            match reading.stream.next().await {
                None => return Err(closed("the relay hung up")),
                Some(Err(error)) => return Err(closed(error)),
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes.to_vec()),
                Some(Ok(Message::Close(why))) => {
                    return Err(closed(why.map(|w| w.reason.to_string()).unwrap_or_default()));
                }
                Some(Ok(_)) => reading.silent = false,
            }
        }
    })
    .await;
    match arrived {
        Ok(arrived) => {
            reading.silent = false;
            arrived
        }
        Err(_) if reading.silent => Err(closed("the relay fell silent")),
        Err(_) => {
            reading.silent = true;
            open.sink.lock().await.send(Message::Ping(Vec::new().into())).await.map_err(closed)?;
            Err(TransportError::TimedOut)
        }
    }
}
