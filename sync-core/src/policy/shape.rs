//! What has the wrong shape in a policy's TOML: every piece of it that cannot be read, not only the first.
//!
//! In: the text, its table, and the error that reading the whole met. Out: faults with the path of their
//! piece (a role, a step, a rule) and the line in it. Each piece is read by itself; where every piece
//! reads well, the error is one of the whole, such as a table that is missing.
//!
//! Invariants: never an empty list, and at most [`limits::POLICY_FAULTS_MAX`] faults.
//!
//! Deliberately not here: whether what was read fits together (see [`super::check`]).

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error, ValueDeserializer};

use super::check::line_of;
use super::fault::{FaultCode, PolicyFault};
use super::model::{
    Calendar, Grade, Material, Measure, Point, Role, Rule, Step, Suspension, Urgency, Window, Words,
};
use crate::ids::Name;
use crate::limits;

/// Faults from errors of the TOML, each with the path of its piece.
pub(super) fn told<'e>(text: &str, errors: impl Iterator<Item = (String, &'e Error)>) -> Vec<PolicyFault> {
    let fault = |(path, error): (String, &Error)| {
        let line = error.span().map(|span| line_of(text, span.start));
        PolicyFault { line, ..PolicyFault::new(FaultCode::Unreadable, path, error.message()) }
    };
    errors.take(limits::POLICY_FAULTS_MAX).map(fault).collect()
}

/// Every piece of the table that cannot be read; `whole` where all of them can.
pub(super) fn faults(text: &str, table: &DeTable<'_>, whole: &Error) -> Vec<PolicyFault> {
    let mut pieces = Pieces { text, faults: Vec::new() };
    for (key, value) in table {
        let key = key.get_ref().as_ref();
        match key {
            "title" => pieces.piece::<Words>(key, value),
            "calendar" => pieces.piece::<Calendar>(key, value),
            "roles" => pieces.each::<Role>(key, value),
            "materials" => pieces.each::<Material>(key, value),
            "urgencies" => pieces.each::<Urgency>(key, value),
            "windows" => pieces.each::<Window>(key, value),
            "suspension" => pieces.piece::<Suspension>(key, value),
            "causes" | "survey" => pieces.each::<Words>(key, value),
            "documents" | "checks" => pieces.each::<Point>(key, value),
            "measures" => pieces.each::<Measure>(key, value),
            "penalties" | "rewards" => pieces.list::<Grade>(key, value),
            "rules" => pieces.list::<Rule>(key, value),
            "flows" => pieces.flows(value),
            _ => {}
        }
    }
    let mut faults = pieces.faults;
    if faults.is_empty() {
        faults = told(text, std::iter::once((String::new(), whole)));
    }
    faults.sort_by_key(|fault| fault.line);
    faults.truncate(limits::POLICY_FAULTS_MAX);
    faults
}

struct Pieces<'t> {
    text: &'t str,
    faults: Vec<PolicyFault>,
}

impl Pieces<'_> {
    fn piece<T: DeserializeOwned>(&mut self, path: &str, value: &Spanned<DeValue<'_>>) {
        if let Err(error) = T::deserialize(ValueDeserializer::from(value.clone())) {
            let line = error.span().or_else(|| Some(value.span())).map(|s| line_of(self.text, s.start));
            let fault = PolicyFault::new(FaultCode::Unreadable, path, error.message());
            self.faults.push(PolicyFault { line, ..fault });
        }
    }

    /// A table of pieces by name.
    fn each<T: DeserializeOwned>(&mut self, path: &str, value: &Spanned<DeValue<'_>>) {
        let DeValue::Table(table) = value.get_ref() else { return };
        for (key, value) in table {
            let path = format!("{path}.{}", key.get_ref());
            self.name(&path, key.get_ref(), key.span().start);
            self.piece::<T>(&path, value);
        }
    }

    fn list<T: DeserializeOwned>(&mut self, path: &str, value: &Spanned<DeValue<'_>>) {
        let DeValue::Array(array) = value.get_ref() else { return };
        for (at, value) in array.iter().enumerate() {
            self.piece::<T>(&format!("{path}[{at}]"), value);
        }
    }

    fn flows(&mut self, value: &Spanned<DeValue<'_>>) {
        let DeValue::Table(flows) = value.get_ref() else { return };
        for (key, flow) in flows {
            let path = format!("flows.{}", key.get_ref());
            self.name(&path, key.get_ref(), key.span().start);
            let before = self.faults.len();
            if let Some(steps) = flow.get_ref().as_table().and_then(|flow| flow.get("steps")) {
                self.list::<Step>(&format!("{path}.steps"), steps);
            }
            if self.faults.len() == before {
                self.piece::<super::model::Flow>(&path, flow);
            }
        }
    }

    fn name(&mut self, path: &str, key: &str, offset: usize) {
        if let Err(error) = key.parse::<Name>() {
            let fault = PolicyFault::new(FaultCode::Unreadable, path, &error.to_string());
            self.faults.push(PolicyFault { line: Some(line_of(self.text, offset)), ..fault });
        }
    }
}
