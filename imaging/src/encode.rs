//! The two encoders. They are given pixels and nothing else, so that no metadata can come along.
//!
//! The caller bounds the size of the output. A file that comes out larger is made again at a lower
//! quality. Ordinary pictures never come near their bounds (`caps`), so they get the first quality;
//! the others are for noise.

use bytes::Bytes;
use jpeg_encoder::{ColorType, SamplingFactor};
use webp::WebPConfig;

use super::{ImageError, Raster};

/// Qualities on libwebp's scale of 0 to 100. The first is what most image servers use for
/// photographs. Each of the others is tried where the file came out too large with the one before.
const WEBP_QUALITIES: [f32; 4] = [80.0, 55.0, 30.0, 5.0];

/// The greatest width, in pixels, that gets libwebp's usual effort. Narrow variants are sent most
/// often and cost little.
pub(super) const CAREFUL_WIDTH: u32 = 640;

/// libwebp's effort, 0 to 6, up to [`CAREFUL_WIDTH`].
const CAREFUL_METHOD: i32 = 4;

/// libwebp's effort above [`CAREFUL_WIDTH`]. On a photograph of 2048 x 1536 this takes half the
/// time of effort 4 (0.16 s against 0.33 s) and half the memory, for a file 5 % larger.
const QUICK_METHOD: i32 = 2;

/// Like [`WEBP_QUALITIES`], for the frames of an animation, which pass by quickly and are many.
pub(super) const FRAME_QUALITIES: [f32; 5] = [75.0, 55.0, 35.0, 15.0, 0.0];

/// Qualities on the IJG scale of 1 to 100, used like [`WEBP_QUALITIES`].
const JPEG_QUALITIES: [u8; 4] = [82, 55, 30, 8];

/// The quality, on the IJG scale, of a file that only a model sees.
const SCREENING_QUALITY: u8 = 88;

/// Makes a lossy WebP file of a still, of at most `most` bytes.
///
/// # Errors
/// [`ImageError::TooManyBytes`] where even the lowest quality takes more; [`ImageError::Encode`].
pub(super) fn webp_still(raster: &Raster, most: usize) -> Result<Bytes, ImageError> {
    let method = if raster.width <= CAREFUL_WIDTH {
        CAREFUL_METHOD
    } else {
        QUICK_METHOD
    };
    for quality in WEBP_QUALITIES {
        let file = webp(raster, quality, method)?;
        if file.len() <= most {
            return Ok(file);
        }
    }
    Err(ImageError::TooManyBytes)
}

/// Makes a lossy WebP file of a frame of an animation, or of a part of one, with this quality.
pub(super) fn webp_frame(raster: &Raster, quality: f32) -> Result<Bytes, ImageError> {
    webp(raster, quality, QUICK_METHOD)
}

/// Makes a lossy WebP file of any quality (0 to 100) and effort (0 to 6).
pub(super) fn webp(raster: &Raster, quality: f32, method: i32) -> Result<Bytes, ImageError> {
    let mut config =
        WebPConfig::new().map_err(|()| ImageError::encode("libwebp of another version"))?;
    config.quality = quality;
    config.method = method;
    let file = webp::Encoder::from_rgb(&raster.rgb, raster.width, raster.height)
        .encode_advanced(&config)
        .map_err(|error| ImageError::encode(format!("{error:?}")))?;
    Ok(Bytes::copy_from_slice(&file))
}

/// Makes a progressive JPEG file with 4:2:0 sampling and its own Huffman tables, of at most `most`
/// bytes.
///
/// # Errors
/// [`ImageError::TooManyBytes`] where even the lowest quality takes more; [`ImageError::Encode`].
pub(super) fn jpeg(raster: &Raster, most: usize) -> Result<Bytes, ImageError> {
    for quality in JPEG_QUALITIES {
        let file = write_jpeg(raster, quality, true)?;
        if file.len() <= most {
            return Ok(file);
        }
    }
    Err(ImageError::TooManyBytes)
}

/// Makes a plain sequential JPEG file with 4:2:0 sampling, which every JPEG reader can read.
pub(super) fn screening_jpeg(raster: &Raster) -> Result<Bytes, ImageError> {
    write_jpeg(raster, SCREENING_QUALITY, false)
}

fn write_jpeg(raster: &Raster, quality: u8, progressive: bool) -> Result<Bytes, ImageError> {
    let side = |length: u32| u16::try_from(length).map_err(ImageError::encode);
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_progressive(progressive);
    encoder.set_optimized_huffman_tables(progressive);
    encoder
        .encode(
            &raster.rgb,
            side(raster.width)?,
            side(raster.height)?,
            ColorType::Rgb,
        )
        .map_err(ImageError::encode)?;
    Ok(Bytes::from(file))
}

#[cfg(test)]
mod tests {
    use super::super::caps;
    use super::super::samples::{blobs, noise};
    use super::*;

    #[test]
    fn noise_gets_less_quality_until_it_fits() {
        for (width, height) in [(32, 32), (320, 320), (640, 200), (1000, 700)] {
            let noise = noise(width, height, 1);
            let most = caps::still_bytes(width, height);
            let best = webp(&noise, WEBP_QUALITIES[0], QUICK_METHOD).expect("encodes");
            let file = webp_still(&noise, most).expect("fits");
            assert!(file.len() <= most, "{width}x{height}: {}", file.len());
            assert!(width < 320 || best.len() > most, "a test of nothing");
            assert!(jpeg(&noise, most).expect("fits").len() <= most);
        }
    }

    #[test]
    fn what_fits_keeps_the_best_quality_to_the_byte() {
        let picture = blobs(700, 500, 3);
        let most = caps::still_bytes(700, 500);
        assert_eq!(
            webp_still(&picture, most).expect("fits"),
            webp(&picture, WEBP_QUALITIES[0], QUICK_METHOD).expect("encodes")
        );
        assert_eq!(
            jpeg(&picture, most).expect("fits"),
            write_jpeg(&picture, JPEG_QUALITIES[0], true).expect("encodes")
        );
    }

    #[test]
    fn what_fits_with_no_quality_is_refused() {
        let noise = noise(64, 64, 1);
        for result in [webp_still(&noise, 100), jpeg(&noise, 100)] {
            assert!(matches!(result, Err(ImageError::TooManyBytes)));
        }
    }
}
