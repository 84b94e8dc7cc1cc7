//! What the writers make of a report, read back.

use std::io::Cursor;

use calamine::{Data, DataType as _, Reader as _, Xlsx};

use super::super::write::{Format, write};
use super::super::*;
use super::shop::{LATER, Shop, date, ms, november};
use super::viewed;
use crate::projection::slice::{LineRow, OrderRow};

/// A table whose texts are hostile.
fn hostile(text: &str) -> Table {
    let line =
        LineRow { product: text.into(), stocked_ms: Some(ms("2026-11-02T10:00:00")), ..LineRow::default() };
    let order =
        OrderRow { number: "O1".into(), customer: text.into(), lines: vec![line], ..OrderRow::default() };
    let slice = Slice { orders: vec![order], ..Slice::default() };
    Table {
        name: orders::STOCK_IN.name,
        title: orders::STOCK_IN.title,
        clause: orders::STOCK_IN.clause,
        definition: orders::STOCK_IN.definition,
        company: text.into(),
        store: String::new(),
        from: date("2026-11-01"),
        to: date("2026-11-30"),
        made: date("2026-12-01").and_hms_opt(0, 0, 0).unwrap(),
        columns: orders::STOCK_IN.columns,
        summary_columns: orders::STOCK_IN.summary,
        body: viewed(&slice, "2026-11-20", orders::STOCK_IN.make),
    }
}

#[test]
fn no_text_becomes_a_formula_in_csv_and_chinese_is_marked_as_such() {
    for (text, expected) in [
        ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
        ("+86 138", "'+86 138"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ("何女士, \"老\"\n客户", "何女士, \"老\"\n客户"),
        ("a=1", "a=1"),
    ] {
        let bytes = write(&hostile(text), Format::Csv).unwrap();
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).expect("a byte-order mark");
        let mut reader = csv::Reader::from_reader(bytes);
        assert_eq!(&reader.headers().unwrap()[3], "客户 / customer");
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!((&record[2], &record[3]), ("O1", expected));
    }
}

#[test]
fn a_page_escapes_what_it_shows_and_holds_no_script() {
    let page =
        String::from_utf8(write(&hostile("<script>alert('何')</script>&"), Format::Html).unwrap()).unwrap();
    assert!(page.contains("&lt;script&gt;alert('何')&lt;/script&gt;&amp;") && !page.contains("<script"));
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.contains("@media print") && page.contains("最新入库表")
    );
    assert!(page.contains("S21 整体流程 3"), "the clause stands on the page");
}

fn sheet(table: &Table, sheet: &str) -> Vec<Vec<Data>> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(write(table, Format::Xlsx).unwrap())).unwrap();
    book.worksheet_range(sheet).unwrap().rows().map(<[Data]>::to_vec).collect()
}

#[tokio::test]
async fn an_excel_file_reads_back_with_numbers_days_and_definitions() {
    let table = Shop::november().report("otif", november(LATER)).await.unwrap();
    let rows = sheet(&table, "准时足量交付表");
    assert_eq!(rows.len(), 1 + 5);
    assert_eq!(rows[0][1], Data::String("订单号 / order".into()));
    let day = |data: &Data| data.as_datetime().unwrap().date();
    assert_eq!((day(&rows[1][5]), &rows[1][4]), (date("2026-11-20"), &Data::Float(1.0)));
    assert_eq!((&rows[4][8], &rows[4][9]), (&Data::String("否".into()), &Data::String("是".into())));
    let summary = sheet(&table, "汇总 summary");
    assert_eq!(summary[1][..2], [Data::Float(5.0), Data::Float(0.6)]);
    let words = sheet(&table, "说明 definitions");
    let figures: Vec<&Data> = words.iter().map(|row| &row[0]).collect();
    assert!(figures.contains(&&Data::String("准时足量率 / OTIF".into())), "{figures:?}");
    // Text is text, whatever it begins with.
    let rows = sheet(&hostile("=1+1"), "最新入库表");
    assert_eq!(rows[1][3], Data::String("=1+1".into()));
}
