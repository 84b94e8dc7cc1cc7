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
    assert_eq!(last.get("faults"), None, "what is no fault of a policy has none");
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

/// A company with the sample orders, at a moment in their time.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    /// 2026-12-01 12:00 in Shanghai.
    const NOW_MS: i64 = 1_796_097_600_000;

    fn new() -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap() };
        let moved_by = Self::NOW_MS - gendan_server::clock::Clock::system(None).unix_ms();
        std::fs::write(shop.folder.path().join("moved-by"), moved_by.to_string()).unwrap();
        shop.run(&["init", "--company", "好家居", "--name", "周总", "--password", "一个很长的密码 12345"]);
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/orders.csv");
        shop.run(&["import", sample]);
        shop
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gendan"));
        command.arg("--data").arg(self.folder.path().join("data")).arg("--json");
        command.arg("--test-clock").arg(self.folder.path().join("moved-by")).args(arguments);
        command
    }

    /// Runs a command that goes well; gives its last line.
    fn run(&self, arguments: &[&str]) -> Value {
        Self::answer(self.command(arguments))
    }

    fn answer(mut command: Command) -> Value {
        let done = command.output().unwrap();
        let printed = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{printed}{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_str(printed.lines().last().unwrap()).unwrap()
    }

    fn file(&self, toml: &str) -> String {
        let path = self.folder.path().join("tried.toml");
        std::fs::write(&path, toml).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn a_policy_is_tried_on_imported_orders_with_and_without_a_running_relay() {
    let shop = Shop::new();
    let same = shop.run(&["policy", "try", "furniture"]);
    assert!(same["judged"].as_u64().unwrap() > 50, "{same}");
    assert_eq!((same["rules"].as_array().unwrap().len(), &same["examples"]), (0, &serde_json::json!([])));

    // The placing day that nobody acted on costs 80 instead of 50; orders that are taken in cost 7.
    let toml = sync_core::policy::check::shipped("furniture").unwrap();
    let reminder = "remind = \"reminded\"\namount = \"50\"";
    assert!(toml.contains(reminder));
    let dearer = toml.replacen(reminder, "remind = \"reminded\"\namount = \"80\"", 1);
    let tried = shop.file(&format!(
        "{dearer}\n[windows.never]\ntitle = {{ zh = \"无\", en = \"never\" }}\nfrom = \"03:00:00\"\nto = \"03:00:01\"\n\
         clause = \"test\"\n[[rules]]\nid = \"never-open\"\nabout = [\"sales\"]\ntitle = {{ zh = \"不许\", en = \"no\" }}\n\
         clause = \"test\"\nform = \"outside-window\"\nstep = \"opened\"\nwindow = \"never\"\namount = \"7\"\n"
    ));
    let told = shop.run(&["policy", "try", &tried]);
    let judged = same["judged"].as_u64().unwrap();
    let rule = |id: &str| {
        let found = told["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == id);
        found.unwrap_or_else(|| panic!("{id} differs: {told}"))
    };
    let never = rule("never-open");
    assert_eq!((never["new"].as_u64(), &never["before"]), (Some(judged), &serde_json::json!([])));
    assert_eq!(never["after"], serde_json::json!([format!("{}.00 CNY", judged * 7)]));
    let due = rule("placing-due");
    let late = due["changed"].as_u64().unwrap();
    assert!(late > 0 && due["new"] == 0 && due["gone"] == 0, "{due}");
    // For sales and for the merchandiser.
    assert_eq!(due["before"], serde_json::json!([format!("{}.00 CNY", late * 2 * 50)]));
    assert_eq!(due["after"], serde_json::json!([format!("{}.00 CNY", late * 2 * 80)]));
    assert_eq!(
        (told["rules"].as_array().unwrap().len(), told["examples"].as_array().unwrap().len()),
        (2, 20)
    );
    let fewer = shop.run(&["policy", "try", &tried, "--days", "12"]);
    assert!((1..judged).contains(&fewer["judged"].as_u64().unwrap()), "{fewer}");

    let mut elsewhere = Command::new(env!("CARGO_BIN_EXE_gendan"));
    elsewhere.current_dir(shop.folder.path()).args([
        "--json",
        "--data",
        "nowhere",
        "--test-clock",
        "moved-by",
    ]);
    elsewhere.args(["policy", "try", &tried, "--against", "data"]);
    assert_eq!(Shop::answer(elsewhere), told, "the data are those that are named");

    let mut serving = shop.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut relay = serving.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(relay.stdout.take().unwrap()));
    let listening = lines.map(Result::unwrap).any(|line| line.contains("listening"));
    let answered = listening.then(|| shop.run(&["policy", "try", &tried]));
    relay.kill().unwrap();
    relay.wait().unwrap();
    assert_eq!(answered, Some(told), "a running relay says the same");
}

#[test]
fn a_faulty_policy_is_not_tried_and_its_faults_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.toml");
    let toml = sync_core::policy::check::shipped("general").unwrap();
    std::fs::write(&path, toml.replacen("Asia/Shanghai", "Asia/Nowhere", 1)).unwrap();
    let (well, printed, last) = policy(&["try", path.to_str().unwrap()]);
    assert!(!well && printed.contains("timezone [bad_timezone]"), "{printed}");
    assert_eq!(last["faults"][0]["code"], "bad_timezone");
    let error = Command::new(env!("CARGO_BIN_EXE_gendan"))
        .args(["policy", "try", "general", "--days", "367"])
        .output()
        .unwrap();
    assert!(!error.status.success() && String::from_utf8_lossy(&error.stderr).contains("1..=366"));
}
