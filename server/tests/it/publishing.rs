//! Publishing is repeated where it was interrupted, and never overwrites what somebody else
//! published: one id is published once, whoever tries.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::anyhow;
use async_trait::async_trait;
use bytes::Bytes;
use cattocdn::domain::picture::PictureId;
use cattocdn::storage::{DiskStorage, Folder, ObjectStorage, StorageError, StorageKey};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::support::{ADMIN_TOKEN, Setup, Site, files_of_a_still, fixture};
use tools::stand_ins::aws::{Bucket, lock};

/// What happens to the next manifest.
enum Fault {
    /// It is stored, and then the connection breaks.
    AnswerLost,
    /// A worker that lost its lease long ago stores the manifest of its own attempt first.
    LateWorker(Bytes),
    /// It waits until the test releases it, and is then stored.
    Held(Arc<Hold>),
}

#[derive(Default)]
struct Hold {
    arrived: Notify,
    go_on: Notify,
}

/// A storage with one fault at a time.
struct Faulty {
    inner: Arc<dyn ObjectStorage>,
    next: Mutex<Option<Fault>>,
    /// The objects that were to be created.
    created: Mutex<Vec<Bytes>>,
}

impl Faulty {
    fn on(inner: Arc<dyn ObjectStorage>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            next: Mutex::new(None),
            created: Mutex::default(),
        })
    }

    fn fail_next(&self, fault: Fault) {
        *lock(&self.next) = Some(fault);
    }
}

#[async_trait]
impl ObjectStorage for Faulty {
    async fn put(&self, objects: Vec<(StorageKey, Bytes)>) -> Result<(), StorageError> {
        self.inner.put(objects).await
    }

    async fn create(&self, key: &StorageKey, bytes: Bytes) -> Result<bool, StorageError> {
        lock(&self.created).push(bytes.clone());
        let fault = lock(&self.next).take();
        match fault {
            None => self.inner.create(key, bytes).await,
            Some(Fault::AnswerLost) => {
                self.inner.create(key, bytes).await?;
                Err(anyhow!("the connection is gone").into())
            }
            Some(Fault::LateWorker(manifest)) => {
                assert!(self.inner.create(key, manifest).await?, "it is first");
                self.inner.create(key, bytes).await
            }
            Some(Fault::Held(hold)) => {
                hold.arrived.notify_one();
                hold.go_on.notified().await;
                self.inner.create(key, bytes).await
            }
        }
    }

    async fn get(
        &self,
        key: &StorageKey,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Bytes, StorageError> {
        self.inner.get(key, range).await
    }

    async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        self.inner.delete(keys).await
    }

    async fn list(&self, folder: Folder) -> Result<Vec<StorageKey>, StorageError> {
        self.inner.list(folder).await
    }

    async fn delete_unfinished(&self) -> Result<(), StorageError> {
        self.inner.delete_unfinished().await
    }

    async fn check(&self) -> Result<(), StorageError> {
        self.inner.check().await
    }
}

/// A site whose work the test does, an upload that waits there, and the storage of its objects.
struct Scene {
    site: Site,
    upload: Value,
    storage: Arc<Faulty>,
    /// These keep alive what lies on disk or in the process.
    _dir: Option<TempDir>,
    _bucket: Option<Bucket>,
}

impl Scene {
    /// One scene on a disk and one on a bucket.
    async fn all() -> [Self; 2] {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = DiskStorage::open(&dir.path().join("objects")).expect("opens");
        let bucket = Bucket::on_s3s_fs().await;
        let on_bucket = Arc::new(bucket.storage().await);
        [
            Self::on(Arc::new(disk), Some(dir), None).await,
            Self::on(on_bucket, None, Some(bucket)).await,
        ]
    }

    async fn on(
        inner: Arc<dyn ObjectStorage>,
        dir: Option<TempDir>,
        bucket: Option<Bucket>,
    ) -> Self {
        let storage = Faulty::on(inner);
        let setup = Setup::new().stored_in(storage.clone());
        let site = setup.start_without_jobs().await;
        let upload = site.send_in(fixture("cat.webp")).await;
        Self {
            site,
            upload,
            storage,
            _dir: dir,
            _bucket: bucket,
        }
    }

    /// Makes one attempt, some time after the last.
    async fn attempt(&self) {
        self.site.clock.advance(Duration::from_secs(10));
        let worked = self.site.state.pictures.screening.screen_next().await;
        assert!(worked.expect("works"), "a picture waits");
    }

    async fn state(&self) -> String {
        let url = self.upload["status_url"].as_str().expect("a URL");
        let answer = self.site.get(url).await.json();
        let code = answer["error"]["code"].as_str();
        code.or(answer["state"].as_str())
            .expect("a state")
            .to_owned()
    }

    fn manifest_key(&self) -> StorageKey {
        let id = self.upload["id"].as_str().expect("an id");
        StorageKey::Manifest {
            id: PictureId::parse(id).expect("is one"),
        }
    }

    async fn manifest(&self) -> Bytes {
        let got = self.storage.get(&self.manifest_key(), None).await;
        got.expect("there is one")
    }

    async fn images(&self) -> Vec<StorageKey> {
        self.storage.list(Folder::Images).await.expect("lists")
    }

    /// Checks that everything is there once and agrees.
    async fn assert_published(&self) {
        assert_eq!(self.state().await, "published");
        let url = self.upload["status_url"].as_str().expect("a URL");
        let shown = self.site.get(url).await.json();
        let manifest: Value = serde_json::from_slice(&self.manifest().await).expect("is JSON");
        assert_eq!(manifest["expires_at"], shown["expires_at"]);
        assert_eq!(self.images().await.len(), files_of_a_still().len());
        let image = shown["images"]["512.webp"].as_str().expect("a URL");
        assert_eq!(self.site.get(image).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_was_cut_off_behind_its_manifest_is_made_again() {
    for scene in Scene::all().await {
        for _ in 0..3 {
            scene.storage.fail_next(Fault::AnswerLost);
            scene.attempt().await;
            assert_eq!(scene.state().await, "screening");
        }
        scene.attempt().await;
        scene.assert_published().await;
        let created = lock(&scene.storage.created).clone();
        assert_eq!(created.len(), 4, "each attempt stored a manifest");
        assert_ne!(created[0], created[3], "of another instant");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_comes_too_late_does_not_keep_the_picture_from_being_published() {
    for scene in Scene::all().await {
        scene.storage.fail_next(Fault::AnswerLost);
        scene.attempt().await;
        let outdated = lock(&scene.storage.created)[0].clone();
        scene.storage.fail_next(Fault::LateWorker(outdated.clone()));
        scene.attempt().await;
        scene.assert_published().await;
        assert_ne!(scene.manifest().await, outdated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_has_published_is_neither_replaced_nor_deleted() {
    for scene in Scene::all().await {
        let theirs = Bytes::from_static(b"{\"expires_at\": \"2030-01-01T00:00:00Z\"}");
        let key = scene.manifest_key();
        scene
            .storage
            .put(vec![(key, theirs.clone())])
            .await
            .expect("puts");
        let mut attempts = 0;
        while scene.state().await == "screening" {
            scene.attempt().await;
            assert_eq!(scene.manifest().await, theirs);
            assert_eq!(scene.images().await, [], "its own files are deleted again");
            attempts += 1;
            assert!(attempts < 20, "it is given up some time");
        }
        assert_eq!(scene.state().await, "corrupt-image");
        assert_eq!(scene.manifest().await, theirs);
    }
}

/// A cat that looks like the fixture, with bytes that nobody sent before.
fn copy() -> Vec<u8> {
    let mut bytes = fixture("cat.webp").to_vec();
    bytes.extend_from_slice(PictureId::random().as_str().as_bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_takes_down_every_copy_and_none_is_published_after_its_answer() {
    for mut scene in Scene::all().await {
        scene.attempt().await;
        scene.assert_published().await;
        let banned = scene.upload.clone();
        scene.upload = scene.site.send_in(copy()).await;
        scene.attempt().await;
        let earlier = scene.upload.clone();
        assert_eq!(scene.state().await, "published");
        let other = scene.site.send_in(fixture("rocket.jpg")).await;
        scene.attempt().await;

        // When the ban comes, the next picture is approved and stored, except for its manifest and
        // its row.
        scene.upload = scene.site.send_in(copy()).await;
        let hold = Arc::new(Hold::default());
        scene.storage.fail_next(Fault::Held(hold.clone()));
        let pictures = scene.site.state.pictures.clone();
        let work = tokio::spawn(async move { pictures.screening.screen_next().await });
        hold.arrived.notified().await;
        let ban = format!("{}?ban=true", banned["status_url"].as_str().expect("a URL"));
        let answer = scene
            .site
            .delete(crate::support::path_of(&ban), ADMIN_TOKEN);
        assert_eq!(answer.await.status, 204);
        for gone in [&banned, &earlier] {
            let url = gone["status_url"].as_str().expect("a URL");
            scene.site.get(url).await.assert_error(410, "gone");
        }
        hold.go_on.notify_one();
        assert!(work.await.expect("ends").expect("works"));
        assert_eq!(scene.state().await, "banned");

        // Nothing is left of any of them, and the picture that looks different stays.
        assert_eq!(scene.images().await.len(), files_of_a_still().len());
        let manifests = scene.storage.list(Folder::Manifests).await;
        assert_eq!(manifests.expect("lists").len(), 1);
        let listed = scene.site.get("/api/v1/pictures").await.json();
        let listed = listed["pictures"].as_array().expect("a list").clone();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["id"], other["id"]);
    }
}
