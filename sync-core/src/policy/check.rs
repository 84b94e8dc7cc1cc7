//! Checking a policy: every fault at once, each with its place, a stable code and words.

use std::collections::BTreeSet;

use super::model::{Flow, Policy, RuleForm};
use crate::ids::Name;
use crate::limits;
use crate::money::{Currency, Money};
use crate::refusal::Lang;

/// The shipped profiles by name.
const SHIPPED: [(&str, &str); 2] = [
    ("furniture", include_str!("../../profiles/furniture.toml")),
    ("service-centre", include_str!("../../profiles/service-centre.toml")),
];

/// The TOML of a shipped profile.
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(n, _)| *n == name).map(|(_, toml)| *toml)
}

/// The names of the shipped profiles.
pub fn shipped_names() -> Vec<&'static str> {
    SHIPPED.iter().map(|(name, _)| *name).collect()
}

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFault {
    /// The line of the TOML, from 1, where it is known.
    pub line: Option<usize>,
    /// Where, such as `flows.repair.steps[3].after`.
    pub path: String,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, in Chinese.
    pub zh: String,
    /// What is wrong, in English.
    pub en: String,
}

impl PolicyFault {
    /// The words, with where.
    pub fn text(&self, lang: Lang) -> String {
        let words = match lang {
            Lang::Zh => &self.zh,
            Lang::En => &self.en,
        };
        match self.line {
            Some(line) => format!("{}:{line}: {words}", self.path),
            None => format!("{}: {words}", self.path),
        }
    }
}

/// Reads and checks a policy.
pub fn parse(toml: &str) -> Result<Policy, Vec<PolicyFault>> {
    if toml.len() > limits::POLICY_BYTES_MAX {
        return Err(vec![fault("policy", "too_large", "制度太大", "the policy is too large")]);
    }
    let policy: Policy = toml::from_str(toml).map_err(|error| {
        let line = error.span().map(|span| toml[..span.start.min(toml.len())].matches('\n').count() + 1);
        let words = error.message().to_owned();
        vec![PolicyFault {
            line,
            path: "policy".into(),
            code: "not_a_policy",
            zh: format!("读不懂:{words}"),
            en: words,
        }]
    })?;
    let faults = check(&policy);
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

fn fault(
    path: impl Into<String>,
    code: &'static str,
    zh: impl Into<String>,
    en: impl Into<String>,
) -> PolicyFault {
    PolicyFault { line: None, path: path.into(), code, zh: zh.into(), en: en.into() }
}

/// Every fault of a policy that was read.
pub fn check(policy: &Policy) -> Vec<PolicyFault> {
    let mut faults = Vec::new();
    let currency = Currency::parse(&policy.currency);
    if currency.is_err() {
        faults.push(fault(
            "currency",
            "bad_currency",
            "货币须为三个大写字母,如 CNY",
            "a currency is three capital letters, such as CNY",
        ));
    }
    if policy.timezone.parse::<chrono_tz::Tz>().is_err() {
        faults.push(fault(
            "timezone",
            "bad_timezone",
            "时区须如 Asia/Shanghai",
            "a time zone is written such as Asia/Shanghai",
        ));
    }
    if policy.calendar.days.is_empty() || policy.calendar.hours.iter().all(|p| p.from >= p.to) {
        faults.push(fault(
            "calendar",
            "no_working_time",
            "工作日历没有工作时间",
            "the calendar has no working time",
        ));
    }
    for (name, window) in &policy.windows {
        let days = window.days_of_month.is_none_or(|(a, b)| (1..=31).contains(&a) && (a..=31).contains(&b));
        if window.from >= window.to || !days {
            faults.push(fault(
                format!("windows.{name}"),
                "bad_window",
                "开始须早于结束",
                "a window begins before it ends",
            ));
        }
    }
    for (name, flow) in &policy.flows {
        check_flow(policy, name, flow, &mut faults);
    }
    for (at, rule) in policy.rules.iter().enumerate() {
        check_rule(policy, &format!("rules[{at}] {}", rule.id), rule, &mut faults);
    }
    faults
}

fn unknown(path: String, what: &str, name: &Name) -> PolicyFault {
    fault(
        path,
        "unknown_name",
        format!("没有名为「{name}」的{what}"),
        format!("there is no {what} named \"{name}\""),
    )
}

fn check_flow(policy: &Policy, name: &Name, flow: &Flow, faults: &mut Vec<PolicyFault>) {
    let path = format!("flows.{name}");
    for role in &flow.opened_by {
        if !policy.roles.contains_key(role) {
            faults.push(unknown(format!("{path}.opened_by"), "role", role));
        }
    }
    if !flow.steps.iter().any(|s| s.closes) {
        faults.push(fault(&path, "never_closes", "没有办结的步骤", "no step closes the flow"));
    }
    let mut before = BTreeSet::new();
    for (at, step) in flow.steps.iter().enumerate() {
        let path = format!("{path}.steps[{at}]");
        for role in &step.by {
            if !policy.roles.contains_key(role) {
                faults.push(unknown(format!("{path}.by"), "role", role));
            }
        }
        for after in &step.after {
            if !before.contains(after) {
                faults.push(unknown(format!("{path}.after"), "earlier step", after));
            }
        }
        if !before.insert(step.id.clone()) {
            faults.push(fault(
                path,
                "twice",
                format!("步骤「{}」写了两次", step.id),
                format!("step \"{}\" stands twice", step.id),
            ));
        }
    }
}

fn check_rule(policy: &Policy, path: &str, rule: &super::model::Rule, faults: &mut Vec<PolicyFault>) {
    let known =
        |step: &Name| *step == "opened" || policy.flows.values().any(|f| f.step(step.as_str()).is_some());
    let (mut steps, mut amounts): (Vec<&Name>, Vec<&String>) = (Vec::new(), Vec::new());
    match &rule.form {
        RuleForm::OutsideWindow { step, window, amount } => {
            steps.push(step);
            amounts.extend(amount);
            if !policy.windows.contains_key(window) {
                faults.push(unknown(path.to_owned(), "window", window));
            }
        }
        RuleForm::LeadTime { step, amount } => {
            steps.push(step);
            amounts.extend(amount);
        }
        RuleForm::Reminder { step, remind, amount } => {
            steps.extend([step, remind]);
            amounts.extend(amount);
        }
        RuleForm::Within { from, until, amount, excused_by, .. } => {
            steps.extend([from, until]);
            steps.extend(excused_by);
            amounts.extend(amount);
        }
        RuleForm::Mistake { step, once, each_item_after } => {
            steps.push(step);
            steps.extend(each_item_after.keys());
            amounts.extend(once);
            amounts.extend(each_item_after.values());
        }
        RuleForm::Urgency { response, resolution, escalate_to } => {
            steps.extend([response, resolution]);
            if !policy.roles.contains_key(escalate_to) {
                faults.push(unknown(path.to_owned(), "role", escalate_to));
            }
        }
    }
    faults.extend(steps.into_iter().filter(|s| !known(s)).map(|s| unknown(path.to_owned(), "step", s)));
    for role in rule.about.iter().filter(|r| !policy.roles.contains_key(*r)) {
        faults.push(unknown(path.to_owned(), "role", role));
    }
    let currency = Currency::parse(&policy.currency).unwrap_or(Currency::CNY);
    for amount in amounts.into_iter().filter(|a| Money::parse(a, currency).is_err()) {
        faults.push(fault(
            path,
            "bad_amount",
            format!("金额「{amount}」不对"),
            format!("\"{amount}\" is not an amount"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_profiles_have_no_fault() {
        for (name, toml) in SHIPPED {
            let policy = parse(toml).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
            assert_eq!(policy.name, *name);
        }
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let good = shipped("furniture").unwrap();
        for (from, to, code) in [
            ("currency = \"CNY\"", "currency = \"yuan\"", "bad_currency"),
            ("Asia/Shanghai", "Asia/Nowhere", "bad_timezone"),
            (
                "days = [\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\", \"Sat\", \"Sun\"]",
                "days = []",
                "no_working_time",
            ),
            ("from = \"15:00:00\"", "from = \"18:00:00\"", "bad_window"),
            ("by = [\"finance\"]\nafter = [\"delivered\"]", "by = [\"nobody\"]", "unknown_name"),
            ("after = [\"handed-in\"]", "after = [\"settled\"]", "unknown_name"),
            ("after = [\"delivered\"]\ncloses = true", "", "never_closes"),
            ("id = \"reviewed\"", "id = \"handed-in\"", "twice"),
            ("window = \"intake\"", "window = \"noon\"", "unknown_name"),
            ("amount = \"50\"", "amount = \"fifty\"", "bad_amount"),
            ("review_months = 12", "review_months = \"often\"", "not_a_policy"),
            ("review_months = 12", "review_months = 12\nsurprise = 1", "not_a_policy"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            let faults = parse(&bad).expect_err(code);
            assert!(faults.iter().any(|f| f.code == code && !f.path.is_empty()), "{code}: {faults:#?}");
        }
        let faults = parse(&good.replace("review_months = 12", "review_months = \"often\"")).unwrap_err();
        assert!(faults[0].line.is_some_and(|l| l > 1), "{faults:?}");
    }
}
