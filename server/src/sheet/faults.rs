//! What can be wrong with a sheet, in words for the office: file errors, bad rows, warnings.
//!
//! Three degrees: a [`SheetError`] means that nothing of the file was read; a [`BadRow`] holds one order
//! out; a [`SheetWarning`] holds nothing out. Each has a stable code and Chinese and English words.
//! The words name rows and columns and never the content of a cell, which may be personal data.

use std::fmt;

use sync_core::refusal::Lang;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $( $code:ident $text:literal $zh:literal $en:literal; )* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( #[doc = $en] $code, )* }
        impl $name {
            /// Every one there is.
            pub const ALL: &[Self] = &[ $( Self::$code, )* ];
            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $( Self::$code => $text, )* }
            }
            /// The words for people.
            pub const fn text(self, lang: Lang) -> &'static str {
                match (self, lang) { $( (Self::$code, Lang::Zh) => $zh, (Self::$code, Lang::En) => $en, )* }
            }
        }
    };
}

words! {
    /// What is wrong with one cell of a row.
    Fault {
        MissingNumber "missing_number" "没有订单号。" "The order number is missing.";
        BadNumber "bad_number" "编号不完整或含有不允许的字符(长编号请设为文本格式)。" "The number is cut off or holds characters that are not allowed (format long numbers as text).";
        MissingValue "missing_value" "必填的内容没有填写。" "A mandatory value is missing.";
        TooLong "too_long" "内容太长。" "The text is too long.";
        CellError "cell_error" "单元格里是公式错误。" "The cell holds a formula error.";
        BadDate "bad_date" "日期不对,请写成 2026-11-22 这样的完整日期。" "Not a date: write it in full, such as 2026-11-22.";
        BadTime "bad_time" "时间不对,请写成 2026-11-22 17:30 这样的日期和时间。" "Not a date with a time: write 2026-11-22 17:30.";
        BadQuantity "bad_quantity" "数量须是大于零的整数。" "The quantity must be a whole number above zero.";
        BadPrice "bad_price" "金额不对:不能为负,最多两位小数。" "Not an amount: not negative, at most two decimals.";
        BadPhone "bad_phone" "电话须是11位手机号或带区号的固定电话。" "The phone must be a mobile number of 11 digits or a landline with its area code.";
        BadFlag "bad_flag" "请填是或否。" "Write yes or no.";
        UnknownMaterial "unknown_material" "制度里没有这种材质。" "The policy has no such material.";
        ConflictingValue "conflicting_value" "与同一订单前面的行不一致。" "It contradicts an earlier row of the same order.";
        TooManyItems "too_many_items" "一个订单的明细太多。" "The order has too many items.";
    }
}

words! {
    /// What a person should look at although nothing was held out for it.
    Notice {
        UnknownColumn "unknown_column" "不认识这一列,未导入。" "This column is not known and was not imported.";
        DuplicateRow "duplicate_row" "与同一订单前面的一行完全相同,已忽略。" "It repeats an earlier row of the same order exactly and was ignored.";
        PaidOverTotal "paid_over_total" "已付款多于订单总额。" "More was paid than the order's total.";
        DeliveryBeforeTaken "delivery_before_taken" "要求送货日期早于接单日期。" "The delivery date is before the day the order was taken.";
        NotAsNamed "not_as_named" "文件内容与扩展名不符,已按内容读取。" "The file's content is not what its name says; it was read by its content.";
    }
}

/// One cell that holds its order out. A row with several faults appears once for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The row as the spreadsheet shows it, counted from 1.
    pub row: u32,
    /// The order that is held out for it; `None` where the row has no usable number.
    pub order: Option<String>,
    /// The column's header as it stands in the file.
    pub column: String,
    /// What is wrong.
    pub fault: Fault,
}

/// Something to look at that held nothing out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetWarning {
    /// The row, where it is about one.
    pub row: Option<u32>,
    /// The column's header as it stands in the file (or its letter, where it has none), where it is about one.
    pub column: Option<String>,
    /// What it is.
    pub notice: Notice,
}

/// Why nothing of the file could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    /// More bytes than a sheet may have, as sent or unpacked.
    #[error("the file is too large: at most {mib} MiB")]
    TooLarge {
        /// The bound in MiB.
        mib: u64,
    },
    /// More rows than a sheet may have.
    #[error("too many rows: at most {0}")]
    TooManyRows(u32),
    /// More columns than a sheet may have.
    #[error("too many columns: at most {0}")]
    TooManyColumns(u32),
    /// More filled cells than a sheet may have.
    #[error("too many cells: at most {0}")]
    TooManyCells(usize),
    /// A cell is too long; often a quotation mark that is never closed.
    #[error("the cell in row {row}, column {column} is too long; is a quotation mark left open?")]
    CellTooLong {
        /// The row, counted from 1.
        row: u32,
        /// The column, counted from 1.
        column: u32,
    },
    /// Neither UTF-8, UTF-16 with a mark, nor GB18030.
    #[error("the text is neither UTF-8 nor GBK; save the sheet as .xlsx or as CSV UTF-8")]
    Undecodable,
    /// Not a spreadsheet, or a damaged or protected one.
    #[error("not a spreadsheet that can be read; save it as .xlsx without a password, or as CSV")]
    NotASheet,
    /// The binary format of Excel 97–2003.
    #[error("the old .xls format is not read; save the sheet as .xlsx or as CSV")]
    OldExcel,
    /// No cell is filled.
    #[error("the sheet is empty")]
    Empty,
    /// Mandatory columns are missing; their usual headers in both languages.
    #[error("missing columns: {}", .0.join(", "))]
    ColumnsMissing(Vec<String>),
    /// Two columns mean the same thing; both headers as in the file.
    #[error("two columns for the same thing: {0} and {1}")]
    ColumnTwice(String, String),
}

impl SheetError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "file_too_large",
            Self::TooManyRows(_) => "too_many_rows",
            Self::TooManyColumns(_) => "too_many_columns",
            Self::TooManyCells(_) => "too_many_cells",
            Self::CellTooLong { .. } => "cell_too_long",
            Self::Undecodable => "undecodable",
            Self::NotASheet => "not_a_sheet",
            Self::OldExcel => "old_excel",
            Self::Empty => "empty_sheet",
            Self::ColumnsMissing(_) => "column_missing",
            Self::ColumnTwice(..) => "column_twice",
        }
    }
    /// The words for people.
    pub fn text(&self, lang: Lang) -> String {
        match (lang, self) {
            (Lang::En, error) => error.to_string(),
            (Lang::Zh, Self::TooLarge { mib }) => format!("文件太大:最多 {mib} MiB。"),
            (Lang::Zh, Self::TooManyRows(n)) => format!("行数太多:最多 {n} 行。"),
            (Lang::Zh, Self::TooManyColumns(n)) => format!("列数太多:最多 {n} 列。"),
            (Lang::Zh, Self::TooManyCells(n)) => format!("单元格太多:最多 {n} 个。"),
            (Lang::Zh, Self::CellTooLong { row, column }) => {
                format!("第 {row} 行第 {column} 列的内容太长,是否有引号没有配对?")
            }
            (Lang::Zh, Self::Undecodable) => {
                "文字编码既不是 UTF-8 也不是 GBK,请另存为 .xlsx 或 UTF-8 的 CSV。".into()
            }
            (Lang::Zh, Self::NotASheet) => "不是可读的表格文件,请另存为 .xlsx(不加密码)或 CSV。".into(),
            (Lang::Zh, Self::OldExcel) => "不支持旧的 .xls 格式,请另存为 .xlsx 或 CSV。".into(),
            (Lang::Zh, Self::Empty) => "表格是空的。".into(),
            (Lang::Zh, Self::ColumnsMissing(names)) => format!("缺少以下列:{}。", names.join("、")),
            (Lang::Zh, Self::ColumnTwice(a, b)) => format!("「{a}」和「{b}」是同一项,只能有一列。"),
        }
    }
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}, {}: {}", self.row, self.column, self.fault.code())
    }
}
