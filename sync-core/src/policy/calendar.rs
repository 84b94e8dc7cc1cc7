//! Working time: days and hours of the policy's calendar, in the policy's time zone.
//!
//! In: moments in Unix milliseconds, lengths in working hours. Out: moments and local days. Bounded:
//! whoever asks for more working time than ten years hold gets the end of them. Days follow the zone's
//! clock, also where it changes for summer.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _};
use chrono_tz::Tz;

use super::model::{Calendar, Policy};
use crate::time::{UnixMs, utc};

/// Days that a search for working time looks ahead.
const DAYS_MAX: u64 = 3_660;

/// A policy's calendar in its zone.
#[derive(Clone, Copy, Debug)]
pub struct WorkCalendar<'a> {
    calendar: &'a Calendar,
    zone: Tz,
}

impl<'a> WorkCalendar<'a> {
    /// The calendar of a policy; UTC where its zone is unknown (a checked policy's never is).
    pub fn of(policy: &'a Policy) -> Self {
        Self { calendar: &policy.calendar, zone: policy.timezone.parse().unwrap_or(Tz::UTC) }
    }

    /// The local time of a moment.
    pub fn local(&self, ms: UnixMs) -> NaiveDateTime {
        utc(ms).with_timezone(&self.zone).naive_local()
    }

    /// The moment of a local time; where the clock skips it, the first that exists after.
    pub fn moment(&self, local: NaiveDateTime) -> UnixMs {
        let found = |local: NaiveDateTime| -> Option<DateTime<Tz>> {
            self.zone.from_local_datetime(&local).earliest()
        };
        let skipped = || found(local + chrono::TimeDelta::hours(1));
        found(local)
            .or_else(skipped)
            .map_or_else(|| local.and_utc().timestamp_millis(), |d| d.timestamp_millis())
    }

    /// The first moment of a local day.
    pub fn day_start(&self, day: NaiveDate) -> UnixMs {
        self.moment(day.and_time(NaiveTime::MIN))
    }

    /// Whether a day is worked: an extra day always, a holiday never, else by its weekday.
    pub fn is_working(&self, day: NaiveDate) -> bool {
        let listed = self.calendar.days.contains(&day.weekday());
        self.calendar.extra_days.contains(&day) || (listed && !self.calendar.holidays.contains(&day))
    }

    /// The working periods of a day.
    fn periods(&self, day: NaiveDate) -> Vec<(UnixMs, UnixMs)> {
        if !self.is_working(day) {
            return Vec::new();
        }
        let period =
            |p: &super::model::Period| (self.moment(day.and_time(p.from)), self.moment(day.and_time(p.to)));
        self.calendar.hours.iter().map(period).collect()
    }

    /// The moment after so much working time from `start`.
    pub fn after(&self, start: UnixMs, working_ms: i64) -> UnixMs {
        let (mut left, first) = (working_ms, self.local(start).date());
        for n in 0..DAYS_MAX {
            let Some(day) = first.checked_add_days(Days::new(n)) else { break };
            for (from, to) in self.periods(day) {
                let from = from.max(start);
                let here = (to - from).max(0);
                if here > 0 && left <= here {
                    return from + left;
                }
                left -= here;
            }
        }
        self.day_start(first.checked_add_days(Days::new(DAYS_MAX)).unwrap_or(NaiveDate::MAX))
    }

    /// Working time between two moments.
    pub fn between(&self, from: UnixMs, to: UnixMs) -> i64 {
        let (first, last) = (self.local(from).date(), self.local(to).date());
        let days = first.iter_days().take_while(|d| *d <= last).take(usize::try_from(DAYS_MAX).unwrap_or(0));
        days.flat_map(|day| self.periods(day)).map(|(a, b)| (b.min(to) - a.max(from)).max(0)).sum()
    }

    /// The day after so many working days from a day.
    pub fn working_day_after(&self, day: NaiveDate, working_days: u32) -> NaiveDate {
        let ahead = day.iter_days().skip(1).take(usize::try_from(DAYS_MAX).unwrap_or(0));
        let mut working =
            ahead.filter(|d| self.is_working(*d)).skip(usize::try_from(working_days.max(1) - 1).unwrap_or(0));
        working.next().unwrap_or(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::check;
    use proptest::prelude::*;

    fn centre() -> Policy {
        let mut policy = Policy::parse(check::shipped("service-centre").unwrap()).unwrap();
        policy.calendar.holidays.insert("2026-10-01".parse().unwrap());
        policy.calendar.extra_days.insert("2026-10-10".parse().unwrap());
        policy
    }
    fn ms(text: &str) -> UnixMs {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }
    const HOUR: i64 = 3_600_000;

    #[test]
    fn working_hours_pass_over_nights_weekends_and_holidays() {
        let policy = centre();
        let calendar = WorkCalendar::of(&policy);
        for (from, hours, to) in [
            ("2026-09-30T16:00:00+08:00", 1, "2026-09-30T17:00:00+08:00"),
            ("2026-09-30T16:00:00+08:00", 4, "2026-10-02T11:00:00+08:00"),
            ("2026-11-20T11:00:00+08:00", 2, "2026-11-20T14:00:00+08:00"),
            ("2026-11-20T17:00:00+08:00", 2, "2026-11-23T10:00:00+08:00"),
            ("2026-10-09T17:00:00+08:00", 2, "2026-10-10T10:00:00+08:00"),
        ] {
            assert_eq!(calendar.after(ms(from), hours * HOUR), ms(to), "{from} + {hours} h");
        }
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert_eq!(calendar.working_day_after(day("2026-11-20"), 5), day("2026-11-27"));
    }
    #[test]
    fn a_zone_that_changes_its_clock_still_has_its_hours() {
        let mut policy = centre();
        policy.timezone = "Europe/Berlin".into();
        let calendar = WorkCalendar::of(&policy);
        let from = ms("2026-03-27T17:30:00+01:00");
        assert_eq!(calendar.after(from, HOUR), ms("2026-03-30T09:30:00+02:00"));
    }
    #[test]
    fn a_calendar_without_working_time_ends() {
        let mut policy = centre();
        policy.calendar.days.clear();
        policy.calendar.extra_days.clear();
        assert!(WorkCalendar::of(&policy).after(0, HOUR) > 0);
    }
    proptest! {
        #[test]
        fn between_is_the_inverse_of_after(start in 1_790_000_000_000i64..1_800_000_000_000, hours in 1i64..200) {
            let policy = centre();
            let calendar = WorkCalendar::of(&policy);
            let end = calendar.after(start, hours * HOUR);
            prop_assert_eq!(calendar.between(start, end), hours * HOUR);
            prop_assert!(calendar.after(start, (hours + 1) * HOUR) > end);
        }
    }
}
