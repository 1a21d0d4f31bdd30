//! What a restart keeps, and what it takes up.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::Semaphore;

use crate::support::process::Launch;
use crate::support::{ScriptedScreener, Setup, fixture};

#[tokio::test(flavor = "multi_thread")]
async fn pictures_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start().await;
    let picture = site.publish().await;
    let image = picture["images"]["320.webp"].as_str().expect("a URL");
    let before = site.get(image).await;
    site.stop().await;

    let site = Setup::within(dir.path()).start().await;
    let after = site.get(image).await;
    assert_eq!((after.status, &after.body), (StatusCode::OK, &before.body));
    assert_eq!(
        site.get("/api/v1/pictures").await.json()["pictures"][0]["id"],
        picture["id"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_waiting_is_screened_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path())
        .screened_by(ScriptedScreener::unavailable())
        .start()
        .await;
    let waiting = site
        .upload_to("/api/v1/pictures?wait=0", fixture("cat.webp"))
        .await
        .json();
    site.stop().await;

    let gate = Arc::new(Semaphore::new(0));
    let site = Setup::within(dir.path())
        .screened_by(ScriptedScreener::waiting_for(gate.clone()))
        .start()
        .await;
    let mut changes = site.state.pictures.reading.changes();
    gate.add_permits(Semaphore::MAX_PERMITS);
    let status_url = waiting["status_url"].as_str().expect("a URL");
    while site.get(status_url).await.json()["state"] == "screening" {
        changes.changed().await.expect("the site runs");
    }
    assert_eq!(site.get(status_url).await.json()["state"], "published");
    assert!(
        !site
            .stored_files()
            .iter()
            .any(|file| file.starts_with("incoming/"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_half_written_is_deleted_at_start() {
    let dir = tempfile::tempdir().expect("a folder");
    Setup::within(dir.path()).start().await.stop().await;
    for name in [
        "incoming/AAAAAAAAAAAAAAAA",
        "incoming/AAAAAAAAAAAAAAAA.part",
        "objects/tmp/.tmpX",
    ] {
        std::fs::write(dir.path().join("data").join(name), "half").expect("a file");
    }
    let site = Setup::within(dir.path()).start().await;
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

#[test]
fn a_second_server_stays_out_also_where_the_file_of_the_lock_was_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let launch = Launch::within(dir.path());
    let server = launch.serve();
    std::fs::remove_file(launch.data_dir.join("lock")).expect("is removed");
    for command in ["serve", "reindex"] {
        let second = launch.run(command);
        let text = String::from_utf8_lossy(&second.stderr);
        assert!(!second.status.success(), "{command}: {text}");
        assert!(
            text.contains("another cattocdn is running"),
            "{command}: {text}"
        );
    }
    let alive = server.client().get("/healthz").expect("is answered");
    assert_eq!(alive.status, 200);
    server.terminate();
    let (status, _) = server.wait();
    assert!(status.success());
}

#[test]
fn a_server_whose_folder_or_index_is_taken_from_under_it_stops_and_the_next_one_has_its_pictures() {
    let dir = tempfile::tempdir().expect("a folder");
    let launch = Launch::within(dir.path());
    let aside = dir.path().join("aside");
    for (taken, comes_back) in [("data", true), ("data/index.sqlite", false)] {
        let server = launch.serve();
        let picture = server.client().upload("", &fixture("chelsea.png"));
        let picture = picture.expect("is answered").json();
        let taken = dir.path().join(taken);
        std::fs::rename(&taken, &aside).expect("is taken");
        let (status, log) = server.wait();
        assert!(!status.success(), "{log}");
        assert!(log.contains("was removed or replaced; it stops"), "{log}");
        if comes_back {
            std::fs::rename(&aside, &taken).expect("comes back");
        }
        let server = launch.serve();
        let page = picture["url"].as_str().expect("a URL");
        let shown = server.client().get(page).expect("is answered");
        assert_eq!(shown.status, 200, "{}", taken.display());
        server.terminate();
        assert!(server.wait().0.success());
    }
}
