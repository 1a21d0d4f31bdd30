//! Makes pictures smaller in linear light, as a lens does: the light of the old pixels is averaged,
//! not the gamma-coded numbers that stand for it.
//!
//! Averaging the numbers makes fine bright detail too dark. Against an exact resize, 21 photographs
//! score 80 in the mean at 320 pixels, 84 at 640 and 89 at 1440 (SSIMULACRA2) where numbers are
//! averaged, and 97.6, 96.3 and 94.5 here; with 16-bit light, which is cut off between the two
//! directions, it was 95.5, 94.8 and 93.6.
//!
//! Floating point takes more than five times what a picture takes. So light is made and shrunk in
//! strips, and only a strip is ever held so. A fourth channel that means nothing makes a pixel as
//! long as a vector of the processor, and shrinking three times as quick.

use std::sync::LazyLock;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::{ImageError, Raster, shrink};

/// About how many rows of the old picture make a strip.
const STRIP_ROWS: f64 = 64.0;

/// How many new pixels away from the middle of one Lanczos still reaches.
const REACH: f64 = 3.0;

/// The light of each 8-bit sRGB number, from 0 to 1.
static LIGHT: LazyLock<[f32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|code| {
        let code = code as f64 / 255.0;
        let light = if code <= 0.04045 {
            code / 12.92
        } else {
            ((code + 0.055) / 1.055).powf(2.4)
        };
        light as f32
    })
});

/// The step of light of [`CODE`] that is as light as light can be.
const LIGHTEST: f32 = 65535.0;

/// The 8-bit sRGB number of each step of light.
static CODE: LazyLock<Box<[u8]>> = LazyLock::new(|| {
    let code = |light: u32| {
        let light = f64::from(light) / f64::from(LIGHTEST);
        let code = if light <= 0.003_130_8 {
            light * 12.92
        } else {
            1.055 * light.powf(1.0 / 2.4) - 0.055
        };
        (code * 255.0).round() as u8
    };
    (0..=65535).map(code).collect()
});

/// The most rows of the old picture that are held at a time, where one of this height becomes one
/// of the other: those of a strip, and on either side those that its first and last rows reach.
pub(super) fn most_strip_rows(from: u32, to: u32) -> u32 {
    let scale = f64::from(from) / f64::from(to.max(1));
    let strip = STRIP_ROWS.max(scale);
    from.min((strip + 2.0 * (REACH * scale.max(1.0) + 1.0)).ceil() as u32)
}

/// A raster of the given size, or a copy if it has that size already.
///
/// # Errors
/// When `raster` has not as many pixels as it says.
pub(super) fn to_size(raster: &Raster, width: u32, height: u32) -> Result<Raster, ImageError> {
    if (width, height) == (raster.width, raster.height) {
        return Ok(raster.clone());
    }
    let scale = f64::from(raster.height) / f64::from(height);
    let strip = ((STRIP_ROWS / scale) as u32).clamp(1, height);
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for top in (0..height).step_by(strip as usize) {
        let rows = strip.min(height - top);
        rgb.extend(new_rows(raster, (width, height), (top, rows))?);
    }
    Ok(Raster { width, height, rgb })
}

/// The `rows` rows from `top` on of the picture that `raster` becomes at the size `to`.
fn new_rows(
    raster: &Raster,
    to: (u32, u32),
    (top, rows): (u32, u32),
) -> Result<Vec<u8>, ImageError> {
    let scale = f64::from(raster.height) / f64::from(to.1);
    let (from, covered) = (f64::from(top) * scale, f64::from(rows) * scale);
    // The filter reaches beyond the rows that the new ones cover.
    let reach = REACH * scale.max(1.0) + 1.0;
    let first = (from - reach).max(0.0) as u32;
    let last = ((from + covered + reach).ceil() as u32).min(raster.height);
    let row = raster.width as usize * 3;
    let old = raster.rgb.get(first as usize * row..last as usize * row);
    let (old, _) = old
        .ok_or_else(|| ImageError::encode("too few pixels"))?
        .as_chunks::<3>();
    let light = |[red, green, blue]: &[u8; 3]| {
        let light = |code: &u8| LIGHT[usize::from(*code)];
        F32x4::new([light(red), light(green), light(blue), 0.0])
    };
    let light: Vec<F32x4> = old.iter().map(light).collect();
    let above = from - f64::from(first);
    // Rounding must not reach over the edge.
    let covered = covered.min(f64::from(last - first) - above);
    let source = TypedImageRef::new(raster.width, last - first, &light);
    let mut target = TypedImage::<F32x4>::new(to.0, rows);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(false)
        .crop(0.0, above, raster.width.into(), covered);
    Resizer::new()
        .resize_typed(&source.map_err(ImageError::encode)?, &mut target, &options)
        .map_err(ImageError::encode)?;
    let code = |light: f32| CODE[(light * LIGHTEST + 0.5).clamp(0.0, LIGHTEST) as usize];
    let mut codes = Vec::with_capacity(target.pixels().len() * 3);
    for pixel in target.pixels() {
        let [red, green, blue, _] = pixel.0;
        codes.extend([red, green, blue].map(code));
    }
    Ok(codes)
}

/// A raster of the given width and the same shape, or a copy if it is no wider than that.
pub(super) fn to_width(raster: &Raster, width: u32) -> Result<Raster, ImageError> {
    let width = width.min(raster.width);
    to_size(raster, width, shrink::height_at(raster, width))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{gradient, noise, solid};
    use super::*;

    #[test]
    fn a_fine_checkerboard_becomes_the_grey_of_half_the_light() {
        let mut board = solid(512, 384, [0; 3]);
        for (index, pixel) in board.rgb.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            if (index % 512 + index / 512) % 2 == 1 {
                *pixel = [255; 3];
            }
        }
        let small = to_size(&board, 128, 96).expect("shrinks");
        assert_eq!(small.pixel(64, 48), [188; 3]);
        let (pixels, _) = small.rgb.as_chunks::<3>();
        assert!(pixels.iter().flatten().all(|code| code.abs_diff(188) <= 2));
    }

    #[test]
    fn every_plain_colour_stays_what_it_is() {
        for code in 0..=255 {
            let color = [code, 255 - code, code / 2];
            let small = to_size(&solid(40, 30, color), 13, 10).expect("shrinks");
            assert_eq!(small, solid(13, 10, color));
        }
    }

    #[test]
    fn strips_leave_no_seam() {
        for (picture, to) in [
            (gradient(700, 900), (500, 643)),
            (noise(300, 1000, 4), (100, 333)),
            (noise(90, 2000, 5), (32, 711)),
        ] {
            let strips = to_size(&picture, to.0, to.1).expect("shrinks");
            let whole = new_rows(&picture, to, (0, to.1)).expect("shrinks");
            let worst = strips.rgb.iter().zip(&whole).map(|(a, b)| a.abs_diff(*b));
            assert!(worst.max() <= Some(1), "{to:?}");
        }
    }

    #[test]
    fn too_few_pixels_are_an_error() {
        let mut picture = solid(64, 64, [1; 3]);
        picture.rgb.truncate(1000);
        assert!(to_size(&picture, 32, 32).is_err());
    }
}
