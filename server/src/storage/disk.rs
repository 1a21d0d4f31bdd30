//! Objects as files below one folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;

use super::{ObjectStorage, StorageError, StorageKey};

/// Stores objects in a folder; a file appears under its name only when it is whole and on disk.
#[derive(Debug, Clone)]
pub struct DiskStorage {
    root: PathBuf,
    /// Held while folders are made and filled, or removed: an emptied folder must not vanish under a new file.
    folders: Arc<Mutex<()>>,
}

impl DiskStorage {
    /// Opens the folder, making it where it is absent.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        let storage = Self {
            root: root.to_owned(),
            folders: Arc::default(),
        };
        fs::create_dir_all(storage.temporary())
            .with_context(|| format!("cannot make the folder {}", root.display()))?;
        Ok(storage)
    }

    /// Half-written files; on the same file system as the objects, so that a rename moves them.
    fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Writes and syncs every file under a temporary name, renames them, then syncs the folders.
    fn put_blocking(&self, objects: &[(StorageKey, Bytes)]) -> anyhow::Result<()> {
        let mut changed_folders = BTreeSet::new();
        let mut written = Vec::with_capacity(objects.len());
        for (key, bytes) in objects {
            let path = self.root.join(key.path());
            let mut file = tempfile::NamedTempFile::new_in(self.temporary())?;
            file.write_all(bytes)
                .with_context(|| format!("cannot write {}", path.display()))?;
            file.as_file().sync_all()?;
            written.push((file, path));
        }
        let _guard = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        for (file, path) in written {
            let folder = path.parent().context("an object's path has a folder")?;
            // New folders are entries of their parents, which must reach the disk as well.
            changed_folders.insert(folder.to_owned());
            let mut missing = folder;
            while !missing.exists() {
                let Some(parent) = missing.parent() else {
                    break;
                };
                changed_folders.insert(parent.to_owned());
                missing = parent;
            }
            fs::create_dir_all(folder)?;
            file.persist(&path)
                .with_context(|| format!("cannot name {}", path.display()))?;
        }
        for folder in changed_folders {
            File::open(&folder)?.sync_all()?;
        }
        Ok(())
    }

    fn delete_blocking(&self, keys: &[StorageKey]) -> anyhow::Result<()> {
        for key in keys {
            let path = self.root.join(key.path());
            ignore(fs::remove_file(&path), &[ErrorKind::NotFound])
                .with_context(|| format!("cannot delete {}", path.display()))?;
            let _guard = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
            for folder in path
                .ancestors()
                .skip(1)
                .take_while(|folder| *folder != self.root)
            {
                let removed = fs::remove_dir(folder);
                ignore(
                    removed,
                    &[ErrorKind::NotFound, ErrorKind::DirectoryNotEmpty],
                )?;
            }
        }
        Ok(())
    }
}

/// Runs file work on a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("the file thread ended early")?
}

fn ignore(result: io::Result<()>, kinds: &[ErrorKind]) -> io::Result<()> {
    match result {
        Err(error) if kinds.contains(&error.kind()) => Ok(()),
        other => other,
    }
}

#[async_trait]
impl ObjectStorage for DiskStorage {
    async fn put(&self, objects: Vec<(StorageKey, Bytes)>) -> Result<(), StorageError> {
        let storage = self.clone();
        Ok(blocking(move || storage.put_blocking(&objects)).await?)
    }

    async fn get(&self, key: &StorageKey) -> Result<Bytes, StorageError> {
        let path = self.root.join(key.path());
        match tokio::fs::read(&path).await {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(StorageError::NotFound),
            Err(error) => Err(anyhow::Error::from(error)
                .context(format!("cannot read {}", path.display()))
                .into()),
        }
    }

    async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        let (storage, keys) = (self.clone(), keys.to_vec());
        Ok(blocking(move || storage.delete_blocking(&keys)).await?)
    }

    async fn delete_unfinished(&self) -> Result<(), StorageError> {
        let temporary = self.temporary();
        let work = move || {
            fs::remove_dir_all(&temporary)?;
            Ok(fs::create_dir_all(&temporary)?)
        };
        Ok(blocking(work).await?)
    }

    async fn check(&self) -> Result<(), StorageError> {
        let storage = self.clone();
        let probe = move || {
            tempfile::NamedTempFile::new_in(storage.temporary())?;
            Ok(())
        };
        Ok(blocking(probe).await?)
    }
}
