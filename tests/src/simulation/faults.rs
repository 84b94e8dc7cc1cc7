//! What goes wrong, and what the company changes meanwhile: drawn from the seed, then done.
//!
//! In: a seed. Out: a [`Plan`] (who works here, how long, how often each fault) and, step by step, the
//! [`Fault`]s. Each seed favours other faults and leaves some out, so that many seeds go to places that
//! one even mixture would not. What a fault did to people, devices and policies is written into the
//! run's account by true time. Not here: the weather of single connections ([`super::net`]).

use std::collections::BTreeSet;

use gendan_server::log::{Entry, HeldFilter};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sync_core::command::Command;
use sync_core::ids::{DeviceId, PersonId, StoreId};

use super::model::{BOSS, CREW, Grant, SALES};
use super::net::Weather;
use super::policies::second_policy;
use super::random::{Run, name};
use super::world::{RelayCopy, Site};

/// An hour, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const YEAR_MS: i64 = 365 * DAY_MS;
/// The stores of the company.
pub const STORES: [&str; 3] = ["城东店", "城西店", "城南店"];

/// Seeds that tests name, because they found something once or go far: what they draw is what it was then,
/// without papers and stocks.
pub const NAMED: [u64; 27] = [
    1, 4, 5, 6, 7, 9, 11, 16, 17, 20, 21, 24, 30, 32, 37, 41, 45, 49, 50, 53, 60, 69, 72, 101, LEFT, EARLY, 2,
];
/// A document that left its author's scope was gone before a restored relay had it.
const LEFT: u64 = 241_670_987_455_979;
/// Prices came to a restored relay before their order, whose number another store had taken too.
const EARLY: u64 = 76_224_907_536_312;

/// What may happen between two pieces of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An app is killed.
    KillApp,
    /// A device is switched off and on; its clocks begin anew.
    Reboot,
    /// Somebody sets a device's wall clock.
    WindClock,
    /// The relay is killed.
    KillRelay,
    /// The relay is restored from an older copy.
    RestoreRelay,
    /// What a broken connection had under way arrives.
    Stray,
    /// Nobody works for some days.
    Leap,
    /// A device is lost and shut out.
    Revoke,
    /// A role ends: at once, later, or as of earlier.
    EndRole,
    /// Somebody changes the store or the role.
    Transfer,
    /// Somebody gets one more device.
    Equip,
    /// The second policy is published.
    Policy,
}

/// Each fault with how often it comes in a hundred actions where a seed does not favour it.
const FAULTS: [(Fault, u32); 12] = [
    (Fault::KillApp, 2),
    (Fault::Reboot, 2),
    (Fault::WindClock, 1),
    (Fault::KillRelay, 1),
    (Fault::RestoreRelay, 1),
    (Fault::Stray, 4),
    (Fault::Leap, 1),
    (Fault::Revoke, 1),
    (Fault::EndRole, 1),
    (Fault::Transfer, 1),
    (Fault::Equip, 1),
    (Fault::Policy, 1),
];

/// Somebody with a device.
#[derive(Clone, Debug)]
pub struct Member {
    /// Staff number; also the name of the first device.
    pub number: String,
    /// The role.
    pub role: &'static str,
    /// The store.
    pub store: Option<&'static str>,
    /// A second device.
    pub second: bool,
}

/// Who works here, how long, and how often each fault comes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Some dozens of devices; otherwise four to eight.
    pub large: bool,
    /// The people.
    pub cast: Vec<Member>,
    /// How many actions.
    pub actions: usize,
    /// People also keep matters, records about people, and stocks.
    pub papers: bool,
    weights: Vec<(Fault, u32)>,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x706c_616e);
        let large = seed % 16 == 5;
        let mut cast = Vec::new();
        let mut hire = |prefix: &str, count: u32, role, stores: &[&'static str], rng: &mut ChaCha8Rng| {
            for at in 0..count {
                let store = stores.get(at as usize % stores.len().max(1)).copied();
                let number = format!("{prefix}{:02}", at + 1);
                cast.push(Member { number, role, store, second: rng.random_range(0..4) == 0 });
            }
        };
        let (sales, crews, bosses) = if large {
            (rng.random_range(9..13), rng.random_range(11..16), rng.random_range(4..6))
        } else {
            (rng.random_range(2..4), rng.random_range(1..4), 1)
        };
        hire("D", sales, SALES, if large { &STORES } else { &STORES[..2] }, &mut rng);
        hire("S", crews, CREW, &[], &mut rng);
        hire("N", bosses, BOSS, &[], &mut rng);
        let mut actions = if large { 420 } else { rng.random_range(100..180) };
        let favour = [0, 1, 1, 1, 2, 4];
        let weigh =
            |(fault, often): &(Fault, u32)| (*fault, often * favour[rng.random_range(0..favour.len())]);
        let weights = FAULTS.iter().map(weigh).collect();
        let papers = !NAMED.contains(&seed) && rng.random_range(0..4) > 0;
        actions += if papers { actions / 4 } else { 0 };
        Self { large, cast, actions, papers, weights }
    }

    /// What goes wrong now, if anything does.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Option<Fault> {
        let mut at = rng.random_range(0..100);
        for (fault, often) in &self.weights {
            if at < *often {
                return Some(*fault);
            }
            at -= often;
        }
        None
    }

    /// How often something that is done to the company happens at most.
    fn most(&self, small: usize) -> usize {
        if self.large { small * 3 } else { small }
    }
}

/// The weather of one connection.
pub fn weather(rng: &mut ChaCha8Rng) -> Option<Weather> {
    let late = if rng.random_range(0..2) == 0 { 300 } else { 0 };
    let twice = if rng.random_range(0..2) == 0 { 100 } else { 0 };
    let calm = Weather { late, twice, ..Weather::default() };
    match rng.random_range(0..5) {
        0 => None,
        1 => Some(Weather { cut: 150, ..calm }),
        2 => Some(Weather { kill: 100, ..calm }),
        3 => Some(Weather { torn: 100, ..calm }),
        _ => Some(Weather { cut: 40, kill: 40, torn: 20, ..calm }),
    }
}

impl Run {
    /// Something goes wrong.
    pub(super) fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::KillApp => self.at_some_site(|run, site| run.world.restart(site)),
            Fault::Reboot => {
                let off_ms = self.clock_off();
                self.at_some_site(|run, site| run.world.reboot(site, off_ms));
            }
            Fault::WindClock => {
                let off_ms = self.clock_off();
                self.at_some_site(|run, site| {
                    if let Some(site) = run.world.sites.get_mut(site) {
                        site.clock_off_ms = off_ms;
                    }
                });
            }
            Fault::KillRelay => self.world.restart_relay(),
            Fault::RestoreRelay => self.restore(),
            Fault::Stray => {
                let under_way = u32::try_from(self.world.strays.len()).unwrap_or(0);
                if under_way > 0 {
                    let which = self.roll(under_way);
                    self.world.deliver_stray(which as usize);
                }
            }
            Fault::Leap => {
                // Past the lease now and then: nobody records anything then who has not been seen.
                let days = if self.roll(8) == 0 { 15 } else { i64::from(self.roll(3)) + 1 };
                self.world.pass(days * DAY_MS);
            }
            Fault::Revoke => self.revoke(),
            Fault::EndRole => self.end_role(),
            Fault::Transfer => self.transfer(),
            Fault::Equip => self.equip(),
            Fault::Policy => self.publish(),
        }
    }

    fn at_some_site(&mut self, work: impl FnOnce(&mut Self, &str)) {
        if let Some(site) = self.site() {
            work(self, &site);
        }
    }

    /// How far a clock that somebody set is off: not, by minutes, by days, by years.
    fn clock_off(&mut self) -> i64 {
        let by = i64::from(self.roll(21)) - 10;
        match self.roll(4) {
            0 => 0,
            1 => by * 7 * 60_000,
            2 => by * DAY_MS,
            _ => by * YEAR_MS,
        }
    }

    /// Whether the company changes nobody's rights now: a relay was restored, and not everyone has been
    /// there again who may have what it lacks. What they give back is judged by the rights of that day, so
    /// the operator waits.
    fn waits(&self) -> bool {
        !self.owing.is_empty()
    }

    fn revoke(&mut self) {
        if self.waits() || self.account.revoked.len() >= self.plan.most(1) {
            return;
        }
        let Some(site) = self.site() else { return };
        let device = self.world.sites[&site].device.id();
        if self.account.revoked.contains_key(&device) {
            return;
        }
        self.world.office(Command::Revoke(device, "手机丢失".into()));
        self.account.revoked.insert(device, self.world.time_ms);
        self.count("device revoked");
    }

    /// A role of somebody that is not about to end; never the office's own.
    fn some_grant(&mut self) -> Option<Grant> {
        let office = self.world.office_ids().0;
        let lasting = self.account.grants.iter().filter(|g| g.ends.is_empty() && g.person != office);
        let lasting: Vec<Grant> = lasting.cloned().collect();
        self.pick(&lasting)
    }

    fn end(&mut self, grant: &Grant, at_ms: i64) {
        self.world.office(Command::EndRole(grant.person, name(grant.role), at_ms));
        let told_ms = self.world.time_ms;
        self.moments.push(at_ms);
        let theirs = self.account.grants.iter_mut();
        let theirs = theirs.filter(|g| g.person == grant.person && g.role == grant.role);
        theirs.for_each(|g| g.ends.push((at_ms, told_ms)));
    }

    /// Grants a role and writes it down.
    pub(super) fn grant(
        &mut self,
        person: PersonId,
        role: &'static str,
        store: Option<StoreId>,
        from_ms: i64,
    ) {
        self.world.office(Command::GrantRole(person, name(role), store, from_ms));
        let told_ms = self.world.time_ms;
        self.moments.push(from_ms);
        self.account.grants.push(Grant { person, role, store, from_ms, told_ms, ends: Vec::new() });
    }

    fn end_role(&mut self) {
        let ended = self.account.grants.iter().filter(|g| !g.ends.is_empty()).count();
        if self.waits() || ended >= self.plan.most(2) {
            return;
        }
        let Some(grant) = self.some_grant() else { return };
        let now_ms = self.world.time_ms;
        let at_ms = match self.roll(4) {
            0 => now_ms + HOUR_MS * i64::from(self.roll(8) + 1),
            1 => now_ms - HOUR_MS * i64::from(self.roll(4) + 1),
            _ => now_ms,
        };
        self.end(&grant, at_ms);
        self.count("role ended");
    }

    /// Sales go to another store, a crew goes into sales: the one ends when the other begins.
    fn transfer(&mut self) {
        let Some(grant) = self.some_grant().filter(|g| g.role != BOSS) else { return };
        if self.waits() {
            return;
        }
        let Some(to) = self.pick(&STORES) else { return };
        let to = Some(StoreId::named(self.world.company(), to));
        if grant.store == to {
            return;
        }
        let later = if self.roll(3) == 0 { HOUR_MS * i64::from(self.roll(8) + 1) } else { 0 };
        let at_ms = self.world.time_ms + later;
        self.end(&grant, at_ms);
        self.grant(grant.person, SALES, to, at_ms);
        self.count("role transferred");
    }

    fn equip(&mut self) {
        let later = self.account.devices.len().saturating_sub(self.first_devices);
        let (true, Some(grant)) = (later < self.plan.most(2), self.some_grant()) else { return };
        let number = format!("X{:02}", self.account.devices.len());
        self.world.equip(&number, grant.person);
        let device = self.world.sites[&number].device.id();
        self.account.devices.insert(device, grant.person);
        self.count("device enrolled");
    }

    fn publish(&mut self) {
        if self.waits() || self.account.second_policy.is_some() {
            return;
        }
        let effective_ms = self.world.time_ms + HOUR_MS * [0, 2, 12][self.roll(3) as usize];
        self.world.publish(2, &second_policy(self.plan.papers), effective_ms);
        self.moments.push(effective_ms);
        self.account.second_policy = Some((effective_ms, self.world.time_ms));
        self.count("policy published");
    }

    /// A copy is taken, the devices go on for a while, and the copy is put back: where the devices can
    /// give back all that was lost.
    fn restore(&mut self) {
        let hashes: Vec<_> = self.account.taken.iter().map(|taken| taken.hash).collect();
        let copy = self.world.back_up(hashes);
        for _action in 0..self.roll(16) + 3 {
            self.world.pass(60_000);
            match self.roll(3) {
                0 => self.sync(),
                1 if self.plan.papers => self.papers(),
                _ => self.work(),
            }
        }
        if let Some(givers) = self.who_gives_back(&copy) {
            self.world.restore_relay(copy);
            self.owing.extend(givers);
            self.account.restored += 1;
            self.count("relay restored");
        }
    }

    /// The devices that can give back what came after the copy: each author that still holds it and may
    /// still say it, or else whoever has it. What a third device alone gives back is held in its name.
    fn who_gives_back(&self, copy: &RelayCopy) -> Option<BTreeSet<String>> {
        if self.moments.iter().any(|ms| *ms >= copy.at_ms) {
            return None;
        }
        let log = self.world.relay.log();
        let mut givers = BTreeSet::new();
        for logged in log.read(copy.head, usize::MAX).expect("the log reads") {
            match &logged.entry {
                Entry::Change { doc, hash, device, .. } => {
                    let has = |site: &&Site| site.device.state(*doc).is_ok_and(|(found, _)| found.has(*hash));
                    let in_use = |site: &&Site| !self.account.revoked.contains_key(&site.device.id());
                    let sites = || self.world.sites.values().filter(in_use).filter(has);
                    let author = sites().find(|site| site.device.id() == *device);
                    givers.insert(author.or_else(|| sites().next())?.device.id());
                }
                Entry::Resolved { .. } => return None,
                _ => {}
            }
        }
        // What the tray took since is on its author's device too, which hands it in again.
        let held = log.held(&HeldFilter::default(), None, usize::MAX).expect("the tray reads");
        givers.extend(held.iter().filter(|held| held.at_ms >= copy.at_ms).map(|held| held.device));
        givers.into_iter().map(|device| Some(self.stands(device)?.to_owned())).collect()
    }

    /// The site of a device that was not shut out.
    fn stands(&self, device: DeviceId) -> Option<&str> {
        let shut_out = self.account.revoked.contains_key(&device);
        let found = self.world.sites.iter().find(|(_, site)| site.device.id() == device);
        found.filter(|_| !shut_out).map(|(site, _)| site.as_str())
    }
}
