//! What all use cases share: the pictures themselves, in the index, in the storage and as incoming
//! files; the clock by which they live; and what is remembered of the clients that sent them.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::clients::Clients;
use super::incoming_files::IncomingFiles;
use crate::db::{Db, DbError, Ended};
use crate::domain::expiry::{ExpiresAt, Retention};
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::{Life, PictureId, Published};
use crate::domain::variant::{self, FileName};
use crate::domain::verdict::{Reason, Rules, Verdict};
use crate::runtime::clock::Clock;
use crate::storage::{Folder, ObjectStorage, StorageError, StorageKey};

/// How long the reason of a refused upload can be asked for, in seconds. After that the upload
/// counts as gone.
const REJECTION_SECONDS: i64 = 24 * 3600;

/// How long a refusal is remembered, so that the same bytes cost no second look, in seconds.
pub(super) const REMEMBERED_SECONDS: i64 = 30 * 24 * 3600;

/// The moment for which an answer holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The first second of the time that was asked about, where the question is about a time.
    pub(super) about: i64,
    /// The second at which the question was asked.
    pub(super) second: i64,
    /// How many changes of pictures there had been by then.
    pub(super) changes: u64,
}

/// What a visitor may know of a picture at this moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    Screening,
    Published(Box<Published>),
    Rejected(Reason),
    /// The picture is over. `expires_at` is the expiry in its image URLs, if it was ever published.
    Gone {
        expires_at: Option<ExpiresAt>,
    },
    Unknown,
}

/// All pictures of this site.
pub(super) struct Collection {
    pub(super) db: Db,
    pub(super) storage: Arc<dyn ObjectStorage>,
    /// Uploads without a verdict.
    pub(super) incoming: IncomingFiles,
    pub(super) clock: Clock,
    /// How long a picture is published, and how long an upload may wait for its verdict.
    pub(super) retention: Retention,
    /// What each client may still send, and what it has sent and used lately.
    pub(super) clients: Clients,
    /// Counts every change of a picture's state. Waiting uploads, workers and the sweeper watch it.
    changes: watch::Sender<u64>,
}

impl Collection {
    pub(super) fn new(
        db: Db,
        storage: Arc<dyn ObjectStorage>,
        incoming: IncomingFiles,
        retention: Retention,
        clients: Clients,
        clock: Clock,
    ) -> Self {
        Self {
            db,
            storage,
            incoming,
            clock,
            retention,
            clients,
            changes: watch::Sender::new(0),
        }
    }

    /// Watches for changes of any picture's state.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Tells everybody who watches that something has changed.
    pub(super) fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The current time in seconds since 1970.
    pub(super) fn now_second(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// Uploads that were received by this second and are still undecided are over, like pictures of
    /// that age.
    pub(super) fn overdue(&self, now: Timestamp) -> i64 {
        now.as_second() - i64::from(self.retention.seconds())
    }

    /// The moment for which an answer about the time `about` holds: this second, after the latest
    /// change of any picture.
    pub(super) fn moment(&self, about: i64, second: i64) -> Moment {
        Moment {
            about,
            second,
            changes: *self.changes.borrow(),
        }
    }

    /// The state of this picture at the present time.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) async fn status(&self, id: &PictureId) -> Result<Status, DbError> {
        let now = self.clock.now();
        Ok(match self.db.find(id).await? {
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

    /// The verdict that was reached on these bytes under these rules.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) async fn known_verdict(
        &self,
        content_hash: &Sha256Hash,
        rules: &Rules,
    ) -> Result<Option<Verdict>, DbError> {
        let now = self.now_second();
        self.db
            .find_verdict(content_hash, rules, now, now - REMEMBERED_SECONDS)
            .await
    }

    /// Deletes the objects of a removed picture, unless a worker holds it, which then does so
    /// itself.
    ///
    /// # Errors
    /// When the index or the storage fails.
    pub(super) async fn clear_removed(&self, id: &PictureId) -> anyhow::Result<()> {
        match self.db.find_ended(id, self.now_second()).await? {
            Some(ended) => self.sweep(&[ended]).await,
            None => Ok(()),
        }
    }

    /// Deletes every byte of these pictures, then empties their rows to tombstones.
    ///
    /// # Errors
    /// When the index or the storage fails.
    pub(super) async fn sweep(&self, ended: &[Ended]) -> anyhow::Result<()> {
        let mut keys = Vec::new();
        let mut ids = Vec::with_capacity(ended.len());
        for picture in ended {
            let Ended {
                id,
                expires_at,
                files,
            } = picture;
            self.incoming.delete(id).await?;
            if let Some(expires_at) = expires_at {
                // The manifest goes first. Where this is cut off, the picture must not come back
                // when the index is rebuilt.
                keys.push(StorageKey::Manifest { id: id.clone() });
                keys.extend(self.file_keys(id, *expires_at, files.as_deref()).await?);
            }
            self.clients.forget(id);
            ids.push(id.clone());
        }
        self.storage.delete(&keys).await?;
        Ok(self.db.leave_tombstones(&ids).await?)
    }

    /// The keys of every file that a picture may have, in order to delete them: those with a name
    /// that this version of the program knows, and those of `names`. Where the names are not known,
    /// the picture's folder is listed.
    ///
    /// # Errors
    /// When the storage cannot list the folder.
    pub(super) async fn file_keys(
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
                self.storage.list(folder).await?
            }
        };
        for further in further {
            if !keys.contains(&further) {
                keys.push(further);
            }
        }
        Ok(keys)
    }
}
