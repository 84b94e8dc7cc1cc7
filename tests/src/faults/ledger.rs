//! What the programs acknowledged: marks in words, by order.
//!
//! A mark is *kept* once its device's command returned ok, and *received* once the device said that the
//! relay has everything, or the relay answered the office. Marks are unique and never a part of another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// One order's marks.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// Acknowledged by the device.
    pub kept: BTreeSet<String>,
    /// Acknowledged by the relay.
    pub received: BTreeSet<String>,
}

/// All orders' marks, by number.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<BTreeMap<String, Marks>>);

impl Ledger {
    /// Works with the marks while nobody else does.
    pub fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Marks>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// A device acknowledged a mark.
    pub fn kept(&self, order: &str, mark: String) {
        self.with(|all| all.entry(order.to_owned()).or_default().kept.insert(mark));
    }
    /// The relay acknowledged a mark.
    pub fn received(&self, order: &str, mark: String) {
        self.with(|all| all.entry(order.to_owned()).or_default().received.insert(mark));
    }
    /// A device said that everything of its orders is at the relay.
    pub fn all_received(&self, prefix: &str) {
        self.with(|all| {
            for (_, marks) in all.iter_mut().filter(|(order, _)| order.starts_with(prefix)) {
                marks.received.extend(marks.kept.iter().cloned());
            }
        });
    }
    /// How many marks were acknowledged.
    pub fn count(&self) -> usize {
        self.with(|all| all.values().map(|m| m.kept.union(&m.received).count()).sum())
    }
}

/// Which of the marks do not stand in the shown text.
pub fn missing(marks: &BTreeSet<String>, shown: &str) -> Vec<String> {
    marks.iter().filter(|mark| !shown.contains(mark.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_kept_is_received_once_it_says_so_and_no_other_devices_marks_are() {
        let ledger = Ledger::default();
        ledger.kept("A-1", "<1>".into());
        ledger.kept("B-1", "<2>".into());
        ledger.all_received("A-");
        ledger.with(|all| {
            assert_eq!(missing(&all["A-1"].received, "… <1> …"), Vec::<String>::new());
            assert_eq!(missing(&all["A-1"].received, "… <10> …"), ["<1>"]);
            assert!(all["B-1"].received.is_empty());
        });
        assert_eq!(ledger.count(), 2);
    }
}
