//! `gendan report` as a person uses it: on a data folder, and beside the relay that has it open.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

fn gendan(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gendan"));
    command.env("GENDAN_DATA", data).arg("--json").args(arguments);
    command
}

/// Whether it went well, and its last line.
fn run(data: &Path, arguments: &[&str]) -> (bool, Value) {
    let done = gendan(data, arguments).output().unwrap();
    let printed = String::from_utf8(done.stdout).unwrap();
    (done.status.success(), serde_json::from_str(printed.lines().last().unwrap()).unwrap())
}

/// A relay until it is dropped.
struct Relay(Child);

impl Relay {
    fn start(data: &Path) -> Self {
        let mut command = gendan(data, &["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("listening")), "it says where it listens");
        Self(child)
    }
}
impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

#[test]
fn a_report_is_the_same_from_the_folder_and_through_the_relay() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let sheet = concat!(env!("CARGO_MANIFEST_DIR"), "/data/orders.csv");
    let founded = ["init", "--company", "好家居", "--name", "周总", "--password", "correct horse 987"];
    assert!(run(&data, &founded).0);
    let (well, imported) = run(&data, &["import", sheet]);
    assert!(well, "{imported}");
    let out = folder.path().join("otif.csv");
    let days = ["--from", "2026-11-01", "--to", "2026-11-30", "--out", out.to_str().unwrap()];
    let otif = [&["report", "otif"], &days[..]].concat();
    let (well, said) = run(&data, &otif);
    assert!(well && said["bytes"].as_u64() > Some(0), "{said}");
    let alone = std::fs::read(&out).unwrap();
    let text = String::from_utf8(alone.clone()).unwrap();
    assert!(text.starts_with("\u{feff}门店 / store,订单号 / order,产品 / product"), "{text}");
    assert!(text.lines().count() > 10, "the sample's orders are owed in November");
    let relay = Relay::start(&data);
    std::fs::remove_file(&out).unwrap();
    assert!(run(&data, &otif).0);
    assert_eq!(std::fs::read(&out).unwrap(), alone);
    let profit = [&["report", "profit"], &days[..]].concat();
    let (well, said) = run(&data, &profit);
    assert!(!well && said["error"].as_str().unwrap().contains("no such report"), "{said}");
    drop(relay);
    for (wrong, words) in [
        (vec!["report", "otif", "--format", "pdf"], "no such format"),
        (vec!["report", "otif", "--store", "无此店"], "no such store"),
        (vec!["report", "otif", "--from", "2026-12-31"], "366 days at most"),
    ] {
        let (well, said) = run(&data, &[wrong, days[2..].to_vec()].concat());
        assert!(!well && said["error"].as_str().unwrap().contains(words), "{words}: {said}");
    }
}
