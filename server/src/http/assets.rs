//! `/pkg/*`: the build's CSS, JavaScript and WASM under hashed names, compressed at build time and held in memory.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headers::{ETag, HeaderMapExt, IfNoneMatch};

use crate::domain::picture::Sha256Hash;
use crate::error::Error;
use crate::http::cache::CachePolicy;
use crate::state::AppState;

/// Encodings in the order in which they are preferred, with the ending of their files.
const ENCODINGS: [(&str, &str); 2] = [("br", "br"), ("gzip", "gz")];

/// The files of the built site.
#[derive(Debug)]
pub struct Assets {
    files: HashMap<String, Asset>,
    favicon: Asset,
}

#[derive(Debug)]
struct Asset {
    content_type: &'static str,
    plain: Bytes,
    /// By index into [`ENCODINGS`].
    encoded: [Option<Bytes>; 2],
    hash: String,
}

impl Assets {
    /// Reads `pkg/` and the favicon of the built site.
    ///
    /// # Errors
    /// When the site is not built.
    pub fn load(site_dir: &Path) -> anyhow::Result<Self> {
        let pkg = site_dir.join("pkg");
        let entries = std::fs::read_dir(&pkg).with_context(|| {
            format!(
                "there is no built site at {}: run `make build`",
                site_dir.display()
            )
        })?;
        let mut files = HashMap::new();
        for entry in entries {
            let path = entry?.path();
            if let (Some(name), Some(content_type)) = (path.file_name(), content_type(&path)) {
                files.insert(
                    name.to_string_lossy().into_owned(),
                    Asset::load(&path, content_type)?,
                );
            }
        }
        let hashes = site_dir.join("hash.txt");
        anyhow::ensure!(
            hashes.is_file(),
            "{} is missing: run `make build`",
            hashes.display()
        );
        let favicon = Asset::load(&site_dir.join("favicon.svg"), "image/svg+xml")?;
        Ok(Self { files, favicon })
    }
}

impl Asset {
    fn load(path: &Path, content_type: &'static str) -> anyhow::Result<Self> {
        let plain =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let encoded = ENCODINGS.map(|(_, ending)| {
            let mut name = path.as_os_str().to_owned();
            name.push(".");
            name.push(ending);
            std::fs::read(name).ok().map(Bytes::from)
        });
        Ok(Self {
            content_type,
            hash: Sha256Hash::of(&plain).hex(),
            plain: plain.into(),
            encoded,
        })
    }

    fn answer(&self, request: &HeaderMap) -> Response {
        let (suffix, encoding, bytes) = ENCODINGS
            .iter()
            .zip(&self.encoded)
            .find_map(|((name, _), bytes)| {
                let bytes = bytes.as_ref().filter(|_| accepts(request, name))?;
                Some((*name, Some(*name), bytes))
            })
            .unwrap_or(("", None, &self.plain));
        let mut headers = HeaderMap::new();
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(etag) = format!("\"{}{suffix}\"", self.hash).parse::<ETag>() {
            headers.typed_insert(etag.clone());
            if request
                .typed_get::<IfNoneMatch>()
                .is_some_and(|tags| !tags.precondition_passes(&etag))
            {
                return (StatusCode::NOT_MODIFIED, headers).into_response();
            }
        }
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.content_type),
        );
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        (headers, bytes.clone()).into_response()
    }
}

/// `GET /pkg/{name}`
pub(crate) async fn get_asset(
    State(state): State<AppState>,
    UrlPath(name): UrlPath<String>,
    request: HeaderMap,
) -> Result<Response, Error> {
    let asset = state.assets.files.get(&name).ok_or_else(Error::not_found)?;
    let mut response = asset.answer(&request);
    response.extensions_mut().insert(CachePolicy::Immutable);
    Ok(response)
}

/// `GET /favicon.svg`
pub(crate) async fn get_favicon(State(state): State<AppState>, request: HeaderMap) -> Response {
    let mut response = state.assets.favicon.answer(&request);
    // Its name stays while its content may change.
    response.extensions_mut().insert(CachePolicy::Document);
    response
}

/// True when `Accept-Encoding` names this coding and does not weigh it with zero.
fn accepts(request: &HeaderMap, coding: &str) -> bool {
    request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').any(|item| {
                let (name, weight) = item.split_once(';').unwrap_or((item, ""));
                let weight = weight
                    .trim()
                    .strip_prefix("q=")
                    .and_then(|weight| weight.parse::<f32>().ok());
                name.trim().eq_ignore_ascii_case(coding) && weight.is_none_or(|weight| weight > 0.0)
            })
        })
}

fn content_type(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()? {
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "wasm" => Some("application/wasm"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_used_only_where_it_is_accepted() {
        for (value, accepted) in [
            ("gzip, br", true),
            ("BR", true),
            ("br;q=0.5", true),
            ("br;q=0", false),
            ("gzip", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts(&headers, "br"), accepted, "{value}");
        }
    }
}
