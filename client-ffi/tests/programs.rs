//! The Kotlin and Python programs, run against a relay in this process.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;

use common::Office;

async fn runs(language: &str) {
    let office = Office::found();
    let relay = office.serve().await;
    // The library beside this test is the one that was built with it.
    let test = std::env::current_exe().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(language).join("run.sh");
    let mut command = Command::new(script);
    command
        .env("GENDAN_URL", relay)
        .env("GENDAN_CODE_OFFICE", office.code("M01", "management"))
        .env("GENDAN_CODE_SALES", office.code("S01", "sales"))
        .env("GENDAN_CODE_CREW", office.code("C01", "crew"))
        .env("GENDAN_LIB_DIR", test.parent().unwrap());
    let run = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let text = format!("{said}{}", String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{text}");
    assert!(said.lines().last().is_some_and(|l| l.starts_with("ok")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_program_works_offline_and_syncs() {
    runs("python").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kotlin_program_works_offline_and_syncs() {
    runs("kotlin").await;
}
