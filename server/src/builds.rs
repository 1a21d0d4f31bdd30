//! The files that browsers load, of this build and of earlier ones. Pages that caches still hold
//! name the files of the build that rendered them, so each build leaves its files and a record of
//! them in the storage. This module knows the domain and the storage, and nothing of HTTP, pictures
//! or the index.

mod record;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::Semaphore;

use self::record::Record;
use crate::domain::build::{AssetKind, AssetName, BuildId, Coding, files_end, is_served};
use crate::domain::expiry::{ExpiresAt, Retention};
use crate::domain::hash::Sha256Hash;
use crate::runtime::clock::Clock;
use crate::storage::{Folder, ObjectStorage, StorageError, StorageKey};

/// How often builds that are no longer served are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// How long to wait before trying again where the storage failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// The largest file of a build, in bytes. A file is held in memory as a whole, and read from the
/// storage as a whole.
const LARGEST_FILE: u64 = 8 << 20;
/// How many files of earlier builds are read from the storage at the same time; further requests
/// wait.
const READS_AT_ONCE: usize = 8;

/// What is known of a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The hash of the uncompressed file.
    pub hash: Sha256Hash,
    /// The compressed forms that exist beside the plain one, in order of preference.
    pub codings: Vec<Coding>,
}

/// A file of the running build, held in memory.
#[derive(Debug)]
pub struct Loaded {
    pub asset: Asset,
    /// The bytes of each coding; `None` is the uncompressed file.
    bytes: HashMap<Option<Coding>, Bytes>,
}

/// A file of an earlier build.
#[derive(Debug)]
struct Kept {
    asset: Asset,
    ends_at: ExpiresAt,
}

/// The running build, read from disk.
#[derive(Debug)]
pub struct Build {
    id: BuildId,
    files: HashMap<AssetName, Loaded>,
    /// The favicon is kept apart from the other files, because its name has no hash and never
    /// changes.
    favicon: Loaded,
}

impl Build {
    /// Reads the folder `pkg` and the favicon of a built site into memory.
    ///
    /// # Errors
    /// When the site is not built, when a file has no hash in its name, or when a file is too
    /// large.
    pub fn load(site_dir: &Path) -> anyhow::Result<Self> {
        let pkg = site_dir.join("pkg");
        let entries = std::fs::read_dir(&pkg).with_context(|| {
            format!(
                "there is no built site at {}: run `make build`",
                site_dir.display()
            )
        })?;
        let mut files = HashMap::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(name) = name.and_then(AssetName::parse) {
                files.insert(name, Loaded::load(&path)?);
                continue;
            }
            let ending = path.extension().and_then(|ending| ending.to_str());
            // Browsers keep this file for a year, so its name must change with its content.
            anyhow::ensure!(
                ending.and_then(AssetKind::of_ending).is_none(),
                "{} has no hash in its name",
                path.display()
            );
        }
        let id = BuildId::of(files.iter().map(|(name, file)| (name, file.asset.hash)));
        let favicon = Loaded::load(&site_dir.join("favicon.svg"))?;
        Ok(Self { id, files, favicon })
    }

    /// The path of the file of this kind whose name begins with `stem`.
    ///
    /// # Errors
    /// When the build has no such file.
    pub fn path_of(&self, stem: &str, kind: AssetKind) -> anyhow::Result<String> {
        let name = self
            .files
            .keys()
            .find(|name| name.stem() == stem && name.kind() == kind)
            .with_context(|| {
                format!("the built site has no {stem} of the kind {kind:?}: run `make build`")
            })?;
        Ok(format!("/pkg/{name}"))
    }

    fn record(&self) -> Record {
        Record::of(self.files.iter().map(|(name, file)| (name, &file.asset)))
    }
}

impl Loaded {
    fn load(path: &Path) -> anyhow::Result<Self> {
        let plain = read_small(path)?;
        let hash = Sha256Hash::of(&plain);
        let mut bytes = HashMap::from([(None, plain)]);
        let mut codings = Vec::new();
        for coding in Coding::ALL {
            let mut compressed = path.as_os_str().to_owned();
            compressed.push(".");
            compressed.push(coding.ending());
            let compressed = Path::new(&compressed);
            if compressed.exists() {
                bytes.insert(Some(coding), read_small(compressed)?);
                codings.push(coding);
            }
        }
        Ok(Self {
            asset: Asset { hash, codings },
            bytes,
        })
    }

    /// The file in this coding; `None` is the uncompressed file.
    pub fn read_as(&self, coding: Option<Coding>) -> Result<Bytes, StorageError> {
        let bytes = self.bytes.get(&coding);
        bytes.cloned().ok_or(StorageError::NotFound)
    }
}

fn read_small(path: &Path) -> anyhow::Result<Bytes> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(
        bytes.len() as u64 <= LARGEST_FILE,
        "{} is larger than {LARGEST_FILE} bytes",
        path.display()
    );
    Ok(bytes.into())
}

/// Is told when a build has replaced another one. The pages that caches hold are then those of the
/// other build.
#[async_trait]
pub trait Successor: Send + Sync + 'static {
    /// Notes the replacement durably before it returns. It may be called more than once for the
    /// same one.
    async fn build_was_replaced(&self) -> anyhow::Result<()>;
}

/// The files of all builds that are served.
pub struct Builds {
    storage: Arc<dyn ObjectStorage>,
    clock: Clock,
    retention: Retention,
    successor: Arc<dyn Successor>,
    running: Build,
    /// Files that only earlier builds have.
    kept: RwLock<Arc<HashMap<AssetName, Kept>>>,
    reads: Semaphore,
    /// Whether the last call of [`Self::keep`] succeeded.
    is_well: AtomicBool,
    /// Whether this process told the successor already. Otherwise a storage that takes no record
    /// would have it told every minute.
    has_told: AtomicBool,
}

impl Builds {
    /// Serves the running build alone, until [`Self::keep`] finds the others.
    #[must_use]
    pub fn new(
        running: Build,
        storage: Arc<dyn ObjectStorage>,
        clock: Clock,
        retention: Retention,
        successor: Arc<dyn Successor>,
    ) -> Self {
        Self {
            storage,
            clock,
            retention,
            successor,
            running,
            kept: RwLock::default(),
            reads: Semaphore::new(READS_AT_ONCE),
            is_well: AtomicBool::new(false),
            has_told: AtomicBool::new(false),
        }
    }

    /// What is known of this file; `None` where no build that is served has it.
    #[must_use]
    pub fn find(&self, name: &AssetName) -> Option<Asset> {
        if let Some(loaded) = self.running.files.get(name) {
            return Some(loaded.asset.clone());
        }
        let kept = self.kept();
        kept.get(name)
            .filter(|kept| !kept.ends_at.is_past(self.clock.now()))
            .map(|kept| kept.asset.clone())
    }

    /// The icon in a browser's tab.
    #[must_use]
    pub fn favicon(&self) -> &Loaded {
        &self.running.favicon
    }

    /// True for a file that is held in memory, so that reading it needs no storage.
    #[must_use]
    pub fn has_at_hand(&self, name: &AssetName) -> bool {
        self.running.files.contains_key(name)
    }

    /// The bytes of a file that [`Self::find`] found, in one of its codings; `None` is the
    /// uncompressed file.
    pub async fn read(
        &self,
        name: &AssetName,
        coding: Option<Coding>,
    ) -> Result<Bytes, StorageError> {
        if let Some(loaded) = self.running.files.get(name) {
            return loaded.read_as(coding);
        }
        let _turn = self.reads.acquire().await.map_err(anyhow::Error::from)?;
        let name = name.clone();
        self.storage
            .get(&StorageKey::Asset { name, coding }, None)
            .await
    }

    /// Calls [`Self::keep`], but gives up after `patience` and only logs a failure: the running
    /// build is served either way.
    pub async fn keep_within(&self, patience: Duration) {
        match tokio::time::timeout(patience, self.keep()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(
                error = format!("{error:#}"),
                "the files of this build could not be kept; they will be later"
            ),
            Err(_) => tracing::warn!("the storage is slow; this build is kept later"),
        }
    }

    /// How long to wait before the next call of [`Self::keep`].
    #[must_use]
    pub fn pause(&self) -> Duration {
        if self.is_well.load(Ordering::Relaxed) {
            LOOK_EVERY
        } else {
            TRY_AGAIN_AFTER
        }
    }

    /// Finds the builds that are still served, stores the files of this one, notes that it replaced
    /// the others, and deletes files that no build has any more. Every step can be repeated.
    ///
    /// # Errors
    /// When the storage fails. The builds that were found until then are served.
    pub async fn keep(&self) -> anyhow::Result<()> {
        let kept = self.keep_all().await;
        self.is_well.store(kept.is_ok(), Ordering::Relaxed);
        kept
    }

    async fn keep_all(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        let (mut records, unreadable) = self.read_records().await?;
        let own = records.remove(&self.running.id);
        self.serve_files_of(&records);
        let has_others = !records.is_empty() || unreadable > 0;
        self.store_running(own, has_others).await?;
        for (id, record) in &mut records {
            if record.replaced_at.is_none() {
                // The time for which this build's files stay begins now, because until now pages
                // that name them were made.
                record.replaced_at = Some(now.as_second());
                self.put_record(id, record).await?;
                tracing::info!(build = %id, "a build was replaced; its files stay for now");
            }
        }
        if unreadable > 0 {
            // An unreadable record may name any file.
            tracing::warn!(
                builds = unreadable,
                "what builds have cannot be read, so no file of any is deleted"
            );
            return Ok(());
        }
        self.delete_unserved(&records).await
    }

    /// Reads the records of all builds in the storage, and counts those that could not be
    /// understood.
    async fn read_records(&self) -> anyhow::Result<(HashMap<BuildId, Record>, usize)> {
        let mut records = HashMap::new();
        let mut unreadable = 0;
        for key in self.storage.list(Folder::Builds).await? {
            let StorageKey::Build { id } = &key else {
                continue;
            };
            match self.storage.get(&key, None).await {
                Ok(bytes) => match Record::read(&bytes) {
                    Ok(record) => {
                        records.insert(id.clone(), record);
                    }
                    Err(error) => {
                        tracing::warn!(build = %id, error = format!("{error:#}"), "a build's record is damaged");
                        unreadable += 1;
                    }
                },
                // The record was deleted after it had been listed.
                Err(StorageError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok((records, unreadable))
    }

    /// Serves the files of these builds. The running build's own files take precedence in
    /// [`Self::find`].
    fn serve_files_of(&self, records: &HashMap<BuildId, Record>) {
        let now = self.clock.now().as_second();
        let mut kept = HashMap::<AssetName, Kept>::new();
        for record in records.values() {
            let ends_at = files_end(record.replaced_at.unwrap_or(now), self.retention);
            for (name, asset) in record.files() {
                // Where several builds have a file, it stays as long as the last of them.
                if kept.get(name).is_none_or(|kept| kept.ends_at < ends_at) {
                    let asset = asset.clone();
                    kept.insert(name.clone(), Kept { asset, ends_at });
                }
            }
        }
        *self.kept.write() = kept.into();
    }

    /// Stores those files of the running build that the storage lacks. The record comes first:
    /// while it exists, no other server deletes the files as unused.
    async fn store_running(&self, stored: Option<Record>, has_others: bool) -> anyhow::Result<()> {
        let record = self.running.record();
        if stored.as_ref() != Some(&record) {
            if has_others && !self.has_told.load(Ordering::Relaxed) {
                // The successor is told before the record exists, so that after a crash in between
                // it is told again.
                self.successor.build_was_replaced().await?;
                self.has_told.store(true, Ordering::Relaxed);
            }
            self.put_record(&self.running.id, &record).await?;
            tracing::info!(build = %self.running.id, "this build is new here");
        }
        let there = self.list_files().await?;
        let mut missing = Vec::new();
        for (name, file) in &self.running.files {
            for (coding, bytes) in &file.bytes {
                let (name, coding) = (name.clone(), *coding);
                let key = StorageKey::Asset { name, coding };
                if !there.contains(&key) {
                    missing.push((key, bytes.clone()));
                }
            }
        }
        if !missing.is_empty() {
            self.storage.put(missing).await?;
        }
        Ok(())
    }

    async fn delete_unserved(&self, others: &HashMap<BuildId, Record>) -> anyhow::Result<()> {
        let now = self.clock.now();
        let running = self.running.record();
        let mut needed: HashSet<StorageKey> = running.keys().collect();
        let mut over = Vec::new();
        for (id, record) in others {
            if is_served(record.replaced_at, self.retention, now) {
                needed.extend(record.keys());
            } else {
                over.push(StorageKey::Build { id: id.clone() });
            }
        }
        let mut unserved: Vec<StorageKey> = self.list_files().await?.into_iter().collect();
        unserved.retain(|key| !needed.contains(key));
        let files = unserved.len();
        // The records go last, because a record that still exists tells which files there may be.
        unserved.append(&mut over);
        if !unserved.is_empty() {
            self.storage.delete(&unserved).await?;
            tracing::info!(files, "files that no build has any more are deleted");
        }
        Ok(())
    }

    async fn list_files(&self) -> Result<HashSet<StorageKey>, StorageError> {
        Ok(self
            .storage
            .list(Folder::Assets)
            .await?
            .into_iter()
            .collect())
    }

    async fn put_record(&self, id: &BuildId, record: &Record) -> anyhow::Result<()> {
        let key = StorageKey::Build { id: id.clone() };
        Ok(self.storage.put(vec![(key, record.write()?)]).await?)
    }

    fn kept(&self) -> Arc<HashMap<AssetName, Kept>> {
        self.kept.read().clone()
    }
}
