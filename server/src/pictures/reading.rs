//! What everybody may know: where a picture is in its life, which pictures there are, and their bytes.

mod one_answer;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) use self::one_answer::Moment;
use self::one_answer::OneAnswer;
use super::collection::{Collection, Status};
use crate::db::{DbError, ListFilter};
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::{PictureId, Published, Sha256Hash};
use crate::domain::variant::VariantName;
use crate::storage::{StorageError, StorageKey};

/// Answers what is asked about pictures, and changes nothing.
pub struct Reading {
    collection: Arc<Collection>,
    /// What everybody asks for alike, and what takes a look at every picture.
    tags: OneAnswer<Vec<(String, u32)>>,
    chosen: OneAnswer<Option<Published>>,
    /// Cancelled when the server stops: nobody waits for a verdict any more.
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

    /// Where this picture is in its life, as the clock has it.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn status(&self, id: &PictureId) -> Result<Status, DbError> {
        self.collection.status(id).await
    }

    /// A published picture as its manifest tells it: for reading while the index cannot be asked. `None` where there is
    /// none, or its time is over.
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

    /// Published pictures, newest first.
    pub async fn list(&self, filter: &ListFilter) -> Result<Vec<Published>, DbError> {
        self.collection
            .db
            .list(filter, self.collection.now_second())
            .await
    }

    /// Every tag with its count, most used first.
    pub async fn list_tags(&self) -> Result<Vec<(String, u32)>, DbError> {
        let now = self.collection.now_second();
        let count = async || self.collection.db.list_tags(now).await;
        self.tags.get(self.collection.moment(now, now), count).await
    }

    /// The picture of the slot between these two seconds, drawn from those that live through it, or else from those that
    /// live now.
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

    /// These bytes (both ends included) of one published file.
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

    /// Waits until this picture is decided, at most this long or until the server stops; then says where it is.
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

    /// Ends all waiting for verdicts: the server stops, and who waits is told to ask again later.
    pub fn stop_waiting(&self) {
        self.stopping.cancel();
    }
}
