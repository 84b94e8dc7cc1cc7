//! Digests of what a side holds, so that a restored relay and its devices find out what differs.
//!
//! In: documents with their heads, in any order. Out: eight bytes for a document, 32 for a whole scope.
//! A scope's digest is the XOR of its documents' SHA-256, so it moves with one document at a time and
//! does not depend on order. It finds differences; it proves nothing against someone who makes
//! collisions on purpose, and nobody is let in or refused because of it.

use sha2::{Digest as _, Sha256};

use crate::ids::{ChangeHash, DocId};

/// SHA-256 over the document's 17 bytes and its heads, sorted, each once.
fn document_hash(doc: DocId, heads: &[ChangeHash]) -> [u8; 32] {
    let mut sorted = heads.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut hash = Sha256::new();
    hash.update(doc.to_bytes());
    for head in sorted {
        hash.update(head.0);
    }
    hash.finalize().into()
}

/// The first eight bytes of the document's hash, as [`super::frames::Inventory`] carries them.
pub fn heads_digest(doc: DocId, heads: &[ChangeHash]) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&document_hash(doc, heads)[..8]);
    short
}

/// The digest of a set of documents at their heads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeDigest {
    combined: [u8; 32],
    documents: u32,
}

impl ScopeDigest {
    /// The digest of no documents.
    pub fn new() -> Self {
        Self::default()
    }

    /// A document enters, which is not in yet.
    pub fn add(&mut self, doc: DocId, heads: &[ChangeHash]) {
        self.combine(doc, heads);
        self.documents = self.documents.saturating_add(1);
    }

    /// A document leaves; it must be in with exactly these heads.
    pub fn remove(&mut self, doc: DocId, heads: &[ChangeHash]) {
        self.combine(doc, heads);
        self.documents = self.documents.saturating_sub(1);
    }

    /// A document that is in moves from one set of heads to another.
    pub fn replace(&mut self, doc: DocId, before: &[ChangeHash], after: &[ChangeHash]) {
        self.combine(doc, before);
        self.combine(doc, after);
    }

    /// The combined 32 bytes.
    pub fn bytes(&self) -> [u8; 32] {
        self.combined
    }

    /// How many documents are in.
    pub fn documents(&self) -> u32 {
        self.documents
    }

    fn combine(&mut self, doc: DocId, heads: &[ChangeHash]) {
        for (byte, other) in self.combined.iter_mut().zip(document_hash(doc, heads)) {
            *byte ^= other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DocKind;
    use proptest::prelude::*;

    fn documents() -> impl Strategy<Value = Vec<(DocId, Vec<ChangeHash>)>> {
        let document = (0usize..6, any::<[u8; 16]>(), prop::collection::vec(any::<[u8; 32]>(), 0..4));
        let document = document.prop_map(|(kind, id, heads)| {
            (DocId::new(DocKind::ALL[kind], id), heads.into_iter().map(ChangeHash).collect())
        });
        prop::collection::vec(document, 0..8)
    }

    fn of(documents: &[(DocId, Vec<ChangeHash>)]) -> ScopeDigest {
        let mut digest = ScopeDigest::new();
        documents.iter().for_each(|(doc, heads)| digest.add(*doc, heads));
        digest
    }

    proptest! {
        #[test]
        fn the_order_of_documents_and_heads_does_not_matter(documents in documents()) {
            let mut turned = documents.clone();
            turned.reverse();
            turned.iter_mut().for_each(|(_, heads)| heads.reverse());
            prop_assert_eq!(of(&documents), of(&turned));
            prop_assert_eq!(of(&documents).documents() as usize, documents.len());
        }
        #[test]
        fn what_leaves_leaves_no_trace(documents in documents(), doc: [u8; 16], head: [u8; 32]) {
            let (doc, head) = (DocId::new(DocKind::Order, doc), ChangeHash(head));
            let before = of(&documents);
            let mut digest = before;
            digest.add(doc, &[head]);
            prop_assert_ne!(digest, before);
            let with_one_head = digest;
            digest.replace(doc, &[head], &[]);
            prop_assert_ne!(digest, with_one_head);
            digest.remove(doc, &[]);
            prop_assert_eq!(digest, before);
        }
    }

    #[test]
    fn a_documents_digest_names_the_document_and_its_heads() {
        let (order, ticket) = (DocId::new(DocKind::Order, [1; 16]), DocId::new(DocKind::Ticket, [1; 16]));
        let (a, b) = (ChangeHash([1; 32]), ChangeHash([2; 32]));
        assert_eq!(heads_digest(order, &[a, b]), heads_digest(order, &[b, a, b]));
        assert_ne!(heads_digest(order, &[a]), heads_digest(order, &[a, b]));
        assert_ne!(heads_digest(order, &[a]), heads_digest(ticket, &[a]));
        assert_eq!(hex::encode(heads_digest(order, &[a, b])), "85a727894205175b");
    }
}
