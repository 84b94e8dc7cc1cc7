use super::*;
use rand_core::SeedableRng as _;
use std::path::Path;
fn open(folder: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(folder, &StoreKey::from_bytes([7; 32]), rand_chacha::ChaCha20Rng::from_seed([9; 32]))
}
#[test]
fn the_sled_store_conforms() {
    suite::conformance(|| {
        let folder = tempfile::tempdir().unwrap();
        move || open(folder.path()).unwrap()
    });
}
