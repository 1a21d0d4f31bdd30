//! The bytes of images: validators, ranges and cache headers.

use axum::body::Body;
use axum::http::{HeaderName, Method, StatusCode, header};

use crate::support::{Answer, Site, request};

async fn ask(site: &Site, method: Method, url: &str, headers: &[(HeaderName, &str)]) -> Answer {
    let mut request = request(method, url);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    site.send(request.body(Body::empty()).expect("a request"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_can_be_kept_until_a_second_before_its_end_by_every_cache() {
    let site = Site::start().await;
    let json = site.publish().await;
    let answer = site
        .get(json["images"]["512.webp"].as_str().expect("a URL"))
        .await;
    assert_eq!(
        answer.header(header::CACHE_CONTROL),
        "public, immutable, must-revalidate, stale-while-revalidate=0, stale-if-error=0"
    );
    let expires = httpdate::parse_http_date(answer.header(header::EXPIRES)).expect("a date");
    let end: std::time::SystemTime =
        humantime::parse_rfc3339(json["expires_at"].as_str().expect("a time")).expect("a time");
    assert_eq!(
        end.duration_since(expires).expect("lies after").as_secs(),
        1
    );
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::CONTENT_SECURITY_POLICY, "sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::ACCEPT_RANGES, "bytes"),
    ] {
        assert_eq!(answer.header(&name), value, "{name}");
    }
    assert!(
        answer
            .header("x-robots-tag")
            .starts_with("noarchive, unavailable_after: ")
    );
    for name in [header::SET_COOKIE, header::VARY] {
        assert!(!answer.headers.contains_key(&name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn validators_ranges_and_head_are_answered_as_http_says() {
    let site = Site::start().await;
    let json = site.publish().await;
    let url = json["images"]["320.webp"].as_str().expect("a URL");
    let whole = site.get(url).await;
    let etag = whole.header(header::ETAG).to_owned();
    assert!(etag.starts_with('"'), "{etag} is strong");
    let length = whole.body.len();

    let not_modified = ask(&site, Method::GET, url, &[(header::IF_NONE_MATCH, &etag)]).await;
    assert_eq!(
        (not_modified.status, not_modified.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    assert!(
        not_modified
            .header(header::CACHE_CONTROL)
            .starts_with("public")
    );

    let head = ask(&site, Method::HEAD, url, &[]).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header(header::CONTENT_LENGTH), length.to_string());

    let part = ask(&site, Method::GET, url, &[(header::RANGE, "bytes=2-9")]).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        part.header(header::CONTENT_RANGE),
        format!("bytes 2-9/{length}")
    );
    assert_eq!(part.body[..], whole.body[2..10]);

    let current = ask(
        &site,
        Method::GET,
        url,
        &[(header::RANGE, "bytes=-4"), (header::IF_RANGE, &etag)],
    )
    .await;
    assert_eq!(
        (current.status, &current.body[..]),
        (StatusCode::PARTIAL_CONTENT, &whole.body[length - 4..])
    );
    let outdated = ask(
        &site,
        Method::GET,
        url,
        &[(header::RANGE, "bytes=-4"), (header::IF_RANGE, "\"other\"")],
    )
    .await;
    assert_eq!(
        (outdated.status, outdated.body.len()),
        (StatusCode::OK, length)
    );

    let beyond = ask(
        &site,
        Method::GET,
        url,
        &[(header::RANGE, "bytes=99999999-")],
    )
    .await;
    beyond.assert_error(416, "range-not-satisfiable");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_exactly_the_pictures_is_not_found() {
    let site = Site::start().await;
    let json = site.publish().await;
    let url = json["images"]["320.webp"].as_str().expect("a URL");
    let (_, path) = url.split_once("/i/").expect("an image URL");
    let parts: Vec<&str> = path.split('/').collect();
    for other in [
        format!("/i/20990101T000000Z/{}/320.webp", parts[1]),
        format!("/i/{}/{}/4096.webp", parts[0], parts[1]),
        format!("/i/{}/AAAAAAAAAAAAAAAA/320.webp", parts[0]),
        format!("/i/{}/..%2F..%2Fmeta/320.webp", parts[0]),
        format!("/i/{}/{}/..%2f320.webp", parts[0], parts[1]),
    ] {
        ask(&site, Method::GET, &other, &[])
            .await
            .assert_error(404, "not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_immutable_and_encoded_only_for_those_who_can_read_it() {
    let site = Site::start().await;
    let url = "/pkg/cattocdn.0123.css";
    let plain = site.get(url).await;
    assert_eq!(plain.text(), "body{}");
    assert_eq!(
        plain.header(header::CACHE_CONTROL),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(plain.header(header::VARY), "accept-encoding");
    let brotli = ask(
        &site,
        Method::GET,
        url,
        &[(header::ACCEPT_ENCODING, "gzip, br")],
    )
    .await;
    assert_eq!(
        (
            brotli.header(header::CONTENT_ENCODING),
            brotli.text().as_str()
        ),
        ("br", "brotli of body{}")
    );
    assert_eq!(brotli.header(header::VARY), "accept-encoding");
    assert_ne!(brotli.header(header::ETAG), plain.header(header::ETAG));
    site.get("/pkg/other.css")
        .await
        .assert_error(404, "not-found");
}
