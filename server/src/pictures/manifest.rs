//! The object that travels with a picture: enough to rebuild its index row.

use bytes::Bytes;
use serde::Serialize;

use crate::domain::expiry::rfc3339;
use crate::domain::picture::{Published, Received};

/// `meta/{id}.json`. Fields are only ever added.
#[derive(Serialize)]
pub(super) struct Manifest<'a> {
    version: u32,
    id: &'a str,
    /// Hexadecimal SHA-256 of the token; the token itself is nowhere.
    delete_token_sha256: String,
    content_sha256: String,
    size_bytes: u64,
    received_at: String,
    published_at: String,
    expires_at: String,
    width: u32,
    height: u32,
    animated: bool,
    alt: &'a str,
    tags: Vec<ManifestTag<'a>>,
    thumbhash: &'a [u8],
    placeholder: &'a str,
    perceptual_hash: u64,
    stripped: &'a [String],
    variants: Vec<ManifestVariant<'a>>,
}

#[derive(Serialize)]
struct ManifestTag<'a> {
    name: &'a str,
    confidence: f32,
}

#[derive(Serialize)]
struct ManifestVariant<'a> {
    name: &'static str,
    width: u32,
    height: u32,
    size_bytes: u64,
    sha256: &'a str,
}

impl<'a> Manifest<'a> {
    pub(super) fn new(received: &'a Received, published: &'a Published) -> Self {
        Self {
            version: 1,
            id: published.id.as_str(),
            delete_token_sha256: received.delete_token_hash.hex(),
            content_sha256: received.content_hash.hex(),
            size_bytes: received.size_bytes,
            received_at: rfc3339(received.received_at),
            published_at: rfc3339(published.published_at),
            expires_at: rfc3339(published.expires_at.second()),
            width: published.width,
            height: published.height,
            animated: published.animated,
            alt: &published.alt,
            tags: published
                .tags
                .iter()
                .map(|tag| ManifestTag {
                    name: &tag.name,
                    confidence: tag.confidence,
                })
                .collect(),
            thumbhash: &published.thumbhash,
            placeholder: &published.placeholder,
            perceptual_hash: published.perceptual_hash,
            stripped: &published.stripped,
            variants: published
                .variants
                .iter()
                .map(|variant| ManifestVariant {
                    name: variant.name.as_str(),
                    width: variant.width,
                    height: variant.height,
                    size_bytes: variant.size_bytes,
                    sha256: &variant.hash,
                })
                .collect(),
        }
    }

    pub(super) fn to_json(&self) -> anyhow::Result<Bytes> {
        Ok(serde_json::to_vec_pretty(self)?.into())
    }
}
