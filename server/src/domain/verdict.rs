//! From what the models saw to a verdict: pure, so that the policy can be read and tested in one place.

use crate::domain::draw::Weight;
use crate::domain::labels;
use crate::domain::picture::{Sha256Hash, Tag};

/// What decides, each 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// The least probability mass of the domestic cats that makes a cat.
    /// 0.05 keeps 94 % of cat photographs and lets in 0.4 % of dogs (measured on 250 of each).
    pub cat: f32,
    /// The probability of the worst indecent class from which a picture is refused.
    /// 0.85 refuses 0.4 % of cat photographs, 0.7 would refuse up to 1.6 % (measured on 250 each).
    pub indecent: f32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            cat: 0.05,
            indecent: 0.85,
        }
    }
}

/// What was seen in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameLook {
    /// The worst indecent probability of any square that was judged.
    pub indecency: f32,
    /// ImageNet probabilities of the square most like a cat; `None` for frames that only the decency model saw.
    pub labels: Option<Vec<f32>>,
}

/// A frame, and how much of the picture it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub look: FrameLook,
    pub weight: Weight,
}

impl Seen {
    /// A still, or a frame that is all there is.
    #[must_use]
    pub const fn whole(look: FrameLook) -> Self {
        Self {
            look,
            weight: Weight::WHOLE,
        }
    }

    /// The same of a frame that will not be published: whatever is in it, it is no cat that anybody gets to see. Its instants
    /// still count, as ones without a cat.
    pub fn drop_frame(&mut self) {
        self.look.labels = self.look.labels.take().map(|_| Vec::new());
    }
}

/// Why a picture is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    NotACat,
    Indecent,
    /// It looks like a picture that an admin banned.
    Banned,
    /// The pixels could not be read to their end.
    Corrupt,
    /// More pixels, frames or memory than the limits allow.
    TooManyPixels,
    TooSmall,
    Unsupported,
    /// It could not be paid for; nothing is said of the picture itself.
    BudgetSpent,
    /// Its files are more than the store may hold; nothing is said of the picture itself.
    StorageFull,
}

impl Reason {
    const ALL: [Self; 9] = [
        Self::NotACat,
        Self::Indecent,
        Self::Banned,
        Self::Corrupt,
        Self::TooManyPixels,
        Self::TooSmall,
        Self::Unsupported,
        Self::BudgetSpent,
        Self::StorageFull,
    ];

    /// As the index keeps it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotACat => "not-a-cat",
            Self::Indecent => "unsafe",
            Self::Banned => "banned",
            Self::Corrupt => "corrupt-image",
            Self::TooManyPixels => "too-many-pixels",
            Self::TooSmall => "too-small",
            Self::Unsupported => "unsupported-type",
            Self::BudgetSpent => "budget-spent",
            Self::StorageFull => "storage-full",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// True where models judged the pixels, so that the same bytes under the same rules get the same again.
    /// Limits and bans can change while the rules stay.
    #[must_use]
    pub const fn is_of_the_pixels(self) -> bool {
        matches!(self, Self::NotACat | Self::Indecent)
    }
}

/// Under what a verdict was reached; under other rules it must be reached anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules(pub Sha256Hash);

/// The outcome of screening.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Approved { tags: Vec<Tag>, alt: String },
    Rejected(Reason),
}

/// How far a second opinion on a picture has come, in an order of steps that are each paid for.
#[derive(Debug, Clone, PartialEq)]
pub enum Review {
    /// It is needed.
    Asked,
    /// The picture is decent; whether it is a cat is not known.
    Decent,
    Judged(Verdict),
}

impl Review {
    /// How many calls it still takes at most.
    #[must_use]
    pub const fn calls_left(&self) -> u32 {
        match self {
            Self::Asked => 2,
            Self::Decent => 1,
            Self::Judged(_) => 0,
        }
    }
}

/// True when this frame alone condemns the picture, so that nothing more needs to be looked at.
#[must_use]
pub fn is_indecent(look: &FrameLook, thresholds: &Thresholds) -> bool {
    // A broken score refuses: screening fails closed.
    look.indecency.is_nan() || look.indecency >= thresholds.indecent
}

/// Which way of judging this is; part of what a verdict is remembered under, so raise it with the rule below.
pub const POLICY_VERSION: u32 = 2;

/// Judges a picture by all its frames.
///
/// One indecent frame condemns it. A cat must be seen at one of every four instants that were drawn, by the time as it is and
/// with long frames cut short (`draw` says why), so that a short glimpse of a cat does not carry an animation of something
/// else.
///
/// A cat is seen where the labels model finds one likely somewhere in the frame; how large it is, and what else there is, is
/// not asked. A picture of other things with a cat in a corner is a picture of a cat by this rule. To tell them apart takes a
/// model that finds places, which this is not.
#[must_use]
pub fn judge(seen: &[Seen], thresholds: &Thresholds) -> Verdict {
    if seen.iter().any(|seen| is_indecent(&seen.look, thresholds)) {
        return Verdict::Rejected(Reason::Indecent);
    }
    let labelled = || {
        seen.iter()
            .filter_map(|seen| Some((seen.look.labels.as_deref()?, seen.weight)))
    };
    let is_cat = |labels: &[f32]| labels::cat_mass(labels) >= thresholds.cat;
    let enough = |count: fn(Weight) -> u32| {
        let all: u32 = labelled().map(|(_, weight)| count(weight)).sum();
        let cats: u32 = labelled()
            .filter(|(labels, _)| is_cat(labels))
            .map(|(_, weight)| count(weight))
            .sum();
        cats > 0 && cats >= all.div_ceil(4)
    };
    let best = labelled()
        .map(|(labels, _)| labels)
        .max_by(|a, b| labels::cat_mass(a).total_cmp(&labels::cat_mass(b)));
    match best {
        Some(best) if enough(|weight| weight.by_time) && enough(|weight| weight.by_patience) => {
            let found = labels::tags(best, labels::THING_FLOOR);
            let alt = labels::alt_text(&found);
            let tags = found
                .into_iter()
                .map(|tag| Tag {
                    name: tag.name,
                    confidence: tag.confidence,
                })
                .collect();
            Verdict::Approved { tags, alt }
        }
        _ => Verdict::Rejected(Reason::NotACat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(indecency: f32, cat: f32) -> Seen {
        let mut labels = vec![0.0; 1000];
        labels[281] = cat;
        labels[504] = 1.0 - cat;
        Seen::whole(FrameLook {
            indecency,
            labels: Some(labels),
        })
    }

    fn weighing(by_time: u32, by_patience: u32, cat: f32) -> Seen {
        Seen {
            weight: Weight {
                by_time,
                by_patience,
            },
            ..look(0.0, cat)
        }
    }

    fn judged(looks: &[Seen]) -> Result<(), Reason> {
        match judge(looks, &Thresholds::default()) {
            Verdict::Approved { .. } => Ok(()),
            Verdict::Rejected(reason) => Err(reason),
        }
    }

    #[test]
    fn one_indecent_frame_condemns_the_picture() {
        let mut looks = vec![look(0.0, 0.9); 59];
        assert_eq!(judged(&looks), Ok(()));
        looks.insert(
            30,
            Seen {
                look: FrameLook {
                    indecency: 0.85,
                    labels: None,
                },
                weight: Weight::default(),
            },
        );
        assert_eq!(judged(&looks), Err(Reason::Indecent));
    }

    #[test]
    fn a_cat_in_a_quarter_of_the_frames_is_enough_and_less_is_not() {
        let cup = look(0.0, 0.0);
        assert_eq!(
            judged(&[look(0.0, 0.9), cup.clone(), cup.clone(), cup.clone()]),
            Ok(())
        );
        assert_eq!(
            judged(&[
                look(0.0, 0.9),
                cup.clone(),
                cup.clone(),
                cup.clone(),
                cup.clone()
            ]),
            Err(Reason::NotACat)
        );
        assert_eq!(judged(&[cup]), Err(Reason::NotACat));
    }

    #[test]
    fn a_frame_counts_as_often_as_it_was_drawn_and_in_both_countings() {
        for (cat, other, expected) in [
            ((3, 3), (9, 9), Ok(())),
            ((2, 3), (10, 9), Err(Reason::NotACat)),
            ((3, 2), (9, 10), Err(Reason::NotACat)),
            ((12, 0), (0, 12), Err(Reason::NotACat)),
            ((0, 0), (12, 12), Err(Reason::NotACat)),
            ((0, 0), (0, 0), Err(Reason::NotACat)),
        ] {
            let seen = [weighing(cat.0, cat.1, 0.9), weighing(other.0, other.1, 0.0)];
            assert_eq!(judged(&seen), expected, "{cat:?} {other:?}");
        }
    }

    #[test]
    fn a_cat_in_a_frame_that_is_dropped_is_no_cat() {
        let mut seen = [weighing(6, 6, 0.9), weighing(6, 6, 0.0)];
        assert_eq!(judged(&seen), Ok(()));
        seen[0].drop_frame();
        assert_eq!(judged(&seen), Err(Reason::NotACat));
        // Nor is what was not looked at.
        let mut unlabelled = look(0.0, 0.9);
        unlabelled.look.labels = None;
        unlabelled.drop_frame();
        assert_eq!(unlabelled.look.labels, None);
    }

    #[test]
    fn screening_fails_closed_on_nothing_and_on_nonsense() {
        assert_eq!(judged(&[]), Err(Reason::NotACat));
        assert_eq!(judged(&[look(f32::NAN, 0.9)]), Err(Reason::Indecent));
        assert_eq!(judged(&[look(0.0, f32::NAN)]), Err(Reason::NotACat));
    }

    #[test]
    fn reasons_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
    }
}
