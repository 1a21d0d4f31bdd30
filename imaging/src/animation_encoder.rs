//! Makes the files that are published for an animation, frame by frame.
//!
//! At every width, only the rectangle that differs from the frame before is encoded. Held are the
//! pixels of the last frame and the files so far. Each file has a cap, of which every frame gets a
//! share (`caps`): quality is lowered until the frame fits, and a frame that does not fit at the
//! lowest quality is dropped at every width.

use std::num::NonZeroU16;

use bytes::Bytes;

use super::animated_webp::{AnimatedWebP, FRAME_HEADER_BYTES, HEADER_BYTES};
use super::canvas::Rect;
use super::caps::{self, Allowance};
use super::error::guarded;
use super::output::steps;
use super::variants::{File, Quality, Variant, in_order, in_parallel};
use super::{Encoding, ImageError, Output, Raster, encode, linear, memory, shrink};

/// What photographs need in the mean (`aim`). The still that stands for an animation is not tried.
const JPEG_QUALITY: Quality = Quality::Jpeg(75);
const AVIF_QUALITY: Quality = Quality::Avif(110);

/// Makes the variants of an animation from its frames.
pub struct AnimationEncoder {
    width: u32,
    height: u32,
    /// How often the files that play do so; `None` is for ever.
    plays: Option<NonZeroU16>,
    /// The files that are to be made.
    outputs: Vec<Output>,
    /// One track for each distinct width of the files that play, the widest first.
    tracks: Vec<Track>,
    /// The widths in pixels of the files that show the first frame, the widest first, with their
    /// qualities.
    still_widths: Vec<(u32, Quality)>,
    /// The files that show the first frame; `None` until there was one.
    stills: Option<Vec<File>>,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is part of the animation.
    Kept,
    /// Even at the lowest quality it would have taken more bytes than the animation has left. The
    /// frame before it is shown for its time as well, at every width.
    Dropped,
}

impl std::fmt::Debug for AnimationEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AnimationEncoder({} x {})", self.width, self.height)
    }
}

impl AnimationEncoder {
    /// Makes these files of at most `frames` frames of this size in pixels, each side at least 1.
    pub fn new(frames: u32, width: u32, height: u32, outputs: &[Output]) -> Self {
        let (mut tracks, mut still_widths) = (Vec::new(), Vec::new());
        for step in steps(outputs, width) {
            let height = shrink::scale(height, step.width, width);
            for encoding in step.encodings {
                match encoding {
                    Encoding::WebP => tracks.push(Track::new(frames, step.width, height)),
                    Encoding::Avif => still_widths.push((step.width, AVIF_QUALITY)),
                    Encoding::Jpeg => still_widths.push((step.width, JPEG_QUALITY)),
                }
            }
        }
        Self {
            width,
            height,
            plays: None,
            outputs: outputs.to_vec(),
            tracks,
            still_widths,
            stills: None,
        }
    }

    /// Has the files play so often; `None` is for ever, as it is without this call.
    #[must_use]
    pub fn playing(mut self, plays: Option<NonZeroU16>) -> Self {
        self.plays = plays;
        self
    }

    /// Adds a frame that is shown for `duration_ms` milliseconds, and says whether it is kept.
    /// Encodes on two threads, or on one where the picture is very large.
    ///
    /// # Errors
    /// [`ImageError::Encode`] for a frame of another size or one too many, where no file is to
    /// play, or if an encoder fails; [`ImageError::TooManyBytes`] if the first frame cannot be
    /// kept.
    pub fn push(&mut self, raster: &Raster, duration_ms: u32) -> Result<Pushed, ImageError> {
        if (raster.width, raster.height) != (self.width, self.height) {
            return Err(ImageError::encode("a frame of another size"));
        }
        guarded(|| {
            let first = self.stills.is_none();
            if first {
                let stills = self.still_widths.iter().map(|(width, quality)| {
                    let pixels = linear::to_width(raster, *width)?;
                    File::still(&pixels, *quality)
                });
                self.stills = Some(stills.collect::<Result<_, _>>()?);
            }
            let Some((widest, narrower)) = self.tracks.split_first_mut() else {
                return Err(ImageError::encode("no width"));
            };
            let draw_widest = || {
                let pixels = linear::to_size(raster, widest.width, widest.height)?;
                widest.draw(pixels)
            };
            let draw_narrower = || {
                let mut drawn: Vec<Drawn> = Vec::with_capacity(narrower.len());
                for track in narrower {
                    let source = drawn.last().map_or(raster, |wider| &wider.pixels);
                    let pixels = linear::to_size(source, track.width, track.height)?;
                    drawn.push(track.draw(pixels)?);
                }
                Ok(drawn)
            };
            let parallel = memory::draws_in_parallel(raster.width, raster.height);
            let (widest, narrower) = in_parallel(parallel, draw_widest, draw_narrower);
            let drawn: Vec<Drawn> = std::iter::once(widest?).chain(narrower?).collect();
            // All widths drop the same frames, so that they remain the same animation.
            if drawn
                .iter()
                .any(|drawn| matches!(drawn.change, Change::TooLarge))
            {
                if first {
                    return Err(ImageError::TooManyBytes);
                }
                for track in &mut self.tracks {
                    track.file.extend_last(duration_ms);
                }
                return Ok(Pushed::Dropped);
            }
            for (track, drawn) in self.tracks.iter_mut().zip(drawn) {
                track.append(drawn, duration_ms)?;
            }
            Ok(Pushed::Kept)
        })
    }

    /// One file for each of the outputs, in their order: an animation, or the first frame in an
    /// encoding that plays none.
    ///
    /// # Errors
    /// [`ImageError::Encode`] if no frame was added.
    pub fn finish(self) -> Result<Vec<Variant>, ImageError> {
        let mut files = self.stills.ok_or_else(|| ImageError::encode("no frame"))?;
        for track in self.tracks {
            files.push(File {
                encoding: Encoding::WebP,
                width: track.width,
                height: track.height,
                bytes: Bytes::from(track.file.finish(self.plays)?),
            });
        }
        in_order(&self.outputs, self.width, &files)
    }
}

/// The animation at one width.
struct Track {
    width: u32,
    height: u32,
    /// The last frame that was kept, before its encoding; empty before the first.
    previous: Raster,
    file: AnimatedWebP,
    allowance: Allowance,
    /// The index in [`encode::FRAME_QUALITIES`] of the quality that the last frame got.
    quality: usize,
}

/// A frame at one width that is not yet part of the animation.
struct Drawn {
    pixels: Raster,
    change: Change,
}

/// What a frame changes on screen.
enum Change {
    Nothing,
    /// This rectangle is replaced by this WebP file.
    Part(Rect, Bytes),
    /// The change takes more bytes than allowed.
    TooLarge,
}

impl Track {
    fn new(frames: u32, width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            previous: Raster {
                width,
                height,
                rgb: Vec::new(),
            },
            file: AnimatedWebP::new(width, height),
            allowance: Allowance::new(
                caps::animation_bytes(frames, width, height).saturating_sub(HEADER_BYTES),
                frames,
            ),
            quality: 0,
        }
    }

    /// Encodes what differs from the frame before, at the best quality that fits.
    fn draw(&mut self, pixels: Raster) -> Result<Drawn, ImageError> {
        let most = self.allowance.next_frame();
        let change = match changed(&self.previous, &pixels) {
            Some(rect) if (rect.width, rect.height) == (pixels.width, pixels.height) => {
                self.encode(&pixels, rect, most)?
            }
            Some(rect) => self.encode(&crop(&pixels, rect), rect, most)?,
            None => Change::Nothing,
        };
        Ok(Drawn { pixels, change })
    }

    /// Begins one step above the quality of the frame before, so that a hard scene does not need
    /// five encodings per frame.
    fn encode(&mut self, part: &Raster, rect: Rect, most: usize) -> Result<Change, ImageError> {
        let best = self.quality.saturating_sub(1);
        for (step, quality) in encode::FRAME_QUALITIES.iter().enumerate().skip(best) {
            self.quality = step;
            let still = encode::webp_frame(part, *quality)?;
            if still.len() + FRAME_HEADER_BYTES <= most {
                return Ok(Change::Part(rect, still));
            }
        }
        Ok(Change::TooLarge)
    }

    fn append(&mut self, drawn: Drawn, duration_ms: u32) -> Result<(), ImageError> {
        match drawn.change {
            Change::Part(rect, still) => {
                self.file.push(rect, &still, duration_ms)?;
                self.allowance.take(still.len() + FRAME_HEADER_BYTES);
            }
            Change::Nothing => self.file.extend_last(duration_ms),
            Change::TooLarge => return Err(ImageError::TooManyBytes),
        }
        self.previous = drawn.pixels;
        Ok(())
    }
}

/// The smallest rectangle with even left and top that holds every pixel in which the frames differ;
/// `None` if they are equal.
fn changed(previous: &Raster, frame: &Raster) -> Option<Rect> {
    if previous.rgb.len() != frame.rgb.len() {
        return Some(Rect {
            left: 0,
            top: 0,
            width: frame.width,
            height: frame.height,
        });
    }
    let (before, _) = previous.rgb.as_chunks::<3>();
    let (after, _) = frame.rgb.as_chunks::<3>();
    let row = frame.width as usize;
    let differing = || {
        before
            .chunks_exact(row)
            .zip(after.chunks_exact(row))
            .enumerate()
            .filter(|(_, (a, b))| a != b)
    };
    let (top, _) = differing().next()?;
    let (bottom, _) = differing().next_back()?;
    let (mut left, mut right) = (row, 0);
    for (_, (a, b)) in differing() {
        let differs = |x: &usize| a[*x] != b[*x];
        left = (0..left).find(differs).unwrap_or(left);
        right = (right..row).rev().find(differs).unwrap_or(right);
    }
    let (left, top) = (left as u32 & !1, top as u32 & !1);
    Some(Rect {
        left,
        top,
        width: right as u32 + 1 - left,
        height: bottom as u32 + 1 - top,
    })
}

fn crop(frame: &Raster, rect: Rect) -> Raster {
    let row = frame.width as usize * 3;
    let (from, to) = (
        rect.left as usize * 3,
        (rect.left + rect.width) as usize * 3,
    );
    let rgb = frame
        .rgb
        .chunks_exact(row)
        .skip(rect.top as usize)
        .take(rect.height as usize)
        .flat_map(|row| &row[from..to])
        .copied()
        .collect();
    Raster {
        width: rect.width,
        height: rect.height,
        rgb,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::samples::{OUTPUTS, noise, solid, write};
    use super::super::{Limits, frames, inspect};
    use super::*;

    /// A gray field with a square of `color` at `x`, `y`.
    fn square(x: u32, y: u32, color: [u8; 3]) -> Raster {
        let mut field = solid(800, 100, [128; 3]);
        for row in y..y + 40 {
            let at = (row * 800 + x) as usize * 3;
            field.rgb[at..at + 40 * 3].copy_from_slice(&color.repeat(40));
        }
        field
    }

    #[test]
    fn changes_are_boxed_at_even_places() {
        let still = solid(20, 10, [0; 3]);
        let mut other = still.clone();
        assert_eq!(changed(&still, &other), None);
        for (x, y) in [(5, 3), (8, 7)] {
            other.rgb[(y * 20 + x) * 3 + 1] = 9;
        }
        let expected = Rect {
            left: 4,
            top: 2,
            width: 5,
            height: 6,
        };
        assert_eq!(changed(&still, &other), Some(expected));
        assert_eq!(crop(&other, expected).pixel(1, 1), [0, 9, 0]);
    }

    #[test]
    fn frames_come_back_as_they_went_in() {
        let frames_in = [
            (square(10, 10, [255, 0, 0]), 50),
            (square(311, 33, [0, 255, 0]), 70),
            (square(311, 33, [0, 255, 0]), 30),
            (square(700, 50, [0, 0, 255]), 120),
        ];
        let mut encoder = AnimationEncoder::new(50, 800, 100, &OUTPUTS);
        for (raster, duration_ms) in &frames_in {
            encoder.push(raster, *duration_ms).expect("encodes");
        }
        let variants = encoder.finish().expect("frames were added");
        let widths: Vec<_> = variants.iter().map(|variant| variant.width).collect();
        assert_eq!(widths, [320, 512, 768, 800, 800, 800]);
        assert!(variants[5].bytes.starts_with(b"\xff\xd8"));

        for variant in &variants[..4] {
            let file = write(&variant.bytes);
            let limits = Limits::default();
            let found = inspect(file.path(), &limits, &OUTPUTS).expect("a good animation");
            assert_eq!((found.frames, found.duration_ms()), (3, 270));
            assert!(found.stripped.is_empty());
            let deadline = Instant::now() + Duration::from_secs(20);
            let played: Vec<_> = frames(file.path(), &found, &limits, deadline)
                .expect("opens")
                .collect::<Result<_, _>>()
                .expect("plays");
            let kept = [&frames_in[0], &frames_in[1], &frames_in[3]];
            for (frame, (raster, _)) in played.iter().zip(kept) {
                let wanted = linear::to_width(raster, variant.width).expect("shrinks");
                let error: u64 = frame
                    .raster
                    .rgb
                    .iter()
                    .zip(&wanted.rgb)
                    .map(|(a, b)| u64::from(a.abs_diff(*b)))
                    .sum();
                let mean = error as f64 / wanted.rgb.len() as f64;
                assert!(mean < 3.0, "{}: {mean}", variant.width);
            }
        }
    }

    #[test]
    fn an_unchanging_picture_costs_one_frame() {
        let mut encoder = AnimationEncoder::new(50, 800, 100, &OUTPUTS);
        for _ in 0..50 {
            encoder.push(&square(1, 1, [9; 3]), 40).expect("encodes");
        }
        let variants = encoder.finish().expect("frames were added");
        assert!(variants[3].bytes.len() < 3000);
    }

    #[test]
    fn no_frame_and_strange_frames_are_errors() {
        assert!(AnimationEncoder::new(1, 64, 64, &OUTPUTS).finish().is_err());
        let mut encoder = AnimationEncoder::new(1, 64, 64, &OUTPUTS);
        assert!(encoder.push(&solid(64, 63, [0; 3]), 40).is_err());
    }

    /// How long each frame of a file is shown, in milliseconds.
    fn played(file: &[u8]) -> Vec<u32> {
        let file = write(file);
        let limits = Limits::default();
        let found = inspect(file.path(), &limits, &OUTPUTS).expect("a good animation");
        let deadline = Instant::now() + Duration::from_secs(20);
        frames(file.path(), &found, &limits, deadline)
            .expect("opens")
            .map(|frame| frame.expect("plays").duration_ms)
            .collect()
    }

    #[test]
    fn noise_stays_under_the_caps_and_every_width_drops_the_same_frames() {
        let mut encoder = AnimationEncoder::new(60, 400, 400, &OUTPUTS);
        let mut kept = Vec::new();
        for number in 0..60 {
            let frame = noise(400, 400, number);
            kept.push(encoder.push(&frame, 40).expect("encodes"));
        }
        assert!(kept.contains(&Pushed::Dropped), "a test of nothing");
        let variants = encoder.finish().expect("frames were added");
        let shown = kept
            .iter()
            .filter(|pushed| **pushed == Pushed::Kept)
            .count();
        for variant in &variants[..4] {
            let durations = played(&variant.bytes);
            assert_eq!(durations.len(), shown, "{}", variant.width);
            assert_eq!(durations.iter().sum::<u32>(), 60 * 40, "{}", variant.width);
            assert_eq!(durations, played(&variants[0].bytes), "{}", variant.width);
            let most = caps::animation_bytes(60, variant.width, variant.height);
            assert!(variant.bytes.len() <= most, "{}", variant.width);
        }
        let all: usize = [0, 1, 4]
            .iter()
            .map(|file| variants[*file].bytes.len())
            .sum();
        assert!(all as u64 <= caps::stored_bytes(&OUTPUTS, 60, 400, 400));
    }

    #[test]
    fn an_ordinary_picture_after_much_noise_is_shown_again() {
        let mut encoder = AnimationEncoder::new(60, 400, 400, &OUTPUTS);
        for number in 0..59 {
            encoder.push(&noise(400, 400, number), 40).expect("encodes");
        }
        let pushed = encoder.push(&solid(400, 400, [200, 0, 0]), 40);
        assert_eq!(pushed.expect("encodes"), Pushed::Kept);
    }

    #[test]
    fn frames_that_fit_keep_the_best_quality_to_the_byte() {
        let frame = square(10, 10, [255, 0, 0]);
        let mut encoder = AnimationEncoder::new(2, 800, 100, &OUTPUTS);
        encoder.push(&frame, 50).expect("encodes");
        let variants = encoder.finish().expect("a frame was added");
        let still = encode::webp_frame(&frame, encode::FRAME_QUALITIES[0]).expect("encodes");
        assert!(variants[3].bytes.ends_with(&still[12..]));
    }
}
