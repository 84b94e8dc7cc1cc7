//! Genesis changes: what every document of a kind begins with, as checked-in bytes.
//!
//! They create the four maps, so that the maps' object ids are constants: two devices can create the
//! same document apart and merge, and an operation's path is known without loading the document. The
//! files under `genesis/` are never regenerated: other bytes would be another genesis, and no existing
//! document would load.

use std::sync::LazyLock;

use automerge::{ActorId, ObjId};

use crate::domain::fields::Map;
use crate::ids::{ChangeHash, DocKind};

const ACTOR: &[u8] = b"gendan-genesis-1";

const FILES: [&[u8]; DocKind::ALL.len()] = [
    include_bytes!("../../genesis/directory.automerge"),
    include_bytes!("../../genesis/order.automerge"),
    include_bytes!("../../genesis/order-money.automerge"),
    include_bytes!("../../genesis/ticket.automerge"),
    include_bytes!("../../genesis/ticket-money.automerge"),
    include_bytes!("../../genesis/customer.automerge"),
    include_bytes!("../../genesis/matter.automerge"),
    include_bytes!("../../genesis/conduct.automerge"),
    include_bytes!("../../genesis/stock.automerge"),
    include_bytes!("../../genesis/inbox.automerge"),
];

static HASHES: LazyLock<[ChangeHash; DocKind::ALL.len()]> = LazyLock::new(|| {
    FILES.map(|bytes| {
        let doc = automerge::Automerge::load(bytes).expect("the genesis files load (tests)");
        ChangeHash(doc.get_heads().first().expect("a genesis file holds one change").0)
    })
});

static OBJECTS: LazyLock<[ObjId; 4]> =
    LazyLock::new(|| std::array::from_fn(|i| ObjId::Id(i as u64 + 1, ActorId::from(ACTOR), 0)));

/// The golden bytes of a kind: a saved document with the genesis change alone.
pub(super) fn bytes(kind: DocKind) -> &'static [u8] {
    FILES[kind as usize]
}

/// The hash of a kind's genesis change.
pub fn hash(kind: DocKind) -> ChangeHash {
    HASHES[kind as usize]
}

/// The object that holds a map, the same in every document.
pub(super) fn object(map: Map) -> &'static ObjId {
    &OBJECTS[map as usize]
}

/// The map that an operation's object names, if it is one of the four.
pub(super) fn map_of(counter: u64, actor: &ActorId) -> Option<Map> {
    let index = usize::try_from(counter.checked_sub(1)?).ok()?;
    if actor.to_bytes() == ACTOR { Map::ALL.get(index).copied() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use automerge::transaction::{CommitOptions, Transactable as _};
    use automerge::{Automerge, ObjType, ROOT, ReadDoc as _};

    fn generate(kind: DocKind) -> Vec<u8> {
        let mut doc = Automerge::new().with_actor(ActorId::from(ACTOR));
        let mut tx = doc.transaction();
        for map in Map::ALL {
            tx.put_object(ROOT, map.name(), ObjType::Map).unwrap();
        }
        tx.put(ROOT, "kind", kind.name()).unwrap();
        tx.commit_with(CommitOptions::default().with_time(0));
        doc.save()
    }

    /// Writes missing files once; an existing one is never touched.
    #[test]
    fn every_kind_has_its_golden_bytes_and_they_are_what_the_library_makes() {
        let path =
            |kind: DocKind| format!("{}/genesis/{}.automerge", env!("CARGO_MANIFEST_DIR"), kind.name());
        let empty = |kind: &DocKind| std::fs::metadata(path(*kind)).map_or(0, |m| m.len()) == 0;
        let missing: Vec<DocKind> = DocKind::ALL.into_iter().filter(empty).collect();
        for kind in &missing {
            std::fs::write(path(*kind), generate(*kind)).unwrap();
        }
        assert_eq!(missing, [], "written: check them in, and never change them again");
        for kind in DocKind::ALL {
            let doc = Automerge::load(bytes(kind)).unwrap();
            assert_eq!(doc.get_changes(&[]).len(), 1);
            let again = Automerge::load(&generate(kind)).unwrap();
            assert_eq!(doc.get_heads(), again.get_heads(), "{kind:?}: this library makes another genesis");
        }
    }
    #[test]
    fn the_four_maps_have_the_same_object_ids_in_every_kind() {
        for kind in DocKind::ALL {
            let doc = Automerge::load(bytes(kind)).unwrap();
            for map in Map::ALL {
                let (_, id) = doc.get(ROOT, map.name()).unwrap().unwrap();
                assert_eq!(&id, object(map));
            }
        }
    }
}
