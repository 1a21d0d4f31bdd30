//! `GET /i/{expires}/{id}/{name}`: the bytes, the CDN's hot path.

use app::error::ErrorCode;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headers::{ETag, HeaderMapExt, IfNoneMatch, IfRange, Range};

use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::{PictureId, VariantName};
use crate::error::Error;
use crate::http::cache::CachePolicy;
use crate::pictures::Status;
use crate::state::AppState;
use crate::storage::StorageError;

/// Answers an image, or 304, 206, 416; 410 from the picture's second on, whatever else was asked.
pub(crate) async fn get_image(
    State(state): State<AppState>,
    Path((expires, id, name)): Path<(String, String, String)>,
    request_headers: HeaderMap,
) -> Result<Response, Error> {
    let (Some(expires_at), Some(id), Some(name)) = (
        ExpiresAt::parse_compact(&expires),
        PictureId::parse(&id),
        VariantName::parse(&name),
    ) else {
        return Err(Error::not_found());
    };
    let published = match state.pictures.status(&id).await? {
        Status::Published(published) if published.expires_at == expires_at => published,
        Status::Gone => return Err(Error::gone()),
        _ => return Err(Error::not_found()),
    };
    let Some(variant) = published
        .variants
        .iter()
        .find(|variant| variant.name == name)
    else {
        return Err(Error::not_found());
    };
    let etag: ETag = format!("\"{}\"", variant.hash)
        .parse()
        .map_err(|_| Error::new(ErrorCode::Internal, "The picture could not be read."))?;
    let mut headers = HeaderMap::new();
    headers.typed_insert(etag.clone());
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox"),
    );
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("cross-origin"),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert("x-robots-tag", robots_tag(expires_at));
    let policy = CachePolicy::Image { expires_at };

    if request_headers
        .typed_get::<IfNoneMatch>()
        .is_some_and(|tags| !tags.precondition_passes(&etag))
    {
        return Ok(with_policy(
            (StatusCode::NOT_MODIFIED, headers).into_response(),
            policy,
        ));
    }
    let bytes = match state.pictures.read_image(&published, name).await {
        Ok(bytes) => bytes,
        // Deleted between the look-up and the read.
        Err(StorageError::NotFound) => return Err(missing_object(&state, &id).await),
        Err(error) => return Err(error.into()),
    };
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(name.content_type()),
    );
    let current = request_headers
        .typed_get::<IfRange>()
        .is_none_or(|if_range| !if_range.is_modified(Some(&etag), None));
    let range = request_headers.typed_get::<Range>().filter(|_| current);
    let response = match range.map(|range| single_range(&range, bytes.len() as u64)) {
        None | Some(Requested::Whole) => (headers, Body::from(bytes)).into_response(),
        Some(Requested::Part { first, last }) => partial(headers, &bytes, first, last),
        Some(Requested::Unsatisfiable) => return Err(unsatisfiable()),
    };
    Ok(with_policy(response, policy))
}

/// What of the whole a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Requested {
    Whole,
    /// Both ends included.
    Part {
        first: u64,
        last: u64,
    },
    Unsatisfiable,
}

/// One range is served; several are answered with the whole, as RFC 9110 section 14.2 allows.
fn single_range(range: &Range, length: u64) -> Requested {
    use std::ops::Bound;
    let mut ranges = range.satisfiable_ranges(length);
    let (Some((start, end)), second) = (ranges.next(), ranges.next()) else {
        return Requested::Unsatisfiable;
    };
    if second.is_some() {
        return Requested::Whole;
    }
    let first = match start {
        Bound::Included(first) => first,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let last = match end {
        Bound::Included(last) => last.min(length.saturating_sub(1)),
        Bound::Excluded(after) => after.min(length).saturating_sub(1),
        Bound::Unbounded => length.saturating_sub(1),
    };
    if first > last || first >= length {
        return Requested::Unsatisfiable;
    }
    Requested::Part { first, last }
}

fn partial(mut headers: HeaderMap, bytes: &Bytes, first: u64, last: u64) -> Response {
    let length = bytes.len();
    // The bounds lie within the bytes, which lie in memory.
    let (start, end) = (first as usize, last as usize + 1);
    if let Ok(value) = HeaderValue::try_from(format!("bytes {first}-{last}/{length}")) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    (
        StatusCode::PARTIAL_CONTENT,
        headers,
        Body::from(bytes.slice(start..end)),
    )
        .into_response()
}

fn unsatisfiable() -> Error {
    Error::new(
        ErrorCode::RangeNotSatisfiable,
        "The picture has no such range of bytes.",
    )
}

async fn missing_object(state: &AppState, id: &PictureId) -> Error {
    match state.pictures.status(id).await {
        Ok(Status::Published(_)) => {
            tracing::error!(picture = %id, "a published picture's object is missing");
            Error::new(
                ErrorCode::StorageUnavailable,
                "The picture could not be read. Please try again in a moment.",
            )
        }
        Ok(_) => Error::gone(),
        Err(error) => error.into(),
    }
}

fn with_policy(mut response: Response, policy: CachePolicy) -> Response {
    response.extensions_mut().insert(policy);
    response
}

/// Search engines must not archive a picture, nor list it after its end.
pub(crate) fn robots_tag(expires_at: ExpiresAt) -> HeaderValue {
    let until = expires_at.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ");
    HeaderValue::try_from(format!("noarchive, unavailable_after: {until}"))
        .unwrap_or(HeaderValue::from_static("noarchive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_cut_out_and_nonsense_is_not_satisfiable() {
        let part = |first, last| Requested::Part { first, last };
        for (text, expected) in [
            ("bytes=0-9", part(0, 9)),
            ("bytes=90-", part(90, 99)),
            ("bytes=90-500", part(90, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-500", part(0, 99)),
            ("bytes=100-", Requested::Unsatisfiable),
            ("bytes=9-3", Requested::Unsatisfiable),
            ("bytes=0-1,5-6", Requested::Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(text));
            let range: Range = headers.typed_get().expect("is a range header");
            assert_eq!(single_range(&range, 100), expected, "{text}");
        }
    }
}
