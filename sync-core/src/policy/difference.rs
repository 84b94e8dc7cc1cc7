//! What differs between two policies, for whoever decides about the newer one.
//!
//! In: two checked policies. Out: one [`Difference`] for each value that came, went or changed, in the
//! order of their paths; paths are those of [`super::check`], but what has an id is named by it and not by
//! its place. Values are as TOML writes them. Deliberately not here: what a difference comes to for the
//! orders of the last month.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::model::Policy;

/// One value that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, such as `flows.order.steps[placed].who`.
    pub path: String,
    /// What stands in the older one; `None` where nothing does.
    pub before: Option<String>,
    /// What stands in the newer one; `None` where nothing does.
    pub after: Option<String>,
    /// The clause that the newer one gives for it, or the older one where it went.
    pub clause: Option<String>,
}

/// What differs; nothing where both are the same policy.
pub fn differences(before: &Policy, after: &Policy) -> Vec<Difference> {
    let table =
        |policy| Table::try_from(policy).expect("a checked policy is a table (check reads it from one)");
    let mut found = Vec::new();
    compare_tables("", &table(before), &table(after), None, &mut found);
    found
}

/// Compares two values at a path; `clause` is the nearest above them.
fn compare(
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    clause: Option<&str>,
    found: &mut Vec<Difference>,
) {
    match (before, after) {
        (Some(Value::Table(before)), Some(Value::Table(after))) => {
            compare_tables(path, before, after, clause, found);
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if old != new => match (by_id(old), by_id(new)) {
            (Some(before), Some(after)) => compare_rows(path, &before, &after, clause, found),
            _ => told(path, before, after, clause, found),
        },
        (before, after) if before != after => told(path, before, after, clause, found),
        _ => {}
    }
}

fn told(
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    clause: Option<&str>,
    found: &mut Vec<Difference>,
) {
    let own =
        |value: Option<&Value>| value.and_then(|value| value.get("clause")?.as_str().map(str::to_owned));
    found.push(Difference {
        path: path.to_owned(),
        before: before.map(Value::to_string),
        after: after.map(Value::to_string),
        clause: own(after).or_else(|| own(before)).or_else(|| clause.map(str::to_owned)),
    });
}

fn compare_tables(
    path: &str,
    before: &Table,
    after: &Table,
    clause: Option<&str>,
    found: &mut Vec<Difference>,
) {
    let clause = after.get("clause").or_else(|| before.get("clause")).and_then(Value::as_str).or(clause);
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        compare(&path, before.get(key), after.get(key), clause, found);
    }
}

/// Steps, rules and grades in the order in which they stand.
type Rows<'a> = Vec<(&'a str, &'a Value)>;

fn by_id(array: &[Value]) -> Option<Rows<'_>> {
    array.iter().map(|value| Some((value.get("id")?.as_str()?, value))).collect()
}

fn compare_rows(
    path: &str,
    before: &Rows<'_>,
    after: &Rows<'_>,
    clause: Option<&str>,
    found: &mut Vec<Difference>,
) {
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (before.iter().copied().collect(), after.iter().copied().collect());
    let order = |rows: &Rows<'_>, other: &BTreeMap<&str, &Value>| -> Vec<String> {
        rows.iter().filter(|(id, _)| other.contains_key(id)).map(|(id, _)| (*id).to_owned()).collect()
    };
    let (stood, stand) = (order(before, &new), order(after, &old));
    if stood != stand {
        found.push(Difference {
            path: path.to_owned(),
            before: Some(stood.join(", ")),
            after: Some(stand.join(", ")),
            clause: clause.map(str::to_owned),
        });
    }
    let mut ids: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        compare(&format!("{path}[{id}]"), old.get(id).copied(), new.get(id).copied(), clause, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::check::SHIPPED;

    fn policy(toml: &str) -> Policy {
        Policy::parse(toml).expect("a shipped policy, a little changed")
    }

    #[test]
    fn a_policy_differs_from_itself_in_nothing_and_from_every_other_one_in_its_name() {
        for (name, toml) in SHIPPED {
            assert_eq!(differences(&policy(toml), &policy(toml)), []);
            for (other, others) in SHIPPED.iter().filter(|(other, _)| other != name) {
                let found = differences(&policy(toml), &policy(others));
                assert!(found.iter().any(|d| d.path == "name"), "{name} and {other}");
            }
        }
    }

    #[test]
    fn every_kind_of_difference_is_told_with_its_path_and_clause() {
        let before = policy(SHIPPED[0].1);
        let mut after = before.clone();
        after.review_months = 6;
        let flow = after.flows.get_mut("order").expect("it has orders");
        let (first, last) = (flow.steps[0].id.clone(), flow.steps.len() - 1);
        flow.steps[0].title.en = "another word".into();
        let gone = flow.steps.remove(last);
        let causes = after.causes.len();
        after.causes.insert("weather".parse().expect("a name"), before.title.clone());
        assert_eq!(after.causes.len(), causes + 1);
        let found = differences(&before, &after);
        let told = |path: &str| found.iter().find(|d| d.path == path).expect(path);
        let months = told("review_months");
        assert_eq!((months.before.as_deref(), months.after.as_deref()), (Some("12"), Some("6")));
        let title = told(&format!("flows.order.steps[{first}].title.en"));
        assert!(title.clause.as_ref().is_some_and(|clause| clause.starts_with('S')), "{title:?}");
        let step = told(&format!("flows.order.steps[{}]", gone.id));
        assert!(step.before.is_some() && step.after.is_none(), "{step:?}");
        assert_eq!(step.clause, Some(gone.clause));
        assert!(told("causes.weather").before.is_none());
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn steps_that_changed_their_places_are_told_once() {
        let before = policy(SHIPPED[0].1);
        let mut after = before.clone();
        after.rules.swap(0, 1);
        let found = differences(&before, &after);
        assert_eq!(found.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(), ["rules"]);
    }
}
