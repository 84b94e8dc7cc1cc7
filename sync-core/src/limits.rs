//! Every bound of the core in one place. Units stand last in the names.
//!
//! A bound is checked before memory is taken for what it bounds. Nothing else in the crate holds a
//! literal limit.

/// Bytes of one wire frame, uncompressed.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one Automerge change as pushed by a device (photos are blobs, never in a change).
pub const CHANGE_BYTES_MAX: usize = 256 * 1024;
/// Operations in one change.
pub const CHANGE_OPS_MAX: usize = 2_000;
/// Rows of any one column of a change, operations' predecessors included.
pub const CHANGE_ROWS_MAX: u64 = 8_000;
/// Bytes of text that a change's runs amount to.
pub const CHANGE_UNFOLDED_BYTES_MAX: u64 = 1024 * 1024;
/// Dependencies named by one change.
pub const CHANGE_DEPS_MAX: usize = 64;
/// Bytes of one document snapshot.
pub const DOCUMENT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Rows of any one column of a document snapshot.
pub const DOCUMENT_ROWS_MAX: u64 = 400_000;
/// Bytes that a document snapshot's columns inflate and unfold to.
pub const DOCUMENT_UNFOLDED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of one signed fact, signature strokes included.
pub const FACT_BYTES_MAX: usize = 64 * 1024;
/// Facts in the log of one document.
pub const FACTS_MAX: usize = 10_000;
/// Characters of one text value (a field, a note, a reason).
pub const TEXT_CHARS_MAX: usize = 2_000;
/// Bytes of one key in a document's map.
pub const KEY_BYTES_MAX: usize = 120;
/// Pieces of evidence named by one fact.
pub const EVIDENCE_MAX: usize = 40;
/// Bytes of one blob (photo, file).
pub const BLOB_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Photos and files of others that a device asks for at once.
pub const PHOTOS_WANTED_MAX: usize = 40;
/// Photos and files of others that a device keeps; the oldest go first.
pub const PHOTOS_KEPT_MAX: usize = 500;
/// Bytes that they take at most.
pub const PHOTOS_KEPT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of a policy as TOML and as published CBOR.
pub const POLICY_BYTES_MAX: usize = 256 * 1024;
/// Faults told of one policy; the rest wait until these are mended.
pub const POLICY_FAULTS_MAX: usize = 100;
/// Levels of arrays and maps within a published policy.
pub const POLICY_DEPTH_MAX: usize = 32;
/// Days, hours or months that a policy may count in one place.
pub const POLICY_COUNT_MAX: u32 = 3_660;
/// Proposed policies that wait for management at a time.
pub const POLICY_PROPOSALS_MAX: usize = 20;
/// How long the day from which a policy is in force may lie back when it is published: the time that a
/// decision needs to arrive, and no more, because a policy judges nothing that was done before it.
pub const POLICY_LATE_MS_MAX: i64 = 60_000;
/// How far ahead it may lie: ten years. What is further is a slip of the pen.
pub const POLICY_AHEAD_MS_MAX: i64 = 3_660 * 24 * 3_600_000;
/// Heads that a seal or a document may name.
pub const HEADS_MAX: usize = 64;
/// Characters of a name such as a role, step or flow.
pub const NAME_CHARS_MAX: usize = 40;
/// Changes that stand beside a snapshot before the store compacts them into it.
pub const LOOSE_CHANGES_MAX: usize = 32;
/// Months ahead for which intake may be suspended.
pub const SUSPENSION_MONTHS_MAX: u32 = 12;
/// Bytes of one frame as CBOR that a sender allows itself. What is left of [`FRAME_BYTES_MAX`] is room
/// for what deflate adds to content that does not compress.
pub const FRAME_BYTES_SENT_MAX: usize = FRAME_BYTES_MAX - 64 * 1024;
/// CBOR items (headers, keys and values) in one frame, counted before anything is built from them.
pub const FRAME_ITEMS_MAX: u64 = 64 * 1024;
/// Levels of arrays and maps within one frame.
pub const FRAME_DEPTH_MAX: usize = 16;
/// Changes in one push, in its verdicts, and of one document in a feed.
pub const PUSH_CHANGES_MAX: usize = 1_000;
/// Items in one feed frame.
pub const FEED_ITEMS_MAX: usize = 1_000;
/// Documents in one inventory frame; a longer inventory goes in several.
pub const INVENTORY_MAX: usize = 10_000;
/// Bytes of a blob in one frame.
pub const BLOB_PART_BYTES_MAX: usize = 256 * 1024;
