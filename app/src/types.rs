//! What crosses the wire between server, pages and API clients. Fixed-size integers, ids as opaque strings.

pub mod status;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a picture is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PictureState {
    Screening,
    Published,
    Rejected,
    Expired,
    Removed,
}

/// One tag with the model's confidence, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TagView {
    pub name: String,
    pub confidence: f32,
}

/// A published picture, as the API and the pages show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureView {
    pub id: String,
    pub state: PictureState,
    /// The page, absolute: `https://host/c/{id}`.
    pub url: String,
    /// Name of a file (`640.webp`) to absolute URL: every file that this very picture has. Pictures that were published by another
    /// version of the program may have other ones.
    pub images: BTreeMap<String, String>,
    pub tags: Vec<TagView>,
    /// A sentence for those who cannot see the picture.
    pub alt: String,
    /// Upright width of the upload, pixels.
    pub width: u32,
    /// Upright height of the upload, pixels.
    pub height: u32,
    /// Width of the widest file, pixels; every file is `min(its name, this)` wide. Less than the upload's where that was
    /// very wide or very tall.
    pub largest_width: u32,
    /// Height of the widest file, pixels.
    pub largest_height: u32,
    pub animated: bool,
    /// `data:` URL of a tiny image to show while the picture loads.
    pub placeholder: String,
    /// Base64 of the thumbhash from which the placeholder was made.
    pub thumbhash: String,
    /// RFC 3339, whole seconds, UTC: `2026-11-29T10:15:02Z`.
    pub published_at: String,
    /// RFC 3339, whole seconds, UTC.
    pub expires_at: String,
}

/// One page of a list, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PicturePage {
    pub pictures: Vec<PictureView>,
    /// The cursor of the next page; absent on the last.
    pub next: Option<String>,
}

/// What a list is asked for; empty strings mean "not given".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    pub q: String,
    #[serde(default)]
    pub tag: String,
    #[serde(default)]
    pub after: String,
    /// 1 to 40; 40 when absent.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A tag and how many pictures carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagCount {
    pub name: String,
    pub count: u32,
}

/// All tags, most used first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagList {
    pub tags: Vec<TagCount>,
}

/// The answer to an upload: complete once published (201), or with a `status_url` while screening goes on (202).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadView {
    pub id: String,
    /// The page, absolute; it works at once, also while screening.
    pub url: String,
    /// Shown once; the server keeps only its hash.
    pub delete_token: String,
    pub delete_url: String,
    /// Only while screening: where to ask for the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_url: Option<String>,
    /// Only once published.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedView>,
}

/// The part of an upload's answer that exists only once the picture is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedView {
    pub images: BTreeMap<String, String>,
    pub tags: Vec<TagView>,
    pub alt: String,
    pub width: u32,
    pub height: u32,
    /// Size of the widest file, pixels; every file is `min(its name, this)` wide.
    pub largest_width: u32,
    pub largest_height: u32,
    /// RFC 3339, whole seconds, UTC.
    pub expires_at: String,
    /// Which metadata the upload carried and no longer carries: `exif`, `gps`, `xmp`, `iptc`, `icc`, `comment`…
    pub stripped: Vec<String>,
}

/// Where an upload stands: the answer of `GET /api/v1/pictures/{id}` while it is being screened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingView {
    pub id: String,
    pub state: PictureState,
    pub url: String,
}

/// A picture as the server knows it: shown, or still being looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum PictureStatus {
    Published(Box<PictureView>),
    Screening(PendingView),
}

impl PictureStatus {
    /// The picture, unless it is still being screened.
    #[must_use]
    pub fn published(self) -> Option<PictureView> {
        match self {
            Self::Published(picture) => Some(*picture),
            Self::Screening(_) => None,
        }
    }
}

/// What the pages say about this site: filled from the configuration, never compiled into the browser's code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteView {
    /// No trailing slash.
    pub public_url: String,
    /// In words: `7 days`.
    pub retention: String,
    /// An e-mail address or a URL.
    pub abuse_contact: Option<String>,
    /// Whether pictures may be shown to Amazon Rekognition.
    pub asks_rekognition: bool,
    pub rules: UploadRules,
}

/// What an upload may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRules {
    pub max_bytes: u64,
    pub max_pixels: u64,
}
