//! What is shown while a picture loads: about 25 bytes in the database, from which a tiny picture
//! is made for the page.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::error::guarded;
use super::{ImageError, Raster, encode, shrink};

/// The longest side that a thumbhash is made from, in pixels. The algorithm sets this limit.
const MAX_SIDE: u32 = 100;

/// The quality on libwebp's scale of 0 to 100. The picture is a blur and has no detail to lose.
const QUALITY: f32 = 30.0;

/// The thumbhash of a picture, at most 25 bytes.
///
/// # Errors
/// [`ImageError::Encode`] for a raster whose pixels do not fit its size.
pub fn thumbhash(raster: &Raster) -> Result<Vec<u8>, ImageError> {
    let longest = raster.width.max(raster.height);
    let (width, height) = if longest <= MAX_SIDE {
        (raster.width, raster.height)
    } else {
        (
            shrink::scale(raster.width, MAX_SIDE, longest),
            shrink::scale(raster.height, MAX_SIDE, longest),
        )
    };
    let from = (raster.width, raster.height);
    let rgb = shrink::shrink(&raster.rgb, 3, from, (width, height))?;
    let (pixels, _) = rgb.as_chunks::<3>();
    let rgba: Vec<u8> = pixels
        .iter()
        .flat_map(|[r, g, b]| [*r, *g, *b, 255])
        .collect();
    Ok(thumbhash::rgba_to_thumb_hash(
        width as usize,
        height as usize,
        &rgba,
    ))
}

/// A tiny WebP made from a thumbhash, as a `data:` URL of usually under 250 characters.
///
/// # Errors
/// [`ImageError::Corrupt`] for bytes that are not a thumbhash.
pub fn placeholder_data_url(thumbhash: &[u8]) -> Result<String, ImageError> {
    let (width, height, rgba) = guarded(|| {
        thumbhash::thumb_hash_to_rgba(thumbhash)
            .map_err(|()| ImageError::corrupt("not a thumbhash"))
    })?;
    let (pixels, _) = rgba.as_chunks::<4>();
    let blur = Raster {
        width: width as u32,
        height: height as u32,
        rgb: pixels
            .iter()
            .flat_map(|[r, g, b, _]| [*r, *g, *b])
            .collect(),
    };
    let file = encode::webp(&blur, QUALITY, 6)?;
    Ok(format!(
        "data:image/webp;base64,{}",
        BASE64_STANDARD.encode(file)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{blobs, solid};
    use super::*;

    #[test]
    fn placeholders_are_small_and_of_the_right_color() {
        for (width, height) in [(640, 480), (480, 2000), (64, 48)] {
            for seed in 0..5 {
                let hash = thumbhash(&blobs(width, height, seed)).expect("hashes");
                assert!(hash.len() <= 25, "{} bytes", hash.len());
                let url = placeholder_data_url(&hash).expect("a hash of ours");
                assert!(url.len() < 250, "{} characters", url.len());
            }
        }
        let hash = thumbhash(&solid(300, 200, [200, 40, 30])).expect("hashes");
        let url = placeholder_data_url(&hash).expect("a hash of ours");
        let file = BASE64_STANDARD
            .decode(url.trim_start_matches("data:image/webp;base64,"))
            .expect("base64");
        let mut decoder =
            image_webp::WebPDecoder::new(std::io::Cursor::new(file)).expect("a WebP file");
        let mut pixels = vec![0; decoder.output_buffer_size().expect("small")];
        decoder.read_image(&mut pixels).expect("decodes");
        assert!(pixels[0].abs_diff(200) < 16 && pixels[1].abs_diff(40) < 16);
    }

    #[test]
    fn broken_hashes_are_errors() {
        for bytes in [&b""[..], b"\0", b"\xff\xff\xff"] {
            assert!(placeholder_data_url(bytes).is_err(), "{bytes:?}");
        }
    }
}
