//! The index: one SQLite database. Speaks domain types; knows nothing of storage, screening or HTTP.

mod pictures;

use std::str::FromStr;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub use self::pictures::ListFilter;

/// What can go wrong; absence is never an error here but an `Option`.
#[derive(Debug, thiserror::Error)]
#[error("the index failed")]
pub struct DbError(#[from] anyhow::Error);

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.into())
    }
}

/// The index of all pictures.
#[derive(Debug, Clone)]
pub struct Db {
    pool: SqlitePool,
}

impl Db {
    /// Opens the database, making it where it is absent, and brings its tables up to date.
    /// Write-ahead log with `synchronous=FULL`: a commit that returned survives a power cut.
    ///
    /// # Errors
    /// When the file cannot be opened or a migration fails.
    pub async fn open(url: &str) -> Result<Self, DbError> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await?;
        sqlx::migrate!()
            .run(&pool)
            .await
            .map_err(anyhow::Error::from)?;
        Ok(Self { pool })
    }

    /// Succeeds when the database answers.
    pub async fn check(&self) -> Result<(), DbError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Waits for work under way and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
