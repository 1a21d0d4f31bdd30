//! A model of a shared cache: what it keeps, and until when. It reads the headers that real caches
//! read, counts the lifetime of an answer from its arrival, and never subtracts `Age`. The
//! integration tests compare it with Varnish and nginx.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};

const CLOUDFLARE: HeaderName = HeaderName::from_static("cloudflare-cdn-cache-control");

/// Where in the chain a cache stands, which decides what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// In front of the server, like CloudFront. It reads `s-maxage`, then `max-age`, then
    /// `Expires`.
    Inner,
    /// In front of the inner one, like Cloudflare. Where its own header is present it reads nothing
    /// else; otherwise it reads what the inner one reads.
    Outer,
}

/// What a cache needs to know about an answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body_bytes: u64,
}

/// What a cache has for a request.
#[derive(Debug, Clone)]
pub enum Found {
    Fresh(Arc<Answer>),
    /// The answer has expired, but may be shown while it is fetched again.
    Stale(Arc<Answer>),
    Nothing,
}

/// One cache, without a limit on its size.
#[derive(Debug)]
pub struct Cache {
    level: Level,
    kept: HashMap<String, Kept>,
}

#[derive(Debug)]
struct Kept {
    answer: Arc<Answer>,
    fresh_until: i64,
    stale_until: i64,
}

impl Cache {
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self {
            level,
            kept: HashMap::new(),
        }
    }

    /// What the cache has under this key at this millisecond.
    #[must_use]
    pub fn find(&self, key: &str, now: i64) -> Found {
        match self.kept.get(key) {
            Some(kept) if now < kept.fresh_until => Found::Fresh(kept.answer.clone()),
            Some(kept) if now < kept.stale_until => Found::Stale(kept.answer.clone()),
            _ => Found::Nothing,
        }
    }

    /// Stores an answer that arrived at this millisecond, if its headers allow. What was stored
    /// before is dropped.
    pub fn offer(&mut self, key: &str, answer: &Arc<Answer>, now: i64) {
        match self.lifetime(answer, now) {
            Some((fresh_until, stale_until)) if fresh_until > now => {
                let kept = Kept {
                    answer: answer.clone(),
                    fresh_until,
                    stale_until,
                };
                self.kept.insert(key.to_owned(), kept);
            }
            _ => {
                self.kept.remove(key);
            }
        }
    }

    /// Until when an answer is fresh, and until when it may be shown stale, in milliseconds since
    /// 1970.
    fn lifetime(&self, answer: &Answer, now: i64) -> Option<(i64, i64)> {
        // Other statuses need more than a lifetime to be kept, and the server lets nobody keep
        // them.
        if !matches!(answer.status.as_u16(), 200 | 301 | 302 | 404 | 410) {
            return None;
        }
        let own = directives(&answer.headers, &CLOUDFLARE).filter(|_| self.level == Level::Outer);
        let directives = own.or_else(|| directives(&answer.headers, &header::CACHE_CONTROL))?;
        if ["no-store", "no-cache", "private"]
            .iter()
            .any(|word| directives.contains_key(*word))
        {
            return None;
        }
        let seconds = |name: &str| directives.get(name)?.parse::<i64>().ok();
        let fresh_until = match seconds("s-maxage").or_else(|| seconds("max-age")) {
            Some(seconds) => now + seconds * 1000,
            None => expires(&answer.headers)?,
        };
        let stale = seconds("stale-while-revalidate").unwrap_or(0);
        Some((fresh_until, fresh_until + stale * 1000))
    }
}

/// Outer caches in front of one inner cache.
#[derive(Debug)]
pub struct Chain {
    outers: Vec<Cache>,
    inner: Cache,
}

/// What one request of a client cost.
#[derive(Debug, Clone)]
pub struct Trip {
    /// What the client was shown.
    pub shown: Arc<Answer>,
    /// Whether the outer cache had the answer, be it stale.
    pub outer_hit: bool,
    /// What the outer cache fetched from the inner one.
    pub from_inner: Option<Arc<Answer>>,
    /// What the inner cache fetched from the server.
    pub from_origin: Option<Arc<Answer>>,
}

impl Chain {
    #[must_use]
    pub fn new(outers: usize) -> Self {
        Self {
            outers: (0..outers).map(|_| Cache::new(Level::Outer)).collect(),
            inner: Cache::new(Level::Inner),
        }
    }

    /// Drops what is kept of a deleted picture, as the CDNs are told to: its files, and everything
    /// that carries its tag.
    #[cfg(not(test))]
    pub fn purge(&mut self, id: &str) {
        let (tag, folder) = (format!("p-{id}"), format!("/{id}/"));
        let names_it = |key: &str, kept: &Kept| {
            let tags = kept.answer.headers.get("cache-tag");
            key.starts_with("/i/") && key.contains(&folder)
                || tags
                    .and_then(|tags| tags.to_str().ok())
                    .is_some_and(|tags| tags.split(',').any(|other| other.trim() == tag))
        };
        for cache in self.outers.iter_mut().chain([&mut self.inner]) {
            cache.kept.retain(|key, kept| !names_it(key, kept));
        }
    }

    /// True where what is kept under this key ceases to be fresh, or to be shown stale, within
    /// `margin` milliseconds of `now`. A real cache may then differ by the time it takes to answer.
    pub fn ends_near(&self, key: &str, now: i64, margin: i64) -> bool {
        let near = |end: i64| (end - now).abs() < margin;
        let caches = self.outers.iter().chain([&self.inner]);
        caches
            .filter_map(|cache| cache.kept.get(key))
            .any(|kept| near(kept.fresh_until) || near(kept.stale_until))
    }

    /// Makes a request to one of the outer caches at this millisecond. Each level has its own key
    /// for the URL.
    ///
    /// # Errors
    /// Where the server fails.
    pub fn ask<E>(
        &mut self,
        outer: usize,
        keys: (&str, &str),
        now: i64,
        origin: impl FnOnce() -> Result<Arc<Answer>, E>,
    ) -> Result<Trip, E> {
        let stale = match self.outers[outer].find(keys.0, now) {
            Found::Fresh(shown) => {
                return Ok(Trip {
                    shown,
                    outer_hit: true,
                    from_inner: None,
                    from_origin: None,
                });
            }
            Found::Stale(answer) => Some(answer),
            Found::Nothing => None,
        };
        let mut trip = self.ask_inner(keys.1, now, origin)?;
        self.outers[outer].offer(keys.0, &trip.shown, now);
        trip.from_inner = Some(trip.shown.clone());
        if let Some(stale) = stale {
            trip.outer_hit = true;
            trip.shown = stale;
        }
        Ok(trip)
    }

    /// Makes a request to the inner cache itself.
    ///
    /// # Errors
    /// Where the server fails.
    pub fn ask_inner<E>(
        &mut self,
        key: &str,
        now: i64,
        origin: impl FnOnce() -> Result<Arc<Answer>, E>,
    ) -> Result<Trip, E> {
        let (shown, from_origin) = match self.inner.find(key, now) {
            Found::Fresh(answer) => (answer, None),
            found => {
                let fetched = origin()?;
                self.inner.offer(key, &fetched, now);
                let shown = match found {
                    Found::Stale(answer) => answer,
                    Found::Fresh(_) | Found::Nothing => fetched.clone(),
                };
                (shown, Some(fetched))
            }
        };
        Ok(Trip {
            shown,
            outer_hit: false,
            from_inner: None,
            from_origin,
        })
    }
}

/// The directives of a header, with their values; `None` where it is absent.
fn directives(headers: &HeaderMap, name: &HeaderName) -> Option<HashMap<String, String>> {
    let text = headers.get(name)?.to_str().ok()?;
    let parts = text.split(',').map(|part| {
        let (name, value) = part.trim().split_once('=').unwrap_or((part.trim(), ""));
        (name.to_ascii_lowercase(), value.to_owned())
    });
    Some(parts.collect())
}

/// `Expires` in milliseconds since 1970.
fn expires(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(header::EXPIRES)?.to_str().ok()?;
    let since_1970 = httpdate::parse_http_date(text)
        .ok()?
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?;
    i64::try_from(since_1970.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long both levels show an answer with these headers, in seconds: fresh, and fresh or
    /// stale.
    fn lives(headers: &[(HeaderName, &str)]) -> [(i64, i64); 2] {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name, value.parse().expect("a value"));
        }
        let answer = Arc::new(Answer {
            status: StatusCode::OK,
            headers: map,
            body_bytes: 0,
        });
        [Level::Inner, Level::Outer].map(|level| {
            let mut cache = Cache::new(level);
            cache.offer("/", &answer, 0);
            let until = |shown: fn(&Found) -> bool| {
                (0..)
                    .find(|second| !shown(&cache.find("/", second * 1000)))
                    .expect("ends")
            };
            (
                until(|found| matches!(found, Found::Fresh(_))),
                until(|found| !matches!(found, Found::Nothing)),
            )
        })
    }

    #[test]
    fn each_level_reads_its_own_headers() {
        use header::{CACHE_CONTROL, EXPIRES};
        let after_100_s = "Thu, 01 Jan 1970 00:01:40 GMT";
        for (headers, inner, outer) in [
            (vec![], (0, 0), (0, 0)),
            (vec![(CACHE_CONTROL, "public, max-age=9")], (9, 9), (9, 9)),
            (
                vec![(CACHE_CONTROL, "public, max-age=9, s-maxage=5")],
                (5, 5),
                (5, 5),
            ),
            (
                vec![
                    (
                        CACHE_CONTROL,
                        "max-age=9, s-maxage=5, stale-while-revalidate=0",
                    ),
                    (CLOUDFLARE, "max-age=7, stale-while-revalidate=30"),
                ],
                (5, 5),
                (7, 37),
            ),
            (vec![(EXPIRES, after_100_s)], (0, 0), (0, 0)),
            (
                vec![(CACHE_CONTROL, "public, immutable"), (EXPIRES, after_100_s)],
                (100, 100),
                (100, 100),
            ),
            (
                vec![(CACHE_CONTROL, "public, max-age=9"), (EXPIRES, after_100_s)],
                (9, 9),
                (9, 9),
            ),
            (
                vec![(CACHE_CONTROL, "no-store"), (EXPIRES, after_100_s)],
                (0, 0),
                (0, 0),
            ),
        ] {
            assert_eq!(lives(&headers), [inner, outer], "{headers:?}");
        }
    }

    #[test]
    fn a_life_begins_anew_with_each_arrival_and_ends_with_an_answer_that_may_not_be_kept() {
        let answer = |cache_control: &str| {
            let mut headers = HeaderMap::new();
            let value = cache_control.parse().expect("a value");
            headers.insert(header::CACHE_CONTROL, value);
            headers.insert(header::AGE, "8".parse().expect("a value"));
            Arc::new(Answer {
                status: StatusCode::OK,
                headers,
                body_bytes: 0,
            })
        };
        let mut cache = Cache::new(Level::Outer);
        cache.offer("/", &answer("max-age=10"), 5000);
        assert!(matches!(cache.find("/", 14_999), Found::Fresh(_)));
        assert!(matches!(cache.find("/", 15_000), Found::Nothing));
        cache.offer("/", &answer("max-age=10"), 9000);
        assert!(matches!(cache.find("/", 18_999), Found::Fresh(_)));
        cache.offer("/", &answer("no-store"), 10_000);
        assert!(matches!(cache.find("/", 10_000), Found::Nothing));
    }
}
