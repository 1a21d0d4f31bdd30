//! The files that are published for an animation, made frame by frame.
//!
//! Of each frame only the rectangle that differs from the frame before is encoded, at every width; what is held is the last frame's pixels and the files so far.

use bytes::Bytes;

use super::animated_webp::AnimatedWebP;
use super::canvas::Rect;
use super::error::guarded;
use super::variants::{File, JPEG_VARIANT, Variant, distinct_widths, in_parallel, name_variants};
use super::{ImageError, Raster, encode, memory, shrink};

/// Makes the variants of an animation from its frames.
pub struct AnimationEncoder {
    width: u32,
    height: u32,
    /// One for each distinct width, widest first.
    tracks: Vec<Track>,
    /// The JPEG variant: the first frame.
    still: Option<File>,
}

impl std::fmt::Debug for AnimationEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AnimationEncoder({} x {})", self.width, self.height)
    }
}

impl AnimationEncoder {
    /// For frames of this size, in pixels, each side at least 1.
    pub fn new(width: u32, height: u32) -> Self {
        let tracks = distinct_widths(width)
            .into_iter()
            .map(|narrower| Track::new(narrower, shrink::scale(height, narrower, width)))
            .collect();
        Self {
            width,
            height,
            tracks,
            still: None,
        }
    }

    /// Adds a frame shown for `duration_ms` milliseconds, on two threads (the largest on one).
    ///
    /// # Errors
    /// [`ImageError::Encode`] for a frame of another size, or if an encoder fails.
    pub fn push(&mut self, raster: &Raster, duration_ms: u32) -> Result<(), ImageError> {
        if (raster.width, raster.height) != (self.width, self.height) {
            return Err(ImageError::encode("a frame of another size"));
        }
        guarded(|| {
            if self.still.is_none() {
                let pixels = shrink::to_width(raster, JPEG_VARIANT.1)?;
                self.still = Some(File::jpeg(&pixels)?);
            }
            let Some((widest, narrower)) = self.tracks.split_first_mut() else {
                return Err(ImageError::encode("no width"));
            };
            let encode_widest = || {
                let pixels = shrink::to_size(raster, widest.width, widest.height)?;
                widest.push(pixels, duration_ms)
            };
            let encode_narrower = || {
                let mut source = raster;
                for track in narrower {
                    let pixels = shrink::to_size(source, track.width, track.height)?;
                    track.push(pixels, duration_ms)?;
                    source = &track.previous;
                }
                Ok(())
            };
            let parallel = memory::encodes_in_parallel(raster.width, raster.height);
            let (first, others) = in_parallel(parallel, encode_widest, encode_narrower);
            first.and(others)
        })
    }

    /// The variants: an animated WebP at each width, and a JPEG of the first frame.
    ///
    /// # Errors
    /// [`ImageError::Encode`] if no frame was added.
    pub fn finish(self) -> Result<Vec<Variant>, ImageError> {
        let still = self.still.ok_or_else(|| ImageError::encode("no frame"))?;
        let files = self
            .tracks
            .into_iter()
            .map(|track| {
                Ok(File {
                    width: track.width,
                    height: track.height,
                    bytes: Bytes::from(track.file.finish()?),
                })
            })
            .collect::<Result<Vec<_>, ImageError>>()?;
        name_variants(self.width, &files, &still)
    }
}

/// The animation at one width.
struct Track {
    width: u32,
    height: u32,
    /// The last frame as it should look; empty before the first.
    previous: Raster,
    file: AnimatedWebP,
}

impl Track {
    fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            previous: Raster {
                width,
                height,
                rgb: Vec::new(),
            },
            file: AnimatedWebP::new(width, height),
        }
    }

    fn push(&mut self, frame: Raster, duration_ms: u32) -> Result<(), ImageError> {
        match changed(&self.previous, &frame) {
            Some(rect) if (rect.width, rect.height) == (frame.width, frame.height) => {
                self.file
                    .push(rect, &encode::webp_frame(&frame)?, duration_ms)?;
            }
            Some(rect) => {
                let part = crop(&frame, rect);
                self.file
                    .push(rect, &encode::webp_frame(&part)?, duration_ms)?;
            }
            None => self.file.extend_last(duration_ms),
        }
        self.previous = frame;
        Ok(())
    }
}

/// The smallest rectangle with even left and top that holds every pixel in which the frames differ; `None` if they are equal.
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

    use super::super::samples::{solid, write};
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
        let mut encoder = AnimationEncoder::new(800, 100);
        for (raster, duration_ms) in &frames_in {
            encoder.push(raster, *duration_ms).expect("encodes");
        }
        let variants = encoder.finish().expect("frames were added");
        let widths: Vec<_> = variants.iter().map(|variant| variant.width).collect();
        assert_eq!(widths, [320, 640, 800, 800, 800]);
        assert_eq!(variants[2].bytes.as_ptr(), variants[3].bytes.as_ptr());
        assert_eq!(variants[4].content_type, "image/jpeg");

        for variant in &variants[..4] {
            let file = write(&variant.bytes);
            let limits = Limits::default();
            let found = inspect(file.path(), &limits).expect("a good animation");
            assert_eq!((found.frames, found.duration_ms()), (3, 270));
            assert!(found.stripped.is_empty());
            let deadline = Instant::now() + Duration::from_secs(20);
            let played: Vec<_> = frames(file.path(), &found, &limits, deadline)
                .expect("opens")
                .collect::<Result<_, _>>()
                .expect("plays");
            let kept = [&frames_in[0], &frames_in[1], &frames_in[3]];
            for (frame, (raster, _)) in played.iter().zip(kept) {
                let wanted = shrink::to_width(raster, variant.width).expect("shrinks");
                let error: u64 = frame
                    .raster
                    .rgb
                    .iter()
                    .zip(&wanted.rgb)
                    .map(|(a, b)| u64::from(a.abs_diff(*b)))
                    .sum();
                let mean = error as f64 / wanted.rgb.len() as f64;
                assert!(mean < 3.0, "{}: {mean}", variant.name);
            }
        }
    }

    #[test]
    fn an_unchanging_picture_costs_one_frame() {
        let mut encoder = AnimationEncoder::new(800, 100);
        for _ in 0..50 {
            encoder.push(&square(1, 1, [9; 3]), 40).expect("encodes");
        }
        let variants = encoder.finish().expect("frames were added");
        assert!(variants[3].bytes.len() < 3000);
    }

    #[test]
    fn no_frame_and_strange_frames_are_errors() {
        assert!(AnimationEncoder::new(64, 64).finish().is_err());
        let mut encoder = AnimationEncoder::new(64, 64);
        assert!(encoder.push(&solid(64, 63, [0; 3]), 40).is_err());
    }
}
