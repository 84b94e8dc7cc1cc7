//! Policies: parse, check, publish, calendar, deadlines, judge.

pub mod model;

pub mod check;

pub mod publish;
