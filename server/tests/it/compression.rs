//! Pages and lists come compressed to those who accept that, unless a CDN in front does it, and no
//! cache confuses the two forms.

use std::io::Read;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use flate2::read::GzDecoder;
use secrecy::SecretString;

use crate::support::caches::Chain;
use crate::support::process::Launch;
use crate::support::{Answer, Setup, Site, request};

/// What is large enough to be compressed, and shows no picture that ends.
const URLS: [&str; 4] = ["/", "/about", "/api/v1/pictures", "/nothing-here"];

async fn ask(site: &Site, url: &str, encoding: &str, if_none_match: &str) -> Answer {
    let asked = request(Method::GET, url)
        .header(header::ACCEPT, "text/html")
        .header(header::ACCEPT_ENCODING, encoding)
        .header(header::IF_NONE_MATCH, if_none_match);
    site.send(asked.body(Body::empty()).expect("a request"))
        .await
}

fn unzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let read = GzDecoder::new(bytes).read_to_end(&mut plain);
    read.expect("is gzip");
    plain
}

#[tokio::test(flavor = "multi_thread")]
async fn each_coding_has_the_same_content_and_an_etag_of_its_own() {
    let site = Site::start().await;
    site.publish().await;
    for url in URLS {
        let plain = ask(&site, url, "identity", "\"x\"").await;
        let gzip = ask(&site, url, "br, gzip", "\"x\"").await;
        assert_eq!(plain.header(header::CONTENT_ENCODING), "", "{url}");
        assert_eq!(gzip.header(header::CONTENT_ENCODING), "gzip", "{url}");
        assert_eq!(unzip(&gzip.body), plain.body, "{url}");
        assert!(gzip.body.len() * 2 < plain.body.len(), "{url}");
        for answer in [&plain, &gzip] {
            assert_eq!(answer.header(header::VARY), "accept-encoding", "{url}");
            let length = answer.body.len().to_string();
            assert_eq!(answer.header(header::CONTENT_LENGTH), length, "{url}");
        }
        let [plain, gzip] = [plain, gzip].map(|answer| answer.header(header::ETAG).to_owned());
        if url == "/nothing-here" {
            continue;
        }
        assert_ne!(plain, gzip, "{url}");
        for (encoding, own, other) in [("identity", &plain, &gzip), ("gzip", &gzip, &plain)] {
            let known = ask(&site, url, encoding, own).await;
            assert_eq!(
                known.status,
                StatusCode::NOT_MODIFIED,
                "{url} in {encoding}"
            );
            assert_eq!(known.header(header::ETAG), own, "{url} in {encoding}");
            assert_eq!(known.header(header::VARY), "accept-encoding", "{url}");
            assert_eq!(known.header(header::CONTENT_ENCODING), "", "{url}");
            let unknown = ask(&site, url, encoding, other).await;
            assert_eq!(unknown.status, StatusCode::OK, "{url} in {encoding}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_cdn_nothing_is_compressed() {
    let key = "0123456789abcdef";
    let mut setup = Setup::new();
    setup.config.origin.keys = vec![SecretString::from(key)];
    let site = setup.start().await;
    let asked = request(Method::GET, "/about")
        .header("x-catto-origin-key", key)
        .header(header::ACCEPT_ENCODING, "gzip");
    let answer = site
        .send(asked.body(Body::empty()).expect("a request"))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(header::CONTENT_ENCODING), "");
    assert!(!answer.headers.contains_key(header::VARY));
}

#[test]
fn caches_keep_each_form_of_a_page_apart() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Launch::within(dir.path()).serve();
    let caches = Chain::before(&server.address, dir.path());
    for url in ["/about", "/"] {
        for outcome in ["MISS", "HIT"] {
            for (encoding, coding) in [("gzip", "gzip"), ("identity", ""), ("gzip, br", "gzip")] {
                let direct = server.client().get_encoded(url, encoding);
                let direct = direct.expect("is answered");
                let answer = caches.outer().get_encoded(url, encoding);
                let answer = answer.expect("is answered");
                assert_eq!(
                    answer.header("content-encoding"),
                    coding,
                    "{url} in {encoding}"
                );
                assert_eq!(answer.body, direct.body, "{url} in {encoding}");
                assert_eq!(
                    answer.header("etag"),
                    direct.header("etag"),
                    "{url} in {encoding}"
                );
                if encoding != "gzip, br" {
                    assert_eq!(answer.header("x-outer"), outcome, "{url} in {encoding}");
                }
            }
        }
    }
}
