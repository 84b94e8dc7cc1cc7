//! A webhook's receiver on a port of its own, as another company's program would be one.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use serde_json::Value;

/// The secret of its hook: 24 bytes, `a secret of 24 bytes, ok`.
pub const SECRET: &str = "whsec_YSBzZWNyZXQgb2YgMjQgYnl0ZXMsIG9r";

/// What a receiver was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The request's line and headers.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Sent {
    /// A header's value.
    ///
    /// # Panics
    /// Where it was not sent.
    pub fn header(&self, name: &str) -> &str {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        found.unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A receiver; what it answers is set, 200 where nothing is. It may hang instead.
#[derive(Debug)]
pub struct Receiver {
    /// Where it listens.
    pub url: String,
    answers: Arc<Mutex<Vec<&'static str>>>,
    sent: mpsc::Receiver<Sent>,
}

impl Receiver {
    /// One that listens, and answers unless it hangs.
    ///
    /// # Panics
    /// Where this machine has no port left.
    pub fn start(hangs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/in", listener.local_addr().expect("its port"));
        let (tell, sent) = mpsc::channel();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let next = answers.clone();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut socket in listener.incoming().flatten() {
                // A sender that died in the middle has said nothing.
                let Ok(request) = heard(&mut socket) else { continue };
                if tell.send(request).is_err() {
                    return;
                }
                if hangs {
                    held.push(socket);
                    continue;
                }
                let answer = next.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or("200 OK");
                let head = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                // Who is gone does not hear the answer, and asks again.
                drop(socket.write_all(head.as_bytes()));
            }
        });
        Self { url, answers, sent }
    }
    /// What it answers next, in this order.
    pub fn answers(&self, answers: &[&'static str]) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) =
            answers.iter().rev().copied().collect();
    }
    /// The next thing that it is sent, if it comes in time.
    pub fn next(&self, patience: Duration) -> Option<Sent> {
        self.sent.recv_timeout(patience).ok()
    }
    /// What it was sent since it was last asked.
    pub fn all(&self) -> Vec<Sent> {
        self.sent.try_iter().collect()
    }
}

/// One whole request.
fn heard(socket: &mut TcpStream) -> std::io::Result<Sent> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let sent = Sent { head: head.to_owned(), body: body.to_owned() };
            if sent.header("content-length").parse().is_ok_and(|length| body.len() >= length) {
                return Ok(sent);
            }
        }
        let read = socket.read(&mut part)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(part.get(..read).unwrap_or_default());
    }
}
