//! Decodes WebP pixels and frames. The decoder holds a picture whole.

use std::io::BufReader;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image_webp::vp8::{Frame, Vp8Decoder};
use image_webp::{DecodingError, WebPDecoder};

use super::canvas::{Canvas, flatten_rgba, over};
use super::container::StoredFrame;
use super::decoded::{Decoded, whole};
use super::error::check_deadline;
use super::shrink::RowShrinker;
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
    if let Some(range) = &inspected.lossy {
        return decode_by_rows(path, range.clone(), inspected, deadline);
    }
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

/// Decodes a lossy bitstream. Its pixels are made and shrunk row by row, because all of them would
/// take twice what the bitstream's own planes take.
fn decode_by_rows(
    path: &Path,
    range: Range<u64>,
    inspected: &Inspected,
    deadline: Instant,
) -> Result<Decoded, ImageError> {
    let part = Part {
        head: Vec::new(),
        range,
        tail: &[],
    };
    let planes = Vp8Decoder::decode_frame(open_part(path, part, deadline)?)?;
    check_deadline(deadline)?;
    let (width, height) = inspected.stored;
    if (planes.width.into(), planes.height.into()) != (width, height) {
        return Err(ImageError::corrupt("the file has changed"));
    }
    let mut shrinker = RowShrinker::new(inspected.stored, inspected.target());
    let mut rgb = Vec::new();
    for y in 0..height as usize {
        fill_row(&planes, y, &mut rgb);
        shrinker.push(&rgb)?;
    }
    drop(planes);
    Ok(Decoded {
        raster: shrinker.finish()?,
        gray: false,
        space: inspected.space(),
    })
}

/// Makes one row of RGB. Each of its pixels lies in a quarter of a sample of colour, and takes nine
/// sixteenths of it and the rest of its neighbours on that side, as browsers do.
fn fill_row(planes: &Frame, y: usize, rgb: &mut Vec<u8>) {
    let (width, height) = (usize::from(planes.width), usize::from(planes.height));
    // The planes have whole blocks of 16 x 16.
    let stride = width.next_multiple_of(16);
    let nearest = |at: usize, length: usize| {
        let other = if at % 2 == 1 {
            at / 2 + 1
        } else {
            (at / 2).saturating_sub(1)
        };
        (at / 2, other.min(length.div_ceil(2) - 1))
    };
    let (near, far) = nearest(y, height);
    let rows = |plane: &'_ Vec<u8>| {
        let row = |number: usize| number * stride / 2..number * stride / 2 + width.div_ceil(2);
        (plane[row(near)].to_vec(), plane[row(far)].to_vec())
    };
    let (blue, red) = (rows(&planes.ubuf), rows(&planes.vbuf));
    rgb.clear();
    for (x, light) in planes.ybuf[y * stride..y * stride + width]
        .iter()
        .enumerate()
    {
        let (close, beside) = nearest(x, width);
        let mixed = |(near, far): &(Vec<u8>, Vec<u8>)| {
            let sum = 9 * u32::from(near[close])
                + 3 * (u32::from(near[beside]) + u32::from(far[close]))
                + u32::from(far[beside]);
            (sum + 8) >> 4
        };
        rgb.extend(pixel(u32::from(*light), mixed(&blue), mixed(&red)));
    }
}

/// The colour of these samples of light, blue and red (RFC 6386, 9.2), computed with whole numbers
/// as libwebp does.
fn pixel(light: u32, blue: u32, red: u32) -> [u8; 3] {
    let part = |sample: u32, factor: u32| ((sample * factor) >> 8) as i32;
    let light = part(light, 19_077);
    [
        light + part(red, 26_149) - 14_234,
        light - part(blue, 6419) - part(red, 13_320) + 8708,
        light + part(blue, 33_050) - 17_685,
    ]
    .map(|value| (value >> 6).clamp(0, 255) as u8)
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use super::super::samples::{OUTPUTS, gradient, webp_still, write};
    use super::super::{Limits, inspect};
    use super::*;

    #[test]
    fn rows_give_the_pixels_of_the_whole() {
        for (width, height) in [(64, 48), (65, 48), (64, 49), (81, 33)] {
            let bytes = webp_still(&gradient(width, height), 90.0);
            let mut decoder = WebPDecoder::new(Cursor::new(&bytes)).expect("a WebP file");
            let mut expected = vec![0; decoder.output_buffer_size().expect("small")];
            decoder.read_image(&mut expected).expect("decodes");
            let file = write(&bytes);
            let inspected =
                inspect(file.path(), &Limits::default(), &OUTPUTS).expect("a good picture");
            let deadline = Instant::now() + Duration::from_secs(20);
            let found = decode(file.path(), &inspected, deadline).expect("decodes");
            assert!(found.raster.rgb == expected, "{width} x {height}");
        }
    }
}
