//! oEmbed (oembed.com): tells a site that got the link of a picture how to show the picture itself.
//! A link is one of this site's that lead to a picture: to its page, a direct link, or a file.
//!
//! The answer says for how long it may be used (`cache_age`). Whoever asked is one more cache in a
//! row, so its time is part of the sum that ends with the picture.

use app::error::ErrorCode;
use app::words::picture_title;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::domain::expiry::rfc3339;
use crate::domain::picture::{PictureId, Published, Variant};
use crate::domain::variant::{Format, VariantName};
use crate::http::cache::{self, CachePolicy};
use crate::http::direct::direct_file;
use crate::http::error::Error;
use crate::http::state::AppState;
use crate::http::views::image_url;
use crate::http::xml::Xml;
use crate::pictures::Status;

/// Where it is asked for.
pub(crate) const PATH: &str = "/oembed";
/// What can be asked, in the canonical order.
pub(crate) const PARAMETERS: &[&str] = &["url", "format", "maxwidth", "maxheight"];

/// The greatest width and height of the thumbnail, in pixels.
const THUMBNAIL: u32 = 400;
/// The longest link that is looked at, in bytes. Ours are much shorter.
pub(crate) const LONGEST_URL: usize = 2000;

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Json,
    Xml,
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    url: String,
    written: Written,
    /// The most pixels that whoever asks has room for.
    max_width: Option<u32>,
    max_height: Option<u32>,
}

impl Asked {
    /// Parses a query string; parameters that mean nothing are ignored.
    ///
    /// # Errors
    /// `malformed` without a link, or for a width or height that is no number of pixels;
    /// `unsupported-format` for another format than `json` and `xml`.
    pub(crate) fn parse(query: &str) -> Result<Self, Error> {
        let mut asked = Self {
            url: String::new(),
            written: Written::Json,
            max_width: None,
            max_height: None,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                // A parameter without a value is as good as none.
                (_, "") => {}
                ("url", _) => asked.url = value.into_owned(),
                ("format", "json") => asked.written = Written::Json,
                ("format", "xml") => asked.written = Written::Xml,
                ("format", _) => return Err(unsupported_format()),
                ("maxwidth", _) => asked.max_width = Some(pixels("maxwidth", &value)?),
                ("maxheight", _) => asked.max_height = Some(pixels("maxheight", &value)?),
                _ => {}
            }
        }
        if asked.url.is_empty() || asked.url.len() > LONGEST_URL {
            return Err(Error::new(
                ErrorCode::Malformed,
                format!("`url` must be the link of a picture, of at most {LONGEST_URL} bytes."),
            ));
        }
        Ok(asked)
    }

    /// The query string in its canonical spelling.
    pub(crate) fn to_query_string(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("url", &self.url);
        if self.written == Written::Xml {
            query.append_pair("format", "xml");
        }
        for (name, most) in [("maxwidth", self.max_width), ("maxheight", self.max_height)] {
            if let Some(most) = most {
                query.append_pair(name, &most.to_string());
            }
        }
        query.finish()
    }

    /// The id of the picture that the link leads to, on the site at this address.
    fn id(&self, public_url: &str) -> Option<PictureId> {
        // Which of the two schemes a link has is the reverse proxy's matter.
        let without_scheme = |url: &str| {
            let (scheme, rest) = url.split_once("://")?;
            matches!(scheme, "http" | "https").then(|| rest.to_owned())
        };
        let (link, site) = (without_scheme(&self.url)?, without_scheme(public_url)?);
        let path = link.strip_prefix(&site)?.strip_prefix('/')?;
        let path = path.split(['?', '#']).next()?;
        let mut segments = path.split('/');
        let id = match segments.next()? {
            "c" => segments.next()?.split('.').next()?,
            "i" => {
                let id = segments.nth(1)?;
                segments.next()?;
                id
            }
            _ => return None,
        };
        // A slash too many is forgiven.
        let is_over = segments.all(str::is_empty);
        PictureId::parse(id).filter(|_| is_over)
    }
}

fn pixels(name: &str, value: &str) -> Result<u32, Error> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|number| *number > 0 && is_number);
    number.ok_or_else(|| {
        Error::new(
            ErrorCode::Malformed,
            format!("`{name}` must be a whole number of pixels."),
        )
    })
}

fn unsupported_format() -> Error {
    Error::new(
        ErrorCode::UnsupportedFormat,
        "`format` must be `json` or `xml`. Nothing else is written here.",
    )
}

/// `GET /oembed?url=&format=&maxwidth=&maxheight=`
pub(crate) async fn get(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let asked = Asked::parse(query.as_deref().unwrap_or_default())?;
    let id = asked.id(&state.site.public_url);
    let id = id.ok_or_else(no_picture)?;
    let published = match state.pictures.reading.status(&id).await? {
        Status::Published(published) => published,
        Status::Screening | Status::Rejected(_) | Status::Gone { .. } | Status::Unknown => {
            return Err(no_picture());
        }
    };
    let photo = photo(&state, &published, &asked).ok_or_else(no_picture)?;
    let (kind, body) = match asked.written {
        Written::Json => ("application/json", Value::Object(photo).to_string()),
        Written::Xml => ("text/xml; charset=utf-8", in_xml(&photo)),
    };
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
    let policy = CachePolicy::list([&*published]);
    Ok((Extension(policy), kind, body).into_response())
}

/// The specification knows no other error for a link that leads to nothing.
fn no_picture() -> Error {
    Error::new(
        ErrorCode::NotFound,
        "There is no picture at this link to show. It may be over, or the link is not of this site.",
    )
}

/// What is told of a picture; `None` where it has no file that can be shown.
fn photo(state: &AppState, published: &Published, asked: &Asked) -> Option<Map<String, Value>> {
    let site = &state.site;
    let most = (
        asked.max_width.unwrap_or(u32::MAX),
        asked.max_height.unwrap_or(u32::MAX),
    );
    let best = direct_file(published).map(|(_, file)| file);
    let (file, (width, height)) = match best.filter(|file| fits(file, most)) {
        Some(file) => (file, (file.width, file.height)),
        None => match widest(published, most) {
            Some(file) => (file, (file.width, file.height)),
            // All are larger, so the least is shown smaller than it is.
            None => narrowest(published).map(|file| (file, shrunk(file, most)))?,
        },
    };
    let end = published.expires_at;
    let cache_age = cache::beyond_list(end, state.clock.now());
    let title = picture_title(&published.alt, &rfc3339(end.second()));
    let mut photo: Map<String, Value> = [
        ("version", Value::from("1.0")),
        ("type", "photo".into()),
        ("title", title.into()),
        ("url", image_url(site, published, &file.name).into()),
        ("width", width.into()),
        ("height", height.into()),
        ("provider_name", "CattoCDN".into()),
        ("provider_url", site.public_url.clone().into()),
        ("cache_age", cache_age.into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let most = (most.0.min(THUMBNAIL), most.1.min(THUMBNAIL));
    if let Some(file) = widest(published, most) {
        let url = image_url(site, published, &file.name);
        photo.insert("thumbnail_url".to_owned(), url.into());
        photo.insert("thumbnail_width".to_owned(), file.width.into());
        photo.insert("thumbnail_height".to_owned(), file.height.into());
    }
    Some(photo)
}

/// The files that may stand for the picture anywhere: no AVIF, which not everything can show, and
/// no still of what moves.
fn candidates(published: &Published) -> impl Iterator<Item = &Variant> {
    let may_stand = |name: VariantName| match name.format() {
        Format::Webp => true,
        Format::Jpeg => !published.animated,
        Format::Avif => false,
    };
    let files = published.readable();
    files
        .filter(move |(name, _)| may_stand(*name))
        .map(|(_, file)| file)
}

/// The widest file that is no larger than this.
fn widest(published: &Published, most: (u32, u32)) -> Option<&Variant> {
    let fitting = candidates(published).filter(|file| fits(file, most));
    fitting.max_by_key(|file| file.width)
}

fn narrowest(published: &Published) -> Option<&Variant> {
    candidates(published).min_by_key(|file| file.width)
}

fn fits(file: &Variant, most: (u32, u32)) -> bool {
    file.width <= most.0 && file.height <= most.1
}

/// The width and height of this file where it is made to fit.
fn shrunk(file: &Variant, most: (u32, u32)) -> (u32, u32) {
    let scaled = |length: u32, limit: u32, of: u32| {
        let exact = u64::from(length) * u64::from(limit) / u64::from(of.max(1));
        u32::try_from(exact).unwrap_or(u32::MAX).max(1)
    };
    let (mut width, mut height) = (file.width, file.height);
    if width > most.0 {
        (width, height) = (most.0, scaled(height, most.0, width));
    }
    if height > most.1 {
        (width, height) = (scaled(width, most.1, height), most.1);
    }
    (width, height)
}

/// The same in XML.
fn in_xml(photo: &Map<String, Value>) -> String {
    let mut xml = Xml::new();
    xml.open("oembed", &[]);
    for (name, value) in photo {
        match value {
            Value::String(text) => xml.text(name, &[], text),
            other => xml.text(name, &[], &other.to_string()),
        }
    }
    xml.close("oembed");
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "AAAAAAAAAAAAAAAA";

    fn id(url: &str) -> Option<PictureId> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("url", url)
            .finish();
        Asked::parse(&query)
            .expect("is well-formed")
            .id("https://catto.test")
    }

    #[test]
    fn every_link_to_a_picture_of_this_site_is_known_and_no_other_is() {
        for path in ["/c/{}", "/c/{}/", "/c/{}.jpg", "/c/{}?fbclid=1#q=cat"] {
            let url = format!("https://catto.test{}", path.replace("{}", ID));
            assert_eq!(id(&url), PictureId::parse(ID), "{url}");
        }
        for url in [
            format!("http://catto.test/c/{ID}"),
            format!("https://catto.test/i/20261129T101502Z/{ID}/512.webp"),
        ] {
            assert_eq!(id(&url), PictureId::parse(ID), "{url}");
        }
        for url in [
            format!("https://catto.test.evil.test/c/{ID}"),
            format!("https://evil.test/c/{ID}"),
            format!("https://catto.test/{ID}"),
            format!("https://catto.test/delete/{ID}/x"),
            "https://catto.test/".to_owned(),
            "https://catto.test/c/".to_owned(),
            ID.to_owned(),
        ] {
            assert_eq!(id(&url), None, "{url}");
        }
    }

    #[test]
    fn a_question_has_one_canonical_spelling() {
        for (query, canonical) in [
            ("url=x", "url=x"),
            ("utm=1&format=json&url=a://b/c", "url=a%3A%2F%2Fb%2Fc"),
            (
                "maxheight=07&maxwidth=600&format=xml&url=x",
                "url=x&format=xml&maxwidth=600&maxheight=7",
            ),
            ("url=x&maxwidth=", "url=x"),
        ] {
            let asked = Asked::parse(query).expect("is well-formed");
            assert_eq!(asked.to_query_string(), canonical, "{query}");
        }
    }
}
