//! A secret that a client chose, by which it owns every picture that it uploads with it.
//!
//! Some upload protocols know no delete token: their clients have one secret for a whole site, send
//! it with each upload, and send it again to delete. So the delete token of such an upload is made
//! from the secret and the picture's id, and nothing of the secret is kept.

use sha2::{Digest, Sha256};

use crate::domain::picture::{DeleteToken, PictureId};

/// The fewest characters of a secret. Random ones of this number cannot be guessed.
const LEAST_CHARACTERS: usize = 16;
/// The most characters of a secret.
const MOST_CHARACTERS: usize = 255;
/// Keeps these hashes apart from all others that are made of secrets.
const PURPOSE: &[u8] = b"delete token of an owner's secret\0";

/// 16 to 255 visible ASCII characters that only their owner knows.
#[derive(Clone)]
pub struct OwnerSecret(String);

impl OwnerSecret {
    /// Parses 16 to 255 visible ASCII characters; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_long_enough = (LEAST_CHARACTERS..=MOST_CHARACTERS).contains(&text.len());
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_long_enough && is_visible).then(|| Self(text.to_owned()))
    }

    /// The delete token of the picture with this id, where its owner uploaded it with this secret.
    #[must_use]
    pub fn delete_token(&self, id: &PictureId) -> DeleteToken {
        let mut hasher = Sha256::new();
        hasher.update(PURPOSE);
        // An id has always the same length, so that no two pairs give the same bytes.
        hasher.update(id.as_str());
        hasher.update(&self.0);
        let hash: [u8; 32] = hasher.finalize().into();
        let (half, _) = hash.split_at(size_of::<u128>());
        DeleteToken::of_bits(u128::from_be_bytes(half.try_into().expect("16 bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_16_to_255_visible_characters() {
        for length in [16, 25, 255] {
            assert!(
                OwnerSecret::parse(&"s".repeat(length)).is_some(),
                "{length}"
            );
        }
        for text in [
            "",
            "fifteen-letters",
            "with a space in it",
            "with-a-letter-\u{e9}",
            &"s".repeat(256),
        ] {
            assert!(OwnerSecret::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn every_picture_and_every_secret_has_a_token_of_its_own() {
        let secret = |text: &str| OwnerSecret::parse(text).expect("a secret");
        let (mine, other) = (secret("my-own-secret-17"), secret("my-own-secret-18"));
        let (one, two) = (PictureId::random(), PictureId::random());
        let token = mine.delete_token(&one).hash();
        assert_eq!(token, mine.delete_token(&one).hash());
        assert_ne!(token, mine.delete_token(&two).hash());
        assert_ne!(token, other.delete_token(&one).hash());
    }
}
