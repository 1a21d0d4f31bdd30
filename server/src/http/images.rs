//! `GET /i/{expires}/{id}/{name}`: the bytes, the CDN's hot path.

use app::error::ErrorCode;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headers::{ETag, HeaderMapExt, IfNoneMatch, IfRange};

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
        Status::Gone {
            expires_at: Some(was),
        } if was == expires_at => return Err(Error::gone()),
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
    let range = request_headers
        .get(header::RANGE)
        .filter(|_| current)
        .and_then(|range| range.to_str().ok());
    let response = match range.map(|range| requested(range, bytes.len() as u64)) {
        None | Some(Requested::Whole) => {
            with_policy((headers, Body::from(bytes)).into_response(), policy)
        }
        Some(Requested::Part { first, last }) => {
            with_policy(partial(headers, &bytes, first, last), policy)
        }
        Some(Requested::Unsatisfiable) => unsatisfiable(bytes.len()),
    };
    Ok(response)
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

/// Reads a `Range` of bytes (RFC 9110, section 14.1.2). One range is served; several are answered with the whole, and a
/// header that makes no sense is ignored, as that section allows.
fn requested(range: &str, length: u64) -> Requested {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Requested::Whole;
    };
    let number = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    match (first, last, number(first), number(last)) {
        // The last so many bytes: all of them where there are fewer.
        ("", _, _, Some(suffix)) if suffix > 0 && length > 0 => Requested::Part {
            first: length.saturating_sub(suffix),
            last: length - 1,
        },
        ("", _, _, Some(_)) => Requested::Unsatisfiable,
        (_, "", Some(first), _) if first < length => Requested::Part {
            first,
            last: length - 1,
        },
        (_, _, Some(first), Some(last)) if first <= last && first < length => Requested::Part {
            first,
            last: last.min(length - 1),
        },
        (_, "", Some(_), _) => Requested::Unsatisfiable,
        (_, _, Some(first), Some(last)) if first <= last => Requested::Unsatisfiable,
        _ => Requested::Whole,
    }
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

fn unsatisfiable(length: usize) -> Response {
    let error = Error::new(
        ErrorCode::RangeNotSatisfiable,
        "The picture has no such range of bytes.",
    );
    let mut response = error.into_response();
    if let Ok(value) = HeaderValue::try_from(format!("bytes */{length}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
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
    fn one_range_is_cut_out_and_nonsense_is_ignored() {
        let part = |first, last| Requested::Part { first, last };
        for (text, expected) in [
            ("bytes=0-9", part(0, 9)),
            ("bytes=90-", part(90, 99)),
            ("bytes=90-500", part(90, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-500", part(0, 99)),
            ("bytes=-0", Requested::Unsatisfiable),
            ("bytes=100-", Requested::Unsatisfiable),
            ("bytes=100-200", Requested::Unsatisfiable),
            ("bytes=9-3", Requested::Whole),
            ("bytes=0-1,5-6", Requested::Whole),
            ("bytes=+1-+2", Requested::Whole),
            ("bytes=99999999999999999999-", Requested::Whole),
            ("lines=1-2", Requested::Whole),
            ("", Requested::Whole),
        ] {
            assert_eq!(requested(text, 100), expected, "{text}");
        }
    }
}
