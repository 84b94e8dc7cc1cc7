//! No personal data in logs, metrics or errors: a real relay at its most talkative, and everything that
//! it writes searched for what it was told. Made-up people.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

const PASSWORD: &str = "correct horse 987";
/// What must not be seen again: names, numbers, places, words of people, secrets.
const PRIVATE: [&str; 10] = [
    "欧阳若兰",
    "13911112222",
    "竹林巷8号",
    "周敏",
    "他说门铃坏了",
    PASSWORD,
    "wrong-pass-555",
    "Q77-secret",
    "K-9981",
    SECRET,
];
/// What webhooks are signed with.
const SECRET: &str = "YSBzZWNyZXQgb2YgMjQgYnl0ZXMsIG9r";

fn gendan(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gendan"));
    command.env("GENDAN_DATA", data);
    command
}

/// A relay that writes all it can to a file.
struct Relay {
    child: Child,
    address: SocketAddr,
    _out: std::thread::JoinHandle<()>,
}

impl Relay {
    fn start(data: &Path, log: &Path, format: &str, config: &Path) -> Self {
        let mut child = gendan(data)
            .args(["serve", "--json", "--listen", "127.0.0.1:0"])
            .env("GENDAN_CONFIG", config)
            .env("GENDAN_WEBHOOK_SECRET_CRM", format!("whsec_{SECRET}"))
            .env("GENDAN_LOG_LEVEL", "trace")
            .env("GENDAN_LOG_FORMAT", format)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = out.find_map(|line| {
            serde_json::from_str::<Value>(&line.unwrap()).ok()?["listening"].as_str()?.parse().ok()
        });
        let _out = std::thread::spawn(move || out.for_each(drop));
        Self { child, address: address.expect("it says where it listens"), _out }
    }
    fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let mut socket = TcpStream::connect(self.address).unwrap();
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap();
        (status, text)
    }
}
impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

/// A day of an office, right and wrong requests alike; what was answered with a server's error, and the
/// secrets that came up.
fn live(relay: &Relay) -> Vec<String> {
    let login = |password: &str| {
        relay.ask(
            "POST",
            "/v1/office/login",
            "-",
            &json!({"number": "M01", "password": password}).to_string(),
        )
    };
    assert_eq!(login("wrong-pass-555").0, 401);
    let (status, answer) = login(PASSWORD);
    assert_eq!(status, 200);
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let token = body["token"].as_str().unwrap().to_owned();
    let order = json!({"do": "open_order", "number": "K-9981", "store": null, "items": [], "fields":
        {"customer": "欧阳若兰", "phone": "13911112222", "address": "竹林巷8号", "delivery_date": "2027-01-01"}});
    let mut secrets = vec![token.clone()];
    for (path, body, expected) in [
        ("/v1/commands", order.to_string(), 200),
        ("/v1/commands", order.to_string(), 409),
        ("/v1/commands", json!({"do": "note", "doc": "K-9981", "text": "他说门铃坏了"}).to_string(), 200),
        ("/v1/commands", json!({"do": "report", "doc": "K-9981", "what": "他说门铃坏了"}).to_string(), 200),
        ("/v1/commands", json!({"do": "add_person", "number": "D9", "name": "周敏"}).to_string(), 200),
        ("/v1/commands", r#"{"do":"note","doc":"欧阳若兰","text":13911112222}"#.to_owned(), 422),
        ("/v1/commands", r#"{"do":"note","doc":"竹林巷8号"#.to_owned(), 400),
        ("/v1/enrolments", json!({"number": "D9"}).to_string(), 200),
        (
            "/v1/enrol",
            json!({"code": "Q77-secret", "device": "x", "public_key": "欧阳若兰"}).to_string(),
            400,
        ),
    ] {
        let (status, answer) = relay.ask("POST", path, &token, &body);
        assert!(status == expected || (expected >= 400 && (400..500).contains(&status)), "{path}: {answer}");
        if path == "/v1/enrolments" {
            let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
            secrets.push(body["code"].as_str().unwrap().to_owned());
        }
    }
    for path in
        ["/v1/cases?search=13911112222", "/v1/欧阳若兰", "/v1/cases/13911112222", "/v1/cases?limit=周敏"]
    {
        let path: String =
            path.chars().map(|c| if c.is_ascii() { c.to_string() } else { escaped(c) }).collect();
        let (status, answer) = relay.ask("GET", &path, &token, "");
        assert!(status < 500, "{answer}");
    }
    secrets
}

fn escaped(c: char) -> String {
    c.to_string().bytes().map(|b| format!("%{b:02X}")).collect()
}

/// A receiver of webhooks: its address, and the first request that it was sent.
fn receiver() -> (SocketAddr, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let first = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
        while !bytes.ends_with(b"}}") {
            let read = socket.read(&mut part).unwrap();
            assert!(read > 0, "a whole request comes");
            bytes.extend(&part[..read]);
        }
        socket.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
        String::from_utf8(bytes).unwrap()
    });
    (address, first)
}

#[test]
fn nothing_that_a_relay_is_told_about_people_is_in_its_logs_or_metrics() {
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let (data, log) = (folder.path().join("data"), folder.path().join("log"));
        let founded = gendan(&data)
            .args(["init", "--company", "好家居", "--name", "周敏"])
            .env("GENDAN_PASSWORD", PASSWORD)
            .output()
            .unwrap();
        assert!(founded.status.success(), "{}", String::from_utf8_lossy(&founded.stderr));
        let (address, told) = receiver();
        let config = folder.path().join("gendan.toml");
        let hook =
            format!("[[webhooks]]\nname = \"crm\"\nurl = \"http://{address}/in\"\nkinds = [\"exception\"]\n");
        std::fs::write(&config, hook).unwrap();
        let relay = Relay::start(&data, &log, format, &config);
        let secrets = live(&relay);
        let told = told.join().unwrap();
        assert!(told.contains("notice.exception"), "{told}");
        // The number is what a receiver knows an order by.
        for private in PRIVATE.iter().filter(|private| **private != "K-9981") {
            assert!(!told.contains(private), "{private:?} was told outside: {told}");
        }
        let (status, metrics) = relay.ask("GET", "/metrics", "-", "");
        assert_eq!(status, 200);
        drop(relay);
        let written = std::fs::read_to_string(&log).unwrap();
        assert!(written.contains("request"), "it did log: {written}");
        for private in PRIVATE.iter().map(|p| (*p).to_owned()).chain(secrets) {
            let escaped: String =
                private.chars().map(|c| if c.is_ascii() { c.into() } else { escaped(c) }).collect();
            for text in [&written, &metrics] {
                assert!(
                    !text.contains(&private) && !text.contains(&escaped),
                    "{format}: {private:?} was written"
                );
            }
        }
    }
}
