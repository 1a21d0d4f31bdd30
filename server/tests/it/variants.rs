//! A picture has the files that were made when it was published, whichever version of the program
//! did that. One that an older version published lacks some of today's files, and one that a newer
//! version published has files that are unknown here. All of them are listed, shown, served,
//! previewed, ended, deleted, purged and found again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use bytes::Bytes;
use cattocdn::domain::picture::PictureId;
use cattocdn::domain::variant::{OF_ANIMATIONS, OF_STILLS, PUBLISHED};
use cattocdn::pictures::outputs;
use cattocdn::storage::{ObjectStorage, StorageKey};
use serde_json::{Value, json};

use crate::made::{jpeg, painted};
use crate::support::process::Launch;
use crate::support::{ADMIN_TOKEN, Answer, Setup, Site, dimensions, fixture, index_of, path_of};
use tools::stand_ins::aws::Bucket;

/// The name of a file that only a newer version of the program knows.
const UNKNOWN: &str = "99999.webp";

fn id_of(picture: &Value) -> &str {
    picture["id"].as_str().expect("an id")
}

/// The path of the folder in which a picture's files lie, in URLs as well as in the storage:
/// `i/{expires}/{id}`.
fn folder_path(picture: &Value) -> String {
    let images = picture["images"].as_object().expect("images");
    let url = images.values().next().and_then(Value::as_str);
    let url: url::Url = url.expect("a file").parse().expect("a URL");
    let (folder, _) = url.path().rsplit_once('/').expect("a folder");
    folder.trim_start_matches('/').to_owned()
}

fn folder(data_dir: &Path, picture: &Value) -> PathBuf {
    data_dir.join("objects").join(folder_path(picture))
}

/// Lets `change` change what the row and the manifest of a published picture say of its files.
async fn rewrite(data_dir: &Path, picture: &Value, change: impl Fn(&mut Vec<Value>)) {
    let id = id_of(picture);
    let mut index = index_of(data_dir).await;
    let row: String = sqlx::query_scalar("SELECT variants FROM pictures WHERE id = ?")
        .bind(id)
        .fetch_one(&mut index)
        .await
        .expect("is there");
    let mut files = serde_json::from_str(&row).expect("a list");
    change(&mut files);
    let row = Value::from(files).to_string();
    let done = sqlx::query("UPDATE pictures SET variants = ? WHERE id = ?")
        .bind(row)
        .bind(id)
        .execute(&mut index)
        .await;
    done.expect("is written");
    let file = data_dir.join(format!("objects/meta/{id}.json"));
    let Ok(manifest) = std::fs::read(&file) else {
        // The manifest lies in a bucket.
        return;
    };
    let mut manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let mut files = manifest["variants"].as_array().expect("a list").clone();
    change(&mut files);
    manifest["variants"] = files.into();
    std::fs::write(&file, manifest.to_string()).expect("is written");
}

/// Makes a published picture look like one from a version of the program that did not make these
/// files yet.
pub(crate) async fn make_older(data_dir: &Path, picture: &Value, missing: &[&str]) {
    let is_there = |file: &Value| !missing.contains(&file["name"].as_str().expect("a name"));
    rewrite(data_dir, picture, |files| files.retain(is_there)).await;
    for name in missing {
        std::fs::remove_file(folder(data_dir, picture).join(name)).expect("is deleted");
    }
}

/// Makes the row and the manifest of a published picture look like those from a version of the
/// program that makes one more file.
pub(crate) async fn tell_of_newer(data_dir: &Path, picture: &Value) {
    let file = |hash: &str| {
        json!({
            "name": UNKNOWN, "width": 451, "height": 300, "size_bytes": 5, hash: "00".repeat(32),
        })
    };
    rewrite(data_dir, picture, |files| {
        let hash = match files[0].get("sha256") {
            Some(_) => "sha256",
            None => "hash",
        };
        files.insert(1, file(hash));
    })
    .await;
}

/// The same, and also writes the file.
pub(crate) async fn make_newer(data_dir: &Path, picture: &Value) {
    tell_of_newer(data_dir, picture).await;
    let file = folder(data_dir, picture).join(UNKNOWN);
    std::fs::write(file, "newer").expect("is written");
}

/// The path at which the unknown file of this picture lies.
pub(crate) fn unknown_path(picture: &Value) -> String {
    format!("/{}/{UNKNOWN}", folder_path(picture))
}

/// Publishes this file on a site without workers. Answers the JSON of the picture, with its delete
/// token.
async fn publish(site: &Site, name: &str) -> Value {
    let upload = site.send_in(fixture(name)).await;
    assert!(site.work().await, "{name}");
    let url = format!("/api/v1/pictures/{}", id_of(&upload));
    let mut picture = site.get(&url).await.json();
    assert_eq!(picture["state"], "published", "{name}");
    picture["delete_token"] = upload["delete_token"].clone();
    picture
}

/// Pictures of four versions: one of today, two older ones, and a newer one.
struct Mixed {
    site: Site,
    dir: tempfile::TempDir,
    pictures: Vec<Value>,
}

impl Mixed {
    async fn publish() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let site = Setup::within(dir.path()).start_without_jobs().await;
        let mut pictures = Vec::new();
        for name in ["cat.webp", "chelsea.png", "cat-animated.gif", "rocket.jpg"] {
            pictures.push(publish(&site, name).await);
        }
        make_older(&site.data_dir, &pictures[1], &["320.webp"]).await;
        let missing = ["512.webp", "2048.webp", "1280.jpg"];
        make_older(&site.data_dir, &pictures[2], &missing).await;
        make_newer(&site.data_dir, &pictures[3]).await;
        Self {
            site,
            dir,
            pictures,
        }
    }

    /// Which of today's files each picture has.
    fn files(&self) -> Vec<BTreeSet<String>> {
        let files = |picture: &Value| {
            let folder = std::fs::read_dir(folder(&self.site.data_dir, picture));
            let names = folder.expect("is there").map(|entry| {
                let name = entry.expect("can be read").file_name();
                name.into_string().expect("is text")
            });
            names.filter(|name| name != UNKNOWN).collect()
        };
        self.pictures.iter().map(files).collect()
    }
}

/// The path of every image URL in this page or JSON.
fn image_paths(answer: &Answer) -> BTreeSet<String> {
    let text = answer.text();
    let ends = |letter: char| letter.is_whitespace() || "\"'<>()[],;&\\".contains(letter);
    let paths = text.split(ends).map(path_of);
    let images = paths.filter(|path| path.starts_with("/i/"));
    images.map(str::to_owned).collect()
}

/// The content of this `<meta property="…">` of a page.
fn property(page: &Answer, name: &str) -> String {
    let text = page.text();
    let start = format!("<meta property=\"{name}\" content=\"");
    let (_, rest) = text.split_once(&start).expect("the page has it");
    rest.split('"').next().expect("it ends").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_picture_is_listed_and_shown_with_the_files_that_it_has_and_no_others() {
    let mixed = Mixed::publish().await;
    let site = &mixed.site;
    let list = site.get("/api/v1/pictures").await;
    assert_eq!(list.status, StatusCode::OK, "{}", list.text());
    let listed = list.json()["pictures"].as_array().expect("a list").clone();
    let listed: Vec<(String, BTreeSet<String>)> = listed
        .iter()
        .rev()
        .map(|picture| {
            let images = picture["images"].as_object().expect("images");
            (id_of(picture).to_owned(), images.keys().cloned().collect())
        })
        .collect();
    let ids = mixed.pictures.iter().map(|one| id_of(one).to_owned());
    let expected: Vec<_> = ids.zip(mixed.files()).collect();
    assert_eq!(listed, expected);

    let mut pages = vec![list, site.get_page("/").await];
    for picture in &mixed.pictures {
        let id = id_of(picture);
        pages.push(site.get(&format!("/api/v1/pictures/{id}")).await);
        pages.push(site.get_page(&format!("/c/{id}")).await);
    }
    for page in pages {
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        let paths = image_paths(&page);
        assert!(!paths.is_empty(), "{}", page.text());
        for path in paths {
            let image = site.get(&path).await;
            assert_eq!(image.status, StatusCode::OK, "{path} in {}", page.text());
        }
    }
    // Each card of the gallery shows one file.
    let gallery = site.get_page("/").await.text();
    assert!(!gallery.contains("src=\"\""), "{gallery}");
    assert!(!gallery.contains("srcset=\"\""), "{gallery}");
    let unknown = unknown_path(&mixed.pictures[3]);
    site.get(&unknown).await.assert_error(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_names_a_file_that_is_there_with_its_real_type_and_size() {
    let mixed = Mixed::publish().await;
    for picture in &mixed.pictures {
        let id = id_of(picture);
        let page = mixed.site.get_page(&format!("/c/{id}")).await;
        let image = mixed.site.get(&property(&page, "og:image")).await;
        assert_eq!(image.status, StatusCode::OK);
        let kind = property(&page, "og:image:type");
        assert_eq!(image.header(header::CONTENT_TYPE), kind);
        let side = |name: &str| property(&page, name).parse().expect("a number");
        let size = (side("og:image:width"), side("og:image:height"));
        assert_eq!(dimensions(&image.body), size);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_their_end_nothing_is_left_of_any_of_them() {
    let mixed = Mixed::publish().await;
    let site = &mixed.site;
    site.clock.advance(Duration::from_secs(8 * 24 * 3600));
    for picture in &mixed.pictures {
        for url in picture["images"].as_object().expect("images").values() {
            let url = url.as_str().expect("a URL");
            site.get(url).await.assert_error(410, "gone");
        }
    }
    let unknown = unknown_path(&mixed.pictures[3]);
    site.get(&unknown).await.assert_error(410, "gone");
    assert_eq!(site.sweep().await, 4);
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_those_that_are_deleted() {
    let mixed = Mixed::publish().await;
    let site = &mixed.site;
    for picture in &mixed.pictures {
        let token = picture["delete_token"].as_str().expect("a token");
        let path = format!("/api/v1/pictures/{}", id_of(picture));
        let deleted = site.delete(&path, token).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text());
    }
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_them_in_a_bucket() {
    for bucket in [Bucket::on_s3s_fs().await, Bucket::on_moto().await] {
        let storage = Arc::new(bucket.storage().await);
        let setup = Setup::new().stored_in(storage.clone());
        let site = setup.start_without_jobs().await;
        let mut pictures = Vec::new();
        for name in ["cat.webp", "chelsea.png", "rocket.jpg"] {
            let picture = publish(&site, name).await;
            tell_of_newer(&site.data_dir, &picture).await;
            let path = unknown_path(&picture);
            let key = StorageKey::parse(&path[1..]).expect("is a key");
            let stored = storage.put(vec![(key, Bytes::from_static(b"newer"))]);
            stored.await.expect("is stored");
            pictures.push(picture);
        }
        let keys = bucket.keys_of_pictures().await;
        let is_unknown = |key: &&String| key.ends_with(UNKNOWN);
        assert_eq!(keys.iter().filter(is_unknown).count(), 3, "{keys:?}");
        // One is deleted, of one the row is damaged, and all others end.
        let path = format!("/api/v1/pictures/{}", id_of(&pictures[0]));
        let deleted = site.delete(&path, ADMIN_TOKEN).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text());
        let keys = bucket.keys_of_pictures().await;
        let id = id_of(&pictures[0]);
        assert!(keys.iter().all(|key| !key.contains(id)), "{keys:?}");
        let done = sqlx::query("UPDATE pictures SET variants = '[{' WHERE id = ?")
            .bind(id_of(&pictures[1]))
            .execute(&mut index_of(&site.data_dir).await)
            .await;
        done.expect("is damaged");
        site.clock.advance(Duration::from_secs(8 * 24 * 3600));
        assert_eq!(site.sweep().await, 2);
        assert_eq!(bucket.keys_of_pictures().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_takes_those_of_other_versions_with_it() {
    let mixed = Mixed::publish().await;
    let site = &mixed.site;
    for picture in &mixed.pictures {
        let path = format!("/api/v1/pictures/{}?ban=true", id_of(picture));
        let banned = site.delete(&path, ADMIN_TOKEN).await;
        // It is gone already if it looks like one before it.
        let expected = [StatusCode::NO_CONTENT, StatusCode::GONE];
        assert!(expected.contains(&banned.status), "{}", banned.text());
    }
    let left = site.stored_files();
    let is_ban = |file: &String| file.starts_with("objects/meta/bans/");
    assert!(left.iter().all(is_ban), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_list_of_files_keeps_nothing_from_being_deleted() {
    let mixed = Mixed::publish().await;
    let site = &mixed.site;
    let done = sqlx::query("UPDATE pictures SET variants = '[{'")
        .execute(&mut index_of(&site.data_dir).await)
        .await;
    done.expect("is damaged");
    site.clock.advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(site.sweep().await, 4);
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_stored_before_it_was_cut_off_is_deleted_with_the_upload() {
    let site = Setup::new().start_without_jobs().await;
    let upload = site.send_in(fixture("cat.webp")).await;
    // A crash between the first file and the manifest leaves this: only the instant is noted.
    let ends = site.clock.now().as_second() + 7 * 24 * 3600;
    let planned = sqlx::query("UPDATE pictures SET expires_at = ? WHERE id = ?")
        .bind(ends)
        .bind(id_of(&upload))
        .execute(&mut index_of(&site.data_dir).await)
        .await;
    planned.expect("is noted");
    let ends = jiff::Timestamp::from_second(ends).expect("an instant");
    let ends = ends.strftime("%Y%m%dT%H%M%SZ");
    let folder = format!("objects/i/{ends}/{}", id_of(&upload));
    let folder = site.data_dir.join(folder);
    std::fs::create_dir_all(&folder).expect("is made");
    for name in ["512.webp", UNKNOWN] {
        std::fs::write(folder.join(name), "newer").expect("is written");
    }
    let path = format!("/api/v1/pictures/{}", id_of(&upload));
    let token = upload["delete_token"].as_str().expect("a token");
    let deleted = site.delete(&path, token).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text());
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_comes_back_with_the_files_of_every_version() {
    let Mixed {
        site,
        dir,
        pictures,
    } = Mixed::publish().await;
    let list = site.get("/api/v1/pictures").await.json();
    let data_dir = site.data_dir.clone();
    let listed = |picture: &Value| id_of(picture).to_owned();
    let ids: Vec<String> = pictures.iter().map(listed).collect();
    let newer = id_of(&pictures[3]);
    let row_of_newer = async || -> Value {
        let row: String = sqlx::query_scalar("SELECT variants FROM pictures WHERE id = ?")
            .bind(newer)
            .fetch_one(&mut index_of(&data_dir).await)
            .await
            .expect("is there");
        serde_json::from_str(&row).expect("JSON")
    };
    let before = row_of_newer().await;
    site.stop().await;
    // Its row and its manifest are both lost.
    let orphan = PictureId::random();
    let folder = format!("objects/i/20990101T000000Z/{orphan}");
    let folder = data_dir.join(folder);
    std::fs::create_dir_all(&folder).expect("is made");
    std::fs::write(folder.join(UNKNOWN), "newer").expect("is written");
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = std::fs::remove_file(data_dir.join(name));
    }

    let site = Setup::within(dir.path()).start_without_jobs().await;
    assert_eq!(site.get("/api/v1/pictures").await.json(), list);
    assert_eq!(row_of_newer().await, before);
    let files = site.stored_files();
    assert!(!files.iter().any(|file| file.contains(orphan.as_str())));
    assert!(
        ids.iter()
            .all(|id| files.iter().any(|file| file.contains(id)))
    );
    site.clock.advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(site.sweep().await, 4);
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

/// The text of a document of the project.
fn document(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).expect("is there")
}

#[test]
fn the_documents_name_the_files_of_a_new_picture() {
    let published: BTreeSet<String> = PUBLISHED.iter().map(ToString::to_string).collect();
    let api = document("docs/API.md");
    let start = "A new picture has the files ";
    let line = api.lines().find_map(|line| line.strip_prefix(start));
    let named = line.expect("says so").split('`').skip(1).step_by(2);
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    assert_eq!(named, published, "docs/API.md: `{start}…` names others");
    for name in OF_STILLS.iter().chain(OF_ANIMATIONS) {
        assert!(api.contains(&format!("`{name}`")), "docs/API.md: {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wide_still_has_avif_files_that_are_worth_it() {
    let site = Site::start().await;
    for ((width, height), expected) in [
        ((1600, 1000), vec!["1120.avif"]),
        ((1600, 2400), vec!["1120.avif"]),
        ((1600, 3600), vec![]),
        ((700, 1000), vec![]),
    ] {
        let picture = painted(width, height, |x, y| [(x / 8) as u8, (y / 8) as u8, 99]);
        let picture = site.upload(jpeg(&picture)).await.json();
        let images = picture["images"].as_object().expect("images");
        let avif = images.keys().filter(|name| name.ends_with(".avif"));
        assert_eq!(avif.collect::<Vec<_>>(), expected, "{width}x{height}");
        for name in expected {
            let answer = site
                .get(path_of(images[name].as_str().expect("a URL")))
                .await;
            assert_eq!(answer.header(header::CONTENT_TYPE), "image/avif");
            assert_eq!(&answer.body[4..12], b"ftypavif", "{name}");
        }
    }
}

#[test]
fn operators_are_told_how_much_the_files_of_one_picture_can_take() {
    let text = document("docs/OPERATING.md");
    let start = "All files of one picture together take at most ";
    let line = text.lines().find_map(|line| line.strip_prefix(start));
    let told = line
        .and_then(|line| line.split_once(" MB"))
        .expect("is told");
    let told: f64 = told.0.parse().expect("is a number");
    let outputs = outputs();
    let widths = (32..=imaging::MAX_WIDTH).step_by(32);
    let most = widths.flat_map(|width| {
        let heights = [32, 2048, imaging::MAX_HEIGHT];
        let frames = [1, imaging::MAX_KEPT_FRAMES];
        let outputs = &outputs;
        heights.into_iter().flat_map(move |height| {
            frames.map(|frames| imaging::stored_bytes(outputs, frames, width, height))
        })
    });
    let most = most.max().expect("there are sizes");
    // Told in tenths of a megabyte, rounded up.
    let tenths = most.div_ceil(100_000) as f64 / 10.0;
    assert!(
        (told - tenths).abs() < 0.05,
        "docs/OPERATING.md: `{start}{told} MB` is {tenths} MB"
    );
}

#[test]
fn one_warning_tells_of_a_name_that_nobody_knows_however_many_pictures_have_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let launch = Launch::within(dir.path());
    let server = launch.serve();
    let client = server.client();
    let uploads = ["chelsea.png", "cat.webp"].map(|name| {
        let upload = client.upload("", &fixture(name)).expect("is answered");
        assert_eq!(upload.status, 201, "{name}: {}", upload.code());
        upload.json()
    });
    server.terminate();
    assert!(server.wait().0.success());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for upload in &uploads {
        runtime.block_on(make_newer(&launch.data_dir, upload));
    }
    let server = launch.serve();
    let client = server.client();
    for _ in 0..3 {
        let list = client.get("/api/v1/pictures").expect("is answered").json();
        assert_eq!(list["pictures"].as_array().map(Vec::len), Some(2));
    }
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success());
    let told = log.lines().filter(|line| line.contains(UNKNOWN));
    let told: Vec<&str> = told.collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("WARN") && told[0].contains("not served"),
        "{told:?}"
    );
}
