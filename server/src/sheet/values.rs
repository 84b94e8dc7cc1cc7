//! The text of one cell → a value: numbers, amounts, dates, times, phones, yes and no.
//!
//! In: a cell's text as `decode.rs` gives it. Out: a value, or `None` where the text is not one; what
//! that means for the row is decided in `orders.rs`. Amounts are CNY in minor units (分), times are local
//! wall-clock times. Full-width digits, letters and punctuation are read as their ASCII forms.
//!
//! Invariants: no floating point touches an amount; nothing is guessed: a date without its year, or with
//! day and month in an order that could be read two ways, is refused.

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime};
use sync_core::money::{Currency, Money};

/// The largest amount of one cell in minor units: 一亿元.
pub const AMOUNT_MINOR_MAX: i64 = 10_000_000_000;
/// The largest quantity of one item.
pub const QUANTITY_MAX: u32 = 100_000;

/// Text as a person means it: no outer blanks (also full-width and zero-width ones), and inside it line
/// breaks and other control characters as single blanks.
pub fn tidy(text: &str) -> String {
    let blank = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{feff}' | '\u{200b}');
    let inner = text.trim_matches(blank);
    let mut out = String::with_capacity(inner.len());
    for c in inner.chars() {
        let c = if c.is_control() { ' ' } else { c };
        if !(c == ' ' && out.ends_with(' ')) {
            out.push(c);
        }
    }
    out
}

/// Full-width forms as ASCII, for codes, numbers and dates; other characters stay.
pub fn half_width(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            '\u{3000}' | '\u{a0}' => ' ',
            '\u{ffe5}' => '¥',
            '。' => '.',
            c => c,
        })
        .collect()
}

/// A code such as a staff number: half-width, and freed of the wrappings `="…"` and `'…` that keep
/// spreadsheets from reading it as a number.
pub fn code(text: &str) -> String {
    let text = tidy(&half_width(text));
    let inner = text.strip_prefix("=\"").and_then(|t| t.strip_suffix('"'));
    let inner = inner.or_else(|| text.strip_prefix('\'')).unwrap_or(&text);
    inner.trim().to_owned()
}

/// An order number: 1 to 40 letters, digits and `-_/.#`. What a spreadsheet cut to `2.61E+15` is refused.
pub fn order_number(text: &str) -> Option<String> {
    let code = code(text);
    let ok = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '.' | '#');
    let length = code.chars().count();
    ((1..=40).contains(&length) && code.chars().all(ok)).then_some(code)
}

/// Whether the text is one of the errors that formulas leave.
pub fn is_formula_error(text: &str) -> bool {
    const ERRORS: [&str; 8] =
        ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#GETTING_DATA"];
    ERRORS.contains(&text)
}

/// Digits in groups of three after commas, or without any: `1,234` and `1234`, not `12,34`.
fn ungrouped(text: &str) -> Option<String> {
    if !text.contains(',') {
        return Some(text.to_owned());
    }
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or("");
    let good = (1..=3).contains(&first.len()) && groups.all(|g| g.len() == 3);
    good.then(|| match fraction {
        Some(fraction) => format!("{}.{fraction}", whole.replace(',', "")),
        None => whole.replace(',', ""),
    })
}

/// A whole number above zero, at most [`QUANTITY_MAX`]; `2.0` counts as 2, as spreadsheets write it.
pub fn quantity(text: &str) -> Option<u32> {
    let text = ungrouped(&tidy(&half_width(text)))?;
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit());
    if !digits || !fraction.bytes().all(|b| b == b'0') {
        return None;
    }
    whole.parse().ok().filter(|n| (1..=QUANTITY_MAX).contains(n))
}

/// An amount in CNY, not negative, with at most two decimals; `¥1,234.50元` counts.
pub fn amount(text: &str) -> Option<Money> {
    let text = tidy(&half_width(text));
    let bare = ["¥", "RMB", "CNY"].iter().find_map(|sign| text.strip_prefix(sign)).unwrap_or(&text);
    let bare = bare.strip_suffix('元').unwrap_or(bare).trim();
    let plain = bare.bytes().all(|b| b.is_ascii_digit() || matches!(b, b',' | b'.'));
    let money = Money::parse(&ungrouped(bare).filter(|_| plain)?, Currency::CNY).ok()?;
    (money.minor <= AMOUNT_MINOR_MAX).then_some(money)
}

/// Yes or no in the forms that sheets use.
pub fn flag(text: &str) -> Option<bool> {
    match tidy(&half_width(text)).to_lowercase().as_str() {
        "是" | "有" | "对" | "√" | "✓" | "✔" | "y" | "yes" | "true" | "1" => Some(true),
        "否" | "无" | "没有" | "×" | "✗" | "x" | "n" | "no" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// A mainland mobile number as 11 digits, or a landline as `0571-87654321`; `+86`, blanks and dashes may
/// stand in it.
pub fn phone(text: &str) -> Option<String> {
    let text = code(text);
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '-' | '+' | '(' | ')');
    if !text.chars().all(allowed) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = match digits.strip_prefix("86") {
        Some(rest) if text.starts_with("+86") || digits.len() == 13 => rest,
        _ => digits.strip_prefix("0086").unwrap_or(&digits),
    };
    let mut start = digits.bytes();
    match (start.next(), start.next(), start.next()) {
        (Some(b'1'), Some(b'3'..=b'9'), _) if digits.len() == 11 => Some(digits.to_owned()),
        (Some(b'0'), Some(b'1'..=b'9'), Some(third)) => {
            let short = digits.starts_with("02") || (digits.starts_with("01") && third == b'0');
            let (area, local) = digits.split_at_checked(if short { 3 } else { 4 })?;
            let good = (7..=8).contains(&local.len()) && matches!(local.as_bytes()[0], b'2'..=b'8');
            good.then(|| format!("{area}-{local}"))
        }
        _ => None,
    }
}

/// A day with its year: `2026-11-22`, with `/` or `.`, `20261122`, `2026年11月22日`, or a spreadsheet's
/// serial number. A time of day after it is left aside.
pub fn date(text: &str) -> Option<NaiveDate> {
    split_moment(text).map(|(date, _)| date)
}

/// A day with a time of day: any [`date`] with `17:30`, `17:30:05`, `17点30分`, `下午5:30` or `5:30 PM`, or a
/// serial number with a fraction. A day alone is refused: the hour decides what is an insertion (S21).
pub fn date_time(text: &str) -> Option<NaiveDateTime> {
    let (date, rest) = split_moment(text)?;
    Some(date.and_time(rest?))
}

/// The day, and the time of day where one follows; `None` if either is not what it should be.
fn split_moment(text: &str) -> Option<(NaiveDate, Option<NaiveTime>)> {
    let text = tidy(&half_width(text));
    if let Some(found) = serial(&text) {
        return Some(found);
    }
    let (date, rest) = if let Some((day, rest)) = text.split_once('日') {
        (numbers(day, &['年', '月'])?, rest)
    } else {
        let end = text.find(|c: char| !(c.is_ascii_digit() || "-/.".contains(c))).unwrap_or(text.len());
        let (day, rest) = text.split_at(end);
        let rest = rest.strip_prefix('T').unwrap_or(rest);
        let packed = day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit());
        let parts = if packed {
            [day[..4].parse().ok()?, day[4..6].parse().ok()?, day[6..].parse().ok()?]
        } else {
            let separator = ['-', '/', '.'].into_iter().find(|s| day.contains(*s))?;
            numbers(day, &[separator, separator])?
        };
        (parts, rest)
    };
    let year = i32::try_from(date[0]).ok().filter(|y| (2000..=2100).contains(y))?;
    let date = NaiveDate::from_ymd_opt(year, date[1], date[2])?;
    let rest = rest.trim();
    if rest.is_empty() { Some((date, None)) } else { Some((date, Some(time_of_day(rest)?))) }
}

/// Three short numbers between two separators, blanks allowed around them.
fn numbers(text: &str, separators: &[char; 2]) -> Option<[u32; 3]> {
    let (first, rest) = text.split_once(separators[0])?;
    let (second, third) = rest.split_once(separators[1])?;
    Some([small(first)?, small(second)?, small(third)?])
}

/// A number of one to four digits.
fn small(text: &str) -> Option<u32> {
    let text = text.trim();
    let good = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if good { text.parse().ok() } else { None }
}

/// A spreadsheet's serial number in the 1900 system, from 2000 to 2100: days, and a fraction of a day.
fn serial(text: &str) -> Option<(NaiveDate, Option<NaiveTime>)> {
    let (days, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if days.len() != 5 || !digits(days) || !digits(fraction) || fraction.len() > 17 {
        return None;
    }
    let days: u64 = days.parse().ok()?;
    if !(36_526..=73_415).contains(&days) {
        return None;
    }
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30)?;
    if fraction.is_empty() {
        return Some((epoch.checked_add_days(Days::new(days))?, None));
    }
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let seconds = (fraction.parse::<u128>().ok()? * 86_400 + scale / 2) / scale;
    let days = days + u64::from(seconds == 86_400);
    let time = NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(seconds % 86_400).ok()?, 0)?;
    Some((epoch.checked_add_days(Days::new(days))?, Some(time)))
}

/// A time of day, in 24 hours or with 上午, 下午, AM or PM.
fn time_of_day(text: &str) -> Option<NaiveTime> {
    let upper = text.to_uppercase();
    let half = |marks: [&str; 2]| {
        marks.iter().find_map(|m| upper.strip_prefix(*m).or_else(|| upper.strip_suffix(*m)))
    };
    let (clock, after_noon) = match (half(["上午", "AM"]), half(["下午", "PM"])) {
        (Some(clock), None) => (clock, Some(false)),
        (None, Some(clock)) => (clock, Some(true)),
        _ => (upper.as_str(), None),
    };
    let clock = clock.trim().replace(['时', '点'], ":").replace('分', ":").replace('秒', "");
    let parts: Vec<u32> = clock.trim_end_matches(':').split(':').map(small).collect::<Option<_>>()?;
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let hour = match after_noon {
        None => hour,
        Some(false) => {
            if (1..=12).contains(&hour) {
                hour % 12
            } else {
                return None;
            }
        }
        Some(true) if (1..=12).contains(&hour) => hour % 12 + 12,
        Some(true) => {
            if (13..=23).contains(&hour) {
                hour
            } else {
                return None;
            }
        }
    };
    NaiveTime::from_hms_opt(hour, minute, second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_day_is_read_in_every_form_that_names_its_year() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 22);
        for text in [
            "2026-11-22",
            "2026/11/22",
            "2026.11.22",
            "20261122",
            "2026年11月22日",
            "２０２６－１１－２２",
            " 2026-11-22 00:00:00",
            "46348",
            "46348.5",
            "2026-11-22T00:00:00",
            "2026年 11月 22日",
        ] {
            assert_eq!(date(text), day, "{text}");
        }
        for text in [
            "11月22日",
            "11-22",
            "26-11-22",
            "11/22/2026",
            "2026-13-40",
            "2026-02-30",
            "",
            "abc",
            "2026-11",
            "2026-11-22-1",
            "1999-01-01",
            "2026-11-22 x",
            "99999",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }
    #[test]
    fn a_moment_needs_its_time_of_day() {
        let at = |h, m, s| NaiveDate::from_ymd_opt(2026, 11, 22).unwrap().and_hms_opt(h, m, s);
        for (text, expect) in [
            ("2026-11-22 17:36", at(17, 36, 0)),
            ("2026/11/22 下午5:36", at(17, 36, 0)),
            ("2026年11月22日 上午12:05", at(0, 5, 0)),
            ("2026年11月22日下午12点05分", at(12, 5, 0)),
            ("2026-11-22 5:36:07 pm", at(17, 36, 7)),
            ("2026-11-22T17:36:00", at(17, 36, 0)),
            ("２０２６－１１－２２ １７：３６", at(17, 36, 0)),
            ("46348.7333333333", at(17, 36, 0)),
            ("2026-11-22", None),
            ("46348", None),
            ("2026-11-22 25:00", None),
            ("2026-11-22 上午17:00", None),
            ("2026-11-22 17", None),
            ("17:36", None),
            ("46347.9999999999", at(0, 0, 0)),
        ] {
            assert_eq!(date_time(text), expect, "{text}");
        }
    }
    #[test]
    fn amounts_keep_every_cent_and_refuse_what_is_unclear() {
        let minor = |t| amount(t).map(|m| m.minor);
        for (text, expect) in [
            ("2808.00", 280_800),
            ("2808", 280_800),
            ("¥1,234.5", 123_450),
            ("￥１，２３４．５０元", 123_450),
            ("0", 0),
            ("CNY 12", 1_200),
            ("1,234,567", 123_456_700),
        ] {
            assert_eq!(minor(text), Some(expect), "{text}");
        }
        for text in ["", "abc", "-1", "1.234", "12,34", "1,2345", "1e3", "100000000.01", "1.2.3", "元", "¥"]
        {
            assert_eq!(minor(text), None, "{text}");
        }
    }
    #[test]
    fn quantities_are_whole_and_above_zero() {
        for (text, expect) in [("2", 2), ("２", 2), ("2.0", 2), ("1,000", 1000), (" 6 ", 6)] {
            assert_eq!(quantity(text), Some(expect), "{text}");
        }
        for text in ["0", "-2", "两张", "1.5", "", "2张", "100001", "1e2"] {
            assert_eq!(quantity(text), None, "{text}");
        }
    }
    #[test]
    fn phones_are_mobiles_or_landlines_with_an_area_code() {
        for (text, expect) in [
            ("13805032582", "13805032582"),
            ("138 0503 2582", "13805032582"),
            ("+86 138-0503-2582", "13805032582"),
            ("１３８０５０３２５８２", "13805032582"),
            ("0571-87654321", "0571-87654321"),
            ("(010)87654321", "010-87654321"),
            ("02187654321", "021-87654321"),
            ("=\"13805032582\"", "13805032582"),
        ] {
            assert_eq!(phone(text).as_deref(), Some(expect), "{text}");
        }
        for text in
            ["1380000", "12805032582", "87654321", "1.38E+10", "0571-1234567", "", "138050325821", "0"]
        {
            assert_eq!(phone(text), None, "{text}");
        }
    }
    #[test]
    fn yes_and_no_are_read_in_the_usual_forms() {
        for text in ["是", "有", "√", "Y", "ｙ", "1", "TRUE"] {
            assert_eq!(flag(text), Some(true), "{text}");
        }
        for text in ["否", "无", "N", "0", "×", "false"] {
            assert_eq!(flag(text), Some(false), "{text}");
        }
        assert_eq!(flag("也许"), None);
    }
    #[test]
    fn an_order_number_cut_by_a_spreadsheet_is_refused() {
        assert_eq!(order_number(" ２６１１－Ａ "), Some("2611-A".into()));
        assert_eq!(order_number("='2611").as_deref(), None);
        assert_eq!(order_number("'2611\t").as_deref(), Some("2611"));
        assert_eq!(order_number("2.61112E+17"), None);
        assert_eq!(order_number("26 11"), None);
    }
    proptest! {
        #[test]
        fn no_text_makes_a_value_panic(text in "\\PC{0,40}", digits in "[0-9０-９.,:年月日上下午 /-]{0,30}") {
            for text in [text, digits] {
                tidy(&text); code(&text); order_number(&text); quantity(&text); amount(&text);
                flag(&text); phone(&text); date(&text); date_time(&text);
            }
        }
        #[test]
        fn every_amount_reads_back(minor in 0i64..=AMOUNT_MINOR_MAX) {
            let text = format!("{}.{:02}", minor / 100, minor % 100);
            prop_assert_eq!(amount(&text).map(|m| m.minor), Some(minor));
        }
    }
}
