//! `/pkg/*`: CSS, JavaScript and WASM with hashes in their names, compressed at build time. The
//! favicon is here as well.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headers::{ETag, HeaderMapExt, IfNoneMatch};

use crate::builds::Asset;
use crate::domain::build::{AssetName, Coding};
use crate::http::error::Error;
use crate::http::state::AppState;
use crate::storage::StorageError;

/// The room that a file of an earlier build gets, in bytes. The largest, its WASM, needs half of
/// it.
const MAX_ASSET: usize = 512 * 1024;

/// `GET /pkg/{name}`: a file of this build, or of an earlier one whose pages caches may still hold.
pub(crate) async fn get_asset(
    State(state): State<AppState>,
    uri: Uri,
    Path(name): Path<String>,
    request: HeaderMap,
) -> Result<Response, Error> {
    // Each file has only one spelling, because caches would otherwise hold it many times.
    let name = AssetName::parse(&name)
        .filter(|_| !uri.path().contains('%'))
        .ok_or_else(Error::not_found)?;
    let asset = state.builds.find(&name).ok_or_else(Error::not_found)?;
    let read = async |coding| {
        let read = async || state.builds.read(&name, coding).await.map_err(of_storage);
        if state.builds.has_at_hand(&name) {
            return read().await;
        }
        let room = state.answers.room(MAX_ASSET).await?;
        Ok(room.keep(read().await?))
    };
    answer(&request, name.kind().content_type(), &asset, read).await
}

/// `GET /favicon.svg`
pub(crate) async fn get_favicon(
    State(state): State<AppState>,
    request: HeaderMap,
) -> Result<Response, Error> {
    let favicon = state.builds.favicon();
    let read = async |coding| favicon.read_as(coding).map_err(of_storage);
    answer(&request, "image/svg+xml", &favicon.asset, read).await
}

/// The file in the best coding that the client accepts, or 304 where the client has it already.
async fn answer(
    request: &HeaderMap,
    content_type: &'static str,
    asset: &Asset,
    read: impl AsyncFnOnce(Option<Coding>) -> Result<Bytes, Error>,
) -> Result<Response, Error> {
    let coding = asset
        .codings
        .iter()
        .copied()
        .find(|coding| accepts(request, coding.token()));
    let mut headers = HeaderMap::new();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // To a cache each coding is a representation of its own, and has a strong ETag of its own.
    let suffix = coding.map_or("", Coding::token);
    if let Ok(etag) = format!("\"{}{suffix}\"", asset.hash.hex()).parse::<ETag>() {
        headers.typed_insert(etag.clone());
        if request
            .typed_get::<IfNoneMatch>()
            .is_some_and(|tags| !tags.precondition_passes(&etag))
        {
            return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
        }
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(coding) = coding {
        headers.insert(
            header::CONTENT_ENCODING,
            HeaderValue::from_static(coding.token()),
        );
    }
    let bytes = read(coding).await?;
    Ok((headers, bytes).into_response())
}

fn of_storage(error: StorageError) -> Error {
    match error {
        // Somebody emptied the storage.
        StorageError::NotFound => Error::not_found(),
        error => error.into(),
    }
}

/// True when `Accept-Encoding` names this coding with a weight other than zero.
pub(super) fn accepts(request: &HeaderMap, coding: &str) -> bool {
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
