//! A client that lost the answer to its upload sends it again with the same key, and gets the first
//! answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, StatusCode, header};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};

use crate::support::{Answer, BOUNDARY, ScriptedScreener, Setup, Site, fixture, form, request};

const URL: &str = "/api/v1/pictures";
const DAY: Duration = Duration::from_secs(24 * 3600);
const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

/// Uploads these bytes with this key from this address.
async fn send_from(site: &Site, peer: &str, key: &str, body: impl Into<Body>) -> Answer {
    let peer: SocketAddr = format!("{peer}:1234").parse().expect("an address");
    let mut upload = request(Method::POST, URL)
        .header("idempotency-key", key)
        .body(body.into())
        .expect("a request");
    upload.extensions_mut().insert(ConnectInfo(peer));
    site.send(upload).await
}

async fn send(site: &Site, key: &str, body: impl Into<Body>) -> Answer {
    send_from(site, "192.0.2.1", key, body).await
}

/// The id and the delete token of an answer to an upload.
fn names(answer: &Answer) -> (Value, Value) {
    let json = answer.json();
    assert!(
        json["id"].is_string() && json["delete_token"].is_string(),
        "{json}"
    );
    (json["id"].clone(), json["delete_token"].clone())
}

async fn count(site: &Site) -> usize {
    let list = site.get(URL).await.json();
    list["pictures"].as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_and_bytes_give_the_first_answer_again_and_no_copy() {
    let site = Site::start().await;
    let first = send(&site, KEY, fixture("cat.webp")).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
    let again = send(&site, KEY, fixture("cat.webp")).await;
    assert_eq!(again.status, StatusCode::CREATED);
    assert_eq!(again.json(), first.json());
    assert_eq!(
        again.header(header::LOCATION),
        first.header(header::LOCATION)
    );
    assert_eq!(count(&site).await, 1);

    // The token works, although the index has only its hash.
    let (id, token) = names(&again);
    let path = format!("{URL}/{}", id.as_str().expect("a text"));
    let deleted = site.delete(&path, token.as_str().expect("a text")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    send(&site, KEY, fixture("cat.webp"))
        .await
        .assert_error(410, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upload_page_repeats_as_the_interface_does() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    let form_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let send = async || {
        let body = form(&[("file", "cat.webp", &cat)]);
        let upload = request(Method::POST, "/api/ui/upload")
            .header(header::CONTENT_TYPE, &form_type)
            .header("idempotency-key", KEY)
            .body(Body::from(body));
        site.send(upload.expect("a request")).await
    };
    let (first, again) = (send().await, send().await);
    assert_eq!(
        (first.status, again.status),
        (StatusCode::CREATED, StatusCode::CREATED)
    );
    assert_eq!(names(&first), names(&again));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_other_bytes_is_an_error_and_uploads_nothing() {
    let site = Site::start().await;
    send(&site, KEY, fixture("cat.webp")).await;
    let other = send(&site, KEY, fixture("chelsea.png")).await;
    other.assert_error(422, "key-reused");
    assert_eq!(count(&site).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_is_refused_before_anything_is_kept() {
    let site = Site::start().await;
    for key in ["short", "", "with a space in it, and long"] {
        let answer = send(&site, key, fixture("cat.webp")).await;
        answer.assert_error(400, "malformed");
    }
    assert_eq!(count(&site).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_the_network_it_came_from() {
    let site = Site::start().await;
    let ours = send_from(&site, "192.0.2.1", KEY, fixture("cat.webp")).await;
    let theirs = send_from(&site, "192.0.2.2", KEY, fixture("cat.webp")).await;
    assert_ne!(names(&ours), names(&theirs));
    let theirs = send_from(&site, "192.0.2.3", KEY, fixture("chelsea.png")).await;
    assert_eq!(theirs.status, StatusCode::CREATED);
    assert_eq!(count(&site).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_can_be_repeated_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start().await;
    let first = names(&send(&site, KEY, fixture("cat.webp")).await);
    site.stop().await;
    let site = Setup::within(dir.path()).start().await;
    assert_eq!(names(&send(&site, KEY, fixture("cat.webp")).await), first);
    assert_eq!(count(&site).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_can_be_repeated_while_the_first_is_screened() {
    let gate = Arc::new(Semaphore::new(0));
    let screener = ScriptedScreener::waiting_for(gate.clone());
    let site = Setup::new().screened_by(screener).start().await;
    let url = format!("{URL}?wait=0");
    let send = async || {
        let upload = request(Method::POST, &url).header("idempotency-key", KEY);
        let upload = upload.body(Body::from(fixture("cat.webp")));
        site.send(upload.expect("a request")).await
    };
    let (first, again) = (send().await, send().await);
    assert_eq!(
        (first.status, again.status),
        (StatusCode::ACCEPTED, StatusCode::ACCEPTED)
    );
    assert_eq!(names(&first), names(&again));
    gate.add_permits(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_are_sent_at_the_same_time_the_one_that_is_whole_first_counts() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    let (go_on, stalled) = oneshot::channel::<()>();
    let (head, tail) = (cat.slice(..1000), cat.slice(1000..));
    let slow = stream::iter([head]).chain(stream::once(async move {
        stalled.await.expect("is told");
        tail
    }));
    let slow = Body::from_stream(slow.map(Ok::<Bytes, std::io::Error>));
    let quick = async {
        let answer = send(&site, KEY, cat.clone()).await;
        go_on.send(()).expect("is awaited");
        answer
    };
    let (slow, quick) = tokio::join!(send(&site, KEY, slow), quick);
    assert_eq!(
        (slow.status, quick.status),
        (StatusCode::CREATED, StatusCode::CREATED)
    );
    assert_eq!(names(&slow), names(&quick));
    assert_eq!(count(&site).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_forgotten_after_a_day_and_the_same_upload_is_a_new_one() {
    let site = Site::start().await;
    let first = names(&send(&site, KEY, fixture("cat.webp")).await);
    site.clock.advance(DAY - Duration::from_secs(60));
    assert_eq!(names(&send(&site, KEY, fixture("cat.webp")).await), first);
    site.clock.advance(Duration::from_secs(60));
    assert_ne!(names(&send(&site, KEY, fixture("cat.webp")).await), first);
    // What is swept is what was kept for longer.
    site.clock.advance(DAY);
    site.sweep().await;
    let other = send(&site, KEY, fixture("chelsea.png")).await;
    assert_eq!(other.status, StatusCode::CREATED, "{}", other.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_repeated_too() {
    let screener = ScriptedScreener::no_cat();
    let site = Setup::new().screened_by(screener).start().await;
    send(&site, KEY, fixture("cat.webp"))
        .await
        .assert_error(422, "not-a-cat");
    send(&site, KEY, fixture("cat.webp"))
        .await
        .assert_error(422, "not-a-cat");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_do_not_count_among_the_uploads_of_the_hour() {
    let mut setup = Setup::new();
    setup.config.limits.uploads_per_hour = 3.try_into().expect("is not zero");
    let site = setup.start().await;
    for number in 0..3 {
        let key = format!("{KEY}-{number}");
        for attempt in 0..2 {
            let answer = send(&site, &key, fixture("cat.webp")).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{number}, {attempt}");
        }
    }
    let next = send(&site, &format!("{KEY}-next"), fixture("cat.webp")).await;
    next.assert_error(429, "too-many-requests");
    // The answer to the last one may be the one that was lost.
    let again = send(&site, &format!("{KEY}-2"), fixture("cat.webp")).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text());
}
