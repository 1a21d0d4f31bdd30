//! The way of an upload through the `pictures` table: received, claimed by a worker, then published
//! or rejected. A worker proves with the end of its lease that it still holds a picture; without
//! that nothing changes.

use std::time::Duration;

use sqlx::{Executor, Row, Sqlite};

use super::bans::is_banned;
use super::rows::{PUBLISH, bind_published, read_hash, read_id, read_received, to_i64};
use super::upload_keys::{find_first, keep_key};
use super::{Db, DbError};
use crate::domain::backoff::Backoff;
use crate::domain::expiry::{ExpiresAt, Retention};
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::{PictureId, Published, Received};
use crate::domain::upload_key::FirstUpload;
use crate::domain::verdict::{Reason, Rules};

/// How full the day, the queue and the store are. It decides whether a new upload is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge {
    /// Uploads of the day that count towards its limit: those that were looked at, and those that
    /// wait and so may be.
    pub counted: u32,
    /// Of the uploads that were looked at, how many were refused.
    pub refused: u32,
    /// Uploads of the day that were decided without a look, because they were copies of what is
    /// known or could not be read.
    pub unseen: u32,
    /// Uploads that wait for their verdict.
    pub waiting: u32,
    /// The size of the waiting uploads as they were sent, in bytes.
    pub waiting_bytes: u64,
    /// Storage that is reserved for the waiting uploads, in bytes.
    pub reserved_bytes: u64,
    /// The part of the reserved bytes that may become free again, because a picture can turn out
    /// smaller than estimated. Pictures that are ready and found no room do not count, since their
    /// size is known.
    pub promised_bytes: u64,
    /// The size of all stored objects, in bytes.
    pub stored_bytes: u64,
}

/// The outcome of [`Db::accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance<E> {
    /// The upload is recorded.
    Done,
    /// It was refused because of how full everything is; nothing changed.
    Refused(E),
    /// Its key belongs to this upload, which came first; nothing changed.
    Known(FirstUpload),
}

/// What is known of a received picture before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreseen {
    /// The longest that work on it should take.
    pub work: Duration,
    /// The most bytes that its stored files can take.
    pub stored_bytes: u64,
}

/// A picture that waits for its verdict, as the choice of the next one sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub id: PictureId,
    /// A number that grows from one upload to the next.
    pub arrival: i64,
    pub received_at: i64,
    pub content_hash: Sha256Hash,
    /// How many attempts count against it. An outage does not count, and a failure of the picture's
    /// own counts twice.
    pub attempts: u32,
    /// A worker holds it.
    pub is_held: bool,
    /// A worker may take it: no worker holds it, it is not resting, and it is not overdue.
    pub is_free: bool,
    /// The longest that work on it should take.
    pub work: Duration,
    /// The bytes of storage that are reserved for it; where it lacks room, the bytes that it needs.
    pub reserved_bytes: u64,
    /// It was ready, but there was no room to store it.
    pub lacks_room: bool,
}

/// A picture that a worker has taken.
#[derive(Debug)]
pub struct Claimed {
    pub received: Received,
    /// How many attempts at it were cut off because the process ended.
    pub cut_off: u32,
}

/// The outcome of [`Db::begin_publishing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// The worker no longer holds the picture, or it was deleted or became overdue. Nothing may be
    /// stored or deleted.
    Lost,
    /// Its objects would exceed the limit of the store.
    Full,
    Ready {
        /// The number by which lists will order it.
        sequence: i64,
    },
}

/// The outcome of [`Db::publish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publishing {
    Done,
    /// A ban covers the picture; nothing changed.
    Banned,
    /// The worker no longer holds the picture, or it was deleted; nothing changed.
    Lost,
}

/// The longest rest of a picture whose attempts were cut off, in seconds.
const LONGEST_CUT_OFF_REST: u64 = 300;
/// How long a picture rests whose attempts were cut off, from the second of them on.
const CUT_OFF_BACKOFF: Backoff = Backoff::of_seconds(2, LONGEST_CUT_OFF_REST);
/// The longest rest of any kind, in seconds. A stored rest that ends later than this from now was
/// begun before the clock was put back, and is taken to be over.
pub const LONGEST_REST_OF_ALL: i64 = 6 * 3600;

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Something else failed, so the attempt does not count.
    Outage,
    /// As far as anybody can tell it was the picture, so the attempt counts twice.
    Picture,
}

impl Db {
    /// How full everything is at the second `now`. Uploads received after `since` belong to the
    /// day.
    pub async fn gauge(&self, since: i64, now: i64) -> Result<Gauge, DbError> {
        read_gauge(&self.pool, since, now).await
    }

    /// Records an upload whose bytes are safely on disk, and by which key it may be repeated,
    /// unless its key is known already, or `check` refuses it because of how full everything is at
    /// that moment. All of it happens in one transaction.
    pub async fn accept<E>(
        &self,
        received: &Received,
        key: Option<&FirstUpload>,
        foreseen: Foreseen,
        since: i64,
        check: impl FnOnce(&Gauge) -> Result<(), E>,
    ) -> Result<Acceptance<E>, DbError> {
        let now = received.received_at;
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(key) = key {
            if let Some(first) = find_first(&mut *transaction, &key.key_name, now).await? {
                return Ok(Acceptance::Known(first));
            }
            keep_key(&mut *transaction, key, now).await?;
        }
        let gauge = read_gauge(&mut *transaction, since, now).await?;
        if let Err(refusal) = check(&gauge) {
            return Ok(Acceptance::Refused(refusal));
        }
        sqlx::query(
            "INSERT INTO pictures (id, state, received_at, delete_token_hash, content_hash, size_bytes, lives, work_ms, reserved_bytes)
             VALUES (?, 'screening', ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(received.id.as_str())
        .bind(received.received_at)
        .bind(&received.delete_token_hash.0[..])
        .bind(&received.content_hash.0[..])
        .bind(to_i64(received.size_bytes))
        .bind(received.lives.map(Retention::seconds))
        .bind(i64::try_from(foreseen.work.as_millis()).unwrap_or(i64::MAX))
        .bind(to_i64(foreseen.stored_bytes))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Acceptance::Done)
    }

    /// When an upload was received: the one at position `number` (from 0, oldest first) among those
    /// that count for the day.
    pub async fn counted_upload(
        &self,
        since: i64,
        now: i64,
        number: u32,
    ) -> Result<Option<i64>, DbError> {
        Ok(sqlx::query_scalar(
            "SELECT received_at FROM pictures
             WHERE received_at > ? AND received_at <= ? AND (looked = 1 OR state = 'screening')
             ORDER BY received_at LIMIT 1 OFFSET ?",
        )
        .bind(since)
        .bind(now)
        .bind(number)
        .fetch_optional(&self.pool)
        .await?)
    }

    /// The second by which enough pictures will have expired to free this many bytes; `None` where
    /// that is later than `until`.
    pub async fn room_by(&self, bytes: u64, until: i64) -> Result<Option<i64>, DbError> {
        Ok(sqlx::query_scalar(
            "SELECT expires_at FROM (SELECT expires_at, sum(stored_bytes) OVER (ORDER BY expires_at) AS freed
                                     FROM pictures WHERE state = 'published' AND expires_at <= ?)
             WHERE freed >= ? LIMIT 1",
        )
        .bind(until)
        .bind(to_i64(bytes))
        .fetch_optional(&self.pool)
        .await?)
    }

    /// Lists all pictures that wait for their verdict, oldest first. Those received by `overdue`
    /// are marked as not free.
    pub async fn list_waiting(&self, now: i64, overdue: i64) -> Result<Vec<Waiting>, DbError> {
        let rows = sqlx::query(
            "SELECT rowid AS arrival, id, received_at, content_hash, attempts, work_ms, reserved_bytes, lacks_room,
                    leased_until > ?1 AS is_held,
                    leased_until <= ?1 AND received_at > ?2 AND (rests_until <= ?1 OR rests_until > ?1 + ?3) AS is_free
             FROM pictures WHERE state = 'screening' ORDER BY received_at, arrival",
        )
        .bind(now)
        .bind(overdue)
        .bind(LONGEST_REST_OF_ALL)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Waiting {
                    id: read_id(row)?,
                    arrival: row.try_get("arrival")?,
                    received_at: row.try_get("received_at")?,
                    content_hash: read_hash(row, "content_hash")?,
                    attempts: row.try_get("attempts")?,
                    is_held: row.try_get("is_held")?,
                    is_free: row.try_get("is_free")?,
                    work: Duration::from_millis(row.try_get::<i64, _>("work_ms")?.cast_unsigned()),
                    reserved_bytes: row.try_get::<i64, _>("reserved_bytes")?.cast_unsigned(),
                    lacks_room: row.try_get("lacks_room")?,
                })
            })
            .collect()
    }

    /// The size of all stored objects, plus what is reserved for waiting pictures that have not
    /// lacked room so far, in bytes.
    pub async fn promised_bytes(&self) -> Result<u64, DbError> {
        let sum: i64 = sqlx::query_scalar(
            "SELECT coalesce((SELECT sum(stored_bytes) FROM pictures WHERE stored_bytes > 0), 0)
                  + coalesce((SELECT sum(reserved_bytes) FROM pictures WHERE state = 'screening' AND lacks_room = 0), 0)",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(sum.cast_unsigned())
    }

    /// Takes a lease on this picture until `leased_until` and counts an attempt. Returns `None`
    /// where the picture is no longer waiting, another worker holds it, or it was received by
    /// `overdue`.
    pub async fn claim(
        &self,
        id: &PictureId,
        now: i64,
        leased_until: i64,
        overdue: i64,
    ) -> Result<Option<Claimed>, DbError> {
        let row = sqlx::query(
            "UPDATE pictures SET leased_until = ?, attempts = attempts + 1
             WHERE id = ? AND state = 'screening' AND leased_until <= ? AND received_at > ?
             RETURNING id, received_at, delete_token_hash, content_hash, size_bytes, lives, leased_until, attempts,
                       cut_off",
        )
        .bind(leased_until)
        .bind(id.as_str())
        .bind(now)
        .bind(overdue)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(Claimed {
                received: read_received(&row)?,
                cut_off: row.try_get("cut_off")?,
            })
        })
        .transpose()
    }

    /// Ends the leases of an earlier process's workers. Called once at start, before any worker
    /// runs. A picture whose attempts were cut off again and again may be what ends the process, so
    /// it rests, each time twice as long, and others get their turn meanwhile.
    pub async fn release_leases(&self, now: i64) -> Result<(), DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        // There are no more of these than workers.
        let leased: Vec<(i64, u32)> =
            sqlx::query_as("SELECT rowid, attempts FROM pictures WHERE leased_until > 0")
                .fetch_all(&mut *transaction)
                .await?;
        for (row, attempts) in leased {
            let rests_until = match attempts.saturating_sub(1) {
                0 => 0,
                again => now + CUT_OFF_BACKOFF.seconds_after(again),
            };
            sqlx::query(
                "UPDATE pictures SET leased_until = 0, cut_off = cut_off + 1, rests_until = ? WHERE rowid = ?",
            )
            .bind(rests_until)
            .bind(row)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Returns a picture to the queue, to be taken again from the second `at` on.
    pub async fn postpone(
        &self,
        received: &Received,
        at: i64,
        blame: Blame,
    ) -> Result<(), DbError> {
        let change = match blame {
            Blame::Outage => -1,
            Blame::Picture => 1,
        };
        sqlx::query(
            "UPDATE pictures SET leased_until = 0, rests_until = ?, attempts = attempts + ?
             WHERE id = ? AND leased_until = ?",
        )
        .bind(at)
        .bind(change)
        .bind(received.id.as_str())
        .bind(received.leased_until)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// True while this upload waits for its verdict.
    pub async fn is_screening(&self, id: &PictureId) -> Result<bool, DbError> {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM pictures WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(state.as_deref() == Some("screening"))
    }

    /// Notes, before a picture's objects are stored, under which expiry they will lie and how many
    /// bytes they take. This replaces the estimate that was reserved for it. Where all objects
    /// together would exceed `max_stored_bytes`, it notes what the picture needs and returns
    /// [`Begun::Full`].
    pub async fn begin_publishing(
        &self,
        received: &Received,
        expires_at: ExpiresAt,
        bytes: u64,
        max_stored_bytes: u64,
        overdue: i64,
    ) -> Result<Begun, DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query(
            "SELECT stored_bytes,
                    (SELECT coalesce(sum(stored_bytes), 0) FROM pictures WHERE stored_bytes > 0) AS all_bytes,
                    (SELECT coalesce(max(sequence), 0) + 1 FROM pictures) AS sequence
             FROM pictures WHERE id = ? AND state = 'screening' AND leased_until = ? AND received_at > ?",
        )
        .bind(received.id.as_str())
        .bind(received.leased_until)
        .bind(overdue)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else {
            return Ok(Begun::Lost);
        };
        let own: i64 = row.try_get("stored_bytes")?;
        let all: i64 = row.try_get("all_bytes")?;
        if (all - own).cast_unsigned().saturating_add(bytes) > max_stored_bytes {
            sqlx::query(
                "UPDATE pictures SET stored_bytes = 0, reserved_bytes = ?, lacks_room = 1 WHERE id = ?",
            )
            .bind(to_i64(bytes))
            .bind(received.id.as_str())
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            return Ok(Begun::Full);
        }
        let sequence: i64 = row.try_get("sequence")?;
        sqlx::query(
            "UPDATE pictures SET expires_at = ?, stored_bytes = ?, sequence = ?, reserved_bytes = 0, lacks_room = 0
             WHERE id = ?",
        )
        .bind(expires_at.second())
        .bind(to_i64(bytes))
        .bind(sequence)
        .bind(received.id.as_str())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Begun::Ready { sequence })
    }

    /// Notes that this worker's picture was looked at. From then on it counts towards the day's
    /// limit, whatever becomes of it.
    pub async fn note_looked(&self, received: &Received) -> Result<(), DbError> {
        sqlx::query("UPDATE pictures SET looked = 1 WHERE id = ? AND leased_until = ?")
            .bind(received.id.as_str())
            .bind(received.leased_until)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The expiry that was noted when a publication of this worker's picture was last begun;
    /// objects of that attempt lie under it. `None` where none was begun, or the worker no longer
    /// holds the picture.
    pub async fn planned_expiry(&self, received: &Received) -> Result<Option<ExpiresAt>, DbError> {
        let second: Option<Option<i64>> = sqlx::query_scalar(
            "SELECT expires_at FROM pictures WHERE id = ? AND state = 'screening' AND leased_until = ?",
        )
        .bind(received.id.as_str())
        .bind(received.leased_until)
        .fetch_optional(&self.pool)
        .await?;
        Ok(second.flatten().map(ExpiresAt::from_second))
    }

    /// Makes a screened picture public, unless a ban covers it. Both happen in one transaction.
    pub async fn publish(
        &self,
        published: &Published,
        received: &Received,
    ) -> Result<Publishing, DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if is_banned(&mut transaction, published.perceptual_hash).await? {
            return Ok(Publishing::Banned);
        }
        let done = bind_published(sqlx::query(PUBLISH), published)?
            .bind(published.id.as_str())
            .bind(received.leased_until)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(match done.rows_affected() {
            1 => Publishing::Done,
            _ => Publishing::Lost,
        })
    }

    /// Records a refusal. `rules` is given where the refusal is a verdict on the pixels, which then
    /// also holds when the same bytes come again. Returns false and changes nothing where the
    /// worker no longer holds the picture.
    pub async fn reject(
        &self,
        received: &Received,
        reason: Reason,
        rules: Option<&Rules>,
        now: i64,
    ) -> Result<bool, DbError> {
        let done = sqlx::query(
            "UPDATE pictures SET state = 'rejected', rejected_at = ?1, reason = ?2, rules = ?3, leased_until = 0,
                 delete_token_hash = x'', size_bytes = 0, stored_bytes = 0, expires_at = NULL,
                 review = NULL, review_rules = NULL, failed_reviews = 0,
                 work_ms = 0, reserved_bytes = 0, lacks_room = 0, cut_off = 0,
                 content_hash = CASE WHEN ?3 IS NULL THEN x'' ELSE content_hash END
             WHERE id = ?4 AND state = 'screening' AND leased_until = ?5",
        )
        .bind(now)
        .bind(reason.as_str())
        .bind(rules.map(|rules| &rules.0.0[..]))
        .bind(received.id.as_str())
        .bind(received.leased_until)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

async fn read_gauge(
    connection: impl Executor<'_, Database = Sqlite>,
    since: i64,
    now: i64,
) -> Result<Gauge, DbError> {
    // Uploads with a time in the future were received before the clock was put back, and do not
    // count.
    let row = sqlx::query(
        "SELECT * FROM
         (SELECT count(*) FILTER (WHERE looked = 1 OR state = 'screening') AS counted,
                 count(*) FILTER (WHERE looked = 1 AND state = 'rejected') AS refused,
                 count(*) FILTER (WHERE looked = 0 AND state <> 'screening') AS unseen
          FROM pictures WHERE received_at > ? AND received_at <= ?),
         (SELECT count(*) AS waiting, coalesce(sum(size_bytes), 0) AS waiting_bytes,
                 coalesce(sum(reserved_bytes), 0) AS reserved_bytes,
                 coalesce(sum(reserved_bytes) FILTER (WHERE lacks_room = 0), 0) AS promised_bytes
          FROM pictures WHERE state = 'screening'),
         (SELECT coalesce(sum(stored_bytes), 0) AS stored_bytes FROM pictures WHERE stored_bytes > 0)",
    )
    .bind(since)
    .bind(now)
    .fetch_one(connection)
    .await?;
    let bytes =
        |column: &str| Ok::<u64, sqlx::Error>(row.try_get::<i64, _>(column)?.cast_unsigned());
    Ok(Gauge {
        counted: row.try_get("counted")?,
        refused: row.try_get("refused")?,
        unseen: row.try_get("unseen")?,
        waiting: row.try_get("waiting")?,
        waiting_bytes: bytes("waiting_bytes")?,
        reserved_bytes: bytes("reserved_bytes")?,
        promised_bytes: bytes("promised_bytes")?,
        stored_bytes: bytes("stored_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::picture::DeleteToken;

    const NOW: i64 = 1_800_000_000;

    async fn index() -> (tempfile::TempDir, Db) {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", dir.path().join("index.sqlite").display());
        let db = Db::open(&url).await.expect("opens");
        (dir, db)
    }

    async fn receive(db: &Db, received_at: i64, stored_bytes: u64) -> PictureId {
        let received = Received {
            id: PictureId::random(),
            delete_token_hash: DeleteToken::random().hash(),
            content_hash: Sha256Hash::of(&stored_bytes.to_le_bytes()),
            size_bytes: 5,
            lives: None,
            received_at,
            leased_until: 0,
            attempts: 0,
        };
        let foreseen = Foreseen {
            work: Duration::from_secs(1),
            stored_bytes,
        };
        let accepted = db.accept(&received, None, foreseen, NOW - 100, |_| Ok::<(), ()>(()));
        assert_eq!(accepted.await.expect("inserts"), Acceptance::Done);
        received.id
    }

    #[tokio::test]
    async fn what_a_crash_cut_off_is_told_from_what_something_else_failed() {
        let (_dir, db) = index().await;
        let id = receive(&db, NOW, 1).await;
        let claim = async || {
            let claimed = db.claim(&id, NOW, NOW + 600, NOW - 9).await;
            claimed.expect("asks").expect("is free")
        };
        let first = claim().await;
        db.postpone(&first.received, NOW, Blame::Outage)
            .await
            .expect("works");
        assert_eq!(claim().await.cut_off, 0);
        db.release_leases(NOW).await.expect("works");
        let again = claim().await;
        assert_eq!((again.cut_off, again.received.attempts), (1, 2));
        let taken = db.claim(&id, NOW, NOW + 600, NOW - 9).await.expect("asks");
        assert!(taken.is_none());
    }

    #[tokio::test]
    async fn what_waits_counts_for_the_day_and_for_the_store_until_it_is_decided() {
        let (_dir, db) = index().await;
        receive(&db, NOW - 200, 10).await;
        receive(&db, NOW - 50, 20).await;
        let seen = receive(&db, NOW - 40, 30).await;
        let unseen = receive(&db, NOW - 30, 40).await;
        let gauge = db.gauge(NOW - 100, NOW).await.expect("asks");
        assert_eq!((gauge.counted, gauge.waiting), (3, 4));
        assert_eq!((gauge.waiting_bytes, gauge.reserved_bytes), (20, 100));
        for id in [&seen, &unseen] {
            let claimed = db.claim(id, NOW, NOW + 600, NOW - 900).await;
            let received = claimed.expect("asks").expect("is free").received;
            if id == &seen {
                db.note_looked(&received).await.expect("works");
            }
            let kept = db.reject(&received, Reason::NotACat, None, NOW).await;
            assert!(kept.expect("works"));
        }
        let gauge = db.gauge(NOW - 100, NOW).await.expect("asks");
        assert_eq!((gauge.counted, gauge.refused, gauge.unseen), (2, 1, 1));
        assert_eq!((gauge.waiting, gauge.reserved_bytes), (2, 30));
        let second = db.counted_upload(NOW - 100, NOW, 1).await.expect("asks");
        assert_eq!(second, Some(NOW - 40));
        // Uploads of an hour that is still to come do not count.
        let put_back = db.gauge(NOW - 3700, NOW - 3600).await.expect("asks");
        assert_eq!(put_back.counted, 0);
    }
}
