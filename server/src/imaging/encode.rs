//! The two encoders, each given pixels and nothing else, so that no metadata can come along.

use bytes::Bytes;
use jpeg_encoder::{ColorType, SamplingFactor};
use webp::WebPConfig;

use super::{ImageError, Raster};

/// libwebp's scale, 0 to 100: what most image servers settle on for photographs.
const WEBP_QUALITY: f32 = 80.0;

/// Widest picture, in pixels, worth libwebp's usual effort. Narrow variants are the ones sent most, and cost little.
const CAREFUL_WIDTH: u32 = 640;

/// libwebp's effort, 0 to 6, up to [`CAREFUL_WIDTH`].
const CAREFUL_METHOD: i32 = 4;

/// libwebp's effort above that. On a photograph of 2048 x 1536 this takes half the time of 4 (0.16 s against 0.33 s) and half the memory, for a file 5 % larger.
const QUICK_METHOD: i32 = 2;

/// As [`WEBP_QUALITY`] for frames, which pass by quickly and are many.
const FRAME_QUALITY: f32 = 75.0;

/// The IJG scale, 1 to 100.
const JPEG_QUALITY: u8 = 82;

/// As [`JPEG_QUALITY`] for a file that only a model sees.
const SCREENING_QUALITY: u8 = 88;

/// A lossy WebP file of a still.
pub(super) fn webp_still(raster: &Raster) -> Result<Bytes, ImageError> {
    let method = if raster.width <= CAREFUL_WIDTH {
        CAREFUL_METHOD
    } else {
        QUICK_METHOD
    };
    webp(raster, WEBP_QUALITY, method)
}

/// A lossy WebP file of an animation's frame, or a part of one.
pub(super) fn webp_frame(raster: &Raster) -> Result<Bytes, ImageError> {
    webp(raster, FRAME_QUALITY, QUICK_METHOD)
}

/// A lossy WebP file of any quality (0 to 100) and effort (0 to 6).
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

/// A progressive JPEG file with 4:2:0 sampling and its own Huffman tables.
pub(super) fn jpeg(raster: &Raster) -> Result<Bytes, ImageError> {
    write_jpeg(raster, JPEG_QUALITY, true)
}

/// A plain sequential JPEG file with 4:2:0 sampling: what every reader of JPEG reads.
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
