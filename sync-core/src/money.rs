//! Money: a whole number of minor units (分, cents) with its currency. No floating point anywhere.

use std::fmt;

use minicbor::{Decode, Encode};

/// An ISO 4217 currency code, such as `CNY`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The Chinese yuan.
    pub const CNY: Self = Self(*b"CNY");

    /// Three upper-case letters.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let bytes: [u8; 3] = text.as_bytes().try_into().map_err(|_| MoneyError::Currency)?;
        if bytes.iter().all(u8::is_ascii_uppercase) { Ok(Self(bytes)) } else { Err(MoneyError::Currency) }
    }
    /// The code as text.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
    /// Decimal places of the minor unit (ISO 4217): 2 but for a few currencies.
    pub const fn exponent(self) -> u32 {
        match &self.0 {
            b"JPY" | b"KRW" | b"VND" => 0,
            _ => 2,
        }
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl<C> Encode<C> for Currency {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.code())?.ok()
    }
}
impl<'b, C> Decode<'b, C> for Currency {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::parse(d.str()?).map_err(|e| minicbor::decode::Error::message(e.to_string()))
    }
}

/// What is wrong with an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an ISO 4217 code.
    #[error("a currency is three capital letters, such as CNY")]
    Currency,
    /// Not a decimal amount.
    #[error("not an amount: digits with at most the currency's decimal places")]
    Amount,
    /// Two currencies met in one sum.
    #[error("amounts of different currencies cannot be added")]
    Mixed,
    /// Larger than can be held.
    #[error("the amount is too large")]
    Overflow,
}

/// An amount in minor units of a currency; negative for a refund.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Money {
    /// Minor units: 分 for CNY.
    #[n(0)]
    pub minor: i64,
    /// The currency.
    #[n(1)]
    pub currency: Currency,
}

impl Money {
    /// This many minor units.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }
    /// Parses `2808`, `2808.5` or `-2808.50`; no thousands separators, no sign but a leading minus.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let places = usize::try_from(currency.exponent()).unwrap_or(0);
        let digits_only = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits_only(whole) || !digits_only(fraction) || fraction.len() > places {
            return Err(MoneyError::Amount);
        }
        let joined = format!("{whole}{fraction:0<places$}");
        let minor: i64 = joined.parse().map_err(|_| MoneyError::Overflow)?;
        Ok(Self::new(if negative { -minor } else { minor }, currency))
    }
    /// The sum, of one currency.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed);
        }
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }
    /// The amount taken `times`.
    pub fn checked_mul(self, times: i64) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_mul(times).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }
}
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = usize::try_from(self.currency.exponent()).unwrap_or(0);
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let sign = if self.minor < 0 { "-" } else { "" };
        let point = if places > 0 { "." } else { "" };
        write!(f, "{sign}{whole}{point}{fraction} {}", self.currency.code())
    }
}
impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_read_and_shown_to_the_minor_unit() {
        let cny = |t| Money::parse(t, Currency::CNY).map(|m| m.minor);
        assert_eq!(cny("2808.00"), Ok(280_800));
        assert_eq!(cny("-0.5"), Ok(-50));
        for bad in ["", ".", "1.234", "1e3", "abc", "1,000", "+1", "--1", "１"] {
            assert_eq!(cny(bad), Err(MoneyError::Amount), "{bad}");
        }
        assert_eq!(cny("99999999999999999999"), Err(MoneyError::Overflow));
    }
    proptest! {
        #[test]
        fn display_reads_back(minor in -1_000_000_000_000_000i64..1_000_000_000_000_000) {
            let money = Money::new(minor, Currency::CNY);
            let text = money.to_string();
            prop_assert_eq!(Money::parse(text.strip_suffix(" CNY").unwrap(), Currency::CNY), Ok(money));
        }
    }
}
