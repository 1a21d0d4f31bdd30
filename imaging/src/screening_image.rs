//! Makes one small JPEG for a screener that takes nothing else and is paid by the picture.

use bytes::Bytes;

use super::{ImageError, Raster, encode, shrink};

/// The most pixels that are worth sending.
pub(super) const MAX_PIXELS: u32 = 1_000_000;

/// The shortest side that Rekognition accepts, in pixels.
const MIN_SIDE: u32 = 80;

/// The longest side that Rekognition accepts, in pixels.
const MAX_SIDE: u32 = 10_000;

/// The largest file that Rekognition accepts, in bytes.
const MAX_BYTES: usize = 5_000_000;

/// A JPEG that we made: at most a megapixel, at most 5 MB, no side under 80 pixels. Only this
/// module can make one.
#[derive(Clone)]
pub struct ScreeningImage {
    jpeg: Bytes,
}

impl ScreeningImage {
    /// The bytes of the file.
    #[must_use]
    pub fn jpeg(&self) -> &Bytes {
        &self.jpeg
    }
}

impl std::fmt::Debug for ScreeningImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScreeningImage({} bytes)", self.jpeg.len())
    }
}

/// Makes one small JPEG of this picture.
///
/// # Errors
/// [`ImageError::Encode`] when it cannot be made.
pub fn screening_image(raster: &Raster) -> Result<ScreeningImage, ImageError> {
    let (width, height) = size(raster.width, raster.height);
    let jpeg = encode::screening_jpeg(&shrink::to_size(raster, width, height)?)?;
    if jpeg.len() > MAX_BYTES {
        return Err(ImageError::encode(format!(
            "a screening image of {} bytes",
            jpeg.len()
        )));
    }
    Ok(ScreeningImage { jpeg })
}

/// The largest size that is allowed and no larger than the picture, but with no side under
/// [`MIN_SIDE`]. The shape is kept up to 125 : 1; longer pictures are squeezed.
fn size(width: u32, height: u32) -> (u32, u32) {
    let (long, short) = (width.max(height), width.min(height).max(1));
    let pixels = f64::from(long) * f64::from(short);
    let shrinking = (f64::from(MAX_PIXELS) / pixels).sqrt().min(1.0);
    let scale = shrinking.max(f64::from(MIN_SIDE) / f64::from(short));
    // Rounding down keeps the product under the limit.
    let short = ((f64::from(short) * scale) as u32).max(MIN_SIDE);
    let most = MAX_SIDE.min(MAX_PIXELS / short);
    let long = ((f64::from(long) * scale) as u32).clamp(short.min(most), most);
    if width >= height {
        (long, short)
    } else {
        (short, long)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{blobs, solid};
    use super::*;

    #[test]
    fn every_size_ends_within_the_limits_and_keeps_its_shape() {
        for (width, height, expected) in [
            (2048, 1536, (1154, 866)),
            (1536, 2048, (866, 1154)),
            (1000, 1000, (1000, 1000)),
            (500, 300, (500, 300)),
            (2048, 4096, (707, 1414)),
            (32, 32, (80, 80)),
            (32, 64, (80, 160)),
            (2048, 52, (3150, 80)),
            (52, 2048, (80, 3150)),
            (4096, 16, (10_000, 80)),
            (1, 1, (80, 80)),
        ] {
            let found = size(width, height);
            assert_eq!(found, expected, "{width}x{height}");
            assert!(found.0 * found.1 <= MAX_PIXELS && found.0.min(found.1) >= MIN_SIDE);
        }
    }

    #[test]
    fn the_file_is_a_plain_jpeg_of_that_size() {
        for raster in [blobs(1600, 1200, 7), solid(40, 40, [9, 9, 9])] {
            let image = screening_image(&raster).expect("encodes");
            assert!(image.jpeg().len() <= MAX_BYTES);
            let mut decoder = jpeg_decoder::Decoder::new(&image.jpeg()[..]);
            decoder.decode().expect("is a JPEG");
            let info = decoder.info().expect("was read");
            assert_eq!(
                (u32::from(info.width), u32::from(info.height)),
                size(raster.width, raster.height)
            );
            assert_eq!(
                info.coding_process,
                jpeg_decoder::CodingProcess::DctSequential
            );
        }
    }

    #[test]
    fn even_noise_stays_far_under_the_largest_file() {
        // The worst case for a JPEG is a picture in which no two pixels are alike.
        let mut state = 1_u32;
        let rgb = (0..3_000_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let noise = Raster {
            width: 1000,
            height: 1000,
            rgb,
        };
        let image = screening_image(&noise).expect("encodes");
        assert!(image.jpeg().len() < MAX_BYTES / 2, "{image:?}");
    }
}
