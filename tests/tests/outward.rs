//! Notices outward: the relay notices by itself what is due, the office reads it, and webhooks are told it
//! once, signed, however often they fail. Real relay, real sockets, a clock that is moved.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod served;

use std::sync::Arc;
use std::time::Duration;

use gendan_server::config::{Config, Webhook};
use gendan_server::outward::Outward;
use gendan_tests::receiver::{Receiver, SECRET};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use served::{Served, is_problem};

const DAY_MS: i64 = 24 * 3_600_000;
/// The 24 bytes of the secret below.
const KEY: &[u8] = b"a secret of 24 bytes, ok";

/// A company with webhooks, each told these kinds; the folder holds their secrets.
struct Shop {
    served: Served,
    webhooks: Vec<Webhook>,
    runtime: tokio::runtime::Runtime,
    _secrets: tempfile::TempDir,
}

impl Shop {
    fn with(hooks: &[(&str, &Receiver, &[&str])]) -> Self {
        let secrets = tempfile::tempdir().unwrap();
        let file = secrets.path().join("secret");
        std::fs::write(&file, SECRET).unwrap();
        let hook = |(name, receiver, kinds): &(&str, &Receiver, &[&str])| Webhook {
            name: (*name).to_owned(),
            url: receiver.url.clone(),
            secret_file: Some(file.clone()),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        let webhooks: Vec<Webhook> = hooks.iter().map(hook).collect();
        let config = Config { attempts_per_minute: 1_000, webhooks: webhooks.clone(), ..Config::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { served: Served::configured(config), webhooks, runtime, _secrets: secrets }
    }
    fn boss(&self) -> String {
        self.served.login("M01")
    }
    fn act(&self, token: &str, command: &Value) {
        let answer = self.served.post("/v1/commands", Some(token), command);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    /// An order with a customer whom nobody outside is told of.
    fn order(&self, number: &str) {
        let fields = json!({ "customer": "何女士", "phone": "13800000000", "address": "幸福街1号" });
        let open =
            json!({ "do": "open_order", "number": number, "store": null, "items": [], "fields": fields });
        self.act(&self.boss(), &open);
    }
    fn report(&self, number: &str, what: &str) {
        self.act(&self.boss(), &json!({ "do": "report", "doc": number, "what": what }));
    }
    /// The relay looks, as it does every few seconds.
    fn tick(&self) {
        let app = &self.served.app;
        self.runtime.block_on(async {
            app.projection.catch_up(app.clock.unix_ms()).await.unwrap();
            app.outward.tick(app.clock.unix_ms()).await.unwrap();
        });
    }
    /// One line sends what is due; how many attempts that were.
    fn post(&self, outward: &Outward, line: usize) -> usize {
        let clock = &self.served.app.clock;
        let due = || self.runtime.block_on(outward.post(line, clock)).unwrap();
        std::iter::repeat_with(due).take_while(|sent| *sent).count()
    }
    fn notices(&self, token: &str, query: &str) -> Value {
        let answer = self.served.ask("GET", &format!("/v1/notices{query}"), Some(token), "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }
    fn hooks(&self) -> Value {
        self.served.ask("GET", "/v1/webhooks", Some(&self.boss()), "").body
    }
}

/// HMAC-SHA256 as RFC 2104 writes it, and base64 as RFC 4648 does: by hand.
fn signed(key: &[u8], message: &[u8]) -> String {
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|n| key.get(n).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::digest([&pad(0x36), message].concat());
    let mac = Sha256::digest([&pad(0x5c)[..], &inner[..]].concat());
    let letters: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let mut text = String::new();
    for three in mac.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, n| bits << 8 | u32::from(three.get(n).copied().unwrap_or(0)));
        for n in 0..4 {
            let letter = letters[(bits >> (18 - 6 * n) & 63) as usize];
            text.push(if n <= three.len() { letter } else { '=' });
        }
    }
    text
}

#[test]
fn a_deadline_passes_and_management_is_told_with_nobody_connected_s1_8() {
    let receiver = Receiver::start(false);
    let shop = Shop::with(&[("crm", &receiver, &["escalation"])]);
    let boss = shop.boss();
    shop.served.hire(&boss, "P01", "planner");
    shop.act(
        &boss,
        &json!({ "do": "open_case", "flow": "repair", "number": "T1", "store": null, "urgency": "normal",
            "order": null, "about": null, "channel": "phone",
            "fields": { "customer": "何女士", "phone": "13800000000", "fault": "门掉了" } }),
    );
    let escalations = |token: &str| -> Vec<Value> {
        let rows = shop.notices(token, "?limit=200")["rows"].as_array().unwrap().clone();
        rows.into_iter().filter(|row| row["kind"] == "escalation").collect()
    };
    shop.tick();
    assert_eq!(escalations(&boss), Vec::<Value>::new(), "nothing is late yet");

    shop.served.move_clock(20 * DAY_MS);
    shop.tick();
    let boss = shop.boss();
    let told = escalations(&boss);
    assert!(!told.is_empty());
    for row in &told {
        assert_eq!((&row["number"], &row["read"]), (&json!("T1"), &json!(false)));
        assert!(row["due_ms"].as_i64().unwrap() < shop.served.app.clock.unix_ms());
        assert!(row["words"].as_str().unwrap().starts_with("已过期"), "{row}");
    }
    assert_eq!(escalations(&shop.served.login("P01")), Vec::<Value>::new(), "not a planner");
    let ids: Vec<&Value> = told.iter().map(|row| &row["id"]).collect();
    shop.act(&boss, &json!({ "do": "read", "notices": ids }));
    assert!(escalations(&boss).iter().all(|row| row["read"] == true));

    assert_eq!(shop.post(&shop.served.app.outward, 0), told.len());
    let sent = receiver.all();
    assert_eq!(sent.len(), told.len());
    for sent in &sent {
        let (id, seconds) = (sent.header("webhook-id"), sent.header("webhook-timestamp"));
        let message = format!("{id}.{seconds}.{}", sent.body);
        let signature = format!("v1,{}", signed(KEY, message.as_bytes()));
        assert_eq!(sent.header("webhook-signature"), signature);
        let body = sent.json();
        assert_eq!((&body["type"], &body["data"]["number"]), (&json!("notice.escalation"), &json!("T1")));
        assert_eq!(body["data"]["roles"], json!(["management"]));
        assert!(ids.contains(&&body["data"]["id"]));
        assert_eq!(id, format!("msg_{}", body["data"]["id"].as_str().unwrap()));
    }
    shop.tick();
    assert_eq!(shop.post(&shop.served.app.outward, 0), 0, "told once");
}

#[test]
fn what_failed_is_tried_again_also_by_another_process_and_confirmed_exactly_once() {
    let receiver = Receiver::start(false);
    receiver.answers(&["503 Busy", "302 Found\r\nLocation: /elsewhere", "200 OK"]);
    let shop = Shop::with(&[("crm", &receiver, &["exception"])]);
    shop.order("A1");
    shop.report("A1", "何女士(13800000000)说门铃坏了");
    shop.tick();
    assert_eq!(shop.post(&shop.served.app.outward, 0), 1);
    let state = &shop.hooks()[0];
    assert_eq!((&state["waiting"], &state["failing"], &state["parked"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(state["last_answer"], "503");
    assert_eq!(state["origin"], receiver.url.strip_suffix("/in").unwrap());

    let app = &shop.served.app;
    let restarted = || {
        let now_ms = app.clock.unix_ms();
        let outward = Outward::open(app.relay.clone(), app.projection.clone(), &shop.webhooks, now_ms);
        Arc::new(outward.unwrap())
    };
    let outward = restarted();
    assert_eq!(shop.post(&outward, 0), 0, "not before its pause is over");
    shop.served.move_clock(60_000);
    assert_eq!(shop.post(&outward, 0), 1, "a redirect is an answer, not a way on");
    let outward = restarted();
    shop.served.move_clock(10 * 60_000);
    assert_eq!(shop.post(&outward, 0), 1);
    shop.runtime.block_on(outward.tick(app.clock.unix_ms())).unwrap();
    shop.served.move_clock(DAY_MS);
    shop.runtime.block_on(restarted().tick(app.clock.unix_ms())).unwrap();
    assert_eq!(shop.post(&restarted(), 0), 0, "what was confirmed is not told again");

    let sent = receiver.all();
    assert_eq!(sent.len(), 3);
    for again in &sent[1..] {
        assert_eq!(again.header("webhook-id"), sent[0].header("webhook-id"), "one message");
        assert_eq!(again.body, sent[0].body);
        assert_ne!(again.header("webhook-timestamp"), sent[0].header("webhook-timestamp"));
    }
    assert!(sent.iter().all(|sent| sent.head.starts_with("POST /in ")));
    assert_eq!(sent[0].json()["data"]["powers"], json!(["resolve"]));
    for private in ["何女士", "13800000000", "幸福街", "门铃", "周总"] {
        assert!(!sent[0].body.contains(private), "{private} went out: {}", sent[0].body);
    }
    assert!(shop.notices(&shop.boss(), "")["rows"][0]["words"].as_str().unwrap().contains("门铃"));
}

#[test]
fn a_receiver_that_hangs_holds_up_neither_commands_nor_other_receivers() {
    let (hanging, well) = (Receiver::start(true), Receiver::start(false));
    let shop = Shop::with(&[("hangs", &hanging, &["exception"]), ("well", &well, &["exception"])]);
    shop.order("A1");
    shop.report("A1", "甲");
    shop.tick();
    let app = shop.served.app.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.unwrap().block_on(async {
            let run = app.outward.clone().run(app.clock.clone());
            tokio::select! { () = run => {}, _ = stopped => {} }
        });
    });
    let patience = Duration::from_secs(30);
    hanging.next(patience).expect("it was reached, and does not answer");
    well.next(patience).expect("the other was told meanwhile");
    let begun = shop.served.app.elapsed();
    shop.report("A1", "乙");
    shop.tick();
    well.next(patience).expect("and is told what comes next");
    let took = shop.served.app.elapsed() - begun;
    assert!(took < Duration::from_secs(12), "a receiver may take 15 s: {took:?}");
    assert_eq!(shop.hooks()[0]["waiting"], 2, "both wait for the one that hangs");
    drop(stop);
    running.join().unwrap();
}

#[test]
fn what_was_given_up_is_shown_and_tried_again_when_management_asks() {
    let receiver = Receiver::start(false);
    receiver.answers(&["410 Gone"]);
    let shop = Shop::with(&[("crm", &receiver, &["exception"])]);
    let planner = shop.served.hire(&shop.boss(), "P01", "planner");
    shop.order("A1");
    shop.report("A1", "甲");
    shop.tick();
    assert_eq!(shop.post(&shop.served.app.outward, 0), 1);
    let state = &shop.hooks()[0];
    assert_eq!(
        (&state["waiting"], &state["parked"], &state["last_answer"]),
        (&json!(0), &json!(1), &json!("410"))
    );
    let retry = |token: &str, name: &str| {
        shop.served.ask("POST", &format!("/v1/webhooks/{name}/retry"), Some(token), "")
    };
    is_problem(&retry(&planner, "crm"), 403, "role_missing");
    is_problem(&retry(&shop.boss(), "nobody"), 404, "not_found");
    assert_eq!(retry(&shop.boss(), "crm").body, json!({ "retried": 1 }));
    assert_eq!(shop.post(&shop.served.app.outward, 0), 1);
    assert_eq!(shop.hooks()[0]["parked"], 0);
}

#[test]
fn the_inbox_gives_every_notice_once_newest_first_to_whom_it_is_for() {
    let shop = Shop::with(&[]);
    let boss = shop.boss();
    shop.act(&boss, &json!({ "do": "add_store", "name": "城东店" }));
    let planner = shop.served.hire(&boss, "P01", "planner");
    for number in ["A1", "A2", "A3"] {
        shop.order(number);
        shop.report(number, "木料受潮");
    }
    shop.tick();
    let all = shop.notices(&boss, "?limit=200")["rows"].as_array().unwrap().clone();
    let at = |row: &Value| row["at_ms"].as_i64().unwrap();
    assert!(all.windows(2).all(|w| at(&w[0]) >= at(&w[1])));
    assert_eq!(all.iter().filter(|row| row["kind"] == "exception").count(), 3);
    let (mut paged, mut query) = (Vec::new(), "?limit=1".to_owned());
    loop {
        let page = shop.notices(&boss, &query);
        paged.extend(page["rows"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=1&after={next}");
    }
    assert_eq!(paged, all);
    let theirs = shop.notices(&planner, "");
    assert!(theirs["rows"].as_array().unwrap().iter().all(|row| row["kind"] != "exception"), "{theirs}");
    for query in ["?limit=0", "?limit=201", "?after=nonsense"] {
        let answer = shop.served.ask("GET", &format!("/v1/notices{query}"), Some(&boss), "");
        assert_eq!(answer.status, 422, "{answer:?}");
    }
    shop.act(
        &boss,
        &json!({ "do": "resolve", "doc": "A1", "exception": exception(&shop, &boss), "how": "换料" }),
    );
    shop.tick();
    let left = shop.notices(&boss, "?limit=200")["rows"].as_array().unwrap().clone();
    assert!(left.iter().all(|row| row["kind"] != "exception" || row["number"] != "A1"), "it is resolved");
}

/// The fact of the exception of A1.
fn exception(shop: &Shop, token: &str) -> String {
    let history = shop.served.ask("GET", "/v1/cases/A1/history", Some(token), "").body;
    let found = history.as_array().unwrap().iter().find(|fact| fact["kind"] == "Exception");
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_office_is_told_that_a_policy_is_due_for_review() {
    let shop = Shop::with(&[]);
    let policies = shop.served.ask("GET", "/v1/policies", Some(&shop.boss()), "").body;
    let due_ms = policies[0]["review_due_ms"].as_i64().unwrap();
    shop.tick();
    assert_eq!(shop.notices(&shop.boss(), "")["rows"], json!([]));
    shop.served.move_clock(due_ms + 1_000 - shop.served.app.clock.unix_ms());
    shop.tick();
    let told = shop.notices(&shop.boss(), "");
    let row = &told["rows"][0];
    assert_eq!(
        (&row["kind"], &row["due_ms"], &told["rows"][1]),
        (&json!("reminder"), &json!(due_ms), &Value::Null)
    );
    assert!(row["words_en"].as_str().unwrap().contains("due for review"), "{row}");
}

#[test]
fn drafts_are_given_to_who_sees_the_order_and_a_contact_marks_them_told() {
    let shop = Shop::with(&[]);
    shop.order("A1");
    shop.report("A1", "木料受潮");
    let boss = shop.boss();
    let drafts = || shop.served.ask("GET", "/v1/cases/A1/drafts", Some(&boss), "").body;
    let draft = drafts()[0].clone();
    assert_eq!((&draft["kind"], &draft["contact"]), (&json!("exception"), &Value::Null));
    assert!(draft["words"].as_str().unwrap().contains("木料受潮"), "{draft}");
    let evidence = json!([{ "kind": "text-message", "text": draft["words"] }]);
    let contact = json!({ "do": "contact", "doc": "A1", "channel": "message", "words": draft["words"], "evidence": evidence });
    shop.act(&boss, &contact);
    assert!(drafts()[0]["contact"].is_string());
    let sales = shop.served.hire(&boss, "D01", "sales");
    let seen = shop.served.ask("GET", "/v1/cases/A1/drafts", Some(&sales), "").status;
    let case = shop.served.ask("GET", "/v1/cases/A1", Some(&sales), "").status;
    assert_eq!(seen, case, "as the order itself");
}
