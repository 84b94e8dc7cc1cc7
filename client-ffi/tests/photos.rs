//! Others' photos on a phone and on the command line, over real sockets.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;
use std::sync::Arc;

use client_ffi::FieldClient;
use client_ffi::wishes::{EvidenceWish, ItemWish, OrderWish, Proof};
use common::Office;
use tempfile::TempDir;

const KEY: [u8; 32] = [7; 32];

async fn enrol(dir: &TempDir, relay: &str, code: String) -> Arc<FieldClient> {
    let path = dir.path().to_str().unwrap().to_owned();
    FieldClient::enrol(path, KEY.to_vec(), relay.to_owned(), code).await.unwrap()
}

fn order() -> OrderWish {
    let fields = [("customer", "王女士"), ("phone", "13800000001")];
    let item = ItemWish { product: "沙发".into(), model: "L3".into(), quantity: 1, ..ItemWish::default() };
    OrderWish {
        number: "A1".into(),
        store: Some("一店".into()),
        fields: fields.map(|(k, v)| (k.into(), v.into())).into(),
        items: vec![item],
        ..OrderWish::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_office_fetches_a_photo_of_the_shop_once_and_has_it_offline() {
    let office = Office::found();
    let relay = office.serve().await;
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let boss = enrol(&dirs[0], &relay, office.code("M01", "management")).await;
    let sales = enrol(&dirs[1], &relay, office.code("S01", "sales")).await;
    sales.sync(Some(20_000), None).await.unwrap();
    sales.open_order(order()).unwrap();
    let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    let hash = sales.attach("A1".into(), "image/jpeg".into(), bytes.clone()).unwrap();
    let media = Some("image/jpeg".into());
    let proof = vec![EvidenceWish {
        proof: Proof::Photo,
        text: None,
        blob: Some(hash.clone()),
        media,
        document: None,
    }];
    sales.report("A1".into(), "面板有划痕".into(), proof).unwrap();
    boss.sync(Some(20_000), None).await.unwrap();
    let early = boss.fetch_photo("A1".into(), hash.clone(), Some(20_000), None).await.unwrap_err();
    assert_eq!(early.code(), "not_found", "the order is not there yet");
    sales.sync(Some(20_000), None).await.unwrap();
    boss.sync(Some(20_000), None).await.unwrap();

    let listed = boss.photos("A1".into()).unwrap();
    assert_eq!((listed.len(), &listed[0].hash, listed[0].media.as_str()), (1, &hash, "image/jpeg"));
    assert!(!listed[0].here && sales.photos("A1".into()).unwrap()[0].here);
    let cut = boss.fetch_photo("A1".into(), hash.clone(), Some(1), None).await.unwrap_err();
    assert_eq!(cut.code(), "timeout");
    boss.sync(Some(20_000), None).await.unwrap();
    assert!(boss.photos("A1".into()).unwrap()[0].here, "the next sync brings what was asked for");
    drop(boss);

    // Nothing is asked of the network any more.
    let path = dirs[0].path().to_str().unwrap().to_owned();
    let boss = FieldClient::open(path, KEY.to_vec()).unwrap();
    let again = boss.fetch_photo("A1".into(), hash.clone(), Some(1), None).await.unwrap();
    assert!(again == bytes);
    let unnamed = boss.fetch_photo("A1".into(), "00".repeat(32), Some(20_000), None).await.unwrap_err();
    assert_eq!(unnamed.code(), "not_found");
}

fn field(dir: &TempDir, args: &[&str]) -> (i32, serde_json::Value) {
    let run = Command::new(env!("CARGO_BIN_EXE_gendan-field"))
        .args(["--json", "--data"])
        .arg(dir.path())
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    (run.status.code().unwrap(), serde_json::from_str(text.lines().last().unwrap_or("null")).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_writes_a_photo_into_a_file() {
    let office = Office::found();
    let relay = office.serve().await;
    let [boss, sales, files] = std::array::from_fn(|_| TempDir::new().unwrap());
    let (photo, out) = (files.path().join("划痕.jpg"), files.path().join("out.jpg"));
    std::fs::write(&photo, vec![5; 300_000]).unwrap();
    let (photo, out) = (photo.to_str().unwrap(), out.to_str().unwrap());
    let ok = |dir: &TempDir, args: &[&str]| {
        let (code, value) = field(dir, args);
        assert_eq!(code, 0, "{args:?}: {value}");
        value
    };
    for (dir, code) in [(&boss, office.code("M01", "management")), (&sales, office.code("S01", "sales"))] {
        ok(dir, &["enrol", &relay, &code]);
        ok(dir, &["sync"]);
    }
    let item = "product=沙发,model=L3,quantity=1";
    let opened =
        ["open-order", "A1", "--store", "一店", "--item", item, "customer=王女士", "phone=13800000001"];
    ok(&sales, &opened);
    ok(&sales, &["report", "A1", "面板有划痕", "--photo", photo]);
    ok(&sales, &["sync"]);
    ok(&boss, &["sync"]);
    let listed = ok(&boss, &["photos", "A1"]);
    let hash = listed["photos"][0]["hash"].as_str().unwrap();
    assert_eq!(listed["photos"][0]["here"], false);
    assert_eq!(ok(&boss, &["fetch-photo", "A1", hash, "--out", out])["bytes"], 300_000);
    assert_eq!(std::fs::read(out).unwrap(), vec![5; 300_000]);
    let (code, refused) = field(&boss, &["fetch-photo", "A1", hash, "--out", out]);
    assert_eq!((code, &refused["error"]["code"]), (2, &"value_invalid".into()), "{refused}");
}
