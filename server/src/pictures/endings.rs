//! How pictures end: deleted by their owner, taken down, or expired. A picture is hidden first,
//! then its bytes are deleted.

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

/// On whose word a picture is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Owner,
    Admin,
}

/// How many pictures the sweeper deletes before it asks the index again.
const SWEEP_BATCH: u32 = 500;
/// How long after a picture's end its bytes are deleted at the latest, in seconds, where nothing is
/// wrong.
pub(super) const SWEEP_PATIENCE: i64 = 2;
/// How long a picture that is over is remembered, beside the retention, so that its link can say
/// so: at least this long after its end, in seconds. After that its id is unknown.
const KNOWN_SECONDS: i64 = 30 * 24 * 3600;
/// How many pictures are forgotten in one step…
const FORGET_BATCH: u32 = 500;
/// …and how many steps one pass of the sweeper takes. An index with a million such pictures takes
/// some hours, and keeps nobody waiting.
const FORGET_BATCHES: u32 = 20;
/// How many steps of 2 MiB in one pass give space back to the disk.
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

/// Ends pictures, and forgets those that have been over for long.
pub struct Endings {
    collection: Arc<Collection>,
    purging: Arc<Purging>,
    /// How many deletions each client may still have purged one by one.
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

    /// Succeeds when this is the token of the picture's owner and the picture can be deleted now.
    /// The admin's token is as wrong here as any other, because a client that guesses must not
    /// learn that it guessed the admin's.
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

    /// Deletes a picture at once, with the admin's token only.
    pub async fn delete_as_admin(&self, id: &PictureId, token: &str) -> Result<(), DeleteError> {
        if !self.is_admin(token) {
            return Err(DeleteError::Forbidden);
        }
        self.hide_and_delete(id, Word::Admin, false).await
    }

    /// Deletes a picture at once, with its owner's token only. Beyond this client's share of the
    /// day, CloudFront purges the deletion together with others.
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

    /// Deletes a published picture and every published picture that looks like it, and refuses such
    /// pictures from now on. It takes the admin's token. Once this returns, nothing that the ban
    /// covers is published any more.
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
        // Where the owner deleted the picture first, it is not among these; the ban stands all the
        // same.
        let hidden = self
            .record_ban(ban)
            .await
            .context("cannot record the ban")?;
        tracing::info!(picture = %id, pictures = hidden.len(), "banned a picture; all that look like it are deleted");
        self.clear_hidden(&hidden).await;
        Ok(())
    }

    /// Makes a ban durable, as an object and in the index, which hides what the ban covers. Returns
    /// the pictures that were hidden.
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

    /// Deletes a picture at once, on the operator's word. It is hidden first, then its bytes are
    /// deleted; the queue has the CDNs purge it.
    ///
    /// This succeeds once the picture is hidden. Bytes that cannot be deleted now are left to the
    /// sweeper.
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
        // An upload that had no verdict yet was sent in vain.
        self.collection.clients.settle(id, Ending::Copy);
        tracing::info!(picture = %id, "deleted a picture");
        self.clear_hidden(std::slice::from_ref(id)).await;
        Ok(())
    }

    /// Deletes the bytes of pictures that were just hidden. Those that cannot be deleted now are
    /// left to the sweeper.
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
        // The bytes are gone, so the CDNs can be told.
        self.collection.changed();
    }

    /// One pass of the sweeper: deletes the objects of everything that is over. Handlers go by the
    /// clock and never wait for it. Returns how many pictures were swept. It can be repeated at any
    /// time.
    pub async fn expire(&self) -> anyhow::Result<u64> {
        let mut swept = 0;
        let mut failed = None;
        loop {
            let now = self.collection.clock.now();
            let ended = self
                .collection
                .db
                .list_ended(now.as_second(), self.collection.overdue(now), SWEEP_BATCH)
                .await?;
            let before = swept;
            if self.collection.sweep(&ended).await.is_ok() {
                swept += ended.len() as u64;
            } else {
                // A picture that cannot be deleted must not stop the others.
                for one in &ended {
                    match self.collection.sweep(std::slice::from_ref(one)).await {
                        Ok(()) => swept += 1,
                        Err(error) => {
                            failed = Some(error.context(format!("cannot sweep {}", one.id)));
                        }
                    }
                }
            }
            if ended.len() < SWEEP_BATCH as usize || swept == before {
                break;
            }
        }
        self.collection
            .db
            .forget_refusals(self.collection.now_second() - REMEMBERED_SECONDS)
            .await?;
        self.collection
            .db
            .forget_upload_keys(self.collection.now_second())
            .await?;
        self.purging.sweep().await?;
        self.forget_tombstones().await?;
        if swept > 0 {
            tracing::info!(swept, "swept expired pictures");
            self.collection.changed();
        }
        failed.map_or(Ok(swept), Err)
    }

    /// Forgets pictures that have been over for long, and gives their space in the index back to
    /// the disk.
    async fn forget_tombstones(&self) -> Result<(), DbError> {
        let db = &self.collection.db;
        let over_by = self.collection.overdue(self.collection.clock.now()) - KNOWN_SECONDS;
        for _ in 0..FORGET_BATCHES {
            if db.forget_tombstones(over_by, FORGET_BATCH).await? < u64::from(FORGET_BATCH) {
                break;
            }
        }
        db.give_back_space(SPACE_STEPS).await
    }

    /// The second at which the next live picture expires; `None` where none is live.
    pub async fn next_expiry(&self) -> Result<Option<ExpiresAt>, DbError> {
        self.collection
            .db
            .next_expiry(self.collection.now_second())
            .await
    }
}

/// The terms on which the CDNs are told of a deletion.
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
