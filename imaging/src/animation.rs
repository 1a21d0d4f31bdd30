//! Yields the frames of an animation one at a time: at most [`MAX_KEPT_FRAMES`], evenly spaced,
//! each a complete picture.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use gif::DecodingError;

use super::animated_webp::MAX_DURATION_MS;
use super::canvas::Canvas;
use super::color::Space;
use super::container::StoredFrame;
use super::decode_png::PngPlayer;
use super::decode_webp::WebPPlayer;
use super::decoded::finish;
use super::error::{check_deadline, guarded};
use super::source::{Part, open_part, open_timed};
use super::{Format, ImageError, Inspected, Limits, MAX_KEPT_FRAMES, Raster, shrink};

impl From<DecodingError> for ImageError {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::Io(error) => error.into(),
            error => Self::corrupt(error.to_string()),
        }
    }
}

/// One kept frame.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What is on screen, shrunk and upright. All frames of an animation have the same size.
    pub raster: Raster,
    /// How long it is shown, in milliseconds, including the dropped frames that followed it.
    pub duration_ms: u32,
}

/// The kept frames of an animation, decoded as they are asked for. It ends after the first error.
pub struct Frames {
    player: Player,
    inspected: Inspected,
    deadline: Instant,
    /// The number and duration of the frames that are still to come, in order.
    kept: std::vec::IntoIter<(u32, u32)>,
    /// How many frames were drawn so far.
    drawn: u32,
    /// What the pixels mean, where that is not sRGB.
    space: Option<Space>,
    /// True where the frames were stored gray, which a gray profile needs.
    gray: bool,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frames({} drawn)", self.drawn)
    }
}

/// Opens an animation that [`super::inspect()`] accepted under the same `limits`. It holds one
/// canvas, however many frames there are.
///
/// # Errors
/// [`ImageError::Corrupt`], [`ImageError::TimedOut`], [`ImageError::Io`], and
/// [`ImageError::TooManyFrames`] for a file that was inspected under other limits. Each frame can
/// fail with one of the first three.
pub fn frames(
    path: &Path,
    inspected: &Inspected,
    limits: &Limits,
    deadline: Instant,
) -> Result<Frames, ImageError> {
    if inspected.frames > limits.max_frames {
        return Err(ImageError::TooManyFrames {
            limit: limits.max_frames,
        });
    }
    guarded(|| {
        let player = Player::open(path, inspected, deadline)?;
        Ok(Frames {
            space: player.space(inspected),
            gray: player.gray(),
            player,
            inspected: inspected.clone(),
            deadline,
            kept: pick(&inspected.durations_ms, MAX_KEPT_FRAMES).into_iter(),
            drawn: 0,
        })
    })
}

impl Iterator for Frames {
    type Item = Result<Frame, ImageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (number, duration_ms) = self.kept.next()?;
        let frame = guarded(|| {
            while self.drawn <= number {
                check_deadline(self.deadline)?;
                self.player.advance()?;
                self.drawn += 1;
            }
            self.shrunk()
        });
        if frame.is_err() {
            self.kept = Vec::new().into_iter();
        }
        Some(frame.map(|raster| Frame {
            raster,
            duration_ms,
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.kept.len()))
    }
}

impl Frames {
    /// The canvas at its final size.
    fn shrunk(&self) -> Result<Raster, ImageError> {
        let (width, height) = self.inspected.target();
        let stored = self.inspected.stored;
        let rgb = self.player.rgb();
        let rgb = if stored == (width, height) {
            rgb.to_vec()
        } else {
            shrink::shrink(rgb, 3, stored, (width, height))?
        };
        let raster = Raster { width, height, rgb };
        let space = self.space.as_ref();
        Ok(finish(raster, self.gray, space, &self.inspected))
    }
}

/// The numbers of at most `most` evenly spaced frames, beginning with the first. Each comes with
/// its time on screen plus that of the dropped frames after it, up to the four and a half hours
/// that a WebP frame can be shown.
pub(super) fn pick(durations_ms: &[u32], most: u32) -> Vec<(u32, u32)> {
    let frames = durations_ms.len();
    let kept = frames.min(most as usize);
    let start = |number: usize| number * frames / kept;
    (0..kept)
        .map(|number| {
            let (from, to) = (start(number), start(number + 1));
            let total = durations_ms[from..to]
                .iter()
                .fold(0_u32, |sum, ms| sum.saturating_add(*ms));
            (from as u32, total.min(MAX_DURATION_MS))
        })
        .collect()
}

/// Composes the frames of one of the formats.
pub(super) enum Player {
    Gif(Box<GifPlayer>),
    Png(Box<PngPlayer>, Canvas),
    WebP(Box<WebPPlayer>),
}

impl Player {
    /// Opens the file. The next frame is the first one.
    pub(super) fn open(
        path: &Path,
        inspected: &Inspected,
        deadline: Instant,
    ) -> Result<Self, ImageError> {
        let (width, height) = inspected.stored;
        match inspected.format {
            Format::Gif => {
                GifPlayer::open(path, inspected, deadline).map(|player| Self::Gif(Box::new(player)))
            }
            Format::Png => Ok(Self::Png(
                Box::new(PngPlayer::open(path, inspected, deadline)?),
                Canvas::new(width, height),
            )),
            Format::WebP => Ok(Self::WebP(Box::new(WebPPlayer::new(
                path, inspected, deadline,
            )))),
            Format::Jpeg => Err(ImageError::corrupt("a JPEG has no frames")),
        }
    }

    /// Composes the next frame.
    pub(super) fn advance(&mut self) -> Result<(), ImageError> {
        match self {
            Self::Gif(player) => player.advance(),
            Self::Png(player, canvas) => player.draw(canvas),
            Self::WebP(player) => player.advance(),
        }
    }

    /// The pixels on screen.
    fn rgb(&self) -> &[u8] {
        match self {
            Self::Gif(player) => player.canvas.rgb(),
            Self::Png(_, canvas) => canvas.rgb(),
            Self::WebP(player) => player.canvas.rgb(),
        }
    }

    /// The pixels on screen, without the player.
    pub(super) fn into_rgb(self) -> Vec<u8> {
        match self {
            Self::Gif(player) => player.canvas.into_rgb(),
            Self::Png(_, canvas) => canvas.into_rgb(),
            Self::WebP(player) => player.canvas.into_rgb(),
        }
    }

    /// What the pixels of all frames mean, where that is not sRGB. Browsers ignore the profile of a
    /// GIF, and so do we; that of a WebP is known from inspection.
    pub(super) fn space(&self, inspected: &Inspected) -> Option<Space> {
        match self {
            Self::Gif(_) => None,
            Self::Png(player, _) => player.space(),
            Self::WebP(_) => inspected.space(),
        }
    }

    /// True where the frames are stored gray.
    pub(super) fn gray(&self) -> bool {
        match self {
            Self::Png(player, _) => player.gray(),
            Self::Gif(_) | Self::WebP(_) => false,
        }
    }
}

/// Plays a GIF. Every frame is decoded as a file of its own, so that the decoder has no say in
/// which blocks are frames.
pub(super) struct GifPlayer {
    path: PathBuf,
    deadline: Instant,
    /// What the file begins with: signature, screen and table of colours.
    head: Vec<u8>,
    frames: std::vec::IntoIter<StoredFrame>,
    canvas: Canvas,
}

impl GifPlayer {
    fn open(path: &Path, inspected: &Inspected, deadline: Instant) -> Result<Self, ImageError> {
        let (width, height) = inspected.stored;
        let mut file = open_timed(path, inspected.end, deadline)?;
        let mut head = vec![0; 13];
        file.read_exact(&mut head)?;
        for (at, side) in [(6, width), (8, height)] {
            let side = u16::try_from(side).unwrap_or(u16::MAX);
            head[at..at + 2].copy_from_slice(&side.to_le_bytes());
        }
        if head[10] & 0x80 == 0 {
            // The decoder wants colours even where no frame needs them.
            head[10] = 0x80;
            head.extend([0; 6]);
        } else {
            let colors = 3_u64 << ((head[10] & 7) + 1);
            file.take(colors).read_to_end(&mut head)?;
        }
        Ok(Self {
            path: path.to_owned(),
            deadline,
            head,
            frames: inspected.stored_frames.clone().into_iter(),
            canvas: Canvas::new(width, height),
        })
    }

    fn advance(&mut self) -> Result<(), ImageError> {
        let stored = self
            .frames
            .next()
            .ok_or_else(|| ImageError::corrupt("frames are missing"))?;
        let part = Part {
            head: self.head.clone(),
            range: stored.bytes.clone(),
            tail: b"\x3b",
        };
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::Indexed);
        let mut decoder = options.read_info(open_part(&self.path, part, self.deadline)?)?;
        let global_palette = decoder.global_palette().unwrap_or_default().to_vec();
        let frame = decoder
            .read_next_frame()?
            .ok_or_else(|| ImageError::corrupt("frames are missing"))?;
        let palette = frame.palette.as_deref().unwrap_or(&global_palette);
        let (palette, _) = palette.as_chunks::<3>();
        let width = usize::from(frame.width);
        self.canvas
            .draw(stored.rect, stored.disposal, |number, row| {
                let indices = frame
                    .buffer
                    .get(number * width..(number + 1) * width)
                    .ok_or_else(|| ImageError::corrupt("rows are missing"))?;
                for (pixel, index) in row.iter_mut().zip(indices) {
                    if stored.transparent != Some(*index) {
                        // An index beyond the palette shows black, as in browsers.
                        *pixel = palette
                            .get(usize::from(*index))
                            .copied()
                            .unwrap_or_default();
                    }
                }
                Ok(())
            })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::inspect;
    use super::super::samples::{OUTPUTS, apng_frames, gif_frames, write};
    use super::*;

    fn play(bytes: &[u8]) -> Result<Vec<Frame>, ImageError> {
        let file = write(bytes);
        let limits = Limits::default();
        let inspected = inspect(file.path(), &limits, &OUTPUTS)?;
        assert!(inspected.animated);
        let deadline = Instant::now() + Duration::from_secs(20);
        frames(file.path(), &inspected, &limits, deadline)?.collect()
    }

    #[test]
    fn picking_is_even_and_keeps_the_total_time() {
        for (frames, kept) in [
            (1, 1),
            (2, 2),
            (60, 60),
            (61, 60),
            (119, 60),
            (120, 60),
            (1000, 60),
        ] {
            let durations: Vec<u32> = (0..frames).map(|number| 20 + number % 7).collect();
            let picked = pick(&durations, 60);
            assert_eq!(picked.len(), kept, "{frames} frames");
            assert_eq!(picked[0].0, 0);
            let total: u32 = picked.iter().map(|(_, ms)| ms).sum();
            assert_eq!(total, durations.iter().sum::<u32>());
            let gaps: Vec<u32> = picked
                .windows(2)
                .map(|pair| pair[1].0 - pair[0].0)
                .collect();
            let (least, most) = (gaps.iter().min(), gaps.iter().max());
            assert!(
                least
                    .zip(most)
                    .is_none_or(|(least, most)| most - least <= 1),
                "{frames} frames: {gaps:?}"
            );
        }
    }

    #[test]
    fn no_frame_is_said_to_last_longer_than_a_file_can_say() {
        assert_eq!(pick(&[u32::MAX, 40], 60), [(0, (1 << 24) - 1), (1, 40)]);
    }

    #[test]
    fn every_frame_shows_its_own_color() {
        let colors = [(5, [255, 0, 0]), (10, [0, 255, 0]), (0, [0, 0, 255])];
        for (name, bytes) in [
            ("gif", gif_frames(64, 48, &colors)),
            ("apng", apng_frames(64, 48, &colors)),
        ] {
            let found = play(&bytes).expect("plays");
            let seen: Vec<_> = found
                .iter()
                .map(|frame| (frame.duration_ms, frame.raster.pixel(40, 40)))
                .collect();
            assert_eq!(
                seen,
                [(50, [255, 0, 0]), (100, [0, 255, 0]), (100, [0, 0, 255])],
                "{name}"
            );
        }
    }

    #[test]
    fn a_long_animation_keeps_sixty_frames() {
        let colors: Vec<_> = (0..150_u8).map(|number| (5, [number, 0, 255])).collect();
        let found = play(&gif_frames(32, 32, &colors)).expect("plays");
        assert_eq!(found.len(), 60);
        assert_eq!(
            found.iter().map(|frame| frame.duration_ms).sum::<u32>(),
            7500
        );
        assert_eq!(found[2].raster.pixel(3, 3), [5, 0, 255]);
    }

    #[test]
    fn a_passed_deadline_ends_the_animation() {
        let file = write(&gif_frames(64, 48, &[(5, [1; 3]), (5, [2; 3])]));
        let limits = Limits::default();
        let inspected = inspect(file.path(), &limits, &OUTPUTS).expect("a good animation");
        let deadline = Instant::now() + Duration::from_millis(60);
        let mut frames = frames(file.path(), &inspected, &limits, deadline).expect("opens");
        std::thread::sleep(Duration::from_millis(80));
        assert!(matches!(frames.next(), Some(Err(ImageError::TimedOut))));
        assert!(frames.next().is_none());
    }
}
