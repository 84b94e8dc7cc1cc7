//! Refusals: an expected *no*, the same value on the phone, on the wire, in the API and in the office.
//!
//! A refusal has a stable code, parameters, and the roles that could do it instead. Its words come
//! from the table below, Chinese first; a person never sees a bare code.

use std::collections::BTreeMap;
use std::fmt;

use minicbor::{Decode, Encode};

use crate::ids::Name;

/// The languages that people are spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Lang {
    /// 中文.
    #[default]
    Zh,
    /// English.
    En,
}

/// What the key of a parameter's English words ends in, beside the Chinese ones.
const IN_ENGLISH: &str = ".en";

macro_rules! catalogue {
    ($( $code:ident $text:literal $n:literal $zh:literal $en:literal; )*) => {
        /// Why something is not possible now. The text and number are stable; never reuse one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(index_only)]
        pub enum RefusalCode {
            $( #[doc = $en] #[n($n)] $code, )*
        }
        impl RefusalCode {
            /// Every code there is.
            pub const ALL: &[Self] = &[ $( Self::$code, )* ];
            /// The stable code as text.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$code => $text, )* }
            }
            /// The words for people, with `{parameters}` still in braces.
            pub const fn template(self, lang: Lang) -> &'static str {
                match (self, lang) { $( (Self::$code, Lang::Zh) => $zh, (Self::$code, Lang::En) => $en, )* }
            }
        }
    };
}

catalogue! {
    RoleMissing "role_missing" 0 "您没有做「{action}」的权限。" "You may not do \"{action}\".";
    RoleEnded "role_ended" 1 "记录时的岗位已于{ended}结束,需办公室放行。" "The role ended at {ended}; the office must release this.";
    NotAssigned "not_assigned" 2 "此单没有派给您。" "This job is not assigned to you.";
    StepOrder "step_order" 3 "「{action}」之前须先完成「{missing}」。" "\"{missing}\" must come before \"{action}\".";
    StepRepeated "step_repeated" 4 "「{action}」已经记录过。" "\"{action}\" is already recorded.";
    StepUnknown "step_unknown" 5 "制度里没有「{action}」这一步。" "The policy has no step \"{action}\".";
    EvidenceMissing "evidence_missing" 6 "「{action}」须附{evidence}作为证据。" "\"{action}\" needs {evidence} as evidence.";
    SignatureMissing "signature_missing" 7 "「{action}」须由客户签字。" "\"{action}\" needs the customer's signature.";
    ValueMissing "value_missing" 8 "「{action}」须填写「{field}」。" "\"{action}\" needs \"{field}\".";
    ValueInvalid "value_invalid" 9 "「{field}」的内容不对:{reason}" "\"{field}\" is not valid: {reason}";
    UnknownField "unknown_field" 10 "没有「{field}」这一项。" "There is no field \"{field}\".";
    NotPaid "not_paid" 11 "须付全款或有担保才能「{action}」。" "\"{action}\" needs full payment or a guarantee.";
    Cancelled "cancelled" 12 "此单已取消。" "This is cancelled already.";
    Closed "closed" 13 "此单已完结。" "This is closed already.";
    NothingProposed "nothing_proposed" 14 "没有待批准的修改。" "There is no change to approve or decline.";
    SealStale "seal_stale" 15 "签字确认的不是这一版内容,请重新打开再签。" "The seal names another version; open it again and sign.";
    NotFound "not_found" 16 "找不到{what}。" "{what} was not found.";
    AlreadyExists "already_exists" 17 "{what}已存在。" "{what} exists already.";
    NoClash "no_clash" 18 "没有需要裁决的冲突。" "There is no such clash to settle.";
    TooLarge "too_large" 19 "{what}太大:最多{limit}。" "{what} is too large: at most {limit}.";
    Malformed "malformed" 20 "数据损坏,无法读取:{reason}" "The data cannot be read: {reason}";
    NotReproducible "not_reproducible" 21 "修改无法按原样重现,未采纳。" "The change cannot be reproduced exactly and was not applied.";
    ForeignActor "foreign_actor" 22 "修改不是由这台设备写的。" "The change was not written by this device.";
    DependencyMissing "dependency_missing" 23 "所依据的修改还没有到达或仍被搁置。" "It builds on a change that is missing or held.";
    Grammar "grammar" 24 "内容不合规定的格式:{reason}" "The content does not fit the document's grammar: {reason}";
    SignatureInvalid "signature_invalid" 25 "设备签名无效:{reason}" "The device's signature does not hold: {reason}";
    OutOfScope "out_of_scope" 26 "此单不在您的工作范围内。" "This document is outside your scope.";
    DeviceRevoked "device_revoked" 27 "此设备已停用。" "This device has been revoked.";
    NewerApp "newer_app" 28 "此内容须用新版应用打开。" "A newer app is needed for this.";
    PolicyInvalid "policy_invalid" 29 "制度不合要求:{reason}" "The policy is not valid: {reason}";
    OnBehalf "on_behalf" 30 "此人不能使用这台设备。" "This person may not use this device.";
    DirectoryMissing "directory_missing" 31 "设备还没有收到公司名录,请先联网同步。" "The device has no directory yet; connect and sync first.";
    LeaseEnded "lease_ended" 32 "此设备已太久没有联网({until}到期),请先联网同步再用。" "This device has not been seen for too long (since {until}); connect and sync first.";
    PolicyRetroactive "policy_retroactive" 33 "制度不能从过去生效:{effective}已过,请另定日期。" "A policy cannot be in force from the past: {effective} is over; choose another day.";
    CheckFailed "check_failed" 34 "「{action}」之前「{check}」须合格;不合格请与客户协商或拒接。" "\"{action}\" needs \"{check}\" to be in order; agree on it with the customer, or refuse.";
    TooLate "too_late" 35 "「{action}」的期限已于{until}结束。" "The time for \"{action}\" ended on {until}.";
    TooEarly "too_early" 37 "「{action}」须待{until}之后。" "\"{action}\" must wait until {until} is over.";
    IntakeSuspended "intake_suspended" 38 "{day}暂停接单下单,不能「{action}」;请改日再办。" "Intake rests on {day}: \"{action}\" must wait for another day.";
    FreeOfCharge "free_of_charge" 39 "已记录「{step}」,不得收费。" "\"{step}\" is recorded: no payment is taken.";
    StockShort "stock_short" 36 "备件{sku}库存只有{there},不够领用;请先盘点入库。" "There are only {there} of {sku} in stock; count parts in first.";
}

/// One refusal. Shape on the wire: a CBOR map with integer keys.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refusal {
    /// The stable code.
    #[n(0)]
    pub code: RefusalCode,
    /// What the words' braces stand for.
    #[n(1)]
    pub params: BTreeMap<String, String>,
    /// The roles that could do it; empty where nobody can.
    #[n(2)]
    pub who: Vec<Name>,
}

impl Refusal {
    /// A refusal without parameters.
    pub fn new(code: RefusalCode) -> Self {
        Self { code, params: BTreeMap::new(), who: Vec::new() }
    }
    /// With one more parameter, cut to a readable length.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.params.insert(key.to_owned(), value.to_string().chars().take(200).collect());
        self
    }
    /// With one more parameter that has its own words in each language, Chinese first.
    #[must_use]
    pub fn with_words(self, key: &str, (zh, en): (&str, &str)) -> Self {
        self.with(key, zh).with(&format!("{key}{IN_ENGLISH}"), en)
    }
    /// With a role that could do it, and what people call it.
    #[must_use]
    pub fn by(mut self, role: &Name, title: (&str, &str)) -> Self {
        self.who.push(role.clone());
        self.with_words(&role_key(role), title)
    }
    /// The words for a person.
    pub fn text(&self, lang: Lang) -> String {
        let mut words = self.code.template(lang).to_owned();
        for key in self.params.keys() {
            words = words.replace(&format!("{{{key}}}"), self.param(key, lang).unwrap_or_default());
        }
        if !self.who.is_empty() {
            let roles: Vec<&str> = self.who.iter().map(|role| self.title(role, lang)).collect();
            words.push_str(&match lang {
                Lang::Zh => format!("可由以下岗位办理:{}。", roles.join("、")),
                Lang::En => format!(" Could be done by: {}.", roles.join(", ")),
            });
        }
        words
    }
    /// A parameter's words in a language.
    fn param(&self, key: &str, lang: Lang) -> Option<&str> {
        let english = (lang == Lang::En).then(|| self.params.get(&format!("{key}{IN_ENGLISH}")));
        english.flatten().or_else(|| self.params.get(key)).map(String::as_str)
    }
    fn title<'a>(&'a self, role: &'a Name, lang: Lang) -> &'a str {
        self.param(&role_key(role), lang).unwrap_or(role.as_str())
    }
}
fn role_key(role: &Name) -> String {
    format!("role.{role}")
}
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.text(Lang::En))
    }
}
impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_have_words_in_both_languages() {
        let codes: BTreeSet<_> = RefusalCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(codes.len(), RefusalCode::ALL.len());
        for code in RefusalCode::ALL {
            let braces = |lang| code.template(lang).matches('{').count();
            assert_eq!(
                braces(Lang::Zh),
                braces(Lang::En),
                "{code:?} has other parameters in the other language"
            );
        }
    }
    #[test]
    fn a_refusal_says_why_and_who_could_in_either_language() {
        let refusal = Refusal::new(RefusalCode::RoleMissing)
            .with_words("action", ("批准修改", "approve a change"))
            .by(&"supervisor".parse().unwrap(), ("跟单主管", "Supervisor"));
        assert_eq!(refusal.text(Lang::Zh), "您没有做「批准修改」的权限。可由以下岗位办理:跟单主管。");
        let english = "You may not do \"approve a change\". Could be done by: Supervisor.";
        assert_eq!(refusal.text(Lang::En), english);
        let bytes = minicbor::to_vec(&refusal).unwrap();
        assert_eq!(minicbor::decode::<Refusal>(&bytes).unwrap(), refusal);
    }
}
