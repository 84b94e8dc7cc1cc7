//! What papers and stocks come to, read from the facts that somebody knew: all of them, or those before a
//! change.
//!
//! In: facts as [`super::story`] has them, and what the run was told. Out: whose a matter or record is, whether
//! a record holds, how many parts there are and which were taken by two. Written from ADR 0009 and S3 五, by
//! plain means: nothing of the product's fold is asked. Not here: who may say or see what ([`super::model`]).

use std::collections::{BTreeMap, BTreeSet};

use sync_core::fact::kinds::{Outcome, Payload, Step, StockMoved};
use sync_core::ids::{DocId, PersonId};

use super::model::Account;
use super::story::{Known, Story, Told};

impl<'a> Known<'a> {
    /// Whom it is about, as the first said who opened it.
    pub fn about(&self) -> Option<PersonId> {
        let opened = |told: &&Told| if let Payload::Opened(p) = &told.what { Some(p.about) } else { None };
        self.facts().iter().find_map(opened).flatten()
    }
    /// Whether a person opened it, also apart from another who took the same number.
    pub fn opened_by(&self, person: PersonId) -> bool {
        self.facts().iter().any(|told| told.author == person && matches!(told.what, Payload::Opened(_)))
    }
    /// The decision about an appeal: the newest that was made. Of two made apart the earlier counts, unless
    /// a person said otherwise.
    fn decision(&self) -> Option<&'a Step> {
        let made = |step: &Step| matches!(step.outcome, Outcome::Done | Outcome::Partial);
        let decided = self.steps().filter(|(_, step)| step.step.as_str() == "decided" && made(step));
        let decided: Vec<_> = decided.collect();
        let mut lost = Vec::new();
        for (at, (later, _)) in decided.iter().enumerate() {
            let rival = decided[..at].iter().find(|(earlier, _)| self.apart(earlier, later));
            lost.extend(rival.map(|(earlier, _)| match self.kept(earlier.id, later.id) {
                Some(kept) if kept == later.id => earlier.id,
                _ => later.id,
            }));
        }
        let counts = |told: &Told, step: &Step| step.outcome == Outcome::Done && !lost.contains(&told.id);
        decided.into_iter().rev().find(|(told, step)| counts(told, step)).map(|(_, step)| step)
    }
    /// Whether a record is in force: published, and neither called off nor set aside by an appeal. An appeal
    /// sets it aside until a decision upholds it.
    pub fn holds(&self) -> bool {
        let upheld = self.decision().is_some_and(|step| {
            step.values.iter().any(|(key, said)| key.as_str() == "decision" && said == "upheld")
        });
        let set_aside = self.done("appealed") && !upheld;
        self.done("published") && !self.cancelled() && !set_aside
    }

    /// Movements of parts in their one order. What was said again under a new epoch, and let in as it was
    /// written besides, is one movement: the later place is its own.
    pub fn moves(&self) -> Vec<(&'a Told, &'a StockMoved)> {
        let all = self.facts().iter().filter_map(|told| match &told.what {
            Payload::StockMoved(moved) => Some((*told, moved)),
            _ => None,
        });
        let all: Vec<_> = all.collect();
        let again = |at: usize| all[at + 1..].iter().any(|(later, _)| later.id == all[at].0.id);
        (0..all.len()).filter(|at| !again(*at)).map(|at| all[at]).collect()
    }

    /// Of each two takings that a person settled between, the one that counts no more.
    pub fn set_aside(&self) -> Vec<&'a StockMoved> {
        self.moves().into_iter().filter(|(told, _)| self.lost(told)).map(|(_, moved)| moved).collect()
    }
    fn lost(&self, taken: &Told) -> bool {
        let takings: Vec<_> = self.moves().into_iter().filter(|(_, moved)| moved.by < 0).collect();
        let this = takings.iter().find(|(told, _)| told.id == taken.id);
        let same = |of: &StockMoved| this.is_some_and(|(_, moved)| moved.sku == of.sku);
        takings.iter().any(|(other, of)| same(of) && self.kept(taken.id, other.id) == Some(other.id))
    }

    /// The parts of which more went out than there were: somebody took what another, of whom they did not
    /// know, had taken before. What was counted in elsewhere meanwhile was there; what a person set aside was
    /// never taken; after a shortage the shelf is empty.
    pub fn short(&self) -> Vec<String> {
        let mut moves = self.moves();
        let settled = |(told, _): &(&Told, &StockMoved)| self.lost(told);
        let mut found: Vec<String> =
            moves.iter().filter(|taken| settled(taken)).map(|(_, moved)| moved.sku.clone()).collect();
        moves.retain(|taken| !settled(taken));
        let mut shelf: BTreeMap<&str, i64> = BTreeMap::new();
        for (at, (taken, moved)) in moves.iter().enumerate() {
            let left = shelf.entry(&moved.sku).or_default();
            *left += moved.by;
            let meanwhile = moves[at + 1..]
                .iter()
                .filter(|(other, of)| of.by > 0 && of.sku == moved.sku && self.apart(other, taken));
            let there = *left + meanwhile.map(|(_, of)| of.by).sum::<i64>();
            if moved.by < 0 && *left < 0 && there < 0 {
                *left = 0;
                found.push(moved.sku.clone());
            }
        }
        found
    }

    /// How many there are of a part, as far as was known.
    pub fn stocked(&self, sku: &str) -> i64 {
        let sum = |moves: &[&StockMoved]| moves.iter().filter(|m| m.sku == sku).map(|m| m.by).sum::<i64>();
        let all: Vec<_> = self.moves().into_iter().map(|(_, moved)| moved).collect();
        sum(&all) - sum(&self.set_aside())
    }
}

impl Account {
    /// How many there must be of each part of a stock: what devices were told they counted in and took, as far
    /// as it was let in, less the takings that a person set aside.
    pub fn counted(&self, stock: DocId, story: &Story) -> BTreeMap<String, i64> {
        let entered: BTreeSet<_> = story.changes.values().filter_map(|written| written.command).collect();
        let mut counts = BTreeMap::new();
        for moved in self.moved.iter().filter(|m| m.stock == stock && entered.contains(&m.command)) {
            *counts.entry(moved.sku.clone()).or_default() += moved.by;
        }
        for taken in story.all().set_aside() {
            *counts.entry(taken.sku.clone()).or_default() -= taken.by;
        }
        counts
    }
}
