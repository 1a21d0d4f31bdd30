//! Reads the answers of the detector, an SSD network: 1917 fixed anchors, each with a correction
//! and a score for every class.
//!
//! The anchors and the decoding are those of the object detector in `MediaPipe`'s Objectron, as the
//! graph inside its package gives them.

use super::VisionError;
use crate::domain::evidence::{Found, Kind, Place, logistic};

/// Width and height of what the detector looks at, in pixels.
pub(super) const SIDE: u32 = 300;

/// The distance between the anchors of each layer, in pixels of the input.
const STRIDES: [u32; 6] = [16, 32, 64, 128, 256, 512];

/// The size of the anchors of the first and of the last layer, as a share of the input's side.
const SCALES: (f32, f32) = (0.2, 0.95);

/// The ratio of width to height of the anchors of a layer.
const RATIOS: [f32; 5] = [1.0, 2.0, 0.5, 3.0, 0.3333];

/// The size of the first layer's square anchors, which has three kinds of anchors only.
const SMALLEST: f32 = 0.1;

/// How many times the network overstates its corrections of a centre and of a size.
const CENTRE_SCALE: f32 = 10.0;
const SIZE_SCALE: f32 = 5.0;

/// How many classes the network knows. The first means that there is nothing.
const CLASSES: usize = 24;

/// The kind of thing that a class is, of those that anything follows from. The others, such as
/// footwear and persons, were wrong too often (cats' paws are called footwear) or are nobody's
/// business.
const fn kind_of(class: usize) -> Option<Kind> {
    Some(match class {
        1 => Kind::Bicycle,
        3 => Kind::Laptop,
        8 => Kind::Cat,
        9 => Kind::ComputerMouse,
        10 => Kind::Monitor,
        11 => Kind::Box,
        12 | 13 => Kind::Cup,
        16 => Kind::Bottle,
        20 => Kind::Dog,
        21 => Kind::Book,
        22 => Kind::Camera,
        _ => return None,
    })
}

/// A place where the network expects something; the corrections are relative to it. All are shares
/// of the input's side.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Anchor {
    x: f32,
    y: f32,
    width: f32,
    height: f32,
}

impl Anchor {
    /// The box that these corrections (y, x, height, width) make of the anchor, within the frame.
    fn corrected(self, corrections: &[f32]) -> Option<Place> {
        let &[y, x, height, width] = corrections else {
            return None;
        };
        let (centre_x, centre_y) = (
            self.x + x / CENTRE_SCALE * self.width,
            self.y + y / CENTRE_SCALE * self.height,
        );
        let (half_width, half_height) = (
            (width / SIZE_SCALE).exp() * self.width / 2.0,
            (height / SIZE_SCALE).exp() * self.height / 2.0,
        );
        Some(Place {
            left: (centre_x - half_width).clamp(0.0, 1.0),
            top: (centre_y - half_height).clamp(0.0, 1.0),
            right: (centre_x + half_width).clamp(0.0, 1.0),
            bottom: (centre_y + half_height).clamp(0.0, 1.0),
        })
    }
}

/// All anchors, in the order of the network's answers: by layer, row, column and kind.
fn anchors() -> Vec<Anchor> {
    let (least, greatest) = SCALES;
    let scale = |layer: usize| {
        let share = layer as f32 / (STRIDES.len() - 1) as f32;
        (least + (greatest - least) * share).min(1.0)
    };
    let mut anchors = Vec::new();
    for (layer, stride) in STRIDES.into_iter().enumerate() {
        let kinds: Vec<(f32, f32)> = if layer == 0 {
            vec![(1.0, SMALLEST), (2.0, scale(0)), (0.5, scale(0))]
        } else {
            let next = if layer + 1 == STRIDES.len() {
                1.0
            } else {
                scale(layer + 1)
            };
            let between = (scale(layer) * next).sqrt();
            RATIOS
                .map(|ratio| (ratio, scale(layer)))
                .into_iter()
                .chain([(1.0, between)])
                .collect()
        };
        let cells = SIDE.div_ceil(stride);
        let centre = |index: u32| (index as f32 + 0.5) / cells as f32;
        for row in 0..cells {
            for column in 0..cells {
                anchors.extend(kinds.iter().map(|(ratio, scale)| Anchor {
                    x: centre(column),
                    y: centre(row),
                    width: scale * ratio.sqrt(),
                    height: scale / ratio.sqrt(),
                }));
            }
        }
    }
    anchors
}

/// Finds the best of each kind among the network's answers: four corrections for each anchor, and
/// the log odds of each class.
pub(super) struct Reader {
    anchors: Vec<Anchor>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { anchors: anchors() }
    }

    /// Fails with [`VisionError::Run`] where the answers have other shapes or are no numbers.
    pub(super) fn read(&self, boxes: &[f32], scores: &[f32]) -> Result<Found, VisionError> {
        let count = self.anchors.len();
        let are_numbers = boxes.iter().chain(scores).all(|value| value.is_finite());
        if boxes.len() != count * 4 || scores.len() != count * CLASSES || !are_numbers {
            return Err(VisionError::Run("the detector's output is none".to_owned()));
        }
        let mut found = Found::nothing(Place {
            left: 0.0,
            top: 0.0,
            right: 1.0,
            bottom: 1.0,
        });
        let corrections = boxes.chunks_exact(4);
        let answers = corrections.zip(scores.chunks_exact(CLASSES));
        for (anchor, (corrections, odds)) in self.anchors.iter().zip(answers) {
            for (class, odds) in odds.iter().enumerate() {
                let Some(kind) = kind_of(class) else { continue };
                let is_best = found.note(kind, logistic(*odds));
                if is_best
                    && kind == Kind::Cat
                    && let Some(place) = anchor.corrected(corrections)
                {
                    found.cat = place;
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers in which every class of every anchor is as unlikely as can be.
    fn nothing() -> (Vec<f32>, Vec<f32>) {
        let count = anchors().len();
        (vec![0.0; count * 4], vec![-20.0; count * CLASSES])
    }

    #[test]
    fn the_anchors_are_those_of_the_network() {
        let anchors = anchors();
        assert_eq!(anchors.len(), 1917);
        let first = anchors[0];
        assert!((first.x - 0.5 / 19.0).abs() < 1e-6 && (first.width - 0.1).abs() < 1e-6);
        // The second anchor of the second layer, and the last of all, which covers nearly
        // everything.
        let second = anchors[19 * 19 * 3 + 1];
        assert!((second.x - 0.05).abs() < 1e-6, "{second:?}");
        assert!((second.width - 0.35 * 2.0_f32.sqrt()).abs() < 1e-6);
        assert!((second.height - 0.35 / 2.0_f32.sqrt()).abs() < 1e-6);
        let last = anchors[1916];
        assert!((last.width - 0.95_f32.sqrt()).abs() < 1e-6, "{last:?}");
    }

    #[test]
    fn the_best_box_of_a_cat_is_found_where_it_is() {
        let (mut boxes, mut scores) = nothing();
        let (likely, likeliest) = (700, 1916);
        scores[likely * CLASSES + 8] = 0.5;
        scores[likeliest * CLASSES + 8] = 2.0;
        scores[likely * CLASSES + 3] = 1.0;
        // Half as large as its anchor, and a tenth of it further right.
        boxes[likeliest * 4..][..4].copy_from_slice(&[0.0, 1.0, 0.0, 5.0 * 0.5_f32.ln()]);
        let found = Reader::new().read(&boxes, &scores).unwrap();
        assert!((found.score(Kind::Cat) - logistic(2.0)).abs() < 1e-6);
        assert!((found.score(Kind::Laptop) - logistic(1.0)).abs() < 1e-6);
        assert!(found.score(Kind::Dog) < 1e-6);
        let side = 0.95_f32.sqrt();
        let (centre, half) = (0.5 + side / 10.0, side / 4.0);
        assert!((found.cat.left - (centre - half)).abs() < 1e-5, "{found:?}");
        assert!(
            (found.cat.right - (centre + half)).abs() < 1e-5,
            "{found:?}"
        );
    }

    #[test]
    fn answers_of_another_shape_or_that_are_no_numbers_are_an_error() {
        let (boxes, scores) = nothing();
        let reader = Reader::new();
        assert!(reader.read(&boxes, &scores).is_ok());
        assert!(reader.read(&boxes[4..], &scores).is_err());
        assert!(reader.read(&boxes, &scores[1..]).is_err());
        let mut wrong = scores;
        wrong[5] = f32::NAN;
        assert!(reader.read(&boxes, &wrong).is_err());
    }
}
