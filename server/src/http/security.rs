//! Writes the headers that restrict what a browser may do with our answers.
//!
//! Nonces are of no use on cached pages, so the content security policy names the inline scripts by
//! their hashes. The hashes are taken once, from a page that contains no visitor's text. A script
//! that somebody smuggled into another page is therefore not among them.

use std::io::Write;

use app::backend::Interstitial;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use headers::{ETag, HeaderMapExt, IfNoneMatch};
use sha2::{Digest, Sha256};

use crate::domain::build::Coding;
use crate::domain::hash::Sha256Hash;
use crate::http::answers::{self, Turn};
use crate::http::assets::accepts;
use crate::http::declared::Caching;
use crate::http::error::Error;
use crate::http::handling::is_feed;
use crate::http::pages;
use crate::http::state::AppState;

/// The most bytes of a page. No page comes near this; it only bounds the buffer.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The fewest bytes that are compressed. What is smaller fits into one packet anyway.
const WORTH_COMPRESSING: usize = 1024;

/// Prefixes of paths that any page on the web may read, as it may read feeds. The header is a
/// constant, because echoing the origin would need `Vary`. No route can declare it, because a
/// script must also be able to read that there is nothing at a path below them.
const READABLE_PATHS: [&str; 4] = ["/api/v1/", "/i/", "/oembed", "/openapi.json"];

/// The types of lists and documents for programs, which are completed as pages are.
const FOR_PROGRAMS: [&[u8]; 5] = [
    b"application/json",
    b"application/feed+json",
    b"application/atom+xml",
    b"application/xml",
    b"text/xml",
];

/// Writes the headers that every answer carries, and completes pages and lists.
pub(crate) async fn write_security_headers(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let asked = Asked {
        if_none_match: request.headers().typed_get::<IfNoneMatch>(),
        accepts_gzip: accepts(request.headers(), Coding::Gzip.token()),
    };
    let path = request.uri().path();
    let readable_by_all = (READABLE_PATHS.iter().any(|start| path.starts_with(start))
        || is_feed(path))
        && matches!(*request.method(), Method::GET | Method::HEAD);
    let may_be_kept = matches!(Caching::of(&request), Caching::Kept(..))
        && matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = next.run(request).await;
    let is = |response: &Response, kind: &[u8]| {
        let content_type = response.headers().get(header::CONTENT_TYPE);
        content_type.is_some_and(|value| value.as_bytes().starts_with(kind))
    };
    if is(&response, b"text/html") {
        let policy = state
            .page_policy
            .get_or_try_init(|| content_security_policy(&state))
            .await;
        response = match policy {
            Ok(policy) => {
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
                complete(&state, response, asked).await
            }
            Err(error) => error.into_response(),
        };
    } else if (readable_by_all || may_be_kept)
        && FOR_PROGRAMS.iter().any(|kind| is(&response, kind))
    {
        response = complete(&state, response, asked).await;
    }
    // The answer is made, so its turn ends here.
    response.extensions_mut().remove::<Turn>();
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'; sandbox",
        ));
    if readable_by_all {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
    }
    if state.site.public_url.starts_with("https:") {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}

/// What a client asked of a page or list beside its address.
struct Asked {
    if_none_match: Option<IfNoneMatch>,
    accepts_gzip: bool,
}

/// Gives a page or list its length and `ETag`, or answers 304 to a client that has it already. It
/// is compressed for clients that accept it, but not where a CDN stands in front: that does it for
/// visitors, and better. To a cache each coding is a representation of its own, so each has an
/// `ETag` of its own, that of the bytes that are sent.
async fn complete(state: &AppState, response: Response, asked: Asked) -> Response {
    let (mut parts, body) = response.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let body = match to_bytes(body, MAX_PAGE_BYTES).await {
        Ok(body) => body,
        Err(error) => return unfinished(error).into_response(),
    };
    let compresses = state.origin.keys.is_empty() && body.len() >= WORTH_COMPRESSING;
    if compresses {
        let vary = HeaderValue::from_static("accept-encoding");
        parts.headers.insert(header::VARY, vary);
    }
    let body = if compresses && asked.accepts_gzip {
        let gzip = HeaderValue::from_static(Coding::Gzip.token());
        parts.headers.insert(header::CONTENT_ENCODING, gzip);
        match compress(&body) {
            Ok(compressed) => compressed,
            Err(error) => return unfinished(error).into_response(),
        }
    } else {
        body
    };
    let etag = format!("\"{}\"", Sha256Hash::of(&body).hex()).parse::<ETag>();
    if let (StatusCode::OK, Ok(etag)) = (parts.status, etag) {
        parts.headers.typed_insert(etag.clone());
        if asked
            .if_none_match
            .is_some_and(|tags| !tags.precondition_passes(&etag))
        {
            parts.status = StatusCode::NOT_MODIFIED;
            remove_body_headers(&mut parts.headers);
            return Response::from_parts(parts, Body::empty());
        }
    }
    let room = match state.answers.room(body.len()).await {
        Ok(room) => room,
        Err(error) if is_page => return answers::plain_page(&error.0),
        Err(error) => return error.into_response(),
    };
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(parts, Body::from(room.keep(body)))
}

/// These bytes as gzip.
fn compress(bytes: &[u8]) -> std::io::Result<Bytes> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?.into())
}

fn remove_body_headers(headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_TYPE);
    headers.remove(header::CONTENT_LENGTH);
}

/// The content security policy of every page.
async fn content_security_policy(state: &AppState) -> Result<HeaderValue, Error> {
    let page = pages::render_interstitial(state, Interstitial::Deleted).await;
    let body = to_bytes(page.into_body(), MAX_PAGE_BYTES)
        .await
        .map_err(unfinished)?;
    let policy = policy_text(&String::from_utf8_lossy(&body), &state.site.public_url);
    HeaderValue::try_from(policy).map_err(unfinished)
}

/// Logs why a page could not be made.
fn unfinished(error: impl std::fmt::Display) -> Error {
    tracing::error!(%error, "a page could not be rendered to its end");
    Error::new(
        app::error::ErrorCode::Internal,
        "Something went wrong on our side, and this page could not be made. Please try again in a moment.",
    )
}

fn policy_text(html: &str, public_url: &str) -> String {
    let mut scripts = String::from("'self' 'wasm-unsafe-eval'");
    for script in inline_scripts(html) {
        scripts.push_str(" 'sha256-");
        scripts.push_str(&STANDARD.encode(Sha256::digest(script.as_bytes())));
        scripts.push('\'');
    }
    format!(
        "default-src 'none'; script-src {scripts}; style-src 'self'; font-src 'self'; img-src 'self' {public_url} data: blob:; \
         connect-src 'self'; manifest-src 'self'; form-action 'self' {public_url}; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// The texts of all inline scripts of a page that contains only our own text.
fn inline_scripts(html: &str) -> Vec<&str> {
    let mut scripts = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find("<script") {
        rest = &rest[start + "<script".len()..];
        let Some(tag_end) = rest.find('>') else { break };
        let (attributes, after) = (&rest[..tag_end], &rest[tag_end + 1..]);
        let Some(end) = after.find("</script") else {
            break;
        };
        if !attributes.contains(" src=") && !after[..end].is_empty() {
            scripts.push(&after[..end]);
        }
        rest = &after[end..];
    }
    scripts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_inline_script_is_named_by_its_hash_and_nothing_else_is_let_in() {
        let html = r#"<script type="module">let a = 1;</script><script src="/x.js"></script><p>hi</p><script>b()</script>"#;
        assert_eq!(inline_scripts(html), ["let a = 1;", "b()"]);
        let policy = policy_text(html, "https://catto.example");
        assert_eq!(policy.matches("'sha256-").count(), 2);
        assert!(!policy.contains("unsafe-inline"));
    }
}
