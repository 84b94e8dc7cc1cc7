//! The rows of a sheet → whole orders, and the list of what was not taken.
//!
//! In: a file's bytes, the policy's materials by every title that a sheet may use, the company's zone. Out:
//! an [`OrderSheet`]. Amounts are CNY in minor units, times Unix milliseconds, rows as the spreadsheet counts.
//!
//! How rows become orders (S21):
//! - Rows with the same order number are one order, also when they do not stand together. What belongs to
//!   the whole order (store, sales, customer, phone, address, paid, guarantee, both times) may stand on any
//!   of its rows and be empty on the others; two different values are a [`Fault::ConflictingValue`] of the
//!   later row. Notes are not values that contradict: different ones are kept, one a line.
//! - **An order goes in whole or not at all.** One bad row holds its order out; the order's good rows are not
//!   reported, for there is nothing to mend in them. A row without a number belongs to no order.
//! - A row that repeats an earlier one of its order in every known cell was pasted twice: it is ignored with
//!   a warning. Two like items differ somewhere, or belong into one row with their quantity.
//! - The time of intake is mandatory with its hour: it decides what is an insertion. Payment is not.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, TimeZone as _};
use chrono_tz::Tz;
use sync_core::ids::Name;
use sync_core::limits;
use sync_core::money::{Currency, Money};
use sync_core::time::{UnixMs, utc};

use super::columns::{Columns, Field};
use super::decode::{FileKind, Row, decode};
use super::faults::{BadRow, Fault, Notice, SheetError, SheetWarning};
use super::values;

/// Characters of a store, a name, a product, a model.
pub const NAME_CHARS_MAX: usize = 100;
/// Characters of an address.
pub const ADDRESS_CHARS_MAX: usize = 300;
/// Items of one order.
pub const ITEMS_MAX: usize = 200;
/// Entries of [`OrderSheet::bad`]; [`OrderSheet::bad_rows`] counts beyond it.
pub const BAD_LISTED_MAX: usize = 10_000;

/// One item (明细) of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetItem {
    /// Its row as the spreadsheet shows it.
    pub row: u32,
    /// Product.
    pub product: String,
    /// Model or size; may be empty.
    pub model: String,
    /// The policy's class of material.
    pub material: Name,
    /// Pieces, at least 1.
    pub quantity: u32,
    /// Price of one piece, not negative.
    pub unit_price: Money,
}

/// One whole order, every value checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetOrder {
    /// Order number, half-width, as the company writes it.
    pub number: String,
    /// Name of the store.
    pub store: String,
    /// Staff number of the sales person.
    pub sales: String,
    /// Customer's name.
    pub customer: String,
    /// Customer's phone: 11 digits, or `0571-87654321`.
    pub phone: String,
    /// Address of delivery.
    pub address: String,
    /// The items in the order of their rows; at least one.
    pub items: Vec<SheetItem>,
    /// Paid so far; `None` where the sheet says nothing.
    pub paid: Option<Money>,
    /// Whether somebody guarantees for the rest; a sheet that says nothing means no.
    pub guarantee: bool,
    /// When the order was handed in.
    pub taken_at: UnixMs,
    /// The day on which the customer wants the delivery.
    pub delivery_date: NaiveDate,
    /// Remarks, different ones one a line; may be empty.
    pub note: String,
    /// The rows that the order was read from.
    pub rows: Vec<u32>,
}

impl SheetOrder {
    /// The sum of its items.
    pub fn total(&self) -> Money {
        let minor = self.items.iter().map(|i| i.unit_price.minor * i64::from(i.quantity)).sum();
        Money::new(minor, Currency::CNY)
    }
}

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSheet {
    /// The whole orders, by their first rows.
    pub orders: Vec<SheetOrder>,
    /// The cells that held their orders out, by row; at most [`BAD_LISTED_MAX`].
    pub bad: Vec<BadRow>,
    /// How many rows are bad, listed or not.
    pub bad_rows: usize,
    /// How many orders with a number are held out.
    pub held: usize,
    /// What should be looked at although it held nothing out.
    pub warnings: Vec<SheetWarning>,
    /// Filled rows below the headers.
    pub rows: usize,
}

/// Reads an order sheet. `materials` names the policy's materials by every title or alias (板木, panel);
/// `file_name` serves only to say that a file is not what its name says.
///
/// # Errors
/// The file as a whole cannot be read, or its columns are not those of an order sheet.
pub fn read_orders(
    bytes: &[u8],
    file_name: &str,
    materials: &BTreeMap<String, Name>,
    zone: Tz,
) -> Result<OrderSheet, SheetError> {
    let table = decode(bytes)?;
    let columns = Columns::find(&table.rows)?;
    let rows = &table.rows[columns.data..];
    let mut warnings = columns.unknown(rows);
    if !name_fits(file_name, table.kind) {
        warnings.push(SheetWarning { row: None, column: None, notice: Notice::NotAsNamed });
    }
    let materials = materials.iter().map(|(title, name)| (fold(title), name)).collect();
    let mut reading =
        Reading { columns, materials, zone, bad: Vec::new(), bad_rows: BTreeSet::new(), warnings };
    let groups = reading.group(rows);
    let count = groups.len();
    let orders: Vec<SheetOrder> = groups.iter().filter_map(|g| reading.order(g)).collect();
    reading.bad.sort_by_key(|b| b.row);
    Ok(OrderSheet {
        held: count - orders.len(),
        orders,
        bad: reading.bad,
        bad_rows: reading.bad_rows.len(),
        warnings: reading.warnings,
        rows: rows.len(),
    })
}

/// Whether the name's ending, where it says anything, agrees with the content.
fn name_fits(file_name: &str, kind: FileKind) -> bool {
    let ending = file_name.rsplit_once('.').map_or(String::new(), |(_, e)| e.to_lowercase());
    match ending.as_str() {
        "xlsx" | "xlsm" | "xls" => kind == FileKind::Xlsx,
        "csv" | "txt" | "tsv" => kind == FileKind::Csv,
        _ => true,
    }
}

/// A material's title without what varies.
fn fold(title: &str) -> String {
    values::tidy(&values::half_width(title)).to_lowercase()
}

/// The rows of one order number.
struct Group<'r> {
    number: String,
    rows: Vec<&'r Row>,
}

/// One file being read.
struct Reading<'m> {
    columns: Columns,
    materials: BTreeMap<String, &'m Name>,
    zone: Tz,
    bad: Vec<BadRow>,
    bad_rows: BTreeSet<u32>,
    warnings: Vec<SheetWarning>,
}

impl Reading<'_> {
    fn hold(&mut self, row: u32, order: Option<&str>, field: Field, fault: Fault) {
        self.bad_rows.insert(row);
        if self.bad.len() < BAD_LISTED_MAX {
            let column = self.columns.header(field).to_owned();
            self.bad.push(BadRow { row, order: order.map(str::to_owned), column, fault });
        }
    }

    fn warn(&mut self, row: u32, field: Field, notice: Notice) {
        let column = Some(self.columns.header(field).to_owned());
        self.warnings.push(SheetWarning { row: Some(row), column, notice });
    }

    /// The rows by order number, in the order of their first rows.
    fn group<'r>(&mut self, rows: &'r [Row]) -> Vec<Group<'r>> {
        let mut groups: Vec<Group<'r>> = Vec::new();
        let mut by_number: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows {
            let cell = self.columns.cell(row, Field::Number);
            let number = match values::tidy(cell) {
                text if text.is_empty() => Err(Fault::MissingNumber),
                text if values::is_formula_error(&text) => Err(Fault::CellError),
                text => values::order_number(&text).ok_or(Fault::BadNumber),
            };
            let number = match number {
                Ok(number) => number,
                Err(fault) => {
                    self.hold(row.number, None, Field::Number, fault);
                    continue;
                }
            };
            let at = *by_number.entry(number.clone()).or_insert_with(|| {
                groups.push(Group { number, rows: Vec::new() });
                groups.len() - 1
            });
            groups[at].rows.push(row);
        }
        for group in &mut groups {
            self.drop_repeated(group);
        }
        groups
    }

    /// Leaves out rows that repeat an earlier one in every known cell.
    fn drop_repeated(&mut self, group: &mut Group<'_>) {
        let mut seen: BTreeSet<Vec<String>> = BTreeSet::new();
        let columns = &self.columns;
        let cells = |row: &Row| Field::ALL.iter().map(|f| values::code(columns.cell(row, *f))).collect();
        let (kept, repeated): (Vec<&Row>, Vec<&Row>) =
            group.rows.iter().partition(|row| seen.insert(cells(row)));
        group.rows = kept;
        for row in repeated {
            self.warn(row.number, Field::Number, Notice::DuplicateRow);
        }
    }

    /// The whole order, or `None` where one of its rows holds it out.
    fn order(&mut self, group: &Group<'_>) -> Option<SheetOrder> {
        let zone = self.zone;
        let name = |text: &str| short_text(text, NAME_CHARS_MAX);
        let store = self.shared(group, Field::Store, name);
        let sales = self.shared(group, Field::Sales, |text| short_text(&values::code(text), NAME_CHARS_MAX));
        let customer = self.shared(group, Field::Customer, name);
        let phone = self.shared(group, Field::Phone, |t| values::phone(t).ok_or(Fault::BadPhone));
        let address = self.shared(group, Field::Address, |text| short_text(text, ADDRESS_CHARS_MAX));
        let paid = self.shared(group, Field::Paid, |t| values::amount(t).ok_or(Fault::BadPrice));
        let guarantee = self.shared(group, Field::Guarantee, |t| values::flag(t).ok_or(Fault::BadFlag));
        let taken_at = self.shared(group, Field::TakenAt, |t| moment(t, zone).ok_or(Fault::BadTime));
        let delivery = self.shared(group, Field::DeliveryDate, |t| values::date(t).ok_or(Fault::BadDate));
        let note = self.note(group);
        if let Some(row) = group.rows.get(ITEMS_MAX) {
            self.hold(row.number, Some(&group.number), Field::Number, Fault::TooManyItems);
        }
        let items: Vec<Option<SheetItem>> = group.rows.iter().map(|row| self.item(group, row)).collect();
        if group.rows.iter().any(|row| self.bad_rows.contains(&row.number)) {
            return None;
        }
        let order = SheetOrder {
            number: group.number.clone(),
            store: store?,
            sales: sales?,
            customer: customer?,
            phone: phone?,
            address: address?,
            items: items.into_iter().collect::<Option<_>>()?,
            paid,
            guarantee: guarantee.unwrap_or(false),
            taken_at: taken_at?,
            delivery_date: delivery?,
            note,
            rows: group.rows.iter().map(|r| r.number).collect(),
        };
        self.look_over(&order);
        Some(order)
    }

    /// What is odd about a good order.
    fn look_over(&mut self, order: &SheetOrder) {
        let row = order.rows[0];
        if order.paid.is_some_and(|paid| paid.minor > order.total().minor) {
            self.warn(row, Field::Paid, Notice::PaidOverTotal);
        }
        if order.delivery_date < utc(order.taken_at).with_timezone(&self.zone).date_naive() {
            self.warn(row, Field::DeliveryDate, Notice::DeliveryBeforeTaken);
        }
    }

    /// The value of a cell, `None` where it is empty. What is wrong with it holds the order out.
    fn value<T>(
        &mut self,
        group: &Group<'_>,
        row: &Row,
        field: Field,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = values::tidy(self.columns.cell(row, field));
        if text.is_empty() {
            return None;
        }
        let parsed = if values::is_formula_error(&text) { Err(Fault::CellError) } else { parse(&text) };
        match parsed {
            Ok(value) => Some(value),
            Err(fault) => {
                self.hold(row.number, Some(&group.number), field, fault);
                None
            }
        }
    }

    /// A value of the whole order: the first of its rows that has it says it, and no other says otherwise.
    fn shared<T: PartialEq>(
        &mut self,
        group: &Group<'_>,
        field: Field,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let mut found: Option<T> = None;
        let mut filled = false;
        for row in &group.rows {
            filled |= !values::tidy(self.columns.cell(row, field)).is_empty();
            let Some(value) = self.value(group, row, field, &parse) else { continue };
            match &found {
                None => found = Some(value),
                Some(earlier) if *earlier == value => {}
                Some(_) => self.hold(row.number, Some(&group.number), field, Fault::ConflictingValue),
            }
        }
        if field.mandatory() && !filled {
            self.hold(group.rows[0].number, Some(&group.number), field, Fault::MissingValue);
        }
        found
    }

    /// The order's notes, different ones one a line.
    fn note(&mut self, group: &Group<'_>) -> String {
        let mut note = String::new();
        for row in &group.rows {
            let text = self.value(group, row, Field::Note, |t| short_text(t, limits::TEXT_CHARS_MAX));
            let Some(text) = text.filter(|t| !note.lines().any(|line| line == t)) else { continue };
            if !note.is_empty() {
                note.push('\n');
            }
            note.push_str(&text);
            if note.chars().count() > limits::TEXT_CHARS_MAX {
                self.hold(row.number, Some(&group.number), Field::Note, Fault::TooLong);
                break;
            }
        }
        note
    }

    /// The item of one row.
    fn item(&mut self, group: &Group<'_>, row: &Row) -> Option<SheetItem> {
        let name = |text: &str| short_text(text, NAME_CHARS_MAX);
        let product = self.needed(group, row, Field::Product, name);
        let model = self.value(group, row, Field::Model, name).unwrap_or_default();
        let known = self.materials.get(&fold(self.columns.cell(row, Field::Material))).copied().cloned();
        let material =
            self.needed(group, row, Field::Material, |_| known.clone().ok_or(Fault::UnknownMaterial));
        let quantity =
            self.needed(group, row, Field::Quantity, |t| values::quantity(t).ok_or(Fault::BadQuantity));
        let unit_price =
            self.needed(group, row, Field::UnitPrice, |t| values::amount(t).ok_or(Fault::BadPrice));
        Some(SheetItem {
            row: row.number,
            product: product?,
            model,
            material: material?,
            quantity: quantity?,
            unit_price: unit_price?,
        })
    }

    /// A value that each row must have.
    fn needed<T>(
        &mut self,
        group: &Group<'_>,
        row: &Row,
        field: Field,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        if values::tidy(self.columns.cell(row, field)).is_empty() {
            self.hold(row.number, Some(&group.number), field, Fault::MissingValue);
            return None;
        }
        self.value(group, row, field, parse)
    }
}

/// A text of at most `chars_max` characters.
fn short_text(text: &str, chars_max: usize) -> Result<String, Fault> {
    if text.chars().count() > chars_max { Err(Fault::TooLong) } else { Ok(text.to_owned()) }
}

/// A local time as a moment; one that the clocks skipped is none, of one that came twice the first.
fn moment(text: &str, zone: Tz) -> Option<UnixMs> {
    let local = values::date_time(text)?;
    zone.from_local_datetime(&local).earliest().map(|at| at.timestamp_millis())
}

#[cfg(test)]
mod tests;
