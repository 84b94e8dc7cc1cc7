//! The world: a company with its relay and devices, and the clock they live by.

use std::collections::BTreeMap;
use std::sync::Arc;

use gendan_server::blob::BlobStore;
use gendan_server::blob::memory::MemoryBlobs;
use gendan_server::log::ChangeLog;
use gendan_server::log::KeptLog;
use gendan_server::relay::Relay;
use gendan_server::relay::found::{Founding, certify, found};
use gendan_server::relay::office::Clerk;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};
use sync_core::command::Command;
use sync_core::device::record::Identity;
use sync_core::device::{Chance, Device, DeviceError, Performed};
use sync_core::fact::keys::SecretKey;
use sync_core::ids::{BlobHash, CompanyId, DeviceId, PersonId, StoreId};
use sync_core::policy::model::Policy;
use sync_core::policy::publish::Published;
use sync_core::store::{MemoryDisk, MemoryStore};
use sync_core::time::{Now, at_offset};

use super::net::{Link, Stray};

/// A device with its disk, which survives a restart, and its connection.
pub struct Site {
    /// The device.
    pub device: Device<MemoryStore>,
    /// Its disk.
    pub disk: MemoryDisk,
    /// Its connection to the relay, while there is one.
    pub link: Option<Link>,
    /// How far its wall clock is off, in milliseconds.
    pub clock_off_ms: i64,
    /// When the device was last switched on, by true time: its monotonic clock counts from there.
    pub booted_ms: i64,
    /// Which boot that was.
    pub boot: u64,
    seed: u64,
}

/// The company.
pub struct World {
    /// The relay.
    pub relay: Arc<Relay>,
    /// Photos and files.
    pub blobs: Arc<dyn BlobStore>,
    /// Devices by a name for the test.
    pub sites: BTreeMap<String, Site>,
    /// Chance.
    pub rng: ChaCha8Rng,
    /// True time, Unix milliseconds.
    pub time_ms: i64,
    /// What connections that are gone had under way, and may still reach the relay.
    pub strays: Vec<Stray>,
    trace: Sha256,
    company_key: SecretKey,
    office: (PersonId, DeviceId, SecretKey),
    company: CompanyId,
    relay_disk: MemoryDisk,
}

/// A copy of what the relay had made durable.
pub struct RelayCopy {
    disk: MemoryDisk,
    /// The photos and files that were whole then, each with its media type and document.
    blobs: Vec<(BlobHash, Vec<u8>, String, sync_core::ids::DocId)>,
    /// The position of the newest entry of its log.
    pub head: sync_core::ids::Position,
    /// When it was taken.
    pub at_ms: i64,
}

/// 2026-11-23 08:00 in Shanghai.
pub const START_MS: i64 = 1_795_392_000_000;

fn chance(seed: u64) -> Chance {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Box::new(move |buffer| rng.fill_bytes(buffer))
}

/// The policy of simulations.
pub fn small_policy() -> Policy {
    toml::from_str(include_str!("../../policies/small.toml")).expect("the small policy parses")
}

impl World {
    /// A company founded from a seed under a policy.
    pub fn found(seed: u64, policy: &Policy) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let company = CompanyId::from_bytes(rng.random());
        let company_key = SecretKey::from_seed(&rng.random());
        let key = SecretKey::from_seed(&rng.random());
        let (person, device) = (PersonId::staffed(company, "M01"), DeviceId::from_bytes(rng.random()));
        let relay_disk = MemoryDisk::new();
        let store = relay_disk.open().expect("a fresh disk opens");
        let log: Arc<dyn ChangeLog> =
            Arc::new(KeptLog::open(store, rng.random()).expect("an empty store opens"));
        let mut fill = chance(rng.random());
        let mut clerk = Clerk { person, device, key: &key, chance: &mut *fill };
        let founding = Founding {
            name: "好家居".into(),
            number: "M01".into(),
            person_name: "周总".into(),
            role: "management".parse().expect("a valid name"),
        };
        let now = Now { wall: at_offset(START_MS, 8 * 3600), elapsed_ms: 0, boot: 0 };
        let published = Published::of(1, policy);
        let relay = found(log, company, &company_key, &mut clerk, founding, &published, &now)
            .expect("an empty log takes a company");
        Self {
            relay: Arc::new(relay),
            blobs: Arc::new(MemoryBlobs::default()),
            sites: BTreeMap::new(),
            rng,
            time_ms: START_MS + 1_000,
            strays: Vec::new(),
            trace: Sha256::new(),
            company_key,
            office: (person, device, key),
            company,
            relay_disk,
        }
    }

    /// The relay is killed and started again over what it had made durable; every connection breaks.
    pub fn restart_relay(&mut self) {
        self.strays.clear();
        for site in self.sites.values_mut() {
            site.link = None;
            site.device.disconnected();
        }
        self.relay_disk = self.relay_disk.snapshot();
        let store = self.relay_disk.open().expect("a snapshot is not open elsewhere");
        let log: Arc<dyn ChangeLog> = Arc::new(KeptLog::open(store, 1).expect("the log opens again"));
        self.relay = Arc::new(Relay::open(log, self.company).expect("the relay opens again"));
    }

    /// What the relay's disk holds now.
    pub fn relay_copy(&self) -> MemoryDisk {
        self.relay_disk.snapshot()
    }

    /// An older copy of the relay's disk is put back, and the relay started over it.
    pub fn rewind_relay(&mut self, older: MemoryDisk) {
        self.relay_disk = older;
        self.restart_relay();
    }

    /// A copy of the relay's disk and of the photos and files named here that it has whole.
    pub fn back_up(&self, blobs: impl IntoIterator<Item = BlobHash>) -> RelayCopy {
        let whole = |hash: BlobHash| {
            let (doc, media) = self.blobs.belongs(hash).expect("memory reads")?;
            let mut bytes = Vec::new();
            loop {
                let part = self.blobs.read(hash, bytes.len() as u64).expect("a whole blob reads");
                if part.is_empty() {
                    return Some((hash, bytes, media, doc));
                }
                bytes.extend(part);
            }
        };
        let blobs = blobs.into_iter().filter_map(whole).collect();
        let head = self.relay.log().head();
        RelayCopy { disk: self.relay_disk.snapshot(), blobs, head, at_ms: self.time_ms }
    }

    /// The relay is restored from a copy, as `gendan restore` does it: under a new epoch.
    pub fn restore_relay(&mut self, copy: RelayCopy) {
        let mut store = copy.disk.open().expect("a copy is not open elsewhere");
        let epoch = self.rng.random::<u64>() | 1;
        KeptLog::new_epoch(&mut store, epoch).expect("memory takes every write");
        drop(store);
        let blobs = MemoryBlobs::default();
        for (hash, bytes, media, doc) in copy.blobs {
            blobs.offer(hash, bytes.len() as u64, &media, doc).expect("it was taken before");
            blobs.part(hash, 0, &bytes).expect("it was whole");
        }
        self.blobs = Arc::new(blobs);
        self.rewind_relay(copy.disk);
    }

    /// Adds to the trace of the run: what happened, in the order it did.
    pub fn note(&mut self, what: &str, bytes: &[u8]) {
        self.trace.update(what.as_bytes());
        self.trace.update((bytes.len() as u64).to_be_bytes());
        self.trace.update(bytes);
    }
    /// The digest of the trace so far, hex: the same for two runs in which the same happened.
    pub fn trace(&self) -> String {
        hex::encode(self.trace.clone().finalize())
    }

    /// The person in whose name the office acts, and the device it acts through.
    pub fn office_ids(&self) -> (PersonId, DeviceId) {
        (self.office.0, self.office.1)
    }

    /// Time goes on.
    pub fn pass(&mut self, ms: i64) {
        self.time_ms += ms;
    }

    /// What the clocks of a device say.
    pub fn now_at(&self, name: &str) -> Now {
        let site = &self.sites[name];
        let elapsed_ms = u64::try_from(self.time_ms - site.booted_ms).unwrap_or(0);
        Now { wall: at_offset(self.time_ms + site.clock_off_ms, 8 * 3600), elapsed_ms, boot: site.boot }
    }

    /// A device is switched off and on: its monotonic clock begins anew, and its wall clock is off by so
    /// much from then on.
    pub fn reboot(&mut self, name: &str, clock_off_ms: i64) {
        self.restart(name);
        let time_ms = self.time_ms;
        if let Some(site) = self.sites.get_mut(name) {
            site.boot += 1;
            site.booted_ms = time_ms;
            site.clock_off_ms = clock_off_ms;
        }
    }

    /// What the clocks say at a device that is off by so much.
    pub fn now(&self, off_ms: i64) -> Now {
        let elapsed_ms = u64::try_from(self.time_ms - START_MS).unwrap_or(0);
        Now { wall: at_offset(self.time_ms + off_ms, 8 * 3600), elapsed_ms, boot: 1 }
    }

    /// The office does something.
    pub fn office(&mut self, command: Command) {
        self.try_office(command).expect("the office may do this");
    }

    /// The office tries something.
    pub fn try_office(&mut self, command: Command) -> Result<(), gendan_server::relay::RelayError> {
        self.pass(1_000);
        let now = self.now(0);
        let mut fill = chance(self.rng.random());
        let (person, device, key) = &self.office;
        let mut clerk = Clerk { person: *person, device: *device, key, chance: &mut *fill };
        self.relay.act(&mut clerk, command, &now).map(|_| ())
    }

    /// The office publishes a policy, in force from a moment on.
    pub fn publish(&mut self, version: u32, policy: &Policy, effective_ms: i64) {
        let published = Published::of(version, policy);
        self.pass(1_000);
        let publish = |relay: &Relay, clerk: &mut Clerk<'_>, now: &Now| {
            relay.publish(clerk, &published, version, effective_ms, now)
        };
        self.as_clerk(publish).expect("the office may publish");
    }

    /// Does something in the name of the office's custodial device, now.
    pub fn as_clerk<T>(&mut self, work: impl FnOnce(&Relay, &mut Clerk<'_>, &Now) -> T) -> T {
        let now = self.now(0);
        let mut fill = chance(self.rng.random());
        let (person, device, key) = &self.office;
        let mut clerk = Clerk { person: *person, device: *device, key, chance: &mut *fill };
        work(&self.relay, &mut clerk, &now)
    }

    /// Runs something in the name of the office's custodial device.
    pub fn as_office<T>(&mut self, work: impl FnOnce(&Relay, &Clerk<'_>, i64) -> T) -> T {
        let mut fill = chance(self.rng.random());
        let (person, device, key) = &self.office;
        let clerk = Clerk { person: *person, device: *device, key, chance: &mut *fill };
        work(&self.relay, &clerk, self.time_ms)
    }

    /// A person joins with a role, and gets a device, which has not synced yet.
    pub fn join(&mut self, number: &str, role: &str, store: Option<&str>) -> PersonId {
        let person = PersonId::staffed(self.company, number);
        self.office(Command::AddPerson(number.into(), format!("员工{number}")));
        let store = store.map(|name| {
            self.office(Command::AddStore(name.into()));
            StoreId::named(self.company, name)
        });
        let role = role.parse().expect("a valid name");
        self.office(Command::GrantRole(person, role, store, START_MS));
        self.equip(number, person);
        person
    }

    /// A device for a person, under this name.
    pub fn equip(&mut self, name: &str, person: PersonId) {
        let device = DeviceId::from_bytes(self.rng.random());
        let seed: [u8; 32] = self.rng.random();
        let public = SecretKey::from_seed(&seed).public();
        let certificate = certify(self.company, &self.company_key, person, device, public, self.time_ms);
        self.office(Command::Enrol(certificate.clone(), false));
        let identity = Identity {
            company: self.company,
            device,
            person,
            seed: seed.into(),
            certificate: certificate.into(),
            company_key: self.company_key.public().0.into(),
            relay: String::new(),
        };
        let disk = MemoryDisk::new();
        let store = disk.open().expect("a fresh disk opens");
        let seed = self.rng.random();
        let device = Device::enrol(store, &identity, chance(seed)).expect("an empty store takes an identity");
        let (clock_off_ms, booted_ms, boot) = (0, START_MS, 1);
        let site = Site { device, disk, link: None, clock_off_ms, booted_ms, boot, seed };
        self.sites.insert(name.to_owned(), site);
    }

    /// The company.
    pub fn company(&self) -> CompanyId {
        self.company
    }

    /// A device does something, online or not.
    pub fn perform(&mut self, name: &str, command: Command) -> Result<Performed, DeviceError> {
        self.pass(1_000);
        let now = self.now_at(name);
        let site = self.sites.get_mut(name).expect("a known device");
        site.device.perform(command, &now)
    }

    /// The app is killed and started again: what was durable is there, nothing else. A device that has
    /// erased itself is no site any more.
    pub fn restart(&mut self, name: &str) {
        let site = self.sites.get_mut(name).expect("a known device");
        site.link = None;
        site.seed += 1;
        let store = site.disk.snapshot();
        site.disk = store;
        let opened = site.disk.open().expect("a disk opens again");
        match Device::open(opened, chance(site.seed)) {
            Ok(device) => site.device = device,
            Err(DeviceError::NotEnrolled) => drop(self.sites.remove(name)),
            Err(error) => panic!("a device opens again: {error}"),
        }
    }

    /// Every device connects in calm weather and syncs until all are in step.
    pub fn heal(&mut self) {
        let names: Vec<String> = self.sites.keys().cloned().collect();
        for _round in 0..40 {
            self.relay.moments(self.time_ms).expect("the log takes what comes by itself");
            let mut quiet = true;
            for name in names.iter().filter(|name| self.sites.contains_key(*name)).collect::<Vec<_>>() {
                self.connect(name);
                quiet &= self.run(name, None) == 0;
            }
            if quiet {
                return;
            }
        }
        panic!("the devices do not come to rest");
    }
}
