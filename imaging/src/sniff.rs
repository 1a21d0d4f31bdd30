//! Tells what a file is by its first bytes alone. File names and declared types are never
//! consulted.

use super::ImageError;

/// How many bytes [`sniff`] looks at.
pub(super) const SNIFF_BYTES: usize = 512;

/// The picture formats that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG (ITU T.81) in any usual wrapping.
    Jpeg,
    /// PNG and APNG.
    Png,
    /// WebP: lossy, lossless or animated.
    WebP,
    /// GIF 87a and 89a.
    Gif,
}

impl Format {
    /// The media type, as in a `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }
}

/// The format of a file that begins with `head`, or an error that names what it is instead.
pub(super) fn sniff(head: &[u8]) -> Result<Format, ImageError> {
    if head.is_empty() {
        return Err(ImageError::Empty);
    }
    if head.starts_with(b"\xff\xd8\xff") {
        return Ok(Format::Jpeg);
    }
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(Format::Png);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Ok(Format::WebP);
    }
    if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        return Ok(Format::Gif);
    }
    // A file that ends within the signature of an accepted format has been cut off.
    let beginnings: [&[u8]; 4] = [
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF....WEBP",
        b"GIF89a",
    ];
    if head.len() >= 2
        && beginnings.iter().any(|magic| {
            head.len() < magic.len() && head.iter().zip(*magic).take(4).all(|(a, b)| a == b)
        })
    {
        return Err(ImageError::corrupt("the file ends in its signature"));
    }
    let (found, advice) = foreign(head);
    Err(ImageError::Unsupported { found, advice })
}

/// The name of a format that is not accepted, and advice where there is any.
fn foreign(head: &[u8]) -> (&'static str, Option<&'static str>) {
    if let Some(brands) = iso_brands(head) {
        let has = |names: &[&[u8; 4]]| names.iter().any(|name| brands.contains(name));
        if has(&[b"avif", b"avis"]) {
            return (
                "an AVIF picture",
                Some("Please convert it to JPEG, PNG or WebP and try again."),
            );
        }
        if has(&[
            b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
        ]) {
            return (
                "a HEIC picture",
                Some(
                    "On an iPhone, choose Settings > Camera > Formats > Most Compatible for new pictures, or convert this one to JPEG.",
                ),
            );
        }
        return (
            "a video",
            Some("Please send a still picture, or an animated WebP or GIF."),
        );
    }
    let table: [(&[u8], &'static str); 11] = [
        (b"II*\0", "a TIFF picture"),
        (b"MM\0*", "a TIFF picture"),
        (b"II+\0", "a TIFF picture"),
        (b"MM\0+", "a TIFF picture"),
        (b"%PDF", "a PDF document"),
        (b"BM", "a BMP picture"),
        (b"\xff\x0a", "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        (b"\x1aE\xdf\xa3", "a video"),
        (b"8BPS", "a Photoshop document"),
    ];
    if let Some((_, found)) = table.iter().find(|(magic, _)| head.starts_with(magic)) {
        return (found, None);
    }
    markup(head).map_or(("a kind of file that we do not know", None), |found| {
        (found, None)
    })
}

/// The major and compatible brands of an ISO base media file, if it is one.
fn iso_brands(head: &[u8]) -> Option<Vec<&[u8; 4]>> {
    if head.get(4..8) != Some(b"ftyp") {
        return None;
    }
    let size = u32::from_be_bytes(head.get(..4)?.try_into().ok()?) as usize;
    let brands = head.get(8..size.min(head.len()).max(8))?;
    let (words, _) = brands.as_chunks::<4>();
    Some(words.iter().collect())
}

/// Recognises SVG and HTML, if the first bytes are markup.
fn markup(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(head)
        .trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n'])
        .to_ascii_lowercase();
    if !text.starts_with('<') {
        return None;
    }
    if text.contains("<svg") {
        Some("an SVG drawing")
    } else if ["<!doctype html", "<html", "<head", "<body", "<script"]
        .iter()
        .any(|tag| text.contains(tag))
    {
        Some("an HTML page")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_files_are_named() {
        let cases: [(&[u8], &str); 14] = [
            (b"II*\0\x08\0\0\0", "a TIFF picture"),
            (b"MM\0*\0\0\0\x08", "a TIFF picture"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC picture"),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "an AVIF picture"),
            (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "a video"),
            (b"<?xml version='1.0'?>\n<svg xmlns=", "an SVG drawing"),
            (b"\xef\xbb\xbf <!DOCTYPE html><html>", "an HTML page"),
            (b"%PDF-1.7", "a PDF document"),
            (b"BM6\0\0\0", "a BMP picture"),
            (b"\xff\x0a\xfa", "a JPEG XL picture"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
            (b"hello", "a kind of file that we do not know"),
            (b"\0\0\0\x08ftyp", "a video"),
        ];
        for (head, expected) in cases {
            match sniff(head) {
                Err(ImageError::Unsupported { found, .. }) => {
                    assert_eq!(found, expected, "{head:?}");
                }
                other => panic!("{head:?} gave {other:?}"),
            }
        }
    }

    #[test]
    fn heic_and_avif_carry_advice() {
        for brand in [b"heic", b"avif"] {
            let mut head = b"\0\0\0\x10ftyp".to_vec();
            head.extend_from_slice(brand);
            head.extend_from_slice(&[0; 4]);
            let text = sniff(&head).expect_err("not taken").to_string();
            assert!(text.contains("onvert"), "{text}");
        }
    }

    #[test]
    fn empty_and_cut_signatures_are_not_unsupported() {
        assert!(matches!(sniff(b""), Err(ImageError::Empty)));
        for head in [&b"\xff\xd8"[..], b"\x89PNG", b"RIFF\x10\0", b"GIF8"] {
            assert!(
                matches!(sniff(head), Err(ImageError::Corrupt { .. })),
                "{head:?}"
            );
        }
    }
}
