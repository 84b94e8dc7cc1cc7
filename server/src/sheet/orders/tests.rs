//! What the shipped sample and made-up sheets become, in every encoding, format and order of columns.

use super::*;
use chrono_tz::Asia::Shanghai;
use proptest::prelude::*;
use rust_xlsxwriter::{Format, Workbook};

const SAMPLE: &[u8] = include_bytes!("../../../data/orders.csv");
const ENGLISH: [&str; 16] = [
    "Order No.",
    "Store",
    "Sales",
    "Customer",
    "Phone",
    "Address",
    "Product",
    "Model",
    "Material",
    "Qty",
    "Unit price",
    "Paid",
    "Guarantee",
    "Taken at",
    "Delivery date",
    "Note",
];
const GOOD: [&str; 16] = [
    "A1",
    "城东店",
    "D09",
    "何先生",
    "13805032582",
    "解放大道1号",
    "床",
    "1.8米",
    "实木",
    "2",
    "4980.00",
    "9960",
    "",
    "2026-11-15 17:36",
    "2026-11-22",
    "",
];

fn materials() -> BTreeMap<String, Name> {
    [("板木", "panel"), ("实木", "solid")]
        .map(|(title, name)| (title.to_owned(), name.parse().unwrap()))
        .into()
}
fn read(bytes: &[u8], file_name: &str) -> OrderSheet {
    read_orders(bytes, file_name, &materials(), Shanghai).unwrap()
}
fn cells() -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(SAMPLE.strip_prefix(b"\xef\xbb\xbf").unwrap());
    reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect()
}
fn csv_of<R: AsRef<[String]>>(rows: &[R]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.as_ref()).unwrap();
    }
    writer.into_inner().unwrap()
}
/// Rows below English headers; each names the cells in which it differs from [`GOOD`].
fn sheet(rows: &[&[(usize, &str)]]) -> OrderSheet {
    let mut table = vec![ENGLISH.map(str::to_owned)];
    for changes in rows {
        let mut row = GOOD.map(str::to_owned);
        for (column, text) in *changes {
            row[*column] = (*text).to_owned();
        }
        table.push(row);
    }
    read(&csv_of(&table), "o.csv")
}
fn faults(sheet: &OrderSheet) -> Vec<(u32, &str, &str)> {
    sheet.bad.iter().map(|b| (b.row, b.column.as_str(), b.fault.code())).collect()
}

#[test]
fn the_sample_gives_180_orders_and_names_every_row_that_is_not_taken() {
    let sheet = read(SAMPLE, "orders.csv");
    assert_eq!(
        faults(&sheet),
        [
            (20, "接单时间", "missing_value"),
            (29, "要求送货日期", "bad_date"),
            (163, "材质", "unknown_material"),
            (212, "电话", "bad_phone"),
            (239, "数量", "bad_quantity"),
            (276, "订单号", "missing_number"),
            (291, "数量", "bad_quantity"),
            (424, "单价", "bad_price"),
        ]
    );
    assert_eq!((sheet.rows, sheet.orders.len(), sheet.held, sheet.bad_rows), (470, 180, 7, 8));
    assert_eq!(sheet.orders.iter().map(|o| o.items.len()).sum::<usize>(), 461);
    let repeated =
        SheetWarning { row: Some(471), column: Some("订单号".into()), notice: Notice::DuplicateRow };
    assert_eq!(sheet.warnings, [repeated]);
    assert_eq!(sheet.orders.iter().filter(|o| o.guarantee).count(), 18);
    let open = |o: &&SheetOrder| !o.guarantee && o.paid.is_none_or(|p| p.minor < o.total().minor);
    assert_eq!(sheet.orders.iter().filter(open).count(), 17);
}
#[test]
fn an_order_of_the_sample_is_read_to_the_cent_and_the_minute() {
    let sheet = read(SAMPLE, "orders.csv");
    let order = sheet.orders.iter().find(|o| o.number == "2611090006").unwrap();
    assert_eq!((order.store.as_str(), order.sales.as_str(), order.guarantee), ("红星店", "D05", true));
    assert_eq!(order.paid, Some(Money::new(636_240, Currency::CNY)));
    assert_eq!(order.total().minor, 2_120_800);
    assert_eq!(order.rows, [10, 11, 12, 13, 14, 15]);
    assert_eq!(utc(order.taken_at).to_rfc3339(), "2026-11-09T09:58:00+00:00");
    assert_eq!(order.delivery_date.to_string(), "2026-11-24");
    let item = &order.items[2];
    assert_eq!((item.product.as_str(), item.model.as_str(), item.quantity), ("衣柜", "四门", 1));
    assert_eq!((item.row, item.material.as_str()), (12, "panel"));
    // Its rows are parted by a row of another number.
    let parted = sheet.orders.iter().find(|o| o.number == "2611050060").unwrap();
    assert_eq!(parted.rows, [160, 161, 162, 164]);
}
#[test]
fn another_encoding_or_order_of_columns_gives_the_same_orders() {
    let expect = read(SAMPLE, "orders.csv");
    let text = std::str::from_utf8(SAMPLE).unwrap().trim_start_matches('\u{feff}');
    assert_eq!(read(text.as_bytes(), "o.csv"), expect);
    assert_eq!(read(&encoding_rs::GBK.encode(text).0, "o.csv"), expect);
    assert_eq!(read(&encoding_rs::GB18030.encode(text).0, "o.csv"), expect);
    let shuffled: Vec<Vec<String>> =
        cells().iter().map(|row| (0..16).map(|i| row[(i * 7 + 3) % 16].clone()).collect()).collect();
    assert_eq!(read(&csv_of(&shuffled), "o.csv"), expect);
    let mut english = cells();
    english[0] = ENGLISH.map(str::to_owned).to_vec();
    let english = read(&csv_of(&english), "o.csv");
    assert_eq!(english.orders, expect.orders);
    let codes = |s: &OrderSheet| s.bad.iter().map(|b| (b.row, b.fault)).collect::<Vec<_>>();
    assert_eq!(codes(&english), codes(&expect));
    assert_eq!(english.bad[1].column, "Delivery date");
}
#[test]
fn a_workbook_with_numbers_and_dates_gives_the_same_orders() {
    let mut book = Workbook::new();
    let out = book.add_worksheet();
    let day = Format::new().set_num_format("yyyy-mm-dd");
    let minute = Format::new().set_num_format("yyyy-mm-dd hh:mm");
    let serial = |d: NaiveDate| (d - NaiveDate::from_ymd_opt(1899, 12, 30).unwrap()).num_days() as f64;
    for (r, row) in (0u32..).zip(cells()) {
        for (c, text) in (0u16..).zip(row) {
            let number = text.parse::<f64>().ok().filter(|_| c != 0);
            if let Some(at) = values::date_time(&text).filter(|_| c == 13) {
                let seconds = (at - at.date().and_hms_opt(0, 0, 0).unwrap()).num_seconds() as f64;
                out.write_with_format(r, c, serial(at.date()) + seconds / 86_400.0, &minute).unwrap();
            } else if let Some(date) = values::date(&text).filter(|_| c == 14) {
                out.write_with_format(r, c, serial(date), &day).unwrap();
            } else if let Some(number) = number {
                out.write(r, c, number).unwrap();
            } else {
                out.write(r, c, text).unwrap();
            }
        }
    }
    assert_eq!(read(&book.save_to_buffer().unwrap(), "o.xlsx"), read(SAMPLE, "o.csv"));
}
#[test]
fn every_fault_is_found_in_its_row_and_column() {
    let long = "长".repeat(301);
    let cases: [(usize, &str, Fault); 22] = [
        (0, "", Fault::MissingNumber),
        (0, "2.61112E+17", Fault::BadNumber),
        (0, "#N/A", Fault::CellError),
        (1, "", Fault::MissingValue),
        (3, &long, Fault::TooLong),
        (4, "1380000", Fault::BadPhone),
        (4, "#VALUE!", Fault::CellError),
        (5, &long, Fault::TooLong),
        (6, "", Fault::MissingValue),
        (8, "玻璃", Fault::UnknownMaterial),
        (8, "", Fault::MissingValue),
        (9, "-2", Fault::BadQuantity),
        (9, "两张", Fault::BadQuantity),
        (9, "", Fault::MissingValue),
        (10, "abc", Fault::BadPrice),
        (10, "1.234", Fault::BadPrice),
        (11, "-5", Fault::BadPrice),
        (12, "也许", Fault::BadFlag),
        (13, "", Fault::MissingValue),
        (13, "2026-11-15", Fault::BadTime),
        (14, "2026-13-40", Fault::BadDate),
        (14, "11月22日", Fault::BadDate),
    ];
    let mut shown: BTreeSet<Fault> = cases.iter().map(|c| c.2).collect();
    for (column, text, fault) in cases {
        let sheet = sheet(&[&[(column, text)]]);
        assert_eq!(faults(&sheet), [(2, ENGLISH[column], fault.code())], "{text}");
        assert_eq!((sheet.orders.len(), sheet.bad_rows), (0, 1));
    }
    let contrary = sheet(&[&[], &[(6, "椅"), (4, "13905032582")], &[(0, "A2")]]);
    assert_eq!(faults(&contrary), [(3, "Phone", "conflicting_value")]);
    assert_eq!((contrary.orders.len(), contrary.held), (1, 1));
    let names: Vec<String> = (0..=ITEMS_MAX).map(|n| format!("椅{n}")).collect();
    let many: Vec<[(usize, &str); 1]> = names.iter().map(|n| [(6, n.as_str())]).collect();
    let many: Vec<&[(usize, &str)]> = many.iter().map(|m| &m[..]).collect();
    assert_eq!(faults(&sheet(&many)), [(202, "Order No.", "too_many_items")]);
    shown.extend([Fault::ConflictingValue, Fault::TooManyItems]);
    assert_eq!(shown, Fault::ALL.iter().copied().collect());
}
#[test]
fn what_belongs_to_the_order_may_stand_on_any_one_of_its_rows() {
    let blank = [(1, ""), (2, ""), (3, ""), (4, ""), (5, ""), (11, ""), (13, ""), (14, "")];
    let later = [&blank[..], &[(6, "椅"), (12, "是"), (15, "先电话")]].concat();
    let last = [&blank[..], &[(6, "桌"), (15, "周末")]].concat();
    let sheet = sheet(&[&[], &later, &last]);
    assert_eq!(faults(&sheet), []);
    let order = &sheet.orders[0];
    assert_eq!((order.items.len(), order.guarantee, order.note.as_str()), (3, true, "先电话\n周末"));
    assert_eq!(order.paid, Some(Money::new(996_000, Currency::CNY)));
}
#[test]
fn a_bad_row_holds_its_whole_order_and_no_other() {
    let sheet = sheet(&[&[], &[(6, "椅"), (9, "0"), (10, "x")], &[(0, "A2")]]);
    assert_eq!(faults(&sheet), [(3, "Qty", "bad_quantity"), (3, "Unit price", "bad_price")]);
    assert!(sheet.bad.iter().all(|b| b.order.as_deref() == Some("A1")));
    assert_eq!((sheet.orders.len(), sheet.held, sheet.bad_rows), (1, 1, 1));
    assert_eq!(sheet.orders[0].number, "A2");
}
#[test]
fn every_notice_is_given_and_holds_nothing_out() {
    let mut table = vec![ENGLISH.map(str::to_owned).to_vec(), GOOD.map(str::to_owned).to_vec()];
    table[1][11] = "9960.01".into();
    table[1][14] = "2026-11-14".into();
    table.push(table[1].clone());
    table[0].push("颜色".into());
    table[1].push("白".into());
    table[2].push("黑".into());
    let sheet = read(&csv_of(&table), "o.xlsx");
    let given: BTreeSet<Notice> = sheet.warnings.iter().map(|w| w.notice).collect();
    assert_eq!(given, Notice::ALL.iter().copied().collect());
    assert_eq!((sheet.orders.len(), sheet.bad_rows, sheet.orders[0].items.len()), (1, 0, 1));
}
#[test]
fn a_long_list_of_bad_rows_is_cut_and_still_counted() {
    let bad = [(0, "")];
    let sheet = sheet(&vec![&bad[..]; BAD_LISTED_MAX + 5]);
    assert_eq!((sheet.bad.len(), sheet.bad_rows), (BAD_LISTED_MAX, BAD_LISTED_MAX + 5));
}
proptest! {
    #[test]
    fn arbitrary_rows_never_panic_and_are_all_accounted_for(
        rows in proptest::collection::vec(proptest::collection::vec("[A2实木/.:年 1-]{0,6}", 16), 0..12)
    ) {
        let table = [vec![ENGLISH.map(str::to_owned).to_vec()], rows].concat();
        let sheet = read(&csv_of(&table), "o.csv");
        let taken: usize = sheet.orders.iter().map(|o| o.rows.len()).sum();
        prop_assert!(taken + sheet.bad_rows <= sheet.rows);
        prop_assert!(sheet.bad_rows > 0 || taken + sheet.warnings.len() >= sheet.rows);
    }
    #[test]
    fn one_spoilt_byte_of_the_sample_never_panics(at in 0usize..67_061, byte: u8) {
        let mut bytes = SAMPLE.to_vec();
        bytes[at] = byte;
        if let Ok(sheet) = read_orders(&bytes, "o.csv", &materials(), Shanghai) {
            prop_assert!(sheet.rows > 0);
        }
    }
}
