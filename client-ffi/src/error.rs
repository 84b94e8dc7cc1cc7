//! What an app is told when something does not work: few variants by what it shows, one shape for all.
//!
//! Each carries a stable `code`, words in Chinese and English, and whether trying again later may help.
//! Nothing here holds personal data but what a refusal's own words name.

use sync_core::device::DeviceError;
use sync_core::ids::IdError;
use sync_core::refusal::{Lang, Refusal, RefusalCode};
use sync_core::store::StoreError;

macro_rules! field_errors {
    ($( $(#[$doc:meta])* $name:ident; )*) => {
        /// An error by what an app does about it.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
        pub enum FieldError {
            $(
                $(#[$doc])*
                #[error("{code}: {reason_en}")]
                $name {
                    /// The stable code.
                    code: String,
                    /// Words in Chinese.
                    reason: String,
                    /// Words in English.
                    reason_en: String,
                    /// Whether the same call may succeed later without anybody doing anything.
                    retryable: bool,
                },
            )*
        }
        impl FieldError {
            /// The stable code.
            pub fn code(&self) -> &str {
                match self { $( Self::$name { code, .. } )|* => code }
            }
            /// Words in Chinese.
            pub fn reason(&self) -> &str {
                match self { $( Self::$name { reason, .. } )|* => reason }
            }
            /// Words in English.
            pub fn reason_en(&self) -> &str {
                match self { $( Self::$name { reason_en, .. } )|* => reason_en }
            }
            /// Whether the same call may succeed later without anybody doing anything.
            pub fn is_retryable(&self) -> bool {
                match self { $( Self::$name { retryable, .. } )|* => *retryable }
            }
        }
    };
}

field_errors! {
    /// An expected no: show the words beside what was tried.
    Refused;
    /// The relay cannot be reached, or the connection broke: show that work goes on offline.
    Offline;
    /// The relay does not let this device in: ask the office.
    NotAdmitted;
    /// The device was revoked and has erased itself: enrol anew.
    Wiped;
    /// The device has no identity yet: show the enrolment screen.
    NotEnrolled;
    /// The store cannot do what it should: show the words, and stop recording.
    Store;
    /// Relay and device do not understand each other: update the app, or report it.
    Protocol;
}

impl FieldError {
    /// The relay cannot be reached.
    pub fn offline(code: &str, what: impl std::fmt::Display) -> Self {
        Self::Offline {
            code: code.to_owned(),
            reason: format!("连不上服务器,记录已保存在本机,联网后再同步。({what})"),
            reason_en: format!("The relay cannot be reached; work is kept here until it can be. ({what})"),
            retryable: true,
        }
    }
    /// The time that the caller gave has run out.
    pub fn timeout() -> Self {
        Self::Offline {
            code: "timeout".into(),
            reason: "同步没有在限定时间内完成,其余部分下次继续。".into(),
            reason_en: "The sync did not end in the time given; the rest follows next time.".into(),
            retryable: true,
        }
    }
    /// The caller stopped it.
    pub fn stopped() -> Self {
        Self::Offline {
            code: "stopped".into(),
            reason: "同步已停止。".into(),
            reason_en: "The sync was stopped.".into(),
            retryable: true,
        }
    }
    /// Relay and device do not understand each other.
    pub fn protocol(code: &str, what: impl std::fmt::Display) -> Self {
        Self::Protocol {
            code: code.to_owned(),
            reason: format!("与服务器的通信出错,请更新应用或告知办公室。({what})"),
            reason_en: format!("Device and relay do not understand each other: {what}."),
            retryable: false,
        }
    }
    /// Another sync of this device is running.
    pub fn busy() -> Self {
        Self::Refused {
            code: "sync_running".into(),
            reason: "同步正在进行。".into(),
            reason_en: "A sync is running already.".into(),
            retryable: true,
        }
    }
    /// What was typed is not valid.
    pub fn invalid(field: &str, why: impl std::fmt::Display) -> Self {
        Refusal::new(RefusalCode::ValueInvalid).with("field", field).with("reason", why).into()
    }
}

impl From<Refusal> for FieldError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            code: refusal.code.as_str().to_owned(),
            reason: refusal.text(Lang::Zh),
            reason_en: refusal.text(Lang::En),
            retryable: false,
        }
    }
}

impl From<IdError> for FieldError {
    fn from(error: IdError) -> Self {
        Self::invalid(error.what, &error.found)
    }
}

/// The way on for a damaged store.
const WAY_ON: &str = "请将旧数据移到一旁(set-aside,不会删除),向办公室索取登记码重新登记,同步后再取回旧数据中\
                      尚未同步的记录(salvage)。服务器上的记录不受影响。";
const WAY_ON_EN: &str = "Set the old folder aside (set-aside; nothing is deleted), enrol again with a code from \
                         the office, sync, then take over what it held unsent (salvage). What the relay has is \
                         not affected.";

impl From<StoreError> for FieldError {
    fn from(error: StoreError) -> Self {
        let (reason, retryable) = match &error {
            StoreError::Busy => ("本机数据正被另一个程序使用,请先关闭它。".to_owned(), true),
            StoreError::Full => ("手机存储空间已满,请清理后重试。".to_owned(), true),
            StoreError::Corrupt { .. } => (format!("本机数据已损坏。{WAY_ON}"), false),
            StoreError::LostTail { expected, found } => {
                let lost = expected.saturating_sub(*found);
                (format!("本机丢失了最后{lost}次记录,勿继续操作。{WAY_ON}"), false)
            }
            StoreError::WrongKey => ("密钥不对,打不开本机数据。".to_owned(), false),
            StoreError::NewerLayout { .. } => ("本机数据由新版应用写成,请更新应用。".to_owned(), false),
            // Unavailable, and what a later store may add.
            _ => ("本机数据暂时无法读写。".to_owned(), true),
        };
        let reason_en = match &error {
            StoreError::Corrupt { what, .. } => {
                format!("The store on this device is damaged ({what}). {WAY_ON_EN}")
            }
            StoreError::LostTail { expected, found } => {
                let lost = expected.saturating_sub(*found);
                format!("The store on this device has lost its last {lost} records. {WAY_ON_EN}")
            }
            other => other.to_string(),
        };
        Self::Store { code: error.code().to_owned(), reason, reason_en, retryable }
    }
}

impl From<DeviceError> for FieldError {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Refused(refusal) => refusal.into(),
            DeviceError::Store(error) => error.into(),
            DeviceError::Damaged(what) => Self::Store {
                code: "damaged".into(),
                reason: format!("本机数据无法读取({what})。{WAY_ON}"),
                reason_en: format!("What is stored cannot be read: {what}. {WAY_ON_EN}"),
                retryable: false,
            },
            DeviceError::Protocol { code, message } => Self::protocol(code, message),
            DeviceError::Relay { code, message } => match code.as_str() {
                "relay_failed" | "relay_stopping" | "replaced" => Self::offline(&code, message),
                "no_role" => Self::NotAdmitted {
                    code,
                    reason: "您目前没有在任的岗位,请联系办公室。".into(),
                    reason_en: "You have no role in force; ask the office.".into(),
                    retryable: false,
                },
                _ => Self::protocol(&code, message),
            },
            DeviceError::Wiped => Self::Wiped {
                code: "wiped".into(),
                reason: "此设备已停用,本机数据已清除。如需使用请重新登记。".into(),
                reason_en: "This device was revoked and has erased itself; enrol it anew.".into(),
                retryable: false,
            },
            DeviceError::NotEnrolled => Self::NotEnrolled {
                code: "not_enrolled".into(),
                reason: "此设备尚未登记,请向办公室索取登记码。".into(),
                reason_en: "This device is not enrolled; ask the office for a code.".into(),
                retryable: false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_code_and_words_and_is_not_tried_again() {
        let error: FieldError = Refusal::new(RefusalCode::Cancelled).into();
        assert_eq!((error.code(), error.reason()), ("cancelled", "此单已取消。"));
        assert!(!error.is_retryable());
    }
    #[test]
    fn a_relay_that_stops_is_offline_and_who_has_no_role_asks_the_office() {
        let ended =
            |code: &str| FieldError::from(DeviceError::Relay { code: code.into(), message: "…".into() });
        for code in ["relay_failed", "relay_stopping", "replaced"] {
            assert!(matches!(ended(code), FieldError::Offline { retryable: true, .. }), "{code}");
        }
        assert!(matches!(ended("no_role"), FieldError::NotAdmitted { .. }));
        assert!(matches!(ended("frame_malformed"), FieldError::Protocol { .. }));
    }
    #[test]
    fn a_store_in_use_may_be_tried_again_and_a_damaged_one_not() {
        assert!(FieldError::from(StoreError::Busy).is_retryable());
        let lost = FieldError::from(StoreError::LostTail { expected: 5, found: 3 });
        assert!(matches!(lost, FieldError::Store { retryable: false, .. }));
        assert!(lost.reason().contains("最后2次"));
    }
}
