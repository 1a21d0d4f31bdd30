//! Estimating memory before it is spent. The figures are upper bounds, checked against the resident size that real runs reached.

use super::inspect::{Container, Storage};

/// Tables, buffers, a second thread's stack and the allocator's rounding, in bytes.
const OVERHEAD: u64 = 6 << 20;

/// Bytes that the encoders hold for each pixel of the widest variant beside the pixels themselves, while two threads encode: libwebp's ARGB and YUV copies, and the narrower variants made meanwhile. Measured: 11.
const PARALLEL_BYTES_PER_PIXEL: u64 = 12;

/// The same while one thread encodes. Measured: 6.
const SEQUENTIAL_BYTES_PER_PIXEL: u64 = 7;

/// Most pixels of a picture whose variants are encoded two at a time; larger ones would hold too much.
const MAX_PARALLEL_PIXELS: u64 = 6_000_000;

/// Whether the variants of a picture of this size are encoded two at a time.
pub(super) fn encodes_in_parallel(width: u32, height: u32) -> bool {
    u64::from(width) * u64::from(height) <= MAX_PARALLEL_PIXELS
}

/// Bytes needed at the worst moment of decoding, holding and encoding.
/// `target` is the picture's size once shrunk.
pub(super) fn working_bytes(container: &Container, file_bytes: u64, target: (u32, u32)) -> u64 {
    let pixels = u64::from(container.width) * u64::from(container.height);
    let (target_width, target_height) = (u64::from(target.0), u64::from(target.1));
    let raster = target_width * target_height * 3;
    // Shrinking goes across first, so a picture of the final width and the first height stands between.
    let between = target_width * u64::from(container.height) * 3;
    let decoding = container.side_bytes
        + match &container.storage {
            Storage::Jpeg {
                sampling,
                progressive,
            } => jpeg(container, sampling, *progressive, target),
            Storage::Png {
                channels,
                bit_depth,
                interlaced,
            } => {
                let row = u64::from(container.width) * u64::from(*channels);
                let rows = row * u64::from(bit_depth.div_ceil(8)) * 4 + row * 40;
                if container.frames > 1 {
                    rows + pixels * (3 + 3 + u64::from(*channels)) + between + raster
                } else if *interlaced {
                    rows + pixels * u64::from(*channels) + between + raster
                } else {
                    // Whole-number boxes come first, so less than twice the final height is held.
                    rows + (target_width * target_height * 2 * 3).min(between) + raster
                }
            }
            Storage::WebP {
                lossless,
                alpha,
                in_frames,
            } => {
                let bytes_per_pixel = match (lossless, alpha) {
                    (true, true) => 4,
                    (true, false) => 7,
                    (false, true) => 11,
                    (false, false) => 5,
                };
                if *in_frames {
                    // Frames lie between the decoder's canvas and its copy; a lossless one has four bytes a pixel.
                    pixels * 8 + container.largest_frame * bytes_per_pixel.max(5) + between + raster
                } else {
                    // The bitstream is read whole before it is decoded.
                    file_bytes + (pixels * bytes_per_pixel).max(pixels * 3 + between + raster)
                }
            }
            Storage::Gif => pixels * 6 + container.largest_frame + between + raster,
        };
    let per_pixel = if encodes_in_parallel(target.0, target.1) {
        PARALLEL_BYTES_PER_PIXEL
    } else {
        SEQUENTIAL_BYTES_PER_PIXEL
    };
    let encoding = raster + target_width * target_height * per_pixel;
    let held = if container.frames > 1 {
        // The canvas stays while frames are encoded, and the encoder keeps the last frame at every width and the file so far.
        decoding + raster * 2 + encoding + file_bytes
    } else {
        decoding.max(raster * 2).max(encoding)
    };
    OVERHEAD + held
}

/// Bytes of a JPEG's coefficients, planes and pixels.
fn jpeg(
    container: &Container,
    sampling: &[(u8, u8)],
    progressive: bool,
    target: (u32, u32),
) -> u64 {
    let (width, height) = (u64::from(container.width), u64::from(container.height));
    let eighths = jpeg_scale((container.width, container.height), target);
    let across = u64::from(sampling.iter().map(|(h, _)| *h).max().unwrap_or(1));
    let down = u64::from(sampling.iter().map(|(_, v)| *v).max().unwrap_or(1));
    let units = width.div_ceil(8 * across) * height.div_ceil(8 * down);
    let blocks: u64 = sampling
        .iter()
        .map(|(h, v)| units * u64::from(*h) * u64::from(*v))
        .sum();
    let planes = blocks * eighths * eighths;
    let coefficients = if progressive { blocks * 64 * 2 } else { 0 };
    let (scaled_width, scaled_height) = (
        (width * eighths).div_ceil(8),
        (height * eighths).div_ceil(8),
    );
    let channels = sampling.len() as u64;
    let output = scaled_width * scaled_height * channels;
    let target_width = u64::from(target.0);
    let shrinking = output + (scaled_height + u64::from(target.1)) * target_width * channels.max(3);
    (coefficients + planes + output).max(shrinking)
}

/// How many eighths of its size a JPEG is decoded at: the fewest of 1, 2, 4 and 8 that leave at least `target`.
pub(super) fn jpeg_scale(stored: (u32, u32), target: (u32, u32)) -> u64 {
    let enough = |eighths: u64| {
        (u64::from(stored.0) * eighths).div_ceil(8) >= u64::from(target.0)
            && (u64::from(stored.1) * eighths).div_ceil(8) >= u64::from(target.1)
    };
    [1, 2, 4]
        .into_iter()
        .find(|eighths| enough(*eighths))
        .unwrap_or(8)
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Metadata;
    use super::super::orientation::Orientation;
    use super::super::shrink::fit;
    use super::*;

    /// Megabytes for a picture of this size and storage.
    fn megabytes(size: (u32, u32), storage: Storage) -> u64 {
        let container = Container {
            width: size.0,
            height: size.1,
            storage,
            ..Container::still(Metadata::default())
        };
        working_bytes(&container, 5_000_000, fit(size, Orientation::default())) / 1_000_000
    }

    #[test]
    fn ordinary_pictures_fit_in_the_default_budget() {
        let half = || vec![(2, 2), (1, 1), (1, 1)];
        let jpeg = |progressive| Storage::Jpeg {
            sampling: half(),
            progressive,
        };
        let png = |channels, bit_depth| Storage::Png {
            channels,
            bit_depth,
            interlaced: false,
        };
        let cases = [
            ("12 Mpx JPEG", megabytes((4000, 3000), jpeg(false)), 75),
            ("2048 x 4096 JPEG", megabytes((2048, 4096), jpeg(false)), 95),
            ("50 Mpx JPEG", megabytes((8660, 5773), jpeg(false)), 50),
            (
                "12 Mpx progressive",
                megabytes((4000, 3000), jpeg(true)),
                110,
            ),
            (
                "24 Mpx progressive",
                megabytes((6000, 4000), jpeg(true)),
                110,
            ),
            ("50 Mpx RGBA PNG", megabytes((8660, 5773), png(4, 8)), 60),
            ("50 Mpx 16-bit PNG", megabytes((8660, 5773), png(4, 16)), 60),
            (
                "12 Mpx WebP",
                megabytes(
                    (4000, 3000),
                    Storage::WebP {
                        lossless: false,
                        alpha: false,
                        in_frames: false,
                    },
                ),
                80,
            ),
        ];
        for (name, found, most) in cases {
            assert!(found <= most, "{name}: {found} MB");
        }
    }

    #[test]
    fn jpegs_are_decoded_no_smaller_than_needed() {
        for (stored, target, eighths) in [
            ((4000, 3000), (2048, 1536), 8),
            ((4096, 3072), (2048, 1536), 4),
            ((8192, 6144), (2048, 1536), 2),
            ((8191, 6144), (2048, 1536), 2),
            ((20_000, 2000), (2048, 205), 1),
            ((100, 100), (100, 100), 8),
        ] {
            assert_eq!(jpeg_scale(stored, target), eighths, "{stored:?}");
        }
    }
}
