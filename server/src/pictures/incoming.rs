//! Receiving an upload: bytes are streamed to a private file, counted, hashed, and made durable before the index row.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

use super::{Pictures, UploadError};
use crate::domain::picture::{DeleteToken, PictureId, Received, Sha256Hash};
use crate::imaging;

/// Uploads are counted over this many seconds.
const DAY_SECONDS: i64 = 24 * 3600;
/// Marks a file that is not whole yet.
const UNFINISHED: &str = "part";

/// An upload under way. Dropping it deletes what was received.
pub struct IncomingUpload<'a> {
    pictures: &'a Pictures,
    id: PictureId,
    path: TempPath,
    file: File,
    hasher: Sha256,
    size_bytes: u64,
}

/// An upload that is on disk, in the index, and on its way to a verdict.
#[derive(Debug)]
pub struct Accepted {
    pub id: PictureId,
    /// Told once; only its hash is kept.
    pub delete_token: DeleteToken,
}

impl Pictures {
    /// Begins an upload, unless the day's count or the store is full.
    ///
    /// # Errors
    /// [`UploadError::TooManyToday`], [`UploadError::StorageFull`], or the disk's.
    pub async fn begin_upload(&self) -> Result<IncomingUpload<'_>, UploadError> {
        let limits = &self.parts.limits;
        let today = self
            .parts
            .db
            .count_received_since(self.now_second() - DAY_SECONDS)
            .await?;
        if today >= limits.uploads_per_day {
            return Err(UploadError::TooManyToday);
        }
        if self.parts.db.stored_bytes().await? >= limits.max_stored_bytes {
            return Err(UploadError::StorageFull);
        }
        let id = PictureId::random();
        let path = self.incoming_path(&id).with_extension(UNFINISHED);
        let file = File::create_new(&path)
            .await
            .context("cannot create the incoming file")?;
        Ok(IncomingUpload {
            pictures: self,
            id,
            path: TempPath::try_from_path(path).context("cannot name the incoming file")?,
            file,
            hasher: Sha256::new(),
            size_bytes: 0,
        })
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
            let id = entry.file_name().to_str().and_then(PictureId::parse);
            let owned = match id {
                Some(id) => self.parts.db.is_screening(&id).await?,
                None => false,
            };
            if !owned {
                fs::remove_file(entry.path()).await?;
            }
        }
        Ok(())
    }
}

impl IncomingUpload<'_> {
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
    pub async fn finish(mut self) -> Result<Accepted, UploadError> {
        if self.size_bytes == 0 {
            return Err(UploadError::Empty);
        }
        self.file
            .flush()
            .await
            .context("cannot write the incoming file")?;
        let (path, limits) = (self.path.to_path_buf(), self.pictures.image_limits());
        tokio::task::spawn_blocking(move || imaging::inspect(&path, &limits))
            .await
            .context("the inspection ended early")??;
        self.file
            .sync_all()
            .await
            .context("cannot sync the incoming file")?;
        let final_path = self.pictures.incoming_path(&self.id);
        let folder = self.pictures.parts.incoming_dir.clone();
        self.path
            .persist(&final_path)
            .context("cannot name the incoming file")?;
        // From here on a failure must delete the file under its new name.
        let guard = TempPath::try_from_path(final_path).context("cannot name the incoming file")?;
        let folder = File::open(folder)
            .await
            .context("cannot open the folder of incoming files")?;
        folder
            .sync_all()
            .await
            .context("cannot sync the folder of incoming files")?;
        let delete_token = DeleteToken::random();
        let received = Received {
            id: self.id.clone(),
            delete_token_hash: delete_token.hash(),
            content_hash: Sha256Hash(self.hasher.finalize().into()),
            size_bytes: self.size_bytes,
            received_at: self.pictures.now_second(),
            leased_until: 0,
        };
        self.pictures.parts.db.insert_received(&received).await?;
        guard.keep().context("cannot keep the incoming file")?;
        self.pictures.changed();
        Ok(Accepted {
            id: self.id,
            delete_token,
        })
    }
}
