//! A relay for tests of the device: the real gate and log, behind the four addresses that a device calls.
//!
//! It keeps everything in memory and listens on a free port of loopback. Made-up company, made-up people.

#![allow(dead_code)] // Each test binary uses its own part.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use client_ffi::clock::{Clock, generator};
use gendan_server::blob::BlobStore;
use gendan_server::blob::memory::MemoryBlobs;
use gendan_server::log::KeptLog;
use gendan_server::relay::Relay;
use gendan_server::relay::end::RelayEnd;
use gendan_server::relay::found::{Founding, certify, found};
use gendan_server::relay::gate::Peer;
use gendan_server::relay::office::Clerk;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use serde_json::{Value, json};
use sync_core::command::Command;
use sync_core::fact::keys::{PublicKey, SecretKey};
use sync_core::ids::{CompanyId, DeviceId, PersonId, StoreId};
use sync_core::policy::publish::Published;
use sync_core::wire::{Arrived, Decoder, Encoder, Frame, codec};
use tokio::sync::watch;

const LEASE_MS: i64 = 14 * 24 * 3_600_000;

/// The company and its relay.
pub struct Office {
    relay: Arc<Relay>,
    blobs: Arc<dyn BlobStore>,
    company: CompanyId,
    company_key: SecretKey,
    clerk: (PersonId, DeviceId, SecretKey),
    desk: Mutex<Desk>,
    news: watch::Sender<u64>,
}

/// What the four addresses remember.
struct Desk {
    rng: StdRng,
    codes: BTreeMap<String, PersonId>,
    devices: BTreeMap<DeviceId, (PersonId, PublicKey)>,
    nonces: BTreeMap<DeviceId, [u8; 32]>,
    tokens: BTreeMap<String, DeviceId>,
}

impl Office {
    /// Founds a company under the small policy, with one store.
    pub fn found() -> Arc<Self> {
        let mut rng = generator();
        let company = CompanyId::from_bytes(rng.random());
        let (company_key, key) = (SecretKey::from_seed(&rng.random()), SecretKey::from_seed(&rng.random()));
        let (person, device) = (PersonId::staffed(company, "M01"), DeviceId::from_bytes(rng.random()));
        let policy = toml::from_str(include_str!("../../../tests/policies/small.toml"));
        let published = Published::of(1, &policy.expect("the small policy parses"));
        let founding = Founding {
            name: "好家居".into(),
            number: "M01".into(),
            person_name: "周总".into(),
            role: "management".parse().expect("a valid name"),
        };
        let log = Arc::new(
            KeptLog::open(sync_core::store::MemoryStore::new(), rng.random()).expect("an empty store opens"),
        );
        let mut fill = |buffer: &mut [u8]| generator().fill_bytes(buffer);
        let mut clerk = Clerk { person, device, key: &key, chance: &mut fill };
        let now = Clock::real().now();
        let relay = found(log, company, &company_key, &mut clerk, founding, &published, &now);
        let office = Self {
            relay: Arc::new(relay.expect("an empty log takes a company")),
            blobs: Arc::new(MemoryBlobs::default()),
            company,
            company_key,
            clerk: (person, device, key),
            desk: Mutex::new(Desk {
                rng,
                codes: BTreeMap::new(),
                devices: BTreeMap::new(),
                nonces: BTreeMap::new(),
                tokens: BTreeMap::new(),
            }),
            news: watch::channel(0).0,
        };
        office.act(Command::AddStore("一店".into()));
        Arc::new(office)
    }

    /// The office does something.
    pub fn act(&self, command: Command) {
        let (person, device, key) = &self.clerk;
        let mut fill = |buffer: &mut [u8]| generator().fill_bytes(buffer);
        let mut clerk = Clerk { person: *person, device: *device, key, chance: &mut fill };
        self.relay.act(&mut clerk, command, &Clock::real().now()).expect("the office may do this");
        self.news.send_modify(|n| *n += 1);
    }

    /// A code for a person, who joins with a role first where they are new.
    pub fn code(&self, number: &str, role: &str) -> String {
        let person = PersonId::staffed(self.company, number);
        if number != "M01" {
            self.act(Command::AddPerson(number.into(), format!("员工{number}")));
            let store = (role == "sales").then(|| StoreId::named(self.company, "一店"));
            self.act(Command::GrantRole(person, role.parse().expect("a valid name"), store, 0));
        }
        let mut desk = self.desk.lock().expect("no test panics while it holds the desk");
        let code = hex::encode_upper(desk.rng.random::<[u8; 6]>());
        let code = format!("{}-{}-{}", &code[..4], &code[4..8], &code[8..]);
        desk.codes.insert(code.clone(), person);
        code
    }

    /// Shuts a device out.
    pub fn revoke(&self, device: &str) {
        self.act(Command::Revoke(device.parse().expect("a device id"), "丢失".into()));
    }

    /// Serves on a free port of loopback; gives the address.
    pub async fn serve(self: &Arc<Self>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address: SocketAddr = listener.local_addr().expect("an address");
        let app = self.router();
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    /// The four addresses.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        axum::Router::new()
            .route("/v1/enrol", post(enrol))
            .route("/v1/challenge", post(challenge))
            .route("/v1/token", post(token))
            .route("/v1/sync", get(sync))
            .with_state(self.clone())
    }
}

fn problem(status: u16, code: &str, detail: &str, detail_en: &str) -> Response {
    let body = json!({"code": code, "detail": detail, "detail_en": detail_en}).to_string();
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("content-type", "application/problem+json")], body).into_response()
}

async fn enrol(State(office): State<Arc<Office>>, Json(body): Json<Value>) -> Response {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let mut key = [0; 32];
    let device: DeviceId = text("device").parse().expect("a device id");
    hex::decode_to_slice(text("public_key"), &mut key).expect("64 hex digits");
    let person = office.desk.lock().expect("unpoisoned").codes.remove(&text("code"));
    let Some(person) = person else {
        return problem(403, "code_unknown", "登记码不对或已用过。", "The code is wrong or was used.");
    };
    let key = PublicKey(key);
    let now_ms = Clock::real().now().unix_ms();
    let certificate = certify(office.company, &office.company_key, person, device, key, now_ms);
    office.act(Command::Enrol(certificate.clone(), false));
    office.desk.lock().expect("unpoisoned").devices.insert(device, (person, key));
    Json(json!({
        "company": office.company.to_string(),
        "company_key": hex::encode(office.company_key.public().0),
        "person": person.to_string(),
        "certificate": hex::encode(certificate),
    }))
    .into_response()
}

async fn challenge(State(office): State<Arc<Office>>, Json(body): Json<Value>) -> Response {
    let device: DeviceId = body["device"].as_str().unwrap_or_default().parse().expect("a device id");
    let mut desk = office.desk.lock().expect("unpoisoned");
    let nonce: [u8; 32] = desk.rng.random();
    desk.nonces.insert(device, nonce);
    Json(json!({"nonce": hex::encode(nonce)})).into_response()
}

async fn token(State(office): State<Arc<Office>>, Json(body): Json<Value>) -> Response {
    let device: DeviceId = body["device"].as_str().unwrap_or_default().parse().expect("a device id");
    let signature = hex::decode(body["signature"].as_str().unwrap_or_default()).expect("hex");
    let mut desk = office.desk.lock().expect("unpoisoned");
    let nonce = desk.nonces.remove(&device).expect("a challenge came first");
    let message = [&b"gendan/challenge/1"[..], office.company.as_bytes(), &nonce].concat();
    let known = desk.devices.get(&device).is_some_and(|(_, key)| key.verifies(&message, &signature));
    if !known {
        return problem(401, "device_unknown", "设备未登记。", "The device is not enrolled here.");
    }
    let token = hex::encode(desk.rng.random::<[u8; 16]>());
    desk.tokens.insert(token.clone(), device);
    Json(json!({"token": token, "expires_in_s": 600})).into_response()
}

async fn sync(State(office): State<Arc<Office>>, headers: HeaderMap, ws: WebSocketUpgrade) -> Response {
    let bearer = headers.get("authorization").and_then(|h| h.to_str().ok()?.strip_prefix("Bearer "));
    let desk = office.desk.lock().expect("unpoisoned");
    let device = bearer.and_then(|token| desk.tokens.get(token)).copied();
    let Some((device, (person, _))) = device.and_then(|d| desk.devices.get_key_value(&d)) else {
        return problem(401, "token_refused", "令牌无效。", "The token is not valid.");
    };
    let peer = Peer { device: *device, person: *person };
    let end = RelayEnd::new(office.relay.clone(), office.blobs.clone(), peer, LEASE_MS);
    let news = office.clone();
    ws.max_message_size(sync_core::limits::FRAME_BYTES_MAX)
        .on_upgrade(move |socket| async move { converse(socket, end, &news).await })
}

/// One session; it ends when either side has no more to say.
async fn converse(mut socket: WebSocket, mut end: RelayEnd, office: &Office) {
    let (mut up, mut down) = (Decoder::new(), Encoder::new());
    let mut news = office.news.subscribe();
    loop {
        let arrived = tokio::select! {
            arrived = socket.recv() => Some(arrived),
            _ = news.changed() => None,
        };
        let now_ms = Clock::real().now().unix_ms();
        let mut frames = match arrived {
            Some(Some(Ok(Message::Binary(bytes)))) => {
                let frame = match up.decode(&bytes).expect("an honest frame decodes") {
                    Arrived::Frame(frame) => frame,
                    Arrived::Part | Arrived::Rest => continue,
                };
                let pushed = matches!(frame, Frame::Push(_));
                let answers = end.handle(frame, now_ms).expect("an honest device is served");
                if pushed {
                    office.news.send_modify(|n| *n += 1);
                }
                answers
            }
            Some(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_)))) | None => Vec::new(),
            Some(Some(Ok(Message::Close(_)) | Err(_)) | None) => return,
        };
        while let Some(frame) = end.poll(now_ms).expect("the log reads") {
            frames.push(frame);
        }
        for frame in frames {
            let bytes = down.encode(&frame).expect("a frame fits");
            let rest = down.rest().expect("a direction may always rest");
            for part in codec::parts(&bytes).chain([rest]) {
                if socket.send(Message::Binary(part.into())).await.is_err() {
                    return;
                }
            }
        }
    }
}
