//! What the two local models see in a frame. This file decides which squares they look at; it does
//! not decide what their figures mean.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context;
use parking_lot::Mutex;

use super::{Screener, ScreeningError};
use crate::domain::labels;
use crate::domain::verdict::FrameLook;
use crate::screening::vision::{Area, Pixels, Vision, VisionOptions};
use imaging::Raster;

/// A picture whose long side is more than this many times its short side is judged in squares.
/// Shrunk as a whole to the models' 224 pixels, nothing in it could be recognised.
const LONGEST_WHOLE: f64 = 2.5;

/// Screens with the models in a folder, which are loaded at first use.
pub struct LocalScreener {
    models_dir: PathBuf,
    vision: OnceLock<Vision>,
    /// Held while the models are loaded, so that this happens only once.
    loading: Mutex<()>,
}

impl LocalScreener {
    /// Notes the folder. Nothing is loaded yet.
    #[must_use]
    pub fn new(models_dir: &Path) -> Self {
        Self {
            models_dir: models_dir.to_owned(),
            vision: OnceLock::new(),
            loading: Mutex::default(),
        }
    }

    fn vision(&self) -> Result<&Vision, ScreeningError> {
        if let Some(vision) = self.vision.get() {
            return Ok(vision);
        }
        let _guard = self.loading.lock();
        if let Some(vision) = self.vision.get() {
            return Ok(vision);
        }
        let vision = Vision::load(&self.models_dir, VisionOptions::default())
            .context("the screening models cannot be loaded (CATTO_MODELS_DIR)")?;
        Ok(self.vision.get_or_init(|| vision))
    }
}

impl Screener for LocalScreener {
    fn look(&self, frame: &Raster, with_labels: bool) -> Result<FrameLook, ScreeningError> {
        let vision = self.vision()?;
        let pixels =
            Pixels::new(&frame.rgb, frame.width, frame.height).context("an unusable frame")?;
        let squares = squares(frame.width, frame.height);
        let mut indecency = 0.0_f32;
        let areas = if squares.is_empty() {
            vec![pixels.whole()]
        } else {
            squares.clone()
        };
        for area in areas {
            let decency = vision
                .decency(pixels, area)
                .context("the decency model failed")?;
            indecency = indecency
                .max(decency.hentai)
                .max(decency.porn)
                .max(decency.sexy);
        }
        let labels = if with_labels {
            let areas = if squares.is_empty() {
                vec![pixels.centre_square()]
            } else {
                squares
            };
            let mut seen = areas
                .into_iter()
                .map(|area| {
                    vision
                        .classify(pixels, area)
                        .context("the labels model failed")
                })
                .collect::<anyhow::Result<Vec<_>>>()?;
            seen.sort_by(|a, b| labels::cat_mass(b).total_cmp(&labels::cat_mass(a)));
            seen.into_iter().next()
        } else {
            None
        };
        Ok(FrameLook { indecency, labels })
    }

    fn identity(&self) -> Result<String, ScreeningError> {
        Ok(format!("local {}", self.vision()?.models_digest()))
    }

    fn check(&self) -> Result<(), ScreeningError> {
        self.vision().map(drop)
    }
}

/// How many squares of a picture with these sides are looked at; 1 where it is looked at as a
/// whole.
#[must_use]
pub fn squares_of(width: u32, height: u32) -> usize {
    squares(width, height).len().max(1)
}

/// The overlapping squares that cover a long picture. They are as wide as its short side, each
/// begins half a square after the one before, and the last ends with the picture. Empty for a
/// picture that is judged as a whole.
fn squares(width: u32, height: u32) -> Vec<Area> {
    let (long, short) = (width.max(height), width.min(height));
    if f64::from(long) <= f64::from(short) * LONGEST_WHOLE {
        return Vec::new();
    }
    let step = (short / 2).max(1) as usize;
    let last = long - short;
    (0..last)
        .step_by(step)
        .chain([last])
        .map(|offset| {
            let (left, top) = if width > height {
                (offset, 0)
            } else {
                (0, offset)
            };
            Area {
                left,
                top,
                width: short,
                height: short,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_of_a_long_picture_overlap_and_cover_it_to_its_end() {
        for (width, height) in [(1000, 300), (300, 1000), (4096, 32), (751, 300)] {
            let squares = squares(width, height);
            let offset = |area: &Area| area.left + area.top;
            assert_eq!(squares.first().map(offset), Some(0), "{width}x{height}");
            let short = width.min(height);
            assert_eq!(
                squares.last().map(|area| offset(area) + short),
                Some(width.max(height))
            );
            for pair in squares.windows(2) {
                let step = offset(&pair[1]) - offset(&pair[0]);
                assert!(
                    step > 0 && step <= short.div_ceil(2),
                    "{width}x{height}: {step}"
                );
            }
        }
    }

    #[test]
    fn an_ordinary_picture_is_judged_whole() {
        for (width, height) in [(1000, 400), (400, 1000), (500, 500)] {
            assert!(squares(width, height).is_empty(), "{width}x{height}");
        }
    }
}
