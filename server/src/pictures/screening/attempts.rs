//! What one attempt at publishing may do to what another has stored. The instant that a row notes tells whose objects are
//! whose: each attempt notes its own before it stores anything, and says it in its manifest.

use bytes::Bytes;

use super::Screening;
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::PictureId;
use crate::pictures::manifest;
use crate::storage::{StorageError, StorageKey};

/// A manifest of this id is there that this site has not written.
#[derive(Debug, thiserror::Error)]
#[error("another server has published this picture; does one run on a copy of this data folder?")]
struct Taken;

impl Screening {
    /// Deletes what the attempt that noted this instant may have stored. A manifest that says another one is not its work,
    /// and stays.
    pub(super) async fn delete_attempt(
        &self,
        id: &PictureId,
        noted: ExpiresAt,
    ) -> Result<(), StorageError> {
        let mut keys = Vec::new();
        if self.manifest_expiry(id).await? == Some(noted) {
            keys.push(StorageKey::Manifest { id: id.clone() });
        }
        keys.extend(self.collection.file_keys(id, noted, None).await?);
        self.collection.storage.delete(&keys).await
    }

    /// Stores the manifest of an attempt where there is none: of several servers on one storage, one publishes an id.
    /// `earlier` is what the attempt before this one had noted. A worker that lost its lease may still have stored that
    /// one's manifest after it was looked for; it is out of date and is replaced.
    ///
    /// # Errors
    /// [`Taken`] where there is another one; this attempt's files are deleted then.
    pub(super) async fn create_manifest(
        &self,
        id: &PictureId,
        manifest: Bytes,
        noted: ExpiresAt,
        earlier: Option<ExpiresAt>,
    ) -> anyhow::Result<()> {
        let key = StorageKey::Manifest { id: id.clone() };
        let storage = &self.collection.storage;
        if storage.create(&key, manifest.clone()).await? {
            return Ok(());
        }
        let there = self.manifest_expiry(id).await?;
        if there.is_some() && there == earlier {
            storage.delete(std::slice::from_ref(&key)).await?;
            if storage.create(&key, manifest).await? {
                return Ok(());
            }
        }
        // Of the same instant they would be the other one's files as well.
        if there != Some(noted) {
            let files = self.collection.file_keys(id, noted, Some(&[])).await?;
            storage.delete(&files).await?;
        }
        Err(Taken.into())
    }

    /// The instant that the stored manifest says, where there is one that says any.
    async fn manifest_expiry(&self, id: &PictureId) -> Result<Option<ExpiresAt>, StorageError> {
        let key = StorageKey::Manifest { id: id.clone() };
        match self.collection.storage.get(&key, None).await {
            Ok(bytes) => Ok(manifest::expiry_in(&bytes)),
            Err(StorageError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
