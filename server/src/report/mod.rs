//! Reports: what the company's work came to in a period, counted from the read model.
//!
//! In: a report's name, a [`Period`], perhaps a store, who looks, and now. Out: a [`Table`], and by
//! [`write`](mod@write) its bytes as JSON, CSV, XLSX or a page to print. Each report is a pure function of a
//! `View`: the same slice, policy and moment give the same rows. Invariants: what a person may not see
//! is not counted, and amounts are empty without a money scope; the figures stand for now, so a past
//! month says what is known of it today. What the rules find depends on now as well: cases are judged
//! when the report is asked for (see [`crate::projection::slice`]), never stored as findings. Days are
//! days of the zone of the policy in force now. Deliberately not here: decisions about people. A report
//! counts and names the clause; people judge people.

pub mod table;
mod count;
mod orders;
mod service;
mod people;
mod ranking;
mod summary;
pub mod write;

use std::sync::Arc;

use chrono::{Datelike as _, Days, Months, NaiveDate, NaiveDateTime};
use sync_core::ids::{PersonId, StoreId};
use sync_core::policy::calendar::WorkCalendar;
use sync_core::policy::model::{Flow, Policy, Words};
use sync_core::time::UnixMs;

use crate::projection::slice::{Reach, Slice};
use crate::projection::{Projection, ProjectionError};
use crate::relay::Footing;
use crate::relay::audience::Tags;
use table::{Body, Column, Pair, Table};

/// Days of a period, at most: a leap year.
pub const DAYS_MAX: i64 = 366;
/// Days in which another ticket counts as a repeat (FTFR).
const REPEAT_DAYS: u64 = 30;

/// One report.
#[derive(Debug)]
pub struct Report {
    /// Its stable name.
    pub name: &'static str,
    /// Its title.
    pub title: Pair,
    /// What it takes in.
    pub definition: Pair,
    /// Where it comes from.
    pub clause: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// The columns of its summary.
    pub summary: &'static [Column],
    /// Whether it needs what the rules find.
    judges: bool,
    make: fn(&View<'_>) -> Body,
}

/// Every report, in the order in which they are listed.
pub const REPORTS: [Report; 11] = [
    orders::PLACING,
    orders::OWED,
    orders::STOCK_IN,
    orders::OTIF,
    service::SERVICE,
    service::COMPLAINTS,
    people::FINDINGS,
    people::PEOPLE,
    ranking::RANKING,
    summary::WEEKLY,
    summary::MONTHLY,
];

/// The report of this name.
pub fn named(name: &str) -> Option<&'static Report> {
    REPORTS.iter().find(|report| report.name == name)
}

/// Days, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// First day.
    pub from: NaiveDate,
    /// Last day.
    pub to: NaiveDate,
}

impl Period {
    /// The days from one to another; the month of `today` up to it where they are not given. `None` where
    /// the last comes before the first, or more than [`DAYS_MAX`] are meant.
    pub fn of(from: Option<NaiveDate>, to: Option<NaiveDate>, today: NaiveDate) -> Option<Self> {
        let to = to.unwrap_or(today);
        let from = from.unwrap_or_else(|| to.with_day(1).unwrap_or(to));
        (0..DAYS_MAX).contains(&(to - from).num_days()).then_some(Self { from, to })
    }
    /// Whether a day is one of them.
    pub fn holds(&self, day: NaiveDate) -> bool {
        self.from <= day && day <= self.to
    }
    /// Cut into pieces, each ending where `end` says for its first day.
    fn cut(self, end: impl Fn(NaiveDate) -> Option<NaiveDate>) -> Vec<Self> {
        let (mut pieces, mut from) = (Vec::new(), self.from);
        while from <= self.to {
            let to = end(from).unwrap_or(self.to).min(self.to);
            pieces.push(Self { from, to });
            let Some(next) = to.succ_opt() else { break };
            from = next;
        }
        pieces
    }
    /// Its weeks from Monday to Sunday; the first and last may be shorter.
    pub fn weeks(self) -> Vec<Self> {
        let left = |day: NaiveDate| Days::new(6 - u64::from(day.weekday().num_days_from_monday()));
        self.cut(|day| day.checked_add_days(left(day)))
    }
    /// Its months; the first and last may be shorter.
    pub fn months(self) -> Vec<Self> {
        self.cut(|day| day.with_day(1)?.checked_add_months(Months::new(1))?.pred_opt())
    }
}

/// What is asked.
pub struct Asked {
    /// Which days; the month up to today where they are not given.
    pub from: Option<NaiveDate>,
    /// Until when, included.
    pub to: Option<NaiveDate>,
    /// Of this store only.
    pub store: Option<StoreId>,
    /// What a person with these interests may see; everything where none are given.
    pub visible_to: Option<Tags>,
    /// Whose work alone reports about people show; everyone's where nobody is named.
    pub whose: Option<PersonId>,
    /// Now.
    pub now_ms: UnixMs,
}

/// What a report is made of.
struct View<'a> {
    slice: &'a Slice,
    period: Period,
    store: Option<String>,
    whose: Option<PersonId>,
    footing: &'a Footing,
    /// In force now: words, zone and calendar.
    policy: &'a Policy,
    calendar: WorkCalendar<'a>,
    today: NaiveDate,
    now_ms: UnixMs,
}

/// Makes a report.
pub async fn make(
    projection: &Projection,
    footing: &Arc<Footing>,
    report: &'static Report,
    asked: &Asked,
) -> Result<Table, ProjectionError> {
    let refused = |code| ProjectionError::Question { code };
    let (_, policy) = footing.rules().at(asked.now_ms).ok_or_else(|| refused("no_policy"))?;
    let calendar = WorkCalendar::of(policy);
    let today = calendar.local_date(asked.now_ms);
    let period = Period::of(asked.from, asked.to, today).ok_or_else(|| refused("period_invalid"))?;
    let start = |day: Option<NaiveDate>| day.map(|day| calendar.day_start(day));
    let (after, repeats) = (period.to.succ_opt(), period.to.checked_add_days(Days::new(REPEAT_DAYS + 1)));
    let (to_ms, repeats_ms) = start(after).zip(start(repeats)).ok_or_else(|| refused("period_invalid"))?;
    let reach = Reach {
        from: period.from,
        to: period.to,
        from_ms: calendar.day_start(period.from),
        to_ms,
        repeats_ms,
        store: asked.store,
        visible_to: asked.visible_to.clone(),
    };
    let slice = projection.slice(&reach, report.judges, asked.now_ms).await?;
    let table = Table {
        name: report.name,
        title: report.title,
        clause: report.clause,
        definition: report.definition,
        company: footing.directory.name.clone(),
        store: asked.store.and_then(|s| footing.directory.stores.get(&s)).cloned().unwrap_or_default(),
        from: period.from,
        to: period.to,
        made: calendar.local(asked.now_ms),
        columns: report.columns,
        summary_columns: report.summary,
        body: Body::default(),
    };
    let (footing, store, whose, now_ms) = (footing.clone(), asked.store, asked.whose, asked.now_ms);
    let counted = tokio::task::spawn_blocking(move || {
        let (_, policy) = footing.rules().at(now_ms)?;
        let store = store.map(|store| store.to_string());
        let calendar = WorkCalendar::of(policy);
        let view =
            View { slice: &slice, period, store, whose, footing: &footing, policy, calendar, today, now_ms };
        Some((report.make)(&view))
    });
    let body = counted.await.map_err(|_| ProjectionError::Interrupted)?;
    Ok(Table { body: body.ok_or_else(|| refused("no_policy"))?, ..table })
}

impl<'a> View<'a> {
    /// The same with other days.
    fn within(&self, period: Period) -> Self {
        Self { period, store: self.store.clone(), ..*self }
    }
    /// Whether a moment lies within the days.
    fn has(&self, moment: Option<UnixMs>) -> bool {
        moment.is_some_and(|ms| self.period.holds(self.calendar.local_date(ms)))
    }
    /// Whether what this person's work came to is shown.
    fn shows(&self, person: PersonId) -> bool {
        self.whose.is_none_or(|whose| whose == person)
    }
    /// A moment as a local time.
    fn local(&self, ms: UnixMs) -> NaiveDateTime {
        self.calendar.local(ms)
    }
    fn flow(&self, name: Option<&str>) -> Option<&'a Flow> {
        self.policy.flows.iter().find(|(flow, _)| Some(flow.as_str()) == name).map(|(_, flow)| flow)
    }
    /// What people call a flow, Chinese first; its name where the policy in force knows it no more.
    fn flow_title(&self, name: Option<&str>) -> String {
        self.flow(name).map_or_else(|| name.unwrap_or_default().to_owned(), |flow| both(&flow.title))
    }
    /// What people call a step of a flow.
    fn step_title(&self, flow: Option<&str>, name: Option<&str>) -> String {
        let step = name.and_then(|name| self.flow(flow)?.step(name));
        step.map_or_else(|| name.unwrap_or_default().to_owned(), |step| both(&step.title))
    }
    /// What to call the person with this staff number: name and number.
    fn staff(&self, number: &str) -> String {
        let directory = &self.footing.directory;
        let person = directory.by_number(number.trim()).map(|person| directory.person_name(person));
        person.unwrap_or_else(|| number.trim().to_owned())
    }
}

/// Chinese with English beside it.
fn both(words: &Words) -> String {
    format!("{} / {}", words.zh, words.en)
}

/// The day that a row's text names.
fn day(text: Option<&String>) -> Option<NaiveDate> {
    text.and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests;
