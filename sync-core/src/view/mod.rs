//! Views: plain records for people, made from folded state. No ids but as text, no CRDT, no policy types.
//!
//! In: a document, its state, the rules, who looks and when. Out: what an app shows, Chinese and English
//! beside each other. Times are Unix milliseconds, amounts and days the text forms of the field registry.

pub mod case;
pub mod row;
