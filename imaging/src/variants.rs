//! Makes the files that are published for a still.

use std::time::Instant;

use bytes::Bytes;

use super::error::{check_deadline, guarded, panicked};
use super::{ImageError, Raster, caps, encode, memory, shrink};

/// The names and greatest widths, in pixels, of the WebP variants, the narrowest first.
pub(super) const WEBP_VARIANTS: [(&str, u32); 4] = [
    ("320.webp", 320),
    ("640.webp", 640),
    ("1280.webp", 1280),
    ("2048.webp", 2048),
];

/// The name and greatest width, in pixels, of the one variant for programs that cannot read WebP.
pub(super) const JPEG_VARIANT: (&str, u32) = ("1280.jpg", 1280);

/// One file to publish.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The last part of its URL. There are five, and every picture has each of them.
    pub name: &'static str,
    /// The width in pixels: that in the name, or the picture's where that is smaller.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// The media type.
    pub content_type: &'static str,
    /// The bytes of the file. Variants of equal width share one copy.
    pub bytes: Bytes,
}

/// Encodes all five variants on two threads: the widest on one, the others on the other. The
/// largest pictures are encoded on one thread, to halve the memory.
///
/// The encoders cannot be stopped, so `deadline` is checked between two files.
///
/// # Errors
/// [`ImageError::TimedOut`]; [`ImageError::TooManyBytes`]; [`ImageError::Encode`] if an encoder
/// fails, which no upload should be able to cause.
pub fn encode_variants(raster: &Raster, deadline: Instant) -> Result<Vec<Variant>, ImageError> {
    guarded(|| {
        let widths = distinct_widths(raster.width);
        let (widest, narrower) = widths
            .split_first()
            .ok_or_else(|| ImageError::encode("no width"))?;
        let (first, others) = in_parallel(
            memory::encodes_in_parallel(raster.width, raster.height),
            || encode_widest(raster, *widest, deadline),
            || encode_narrower(raster, narrower, deadline),
        );
        let (mut files, jpeg) = others?;
        files.push(first?);
        let jpeg = match jpeg {
            Some(jpeg) => jpeg,
            None => File::jpeg(raster)?,
        };
        name_variants(raster.width, &files, &jpeg)
    })
}

/// Runs both, on two threads or one after the other.
pub(super) fn in_parallel<A: Send, B>(
    parallel: bool,
    first: impl FnOnce() -> Result<A, ImageError> + Send,
    second: impl FnOnce() -> Result<B, ImageError>,
) -> (Result<A, ImageError>, Result<B, ImageError>) {
    if !parallel {
        return (first(), second());
    }
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        let first = first
            .join()
            .unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
        (first, second)
    })
}

/// A file of some width.
pub(super) struct File {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bytes: Bytes,
}

impl File {
    fn webp(raster: &Raster) -> Result<Self, ImageError> {
        Ok(Self {
            width: raster.width,
            height: raster.height,
            bytes: encode::webp_still(raster, caps::still_bytes(raster.width, raster.height))?,
        })
    }

    /// The file of the JPEG variant. `raster` is no wider than that variant.
    pub(super) fn jpeg(raster: &Raster) -> Result<Self, ImageError> {
        Ok(Self {
            width: raster.width,
            height: raster.height,
            bytes: encode::jpeg(raster, caps::still_bytes(raster.width, raster.height))?,
        })
    }
}

/// Each width that some WebP variant of a picture of `width` has, once, the widest first.
pub(super) fn distinct_widths(width: u32) -> Vec<u32> {
    let mut widths: Vec<u32> = WEBP_VARIANTS
        .iter()
        .rev()
        .map(|(_, most)| width.min(*most))
        .collect();
    widths.dedup();
    widths
}

fn encode_widest(raster: &Raster, width: u32, deadline: Instant) -> Result<File, ImageError> {
    check_deadline(deadline)?;
    if width == raster.width {
        File::webp(raster)
    } else {
        File::webp(&shrink::to_width(raster, width)?)
    }
}

/// The other WebP files, each made from the pixels of the next wider one, and the JPEG if its
/// pixels are among these.
fn encode_narrower(
    raster: &Raster,
    widths: &[u32],
    deadline: Instant,
) -> Result<(Vec<File>, Option<File>), ImageError> {
    let jpeg_width = raster.width.min(JPEG_VARIANT.1);
    let mut files = Vec::new();
    let mut jpeg = None;
    if jpeg_width == raster.width {
        check_deadline(deadline)?;
        jpeg = Some(File::jpeg(raster)?);
    }
    let mut wider: Option<Raster> = None;
    for width in widths {
        check_deadline(deadline)?;
        let source = wider.as_ref().unwrap_or(raster);
        let pixels = shrink::to_size(source, *width, shrink::height_at(raster, *width))?;
        files.push(File::webp(&pixels)?);
        if *width == jpeg_width {
            check_deadline(deadline)?;
            jpeg = Some(File::jpeg(&pixels)?);
        }
        wider = Some(pixels);
    }
    Ok((files, jpeg))
}

/// Gives every name its file. `files` has one for each of [`distinct_widths`].
pub(super) fn name_variants(
    width: u32,
    files: &[File],
    jpeg: &File,
) -> Result<Vec<Variant>, ImageError> {
    let mut variants = Vec::with_capacity(WEBP_VARIANTS.len() + 1);
    for (name, most) in WEBP_VARIANTS {
        let file = files
            .iter()
            .find(|file| file.width == width.min(most))
            .ok_or_else(|| ImageError::encode("a variant is missing"))?;
        variants.push(Variant {
            name,
            width: file.width,
            height: file.height,
            content_type: "image/webp",
            bytes: file.bytes.clone(),
        });
    }
    variants.push(Variant {
        name: JPEG_VARIANT.0,
        width: jpeg.width,
        height: jpeg.height,
        content_type: "image/jpeg",
        bytes: jpeg.bytes.clone(),
    });
    Ok(variants)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::samples::{gradient, write};
    use super::super::{Limits, decode_still, inspect};
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn every_name_exists_and_none_is_enlarged() {
        for (width, height, expected) in [
            (2048, 512, [320, 640, 1280, 2048, 1280]),
            (1500, 500, [320, 640, 1280, 1500, 1280]),
            (1280, 500, [320, 640, 1280, 1280, 1280]),
            (1000, 500, [320, 640, 1000, 1000, 1000]),
            (100, 300, [100, 100, 100, 100, 100]),
        ] {
            let variants = encode_variants(&gradient(width, height), soon()).expect("encodes");
            let names: Vec<_> = variants.iter().map(|variant| variant.name).collect();
            assert_eq!(
                names,
                ["320.webp", "640.webp", "1280.webp", "2048.webp", "1280.jpg"]
            );
            let widths: Vec<_> = variants.iter().map(|variant| variant.width).collect();
            assert_eq!(widths, expected);
            for variant in &variants {
                assert_eq!(variant.height, shrink::scale(height, variant.width, width));
            }
        }
    }

    #[test]
    fn equal_widths_share_their_bytes() {
        let variants = encode_variants(&gradient(600, 300), soon()).expect("encodes");
        assert_eq!(variants[1].bytes.as_ptr(), variants[3].bytes.as_ptr());
        assert_ne!(variants[0].bytes.as_ptr(), variants[1].bytes.as_ptr());
    }

    #[test]
    fn outputs_carry_no_metadata_and_the_right_pixels() {
        let raster = gradient(1500, 400);
        for variant in encode_variants(&raster, soon()).expect("encodes") {
            let file = write(&variant.bytes);
            let found = inspect(file.path(), &Limits::default()).expect("a good picture");
            assert_eq!(found.format.content_type(), variant.content_type);
            assert_eq!((found.width, found.height), (variant.width, variant.height));
            assert!(
                found.stripped.is_empty(),
                "{}: {:?}",
                variant.name,
                found.stripped
            );
            let decoded = decode_still(file.path(), &found, soon()).expect("decodes");
            let wanted = shrink::to_width(&raster, variant.width).expect("shrinks");
            let (x, y) = (variant.width / 3, variant.height / 3);
            for (a, b) in decoded.pixel(x, y).iter().zip(wanted.pixel(x, y)) {
                assert!(a.abs_diff(b) < 16, "{}", variant.name);
            }
        }
    }

    #[test]
    fn a_passed_deadline_ends_encoding() {
        let result = encode_variants(&gradient(64, 64), Instant::now());
        assert!(matches!(result, Err(ImageError::TimedOut)));
    }
}
