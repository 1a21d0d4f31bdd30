//! Chooses which of a picture's image files (its variants) the browser should fetch, by their
//! format and width. Pages choose among the files that a picture names and rely on none of them,
//! because a picture keeps the files that were made when it was published.

/// A picture's variants in any order: the name of each (`512.webp`) and its absolute URL.
pub(crate) type Images = Vec<(String, String)>;

/// The formats among which pages choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// What every browser shows.
    Webp,
    /// What most browsers show, and smaller. Large views of stills may have it.
    Avif,
    /// What every preview service and every image viewer can read.
    Jpeg,
}

impl Format {
    /// What the names of its files end with, without the dot.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Webp => "webp",
            Self::Avif => "avif",
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
    let format = [Format::Webp, Format::Avif, Format::Jpeg]
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
/// among those of the other formats. `None` if it has no variant at all.
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

/// The greatest width in pixels of the still that only animations have.
const STILL_WIDTH: u32 = 512;

/// The URL of the still that stands for an animation; `None` for a picture that is no animation,
/// and for animations that were published before there were such stills.
pub(crate) fn still(images: &[(String, String)]) -> Option<String> {
    let mut stills = images.iter().filter_map(image);
    stills
        .find(|image| image.format == Format::Jpeg && image.most_width <= STILL_WIDTH)
        .map(|image| image.url.to_owned())
}

/// The URL of the variant that [`choose`] gives, or an empty text if there is none.
pub(crate) fn url(images: &[(String, String)], format: Format, width: u32) -> String {
    choose(images, format, width).map_or_else(String::new, |image| image.url.to_owned())
}

/// The `srcset` of a picture's files of this format, of an upload that was 500 pixels wide:
/// `…/320.webp 320w, …/512.webp 500w`. No variant is wider than the upload, so several may have the
/// same real width; only the first of these is named.
pub(crate) fn srcset(images: &[(String, String)], format: Format, upload_width: u32) -> String {
    let mut files: Vec<Image<'_>> = images
        .iter()
        .filter_map(image)
        .filter(|image| image.format == format)
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

/// Steps of the resolutions of screens, in device pixels for each CSS pixel, and how many times as
/// wide as a file a place on a screen up to that step may be. The finer a screen is, the less one
/// sees that a file is a little too narrow.
#[cfg(feature = "ssr")]
const ENOUGH: [(f64, f64); 4] = [(1.0, 1.1), (1.5, 1.1), (2.0, 1.1), (3.0, 1.2)];

/// Files among which a browser chooses, as the element `<source>` names them.
#[cfg(feature = "ssr")]
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) format: Format,
    pub(crate) srcset: String,
    /// The screens for which the files are wide enough; `None` for all.
    pub(crate) media: Option<String>,
}

/// The files of which a large view of a picture is made, the best for each screen first. A picture
/// of these sides is drawn as wide as the screen, or as high as the screen without `margin` CSS
/// pixels.
///
/// AVIF files end at a width at which they are still made quickly, and are worth it from about a
/// thousand pixels on. A browser that was offered them everywhere would take them even where they
/// are too narrow or much too wide, and never look at the WebP files. So those WebP files that are
/// narrower come first, for the screens for which they are wide enough.
#[cfg(feature = "ssr")]
pub(crate) fn sources(
    images: &[(String, String)],
    (width, height): (u32, u32),
    margin: u32,
) -> Vec<Source> {
    let up_to = |format, most_width| {
        let is_fit = |file: &Image<'_>| file.format == format && file.most_width <= most_width;
        let files = images
            .iter()
            .filter(|file| image(file).is_some_and(|file| is_fit(&file)));
        let files: Images = files.cloned().collect();
        let widest = files
            .iter()
            .filter_map(image)
            .map(|file| file.most_width)
            .max()?;
        Some((widest, srcset(&files, format, width)))
    };
    let mut sources = Vec::new();
    if let Some((widest_avif, avif)) = up_to(Format::Avif, u32::MAX) {
        let narrower = up_to(Format::Webp, widest_avif.saturating_sub(1));
        let narrower = narrower.map(|(widest, webp)| (Format::Webp, widest, webp));
        let files = narrower
            .into_iter()
            .chain([(Format::Avif, widest_avif, avif)]);
        sources.extend(files.map(|(format, widest, srcset)| Source {
            format,
            srcset,
            media: Some(media(widest, (width, height), margin)),
        }));
    }
    sources.extend(up_to(Format::Webp, u32::MAX).map(|(_, srcset)| Source {
        format: Format::Webp,
        srcset,
        media: None,
    }));
    sources
}

/// The screens for which a file of this width is wide enough, of a picture that is drawn as
/// [`sources`] says.
#[cfg(feature = "ssr")]
fn media(widest: u32, (width, height): (u32, u32), margin: u32) -> String {
    let mut media = String::new();
    let mut finer_than = None;
    for (resolution, enough) in ENOUGH {
        let mut conditions = Vec::new();
        if let Some(step) = finer_than {
            conditions.push(format!("(min-resolution: {step}1dppx)"));
        }
        conditions.push(format!("(max-resolution: {resolution}dppx)"));
        // No file is wider than the picture.
        if widest < width {
            let across = f64::from(widest) * enough / resolution;
            let down = across * f64::from(height) / f64::from(width) + f64::from(margin);
            conditions.push(format!(
                "((max-width: {across:.0}px) or (max-height: {down:.0}px))"
            ));
        }
        if !media.is_empty() {
            media.push_str(", ");
        }
        media.push_str(&conditions.join(" and "));
        finer_than = Some(format!("{resolution:.1}"));
    }
    media
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
        of(&["1120.avif", "1280.jpg", "2048.webp", "320.webp", "768.webp"])
    }

    #[test]
    fn srcset_lists_the_variants_narrowest_first() {
        assert_eq!(
            srcset(&images(), Format::Webp, 4000),
            "/i/320.webp 320w, /i/768.webp 768w, /i/2048.webp 2048w"
        );
        assert_eq!(srcset(&images(), Format::Avif, 4000), "/i/1120.avif 1120w");
    }

    #[test]
    fn srcset_names_each_real_width_once() {
        let cases = [(2048, 3), (768, 2), (500, 2), (320, 1), (100, 1)];
        for (width, count) in cases {
            let list = srcset(&images(), Format::Webp, width);
            assert_eq!(list.split(", ").count(), count, "{list}");
            assert!(list.ends_with(&format!(" {width}w")), "{list}");
        }
    }

    #[test]
    fn srcset_lists_what_there_is_and_nothing_else() {
        for (names, expected) in [
            (
                &["512.webp", "960.webp", "960.avif"][..],
                "/i/512.webp 512w, /i/960.webp 960w",
            ),
            (&["1280.jpg"], ""),
            (&["x.webp", "640"], ""),
        ] {
            assert_eq!(
                srcset(&of(names), Format::Webp, 4000),
                expected,
                "{names:?}"
            );
        }
    }

    #[test]
    fn an_animation_has_a_still_and_a_still_has_none() {
        let animation = of(&["1280.jpg", "320.webp", "512.jpg", "512.webp"]);
        assert_eq!(still(&animation).as_deref(), Some("/i/512.jpg"));
        assert_eq!(still(&images()), None);
    }

    /// The formats of the sources, each with the widths that it offers and its screens.
    fn offered(names: &[&str], size: (u32, u32)) -> Vec<(Format, String, Option<String>)> {
        let sources = sources(&of(names), size, 168).into_iter();
        sources
            .map(|source| {
                let widths = source.srcset.split(' ').skip(1).step_by(2);
                let widths: Vec<&str> = widths.map(|width| width.trim_end_matches(',')).collect();
                (source.format, widths.join(" "), source.media)
            })
            .collect()
    }

    #[test]
    fn each_file_is_offered_where_it_is_wide_enough_and_nothing_narrower_is() {
        let sources = offered(
            &["1120.avif", "320.webp", "768.webp", "2048.webp"],
            (2048, 1536),
        );
        let formats = sources
            .iter()
            .map(|(format, widths, _)| (*format, widths.as_str()));
        assert_eq!(
            formats.collect::<Vec<_>>(),
            [
                (Format::Webp, "320w 768w"),
                (Format::Avif, "1120w"),
                (Format::Webp, "320w 768w 2048w"),
            ]
        );
        let screens = |position: usize| sources[position].2.as_deref().unwrap_or_default();
        assert_eq!(
            screens(1).split(", ").collect::<Vec<_>>(),
            [
                "(max-resolution: 1dppx) and ((max-width: 1232px) or (max-height: 1092px))",
                "(min-resolution: 1.01dppx) and (max-resolution: 1.5dppx) \
                 and ((max-width: 821px) or (max-height: 784px))",
                "(min-resolution: 1.51dppx) and (max-resolution: 2dppx) \
                 and ((max-width: 616px) or (max-height: 630px))",
                "(min-resolution: 2.01dppx) and (max-resolution: 3dppx) \
                 and ((max-width: 448px) or (max-height: 504px))",
            ]
        );
        assert!(screens(0).contains("(max-width: 845px) or (max-height: 802px)"));
        assert_eq!(sources[2].2, None);
    }

    #[test]
    fn a_file_that_is_as_wide_as_the_picture_is_wide_enough_anywhere() {
        let sources = offered(&["1120.avif", "768.webp", "1536.webp"], (1100, 1000));
        assert!(
            sources[0]
                .2
                .as_ref()
                .is_some_and(|media| media.contains("width"))
        );
        assert!(
            sources[1]
                .2
                .as_ref()
                .is_some_and(|media| !media.contains("width"))
        );
    }

    #[test]
    fn a_picture_without_avif_or_without_narrower_files_offers_what_it_has() {
        let count = |names| offered(names, (2048, 1536)).len();
        assert_eq!(count(&["1120.avif"]), 1);
        assert_eq!(count(&["1120.avif", "2048.webp"]), 2);
        assert_eq!(count(&["2048.webp", "320.webp"]), 1);
        assert_eq!(count(&["1280.jpg"]), 0);
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
                "avif" => Format::Avif,
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
        assert_eq!(url(&of(&["1280.jxl"]), Format::Webp, 640), "");
    }
}
