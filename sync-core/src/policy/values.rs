//! Values of steps that figures count by: which names have a meaning, and which texts are none for them.
//!
//! In: a policy and the values of a step. Out: the value that could not be counted, in words. Deliberately not
//! here: counting.

use std::collections::BTreeMap;

use super::model::{LIFTED, MeasureForm, Policy, Subject, UPHELD, Urgency, Words};
use crate::ids::Name;

/// The value of a step that is one of the policy's causes, where it names any: figures count by it.
pub const CAUSE: &str = "cause";
/// The value of a step that answers the survey as a whole, 1 to 5 (S5 满意度调查).
pub const CSAT: &str = "csat";
/// The value of a step of a record about a person that is one of the policy's penalties or rewards, where it
/// names any: nobody is punished by a grade that no rule knows (S1 第十九条).
pub const GRADE: &str = "kind";
/// The value of a step of a record about a person that decides an appeal: [`UPHELD`] or [`LIFTED`].
pub const DECISION: &str = "decision";

impl Policy {
    /// Which value of a step figures could not count, and why, each in Chinese and English: a [`CAUSE`], or
    /// the [`GRADE`] of a record about a person, that is no entry of this policy, another [`DECISION`] about it
    /// than the two there are, or an answer or rating that is not 1 to 5.
    pub fn odd_value<'a>(
        &'a self,
        subject: Subject,
        values: &BTreeMap<Name, String>,
    ) -> Option<[(&'a str, &'a str); 2]> {
        let unnamed = ("制度里没有这一项", "the policy names no such entry");
        let stranger = |value: &str, entries: &[&Name]| {
            values
                .get(value)
                .is_some_and(|said| !entries.is_empty() && !entries.iter().any(|entry| **entry == **said))
        };
        let causes: Vec<&Name> = self.causes.keys().collect();
        let grades: Vec<&Name> = self.penalties.iter().chain(&self.rewards).map(|grade| &grade.id).collect();
        if stranger(CAUSE, &causes) {
            return Some([("原因", "cause"), unnamed]);
        }
        if subject == Subject::Conduct && stranger(GRADE, &grades) {
            return Some([("奖惩种类", "kind of reward or penalty"), unnamed]);
        }
        let undecided = |said: &String| ![UPHELD, LIFTED].contains(&said.as_str());
        if subject == Subject::Conduct && values.get(DECISION).is_some_and(undecided) {
            return Some([
                ("申诉决定", "decision on the appeal"),
                ("须为upheld(维持)或lifted(撤销)", "it is upheld or lifted"),
            ]);
        }
        let odd = values.iter().filter(|(_, text)| score(text).is_none());
        let title = odd.filter_map(|(name, _)| self.scored(name)).next();
        title.map(|title| [title, ("须为1至5分", "it is 1 to 5")])
    }

    /// How urgent a ticket is: what was said of it, else the urgency that leaves the most time. No ticket is
    /// without a deadline.
    pub fn urgency(&self, said: Option<&Name>) -> Option<&Urgency> {
        let mildest = || self.urgencies.values().max_by_key(|urgency| urgency.resolution_hours);
        said.map_or_else(mildest, |name| self.urgencies.get(name))
    }

    /// The cause of this name, where no payment is taken for it.
    pub fn free_cause(&self, name: &str) -> Option<&Words> {
        self.free_of_charge.iter().find(|free| **free == *name).and_then(|free| self.causes.get(free))
    }

    /// What people call an answer or rating of this name, which is 1 to 5; `None` for any other value.
    fn scored(&self, name: &Name) -> Option<(&str, &str)> {
        if let Some(question) = self.survey.get(name) {
            return Some(question.pair());
        }
        let rated = self.measures.get(name).filter(|measure| measure.form == MeasureForm::Rated);
        let whole = (*name == *CSAT).then_some(("满意度", "satisfaction"));
        rated.map(|measure| measure.title.pair()).or(whole)
    }
}

/// An answer or rating, 1 to 5; none where the text is another.
pub fn score(text: &str) -> Option<i64> {
    text.trim().parse().ok().filter(|score| (1..=5).contains(score))
}
