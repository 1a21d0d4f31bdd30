//! Makes pictures smaller, never larger, and without holding a large one where its rows come one by
//! one.
//!
//! Filtering works on the stored (gamma-coded) values: this is for what decoding keeps and for what
//! models and screeners see, which they were trained and measured on. What is published is made
//! smaller in linear light (`linear`).

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3, U8x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::orientation::Orientation;
use super::{ImageError, MAX_HEIGHT, MAX_WIDTH, Raster};

/// How many rows [`RowShrinker`] narrows at a time.
const STRIP_ROWS: usize = 32;

/// The size at which the upright picture fits in [`MAX_WIDTH`] x [`MAX_HEIGHT`], given as stored.
pub(super) fn fit(stored: (u32, u32), orientation: Orientation) -> (u32, u32) {
    let (width, height) = orientation.turn_size(stored.0, stored.1);
    if width <= MAX_WIDTH && height <= MAX_HEIGHT {
        return stored;
    }
    // The tighter of the two bounds is met exactly.
    let fitted =
        if u64::from(width) * u64::from(MAX_HEIGHT) >= u64::from(height) * u64::from(MAX_WIDTH) {
            (MAX_WIDTH, scale(height, MAX_WIDTH, width))
        } else {
            (scale(width, MAX_HEIGHT, height), MAX_HEIGHT)
        };
    orientation.turn_size(fitted.0, fitted.1)
}

/// `side * to / from`, rounded, at least 1.
pub(super) fn scale(side: u32, to: u32, from: u32) -> u32 {
    let (side, to, from) = (u64::from(side), u64::from(to), u64::from(from.max(1)));
    u32::try_from(((side * to + from / 2) / from).max(1)).unwrap_or(u32::MAX)
}

/// The height that keeps the shape of `raster` at `width`.
pub(super) fn height_at(raster: &Raster, width: u32) -> u32 {
    scale(raster.height, width, raster.width)
}

/// A raster of the given width and the same shape, or a copy if it is no wider than that.
#[cfg(test)]
pub(super) fn to_width(raster: &Raster, width: u32) -> Result<Raster, ImageError> {
    let width = width.min(raster.width);
    to_size(raster, width, height_at(raster, width))
}

/// A raster of the given size, or a copy if it has that size already.
///
/// # Errors
/// When `raster` has not as many pixels as it says.
pub fn to_size(raster: &Raster, width: u32, height: u32) -> Result<Raster, ImageError> {
    if (width, height) == (raster.width, raster.height) {
        return Ok(raster.clone());
    }
    let from = (raster.width, raster.height);
    let rgb = shrink(&raster.rgb, 3, from, (width, height))?;
    Ok(Raster { width, height, rgb })
}

/// Shrinks pixels of 1, 3 or 4 channels, none of which is alpha.
pub(super) fn shrink(
    pixels: &[u8],
    channels: u32,
    from: (u32, u32),
    to: (u32, u32),
) -> Result<Vec<u8>, ImageError> {
    let visible = (f64::from(from.0), f64::from(from.1));
    resize(pixels, channels, from, visible, to)
}

/// The rectangle of a picture that starts `left` pixels from the left edge and `top` from the upper
/// one, stretched to `to`.
///
/// `from` is the size of the whole picture, whose `rgb` are packed rows of 8 bits per sample. The
/// bilinear filter covers the whole footprint of each new pixel. Without that antialiasing a large
/// picture turns into noise.
///
/// # Errors
/// When there are too few pixels, or the rectangle is not inside the picture.
pub fn stretch(
    rgb: &[u8],
    from: (u32, u32),
    (left, top): (u32, u32),
    (width, height): (u32, u32),
    to: (u32, u32),
) -> Result<Vec<u8>, ImageError> {
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(left.into(), top.into(), width.into(), height.into());
    resize_as::<U8x3>(rgb, from, to, &options)
}

/// Like [`shrink`], but from the `visible` part at the top left of the source.
fn resize(
    pixels: &[u8],
    channels: u32,
    from: (u32, u32),
    visible: (f64, f64),
    to: (u32, u32),
) -> Result<Vec<u8>, ImageError> {
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(false)
        .crop(0.0, 0.0, visible.0, visible.1);
    match channels {
        1 => resize_as::<U8>(pixels, from, to, &options),
        3 => resize_as::<U8x3>(pixels, from, to, &options),
        _ => resize_as::<U8x4>(pixels, from, to, &options),
    }
}

/// Resizes pixels of one kind. The library compiles its filters anew for every kind and wherever it
/// is called, which takes long, so this is the only call, and no kind that is not needed is named.
fn resize_as<P: PixelTrait>(
    pixels: &[u8],
    from: (u32, u32),
    to: (u32, u32),
    options: &ResizeOptions,
) -> Result<Vec<u8>, ImageError> {
    let source =
        TypedImageRef::<P>::from_buffer(from.0, from.1, pixels).map_err(ImageError::encode)?;
    let mut resized = vec![0; to.0 as usize * to.1 as usize * P::size()];
    let mut target =
        TypedImage::<P>::from_buffer(to.0, to.1, &mut resized).map_err(ImageError::encode)?;
    Resizer::new()
        .resize_typed(&source, &mut target, options)
        .map_err(ImageError::encode)?;
    Ok(resized)
}

/// Takes RGB rows from the top and shrinks them as they come.
///
/// It works in three steps: averages over boxes of whole pixels while at least halving is left to
/// do, then Lanczos across for a strip of rows, then, at the end, Lanczos down.
pub(super) struct RowShrinker {
    from: (u32, u32),
    to: (u32, u32),
    /// The side of a box, in source pixels.
    side: u32,
    /// The size after averaging. The last box of a row or column may be cut off by the edge.
    boxed: (u32, u32),
    /// The sums of the boxes that are being filled, and how many rows are in them.
    sums: Vec<u32>,
    summed_rows: u32,
    strip: Vec<u8>,
    narrowed: Vec<u8>,
    rows: u32,
}

impl RowShrinker {
    /// Expects `from.1` rows of `from.0` pixels. Neither side of `to` is larger than that of
    /// `from`.
    pub(super) fn new(from: (u32, u32), to: (u32, u32)) -> Self {
        let side = (from.0 / to.0).min(from.1 / to.1).max(1);
        let boxed = (from.0.div_ceil(side), from.1.div_ceil(side));
        let row = boxed.0 as usize * 3;
        Self {
            from,
            to,
            side,
            boxed,
            sums: vec![0; if side > 1 { row } else { 0 }],
            summed_rows: 0,
            strip: Vec::with_capacity(row * STRIP_ROWS),
            narrowed: Vec::with_capacity(to.0 as usize * boxed.1 as usize * 3),
            rows: 0,
        }
    }

    /// Takes the next row of `from.0 * 3` bytes.
    pub(super) fn push(&mut self, row: &[u8]) -> Result<(), ImageError> {
        if row.len() != self.from.0 as usize * 3 || self.rows == self.from.1 {
            return Err(ImageError::corrupt("a row too many or of a strange length"));
        }
        self.rows += 1;
        if self.side == 1 {
            self.strip.extend_from_slice(row);
        } else {
            self.add_to_boxes(row);
            if self.summed_rows == self.side || self.rows == self.from.1 {
                self.average_boxes();
            }
        }
        if self.strip.len() >= self.boxed.0 as usize * 3 * STRIP_ROWS {
            self.narrow_strip()?;
        }
        Ok(())
    }

    fn add_to_boxes(&mut self, row: &[u8]) {
        let (sums, _) = self.sums.as_chunks_mut::<3>();
        for (sum, pixels) in sums.iter_mut().zip(row.chunks(self.side as usize * 3)) {
            let (pixels, _) = pixels.as_chunks::<3>();
            let mut total = [0_u32; 3];
            for pixel in pixels {
                total[0] += u32::from(pixel[0]);
                total[1] += u32::from(pixel[1]);
                total[2] += u32::from(pixel[2]);
            }
            for (sum, total) in sum.iter_mut().zip(total) {
                *sum += total;
            }
        }
        self.summed_rows += 1;
    }

    fn average_boxes(&mut self) {
        let whole = self.side * self.summed_rows;
        let cut = (self.from.0 - (self.boxed.0 - 1) * self.side) * self.summed_rows;
        let last = self.sums.len() - 3;
        let average = |sum: u32, count: u32| ((sum + count / 2) / count) as u8;
        self.strip
            .extend(self.sums[..last].iter().map(|sum| average(*sum, whole)));
        self.strip
            .extend(self.sums[last..].iter().map(|sum| average(*sum, cut)));
        self.sums.fill(0);
        self.summed_rows = 0;
    }

    fn narrow_strip(&mut self) -> Result<(), ImageError> {
        let rows = (self.strip.len() / (self.boxed.0 as usize * 3)) as u32;
        if rows == 0 {
            return Ok(());
        }
        if self.boxed.0 == self.to.0 && self.from.0.is_multiple_of(self.side) {
            self.narrowed.extend_from_slice(&self.strip);
        } else {
            let visible = f64::from(self.from.0) / f64::from(self.side);
            self.narrowed.extend(resize(
                &self.strip,
                3,
                (self.boxed.0, rows),
                (visible, f64::from(rows)),
                (self.to.0, rows),
            )?);
        }
        self.strip.clear();
        Ok(())
    }

    /// The picture, once every row has come; before that it fails with [`ImageError::Corrupt`].
    pub(super) fn finish(mut self) -> Result<Raster, ImageError> {
        if self.rows != self.from.1 {
            return Err(ImageError::corrupt("rows are missing"));
        }
        self.narrow_strip()?;
        self.strip = Vec::new();
        let (width, height) = self.to;
        let rgb = if self.boxed.1 == height && self.from.1.is_multiple_of(self.side) {
            self.narrowed
        } else {
            let visible = f64::from(self.from.1) / f64::from(self.side);
            resize(
                &self.narrowed,
                3,
                (width, self.boxed.1),
                (f64::from(width), visible),
                self.to,
            )?
        };
        Ok(Raster { width, height, rgb })
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::gradient;
    use super::*;

    #[test]
    fn the_upright_picture_fits_and_is_never_enlarged() {
        let upright = Orientation::default();
        let turned = Orientation::from_exif(6);
        for (stored, orientation, expected) in [
            ((100, 80), upright, (100, 80)),
            ((2048, 4096), upright, (2048, 4096)),
            ((4096, 2048), turned, (4096, 2048)),
            ((4000, 3000), upright, (2048, 1536)),
            ((4000, 3000), turned, (2731, 2048)),
            ((1000, 8192), upright, (500, 4096)),
            ((8192, 1000), turned, (4096, 500)),
            ((65_535, 3), upright, (2048, 1)),
        ] {
            assert_eq!(fit(stored, orientation), expected, "{stored:?}");
        }
    }

    #[test]
    fn row_by_row_equals_the_whole() {
        for (from, to) in [
            ((640, 480), (640, 480)),
            ((640, 480), (320, 240)),
            ((641, 479), (100, 75)),
            ((1000, 700), (999, 700)),
            ((333, 777), (90, 210)),
        ] {
            let picture = gradient(from.0, from.1);
            let mut rows = RowShrinker::new(from, to);
            for row in picture.rgb.chunks_exact(from.0 as usize * 3) {
                rows.push(row).expect("rows fit");
            }
            let found = rows.finish().expect("all rows came");
            let expected = shrink(&picture.rgb, 3, from, to).expect("shrinks");
            assert_eq!((found.width, found.height), to);
            let worst = found
                .rgb
                .iter()
                .zip(&expected)
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            assert!(worst <= Some(3), "{from:?} to {to:?}: {worst:?}");
        }
    }

    #[test]
    fn missing_rows_are_corrupt() {
        let mut rows = RowShrinker::new((64, 64), (32, 32));
        rows.push(&[0; 64 * 3]).expect("a row");
        assert!(matches!(rows.finish(), Err(ImageError::Corrupt { .. })));
    }
}
