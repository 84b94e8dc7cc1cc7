//! What was said and acknowledged, which cases are under way, and what was seen to be wrong.
//!
//! Kept by the soak itself, apart from everything that the product keeps. Cases under way are bounded: a new
//! one is opened only when one has ended, so that the company's work stays the same while its archive grows.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Faults that are kept; more say nothing new.
const FAULTS_MAX: usize = 50;

/// A command that a device acknowledged.
#[derive(Clone, Debug)]
pub struct Said {
    /// The device's name.
    pub by: &'static str,
    /// The command's id.
    pub command: String,
    /// The documents that it changed.
    pub docs: Vec<String>,
}

/// A case under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its number.
    pub number: String,
    /// An after-sales ticket, otherwise an order.
    pub ticket: bool,
    /// How often somebody looked at it.
    pub looks: u32,
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub struct Ledger {
    said: Mutex<Vec<Said>>,
    marks: Mutex<Vec<String>>,
    live: Mutex<Vec<Live>>,
    faults: Mutex<Vec<String>>,
    numbers: AtomicU32,
    finished: AtomicU32,
    unreachable: AtomicU32,
    /// Documents on the device that sees all.
    documents: AtomicU64,
    /// The furthest feed position that a device was told.
    cursor: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// A device acknowledged a command.
    pub fn said(&self, by: &'static str, command: String, docs: Vec<String>) {
        lock(&self.said).push(Said { by, command, docs });
    }
    /// The office's relay acknowledged words that stand in a document from now on.
    pub fn marked(&self, mark: String) {
        lock(&self.marks).push(mark);
    }
    /// All commands of devices, and all marks of the office.
    pub fn all(&self) -> (Vec<Said>, Vec<String>) {
        (lock(&self.said).clone(), lock(&self.marks).clone())
    }
    /// How many commands were acknowledged.
    pub fn count(&self) -> usize {
        lock(&self.said).len() + lock(&self.marks).len()
    }

    /// A number nobody has used.
    pub fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
    /// How many cases of this kind are under way.
    pub fn under_way(&self, ticket: bool) -> usize {
        lock(&self.live).iter().filter(|l| l.ticket == ticket).count()
    }
    /// A case has begun.
    pub fn begun(&self, number: String, ticket: bool) {
        lock(&self.live).push(Live { number, ticket, looks: 0 });
    }
    /// One case under way, by chance, of those that a person works on. One that was looked at too often is
    /// left as it is.
    pub fn pick(&self, roll: usize, ticket: Option<bool>, looks_max: u32) -> Option<Live> {
        let mut live = lock(&self.live);
        let fits: Vec<usize> =
            (0..live.len()).filter(|at| ticket.is_none_or(|t| live[*at].ticket == t)).collect();
        let at = *fits.get(roll.checked_rem(fits.len())?)?;
        live[at].looks += 1;
        if live[at].looks > looks_max {
            live.swap_remove(at);
            return None;
        }
        Some(live[at].clone())
    }
    /// A case has ended.
    pub fn ended(&self, number: &str) {
        let mut live = lock(&self.live);
        let before = live.len();
        live.retain(|l| l.number != number);
        if live.len() < before {
            self.finished.fetch_add(1, Ordering::Relaxed);
        }
    }
    /// Cases that came to their end.
    pub fn finished(&self) -> u32 {
        self.finished.load(Ordering::Relaxed)
    }

    /// The relay could not be reached, while that may be.
    pub fn unreachable(&self) {
        self.unreachable.fetch_add(1, Ordering::Relaxed);
    }
    /// How often that was.
    pub fn was_unreachable(&self) -> u32 {
        self.unreachable.load(Ordering::Relaxed)
    }

    /// How far a device is in step.
    pub fn in_step(&self, documents: u32, cursor: u64) {
        self.documents.fetch_max(documents.into(), Ordering::Relaxed);
        self.cursor.fetch_max(cursor, Ordering::Relaxed);
    }
    /// Documents on the device that has most.
    pub fn documents(&self) -> u64 {
        self.documents.load(Ordering::Relaxed)
    }
    /// The furthest position that the relay told anyone.
    pub fn cursor(&self) -> u64 {
        self.cursor.load(Ordering::Relaxed)
    }

    /// Something is wrong.
    pub fn fault(&self, what: String) {
        let mut faults = lock(&self.faults);
        if faults.len() < FAULTS_MAX {
            println!("✘ {what}");
            faults.push(what);
        }
    }
    /// All that is wrong.
    pub fn faults(&self) -> Vec<String> {
        lock(&self.faults).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_was_looked_at_too_often_is_left_and_makes_room() {
        let ledger = Ledger::default();
        ledger.begun("A1".into(), false);
        ledger.begun("R1".into(), true);
        assert_eq!(ledger.pick(7, Some(true), 2).map(|l| l.number), Some("R1".into()));
        assert!(ledger.pick(7, Some(true), 2).is_some());
        assert_eq!(ledger.pick(7, Some(true), 2), None);
        assert_eq!((ledger.under_way(true), ledger.under_way(false), ledger.finished()), (0, 1, 0));
        ledger.ended("A1");
        assert_eq!((ledger.under_way(false), ledger.finished()), (0, 1));
    }
}
