//! A company with many orders in a relay's data folder, made once and kept for later runs.
//!
//! Founded, staffed and filled through the server's own library: real keys and certificates, signed
//! facts, a directory, audiences and the change log; the read model is built by a first run of the relay.
//! Everything follows from the [`Spec`]. Some orders are put through the relay's admission, change by
//! change, so that data nobody could have sent is not measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use anyhow::{Context as _, ensure};
use gendan_server::cli::{Company as Opened, Context};
use gendan_server::clock::Clock;
use gendan_server::identity::keys::KeyRing;
use gendan_server::identity::tokens::{Bearer, Kind, Tokens};
use gendan_server::log::{Batch, ChangeLog, Entry, Snapshot, Tag};
use gendan_server::relay::audience;
use gendan_server::relay::found::{Founding, certify, found};
use gendan_server::relay::office::Clerk;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sync_core::admission::{Gate, Stage, admit};
use sync_core::device::record::Identity;
use sync_core::document::Document;
use sync_core::fact::keys::SecretKey;
use sync_core::fact::kinds::{DeviceEnrolled, Payload, PersonAdded, RoleGranted, StoreAdded};
use sync_core::fold::fold;
use sync_core::ids::{CompanyId, DeviceId, DocId, DocKind, PersonId, Position, StoreId};
use sync_core::policy::check::shipped;
use sync_core::policy::model::Policy;
use sync_core::policy::publish::Published;
use sync_core::time::{Now, at_offset};

use super::Plan;
use super::order::{Hand, Order, Pen, START_MS, Staff, name, write};
use super::process::{RelayProcess, ms};

/// Changes with the layout of prepared stores; one more where what is written here changes.
const LAYOUT: u32 = 1;
/// Orders appended to the log together.
const ORDERS_A_BATCH: usize = 64;
/// One order in so many is put through admission.
const CHECKED: u32 = 997;
const SEED: u64 = 2_025;
const STORE: &str = "城东店";

/// What a company is made from.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Orders.
    pub orders: u32,
    /// Changes of each, 11 at least.
    pub changes: u32,
    /// Crews of two people with a device each; the orders go round.
    pub crews: u32,
    /// Each document stands in the log as one snapshot; otherwise as the changes that were admitted.
    pub compacted: bool,
}

/// What is known of the prepared data.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Size {
    /// Bytes of all documents as Automerge saves them, the directory aside.
    pub snapshots: u64,
    /// Bytes of all their changes, not deflated.
    pub changes: u64,
    /// Milliseconds until the relay listened when it had no read model yet.
    pub first_open_ms: f64,
}

/// A company in a data folder.
pub struct Company {
    /// The data folder of `gendan serve`.
    pub folder: PathBuf,
    /// What it was made from.
    pub spec: Spec,
    /// How large it is.
    pub size: Size,
}

fn seeded(label: &str) -> ChaCha8Rng {
    let digest: [u8; 32] = Sha256::digest(format!("{SEED}/{label}")).into();
    ChaCha8Rng::from_seed(digest)
}
fn drawn<const N: usize>(label: &str) -> [u8; N] {
    let mut bytes = [0; N];
    seeded(label).fill_bytes(&mut bytes);
    bytes
}

/// The company's id.
pub fn company_id() -> CompanyId {
    CompanyId::from_bytes(drawn("company.id"))
}
fn company_key() -> SecretKey {
    SecretKey::from_seed(&drawn("company.key"))
}
fn seed_of(number: &str) -> [u8; 32] {
    drawn(&format!("device {number}"))
}

/// The person with a staff number, and their device.
pub fn hand(number: &str) -> Hand {
    Hand {
        person: PersonId::staffed(company_id(), number),
        device: DeviceId::from_bytes(drawn(&format!("id {number}"))),
        key: SecretKey::from_seed(&seed_of(number)),
    }
}

/// The staff number of one of a crew's two people.
pub fn crew_number(crew: u32, second: bool) -> String {
    format!("S{crew:04}{}", if second { "b" } else { "a" })
}

/// The staff number of the merchandiser, who sees every order: the office's device in the benches.
pub const OFFICE: &str = "G01";
const FOUNDER: &str = "M01";

fn now() -> Now {
    Now { wall: at_offset(START_MS, 8 * 3600), elapsed_ms: 0, boot: 0 }
}

/// The context of the server's commands on a data folder.
fn context(folder: &Path) -> Context {
    Context { data: folder.to_owned(), json: false, clock: Clock::system(None) }
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Bytes of a folder's files.
pub fn bytes_in(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() { bytes_in(&entry.path())? } else { meta.len() };
    }
    Ok(sum)
}

impl Company {
    /// The company of a spec: as an earlier run left it, or made now.
    pub fn prepare(plan: &Plan, spec: Spec) -> anyhow::Result<Self> {
        let key = format!("{spec:?} {LAYOUT} {SEED} {}", sync_core::store::LAYOUT);
        let name = format!("company-{}", &hex::encode(Sha256::digest(key))[..12]);
        let root = plan.target.join("bench-data");
        let folder = root.join(name);
        let told = folder.join("size.json");
        if plan.fresh && folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        if !told.exists() {
            eprintln!("  preparing {} orders of {} changes …", spec.orders, spec.changes);
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            let mut size = build(&folder, spec)?;
            let relay = RelayProcess::start(&folder)?;
            size.first_open_ms = ms(relay.opened);
            relay.settle()?;
            relay.stop()?;
            fs::write(&told, serde_json::to_vec(&size)?)?;
        }
        let size = serde_json::from_slice(&fs::read(&told)?)?;
        Ok(Self { folder, spec, size })
    }

    /// A copy to work on, gone with what is given.
    pub fn copied(&self) -> anyhow::Result<(tempfile::TempDir, Self)> {
        let root = self.folder.parent().context("prepared stores have a folder")?;
        let temporary = tempfile::Builder::new().prefix("run-").tempdir_in(root)?;
        let folder = temporary.path().join("data");
        copy(&self.folder, &folder)?;
        Ok((temporary, Self { folder, ..*self }))
    }

    /// Opens it in this process; no relay may be running on it.
    pub fn open(&self) -> anyhow::Result<Opened> {
        context(&self.folder).open()
    }

    /// Runs something in the name of the founder's custodial device.
    pub fn as_office<T>(&self, work: impl FnOnce(&Opened, &mut Clerk<'_>) -> T) -> anyhow::Result<T> {
        let opened = self.open()?;
        let person = PersonId::staffed(company_id(), FOUNDER);
        let (device, key) = opened.keys.custodial(person)?.context("the founder's device")?;
        let mut rng = seeded("office");
        let mut chance = move |buffer: &mut [u8]| rng.fill_bytes(buffer);
        let mut clerk = Clerk { person, device, key: &key, chance: &mut chance };
        Ok(work(&opened, &mut clerk))
    }

    /// Every order as Automerge saves it.
    pub fn documents(&self) -> anyhow::Result<Vec<(DocId, Vec<u8>)>> {
        let opened = self.open()?;
        let mut documents = Vec::new();
        for doc in self.orders(0..self.spec.orders) {
            let found = opened.relay.document(doc)?.context("an order is missing")?;
            documents.push((doc, found.save()));
        }
        Ok(documents)
    }

    /// The document ids of some orders.
    pub fn orders(&self, range: impl IntoIterator<Item = u32>) -> Vec<DocId> {
        let id = |index| DocId::numbered(company_id(), DocKind::Order, &super::order::number(index));
        range.into_iter().map(id).collect()
    }

    /// The orders of a crew, by number.
    pub fn jobs(&self, crew: u32) -> Vec<DocId> {
        let step = usize::try_from(self.spec.crews).unwrap_or(usize::MAX);
        self.orders((crew..self.spec.orders).step_by(step))
    }
}

/// Who a device is, as enrolment would have left it.
pub fn identity(number: &str) -> Identity {
    let Hand { person, device, key } = hand(number);
    Identity {
        company: company_id(),
        device,
        person,
        seed: seed_of(number).into(),
        certificate: certify(company_id(), &company_key(), person, device, key.public(), START_MS).into(),
        company_key: company_key().public().0.into(),
        relay: String::new(),
    }
}

/// A token for a device, good for a day.
pub fn token(number: &str, now_ms: i64) -> anyhow::Result<String> {
    let tokens = Tokens::new(company_id(), &drawn::<32>("token.key"), 86_400_000);
    let Hand { person, device, .. } = hand(number);
    Ok(tokens.issue(Bearer { device, person, kind: Kind::Device }, now_ms)?)
}

fn build(folder: &Path, spec: Spec) -> anyhow::Result<Size> {
    key_ring(folder)?;
    let context = context(folder);
    let keys = KeyRing::open(folder)?;
    let log = context.log(&keys)?;
    directory(&keys, log.clone(), spec)?;
    drop(log);
    let opened = context.open()?;
    let size = fill(&opened, spec)?;
    drop(opened);
    Ok(size)
}

/// The key ring's files, from the seed.
fn key_ring(folder: &Path) -> anyhow::Result<()> {
    let identity = folder.join("identity");
    fs::create_dir_all(identity.join("office"))?;
    let founder = PersonId::staffed(company_id(), FOUNDER);
    let custodial = [&hand(FOUNDER).device.as_bytes()[..], &seed_of(FOUNDER)].concat();
    let files = [
        ("company.id".to_owned(), drawn::<16>("company.id").to_vec()),
        ("company.key".to_owned(), drawn::<32>("company.key").to_vec()),
        ("token.key".to_owned(), drawn::<32>("token.key").to_vec()),
        ("store.key".to_owned(), drawn::<32>("store.key").to_vec()),
        (format!("office/{founder}.key"), custodial),
    ];
    for (name, bytes) in files {
        use std::os::unix::fs::PermissionsExt as _;
        let path = identity.join(name);
        fs::write(&path, hex::encode(bytes))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Founds the company and staffs it: everyone with a role and an enrolled device.
fn directory(keys: &KeyRing, log: std::sync::Arc<dyn ChangeLog>, spec: Spec) -> anyhow::Result<()> {
    let toml = shipped("furniture").context("the shipped profile")?;
    let policy = Policy::parse(toml).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let founder = hand(FOUNDER);
    let mut rng = seeded("founding");
    let mut chance = |buffer: &mut [u8]| rng.fill_bytes(buffer);
    let mut clerk =
        Clerk { person: founder.person, device: founder.device, key: &founder.key, chance: &mut chance };
    let founding = Founding {
        name: "好家居".into(),
        number: FOUNDER.into(),
        person_name: "周总".into(),
        role: name("management"),
    };
    let published = Published::of(1, &policy);
    let relay =
        found(log.clone(), company_id(), &keys.company_key, &mut clerk, founding, &published, &now())?;
    let doc = DocId::directory(company_id());
    let begun = relay.document(doc)?.context("the directory")?;
    let mut pen = Pen::new(begun, seeded("directory"), START_MS - 10_000_000_000);
    let store = StoreId::named(company_id(), STORE);
    let mut say = |payload: Payload| pen.say(&founder, Vec::new(), Some(payload));
    say(StoreAdded { store, name: STORE.into() }.into());
    let mut staff = vec![
        ("D01".to_owned(), "sales", Some(store)),
        (OFFICE.to_owned(), "merchandiser", None),
        ("K01".to_owned(), "warehouse", None),
    ];
    for crew in 0..spec.crews {
        staff.extend([false, true].map(|second| (crew_number(crew, second), "crew", None)));
    }
    for (number, role, store) in staff {
        let person = PersonId::staffed(company_id(), &number);
        say(PersonAdded { person, number: number.clone(), name: format!("员工{number}") }.into());
        say(RoleGranted { person, role: name(role), store, from_ms: START_MS - 20_000_000_000 }.into());
        say(DeviceEnrolled { certificate: identity(&number).certificate, custodial: false }.into());
    }
    let order = pen.done();
    append(log.as_ref(), vec![(order, Vec::new())], spec.compacted)
}

/// The tags of an order that is assigned to a crew.
fn tags(crew: &[PersonId]) -> Vec<Tag> {
    let mut tags =
        vec![Tag::All(DocKind::Order), Tag::Store(StoreId::named(company_id(), STORE), DocKind::Order)];
    tags.extend(crew.iter().map(|person| Tag::Person(*person, DocKind::Order)));
    tags
}

/// Appends documents with their audiences, then compacts them where that is asked for.
fn append(log: &dyn ChangeLog, orders: Vec<(Order, Vec<Tag>)>, compacted: bool) -> anyhow::Result<()> {
    let mut entries = Vec::new();
    let mut ends = Vec::new();
    let mut snapshots = Vec::new();
    for (order, tags) in orders {
        let doc = order.doc.id();
        let device = DeviceId::from_bytes([0; 16]);
        entries.extend(order.said.into_iter().map(|said| Entry::Change {
            doc,
            hash: said.change.hash,
            device,
            bytes: Some(said.change.bytes),
        }));
        ends.push(entries.len() as u64);
        if !tags.is_empty() {
            entries.push(Entry::Audience { doc, gained: tags, lost: Vec::new() });
        }
        snapshots.push((doc, order.doc));
    }
    let count = entries.len() as u64;
    let last = log.append(Batch { entries, at_ms: START_MS, ..Batch::default() })?;
    if !compacted {
        return Ok(());
    }
    let snapshot = |((doc, found), end): ((DocId, Document), u64)| Snapshot {
        doc,
        bytes: found.save(),
        upto: Position(last.0 - count + end),
    };
    log.compact(snapshots.into_iter().zip(ends).map(snapshot).collect())?;
    Ok(())
}

/// Writes the orders on one thread and appends them on another.
fn fill(opened: &Opened, spec: Spec) -> anyhow::Result<Size> {
    let staff = Staff {
        sales: hand("D01"),
        merchandiser: hand(OFFICE),
        warehouse: hand("K01"),
        store: StoreId::named(company_id(), STORE),
        company: company_id(),
    };
    let crews: Vec<[PersonId; 2]> = (0..spec.crews)
        .map(|crew| [false, true].map(|second| PersonId::staffed(company_id(), &crew_number(crew, second))))
        .collect();
    let mut size = Size::default();
    std::thread::scope(|scope| {
        let (full, taken) = sync_channel(4);
        let writer = scope.spawn(move || -> anyhow::Result<()> {
            while let Ok(batch) = taken.recv() {
                append(opened.log.as_ref(), batch, spec.compacted)?;
            }
            Ok(())
        });
        let mut batch = Vec::new();
        for index in 0..spec.orders {
            let crew = &crews[(index % spec.crews) as usize];
            let order = write(&staff, SEED, index, spec.changes, crew);
            if index % CHECKED == 0 {
                check(opened, &order, crew)?;
            }
            size.snapshots += order.doc.save().len() as u64;
            size.changes += order.said.iter().map(|s| s.change.bytes.len() as u64).sum::<u64>();
            batch.push((order, tags(crew)));
            if batch.len() == ORDERS_A_BATCH || index + 1 == spec.orders {
                // A writer that has failed says why when it is joined.
                if full.send(std::mem::take(&mut batch)).is_err() {
                    break;
                }
            }
        }
        drop(full);
        writer.join().map_err(|_| anyhow::anyhow!("appending panicked"))??;
        Ok(size)
    })
}

/// An order that the relay would not have admitted, or would show to others, is not measured.
fn check(opened: &Opened, order: &Order, crew: &[PersonId]) -> anyhow::Result<()> {
    let footing = opened.relay.footing();
    let rules = footing.rules();
    let mut stage = Stage::new(order.doc.id(), None);
    for said in &order.said {
        let gate = Gate {
            rules,
            device: said.device,
            person: said.person,
            now_ms: START_MS + 400 * 86_400_000,
            released: false,
        };
        admit(&mut stage, &said.change.bytes, &gate).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    }
    let doc = stage.document();
    ensure!(doc.heads() == order.doc.heads(), "an order that was admitted is another");
    let ours: audience::Tags = tags(crew).into_iter().collect();
    ensure!(audience::tags(&fold(doc, &rules)) == ours, "an order has another audience");
    let values: BTreeMap<_, _> = [sync_core::domain::fields::Map::Fields]
        .into_iter()
        .chain([sync_core::domain::fields::Map::Items, sync_core::domain::fields::Map::Notes])
        .map(|map| (map.name(), doc.values(map).len()))
        .collect();
    ensure!(values.values().sum::<usize>() == 40, "an order has 40 values, this has {values:?}");
    Ok(())
}
