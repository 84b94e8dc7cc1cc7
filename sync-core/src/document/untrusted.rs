//! Foreign changes: read, judged by their operations, and proved by replay before they enter.
//!
//! **Replay, don't apply.** Automerge 0.12 trusts its input: a valid change with one bit altered and
//! its checksum repaired can panic, or be accepted into a document that then never loads again. So a
//! foreign change is decoded under `catch_unwind`, its operations are checked against the grammar, and
//! then *performed* through Automerge's own transactions on a document that holds exactly the change's
//! dependencies. Equal hashes mean that an honest library at those heads would have produced exactly
//! these bytes. Anything else is refused, and whoever lent the document throws it away.

use automerge::legacy::{Key, ObjectId, OpType};
use automerge::transaction::{CommitOptions, Transactable as _};
use automerge::{Change, ExpandedChange, ReadDoc as _};

use super::{Actor, ChangeBytes, Document, Edit, contained, from_scalar, genesis, unfold};
use crate::domain::fields::Map;
use crate::ids::{ChangeHash, CommandId};
use crate::limits;
use crate::refusal::{Refusal, RefusalCode};
use crate::time::UnixMs;

/// An uncompressed change chunk of Automerge's binary format: magic bytes, checksum, then this type.
const CHUNK_TYPE_AT: usize = 8;
const CHUNK_CHANGE: u8 = 1;

/// A change that was decoded and whose operations have a known place. Nothing of it is applied yet.
#[derive(Clone, Debug)]
pub struct Untrusted {
    change: Change,
    expanded: ExpandedChange,
    /// Its hash.
    pub hash: ChangeHash,
    /// Who wrote it, by its own word.
    pub actor: Actor,
    /// The action it belongs to.
    pub command: CommandId,
    /// When, by its own word, which knows seconds only: the last Unix millisecond of that one, so that who
    /// was granted a role and went on within the same second did not act before it.
    pub unix_ms: UnixMs,
    /// What it builds on.
    pub deps: Vec<ChangeHash>,
    /// What it does, operation by operation.
    pub edits: Vec<Edit>,
}

fn malformed(reason: impl std::fmt::Display) -> Refusal {
    Refusal::new(RefusalCode::Malformed).with("reason", reason)
}
fn grammar(reason: impl std::fmt::Display) -> Refusal {
    Refusal::new(RefusalCode::Grammar).with("reason", reason)
}

/// The reason given for a change whose sequence number its actor has used already: an older copy of the
/// device's store was put back. Said again under a new epoch it can enter.
pub const SEQUENCE_USED: &str = "sequence_used";

impl Untrusted {
    /// Reads one change. Bounded before anything is decoded: a deflated chunk is not taken, so the
    /// bytes cannot unfold into more than they are.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > limits::CHANGE_BYTES_MAX {
            return Err(Refusal::new(RefusalCode::TooLarge)
                .with("what", "change")
                .with("limit", limits::CHANGE_BYTES_MAX));
        }
        if bytes.get(CHUNK_TYPE_AT) != Some(&CHUNK_CHANGE) {
            return Err(malformed("not an uncompressed change chunk"));
        }
        unfold::change(bytes).map_err(malformed)?;
        let change = contained(|| Change::from_bytes(bytes.to_vec())).map_err(malformed)?;
        if change.raw_bytes() != bytes {
            return Err(malformed("bytes follow the change"));
        }
        if change.len() > limits::CHANGE_OPS_MAX || change.deps().len() > limits::CHANGE_DEPS_MAX {
            return Err(malformed("too many operations or dependencies"));
        }
        let expanded = contained(|| Ok::<_, std::convert::Infallible>(change.decode())).map_err(malformed)?;
        let actor = Actor::from_id(&expanded.actor_id).ok_or_else(|| grammar("the actor is not a device"))?;
        let command = expanded.message.as_deref().and_then(|m| m.parse().ok());
        let command = command.ok_or_else(|| grammar("the message is not a command id"))?;
        let edits = expanded.operations.iter().map(edit).collect::<Result<Vec<_>, _>>()?;
        if edits.is_empty() {
            return Err(grammar("the change does nothing"));
        }
        Ok(Self {
            hash: ChangeHash(change.hash().0),
            actor,
            command,
            unix_ms: expanded.time.saturating_mul(1000).saturating_add(999),
            deps: expanded.deps.iter().map(|h| ChangeHash(h.0)).collect(),
            edits,
            change,
            expanded,
        })
    }

    /// Performs the operations and compares hashes; the document holds the change afterwards.
    ///
    /// `base` must stand at exactly the dependencies ([`Document::at`]). It is spoiled by a refusal.
    pub fn perform(&self, base: &mut Document) -> Result<(), Refusal> {
        let performed = contained(|| self.replay(&mut base.inner));
        let same = performed.is_ok_and(|hash| hash == Some(self.hash));
        if same { Ok(()) } else { Err(Refusal::new(RefusalCode::NotReproducible)) }
    }

    fn replay(
        &self,
        doc: &mut automerge::Automerge,
    ) -> Result<Option<ChangeHash>, automerge::AutomergeError> {
        doc.set_actor(self.actor.id());
        let mut tx = doc.transaction();
        for (op, edit) in self.expanded.operations.iter().zip(&self.edits) {
            match edit {
                Edit::Put(map, key, value) => {
                    tx.put(genesis::object(*map), key.as_str(), super::scalar(value))?;
                }
                Edit::Delete(map, key) => {
                    let object = genesis::object(*map);
                    let standing = tx.get_all(object, key.as_str())?;
                    // A put of the winning value over a conflict is encoded as a delete of the losers.
                    if standing.len() > op.pred.len() {
                        if let Some((automerge::Value::Scalar(winner), _)) = tx.get(object, key.as_str())? {
                            tx.put(object, key.as_str(), winner.into_owned())?;
                        }
                    } else {
                        tx.delete(object, key.as_str())?;
                    }
                }
            }
        }
        let mut options = CommitOptions::default().with_time(self.expanded.time);
        if let Some(message) = &self.expanded.message {
            options = options.with_message(message.clone());
        }
        Ok(tx.commit_with(options).0.map(|hash| ChangeHash(hash.0)))
    }

    /// The change as it travels.
    pub fn bytes(&self) -> ChangeBytes {
        ChangeBytes { hash: self.hash, bytes: self.change.raw_bytes().to_vec() }
    }

    /// Enters the change into a document, once it was performed at its dependencies. The document is
    /// spoiled by a refusal.
    pub fn enter(self, doc: &mut Document) -> Result<(), Refusal> {
        let (hash, actor, seq) = (self.hash, self.expanded.actor_id, self.expanded.seq);
        if let Err(error) = doc.apply(vec![self.change]) {
            let metas = || Ok::<_, std::convert::Infallible>(doc.inner.get_changes_meta(&[]));
            let metas = contained(metas).unwrap_or_default();
            let used = metas.iter().any(|m| *m.actor == actor && m.seq >= seq);
            return Err(if used { malformed(SEQUENCE_USED) } else { malformed(error) });
        }
        if doc.has(hash) { Ok(()) } else { Err(Refusal::new(RefusalCode::DependencyMissing)) }
    }
}

/// The edit that an operation makes, if the grammar has it: a scalar put or a delete under a key of
/// one of the four maps.
fn edit(op: &automerge::legacy::Op) -> Result<Edit, Refusal> {
    let ObjectId::Id(object) = &op.obj else { return Err(grammar("an operation on the root")) };
    let map = genesis::map_of(object.counter(), object.actor())
        .ok_or_else(|| grammar("an operation on an unknown object"))?;
    let Key::Map(key) = &op.key else { return Err(grammar("an operation on a list")) };
    if op.insert || key.len() > limits::KEY_BYTES_MAX {
        return Err(grammar("an insertion, or a key that is too long"));
    }
    match &op.action {
        OpType::Put(value) => {
            let value = from_scalar(value).ok_or_else(|| grammar("a type of value that no field has"))?;
            if map == Map::Log && !op.pred.is_empty() {
                return Err(grammar("a fact is never overwritten"));
            }
            Ok(Edit::Put(map, key.to_string(), value))
        }
        OpType::Delete if map != Map::Log => Ok(Edit::Delete(map, key.to_string())),
        OpType::Delete => Err(grammar("a fact is never deleted")),
        _ => Err(grammar("an operation that no document has")),
    }
}
