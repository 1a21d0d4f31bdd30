//! The files that browsers load: those of this build, and those of builds whose pages caches still
//! have.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use bytes::Bytes;
use cattocdn::builds::{Build, Builds, Successor};
use cattocdn::domain::expiry::Retention;
use cattocdn::domain::purge::{Cdn, PurgeTarget};
use cattocdn::pictures::Rebuilt;
use cattocdn::runtime::clock::Clock;
use cattocdn::storage::{DiskStorage, Folder, ObjectStorage, StorageError, StorageKey};

use crate::support::caches::Chain;
use crate::support::cdn_server::CdnServer;
use crate::support::process::{Client, Launch, Received};
use crate::support::{Answer, Setup, Site, request, write_site};
use tools::built_site;
use tools::stand_ins::aws::Bucket;

/// The retention of every test site that does not set another.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
const A_DAY: Duration = Duration::from_secs(24 * 3600);
const A_SECOND: Duration = Duration::from_secs(1);

/// How many files of a build lie in the storage: a card and a font, and the others in three codings
/// each.
const FILES: usize = 2 + 5 * 3;

/// The three files of the build with this hash whose names a page holds.
fn files(hash: &str) -> [String; 3] {
    ["css", "js", "wasm"].map(|kind| format!("/pkg/cattocdn.{hash}.{kind}"))
}

/// These files, the card and the font.
fn all(hash: &str) -> Vec<String> {
    let card = format!("/pkg/card.{hash}.png");
    let font = format!("/pkg/nunito.{hash}.woff2");
    [card]
        .into_iter()
        .chain(files(hash))
        .chain([font])
        .collect()
}

async fn ask(site: &Site, url: &str, encoding: &str) -> Answer {
    let asked = request(Method::GET, url).header(header::ACCEPT_ENCODING, encoding);
    site.send(asked.body(Body::empty()).expect("a request"))
        .await
}

/// What a site answers to everyone who asks for a file: the status, the headers that matter, and
/// the bytes.
async fn all_answers(site: &Site, hash: &str) -> Vec<(u16, Vec<String>, Bytes)> {
    let mut answers = Vec::new();
    for url in files(hash) {
        for encoding in ["identity", "gzip", "gzip, br"] {
            let answer = ask(site, &url, encoding).await;
            let headers = [
                header::CACHE_CONTROL,
                header::CONTENT_ENCODING,
                header::CONTENT_LENGTH,
                header::CONTENT_TYPE,
                header::ETAG,
                header::VARY,
                header::X_CONTENT_TYPE_OPTIONS,
            ];
            let headers = headers.map(|name| answer.header(name).to_owned());
            answers.push((answer.status.as_u16(), headers.to_vec(), answer.body));
        }
    }
    answers
}

async fn assert_gone(site: &Site, hash: &str) {
    for url in files(hash) {
        site.get(&url).await.assert_error(404, "not-found");
    }
}

/// The storage of a site with its data in this folder.
fn on_disk(dir: &Path) -> Arc<dyn ObjectStorage> {
    Arc::new(DiskStorage::open(&dir.join("objects")).expect("opens"))
}

/// Starts the site of this folder with the build of this hash.
async fn start(dir: &Path, storage: &Arc<dyn ObjectStorage>, hash: &str) -> Site {
    let setup = Setup::within(dir).stored_in(storage.clone());
    built_site::write(&setup.config.http.site_dir, hash);
    setup.start_without_jobs().await
}

/// The hashes of the builds whose files lie in the storage, and how many files there are.
async fn stored(storage: &Arc<dyn ObjectStorage>) -> (Vec<String>, usize) {
    let keys = storage.list(Folder::Assets).await.expect("lists");
    let mut hashes: Vec<String> = keys
        .iter()
        .filter_map(|key| key.path().split('.').nth(1).map(str::to_owned))
        .collect();
    hashes.sort();
    hashes.dedup();
    (hashes, keys.len())
}

async fn builds_stored(storage: &Arc<dyn ObjectStorage>) -> usize {
    storage.list(Folder::Builds).await.expect("lists").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_replaced_build_stay_for_the_retention_and_a_day_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    files_stay_for_the_retention_and_a_day(on_disk(folder.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_replaced_build_stay_for_the_retention_and_a_day_in_s3() {
    for bucket in [Bucket::on_s3s_fs().await, Bucket::on_moto().await] {
        files_stay_for_the_retention_and_a_day(Arc::new(bucket.storage().await)).await;
    }
}

async fn files_stay_for_the_retention_and_a_day(storage: Arc<dyn ObjectStorage>) {
    let dir = tempfile::tempdir().expect("a folder");
    let site = start(dir.path(), &storage, "aaaa").await;
    let before = all_answers(&site, "aaaa").await;
    assert!(before.iter().all(|(status, ..)| *status == 200));
    assert_eq!(stored(&storage).await, (vec!["aaaa".into()], FILES));
    site.stop().await;

    let site = start(dir.path(), &storage, "bbbb").await;
    assert_eq!(all_answers(&site, "aaaa").await, before);
    let [css, ..] = files("aaaa");
    let etag = site.get(&css).await.header(header::ETAG).to_owned();
    let again = request(Method::GET, &css).header(header::IF_NONE_MATCH, etag);
    let again = site.send(again.body(Body::empty()).expect("a request"));
    assert_eq!(again.await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(
        stored(&storage).await,
        (vec!["aaaa".into(), "bbbb".into()], 2 * FILES)
    );

    // The second of the replacement is rounded down, so a little less than a second is uncertain.
    site.clock.advance(RETENTION + A_DAY - 30 * A_SECOND);
    site.state.builds.keep().await.expect("keeps");
    assert_eq!(all_answers(&site, "aaaa").await, before);
    site.clock.advance(30 * A_SECOND);
    // No sweeper is needed for this.
    assert_gone(&site, "aaaa").await;
    site.state.builds.keep().await.expect("keeps");
    assert_eq!(stored(&storage).await, (vec!["bbbb".into()], FILES));
    assert_eq!(builds_stored(&storage).await, 1);
    assert!(
        all_answers(&site, "bbbb")
            .await
            .iter()
            .all(|(status, ..)| *status == 200)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_runs_again_stays_and_the_one_it_replaces_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let storage = on_disk(dir.path());
    for hash in ["aaaa", "bbbb", "aaaa"] {
        start(dir.path(), &storage, hash).await.stop().await;
    }
    let site = start(dir.path(), &storage, "aaaa").await;
    assert_eq!(ask(&site, &files("bbbb")[1], "br").await.status, 200);
    site.clock.advance(RETENTION + A_DAY);
    site.state.builds.keep().await.expect("keeps");
    assert_gone(&site, "bbbb").await;
    assert_eq!(stored(&storage).await, (vec!["aaaa".into()], FILES));
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuilding_the_index_leaves_the_builds_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let storage = on_disk(dir.path());
    start(dir.path(), &storage, "aaaa").await.stop().await;
    let site = start(dir.path(), &storage, "bbbb").await;
    let rebuilt = site.rebuild().await;
    assert_eq!(rebuilt, Rebuilt::default());
    assert_eq!(
        stored(&storage).await,
        (vec!["aaaa".into(), "bbbb".into()], 2 * FILES)
    );
    assert_eq!(builds_stored(&storage).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_build_has_reaches_no_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let storage = on_disk(dir.path());
    start(dir.path(), &storage, "aaaa").await.stop().await;
    let site = start(dir.path(), &storage, "bbbb").await;
    let pkg = dir.path().join("objects/pkg");
    for name in ["evil.0123.js", "evil.html"] {
        std::fs::write(pkg.join(name), "alert(1)").expect("is written");
    }
    for url in [
        "/pkg/evil.0123.js",
        "/pkg/evil.html",
        "/pkg/cattocdn.aaaa.css.br",
        "/pkg/cattocdn.bbbb.css.gz",
        "/pkg/%63attocdn.aaaa.css",
        "/pkg/%63attocdn.bbbb.css",
        "/pkg/..%2Fmeta%2Fbuilds%2Fx.0123.css",
        "/pkg/..%2f..%2fsite%2ffavicon.svg",
        "/pkg/%2e%2e/cattocdn.aaaa.css",
        "/pkg/../pkg/cattocdn.aaaa.css",
        "/pkg/cattocdn.aaaa.css%00",
        "/pkg/cattocdn.AAAA.css",
        "/pkg/cattocdn..css",
        "/pkg/.",
        "/pkg/",
    ] {
        site.get(url).await.assert_error(404, "not-found");
    }
    let long = format!("/pkg/cattocdn.{}.css", "a".repeat(4000));
    site.get(&long).await.assert_error(404, "not-found");
    // A file that nobody names is deleted, unless it could be somebody else's.
    site.state.builds.keep().await.expect("keeps");
    assert!(!pkg.join("evil.0123.js").exists());
    assert!(pkg.join("evil.html").exists());
    assert_eq!(ask(&site, &files("aaaa")[0], "br").await.status, 200);
}

/// Keeps pictures, but fails for everything that belongs to builds while it is broken.
struct Forgetful {
    inner: DiskStorage,
    is_broken: AtomicBool,
    /// Gives and deletes, but refuses to store the record of a build.
    takes_no_record: AtomicBool,
}

impl Forgetful {
    fn open(dir: &Path) -> Arc<Self> {
        Arc::new(Self {
            inner: DiskStorage::open(&dir.join("objects")).expect("opens"),
            is_broken: AtomicBool::new(false),
            takes_no_record: AtomicBool::new(false),
        })
    }

    fn fail(&self, is_of_builds: bool) -> Result<(), StorageError> {
        if is_of_builds && self.is_broken.load(Ordering::SeqCst) {
            return Err(anyhow::anyhow!("it is broken").into());
        }
        Ok(())
    }
}

fn is_of_builds(key: &StorageKey) -> bool {
    matches!(key, StorageKey::Asset { .. } | StorageKey::Build { .. })
}

#[async_trait]
impl ObjectStorage for Forgetful {
    async fn put(&self, objects: Vec<(StorageKey, Bytes)>) -> Result<(), StorageError> {
        self.fail(objects.iter().any(|(key, _)| is_of_builds(key)))?;
        let has_record = objects
            .iter()
            .any(|(key, _)| matches!(key, StorageKey::Build { .. }));
        if has_record && self.takes_no_record.load(Ordering::SeqCst) {
            return Err(anyhow::anyhow!("it may not write").into());
        }
        self.inner.put(objects).await
    }

    async fn create(&self, key: &StorageKey, bytes: Bytes) -> Result<bool, StorageError> {
        self.fail(is_of_builds(key))?;
        self.inner.create(key, bytes).await
    }

    async fn get(
        &self,
        key: &StorageKey,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Bytes, StorageError> {
        self.fail(is_of_builds(key))?;
        self.inner.get(key, range).await
    }

    async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        self.fail(keys.iter().any(is_of_builds))?;
        self.inner.delete(keys).await
    }

    async fn list(&self, folder: Folder) -> Result<Vec<StorageKey>, StorageError> {
        self.fail(matches!(folder, Folder::Assets | Folder::Builds))?;
        self.inner.list(folder).await
    }

    async fn delete_unfinished(&self) -> Result<(), StorageError> {
        self.inner.delete_unfinished().await
    }

    async fn check(&self) -> Result<(), StorageError> {
        self.inner.check().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_fails_does_not_keep_a_good_build_from_serving() {
    let dir = tempfile::tempdir().expect("a folder");
    let forgetful = Forgetful::open(dir.path());
    let storage: Arc<dyn ObjectStorage> = forgetful.clone();
    start(dir.path(), &storage, "aaaa").await.stop().await;

    forgetful.is_broken.store(true, Ordering::SeqCst);
    let site = start(dir.path(), &storage, "bbbb").await;
    assert_eq!(site.get_page("/about").await.status, 200);
    assert!(
        all_answers(&site, "bbbb")
            .await
            .iter()
            .all(|(status, ..)| *status == 200)
    );
    assert!(
        site.state.builds.pause() <= Duration::from_secs(60),
        "tries again soon"
    );

    forgetful.is_broken.store(false, Ordering::SeqCst);
    site.state.builds.keep().await.expect("keeps");
    assert_eq!(stored(&storage).await.1, 2 * FILES);
    assert_eq!(ask(&site, &files("aaaa")[0], "br").await.status, 200);
    assert!(site.state.builds.pause() > Duration::from_secs(60));

    // While it fails, the answer is not "not found", which caches would keep.
    forgetful.is_broken.store(true, Ordering::SeqCst);
    site.get(&files("aaaa")[0])
        .await
        .assert_error(503, "storage-unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_record_is_damaged_no_file_is_deleted() {
    let dir = tempfile::tempdir().expect("a folder");
    let storage = on_disk(dir.path());
    start(dir.path(), &storage, "aaaa").await.stop().await;
    let records = storage.list(Folder::Builds).await.expect("lists");
    let damaged = vec![(records[0].clone(), Bytes::from_static(b"{"))];
    storage.put(damaged).await.expect("puts");

    let site = start(dir.path(), &storage, "bbbb").await;
    site.clock.advance(3 * (RETENTION + A_DAY));
    site.state.builds.keep().await.expect("keeps");
    assert_eq!(stored(&storage).await.1, 2 * FILES);
}

/// A storage that never answers.
struct Silent;

#[async_trait]
impl ObjectStorage for Silent {
    async fn put(&self, _: Vec<(StorageKey, Bytes)>) -> Result<(), StorageError> {
        std::future::pending().await
    }

    async fn create(&self, _: &StorageKey, _: Bytes) -> Result<bool, StorageError> {
        std::future::pending().await
    }

    async fn get(
        &self,
        _: &StorageKey,
        _: Option<RangeInclusive<u64>>,
    ) -> Result<Bytes, StorageError> {
        std::future::pending().await
    }

    async fn delete(&self, _: &[StorageKey]) -> Result<(), StorageError> {
        std::future::pending().await
    }

    async fn list(&self, _: Folder) -> Result<Vec<StorageKey>, StorageError> {
        std::future::pending().await
    }

    async fn delete_unfinished(&self) -> Result<(), StorageError> {
        std::future::pending().await
    }

    async fn check(&self) -> Result<(), StorageError> {
        std::future::pending().await
    }
}

/// A successor that tells nobody.
struct Nobody;

#[async_trait]
impl Successor for Nobody {
    async fn build_was_replaced(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_storage_that_never_answers_holds_the_start_up_no_longer_than_it_may() {
    let dir = tempfile::tempdir().expect("a folder");
    write_site(dir.path());
    let builds = Builds::new(
        Build::load(dir.path()).expect("loads"),
        Arc::new(Silent),
        Clock::default(),
        Retention::default(),
        Arc::new(Nobody),
    );
    // Without a limit it would wait forever.
    builds.keep_within(Duration::from_millis(1)).await;
    assert!(
        builds.pause() <= Duration::from_secs(60),
        "tries again soon"
    );
}

#[test]
fn a_file_without_a_hash_in_its_name_is_no_build() {
    let dir = tempfile::tempdir().expect("a folder");
    write_site(dir.path());
    std::fs::write(dir.path().join("pkg/cattocdn.js"), "1").expect("is written");
    let error = Build::load(dir.path()).expect_err("it would be kept for a year");
    assert!(error.to_string().contains("cattocdn.js"), "{error}");
}

/// Every path below `/pkg/` that this page names.
/// The card is among them.
fn named_files(page: &Received) -> Vec<String> {
    let text = String::from_utf8_lossy(&page.body);
    let mut names: Vec<String> = text
        .match_indices("/pkg/")
        .map(|(at, _)| {
            let rest = &text[at..];
            let end = rest.find(['"', '\'', ')', ' ', '`']).expect("it ends");
            rest[..end].to_owned()
        })
        .filter(|name| name.contains('.'))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// What matters in an answer, whoever asked.
fn essence(answer: &Received) -> (u16, Vec<String>, Vec<u8>) {
    let names = [
        "cache-control",
        "content-encoding",
        "content-type",
        "etag",
        "vary",
    ];
    let headers = names.map(|name| answer.header(name).to_owned());
    (answer.status, headers.to_vec(), answer.body.clone())
}

#[test]
fn a_page_that_caches_kept_finds_its_files_after_the_next_build_started() {
    let dir = tempfile::tempdir().expect("a folder");
    let launch = Launch::within(dir.path());
    let old = launch.serve();
    let caches = Chain::before(&old.address, dir.path());
    let outer = caches.outer();
    let page = outer.get("/about").expect("is answered");
    let named = named_files(&page);
    assert_eq!(named, all("0123"), "a page names the files of its build");
    let as_before: Vec<_> = named
        .iter()
        .map(|url| essence(&old.client().get_encoded(url, "br").expect("is answered")))
        .collect();
    // The caches keep one of them.
    let kept = outer.get_encoded(&named[0], "br").expect("is answered");
    assert_eq!(essence(&kept), as_before[0]);
    old.terminate();
    assert!(old.wait().0.success());

    built_site::write(&launch.site_dir, "4567");
    let new = launch.serve();
    caches.lead_to(&new.address);
    let fresh = new.client().get("/about").expect("is answered");
    assert_eq!(named_files(&fresh), all("4567"));
    let still = outer.get("/about").expect("is answered");
    assert_eq!(still.header("x-outer"), "HIT");
    assert_eq!(still.body, page.body);
    for (url, before) in named.iter().zip(&as_before) {
        let answer = outer.get_encoded(url, "br").expect("is answered");
        assert_eq!(&essence(&answer), before, "{url} through the caches");
        let direct = new.client().get_encoded(url, "br").expect("is answered");
        assert_eq!(&essence(&direct), before, "{url} from the new build");
    }
}

#[test]
fn caches_keep_each_coding_apart_and_plain_after_brotli_is_plain() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Launch::within(dir.path()).serve();
    let caches = Chain::before(&server.address, dir.path());
    for url in files("0123") {
        let asked = |client: Client, encoding: &str| {
            let answer = client.get_encoded(&url, encoding);
            answer.unwrap_or_else(|error| panic!("{url} in {encoding}: {error}"))
        };
        for outcome in ["MISS", "HIT"] {
            // Brotli comes first, so that the plain file is asked of caches that hold the other.
            for (encoding, coding) in [("br", "br"), ("identity", ""), ("gzip", "gzip")] {
                let direct = asked(server.client(), encoding);
                assert_eq!(direct.header("content-encoding"), coding, "{url}");
                let answer = asked(caches.outer(), encoding);
                assert_eq!(answer.header("x-outer"), outcome, "{url} in {encoding}");
                assert_eq!(essence(&answer), essence(&direct), "{url} in {encoding}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_fetched_early_what_its_script_asks_for_and_nothing_else() {
    let site = Site::start().await;
    let [css, js, wasm] = files("0123");
    let picture = site.publish().await;
    for path in [
        "/",
        "/search?q=cat",
        "/upload",
        "/about",
        "/nothing-here",
        picture["url"].as_str().expect("a URL"),
    ] {
        let page = site.get_page(path).await.text();
        let [js, wasm] = if path == "/upload" {
            ["/pkg/uploads.0123.js", "/pkg/uploads.0123.wasm"]
        } else {
            [js.as_str(), wasm.as_str()]
        };
        let hints: Vec<&str> = page
            .split("<link ")
            .skip(1)
            .filter_map(|rest| rest.split('>').next())
            .filter(|link| link.contains("preload") || link.contains("stylesheet"))
            .collect();
        // The module and the other file are fetched in the same mode as by the script. Otherwise
        // they would be fetched twice.
        assert_eq!(
            hints,
            [
                format!(r#"rel="stylesheet" href="{css}""#),
                r#"as="font" crossorigin="" href="/pkg/nunito.0123.woff2" rel="preload" type="font/woff2""#
                    .to_owned(),
                format!(r#"fetchpriority="low" href="{js}" rel="modulepreload""#),
                format!(
                    r#"as="fetch" crossorigin="" fetchpriority="low" href="{wasm}" rel="preload" type="application/wasm""#
                ),
            ],
            "{path}"
        );
        assert_eq!(
            page.matches("<script type=\"module\">").count(),
            1,
            "{path}"
        );
        assert!(
            page.contains("data-island="),
            "{path} has something for the script to do"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_new_build_has_the_cdns_forget_the_pages_of_the_last_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = CdnServer::start();
    // Starts the site with this build, and returns what the CDNs were told then.
    let told = async |hash: &str| {
        let cdns = server.cdns(true, true).await;
        let setup = Setup::within(dir.path()).behind(cdns, &server.endpoint);
        built_site::write(&setup.config.http.site_dir, hash);
        let site = setup.start_without_jobs().await;
        let before = server.log().len();
        let cloudflare = PurgeTarget::Cdn(Cdn::Cloudflare);
        while site
            .state
            .pictures
            .purging
            .purge_next(cloudflare)
            .await
            .expect("asks")
        {}
        site.stop().await;
        server.log().split_off(before)
    };
    assert_eq!(
        told("aaaa").await,
        [""; 0],
        "nobody has pages of a first build"
    );
    assert_eq!(
        told("aaaa").await,
        [""; 0],
        "the same build's pages are good"
    );
    assert_eq!(told("bbbb").await, ["cloudflare tags html"]);
    assert_eq!(told("bbbb").await, [""; 0], "once is enough");
    assert_eq!(told("aaaa").await, ["cloudflare tags html"], "back again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_takes_no_record_has_the_pages_purged_once_and_not_at_every_try() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = CdnServer::start();
    let forgetful = Forgetful::open(dir.path());
    let storage: Arc<dyn ObjectStorage> = forgetful.clone();
    start(dir.path(), &storage, "aaaa").await.stop().await;

    forgetful.takes_no_record.store(true, Ordering::SeqCst);
    let cdns = server.cdns(false, true).await;
    let setup = Setup::within(dir.path()).stored_in(storage.clone());
    let setup = setup.behind(cdns, &server.endpoint);
    built_site::write(&setup.config.http.site_dir, "bbbb");
    let site = setup.start_without_jobs().await;
    for _ in 0..3 {
        site.state.builds.keep().await.expect_err("cannot be kept");
    }
    let target = PurgeTarget::Cdn(Cdn::CloudFront);
    while site
        .state
        .pictures
        .purging
        .purge_next(target)
        .await
        .expect("asks")
    {}
    assert_eq!(server.log(), ["cloudfront #html"]);

    forgetful.takes_no_record.store(false, Ordering::SeqCst);
    site.state.builds.keep().await.expect("keeps");
    assert_eq!(builds_stored(&storage).await, 2);
    while site
        .state
        .pictures
        .purging
        .purge_next(target)
        .await
        .expect("asks")
    {}
    assert_eq!(server.paid_paths(), 1);
}
