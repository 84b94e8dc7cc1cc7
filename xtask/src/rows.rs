//! The regulations' 21 sections, each with what its scenarios said in a real run; the last line is
//! `21 rows, N failed`. A section without a scenario has failed.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::root;

/// The sections as they stand in the regulations, each with the profile that a company works it by.
const ROWS: [(&str, &str); 21] = [
    ("售后办公室规章制度", "service-centre"),
    ("外贸跟单部的规章制度", "foreign-trade"),
    ("跟单员规章制度奖罚", "general"),
    ("售后客服部规章制度", "service-centre"),
    ("售后服务中心规章制度", "service-centre"),
    ("跟单部门的规章制度", "general"),
    ("跟单人员管理", "general"),
    ("销售部跟单规章制度", "general"),
    ("销售及售后规章制度", "general"),
    ("染厂跟单规章制度", "dyeing"),
    ("公司售后规范管理制度", "service-centre"),
    ("售后服务部规章制度", "service-centre"),
    ("跟单部门 (流程)", "general"),
    ("物流跟单员", "logistics"),
    ("跟单规章制度范本", "general"),
    ("跟单岗位职责", "general"),
    ("跟单人员工作制度", "general"),
    ("跟单员工作流程", "general"),
    ("服装厂跟单", "garment"),
    ("跟单部门规章制度 (篇一)", "foreign-trade"),
    ("下单及售后规章制度 (家具)", "furniture"),
];

/// The regulations' 21 sections at work.
#[derive(Args)]
pub struct Rows {
    /// Name every scenario, not only those that failed.
    #[arg(long)]
    all: bool,
}

impl Rows {
    /// Runs every scenario and prints the sections.
    pub fn run(self) -> anyhow::Result<()> {
        let told = Command::new("cargo")
            .args(["nextest", "run", "--workspace", "--features", "client-ffi/cli", "--color", "never"])
            .args(["-E", "binary(scenarios)", "--no-fail-fast", "--status-level", "all"])
            .current_dir(root())
            .output()
            .context("cargo nextest is not on this machine: cargo install --locked cargo-nextest")?;
        let told = String::from_utf8_lossy(&told.stderr);
        let found = scenarios(&told);
        if found.is_empty() {
            bail!("no scenario ran:\n{told}");
        }
        let failed = (1..).zip(ROWS).filter(|(number, row)| !self.row(*number, *row, &found)).count();
        println!("{} rows, {failed} failed", ROWS.len());
        if failed == 0 { Ok(()) } else { bail!("{failed} rows do not work") }
    }

    /// Prints one section; whether it works.
    fn row(&self, number: usize, (title, profile): (&str, &str), found: &Scenarios) -> bool {
        let of = found.get(&number).map_or(&[][..], Vec::as_slice);
        let passed = of.iter().filter(|(_, passed)| *passed).count();
        let works = !of.is_empty() && passed == of.len();
        let mark = if works { '✔' } else { '✘' };
        println!("{mark} S{number:<2} {title} ({profile}): {passed} of {} scenarios", of.len());
        for (name, passed) in of.iter().filter(|(_, passed)| self.all || !passed) {
            println!("      {} {name}", if *passed { '✔' } else { '✘' });
        }
        works
    }
}

/// Names of scenarios with whether they passed, by section.
type Scenarios = BTreeMap<usize, Vec<(String, bool)>>;

/// What the test runner said: `PASS [   0.1s] (1/9) gendan-tests::scenarios s05_service_centre::article_7_…`.
fn scenarios(told: &str) -> Scenarios {
    let mut found = Scenarios::new();
    for line in told.lines() {
        let mut words = line.split_whitespace();
        let (Some(status), Some(name)) = (words.next(), words.next_back()) else { continue };
        let section =
            name.split_once("::").and_then(|(module, _)| module.strip_prefix('s')?.get(..2)?.parse().ok());
        let Some(section) = section.filter(|_| line.contains("::scenarios ")) else { continue };
        let passed = match status {
            "PASS" => true,
            "FAIL" | "TIMEOUT" | "SIGABRT" | "SIGSEGV" => false,
            _ => continue,
        };
        let of = found.entry(section).or_default();
        // What failed is told once more at the end.
        if !of.iter().any(|(known, _)| known == name) {
            of.push((name.to_owned(), passed));
        }
    }
    found
}
