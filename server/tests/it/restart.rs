//! What a restart keeps, and what it takes up.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::Semaphore;

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
    let mut changes = site.state.pictures.changes();
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
