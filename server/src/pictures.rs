//! The use cases: a picture is uploaded, screened, published, listed, deleted, expired.
//! Knows domain, imaging, storage, screening and index; knows nothing of HTTP or pages.

mod incoming;
mod manifest;
mod screen;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, watch};

pub use self::incoming::{Accepted, IncomingUpload};
use self::manifest::Manifest;
use self::screen::{Outcome, Rendered};
use crate::clock::Clock;
use crate::config::LimitsConfig;
use crate::db::{Db, DbError, ListFilter};
use crate::domain::expiry::{ExpiresAt, Retention};
use crate::domain::picture::{
    DeleteToken, Life, PictureId, Published, Received, Sha256Hash, Variant, VariantName,
};
use crate::domain::verdict::{Reason, Thresholds};
use crate::imaging;
use crate::screening::{Screener, ScreeningError};
use crate::storage::{ObjectStorage, StorageError, StorageKey};

/// How long a worker may hold a picture before another may take it. Longer than any picture is worked on.
const LEASE: Duration = Duration::from_secs(600);
/// How often work on one picture is begun before it is refused: it may be what kills the workers.
const MAX_ATTEMPTS: u32 = 5;
/// How long a picture rests when screening or storage is unavailable, seconds.
const RETRY_SECONDS: i64 = 5;
/// How long a refused upload's reason can be asked for, seconds; then it is gone.
const REJECTION_SECONDS: i64 = 24 * 3600;
/// Objects of this many pictures are deleted before the sweeper looks at the index again.
const SWEEP_BATCH: u32 = 200;
/// Permits of the memory semaphore stand for this many bytes each.
const MEMORY_UNIT: u64 = 1024;

/// Why an upload is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("the upload is empty")]
    Empty,
    #[error("the upload is larger than {max_bytes} bytes")]
    TooLarge { max_bytes: u64 },
    #[error("too many uploads today")]
    TooManyToday,
    #[error("the store is full")]
    StorageFull,
    #[error(transparent)]
    Image(#[from] imaging::ImageError),
    #[error("cannot keep the upload")]
    Unavailable(#[from] anyhow::Error),
}

impl From<DbError> for UploadError {
    fn from(error: DbError) -> Self {
        Self::Unavailable(error.into())
    }
}

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

/// What a visitor may know of a picture at this moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    Screening,
    Published(Box<Published>),
    Rejected(Reason),
    /// Over; with the instant that stands in its image URLs, if it was ever published.
    Gone {
        expires_at: Option<ExpiresAt>,
    },
    Unknown,
}

/// What the use cases need.
pub struct PicturesParts {
    pub db: Db,
    pub storage: Arc<dyn ObjectStorage>,
    pub screener: Arc<dyn Screener>,
    pub clock: Clock,
    /// Holds unfinished and unscreened uploads; private.
    pub incoming_dir: PathBuf,
    pub limits: LimitsConfig,
    pub retention: Retention,
    pub thresholds: Thresholds,
    pub admin_token: Option<SecretString>,
}

/// All pictures of this site.
pub struct Pictures {
    parts: PicturesParts,
    /// Bytes that pictures being decoded may take, in units of [`MEMORY_UNIT`].
    memory: Semaphore,
    /// Counts every change of a picture's state; waiting uploads, workers and the sweeper watch it.
    changes: watch::Sender<u64>,
}

impl Pictures {
    /// Prepares the folders.
    ///
    /// # Errors
    /// When the folder of incoming files cannot be made.
    pub async fn open(parts: PicturesParts) -> anyhow::Result<Self> {
        let permits = usize::try_from(parts.limits.decode_memory_bytes / MEMORY_UNIT)?;
        let pictures = Self {
            memory: Semaphore::new(permits),
            changes: watch::Sender::new(0),
            parts,
        };
        tokio::fs::create_dir_all(&pictures.parts.incoming_dir)
            .await
            .with_context(|| format!("cannot make {}", pictures.parts.incoming_dir.display()))?;
        Ok(pictures)
    }

    /// Takes up what an earlier run left behind. Only before uploads and workers begin, and only in the one process that
    /// serves.
    ///
    /// # Errors
    /// When the folder of incoming files, the storage or the index cannot be used.
    pub async fn recover(&self) -> anyhow::Result<()> {
        self.parts.db.release_leases().await?;
        self.parts.storage.delete_unfinished().await?;
        self.delete_orphaned_uploads().await
    }

    /// Watches for changes of any picture's state.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The largest file that is taken, bytes.
    #[must_use]
    pub fn max_upload_bytes(&self) -> u64 {
        self.parts.limits.max_upload_bytes
    }

    /// How long a client may send nothing in the middle of an upload.
    #[must_use]
    pub fn body_idle_timeout(&self) -> Duration {
        self.parts.limits.body_idle_timeout
    }

    fn now_second(&self) -> i64 {
        self.parts.clock.now().as_second()
    }

    /// Where this picture is in its life, as the clock has it.
    pub async fn status(&self, id: &PictureId) -> Result<Status, DbError> {
        let now = self.parts.clock.now();
        Ok(match self.parts.db.find(id).await? {
            None => Status::Unknown,
            Some(Life::Screening) => Status::Screening,
            Some(Life::Published(published)) if published.expires_at.is_past(now) => Status::Gone {
                expires_at: Some(published.expires_at),
            },
            Some(Life::Published(published)) => Status::Published(published),
            Some(Life::Rejected {
                reason,
                rejected_at,
            }) if now.as_second() < rejected_at + REJECTION_SECONDS => Status::Rejected(reason),
            Some(Life::Rejected { .. }) => Status::Gone { expires_at: None },
            Some(Life::Expired { expires_at } | Life::Removed { expires_at }) => {
                Status::Gone { expires_at }
            }
        })
    }

    /// Published pictures, newest first.
    pub async fn list(&self, filter: &ListFilter) -> Result<Vec<Published>, DbError> {
        self.parts.db.list(filter, self.now_second()).await
    }

    /// Every tag with its count, most used first.
    pub async fn list_tags(&self) -> Result<Vec<(String, u32)>, DbError> {
        self.parts.db.list_tags(self.now_second()).await
    }

    /// The bytes of one published file.
    pub async fn read_image(
        &self,
        published: &Published,
        name: VariantName,
    ) -> Result<Bytes, StorageError> {
        let key = StorageKey::Image {
            expires_at: published.expires_at,
            id: published.id.clone(),
            name,
        };
        self.parts.storage.get(&key, None).await
    }

    /// Waits until this picture is decided, at most this long; then says where it is.
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
            match tokio::time::timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(status),
            }
        }
    }

    /// Succeeds when this token, or the admin's, may delete this picture now.
    pub async fn check_deletion(&self, id: &PictureId, token: &str) -> Result<(), DeleteError> {
        match self.status(id).await? {
            Status::Screening | Status::Published(_) => {}
            Status::Rejected(_) | Status::Gone { .. } => return Err(DeleteError::Gone),
            Status::Unknown => return Err(DeleteError::NotFound),
        }
        let expected = self.parts.db.delete_token_hash(id).await?;
        let owner = DeleteToken::parse(token).is_some_and(|token| Some(token.hash()) == expected);
        let admin = self.parts.admin_token.as_ref().is_some_and(|admin| {
            admin
                .expose_secret()
                .as_bytes()
                .ct_eq(token.as_bytes())
                .into()
        });
        if owner || admin {
            Ok(())
        } else {
            Err(DeleteError::Forbidden)
        }
    }

    /// Deletes a picture at once: hidden first, then its bytes.
    pub async fn delete(&self, id: &PictureId, token: &str) -> Result<(), DeleteError> {
        self.check_deletion(id, token).await?;
        if !self.parts.db.remove(id).await? {
            return Err(DeleteError::Gone);
        }
        self.changed();
        // The picture is hidden already; where this fails the sweeper deletes what is left.
        self.delete_incoming(id).await?;
        self.delete_planned_objects(id)
            .await
            .context("cannot delete the objects")?;
        self.parts.db.bury(id).await?;
        tracing::info!(picture = %id, "deleted a picture");
        Ok(())
    }

    /// One pass of the sweeper: frees the space of everything that is over. Handlers go by the clock and never wait for it.
    /// Answers how many pictures were swept; can be repeated at any time.
    pub async fn expire(&self) -> anyhow::Result<u64> {
        let mut swept = 0;
        let mut failed = None;
        loop {
            let dead = self
                .parts
                .db
                .list_dead(self.now_second(), SWEEP_BATCH)
                .await?;
            let before = swept;
            for (id, expires_at) in &dead {
                // One that cannot be deleted must not keep the others.
                match self.sweep(id, *expires_at).await {
                    Ok(()) => swept += 1,
                    Err(error) => failed = Some(error.context(format!("cannot sweep {id}"))),
                }
            }
            if dead.len() < SWEEP_BATCH as usize || swept == before {
                break;
            }
        }
        let oldest = self.now_second() - i64::from(self.parts.retention.seconds());
        for id in self.parts.db.list_undecided(oldest).await? {
            self.delete_incoming(&id).await?;
            self.delete_planned_objects(&id).await?;
            self.parts.db.bury(&id).await?;
            swept += 1;
        }
        if swept > 0 {
            tracing::info!(swept, "swept expired pictures");
            self.changed();
        }
        failed.map_or(Ok(swept), Err)
    }

    async fn sweep(&self, id: &PictureId, expires_at: Option<ExpiresAt>) -> anyhow::Result<()> {
        self.delete_incoming(id).await?;
        if let Some(expires_at) = expires_at {
            self.delete_objects(id, expires_at).await?;
        }
        Ok(self.parts.db.bury(id).await?)
    }

    /// The second at which the next picture ends, if any lives.
    pub async fn next_expiry(&self) -> Result<Option<ExpiresAt>, DbError> {
        self.parts.db.next_expiry().await
    }

    /// Succeeds when index, storage and screening can be used.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.parts.db.check().await?;
        self.parts.storage.check().await?;
        self.parts.screener.check()?;
        Ok(())
    }

    /// Takes the next waiting picture through screening and publication. False when none waits.
    pub async fn screen_next(&self) -> Result<bool, DbError> {
        let now = self.now_second();
        let lease = i64::try_from(LEASE.as_secs()).unwrap_or(i64::MAX);
        let Some(received) = self
            .parts
            .db
            .claim_next(now, now.saturating_add(lease))
            .await?
        else {
            return Ok(false);
        };
        let id = received.id.clone();
        if let Err(error) = self.screen_and_publish(received).await {
            tracing::error!(picture = %id, error = format!("{error:#}"), "could not screen a picture; it waits");
            // An outage is not the picture's fault; whatever else fails again and again is.
            let outage =
                error.is::<ScreeningError>() || error.is::<StorageError>() || error.is::<DbError>();
            self.parts
                .db
                .postpone(&id, self.now_second() + RETRY_SECONDS, outage)
                .await?;
        }
        self.changed();
        Ok(true)
    }

    async fn screen_and_publish(&self, received: Received) -> anyhow::Result<()> {
        let id = &received.id;
        let path = self.incoming_path(id);
        let outcome = if self.parts.db.attempts(id).await? > MAX_ATTEMPTS {
            Outcome::Rejected(Reason::Corrupt)
        } else {
            self.screen(path.clone()).await?
        };
        match outcome {
            Outcome::Rejected(reason) => {
                self.parts.db.reject(id, reason, self.now_second()).await?;
                tracing::info!(picture = %id, reason = reason.as_str(), "rejected a picture");
            }
            Outcome::Approved(rendered) => self.publish(&received, *rendered).await?,
        }
        self.delete_incoming(id).await
    }

    /// Looks at the picture and renders it, within the memory that all pictures share.
    async fn screen(&self, path: PathBuf) -> anyhow::Result<Outcome> {
        let limits = self.image_limits();
        let inspected = {
            let (path, limits) = (path.clone(), limits.clone());
            tokio::task::spawn_blocking(move || imaging::inspect(&path, &limits)).await?
        };
        let inspected = match inspected {
            Ok(inspected) => inspected,
            Err(error) => return screen::rejection_of(error).map(Outcome::Rejected),
        };
        // A picture that needs the last byte of the budget must not wait for a permit that does not exist.
        let all = self.parts.limits.decode_memory_bytes / MEMORY_UNIT;
        let units = u32::try_from(inspected.working_bytes.div_ceil(MEMORY_UNIT).min(all))?;
        let _memory = self.memory.acquire_many(units).await?;
        let (screener, thresholds) = (self.parts.screener.clone(), self.parts.thresholds);
        let timeout = self.parts.limits.picture_timeout;
        tokio::task::spawn_blocking(move || {
            screen::look_and_render(
                &path,
                &inspected,
                &limits,
                screener.as_ref(),
                &thresholds,
                timeout,
            )
        })
        .await?
    }

    /// Stores the variants, then the manifest, then the row; only then does any URL answer.
    async fn publish(&self, received: &Received, rendered: Rendered) -> anyhow::Result<()> {
        let now = self.parts.clock.now();
        let id = received.id.clone();
        let expires_at = ExpiresAt::after(now, self.parts.retention);
        let Some(earlier) = self.parts.db.begin_publishing(received, expires_at).await? else {
            return Ok(());
        };
        // Objects of an attempt that a crash cut off lie under the instant that it had noted.
        if let Some(earlier) = earlier {
            self.delete_objects(&id, earlier).await?;
        }
        let mut variants = Vec::with_capacity(rendered.files.len());
        let mut objects = Vec::with_capacity(rendered.files.len());
        for file in rendered.files {
            variants.push(Variant {
                name: file.name,
                width: file.width,
                height: file.height,
                size_bytes: file.bytes.len() as u64,
                hash: Sha256Hash::of(&file.bytes).hex(),
            });
            let key = StorageKey::Image {
                expires_at,
                id: id.clone(),
                name: file.name,
            };
            objects.push((key, file.bytes));
        }
        let published = Published {
            id: id.clone(),
            // Given by the index.
            sequence: 0,
            published_at: now.as_second(),
            expires_at,
            width: rendered.width,
            height: rendered.height,
            animated: rendered.animated,
            alt: rendered.alt,
            tags: rendered.tags,
            thumbhash: rendered.thumbhash,
            placeholder: rendered.placeholder,
            perceptual_hash: rendered.perceptual_hash,
            stripped: rendered.stripped,
            variants,
        };
        self.parts.storage.put(objects).await?;
        let manifest = Manifest::new(received, &published).to_json()?;
        self.parts
            .storage
            .put(vec![(StorageKey::Manifest { id: id.clone() }, manifest)])
            .await?;
        if self
            .parts
            .db
            .publish(&published, received.leased_until)
            .await?
        {
            tracing::info!(picture = %id, expires_at = %expires_at.timestamp(), "published a picture");
        } else {
            self.delete_objects(&id, expires_at).await?;
        }
        Ok(())
    }

    /// Deletes what a publication of this picture stored, whether or not it came to its end.
    async fn delete_planned_objects(&self, id: &PictureId) -> anyhow::Result<()> {
        if let Some(expires_at) = self.parts.db.planned_expiry(id).await? {
            self.delete_objects(id, expires_at).await?;
        }
        Ok(())
    }

    async fn delete_objects(
        &self,
        id: &PictureId,
        expires_at: ExpiresAt,
    ) -> Result<(), StorageError> {
        let mut keys: Vec<StorageKey> = VariantName::ALL
            .into_iter()
            .map(|name| StorageKey::Image {
                expires_at,
                id: id.clone(),
                name,
            })
            .collect();
        keys.push(StorageKey::Manifest { id: id.clone() });
        self.parts.storage.delete(&keys).await
    }

    fn image_limits(&self) -> imaging::Limits {
        imaging::Limits {
            max_pixels: self.parts.limits.max_pixels,
            memory_bytes: self.parts.limits.decode_memory_bytes,
            ..imaging::Limits::default()
        }
    }
}
