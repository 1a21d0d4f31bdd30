//! Makes the files that are published for a still.

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;

use super::error::{check_deadline, guarded, panicked};
use super::output::{self, Step};
use super::{Encoding, ImageError, Output, Raster, caps, encode, linear, memory};

/// One file to publish.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The width in pixels: that which was asked for, or the picture's where that is smaller.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// The bytes of the file. Variants of equal width and encoding share one copy.
    pub bytes: Bytes,
}

/// Encodes one file for each of `outputs`, and gives them back in that order. Encodes on two
/// threads: the widest on one, the others on the other. The largest pictures are encoded on one
/// thread, to halve the memory.
///
/// The encoders cannot be stopped, so `deadline` is checked between two files.
///
/// # Errors
/// [`ImageError::TimedOut`]; [`ImageError::TooManyBytes`]; [`ImageError::Encode`] where `outputs`
/// is empty, or if an encoder fails, which no upload should be able to cause.
pub fn encode_variants(
    raster: &Raster,
    outputs: &[Output],
    deadline: Instant,
) -> Result<Vec<Variant>, ImageError> {
    guarded(|| {
        let steps = output::steps(outputs, raster.width);
        let nothing = || ImageError::encode("nothing to make");
        let (widest, narrower) = steps.split_first().ok_or_else(nothing)?;
        let (first, others) = widest.encodings.split_first().ok_or_else(nothing)?;
        let pixels = if widest.width == raster.width {
            Cow::Borrowed(raster)
        } else {
            Cow::Owned(linear::to_width(raster, widest.width)?)
        };
        let (first, others) = in_parallel(
            memory::encodes_in_parallel(raster.width, raster.height),
            || {
                check_deadline(deadline)?;
                File::still(&pixels, *first)
            },
            || encode_others(raster, &pixels, others, narrower, deadline),
        );
        let mut files = others?;
        files.push(first?);
        in_order(outputs, raster.width, &files)
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
    pub(super) encoding: Encoding,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bytes: Bytes,
}

impl File {
    /// A file of a still that shows these pixels.
    pub(super) fn still(raster: &Raster, encoding: Encoding) -> Result<Self, ImageError> {
        let most = caps::still_bytes(raster.width, raster.height);
        Ok(Self {
            encoding,
            width: raster.width,
            height: raster.height,
            bytes: match encoding {
                Encoding::WebP => encode::webp_still(raster, most)?,
                Encoding::Jpeg => encode::jpeg(raster, most)?,
            },
        })
    }
}

/// Encodes the other files of the widest step, of which `widest` has the pixels, and those of the
/// narrower steps. All are made from `raster`, because each shrinking takes a little sharpness.
fn encode_others(
    raster: &Raster,
    widest: &Raster,
    encodings: &[Encoding],
    narrower: &[Step],
    deadline: Instant,
) -> Result<Vec<File>, ImageError> {
    let mut files = Vec::new();
    for encoding in encodings {
        check_deadline(deadline)?;
        files.push(File::still(widest, *encoding)?);
    }
    for step in narrower {
        check_deadline(deadline)?;
        let pixels = linear::to_width(raster, step.width)?;
        for encoding in &step.encodings {
            check_deadline(deadline)?;
            files.push(File::still(&pixels, *encoding)?);
        }
    }
    Ok(files)
}

/// Gives each output of a picture of `width` its file. `files` has one for every encoding of every
/// step.
pub(super) fn in_order(
    outputs: &[Output],
    width: u32,
    files: &[File],
) -> Result<Vec<Variant>, ImageError> {
    let variants = outputs.iter().map(|output| {
        let file = files
            .iter()
            .find(|file| file.encoding == output.encoding && file.width == output.width(width));
        let file = file.ok_or_else(|| ImageError::encode("a variant is missing"))?;
        Ok(Variant {
            width: file.width,
            height: file.height,
            bytes: file.bytes.clone(),
        })
    });
    variants.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::samples::{OUTPUTS, gradient, write};
    use super::super::{Format, Limits, decode_still, inspect, shrink};
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn every_output_gets_its_file_and_none_is_enlarged() {
        for (width, height, expected) in [
            (2048, 512, [320, 640, 1280, 2048, 1280]),
            (1500, 500, [320, 640, 1280, 1500, 1280]),
            (1280, 500, [320, 640, 1280, 1280, 1280]),
            (1000, 500, [320, 640, 1000, 1000, 1000]),
            (100, 300, [100, 100, 100, 100, 100]),
        ] {
            let picture = gradient(width, height);
            let variants = encode_variants(&picture, &OUTPUTS, soon()).expect("encodes");
            let widths: Vec<_> = variants.iter().map(|variant| variant.width).collect();
            assert_eq!(widths, expected);
            for variant in &variants {
                assert_eq!(variant.height, shrink::scale(height, variant.width, width));
            }
        }
    }

    #[test]
    fn equal_widths_share_their_bytes() {
        let picture = gradient(600, 300);
        let variants = encode_variants(&picture, &OUTPUTS, soon()).expect("encodes");
        assert_eq!(variants[1].bytes.as_ptr(), variants[3].bytes.as_ptr());
        assert_ne!(variants[0].bytes.as_ptr(), variants[1].bytes.as_ptr());
    }

    #[test]
    fn outputs_carry_no_metadata_and_the_right_pixels() {
        let raster = gradient(1500, 400);
        let variants = encode_variants(&raster, &OUTPUTS, soon()).expect("encodes");
        for (output, variant) in OUTPUTS.iter().zip(variants) {
            let file = write(&variant.bytes);
            let limits = Limits::default();
            let found = inspect(file.path(), &limits, &OUTPUTS).expect("a good picture");
            let format = match output.encoding {
                Encoding::WebP => Format::WebP,
                Encoding::Jpeg => Format::Jpeg,
            };
            assert_eq!(found.format, format);
            assert_eq!((found.width, found.height), (variant.width, variant.height));
            assert!(
                found.stripped.is_empty(),
                "{output:?}: {:?}",
                found.stripped
            );
            let decoded = decode_still(file.path(), &found, soon()).expect("decodes");
            let wanted = linear::to_width(&raster, variant.width).expect("shrinks");
            let (x, y) = (variant.width / 3, variant.height / 3);
            for (a, b) in decoded.pixel(x, y).iter().zip(wanted.pixel(x, y)) {
                assert!(a.abs_diff(b) < 16, "{output:?}");
            }
        }
    }

    #[test]
    fn a_passed_deadline_ends_encoding() {
        let result = encode_variants(&gradient(64, 64), &OUTPUTS, Instant::now());
        assert!(matches!(result, Err(ImageError::TimedOut)));
    }

    #[test]
    fn any_widths_and_encodings_can_be_asked_for_in_any_order() {
        let outputs = [
            (Encoding::Jpeg, 100),
            (Encoding::WebP, 300),
            (Encoding::Jpeg, 300),
            (Encoding::Jpeg, 9000),
        ];
        let outputs = outputs.map(|(encoding, most_width)| Output {
            encoding,
            most_width,
        });
        for (width, expected) in [
            (600, [100, 300, 300, 600]),
            (200, [100, 200, 200, 200]),
            (50, [50; 4]),
        ] {
            let picture = gradient(width, 40);
            let variants = encode_variants(&picture, &outputs, soon()).expect("encodes");
            let widths: Vec<_> = variants.iter().map(|variant| variant.width).collect();
            assert_eq!(widths, expected);
            for (output, variant) in outputs.iter().zip(&variants) {
                let is_webp = variant.bytes.starts_with(b"RIFF");
                assert_eq!(is_webp, output.encoding == Encoding::WebP);
            }
        }
        // None as wide as the picture.
        let variants = encode_variants(&gradient(600, 40), &outputs[..3], soon());
        assert_eq!(variants.expect("encodes")[2].width, 300);
        let nothing = encode_variants(&gradient(64, 64), &[], soon());
        assert!(matches!(nothing, Err(ImageError::Encode { .. })));
    }
}
