//! Reading a policy from TOML and checking that it can be worked by.
//!
//! In: TOML text of at most [`limits::POLICY_BYTES_MAX`] bytes, written by a person of the company. Out:
//! the [`Policy`], or every [`PolicyFault`] found (at most [`limits::POLICY_FAULTS_MAX`]), each with a
//! stable code, the path of the value, its line where it came from text, and words in Chinese and
//! English. Three rounds, each telling all it finds: what is no TOML, what has the wrong shape (see
//! `shape`), and what does not fit together; a round is not begun before the one before is clean.
//!
//! Invariants of a checked policy: every role, step and window that is named exists; a step comes after
//! earlier ones only, so that every flow can be walked to a closing step; amounts, time zone and currency
//! parse; there is working time; and somebody may add people and publish the next policy.
//!
//! Deliberately not here: whether a rule is wise or lawful, and any judging.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::fault::{FaultCode, PolicyFault};
use super::model::{
    ANY, CONCERNED, Flow, HAPPENINGS, Lateness, NOTIFIED, PUBLISHED, Point, Policy, Power, Rule, RuleForm,
    Step, Subject, Words,
};
use super::shape;
use crate::ids::Name;
use crate::limits;
use crate::money::{Currency, Money};

/// Days that may pass before an amount begins to double: what doubles is meant to press.
const DOUBLING_DAYS_MAX: u32 = 60;
/// Visits that one rule may ask for.
const TIMES_MAX: u32 = 60;
/// Minor units of the largest amount: with it, no amount that doubles or counts items grows too large.
const AMOUNT_MINOR_MAX: i64 = 1_000_000_000;

/// The policies that a company may start from: name and TOML.
pub const SHIPPED: &[(&str, &str)] = &[
    ("furniture", include_str!("../../profiles/furniture.toml")),
    ("foreign-trade", include_str!("../../profiles/foreign-trade.toml")),
    ("dyeing", include_str!("../../profiles/dyeing.toml")),
    ("garment", include_str!("../../profiles/garment.toml")),
    ("logistics", include_str!("../../profiles/logistics.toml")),
    ("service-centre", include_str!("../../profiles/service-centre.toml")),
    ("general", include_str!("../../profiles/general.toml")),
];

/// The TOML of the shipped policy of this name.
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, toml)| *toml)
}

impl Policy {
    /// Reads and checks a policy.
    ///
    /// # Errors
    /// All its faults in the order of the text; never an empty list.
    pub fn parse(toml: &str) -> Result<Self, Vec<PolicyFault>> {
        if toml.len() > limits::POLICY_BYTES_MAX {
            return Err(vec![too_large()]);
        }
        let (table, broken) = DeTable::parse_recoverable(toml);
        if !broken.is_empty() {
            let mut faults = shape::told(toml, broken.iter().map(|error| (String::new(), error)));
            // What stumbles again over the same line says nothing new.
            faults.dedup_by_key(|fault| fault.line);
            return Err(faults);
        }
        let policy: Self = match toml::from_str(toml) {
            Ok(policy) => policy,
            Err(error) => return Err(shape::faults(toml, table.get_ref(), &error)),
        };
        let mut faults = unknown_rule_keys(table.get_ref());
        faults.extend(policy.faults());
        for fault in &mut faults {
            fault.line = offset_of(table.get_ref(), &fault.path).map(|at| line_of(toml, at));
        }
        faults.sort_by_key(|fault| fault.line);
        faults.truncate(limits::POLICY_FAULTS_MAX);
        if faults.is_empty() { Ok(policy) } else { Err(faults) }
    }

    /// The faults of a policy that was read, without lines; empty when it can be worked by.
    pub fn faults(&self) -> Vec<PolicyFault> {
        let steps = self.flows.values().flat_map(|flow| &flow.steps).map(|step| &step.id).collect();
        let mut check = Check { policy: self, steps, faults: Vec::new() };
        check.whole();
        check.calendar();
        check.roles();
        for (name, flow) in &self.flows {
            check.flow(name, flow);
        }
        check.tables();
        for (at, rule) in self.rules.iter().enumerate() {
            check.rule(&format!("rules[{at}]"), rule);
        }
        check.faults.truncate(limits::POLICY_FAULTS_MAX);
        check.faults
    }
}

fn too_large() -> PolicyFault {
    PolicyFault::new(FaultCode::TooLarge, "", &limits::POLICY_BYTES_MAX.to_string())
}

/// The line, counted from 1, of a byte offset.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// Where the text of a path stands; of its nearest ancestor where the value itself was left out.
fn offset_of(table: &DeTable<'_>, path: &str) -> Option<usize> {
    let mut segments = path.split(['.', '[']).map(|part| part.trim_end_matches(']'));
    let (key, value) = table.get_key_value(segments.next()?)?;
    let (mut offset, mut value) = (key.span().start, value);
    for segment in segments {
        match value.get_ref() {
            DeValue::Table(inner) => {
                let Some((key, next)) = inner.get_key_value(segment) else { break };
                (offset, value) = (key.span().start, next);
            }
            DeValue::Array(inner) => {
                let Some(next) = segment.parse().ok().and_then(|at: usize| inner.get(at)) else { break };
                (offset, value) = (next.span().start, next);
            }
            _ => break,
        }
    }
    Some(offset)
}

/// Keys of rules that their form does not have: they would be passed over in silence otherwise.
fn unknown_rule_keys(table: &DeTable<'_>) -> Vec<PolicyFault> {
    let Some(DeValue::Array(rules)) = table.get("rules").map(|rules| rules.get_ref()) else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let DeValue::Table(rule) = rule.get_ref() else { continue };
        let form = rule.get("form").and_then(|form| form.get_ref().as_str()).unwrap_or_default();
        let own: &[&str] = match form {
            "outside-window" => &["step", "window", "amount"],
            "lead-time" => &["step", "amount"],
            "reminder" => &["step", "remind", "amount"],
            "within" => &["from", "until", "days", "amount", "doubling", "excused_by"],
            "mistake" => &["step", "once", "each_item_after"],
            "without" => &["step", "needs", "amount"],
            "urgency" => &["response", "resolution", "escalate_to"],
            "within-hours" => &["from", "until", "hours", "amount", "escalate_to"],
            "every" => &["from", "step", "days", "times"],
            "late-delivery" => &["step", "grades"],
            _ => continue,
        };
        for key in rule.keys().map(|key| key.get_ref().as_ref()) {
            if !own.contains(&key)
                && !["id", "title", "about", "flows", "one_of", "clause", "form"].contains(&key)
            {
                faults.push(PolicyFault::new(FaultCode::UnknownKey, format!("rules[{at}].{key}"), key));
            }
        }
    }
    faults
}

/// A check under way.
struct Check<'p> {
    policy: &'p Policy,
    steps: BTreeSet<&'p Name>,
    faults: Vec<PolicyFault>,
}

impl<'p> Check<'p> {
    fn fault(&mut self, code: FaultCode, path: impl Into<String>, found: &str) {
        if self.faults.len() < limits::POLICY_FAULTS_MAX {
            self.faults.push(PolicyFault::new(code, path, found));
        }
    }
    fn unless(&mut self, ok: bool, code: FaultCode, path: impl Into<String>, found: &str) {
        if !ok {
            self.fault(code, path, found);
        }
    }
    fn words(&mut self, path: &str, words: &Words) {
        let good = |text: &str| !text.trim().is_empty() && text.chars().count() <= limits::TEXT_CHARS_MAX;
        self.unless(good(&words.zh) && good(&words.en), FaultCode::NoWords, path, "");
    }
    fn clause(&mut self, path: &str, clause: &str) {
        self.unless(!clause.trim().is_empty(), FaultCode::NoClause, format!("{path}.clause"), "");
    }
    fn said(&mut self, path: &str, title: &Words, clause: &str) {
        self.words(&format!("{path}.title"), title);
        self.clause(path, clause);
    }
    fn count(&mut self, path: String, least: u32, count: u32) {
        let ok = (least..=limits::POLICY_COUNT_MAX).contains(&count);
        self.unless(ok, FaultCode::OutOfRange, path, &count.to_string());
    }
    fn role_exists(&mut self, path: String, name: &Name) {
        self.unless(self.policy.roles.contains_key(name), FaultCode::UnknownRole, path, name.as_str());
    }
    fn roles_exist(&mut self, path: &str, names: &[Name]) {
        for (at, name) in names.iter().enumerate() {
            self.role_exists(format!("{path}[{at}]"), name);
        }
    }
    fn once<'a>(&mut self, path: &str, names: impl Iterator<Item = &'a Name>) {
        let mut seen = BTreeSet::new();
        for (at, name) in names.enumerate() {
            self.unless(seen.insert(name), FaultCode::IdTwice, format!("{path}[{at}]"), name.as_str());
        }
    }
    fn amount(&mut self, path: String, amount: Option<&String>) {
        let Some(text) = amount else { return };
        let currency = Currency::parse(&self.policy.currency).unwrap_or(Currency::CNY);
        let good =
            Money::parse(text, currency).is_ok_and(|money| (1..=AMOUNT_MINOR_MAX).contains(&money.minor));
        self.unless(good, FaultCode::BadAmount, path, text);
    }

    fn whole(&mut self) {
        let policy = self.policy;
        let mut bytes = Vec::new();
        let written = ciborium::into_writer(policy, &mut bytes);
        // Sixteen bytes are more than the head of the published form takes.
        if written.is_err() || bytes.len() + 16 > limits::POLICY_BYTES_MAX {
            self.faults.push(too_large());
        }
        self.words("title", &policy.title);
        let currency = Currency::parse(&policy.currency);
        self.unless(currency.is_ok(), FaultCode::BadCurrency, "currency", &policy.currency);
        let zone = policy.timezone.parse::<chrono_tz::Tz>();
        self.unless(zone.is_ok(), FaultCode::BadTimezone, "timezone", &policy.timezone);
        self.count("review_months".into(), 1, policy.review_months);
    }

    fn calendar(&mut self) {
        let calendar = &self.policy.calendar;
        let idle = calendar.days.is_empty() || calendar.hours.is_empty();
        self.unless(!idle, FaultCode::NoWorkingTime, "calendar", "");
        let mut before = None;
        for (at, period) in calendar.hours.iter().enumerate() {
            let ok = period.from < period.to && before.is_none_or(|end| end <= period.from);
            self.unless(ok, FaultCode::BadPeriod, format!("calendar.hours[{at}]"), "");
            before = Some(period.to);
        }
        for day in calendar.holidays.intersection(&calendar.extra_days) {
            self.fault(FaultCode::IdTwice, "calendar.extra_days", &day.to_string());
        }
        self.clause("calendar", &calendar.clause);
    }

    fn roles(&mut self) {
        for (name, role) in &self.policy.roles {
            self.words(&format!("roles.{name}.title"), &role.title);
            self.unless(*name != *CONCERNED, FaultCode::Reserved, format!("roles.{name}"), name.as_str());
        }
        for (power, text) in [(Power::People, "people"), (Power::Policy, "policy")] {
            let held = self.policy.roles.values().any(|role| role.may.contains(&power));
            self.unless(held, FaultCode::PowerMissing, "roles", text);
        }
    }

    fn flow(&mut self, name: &Name, flow: &'p Flow) {
        let path = format!("flows.{name}");
        self.said(&path, &flow.title, &flow.clause);
        let fits = flow.subject == Subject::Order || *name != "order";
        self.unless(fits, FaultCode::WrongSubject, format!("{path}.subject"), "");
        if flow.subject == Subject::Conduct {
            // What a record about a person comes to is read off these two.
            for step in [NOTIFIED, PUBLISHED].into_iter().filter(|step| flow.step(step).is_none()) {
                self.fault(FaultCode::UnknownStep, format!("{path}.steps"), step);
            }
        }
        self.unless(!flow.opened_by.is_empty(), FaultCode::Nobody, format!("{path}.opened_by"), "");
        self.roles_exist(&format!("{path}.opened_by"), &flow.opened_by);
        let closes = flow.steps.iter().any(|step| step.closes);
        self.unless(closes, FaultCode::NoClosing, format!("{path}.steps"), "");
        self.once(&format!("{path}.steps"), flow.steps.iter().map(|step| &step.id));
        let own: BTreeSet<_> = flow.steps.iter().map(|step| &step.id).collect();
        let mut earlier = BTreeSet::new();
        for (at, step) in flow.steps.iter().enumerate() {
            self.step(&format!("{path}.steps[{at}]"), step, &own, &earlier);
            earlier.insert(&step.id);
        }
    }

    fn step(&mut self, path: &str, step: &Step, own: &BTreeSet<&Name>, earlier: &BTreeSet<&Name>) {
        self.said(path, &step.title, &step.clause);
        let free = !HAPPENINGS.contains(&step.id.as_str());
        self.unless(free, FaultCode::Reserved, format!("{path}.id"), step.id.as_str());
        self.unless(!step.by.is_empty(), FaultCode::Nobody, format!("{path}.by"), "");
        for (at, name) in step.by.iter().enumerate().filter(|(_, name)| **name != *CONCERNED) {
            self.role_exists(format!("{path}.by[{at}]"), name);
        }
        self.once(&format!("{path}.values"), step.values.iter());
        let policy = self.policy;
        self.known(&format!("{path}.documents"), &step.documents, |name| policy.documents.contains_key(name));
        self.known(&format!("{path}.checks"), &step.checks, |name| policy.checks.contains_key(name));
        for (at, name) in step.after.iter().enumerate() {
            self.earlier(format!("{path}.after[{at}]"), name, own, earlier);
        }
        for (key, days) in [("until", &step.until), ("once_over", &step.once_over)] {
            let Some(days) = days else { continue };
            self.earlier(format!("{path}.{key}.after"), &days.after, own, earlier);
            self.count(format!("{path}.{key}.working_days"), 1, days.working_days);
        }
    }

    fn earlier(&mut self, path: String, name: &Name, own: &BTreeSet<&Name>, earlier: &BTreeSet<&Name>) {
        let code = if own.contains(name) { FaultCode::NotEarlier } else { FaultCode::UnknownStep };
        self.unless(earlier.contains(name), code, path, name.as_str());
    }

    /// Entries of the policy's tables that a step names, each once.
    fn known(&mut self, path: &str, names: &[Name], is: impl Fn(&Name) -> bool) {
        for (at, name) in names.iter().enumerate() {
            self.unless(is(name), FaultCode::UnknownEntry, format!("{path}[{at}]"), name.as_str());
        }
        self.once(path, names.iter());
    }

    fn tables(&mut self) {
        let policy = self.policy;
        let mut titles = BTreeSet::new();
        for (name, material) in &policy.materials {
            let path = format!("materials.{name}");
            self.said(&path, &material.title, &material.clause);
            self.count(format!("{path}.lead_days"), 0, material.lead_days);
            for title in [&material.title.zh, &material.title.en] {
                // A sheet names materials by their titles.
                let path = format!("{path}.title");
                self.unless(titles.insert(title.trim()), FaultCode::IdTwice, path, title);
            }
        }
        for (name, urgency) in &policy.urgencies {
            let path = format!("urgencies.{name}");
            self.said(&path, &urgency.title, &urgency.clause);
            self.count(format!("{path}.response_hours"), 1, urgency.response_hours);
            self.count(format!("{path}.resolution_hours"), urgency.response_hours, urgency.resolution_hours);
        }
        for (name, window) in &policy.windows {
            let path = format!("windows.{name}");
            self.said(&path, &window.title, &window.clause);
            self.unless(window.from < window.to, FaultCode::BadPeriod, format!("{path}.from"), "");
            let ok = window.days_of_month.is_none_or(|(a, b)| 1 <= a && a <= b && b <= 31);
            self.unless(ok, FaultCode::BadMonthDays, format!("{path}.days_of_month"), "");
        }
        if let Some(rest) = &policy.suspension {
            let found = policy.windows.contains_key(&rest.window);
            self.unless(found, FaultCode::UnknownWindow, "suspension.window", rest.window.as_str());
            self.said("suspension", &rest.title, &rest.clause);
            self.roles_exist("suspension.by", &rest.by);
            self.roles_exist("suspension.tells", &rest.tells);
            let orders = policy.flows.values().filter(|flow| flow.subject == Subject::Order);
            let steps: BTreeSet<&Name> = orders.flat_map(|flow| &flow.steps).map(|step| &step.id).collect();
            for (at, step) in rest.steps.iter().enumerate() {
                let path = format!("suspension.steps[{at}]");
                self.unless(steps.contains(step), FaultCode::UnknownStep, path, step.as_str());
            }
        }
        self.known("free_of_charge", &policy.free_of_charge, |name| policy.causes.contains_key(name));
        for (table, words) in [("causes", &policy.causes), ("survey", &policy.survey)] {
            for (name, words) in words {
                self.words(&format!("{table}.{name}"), words);
            }
        }
        for (table, points) in [("documents", &policy.documents), ("checks", &policy.checks)] {
            for (name, Point { zh, en, clause }) in points {
                let path = format!("{table}.{name}");
                self.words(&path, &Words { zh: zh.clone(), en: en.clone() });
                self.clause(&path, clause);
            }
        }
        for (name, measure) in &policy.measures {
            self.said(&format!("measures.{name}"), &measure.title, &measure.clause);
        }
        for (table, grades) in [("penalties", &policy.penalties), ("rewards", &policy.rewards)] {
            self.once(table, grades.iter().map(|grade| &grade.id));
            for (at, grade) in grades.iter().enumerate() {
                self.said(&format!("{table}[{at}]"), &grade.title, &grade.clause);
            }
        }
        self.once("rules", policy.rules.iter().map(|rule| &rule.id));
    }

    fn rule(&mut self, path: &str, rule: &Rule) {
        let policy = self.policy;
        self.said(path, &rule.title, &rule.clause);
        self.roles_exist(&format!("{path}.about"), &rule.about);
        self.known(&format!("{path}.flows"), &rule.flows, |name| policy.flows.contains_key(name));
        let mut known = true;
        for (key, name) in rule.form.steps() {
            let found = self.steps.contains(name);
            self.unless(found, FaultCode::UnknownStep, format!("{path}.{key}"), name.as_str());
            known &= found;
        }
        if !matches!(rule.form, RuleForm::OutsideWindow { .. }) {
            for (key, _) in rule.form.names().into_iter().filter(|(_, name)| **name == *ANY) {
                self.fault(FaultCode::UnknownStep, format!("{path}.{key}"), ANY);
            }
        }
        let together = !known || policy.flows.iter().any(|(name, flow)| rule.concerns(name, flow));
        self.unless(together, FaultCode::StepsApart, path, "");
        self.form(path, &rule.form);
    }

    fn form(&mut self, path: &str, form: &RuleForm) {
        let policy = self.policy;
        match form {
            RuleForm::OutsideWindow { window, amount, .. } => {
                let found = policy.windows.contains_key(window);
                self.unless(found, FaultCode::UnknownWindow, format!("{path}.window"), window.as_str());
                self.amount(format!("{path}.amount"), amount.as_ref());
            }
            RuleForm::Without { amount, .. } => self.amount(format!("{path}.amount"), amount.as_ref()),
            RuleForm::LeadTime { amount, .. } | RuleForm::Reminder { amount, .. } => {
                let some = !policy.materials.is_empty();
                self.unless(some, FaultCode::NothingToJudge, format!("{path}.form"), "materials");
                self.amount(format!("{path}.amount"), amount.as_ref());
            }
            RuleForm::Within { days, amount, doubling, .. } => {
                let days_max = if *doubling { DOUBLING_DAYS_MAX } else { limits::POLICY_COUNT_MAX };
                let ok = *days <= days_max;
                self.unless(ok, FaultCode::OutOfRange, format!("{path}.days"), &days.to_string());
                let some = !doubling || amount.is_some();
                self.unless(some, FaultCode::NothingToJudge, format!("{path}.doubling"), "amount");
                self.amount(format!("{path}.amount"), amount.as_ref());
            }
            RuleForm::Mistake { once, each_item_after, .. } => {
                self.amount(format!("{path}.once"), once.as_ref());
                for (step, amount) in each_item_after {
                    self.amount(format!("{path}.each_item_after.{step}"), Some(amount));
                }
            }
            RuleForm::Urgency { escalate_to, .. } => {
                let some = !policy.urgencies.is_empty();
                self.unless(some, FaultCode::NothingToJudge, format!("{path}.form"), "urgencies");
                self.role_exists(format!("{path}.escalate_to"), escalate_to);
            }
            RuleForm::WithinHours { hours, amount, escalate_to, .. } => {
                self.count(format!("{path}.hours"), 1, *hours);
                self.amount(format!("{path}.amount"), amount.as_ref());
                if let Some(role) = escalate_to {
                    self.role_exists(format!("{path}.escalate_to"), role);
                }
            }
            RuleForm::Every { days, times, .. } => {
                self.count(format!("{path}.days"), 1, *days);
                let ok = (1..=TIMES_MAX).contains(times);
                self.unless(ok, FaultCode::OutOfRange, format!("{path}.times"), &times.to_string());
            }
            RuleForm::LateDelivery { grades, .. } => {
                self.unless(
                    !grades.is_empty(),
                    FaultCode::NothingToJudge,
                    format!("{path}.grades"),
                    "grades",
                );
                for (at, grade) in grades.iter().enumerate() {
                    self.lateness(&format!("{path}.grades[{at}]"), grade);
                }
            }
        }
    }

    fn lateness(&mut self, path: &str, grade: &Lateness) {
        self.count(format!("{path}.days"), 1, grade.days);
        self.amount(format!("{path}.amount"), grade.amount.as_ref());
        if let Some(penalty) = &grade.penalty {
            let known = self.policy.penalties.iter().any(|known| known.id == *penalty);
            self.unless(known, FaultCode::UnknownEntry, format!("{path}.penalty"), penalty.as_str());
        }
    }
}

#[cfg(test)]
mod profiles;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Lang;
    use proptest::prelude::*;

    const SMALL: &str = include_str!("check/small.toml");

    /// The small policy with one piece of its text replaced.
    fn changed(old: &str, new: &str) -> String {
        assert!(SMALL.contains(old), "{old}");
        SMALL.replacen(old, new, 1)
    }
    fn added(text: &str) -> String {
        format!("{SMALL}\n{text}")
    }
    fn rule(form: &str) -> String {
        added(&format!(
            "[[rules]]\nid = \"x\"\ntitle = {{ zh = \"规\", en = \"rule\" }}\nclause = \"t\"\n{form}\n"
        ))
    }

    #[test]
    fn every_shipped_policy_checks_clean_under_its_own_name() {
        for (name, toml) in SHIPPED {
            let policy = Policy::parse(toml).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
            assert_eq!(policy.name, *name);
        }
        assert_eq!(shipped("nonesuch"), None);
    }

    #[test]
    fn every_fault_code_is_told_of_a_policy_that_has_the_fault() {
        use FaultCode::*;
        let window = "[windows.w]\ntitle = { zh = \"时段\", en = \"w\" }\nclause = \"t\"\n";
        let within = "form = \"within\"\nfrom = \"placed\"\nuntil = \"complete\"\n";
        let material = |name| {
            let title = "title = { zh = \"板木\", en = \"panel\" }";
            format!("[materials.{name}]\n{title}\nlead_days = 5\nclause = \"t\"\n")
        };
        let cases = [
            (TooLarge, "#".repeat(limits::POLICY_BYTES_MAX + 1)),
            (Unreadable, changed("currency = \"CNY\"", "currency = ")),
            (Unreadable, changed("review_months = 12", "review_months = \"many\"")),
            (Unreadable, changed("review_months = 12", "review_month = 12")),
            (UnknownKey, changed("escalate_to", "amout = \"5\"\nescalate_to")),
            (UnknownRole, changed("by = [\"sales\"]", "by = [\"salse\"]")),
            (UnknownRole, changed("escalate_to = \"management\"", "escalate_to = \"boss\"")),
            (UnknownStep, changed("after = [\"handed-in\"]", "after = [\"handed-out\"]")),
            (UnknownStep, changed("response = \"recorded\"", "response = \"heard\"")),
            (
                UnknownEntry,
                changed("after = [\"handed-in\"]", "after = [\"handed-in\"]\nchecks = [\"quality\"]"),
            ),
            (UnknownWindow, rule("form = \"outside-window\"\nstep = \"opened\"\nwindow = \"w\"")),
            (StepsApart, rule("form = \"within\"\nfrom = \"placed\"\nuntil = \"answered\"\ndays = 1")),
            (NotEarlier, changed("after = [\"handed-in\"]", "after = [\"settled\"]")),
            (NotEarlier, changed("after = [\"handed-in\"]", "after = [\"reviewed\"]")),
            (Nobody, changed("by = [\"sales\"]", "by = []")),
            (NoClosing, changed("closes = true", "closes = false")),
            (WrongSubject, changed("subject = \"order\"", "subject = \"ticket\"")),
            (IdTwice, changed("id = \"placed\"", "id = \"reviewed\"")),
            (
                IdTwice,
                changed(
                    "[calendar]",
                    "[calendar]\nholidays = [\"2026-10-01\"]\nextra_days = [\"2026-10-01\"]",
                ),
            ),
            (IdTwice, added(&format!("{}{}", material("a"), material("b")))),
            (IdTwice, changed("id = \"written-warning\"", "id = \"verbal-warning\"")),
            (IdTwice, rule("form = \"mistake\"\nstep = \"placed\"").replace("\"x\"", "\"ticket-deadline\"")),
            (Reserved, changed("id = \"handed-in\"", "id = \"opened\"")),
            (UnknownStep, rule("form = \"without\"\nstep = \"placed\"\nneeds = \"asked\"")),
            (OutOfRange, rule(&format!("{within}days = 61\ndoubling = true\namount = \"10\""))),
            (NothingToJudge, rule(&format!("{within}days = 3\ndoubling = true"))),
            (BadAmount, rule("form = \"mistake\"\nstep = \"placed\"\nonce = \"10000000.01\"")),
            (BadTimezone, changed("Asia/Shanghai", "Asia/Atlantis")),
            (BadCurrency, changed("CNY", "yuan")),
            (BadAmount, rule("form = \"mistake\"\nstep = \"placed\"\nonce = \"fifty\"")),
            (BadAmount, rule("form = \"mistake\"\nstep = \"placed\"\nonce = \"-50\"")),
            (BadPeriod, added(&format!("{window}from = \"18:00:00\"\nto = \"17:00:00\""))),
            (BadPeriod, changed("from = \"13:00:00\"", "from = \"11:00:00\"")),
            (
                BadMonthDays,
                added(&format!("{window}from = \"01:00:00\"\nto = \"02:00:00\"\ndays_of_month = [20, 15]")),
            ),
            (NoWorkingTime, changed("[\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\"]", "[]")),
            (OutOfRange, changed("review_months = 12", "review_months = 4000000000")),
            (NoWords, changed("zh = \"通用\"", "zh = \" \"")),
            (NoClause, changed("clause = \"general\"", "clause = \"\"")),
            (NothingToJudge, rule("form = \"lead-time\"\nstep = \"placed\"")),
            (PowerMissing, changed("\"policy\", ", "")),
        ];
        for (code, toml) in &cases {
            let faults = Policy::parse(toml).expect_err(code.as_str());
            let fault = faults.iter().find(|fault| fault.code == *code);
            let fault = fault.unwrap_or_else(|| panic!("{code:?} not in {faults:?}"));
            assert_eq!(fault.line.is_some(), *code != TooLarge, "{fault}");
            assert!(!fault.words(Lang::Zh).contains('{') && !fault.words(Lang::En).contains('{'));
        }
        for code in FaultCode::ALL {
            assert!(cases.iter().any(|(shown, _)| shown == code), "{code:?} is not shown");
        }
    }

    #[test]
    fn all_faults_are_told_at_once_each_with_its_line() {
        let toml = changed("CNY", "yuan").replace("[\"reviewed\"]", "[\"reviewd\"]");
        let faults = Policy::parse(&toml).unwrap_err();
        let told: Vec<_> = faults.iter().map(|f| (f.code.as_str(), f.path.as_str())).collect();
        assert_eq!(told, [("bad_currency", "currency"), ("unknown_step", "flows.order.steps[2].after[0]")]);
        for (fault, text) in faults.iter().zip(["currency = \"yuan\"", "after = [\"reviewd\"]"]) {
            assert_eq!(toml.lines().nth(fault.line.unwrap() - 1), Some(text));
        }
    }

    #[test]
    fn what_has_the_wrong_shape_is_told_piece_by_piece_with_path_and_line() {
        let toml = changed("by = [\"sales\"]", "by = \"sales\"")
            .replace("repeat = true\nphysical = true", "repeat = \"yes\"")
            .replace("form = \"urgency\"", "form = \"emergency\"")
            .replace("[roles.hr]", "[roles.HR]")
            .replace("response_hours = 1\n", "");
        let faults = Policy::parse(&toml).unwrap_err();
        let told: Vec<_> = faults.iter().map(|f| (f.path.as_str(), f.line)).collect();
        let line = |text: &str| Some(toml.lines().position(|line| line.contains(text)).unwrap() + 1);
        assert_eq!(
            told,
            [
                ("roles.HR", line("[roles.HR]")),
                ("flows.order.steps[0]", line("by = \"sales\"")),
                ("flows.order.steps[4]", line("repeat = \"yes\"")),
                ("urgencies.urgent", line("[urgencies.urgent]")),
                ("rules[0]", line("id = \"ticket-deadline\"").map(|line| line - 1)),
            ],
            "{faults:#?}"
        );
        assert!(faults.iter().all(|fault| fault.code == FaultCode::Unreadable));
        let twice =
            toml.replacen("zh = \"通用\"", "zh = ", 1).replacen("currency = \"CNY\"", "currency = ", 1);
        let lines: Vec<_> = Policy::parse(&twice).unwrap_err().iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [line("name = ").map(|line| line + 1), line("currency = ")]);
    }

    #[test]
    fn the_number_of_faults_told_is_bounded() {
        let toml = changed("by = [\"sales\"]", &format!("by = [{}]", "\"x\", ".repeat(20_000)));
        assert_eq!(Policy::parse(&toml).unwrap_err().len(), limits::POLICY_FAULTS_MAX);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_check_panic(text in ".{0,400}", at in 0usize..4_000) {
            let cut = SMALL.floor_char_boundary(at);
            let told = Policy::parse(&format!("{}{text}{}", &SMALL[..cut], &SMALL[cut..]));
            prop_assert!(told.is_ok() || told.is_err_and(|faults| !faults.is_empty()));
        }
    }
}
