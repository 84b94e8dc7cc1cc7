//! Damaged files of a relay and of a device, drawn by chance: what opens is whole, what does not says what
//! is wrong and the way on. Nothing is lost silently, and nothing starts as if all were well.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use client_ffi::FieldError;
use gendan_server::cli::{self, Cli};
use gendan_tests::simulation::world::{World, small_policy};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sync_core::command::Command;
use sync_core::device::salvage::Salvage;
use sync_core::device::{Device, DeviceError};
use sync_core::ids::{DocId, DocKind, StoreId};
use sync_core::store::{Batch, DeviceStore, SledStore, StoreKey, Table};
use tempfile::TempDir;

const SEED: u64 = 20_261_123;
const TRIES: usize = 100;

/// What befalls a folder.
#[derive(Clone, Copy, Debug)]
enum Damage {
    CutTail,
    FlippedByte,
    ZeroedPage,
    MissingFile,
    OlderFile,
}
const DAMAGES: [Damage; 5] =
    [Damage::CutTail, Damage::FlippedByte, Damage::ZeroedPage, Damage::MissingFile, Damage::OlderFile];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Every file that holds something, relative to the folder, in a fixed order.
fn files(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(root, &path));
        } else if entry.metadata().unwrap().len() > 0 {
            found.push(path.strip_prefix(root).unwrap().to_owned());
        }
    }
    found.sort();
    found
}

/// Damages one file of `broken`, a copy of the folder; says what was done. Half of it hits the data.
fn damage(broken: &Path, older: &Path, kind: Damage, data: &Path, rng: &mut ChaCha8Rng) -> String {
    let all = files(broken, broken);
    let name = if rng.random_range(0..2) == 0 {
        data.to_owned()
    } else {
        all[rng.random_range(0..all.len())].clone()
    };
    let path = broken.join(&name);
    let mut bytes = fs::read(&path).unwrap();
    let at = rng.random_range(0..bytes.len());
    match kind {
        Damage::CutTail => bytes.truncate(at),
        Damage::FlippedByte => bytes[at] ^= 1 << rng.random_range(0..8),
        Damage::ZeroedPage => {
            let from = at / 4096 * 4096;
            let to = bytes.len().min(from + 4096);
            bytes[from..to].fill(0);
        }
        Damage::MissingFile => {
            fs::remove_file(&path).unwrap();
            return format!("{} removed", name.display());
        }
        Damage::OlderFile => match fs::read(older.join(&name)) {
            Ok(old) => bytes = old,
            Err(_) => {
                fs::remove_file(&path).unwrap();
                return format!("{} was not there before", name.display());
            }
        },
    }
    fs::write(&path, bytes).unwrap();
    format!("{} {kind:?} at {at}", name.display())
}

/// One kind of store for the table: how it is opened, and what its error must say.
struct Subject<'a> {
    what: &'a str,
    whole: &'a Path,
    older: &'a Path,
    data: &'a Path,
    /// Opens and reads everything: what it holds, or the words of the error.
    open: &'a dyn Fn(&Path) -> Result<String, String>,
    /// One of these stands in every error.
    ways_on: &'a [&'a str],
}

fn every_damage_is_told(subject: &Subject<'_>) {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let expected = (subject.open)(subject.whole).unwrap();
    let (mut told, mut harmless) = (0, 0);
    for n in 0..TRIES {
        let broken = tempfile::tempdir().unwrap();
        copy(subject.whole, broken.path());
        let kind = DAMAGES[n % DAMAGES.len()];
        let what = damage(broken.path(), subject.older, kind, subject.data, &mut rng);
        match (subject.open)(broken.path()) {
            Ok(found) => {
                assert!(found == expected, "{} {n}: {what}: a silent loss", subject.what);
                harmless += 1;
            }
            Err(words) => {
                let clear = subject.ways_on.iter().any(|way| words.contains(way));
                assert!(clear, "{} {n}: {what}: no way on in: {words}", subject.what);
                told += 1;
            }
        }
    }
    println!("{}: seed {SEED}, {TRIES} damaged, {told} told, {harmless} whole all the same", subject.what);
    assert!(told > TRIES / 3, "the damage hit nothing");
}

fn gendan(data: &Path, arguments: &[&str]) -> Result<(), String> {
    let line = ["gendan", "--data", data.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
    cli::run(Cli::try_parse_from(line).unwrap()).map_err(|e| format!("{e:#}"))
}

/// A company with imported orders; `older` is a copy from before the second import.
fn company() -> (TempDir, TempDir) {
    let (folder, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let founding = ["init", "--company", "好家居", "--name", "周总", "--password", "gendan-damage-2026"];
    gendan(folder.path(), &founding).unwrap();
    let head =
        "订单号,门店,导购工号,客户,电话,地址,产品,型号,材质,数量,单价,已付款,担保,接单时间,要求送货日期,备注";
    let sheet = folder.path().join("orders.csv");
    for part in 0..2 {
        let row = |n: u32| {
            format!(
                "26111{part}{n:03},城东店,D09,何先生,13800000000,幸福路七号,餐椅,软包,实木,6,468.00,2808.00,,2026-11-12 19:41,2026-11-22,"
            )
        };
        let rows: Vec<String> = (0..6).map(row).collect();
        fs::write(&sheet, format!("{head}\n{}\n", rows.join("\n"))).unwrap();
        gendan(folder.path(), &["import", sheet.to_str().unwrap()]).unwrap();
        if part == 0 {
            copy(folder.path(), older.path());
        }
    }
    fs::remove_file(sheet).unwrap();
    // A photo, as an upload leaves it.
    let (blobs, hash) = (folder.path().join("blobs"), sync_core::ids::BlobHash::of(b"a photo"));
    let about: (u64, &str, DocId) = (7, "image/jpeg", DocId::from_bytes([1; 17]).unwrap());
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{hash}.blob")), b"a photo").unwrap();
    fs::write(blobs.join(format!("{hash}.about")), minicbor::to_vec(about).unwrap()).unwrap();
    gendan(folder.path(), &["check"]).unwrap();
    (folder, older)
}

/// The real open path, then the whole store: what `gendan check` does, and all that the log holds.
fn relay(data: &Path) -> Result<String, String> {
    gendan(data, &["check"])?;
    let backup = data.join("backup-of-this-test");
    gendan(data, &["backup", backup.to_str().unwrap()])?;
    let manifest = fs::read_to_string(backup.join("manifest.json")).unwrap();
    fs::remove_dir_all(&backup).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let records = |f: &&serde_json::Value| f["path"].as_str().is_some_and(|p| p.starts_with("records-"));
    let hashes: Vec<String> = manifest["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter(records)
        .map(|f| f["sha256"].to_string())
        .collect();
    Ok(hashes.concat())
}

#[test]
fn no_damage_of_a_relays_files_is_a_silent_loss_or_a_start_that_pretends() {
    let (folder, older) = company();
    every_damage_is_told(&Subject {
        what: "relay",
        whole: folder.path(),
        older: older.path(),
        data: Path::new("log/data/db"),
        open: &relay,
        ways_on: &["gendan --data NEW restore", "from a backup", "gendan restore", "built anew"],
    });
}

/// Breaks something of a company's folder.
type Break = fn(&Path);

#[test]
fn a_relay_without_its_store_or_with_other_keys_does_not_start() {
    let (folder, _) = company();
    let cases: [(&str, Break); 5] = [
        ("store", |data| fs::remove_dir_all(data.join("log")).unwrap()),
        ("company.key", |data| fs::write(data.join("identity/company.key"), "07".repeat(32)).unwrap()),
        ("company.id", |data| fs::write(data.join("identity/company.id"), "07".repeat(16)).unwrap()),
        ("store.key", |data| fs::write(data.join("identity/store.key"), "07".repeat(32)).unwrap()),
        ("identity", |data| fs::remove_dir_all(data.join("identity")).unwrap()),
    ];
    for (named, break_it) in cases {
        let broken = tempfile::tempdir().unwrap();
        copy(folder.path(), broken.path());
        break_it(broken.path());
        let words = gendan(broken.path(), &["check"]).unwrap_err();
        assert!(words.contains(named), "{named}: {words}");
        assert!(words.contains("backup") || words.contains("restore"), "{named}: {words}");
    }
}

#[test]
fn a_damaged_relay_comes_back_from_its_backup_under_a_new_epoch() {
    let (folder, _) = company();
    let backup = tempfile::tempdir().unwrap();
    let (kept, restored) = (backup.path().join("backup"), backup.path().join("restored"));
    gendan(folder.path(), &["backup", kept.to_str().unwrap()]).unwrap();
    fs::write(folder.path().join("log/data/db"), [0xee; 5_000]).unwrap();
    let words = gendan(folder.path(), &["check"]).unwrap_err();
    assert!(words.contains("restore a backup"), "{words}");
    let occupied = gendan(folder.path(), &["restore", kept.to_str().unwrap()]).unwrap_err();
    assert!(occupied.contains("not empty"), "nothing is written over: {occupied}");
    gendan(&restored, &["restore", kept.to_str().unwrap()]).unwrap();
    gendan(&restored, &["check"]).unwrap();
    // A backup that is damaged itself is told before anything is written.
    let file = kept.join("records-00000.cbor");
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(file, bytes).unwrap();
    let fresh = backup.path().join("fresh");
    let words = gendan(&fresh, &["restore", kept.to_str().unwrap()]).unwrap_err();
    assert!(words.contains("damaged") && !fresh.exists(), "{words}");
}

fn key() -> StoreKey {
    StoreKey::from_bytes([7; 32])
}
fn rng() -> rand::rngs::StdRng {
    rand::make_rng()
}
fn chance() -> sync_core::device::Chance {
    use rand::Rng as _;
    let mut rng = rng();
    Box::new(move |buffer| rng.fill_bytes(buffer))
}

fn open_order(world: &World, number: &str) -> Command {
    let fields = [("customer", "何女士"), ("phone", "13800000000"), ("delivery_date", "2026-12-01")];
    Command::OpenOrder {
        number: number.into(),
        store: Some(StoreId::named(world.company(), "城东店")),
        fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        items: vec![],
        taken_ms: None,
        channel: None,
    }
}

/// Copies a simulated device's store into a sealed store in a folder.
fn sealed(world: &mut World, name: &str, folder: &Path) {
    let disk = world.sites[name].disk.snapshot();
    let memory = disk.open().unwrap();
    let mut store = SledStore::open(folder, &key(), rng()).unwrap();
    for table in Table::ALL {
        for (key, value) in memory.scan(table, &[]).unwrap() {
            store.commit(Batch::new().put(table, key, value)).unwrap();
        }
    }
}

/// A salesperson's device with a synced order and unsent work on it and on a second one.
fn busy_device(seed: u64) -> (World, DocId) {
    let mut world = World::found(seed, &small_policy());
    world.join("D01", "sales", Some("城东店"));
    world.heal();
    let order = open_order(&world, "A1");
    world.perform("D01", order).unwrap();
    world.heal();
    let doc = DocId::numbered(world.company(), DocKind::Order, "A1");
    for n in 0..6 {
        world.perform("D01", Command::Note(doc, format!("备注{n}"))).unwrap();
    }
    world.perform("D01", Command::Contact(doc, "phone".into(), "周六送".into(), vec![])).unwrap();
    let second = open_order(&world, "A2");
    world.perform("D01", second).unwrap();
    (world, doc)
}

fn device(folder: &Path) -> Result<String, String> {
    let shown = |error: DeviceError| FieldError::from(error).to_string();
    let store = SledStore::open(folder, &key(), rng()).map_err(|e| shown(e.into()))?;
    let all: Result<Vec<_>, _> = Table::ALL.iter().map(|table| store.scan(*table, &[])).collect();
    let all = format!("{:?}", all.map_err(|e| shown(e.into()))?);
    let device = Device::open(store, chance()).map_err(shown)?;
    device.sync_view().map_err(shown)?;
    Ok(all)
}

#[test]
fn no_damage_of_a_devices_files_is_a_silent_loss() {
    let (mut world, doc) = busy_device(3);
    let (folder, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    sealed(&mut world, "D01", older.path());
    copy(older.path(), folder.path());
    let mut store = SledStore::open(folder.path(), &key(), rng()).unwrap();
    store.commit(Batch::new().put(Table::Blob, "photo", vec![9; 700_000])).unwrap();
    drop(
        Device::open(store, chance())
            .unwrap()
            .perform(Command::Note(doc, "后来".into()), &world.now(0))
            .unwrap(),
    );
    every_damage_is_told(&Subject {
        what: "device",
        whole: folder.path(),
        older: older.path(),
        data: Path::new("data/db"),
        open: &device,
        ways_on: &["set-aside"],
    });
}

#[test]
fn unsent_work_of_a_damaged_device_is_said_again_by_the_next_one() {
    let (mut world, doc) = busy_device(4);
    let person = world.sites["D01"].device.person();
    let before = world.sites["D01"].device.sync_view().unwrap();
    let folder = tempfile::tempdir().unwrap();
    sealed(&mut world, "D01", folder.path());
    let anchor = folder.path().join("anchor");
    fs::remove_file(anchor).unwrap();
    assert!(device(folder.path()).unwrap_err().contains("set-aside"));

    world.sites.remove("D01");
    world.equip("D01b", person);
    world.heal();
    let left = SledStore::open_after_loss(folder.path(), &key(), rng()).unwrap();
    let found = Salvage::read(&left).unwrap();
    let now = world.now(0);
    let taken = world.sites.get_mut("D01b").unwrap().device.take_over(found, &now).unwrap();
    assert_eq!((taken.again, taken.held, taken.unreadable), (before.unsent, 0, 0), "{taken:?}");
    world.heal();
    let relay = world.relay.document(doc).unwrap().unwrap();
    let notes = relay.values(sync_core::domain::fields::Map::Notes).len();
    assert!(notes >= 6, "{notes} notes at the relay");
    let held = world.relay.log().held(&Default::default(), None, 10).unwrap();
    assert!(held.is_empty(), "{held:?}");
    let second = DocId::numbered(world.company(), DocKind::Order, "A2");
    assert!(world.relay.document(second).unwrap().is_some(), "an order that nobody else had");

    // Taking over once more changes nothing.
    let found = Salvage::read(&left).unwrap();
    let taken = world.sites.get_mut("D01b").unwrap().device.take_over(found, &now).unwrap();
    assert_eq!((taken.again, taken.there), (0, before.unsent), "{taken:?}");
}

#[test]
fn salvage_takes_nobody_elses_work() {
    let (mut world, _) = busy_device(5);
    world.join("D02", "sales", Some("城东店"));
    world.heal();
    let left = world.sites["D01"].disk.snapshot().open().unwrap();
    let found = Salvage::read(&left).unwrap();
    let now = world.now(0);
    let refused = world.sites.get_mut("D02").unwrap().device.take_over(found, &now).unwrap_err();
    assert!(matches!(refused, DeviceError::Refused(r) if r.code.as_str() == "on_behalf"));
}

#[test]
fn an_older_copy_of_a_whole_device_loses_nothing_that_was_acknowledged() {
    let (mut world, doc) = busy_device(6);
    let older = world.sites["D01"].disk.snapshot();
    world.heal();
    world.perform("D01", Command::Note(doc, "在新数据里".into())).unwrap();
    world.heal();
    let at_relay = world.relay.document(doc).unwrap().unwrap().heads();

    // The folder of some days ago is put back; work goes on with sequence numbers that were used already.
    world.sites.get_mut("D01").unwrap().disk = older;
    world.restart("D01");
    world.perform("D01", Command::Note(doc, "旧数据上又记".into())).unwrap();
    world.heal();
    assert_eq!(world.agreement("D01"), Some(true), "found out and mended by itself");
    assert!(
        world.sites["D01"].device.held().unwrap().is_empty(),
        "nobody has to release what was only numbered twice"
    );
    let now = world.relay.document(doc).unwrap().unwrap();
    assert!(at_relay.iter().all(|head| now.has(*head)), "what the relay had stays");
    let notes =
        |d: &sync_core::document::Document| format!("{:?}", d.values(sync_core::domain::fields::Map::Notes));
    assert!(notes(&now).contains("在新数据里") && notes(&now).contains("旧数据上又记"), "{}", notes(&now));
    assert_eq!(notes(&world.sites["D01"].device.state(doc).unwrap().0), notes(&now));
}

#[test]
fn an_older_copy_of_a_whole_relay_gets_again_what_a_device_had_confirmed() {
    let (mut world, doc) = busy_device(7);
    let older = world.relay_copy();
    world.heal();
    let confirmed = world.sites["D01"].device.sync_view().unwrap();
    assert_eq!(confirmed.unsent, 0);
    world.rewind_relay(older);
    let second = DocId::numbered(world.company(), DocKind::Order, "A2");
    assert!(world.relay.document(second).unwrap().is_none(), "the copy is older than the work");
    world.heal();
    assert!(world.relay.document(second).unwrap().is_some(), "the device sends again what it had confirmed");
    let ours = world.sites["D01"].device.state(doc).unwrap().0.heads();
    assert_eq!(world.relay.document(doc).unwrap().unwrap().heads(), ours);
    assert_eq!(world.agreement("D01"), Some(true));
}
