//! Objects as files below one folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::{Folder, ObjectStorage, StorageError, StorageKey};

/// Stores objects in a folder. A file appears under its name only once it is complete and on disk.
#[derive(Debug, Clone)]
pub struct DiskStorage {
    root: PathBuf,
    /// Held while folders are created and filled, and while they are deleted. Without it an empty
    /// folder could be deleted just before a new file goes into it.
    folders: Arc<Mutex<()>>,
}

impl DiskStorage {
    /// Opens the folder and creates it where it is absent.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        let storage = Self {
            root: root.to_owned(),
            folders: Arc::default(),
        };
        let made = || -> io::Result<()> {
            fs::create_dir_all(storage.temporary())?;
            sync_folder(root)?;
            // A new folder is an entry of its parent, so the parent must reach the disk as well.
            root.parent()
                .filter(|parent| !parent.as_os_str().is_empty())
                .map_or(Ok(()), sync_folder)
        };
        made().with_context(|| format!("cannot make the folder {}", root.display()))?;
        Ok(storage)
    }

    /// The folder for half-written files. It lies on the same file system as the objects, so that a
    /// rename moves files between them.
    fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Writes and syncs every file under a temporary name, renames them, then syncs the folders.
    fn put_blocking(&self, objects: &[(StorageKey, Bytes)]) -> anyhow::Result<()> {
        let mut changed_folders = BTreeSet::new();
        let mut written = Vec::with_capacity(objects.len());
        for (key, bytes) in objects {
            written.push((
                self.write_temporary(key, bytes)?,
                self.root.join(key.path()),
            ));
        }
        let _guard = self.folders.lock();
        for (file, path) in written {
            changed_folders.append(&mut self.make_folder_of(&path)?);
            file.persist(&path)
                .with_context(|| format!("cannot name {}", path.display()))?;
        }
        for folder in changed_folders {
            sync_folder(&folder)?;
        }
        Ok(())
    }

    /// Stores one file like [`Self::put_blocking`], but fails where the name is taken. Checking and
    /// naming are one step.
    fn create_blocking(&self, key: &StorageKey, bytes: &Bytes) -> anyhow::Result<bool> {
        let path = self.root.join(key.path());
        let file = self.write_temporary(key, bytes)?;
        let _guard = self.folders.lock();
        let changed_folders = self.make_folder_of(&path)?;
        match file.persist_noclobber(&path) {
            Ok(_) => {}
            Err(taken) if taken.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot name {}", path.display()));
            }
        }
        for folder in changed_folders {
            sync_folder(&folder)?;
        }
        Ok(true)
    }

    /// Creates the folder of this path. Returns that folder and those above it, all of which must
    /// be synced, because each may be a new entry of the next. Whether a folder is new cannot be
    /// told: an attempt that was cut off may have created it without syncing.
    fn make_folder_of(&self, path: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
        let folder = path.parent().context("an object's path has a folder")?;
        fs::create_dir_all(folder)?;
        let above = folder
            .ancestors()
            .take_while(|folder| folder.starts_with(&self.root));
        Ok(above.map(Path::to_owned).collect())
    }

    /// Writes a complete file to disk under a temporary name, which nobody reads. The file is
    /// deleted unless it gets another name.
    fn write_temporary(
        &self,
        key: &StorageKey,
        bytes: &Bytes,
    ) -> anyhow::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::NamedTempFile::new_in(self.temporary())?;
        file.write_all(bytes)
            .with_context(|| format!("cannot write {}", key.path()))?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    fn get_blocking(
        &self,
        key: &StorageKey,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Bytes, StorageError> {
        let path = self.root.join(key.path());
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            let Some(range) = range else {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                return Ok(bytes);
            };
            let length = range.end() - range.start() + 1;
            file.seek(SeekFrom::Start(*range.start()))?;
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes)?;
            if bytes.len() as u64 == length {
                Ok(bytes)
            } else {
                Err(ErrorKind::UnexpectedEof.into())
            }
        };
        match read() {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(StorageError::NotFound),
            Err(error) => Err(anyhow::Error::from(error)
                .context(format!("cannot read {}", path.display()))
                .into()),
        }
    }

    /// Deletes files, then the folders that this emptied, then syncs the folders that remain. A
    /// power cut must not bring a deleted object back after the index forgot it.
    fn delete_blocking(&self, keys: &[StorageKey]) -> anyhow::Result<()> {
        let mut folders = BTreeSet::new();
        for key in keys {
            let path = self.root.join(key.path());
            ignore(fs::remove_file(&path), &[ErrorKind::NotFound])
                .with_context(|| format!("cannot delete {}", path.display()))?;
            folders.extend(
                path.ancestors()
                    .skip(1)
                    .take_while(|folder| *folder != self.root)
                    .map(Path::to_owned),
            );
        }
        let _guard = self.folders.lock();
        let mut changed = BTreeSet::from([self.root.clone()]);
        // The deepest folders come first, so that a folder whose last child was deleted can be
        // deleted as well.
        for folder in folders.into_iter().rev() {
            match fs::remove_dir(&folder) {
                Ok(()) => {
                    changed.remove(&folder);
                    changed.extend(folder.parent().map(Path::to_owned));
                }
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                    changed.insert(folder);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot delete {}", folder.display()));
                }
            }
        }
        for folder in changed {
            ignore(sync_folder(&folder), &[ErrorKind::NotFound])?;
        }
        Ok(())
    }

    /// Lists the folder, and descends as many levels as its keys have segments.
    fn list_blocking(&self, folder: &Folder) -> anyhow::Result<Vec<StorageKey>> {
        let mut level = vec![folder.prefix().trim_end_matches('/').to_owned()];
        for _ in 0..folder.depth() {
            let mut below = Vec::new();
            for path in level {
                let entries = match fs::read_dir(self.root.join(&path)) {
                    Ok(entries) => entries,
                    // It was never created, was just emptied, or is a file where a folder would be.
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::NotFound | ErrorKind::NotADirectory
                        ) =>
                    {
                        continue;
                    }
                    Err(error) => return Err(error).context(format!("cannot list {path}")),
                };
                for entry in entries {
                    if let Some(name) = entry?.file_name().to_str() {
                        below.push(format!("{path}/{name}"));
                    }
                }
            }
            level = below;
        }
        Ok(level
            .iter()
            .filter_map(|path| StorageKey::parse(path))
            .collect())
    }
}

/// Makes changes to a folder's entries survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Runs file work on a thread that may block on the disk.
async fn blocking<T: Send + 'static, E: From<anyhow::Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
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

    async fn create(&self, key: &StorageKey, bytes: Bytes) -> Result<bool, StorageError> {
        let (storage, key) = (self.clone(), key.clone());
        Ok(blocking(move || storage.create_blocking(&key, &bytes)).await?)
    }

    async fn get(
        &self,
        key: &StorageKey,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Bytes, StorageError> {
        let (storage, key) = (self.clone(), key.clone());
        blocking(move || storage.get_blocking(&key, range)).await
    }

    async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        let (storage, keys) = (self.clone(), keys.to_vec());
        Ok(blocking(move || storage.delete_blocking(&keys)).await?)
    }

    async fn list(&self, folder: Folder) -> Result<Vec<StorageKey>, StorageError> {
        let storage = self.clone();
        Ok(blocking(move || storage.list_blocking(&folder)).await?)
    }

    async fn delete_unfinished(&self) -> Result<(), StorageError> {
        let temporary = self.temporary();
        let work = move || -> anyhow::Result<()> {
            fs::remove_dir_all(&temporary)?;
            Ok(fs::create_dir_all(&temporary)?)
        };
        Ok(blocking(work).await?)
    }

    async fn check(&self) -> Result<(), StorageError> {
        let storage = self.clone();
        let probe = move || -> anyhow::Result<()> {
            tempfile::NamedTempFile::new_in(storage.temporary())?;
            Ok(())
        };
        Ok(blocking(probe).await?)
    }
}
