//! What the business is made of: the registry of a document's fields.

pub mod fields;
