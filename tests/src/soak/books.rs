//! The relay's store read at the end, when nothing runs: what of all that was acknowledged is not there.

use std::collections::BTreeSet;

use anyhow::Context as _;
use gendan_server::cli::Context;
use gendan_server::clock::Clock;
use gendan_server::identity::keys::KeyRing;
use gendan_server::log::{ChangeLog as _, HeldFilter};
use sync_core::domain::fields::Map;
use sync_core::store::{DeviceStore as _, Table};

use crate::faults::process::Place;

use super::ledger::Ledger;

/// What stands in the store.
#[derive(Debug, Default)]
pub struct Books {
    /// Documents.
    pub documents: usize,
    /// Changes in them.
    pub changes: usize,
    /// Bytes of all documents as Automerge saves them.
    pub live: u64,
    /// Bytes of all keys and values that the log's store holds: documents, changes not compacted yet, and
    /// what each admitted change leaves for good (its entry and its place in the indexes).
    pub records: u64,
    /// Acknowledged and nowhere, in words.
    pub lost: Vec<String>,
}

/// Reads the whole store of a relay that is down. A command of a device must stand in every document that it
/// changed, or be held; a remark of the office must stand in one.
///
/// # Errors
/// Where the store or a document cannot be read.
pub fn read(place: &Place, ledger: &Ledger) -> anyhow::Result<Books> {
    let context = Context { data: place.relay(), json: false, clock: Clock::system(None) };
    let mut books = Books { records: records(&context)?, ..Books::default() };
    let company = context.open().context("the relay's store")?;
    let (mut there, mut remarks) = (BTreeSet::new(), BTreeSet::new());
    for (doc, _) in company.log.documents(None, usize::MAX)? {
        let found = company.relay.document(doc)?.context("the log names a document that is not there")?;
        books.documents += 1;
        books.live += found.save().len() as u64;
        for meta in found.metas() {
            books.changes += 1;
            there.extend(meta.command.map(|command| (doc.to_string(), command.to_string())));
        }
        for (_, value) in found.values(Map::Notes) {
            remarks.extend(value.as_text().and_then(mark_in));
        }
    }
    let held = company.log.held(&HeldFilter::default(), None, usize::MAX)?;
    there.extend(held.iter().filter_map(|h| Some((h.doc.to_string(), h.command?.to_string()))));
    let (said, marks) = ledger.all();
    for one in said {
        for doc in one.docs {
            let key = (doc, one.command.clone());
            if !there.contains(&key) {
                books.lost.push(format!("{} was told that {} is recorded in {}", one.by, key.1, key.0));
            }
        }
    }
    let gone = marks.into_iter().filter(|mark| !remarks.contains(mark));
    books.lost.extend(gone.map(|mark| format!("the office was told that {mark} is recorded")));
    Ok(books)
}

/// What the store holds, sealed or not, without what it keeps for itself.
fn records(context: &Context) -> anyhow::Result<u64> {
    let store = context.store(&KeyRing::open(&context.data)?)?;
    let mut sum = 0;
    for table in Table::ALL {
        sum +=
            store.scan(table, b"")?.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
    }
    Ok(sum)
}

/// The mark in a remark of the office.
fn mark_in(text: &str) -> Option<String> {
    let from = text.find("<office:")?;
    let to = text[from..].find('>')?;
    Some(text[from..=from + to].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_its_remark() {
        assert_eq!(mark_in("办公室 <office:12> 好"), Some("<office:12>".into()));
        assert_eq!(mark_in("办公室 <office:12"), None);
    }
}
