//! Receiving uploads: who may send how much, whose turn it is, and what is refused before a worker sees it.

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
pub use self::upload::{Accepted, IncomingUpload};
use super::collection::Collection;
use super::screening::{Inspector, SecondOpinions, refusal_by_shape};
use crate::config::LimitsConfig;
use crate::db::DbError;
use crate::domain::client::ClientNetwork;
use crate::domain::picture::Sha256Hash;
use crate::domain::verdict::{Reason, Verdict};

/// The most containers of uploads that are read at the same time.
const MAX_INSPECTIONS: usize = 2;
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

/// Receives uploads.
pub struct Intake {
    collection: Arc<Collection>,
    inspector: Arc<Inspector>,
    second_opinions: Arc<SecondOpinions>,
    limits: LimitsConfig,
    /// Uploads whose containers may be read at once.
    inspections: Semaphore,
    /// Uploads that may be received at once.
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
        let clients = &self.collection.clients;
        clients
            .take_upload(client)
            .map_err(|wait| UploadError::TooManyOfClient { wait })?;
        let begun = self.begin_allowed(client).await;
        if begun.as_ref().is_err_and(UploadError::is_ours) {
            clients.give_back_upload(client);
        }
        begun
    }

    async fn begin_allowed(
        self: &Arc<Self>,
        client: ClientNetwork,
    ) -> Result<IncomingUpload, UploadError> {
        let gauge = self.gauge().await?;
        // Nobody knows yet how large the picture is, but its files take a byte at least.
        if let Err(full) = self.check_room(&gauge, 1) {
            return Err(self.refusal_of(full).await);
        }
        self.check_client(&gauge, client)?;
        self.check_part(&gauge, client, 1, 1)?;
        self.check_budget().await?;
        let turn = tokio::time::timeout(self.limits.upload_turn_timeout, self.turns.take(client))
            .await
            .map_err(|_| UploadError::Busy)?
            .context("uploads are over")?;
        IncomingUpload::begin(self.clone(), client, turn).await
    }

    /// The largest file that is taken, bytes.
    #[must_use]
    pub fn max_upload_bytes(&self) -> u64 {
        self.limits.max_upload_bytes
    }

    /// An upload of this client was called off for the sake of others, which is no fault of its own: it does not count.
    pub fn note_called_off(&self, client: ClientNetwork) {
        self.collection.clients.give_back_upload(client);
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

    /// Looks at the header of a received file, in its turn. What the file is, or what was decided on these bytes before,
    /// may refuse it already: then it costs no row and no worker.
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
        // Where the models cannot be asked who they are, the upload waits for them.
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
