//! The `bans` table: the perceptual hashes of banned pictures. Recording a ban also hides every
//! picture that it covers, in one transaction, and the transaction that publishes a picture looks
//! at this table. Whichever comes first, nothing that a ban covers is published after it.

use sqlx::{Row, Sqlite, Transaction};

use super::endings::hide;
use super::rows::read_id;
use super::{Db, DbError, PurgeTerms};
use crate::domain::ban::Ban;
use crate::domain::picture::PictureId;

impl Db {
    /// Records a ban, hides every published picture that it covers, and puts their purges into the
    /// queue, all in one transaction. Repeating a ban hides pictures that a server of an earlier
    /// version had left published. Returns the pictures that it hid.
    ///
    /// # Errors
    /// When the index fails; then nothing has changed.
    pub async fn ban(
        &self,
        ban: Ban,
        purge: PurgeTerms<'_>,
        now: i64,
    ) -> Result<Vec<PictureId>, DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        insert(&mut transaction, ban, now).await?;
        // This reads one covering index and no table rows, because other writers wait for the
        // transaction.
        let looks = sqlx::query(
            "SELECT id, perceptual_hash FROM pictures INDEXED BY pictures_looks
             WHERE state = 'published' AND perceptual_hash IS NOT NULL",
        )
        .fetch_all(&mut *transaction)
        .await?;
        let mut hidden = Vec::new();
        for row in &looks {
            let perceptual_hash: i64 = row.try_get("perceptual_hash")?;
            if ban.covers(perceptual_hash.cast_unsigned()) {
                let id = read_id(row)?;
                if hide(&mut transaction, &id, purge, now).await? {
                    hidden.push(id);
                }
            }
        }
        transaction.commit().await?;
        Ok(hidden)
    }

    /// Records a ban without touching any picture, for an index that is being rebuilt. Recording it
    /// twice changes nothing.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn restore_ban(&self, ban: Ban, now: i64) -> Result<(), DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        insert(&mut transaction, ban, now).await?;
        Ok(transaction.commit().await?)
    }

    /// Lists every ban.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn list_bans(&self) -> Result<Vec<Ban>, DbError> {
        let hashes: Vec<i64> = sqlx::query_scalar("SELECT perceptual_hash FROM bans")
            .fetch_all(&self.pool)
            .await?;
        Ok(hashes.into_iter().map(read).collect())
    }
}

/// True where a ban covers pictures with this perceptual hash. It reads within the transaction, so
/// that no ban can come in between.
pub(super) async fn is_banned(
    transaction: &mut Transaction<'_, Sqlite>,
    perceptual_hash: u64,
) -> Result<bool, DbError> {
    let hashes: Vec<i64> = sqlx::query_scalar("SELECT perceptual_hash FROM bans")
        .fetch_all(&mut **transaction)
        .await?;
    Ok(hashes
        .into_iter()
        .any(|hash| read(hash).covers(perceptual_hash)))
}

async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    ban: Ban,
    now: i64,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO bans (perceptual_hash, banned_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(ban.perceptual_hash().cast_signed())
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn read(hash: i64) -> Ban {
    Ban::of(hash.cast_unsigned())
}
