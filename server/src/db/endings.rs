//! How pictures end in the `pictures` table: removed or over, then buried, which leaves a tombstone.

use sqlx::{QueryBuilder, Sqlite};

use super::rows::{read_expiry, read_id};
use super::{Db, DbError};
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::{PictureId, Received};

/// A picture that is over and whose objects may still be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    pub id: PictureId,
    /// The instant under which objects lie; absent where none was ever stored.
    pub expires_at: Option<ExpiresAt>,
}

impl Db {
    /// Hides a picture for good, at once. False when it was already over.
    pub async fn remove(&self, id: &PictureId) -> Result<bool, DbError> {
        let done = sqlx::query(
            "UPDATE pictures SET state = 'removed' WHERE id = ? AND state IN ('screening', 'published')",
        )
        .bind(id.as_str())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// At most `limit` pictures that are over at `now`, or got no verdict though received by `received_by`, and are not
    /// buried yet. Those that a worker holds are left to it.
    pub async fn list_dead(
        &self,
        now: i64,
        received_by: i64,
        limit: u32,
    ) -> Result<Vec<Dead>, DbError> {
        let rows = sqlx::query(
            "SELECT * FROM (SELECT id, expires_at FROM pictures WHERE state = 'published' AND expires_at <= ?1
                            ORDER BY expires_at LIMIT ?3)
             UNION ALL
             SELECT * FROM (SELECT id, expires_at FROM pictures
                            WHERE state = 'removed' AND delete_token_hash <> x'' AND leased_until <= ?1 LIMIT ?3)
             UNION ALL
             SELECT * FROM (SELECT id, expires_at FROM pictures
                            WHERE state = 'screening' AND received_at <= ?2 AND leased_until <= ?1 LIMIT ?3)
             LIMIT ?3",
        )
        .bind(now)
        .bind(received_by)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Dead {
                    id: read_id(row)?,
                    expires_at: read_expiry(row)?,
                })
            })
            .collect()
    }

    /// This picture, where it is removed, not buried yet, and no worker holds it.
    pub async fn find_removed(&self, id: &PictureId, now: i64) -> Result<Option<Dead>, DbError> {
        let row = sqlx::query(
            "SELECT id, expires_at FROM pictures
             WHERE id = ? AND state = 'removed' AND delete_token_hash <> x'' AND leased_until <= ?",
        )
        .bind(id.as_str())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(Dead {
                id: read_id(&row)?,
                expires_at: read_expiry(&row)?,
            })
        })
        .transpose()
    }

    /// Notes that these pictures' objects are deleted: what is left is a tombstone each.
    pub async fn bury(&self, ids: &[PictureId]) -> Result<(), DbError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "UPDATE pictures SET stored_bytes = 0, alt = NULL, tags = NULL, tags_text = NULL, thumbhash = NULL,
                 placeholder = NULL, stripped = NULL, variants = NULL, perceptual_hash = NULL, rules = NULL,
                 review = NULL, review_rules = NULL, failed_reviews = 0,
                 delete_token_hash = x'', content_hash = x'', size_bytes = 0, leased_until = 0,
                 state = CASE WHEN state IN ('published', 'screening') THEN 'expired' ELSE state END
             WHERE id IN (",
        );
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(id.as_str());
        }
        query.push(")");
        query.build().execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets what was refused until then, so that the same bytes would be looked at anew.
    pub async fn forget_refusals(&self, rejected_by: i64) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE pictures SET content_hash = x'', rules = NULL
             WHERE state = 'rejected' AND content_hash <> x'' AND rejected_at <= ?",
        )
        .bind(rejected_by)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// When the next of the published pictures ends that live at `now`. Those that are over wait for the sweeper only.
    pub async fn next_expiry(&self, now: i64) -> Result<Option<ExpiresAt>, DbError> {
        let second: Option<i64> = sqlx::query_scalar(
            "SELECT min(expires_at) FROM pictures WHERE state = 'published' AND expires_at > ?",
        )
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(second.map(ExpiresAt::from_second))
    }

    /// Gives up a picture that was removed, or became overdue, while this worker held it: the rest is the sweeper's.
    pub async fn release(&self, received: &Received) -> Result<(), DbError> {
        sqlx::query("UPDATE pictures SET leased_until = 0 WHERE id = ? AND leased_until = ?")
            .bind(received.id.as_str())
            .bind(received.leased_until)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
