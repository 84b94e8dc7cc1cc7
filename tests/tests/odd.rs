//! Odd situations, each with its sensible outcome: full disks, folders that cannot be written, two
//! processes on one store, old layouts and versions, clocks that jump, years without contact, and ten
//! thousand documents at once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output, Stdio};

use clap::Parser as _;
use gendan_server::cli::{self, Cli};
use gendan_server::relay::RelayError;
use gendan_server::relay::end::RelayEnd;
use gendan_server::relay::feed::Fresh;
use gendan_server::relay::gate::Peer;
use gendan_tests::simulation::world::{World, small_policy};
use sync_core::command::Command;
use sync_core::device::DeviceError;
use sync_core::domain::fields::Map;
use sync_core::ids::{DocId, DocKind, Position, StoreId};
use sync_core::limits;
use sync_core::refusal::RefusalCode;
use sync_core::store::{DeviceStore as _, SledStore, StoreKey, Table};
use sync_core::wire::frames::{Feed, Frame, Hello};
use sync_core::wire::{Encoder, VERSION_MAX, VERSION_MIN};

/// The words of a command line for the child, one a line.
const LINE: &str = "ODD_LINE";
const CHILD: &str = "a_child_runs_one_command_of_gendan";
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

/// The child's part; without a command line in the environment it has nothing to do.
#[test]
fn a_child_runs_one_command_of_gendan() {
    let Ok(line) = std::env::var(LINE) else { return };
    if let Err(error) = cli::run(Cli::try_parse_from(line.lines()).unwrap()) {
        println!("refused: {error:#}");
    }
}

/// This test binary again, as `gendan` under a wrapper such as a shell that sets limits.
fn child(wrapper: &[&str], data: &Path, arguments: &[&str]) -> Process {
    let mut words: Vec<_> = wrapper.iter().map(Into::into).collect();
    words.push(std::env::current_exe().unwrap().into_os_string());
    words.extend([CHILD, "--exact", "--nocapture"].map(Into::into));
    let line: Vec<&str> = ["gendan", "--json", "--data", data.to_str().unwrap()]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let mut process = Process::new(&words[0]);
    process.args(&words[1..]).env(LINE, line.join("\n")).stdout(Stdio::piped()).stderr(Stdio::null());
    process
}
fn refusal(output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(|l| l.split_once("refused: ").map(|(_, words)| words.to_owned()))
}
fn gendan(data: &Path, arguments: &[&str]) -> Result<(), String> {
    let line = ["gendan", "--data", data.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
    cli::run(Cli::try_parse_from(line).unwrap()).map_err(|e| format!("{e:#}"))
}
fn found(data: &Path) {
    let founding = ["init", "--company", "好家居", "--name", "周总", "--password", "gendan-odd-2026"];
    gendan(data, &founding).unwrap();
}
fn sheet(folder: &Path, orders: usize) -> PathBuf {
    let mut text = "订单号,门店,导购工号,客户,电话,地址,产品,型号,材质,数量,单价,已付款,担保,接单时间,要求送货日期,备注\n".to_owned();
    for n in 0..orders {
        let words = format!("备注{n}").repeat(40);
        text += &format!(
            "2611{n:06},城东店,D09,何先生,13800000000,幸福路七号,餐椅,软包,实木,6,468.00,2808.00,,2026-11-12 19:41,2026-11-22,{words}\n"
        );
    }
    let path = folder.join("orders.csv");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_full_disk_is_told_and_the_relay_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    found(&data);
    let orders = sheet(folder.path(), 120);
    // No file may grow beyond 1.5 MiB (3,072 blocks of 512 bytes).
    let script = "trap '' XFSZ; ulimit -f 3072; ulimit -t 120; exec \"$0\" \"$@\"";
    let output = child(&["sh", "-c", script], &data, &["import", orders.to_str().unwrap()]).output().unwrap();
    let words = refusal(&output).expect("the sheet does not fit");
    assert!(words.contains("no room left"), "{words}");
    gendan(&data, &["check"]).unwrap();
    gendan(&data, &["import", orders.to_str().unwrap()]).unwrap();
    gendan(&data, &["check"]).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    found(&data);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let paths = |mode: u32| {
        for path in [data.join("log"), data.join("log/data")] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    // Who is root writes everywhere: then the child is somebody else, who may read what is root's.
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    if root {
        open_to_nobody(&data);
    }
    paths(0o555);
    let output = child(if root { &nobody } else { &[] }, &data, &["check"]).output().unwrap();
    paths(0o755);
    let words = refusal(&output).expect("a store that cannot be written does not open");
    assert!(words.contains("no permission"), "{words}");
    if !root {
        gendan(&data, &["check"]).unwrap();
    }
}

/// Gives a folder to the user 65534, who owns nothing else here.
fn open_to_nobody(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            open_to_nobody(&entry.path());
        }
        if !entry.path().to_string_lossy().contains("/log") {
            std::os::unix::fs::chown(entry.path(), Some(65534), Some(65534)).unwrap();
        }
    }
}

#[test]
fn a_second_process_on_a_store_is_told_that_another_has_it_open() {
    let folder = tempfile::tempdir().unwrap();
    found(folder.path());
    let mut serving = child(&[], folder.path(), &["serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let out = BufReader::new(serving.stdout.take().unwrap());
    let mut lines = out.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("listening")), "the relay serves");
    let words = gendan(folder.path(), &["check"]).unwrap_err();
    assert!(words.contains("open in another process"), "{words}");
    serving.kill().unwrap();
    serving.wait().unwrap();
    gendan(folder.path(), &["check"]).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// Stores of earlier layouts are kept for good: a later build reads them, or says what to do.
#[test]
fn a_store_of_layout_1_opens_with_everything_that_it_held() {
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/frozen/layout-1");
    let folder = tempfile::tempdir().unwrap();
    copy(&frozen.join("relay"), &folder.path().join("relay"));
    let relay = folder.path().join("relay");
    // Git keeps no empty folders.
    for empty in ["blobs", "log/data/blobs"] {
        fs::create_dir_all(relay.join(empty)).unwrap();
    }
    gendan(&relay, &["check"]).unwrap();
    let backup = folder.path().join("backup");
    gendan(&relay, &["backup", backup.to_str().unwrap()]).unwrap();
    let manifest = fs::read_to_string(backup.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!((&manifest["head"], &manifest["records"]), (&40.into(), &149.into()), "{manifest}");

    copy(&frozen.join("device"), &folder.path().join("device"));
    fs::create_dir_all(folder.path().join("device/data/blobs")).unwrap();
    let key = StoreKey::from_bytes([7; 32]);
    let rng: rand::rngs::StdRng = rand::make_rng();
    let store = SledStore::open(&folder.path().join("device"), &key, rng).unwrap();
    assert_eq!(store.scan(Table::Outbox, b"").unwrap().len(), 3);
    assert_eq!(store.get(Table::Meta, b"name").unwrap(), Some(b"layout 1".to_vec()));
}

/// Makes the frozen stores of this layout, into the folder that the environment names; they are checked
/// in once and never made again.
#[test]
fn frozen_stores_are_made_on_demand() {
    let Ok(folder) = std::env::var("ODD_FREEZE") else { return };
    let (folder, temporary) = (PathBuf::from(folder), tempfile::tempdir().unwrap());
    let relay = folder.join("relay");
    found(&relay);
    gendan(&relay, &["import", sheet(temporary.path(), 6).to_str().unwrap()]).unwrap();
    let rng: rand::rngs::StdRng = rand::make_rng();
    let mut store = SledStore::open(&folder.join("device"), &StoreKey::from_bytes([7; 32]), rng).unwrap();
    for n in 0..3_u64 {
        let batch = sync_core::store::Batch::new().put(Table::Outbox, n.to_be_bytes(), vec![n as u8; 200]);
        store.commit(batch.put(Table::Meta, "name", "layout 1")).unwrap();
    }
}

fn order(world: &World, number: &str) -> DocId {
    DocId::numbered(world.company(), DocKind::Order, number)
}
fn open_order(world: &World, number: &str, store: &str) -> Command {
    let fields = [("customer", "何女士"), ("phone", "13800000000"), ("delivery_date", "2026-12-01")];
    Command::OpenOrder {
        number: number.into(),
        store: Some(StoreId::named(world.company(), store)),
        fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        items: vec![],
        taken_ms: None,
        channel: None,
    }
}
/// A salesperson in step, with order A1.
fn shop(seed: u64) -> World {
    let mut world = World::found(seed, &small_policy());
    world.join("D01", "sales", Some("城东店"));
    world.heal();
    let command = open_order(&world, "A1", "城东店");
    world.perform("D01", command).unwrap();
    world.heal();
    world
}
fn notes(world: &World, number: &str) -> usize {
    world.relay.document(order(world, number)).unwrap().unwrap().values(Map::Notes).len()
}
fn held(world: &World) -> usize {
    world.relay.log().held(&Default::default(), None, 100).unwrap().len()
}

fn greet(world: &World, versions: (u16, u16)) -> Result<Vec<Frame>, RelayError> {
    let device = &world.sites["D01"].device;
    let peer = Peer { device: device.id(), person: device.person() };
    let mut end = RelayEnd::new(world.relay.clone(), world.blobs.clone(), peer, 1_000);
    let hello = Hello {
        versions,
        app: "another build".into(),
        cursor: Position(0),
        epoch: 0,
        policy: 0,
        unsent: 0,
        oldest_unsent_ms: None,
        held: 0,
        blobs_pending: 0,
        wall_ms: world.time_ms,
    };
    end.handle(Frame::Hello(hello), world.time_ms)
}

#[test]
fn a_device_of_another_protocol_version_is_served_or_told_to_update() {
    let world = shop(11);
    for (theirs, agreed) in [
        ((VERSION_MIN, VERSION_MAX), VERSION_MAX),
        ((VERSION_MIN, VERSION_MAX + 2), VERSION_MAX),
        ((0, VERSION_MIN), VERSION_MIN),
    ] {
        let answers = greet(&world, theirs).unwrap();
        assert!(matches!(&answers[0], Frame::Welcome(w) if w.version == agreed), "{theirs:?}: {answers:?}");
    }
    for theirs in [(VERSION_MAX + 1, VERSION_MAX + 2), (0, VERSION_MIN - 1)] {
        let Err(RelayError::Protocol { code, message }) = greet(&world, theirs) else {
            panic!("{theirs:?} has no version in common");
        };
        assert_eq!(code, "version");
        assert!(message.contains("update"), "{message}");
    }
    // A relay of two versions on still serves its oldest; see the table of `negotiate`.
    assert_eq!(sync_core::wire::negotiate((3, 5), (1, 3)), Some(3));
    assert_eq!(sync_core::wire::negotiate((4, 5), (1, 3)), None);
}

#[test]
fn a_device_whose_clock_jumps_by_years_loses_no_work() {
    let mut world = shop(12);
    let doc = order(&world, "A1");
    for (n, off_ms) in [10 * YEAR_MS, -10 * YEAR_MS, 0].into_iter().enumerate() {
        world.sites.get_mut("D01").unwrap().clock_off_ms = off_ms;
        world.perform("D01", Command::Note(doc, format!("备注{n}"))).unwrap();
        let contact = Command::Contact(doc, "phone".into(), format!("电话{n}"), vec![]);
        world.perform("D01", contact).unwrap();
        world.restart("D01");
        world.heal();
        let state = world.sites["D01"].device.sync_view().unwrap();
        assert_eq!((state.unsent, state.held, held(&world)), (0, 0, 0), "off by {off_ms} ms");
    }
    assert_eq!(notes(&world, "A1"), 3);
    assert_eq!(world.agreement("D01"), Some(true));
}

#[test]
fn a_relay_whose_clock_jumps_by_years_loses_no_work() {
    let mut world = shop(13);
    let doc = order(&world, "A1");
    let right_ms = world.time_ms;
    let mut said = 0;
    for (n, jump_ms) in [10 * YEAR_MS, -10 * YEAR_MS, 0].into_iter().enumerate() {
        world.time_ms = right_ms + jump_ms + 100_000;
        // Devices hear the relay's time when they connect, and go by it.
        world.heal();
        match world.perform("D01", Command::Note(doc, format!("备注{n}"))) {
            Ok(_) => said += 1,
            // Before anybody's role began nothing may be done; the device says so at once.
            Err(DeviceError::Refused(refusal)) => assert!(jump_ms < 0, "{jump_ms} ms: {refusal:?}"),
            Err(other) => panic!("{other}"),
        }
        world.heal();
    }
    let state = world.sites["D01"].device.sync_view().unwrap();
    assert_eq!(state.unsent, 0);
    assert_eq!(notes(&world, "A1") + held(&world), said, "in the document, or held with its reason");
    let shown = format!("{:?}", world.relay.document(doc).unwrap().unwrap().values(Map::Notes));
    for words in ["备注0", "备注2"] {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
}

#[test]
fn a_device_that_returns_after_a_year_brings_its_work_and_gets_everyone_elses() {
    let mut world = shop(14);
    world.join("D02", "sales", Some("城东店"));
    world.heal();
    let doc = order(&world, "A1");
    world.perform("D01", Command::Note(doc, "离线前".into())).unwrap();
    for month in 0..12 {
        world.pass(YEAR_MS / 12);
        // Away for longer than its offline lease, a device is seen first and worked with then.
        world.connect("D02");
        world.run("D02", None);
        world.perform("D02", Command::Note(doc, format!("第{month}个月"))).unwrap();
        let more = open_order(&world, &format!("B{month}"), "城东店");
        world.perform("D02", more).unwrap();
        world.connect("D02");
        world.run("D02", None);
    }
    world.heal();
    let state = world.sites["D01"].device.sync_view().unwrap();
    assert_eq!((state.unsent, state.held), (0, 0));
    assert_eq!(notes(&world, "A1"), 13);
    assert_eq!(world.sites["D01"].device.rows(DocKind::Order).unwrap().len(), 13);
    assert_eq!(world.agreement("D01"), Some(true));
    // A year later without its role: held with the reason, shown on both sides, nothing dropped.
    world.perform("D01", Command::Note(doc, "离职后才同步".into())).unwrap();
    let person = world.sites["D01"].device.person();
    let ended_ms = world.time_ms + 1_000;
    world.office(Command::EndRole(person, "sales".parse().unwrap(), ended_ms));
    world.pass(YEAR_MS);
    world.heal();
    let kept = world.sites["D01"].device.held().unwrap();
    assert_eq!(kept.iter().map(|h| h.refusal.code).collect::<Vec<_>>(), [RefusalCode::RoleEnded]);
    assert_eq!(held(&world), 1);
}

/// `ODD_MANY=10000` for the whole of it; by default enough to need several frames.
#[test]
fn very_many_documents_suddenly_in_scope_come_in_bounded_frames() {
    let many: usize = std::env::var("ODD_MANY").ok().and_then(|n| n.parse().ok()).unwrap_or(1_100);
    let mut world = shop(15);
    world.office(Command::AddStore("城西店".into()));
    for n in 0..many {
        let command = open_order(&world, &format!("C{n}"), "城西店");
        world.office(command);
    }
    world.heal();
    assert_eq!(
        world.sites["D01"].device.sync_view().unwrap().documents,
        2,
        "another store's are not in scope"
    );
    let cursor = Position(world.sites["D01"].device.sync_view().unwrap().cursor);

    let person = world.sites["D01"].device.person();
    let store = StoreId::named(world.company(), "城西店");
    let since_ms = world.time_ms;
    world.office(Command::GrantRole(person, "sales".parse().unwrap(), Some(store), since_ms));
    bounded(&world, cursor);
    world.heal();
    assert_eq!(world.sites["D01"].device.sync_view().unwrap().documents as usize, 2 + many);
    assert_eq!(world.agreement("D01"), Some(true));
    // And all of them out of it again.
    let ended_ms = world.time_ms;
    world.office(Command::EndRole(person, "sales".parse().unwrap(), ended_ms));
    world.heal();
    assert_eq!(world.sites["D01"].device.sync_view().unwrap().documents, 1, "the directory alone");
}

/// Every frame of the feed since a position goes on the wire and keeps the bounds.
fn bounded(world: &World, cursor: Position) {
    let device = &world.sites["D01"].device;
    let peer = Peer { device: device.id(), person: device.person() };
    let (mut at, mut encoder, mut frames) = (cursor, Encoder::new(), 0);
    let mut goes = |feed: Feed| {
        assert!(feed.items.len() <= limits::FEED_ITEMS_MAX, "{} items in one frame", feed.items.len());
        encoder.encode(&Frame::Feed(feed)).unwrap();
        frames += 1;
    };
    while let Some(fresh) = world.relay.news(peer, at, world.time_ms).unwrap() {
        match fresh {
            Fresh::Feed(feed) => {
                at = feed.upto;
                goes(feed);
            }
            Fresh::Moved(mut left, upto) => {
                while !left.is_empty() {
                    goes(world.relay.moved(peer, &mut left, upto, world.time_ms).unwrap());
                }
                at = upto;
            }
        }
    }
    assert!(frames > 2, "{frames} frames");
}
