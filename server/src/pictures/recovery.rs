//! What is done before anything else: what an earlier run left behind is taken up, and an index that is lost, damaged or
//! older than the objects is made anew from them.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::collection::Collection;
use super::purging::Purging;
use crate::costs::budget::Budget;
use crate::domain::picture::{Life, PictureId};
use crate::storage::{Folder, StorageError, StorageKey};

/// Manifests that are read at once.
const READ_AT_ONCE: usize = 16;

/// What came of rebuilding the index.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// Pictures that the index knew already.
    pub known: u64,
    /// Pictures that it knows again.
    pub restored: u64,
    /// Pictures that the index knows to be over, or that a ban covers: their objects are deleted.
    pub ended: u64,
    /// Bans that it knows now.
    pub bans: u64,
    /// Pictures that the index held for published but whose manifest is gone: buried.
    pub lost: u64,
    /// Files of pictures that have neither manifest nor row: deleted.
    pub orphans: u64,
    /// What could not be read, each with its reason; left as it is.
    pub unreadable: Vec<String>,
}

/// Makes index, objects and incoming files agree again.
pub struct Recovery {
    collection: Arc<Collection>,
    budget: Arc<Budget>,
    purging: Arc<Purging>,
}

impl Recovery {
    pub(super) fn new(
        collection: Arc<Collection>,
        budget: Arc<Budget>,
        purging: Arc<Purging>,
    ) -> Self {
        Self {
            collection,
            budget,
            purging,
        }
    }

    /// Takes up what an earlier run left behind. Only before uploads and workers begin, and only in the one process that
    /// serves.
    ///
    /// # Errors
    /// When the folder of incoming files, the storage or the index cannot be used.
    pub async fn recover(&self) -> anyhow::Result<()> {
        self.make_index_shrinkable().await;
        let Collection {
            db,
            storage,
            incoming,
            ..
        } = &*self.collection;
        db.release_leases(self.collection.now_second()).await?;
        self.purging.recover().await?;
        storage.delete_unfinished().await?;
        incoming.delete_orphans(db).await
    }

    /// Makes the index able to shrink, once in its life. Where that fails, for instance because the disk is full, the index is
    /// only larger than it need be.
    async fn make_index_shrinkable(&self) {
        match self.collection.db.make_shrinkable().await {
            Ok(_) => {}
            Err(error) => tracing::warn!(
                error = format!("{:#}", anyhow::Error::from(error)),
                "the index cannot give back space yet; it is tried again at the next start"
            ),
        }
    }

    /// Makes the index agree with the objects: restores every published picture exactly, its delete token included, and
    /// every ban, and what this month may have cost; forgets what has no objects any more; deletes files that no picture has.
    /// Pictures whose time is over are restored as such, for the sweeper; what a ban covers is not. Only while nothing serves
    /// from this index.
    ///
    /// # Errors
    /// When the index or the storage cannot be used at all.
    pub async fn rebuild(&self) -> anyhow::Result<Rebuilt> {
        let mut rebuilt = Rebuilt::default();
        self.budget.restore().await?;
        let mut manifests = Vec::new();
        for key in self.collection.storage.list(Folder::Manifests).await? {
            if let StorageKey::Manifest { id } = key {
                manifests.push(id);
            }
        }
        let published = self.collection.db.list_published_ids().await?;
        anyhow::ensure!(
            published.is_empty() || !manifests.is_empty(),
            "the index lists {} pictures and the storage holds none, so nothing is rebuilt; is the right folder mounted, and the right bucket set?",
            published.len()
        );
        self.collection.db.note_rebuilding(true).await?;
        for key in self.collection.storage.list(Folder::Bans).await? {
            if let StorageKey::Ban { ban } = key {
                self.collection
                    .db
                    .restore_ban(ban, self.collection.now_second())
                    .await?;
                rebuilt.bans += 1;
            }
        }
        let bans = self.collection.db.list_bans().await?;
        let mut reads = stream::iter(&manifests)
            .map(|id| async move { (id, self.collection.read_manifest(id).await) })
            .buffer_unordered(READ_AT_ONCE);
        while let Some((id, read)) = reads.next().await {
            match read {
                Ok((received, published)) => {
                    let hash = published.perceptual_hash;
                    let banned = bans.iter().any(|ban| ban.covers(hash));
                    let db = &self.collection.db;
                    if !banned && db.insert_published(&received, &published).await? {
                        rebuilt.restored += 1;
                    } else if matches!(db.find(id).await?, Some(Life::Published(_))) {
                        rebuilt.known += 1;
                    } else {
                        // It ended, or a ban came; a crash left its objects, or a backup brought them back.
                        let mut keys = vec![StorageKey::Manifest { id: id.clone() }];
                        let names: Vec<_> = published
                            .variants
                            .into_iter()
                            .map(|variant| variant.name)
                            .collect();
                        let end = published.expires_at;
                        keys.extend(self.collection.file_keys(id, end, Some(&names)).await?);
                        self.collection.storage.delete(&keys).await?;
                        rebuilt.ended += 1;
                    }
                }
                // Deleted since it was listed.
                Err(StorageError::NotFound) => {}
                Err(StorageError::Unavailable(error)) => {
                    rebuilt.unreadable.push(format!("{id}: {error:#}"));
                }
            }
        }
        drop(reads);
        self.bury_lost(&manifests, &mut rebuilt).await?;
        self.delete_orphaned_files(&manifests, &mut rebuilt).await?;
        self.collection.db.note_rebuilding(false).await?;
        Ok(rebuilt)
    }

    /// Rebuilds an index that is new although there are objects, because somebody lost it; or one whose rebuilding was cut
    /// off.
    ///
    /// # Errors
    /// When the index or the storage cannot be used.
    pub async fn rebuild_if_lost(&self) -> anyhow::Result<()> {
        let db = &self.collection.db;
        if !db.is_new().await? && !db.is_half_rebuilt().await? {
            return Ok(());
        }
        let rebuilt = self.rebuild().await?;
        if rebuilt.restored > 0 || !rebuilt.unreadable.is_empty() {
            tracing::warn!(
                restored = rebuilt.restored,
                unreadable = rebuilt.unreadable.len(),
                "the index was lost; it is rebuilt from the objects"
            );
        }
        Ok(())
    }

    /// Buries pictures that the index shows but whose manifest is gone.
    async fn bury_lost(
        &self,
        manifests: &[PictureId],
        rebuilt: &mut Rebuilt,
    ) -> anyhow::Result<()> {
        let there: std::collections::HashSet<&PictureId> = manifests.iter().collect();
        let mut published = self.collection.db.list_published_ids().await?;
        published.retain(|id| !there.contains(id));
        for ids in published.chunks(500) {
            self.collection.db.bury(ids).await?;
        }
        rebuilt.lost = published.len() as u64;
        Ok(())
    }

    /// Deletes files of pictures without a manifest, unless a publication of them is under way in the index.
    async fn delete_orphaned_files(
        &self,
        manifests: &[PictureId],
        rebuilt: &mut Rebuilt,
    ) -> anyhow::Result<()> {
        let there: std::collections::HashSet<&PictureId> = manifests.iter().collect();
        let mut orphans = Vec::new();
        for key in self.collection.storage.list(Folder::Images).await? {
            if let StorageKey::Image { id, .. } = &key
                && !there.contains(id)
                && !self.collection.db.is_screening(id).await?
            {
                orphans.push(key);
            }
        }
        for keys in orphans.chunks(500) {
            self.collection.storage.delete(keys).await?;
        }
        rebuilt.orphans = orphans.len() as u64;
        Ok(())
    }
}
