//! The index: one SQLite database. Speaks domain types; knows nothing of storage, screening or HTTP.

mod bans;
mod endings;
mod ledger;
mod pictures;
mod purges;
mod queue;
mod rebuild;
mod reviews;
mod rows;
mod space;
mod traffic;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, anyhow};
use sqlx::error::DatabaseError;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::endings::Dead;
pub use self::ledger::{LedgerRow, Spending};
pub use self::pictures::ListFilter;
pub use self::purges::{ClaimedPurge, Postponed, PurgeOrder, PurgeTerms, SharedPurges};
pub use self::queue::{
    Begun, Blame, Claimed, Foreseen, Gauge, LONGEST_REST_OF_ALL, Publishing, Waiting,
};

/// What makes the tables, and brings them up to date.
static MIGRATIONS: Migrator = sqlx::migrate!();
/// How long a query waits for another's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections, which are threads.
const CONNECTIONS: u32 = 4;
/// Queries that look at every picture at the same time; the other connections are for what asks for one.
const SCANS: usize = 2;
/// The log of writes, which SQLite works into the file after every 4 MiB, may grow while a long reader is under way, such as a
/// backup; after that it is cut to this, bytes.
const LOG_KEPT: u32 = 16 * 1024 * 1024;
/// So many more such queries may wait for their turn. A scan of 100,000 pictures takes a quarter of a second, so the last
/// waits for one.
const WAITING_SCANS: usize = 8;
/// The most that each connection keeps of the file in memory, KiB.
const PAGE_CACHE: u32 = 1024;
/// Statements that each connection keeps prepared. Lists are worded in several ways; all other statements are a few dozen.
const STATEMENTS: usize = 64;
/// How long a connection is used.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);

/// What can go wrong; absence is never an error here but an `Option`.
#[derive(Debug, thiserror::Error)]
#[error("the index failed")]
pub struct DbError(#[from] anyhow::Error);

/// Too many queries that look at every picture wait for their turn.
#[derive(Debug, thiserror::Error)]
#[error("too many searches at once")]
struct Crowded;

impl DbError {
    /// True where nothing failed, but too many ask for what takes long.
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
    /// The right to look at every picture.
    scans: Arc<Semaphore>,
    /// The right to wait for one.
    waiting_scans: Arc<Semaphore>,
    /// The names of files that only another version of the program knows, of which a warning was
    /// written.
    unknown_files: Arc<Mutex<BTreeSet<String>>>,
}

impl Db {
    /// Opens the database, making it where it is absent, and brings its tables up to date.
    /// Write-ahead log with `synchronous=FULL`: a commit that returned survives a power cut.
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

    /// As [`Self::open`], and makes nothing and changes no table.
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
            // A negative number is one of KiB.
            .pragma("cache_size", format!("-{PAGE_CACHE}"));
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(10))
            // A connection that met a damaged page keeps what it read of it; new ones see that the file is well again.
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

    /// The file behind the URL.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn path(url: &str) -> Result<PathBuf, DbError> {
        Ok(SqliteConnectOptions::from_str(url)?
            .get_filename()
            .to_owned())
    }

    /// True for a file that is there and is no sound database.
    ///
    /// # Errors
    /// When that cannot be found out, for want of permission for one.
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

    /// Waits for the turn of a query that may look at every picture, as a search does: strangers word them, and must not
    /// take all connections by it. Where too many wait already, the answer is an error that [`DbError::is_crowded`].
    async fn scan(&self) -> Result<SemaphorePermit<'_>, DbError> {
        let Ok(_place) = self.waiting_scans.try_acquire() else {
            return Err(anyhow::Error::from(Crowded).into());
        };
        Ok(self.scans.acquire().await.context("the index is closed")?)
    }

    /// Waits for work under way and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// SQLite's words for a file that it cannot make sense of: `SQLITE_CORRUPT` (11) and `SQLITE_NOTADB` (26), whose extended codes
/// carry them in their lowest byte.
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
