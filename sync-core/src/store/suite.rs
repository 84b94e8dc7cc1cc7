//! What every [`DeviceStore`] must do, as one call.
//!
//! In: a maker of homes. A [`Home`] is a place where a store lives, such as a folder: opening it again
//! after the store was dropped must give back what was committed. Out: a panic that names the law that
//! does not hold. A backend joins with one line in its tests.
//!
//! The suite is itself under test: sabotaged backends must fail it (below).
//!
//! Deliberately not here: damage to files and killed processes, which only a store on disk knows.

use std::collections::BTreeMap;

use super::{Batch, DeviceStore, Table};

/// A place where one store lives. Closures that open it are homes.
pub trait Home {
    /// The store under test.
    type Store: DeviceStore;
    /// Opens what is there; the suite drops each store before it opens the next.
    fn open(&self) -> Self::Store;
}
impl<S: DeviceStore, F: Fn() -> S> Home for F {
    type Store = S;
    fn open(&self) -> S {
        self()
    }
}

/// Runs the whole suite; `fresh` makes an empty home for each law.
///
/// # Panics
/// With the law that does not hold.
pub fn conformance<H: Home>(fresh: impl Fn() -> H) {
    a_new_store_is_empty(&fresh());
    what_is_put_is_found_and_what_is_deleted_is_not(&fresh());
    a_scan_gives_the_prefix_in_key_order(&fresh());
    pages_of_a_scan_are_the_scan(&fresh());
    tables_are_apart(&fresh());
    in_a_batch_the_last_write_wins(&fresh());
    what_is_committed_is_there_after_opening_again(&fresh());
    odd_keys_and_large_values_survive(&fresh());
    erasing_leaves_nothing_and_lasts(&fresh());
    it_agrees_with_a_plain_map(&fresh());
}

/// Another law, for stores that let a commit be cut short: `cut` makes the next commit fail midway.
///
/// # Panics
/// When part of the commit is found after opening again.
pub fn atomicity<H: Home>(home: &H, cut: impl FnOnce(&mut H::Store)) {
    let mut store = home.open();
    commit(&mut store, Batch::new().put(Table::Meta, "position", "1").put(Table::Document, "d", "old"));
    cut(&mut store);
    let batch = Batch::new()
        .put(Table::Change, "c", "new")
        .put(Table::Document, "d", "new")
        .delete(Table::Meta, "position");
    let result = store.commit(batch);
    drop(store);
    let store = home.open();
    let now = (
        store.get(Table::Change, b"c").expect("get"),
        store.get(Table::Document, b"d").expect("get"),
        store.get(Table::Meta, b"position").expect("get"),
    );
    let none = (None, Some(b"old".to_vec()), Some(b"1".to_vec()));
    let all = (Some(b"new".to_vec()), Some(b"new".to_vec()), None);
    assert!(now == none || now == all, "a commit is all or nothing");
    assert!(result.is_err() || now == all, "a commit that returned Ok is there");
}

fn commit(store: &mut impl DeviceStore, batch: Batch) {
    store.commit(batch).expect("a commit on a sound store succeeds");
}
fn keys(store: &impl DeviceStore, table: Table, prefix: &[u8]) -> Vec<Vec<u8>> {
    store.scan(table, prefix).expect("a scan of a sound store succeeds").into_iter().map(|(k, _)| k).collect()
}
fn value(store: &impl DeviceStore, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    store.get(table, key).expect("a get on a sound store succeeds")
}

fn a_new_store_is_empty(home: &impl Home) {
    let mut store = home.open();
    for table in Table::ALL {
        assert_eq!(value(&store, table, b""), None, "a new store is empty");
        assert!(keys(&store, table, b"").is_empty(), "a new store is empty");
    }
    assert!(Batch::new().is_empty());
    commit(&mut store, Batch::new());
}

fn what_is_put_is_found_and_what_is_deleted_is_not(home: &impl Home) {
    let mut store = home.open();
    commit(&mut store, Batch::new().put(Table::Outbox, "a", "1").put(Table::Outbox, "b", "2"));
    commit(&mut store, Batch::new().put(Table::Outbox, "a", "3").delete(Table::Outbox, "never"));
    assert_eq!(value(&store, Table::Outbox, b"a"), Some(b"3".to_vec()), "a later put replaces");
    assert_eq!(value(&store, Table::Outbox, b"b"), Some(b"2".to_vec()), "other keys stay");
    commit(&mut store, Batch::new().delete(Table::Outbox, "a"));
    assert_eq!(value(&store, Table::Outbox, b"a"), None, "a deleted key is gone");
    assert_eq!(keys(&store, Table::Outbox, b""), [b"b"], "a deleted key is in no scan");
}

fn a_scan_gives_the_prefix_in_key_order(home: &impl Home) {
    let mut store = home.open();
    let all: [&[u8]; 7] = [b"", b"a", b"a\0", b"aa", b"b", b"\xff", b"\xff\xff"];
    let mut batch = Batch::new();
    for key in all.iter().rev() {
        batch = batch.put(Table::Change, *key, *key);
    }
    commit(&mut store, batch);
    assert_eq!(keys(&store, Table::Change, b""), all, "a scan is in key order");
    assert_eq!(keys(&store, Table::Change, b"a"), all[1..4], "a scan keeps to its prefix");
    assert_eq!(keys(&store, Table::Change, b"\xff"), all[5..], "a prefix may be the last byte there is");
    assert!(keys(&store, Table::Change, b"c").is_empty(), "a prefix of nothing finds nothing");
    for (key, value) in store.scan(Table::Change, b"").expect("scan") {
        assert_eq!(key, value, "a scan pairs each key with its own value");
    }
}

fn pages_of_a_scan_are_the_scan(home: &impl Home) {
    let mut store = home.open();
    let mut batch = Batch::new().put(Table::Outbox, "after the table", "").put(Table::Document, "p", "");
    for n in 0..40u8 {
        batch = batch.put(Table::Change, [b'p', n / 7, n], [n]).put(Table::Change, [b'q', n], [n]);
    }
    commit(&mut store, batch);
    for prefix in [&b"p"[..], b"", b"p\x02", b"q", b"r", b"\xff"] {
        let whole = store.scan(Table::Change, prefix).expect("scan");
        for limit in [1, 3, 40, 100] {
            let (mut pages, mut after) = (Vec::new(), None::<Vec<u8>>);
            loop {
                let page =
                    store.scan_after(Table::Change, prefix, after.as_deref(), limit).expect("scan_after");
                assert!(page.len() <= limit, "a page keeps to its limit");
                after = page.last().map(|(key, _)| key.clone());
                pages.extend(page);
                if after.is_none() {
                    break;
                }
            }
            assert!(pages == whole, "the pages of a scan are the scan");
        }
    }
    let after = |key: &[u8]| store.scan_after(Table::Change, b"p", Some(key), 2).expect("scan_after");
    assert_eq!(after(b"p\x01\x0c\x00")[0].0, [b'p', 1, 13], "a page begins after a key that is not there");
    assert_eq!(after(b"a")[0].0, [b'p', 0, 0], "a page begins with its prefix");
    assert!(after(b"p\xff").is_empty() && after(b"z").is_empty(), "after the last key there is nothing");
    assert!(
        store.scan_after(Table::Change, b"", None, 0).expect("scan_after").is_empty(),
        "no room, no pairs"
    );
}

fn tables_are_apart(home: &impl Home) {
    let mut store = home.open();
    let mut batch = Batch::new();
    for table in Table::ALL {
        batch = batch.put(table, "same", [table.number()]);
    }
    commit(&mut store, batch);
    commit(&mut store, Batch::new().delete(Table::Held, "same"));
    for table in Table::ALL {
        let expected = (table != Table::Held).then(|| vec![table.number()]);
        assert_eq!(value(&store, table, b"same"), expected, "tables are apart");
        assert_eq!(keys(&store, table, b"").len(), usize::from(table != Table::Held), "tables are apart");
    }
}

fn in_a_batch_the_last_write_wins(home: &impl Home) {
    let mut store = home.open();
    let batch = Batch::new()
        .put(Table::Meta, "a", "1")
        .put(Table::Meta, "a", "2")
        .put(Table::Meta, "b", "1")
        .delete(Table::Meta, "b")
        .delete(Table::Meta, "c")
        .put(Table::Meta, "c", "1");
    commit(&mut store, batch);
    assert_eq!(keys(&store, Table::Meta, b""), [b"a", b"c"], "the last write of a key wins");
    assert_eq!(value(&store, Table::Meta, b"a"), Some(b"2".to_vec()), "the last write of a key wins");
}

fn what_is_committed_is_there_after_opening_again(home: &impl Home) {
    for round in 0..5u8 {
        let mut store = home.open();
        for earlier in 0..round {
            assert_eq!(
                value(&store, Table::Outbox, &[earlier]),
                Some(vec![earlier; 9]),
                "commits are durable"
            );
            assert_eq!(value(&store, Table::Blob, &[earlier]), None, "deletes are durable");
        }
        commit(
            &mut store,
            Batch::new().put(Table::Outbox, [round], [round; 9]).put(Table::Blob, [round], "x"),
        );
        commit(&mut store, Batch::new().delete(Table::Blob, [round]));
    }
}

fn odd_keys_and_large_values_survive(home: &impl Home) {
    let large: Vec<u8> = (0..1_500_000u32).map(|n| (n % 251) as u8).collect();
    let key = vec![0xfe; 200];
    let mut store = home.open();
    let batch = Batch::new().put(Table::Blob, key.clone(), large.clone()).put(Table::Blob, "", "").put(
        Table::Document,
        [0, 0, 0],
        [0],
    );
    commit(&mut store, batch);
    drop(store);
    let store = home.open();
    assert!(value(&store, Table::Blob, &key) == Some(large), "large values survive");
    assert_eq!(value(&store, Table::Blob, b""), Some(Vec::new()), "an empty value is a value");
    assert_eq!(value(&store, Table::Document, &[0, 0, 0]), Some(vec![0]), "zero bytes are bytes");
    assert_eq!(value(&store, Table::Document, &[0, 0]), None, "zero bytes are bytes");
}

fn erasing_leaves_nothing_and_lasts(home: &impl Home) {
    let mut store = home.open();
    let mut batch = Batch::new();
    for table in Table::ALL {
        batch = batch.put(table, "k", vec![7; 10_000]);
    }
    commit(&mut store, batch);
    store.erase().expect("a sound store can be erased");
    for table in Table::ALL {
        assert!(keys(&store, table, b"").is_empty(), "nothing is left after erasing");
    }
    commit(&mut store, Batch::new().put(Table::Meta, "after", "1"));
    drop(store);
    let store = home.open();
    assert_eq!(keys(&store, Table::Document, b""), Vec::<Vec<u8>>::new(), "erasing is durable");
    assert_eq!(keys(&store, Table::Meta, b""), [b"after"], "an erased store can be used on");
}

/// A few hundred writes by a fixed recipe, against the plainest possible store.
fn it_agrees_with_a_plain_map(home: &impl Home) {
    let mut model: BTreeMap<(Table, Vec<u8>), Vec<u8>> = BTreeMap::new();
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = |bound: u64| {
        // xorshift64: a fixed recipe, not chance.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    for _ in 0..4 {
        let mut store = home.open();
        for _ in 0..12 {
            let mut batch = Batch::new();
            for _ in 0..=next(9) {
                let table = Table::ALL[next(7) as usize];
                let key = vec![next(6) as u8; 1 + next(3) as usize];
                if next(3) == 0 {
                    model.remove(&(table, key.clone()));
                    batch = batch.delete(table, key);
                } else {
                    let value = vec![next(256) as u8; next(400) as usize];
                    model.insert((table, key.clone()), value.clone());
                    batch = batch.put(table, key, value);
                }
            }
            commit(&mut store, batch);
        }
        for table in Table::ALL {
            let expected: Vec<_> = model
                .iter()
                .filter(|((t, _), _)| *t == table)
                .map(|((_, k), v)| (k.clone(), v.clone()))
                .collect();
            assert!(store.scan(table, b"").expect("scan") == expected, "the store agrees with a plain map");
        }
        assert!(store.bytes_on_disk().expect("size") > 0, "a store that holds something has a size");
    }
}

#[cfg(test)]
mod bites {
    //! Each of these stores breaks one law, and the suite must say so.

    use super::*;
    use crate::store::{MemoryDisk, MemoryStore, Pairs, StoreError};

    #[derive(Clone, Copy, PartialEq)]
    enum Sabotage {
        DropsDeletes,
        ScansBackwards,
        IgnoresThePrefix,
        MixesTables,
        FirstWriteWins,
        ForgetsOnClose,
        ErasesOneTable,
        CutsValues,
        ScansWithoutTheLast,
        PagesBeginWithTheLastKey,
    }
    struct Broken {
        inner: MemoryStore,
        how: Sabotage,
    }
    impl Broken {
        fn table(&self, table: Table) -> Table {
            match (self.how, table) {
                (Sabotage::MixesTables, Table::Held) => Table::Meta,
                (_, table) => table,
            }
        }
    }
    impl DeviceStore for Broken {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.inner.get(self.table(table), key)
        }
        fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs, StoreError> {
            let prefix = if self.how == Sabotage::IgnoresThePrefix { &[] } else { prefix };
            let mut pairs = self.inner.scan(self.table(table), prefix)?;
            if self.how == Sabotage::ScansBackwards {
                pairs.reverse();
            }
            if self.how == Sabotage::ScansWithoutTheLast && pairs.len() > 3 {
                pairs.pop();
            }
            Ok(pairs)
        }
        fn scan_after(
            &self,
            table: Table,
            prefix: &[u8],
            after: Option<&[u8]>,
            limit: usize,
        ) -> Result<Pairs, StoreError> {
            let mut pairs = self.inner.scan_after(self.table(table), prefix, after, limit)?;
            if let (Sabotage::PagesBeginWithTheLastKey, Some(after), true) = (self.how, after, limit == 3) {
                let last = self.inner.get(table, after)?.map(|value| (after.to_vec(), value));
                pairs.splice(..0, last);
                pairs.truncate(if pairs.len() == 1 { 0 } else { limit });
            }
            Ok(pairs)
        }
        fn commit(&mut self, mut batch: Batch) -> Result<(), StoreError> {
            for write in &mut batch.writes {
                write.table = self.table(write.table);
                if self.how == Sabotage::CutsValues {
                    write.value.iter_mut().for_each(|v| v.truncate(65_536));
                }
            }
            match self.how {
                Sabotage::DropsDeletes => batch.writes.retain(|w| w.value.is_some()),
                Sabotage::FirstWriteWins => batch.writes.reverse(),
                _ => {}
            }
            self.inner.commit(batch)
        }
        fn erase(&mut self) -> Result<(), StoreError> {
            if self.how != Sabotage::ErasesOneTable {
                return self.inner.erase();
            }
            let mut batch = Batch::new();
            for (key, _) in self.inner.scan(Table::Document, b"")? {
                batch = batch.delete(Table::Document, key);
            }
            self.inner.commit(batch)
        }
        fn bytes_on_disk(&self) -> Result<u64, StoreError> {
            self.inner.bytes_on_disk()
        }
    }

    fn verdict(how: Sabotage) -> Result<(), String> {
        let run = move || {
            conformance(move || {
                let disk = MemoryDisk::new();
                move || {
                    let disk = if how == Sabotage::ForgetsOnClose { MemoryDisk::new() } else { disk.clone() };
                    Broken { inner: disk.open().unwrap(), how }
                }
            });
        };
        std::panic::catch_unwind(run).map_err(|panic| {
            match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
                (Some(words), _) => words.clone(),
                (None, Some(words)) => (*words).to_owned(),
                (None, None) => "a panic without words".to_owned(),
            }
        })
    }

    #[test]
    fn each_sabotaged_store_fails_by_the_law_it_breaks() {
        for (how, law) in [
            (Sabotage::DropsDeletes, "deleted key"),
            (Sabotage::ScansBackwards, "key order"),
            (Sabotage::IgnoresThePrefix, "prefix"),
            (Sabotage::MixesTables, "tables are apart"),
            (Sabotage::FirstWriteWins, "last write"),
            (Sabotage::ForgetsOnClose, "durable"),
            (Sabotage::ErasesOneTable, "after erasing"),
            (Sabotage::CutsValues, "large values"),
            (Sabotage::ScansWithoutTheLast, "key order"),
            (Sabotage::PagesBeginWithTheLastKey, "pages of a scan"),
        ] {
            let words = verdict(how).expect_err("the suite let a sabotaged store pass");
            assert!(words.contains(law), "expected the law of {law:?}, was told {words:?}");
        }
    }

    /// Writes one by one, and stops after the first when it is cut.
    struct Piecemeal {
        inner: MemoryStore,
        cut: bool,
    }
    impl DeviceStore for Piecemeal {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.inner.get(table, key)
        }
        fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs, StoreError> {
            self.inner.scan(table, prefix)
        }
        fn scan_after(
            &self,
            table: Table,
            prefix: &[u8],
            after: Option<&[u8]>,
            limit: usize,
        ) -> Result<Pairs, StoreError> {
            self.inner.scan_after(table, prefix, after, limit)
        }
        fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
            for write in batch.writes {
                self.inner.commit(Batch { writes: vec![write] })?;
                if self.cut {
                    return Err(StoreError::Full);
                }
            }
            Ok(())
        }
        fn erase(&mut self) -> Result<(), StoreError> {
            self.inner.erase()
        }
        fn bytes_on_disk(&self) -> Result<u64, StoreError> {
            self.inner.bytes_on_disk()
        }
    }

    #[test]
    #[should_panic(expected = "all or nothing")]
    fn a_store_that_writes_piece_by_piece_fails() {
        let disk = MemoryDisk::new();
        let home = move || Piecemeal { inner: disk.open().unwrap(), cut: false };
        atomicity(&home, |store| store.cut = true);
    }
    #[test]
    fn the_memory_store_is_atomic() {
        let disk = MemoryDisk::new();
        let home = {
            let disk = disk.clone();
            move || {
                disk.refuse_commits(None);
                disk.open().unwrap()
            }
        };
        atomicity(&home, |store| store.disk().refuse_commits(Some(StoreError::Full)));
    }
}
