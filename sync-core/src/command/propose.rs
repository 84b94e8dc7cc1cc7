//! From what the rules found of a case to the step that proposes it about a person (S3 五.1): the facts, clause
//! and amount go along as they were found. A person signs it; what the rules find punishes nobody.

use std::collections::BTreeMap;

use super::Record;
use crate::fact::kinds::Evidence;
use crate::ids::Name;
use crate::policy::judge::{Finding, Verdict};
use crate::policy::values::GRADE;

/// The step that proposes the breaches of a rule that were found of the case of this number; `None` where none
/// was found. The penalty is the one named, or the one that the rule names.
pub(super) fn proposal(
    step: Name,
    found: &[Finding],
    rule: &Name,
    number: &str,
    penalty: Option<Name>,
) -> Option<Record> {
    let breaches: Vec<&Finding> =
        found.iter().filter(|f| f.rule == *rule && f.verdict == Verdict::Breach).collect();
    let first = breaches.first()?;
    let value = |key: &str, text: String| key.parse().ok().map(|key: Name| (key, text));
    let amounts = breaches.iter().filter_map(|f| f.amount);
    let amount = amounts.map(Ok).reduce(|sum, next| sum?.checked_add(next?)).and_then(Result::ok);
    let (zh, en) = first.title.pair();
    let values: BTreeMap<Name, String> = [
        value("reason", format!("{number}:{zh}({})", first.clause)),
        penalty.or_else(|| first.penalty.clone()).and_then(|penalty| value(GRADE, penalty.to_string())),
        amount.and_then(|amount| value("amount", amount.to_string())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let evidence = |found: &&Finding| {
        let facts: Vec<String> = found.facts.iter().map(ToString::to_string).collect();
        let late = found.days_late.map(|days| format!(";迟{days}天 / {days} days late")).unwrap_or_default();
        Evidence::text_message(&format!("{number}:{zh} / {en}{late};{};{}", found.clause, facts.join(" ")))
    };
    let evidence = breaches.iter().take(crate::limits::EVIDENCE_MAX).map(evidence).collect();
    Some(Record { values, evidence, ..Record::done(step) })
}
