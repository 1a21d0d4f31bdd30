//! The encoders. They are given pixels and nothing else, so that no metadata can come along.
//!
//! The caller bounds the size of the output. A file that comes out larger is made again at a lower
//! quality. Ordinary pictures never come near their bounds (`caps`), so they get the quality that
//! was asked for; the others are for noise.

use bytes::Bytes;
use mozjpeg_rs::{Encoder, Subsampling, TrellisConfig};
use webp::WebPConfig;

use super::avif::avif;
use super::{ImageError, Raster};

/// Qualities on libwebp's scale of 0 to 100. Each is tried where the file came out too large with
/// the one before.
const LOWER_WEBP_QUALITIES: [f32; 3] = [55.0, 30.0, 5.0];

/// Qualities on the IJG scale of 1 to 100, used like [`LOWER_WEBP_QUALITIES`].
const LOWER_JPEG_QUALITIES: [u8; 3] = [55, 30, 8];

/// Quantizers of AV1, used like [`LOWER_WEBP_QUALITIES`].
const COARSER_QUANTIZERS: [u8; 3] = [170, 210, 250];

/// The greatest width, in pixels, that gets libwebp's usual effort. Narrow variants are sent most
/// often and cost little.
pub(super) const CAREFUL_WIDTH: u32 = 768;

/// libwebp's effort, 0 to 6, up to [`CAREFUL_WIDTH`].
pub(super) const CAREFUL_METHOD: i32 = 4;

/// libwebp's effort above [`CAREFUL_WIDTH`]. On a photograph of 2048 x 1536 this takes half the
/// time of effort 4 (0.16 s against 0.33 s) and half the memory, for a file 5 % larger.
pub(super) const QUICK_METHOD: i32 = 2;

/// The most pixels of a file with libwebp's usual effort that may have any quality. The better the
/// quality, the more memory noise takes, and a larger file would take too much.
const CAREFUL_PIXELS: u64 = 4_000_000;

/// The most pixels of a wider file that may have [`QUICK_QUALITY`]. An upright photograph of 2048 x
/// 2731 has 5.6 million.
const QUICK_PIXELS: u64 = 5_700_000;

/// The best quality of a wider file.
const QUICK_QUALITY: f32 = 88.0;

/// The best quality of files with more pixels than that.
const LARGE_QUALITY: f32 = 76.0;

/// Like [`LOWER_WEBP_QUALITIES`], for the frames of an animation, which are many and pass quickly.
pub(super) const FRAME_QUALITIES: [f32; 5] = [75.0, 55.0, 35.0, 15.0, 0.0];

/// The quality, on the IJG scale, of a file that only a model sees.
const SCREENING_QUALITY: u8 = 88;

/// True for a WebP file of a still with so many pixels that its quality is bounded.
pub(super) fn is_large(width: u32, pixels: u64) -> bool {
    let most = if width <= CAREFUL_WIDTH {
        CAREFUL_PIXELS
    } else {
        QUICK_PIXELS
    };
    pixels > most
}

/// Makes a lossy WebP file of a still with this quality, or less so that it takes at most `most`
/// bytes.
///
/// # Errors
/// [`ImageError::TooManyBytes`] where even the lowest quality takes more; [`ImageError::Encode`].
pub(super) fn webp_still(raster: &Raster, quality: f32, most: usize) -> Result<Bytes, ImageError> {
    let method = if raster.width <= CAREFUL_WIDTH {
        CAREFUL_METHOD
    } else {
        QUICK_METHOD
    };
    let pixels = u64::from(raster.width) * u64::from(raster.height);
    let quality = if is_large(raster.width, pixels) {
        quality.min(LARGE_QUALITY)
    } else if method == QUICK_METHOD {
        quality.min(QUICK_QUALITY)
    } else {
        quality
    };
    let lower = LOWER_WEBP_QUALITIES.into_iter().filter(|q| *q < quality);
    first_that_fits(most, quality, lower, |quality| {
        webp(raster, quality, method)
    })
}

/// Makes an AVIF file of a still with this quantizer, or a coarser one so that it takes at most
/// `most` bytes.
///
/// # Errors
/// Like [`webp_still`].
pub(super) fn avif_still(raster: &Raster, quantizer: u8, most: usize) -> Result<Bytes, ImageError> {
    let coarser = COARSER_QUANTIZERS.into_iter().filter(|q| *q > quantizer);
    first_that_fits(most, quantizer, coarser, |quantizer| {
        avif(raster, quantizer)
    })
}

/// The file that `make` makes with the first of these qualities at which it takes at most `most`
/// bytes.
fn first_that_fits<Q>(
    most: usize,
    best: Q,
    lower: impl Iterator<Item = Q>,
    make: impl Fn(Q) -> Result<Bytes, ImageError>,
) -> Result<Bytes, ImageError> {
    for quality in std::iter::once(best).chain(lower) {
        let file = make(quality)?;
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

/// Makes a progressive JPEG file with 4:2:0 sampling and its own Huffman tables, with this quality
/// or less so that it takes at most `most` bytes.
///
/// # Errors
/// Like [`webp_still`].
pub(super) fn jpeg(raster: &Raster, quality: u8, most: usize) -> Result<Bytes, ImageError> {
    let lower = LOWER_JPEG_QUALITIES.into_iter().filter(|q| *q < quality);
    first_that_fits(most, quality, lower, |quality| {
        write_jpeg(raster, &progressive(quality))
    })
}

/// The encoder of previews. It weighs every coefficient by what it costs, but not the averages of
/// blocks: that saved one byte of a thousand in a photograph of 1280 x 960.
fn progressive(quality: u8) -> Encoder {
    let trellis = TrellisConfig::default().dc_trellis(false);
    let encoder = Encoder::progressive_balanced().trellis(trellis);
    encoder.quality(quality)
}

/// Makes a plain sequential JPEG file with 4:2:0 sampling, which every JPEG reader can read.
pub(super) fn screening_jpeg(raster: &Raster) -> Result<Bytes, ImageError> {
    let encoder = Encoder::fastest().subsampling(Subsampling::S420);
    write_jpeg(raster, &encoder.quality(SCREENING_QUALITY))
}

fn write_jpeg(raster: &Raster, encoder: &Encoder) -> Result<Bytes, ImageError> {
    let file = encoder.encode_rgb(&raster.rgb, raster.width, raster.height);
    file.map(Bytes::from).map_err(ImageError::encode)
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
            let best = webp(&noise, 90.0, QUICK_METHOD).expect("encodes");
            assert!(width < 320 || best.len() > most, "a test of nothing");
            for file in [
                webp_still(&noise, 90.0, most),
                avif_still(&noise, 60, most),
                jpeg(&noise, 90, most),
            ] {
                let bytes = file.expect("fits").len();
                assert!(bytes <= most, "{width}x{height}: {bytes}");
            }
        }
    }

    #[test]
    fn what_fits_keeps_the_quality_that_was_asked_for_to_the_byte() {
        let picture = blobs(900, 500, 3);
        let most = caps::still_bytes(900, 500);
        assert_eq!(
            webp_still(&picture, 71.5, most).expect("fits"),
            webp(&picture, 71.5, QUICK_METHOD).expect("encodes")
        );
        assert_eq!(
            avif_still(&picture, 99, most).expect("fits"),
            avif(&picture, 99).expect("encodes")
        );
        assert_eq!(
            jpeg(&picture, 77, most).expect("fits"),
            write_jpeg(&picture, &progressive(77)).expect("encodes")
        );
    }

    #[test]
    fn the_quality_of_wide_and_of_very_large_files_is_bounded() {
        for (width, height, expected) in [
            (768, 10, 94.0),
            (769, 10, QUICK_QUALITY),
            (500, 8001, LARGE_QUALITY),
            (1000, 5701, LARGE_QUALITY),
        ] {
            let flat = Raster {
                width,
                height,
                rgb: vec![90; (width * height * 3) as usize],
            };
            let method = if width <= CAREFUL_WIDTH {
                CAREFUL_METHOD
            } else {
                QUICK_METHOD
            };
            assert_eq!(
                webp_still(&flat, 94.0, usize::MAX).expect("fits"),
                webp(&flat, expected, method).expect("encodes"),
                "{width} x {height}"
            );
        }
    }

    #[test]
    fn what_fits_with_no_quality_is_refused() {
        let noise = noise(64, 64, 1);
        for result in [
            webp_still(&noise, 80.0, 100),
            avif_still(&noise, 100, 100),
            jpeg(&noise, 80, 100),
        ] {
            assert!(matches!(result, Err(ImageError::TooManyBytes)));
        }
    }
}
