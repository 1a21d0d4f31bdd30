//! Restores rows of the index from what the storage holds.

use super::rows::{PUBLISH, bind_published, read_id, to_i64};
use super::{Db, DbError};
use crate::domain::picture::{PictureId, Published, Received};

impl Db {
    /// Records a published picture as its manifest describes it. Returns false where the index
    /// knows the picture already. Then the index is right, because it may know that the picture was
    /// removed.
    pub async fn insert_published(
        &self,
        received: &Received,
        published: &Published,
    ) -> Result<bool, DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let inserted = sqlx::query(
            "INSERT INTO pictures (id, state, received_at, delete_token_hash, content_hash, size_bytes, looked)
             VALUES (?, 'screening', ?, ?, ?, ?, 1) ON CONFLICT DO NOTHING",
        )
        .bind(received.id.as_str())
        .bind(received.received_at)
        .bind(&received.delete_token_hash.0[..])
        .bind(&received.content_hash.0[..])
        .bind(to_i64(received.size_bytes))
        .execute(&mut *transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(false);
        }
        // An index that went on without this picture may have given its sequence number to another
        // one.
        let taken: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pictures WHERE sequence = ?)")
                .bind(published.sequence)
                .fetch_one(&mut *transaction)
                .await?;
        let mut published = published.clone();
        if taken {
            published.sequence = sqlx::query_scalar("SELECT max(sequence) + 1 FROM pictures")
                .fetch_one(&mut *transaction)
                .await?;
        }
        bind_published(sqlx::query(PUBLISH), &published)?
            .bind(published.id.as_str())
            .bind(0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// True where the index has never seen an upload.
    pub async fn is_new(&self) -> Result<bool, DbError> {
        Ok(
            sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM pictures)")
                .fetch_one(&self.pool)
                .await?,
        )
    }

    /// Notes that a rebuild begins or is finished, so that one which is cut off is made again.
    pub async fn note_rebuilding(&self, under_way: bool) -> Result<(), DbError> {
        // SQLite reserves this number for the application, and nothing else here uses it.
        let note = if under_way {
            "PRAGMA user_version = 1"
        } else {
            "PRAGMA user_version = 0"
        };
        sqlx::query(note).execute(&self.pool).await?;
        Ok(())
    }

    /// True where a rebuild was begun and not finished.
    pub async fn is_half_rebuilt(&self) -> Result<bool, DbError> {
        let version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&self.pool)
            .await?;
        Ok(version != 0)
    }

    /// Lists every picture that the index takes for published.
    pub async fn list_published_ids(&self) -> Result<Vec<PictureId>, DbError> {
        let rows = sqlx::query("SELECT id FROM pictures WHERE state = 'published'")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read_id).collect()
    }
}
