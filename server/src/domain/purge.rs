//! What caches in front of the site are told to forget, and in which order.

use std::fmt;

use super::expiry::ExpiresAt;
use super::picture::PictureId;

/// CloudFront paths of a month that owners' deletions leave for admins…
pub const KEPT_FOR_ADMINS: u32 = 200;
/// …but no more than this part of the month's limit: of a small one, nothing would be left for owners.
const KEPT_PART: u32 = 5;

/// A content delivery network that may stand in front of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cdn {
    /// The outer one.
    Cloudflare,
    /// The inner one, which Cloudflare asks.
    CloudFront,
}

impl Cdn {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cloudflare, Self::CloudFront];

    /// True where every item costs a path of the month's budget.
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

/// Where one step of a purge happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PurgeTarget {
    /// This CDN is told to forget something.
    Cdn(Cdn),
    /// The site is looked at from outside, to see whether it is forgotten.
    Site,
}

impl PurgeTarget {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::Cdn(Cdn::Cloudflare),
        Self::Cdn(Cdn::CloudFront),
        Self::Site,
    ];

    /// As in the index.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cdn(Cdn::Cloudflare) => "cloudflare",
            Self::Cdn(Cdn::CloudFront) => "cloudfront",
            Self::Site => "site",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.as_str() == text)
    }
}

/// What kind of thing is to be forgotten; one request names one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurgeKind {
    Images,
    Folder,
    Tag,
}

/// One thing to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeItem {
    /// Every file of a picture, by its address.
    Images {
        id: PictureId,
        expires_at: ExpiresAt,
    },
    /// Everything under the addresses of a picture's files, however it was asked for: Cloudflare keeps a file once more for
    /// each site that has it fetched by a script, and an address alone does not name those.
    Folder {
        id: PictureId,
        expires_at: ExpiresAt,
    },
    /// Every answer that carries this cache tag.
    Tag(CacheTag),
}

impl PurgeItem {
    /// Everything that names this picture.
    #[must_use]
    pub fn tag_of(id: &PictureId) -> Self {
        Self::Tag(CacheTag(id.cache_tag()))
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> PurgeKind {
        match self {
            Self::Images { .. } => PurgeKind::Images,
            Self::Folder { .. } => PurgeKind::Folder,
            Self::Tag(_) => PurgeKind::Tag,
        }
    }

    /// Reads what `Display` wrote, and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(tag) = text.strip_prefix('#') {
            return CacheTag::parse(tag).map(Self::Tag);
        }
        let folder = text.strip_suffix('*');
        let (expires_at, id) = folder
            .unwrap_or(text)
            .strip_prefix("/i/")?
            .strip_suffix('/')?
            .split_once('/')?;
        let id = PictureId::parse(id)?;
        let expires_at = ExpiresAt::parse_compact(expires_at)?;
        Some(match folder {
            Some(_) => Self::Folder { id, expires_at },
            None => Self::Images { id, expires_at },
        })
    }
}

/// `/i/{expires}/{id}/`, `/i/{expires}/{id}/*` or `#tag`.
impl fmt::Display for PurgeItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images { id, expires_at } => {
                write!(formatter, "/i/{}/{id}/", expires_at.compact())
            }
            Self::Folder { id, expires_at } => {
                write!(formatter, "/i/{}/{id}/*", expires_at.compact())
            }
            Self::Tag(tag) => write!(formatter, "#{tag}"),
        }
    }
}

/// A value of the header `Cache-Tag`: letters, digits and hyphens. Caches do not tell upper from lower case; two pictures
/// whose ids differ in nothing else are purged together, which costs a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTag(String);

impl CacheTag {
    /// CloudFront takes 256 characters, Cloudflare more.
    const LONGEST: usize = 256;

    /// `None` unless it is one tag and nothing more.
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

/// One step of a purge: begun only once every step of a smaller number is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeStep {
    pub number: u8,
    pub target: PurgeTarget,
    pub item: PurgeItem,
}

/// How the CDNs of this site forget a picture.
///
/// Each is told at once. But until the inner one has forgotten, the outer one may fetch the picture from it again, for days;
/// so the outer one is told a second time when the inner one is done. Last the site is looked at.
#[must_use]
pub fn steps_for_picture(cdns: &[Cdn], id: &PictureId, expires_at: ExpiresAt) -> Vec<PurgeStep> {
    let id = id.clone();
    let tag = PurgeItem::tag_of(&id);
    let folder = PurgeItem::Folder {
        id: id.clone(),
        expires_at,
    };
    let images = PurgeItem::Images { id, expires_at };
    let mut steps = steps_of(cdns, &[images.clone(), folder, tag]);
    if !steps.is_empty() {
        steps.push(PurgeStep {
            number: 3,
            target: PurgeTarget::Site,
            item: images,
        });
    }
    steps
}

/// What a purge leaves of this limit that is to leave `keep`.
#[must_use]
pub fn kept_of(limit: u32, keep: u32) -> u32 {
    keep.min(limit / KEPT_PART)
}

/// How the CDNs of this site forget everything that carries a tag, in the same order; nobody looks afterwards.
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
            // CloudFront's folder covers every file, for the price of one path.
            let needed = items
                .iter()
                .filter(move |item| cdn != Cdn::CloudFront || item.kind() != PurgeKind::Images);
            needed.map(move |item| PurgeStep {
                number,
                target: PurgeTarget::Cdn(cdn),
                item: item.clone(),
            })
        })
        .collect()
}

/// What a look at the site from outside saw, after every CDN had said that a picture is purged. It speaks of one edge
/// location of each CDN and of no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeReceipt {
    /// Seconds since 1970.
    pub looked_at: i64,
    /// The HTTP status of the picture's address; absent where there was no answer.
    pub status: Option<u16>,
    /// Which of Cloudflare's locations answered, such as `FRA`.
    pub cloudflare: Option<String>,
    /// Which of CloudFront's locations answered, such as `FRA56-P1`.
    pub cloudfront: Option<String>,
    /// How often the CDNs were told, from the first time to the last.
    pub rounds: u32,
}

/// What the address of a deleted picture showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// 404 or 410.
    Gone,
    /// The picture.
    Shown,
    /// Neither: no answer, an error, or somebody in front who lets nobody in.
    Unclear,
}

impl Sight {
    /// What this status says.
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
    fn no_more_than_a_fifth_of_a_limit_is_kept() {
        for (limit, keep, kept) in [
            (0, 200, 0),
            (4, 200, 0),
            (10, 200, 2),
            (1000, 200, 200),
            (5000, 200, 200),
            (10, 0, 0),
        ] {
            assert_eq!(kept_of(limit, keep), kept, "{limit}");
        }
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
            PurgeItem::Images { id, expires_at },
        ] {
            assert_eq!(PurgeItem::parse(&item.to_string()), Some(item));
        }
        for text in [
            "",
            "#",
            "#a,b",
            "#a b",
            "#*",
            "/i/*",
            "/i/20261129T101502Z/",
            "/i/20261129T101502Z/../",
            "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/**",
            "/i/20261129T101502Z/7Hq2vKxW9sNfRb3T",
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
            let steps = steps_for_picture(cdns, &id, expires_at);
            let parts = |step: &PurgeStep| (step.number, step.target.as_str(), step.item.kind());
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
