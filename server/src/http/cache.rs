//! Who may keep an answer, and for how long. Handlers attach a [`CachePolicy`]; one middleware writes the headers.
//! An answer without a policy is `no-store`.
//!
//! Chained caches are assumed not to subtract the age that an answer gained before them. So a relative lifetime adds up
//! from cache to cache, and an absolute one does not: what must end at an instant either names that instant, or its
//! relative lifetimes together end before it (the sum rule).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;

use crate::domain::expiry::{ExpiresAt, IMAGE_CACHING};
use crate::domain::picture::{PictureId, Published};
use crate::domain::purge::EndingSpan;
use crate::runtime::clock::Clock;

/// With less than this left, a picture is not worth a cache entry, seconds.
const SHORTEST_LIFE: u64 = 2;
/// The most that a browser keeps a page or a list, seconds.
const BROWSER: u64 = 60;
/// The most that each CDN keeps a list, seconds: new pictures should show soon.
const LIST: u64 = 60;
/// How long Cloudflare may show an old list while it fetches the new one, where the sum rule leaves room, seconds.
const LIST_STALE: u64 = 300;
/// What each CDN keeps of pages that show no picture, seconds.
const DOCUMENT: u64 = 3600;

/// The tag of every page, by which all are purged together.
pub(crate) const PAGES_TAG: &str = "html";

const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const CLOUDFLARE: HeaderName = HeaderName::from_static("cloudflare-cdn-cache-control");

/// What caches may do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePolicy {
    /// Nobody keeps it: the default, and every error of ours, upload and unfinished thing.
    NoStore,
    /// A picture's bytes: every cache in a chain may keep them until one second before their end, and none longer.
    Image {
        expires_at: ExpiresAt,
        id: PictureId,
    },
    /// A file whose name changes with its content.
    Immutable,
    /// A page or file that shows no picture and changes with the build or the settings.
    Document,
    /// Pictures or tags, which change as pictures come and go.
    List {
        /// When the first of what is shown ends; absent where nothing is.
        ends: Option<ExpiresAt>,
        pictures: Vec<PictureId>,
    },
    /// One picture's page, or its JSON.
    Picture {
        expires_at: ExpiresAt,
        id: PictureId,
    },
    /// An answer that is the same for everyone until this instant. It is absolute, because one that adds up would have to
    /// be asked for several times before the instant, each time for half of what is left.
    Slot { ends: ExpiresAt, id: PictureId },
    /// The canonical spelling of an address: it never changes.
    Redirect,
}

impl CachePolicy {
    /// The policy of a list of these pictures.
    pub(crate) fn list<'a>(shown: impl IntoIterator<Item = &'a Published>) -> Self {
        let (mut ends, mut pictures) = (None, Vec::new());
        for published in shown {
            let end = published.expires_at;
            ends = Some(ends.map_or(end, |earliest: ExpiresAt| earliest.min(end)));
            pictures.push(published.id.clone());
        }
        Self::List { ends, pictures }
    }

    /// Writes this policy's headers.
    fn apply(&self, headers: &mut HeaderMap, clock: &Clock) {
        match self {
            Self::NoStore => no_store(headers),
            Self::Image { expires_at, .. } => until(headers, *expires_at, clock),
            Self::Slot { ends, .. } => until(headers, *ends, clock),
            Self::Immutable => set(headers, "public, max-age=31536000, immutable"),
            Self::Redirect => set(headers, "public, max-age=86400"),
            Self::Document => Lifetimes::of_document().write(headers),
            Self::List { ends, .. } => {
                Lifetimes::of_list(ends.map(|ends| ends.seconds_left(clock.now()))).write(headers);
            }
            Self::Picture { expires_at, .. } => {
                Lifetimes::of_picture(expires_at.seconds_left(clock.now())).write(headers);
            }
        }
    }

    /// The pictures that an answer names, by which it can be purged.
    fn pictures(&self) -> &[PictureId] {
        match self {
            Self::Image { id, .. } | Self::Picture { id, .. } | Self::Slot { id, .. } => {
                std::slice::from_ref(id)
            }
            Self::List { pictures, .. } => pictures,
            Self::NoStore | Self::Immutable | Self::Document | Self::Redirect => &[],
        }
    }
}

/// Relative lifetimes in seconds: in the browser (`max-age`), in CloudFront (`s-maxage`), in Cloudflare (its own header), and
/// for how long Cloudflare may show the old answer while it fetches the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lifetimes {
    browser: u64,
    cloudfront: u64,
    cloudflare: u64,
    cloudflare_stale: u64,
}

impl Lifetimes {
    const NONE: Self = Self {
        browser: 0,
        cloudfront: 0,
        cloudflare: 0,
        cloudflare_stale: 0,
    };

    fn of_document() -> Self {
        Self {
            browser: BROWSER,
            cloudfront: DOCUMENT,
            cloudflare: DOCUMENT,
            cloudflare_stale: LIST_STALE,
        }
    }

    /// Of a list whose first picture has so many seconds left; `None` where it shows none.
    fn of_list(seconds_left: Option<u64>) -> Self {
        let full = Self {
            browser: BROWSER,
            cloudfront: LIST,
            cloudflare: LIST,
            cloudflare_stale: LIST_STALE,
        };
        let Some(budget) = seconds_left.map(|left| left.saturating_sub(1)) else {
            return full;
        };
        let third = budget / 3;
        let fresh = Self {
            browser: third.min(BROWSER),
            cloudfront: third.min(LIST),
            cloudflare: third.min(LIST),
            cloudflare_stale: 0,
        };
        match budget.checked_sub(full.sum()) {
            Some(_) => full,
            None if third == 0 => Self::NONE,
            None => fresh,
        }
    }

    /// Of one picture's page: what the browser does not take is halved between the CDNs.
    fn of_picture(seconds_left: u64) -> Self {
        let budget = seconds_left.saturating_sub(1);
        let browser = (budget / 3).min(BROWSER);
        if browser == 0 {
            return Self::NONE;
        }
        let half = (budget - browser) / 2;
        Self {
            browser,
            cloudfront: half,
            cloudflare: half,
            cloudflare_stale: 0,
        }
    }

    /// How long after the origin answered somebody may still be shown the answer, at worst.
    const fn sum(self) -> u64 {
        self.browser + self.cloudfront + self.cloudflare + self.cloudflare_stale
    }

    fn write(self, headers: &mut HeaderMap) {
        if self == Self::NONE {
            return no_store(headers);
        }
        // A cache that finds no word about stale answers gives its own, such as Varnish's ten seconds.
        set_text(
            headers,
            header::CACHE_CONTROL,
            &format!(
                "public, max-age={}, s-maxage={}, stale-while-revalidate=0, stale-if-error=0",
                self.browser, self.cloudfront
            ),
        );
        set_text(
            headers,
            CLOUDFLARE,
            &format!(
                "public, max-age={}, stale-while-revalidate={}, stale-if-error=0",
                self.cloudflare, self.cloudflare_stale
            ),
        );
    }
}

/// Lets every cache keep an answer until a second before this instant, and none longer.
fn until(headers: &mut HeaderMap, ends: ExpiresAt, clock: &Clock) {
    if ends.seconds_left(clock.now()) < SHORTEST_LIFE {
        return no_store(headers);
    }
    set(headers, IMAGE_CACHING);
    set_text(headers, header::EXPIRES, &ends.last_second_http_date());
}

fn no_store(headers: &mut HeaderMap) {
    set(headers, "no-store");
}

fn set(headers: &mut HeaderMap, cache_control: &'static str) {
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(cache_control),
    );
}

/// Sets a header to text of ours, which is always plain ASCII.
fn set_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// What a page showed, noted by the backend while it loads: a page is rendered far from where its headers are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown(Arc<Mutex<Option<CachePolicy>>>);

impl Shown {
    /// Notes what the page shows. A page loads one thing; a second would make the first's policy wrong, so nobody keeps it.
    pub(crate) fn note(&self, policy: CachePolicy) {
        let mut noted = self.0.lock();
        *noted = Some(match *noted {
            None => policy,
            Some(_) => CachePolicy::NoStore,
        });
    }

    /// What was noted.
    pub(crate) fn policy(&self) -> Option<CachePolicy> {
        self.0.lock().clone()
    }
}

/// Marks an answer as a page, which names files of one build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsPage;

/// Turns the policy that a handler attached into headers.
pub(crate) async fn write_cache_headers(
    State(clock): State<Clock>,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = next.run(request).await;
    if response.headers().contains_key(header::CACHE_CONTROL) {
        tracing::error!("a handler wrote Cache-Control itself; its policy decides");
    }
    let policy = response.extensions_mut().remove::<CachePolicy>();
    let status = response.status();
    // Not by its content type, which a 304 does not have.
    let is_page = response.extensions().get::<IsPage>().is_some();
    let headers = response.headers_mut();
    match policy {
        Some(policy) if reads && (status.is_success() || status.is_redirection()) => {
            policy.apply(headers, &clock);
            let tags = tags(&policy, is_page);
            if !tags.is_empty() && headers[header::CACHE_CONTROL] != "no-store" {
                set_text(headers, CACHE_TAG, &tags);
            }
        }
        // Handlers that must not be kept even then say so.
        None if reads && is_kept(status) => {
            // An id is never used again; what is not there may come.
            let seconds = if status == StatusCode::GONE {
                86400
            } else {
                10
            };
            set_text(
                headers,
                header::CACHE_CONTROL,
                &format!("public, max-age={seconds}"),
            );
            if is_page {
                set_text(headers, CACHE_TAG, PAGES_TAG);
            }
        }
        _ => no_store(headers),
    }
    response
}

fn tags(policy: &CachePolicy, is_page: bool) -> String {
    let mut tags: Vec<String> = policy.pictures().iter().map(PictureId::cache_tag).collect();
    // What lives for days can be purged together with others. A list soon ends by itself, and CloudFront reads 50 tags.
    if let CachePolicy::Picture { expires_at, .. } = policy {
        let spans = EndingSpan::all_of(*expires_at);
        tags.extend(spans.map(|span| span.tag().to_string()));
    }
    if is_page {
        tags.push(PAGES_TAG.into());
    }
    tags.join(",")
}

/// True for errors that may be kept, unless a policy says otherwise: they must read the same for everyone.
pub(crate) fn is_kept(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_with_seconds_left(seconds: i64) -> HeaderMap {
        let clock = Clock::default();
        let expires_at = ExpiresAt::from_second(clock.now().as_second() + seconds);
        let mut headers = HeaderMap::new();
        let id = PictureId::random();
        CachePolicy::Image { expires_at, id }.apply(&mut headers, &clock);
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

    /// What every cache of a chain reads in the headers, summed: `max-age`, `s-maxage`, Cloudflare's own `max-age`, and all
    /// windows for stale answers. The first two windows count for browser and CloudFront each.
    fn sum_in_headers(lifetimes: Lifetimes) -> u64 {
        let mut headers = HeaderMap::new();
        lifetimes.write(&mut headers);
        let number = |header: &HeaderName, name: &str| {
            let text = headers[header].to_str().expect("is text");
            let value = text
                .split(", ")
                .find_map(|directive| directive.strip_prefix(&format!("{name}=")));
            value.map_or(0, |value| value.parse::<u64>().expect("a number"))
        };
        if headers[header::CACHE_CONTROL] == "no-store" {
            assert!(!headers.contains_key(CLOUDFLARE));
            return 0;
        }
        let stale = "stale-while-revalidate";
        number(&header::CACHE_CONTROL, "max-age")
            + number(&header::CACHE_CONTROL, "s-maxage")
            + 2 * number(&header::CACHE_CONTROL, stale)
            + number(&CLOUDFLARE, "max-age")
            + number(&CLOUDFLARE, stale)
    }

    #[test]
    fn all_lifetimes_together_end_a_second_before_the_first_picture_does() {
        for left in (0..2000).chain([7 * 24 * 3600, u64::from(u32::MAX)]) {
            for lifetimes in [Lifetimes::of_list(Some(left)), Lifetimes::of_picture(left)] {
                let sum = sum_in_headers(lifetimes);
                assert!(sum == 0 || sum < left, "{left} s left: {lifetimes:?}");
                assert!(sum > 0 || left < 4, "{left} s left and nobody keeps it");
                assert!(lifetimes.browser <= BROWSER);
            }
            let list = Lifetimes::of_list(Some(left));
            assert!(list.cloudfront <= LIST && list.cloudflare <= LIST);
        }
    }

    #[test]
    fn a_picture_with_a_week_left_is_kept_for_days_and_an_empty_list_for_a_minute() {
        let page = Lifetimes::of_picture(7 * 24 * 3600);
        assert_eq!(page.browser, 60);
        assert!(page.cloudfront > 3 * 24 * 3600 && page.cloudfront == page.cloudflare);
        assert_eq!(Lifetimes::of_list(None).cloudfront, 60);
        assert_eq!(Lifetimes::of_list(None), Lifetimes::of_list(Some(481)));
        assert_eq!(Lifetimes::of_list(Some(480)).cloudflare_stale, 0);
    }

    #[test]
    fn a_list_ends_with_the_first_of_its_pictures_and_names_them_all() {
        let clock = Clock::default();
        let now = clock.now().as_second();
        let ids = [PictureId::random(), PictureId::random()];
        let policy = CachePolicy::List {
            ends: Some(ExpiresAt::from_second(now + 31)),
            pictures: ids.to_vec(),
        };
        let mut headers = HeaderMap::new();
        policy.apply(&mut headers, &clock);
        let cache_control = headers[header::CACHE_CONTROL].to_str().expect("is text");
        assert!(cache_control.contains("max-age=9") || cache_control.contains("max-age=10"));
        assert_eq!(
            tags(&policy, true),
            format!("p-{},p-{},html", ids[0], ids[1])
        );
    }
}
