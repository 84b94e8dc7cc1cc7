//! The life of a policy at the relay: proposed, approved or declined, published (S1 第二十二条).
//!
//! In: checked policies in the name of somebody of the office. Out: facts of the directory, and the bytes
//! that they name, kept in one batch with them: no fact names bytes that are not here, and what is
//! refused leaves nothing. A proposal is named by the hash of its policy under version 0, which no
//! published policy has. Its version is given when it is approved: the next one at that moment, whatever
//! was published meanwhile; the publication names the proposal's hash, so it is told from any other.
//!
//! Deliberately not here: who may (the rulebook), and how a proposal stands (the directory's fold).

use std::sync::PoisonError;

use sync_core::command::Command;
use sync_core::document::Edit;
use sync_core::document::untrusted::Untrusted;
use sync_core::domain::fields::{Map, Value};
use sync_core::fact::Fact;
use sync_core::fact::kinds::Payload;
use sync_core::ids::{BlobHash, DocId, DocKind};
use sync_core::policy::model::{Policy, Power};
use sync_core::policy::publish::Published;
use sync_core::refusal::{Refusal, RefusalCode};
use sync_core::time::{Now, UnixMs};

use super::gate::Peer;
use super::office::Clerk;
use super::{Relay, RelayError, policy_record};

/// The version in a proposal's bytes. Published ones rise from 1.
const PROPOSED: u32 = 0;

impl Relay {
    /// Publishes a checked policy under its version: its published form is kept, and the directory names it.
    pub fn publish(
        &self,
        clerk: &mut Clerk<'_>,
        published: &Published,
        version: u32,
        effective_ms: UnixMs,
        now: &Now,
    ) -> Result<(), RelayError> {
        let command = Command::PublishPolicy { version, hash: published.hash, effective_ms, proposal: None };
        self.act_keeping(clerk, command, published, now)
    }

    /// Publishes a checked policy under the next version, in force from a moment on. Gives the version.
    pub fn publish_next(
        &self,
        clerk: &mut Clerk<'_>,
        policy: &Policy,
        effective_ms: UnixMs,
        now: &Now,
    ) -> Result<u32, RelayError> {
        self.next(clerk, policy, effective_ms, None, now)
    }

    fn next(
        &self,
        clerk: &mut Clerk<'_>,
        policy: &Policy,
        effective_ms: UnixMs,
        proposal: Option<BlobHash>,
        now: &Now,
    ) -> Result<u32, RelayError> {
        // Two who publish at once get two versions.
        let _alone = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.footing().directory.policies.last().map_or(0, |p| p.version).saturating_add(1);
        let published = Published::of(version, policy);
        let command = Command::PublishPolicy { version, hash: published.hash, effective_ms, proposal };
        self.act_keeping(clerk, command, &published, now)?;
        Ok(version)
    }

    /// Proposes a checked policy to management. Gives the hash that names the proposal.
    pub fn propose(
        &self,
        clerk: &mut Clerk<'_>,
        policy: &Policy,
        note: Option<String>,
        now: &Now,
    ) -> Result<BlobHash, RelayError> {
        let proposed = Published::of(PROPOSED, policy);
        let command = Command::ProposePolicy(proposed.hash, policy.name.clone(), note);
        self.act_keeping(clerk, command, &proposed, now)?;
        Ok(proposed.hash)
    }

    /// Approves a proposal: its policy is published under the next version, in force from the moment that
    /// `effective_ms` gives for it. Gives the version.
    pub fn approve(
        &self,
        clerk: &mut Clerk<'_>,
        hash: BlobHash,
        effective_ms: impl FnOnce(&Policy) -> UnixMs,
        now: &Now,
    ) -> Result<u32, RelayError> {
        // Before anything of the proposal is told.
        if !self.footing().rules().has_power(clerk.person, now.unix_ms(), Power::Policy) {
            let action = ("发布制度", "publish a policy");
            return Err(Refusal::new(RefusalCode::RoleMissing).with_words("action", action).into());
        }
        let missing = || Refusal::new(RefusalCode::NotFound).with("what", hash);
        let policy = self.proposed(hash)?.ok_or_else(missing)?;
        self.next(clerk, &policy, effective_ms(&policy), Some(hash), now)
    }

    /// The policy of a proposal; `None` where none of this hash was ever proposed.
    pub fn proposed(&self, hash: BlobHash) -> Result<Option<Policy>, RelayError> {
        let footing = self.footing();
        if !footing.directory.proposals.iter().any(|p| p.hash == hash) {
            return Ok(None);
        }
        let Some(bytes) = self.log.record(&policy_record(hash))? else { return Ok(None) };
        let opened = Published::open(&bytes, hash);
        Ok(Some(opened.map_err(|e| super::unreadable_policy(&e))?.policy))
    }

    /// A device's change of the directory that names a policy whose bytes are not here is refused: published, it
    /// would leave the company without rules, and proposed, nobody could read it.
    pub(super) fn names_a_missing_policy(
        &self,
        peer: Peer,
        doc: DocId,
        bytes: &[u8],
    ) -> Result<Option<Refusal>, RelayError> {
        let read = (doc.kind() == DocKind::Directory).then(|| Untrusted::parse(bytes));
        // What cannot be read is refused where it would be admitted.
        let Some(Ok(change)) = read else { return Ok(None) };
        // So is what somebody else wrote.
        if change.actor.device != peer.device {
            return Ok(None);
        }
        for edit in &change.edits {
            let Edit::Put(Map::Log, _, Value::Bytes(bytes)) = edit else { continue };
            let hash = match Fact::read(bytes).map(|fact| fact.payload) {
                Ok(Payload::PolicyPublished(p)) => p.hash,
                Ok(Payload::PolicyProposed(p)) => p.hash,
                _ => continue,
            };
            if self.log.record(&policy_record(hash))?.is_none() {
                let reason = "the relay does not have it; hand it in through the office";
                return Ok(Some(Refusal::new(RefusalCode::PolicyInvalid).with("reason", reason)));
            }
        }
        Ok(None)
    }
}
