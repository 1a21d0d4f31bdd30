//! The key by which a client repeats an upload whose answer it lost, and the rule by which it gets
//! the first answer again.
//!
//! A client that repeats an upload must be given the same delete token, but the index keeps only
//! the hash of a token. So the token of an upload with a key is made from that key and a random
//! salt. The index keeps the salt and not the key: whoever reads the index learns no token, and
//! whoever guesses a key learns none either unless it also sends the same bytes from the same
//! network.

use std::net::{IpAddr, Ipv6Addr};

use rand::Rng;
use sha2::{Digest, Sha256};

use crate::domain::client::ClientNetwork;
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::{DeleteToken, PictureId};

/// How long an upload can be repeated, in seconds. It is as long as the reason of a refusal can be
/// asked for.
pub(crate) const REPEATABLE_SECONDS: i64 = 24 * 3600;
/// The fewest characters of a key. Random ones of this number cannot be guessed.
const LEAST_CHARACTERS: usize = 16;
/// The most characters of a key.
const MOST_CHARACTERS: usize = 255;

/// A client's own name for one upload: 16 to 255 visible ASCII characters. It is a secret, because
/// the delete token follows from it.
#[derive(Clone)]
pub struct UploadKey(String);

impl UploadKey {
    /// Parses 16 to 255 visible ASCII characters; `None` for anything else.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let is_long_enough = (LEAST_CHARACTERS..=MOST_CHARACTERS).contains(&text.len());
        let is_visible = text.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(text).ok()?;
        (is_long_enough && is_visible).then(|| Self(text.to_owned()))
    }

    /// What the index knows this key of this client by.
    #[must_use]
    pub fn name(&self, client: ClientNetwork) -> Sha256Hash {
        let network = match client.address() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        self.hash_with(b"name", &Ipv6Addr::octets(&network))
    }

    /// The delete token of the upload with this key and salt.
    #[must_use]
    pub fn delete_token(&self, salt: &Salt) -> DeleteToken {
        let Sha256Hash(hash) = self.hash_with(b"delete token", &salt.0);
        let (half, _) = hash.split_at(size_of::<u128>());
        DeleteToken::of_bits(u128::from_be_bytes(half.try_into().expect("16 bytes")))
    }

    /// A hash of the key for one purpose. Each purpose has a name and 16 bytes of its own, so that
    /// no two can be mistaken for each other.
    fn hash_with(&self, purpose: &[u8], bytes: &[u8; 16]) -> Sha256Hash {
        let mut hasher = Sha256::new();
        hasher.update([purpose.len() as u8]);
        hasher.update(purpose);
        hasher.update(bytes);
        hasher.update(&self.0);
        Sha256Hash(hasher.finalize().into())
    }
}

/// 16 random bytes from which, together with the key, the delete token is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

impl Salt {
    /// A new random salt.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::rng().random())
    }
}

/// What is remembered of the upload that first came with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstUpload {
    /// The SHA-256 by which the key is known ([`UploadKey::name`]).
    pub key_name: Sha256Hash,
    pub id: PictureId,
    pub salt: Salt,
    /// SHA-256 of the uploaded bytes.
    pub content_hash: Sha256Hash,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> UploadKey {
        UploadKey::parse(text.as_bytes()).expect("a key")
    }

    fn client(number: u8) -> ClientNetwork {
        ClientNetwork::of([192, 0, 2, number].into())
    }

    #[test]
    fn a_key_is_16_to_255_visible_characters() {
        for length in [16, 36, 255] {
            assert!(UploadKey::parse(&vec![b'k'; length]).is_some(), "{length}");
        }
        assert!(UploadKey::parse(b"\"8e03978e-40d5-43dd-bc93-6894a57f9324\"").is_some());
        for text in [
            &b""[..],
            b"only 15 letters",
            b"with a space in it",
            &[b'k'; 256],
        ] {
            assert!(UploadKey::parse(text).is_none(), "{text:?}");
        }
        assert!(UploadKey::parse("sechzehn Schlüssel".as_bytes()).is_none());
    }

    #[test]
    fn a_key_is_another_one_in_another_network() {
        let ours = key("8e03978e40d543dd");
        assert_eq!(
            ours.name(client(1)),
            key("8e03978e40d543dd").name(client(1))
        );
        assert_ne!(ours.name(client(1)), ours.name(client(2)));
        assert_ne!(
            ours.name(client(1)),
            key("8e03978e40d543de").name(client(1))
        );
    }

    #[test]
    fn key_and_salt_together_make_a_token_that_reads_back() {
        let (ours, salt) = (key("8e03978e40d543dd"), Salt::random());
        let token = ours.delete_token(&salt);
        assert!(
            DeleteToken::parse(token.expose()).is_some(),
            "22 base58 characters"
        );
        assert_eq!(ours.delete_token(&salt).expose(), token.expose());
        assert_ne!(ours.delete_token(&Salt::random()).expose(), token.expose());
        let other = key("8e03978e40d543de");
        assert_ne!(other.delete_token(&salt).expose(), token.expose());
    }
}
