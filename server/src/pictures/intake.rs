//! Receives uploads: who may send how much, whose turn it is, and what is refused before a worker
//! sees it.

mod room;
mod turns;
mod upload;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use imaging::Inspected;
use tokio::sync::Semaphore;

use self::turns::Turns;
pub use self::upload::{Accepted, IncomingUpload, Sender};
use super::collection::Collection;
use super::screening::{Inspector, SecondOpinions, refusal_by_shape};
use crate::config::LimitsConfig;
use crate::db::DbError;
use crate::domain::client::ClientNetwork;
use crate::domain::expiry::Retention;
use crate::domain::hash::Sha256Hash;
use crate::domain::upload_key::{FirstUpload, UploadKey};
use crate::domain::verdict::{Reason, Verdict};

/// The most uploads whose containers are read at the same time.
const MAX_INSPECTIONS: usize = 2;
/// The longest that a client is told to wait for the next month, because the operator may raise the
/// limit before.
const LONGEST_WAIT_FOR_MONTH: Duration = Duration::from_secs(24 * 3600);

/// Why an upload is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("the upload is empty")]
    Empty,
    #[error("the upload is larger than {max_bytes} bytes")]
    TooLarge { max_bytes: u64 },
    /// The key of the upload belongs to an earlier one with other bytes.
    #[error("the upload's key belongs to another file")]
    KeyReused,
    #[error("too many uploads of this client")]
    TooManyOfClient {
        /// The time until the client may send the next upload.
        wait: Duration,
    },
    #[error("too many uploads today")]
    TooManyToday {
        /// The time until enough of today's uploads are a day old.
        wait: Duration,
    },
    /// Many of today's uploads were refused or were copies. Until there are fewer, clients that
    /// sent such uploads lately must wait.
    #[error("too many uploads in vain, of this client and of all")]
    TooManyInVain {
        /// The time until this client is no longer known for such uploads.
        wait: Duration,
    },
    #[error("this client has its part of the day")]
    PartOfDay {
        /// The time until the client may send the next upload.
        wait: Duration,
    },
    #[error("this client has its part of the store")]
    PartOfStore {
        /// The time until the client may send the next upload.
        wait: Duration,
    },
    #[error("too many uploads at once")]
    Busy,
    #[error("too many uploads wait for their verdict")]
    QueueFull {
        /// The time until there may be room, estimated from how fast pictures were worked on
        /// lately.
        wait: Duration,
    },
    #[error("this month's budget is spent")]
    BudgetSpent {
        /// The time until another attempt may succeed.
        wait: Duration,
    },
    #[error("the store is full")]
    StorageFull {
        /// The time until enough pictures have expired.
        wait: Duration,
    },
    /// The file itself, or an earlier verdict on the same bytes, refuses the picture at once.
    #[error("the picture is refused")]
    Refused(Reason),
    #[error(transparent)]
    Image(#[from] imaging::ImageError),
    #[error("cannot keep the upload")]
    Unavailable(#[from] anyhow::Error),
}

impl UploadError {
    /// True where the client is not at fault. The upload then does not count towards its hour.
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

/// Receives uploads.
pub struct Intake {
    collection: Arc<Collection>,
    inspector: Arc<Inspector>,
    second_opinions: Arc<SecondOpinions>,
    limits: LimitsConfig,
    /// Permits to read the container of an upload.
    inspections: Semaphore,
    /// Turns to upload.
    turns: Turns,
}

impl Intake {
    pub(super) fn new(
        collection: Arc<Collection>,
        inspector: Arc<Inspector>,
        second_opinions: Arc<SecondOpinions>,
        limits: LimitsConfig,
    ) -> Self {
        Self {
            collection,
            inspector,
            second_opinions,
            inspections: Semaphore::new(MAX_INSPECTIONS),
            turns: Turns::new(limits.uploads_at_once),
            limits,
        }
    }

    /// Begins an upload of this client, unless its hour, everybody's day, the store or the queue is
    /// full. Waits a moment for its turn. By its `key`, if it has one, an upload is known to repeat
    /// an earlier one; for that there is always room.
    ///
    /// # Errors
    /// [`UploadError::TooManyOfClient`], [`UploadError::TooManyToday`],
    /// [`UploadError::TooManyInVain`], [`UploadError::PartOfDay`], [`UploadError::PartOfStore`],
    /// [`UploadError::StorageFull`], [`UploadError::QueueFull`], [`UploadError::Busy`],
    /// [`UploadError::BudgetSpent`], or an error of the disk or the index.
    pub async fn begin_upload(
        self: &Arc<Self>,
        client: ClientNetwork,
        key: Option<UploadKey>,
    ) -> Result<IncomingUpload, UploadError> {
        let clients = &self.collection.clients;
        let repeats = match &key {
            Some(key) => self.first_upload(key, client).await?.is_some(),
            None => false,
        };
        let counts = !(repeats && clients.take_repeat(client));
        if counts {
            clients
                .take_upload(client)
                .map_err(|wait| UploadError::TooManyOfClient { wait })?;
        }
        let allowed = if repeats {
            Ok(())
        } else {
            self.check_all(client).await
        };
        let begun = match allowed {
            Ok(()) => self.begin_allowed(client, key, counts).await,
            Err(error) => Err(error),
        };
        if counts && begun.as_ref().is_err_and(UploadError::is_ours) {
            clients.give_back_upload(client);
        }
        begun
    }

    /// The upload that first came with this key of this client, if it can still be repeated.
    async fn first_upload(
        &self,
        key: &UploadKey,
        client: ClientNetwork,
    ) -> Result<Option<FirstUpload>, DbError> {
        let now = self.collection.now_second();
        self.collection
            .db
            .first_upload(&key.name(client), now)
            .await
    }

    /// Succeeds where there is room for another upload of this client.
    async fn check_all(&self, client: ClientNetwork) -> Result<(), UploadError> {
        let gauge = self.gauge().await?;
        // The size of the picture's files is not known yet, but they take at least one byte.
        if let Err(full) = self.check_room(&gauge, 1) {
            return Err(self.refusal_of(full).await);
        }
        self.check_client(&gauge, client)?;
        self.check_part(&gauge, client, 1, 1)?;
        self.check_budget().await
    }

    /// Waits for the turn of an upload for which there is room.
    async fn begin_allowed(
        self: &Arc<Self>,
        client: ClientNetwork,
        key: Option<UploadKey>,
        counts: bool,
    ) -> Result<IncomingUpload, UploadError> {
        let turn = tokio::time::timeout(self.limits.upload_turn_timeout, self.turns.take(client))
            .await
            .map_err(|_| UploadError::Busy)?
            .context("uploads are over")?;
        IncomingUpload::begin(self.clone(), client, key, counts, turn).await
    }

    /// The largest file that is accepted, in bytes.
    #[must_use]
    pub fn max_upload_bytes(&self) -> u64 {
        self.limits.max_upload_bytes
    }

    /// How long a picture lives whose uploader asks for nothing else, which is also the most.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.collection.retention
    }

    /// Notes that an upload of this sender was called off to make room for others. The sender is
    /// not at fault, so the upload does not count.
    pub fn note_called_off(&self, sender: &Sender) {
        if sender.counts {
            self.collection.clients.give_back_upload(sender.client);
        }
        tracing::info!("called off a slow upload, as others wait for their turn");
    }

    /// Succeeds unless uploads are refused because a picture could not be paid for.
    async fn check_budget(&self) -> Result<(), UploadError> {
        let wait = self.second_opinions.refuses_uploads_for().await;
        match wait.map_err(|error| UploadError::Unavailable(error.into()))? {
            Some(month) => Err(UploadError::BudgetSpent {
                wait: month.min(LONGEST_WAIT_FOR_MONTH),
            }),
            None => Ok(()),
        }
    }

    /// Inspects the header of a received file, in its turn. The file itself or an earlier verdict
    /// on the same bytes may refuse it already; then it costs no row and no worker.
    async fn inspect_incoming(
        &self,
        path: &Path,
        content_hash: &Sha256Hash,
    ) -> Result<Inspected, UploadError> {
        let turn = self.inspections.acquire().await;
        let _turn = turn.context("uploads are over")?;
        let header = self
            .inspector
            .inspect(path.to_owned())
            .await
            .context("an upload cannot be looked at")?;
        let inspected = header.inspected?;
        if let Some(reason) = refusal_by_shape(&inspected) {
            return Err(UploadError::Refused(reason));
        }
        // Where the models cannot say who they are, the upload waits for them.
        if let Ok(rules) = header.rules
            && let Some(Verdict::Rejected(reason)) = self
                .collection
                .known_verdict(content_hash, &rules.in_force)
                .await?
        {
            return Err(UploadError::Refused(reason));
        }
        Ok(inspected)
    }
}
