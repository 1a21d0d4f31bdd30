//! What the local models answer about one frame, as types. It is pure. `sight` and `labels` read
//! it.

use std::ops::RangeInclusive;

/// The number of classes that the labels model tells apart: those of ImageNet-1k.
pub const CLASS_COUNT: usize = 1000;

/// The domestic cats among the classes: tabby, tiger cat, Persian, Siamese, Egyptian Mau. The
/// classes after them, up to 293, are wild cats, which this site does not show.
const CATS: RangeInclusive<usize> = 281..=285;

/// The classes of animals that are easily taken for cats: wild cats, rabbits, weasels with their
/// kin (raccoons have no class, and are put among these), mongooses and the red panda.
const LOOKALIKES: [RangeInclusive<usize>; 5] =
    [286..=293, 298..=299, 330..=332, 356..=362, 387..=387];

/// How much the head for cats counts beside the classes.
const HEAD_WEIGHT: f32 = 0.5;

/// A glance whose score lies between these is not sure, and closer looks are worth their time:
/// that is so for one cat in twelve, and for one other picture in forty.
const UNSURE: RangeInclusive<f32> = -7.0..=0.0;

/// The least score of a box around a cat for which it is worth looking closer where a glance sees
/// no cat at all: it may be too small to be seen in the whole picture. One picture in fifteen
/// without a cat is looked at once more for it.
const SUSPECTED: f32 = 0.1;

/// The lookalikes must be this many times as probable as the cats before they count against them.
const LOOKALIKE_RATIO: f32 = 2.0;

/// The small linear heads behind the labels model's features, in the order of its outputs.
/// `server/models/HEADS.md` says how they were trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    Cat,
    Black,
    BlackAndWhite,
    Ginger,
    Tabby,
    Grey,
    Calico,
    Tortoiseshell,
    Colourpoint,
    White,
    Hairless,
}

impl Head {
    all_variants! {
        /// Every head, in the order of the outputs.
        pub const ALL = [
            Cat,
            Black,
            BlackAndWhite,
            Ginger,
            Tabby,
            Grey,
            Calico,
            Tortoiseshell,
            Colourpoint,
            White,
            Hairless,
        ];
    }
}

/// What the labels model says about one square of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    classes: Vec<f32>,
    heads: [f32; Head::ALL.len()],
}

impl Glance {
    /// Takes the model's outputs: the probabilities of the [`CLASS_COUNT`] classes, and the values
    /// of the heads behind them. `None` unless these are as many, the probabilities lie between 0
    /// and 1, and the values are finite: a NaN compares false with every threshold.
    #[must_use]
    pub fn new(outputs: &[f32]) -> Option<Self> {
        let (classes, heads) = outputs.split_at_checked(CLASS_COUNT)?;
        let heads = <[f32; Head::ALL.len()]>::try_from(heads).ok()?;
        let are_sound = classes.iter().all(|p| (0.0..=1.001).contains(p))
            && heads.iter().all(|value| value.is_finite());
        are_sound.then(|| Self {
            classes: classes.to_vec(),
            heads,
        })
    }

    /// The probability of the classes in this list together.
    #[must_use]
    pub fn mass(&self, classes: &[usize]) -> f32 {
        classes.iter().map(|&class| self.classes[class]).sum()
    }

    /// The value of a head: the log odds of its answer.
    #[must_use]
    pub const fn head(&self, head: Head) -> f32 {
        self.heads[head as usize]
    }

    /// The log odds of a domestic cat, by the classes and the head.
    #[must_use]
    pub fn score(&self) -> f32 {
        let mass = self.cats().clamp(1e-9, 1.0 - 1e-6);
        (mass / (1.0 - mass)).ln() + HEAD_WEIGHT * self.head(Head::Cat)
    }

    fn cats(&self) -> f32 {
        self.classes[CATS].iter().sum()
    }

    /// True where the picture looks more like an animal that is easily taken for a cat.
    #[must_use]
    pub fn looks_like_another_animal(&self) -> bool {
        let others: f32 = LOOKALIKES
            .into_iter()
            .map(|range| self.classes[range].iter().sum::<f32>())
            .sum();
        others > LOOKALIKE_RATIO * self.cats()
    }
}

/// A kind of thing that the detector finds, as far as anything follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Cat,
    Dog,
    Laptop,
    Monitor,
    Book,
    Box,
    Cup,
    Bottle,
    Bicycle,
    Camera,
    ComputerMouse,
}

impl Kind {
    all_variants! {
        /// Every kind.
        pub const ALL = [
            Cat,
            Dog,
            Laptop,
            Monitor,
            Book,
            Box,
            Cup,
            Bottle,
            Bicycle,
            Camera,
            ComputerMouse,
        ];
    }
}

/// Where something is in a frame, as shares of the frame's sides from its top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
}

/// What the detector found in a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The best score of each kind, from 0 to 1.
    scores: [f32; Kind::ALL.len()],
    /// The best box for a cat, however low its score is.
    pub cat: Place,
}

impl Found {
    /// Nothing, with this place as the best guess for a cat.
    #[must_use]
    pub const fn nothing(cat: Place) -> Self {
        Self {
            scores: [0.0; Kind::ALL.len()],
            cat,
        }
    }

    /// The best score of a kind, from 0 to 1.
    #[must_use]
    pub const fn score(&self, kind: Kind) -> f32 {
        self.scores[kind as usize]
    }

    /// Notes a box of this kind. Returns true where it is the best so far.
    pub fn note(&mut self, kind: Kind, score: f32) -> bool {
        let best = &mut self.scores[kind as usize];
        let is_better = score > *best;
        if is_better {
            *best = score;
        }
        is_better
    }
}

/// How far a first glance can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It settles whether there is a cat.
    None,
    /// It is unsure.
    Unsure,
    /// It sees no cat, but the detector suspects a small one.
    Overlooked,
}

impl Doubt {
    /// What a first glance and the detector together leave open.
    #[must_use]
    pub fn of(first: &Glance, found: &Found) -> Self {
        let (score, cat) = (first.score(), found.score(Kind::Cat));
        if UNSURE.contains(&score) {
            Self::Unsure
        } else if score < *UNSURE.start() && cat >= SUSPECTED && cat > found.score(Kind::Dog) {
            Self::Overlooked
        } else {
            Self::None
        }
    }
}

/// The score from which on a glance can be unsure. One that overlooked a cat counts as much, so
/// that it does not outweigh the closer look.
pub const LEAST_UNSURE: f32 = *UNSURE.start();

/// The share from 0 to 1 that these log odds stand for.
#[must_use]
pub fn logistic(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_are_no_probabilities_are_no_glance() {
        let sound = vec![0.0; CLASS_COUNT + Head::ALL.len()];
        assert!(Glance::new(&sound).is_some());
        assert!(Glance::new(&sound[1..]).is_none());
        for (place, value) in [
            (0, f32::NAN),
            (281, -0.1),
            (281, 1.5),
            (CLASS_COUNT, f32::NAN),
            (CLASS_COUNT, f32::INFINITY),
        ] {
            let mut outputs = sound.clone();
            outputs[place] = value;
            assert!(Glance::new(&outputs).is_none(), "{place} {value}");
        }
    }
}
