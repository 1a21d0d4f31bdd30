//! How pictures end in the `pictures` table. A picture is removed or expires; once its objects are
//! deleted its row is emptied to a tombstone; and after a while the tombstone is forgotten.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::purges::enqueue_picture;
use super::rows::{read_expiry, read_file_names, read_id};
use super::{Db, DbError, PurgeTerms};
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::{PictureId, Received};
use crate::domain::variant::FileName;

/// A picture that has ended and whose objects may still be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub id: PictureId,
    /// The expiry that is part of the objects' paths; `None` where no object was ever stored.
    pub expires_at: Option<ExpiresAt>,
    /// The names of its files; `None` where it was never published. A publication that was cut off
    /// may have stored some files all the same.
    pub files: Option<Vec<FileName>>,
}

impl Ended {
    fn read(row: &SqliteRow) -> Result<Self, DbError> {
        Ok(Self {
            id: read_id(row)?,
            expires_at: read_expiry(row)?,
            files: read_file_names(row)?,
        })
    }
}

impl Db {
    /// Hides a picture at once and for good, and puts its purge into the queue. Both happen in one
    /// transaction, so neither is ever there without the other. Returns false when the picture was
    /// already over.
    pub async fn remove(
        &self,
        id: &PictureId,
        purge: PurgeTerms<'_>,
        now: i64,
    ) -> Result<bool, DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let hidden = hide(&mut transaction, id, purge, now).await?;
        transaction.commit().await?;
        Ok(hidden)
    }

    /// Lists at most `limit` pictures that are no tombstones yet and whose objects should be
    /// deleted. These are pictures that expired by `now`, pictures that were removed, and uploads
    /// received by `received_by` that still have no verdict. What a worker holds is left out until
    /// its lease ends, and no worker can claim a picture that is over.
    pub async fn list_ended(
        &self,
        now: i64,
        received_by: i64,
        limit: u32,
    ) -> Result<Vec<Ended>, DbError> {
        // The index says so before any object is deleted. Otherwise a worker that read the clock a
        // moment earlier could still claim a picture whose bytes are about to go.
        sqlx::query(
            "UPDATE pictures SET state = 'expired'
             WHERE state = 'screening' AND received_at <= ? AND leased_until <= ?",
        )
        .bind(received_by)
        .bind(now)
        .execute(&self.pool)
        .await?;
        let rows = sqlx::query(
            "SELECT * FROM (SELECT id, expires_at, variants FROM pictures
                            WHERE state = 'published' AND expires_at <= ?1
                            ORDER BY expires_at LIMIT ?2)
             UNION ALL
             SELECT * FROM (SELECT id, expires_at, variants FROM pictures
                            WHERE state IN ('removed', 'expired') AND delete_token_hash <> x'' AND leased_until <= ?1
                            LIMIT ?2)
             LIMIT ?2",
        )
        .bind(now)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(Ended::read).collect()
    }

    /// This picture, where it was removed or got no verdict in time, is no tombstone yet, and is
    /// held by no worker.
    pub async fn find_ended(&self, id: &PictureId, now: i64) -> Result<Option<Ended>, DbError> {
        let row = sqlx::query(
            "SELECT id, expires_at, variants FROM pictures
             WHERE id = ? AND state IN ('removed', 'expired') AND delete_token_hash <> x'' AND leased_until <= ?",
        )
        .bind(id.as_str())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(Ended::read).transpose()
    }

    /// Notes that the objects of these pictures are deleted, and empties each row to a tombstone.
    pub async fn leave_tombstones(&self, ids: &[PictureId]) -> Result<(), DbError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "UPDATE pictures SET stored_bytes = 0, alt = NULL, tags = NULL, tags_text = NULL, thumbhash = NULL,
                 placeholder = NULL, stripped = NULL, variants = NULL, perceptual_hash = NULL, rules = NULL,
                 review = NULL, review_rules = NULL, failed_reviews = 0,
                 delete_token_hash = x'', content_hash = x'', size_bytes = 0, leased_until = 0,
                 state = CASE WHEN state = 'published' THEN 'expired' ELSE state END
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

    /// Forgets the verdicts of pictures refused by this second, so that the same bytes would be
    /// screened anew.
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

    /// Deletes at most `limit` tombstones of pictures that were over by this second; from then on
    /// their ids are unknown. Two rows always stay: the picture received last, which shows that the
    /// index is not new, and the one published last, which holds the highest sequence number.
    /// Returns how many rows were deleted.
    pub async fn forget_tombstones(&self, over_by: i64, limit: u32) -> Result<u64, DbError> {
        let done = sqlx::query(
            "DELETE FROM pictures WHERE rowid IN
               (SELECT rowid FROM pictures
                WHERE delete_token_hash = x'' AND state IN ('expired', 'removed', 'rejected')
                  AND coalesce(rejected_at, expires_at, received_at) <= ?1
                  AND rowid <> (SELECT max(rowid) FROM pictures)
                  AND sequence IS NOT (SELECT max(sequence) FROM pictures)
                LIMIT ?2)",
        )
        .bind(over_by)
        .bind(limit)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// When the next of the pictures that are live at `now` expires. Pictures that are over already
    /// are not counted: they only wait for the sweeper.
    pub async fn next_expiry(&self, now: i64) -> Result<Option<ExpiresAt>, DbError> {
        let second: Option<i64> = sqlx::query_scalar(
            "SELECT min(expires_at) FROM pictures WHERE state = 'published' AND expires_at > ?",
        )
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(second.map(ExpiresAt::from_second))
    }

    /// Ends the lease on a picture that was removed or became overdue while this worker held it.
    /// The sweeper does the rest.
    pub async fn release(&self, received: &Received) -> Result<(), DbError> {
        sqlx::query("UPDATE pictures SET leased_until = 0 WHERE id = ? AND leased_until = ?")
            .bind(received.id.as_str())
            .bind(received.leased_until)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Hides a picture and puts its purge into the queue, within the caller's transaction. Returns
/// false when the picture was already over.
pub(super) async fn hide(
    transaction: &mut Transaction<'_, Sqlite>,
    id: &PictureId,
    purge: PurgeTerms<'_>,
    now: i64,
) -> Result<bool, DbError> {
    let row = sqlx::query(
        "UPDATE pictures SET state = 'removed' WHERE id = ? AND state IN ('screening', 'published')
         RETURNING expires_at, variants",
    )
    .bind(id.as_str())
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = row else {
        return Ok(false);
    };
    // Without an expiry nothing was ever stored. With one, a CDN that reads the storage itself may
    // have fetched what was about to be published.
    if let Some(expires_at) = read_expiry(&row)? {
        let files = read_file_names(&row)?.unwrap_or_default();
        enqueue_picture(transaction, id, expires_at, &files, purge, now).await?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::{Acceptance, Foreseen};
    use crate::domain::hash::Sha256Hash;
    use crate::domain::picture::DeleteToken;

    #[tokio::test]
    async fn no_worker_takes_up_an_upload_that_the_sweeper_found_overdue() {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", dir.path().join("index.sqlite").display());
        let db = Db::open(&url).await.expect("opens");
        let received = Received {
            id: PictureId::random(),
            delete_token_hash: DeleteToken::random().hash(),
            content_hash: Sha256Hash::of(b"a cat"),
            size_bytes: 5,
            lives: None,
            received_at: 1000,
            leased_until: 0,
            attempts: 0,
        };
        let foreseen = Foreseen {
            work: Duration::ZERO,
            stored_bytes: 0,
        };
        let accepted = db.accept(&received, None, foreseen, 0, |_| Ok::<(), ()>(()));
        assert_eq!(accepted.await.expect("inserts"), Acceptance::Done);
        let ended = Ended {
            id: received.id.clone(),
            expires_at: None,
            files: None,
        };
        assert_eq!(db.list_ended(1059, 999, 10).await.expect("lists"), []);
        let listed = db.list_ended(1060, 1000, 10).await.expect("lists");
        assert_eq!(listed, std::slice::from_ref(&ended));
        // This worker read its clock a second before the sweeper did.
        let claimed = db.claim(&received.id, 1059, 1659, 999).await.expect("asks");
        assert!(claimed.is_none());
        // Until it is a tombstone it is found again, even after a crash.
        let found = db.find_ended(&received.id, 1060).await.expect("asks");
        assert_eq!(found, Some(ended));
        db.leave_tombstones(&[received.id]).await.expect("works");
        assert_eq!(db.list_ended(1060, 1000, 10).await.expect("lists"), []);
    }
}
