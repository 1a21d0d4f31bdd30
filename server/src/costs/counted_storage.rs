//! A storage whose requests are counted, because the provider of a bucket bills them.

use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::costs::traffic::Traffic;
use crate::storage::{Folder, ObjectStorage, StorageError, StorageKey};

/// The keys that one request to S3 lists.
const LISTED_AT_ONCE: usize = 1000;

/// Passes every call on to `inner` and counts it. Requests that the SDK repeats after a failure are
/// not counted.
pub(crate) struct CountedStorage {
    pub inner: Arc<dyn ObjectStorage>,
    pub traffic: Arc<Traffic>,
}

#[async_trait]
impl ObjectStorage for CountedStorage {
    async fn put(&self, objects: Vec<(StorageKey, Bytes)>) -> Result<(), StorageError> {
        self.traffic.count_storage_writes(objects.len() as u64);
        self.inner.put(objects).await
    }

    async fn create(&self, key: &StorageKey, bytes: Bytes) -> Result<bool, StorageError> {
        self.traffic.count_storage_writes(1);
        self.inner.create(key, bytes).await
    }

    async fn get(
        &self,
        key: &StorageKey,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Bytes, StorageError> {
        self.traffic.count_storage_read();
        self.inner.get(key, range).await
    }

    async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        // Deleting is not billed.
        self.inner.delete(keys).await
    }

    async fn list(&self, folder: Folder) -> Result<Vec<StorageKey>, StorageError> {
        let keys = self.inner.list(folder).await;
        let listed = keys.as_ref().map_or(0, Vec::len);
        self.traffic
            .count_storage_writes(listed.div_ceil(LISTED_AT_ONCE).max(1) as u64);
        keys
    }

    async fn delete_unfinished(&self) -> Result<(), StorageError> {
        self.inner.delete_unfinished().await
    }

    async fn check(&self) -> Result<(), StorageError> {
        self.traffic.count_storage_read();
        self.inner.check().await
    }
}
