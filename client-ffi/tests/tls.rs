//! TLS from end to end: the server's own listener, a certificate of a made-up authority, a real device.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use common::Office;
use gendan_server::config::Config;
use gendan_server::listen;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

/// An authority's certificate, and one it signed for this address with its key, as files.
fn certificates(folder: &Path, name: &str) -> (PathBuf, PathBuf, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let write = |kind: &str, text: String| {
        let path = folder.join(format!("{name}-{kind}.pem"));
        std::fs::write(&path, text).unwrap();
        path
    };
    (write("ca", authority.pem()), write("cert", certificate.pem()), write("key", key.serialize_pem()))
}

fn config(certificate: &Path, key: &Path) -> Config {
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        tls_certificate: Some(certificate.to_owned()),
        tls_key: Some(key.to_owned()),
        ..Config::default()
    }
}

/// A device's command, trusting the authority in this file.
fn field(dir: &Path, ca: &Path, args: &[&str]) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gendan-field"));
    let run = command.args(["--json", "--data"]).arg(dir).args(args).env("GENDAN_CA", ca).output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    (run.status.code().unwrap(), serde_json::from_str(text.lines().last().unwrap_or("null")).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_enrols_and_syncs_over_tls_and_trusts_no_other_authority() {
    let folder = TempDir::new().unwrap();
    let (ca, certificate, key) = certificates(folder.path(), "ours");
    let (other, ..) = certificates(folder.path(), "other");
    let office = Office::found();
    let (bound, address) = mpsc::channel();
    let (router, config) = (office.router(), config(&certificate, &key));
    let stop = std::future::pending();
    tokio::spawn(
        async move { listen::serve(router, &config, stop, move |at| bound.send(at).unwrap()).await },
    );
    let relay =
        format!("https://{}", tokio::task::spawn_blocking(move || address.recv()).await.unwrap().unwrap());

    let crew = folder.path().join("crew");
    let code = office.code("C01", "crew");
    let (status, answer) = field(&crew, &other, &["enrol", &relay, &code]);
    assert_ne!(status, 0, "{answer}");
    assert!(answer.to_string().contains("certificate"), "the words say what is wrong: {answer}");
    let (status, answer) = field(&crew, &ca, &["enrol", &relay, &code]);
    assert_eq!(status, 0, "the code was not spent by the refused attempt: {answer}");
    let (status, answer) = field(&crew, &ca, &["sync"]);
    assert_eq!((status, answer["unsent"].as_u64()), (0, Some(0)), "{answer}");
    let (status, _) = field(&crew, &other, &["sync"]);
    assert_ne!(status, 0, "another authority is not trusted later either");
    let (status, answer) = field(&folder.path().join("plain"), &ca, &["enrol", "http://192.0.2.1:1", &code]);
    assert_ne!(status, 0, "{answer}");
    assert!(answer.to_string().contains("https"), "plain http leaves loopback nowhere: {answer}");
}

#[tokio::test]
async fn files_that_are_no_certificate_and_key_are_named_at_the_start() {
    let folder = TempDir::new().unwrap();
    let (_, certificate, key) = certificates(folder.path(), "one");
    let (_, _, another_key) = certificates(folder.path(), "two");
    let broken = folder.path().join("broken.pem");
    std::fs::write(&broken, "not a certificate").unwrap();
    for (certificate, key) in [(&broken, &key), (&certificate, &broken), (&certificate, &another_key)] {
        let router = Office::found().router();
        let served = listen::serve(router, &config(certificate, key), std::future::pending(), |_| {}).await;
        let words = format!("{:#}", served.unwrap_err());
        assert!(words.contains(certificate.to_str().unwrap()), "{words}");
        assert!(words.contains(key.to_str().unwrap()), "{words}");
    }
}
