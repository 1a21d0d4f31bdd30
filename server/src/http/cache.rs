//! Who may keep an answer, and for how long. Addresses declare the kind of their policy
//! (`http/declared`), handlers attach a [`CachePolicy`] of that kind, and one middleware writes the
//! headers. An answer without a policy is `no-store`.
//!
//! A cache is assumed not to subtract the age that an answer gained in the caches before it. A
//! relative lifetime therefore adds up from cache to cache, and an absolute one does not. What must
//! end at an instant either names that instant, or has relative lifetimes whose sum ends before it
//! (the sum rule).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::domain::expiry::{ExpiresAt, IMAGE_CACHING};
use crate::domain::picture::{PictureId, Published};
use crate::domain::purge::EndingSpan;
use crate::http::declared::{Caching, Kind};
use crate::runtime::clock::Clock;

/// A picture with less time left than this is not worth a cache entry, in seconds.
const SHORTEST_LIFE: u64 = 2;
/// The longest that a browser keeps a page or a list, in seconds.
const BROWSER: u64 = 60;
/// The longest that each CDN keeps a list, in seconds. It is short because new pictures should
/// appear soon.
const LIST: u64 = 60;
/// How long Cloudflare may serve an old list while it fetches the new one, in seconds, where the
/// sum rule leaves room for that.
const LIST_STALE: u64 = 300;
/// How long each CDN keeps pages that show no picture, in seconds.
const DOCUMENT: u64 = 3600;
/// How long every cache keeps a 404, in seconds. It is short because something may yet appear at
/// the address.
const MISSING: u64 = 10;
/// How long every cache keeps a 410, in seconds. It can be long because a picture's id is never
/// used again.
const GONE: u64 = 24 * 3600;

/// The cache tag of every page, by which all pages are purged together.
pub(crate) const PAGES_TAG: &str = "html";

const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const CLOUDFLARE: HeaderName = HeaderName::from_static("cloudflare-cdn-cache-control");
/// The headers by which caches decide. No handler may write them.
const DECISIVE: [HeaderName; 5] = [
    header::CACHE_CONTROL,
    header::EXPIRES,
    CLOUDFLARE,
    HeaderName::from_static("cdn-cache-control"),
    CACHE_TAG,
];

/// What caches may do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePolicy {
    /// Nobody may keep the answer. This is the default, and the policy of uploads, of everything
    /// unfinished, and of all errors but 404 and 410.
    NoStore,
    /// The bytes of a picture. Every cache in a chain may keep them until one second before the
    /// picture expires, and no longer.
    Image {
        expires_at: ExpiresAt,
        id: PictureId,
    },
    /// A file whose name changes with its content.
    Immutable,
    /// A page or file that shows no picture and changes only with the build or the settings.
    Document,
    /// Pictures or tags, which change as pictures come and go.
    List {
        /// When the first of the pictures that are shown expires; `None` where none is shown.
        ends: Option<ExpiresAt>,
        pictures: Vec<PictureId>,
    },
    /// The page of one picture, or its JSON.
    Picture {
        expires_at: ExpiresAt,
        id: PictureId,
    },
    /// An answer that is the same for everyone until this instant. The instant is absolute, because
    /// with lifetimes that add up caches would have to ask several times before it, each time for
    /// half of what is left.
    Slot { ends: ExpiresAt, id: PictureId },
    /// The redirect to an address's canonical spelling, which never changes.
    Redirect,
    /// There is nothing at this address. The answer reads the same for everyone.
    Missing,
    /// The picture is over. The answer reads the same for everyone.
    Gone,
}

/// Marks an answer whose handler decided something that is not its to decide, so that nobody keeps
/// the answer. Debug builds panic, and the tests' client fails when it finds this mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overruled {
    /// The handler wrote a header by which caches decide.
    Header,
    /// The handler attached a policy of another kind than its address declares.
    Policy,
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

    /// The policy of an error that may be kept unless its handler says otherwise. Such an error
    /// must read the same for everyone.
    pub(crate) fn of_absence(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::NOT_FOUND => Some(Self::Missing),
            StatusCode::GONE => Some(Self::Gone),
            _ => None,
        }
    }

    /// Decides what caches may do with an answer of this status to `GET` or `HEAD`. `attached` is
    /// the policy that the handler attached, if any.
    fn decide(
        caching: Caching,
        status: StatusCode,
        attached: Option<Self>,
    ) -> Result<Self, Overruled> {
        let attached_kind = attached.as_ref().and_then(Self::kind);
        let Caching::Kept(kind, _) = caching else {
            return attached_kind.map_or(Ok(Self::NoStore), |_| Err(Overruled::Policy));
        };
        if attached_kind.is_some_and(|attached| attached != kind) {
            return Err(Overruled::Policy);
        }
        let is_answer = status.is_success() || status.is_redirection();
        Ok(match (attached, kind) {
            (Some(policy), _) if is_answer => policy,
            (None, Kind::Immutable) if is_answer => Self::Immutable,
            (None, Kind::Document) if is_answer => Self::Document,
            (None, _) => Self::of_absence(status).unwrap_or(Self::NoStore),
            (Some(_), _) => Self::NoStore,
        })
    }

    /// The kind that an address must declare for this policy; `None` for policies that any address
    /// may have.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::NoStore | Self::Redirect | Self::Missing | Self::Gone => None,
            Self::Image { .. } => Some(Kind::Image),
            Self::Immutable => Some(Kind::Immutable),
            Self::Document => Some(Kind::Document),
            Self::List { .. } => Some(Kind::List),
            Self::Picture { .. } => Some(Kind::Picture),
            Self::Slot { .. } => Some(Kind::Slot),
        }
    }

    /// Writes the headers of this policy.
    fn apply(&self, headers: &mut HeaderMap, clock: &Clock) {
        match self {
            Self::NoStore => no_store(headers),
            Self::Image { expires_at, .. } => until(headers, *expires_at, clock),
            Self::Slot { ends, .. } => until(headers, *ends, clock),
            Self::Immutable => set(headers, "public, max-age=31536000, immutable"),
            Self::Redirect => set(headers, "public, max-age=86400"),
            Self::Missing => for_seconds(headers, MISSING),
            Self::Gone => for_seconds(headers, GONE),
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
            Self::NoStore
            | Self::Immutable
            | Self::Document
            | Self::Redirect
            | Self::Missing
            | Self::Gone => &[],
        }
    }
}

/// Relative lifetimes in seconds: in the browser (`max-age`), in CloudFront (`s-maxage`) and in
/// Cloudflare (its own header), and how long Cloudflare may serve the old answer while it fetches
/// the new one.
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

    /// The lifetimes of a list of which the first picture to expire has this many seconds left;
    /// `None` where the list shows no picture.
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

    /// The lifetimes of one picture's page. The CDNs share equally what the browser does not take.
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

    /// The longest time after the origin's answer for which somebody may still be shown it.
    const fn sum(self) -> u64 {
        self.browser + self.cloudfront + self.cloudflare + self.cloudflare_stale
    }

    fn write(self, headers: &mut HeaderMap) {
        if self == Self::NONE {
            return no_store(headers);
        }
        // Without a directive about stale answers, a cache applies its own default, such as
        // Varnish's ten seconds.
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

impl CachePolicy {
    /// The policy of a page that shows what both of these are for.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (
                Self::List { ends, mut pictures },
                Self::List {
                    ends: other_ends,
                    pictures: others,
                },
            ) => {
                pictures.extend(others);
                pictures.sort_unstable();
                pictures.dedup();
                Self::List {
                    ends: ends.into_iter().chain(other_ends).min(),
                    pictures,
                }
            }
            (_, _) => Self::NoStore,
        }
    }
}

/// The longest from here until an answer is sent, in seconds: it may have to wait for its turn.
const SENDING: u64 = 15;

/// How many seconds an answer with the policy of a list leaves of the life of the one picture that
/// it shows, after every cache has kept it for as long as it may. For so long whoever reads the
/// answer may use it.
pub(crate) fn beyond_list(expires_at: ExpiresAt, now: Timestamp) -> u64 {
    let left = expires_at.seconds_left(now);
    let kept = Lifetimes::of_list(Some(left)).sum();
    left.saturating_sub(1 + SENDING + kept)
}

/// Lets every cache keep an answer until one second before this instant, and no longer.
fn until(headers: &mut HeaderMap, ends: ExpiresAt, clock: &Clock) {
    if ends.seconds_left(clock.now()) < SHORTEST_LIFE {
        return no_store(headers);
    }
    set(headers, IMAGE_CACHING);
    set_text(headers, header::EXPIRES, &ends.last_second_http_date());
}

/// Lets every cache of the chain keep an answer for this many seconds.
fn for_seconds(headers: &mut HeaderMap, seconds: u64) {
    let text = format!("public, max-age={seconds}");
    set_text(headers, header::CACHE_CONTROL, &text);
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

/// Sets a header to a text of ours, which is always plain ASCII.
fn set_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// The policy of what a page shows. The backend notes it while the page loads, because a page is
/// rendered far from where its headers are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown(Arc<Mutex<Option<CachePolicy>>>);

impl Shown {
    /// Notes the policy of something that the page shows. Several lists are one that ends with the
    /// first of their pictures. With anything else beside it a policy would be wrong, so nobody may
    /// keep the page.
    pub(crate) fn note(&self, policy: CachePolicy) {
        let mut noted = self.0.lock();
        *noted = Some(match noted.take() {
            None => policy,
            Some(shown) => shown.and(policy),
        });
    }

    /// The policy that was noted.
    pub(crate) fn policy(&self) -> Option<CachePolicy> {
        self.0.lock().clone()
    }
}

/// Marks an answer as a page, which names the files of one build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsPage;

/// Writes the headers of the policy that a handler attached or its address declares.
pub(crate) async fn write_cache_headers(
    State(clock): State<Clock>,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let caching = Caching::of(&request);
    let mut response = next.run(request).await;
    let attached = response.extensions_mut().remove::<CachePolicy>();
    let decided = if remove_decisive(response.headers_mut()) {
        Err(Overruled::Header)
    } else if reads {
        CachePolicy::decide(caching, response.status(), attached)
    } else {
        Ok(CachePolicy::NoStore)
    };
    let policy = decided.unwrap_or_else(|overruled| {
        tracing::error!(
            ?overruled,
            "a handler told caches what its address does not declare; nobody keeps the answer"
        );
        debug_assert!(false, "{overruled:?}");
        response.extensions_mut().insert(overruled);
        CachePolicy::NoStore
    });
    // The content type does not tell this, because a 304 has none.
    let is_page = response.extensions().get::<IsPage>().is_some();
    let headers = response.headers_mut();
    policy.apply(headers, &clock);
    let tags = tags(&policy, is_page);
    if !tags.is_empty() && headers[header::CACHE_CONTROL] != "no-store" {
        set_text(headers, CACHE_TAG, &tags);
    }
    response
}

/// Removes all headers by which caches decide. Returns true where there was one.
fn remove_decisive(headers: &mut HeaderMap) -> bool {
    let removed = DECISIVE.map(|name| headers.remove(name).is_some());
    removed.contains(&true)
}

fn tags(policy: &CachePolicy, is_page: bool) -> String {
    let mut tags: Vec<String> = policy.pictures().iter().map(PictureId::cache_tag).collect();
    // What caches may keep for days gets tags by which it can be purged together with others. A
    // list does not need them because it soon ends by itself, and CloudFront reads at most 50 tags.
    if let CachePolicy::Picture { expires_at, .. } = policy {
        let spans = EndingSpan::all_of(*expires_at);
        tags.extend(spans.map(|span| span.tag().to_string()));
    }
    if is_page {
        tags.push(PAGES_TAG.into());
    }
    tags.join(",")
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use futures_util::FutureExt;
    use tower::ServiceExt;

    use super::*;
    use crate::http::declared::Key;

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

    /// The sum of all lifetimes that caches of a chain read in the headers: `max-age`, `s-maxage`,
    /// Cloudflare's own `max-age`, and all windows for stale answers. The windows in
    /// `Cache-Control` count for the browser and for CloudFront.
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

    #[test]
    fn an_answer_has_the_policy_of_its_address_or_none() {
        let list = || CachePolicy::list([]);
        let kept = |kind| Caching::Kept(kind, Key::Path);
        for (caching, status, attached, expected) in [
            (kept(Kind::List), 200, Some(list()), Ok(list())),
            (kept(Kind::List), 304, Some(list()), Ok(list())),
            (kept(Kind::List), 200, None, Ok(CachePolicy::NoStore)),
            (
                kept(Kind::List),
                400,
                Some(list()),
                Ok(CachePolicy::NoStore),
            ),
            (
                kept(Kind::List),
                301,
                Some(CachePolicy::Redirect),
                Ok(CachePolicy::Redirect),
            ),
            (kept(Kind::Document), 200, None, Ok(CachePolicy::Document)),
            (kept(Kind::Document), 500, None, Ok(CachePolicy::NoStore)),
            (kept(Kind::Immutable), 304, None, Ok(CachePolicy::Immutable)),
            (kept(Kind::Picture), 404, None, Ok(CachePolicy::Missing)),
            (kept(Kind::Picture), 410, None, Ok(CachePolicy::Gone)),
            (
                kept(Kind::Image),
                404,
                Some(CachePolicy::NoStore),
                Ok(CachePolicy::NoStore),
            ),
            (kept(Kind::Nothing), 404, None, Ok(CachePolicy::Missing)),
            (kept(Kind::Nothing), 200, None, Ok(CachePolicy::NoStore)),
            (Caching::Never, 200, None, Ok(CachePolicy::NoStore)),
            (Caching::Never, 404, None, Ok(CachePolicy::NoStore)),
            (Caching::Never, 410, None, Ok(CachePolicy::NoStore)),
            (Caching::Never, 200, Some(list()), Err(Overruled::Policy)),
            (
                kept(Kind::Picture),
                200,
                Some(list()),
                Err(Overruled::Policy),
            ),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let case = format!("{caching:?} {status} {attached:?}");
            assert_eq!(
                CachePolicy::decide(caching, status, attached),
                expected,
                "{case}"
            );
        }
    }

    /// What happens to an answer with this header at an address that declares this: the answer, or
    /// `None` where making it panicked.
    async fn answer_with(name: HeaderName, caching: Caching) -> Option<Response> {
        let handler = move || async move { [(name, HeaderValue::from_static("max-age=9"))] };
        let layer = from_fn_with_state(Clock::default(), write_cache_headers);
        let router: Router = Router::new().route("/", get(handler)).layer(layer);
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(caching);
        let answer = AssertUnwindSafe(router.oneshot(request)).catch_unwind();
        answer.await.ok().map(|answer| answer.expect("never fails"))
    }

    #[tokio::test]
    async fn a_handler_that_writes_the_headers_of_caches_by_hand_fails() {
        let caching = Caching::Kept(Kind::Document, Key::Path);
        let harmless = answer_with(header::VARY, caching).await.expect("no panic");
        assert_eq!(harmless.extensions().get::<Overruled>(), None);
        for name in DECISIVE {
            let answer = answer_with(name.clone(), caching).await;
            assert_eq!(answer.is_none(), cfg!(debug_assertions), "{name}");
            let Some(answer) = answer else { continue };
            assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
            let decisive = DECISIVE.map(|name| answer.headers().contains_key(name));
            let left = decisive.into_iter().filter(|is_there| *is_there).count();
            assert_eq!(left, 1, "{name}");
            let overruled = answer.extensions().get::<Overruled>();
            assert_eq!(overruled, Some(&Overruled::Header), "{name}");
        }
    }
}
