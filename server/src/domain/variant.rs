//! Which files a picture has. The lists here are the only ones: what is made, stored, served,
//! deleted and purged follows from them, and so do the addresses in pages.
//!
//! # How a width is added or given up
//!
//! - To add one, add a line to [`PUBLISHED`], or to [`OF_STILLS`] or [`OF_ANIMATIONS`]. Pictures
//!   that were published before have no such file until they end, so whoever reads goes by the list
//!   in a picture's row and never by these.
//! - To give one up, move its line to [`RETIRED`]. Older pictures keep that file until they end.
//!   Once the longest retention has passed, the line can go.
//! - A file that another version of the program has made is an [`Unknown`] one: it is not served,
//!   and is deleted and purged with its picture.
//!
//! # Why these widths
//!
//! A card of the gallery is 100 to 680 pixels of a screen wide; a picture on its page is 480 to
//! 2048, and on phones 1080 to 1290. A browser takes the narrowest file that is wide enough, so the
//! steps decide how many pixels too many it fetches. With those of stills it is 1.3 times what the
//! cards of 21 photographs need, in the mean over five screens; with 192, 320, 512 and 768 it was
//! 1.7. Each more width fits better and is less often in a cache already, which `make simulate`
//! counts: the three files of stills that came with these raised by a third what images ask of the
//! server.

use std::fmt;

/// The files that are made of every new picture, each with its greatest width in pixels, in the
/// order in which they are listed.
pub const PUBLISHED: &[VariantName] = &[
    VariantName::new(Format::Webp, 320),
    VariantName::new(Format::Webp, 512),
    VariantName::new(Format::Webp, 688),
    VariantName::new(Format::Webp, 2048),
    VariantName::new(Format::Jpeg, 1280),
];

/// The files that new stills get as well where they are worth it: AVIF takes a quarter less than
/// WebP from about a thousand pixels on, and is slow to make where it has many more. Cards show
/// animations as stills, so that these need no more widths.
pub const OF_STILLS: &[VariantName] = &[
    VariantName::new(Format::Webp, 176),
    VariantName::new(Format::Webp, 272),
    VariantName::new(Format::Webp, 400),
    VariantName::new(Format::Webp, 1536),
    VariantName::new(Format::Avif, 1120),
];

/// The files that new animations get as well: a still for their cards. JPEG files show the first
/// frame.
pub const OF_ANIMATIONS: &[VariantName] = &[VariantName::new(Format::Jpeg, 512)];

/// Files that no new picture gets and that others may have: older pictures, or those of the next
/// version of the program, from which an operator may have to go back to this one.
pub const RETIRED: &[VariantName] = &[
    VariantName::new(Format::Webp, 192),
    VariantName::new(Format::Webp, 640),
    VariantName::new(Format::Webp, 768),
    VariantName::new(Format::Webp, 1280),
];

/// How many names [`known`] gives.
pub const KNOWN_NAMES: usize =
    PUBLISHED.len() + OF_STILLS.len() + OF_ANIMATIONS.len() + RETIRED.len();

/// Every name that this version of the program can serve: of new pictures and of older ones.
pub fn known() -> impl Iterator<Item = VariantName> {
    let lists = [PUBLISHED, OF_STILLS, OF_ANIMATIONS, RETIRED];
    lists.into_iter().flatten().copied()
}

/// The width in pixels of the file that a card of a gallery asks for.
const GALLERY_WIDTH: u32 = 512;

/// How a published file is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    Webp,
    Avif,
    Jpeg,
}

impl Format {
    /// What the names of its files end with, without the dot.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Jpeg => "jpg",
        }
    }

    /// The media type, as in a `Content-Type` header.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Jpeg => "image/jpeg",
        }
    }
}

/// The name of a file that this version of the program knows: its greatest width in pixels and its
/// format, as in `512.webp`. A file is as wide as its name says, or as the upload where that is
/// narrower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariantName {
    format: Format,
    width: u32,
}

impl VariantName {
    /// Only the lists above make names; everybody else parses them.
    const fn new(format: Format, width: u32) -> Self {
        Self { format, width }
    }

    /// How it is encoded.
    #[must_use]
    pub const fn format(self) -> Format {
        self.format
    }

    /// The greatest width, in pixels.
    #[must_use]
    pub const fn width(self) -> u32 {
        self.width
    }

    /// Reads a name as it stands in URLs and object keys. `None` for one that is not [`known`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        known().find(|name| name.to_string() == text)
    }
}

impl fmt::Display for VariantName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.width, self.format.ending())
    }
}

/// The name of a file that another version of the program has made: up to five digits, a dot, and
/// three or four small letters or digits. All versions keep to this, so a name can become part of a
/// path, and what one has stored another can delete.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The name of a file in a picture's folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileName {
    /// It can be served.
    Known(VariantName),
    /// It can only be deleted.
    Unknown(Unknown),
}

impl FileName {
    /// Reads a name as it stands in object keys, rows and manifests. `None` for what no version of
    /// the program would write.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(known) = VariantName::parse(text) {
            return Some(Self::Known(known));
        }
        let (width, ending) = text.split_once('.')?;
        let is_name = (1..=5).contains(&width.len())
            && width.bytes().all(|byte| byte.is_ascii_digit())
            && (3..=4).contains(&ending.len())
            && ending
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        is_name.then(|| Self::Unknown(Unknown(text.to_owned())))
    }

    /// The name, if this version of the program can serve the file.
    #[must_use]
    pub const fn known(&self) -> Option<VariantName> {
        match self {
            Self::Known(name) => Some(*name),
            Self::Unknown(_) => None,
        }
    }
}

impl From<VariantName> for FileName {
    fn from(name: VariantName) -> Self {
        Self::Known(name)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(name) => name.fmt(formatter),
            Self::Unknown(name) => name.fmt(formatter),
        }
    }
}

/// Chooses from these files the one for a place of this width in pixels: the narrowest of this
/// format that is wide enough, or else the widest of this format. Where there is none of this
/// format, another one is used. `None` where there is no file. Pages choose by the same rule
/// (`images` in the crate `app`).
#[must_use]
pub fn choose(
    names: impl IntoIterator<Item = VariantName>,
    format: Format,
    width: u32,
) -> Option<VariantName> {
    names.into_iter().min_by_key(|name| {
        let is_narrow = name.width < width;
        (name.format != format, is_narrow, name.width.abs_diff(width))
    })
}

/// The one of these files that a gallery shows. Caches are most likely to hold it.
#[must_use]
pub fn in_gallery(names: impl IntoIterator<Item = VariantName>) -> Option<VariantName> {
    choose(names, Format::Webp, GALLERY_WIDTH)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_stands_twice_in_the_lists_and_each_reads_back() {
        let names: BTreeSet<VariantName> = known().collect();
        assert_eq!(names.len(), KNOWN_NAMES);
        for name in known() {
            assert_eq!(VariantName::parse(&name.to_string()), Some(name));
            let parsed = FileName::parse(&name.to_string());
            assert_eq!(parsed, Some(FileName::Known(name)));
            // Other versions must be able to delete it.
            let (width, ending) = (name.width.to_string(), name.format.ending());
            assert!(
                width.len() <= 5 && (3..=4).contains(&ending.len()),
                "{name}"
            );
        }
    }

    #[test]
    fn a_name_of_another_version_is_kept_and_is_no_variant() {
        for text in ["99999.webp", "960.avif", "0640.webp", "7.jxl", "320.mp4"] {
            assert_eq!(VariantName::parse(text), None, "{text}");
            let name = FileName::parse(text).expect("is a name");
            assert_eq!(name.known(), None);
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_name() {
        for text in [
            "",
            ".",
            "..",
            ".webp",
            "640",
            "640.",
            "640.gz",
            "640.webp2",
            "640.WEBP",
            "123456.webp",
            "640.webp.br",
            "640/.webp",
            "../640.webp",
            "640.we/p",
            "640.we.p",
            "-64.webp",
            "+64.webp",
            "٦٤٠.webp",
            "640.wébp",
            "640.webp\n",
            "640.web%",
        ] {
            assert_eq!(FileName::parse(text), None, "{text}");
        }
    }

    /// Pages choose by the same rule, and are tested with the same cases.
    #[test]
    fn a_place_gets_the_narrowest_file_that_fills_it_or_else_the_widest() {
        let format = |ending: &str| match ending {
            "webp" => Format::Webp,
            "avif" => Format::Avif,
            "jpg" => Format::Jpeg,
            other => panic!("no format ends with {other}"),
        };
        let name = |text: &str| {
            let (width, ending) = text.split_once('.').expect("a name");
            VariantName::new(format(ending), width.parse().expect("pixels"))
        };
        for line in include_str!("../../../app/src/choices.txt").lines() {
            let (place, choice) = line.split_once(':').expect("a place");
            let (names, expected) = choice.split_once("->").expect("a choice");
            let (ending, width) = place.split_once(' ').expect("a format and a width");
            let names = names.split_whitespace().map(name);
            let found = choose(names, format(ending), width.parse().expect("pixels"));
            let found = found.map(|name| name.to_string()).unwrap_or_default();
            assert_eq!(found, expected.trim(), "{line}");
        }
    }

    #[test]
    fn a_gallery_shows_the_file_for_its_cards() {
        let shown = in_gallery(PUBLISHED.iter().copied()).map(|name| name.to_string());
        assert_eq!(shown.as_deref(), Some("512.webp"));
    }
}
