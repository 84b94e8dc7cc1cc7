//! Policies: parse, check, publish, calendar, deadlines, judge.

pub mod model;
pub mod values;
pub mod fault;
mod shape;
pub mod check;
pub mod difference;
pub mod publish;
pub mod calendar;
pub mod review;
pub mod judge;
