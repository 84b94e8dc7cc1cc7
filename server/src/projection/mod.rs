//! The read model: orders and tickets as rows of SQLite, for lists, search, counts and reports.
//!
//! In: the relay's log and documents. Out: pages of rows, counts, differences. Times are Unix
//! milliseconds, money is minor units. Invariants: the file says nothing that the log does not, so it may
//! be deleted at any time; rows and the position they stand for are written in one transaction; every
//! value reaches SQL by a bind. A row may be newer than the position (the document was read after the
//! log), never older. What there is to hear stands as of its last look ([`notices`]). Deliberately not here:
//! admission, authority beyond the visibility filter, history.
//! Names, phones and addresses stand in this file and never in an error or a log line.

pub mod schema;
mod words;
mod said;
mod measure;
mod stage;
mod write;
pub mod query;
pub mod notices;
pub mod slice;
pub mod check;

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use sync_core::ids::Position;
use sync_core::time::UnixMs;
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;

use crate::relay::{Relay, RelayError};
use notices::Tell;
use schema::Found;

/// Entries of the log that one transaction takes.
const BATCH_ENTRIES: usize = 1_024;
/// Rows are at most so much later than the log, and what it takes to write them. Documents are read again
/// while they are still in the relay's memory.
const PAUSE: Duration = Duration::from_millis(500);
/// Connections to the file: one writes, the others read.
const CONNECTIONS_MAX: u32 = 4;
/// What SQLite says of a file that is none of its own (SQLITE_NOTADB).
const NOT_A_DATABASE: &str = "code 26";

/// What the read model cannot do, by who can act.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The question is not one that can be asked: its author changes it.
    #[error("{code}")]
    Question {
        /// Stable code: `text_too_long`, `cursor_invalid`, `limit_invalid`, `value_too_long`; of
        /// reports `period_invalid`, `report_too_large`, `no_policy`.
        code: &'static str,
    },
    /// The file is not a read model: the operator names another path.
    #[error("the file exists and is not a read model; it was left alone")]
    Foreign,
    /// The file could not be removed to build it anew.
    #[error("the stale read model cannot be removed: {0}")]
    Remove(std::io::ErrorKind),
    /// SQLite cannot do what it should. Only the kind of error: its text could quote a row.
    #[error("the read model's database: {0}")]
    Database(String),
    /// The relay or its log cannot be read.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The thread that folds documents ended early.
    #[error("folding documents was interrupted")]
    Interrupted,
}

impl From<sqlx::Error> for ProjectionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(match &error {
            sqlx::Error::Database(e) => format!("code {}", e.code().unwrap_or_default()),
            sqlx::Error::Io(e) => format!("io {}", e.kind()),
            sqlx::Error::PoolTimedOut => "no connection in time".to_owned(),
            sqlx::Error::RowNotFound => "a row is missing".to_owned(),
            sqlx::Error::ColumnDecode { .. } => "a column has another type".to_owned(),
            _ => "other".to_owned(),
        })
    }
}
impl From<crate::log::LogError> for ProjectionError {
    fn from(error: crate::log::LogError) -> Self {
        Self::Relay(error.into())
    }
}

/// Where the read model stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this file, made where it is missing; its folder must exist.
    File(PathBuf),
    /// In memory, gone with the process.
    Memory,
}

/// The read model.
pub struct Projection {
    relay: Arc<Relay>,
    pool: SqlitePool,
    /// Held while the log is followed: one writer.
    writer: Mutex<()>,
    /// Who tells outside what there is to hear.
    tell: std::sync::Mutex<Option<Arc<Tell>>>,
}

impl Projection {
    /// Opens the read model; what is stale is dropped. It is behind the log until
    /// [`Projection::catch_up`].
    pub async fn open(place: &Place, relay: Arc<Relay>) -> Result<Self, ProjectionError> {
        let company = relay.company().to_string();
        let epoch = relay.log().epoch().to_string();
        let mut found = look(place, &company, &epoch).await?;
        if matches!(found, Found::Ours(reached) if reached > relay.log().head().0) {
            found = Found::Stale;
        }
        if let (Found::Stale, Place::File(path)) = (found, place) {
            tracing::info!("the read model is of another version or log; it is built anew");
            remove(path)?;
            found = Found::Empty;
        }
        let pool = connect(place).await?;
        if found == Found::Empty {
            schema::create(&mut *pool.acquire().await?, &company, &epoch).await?;
        }
        Ok(Self { relay, pool, writer: Mutex::new(()), tell: std::sync::Mutex::default() })
    }

    /// The position that the rows stand for.
    pub async fn position(&self) -> Result<Position, ProjectionError> {
        let position: i64 = sqlx::query_scalar("SELECT position FROM meta").fetch_one(&self.pool).await?;
        Ok(Position(u64::try_from(position).unwrap_or(0)))
    }

    /// Reads the log to its end and writes what it touched; gives the position reached. Only rows of notices
    /// depend on `now_ms`.
    pub async fn catch_up(&self, now_ms: UnixMs) -> Result<Position, ProjectionError> {
        let _one_writer = self.writer.lock().await;
        let start = self.position().await?;
        let mut at = start;
        loop {
            let (relay, teller) = (self.relay.clone(), self.teller(now_ms));
            let (by, to) = (teller.clone(), at);
            let staged = spawn_blocking(move || stage::stage(&relay, to, BATCH_ENTRIES, by.as_ref())).await;
            let Some(staged) = staged.map_err(|_| ProjectionError::Interrupted)?? else { break };
            at = write::write(&self.pool, &self.relay, staged, teller).await?;
        }
        if at > start {
            tracing::debug!(from = start.0, to = at.0, now_ms, "the read model has caught up");
        }
        Ok(at)
    }

    /// Catches up whenever the log's head moves, until its sender is gone: at once where it was quiet, and
    /// while much comes in at most every `PAUSE`, so that a document that many write to is folded once
    /// for all of it. `clock` gives the time in Unix milliseconds. Ends with the first error, for the
    /// shell to judge.
    pub async fn follow(
        self: Arc<Self>,
        mut changes: watch::Receiver<Position>,
        clock: impl Fn() -> UnixMs + Send,
    ) -> Result<(), ProjectionError> {
        loop {
            changes.borrow_and_update();
            self.catch_up(clock()).await?;
            tokio::time::sleep(PAUSE).await;
            if changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn connect(place: &Place) -> Result<SqlitePool, ProjectionError> {
    let pool = SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None);
    Ok(match place {
        Place::File(path) => {
            let options = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal);
            pool.max_connections(CONNECTIONS_MAX).connect_with(options).await?
        }
        // Every connection to memory is a database of its own.
        Place::Memory => {
            let options = SqliteConnectOptions::from_str("sqlite::memory:")?;
            pool.min_connections(1).max_connections(1).connect_with(options).await?
        }
    })
}

/// Looks into a file before anything in it is changed, its journal mode included.
async fn look(place: &Place, company: &str, epoch: &str) -> Result<Found, ProjectionError> {
    let Place::File(path) = place else { return Ok(Found::Empty) };
    if !path.exists() {
        return Ok(Found::Empty);
    }
    let options = SqliteConnectOptions::new().filename(path);
    let looked = async {
        let mut db = options.connect().await?;
        let found = schema::inspect(&mut db, company, epoch).await;
        db.close().await?;
        found
    };
    match looked.await {
        Err(ProjectionError::Database(code)) if code == NOT_A_DATABASE => Err(ProjectionError::Foreign),
        found => found,
    }
}

fn remove(path: &Path) -> Result<(), ProjectionError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ProjectionError::Remove(error.kind()));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
