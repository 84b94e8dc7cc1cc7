//! `gendan import`: orders from a spreadsheet, in the name of a person of the office.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use sync_core::command::{Command, NewItem};
use sync_core::fact::keys::SecretKey;
use sync_core::ids::{DeviceId, DocId, DocKind, ItemId, Name, PersonId, StoreId};
use sync_core::money::Money;
use sync_core::refusal::Lang;
use sync_core::time::Now;

use super::{Company, Context};
use crate::control::{self, Ask};
use crate::relay::office::Clerk;
use crate::relay::{Relay, RelayError};
use crate::sheet::{SheetOrder, read_orders};

/// Take orders in from a spreadsheet (.xlsx or .csv). The same file twice changes nothing; a row that
/// differs from an order that is there becomes a proposed change of it.
#[derive(Args)]
pub struct Import {
    /// The sheet. Columns by Chinese or English headers, in any order.
    file: PathBuf,
    /// Staff number in whose name it is done; the founder where left out.
    #[arg(long = "as")]
    number: Option<String>,
}

/// What an import came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Imported {
    /// New orders.
    pub orders: usize,
    /// Their items.
    pub items: usize,
    /// Orders that were there already, the same.
    pub unchanged: usize,
    /// Orders that were there with other content: the difference is proposed.
    pub changed: usize,
    /// Rows that were not taken, each with where and why.
    pub bad: Vec<Bad>,
    /// Remarks about rows that were taken.
    pub warnings: Vec<Bad>,
}

/// A row with what is wrong about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bad {
    /// The row as the spreadsheet counts, from 1.
    pub row: Option<u32>,
    /// The column's header.
    pub column: String,
    /// Stable code.
    pub code: String,
    /// Words, Chinese then English.
    pub message: String,
}

/// In whose name, through which custodial device.
pub struct Actor {
    /// The person.
    pub person: PersonId,
    /// The device.
    pub device: DeviceId,
    /// Its key.
    pub key: SecretKey,
}

impl Import {
    /// Runs it: on the store itself, or through the relay that has it open.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let file = std::fs::canonicalize(&self.file).with_context(|| self.file.display().to_string())?;
        let imported = match control::ask(
            &context.data,
            &Ask::Import { file: file.clone(), number: self.number.clone() },
        )? {
            Some(answer) => serde_json::from_value(answer)?,
            None => {
                let company = context.open()?;
                let bar = ProgressBar::new(0).with_style(
                    ProgressStyle::with_template("{bar:40} {pos}/{len} 订单 orders, {eta}")
                        .unwrap_or_else(|_| ProgressStyle::default_bar()),
                );
                let progress = |done: usize, all: usize| {
                    bar.set_length(all as u64);
                    bar.set_position(done as u64);
                };
                let imported =
                    import(&company, &file, self.number.as_deref(), &context.clock.now(), &progress)?;
                bar.finish_and_clear();
                imported
            }
        };
        for bad in &imported.bad {
            eprintln!("第{}行「{}」:{} [{}]", bad.row.unwrap_or(0), bad.column, bad.message, bad.code);
        }
        for warning in &imported.warnings {
            eprintln!("注意 note 第{}行:{} [{}]", warning.row.unwrap_or(0), warning.message, warning.code);
        }
        println!(
            "新订单 {},明细 {},未变 {},待批修改 {},未收行 {}。",
            imported.orders,
            imported.items,
            imported.unchanged,
            imported.changed,
            imported.bad.len()
        );
        println!(
            "{} new orders with {} items, {} unchanged, {} changes proposed, {} rows not taken.",
            imported.orders,
            imported.items,
            imported.unchanged,
            imported.changed,
            imported.bad.len()
        );
        context.say(&serde_json::to_value(&imported)?);
        Ok(())
    }
}

/// Imports a sheet into a company.
pub fn import(
    company: &Company,
    file: &Path,
    number: Option<&str>,
    now: &Now,
    progress: &dyn Fn(usize, usize),
) -> anyhow::Result<Imported> {
    let relay = &company.relay;
    let actor = actor(company, number)?;
    let footing = relay.footing();
    let Some((_, policy)) = footing.rules().at(now.unix_ms()) else { bail!("no policy is published yet") };
    let zone: chrono_tz::Tz =
        policy.timezone.parse().map_err(|_| anyhow::anyhow!("the policy's time zone is unknown"))?;
    let materials: BTreeMap<String, Name> =
        policy.materials.iter().map(|(name, m)| (m.title.zh.clone(), name.clone())).collect();
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let label = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let sheet = read_orders(&bytes, &label, &materials, zone)
        .map_err(|e| anyhow::anyhow!("{}\n{} [{}]", e.text(Lang::Zh), e.text(Lang::En), e.code()))?;
    let mut imported = Imported::default();
    for bad in &sheet.bad {
        let message = format!("{} {}", bad.fault.text(Lang::Zh), bad.fault.text(Lang::En));
        let (row, column) = (Some(bad.row), bad.column.clone());
        imported.bad.push(Bad { row, column, code: bad.fault.code().to_owned(), message });
    }
    for warning in &sheet.warnings {
        let message = format!("{} {}", warning.notice.text(Lang::Zh), warning.notice.text(Lang::En));
        let (row, column) = (warning.row, warning.column.clone().unwrap_or_default());
        imported.warnings.push(Bad { row, column, code: warning.notice.code().to_owned(), message });
    }
    for (done, order) in sheet.orders.iter().enumerate() {
        match take(relay, &actor, order, now) {
            Ok(outcome) => outcome.count(order, &mut imported),
            Err(RelayError::Refused(refusal)) => imported.bad.push(Bad {
                row: order.rows.first().copied(),
                column: String::new(),
                code: refusal.code.as_str().to_owned(),
                message: format!("{} {}", refusal.text(Lang::Zh), refusal.text(Lang::En)),
            }),
            Err(error) => return Err(error.into()),
        }
        progress(done + 1, sheet.orders.len());
    }
    Ok(imported)
}

fn actor(company: &Company, number: Option<&str>) -> anyhow::Result<Actor> {
    let footing = company.relay.footing();
    let person = match number {
        Some(number) => footing.directory.by_number(number),
        None => footing.directory.founder,
    };
    let person = person.with_context(|| format!("nobody has staff number {}", number.unwrap_or_default()))?;
    match company.keys.custodial(person)? {
        Some((device, key)) => Ok(Actor { person, device, key }),
        None => bail!("this person has no office account"),
    }
}

enum Outcome {
    New,
    Unchanged,
    Changed,
}

impl Outcome {
    fn count(&self, order: &SheetOrder, imported: &mut Imported) {
        match self {
            Self::New => {
                imported.orders += 1;
                imported.items += order.items.len();
            }
            Self::Unchanged => imported.unchanged += 1,
            Self::Changed => imported.changed += 1,
        }
    }
}

fn take(relay: &Relay, actor: &Actor, order: &SheetOrder, now: &Now) -> Result<Outcome, RelayError> {
    let company = relay.company();
    let doc = DocId::numbered(company, DocKind::Order, &order.number);
    let mut chance = crate::clock::chance;
    let mut clerk =
        Clerk { person: actor.person, device: actor.device, key: &actor.key, chance: &mut chance };
    let store = StoreId::named(company, &order.store);
    if !relay.footing().directory.stores.contains_key(&store) {
        relay.act(&mut clerk, Command::AddStore(order.store.clone()), now)?;
    }
    let fields = fields(order);
    let items: Vec<NewItem> = (0..)
        .zip(&order.items)
        .map(|(at, item)| NewItem {
            item: ItemId::imported(doc, company, at),
            product: item.product.clone(),
            model: item.model.clone(),
            material: Some(item.material.clone()),
            quantity: item.quantity,
            unit_price: Some(item.unit_price),
        })
        .collect();
    let known = relay.document(doc)?;
    if known.is_some_and(|d| !d.is_blank()) {
        let mut changed = !relay.act(&mut clerk, Command::Edit(doc, some(&fields)), now)?.is_empty();
        for item in items {
            changed |= !relay.act(&mut clerk, Command::AddItem(doc, item), now)?.is_empty();
        }
        return Ok(if changed { Outcome::Changed } else { Outcome::Unchanged });
    }
    let open = Command::OpenOrder {
        number: order.number.clone(),
        store: Some(store),
        fields,
        items,
        taken_ms: Some(order.taken_at),
        channel: Some("sheet".into()),
    };
    relay.act(&mut clerk, open, now)?;
    settle(relay, &mut clerk, doc, order, now)?;
    Ok(Outcome::New)
}

/// What was paid, and whether that is all or guaranteed.
fn settle(
    relay: &Relay,
    clerk: &mut Clerk<'_>,
    doc: DocId,
    order: &SheetOrder,
    now: &Now,
) -> Result<(), RelayError> {
    let nothing = Money::new(0, order.total().currency);
    let paid = order.paid.unwrap_or(nothing);
    let amount = (paid.minor != 0).then_some(paid);
    let method = "sheet".to_owned();
    if order.guarantee || paid.minor >= order.total().minor {
        let guarantee = order.guarantee && paid.minor < order.total().minor;
        relay.act(clerk, Command::Clear { doc, guarantee, amount, method, evidence: Vec::new() }, now)?;
    } else if let Some(amount) = amount {
        relay.act(clerk, Command::Pay(doc, amount, method, Vec::new()), now)?;
    }
    Ok(())
}

fn fields(order: &SheetOrder) -> BTreeMap<String, String> {
    let fields = [
        ("customer", order.customer.clone()),
        ("phone", order.phone.clone()),
        ("address", order.address.clone()),
        ("sales", order.sales.clone()),
        ("delivery_date", order.delivery_date.to_string()),
        ("remark", order.note.clone()),
        ("total", order.total().to_string()),
    ];
    fields.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.to_owned(), v)).collect()
}

fn some(fields: &BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
    fields.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect()
}
