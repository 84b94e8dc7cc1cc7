//! The life of a policy over the API: proposed with what differs, approved with its day, due for review, and
//! tried on the orders of the last days.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod served;

use serde_json::{Value, json};
use sync_core::policy::check::shipped;
use sync_core::policy::model::Policy;

use served::{Answer, Served, is_problem};

const DAY_MS: i64 = 24 * 3_600_000;

fn furniture(from: &str, to: &str) -> String {
    let toml = shipped("furniture").unwrap();
    assert!(toml.contains(from));
    toml.replacen(from, to, 1)
}
fn well(answer: Answer) -> Value {
    assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    answer.body
}
fn proposals(served: &Served, token: &str) -> Vec<Value> {
    well(served.ask("GET", "/v1/policies/proposals", Some(token), "")).as_array().unwrap().clone()
}

#[test]
fn everybody_reads_the_policy_that_judges_them_and_what_is_read_can_be_handed_in() {
    let served = Served::with(1_000);
    let boss = served.login("M01");
    let crew = served.hire(&boss, "C01", "crew");
    let read = served.ask("GET", "/v1/policies/1", Some(&crew), "");
    assert_eq!(read.status, 200, "{read:?}");
    let text = read.body.as_str().unwrap();
    assert_eq!(Policy::parse(text).unwrap(), Policy::parse(shipped("furniture").unwrap()).unwrap());
    is_problem(&served.ask("GET", "/v1/policies/2", Some(&crew), ""), 404, "not_found");
    is_problem(&served.ask("GET", "/v1/policies/1", None, ""), 401, "unauthorized");
    well(served.ask("POST", "/v1/policies", Some(&boss), text));
}

#[test]
fn a_policy_is_proposed_seen_with_its_differences_and_approved_or_declined() {
    let served = Served::with(1_000);
    let boss = served.login("M01");
    let planner = served.hire(&boss, "P01", "planner");
    let path = "/v1/policies/proposals";
    let shorter = furniture("review_months = 12", "review_months = 6");
    let proposed = well(served.ask("POST", &format!("{path}?note=half-a-year"), Some(&planner), &shorter));
    let named = format!("{path}/{}", proposed["hash"].as_str().unwrap());
    let listed = &proposals(&served, &planner)[0];
    assert_eq!((&listed["state"], &listed["note"]), (&json!("waiting"), &json!("half-a-year")));
    assert_eq!((&listed["hash"], &listed["by"]), (&proposed["hash"], &json!("员工 (P01)")));
    let difference = json!({ "path": "review_months", "before": "12", "after": "6", "clause": null });
    assert_eq!((&listed["differences_total"], &listed["differences"]), (&json!(1), &json!([difference])));
    is_problem(&served.ask("POST", path, Some(&planner), &shorter), 409, "already_exists");

    let approve = |token: &str, body: Value| served.post(&format!("{named}/approve"), Some(token), &body);
    is_problem(&approve(&planner, json!({})), 403, "role_missing");
    is_problem(&approve(&boss, json!({ "effective": "2020-01-01" })), 422, "policy_retroactive");
    is_problem(&approve(&boss, json!({ "effective": "soon" })), 422, "invalid_value");
    let twice = json!({ "effective": "2030-01-01", "effective_ms": 1 });
    is_problem(&approve(&boss, twice), 422, "invalid_value");
    // Another is published in between, at once: the proposal gets the version after it.
    let other = furniture("review_months = 12", "review_months = 3");
    let published = well(served.ask("POST", "/v1/policies", Some(&boss), &other));
    assert_eq!((&published["version"], &published["in_force"]), (&json!(2), &json!(true)));
    let tomorrow_ms = served.app.clock.unix_ms() + DAY_MS;
    let approved = well(approve(&boss, json!({ "effective_ms": tomorrow_ms })));
    assert_eq!((&approved["version"], &approved["effective_ms"]), (&json!(3), &json!(tomorrow_ms)));
    assert_eq!((&approved["in_force"], &approved["review_overdue"]), (&json!(false), &json!(false)));
    is_problem(&approve(&boss, json!({})), 409, "nothing_proposed");
    let listed = &proposals(&served, &planner)[0];
    assert_eq!((&listed["state"], &listed["version"]), (&json!("approved"), &json!(3)));
    assert_eq!(listed["differences"], json!([]));

    let proposed = well(served.ask("POST", path, Some(&planner), shipped("furniture").unwrap()));
    let named = format!("{path}/{}/decline", proposed["hash"].as_str().unwrap());
    let reason = json!({ "reason": "刚改过" });
    is_problem(&served.post(&named, Some(&planner), &reason), 403, "role_missing");
    is_problem(&served.post(&named, Some(&boss), &json!({ "reason": "" })), 422, "value_missing");
    well(served.post(&named, Some(&boss), &reason));
    is_problem(&served.post(&named, Some(&boss), &reason), 409, "nothing_proposed");
    let listed = &proposals(&served, &planner)[0];
    assert_eq!((&listed["state"], &listed["reason"]), (&json!("declined"), &json!("刚改过")));
    assert_eq!(listed["declined_by"], "周总 (M01)");
}

#[test]
fn every_fault_of_a_policy_is_told_with_its_line_in_both_languages() {
    let served = Served::with(1_000);
    let boss = served.login("M01");
    let toml = furniture("Asia/Shanghai", "Asia/Nowhere");
    let line = toml.lines().position(|line| line.starts_with("timezone")).unwrap() + 1;
    for path in ["/v1/policies", "/v1/policies/proposals", "/v1/policies/try"] {
        let answer = served.ask("POST", path, Some(&boss), &toml);
        is_problem(&answer, 422, "policy_invalid");
        let fault = &answer.body["faults"][0];
        assert_eq!((&fault["code"], &fault["line"]), (&json!("bad_timezone"), &json!(line)));
        assert_eq!(fault["path"], "timezone");
        for words in ["zh", "en"] {
            assert!(fault[words].as_str().unwrap().contains("Asia/Nowhere"), "{fault}");
        }
    }
    let other = served.ask("GET", "/v1/nowhere", Some(&boss), "");
    assert_eq!(other.body.get("faults"), None, "other problems have no faults");
}

#[test]
fn the_policy_in_force_is_overdue_once_its_months_are_over() {
    let served = Served::with(1_000);
    let policies = |served: &Served| {
        let boss = served.login("M01");
        well(served.ask("GET", "/v1/policies", Some(&boss), ""))
    };
    let fresh = policies(&served);
    assert_eq!((&fresh[0]["in_force"], &fresh[0]["review_overdue"]), (&json!(true), &json!(false)));
    let due_ms = fresh[0]["review_due_ms"].as_i64().unwrap();
    let months_ms = due_ms - fresh[0]["effective_ms"].as_i64().unwrap();
    assert!((364 * DAY_MS..=366 * DAY_MS).contains(&months_ms), "twelve months: {months_ms}");
    served.move_clock(due_ms + 1_000 - served.app.clock.unix_ms());
    assert_eq!(policies(&served)[0]["review_overdue"], true);
}

#[test]
fn a_policy_is_tried_on_what_was_opened_in_the_last_days() {
    let served = Served::with(1_000);
    let boss = served.login("M01");
    let fields = json!({ "customer": "何女士", "phone": "13800000000", "delivery_date": "2030-12-01" });
    let order = json!({ "do": "open_order", "number": "A1", "store": null, "items": [], "fields": fields });
    assert_eq!(served.post("/v1/commands", Some(&boss), &order).status, 200);
    let never = "[windows.never]\ntitle = { zh = \"无\", en = \"never\" }\nfrom = \"03:00:00\"\nto = \"03:00:01\"\n\
                 days_of_month = [31, 31]\nclause = \"test\"\n[[rules]]\nid = \"never-open\"\nabout = [\"sales\"]\n\
                 title = { zh = \"不许接单\", en = \"no orders\" }\nclause = \"test\"\nform = \"outside-window\"\n\
                 step = \"opened\"\nwindow = \"never\"\namount = \"7\"\n";
    let toml = format!("{}\n{never}", shipped("general").unwrap());
    let tried = well(served.ask("POST", "/v1/policies/try", Some(&boss), &toml));
    assert_eq!((&tried["days"], &tried["judged"]), (&json!(30), &json!(1)));
    let rule = tried["rules"].as_array().unwrap().iter().find(|r| r["rule"] == "never-open").unwrap();
    assert_eq!(
        (&rule["new"], &rule["before"], &rule["after"]),
        (&json!(1), &json!([]), &json!(["7.00 CNY"]))
    );
    let example = tried["examples"].as_array().unwrap().iter().find(|e| e["rule"] == "never-open").unwrap();
    assert_eq!((&example["number"], &example["how"]), (&json!("A1"), &json!("new")));
    assert_eq!(proposals(&served, &boss), Vec::<Value>::new(), "nothing is kept");
}
