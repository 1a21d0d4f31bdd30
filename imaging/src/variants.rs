//! Makes the files that are published for a still.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;

use super::aim::Aim;
use super::error::{check_deadline, guarded, panicked};
use super::output::{Task, tasks};
use super::sizes::Sizes;
use super::{Encoding, ImageError, Output, Raster, caps, encode, memory};

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

/// Encodes one file for each of `outputs`, and gives them back in that order, each with the quality
/// that `aim` found for this picture. Works on two threads, or on one where the picture is large,
/// to halve the memory.
///
/// The encoders cannot be stopped, so `deadline` is checked between two files.
///
/// # Errors
/// [`ImageError::TimedOut`]; [`ImageError::TooManyBytes`]; [`ImageError::Encode`] where `outputs`
/// is empty, or if an encoder fails, which no upload should be able to cause.
pub fn encode_variants(
    raster: &Raster,
    outputs: &[Output],
    aim: Aim,
    deadline: Instant,
) -> Result<Vec<Variant>, ImageError> {
    guarded(|| {
        let tasks = tasks(outputs, (raster.width, raster.height));
        if tasks.is_empty() {
            return Err(ImageError::encode("nothing to make"));
        }
        let sizes = Sizes::of(raster);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut files = Vec::new();
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                check_deadline(deadline)?;
                files.push(task.run(&sizes, aim, deadline)?);
            }
            Ok(files)
        };
        let parallel = memory::encodes_in_parallel((raster.width, raster.height), outputs);
        let (some, others) = in_parallel(parallel, work, work);
        let mut files: Vec<File> = some?;
        files.extend(others?);
        in_order(outputs, raster.width, &files)
    })
}

impl Task {
    /// Makes the file with the quality that `aim` says, or a trial of its own.
    fn run(&self, sizes: &Sizes<'_>, aim: Aim, deadline: Instant) -> Result<File, ImageError> {
        let pixels = sizes.at(self.width)?;
        let quality = match self.encoding {
            Encoding::WebP if self.is_tried() => Quality::Webp(aim.narrow(&pixels, deadline)?),
            Encoding::WebP => Quality::Webp(aim.webp(self.width)),
            Encoding::Avif => Quality::Avif(aim.avif()),
            Encoding::Jpeg => Quality::Jpeg(aim.jpeg()),
        };
        File::still(&pixels, quality)
    }
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

/// An encoding and a quality on its own scale.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quality {
    /// libwebp's, 0 to 100.
    Webp(f32),
    /// AV1's quantizer, 0 to 255, where less is better.
    Avif(u8),
    /// The IJG's, 1 to 100.
    Jpeg(u8),
}

impl File {
    /// A file of a still that shows these pixels.
    pub(super) fn still(raster: &Raster, quality: Quality) -> Result<Self, ImageError> {
        let most = caps::still_bytes(raster.width, raster.height);
        let (encoding, bytes) = match quality {
            Quality::Webp(quality) => (Encoding::WebP, encode::webp_still(raster, quality, most)?),
            Quality::Avif(quantizer) => {
                (Encoding::Avif, encode::avif_still(raster, quantizer, most)?)
            }
            Quality::Jpeg(quality) => (Encoding::Jpeg, encode::jpeg(raster, quality, most)?),
        };
        Ok(Self {
            encoding,
            width: raster.width,
            height: raster.height,
            bytes,
        })
    }
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
    use super::super::{Format, Limits, Subject, decode_still, inspect, linear, shrink};
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn publish(raster: &Raster, outputs: &[Output]) -> Result<Vec<Variant>, ImageError> {
        let aim = Aim::at(raster, soon())?;
        encode_variants(raster, outputs, aim, soon())
    }

    #[test]
    fn every_output_gets_its_file_and_none_is_enlarged() {
        for (width, height, expected) in [
            (2048, 512, [320, 512, 768, 2048, 1120, 1280]),
            (1500, 500, [320, 512, 768, 1500, 1120, 1280]),
            (1280, 500, [320, 512, 768, 1280, 1120, 1280]),
            (1000, 500, [320, 512, 768, 1000, 1000, 1000]),
            (100, 300, [100; 6]),
        ] {
            let picture = gradient(width, height);
            let variants = publish(&picture, &OUTPUTS).expect("encodes");
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
        let variants = publish(&picture, &OUTPUTS).expect("encodes");
        assert_eq!(variants[2].bytes.as_ptr(), variants[3].bytes.as_ptr());
        assert_ne!(variants[0].bytes.as_ptr(), variants[1].bytes.as_ptr());
    }

    #[test]
    fn outputs_carry_no_metadata_and_the_right_pixels() {
        let raster = gradient(1500, 400);
        let variants = publish(&raster, &OUTPUTS).expect("encodes");
        for (output, variant) in OUTPUTS.iter().zip(variants) {
            let format = match output.encoding {
                Encoding::WebP => Format::WebP,
                Encoding::Jpeg => Format::Jpeg,
                // Nothing here reads it. The end-to-end tests compare what a browser shows.
                Encoding::Avif => continue,
            };
            let file = write(&variant.bytes);
            let limits = Limits::default();
            let found = inspect(file.path(), &limits, &OUTPUTS).expect("a good picture");
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
        let picture = gradient(64, 64);
        let aim = Aim::at(&picture, soon()).expect("tries");
        let result = encode_variants(&picture, &OUTPUTS, aim, Instant::now());
        assert!(matches!(result, Err(ImageError::TimedOut)));
    }

    #[test]
    fn any_widths_and_encodings_can_be_asked_for_in_any_order() {
        let outputs = [
            (Encoding::Jpeg, 100),
            (Encoding::WebP, 300),
            (Encoding::Jpeg, 300),
            (Encoding::Avif, 200),
            (Encoding::Jpeg, 9000),
        ];
        let outputs = outputs.map(|(encoding, most_width)| Output {
            encoding,
            most_width,
            subject: Subject::All,
        });
        for (width, expected) in [
            (600, [100, 300, 300, 200, 600]),
            (200, [100, 200, 200, 200, 200]),
            (50, [50; 5]),
        ] {
            let picture = gradient(width, 40);
            let variants = publish(&picture, &outputs).expect("encodes");
            let widths: Vec<_> = variants.iter().map(|variant| variant.width).collect();
            assert_eq!(widths, expected);
            for (output, variant) in outputs.iter().zip(&variants) {
                let is_webp = variant.bytes.starts_with(b"RIFF");
                assert_eq!(is_webp, output.encoding == Encoding::WebP);
                let is_avif = variant.bytes[4..].starts_with(b"ftypavif");
                assert_eq!(is_avif, output.encoding == Encoding::Avif);
            }
        }
        // None as wide as the picture.
        let variants = publish(&gradient(600, 40), &outputs[..4]);
        assert_eq!(variants.expect("encodes")[2].width, 300);
        let nothing = publish(&gradient(64, 64), &[]);
        assert!(matches!(nothing, Err(ImageError::Encode { .. })));
    }
}
