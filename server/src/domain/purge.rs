//! What the CDNs in front of the site are told to purge, and in which order.

use std::collections::BTreeSet;
use std::fmt;

use super::address::{file_path, folder_path, parse_file, parse_folder};
use super::expiry::ExpiresAt;
use super::paid::Paid;
use super::picture::PictureId;
use super::variant::{self, FileName, PUBLISHED};

/// As what each path of an invalidation is counted and billed.
pub const CLOUDFRONT_PATHS: Paid = Paid {
    name: "cloudfront-paths",
    words: "paths purged at CloudFront",
    help: "How many paths were invalidated at CloudFront",
    variable: "CATTO_CLOUDFRONT_MONTHLY_PATHS",
};

/// CloudFront paths per month that deletions by owners leave to admins.
pub const KEPT_FOR_ADMINS: u32 = 200;
/// The paths left to admins are at most the month's limit divided by this. Of a small limit nothing
/// would remain for owners otherwise.
const KEPT_PART: u32 = 5;
/// Deletions by owners that are purged one by one leave this many more such parts of the limit
/// (`limit / KEPT_PART` each) to those that are purged together.
///
/// With 1,000 paths a month, 200 of them are purged one by one. After that those that wait are
/// purged together, every four hours or so, to the end of the month.
const SHARED_PARTS: u32 = 2;
/// The shortest rest between two purges of many deletions, in seconds. CloudFront takes about as
/// long to carry one out.
const LEAST_REST: i64 = 60;
/// The most spans of time that are purged at once for deletions that are purged together. If their
/// ends need more spans than this, wider spans are taken.
const MOST_SPANS: usize = 3;
/// What one span costs at CloudFront: a path for the files and a tag for the pages and their JSON.
pub const PATHS_OF_SPAN: u32 = 2;

/// A content delivery network that may stand in front of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cdn {
    /// The outer CDN, which visitors reach.
    Cloudflare,
    /// The inner CDN, from which Cloudflare fetches where both are in use.
    CloudFront,
}

impl Cdn {
    all_variants! {
        /// Both CDNs.
        pub const ALL = [Cloudflare, CloudFront];
    }

    /// True where every purged item costs a path of the month's budget.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::CloudFront)
    }
}

impl fmt::Display for Cdn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cloudflare => "Cloudflare",
            Self::CloudFront => "CloudFront",
        })
    }
}

/// Where one step of a purge takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PurgeTarget {
    /// This CDN is told to purge something.
    Cdn(Cdn),
    /// The site is requested from outside, to see whether the picture is gone.
    Site,
}

impl PurgeTarget {
    all_variants! {
        /// Every target.
        pub const ALL = [Cdn(Cdn::Cloudflare), Cdn(Cdn::CloudFront), Site];
    }

    /// Its name in the index.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cdn(Cdn::Cloudflare) => "cloudflare",
            Self::Cdn(Cdn::CloudFront) => "cloudfront",
            Self::Site => "site",
        }
    }

    /// True where every purged item costs a path of the month's budget.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Cdn(cdn) if cdn.is_paid())
    }

    /// Reads what [`Self::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.as_str() == text)
    }
}

/// The kind of an item. One request to a CDN names items of one kind only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurgeKind {
    Images,
    Folder,
    Tag,
}

/// One thing that a CDN is to purge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeItem {
    /// Every file of a picture under one of the [known](variant::known) names, each by its URL.
    Images {
        id: PictureId,
        expires_at: ExpiresAt,
    },
    /// One file of a picture, by its URL. It is a file that another version of the program has made
    /// and that [`Self::Images`] therefore does not name, or the one that is requested in the end
    /// to see whether the picture is forgotten.
    Image {
        id: PictureId,
        expires_at: ExpiresAt,
        name: FileName,
    },
    /// Everything under the URL of a picture's files, whatever headers it was requested with.
    /// Cloudflare keeps a further copy of a file for each site whose scripts fetch it, and a purge
    /// by URL alone does not reach those copies.
    Folder {
        id: PictureId,
        expires_at: ExpiresAt,
    },
    /// Every file of all pictures that end within this span.
    Ending(EndingSpan),
    /// Every answer that carries this cache tag.
    Tag(CacheTag),
}

impl PurgeItem {
    /// Everything that carries the cache tag of this picture.
    #[must_use]
    pub fn tag_of(id: &PictureId) -> Self {
        Self::Tag(CacheTag(id.cache_tag()))
    }

    /// The kind of the item.
    #[must_use]
    pub const fn kind(&self) -> PurgeKind {
        match self {
            Self::Images { .. } | Self::Image { .. } => PurgeKind::Images,
            Self::Folder { .. } | Self::Ending(_) => PurgeKind::Folder,
            Self::Tag(_) => PurgeKind::Tag,
        }
    }

    /// Reads what `Display` wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(tag) = text.strip_prefix('#') {
            return CacheTag::parse(tag).map(Self::Tag);
        }
        let folder = text.strip_suffix('*');
        if let Some(span) = folder.and_then(|text| EndingSpan::parse(text.strip_prefix("/i/")?)) {
            return Some(Self::Ending(span));
        }
        let path = folder.unwrap_or(text).strip_prefix('/')?;
        if let Some((expires_at, id)) = parse_folder(path) {
            return Some(match folder {
                Some(_) => Self::Folder { id, expires_at },
                None => Self::Images { id, expires_at },
            });
        }
        let (expires_at, id, name) = parse_file(text.strip_prefix('/')?)?;
        Some(Self::Image {
            id,
            expires_at,
            name,
        })
    }
}

/// Writes `/i/{expires}/{id}/`, `/i/{expires}/{id}/{name}`, `/i/{expires}/{id}/*`,
/// `/i/{the beginning of expires}*` or `#tag`.
impl fmt::Display for PurgeItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images { id, expires_at } => {
                write!(formatter, "/{}", folder_path(*expires_at, id))
            }
            Self::Image {
                id,
                expires_at,
                name,
            } => write!(formatter, "/{}", file_path(*expires_at, id, name)),
            Self::Folder { id, expires_at } => {
                write!(formatter, "/{}*", folder_path(*expires_at, id))
            }
            Self::Ending(span) => write!(formatter, "/i/{}*", span.0),
            Self::Tag(tag) => write!(formatter, "#{tag}"),
        }
    }
}

/// A span of time in which pictures end: an hour, a day, or all time.
///
/// The URLs of the files of all these pictures begin alike, and the pages and JSON of a picture
/// carry a tag for each of the three spans it belongs to. So one path and one tag purge all of
/// them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndingSpan(String);

impl EndingSpan {
    /// The hour (UTC) in which a picture ends: `20261129T10`.
    #[must_use]
    pub fn hour(expires_at: ExpiresAt) -> Self {
        Self(expires_at.compact().chars().take(11).collect())
    }

    /// The day (UTC) on which a picture ends: `20261129`.
    #[must_use]
    pub fn day(expires_at: ExpiresAt) -> Self {
        Self(expires_at.compact().chars().take(8).collect())
    }

    /// All time: the span of every picture.
    #[must_use]
    pub const fn any() -> Self {
        Self(String::new())
    }

    /// The three spans that a picture with this end belongs to: its hour, its day and all time.
    #[must_use]
    pub fn all_of(expires_at: ExpiresAt) -> [Self; 3] {
        [Self::hour(expires_at), Self::day(expires_at), Self::any()]
    }

    /// True for a picture that ends within the span.
    #[must_use]
    pub fn holds(&self, expires_at: ExpiresAt) -> bool {
        expires_at.compact().starts_with(&self.0)
    }

    /// The cache tag on pages and JSON of the span's pictures: `e-20261129t10`, `e-20261129` or
    /// `e`.
    #[must_use]
    pub fn tag(&self) -> CacheTag {
        CacheTag(match self.0.as_str() {
            "" => "e".into(),
            span => format!("e-{}", span.to_ascii_lowercase()),
        })
    }

    /// What a CDN must purge to forget all pictures of the span.
    #[must_use]
    pub fn items(&self) -> [PurgeItem; PATHS_OF_SPAN as usize] {
        [PurgeItem::Ending(self.clone()), PurgeItem::Tag(self.tag())]
    }

    /// Parses the beginning of a compact instant that stands for an hour, a day or all time.
    fn parse(text: &str) -> Option<Self> {
        let whole = match text.len() {
            0 => return Some(Self::any()),
            8 => format!("{text}T000000Z"),
            11 => format!("{text}0000Z"),
            _ => return None,
        };
        ExpiresAt::parse_compact(&whole).map(|_| Self(text.to_owned()))
    }
}

/// The narrowest spans that cover all these ends and cost no more than `paths`. Empty if the paths
/// do not pay for even one span.
#[must_use]
pub fn spans_of(ends: &[ExpiresAt], paths: u32) -> Vec<EndingSpan> {
    let most = usize::try_from(paths / PATHS_OF_SPAN).unwrap_or(usize::MAX);
    let widths: [fn(ExpiresAt) -> EndingSpan; 3] =
        [EndingSpan::hour, EndingSpan::day, |_| EndingSpan::any()];
    let covers = widths.map(|width| ends.iter().copied().map(width).collect::<BTreeSet<_>>());
    let cover = covers
        .into_iter()
        .find(|spans| spans.len() <= most.min(MOST_SPANS));
    cover.into_iter().flatten().collect()
}

/// How long to rest after a purge of many deletions that costs `cost` paths, in seconds: as long as
/// makes the paths that are left last to the end of the month, and at least [`LEAST_REST`].
#[must_use]
pub fn rest_after_shared(cost: u32, paths_left: u32, seconds_left: u64) -> i64 {
    let rest = seconds_left.saturating_mul(cost.into()) / u64::from(paths_left.max(1));
    i64::try_from(rest).unwrap_or(i64::MAX).max(LEAST_REST)
}

/// A value of the header `Cache-Tag`: letters, digits and hyphens. Caches ignore the case of tags.
/// So two pictures whose ids differ only in case are purged together, which costs no more than
/// another fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTag(String);

impl CacheTag {
    /// CloudFront allows 256 characters, and Cloudflare allows more.
    const LONGEST: usize = 256;

    /// Parses exactly one tag; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (plain && (1..=Self::LONGEST).contains(&text.len())).then(|| Self(text.to_owned()))
    }

    /// The tag as it stands in the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CacheTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One step of a purge. It begins only once every step with a smaller number is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeStep {
    pub number: u8,
    pub action: PurgeAction,
}

/// What is done in one step of a purge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeAction {
    /// This CDN is told to forget something.
    Tell(Cdn, PurgeItem),
    /// The site is looked at from outside, to see whether a picture is forgotten.
    Look(Look),
}

impl PurgeAction {
    /// Where it happens.
    #[must_use]
    pub const fn target(&self) -> PurgeTarget {
        match self {
            Self::Tell(cdn, _) => PurgeTarget::Cdn(*cdn),
            Self::Look(_) => PurgeTarget::Site,
        }
    }

    /// What it is about.
    #[must_use]
    pub fn item(&self) -> PurgeItem {
        match self {
            Self::Tell(_, item) => item.clone(),
            Self::Look(look) => look.item(),
        }
    }
}

/// A file of a picture for which the site is asked from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub id: PictureId,
    pub expires_at: ExpiresAt,
    pub name: FileName,
}

impl Look {
    /// The look at what this item names; `None` for an item that names no single picture. One that
    /// names all files of a picture is what earlier versions of the program put into the queue.
    #[must_use]
    pub fn at(item: &PurgeItem) -> Option<Self> {
        let (id, expires_at, name) = match item {
            PurgeItem::Image {
                id,
                expires_at,
                name,
            } => (id, expires_at, name.clone()),
            PurgeItem::Images { id, expires_at } => (id, expires_at, looked_at(&[])),
            PurgeItem::Folder { .. } | PurgeItem::Ending(_) | PurgeItem::Tag(_) => return None,
        };
        Some(Self {
            id: id.clone(),
            expires_at: *expires_at,
            name,
        })
    }

    fn item(&self) -> PurgeItem {
        PurgeItem::Image {
            id: self.id.clone(),
            expires_at: self.expires_at,
            name: self.name.clone(),
        }
    }
}

/// The steps by which the CDNs of this site forget a picture. `files` are the names of its files,
/// and empty where nobody knows them any more.
///
/// Each CDN is told at once. But until the inner one has forgotten the picture, the outer one may
/// fetch it from there again and keep it for days. So the outer one is told a second time once the
/// inner one is done. The last step is a request for the picture from outside.
#[must_use]
pub fn steps_for_picture(
    cdns: &[Cdn],
    id: &PictureId,
    expires_at: ExpiresAt,
    files: &[FileName],
) -> Vec<PurgeStep> {
    let image = |name: &FileName| PurgeItem::Image {
        id: id.clone(),
        expires_at,
        name: name.clone(),
    };
    let unknown = files.iter().filter(|name| name.known().is_none());
    let mut items: Vec<PurgeItem> = unknown.map(image).collect();
    items.extend([
        PurgeItem::Images {
            id: id.clone(),
            expires_at,
        },
        PurgeItem::Folder {
            id: id.clone(),
            expires_at,
        },
        PurgeItem::tag_of(id),
    ]);
    let mut steps = steps_of(cdns, &items);
    if !steps.is_empty() {
        steps.push(PurgeStep {
            number: 3,
            action: PurgeAction::Look(Look {
                id: id.clone(),
                expires_at,
                name: looked_at(files),
            }),
        });
    }
    steps
}

/// The file of a picture that is requested from outside to see whether the picture is forgotten:
/// the one that galleries show, because caches are most likely to have it. Where the names of its
/// files are not known, it is the one that galleries show of new pictures.
#[must_use]
pub fn looked_at(files: &[FileName]) -> FileName {
    let shown = variant::in_gallery(files.iter().filter_map(FileName::known));
    let shown = shown
        .map(FileName::Known)
        .or_else(|| files.first().cloned());
    shown.unwrap_or_else(|| {
        let usual = variant::in_gallery(PUBLISHED.iter().copied());
        FileName::Known(usual.expect("some file is published of every picture"))
    })
}

/// How many of the month's `limit` paths a purge must leave unused.
///
/// It leaves `keep` paths, as its order says, but never more than a fifth of the limit. Where
/// `keep` is 0 it leaves nothing, because then the operator asked for it. A deletion that is purged
/// on its own (`is_single`) leaves [`SHARED_PARTS`] fifths of the limit more, for those that are
/// purged together.
#[must_use]
pub fn kept_of(limit: u32, keep: u32, is_single: bool) -> u32 {
    let part = limit / KEPT_PART;
    match (keep, is_single) {
        (0, _) => 0,
        (keep, false) => keep.min(part),
        (keep, true) => keep.min(part) + SHARED_PARTS * part,
    }
}

/// The steps by which the CDNs of this site forget everything that carries a tag, in the same order
/// as for a picture. No request from outside follows.
#[must_use]
pub fn steps_for_tag(cdns: &[Cdn], tag: CacheTag) -> Vec<PurgeStep> {
    steps_of(cdns, &[PurgeItem::Tag(tag)])
}

fn steps_of(cdns: &[Cdn], items: &[PurgeItem]) -> Vec<PurgeStep> {
    let is_chain = Cdn::ALL.iter().all(|cdn| cdns.contains(cdn));
    let told = cdns.iter().map(|cdn| (1, *cdn));
    let again = is_chain.then_some((2, Cdn::Cloudflare));
    told.chain(again)
        .flat_map(|(number, cdn)| {
            // At CloudFront the folder covers every file, for the price of one path.
            let needed = items
                .iter()
                .filter(move |item| cdn != Cdn::CloudFront || item.kind() != PurgeKind::Images);
            needed.map(move |item| PurgeStep {
                number,
                action: PurgeAction::Tell(cdn, item.clone()),
            })
        })
        .collect()
}

/// What a request from outside saw after every CDN had reported a picture as purged. It tells about
/// one edge location of each CDN and about no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeReceipt {
    /// When the request was made, in seconds since 1970.
    pub looked_at: i64,
    /// The HTTP status that the picture's URL answered with; `None` where there was no answer.
    pub status: Option<u16>,
    /// Which of Cloudflare's locations answered, such as `FRA`.
    pub cloudflare: Option<String>,
    /// Which of CloudFront's locations answered, such as `FRA56-P1`.
    pub cloudfront: Option<String>,
    /// How many rounds of purging there were, the first included.
    pub rounds: u32,
}

/// What the URL of a deleted picture showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The answer was 404 or 410.
    Gone,
    /// The answer was the picture.
    Shown,
    /// It was neither: there was no answer, an error, or something in front that lets nobody in.
    Unclear,
}

impl Sight {
    /// What this HTTP status says.
    #[must_use]
    pub const fn of(status: Option<u16>) -> Self {
        match status {
            Some(404 | 410) => Self::Gone,
            Some(200..=299 | 304) => Self::Shown,
            _ => Self::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> (PictureId, ExpiresAt) {
        let id = PictureId::parse("7Hq2vKxW9sNfRb3T").expect("an id");
        (id, ExpiresAt::from_second(1_795_000_000))
    }

    #[test]
    fn no_more_than_a_fifth_of_a_limit_is_kept_for_admins_and_two_for_what_is_purged_together() {
        for (limit, keep, shared, single) in [
            (0, 200, 0, 0),
            (4, 200, 0, 0),
            (10, 200, 2, 6),
            (1000, 200, 200, 600),
            (5000, 200, 200, 2200),
            (10, 0, 0, 0),
        ] {
            assert_eq!(kept_of(limit, keep, false), shared, "{limit}");
            assert_eq!(kept_of(limit, keep, true), single, "{limit}");
        }
    }

    #[test]
    fn many_ends_are_covered_by_a_few_spans_as_narrow_as_can_be_paid() {
        let (_, first) = picture();
        let after = |hours: i64| ExpiresAt::from_second(first.second() + hours * 3600);
        let covered = |ends: &[ExpiresAt], paths: u32| -> Vec<String> {
            let spans = spans_of(ends, paths);
            assert!(
                spans.is_empty()
                    || ends
                        .iter()
                        .all(|end| spans.iter().any(|span| span.holds(*end)))
            );
            spans
                .iter()
                .map(|span| PurgeItem::Ending(span.clone()).to_string())
                .collect()
        };
        assert_eq!(covered(&[first, first], 400), ["/i/20261118T11*"]);
        let hours = [first, after(1), after(2)];
        assert_eq!(
            covered(&hours, 400),
            ["/i/20261118T11*", "/i/20261118T12*", "/i/20261118T13*"]
        );
        assert_eq!(covered(&hours, 5), ["/i/20261118*"]);
        assert_eq!(
            covered(&[first, after(1), after(2), after(24)], 400),
            ["/i/20261118*", "/i/20261119*"]
        );
        let days: Vec<ExpiresAt> = (0..4).map(|day| after(24 * day)).collect();
        assert_eq!(covered(&days, 400), ["/i/*"]);
        assert_eq!(covered(&days, 2), ["/i/*"]);
        assert_eq!(covered(&days, 1), Vec::<String>::new());
        let tags = EndingSpan::all_of(first).map(|span| span.tag().to_string());
        assert_eq!(tags, ["e-20261118t11", "e-20261118", "e"]);
    }

    #[test]
    fn purges_of_many_are_spread_over_what_is_left_of_the_month() {
        let month = 30 * 24 * 3600;
        assert_eq!(rest_after_shared(2, 800, month), 6480);
        assert_eq!(rest_after_shared(2, 400, month), 12_960);
        assert_eq!(rest_after_shared(6, 400, month), 38_880);
        assert_eq!(rest_after_shared(2, 800, 600), 60);
        assert_eq!(rest_after_shared(2, 0, 600), 1200);
    }

    #[test]
    fn items_read_back_and_nothing_else_is_read() {
        let (id, expires_at) = picture();
        for item in [
            PurgeItem::tag_of(&id),
            PurgeItem::Tag(CacheTag::parse("html").expect("a tag")),
            PurgeItem::Folder {
                id: id.clone(),
                expires_at,
            },
            PurgeItem::Images {
                id: id.clone(),
                expires_at,
            },
            PurgeItem::Image {
                id,
                expires_at,
                name: FileName::parse("960.avif").expect("a name"),
            },
            PurgeItem::Ending(EndingSpan::hour(expires_at)),
            PurgeItem::Ending(EndingSpan::day(expires_at)),
            PurgeItem::Ending(EndingSpan::any()),
        ] {
            assert_eq!(PurgeItem::parse(&item.to_string()), Some(item));
        }
        for text in [
            "",
            "#",
            "#a,b",
            "#a b",
            "#*",
            "/i/",
            "/i/**",
            "/i/2026*",
            "/i/20261399*",
            "/i/20261129T25*",
            "/i/20261129T101502Z/",
            "/i/20261129T101502Z/../",
            "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/**",
            "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T",
            "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp*",
            "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/x.html",
            "i/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp",
            "/c/7Hq2vKxW9sNfRb3T/",
        ] {
            assert_eq!(PurgeItem::parse(text), None, "{text}");
        }
        for target in PurgeTarget::ALL {
            assert_eq!(PurgeTarget::parse(target.as_str()), Some(target));
        }
    }

    #[test]
    fn the_outer_cache_is_told_again_once_the_inner_one_has_forgotten() {
        let (id, expires_at) = picture();
        use PurgeKind::{Folder, Images, Tag};
        let told = |cdns: &[Cdn]| -> Vec<(u8, &str, PurgeKind)> {
            let steps = steps_for_picture(cdns, &id, expires_at, &[]);
            let parts = |step: &PurgeStep| {
                let (target, item) = (step.action.target(), step.action.item());
                (step.number, target.as_str(), item.kind())
            };
            steps.iter().map(parts).collect()
        };
        assert_eq!(
            told(&Cdn::ALL),
            [
                (1, "cloudflare", Images),
                (1, "cloudflare", Folder),
                (1, "cloudflare", Tag),
                (1, "cloudfront", Folder),
                (1, "cloudfront", Tag),
                (2, "cloudflare", Images),
                (2, "cloudflare", Folder),
                (2, "cloudflare", Tag),
                (3, "site", Images),
            ]
        );
        assert_eq!(
            told(&[Cdn::CloudFront]),
            [
                (1, "cloudfront", Folder),
                (1, "cloudfront", Tag),
                (3, "site", Images)
            ]
        );
        assert_eq!(told(&[]), []);
    }

    #[test]
    fn the_outer_cache_is_told_of_files_of_other_versions_by_their_addresses() {
        let (id, expires_at) = picture();
        let files = ["320.webp", "960.avif"].map(|name| FileName::parse(name).expect("a name"));
        let steps = steps_for_picture(&Cdn::ALL, &id, expires_at, &files);
        let of = |name: &FileName| PurgeItem::Image {
            id: id.clone(),
            expires_at,
            name: name.clone(),
        };
        let told = |name: &FileName| -> Vec<(u8, PurgeTarget)> {
            let told = steps.iter().filter(|step| step.action.item() == of(name));
            told.map(|step| (step.number, step.action.target()))
                .collect()
        };
        let cloudflare = PurgeTarget::Cdn(Cdn::Cloudflare);
        assert_eq!(told(&files[1]), [(1, cloudflare), (2, cloudflare)]);
        // The others have known names; in the end the site is looked at for one that is there.
        assert_eq!(told(&files[0]), [(3, PurgeTarget::Site)]);
        assert_eq!(looked_at(&files[1..]), files[1]);
        assert_eq!(looked_at(&[]).to_string(), "512.webp");
    }

    #[test]
    fn only_a_picture_can_be_looked_at() {
        let (id, expires_at) = picture();
        let look = Look {
            id: id.clone(),
            expires_at,
            name: FileName::parse("960.avif").expect("a name"),
        };
        assert_eq!(Look::at(&look.item()), Some(look));
        let of_all = PurgeItem::Images {
            id: id.clone(),
            expires_at,
        };
        let usual = Look::at(&of_all).expect("earlier versions queued it");
        assert_eq!(usual.name.to_string(), "512.webp");
        for item in [
            PurgeItem::tag_of(&id),
            PurgeItem::Folder { id, expires_at },
            PurgeItem::Ending(EndingSpan::any()),
        ] {
            assert_eq!(Look::at(&item), None, "{item}");
        }
    }

    #[test]
    fn a_status_tells_gone_from_shown_from_unclear() {
        for (status, sight) in [
            (Some(410), Sight::Gone),
            (Some(404), Sight::Gone),
            (Some(200), Sight::Shown),
            (Some(206), Sight::Shown),
            (Some(304), Sight::Shown),
            (Some(301), Sight::Unclear),
            (Some(403), Sight::Unclear),
            (Some(503), Sight::Unclear),
            (None, Sight::Unclear),
        ] {
            assert_eq!(Sight::of(status), sight, "{status:?}");
        }
    }
}
