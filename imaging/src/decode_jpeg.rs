//! Decodes JPEG pixels, at the smallest number of eighths that is large enough.

use std::path::Path;
use std::time::Instant;

use jpeg_decoder::{Decoder, Error, PixelFormat};

use super::decoded::Decoded;
use super::error::check_deadline;
use super::source::open_timed;
use super::{ImageError, Inspected, Raster, color, memory, shrink};

impl From<Error> for ImageError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error.into(),
            error => Self::corrupt(error.to_string()),
        }
    }
}

/// Decodes the picture at its final size.
///
/// Four components are inks. Adobe's programs store them inverted and nobody else writes them, so
/// they are taken as inverted, as browsers do.
pub(super) fn decode(
    path: &Path,
    inspected: &Inspected,
    deadline: Instant,
) -> Result<Decoded, ImageError> {
    let mut decoder = Decoder::new(open_timed(path, inspected.end, deadline)?);
    let (stored, target) = (inspected.stored, inspected.target());
    let eighths = memory::jpeg_scale(stored, target);
    let side =
        |length: u32| u16::try_from((u64::from(length) * eighths).div_ceil(8)).unwrap_or(u16::MAX);
    let (width, height) = decoder.scale(side(stored.0), side(stored.1))?;
    let pixels = decoder.decode()?;
    let format = decoder.info().map(|info| info.pixel_format);
    drop(decoder);
    check_deadline(deadline)?;

    let channels = match format {
        Some(PixelFormat::L8) => 1,
        Some(PixelFormat::RGB24) => 3,
        Some(PixelFormat::CMYK32) => 4,
        _ => return Err(ImageError::corrupt("a strange pixel format")),
    };
    let decoded = (u32::from(width), u32::from(height));
    if pixels.len() != decoded.0 as usize * decoded.1 as usize * channels as usize {
        return Err(ImageError::corrupt("pixels are missing"));
    }
    let pixels = if decoded == target {
        pixels
    } else {
        shrink::shrink(&pixels, channels, decoded, target)?
    };
    let icc = inspected.icc.as_deref();
    let (rgb, icc) = match channels {
        1 => (color::gray_to_rgb(&pixels), icc),
        3 => (pixels, icc),
        _ => (color::cmyk_to_srgb(&pixels, icc), None),
    };
    Ok(Decoded {
        raster: Raster {
            width: target.0,
            height: target.1,
            rgb,
        },
        gray: channels == 1,
        icc: icc.map(<[u8]>::to_vec),
    })
}
