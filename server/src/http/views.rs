//! From the domain to the wire: every URL, time and number that a client sees is made here.

use std::collections::BTreeMap;

use app::types::{
    PendingView, PictureState, PictureView, PublishedView, SiteView, TagView, UploadView,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::expiry::rfc3339;
use crate::domain::picture::{PictureId, Published, Tag, VariantName};
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

/// The answer to an upload; `published` once it is.
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

/// Width and height of the widest file.
fn largest(published: &Published) -> (u32, u32) {
    let sizes = published
        .variants
        .iter()
        .map(|variant| (variant.width, variant.height));
    sizes.max().unwrap_or((published.width, published.height))
}

fn page_url(site: &SiteView, id: &PictureId) -> String {
    format!("{}/c/{id}", site.public_url)
}

fn images(site: &SiteView, published: &Published) -> BTreeMap<String, String> {
    VariantName::ALL
        .into_iter()
        .map(|name| {
            let (expires, id) = (published.expires_at.compact(), &published.id);
            let name = name.as_str();
            (
                name.to_owned(),
                format!("{}/i/{expires}/{id}/{name}", site.public_url),
            )
        })
        .collect()
}

fn tags(tags: &[Tag]) -> Vec<TagView> {
    tags.iter()
        .map(|tag| TagView {
            name: tag.name.clone(),
            // Three digits: more would only pretend.
            confidence: (tag.confidence * 1000.0).round() / 1000.0,
        })
        .collect()
}
