//! The index: one SQLite database. It speaks in domain types and knows nothing of storage,
//! screening or HTTP.

mod bans;
mod endings;
mod ledger;
mod migrations;
mod pictures;
mod purges;
mod queue;
mod rebuild;
mod reviews;
mod rows;
mod space;
mod traffic;
mod upload_keys;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use parking_lot::Mutex;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::endings::Ended;
pub use self::ledger::{LedgerRow, Spending};
use self::migrations::MIGRATIONS;
pub use self::pictures::ListFilter;
pub use self::purges::{
    ClaimedLook, ClaimedPurge, Postponed, PurgeOrder, PurgeTerms, SharedPurges,
};
pub use self::queue::{
    Acceptance, Begun, Blame, Claimed, Foreseen, Gauge, LONGEST_REST_OF_ALL, Publishing, Waiting,
};

/// How long a query waits while another connection holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections in the pool. SQLx runs each of them on a thread of its own.
const CONNECTIONS: u32 = 4;
/// How many queries that may look at every picture run at the same time. The other connections stay
/// free for queries that ask for a single one.
const SCANS: usize = 2;
/// The size in bytes to which the write-ahead log is cut back. SQLite works the log into the file
/// after every 4 MiB, but a long reader such as a backup keeps it from doing so, and meanwhile the
/// log grows.
const LOG_KEPT: u32 = 16 * 1024 * 1024;
/// How many more such queries may wait for their turn. A scan of 100,000 pictures takes a quarter
/// of a second, so the last of them waits for about one second.
const WAITING_SCANS: usize = 8;
/// The page cache of each connection, in KiB.
const PAGE_CACHE: u32 = 1024;
/// Prepared statements that each connection keeps. Lists are asked for in several wordings; all
/// other statements together are a few dozen.
const STATEMENTS: usize = 64;
/// How long a connection is used before the pool replaces it.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);

/// A failure of the index. Absence is never an error here: it is a `None`.
#[derive(Debug, thiserror::Error)]
#[error("the index failed")]
pub struct DbError(#[from] anyhow::Error);

/// So many queries that may look at every picture are waiting that no more are let in.
#[derive(Debug, thiserror::Error)]
#[error("too many searches at once")]
struct Crowded;

impl DbError {
    /// True where nothing failed, but too many expensive queries are waiting already.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.0.is::<Crowded>()
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.into())
    }
}

/// The index of all pictures.
#[derive(Debug, Clone)]
pub struct Db {
    pool: SqlitePool,
    /// Permits to run a query that may look at every picture.
    scans: Arc<Semaphore>,
    /// Permits to wait for one of those.
    waiting_scans: Arc<Semaphore>,
    /// Names of files that only another version of the program knows and for which a warning was
    /// logged.
    unknown_files: Arc<Mutex<BTreeSet<String>>>,
}

impl Db {
    /// Opens the database, creates it where it is absent, and brings its tables up to date. It
    /// keeps a write-ahead log with `synchronous=FULL`, so a commit that returned survives a power
    /// cut.
    ///
    /// # Errors
    /// When the file cannot be opened or a migration fails.
    pub async fn open(url: &str) -> Result<Self, DbError> {
        let db = Self::connect(url, true).await?;
        MIGRATIONS
            .run(&db.pool)
            .await
            .map_err(anyhow::Error::from)?;
        Ok(db)
    }

    /// Opens a database like [`Self::open`], but creates no file and changes no table.
    ///
    /// # Errors
    /// When the file is absent, or its tables are not those of this version of the program.
    pub async fn open_existing(url: &str) -> Result<Self, DbError> {
        let db = Self::connect(url, false).await?;
        let known = MIGRATIONS.iter().map(|step| step.version).max();
        let found: Option<i64> =
            sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
                .fetch_one(&db.pool)
                .await?;
        if found != known {
            return Err(anyhow!("its tables are those of another version").into());
        }
        Ok(db)
    }

    async fn connect(url: &str, create: bool) -> Result<Self, DbError> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", LOG_KEPT.to_string())
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(STATEMENTS)
            // SQLite counts pages where this number is positive, and KiB where it is negative.
            .pragma("cache_size", format!("-{PAGE_CACHE}"));
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(10))
            // A connection that read a damaged page keeps it in its cache. A new connection reads
            // the file again, and so sees when it has been repaired.
            .max_lifetime(CONNECTION_LIFETIME)
            .connect_with(options)
            .await?;
        Ok(Self {
            pool,
            scans: Arc::new(Semaphore::new(SCANS)),
            waiting_scans: Arc::new(Semaphore::new(WAITING_SCANS)),
            unknown_files: Arc::default(),
        })
    }

    /// The path of the file that the URL names.
    ///
    /// # Errors
    /// When the URL cannot be parsed.
    pub fn path(url: &str) -> Result<PathBuf, DbError> {
        Ok(SqliteConnectOptions::from_str(url)?
            .get_filename()
            .to_owned())
    }

    /// True for a file that exists and is not a sound database.
    ///
    /// # Errors
    /// When that cannot be found out, for instance because the file may not be read.
    pub async fn is_damaged(url: &str) -> Result<bool, DbError> {
        let options = SqliteConnectOptions::from_str(url)?.busy_timeout(BUSY_TIMEOUT);
        if !options.get_filename().exists() {
            return Ok(false);
        }
        let check = async {
            let mut connection = options.connect().await?;
            let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
                .fetch_one(&mut connection)
                .await?;
            Ok::<_, sqlx::Error>(verdict == "ok")
        };
        match check.await {
            Ok(sound) => Ok(!sound),
            Err(sqlx::Error::Database(error)) if is_damage(error.as_ref()) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Succeeds when the database answers.
    pub async fn check(&self) -> Result<(), DbError> {
        sqlx::query("SELECT 1 FROM pictures LIMIT 1")
            .fetch_optional(&self.pool)
            .await?;
        Ok(())
    }

    /// Waits for the turn of a query that may look at every picture, such as a search. Strangers
    /// word these queries, and must not be able to occupy all connections with them. Where too many
    /// wait already, the error is one that [`DbError::is_crowded`].
    async fn scan(&self) -> Result<SemaphorePermit<'_>, DbError> {
        let Ok(_place) = self.waiting_scans.try_acquire() else {
            return Err(anyhow::Error::from(Crowded).into());
        };
        Ok(self.scans.acquire().await.context("the index is closed")?)
    }

    /// Waits for the queries that are running and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// True for the errors with which SQLite says that it cannot make sense of a file: `SQLITE_CORRUPT`
/// (11) and `SQLITE_NOTADB` (26). Extended error codes carry these in their lowest byte.
fn is_damage(error: &dyn DatabaseError) -> bool {
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_scans_wait_for_their_turn_and_the_next_is_told_that_there_is_a_crowd() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("index.sqlite").display());
        let db = Db::open(&url).await.expect("opens");
        let running = [db.scan().await, db.scan().await];
        let mut waiting = Vec::new();
        for _ in 0..WAITING_SCANS {
            let mut scan = Box::pin(db.scan());
            assert!(futures_util::poll!(scan.as_mut()).is_pending());
            waiting.push(scan);
        }
        let refused = db.scan().await.expect_err("is refused");
        assert!(refused.is_crowded());
        drop(running);
        for scan in waiting {
            assert!(scan.await.is_ok());
        }
        assert!(db.scan().await.is_ok());
    }
}
