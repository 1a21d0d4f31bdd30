//! The durable pipeline: who may work on a picture, what becomes of one that cannot be worked on,
//! and what a ban does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use cattocdn::domain::verdict::FrameLook;
use cattocdn::jobs::Jobs;
use cattocdn::screening::{Screener, ScreeningError};
use imaging::Raster;
use serde_json::Value;
use sqlx::Connection;
use tokio::sync::Semaphore;

use crate::support::{
    ADMIN_TOKEN, ScriptedScreener, Setup, Site, files_of_a_still, fixture, index_of, request,
};

fn api(picture: &Value) -> String {
    format!(
        "/api/v1/pictures/{}",
        picture["id"].as_str().expect("an id")
    )
}

fn files_below(site: &Site, prefix: &str) -> usize {
    let files = site.stored_files();
    files.iter().filter(|file| file.starts_with(prefix)).count()
}

/// A screener with a bug.
struct PanickingScreener;

impl Screener for PanickingScreener {
    fn look(&self, _: &Raster, _: bool) -> Result<FrameLook, ScreeningError> {
        panic!("a bug in a model");
    }

    fn identity(&self) -> Result<String, ScreeningError> {
        Ok("panicking".into())
    }

    fn check(&self) -> Result<(), ScreeningError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_breaks_its_worker_is_refused_after_five_attempts_and_the_site_lives() {
    let setup = Setup::new().screened_by(PanickingScreener);
    let site = setup.start_without_jobs().await;
    let picture = site.send_in(fixture("cat.webp")).await;
    for _ in 0..5 {
        assert!(site.work().await);
        assert_eq!(site.get(&api(&picture)).await.json()["state"], "screening");
        assert!(!site.work().await, "it rests between two attempts");
        site.clock.advance(Duration::from_secs(6));
    }
    assert!(site.work().await);
    site.get(&api(&picture))
        .await
        .assert_error(422, "corrupt-image");
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_workers_that_hold_one_picture_only_the_later_publishes_it() {
    let gate = Arc::new(Semaphore::new(0));
    let screener = ScriptedScreener::waiting_for(gate.clone());
    let arrived = screener.arrived.clone();
    let site = Setup::new()
        .screened_by(screener)
        .start_without_jobs()
        .await;
    let picture = site.send_in(fixture("cat.webp")).await;
    let work = || {
        let pictures = site.state.pictures.clone();
        tokio::spawn(async move { pictures.screening.screen_next().await.expect("works") })
    };
    let first = work();
    wait_for_lookers(&arrived, 1).await;
    // The first worker's lease runs out while it is stuck.
    site.clock.advance(Duration::from_secs(601));
    let second = work();
    wait_for_lookers(&arrived, 2).await;
    // Permits go out in the order in which they were asked for. So the first worker goes on, and
    // finds that it is too late.
    gate.add_permits(1);
    assert!(first.await.expect("ends"));
    assert_eq!(files_below(&site, "objects/"), 0);
    assert_eq!(site.get(&api(&picture)).await.json()["state"], "screening");
    gate.add_permits(1);
    assert!(second.await.expect("ends"));
    assert_eq!(site.get(&api(&picture)).await.json()["state"], "published");
    let list = site.get("/api/v1/pictures").await.json();
    assert_eq!(list["pictures"].as_array().map(Vec::len), Some(1));
    assert_eq!(files_below(&site, "objects/i/"), files_of_a_still().len());
    assert_eq!(files_below(&site, "objects/meta/"), 1);
    let images = list["pictures"][0]["images"].as_object().expect("images");
    for url in images.values() {
        let answer = site.get(url.as_str().expect("a URL")).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

/// Waits until this many workers have come to the screener.
async fn wait_for_lookers(arrived: &AtomicU32, count: u32) {
    while arrived.load(Ordering::SeqCst) < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_does_not_come_back_costs_its_picture_and_nothing_else() {
    let gate = Arc::new(Semaphore::new(0));
    let screener = ScriptedScreener::waiting_for(gate.clone());
    let arrived = screener.arrived.clone();
    let mut setup = Setup::new().screened_by(screener);
    setup.config.limits.picture_timeout = Duration::from_secs(2);
    setup.config.limits.give_up_after = Duration::ZERO;
    let site = setup.start_without_jobs().await;
    let stuck = site.send_in(fixture("cat.webp")).await;
    assert!(site.work().await);
    assert_eq!(
        arrived.load(Ordering::SeqCst),
        1,
        "it never came to be stuck"
    );
    site.get(&api(&stuck))
        .await
        .assert_error(413, "too-many-pixels");
    // The first permit goes to the thread that was given up, the second to the next picture.
    gate.add_permits(2);
    let next = site.send_in(fixture("chelsea.png")).await;
    assert!(site.work().await);
    assert_eq!(site.get(&api(&next)).await.json()["state"], "published");
    site.get(&api(&stuck))
        .await
        .assert_error(413, "too-many-pixels");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_deleted_while_it_is_looked_at_leaves_nothing() {
    let gate = Arc::new(Semaphore::new(0));
    let screener = ScriptedScreener::waiting_for(gate.clone());
    let arrived = screener.arrived.clone();
    let site = Setup::new()
        .screened_by(screener)
        .start_without_jobs()
        .await;
    let picture = site.send_in(fixture("cat.webp")).await;
    let pictures = site.state.pictures.clone();
    let work = tokio::spawn(async move { pictures.screening.screen_next().await.expect("works") });
    wait_for_lookers(&arrived, 1).await;
    let token = picture["delete_token"].as_str().expect("a token");
    let deleted = site.delete(&api(&picture), token).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    site.get(&api(&picture)).await.assert_error(410, "gone");
    gate.add_permits(1);
    assert!(work.await.expect("ends"));
    assert_eq!(site.stored_files(), Vec::<String>::new());
    site.get(&api(&picture)).await.assert_error(410, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_cannot_be_deleted_does_not_keep_the_others() {
    let setup = Setup::new().with_retention(Duration::from_secs(60));
    let site = setup.start_without_jobs().await;
    let mut pictures = Vec::new();
    for _ in 0..3 {
        pictures.push(site.send_in(fixture("cat.webp")).await);
        assert!(site.work().await);
    }
    let stuck = pictures[0]["id"].as_str().expect("an id");
    let file = site
        .stored_files()
        .into_iter()
        .find(|file| file.ends_with(&format!("{stuck}/512.webp")))
        .expect("has files");
    // A folder in the place of a file cannot be deleted as a file, whoever tries.
    let file = site.data_dir.join(file);
    std::fs::remove_file(&file).expect("is deleted");
    std::fs::create_dir(&file).expect("is made");
    std::fs::write(file.join("in-the-way"), "").expect("is written");

    site.clock.advance(Duration::from_secs(60));
    assert!(site.state.pictures.endings.expire().await.is_err());
    for other in &pictures[1..] {
        let id = other["id"].as_str().expect("an id");
        let left = site.stored_files();
        assert!(left.iter().all(|file| !file.contains(id)), "{left:?}");
    }
    std::fs::remove_dir_all(&file).expect("is deleted");
    assert_eq!(site.sweep().await, 1);
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_sender_hangs_up_half_way_leaves_nothing() {
    let site = Arc::new(Setup::new().start_without_jobs().await);
    let (pieces, body) = tokio::sync::mpsc::channel::<Result<bytes::Bytes, std::io::Error>>(1);
    let body = futures_util::stream::unfold(body, |mut body| async move {
        body.recv().await.map(|piece| (piece, body))
    });
    let sending = {
        let site = site.clone();
        tokio::spawn(async move {
            let upload = request(Method::POST, "/api/v1/pictures");
            site.send(upload.body(Body::from_stream(body)).expect("a request"))
                .await
        })
    };
    pieces
        .send(Ok(fixture("cat.webp").slice(..1000)))
        .await
        .expect("is read");
    while files_below(&site, "incoming/") == 0 {
        tokio::task::yield_now().await;
    }
    sending.abort();
    assert!(sending.await.is_err_and(|error| error.is_cancelled()));
    drop(pieces);
    while files_below(&site, "incoming/") > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_beyond_those_that_are_received_at_once_are_asked_to_come_again() {
    let mut setup = Setup::new();
    setup.config.limits.uploads_at_once = 1;
    setup.config.limits.upload_turn_timeout = Duration::from_millis(50);
    let site = Arc::new(setup.start().await);
    let (pieces, body) = tokio::sync::mpsc::channel::<Result<bytes::Bytes, std::io::Error>>(1);
    let body = futures_util::stream::unfold(body, |mut body| async move {
        body.recv().await.map(|piece| (piece, body))
    });
    let slow = {
        let site = site.clone();
        tokio::spawn(async move {
            let upload = request(Method::POST, "/api/v1/pictures");
            site.send(upload.body(Body::from_stream(body)).expect("a request"))
                .await
        })
    };
    let cat = fixture("cat.webp");
    pieces.send(Ok(cat.slice(..1000))).await.expect("is read");
    while files_below(&site, "incoming/") == 0 {
        tokio::task::yield_now().await;
    }
    site.upload(cat.clone())
        .await
        .assert_error(503, "screening-unavailable");
    pieces.send(Ok(cat.slice(1000..))).await.expect("is read");
    drop(pieces);
    assert_eq!(slow.await.expect("ends").status, StatusCode::CREATED);
    site.publish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_five_hundred_wait_for_their_verdict_no_more_are_taken_until_one_is_decided() {
    let site = Setup::new().start_without_jobs().await;
    let picture = site.publish_by_hand().await;
    site.send_in(fixture("cat.webp")).await;
    // These are copies of the one that waits.
    let mut index = index_of(&site.data_dir).await;
    let columns = "state, received_at, delete_token_hash, content_hash, size_bytes";
    let copy = format!(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 499)
         INSERT INTO pictures (id, {columns})
         SELECT 'CattoCat' || replace(printf('%08d', n), '0', 'Z'), {columns}
         FROM pictures, number WHERE state = 'screening'"
    );
    sqlx::query(sqlx::AssertSqlSafe(copy))
        .execute(&mut index)
        .await
        .expect("copies");
    index.close().await.expect("closes");

    let refused = site.upload(fixture("cat.webp")).await;
    refused.assert_error(503, "screening-unavailable");
    let image = picture["images"]["512.webp"].as_str().expect("a URL");
    for url in [image, "/api/v1/pictures", "/"] {
        assert_eq!(site.get(url).await.status, StatusCode::OK, "{url}");
    }
    assert!(site.work().await);
    site.send_in(fixture("cat.webp")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_the_server_stops_what_is_begun_is_finished_and_nothing_new_is_begun() {
    let gate = Arc::new(Semaphore::new(0));
    let screener = ScriptedScreener::waiting_for(gate.clone());
    let (arrived, looks) = (screener.arrived.clone(), screener.looks.clone());
    let site = Setup::new()
        .screened_by(screener)
        .start_without_jobs()
        .await;
    let jobs = Jobs::spawn(&site.state.work());
    // There are more of them than workers, and each is a file of its own.
    let mut uploads = Vec::new();
    for number in 0..6_u8 {
        let mut bytes = fixture("cat.webp").to_vec();
        bytes.push(number);
        uploads.push(site.send_in(bytes).await);
    }
    wait_for_lookers(&arrived, 1).await;
    jobs.start_nothing_new();
    gate.add_permits(Semaphore::MAX_PERMITS);
    jobs.stop().await;
    let begun = arrived.load(Ordering::SeqCst) as usize;
    assert!(begun <= 4, "{begun} of six were begun");
    assert_eq!(looks.load(Ordering::SeqCst) as usize, begun);
    let mut published = 0;
    for upload in &uploads {
        let state = site.get(&api(upload)).await.json()["state"].clone();
        match state.as_str() {
            Some("published") => published += 1,
            state => assert_eq!(state, Some("screening")),
        }
    }
    assert_eq!(published, begun, "what was begun was not finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_verdict_is_told_to_ask_again_when_the_server_stops() {
    let gate = Arc::new(Semaphore::new(0));
    let setup = Setup::new().screened_by(ScriptedScreener::waiting_for(gate));
    let site = Arc::new(setup.start_without_jobs().await);
    let waiting = {
        let site = site.clone();
        tokio::spawn(async move {
            site.upload_to("/api/v1/pictures?wait=25", fixture("cat.webp"))
                .await
        })
    };
    while files_below(&site, "incoming/") == 0 {
        tokio::task::yield_now().await;
    }
    site.state.pictures.reading.stop_waiting();
    // Without being told it would wait for its own 25 seconds.
    let answer = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    let answer = answer.expect("is told").expect("ends");
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert!(answer.json()["status_url"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_picture_does_not_come_back_in_any_size_or_format() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start().await;
    let picture = site.publish().await;
    let mut copies = vec![fixture("cat.webp")];
    for name in ["320.webp", "1280.jpg"] {
        let url = picture["images"][name].as_str().expect("a URL");
        copies.push(site.get(url).await.body);
    }
    let ban = format!("{}?ban=true", api(&picture));
    let token = picture["delete_token"].as_str().expect("a token");
    site.delete(&ban, token)
        .await
        .assert_error(403, "forbidden");
    site.delete(&format!("{}?ban=yes", api(&picture)), ADMIN_TOKEN)
        .await
        .assert_error(400, "malformed");
    assert_eq!(site.get(&api(&picture)).await.status, StatusCode::OK);

    let banned = site.delete(&ban, ADMIN_TOKEN).await;
    assert_eq!(banned.status, StatusCode::NO_CONTENT);
    site.get(&api(&picture)).await.assert_error(410, "gone");
    for copy in &copies {
        site.upload(copy.clone()).await.assert_error(422, "banned");
    }
    let other = site.upload(fixture("rocket.jpg")).await;
    assert_eq!(other.status, StatusCode::CREATED);
    site.stop().await;

    let site = Setup::within(dir.path()).start().await;
    for copy in copies {
        site.upload(copy).await.assert_error(422, "banned");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_over_answers_410_to_every_method() {
    let site = Setup::new()
        .with_retention(Duration::from_secs(60))
        .start()
        .await;
    let picture = site.publish().await;
    site.clock.advance(Duration::from_secs(60));
    let image = picture["images"]["512.webp"].as_str().expect("a URL");
    let page = picture["url"].as_str().expect("a URL");
    let api = api(&picture);
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW",
    ] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        for url in [image, page, &api] {
            // An upload may be put under any name, and deleting asks for a token first.
            if *url == api && (method == Method::PUT || method == Method::DELETE) {
                continue;
            }
            let ask = request(method.clone(), url)
                .header(header::RANGE, "bytes=0-1")
                .header(header::IF_NONE_MATCH, "*");
            let answer = site.send(ask.body(Body::empty()).expect("a request")).await;
            assert_eq!(answer.status, StatusCode::GONE, "{method} {url}");
        }
    }
    // The path alone tells, whatever the index knows.
    let never = "/i/20200101T000000Z/AAAAAAAAAAAAAAAA/512.webp";
    site.get(never).await.assert_error(410, "gone");
    let page = site.get("/c/AAAAAAAAAAAAAAAA").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}
