//! `gendan policy`: what is wrong with a policy, and what differs between two. Needs no data folder.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sync_core::limits;
use sync_core::policy::check;
use sync_core::policy::difference::{Difference, differences};
use sync_core::policy::fault::PolicyFault;
use sync_core::policy::model::Policy;
use sync_core::policy::publish::Published;
use sync_core::refusal::Lang;

use super::Context;

/// Policies as files.
#[derive(Subcommand)]
pub enum Policies {
    /// Say what is wrong with a policy, line by line.
    Lint(Lint),
    /// Say what differs between two policies.
    Diff(Diff),
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

/// A policy that cannot be worked by; the faults were told.
#[derive(Debug, thiserror::Error)]
#[error("「{policy}」有{}处问题,改好后再试。 / {policy} has {} faults; mend them and try again", .faults.len(), .faults.len())]
pub struct Faulty {
    policy: String,
    faults: Vec<PolicyFault>,
}

impl Faulty {
    /// The faults, for machines.
    pub fn faults(&self) -> Value {
        let fault = |fault: &PolicyFault| {
            json!({
                "code": fault.code.as_str(), "path": fault.path, "line": fault.line,
                "zh": fault.words(Lang::Zh), "en": fault.words(Lang::En),
            })
        };
        self.faults.iter().map(fault).collect()
    }
}

impl Policies {
    /// Runs it.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Lint(lint) => lint.run(context),
            Self::Diff(diff) => diff.run(context),
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

/// Reads a policy, and says what is wrong with it where it cannot be worked by.
fn open(name: &str) -> anyhow::Result<Policy> {
    let toml = match check::shipped(name) {
        Some(toml) => toml.to_owned(),
        None => read(Path::new(name))?,
    };
    Policy::parse(&toml).map_err(|faults| {
        for fault in &faults {
            let line = fault.line.map(|line| format!(":{line}")).unwrap_or_default();
            println!("{name}{line}: {} [{}]", fault.path, fault.code.as_str());
            println!("    {}\n    {}", fault.words(Lang::Zh), fault.words(Lang::En));
        }
        Faulty { policy: name.to_owned(), faults }.into()
    })
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
