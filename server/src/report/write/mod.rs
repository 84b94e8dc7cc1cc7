//! Reports as bytes: one writer for each format.
//!
//! In: a [`Table`]. Out: a file's bytes and media type. Chinese stands first, English beside it. Only
//! here do money and waiting times become decimals, and only for showing.

mod csv;
mod html;
mod json;
mod xlsx;

use sync_core::money::Money;

use super::table::{Cell, Table};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, for programs.
    Json,
    /// CSV with a byte-order mark, so that Excel shows Chinese. Rows only: no summary, no definitions.
    Csv,
    /// Excel: rows, summary and definitions on a sheet each.
    Xlsx,
    /// A page to read and print.
    Html,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Xlsx, Self::Html];

    /// Its name, which is also a file's ending.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Html => "html",
        }
    }
    /// Its media type.
    pub const fn media(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Html => "text/html; charset=utf-8",
        }
    }
    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// A report that cannot be written. Its words name no content of a cell.
#[derive(Debug, thiserror::Error)]
#[error("the report cannot be written as {format}")]
pub struct WriteError {
    format: &'static str,
}

/// Writes a report.
pub fn write(table: &Table, format: Format) -> Result<Vec<u8>, WriteError> {
    let failed = || WriteError { format: format.name() };
    match format {
        Format::Json => serde_json::to_vec(&json::value(table)).map_err(|_| failed()),
        Format::Csv => csv::bytes(table).map_err(|_| failed()),
        Format::Xlsx => xlsx::bytes(table).map_err(|_| failed()),
        Format::Html => Ok(html::page(table).into_string().into_bytes()),
    }
}

/// A cell as people read it; nothing where there is no value.
fn shown(cell: &Cell) -> String {
    let hundredths =
        |value: Option<i64>| value.map(|v| format!("{}.{:02}", v / 100, (v % 100).abs())).unwrap_or_default();
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Day(day) => day.to_string(),
        Cell::Moment(moment) => moment.format("%Y-%m-%d %H:%M").to_string(),
        Cell::Flag(true) => "是".to_owned(),
        Cell::Flag(false) => "否".to_owned(),
        Cell::Rate(share) => share.ratio().map(|r| format!("{:.1}%", r * 100.0)).unwrap_or_default(),
        Cell::Average(mean) => hundredths(mean.hundredths(1)),
        Cell::Hours(mean) => hundredths(mean.hundredths(HOUR_MS)),
        Cell::Money(amounts) => amounts.iter().map(Money::to_string).collect::<Vec<_>>().join("; "),
    }
}

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// A count of hundredths as a number, for formats that calculate.
fn of_hundredths(value: i64) -> f64 {
    // Exact up to 2^53, far beyond any average of scores or hours.
    value as f64 / 100.0
}

/// Chinese and English of a title.
fn titled((zh, en): (&str, &str)) -> String {
    format!("{zh} / {en}")
}
