//! A report as CSV for spreadsheets: UTF-8 with a byte-order mark, a title row, then the rows.
//!
//! A text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, their full-width
//! forms, a tab or a line end) gets an apostrophe before it: what a customer's name says is never carried
//! out on the office's computer.

use super::super::table::{Cell, Table};
use super::{shown, titled};

/// Characters that begin a formula in some spreadsheet.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n'];

pub(super) fn bytes(table: &Table) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    writer.write_record(table.columns.iter().map(|column| titled(column.title)))?;
    for row in &table.body.rows {
        writer.write_record(row.iter().map(guarded))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn guarded(cell: &Cell) -> String {
    let text = shown(cell);
    let foreign = matches!(cell, Cell::Text(_));
    // Spaces before it do not make it less of a formula.
    if foreign && (text.trim_start().starts_with(FORMULA) || text.starts_with(FORMULA)) {
        format!("'{text}")
    } else {
        text
    }
}
