//! Finds the quality at which a picture looks as good as others at the same width.
//!
//! One quality for all gives scores that differ by 14 points from picture to picture, because fine
//! fur shows less of what an encoder leaves out than a smooth wall does. So each picture is tried
//! at a middle width, and what it needs there says what its other files need. Scores are
//! SSIMULACRA2: 70 is hardly seen beside the original, 90 is not seen at all.
//!
//! The rules from the trial to each encoder's own scale are least squares over 21 photographs that
//! were tried at 512 pixels, which is about what [`TRIAL_PIXELS`] allow. Each photograph left out
//! in turn, the rules of the other 20 give it a score of 74.3 to 78.6 at 512 pixels and 73.1 to
//! 77.8 at 768 as WebP, and 70.9 to 78.9 at 1120 as AVIF, whose rule aims at 74.5. A JPEG, which is
//! only for previews, comes out between 69.5 and 81.3. A trial of 768 pixels would halve the spread
//! of wide files, for twice the time and memory.

use std::time::Instant;

use bytes::Bytes;
use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Reference};

use super::error::{check_deadline, guarded};
use super::{ImageError, Raster, encode, linear};

/// The score that a trial aims at, and so do files that are as narrow as [`TRIED_WIDTH`].
const TARGET: f32 = 76.5;

/// The greatest width in pixels of WebP files that aim at [`TARGET`]. Wider ones are mostly drawn
/// by screens that have two pixels where others have one, and show less of each.
const USUAL_WIDTH: u32 = 768;

/// By how much the quality of wider files is less, on libwebp's scale. They score 72 in the mean
/// instead of 75, and take an eighth less.
const WIDE_LESS: f32 = 3.7;

/// The greatest width in pixels of files that are each tried for themselves. They are quick to try,
/// and the rules are too rough for them.
pub(super) const TRIED_WIDTH: u32 = 320;

/// The greatest width of a trial in pixels.
const TRIAL_WIDTH: u32 = 768;

/// The most pixels of a trial. Judging takes the most memory for each (`memory`).
pub(super) const TRIAL_PIXELS: u32 = 250_000;

/// Qualities on libwebp's scale between which a trial stays. Below, flat drawings lose their
/// edges, which the score hardly minds; above, files grow quickly and nobody sees why.
const LEAST: f32 = 50.0;
const MOST: f32 = 94.0;

/// The quality at which photographs reach [`TARGET`] in the mean.
const FIRST: f32 = 81.0;

/// By how many points the score rises with each step of quality, in the mean.
const SLOPE: f32 = 0.7;

/// How many files of a trial are judged at most.
const MOST_JUDGED: u32 = 3;

/// The step of quality that is not worth another judgement.
const NEAR_ENOUGH: f32 = 2.0;

/// What a trial has found of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    /// The quality on libwebp's scale at which the picture reached [`TARGET`].
    quality: f32,
    /// The binary logarithm of the bits that a pixel took there.
    detail: f32,
}

impl Aim {
    /// Tries a picture, on the thread that calls.
    ///
    /// # Errors
    /// [`ImageError::TimedOut`]; [`ImageError::Encode`] if an encoder fails, which no upload should
    /// be able to cause.
    pub fn at(raster: &Raster, deadline: Instant) -> Result<Self, ImageError> {
        guarded(|| {
            let pixels = linear::to_width(raster, trial_width(raster))?;
            let trial = Trial::new(&pixels, encode::QUICK_METHOD, deadline)?;
            let (quality, bytes) = trial.quality(FIRST)?;
            let bits = bytes as f32 * 8.0 / (pixels.width * pixels.height) as f32;
            Ok(Self {
                quality,
                detail: bits.log2(),
            })
        })
    }

    /// The quality on libwebp's scale for files of this width, wider than [`TRIED_WIDTH`].
    pub(super) fn webp(self, width: u32) -> f32 {
        let less = if width > USUAL_WIDTH { WIDE_LESS } else { 0.0 };
        (0.891 * self.quality - 0.997 * self.detail + 9.1 - less).clamp(LEAST, MOST)
    }

    /// AV1's quantizer.
    pub(super) fn avif(self) -> u8 {
        (242.2 - 1.561 * self.quality - 2.87 * self.detail).clamp(60.0, 180.0) as u8
    }

    /// The quality on the IJG scale.
    pub(super) fn jpeg(self) -> u8 {
        (41.7 + 0.411 * self.quality).clamp(50.0, 90.0) as u8
    }

    /// The quality on libwebp's scale at which a narrow file reaches [`TARGET`], found by a trial
    /// of its own.
    pub(super) fn narrow(self, raster: &Raster, deadline: Instant) -> Result<f32, ImageError> {
        let trial = Trial::new(raster, encode::CAREFUL_METHOD, deadline)?;
        // Least squares over the same photographs. From there one judgement is enough for two
        // pictures in three.
        let first = 1.1 * self.quality - 12.0;
        Ok(trial.quality(first)?.0)
    }
}

/// The width at which a picture is tried: at most [`TRIAL_WIDTH`], and so that it has no more than
/// [`TRIAL_PIXELS`].
fn trial_width(raster: &Raster) -> u32 {
    let shape = f64::from(raster.width) / f64::from(raster.height.max(1));
    let width = (f64::from(TRIAL_PIXELS) * shape).sqrt() as u32;
    width.min(TRIAL_WIDTH).min(raster.width).max(1)
}

/// Encodes a picture and judges what comes out.
struct Trial<'a> {
    raster: &'a Raster,
    reference: Ssimulacra2Reference,
    method: i32,
    deadline: Instant,
}

impl<'a> Trial<'a> {
    fn new(raster: &'a Raster, method: i32, deadline: Instant) -> Result<Self, ImageError> {
        let slice = slice(&raster.rgb, raster.width, raster.height)?;
        Ok(Self {
            raster,
            reference: Ssimulacra2Reference::new(&slice).map_err(ImageError::encode)?,
            method,
            deadline,
        })
    }

    /// The quality for [`TARGET`], and about how many bytes the file has there. From the judgement
    /// of the quality `first` the usual slope leads to the next, and from then on the slope between
    /// the last two, until the score is near enough.
    fn quality(&self, first: f32) -> Result<(f32, usize), ImageError> {
        let (mut quality, mut slope) = (first.clamp(LEAST, MOST), SLOPE);
        let (mut score, mut bytes) = self.judge(quality)?;
        for _ in 1..MOST_JUDGED {
            let next = (quality + (TARGET - score) / slope).clamp(LEAST, MOST);
            if (next - quality).abs() < NEAR_ENOUGH {
                break;
            }
            let last = (quality, score);
            quality = next;
            (score, bytes) = self.judge(quality)?;
            // A drawing may get no better however much is spent on it.
            slope = (score - last.1) / (quality - last.0);
            slope = slope.clamp(SLOPE / 3.0, SLOPE * 3.0);
        }
        let quality = quality + (TARGET - score) / slope;
        Ok((quality.clamp(LEAST, MOST), bytes))
    }

    /// The score and the bytes of a file of this quality.
    fn judge(&self, quality: f32) -> Result<(f32, usize), ImageError> {
        check_deadline(self.deadline)?;
        let file = encode::webp(self.raster, quality, self.method)?;
        let decoded = decode(&file)?;
        let slice = slice(&decoded, self.raster.width, self.raster.height)?;
        let score = self.reference.compare(&slice).map_err(ImageError::encode)?;
        Ok((score as f32, file.len()))
    }
}

/// The pixels of a file that was just made.
fn decode(file: &Bytes) -> Result<Vec<u8>, ImageError> {
    let unreadable = || ImageError::encode("libwebp cannot read what it wrote");
    let image = webp::Decoder::new(file).decode().ok_or_else(unreadable)?;
    Ok(image.to_vec())
}

/// Packed sRGB pixels, as the judge takes them.
fn slice(rgb: &[u8], width: u32, height: u32) -> Result<PixelSlice<'_>, ImageError> {
    let row = width as usize * 3;
    PixelSlice::new(rgb, width, height, row, PixelDescriptor::RGB8_SRGB).map_err(ImageError::encode)
}

/// The score of a picture beside the one that it should be.
#[cfg(test)]
pub(super) fn score(reference: &Raster, shown: &Raster) -> f64 {
    let (width, height) = (reference.width, reference.height);
    let wanted = slice(&reference.rgb, width, height).expect("is whole");
    let judge = Ssimulacra2Reference::new(&wanted).expect("is large enough");
    let found = slice(&shown.rgb, width, height).expect("is as large");
    judge.compare(&found).expect("is as large")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::samples::{blobs, noise, solid};
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_trial_ends_at_the_score_that_it_aims_at() {
        for seed in 0..4 {
            let picture = blobs(640, 480, seed);
            let trial = Trial::new(&picture, encode::QUICK_METHOD, soon()).expect("compares");
            let (quality, _) = trial.quality(FIRST).expect("finds");
            let (score, _) = trial.judge(quality).expect("judges");
            let is_bound = [LEAST, MOST].contains(&quality);
            assert!(
                (score - TARGET).abs() < 2.0 || is_bound,
                "{quality}: {score}"
            );
        }
    }

    #[test]
    fn whatever_is_tried_qualities_stay_within_their_bounds() {
        let pictures = [
            solid(300, 200, [7, 99, 200]),
            noise(500, 300, 1),
            noise(1, 1, 2),
            noise(3, 2000, 3),
            blobs(2048, 1100, 4),
        ];
        for picture in pictures {
            let aim = Aim::at(&picture, soon()).expect("tries");
            for width in [400, 2048] {
                assert!((LEAST..=MOST).contains(&aim.webp(width)), "{aim:?}");
            }
            assert!((60..=180).contains(&aim.avif()), "{aim:?}");
            assert!((50..=90).contains(&aim.jpeg()), "{aim:?}");
        }
    }

    #[test]
    fn wide_files_get_less_quality() {
        let aim = Aim {
            quality: 80.0,
            detail: 0.0,
        };
        let less = aim.webp(USUAL_WIDTH) - aim.webp(USUAL_WIDTH + 1);
        assert!((less - WIDE_LESS).abs() < 0.01, "{less}");
    }

    #[test]
    fn a_trial_is_bounded_in_width_and_in_pixels() {
        for (size, expected) in [
            ((2048, 1536), 577),
            ((2048, 4096), 353),
            ((500, 300), 500),
            ((40, 4000), 40),
            ((2048, 60), 768),
        ] {
            let raster = Raster {
                width: size.0,
                height: size.1,
                rgb: Vec::new(),
            };
            assert_eq!(trial_width(&raster), expected, "{size:?}");
        }
    }

    #[test]
    fn a_passed_deadline_ends_a_trial() {
        let result = Aim::at(&solid(64, 64, [1; 3]), Instant::now());
        assert!(matches!(result, Err(ImageError::TimedOut)));
    }
}
