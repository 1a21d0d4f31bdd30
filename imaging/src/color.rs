//! Converts colours to sRGB, by the picture's ICC profile where it has a sound one. A broken
//! profile counts as none, and a picture without a profile counts as sRGB.

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use super::ImageError;
use super::error::guarded;

/// How many pixels are converted at a time. They are few, so that the copy stays in the CPU cache.
const CHUNK: usize = 4096;

/// Converts RGB pixels in place. `gray` says that the picture was stored gray, which a gray profile
/// needs.
pub(super) fn to_srgb(rgb: &mut [u8], gray: bool, icc: &[u8]) {
    let converted = guarded(|| convert_in_place(rgb, gray, icc));
    drop(converted);
}

fn convert_in_place(rgb: &mut [u8], gray: bool, icc: &[u8]) -> Result<(), ImageError> {
    let profile = parse(icc)?;
    let layout = match (profile.color_space, gray) {
        (DataColorSpace::Rgb, _) => Layout::Rgb,
        (DataColorSpace::Gray, true) => Layout::Gray,
        _ => return Err(ImageError::corrupt("a profile for other colours")),
    };
    let transform = profile
        .create_transform_8bit(
            layout,
            &ColorProfile::new_srgb(),
            Layout::Rgb,
            TransformOptions::default(),
        )
        .map_err(|error| ImageError::corrupt(error.to_string()))?;
    let mut source = Vec::with_capacity(CHUNK * 3);
    for pixels in rgb.chunks_mut(CHUNK * 3) {
        source.clear();
        if layout == Layout::Gray {
            source.extend(pixels.iter().step_by(3));
        } else {
            source.extend_from_slice(pixels);
        }
        transform
            .transform(&source, pixels)
            .map_err(|error| ImageError::corrupt(error.to_string()))?;
    }
    Ok(())
}

/// Makes RGB pixels from gray ones.
pub(super) fn gray_to_rgb(gray: &[u8]) -> Vec<u8> {
    gray.iter().flat_map(|gray| [*gray; 3]).collect()
}

/// Makes RGB pixels from CMYK ones (0 is no ink), by the profile if there is a sound one, and
/// otherwise by the rule of thumb `(1 - ink) * (1 - black)`.
pub(super) fn cmyk_to_srgb(cmyk: &[u8], icc: Option<&[u8]>) -> Vec<u8> {
    if let Some(icc) = icc
        && let Ok(rgb) = guarded(|| convert_cmyk(cmyk, icc))
    {
        return rgb;
    }
    let (pixels, _) = cmyk.as_chunks::<4>();
    pixels
        .iter()
        .flat_map(|[c, m, y, k]| {
            [c, m, y].map(|ink| {
                let light = u32::from(255 - ink) * u32::from(255 - k);
                ((light + 127) / 255) as u8
            })
        })
        .collect()
}

fn convert_cmyk(cmyk: &[u8], icc: &[u8]) -> Result<Vec<u8>, ImageError> {
    let profile = parse(icc)?;
    if profile.color_space != DataColorSpace::Cmyk {
        return Err(ImageError::corrupt("a profile for other colours"));
    }
    let transform = profile
        .create_transform_8bit(
            Layout::Rgba,
            &ColorProfile::new_srgb(),
            Layout::Rgb,
            TransformOptions::default(),
        )
        .map_err(|error| ImageError::corrupt(error.to_string()))?;
    let mut rgb = vec![0; cmyk.len() / 4 * 3];
    for (source, target) in cmyk.chunks(CHUNK * 4).zip(rgb.chunks_mut(CHUNK * 3)) {
        transform
            .transform(source, target)
            .map_err(|error| ImageError::corrupt(error.to_string()))?;
    }
    Ok(rgb)
}

fn parse(icc: &[u8]) -> Result<ColorProfile, ImageError> {
    ColorProfile::new_from_slice(icc).map_err(|error| ImageError::corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_p3_becomes_srgb() {
        let icc = ColorProfile::new_display_p3().encode().expect("a profile");
        // Display P3 values and the sRGB values they mean (CSS Color 4, 10.7). Those out of gamut
        // are clipped.
        for (p3, expected) in [
            ([255, 255, 255], [255, 255, 255]),
            ([0, 0, 0], [0, 0, 0]),
            ([128, 128, 128], [128, 128, 128]),
            ([255, 0, 0], [255, 0, 0]),
            ([200, 100, 50], [213, 95, 32]),
        ] {
            let mut pixel = p3;
            to_srgb(&mut pixel, false, &icc);
            for (found, wanted) in pixel.iter().zip(expected) {
                assert!(found.abs_diff(wanted) <= 2, "{p3:?} gave {pixel:?}");
            }
        }
    }

    #[test]
    fn a_gray_profile_converts_gray_and_nothing_else() {
        let icc = ColorProfile::new_gray_with_gamma(1.0)
            .encode()
            .expect("a profile");
        let mut gray = [55, 55, 55];
        to_srgb(&mut gray, true, &icc);
        assert!(
            gray[0] > 120 && gray[0] == gray[1] && gray[1] == gray[2],
            "{gray:?}"
        );
        let mut colored = [10, 20, 30];
        to_srgb(&mut colored, false, &icc);
        assert_eq!(colored, [10, 20, 30]);
    }

    #[test]
    fn a_broken_profile_changes_nothing() {
        let good = ColorProfile::new_display_p3().encode().expect("a profile");
        for icc in [
            &b""[..],
            b"not a profile",
            &good[..good.len() / 2],
            &good[..130],
        ] {
            let mut pixel = [200, 100, 50];
            to_srgb(&mut pixel, false, icc);
            assert_eq!(pixel, [200, 100, 50], "{} bytes", icc.len());
        }
    }

    #[test]
    fn inks_without_a_profile_mix_as_expected() {
        for (cmyk, rgb) in [
            ([0, 0, 0, 0], [255, 255, 255]),
            ([0, 0, 0, 255], [0, 0, 0]),
            ([255, 0, 0, 0], [0, 255, 255]),
            ([0, 255, 255, 0], [255, 0, 0]),
            ([0, 0, 0, 128], [127, 127, 127]),
        ] {
            assert_eq!(cmyk_to_srgb(&cmyk, Some(b"broken")), rgb, "{cmyk:?}");
        }
    }
}
