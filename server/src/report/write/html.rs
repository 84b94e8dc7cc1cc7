//! A report as a page that prints: no scripts, nothing fetched, every text escaped.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::table::{Cell, Column, Kind, Table};
use super::shown;

/// For screen and paper. A table's head stands on every sheet; a row is not broken over two.
const STYLE: &str = "
body { font: 14px/1.5 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif; margin: 2em; color: #111; }
h1 { font-size: 1.4em; margin: 0; }
small, .en { color: #555; font-weight: normal; }
table { border-collapse: collapse; margin: 1em 0; width: 100%; }
th, td { border: 1px solid #999; padding: .25em .5em; text-align: left; vertical-align: top; }
th { background: #eee; }
td.number { text-align: right; white-space: nowrap; }
dt { font-weight: bold; margin-top: .5em; }
dd { margin: 0; }
@page { size: A4 landscape; margin: 12mm; }
@media print {
  body { margin: 0; font-size: 10px; }
  thead { display: table-header-group; }
  tr, dt, dd { break-inside: avoid; }
}
";

pub(super) fn page(table: &Table) -> Markup {
    let (zh, en) = table.title;
    html! {
        (DOCTYPE)
        html lang="zh-CN" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (zh) " " (table.from) " – " (table.to) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (zh) " " small { (en) } }
                p {
                    (table.company) @if !table.store.is_empty() { " · " (table.store) }
                    " · " (table.from) " – " (table.to)
                    " · 截至 " (table.made.format("%Y-%m-%d %H:%M")) " " span.en { "as of" }
                }
                @if !table.summary_columns.is_empty() {
                    (rows(table.summary_columns, std::slice::from_ref(&table.body.summary)))
                }
                (rows(table.columns, &table.body.rows))
                @if table.body.rows.is_empty() { p { "期内没有记录。 " span.en { "Nothing within the days." } } }
                (definitions(table))
            }
        }
    }
}

fn rows(columns: &[Column], rows: &[Vec<Cell>]) -> Markup {
    html! {
        table {
            thead {
                tr { @for column in columns { th { (column.title.0) br; span.en { (column.title.1) } } } }
            }
            tbody {
                @for row in rows {
                    tr {
                        @for (column, cell) in columns.iter().zip(row) {
                            td.number[is_number(column.kind)] { (shown(cell)) }
                        }
                    }
                }
            }
        }
    }
}

const fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Number | Kind::Rate | Kind::Average | Kind::Hours | Kind::Money)
}

fn definitions(table: &Table) -> Markup {
    let own = (table.title, table.definition, table.clause);
    let figures = table.defined().map(|column| (column.title, column.definition, column.clause));
    html! {
        dl {
            @for ((zh, en), (words, words_en), clause) in [own].into_iter().chain(figures) {
                dt { (zh) " " span.en { (en) } }
                dd { (words) @if !clause.is_empty() { " (" (clause) ")" } br; span.en { (words_en) } }
            }
        }
    }
}
