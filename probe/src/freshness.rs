//! Reads from the headers of an answer how long a shared cache may keep it. It is pure: the time is
//! an argument.

use std::time::{Duration, UNIX_EPOCH};

use hyper::header::HeaderMap;

use super::layers::text;

/// The HTTP statuses that caches keep where a lifetime is given.
const KEPT_STATUSES: [u16; 7] = [200, 203, 204, 206, 301, 308, 410];

/// Cookies that Cloudflare itself adds on the way out, behind its cache.
const COOKIES_OF_CLOUDFLARE: [&str; 4] = ["__cf_bm", "_cfuvid", "__cflb", "cf_clearance"];

/// What a shared cache may do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It must not keep it, because of this directive.
    Forbidden(&'static str),
    /// It may keep it, but the answer is never fresh, because of this.
    Never(&'static str),
    /// No header gives a lifetime, so each cache does as it is configured.
    Unsaid,
    /// It is fresh for this many seconds after it was made.
    Relative(u64),
    /// It is fresh until an instant this many seconds ahead. Only `Expires` gives its lifetime.
    Absolute(u64),
}

/// Reads the headers of an answer. `now` is in seconds since 1970.
pub(super) fn freshness(headers: &HeaderMap, now: u64) -> Freshness {
    let ours = Directives::of(headers, "cache-control");
    // A header for CDNs takes precedence over the one for everybody.
    let cdn = Directives::of(headers, "cloudflare-cdn-cache-control")
        .or_else(|| Directives::of(headers, "cdn-cache-control"));
    let directives = cdn.or(ours).unwrap_or_default();
    for forbidden in ["no-store", "private"] {
        if directives.has(forbidden) {
            return Freshness::Forbidden(forbidden);
        }
    }
    if directives.has("no-cache") {
        return Freshness::Never("no-cache");
    }
    let relative = directives
        .seconds("s-maxage")
        .or_else(|| directives.seconds("max-age"));
    match relative {
        Some(0) => return Freshness::Never("a lifetime of 0 seconds"),
        Some(seconds) => return Freshness::Relative(seconds),
        None => {}
    }
    let Some(expires) = text(headers, "expires") else {
        return Freshness::Unsaid;
    };
    let ahead = httpdate::parse_http_date(expires)
        .ok()
        .and_then(|expires| {
            expires
                .duration_since(UNIX_EPOCH + Duration::from_secs(now))
                .ok()
        })
        .map_or(0, |ahead| ahead.as_secs());
    match ahead {
        // This includes values that are not a date, such as the `0` that many servers send.
        0 => Freshness::Never("`Expires` in the past"),
        seconds => Freshness::Absolute(seconds),
    }
}

/// True where the origin allows caches to keep the answer, or does not object. A cache should then
/// have answered the second request.
pub(super) fn is_cacheable(status: u16, freshness: &Freshness) -> bool {
    KEPT_STATUSES.contains(&status)
        && !matches!(freshness, Freshness::Forbidden(_) | Freshness::Never(_))
}

/// The names of the cookies that the origin sets, never their values.
pub(super) fn cookies(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all("set-cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter_map(|value| value.split('=').next())
        .map(|name| name.trim().to_owned())
        .filter(|name| !COOKIES_OF_CLOUDFLARE.contains(&name.as_str()))
        .collect()
}

/// What `Vary` names besides the encoding, in lower case.
pub(super) fn varies_by(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all("vary")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "accept-encoding")
        .collect()
}

/// The lifetime in the browser, in seconds.
pub(super) fn browser_seconds(headers: &HeaderMap) -> Option<u64> {
    Directives::of(headers, "cache-control")?.seconds("max-age")
}

/// The directives of one header, in lower case.
#[derive(Default)]
struct Directives(Vec<String>);

impl Directives {
    /// Parses a header; `None` where it is absent or empty.
    fn of(headers: &HeaderMap, name: &str) -> Option<Self> {
        let directives: Vec<String> = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|directive| directive.trim().to_ascii_lowercase())
            .filter(|directive| !directive.is_empty())
            .collect();
        (!directives.is_empty()).then_some(Self(directives))
    }

    fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|directive| directive.split('=').next() == Some(name))
    }

    fn seconds(&self, name: &str) -> Option<u64> {
        self.0.iter().find_map(|directive| {
            let (found, value) = directive.split_once('=')?;
            (found.trim() == name).then(|| value.trim().trim_matches('"').parse().ok())?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 29 Nov 2026 10:15:00 GMT.
    const NOW: u64 = 1_795_947_300;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, hyper::header::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn lifetimes_are_read_as_a_shared_cache_reads_them() {
        let soon = ("expires", "Sun, 29 Nov 2026 10:15:30 GMT");
        let past = ("expires", "Sun, 29 Nov 2026 10:14:59 GMT");
        for (lines, expected) in [
            (vec![], Freshness::Unsaid),
            (vec![("cache-control", "public")], Freshness::Unsaid),
            (
                vec![("cache-control", "max-age=60")],
                Freshness::Relative(60),
            ),
            (
                vec![("cache-control", "Max-Age=60, S-MaxAge=\"90\"")],
                Freshness::Relative(90),
            ),
            (
                vec![("cache-control", "max-age=60"), soon],
                Freshness::Relative(60),
            ),
            (
                vec![("cache-control", "public, immutable"), soon],
                Freshness::Absolute(30),
            ),
            (vec![past], Freshness::Never("`Expires` in the past")),
            (
                vec![("expires", "0")],
                Freshness::Never("`Expires` in the past"),
            ),
            (
                vec![("cache-control", "no-store")],
                Freshness::Forbidden("no-store"),
            ),
            (
                vec![("cache-control", "private, max-age=9")],
                Freshness::Forbidden("private"),
            ),
            (
                vec![("cache-control", "no-cache"), soon],
                Freshness::Never("no-cache"),
            ),
            (
                vec![("cache-control", "max-age=60, s-maxage=0")],
                Freshness::Never("a lifetime of 0 seconds"),
            ),
            (
                vec![
                    ("cache-control", "no-store"),
                    ("cdn-cache-control", "max-age=5"),
                ],
                Freshness::Relative(5),
            ),
            (
                vec![
                    ("cdn-cache-control", "max-age=5"),
                    ("cloudflare-cdn-cache-control", "no-store"),
                ],
                Freshness::Forbidden("no-store"),
            ),
        ] {
            assert_eq!(freshness(&headers(&lines), NOW), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_answer_is_cacheable_unless_its_status_or_its_origin_objects() {
        assert!(is_cacheable(200, &Freshness::Relative(1)));
        assert!(is_cacheable(200, &Freshness::Unsaid));
        assert!(is_cacheable(410, &Freshness::Absolute(9)));
        assert!(!is_cacheable(200, &Freshness::Forbidden("no-store")));
        assert!(!is_cacheable(200, &Freshness::Never("no-cache")));
        assert!(!is_cacheable(503, &Freshness::Relative(60)));
    }

    #[test]
    fn cookies_of_the_origin_are_named_and_those_of_the_edge_are_not() {
        let headers = headers(&[
            ("set-cookie", "session=secret; Path=/"),
            ("set-cookie", "__cf_bm=x; HttpOnly"),
        ]);
        assert_eq!(cookies(&headers), ["session"]);
    }

    #[test]
    fn only_what_splits_a_cache_beyond_the_encoding_is_named() {
        let headers = headers(&[("vary", "Accept-Encoding, Cookie"), ("vary", "accept")]);
        assert_eq!(varies_by(&headers), ["cookie", "accept"]);
    }
}
