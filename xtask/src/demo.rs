//! The main job: a furniture retailer works, with and without connectivity, and everything merges.
//!
//! Real processes: one relay on a new store, a device for each of twelve people. The calendar is made
//! up (each program is told the time), the rest is what a company would run. At the end every device and
//! the relay must agree on every document, and what should have happened must have: otherwise it fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, FixedOffset, TimeDelta};
use clap::Args;
use serde_json::{Value, json};

use crate::process::{Relay, built, json, root, run};

/// A furniture retailer's real days.
#[derive(Args)]
pub struct Demo {
    /// Leave the relay running afterwards, with its address and the office login on screen.
    #[arg(long)]
    serve: bool,
    /// Keep the data in this folder instead of a temporary one.
    #[arg(long)]
    data: Option<PathBuf>,
}

const PASSWORD: &str = "gendan-demo-2026";

/// Staff number, name, role, store.
const PEOPLE: [(&str, &str, &str, Option<&str>); 12] = [
    ("M01", "周总", "management", None),
    ("G02", "郑主管", "supervisor", None),
    ("G01", "钱跟单", "merchandiser", None),
    ("D09", "李导购", "sales", Some("城东店")),
    ("D05", "陈导购", "sales", Some("红星店")),
    ("Z01", "吴店长", "store-manager", Some("城东店")),
    ("K01", "冯仓管", "warehouse", None),
    ("S01", "王师傅", "crew", None),
    ("S02", "赵师傅", "crew", None),
    ("A01", "孙师傅", "installer", None),
    ("E01", "何工", "engineer", None),
    ("F01", "许客服", "service-desk", None),
];

impl Demo {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<()> {
        run("cargo", &["build", "--workspace", "--bins"])?;
        let temporary = tempfile::tempdir()?;
        let folder = self.data.clone().unwrap_or_else(|| temporary.path().to_owned());
        let mut shop = Shop::found(&folder)?;
        shop.staff()?;
        let orders = shop.choose()?;
        shop.evening(&orders)?;
        shop.production(&orders)?;
        let ticket = shop.day_offline(&orders)?;
        shop.reconnect()?;
        shop.settle(&orders, &ticket)?;
        shop.agree()?;
        println!("\n✔ 所有设备与服务器一致 / every device and the relay agree on every document");
        if self.serve {
            println!("\n办公室 / office: {}  工号 number M01  密码 password {PASSWORD}", shop.relay.url);
            println!("数据 / data: {}   Ctrl-C 结束 / to end", folder.display());
            shop.relay.wait()?;
        }
        Ok(())
    }
}

struct Shop {
    folder: PathBuf,
    relay: Relay,
    token: String,
    /// The made-up moment.
    now: DateTime<FixedOffset>,
}

/// The three orders that the story follows.
struct Orders {
    /// Delivered and signed while the office moves its date.
    moved: String,
    /// Delivered while the office cancels it.
    cancelled: String,
    /// Handed in outside the hours; delivered by a crew whose engagement ended meanwhile.
    late: String,
}

fn title(zh: &str, en: &str) {
    println!("\n── {zh} / {en}");
}

impl Shop {
    fn found(folder: &Path) -> anyhow::Result<Self> {
        title("建立公司,导入订单", "a company is founded, its orders imported");
        let now = DateTime::parse_from_rfc3339("2026-11-23T16:30:00+08:00")?;
        let data = folder.join("relay");
        let clock = folder.join("clock");
        set_clock(&clock, now)?;
        let gendan = || {
            let mut command = Command::new(built().join("gendan"));
            command.env("GENDAN_DATA", &data).env("GENDAN_TEST_CLOCK", &clock).arg("--json");
            command
        };
        let founding = ["init", "--company", "好家居", "--name", "周总", "--password", PASSWORD];
        let (code, said) = json(gendan().args(founding))?;
        ensure!(code == 0, "init: {said}");
        let sheet = root().join("server/data/orders.csv");
        let (code, said) = json(gendan().arg("import").arg(&sheet))?;
        ensure!(code == 0, "import: {said}");
        let bad = said["bad"].as_array().map_or(0, Vec::len);
        println!("  {} 单 orders, {} 项 items, {bad} 行未收 rows not taken:", said["orders"], said["items"]);
        for row in said["bad"].as_array().into_iter().flatten() {
            println!(
                "    第{}行 row {}: {} [{}]",
                row["row"],
                row["row"],
                row["message"].as_str().unwrap_or(""),
                row["code"].as_str().unwrap_or("")
            );
        }
        ensure!(said["orders"] == 180 && bad == 8, "the sample sheet has 180 good orders and 8 bad rows");
        let (_, again) = json(gendan().arg("import").arg(&sheet))?;
        ensure!(
            again["unchanged"] == 180 && again["orders"] == 0,
            "the same file twice changes nothing: {again}"
        );
        let relay = Relay::start(&data, &clock, "127.0.0.1:0")?;
        let mut shop = Self { folder: folder.to_owned(), relay, token: String::new(), now };
        shop.login()?;
        Ok(shop)
    }

    fn login(&mut self) -> anyhow::Result<()> {
        let said = self.post("/v1/office/login", &json!({ "number": "M01", "password": PASSWORD }))?;
        self.token = said["token"].as_str().context("a token")?.to_owned();
        Ok(())
    }

    /// Time goes on to another moment of the made-up calendar.
    fn at(&mut self, moment: &str) -> anyhow::Result<()> {
        self.now = DateTime::parse_from_rfc3339(&format!("{moment}:00+08:00"))?;
        set_clock(&self.folder.join("clock"), self.now)?;
        self.login()
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut request =
            ureq::post(format!("{}{path}", self.relay.url)).config().http_status_as_error(false).build();
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        let mut response = request.send_json(body)?;
        let text = response.body_mut().read_to_string()?;
        ensure!(response.status().is_success(), "{path}: {text}");
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = ureq::get(format!("{}{path}", self.relay.url));
        let mut response = request.header("authorization", format!("Bearer {}", self.token)).call()?;
        Ok(response.body_mut().read_json()?)
    }

    fn office(&self, command: Value) -> anyhow::Result<()> {
        self.post("/v1/commands", &command).map(|_| ())
    }

    /// Runs a person's device as a process of its own, at the made-up moment.
    fn device(&mut self, who: &str, arguments: &[&str]) -> anyhow::Result<(i32, Value)> {
        self.now += TimeDelta::minutes(1);
        set_clock(&self.folder.join("clock"), self.now)?;
        let mut command = Command::new(built().join("gendan-field"));
        command
            .env("GENDAN_DATA", self.folder.join(who))
            .env("GENDAN_CLOCK", self.now.timestamp_millis().to_string())
            .arg("--json")
            .args(arguments);
        json(&mut command)
    }

    fn does(&mut self, who: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let (code, said) = self.device(who, arguments)?;
        ensure!(code == 0, "{who} {}: {said}", arguments.join(" "));
        Ok(said)
    }

    fn sync(&mut self, who: &[&str]) -> anyhow::Result<()> {
        for person in who {
            self.does(person, &["sync"])?;
        }
        Ok(())
    }

    /// Twelve people join, each with an enrolled device.
    fn staff(&mut self) -> anyhow::Result<()> {
        title("十二人登记设备", "twelve people enrol their devices");
        for (number, name, role, store) in PEOPLE {
            if number != "M01" {
                self.office(json!({ "do": "add_person", "number": number, "name": name }))?;
                self.office(json!({ "do": "grant_role", "number": number, "role": role, "store": store }))?;
            }
            let code = self.post("/v1/enrolments", &json!({ "number": number }))?;
            let (url, code) = (self.relay.url.clone(), code["code"].as_str().context("a code")?.to_owned());
            self.does(number, &["enrol", &url, &code])?;
            let state = self.does(number, &["sync"])?;
            let documents = find(&state, "documents").unwrap_or_default();
            println!("  {number} {name} {role}: {documents} 份单据 documents");
        }
        Ok(())
    }

    /// Three orders of the sheet that are paid or guaranteed and due in December.
    fn choose(&mut self) -> anyhow::Result<Orders> {
        let pick = |shop: &Self, store: &str, count: usize| -> anyhow::Result<Vec<String>> {
            let query: String = store.bytes().map(|b| format!("%{b:02X}")).collect();
            let page = shop
                .get(&format!("/v1/cases?kind=order&due_from=2026-12-05&sort=due&limit=200&store={query}"))?;
            let rows = page["rows"].as_array().cloned().unwrap_or_default();
            let cleared = rows.iter().filter(|r| r["cleared"] == true).filter_map(|r| r["number"].as_str());
            Ok(cleared.take(count).map(str::to_owned).collect())
        };
        let (east, star) = (pick(self, "城东店", 2)?, pick(self, "红星店", 1)?);
        let [moved, cancelled] = east.try_into().map_err(|e| anyhow::anyhow!("too few orders: {e:?}"))?;
        let late = star.into_iter().next().context("too few orders")?;
        Ok(Orders { moved, cancelled, late })
    }

    /// The evening of 23 November: orders are handed in, one outside the hours; two are placed.
    fn evening(&mut self, orders: &Orders) -> anyhow::Result<()> {
        title(
            "11月23日 17:00–18:00 交单、排单、下单",
            "orders handed in, reviewed, placed; one outside the hours",
        );
        let (moved, cancelled, late) = (&*orders.moved, &*orders.cancelled, &*orders.late);
        self.at("2026-11-23T17:05")?;
        for number in [moved, cancelled] {
            self.does("D09", &["step", number, "handed-in"])?;
        }
        self.sync(&["D09", "G01"])?;
        for number in [moved, cancelled] {
            self.does("G01", &["step", number, "reviewed"])?;
        }
        self.sync(&["G01", "D09"])?;
        let (code, refused) = self.device("D09", &["step", moved, "notice"])?;
        ensure!(code == 2, "asking without a text message must be refused: {refused}");
        println!(
            "  导购未附短信 / sales without a text message: {}",
            refused["error"]["reason"].as_str().unwrap_or("")
        );
        for number in [moved, cancelled] {
            self.does("D09", &["step", number, "reconfirmed"])?;
            let words = format!("{number} 客户已确认,请下单");
            self.does("D09", &["step", number, "notice", "--text", &words])?;
        }
        self.sync(&["D09", "G01"])?;
        for number in [moved, cancelled] {
            self.does("G01", &["step", number, "placed"])?;
        }
        self.sync(&["G01"])?;
        self.at("2026-11-23T19:05")?;
        self.does("D05", &["step", late, "handed-in"])?;
        self.sync(&["D05"])?;
        println!("  {moved}、{cancelled} 已下单 placed;{late} 于19:05交单(插单) handed in outside the hours");
        self.at("2026-11-24T17:05")?;
        self.sync(&["G01"])?;
        self.does("G01", &["step", late, "reviewed"])?;
        self.sync(&["G01", "D05"])?;
        self.does("D05", &["step", late, "notice", "--text", "请下单"])?;
        self.sync(&["D05", "G01"])?;
        self.does("G01", &["step", late, "placed"])?;
        self.sync(&["G01"])
    }

    /// Stock-in, complete, delivery note; crews and installer get their jobs.
    fn production(&mut self, orders: &Orders) -> anyhow::Result<()> {
        title("12月1日 入库、单齐、打单、派工", "stocked in, complete, delivery notes, jobs assigned");
        self.at("2026-12-01T16:00")?;
        let all = [&*orders.moved, &*orders.cancelled, &*orders.late];
        self.sync(&["K01"])?;
        for number in all {
            self.does("K01", &["step", number, "stocked-in"])?;
            self.does("K01", &["step", number, "complete"])?;
        }
        self.sync(&["K01", "G01"])?;
        for (number, crew) in all.into_iter().zip(["S01", "S01", "S02"]) {
            self.does("G01", &["step", number, "delivery-note"])?;
            self.does("G01", &["assign", number, "--who", crew, "--on", "2026-12-05", "--for", "delivered"])?;
        }
        self.does(
            "G01",
            &["assign", &orders.moved, "--who", "A01", "--on", "2026-12-05", "--for", "installed"],
        )?;
        self.sync(&["G01"])?;
        self.at("2026-12-04T10:00")?;
        self.sync(&["F01"])?;
        let ticket = [
            "open-case",
            "repair",
            "R-1",
            "customer=罗女士",
            "phone=13800000000",
            "address=幸福街36号",
            "product=衣柜",
            "fault=柜门合页松动",
        ];
        self.does("F01", &ticket)?;
        self.does("F01", &["step", "R-1", "requested"])?;
        self.does("F01", &["step", "R-1", "recorded"])?;
        self.does("F01", &["assign", "R-1", "--who", "E01", "--on", "2026-12-05", "--for", "repaired"])?;
        self.sync(&["F01", "S01", "S02", "A01", "E01"])?;
        for who in ["S01", "S02", "A01", "E01"] {
            let state = self.does(who, &["state"])?;
            println!(
                "  {who} 手机上 on the phone: {} 份 documents",
                find(&state, "documents").unwrap_or_default()
            );
        }
        Ok(())
    }

    /// 5 December: crews, installer and engineer work without connectivity while the office decides.
    fn day_offline(&mut self, orders: &Orders) -> anyhow::Result<String> {
        title(
            "12月5日 现场断网作业;办公室同时改期、取消",
            "no connectivity on site; the office reschedules and cancels meanwhile",
        );
        let strokes = "1200,4000 2600,1800 3900,5200;4300,2000 5200,5600 6900,2400";
        self.at("2026-12-05T09:30")?;
        for number in [&*orders.moved, &*orders.cancelled] {
            self.does("S01", &["step", number, "fetched"])?;
        }
        let (code, refused) = self.device("S02", &["cancel", &orders.late, "客户不要了"])?;
        ensure!(code == 2, "a crew may not cancel: {refused}");
        println!(
            "  赵师傅想取消订单 / a crew tries to cancel: {}",
            refused["error"]["reason"].as_str().unwrap_or("")
        );
        self.at("2026-12-05T10:00")?;
        self.office(
            json!({ "do": "edit", "doc": orders.moved, "fields": { "delivery_date": "2026-12-12" } }),
        )?;
        self.office(json!({ "do": "approve", "doc": orders.moved, "note": "客户来电改期" }))?;
        self.office(json!({ "do": "cancel", "doc": orders.cancelled, "reason": "客户来电退单" }))?;
        self.office(json!({ "do": "end_role", "number": "S02", "role": "crew" }))?;
        println!(
            "  办公室 office: {} 改期 moved, {} 取消 cancelled, S02 临时工到期 engagement ended",
            orders.moved, orders.cancelled
        );
        self.at("2026-12-05T11:00")?;
        for number in [&*orders.moved, &*orders.cancelled] {
            self.does("S01", &["step", number, "delivered", "--sign", "客户本人", "--strokes", strokes])?;
        }
        self.does("S02", &["step", &orders.late, "fetched"])?;
        self.does("S02", &["step", &orders.late, "delivered", "--sign", "客户家属", "--strokes", strokes])?;
        self.at("2026-12-05T14:00")?;
        let plan = ["step", "R-1", "diagnosed", "--value", "plan=更换两只合页"];
        self.does("E01", &plan)?;
        self.does("E01", &["step", "R-1", "agreed", "--sign", "罗女士", "--strokes", strokes])?;
        self.does("E01", &["part", "R-1", "合页-35", "2", "--used"])?;
        self.does("E01", &["step", "R-1", "repaired"])?;
        self.does("E01", &["step", "R-1", "accepted", "--sign", "罗女士", "--strokes", strokes])?;
        for who in ["S01", "S02", "E01"] {
            let state = self.does(who, &["state"])?;
            println!("  {who} 未同步 unsent: {}", find(&state, "unsent").unwrap_or_default());
        }
        Ok("R-1".to_owned())
    }

    /// Evening: everyone has connectivity again.
    fn reconnect(&mut self) -> anyhow::Result<()> {
        title("傍晚恢复联网", "in the evening everyone reconnects");
        self.at("2026-12-05T18:30")?;
        for (number, name, ..) in PEOPLE {
            let (code, said) = self.device(number, &["sync"])?;
            ensure!(code == 0, "{number} sync: {said}");
            let held = find(&said, "held").unwrap_or_default();
            println!(
                "  {number} {name}: 未同步 unsent {}, 搁置 held {held}",
                find(&said, "unsent").unwrap_or_default()
            );
        }
        // The installer works after the crew: what the crew recorded is on the phone now.
        let strokes = "1200,4000 2600,1800 3900,5200";
        let jobs = self.does("A01", &["orders"])?;
        if let Some(number) =
            jobs["orders"].as_array().and_then(|o| o.first()).and_then(|o| o["number"].as_str())
        {
            let number = number.to_owned();
            self.does("A01", &["step", &number, "installed", "--sign", "客户本人", "--strokes", strokes])?;
            self.sync(&["A01"])?;
        }
        Ok(())
    }

    /// The office sees the clashes and what is held, and decides.
    fn settle(&mut self, orders: &Orders, ticket: &str) -> anyhow::Result<()> {
        title("冲突与搁置,由人裁决", "clashes and what is held, for people to decide");
        for number in [&orders.cancelled, &orders.moved] {
            let case = self.get(&format!("/v1/cases/{number}"))?;
            let clashes = case["clashes"].as_array().cloned().unwrap_or_default();
            ensure!(!clashes.is_empty(), "{number} should have a clash: {case}");
            for clash in clashes {
                println!(
                    "  {number} [{}] {}",
                    clash["kind"].as_str().unwrap_or(""),
                    clash["words"].as_str().unwrap_or("")
                );
                println!("    {}", clash["words_en"].as_str().unwrap_or(""));
                let keep = clash["left"].clone();
                let settle = json!({ "do": "settle", "doc": number, "left": clash["left"], "right": clash["right"], "keep": keep, "reason": "货已送达并签收,另开退货单" });
                self.office(settle)?;
            }
            let case = self.get(&format!("/v1/cases/{number}"))?;
            println!("    裁决 settled: {}", case["clashes"][0]["settled"].as_str().unwrap_or(""));
            ensure!(case["cancelled"] == false, "what was delivered stands");
        }
        let held = self.get("/v1/held")?;
        let held = held.as_array().cloned().unwrap_or_default();
        ensure!(held.len() == 2, "the crew's two facts are held: {held:?}");
        ensure!(held.iter().any(|h| h["code"] == "role_ended"), "and why is said: {held:?}");
        let case = self.get(&format!("/v1/cases/{}", orders.late))?;
        ensure!(!done(&case, "delivered"), "nothing unauthorised takes effect");
        self.release(held)?;
        let case = self.get(&format!("/v1/cases/{}", orders.late))?;
        ensure!(done(&case, "delivered"), "what was released is in force: {case}");
        let repair = self.get(&format!("/v1/cases/{ticket}"))?;
        ensure!(done(&repair, "accepted"), "the engineer's offline ticket arrived: {repair}");
        self.prove(&orders.moved)?;
        self.findings(orders)
    }

    /// What the customer signed is written into a file, and checked from that file alone.
    fn prove(&self, number: &str) -> anyhow::Result<()> {
        title("客户签过什么,人人可验", "what the customer signed, checked by anyone");
        let file = self.folder.join("evidence.json");
        let gendan = || Command::new(built().join("gendan"));
        let data = self.folder.join("relay");
        let (code, said) =
            json(gendan().env("GENDAN_DATA", data).args(["--json", "evidence", number]).arg(&file))?;
        ensure!(code == 0, "evidence: {said}");
        let (code, proved) = json(gendan().args(["--json", "verify"]).arg(&file))?;
        ensure!(code == 0, "verify: {proved}");
        for signed in proved["signatures"].as_array().into_iter().flatten() {
            let content = &signed["content"];
            println!(
                "  {} {}: 屏上送货日期 delivery date on the screen {}",
                signed["signer"].as_str().unwrap_or(""),
                signed["step"].as_str().unwrap_or(""),
                content["delivery_date"].as_str().unwrap_or("")
            );
        }
        ensure!(proved["signatures"].as_array().is_some_and(|s| !s.is_empty()), "a signature: {proved}");
        let altered = std::fs::read_to_string(&file)?.replacen("00", "01", 1);
        std::fs::write(&file, altered)?;
        let (code, _) = json(gendan().args(["--json", "verify"]).arg(&file))?;
        ensure!(code != 0, "an altered file must not hold");
        println!("  改动一个字节即不成立 / with one byte altered it does not hold");
        Ok(())
    }

    /// Releases what is held, what others build on first.
    fn release(&mut self, held: Vec<Value>) -> anyhow::Result<()> {
        let mut waiting = held;
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut still = Vec::new();
            for change in waiting {
                let (doc, hash) =
                    (change["doc"].as_str().unwrap_or(""), change["hash"].as_str().unwrap_or(""));
                match self.post(&format!("/v1/held/{doc}/{hash}/release"), &json!({})) {
                    Ok(_) => println!(
                        "  搁置 held: {} {} — {} → 放行 released",
                        change["person"].as_str().unwrap_or(""),
                        change["facts"],
                        change["reason"].as_str().unwrap_or("")
                    ),
                    Err(_) => still.push(change),
                }
            }
            ensure!(still.len() < before, "what is held cannot be released: {still:?}");
            waiting = still;
        }
        Ok(())
    }

    /// What the rules found: proposals only, people judge people.
    fn findings(&mut self, orders: &Orders) -> anyhow::Result<()> {
        title("制度核对结果(仅为提议)", "what the rules found (proposals only)");
        let mut rules: BTreeMap<String, String> = BTreeMap::new();
        for number in [&orders.moved, &orders.cancelled, &orders.late] {
            let findings = self.get(&format!("/v1/cases/{number}/findings"))?;
            for finding in findings.as_array().into_iter().flatten() {
                println!(
                    "  {number} {}: {} {} ({})",
                    finding["rule"].as_str().unwrap_or(""),
                    finding["title"]["zh"].as_str().unwrap_or(""),
                    finding["amount"].as_str().unwrap_or(""),
                    finding["clause"].as_str().unwrap_or("")
                );
                let amount = finding["amount"].as_str().unwrap_or("").to_owned();
                rules.insert(format!("{number} {}", finding["rule"].as_str().unwrap_or("")), amount);
            }
        }
        let insertion = rules.get(&format!("{} insertion", orders.late));
        ensure!(
            insertion.is_some_and(|a| a == "50.00 CNY"),
            "handing in at 19:05 is an insertion of 50 yuan: {rules:?}"
        );
        let in_time = rules.get(&format!("{} insertion", orders.moved));
        ensure!(in_time.is_none(), "handing in at 17:05 is within the hours: {rules:?}");
        let fetched = rules.get(&format!("{} fetched-late", orders.moved));
        ensure!(fetched.is_some_and(|a| a == "10.00 CNY"), "fetched on the 4th day is 10 yuan: {rules:?}");
        Ok(())
    }

    /// Every device and the relay hold the same.
    fn agree(&mut self) -> anyhow::Result<()> {
        title("对账", "every device compares with the relay");
        for _round in 0..2 {
            for (number, ..) in PEOPLE {
                self.sync(&[number])?;
            }
        }
        let mut apart = Vec::new();
        for (number, name, ..) in PEOPLE {
            let said = self.does(number, &["check"])?;
            let digest = find(&said, "digest").unwrap_or_default();
            let digest = digest.as_str().unwrap_or("").chars().take(16).collect::<String>();
            println!(
                "  {number} {name}: {} 份 documents, {digest}… {}",
                find(&said, "documents").unwrap_or_default(),
                said["agree"]
            );
            if said["agree"] != true || said["repaired"] == true {
                apart.push(number);
            }
        }
        if apart.is_empty() { Ok(()) } else { bail!("these devices and the relay differ: {apart:?}") }
    }
}

/// Whether a step was recorded as done.
fn done(case: &Value, step: &str) -> bool {
    let steps = case["steps"].as_array();
    steps.is_some_and(|s| s.iter().any(|s| s["step"] == step && s["outcome"] == "done"))
}

/// The first value of this name anywhere in a JSON value.
fn find(value: &Value, name: &str) -> Option<Value> {
    match value {
        Value::Object(map) => map.get(name).cloned().or_else(|| map.values().find_map(|v| find(v, name))),
        _ => None,
    }
}

/// Writes by how much the relay's clock is moved.
#[allow(clippy::disallowed_methods, reason = "the made-up calendar is told against the real clock")]
fn set_clock(file: &Path, now: DateTime<FixedOffset>) -> anyhow::Result<()> {
    let moved = now.timestamp_millis() - chrono::Utc::now().timestamp_millis();
    let temporary = file.with_extension("new");
    std::fs::write(&temporary, moved.to_string())?;
    std::fs::rename(&temporary, file)?;
    Ok(())
}
