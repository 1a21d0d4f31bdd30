//! What everybody may know: the state of a picture, which pictures there are, and their bytes.

mod one_answer;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::one_answer::OneAnswer;
use super::collection::{Collection, Status};
use crate::db::{DbError, ListFilter};
use crate::domain::expiry::ExpiresAt;
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::{PictureId, Published};
use crate::domain::variant::VariantName;
use crate::storage::{StorageError, StorageKey};

/// Answers questions about pictures, and changes nothing.
pub struct Reading {
    collection: Arc<Collection>,
    /// These are the same for everybody, and finding them takes a look at every picture.
    tags: OneAnswer<Vec<(String, u32)>>,
    chosen: OneAnswer<Option<Published>>,
    /// Cancelled when the server stops. From then on nobody waits for a verdict.
    stopping: CancellationToken,
}

impl Reading {
    pub(super) fn new(collection: Arc<Collection>) -> Self {
        Self {
            collection,
            tags: OneAnswer::default(),
            chosen: OneAnswer::default(),
            stopping: CancellationToken::new(),
        }
    }

    /// Watches for changes of any picture's state.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.collection.changes()
    }

    /// The state of this picture at the present time.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn status(&self, id: &PictureId) -> Result<Status, DbError> {
        self.collection.status(id).await
    }

    /// A published picture as its manifest describes it, for reading while the index cannot be
    /// asked. `None` where there is none, or it has expired.
    pub async fn find_by_manifest(
        &self,
        id: &PictureId,
    ) -> Result<Option<Published>, StorageError> {
        let published = match self.collection.read_manifest(id).await {
            Ok((_, published)) => published,
            Err(StorageError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let over = published.expires_at.is_past(self.collection.clock.now());
        Ok((!over).then_some(published))
    }

    /// Lists published pictures, newest first.
    pub async fn list(&self, filter: &ListFilter) -> Result<Vec<Published>, DbError> {
        self.collection
            .db
            .list(filter, self.collection.now_second())
            .await
    }

    /// Lists every tag with its count, most used first.
    pub async fn list_tags(&self) -> Result<Vec<(String, u32)>, DbError> {
        let now = self.collection.now_second();
        let count = async || self.collection.db.list_tags(now).await;
        self.tags.get(self.collection.moment(now, now), count).await
    }

    /// The picture for the slot between these two seconds. It is drawn from the pictures that live
    /// through the slot, or else from those that are live now.
    pub async fn choose(&self, begins: i64, ends: i64) -> Result<Option<Published>, DbError> {
        let seed = Sha256Hash::of(&begins.to_le_bytes()).0;
        let draw = seed
            .iter()
            .take(4)
            .fold(0, |draw, byte| draw << 8 | u32::from(*byte));
        let pick = async || match self.collection.db.pick(begins, ends, draw).await? {
            Some(published) => Ok(Some(published)),
            None => {
                let now = self.collection.now_second();
                self.collection.db.pick(now, now, draw).await
            }
        };
        self.chosen
            .get(
                self.collection.moment(begins, self.collection.now_second()),
                pick,
            )
            .await
    }

    /// These bytes of one published file; the range includes both ends.
    pub async fn read_image(
        &self,
        id: &PictureId,
        expires_at: ExpiresAt,
        name: VariantName,
        range: RangeInclusive<u64>,
    ) -> Result<Bytes, StorageError> {
        let key = StorageKey::Image {
            expires_at,
            id: id.clone(),
            name: name.into(),
        };
        self.collection.storage.get(&key, Some(range)).await
    }

    /// Waits until this picture is decided, but no longer than `at_most` or until the server stops.
    /// Then returns the picture's state.
    pub async fn wait_for_verdict(
        &self,
        id: &PictureId,
        at_most: Duration,
    ) -> Result<Status, DbError> {
        let mut changes = self.changes();
        let deadline = tokio::time::Instant::now() + at_most;
        loop {
            changes.mark_unchanged();
            let status = self.status(id).await?;
            if status != Status::Screening {
                return Ok(status);
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return Ok(status);
                },
                () = tokio::time::sleep_until(deadline) => return Ok(status),
                () = self.stopping.cancelled() => return Ok(status),
            }
        }
    }

    /// Ends all waiting for verdicts, because the server stops. Clients that wait are told to ask
    /// again later.
    pub fn stop_waiting(&self) {
        self.stopping.cancel();
    }
}
