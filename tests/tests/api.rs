//! The real router on a real socket: every wrong request is answered as RFC 9457 says, with its status
//! and stable code, and the OpenAPI document is the one that is checked in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod served;

use std::path::Path;

use gendan_server::api::openapi;
use gendan_server::clock::random;
use serde_json::json;
use sync_core::ids::DeviceId;

use served::{PASSWORD, Served, is_problem};

#[test]
fn every_wrong_request_is_a_problem_with_its_status_and_code() {
    let served = Served::with(1_000);
    let boss = served.login("M01");
    let clerk = served.hire(&boss, "P01", "planner");
    let (boss, clerk) = (Some(boss.as_str()), Some(clerk.as_str()));
    let forged = format!("{}x", clerk.unwrap());
    let order = json!({ "do": "open_order", "number": "A1", "store": null, "items": [], "fields": {
        "customer": "何女士", "phone": "13800000000", "address": "幸福街1号", "delivery_date": "2030-12-01" } });
    assert_eq!(served.post("/v1/commands", boss, &order).status, 200);
    let note = |text: &str| json!({ "do": "note", "doc": "A1", "text": text }).to_string();
    let held = format!("/v1/held/order:{}/{}", uuid(1), "00".repeat(32));
    let unknown_field = r#"{"do":"note","doc":"A1","text":"x","colour":"red"}"#;
    let no_one = json!({ "do": "end_role", "number": "X99", "role": "sales" }).to_string();
    let bad_step = json!({ "do": "step", "doc": "A1", "step": "不是名字!" }).to_string();
    let nowhere = json!({ "do": "note", "doc": "Z9", "text": "x" }).to_string();
    let cancel = json!({ "do": "cancel", "doc": "A1", "reason": "x" }).to_string();
    let hire = json!({ "do": "add_person", "number": "P02", "name": "x" }).to_string();
    let short = json!({ "number": "P01", "password": "short" }).to_string();
    let code_for = json!({ "number": "M01" }).to_string();
    /// Method, path, token, body; then status and code.
    type Row<'a> = (&'a str, &'a str, Option<&'a str>, &'a str, u16, &'a str);
    let (proposal, early) =
        (format!("/v1/policies/proposals/{}", "00".repeat(32)), "/v1/policies?effective_ms=1");
    let small = include_str!("../policies/small.toml");
    let table: [Row<'_>; 57] = [
        ("GET", "/v1/people", None, "", 401, "unauthorized"),
        ("GET", "/v1/stores", None, "", 401, "unauthorized"),
        ("GET", "/v1/people", Some("nonsense"), "", 401, "unauthorized"),
        ("GET", "/v1/people", Some(&forged), "", 401, "unauthorized"),
        ("GET", "/v1/sync", boss, "", 401, "unauthorized"),
        ("GET", "/v1/sync", None, "", 401, "unauthorized"),
        ("POST", "/v1/commands", None, &note("x"), 401, "unauthorized"),
        ("POST", "/v1/commands", boss, "{", 400, "bad_json"),
        ("POST", "/v1/commands", boss, "[]", 422, "bad_json"),
        ("POST", "/v1/commands", boss, r#"{"do":"fly"}"#, 422, "bad_json"),
        ("POST", "/v1/commands", boss, unknown_field, 422, "bad_json"),
        ("POST", "/v1/commands", boss, &note(&"长".repeat(30_000)), 413, "bad_json"),
        ("POST", "/v1/policies", boss, "not = [toml", 422, "policy_invalid"),
        ("POST", "/v1/policies", boss, &"长".repeat(30_000), 413, "bad_body"),
        ("POST", "/v1/policies", None, "", 401, "unauthorized"),
        ("POST", early, boss, small, 422, "policy_retroactive"),
        ("POST", "/v1/policies?effective=2026-12-1", boss, small, 422, "invalid_value"),
        ("POST", "/v1/policies?effective=2026-13-01", boss, small, 422, "invalid_value"),
        ("POST", "/v1/policies?effective_ms=99999999999999", boss, small, 422, "policy_invalid"),
        ("POST", "/v1/policies?since=1", boss, small, 400, "bad_query"),
        ("POST", "/v1/policies/proposals", clerk, "not = [toml", 422, "policy_invalid"),
        ("POST", "/v1/policies/proposals/short/approve", boss, "{}", 422, "invalid_value"),
        ("POST", &format!("{proposal}/approve"), boss, "{}", 404, "not_found"),
        ("POST", &format!("{proposal}/decline"), boss, r#"{"reason":"x"}"#, 404, "not_found"),
        ("POST", "/v1/policies/try?days=0", boss, small, 422, "invalid_value"),
        ("DELETE", "/v1/people", boss, "", 405, "method_not_allowed"),
        ("GET", "/v1/commands", boss, "", 405, "method_not_allowed"),
        ("GET", "/v2/people", boss, "", 404, "not_found"),
        ("GET", "/", None, "", 404, "not_found"),
        ("GET", "/v1/cases/Z9", boss, "", 404, "not_found"),
        ("GET", "/v1/cases/%FF", boss, "", 400, "bad_path"),
        ("GET", "/v1/cases/Z9/drafts", boss, "", 404, "not_found"),
        ("GET", "/v1/notices?limit=0", boss, "", 422, "limit_invalid"),
        ("GET", "/v1/notices?after=x", boss, "", 422, "cursor_invalid"),
        ("GET", "/v1/webhooks", clerk, "", 403, "role_missing"),
        ("POST", "/v1/webhooks/crm/retry", boss, "", 404, "not_found"),
        ("GET", "/v1/blobs/short", boss, "", 422, "invalid_value"),
        ("GET", "/v1/reports", None, "", 401, "unauthorized"),
        ("GET", "/v1/reports/profit", boss, "", 404, "report_unknown"),
        ("GET", "/v1/reports/otif?format=pdf", boss, "", 422, "format_unknown"),
        ("GET", "/v1/reports/otif?from=2026-11-31", boss, "", 422, "invalid_value"),
        ("GET", "/v1/reports/otif?to=22.11.2026", boss, "", 422, "invalid_value"),
        ("GET", "/v1/reports/otif?from=2026-11-02&to=2026-11-01", boss, "", 422, "period_invalid"),
        ("GET", "/v1/reports/otif?from=2024-01-01&to=2025-01-01", boss, "", 422, "period_invalid"),
        ("GET", "/v1/reports/otif?store=nowhere", boss, "", 404, "not_found"),
        ("GET", "/v1/reports/otif?colour=red", boss, "", 400, "bad_query"),
        ("POST", "/v1/held/nonsense/00/release", boss, "", 422, "invalid_value"),
        ("POST", &format!("{held}/release"), boss, "", 404, "not_found"),
        ("POST", &format!("{held}/release"), clerk, "", 403, "role_missing"),
        ("GET", "/v1/held", clerk, "", 403, "role_missing"),
        ("POST", "/v1/commands", boss, &bad_step, 422, "invalid_value"),
        ("POST", "/v1/commands", boss, &no_one, 422, "invalid_value"),
        ("POST", "/v1/commands", boss, &nowhere, 404, "not_found"),
        ("POST", "/v1/commands", clerk, &cancel, 403, "role_missing"),
        ("POST", "/v1/commands", clerk, &hire, 403, "role_missing"),
        ("POST", "/v1/accounts", boss, &short, 422, "invalid_value"),
        ("POST", "/v1/enrolments", clerk, &code_for, 403, "role_missing"),
    ];
    for (method, path, token, body, status, code) in table {
        let answer = served.ask(method, path, token, body);
        println!("{method} {path} → {} {}", answer.status, answer.body["code"]);
        is_problem(&answer, status, code);
    }
}

#[test]
fn every_report_is_given_in_every_format_over_what_the_person_sees() {
    let served = Served::with(1_000);
    let boss = served.login("M01");
    let planner = served.hire(&boss, "P01", "planner");
    let order = json!({ "do": "open_order", "number": "A1", "store": null, "items": [], "fields": {
        "customer": "何女士", "phone": "13800000000", "address": "幸福街1号", "total": "2808.00 CNY" } });
    assert_eq!(served.post("/v1/commands", Some(&boss), &order).status, 200);
    let now_ms = served.app.clock.unix_ms();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(served.app.projection.catch_up(now_ms)).unwrap();
    let listed = served.ask("GET", "/v1/reports", Some(&planner), "");
    let names: Vec<&str> =
        listed.body.as_array().unwrap().iter().map(|report| report["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 11, "{names:?}");
    for name in names {
        for (format, media) in [
            ("json", "application/json"),
            ("csv", "text/csv; charset=utf-8"),
            ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            ("html", "text/html; charset=utf-8"),
        ] {
            let path = format!("/v1/reports/{name}?format={format}");
            let answer = served.ask("GET", &path, Some(&planner), "");
            assert_eq!((answer.status, answer.media.as_str()), (200, media), "{path}");
            assert!(answer.head.contains("cache-control: no-store"), "{path}");
            let file = matches!(format, "csv" | "xlsx");
            assert_eq!(answer.head.contains("content-disposition: attachment"), file, "{path}");
        }
    }
    let total = |token: &str| {
        let placing = served.ask("GET", "/v1/reports/placing", Some(token), "");
        let row = &placing.body["rows"][0];
        assert_eq!((row["number"].as_str(), row["placed"].as_bool()), (Some("A1"), Some(false)));
        row["total"].clone()
    };
    assert_eq!(total(&boss), "2808.00 CNY");
    assert_eq!(total(&planner), serde_json::Value::Null, "a planner's role has no money scope");
}

#[test]
fn a_step_of_the_office_names_the_items_that_it_is_about() {
    let served = Served::with(1_000);
    let boss = served.login("M01");
    let sales = served.hire(&boss, "D01", "sales");
    let item = |product: &str| json!({ "product": product, "model": "A", "material": null, "quantity": 1, "unit_price": null });
    let order = json!({ "do": "open_order", "number": "A1", "store": null, "items": [item("沙发"), item("椅子")],
        "fields": { "customer": "何女士", "phone": "13800000000", "address": "幸福街1号" } });
    assert_eq!(served.post("/v1/commands", Some(&boss), &order).status, 200);
    let seen = || served.ask("GET", "/v1/cases/A1", Some(&boss), "").body;
    let key = seen()["items"][0][0]["key"].as_str().unwrap().to_owned();
    let first = key.split_once('.').unwrap().0;
    let step = |items: &[&str]| {
        let body = json!({ "do": "step", "doc": "A1", "step": "handed-in", "items": items });
        served.post("/v1/commands", Some(&sales), &body)
    };
    is_problem(&step(&["椅子"]), 422, "invalid_value");
    assert_eq!(step(&[first]).status, 200);
    assert_eq!(seen()["steps"][0]["items"], json!([first]));
}

fn uuid(n: u8) -> String {
    DeviceId::from_bytes([n; 16]).to_string()
}

#[test]
fn enrolment_and_login_answer_each_fault_with_its_code() {
    let served = Served::with(1_000);
    let boss = served.login("M01");
    let issued = served.post("/v1/enrolments", Some(&boss), &json!({ "number": "M01" }));
    let code = issued.body["code"].as_str().unwrap().to_owned();
    let key = sync_core::fact::keys::SecretKey::from_seed(&random()).public().to_string();
    let enrol = |code: &str, device: &str, key: &str| {
        served.post("/v1/enrol", None, &json!({ "code": code, "device": device, "public_key": key }))
    };
    let typo = if code.starts_with('A') { code.replacen('A', "B", 1) } else { format!("A{}", &code[1..]) };
    is_problem(&enrol(&typo, &uuid(1), &key), 422, "code_mistyped");
    is_problem(&enrol("0000-0000-0000", &uuid(1), &key), 403, "code_refused");
    is_problem(&enrol(&code, "no-uuid", &key), 422, "invalid_value");
    is_problem(&enrol(&code, &uuid(1), "abc"), 422, "invalid_value");
    assert_eq!(enrol(&code, &uuid(1), &key).status, 200);
    is_problem(&enrol(&code, &uuid(2), &key), 403, "code_refused");
    is_problem(&enrol(&code, &uuid(1), &key), 409, "already_exists");
    let (nonce, signature) = ("00".repeat(32), "00".repeat(64));
    let token = json!({ "device": uuid(1), "nonce": nonce, "signature": signature });
    is_problem(&served.post("/v1/token", None, &token), 401, "device_unknown");
    let wrong = json!({ "number": "M01", "password": "不是这个密码 12345" });
    is_problem(&served.post("/v1/office/login", None, &wrong), 401, "login_refused");
    let nobody = json!({ "number": "X99", "password": PASSWORD });
    is_problem(&served.post("/v1/office/login", None, &nobody), 401, "login_refused");
}

#[test]
fn attempts_are_limited_by_address() {
    let served = Served::with(3);
    let wrong = json!({ "number": "M01", "password": "不是这个密码 12345" });
    for _attempt in 0..3 {
        is_problem(&served.post("/v1/office/login", None, &wrong), 401, "login_refused");
    }
    let refused = served.post("/v1/office/login", None, &wrong);
    is_problem(&refused, 429, "too_many_attempts");
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
    let right = json!({ "number": "M01", "password": PASSWORD });
    is_problem(&served.post("/v1/office/login", None, &right), 429, "too_many_attempts");
}

#[test]
fn the_openapi_document_is_the_one_checked_in() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/openapi.json");
    let now = format!("{}\n", openapi().trim_end());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    let checked_in = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(checked_in == now, "server/openapi.json is out of date: run this test with UPDATE_GOLDEN=1");
}
