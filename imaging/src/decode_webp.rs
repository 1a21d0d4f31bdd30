//! Decodes WebP pixels and frames. The decoder holds a picture whole.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image_webp::{DecodingError, WebPDecoder};

use super::canvas::{Canvas, flatten_rgba, over};
use super::container::StoredFrame;
use super::decoded::{Decoded, whole};
use super::source::{Part, TimedFile, open_part, open_timed};
use super::{ImageError, Inspected};

/// What the head of a RIFF file counts beside a frame's chunks: "WEBP" and a VP8X chunk.
const RIFF_BYTES: u64 = 4 + 18;

impl From<DecodingError> for ImageError {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::IoError(error) => error.into(),
            error => Self::corrupt(error.to_string()),
        }
    }
}

/// Decodes the picture at its final size.
pub(super) fn decode(
    path: &Path,
    inspected: &Inspected,
    deadline: Instant,
) -> Result<Decoded, ImageError> {
    let mut decoder = WebPDecoder::new(open_timed(path, inspected.end, deadline)?)?;
    let mut pixels = buffer(&decoder, inspected.stored)?;
    decoder.read_image(&mut pixels)?;
    let rgb = if decoder.has_alpha() {
        flatten_rgba(pixels)
    } else {
        pixels
    };
    drop(decoder);
    Ok(Decoded {
        raster: whole(rgb, 3, inspected)?,
        gray: false,
        space: inspected.space(),
    })
}

/// A buffer of the size that the decoder wants for a picture of this size.
fn buffer(
    decoder: &WebPDecoder<BufReader<TimedFile>>,
    size: (u32, u32),
) -> Result<Vec<u8>, ImageError> {
    if decoder.dimensions() != size {
        return Err(ImageError::corrupt("the file has changed"));
    }
    let bytes = decoder
        .output_buffer_size()
        .ok_or_else(|| ImageError::corrupt("an absurd size"))?;
    Ok(vec![0; bytes])
}

/// Plays an animated WebP. Every frame is decoded as a still of its own and drawn on our canvas,
/// because the decoder's own composition disposes of no frame.
pub(super) struct WebPPlayer {
    path: PathBuf,
    deadline: Instant,
    frames: std::vec::IntoIter<StoredFrame>,
    pub(super) canvas: Canvas,
}

impl WebPPlayer {
    /// The next frame is the first one.
    pub(super) fn new(path: &Path, inspected: &Inspected, deadline: Instant) -> Self {
        let (width, height) = inspected.stored;
        Self {
            path: path.to_owned(),
            deadline,
            frames: inspected.stored_frames.clone().into_iter(),
            canvas: Canvas::new(width, height),
        }
    }

    /// Composes the next frame.
    pub(super) fn advance(&mut self) -> Result<(), ImageError> {
        let frame = self
            .frames
            .next()
            .ok_or_else(|| ImageError::corrupt("frames are missing"))?;
        let mut decoder = WebPDecoder::new(self.open(&frame)?)?;
        let size = (frame.rect.width, frame.rect.height);
        let mut pixels = buffer(&decoder, size)?;
        decoder.read_image(&mut pixels)?;
        let channels = if decoder.has_alpha() { 4 } else { 3 };
        drop(decoder);
        self.canvas.draw(frame.rect, frame.disposal, |number, row| {
            let start = number * size.0 as usize * channels;
            let stored = pixels[start..].chunks_exact(channels);
            for (pixel, stored) in row.iter_mut().zip(stored) {
                let alpha = stored.get(3).copied().unwrap_or(255);
                let below = if frame.blends { *pixel } else { [255; 3] };
                for channel in 0..3 {
                    pixel[channel] = over(stored[channel], alpha, below[channel]);
                }
            }
            Ok(())
        })
    }

    /// The frame as a file of its own.
    fn open(&self, frame: &StoredFrame) -> Result<BufReader<TimedFile>, ImageError> {
        let length = frame.bytes.end.saturating_sub(frame.bytes.start);
        let mut head = b"RIFF".to_vec();
        let riff_bytes = u32::try_from(length + RIFF_BYTES)
            .map_err(|_| ImageError::corrupt("a frame of an absurd length"))?;
        head.extend(riff_bytes.to_le_bytes());
        head.extend(b"WEBP");
        if frame.has_plane {
            head.extend(b"VP8X\x0a\0\0\0\x10\0\0\0");
            for side in [frame.rect.width, frame.rect.height] {
                head.extend(&(side - 1).to_le_bytes()[..3]);
            }
        }
        let part = Part {
            head,
            range: frame.bytes.clone(),
            tail: &[],
        };
        open_part(&self.path, part, self.deadline)
    }
}
