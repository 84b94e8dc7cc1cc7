//! Somebody leaves: their tokens and their open session stop within a minute, by a moved clock; and a
//! device has one session, an address so many.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod served;

use gendan_server::config::Config;
use gendan_server::identity::tokens::challenge_message;
use gendan_tests::bench::line::Line;
use serde_json::json;
use served::{Served, is_problem};
use sync_core::fact::keys::SecretKey;
use sync_core::ids::{DeviceId, DocKind, Position};
use sync_core::wire::frames::{Digest, FeedItem, Frame, Hello};
use sync_core::wire::{VERSION_MAX, VERSION_MIN};

fn on_this_thread(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// A device of a person, enrolled; its token.
fn equip(served: &Served, boss: &str, number: &str, n: u8) -> String {
    let code = served.post("/v1/enrolments", Some(boss), &json!({ "number": number })).body;
    let (device, key) = (DeviceId::from_bytes([n; 16]).to_string(), SecretKey::from_seed(&[n; 32]));
    let enrol = json!({ "code": code["code"], "device": device, "public_key": key.public().to_string() });
    assert_eq!(served.post("/v1/enrol", None, &enrol).status, 200);
    let nonce = served.post("/v1/challenge", None, &json!({ "device": device })).body["nonce"].clone();
    let bytes = hex::decode(nonce.as_str().unwrap()).unwrap();
    let signature = hex::encode(key.sign(&challenge_message(served.app.keys.company, &bytes)));
    let signed = json!({ "device": device, "nonce": nonce, "signature": signature });
    served.post("/v1/token", None, &signed).body["token"].as_str().unwrap().to_owned()
}

fn hello() -> Frame {
    Frame::Hello(Hello {
        versions: (VERSION_MIN, VERSION_MAX),
        app: "leaver".into(),
        cursor: Position(0),
        epoch: 0,
        policy: 0,
        unsent: 0,
        oldest_unsent_ms: None,
        held: 0,
        blobs_pending: 0,
        wall_ms: 0,
    })
}
fn digest() -> Frame {
    Frame::Digest(Digest { digest: [0; 32].into(), documents: 0, cursor: Position(0) })
}

/// Sends a frame and reads on until an answer fits.
async fn until<T>(line: &mut Line, frame: Frame, fits: impl Fn(Frame) -> Option<T>) -> T {
    line.send(vec![frame]).await.unwrap();
    loop {
        if let Some(found) = fits(line.next().await.unwrap()) {
            return found;
        }
    }
}
fn agreement(frame: Frame) -> Option<()> {
    matches!(frame, Frame::Agreement { .. }).then_some(())
}
fn failure(frame: Frame) -> Option<String> {
    if let Frame::Failure { code, .. } = frame { Some(code) } else { None }
}

/// The orders that a new session is given.
async fn orders(line: &mut Line) -> usize {
    line.send(vec![hello()]).await.unwrap();
    let mut orders = 0;
    loop {
        if let Frame::Feed(feed) = line.next().await.unwrap() {
            let of_order = |item: &&FeedItem| {
                matches!(item, FeedItem::Changes { doc, .. } | FeedItem::Snapshot { doc, .. }
                    if doc.kind() == DocKind::Order)
            };
            orders += feed.items.iter().filter(of_order).count();
            if !feed.more {
                return orders;
            }
        }
    }
}

#[test]
fn who_leaves_has_no_token_and_no_session_within_a_minute() {
    let served = Served::with(1_000);
    on_this_thread(leave(&served));
}

async fn leave(served: &Served) {
    let boss = served.login("M01");
    let office = served.hire(&boss, "P01", "merchandiser");
    let token = equip(served, &boss, "P01", 9);
    let order = json!({ "do": "open_order", "number": "A1", "store": null, "items": [], "fields": {
        "customer": "何女士", "phone": "13800000000", "address": "幸福街1号", "delivery_date": "2030-12-01" } });
    assert_eq!(served.post("/v1/commands", Some(&boss), &order).status, 200);
    let mut before = Line::open(served.address, &token).await.unwrap();
    assert!(orders(&mut before).await > 0, "at work, they see the order");
    until(&mut before, digest(), agreement).await;
    assert_eq!(served.ask("GET", "/v1/cases/A1", Some(&office), "").status, 200);

    let end = json!({ "do": "end_role", "number": "P01", "role": "merchandiser" });
    assert_eq!(served.post("/v1/commands", Some(&boss), &end).status, 200);
    is_problem(&served.ask("GET", "/v1/cases/A1", Some(&office), ""), 401, "unauthorized");
    let login = json!({ "number": "P01", "password": served::PASSWORD });
    is_problem(&served.post("/v1/office/login", None, &login), 403, "no_role");

    // The token of the device still lets it hand in what it has not sent, which is held; it sees nothing.
    served.move_clock(60_000);
    assert_eq!(until(&mut before, digest(), failure).await, "no_role", "the open session is over");
    assert!(before.next().await.is_err(), "and closed");
    let mut after = Line::open(served.address, &token).await.unwrap();
    assert_eq!(orders(&mut after).await, 0, "no order comes any more");
    until(&mut after, digest(), agreement).await;
    served.move_clock(90_000);
    assert_eq!(until(&mut after, digest(), failure).await, "no_role", "that session is over too");
    assert_eq!(served.ask("GET", "/v1/people", Some(&boss), "").status, 200, "others work on");
}

#[test]
fn a_device_has_one_session_and_an_address_so_many() {
    let config = Config { attempts_per_minute: 1_000, connections_per_address: 1, ..Config::default() };
    let served = Served::configured(config);
    on_this_thread(connect_twice(&served));
}

async fn connect_twice(served: &Served) {
    let boss = served.login("M01");
    let (first, second) = (equip(served, &boss, "M01", 1), equip(served, &boss, "M01", 2));
    let mut old = Line::open(served.address, &first).await.unwrap();
    until(&mut old, hello(), |f| matches!(f, Frame::Welcome(_)).then_some(())).await;
    let mut new = Line::open(served.address, &first).await.unwrap();
    until(&mut new, hello(), |f| matches!(f, Frame::Welcome(_)).then_some(())).await;
    let told = loop {
        if let Some(code) = failure(old.next().await.unwrap()) {
            break code;
        }
    };
    assert_eq!(told, "replaced", "the newer connection of a device is the one that counts");
    until(&mut new, digest(), agreement).await;
    let upgrade =
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
    let refused = served.upgrade("/v1/sync", &second, upgrade);
    is_problem(&refused, 429, "too_many_from_address");
    assert!(refused.head.contains("retry-after: 10"), "{refused:?}");
}
