//! Pictures whose uploaders asked for a shorter life than the site's retention.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::{Answer, BOUNDARY, Setup, Site, fixture, form, image, path_of, request};

const API: &str = "/api/v1/pictures";
const HOUR: i64 = 3600;
const WEEK: i64 = 7 * 24 * HOUR;

fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().expect("is there")
}

/// How many seconds lie between a picture's publication and its end.
async fn life(site: &Site, id: &str) -> i64 {
    let picture = site.get(&format!("{API}/{id}")).await.json();
    let second = |field: &str| {
        let instant: Timestamp = text(&picture, field).parse().expect("an instant");
        instant.as_second()
    };
    second("expires_at") - second("published_at")
}

/// The life of what was uploaded last.
async fn last_life(site: &Site) -> i64 {
    let list = site.get(&format!("{API}?limit=1")).await.json();
    life(site, text(&list["pictures"][0], "id")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_life_ends_the_picture_everywhere() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start_without_jobs().await;
    site.clock.stop_at(1_800_000_000_000);
    let upload = site
        .upload_to(&format!("{API}?wait=0&expires_in=600"), fixture("cat.webp"))
        .await;
    assert_eq!(upload.status, StatusCode::ACCEPTED, "{}", upload.text());
    let upload = upload.json();
    // It lives from when it is published, however long that took.
    site.clock.stop_at(1_800_001_000_000);
    assert!(site.work().await);
    let id = text(&upload, "id");
    let picture = site.get(&format!("{API}/{id}")).await.json();
    let end = 1_800_001_600;
    let compact = "20270115T082640Z";
    assert_eq!(text(&picture, "expires_at"), "2027-01-15T08:26:40Z");
    assert_eq!(
        Timestamp::from_second(end).expect("an instant").to_string(),
        "2027-01-15T08:26:40Z"
    );
    let file = path_of(image(&picture)).to_owned();
    assert!(file.starts_with(&format!("/i/{compact}/")), "{file}");
    let stored = site.stored_files();
    assert!(
        stored
            .iter()
            .any(|name| name.contains(&format!("objects/i/{compact}/"))),
        "{stored:?}"
    );
    assert_eq!(
        site.get(&file).await.header(header::EXPIRES),
        "Fri, 15 Jan 2027 08:26:39 GMT"
    );
    let page = site.get_page(&format!("/c/{id}")).await;
    assert!(page.text().contains("2027-01-15T08:26:40Z"));
    assert!(page.header("x-robots-tag").contains("2027-01-15T08:26:40Z"));
    let data_dir = site.data_dir.clone();
    let manifest = data_dir.join(format!("objects/meta/{id}.json"));
    let manifest = std::fs::read_to_string(manifest).expect("a manifest");
    assert!(manifest.contains("\"2027-01-15T08:26:40Z\""), "{manifest}");

    // A picture that stays for a week changes nothing about it, and neither does a new index.
    site.publish_by_hand().await;
    site.stop().await;
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _absent = std::fs::remove_file(data_dir.join(name));
    }
    let site = Setup::within(dir.path()).start_without_jobs().await;
    site.clock.stop_at((end - 1) * 1000);
    assert_eq!(site.get(&file).await.status, StatusCode::OK);
    assert_eq!(life(&site, id).await, 600);
    site.clock.stop_at(end * 1000);
    for url in [&*file, &format!("/c/{id}"), &format!("{API}/{id}")] {
        assert_eq!(site.get(url).await.status, StatusCode::GONE, "{url}");
    }
    assert_eq!(site.sweep().await, 1);
    let left = site.stored_files();
    assert!(!left.iter().any(|name| name.contains(id)), "{left:?}");
    let list = site.get(API).await.json();
    assert_eq!(list["pictures"].as_array().map(Vec::len), Some(1));
}

/// Sends a form with these fields.
async fn send(
    site: &Site,
    url: &str,
    fields: &[(&str, &[u8])],
    extra: Option<(&str, &str)>,
) -> Answer {
    let parts: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, "", *value))
        .collect();
    let mut upload = request(Method::POST, url)
        .header(
            header::CONTENT_TYPE,
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .header(header::ACCEPT, "application/json");
    if let Some((name, value)) = extra {
        upload = upload.header(name, value);
    }
    site.send(upload.body(Body::from(form(&parts))).expect("a request"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_upload_takes_a_shorter_life() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    let cat: &[u8] = &cat;
    type Case<'a> = (&'a str, &'a [(&'a str, &'a [u8])], i64);
    let cases: &[Case<'_>] = &[
        ("/api/v1/pictures?expires_in=1h", &[("file", cat)], HOUR),
        (
            "/api/v1/pictures",
            &[("expires_in", b"300"), ("file", cat)],
            300,
        ),
        (
            "/api/v1/pictures?expires_in=7200",
            &[("file", cat), ("expires_in", b"")],
            2 * HOUR,
        ),
        ("/upload", &[("file", cat), ("expires_in", b"3600")], HOUR),
        ("/upload", &[("file", cat), ("expires_in", b"")], WEEK),
        (
            "/api/ui/upload",
            &[("expires_in", b"86400"), ("file", cat)],
            24 * HOUR,
        ),
        ("/1/upload", &[("image", cat), ("expiration", b"600")], 600),
        ("/1/upload?key=x&expiration=600", &[("image", cat)], 600),
        (
            "/1/upload",
            &[("image", cat), ("expiration", b"15552000")],
            WEEK,
        ),
        ("/1/upload", &[("image", cat), ("expiration", b"0")], WEEK),
        (
            "/api/1/upload",
            &[("source", cat), ("expiration", b"P1D")],
            24 * HOUR,
        ),
        (
            "/resources/internals/api.php",
            &[
                ("reqtype", b"fileupload"),
                ("time", b"12h"),
                ("fileToUpload", cat),
            ],
            12 * HOUR,
        ),
        (
            "/resources/internals/api.php",
            &[("reqtype", b"fileupload"), ("fileToUpload", cat)],
            WEEK,
        ),
        ("/", &[("file", cat), ("expires", b"2")], 2 * HOUR),
    ];
    for (url, fields, expected) in cases {
        let answer = send(&site, url, fields, None).await;
        assert!(answer.status.is_success(), "{url}: {}", answer.text());
        assert_eq!(last_life(&site).await, *expected, "{url}");
    }
    let until = (site.clock.now().as_millisecond() + 3 * HOUR * 1000).to_string();
    let answer = send(
        &site,
        "/",
        &[("file", cat), ("expires", until.as_bytes())],
        None,
    )
    .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let life = last_life(&site).await;
    assert!((3 * HOUR - 60..=3 * HOUR).contains(&life), "{life}");
    let answer = send(&site, "/", &[("file", cat)], Some(("expire", "10min"))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(last_life(&site).await, 600);
    // What is told of it is the truth.
    let answer = send(
        &site,
        "/1/upload",
        &[("image", cat), ("expiration", b"600")],
        None,
    )
    .await;
    let left = answer.json()["data"]["expiration"]
        .as_i64()
        .expect("seconds");
    assert!((590..=600).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_that_cannot_be_had_is_malformed_and_nothing_is_uploaded() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    let cat: &[u8] = &cat;
    for lives in [
        "299",
        "0",
        "604801",
        "-3600",
        "3600.5",
        "soon",
        "1%20month",
        "%2B600",
    ] {
        let url = format!("{API}?expires_in={lives}");
        site.upload_to(&url, fixture("cat.webp"))
            .await
            .assert_error(400, "malformed");
    }
    let long = [&[b'0'; 60][..], b"36000"].concat();
    type Case<'a> = (&'a str, &'a [(&'a str, &'a [u8])]);
    let cases: &[Case<'_>] = &[
        (API, &[("file", cat), ("expires_in", b"soon")]),
        (API, &[("expires_in", &[b'1'; 5000]), ("file", cat)]),
        // Its first 64 bytes are another time.
        (API, &[("expires_in", &long), ("file", cat)]),
        (
            API,
            &[
                ("expires_in", b"600"),
                ("expires_in", b"900"),
                ("file", cat),
            ],
        ),
        (
            "/1/upload",
            &[
                ("image", cat),
                ("expiration", b"600"),
                ("expiration", b"700"),
            ],
        ),
        ("/upload", &[("expires_in", b"10"), ("file", cat)]),
        ("/api/ui/upload", &[("expires_in", b"10"), ("file", cat)]),
        ("/1/upload", &[("image", cat), ("expiration", b"60")]),
        ("/1/upload?expiration=later", &[("image", cat)]),
        (
            "/resources/internals/api.php",
            &[("time", b"1 minute"), ("fileToUpload", cat)],
        ),
        ("/", &[("file", cat), ("expires", b"tomorrow")]),
        ("/", &[("file", cat), ("expires", b"1650460320000")]),
    ];
    for (url, fields) in cases {
        let answer = send(&site, url, fields, None).await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{url}: {}",
            answer.text()
        );
    }
    let list = site.get(API).await.json();
    assert_eq!(list["pictures"].as_array().map(Vec::len), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_upload_keeps_the_life_that_was_asked_for_first() {
    let site = Site::start().await;
    let key = Some(("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324"));
    let cat = fixture("cat.webp");
    let first = send(
        &site,
        &format!("{API}?expires_in=1h"),
        &[("file", &cat)],
        key,
    )
    .await;
    let again = send(&site, API, &[("file", &cat)], key).await;
    assert_eq!(again.status, StatusCode::CREATED);
    assert_eq!(again.json(), first.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upload_page_offers_shorter_lives_where_the_site_has_longer() {
    for (retention, offered) in [
        (WEEK, 3),
        (2 * 24 * HOUR, 2),
        (24 * HOUR, 1),
        (HOUR, 0),
        (12, 0),
    ] {
        let retention = Duration::from_secs(retention.unsigned_abs());
        let site = Setup::new()
            .with_retention(retention)
            .start_without_jobs()
            .await;
        let page = site.get_page("/upload").await.text();
        let options = page.matches("<option").count();
        let expected = if offered == 0 { 0 } else { offered + 1 };
        assert_eq!(options, expected, "{retention:?}");
        assert_eq!(
            page.contains("name=\"expires_in\""),
            offered > 0,
            "{retention:?}"
        );
    }
}
