//! `gendan-field` as a person runs it: subcommands, exit codes, JSON, a batch.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use common::Office;
use serde_json::Value;
use tempfile::TempDir;

/// Exit code and the last line as JSON.
fn field(dir: &Path, args: &[&str]) -> (i32, Value) {
    let run = Command::new(env!("CARGO_BIN_EXE_gendan-field"))
        .args(["--json", "--data"])
        .arg(dir)
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    let last = text.lines().last().unwrap_or("null");
    (run.status.code().unwrap(), serde_json::from_str(last).unwrap())
}

fn ok(dir: &Path, args: &[&str]) -> Value {
    let (code, value) = field(dir, args);
    assert_eq!(code, 0, "{args:?}: {value}");
    value
}

fn refused(dir: &Path, args: &[&str], exit: i32, code: &str) {
    let (status, value) = field(dir, args);
    assert_eq!((status, value["error"]["code"].as_str()), (exit, Some(code)), "{args:?}: {value}");
    assert!(value["error"]["reason"].as_str().is_some_and(|t| !t.is_empty()));
}

fn folders<const N: usize>() -> (TempDir, [std::path::PathBuf; N]) {
    let dir = TempDir::new().unwrap();
    let paths = std::array::from_fn(|i| dir.path().join(i.to_string()));
    (dir, paths)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_from_the_counter_to_a_settled_clash() {
    let office = Office::found();
    let relay = office.serve().await;
    let (_dir, [boss, sales, crew]) = folders();
    for (dir, number, role) in
        [(&boss, "M01", "management"), (&sales, "S01", "sales"), (&crew, "C01", "crew")]
    {
        ok(dir, &["enrol", &relay, &office.code(number, role)]);
        ok(dir, &["sync"]);
    }
    let item = "product=沙发,model=L3,quantity=2";
    ok(
        &sales,
        &["open-order", "A1", "--store", "一店", "--item", item, "customer=王女士", "phone=13800000001"],
    );
    ok(&sales, &["sync"]);
    ok(&boss, &["sync"]);
    ok(&boss, &["step", "A1", "reviewed"]);
    ok(&boss, &["clear", "A1", "--amount", "5616", "--method", "transfer"]);
    refused(&boss, &["step", "A1", "placed"], 2, "evidence_missing");
    ok(&boss, &["step", "A1", "placed", "--text", "已下单"]);
    ok(&boss, &["assign", "A1", "--who", "C01", "--on", "2026-12-01", "--for", "delivered"]);
    ok(&boss, &["sync"]);
    ok(&crew, &["sync"]);
    let photo = crew.join("photo.jpg");
    std::fs::write(&photo, [1; 1_000]).unwrap();
    ok(&crew, &["step", "A1", "fetched", "--photo", photo.to_str().unwrap()]);
    ok(&crew, &["step", "A1", "delivered", "--sign", "王女士", "--strokes", "1,2 30,40;50,60 70,80"]);
    // Called off in the office meanwhile: the physical fact leads until somebody settles it.
    ok(&boss, &["cancel", "A1", "客户来电取消"]);
    ok(&boss, &["sync"]);
    ok(&crew, &["visit", "A1", "completed"]);
    assert_eq!(ok(&crew, &["sync"])["unsent"], 0);
    ok(&boss, &["sync"]);
    assert_eq!(ok(&boss, &["orders"])["orders"][0]["clashes"], 1);
    ok(&boss, &["settle", "A1", "已送到,客户认可", "--keep", "left"]);
    ok(&boss, &["sync"]);
    let seen = ok(&boss, &["case", "A1"]);
    assert_eq!(seen["cancelled"], false);
    assert!(!seen["clashes"][0]["settled"].as_str().unwrap().is_empty());
    assert_eq!(ok(&boss, &["check"])["agree"], true);
    refused(&boss, &["settle", "A1", "x", "--keep", "left"], 2, "value_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_each_line_and_goes_on_after_a_refusal() {
    let office = Office::found();
    let relay = office.serve().await;
    let (_dir, [sales]) = folders();
    ok(&sales, &["enrol", &relay, &office.code("S01", "sales")]);
    ok(&sales, &["sync"]);
    let mut run = Command::new(env!("CARGO_BIN_EXE_gendan-field"))
        .args(["--json", "--data"])
        .arg(&sales)
        .args(["batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = [
        r#"{"do":"open-order","number":"B1","store":"一店","fields":["customer=李先生"]}"#,
        r#"{"do":"step","doc":"B1","step":"reviewed"}"#,
        r#"{"do":"note","doc":"B1","text":"尽快"}"#,
        "not json",
        r#"{"do":"sync"}"#,
    ];
    let mut input = run.stdin.take().unwrap();
    input.write_all(lines.join("\n").as_bytes()).unwrap();
    drop(input);
    let out = String::from_utf8(run.wait_with_output().unwrap().stdout).unwrap();
    let answers: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(answers[0]["docs"][0].as_str().unwrap().starts_with("order:"));
    assert_eq!(answers[1]["error"]["code"], "role_missing");
    assert_eq!(answers[2]["docs"].as_array().unwrap().len(), 1);
    assert_eq!(answers[3]["error"]["code"], "value_invalid");
    assert_eq!(answers[4]["unsent"], 0);
    assert_eq!((&answers[5]["done"], &answers[5]["failed"]), (&Value::from(3), &Value::from(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_a_refusal_from_a_missing_network() {
    let (_dir, [fresh]) = folders();
    refused(&fresh, &["orders"], 4, "not_enrolled");
    refused(&fresh, &["enrol", "http://127.0.0.1:1", "X"], 3, "unreachable");
    refused(&fresh, &["enrol", "http://relay.example.com", "X"], 2, "value_invalid");
    let office = Office::found();
    let relay = office.serve().await;
    refused(&fresh, &["enrol", &relay, "X"], 2, "code_unknown");
    ok(&fresh, &["enrol", &relay, &office.code("S01", "sales")]);
    refused(&fresh, &["enrol", &relay, &office.code("C02", "crew")], 2, "already_exists");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(fresh.join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let me = ok(&fresh, &["me"]);
    ok(&fresh, &["sync"]);
    office.revoke(me["device"].as_str().unwrap());
    refused(&fresh, &["sync"], 4, "wiped");
    assert!(!fresh.join("key").exists());
}
