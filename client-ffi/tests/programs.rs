//! The Kotlin and Python programs, run against the real relay: store, gate, API and listener.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gendan_server::api::{App, router};
use gendan_server::blob::objects::ObjectBlobs;
use gendan_server::clock::{Clock, chance, random};
use gendan_server::config::Config;
use gendan_server::identity::codes;
use gendan_server::identity::keys::KeyRing;
use gendan_server::listen;
use gendan_server::log::{ChangeLog, KeptLog};
use gendan_server::projection::{Place, Projection};
use gendan_server::relay::Relay;
use gendan_server::relay::found::{Founding, found};
use gendan_server::relay::office::Clerk;
use sync_core::command::Command as Wish;
use sync_core::ids::{PersonId, StoreId};
use sync_core::policy::publish::Published;
use sync_core::store::{SledStore, StoreKey};

/// A company of the small policy with one store and two people more, served; its address and the codes
/// for the office's, the salesperson's and the crew's devices.
async fn served(folder: &Path) -> (String, [String; 3]) {
    let policy = toml::from_str(include_str!("../../tests/policies/small.toml")).unwrap();
    let keys = KeyRing::create(folder).unwrap();
    let boss = PersonId::staffed(keys.company, "M01");
    let (device, key) = keys.make_custodial(boss).unwrap();
    let mut fill = chance;
    let mut clerk = Clerk { person: boss, device, key: &key, chance: &mut fill };
    let store_key = StoreKey::from_bytes(*keys.store_key);
    let store = SledStore::open(&folder.join("log"), &store_key, gendan_server::cli::seeded()).unwrap();
    let log: Arc<dyn ChangeLog> = Arc::new(KeptLog::open(store, 5).unwrap());
    let (name, person_name) = ("好家居".to_owned(), "周总".to_owned());
    let founding = Founding { name, number: "M01".into(), person_name, role: "management".parse().unwrap() };
    let (clock, published) = (Clock::system(None), Published::of(1, &policy));
    let (company, key, now) = (keys.company, &keys.company_key, clock.now());
    let relay = found(log.clone(), company, key, &mut clerk, founding, &published, &now).unwrap();
    let code = |person| codes::issue(log.as_ref(), person, random(), clock.unix_ms(), 3_600_000).unwrap();
    let mut hire = |relay: &Relay, number: &str, role: &str, store: Option<StoreId>| {
        let person = PersonId::staffed(company, number);
        let mut act = |wish| relay.act(&mut clerk, wish, &clock.now()).unwrap();
        act(Wish::AddPerson(number.into(), format!("员工{number}")));
        act(Wish::GrantRole(person, role.parse().unwrap(), store, 0));
        code(person)
    };
    let shop = StoreId::named(company, "一店");
    let sales = hire(&relay, "S01", "sales", Some(shop));
    let codes = [code(boss), sales, hire(&relay, "C01", "crew", None)];
    relay.act(&mut clerk, Wish::AddStore("一店".into()), &clock.now()).unwrap();
    let (relay, blobs) = (Arc::new(relay), Arc::new(ObjectBlobs::in_folder(folder).unwrap()));
    let projection = Arc::new(Projection::open(&Place::Memory, relay.clone()).await.unwrap());
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
    let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    let app = App::open(relay, projection, blobs, Arc::new(keys), config.clone(), clock, metrics).unwrap();
    let (bound, address) = tokio::sync::oneshot::channel();
    let listening = move |at| bound.send(at).unwrap();
    tokio::spawn(async move {
        listen::serve(router(Arc::new(app)), &config, std::future::pending(), listening).await
    });
    (format!("http://{}", address.await.unwrap()), codes)
}

async fn runs(language: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (relay, [boss, sales, crew]) = served(folder.path()).await;
    // The library beside this test is the one that was built with it.
    let test = std::env::current_exe().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(language).join("run.sh");
    let mut command = Command::new(script);
    command
        .env("GENDAN_URL", relay)
        .env("GENDAN_CODE_OFFICE", boss)
        .env("GENDAN_CODE_SALES", sales)
        .env("GENDAN_CODE_CREW", crew)
        .env("GENDAN_LIB_DIR", test.parent().unwrap());
    let run = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let text = format!("{said}{}", String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{text}");
    assert!(said.lines().last().is_some_and(|l| l.starts_with("ok")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_program_works_offline_and_syncs() {
    runs("python").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kotlin_program_works_offline_and_syncs() {
    runs("kotlin").await;
}
