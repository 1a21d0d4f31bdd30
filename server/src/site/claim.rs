//! The lock on a data folder. Only one process may work on it at a time: two servers would take
//! each other's work for what a crash left behind. The process locks the folder, and notices when
//! what it locked is no longer what lies there.

use std::fs::{File, Metadata, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::config::Config;
use crate::db::Db;

/// How often a server checks whether its folder and index are still those that it opened. Uploads
/// that it accepts after somebody replaced these, and before it checks again, may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The right to work on a data folder, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Claim {
    /// The folder itself is locked. A file within it could be deleted, and the next process would
    /// lock a new file.
    folder: Held,
    /// The file `lock` is locked as well, because servers of earlier versions know only that, and
    /// some file systems cannot lock folders.
    lock: Held,
    locks_folder: bool,
}

/// A file or folder: its path, and what was found there.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    identity: Identity,
    /// The open file, which holds the lock.
    _file: Option<File>,
}

/// The device and inode number. They identify a file or folder whatever it is called.
type Identity = (u64, u64);

impl Claim {
    /// Locks the data folder.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be used.
    pub fn take(config: &Config) -> anyhow::Result<Self> {
        let data_dir = &config.files.data_dir;
        Self::try_take(data_dir)?.with_context(|| {
            format!(
                "another cattocdn is running on CATTO_DATA_DIR ({}); please stop it first",
                data_dir.display()
            )
        })
    }

    /// True while a process holds the data folder.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn is_taken(config: &Config) -> anyhow::Result<bool> {
        Ok(Self::try_take(&config.files.data_dir)?.is_none())
    }

    /// Locks the data folder; `None` while another process holds it.
    fn try_take(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let unusable = || format!("cannot use CATTO_DATA_DIR ({})", data_dir.display());
        std::fs::create_dir_all(data_dir).with_context(unusable)?;
        let folder = File::open(data_dir).with_context(unusable)?;
        let locks_folder = match folder.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "the file system locks no folders");
                false
            }
        };
        let path = data_dir.join("lock");
        let lock = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                return Err(error).context("cannot lock CATTO_DATA_DIR");
            }
        }
        let claim = Self {
            folder: Held::open(data_dir, folder).with_context(unusable)?,
            lock: Held::open(&path, lock).with_context(unusable)?,
            locks_folder,
        };
        // Between opening and locking, something else may have taken its place.
        anyhow::ensure!(
            claim.folder.is_there() && claim.lock.is_there(),
            "{} is being replaced",
            data_dir.display()
        );
        Ok(Some(claim))
    }

    /// Resolves once the folder, or the index at this URL, is no longer what it was when this was
    /// called. Returns the path of the one that is gone.
    pub async fn lost(&self, database_url: &str) -> PathBuf {
        // The index is examined without opening it. Closing a file frees all locks that this
        // process holds on it, which would include SQLite's.
        let index = Db::path(database_url).ok().and_then(Held::seen_at);
        // Where the folder could not be locked, only this file keeps others out.
        let lock = (!self.locks_folder).then_some(&self.lock);
        let watched: Vec<&Held> = [Some(&self.folder), lock, index.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Some(lost) = watched.iter().find(|held| !held.is_there()) {
                tracing::error!(path = %lost.path.display(), "what this server works on was removed or replaced; it stops");
                return lost.path.clone();
            }
        }
    }
}

impl Held {
    fn open(path: &Path, file: File) -> std::io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(&file.metadata()?),
            _file: Some(file),
        })
    }

    fn seen_at(path: PathBuf) -> Option<Self> {
        let identity = identity(&std::fs::metadata(&path).ok()?);
        Some(Self {
            path,
            identity,
            _file: None,
        })
    }

    /// False where nothing is there, or something else is. What cannot be examined at the moment is
    /// taken to be there.
    fn is_there(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(found) => identity(&found) == self.identity,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_free(data_dir: &Path) -> bool {
        Claim::try_take(data_dir).expect("can be tried").is_some()
    }

    #[test]
    fn a_folder_stays_claimed_whatever_becomes_of_the_files_in_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let data_dir = dir.path().join("data");
        let claim = Claim::try_take(&data_dir).expect("is taken");
        assert!(claim.is_some());
        assert!(!is_free(&data_dir));
        std::fs::remove_file(data_dir.join("lock")).expect("is removed");
        assert!(!is_free(&data_dir));
        std::fs::write(data_dir.join("lock"), "another").expect("is written");
        assert!(!is_free(&data_dir));
        drop(claim);
        assert!(is_free(&data_dir));
    }

    #[test]
    fn a_server_of_an_earlier_version_which_locks_the_file_alone_keeps_others_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let lock = File::create(dir.path().join("lock")).expect("is made");
        lock.lock().expect("is locked");
        assert!(!is_free(dir.path()));
        drop(lock);
        assert!(is_free(dir.path()));
    }

    #[test]
    fn what_lies_elsewhere_or_is_another_thing_is_not_there() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("index");
        std::fs::write(&path, "one").expect("is written");
        let held = Held::seen_at(path.clone()).expect("is seen");
        assert!(held.is_there());
        std::fs::write(&path, "the same file").expect("is written");
        assert!(held.is_there());
        std::fs::rename(&path, dir.path().join("aside")).expect("is put aside");
        assert!(!held.is_there());
        std::fs::write(&path, "another").expect("is written");
        assert!(!held.is_there());
    }
}
