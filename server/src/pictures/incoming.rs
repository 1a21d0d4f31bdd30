//! Receiving an upload: bytes are streamed to a private file, counted, hashed, and made durable before the index row.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::fs;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::Pictures;
use super::turns::Turn;
use crate::budget::Paid;
use crate::config::BudgetSpent;
use crate::db::DbError;
use crate::domain::client::ClientNetwork;
use crate::domain::picture::{DeleteToken, PictureId, Received, Sha256Hash};
use crate::domain::verdict::Review;
use crate::imaging;

/// Uploads are counted over this many seconds.
const DAY_SECONDS: i64 = 24 * 3600;
/// Marks a file that is not whole yet.
const UNFINISHED: &str = "part";
/// Bytes of an upload are written in pieces of this many: each costs a turn on a thread that may wait for the disk.
const WRITE_BUFFER: usize = 128 * 1024;
/// More uploads than these never wait for a verdict: at half a second each the last would wait for minutes.
const MAX_WAITING: u32 = 500;
/// The longest that a client is told to wait for the month to turn: the operator may raise the limit.
const LONGEST_WAIT_FOR_MONTH: Duration = Duration::from_secs(24 * 3600);

/// Why an upload is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("the upload is empty")]
    Empty,
    #[error("the upload is larger than {max_bytes} bytes")]
    TooLarge { max_bytes: u64 },
    #[error("too many uploads of this client")]
    TooManyOfClient {
        /// Until it may send the next.
        wait: Duration,
    },
    #[error("too many uploads today")]
    TooManyToday,
    #[error("too many uploads at once")]
    Busy,
    #[error("this month's budget is spent")]
    BudgetSpent {
        /// Until it may be worth another try.
        wait: Duration,
    },
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

/// An upload under way. Dropping it deletes what was received.
pub struct IncomingUpload {
    pictures: Arc<Pictures>,
    client: ClientNetwork,
    id: PictureId,
    path: TempPath,
    file: BufWriter<fs::File>,
    hasher: Sha256,
    size_bytes: u64,
    turn: Turn,
}

/// An upload that is on disk, in the index, and on its way to a verdict.
#[derive(Debug)]
pub struct Accepted {
    pub id: PictureId,
    /// Told once; only its hash is kept.
    pub delete_token: DeleteToken,
}

impl Pictures {
    /// Begins an upload of this client, unless its hour, everybody's day, the store or the queue is full. Waits a moment
    /// for its turn.
    ///
    /// # Errors
    /// [`UploadError::TooManyOfClient`], [`UploadError::TooManyToday`], [`UploadError::StorageFull`], [`UploadError::Busy`],
    /// [`UploadError::BudgetSpent`], or the disk's.
    pub async fn begin_upload(
        self: &Arc<Self>,
        client: ClientNetwork,
    ) -> Result<IncomingUpload, UploadError> {
        let limits = &self.parts.limits;
        self.allowance
            .take(client)
            .map_err(|wait| UploadError::TooManyOfClient { wait })?;
        let turn = tokio::time::timeout(limits.upload_turn_timeout, self.turns.take(client))
            .await
            .map_err(|_| UploadError::Busy)?
            .context("uploads are over")?;
        let db = &self.parts.db;
        if db.count_received_since(self.day_ago()).await? >= limits.uploads_per_day {
            return Err(UploadError::TooManyToday);
        }
        let waiting = db.waiting().await?;
        if waiting.uploads >= MAX_WAITING {
            return Err(UploadError::Busy);
        }
        if db.stored_bytes().await?.saturating_add(waiting.bytes) >= limits.max_stored_bytes {
            return Err(UploadError::StorageFull);
        }
        self.check_budget().await?;
        let id = PictureId::random();
        let path = self.incoming_path(&id).with_extension(UNFINISHED);
        // Made and given its owner in one go: a request dropped in between would leave a file that nobody deletes.
        let (path, file) = spawn_blocking(move || -> anyhow::Result<_> {
            let file = File::create_new(&path).context("cannot create the incoming file")?;
            let path = TempPath::try_from_path(path).context("cannot name the incoming file")?;
            Ok((path, file))
        })
        .await
        .context("the file thread ended early")??;
        Ok(IncomingUpload {
            pictures: self.clone(),
            client,
            id,
            path,
            file: BufWriter::with_capacity(WRITE_BUFFER, fs::File::from_std(file)),
            hasher: Sha256::new(),
            size_bytes: 0,
            turn,
        })
    }

    /// Succeeds unless uploads are refused because a picture could not be paid for.
    async fn check_budget(&self) -> Result<(), UploadError> {
        if !self.parts.policy.asks() || self.parts.budget_spent != BudgetSpent::Refuse {
            return Ok(());
        }
        let usage = self.parts.budget.usage(Paid::RekognitionCalls).await;
        let usage = usage.map_err(|error| UploadError::Unavailable(error.into()))?;
        if usage.left() >= Review::Asked.calls_left() {
            return Ok(());
        }
        let month = Duration::from_secs(self.parts.budget.seconds_left());
        Err(UploadError::BudgetSpent {
            wait: month.min(LONGEST_WAIT_FOR_MONTH),
        })
    }

    fn day_ago(&self) -> i64 {
        self.now_second() - DAY_SECONDS
    }

    /// The private file of an upload without a verdict.
    pub(super) fn incoming_path(&self, id: &PictureId) -> PathBuf {
        self.parts.incoming_dir.join(id.as_str())
    }

    /// Deletes an upload's bytes; absent ones are no error.
    pub(super) async fn delete_incoming(&self, id: &PictureId) -> anyhow::Result<()> {
        match fs::remove_file(self.incoming_path(id)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).context("cannot delete the incoming file")
            }
            _ => Ok(()),
        }
    }

    /// Deletes files that no waiting upload owns: a crash left them. Only at start, before uploads begin.
    pub(super) async fn delete_orphaned_uploads(&self) -> anyhow::Result<()> {
        let mut entries = fs::read_dir(&self.parts.incoming_dir).await?;
        while let Some(entry) = entries.next_entry().await? {
            if entry.file_type().await?.is_dir() {
                // Not ours.
                continue;
            }
            let id = entry.file_name().to_str().and_then(PictureId::parse);
            let owned = match id {
                Some(id) => self.parts.db.is_screening(&id).await?,
                None => false,
            };
            if !owned {
                let path = entry.path();
                fs::remove_file(&path)
                    .await
                    .with_context(|| format!("cannot delete {}", path.display()))?;
            }
        }
        Ok(())
    }
}

impl IncomingUpload {
    /// Cancelled when its sender is so slow, while others wait, that it must make room: whoever reads should drop the upload.
    #[must_use]
    pub fn called_off(&self) -> CancellationToken {
        self.turn.called_off()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`UploadError::TooLarge`] from the first byte over the limit on, or the disk's.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        let max_bytes = self.pictures.parts.limits.max_upload_bytes;
        self.size_bytes += bytes.len() as u64;
        if self.size_bytes > max_bytes {
            return Err(UploadError::TooLarge { max_bytes });
        }
        self.turn.received(bytes.len());
        self.hasher.update(bytes);
        self.file
            .write_all(bytes)
            .await
            .context("cannot write the incoming file")?;
        Ok(())
    }

    /// Looks at the header, makes the bytes durable, then records the upload and hands it to the workers.
    ///
    /// # Errors
    /// What the header already tells (type, size, bombs), [`UploadError::Empty`], or the disk's. Nothing is left behind.
    pub async fn finish(self) -> Result<Accepted, UploadError> {
        if self.size_bytes == 0 {
            return Err(UploadError::Empty);
        }
        self.turn.is_whole();
        let (pictures, client) = (self.pictures.clone(), self.client);
        // On a task of its own: a client that hangs up now must not stop it between the file and its row.
        let done = tokio::spawn(self.complete())
            .await
            .context("the upload's task ended early")?;
        if let Err(UploadError::Image(_)) = &done {
            pictures.allowance.charge(client);
        }
        done
    }

    async fn complete(mut self) -> Result<Accepted, UploadError> {
        let pictures = &self.pictures;
        self.file
            .flush()
            .await
            .context("cannot write the incoming file")?;
        let file = self.file.into_inner().into_std().await;
        let (path, limits) = (self.path, pictures.image_limits());
        let final_path = pictures.incoming_path(&self.id);
        let folder = pictures.parts.incoming_dir.clone();
        let kept = spawn_blocking(move || -> Result<TempPath, UploadError> {
            imaging::inspect(&path, &limits)?;
            file.sync_all().context("cannot sync the incoming file")?;
            path.persist(&final_path)
                .context("cannot name the incoming file")?;
            // From here on a failure must delete the file under its new name.
            let kept =
                TempPath::try_from_path(final_path).context("cannot name the incoming file")?;
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .context("cannot sync the folder of incoming files")?;
            Ok(kept)
        })
        .await
        .context("the file thread ended early")??;
        let delete_token = DeleteToken::random();
        let received = Received {
            id: self.id.clone(),
            delete_token_hash: delete_token.hash(),
            content_hash: Sha256Hash(self.hasher.finalize().into()),
            size_bytes: self.size_bytes,
            received_at: pictures.now_second(),
            leased_until: 0,
            attempts: 0,
        };
        // Before a worker can take it up.
        pictures.allowance.remember(&self.id, self.client);
        let recorded = pictures
            .parts
            .db
            .insert_received(
                &received,
                pictures.day_ago(),
                pictures.parts.limits.uploads_per_day,
            )
            .await;
        let recorded = match recorded {
            Ok(recorded) => recorded,
            // It may have been committed all the same: then the file is the row's.
            Err(error) => match pictures.parts.db.is_screening(&self.id).await {
                Ok(true) => true,
                Ok(false) => {
                    pictures.allowance.settle(&self.id, false);
                    return Err(error.into());
                }
                Err(_) => {
                    // Nobody knows; what no row owns is deleted at the next start.
                    kept.keep().context("cannot keep the incoming file")?;
                    return Err(error.into());
                }
            },
        };
        if !recorded {
            pictures.allowance.settle(&self.id, false);
            return Err(UploadError::TooManyToday);
        }
        kept.keep().context("cannot keep the incoming file")?;
        pictures.changed();
        Ok(Accepted {
            id: self.id,
            delete_token,
        })
    }
}
