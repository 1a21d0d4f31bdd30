//! What crosses the wire between the server, its pages and clients of the API. `docs/API.md`
//! describes the fields for those who use the API. Integers have a fixed size, and ids are opaque
//! texts.

#[cfg(feature = "ssr")]
pub mod contract;
pub mod status;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What state a picture is in.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PictureState {
    /// It waits for its verdict, and nobody is shown it.
    Screening,
    /// It may be shown to everybody.
    Published,
    /// It was refused.
    Rejected,
    /// Its time was up.
    Expired,
    /// It was deleted before its time was up.
    Removed,
}

/// Tags of nearly every picture. Searches find them and the API lists them, but pages leave them
/// out, because they say nothing about one picture.
pub const COMMON_TAGS: [&str; 3] = ["cat", "animal", "pet"];

/// One tag of a picture.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TagView {
    /// The tag itself, in lower case, such as `tabby cat`.
    pub name: String,
    /// How sure the model was of it, from 0 to 1.
    pub confidence: f32,
}

/// A published picture, as the API and the pages show it.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureView {
    /// The id of the picture: 16 base58 characters.
    pub id: String,
    /// Always [`PictureState::Published`].
    pub state: PictureState,
    /// The absolute URL of the picture's page: `https://host/c/{id}`.
    pub url: String,
    /// The absolute URL of each image file (variant), by its name, such as `512.webp`: of every
    /// file that this very picture has. A picture that another version of the program has published
    /// may have other ones than a new picture.
    pub images: BTreeMap<String, String>,
    /// What the models recognised, likeliest first.
    pub tags: Vec<TagView>,
    /// A few words that describe the picture to people who cannot see it.
    pub alt: String,
    /// The width of the upload in pixels, once it is turned upright.
    pub width: u32,
    /// The height of the upload in pixels, once it is turned upright.
    pub height: u32,
    /// The width of the widest image file in pixels. It is less than `width` if the upload was very
    /// wide or very tall. Every file is as wide as its name says, or as this where this is less.
    pub largest_width: u32,
    /// The height of the widest image file in pixels.
    pub largest_height: u32,
    /// Whether the WebP files move.
    pub animated: bool,
    /// The kinds of metadata that the upload had and the files do not have, such as `exif`, `gps`
    /// or `comment`.
    pub stripped: Vec<String>,
    /// A `data:` URL with a tiny image to show while the picture loads.
    pub placeholder: String,
    /// The thumbhash from which the placeholder was made, in Base64.
    pub thumbhash: String,
    /// When the picture was published, as RFC 3339 in whole seconds of UTC: `2026-11-29T10:15:02Z`.
    pub published_at: String,
    /// When the picture ends, in the same form.
    pub expires_at: String,
}

/// One page of a list of pictures.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PicturePage {
    /// The pictures on this page, newest first.
    pub pictures: Vec<PictureView>,
    /// The cursor that asks for the next page; absent on the last page.
    pub next: Option<String>,
    /// The cursor that asks for the page before, an empty text where that is the first page; absent
    /// on the first page.
    pub previous: Option<String>,
}

/// Which page of which list is asked for. A parameter that is not given is an empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    /// What is searched for, in the language that `docs/API.md` describes.
    #[serde(default)]
    pub q: String,
    /// The one tag that all pictures must carry.
    #[serde(default)]
    pub tag: String,
    /// The cursor that the page before gave as `next`.
    #[serde(default)]
    pub after: String,
    /// How many pictures the page may have, from 1 to 40; 40 if it is absent.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The ids of the pictures that are asked for, with commas between them. Where there are some,
    /// nothing else matters.
    #[serde(default)]
    pub ids: String,
}

/// A tag and how often it is used.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagCount {
    /// The tag itself, in lower case.
    pub name: String,
    /// How many published pictures carry it.
    pub count: u32,
}

/// The answer of `GET /api/v1/tags`.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagList {
    /// All tags, most used first.
    pub tags: Vec<TagCount>,
}

/// The answer to an upload. If the picture is published by then (201), everything about it is
/// there; if it is still being screened (202), there is a `status_url` instead.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadView {
    /// The id of the picture: 16 base58 characters.
    pub id: String,
    /// The absolute URL of the picture's page. It works at once, also before the verdict.
    pub url: String,
    /// The secret that deletes the picture. It is told only to the uploader; the server keeps only
    /// its hash.
    pub delete_token: String,
    /// The absolute URL of a page that asks for confirmation and then deletes the picture.
    pub delete_url: String,
    /// The absolute URL where the verdict can be asked for; present only while the picture is being
    /// screened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_url: Option<String>,
    /// Everything else about the picture; present only once it is published.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ssr", schema(ignore))]
    pub published: Option<PublishedView>,
}

/// The part of an upload's answer that exists only once the picture is published.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedView {
    /// The absolute URL of each published file, by its name, as in [`PictureView::images`].
    pub images: BTreeMap<String, String>,
    /// What is in the picture, surest first, as in [`PictureView::tags`].
    pub tags: Vec<TagView>,
    /// A sentence that describes the picture, as in [`PictureView::alt`].
    pub alt: String,
    /// The width of the upright upload, in pixels.
    pub width: u32,
    /// The height of the upright upload, in pixels.
    pub height: u32,
    /// The width of the widest published file, in pixels.
    pub largest_width: u32,
    /// The height of the widest published file, in pixels.
    pub largest_height: u32,
    /// When the picture expires, as in [`PictureView::expires_at`].
    pub expires_at: String,
    /// The kinds of metadata that the upload had and the published files do not have, such as
    /// `exif`, `gps` or `comment`.
    pub stripped: Vec<String>,
}

/// The answer of `GET /api/v1/pictures/{id}` while the picture is being screened.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingView {
    /// The id of the picture.
    pub id: String,
    /// Always [`PictureState::Screening`].
    pub state: PictureState,
    /// The absolute URL of the picture's page.
    pub url: String,
}

/// A picture that has not ended: it is published or still being screened.
#[derive(Clone, Debug, PartialEq)]
pub enum PictureStatus {
    /// It is published.
    Published(Box<PictureView>),
    /// It waits for its verdict.
    Screening(PendingView),
}

impl PictureStatus {
    /// The published picture; `None` while it is still being screened.
    #[must_use]
    pub fn published(self) -> Option<PictureView> {
        match self {
            Self::Published(picture) => Some(*picture),
            Self::Screening(_) => None,
        }
    }
}

/// What the pages say about this site. The server fills it from its configuration; it never becomes
/// part of the code that browsers load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteView {
    /// The address that visitors type, such as `https://catto.example`, without a slash at its end.
    pub public_url: String,
    /// How long a picture lives, in words: `7 days`.
    pub retention: String,
    /// Where abuse is reported: an e-mail address or a URL.
    pub abuse_contact: Option<String>,
    /// Who may be shown pictures beside our own models, by the name that visitors know: `Amazon
    /// Rekognition`.
    pub second_opinion: Option<String>,
    /// The limits for uploads.
    pub rules: UploadRules,
}

/// The limits for one upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRules {
    /// The most bytes that the file may have.
    pub max_bytes: u64,
    /// The most pixels that the picture may have: its width times its height.
    pub max_pixels: u64,
    /// The lives that the upload page offers, all shorter than the retention.
    pub shorter_lives: Vec<LifeChoice>,
}

/// How long a picture may be asked to live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifeChoice {
    /// The life in seconds.
    pub seconds: u32,
    /// The same in words: `3 days`.
    pub words: String,
}

/// The operator's contact as a link. A contact that is no URL is an e-mail address.
#[must_use]
pub fn contact_url(contact: &str) -> String {
    if contact.contains(':') {
        contact.to_owned()
    } else {
        format!("mailto:{contact}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_becomes_a_link_whatever_its_form() {
        for (contact, href) in [
            ("abuse@example.org", "mailto:abuse@example.org"),
            ("mailto:abuse@example.org", "mailto:abuse@example.org"),
            ("https://example.org/abuse", "https://example.org/abuse"),
        ] {
            assert_eq!(contact_url(contact), href);
        }
    }
}
