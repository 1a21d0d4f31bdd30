//! The keys by which clients repeat uploads, in the table `upload_keys`.

use anyhow::Context;
use sqlx::{Executor, Row, Sqlite};

use super::rows::{read_hash, read_picture_id};
use super::{Db, DbError};
use crate::domain::hash::Sha256Hash;
use crate::domain::upload_key::{FirstUpload, REPEATABLE_SECONDS, Salt};
use crate::domain::verdict::Reason;

/// The most keys that are kept. Each belongs to an upload of the last day, of which fewer come; the
/// oldest are forgotten first.
const MOST_KEYS: u32 = 20_000;

impl Db {
    /// The upload that first came with the key of this name, if it can be repeated at the second
    /// `now`.
    pub async fn first_upload(
        &self,
        key_name: &Sha256Hash,
        now: i64,
    ) -> Result<Option<FirstUpload>, DbError> {
        find_first(&self.pool, key_name, now).await
    }

    /// Forgets the keys whose uploads can no longer be repeated.
    pub async fn forget_upload_keys(&self, now: i64) -> Result<(), DbError> {
        sqlx::query(
            "DELETE FROM upload_keys
             WHERE received_at <= max(?1, coalesce((SELECT received_at FROM upload_keys
                                                    ORDER BY received_at DESC LIMIT 1 OFFSET ?2), ?1))",
        )
        .bind(now - REPEATABLE_SECONDS)
        .bind(MOST_KEYS)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Does what [`Db::first_upload`] says. What was refused for a reason that passes can be sent anew
/// with the same key.
pub(super) async fn find_first(
    executor: impl Executor<'_, Database = Sqlite>,
    key_name: &Sha256Hash,
    now: i64,
) -> Result<Option<FirstUpload>, DbError> {
    let row = sqlx::query(
        "SELECT picture_id, salt, upload_keys.content_hash, reason
         FROM upload_keys LEFT JOIN pictures ON id = picture_id
         WHERE name = ? AND upload_keys.received_at > ?",
    )
    .bind(&key_name.0[..])
    .bind(now - REPEATABLE_SECONDS)
    .fetch_optional(executor)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let reason: Option<String> = row.try_get("reason")?;
    let reason = reason.as_deref().and_then(Reason::parse);
    if reason.is_some_and(Reason::is_passing) {
        return Ok(None);
    }
    let salt: Vec<u8> = row.try_get("salt")?;
    let salt = <[u8; 16]>::try_from(salt).ok();
    Ok(Some(FirstUpload {
        key_name: *key_name,
        id: read_picture_id(&row, "picture_id")?,
        salt: Salt(salt.context("a salt has another length")?),
        content_hash: read_hash(&row, "content_hash")?,
    }))
}

/// Keeps a key, received at the second `now`. An older key of the same name is no longer needed.
pub(super) async fn keep_key(
    executor: impl Executor<'_, Database = Sqlite>,
    first: &FirstUpload,
    now: i64,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT OR REPLACE INTO upload_keys (name, picture_id, salt, content_hash, received_at)
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(&first.key_name.0[..])
    .bind(first.id.as_str())
    .bind(&first.salt.0[..])
    .bind(&first.content_hash.0[..])
    .bind(now)
    .execute(executor)
    .await?;
    Ok(())
}
