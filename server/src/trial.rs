//! Trying a policy: what it would have found in the orders and tickets of the last days.
//!
//! In: a relay, a checked policy, days, now in Unix milliseconds. Out: a [`Trial`]: per rule, how many
//! findings would be new, gone or other, and what is proposed for all of them before and after. Each
//! order and ticket is folded and judged twice at the same moment by [`sync_core::findings`]: by the policy
//! that is in force for it, and as if the tried one always had been. Nothing is written.
//!
//! Bounded: documents are read one after another, at most [`CASES_MAX`] are judged (the trial says where
//! that was not all), and at most [`EXAMPLES_MAX`] are shown. Deadlines that are still ahead are no findings
//! here. Deliberately not here: who may try, and any personal data but the numbers of orders.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sync_core::directory::{Directory, PolicyRef, Rules};
use sync_core::document::Document;
use sync_core::findings::findings;
use sync_core::fold::{fold, outline};
use sync_core::ids::{BlobHash, DocId, DocKind, FactId, Name, Position};
use sync_core::money::Money;
use sync_core::policy::judge::{Finding, Verdict};
use sync_core::policy::model::Policy;
use sync_core::time::UnixMs;
use utoipa::ToSchema;

use crate::relay::{Relay, RelayError};

/// Days that are looked back, where nobody says otherwise.
pub const DAYS: u32 = 30;
/// Days that may be looked back.
pub const DAYS_MAX: u32 = 366;
/// Orders and tickets that are judged.
pub const CASES_MAX: usize = 20_000;
/// Examples that are shown.
pub const EXAMPLES_MAX: usize = 20;
/// Documents of the index that are read at once.
const PAGE: usize = 1_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// What a policy would have found otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    /// Days that were looked back.
    pub days: u32,
    /// Orders and tickets that were judged.
    pub judged: usize,
    /// There were more of them than are judged at once.
    pub cut_short: bool,
    /// What differs, by rule.
    pub rules: Vec<RuleTrial>,
    /// The first of the differences.
    pub examples: Vec<Example>,
}

/// What differs under one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleTrial {
    /// The rule.
    pub rule: String,
    /// What people call the finding, in Chinese.
    pub zh: String,
    /// The same in English.
    pub en: String,
    /// Findings that only the tried policy makes.
    pub new: u64,
    /// Findings that it does not make any more.
    pub gone: u64,
    /// Findings that it makes with another amount, lateness or certainty.
    pub changed: u64,
    /// What is proposed for all findings of the rule today, an amount for each currency such as `50.00 CNY`.
    pub before: Vec<String>,
    /// What the tried policy would propose.
    pub after: Vec<String>,
}

/// One finding that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Example {
    /// The order's or ticket's number.
    pub number: String,
    /// The rule.
    pub rule: String,
    /// How it differs.
    pub how: How,
    /// What is proposed today, for each whom it is about.
    pub before: Option<String>,
    /// What the tried policy would propose.
    pub after: Option<String>,
}

/// How a finding differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was not found before.
    New,
    /// It is not found any more.
    Gone,
    /// It is found with another amount, lateness or certainty.
    Changed,
}

/// Tries a policy on what was opened in the last days.
///
/// # Errors
/// Where the log or a document of it cannot be read.
pub fn try_policy(relay: &Relay, policy: &Policy, days: u32, now_ms: UnixMs) -> Result<Trial, RelayError> {
    let footing = relay.footing();
    let always = PolicyRef { version: 1, hash: BlobHash([0; 32]), effective_ms: UnixMs::MIN };
    let directory = Directory { policies: vec![always], ..footing.directory.clone() };
    let policies = BTreeMap::from([(1, policy.clone())]);
    let tried = Rules { directory: &directory, policies: &policies };
    let days = days.min(DAYS_MAX);
    let since_ms = now_ms.saturating_sub(i64::from(days) * DAY_MS);
    let mut trying = Trying { today: footing.rules(), tried, since_ms, now_ms, tally: Tally::default() };
    let mut after = None;
    loop {
        let docs = relay.log().documents(after, PAGE)?;
        for (doc, last) in &docs {
            let of_kind = matches!(doc.kind(), DocKind::Order | DocKind::Ticket);
            if !of_kind || rested(relay, *last, since_ms)? {
                continue;
            }
            if trying.tally.judged >= CASES_MAX {
                return Ok(trying.tally.told(days, true));
            }
            relay.look(*doc, |found| trying.case(found))?;
        }
        after = docs.last().map(|(doc, _): &(DocId, Position)| *doc);
        if docs.len() < PAGE {
            return Ok(trying.tally.told(days, false));
        }
    }
}

/// Whether a document's newest change came before a moment: then it was opened before it too.
fn rested(relay: &Relay, last: Position, since_ms: UnixMs) -> Result<bool, RelayError> {
    let newest = relay.log().read(Position(last.0.saturating_sub(1)), 1)?;
    Ok(newest.first().is_some_and(|logged| logged.at_ms < since_ms))
}

struct Trying<'a> {
    today: Rules<'a>,
    tried: Rules<'a>,
    since_ms: UnixMs,
    now_ms: UnixMs,
    tally: Tally,
}

/// What a finding is known by under both policies.
type Key = (Name, Name, Vec<FactId>);

impl Trying<'_> {
    fn case(&mut self, doc: &Document) {
        let outline = outline(doc);
        let Some(opened) = &outline.opened else { return };
        if outline.opened_ms().is_none_or(|ms| ms < self.since_ms || ms > self.now_ms) {
            return;
        }
        self.tally.judged += 1;
        let (before, after) = (self.found(doc, &self.today), self.found(doc, &self.tried));
        for finding in before.values() {
            self.tally.rule(finding).before.add(finding);
        }
        for finding in after.values() {
            self.tally.rule(finding).after.add(finding);
        }
        let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
        for key in keys {
            self.tally.differs(&opened.what.number, before.get(key), after.get(key));
        }
    }

    fn found(&self, doc: &Document, rules: &Rules<'_>) -> BTreeMap<Key, Finding> {
        let found = findings(doc, &fold(doc, rules), rules, self.now_ms);
        let wrong = found.into_iter().filter(|f| f.verdict != Verdict::Due);
        wrong.map(|f| ((f.rule.clone(), f.step.clone(), f.facts.clone()), f)).collect()
    }
}

/// What was found so far.
#[derive(Default)]
struct Tally {
    judged: usize,
    rules: BTreeMap<Name, Line>,
    examples: Vec<Example>,
}

#[derive(Default)]
struct Line {
    told: RuleTrial,
    before: Sum,
    after: Sum,
}

/// Amounts by currency.
#[derive(Default)]
struct Sum(Vec<Money>);

impl Sum {
    /// Adds what a finding proposes for everyone whom it is about.
    fn add(&mut self, finding: &Finding) {
        let Some(amount) = finding.amount else { return };
        let each = if finding.one_of { 1 } else { finding.about.len().max(1) };
        let minor = amount.minor.saturating_mul(i64::try_from(each).unwrap_or(i64::MAX));
        match self.0.iter_mut().find(|sum| sum.currency == amount.currency) {
            Some(sum) => sum.minor = sum.minor.saturating_add(minor),
            None => self.0.push(Money::new(minor, amount.currency)),
        }
    }
    fn texts(&self) -> Vec<String> {
        self.0.iter().map(Money::to_string).collect()
    }
}

impl Tally {
    fn rule(&mut self, finding: &Finding) -> &mut Line {
        let line = self.rules.entry(finding.rule.clone()).or_default();
        let (zh, en) = finding.title.pair();
        (line.told.rule, line.told.zh, line.told.en) =
            (finding.rule.to_string(), zh.to_owned(), en.to_owned());
        line
    }

    fn differs(&mut self, number: &str, before: Option<&Finding>, after: Option<&Finding>) {
        let told = |f: &Finding| (f.verdict, f.amount, f.days_late);
        let how = match (before, after) {
            (None, Some(_)) => How::New,
            (Some(_), None) => How::Gone,
            (Some(old), Some(new)) if told(old) != told(new) => How::Changed,
            _ => return,
        };
        let Some(finding) = after.or(before) else { return };
        let counts = &mut self.rule(finding).told;
        match how {
            How::New => counts.new += 1,
            How::Gone => counts.gone += 1,
            How::Changed => counts.changed += 1,
        }
        if self.examples.len() < EXAMPLES_MAX {
            let amount = |finding: Option<&Finding>| finding?.amount.map(|amount| amount.to_string());
            self.examples.push(Example {
                number: number.to_owned(),
                rule: finding.rule.to_string(),
                how,
                before: amount(before),
                after: amount(after),
            });
        }
    }

    /// The trial; rules under which nothing differs are left out.
    fn told(self, days: u32, cut_short: bool) -> Trial {
        let told =
            |line: Line| RuleTrial { before: line.before.texts(), after: line.after.texts(), ..line.told };
        let differs = |rule: &RuleTrial| rule.new + rule.gone + rule.changed > 0;
        let rules = self.rules.into_values().map(told).filter(differs).collect();
        Trial { days, judged: self.judged, cut_short, rules, examples: self.examples }
    }
}
