//! What people do in a random run beside orders and tickets: matters, records about people, stocks of parts.
//!
//! In: a [`Run`] whose seed draws them. Out: wishes, as in [`super::work`]: mostly such as make sense, also
//! some that their author may not have, such as counting parts in without the power to, or publishing a
//! record that one is merely about. The office at the relay moves no parts, so that each movement was
//! acknowledged to a device.

use std::collections::BTreeMap;

use sync_core::command::{Command, Record};
use sync_core::fact::kinds::Evidence;
use sync_core::fold::State;
use sync_core::ids::{DocId, DocKind, PersonId, StoreId};

use super::faults::STORES;
use super::random::{Run, name};
use super::work::texts;

/// The stock that the office opens.
pub const STOCK: &str = "总仓";
/// Another, which somebody may open.
const OTHER_STOCK: &str = "分仓";
const SKUS: [&str; 2] = ["滑轨", "铰链"];
const VISIT_STEPS: [&str; 3] = ["reported", "published", "closed"];
const RECORD_STEPS: [&str; 6] = ["proposed", "notified", "published", "appealed", "decided", "closed"];
/// What steps say beside being done.
const SAYINGS: [(&str, &str, &[&str]); 5] = [
    ("reported", "result", &["客户满意", "柜门要调"]),
    ("proposed", "kind", &["fine"]),
    ("proposed", "reason", &["延误"]),
    ("appealed", "reason", &["单据是对方改的"]),
    ("decided", "decision", &["upheld", "lifted"]),
];

/// The parts that a command moves: the stock, the part, how many more.
pub(super) fn moved_by(command: &Command) -> Option<(DocId, String, i64)> {
    match command {
        Command::CountIn(stock, sku, by, _) => Some((*stock, sku.clone(), i64::from(*by))),
        Command::Part { stock: Some(stock), sku, quantity, consumed: true, .. } => {
            Some((*stock, sku.clone(), -i64::from(*quantity)))
        }
        _ => None,
    }
}

impl Run {
    /// Somebody with a device does something about a matter, a record or a stock.
    pub(super) fn papers(&mut self) {
        let Some(site) = self.site() else { return };
        let wish = match self.roll(16) {
            0..2 => Some(self.file(&site, "visit")),
            2..4 => Some(self.file(&site, "conduct")),
            4..9 => self.parts(&site),
            _ => self.newest_paper(&site).and_then(|doc| {
                let (_, state) = self.world.sites[&site].device.state(doc).ok()?;
                if doc.kind() == DocKind::Matter && self.roll(10) == 0 {
                    return self.visit(&site, doc);
                }
                self.go_on(doc, &state, self.world.sites[&site].device.person())
            }),
        };
        if let Some(command) = wish {
            self.perform(&site, command);
        }
    }

    /// The office at the relay goes on with a matter or record, or settles who had a part.
    pub(super) fn papers_at_the_office(&mut self) {
        let all = self.world.relay.log().documents(None, usize::MAX).expect("the log reads");
        let ours = |doc: &DocId| matches!(doc.kind(), DocKind::Matter | DocKind::Conduct | DocKind::Stock);
        let mut docs: Vec<DocId> = all.into_iter().map(|(doc, _)| doc).filter(ours).collect();
        let number = |doc: &DocId| self.number_at_relay(*doc).map(|number| (number.len(), number));
        docs.sort_by_cached_key(number);
        let Some(doc) = self.pick(&docs) else { return };
        let Some(state) = self.state_at_relay(doc) else { return };
        if let Some(command) = self.go_on(doc, &state, self.world.office_ids().0) {
            self.try_office(command);
        }
    }

    /// A matter or record is opened, about somebody; now and then under a number that is taken already.
    fn file(&mut self, site: &str, flow: &str) -> Command {
        let taken = self.roll(12) == 0;
        self.filed += u32::from(!taken);
        let number = format!("V{}", self.filed);
        let people: Vec<String> = self.plan.cast.iter().map(|member| member.number.clone()).collect();
        let somebody = self.pick(&people).map(|number| PersonId::staffed(self.world.company(), &number));
        let conduct = flow == "conduct";
        let often = if conduct { 12 } else { 2 };
        let about = somebody.filter(|_| self.roll(often) > 0);
        let fields = if conduct {
            BTreeMap::new()
        } else {
            texts(&[("subject", "回访"), ("customer", "何女士")])
        };
        Command::OpenCase {
            flow: name(flow),
            number,
            store: self.own_store(site),
            urgency: None,
            order: None,
            about,
            channel: None,
            fields,
        }
    }

    /// Parts are counted in, or taken for a ticket; whoever is at hand tries it.
    fn parts(&mut self, site: &str) -> Option<Command> {
        let device = &self.world.sites[site].device;
        let [stocks, tickets] = [DocKind::Stock, DocKind::Ticket].map(|kind| {
            device.rows(kind).expect("rows read").into_iter().map(|row| row.doc).collect::<Vec<_>>()
        });
        let (stock, ticket) = (self.pick(&stocks)?, self.pick(&tickets));
        let (sku, quantity) = (self.pick(&SKUS)?.to_owned(), self.roll(3) + 1);
        Some(match (self.roll(16), ticket) {
            (0, _) => Command::OpenStock(self.pick(&[STOCK, OTHER_STOCK])?.into(), None),
            (1, _) => Command::Note(stock, format!("盘点{quantity}")),
            (2..6, _) => Command::CountIn(stock, sku, quantity, None),
            (6..12, _) if site.starts_with('N') => Command::CountIn(stock, sku, quantity, None),
            (_, None) => {
                self.opened += 1;
                let store = self.pick(&STORES).map(|store| StoreId::named(self.world.company(), store));
                let store = self.own_store(site).or(store);
                self.ticket(format!("A{}", self.opened), store)
            }
            (_, Some(doc)) => Command::Part { doc, sku, quantity, consumed: true, stock: Some(stock) },
        })
    }

    /// One of the newest matters and records of a device, now and then any, or a stock.
    fn newest_paper(&mut self, site: &str) -> Option<DocId> {
        let kinds = [DocKind::Stock, DocKind::Matter, DocKind::Conduct];
        let device = &self.world.sites[site].device;
        let rows = kinds.map(|kind| device.rows(kind).expect("rows read"));
        let mut docs: Vec<(&str, DocId)> = rows.iter().flatten().map(|row| (&*row.number, row.doc)).collect();
        docs.sort_unstable_by_key(|(number, doc)| {
            (doc.kind() != DocKind::Stock, number.len(), *number, *doc)
        });
        let docs: Vec<DocId> = docs.into_iter().map(|(_, doc)| doc).collect();
        let newest = docs.len().saturating_sub(if self.roll(3) == 0 { docs.len() } else { 4 });
        self.pick(&docs[newest..])
    }

    /// What comes next of a paper or a stock, or anything else that could.
    fn go_on(&mut self, doc: DocId, state: &State, by: PersonId) -> Option<Command> {
        let matter = doc.kind() == DocKind::Matter;
        Some(match (doc.kind(), self.roll(16)) {
            (DocKind::Stock, _) => self.settle(doc, state)?,
            (DocKind::Conduct, 2..4) if !state.clashes.is_empty() => self.settle(doc, state)?,
            (_, 0) => Command::Note(doc, format!("备注{}", self.roll(1_000_000))),
            (_, 1) if self.roll(3) == 0 => Command::Cancel(doc, "有误".into(), vec![]),
            (_, 2) if matter => Command::Approve(doc, None),
            (_, 3) if matter => Command::Decline(doc, "不妥".into()),
            (_, 4..6) if matter => self.assign(doc, state)?,
            (_, 6..9) if matter => {
                let key = self.pick(&["subject", "customer", "remark"])?;
                let words = format!("何女士{}", self.roll(1_000_000));
                Command::Edit(doc, BTreeMap::from([(key.to_owned(), Some(words))]))
            }
            _ => self.paper_step(doc, state, by)?,
        })
    }

    /// One of two who took the same part, or decided about the same appeal, was right.
    fn settle(&mut self, doc: DocId, state: &State) -> Option<Command> {
        let clash = self.pick(&state.clashes)?;
        let (left, right) = (clash.left, clash.right);
        let keep = self.pick(&[left, right])?;
        Some(Command::Settle { doc, left, right, keep, reason: "已查实".into() })
    }

    /// A step of a paper: mostly the first that was not done yet, sometimes any, complete or not.
    fn paper_step(&mut self, doc: DocId, state: &State, by: PersonId) -> Option<Command> {
        let steps = if doc.kind() == DocKind::Matter { &VISIT_STEPS[..] } else { &RECORD_STEPS[..] };
        let next = steps.iter().find(|step| !state.did(step)).copied().filter(|_| self.roll(3) > 0);
        let concerned = state.about() == Some(by) && state.done("notified") && !state.did("appealed");
        let step = match next {
            _ if concerned && self.roll(2) == 0 => "appealed",
            Some(step) => step,
            None => self.pick(steps)?,
        };
        let mut record = Record { outcome: self.outcome(), ..Record::done(name(step)) };
        for (_, key, words) in SAYINGS.iter().filter(|(of, ..)| *of == step) {
            if self.roll(10) > 0 {
                record.values.insert(name(key), self.pick(words)?.to_owned());
            }
        }
        if step == "notified" && self.roll(10) > 0 {
            record.evidence.push(Evidence::text_message("经核实,给予处罚"));
        }
        Some(Command::Step(doc, record))
    }
}
