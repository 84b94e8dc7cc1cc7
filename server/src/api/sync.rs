//! The session of a device: frames over a WebSocket (RFC 6455), one codec message in one binary message.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use sync_core::limits;
use sync_core::wire::{Decoder, Encoder, Frame};
use tokio::time::timeout;

use super::{Field, Shared, lock};
use crate::problem::Problem;
use crate::relay::RelayError;
use crate::relay::end::RelayEnd;
use crate::relay::gate::Peer;

/// A peer that takes longer to take a message is dropped; nothing is lost by it.
const SEND_MAX: Duration = Duration::from_secs(30);
/// A silent peer is asked whether it is there, and dropped where it stays silent as long again.
const SILENT_MAX: Duration = Duration::from_secs(30);

/// What is known of a peer that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Silence {
    /// It was asked and has not answered.
    asked: bool,
}

impl Silence {
    /// The peer said something, if only that it is there.
    fn broken(&mut self) {
        self.asked = false;
    }
    /// It was silent once more: whether to ask it; otherwise it is gone (a half-open connection).
    fn lasts(&mut self) -> bool {
        !std::mem::replace(&mut self.asked, true)
    }
}

/// Opens a device's session.
#[utoipa::path(get, path = "/v1/sync",
    responses((status = 101, description = "frames follow"), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub async fn sync(
    State(app): State<Shared>,
    Field(bearer): Field,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|e| {
        Problem::new(StatusCode::BAD_REQUEST, "not_a_websocket", "此处须用 WebSocket。", e.body_text())
    })?;
    let place = app.places.clone().try_acquire_owned().map_err(|_| {
        let (zh, en) = ("连接已满,请稍后再试。", "All places are taken; try again later.");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", zh, en)
    })?;
    let peer = Peer { device: bearer.device, person: bearer.person };
    let upgrade = upgrade
        .max_message_size(limits::FRAME_BYTES_MAX + 1024)
        .max_frame_size(limits::FRAME_BYTES_MAX + 1024);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let lease_ms = i64::from(app.config.lease_days) * 24 * 3_600_000;
        let end = RelayEnd::new(app.relay.clone(), app.blobs.clone(), peer, lease_ms);
        metrics::gauge!("gendan_sessions").increment(1.0);
        let session = Session {
            app,
            socket,
            end: Arc::new(Mutex::new(end)),
            encoder: Encoder::new(),
            decoder: Decoder::new(),
        };
        session.run().await;
        metrics::gauge!("gendan_sessions").decrement(1.0);
        drop(place);
    }))
}

struct Session {
    app: Shared,
    socket: WebSocket,
    end: Arc<Mutex<RelayEnd>>,
    encoder: Encoder,
    decoder: Decoder,
}

/// Why a session ends.
enum Over {
    /// The peer closed, or is gone.
    Gone,
    /// A side broke the protocol, or the relay failed: the peer is told.
    Failed(&'static str, String),
}

impl Session {
    async fn run(mut self) {
        let mut heads = self.app.relay.heads();
        let mut silence = Silence::default();
        // Of its own, or other people's work would put it off for ever.
        let mut quiet = std::pin::pin!(tokio::time::sleep(SILENT_MAX));
        let outcome = loop {
            let step = tokio::select! {
                message = self.socket.recv() => {
                    silence.broken();
                    quiet.as_mut().reset(tokio::time::Instant::now() + SILENT_MAX);
                    match message {
                        None | Some(Err(_) | Ok(Message::Close(_))) => Err(Over::Gone),
                        Some(Ok(Message::Binary(bytes))) => self.frame(&bytes).await,
                        Some(Ok(Message::Text(_))) => Err(Over::Failed("text_message", "frames are binary".into())),
                        Some(Ok(_)) => Ok(()),
                    }
                }
                () = quiet.as_mut() => {
                    quiet.as_mut().reset(tokio::time::Instant::now() + SILENT_MAX);
                    let ping = Message::Ping(Default::default());
                    if silence.lasts() { self.send(ping).await } else { Err(Over::Gone) }
                }
                changed = heads.changed() => if changed.is_ok() { self.feed().await } else { Err(Over::Gone) },
            };
            if let Err(over) = step {
                break over;
            }
        };
        if let Over::Failed(code, message) = outcome {
            tracing::info!(code, "session failed");
            // The peer may be gone already: then there is nobody to tell.
            if let Ok(bytes) = self.encoder.encode(&Frame::Failure { code: code.into(), message })
                && self.send(Message::Binary(bytes.into())).await.is_ok()
            {
                let close = CloseFrame { code: 1002, reason: code.into() };
                drop(self.send(Message::Close(Some(close))).await);
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Over> {
        match timeout(SEND_MAX, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Over::Gone),
        }
    }

    async fn send_frames(&mut self, frames: Vec<Frame>) -> Result<(), Over> {
        for frame in frames {
            let bytes = self.encoder.encode(&frame).map_err(|e| Over::Failed(e.code(), e.to_string()))?;
            self.send(Message::Binary(bytes.into())).await?;
        }
        Ok(())
    }

    async fn frame(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let frame = match self.decoder.decode(bytes) {
            Ok(frame) => frame,
            Err(error) if error.goes_on() => return Ok(()),
            Err(error) => return Err(Over::Failed(error.code(), error.to_string())),
        };
        let answers = self.work(move |end, now_ms| end.handle(frame, now_ms)).await?;
        self.send_frames(answers).await?;
        let device = { lock(&self.end).peer().device };
        let reported = { lock(&self.end).reported().clone() };
        lock(&self.app.seen).insert(device, reported);
        self.feed().await
    }

    /// Sends what is new until there is nothing.
    async fn feed(&mut self) -> Result<(), Over> {
        while let Some(frame) = self.work(RelayEnd::poll).await? {
            self.send_frames(vec![frame]).await?;
        }
        Ok(())
    }

    /// Lets the relay's end work off the async threads. Not `async fn`: the socket is not shared.
    fn work<T, W>(&self, work: W) -> impl Future<Output = Result<T, Over>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&mut RelayEnd, i64) -> Result<T, RelayError> + Send + 'static,
    {
        let (end, now_ms) = (self.end.clone(), self.app.clock.unix_ms());
        let task = tokio::task::spawn_blocking(move || work(&mut lock(&end), now_ms));
        async move { Self::outcome(task.await) }
    }

    fn outcome<T>(done: Result<Result<T, RelayError>, tokio::task::JoinError>) -> Result<T, Over> {
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(RelayError::Protocol { code, message })) => Err(Over::Failed(code, message)),
            Ok(Err(error)) => {
                tracing::error!(%error, "session work failed");
                Err(Over::Failed("relay_failed", "try again later".into()))
            }
            Err(error) => {
                tracing::error!(%error, "session work panicked");
                Err(Over::Failed("relay_failed", "try again later".into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_peer_is_asked_once_and_then_gone_unless_it_answers() {
        let mut silence = Silence::default();
        assert!(silence.lasts(), "asked");
        silence.broken();
        assert!(silence.lasts(), "asked again after it answered");
        assert!(!silence.lasts(), "gone");
    }
}
