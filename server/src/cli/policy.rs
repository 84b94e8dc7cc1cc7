//! `gendan policy`: what is wrong with a policy, what differs between two, and what one would have found in
//! the orders and tickets of the last days. Only the last needs a data folder, and writes nothing there.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sync_core::limits;
use sync_core::policy::check;
use sync_core::policy::difference::{Difference, differences};
use sync_core::policy::model::Policy;
use sync_core::policy::publish::Published;

use super::Context;
use crate::control::{self, Ask};
use crate::faulty::Faulty;
use crate::trial::{self, Example, How, Trial};

/// Policies as files.
#[derive(Subcommand)]
pub enum Policies {
    /// Say what is wrong with a policy, line by line.
    Lint(Lint),
    /// Say what differs between two policies.
    Diff(Diff),
    /// Say what a policy would have found in the orders and tickets of the last days, beside what is found
    /// now; also while the relay runs.
    Try(Try),
}

/// Checks one policy.
#[derive(Args)]
pub struct Lint {
    /// The policy: a TOML file, or the name of a shipped one (such as furniture or general).
    policy: String,
}

/// Compares two policies.
#[derive(Args)]
pub struct Diff {
    /// The older one: a TOML file, or the name of a shipped one.
    before: String,
    /// The newer one.
    after: String,
}

/// Tries a policy.
#[derive(Args)]
pub struct Try {
    /// The policy: a TOML file, or the name of a shipped one.
    policy: String,
    /// How many days are looked back.
    #[arg(long, default_value_t = trial::DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(trial::DAYS_MAX)))]
    days: u32,
    /// The data folder whose orders and tickets it is tried on; `--data` where it is not given.
    #[arg(long, value_name = "DATA")]
    against: Option<PathBuf>,
}

impl Policies {
    /// Runs it.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Lint(lint) => lint.run(context),
            Self::Diff(diff) => diff.run(context),
            Self::Try(tried) => tried.run(context),
        }
    }
}

impl Lint {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let policy = open(&self.policy)?;
        let hash = Published::of(1, &policy).hash.to_string();
        let steps: usize = policy.flows.values().map(|flow| flow.steps.len()).sum();
        let (flows, rules) = (policy.flows.len(), policy.rules.len());
        println!("制度「{}」可以执行:{flows}个流程,{steps}步,{rules}条规则。", policy.title.zh);
        println!("\"{}\" can be worked by: {flows} flows, {steps} steps, {rules} rules.", policy.title.en);
        context.say(&json!({ "flows": flows, "steps": steps, "rules": rules, "hash": hash }));
        Ok(())
    }
}

impl Diff {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let found = differences(&open(&self.before)?, &open(&self.after)?);
        for difference in &found {
            println!("{}", line(difference));
        }
        println!("{}处不同。 / {} differences.", found.len(), found.len());
        let one = |d: &Difference| json!({ "path": d.path, "before": d.before, "after": d.after, "clause": d.clause });
        context.say(&json!({ "differences": found.iter().map(one).collect::<Value>() }));
        Ok(())
    }
}

impl Try {
    /// Runs it: on the store itself, or through the relay that has it open.
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let policy = open(&self.policy)?;
        let named = match check::shipped(&self.policy) {
            Some(_) => self.policy.clone(),
            None => std::path::absolute(&self.policy)?.to_string_lossy().into_owned(),
        };
        let days = self.days;
        let data = self.against.unwrap_or_else(|| context.data.clone());
        let context = &Context { data, json: context.json, clock: context.clock.clone() };
        let tried: Trial = match control::ask(&context.data, &Ask::Try { policy: named, days })? {
            Some(answer) => serde_json::from_value(answer)?,
            None => {
                let company = context.open()?;
                trial::try_policy(&company.relay, &policy, days, context.clock.unix_ms())?
            }
        };
        let (zh, en) = policy.title.pair();
        println!("制度「{zh}」试行近{days}天的{}张单:{}条规则有不同。", tried.judged, tried.rules.len());
        println!(
            "\"{en}\" tried on {} of the last {days} days: {} rules differ.",
            tried.judged,
            tried.rules.len()
        );
        if tried.cut_short {
            println!("单太多,只试了一部分;请缩短天数。 / There are more; try fewer days.");
        }
        for rule in &tried.rules {
            let (before, after) = (sum(&rule.before), sum(&rule.after));
            println!(
                "{}「{}」{}: +{} −{} ~{}, {before} → {after}",
                rule.rule, rule.zh, rule.en, rule.new, rule.gone, rule.changed
            );
        }
        for Example { number, rule, how, before, after } in &tried.examples {
            let sign = match how {
                How::New => '+',
                How::Gone => '−',
                How::Changed => '~',
            };
            let amount = |amount: &Option<String>| amount.clone().unwrap_or_else(|| "0".to_owned());
            println!("    {sign} {number} {rule}: {} → {}", amount(before), amount(after));
        }
        context.say(&serde_json::to_value(&tried)?);
        Ok(())
    }
}

fn sum(amounts: &[String]) -> String {
    if amounts.is_empty() { "0".to_owned() } else { amounts.join(" + ") }
}

fn line(difference: &Difference) -> String {
    let Difference { path, before, after, clause } = difference;
    let clause = clause.as_ref().map(|clause| format!("  ({clause})")).unwrap_or_default();
    match (before, after) {
        (None, Some(after)) => format!("+ {path}: {after}{clause}"),
        (Some(before), None) => format!("- {path}: {before}{clause}"),
        (before, after) => {
            let text = |value: &Option<String>| value.clone().unwrap_or_default();
            format!("~ {path}: {} → {}{clause}", text(before), text(after))
        }
    }
}

/// Reads a policy: a shipped one by its name, or a file.
pub fn open(name: &str) -> anyhow::Result<Policy> {
    let toml = match check::shipped(name) {
        Some(toml) => toml.to_owned(),
        None => read(Path::new(name))?,
    };
    Ok(Faulty::check(name, &toml)?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let told = || format!("读不到制度文件 / cannot read the policy {}", path.display());
    let file = std::fs::File::open(path).with_context(told)?;
    let mut bytes = Vec::new();
    // One byte more than allowed: what is longer is told as such.
    file.take(limits::POLICY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).with_context(told)?;
    // A cut within a character only happens to what is too long already.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
