//! What a bench found: figures with their units, goals, and the same work through plain Automerge sync.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Plan;

/// A figure and what it may be at most.
#[derive(Clone, Debug)]
struct Goal {
    figure: String,
    value: f64,
    at_most: f64,
}

/// One key's figures.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    key: String,
    figures: Vec<(String, f64)>,
    goals: Vec<Goal>,
    baseline: Vec<(String, f64)>,
    notes: Vec<String>,
    failed: Option<String>,
}

fn rounded(value: f64) -> f64 {
    if value.abs() >= 100.0 { value.round() } else { (value * 1_000.0).round() / 1_000.0 }
}

impl Outcome {
    /// Nothing found yet.
    pub fn new(key: &str) -> Self {
        Self { key: key.to_owned(), ..Self::default() }
    }

    /// A bench that could not be run.
    pub fn failed(key: &str, error: &anyhow::Error) -> Self {
        Self { failed: Some(format!("{error:#}")), ..Self::new(key) }
    }

    /// Whether it could not be run.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// A figure; its name ends with its unit.
    pub fn figure(&mut self, name: &str, value: f64) {
        self.figures.push((name.to_owned(), value));
    }

    /// A figure that was told before.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// A figure with a goal.
    pub fn goal(&mut self, name: &str, value: f64, at_most: f64) {
        self.figure(name, value);
        self.goals.push(Goal { figure: name.to_owned(), value, at_most });
    }

    /// A figure of the baseline.
    pub fn baseline(&mut self, name: &str, value: f64) {
        self.baseline.push((name.to_owned(), value));
    }

    /// What a reader of the figures should know.
    pub fn note(&mut self, words: impl Into<String>) {
        self.notes.push(words.into());
    }

    fn ok(&self) -> bool {
        self.failed.is_none() && self.goals.iter().all(|g| g.value <= g.at_most)
    }

    /// The figures for people.
    pub fn table(&self, small: bool) -> String {
        let mut text = format!("{}\n", self.key);
        let mut line = |mark: &str, name: &str, value: f64, goal: &str| {
            // Writing to memory cannot fail.
            writeln!(text, "  {mark} {name:<34} {:>14} {goal}", rounded(value)).unwrap_or_default();
        };
        for (name, value) in &self.figures {
            match self.goals.iter().find(|g| g.figure == *name) {
                Some(goal) => {
                    let mark = match (small, goal.value <= goal.at_most) {
                        (true, _) => "·",
                        (false, true) => "✔",
                        (false, false) => "✘",
                    };
                    line(mark, name, *value, &format!("≤ {}", rounded(goal.at_most)));
                }
                None => line(" ", name, *value, ""),
            }
        }
        for (name, value) in &self.baseline {
            line("~", &format!("automerge sync: {name}"), *value, "");
        }
        for note in &self.notes {
            writeln!(text, "    {note}").unwrap_or_default();
        }
        text.push('\n');
        text
    }

    fn json(&self, small: bool) -> Value {
        let figures = |figures: &[(String, f64)]| -> Map<String, Value> {
            figures.iter().map(|(name, value)| (name.clone(), json!(rounded(*value)))).collect()
        };
        let judged = |ok: bool| if small { Value::Null } else { json!(ok) };
        let goal = |g: &Goal| json!({ "figure": g.figure, "value": rounded(g.value), "at_most": rounded(g.at_most), "ok": judged(g.value <= g.at_most) });
        json!({
            "figures": figures(&self.figures),
            "goals": self.goals.iter().map(goal).collect::<Vec<_>>(),
            "ok": if self.failed.is_some() { json!(false) } else { judged(self.ok()) },
            "automerge_sync": figures(&self.baseline),
            "notes": self.notes,
            "failed": self.failed,
        })
    }
}

/// Writes `bench.json`: what this run measured; keys of an earlier run of the same size stay.
pub fn write(plan: &Plan, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let path = plan.target.join("bench.json");
    let earlier: Value = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Value::Null,
    };
    let mut keys = match &earlier["keys"] {
        Value::Object(keys) if earlier["small"] == plan.small => keys.clone(),
        _ => Map::new(),
    };
    for outcome in outcomes {
        keys.insert(outcome.key.clone(), outcome.json(plan.small));
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = serde_json::to_string_pretty(&json!({ "small": plan.small, "cores": cores, "keys": keys }))?;
    Ok(std::fs::write(path, text + "\n")?)
}
