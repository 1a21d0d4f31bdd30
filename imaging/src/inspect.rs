//! Looks at a file before it is decoded: what it is, how large it claims to be, what it carries,
//! and how much memory it will take.

use std::num::NonZeroU16;
use std::ops::Range;
use std::path::Path;

use super::color::Space;
use super::container::{Storage, StoredFrame};
use super::orientation::Orientation;
use super::sniff::{SNIFF_BYTES, sniff};
use super::source::Source;
use super::{
    Format, ImageError, MAX_KEPT_FRAMES, MIN_SIDE, Output, animation, caps, error, gif_container,
    jpeg_container, memory, png_container, shrink, webp_container,
};

/// What one upload may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The most pixels of one picture or of an animation's canvas.
    pub max_pixels: u64,
    /// The most frames of an uploaded animation. At most [`super::MAX_KEPT_FRAMES`] of them are
    /// kept.
    pub max_frames: u32,
    /// The most pixels of all frames of an animation together. This bounds the time, because frames
    /// that are dropped must be decoded too.
    pub max_animation_pixels: u64,
    /// The most that [`Inspected::working_bytes`] may be.
    pub memory_bytes: u64,
}

impl Default for Limits {
    /// 50 Mpx, 1000 frames, 1 Gpx of animation, 110 MB.
    fn default() -> Self {
        Self {
            max_pixels: 50_000_000,
            max_frames: 1000,
            max_animation_pixels: 1_000_000_000,
            memory_bytes: 110_000_000,
        }
    }
}

/// What is known of a picture that may be decoded.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The format, recognised by its content.
    pub format: Format,
    /// Width of the upright picture in pixels, before any shrinking.
    pub width: u32,
    /// Height of the upright picture in pixels, before any shrinking.
    pub height: u32,
    /// The number of frames in the file; 1 for a still.
    pub frames: u32,
    /// True for more than one frame. Then [`super::frames`] decodes it, not
    /// [`super::decode_still`].
    pub animated: bool,
    /// How often the animation is played; `None` is for ever. The files that play are published
    /// with it.
    pub plays: Option<NonZeroU16>,
    /// Bits of one stored sample.
    pub bit_depth: u8,
    /// True for a progressive JPEG.
    pub progressive: bool,
    /// True for an interlaced PNG.
    pub interlaced: bool,
    /// The kinds of metadata that were found, none of which is kept: `exif`, `gps`, `xmp`, `iptc`,
    /// `icc`, `comment`, `thumbnail`, `text`, `time`, `app-data`, `trailing-data`.
    pub stripped: Vec<&'static str>,
    /// An upper bound on the memory that decoding, holding the pixels and encoding need at their
    /// worst moment, in bytes.
    pub working_bytes: u64,
    /// The files that are to be made of it: those of which [`inspect`] was told that suit it. The
    /// estimates are of these.
    pub outputs: Vec<Output>,
    /// How long each frame is on screen, in milliseconds.
    pub(super) durations_ms: Vec<u32>,
    /// Where the frames of a GIF or an animated WebP are; empty for other files.
    pub(super) stored_frames: Vec<StoredFrame>,
    /// Width and height of the stored pixels.
    pub(super) stored: (u32, u32),
    /// How stored pixels become upright.
    pub(super) orientation: Orientation,
    /// The colour profile of a JPEG or WebP. A PNG's profile is compressed and is read while
    /// decoding.
    pub(super) icc: Option<Vec<u8>>,
    /// Where the lossy bitstream of a WebP still without alpha is.
    pub(super) lossy: Option<Range<u64>>,
    /// True for a PNG that shows frames, be it only one, and not the picture itself.
    pub(super) composed: bool,
    /// How many bytes of the file were walked. Decoders see no more than these, so nothing is
    /// decoded that was not inspected.
    pub(super) end: u64,
    /// What the file lacks at its end, and a decoder needs; empty for most files.
    pub(super) lacks: &'static [u8],
    /// True for a JPEG whose restart markers are not those that its header announces.
    pub(super) restarts_lost: bool,
}

impl Inspected {
    /// What the samples of a JPEG or WebP mean, where a sound profile says it.
    pub(super) fn space(&self) -> Option<Space> {
        self.icc.as_deref().and_then(Space::from_icc)
    }

    /// How long one round of the animation lasts, in milliseconds; 0 for a still.
    pub fn duration_ms(&self) -> u64 {
        if self.animated {
            self.durations_ms.iter().map(|ms| u64::from(*ms)).sum()
        } else {
            0
        }
    }

    /// How many frames [`super::frames`] yields.
    pub fn kept_frames(&self) -> u32 {
        self.frames.min(MAX_KEPT_FRAMES)
    }

    /// How long each of the kept frames is shown, in milliseconds.
    pub fn kept_durations_ms(&self) -> Vec<u32> {
        animation::pick(&self.durations_ms, MAX_KEPT_FRAMES)
            .into_iter()
            .map(|(_, duration_ms)| duration_ms)
            .collect()
    }

    /// The most bytes that all published files of this picture can take together, by the caps that
    /// the encoders keep. Ordinary pictures stay far below it.
    pub fn most_stored_bytes(&self) -> u64 {
        let (width, height) = self.target();
        let (width, height) = self.orientation.turn_size(width, height);
        caps::stored_bytes(&self.outputs, self.frames, width, height)
    }

    /// Width and height of the decoded picture before it is turned upright. It is shrunk to fit and
    /// never enlarged.
    pub(super) fn target(&self) -> (u32, u32) {
        shrink::fit(self.stored, self.orientation)
    }
}

/// Inspects a file without decoding a pixel. `outputs` are the files that are to be made of it.
///
/// # Errors
/// [`ImageError::Unsupported`], [`ImageError::Empty`], [`ImageError::Corrupt`] for a container that
/// is broken or cut off anywhere, [`ImageError::TooSmall`], [`ImageError::TooManyPixels`],
/// [`ImageError::TooManyFrames`], [`ImageError::TimedOut`], [`ImageError::Io`].
pub fn inspect(path: &Path, limits: &Limits, outputs: &[Output]) -> Result<Inspected, ImageError> {
    error::guarded(|| inspect_unguarded(path, limits, outputs))
}

fn inspect_unguarded(
    path: &Path,
    limits: &Limits,
    outputs: &[Output],
) -> Result<Inspected, ImageError> {
    let mut head = Source::open(path)?;
    let file_bytes = head.remaining();
    let length = file_bytes.min(SNIFF_BYTES as u64) as usize;
    let format = sniff(&head.bytes(length)?)?;
    let mut source = Source::open(path)?;
    let container = match format {
        Format::Jpeg => jpeg_container::walk(&mut source)?,
        Format::Png => png_container::walk(&mut source, limits.max_frames)?,
        Format::WebP => webp_container::walk(&mut source, limits)?,
        Format::Gif => gif_container::walk(&mut source, limits.max_frames)?,
    };
    let end = container.end.unwrap_or(file_bytes - source.remaining());
    let stored = (container.width, container.height);
    let orientation = container.metadata.orientation;
    let (width, height) = orientation.turn_size(stored.0, stored.1);
    let too_many_pixels = ImageError::TooManyPixels {
        width,
        height,
        remedy: container.storage.remedy(),
    };
    let canvas = u64::from(width) * u64::from(height);
    if width == 0 || height == 0 {
        return Err(ImageError::corrupt("no width or no height"));
    }
    if canvas > limits.max_pixels || container.largest_frame > limits.max_pixels {
        return Err(too_many_pixels);
    }
    let target = shrink::fit(stored, orientation);
    if width.min(height) < MIN_SIDE || target.0.min(target.1) < MIN_SIDE {
        return Err(ImageError::TooSmall { width, height });
    }
    let animated = container.frames > 1;
    // Every frame is drawn on the whole canvas, so tiny frames on a large canvas cost as much as
    // large frames.
    let work = container
        .frame_pixels
        .max(canvas * u64::from(container.frames))
        .saturating_add(container.all_side_bytes);
    if container.too_much_work || animated && work > limits.max_animation_pixels {
        return Err(too_many_pixels);
    }
    let upright = orientation.turn_size(target.0, target.1);
    let outputs: Vec<Output> = outputs
        .iter()
        .copied()
        .filter(|output| output.is_made(animated, upright))
        .collect();
    let working_bytes = memory::working_bytes(&container, file_bytes, target, &outputs);
    if working_bytes > limits.memory_bytes {
        return Err(too_many_pixels);
    }
    Ok(Inspected {
        format,
        width,
        height,
        frames: container.frames,
        animated,
        plays: container.plays,
        bit_depth: container.bit_depth,
        progressive: container.progressive,
        interlaced: container.interlaced,
        stripped: container.metadata.kinds,
        working_bytes,
        outputs,
        durations_ms: container.durations_ms,
        stored_frames: container.stored_frames,
        stored,
        orientation,
        icc: container.metadata.icc,
        lossy: container.lossy,
        composed: matches!(container.storage, Storage::Png { composed: true, .. }),
        end,
        lacks: container.lacks,
        restarts_lost: container.restarts_lost,
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        OUTPUTS, gif_frames, jpeg, jpeg_with_size, png_header_only, png_rgb, solid, webp_still,
        write,
    };
    use super::*;

    fn look(bytes: &[u8]) -> Result<Inspected, ImageError> {
        inspect(write(bytes).path(), &Limits::default(), &OUTPUTS)
    }

    #[test]
    fn good_pictures_are_described() {
        let cases = [
            (jpeg(64, 48), Format::Jpeg),
            (png_rgb(64, 48), Format::Png),
            (webp_still(&solid(64, 48, [1, 2, 3]), 80.0), Format::WebP),
            (gif_frames(64, 48, &[(0, [1, 2, 3])]), Format::Gif),
        ];
        for (bytes, format) in cases {
            let found = look(&bytes).expect("a good picture");
            assert_eq!(
                (found.format, found.width, found.height, found.frames),
                (format, 64, 48, 1)
            );
            assert!(!found.animated && found.stripped.is_empty());
            assert!(found.working_bytes < 20_000_000, "{format:?}");
        }
    }

    #[test]
    fn tiny_pictures_are_too_small() {
        let cases = [
            jpeg(1, 1),
            png_rgb(1, 1),
            png_rgb(4000, 31),
            png_rgb(4096, 33),
            gif_frames(1, 1, &[(0, [0; 3])]),
        ];
        for bytes in cases {
            assert!(matches!(look(&bytes), Err(ImageError::TooSmall { .. })));
        }
    }

    #[test]
    fn bombs_are_refused_by_their_header_alone() {
        for bytes in [
            png_header_only(60_000, 60_000),
            png_header_only(8000, 8000),
            jpeg_with_size(60_000, 60_000),
        ] {
            assert!(matches!(
                look(&bytes),
                Err(ImageError::TooManyPixels { .. })
            ));
        }
    }

    #[test]
    fn five_thousand_frames_are_too_many() {
        let frames = vec![(2, [9; 3]); 5000];
        let result = look(&gif_frames(32, 32, &frames));
        assert!(matches!(
            result,
            Err(ImageError::TooManyFrames { limit: 1000 })
        ));
    }

    #[test]
    fn a_large_canvas_of_many_frames_is_too_much_work() {
        let mut file = gif_frames(32, 32, &[(2, [9; 3]); 500]);
        file[6..10].copy_from_slice(&[0xd0, 0x07, 0xd0, 0x07]);
        assert!(matches!(look(&file), Err(ImageError::TooManyPixels { .. })));
    }

    #[test]
    fn what_does_not_fit_in_memory_is_refused() {
        let limits = Limits {
            memory_bytes: 1_000_000,
            ..Limits::default()
        };
        let result = inspect(write(&jpeg(640, 480)).path(), &limits, &OUTPUTS);
        assert!(matches!(result, Err(ImageError::TooManyPixels { .. })));
    }

    #[test]
    fn a_missing_file_is_an_io_error() {
        let result = inspect(
            Path::new("/nonexistent/cat.jpg"),
            &Limits::default(),
            &OUTPUTS,
        );
        assert!(matches!(result, Err(ImageError::Io(_))));
    }
}
