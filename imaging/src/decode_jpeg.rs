//! Decodes JPEG pixels, at the smallest number of eighths that is large enough.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;
use std::time::Instant;

use jpeg_decoder::{Decoder, Error, ImageInfo, PixelFormat};

use super::decoded::Decoded;
use super::error::check_deadline;
use super::source::{self, Part, Source, open_part};
use super::{ImageError, Inspected, Raster, color, jpeg_container, jpeg_restarts, memory, shrink};

/// How a frame of a film begins. To the decoder it says that tables of codes may be missing (ITU
/// T.81, K.3, has the standard ones); it changes nothing where there are some.
const FILM: &[u8] = b"\xff\xd8\xff\xe0\0\x07AVI1\0";

/// An end that gives the decoder ones where data are missing. (The end marker alone gives zeros.)
const OTHER_END: &[u8] =
    b"\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\xd9";

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
    // Where all data are there, it makes no difference what follows them.
    let other = if inspected.lacks.is_empty() {
        None
    } else {
        Some(hash(&read(path, inspected, OTHER_END, deadline)?.samples))
    };
    let Pixels {
        samples: pixels,
        format,
        size: decoded,
    } = read(path, inspected, inspected.lacks, deadline)?;
    if other.is_some_and(|other| other != hash(&pixels)) {
        return Err(ImageError::corrupt("the data are cut off"));
    }

    let channels = match format {
        Some(PixelFormat::L8) => 1,
        Some(PixelFormat::RGB24) => 3,
        Some(PixelFormat::CMYK32) => 4,
        _ => return Err(ImageError::corrupt("a strange pixel format")),
    };
    if pixels.len() != decoded.0 as usize * decoded.1 as usize * channels as usize {
        return Err(ImageError::corrupt("pixels are missing"));
    }
    let target = inspected.target();
    let pixels = if decoded == target {
        pixels
    } else {
        shrink::shrink(&pixels, channels, decoded, target)?
    };
    let (rgb, space) = match channels {
        1 => (color::gray_to_rgb(&pixels), inspected.space()),
        3 => (pixels, inspected.space()),
        _ => (color::cmyk_to_srgb(&pixels, inspected.icc.as_deref()), None),
    };
    Ok(Decoded {
        raster: Raster {
            width: target.0,
            height: target.1,
            rgb,
        },
        gray: channels == 1,
        space,
    })
}

/// What the decoder gives: samples at the smallest number of eighths that is large enough.
struct Pixels {
    samples: Vec<u8>,
    format: Option<PixelFormat>,
    size: (u32, u32),
}

/// Decodes the file as if `end` followed it. Tables of codes that it lacks are the standard ones.
fn read(
    path: &Path,
    inspected: &Inspected,
    end: &'static [u8],
    deadline: Instant,
) -> Result<Pixels, ImageError> {
    let mut part = Part {
        head: FILM.to_vec(),
        range: 2..inspected.end,
        tail: end,
    };
    if inspected.restarts_lost {
        let file = source::bytes(path, inspected.end)?;
        let container = jpeg_container::walk(&mut Source::open(path)?)?;
        part.head = jpeg_restarts::mend(&file, &container, part.head, deadline)?;
        part.range = inspected.end..inspected.end;
    }
    let mut decoder = Decoder::new(open_part(path, part, deadline)?);
    let (stored, target) = (inspected.stored, inspected.target());
    // The memory was estimated for the size that the walk through the file found.
    decoder.read_info()?;
    let size = |info: ImageInfo| (u32::from(info.width), u32::from(info.height));
    if decoder.info().map(size) != Some(stored) {
        return Err(ImageError::corrupt("two sizes"));
    }
    let eighths = memory::jpeg_scale(stored, target);
    let side =
        |length: u32| u16::try_from((u64::from(length) * eighths).div_ceil(8)).unwrap_or(u16::MAX);
    let (width, height) = decoder.scale(side(stored.0), side(stored.1))?;
    let samples = decoder.decode()?;
    check_deadline(deadline)?;
    Ok(Pixels {
        samples,
        format: decoder.info().map(|info| info.pixel_format),
        size: (width.into(), height.into()),
    })
}

fn hash(samples: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(samples);
    hasher.finish()
}
