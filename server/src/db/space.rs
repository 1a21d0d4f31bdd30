//! Gives space that the index no longer needs back to the disk.
//!
//! SQLite keeps the pages of deleted rows for later rows, and its file never shrinks by itself.
//! With incremental vacuuming it returns free pages when it is asked to, as many as it is told. A
//! file that was created without incremental vacuuming must be written anew once.

use super::{Db, DbError};

/// Free pages, of 4 KiB each, that are kept for the next rows.
const PAGES_KEPT: i64 = 64;
/// Space is returned only where more than one page in this many is free. Less than that comes and
/// goes with each day's pictures.
const WORTHWHILE_PART: i64 = 4;
/// Pages returned in one step: 2 MiB, which takes a few milliseconds in which nobody else can
/// write.
const PAGES_AT_ONCE: i64 = 512;
/// SQLite's number for the mode of incremental vacuuming.
const INCREMENTAL: i64 = 2;

impl Db {
    /// Rewrites the file where it cannot give back space yet. This needs up to twice the file's
    /// size on disk for a moment; where there is not enough, the file stays as it was. It may only
    /// run while nobody else uses the index. Returns true where the file was rewritten.
    ///
    /// # Errors
    /// When the file cannot be rewritten.
    pub async fn make_shrinkable(&self) -> Result<bool, DbError> {
        let mut connection = self.pool.acquire().await?;
        // A connection learns the mode of the file only once it has read from it.
        sqlx::query("SELECT 1 FROM sqlite_schema LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
        let mode: i64 = sqlx::query_scalar("PRAGMA auto_vacuum")
            .fetch_one(&mut *connection)
            .await?;
        if mode == INCREMENTAL {
            return Ok(false);
        }
        sqlx::query("PRAGMA auto_vacuum = INCREMENTAL")
            .execute(&mut *connection)
            .await?;
        let written = sqlx::query("VACUUM").execute(&mut *connection).await;
        // The connection remembers the pragma even where the file could not be rewritten, so it
        // must not be used again.
        connection.close().await?;
        written?;
        Ok(true)
    }

    /// Gives free pages back to the disk where much of the file is free: [`PAGES_AT_ONCE`] in each
    /// step, and at most `steps` steps.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn give_back_space(&self, steps: u32) -> Result<(), DbError> {
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(&self.pool)
            .await?;
        if self.free_pages().await? <= (pages / WORTHWHILE_PART).max(PAGES_KEPT) {
            return Ok(());
        }
        for _ in 0..steps {
            let spare = self.free_pages().await? - PAGES_KEPT;
            if spare <= 0 {
                break;
            }
            let pages = spare.min(PAGES_AT_ONCE);
            // A pragma takes no bound parameters.
            let query = format!("PRAGMA incremental_vacuum({pages})");
            sqlx::query(sqlx::AssertSqlSafe(query))
                .fetch_all(&self.pool)
                .await?;
        }
        Ok(())
    }

    async fn free_pages(&self) -> Result<i64, DbError> {
        Ok(sqlx::query_scalar("PRAGMA freelist_count")
            .fetch_one(&self.pool)
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::migrate::Migrator;

    use super::super::MIGRATIONS;
    use super::*;

    /// The last migration of the versions whose files cannot give back space.
    const LAST_WITHOUT: i64 = 8;

    async fn open_as_before(url: &str) -> Db {
        let db = Db::connect(url, true).await.expect("opens");
        let earlier = MIGRATIONS
            .iter()
            .filter(|step| step.version <= LAST_WITHOUT)
            .cloned()
            .collect();
        let earlier = Migrator::with_migrations(earlier);
        earlier.run(&db.pool).await.expect("migrates");
        db
    }

    async fn pages(db: &Db) -> i64 {
        let count = sqlx::query_scalar("PRAGMA page_count").fetch_one(&db.pool);
        count.await.expect("counts")
    }

    async fn insert(db: &Db, from: u32, to: u32) {
        sqlx::query(
            "WITH RECURSIVE number(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM number WHERE n < ?2)
             INSERT INTO pictures (id, state, received_at, delete_token_hash, content_hash, size_bytes, expires_at, sequence)
             SELECT printf('Catto%011d', n), 'expired', n, x'', x'', 0, n, n FROM number",
        )
        .bind(from)
        .bind(to)
        .execute(&db.pool)
        .await
        .expect("inserts");
    }

    #[tokio::test]
    async fn an_index_of_an_earlier_version_keeps_its_rows_and_gives_back_space_from_then_on() {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", dir.path().join("index.sqlite").display());
        let before = open_as_before(&url).await;
        insert(&before, 1, 20_000).await;
        before.close().await;

        let db = Db::open(&url).await.expect("migrates");
        assert!(db.make_shrinkable().await.expect("is written"));
        assert!(!db.make_shrinkable().await.expect("was written before"));
        let full = pages(&db).await;
        let (rows, sum): (i64, i64) =
            sqlx::query_as("SELECT count(*), sum(received_at) FROM pictures")
                .fetch_one(&db.pool)
                .await
                .expect("reads");
        assert_eq!((rows, sum), (20_000, 200_010_000));

        // Everything is deleted but the last row, which always stays.
        while db
            .forget_tombstones(i64::from(u32::MAX), 500)
            .await
            .expect("forgets")
            == 500
        {}
        db.give_back_space(1).await.expect("gives back");
        let less = pages(&db).await;
        assert!(less < full && less >= full - PAGES_AT_ONCE, "{full} {less}");
        db.give_back_space(1000).await.expect("gives back");
        let small = pages(&db).await;
        assert!(small < PAGES_KEPT + 40, "{full} {small}");
        db.close().await;
        let size = std::fs::metadata(dir.path().join("index.sqlite"))
            .expect("is there")
            .len();
        assert_eq!(size, small.cast_unsigned() * 4096);
    }

    #[tokio::test]
    async fn a_little_free_space_is_kept_for_the_next_rows() {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", dir.path().join("index.sqlite").display());
        let db = Db::open(&url).await.expect("opens");
        db.make_shrinkable().await.expect("is written");
        insert(&db, 1, 20_000).await;
        db.forget_tombstones(2000, 2000).await.expect("forgets");
        let before = pages(&db).await;
        db.give_back_space(1000).await.expect("gives back");
        assert_eq!(pages(&db).await, before);
    }
}
