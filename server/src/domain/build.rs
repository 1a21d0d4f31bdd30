//! One build of the site: what the browser loads, under names that change with the content.

use std::fmt;

use jiff::Timestamp;

use super::expiry::{ExpiresAt, Retention};
use super::picture::Sha256Hash;

/// How much longer than a picture the files of a build that another one replaced are served, seconds: pages that caches
/// kept name them.
const BEYOND_RETENTION: i64 = 24 * 3600;
/// The most characters of a name.
const LONGEST_NAME: usize = 128;
/// The fewest characters of the hash in a name.
const SHORTEST_HASH: usize = 4;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssetKind {
    Css,
    JavaScript,
    Wasm,
}

impl AssetKind {
    /// By the ending of a name, without its dot.
    #[must_use]
    pub fn of_ending(ending: &str) -> Option<Self> {
        [Self::Css, Self::JavaScript, Self::Wasm]
            .into_iter()
            .find(|kind| kind.ending() == ending)
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Css => "css",
            Self::JavaScript => "js",
            Self::Wasm => "wasm",
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Css => "text/css; charset=utf-8",
            Self::JavaScript => "text/javascript; charset=utf-8",
            Self::Wasm => "application/wasm",
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
    /// In the order in which they are preferred.
    pub const ALL: [Self; 2] = [Self::Brotli, Self::Gzip];

    /// Its name in `Accept-Encoding`.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What the name of a compressed file ends with, after a dot.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gz",
        }
    }
}

/// The name of a file of a build: `cattocdn.{hash}.css`. It is never a path, because it holds no separator and no two dots
/// in a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AssetName {
    text: String,
    kind: AssetKind,
}

impl AssetName {
    /// `None` unless a name, a hash of letters and digits, and an ending that is known, with dots between them.
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

    /// Reads the name of a file that may be compressed: `cattocdn.{hash}.css.br`.
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

    /// What [`Self::parse_stored`] reads.
    #[must_use]
    pub fn stored(&self, coding: Option<Coding>) -> String {
        match coding {
            Some(coding) => format!("{self}.{}", coding.ending()),
            None => self.text.clone(),
        }
    }

    /// What the file is.
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

/// Tells builds apart: two with the same files are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BuildId(String);

impl BuildId {
    const LENGTH: usize = 16;

    /// Of a build with these files, in any order.
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

    /// `None` unless sixteen lower-case hexadecimal digits.
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

/// From when on nobody is served the files of a build that was replaced at this second: the pictures that its pages show are
/// over by then.
#[must_use]
pub fn files_end(replaced_at: i64, retention: Retention) -> ExpiresAt {
    ExpiresAt::from_second(replaced_at + i64::from(retention.seconds()) + BEYOND_RETENTION)
}

/// True while the files of a build are served: it runs, or was replaced not long ago.
#[must_use]
pub fn is_served(replaced_at: Option<i64>, retention: Retention, now: Timestamp) -> bool {
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
