//! `gendan policy` as a person uses it: on files, with its last line for machines.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;

/// Runs `gendan policy`; gives whether it went well, what it printed, and its last line.
fn policy(arguments: &[&str]) -> (bool, String, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gendan"));
    let done = command.arg("--json").arg("policy").args(arguments).output().unwrap();
    let printed = String::from_utf8(done.stdout).unwrap();
    let last = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    (done.status.success(), printed, last)
}

#[test]
fn every_shipped_policy_can_be_worked_by() {
    for (name, _) in sync_core::policy::check::SHIPPED {
        let (well, printed, last) = policy(&["lint", name]);
        assert!(well && last["flows"].as_u64() > Some(0), "{printed}");
    }
}

#[test]
fn a_faulty_policy_is_told_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("制度.toml");
    let toml = sync_core::policy::check::shipped("general").unwrap();
    let line = toml.lines().position(|line| line.starts_with("timezone")).unwrap() + 1;
    std::fs::write(&path, toml.replacen("Asia/Shanghai", "Asia/Nowhere", 1)).unwrap();
    let (well, printed, last) = policy(&["lint", path.to_str().unwrap()]);
    assert!(!well && printed.contains(&format!("制度.toml:{line}: timezone [bad_timezone]")), "{printed}");
    assert_eq!(last["faults"][0]["line"], line);
    let (well, printed, last) = policy(&["lint", "没有这个文件.toml"]);
    assert!(!well && last["error"].as_str().unwrap().contains("没有这个文件.toml"), "{printed}");
}

#[test]
fn what_differs_is_told_with_its_clause() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("newer.toml");
    let toml = sync_core::policy::check::shipped("furniture").unwrap();
    std::fs::write(&path, toml.replacen("review_months = 12", "review_months = 6", 1)).unwrap();
    let (well, printed, last) = policy(&["diff", "furniture", path.to_str().unwrap()]);
    assert!(well && printed.contains("~ review_months: 12 → 6"), "{printed}");
    assert_eq!(last["differences"].as_array().unwrap().len(), 1);
    let (well, _, last) = policy(&["diff", "furniture", "furniture"]);
    assert!(well && last["differences"].as_array().unwrap().is_empty());
}
