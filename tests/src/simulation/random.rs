//! One random run from one seed: devices, crews and an office that work, fail and go on.
//!
//! In: a seed. Out: the world after it healed, with an [`Account`] of what was said and what the company
//! really decided, kept apart from everything the product keeps; [`super::checkers`] holds one against
//! the other. Not here: what may go wrong ([`super::faults`]), what people do ([`super::work`]), and what
//! must hold afterwards.

use std::collections::{BTreeMap, BTreeSet};

use gendan_server::relay::RelayError;
use rand::RngExt as _;
use sync_core::command::Command;
use sync_core::device::DeviceError;
use sync_core::ids::{Name, PersonId, StoreId};

use super::faults::{Plan, weather};
use super::model::{Account, BOSS, Grant, Moved, Said};
use super::net::Weather;
use super::papers::{STOCK, moved_by};
use super::policies::first_policy;
use super::world::{START_MS, World};

/// A run under way.
pub struct Run {
    /// The company.
    pub world: World,
    /// The run's own account.
    pub account: Account,
    /// Who works here and what goes wrong.
    pub plan: Plan,
    /// What happened how often, for seeing what the seeds reach.
    pub counts: BTreeMap<String, u64>,
    /// Moments at which a role or a policy begins or ends.
    pub(super) moments: Vec<i64>,
    /// Devices at the beginning.
    pub(super) first_devices: usize,
    /// Sites that may have what a restored relay lacks, and have not been there since.
    pub(super) owing: BTreeSet<String>,
    pub(super) opened: u32,
    /// Matters and records that were opened.
    pub(super) filed: u32,
}

/// A name of the policy.
pub(super) fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

/// Runs a seed to its end: random work, then calm weather until all are in step.
pub fn run(seed: u64) -> Run {
    let mut run = Run::begin(seed);
    for _action in 0..run.plan.actions {
        run.act();
    }
    run.heal();
    run
}

impl Run {
    fn begin(seed: u64) -> Self {
        let plan = Plan::of(seed);
        let mut world = World::found(seed, &first_policy(plan.papers));
        let (person, device) = world.office_ids();
        let mut account = Account::default();
        account.devices.insert(device, person);
        let grant = |person, role, store, told_ms| Grant {
            person,
            role,
            store,
            from_ms: START_MS,
            told_ms,
            ends: Vec::new(),
        };
        account.grants.push(grant(person, BOSS, None, START_MS));
        for member in &plan.cast {
            let person = world.join(&member.number, member.role, member.store);
            let store = member.store.map(|s| StoreId::named(world.company(), s));
            account.grants.push(grant(person, member.role, store, world.time_ms));
            if member.second {
                world.equip(&format!("{}b", member.number), person);
            }
        }
        account.devices.extend(world.sites.values().map(|s| (s.device.id(), s.device.person())));
        let first_devices = account.devices.len();
        if plan.papers {
            world.office(Command::OpenStock(STOCK.into(), None));
        }
        world.heal();
        let (counts, moments, owing) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        Self { world, account, plan, counts, moments, first_devices, owing, opened: 0, filed: 0 }
    }

    /// Calm weather and right clocks, until nothing moves any more.
    fn heal(&mut self) {
        while !self.world.strays.is_empty() {
            self.world.deliver_stray(0);
        }
        for site in self.world.sites.values_mut() {
            site.clock_off_ms = 0;
        }
        self.world.heal();
        self.world.note("healed", &[]);
    }

    pub(super) fn roll(&mut self, sides: u32) -> u32 {
        self.world.rng.random_range(0..sides)
    }
    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let last = u32::try_from(from.len()).ok().filter(|n| *n > 0)?;
        let at = self.roll(last);
        from.get(at as usize).cloned()
    }
    /// Some device.
    pub(super) fn site(&mut self) -> Option<String> {
        let names: Vec<String> = self.world.sites.keys().cloned().collect();
        self.pick(&names)
    }
    /// Some person of a role, by the plan.
    pub(super) fn someone(&mut self, role: &str) -> Option<PersonId> {
        let numbers: Vec<String> =
            self.plan.cast.iter().filter(|m| m.role == role).map(|m| m.number.clone()).collect();
        let number = self.pick(&numbers)?;
        Some(PersonId::staffed(self.world.company(), &number))
    }
    pub(super) fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    fn act(&mut self) {
        let pause = i64::from(self.roll(1_800_000));
        self.world.pass(pause);
        self.world.relay.moments(self.world.time_ms).expect("the log takes what comes by itself");
        if let Some(fault) = self.plan.draw(&mut self.world.rng) {
            self.count(&format!("{fault:?}"));
            self.world.note(&format!("{fault:?}"), &[]);
            return self.suffer(fault);
        }
        if self.plan.papers {
            match self.roll(10) {
                0..2 => return self.papers_at_the_office(),
                2..6 => return self.papers(),
                _ => {}
            }
        }
        match self.roll(100) {
            0..5 => self.open(),
            5..48 => self.work(),
            48..70 => self.office(),
            70..80 => self.outing(),
            _ => self.sync(),
        }
    }

    /// Some device connects, in some weather.
    pub(super) fn sync(&mut self) {
        let Some(site) = self.site() else { return };
        let weather = weather(&mut self.world.rng);
        self.sync_in(&site, weather);
    }

    /// A device connects; whether there still is one afterwards.
    pub(super) fn sync_in(&mut self, site: &str, weather: Option<Weather>) -> bool {
        self.world.connect(site);
        self.world.run(site, weather);
        if weather.is_none() {
            self.owing.remove(site);
        }
        self.world.sites.contains_key(site)
    }

    /// Somebody with a device wishes something; what is acknowledged is written down.
    pub(super) fn perform(&mut self, site: &str, command: Command) {
        if !self.world.sites.contains_key(site) {
            return;
        }
        let moved = moved_by(&command);
        let result = self.world.perform(site, command);
        self.world.note(site, format!("{result:?}").as_bytes());
        match result {
            Ok(done) => {
                let moved = moved.map(|(stock, sku, by)| Moved { command: done.command, stock, sku, by });
                self.account.moved.extend(moved);
                let (site, command, docs) = (site.to_owned(), done.command, done.docs);
                self.account.said.push(Said { site, command, docs });
            }
            Err(DeviceError::Refused(refusal)) => self.count(&format!("refused: {}", refusal.code.as_str())),
            // A device that was erased while its app was open records nothing any more.
            Err(DeviceError::Wiped) => {}
            Err(error) => self.account.faults.push(format!("{site} cannot work: {error}")),
        }
    }

    /// The office at the relay wishes something.
    pub(super) fn try_office(&mut self, command: Command) {
        let result = self.world.try_office(command);
        self.world.note("office", format!("{result:?}").as_bytes());
        match result {
            Ok(()) | Err(RelayError::Refused(_)) => {}
            Err(error) => self.account.faults.push(format!("the office cannot work: {error}")),
        }
    }
}
