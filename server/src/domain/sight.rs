//! How sure the models' figures make us that a frame shows a domestic cat, and how indecent it is.
//! It is pure. `labels` finds the words for what is seen, and `verdict` decides what follows.
//!
//! Three figures make up the answer: the probabilities of the five domestic cats, a small head on
//! the same features that was trained to tell them from wild ones, and the best box that a detector
//! puts around a cat. `docs/SCREENING.md` has the measurements behind the constants.

use crate::domain::evidence::{Doubt, Found, Glance, Kind, LEAST_UNSURE, logistic};
use crate::domain::labels::Words;

/// What is taken off the score where the picture looks more like a lookalike.
const LOOKALIKE_PENALTY: f32 = 0.7;

/// The least score of a box around a cat that counts for anything.
const BOX_FLOOR: f32 = 0.35;

/// What such a box adds to the score, unless a dog or a lookalike is likelier.
const BOX_BONUS: f32 = 1.8;

/// What was seen in a frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sight {
    /// How sure it is that there is a domestic cat, from 0 to 1. It is no probability: most of what
    /// is no cat has less than 0.001.
    pub cat: f32,
    /// The coat, and the things around the cat; nothing where none is sure.
    pub words: Words,
}

impl Sight {
    /// Reads a first glance at a frame, the closer ones that followed where it left doubt, and what
    /// the detector found.
    #[must_use]
    pub fn new(first: &Glance, closer: &[Glance], found: &Found) -> Self {
        let closest = closer.iter().max_by(|a, b| a.score().total_cmp(&b.score()));
        // The cat is what was seen of it, which is nothing in a glance that overlooked it.
        let (mut score, seen) = match (Doubt::of(first, found), closest) {
            (Doubt::None, _) | (_, None) => (first.score(), first),
            (Doubt::Unsure, Some(closest)) => {
                (f32::midpoint(first.score(), closest.score()), first)
            }
            (Doubt::Overlooked, Some(closest)) => {
                (f32::midpoint(LEAST_UNSURE, closest.score()), closest)
            }
        };
        let cat = found.score(Kind::Cat);
        if seen.looks_like_another_animal() {
            score -= LOOKALIKE_PENALTY;
        } else if cat >= BOX_FLOOR && cat > found.score(Kind::Dog) {
            score += BOX_BONUS;
        }
        Self {
            cat: logistic(score),
            words: Words::new(seen, first, found),
        }
    }

    /// A cat of which nothing else is known, with this certainty.
    #[must_use]
    pub fn of_cat(cat: f32) -> Self {
        Self {
            cat,
            ..Self::default()
        }
    }
}

/// How indecent a picture is by both models together, from 0 to 1: by the worst class of the first,
/// and by the second.
///
/// It is 1 less the geometric mean of their doubts. Two that lean the same way add up, one that is
/// sure is believed alone, and a false alarm that only one of them raises is quiet: with the
/// threshold of 0.85 either alone must be as sure as 0.98.
#[must_use]
pub fn indecency(first: f32, second: f32) -> f32 {
    // Written with `clamp`, which lets a NaN through to whoever decides.
    1.0 - ((1.0 - first.clamp(0.0, 1.0)) * (1.0 - second.clamp(0.0, 1.0))).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::{CLASS_COUNT, Head, Place};

    const EVERYWHERE: Place = Place {
        left: 0.0,
        top: 0.0,
        right: 1.0,
        bottom: 1.0,
    };

    /// A glance with these probabilities, and this value of the head for cats.
    fn glance(of: &[(usize, f32)], head: f32) -> Glance {
        let mut outputs = vec![0.0; CLASS_COUNT + Head::ALL.len()];
        for &(class, probability) in of {
            outputs[class] = probability;
        }
        outputs[CLASS_COUNT] = head;
        Glance::new(&outputs).unwrap()
    }

    fn found(of: &[(Kind, f32)]) -> Found {
        let mut found = Found::nothing(EVERYWHERE);
        for &(kind, score) in of {
            found.note(kind, score);
        }
        found
    }

    fn cat(first: &Glance, closer: &[Glance], of: &[(Kind, f32)]) -> f32 {
        Sight::new(first, closer, &found(of)).cat
    }

    #[test]
    fn the_five_domestic_cats_count_and_wild_ones_do_not() {
        let domestic = cat(&glance(&[(281, 0.25), (285, 0.5)], 0.0), &[], &[]);
        assert!((domestic - 0.75).abs() < 1e-4, "{domestic}");
        let wild = cat(&glance(&[(286, 0.5), (292, 0.5)], 0.0), &[], &[]);
        assert!(wild < 1e-6, "{wild}");
        let dog = cat(&glance(&[(207, 0.9)], 0.0), &[], &[]);
        assert!(dog < 1e-6, "{dog}");
    }

    #[test]
    fn the_head_tells_a_domestic_cat_from_a_wild_one() {
        let alike = [(281, 0.1), (287, 0.15)];
        let tame = cat(&glance(&alike, 4.0), &[], &[]);
        let wild = cat(&glance(&alike, -4.0), &[], &[]);
        assert!(tame > 0.4 && wild < 0.05, "{tame} {wild}");
    }

    #[test]
    fn the_best_closer_look_counts_as_much_as_the_first() {
        let first = glance(&[(281, 0.01)], 0.0);
        assert_eq!(Doubt::of(&first, &found(&[])), Doubt::Unsure);
        let (near, far) = (glance(&[(281, 0.9)], 0.0), glance(&[(281, 0.001)], 0.0));
        let both = cat(&first, &[far.clone(), near.clone()], &[]);
        assert_eq!(both, cat(&first, &[near], &[]));
        assert!(both > 0.2 && cat(&first, &[far], &[]) < 0.01);
        for sure in [0.9, 0.0] {
            let first = glance(&[(281, sure)], 0.0);
            assert_eq!(Doubt::of(&first, &found(&[])), Doubt::None);
        }
    }

    #[test]
    fn a_cat_that_a_glance_overlooks_is_found_where_the_detector_suspects_it() {
        let room = glance(&[(831, 0.9), (287, 1e-5)], -4.0);
        let near = [glance(&[(281, 0.9)], 2.0)];
        let suspected = &[(Kind::Cat, 0.15)][..];
        assert_eq!(Doubt::of(&room, &found(suspected)), Doubt::Overlooked);
        assert!(cat(&room, &near, suspected) > 0.05);
        // What lives in the room is no matter where the cat is not in it.
        let boxed = &[(Kind::Cat, 0.5)][..];
        assert!(cat(&room, &near, boxed) > cat(&room, &near, suspected));
        // A lookalike from near is none from afar either.
        let lynx = glance(&[(281, 0.2), (287, 0.7)], -2.0);
        assert!(cat(&room, &[lynx], boxed) < 0.05);
        for others in [
            &[(Kind::Cat, 0.05)][..],
            &[(Kind::Cat, 0.3), (Kind::Dog, 0.4)],
            &[],
        ] {
            assert_eq!(Doubt::of(&room, &found(others)), Doubt::None, "{others:?}");
        }
    }

    #[test]
    fn a_box_helps_unless_it_is_likelier_a_dog_or_the_picture_of_a_lookalike() {
        let doubtful = glance(&[(281, 0.02)], 0.0);
        let without = cat(&doubtful, &[], &[]);
        assert!(cat(&doubtful, &[], &[(Kind::Cat, 0.6)]) > 4.0 * without);
        for others in [
            &[(Kind::Cat, 0.6), (Kind::Dog, 0.7)][..],
            &[(Kind::Cat, 0.3)],
            &[(Kind::Laptop, 0.9)],
        ] {
            assert_eq!(cat(&doubtful, &[], others), without, "{others:?}");
        }
        let rabbit = glance(&[(281, 0.02), (331, 0.9)], 0.0);
        assert!(cat(&rabbit, &[], &[(Kind::Cat, 0.6)]) < without);
    }

    #[test]
    fn one_model_that_is_sure_is_enough_and_one_that_leans_is_not() {
        for (first, second, is_indecent) in [
            (0.99, 0.0, true),
            (0.0, 0.99, true),
            (0.85, 0.85, true),
            (0.7, 0.95, true),
            (0.94, 0.02, false),
            (0.55, 0.93, false),
            (0.0, 0.0, false),
        ] {
            let indecency = indecency(first, second);
            assert_eq!(
                indecency >= 0.85,
                is_indecent,
                "{first} {second} {indecency}"
            );
        }
        assert!(indecency(f32::NAN, 0.0).is_nan() && indecency(0.0, f32::NAN).is_nan());
        // Softmax may be a little above 1.
        assert_eq!(indecency(1.0005, 0.2), 1.0);
    }
}
