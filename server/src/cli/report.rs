//! `gendan report`: a report as a file, from the data folder or through the relay that has it open.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDate;
use clap::Args;
use serde_json::json;
use sync_core::ids::StoreId;
use sync_core::time::UnixMs;

use super::{Context, keep};
use crate::control::{self, Ask, Wanted};
use crate::projection::{Place, Projection, ProjectionError};
use crate::relay::Relay;
use crate::report::write::{self, Format};
use crate::report::{self, Asked, REPORTS};

/// Write a report of the whole company into a file, as of now.
#[derive(Args)]
pub struct Report {
    /// Which: placing, owed, stock-in, otif, service, complaints, findings, people, weekly or monthly.
    name: String,
    /// First day, such as 2026-11-01; else the first of the last day's month.
    #[arg(long)]
    from: Option<NaiveDate>,
    /// Last day, included; else today.
    #[arg(long)]
    to: Option<NaiveDate>,
    /// A store's name; else all stores.
    #[arg(long)]
    store: Option<String>,
    /// json, csv, xlsx or html; else as the file ends.
    #[arg(long)]
    format: Option<String>,
    /// The file to write; it holds figures of people and perhaps personal data.
    #[arg(long)]
    out: PathBuf,
}

impl Report {
    /// Runs it: on the store itself, or through the relay that has it open.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let ending = self.out.extension().map(|ending| ending.to_string_lossy().into_owned());
        let format = self.format.or(ending).unwrap_or_else(|| Format::Json.name().to_owned());
        let (name, from, to, store) = (self.name, self.from, self.to, self.store);
        let wanted = Wanted { name, from, to, store, format };
        let asked = control::ask(&context.data, &Ask::Report(wanted.clone()))?;
        let bytes = match asked {
            Some(answer) => STANDARD.decode(answer.as_str().context("the relay's answer is no file")?)?,
            None => made_here(context, &wanted)?,
        };
        std::fs::write(&self.out, &bytes).with_context(|| self.out.display().to_string())?;
        println!("报表已写入 / report written: {}", self.out.display());
        context.say(&json!({ "report": wanted.name, "file": self.out, "bytes": bytes.len() }));
        Ok(())
    }
}

/// Makes the report from the data folder, whose read model is brought up first.
fn made_here(context: &Context, wanted: &Wanted) -> anyhow::Result<Vec<u8>> {
    let relay = context.open()?.relay;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let place = Place::File(context.data.join("read-model.sqlite"));
        let projection = Projection::open(&place, relay.clone()).await.context(keep::READ_MODEL)?;
        let now_ms = context.clock.unix_ms();
        projection.catch_up(now_ms).await.context(keep::READ_MODEL)?;
        let made = report(&relay, &projection, wanted, now_ms).await;
        projection.close().await;
        made
    })
}

/// A report over the whole company as a file's bytes.
pub async fn report(
    relay: &Arc<Relay>,
    projection: &Projection,
    wanted: &Wanted,
    now_ms: UnixMs,
) -> anyhow::Result<Vec<u8>> {
    let Some(report) = report::named(&wanted.name) else {
        bail!("没有这个报表 / no such report; there are: {}", REPORTS.map(|report| report.name).join(", "));
    };
    let Some(format) = Format::named(&wanted.format) else {
        bail!("没有这种格式 / no such format; there are: {}", Format::ALL.map(Format::name).join(", "));
    };
    let footing = relay.footing();
    let store = wanted.store.as_ref().map(|name| StoreId::named(relay.company(), name));
    if store.is_some_and(|store| !footing.directory.stores.contains_key(&store)) {
        bail!("没有这个门店 / there is no such store");
    }
    let asked = Asked { from: wanted.from, to: wanted.to, store, visible_to: None, whose: None, now_ms };
    let table = report::make(projection, &footing, report, &asked).await.map_err(told)?;
    Ok(write::write(&table, format)?)
}

/// The answer to a running relay's keeper: the file's bytes as text.
pub fn answer(
    relay: &Arc<Relay>,
    projection: &Projection,
    wanted: &Wanted,
    now_ms: UnixMs,
    runtime: &tokio::runtime::Handle,
) -> anyhow::Result<serde_json::Value> {
    let bytes = runtime.block_on(report(relay, projection, wanted, now_ms))?;
    Ok(STANDARD.encode(bytes).into())
}

fn told(error: ProjectionError) -> anyhow::Error {
    let advice = match &error {
        ProjectionError::Question { code: "period_invalid" } => {
            "期间不对:止日不早于起日,最多366天 / the last day comes after the first, 366 days at most"
        }
        ProjectionError::Question { code: "report_too_large" } => {
            "数据太多,请缩短期间或只选一个门店 / too much: ask for fewer days or one store"
        }
        _ => return error.into(),
    };
    anyhow::Error::new(error).context(advice)
}
