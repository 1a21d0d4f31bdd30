//! Where published objects live. Keys are built from parsed ids only, so that no text of a client becomes a path.
//! Nothing here knows the index, HTTP statuses or the screening.

mod disk;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::disk::DiskStorage;
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::{PictureId, VariantName};

/// The whole key scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageKey {
    /// One published file: `i/{expires}/{id}/{name}`, the path of its URL.
    Image {
        expires_at: ExpiresAt,
        id: PictureId,
        name: VariantName,
    },
    /// What is needed to rebuild the index row: `meta/{id}.json`.
    Manifest { id: PictureId },
}

impl StorageKey {
    /// The object's path below the bucket or folder.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Image {
                expires_at,
                id,
                name,
            } => {
                format!("i/{}/{id}/{}", expires_at.compact(), name.as_str())
            }
            Self::Manifest { id } => format!("meta/{id}.json"),
        }
    }
}

/// What can go wrong, as far as callers tell it apart.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("no such object")]
    NotFound,
    /// The outside failed: a full disk, a missing permission.
    #[error(transparent)]
    Unavailable(#[from] anyhow::Error),
}

/// A place for objects. An adapter MUST make [`Self::put`] durable and whole-or-nothing before it returns, and MUST treat
/// deleting an absent object as done, so that every step can be repeated.
#[async_trait]
pub trait ObjectStorage: Send + Sync + 'static {
    /// Stores these objects; each is whole and durable once this returns. Replaces what was there.
    async fn put(&self, objects: Vec<(StorageKey, Bytes)>) -> Result<(), StorageError>;
    /// The whole object.
    async fn get(&self, key: &StorageKey) -> Result<Bytes, StorageError>;
    /// Removes these objects; absent ones are no error.
    async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError>;
    /// Removes what an earlier run left half-written. Only before anything is put.
    async fn delete_unfinished(&self) -> Result<(), StorageError>;
    /// Succeeds when objects can be written.
    async fn check(&self) -> Result<(), StorageError>;
}
