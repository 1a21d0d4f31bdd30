//! Rebuilding the index from what the objects tell.

use super::rows::{PUBLISH, bind_published, read_id, to_i64};
use super::{Db, DbError};
use crate::domain::picture::{PictureId, Published, Received};

impl Db {
    /// Records a published picture as its manifest tells it. False where the index knows the picture already: the index is
    /// right then, as it may know that the picture was removed.
    pub async fn insert_published(
        &self,
        received: &Received,
        published: &Published,
    ) -> Result<bool, DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let inserted = sqlx::query(
            "INSERT INTO pictures (id, state, received_at, delete_token_hash, content_hash, size_bytes)
             VALUES (?, 'screening', ?, ?, ?, ?) ON CONFLICT DO NOTHING",
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
        bind_published(sqlx::query(PUBLISH), published)?
            .bind(published.id.as_str())
            .bind(0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Every picture that the index holds for published.
    pub async fn list_published_ids(&self) -> Result<Vec<PictureId>, DbError> {
        let rows = sqlx::query("SELECT id FROM pictures WHERE state = 'published'")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read_id).collect()
    }
}
