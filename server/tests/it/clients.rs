//! Who is believed: the CDN's key, forged headers, and each client's share of uploads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use cattocdn::config::ClientAddress;
use futures_util::stream;
use tokio::sync::mpsc;

use crate::support::{Answer, ScriptedScreener, Setup, Site, fixture, request};

const KEY: &str = "the-key-of-the-cdn-1";
const NEXT_KEY: &str = "the-key-of-the-cdn-2";
const KEY_HEADER: &str = "x-catto-origin-key";
const ADDRESS_HEADER: &str = "x-client";

/// A site behind a CDN, where each client may upload twice an hour.
fn behind_cdn(keys: &[&str]) -> Setup {
    let mut setup = Setup::new();
    setup.config.origin.keys = keys.iter().map(|key| (*key).into()).collect();
    setup.config.origin.client_address =
        ClientAddress::Header(ADDRESS_HEADER.parse().expect("a name"));
    setup.config.limits.uploads_per_hour = 2.try_into().expect("is not zero");
    setup
}

/// Uploads over a connection from `peer`, with these headers.
async fn upload(site: &Site, peer: &str, headers: &[(&str, &str)]) -> Answer {
    let cat = Body::from(fixture("cat.webp"));
    site.send(from(peer, cat, headers)).await
}

/// An upload of this body over a connection from `peer`.
fn from(peer: &str, body: Body, headers: &[(&str, &str)]) -> Request<Body> {
    let mut upload = request(Method::POST, "/api/v1/pictures");
    for (name, value) in headers {
        upload = upload.header(*name, *value);
    }
    let mut upload = upload.body(body).expect("a request");
    let peer: SocketAddr = format!("{peer}:1234").parse().expect("an address");
    upload.extensions_mut().insert(ConnectInfo(peer));
    upload
}

#[tokio::test(flavor = "multi_thread")]
async fn while_there_is_an_origin_key_nothing_but_health_checks_is_answered_without_it() {
    let site = behind_cdn(&[KEY, NEXT_KEY]).start().await;
    let ask = async |path: &str, key: Option<&str>| {
        let mut ask = request(Method::GET, path);
        if let Some(key) = key {
            ask = ask.header(KEY_HEADER, key);
        }
        site.send(ask.body(Body::empty()).expect("a request")).await
    };
    for path in [
        "/",
        "/api/v1/pictures",
        "/robots.txt",
        "/nothing",
        "/i/20200101T000000Z/AAAAAAAAAAAAAAAA/512.webp",
    ] {
        for wrong in [
            None,
            Some("the-key-of-the-cdn-3"),
            Some("the-key-of-the-cdn-"),
            Some(""),
        ] {
            let answer = ask(path, wrong).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {wrong:?}");
            assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        }
        for right in [KEY, NEXT_KEY] {
            let answer = ask(path, Some(right)).await;
            assert_ne!(answer.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(path, None).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_its_share_of_uploads_whatever_header_it_forges() {
    let site = behind_cdn(&[]).start().await;
    for number in 0..2 {
        let forged = format!("198.51.100.{number}");
        let answer = upload(&site, "192.0.2.1", &[(ADDRESS_HEADER, &forged)]).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    }
    let refused = upload(&site, "192.0.2.1", &[(ADDRESS_HEADER, "198.51.100.9")]).await;
    refused.assert_error(429, "too-many-requests");
    let wait: u64 = refused
        .header(header::RETRY_AFTER)
        .parse()
        .expect("a number");
    assert!((1700..=1800).contains(&wait), "{wait}");
    // This does not affect another client, and the same client only for a while.
    let other = upload(&site, "192.0.2.2", &[]).await;
    assert_eq!(other.status, StatusCode::CREATED);
    site.clock.advance(Duration::from_secs(wait));
    let again = upload(&site, "192.0.2.1", &[]).await;
    assert_eq!(again.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_cdn_clients_are_told_apart_by_the_address_that_it_names() {
    let site = behind_cdn(&[KEY]).start().await;
    let cdn = "203.0.113.1";
    let from = async |address: &str| {
        let headers = [(KEY_HEADER, KEY), (ADDRESS_HEADER, address)];
        upload(&site, cdn, &headers).await.status
    };
    // The client itself sent what stands before the last address.
    for forged in ["198.51.100.1, 2001:db8:1:2::1", "2001:db8:1:2:ffff::2"] {
        assert_eq!(from(forged).await, StatusCode::CREATED);
    }
    assert_eq!(from("2001:db8:1:2::3").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        from("2001:db8:1:ff::1").await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(from("2001:db8:1:100::1").await, StatusCode::CREATED);
    assert_eq!(from("198.51.100.1").await, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_pictures_count_double() {
    let mut setup = Setup::new().screened_by(ScriptedScreener::no_cat());
    setup.config.limits.uploads_per_hour = 4.try_into().expect("is not zero");
    let site = setup.start().await;
    for file in ["cat.webp", "chelsea.png"] {
        let refused = site.send(from("192.0.2.1", fixture(file).into(), &[]));
        refused.await.assert_error(422, "not-a-cat");
    }
    upload(&site, "192.0.2.1", &[])
        .await
        .assert_error(429, "too-many-requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_file_that_is_sent_again_counts_once_whatever_refused_it() {
    let mut setup = Setup::new().screened_by(ScriptedScreener::no_cat());
    setup.config.limits.uploads_per_hour = 5.try_into().expect("is not zero");
    let site = setup.start().await;
    let send = async |file: Bytes| site.send(from("192.0.2.1", file.into(), &[])).await;
    for _ in 0..4 {
        let refused = send(fixture("cat.webp")).await;
        refused.assert_error(422, "not-a-cat");
    }
    for _ in 0..4 {
        let refused = send(Bytes::from_static(b"Buy cat food.")).await;
        refused.assert_error(415, "unsupported-type");
    }
    // Each of the two files has counted double, so one upload is left.
    let refused = send(fixture("chelsea.png")).await;
    refused.assert_error(422, "not-a-cat");
    let late = send(fixture("coffee.png")).await;
    late.assert_error(429, "too-many-requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_cannot_take_every_turn() {
    let mut setup = Setup::new();
    setup.config.limits.upload_turn_timeout = Duration::from_millis(50);
    let site = Arc::new(setup.start().await);
    let cat = fixture("cat.webp");
    let mut slow = Vec::new();
    for _ in 0..8 {
        let (pieces, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
        let body = stream::unfold(body, |mut body| async move {
            body.recv().await.map(|piece| (piece, body))
        });
        let upload = from("192.0.2.1", Body::from_stream(body), &[]);
        let site = site.clone();
        let sending = tokio::spawn(async move { site.send(upload).await.status });
        pieces.send(Ok(cat.slice(..1000))).await.expect("is read");
        slow.push((pieces, sending));
    }
    while incoming(&site) < 8 {
        tokio::task::yield_now().await;
    }
    upload(&site, "192.0.2.1", &[])
        .await
        .assert_error(503, "screening-unavailable");
    let other = upload(&site, "192.0.2.2", &[]).await;
    assert_eq!(other.status, StatusCode::CREATED, "{}", other.text());
    for (pieces, sending) in slow {
        pieces.send(Ok(cat.slice(1000..))).await.expect("is read");
        drop(pieces);
        assert_eq!(sending.await.expect("ends"), StatusCode::CREATED);
    }
    let again = upload(&site, "192.0.2.1", &[]).await;
    assert_eq!(again.status, StatusCode::CREATED);
}

/// How many uploads are being received.
fn incoming(site: &Site) -> usize {
    let files = site.stored_files();
    let is_part = |file: &&String| file.starts_with("incoming/") && file.ends_with(".part");
    files.iter().filter(is_part).count()
}
