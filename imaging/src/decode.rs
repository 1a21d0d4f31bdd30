//! Decodes a file to one upright sRGB raster.

use std::path::Path;
use std::time::Instant;

use super::animation::Player;
use super::decoded::{Decoded, whole};
use super::error::guarded;
use super::{Format, ImageError, Inspected, Raster, decode_jpeg, decode_png, decode_webp};

/// Decodes a still, or the first frame of an animation. The result is shrunk to fit in
/// [`super::MAX_WIDTH`] x [`super::MAX_HEIGHT`], flattened on white, in sRGB, and upright.
///
/// `path` and `inspected` must belong together. `deadline` is checked as the file is read.
///
/// # Errors
/// [`ImageError::Corrupt`], [`ImageError::TimedOut`], [`ImageError::Io`].
pub fn decode_still(
    path: &Path,
    inspected: &Inspected,
    deadline: Instant,
) -> Result<Raster, ImageError> {
    guarded(|| {
        let decoded = match inspected.format {
            Format::Jpeg => decode_jpeg::decode(path, inspected, deadline)?,
            Format::Png if !inspected.composed => decode_png::decode(path, inspected, deadline)?,
            Format::WebP if !inspected.animated => decode_webp::decode(path, inspected, deadline)?,
            _ => {
                let mut player = Player::open(path, inspected, deadline)?;
                player.advance()?;
                Decoded {
                    space: player.space(inspected),
                    gray: player.gray(),
                    raster: whole(player.into_rgb(), 3, inspected)?,
                }
            }
        };
        Ok(decoded.finish(inspected))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::samples::{
        OUTPUTS, chunk, deflated, exif_block, gif_frames, gradient, insert_after_ihdr,
        insert_after_soi, jpeg_of, jpeg_of_inks, p3_profile, png_of, png_rgb, segment, solid,
        webp_rgba, webp_still, write,
    };
    use super::super::{Limits, inspect, shrink};
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Raster, ImageError> {
        let file = write(bytes);
        let inspected = inspect(file.path(), &Limits::default(), &OUTPUTS)?;
        decode_still(
            file.path(),
            &inspected,
            Instant::now() + Duration::from_secs(20),
        )
    }

    fn close(found: [u8; 3], expected: [u8; 3], most: u8) -> bool {
        found
            .iter()
            .zip(expected)
            .all(|(a, b)| a.abs_diff(b) <= most)
    }

    #[test]
    fn every_format_shows_its_color() {
        let red = solid(64, 48, [200, 40, 30]);
        for (name, bytes) in [
            ("jpeg", jpeg_of(&red, jpeg_encoder::ColorType::Rgb, false)),
            (
                "progressive",
                jpeg_of(&red, jpeg_encoder::ColorType::Rgb, true),
            ),
            ("png", png_of(64, 48, png::ColorType::Rgb, &red.rgb)),
            ("webp", webp_still(&red, 90.0)),
            ("gif", gif_frames(64, 48, &[(0, [200, 40, 30])])),
        ] {
            let found = decode(&bytes).expect("decodes");
            assert_eq!((found.width, found.height), (64, 48), "{name}");
            assert!(close(found.pixel(10, 10), [200, 40, 30], 6), "{name}");
        }
    }

    #[test]
    fn large_pictures_are_shrunk_to_fit() {
        let wide = gradient(2500, 400);
        for bytes in [
            jpeg_of(&wide, jpeg_encoder::ColorType::Rgb, false),
            png_of(2500, 400, png::ColorType::Rgb, &wide.rgb),
            webp_still(&wide, 90.0),
        ] {
            let found = decode(&bytes).expect("decodes");
            assert_eq!((found.width, found.height), (2048, 328));
            let expected = shrink::to_width(&wide, 2048).expect("shrinks");
            assert!(close(found.pixel(1000, 160), expected.pixel(1000, 160), 8));
        }
    }

    #[test]
    fn all_orientations_of_a_jpeg_end_upright() {
        // The left half is black and the right half white, as stored. Each case says where the
        // black half must come out.
        let mut stored = solid(64, 48, [255; 3]);
        for row in stored.rgb.chunks_exact_mut(64 * 3) {
            row[..32 * 3].fill(0);
        }
        let file = jpeg_of(&stored, jpeg_encoder::ColorType::Rgb, false);
        for (value, (x, y)) in [
            (1, (4, 24)),
            (2, (60, 24)),
            (3, (60, 24)),
            (4, (4, 24)),
            (5, (24, 4)),
            (6, (24, 4)),
            (7, (24, 60)),
            (8, (24, 60)),
        ] {
            let mut body = b"Exif\0\0".to_vec();
            body.extend(exif_block(value, false));
            let found = decode(&insert_after_soi(&file, &segment(0xe1, &body))).expect("decodes");
            let size = if value < 5 { (64, 48) } else { (48, 64) };
            assert_eq!((found.width, found.height), size, "orientation {value}");
            assert!(close(found.pixel(x, y), [0; 3], 6), "orientation {value}");
            let (x, y) = (size.0 - 1 - x, size.1 - 1 - y);
            assert!(close(found.pixel(x, y), [255; 3], 6), "orientation {value}");
        }
    }

    #[test]
    fn white_on_transparent_becomes_white() {
        let clear = [255, 255, 255, 0].repeat(64 * 48);
        let black_clear = [0, 0, 0, 0].repeat(64 * 48);
        for bytes in [
            png_of(64, 48, png::ColorType::Rgba, &clear),
            png_of(64, 48, png::ColorType::Rgba, &black_clear),
            png_of(
                64,
                48,
                png::ColorType::GrayscaleAlpha,
                &[0, 0].repeat(64 * 48),
            ),
            webp_rgba(64, 48, &black_clear),
        ] {
            let found = decode(&bytes).expect("decodes");
            assert_eq!(found.pixel(20, 20), [255; 3]);
        }
    }

    #[test]
    fn sixteen_bit_png_is_reduced() {
        let samples = [0xc8, 0x12, 0x28, 0x34, 0x1e, 0x56].repeat(64 * 48);
        let bytes = super::super::samples::png_with(
            64,
            48,
            png::ColorType::Rgb,
            png::BitDepth::Sixteen,
            &samples,
            |_| {},
        );
        assert!(close(
            decode(&bytes).expect("decodes").pixel(9, 9),
            [200, 40, 30],
            1
        ));
    }

    #[test]
    fn palette_and_transparency_are_expanded() {
        let indices = [0x01].repeat(64 * 48 / 8);
        let bytes = super::super::samples::png_with(
            64,
            48,
            png::ColorType::Indexed,
            png::BitDepth::One,
            &indices,
            |encoder| {
                encoder.set_palette(vec![0, 0, 0, 200, 40, 30]);
                encoder.set_trns(vec![0, 255]);
            },
        );
        let found = decode(&bytes).expect("decodes");
        assert_eq!(found.pixel(0, 0), [255; 3]);
        assert_eq!(found.pixel(7, 0), [200, 40, 30]);
    }

    #[test]
    fn gray_pictures_become_rgb() {
        let gray = vec![99; 64 * 48];
        let picture = Raster {
            width: 64,
            height: 48,
            rgb: gray.clone(),
        };
        for bytes in [
            png_of(64, 48, png::ColorType::Grayscale, &gray),
            jpeg_of(&picture, jpeg_encoder::ColorType::Luma, false),
        ] {
            assert!(close(
                decode(&bytes).expect("decodes").pixel(5, 5),
                [99; 3],
                1
            ));
        }
    }

    #[test]
    fn inks_become_light() {
        for (kind, name) in [
            (jpeg_encoder::ColorType::Cmyk, "cmyk"),
            (jpeg_encoder::ColorType::CmykAsYcck, "ycck"),
        ] {
            let found = decode(&jpeg_of_inks(64, 48, [0, 255, 255, 0], kind)).expect("decodes");
            assert!(
                close(found.pixel(8, 8), [255, 0, 0], 8),
                "{name}: {:?}",
                found.pixel(8, 8)
            );
        }
    }

    #[test]
    fn wide_gamut_is_converted() {
        let flat = solid(64, 48, [200, 100, 50]);
        let icc = p3_profile();
        let mut segment_body = b"ICC_PROFILE\0\x01\x01".to_vec();
        segment_body.extend_from_slice(&icc);
        let mut chunk_body = b"P3\0\0".to_vec();
        chunk_body.extend(deflated(&icc));
        let jpeg = jpeg_of(&flat, jpeg_encoder::ColorType::Rgb, false);
        let png = png_of(64, 48, png::ColorType::Rgb, &flat.rgb);
        for bytes in [
            insert_after_soi(&jpeg, &segment(0xe2, &segment_body)),
            insert_after_ihdr(&png, &chunk(b"iCCP", &chunk_body)),
        ] {
            let found = decode(&bytes).expect("decodes").pixel(30, 30);
            assert!(close(found, [213, 95, 32], 5), "{found:?}");
        }
    }

    #[test]
    fn cut_off_pictures_are_corrupt() {
        let noise = gradient(900, 700);
        for (name, bytes) in [
            ("jpeg", jpeg_of(&noise, jpeg_encoder::ColorType::Rgb, false)),
            (
                "progressive",
                jpeg_of(&noise, jpeg_encoder::ColorType::Rgb, true),
            ),
            ("png", png_of(900, 700, png::ColorType::Rgb, &noise.rgb)),
            ("webp", webp_still(&noise, 80.0)),
            ("gif", gif_frames(900, 700, &[(0, [1; 3])])),
        ] {
            let length = bytes.len();
            assert!(decode(&bytes).is_ok(), "{name} whole");
            for keep in [
                length - 20,
                length - 1000.min(length / 3),
                length * 9 / 10,
                length / 2,
                length / 10,
                60,
            ] {
                let result = decode(&bytes[..keep]);
                assert!(
                    matches!(result, Err(ImageError::Corrupt { .. })),
                    "{name} cut at {keep} of {length}: {result:?}"
                );
            }
        }
    }

    #[test]
    fn broken_png_data_is_corrupt() {
        let mut bytes = png_rgb(64, 48);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        assert!(matches!(decode(&bytes), Err(ImageError::Corrupt { .. })));
    }

    #[test]
    fn a_passed_deadline_ends_decoding() {
        for bytes in [
            png_rgb(64, 48),
            webp_still(&solid(64, 48, [5; 3]), 80.0),
            gif_frames(64, 48, &[(0, [5; 3])]),
            jpeg_of(&gradient(64, 48), jpeg_encoder::ColorType::Rgb, false),
        ] {
            let file = write(&bytes);
            let inspected =
                inspect(file.path(), &Limits::default(), &OUTPUTS).expect("a good picture");
            let result = decode_still(file.path(), &inspected, Instant::now());
            assert!(matches!(result, Err(ImageError::TimedOut)), "{result:?}");
        }
    }
}
