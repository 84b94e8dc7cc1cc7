//! What differs between two policies, for whoever decides about the newer one.
//!
//! In: two checked policies. Out: one [`Difference`] for each value that came, went or changed, in the
//! order of their paths; paths are those of [`super::check`], but what has an id is named by it and not by
//! its place. Values are as TOML writes them. Deliberately not here: what a difference comes to for the
//! orders of the last month.

use std::collections::{BTreeMap, BTreeSet};

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
    let (before, after) = (Value::Table(table(before)), Value::Table(table(after)));
    let mut found = Vec::new();
    At { path: "", clause: None, found: &mut found }.compare(Some(&before), Some(&after));
    found
}

/// What stands under a name: a key of a table, or the id of a step, rule or grade.
type Members<'v> = BTreeMap<&'v str, &'v Value>;

/// Where the walk stands, the nearest clause above it, and what it has found so far.
struct At<'w> {
    path: &'w str,
    clause: Option<&'w str>,
    found: &'w mut Vec<Difference>,
}

impl At<'_> {
    fn compare(&mut self, before: Option<&Value>, after: Option<&Value>) {
        match (before, after) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => {
                let clause = own_clause(before, after).or(self.clause);
                let key = |path: &str, key: &str| match path {
                    "" => key.to_owned(),
                    _ => format!("{path}.{key}"),
                };
                At { clause, ..self.here() }.members(&of_table(old), &of_table(new), key);
            }
            (Some(Value::Array(old)), Some(Value::Array(new))) if old != new => {
                match (by_id(old), by_id(new)) {
                    (Some(old), Some(new)) => self.rows(&old, &new),
                    _ => self.told(before, after),
                }
            }
            (before, after) if before != after => self.told(before, after),
            _ => {}
        }
    }

    /// Compares what has the same name, in the order of the names.
    fn members(&mut self, before: &Members<'_>, after: &Members<'_>, path_of: fn(&str, &str) -> String) {
        let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        for name in names {
            let path = path_of(self.path, name);
            let at = &mut At { path: &path, ..self.here() };
            at.compare(before.get(name).copied(), after.get(name).copied());
        }
    }

    /// Compares steps, rules or grades by their ids; another order of them is told once.
    fn rows(&mut self, before: &[(&str, &Value)], after: &[(&str, &Value)]) {
        let (old, new): (Members<'_>, Members<'_>) =
            (before.iter().copied().collect(), after.iter().copied().collect());
        let common = |rows: &[(&str, &Value)]| {
            let both =
                rows.iter().map(|(id, _)| *id).filter(|id| old.contains_key(id) && new.contains_key(id));
            both.collect::<Vec<_>>().join(", ")
        };
        let (stood, stand) = (common(before), common(after));
        if stood != stand {
            self.found.push(Difference {
                path: self.path.to_owned(),
                before: Some(stood),
                after: Some(stand),
                clause: self.clause.map(str::to_owned),
            });
        }
        self.members(&old, &new, |path, id| format!("{path}[{id}]"));
    }

    fn told(&mut self, before: Option<&Value>, after: Option<&Value>) {
        self.found.push(Difference {
            path: self.path.to_owned(),
            before: before.map(Value::to_string),
            after: after.map(Value::to_string),
            clause: own_clause(before, after).or(self.clause).map(str::to_owned),
        });
    }

    fn here(&mut self) -> At<'_> {
        At { path: self.path, clause: self.clause, found: self.found }
    }
}

/// The clause that a value gives for itself: the newer one, or the older one where it went.
fn own_clause<'v>(before: Option<&'v Value>, after: Option<&'v Value>) -> Option<&'v str> {
    let own = |value: Option<&'v Value>| value?.get("clause")?.as_str();
    own(after).or_else(|| own(before))
}

fn of_table(table: &Table) -> Members<'_> {
    table.iter().map(|(key, value)| (key.as_str(), value)).collect()
}

/// Steps, rules and grades in the order in which they stand; `None` where something has no id.
fn by_id(array: &[Value]) -> Option<Vec<(&str, &Value)>> {
    array.iter().map(|value| Some((value.get("id")?.as_str()?, value))).collect()
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
