//! Who may ask what: every operation of the OpenAPI document, without a token, with the other kind's, with
//! one that has ended, and with a role that may not. An operation that the table does not name fails it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod served;

use std::collections::BTreeSet;

use gendan_server::api::openapi;
use gendan_server::config::Config;
use gendan_server::identity::tokens::{Bearer, Kind};
use serde_json::{Value, json};
use sync_core::ids::PersonId;

use served::{Served, is_problem};

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    /// Anybody: how one gets in, and how the relay is.
    Anybody,
    /// A device.
    Device,
    /// Anybody of the office, who is shown what is theirs.
    Office,
    /// Somebody of the office whose role sees all orders; a salesperson's does not.
    Overseer,
    /// Somebody of the office with a role that may; a planner may not.
    Role,
}

/// Method, path as documented, who may, and a body that is right in form.
type Row = (&'static str, &'static str, May, &'static str);

const TABLE: [Row; 37] = [
    ("get", "/healthz", May::Anybody, ""),
    ("get", "/readyz", May::Anybody, ""),
    ("get", "/metrics", May::Anybody, ""),
    ("post", "/v1/enrol", May::Anybody, "{}"),
    ("post", "/v1/challenge", May::Anybody, "{}"),
    ("post", "/v1/token", May::Anybody, "{}"),
    ("post", "/v1/office/login", May::Anybody, "{}"),
    ("get", "/v1/sync", May::Device, ""),
    ("get", "/v1/people", May::Office, ""),
    ("get", "/v1/stores", May::Office, ""),
    ("get", "/v1/devices", May::Office, ""),
    ("get", "/v1/cases", May::Office, ""),
    ("get", "/v1/cases/{doc}", May::Office, ""),
    ("get", "/v1/cases/{doc}/history", May::Office, ""),
    ("get", "/v1/cases/{doc}/findings", May::Office, ""),
    ("get", "/v1/cases/{doc}/drafts", May::Office, ""),
    ("get", "/v1/notices", May::Office, ""),
    ("get", "/v1/webhooks", May::Role, ""),
    ("post", "/v1/webhooks/{name}/retry", May::Role, ""),
    ("get", "/v1/reports/placed", May::Office, ""),
    ("get", "/v1/reports", May::Office, ""),
    ("get", "/v1/reports/{name}", May::Office, ""),
    ("get", "/v1/blobs/{hash}", May::Office, ""),
    ("get", "/v1/policies", May::Office, ""),
    ("get", "/v1/policies/{version}", May::Office, ""),
    ("get", "/v1/policies/proposals", May::Office, ""),
    ("post", "/v1/policies/proposals", May::Overseer, POLICY),
    ("post", "/v1/policies/try", May::Overseer, POLICY),
    ("post", "/v1/policies", May::Role, POLICY),
    ("post", "/v1/policies/proposals/{hash}/approve", May::Role, "{}"),
    ("post", "/v1/policies/proposals/{hash}/decline", May::Role, r#"{"reason":"再想想"}"#),
    ("post", "/v1/commands", May::Role, r#"{"do":"add_person","number":"P77","name":"某人"}"#),
    ("post", "/v1/accounts", May::Role, r#"{"number":"M01","password":"another password"}"#),
    ("post", "/v1/enrolments", May::Role, r#"{"number":"M01"}"#),
    ("get", "/v1/held", May::Role, ""),
    ("post", "/v1/held/{doc}/{hash}/release", May::Role, ""),
    ("post", "/v1/held/{doc}/{hash}/discard", May::Role, r#"{"reason":"错了"}"#),
];

const POLICY: &str = include_str!("../policies/small.toml");

/// A documented path with something in it that is not there.
fn filled(path: &str) -> String {
    let path = path.replace("{doc}", "order:01010101-0101-0101-0101-010101010101");
    path.replace("{hash}", &"00".repeat(32)).replace("{name}", "people").replace("{version}", "1")
}

#[test]
fn every_operation_asks_who_comes_and_the_table_names_them_all() {
    let document: Value = serde_json::from_str(&openapi()).unwrap();
    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(|m| (m.clone(), path.clone())))
        .collect();
    let named = TABLE.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(documented, named.collect(), "the table and server/openapi.json name the same operations");

    let served = Served::with(1_000);
    let boss = served.login("M01");
    let planner = served.hire(&boss, "P01", "planner");
    let sales = served.hire(&boss, "D01", "sales");
    let left = served.hire(&boss, "P02", "planner");
    let end = json!({ "do": "end_role", "number": "P02", "role": "planner" });
    assert_eq!(served.post("/v1/commands", Some(&boss), &end).status, 200);
    let (app, now_ms) = (&served.app, served.app.clock.unix_ms());
    let person = PersonId::staffed(app.keys.company, "M01");
    let (device, _) = app.custodial(person).unwrap();
    let token = |kind, at_ms| app.tokens.issue(Bearer { device, person, kind }, at_ms).unwrap();
    let old_ms = now_ms - app.tokens.lifetime_s() * 1_000;
    let (of_device, of_office) = (token(Kind::Device, now_ms), token(Kind::Office, now_ms));
    let (old_device, old_office) = (token(Kind::Device, old_ms), token(Kind::Office, old_ms));
    let mut asked = 0;
    for (method, path, may, body) in TABLE {
        println!("{method} {path}");
        let ask = |token: Option<&str>| served.ask(&method.to_uppercase(), &filled(path), token, body);
        let refused: &[&str] = match may {
            May::Anybody => &[],
            May::Device => &["nonsense", &of_office, &old_device],
            May::Office | May::Overseer | May::Role => &["nonsense", &of_device, &old_office, &left],
        };
        let responses = &document["paths"][path][method]["responses"];
        if may == May::Anybody {
            assert_ne!(ask(None).body["code"], "unauthorized", "{path}");
        } else {
            is_problem(&ask(None), 401, "unauthorized");
            assert!(ask(None).head.contains("www-authenticate: bearer"), "{path}");
            assert!(responses["401"].is_object(), "{path} documents its 401");
        }
        for token in refused {
            is_problem(&ask(Some(token)), 401, "unauthorized");
            asked += 1;
        }
        if matches!(may, May::Overseer | May::Role) {
            let refused = if may == May::Role { &planner } else { &sales };
            is_problem(&ask(Some(refused)), 403, "role_missing");
            assert!(responses["403"].is_object(), "{path} documents its 403");
        }
        if matches!(may, May::Office | May::Overseer) {
            assert!(matches!(ask(Some(&planner)).status, 200 | 404), "{path}");
        }
    }
    assert_eq!(asked, 3 + 29 * 4);
}

#[test]
fn an_address_that_asks_too_often_is_told_when_to_come_again() {
    let served = Served::configured(Config { requests_per_minute: 5, ..Config::default() });
    for _request in 0..5 {
        is_problem(&served.ask("GET", "/v1/people", None, ""), 401, "unauthorized");
    }
    let refused = served.ask("GET", "/v1/people", None, "");
    is_problem(&refused, 429, "too_many_requests");
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
    assert_eq!(
        served.ask("GET", "/healthz", None, "").status,
        200,
        "who asks whether it lives is not counted"
    );
    served.move_clock(60_000);
    is_problem(&served.ask("GET", "/v1/people", None, ""), 401, "unauthorized");
}
