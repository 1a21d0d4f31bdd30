//! What each URL tells caches, read from its headers with a clock that stands still.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use cattocdn::http::declarations;
use cattocdn::http::declared::{Caching, Declaration, Kind};
use serde_json::Value;

use crate::support::{ADMIN_TOKEN, Answer, Setup, Site, path_of, request, showing};

/// The beginning of a minute.
const NOW: i64 = 1_800_000_000;

/// A site without jobs whose clock stands still, with a picture that has this many seconds to live.
async fn site_with_a_picture(seconds: u64) -> (Site, Value) {
    let setup = Setup::new().with_retention(Duration::from_secs(seconds));
    let site = setup.start_without_jobs().await;
    site.clock.stop_at(NOW * 1000);
    let picture = site.publish_by_hand().await;
    (site, picture)
}

fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().expect("is there")
}

/// The number of a directive such as `max-age=60`; 0 where it is missing.
fn number(answer: &Answer, name: &str, directive: &str) -> u64 {
    let found = answer
        .header(name)
        .split(", ")
        .find_map(|part| part.strip_prefix(directive)?.strip_prefix('='));
    found.map_or(0, |value| value.parse().expect("a number"))
}

/// How long after this answer somebody may be shown it at worst, because every cache begins a
/// lifetime of its own. The browser and CloudFront read the same window for stale answers.
fn sum(answer: &Answer) -> u64 {
    const CLOUDFLARE: &str = "cloudflare-cdn-cache-control";
    number(answer, "cache-control", "max-age")
        + number(answer, "cache-control", "s-maxage")
        + 2 * number(answer, "cache-control", "stale-while-revalidate")
        + number(answer, CLOUDFLARE, "max-age")
        + number(answer, CLOUDFLARE, "stale-while-revalidate")
}

/// True for the address of one picture and of lists of them.
fn shows_pictures(declaration: &Declaration) -> bool {
    const FIGURES: [&str; 5] = [
        "/status",
        "/status.json",
        "/sitemap.xml",
        "/tags",
        "/api/v1/tags",
    ];
    match declaration.caching {
        Caching::Kept(Kind::Picture, _) => true,
        Caching::Kept(Kind::List, _) => !FIGURES.contains(&declaration.path),
        Caching::Kept(
            Kind::Image | Kind::Immutable | Kind::Document | Kind::Slot | Kind::Nothing,
            _,
        )
        | Caching::Never => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_a_picture_is_kept_but_never_to_its_second_whatever_is_left() {
    for left in [2, 3, 4, 31, 200, 1000, 7 * 24 * 3600] {
        let (site, picture) = site_with_a_picture(left).await;
        let tag = format!("p-{}", text(&picture, "id"));
        for declaration in declarations().iter().filter(|one| shows_pictures(one)) {
            let (url, is_page) = (showing(declaration, &picture), declaration.is_page);
            let answer = site.get(&url).await;
            assert_eq!(answer.status, StatusCode::OK, "{url}");
            let sum = sum(&answer);
            assert!(
                sum < left,
                "{url} with {left} s left may be shown for {sum} s"
            );
            if left < 4 {
                assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{url}");
                continue;
            }
            assert!(sum > 0, "{url} with {left} s left");
            assert!(number(&answer, "cache-control", "max-age") <= 60, "{url}");
            let tags: Vec<&str> = answer.header("cache-tag").split(',').collect();
            assert!(tags.contains(&&*tag), "{url}: {tags:?}");
            assert_eq!(tags.contains(&"html"), is_page, "{url}: {tags:?}");
            for never in [header::SET_COOKIE, header::EXPIRES] {
                assert!(!answer.headers.contains_key(&never), "{url}: {never}");
            }
            assert!(
                matches!(answer.header(header::VARY), "" | "accept-encoding"),
                "{url}"
            );
        }
        let tags = site.get("/api/v1/tags").await;
        assert!(
            sum(&tags) < left && (sum(&tags) > 0) == (left > 3),
            "{left}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_by_the_first_of_its_pictures_to_end() {
    let (site, _) = site_with_a_picture(1000).await;
    site.clock.stop_at((NOW + 900) * 1000);
    site.publish_by_hand().await;
    let urls = ["/", "/api/v1/pictures", "/api/v1/tags"];
    for url in urls {
        let sum = sum(&site.get(url).await);
        assert!((90..100).contains(&sum), "{url}: {sum}");
    }
    // The first picture is over but not swept yet. Nothing shows it, so nothing ends with it.
    site.clock.stop_at((NOW + 1000) * 1000);
    for url in urls {
        assert!(sum(&site.get(url).await) > 400, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_answers_304_with_the_same_policy_and_tags() {
    let (site, picture) = site_with_a_picture(100_000).await;
    for url in [path_of(text(&picture, "url")), "/", "/api/v1/pictures"] {
        let first = site.get(url).await;
        let again =
            request(Method::GET, url).header(header::IF_NONE_MATCH, first.header(header::ETAG));
        let again = site
            .send(again.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{url}");
        for name in [
            "cache-control",
            "cloudflare-cdn-cache-control",
            "cache-tag",
            "etag",
        ] {
            assert_eq!(again.header(name), first.header(name), "{url} {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_is_one_answer_until_its_minute_is_over() {
    let (site, picture) = site_with_a_picture(100_000).await;
    site.get("/random").await;
    // With two pictures, one is drawn anew each minute.
    site.publish_by_hand().await;
    for minute in 1..6 {
        let mut answers = Vec::new();
        for second in [0, 1, 30, 59] {
            site.clock.stop_at((NOW + minute * 60 + second) * 1000);
            let answer = site.get("/random").await;
            assert_eq!(answer.status, StatusCode::FOUND);
            if second < 59 {
                let expires =
                    httpdate::parse_http_date(answer.header(header::EXPIRES)).expect("a date");
                let end = std::time::UNIX_EPOCH
                    + Duration::from_secs((NOW + minute * 60 + 60).unsigned_abs());
                assert_eq!(expires, end);
            }
            assert!(!answer.header(header::CACHE_CONTROL).contains("max-age"));
            answers.push(answer.header(header::LOCATION).to_owned());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    let api = format!("/api/v1/pictures/{}", text(&picture, "id"));
    site.delete(&api, ADMIN_TOKEN).await;
    assert_eq!(site.get("/random").await.status, StatusCode::FOUND);
    site.clock.stop_at((NOW + 200_000) * 1000);
    assert_eq!(site.get("/random").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_nothing_is_kept_by_its_kind() {
    let (site, picture) = site_with_a_picture(100_000).await;
    let delete =
        path_of(text(&picture, "url")).replace("/c/", "/delete/") + "/1111111111111111111111";
    for (url, status, cache_control) in [
        (
            "/about",
            200,
            "public, max-age=60, s-maxage=3600, stale-while-revalidate=0, stale-if-error=0",
        ),
        (
            "/robots.txt",
            200,
            "public, max-age=60, s-maxage=3600, stale-while-revalidate=0, stale-if-error=0",
        ),
        ("/search?q=CAT&fbclid=1", 301, "public, max-age=86400"),
        ("/nothing", 404, "public, max-age=10"),
        ("/c/AAAAAAAAAAAAAAAA", 404, "public, max-age=10"),
        (
            "/i/20200101T000000Z/AAAAAAAAAAAAAAAA/512.webp",
            410,
            "public, max-age=86400",
        ),
        ("/api/v1/pictures?limit=0", 400, "no-store"),
        ("/healthz", 200, "no-store"),
        (&*delete, 403, "no-store"),
    ] {
        let answer = site.get(url).await;
        assert_eq!(answer.status.as_u16(), status, "{url}");
        assert_eq!(answer.header(header::CACHE_CONTROL), cache_control, "{url}");
        if cache_control.starts_with("public") {
            // Everybody gets the same answer.
            let page = site.get_page(url).await;
            assert_eq!(page.body, answer.body, "{url}");
        }
    }
}
