//! Converts colours to sRGB. A broken profile counts as none, and a picture that does not say what
//! its samples mean counts as sRGB.

use moxcms::{
    Chromaticity, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace, Layout,
    MatrixCoefficients, TransferCharacteristics, TransformOptions, curve_from_gamma,
};

use super::ImageError;
use super::error::guarded;
use super::hdr::Hdr;

/// How many pixels are converted at a time. They are few, so that the copy stays in the CPU cache.
const CHUNK: usize = 4096;

/// What the samples of a picture mean, where that is not sRGB.
pub(super) enum Space {
    /// What a profile says.
    Profile(Box<ColorProfile>),
    /// Absolute light.
    Light(Box<Hdr>),
}

impl Space {
    /// The space of a profile, if that is a sound one.
    pub(super) fn from_icc(icc: &[u8]) -> Option<Self> {
        let profile = guarded(|| parse(icc)).ok()?;
        Some(Self::Profile(Box::new(profile)))
    }

    /// The space that code points name (ITU-T H.273), if they name one. `peak_nits` is the light of
    /// the brightest pixel in cd/m², where the file says it.
    pub(super) fn from_code_points(
        primaries: u8,
        transfer: u8,
        peak_nits: Option<f64>,
    ) -> Option<Self> {
        let cicp = CicpProfile {
            color_primaries: primaries.try_into().ok()?,
            transfer_characteristics: transfer.try_into().ok()?,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        };
        let mut profile = ColorProfile::new_from_cicp(cicp);
        profile.red_trc.as_ref()?;
        match cicp.transfer_characteristics {
            // These are how cameras see. Screens show them by a plain power (BT.1886).
            TransferCharacteristics::Bt709
            | TransferCharacteristics::Bt601
            | TransferCharacteristics::Bt202010bit
            | TransferCharacteristics::Bt202012bit => set_gamma(&mut profile, 2.4),
            // Chromium does not know these.
            TransferCharacteristics::Log100
            | TransferCharacteristics::Log100sqrt10
            | TransferCharacteristics::Iec61966
            | TransferCharacteristics::Bt1361 => return None,
            TransferCharacteristics::Reserved
            | TransferCharacteristics::Unspecified
            | TransferCharacteristics::Bt470M
            | TransferCharacteristics::Bt470Bg
            | TransferCharacteristics::Smpte240
            | TransferCharacteristics::Linear
            | TransferCharacteristics::Srgb
            | TransferCharacteristics::Smpte2084
            | TransferCharacteristics::Smpte428
            | TransferCharacteristics::Hlg => {}
        }
        Some(match Hdr::new(cicp, peak_nits) {
            Some(light) => Self::Light(Box::new(light)),
            None => Self::Profile(Box::new(profile)),
        })
    }

    /// The space of samples that are light to the power of `gamma`, with these chromaticities of
    /// white, red, green and blue, or those of sRGB. `None` where that makes no sense.
    pub(super) fn from_gamma(gamma: f32, chromaticities: Option<[(f32, f32); 4]>) -> Option<Self> {
        if !(gamma > 0.0 && (1.0 / gamma).is_finite()) {
            return None;
        }
        let mut profile = ColorProfile::new_srgb();
        if let Some(places) = chromaticities {
            if places
                .iter()
                .any(|(x, y)| *x < 0.0 || *y <= 0.0 || x + y > 1.0)
            {
                return None;
            }
            let [white, red, green, blue] = places.map(|(x, y)| Chromaticity::new(x, y));
            profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
        }
        set_gamma(&mut profile, 1.0 / gamma);
        Some(Self::Profile(Box::new(profile)))
    }

    /// Converts RGB pixels to sRGB in place. `gray` says that the picture was stored gray, which a
    /// gray profile needs. A profile for other colours changes nothing.
    pub(super) fn to_srgb(&self, rgb: &mut [u8], gray: bool) {
        match self {
            Self::Profile(profile) => {
                let converted = guarded(|| convert_in_place(rgb, gray, profile));
                drop(converted);
            }
            Self::Light(light) => light.apply(rgb),
        }
    }
}

/// Has samples mean light to the power of one through `gamma`.
fn set_gamma(profile: &mut ColorProfile, gamma: f32) {
    profile.cicp = None;
    let curve = curve_from_gamma(gamma);
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
}

fn convert_in_place(rgb: &mut [u8], gray: bool, profile: &ColorProfile) -> Result<(), ImageError> {
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

    fn to_srgb(rgb: &mut [u8], gray: bool, icc: &[u8]) {
        if let Some(space) = Space::from_icc(icc) {
            space.to_srgb(rgb, gray);
        }
    }

    /// What Chromium 156 shows for each of these.
    #[test]
    fn described_spaces_become_srgb() {
        let p3 = [(0.3127, 0.329), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)];
        for (name, space, pixel, expected) in [
            ("linear", Space::from_gamma(1.0, None), [55; 3], [128; 3]),
            (
                "P3",
                Space::from_gamma(0.45455, Some(p3)),
                [200, 100, 50],
                [216, 93, 24],
            ),
            (
                "P3",
                Space::from_code_points(12, 13, None),
                [200, 100, 50],
                [213, 95, 32],
            ),
            (
                "BT.709",
                Space::from_code_points(1, 1, None),
                [120; 3],
                [113; 3],
            ),
            (
                "linear",
                Space::from_code_points(1, 8, None),
                [55; 3],
                [128; 3],
            ),
            (
                "BT.470 BG",
                Space::from_code_points(1, 5, None),
                [105; 3],
                [82; 3],
            ),
            (
                "SMPTE 240",
                Space::from_code_points(1, 7, None),
                [120; 3],
                [134; 3],
            ),
            (
                "SMPTE 428",
                Space::from_code_points(12, 17, None),
                [120; 3],
                [109; 3],
            ),
            (
                "BT.601",
                Space::from_code_points(6, 13, None),
                [180, 60, 60],
                [176, 65, 60],
            ),
        ] {
            let mut found = pixel;
            space.expect(name).to_srgb(&mut found, false);
            for (a, b) in found.iter().zip(expected) {
                assert!(a.abs_diff(b) <= 2, "{name}: {pixel:?} gave {found:?}");
            }
        }
        let nowhere = [(0.0, 0.0); 4];
        for space in [
            Space::from_gamma(0.0, None),
            Space::from_gamma(0.5, Some(nowhere)),
            Space::from_code_points(2, 13, None),
            Space::from_code_points(1, 200, None),
            Space::from_code_points(1, 9, None),
        ] {
            assert!(space.is_none());
        }
    }

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
