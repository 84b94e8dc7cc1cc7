//! The real router on a real socket: every wrong request is answered as RFC 9457 says, with its status
//! and stable code, and the OpenAPI document is the one that is checked in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, mpsc};

use gendan_server::api::{App, openapi, router};
use gendan_server::blob::objects::ObjectBlobs;
use gendan_server::clock::{Clock, chance, random};
use gendan_server::config::Config;
use gendan_server::identity::keys::KeyRing;
use gendan_server::identity::passwords;
use gendan_server::listen;
use gendan_server::log::{ChangeLog, KeptLog};
use gendan_server::projection::{Place, Projection};
use gendan_server::relay::found::{Founding, found};
use gendan_server::relay::office::Clerk;
use serde_json::{Value, json};
use sync_core::ids::{DeviceId, PersonId};
use sync_core::policy::check;
use sync_core::policy::model::Policy;
use sync_core::policy::publish::Published;
use sync_core::store::{SledStore, StoreKey};

const PASSWORD: &str = "一个很长的密码 12345";

/// A served company, and what stops it.
struct Served {
    address: SocketAddr,
    _folder: tempfile::TempDir,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// An answer: status, media type, body.
#[derive(Debug)]
struct Answer {
    status: u16,
    media: String,
    body: Value,
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
    let clock = Clock::system(None);
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
    App::new(relay, Arc::new(projection), blobs, Arc::new(keys), config, clock, metrics)
}

impl Served {
    fn with(attempts_per_minute: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = Config { listen, attempts_per_minute, body_bytes_max: 16 * 1024, ..Config::default() };
        let app = Arc::new(app(folder.path(), config.clone()));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (bound, address) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let stopped = async move { drop(stopped.await) };
            let tell = move |address| bound.send(address).unwrap();
            runtime.unwrap().block_on(listen::serve(router(app), &config, stopped, tell)).unwrap();
        });
        let address = address.recv().unwrap();
        Self { address, _folder: folder, stop: Some(stop), thread: Some(thread) }
    }

    /// One request on a connection of its own.
    fn ask(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
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
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        let media =
            head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-type: ").map(str::to_owned));
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        Answer { status, media: media.unwrap_or_default(), body }
    }
    fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.ask("POST", path, token, &body.to_string())
    }
    fn login(&self, number: &str) -> String {
        let answer = self.post("/v1/office/login", None, &json!({ "number": number, "password": PASSWORD }));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["token"].as_str().unwrap().to_owned()
    }
    /// A person with a role and an office account; their token.
    fn hire(&self, boss: &str, number: &str, role: &str) -> String {
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

#[track_caller]
fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)), "{answer:?}");
    assert_eq!(answer.media, "application/problem+json", "{answer:?}");
    assert_eq!(answer.body["type"], format!("urn:gendan:problem:{code}"), "{answer:?}");
    assert_eq!(answer.body["status"], status, "{answer:?}");
    for words in ["title", "detail", "detail_en"] {
        assert!(answer.body[words].as_str().is_some_and(|w| !w.is_empty()), "{answer:?}");
    }
}

#[test]
fn every_wrong_request_is_a_problem_with_its_status_and_code() {
    let served = Served::with(1_000);
    let boss = served.login("M01");
    let clerk = served.hire(&boss, "P01", "planner");
    let (boss, clerk) = (Some(boss.as_str()), Some(clerk.as_str()));
    let forged = format!("{}x", clerk.unwrap());
    let order = json!({ "do": "open_order", "number": "A1", "store": null, "items": [], "fields": {
        "customer": "何女士", "phone": "13800000000", "address": "幸福街1号", "delivery_date": "2030-12-01" } });
    assert_eq!(served.post("/v1/commands", boss, &order).status, 200);
    let note = |text: &str| json!({ "do": "note", "doc": "A1", "text": text }).to_string();
    let held = format!("/v1/held/order:{}/{}", uuid(1), "00".repeat(32));
    let unknown_field = r#"{"do":"note","doc":"A1","text":"x","colour":"red"}"#;
    let no_one = json!({ "do": "end_role", "number": "X99", "role": "sales" }).to_string();
    let bad_step = json!({ "do": "step", "doc": "A1", "step": "不是名字!" }).to_string();
    let nowhere = json!({ "do": "note", "doc": "Z9", "text": "x" }).to_string();
    let cancel = json!({ "do": "cancel", "doc": "A1", "reason": "x" }).to_string();
    let hire = json!({ "do": "add_person", "number": "P02", "name": "x" }).to_string();
    let short = json!({ "number": "P01", "password": "short" }).to_string();
    let code_for = json!({ "number": "M01" }).to_string();
    /// Method, path, token, body; then status and code.
    type Row<'a> = (&'a str, &'a str, Option<&'a str>, &'a str, u16, &'a str);
    let table: [Row<'_>; 33] = [
        ("GET", "/v1/people", None, "", 401, "unauthorized"),
        ("GET", "/v1/stores", None, "", 401, "unauthorized"),
        ("GET", "/v1/people", Some("nonsense"), "", 401, "unauthorized"),
        ("GET", "/v1/people", Some(&forged), "", 401, "unauthorized"),
        ("GET", "/v1/sync", boss, "", 401, "unauthorized"),
        ("GET", "/v1/sync", None, "", 401, "unauthorized"),
        ("POST", "/v1/commands", None, &note("x"), 401, "unauthorized"),
        ("POST", "/v1/commands", boss, "{", 400, "bad_json"),
        ("POST", "/v1/commands", boss, "[]", 422, "bad_json"),
        ("POST", "/v1/commands", boss, r#"{"do":"fly"}"#, 422, "bad_json"),
        ("POST", "/v1/commands", boss, unknown_field, 422, "bad_json"),
        ("POST", "/v1/commands", boss, &note(&"长".repeat(10_000)), 413, "bad_json"),
        ("POST", "/v1/policies", boss, "not = [toml", 422, "policy_invalid"),
        ("POST", "/v1/policies", boss, &"长".repeat(10_000), 413, "bad_body"),
        ("POST", "/v1/policies", None, "", 401, "unauthorized"),
        ("DELETE", "/v1/people", boss, "", 405, "method_not_allowed"),
        ("GET", "/v1/commands", boss, "", 405, "method_not_allowed"),
        ("GET", "/v2/people", boss, "", 404, "not_found"),
        ("GET", "/", None, "", 404, "not_found"),
        ("GET", "/v1/cases/Z9", boss, "", 404, "not_found"),
        ("GET", "/v1/cases/%FF", boss, "", 400, "bad_path"),
        ("GET", "/v1/blobs/short", boss, "", 422, "invalid_value"),
        ("POST", "/v1/held/nonsense/00/release", boss, "", 422, "invalid_value"),
        ("POST", &format!("{held}/release"), boss, "", 404, "not_found"),
        ("POST", &format!("{held}/release"), clerk, "", 403, "role_missing"),
        ("GET", "/v1/held", clerk, "", 403, "role_missing"),
        ("POST", "/v1/commands", boss, &bad_step, 422, "invalid_value"),
        ("POST", "/v1/commands", boss, &no_one, 422, "invalid_value"),
        ("POST", "/v1/commands", boss, &nowhere, 404, "not_found"),
        ("POST", "/v1/commands", clerk, &cancel, 403, "role_missing"),
        ("POST", "/v1/commands", clerk, &hire, 403, "role_missing"),
        ("POST", "/v1/accounts", boss, &short, 422, "invalid_value"),
        ("POST", "/v1/enrolments", clerk, &code_for, 403, "role_missing"),
    ];
    for (method, path, token, body, status, code) in table {
        let answer = served.ask(method, path, token, body);
        println!("{method} {path} → {} {}", answer.status, answer.body["code"]);
        is_problem(&answer, status, code);
    }
}

fn uuid(n: u8) -> String {
    DeviceId::from_bytes([n; 16]).to_string()
}

#[test]
fn enrolment_and_login_answer_each_fault_with_its_code() {
    let served = Served::with(1_000);
    let boss = served.login("M01");
    let issued = served.post("/v1/enrolments", Some(&boss), &json!({ "number": "M01" }));
    let code = issued.body["code"].as_str().unwrap().to_owned();
    let key = sync_core::fact::keys::SecretKey::from_seed(&random()).public().to_string();
    let enrol = |code: &str, device: &str, key: &str| {
        served.post("/v1/enrol", None, &json!({ "code": code, "device": device, "public_key": key }))
    };
    let typo = if code.starts_with('A') { code.replacen('A', "B", 1) } else { format!("A{}", &code[1..]) };
    is_problem(&enrol(&typo, &uuid(1), &key), 422, "code_mistyped");
    is_problem(&enrol("0000-0000-0000", &uuid(1), &key), 403, "code_refused");
    is_problem(&enrol(&code, "no-uuid", &key), 422, "invalid_value");
    is_problem(&enrol(&code, &uuid(1), "abc"), 422, "invalid_value");
    assert_eq!(enrol(&code, &uuid(1), &key).status, 200);
    is_problem(&enrol(&code, &uuid(2), &key), 403, "code_refused");
    is_problem(&enrol(&code, &uuid(1), &key), 409, "already_exists");
    let (nonce, signature) = ("00".repeat(32), "00".repeat(64));
    let token = json!({ "device": uuid(1), "nonce": nonce, "signature": signature });
    is_problem(&served.post("/v1/token", None, &token), 401, "device_unknown");
    let wrong = json!({ "number": "M01", "password": "不是这个密码 12345" });
    is_problem(&served.post("/v1/office/login", None, &wrong), 401, "login_refused");
    let nobody = json!({ "number": "X99", "password": PASSWORD });
    is_problem(&served.post("/v1/office/login", None, &nobody), 401, "login_refused");
}

#[test]
fn attempts_are_limited_by_address() {
    let served = Served::with(3);
    let wrong = json!({ "number": "M01", "password": "不是这个密码 12345" });
    for _attempt in 0..3 {
        is_problem(&served.post("/v1/office/login", None, &wrong), 401, "login_refused");
    }
    is_problem(&served.post("/v1/office/login", None, &wrong), 429, "too_many_attempts");
    let right = json!({ "number": "M01", "password": PASSWORD });
    is_problem(&served.post("/v1/office/login", None, &right), 429, "too_many_attempts");
}

#[test]
fn the_openapi_document_is_the_one_checked_in() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/openapi.json");
    let now = format!("{}\n", openapi().trim_end());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    let checked_in = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(checked_in == now, "server/openapi.json is out of date: run this test with UPDATE_GOLDEN=1");
}
