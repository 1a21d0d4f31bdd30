//! Feeds, embeds and the sitemap: what readers, other sites and search engines are told.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use serde_json::Value;

use crate::support::{
    ADMIN_TOKEN, Answer, Setup, Site, asking_to_embed, dimensions, fixture, path_of, request,
};

/// An element of a document, with all text directly in it.
#[derive(Debug, Default, Clone)]
struct Element {
    name: String,
    attributes: HashMap<String, String>,
    text: String,
}

/// Every element of an answer in XML, in the order in which they end.
#[track_caller]
fn elements(answer: &Answer) -> Vec<Element> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let text = answer.text();
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let (mut open, mut ended): (Vec<Element>, _) = (Vec::new(), Vec::new());
    let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(start) => open.push(Element {
                name: string(start.name().as_ref()),
                attributes: start
                    .attributes()
                    .map(|attribute| {
                        let attribute = attribute.expect("an attribute");
                        let value = attribute
                            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                            .expect("a value")
                            .into_owned();
                        (string(attribute.key.as_ref()), value)
                    })
                    .collect(),
                text: String::new(),
            }),
            Event::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.text += &text.decode().expect("text");
                }
            }
            Event::GeneralRef(entity) => {
                let name = entity.decode().expect("a name");
                let element = open.last_mut().expect("an element around it");
                element.text += resolve_predefined_entity(&name).expect("is predefined");
            }
            Event::End(_) => ended.push(open.pop().expect("was begun")),
            Event::Eof => break,
            Event::Decl(_)
            | Event::Empty(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
    assert!(open.is_empty(), "{open:?}");
    ended
}

/// The texts of all elements with this name.
fn texts<'a>(elements: &'a [Element], name: &str) -> Vec<&'a str> {
    let named = elements.iter().filter(|element| element.name == name);
    named.map(|element| element.text.as_str()).collect()
}

/// The addresses that a document names in links with this relation.
fn links(elements: &[Element], relation: &str) -> Vec<String> {
    let links = elements.iter().filter(|element| {
        element.name == "link"
            && element
                .attributes
                .get("rel")
                .is_some_and(|rel| rel == relation)
    });
    links.map(|link| link.attributes["href"].clone()).collect()
}

fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} in {json}"))
}

/// The addresses in `<link rel="alternate">` of a page, by their types.
fn alternates(page: &str) -> HashMap<String, String> {
    let value = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("{name}=\""))?;
        Some(rest.split('"').next()?.replace("&amp;", "&"))
    };
    page.split("<link ")
        .filter_map(|link| link.split('>').next())
        .filter(|link| link.contains("rel=\"alternate\""))
        .map(|link| {
            (
                value(link, "type").expect("a type"),
                value(link, "href").expect("an address"),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_feeds_hold_the_newest_pictures_with_a_file_each() {
    let site = Site::start().await;
    let older = site.publish().await;
    let newer = site.publish().await;
    let pages = [text(&newer, "url"), text(&older, "url")];

    let atom = site.get("/feed.xml").await;
    let kind = atom.header(header::CONTENT_TYPE);
    assert_eq!(kind, "application/atom+xml; charset=utf-8");
    let found = elements(&atom);
    let ids = texts(&found, "id");
    assert_eq!(ids, ["http://catto.test/feed.xml", pages[0], pages[1]]);
    assert_eq!(links(&found, "self"), ["http://catto.test/feed.xml"]);
    let files = links(&found, "enclosure");
    assert_eq!(
        files,
        [&newer, &older].map(|one| text(&one["images"], "1280.jpg"))
    );
    assert_eq!(texts(&found, "updated")[0], texts(&found, "published")[0]);
    let content = texts(&found, "content")[0];
    assert!(
        content.contains(&format!("<img src=\"{}\"", files[0])),
        "{content}"
    );
    assert!(!texts(&found, "title")[1].is_empty());

    let json = site.get("/feed.json").await;
    assert_eq!(json.header(header::CONTENT_TYPE), "application/feed+json");
    let feed = json.json();
    assert_eq!(feed["version"], "https://jsonfeed.org/version/1.1");
    let items = feed["items"].as_array().expect("items");
    assert_eq!([text(&items[0], "id"), text(&items[1], "id")], pages);
    assert_eq!(text(&items[0], "image"), files[0]);
    assert_eq!(text(&items[0], "content_html"), content);
    for (answer, file) in [(&atom, &files[0]), (&json, &files[1])] {
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
        assert_eq!(site.get(path_of(file)).await.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_leaves_every_feed_and_the_sitemap_when_its_picture_does() {
    let setup = Setup::new().with_retention(Duration::from_secs(1000));
    let site = setup.start_without_jobs().await;
    let (ends, stays) = (site.publish_by_hand().await, site.publish_by_hand().await);
    let names = async |url: &str| {
        let told = site.get(url).await;
        assert_eq!(told.status, StatusCode::OK, "{url}");
        [&ends, &stays].map(|one| told.text().contains(text(one, "id")))
    };
    let lists = [
        "/feed.xml",
        "/feed.json",
        "/feed.xml?q=cat",
        "/tags/cat/feed.xml",
        "/tags/cat/feed.json",
        "/sitemap.xml",
    ];
    for url in lists {
        assert_eq!(names(url).await, [true, true], "{url}");
    }
    let api = format!("/api/v1/pictures/{}", text(&ends, "id"));
    site.delete(&api, ADMIN_TOKEN).await;
    for url in lists {
        assert_eq!(names(url).await, [false, true], "{url}");
    }
    site.clock.advance(Duration::from_secs(1000));
    for url in lists {
        assert_eq!(names(url).await, [false, false], "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_of_a_tag_or_a_search_holds_what_its_page_holds() {
    let site = Site::start().await;
    site.publish().await;
    for (url, count) in [
        ("/feed.json?q=tabby", 1),
        ("/feed.json?q=-tabby", 0),
        ("/feed.json?after=1", 0),
        ("/tags/tabby%20cat/feed.json", 1),
        ("/tags/dog/feed.json", 0),
    ] {
        let feed = site.get(url).await.json();
        assert_eq!(feed["items"].as_array().map(Vec::len), Some(count), "{url}");
        assert_eq!(text(&feed, "feed_url"), format!("http://catto.test{url}"));
    }
    // Whatever is searched for, the document stays one.
    let odd = site
        .get("/feed.xml?q=%01%3C%2Ftitle%3E%26amp%3B%EF%BF%BF")
        .await;
    let odd = match odd.status {
        StatusCode::MOVED_PERMANENTLY => site.get(odd.header(header::LOCATION)).await,
        _ => odd,
    };
    assert_eq!(
        texts(&elements(&odd), "title")[0],
        "CattoCDN: cats with </title>&amp;"
    );
    // Also whoever accepts pages reads this as a program.
    site.get_page("/feed.xml?after=x")
        .await
        .assert_error(400, "malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_feed_goes_on_in_another() {
    let site = Site::start().await;
    for _ in 0..41 {
        site.publish().await;
    }
    let first = site.get("/feed.json").await.json();
    assert_eq!(first["items"].as_array().map(Vec::len), Some(40));
    let rest = site.get(path_of(text(&first, "next_url"))).await.json();
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest.get("next_url"), None);
    let next = links(&elements(&site.get("/feed.xml").await), "next");
    assert_eq!(
        elements(&site.get(path_of(&next[0])).await)
            .iter()
            .filter(|one| one.name == "entry")
            .count(),
        1
    );
    // The sitemap reads them in pages as well.
    let sitemap = elements(&site.get("/sitemap.xml").await);
    assert_eq!(texts(&sitemap, "image:loc").len(), 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_to_their_feeds_and_a_picture_to_how_it_is_embedded() {
    let site = Site::start().await;
    let picture = site.publish().await;
    for (page, feed) in [
        ("/", "/feed"),
        ("/tags/tabby%20cat", "/tags/tabby%20cat/feed"),
        ("/search?q=cat+-dog", "/feed?q=cat+-dog"),
    ] {
        let found = alternates(&site.get_page(page).await.text());
        for (kind, ending) in [
            ("application/atom+xml", "xml"),
            ("application/feed+json", "json"),
        ] {
            let expected = feed.replace("feed", &format!("feed.{ending}"));
            assert_eq!(found[kind], expected, "{page}");
            let answer = site.get(&expected).await;
            assert_eq!(answer.status, StatusCode::OK, "{expected}");
            assert!(answer.header(header::CONTENT_TYPE).starts_with(kind));
        }
    }
    let found = alternates(&site.get_page(path_of(text(&picture, "url"))).await.text());
    let json = site
        .get(path_of(&found["application/json+oembed"]))
        .await
        .json();
    assert_eq!(text(&json, "type"), "photo");
    let xml = elements(&site.get(path_of(&found["text/xml+oembed"])).await);
    assert_eq!(texts(&xml, "url"), [text(&json, "url")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embed_is_a_file_that_fits_and_tells_its_real_size() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let asked = asking_to_embed(&picture);
    let whole = site.get(&format!("/oembed?{asked}")).await;
    assert_eq!(whole.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    let whole = whole.json();
    assert_eq!(text(&whole, "url"), text(&picture["images"], "1280.jpg"));
    assert_eq!(text(&whole, "version"), "1.0");
    for limit in [1000, 500, 300, 200, 50, 1] {
        for name in ["maxwidth", "maxheight"] {
            let answer = site
                .get(&format!("/oembed?{asked}&{name}={limit}"))
                .await
                .json();
            let size = |field: &str| answer[field].as_u64().expect("a size");
            for prefix in ["", "thumbnail_"] {
                if answer.get(format!("{prefix}url")).is_none() {
                    continue;
                }
                let side = size(&format!("{prefix}{}", &name[3..]));
                assert!(side <= limit && side > 0, "{name} {limit}: {answer}");
                let file = site
                    .get(path_of(text(&answer, &format!("{prefix}url"))))
                    .await;
                let (width, height) = dimensions(&file.body);
                let told = ["width", "height"].map(|side| size(&format!("{prefix}{side}")));
                // Below the least file there is none that fits.
                let is_real = told == [width, height].map(u64::from);
                assert!(is_real || limit < 200, "{name} {limit}: {answer}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_embedded_is_refused_as_the_specification_says() {
    let setup = Setup::new().with_retention(Duration::from_secs(1000));
    let site = setup.start_without_jobs().await;
    let waiting = site.send_in(fixture("cat.webp")).await;
    let asked = asking_to_embed(&waiting);
    let url = format!("/oembed?{asked}");
    site.get(&url).await.assert_error(404, "not-found");
    site.work().await;
    assert_eq!(site.get(&url).await.status, StatusCode::OK);
    for (url, status, code) in [
        ("/oembed", 400, "malformed"),
        (
            "/oembed?url=https%3A%2F%2Fevil.test%2Fc%2FAAAAAAAAAAAAAAAA",
            404,
            "not-found",
        ),
        (&*format!("{url}&format=yaml"), 501, "unsupported-format"),
        (&format!("{url}&maxwidth=0"), 400, "malformed"),
        (&format!("{url}&maxheight=%2B5"), 400, "malformed"),
    ] {
        // Also whoever accepts pages reads this as a program.
        site.get_page(url).await.assert_error(status, code);
    }
    site.clock.advance(Duration::from_secs(1000));
    site.get(&url).await.assert_error(404, "not-found");
}

/// A number of a directive such as `max-age=60`; 0 where it is missing.
fn number(answer: &Answer, name: &str, directive: &str) -> u64 {
    let found = answer
        .header(name)
        .split(", ")
        .find_map(|part| part.strip_prefix(directive)?.strip_prefix('='));
    found.map_or(0, |value| value.parse().expect("a number"))
}

/// For how long caches may show an answer at most, which together begin a life each.
fn kept_for(answer: &Answer) -> u64 {
    const CLOUDFLARE: &str = "cloudflare-cdn-cache-control";
    number(answer, "cache-control", "max-age")
        + number(answer, "cache-control", "s-maxage")
        + number(answer, CLOUDFLARE, "max-age")
        + number(answer, CLOUDFLARE, "stale-while-revalidate")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embed_and_the_sitemap_are_used_no_longer_than_their_first_picture_lives() {
    for left in [2, 4, 31, 200, 481, 482, 1000, 7 * 24 * 3600] {
        let setup = Setup::new().with_retention(Duration::from_secs(left));
        let site = setup.start_without_jobs().await;
        site.clock.stop_at(1_800_000_000_000);
        let picture = site.publish_by_hand().await;
        let embed = site
            .get(&format!("/oembed?{}", asking_to_embed(&picture)))
            .await;
        let further = embed.json()["cache_age"].as_u64().expect("seconds");
        assert!(kept_for(&embed) + further < left, "{left}");
        if left > 495 {
            // Of the rest, 15 s are for an answer that is sent late.
            assert_eq!(further, left - 496);
        }
        let sitemap = site.get("/sitemap.xml").await;
        assert!(kept_for(&sitemap) < left, "{left}");
        assert_eq!(kept_for(&sitemap) > 0, left > 3, "{left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn robots_find_the_sitemap_and_in_it_each_picture_with_a_file() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let robots = site.get("/robots.txt").await.text();
    assert!(
        robots.contains("\nSitemap: http://catto.test/sitemap.xml\n"),
        "{robots}"
    );
    let found = elements(&site.get("/sitemap.xml").await);
    assert!(
        texts(&found, "loc").contains(&text(&picture, "url")),
        "{found:?}"
    );
    assert_eq!(
        texts(&found, "image:loc"),
        [text(&picture["images"], "1280.jpg")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_feed_an_embed_or_the_sitemap_already_gets_304() {
    let site = Setup::new().start_without_jobs().await;
    site.clock.stop_at(1_800_000_000_000);
    let picture = site.publish_by_hand().await;
    let embed = format!("/oembed?{}", asking_to_embed(&picture));
    for url in [
        "/feed.xml",
        "/feed.json",
        &embed,
        &format!("{embed}&format=xml"),
        "/sitemap.xml",
    ] {
        let first = site.get(url).await;
        let again =
            request(Method::GET, url).header(header::IF_NONE_MATCH, first.header(header::ETAG));
        let again = site
            .send(again.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{url}");
    }
}
