//! Decodes PNG pixels, shrunk row by row, and the frames of an APNG.

use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

use png::{BlendOp, ColorType, DecodingError, DisposeOp, Reader, Transformations};

use super::canvas::{Canvas, Disposal, Rect, flatten_gray, flatten_rgba, over};
use super::color::Space;
use super::decoded::{Decoded, whole};
use super::error::check_deadline;
use super::metadata::MAX_ICC_BYTES;
use super::shrink::RowShrinker;
use super::source::{TimedFile, open_inspected};
use super::{ImageError, Inspected};

/// In how many parts of one cd/m² light is stored.
const TEN_THOUSAND: f64 = 10_000.0;

/// How many rows lie between two looks at the clock.
const ROWS_BETWEEN_CHECKS: u32 = 64;

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
    let mut reader = open(path, inspected, deadline)?;
    let space = space(&reader);
    let (color, _) = reader.output_color_type();
    let raster = if inspected.interlaced {
        let bytes = reader
            .output_buffer_size()
            .ok_or_else(|| ImageError::corrupt("an absurd size"))?;
        let mut pixels = vec![0; bytes];
        reader.next_frame(&mut pixels)?;
        drop(reader);
        let (pixels, channels) = flatten_all(pixels, color);
        whole(pixels, channels, inspected)?
    } else {
        let mut shrinker = RowShrinker::new(inspected.stored, inspected.target());
        let mut rgb = Vec::new();
        let mut rows = 0;
        while let Some(row) = reader.next_row()? {
            flatten(row.data(), color, &mut rgb);
            shrinker.push(&rgb)?;
            rows += 1;
            if rows % ROWS_BETWEEN_CHECKS == 0 {
                check_deadline(deadline)?;
            }
        }
        shrinker.finish()?
    };
    Ok(Decoded {
        raster,
        gray: is_gray(color),
        space,
    })
}

fn open(
    path: &Path,
    inspected: &Inspected,
    deadline: Instant,
) -> Result<Reader<BufReader<TimedFile>>, ImageError> {
    // Three rows of at most four 16-bit channels, one more row for each frame (the library counts
    // them all but holds one at a time), and a profile, which could be a bomb of its own.
    let rows = 3 + inspected.frames as usize;
    let limits = png::Limits {
        bytes: inspected.stored.0 as usize * 8 * rows + MAX_ICC_BYTES,
    };
    let mut decoder =
        png::Decoder::new_with_limits(open_inspected(path, inspected, deadline)?, limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let reader = decoder.read_info()?;
    if reader.info().size() != inspected.stored {
        return Err(ImageError::corrupt("the file has changed"));
    }
    Ok(reader)
}

/// What the samples mean, where that is not sRGB: the first of the chunks cICP, iCCP, sRGB and gAMA
/// that makes sense says it (W3C PNG, third edition, 4.3). Primaries count only beside gAMA, as in
/// browsers.
fn space(reader: &Reader<BufReader<TimedFile>>) -> Option<Space> {
    let info = reader.info();
    let scaled = |value: png::ScaledFloat| value.into_value();
    let named = info.coding_independent_code_points.and_then(|points| {
        if !points.is_video_full_range_image {
            return None;
        }
        let said = |value: u32| (value > 0).then(|| f64::from(value) / TEN_THOUSAND);
        let peak_nits = info
            .content_light_level
            .and_then(|level| said(level.max_content_light_level))
            .or_else(|| {
                let volume = info.mastering_display_color_volume?;
                said(volume.max_luminance)
            });
        Space::from_code_points(points.color_primaries, points.transfer_function, peak_nits)
    });
    let profile = || info.icc_profile.as_deref().and_then(Space::from_icc);
    let described = || {
        if info.srgb.is_some() {
            return None;
        }
        let places = info
            .chrm_chunk
            .map(|c| [c.white, c.red, c.green, c.blue].map(|(x, y)| (scaled(x), scaled(y))));
        Space::from_gamma(scaled(info.gama_chunk?), places)
    };
    named.or_else(profile).or_else(described)
}

fn is_gray(color: ColorType) -> bool {
    matches!(color, ColorType::Grayscale | ColorType::GrayscaleAlpha)
}

/// Makes one row of RGB on white from a row of any expanded kind.
fn flatten(row: &[u8], color: ColorType, rgb: &mut Vec<u8>) {
    rgb.clear();
    match color {
        ColorType::Rgb | ColorType::Indexed => rgb.extend_from_slice(row),
        ColorType::Grayscale => rgb.extend(row.iter().flat_map(|gray| [*gray; 3])),
        ColorType::GrayscaleAlpha => {
            let (pixels, _) = row.as_chunks::<2>();
            rgb.extend(
                pixels
                    .iter()
                    .flat_map(|[gray, alpha]| [over(*gray, *alpha, 255); 3]),
            );
        }
        ColorType::Rgba => {
            let (pixels, _) = row.as_chunks::<4>();
            rgb.extend(
                pixels
                    .iter()
                    .flat_map(|[r, g, b, alpha]| [r, g, b].map(|value| over(*value, *alpha, 255))),
            );
        }
    }
}

/// Flattens a whole picture on white in place, and says how many channels are left. Gray stays
/// gray, which takes a third of what RGB would.
fn flatten_all(pixels: Vec<u8>, color: ColorType) -> (Vec<u8>, u32) {
    match color {
        ColorType::Rgb | ColorType::Indexed => (pixels, 3),
        ColorType::Rgba => (flatten_rgba(pixels), 3),
        ColorType::Grayscale => (pixels, 1),
        ColorType::GrayscaleAlpha => (flatten_gray(pixels), 1),
    }
}

/// Plays an APNG.
pub(super) struct PngPlayer {
    reader: Reader<BufReader<TimedFile>>,
    buffer: Vec<u8>,
}

impl PngPlayer {
    /// Opens the file. The next frame is the first one; a default picture that is no part of the
    /// animation is skipped.
    pub(super) fn open(
        path: &Path,
        inspected: &Inspected,
        deadline: Instant,
    ) -> Result<Self, ImageError> {
        let mut reader = open(path, inspected, deadline)?;
        let bytes = reader
            .output_buffer_size()
            .ok_or_else(|| ImageError::corrupt("an absurd size"))?;
        let mut buffer = vec![0; bytes];
        if reader.info().frame_control.is_none() {
            reader.next_frame(&mut buffer)?;
        }
        Ok(Self { reader, buffer })
    }

    /// What the pixels of all frames mean, where that is not sRGB.
    pub(super) fn space(&self) -> Option<Space> {
        space(&self.reader)
    }

    /// True where the frames are stored gray.
    pub(super) fn gray(&self) -> bool {
        is_gray(self.reader.output_color_type().0)
    }

    /// Draws the next frame.
    pub(super) fn draw(&mut self, canvas: &mut Canvas) -> Result<(), ImageError> {
        let output = self.reader.next_frame(&mut self.buffer)?;
        let control = self
            .reader
            .info()
            .frame_control
            .ok_or_else(|| ImageError::corrupt("a frame without its control chunk"))?;
        let rect = Rect {
            left: control.x_offset,
            top: control.y_offset,
            width: control.width,
            height: control.height,
        };
        let disposal = match control.dispose_op {
            DisposeOp::None => Disposal::Keep,
            DisposeOp::Background => Disposal::Clear,
            DisposeOp::Previous => Disposal::Restore,
        };
        let replace = control.blend_op == BlendOp::Source;
        let buffer = &self.buffer;
        canvas.draw(rect, disposal, |number, row| {
            let start = number * output.line_size;
            let source = buffer
                .get(start..start + output.line_size)
                .ok_or_else(|| ImageError::corrupt("rows are missing"))?;
            let samples = output.color_type.samples();
            for (pixel, stored) in row.iter_mut().zip(source.chunks_exact(samples)) {
                let (color, alpha) = match *stored {
                    [gray] => ([gray; 3], 255),
                    [gray, alpha] => ([gray; 3], alpha),
                    [r, g, b] => ([r, g, b], 255),
                    [r, g, b, alpha, ..] => ([r, g, b], alpha),
                    [] => continue,
                };
                let below = if replace { [255; 3] } else { *pixel };
                for channel in 0..3 {
                    pixel[channel] = over(color[channel], alpha, below[channel]);
                }
            }
            Ok(())
        })
    }
}
