//! `GET /i/{expires}/{id}/{name}`: the bytes, the CDN's hot path.

use std::io;

use app::error::ErrorCode;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use headers::{ETag, HeaderMapExt, IfNoneMatch, IfRange};

use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::{PictureId, Published};
use crate::domain::variant::{FileName, VariantName};
use crate::http::cache::CachePolicy;
use crate::http::error::Error;
use crate::http::state::AppState;
use crate::pictures::Status;
use crate::storage::StorageError;

/// A file is read in pieces of this many bytes, so that slow readers hold little memory.
const PIECE: u64 = 64 * 1024;

/// Answers an image, or 304, 206, 416; 410 from the picture's second on, whatever else was asked and by whatever method.
pub(crate) async fn get_image(
    State(state): State<AppState>,
    method: Method,
    uri: Uri,
    Path((expires, id, name)): Path<(String, String, String)>,
    request_headers: HeaderMap,
) -> Result<Response, Error> {
    // One file has one spelling, or caches would hold it many times.
    let (Some(expires_at), Some(id), Some(name), false) = (
        ExpiresAt::parse_compact(&expires),
        PictureId::parse(&id),
        FileName::parse(&name),
        uri.path().contains('%'),
    ) else {
        return Err(Error::not_found());
    };
    // The path alone tells when it is over, whether or not the index can be asked, or still knows the picture.
    if expires_at.is_past(state.clock.now()) {
        return Err(Error::gone());
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        return Ok(not_allowed());
    }
    let Found { published, policy } = find(&state, &id, expires_at).await?;
    let variant = published
        .readable()
        .find(|(known, _)| FileName::Known(*known) == name);
    let Some((name, variant)) = variant else {
        return Err(Error::not_found());
    };
    let etag: ETag = format!("\"{}\"", variant.hash.hex())
        .parse()
        .map_err(|_| unreadable())?;
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
    if request_headers
        .typed_get::<IfNoneMatch>()
        .is_some_and(|tags| !tags.precondition_passes(&etag))
    {
        return Ok(with_policy(
            (StatusCode::NOT_MODIFIED, headers).into_response(),
            policy,
        ));
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(name.format().content_type()),
    );
    let current = request_headers
        .typed_get::<IfRange>()
        .is_none_or(|if_range| !if_range.is_modified(Some(&etag), None));
    let range = request_headers
        .get(header::RANGE)
        // Ranges are for GET (RFC 9110, section 14.2).
        .filter(|_| current && method == Method::GET)
        .and_then(|range| range.to_str().ok());
    let length = variant.size_bytes;
    let whole = (StatusCode::OK, 0, length.saturating_sub(1));
    let (status, first, last) = match range.map(|range| requested(range, length)) {
        None | Some(Requested::Whole) => whole,
        Some(Requested::Part { first, last }) => {
            let value = format!("bytes {first}-{last}/{length}");
            headers.insert(header::CONTENT_RANGE, header_value(&value)?);
            (StatusCode::PARTIAL_CONTENT, first, last)
        }
        Some(Requested::Unsatisfiable) => return Ok(unsatisfiable(length)),
    };
    headers.insert(header::CONTENT_LENGTH, (last - first + 1).into());
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let file = File {
            state: state.clone(),
            id,
            expires_at,
            name,
        };
        file.read(first, last).await?
    };
    Ok(with_policy((status, headers, body).into_response(), policy))
}

/// A picture to be read, and what caches may do with it.
struct Found {
    published: Box<Published>,
    policy: CachePolicy,
}

/// The published picture of this path. While the index cannot be asked, its manifest answers: reading fails open.
async fn find(state: &AppState, id: &PictureId, expires_at: ExpiresAt) -> Result<Found, Error> {
    match state.pictures.reading.status(id).await {
        Ok(Status::Published(published)) if published.expires_at == expires_at => Ok(Found {
            published,
            policy: CachePolicy::Image {
                expires_at,
                id: id.clone(),
            },
        }),
        // Deleted before its time.
        Ok(Status::Gone {
            expires_at: Some(was),
        }) if was == expires_at => Err(Error::gone()),
        Ok(_) => Err(Error::not_found()),
        Err(error) => match state.pictures.reading.find_by_manifest(id).await {
            // It may have been deleted a moment ago; nobody should keep it on the manifest's word.
            Ok(Some(published)) if published.expires_at == expires_at => Ok(Found {
                published: Box::new(published),
                policy: CachePolicy::NoStore,
            }),
            // Without the index nobody can say that there is no such picture.
            Ok(_) | Err(_) => Err(error.into()),
        },
    }
}

/// One file of a published picture.
#[derive(Clone)]
struct File {
    state: AppState,
    id: PictureId,
    expires_at: ExpiresAt,
    name: VariantName,
}

impl File {
    /// These bytes, both ends included. The first piece is read at once, so that a missing file is an error and no torn
    /// answer.
    async fn read(self, first: u64, last: u64) -> Result<Body, Error> {
        let start = self.piece(first, last).await?;
        let next = first + start.len() as u64;
        if next > last {
            return Ok(Body::from(start));
        }
        let rest = stream::try_unfold(next, move |at| {
            let file = self.clone();
            async move {
                if at > last {
                    return Ok(None);
                }
                let bytes = file.piece(at, last).await.map_err(torn)?;
                let next = at + bytes.len() as u64;
                Ok::<_, io::Error>(Some((bytes, next)))
            }
        });
        let start = stream::once(async move { Ok(start) });
        Ok(Body::from_stream(start.chain(rest)))
    }

    /// Succeeds while the picture may be shown.
    async fn check_life(&self) -> Result<(), Error> {
        if self.expires_at.is_past(self.state.clock.now()) {
            return Err(Error::gone());
        }
        find(&self.state, &self.id, self.expires_at)
            .await
            .map(|_| ())
    }

    async fn piece(&self, first: u64, last: u64) -> Result<Bytes, Error> {
        let last = last.min(first + PIECE - 1);
        let length = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        let room = self.state.answers.room(length).await?;
        // Only now: while it waited, or its reader took the piece before, the picture may have ended. An answer that breaks off
        // is kept by no cache.
        self.check_life().await?;
        let pictures = &self.state.pictures;
        let read = pictures
            .reading
            .read_image(&self.id, self.expires_at, self.name, first..=last);
        match read.await {
            Ok(bytes) => Ok(room.keep(bytes)),
            // Deleted between the look-up and the read.
            Err(StorageError::NotFound) => Err(self.missing().await),
            Err(error) => Err(error.into()),
        }
    }

    async fn missing(&self) -> Error {
        match self.state.pictures.reading.status(&self.id).await {
            Ok(Status::Published(_)) => {
                tracing::error!(picture = %self.id, "a published picture's object is missing");
                Error::new(
                    ErrorCode::StorageUnavailable,
                    "We could not read this picture. Please try again in a moment.",
                )
            }
            Ok(_) => Error::gone(),
            Err(error) => error.into(),
        }
    }
}

/// What ends a body in the middle. Its words reach nobody.
fn torn(error: Error) -> io::Error {
    io::Error::other(error.0)
}

fn not_allowed() -> Response {
    let mut response = Error::method_not_allowed().into_response();
    let methods = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(header::ALLOW, methods);
    response
}

fn header_value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(text).map_err(|_| unreadable())
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

fn unreadable() -> Error {
    Error::new(
        ErrorCode::Internal,
        "Something went wrong on our side, and the picture could not be read. Please try again in a moment.",
    )
}

fn unsatisfiable(length: u64) -> Response {
    let error = Error::new(
        ErrorCode::RangeNotSatisfiable,
        format!("The picture has only {length} bytes. Please ask for a range within them."),
    );
    let mut response = error.into_response();
    if let Ok(value) = HeaderValue::try_from(format!("bytes */{length}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
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
