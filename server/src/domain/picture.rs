//! A picture's names and secrets. They are parsed, so that none can be half valid.

use std::fmt;

use rand::Rng;

use crate::domain::expiry::Retention;
use crate::domain::hash::Sha256Hash;
use crate::domain::tag::Tag;
use crate::domain::variant::{self, FileName, VariantName};
use crate::domain::verdict::{Reason, Rules};

/// Bitcoin's base58 alphabet, which lacks `0`, `O`, `I` and `l`.
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A picture's public name: 16 base58 characters, which are 93 random bits. It is never reused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PictureId(String);

impl PictureId {
    /// How many characters an id has.
    pub(crate) const LENGTH: usize = 16;

    /// A new random id.
    #[must_use]
    pub fn random() -> Self {
        Self(random_base58(Self::LENGTH))
    }

    /// Parses exactly 16 base58 characters; `None` for anything else, so that nothing else can
    /// become part of a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_base58(text, Self::LENGTH).then(|| Self(text.to_owned()))
    }

    /// The id as it stands in URLs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PictureId {
    /// The cache tag by which everything that shows or names this picture can be purged.
    #[must_use]
    pub fn cache_tag(&self) -> String {
        format!("p-{}", self.0)
    }
}

impl fmt::Display for PictureId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The secret that deletes a picture: 22 base58 characters, which are 128 random bits. Only the
/// uploader sees it; the index keeps its hash only.
#[derive(Clone)]
pub struct DeleteToken(String);

impl DeleteToken {
    const LENGTH: usize = 22;

    /// A new random token.
    #[must_use]
    pub fn random() -> Self {
        Self(random_base58(Self::LENGTH))
    }

    /// The token that these bits are, as a number in base58.
    #[must_use]
    pub(crate) fn of_bits(mut bits: u128) -> Self {
        let mut text = String::with_capacity(Self::LENGTH);
        for _ in 0..Self::LENGTH {
            text.push(char::from(BASE58[(bits % 58) as usize]));
            bits /= 58;
        }
        Self(text)
    }

    /// Parses exactly 22 base58 characters; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_base58(text, Self::LENGTH).then(|| Self(text.to_owned()))
    }

    /// The secret itself, for the one answer that reveals it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash that the index keeps.
    #[must_use]
    pub fn hash(&self) -> Sha256Hash {
        Sha256Hash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for DeleteToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DeleteToken(…)")
    }
}

/// One published file of a picture, whichever version of the program has made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    pub name: FileName,
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    pub size_bytes: u64,
    /// SHA-256 of the file's bytes. The strong `ETag` is made from it.
    pub hash: Sha256Hash,
}

/// An accepted upload that has no verdict yet.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: PictureId,
    pub delete_token_hash: Sha256Hash,
    /// SHA-256 of the uploaded bytes.
    pub content_hash: Sha256Hash,
    pub size_bytes: u64,
    /// How long it shall live once it is published, where its uploader asked for less than the
    /// site's retention.
    pub lives: Option<Retention>,
    /// Seconds since 1970.
    pub received_at: i64,
    /// The end of a worker's lease, in seconds since 1970. It is also the worker's proof that it
    /// still holds the lease. 0 while no worker has taken the upload.
    pub leased_until: i64,
    /// How many times work on it has begun.
    pub attempts: u32,
}

/// What is known about a published picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub id: PictureId,
    /// Grows with every publication. Lists and their cursors go by it.
    pub sequence: i64,
    /// Seconds since 1970.
    pub published_at: i64,
    pub expires_at: super::expiry::ExpiresAt,
    /// The upright size of the upload, in pixels.
    pub width: u32,
    pub height: u32,
    pub animated: bool,
    pub alt: String,
    pub tags: Vec<Tag>,
    pub thumbhash: Vec<u8>,
    /// A `data:` URL of a tiny image.
    pub placeholder: String,
    pub perceptual_hash: u64,
    pub stripped: Vec<String>,
    /// All of its files, including those that only another version of the program can serve.
    /// [`Self::readable`] leaves those out.
    pub variants: Vec<Variant>,
    /// The rules under which the picture was approved.
    pub rules: Rules,
}

impl Published {
    /// The files that this version of the program can serve, each with its name.
    pub fn readable(&self) -> impl Iterator<Item = (VariantName, &Variant)> {
        let variants = self.variants.iter();
        variants.filter_map(|variant| Some((variant.name.known()?, variant)))
    }

    /// The file that galleries show of it. `None` where none of its files can be served.
    #[must_use]
    pub fn in_gallery(&self) -> Option<VariantName> {
        variant::in_gallery(self.readable().map(|(name, _)| name))
    }

    /// The size of all its files together, in bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.variants.iter().map(|variant| variant.size_bytes).sum()
    }
}

/// Where a picture is in its life, with what is known in each state.
#[derive(Clone, Debug, PartialEq)]
pub enum Life {
    Screening {
        /// Seconds since 1970.
        received_at: i64,
    },
    Published(Box<Published>),
    Rejected {
        reason: Reason,
        rejected_at: i64,
    },
    /// It is over. The instant in its image URLs is known if it was ever published.
    Expired {
        expires_at: Option<super::expiry::ExpiresAt>,
    },
    /// It was deleted before its end.
    Removed {
        expires_at: Option<super::expiry::ExpiresAt>,
    },
}

fn random_base58(length: usize) -> String {
    let mut random = rand::rng();
    (0..length)
        .map(|_| char::from(BASE58[random.random_range(0..BASE58.len())]))
        .collect()
}

fn is_base58(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| BASE58.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sixteen_base58_characters_are_an_id() {
        let id = PictureId::random();
        assert_eq!(PictureId::parse(id.as_str()), Some(id));
        for text in [
            "",
            "short",
            "../../etc/passwd",
            "0000000000000000",
            "AAAAAAAAAAAAAAAé",
            "AAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(PictureId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_is_never_printed() {
        let token = DeleteToken::random();
        assert!(!format!("{token:?}").contains(token.expose()));
        assert_eq!(
            DeleteToken::parse(token.expose())
                .expect("reads back")
                .hash(),
            token.hash()
        );
        assert_ne!(DeleteToken::random().hash(), token.hash());
    }
}
