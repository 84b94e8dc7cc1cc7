//! The office acts: through a custodial device whose key the relay keeps, by the same rulebook as
//! everyone, and it decides about what is held.

use sync_core::admission::{Gate, Stage, admit};
use sync_core::command::decide::{Setting, decide};
use sync_core::command::write::{Author, carry_out};
use sync_core::command::{Action, Command};
use sync_core::document::Document;
use sync_core::document::untrusted::Untrusted;
use sync_core::fact::keys::SecretKey;
use sync_core::fact::kinds::Payload;
use sync_core::ids::{ChangeHash, CommandId, DeviceId, DocId, DocKind, PersonId};
use sync_core::policy::model::Power;
use sync_core::policy::publish::Published;
use sync_core::refusal::{Refusal, RefusalCode};
use sync_core::time::{Now, UnixMs};
use sync_core::wire::frames::{FeedItem, Resolution};

use super::gate::{Gathered, Peer, RELAY, resolved};
use super::{Footing, Relay, RelayError, policy_record};
use crate::log::{Batch, HeldChange, HeldFilter, HeldState};

/// In whose name the office acts, with randomness for ids.
pub struct Clerk<'a> {
    /// The person.
    pub person: PersonId,
    /// Their custodial device.
    pub device: DeviceId,
    /// Its key.
    pub key: &'a SecretKey,
    /// Fills a buffer with randomness.
    pub chance: &'a mut dyn FnMut(&mut [u8]),
}

impl Clerk<'_> {
    pub(super) fn draw(&mut self) -> [u8; 10] {
        let mut bytes = [0; 10];
        (self.chance)(&mut bytes);
        bytes
    }
}

impl Relay {
    /// Carries out a command of the office; durable when this returns. Gives the documents it changed.
    pub fn act(&self, clerk: &mut Clerk<'_>, command: Command, now: &Now) -> Result<Vec<DocId>, RelayError> {
        self.carry(clerk, command, None, now)
    }

    /// Carries out a command that names a policy's bytes, and keeps them in the same batch.
    pub(super) fn act_keeping(
        &self,
        clerk: &mut Clerk<'_>,
        command: Command,
        policy: &Published,
        now: &Now,
    ) -> Result<(), RelayError> {
        self.carry(clerk, command, Some(policy), now).map(drop)
    }

    fn carry(
        &self,
        clerk: &mut Clerk<'_>,
        command: Command,
        policy: Option<&Published>,
        now: &Now,
    ) -> Result<Vec<DocId>, RelayError> {
        let footing = self.footing();
        let now_ms = now.unix_ms();
        let trusted =
            sync_core::time::Trusted { unix_ms: now_ms, elapsed_ms: now.elapsed_ms, boot: now.boot };
        let stamp = now.stamp(Some(trusted));
        let id = CommandId::at(now_ms, clerk.draw());
        let setting = Setting {
            company: self.company,
            person: clerk.person,
            rules: footing.rules(),
            find: &|doc| self.document(doc).ok().flatten(),
            stamp,
            money: footing.rules().sees_money(clerk.person, now_ms),
        };
        let actions = decide(command, id, &setting, &mut || clerk.draw())?;
        let mut docs = Vec::new();
        for action in actions {
            if self.write(clerk, &action, policy, now_ms)? {
                docs.push(action.doc);
            }
        }
        Ok(docs)
    }

    pub(super) fn write(
        &self,
        clerk: &Clerk<'_>,
        action: &Action,
        policy: Option<&Published>,
        now_ms: UnixMs,
    ) -> Result<bool, RelayError> {
        self.shelf.with(action.doc, |found| {
            // While nobody else writes the document: a directory is judged by itself as it stands.
            let footing = self.footing();
            let mut stage = found.clone().unwrap_or_else(|| Document::new(action.doc));
            let epoch = self.office_epoch();
            let author = Author { person: clerk.person, device: clerk.device, key: clerk.key, epoch };
            let change = carry_out(&mut stage, action, author, footing.rules(), now_ms)?;
            let Some(change) = change else { return Ok(false) };
            let mut gathered = Gathered::default();
            let payload = action.fact.as_ref().map(|(_, kind, bytes)| Payload::from_cbor(*kind, bytes));
            gathered.admit(action.doc, change, clerk.device, payload.and_then(Result::ok).as_ref());
            gathered.records.extend(policy.map(|p| (policy_record(p.hash), Some(p.bytes.clone()))));
            self.settle(found, stage, gathered, now_ms)?;
            Ok(true)
        })
    }

    /// The epoch that the office's devices write under: another after a restore, because what they wrote
    /// after the backup is on devices with its sequence numbers.
    fn office_epoch(&self) -> u32 {
        let [.., a, b, c, d] = self.log.epoch().to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// What became of the changes of a device that were held, as items of a feed.
    pub(super) fn decided(&self, device: DeviceId) -> Result<Vec<FeedItem>, RelayError> {
        let footing = self.footing();
        let filter = HeldFilter { device: Some(device), ..HeldFilter::default() };
        let item = |held: HeldChange| {
            let resolution = match held.state {
                HeldState::Released { .. } => Resolution::Released,
                HeldState::Discarded { by, why, .. } => {
                    Resolution::Discarded { why, by: footing.directory.person_name(by) }
                }
                HeldState::Waiting | HeldState::Replayed { .. } => return None,
            };
            Some(FeedItem::Resolved { doc: held.doc, hash: held.hash, resolution })
        };
        Ok(self.log.held(&filter, None, usize::MAX)?.into_iter().filter_map(item).collect())
    }

    fn deciding(
        &self,
        clerk: &Clerk<'_>,
        doc: DocId,
        hash: ChangeHash,
        now_ms: UnixMs,
    ) -> Result<HeldChange, RelayError> {
        let footing = self.footing();
        if !footing.rules().has_power(clerk.person, now_ms, Power::Release) {
            return Err(Refusal::new(RefusalCode::RoleMissing).with("action", "放行").into());
        }
        let missing = || Refusal::new(RefusalCode::NotFound).with("what", hash);
        let held = self.log.held_one(doc, hash)?.ok_or_else(missing)?;
        if held.state == HeldState::Waiting { Ok(held) } else { Err(missing().into()) }
    }

    /// Lets a held change enter after all: everything but authority is checked again. What another device
    /// gave back to a restored relay enters in its author's name: a fact of it is signed by them, and for an
    /// edit, which is not, whoever releases it answers.
    pub fn release(
        &self,
        clerk: &Clerk<'_>,
        doc: DocId,
        hash: ChangeHash,
        now_ms: UnixMs,
    ) -> Result<(), RelayError> {
        let held = self.deciding(clerk, doc, hash, now_ms)?;
        if doc.kind() == DocKind::Directory {
            // What a directory says is authority itself: it is said by someone who may, or not at all.
            return Err(Refusal::new(RefusalCode::RoleMissing).with("action", "directory").into());
        }
        let footing = self.footing();
        self.shelf.with(doc, |found| {
            let mut stage = Stage::new(doc, found.as_ref());
            let author = author(&held, &footing);
            let gate = Gate {
                rules: footing.rules(),
                device: author.device,
                person: author.person,
                now_ms,
                released: true,
            };
            let admitted = admit(&mut stage, &held.bytes, &gate)?;
            let mut gathered = Gathered::default();
            // Not as the device's own: it dropped the change when it was held.
            gathered.admit(doc, admitted.change, RELAY, admitted.fact.as_ref().map(|f| &f.payload));
            gathered.entries.push(resolved(&held, Resolution::Released));
            let state = HeldState::Released { by: clerk.person, at_ms: now_ms };
            gathered.held.push(HeldChange { state, ..held });
            self.settle(found, stage.into_document(), gathered, now_ms)?;
            Ok(())
        })?;
        self.retry_facet(doc, now_ms)
    }

    /// Sets a held change aside for good; it stays readable.
    pub fn discard(
        &self,
        clerk: &Clerk<'_>,
        doc: DocId,
        hash: ChangeHash,
        why: String,
        now_ms: UnixMs,
    ) -> Result<(), RelayError> {
        let held = self.deciding(clerk, doc, hash, now_ms)?;
        let by = self.footing().directory.person_name(clerk.person);
        let entry = resolved(&held, Resolution::Discarded { why: why.clone(), by });
        let state = HeldState::Discarded { by: clerk.person, at_ms: now_ms, why };
        let held = vec![HeldChange { state, ..held }];
        self.append(Batch { entries: vec![entry], held, at_ms: now_ms, ..Batch::default() })?;
        Ok(())
    }
}

/// In whose name a held change enters: that of whoever handed it in, or its author's where it was held for
/// not being theirs.
fn author(held: &HeldChange, footing: &Footing) -> Peer {
    let known = || {
        let device = Untrusted::parse(&held.bytes).ok()?.actor.device;
        Some(Peer { device, person: footing.directory.devices.get(&device)?.person })
    };
    let foreign = held.reason.code == RefusalCode::ForeignActor;
    foreign.then(known).flatten().unwrap_or(Peer { device: held.device, person: held.person })
}
