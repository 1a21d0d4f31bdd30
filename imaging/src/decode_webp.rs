//! Decodes WebP pixels and frames. The decoder holds a picture whole, and composes an animation
//! itself.

use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

use image_webp::{DecodingError, WebPDecoder};

use super::canvas::{flatten_rgba, over};
use super::decoded::{Decoded, whole};
use super::source::{TimedFile, open_timed};
use super::{ImageError, Inspected};

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
    let (mut decoder, mut pixels) = open(path, inspected, deadline)?;
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
        icc: inspected.icc.clone(),
    })
}

/// A decoder and a buffer of the size it wants.
fn open(
    path: &Path,
    inspected: &Inspected,
    deadline: Instant,
) -> Result<(WebPDecoder<BufReader<TimedFile>>, Vec<u8>), ImageError> {
    let decoder = WebPDecoder::new(open_timed(path, inspected.end, deadline)?)?;
    if decoder.dimensions() != inspected.stored {
        return Err(ImageError::corrupt("the file has changed"));
    }
    let bytes = decoder
        .output_buffer_size()
        .ok_or_else(|| ImageError::corrupt("an absurd size"))?;
    Ok((decoder, vec![0; bytes]))
}

/// Plays an animated WebP.
pub(super) struct WebPPlayer {
    decoder: WebPDecoder<BufReader<TimedFile>>,
    pixels: Vec<u8>,
    rgb: Vec<u8>,
}

impl WebPPlayer {
    /// Opens the file. The next frame is the first one.
    pub(super) fn open(
        path: &Path,
        inspected: &Inspected,
        deadline: Instant,
    ) -> Result<Self, ImageError> {
        let (decoder, pixels) = open(path, inspected, deadline)?;
        Ok(Self {
            decoder,
            pixels,
            rgb: Vec::new(),
        })
    }

    /// Composes the next frame.
    pub(super) fn advance(&mut self) -> Result<(), ImageError> {
        self.decoder.read_frame(&mut self.pixels)?;
        Ok(())
    }

    /// The current frame, flattened on white.
    pub(super) fn rgb(&mut self) -> &[u8] {
        if !self.decoder.has_alpha() {
            return &self.pixels;
        }
        self.rgb.clear();
        let (pixels, _) = self.pixels.as_chunks::<4>();
        self.rgb.extend(
            pixels
                .iter()
                .flat_map(|[r, g, b, alpha]| [r, g, b].map(|value| over(*value, *alpha, 255))),
        );
        &self.rgb
    }
}
