//! The same bytes cost one screening, and are still pictures of their own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use cattocdn::domain::picture::PictureId;
use cattocdn::pictures::Status;
use serde_json::Value;

use crate::support::{ScriptedScreener, Setup, Site, fixture};

/// How long a verdict may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A site, and the count of looks that its screener took.
async fn counting(dir: &Path, screener: ScriptedScreener) -> (Site, Arc<AtomicU32>) {
    let looks = screener.looks.clone();
    let site = Setup::within(dir).screened_by(screener).start().await;
    (site, looks)
}

fn taken(looks: &AtomicU32) -> u32 {
    looks.load(Ordering::SeqCst)
}

fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().expect("is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_are_looked_at_once_and_published_as_often_as_sent() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["cat.webp", "cat-animated.gif"] {
        let (site, looks) = counting(dir.path(), ScriptedScreener::cat()).await;
        let first = site.upload(fixture(name)).await.json();
        let after_first = taken(&looks);
        assert!(after_first > 0);
        let second = site.upload(fixture(name)).await.json();
        assert_eq!(taken(&looks), after_first, "{name}");
        for field in ["id", "delete_token"] {
            assert_ne!(first[field], second[field], "{name} {field}");
        }
        for field in ["tags", "alt", "width", "stripped"] {
            assert_eq!(first[field], second[field], "{name} {field}");
        }
        for picture in [&first, &second] {
            let image = text(&picture["images"], "512.webp");
            assert_eq!(site.get(image).await.status, StatusCode::OK);
        }
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_sent_eight_times_at_once_are_looked_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let (site, looks) = counting(dir.path(), ScriptedScreener::cat()).await;
    let site = Arc::new(site);
    let uploads: Vec<_> = (0..8)
        .map(|_| {
            let site = site.clone();
            let cat = fixture("cat.webp");
            tokio::spawn(async move { site.upload_to("/api/v1/pictures?wait=0", cat).await.json() })
        })
        .collect();
    for upload in uploads {
        let upload = upload.await.expect("ends");
        let id = PictureId::parse(text(&upload, "id")).expect("an id");
        let verdict = site
            .state
            .pictures
            .reading
            .wait_for_verdict(&id, PATIENCE)
            .await;
        assert!(matches!(verdict, Ok(Status::Published(_))), "{verdict:?}");
    }
    assert_eq!(taken(&looks), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_one_copy_leaves_the_other_and_its_verdict() {
    let dir = tempfile::tempdir().expect("a folder");
    let (site, looks) = counting(dir.path(), ScriptedScreener::cat()).await;
    let (first, second) = (site.publish().await, site.publish().await);
    let path = format!("/api/v1/pictures/{}", text(&first, "id"));
    let deleted = site.delete(&path, text(&first, "delete_token")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let image = text(&second["images"], "512.webp");
    assert_eq!(site.get(image).await.status, StatusCode::OK);
    site.publish().await;
    assert_eq!(taken(&looks), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_forgotten_with_the_last_copy() {
    let dir = tempfile::tempdir().expect("a folder");
    let (site, looks) = counting(dir.path(), ScriptedScreener::cat()).await;
    let picture = site.publish().await;
    let path = format!("/api/v1/pictures/{}", text(&picture, "id"));
    site.delete(&path, text(&picture, "delete_token")).await;
    site.publish().await;
    assert_eq!(taken(&looks), 2);
    site.clock.advance(7 * DAY);
    site.publish().await;
    assert_eq!(taken(&looks), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_remembered_for_thirty_days_and_across_restarts() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["no-cat", "indecent"] {
        let screener = || match name {
            "no-cat" => ScriptedScreener::no_cat(),
            _ => ScriptedScreener::indecent(),
        };
        let dir = dir.path().join(name);
        let (site, looks) = counting(&dir, screener()).await;
        let refused = site.upload(fixture("cat.webp")).await;
        site.stop().await;
        let (site, later_looks) = counting(&dir, screener()).await;
        site.clock.advance(29 * DAY);
        let again = site.upload(fixture("cat.webp")).await;
        assert_eq!(again.json(), refused.json());
        assert_eq!((taken(&looks), taken(&later_looks)), (1, 0));
        site.clock.advance(2 * DAY);
        site.sweep().await;
        // The second upload needed no look, so it does not prolong what is remembered of the first.
        site.upload(fixture("cat.webp")).await;
        assert_eq!(taken(&later_looks), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rules_forget_old_verdicts() {
    let dir = tempfile::tempdir().expect("a folder");
    let (site, looks) = counting(dir.path(), ScriptedScreener::no_cat()).await;
    site.upload(fixture("cat.webp"))
        .await
        .assert_error(422, "not-a-cat");
    assert_eq!(taken(&looks), 1);
    site.stop().await;

    let mut other_models = ScriptedScreener::cat();
    other_models.identity = "scripted, with other models";
    let (site, looks) = counting(dir.path(), other_models).await;
    site.publish().await;
    assert_eq!(taken(&looks), 1);
    site.stop().await;

    // The same models with a stricter threshold, under which the living approval does not hold.
    let mut same_models = ScriptedScreener::cat();
    same_models.identity = "scripted, with other models";
    let looks = same_models.looks.clone();
    let mut stricter = Setup::within(dir.path()).screened_by(same_models);
    stricter.config.screening.policy.thresholds.cat = 0.95;
    let site = stricter.start().await;
    site.upload(fixture("cat.webp"))
        .await
        .assert_error(422, "not-a-cat");
    assert_eq!(taken(&looks), 1);
}
