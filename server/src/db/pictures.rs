//! Queries on the `pictures` table.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::{Db, DbError};
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::{
    Life, PictureId, Published, Received, Sha256Hash, Tag, Variant, VariantName,
};
use crate::domain::search::{self, SearchQuery};
use crate::domain::verdict::Reason;

/// Which pictures a list holds.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    pub search: SearchQuery,
    /// One whole tag, as text.
    pub tag: Option<String>,
    /// Only pictures published before the one with this sequence number.
    pub before: Option<i64>,
    pub limit: u32,
}

#[derive(Serialize, Deserialize)]
struct TagRecord {
    name: String,
    confidence: f32,
}

#[derive(Serialize, Deserialize)]
struct VariantRecord {
    name: String,
    width: u32,
    height: u32,
    size_bytes: u64,
    hash: String,
}

impl Db {
    /// Records an upload whose bytes are safely on disk.
    pub async fn insert_received(&self, received: &Received) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO pictures (id, state, received_at, delete_token_hash, content_hash, size_bytes)
             VALUES (?, 'screening', ?, ?, ?, ?)",
        )
        .bind(received.id.as_str())
        .bind(received.received_at)
        .bind(&received.delete_token_hash.0[..])
        .bind(&received.content_hash.0[..])
        .bind(to_i64(received.size_bytes))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes the longest-waiting picture for work until `leased_until`, if one is free.
    pub async fn claim_next(
        &self,
        now: i64,
        leased_until: i64,
    ) -> Result<Option<Received>, DbError> {
        let row = sqlx::query(
            "UPDATE pictures SET leased_until = ?, attempts = attempts + 1
             WHERE id = (SELECT id FROM pictures WHERE state = 'screening' AND leased_until <= ?
                         ORDER BY received_at, rowid LIMIT 1)
             RETURNING id, received_at, delete_token_hash, content_hash, size_bytes, leased_until",
        )
        .bind(leased_until)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| read_received(&row)).transpose()
    }

    /// Frees the leases of workers that no longer live: called once at start, before any worker.
    pub async fn release_leases(&self) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE pictures SET leased_until = 0 WHERE state = 'screening' AND leased_until > 0",
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Gives a picture back to the queue, to be taken again from `at` on. With `forgive` the attempt does not count.
    pub async fn postpone(&self, id: &PictureId, at: i64, forgive: bool) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE pictures SET leased_until = ?, attempts = attempts - ? WHERE id = ? AND state = 'screening'",
        )
        .bind(at)
        .bind(i64::from(forgive))
        .bind(id.as_str())
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

    /// Notes under which instant a picture's objects are about to be stored.
    /// Answers the instant of an earlier attempt, whose objects may still lie there; `None` where the picture is no longer
    /// this worker's: then nothing may be stored or deleted.
    pub async fn begin_publishing(
        &self,
        received: &Received,
        expires_at: ExpiresAt,
    ) -> Result<Option<Option<ExpiresAt>>, DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let earlier: Option<Option<i64>> = sqlx::query_scalar(
            "SELECT expires_at FROM pictures WHERE id = ? AND state = 'screening' AND leased_until = ?",
        )
        .bind(received.id.as_str())
        .bind(received.leased_until)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(earlier) = earlier else {
            return Ok(None);
        };
        sqlx::query("UPDATE pictures SET expires_at = ? WHERE id = ?")
            .bind(expires_at.second())
            .bind(received.id.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let earlier = earlier.map(ExpiresAt::from_second);
        Ok(Some(earlier.filter(|earlier| *earlier != expires_at)))
    }

    /// When the next published picture ends.
    pub async fn next_expiry(&self) -> Result<Option<ExpiresAt>, DbError> {
        let second: Option<i64> =
            sqlx::query_scalar("SELECT min(expires_at) FROM pictures WHERE state = 'published'")
                .fetch_one(&self.pool)
                .await?;
        Ok(second.map(ExpiresAt::from_second))
    }

    /// The instant under which an unpublished picture's objects may lie, where a publication of it has begun.
    pub async fn planned_expiry(&self, id: &PictureId) -> Result<Option<ExpiresAt>, DbError> {
        let second: Option<Option<i64>> = sqlx::query_scalar(
            "SELECT expires_at FROM pictures WHERE id = ? AND state <> 'published'",
        )
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(second.flatten().map(ExpiresAt::from_second))
    }

    /// How often work on this picture has begun.
    pub async fn attempts(&self, id: &PictureId) -> Result<u32, DbError> {
        let attempts = sqlx::query_scalar("SELECT attempts FROM pictures WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(attempts.unwrap_or(0))
    }

    /// Makes a screened picture public. False when it is no longer this worker's, or deleted meanwhile: then nothing changed.
    pub async fn publish(&self, published: &Published, leased_until: i64) -> Result<bool, DbError> {
        let tags: Vec<TagRecord> = published
            .tags
            .iter()
            .map(|tag| TagRecord {
                name: tag.name.clone(),
                confidence: tag.confidence,
            })
            .collect();
        let variants: Vec<VariantRecord> = published
            .variants
            .iter()
            .map(|variant| VariantRecord {
                name: variant.name.as_str().to_owned(),
                width: variant.width,
                height: variant.height,
                size_bytes: variant.size_bytes,
                hash: variant.hash.clone(),
            })
            .collect();
        let stored: u64 = published
            .variants
            .iter()
            .map(|variant| variant.size_bytes)
            .sum();
        let done = sqlx::query(
            "UPDATE pictures SET state = 'published', leased_until = 0,
                 sequence = (SELECT coalesce(max(sequence), 0) + 1 FROM pictures),
                 published_at = ?, expires_at = ?, width = ?, height = ?, animated = ?, alt = ?, tags = ?,
                 tags_text = ?, thumbhash = ?, placeholder = ?, perceptual_hash = ?, stripped = ?, variants = ?,
                 stored_bytes = ?
             WHERE id = ? AND state = 'screening' AND leased_until = ?",
        )
        .bind(published.published_at)
        .bind(published.expires_at.second())
        .bind(published.width)
        .bind(published.height)
        .bind(published.animated)
        .bind(&published.alt)
        .bind(to_json(&tags)?)
        .bind(search::index_text(published.tags.iter().map(|tag| tag.name.as_str())))
        .bind(&published.thumbhash)
        .bind(&published.placeholder)
        .bind(published.perceptual_hash.cast_signed())
        .bind(to_json(&published.stripped)?)
        .bind(to_json(&variants)?)
        .bind(to_i64(stored))
        .bind(published.id.as_str())
        .bind(leased_until)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records a refusal.
    pub async fn reject(&self, id: &PictureId, reason: Reason, now: i64) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE pictures SET state = 'rejected', rejected_at = ?, reason = ?, leased_until = 0,
                 delete_token_hash = x'', content_hash = x'', size_bytes = 0
             WHERE id = ? AND state = 'screening'",
        )
        .bind(now)
        .bind(reason.as_str())
        .bind(id.as_str())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

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

    /// Notes that a picture's objects are deleted: what is left is a tombstone.
    pub async fn bury(&self, id: &PictureId) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE pictures SET stored_bytes = 0, alt = NULL, tags = NULL, tags_text = NULL, thumbhash = NULL,
                 placeholder = NULL, stripped = NULL, variants = NULL, perceptual_hash = NULL,
                 delete_token_hash = x'', content_hash = x'', size_bytes = 0,
                 state = CASE state WHEN 'published' THEN 'expired' WHEN 'screening' THEN 'expired' ELSE state END
             WHERE id = ?",
        )
        .bind(id.as_str())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Pictures that are over but not buried yet: `(id, expires_at)`, soonest first. The instant is absent where nothing was
    /// ever stored.
    pub async fn list_dead(
        &self,
        now: i64,
        limit: u32,
    ) -> Result<Vec<(PictureId, Option<ExpiresAt>)>, DbError> {
        let rows = sqlx::query(
            "SELECT id, expires_at FROM pictures
             WHERE (state = 'published' AND expires_at <= ?)
                OR (state = 'removed' AND delete_token_hash <> x'')
             ORDER BY expires_at LIMIT ?",
        )
        .bind(now)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| Ok((read_id(row)?, read_expiry(row)?)))
            .collect()
    }

    /// Uploads that got no verdict within the retention.
    pub async fn list_undecided(&self, received_before: i64) -> Result<Vec<PictureId>, DbError> {
        let rows =
            sqlx::query("SELECT id FROM pictures WHERE state = 'screening' AND received_at <= ?")
                .bind(received_before)
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(read_id).collect()
    }

    /// Where this picture is in its life; `None` for an id that never was.
    pub async fn find(&self, id: &PictureId) -> Result<Option<Life>, DbError> {
        let row = sqlx::query("SELECT * FROM pictures WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| read_life(&row)).transpose()
    }

    /// The hash of the token that deletes this picture.
    pub async fn delete_token_hash(&self, id: &PictureId) -> Result<Option<Sha256Hash>, DbError> {
        let hash: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT delete_token_hash FROM pictures WHERE id = ?")
                .bind(id.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(hash.and_then(|hash| Sha256Hash::from_slice(&hash)))
    }

    /// Published pictures that are alive at `now`, newest first.
    pub async fn list(&self, filter: &ListFilter, now: i64) -> Result<Vec<Published>, DbError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT * FROM pictures WHERE state = 'published' AND expires_at > ",
        );
        query.push_bind(now);
        if let Some(before) = filter.before {
            query.push(" AND sequence < ").push_bind(before);
        }
        if let Some(tag) = &filter.tag {
            query
                .push(" AND instr(tags_text, ")
                .push_bind(format!("| {} |", search::fold(tag)))
                .push(") > 0");
        }
        for phrase in &filter.search.required {
            query
                .push(" AND instr(tags_text, ")
                .push_bind(format!(" {phrase} "))
                .push(") > 0");
        }
        for phrase in &filter.search.excluded {
            query
                .push(" AND instr(tags_text, ")
                .push_bind(format!(" {phrase} "))
                .push(") = 0");
        }
        query
            .push(" ORDER BY sequence DESC LIMIT ")
            .push_bind(filter.limit);
        let rows = query.build().fetch_all(&self.pool).await?;
        rows.iter().map(read_published).collect()
    }

    /// Every tag of the pictures alive at `now` with its count, most used first.
    pub async fn list_tags(&self, now: i64) -> Result<Vec<(String, u32)>, DbError> {
        let rows = sqlx::query(
            "SELECT json_extract(tag.value, '$.name') AS name, count(*) AS count
             FROM pictures, json_each(pictures.tags) AS tag
             WHERE state = 'published' AND expires_at > ?
             GROUP BY name ORDER BY count DESC, name",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("name")?, row.try_get("count")?)))
            .collect()
    }

    /// The bytes of all stored objects together.
    pub async fn stored_bytes(&self) -> Result<u64, DbError> {
        let sum: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(stored_bytes), 0) FROM pictures WHERE stored_bytes > 0",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(sum.cast_unsigned())
    }

    /// How many uploads were received since this second.
    pub async fn count_received_since(&self, second: i64) -> Result<u32, DbError> {
        Ok(
            sqlx::query_scalar("SELECT count(*) FROM pictures WHERE received_at > ?")
                .bind(second)
                .fetch_one(&self.pool)
                .await?,
        )
    }
}

fn read_id(row: &SqliteRow) -> Result<PictureId, DbError> {
    let id: &str = row.try_get("id")?;
    Ok(PictureId::parse(id).context("a stored id is not an id")?)
}

fn read_received(row: &SqliteRow) -> Result<Received, DbError> {
    let hash = |column: &str| -> Result<Sha256Hash, DbError> {
        let bytes: &[u8] = row.try_get(column)?;
        Ok(Sha256Hash::from_slice(bytes).context("a stored hash has not 32 bytes")?)
    };
    Ok(Received {
        id: read_id(row)?,
        delete_token_hash: hash("delete_token_hash")?,
        content_hash: hash("content_hash")?,
        size_bytes: row.try_get::<i64, _>("size_bytes")?.cast_unsigned(),
        received_at: row.try_get("received_at")?,
        leased_until: row.try_get("leased_until")?,
    })
}

fn read_life(row: &SqliteRow) -> Result<Life, DbError> {
    let state: &str = row.try_get("state")?;
    Ok(match state {
        "screening" => Life::Screening,
        "published" => Life::Published(Box::new(read_published(row)?)),
        "rejected" => Life::Rejected {
            reason: Reason::parse(row.try_get("reason")?).context("a stored reason is unknown")?,
            rejected_at: row.try_get("rejected_at")?,
        },
        "expired" => Life::Expired {
            expires_at: read_expiry(row)?,
        },
        "removed" => Life::Removed {
            expires_at: read_expiry(row)?,
        },
        other => return Err(anyhow::anyhow!("a stored state is unknown: {other}").into()),
    })
}

fn read_expiry(row: &SqliteRow) -> Result<Option<ExpiresAt>, DbError> {
    let second: Option<i64> = row.try_get("expires_at")?;
    Ok(second.map(ExpiresAt::from_second))
}

fn read_published(row: &SqliteRow) -> Result<Published, DbError> {
    let tags: Vec<TagRecord> = from_json(row.try_get("tags")?)?;
    let variants: Vec<VariantRecord> = from_json(row.try_get("variants")?)?;
    Ok(Published {
        id: read_id(row)?,
        sequence: row.try_get("sequence")?,
        published_at: row.try_get("published_at")?,
        expires_at: ExpiresAt::from_second(row.try_get("expires_at")?),
        width: row.try_get("width")?,
        height: row.try_get("height")?,
        animated: row.try_get("animated")?,
        alt: row.try_get("alt")?,
        tags: tags
            .into_iter()
            .map(|tag| Tag {
                name: tag.name,
                confidence: tag.confidence,
            })
            .collect(),
        thumbhash: row.try_get("thumbhash")?,
        placeholder: row.try_get("placeholder")?,
        perceptual_hash: row.try_get::<i64, _>("perceptual_hash")?.cast_unsigned(),
        stripped: from_json(row.try_get("stripped")?)?,
        variants: variants
            .into_iter()
            .map(|variant| {
                Ok(Variant {
                    name: VariantName::parse(&variant.name)
                        .context("a stored variant name is unknown")?,
                    width: variant.width,
                    height: variant.height,
                    size_bytes: variant.size_bytes,
                    hash: variant.hash,
                })
            })
            .collect::<anyhow::Result<_>>()?,
    })
}

fn to_json<T: Serialize>(value: &T) -> Result<String, DbError> {
    Ok(serde_json::to_string(value).map_err(anyhow::Error::from)?)
}

fn from_json<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, DbError> {
    Ok(serde_json::from_str(text).map_err(anyhow::Error::from)?)
}

/// Sizes fit: nothing here comes near 2^63 bytes.
fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
