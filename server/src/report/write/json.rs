//! A report as JSON. A rate is `{value, part, of}` with a value from 0 to 1, an average and hours
//! `{value, of}`, an amount text such as `2808.00 CNY`; what has no value is null.

use serde_json::{Map, Value, json};

use super::super::table::{Cell, Column, Mean, Table};
use super::{HOUR_MS, of_hundredths};

pub(super) fn value(table: &Table) -> Value {
    let rows = table.body.rows.iter().map(|row| named(table.columns, row));
    json!({
        "report": table.name,
        "title": { "zh": table.title.0, "en": table.title.1 },
        "definition": { "zh": table.definition.0, "en": table.definition.1 },
        "clause": table.clause,
        "company": table.company,
        "store": table.store,
        "from": table.from,
        "to": table.to,
        "made": table.made,
        "columns": table.columns.iter().map(column).collect::<Vec<_>>(),
        "rows": rows.collect::<Vec<_>>(),
        "summary_columns": table.summary_columns.iter().map(column).collect::<Vec<_>>(),
        "summary": named(table.summary_columns, &table.body.summary),
    })
}

/// A column as it is listed.
pub(crate) fn column(column: &Column) -> Value {
    json!({
        "name": column.name,
        "zh": column.title.0,
        "en": column.title.1,
        "type": column.kind.name(),
        "definition": { "zh": column.definition.0, "en": column.definition.1 },
        "clause": column.clause,
    })
}

fn named(columns: &[Column], cells: &[Cell]) -> Value {
    let cells = columns.iter().zip(cells).map(|(column, cell)| (column.name.to_owned(), plain(cell)));
    Value::Object(cells.collect::<Map<_, _>>())
}

fn plain(cell: &Cell) -> Value {
    let mean = |mean: &Mean, unit| match mean.hundredths(unit) {
        Some(value) => json!({ "value": of_hundredths(value), "of": mean.of }),
        None => Value::Null,
    };
    match cell {
        Cell::Empty => Value::Null,
        Cell::Text(text) => json!(text),
        Cell::Number(number) => json!(number),
        Cell::Day(day) => json!(day),
        Cell::Moment(moment) => json!(moment),
        Cell::Flag(flag) => json!(flag),
        Cell::Rate(share) => match share.ratio() {
            Some(ratio) => json!({ "value": ratio, "part": share.part, "of": share.of }),
            None => Value::Null,
        },
        Cell::Average(of) => mean(of, 1),
        Cell::Hours(of) => mean(of, HOUR_MS),
        Cell::Money(amounts) => match amounts.as_slice() {
            [] => Value::Null,
            amounts => json!(amounts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        },
    }
}
