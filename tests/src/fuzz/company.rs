//! The company that foreign bytes meet: founded without a relay, the same in every run.
//!
//! Out: a directory, a small policy, and devices in memory that hold both and one order. Keys, ids
//! and times are constants, so a finding replays and a seed stays what it was.

use std::collections::BTreeMap;

use sync_core::command::{Command, NewItem};
use sync_core::device::Device;
use sync_core::device::record::Identity;
use sync_core::directory::{Directory, Rules};
use sync_core::document::history::fact_key;
use sync_core::document::{Actor, ChangeBytes, Document, Edit};
use sync_core::domain::fields::{Map, Value};
use sync_core::fact::keys::{Certificate, SecretKey};
use sync_core::fact::kinds::{Founded, Payload, PolicyPublished, RoleGranted, StoreAdded};
use sync_core::fact::{Fact, READER};
use sync_core::ids::{
    CommandId, CompanyId, DeviceId, DocId, DocKind, FactId, ItemId, PersonId, Position, StoreId,
};
use sync_core::policy::model::Policy;
use sync_core::policy::publish::Published;
use sync_core::store::{DeviceStore, MemoryStore};
use sync_core::time::{Now, Stamp, UnixMs, at_offset};
use sync_core::wire::frames::{Feed, FeedItem, Frame, Welcome};

/// 2026-11-23 08:00 in Shanghai.
pub const NOW_MS: UnixMs = 1_795_392_000_000;
/// Its policy as text: small, and the same whatever becomes of the shipped ones.
pub const POLICY: &str = include_str!("../../../sync-core/src/policy/check/small.toml");

/// A company whose founder works with one device and holds every power.
pub struct Company {
    /// Its id.
    pub id: CompanyId,
    /// The key that signs certificates.
    pub key: SecretKey,
    /// The founder.
    pub person: PersonId,
    /// The founder's device.
    pub device: DeviceId,
    /// The device's key.
    pub device_key: SecretKey,
    /// The device's certificate.
    pub certificate: Vec<u8>,
    /// The directory document.
    pub directory_doc: Document,
    /// What it amounts to.
    pub directory: Directory,
    /// The policy by its version.
    pub policies: BTreeMap<u32, Policy>,
    /// The policy as published.
    pub published: Published,
}

/// The clocks of every device here.
pub fn now() -> Now {
    Now { wall: at_offset(NOW_MS, 8 * 3600), elapsed_ms: 1_000, boot: 1 }
}

fn chance() -> sync_core::device::Chance {
    let mut drawn = 0u8;
    Box::new(move |buffer| {
        drawn = drawn.wrapping_add(1);
        buffer.fill(drawn);
    })
}

impl Company {
    /// Founds it.
    pub fn found() -> Self {
        let id = CompanyId::from_bytes([1; 16]);
        let key = SecretKey::from_seed(&[2; 32]);
        let (person, device) = (PersonId::staffed(id, "M01"), DeviceId::from_bytes([3; 16]));
        let device_key = SecretKey::from_seed(&[4; 32]);
        let certificate =
            Certificate { company: id, device, person, key: device_key.public().0.into(), issued_ms: 0 };
        let policy = Policy::parse(POLICY).expect("it has no fault");
        let mut company = Self {
            id,
            person,
            device,
            certificate: certificate.issue(&key),
            key,
            device_key,
            directory_doc: Document::new(DocId::directory(id)),
            directory: Directory::default(),
            published: Published::of(1, &policy),
            policies: [(1, policy)].into(),
        };
        let mut doc = company.directory_doc.clone();
        for (number, payload) in company.founding().into_iter().enumerate() {
            let number = u8::try_from(number).expect("a handful of facts");
            company.say(&mut doc, number, payload);
        }
        company.directory = Directory::read(&doc);
        company.directory_doc = doc;
        company
    }

    fn founding(&self) -> [Payload; 4] {
        let founded = Founded {
            name: "好家居".into(),
            key: self.key.public().0.into(),
            certificate: self.certificate.clone().into(),
            number: "M01".into(),
            person_name: "周总".into(),
            role: "management".parse().expect("a valid name"),
        };
        let store = StoreAdded { store: self.store(), name: "城东店".into() };
        let role = "merchandiser".parse().expect("a valid name");
        let granted = RoleGranted { person: self.person, role, store: None, from_ms: 0 };
        let policy =
            PolicyPublished { version: 1, hash: self.published.hash, effective_ms: 0, proposal: None };
        [founded.into(), store.into(), granted.into(), policy.into()]
    }

    /// Its one store.
    pub fn store(&self) -> StoreId {
        StoreId::named(self.id, "城东店")
    }
    /// The order that every device here holds.
    pub fn order(&self) -> DocId {
        DocId::numbered(self.id, DocKind::Order, "A1")
    }
    /// Directory and policy.
    pub fn rules(&self) -> Rules<'_> {
        Rules { directory: &self.directory, policies: &self.policies }
    }

    /// A fact of the founder's, by its number.
    pub fn fact(&self, doc: DocId, number: u8, payload: Payload) -> Fact {
        let stamp = Stamp { wall_ms: NOW_MS, offset_min: 480, trusted_ms: None, known_since_ms: None };
        let id = FactId::from_bytes([number; 16]);
        Fact { doc, id, author: self.person, device: self.device, stamp, policy: 1, payload, reader: READER }
    }

    /// Writes a signed fact into a document as one change.
    pub fn say(&self, doc: &mut Document, number: u8, payload: Payload) -> Option<ChangeBytes> {
        let fact = self.fact(doc.id(), number, payload);
        let put = Edit::Put(Map::Log, fact_key(fact.id), Value::Bytes(fact.sign(&self.device_key)));
        let actor = Actor { device: self.device, epoch: 0 };
        doc.write(actor, CommandId::from_bytes([number; 16]), NOW_MS, &[put])
    }

    /// What enrolment left on the founder's device.
    pub fn identity(&self) -> Identity {
        Identity {
            company: self.id,
            device: self.device,
            person: self.person,
            seed: (*self.device_key.seed()).into(),
            certificate: self.certificate.clone().into(),
            company_key: self.key.public().0.into(),
            relay: String::new(),
        }
    }

    /// The relay's greeting and first feed.
    pub fn first_frames(&self) -> [Frame; 2] {
        let welcome = Welcome {
            version: sync_core::wire::VERSION_MAX,
            epoch: 1,
            now_ms: NOW_MS,
            head: Position(1),
            lease_until_ms: NOW_MS + 1_000_000,
        };
        let policy =
            FeedItem::Policy { version: 1, hash: self.published.hash, bytes: self.published.bytes.clone() };
        let doc = DocId::directory(self.id);
        let directory = FeedItem::Snapshot { doc, bytes: self.directory_doc.save() };
        let feed = Feed { items: vec![policy, directory], upto: Position(1), more: false };
        [Frame::Welcome(welcome), Frame::Feed(feed)]
    }

    /// The founder's device on a store: in step with a relay once, with one order of its own unsent.
    ///
    /// # Panics
    /// Where the store is not empty, or any of it is refused.
    pub fn device_on<S: DeviceStore>(&self, store: S) -> Device<S> {
        let mut device = Device::enrol(store, &self.identity(), chance()).expect("the store is empty");
        device.connect("fuzz", &now()).expect("a device connects");
        for frame in self.first_frames() {
            device.handle(frame, &now()).expect("an honest relay is understood");
        }
        let fields = [("customer", "何女士"), ("phone", "13800000000"), ("delivery_date", "2026-12-01")];
        let item = NewItem {
            item: ItemId::from_bytes([9; 16]),
            product: "床".into(),
            model: "1.8米".into(),
            material: None,
            quantity: 1,
            unit_price: None,
        };
        let open = Command::OpenOrder {
            number: "A1".into(),
            store: Some(self.store()),
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            items: vec![item],
            taken_ms: None,
            channel: None,
        };
        device.perform(open, &now()).expect("the founder may open an order");
        device
    }

    /// The same device in memory.
    pub fn device(&self) -> Device<MemoryStore> {
        self.device_on(MemoryStore::new())
    }

    /// A device's chance that is the same every time.
    pub fn chance() -> sync_core::device::Chance {
        chance()
    }
}
