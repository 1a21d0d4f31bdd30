//! The manifest: an object stored beside a picture, with everything needed to rebuild its index
//! row.

use anyhow::Context;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::collection::Collection;
use crate::domain::expiry::{ExpiresAt, parse_rfc3339, rfc3339};
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::{PictureId, Published, Received, Variant};
use crate::domain::tag::Tag;
use crate::domain::variant::FileName;
use crate::domain::verdict::Rules;
use crate::storage::{StorageError, StorageKey};

/// The version of the format, of which there has been no other. A new field must have a default;
/// any other change needs a new number.
const VERSION: u32 = 1;

/// The largest sequence number. It is more than there will ever be pictures, and exact in every
/// JSON parser.
const LARGEST_SEQUENCE: i64 = 1 << 53;

/// The content of `meta/{id}.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    id: String,
    sequence: i64,
    /// The hexadecimal SHA-256 of the delete token. The token itself is stored nowhere.
    delete_token_sha256: String,
    content_sha256: String,
    size_bytes: u64,
    received_at: String,
    published_at: String,
    expires_at: String,
    width: u32,
    height: u32,
    animated: bool,
    alt: String,
    tags: Vec<ManifestTag>,
    thumbhash: Vec<u8>,
    placeholder: String,
    /// The hash in hexadecimal, because other parsers would lose digits of a JSON number.
    perceptual_hash: String,
    stripped: Vec<String>,
    variants: Vec<ManifestVariant>,
    /// The rules under which the picture was approved.
    rules_sha256: String,
}

#[derive(Serialize, Deserialize)]
struct ManifestTag {
    name: String,
    confidence: f32,
}

#[derive(Serialize, Deserialize)]
struct ManifestVariant {
    name: String,
    width: u32,
    height: u32,
    size_bytes: u64,
    sha256: String,
}

impl Collection {
    /// Reads a picture's manifest. One that makes no sense counts as unavailable.
    pub(super) async fn read_manifest(
        &self,
        id: &PictureId,
    ) -> Result<(Received, Published), StorageError> {
        let key = StorageKey::Manifest { id: id.clone() };
        let bytes = self.storage.get(&key, None).await?;
        let (received, published) = Manifest::read(&bytes)
            .with_context(|| format!("the manifest of {id} cannot be read"))?;
        if published.id == *id {
            Ok((received, published))
        } else {
            Err(anyhow::anyhow!("the manifest of {id} is that of {}", published.id).into())
        }
    }
}

/// The expiry in a manifest, even of another version of the program.
pub(super) fn expiry_in(bytes: &[u8]) -> Option<ExpiresAt> {
    #[derive(Deserialize)]
    struct Expiry {
        expires_at: String,
    }
    let expiry: Expiry = serde_json::from_slice(bytes).ok()?;
    parse_rfc3339(&expiry.expires_at).map(ExpiresAt::from_second)
}

impl Manifest {
    pub(super) fn new(received: &Received, published: &Published) -> Self {
        Self {
            version: VERSION,
            id: published.id.to_string(),
            sequence: published.sequence,
            delete_token_sha256: received.delete_token_hash.hex(),
            content_sha256: received.content_hash.hex(),
            size_bytes: received.size_bytes,
            received_at: rfc3339(received.received_at),
            published_at: rfc3339(published.published_at),
            expires_at: rfc3339(published.expires_at.second()),
            width: published.width,
            height: published.height,
            animated: published.animated,
            alt: published.alt.clone(),
            tags: published
                .tags
                .iter()
                .map(|tag| ManifestTag {
                    name: tag.name.clone(),
                    confidence: tag.confidence,
                })
                .collect(),
            thumbhash: published.thumbhash.clone(),
            placeholder: published.placeholder.clone(),
            perceptual_hash: format!("{:016x}", published.perceptual_hash),
            stripped: published.stripped.clone(),
            variants: published
                .variants
                .iter()
                .map(|variant| ManifestVariant {
                    name: variant.name.to_string(),
                    width: variant.width,
                    height: variant.height,
                    size_bytes: variant.size_bytes,
                    sha256: variant.hash.hex(),
                })
                .collect(),
            rules_sha256: published.rules.0.hex(),
        }
    }

    pub(super) fn to_json(&self) -> anyhow::Result<Bytes> {
        Ok(serde_json::to_vec_pretty(self)?.into())
    }

    fn read(bytes: &[u8]) -> anyhow::Result<(Received, Published)> {
        let manifest: Self = serde_json::from_slice(bytes)?;
        anyhow::ensure!(
            manifest.version == VERSION,
            "version {} is unknown",
            manifest.version
        );
        anyhow::ensure!(
            (1..=LARGEST_SEQUENCE).contains(&manifest.sequence),
            "`sequence` is out of range"
        );
        let id = PictureId::parse(&manifest.id).context("`id` is no id")?;
        let hash =
            |hex: &str| Sha256Hash::parse_hex(hex).with_context(|| format!("`{hex}` is no hash"));
        let second =
            |text: &str| parse_rfc3339(text).with_context(|| format!("`{text}` is no instant"));
        let received = Received {
            id: id.clone(),
            delete_token_hash: hash(&manifest.delete_token_sha256)?,
            content_hash: hash(&manifest.content_sha256)?,
            size_bytes: manifest.size_bytes,
            // The end of what is published says it.
            lives: None,
            received_at: second(&manifest.received_at)?,
            leased_until: 0,
            attempts: 0,
        };
        let variants = manifest
            .variants
            .into_iter()
            .map(|variant| {
                Ok(Variant {
                    name: FileName::parse(&variant.name)
                        .with_context(|| format!("`{}` is no name of a file", variant.name))?,
                    width: variant.width,
                    height: variant.height,
                    size_bytes: variant.size_bytes,
                    hash: hash(&variant.sha256)?,
                })
            })
            .collect::<anyhow::Result<_>>()?;
        let published = Published {
            id,
            sequence: manifest.sequence,
            published_at: second(&manifest.published_at)?,
            expires_at: ExpiresAt::from_second(second(&manifest.expires_at)?),
            width: manifest.width,
            height: manifest.height,
            animated: manifest.animated,
            alt: manifest.alt,
            tags: manifest
                .tags
                .into_iter()
                .map(|tag| Tag {
                    name: tag.name,
                    confidence: tag.confidence,
                })
                .collect(),
            thumbhash: manifest.thumbhash,
            placeholder: manifest.placeholder,
            perceptual_hash: u64::from_str_radix(&manifest.perceptual_hash, 16)
                .context("`perceptual_hash` is no hash")?,
            stripped: manifest.stripped,
            variants,
            rules: Rules(hash(&manifest.rules_sha256)?),
        };
        Ok((received, published))
    }
}
