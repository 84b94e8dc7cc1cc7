//! One random run from one seed: devices, crews and an office that work, fail and go on.
//!
//! In: a seed. Out: the world after it healed, with a [`Ledger`] of what was said and what the company
//! really decided, kept apart from everything the product keeps; [`super::checkers`] holds one against
//! the other. Chance decides who does what, when connections break, which clock is years off, and when
//! a device or the relay is killed. Not here: what must hold afterwards.

use std::collections::BTreeMap;

use rand::RngExt as _;
use sync_core::command::{Command, NewItem, Record};
use sync_core::device::DeviceError;
use sync_core::fact::kinds::{AppointmentStatus, Evidence, Signature};
use sync_core::ids::{CommandId, DeviceId, DocId, DocKind, ItemId, Name, PersonId, StoreId};
use sync_core::money::{Currency, Money};
use sync_core::refusal::RefusalCode;

use super::net::Weather;
use super::world::{World, small_policy};

/// Actions of one run.
const ACTIONS: usize = 150;
/// A year, in milliseconds.
const YEAR_MS: i64 = 365 * 24 * 3_600_000;
const CREWS: [&str; 2] = ["S01", "S02"];
const OFFICE_STEPS: [&str; 2] = ["reviewed", "settled"];

/// A role as the company gave it, and when it took it back.
#[derive(Clone, Debug)]
pub struct Grant {
    /// To whom.
    pub person: PersonId,
    /// `management`, `sales` or `crew`.
    pub role: &'static str,
    /// The store it is for.
    pub store: Option<StoreId>,
    /// When it ended, by true time.
    pub ended_ms: Option<i64>,
}

/// What a device was told is recorded.
#[derive(Clone, Debug)]
pub struct Said {
    /// The site's name.
    pub site: String,
    /// The command.
    pub command: CommandId,
    /// The documents it changed.
    pub docs: Vec<DocId>,
}

/// What really happened, by the run's own account.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Roles.
    pub grants: Vec<Grant>,
    /// Whose a device is.
    pub devices: BTreeMap<DeviceId, PersonId>,
    /// When a device was shut out, by true time.
    pub revoked: BTreeMap<DeviceId, i64>,
    /// Everything that was acknowledged to a person with a device.
    pub said: Vec<Said>,
    /// Faults that were seen on the way.
    pub faults: Vec<String>,
}

/// A run under way.
pub struct Run {
    /// The company.
    pub world: World,
    /// The run's own account.
    pub ledger: Ledger,
    opened: u32,
}

fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

/// Runs a seed to its end: random work, then calm weather until all are in step.
pub fn run(seed: u64) -> Run {
    let mut run = Run::begin(seed);
    for _action in 0..ACTIONS {
        run.act();
    }
    for site in run.world.sites.values_mut() {
        site.clock_off_ms = 0;
    }
    run.world.heal();
    run
}

impl Run {
    fn begin(seed: u64) -> Self {
        let mut world = World::found(seed, &small_policy());
        let mut ledger = Ledger::default();
        let (person, device) = world.office_ids();
        ledger.devices.insert(device, person);
        ledger.grants.push(Grant { person, role: "management", store: None, ended_ms: None });
        let staff = [
            ("D01", "sales", Some("城东店")),
            ("D02", "sales", Some("城西店")),
            ("S01", "crew", None),
            ("S02", "crew", None),
            ("M02", "management", None),
        ];
        for (number, role, store) in staff {
            let person = world.join(number, role, store);
            let store = store.map(|s| StoreId::named(world.company(), s));
            ledger.grants.push(Grant { person, role, store, ended_ms: None });
        }
        // One salesperson works with two devices.
        let person = PersonId::staffed(world.company(), "D01");
        world.equip("D01b", person);
        ledger.devices.extend(world.sites.values().map(|s| (s.device.id(), s.device.person())));
        world.heal();
        Self { world, ledger, opened: 0 }
    }

    fn roll(&mut self, sides: u32) -> u32 {
        self.world.rng.random_range(0..sides)
    }
    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let last = u32::try_from(from.len()).ok().filter(|n| *n > 0)?;
        let at = self.roll(last);
        from.get(at as usize).cloned()
    }
    fn site(&mut self) -> Option<String> {
        let names: Vec<String> = self.world.sites.keys().cloned().collect();
        self.pick(&names)
    }

    fn act(&mut self) {
        let pause = i64::from(self.roll(1_800_000));
        self.world.pass(pause);
        match self.roll(100) {
            0..12 => self.open(),
            12..60 => self.work(),
            60..78 => self.office(),
            78..80 => self.people(),
            80..94 => self.sync(),
            94..96 => self.wind_a_clock(),
            96..98 => {
                if let Some(site) = self.site() {
                    self.world.restart(&site);
                }
            }
            _ => self.world.restart_relay(),
        }
    }

    fn perform(&mut self, site: &str, command: Command) {
        if !self.world.sites.contains_key(site) {
            return;
        }
        match self.world.perform(site, command) {
            Ok(done) => {
                let (site, command, docs) = (site.to_owned(), done.command, done.docs);
                self.ledger.said.push(Said { site, command, docs });
            }
            // A device that was erased while its app was open records nothing any more.
            Err(DeviceError::Refused(_) | DeviceError::Wiped) => {}
            Err(error) => self.ledger.faults.push(format!("{site} cannot work: {error}")),
        }
    }

    fn open(&mut self) {
        let Some(site) = self.pick(&["D01", "D02", "D01b", "M02"]) else { return };
        let Some(store) = self.pick(&["城东店", "城西店"]) else { return };
        // Now and then a number that somebody else may have taken already.
        let taken = self.roll(12) == 0;
        self.opened += u32::from(!taken);
        let fields = [
            ("customer", "何女士"),
            ("phone", "13800000000"),
            ("address", "幸福街1号"),
            ("delivery_date", "2026-12-01"),
        ];
        let price = Money::parse("468.00", Currency::CNY).expect("an amount");
        let item = NewItem {
            item: ItemId::from_bytes(self.world.rng.random()),
            product: "餐桌".into(),
            model: "1.4米".into(),
            material: None,
            quantity: 1,
            unit_price: (self.roll(2) == 0).then_some(price),
        };
        let command = Command::OpenOrder {
            number: format!("A{}", self.opened),
            store: Some(StoreId::named(self.world.company(), store)),
            fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            items: vec![item],
            taken_ms: None,
            channel: None,
        };
        self.perform(site, command);
    }

    /// Somebody with a device does something about an order they hold.
    fn work(&mut self) {
        let Some(site) = self.site() else { return };
        let Ok(rows) = self.world.sites[&site].device.rows(DocKind::Order) else { return };
        let docs: Vec<DocId> = rows.iter().map(|row| row.doc).collect();
        let Some(doc) = self.pick(&docs) else { return };
        let command = match self.roll(20) {
            0..4 => self.edit(doc),
            4..6 => Command::Note(doc, format!("备注{}", self.roll(1_000_000))),
            6..14 => self.step(&site, doc),
            14 => Command::Contact(doc, "phone".into(), "周六上午送".into(), vec![]),
            15 => Command::Report(doc, "板材有划痕".into(), vec![]),
            16 => {
                let amount = Money::parse("100.00", Currency::CNY).expect("an amount");
                Command::Pay(doc, amount, "cash".into(), vec![])
            }
            17 => match self.visit(&site, doc) {
                Some(command) => command,
                None => return,
            },
            _ => match self.desk(doc, &site) {
                Some(command) => command,
                None => return,
            },
        };
        self.perform(&site, command);
    }

    fn edit(&mut self, doc: DocId) -> Command {
        let number = self.roll(1_000_000);
        let (key, value) = match self.roll(3) {
            0 => ("delivery_date", format!("{}-12-{:02}", 2026 + number % 900, 1 + number % 28)),
            1 => ("address", format!("幸福街{number}号")),
            _ => ("customer", format!("何女士{number}")),
        };
        Command::Edit(doc, BTreeMap::from([(key.to_owned(), Some(value))]))
    }

    /// A step: mostly one that is next, sometimes any, complete or not.
    fn step(&mut self, site: &str, doc: DocId) -> Command {
        let now = self.world.now(self.world.sites[site].clock_off_ms);
        let case = self.world.sites[site].device.case(doc, &now);
        let next: Vec<String> = case.map_or(Vec::new(), |view| {
            view.next.iter().filter(|n| n.possible).map(|n| n.step.to_string()).collect()
        });
        let all = ["reviewed", "placed", "fetched", "delivered", "settled"].map(str::to_owned);
        let step = if self.roll(4) == 0 { None } else { self.pick(&next) };
        let step = step.or_else(|| self.pick(&all)).unwrap_or_default();
        let mut record = Record::done(name(&step));
        if self.roll(10) > 0 {
            record.evidence = vec![Evidence::text_message("请下单")];
        }
        if step == "delivered" && self.roll(10) > 0 {
            let strokes = vec![vec![(1, 1), (500, 800), (900, 200)]];
            record.signature = Some(Signature { signer: "何女士".into(), strokes });
        }
        Command::Step(doc, record)
    }

    fn visit(&mut self, site: &str, doc: DocId) -> Option<Command> {
        let (_, state) = self.world.sites[site].device.state(doc).ok()?;
        let known: Vec<_> = state.appointments.keys().copied().collect();
        let appointment = self.pick(&known)?;
        let status = self.pick(&[AppointmentStatus::OnSite, AppointmentStatus::Completed])?;
        Some(Command::Visit(doc, appointment, status))
    }

    /// What is decided at a desk: by the office, or tried by anyone.
    fn desk(&mut self, doc: DocId, site: &str) -> Option<Command> {
        let state = match self.world.sites.get(site) {
            Some(site) => site.device.state(doc).ok().map(|(_, state)| state),
            None => self.state_at_relay(doc),
        }?;
        Some(match self.roll(12) {
            0..2 => {
                let evidence = vec![Evidence::text_message("请下单")];
                let step = self.pick(&OFFICE_STEPS)?;
                Command::Step(doc, Record { evidence, ..Record::done(name(step)) })
            }
            2..4 => {
                let amount = Money::parse("468.00", Currency::CNY).ok();
                Command::Clear { doc, guarantee: true, amount, method: "cash".into(), evidence: vec![] }
            }
            4..7 => {
                let known: Vec<_> = state.appointments.keys().copied().collect();
                let crew = PersonId::staffed(self.world.company(), self.pick(&CREWS)?);
                let appointment = if self.roll(3) == 0 { self.pick(&known) } else { None };
                let (people, on, purpose) = (vec![crew], "2026-12-01".into(), name("delivered"));
                Command::Assign { doc, appointment, people, on, purpose, note: None }
            }
            7 => Command::Approve(doc, None),
            8 => Command::Decline(doc, "太晚".into()),
            9 => Command::Cancel(doc, "客户退单".into(), vec![]),
            10 => {
                let open: Vec<_> = state.clashes.iter().filter(|c| c.settled.is_none()).cloned().collect();
                let clash = self.pick(&open)?;
                let (left, right) = (clash.left, clash.right);
                let keep = self.pick(&[left, right])?;
                Command::Settle { doc, left, right, keep, reason: "已与客户确认".into() }
            }
            _ => {
                let known: Vec<_> = state.appointments.keys().copied().collect();
                Command::Visit(doc, self.pick(&known)?, AppointmentStatus::Cancelled)
            }
        })
    }

    fn state_at_relay(&self, doc: DocId) -> Option<sync_core::fold::State> {
        let found = self.world.relay.document(doc).ok()??;
        Some(sync_core::fold::fold(&found, &self.world.relay.footing().rules()))
    }

    /// The office at the relay: decides about orders, or about what is held.
    fn office(&mut self) {
        let Ok(all) = self.world.relay.log().documents(None, usize::MAX) else { return };
        let orders: Vec<DocId> =
            all.iter().map(|(doc, _)| *doc).filter(|d| d.kind() == DocKind::Order).collect();
        if self.roll(5) == 0 {
            return self.tray();
        }
        let Some(doc) = self.pick(&orders) else { return };
        let Some(command) = self.desk(doc, "") else { return };
        self.try_office(command);
    }

    fn try_office(&mut self, command: Command) {
        match self.world.try_office(command) {
            Ok(()) | Err(gendan_server::relay::RelayError::Refused(_)) => {}
            Err(error) => self.ledger.faults.push(format!("the office cannot work: {error}")),
        }
    }

    fn tray(&mut self) {
        let filter = gendan_server::log::HeldFilter { waiting: true, ..Default::default() };
        let Ok(held) = self.world.relay.log().held(&filter, None, usize::MAX) else { return };
        let Some(held) = self.pick(&held) else { return };
        let release = self.roll(3) > 0;
        let result = self.world.as_office(|relay, clerk, now_ms| {
            if release {
                relay.release(clerk, held.doc, held.hash, now_ms)
            } else {
                relay.discard(clerk, held.doc, held.hash, "不采纳".into(), now_ms)
            }
        });
        match result {
            Ok(()) => {}
            Err(gendan_server::relay::RelayError::Refused(refusal)) => {
                // What lacks its dependency or is malformed cannot be released by anyone.
                if refusal.code == RefusalCode::RoleMissing && held.doc.kind() != DocKind::Directory {
                    self.ledger.faults.push(format!("the office may not release: {refusal}"));
                }
            }
            Err(error) => self.ledger.faults.push(format!("the tray fails: {error}")),
        }
    }

    /// A role ends, or a device is shut out: each at most once or twice, or nobody is left to work.
    fn people(&mut self) {
        self.world.pass(10);
        let now_ms = self.world.time_ms;
        if self.roll(2) == 0 {
            if !self.ledger.revoked.is_empty() {
                return;
            }
            let Some(site) = self.pick(&["D01b", "S01", "S02"]) else { return };
            let Some(device) = self.world.sites.get(site).map(|s| s.device.id()) else { return };
            self.world.office(Command::Revoke(device, "手机丢失".into()));
            self.ledger.revoked.insert(device, now_ms);
        } else {
            if self.ledger.grants.iter().any(|g| g.ended_ms.is_some()) {
                return;
            }
            let staff = [("D02", "sales"), ("S01", "crew"), ("S02", "crew"), ("M02", "management")];
            let Some((number, role)) = self.pick(&staff) else { return };
            let person = PersonId::staffed(self.world.company(), number);
            self.world.office(Command::EndRole(person, name(role), now_ms));
            let theirs = self.ledger.grants.iter_mut().filter(|g| g.person == person);
            theirs.for_each(|g| g.ended_ms = Some(now_ms));
        }
    }

    fn sync(&mut self) {
        let Some(site) = self.site() else { return };
        let weather = match self.roll(4) {
            0 => None,
            1 => Some(Weather { cut: 150, kill: 0 }),
            2 => Some(Weather { cut: 0, kill: 100 }),
            _ => Some(Weather { cut: 60, kill: 60 }),
        };
        self.world.connect(&site);
        self.world.run(&site, weather);
    }

    fn wind_a_clock(&mut self) {
        let Some(site) = self.site() else { return };
        let years = i64::from(self.roll(21)) - 10;
        if let Some(site) = self.world.sites.get_mut(&site) {
            site.clock_off_ms = years * YEAR_MS;
        }
    }
}
