//! Uploading: every way in, every answer.

use std::io::Cursor;
use std::num::NonZeroU16;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use image_webp::{LoopCount, WebPDecoder};
use tokio::sync::Semaphore;

use crate::support::{
    ScriptedScreener, Setup, Site, dimensions, files_of_a_still, fixture, request,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_upload_publishes_the_picture() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    let raw = |method: Method, url: &str| {
        request(method, url)
            .body(Body::from(cat.clone()))
            .expect("a request")
    };
    let form_type = "application/x-www-form-urlencoded";
    let as_curl = request(Method::POST, "/api/v1/pictures").header(header::CONTENT_TYPE, form_type);
    let answers = [
        site.send(raw(Method::POST, "/api/v1/pictures")).await,
        site.send(raw(Method::PUT, "/api/v1/pictures")).await,
        site.send(raw(Method::PUT, "/api/v1/pictures/..%2F%22my%20cat%22.jpg"))
            .await,
        site.send(as_curl.body(Body::from(cat.clone())).expect("a request"))
            .await,
        site.upload_form("/api/v1/pictures", &[("file", "cat.webp", &cat)])
            .await,
        site.upload_form("/api/v1/pictures", &[("file", "../\\\"😸\\\".html", &cat)])
            .await,
        site.upload_form("/api/ui/upload", &[("file", "cat.webp", &cat)])
            .await,
    ];
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(
            answer.status,
            StatusCode::CREATED,
            "way {index}: {}",
            answer.text()
        );
        let json = answer.json();
        for field in [
            "id",
            "url",
            "alt",
            "expires_at",
            "delete_token",
            "delete_url",
        ] {
            assert!(json[field].is_string(), "way {index}: {field} in {json}");
        }
        assert_eq!(
            (json["width"].as_u64(), json["height"].as_u64()),
            (Some(451), Some(300))
        );
        assert_eq!(json["tags"][0]["name"], "cat");
        assert!(json["stripped"].is_array());
        assert_eq!(
            site.get_page(json["url"].as_str().expect("a URL"))
                .await
                .status,
            StatusCode::OK
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_without_scripts_leads_to_the_picture_or_says_why_not() {
    let site = Site::start().await;
    let answer = site
        .upload_form("/upload", &[("file", "cat.webp", &fixture("cat.webp"))])
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    let page = answer.text();
    let link = |prefix: &str| {
        let (_, rest) = page
            .split_once(&format!("href=\"{prefix}"))
            .expect("a link");
        let (path, _) = rest.split_once('"').expect("an end");
        format!("{prefix}{path}")
    };
    assert_eq!(site.get_page(&link("/c/")).await.status, StatusCode::OK);
    let (_, deletion) = page.split_once("/delete/").expect("a delete link");
    let (deletion, _) = deletion.split_once('"').expect("an end");
    let deletion = site.get_page(&format!("/delete/{deletion}")).await;
    assert_eq!(deletion.status, StatusCode::OK);

    let site = Setup::new()
        .screened_by(ScriptedScreener::no_cat())
        .start()
        .await;
    let answer = site
        .upload_form("/upload", &[("file", "cat.webp", &fixture("cat.webp"))])
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.header(header::CONTENT_TYPE).starts_with("text/html"));
    assert!(
        answer.text().contains("could not find a cat"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_picture_has_every_file_and_none_is_wider_than_the_upload() {
    let site = Site::start().await;
    let json = site.upload(fixture("chelsea.png")).await.json();
    let images = json["images"].as_object().expect("images");
    assert_eq!(images.len(), files_of_a_still().len());
    for name in files_of_a_still() {
        let url = images[&name.to_string()].as_str().expect("a URL");
        let answer = site.get(url).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        let kind = name.format().content_type();
        assert_eq!(answer.header(header::CONTENT_TYPE), kind);
        // The upload is 451 pixels wide and 300 high.
        let width = name.width().min(451);
        let (found, height) = dimensions(&answer.body);
        assert_eq!(found, width, "{name}");
        assert!(
            (height * 451).abs_diff(width * 300) <= 226,
            "{name}: {height}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_camera_added_is_named_and_gone_and_the_picture_stands_upright() {
    let site = Site::start().await;
    let json = site.upload(fixture("cat-sideways.jpg")).await.json();
    assert_eq!(
        (json["width"].as_u64(), json["height"].as_u64()),
        (Some(451), Some(300))
    );
    let stripped: Vec<&str> = json["stripped"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|kind| kind.as_str())
        .collect();
    for kind in ["exif", "gps", "icc", "comment"] {
        assert!(stripped.contains(&kind), "{kind} in {stripped:?}");
    }
    for url in json["images"].as_object().expect("images").values() {
        let body = site.get(url.as_str().expect("a URL")).await.body;
        for secret in [
            &b"Exif"[..],
            b"EXIF",
            b"ICC",
            b"secret",
            b"SecretCamera",
            b"http://ns.adobe.com",
        ] {
            assert!(
                !body.windows(secret.len()).any(|window| window == secret),
                "{url} holds {secret:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_picture_leaves_no_byte_and_its_reason_can_be_asked_for() {
    for (screener, code) in [
        (ScriptedScreener::no_cat(), "not-a-cat"),
        (ScriptedScreener::indecent(), "unsafe"),
    ] {
        let site = Setup::new().screened_by(screener).start().await;
        site.upload(fixture("cat.webp"))
            .await
            .assert_error(422, code);
        assert_eq!(site.stored_files(), Vec::<String>::new());
        assert_eq!(
            site.get("/api/v1/pictures").await.json()["pictures"],
            serde_json::json!([])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_takes_long_is_answered_202_and_shows_nothing_before_its_verdict() {
    let gate = Arc::new(Semaphore::new(0));
    let site = Setup::new()
        .screened_by(ScriptedScreener::waiting_for(gate.clone()))
        .start()
        .await;
    let answer = site
        .upload_to("/api/v1/pictures?wait=0", fixture("cat.webp"))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    let json = answer.json();
    assert!(
        json.get("images").is_none() && json.get("expires_at").is_none(),
        "{json}"
    );

    let status_url = json["status_url"].as_str().expect("a URL");
    let status = site.get(status_url).await;
    assert_eq!(
        (status.status, status.json()["state"].as_str()),
        (StatusCode::OK, Some("screening"))
    );
    assert_eq!(status.header(header::CACHE_CONTROL), "no-store");
    // The browser asks this again and again.
    let id = json["id"].as_str().expect("an id");
    let ask = request(Method::POST, "/api/ui/status")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let ask = ask.body(Body::from(format!("id={id}")));
    let pending = site.send(ask.expect("a request")).await;
    assert_eq!(pending.status, StatusCode::OK, "{}", pending.text());
    assert_eq!(pending.json(), serde_json::json!({ "published": null }));
    assert_eq!(pending.header(header::CACHE_CONTROL), "no-store");
    let page = site.get_page(json["url"].as_str().expect("a URL")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header(header::CACHE_CONTROL), "no-store");
    assert!(
        !page.text().contains("/i/20"),
        "no image is named before the verdict"
    );
    assert_eq!(
        site.get("/api/v1/pictures").await.json()["pictures"],
        serde_json::json!([])
    );
    assert!(
        site.stored_files()
            .iter()
            .all(|file| file.starts_with("incoming/")),
        "{:?}",
        site.stored_files()
    );

    let mut changes = site.state.pictures.reading.changes();
    gate.add_permits(Semaphore::MAX_PERMITS);
    while site.get(status_url).await.json()["state"] == "screening" {
        changes.changed().await.expect("the site runs");
    }
    assert_eq!(site.get(status_url).await.json()["state"], "published");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_published_while_screening_is_unavailable() {
    let site = Setup::new()
        .screened_by(ScriptedScreener::unavailable())
        .start()
        .await;
    let answer = site
        .upload_to("/api/v1/pictures?wait=1", fixture("cat.webp"))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert!(
        site.stored_files()
            .iter()
            .all(|file| file.starts_with("incoming/")),
        "{:?}",
        site.stored_files()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_uploaded_at_once_get_their_own_ids_and_tokens() {
    let site = Site::start().await;
    let (a, b) = tokio::join!(site.publish(), site.publish());
    assert_ne!(a["id"], b["id"]);
    assert_ne!(a["delete_token"], b["delete_token"]);
    let delete = |picture: &serde_json::Value, token: &serde_json::Value| {
        let url = format!(
            "/api/v1/pictures/{}",
            picture["id"].as_str().expect("an id")
        );
        let bearer = format!("Bearer {}", token.as_str().expect("a token"));
        request(Method::DELETE, &url)
            .header(header::AUTHORIZATION, bearer)
            .body(Body::empty())
            .expect("a request")
    };
    site.send(delete(&a, &b["delete_token"]))
        .await
        .assert_error(403, "forbidden");
    assert_eq!(
        site.send(delete(&a, &a["delete_token"])).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        site.get_page(b["url"].as_str().expect("a URL"))
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_kind_of_file_is_published() {
    let site = Site::start().await;
    for name in [
        "chelsea.png",
        "cat-16bit.png",
        "cat-text.png",
        "cat-transparent.png",
        "cat-cmyk.jpg",
        "cat-gray.jpg",
        "cat.webp",
        "cat.gif",
        "cat-animated.gif",
        "cat-animated.webp",
    ] {
        let answer = site.upload(fixture(name)).await;
        assert_eq!(
            answer.status,
            StatusCode::CREATED,
            "{name}: {}",
            answer.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_animation_stays_one_and_its_jpeg_is_a_still() {
    let site = Site::start().await;
    for name in ["cat-animated.gif", "cat-animated.webp"] {
        let json = site.upload(fixture(name)).await.json();
        let image = site
            .get(json["images"]["320.webp"].as_str().expect("a URL"))
            .await
            .body;
        let decoder = WebPDecoder::new(Cursor::new(&image[..])).expect("is a WebP");
        assert!(decoder.is_animated(), "{name}");
        assert_eq!(decoder.num_frames(), 12, "{name}");
        for still in ["1280.jpg", "512.jpg"] {
            let url = json["images"][still].as_str().expect("a URL");
            let image = site.get(url).await.body;
            assert_eq!(dimensions(&image), (285, 225), "{name} {still}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_animation_is_played_as_often_as_it_was_before() {
    let site = Site::start().await;
    let gif = fixture("cat-animated.gif").to_vec();
    let netscape = find(&gif, b"NETSCAPE2.0");
    // Two bytes of the GIF's number, behind eleven letters and two bytes of the block.
    let gif_playing = |again: u16| {
        let mut gif = gif.clone();
        gif[netscape + 13..netscape + 15].copy_from_slice(&again.to_le_bytes());
        gif
    };
    let mut gif_without = gif.clone();
    gif_without.drain(netscape - 3..netscape + 16);
    let webp = fixture("cat-animated.webp").to_vec();
    let anim = find(&webp, b"ANIM");
    let webp_playing = |times: u16| {
        let mut webp = webp.clone();
        webp[anim + 12..anim + 14].copy_from_slice(&times.to_le_bytes());
        webp
    };
    let times = |n| LoopCount::Times(NonZeroU16::new(n).expect("is no 0"));
    for (upload, expected) in [
        (gif_playing(0), LoopCount::Forever),
        // A GIF says how often it is played again.
        (gif_playing(2), times(3)),
        (gif_without, times(1)),
        (webp_playing(0), LoopCount::Forever),
        (webp_playing(5), times(5)),
    ] {
        let json = site.upload(upload).await.json();
        let url = json["images"]["512.webp"].as_str().expect("a URL");
        let image = site.get(url).await.body;
        let decoder = WebPDecoder::new(Cursor::new(&image[..])).expect("is a WebP");
        assert_eq!(decoder.loop_count(), expected);
    }
}

/// Where these bytes are in the file.
fn find(file: &[u8], bytes: &[u8]) -> usize {
    let mut windows = file.windows(bytes.len());
    windows
        .position(|window| window == bytes)
        .expect("has them")
}
