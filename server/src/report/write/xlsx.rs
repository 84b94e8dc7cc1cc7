//! A report as an Excel file: the rows on the first sheet, then the summary where there is one, then what
//! each figure counts. Text is written as text, so nothing in it is ever a formula.

use chrono::{Datelike as _, NaiveDate};
use rust_xlsxwriter::{DocProperties, Format, FormatAlign, Workbook, Worksheet, XlsxError};
use sync_core::money::Money;

use super::super::table::{Cell, Column, Table};
use super::{HOUR_MS, of_hundredths, shown, titled};

/// Characters of one cell, at most (Excel takes 32,767).
const TEXT_CHARS_MAX: usize = 32_000;
/// Years that Excel has days for.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=9999;

pub(super) fn bytes(table: &Table) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let (from, to) = (table.from, table.to);
    let properties = DocProperties::new().set_title(format!("{} {from} – {to}", table.title.0));
    book.set_properties(&properties.set_creation_datetime(&table.made));
    let looks = Looks::new();
    let sheet = book.add_worksheet().set_name(table.title.0)?;
    fill(sheet, &looks, table.columns, &table.body.rows)?;
    if !table.summary_columns.is_empty() {
        let sheet = book.add_worksheet().set_name("汇总 summary")?;
        fill(sheet, &looks, table.summary_columns, std::slice::from_ref(&table.body.summary))?;
    }
    let sheet = book.add_worksheet().set_name("说明 definitions")?;
    define(sheet, &looks, table)?;
    book.save_to_buffer()
}

/// How cells look.
struct Looks {
    title: Format,
    day: Format,
    moment: Format,
    rate: Format,
    decimal: Format,
    words: Format,
}

impl Looks {
    fn new() -> Self {
        let numbers = |format: &str| Format::new().set_num_format(format);
        Self {
            title: Format::new().set_bold().set_text_wrap().set_align(FormatAlign::Top),
            day: numbers("yyyy-mm-dd"),
            moment: numbers("yyyy-mm-dd hh:mm"),
            rate: numbers("0.0%"),
            decimal: numbers("0.00"),
            words: Format::new().set_text_wrap().set_align(FormatAlign::Top),
        }
    }
}

fn fill(
    sheet: &mut Worksheet,
    looks: &Looks,
    columns: &[Column],
    rows: &[Vec<Cell>],
) -> Result<(), XlsxError> {
    sheet.set_freeze_panes(1, 0)?;
    for (at, column) in (0..).zip(columns) {
        sheet.write_string_with_format(0, at, titled(column.title), &looks.title)?;
    }
    for (at, row) in (1..).zip(rows) {
        for (column, cell) in (0..).zip(row) {
            put(sheet, looks, (at, column), cell)?;
        }
    }
    sheet.autofit();
    Ok(())
}

fn put(
    sheet: &mut Worksheet,
    looks: &Looks,
    (row, column): (u32, u16),
    cell: &Cell,
) -> Result<(), XlsxError> {
    let known = |day: NaiveDate| YEARS.contains(&day.year());
    let decimal = |value: Option<i64>| value.map(|value| (of_hundredths(value), &looks.decimal));
    let number = match cell {
        // Whole numbers beyond 2^53 do not occur: they count rows and days.
        Cell::Number(number) => {
            sheet.write_number(row, column, *number as f64)?;
            return Ok(());
        }
        Cell::Day(day) if known(*day) => {
            sheet.write_datetime_with_format(row, column, day, &looks.day)?;
            return Ok(());
        }
        Cell::Moment(moment) if known(moment.date()) => {
            sheet.write_datetime_with_format(row, column, moment, &looks.moment)?;
            return Ok(());
        }
        Cell::Rate(share) => share.ratio().map(|ratio| (ratio, &looks.rate)),
        Cell::Average(mean) => decimal(mean.hundredths(1)),
        Cell::Hours(mean) => decimal(mean.hundredths(HOUR_MS)),
        Cell::Money(amounts) => return put_money(sheet, (row, column), amounts),
        _ => {
            let text: String = shown(cell).chars().take(TEXT_CHARS_MAX).collect();
            if !text.is_empty() {
                sheet.write_string(row, column, text)?;
            }
            return Ok(());
        }
    };
    if let Some((number, look)) = number {
        sheet.write_number_with_format(row, column, number, look)?;
    }
    Ok(())
}

/// One amount is a number that says its currency; several are text.
fn put_money(sheet: &mut Worksheet, (row, column): (u32, u16), amounts: &[Money]) -> Result<(), XlsxError> {
    match amounts {
        [] => {}
        [amount] => {
            let places = amount.currency.exponent();
            let decimals =
                if places > 0 { format!(".{}", "0".repeat(places as usize)) } else { String::new() };
            let look =
                Format::new().set_num_format(format!("#,##0{decimals} \"{}\"", amount.currency.code()));
            // Excel has no other numbers than these; exact to the minor unit up to 2^53.
            let value = amount.minor as f64 / f64::from(10_u32.pow(places));
            sheet.write_number_with_format(row, column, value, &look)?;
        }
        several => {
            sheet.write_string(row, column, shown(&Cell::Money(several.to_vec())))?;
        }
    }
    Ok(())
}

fn define(sheet: &mut Worksheet, looks: &Looks, table: &Table) -> Result<(), XlsxError> {
    for (column, width) in [(0, 28), (1, 60), (2, 60), (3, 28)] {
        sheet.set_column_width(column, width)?;
    }
    for (at, title) in (0..).zip(["项目 / figure", "说明", "definition", "条款 / clause"]) {
        sheet.write_string_with_format(0, at, title, &looks.title)?;
    }
    let own = (titled(table.title), table.definition, table.clause);
    let figures = table.defined().map(|column| (titled(column.title), column.definition, column.clause));
    for (row, (title, (zh, en), clause)) in (1..).zip([own].into_iter().chain(figures)) {
        for (at, text) in (0..).zip([title.as_str(), zh, en, clause]) {
            sheet.write_string_with_format(row, at, text, &looks.words)?;
        }
    }
    Ok(())
}
