//! Posting: one attempt to tell a webhook, and what its answer means.
//!
//! In: a hook, a delivery, now. Out: an answer, whatever happens, within a bounded time. No redirect is
//! followed, no body of an answer is read, no cookie is kept. Certificates are checked against the system's
//! roots.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, header};
use sync_core::time::UnixMs;

use super::hook::Hook;
use super::outbox::{Answer, Delivery, Means};

/// How long a receiver may take to be reached, and to answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(15);

/// A client for one hook.
pub fn client(hook: &Hook) -> reqwest::Result<Client> {
    // A provider that is set already is this one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .redirect(Policy::none())
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("gendan/", env!("CARGO_PKG_VERSION")));
    // What stays on this machine goes through no proxy.
    if hook.url.scheme() == "http" { builder.no_proxy().build() } else { builder.build() }
}

/// Sends a delivery once.
pub async fn post(client: &Client, hook: &Hook, delivery: &Delivery, now_ms: UnixMs) -> Answer {
    let mut request = client.post(hook.url.clone()).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in hook.headers(&delivery.id, &delivery.body, now_ms) {
        request = request.header(name, value);
    }
    match request.body(delivery.body.clone()).send().await {
        Ok(response) => {
            let status = response.status();
            let means = match status.as_u16() {
                200..=299 => Means::Confirmed,
                410 => Means::Never,
                _ => Means::Again,
            };
            Answer { word: status.as_u16().to_string(), means }
        }
        // Its own words could quote an address.
        Err(error) => {
            let word = if error.is_timeout() { "timeout" } else { "connection" };
            Answer { word: word.to_owned(), means: Means::Again }
        }
    }
}
