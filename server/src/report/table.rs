//! The shape of a report: columns with their definitions, cells with their units, and the finished table.
//!
//! Every figure says in two languages what it counts, and by which clause of the regulations. A rate or
//! average of nothing is empty, never 0 or 100 per cent. Money stays in minor units and waiting time in
//! milliseconds until a writer shows them ([`super::write`]).

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime};
use sync_core::money::{Currency, Money};

/// Words in Chinese and English.
pub type Pair = (&'static str, &'static str);

/// What a column's cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// A day, `2026-11-22`.
    Day,
    /// A local time of the policy's zone, `2026-11-22T17:05`.
    Moment,
    /// Yes or no.
    Flag,
    /// A share from 0 to 1, shown in per cent.
    Rate,
    /// An average.
    Average,
    /// Working hours.
    Hours,
    /// An amount with its currency.
    Money,
}

impl Kind {
    /// Its name in outputs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Day => "day",
            Self::Moment => "moment",
            Self::Flag => "flag",
            Self::Rate => "rate",
            Self::Average => "average",
            Self::Hours => "hours",
            Self::Money => "money",
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its stable name.
    pub name: &'static str,
    /// What people call it.
    pub title: Pair,
    /// What its cells are.
    pub kind: Kind,
    /// What it counts; empty where the title says it.
    pub definition: Pair,
    /// Where it comes from; empty where it names nothing of the regulations.
    pub clause: &'static str,
}

/// A column whose title says what it is.
pub const fn column(name: &'static str, kind: Kind, zh: &'static str, en: &'static str) -> Column {
    Column { name, title: (zh, en), kind, definition: ("", ""), clause: "" }
}

impl Column {
    /// The same with what it counts, and by which clause.
    pub const fn counts(self, zh: &'static str, en: &'static str, clause: &'static str) -> Self {
        Self { definition: (zh, en), clause, ..self }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// There is none.
    Empty,
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A day.
    Day(NaiveDate),
    /// A local time.
    Moment(NaiveDateTime),
    /// Yes or no.
    Flag(bool),
    /// So many of so many.
    Rate(Share),
    /// A sum over so many.
    Average(Mean),
    /// Working milliseconds over so many.
    Hours(Mean),
    /// Amounts, one of each currency.
    Money(Vec<Money>),
}

impl Cell {
    /// Text; empty text is no value.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }
    /// A count.
    pub fn count(count: usize) -> Self {
        Self::Number(i64::try_from(count).unwrap_or(i64::MAX))
    }
    /// A day, if there is one.
    pub fn day(day: Option<NaiveDate>) -> Self {
        day.map_or(Self::Empty, Self::Day)
    }
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Those that fulfil it.
    pub part: u32,
    /// All that count.
    pub of: u32,
}

impl Share {
    /// Counts one more.
    pub fn take(&mut self, fulfils: bool) {
        self.part = self.part.saturating_add(u32::from(fulfils));
        self.of = self.of.saturating_add(1);
    }
    /// From 0 to 1; none of nothing.
    pub fn ratio(self) -> Option<f64> {
        (self.of > 0).then(|| f64::from(self.part) / f64::from(self.of))
    }
}

/// A sum over so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mean {
    /// The sum.
    pub sum: i64,
    /// Over how many.
    pub of: u32,
}

impl Mean {
    /// Counts one more.
    pub fn take(&mut self, value: i64) {
        self.sum = self.sum.saturating_add(value);
        self.of = self.of.saturating_add(1);
    }
    /// The average in hundredths of `unit`, rounded half up; none of nothing.
    pub fn hundredths(self, unit: i64) -> Option<i64> {
        let all = i128::from(self.of) * i128::from(unit);
        let rounded = (i128::from(self.sum) * 200 + all).checked_div_euclid(all * 2)?;
        i64::try_from(rounded).ok()
    }
}

/// Amounts, summed by currency.
#[derive(Clone, Debug, Default)]
pub struct Sum(BTreeMap<Currency, i64>);

impl Sum {
    /// Adds an amount.
    pub fn take(&mut self, amount: Money) {
        let minor = self.0.entry(amount.currency).or_default();
        *minor = minor.saturating_add(amount.minor);
    }
    /// The sum where all of it is in one currency.
    pub fn only(&self) -> Option<Money> {
        let mut sums = self.0.iter().map(|(currency, minor)| Money::new(*minor, *currency));
        sums.next().filter(|_| sums.next().is_none())
    }
    /// The sums.
    pub fn cell(self) -> Cell {
        Cell::Money(self.0.into_iter().map(|(currency, minor)| Money::new(minor, currency)).collect())
    }
}

/// What a report comes to: rows, and one row of figures about all of them where it has such.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Rows, a cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// A cell for each column of the summary.
    pub summary: Vec<Cell>,
}

/// A finished report.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its stable name.
    pub name: &'static str,
    /// Its title.
    pub title: Pair,
    /// Where it comes from.
    pub clause: &'static str,
    /// What it takes in.
    pub definition: Pair,
    /// The company's name.
    pub company: String,
    /// The store's name; empty for all that the person sees.
    pub store: String,
    /// First day.
    pub from: NaiveDate,
    /// Last day, included.
    pub to: NaiveDate,
    /// The local time for which it stands.
    pub made: NaiveDateTime,
    /// Columns of the rows.
    pub columns: &'static [Column],
    /// Columns of the summary.
    pub summary_columns: &'static [Column],
    /// What it comes to.
    pub body: Body,
}

impl Table {
    /// The columns that need words, each once: those of the summary first.
    pub fn defined(&self) -> impl Iterator<Item = &'static Column> {
        let all = self.summary_columns.iter().chain(self.columns);
        all.filter(|column| !column.definition.0.is_empty())
    }
}
