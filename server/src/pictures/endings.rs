//! How pictures end: deleted by their owner, taken down, or over. Hidden first, then their bytes.

mod purge_share;

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use self::purge_share::PurgeShare;
use super::clients::Ending;
use super::collection::{Collection, REMEMBERED_SECONDS, Status};
use super::purging::Purging;
use crate::db::{DbError, PurgeTerms};
use crate::domain::ban::Ban;
use crate::domain::client::ClientNetwork;
use crate::domain::expiry::{ExpiresAt, rfc3339};
use crate::domain::picture::{DeleteToken, PictureId};
use crate::domain::purge::{Cdn, KEPT_FOR_ADMINS};
use crate::storage::StorageKey;

/// Whose word a deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Owner,
    Admin,
}

/// Objects of this many pictures are deleted before the sweeper looks at the index again.
const SWEEP_BATCH: u32 = 500;
/// A picture's bytes are deleted so many seconds after its end at the latest, where nothing is wrong.
pub(super) const SWEEP_PATIENCE: i64 = 2;
/// How long what is over is known, beside the retention, so that its link can say so: at least this long after its end,
/// seconds. After that it is unknown, as what never was.
const KNOWN_SECONDS: i64 = 30 * 24 * 3600;
/// So many are forgotten at once…
const FORGET_BATCH: u32 = 500;
/// …and so often in one pass of the sweeper, so that an index with a million takes some hours and keeps nobody waiting.
const FORGET_BATCHES: u32 = 20;
/// Space is given back to the disk in so many steps of 2 MiB in one pass.
const SPACE_STEPS: u32 = 16;

/// Why a picture cannot be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    #[error("no such picture")]
    NotFound,
    #[error("the picture is already gone")]
    Gone,
    #[error("the token does not belong to this picture")]
    Forbidden,
    #[error(transparent)]
    Unavailable(#[from] anyhow::Error),
}

impl From<DbError> for DeleteError {
    fn from(error: DbError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Ends pictures, and forgets those that are over.
pub struct Endings {
    collection: Arc<Collection>,
    purging: Arc<Purging>,
    /// What each client may still have purged by itself.
    purge_share: PurgeShare,
    admin_token: Option<SecretString>,
}

impl Endings {
    pub(super) fn new(
        collection: Arc<Collection>,
        purging: Arc<Purging>,
        admin_token: Option<SecretString>,
    ) -> Self {
        Self {
            purge_share: PurgeShare::new(collection.clock.clone()),
            collection,
            purging,
            admin_token,
        }
    }

    /// Succeeds when this is the token of this picture's owner, who may delete it now. The admin's is as wrong here as any:
    /// whoever guesses must not learn which one it is.
    pub async fn check_deletion(&self, id: &PictureId, token: &str) -> Result<(), DeleteError> {
        match self.collection.status(id).await? {
            Status::Screening | Status::Published(_) => {}
            Status::Rejected(_) | Status::Gone { .. } => return Err(DeleteError::Gone),
            Status::Unknown => return Err(DeleteError::NotFound),
        }
        let expected = self.collection.db.delete_token_hash(id).await?;
        match DeleteToken::parse(token) {
            Some(token) if Some(token.hash()) == expected => Ok(()),
            _ => Err(DeleteError::Forbidden),
        }
    }

    fn is_admin(&self, token: &str) -> bool {
        self.admin_token.as_ref().is_some_and(|admin| {
            admin
                .expose_secret()
                .as_bytes()
                .ct_eq(token.as_bytes())
                .into()
        })
    }

    /// Deletes a picture at once, with the admin's token alone.
    pub async fn delete_as_admin(&self, id: &PictureId, token: &str) -> Result<(), DeleteError> {
        if !self.is_admin(token) {
            return Err(DeleteError::Forbidden);
        }
        self.hide_and_delete(id, Word::Admin, false).await
    }

    /// Deletes a picture at once, with its owner's token alone. Beyond this client's share of the day, CloudFront is told of it
    /// together with others.
    pub async fn delete_own(
        &self,
        id: &PictureId,
        token: &str,
        client: ClientNetwork,
    ) -> Result<(), DeleteError> {
        self.check_deletion(id, token).await?;
        let shared = !self.purge_share.take(client);
        self.hide_and_delete(id, Word::Owner, shared).await
    }

    /// Deletes a published picture with everything published that looks like it, and refuses from now on what does; only with
    /// the admin's token. Once this returns, nothing that the ban covers is published any more.
    pub async fn ban(&self, id: &PictureId, token: &str) -> Result<(), DeleteError> {
        if !self.is_admin(token) {
            return Err(DeleteError::Forbidden);
        }
        let published = match self.collection.status(id).await? {
            Status::Published(published) => published,
            Status::Unknown => return Err(DeleteError::NotFound),
            Status::Screening | Status::Rejected(_) | Status::Gone { .. } => {
                return Err(DeleteError::Gone);
            }
        };
        let ban = Ban::of(published.perceptual_hash);
        // Without this picture where its owner was quicker; the ban stands.
        let hidden = self
            .record_ban(ban)
            .await
            .context("cannot record the ban")?;
        tracing::info!(picture = %id, pictures = hidden.len(), "banned a picture; all that look like it are deleted");
        self.clear_hidden(&hidden).await;
        Ok(())
    }

    /// Makes a ban durable, as an object and in the index, where it hides what it covers. Answers what it hid.
    async fn record_ban(&self, ban: Ban) -> anyhow::Result<Vec<PictureId>> {
        let now = self.collection.now_second();
        let note = format!("{{\"banned_at\":\"{}\"}}\n", rfc3339(now));
        self.collection
            .storage
            .put(vec![(StorageKey::Ban { ban }, Bytes::from(note))])
            .await?;
        let cdns = self.purging.cdn_names();
        let purge = terms(&cdns, Word::Admin, false);
        Ok(self.collection.db.ban(ban, purge, now).await?)
    }

    /// Deletes a picture at once, on the operator's word: hidden first, then its bytes; caches are told by the queue.
    ///
    /// Once it is hidden this succeeds: the bytes that cannot be deleted now are the sweeper's.
    pub async fn take_down(&self, id: &PictureId) -> Result<(), DeleteError> {
        self.hide_and_delete(id, Word::Admin, false).await
    }

    async fn hide_and_delete(
        &self,
        id: &PictureId,
        word: Word,
        shared: bool,
    ) -> Result<(), DeleteError> {
        let cdns = self.purging.cdn_names();
        let purge = terms(&cdns, word, shared);
        if !self
            .collection
            .db
            .remove(id, purge, self.collection.now_second())
            .await?
        {
            return Err(match self.collection.db.find(id).await? {
                Some(_) => DeleteError::Gone,
                None => DeleteError::NotFound,
            });
        }
        // Where it had no verdict yet, it was sent in vain.
        self.collection.clients.settle(id, Ending::Copy);
        tracing::info!(picture = %id, "deleted a picture");
        self.clear_hidden(std::slice::from_ref(id)).await;
        Ok(())
    }

    /// Deletes the bytes of pictures that were just hidden; those that cannot be deleted now are the sweeper's.
    async fn clear_hidden(&self, hidden: &[PictureId]) {
        self.collection.changed();
        for id in hidden {
            if let Err(error) = self.collection.clear_removed(id).await {
                tracing::warn!(
                    picture = %id, error = format!("{error:#}"),
                    "a deleted picture is hidden, but its bytes are left to the sweeper"
                );
            }
        }
        // Their bytes are gone, so caches can be told.
        self.collection.changed();
    }

    /// One pass of the sweeper: frees the space of everything that is over. Handlers go by the clock and never wait for it.
    /// Answers how many pictures were swept; can be repeated at any time.
    pub async fn expire(&self) -> anyhow::Result<u64> {
        let mut swept = 0;
        let mut failed = None;
        loop {
            let now = self.collection.clock.now();
            let dead = self
                .collection
                .db
                .list_dead(now.as_second(), self.collection.overdue(now), SWEEP_BATCH)
                .await?;
            let before = swept;
            if self.collection.sweep(&dead).await.is_ok() {
                swept += dead.len() as u64;
            } else {
                // One that cannot be deleted must not keep the others.
                for one in &dead {
                    match self.collection.sweep(std::slice::from_ref(one)).await {
                        Ok(()) => swept += 1,
                        Err(error) => {
                            failed = Some(error.context(format!("cannot sweep {}", one.id)));
                        }
                    }
                }
            }
            if dead.len() < SWEEP_BATCH as usize || swept == before {
                break;
            }
        }
        self.collection
            .db
            .forget_refusals(self.collection.now_second() - REMEMBERED_SECONDS)
            .await?;
        self.purging.sweep().await?;
        self.forget_ended().await?;
        if swept > 0 {
            tracing::info!(swept, "swept expired pictures");
            self.collection.changed();
        }
        failed.map_or(Ok(swept), Err)
    }

    /// Forgets what has been over for long, and gives the space back that it took in the index.
    async fn forget_ended(&self) -> Result<(), DbError> {
        let db = &self.collection.db;
        let over_by = self.collection.overdue(self.collection.clock.now()) - KNOWN_SECONDS;
        for _ in 0..FORGET_BATCHES {
            if db.forget_ended(over_by, FORGET_BATCH).await? < u64::from(FORGET_BATCH) {
                break;
            }
        }
        db.give_back_space(SPACE_STEPS).await
    }

    /// The second at which the next picture ends, if any lives.
    pub async fn next_expiry(&self) -> Result<Option<ExpiresAt>, DbError> {
        self.collection
            .db
            .next_expiry(self.collection.now_second())
            .await
    }
}

/// Under which terms caches are told of a deletion.
fn terms(cdns: &[Cdn], word: Word, shared: bool) -> PurgeTerms<'_> {
    PurgeTerms {
        cdns,
        keep: match word {
            Word::Owner => KEPT_FOR_ADMINS,
            Word::Admin => 0,
        },
        shared,
    }
}
