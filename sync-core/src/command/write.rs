//! Carrying out an action: judged by the one rulebook, signed, and written as one change.

use super::Action;
use crate::authority::Act;
use crate::directory::Rules;
use crate::document::history::fact_key;
use crate::document::{Actor, ChangeBytes, Document, Edit};
use crate::domain::fields::{Map, Value};
use crate::fact::keys::SecretKey;
use crate::fact::kinds::Payload;
use crate::fact::{Fact, READER};
use crate::fold::fold;
use crate::ids::{DeviceId, PersonId};
use crate::refusal::{Refusal, RefusalCode};
use crate::time::UnixMs;

/// In whose name an action is carried out.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// The person.
    pub person: PersonId,
    /// The device.
    pub device: DeviceId,
    /// The device's key.
    pub key: &'a SecretKey,
    /// The device's epoch for the document.
    pub epoch: u32,
}

/// Judges the action and writes it; on a refusal the document is as it was.
///
/// An edit that says what already stands is left out; an action of which nothing is left gives `None`.
pub fn carry_out(
    doc: &mut Document,
    action: &Action,
    author: Author<'_>,
    rules: Rules<'_>,
    now_ms: UnixMs,
) -> Result<Option<ChangeBytes>, Refusal> {
    let fact = action.fact.as_ref().map(|(id, kind, payload)| {
        let malformed = |e| Refusal::new(RefusalCode::Malformed).with("reason", e);
        let (at_ms, _) = action.stamp.best();
        Ok(Fact {
            doc: action.doc,
            id: *id,
            author: author.person,
            device: author.device,
            stamp: action.stamp,
            policy: rules.at(at_ms).map_or(0, |(version, _)| version),
            payload: Payload::from_cbor(*kind, payload).map_err(malformed)?,
            reader: READER,
        })
    });
    let fact = fact.transpose()?;
    let mut edits: Vec<Edit> = action.edits.iter().filter(|e| changes(doc, e)).cloned().collect();
    let state = fold(doc, &rules);
    let act = Act {
        rules,
        person: author.person,
        doc,
        state: &state,
        at_ms: action.stamp.best().0.min(now_ms),
        received_ms: now_ms,
    };
    act.judge(fact.as_ref(), &edits)?;
    if let Some(fact) = &fact {
        let signed = fact.sign(author.key);
        if signed.len() > crate::limits::FACT_BYTES_MAX {
            return Err(Refusal::new(RefusalCode::TooLarge)
                .with("what", "fact")
                .with("limit", crate::limits::FACT_BYTES_MAX));
        }
        edits.push(Edit::Put(Map::Log, fact_key(fact.id), Value::Bytes(signed)));
    }
    let actor = Actor { device: author.device, epoch: author.epoch };
    Ok(doc.write(actor, action.command, action.stamp.best().0, &edits))
}

/// Whether an edit would change what stands.
fn changes(doc: &Document, edit: &Edit) -> bool {
    match edit {
        Edit::Put(map, key, value) => doc.value(*map, key).as_ref() != Some(value),
        Edit::Delete(map, key) => doc.value(*map, key).is_some(),
    }
}
