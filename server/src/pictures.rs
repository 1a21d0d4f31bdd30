//! The use cases: a picture is uploaded, screened, published, listed, deleted, expired.
//! Knows domain, imaging, storage, screening, CDNs and index; knows nothing of HTTP or pages.

mod allowance;
mod attempts;
mod clients;
mod endings;
mod incoming;
mod manifest;
mod order;
mod purge_share;
mod purging;
mod rebuild;
mod review;
mod reviewer;
mod screen;
mod shared;
mod turns;
mod work;

use std::fs::Permissions;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use self::allowance::Allowance;
use self::clients::Clients;
pub use self::endings::DeleteError;
pub use self::incoming::{Accepted, IncomingUpload, UploadError};
pub(crate) use self::order::MIN_WORKERS;
use self::purge_share::PurgeShare;
use self::purging::Pace;
pub use self::purging::PurgeProgress;
pub use self::rebuild::Rebuilt;
pub use self::reviewer::RekognitionReviewer;
pub use self::screen::outputs;
use self::shared::{Moment, Shared};
use self::turns::Turns;
use crate::cdn::Cdns;
use crate::config::{BudgetSpent, LimitsConfig};
use crate::costs::budget::Budget;
use crate::db::{Db, DbError, ListFilter};
use crate::domain::expiry::{ExpiresAt, Retention};
use crate::domain::picture::{Life, PictureId, Published, Sha256Hash};
use crate::domain::policy::Policy;
use crate::domain::variant::{self, FileName, VariantName};
use crate::domain::verdict::Reason;
use crate::runtime::clock::Clock;
use crate::screening::Screener;
use crate::storage::{Folder, ObjectStorage, StorageError, StorageKey};
use imaging;

/// How long a refused upload's reason can be asked for, seconds; then it is gone.
const REJECTION_SECONDS: i64 = 24 * 3600;
/// Only the server's own user may look into the folder of uploads without a verdict.
const PRIVATE_FOLDER: u32 = 0o700;
/// Permits of the memory semaphore stand for this many bytes each.
const MEMORY_UNIT: u64 = 1024;

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
    /// Who is asked about pictures that the policy does not decide; absent where it decides all, or nothing is screened.
    pub reviewer: Option<RekognitionReviewer>,
    pub budget: Arc<Budget>,
    /// What stands in front of the site and is told of deletions.
    pub cdns: Cdns,
    pub clock: Clock,
    /// Holds unfinished and unscreened uploads; private.
    pub incoming_dir: PathBuf,
    pub limits: LimitsConfig,
    pub retention: Retention,
    pub policy: Policy,
    /// What becomes of pictures that cannot be paid for.
    pub budget_spent: BudgetSpent,
    /// When a picture that waits for the month to turn looks again.
    pub spent_rest: Duration,
    pub admin_token: Option<SecretString>,
}

/// All pictures of this site.
pub struct Pictures {
    parts: PicturesParts,
    /// What each client may still upload.
    allowance: Allowance,
    /// What each client may still have purged by itself.
    purge_share: PurgeShare,
    /// When deletions were last purged together.
    pace: Mutex<Pace>,
    /// What each client has sent and used lately.
    clients: Clients,
    /// Held by the worker that chooses its next picture, so that the next worker sees what it took.
    choosing: tokio::sync::Mutex<()>,
    /// Uploads whose containers may be read at once.
    inspections: Semaphore,
    /// Uploads that may be received at once.
    turns: Turns,
    /// Bytes that pictures being decoded may take, in units of [`MEMORY_UNIT`].
    memory: Arc<Semaphore>,
    /// What everybody asks for alike, and what takes a look at every picture.
    tags: Shared<Vec<(String, u32)>>,
    chosen: Shared<Option<Published>>,
    /// Counts every change of a picture's state; waiting uploads, workers and the sweeper watch it.
    changes: watch::Sender<u64>,
    /// Cancelled when the server stops: nobody waits for a verdict any more.
    stopping: CancellationToken,
}

impl Pictures {
    /// Prepares the folders.
    ///
    /// # Errors
    /// When the folder of incoming files cannot be made.
    pub async fn open(parts: PicturesParts) -> anyhow::Result<Self> {
        let permits = usize::try_from(parts.limits.decode_memory_bytes / MEMORY_UNIT)?;
        tokio::fs::create_dir_all(&parts.incoming_dir)
            .await
            .with_context(|| format!("cannot make {}", parts.incoming_dir.display()))?;
        let private = Permissions::from_mode(PRIVATE_FOLDER);
        tokio::fs::set_permissions(&parts.incoming_dir, private)
            .await
            .with_context(|| format!("cannot close {} to others", parts.incoming_dir.display()))?;
        if let Some(above) = parts.incoming_dir.parent() {
            // The folder must outlive a power cut, as the rows of what lies in it do.
            tokio::fs::File::open(above).await?.sync_all().await?;
        }
        Ok(Self {
            allowance: Allowance::new(parts.limits.uploads_per_hour, parts.clock.clone()),
            purge_share: PurgeShare::new(parts.clock.clone()),
            pace: Mutex::default(),
            clients: Clients::new(parts.clock.clone()),
            choosing: tokio::sync::Mutex::default(),
            inspections: Semaphore::new(incoming::MAX_INSPECTIONS),
            turns: Turns::new(parts.limits.uploads_at_once),
            memory: Arc::new(Semaphore::new(permits)),
            tags: Shared::default(),
            chosen: Shared::default(),
            changes: watch::Sender::new(0),
            stopping: CancellationToken::new(),
            parts,
        })
    }

    /// Takes up what an earlier run left behind. Only before uploads and workers begin, and only in the one process that
    /// serves.
    ///
    /// # Errors
    /// When the folder of incoming files, the storage or the index cannot be used.
    pub async fn recover(&self) -> anyhow::Result<()> {
        self.make_index_shrinkable().await;
        self.parts.db.release_leases(self.now_second()).await?;
        let (cdns, targets) = (self.cdn_names(), self.purge_targets());
        let purges = self
            .parts
            .db
            .recover_purges(&cdns, &targets, self.now_second());
        let waiting = purges.await?;
        if waiting > 0 {
            tracing::warn!(waiting, "purges wait for a CDN that is not configured");
        }
        self.parts.storage.delete_unfinished().await?;
        self.delete_orphaned_uploads().await
    }

    /// Makes the index able to shrink, once in its life. Where that fails, for instance because the disk is full, the index is
    /// only larger than it need be.
    async fn make_index_shrinkable(&self) {
        match self.parts.db.make_shrinkable().await {
            Ok(_) => {}
            Err(error) => tracing::warn!(
                error = format!("{:#}", anyhow::Error::from(error)),
                "the index cannot give back space yet; it is tried again at the next start"
            ),
        }
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

    /// Ends all waiting for verdicts: the server stops, and who waits is told to ask again later.
    pub fn stop_waiting(&self) {
        self.stopping.cancel();
    }

    /// Closes the index; nothing works afterwards.
    pub async fn close(&self) {
        self.parts.db.close().await;
    }

    /// What this month may still cost.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.parts.budget
    }

    /// The index itself, for what is counted in it beside pictures.
    #[must_use]
    pub fn index(&self) -> &Db {
        &self.parts.db
    }

    /// What an upload may be.
    #[must_use]
    pub fn limits(&self) -> &LimitsConfig {
        &self.parts.limits
    }

    fn now_second(&self) -> i64 {
        self.parts.clock.now().as_second()
    }

    /// Uploads received until this second and undecided now are over, like pictures of that age.
    fn overdue(&self, now: Timestamp) -> i64 {
        now.as_second() - i64::from(self.parts.retention.seconds())
    }

    async fn is_banned(&self, perceptual_hash: u64) -> Result<bool, DbError> {
        let bans = self.parts.db.list_bans().await?;
        Ok(bans.iter().any(|ban| ban.covers(perceptual_hash)))
    }

    /// Where this picture is in its life, as the clock has it.
    pub async fn status(&self, id: &PictureId) -> Result<Status, DbError> {
        let now = self.parts.clock.now();
        Ok(match self.parts.db.find(id).await? {
            None => Status::Unknown,
            Some(Life::Screening { received_at }) if received_at <= self.overdue(now) => {
                Status::Gone { expires_at: None }
            }
            Some(Life::Screening { .. }) => Status::Screening,
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

    /// A published picture as its manifest tells it: for reading while the index cannot be asked. `None` where there is
    /// none, or its time is over.
    pub async fn find_by_manifest(
        &self,
        id: &PictureId,
    ) -> Result<Option<Published>, StorageError> {
        let published = match self.read_manifest(id).await {
            Ok((_, published)) => published,
            Err(StorageError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let over = published.expires_at.is_past(self.parts.clock.now());
        Ok((!over).then_some(published))
    }

    /// Published pictures, newest first.
    pub async fn list(&self, filter: &ListFilter) -> Result<Vec<Published>, DbError> {
        self.parts.db.list(filter, self.now_second()).await
    }

    /// Every tag with its count, most used first.
    pub async fn list_tags(&self) -> Result<Vec<(String, u32)>, DbError> {
        let now = self.now_second();
        let count = async || self.parts.db.list_tags(now).await;
        self.tags.get(self.moment(now, now), count).await
    }

    /// What an answer about this time must be true of: this second, and the last change of any picture.
    fn moment(&self, about: i64, second: i64) -> Moment {
        Moment {
            about,
            second,
            changes: *self.changes.borrow(),
        }
    }

    /// The picture of the slot between these two seconds, drawn from those that live through it, or else from those that
    /// live now.
    pub async fn choose(&self, begins: i64, ends: i64) -> Result<Option<Published>, DbError> {
        let seed = Sha256Hash::of(&begins.to_le_bytes()).0;
        let draw = seed
            .iter()
            .take(4)
            .fold(0, |draw, byte| draw << 8 | u32::from(*byte));
        let pick = async || match self.parts.db.pick(begins, ends, draw).await? {
            Some(published) => Ok(Some(published)),
            None => {
                let now = self.now_second();
                self.parts.db.pick(now, now, draw).await
            }
        };
        self.chosen
            .get(self.moment(begins, self.now_second()), pick)
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
        self.parts.storage.get(&key, Some(range)).await
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

    /// Succeeds when index, storage and screening can be used.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.parts.db.check().await?;
        self.parts.storage.check().await?;
        if self.looks_locally() {
            self.parts.screener.check()?;
        }
        if let Some(reviewer) = &self.parts.reviewer {
            reviewer.check()?;
        }
        Ok(())
    }

    /// True where the local models see every picture: to judge it, or to stand in for calls that cannot be paid.
    fn looks_locally(&self) -> bool {
        self.parts.policy.looks_locally() || self.parts.budget_spent == BudgetSpent::Local
    }

    /// Every file that a picture may have, to be deleted: all that a version of the program stores
    /// under a name that this one knows, and those of `names`. Where nobody knows the names, the
    /// folder is listed.
    async fn file_keys(
        &self,
        id: &PictureId,
        expires_at: ExpiresAt,
        names: Option<&[FileName]>,
    ) -> Result<Vec<StorageKey>, StorageError> {
        let key = |name: FileName| StorageKey::Image {
            expires_at,
            id: id.clone(),
            name,
        };
        let mut keys: Vec<StorageKey> = variant::known().map(|name| key(name.into())).collect();
        let further = match names {
            Some(names) => names.iter().cloned().map(key).collect(),
            None => {
                let id = id.clone();
                let folder = Folder::Picture { expires_at, id };
                self.parts.storage.list(folder).await?
            }
        };
        for further in further {
            if !keys.contains(&further) {
                keys.push(further);
            }
        }
        Ok(keys)
    }

    fn image_limits(&self) -> imaging::Limits {
        imaging::Limits {
            max_pixels: self.parts.limits.max_pixels,
            memory_bytes: self.parts.limits.decode_memory_bytes,
            ..imaging::Limits::default()
        }
    }
}
