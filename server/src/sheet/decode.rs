//! The bytes of one file → a table of text cells with the row numbers that the spreadsheet shows.
//!
//! In: foreign bytes. Out: a [`Table`] of the filled rows. What the file is follows from its content, not
//! its name: a ZIP is read as `.xlsx` (its first visible sheet with a filled cell), everything else as
//! CSV in UTF-8 (with or without a mark), UTF-16 with a mark, or GB18030 (GBK), divided by comma,
//! semicolon or tab. Numbers become text to the 15 digits that a spreadsheet holds, dates ISO text.
//!
//! Bounds, all checked before the memory is taken: the constants below. A ZIP's declared sizes are not
//! believed: every part is first unpacked into a counter (`unpack.rs`), which also refuses what makes
//! the reader reserve memory by a number in the file. Cells are then streamed, so that two cells in
//! opposite corners cost two cells. The reader runs under `catch_unwind`: it parses foreign bytes.
//!
//! Not here: what the cells mean; the old binary `.xls` (its reader takes a dense table for each sheet
//! that a file merely claims, so its memory cannot be bounded from outside).

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{DataRef, Reader as _, SheetType, SheetVisible, Xlsx};
use encoding_rs::{GB18030, UTF_16BE, UTF_16LE};

use super::faults::SheetError;
use super::unpack::prove_parts;

/// Bytes of one file.
pub const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Row number of the last filled row.
pub const ROWS_MAX: u32 = 200_000;
/// Column number of the last filled column.
pub const COLUMNS_MAX: u32 = 200;
/// Characters of one cell.
pub const CELL_CHARS_MAX: usize = 4_000;
/// Cells of the whole table, empty ones before a filled one included.
pub const CELLS_MAX: usize = 4_000_000;
/// One filled row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The row as the spreadsheet shows it, counted from 1.
    pub number: u32,
    /// The cells from column A to the last filled one.
    pub cells: Vec<String>,
}

/// What kind of file it was by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Office Open XML.
    Xlsx,
    /// Divided text.
    Csv,
}

/// The filled rows of one sheet, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What the file was.
    pub kind: FileKind,
    /// The rows; never empty.
    pub rows: Vec<Row>,
}

/// Collects rows within the bounds.
#[derive(Default)]
struct Collector {
    rows: Vec<Row>,
    cells: usize,
}

impl Collector {
    /// Takes one cell; `row` and `column` count from 0. Rows come in order, empty cells are left out.
    fn take(&mut self, row: u32, column: u32, text: &str) -> Result<(), SheetError> {
        if text.trim().is_empty() {
            return Ok(());
        }
        if row >= ROWS_MAX {
            return Err(SheetError::TooManyRows(ROWS_MAX));
        }
        if column >= COLUMNS_MAX {
            return Err(SheetError::TooManyColumns(COLUMNS_MAX));
        }
        if text.len() > CELL_CHARS_MAX && text.chars().count() > CELL_CHARS_MAX {
            return Err(SheetError::CellTooLong { row: row + 1, column: column + 1 });
        }
        let number = row + 1;
        let newest = self.rows.last().map_or(0, |r| r.number);
        if newest > number {
            return Err(SheetError::NotASheet);
        }
        if newest < number {
            self.rows.push(Row { number, cells: Vec::new() });
        }
        let cells = &mut self.rows.last_mut().expect("a row was pushed above").cells;
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        if column >= cells.len() {
            self.cells += column + 1 - cells.len();
            if self.cells > CELLS_MAX {
                return Err(SheetError::TooManyCells(CELLS_MAX));
            }
            cells.resize(column + 1, String::new());
        }
        text.clone_into(&mut cells[column]);
        Ok(())
    }
}

/// Reads a file into its table.
///
/// # Errors
/// Over a bound, undecodable, not a spreadsheet, the old Excel format, or empty.
pub fn decode(bytes: &[u8]) -> Result<Table, SheetError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(SheetError::TooLarge { mib: FILE_BYTES_MAX as u64 >> 20 });
    }
    let (kind, rows) = if bytes.starts_with(b"PK\x03\x04") {
        // A panic in the reader means a damaged file; the workbook is dropped with it.
        let read = catch_unwind(AssertUnwindSafe(|| read_xlsx(bytes)));
        (FileKind::Xlsx, read.unwrap_or(Err(SheetError::NotASheet))?)
    } else if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]) {
        return Err(SheetError::OldExcel);
    } else {
        (FileKind::Csv, read_csv(&decode_text(bytes)?)?)
    };
    if rows.is_empty() { Err(SheetError::Empty) } else { Ok(Table { kind, rows }) }
}

/// The text of a CSV file, with `\n` as its only line end and one at its end.
fn decode_text(bytes: &[u8]) -> Result<String, SheetError> {
    let utf16 = |encoding: &'static encoding_rs::Encoding, body: &[u8]| {
        let text = encoding.decode_without_bom_handling_and_without_replacement(body);
        text.map(|t| t.into_owned()).ok_or(SheetError::Undecodable)
    };
    let text = match bytes {
        [0xef, 0xbb, 0xbf, body @ ..] => {
            std::str::from_utf8(body).map_err(|_| SheetError::Undecodable)?.to_owned()
        }
        [0xff, 0xfe, body @ ..] => utf16(UTF_16LE, body)?,
        [0xfe, 0xff, body @ ..] => utf16(UTF_16BE, body)?,
        body => match std::str::from_utf8(body) {
            Ok(text) => text.to_owned(),
            Err(_) => utf16(GB18030, body)?,
        },
    };
    // A NUL stands in binary files only; a sheet that begins with a tag is HTML under another name.
    if text.contains('\0') || text.trim_start().starts_with('<') {
        return Err(SheetError::NotASheet);
    }
    let mut text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// The most frequent of comma, semicolon and tab outside quotation marks in the first filled lines.
fn delimiter(text: &str) -> u8 {
    let mut counts = [(b',', 0usize), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    let mut lines = 0;
    for byte in text.bytes().take(64 * 1024) {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => lines += 1,
            _ if quoted => {}
            byte => {
                for count in counts.iter_mut().filter(|c| c.0 == byte) {
                    count.1 += 1;
                }
            }
        }
        // A title may stand above the headers: the line that settles it is the first divided one.
        if byte == b'\n' && (lines >= 10 || counts.iter().any(|c| c.1 >= 3)) {
            break;
        }
    }
    counts.into_iter().rev().max_by_key(|c| c.1).map_or(b',', |c| c.0)
}

fn read_csv(text: &str) -> Result<Vec<Row>, SheetError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(text))
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(text.as_bytes());
    let mut out = Collector::default();
    let mut record = csv::StringRecord::new();
    // Line breaks inside cells, which the spreadsheet does not count as rows.
    let mut inner_lines = 0;
    while reader.read_record(&mut record).map_err(|_| SheetError::NotASheet)? {
        inner_lines += record.iter().flat_map(str::bytes).filter(|b| *b == b'\n').count() as u64;
        // The reader stands on the line after the record, counts lines from 1 and counts empty ones.
        let row = reader.position().line().saturating_sub(2 + inner_lines);
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        for (column, text) in (0u32..).zip(record.iter()) {
            out.take(row, column, text)?;
        }
    }
    Ok(out.rows)
}

fn read_xlsx(bytes: &[u8]) -> Result<Vec<Row>, SheetError> {
    prove_parts(bytes)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|_| SheetError::NotASheet)?;
    let visible = |s: &&calamine::Sheet| s.typ == SheetType::WorkSheet && s.visible == SheetVisible::Visible;
    let names: Vec<String> = book.sheets_metadata().iter().filter(visible).map(|s| s.name.clone()).collect();
    for name in names {
        let mut cells = book.worksheet_cells_reader(&name).map_err(|_| SheetError::NotASheet)?;
        let mut out = Collector::default();
        while let Some(cell) = cells.next_cell().map_err(|_| SheetError::NotASheet)? {
            let (row, column) = cell.get_position();
            match cell.get_value() {
                DataRef::String(text) => out.take(row, column, text)?,
                DataRef::SharedString(text) => out.take(row, column, text)?,
                value => out.take(row, column, &shown(value))?,
            }
        }
        if !out.rows.is_empty() {
            return Ok(out.rows);
        }
    }
    Ok(Vec::new())
}

/// A cell that is not text, as text.
fn shown(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Int(n) => n.to_string(),
        DataRef::Float(n) => number(*n),
        DataRef::Bool(yes) => if *yes { "TRUE" } else { "FALSE" }.to_owned(),
        DataRef::DateTime(at) => match at.as_datetime().filter(|_| at.is_datetime()) {
            // Half a second up: the serial number of 17:36 may lie a hair before it.
            Some(at) => {
                let at = at.checked_add_signed(chrono::TimeDelta::milliseconds(500)).unwrap_or(at);
                let text = at.format("%Y-%m-%d %H:%M:%S").to_string();
                text.strip_suffix(" 00:00:00").map(str::to_owned).unwrap_or(text)
            }
            None => number(at.as_f64()),
        },
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) | DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Error(error) => error.to_string(),
        DataRef::Empty => String::new(),
    }
}

/// A number to the 15 digits that spreadsheets hold, so that 2808.0000000000005 is 2808; beyond them in
/// the form 2.61112E17, for such a number has lost digits and must not pass as a code.
fn number(n: f64) -> String {
    if !n.is_finite() || n.abs() >= 1e15 {
        return format!("{n:E}");
    }
    let rounded: f64 = format!("{n:.14e}").parse().unwrap_or(n);
    // `+ 0.0` takes the sign from a negative zero.
    format!("{}", rounded + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_xlsxwriter::{Format, Workbook};

    fn cells(bytes: &[u8]) -> Vec<(u32, Vec<String>)> {
        decode(bytes).unwrap().rows.into_iter().map(|r| (r.number, r.cells)).collect()
    }
    fn row(number: u32, cells: &[&str]) -> (u32, Vec<String>) {
        (number, cells.iter().map(|c| (*c).to_owned()).collect())
    }
    #[test]
    fn rows_are_counted_as_the_spreadsheet_shows_them() {
        let text = "a,b\r\n\r\n\"x\r\ny\",\"2\"\r\n,,\r\n\r\n3,\"q\"\"r\"";
        let expect = [row(1, &["a", "b"]), row(3, &["x\ny", "2"]), row(6, &["3", "q\"r"])];
        assert_eq!(cells(text.as_bytes()), expect);
        assert_eq!(cells(text.replace("\r\n", "\r").as_bytes()), expect);
        assert_eq!(cells(text.replace("\r\n", "\n").as_bytes()), expect);
    }
    #[test]
    fn every_encoding_gives_the_same_cells() {
        let text = "订单号;备注\n2611;\"电梯小,需走楼梯\"\n";
        let expect = [row(1, &["订单号", "备注"]), row(2, &["2611", "电梯小,需走楼梯"])];
        let utf16 = |mark: [u8; 2], pair: fn(u16) -> [u8; 2]| {
            [&mark[..], &text.encode_utf16().flat_map(pair).collect::<Vec<u8>>()].concat()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            GB18030.encode(text).0.into_owned(),
            encoding_rs::GBK.encode(text).0.into_owned(),
            utf16([0xff, 0xfe], u16::to_le_bytes),
            utf16([0xfe, 0xff], u16::to_be_bytes),
            text.replace(';', "\t").into_bytes(),
        ] {
            assert_eq!(cells(&bytes), expect);
        }
    }
    #[test]
    fn what_is_not_a_sheet_is_refused_by_what_it_is() {
        for (bytes, code) in [
            (&b""[..], "empty_sheet"),
            (b"\n , ,\n", "empty_sheet"),
            (b"\xff\xff\xff\xff", "undecodable"),
            (b"\xef\xbb\xbf\xff", "undecodable"),
            (b"a\0b", "not_a_sheet"),
            (b" <html><table>", "not_a_sheet"),
            (b"PK\x03\x04rest", "not_a_sheet"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old_excel"),
        ] {
            assert_eq!(decode(bytes).unwrap_err().code(), code);
        }
    }
    #[test]
    fn every_bound_of_the_table_holds() {
        let check = |bytes: Vec<u8>| decode(&bytes).unwrap_err();
        assert_eq!(check(vec![b' '; FILE_BYTES_MAX + 1]).code(), "file_too_large");
        assert_eq!(check([vec![b'\n'; 200_000], b"x".to_vec()].concat()), SheetError::TooManyRows(ROWS_MAX));
        assert_eq!(check([vec![b','; 200], b"x".to_vec()].concat()), SheetError::TooManyColumns(COLUMNS_MAX));
        let long = format!("a,\"{}", "长".repeat(CELL_CHARS_MAX + 1));
        assert_eq!(check(long.into_bytes()), SheetError::CellTooLong { row: 1, column: 2 });
        let wide = format!("{}x\n", ",".repeat(199)).repeat(CELLS_MAX / 200 + 1);
        assert_eq!(check(wide.into_bytes()), SheetError::TooManyCells(CELLS_MAX));
    }
    #[test]
    fn numbers_and_dates_of_a_workbook_keep_their_value() {
        let mut book = Workbook::new();
        book.add_worksheet();
        let sheet = book.add_worksheet();
        let date = Format::new().set_num_format("yyyy-mm-dd");
        let moment = Format::new().set_num_format("yyyy/m/d h:mm");
        sheet.write(1, 0, 2808.0).unwrap();
        sheet.write(1, 1, 6362.4).unwrap();
        sheet.write(1, 2, 0.1 + 0.2).unwrap();
        sheet.write(1, 3, 13_805_032_582_f64).unwrap();
        sheet.write(1, 4, 261_112_000_012_345_678_f64).unwrap();
        sheet.write_with_format(1, 5, 46348.0, &date).unwrap();
        sheet.write_with_format(1, 6, 46348.7333333333, &moment).unwrap();
        sheet.write(1, 7, true).unwrap();
        sheet.write(1, 9, "床").unwrap();
        let expect = [
            "2808",
            "6362.4",
            "0.3",
            "13805032582",
            "2.6111200001234566E17",
            "2026-11-22",
            "2026-11-22 17:36:00",
            "TRUE",
            "",
            "床",
        ];
        let found = cells(&book.save_to_buffer().unwrap());
        assert_eq!((found[0].0, found.len()), (2, 1));
        assert_eq!(found[0].1[..4], expect[..4]);
        assert!(found[0].1[4].contains("E17"));
        assert_eq!(found[0].1[5..], expect[5..]);
    }
    #[test]
    fn cells_in_opposite_corners_are_refused_and_not_filled_in() {
        let mut book = Workbook::new();
        book.add_worksheet().write(0, 0, 1).unwrap().write(1_048_575, 0, 1).unwrap();
        let bytes = book.save_to_buffer().unwrap();
        assert_eq!(decode(&bytes), Err(SheetError::TooManyRows(ROWS_MAX)));
    }
    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text in "[a,;\"\\n\\t订]{0,60}") {
            for found in [decode(&bytes), decode(text.as_bytes()), decode(&[b"PK\x03\x04", &bytes[..]].concat())] {
                prop_assert!(found.is_err() || found.is_ok_and(|t| !t.rows.is_empty()));
            }
        }
        #[test]
        fn a_damaged_workbook_never_panics(at in 0usize..5_000, byte: u8) {
            let mut book = Workbook::new();
            book.add_worksheet().write(0, 0, "订单号").unwrap().write(1, 0, 5).unwrap();
            let mut bytes = book.save_to_buffer().unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(table) = decode(&bytes) { prop_assert!(!table.rows.is_empty()); }
        }
    }
}
