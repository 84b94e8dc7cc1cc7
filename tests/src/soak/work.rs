//! What a person does next: opens a case, carries one a step further, or says something about it.
//!
//! In: a device and chance. Out: what it acknowledged, in the ledger. A refusal is an answer like any other;
//! everything else is an error. The flows are those of the shipped furniture profile: an order from handing
//! in to settling, a repair from the request to the survey.

use std::collections::HashMap;

use client_ffi::views::{Case, Done, NextStep};
use client_ffi::wishes::{
    CaseWish, EvidenceWish, ItemWish, OrderWish, Point, Proof, SignatureWish, StepWish, Stroke, VisitStatus,
};
use client_ffi::{FieldClient, FieldError};
use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;

use super::cast::Person;
use super::ledger::Ledger;

/// Orders under way at once.
const ORDERS_MAX: usize = 16;
/// Tickets under way at once.
const TICKETS_MAX: usize = 6;
/// Looks at a case before it is left as it is: several times what one needs.
const LOOKS_MAX: u32 = 400;
/// Bytes of a photo.
const PHOTO_BYTES: std::ops::Range<usize> = 4_000..30_000;
/// Steps that say that something went wrong; they are not part of a case's way.
const ASIDE: [&str; 4] = ["wrong-order", "not-placed", "overbooked", "store-parked"];
const DAY: &str = "2027-03-01";

/// A person at work.
pub struct Worker<'a> {
    /// The device.
    pub client: &'a FieldClient,
    /// Whose it is.
    pub who: &'static Person,
    /// Hears what was acknowledged.
    pub ledger: &'a Ledger,
    /// Chance.
    pub rng: &'a mut ChaCha8Rng,
}

impl Worker<'_> {
    fn roll(&mut self, sides: u32) -> u32 {
        self.rng.random_range(0..sides)
    }

    /// Does one thing.
    ///
    /// # Errors
    /// Whatever is not a refusal: a device that cannot work.
    pub fn act(&mut self) -> Result<(), FieldError> {
        match self.try_act() {
            Ok(Some(done)) => self.ledger.said(self.who.name, done.command, done.docs),
            Ok(None) | Err(FieldError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn try_act(&mut self) -> Result<Option<Done>, FieldError> {
        if let Some(opened) = self.open()? {
            return Ok(Some(opened));
        }
        let ticket = match self.who.role {
            "merchandiser" | "warehouse" | "finance" | "crew" => Some(false),
            "service-desk" | "engineer" => Some(true),
            _ => None,
        };
        let roll = self.rng.random_range(0..1_000);
        let Some(live) = self.ledger.pick(roll, ticket, LOOKS_MAX) else { return Ok(None) };
        let number = live.number;
        // One that is not here yet, or no longer, is answered by a refusal.
        let case = self.client.case(number.clone())?;
        if case.closed || case.cancelled {
            self.ledger.ended(&number);
        }
        if let Some(done) = self.duty(&number, &case)? {
            return Ok(Some(done));
        }
        let open: Vec<NextStep> = case.next.iter().filter(|next| fits(next, &case)).cloned().collect();
        if !open.is_empty() && self.roll(10) < 8 {
            let at = self.rng.random_range(0..open.len());
            return self.step(&number, &open[at]).map(Some);
        }
        self.words(&number, &case)
    }

    /// A new case, where there is room for one and this person takes them in.
    fn open(&mut self) -> Result<Option<Done>, FieldError> {
        let roll = self.roll(60);
        Ok(match self.who.role {
            "sales" if roll == 0 => Some(self.open_customer()?),
            "sales" if roll < 30 && self.ledger.under_way(false) < ORDERS_MAX => Some(self.open_order()?),
            "service-desk" if roll < 30 && self.ledger.under_way(true) < TICKETS_MAX => {
                Some(self.open_ticket()?)
            }
            _ => None,
        })
    }

    fn open_order(&mut self) -> Result<Done, FieldError> {
        let n = self.ledger.number();
        let number = format!("A{n:05}");
        let fields = [
            ("customer", "何女士".to_owned()),
            ("phone", "13800000000".into()),
            ("address", format!("幸福街{}号", n % 400)),
            ("delivery_date", DAY.into()),
        ];
        let item = |product: &str| ItemWish {
            product: product.into(),
            model: format!("HJ-{:04}", n % 9_000),
            quantity: 1 + n % 3,
            unit_price: Some("1286.00".into()),
            ..ItemWish::default()
        };
        let done = self.client.open_order(OrderWish {
            number: number.clone(),
            store: self.who.store.map(str::to_owned),
            fields: fields.map(|(k, v)| (k.to_owned(), v)).into(),
            items: vec![item("沙发"), item("餐桌")],
            ..OrderWish::default()
        })?;
        self.ledger.begun(number, false);
        Ok(done)
    }

    fn open_ticket(&mut self) -> Result<Done, FieldError> {
        let number = format!("R{:05}", self.ledger.number());
        let fields =
            [("customer", "罗女士"), ("phone", "13800000000"), ("product", "衣柜"), ("fault", "柜门松动")];
        let done = self.client.open_case(CaseWish {
            flow: "repair".into(),
            number: number.clone(),
            fields: fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..CaseWish::default()
        })?;
        self.ledger.begun(number, true);
        Ok(done)
    }

    fn open_customer(&mut self) -> Result<Done, FieldError> {
        let number = format!("K{:05}", self.ledger.number());
        let fields = [("name", "何女士"), ("phone", "13800000000")];
        let fields = fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        self.client.open_customer(number, self.who.store.map(str::to_owned), fields)
    }

    /// What a role owes a case beside its steps: money taken, people sent, visits ended, decisions.
    fn duty(&mut self, number: &str, case: &Case) -> Result<Option<Done>, FieldError> {
        let (client, doc) = (self.client, number.to_owned());
        let has = |step: &str| case.steps.iter().any(|s| s.step == step);
        let open_visit = case.visits.iter().find(|v| v.status != "completed" && v.status != "cancelled");
        Ok(match self.who.role {
            "sales" | "finance" if !case.cleared && has("reviewed") => {
                Some(client.clear(doc, false, Some("2572.00".into()), "transfer".into(), vec![])?)
            }
            "merchandiser" if has("delivery-note") && case.visits.is_empty() => {
                let crew = ["S01", "S02"][self.rng.random_range(0..2)].to_owned();
                Some(client.assign(doc, vec![crew], DAY.into(), "delivered".into(), None, None)?)
            }
            "service-desk" if has("recorded") && case.visits.is_empty() => {
                let people = vec!["E01".to_owned()];
                Some(client.assign(doc, people, DAY.into(), "repaired".into(), None, None)?)
            }
            "crew" | "engineer" if has("delivered") || has("accepted") => match open_visit {
                Some(visit) => Some(client.visit(doc, visit.id.clone(), VisitStatus::Completed)?),
                None => None,
            },
            "management" => self.decide(number, case)?,
            _ => None,
        })
    }

    fn decide(&mut self, number: &str, case: &Case) -> Result<Option<Done>, FieldError> {
        let (client, doc) = (self.client, number.to_owned());
        if !case.proposed.is_empty() && self.roll(2) == 0 {
            return if self.roll(4) == 0 {
                client.decline(doc, "工厂排期已定".into()).map(Some)
            } else {
                client.approve(doc, None).map(Some)
            };
        }
        if let Some(clash) = case.clashes.iter().find(|c| c.settled.is_empty()) {
            let (left, right) = (clash.left.clone(), clash.right.clone());
            return client.settle(doc, left.clone(), right, left, "已与客户确认".into()).map(Some);
        }
        if let Some(exception) = case.exceptions.iter().find(|e| e.resolved.is_empty()) {
            return client.resolve(doc, exception.fact.clone(), "已补发配件".into()).map(Some);
        }
        if self.roll(100) == 0 {
            return client.cancel(doc, "客户退单".into(), vec![]).map(Some);
        }
        Ok(None)
    }

    fn photo(&mut self, number: &str) -> Result<EvidenceWish, FieldError> {
        let mut bytes = vec![0; self.rng.random_range(PHOTO_BYTES)];
        self.rng.fill_bytes(&mut bytes);
        let blob = self.client.attach(number.to_owned(), "image/jpeg".into(), bytes)?;
        Ok(EvidenceWish { proof: Proof::Photo, text: None, blob: Some(blob), media: None, document: None })
    }

    fn step(&mut self, number: &str, next: &NextStep) -> Result<Done, FieldError> {
        let mut wish = StepWish::done(&next.step);
        let mut values = HashMap::new();
        for need in &next.needs {
            match need.as_str() {
                "text-message" => wish.evidence.push(EvidenceWish::words("客户已确认,请下单")),
                "photo" | "file" => wish.evidence.push(self.photo(number)?),
                "signature" => wish.signature = Some(signature()),
                "csat" => drop(values.insert(need.clone(), "5".to_owned())),
                _ => drop(values.insert(need.clone(), "更换合页".to_owned())),
            }
        }
        if wish.signature.is_some() && self.roll(2) == 0 {
            wish.evidence.push(self.photo(number)?);
        }
        wish.values = values;
        self.client.step(number.to_owned(), wish)
    }

    /// What people say about a case on its way.
    fn words(&mut self, number: &str, case: &Case) -> Result<Option<Done>, FieldError> {
        let (client, doc, n) = (self.client, number.to_owned(), self.ledger.number());
        Ok(match self.roll(20) {
            0..4 => Some(client.note(doc, format!("{}:备注{n}", self.who.number))?),
            4..6 => Some(client.contact(doc, "phone".into(), format!("客户来电{n}"), vec![])?),
            6..8 => {
                let (key, value) = match self.roll(3) {
                    0 if doc.starts_with('A') => ("delivery_date", format!("2027-03-{:02}", 1 + n % 28)),
                    1 => ("customer", format!("何女士{n}")),
                    _ => ("address", format!("滨江路{n}号")),
                };
                Some(client.edit(doc, [(key.to_owned(), Some(value))].into())?)
            }
            8 => {
                let photo = self.photo(number)?;
                Some(client.report(doc, format!("板材有划痕{n}"), vec![photo])?)
            }
            9 if doc.starts_with('R') && case.paused.is_empty() => {
                Some(client.pause(doc, "等待配件".into())?)
            }
            9 if doc.starts_with('R') => Some(client.resume(doc, None)?),
            _ => None,
        })
    }
}

/// Whether a step carries a case further and may be recorded now by this person.
fn fits(next: &NextStep, case: &Case) -> bool {
    next.possible
        && !ASIDE.contains(&next.step.as_str())
        && !case.steps.iter().any(|said| said.step == next.step)
}

fn signature() -> SignatureWish {
    let stroke = |from: u16| Stroke {
        points: (0..24).map(|at| Point { x: from + at * 37, y: from / 2 + at * 29 }).collect(),
    };
    SignatureWish { signer: "何女士".into(), strokes: vec![stroke(900), stroke(3_200)] }
}
