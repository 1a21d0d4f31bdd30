//! Feeds of the newest pictures: of all, of one tag and of a search, as Atom (RFC 4287) and as JSON
//! Feed 1.1. They hold what the gallery holds, so they end when its first picture does, and an
//! entry leaves with its picture.

use app::types::{COMMON_TAGS, ListQuery};
use app::words::{picture_summary, picture_title};
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use html_escape::encode_double_quoted_attribute;
use serde_json::{Value, json};

use crate::domain::expiry::rfc3339;
use crate::domain::picture::{Published, Variant};
use crate::domain::variant::Format;
use crate::http::cache::CachePolicy;
use crate::http::direct::direct_file;
use crate::http::error::Error;
use crate::http::list::{Found, find_pictures, parse_query};
use crate::http::state::AppState;
use crate::http::views::{image_url, page_url};
use crate::http::xml::Xml;

/// The parameters of the feeds of all pictures and of searches.
pub(crate) const PARAMETERS: &[&str] = &["q", "after"];
/// The parameters of a tag's feeds.
pub(crate) const PARAMETERS_OF_TAG: &[&str] = &["after"];

/// `GET /feed.xml` and `GET /feed.json`, with `?q=` of a search.
pub(crate) async fn get(
    State(state): State<AppState>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let list = parse_query(query.as_deref().unwrap_or_default(), PARAMETERS)?;
    answer(&state, &uri, list).await
}

/// `GET /tags/{tag}/feed.xml` and `GET /tags/{tag}/feed.json`.
pub(crate) async fn get_of_tag(
    State(state): State<AppState>,
    Path(tag): Path<String>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let list = ListQuery {
        tag,
        ..parse_query(query.as_deref().unwrap_or_default(), PARAMETERS_OF_TAG)?
    };
    answer(&state, &uri, list).await
}

async fn answer(state: &AppState, uri: &Uri, list: ListQuery) -> Result<Response, Error> {
    let found = find_pictures(&state.pictures, &list).await?;
    let policy = CachePolicy::list(&found.pictures);
    let feed = Feed { state, list, found };
    let (kind, body) = if uri.path().ends_with(".json") {
        ("application/feed+json", feed.in_json().to_string())
    } else {
        ("application/atom+xml; charset=utf-8", feed.in_atom())
    };
    let headers: [(HeaderName, HeaderValue); 1] =
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
    Ok((Extension(policy), headers, body).into_response())
}

/// One page of a feed.
struct Feed<'a> {
    state: &'a AppState,
    list: ListQuery,
    found: Found,
}

impl Feed<'_> {
    fn in_atom(&self) -> String {
        let mut xml = Xml::new();
        xml.open(
            "feed",
            &[("xmlns", "http://www.w3.org/2005/Atom"), ("xml:lang", "en")],
        );
        // What names a feed or an entry for ever is its address.
        let own = self.absolute(&self.list.feed_address("xml"));
        xml.text("id", &[], &own);
        xml.text("title", &[], &self.title());
        xml.text("updated", &[], &self.updated());
        xml.open("author", &[]);
        xml.text("name", &[], "CattoCDN");
        xml.close("author");
        xml.text("icon", &[], &self.absolute("/icon-192.png"));
        let link = |xml: &mut Xml, relation, kind, href: &str| {
            xml.empty("link", &[("rel", relation), ("type", kind), ("href", href)]);
        };
        link(&mut xml, "self", "application/atom+xml", &own);
        link(&mut xml, "alternate", "text/html", &self.page());
        if let Some(next) = self.next("xml") {
            link(&mut xml, "next", "application/atom+xml", &next);
        }
        for published in &self.found.pictures {
            self.write_entry(&mut xml, published);
        }
        xml.close("feed");
        xml.finish()
    }

    fn write_entry(&self, xml: &mut Xml, published: &Published) {
        let site = &self.state.site;
        let (page, end) = (page_url(site, &published.id), end_of(published));
        let published_at = rfc3339(published.published_at);
        xml.open("entry", &[]);
        xml.text("id", &[], &page);
        xml.text("title", &[], &picture_title(&published.alt, &end));
        xml.text("published", &[], &published_at);
        xml.text("updated", &[], &published_at);
        let html = [("rel", "alternate"), ("type", "text/html"), ("href", &page)];
        xml.empty("link", &html);
        if let Some((format, file)) = direct_file(published) {
            xml.empty(
                "link",
                &[
                    ("rel", "enclosure"),
                    ("type", format.content_type()),
                    ("length", &file.size_bytes.to_string()),
                    ("href", &image_url(site, published, &file.name)),
                ],
            );
        }
        for tag in tags_of(published) {
            xml.empty("category", &[("term", tag)]);
        }
        xml.text("summary", &[], &picture_summary(&end));
        xml.text("content", &[("type", "html")], &self.content(published));
        xml.close("entry");
    }

    fn in_json(&self) -> Value {
        let pictures = self.found.pictures.iter();
        let mut feed = json!({
            "version": "https://jsonfeed.org/version/1.1",
            "title": self.title(),
            "home_page_url": self.page(),
            "feed_url": self.absolute(&self.list.feed_address("json")),
            "icon": self.absolute("/icon-512.png"),
            "favicon": self.absolute("/icon-192.png"),
            "authors": [{ "name": "CattoCDN", "url": self.state.site.public_url }],
            "language": "en",
            "items": pictures.map(|published| self.item(published)).collect::<Vec<_>>(),
        });
        if let Some(next) = self.next("json") {
            feed["next_url"] = next.into();
        }
        feed
    }

    fn item(&self, published: &Published) -> Value {
        let site = &self.state.site;
        let (page, end) = (page_url(site, &published.id), end_of(published));
        let mut item = json!({
            "id": page,
            "url": page,
            "title": picture_title(&published.alt, &end),
            "summary": picture_summary(&end),
            "content_html": self.content(published),
            "date_published": rfc3339(published.published_at),
            "tags": tags_of(published).collect::<Vec<_>>(),
        });
        if let Some((format, file)) = direct_file(published) {
            let url = image_url(site, published, &file.name);
            item["attachments"] = json!([{
                "url": url,
                "mime_type": format.content_type(),
                "size_in_bytes": file.size_bytes,
            }]);
            item["image"] = url.into();
        }
        item
    }

    /// The picture as HTML, with a link to its page.
    fn content(&self, published: &Published) -> String {
        let site = &self.state.site;
        let image = direct_file(published).map(|(_, file): (Format, &Variant)| {
            format!(
                "<a href=\"{}\"><img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"{}\"></a>",
                page_url(site, &published.id),
                image_url(site, published, &file.name),
                file.width,
                file.height,
                encode_double_quoted_attribute(&published.alt),
            )
        });
        let summary = picture_summary(&end_of(published));
        format!("<p>{}</p><p>{summary}</p>", image.unwrap_or_default())
    }

    fn title(&self) -> String {
        let ListQuery { q, tag, .. } = &self.list;
        match (tag.is_empty(), q.is_empty()) {
            (false, _) => format!("CattoCDN: cats tagged {tag}"),
            (true, false) => format!("CattoCDN: cats with {q}"),
            (true, true) => "CattoCDN: new cats".to_owned(),
        }
    }

    /// When the newest picture was published. An empty feed never changed.
    fn updated(&self) -> String {
        let newest = self.found.pictures.first();
        rfc3339(newest.map_or(0, |newest| newest.published_at))
    }

    /// The page that shows the same pictures.
    fn page(&self) -> String {
        self.absolute(&self.list.page_address())
    }

    /// The feed that goes on where this one ends.
    fn next(&self, ending: &str) -> Option<String> {
        let after = self.found.next.clone()?;
        let next = ListQuery {
            after,
            ..self.list.clone()
        };
        Some(self.absolute(&next.feed_address(ending)))
    }

    fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.state.site.public_url)
    }
}

fn end_of(published: &Published) -> String {
    rfc3339(published.expires_at.second())
}

/// The tags that say something about this very picture.
fn tags_of(published: &Published) -> impl Iterator<Item = &str> {
    let names = published.tags.iter().map(|tag| tag.name.as_str());
    names.filter(|name| !COMMON_TAGS.contains(name))
}
