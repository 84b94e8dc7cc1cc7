//! The published form of a policy: its version with it, as CBOR, under the SHA-256 of those bytes.

use super::model::Policy;
use crate::ids::BlobHash;
#[derive(Clone, Debug)]
pub struct VersionedPolicy {
    pub version: u32,
    pub hash: BlobHash,
    pub policy: Policy,
}
pub struct Published {
    pub bytes: Vec<u8>,
    pub hash: BlobHash,
}
impl Published {
    pub fn of(version: u32, policy: &Policy) -> Self {
        let mut bytes = Vec::new();
        ciborium::into_writer(&(1u16, version, policy), &mut bytes).expect("memory");
        Self { hash: BlobHash::of(&bytes), bytes }
    }
    pub fn open(bytes: &[u8], hash: BlobHash) -> Result<VersionedPolicy, String> {
        if BlobHash::of(bytes) != hash {
            return Err("hash".into());
        }
        let (_, version, policy): (u16, u32, Policy) =
            ciborium::from_reader(bytes).map_err(|e| e.to_string())?;
        Ok(VersionedPolicy { version, hash, policy })
    }
}
