//! What can be wrong with a policy: stable codes, and a fault with its place and words.
//!
//! A fault is for the person who writes the policy. Its code is stable, its path names the value, its
//! line stands in their text, and its words come from the table below, Chinese first. It carries at most
//! 120 characters of what was found.
//!
//! Deliberately not here: finding faults (see [`super::check`]).

use std::fmt;

use crate::refusal::Lang;

macro_rules! faults {
    ($( $code:ident $text:literal $zh:literal $en:literal; )*) => {
        /// What is wrong with a policy. The text is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FaultCode { $( #[doc = $en] $code, )* }
        impl FaultCode {
            /// Every code there is.
            pub const ALL: &[Self] = &[ $( Self::$code, )* ];
            /// The stable code as text.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$code => $text, )* }
            }
            /// The words, with `{found}` still in braces.
            pub const fn template(self, lang: Lang) -> &'static str {
                match (self, lang) { $( (Self::$code, Lang::Zh) => $zh, (Self::$code, Lang::En) => $en, )* }
            }
        }
    };
}

faults! {
    TooLarge "too_large" "制度太大:最多{found}字节。" "The policy is too large: at most {found} bytes.";
    Unreadable "unreadable" "读不懂:{found}" "Cannot be read: {found}";
    UnknownKey "unknown_key" "没有「{found}」这一项。" "There is no key \"{found}\" here.";
    UnknownRole "unknown_role" "没有「{found}」这个岗位。" "There is no role \"{found}\".";
    UnknownStep "unknown_step" "没有「{found}」这一步。" "There is no step \"{found}\".";
    UnknownWindow "unknown_window" "没有「{found}」这个时段。" "There is no window \"{found}\".";
    StepsApart "steps_apart" "规则的各步不在同一个流程里。" "No single flow has all the steps of this rule.";
    NotEarlier "not_earlier" "「{found}」须排在这一步之前。" "\"{found}\" must stand earlier than this step.";
    Nobody "nobody" "没有写由谁来做。" "Nobody is named who may do this.";
    NoClosing "no_closing" "流程没有完结的一步。" "The flow has no step that closes it.";
    UnknownEntry "unknown_entry" "制度里没有「{found}」这一条。" "The policy has no entry \"{found}\" for this.";
    WrongSubject "wrong_subject" "流程「order」须是订单流程。" "The flow \"order\" must be a flow of orders.";
    IdTwice "id_twice" "「{found}」出现了两次。" "\"{found}\" stands twice.";
    Reserved "reserved" "「{found}」另有所指,不能用作步骤名。" "\"{found}\" has a meaning of its own and cannot name a step.";
    BadTimezone "bad_timezone" "没有「{found}」这个时区。" "There is no time zone \"{found}\".";
    BadCurrency "bad_currency" "「{found}」不是货币代码。" "\"{found}\" is not a currency code.";
    BadAmount "bad_amount" "「{found}」不是金额。" "\"{found}\" is not an amount above zero.";
    BadPeriod "bad_period" "开始须早于结束,且不得与前一段重叠。" "It must start before it ends, and after the one before it.";
    BadMonthDays "bad_month_days" "每月日期须在1至31之间,先小后大。" "Days of the month go from 1 to 31, the smaller first.";
    NoWorkingTime "no_working_time" "日历没有工作时间。" "The calendar has no working time.";
    OutOfRange "out_of_range" "「{found}」超出范围。" "\"{found}\" is out of range.";
    NoWords "no_words" "中英文都要写,不得过长。" "Words are needed in both languages, and not too long.";
    NoClause "no_clause" "没有写出处。" "The clause it comes from is missing.";
    NothingToJudge "nothing_to_judge" "规则要用「{found}」,制度里却没有。" "The rule needs {found}, and the policy has none.";
    PowerMissing "power_missing" "没有岗位有「{found}」的权限。" "No role has the power \"{found}\".";
}

/// One fault of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyFault {
    /// What is wrong.
    pub code: FaultCode,
    /// Where, such as `flows.order.steps[3].after`; empty for the whole.
    pub path: String,
    /// The line of the TOML, counted from 1; none for a published policy.
    pub line: Option<usize>,
    /// What was found, cut to a readable length.
    pub found: String,
}

impl PolicyFault {
    pub(super) fn new(code: FaultCode, path: impl Into<String>, found: &str) -> Self {
        Self { code, path: path.into(), line: None, found: found.chars().take(120).collect() }
    }
    /// The words for people.
    pub fn words(&self, lang: Lang) -> String {
        self.code.template(lang).replace("{found}", &self.found)
    }
}
impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} [{}]", self.words(Lang::En), self.code.as_str())
    }
}
