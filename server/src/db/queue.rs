//! The way of an upload through the `pictures` table: received, claimed by a worker, published or rejected.
//! A worker proves that it still holds a picture with the lease that it was given; without it nothing changes.

use sqlx::Row;

use super::bans::is_banned;
use super::rows::{PUBLISH, bind_published, read_received, to_i64};
use super::{Db, DbError};
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::{PictureId, Published, Received};
use crate::domain::verdict::{Reason, Rules};

/// What came of announcing a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// The picture is no longer this worker's, deleted meanwhile, or overdue: nothing may be stored or deleted.
    Lost,
    /// Its objects would not fit.
    Full,
    Ready {
        /// The number under which it will be listed.
        sequence: i64,
    },
}

/// What came of making a picture public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publishing {
    Done,
    /// A ban that covers it came first: nothing changed.
    Banned,
    /// It is no longer this worker's, or deleted meanwhile: nothing changed.
    Lost,
}

/// The longest rest of a picture whose workers died, seconds.
const LONGEST_REST: i64 = 300;

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Something else: the attempt does not count.
    Outage,
    /// The picture, for all that is known: the attempt counts twice.
    Picture,
}

impl Db {
    /// Records an upload whose bytes are safely on disk, unless `limit` were received after `since` already: then false.
    pub async fn insert_received(
        &self,
        received: &Received,
        since: i64,
        limit: u32,
    ) -> Result<bool, DbError> {
        let done = sqlx::query(
            "INSERT INTO pictures (id, state, received_at, delete_token_hash, content_hash, size_bytes)
             SELECT ?1, 'screening', ?2, ?3, ?4, ?5
             WHERE (SELECT count(*) FROM pictures WHERE received_at > ?6) < ?7",
        )
        .bind(received.id.as_str())
        .bind(received.received_at)
        .bind(&received.delete_token_hash.0[..])
        .bind(&received.content_hash.0[..])
        .bind(to_i64(received.size_bytes))
        .bind(since)
        .bind(limit)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes the longest-waiting picture for work until `leased_until`, if one is free and not `overdue` (received then or
    /// before).
    ///
    /// Of several uploads of the same bytes one is worked on at a time, so that the others find its verdict. A picture that
    /// was begun before, and so may be what kills the workers, goes first and alone: it must not take others with it.
    pub async fn claim_next(
        &self,
        now: i64,
        leased_until: i64,
        overdue: i64,
    ) -> Result<Option<Received>, DbError> {
        let row = sqlx::query(
            "WITH free AS (SELECT rowid AS arrival, * FROM pictures
                           WHERE state = 'screening' AND leased_until <= ?2 AND rests_until <= ?2 AND received_at > ?3),
                  held AS (SELECT * FROM pictures WHERE state = 'screening' AND leased_until > ?2)
             UPDATE pictures SET leased_until = ?1, attempts = attempts + 1
             WHERE id = (SELECT id FROM free
                         WHERE (attempts > 0 OR NOT EXISTS (SELECT 1 FROM free WHERE attempts > 0))
                           AND NOT EXISTS (SELECT 1 FROM held
                                           WHERE held.attempts > 1 OR free.attempts > 0
                                              OR held.content_hash = free.content_hash)
                         ORDER BY received_at, arrival LIMIT 1)
             RETURNING id, received_at, delete_token_hash, content_hash, size_bytes, leased_until, attempts",
        )
        .bind(leased_until)
        .bind(now)
        .bind(overdue)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| read_received(&row)).transpose()
    }

    /// Frees the leases of workers that no longer live: called once at start, before any worker.
    /// A picture whose workers died again and again rests, each time twice as long: it may be what kills them, and others
    /// should get their turn meanwhile.
    pub async fn release_leases(&self, now: i64) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE pictures
             SET leased_until = 0,
                 rests_until = CASE WHEN attempts > 1 THEN ? + min(1 << min(attempts - 1, 20), ?) ELSE 0 END
             WHERE leased_until > 0",
        )
        .bind(now)
        .bind(LONGEST_REST)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Gives a picture back to the queue, to be taken again from `at` on.
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

    /// Notes under which instant a picture's objects are about to be stored and how many bytes they are, unless all
    /// objects together would exceed `max_stored_bytes`.
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
            return Ok(Begun::Full);
        }
        let sequence: i64 = row.try_get("sequence")?;
        sqlx::query(
            "UPDATE pictures SET expires_at = ?, stored_bytes = ?, sequence = ? WHERE id = ?",
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

    /// The instant that was noted last for this worker's picture, where a publication of it was begun: its objects lie there.
    /// None also where the picture is no longer this worker's.
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

    /// Makes a screened picture public, unless a ban covers it: that is looked at in the same step.
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

    /// Records a refusal; with the rules where it is a verdict on the pixels, which then holds for the same bytes again.
    /// False when the picture is no longer this worker's: then nothing changed.
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
