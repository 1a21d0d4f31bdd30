//! Shows pictures whose samples mean absolute light (ITU-R BT.2100: PQ and HLG) on a screen that
//! can show no more than white.
//!
//! Chromium follows the reference white tone mapping of SMPTE ST 2094-50 (annex C), and so do we:
//! white paper becomes half the screen's light, and what is brighter is compressed into the rest.
//! The curve has been compared with Chromium 156, for grays and for colours.

use moxcms::{CicpProfile, ColorProfile, Matrix3d, TransferCharacteristics};

/// The light of white paper (ITU-R BT.2408), in cd/m².
const WHITE_NITS: f64 = 203.0;

/// The light of the brightest pixel where the file does not say it, in cd/m².
const USUAL_PEAK_NITS: f64 = 1000.0;

/// How much light a full sample of PQ means, in cd/m².
const PQ_NITS: f64 = 10_000.0;

/// How far the curve bends above white.
const BEND: f64 = 0.65;

/// How much of BT.2020's red, green and blue is in luminance.
const LUMINANCE: [f64; 3] = [0.2627, 0.678, 0.0593];

/// How many steps the table of the screen's curve has.
const SCREEN_STEPS: usize = 4096;

/// How the samples of a picture become those of an sRGB screen.
pub(super) struct Hdr {
    /// The linear light of each sample.
    light: [f64; 256],
    /// True for HLG, whose contrast depends on luminance.
    scene: bool,
    to_bt2020: Matrix3d,
    to_srgb: Matrix3d,
    curve: Curve,
    /// The sRGB samples for light from none to white.
    screen: Vec<u8>,
}

impl Hdr {
    /// For a picture with these primaries, and PQ or HLG; `None` for every other transfer function.
    /// `peak_nits` is the light of its brightest pixel, where the file says it.
    pub(super) fn new(cicp: CicpProfile, peak_nits: Option<f64>) -> Option<Self> {
        let scene = match cicp.transfer_characteristics {
            TransferCharacteristics::Smpte2084 => false,
            TransferCharacteristics::Hlg => true,
            _ => return None,
        };
        let light = std::array::from_fn(|sample| {
            let value = sample as f64 / 255.0;
            if scene {
                hlg(value)
            } else {
                pq(value) * PQ_NITS / WHITE_NITS
            }
        });
        let bt2020 = ColorProfile::new_bt2020();
        Some(Self {
            light,
            scene,
            to_bt2020: ColorProfile::new_from_cicp(cicp).transform_matrix(&bt2020),
            to_srgb: bt2020.transform_matrix(&ColorProfile::new_srgb()),
            curve: Curve::new(peak_nits.unwrap_or(USUAL_PEAK_NITS) / WHITE_NITS),
            screen: (0..=SCREEN_STEPS)
                .map(|step| srgb(step as f64 / SCREEN_STEPS as f64))
                .collect(),
        })
    }

    /// Converts RGB pixels in place.
    pub(super) fn apply(&self, rgb: &mut [u8]) {
        let (pixels, _) = rgb.as_chunks_mut::<3>();
        for pixel in pixels {
            let light = pixel.map(|sample| self.light[usize::from(sample)]);
            let mut light = times(&self.to_bt2020, light);
            if self.scene {
                let luminance: f64 = light
                    .iter()
                    .zip(LUMINANCE)
                    .map(|(light, weight)| light * weight)
                    .sum();
                let gain = luminance.max(0.0).powf(0.2) * USUAL_PEAK_NITS / WHITE_NITS;
                light = light.map(|light| light * gain);
            }
            let gain = self.curve.gain(light[0].max(light[1]).max(light[2]));
            *pixel = times(&self.to_srgb, light.map(|light| light * gain)).map(|light| {
                self.screen[(light.clamp(0.0, 1.0) * SCREEN_STEPS as f64).round() as usize]
            });
        }
    }
}

/// The curve by which light is compressed: straight up to white, then a quadratic Bézier curve up
/// to the brightest pixel.
struct Curve {
    /// What becomes of white.
    white: f64,
    peak: f64,
    /// The control point between white and the brightest pixel.
    bend: (f64, f64),
}

impl Curve {
    /// For a picture whose brightest pixel has so many times the light of white.
    fn new(peak: f64) -> Self {
        let peak = peak.max(1.0);
        let room = (peak.log2() / (USUAL_PEAK_NITS / WHITE_NITS).log2()).min(1.0);
        let white = 1.0 - room / 2.0;
        Self {
            white,
            peak,
            bend: (1.0 - BEND + BEND / white, (1.0 - BEND) * white + BEND),
        }
    }

    /// By how much this light is multiplied.
    fn gain(&self, light: f64) -> f64 {
        if light <= 1.0 {
            return self.white;
        }
        if light >= self.peak {
            return 1.0 / light;
        }
        // Where along the curve its first coordinate is `light`.
        let square = 1.0 - 2.0 * self.bend.0 + self.peak;
        let linear = 2.0 * (self.bend.0 - 1.0);
        let rest = light - 1.0;
        let along = if square.abs() < 1e-9 {
            rest / linear
        } else {
            ((linear * linear + 4.0 * square * rest).max(0.0).sqrt() - linear) / (2.0 * square)
        };
        let before = 1.0 - along;
        let shown =
            before * before * self.white + 2.0 * before * along * self.bend.1 + along * along;
        shown / light
    }
}

fn times(matrix: &Matrix3d, vector: [f64; 3]) -> [f64; 3] {
    matrix
        .v
        .map(|row| row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2])
}

/// The light that a sample of PQ means, of the most that it can mean.
fn pq(value: f64) -> f64 {
    let (m1, m2) = (2610.0 / 16_384.0, 2523.0 / 32.0);
    let (c1, c2, c3) = (3424.0 / 4096.0, 2413.0 / 128.0, 2392.0 / 128.0);
    let power = value.powf(1.0 / m2);
    ((power - c1).max(0.0) / (c2 - c3 * power)).powf(1.0 / m1)
}

/// The light of the scene that a sample of HLG means, of the most that it can mean.
fn hlg(value: f64) -> f64 {
    let (a, b, c) = (0.178_832_77, 0.284_668_92, 0.559_910_73);
    if value <= 0.5 {
        value * value / 3.0
    } else {
        (((value - c) / a).exp() + b) / 12.0
    }
}

/// The sRGB sample that shows this light.
fn srgb(light: f64) -> u8 {
    let value = if light <= 0.003_130_8 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    };
    (value * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use moxcms::{CicpColorPrimaries, MatrixCoefficients};

    use super::*;

    fn shown(
        transfer_characteristics: TransferCharacteristics,
        color_primaries: CicpColorPrimaries,
        mut pixel: [u8; 3],
        peak_nits: Option<f64>,
    ) -> [u8; 3] {
        let cicp = CicpProfile {
            color_primaries,
            transfer_characteristics,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        };
        Hdr::new(cicp, peak_nits).expect("light").apply(&mut pixel);
        pixel
    }

    /// What Chromium 156 shows for each of these.
    #[test]
    fn light_is_shown_as_browsers_show_it() {
        use CicpColorPrimaries::{Bt2020, Smpte432};
        use TransferCharacteristics::{Hlg, Smpte2084};
        for (transfer, primaries, peak, pixel, expected) in [
            (Smpte2084, Bt2020, None, [60; 3], [26; 3]),
            (Smpte2084, Bt2020, None, [120; 3], [114; 3]),
            (Smpte2084, Bt2020, None, [150; 3], [193; 3]),
            (Smpte2084, Bt2020, None, [165; 3], [221; 3]),
            (Smpte2084, Bt2020, None, [180; 3], [242; 3]),
            (Smpte2084, Bt2020, None, [210; 3], [255; 3]),
            (Smpte2084, Bt2020, None, [150, 0, 0], [242, 0, 0]),
            (Smpte2084, Bt2020, None, [200, 150, 100], [255, 68, 0]),
            (Smpte2084, Bt2020, None, [100, 120, 140], [0, 117, 168]),
            (Smpte2084, Bt2020, Some(4000.0), [180; 3], [217; 3]),
            (Smpte2084, Bt2020, Some(4000.0), [225; 3], [251; 3]),
            (Smpte2084, Smpte432, None, [150, 0, 0], [212, 0, 0]),
            (Smpte2084, Smpte432, None, [100, 120, 140], [64, 115, 168]),
            (Hlg, Bt2020, None, [60; 3], [39; 3]),
            (Hlg, Bt2020, None, [150; 3], [122; 3]),
            (Hlg, Bt2020, None, [210; 3], [214; 3]),
            (Hlg, Bt2020, None, [150, 100, 50], [136, 70, 26]),
            (Hlg, Bt2020, None, [120, 60, 200], [97, 29, 183]),
        ] {
            let found = shown(transfer, primaries, pixel, peak);
            for (a, b) in found.iter().zip(expected) {
                assert!(
                    a.abs_diff(b) <= 3,
                    "{pixel:?} gave {found:?}, not {expected:?}"
                );
            }
        }
    }
}
