//! Who may keep an answer, and for how long. Handlers attach a [`CachePolicy`]; one middleware writes the headers.
//! An answer without a policy is `no-store`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::clock::Clock;
use crate::domain::expiry::{ExpiresAt, IMAGE_CACHING};

/// With less than this left, a picture is not worth a cache entry, seconds.
const SHORTEST_LIFE: u64 = 2;

/// What caches may do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachePolicy {
    /// Nobody keeps it: the default, and every error, upload and unfinished thing.
    NoStore,
    /// A picture's bytes: every cache in a chain may keep them until one second before their end, and none longer.
    /// The end is absolute, because chained caches do not subtract the age that an object gained before them.
    Image { expires_at: ExpiresAt },
    /// A file whose name changes with its content.
    Immutable,
}

impl CachePolicy {
    /// Writes this policy's headers.
    fn apply(self, headers: &mut HeaderMap, clock: &Clock) {
        match self {
            Self::Image { expires_at } if expires_at.seconds_left(clock.now()) >= SHORTEST_LIFE => {
                set(headers, IMAGE_CACHING);
                let last = std::time::SystemTime::UNIX_EPOCH
                    + std::time::Duration::from_secs(
                        expires_at.last_fresh_second().cast_unsigned(),
                    );
                if let Ok(value) = HeaderValue::try_from(httpdate::fmt_http_date(last)) {
                    headers.insert(header::EXPIRES, value);
                }
            }
            Self::Immutable => set(headers, "public, max-age=31536000, immutable"),
            Self::Image { .. } | Self::NoStore => set(headers, "no-store"),
        }
    }
}

fn set(headers: &mut HeaderMap, cache_control: &'static str) {
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(cache_control),
    );
}

/// Turns the policy that a handler attached into headers.
pub(crate) async fn write_cache_headers(
    State(clock): State<Clock>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if response.headers().contains_key(header::CACHE_CONTROL) {
        tracing::error!("a handler wrote Cache-Control itself; its policy decides");
    }
    let policy = response
        .extensions()
        .get()
        .copied()
        .unwrap_or(CachePolicy::NoStore);
    policy.apply(response.headers_mut(), &clock);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_with_seconds_left(seconds: i64) -> HeaderMap {
        let clock = Clock::default();
        let expires_at = ExpiresAt::from_second(clock.now().as_second() + seconds);
        let mut headers = HeaderMap::new();
        CachePolicy::Image { expires_at }.apply(&mut headers, &clock);
        headers
    }

    #[test]
    fn an_image_carries_an_absolute_end_and_no_relative_one() {
        let headers = headers_with_seconds_left(100);
        let cache_control = headers[header::CACHE_CONTROL].to_str().expect("is text");
        assert!(!cache_control.contains("max-age"), "{cache_control}");
        let expires =
            httpdate::parse_http_date(headers[header::EXPIRES].to_str().expect("is text"));
        let left = expires
            .expect("is a date")
            .duration_since(std::time::SystemTime::now());
        assert!((97..=99).contains(&left.expect("lies ahead").as_secs()));
    }

    #[test]
    fn a_dying_or_dead_image_is_not_stored() {
        for seconds in [-5, 0, 1] {
            let headers = headers_with_seconds_left(seconds);
            assert_eq!(headers[header::CACHE_CONTROL], "no-store");
            assert!(!headers.contains_key(header::EXPIRES));
        }
    }
}
