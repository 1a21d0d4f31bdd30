//! Chooses which of a picture's image files (its variants) the browser should fetch, by their
//! format and width. Pages choose among the files that a picture names and rely on none of them,
//! because a picture keeps the files that were made when it was published.

/// A picture's variants in any order: the name of each (`640.webp`) and its absolute URL.
pub(crate) type Images = Vec<(String, String)>;

/// The formats among which pages choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// What browsers show.
    Webp,
    /// What every preview service and every image viewer can read.
    Jpeg,
}

impl Format {
    /// What the names of its files end with, without the dot.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Webp => "webp",
            Self::Jpeg => "jpg",
        }
    }
}

/// One variant of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image<'a> {
    pub(crate) format: Format,
    /// The width in pixels that its name says. The image is narrower if the upload was.
    pub(crate) most_width: u32,
    pub(crate) url: &'a str,
}

/// Reads the name of a variant. `None` if its format is none of those that pages use.
fn image<'a>((name, url): &'a (String, String)) -> Option<Image<'a>> {
    let (width, ending) = name.split_once('.')?;
    let format = [Format::Webp, Format::Jpeg]
        .into_iter()
        .find(|format| format.ending() == ending)?;
    Some(Image {
        format,
        most_width: width.parse().ok()?,
        url,
    })
}

/// The variant of this format that suits a place of this width in pixels: the narrowest that is
/// wide enough, or else the widest. If the picture has no variant of this format, the rule chooses
/// among those of the other format. `None` if it has no variant at all.
pub(crate) fn choose(images: &[(String, String)], format: Format, width: u32) -> Option<Image<'_>> {
    images.iter().filter_map(image).min_by_key(|image| {
        let is_narrow = image.most_width < width;
        (
            image.format != format,
            is_narrow,
            image.most_width.abs_diff(width),
        )
    })
}

/// Every variant that pages use, by format and then the narrowest first.
#[cfg(feature = "ssr")]
pub(crate) fn all(images: &[(String, String)]) -> Vec<Image<'_>> {
    let mut all: Vec<Image<'_>> = images.iter().filter_map(image).collect();
    all.sort_unstable_by_key(|image| (image.format.ending(), image.most_width));
    all
}

/// The URL of the variant that [`choose`] gives, or an empty text if there is none.
pub(crate) fn url(images: &[(String, String)], format: Format, width: u32) -> String {
    choose(images, format, width).map_or_else(String::new, |image| image.url.to_owned())
}

/// The `srcset` of a picture whose upload was 500 pixels wide: `…/320.webp 320w, …/640.webp 500w`.
/// No variant is wider than the upload, so several may have the same real width; only the first of
/// these is named.
pub(crate) fn srcset(images: &[(String, String)], upload_width: u32) -> String {
    let mut files: Vec<Image<'_>> = images
        .iter()
        .filter_map(image)
        .filter(|image| image.format == Format::Webp)
        .collect();
    files.sort_unstable_by_key(|image| image.most_width);
    files.dedup_by_key(|image| image.most_width.min(upload_width));
    let mut list = String::new();
    for file in files {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(file.url);
        list.push(' ');
        list.push_str(&file.most_width.min(upload_width).to_string());
        list.push('w');
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Images {
        let image = |name: &&str| ((*name).to_owned(), format!("/i/{name}"));
        names.iter().map(image).collect()
    }

    fn images() -> Images {
        // As a map gives them.
        of(&["1280.jpg", "1280.webp", "2048.webp", "320.webp", "640.webp"])
    }

    #[test]
    fn srcset_lists_the_variants_narrowest_first() {
        assert_eq!(
            srcset(&images(), 4000),
            "/i/320.webp 320w, /i/640.webp 640w, /i/1280.webp 1280w, /i/2048.webp 2048w"
        );
    }

    #[test]
    fn srcset_names_each_real_width_once() {
        let cases = [(2048, 4), (1280, 3), (500, 2), (320, 1), (100, 1)];
        for (width, count) in cases {
            let list = srcset(&images(), width);
            assert_eq!(list.split(", ").count(), count, "{list}");
            assert!(list.ends_with(&format!(" {width}w")), "{list}");
        }
    }

    #[test]
    fn srcset_lists_what_there_is_and_nothing_else() {
        for (names, expected) in [
            (
                &["640.webp", "960.webp", "960.avif"][..],
                "/i/640.webp 640w, /i/960.webp 960w",
            ),
            (&["1280.jpg"], ""),
            (&["x.webp", "640"], ""),
        ] {
            assert_eq!(srcset(&of(names), 4000), expected, "{names:?}");
        }
    }

    /// The server chooses by the same rule, and is tested with the same cases.
    #[test]
    fn a_place_gets_the_narrowest_file_that_fills_it_or_else_the_widest() {
        for line in include_str!("choices.txt").lines() {
            let (place, choice) = line.split_once(':').expect("a place");
            let (names, expected) = choice.split_once("->").expect("a choice");
            let (ending, width) = place.split_once(' ').expect("a format and a width");
            let format = match ending {
                "webp" => Format::Webp,
                "jpg" => Format::Jpeg,
                other => panic!("no format ends with {other}"),
            };
            let names: Vec<&str> = names.split_whitespace().collect();
            let found = url(&of(&names), format, width.parse().expect("pixels"));
            assert_eq!(found.trim_start_matches("/i/"), expected.trim(), "{line}");
        }
    }

    #[test]
    fn a_format_that_pages_do_not_use_is_never_chosen() {
        assert_eq!(url(&of(&["1280.avif"]), Format::Webp, 640), "");
    }
}
