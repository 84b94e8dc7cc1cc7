//! A company on a real socket, for tests of the API: founded, served by threads of this process, stopped
//! and gone with its folder when it is dropped. Its clock can be moved.

#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, mpsc};

use gendan_server::api::{App, router};
use gendan_server::blob::objects::ObjectBlobs;
use gendan_server::clock::{Clock, chance};
use gendan_server::config::Config;
use gendan_server::identity::keys::KeyRing;
use gendan_server::identity::passwords;
use gendan_server::listen;
use gendan_server::log::{ChangeLog, KeptLog};
use gendan_server::projection::{Place, Projection};
use gendan_server::relay::found::{Founding, found};
use gendan_server::relay::office::Clerk;
use serde_json::{Value, json};
use sync_core::ids::PersonId;
use sync_core::policy::check;
use sync_core::policy::model::Policy;
use sync_core::policy::publish::Published;
use sync_core::store::{SledStore, StoreKey};

/// Every office user's.
pub const PASSWORD: &str = "一个很长的密码 12345";

/// A served company, and what stops it.
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    /// What its handlers stand on.
    pub app: Arc<App>,
    folder: tempfile::TempDir,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// An answer: status, media type, body.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Media type.
    pub media: String,
    /// Head, in lower case.
    pub head: String,
    /// JSON, or the text where it is none.
    pub body: Value,
}

fn app(folder: &Path, config: Config) -> App {
    let policy = Policy::parse(check::shipped("furniture").unwrap()).unwrap();
    let keys = KeyRing::create(folder).unwrap();
    let person = PersonId::staffed(keys.company, "M01");
    let (device, key) = keys.make_custodial(person).unwrap();
    let mut fill = chance;
    let mut clerk = Clerk { person, device, key: &key, chance: &mut fill };
    let store_key = StoreKey::from_bytes(*keys.store_key);
    let store = SledStore::open(&folder.join("log"), &store_key, gendan_server::cli::seeded()).unwrap();
    let log: Arc<dyn ChangeLog> = Arc::new(KeptLog::open(store, 5).unwrap());
    let founding = Founding {
        name: "好家居".into(),
        number: "M01".into(),
        person_name: "周总".into(),
        role: "management".parse().unwrap(),
    };
    let clock = Clock::system(Some(folder.join("moved-by")));
    let published = Published::of(1, &policy);
    let (company, company_key) = (keys.company, &keys.company_key);
    let relay =
        found(log.clone(), company, company_key, &mut clerk, founding, &published, &clock.now()).unwrap();
    passwords::set(log.as_ref(), person, PASSWORD, clock.unix_ms()).unwrap();
    let blobs = Arc::new(ObjectBlobs::in_folder(folder).unwrap());
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
    let relay = Arc::new(relay);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = Place::File(folder.join("read-model.sqlite"));
    let projection = runtime.block_on(async {
        let projection = Projection::open(&place, relay.clone()).await.unwrap();
        projection.catch_up(clock.unix_ms()).await.unwrap();
        projection
    });
    App::open(relay, Arc::new(projection), blobs, Arc::new(keys), config, clock, metrics).unwrap()
}

/// Reads an answer to its end.
fn heard(mut socket: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    let media = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-type: ").map(str::to_owned));
    let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
    Answer { status, media: media.unwrap_or_default(), head: head.to_lowercase(), body }
}

impl Served {
    /// One whose office may try to log in so often.
    pub fn with(attempts_per_minute: u32) -> Self {
        Self::configured(Config { attempts_per_minute, ..Config::default() })
    }

    /// One with a configuration; it listens on a free port and takes short bodies only.
    pub fn configured(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = Config { listen, body_bytes_max: 64 * 1024, ..config };
        let app = Arc::new(app(folder.path(), config.clone()));
        let served = app.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (bound, address) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let stopped = async move { drop(stopped.await) };
            let tell = move |address| bound.send(address).unwrap();
            runtime.unwrap().block_on(listen::serve(router(app), &config, stopped, tell)).unwrap();
        });
        let address = address.recv().unwrap();
        Self { address, app: served, folder, stop: Some(stop), thread: Some(thread) }
    }

    /// Moves its clock: by so many milliseconds from the real one.
    pub fn move_clock(&self, ms: i64) {
        std::fs::write(self.folder.path().join("moved-by"), ms.to_string()).unwrap();
    }

    /// A request to change the protocol, answered by HTTP where it is refused.
    pub fn upgrade(&self, path: &str, token: &str, headers: &str) -> Answer {
        let mut socket = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: upgrade, close\r\n{headers}\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).unwrap();
        heard(socket)
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
        let mut socket = TcpStream::connect(self.address).unwrap();
        let token = token.map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n{token}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).unwrap();
        // A body that is too large may be refused before it is read whole.
        drop(socket.write_all(body.as_bytes()));
        heard(socket)
    }
    /// A request with a JSON body.
    pub fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.ask("POST", path, token, &body.to_string())
    }
    /// An office user's token.
    pub fn login(&self, number: &str) -> String {
        let answer = self.post("/v1/office/login", None, &json!({ "number": number, "password": PASSWORD }));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["token"].as_str().unwrap().to_owned()
    }
    /// A person with a role and an office account; their token.
    pub fn hire(&self, boss: &str, number: &str, role: &str) -> String {
        for body in [
            json!({ "do": "add_person", "number": number, "name": "员工" }),
            json!({ "do": "grant_role", "number": number, "role": role, "store": null }),
        ] {
            let answer = self.post("/v1/commands", Some(boss), &body);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let account = json!({ "number": number, "password": PASSWORD });
        assert_eq!(self.post("/v1/accounts", Some(boss), &account).status, 204);
        self.login(number)
    }
}
impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the server ends well");
        }
    }
}

/// Checks that an answer is a problem with this status and code.
#[track_caller]
pub fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)), "{answer:?}");
    assert_eq!(answer.media, "application/problem+json", "{answer:?}");
    assert_eq!(answer.body["type"], format!("urn:gendan:problem:{code}"), "{answer:?}");
    assert_eq!(answer.body["status"], status, "{answer:?}");
    for words in ["title", "detail", "detail_en"] {
        assert!(answer.body[words].as_str().is_some_and(|w| !w.is_empty()), "{answer:?}");
    }
}
