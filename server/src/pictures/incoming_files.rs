//! The private folder of uploads without a verdict: one file for each, named by the picture's id.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::fs;

use crate::db::Db;
use crate::domain::picture::PictureId;

/// Only the server's own user may look into the folder.
const PRIVATE_FOLDER: u32 = 0o700;
/// Marks a file that is not whole yet.
const UNFINISHED: &str = "part";

/// The folder that holds unfinished and unscreened uploads.
#[derive(Clone)]
pub(super) struct IncomingFiles {
    folder: PathBuf,
}

impl IncomingFiles {
    /// Makes the folder where it is absent, and closes it to others.
    ///
    /// # Errors
    /// When that cannot be done.
    pub(super) async fn open(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)
            .await
            .with_context(|| format!("cannot make {}", folder.display()))?;
        fs::set_permissions(&folder, Permissions::from_mode(PRIVATE_FOLDER))
            .await
            .with_context(|| format!("cannot close {} to others", folder.display()))?;
        if let Some(above) = folder.parent() {
            // The folder must outlive a power cut, as the rows of what lies in it do.
            fs::File::open(above).await?.sync_all().await?;
        }
        Ok(Self { folder })
    }

    /// The folder itself, which must be synced after a file in it was renamed.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a whole upload.
    pub(super) fn path(&self, id: &PictureId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    /// The file of an upload that is still being received.
    pub(super) fn unfinished_path(&self, id: &PictureId) -> PathBuf {
        self.path(id).with_extension(UNFINISHED)
    }

    /// Deletes an upload's file. One that is absent is no error.
    ///
    /// # Errors
    /// When the file is there and cannot be deleted.
    pub(super) async fn delete(&self, id: &PictureId) -> anyhow::Result<()> {
        match fs::remove_file(self.path(id)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).context("cannot delete the incoming file")
            }
            _ => Ok(()),
        }
    }

    /// Deletes files that no waiting upload owns, because a crash left them. Only at start, before uploads begin.
    ///
    /// # Errors
    /// When the folder or the index cannot be used.
    pub(super) async fn delete_orphans(&self, db: &Db) -> anyhow::Result<()> {
        let mut entries = fs::read_dir(&self.folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            if entry.file_type().await?.is_dir() {
                // Not ours.
                continue;
            }
            let id = entry.file_name().to_str().and_then(PictureId::parse);
            let owned = match id {
                Some(id) => db.is_screening(&id).await?,
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
