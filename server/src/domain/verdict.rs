//! Turns what the models saw into a verdict. It is pure, so that the rule can be read and tested in
//! one place.

use crate::domain::draw::Weight;
use crate::domain::hash::Sha256Hash;
use crate::domain::labels;
use crate::domain::sight::Sight;
use crate::domain::tag::Tag;

/// The figures that decide, each from 0 to 1. `docs/SCREENING.md` has what they were measured by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// The least certainty that there is a domestic cat ([`Sight::cat`]).
    pub cat: f32,
    /// The indecency from which a picture is refused ([`FrameLook::indecency`]).
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

/// What the models saw in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameLook {
    /// How indecent the worst part of it is, from 0 to 1 ([`crate::domain::sight::indecency`]).
    pub indecency: f32,
    /// What was seen in the part that is most like a cat; `None` for a frame that only the decency
    /// models saw.
    pub sight: Option<Sight>,
}

impl FrameLook {
    /// Takes in what was seen in another part of the frame: the most indecent part and the one most
    /// like a cat count.
    pub fn include(&mut self, part: Self) {
        // `f32::max` would forget a NaN, which must reach whoever decides.
        if part.indecency.is_nan() || part.indecency > self.indecency {
            self.indecency = part.indecency;
        }
        if let Some(sight) = part.sight
            && self.sight.as_ref().is_none_or(|best| sight.cat > best.cat)
        {
            self.sight = Some(sight);
        }
    }
}

/// What was seen in a frame, and how much of the picture that frame is.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub look: FrameLook,
    pub weight: Weight,
}

impl Seen {
    /// A frame that is the whole picture, such as a still.
    #[must_use]
    pub const fn whole(look: FrameLook) -> Self {
        Self {
            look,
            weight: Weight::WHOLE,
        }
    }

    /// Marks the frame as one that will not be published. Nobody will see what is in it, so its
    /// instants still count, but as instants without a cat.
    pub fn drop_frame(&mut self) {
        self.look.sight = self.look.sight.take().map(|_| Sight::default());
    }
}

/// Why a picture is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    NotACat,
    Indecent,
    /// It looks like a picture that an admin banned.
    Banned,
    /// The pixels could not be decoded to the end.
    Corrupt,
    /// It has more pixels or frames, or needs more memory, than the limits allow.
    TooManyPixels,
    TooSmall,
    Unsupported,
    /// There was no money left to have it looked at. This says nothing about the picture itself.
    BudgetSpent,
    /// Its files need more room than the store has left. This says nothing about the picture
    /// itself.
    StorageFull,
}

impl Reason {
    all_variants! {
        /// Every reason.
        pub const ALL = [
            NotACat,
            Indecent,
            Banned,
            Corrupt,
            TooManyPixels,
            TooSmall,
            Unsupported,
            BudgetSpent,
            StorageFull,
        ];
    }

    /// Its name in the index.
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

    /// True where something else than the picture refused it, so that the same bytes may be taken
    /// at another time.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::BudgetSpent | Self::StorageFull)
    }

    /// True where the models judged the pixels, so that the same bytes get the same verdict again
    /// under the same rules. It is false for limits and bans, which can change while the rules
    /// stay.
    #[must_use]
    pub const fn is_of_the_pixels(self) -> bool {
        matches!(self, Self::NotACat | Self::Indecent)
    }
}

/// A hash of everything that a verdict depends on. Under other rules the verdict must be reached
/// anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules(pub Sha256Hash);

/// The outcome of screening.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Approved { tags: Vec<Tag>, alt: String },
    Rejected(Reason),
}

/// How far a second opinion on a picture has come. Each step is paid for.
#[derive(Debug, Clone, PartialEq)]
pub enum Review {
    /// A second opinion is needed, and nothing has been answered yet.
    Asked,
    /// The picture is decent. Whether it shows a cat is not known yet.
    Decent,
    Judged(Verdict),
}

impl Review {
    /// How far it has come; the further, the higher.
    #[must_use]
    pub const fn progress(&self) -> u8 {
        match self {
            Self::Asked => 0,
            Self::Decent => 1,
            Self::Judged(_) => 2,
        }
    }
}

/// True when this frame alone condemns the picture, so that no other frame needs to be looked at.
#[must_use]
pub fn is_indecent(look: &FrameLook, thresholds: &Thresholds) -> bool {
    // Screening fails closed: a figure or a threshold that is NaN refuses the picture.
    let is_decent = look.indecency < thresholds.indecent;
    !is_decent
}

/// The version of the rule in [`judge`]. Verdicts are remembered under it, so raise it whenever the
/// rule changes.
pub const POLICY_VERSION: u32 = 4;

/// Judges a picture by all of its frames.
///
/// One indecent frame condemns it. A cat must be seen at a quarter of the drawn instants, both by
/// the real times and with long frames cut short, so that a short glimpse of a cat does not carry
/// an animation of something else. `draw` explains both counts.
///
/// A cat counts as seen where the models find one likely somewhere in the frame. How large it is
/// and what else is there does not matter: a picture of other things with a cat in a corner is a
/// picture of a cat.
#[must_use]
pub fn judge(seen: &[Seen], thresholds: &Thresholds) -> Verdict {
    if seen.iter().any(|seen| is_indecent(&seen.look, thresholds)) {
        return Verdict::Rejected(Reason::Indecent);
    }
    let sights = || {
        seen.iter()
            .filter_map(|seen| Some((seen.look.sight.as_ref()?, seen.weight)))
    };
    let enough = |count: fn(Weight) -> u32| {
        let all: u32 = sights().map(|(_, weight)| count(weight)).sum();
        let cats: u32 = sights()
            .filter(|(sight, _)| sight.cat >= thresholds.cat)
            .map(|(_, weight)| count(weight))
            .sum();
        cats > 0 && cats >= all.div_ceil(4)
    };
    let best = sights()
        .map(|(sight, _)| sight)
        .max_by(|a, b| a.cat.total_cmp(&b.cat));
    match best {
        Some(best) if enough(|weight| weight.by_time) && enough(|weight| weight.by_patience) => {
            Verdict::Approved {
                tags: labels::tags(best.cat, &best.words),
                alt: labels::alt_text(&best.words),
            }
        }
        _ => Verdict::Rejected(Reason::NotACat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(indecency: f32, cat: f32) -> Seen {
        Seen::whole(FrameLook {
            indecency,
            sight: Some(Sight::of_cat(cat)),
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
                    sight: None,
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
        // A frame that only the decency models saw stays so.
        let mut unlabelled = look(0.0, 0.9);
        unlabelled.look.sight = None;
        unlabelled.drop_frame();
        assert_eq!(unlabelled.look.sight, None);
    }

    #[test]
    fn screening_fails_closed_on_nothing_and_on_nonsense() {
        assert_eq!(judged(&[]), Err(Reason::NotACat));
        assert_eq!(judged(&[look(f32::NAN, 0.9)]), Err(Reason::Indecent));
        assert_eq!(judged(&[look(0.0, f32::NAN)]), Err(Reason::NotACat));
    }

    #[test]
    fn of_a_frame_in_parts_the_most_indecent_and_the_one_most_like_a_cat_count() {
        let seen_in = |parts: &[(f32, Option<f32>)]| {
            let mut look = FrameLook {
                indecency: 0.0,
                sight: None,
            };
            for &(indecency, cat) in parts {
                look.include(FrameLook {
                    indecency,
                    sight: cat.map(Sight::of_cat),
                });
            }
            (look.indecency, look.sight.map(|sight| sight.cat))
        };
        let parts = [(0.1, Some(0.2)), (0.9, Some(0.1)), (0.3, Some(0.8))];
        assert_eq!(seen_in(&parts), (0.9, Some(0.8)));
        assert_eq!(seen_in(&[(0.4, None)]), (0.4, None));
        // Nonsense in one part is not made good by another.
        for parts in [
            [(f32::NAN, None), (0.1, None)],
            [(0.1, None), (f32::NAN, None)],
        ] {
            assert!(seen_in(&parts).0.is_nan(), "{parts:?}");
        }
    }

    #[test]
    fn reasons_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
    }
}
