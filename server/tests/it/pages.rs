//! What browsers and link previews get.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};

use cattocdn::http::declarations;
use cattocdn::http::declared::Caching;

use crate::support::{Site, request, showing};

#[tokio::test(flavor = "multi_thread")]
async fn every_page_answers_with_length_validator_and_a_strict_policy() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let declared = declarations().into_iter();
    // Who opens a page that nobody may keep must know a secret.
    let pages = declared.filter(|page| page.is_page && page.caching != Caching::Never);
    let urls = pages.map(|page| showing(&page, &picture));
    for url in urls.chain(["/tags/tabby%20cat".to_owned()]) {
        let url = url.as_str();
        let page = site.get_page(url).await;
        assert_eq!(page.status, StatusCode::OK, "{url}");
        assert_eq!(
            page.header(header::CONTENT_LENGTH),
            page.body.len().to_string(),
            "{url}"
        );
        assert!(page.header(header::ETAG).starts_with('"'), "{url}");
        let policy = page.header(header::CONTENT_SECURITY_POLICY);
        assert!(
            policy.contains("script-src 'self' 'wasm-unsafe-eval' 'sha256-"),
            "{url}: {policy}"
        );
        assert!(!policy.contains("unsafe-inline"), "{url}: {policy}");
        assert!(policy.contains("; font-src 'self';"), "{url}: {policy}");
        assert!(
            !page.text().contains(" style="),
            "{url} has an inline style"
        );
        assert!(!page.headers.contains_key(header::SET_COOKIE), "{url}");

        // Its figures count the request for it.
        if url == "/status" {
            continue;
        }
        let again = request(Method::GET, url)
            .header(header::IF_NONE_MATCH, page.header(header::ETAG))
            .body(Body::empty());
        let again = site.send(again.expect("a request")).await;
        assert_eq!(
            (again.status, again.body.len()),
            (StatusCode::NOT_MODIFIED, 0),
            "{url}: pages are the same each time"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_link_carries_its_preview_card() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let page = site
        .get_page(picture["url"].as_str().expect("a URL"))
        .await
        .text();
    let image = picture["images"]["1280.jpg"].as_str().expect("a URL");
    for (property, content) in [
        ("og:image", image),
        ("og:image:width", "451"),
        ("og:image:height", "300"),
        ("og:image:alt", picture["alt"].as_str().expect("a text")),
        ("og:url", picture["url"].as_str().expect("a URL")),
        ("twitter:card", "summary_large_image"),
    ] {
        let found = page.split('<').any(|tag| {
            tag.starts_with("meta ")
                && tag.contains(&format!("\"{property}\""))
                && tag.contains(&format!("content=\"{content}\""))
        });
        assert!(found, "{property} = {content}");
    }
}

/// Rendering goes on wherever a thread is free, and what a page says about itself must not depend
/// on that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_preview_card_is_complete_however_busy_the_server_is() {
    let site = Arc::new(Site::start().await);
    let picture = site.publish().await;
    let url: Arc<str> = picture["url"].as_str().expect("a URL").into();
    let asked: Vec<_> = (0..200)
        .map(|_| {
            let (site, url) = (site.clone(), url.clone());
            tokio::spawn(async move { site.get_page(&url).await.text() })
        })
        .collect();
    for page in asked {
        let page = page.await.expect("is answered");
        assert!(page.contains("og:image:alt"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_page_for_browsers_and_json_for_programs() {
    let site = Site::start().await;
    for url in ["/nowhere", "/c/nonsense", "/c/AAAAAAAAAAAAAAAA"] {
        let page = site.get_page(url).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{url}");
        assert!(
            page.header(header::CONTENT_TYPE).starts_with("text/html"),
            "{url}"
        );
    }
    for url in [
        "/api/v1/nowhere",
        "/api/v1/pictures/nonsense",
        "/i/x/y/z",
        "/pkg/none.js",
        "/i/%FF/x/y",
        "/api/v1/pictures/%FF",
    ] {
        site.get_page(url).await.assert_error(404, "not-found");
    }
    let patch = request(Method::PATCH, "/api/v1/tags")
        .body(Body::empty())
        .expect("a request");
    site.send(patch)
        .await
        .assert_error(405, "method-not-allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_find_their_documents() {
    let site = Site::start().await;
    assert!(
        site.get("/robots.txt")
            .await
            .text()
            .contains("Disallow: /delete/")
    );
    let security = site.get("/.well-known/security.txt").await.text();
    assert!(
        security.contains("Contact: mailto:abuse@catto.test") && security.contains("Expires: 20"),
        "{security}"
    );
    let worker = site.get("/share.js").await;
    assert!(
        worker
            .header(header::CONTENT_TYPE)
            .starts_with("text/javascript")
    );
    let policy = worker.header(header::CONTENT_SECURITY_POLICY);
    assert!(
        !policy.contains("sandbox"),
        "{policy}: it keeps files for a page"
    );
    assert_eq!(site.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(site.get("/readyz").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_escaped_wherever_it_is_shown() {
    let site = Site::start().await;
    for attack in [
        "\"><script>alert(1)</script>",
        "</title><script>alert(1)</script>",
    ] {
        let query: String = url::form_urlencoded::byte_serialize(attack.as_bytes()).collect();
        let page = site.get_page(&format!("/search?q={query}")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.text().contains("<script>alert"), "{}", page.text());
        let tag = site
            .get_page(&format!("/tags/{}", query.replace('+', "%20")))
            .await;
        assert!(!tag.text().contains("<script>alert"), "{}", tag.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_offers_frequent_tags_and_is_kept_as_a_list() {
    let site = Site::start().await;
    let empty = site.get_page("/").await.text();
    assert!(!empty.contains("Frequent tags"), "there are none");
    let picture = site.publish().await;
    let page = site.get_page("/").await;
    let tags = picture["tags"].as_array().expect("a list");
    let telling = tags
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .find(|tag| !["cat", "animal", "pet"].contains(tag))
        .expect("a tag");
    let text = page.text();
    let chips = text.split("Frequent tags").nth(1).expect("chips");
    let path = telling.replace(' ', "%20");
    assert!(chips.contains(&format!("href=\"/tags/{path}\"")), "{chips}");
    let kept = page.header(header::CACHE_CONTROL);
    assert!(kept.contains("max-age=60"), "{kept}");
}

/// What else there is changes sooner than the page may.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_picture_names_no_other_picture() {
    let site = Site::start().await;
    let [picture, other] = [site.publish().await, site.publish().await];
    let page = site.get_page(picture["url"].as_str().expect("a URL")).await;
    let page = page.text();
    assert!(!page.contains(other["id"].as_str().expect("an id")));
    assert!(
        page.contains("data-source=\"/api/v1/pictures?tag="),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_carries_a_code_of_its_link() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let page = site.get_page(picture["url"].as_str().expect("a URL")).await;
    let page = page.text();
    let code = page.split("class=\"qr-code\"").nth(1).expect("a code");
    assert!(code.contains("<path d=\"M4 4.5h7"), "{code}");
}
