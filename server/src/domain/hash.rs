//! The SHA-256 by which bytes, tokens and rules are known again.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A SHA-256. Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy, Debug)]
pub struct Sha256Hash(pub [u8; 32]);

impl Sha256Hash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes 32 bytes; `None` for any other length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads what [`Self::hex`] wrote.
    #[must_use]
    pub fn parse_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let pairs = text.as_bytes().chunks_exact(2);
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl PartialEq for Sha256Hash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Sha256Hash {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_from_its_digits_and_nothing_else_is_read() {
        let hash = Sha256Hash::of(b"cat");
        assert_eq!(Sha256Hash::parse_hex(&hash.hex()), Some(hash));
        for text in ["", "ab", &"g".repeat(64), &"é".repeat(32), &"0".repeat(66)] {
            assert_eq!(Sha256Hash::parse_hex(text), None, "{text}");
        }
    }
}
