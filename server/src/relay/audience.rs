//! Who may see a document: its tags, a person's interests, and where the two meet.
//!
//! A document is visible to a person if one of its tags is among the person's interests. Tags follow
//! from what the document says (its store, its open appointments), interests from the person's roles.
//! Both change by entries of the log, so a feed position cannot miss a document that became visible.

use std::collections::BTreeSet;

use sync_core::directory::Rules;
use sync_core::fact::kinds::Payload;
use sync_core::fold::State;
use sync_core::ids::{DocId, DocKind, PersonId};
use sync_core::policy::model::{NOTIFIED, PUBLISHED, Power, Scope};
use sync_core::time::UnixMs;

use crate::log::{Entry, Tag};

/// A set of tags or interests.
pub type Tags = BTreeSet<Tag>;

/// Whether a fact of this kind may change who sees its document.
pub fn moves(payload: &Payload) -> bool {
    match payload {
        Payload::Opened(_) | Payload::Assigned(_) | Payload::Visited(_) => true,
        Payload::Step(p) => p.step == *NOTIFIED || p.step == *PUBLISHED,
        _ => false,
    }
}

/// The tags of an order, ticket, matter or customer file; the directory is everyone's. An outline of the
/// state is enough.
pub fn tags(state: &State) -> Tags {
    let kind = state.doc.kind();
    let person = |person| Tag::Person(person, kind);
    // Two who took one number apart both go on seeing it, whoever leads.
    let authors = state.openings().map(|(author, _)| person(author));
    let about = state.about().map(person);
    let of_a_person = kind == DocKind::Matter && about.is_some();
    let mut tags = Tags::from([if of_a_person { Tag::Assessors } else { Tag::All(kind) }]);
    match kind {
        DocKind::Directory => return Tags::from([Tag::Everyone]),
        DocKind::Inbox => return about.into_iter().collect(),
        DocKind::Conduct => {
            // Whom it is about sees it once they are told, everybody once it is published.
            tags.extend(authors);
            tags.extend(about.filter(|_| state.done(NOTIFIED)));
            tags.extend(state.done(PUBLISHED).then_some(Tag::Everyone));
            return tags;
        }
        DocKind::Matter => {
            // An appraisal, say, is everybody's once it is published (S4 第二十一条). Until then what is about
            // a person is for them and those who assess people.
            tags.extend(state.done(PUBLISHED).then_some(Tag::Everyone));
            tags.extend(authors.chain(about));
        }
        _ => {}
    }
    let stores = state.openings().filter_map(|(_, opened)| opened.store).filter(|_| !of_a_person);
    tags.extend(stores.map(|store| Tag::Store(store, kind)));
    let open = state.appointments.values().filter(|a| a.status.is_open());
    tags.extend(open.flat_map(|a| a.people.iter().map(|p| person(*p))));
    tags
}

/// The tags of a money facet: its subject's stores, nobody's appointments.
pub fn money_tags(facet: DocId, subject: &Tags) -> Tags {
    let kind = facet.kind();
    let store = subject.iter().filter_map(|tag| match tag {
        Tag::Store(store, _) => Some(Tag::Store(*store, kind)),
        _ => None,
    });
    store.chain([Tag::All(kind)]).collect()
}

/// The kinds of document that a role's scope is about.
const SHARED: [DocKind; 6] = [
    DocKind::Order,
    DocKind::OrderMoney,
    DocKind::Ticket,
    DocKind::TicketMoney,
    DocKind::Customer,
    DocKind::Matter,
];

/// What a person is interested in at a moment.
pub fn interests(rules: &Rules<'_>, person: PersonId, now_ms: UnixMs) -> Tags {
    let mut interests = Tags::from([Tag::Everyone]);
    let scopes = rules.scopes(person, now_ms);
    if !scopes.is_empty() {
        let own = [DocKind::Matter, DocKind::Conduct, DocKind::Inbox];
        interests.extend(own.map(|kind| Tag::Person(person, kind)));
        interests.insert(Tag::All(DocKind::Stock));
    }
    if rules.has_power(person, now_ms, Power::Conduct) {
        interests.insert(Tag::All(DocKind::Conduct));
    }
    let assesses = rules.has_power(person, now_ms, Power::Assess);
    for (scope, store, money) in scopes {
        let kinds = SHARED.into_iter().filter(|k| money || !k.is_money());
        match (scope, store) {
            (Scope::All, _) | (Scope::Store, None) => {
                interests.extend(kinds.map(Tag::All).chain(assesses.then_some(Tag::Assessors)));
            }
            (Scope::Store, Some(store)) => interests.extend(kinds.map(|kind| Tag::Store(store, kind))),
            (Scope::Assigned, _) => {
                let own = [DocKind::Order, DocKind::Ticket];
                interests.extend(own.map(|kind| Tag::Person(person, kind)));
            }
        }
    }
    interests
}

/// Whether the two meet.
pub fn visible(tags: &Tags, interests: &Tags) -> bool {
    !tags.is_disjoint(interests)
}

/// The entry that takes a document's tags from `before` to `after`, if they differ.
pub fn moved(doc: DocId, before: &Tags, after: &Tags) -> Option<Entry> {
    let gained: Vec<Tag> = after.difference(before).copied().collect();
    let lost: Vec<Tag> = before.difference(after).copied().collect();
    (!gained.is_empty() || !lost.is_empty()).then_some(Entry::Audience { doc, gained, lost })
}
