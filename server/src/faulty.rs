//! What is wrong with a policy, told: the one place for the command line, the API and the founding.
//!
//! In: a policy's text and what its writer calls it. Out: the policy, or a [`Faulty`] that tells every
//! fault with its code, path, line and words in both languages: as lines for people, as values for
//! machines. Not here: finding faults (see [`sync_core::policy::check`]).

use std::fmt::Write as _;

use serde::Serialize;
use sync_core::policy::fault::PolicyFault;
use sync_core::policy::model::Policy;
use sync_core::refusal::Lang;
use utoipa::ToSchema;

/// A policy that cannot be worked by.
#[derive(Debug, thiserror::Error)]
#[error("「{policy}」有{}处问题,改好后再试。 / {policy} has {} faults; mend them and try again", .faults.len(), .faults.len())]
pub struct Faulty {
    policy: String,
    faults: Vec<PolicyFault>,
}

/// One fault of a policy.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fault {
    /// The stable code.
    code: &'static str,
    /// Where, such as `flows.order.steps[3].after`; empty for the whole.
    path: String,
    /// The line of the text, counted from 1.
    line: Option<usize>,
    /// What is wrong, in Chinese.
    zh: String,
    /// The same in English.
    en: String,
}

impl Faulty {
    /// Reads a policy; `name` is what its writer calls it, such as the file's.
    ///
    /// # Errors
    /// With every fault, where it cannot be worked by.
    pub fn check(name: &str, toml: &str) -> Result<Policy, Self> {
        Policy::parse(toml).map_err(|faults| Self { policy: name.to_owned(), faults })
    }

    /// The faults, for machines.
    pub fn faults(&self) -> Vec<Fault> {
        let fault = |fault: &PolicyFault| Fault {
            code: fault.code.as_str(),
            path: fault.path.clone(),
            line: fault.line,
            zh: fault.words(Lang::Zh),
            en: fault.words(Lang::En),
        };
        self.faults.iter().map(fault).collect()
    }

    /// The faults, for people: each with its place as compilers write it, then its words.
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        for fault in self.faults() {
            let at = fault.line.map(|line| format!(":{line}")).unwrap_or_default();
            let Fault { code, path, zh, en, .. } = &fault;
            writeln!(lines, "{}{at}: {path} [{code}]\n    {zh}\n    {en}", self.policy)
                .expect("a text takes every line");
        }
        lines
    }
}
