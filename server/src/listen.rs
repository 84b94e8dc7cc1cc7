//! Listening: plain on loopback or TLS by files, with a graceful end.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};

use crate::config::Config;

/// How long open connections may take to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `stop` is done; `bound` is told the address that was taken.
pub async fn serve(
    router: Router,
    config: &Config,
    stop: impl Future<Output = ()> + Send + 'static,
    bound: impl FnOnce(SocketAddr) + Send + 'static,
) -> anyhow::Result<()> {
    let handle = Handle::new();
    let (stopping, listening) = (handle.clone(), handle.clone());
    tokio::spawn(async move {
        stop.await;
        stopping.graceful_shutdown(Some(DRAIN));
    });
    tokio::spawn(async move {
        if let Some(address) = listening.listening().await {
            bound(address);
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let listen = config.listen;
    match (&config.tls_certificate, &config.tls_key) {
        (Some(certificate), Some(key)) => {
            // A provider that is set already is this one.
            drop(rustls::crypto::ring::default_provider().install_default());
            let tls = RustlsConfig::from_pem_file(certificate, key).await.with_context(|| {
                format!("{} and {} are not a certificate and its key", certificate.display(), key.display())
            })?;
            let acceptor = RustlsAcceptor::new(tls).acceptor(NoDelayAcceptor);
            axum_server::bind(listen).acceptor(acceptor).handle(handle).serve(service).await
        }
        _ => axum_server::bind(listen).acceptor(NoDelayAcceptor).handle(handle).serve(service).await,
    }
    .with_context(|| format!("cannot listen on {listen}"))
}
