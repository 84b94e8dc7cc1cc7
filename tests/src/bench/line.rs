//! A device's connection to the relay over a real socket whose bytes are counted, both ways.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use sync_core::device::Device;
use sync_core::store::DeviceStore;
use sync_core::time::Now;
use sync_core::wire::{Arrived, Decoder, Encoder, Frame, codec};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;

/// Bytes on one socket.
#[derive(Debug, Default)]
struct Meter {
    up: AtomicU64,
    down: AtomicU64,
}

/// A socket that counts what goes through it.
struct Counted {
    inner: TcpStream,
    meter: Arc<Meter>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.meter.down.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            self.meter.up.fetch_add(*written as u64, Ordering::Relaxed);
        }
        polled
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Bytes on the TCP socket of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes {
    /// From the device.
    pub up: u64,
    /// To the device.
    pub down: u64,
    /// Of both, the HTTP upgrade that opened the connection.
    pub upgrade: u64,
}

impl Bytes {
    /// All of them.
    pub fn all(self) -> u64 {
        self.up + self.down
    }
    /// Those of the session: all but the HTTP upgrade.
    pub fn session(self) -> u64 {
        self.all() - self.upgrade
    }
}

/// A connection.
pub struct Line {
    ws: WebSocketStream<Counted>,
    encoder: Encoder,
    decoder: Decoder,
    meter: Arc<Meter>,
    upgrade: u64,
    /// Frames sent and received.
    pub frames: u64,
    /// How often something was sent after something had been received, the first included.
    pub turns: u64,
    heard: bool,
}

impl Line {
    /// Opens a session with a token.
    pub async fn open(address: SocketAddr, token: &str) -> anyhow::Result<Self> {
        let inner = TcpStream::connect(address).await?;
        inner.set_nodelay(true)?;
        let meter = Arc::new(Meter::default());
        let mut request = format!("ws://{address}/v1/sync").into_client_request()?;
        request.headers_mut().insert(AUTHORIZATION, format!("Bearer {token}").parse()?);
        let counted = Counted { inner, meter: meter.clone() };
        let (ws, _) =
            tokio_tungstenite::client_async(request, counted).await.context("the relay's upgrade")?;
        let upgrade = meter.up.load(Ordering::Relaxed) + meter.down.load(Ordering::Relaxed);
        let (encoder, decoder) = (Encoder::new(), Decoder::new());
        Ok(Self { ws, encoder, decoder, meter, upgrade, frames: 0, turns: 0, heard: true })
    }

    /// The bytes until now.
    pub fn bytes(&self) -> Bytes {
        let (up, down) = (self.meter.up.load(Ordering::Relaxed), self.meter.down.load(Ordering::Relaxed));
        Bytes { up, down, upgrade: self.upgrade }
    }

    /// Sends frames.
    pub async fn send(&mut self, frames: Vec<Frame>) -> anyhow::Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        self.turns += u64::from(std::mem::take(&mut self.heard));
        for frame in frames {
            let bytes = self.encoder.encode(&frame)?;
            self.frames += 1;
            for part in codec::parts(&bytes) {
                self.ws.feed(Message::binary(part)).await?;
            }
        }
        Ok(self.ws.flush().await?)
    }

    /// The next frame.
    pub async fn next(&mut self) -> anyhow::Result<Frame> {
        loop {
            match self.ws.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    self.frames += 1;
                    self.heard = true;
                    match self.decoder.decode(&bytes)? {
                        Arrived::Frame(frame) => return Ok(frame),
                        Arrived::Rest if self.encoder.holds_context() => {
                            let rest = self.encoder.rest()?;
                            self.ws.send(Message::binary(rest)).await?;
                        }
                        Arrived::Part | Arrived::Rest => {}
                    }
                }
                Some(Ok(Message::Close(why))) => bail!("the relay closed the connection: {why:?}"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => bail!("the relay hung up"),
            }
        }
    }

    /// Begins a session: the device says hello.
    pub async fn greet<S: DeviceStore>(&mut self, device: &mut Device<S>, now: &Now) -> anyhow::Result<()> {
        let frames = device.connect("bench/1", now)?;
        self.send(frames).await
    }

    /// Takes one frame into the device and sends its answers.
    pub async fn take<S: DeviceStore>(
        &mut self,
        device: &mut Device<S>,
        frame: Frame,
        now: &Now,
    ) -> anyhow::Result<()> {
        let answers = device.handle(frame, now)?;
        self.send(answers).await
    }

    /// Runs until the device is in step.
    pub async fn until_in_step<S: DeviceStore>(
        &mut self,
        device: &mut Device<S>,
        now: &Now,
    ) -> anyhow::Result<()> {
        loop {
            let frame = self.next().await?;
            self.take(device, frame, now).await?;
            if device.is_in_step()? {
                return Ok(());
            }
        }
    }

    /// Asks whether both hold the same, and waits for the answer; a repair is a disagreement.
    pub async fn agrees<S: DeviceStore>(
        &mut self,
        device: &mut Device<S>,
        now: &Now,
    ) -> anyhow::Result<bool> {
        let asked = device.ask_agreement()?;
        self.send(vec![asked]).await?;
        loop {
            let frame = self.next().await?;
            let answer = matches!(frame, Frame::Agreement { .. });
            self.take(device, frame, now).await?;
            if answer {
                return device.agreement().context("the relay's answer");
            }
        }
    }

    /// Says goodbye and waits until the relay has heard it.
    pub async fn close(mut self) -> anyhow::Result<Bytes> {
        let bytes = self.bytes();
        self.ws.close(None).await?;
        // Whatever comes after the farewell, an end without one included, is no loss.
        while let Some(Ok(_)) = self.ws.next().await {}
        Ok(bytes)
    }
}
