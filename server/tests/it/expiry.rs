//! Nothing outlives its second.

#![expect(
    clippy::print_stdout,
    reason = "figures for whoever runs the test by hand"
)]

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, Method, StatusCode, header};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use sqlx::Connection;

use crate::support::{
    ADMIN_TOKEN, ScriptedScreener, Setup, Site, files_of_a_still, fixture, image, index_of, request,
};

fn url<'a>(picture: &'a Value, field: &str) -> &'a str {
    picture[field].as_str().expect("a URL")
}

/// Requests everything of a picture in every way, and expects 410 each time.
async fn assert_gone(site: &Site, picture: &Value) {
    let api = format!("/api/v1/pictures/{}", url(picture, "id"));
    let ways: [(Method, Option<(HeaderName, &str)>); 5] = [
        (Method::GET, None),
        (Method::HEAD, None),
        (Method::GET, Some((header::IF_NONE_MATCH, "*"))),
        (
            Method::GET,
            Some((header::IF_MODIFIED_SINCE, "Sun, 22 Nov 2026 10:00:00 GMT")),
        ),
        (Method::GET, Some((header::RANGE, "bytes=0-9"))),
    ];
    for target in [image(picture), url(picture, "url"), &api] {
        for (method, extra) in ways.clone() {
            let mut request = request(method.clone(), target);
            if let Some((name, value)) = &extra {
                request = request.header(name, *value);
            }
            let answer = site
                .send(request.body(Body::empty()).expect("a request"))
                .await;
            assert_eq!(
                answer.status,
                StatusCode::GONE,
                "{method} {target} {extra:?}"
            );
            // An id is never used again.
            assert_eq!(
                answer.header(header::CACHE_CONTROL),
                "public, max-age=86400"
            );
        }
    }
    let listed = site.get("/api/v1/pictures").await.json();
    assert!(
        listed["pictures"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|other| other["id"] != picture["id"])
    );
}

/// Waits until the sweeper has left this many pictures' files.
async fn wait_for_files(site: &Site, prefix: &str, count: usize) {
    let mut changes = site.state.pictures.reading.changes();
    while site
        .stored_files()
        .iter()
        .filter(|file| file.starts_with(prefix))
        .count()
        != count
    {
        changes.changed().await.expect("the site runs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_its_second_on_a_picture_answers_410_to_everything_and_its_objects_are_deleted() {
    let site = Setup::new()
        .with_retention(Duration::from_secs(60))
        .start()
        .await;
    let picture = site.publish().await;
    assert_eq!(site.get(image(&picture)).await.status, StatusCode::OK);
    assert_eq!(site.get("/api/v1/tags").await.json()["tags"][0]["count"], 1);
    site.clock.advance(Duration::from_secs(60));
    assert_gone(&site, &picture).await;
    assert_eq!(
        site.get("/api/v1/tags").await.json()["tags"],
        serde_json::json!([])
    );
    site.sweep().await;
    wait_for_files(&site, "objects/", 0).await;
    assert_gone(&site, &picture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_swept_by_itself_when_its_seconds_are_over() {
    // Long enough for a busy machine to publish the picture.
    let site = Setup::new()
        .with_retention(Duration::from_secs(12))
        .start()
        .await;
    let picture = site.publish().await;
    wait_for_files(&site, "objects/", 0).await;
    assert_gone(&site, &picture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_about_to_end_is_not_stored_by_anyone() {
    let site = Setup::new()
        .with_retention(Duration::from_secs(60))
        .start()
        .await;
    let picture = site.publish().await;
    site.clock.advance(Duration::from_secs(58));
    let answer = site.get(image(&picture)).await;
    assert_eq!(
        (answer.status, answer.header(header::CACHE_CONTROL)),
        (StatusCode::OK, "no-store")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_by_token_does_at_once_what_expiry_does() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let api = format!("/api/v1/pictures/{}", url(&picture, "id"));
    let delete = |token: Option<&str>| {
        let mut request = request(Method::DELETE, &api);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Body::empty()).expect("a request")
    };
    site.send(delete(None))
        .await
        .assert_error(401, "unauthorized");
    site.send(delete(Some("wrong")))
        .await
        .assert_error(403, "forbidden");
    let other = site.publish().await;
    site.send(delete(Some(url(&other, "delete_token"))))
        .await
        .assert_error(403, "forbidden");
    assert_eq!(site.get(image(&picture)).await.status, StatusCode::OK);

    assert_eq!(
        site.send(delete(Some(url(&picture, "delete_token"))))
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    assert_gone(&site, &picture).await;
    assert_eq!(site.get(image(&other)).await.status, StatusCode::OK);
    wait_for_files(&site, "objects/", files_of_a_still().len() + 1).await;
    site.send(delete(Some(url(&picture, "delete_token"))))
        .await
        .assert_error(410, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_token_deletes_any_picture() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let request = request(
        Method::DELETE,
        &format!("/api/v1/pictures/{}", url(&picture, "id")),
    )
    .header(header::AUTHORIZATION, format!("Bearer {ADMIN_TOKEN}"));
    assert_eq!(
        site.send(request.body(Body::empty()).expect("a request"))
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    assert_gone(&site, &picture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_delete_page_asks_first_and_deletes_only_by_post() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let delete_url = url(&picture, "delete_url");
    let page = site.get_page(delete_url).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert_eq!(page.header(header::CACHE_CONTROL), "no-store");
    assert_eq!(page.header(header::REFERRER_POLICY), "no-referrer");
    assert_eq!(site.get(image(&picture)).await.status, StatusCode::OK);

    let (foreign, _) = delete_url.rsplit_once('/').expect("a path");
    let foreign = format!("{foreign}/1111111111111111111111");
    assert_eq!(site.get_page(&foreign).await.status, StatusCode::FORBIDDEN);
    let post = |target: &str| {
        request(Method::POST, target)
            .body(Body::empty())
            .expect("a request")
    };
    assert_eq!(
        site.send(post(&foreign)).await.status,
        StatusCode::FORBIDDEN
    );

    let done = site.send(post(delete_url)).await;
    assert_eq!(done.status, StatusCode::OK);
    assert!(done.header(header::CONTENT_TYPE).starts_with("text/html"));
    assert_gone(&site, &picture).await;
    assert_eq!(site.get_page(delete_url).await.status, StatusCode::GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_can_be_asked_for_a_day_and_is_gone_then() {
    let site = Setup::new()
        .screened_by(ScriptedScreener::no_cat())
        .start()
        .await;
    let answer = site
        .upload_to("/api/v1/pictures?wait=0", fixture("cat.webp"))
        .await
        .json();
    let status_url = answer["status_url"].as_str().expect("a URL");
    let mut changes = site.state.pictures.reading.changes();
    while site.get(status_url).await.status == StatusCode::OK {
        changes.changed().await.expect("the site runs");
    }
    site.get(status_url).await.assert_error(422, "not-a-cat");
    site.clock.advance(Duration::from_secs(24 * 3600));
    site.get(status_url).await.assert_error(410, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_without_a_verdict_ends_with_the_retention() {
    let setup = Setup::new().screened_by(ScriptedScreener::unavailable());
    let site = setup.with_retention(Duration::from_secs(60)).start().await;
    let answer = site
        .upload_to("/api/v1/pictures?wait=0", fixture("cat.webp"))
        .await
        .json();
    site.clock.advance(Duration::from_secs(60));
    site.status_of(&answer).await.assert_error(410, "gone");
    // A worker may hold the picture at this very moment. Then the sweeper leaves it, and comes
    // again.
    while !site.stored_files().is_empty() {
        site.sweep().await;
        tokio::task::yield_now().await;
    }
    site.status_of(&answer).await.assert_error(410, "gone");
}

/// The same second decides for everything. It is asked with a clock that stands at random places
/// around it.
#[tokio::test(flavor = "multi_thread")]
async fn one_instant_decides_for_images_pages_lists_tags_caches_and_the_sweeper() {
    let mut random = StdRng::seed_from_u64(7);
    let site = Setup::new()
        .with_retention(Duration::from_secs(60))
        .start_without_jobs()
        .await;
    let mut now = 1_800_000_000_000;
    for _ in 0..40 {
        now += random.random_range(1000..100_000);
        site.clock.stop_at(now);
        let picture = site.publish_by_hand().await;
        let api = format!("/api/v1/pictures/{}", url(&picture, "id"));
        let end = (now / 1000 + 60) * 1000;
        for mut millisecond in [-2001, -2000, -1999, -1, 0, 1]
            .into_iter()
            .chain([random.random_range(-3000..0), random.random_range(0..3000)])
        {
            millisecond += end;
            site.clock.stop_at(millisecond);
            let alive = millisecond < end;
            let expected = if alive {
                StatusCode::OK
            } else {
                StatusCode::GONE
            };
            let answer = site.get(image(&picture)).await;
            assert_eq!(answer.status, expected, "{}", millisecond - end);
            let stored = millisecond <= end - 2000;
            assert_eq!(
                !answer.header(header::EXPIRES).is_empty(),
                stored,
                "{}",
                millisecond - end
            );
            for target in [url(&picture, "url"), &api] {
                assert_eq!(site.get(target).await.status, expected, "{target}");
            }
            let count = usize::from(alive);
            let list = site.get("/api/v1/pictures").await.json();
            assert_eq!(list["pictures"].as_array().map(Vec::len), Some(count));
            let tags = site.get("/api/v1/tags").await.json();
            assert_eq!(tags["tags"].as_array().is_some_and(Vec::is_empty), !alive);
            if alive {
                assert_eq!(site.sweep().await, 0);
            }
        }
        site.clock.stop_at(end);
        assert_eq!(site.sweep().await, 1);
        assert_eq!(site.sweep().await, 0);
        assert_eq!(site.stored_files(), Vec::<String>::new());
        now = end;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_pictures_that_end_in_one_hour_are_swept_while_others_are_served() {
    const DYING: u64 = 100_000;
    let site = Setup::new().start_without_jobs().await;
    let survivor = { site.publish_by_hand().await };
    // These are copies of the one row, because uploading so many would take hours. They have no
    // files, which is not an error.
    let mut index = index_of(&site.data_dir).await;
    let columns = "state, received_at, delete_token_hash, content_hash, size_bytes, published_at, width, height, animated, \
                   alt, tags, tags_text, thumbhash, placeholder, perceptual_hash, stripped, variants, stored_bytes, rules";
    let copy = format!(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {DYING})
         INSERT INTO pictures (id, sequence, expires_at, {columns})
         SELECT 'CattoCat' || replace(printf('%08d', n), '0', 'Z'), sequence + n, expires_at - 86400 + n % 3600, {columns}
         FROM pictures, number"
    );
    sqlx::query(sqlx::AssertSqlSafe(copy))
        .execute(&mut index)
        .await
        .expect("copies");
    index.close().await.expect("closes");

    site.clock
        .advance(Duration::from_secs(6 * 24 * 3600 + 7200));
    let pictures = site.state.pictures.clone();
    let begun = std::time::Instant::now();
    let sweep = tokio::spawn(async move { pictures.endings.expire().await.expect("sweeps") });
    let mut served = 0_u32;
    while !sweep.is_finished() {
        assert_eq!(site.get(image(&survivor)).await.status, StatusCode::OK);
        let list = site.get("/api/v1/pictures").await.json();
        assert_eq!(list["pictures"].as_array().map(Vec::len), Some(1));
        served += 1;
    }
    assert_eq!(sweep.await.expect("ends"), DYING);
    println!(
        "{DYING} swept in {:?}, {served} pairs of requests answered meanwhile",
        begun.elapsed()
    );
    // A sweep that blocked serving would leave time for one or two.
    assert!(
        served > 20,
        "only {served} requests were answered meanwhile"
    );
    assert_eq!(site.get(image(&survivor)).await.status, StatusCode::OK);
}

/// Makes this many published copies of the one published row, and as many refusals, because
/// uploading so many would take hours. They have no files, and their ids begin with `Catto`.
async fn copy_rows(site: &Site, copies: u32) {
    let mut index = index_of(&site.data_dir).await;
    let columns = "delete_token_hash, size_bytes, published_at, width, height, animated, \
                   alt, tags, tags_text, thumbhash, placeholder, perceptual_hash, stripped, variants, stored_bytes, rules";
    let published = format!(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {copies})
         INSERT INTO pictures (id, state, received_at, sequence, expires_at, content_hash, {columns})
         SELECT 'CattoCat' || replace(printf('%08d', n), '0', 'Z'), state, received_at, sequence + n, expires_at,
                randomblob(32), {columns}
         FROM pictures, number WHERE state = 'published'"
    );
    let rejected = format!(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {copies})
         INSERT INTO pictures (id, state, received_at, rejected_at, reason, delete_token_hash, content_hash, size_bytes, rules)
         SELECT 'CattoDog' || replace(printf('%08d', n), '0', 'Z'), 'rejected', received_at, received_at, 'not-a-cat', x'',
                randomblob(32), 0, randomblob(32)
         FROM pictures, number WHERE id NOT LIKE 'Catto%' AND state = 'published'"
    );
    for query in [published, rejected] {
        let copied = sqlx::query(sqlx::AssertSqlSafe(query)).execute(&mut index);
        copied.await.expect("copies");
    }
    index.close().await.expect("closes");
}

fn index_bytes(site: &Site) -> u64 {
    let files = ["index.sqlite", "index.sqlite-wal"];
    let sizes =
        files.map(|name| std::fs::metadata(site.data_dir.join(name)).map_or(0, |file| file.len()));
    sizes.iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_over_for_long_is_forgotten_and_the_index_is_as_small_as_before() {
    const COPIES: u32 = 10_000;
    let (week, month) = (
        Duration::from_secs(7 * 24 * 3600),
        Duration::from_secs(30 * 24 * 3600),
    );
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start_without_jobs().await;
    let publish = async |site: &Site| site.publish_by_hand().await;
    let first = publish(&site).await;
    let clock = site.clock.clone();
    site.stop().await;
    let setup = Setup::within(dir.path());
    let site = setup.start_without_jobs_at(clock.clone()).await;
    let at_start = index_bytes(&site);
    copy_rows(&site, COPIES).await;
    let api = |id: &str| format!("/api/v1/pictures/{id}");
    let (copy, refusal) = (api("CattoCatZZZZZZZ1"), api("CattoDogZZZZZZZ1"));
    site.get(&refusal).await.assert_error(422, "not-a-cat");

    // A link tells for a month and a week after the end that the picture is gone.
    clock.advance(week + week + month - Duration::from_secs(60));
    assert_eq!(site.sweep().await, u64::from(COPIES) + 1);
    for gone in [&copy, &api(url(&first, "id"))] {
        site.get(gone).await.assert_error(410, "gone");
    }
    // A refusal was forgotten a week earlier.
    site.get(&refusal).await.assert_error(404, "not-found");
    let living = publish(&site).await;
    clock.advance(Duration::from_secs(120));
    for _ in 0..2 {
        site.sweep().await;
    }
    for forgotten in [&copy, &api(url(&first, "id"))] {
        site.get(forgotten).await.assert_error(404, "not-found");
    }
    // The path of an image tells by itself that it is over.
    site.get(image(&first)).await.assert_error(410, "gone");
    assert_eq!(site.get(image(&living)).await.status, StatusCode::OK);
    site.stop().await;

    let site = Setup::within(dir.path()).start_without_jobs_at(clock).await;
    let at_end = index_bytes(&site);
    println!(
        "{at_start} bytes at the start, {at_end} after {} uploads",
        2 * COPIES
    );
    assert!(
        at_end <= at_start + 400 * 1024,
        "{at_start} bytes at the start, {at_end} at the end"
    );
    assert_eq!(site.get(image(&living)).await.status, StatusCode::OK);
    let listed = site.get("/api/v1/pictures").await.json();
    assert_eq!(listed["pictures"].as_array().map(Vec::len), Some(1));
}
