//! Gallery, search, tags, cursors and canonical URLs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::{StatusCode, header};
use serde_json::Value;
use sqlx::Connection;

use crate::support::{Setup, Site, index_of};

fn ids(page: &Value) -> Vec<String> {
    let pictures = page["pictures"].as_array().expect("a list");
    pictures
        .iter()
        .map(|picture| picture["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn paging_shows_every_picture_once_newest_first_while_new_ones_arrive() {
    let site = Site::start().await;
    let mut published = Vec::new();
    for _ in 0..5 {
        published.push(
            site.publish().await["id"]
                .as_str()
                .expect("an id")
                .to_owned(),
        );
    }
    published.reverse();
    let first = site.get("/api/v1/pictures?limit=2").await.json();
    site.publish().await;
    let mut seen = ids(&first);
    let mut next = first["next"].as_str().map(str::to_owned);
    while let Some(cursor) = next {
        let page = site
            .get(&format!("/api/v1/pictures?after={cursor}&limit=2"))
            .await
            .json();
        seen.extend(ids(&page));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, published);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_whole_words_and_excludes() {
    let site = Site::start().await;
    site.publish().await;
    for (query, found) in [
        ("q=cat", 1),
        ("q=tabby+cat", 1),
        ("q=%22tabby+cat%22", 1),
        ("q=tab", 0),
        ("q=-tabby", 0),
        ("q=-laptop", 1),
        ("q=cat+-%22tabby+cat%22", 0),
        ("tag=tabby+cat", 1),
        ("tag=tabby", 0),
    ] {
        let page = site.get(&format!("/api/v1/pictures?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}: {}", page.text());
        assert_eq!(ids(&page.json()).len(), found, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_that_look_at_every_picture_leave_a_way_to_the_images() {
    const PICTURES: u64 = 3000;
    let site = Arc::new(Setup::new().start_without_jobs().await);
    let picture = site.publish_by_hand().await;
    let image = picture["images"]["320.webp"].as_str().expect("a URL");
    copy_row(&site.data_dir, PICTURES).await;

    // No picture has these words, except for the last, which every picture has. So each row is
    // compared with all of them.
    let words: String = (10..16).map(|number| format!("-{number}+")).collect();
    let over = Arc::new(AtomicU32::new(0));
    let searches: Vec<_> = (0..5)
        .map(|number| {
            let (site, over) = (site.clone(), over.clone());
            let url = format!("/api/v1/pictures?q={words}-x{number}+-cat");
            tokio::spawn(async move {
                let found = site.get(&url).await;
                over.fetch_add(1, Ordering::SeqCst);
                found
            })
        })
        .collect();
    for _ in 0..10 {
        for url in [image, "/api/v1/pictures"] {
            assert_eq!(site.get(url).await.status, StatusCode::OK, "{url}");
        }
    }
    assert_eq!(
        over.load(Ordering::SeqCst),
        0,
        "an image waited for a search"
    );
    for search in searches {
        let found = search.await.expect("ends");
        assert_eq!(found.status, StatusCode::OK, "{}", found.text());
        assert!(ids(&found.json()).is_empty());
    }
}

/// Copies the one published row this often, with more words than models know, so that searching
/// takes time.
async fn copy_row(data_dir: &Path, times: u64) {
    let mut index = index_of(data_dir).await;
    let columns = "state, received_at, delete_token_hash, content_hash, size_bytes, published_at, expires_at, width, height, \
                   animated, alt, tags, thumbhash, placeholder, perceptual_hash, stripped, variants, \
                   stored_bytes, rules";
    let copy = format!(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {times})
         INSERT INTO pictures (id, sequence, tags_text, {columns})
         SELECT 'CattoCat' || replace(printf('%08d', n), '0', 'Z'), sequence + n, hex(zeroblob(7500)) || tags_text, {columns}
         FROM pictures, number"
    );
    sqlx::query(sqlx::AssertSqlSafe(copy))
        .execute(&mut index)
        .await
        .expect("copies");
    index.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_a_list_is_sent_to_the_canonical_one() {
    let site = Site::start().await;
    for (asked, canonical) in [
        ("/?fbclid=abc", "/"),
        ("/search?q=Tabby%20%20CAT", "/search?q=tabby+cat"),
        (
            "/api/v1/pictures?limit=5&q=cat&utm=1",
            "/api/v1/pictures?q=cat&limit=5",
        ),
        ("/search?q=", "/search"),
        // These know no parameter at all.
        ("/api/v1/tags?q=cat", "/api/v1/tags"),
        ("/status?now=1", "/status"),
        ("/status.json?q=cat", "/status.json"),
    ] {
        let answer = site.get(asked).await;
        assert_eq!(answer.status, StatusCode::MOVED_PERMANENTLY, "{asked}");
        assert_eq!(answer.header(header::LOCATION), canonical, "{asked}");
        assert_eq!(
            site.get(canonical).await.status,
            StatusCode::OK,
            "{canonical}"
        );
    }
    // On an empty site there is no picture to go to.
    let answer = site.get("/random?now=1").await;
    assert_eq!(answer.status, StatusCode::MOVED_PERMANENTLY);
    assert_eq!(answer.header(header::LOCATION), "/random");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonsense_list_is_malformed() {
    let site = Site::start().await;
    let long = format!("q={}", "a".repeat(10_000));
    for query in [
        "after=nonsense",
        "after=-1",
        "limit=0",
        "limit=41",
        "limit=many",
        &long,
    ] {
        site.get(&format!("/api/v1/pictures?{query}"))
            .await
            .assert_error(400, "malformed");
    }
    for url in ["/?after=nonsense", &format!("/search?{long}")] {
        let page = site.get_page(url).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(page.header(header::CONTENT_TYPE).starts_with("text/html"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_but_the_first_names_the_page_before() {
    let site = Site::start().await;
    for _ in 0..5 {
        site.publish().await;
    }
    let page = async |after: &str| {
        let url = format!("/api/v1/pictures?after={after}&limit=2");
        let url = url.replace("after=&", "");
        site.get(&url).await.json()
    };
    let first = page("").await;
    assert_eq!(first["previous"], Value::Null);
    let after = first["next"].as_str().expect("a second page").to_owned();
    let second = page(&after).await;
    assert_eq!(second["previous"], "", "the first page needs no cursor");
    let third = page(second["next"].as_str().expect("a third page")).await;
    assert_eq!(third["previous"], after);
    assert_eq!(ids(&page(&after).await), ids(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_leads_to_its_neighbours_and_at_the_ends_to_the_list() {
    let site = Site::start().await;
    let mut all = Vec::new();
    for _ in 0..3 {
        let picture = site.publish().await;
        all.push(picture["id"].as_str().expect("an id").to_owned());
    }
    let [oldest, middle, newest] = <[String; 3]>::try_from(all).expect("three");
    for (asked, expected) in [
        (format!("/next/{newest}"), format!("/c/{middle}")),
        (format!("/next/{oldest}"), "/".to_owned()),
        (format!("/previous/{oldest}"), format!("/c/{middle}")),
        (format!("/previous/{newest}"), "/".to_owned()),
        (
            format!("/next/{newest}?q=tabby"),
            format!("/c/{middle}#q=tabby"),
        ),
        (
            format!("/next/{newest}?q=walrus"),
            "/search?q=walrus".to_owned(),
        ),
    ] {
        let answer = site.get(&asked).await;
        assert_eq!(answer.status, StatusCode::FOUND, "{asked}");
        assert_eq!(answer.header(header::LOCATION), expected, "{asked}");
    }
    let nobody = site.get("/next/nobody").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_pictures_are_read_at_once_in_the_order_in_which_they_are_asked_for() {
    let site = Site::start().await;
    let mut published = Vec::new();
    for _ in 0..3 {
        let upload = site.publish().await;
        published.push(upload["id"].as_str().expect("an id").to_owned());
    }
    published.swap(0, 1);
    let unknown = "AAAAAAAAAAAAAAAA";
    let asked = format!("{},{unknown},{}", published[0], published[1]);
    let answer = site.get(&format!("/api/v1/pictures?ids={asked}")).await;
    let page = answer.json();
    assert_eq!(ids(&page), published[..2]);
    assert!(page["next"].is_null() && page["previous"].is_null());
    let tags = answer.header("cache-tag");
    assert!(
        tags.contains(&published[0]) && !tags.contains(&published[2]),
        "{tags}"
    );
    for spelling in [
        format!("ids={}&limit=5&q=cat", published[0]),
        format!("q=cat&ids={}", published[0]),
    ] {
        let moved = site.get(&format!("/api/v1/pictures?{spelling}")).await;
        let canonical = format!("/api/v1/pictures?ids={}", published[0]);
        assert_eq!(moved.status, StatusCode::MOVED_PERMANENTLY, "{spelling}");
        assert_eq!(moved.header(header::LOCATION), canonical);
    }
    let many = vec![unknown; 41].join(",");
    for wrong in ["x", ",", &format!("{unknown},{unknown}"), &many] {
        let answer = site.get(&format!("/api/v1/pictures?ids={wrong}")).await;
        answer.assert_error(400, "malformed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_names_its_neighbours_in_a_header_as_well() {
    let site = Site::start().await;
    for _ in 0..3 {
        site.publish().await;
    }
    let follow = async |link: &str, relation: &str| {
        let mut links = link.split(", ");
        let link = links.find(|link| link.ends_with(&format!("rel=\"{relation}\"")));
        let address = link?.split(['<', '>']).nth(1)?.to_owned();
        Some(site.get(&address).await)
    };
    let first = site.get("/api/v1/pictures?q=cat&limit=2").await;
    let link = first.header(header::LINK).to_owned();
    assert!(follow(&link, "prev").await.is_none(), "{link}");
    let second = follow(&link, "next").await.expect("a next page");
    assert_eq!(ids(&second.json()).len(), 1);
    let link = second.header(header::LINK).to_owned();
    assert!(follow(&link, "next").await.is_none(), "{link}");
    let back = follow(&link, "prev").await.expect("a page before");
    assert_eq!(ids(&back.json()), ids(&first.json()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_too_many_leads_to_the_address_without_it() {
    let site = Site::start().await;
    for (asked, address) in [
        ("/about/", "/about"),
        ("/tags/cat/", "/tags/cat"),
        ("/api/v1/tags/", "/api/v1/tags"),
        ("/c/AAAAAAAAAAAAAAAA/", "/c/AAAAAAAAAAAAAAAA"),
        ("/about//", "/about"),
    ] {
        let moved = site.get(asked).await;
        assert_eq!(moved.status, StatusCode::MOVED_PERMANENTLY, "{asked}");
        assert_eq!(moved.header(header::LOCATION), address);
        assert_eq!(moved.header(header::CACHE_CONTROL), "public, max-age=86400");
    }
    // This address holds a secret, which no cache may keep.
    let secret = "/delete/AAAAAAAAAAAAAAAA/1111111111111111111111";
    let moved = site.get(&format!("{secret}/")).await;
    assert_eq!(moved.status, StatusCode::MOVED_PERMANENTLY);
    assert_eq!(moved.header(header::LOCATION), secret);
    assert_eq!(moved.header(header::CACHE_CONTROL), "no-store");
    let cat = crate::support::fixture("cat.webp");
    let upload = site.upload_to("/api/v1/pictures/?wait=5", cat).await;
    assert_eq!(upload.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(upload.header(header::LOCATION), "/api/v1/pictures?wait=5");
    assert_eq!(upload.header(header::CACHE_CONTROL), "no-store");
    for nowhere in ["/nowhere/", "//", "/i/x/y/z.jpg/", "/pkg/"] {
        assert_eq!(
            site.get(nowhere).await.status,
            StatusCode::NOT_FOUND,
            "{nowhere}"
        );
    }
}
