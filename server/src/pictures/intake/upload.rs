//! An upload under way. Its bytes are streamed to a private file, counted and hashed, and made
//! durable before the row in the index.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::fs;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::turns::Turn;
use super::{Intake, UploadError};
use crate::db::{Acceptance, Foreseen};
use crate::domain::client::ClientNetwork;
use crate::domain::expiry::Retention;
use crate::domain::hash::Sha256Hash;
use crate::domain::owner_secret::OwnerSecret;
use crate::domain::picture::{DeleteToken, PictureId, Received};
use crate::domain::upload_key::{FirstUpload, Salt, UploadKey};
use crate::pictures::screening::estimated_work;

/// The size of the pieces in which an upload is written, in bytes. Each piece costs a turn on a
/// thread that may wait for the disk.
const WRITE_BUFFER: usize = 128 * 1024;
/// Permissions with which only the server's own user can read what is not screened yet.
const PRIVATE: u32 = 0o600;

/// An upload under way. Dropping it deletes what was received.
pub struct IncomingUpload {
    intake: Arc<Intake>,
    client: ClientNetwork,
    /// The key by which the client may repeat the upload.
    key: Option<UploadKey>,
    /// The secret by which the client may delete the picture.
    owner: Option<OwnerSecret>,
    /// How long the picture shall live; `None` for the site's retention.
    lives: Option<Retention>,
    /// Whether the upload was counted among those of its client's hour.
    counts: bool,
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
    /// The delete token. Only its hash is kept.
    pub delete_token: DeleteToken,
    /// Whether this very upload came before, with the same key.
    pub is_repeat: bool,
}

/// Who sends an upload, for whoever reads it.
#[derive(Debug, Clone)]
pub struct Sender {
    pub(super) client: ClientNetwork,
    /// Whether the upload was counted among those of the client's hour.
    pub(super) counts: bool,
    /// Is cancelled when the sender is too slow while others wait. The reader should then drop the
    /// upload to make room.
    pub called_off: CancellationToken,
}

impl IncomingUpload {
    /// Creates the file of an upload that has its turn.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(super) async fn begin(
        intake: Arc<Intake>,
        client: ClientNetwork,
        key: Option<UploadKey>,
        counts: bool,
        turn: Turn,
    ) -> Result<Self, UploadError> {
        let id = PictureId::random();
        let path = intake.collection.incoming.unfinished_path(&id);
        // Creating the file and tying it to its owner is one step. A request dropped in between
        // would leave a file that nobody deletes.
        let (path, file) = spawn_blocking(move || -> anyhow::Result<_> {
            let mut how = File::options();
            how.write(true).create_new(true).mode(PRIVATE);
            let file = how.open(&path).context("cannot create the incoming file")?;
            let path = TempPath::try_from_path(path).context("cannot name the incoming file")?;
            Ok((path, file))
        })
        .await
        .context("the file thread ended early")??;
        Ok(Self {
            intake,
            client,
            key,
            owner: None,
            lives: None,
            counts,
            id,
            path,
            file: BufWriter::with_capacity(WRITE_BUFFER, fs::File::from_std(file)),
            hasher: Sha256::new(),
            size_bytes: 0,
            turn,
        })
    }

    /// Who sends it.
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender {
            client: self.client,
            counts: self.counts,
            called_off: self.turn.called_off(),
        }
    }

    /// Gives the picture to whoever knows this secret: its delete token is made from it. An upload
    /// with a key has its token from that key instead.
    pub fn owned_by(&mut self, secret: OwnerSecret) {
        self.owner = Some(secret);
    }

    /// Sets how long the picture shall live; `None` means the site's retention.
    pub fn lives_for(&mut self, lives: Option<Retention>) {
        self.lives = lives;
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// [`UploadError::TooLarge`] from the first byte over the limit on, or an error of the disk.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        let max_bytes = self.intake.limits.max_upload_bytes;
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

    /// Inspects the header, makes the bytes durable, then records the upload and hands it to the
    /// workers. If the same upload came before with its key, that one is returned, and nothing else
    /// happens.
    ///
    /// # Errors
    /// What the header tells already (type, size, decompression bombs), [`UploadError::Empty`],
    /// [`UploadError::KeyReused`], a refusal for lack of room, or an error of the disk. Nothing is
    /// left behind.
    pub async fn finish(mut self) -> Result<Accepted, UploadError> {
        if self.size_bytes == 0 {
            return Err(UploadError::Empty);
        }
        self.turn.is_whole();
        let (intake, client, counts) = (self.intake.clone(), self.client, self.counts);
        let content_hash = Sha256Hash(std::mem::take(&mut self.hasher).finalize().into());
        // This runs in a task of its own. A client that hangs up now must not stop it between the
        // file and its row.
        let done = tokio::spawn(self.complete(content_hash))
            .await
            .context("the upload's task ended early")?;
        let clients = &intake.collection.clients;
        match &done {
            Err(UploadError::Image(_) | UploadError::Refused(_)) => {
                clients.note_refused_at_once(client, &content_hash);
            }
            Ok(accepted) if accepted.is_repeat && counts => clients.give_back_upload(client),
            Err(error) if error.is_ours() && counts => clients.give_back_upload(client),
            _ => {}
        }
        done
    }

    async fn complete(mut self, content_hash: Sha256Hash) -> Result<Accepted, UploadError> {
        let (intake, collection) = (&self.intake, &self.intake.collection);
        if let Some(key) = &self.key
            && let Some(first) = intake.first_upload(key, self.client).await?
        {
            return repeat(key, first, &content_hash);
        }
        self.file
            .flush()
            .await
            .context("cannot write the incoming file")?;
        let file = self.file.into_inner().into_std().await;
        let path = self.path;
        let inspected = intake.inspect_incoming(&path, &content_hash).await?;
        let most_stored_bytes = intake.limits.max_stored_bytes;
        let foreseen = Foreseen {
            work: estimated_work(&inspected),
            // The estimate may be more than a small store can hold at all. Then the picture's real
            // size decides later.
            stored_bytes: inspected.most_stored_bytes().min(most_stored_bytes),
        };
        let final_path = collection.incoming.path(&self.id);
        let folder = collection.incoming.folder().to_owned();
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
        let salt = Salt::random();
        let delete_token = match (&self.key, &self.owner) {
            (Some(key), _) => key.delete_token(&salt),
            (None, Some(secret)) => secret.delete_token(&self.id),
            (None, None) => DeleteToken::random(),
        };
        let first = self.key.as_ref().map(|key| FirstUpload {
            key_name: key.name(self.client),
            id: self.id.clone(),
            salt,
            content_hash,
        });
        let received = Received {
            id: self.id.clone(),
            delete_token_hash: delete_token.hash(),
            content_hash,
            size_bytes: self.size_bytes,
            lives: self.lives,
            received_at: collection.now_second(),
            leased_until: 0,
            attempts: 0,
        };
        // This happens before a worker can take the upload.
        let gauge = intake.gauge().await?;
        intake.check_part(&gauge, self.client, self.size_bytes, foreseen.stored_bytes)?;
        collection.clients.remember(
            &self.id,
            self.client,
            content_hash,
            self.size_bytes,
            foreseen.stored_bytes,
        );
        let accepted = collection
            .db
            .accept(
                &received,
                first.as_ref(),
                foreseen,
                intake.day_ago(),
                |gauge| intake.check_room(gauge, foreseen.stored_bytes),
            )
            .await;
        let accepted = match accepted {
            Ok(accepted) => accepted,
            // The row may have been committed all the same; then the file belongs to it.
            Err(error) => match collection.db.is_screening(&self.id).await {
                Ok(true) => Acceptance::Done,
                Ok(false) => {
                    collection.clients.forget(&self.id);
                    return Err(error.into());
                }
                Err(_) => {
                    // Nobody knows whether there is a row. A file without one is deleted at the
                    // next start.
                    kept.keep().context("cannot keep the incoming file")?;
                    return Err(error.into());
                }
            },
        };
        if accepted != Acceptance::Done {
            collection.clients.forget(&self.id);
        }
        match accepted {
            Acceptance::Done => {}
            Acceptance::Refused(full) => return Err(intake.refusal_of(full).await),
            // The same upload came over two connections, and the other one was whole first.
            Acceptance::Known(first) => {
                let key = self
                    .key
                    .as_ref()
                    .context("what has no key is not known by it")?;
                return repeat(key, first, &content_hash);
            }
        }
        kept.keep().context("cannot keep the incoming file")?;
        collection.changed();
        Ok(Accepted {
            id: self.id,
            delete_token,
            is_repeat: false,
        })
    }
}

/// The answer to a repeated upload, which is that to the first one.
///
/// # Errors
/// [`UploadError::KeyReused`] where the bytes are not those of the first one.
fn repeat(
    key: &UploadKey,
    first: FirstUpload,
    content_hash: &Sha256Hash,
) -> Result<Accepted, UploadError> {
    if first.content_hash != *content_hash {
        return Err(UploadError::KeyReused);
    }
    Ok(Accepted {
        delete_token: key.delete_token(&first.salt),
        id: first.id,
        is_repeat: true,
    })
}
