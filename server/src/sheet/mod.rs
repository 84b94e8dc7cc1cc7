//! Reading of the order sheets that a furniture retailer has: Excel or CSV in, checked orders out.
//!
//! In: the bytes of one file, its name, the policy's materials, the company's time zone. Out: an
//! [`OrderSheet`] with whole orders, amounts in minor units of CNY and times in Unix milliseconds, and
//! with every row that was not taken, named by its row and column as the spreadsheet shows them.
//!
//! Invariants: foreign bytes never panic and never take unbounded memory (every bound stands in
//! `decode.rs`, `unpack.rs` and `orders.rs`); an order goes in whole or not at all; nothing is dropped without a
//! [`BadRow`] or a [`SheetWarning`]; no message repeats a cell's content, which may be personal data.
//!
//! Not here: writing anything to a document, ids of documents, who may import, and the old binary
//! `.xls` format, which is refused with the advice to save as `.xlsx`.

pub mod columns;
pub mod decode;
mod faults;
pub mod orders;
mod unpack;
pub mod values;

pub use faults::{BadRow, Fault, Notice, SheetError, SheetWarning};
pub use orders::{OrderSheet, SheetItem, SheetOrder, read_orders};
