//! Gives each page and list one canonical address, so that caches hold it once. Another spelling is
//! redirected there or is not found, and never redirected to an address that is an error.

use app::error::ErrorCode;
use app::query::path_segment;
use app::types::ListQuery;
use axum::Extension;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use crate::domain::search::canonical;
use crate::http::cache::CachePolicy;
use crate::http::declared::{Caching, Key};
use crate::http::error::Error;
use crate::http::list::{self, PAGE_SIZE};
use crate::http::oembed;

const TAG_PAGES: &str = "/tags/";
const SEARCH: &str = "/search";

/// Redirects a reader of another spelling to the canonical address.
pub(crate) async fn insist_on_spelling(mut request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let (caching, uri) = (Caching::of(&request), request.uri());
    match canonical_address(caching, uri.path(), uri.query()) {
        Ok(None) => {
            if matches!(caching, Caching::Kept(_, Key::Path)) {
                *request.uri_mut() = without_query(request.uri());
            }
            next.run(request).await
        }
        Ok(Some(address)) => match HeaderValue::try_from(address) {
            Ok(location) => (
                StatusCode::MOVED_PERMANENTLY,
                Extension(CachePolicy::Redirect),
                [(header::LOCATION, location)],
            )
                .into_response(),
            Err(_) => Error::new(
                ErrorCode::Malformed,
                "This address cannot be read. Please check it for typing mistakes.",
            )
            .into_response(),
        },
        Err(error) => error.into_response(),
    }
}

/// The address without its query. Where the cache key is the path alone, the answer must not depend
/// on the query: a page repeats what was searched for, and a cache would show the words of whoever
/// had it fetch the page to everybody else.
fn without_query(uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    let path = uri.path().parse();
    parts.path_and_query = Some(path.expect("the path of an address is one by itself"));
    Uri::from_parts(parts).expect("nothing else was changed")
}

/// The canonical spelling of an address that is spelt otherwise. It is `None` for an address that
/// is canonical already, or that answers the same whatever its query is.
///
/// # Errors
/// The error with which the canonical address would answer: `malformed` or `not-found`.
fn canonical_address(
    caching: Caching,
    path: &str,
    query: Option<&str>,
) -> Result<Option<String>, Error> {
    let Caching::Kept(_, Key::Query(known)) = caching else {
        // No name but a tag's needs percent-encoding.
        return if path.contains('%') {
            Err(Error::not_found())
        } else {
            Ok(None)
        };
    };
    if path == oembed::PATH {
        let asked = oembed::Asked::parse(query.unwrap_or_default())?.to_query_string();
        return Ok((query != Some(&asked)).then(|| format!("{path}?{asked}")));
    }
    let canonical_path = match path.strip_prefix(TAG_PAGES) {
        Some(rest) => {
            // A slash in a tag is escaped, so behind the first one is the name of a feed.
            let (tag, feed) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let tag = read_tag(tag)?;
            let path = format!("{TAG_PAGES}{}{feed}", path_segment(&tag));
            list::filter_of(&ListQuery {
                tag,
                ..ListQuery::default()
            })?;
            path
        }
        None => path.to_owned(),
    };
    let mut asked = list::parse_query(query.unwrap_or_default(), known)?;
    if path == SEARCH && asked.q.is_empty() {
        // Without words, the page only explains how to search.
        asked.after = String::new();
    }
    list::filter_of(&asked)?;
    asked.limit = asked.limit.filter(|limit| *limit != PAGE_SIZE);
    let asked = asked.to_query_string();
    let canonical_query = (!asked.is_empty()).then_some(asked.as_str());
    if canonical_path == path && canonical_query == query {
        return Ok(None);
    }
    let separator = if canonical_query.is_some() { "?" } else { "" };
    Ok(Some(format!("{canonical_path}{separator}{asked}")))
}

/// The tag in a segment of a path.
fn read_tag(segment: &str) -> Result<String, Error> {
    let text = percent_decode_str(segment).decode_utf8();
    let tag = canonical(&text.map_err(|_| Error::not_found())?);
    if tag.is_empty() {
        return Err(Error::not_found());
    }
    Ok(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to an address: where it redirects to, the status of the error, or nothing where
    /// it is answered.
    fn outcome(address: &str) -> String {
        let (path, query) = match address.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (address, None),
        };
        let declarations = crate::http::declarations();
        let declared = declarations
            .iter()
            .find(|declaration| declaration.covers(path));
        let caching = declared.map_or(Caching::Never, |declaration| declaration.caching);
        match canonical_address(caching, path, query) {
            Ok(address) => address.unwrap_or_default(),
            Err(error) => error.0.code.status().to_string(),
        }
    }

    #[test]
    fn every_address_has_one_spelling() {
        for (asked, expected) in [
            ("/", ""),
            ("/?", "/"),
            ("/?after=5", ""),
            ("/?after=5&limit=7&q=cat&tag=x&fbclid=y", "/?after=5"),
            ("/?%61fter=5", "/?after=5"),
            ("/search?q=tabby+cat", ""),
            ("/search?q=%74abby%20Cat&tag=x", "/search?q=tabby+cat"),
            ("/search?after=5", "/search"),
            ("/tags/tabby%20cat", ""),
            ("/tags/t-shirt", ""),
            ("/tags/a%62c", "/tags/abc"),
            ("/tags/Tabby%20%20cat%20", "/tags/tabby%20cat"),
            ("/tags/s%c3%b6%C3%9F", "/tags/s%C3%B6%C3%9F"),
            ("/tags/cat?after=5&tag=dog", "/tags/cat?after=5"),
            ("/tags/a/b", ""),
            ("/feed.xml?q=Tabby+Cat&limit=5", "/feed.xml?q=tabby+cat"),
            (
                "/tags/Tabby%20cat/feed.json?q=x",
                "/tags/tabby%20cat/feed.json",
            ),
            ("/tags/a%2Fb/feed.xml", ""),
            ("/api/v1/pictures?limit=40", "/api/v1/pictures"),
            ("/api/v1/pictures?limit=007", "/api/v1/pictures?limit=7"),
            ("/api/v1/tags?x", "/api/v1/tags"),
            ("/random?", "/random"),
            ("/oembed?url=a%2Fb", ""),
            ("/oembed?format=json&url=a/b", "/oembed?url=a%2Fb"),
            // These answer the same whatever their query is.
            ("/about?x", ""),
            ("/c/AAAAAAAAAAAAAAAA?fbclid=x", ""),
        ] {
            assert_eq!(outcome(asked), expected, "{asked}");
        }
    }

    #[test]
    fn nobody_is_sent_to_an_error() {
        let long = "x".repeat(201);
        for (asked, status) in [
            ("/?after=5%20", "400"),
            ("/?after=%35x&utm=1", "400"),
            ("/search?q=a+b+c+d+e+f+g+h+i+j+k+l+m+n+o+p+q&utm=1", "400"),
            ("/api/v1/pictures?limit=041", "400"),
            ("/api/v1/pictures?limit=0&utm=1", "400"),
            (&format!("/tags/{long}"), "400"),
            (&format!("/search?q={long}&utm=1"), "400"),
            ("/oembed", "400"),
            ("/oembed?utm=1&url=x&maxwidth=wide", "400"),
            ("/oembed?utm=1&url=x&format=yaml", "501"),
            ("/tags/%20", "404"),
            ("/tags/%ff", "404"),
            ("/c/%41AAAAAAAAAAAAAAA", "404"),
            ("/api/v1/pictures/%41AAAAAAAAAAAAAAA", "404"),
            ("/delete/%41AAAAAAAAAAAAAAA/x", "404"),
        ] {
            assert_eq!(outcome(asked), status, "{asked}");
        }
    }

    #[test]
    fn a_query_is_taken_off_and_nothing_else() {
        for (asked, expected) in [
            ("/about?q=x", "/about"),
            ("/c/x", "/c/x"),
            ("http://catto.test/about?q=x?y", "http://catto.test/about"),
            ("/pkg/\"{a}\"?", "/pkg/\"{a}\""),
        ] {
            let asked: Uri = asked.parse().expect("an address");
            assert_eq!(without_query(&asked).to_string(), expected);
        }
    }

    #[test]
    fn a_canonical_address_is_its_own() {
        for asked in [
            "/?limit=5&after=12",
            "/search?after=3&q=%22Maine++coon%22+-Dog",
            "/tags/MAINE%20coon%2Fx?utm=1",
            "/api/v1/pictures?limit=%2B05&tag=X&q=y&after=4",
        ] {
            assert_eq!(outcome(&outcome(asked)), "", "{asked}");
        }
    }
}
