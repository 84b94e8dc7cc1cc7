//! Working time: days and hours of the policy's calendar, in the policy's time zone.
//!
//! In: moments in Unix milliseconds, lengths in working hours and days, pauses. Out: moments, local days,
//! and working time in milliseconds. A pause is added back: working time within it does not count.
//! Bounded: whoever asks for more working time than ten years hold gets the end of them.
//!
//! Invariants: adding is monotone in start and length, and the working time between a start and what was
//! added to it is the length again. Days follow the zone's clock, also where it changes for summer: a
//! local time that the clock skips is the moment at which it goes on, one that comes twice is the first.
//!
//! Deliberately not here: what a deadline means, and any clock.

use chrono::{
    Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Timelike as _,
};
use chrono_tz::Tz;

use super::model::{Calendar, Period, Policy};
use crate::time::{UnixMs, utc};

/// Days that a search for working time looks ahead.
const DAYS_MAX: u64 = 3_660;
/// Minutes that a zone's clock ever skipped at once: Samoa left out a whole day.
const SKIPPED_MINUTES_MAX: i64 = 1_441;
const HOUR_MS: i64 = 3_600_000;

/// A stretch in which a deadline's clock stands still; one without an end is still open.
pub type Pause = (UnixMs, Option<UnixMs>);

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

    /// The local day of a moment.
    pub fn local_date(&self, ms: UnixMs) -> NaiveDate {
        self.local(ms).date()
    }

    /// The moment of a local time; where the clock skips it, the first that exists after.
    pub fn moment(&self, local: NaiveDateTime) -> UnixMs {
        let existing = |local: NaiveDateTime| {
            self.zone.from_local_datetime(&local).earliest().map(|moment| moment.timestamp_millis())
        };
        // Clocks skip whole minutes, so the first existing one is that at which the clock goes on.
        let minute = local.with_second(0).and_then(|l| l.with_nanosecond(0)).unwrap_or(local);
        let later = || {
            let ahead = (1..=SKIPPED_MINUTES_MAX).map(TimeDelta::minutes);
            ahead.filter_map(|by| minute.checked_add_signed(by)).find_map(existing)
        };
        existing(local).or_else(later).unwrap_or_else(|| local.and_utc().timestamp_millis())
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
    fn periods(&self, day: NaiveDate) -> impl Iterator<Item = (UnixMs, UnixMs)> {
        let hours: &[Period] = if self.is_working(day) { &self.calendar.hours } else { &[] };
        hours.iter().map(move |p| (self.moment(day.and_time(p.from)), self.moment(day.and_time(p.to))))
    }

    /// The moment after so many working hours from `start`; with none, `start` itself.
    pub fn add_working_hours(&self, start: UnixMs, hours: u32) -> UnixMs {
        self.run(start, i64::from(hours) * HOUR_MS, &[]).unwrap_or(start)
    }

    /// The day after so many working days from a day, which is not counted itself; with none, the day.
    pub fn add_working_days(&self, day: NaiveDate, working_days: u32) -> NaiveDate {
        let Some(before) = working_days.checked_sub(1).and_then(|n| usize::try_from(n).ok()) else {
            return day;
        };
        let ahead = (1..=DAYS_MAX).map_while(|n| day.checked_add_days(Days::new(n)));
        let last = day.checked_add_days(Days::new(DAYS_MAX)).unwrap_or(NaiveDate::MAX);
        ahead.filter(|d| self.is_working(*d)).nth(before).unwrap_or(last)
    }

    /// When so many working hours from `start` are used up, pauses added back. Pauses may stand in any
    /// order and overlap. `None` while an open pause stops the clock before that.
    pub fn deadline(&self, start: UnixMs, hours: u32, pauses: &[Pause]) -> Option<UnixMs> {
        self.run(start, i64::from(hours) * HOUR_MS, &merged(pauses))
    }

    /// Working time between two moments in milliseconds; none where the second is not later.
    pub fn working_time_between(&self, from: UnixMs, to: UnixMs) -> i64 {
        // Where a clock is set back over midnight, the last moments of a day come after the next began.
        let last = self.local_date(to).succ_opt().unwrap_or(NaiveDate::MAX);
        let first = self.local_date(from);
        let days = (0..DAYS_MAX).map_while(|n| first.checked_add_days(Days::new(n)));
        let periods = days.take_while(|day| *day <= last).flat_map(|day| self.periods(day));
        periods.map(|(a, b)| b.min(to).saturating_sub(a.max(from)).max(0)).sum()
    }

    /// Working time between two moments without what lies within pauses, in milliseconds. Pauses may stand
    /// in any order and overlap.
    pub fn counted_time_between(&self, from: UnixMs, to: UnixMs, pauses: &[Pause]) -> i64 {
        let within = merged(pauses).into_iter().map(|(a, b)| (a.max(from), b.min(to)));
        let paused: i64 = within.map(|(a, b)| self.working_time_between(a, b)).sum();
        self.working_time_between(from, to) - paused
    }

    /// Lets working time run from `start`, standing still within the pauses (merged, in order).
    fn run(&self, start: UnixMs, working_ms: i64, pauses: &[(UnixMs, UnixMs)]) -> Option<UnixMs> {
        let (mut left, first) = (working_ms, self.local_date(start));
        if left <= 0 {
            return Some(start);
        }
        for day in (0..DAYS_MAX).map_while(|n| first.checked_add_days(Days::new(n))) {
            for (from, to) in self.periods(day) {
                let mut at = from.max(start);
                let ahead = pauses.partition_point(|(_, end)| *end <= at);
                let within = pauses.iter().skip(ahead).copied().take_while(|(begin, _)| *begin < to);
                for (begin, end) in within.chain([(to, to)]) {
                    let free = begin.min(to).saturating_sub(at).max(0);
                    if left <= free {
                        return Some(at + left);
                    }
                    left -= free;
                    at = at.max(end);
                    if end == UnixMs::MAX {
                        return None;
                    }
                }
            }
        }
        Some(self.day_start(first.checked_add_days(Days::new(DAYS_MAX)).unwrap_or(NaiveDate::MAX)))
    }
}

/// Pauses in order, overlapping ones as one; an open one ends at the end of time.
fn merged(pauses: &[Pause]) -> Vec<(UnixMs, UnixMs)> {
    let closed = pauses.iter().map(|(from, to)| (*from, to.unwrap_or(UnixMs::MAX)));
    let mut sorted: Vec<_> = closed.filter(|(from, to)| from < to).collect();
    sorted.sort_unstable();
    let mut merged: Vec<(UnixMs, UnixMs)> = Vec::new();
    for (from, to) in sorted {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::check;
    use chrono::{DateTime, Weekday};
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
    fn in_zone(zone: &str, hours: &[(&str, &str)]) -> Policy {
        let mut policy = centre();
        policy.timezone = zone.into();
        let all = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat];
        policy.calendar.days = [all.as_slice(), &[Weekday::Sun]].concat();
        let period =
            |(from, to): &(&str, &str)| Period { from: from.parse().unwrap(), to: to.parse().unwrap() };
        policy.calendar.hours = hours.iter().map(period).collect();
        policy
    }

    #[test]
    fn working_hours_pass_over_nights_weekends_holidays_and_month_ends() {
        let policy = centre();
        let calendar = WorkCalendar::of(&policy);
        for (from, hours, to) in [
            ("2026-09-30T16:00:00+08:00", 0, "2026-09-30T16:00:00+08:00"),
            ("2026-09-30T16:00:00+08:00", 1, "2026-09-30T17:00:00+08:00"),
            ("2026-09-30T16:00:00+08:00", 4, "2026-10-02T11:00:00+08:00"),
            ("2026-11-20T11:00:00+08:00", 2, "2026-11-20T14:00:00+08:00"),
            ("2026-11-20T17:00:00+08:00", 2, "2026-11-23T10:00:00+08:00"),
            ("2026-10-09T17:00:00+08:00", 2, "2026-10-10T10:00:00+08:00"),
            ("2026-11-21T10:00:00+08:00", 8, "2026-11-23T18:00:00+08:00"),
            ("2028-02-29T17:00:00+08:00", 2, "2028-03-01T10:00:00+08:00"),
            ("2026-12-31T17:30:00+08:00", 1, "2027-01-01T09:30:00+08:00"),
        ] {
            assert_eq!(calendar.add_working_hours(ms(from), hours), ms(to), "{from} + {hours} h");
        }
    }
    #[test]
    fn working_days_pass_over_weekends_holidays_and_extra_days() {
        let policy = centre();
        let calendar = WorkCalendar::of(&policy);
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (from, days, to) in [
            ("2026-11-20", 0, "2026-11-20"),
            ("2026-11-20", 1, "2026-11-23"),
            ("2026-11-20", 5, "2026-11-27"),
            ("2026-09-30", 1, "2026-10-02"),
            ("2026-10-09", 1, "2026-10-10"),
        ] {
            assert_eq!(calendar.add_working_days(day(from), days), day(to), "{from} + {days}");
        }
        assert_eq!(calendar.local_date(ms("2026-11-20T23:59:59+08:00")), day("2026-11-20"));
        assert_eq!(calendar.local_date(ms("2026-11-20T16:00:00Z")), day("2026-11-21"));
    }
    #[test]
    fn a_pause_is_added_back_and_an_open_one_stops_the_clock() {
        let policy = centre();
        let calendar = WorkCalendar::of(&policy);
        let start = ms("2026-11-20T10:00:00+08:00");
        let at = |text: &str| ms(&format!("2026-11-{text}:00+08:00"));
        for (pauses, end) in [
            (vec![], Some("20T15:00")),
            (vec![(at("20T14:00"), Some(at("20T16:00")))], Some("20T17:00")),
            (vec![(at("20T12:00"), Some(at("20T13:00")))], Some("20T15:00")),
            (vec![(at("20T14:00"), Some(at("22T16:00")))], Some("23T10:00")),
            (
                vec![(at("20T14:30"), Some(at("20T16:00"))), (at("20T14:00"), Some(at("20T15:00")))],
                Some("20T17:00"),
            ),
            (vec![(at("20T16:00"), Some(at("20T14:00")))], Some("20T15:00")),
            (vec![(at("20T14:59"), None)], None),
            (vec![(at("20T15:00"), None)], Some("20T15:00")),
            (vec![(at("19T00:00"), None)], None),
        ] {
            assert_eq!(calendar.deadline(start, 4, &pauses), end.map(at), "{pauses:?}");
        }
    }
    #[test]
    fn counted_time_leaves_pauses_out_once() {
        let policy = centre();
        let calendar = WorkCalendar::of(&policy);
        let at = |text: &str| ms(&format!("2026-11-{text}:00+08:00"));
        for (pauses, hours) in [
            (vec![], 13),
            (vec![(at("20T14:00"), Some(at("20T16:00")))], 11),
            (vec![(at("20T14:00"), Some(at("20T16:00"))), (at("20T15:00"), Some(at("20T17:00")))], 10),
            (vec![(at("20T12:00"), Some(at("20T13:00"))), (at("21T09:00"), Some(at("22T18:00")))], 13),
            (vec![(at("23T10:00"), None)], 8),
            (vec![(at("24T10:00"), None), (at("19T10:00"), Some(at("20T11:00")))], 12),
        ] {
            let counted = calendar.counted_time_between(at("20T10:00"), at("23T16:00"), &pauses);
            assert_eq!(counted, hours * HOUR_MS, "{pauses:?}");
        }
        assert_eq!(calendar.counted_time_between(at("20T16:00"), at("20T10:00"), &[]), 0);
    }
    #[test]
    fn a_zone_that_changes_its_clock_still_has_its_hours() {
        let berlin = in_zone("Europe/Berlin", &[("01:00", "05:00")]);
        let calendar = WorkCalendar::of(&berlin);
        let spring = (ms("2026-03-29T00:00:00+01:00"), ms("2026-03-30T00:00:00+02:00"));
        let autumn = (ms("2026-10-25T00:00:00+02:00"), ms("2026-10-26T00:00:00+01:00"));
        assert_eq!(calendar.working_time_between(spring.0, spring.1), 3 * HOUR_MS);
        assert_eq!(calendar.working_time_between(autumn.0, autumn.1), 5 * HOUR_MS);
        assert_eq!(calendar.add_working_hours(spring.0, 1), ms("2026-03-29T03:00:00+02:00"));
        assert_eq!(calendar.add_working_hours(spring.0, 2), ms("2026-03-29T04:00:00+02:00"));
    }
    #[test]
    fn a_local_time_that_the_clock_skips_is_the_moment_it_goes_on() {
        for (zone, skipped, on) in [
            ("Europe/Berlin", "2026-03-29T02:59:59", "2026-03-29T03:00:00+02:00"),
            ("Australia/Lord_Howe", "2026-10-04T02:10:00", "2026-10-04T02:30:00+11:00"),
            ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-31T00:00:00+14:00"),
        ] {
            let policy = in_zone(zone, &[("09:00", "18:00")]);
            assert_eq!(WorkCalendar::of(&policy).moment(skipped.parse().unwrap()), ms(on), "{zone}");
        }
    }
    #[test]
    fn a_calendar_without_working_time_ends_and_so_does_time() {
        let mut policy = centre();
        policy.calendar.days.clear();
        policy.calendar.extra_days.clear();
        let calendar = WorkCalendar::of(&policy);
        assert!(calendar.add_working_hours(0, 1) > 0);
        for start in [i64::MIN, -1, 0, i64::MAX] {
            for end in [i64::MIN, 0, i64::MAX] {
                assert_eq!(calendar.working_time_between(start, end), 0);
                calendar.deadline(start, u32::MAX, &[(end, None), (start, Some(end))]);
            }
            calendar.add_working_days(calendar.local_date(start), u32::MAX);
        }
    }

    const ZONES: [&str; 6] = [
        "Asia/Shanghai",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Pacific/Apia",
    ];
    prop_compose! {
        /// A calendar in some zone with up to three periods anywhere in the day, and a few holidays.
        fn calendars()(
            zone in prop::sample::select(&ZONES[..]),
            minutes in prop::collection::btree_set(0u32..1_440, 2..7),
            off in 0usize..6,
            holidays in prop::collection::btree_set(0u64..400, 0..20),
        ) -> Policy {
            let time = |m: &u32| NaiveTime::from_hms_opt(m / 60, m % 60, 0).unwrap();
            let mut policy = in_zone(zone, &[]);
            let ends: Vec<NaiveTime> = minutes.iter().map(time).collect();
            policy.calendar.hours = ends.chunks_exact(2).map(|p| Period { from: p[0], to: p[1] }).collect();
            policy.calendar.days.truncate(7 - off);
            let new_year: NaiveDate = "2011-06-01".parse().unwrap();
            policy.calendar.holidays = holidays.into_iter().map(|n| new_year + Days::new(n)).collect();
            policy
        }
    }
    /// Moments of the two years from June 2011, in which these zones changed their clocks nine times.
    fn moments() -> impl Strategy<Value = UnixMs> {
        1_306_886_400_000i64..1_370_000_000_000
    }
    proptest! {
        #[test]
        fn the_time_between_is_the_inverse_of_adding(policy in calendars(), start in moments(), hours in 0u32..9) {
            let calendar = WorkCalendar::of(&policy);
            let end = calendar.add_working_hours(start, hours);
            let horizon = start + 3_600 * 24 * HOUR_MS;
            if end < horizon {
                prop_assert_eq!(calendar.working_time_between(start, end), i64::from(hours) * HOUR_MS);
            }
        }
        #[test]
        fn adding_is_monotone(policy in calendars(), a in moments(), by in 0i64..900_000_000, hours in 0u32..9) {
            let calendar = WorkCalendar::of(&policy);
            let end = calendar.add_working_hours(a, hours);
            prop_assert!(end >= a);
            prop_assert!(calendar.add_working_hours(a, hours + 1) >= end);
            prop_assert!(calendar.add_working_hours(a + by, hours) >= end);
            let day = calendar.local_date(a);
            prop_assert!(calendar.add_working_days(day, hours + 1) > calendar.add_working_days(day, hours));
        }
        #[test]
        fn working_time_within_pauses_does_not_count(
            policy in calendars(),
            start in moments(),
            hours in 0u32..9,
            pauses in prop::collection::vec((0i64..900_000_000, 0i64..300_000_000), 0..4),
        ) {
            let calendar = WorkCalendar::of(&policy);
            let pauses: Vec<Pause> =
                pauses.iter().map(|(from, length)| (start + from, Some(start + from + length))).collect();
            let end = calendar.deadline(start, hours, &pauses).unwrap();
            prop_assert!(end >= calendar.add_working_hours(start, hours));
            let paused = |(a, b): &(UnixMs, UnixMs)| calendar.working_time_between(*a, end.min(*b));
            let paused: i64 = merged(&pauses).iter().map(paused).sum();
            if end < start + 3_600 * 24 * HOUR_MS {
                let all = calendar.working_time_between(start, end);
                prop_assert_eq!(all - paused, i64::from(hours) * HOUR_MS);
            }
            let first = pauses.iter().map(|(from, _)| *from).min();
            let open = first.map(|from| [pauses.as_slice(), &[(from, None)]].concat());
            if let (Some(open), Some(from)) = (open, first) {
                prop_assert_eq!(calendar.deadline(start, hours, &open).is_some(), end <= from);
            }
        }
    }
}
