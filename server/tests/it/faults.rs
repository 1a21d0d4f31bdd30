//! What a client sees while disk, database or models fail, and that all is well again afterwards.
//!
//! The faults are real ones: a folder that is not a folder, a lock that another program holds, a
//! disk without room.

use std::path::Path;
use std::process::Command;

use axum::http::{StatusCode, header};
use serde_json::Value;

use crate::support::process::{Client, Launch};
use crate::support::{Setup, Site, fixture, image, index_of};

/// Puts a file where a folder should be, until it is mended.
struct NoFolder {
    folder: std::path::PathBuf,
    aside: std::path::PathBuf,
}

impl NoFolder {
    fn at(folder: &Path) -> Self {
        let aside = folder.with_extension("aside");
        std::fs::rename(folder, &aside).expect("is put aside");
        std::fs::write(folder, "no folder").expect("is written");
        Self {
            folder: folder.to_owned(),
            aside,
        }
    }

    fn mend(self) {
        std::fs::remove_file(&self.folder).expect("is deleted");
        std::fs::rename(&self.aside, &self.folder).expect("comes back");
    }
}

async fn wait_for_publication(site: &Site, upload: &Value) {
    let mut changes = site.state.pictures.reading.changes();
    while site.status_of(upload).await.json()["state"] == "screening" {
        // The worker pauses between two attempts.
        changes.changed().await.expect("the site runs");
    }
    assert_eq!(site.status_of(upload).await.json()["state"], "published");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_objects_cannot_be_stored_uploads_wait_unpublished_and_are_published_afterwards() {
    let site = Site::start().await;
    let fault = NoFolder::at(&site.data_dir.join("objects/tmp"));
    site.get("/readyz")
        .await
        .assert_error(503, "storage-unavailable");
    let waiting = site.send_in(fixture("cat.webp")).await;
    let mut changes = site.state.pictures.reading.changes();
    // An attempt was made, and failed.
    changes.changed().await.expect("the site runs");
    assert_eq!(site.status_of(&waiting).await.json()["state"], "screening");
    let files = site.stored_files();
    assert!(
        files.iter().all(|file| !file.starts_with("objects/i/")),
        "{files:?}"
    );
    fault.mend();
    assert_eq!(site.get("/readyz").await.status, StatusCode::OK);
    site.clock.advance(std::time::Duration::from_secs(6));
    wait_for_publication(&site, &waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_uploads_cannot_be_kept_they_are_refused_and_pictures_are_served() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let fault = NoFolder::at(&site.data_dir.join("incoming"));
    for _ in 0..2 {
        site.upload(fixture("cat.webp"))
            .await
            .assert_error(503, "storage-unavailable");
    }
    assert_eq!(site.get(image(&picture)).await.status, StatusCode::OK);
    fault.mend();
    site.publish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_program_locks_the_index_uploads_are_refused_and_pictures_are_served() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let mut other = index_of(&site.data_dir).await;
    sqlx::query("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .expect("locks");
    site.upload(fixture("cat.webp"))
        .await
        .assert_error(503, "storage-unavailable");
    assert_eq!(site.get(image(&picture)).await.status, StatusCode::OK);
    assert_eq!(site.get("/api/v1/pictures").await.status, StatusCode::OK);
    sqlx::query("COMMIT")
        .execute(&mut other)
        .await
        .expect("unlocks");
    site.publish().await;
    let files = site.stored_files();
    assert!(
        files.iter().all(|file| !file.starts_with("incoming/")),
        "the refused upload left {files:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_index_cannot_be_asked_images_are_served_and_end_on_time() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let before = site.get(image(&picture)).await;
    site.state.index.close().await;
    let during = site.get(image(&picture)).await;
    assert_eq!((during.status, &during.body), (before.status, &before.body));
    // The same fault may have interrupted a deletion, so nobody should keep what is served on the
    // manifest's word.
    assert_eq!(during.header(header::CACHE_CONTROL), "no-store");
    for name in [header::ETAG, header::CONTENT_TYPE] {
        assert_eq!(during.header(&name), before.header(&name), "{name}");
    }
    let other_instant = image(&picture).replacen("/i/2", "/i/3", 1);
    for url in [other_instant.as_str(), "/api/v1/pictures"] {
        site.get(url).await.assert_error(503, "storage-unavailable");
    }
    let page = site.get_page(picture["url"].as_str().expect("a URL")).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    site.upload(fixture("cat.webp"))
        .await
        .assert_error(503, "storage-unavailable");
    site.clock
        .advance(std::time::Duration::from_secs(7 * 24 * 3600));
    site.get(image(&picture)).await.assert_error(410, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_index_is_damaged_images_are_served_and_everything_else_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start_without_jobs().await;
    let picture = site.publish_by_hand().await;
    let path = format!(
        "/api/v1/pictures/{}",
        picture["id"].as_str().expect("an id")
    );
    let index = site.data_dir.join("index.sqlite");
    site.stop().await;

    // Damages the pages behind the first, as a failing disk would, so that the file still opens.
    let site = Setup::within(dir.path()).start_without_jobs().await;
    let mut bytes = std::fs::read(&index).expect("is there");
    bytes[4096..].fill(0xa5);
    std::fs::write(&index, &bytes).expect("is written");
    assert_eq!(site.get(image(&picture)).await.status, StatusCode::OK);
    for url in [path.as_str(), "/api/v1/pictures", "/api/v1/tags"] {
        site.get(url).await.assert_error(503, "storage-unavailable");
    }
    for url in [
        "/",
        "/search?q=cat",
        picture["url"].as_str().expect("a URL"),
    ] {
        let page = site.get_page(url).await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{url}");
        assert_eq!(page.header(header::CACHE_CONTROL), "no-store");
        assert!(!page.header(header::RETRY_AFTER).is_empty(), "{url}");
    }
    site.upload(fixture("cat.webp"))
        .await
        .assert_error(503, "storage-unavailable");
    assert_eq!(
        std::fs::read_dir(site.data_dir.join("incoming"))
            .expect("can be read")
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_objects_cannot_be_read_images_say_so_and_pages_and_lists_go_on() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let fault = NoFolder::at(&site.data_dir.join("objects/i"));
    site.get(image(&picture))
        .await
        .assert_error(503, "storage-unavailable");
    let page = picture["url"].as_str().expect("a URL");
    for url in ["/", page, "/api/v1/pictures"] {
        assert_eq!(site.get(url).await.status, StatusCode::OK, "{url}");
    }
    fault.mend();
    assert_eq!(site.get(image(&picture)).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_file_that_is_missing_is_our_fault_and_nobody_keeps_that() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let file = site
        .stored_files()
        .into_iter()
        .find(|file| file.ends_with("512.webp"));
    let file = site.data_dir.join(file.expect("has files"));
    std::fs::remove_file(file).expect("is deleted");
    site.get(image(&picture))
        .await
        .assert_error(503, "storage-unavailable");
    let other = picture["images"]["320.webp"].as_str().expect("a URL");
    assert_eq!(site.get(other).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_file_is_lost_is_refused_as_broken_and_the_next_is_taken() {
    let site = Setup::new().start_without_jobs().await;
    let lost = site.send_in(fixture("cat.webp")).await;
    let file = site
        .data_dir
        .join("incoming")
        .join(lost["id"].as_str().expect("an id"));
    std::fs::remove_file(file).expect("is deleted");
    assert!(site.work().await);
    site.status_of(&lost)
        .await
        .assert_error(422, "corrupt-image");
    let next = site.send_in(fixture("cat.webp")).await;
    assert!(site.work().await);
    assert_eq!(site.status_of(&next).await.json()["state"], "published");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_folder_of_uploads_is_away_they_wait_and_are_published_afterwards() {
    let site = Setup::new().start_without_jobs().await;
    let waiting = site.send_in(fixture("cat.webp")).await;
    let folder = site.data_dir.join("incoming");
    let away = folder.with_extension("away");
    std::fs::rename(&folder, &away).expect("is put away");
    // This is often enough that a picture that broke its workers would have been refused.
    for _ in 0..12 {
        assert!(site.work().await);
        site.clock.advance(std::time::Duration::from_secs(6));
        assert_eq!(site.status_of(&waiting).await.json()["state"], "screening");
    }
    std::fs::rename(&away, &folder).expect("comes back");
    assert!(site.work().await);
    assert_eq!(site.status_of(&waiting).await.json()["state"], "published");
}

#[test]
fn what_cannot_run_says_why_and_does_not_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let launch = Launch::within(dir.path());
    let refused = |launch: &Launch| {
        let output = launch.run("serve");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let no_models = dir.path().join("no models");
    let words = refused(
        &launch
            .clone()
            .with_variable("CATTO_MODELS_DIR", no_models.to_str().expect("is text")),
    );
    assert!(words.contains("no models"), "{words}");
    let server = launch.serve();
    let words = refused(&launch);
    assert!(words.contains("another cattocdn is running"), "{words}");
    server.terminate();
    assert!(server.wait().0.success());
}

/// Runs on a small disk of its own. A namespace needs no privileges to mount one.
#[test]
fn on_a_full_disk_uploads_are_refused_pictures_are_served_and_room_mends_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let launch = Launch::within(dir.path());
    std::fs::create_dir(&launch.data_dir).expect("is made");
    let mount = format!(
        "mount -t tmpfs -o size=4m tmpfs '{}' && exec \"$@\"",
        launch.data_dir.display()
    );
    let wrapper = [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        &mount,
        "sh",
    ];
    let possible = Command::new(wrapper[0])
        .args(&wrapper[1..])
        .arg("true")
        .status();
    assert!(
        possible.is_ok_and(|status| status.success()),
        "this system lets nobody mount a file system of their own: `unshare --map-root-user --mount`"
    );
    let server = launch.clone().wrapped_in(&wrapper).serve();
    let client = server.client();
    let picture = client
        .upload("", &fixture("chelsea.png"))
        .expect("is answered")
        .json();

    // The folder as seen from outside its namespace.
    let inside = Path::new("/proc")
        .join(server.process_id().to_string())
        .join("root")
        .join(launch.data_dir.strip_prefix("/").expect("is absolute"));
    let balloon = inside.join("balloon");
    let full = std::fs::write(&balloon, vec![0_u8; 8 << 20]);
    assert_eq!(
        full.expect_err("is full").kind(),
        std::io::ErrorKind::StorageFull
    );
    for _ in 0..3 {
        let refused = client
            .upload("?wait=1", &fixture("rocket.jpg"))
            .expect("is answered");
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (503, "storage-unavailable")
        );
        assert!(!refused.header("retry-after").is_empty());
    }
    assert_is_served(&client, &picture);
    let left = std::fs::read_dir(inside.join("incoming")).expect("can be read");
    assert_eq!(left.count(), 0);

    std::fs::remove_file(balloon).expect("is deleted");
    let taken = client
        .upload("", &fixture("cat.webp"))
        .expect("is answered");
    assert_eq!(taken.status, 201, "{}", taken.code());
    assert_is_served(&client, &picture);
    assert_is_served(&client, &taken.json());
    server.terminate();
    assert!(server.wait().0.success());
}

fn assert_is_served(client: &Client, picture: &Value) {
    for url in picture["images"].as_object().expect("images").values() {
        let answer = client.get(url.as_str().expect("a URL"));
        assert_eq!(answer.expect("is answered").status, 200);
    }
}
