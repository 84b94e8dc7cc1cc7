//! The session of a device: frames over a WebSocket (RFC 6455), one codec message in one binary message.
//!
//! A session that is quiet costs little: the contexts of both directions rest, and the socket's buffers
//! are as small as the codec's parts. Time comes in beats: a quiet session rests, a silent peer is asked
//! whether it is there and dropped where it does not answer. Dropping loses nothing, since what is not
//! confirmed is said again on the next connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::Response;
use sync_core::directory::Directory;
use sync_core::ids::PersonId;
use sync_core::limits;
use sync_core::time::UnixMs;
use sync_core::wire::{Arrived, Decoder, Encoder, Frame, codec};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::door::{self, Full, Seat};
use super::{Field, Shared, lock};
use crate::problem::Problem;
use crate::relay::RelayError;
use crate::relay::end::RelayEnd;
use crate::relay::gate::Peer;

/// A peer that takes longer to take a message is dropped; nothing is lost by it.
const SEND_MAX: Duration = Duration::from_secs(30);
/// How long a session waits for more of what concerns it before it sends that.
const BURST: Duration = Duration::from_millis(40);
/// How long at most while its device still has work of its own to say, which goes first.
const BUSY_BURST: Duration = Duration::from_millis(1_500);
/// How often a session looks at how still it has been.
const BEAT: Duration = Duration::from_secs(5);
/// Beats without a frame in either direction after which the contexts rest: five to ten seconds.
const QUIET_BEATS: u32 = 2;
/// Beats without anything from the peer after which it is asked whether it is there.
const SILENT_BEATS: u32 = 6;
/// Beats without anything from the peer, not even the answer to that, after which it is dropped.
const GONE_BEATS: u32 = 12;
/// How long a device whose person has no role in force may hand in its work on one connection, in
/// milliseconds. It sees no document any more and nothing of it enters: what it sends is held.
const LEAVING_MS: i64 = 30_000;
/// After how long somebody who found no seat should come again.
const COME_AGAIN: Duration = Duration::from_secs(10);
/// What the socket reads at once. It keeps a buffer of this size for as long as the connection lives.
const READ_BYTES: usize = 4 * 1024;

/// Opens a device's session.
#[utoipa::path(get, path = "/v1/sync", security(("device" = [])),
    responses((status = 101, description = "frames follow"), (status = 400, body = Problem),
        (status = 503, body = Problem)))]
pub async fn sync(
    State(app): State<Shared>,
    Field(bearer): Field,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|e| {
        Problem::new(StatusCode::BAD_REQUEST, "not_a_websocket", "此处须用 WebSocket。", e.body_text())
    })?;
    let seat = app.seats.take(bearer.device, door::counted(address.ip())).map_err(full)?;
    let peer = Peer { device: bearer.device, person: bearer.person };
    let upgrade = upgrade
        .max_message_size(limits::FRAME_BYTES_MAX + 1024)
        .max_frame_size(limits::FRAME_BYTES_MAX + 1024)
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let opened_ms = app.clock.unix_ms();
        let lease_ms = i64::from(app.config.lease_days) * 24 * 3_600_000;
        let end = RelayEnd::new(app.relay.clone(), app.blobs.clone(), peer, lease_ms);
        metrics::gauge!("gendan_sessions").increment(1.0);
        let session = Session {
            app,
            socket,
            seat,
            opened_ms,
            paused: None,
            end: Arc::new(Mutex::new(end)),
            encoder: Encoder::new(),
            decoder: Decoder::new(),
            still: Still::default(),
            due: None,
        };
        session.run().await;
        metrics::gauge!("gendan_sessions").decrement(1.0);
    }))
}

fn full(full: Full) -> Problem {
    let (status, code, zh, en) = match full {
        Full::Everywhere => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_connections",
            "连接已满,请稍后再试。",
            "All places are taken; try again later.",
        ),
        Full::Address => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_from_address",
            "同一网络的连接已满,请稍后再试。",
            "Too many devices are connected from this address; try again later.",
        ),
    };
    Problem::new(status, code, zh, en).after(COME_AGAIN)
}

/// Since when a session has served a person who has no role in force; `None` where they have one.
fn idle_since(directory: &Directory, person: PersonId, opened_ms: UnixMs, now_ms: UnixMs) -> Option<UnixMs> {
    let roles = directory.people.get(&person).map_or(&[][..], |p| &p.roles);
    if roles.iter().any(|role| role.holds_at(now_ms)) {
        return None;
    }
    let ended = roles.iter().filter_map(|role| role.to_ms).filter(|to| *to <= now_ms).max();
    Some(ended.unwrap_or(opened_ms).max(opened_ms))
}

struct Session {
    app: Shared,
    socket: WebSocket,
    seat: Seat,
    opened_ms: UnixMs,
    /// Until then nothing is read: the device is over its pace.
    paused: Option<Instant>,
    end: Arc<Mutex<RelayEnd>>,
    encoder: Encoder,
    decoder: Decoder,
    still: Still,
    /// When what is new is sent, once there is something.
    due: Option<Instant>,
}

/// Done at the moment, or never.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// How long a session has been still, in beats.
#[derive(Debug, Default)]
struct Still {
    /// Since the last frame in either direction.
    quiet: u32,
    /// Since anything came from the peer.
    silent: u32,
}

/// What a beat makes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Rest,
    Ping,
    Drop,
}

impl Still {
    fn beat(&mut self) -> Due {
        self.quiet = self.quiet.saturating_add(1);
        self.silent = self.silent.saturating_add(1);
        match (self.silent, self.quiet) {
            (GONE_BEATS.., _) => Due::Drop,
            (SILENT_BEATS, _) => Due::Ping,
            (_, QUIET_BEATS) => Due::Rest,
            _ => Due::Nothing,
        }
    }
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
        let peer = { lock(&self.end).peer() };
        let listening = self.app.relay.listen(peer, self.app.clock.unix_ms());
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats.reset();
        let outcome = loop {
            let step = tokio::select! {
                message = self.socket.recv(), if self.paused.is_none() => match message {
                    Some(Ok(message)) => self.heard(message).await,
                    None | Some(Err(_)) => Err(Over::Gone),
                },
                () = until(self.paused) => {
                    self.paused = None;
                    Ok(())
                }
                () = self.seat.replaced() => {
                    Err(Over::Failed("replaced", "this device has connected anew".into()))
                }
                () = listening.woken() => {
                    self.woken();
                    Ok(())
                }
                () = until(self.due) => self.feed().await,
                _ = beats.tick() => self.beat().await,
            };
            if let Err(over) = step {
                break over;
            }
        };
        if let Over::Failed(code, message) = outcome {
            tracing::info!(code, "session failed");
            // The peer may be gone already: then there is nobody to tell.
            if self.send_frames(vec![Frame::Failure { code: code.into(), message }]).await.is_ok() {
                // RFC 6455 section 7.4.1, and IANA's registry for 1012: service restart.
                let status = match code {
                    "relay_stopping" => 1012,
                    "relay_failed" => 1011,
                    "replaced" | "no_role" => 1008,
                    _ => 1002,
                };
                let close = CloseFrame { code: status, reason: code.into() };
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

    /// Sends a message of the codec; the limit is on all of its parts.
    async fn send_message(&mut self, message: &[u8]) -> Result<(), Over> {
        let all = async {
            for part in codec::parts(message) {
                self.socket.send(Message::Binary(part.into())).await?;
            }
            Ok::<_, axum::Error>(())
        };
        match timeout(SEND_MAX, all).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Over::Gone),
        }
    }

    async fn send_frames(&mut self, frames: Vec<Frame>) -> Result<(), Over> {
        for frame in frames {
            let message = self.encoder.encode(&frame).map_err(|e| Over::Failed(e.code(), e.to_string()))?;
            self.still.quiet = 0;
            self.send_message(&message).await?;
        }
        Ok(())
    }

    async fn heard(&mut self, message: Message) -> Result<(), Over> {
        self.still.silent = 0;
        self.at_work()?;
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return Err(Over::Gone),
            Message::Text(_) => return Err(Over::Failed("text_message", "frames are binary".into())),
            Message::Ping(_) | Message::Pong(_) => {
                self.charge(None, 0);
                return Ok(());
            }
        };
        let arrived = self.decoder.decode(&bytes);
        let frame = if let Ok(Arrived::Frame(frame)) = &arrived { Some(frame) } else { None };
        self.charge(frame, bytes.len());
        let arrived = match arrived {
            Ok(arrived) => arrived,
            Err(error) if error.goes_on() => return Ok(()),
            Err(error) => return Err(Over::Failed(error.code(), error.to_string())),
        };
        match arrived {
            Arrived::Frame(frame) => self.frame(frame).await,
            Arrived::Part => Ok(()),
            Arrived::Rest if self.encoder.holds_context() => self.rest().await,
            Arrived::Rest => Ok(()),
        }
    }

    async fn frame(&mut self, frame: Frame) -> Result<(), Over> {
        self.still.quiet = 0;
        let pushed = matches!(frame, Frame::Push(_));
        let answers = self.work(move |end, now_ms| end.handle(frame, now_ms)).await?;
        self.send_frames(answers).await?;
        let device = { lock(&self.end).peer().device };
        let reported = { lock(&self.end).reported().clone() };
        lock(&self.app.seen).insert(device, reported);
        if !pushed {
            return self.feed().await;
        }
        // What a push brings into the log wakes whom it concerns. With the last of its own work said, a
        // device waits no longer than others.
        if !self.is_busy() {
            self.due = self.due.map(|due| due.min(Instant::now() + BURST));
        }
        Ok(())
    }

    /// What concerns the session comes in bursts: a moment later it goes in one frame.
    fn woken(&mut self) {
        let wait = if self.is_busy() { BUSY_BURST } else { BURST };
        self.due.get_or_insert(Instant::now() + wait);
    }

    fn is_busy(&self) -> bool {
        lock(&self.end).reported().unsent > 0
    }

    /// Counts what was read. A device over its pace is read more slowly from here on: what it sends
    /// waits in its own socket, nothing is lost and nobody else waits.
    fn charge(&mut self, frame: Option<&Frame>, bytes: usize) {
        let device = { lock(&self.end).peer().device };
        let wait = self.app.changes.charge(device, door::cost(frame, bytes), self.app.elapsed());
        if !wait.is_zero() {
            metrics::counter!("gendan_sessions_slowed_total").increment(1);
            self.paused = Some(Instant::now() + wait);
        }
    }

    /// Ends the session of a person who has had no role in force for a while.
    fn at_work(&self) -> Result<(), Over> {
        let (person, now_ms) = ({ lock(&self.end).peer().person }, self.app.clock.unix_ms());
        let footing = self.app.relay.footing();
        match idle_since(&footing.directory, person, self.opened_ms, now_ms) {
            Some(since) if now_ms - since >= LEAVING_MS => {
                Err(Over::Failed("no_role", "this person has no role in force".into()))
            }
            _ => Ok(()),
        }
    }

    async fn beat(&mut self) -> Result<(), Over> {
        self.at_work()?;
        if self.paused.is_some() {
            // It is we who do not listen.
            self.still.silent = 0;
        }
        match self.still.beat() {
            Due::Rest if self.encoder.holds_context() || self.decoder.holds_context() => self.rest().await,
            Due::Ping => {
                self.send(Message::Ping(Default::default())).await?;
                // Moves the cursor over what did not concern this session.
                self.feed().await
            }
            Due::Drop => Err(Over::Gone),
            Due::Nothing | Due::Rest => Ok(()),
        }
    }

    /// Drops our direction's context and asks the peer for the same.
    async fn rest(&mut self) -> Result<(), Over> {
        let message = self.encoder.rest().map_err(|e| Over::Failed(e.code(), e.to_string()))?;
        self.send_message(&message).await
    }

    /// Sends what is new until there is nothing.
    async fn feed(&mut self) -> Result<(), Over> {
        self.due = None;
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
            // The relay is stopping: work that had not begun does not begin any more.
            Err(error) if error.is_cancelled() => Err(Over::Failed("relay_stopping", "connect again".into())),
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

    fn due(still: &mut Still, beats: u32) -> Vec<Due> {
        (0..beats).map(|_| still.beat()).collect()
    }

    #[test]
    fn a_quiet_session_rests_once_and_a_silent_one_is_asked_then_dropped() {
        let mut still = Still::default();
        let dues = due(&mut still, GONE_BEATS);
        for (beat, due) in (1..).zip(dues) {
            let expected = match beat {
                QUIET_BEATS => Due::Rest,
                SILENT_BEATS => Due::Ping,
                GONE_BEATS => Due::Drop,
                _ => Due::Nothing,
            };
            assert_eq!(due, expected, "beat {beat}");
        }
    }

    #[test]
    fn a_peer_that_answers_pings_stays_and_is_not_asked_to_rest_again() {
        let mut still = Still::default();
        for _ in 0..10 {
            assert!(due(&mut still, SILENT_BEATS).ends_with(&[Due::Ping]));
            still.silent = 0;
        }
        assert!(!due(&mut still, SILENT_BEATS - 1).contains(&Due::Rest));
        still.quiet = 0;
        still.silent = 0;
        assert_eq!(due(&mut still, QUIET_BEATS), [Due::Nothing, Due::Rest]);
    }
}
