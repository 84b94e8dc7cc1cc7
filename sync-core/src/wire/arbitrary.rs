//! Frames of every kind for property tests: any field may have any value, lists and texts are short.

use minicbor::bytes::ByteArray;
use proptest::prelude::*;

use super::frames::*;
use crate::ids::{BlobHash, ChangeHash, DocId, DocKind, Name, Position};
use crate::refusal::{Refusal, RefusalCode};

fn doc() -> impl Strategy<Value = DocId> {
    (0usize..6, any::<[u8; 16]>()).prop_map(|(kind, id)| DocId::new(DocKind::ALL[kind], id))
}
/// A few hundred bytes at most.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}
fn text() -> impl Strategy<Value = String> {
    "\\PC{0,40}"
}
fn blob() -> impl Strategy<Value = BlobHash> {
    any::<[u8; 32]>().prop_map(BlobHash)
}
fn change_hash() -> impl Strategy<Value = ChangeHash> {
    any::<[u8; 32]>().prop_map(ChangeHash)
}
fn position() -> impl Strategy<Value = Position> {
    any::<u64>().prop_map(Position)
}
fn list<T: std::fmt::Debug>(item: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(item, 0..5)
}
fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9_-]{1,40}".prop_map(|name| name.parse().unwrap())
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let code = prop::sample::select(RefusalCode::ALL);
    (code, prop::collection::btree_map(text(), text(), 0..3), list(name()))
        .prop_map(|(code, params, who)| Refusal { code, params, who })
}

fn resolution() -> impl Strategy<Value = Resolution> {
    prop_oneof![
        Just(Resolution::Released),
        (text(), text()).prop_map(|(why, by)| Resolution::Discarded { why, by }),
        Just(Resolution::Replayed),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        position().prop_map(|position| Verdict::Admitted { position }),
        refusal().prop_map(|refusal| Verdict::Held { refusal }),
    ]
}

/// Any item of a feed.
pub fn feed_item() -> impl Strategy<Value = FeedItem> {
    prop_oneof![
        (doc(), list(bytes())).prop_map(|(doc, changes)| FeedItem::Changes {
            doc,
            changes: changes.into_iter().map(Into::into).collect()
        }),
        (doc(), bytes()).prop_map(|(doc, bytes)| FeedItem::Snapshot { doc, bytes }),
        doc().prop_map(|doc| FeedItem::Forget { doc }),
        (doc(), change_hash(), resolution()).prop_map(|(doc, hash, resolution)| FeedItem::Resolved {
            doc,
            hash,
            resolution
        }),
        (any::<u32>(), blob(), bytes()).prop_map(|(version, hash, bytes)| FeedItem::Policy {
            version,
            hash,
            bytes
        }),
        doc().prop_map(|doc| FeedItem::Need { doc }),
    ]
}

fn hello() -> impl Strategy<Value = Frame> {
    let counts = any::<(u32, u32, Option<i64>, u32, u32)>();
    (any::<(u16, u16)>(), text(), position(), any::<(u64, i64)>(), counts).prop_map(
        |(versions, app, cursor, (epoch, wall_ms), counts)| {
            let (policy, unsent, oldest_unsent_ms, held, blobs_pending) = counts;
            Frame::Hello(Hello {
                versions,
                app,
                cursor,
                epoch,
                policy,
                unsent,
                oldest_unsent_ms,
                held,
                blobs_pending,
                wall_ms,
            })
        },
    )
}

fn from_device() -> impl Strategy<Value = Frame> {
    let change = bytes().prop_map(Into::into);
    prop_oneof![
        hello(),
        (any::<u64>(), doc(), list(change)).prop_map(|(id, doc, changes)| Frame::Push(Push {
            id,
            doc,
            changes
        })),
        doc().prop_map(|doc| Frame::Need(Need { doc })),
        (any::<[u8; 32]>(), any::<u32>(), position()).prop_map(|(digest, documents, cursor)| {
            Frame::Digest(Digest { digest: digest.into(), documents, cursor })
        }),
        (list((doc(), any::<[u8; 8]>().prop_map(ByteArray::from))), any::<bool>())
            .prop_map(|(documents, last)| Frame::Inventory(Inventory { documents, last })),
        (blob(), any::<u64>(), text(), doc()).prop_map(|(hash, size, media, doc)| Frame::BlobOffer {
            hash,
            size,
            media,
            doc
        }),
        (blob(), any::<u64>(), bytes()).prop_map(|(hash, offset, bytes)| Frame::BlobPart {
            hash,
            offset,
            bytes
        }),
        (blob(), any::<u64>(), proptest::option::of(doc())).prop_map(|(hash, offset, doc)| Frame::BlobGet {
            hash,
            offset,
            doc
        }),
        bytes().prop_map(|receipt| Frame::Wiped { receipt }),
    ]
}

fn from_relay() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (any::<(u16, u64, i64, i64)>(), position()).prop_map(
            |((version, epoch, now_ms, lease_until_ms), head)| {
                Frame::Welcome(Welcome { version, epoch, now_ms, head, lease_until_ms })
            }
        ),
        (list(feed_item()), position(), any::<bool>()).prop_map(|(items, upto, more)| Frame::Feed(Feed {
            items,
            upto,
            more
        })),
        (any::<u64>(), any::<i64>(), list(verdict()))
            .prop_map(|(id, at_ms, verdicts)| Frame::Verdicts(Verdicts { id, at_ms, verdicts })),
        any::<bool>().prop_map(|agree| Frame::Agreement { agree }),
        (blob(), any::<u64>(), any::<bool>()).prop_map(|(hash, have, complete)| Frame::BlobState {
            hash,
            have,
            complete
        }),
        refusal().prop_map(|reason| Frame::Wipe { reason }),
        (text(), text()).prop_map(|(code, message)| Frame::Failure { code, message }),
    ]
}

/// Any frame of any kind.
pub fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![from_device(), from_relay()]
}
