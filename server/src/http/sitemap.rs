//! The sitemap, by which search engines find pictures: the newest ones, each with its page and a
//! file (sitemaps.org, and Google's extension for images).

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::db::ListFilter;
use crate::domain::expiry::rfc3339;
use crate::domain::picture::Published;
use crate::http::cache::CachePolicy;
use crate::http::direct::direct_file;
use crate::http::error::Error;
use crate::http::list::PAGE_SIZE;
use crate::http::state::AppState;
use crate::http::views::{image_url, page_url};
use crate::http::xml::Xml;

/// The most pictures in it. The protocol allows 50,000, but all of them are read at once.
pub(crate) const MOST_PICTURES: u32 = 1000;

/// `GET /sitemap.xml`
pub(crate) async fn get(State(state): State<AppState>) -> Result<Response, Error> {
    let mut xml = Xml::new();
    xml.open(
        "urlset",
        &[
            ("xmlns", "http://www.sitemaps.org/schemas/sitemap/0.9"),
            (
                "xmlns:image",
                "http://www.google.com/schemas/sitemap-image/1.1",
            ),
        ],
    );
    for page in ["/", "/tags", "/about", "/docs"] {
        xml.open("url", &[]);
        xml.text("loc", &[], &format!("{}{page}", state.site.public_url));
        xml.close("url");
    }
    let (mut ends, mut before) = (None, None);
    // In pages, because the rows of all would take much memory.
    for _ in 0..MOST_PICTURES / PAGE_SIZE {
        let filter = ListFilter {
            before,
            limit: PAGE_SIZE,
            ..ListFilter::default()
        };
        let found = state.pictures.reading.list(&filter).await?;
        let Some(last) = found.last() else { break };
        before = Some(last.sequence);
        let first_to_end = found.iter().map(|published| published.expires_at).min();
        ends = ends.into_iter().chain(first_to_end).min();
        for published in &found {
            write_picture(&mut xml, &state, published);
        }
    }
    xml.close("urlset");
    let kind = HeaderValue::from_static("application/xml; charset=utf-8");
    // It names more pictures than an answer can have tags, so it is not purged with any of them.
    let policy = CachePolicy::List {
        ends,
        pictures: Vec::new(),
    };
    let kind = [(header::CONTENT_TYPE, kind)];
    Ok((Extension(policy), kind, xml.finish()).into_response())
}

fn write_picture(xml: &mut Xml, state: &AppState, published: &Published) {
    let site = &state.site;
    xml.open("url", &[]);
    xml.text("loc", &[], &page_url(site, &published.id));
    xml.text("lastmod", &[], &rfc3339(published.published_at));
    if let Some((_, file)) = direct_file(published) {
        xml.open("image:image", &[]);
        xml.text("image:loc", &[], &image_url(site, published, &file.name));
        xml.close("image:image");
    }
    xml.close("url");
}
