//! Pictures that an admin does not want back, recognised by how they look.

/// How many of the 64 bits of a perceptual hash may differ between two pictures that count as the
/// same.
///
/// Re-encodings and other sizes of one picture stay within it. Two different pictures differ in
/// about 32 bits, and by chance in six or fewer once in 10^11 pairs (as 64 fair coins would).
const SAME_WITHIN_BITS: u32 = 6;

/// The perceptual hash of a banned picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ban(u64);

impl Ban {
    /// A ban on pictures that look like the one with this perceptual hash.
    #[must_use]
    pub const fn of(perceptual_hash: u64) -> Self {
        Self(perceptual_hash)
    }

    /// The perceptual hash of the banned picture.
    #[must_use]
    pub const fn perceptual_hash(self) -> u64 {
        self.0
    }

    /// True for the banned picture and for its re-encodings.
    #[must_use]
    pub const fn covers(self, perceptual_hash: u64) -> bool {
        (self.0 ^ perceptual_hash).count_ones() <= SAME_WITHIN_BITS
    }

    /// The hash as sixteen lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(self) -> String {
        format!("{:016x}", self.0)
    }

    /// Reads what [`Self::hex`] wrote; `None` for anything else.
    #[must_use]
    pub fn parse_hex(text: &str) -> Option<Self> {
        let hex = text.len() == 16
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        hex.then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_covers_near_copies_and_nothing_else() {
        let ban = Ban::of(0x0123_4567_89ab_cdef);
        assert!(ban.covers(0x0123_4567_89ab_cdef));
        assert!(ban.covers(0x0123_4567_89ab_cdef ^ 0b11_1111));
        assert!(!ban.covers(0x0123_4567_89ab_cdef ^ 0b111_1111));
        assert!(!ban.covers(!0x0123_4567_89ab_cdef));
    }

    #[test]
    fn hexadecimal_reads_back_and_nothing_else_is_read() {
        let ban = Ban::of(0x00ab);
        assert_eq!(Ban::parse_hex(&ban.hex()), Some(ban));
        for text in ["", "ab", "00000000000000AB", "+0000000000000ab"] {
            assert_eq!(Ban::parse_hex(text), None, "{text}");
        }
    }
}
