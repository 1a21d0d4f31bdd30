//! Chooses which frames of an animation are shown to the labels model.
//!
//! The choice does not go by a frame's number: whoever knows that every eighth frame is looked at
//! puts a cat there and anything else between. Instead, the playing time is cut into equal parts,
//! one instant is drawn at random in each part, and the frame on screen at that instant is looked
//! at. So a frame counts by its time on screen, and nobody knows beforehand which instants will
//! count.
//!
//! Time on screen alone can be gamed as well. An hour of a cat after a minute of other things is
//! nearly all cat, and nobody waits for it. So there are two counts that use the same random
//! numbers: one by the real times, and one in which no frame lasts longer than [`PATIENCE_MS`]. A
//! cat must be found often enough in each. Three examples:
//!
//! - A cat for ten minutes, then 59 other frames of 20 ms: the cat has nearly all of the real time,
//!   and 2 s of 3.2 s in the second count. It passes.
//! - 59 other frames of a second each, then a cat for an hour: the cat has nearly all of the real
//!   time, but 2 s of 61 s in the second count. It fails.
//! - A cat for 2 s, then something else for an hour: the cat has half of the second count, but
//!   almost none of the real time. It fails.
//!
//! Where no frame lasts longer than [`PATIENCE_MS`], both counts are the same.

/// How many instants are drawn.
///
/// A quarter of the instants must show a cat. With 12 of them, an animation with a cat in 2 of 60
/// equal frames never passes, because two such frames lie in at most two parts of the time, and one
/// with a cat in every other frame passes 98 times out of 100. With 8 instants these would be 2 %
/// and 96 %.
pub(crate) const INSTANTS: usize = 12;

/// The longest that a frame counts in the second count, in milliseconds. It is about how long
/// somebody looks at a picture that does not move before going on.
const PATIENCE_MS: u32 = 2000;

/// How many of the drawn instants show a frame, in each of the two counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// By the real times.
    pub by_time: u32,
    /// With long frames cut to [`PATIENCE_MS`].
    pub by_patience: u32,
}

impl Weight {
    /// The weight of a still picture, whose only frame is all there is.
    pub const WHOLE: Self = Self {
        by_time: 1,
        by_patience: 1,
    };

    /// True when the frame was drawn at least once.
    #[must_use]
    pub const fn is_drawn(self) -> bool {
        self.by_time > 0 || self.by_patience > 0
    }
}

/// The most frames that can be drawn from an animation with this many frames.
#[must_use]
pub(crate) fn most_drawn(frames: usize) -> usize {
    frames.min(2 * INSTANTS)
}

/// The weight of each frame, given the times that the frames are on screen. `chances` are random
/// numbers from 0 to 1, one for each part of the time.
#[must_use]
pub(crate) fn weights(durations_ms: &[u32], chances: &[f64; INSTANTS]) -> Vec<Weight> {
    let mut weights = vec![Weight::default(); durations_ms.len()];
    for frame in drawn(durations_ms.iter().copied(), chances) {
        weights[frame].by_time += 1;
    }
    let patient = durations_ms.iter().map(|ms| (*ms).min(PATIENCE_MS));
    for frame in drawn(patient, chances) {
        weights[frame].by_patience += 1;
    }
    weights
}

/// The index of the frame on screen at each instant. Empty where there is no frame.
fn drawn(durations_ms: impl Iterator<Item = u32>, chances: &[f64; INSTANTS]) -> Vec<usize> {
    let ends: Vec<u64> = durations_ms
        .scan(0_u64, |end, ms| {
            *end += u64::from(ms);
            Some(*end)
        })
        .collect();
    let Some(total) = ends.last() else {
        return Vec::new();
    };
    let part = *total as f64 / INSTANTS as f64;
    chances
        .iter()
        .enumerate()
        .map(|(number, chance)| {
            let instant = part * (number as f64 + chance);
            ends.partition_point(|end| *end as f64 <= instant)
                .min(ends.len() - 1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    /// In how many of a thousand draws an animation passes, when `is_cat` says which frames show a
    /// cat.
    fn passes(durations_ms: &[u32], is_cat: impl Fn(usize) -> bool) -> usize {
        let mut random = StdRng::seed_from_u64(7);
        (0..1000)
            .filter(|_| {
                let weights = weights(durations_ms, &random.random());
                let cats = |count: fn(&Weight) -> u32| {
                    let seen = weights.iter().enumerate();
                    seen.filter(|(frame, _)| is_cat(*frame))
                        .map(|(_, weight)| count(weight))
                        .sum::<u32>()
                };
                let most = INSTANTS as u32;
                cats(|weight| weight.by_time) * 4 >= most
                    && cats(|weight| weight.by_patience) * 4 >= most
            })
            .count()
    }

    #[test]
    fn every_part_of_the_time_is_asked_once_in_each_counting() {
        let chances = [0.5; INSTANTS];
        for durations in [vec![40; 60], vec![100], vec![20, 60_000, 20], vec![0, 0]] {
            let weights = weights(&durations, &chances);
            let sum = |count: fn(&Weight) -> u32| weights.iter().map(count).sum::<u32>();
            assert_eq!(sum(|weight| weight.by_time), 12, "{durations:?}");
            assert_eq!(sum(|weight| weight.by_patience), 12, "{durations:?}");
            let drawn = weights.iter().filter(|weight| weight.is_drawn()).count();
            assert!(drawn <= most_drawn(durations.len()));
        }
        assert_eq!(weights(&[], &chances), []);
    }

    #[test]
    fn the_frame_that_is_shown_at_the_instant_is_drawn() {
        // Parts of 10 ms: three lie in the first frame, eight in the second and one in the third.
        let drawn = weights(&[30, 80, 10], &[0.999; INSTANTS]);
        let found: Vec<_> = drawn.iter().map(|weight| weight.by_time).collect();
        assert_eq!(found, [3, 8, 1]);
        // Random numbers out of range still give every frame a weight.
        for chance in [0.0, 1.0, 2.0, f64::NAN] {
            assert_eq!(weights(&[30, 80, 10], &[chance; INSTANTS]).len(), 3);
        }
    }

    #[test]
    fn other_chances_draw_other_frames() {
        let mut random = StdRng::seed_from_u64(1);
        let mut seen = [false; 60];
        for _ in 0..200 {
            for (frame, weight) in weights(&[40; 60], &random.random()).iter().enumerate() {
                seen[frame] |= weight.is_drawn();
            }
        }
        assert_eq!(
            seen, [true; 60],
            "a frame that is never asked is a place to hide"
        );
    }

    #[test]
    fn a_cat_in_two_of_sixty_frames_passes_in_fewer_than_three_draws_of_a_hundred() {
        for pair in [[0, 8], [0, 1], [4, 5], [7, 52], [30, 59]] {
            let passed = passes(&[40; 60], |frame| pair.contains(&frame));
            assert!(passed < 30, "{pair:?}: {passed}");
        }
    }

    #[test]
    fn a_cat_in_half_of_the_time_passes_nearly_always() {
        for (name, passed) in [
            ("the first half", passes(&[40; 60], |frame| frame < 30)),
            (
                "every other frame",
                passes(&[40; 60], |frame| frame % 2 == 0),
            ),
            ("one of two frames", passes(&[500; 2], |frame| frame == 1)),
            (
                "long cats between short other things",
                passes(&[50, 50, 10, 10, 10, 10, 10, 50].repeat(7), |frame| {
                    frame % 8 < 2
                }),
            ),
        ] {
            assert!(passed > 960, "{name}: {passed}");
        }
    }

    #[test]
    fn neither_a_long_wait_nor_a_short_glimpse_carries_an_animation() {
        let mut cat_first = vec![20; 60];
        cat_first[0] = 600_000;
        assert_eq!(passes(&cat_first, |frame| frame == 0), 1000);
        let mut cat_last = vec![1000; 60];
        cat_last[59] = 3_600_000;
        assert!(passes(&cat_last, |frame| frame == 59) < 30);
        assert_eq!(passes(&[2000, 3_600_000], |frame| frame == 0), 0);
    }
}
