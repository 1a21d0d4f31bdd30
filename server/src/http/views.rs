//! Converts from the domain to the wire. Every URL, time and number that a client sees is made
//! here.

use std::collections::BTreeMap;

use app::types::{
    PendingView, PictureState, PictureView, PublishedView, SiteView, TagView, UploadView,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::address::file_path;
use crate::domain::expiry::rfc3339;
use crate::domain::picture::{PictureId, Published};
use crate::domain::tag::Tag;
use crate::domain::variant::FileName;
use crate::pictures::Accepted;

/// A published picture.
pub(crate) fn picture(site: &SiteView, published: &Published) -> PictureView {
    PictureView {
        id: published.id.to_string(),
        state: PictureState::Published,
        url: page_url(site, &published.id),
        images: images(site, published),
        tags: tags(&published.tags),
        alt: published.alt.clone(),
        width: published.width,
        height: published.height,
        largest_width: largest(published).0,
        largest_height: largest(published).1,
        animated: published.animated,
        stripped: published.stripped.clone(),
        placeholder: published.placeholder.clone(),
        thumbhash: STANDARD.encode(&published.thumbhash),
        published_at: rfc3339(published.published_at),
        expires_at: rfc3339(published.expires_at.second()),
    }
}

/// An upload without a verdict.
pub(crate) fn pending(site: &SiteView, id: &PictureId) -> PendingView {
    PendingView {
        id: id.to_string(),
        state: PictureState::Screening,
        url: page_url(site, id),
    }
}

/// The answer to an upload. `published` is given once the picture is published.
pub(crate) fn upload(
    site: &SiteView,
    accepted: &Accepted,
    published: Option<&Published>,
) -> UploadView {
    let id = &accepted.id;
    let token = accepted.delete_token.expose();
    UploadView {
        id: id.to_string(),
        url: page_url(site, id),
        delete_token: token.to_owned(),
        delete_url: format!("{}/delete/{id}/{token}", site.public_url),
        status_url: published
            .is_none()
            .then(|| format!("{}/api/v1/pictures/{id}", site.public_url)),
        published: published.map(|published| PublishedView {
            images: images(site, published),
            tags: tags(&published.tags),
            alt: published.alt.clone(),
            width: published.width,
            height: published.height,
            largest_width: largest(published).0,
            largest_height: largest(published).1,
            expires_at: rfc3339(published.expires_at.second()),
            stripped: published.stripped.clone(),
        }),
    }
}

/// The width and height of the widest file that can be served.
fn largest(published: &Published) -> (u32, u32) {
    let sizes = published
        .readable()
        .map(|(_, variant)| (variant.width, variant.height));
    sizes.max().unwrap_or((published.width, published.height))
}

/// The address of a picture's page.
pub(crate) fn page_url(site: &SiteView, id: &PictureId) -> String {
    format!("{}/c/{id}", site.public_url)
}

/// The address of one file.
pub(crate) fn image_url(site: &SiteView, published: &Published, name: &FileName) -> String {
    let path = file_path(published.expires_at, &published.id, name);
    format!("{}/{path}", site.public_url)
}

/// The addresses of the files that this picture has, by name.
fn images(site: &SiteView, published: &Published) -> BTreeMap<String, String> {
    let files = published.readable().map(|(_, variant)| &variant.name);
    files
        .map(|name| (name.to_string(), image_url(site, published, name)))
        .collect()
}

fn tags(tags: &[Tag]) -> Vec<TagView> {
    tags.iter()
        .map(|tag| TagView {
            name: tag.name.clone(),
            // More than three digits would only pretend to be exact.
            confidence: (tag.confidence * 1000.0).round() / 1000.0,
        })
        .collect()
}
