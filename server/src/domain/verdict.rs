//! From what the models saw to a verdict: pure, so that the policy can be read and tested in one place.

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

/// Judges a picture by all its frames.
///
/// One indecent frame condemns it. A cat must be seen in at least a quarter of the frames that were asked for labels,
/// so that a single cat frame does not carry an animation of something else.
#[must_use]
pub fn judge(looks: &[FrameLook], thresholds: &Thresholds) -> Verdict {
    if looks.iter().any(|look| is_indecent(look, thresholds)) {
        return Verdict::Rejected(Reason::Indecent);
    }
    let mut labelled: Vec<&[f32]> = looks
        .iter()
        .filter_map(|look| look.labels.as_deref())
        .collect();
    labelled.sort_by(|a, b| labels::cat_mass(b).total_cmp(&labels::cat_mass(a)));
    let quarter = labelled.len().div_ceil(4);
    let cats = labelled
        .iter()
        .filter(|labels| labels::cat_mass(labels) >= thresholds.cat)
        .count();
    match labelled.first() {
        Some(best) if cats >= quarter => {
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

    fn look(indecency: f32, cat: f32) -> FrameLook {
        let mut labels = vec![0.0; 1000];
        labels[281] = cat;
        labels[504] = 1.0 - cat;
        FrameLook {
            indecency,
            labels: Some(labels),
        }
    }

    fn judged(looks: &[FrameLook]) -> Result<(), Reason> {
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
            FrameLook {
                indecency: 0.85,
                labels: None,
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
