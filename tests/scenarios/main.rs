//! The 21 sections of the regulations, each played end to end: people on several devices, offline where the
//! work is, and the relay. A module is a section; the names of its tests say the clause.
//! `cargo xtask rows` prints them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod s01_after_sales_office;
mod s03_rewards_and_penalties;
mod s04_customer_service;
mod s05_service_centre;
mod s11_service_standard;
mod s12_service_department;
mod s13_department_flow;
mod s14_logistics;
mod s15_merchandising_template;
mod s16_post_duties;
mod s17_project_orders;
mod s18_merchandiser_workflow;
mod s19_garment;
mod s20_customer_material;
mod s21_furniture;
