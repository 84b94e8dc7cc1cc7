//! Connections in a crowd, against `gendan serve` as a process and the device as an app holds it: places
//! are bounded and given back, a connection that is cut anywhere loses nothing, and one device's flood of
//! work does not keep another from its own.
//!
//! Here over real processes and networks, so no figure is asserted; `api::door` has the exact counts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, mpsc};

use clap::Parser as _;
use client_ffi::session::{Cancel, Listener};
use client_ffi::shell::block_on;
use client_ffi::transport::TransportError;
use client_ffi::views::SyncState;
use client_ffi::wishes::OrderWish;
use client_ffi::{FieldClient, FieldError};
use gendan_server::cli::{self, Cli};
use gendan_tests::faults::process::ask;
use serde_json::{Value, json};
use tempfile::TempDir;

const DATA: &str = "CROWD_DATA";
const CHILD: &str = "a_child_serves_until_it_is_stopped";
const PASSWORD: &str = "gendan-crowd-2026";

/// The child's part; without a folder in the environment it has nothing to do.
#[test]
fn a_child_serves_until_it_is_stopped() {
    let Ok(data) = std::env::var(DATA) else { return };
    let line = ["gendan", "--json", "--data", &data, "serve", "--listen", "127.0.0.1:0"];
    cli::run(Cli::try_parse_from(line).unwrap()).unwrap();
}

struct Served {
    child: Child,
    _out: BufReader<ChildStdout>,
    address: SocketAddr,
    token: String,
    folder: TempDir,
}

impl Served {
    fn with(connections_max: u32) -> Self {
        Self::paced(connections_max, 12_000)
    }

    fn paced(connections_max: u32, changes_per_minute: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("relay");
        let line =
            ["gendan", "--data", data.to_str().unwrap(), "init", "--company", "好家居", "--name", "周总"];
        let line = line.into_iter().chain(["--password", PASSWORD]);
        cli::run(Cli::try_parse_from(line).unwrap()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--nocapture"])
            .env(DATA, &data)
            .env("GENDAN_CONNECTIONS_MAX", connections_max.to_string())
            .env("GENDAN_CHANGES_PER_MINUTE", changes_per_minute.to_string())
            .env("GENDAN_ATTEMPTS_PER_MINUTE", "10000")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "the relay serves");
            let said: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = said["listening"].as_str() {
                break address.parse().unwrap();
            }
        };
        let mut served = Self { child, _out: out, address, token: String::new(), folder };
        let login = served.office("/v1/office/login", &json!({ "number": "M01", "password": PASSWORD }));
        served.token = login["token"].as_str().unwrap().to_owned();
        served
    }

    fn office(&self, path: &str, body: &Value) -> Value {
        let (status, said) = ask(self.address, "POST", path, &self.token, body).unwrap();
        assert!(status < 300, "{path}: {status} {said}");
        said
    }

    /// A manager's device: their role holds from before, in every store.
    fn equip(&self, name: &str) -> Arc<FieldClient> {
        let code = self.office("/v1/enrolments", &json!({ "number": "M01" }));
        let dir = self.folder.path().join(name).to_str().unwrap().to_owned();
        let (relay, code) = (format!("http://{}", self.address), code["code"].as_str().unwrap().to_owned());
        block_on(FieldClient::enrol(dir, vec![7; 32], relay, code)).unwrap()
    }
}
impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn sync(client: &FieldClient) -> Result<SyncState, FieldError> {
    block_on(client.sync(Some(60_000), None))
}
fn open(client: &FieldClient, number: &str) {
    let fields = [("customer", "何女士"), ("phone", "13800000000")];
    let fields = fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    client.open_order(OrderWish { number: number.into(), fields, ..OrderWish::default() }).unwrap();
}

struct Told(mpsc::Sender<()>);
impl Listener for Told {
    fn changed(&self, _: Vec<String>, _: SyncState) -> Result<(), TransportError> {
        self.0.send(()).map_err(|e| TransportError::Closed { detail: e.to_string() })
    }
}

#[test]
fn when_all_places_are_taken_the_next_device_is_told_and_gets_the_next_free_one() {
    let served = Served::with(1);
    let (first, second) = (served.equip("first"), served.equip("second"));
    let (tell, told) = mpsc::channel();
    let cancel = Cancel::new();
    let watching = {
        let (first, cancel) = (first.clone(), cancel.clone());
        std::thread::spawn(move || block_on(first.watch(Arc::new(Told(tell)), cancel)))
    };
    told.recv().unwrap();
    let refused = sync(&second).unwrap_err();
    assert_eq!((refused.code(), refused.is_retryable()), ("too_many_connections", true));
    cancel.cancel();
    assert_eq!(watching.join().unwrap().unwrap_err().code(), "stopped");
    // The relay hears of the farewell in its own time.
    let synced = (0..500).find_map(|_| sync(&second).ok());
    assert!(synced.is_some(), "the place was given back");
}

#[test]
fn a_connection_that_is_cut_anywhere_loses_nothing() {
    let served = Served::with(100);
    let (writer, reader) = (served.equip("writer"), served.equip("reader"));
    sync(&writer).unwrap();
    open(&writer, "A1");
    let mut cut = 0;
    for n in 0..30_u64 {
        writer.note("A1".into(), format!("备注{n:03}")).unwrap();
        // Cut after so many milliseconds: while connecting, pushing, or before the verdict is heard.
        cut += u32::from(block_on(writer.sync(Some(1 + n * 2), None)).is_err());
    }
    assert_eq!(sync(&writer).unwrap().unsent, 0);
    sync(&reader).unwrap();
    let notes = reader.case("A1".into()).unwrap().notes;
    assert_eq!(notes.len(), 30, "each once: {notes:?}");
    println!("{cut} of 30 syncs were cut");
    assert!(cut > 0, "nothing was cut");
}

#[test]
fn a_flood_from_one_device_does_not_keep_another_from_its_work() {
    let served = Served::with(100);
    let (flood, calm) = (served.equip("flood"), served.equip("calm"));
    sync(&flood).unwrap();
    sync(&calm).unwrap();
    open(&flood, "F1");
    for n in 0..300 {
        flood.note("F1".into(), format!("灌水{n}")).unwrap();
    }
    let flooding = std::thread::spawn(move || sync(&flood));
    for n in 0..10 {
        open(&calm, &format!("C{n}"));
        assert_eq!(sync(&calm).unwrap().unsent, 0);
    }
    assert_eq!(flooding.join().unwrap().unwrap().unsent, 0);
    sync(&calm).unwrap();
    assert_eq!(calm.case("F1".into()).unwrap().notes.len(), 300);
}

#[test]
fn a_device_over_its_pace_is_read_more_slowly_and_loses_nothing() {
    let served = Served::paced(100, 100);
    let (flood, calm) = (served.equip("flood"), served.equip("calm"));
    sync(&flood).unwrap();
    sync(&calm).unwrap();
    open(&flood, "F1");
    for n in 0..110 {
        flood.note("F1".into(), format!("灌水{n}")).unwrap();
    }
    let flooding = std::thread::spawn(move || sync(&flood));
    open(&calm, "C1");
    assert_eq!(sync(&calm).unwrap().unsent, 0);
    assert_eq!(flooding.join().unwrap().unwrap().unsent, 0);
    sync(&calm).unwrap();
    assert_eq!(calm.case("F1".into()).unwrap().notes.len(), 110);
    let mut socket = std::net::TcpStream::connect(served.address).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n").unwrap();
    let mut metrics = String::new();
    socket.read_to_string(&mut metrics).unwrap();
    assert!(metrics.contains("gendan_sessions_slowed_total"), "it was slowed");
}
