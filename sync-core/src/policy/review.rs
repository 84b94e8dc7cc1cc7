//! When a policy is due for review (S1 第二十二条, S4 第七条, S11 八, S12 第十四条).
//!
//! In: a policy and the moment from which it is in force. Out: the first moment of the day, in the
//! policy's own zone, that comes `review_months` calendar months later; a month that is too short for
//! the day ends on its last one. Deliberately not here: any clock, and who is told.

use chrono::{Months, NaiveDate};

use super::calendar::WorkCalendar;
use super::model::Policy;
use crate::time::UnixMs;

/// When a policy that is in force from `effective_ms` is due for review, Unix milliseconds; the end of
/// time where no calendar goes that far.
pub fn review_due_ms(policy: &Policy, effective_ms: UnixMs) -> UnixMs {
    let calendar = WorkCalendar::of(policy);
    let later = |day: NaiveDate| day.checked_add_months(Months::new(policy.review_months));
    later(calendar.local_date(effective_ms)).map_or(UnixMs::MAX, |day| calendar.day_start(day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::check::shipped;
    use crate::time::utc;
    use chrono::{DateTime, Datelike as _};
    use proptest::prelude::*;

    fn policy(zone: &str, review_months: u32) -> Policy {
        let general = Policy::parse(shipped("general").unwrap()).unwrap();
        Policy { timezone: zone.into(), review_months, ..general }
    }
    fn ms(text: &str) -> UnixMs {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[test]
    fn a_review_is_due_on_the_same_day_of_a_later_month_or_on_that_months_last() {
        for (zone, from, months, due) in [
            ("Asia/Shanghai", "2026-12-01T09:30:00+08:00", 12, "2027-12-01T00:00:00+08:00"),
            ("Asia/Shanghai", "2026-08-31T00:00:00+08:00", 6, "2027-02-28T00:00:00+08:00"),
            ("Asia/Shanghai", "2027-08-31T00:00:00+08:00", 6, "2028-02-29T00:00:00+08:00"),
            ("Asia/Shanghai", "2028-02-29T23:59:59+08:00", 12, "2029-02-28T00:00:00+08:00"),
            ("Asia/Shanghai", "2026-11-30T23:00:00+00:00", 3, "2027-03-01T00:00:00+08:00"),
            ("Europe/Berlin", "2027-01-31T12:00:00+01:00", 3, "2027-04-30T00:00:00+02:00"),
            // Beirut's clock skips midnight of the last Sunday of March.
            ("Asia/Beirut", "2026-12-28T12:00:00+02:00", 3, "2027-03-28T01:00:00+03:00"),
            // Samoa left the 30th out.
            ("Pacific/Apia", "2011-11-30T12:00:00-10:00", 1, "2011-12-31T00:00:00+14:00"),
        ] {
            assert_eq!(review_due_ms(&policy(zone, months), ms(from)), ms(due), "{zone} {from} + {months}");
        }
    }

    proptest! {
        #[test]
        fn it_is_the_first_moment_of_a_day_exactly_so_many_months_later(
            zone in prop::sample::select(vec![
                "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
                "Pacific/Apia", "America/Havana", "Asia/Beirut", "UTC",
            ]),
            months in 1u32..=120,
            effective_ms in 0i64..4_000_000_000_000,
        ) {
            let policy = policy(zone, months);
            let calendar = WorkCalendar::of(&policy);
            let from = calendar.local_date(effective_ms);
            let due_ms = review_due_ms(&policy, effective_ms);
            // Counted by hand: months since year 0, and a day that the month has.
            let month = from.year() * 12 + i32::try_from(from.month0() + months).unwrap();
            let (year, month) = (month / 12, u32::try_from(month % 12).unwrap() + 1);
            let fits = |day: u32| NaiveDate::from_ymd_opt(year, month, day);
            let day = (1..=from.day()).rev().find_map(fits).unwrap();
            prop_assert!(calendar.local_date(due_ms) >= day);
            prop_assert!(calendar.local_date(due_ms - 1) < day);
            prop_assert!(due_ms > effective_ms);
        }
        #[test]
        fn later_in_force_is_never_due_earlier(
            months in 1u32..=120, from in 0i64..4_000_000_000_000, later in 0i64..100_000_000_000,
        ) {
            let policy = policy("America/New_York", months);
            prop_assert!(review_due_ms(&policy, from) <= review_due_ms(&policy, from + later));
        }
        #[test]
        fn no_moment_is_too_far(some_ms in any::<i64>(), months in any::<u32>()) {
            for effective_ms in [some_ms, i64::MIN, i64::MAX] {
                for zone in ["Pacific/Kiritimati", "Pacific/Niue"] {
                    let due_ms = review_due_ms(&policy(zone, months), effective_ms);
                    // Its day's first moment, in whichever zone, at the earliest.
                    prop_assert!(due_ms >= utc(effective_ms).timestamp_millis() - 2 * 86_400_000);
                }
            }
        }
    }
}
