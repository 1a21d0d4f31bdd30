//! Receiving an upload: bytes are streamed to a private file, counted, hashed, and made durable before the index row.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
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
use super::clients::Ending;
use super::endings::SWEEP_PATIENCE;
use super::order::{MIN_WORKERS, estimated_work};
use super::screen::refusal_by_shape;
use super::turns::Turn;
use crate::config::BudgetSpent;
use crate::costs::budget::Paid;
use crate::db::{DbError, Foreseen, Gauge};
use crate::domain::client::ClientNetwork;
use crate::domain::picture::{DeleteToken, PictureId, Received, Sha256Hash};
use crate::domain::verdict::{Reason, Review};
use imaging::{self, Inspected};

/// One client has at most one in so many parts of what the others leave of the queue, the day and the store…
const PART: u32 = 4;
/// …but so many waiting uploads it may always have…
const LEAST_WAITING: u32 = 16;
/// …of so many bytes together…
const LEAST_WAITING_BYTES: u64 = 64 * 1024 * 1024;
/// …so many uploads of about a day…
const LEAST_OF_DAY: u32 = 60;
/// …and so many bytes stored.
const LEAST_STORED: u64 = 64_000_000;
/// Uploads are counted over this many seconds.
const DAY_SECONDS: i64 = 24 * 3600;
/// Bytes of an upload are written in pieces of this many: each costs a turn on a thread that may wait for the disk.
const WRITE_BUFFER: usize = 128 * 1024;
/// More uploads than these never wait for a verdict: at half a second each the last would wait for minutes.
const MAX_WAITING: u32 = 500;
/// The most bytes that uploads without a verdict take on the disk; those that are still being received are not counted.
const MAX_WAITING_BYTES: u64 = 1_000_000_000;
/// As long as fewer uploads than these were in vain within a day, nobody is kept from uploading for it.
const FEW_IN_VAIN: u32 = 20;
/// The most containers of uploads that are read at the same time.
pub(super) const MAX_INSPECTIONS: usize = 2;
/// The queue is thought of in so many equal parts. Whoever finds it full is told to wait until one of them is worked off.
const PARTS_OF_QUEUE: u32 = 10;
/// The longest that a client is told to wait for the queue.
const LONGEST_WAIT_FOR_QUEUE: Duration = Duration::from_secs(600);
/// Only the server's own user may read what is not screened yet.
const PRIVATE: u32 = 0o600;
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
    TooManyToday {
        /// Until enough of them are a day old.
        wait: Duration,
    },
    /// Many of today's uploads were refused or were copies. Until that is better, whoever sent such lately must wait.
    #[error("too many uploads in vain, of this client and of all")]
    TooManyInVain {
        /// Until this client is not known for them any more.
        wait: Duration,
    },
    #[error("this client has its part of the day")]
    PartOfDay {
        /// Until it may send the next.
        wait: Duration,
    },
    #[error("this client has its part of the store")]
    PartOfStore {
        /// Until it may send the next.
        wait: Duration,
    },
    #[error("too many uploads at once")]
    Busy,
    #[error("too many uploads wait for their verdict")]
    QueueFull {
        /// Until there may be room, as fast as pictures were worked on lately.
        wait: Duration,
    },
    #[error("this month's budget is spent")]
    BudgetSpent {
        /// Until it may be worth another try.
        wait: Duration,
    },
    #[error("the store is full")]
    StorageFull {
        /// Until enough pictures have ended.
        wait: Duration,
    },
    /// What the file is, or what was decided on the same bytes before, refuses it at once.
    #[error("the picture is refused")]
    Refused(Reason),
    #[error(transparent)]
    Image(#[from] imaging::ImageError),
    #[error("cannot keep the upload")]
    Unavailable(#[from] anyhow::Error),
}

impl UploadError {
    /// True where the client is not at fault: then the upload does not count for its hour.
    fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::TooManyToday { .. }
                | Self::Busy
                | Self::QueueFull { .. }
                | Self::BudgetSpent { .. }
                | Self::StorageFull { .. }
                | Self::Unavailable(_)
        )
    }
}

impl From<DbError> for UploadError {
    fn from(error: DbError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// What takes no more uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    /// The day, with so many uploads more than it takes.
    Day { over: u32 },
    /// The queue, with so many uploads.
    Queue { waiting: u32 },
    /// The store: so many bytes are missing. `waiting` is given where uploads that wait may turn out smaller than what is
    /// reserved for them, and so free enough.
    Store { missing: u64, waiting: Option<u32> },
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
    /// [`UploadError::TooManyOfClient`], [`UploadError::TooManyToday`], [`UploadError::TooManyInVain`],
    /// [`UploadError::StorageFull`], [`UploadError::QueueFull`], [`UploadError::Busy`], [`UploadError::BudgetSpent`], or the
    /// disk's.
    pub async fn begin_upload(
        self: &Arc<Self>,
        client: ClientNetwork,
    ) -> Result<IncomingUpload, UploadError> {
        self.clients
            .take_upload(client)
            .map_err(|wait| UploadError::TooManyOfClient { wait })?;
        let begun = self.begin_allowed(client).await;
        if begun.as_ref().is_err_and(UploadError::is_ours) {
            self.clients.give_back_upload(client);
        }
        begun
    }

    async fn begin_allowed(
        self: &Arc<Self>,
        client: ClientNetwork,
    ) -> Result<IncomingUpload, UploadError> {
        let gauge = self
            .parts
            .db
            .gauge(self.day_ago(), self.now_second())
            .await?;
        // Nobody knows yet how large the picture is, but its files take a byte at least.
        if let Err(full) = self.check_room(&gauge, 1) {
            return Err(self.refusal_of(full).await);
        }
        self.check_client(&gauge, client)?;
        self.check_part(&gauge, client, 1, 1)?;
        self.check_budget().await?;
        let turn = tokio::time::timeout(
            self.parts.limits.upload_turn_timeout,
            self.turns.take(client),
        )
        .await
        .map_err(|_| UploadError::Busy)?
        .context("uploads are over")?;
        let id = PictureId::random();
        let path = self.incoming.unfinished_path(&id);
        // Made and given its owner in one go: a request dropped in between would leave a file that nobody deletes.
        let (path, file) = spawn_blocking(move || -> anyhow::Result<_> {
            let mut how = File::options();
            how.write(true).create_new(true).mode(PRIVATE);
            let file = how.open(&path).context("cannot create the incoming file")?;
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

    /// Fails where the day, the queue or the store is too full for a picture whose files take so many bytes.
    fn check_room(&self, gauge: &Gauge, bytes: u64) -> Result<(), Full> {
        let limits = &self.parts.limits;
        if let Some(over) = gauge.counted.checked_sub(limits.uploads_per_day) {
            return Err(Full::Day { over });
        }
        let most_waiting_bytes = MAX_WAITING_BYTES.min(limits.max_stored_bytes);
        if gauge.waiting >= MAX_WAITING || gauge.waiting_bytes >= most_waiting_bytes {
            return Err(Full::Queue {
                waiting: gauge.waiting,
            });
        }
        let all = gauge
            .stored_bytes
            .saturating_add(gauge.reserved_bytes)
            .saturating_add(bytes);
        match all.saturating_sub(limits.max_stored_bytes) {
            0 => Ok(()),
            missing => Err(Full::Store {
                missing,
                waiting: (missing <= gauge.promised_bytes).then_some(gauge.waiting),
            }),
        }
    }

    /// Succeeds unless the day has seen too much in vain, and this client is known for it: whoever sends copies and junk
    /// costs others neither their day nor room in the index.
    fn check_client(&self, gauge: &Gauge, client: ClientNetwork) -> Result<(), UploadError> {
        let per_day = self.parts.limits.uploads_per_day;
        let too_many_refused = (per_day / 2).max(FEW_IN_VAIN);
        if gauge.refused < too_many_refused && gauge.unseen < per_day.max(FEW_IN_VAIN) {
            return Ok(());
        }
        match self.clients.known_for_junk(client) {
            Some(wait) => Err(UploadError::TooManyInVain { wait }),
            None => Ok(()),
        }
    }

    /// Fails where this client has its part of the queue, the day or the store already: a quarter of what the others leave, so
    /// that no few clients can take all of it. A little is left to everybody whatever the others have.
    fn check_part(
        &self,
        gauge: &Gauge,
        client: ClientNetwork,
        size_bytes: u64,
        stored_bytes: u64,
    ) -> Result<(), UploadError> {
        let limits = &self.parts.limits;
        let retention = Duration::from_secs(u64::from(self.parts.retention.seconds()));
        let own = self.clients.part_of(client, retention);
        let others = gauge.waiting.saturating_sub(own.waiting);
        let part = (MAX_WAITING.saturating_sub(others) / PART).max(LEAST_WAITING);
        let other_bytes = gauge.waiting_bytes.saturating_sub(own.waiting_bytes);
        let most_bytes = MAX_WAITING_BYTES.saturating_sub(other_bytes) / u64::from(PART);
        let part_bytes = most_bytes.max(LEAST_WAITING_BYTES);
        if own.waiting >= part || own.waiting_bytes.saturating_add(size_bytes) > part_bytes {
            return Err(UploadError::QueueFull {
                wait: self.wait_for_queue(own.waiting),
            });
        }
        let of_day = own.of_day + f64::from(own.waiting);
        let others = (f64::from(gauge.counted) - of_day).max(0.0);
        let part = ((f64::from(limits.uploads_per_day) - others) / f64::from(PART))
            .max(f64::from(LEAST_OF_DAY));
        if of_day >= part {
            return Err(UploadError::PartOfDay {
                wait: self.clients.wait_for_day(client, part),
            });
        }
        let all = gauge.stored_bytes.saturating_add(gauge.reserved_bytes);
        // Sizes of stores are exact as floats.
        let own_bytes = own.stored_bytes + own.reserved_bytes as f64;
        let left = limits.max_stored_bytes as f64 - (all as f64 - own_bytes).max(0.0);
        let part = (left / f64::from(PART)).max(LEAST_STORED as f64);
        if own_bytes + stored_bytes as f64 > part {
            return Err(UploadError::PartOfStore {
                wait: self.clients.wait_for_store(client, part, retention),
            });
        }
        Ok(())
    }

    /// The refusal that tells a client what is full, and when to come again.
    async fn refusal_of(&self, full: Full) -> UploadError {
        let now = self.now_second();
        let db = &self.parts.db;
        // The time from now until this second; where there is none, a day, which is also the most.
        let until = |second: Option<i64>| {
            let wait = second.map_or(DAY_SECONDS, |second| second - now);
            Duration::from_secs(wait.clamp(1, DAY_SECONDS).cast_unsigned())
        };
        match full {
            Full::Day { over } => match db.counted_upload(self.day_ago(), now, over).await {
                Ok(received_at) => UploadError::TooManyToday {
                    wait: until(received_at.map(|second| second + DAY_SECONDS)),
                },
                Err(error) => error.into(),
            },
            Full::Queue { waiting } => UploadError::QueueFull {
                wait: self.wait_for_queue(waiting),
            },
            Full::Store {
                waiting: Some(waiting),
                ..
            } => UploadError::StorageFull {
                wait: self.wait_for_queue(waiting),
            },
            Full::Store { missing, .. } => match db.room_by(missing, now + DAY_SECONDS).await {
                Ok(second) => UploadError::StorageFull {
                    wait: until(second.map(|second| second + SWEEP_PATIENCE)),
                },
                Err(error) => error.into(),
            },
        }
    }

    /// How long it takes to work off one of [`PARTS_OF_QUEUE`] of so many waiting uploads, as fast as that went lately.
    fn wait_for_queue(&self, waiting: u32) -> Duration {
        let ahead = waiting.div_ceil(PARTS_OF_QUEUE);
        let wait = f64::from(ahead) * self.clients.pace() / f64::from(MIN_WORKERS);
        Duration::try_from_secs_f64(wait)
            .unwrap_or(LONGEST_WAIT_FOR_QUEUE)
            .min(LONGEST_WAIT_FOR_QUEUE)
    }

    /// An upload of this client was called off for the sake of others, which is no fault of its own: it does not count.
    pub fn note_called_off(&self, client: ClientNetwork) {
        self.clients.give_back_upload(client);
        tracing::info!("called off a slow upload, as others wait for their turn");
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

    /// Looks at the header of a received file, in its turn. What the file is, or what was decided on these bytes before,
    /// may refuse it already: then it costs no row and no worker.
    async fn inspect_incoming(
        &self,
        path: &std::path::Path,
        content_hash: &Sha256Hash,
    ) -> Result<Inspected, UploadError> {
        let turn = self.inspections.acquire().await;
        let _turn = turn.context("uploads are over")?;
        let (inspected, rules) = self
            .inspect(path.to_owned())
            .await
            .context("an upload cannot be looked at")?;
        let inspected = inspected?;
        if let Some(reason) = refusal_by_shape(&inspected) {
            return Err(UploadError::Refused(reason));
        }
        // Where the models cannot be asked who they are, the upload waits for them.
        if let Ok((rules, _)) = rules
            && let Some(reason) = self.known_refusal(content_hash, &rules).await?
        {
            return Err(UploadError::Refused(reason));
        }
        Ok(inspected)
    }

    fn day_ago(&self) -> i64 {
        self.now_second() - DAY_SECONDS
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
        match &done {
            Err(UploadError::Image(_) | UploadError::Refused(_)) => {
                pictures.clients.note_ending(client, Ending::Refused);
            }
            Err(error) if error.is_ours() => pictures.clients.give_back_upload(client),
            _ => {}
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
        let content_hash = Sha256Hash(self.hasher.finalize().into());
        let path = self.path;
        let inspected = pictures.inspect_incoming(&path, &content_hash).await?;
        let most_stored_bytes = pictures.parts.limits.max_stored_bytes;
        let foreseen = Foreseen {
            work: estimated_work(&inspected),
            // A picture may be expected to take more than a small store holds at all; then what it really takes decides.
            stored_bytes: inspected.most_stored_bytes().min(most_stored_bytes),
        };
        let final_path = pictures.incoming.path(&self.id);
        let folder = pictures.incoming.folder().to_owned();
        let kept = spawn_blocking(move || -> Result<TempPath, UploadError> {
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
            content_hash,
            size_bytes: self.size_bytes,
            received_at: pictures.now_second(),
            leased_until: 0,
            attempts: 0,
        };
        // Before a worker can take it up.
        let gauge = pictures
            .parts
            .db
            .gauge(pictures.day_ago(), pictures.now_second())
            .await?;
        pictures.check_part(&gauge, self.client, self.size_bytes, foreseen.stored_bytes)?;
        pictures.clients.remember(
            &self.id,
            self.client,
            self.size_bytes,
            foreseen.stored_bytes,
        );
        let accepted = pictures
            .parts
            .db
            .accept(&received, foreseen, pictures.day_ago(), |gauge| {
                pictures.check_room(gauge, foreseen.stored_bytes)
            })
            .await;
        let accepted = match accepted {
            Ok(accepted) => accepted,
            // It may have been committed all the same: then the file is the row's.
            Err(error) => match pictures.parts.db.is_screening(&self.id).await {
                Ok(true) => Ok(()),
                Ok(false) => {
                    pictures.clients.forget(&self.id);
                    return Err(error.into());
                }
                Err(_) => {
                    // Nobody knows; what no row owns is deleted at the next start.
                    kept.keep().context("cannot keep the incoming file")?;
                    return Err(error.into());
                }
            },
        };
        if let Err(full) = accepted {
            pictures.clients.forget(&self.id);
            return Err(pictures.refusal_of(full).await);
        }
        kept.keep().context("cannot keep the incoming file")?;
        pictures.changed();
        Ok(Accepted {
            id: self.id,
            delete_token,
        })
    }
}
