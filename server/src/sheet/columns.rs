//! Which column of a sheet is which: headers in any order, in Chinese or English.
//!
//! In: the table's first rows. Out: for each [`Field`] the column that holds it, the headers as they stand
//! in the file, and where the data begins. A title above the headers is passed over: the header row is
//! the one with the most known headers among the first [`HEADER_ROWS_MAX`] filled rows.
//!
//! Invariants: no field has two columns; every mandatory field has one. Unknown columns are reported and
//! kept out. Not here: what the cells mean.

use std::collections::BTreeMap;

use super::decode::Row;
use super::faults::{Notice, SheetError, SheetWarning};
use super::values::{half_width, tidy};

/// How many filled rows may stand before the headers end, title rows included.
pub const HEADER_ROWS_MAX: usize = 10;

macro_rules! fields {
    ($( $(#[$doc:meta])* $field:ident $mandatory:literal $title:literal [$($synonym:literal),*]; )*) => {
        /// What a column can hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field { $( $(#[$doc])* $field, )* }
        impl Field {
            /// Every field, in the order of the usual sheet.
            pub const ALL: &[Self] = &[ $( Self::$field, )* ];
            /// Whether a sheet must have the column and each order a value in it.
            pub const fn mandatory(self) -> bool {
                match self { $( Self::$field => $mandatory, )* }
            }
            /// The usual header in both languages.
            pub const fn title(self) -> &'static str {
                match self { $( Self::$field => $title, )* }
            }
            /// Every header that is known for it, folded as [`fold`] does.
            const fn synonyms(self) -> &'static [&'static str] {
                match self { $( Self::$field => &[ $( $synonym, )* ], )* }
            }
        }
    };
}

fields! {
    /// Order number; rows with the same one belong together.
    Number true "订单号/Order No" ["订单号", "订单编号", "订单号码", "单号", "合同号", "合同编号", "orderno", "ordernumber", "order", "orderid", "no"];
    /// Store.
    Store true "门店/Store" ["门店", "店铺", "店名", "门店名称", "store", "shop", "storename"];
    /// Staff number of the sales person.
    Sales true "导购工号/Sales" ["导购工号", "导购", "导购员", "工号", "业务员", "业务", "销售", "销售工号", "sales", "salesid", "salesperson", "salesno"];
    /// Customer's name.
    Customer true "客户/Customer" ["客户", "客户姓名", "客户名称", "顾客", "顾客姓名", "姓名", "customer", "customername", "name", "client"];
    /// Customer's phone.
    Phone true "电话/Phone" ["电话", "手机", "手机号", "手机号码", "联系电话", "电话号码", "联系方式", "客户电话", "phone", "mobile", "tel", "telephone", "phoneno", "phonenumber"];
    /// Address of delivery.
    Address true "地址/Address" ["地址", "送货地址", "收货地址", "客户地址", "详细地址", "address", "deliveryaddress"];
    /// Product.
    Product true "产品/Product" ["产品", "产品名称", "商品", "商品名称", "品名", "名称", "product", "productname", "item"];
    /// Model or size.
    Model false "型号/Model" ["型号", "规格", "规格型号", "型号规格", "款式", "model", "spec", "type"];
    /// Class of material, which decides the lead time (S21).
    Material true "材质/Material" ["材质", "材料", "材质类别", "material", "materialclass"];
    /// Pieces.
    Quantity true "数量/Qty" ["数量", "件数", "qty", "quantity", "pcs"];
    /// Price of one piece.
    UnitPrice true "单价/Unit price" ["单价", "价格", "销售单价", "成交单价", "unitprice", "price"];
    /// Paid so far for the whole order.
    Paid false "已付款/Paid" ["已付款", "已付", "已付金额", "已收款", "已收", "付款", "付款金额", "定金", "paid", "amountpaid", "payment", "deposit"];
    /// Whether somebody guarantees for what is not paid.
    Guarantee false "担保/Guarantee" ["担保", "是否担保", "有无担保", "guarantee", "guaranteed"];
    /// When the order was handed in.
    TakenAt true "接单时间/Taken at" ["接单时间", "接单日期", "收单时间", "交单时间", "下单时间", "takenat", "taken", "receivedat", "ordertime", "orderdate"];
    /// The day on which the customer wants the delivery.
    DeliveryDate true "要求送货日期/Delivery date" ["要求送货日期", "送货日期", "送货时间", "要求送货时间", "交货日期", "交期", "要求交期", "deliverydate", "delivery", "deliveron", "duedate"];
    /// Remarks.
    Note false "备注/Note" ["备注", "说明", "附注", "note", "notes", "remark", "remarks", "comment"];
}

/// A header without what varies: case, width, blanks, punctuation and a unit in brackets.
fn fold(header: &str) -> String {
    let header = half_width(header).to_lowercase();
    let bare = header.split(['(', '[', '【']).next().unwrap_or("");
    bare.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The columns of one sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    found: BTreeMap<Field, usize>,
    headers: Vec<String>,
    /// Index in the table's rows of the first row of data.
    pub data: usize,
}

impl Columns {
    /// Finds the header row and its columns. `rows` are the table's filled rows.
    ///
    /// # Errors
    /// A field with two columns, or mandatory fields without one.
    pub fn find(rows: &[Row]) -> Result<Self, SheetError> {
        let by_header: BTreeMap<&str, Field> =
            Field::ALL.iter().flat_map(|f| f.synonyms().iter().map(|s| (*s, *f))).collect();
        let known = |cell: &String| by_header.get(fold(cell).as_str()).copied();
        let count = |row: &Row| row.cells.iter().filter(|c| known(c).is_some()).count();
        let candidates = rows.iter().take(HEADER_ROWS_MAX).enumerate();
        // Of equals the first: `max_by_key` would take the last.
        let (at, header) = candidates.rev().max_by_key(|(_, row)| count(row)).ok_or(SheetError::Empty)?;
        let headers: Vec<String> = header.cells.iter().map(|c| tidy(c)).collect();
        let mut found = BTreeMap::new();
        for (column, cell) in header.cells.iter().enumerate() {
            let Some(field) = known(cell) else { continue };
            if let Some(earlier) = found.insert(field, column) {
                return Err(SheetError::ColumnTwice(headers[earlier].clone(), headers[column].clone()));
            }
        }
        let missing = Field::ALL.iter().filter(|f| f.mandatory() && !found.contains_key(f));
        let missing: Vec<String> = missing.map(|f| f.title().to_owned()).collect();
        if !missing.is_empty() {
            return Err(SheetError::ColumnsMissing(missing));
        }
        Ok(Self { found, headers, data: at + 1 })
    }

    /// The cell of this field in a row; empty where the row or the sheet has none.
    pub fn cell<'r>(&self, row: &'r Row, field: Field) -> &'r str {
        self.found.get(&field).and_then(|c| row.cells.get(*c)).map_or("", String::as_str)
    }

    /// The header of this field as it stands in the file; its usual title where the sheet has none.
    pub fn header(&self, field: Field) -> &str {
        self.found.get(&field).map_or(field.title(), |c| self.headers[*c].as_str())
    }

    /// Columns that are not known, each once; those without a header only where `rows` fill them.
    pub fn unknown(&self, rows: &[Row]) -> Vec<SheetWarning> {
        let width = rows.iter().map(|r| r.cells.len()).max().unwrap_or(0).max(self.headers.len());
        let known: Vec<usize> = self.found.values().copied().collect();
        let filled =
            |c: usize| rows.iter().any(|r| r.cells.get(c).is_some_and(|cell| !tidy(cell).is_empty()));
        let name = |column: usize| match self.headers.get(column) {
            Some(header) if !header.is_empty() => Some(header.clone()),
            _ => filled(column).then(|| letters(column)),
        };
        let unknown = (0..width).filter(|c| !known.contains(c)).filter_map(name);
        unknown
            .map(|column| SheetWarning { row: None, column: Some(column), notice: Notice::UnknownColumn })
            .collect()
    }
}

/// A column as spreadsheets name it: 0 is `A`, 26 is `AA`.
fn letters(column: usize) -> String {
    let last = char::from(b'A' + u8::try_from(column % 26).expect("a remainder of 26 fits a byte"));
    if column < 26 { last.to_string() } else { format!("{}{last}", letters(column / 26 - 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u32, cells: &[&str]) -> Row {
        Row { number, cells: cells.iter().map(|c| (*c).to_owned()).collect() }
    }
    const ENGLISH: [&str; 12] = [
        "Order No.",
        "Store",
        "Sales",
        "Customer",
        "Phone",
        "Address",
        "Product",
        "Material",
        "Qty",
        "Unit Price (CNY)",
        "Taken at",
        "Delivery date",
    ];

    #[test]
    fn synonyms_are_folded_and_name_one_field_each() {
        let mut seen = BTreeMap::new();
        for field in Field::ALL {
            for synonym in field.synonyms() {
                assert_eq!(fold(synonym), *synonym);
                assert_eq!(seen.insert(*synonym, field), None, "{synonym}");
            }
            for half in field.title().split('/') {
                assert_eq!(seen.get(fold(half).as_str()), Some(&field), "{half}");
            }
        }
    }
    #[test]
    fn a_title_above_the_headers_is_passed_over() {
        let rows = [row(1, &["十一月订单"]), row(3, &ENGLISH), row(4, &["2611"])];
        let columns = Columns::find(&rows).unwrap();
        assert_eq!((columns.data, columns.header(Field::UnitPrice)), (2, "Unit Price (CNY)"));
        assert_eq!(columns.cell(&rows[2], Field::Number), "2611");
        assert_eq!(columns.cell(&rows[2], Field::Note), "");
    }
    #[test]
    fn missing_and_doubled_columns_are_named() {
        let mut without: Vec<&str> = ENGLISH.to_vec();
        without.retain(|h| !matches!(*h, "Phone" | "Material"));
        let missing = Columns::find(&[row(1, &without)]);
        assert_eq!(
            missing,
            Err(SheetError::ColumnsMissing(vec!["电话/Phone".into(), "材质/Material".into()]))
        );
        let twice = [&ENGLISH[..], &["手机"]].concat();
        assert_eq!(
            Columns::find(&[row(1, &twice)]),
            Err(SheetError::ColumnTwice("Phone".into(), "手机".into()))
        );
    }
    #[test]
    fn unknown_columns_are_reported_also_without_a_header() {
        let header = [&ENGLISH[..], &["颜色", "", ""]].concat();
        let mut data = vec![""; 15];
        data[14] = "x";
        let rows = [row(1, &header), row(2, &data)];
        let columns = Columns::find(&rows).unwrap();
        let names: Vec<_> = columns.unknown(&rows[1..]).into_iter().filter_map(|w| w.column).collect();
        assert_eq!(names, ["颜色", "O"]);
        assert_eq!(letters(26), "AA");
    }
}
