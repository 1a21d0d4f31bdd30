//! What is done before anything else: what an earlier process left behind is taken up, and an index
//! that is lost, damaged or older than the storage is rebuilt from it.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::collection::Collection;
use super::purging::Purging;
use crate::costs::budget::Budget;
use crate::domain::picture::{Life, PictureId};
use crate::runtime::causes::chain;
use crate::storage::{Folder, StorageError, StorageKey};

/// How many manifests are read at the same time.
const READ_AT_ONCE: usize = 16;

/// The outcome of rebuilding the index.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// Pictures that the index knew already.
    pub known: u64,
    /// Pictures that were restored.
    pub restored: u64,
    /// Pictures that the index knows to be over, or that a ban covers. Their objects were deleted.
    pub ended: u64,
    /// Bans that the index knows now.
    pub bans: u64,
    /// Pictures that were published in the index but have no manifest any more. They are tombstones
    /// now.
    pub lost: u64,
    /// Files of pictures that have neither a manifest nor a row. They were deleted.
    pub orphans: u64,
    /// What could not be read, each with its reason. It was left as it is.
    pub unreadable: Vec<String>,
}

/// Makes index, storage and incoming files agree again.
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

    /// Takes up what an earlier process left behind. It may only be called before uploads and
    /// workers begin, and only in the one process that serves.
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

    /// Makes the index able to shrink, once in its life. Where that fails, for instance because the
    /// disk is full, the index only stays larger than it has to be.
    async fn make_index_shrinkable(&self) {
        match self.collection.db.make_shrinkable().await {
            Ok(_) => {}
            Err(error) => tracing::warn!(
                error = chain(&error),
                "the index cannot give back space yet; it is tried again at the next start"
            ),
        }
    }

    /// Makes the index agree with the storage. It restores every published picture exactly,
    /// including its delete token, and every ban, and what this month may have cost. It buries
    /// pictures that have no manifest any more, and deletes files that belong to no picture.
    /// Pictures that have expired are restored as expired, for the sweeper; pictures that a ban
    /// covers are not restored. It may only be called while no server uses this index.
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
                        // The picture ended or was banned. A crash left its objects, or a backup
                        // brought them back.
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
                // The manifest was deleted after it had been listed.
                Err(StorageError::NotFound) => {}
                Err(StorageError::Unavailable(error)) => {
                    rebuilt.unreadable.push(format!("{id}: {error:#}"));
                }
            }
        }
        drop(reads);
        self.end_lost(&manifests, &mut rebuilt).await?;
        self.delete_orphaned_files(&manifests, &mut rebuilt).await?;
        self.collection.db.note_rebuilding(false).await?;
        Ok(rebuilt)
    }

    /// Rebuilds an index that is new although the storage has objects, because somebody lost it, or
    /// one whose rebuild was cut off.
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

    /// Empties the rows of pictures that are published in the index but have no manifest any
    /// more.
    async fn end_lost(&self, manifests: &[PictureId], rebuilt: &mut Rebuilt) -> anyhow::Result<()> {
        let there: std::collections::HashSet<&PictureId> = manifests.iter().collect();
        let mut published = self.collection.db.list_published_ids().await?;
        published.retain(|id| !there.contains(id));
        for ids in published.chunks(500) {
            self.collection.db.leave_tombstones(ids).await?;
        }
        rebuilt.lost = published.len() as u64;
        Ok(())
    }

    /// Deletes files of pictures without a manifest, unless the index says that such a picture is
    /// just being published.
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
