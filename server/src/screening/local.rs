//! What the local models see in a frame. This file decides where they look; it does not decide what
//! their figures mean.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context;
use parking_lot::Mutex;

use super::{Screener, ScreeningError};
use crate::domain::evidence::{Doubt, Place};
use crate::domain::sight::{Sight, indecency};
use crate::domain::verdict::FrameLook;
use crate::screening::vision::{Area, Pixels, Vision};
use imaging::Raster;

/// A picture whose long side is more than this many times its short side is judged in squares.
/// Shrunk as a whole to the models' few pixels, nothing in it could be recognised.
const LONGEST_WHOLE: f64 = 2.5;

/// Where an unsure glance is followed by a closer one, besides the likeliest place of a cat: the
/// middle, by shares of both sides.
const MIDDLE: (f32, f32) = (0.2, 0.8);

/// How much of what is around the likeliest place of a cat is looked at with it, as a share of its
/// sides, on each of them.
const MARGIN: f32 = 0.15;

/// The least sides of a closer look, as shares of the frame's. A smaller part has too few pixels.
const CLOSEST: f32 = 0.2;

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
        let vision = Vision::load(&self.models_dir)
            .context("the screening models cannot be loaded (CATTO_MODELS_DIR)")?;
        Ok(self.vision.get_or_init(|| vision))
    }
}

impl Screener for LocalScreener {
    fn look(&self, frame: &Raster, with_sight: bool) -> Result<FrameLook, ScreeningError> {
        let vision = self.vision()?;
        let pixels =
            Pixels::new(&frame.rgb, frame.width, frame.height).context("an unusable frame")?;
        let mut areas = squares(frame.width, frame.height);
        if areas.is_empty() {
            areas.push(pixels.whole());
        }
        let mut look = FrameLook {
            indecency: 0.0,
            sight: None,
        };
        for area in areas {
            let decency = vision
                .decency(pixels, area)
                .context("a decency model failed")?;
            look.include(FrameLook {
                indecency: indecency(decency.worst_class, decency.open_nsfw),
                sight: with_sight
                    .then(|| sight(vision, pixels, area))
                    .transpose()?,
            });
        }
        Ok(look)
    }

    fn identity(&self) -> Result<String, ScreeningError> {
        Ok(format!("local {}", self.vision()?.models_digest()))
    }

    fn check(&self) -> Result<(), ScreeningError> {
        self.vision().map(drop)
    }
}

/// Looks for a cat in one area of a picture, and once more from nearer where that is unsure.
fn sight(vision: &Vision, pixels: Pixels<'_>, area: Area) -> anyhow::Result<Sight> {
    let glance = |area| {
        vision
            .glance(pixels, area)
            .context("the labels model failed")
    };
    let first = glance(area.centre_square())?;
    let found = vision.find(pixels, area).context("the detector failed")?;
    let closer = closer_looks(Doubt::of(&first, &found), area, found.cat)
        .into_iter()
        .map(glance)
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Sight::new(&first, &closer, &found))
}

/// Where closer glances follow one at an area, if a cat is likeliest at this place in it.
fn closer_looks(doubt: Doubt, area: Area, likeliest: Place) -> Vec<Area> {
    let near = near(likeliest);
    let near = area.part((near.left, near.right), (near.top, near.bottom));
    match doubt {
        Doubt::None => Vec::new(),
        Doubt::Overlooked => vec![near],
        Doubt::Unsure => vec![near, area.part(MIDDLE, MIDDLE)],
    }
}

/// This place with some of its surroundings, and never too small a part of the frame.
fn near(place: Place) -> Place {
    let wider = |from: f32, to: f32| {
        let margin = (to - from) * MARGIN;
        let (from, to) = ((from - margin).max(0.0), (to + margin).min(1.0));
        if to - from >= CLOSEST {
            return (from, to);
        }
        let start = (f32::midpoint(from, to) - CLOSEST / 2.0).clamp(0.0, 1.0 - CLOSEST);
        (start, start + CLOSEST)
    };
    let (left, right) = wider(place.left, place.right);
    let (top, bottom) = wider(place.top, place.bottom);
    Place {
        left,
        top,
        right,
        bottom,
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
    fn a_closer_look_takes_in_the_surroundings_and_stays_in_the_frame() {
        let place = |left, top, right, bottom| Place {
            left,
            top,
            right,
            bottom,
        };
        let is_near = |a: Place, b: Place| {
            [
                a.left - b.left,
                a.top - b.top,
                a.right - b.right,
                a.bottom - b.bottom,
            ]
            .into_iter()
            .all(|difference| difference.abs() < 1e-5)
        };
        for (from, to) in [
            (place(0.2, 0.4, 0.6, 0.8), place(0.14, 0.34, 0.66, 0.86)),
            (place(0.0, 0.0, 1.0, 1.0), place(0.0, 0.0, 1.0, 1.0)),
            (place(0.98, 0.0, 1.0, 0.01), place(0.8, 0.0, 1.0, 0.2)),
            (place(0.5, 0.5, 0.5, 0.5), place(0.4, 0.4, 0.6, 0.6)),
        ] {
            assert!(is_near(near(from), to), "{from:?} became {:?}", near(from));
        }
    }

    #[test]
    fn closer_looks_are_at_the_likeliest_place_and_at_the_middle_of_the_area() {
        let area = |left, top, width, height| Area {
            left,
            top,
            width,
            height,
        };
        let likeliest = Place {
            left: 0.2,
            top: 0.4,
            right: 0.6,
            bottom: 0.8,
        };
        let (near, middle) = (area(240, 220, 520, 260), area(300, 150, 600, 300));
        for (doubt, expected) in [
            (Doubt::None, vec![]),
            (Doubt::Overlooked, vec![near]),
            (Doubt::Unsure, vec![near, middle]),
        ] {
            let looks = closer_looks(doubt, area(100, 50, 1000, 500), likeliest);
            assert_eq!(looks, expected, "{doubt:?}");
        }
    }

    #[test]
    fn an_ordinary_picture_is_judged_whole() {
        for (width, height) in [(1000, 400), (400, 1000), (500, 500)] {
            assert!(squares(width, height).is_empty(), "{width}x{height}");
        }
    }
}
