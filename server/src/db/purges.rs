//! The queue of purges, in the tables `purges` and `purge_receipts`. A worker takes rows by lease,
//! as it does with pictures. When it dies, the lease runs out and another worker takes the rows;
//! every step can be repeated.

use anyhow::Context;
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Row, SqliteConnection, Transaction};

use super::{Db, DbError};
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::PictureId;
use crate::domain::purge::{
    Cdn, EndingSpan, Look, PurgeAction, PurgeItem, PurgeKind, PurgeReceipt, PurgeStep, PurgeTarget,
    steps_for_picture,
};
use crate::domain::variant::FileName;

/// How long a purge waits for the picture's bytes to be deleted, in seconds. A CDN that reads the
/// storage itself could fetch them again if it were told earlier. After this time it is told
/// anyway, and then told once more later.
const PATIENCE_FOR_BURIAL: i64 = 60;

/// The most rows that a worker takes at once.
const MOST_CLAIMED: i64 = 300;

/// How many steps of deletions that are purged one by one may wait at a CDN that is paid for by the
/// path. A deletion has two such steps. While this many wait, further deletions are purged
/// together.
const MOST_SINGLE_STEPS: u32 = 30;

/// A purge to be put into the queue: what is purged together, and on which terms.
#[derive(Debug, Clone)]
pub struct PurgeOrder {
    /// A random identifier, by which CloudFront recognises a repeated request.
    pub batch: String,
    pub picture: Option<PictureId>,
    pub steps: Vec<PurgeStep>,
    /// How often the CDNs have been told, this time included.
    pub round: u32,
    /// How many of the month's CloudFront paths this purge must leave for others.
    pub keep: u32,
    /// From this second on nothing needs to be purged any more.
    pub ends_at: i64,
    /// The purge begins at this second at the earliest.
    pub due_at: i64,
    /// True where a CDN that is paid for by the path is not told of this purge alone. There it
    /// waits until [`Db::gather_purges`] purges it together with others.
    pub shared: bool,
}

/// The terms on which a deleted picture is purged. They depend on who deletes it.
#[derive(Debug, Clone, Copy)]
pub struct PurgeTerms<'a> {
    /// The CDNs to tell. Where there are none, nothing is queued.
    pub cdns: &'a [Cdn],
    /// How many of the month's CloudFront paths this purge must leave for others.
    pub keep: u32,
    /// True where a CDN that is paid for by the path must purge this deletion together with others.
    /// False where it may be purged alone, unless [`MOST_SINGLE_STEPS`] wait there already.
    pub shared: bool,
}

/// The deletions that wait to be purged together.
#[derive(Debug, Clone)]
pub struct SharedPurges {
    /// When their pictures expire.
    pub ends: Vec<ExpiresAt>,
    /// How many of the month's CloudFront paths must be left for others: the smallest number that
    /// any of these deletions asks for.
    pub keep: u32,
    /// True while earlier deletions are being purged together.
    pub under_way: bool,
}

/// A look at the site that a worker holds.
#[derive(Debug, Clone)]
pub struct ClaimedLook {
    /// Its row of the queue.
    pub step: ClaimedPurge,
    /// What is looked at.
    pub look: Look,
}

/// A row of the queue that a worker holds.
#[derive(Debug, Clone)]
pub struct ClaimedPurge {
    pub id: i64,
    pub batch: String,
    pub picture: Option<PictureId>,
    pub item: PurgeItem,
    pub round: u32,
    pub keep: u32,
    pub ends_at: i64,
    /// The end of the lease, which is also the worker's proof that it still holds the row.
    pub leased_until: i64,
    /// How often this step has been begun, this time included.
    pub attempts: u32,
    /// The month in whose ledger its path is reserved.
    pub reserved: Option<String>,
    /// The CDN's name for the request that is under way, by which it can be asked whether it is
    /// done.
    pub ticket: Option<String>,
    /// Only for the look at the site: true where a CDN was told before the picture's bytes were
    /// deleted.
    pub too_early: bool,
    /// The same as [`PurgeOrder::shared`].
    pub shared: bool,
    /// True where the picture's bytes were already deleted when the row was taken.
    is_buried: bool,
}

/// When a row is taken up again, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Postponed<'a> {
    pub due_at: i64,
    /// Resets the count of attempts, because what happened was not a failure.
    pub forget_attempts: bool,
    /// From now on the CDN is asked for this row alone and not for others in the same request.
    pub alone: bool,
    /// The CDN's name for the request, where it has begun.
    pub ticket: Option<&'a str>,
}

impl Db {
    /// Puts a purge into the queue.
    pub async fn enqueue_purge(&self, order: &PurgeOrder, now: i64) -> Result<(), DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        insert(&mut transaction, order, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Takes steps that are due at this CDN, all of one kind: at most as many as `most` allows for
    /// that kind, and at most [`MOST_CLAIMED`]. No more than `most_under_way` folders are being
    /// purged there at the same time, where 0 means no limit. A step waits for the earlier steps of
    /// its batch, but only for those at one of `targets`: a CDN that is not configured holds up
    /// nothing.
    pub async fn claim_purges(
        &self,
        cdn: Cdn,
        targets: &[PurgeTarget],
        most: impl Fn(PurgeKind) -> usize,
        most_under_way: u32,
        now: i64,
        leased_until: i64,
    ) -> Result<Vec<ClaimedPurge>, DbError> {
        let target = PurgeTarget::Cdn(cdn);
        self.claim_steps(target, targets, most, most_under_way, now, leased_until)
            .await
    }

    /// Takes one look at the site that is due, under the same conditions.
    pub async fn claim_look(
        &self,
        targets: &[PurgeTarget],
        now: i64,
        leased_until: i64,
    ) -> Result<Option<ClaimedLook>, DbError> {
        let claimed = self
            .claim_steps(PurgeTarget::Site, targets, |_| 1, 0, now, leased_until)
            .await?;
        let Some(step) = claimed.into_iter().next() else {
            return Ok(None);
        };
        let Some(look) = Look::at(&step.item) else {
            let mut connection = self.pool.acquire().await?;
            set_aside(&mut connection, step.id).await?;
            return Ok(None);
        };
        Ok(Some(ClaimedLook { step, look }))
    }

    async fn claim_steps(
        &self,
        target: PurgeTarget,
        targets: &[PurgeTarget],
        most: impl Fn(PurgeKind) -> usize,
        most_under_way: u32,
        now: i64,
        leased_until: i64,
    ) -> Result<Vec<ClaimedPurge>, DbError> {
        // Mostly nothing is due, and finding that out needs no write lock.
        let is_any: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM purges WHERE target = ? AND due_at <= ? AND NOT (? AND shared AND ticket IS NULL))",
        )
        .bind(target.as_str())
        .bind(now)
        .bind(target.is_paid())
        .fetch_one(&self.pool)
        .await?;
        if !is_any {
            return Ok(Vec::new());
        }
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let under_way: u32 = sqlx::query_scalar(
            "SELECT count(*) FROM purges WHERE target = ? AND ticket IS NOT NULL AND item LIKE '%*'",
        )
        .bind(target.as_str())
        .fetch_one(&mut *transaction)
        .await?;
        let is_full = most_under_way > 0 && under_way >= most_under_way;
        let rows = sqlx::query(
            "SELECT * FROM
               (SELECT *, NOT EXISTS (SELECT 1 FROM pictures WHERE pictures.id = purges.picture
                            AND state = 'removed' AND delete_token_hash <> x'') AS is_buried FROM purges
                WHERE target = ?1 AND due_at <= ?2 AND leased_until <= ?2 AND ends_at > ?2
                  AND NOT (?7 AND shared AND ticket IS NULL)) AS due
             WHERE (is_buried OR (target <> 'site' AND created_at <= ?2 - ?3))
               AND (ticket IS NOT NULL OR item NOT LIKE '%*' OR NOT ?4)
               AND NOT EXISTS (SELECT 1 FROM purges AS before WHERE before.batch = due.batch AND before.step < due.step
                   AND before.target IN (SELECT value FROM json_each(?6)))
             ORDER BY due_at, id LIMIT ?5",
        )
        .bind(target.as_str())
        .bind(now)
        .bind(PATIENCE_FOR_BURIAL)
        .bind(is_full)
        .bind(MOST_CLAIMED)
        .bind(json(targets))
        .bind(target.is_paid())
        .fetch_all(&mut *transaction)
        .await?;
        let mut claimed: Vec<ClaimedPurge> = Vec::new();
        for row in &rows {
            let Ok(mut purge) = read(row) else {
                set_aside(&mut transaction, row.try_get("id")?).await?;
                continue;
            };
            let kind = claimed.first().unwrap_or(&purge).item.kind();
            let is_room = claimed.len() < most(kind);
            let is_alone = row.try_get("alone")? || purge.ticket.is_some();
            if purge.item.kind() != kind || !is_room || (is_alone && !claimed.is_empty()) {
                continue;
            }
            purge.leased_until = leased_until;
            purge.attempts += 1;
            claimed.push(purge);
            if is_alone {
                break;
            }
        }
        for purge in &claimed {
            sqlx::query("UPDATE purges SET leased_until = ?, attempts = attempts + 1 WHERE id = ?")
                .bind(leased_until)
                .bind(purge.id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(claimed)
    }

    /// True where deletions wait at this target to be purged together.
    pub async fn is_any_to_gather(&self, target: PurgeTarget, now: i64) -> Result<bool, DbError> {
        Ok(sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM purges
                            WHERE target = ? AND due_at <= ? AND shared AND within IS NULL AND ticket IS NULL)",
        )
        .bind(target.as_str())
        .bind(now)
        .fetch_one(&self.pool)
        .await?)
    }

    /// Passes the deletions that wait at this target to `choose`, and queues one purge for each
    /// span of time that it returns. A deletion whose picture expires within such a span is done
    /// when that purge is. The others go on waiting; so do all of them where `choose` returns no
    /// span because it is too early. Returns how many deletions are covered.
    pub async fn gather_purges(
        &self,
        cdn: Cdn,
        now: i64,
        choose: impl FnOnce(&SharedPurges) -> Vec<EndingSpan> + Send,
    ) -> Result<usize, DbError> {
        let target = PurgeTarget::Cdn(cdn);
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let rows = sqlx::query(
            "SELECT * FROM
               (SELECT batch, keep, ends_at, created_at,
                       NOT EXISTS (SELECT 1 FROM pictures WHERE pictures.id = purges.picture
                            AND state = 'removed' AND delete_token_hash <> x'') AS is_buried FROM purges
                WHERE target = ?1 AND due_at <= ?2 AND leased_until <= ?2 AND ends_at > ?2
                  AND shared AND within IS NULL AND ticket IS NULL)
             WHERE is_buried OR created_at <= ?2 - ?3
             GROUP BY batch",
        )
        .bind(target.as_str())
        .bind(now)
        .bind(PATIENCE_FOR_BURIAL)
        .fetch_all(&mut *transaction)
        .await?;
        let mut waiting = SharedPurges {
            ends: Vec::with_capacity(rows.len()),
            keep: u32::MAX,
            under_way: sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM purges WHERE within IS NOT NULL AND target = ?)",
            )
            .bind(target.as_str())
            .fetch_one(&mut *transaction)
            .await?,
        };
        for row in &rows {
            waiting
                .ends
                .push(ExpiresAt::from_second(row.try_get("ends_at")?));
            waiting.keep = waiting.keep.min(row.try_get("keep")?);
        }
        if waiting.ends.is_empty() {
            return Ok(0);
        }
        let mut gathered = 0;
        for span in choose(&waiting) {
            let order = PurgeOrder {
                batch: PictureId::random().as_str().to_owned(),
                picture: None,
                steps: span
                    .items()
                    .map(|item| PurgeStep {
                        number: 1,
                        action: PurgeAction::Tell(cdn, item),
                    })
                    .into(),
                round: 1,
                keep: waiting.keep,
                ends_at: waiting
                    .ends
                    .iter()
                    .map(|end| end.second())
                    .max()
                    .unwrap_or(now),
                due_at: now,
                shared: false,
            };
            insert(&mut transaction, &order, now).await?;
            for row in &rows {
                if span.holds(ExpiresAt::from_second(row.try_get("ends_at")?)) {
                    let (batch, is_buried): (&str, bool) =
                        (row.try_get("batch")?, row.try_get("is_buried")?);
                    sqlx::query(
                        "UPDATE purges SET within = CASE WHEN target = ?1 AND shared AND ticket IS NULL THEN ?2 END,
                             too_early = too_early OR (target = 'site' AND ?3)
                         WHERE batch = ?4 AND target IN (?1, 'site')",
                    )
                    .bind(target.as_str())
                    .bind(&order.batch)
                    .bind(!is_buried)
                    .bind(batch)
                    .execute(&mut *transaction)
                    .await?;
                    gathered += 1;
                }
            }
        }
        transaction.commit().await?;
        Ok(gathered)
    }

    /// Lets a deletion wait to be purged together with others, because the month has no path left
    /// for it alone.
    pub async fn share_purge(&self, purge: &ClaimedPurge) -> Result<(), DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        // A step whose path is reserved already goes on by itself.
        sqlx::query("UPDATE purges SET shared = 1 WHERE batch = ? AND reserved IS NULL")
            .bind(&purge.batch)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE purges SET leased_until = 0 WHERE id = ? AND leased_until = ?")
            .bind(purge.id)
            .bind(purge.leased_until)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Notes the month in whose ledger the row's path is reserved.
    pub async fn note_reserved(&self, purge: &ClaimedPurge, month: &str) -> Result<(), DbError> {
        sqlx::query("UPDATE purges SET reserved = ? WHERE id = ? AND leased_until = ?")
            .bind(month)
            .bind(purge.id)
            .bind(purge.leased_until)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Returns rows to the queue.
    pub async fn postpone_purges(
        &self,
        purges: &[ClaimedPurge],
        postponed: Postponed<'_>,
    ) -> Result<(), DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for purge in purges {
            sqlx::query(
                "UPDATE purges SET leased_until = 0, due_at = ?, alone = alone OR ?,
                     attempts = CASE WHEN ? THEN 0 ELSE attempts END, ticket = ?
                 WHERE id = ? AND leased_until = ?",
            )
            .bind(postponed.due_at)
            .bind(postponed.alone)
            .bind(postponed.forget_attempts)
            .bind(postponed.ticket)
            .bind(purge.id)
            .bind(purge.leased_until)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes these steps, because they are done. Where a look at the site follows, it is due at
    /// `look_at` at the earliest.
    pub async fn finish_purges(
        &self,
        purges: &[ClaimedPurge],
        look_at: i64,
    ) -> Result<(), DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for purge in purges {
            let done = delete(&mut transaction, purge).await?;
            if done {
                sqlx::query(
                    "UPDATE purges SET due_at = max(due_at, ?), too_early = too_early OR ?
                     WHERE batch = ? AND target = 'site'",
                )
                .bind(look_at)
                .bind(!purge.is_buried)
                .bind(&purge.batch)
                .execute(&mut *transaction)
                .await?;
                finish_covered(&mut transaction, &purge.batch, look_at).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Ends a look at the site: with a receipt where that was the last word, and with another round
    /// of purges where one is needed.
    pub async fn finish_look(
        &self,
        claimed: &ClaimedLook,
        receipt: Option<&PurgeReceipt>,
        again: Option<&PurgeOrder>,
        now: i64,
    ) -> Result<(), DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if !delete(&mut transaction, &claimed.step).await? {
            return Ok(());
        }
        if let Some(receipt) = receipt {
            sqlx::query(
                "INSERT OR REPLACE INTO purge_receipts (picture, looked_at, status, cloudflare, cloudfront, rounds)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(claimed.look.id.as_str())
            .bind(receipt.looked_at)
            .bind(receipt.status)
            .bind(&receipt.cloudflare)
            .bind(&receipt.cloudfront)
            .bind(receipt.rounds)
            .execute(&mut *transaction)
            .await?;
        }
        if let Some(order) = again {
            insert(&mut transaction, order, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The receipt of this picture's purge, once there is one.
    pub async fn find_receipt(&self, id: &PictureId) -> Result<Option<PurgeReceipt>, DbError> {
        let row = sqlx::query("SELECT * FROM purge_receipts WHERE picture = ?")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| {
            Ok(PurgeReceipt {
                looked_at: row.try_get("looked_at")?,
                status: row.try_get("status")?,
                cloudflare: row.try_get("cloudflare")?,
                cloudfront: row.try_get("cloudfront")?,
                rounds: row.try_get("rounds")?,
            })
        })
        .transpose()
    }

    /// How many steps of this picture's purge are still to be done at these targets.
    pub async fn count_purges(
        &self,
        id: &PictureId,
        targets: &[PurgeTarget],
    ) -> Result<u32, DbError> {
        let count = sqlx::query_scalar(
            "SELECT count(*) FROM purges
             WHERE picture = ? AND target IN (SELECT value FROM json_each(?))",
        );
        let count = count.bind(id.as_str()).bind(json(targets));
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// Frees the rows that workers of an earlier process held, and makes everything due. Called
    /// once at start. Steps at CDNs that are not configured at present stay, because their variable
    /// may be set again later. Returns how many such steps there are.
    pub async fn recover_purges(
        &self,
        cdns: &[Cdn],
        targets: &[PurgeTarget],
        now: i64,
    ) -> Result<u32, DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE purges SET leased_until = 0, due_at = 0")
            .execute(&mut *transaction)
            .await?;
        renew_overtaken(&mut transaction, cdns, targets, now).await?;
        let waiting = sqlx::query_scalar(
            "SELECT count(*) FROM purges
             WHERE target <> 'site' AND target NOT IN (SELECT value FROM json_each(?))",
        )
        .bind(json(targets))
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(waiting)
    }

    /// Deletes steps whose objects have expired and need no purge any more, and receipts of looks
    /// made by `receipts_by`. Returns how many steps were deleted.
    pub async fn drop_ended_purges(&self, now: i64, receipts_by: i64) -> Result<u64, DbError> {
        sqlx::query("DELETE FROM purge_receipts WHERE looked_at <= ?")
            .bind(receipts_by)
            .execute(&self.pool)
            .await?;
        let done = sqlx::query("DELETE FROM purges WHERE ends_at <= ?1 AND leased_until <= ?1")
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }
}

/// Puts the purge of a deleted picture with these files into the queue, unless the picture has
/// expired or no CDN is configured.
pub(super) async fn enqueue_picture(
    transaction: &mut Transaction<'_, Sqlite>,
    id: &PictureId,
    expires_at: ExpiresAt,
    files: &[FileName],
    terms: PurgeTerms<'_>,
    now: i64,
) -> Result<(), DbError> {
    let waiting: u32 = sqlx::query_scalar(
        "SELECT count(*) FROM purges WHERE target = ? AND NOT shared AND picture IS NOT NULL",
    )
    .bind(PurgeTarget::Cdn(Cdn::CloudFront).as_str())
    .fetch_one(&mut **transaction)
    .await?;
    let order = PurgeOrder {
        batch: PictureId::random().as_str().to_owned(),
        picture: Some(id.clone()),
        steps: steps_for_picture(terms.cdns, id, expires_at, files),
        round: 1,
        keep: terms.keep,
        ends_at: expires_at.second(),
        due_at: now,
        shared: terms.shared || waiting >= MOST_SINGLE_STEPS,
    };
    insert(transaction, &order, now).await
}

async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    order: &PurgeOrder,
    now: i64,
) -> Result<(), DbError> {
    if order.ends_at <= now {
        return Ok(());
    }
    for step in &order.steps {
        sqlx::query(
            "INSERT INTO purges (batch, picture, step, target, item, round, keep, created_at, ends_at, due_at, shared)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&order.batch)
        .bind(order.picture.as_ref().map(PictureId::as_str))
        .bind(step.number)
        .bind(step.action.target().as_str())
        .bind(step.action.item().to_string())
        .bind(order.round)
        .bind(order.keep)
        .bind(now)
        .bind(order.ends_at)
        .bind(order.due_at)
        .bind(order.shared)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Deletes the steps of other deletions that this batch covered, once the batch has no step left.
async fn finish_covered(
    transaction: &mut Transaction<'_, Sqlite>,
    batch: &str,
    look_at: i64,
) -> Result<(), DbError> {
    let is_open: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM purges WHERE batch = ?)")
        .bind(batch)
        .fetch_one(&mut **transaction)
        .await?;
    if is_open {
        return Ok(());
    }
    sqlx::query(
        "UPDATE purges SET due_at = max(due_at, ?)
         WHERE target = 'site' AND batch IN (SELECT batch FROM purges WHERE within = ?)",
    )
    .bind(look_at)
    .bind(batch)
    .execute(&mut **transaction)
    .await?;
    sqlx::query("DELETE FROM purges WHERE within = ?")
        .bind(batch)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Restarts the purge of a picture where the look is over, but steps remain at a CDN that was not
/// configured then and is again now. The outer cache may have fetched the picture again from that
/// CDN after it had forgotten it.
async fn renew_overtaken(
    transaction: &mut Transaction<'_, Sqlite>,
    cdns: &[Cdn],
    targets: &[PurgeTarget],
    now: i64,
) -> Result<(), DbError> {
    let overtaken = sqlx::query(
        "SELECT batch, picture, round, keep, ends_at, shared FROM purges AS late
         WHERE picture IS NOT NULL AND target IN (SELECT value FROM json_each(?))
           AND NOT EXISTS (SELECT 1 FROM purges WHERE batch = late.batch AND target = 'site')
         GROUP BY batch",
    )
    .bind(json(targets))
    .fetch_all(&mut **transaction)
    .await?;
    for row in &overtaken {
        let batch: &str = row.try_get("batch")?;
        let id = PictureId::parse(row.try_get("picture")?).context("a purge's picture is no id")?;
        let ends_at = row.try_get("ends_at")?;
        sqlx::query("DELETE FROM purges WHERE batch = ?")
            .bind(batch)
            .execute(&mut **transaction)
            .await?;
        let order = PurgeOrder {
            batch: PictureId::random().as_str().to_owned(),
            // Files of another version are no longer known here, and the purge of the folder covers
            // them.
            steps: steps_for_picture(cdns, &id, ExpiresAt::from_second(ends_at), &[]),
            picture: Some(id),
            round: row.try_get("round")?,
            keep: row.try_get("keep")?,
            ends_at,
            due_at: now,
            shared: row.try_get("shared")?,
        };
        insert(transaction, &order, now).await?;
    }
    Ok(())
}

/// The names of these targets as a JSON list for `json_each`.
fn json(targets: &[PurgeTarget]) -> String {
    let names: Vec<&str> = targets.iter().map(|target| target.as_str()).collect();
    serde_json::Value::from(names).to_string()
}

/// Lets a step rest until its objects have expired, because this version of the program cannot read
/// it. A newer version wrote it, and takes it up again when it starts ([`Db::recover_purges`]). All
/// other steps go on meanwhile.
async fn set_aside(connection: &mut SqliteConnection, id: i64) -> Result<(), DbError> {
    tracing::warn!(
        step = id,
        "this version cannot read a step of a purge; it rests until a version starts that can"
    );
    sqlx::query("UPDATE purges SET due_at = ends_at, leased_until = 0 WHERE id = ?")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes a row. Returns false where its lease is another worker's by now.
async fn delete(
    transaction: &mut Transaction<'_, Sqlite>,
    purge: &ClaimedPurge,
) -> Result<bool, DbError> {
    let done = sqlx::query("DELETE FROM purges WHERE id = ? AND leased_until = ?")
        .bind(purge.id)
        .bind(purge.leased_until)
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected() == 1)
}

fn read(row: &SqliteRow) -> Result<ClaimedPurge, DbError> {
    let item: &str = row.try_get("item")?;
    let picture: Option<&str> = row.try_get("picture")?;
    let picture = picture
        .map(|id| PictureId::parse(id).context("a purge's picture is no id"))
        .transpose()?;
    Ok(ClaimedPurge {
        id: row.try_get("id")?,
        batch: row.try_get("batch")?,
        picture,
        item: PurgeItem::parse(item).context("a purge's item cannot be read")?,
        round: row.try_get("round")?,
        keep: row.try_get("keep")?,
        ends_at: row.try_get("ends_at")?,
        leased_until: row.try_get("leased_until")?,
        attempts: row.try_get("attempts")?,
        reserved: row.try_get("reserved")?,
        ticket: row.try_get("ticket")?,
        too_early: row.try_get("too_early")?,
        shared: row.try_get("shared")?,
        is_buried: row.try_get("is_buried")?,
    })
}
