//! The `bans` table: how banned pictures look.

use super::{Db, DbError};
use crate::domain::ban::Ban;

impl Db {
    /// Records a ban; a second time changes nothing.
    pub async fn insert_ban(&self, ban: Ban, now: i64) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO bans (perceptual_hash, banned_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(ban.perceptual_hash().cast_signed())
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Every ban.
    pub async fn list_bans(&self) -> Result<Vec<Ban>, DbError> {
        let hashes: Vec<i64> = sqlx::query_scalar("SELECT perceptual_hash FROM bans")
            .fetch_all(&self.pool)
            .await?;
        Ok(hashes
            .into_iter()
            .map(|hash| Ban::of(hash.cast_unsigned()))
            .collect())
    }
}
