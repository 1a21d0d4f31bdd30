//! One build of the site: the files that a browser loads, each under a name that holds a hash of
//! its content.

use std::fmt;

use jiff::Timestamp;

use super::expiry::{ExpiresAt, Retention};
use super::hash::Sha256Hash;

/// For how many seconds the files of a replaced build are served beyond the retention of a picture.
/// Pages that caches still hold name these files.
const BEYOND_RETENTION: i64 = 24 * 3600;
/// The most characters in the name of a file.
const LONGEST_NAME: usize = 128;
/// The fewest characters in the hash part of a name.
const SHORTEST_HASH: usize = 4;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssetKind {
    Css,
    JavaScript,
    Png,
    Wasm,
    Woff2,
}

impl AssetKind {
    all_variants! {
        const ALL = [Css, JavaScript, Png, Wasm, Woff2];
    }

    /// The kind of files that end with this, given without its dot.
    #[must_use]
    pub fn of_ending(ending: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.ending() == ending)
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Css => "css",
            Self::JavaScript => "js",
            Self::Png => "png",
            Self::Wasm => "wasm",
            Self::Woff2 => "woff2",
        }
    }

    /// The media type of such a file, for `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Css => "text/css; charset=utf-8",
            Self::JavaScript => "text/javascript; charset=utf-8",
            Self::Png => "image/png",
            Self::Wasm => "application/wasm",
            Self::Woff2 => "font/woff2",
        }
    }
}

/// How a file was compressed when it was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    all_variants! {
        /// Every coding, the preferred one first.
        pub const ALL = [Brotli, Gzip];
    }

    /// Its name in `Accept-Encoding`.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The file extension of a compressed file, without its dot.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gz",
        }
    }
}

/// The name of a file of a build, such as `cattocdn.{hash}.css`. It can never act as a path,
/// because it holds no separator and no two dots in a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AssetName {
    text: String,
    kind: AssetKind,
}

impl AssetName {
    /// Parses a name, a hash of letters and digits, and a known extension, with dots between them;
    /// `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (stem, hash, ending) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = AssetKind::of_ending(ending)?;
        let is_word = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let is_name = parts.next().is_none()
            && text.len() <= LONGEST_NAME
            && !stem.is_empty()
            && hash.len() >= SHORTEST_HASH
            && is_word(stem)
            && is_word(hash);
        is_name.then(|| Self {
            text: text.to_owned(),
            kind,
        })
    }

    /// Parses the name of a file that may be compressed: `cattocdn.{hash}.css.br`.
    #[must_use]
    pub fn parse_stored(text: &str) -> Option<(Self, Option<Coding>)> {
        let coding = Coding::ALL.into_iter().find_map(|coding| {
            let plain = text.strip_suffix(coding.ending())?.strip_suffix('.')?;
            Some((plain, coding))
        });
        match coding {
            Some((plain, coding)) => Some((Self::parse(plain)?, Some(coding))),
            None => Some((Self::parse(text)?, None)),
        }
    }

    /// Writes the name that [`Self::parse_stored`] reads.
    #[must_use]
    pub fn stored(&self, coding: Option<Coding>) -> String {
        match coding {
            Some(coding) => format!("{self}.{}", coding.ending()),
            None => self.text.clone(),
        }
    }

    /// The part of the name before its hash.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.text.split('.').next().unwrap_or_default()
    }

    /// The kind of the file.
    #[must_use]
    pub const fn kind(&self) -> AssetKind {
        self.kind
    }
}

impl fmt::Display for AssetName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Identifies a build by its files: two builds with the same files are the same build.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BuildId(String);

impl BuildId {
    const LENGTH: usize = 16;

    /// The id of the build with these files, in whatever order they come.
    #[must_use]
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a AssetName, Sha256Hash)>) -> Self {
        let mut lines: Vec<String> = files
            .into_iter()
            .map(|(name, hash)| format!("{name} {}\n", hash.hex()))
            .collect();
        lines.sort();
        let mut text = Sha256Hash::of(lines.concat().as_bytes()).hex();
        text.truncate(Self::LENGTH);
        Self(text)
    }

    /// Parses sixteen lower-case hexadecimal digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == Self::LENGTH && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The second from which nobody is served the files of a build that was replaced at `replaced_at`
/// (seconds since 1970). Every picture that a page of that build shows has ended by then.
#[must_use]
pub(crate) fn files_end(replaced_at: i64, retention: Retention) -> ExpiresAt {
    ExpiresAt::from_second(replaced_at + i64::from(retention.seconds()) + BEYOND_RETENTION)
}

/// True while the files of a build are served: it runs now, or it was replaced not long ago.
#[must_use]
pub(crate) fn is_served(replaced_at: Option<i64>, retention: Retention, now: Timestamp) -> bool {
    replaced_at.is_none_or(|second| !files_end(second, retention).is_past(now))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_name_reads_back_with_every_coding() {
        for text in [
            "cattocdn.0123.css",
            "cattocdn.dce8fb0d5874a2be.js",
            "a_b-c.Ab-_9.wasm",
        ] {
            let name = AssetName::parse(text).expect(text);
            for coding in [None, Some(Coding::Brotli), Some(Coding::Gzip)] {
                let stored = name.stored(coding);
                assert_eq!(
                    AssetName::parse_stored(&stored),
                    Some((name.clone(), coding))
                );
            }
        }
    }

    #[test]
    fn what_is_no_hashed_name_with_a_known_ending_is_none() {
        let long = format!("cattocdn.{}.css", "0".repeat(LONGEST_NAME));
        for text in [
            "",
            ".",
            "..",
            "cattocdn.css",
            "cattocdn.012.css",
            ".0123.css",
            "cattocdn..css",
            "cattocdn.0123.html",
            "cattocdn.0123.CSS",
            "cattocdn.0123.css.",
            "cattocdn.0123.css.br",
            "cattocdn.0123.css.zst",
            "cattocdn.0123.4567.css",
            "../cattocdn.0123.css",
            "a/cattocdn.0123.css",
            "a\\b.0123.css",
            "cattocdn.0123.css\0",
            "cattocdn.01 3.css",
            "cattocdn.012\u{e9}.css",
            &long,
        ] {
            assert_eq!(AssetName::parse(text), None, "{text}");
        }
        for text in ["cattocdn.0123.br", "cattocdn.0123.css.br.gz", ".br", "br"] {
            assert_eq!(AssetName::parse_stored(text), None, "{text}");
        }
    }

    #[test]
    fn a_build_is_known_by_its_files_in_whatever_order() {
        let (css, js) = (
            AssetName::parse("a.0123.css").expect("a name"),
            AssetName::parse("a.0123.js").expect("a name"),
        );
        let (one, two) = (Sha256Hash::of(b"1"), Sha256Hash::of(b"2"));
        let id = BuildId::of([(&css, one), (&js, two)]);
        assert_eq!(id, BuildId::of([(&js, two), (&css, one)]));
        assert_ne!(id, BuildId::of([(&js, one), (&css, two)]));
        assert_eq!(BuildId::parse(&id.to_string()), Some(id));
        for text in ["", "0123", "0123456789ABCDEF", "../../../etc/pass"] {
            assert_eq!(BuildId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn files_are_served_for_the_retention_and_a_day_after_their_build_was_replaced() {
        let retention = Retention::new(Duration::from_secs(3600)).expect("an hour");
        let at = |second| Timestamp::from_second(second).expect("a time");
        assert!(is_served(None, retention, at(1_000_000_000)));
        assert!(is_served(Some(0), retention, at(24 * 3600 + 3599)));
        assert!(!is_served(Some(0), retention, at(24 * 3600 + 3600)));
    }
}
