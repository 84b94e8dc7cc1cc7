//! Notices as rows: which documents are to be looked at again and when, and what each has to tell as of its
//! last look.
//!
//! In: documents that changed, looked at as they are read; documents whose moment has come. Out: a person's
//! notices, newest first, in pages. Times are Unix milliseconds. These two tables are the only ones that depend
//! on the time: they say what was so at the last look, which follows the log and the clock by seconds. What is
//! to be told outside is kept before a look counts as done; without anybody who tells ([`Projection::tells`])
//! what changed stays to be looked at. Deliberately not here: what there is to hear (`sync_core::notice`), and
//! how it is told ([`crate::outward`]).

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use sync_core::directory::Rules;
use sync_core::fold::fold;
use sync_core::ids::{DocId, PersonId, Position};
use sync_core::notice::{Notice, Outlook, To};
use sync_core::time::UnixMs;

use super::query::{LIMIT_MAX, visible};
use super::write::{clear, insert, number};
use super::{Projection, ProjectionError};
use crate::log::LogError;
use crate::relay::{Footing, RelayError, audience};

/// When a document is looked at again of which not everything could be told.
const TOLD_AGAIN_MS: i64 = 10 * 60_000;
/// Bytes of a cursor at most.
const CURSOR_BYTES_MAX: usize = 200;

/// What a look at a document came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The document.
    pub doc: DocId,
    /// Where the log had last changed it when it was taken up.
    pub position: Position,
    /// What it has to tell.
    pub notices: Vec<Notice>,
    /// When it is to be looked at again; never as it stands where none.
    pub next_ms: Option<UnixMs>,
}

impl Look {
    pub(super) fn at(doc: DocId, position: Position, outlook: &Outlook<'_>, now_ms: UnixMs) -> Self {
        let (notices, next_ms) = outlook.look(now_ms);
        Self { doc, position, notices, next_ms }
    }
}

/// Keeps what is to be told outside of a document's notices; whether some of it must be told again later.
pub type Tell = dyn Fn(DocId, &[Notice], &Footing, UnixMs) -> Result<bool, LogError> + Send + Sync;

/// Who tells outside, and when it is.
#[derive(Clone)]
pub(super) struct Teller {
    tell: Arc<Tell>,
    pub now_ms: UnixMs,
}

impl Teller {
    /// Has it kept before the look counts as done.
    pub(super) fn tell(&self, look: &mut Look, footing: &Footing) -> Result<(), LogError> {
        if (self.tell)(look.doc, &look.notices, footing, self.now_ms)? {
            let again_ms = self.now_ms.saturating_add(TOLD_AGAIN_MS);
            look.next_ms = Some(look.next_ms.map_or(again_ms, |next_ms| next_ms.min(again_ms)));
        }
        Ok(())
    }
}

/// One notice of a person.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NoticeRow {
    /// Its id, 32 hex digits.
    pub id: String,
    /// Its kind's name.
    pub kind: String,
    /// The document.
    pub doc: String,
    /// Its number.
    pub number: String,
    /// The name of its store.
    pub store_name: Option<String>,
    /// Since when.
    pub at_ms: i64,
    /// When it is or was due.
    pub due_ms: Option<i64>,
    /// What happened, in Chinese.
    pub zh: String,
    /// What happened, in English.
    pub en: String,
}

/// A page of notices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoticePage {
    /// Newest first.
    pub rows: Vec<NoticeRow>,
    /// What the next page begins after; none at the end.
    pub next: Option<String>,
}

impl Projection {
    /// From now on what documents have to tell is told by this as they are looked at.
    pub fn tells(&self, tell: Arc<Tell>) {
        *self.tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(tell);
    }

    pub(super) fn teller(&self, now_ms: UnixMs) -> Option<Teller> {
        let tell = self.tell.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(Teller { tell, now_ms })
    }

    /// Looks again at no more than so many documents whose moment has come, the longest waiting first; how
    /// many that were, none also where nobody tells.
    pub async fn look_again(&self, now_ms: UnixMs, limit: u32) -> Result<usize, ProjectionError> {
        let Some(teller) = self.teller(now_ms) else { return Ok(0) };
        let due = self.stirring(now_ms, limit).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let (count, relay) = (due.len(), self.relay.clone());
        let looked = tokio::task::spawn_blocking(move || -> Result<Vec<Look>, RelayError> {
            let footing = relay.footing();
            let mut looks = Vec::with_capacity(due.len());
            for (id, position) in due {
                let found = relay.look(id, |doc| {
                    let (rules, state) = (footing.rules(), fold(doc, &footing.rules()));
                    Look::at(id, position, &Outlook::of(doc, &state, &rules), now_ms)
                })?;
                let nothing = || Look { doc: id, position, notices: Vec::new(), next_ms: None };
                let mut look = found.unwrap_or_else(nothing);
                teller.tell(&mut look, &footing)?;
                looks.push(look);
            }
            Ok(looks)
        });
        self.looked(&looked.await.map_err(|_| ProjectionError::Interrupted)??).await?;
        Ok(count)
    }

    /// The documents whose moment has come, each with where the log last changed it.
    pub(super) async fn stirring(
        &self,
        now_ms: UnixMs,
        limit: u32,
    ) -> Result<Vec<(DocId, Position)>, ProjectionError> {
        let sql = "SELECT doc, position FROM stirring WHERE next_ms <= ? ORDER BY next_ms LIMIT ?";
        let rows = sqlx::query(sql).bind(now_ms).bind(limit).fetch_all(&self.pool).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let Ok(doc) = row.try_get::<String, _>(0)?.parse() else { continue };
            found.push((doc, Position(u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0))));
        }
        Ok(found)
    }

    /// How many documents wait to be looked at.
    pub async fn stirring_count(&self, now_ms: UnixMs) -> Result<i64, ProjectionError> {
        let count = sqlx::query_scalar("SELECT count(*) FROM stirring WHERE next_ms <= ?");
        Ok(count.bind(now_ms).fetch_one(&self.pool).await?)
    }

    /// Writes what looks came to, all of them or none; not of a document that changed meanwhile, which was
    /// looked at again as it was read.
    pub(super) async fn looked(&self, looks: &[Look]) -> Result<(), ProjectionError> {
        let _one_writer = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        for look in looks {
            let doc = look.doc.to_string();
            let still = match look.next_ms {
                Some(next_ms) => {
                    sqlx::query("UPDATE stirring SET next_ms = ? WHERE doc = ? AND position = ?")
                        .bind(next_ms)
                }
                None => sqlx::query("DELETE FROM stirring WHERE doc = ? AND position = ?"),
            };
            let still = still.bind(&doc).bind(number(look.position.0));
            if still.execute(&mut *tx).await?.rows_affected() == 1 {
                put_notices(&mut tx, &[(&doc, look)]).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Writes what there is to hear about the company, in place of what there was.
    pub async fn company_looked(&self, notices: &[Notice]) -> Result<(), ProjectionError> {
        let id = DocId::directory(self.relay.company());
        let look = Look { doc: id, position: Position::default(), notices: notices.to_vec(), next_ms: None };
        let _one_writer = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        put_notices(&mut tx, &[(&id.to_string(), &look)]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A person's notices as of the last looks, newest first: what is for them and of what they see. `after`:
    /// the last page's `next`; `limit`: from 1 to [`LIMIT_MAX`].
    pub async fn notices(
        &self,
        person: PersonId,
        rules: &Rules<'_>,
        now_ms: UnixMs,
        after: Option<&str>,
        limit: u32,
    ) -> Result<NoticePage, ProjectionError> {
        if limit == 0 || limit > LIMIT_MAX {
            return Err(ProjectionError::Question { code: "limit_invalid" });
        }
        let after = after.map(read_cursor).transpose()?;
        let mut sql = QueryBuilder::new(
            "SELECT n.id, n.kind, n.doc, n.number, s.name AS store_name, n.at_ms, n.due_ms, n.zh, n.en
            FROM notices n LEFT JOIN cases c ON c.doc = n.doc LEFT JOIN stores s ON s.store = n.store
            WHERE n.at_ms <= ",
        );
        sql.push_bind(now_ms);
        reaching(&mut sql, person, rules, now_ms);
        // The directory is everybody's.
        sql.push(" AND (n.doc = ").push_bind(DocId::directory(self.relay.company()).to_string());
        sql.push(" OR (c.doc IS NOT NULL");
        visible(&mut sql, &audience::interests(rules, person, now_ms));
        sql.push("))");
        if let Some((at_ms, id)) = after {
            sql.push(" AND (n.at_ms, n.id) < (").push_bind(at_ms).push(", ").push_bind(id).push(")");
        }
        // One thing may be for a person in more than one of their roles.
        sql.push(" GROUP BY n.at_ms, n.id ORDER BY n.at_ms DESC, n.id DESC LIMIT ");
        sql.push_bind(i64::from(limit) + 1);
        let mut rows: Vec<NoticeRow> = sql.build_query_as().fetch_all(&self.pool).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|last| write_cursor(last.at_ms, &last.id));
        Ok(NoticePage { rows, next })
    }
}

/// Writes the notices of documents, in place of those that stood for them.
pub(super) async fn put_notices(
    tx: &mut SqliteConnection,
    looks: &[(&String, &Look)],
) -> Result<(), ProjectionError> {
    let docs: Vec<&String> = looks.iter().map(|(doc, _)| *doc).collect();
    clear(tx, "DELETE FROM notices WHERE doc IN (", &docs).await?;
    let all = looks.iter().flat_map(|(doc, look)| look.notices.iter().map(move |notice| (*doc, notice)));
    let mut seen = BTreeSet::new();
    // One thing is told once to each, whichever way it was come upon.
    let rows: Vec<_> = all.filter(|(doc, notice)| seen.insert((*doc, notice.id, whom(notice)))).collect();
    let into = "notices (id, recipient, whom, doc, kind, number, store, at_ms, due_ms, zh, en)";
    insert(tx, into, &rows, |row, (doc, notice)| {
        let (to, whom) = whom(notice);
        row.push_bind(hex::encode(notice.id)).push_bind(to).push_bind(whom).push_bind(*doc);
        row.push_bind(notice.kind.words().0).push_bind(&notice.number);
        row.push_bind(notice.store.map(|store| store.to_string())).push_bind(notice.at_ms);
        row.push_bind(notice.due_ms).push_bind(&notice.words.0).push_bind(&notice.words.1);
    })
    .await
}

/// Whom a notice is for, as its row says it.
fn whom(notice: &Notice) -> (&'static str, String) {
    match &notice.to {
        To::Person(person) => ("person", person.to_string()),
        To::Role(role) => ("role", role.to_string()),
        To::Power(power) => ("power", power.name().to_owned()),
    }
}

/// The same rule as [`Notice::reaches`], as SQL.
fn reaching(sql: &mut QueryBuilder<'_, Sqlite>, person: PersonId, rules: &Rules<'_>, now_ms: UnixMs) {
    sql.push(" AND ((n.recipient = 'person' AND n.whom = ").push_bind(person.to_string()).push(")");
    for span in rules.directory.roles_at(person, now_ms) {
        sql.push(" OR (n.recipient = 'role' AND n.whom = ").push_bind(span.role.to_string());
        if let Some(store) = span.store {
            sql.push(" AND (n.store IS NULL OR n.store = ").push_bind(store.to_string()).push(")");
        }
        sql.push(")");
    }
    for power in rules.powers(person, now_ms) {
        sql.push(" OR (n.recipient = 'power' AND n.whom = ").push_bind(power.name()).push(")");
    }
    sql.push(")");
}

fn write_cursor(at_ms: i64, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{at_ms}/{id}"))
}

fn read_cursor(text: &str) -> Result<(i64, String), ProjectionError> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(Some(text).filter(|t| t.len() <= CURSOR_BYTES_MAX)?).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (at_ms, id) = text.split_once('/')?;
        sync_core::domain::fields::sixteen(id)?;
        Some((at_ms.parse().ok()?, id.to_owned()))
    };
    read().ok_or(ProjectionError::Question { code: "cursor_invalid" })
}
