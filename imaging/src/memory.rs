//! Estimates memory before it is spent. The figures are upper bounds. `server/tests/memory` checks
//! them against the resident memory of real runs, with noise in every format and shape.

use super::container::{Container, Storage};
use super::output::{Task, steps, tasks};
use super::screening_image::MAX_PIXELS;
use super::{Encoding, Output, aim, caps, encode, linear, shrink, sizes};

/// Tables, buffers, a second thread's stack and the allocator's rounding, in bytes.
const OVERHEAD: u64 = 4 << 20;

/// The image that is kept for a second opinion until it is asked for, in bytes: a JPEG of a
/// megapixel of noise.
const SCREENING_BYTES: u64 = 2_500_000;

/// The sheet on which the frames of an animation are drawn for a second opinion, in bytes: three
/// for each pixel.
const SHEET_BYTES: u64 = 3 * MAX_PIXELS as u64;

/// Bytes per pixel that libwebp holds while it encodes a file of noise at the best quality: its
/// copies of the pixels, the output, and the output again while its buffer grows. Measured: 11.9.
const QUICK_BYTES_PER_PIXEL: u64 = 12;

/// The same for a file that is so large that its quality is bounded. Measured: 8.7.
const LARGE_QUICK_BYTES_PER_PIXEL: u64 = 9;

/// The same at the higher effort that narrow files get, at which libwebp also collects what it is
/// going to write.
const CAREFUL_BYTES_PER_PIXEL: u64 = 18;

/// The same for a large file. Measured: 12.
const LARGE_CAREFUL_BYTES_PER_PIXEL: u64 = 14;

/// Bytes per pixel that the JPEG encoder holds: planes, coefficients before and after they are
/// quantized, and the output.
const JPEG_BYTES_PER_PIXEL: u64 = 20;

/// Bytes per pixel that the AVIF encoder holds: the picture in several stages, what it knows of
/// every block, and for noise a long output.
const AVIF_BYTES_PER_PIXEL: u64 = 33;

/// Bytes per pixel that judging holds, of the picture that is judged and of the one it is held
/// against, at six sizes.
const JUDGE_BYTES_PER_PIXEL: u64 = 110;

/// Bytes per pixel of the widest variant that the encoders of an animation hold beside the pixels
/// themselves, while two threads encode: what libwebp takes, and the last and the next frame at the
/// narrower widths. Measured: 12, with the widths that were published in November 2026, of which
/// the narrower ones have together at most 1.31 times the pixels of the widest.
const PARALLEL_FRAME_BYTES_PER_PIXEL: u64 = 13;

/// The same while one thread encodes. Measured: 6.
const SEQUENTIAL_FRAME_BYTES_PER_PIXEL: u64 = 9;

/// How many thirds of the widest variant's pixels the narrower ones may have together before the
/// two figures above are too low.
const NARROWER_THIRDS_MEASURED: u64 = 4;

/// Bytes for each pixel of the narrower variants beyond that: three for the last frame and three
/// for the next.
const NARROWER_FRAME_BYTES_PER_PIXEL: u64 = 6;

/// What shrinking in linear light holds for each pixel of the rows that it works on, in bytes:
/// light in floating point, the same at the new width, and the new rows.
const STRIP_BYTES_PER_PIXEL: u64 = 40;

/// What the still that stands for an animation takes, of any size, until the first frame is
/// encoded.
const STILL_OVERHEAD: u64 = 3 << 20;

/// The copies of a colour profile while pixels are converted by it: the decoder's, ours, and the
/// parsed one.
const PROFILE_COPIES: u64 = 3;

/// The most pixels of an animation's frame that is encoded at two widths at a time. Larger ones
/// would hold too much.
const MAX_PARALLEL_PIXELS: u64 = 6_000_000;

/// The most bytes that two files of a still may take at a time while they are encoded.
const MAX_PARALLEL_BYTES: u64 = 90_000_000;

/// True where two widths of a frame of this size are encoded at a time.
pub(super) fn draws_in_parallel(width: u32, height: u32) -> bool {
    u64::from(width) * u64::from(height) <= MAX_PARALLEL_PIXELS
}

/// True where these files of a still of this size are encoded two at a time.
pub(super) fn encodes_in_parallel(size: (u32, u32), outputs: &[Output]) -> bool {
    Stages::of(size, outputs).parallel() <= MAX_PARALLEL_BYTES
}

/// The bytes needed at the worst moment of decoding, holding and encoding. `target` is the size of
/// the picture after shrinking, before it is turned upright. `outputs` are the files that are to be
/// made of it.
pub(super) fn working_bytes(
    container: &Container,
    file_bytes: u64,
    target: (u32, u32),
    outputs: &[Output],
) -> u64 {
    let pixels = u64::from(container.width) * u64::from(container.height);
    let (target_width, target_height) = (u64::from(target.0), u64::from(target.1));
    let raster = target_width * target_height * 3;
    // Between its two steps, shrinking holds a picture with one side at its final length. A picture
    // that needs no shrinking is copied at most.
    let between = if (container.width, container.height) == target {
        0
    } else {
        3 * (target_width * u64::from(container.height))
            .max(target_height * u64::from(container.width))
    };
    let profile = container.metadata.profile_bytes();
    let decoding = container.side_bytes
        + profile * PROFILE_COPIES
        + match &container.storage {
            Storage::Jpeg {
                sampling,
                progressive,
            } => jpeg(container, sampling, *progressive, target),
            Storage::Png {
                channels,
                bit_depth,
                interlaced,
                composed,
            } => {
                let row = u64::from(container.width) * u64::from(*channels);
                let rows = row * u64::from(bit_depth.div_ceil(8)) * 4 + row * 40;
                if *composed {
                    rows + pixels * (3 + 3 + u64::from(*channels)) + between + raster
                } else if *interlaced {
                    // A gray picture, with or without alpha, stays gray until it is shrunk.
                    let gray = if *channels < 3 { raster / 3 } else { 0 };
                    rows + pixels * u64::from(*channels) + between + raster + gray
                } else {
                    // Averaging over boxes comes first, so the rows held are fewer than twice the
                    // final height.
                    rows + (target_width * target_height * 2 * 3).min(between) + raster
                }
            }
            Storage::WebP {
                lossless,
                alpha,
                in_frames,
                by_rows,
            } => {
                let bytes_per_pixel = match (lossless, alpha) {
                    // A lossless frame may stand beside lossy ones.
                    (true, true) if *in_frames => 11,
                    (true, true) => 4,
                    (true, false) => 7,
                    (false, true) => 11,
                    (false, false) => 5,
                };
                if *in_frames {
                    // A frame is held beside the canvas.
                    pixels * 3 + container.largest_frame * bytes_per_pixel + between + raster
                } else if *by_rows {
                    // Light and colour are held whole, the latter at half the size either way, and
                    // the bitstream before them.
                    file_bytes
                        + pixels * 2
                        + (target_width * target_height * 2 * 3).min(between)
                        + raster
                } else {
                    // The bitstream is read whole before it is decoded. Alpha is dropped in place.
                    let channels = if *alpha { 4 } else { 3 };
                    file_bytes
                        + (pixels * bytes_per_pixel).max(pixels * channels + between + raster)
                }
            }
            Storage::Gif => pixels * 6 + container.largest_frame + between + raster,
        };
    let (width, height) = container.metadata.orientation.turn_size(target.0, target.1);
    let held = if container.frames > 1 {
        // The canvas stays while frames are encoded, the first frame is kept, and the encoder keeps
        // the last frame at every width and the files so far.
        decoding
            + SHEET_BYTES
            + raster * 3
            + encoding_frames(width, height, outputs)
            + caps::held_bytes(outputs, container.frames, width, height)
    } else {
        decoding
            .max(raster * 2)
            .max(encoding((width, height), outputs))
    };
    OVERHEAD + SCREENING_BYTES + profile + held
}

/// The bytes that the encoders of an animation of this size hold beside the pixels of the widest
/// variant and the files so far.
fn encoding_frames(width: u32, height: u32, outputs: &[Output]) -> u64 {
    let per_pixel = if draws_in_parallel(width, height) {
        PARALLEL_FRAME_BYTES_PER_PIXEL
    } else {
        SEQUENTIAL_FRAME_BYTES_PER_PIXEL
    };
    let steps = steps(outputs, width);
    let narrowest = steps.last().map_or(width, |step| step.width);
    let strip = strip((width, height), narrowest);
    let playing = steps
        .iter()
        .filter(|step| step.encodings.contains(&Encoding::WebP));
    let narrower: u64 = playing
        .skip(1)
        .map(|step| pixels_at((width, height), step.width))
        .sum();
    let pixels = u64::from(width) * u64::from(height);
    let unmeasured = narrower.saturating_sub(pixels * NARROWER_THIRDS_MEASURED / 3);
    pixels * per_pixel + unmeasured * NARROWER_FRAME_BYTES_PER_PIXEL + strip + STILL_OVERHEAD
}

/// The bytes that a still of this size needs while these files are made of it, its pixels included.
fn encoding(size: (u32, u32), outputs: &[Output]) -> u64 {
    let stages = Stages::of(size, outputs);
    let raster = u64::from(size.0) * u64::from(size.1) * 3;
    let files = if encodes_in_parallel(size, outputs) {
        stages.parallel()
    } else {
        stages.sequential()
    };
    raster + files
}

/// The bytes that the making of a still's files takes, beside its pixels. Finished files are not
/// counted: the figures above leave room for them, which the tests with noise confirm.
struct Stages {
    /// The trial, which comes before the files.
    trial: u64,
    /// The two files that take most, the greater first.
    files: [u64; 2],
}

impl Stages {
    /// For these files of a still of this size.
    fn of((width, height): (u32, u32), outputs: &[Output]) -> Self {
        let bytes = |task: &Task| {
            let mut per_pixel = match task.encoding {
                Encoding::WebP => {
                    let is_careful = task.width <= encode::CAREFUL_WIDTH;
                    match (is_careful, encode::is_large(task.width, task.pixels)) {
                        (true, false) => CAREFUL_BYTES_PER_PIXEL,
                        (true, true) => LARGE_CAREFUL_BYTES_PER_PIXEL,
                        (false, false) => QUICK_BYTES_PER_PIXEL,
                        (false, true) => LARGE_QUICK_BYTES_PER_PIXEL,
                    }
                }
                Encoding::Avif => AVIF_BYTES_PER_PIXEL,
                Encoding::Jpeg => JPEG_BYTES_PER_PIXEL,
            };
            if task.is_tried() {
                per_pixel += JUDGE_BYTES_PER_PIXEL;
            }
            let encoder = task.pixels * per_pixel;
            if task.width == width {
                return encoder;
            }
            let strip = if sizes::is_made_from_middle(task.width, width) {
                // Making the middle copy may come first.
                let middle = sizes::MIDDLE_WIDTH;
                let middle_height = shrink::scale(height, middle, width);
                let strips = strip((width, height), middle);
                let copy = u64::from(middle) * u64::from(middle_height) * 3;
                copy + strips.max(strip((middle, middle_height), task.width))
            } else {
                strip((width, height), task.width)
            };
            task.pixels * 3 + encoder.max(strip)
        };
        let tasks = tasks(outputs, (width, height));
        let mut files: Vec<u64> = tasks.iter().map(bytes).collect();
        files.sort_unstable_by_key(|bytes| std::cmp::Reverse(*bytes));
        let pixels = u64::from(aim::TRIAL_PIXELS).min(u64::from(width) * u64::from(height));
        Self {
            trial: pixels * (3 + JUDGE_BYTES_PER_PIXEL + QUICK_BYTES_PER_PIXEL),
            files: [0, 1].map(|place| files.get(place).copied().unwrap_or(0)),
        }
    }

    /// What is taken at the worst moment where two files are made at a time.
    fn parallel(&self) -> u64 {
        self.trial.max(self.files.iter().sum())
    }

    /// What is taken at the worst moment where one file is made at a time.
    fn sequential(&self) -> u64 {
        self.trial.max(self.files[0])
    }
}

/// What is held while a picture of this size is shrunk to this width.
fn strip((width, height): (u32, u32), narrower: u32) -> u64 {
    let rows = linear::most_strip_rows(height, shrink::scale(height, narrower, width));
    u64::from(width) * u64::from(rows) * STRIP_BYTES_PER_PIXEL
}

/// How many pixels a picture of this size has at this width.
fn pixels_at((width, height): (u32, u32), narrower: u32) -> u64 {
    u64::from(narrower) * u64::from(shrink::scale(height, narrower, width))
}

/// The bytes of a JPEG's coefficients, planes and pixels.
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
    let scaled = (
        (scaled_width, scaled_height),
        (target_width, u64::from(target.1)),
    );
    let pixels = target_width * u64::from(target.1);
    let shrinking = if scaled.0 == scaled.1 {
        output
    } else {
        let between = (scaled_height * target_width).max(scaled_width * u64::from(target.1));
        output + (between + pixels) * channels
    };
    // Gray and inks become RGB only after shrinking.
    let converting = if channels == 3 {
        0
    } else {
        pixels * (channels + 3)
    };
    (coefficients + planes + output)
        .max(shrinking)
        .max(converting)
}

/// How many eighths of its size a JPEG is decoded at: the fewest of 1, 2, 4 and 8 that give at
/// least `target`.
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
    use super::super::samples::OUTPUTS;
    use super::super::shrink::fit;
    use super::*;

    /// The megabytes for a picture of this size and storage.
    fn megabytes(size: (u32, u32), storage: Storage) -> u64 {
        let container = Container::still(size, storage, Metadata::default());
        let target = fit(size, Orientation::default());
        let outputs = OUTPUTS.into_iter();
        let made: Vec<Output> = outputs.filter(|one| one.is_made(false, target)).collect();
        working_bytes(&container, 5_000_000, target, &made) / 1_000_000
    }

    #[test]
    fn ordinary_pictures_fit_in_the_default_budget() {
        let half = || vec![(2, 2), (1, 1), (1, 1)];
        let jpeg = |progressive| Storage::Jpeg {
            sampling: half(),
            progressive,
        };
        let webp = || Storage::WebP {
            lossless: false,
            alpha: false,
            in_frames: false,
            by_rows: true,
        };
        let png = |channels, bit_depth| Storage::Png {
            channels,
            bit_depth,
            interlaced: false,
            composed: false,
        };
        let cases = [
            ("12 Mpx JPEG", megabytes((4000, 3000), jpeg(false)), 90),
            (
                "2048 x 4096 JPEG",
                megabytes((2048, 4096), jpeg(false)),
                110,
            ),
            ("50 Mpx JPEG", megabytes((8660, 5773), jpeg(false)), 90),
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
            ("50 Mpx RGBA PNG", megabytes((8660, 5773), png(4, 8)), 90),
            ("50 Mpx 16-bit PNG", megabytes((8660, 5773), png(4, 16)), 90),
            ("12 Mpx WebP", megabytes((4000, 3000), webp()), 90),
            ("24 Mpx WebP", megabytes((6000, 4000), webp()), 110),
        ];
        for (name, found, most) in cases {
            assert!(found <= most, "{name}: {found} MB");
        }
    }

    /// However long a photograph is, the files that are made of it must not be what refuses it.
    #[test]
    fn a_still_of_any_shape_can_be_published_in_the_default_budget() {
        let heights = (32..=4096).step_by(16);
        for (width, height) in heights.flat_map(|height| [(2048, height), (307, height)]) {
            let outputs: Vec<Output> = OUTPUTS
                .into_iter()
                .filter(|output| output.is_made(false, (width, height)))
                .collect();
            let bytes = OVERHEAD + SCREENING_BYTES + encoding((width, height), &outputs);
            assert!(bytes <= 110_000_000, "{width} x {height}: {bytes}");
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
