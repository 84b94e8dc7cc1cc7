//! The device as an app holds it, over real sockets against a relay in this process.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex};

use client_ffi::session::{Cancel, Listener};
use client_ffi::transport::TransportError;
use client_ffi::views::{Case, SyncState};
use client_ffi::wishes::{
    EvidenceWish, ItemWish, OrderWish, Point, Proof, SignatureWish, StepWish, Stroke, VisitStatus,
};
use client_ffi::{FieldClient, FieldError};
use common::Office;
use tempfile::TempDir;

const KEY: [u8; 32] = [7; 32];

struct Phone {
    client: Arc<FieldClient>,
    dir: TempDir,
}

impl std::ops::Deref for Phone {
    type Target = FieldClient;
    fn deref(&self) -> &FieldClient {
        &self.client
    }
}

async fn enrol(relay: &str, code: String) -> Phone {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    let client = FieldClient::enrol(path, KEY.to_vec(), relay.to_owned(), code).await.unwrap();
    Phone { client, dir }
}

async fn in_step(phone: &Phone) -> SyncState {
    phone.sync(Some(20_000), None).await.unwrap()
}

fn order(number: &str) -> OrderWish {
    let fields = [("customer", "王女士"), ("phone", "13800000001"), ("delivery_date", "2026-12-01")];
    OrderWish {
        number: number.into(),
        store: Some("一店".into()),
        fields: fields.map(|(k, v)| (k.into(), v.into())).into(),
        items: vec![ItemWish {
            product: "沙发".into(),
            model: "L3".into(),
            quantity: 1,
            ..ItemWish::default()
        }],
        ..OrderWish::default()
    }
}

fn value<'a>(case: &'a Case, key: &str) -> &'a str {
    &case.fields.iter().find(|f| f.key == key).unwrap().value
}

/// An order that sales opened, the office reviewed and placed, and the crew is to deliver.
async fn placed(relay: &str, office: &Office) -> (Phone, Phone, Phone) {
    let boss = enrol(relay, office.code("M01", "management")).await;
    let sales = enrol(relay, office.code("S01", "sales")).await;
    let crew = enrol(relay, office.code("C01", "crew")).await;
    in_step(&sales).await;
    sales.open_order(order("A1")).unwrap();
    in_step(&sales).await;
    in_step(&boss).await;
    boss.step("A1".into(), StepWish::done("reviewed")).unwrap();
    boss.clear("A1".into(), false, Some("2808".into()), "transfer".into(), vec![]).unwrap();
    let evidence = vec![EvidenceWish::words("已向工厂下单")];
    boss.step("A1".into(), StepWish { evidence, ..StepWish::done("placed") }).unwrap();
    boss.assign("A1".into(), vec!["C01".into()], "2026-12-01".into(), "delivered".into(), None, None)
        .unwrap();
    in_step(&boss).await;
    in_step(&crew).await;
    (boss, sales, crew)
}

#[tokio::test(flavor = "multi_thread")]
async fn work_done_offline_reaches_the_others_with_signature_and_photo() {
    let office = Office::found();
    let relay = office.serve().await;
    let (boss, sales, crew) = placed(&relay, &office).await;

    let photo = crew.attach("A1".into(), "image/jpeg".into(), vec![9; 700_000]).unwrap();
    let photo =
        EvidenceWish { proof: Proof::Photo, text: None, blob: Some(photo), media: None, document: None };
    crew.step("A1".into(), StepWish { evidence: vec![photo], ..StepWish::done("fetched") }).unwrap();
    let stroke = Stroke { points: vec![Point { x: 10, y: 20 }, Point { x: 300, y: 400 }] };
    let signature = Some(SignatureWish { signer: "王女士".into(), strokes: vec![stroke] });
    crew.step("A1".into(), StepWish { signature, ..StepWish::done("delivered") }).unwrap();
    let visit = crew.case("A1".into()).unwrap().visits[0].id.clone();
    crew.visit("A1".into(), visit, VisitStatus::Completed).unwrap();
    let before = crew.sync_state().unwrap();
    assert_eq!((before.unsent, before.blobs_pending), (3, 1));

    let after = in_step(&crew).await;
    assert_eq!((after.unsent, after.blobs_pending, after.held), (0, 0, 0));
    in_step(&boss).await;
    in_step(&sales).await;
    let seen = boss.case("A1".into()).unwrap();
    let delivered = seen.steps.iter().find(|s| s.step == "delivered").unwrap();
    assert!(delivered.signed && delivered.by.contains("C01"));
    assert_eq!(boss.verify("A1".into()).unwrap(), sales.verify("A1".into()).unwrap());
    let agreement = boss.check(Some(20_000)).await.unwrap();
    assert!(agreement.agree && !agreement.repaired);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_recorded_can_be_read_by_whoever_may_see_it() {
    let office = Office::found();
    let relay = office.serve().await;
    let (boss, sales, crew) = placed(&relay, &office).await;
    in_step(&sales).await;
    let recording = vec![EvidenceWish::words("客户来电录音摘要")];
    sales.contact("A1".into(), "phone".into(), "改到下午送".into(), recording).unwrap();
    sales.escalate("A1".into(), "management".into(), "客户很急".into()).unwrap();
    crew.part("A1".into(), "HINGE-35".into(), 2, false, None).unwrap();
    crew.report("A1".into(), "电梯停用".into(), vec![]).unwrap();
    boss.pay("A1".into(), "100".into(), "cash".into(), vec![]).unwrap();
    for phone in [&boss, &sales, &crew, &boss, &crew] {
        in_step(phone).await;
    }
    let seen = boss.case("A1".into()).unwrap();
    let contact = &seen.contacts[0];
    assert_eq!((contact.words.as_str(), contact.evidence[0].kind.as_str()), ("改到下午送", "text-message"));
    assert_eq!(contact.evidence[0].text, "客户来电录音摘要");
    assert!(contact.by.contains("S01") && contact.at_ms > 0);
    assert_eq!((seen.escalations[0].to.as_str(), seen.escalations[0].reason.as_str()), ("领导", "客户很急"));
    assert_eq!(
        (seen.parts[0].sku.as_str(), seen.parts[0].quantity, seen.parts[0].used),
        ("HINGE-35", 2, false)
    );
    assert_eq!((seen.exceptions[0].what.as_str(), seen.exceptions[0].resolved.as_str()), ("电梯停用", ""));
    let amounts = |case: &Case| case.payments.iter().map(|p| p.amount.clone()).collect::<Vec<_>>();
    assert_eq!(amounts(&seen), ["2808.00 CNY", "100.00 CNY"]);
    let step = seen.steps.iter().find(|step| step.step == "placed").unwrap();
    assert_eq!(step.evidence[0].text, "已向工厂下单");
    let of_crew = crew.case("A1".into()).unwrap();
    assert!(of_crew.payments.is_empty() && of_crew.contacts.len() == 1);

    let drafts = boss.drafts("A1".into()).unwrap();
    let exception = drafts.iter().find(|draft| draft.kind == "exception").unwrap();
    assert!(exception.words.contains("电梯停用") && !exception.clause.is_empty());
    let found = boss.findings("A1".into()).unwrap();
    assert!(found.iter().all(|finding| !finding.clause.is_empty() && !finding.title.is_empty()));
    let policy: serde_json::Value = serde_json::from_str(&crew.policy().unwrap()).unwrap();
    assert_eq!(policy["flows"]["order"]["title"]["en"], "order");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_after_the_seal_is_proposed_on_every_device_until_it_is_approved() {
    let office = Office::found();
    let relay = office.serve().await;
    let (boss, sales, _crew) = placed(&relay, &office).await;
    in_step(&sales).await;
    sales.edit("A1".into(), [("delivery_date".into(), Some("2026-12-09".into()))].into()).unwrap();
    in_step(&sales).await;
    in_step(&boss).await;
    let seen = boss.case("A1".into()).unwrap();
    assert_eq!(
        (value(&seen, "delivery_date"), seen.proposed[0].proposed.as_str()),
        ("2026-12-01", "2026-12-09")
    );
    boss.approve("A1".into(), None).unwrap();
    in_step(&boss).await;
    in_step(&sales).await;
    let seen = sales.case("A1".into()).unwrap();
    assert_eq!((value(&seen, "delivery_date"), seen.proposed.len()), ("2026-12-09", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_typed_by_what_an_app_does_about_them() {
    let office = Office::found();
    let relay = office.serve().await;
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    let wrong = FieldClient::enrol(path.clone(), KEY.to_vec(), relay.clone(), "NO".into()).await;
    assert!(matches!(wrong, Err(FieldError::Refused { code, .. }) if code == "code_unknown"));
    let closed = FieldClient::open(path.clone(), KEY.to_vec());
    assert!(matches!(closed, Err(FieldError::NotEnrolled { .. })));
    let client =
        FieldClient::enrol(path.clone(), KEY.to_vec(), relay, office.code("S01", "sales")).await.unwrap();
    // The same folder twice, and under another key.
    assert!(
        matches!(FieldClient::open(path.clone(), KEY.to_vec()), Err(FieldError::Store { code, .. }) if code == "store_busy")
    );
    let early = client.open_order(order("A1"));
    assert!(matches!(early, Err(FieldError::Refused { code, .. }) if code == "directory_missing"));
    client.sync(None, None).await.unwrap();
    let unknown = client.step("Z9".into(), StepWish::done("placed"));
    assert!(matches!(unknown, Err(FieldError::Refused { code, .. }) if code == "not_found"));
    drop(client);
    let wrong_key = FieldClient::open(path, vec![8; 32]);
    assert!(matches!(wrong_key, Err(FieldError::Store { retryable: false, .. })));
    let nobody = FieldClient::enrol(
        TempDir::new().unwrap().path().to_str().unwrap().into(),
        KEY.to_vec(),
        "http://127.0.0.1:1".into(),
        "X".into(),
    );
    assert!(matches!(nobody.await, Err(FieldError::Offline { retryable: true, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_sync_and_a_restart_lose_nothing() {
    let office = Office::found();
    let relay = office.serve().await;
    let Phone { client, dir } = enrol(&relay, office.code("S01", "sales")).await;
    client.sync(None, None).await.unwrap();
    client.open_order(order("A1")).unwrap();
    let cut = client.sync(Some(0), None).await;
    assert!(matches!(&cut, Err(FieldError::Offline { code, .. }) if code == "timeout"), "{cut:?}");
    drop(client);
    let again = FieldClient::open(dir.path().to_str().unwrap().into(), KEY.to_vec()).unwrap();
    assert_eq!(again.sync_state().unwrap().unsent, 1);
    assert_eq!(again.sync(None, None).await.unwrap().unsent, 0);
    assert_eq!(again.orders().unwrap()[0].number, "A1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_erases_itself() {
    let office = Office::found();
    let relay = office.serve().await;
    let phone = enrol(&relay, office.code("S01", "sales")).await;
    in_step(&phone).await;
    phone.open_order(order("A1")).unwrap();
    office.revoke(&phone.myself().unwrap().device);
    assert!(matches!(phone.sync(None, None).await, Err(FieldError::Wiped { .. })));
    assert!(matches!(phone.orders(), Err(FieldError::Wiped { .. })));
    let Phone { client, dir } = phone;
    drop(client);
    let again = FieldClient::open(dir.path().to_str().unwrap().into(), KEY.to_vec());
    assert!(matches!(again, Err(FieldError::NotEnrolled { .. })));
}

/// Tells the test what a watch hears.
struct Ear(Mutex<tokio::sync::mpsc::UnboundedSender<(Vec<String>, SyncState)>>);

impl Listener for Ear {
    fn changed(&self, docs: Vec<String>, state: SyncState) -> Result<(), TransportError> {
        let sent = self.0.lock().unwrap().send((docs, state));
        sent.map_err(|e| TransportError::Closed { detail: e.to_string() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_hears_others_sends_at_once_and_ends_when_cancelled() {
    let office = Office::found();
    let relay = office.serve().await;
    let boss = enrol(&relay, office.code("M01", "management")).await;
    let sales = enrol(&relay, office.code("S01", "sales")).await;
    in_step(&boss).await;
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let (cancel, ear) = (Cancel::new(), Arc::new(Ear(Mutex::new(sender))));
    let (client, handle) = (sales.client.clone(), cancel.clone());
    let watching = tokio::spawn(async move { client.watch(ear, handle).await });
    heard.recv().await.expect("the first sync is heard");
    let busy = sales.sync(None, None).await;
    assert!(matches!(busy, Err(FieldError::Refused { code, .. }) if code == "sync_running"));

    sales.open_order(order("A1")).unwrap();
    while boss.orders().unwrap().is_empty() {
        in_step(&boss).await;
    }
    boss.note("A1".into(), "请核对地址".into()).unwrap();
    in_step(&boss).await;
    while sales.case("A1".into()).unwrap().notes.is_empty() {
        heard.recv().await.expect("the note is heard");
    }
    cancel.cancel();
    let ended = watching.await.unwrap();
    assert!(matches!(ended, Err(FieldError::Offline { code, .. }) if code == "stopped"));
    assert_eq!(sales.sync_state().unwrap().unsent, 0);
}
