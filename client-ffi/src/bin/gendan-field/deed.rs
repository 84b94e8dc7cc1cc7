//! The subcommands, each one call of [`FieldClient`]. The same shape is read from the command line and,
//! as `{"do":"note","doc":"…","text":"…"}`, from a batch.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use client_ffi::session::{Cancel, Listener};
use client_ffi::shell::block_on;
use client_ffi::transport::TransportError;
use client_ffi::views::{Done, SyncState};
use client_ffi::wishes::{CaseWish, OrderWish, SignatureWish, StepWish};
use client_ffi::{FieldClient, FieldError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::reading::{Proofs, ended, item_of, only, pair, pairs, strokes, visit_status};
use crate::{Shown, words};

/// What to do. DOC is an order's or ticket's number, or its document id.
#[derive(Clone, Debug, Subcommand, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deed {
    /// 本机身份 — who works with this device.
    Me,
    /// 订单列表 — orders.
    Orders,
    /// 售后单列表 — after-sales tickets.
    Tickets,
    /// 客户档案列表 — customer files.
    Customers,
    /// 事项列表 — matters: visits, material in custody, proposals.
    Matters,
    /// 奖惩记录 — conduct records, as far as this person may see them.
    Conduct,
    /// 备件库存 — stocks of parts.
    Stocks,
    /// 收件箱 — what this person should hear.
    Notices,
    /// 单据详情 — an order, ticket, matter or record, whole.
    Case { doc: String },
    /// 规则发现 — what the rules find of a document, for people to decide about.
    Findings { doc: String },
    /// 待告知客户 — what there is to tell the customer.
    Drafts { doc: String },
    /// 现行制度 — the policy in force, as JSON.
    Policy,
    /// 被搁置的记录 — what the relay holds back.
    Held,
    /// 同步状态 — how far this device is in step.
    State,
    /// 员工名单 — the company's people.
    People,
    /// 门店名单 — the company's stores.
    Stores,
    /// 核验签名 — checks every signature of a document here.
    Verify { doc: String },
    /// 开订单 — takes an order in: fields as customer=… phone=… delivery_date=2026-11-30.
    OpenOrder {
        number: String,
        /// 门店 — the store's name.
        #[arg(long)]
        store: Option<String>,
        /// 明细 — an item: "product=沙发,model=L3,quantity=1,material=solid-wood,unit_price=2808".
        #[arg(long = "item")]
        #[serde(default)]
        item: Vec<String>,
        /// 来源 — how it came.
        #[arg(long)]
        channel: Option<String>,
        /// When the customer's order was taken, Unix milliseconds.
        #[arg(long)]
        taken_ms: Option<i64>,
        /// Fields, KEY=VALUE.
        #[serde(default)]
        fields: Vec<String>,
    },
    /// 开单 — opens a ticket, a matter, a record about a person or an opportunity.
    OpenCase {
        /// The flow of the policy.
        flow: String,
        number: String,
        #[arg(long)]
        store: Option<String>,
        #[arg(long)]
        urgency: Option<String>,
        /// The order or ticket it is about.
        #[arg(long)]
        order: Option<String>,
        /// The person it is about: staff number.
        #[arg(long)]
        about: Option<String>,
        #[arg(long)]
        channel: Option<String>,
        /// Fields, KEY=VALUE.
        #[serde(default)]
        fields: Vec<String>,
    },
    /// 建客户档案 — opens a customer file: fields as name=… phone=… address=….
    OpenCustomer {
        number: String,
        #[arg(long)]
        store: Option<String>,
        /// Fields, KEY=VALUE.
        #[serde(default)]
        fields: Vec<String>,
    },
    /// 修改 — proposes other values, KEY=VALUE; KEY= removes.
    Edit { doc: String, changes: Vec<String> },
    /// 加明细 — adds an item: product=沙发 model=L3 quantity=1.
    AddItem { doc: String, fields: Vec<String> },
    /// 备注 — adds a remark.
    Note { doc: String, text: String },
    /// 办一步 — records a step.
    Step {
        doc: String,
        step: String,
        #[command(flatten)]
        #[serde(default)]
        proofs: Proofs,
        /// 客户签字 — the customer's name; without --strokes a plain line stands for what a pad would draw.
        #[arg(long, value_name = "NAME")]
        sign: Option<String>,
        /// The strokes: "x,y x,y;x,y x,y" in 1/10000 of the pad's width.
        #[arg(long)]
        strokes: Option<String>,
        /// A value the policy asks for, KEY=VALUE (may be repeated).
        #[arg(long = "value")]
        #[serde(default)]
        value: Vec<String>,
        /// An item it is about, by id (may be repeated).
        #[arg(long = "item")]
        #[serde(default)]
        item: Vec<String>,
        /// done, partial, refused or failed.
        #[arg(long)]
        outcome: Option<String>,
        /// The appointment during which it was done.
        #[arg(long)]
        appointment: Option<String>,
        #[arg(long)]
        note: Option<String>,
    },
    /// 批准修改 — approves what is proposed.
    Approve {
        doc: String,
        #[arg(long)]
        note: Option<String>,
    },
    /// 退回修改 — declines what is proposed.
    Decline { doc: String, reason: String },
    /// 取消 — calls it off.
    Cancel {
        doc: String,
        reason: String,
        #[command(flatten)]
        #[serde(default)]
        proofs: Proofs,
    },
    /// 派工 — says who goes when.
    Assign {
        doc: String,
        /// Staff number, name or id (may be repeated).
        #[arg(long = "who", required = true)]
        who: Vec<String>,
        /// The day, 2026-11-30.
        #[arg(long)]
        on: String,
        /// What for: a step.
        #[arg(long = "for", value_name = "STEP")]
        purpose: String,
        /// An appointment to change.
        #[arg(long)]
        appointment: Option<String>,
        #[arg(long)]
        note: Option<String>,
    },
    /// 上门状态 — scheduled, dispatched, travelling, on_site, completed, cannot_complete or cancelled.
    Visit {
        doc: String,
        status: String,
        /// The appointment; the only open one where not named.
        #[arg(long)]
        appointment: Option<String>,
    },
    /// 裁决冲突 — settles a clash; the only open one where no facts are named.
    Settle {
        doc: String,
        why: String,
        /// left or right.
        #[arg(long)]
        keep: String,
        #[arg(long, requires = "right")]
        left: Option<String>,
        #[arg(long, requires = "left")]
        right: Option<String>,
    },
    /// 付清或担保 — paid in full, or guaranteed.
    Clear {
        doc: String,
        #[arg(long)]
        #[serde(default)]
        guarantee: bool,
        #[arg(long)]
        amount: Option<String>,
        #[arg(long, default_value = "transfer")]
        #[serde(default = "transfer")]
        method: String,
        #[command(flatten)]
        #[serde(default)]
        proofs: Proofs,
    },
    /// 收付款 — records a payment; negative for a refund.
    Pay {
        doc: String,
        #[arg(allow_hyphen_values = true)]
        amount: String,
        #[arg(long, default_value = "transfer")]
        #[serde(default = "transfer")]
        method: String,
        #[command(flatten)]
        #[serde(default)]
        proofs: Proofs,
    },
    /// 联系客户 — records a contact with the customer.
    Contact {
        doc: String,
        channel: String,
        words: String,
        #[command(flatten)]
        #[serde(default)]
        proofs: Proofs,
    },
    /// 报告异常 — quality or date is in danger.
    Report {
        doc: String,
        what: String,
        #[command(flatten)]
        #[serde(default)]
        proofs: Proofs,
    },
    /// 异常已解决 — says how an exception was resolved; the only open one where none is named.
    Resolve {
        doc: String,
        how: String,
        #[arg(long)]
        exception: Option<String>,
    },
    /// 上报 — passes it upward.
    Escalate { doc: String, to: String, reason: String },
    /// 配件 — records a part that is needed, or used.
    Part {
        doc: String,
        sku: String,
        quantity: u32,
        #[arg(long)]
        #[serde(default)]
        used: bool,
        /// The stock that it was taken from.
        #[arg(long)]
        stock: Option<String>,
    },
    /// 转订单 — lets an opportunity become an order of this number.
    BecomeOrder { doc: String, number: String },
    /// 建立备件库存 — opens a stock of parts.
    OpenStock {
        number: String,
        #[arg(long)]
        store: Option<String>,
    },
    /// 备件入库 — counts parts into a stock.
    CountIn {
        stock: String,
        sku: String,
        quantity: u32,
        #[arg(long)]
        note: Option<String>,
    },
    /// 依判定提出奖惩 — proposes, in a record about a person, what the rules found of its case.
    ProposeFound {
        record: String,
        rule: String,
        #[arg(long)]
        kind: Option<String>,
    },
    /// 暂停接单下单 — lets intake rest on a day to come, such as 2026-12-18.
    SuspendIntake { day: String, reason: String },
    /// 恢复接单下单 — lets intake not rest that day after all.
    ResumeIntake { day: String, reason: String },
    /// 已读 — notes that notices were read.
    MarkRead {
        /// Their ids.
        notices: Vec<String>,
    },
    /// 暂停计时 — stops a ticket's clock: what it waits for.
    Pause { doc: String, reason: String },
    /// 恢复计时 — lets a ticket's clock run again.
    Resume {
        doc: String,
        #[arg(long)]
        note: Option<String>,
    },
    /// 照片列表 — the photos and files that a document names.
    Photos { doc: String },
    /// 取照片 — writes a photo or file that a document names into a file; from the relay where it is not here.
    FetchPhoto {
        doc: String,
        /// Its SHA-256, as `photos` shows it.
        hash: String,
        /// The file to write; it must not exist.
        #[arg(long)]
        out: String,
        /// Cuts the connection after so many milliseconds.
        #[arg(long)]
        cut_after_ms: Option<u64>,
    },
    /// 同步 — connects, brings and takes everything, and closes.
    Sync {
        /// Cuts the connection after so many milliseconds.
        #[arg(long)]
        cut_after_ms: Option<u64>,
    },
    /// 对账 — as sync, and asks the relay whether both hold the same.
    Check,
    /// 保持连接 — stays connected; one line for whatever the relay brings.
    Watch {
        /// Ends after so many milliseconds.
        #[arg(long)]
        for_ms: Option<u64>,
    },
}

fn transfer() -> String {
    "transfer".to_owned()
}

fn shown<T: Serialize>(name: &str, value: &T, words: String) -> Result<Shown, FieldError> {
    let value = serde_json::to_value(value).map_err(|e| FieldError::protocol("json", e))?;
    let value = if value.is_object() { value } else { json!({ name: value }) };
    Ok(Shown { value, words })
}

fn done(done: Result<Done, FieldError>) -> Result<Shown, FieldError> {
    let done = done?;
    shown("done", &done, words::done(&done))
}

/// Prints one line for each change that a watch brings.
struct Printer;

impl Listener for Printer {
    fn changed(&self, docs: Vec<String>, state: SyncState) -> Result<(), TransportError> {
        let line = json!({"changed": docs, "unsent": state.unsent, "held": state.held});
        let mut out = std::io::stdout().lock();
        let written = writeln!(out, "{line}").and_then(|()| out.flush());
        written.map_err(|e| TransportError::Closed { detail: e.to_string() })
    }
}

impl Deed {
    /// Calls the device.
    pub fn carry_out(self, client: &FieldClient) -> Result<Shown, FieldError> {
        match self {
            Self::Me => {
                let me = client.myself()?;
                shown("me", &me, words::myself(&me))
            }
            Self::Orders => client.orders().and_then(|l| shown("orders", &l, words::lines(&l))),
            Self::Tickets => client.tickets().and_then(|l| shown("tickets", &l, words::lines(&l))),
            Self::Customers => client.customers().and_then(|l| shown("customers", &l, words::lines(&l))),
            Self::Matters => client.matters().and_then(|l| shown("matters", &l, words::lines(&l))),
            Self::Conduct => client.conduct().and_then(|l| shown("conduct", &l, words::lines(&l))),
            Self::Stocks => client.stocks().and_then(|s| shown("stocks", &s, words::stocks(&s))),
            Self::Notices => client.notices().and_then(|n| shown("notices", &n, words::notices(&n))),
            Self::Case { doc } => client.case(doc).and_then(|c| shown("case", &c, words::case(&c))),
            Self::Findings { doc } => {
                client.findings(doc).and_then(|f| shown("findings", &f, words::findings(&f)))
            }
            Self::Drafts { doc } => client.drafts(doc).and_then(|d| shown("drafts", &d, words::drafts(&d))),
            Self::Policy => {
                let words = client.policy()?;
                let policy = Some(words.as_str()).filter(|words| !words.is_empty());
                let policy = policy.map(serde_json::from_str::<serde_json::Value>).transpose();
                let policy = policy.map_err(|e| FieldError::protocol("json", e))?;
                shown("policy", &json!({ "policy": policy }), words)
            }
            Self::Held => client.held().and_then(|h| shown("held", &h, words::held(&h))),
            Self::State => client.sync_state().and_then(|s| shown("state", &s, words::state(&s))),
            Self::People => client.people().and_then(|p| shown("people", &p, words::people(&p))),
            Self::Stores => client.stores().and_then(|s| shown("stores", &s, words::stores(&s))),
            Self::Verify { doc } => {
                let facts = client.verify(doc)?;
                let words = format!("{facts}条签名记录均有效。 All {facts} signed facts hold.");
                Ok(Shown { value: json!({"facts": facts}), words })
            }
            Self::Photos { doc } => client.photos(doc).and_then(|p| shown("photos", &p, words::photos(&p))),
            Self::FetchPhoto { .. } | Self::Sync { .. } | Self::Check | Self::Watch { .. } => {
                self.converse(client)
            }
            Self::OpenOrder { .. } | Self::OpenCase { .. } | Self::Step { .. } => done(self.fill(client)),
            other => done(other.record(client)),
        }
    }

    /// Those that speak with the relay.
    fn converse(self, client: &FieldClient) -> Result<Shown, FieldError> {
        match self {
            Self::Watch { for_ms } => {
                let cancel = Cancel::new();
                if let Some(ms) = for_ms {
                    let cancel = Arc::clone(&cancel);
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(ms));
                        cancel.cancel();
                    });
                }
                match block_on(client.watch(Arc::new(Printer), cancel)) {
                    Err(error) if error.code() != "stopped" => Err(error),
                    _ => Self::State.carry_out(client),
                }
            }
            Self::Check => {
                let agreement = block_on(client.check(None))?;
                if agreement.agree {
                    return shown("check", &agreement, words::state(&agreement.state));
                }
                Err(FieldError::protocol("disagreement", "device and relay do not hold the same"))
            }
            Self::FetchPhoto { doc, hash, out, cut_after_ms } => {
                let bytes = block_on(client.fetch_photo(doc, hash, cut_after_ms, None))?;
                let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&out);
                let written = file.and_then(|mut file| file.write_all(&bytes));
                written.map_err(|e| FieldError::invalid("out", format!("{out}: {e}")))?;
                let words = format!("已存为{out},共{0}字节。 {0} bytes written to {out}.", bytes.len());
                Ok(Shown { value: json!({"out": out, "bytes": bytes.len()}), words })
            }
            Self::Sync { cut_after_ms } => {
                let state = block_on(client.sync(cut_after_ms, None))?;
                shown("sync", &state, words::state(&state))
            }
            _ => Err(FieldError::protocol("deed", "not one that speaks with the relay")),
        }
    }

    /// Those whose wish has many parts.
    fn fill(self, client: &FieldClient) -> Result<Done, FieldError> {
        match self {
            Self::OpenOrder { number, store, item, channel, taken_ms, fields } => {
                let parse =
                    |text: &String| item_of(text.split(',').map(pair).collect::<Result<HashMap<_, _>, _>>()?);
                let items = item.iter().map(parse).collect::<Result<_, _>>()?;
                client.open_order(OrderWish {
                    number,
                    store,
                    fields: pairs(&fields)?,
                    items,
                    taken_ms,
                    channel,
                })
            }
            Self::OpenCase { flow, number, store, urgency, order, about, channel, fields } => {
                let fields = pairs(&fields)?;
                client.open_case(CaseWish { flow, number, store, urgency, order, about, channel, fields })
            }
            Self::Step {
                doc,
                step,
                proofs,
                sign,
                strokes: drawn,
                value,
                item,
                outcome,
                appointment,
                note,
            } => {
                let line = drawn.as_deref().unwrap_or("1000,5000 3000,4000 5000,6000 9000,4500");
                let signature = match sign {
                    Some(signer) => Some(SignatureWish { signer, strokes: strokes(line)? }),
                    None => None,
                };
                let wish = StepWish {
                    step,
                    ended: outcome.as_deref().map(ended).transpose()?,
                    items: item,
                    values: pairs(&value)?,
                    evidence: proofs.gather(client, &doc)?,
                    appointment,
                    signature,
                    note,
                };
                client.step(doc, wish)
            }
            _ => Err(FieldError::protocol("deed", "not one with many parts")),
        }
    }

    /// Those that are one plain call.
    fn record(self, client: &FieldClient) -> Result<Done, FieldError> {
        match self {
            Self::Edit { doc, changes } => {
                let value = |(k, v): (String, String)| (k, (!v.is_empty()).then_some(v));
                client.edit(doc, pairs(&changes)?.into_iter().map(value).collect())
            }
            Self::AddItem { doc, fields } => client.add_item(doc, item_of(pairs(&fields)?)?),
            Self::Note { doc, text } => client.note(doc, text),
            Self::Approve { doc, note } => client.approve(doc, note),
            Self::Decline { doc, reason } => client.decline(doc, reason),
            Self::Cancel { doc, reason, proofs } => {
                let proofs = proofs.gather(client, &doc)?;
                client.cancel(doc, reason, proofs)
            }
            Self::Assign { doc, who, on, purpose, appointment, note } => {
                client.assign(doc, who, on, purpose, appointment, note)
            }
            Self::Visit { doc, status, appointment } => visit(client, doc, &status, appointment),
            Self::Settle { doc, why, keep, left, right } => settle(client, doc, why, &keep, left.zip(right)),
            Self::Clear { doc, guarantee, amount, method, proofs } => {
                let proofs = proofs.gather(client, &doc)?;
                client.clear(doc, guarantee, amount, method, proofs)
            }
            Self::Pay { doc, amount, method, proofs } => {
                let proofs = proofs.gather(client, &doc)?;
                client.pay(doc, amount, method, proofs)
            }
            Self::Contact { doc, channel, words, proofs } => {
                let proofs = proofs.gather(client, &doc)?;
                client.contact(doc, channel, words, proofs)
            }
            Self::Report { doc, what, proofs } => {
                let proofs = proofs.gather(client, &doc)?;
                client.report(doc, what, proofs)
            }
            Self::Resolve { doc, how, exception } => resolve(client, doc, how, exception),
            Self::Escalate { doc, to, reason } => client.escalate(doc, to, reason),
            Self::OpenCustomer { number, store, fields } => {
                client.open_customer(number, store, pairs(&fields)?)
            }
            Self::Pause { doc, reason } => client.pause(doc, reason),
            Self::Resume { doc, note } => client.resume(doc, note),
            Self::Part { doc, sku, quantity, used, stock } => client.part(doc, sku, quantity, used, stock),
            Self::BecomeOrder { doc, number } => client.become_order(doc, number),
            Self::OpenStock { number, store } => client.open_stock(number, store),
            Self::ProposeFound { record, rule, kind } => client.propose_found(record, rule, kind),
            Self::SuspendIntake { day, reason } => client.suspend_intake(day, reason),
            Self::ResumeIntake { day, reason } => client.resume_intake(day, reason),
            Self::CountIn { stock, sku, quantity, note } => client.count_in(stock, sku, quantity, note),
            Self::MarkRead { notices } => client.mark_read(notices),
            _ => Err(FieldError::protocol("deed", "not one that records")),
        }
    }
}

fn visit(
    client: &FieldClient,
    doc: String,
    status: &str,
    appointment: Option<String>,
) -> Result<Done, FieldError> {
    let appointment = match appointment {
        Some(id) => id,
        None => {
            let open = ["scheduled", "dispatched", "travelling", "on_site"];
            let visits = client.case(doc.clone())?.visits;
            only("appointment", visits.into_iter().filter(|v| open.contains(&v.status.as_str())).collect())?
                .id
        }
    };
    client.visit(doc, appointment, visit_status(status)?)
}

fn settle(
    client: &FieldClient,
    doc: String,
    why: String,
    keep: &str,
    sides: Option<(String, String)>,
) -> Result<Done, FieldError> {
    let (left, right) = match sides {
        Some(sides) => sides,
        None => {
            let clashes = client.case(doc.clone())?.clashes;
            let open = only("clash", clashes.into_iter().filter(|c| c.settled.is_empty()).collect())?;
            (open.left, open.right)
        }
    };
    let keep = match keep {
        "left" => left.clone(),
        "right" => right.clone(),
        fact => fact.to_owned(),
    };
    client.settle(doc, left, right, keep, why)
}

fn resolve(
    client: &FieldClient,
    doc: String,
    how: String,
    exception: Option<String>,
) -> Result<Done, FieldError> {
    let fact = match exception {
        Some(fact) => fact,
        None => {
            let all = client.case(doc.clone())?.exceptions;
            only("exception", all.into_iter().filter(|e| e.resolved.is_empty()).collect())?.fact
        }
    };
    client.resolve(doc, fact, how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_line_has_the_names_of_the_command_line() {
        let line = r#"{"do":"step","doc":"A1","step":"placed","proofs":{"text":["好的"]},"value":["a=b"]}"#;
        let deed: Deed = serde_json::from_str(line).expect("a step");
        assert!(matches!(deed, Deed::Step { doc, proofs, .. } if doc == "A1" && proofs.text == ["好的"]));
        assert!(serde_json::from_str::<Deed>(r#"{"do":"fly"}"#).is_err());
    }
}
