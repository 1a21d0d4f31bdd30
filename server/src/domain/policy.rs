//! Decides who looks at a picture and which of their figures count. It is pure.

use crate::domain::detection::{self, DetectionMinimums};
use crate::domain::labels;
use crate::domain::moderation::{self, ModerationMinimums};
use crate::domain::picture::{Sha256Hash, Tag};
use crate::domain::verdict::{self, FrameLook, Reason, Rules, Seen, Thresholds, Verdict};

/// Who looks at pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The two models on this machine, and nobody else.
    Local,
    /// Amazon Rekognition alone. Every picture is paid for.
    Rekognition,
    /// The local models first. What they do not refuse with certainty goes on to Rekognition, which
    /// decides.
    LocalThenRekognition,
}

impl Mode {
    all_variants! {
        /// Every mode.
        pub const ALL = [Local, Rekognition, LocalThenRekognition];
    }

    /// The name by which the operator chooses it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Rekognition => "rekognition",
            Self::LocalThenRekognition => "local+rekognition",
        }
    }
}

/// The figures from which the local models are so sure of a refusal that nobody else is asked, each
/// from 0 to 1.
///
/// A refusal here is final, while a picture that passes costs up to two calls. So both figures are
/// far from [`Thresholds`]: what is certain must hardly ever be a decent cat. `docs/OPERATING.md`
/// has the measurements behind the defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Certainty {
    /// There is no cat where the summed probability of the domestic cat classes is below this in
    /// every labelled frame.
    pub no_cat: f32,
    /// The picture is indecent where the worst indecent class has at least this probability in any
    /// frame.
    pub indecent: f32,
}

impl Default for Certainty {
    fn default() -> Self {
        Self {
            no_cat: 0.005,
            indecent: 0.97,
        }
    }
}

/// Everything that decides about a picture, except the models themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    pub mode: Mode,
    pub thresholds: Thresholds,
    pub certainty: Certainty,
    pub moderation: ModerationMinimums,
    pub detection: DetectionMinimums,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Local,
            thresholds: Thresholds::default(),
            certainty: Certainty::default(),
            moderation: ModerationMinimums::default(),
            detection: DetectionMinimums::default(),
        }
    }
}

/// What follows from the local models' look at a picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Triage {
    /// It is refused, and nobody else is asked.
    Refuse(Reason),
    /// Somebody else must be asked.
    Ask,
    /// It is a decent cat, and nobody else is asked.
    Approve { tags: Vec<Tag>, alt: String },
}

impl Policy {
    /// The same policy with the local models alone. It decides where Rekognition cannot be paid.
    #[must_use]
    pub const fn local_alone(self) -> Self {
        Self {
            mode: Mode::Local,
            ..self
        }
    }

    /// True where pictures may go on to Rekognition.
    #[must_use]
    pub const fn asks(&self) -> bool {
        !matches!(self.mode, Mode::Local)
    }

    /// True where the local models must see a picture.
    #[must_use]
    pub const fn looks_locally(&self) -> bool {
        !matches!(self.mode, Mode::Rekognition)
    }

    /// True when this frame alone decides against the picture, so that no other frame needs to be
    /// looked at.
    #[must_use]
    pub fn condemns(&self, look: &FrameLook) -> bool {
        match self.mode {
            Mode::Local => verdict::is_indecent(look, &self.thresholds),
            Mode::Rekognition => false,
            Mode::LocalThenRekognition => {
                // A score that is NaN refuses the picture: screening fails closed.
                look.indecency.is_nan() || look.indecency >= self.certainty.indecent
            }
        }
    }

    /// What follows from the local models' look at all frames.
    ///
    /// | mode | certainly indecent | certainly no cat | everything else |
    /// | --- | --- | --- | --- |
    /// | local | refused | refused | [`verdict::judge`] decides |
    /// | rekognition | asked | asked | asked |
    /// | local+rekognition | refused | refused | asked, whatever `judge` would say |
    #[must_use]
    pub fn triage(&self, seen: &[Seen]) -> Triage {
        match self.mode {
            Mode::Local => match verdict::judge(seen, &self.thresholds) {
                Verdict::Approved { tags, alt } => Triage::Approve { tags, alt },
                Verdict::Rejected(reason) => Triage::Refuse(reason),
            },
            Mode::Rekognition => Triage::Ask,
            Mode::LocalThenRekognition => {
                if seen.iter().any(|seen| self.condemns(&seen.look)) {
                    return Triage::Refuse(Reason::Indecent);
                }
                // Written so that a probability or threshold that is NaN refuses the picture, and
                // so does a picture without any look.
                let maybe_a_cat = seen
                    .iter()
                    .filter_map(|seen| seen.look.labels.as_deref())
                    .any(|labels| labels::cat_mass(labels) >= self.certainty.no_cat);
                if maybe_a_cat {
                    Triage::Ask
                } else {
                    Triage::Refuse(Reason::NotACat)
                }
            }
        }
    }

    /// The rules under which a verdict is remembered, given the name of the local screener. They
    /// hold everything that decides in this mode, and nothing else.
    #[must_use]
    pub fn rules(&self, screener: &str) -> Rules {
        // Another version of the program may decode or judge differently.
        let version = env!("CARGO_PKG_VERSION");
        let Thresholds { cat, indecent } = self.thresholds;
        let rekognition = format!(
            "{} {} {} {} {} {}",
            moderation::TAXONOMY_VERSION,
            detection::POLICY_VERSION,
            self.moderation.grave,
            self.moderation.mild,
            self.detection.cat,
            self.detection.tag
        );
        let text = match self.mode {
            Mode::Local => format!(
                "{version} {} {cat} {indecent} {screener}",
                verdict::POLICY_VERSION
            ),
            Mode::Rekognition => format!("{version} rekognition {rekognition}"),
            Mode::LocalThenRekognition => format!(
                "{version} {} local+rekognition {} {} {screener} {rekognition}",
                verdict::POLICY_VERSION,
                self.certainty.no_cat,
                self.certainty.indecent
            ),
        };
        Rules(Sha256Hash::of(text.as_bytes()))
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

    fn unlabelled(indecency: f32) -> Seen {
        Seen::whole(FrameLook {
            indecency,
            labels: None,
        })
    }

    fn policy(mode: Mode) -> Policy {
        Policy {
            mode,
            ..Policy::default()
        }
    }

    #[test]
    fn each_mode_refuses_asks_or_approves() {
        const NO_CAT: &str = "refuse not-a-cat";
        const UNSAFE: &str = "refuse unsafe";
        let cases: &[(&[Seen], [&str; 3])] = &[
            (&[look(0.0, 0.9)], ["approve", "ask", "ask"]),
            // It may or may not be a cat.
            (&[look(0.0, 0.04)], [NO_CAT, "ask", "ask"]),
            (&[look(0.0, 0.005)], [NO_CAT, "ask", "ask"]),
            (&[look(0.0, 0.0049)], [NO_CAT, "ask", NO_CAT]),
            // It may or may not be decent.
            (&[look(0.84, 0.9)], ["approve", "ask", "ask"]),
            (&[look(0.85, 0.9)], [UNSAFE, "ask", "ask"]),
            (&[look(0.96, 0.9)], [UNSAFE, "ask", "ask"]),
            (&[look(0.97, 0.9)], [UNSAFE, "ask", UNSAFE]),
            // Indecency comes first, and one frame is enough.
            (&[look(0.97, 0.0)], [UNSAFE, "ask", UNSAFE]),
            (&[look(0.0, 0.9), unlabelled(0.99)], [UNSAFE, "ask", UNSAFE]),
            // One frame of five with a cat is too little for the local models, and Rekognition may
            // see it differently.
            (
                &[
                    look(0.0, 0.9),
                    look(0.0, 0.0),
                    look(0.0, 0.0),
                    look(0.0, 0.0),
                    look(0.0, 0.0),
                ],
                [NO_CAT, "ask", "ask"],
            ),
            // No frames, and scores that make no sense.
            (&[], [NO_CAT, "ask", NO_CAT]),
            (&[unlabelled(0.0)], [NO_CAT, "ask", NO_CAT]),
            (&[look(f32::NAN, 0.9)], [UNSAFE, "ask", UNSAFE]),
            (&[look(0.0, f32::NAN)], [NO_CAT, "ask", NO_CAT]),
        ];
        for (looks, expected) in cases {
            for (mode, expected) in Mode::ALL.into_iter().zip(expected) {
                let found = match policy(mode).triage(looks) {
                    Triage::Refuse(reason) => format!("refuse {}", reason.as_str()),
                    Triage::Ask => "ask".to_owned(),
                    Triage::Approve { .. } => "approve".to_owned(),
                };
                assert_eq!(&found, expected, "{} {looks:?}", mode.as_str());
            }
        }
    }

    #[test]
    fn certainty_that_is_no_number_refuses() {
        let mut broken = policy(Mode::LocalThenRekognition);
        broken.certainty.no_cat = f32::NAN;
        let triage = broken.triage(&[look(0.0, 0.9)]);
        assert_eq!(triage, Triage::Refuse(Reason::NotACat));
    }

    #[test]
    fn whatever_decides_in_a_mode_is_part_of_its_rules_and_nothing_else_is() {
        type Change = fn(&mut Policy);
        let changes: [(&str, Change); 8] = [
            ("cat", |policy| policy.thresholds.cat = 0.1),
            ("indecent", |policy| policy.thresholds.indecent = 0.1),
            ("no cat", |policy| policy.certainty.no_cat = 0.1),
            ("certainly indecent", |policy| {
                policy.certainty.indecent = 0.1
            }),
            ("grave", |policy| policy.moderation.grave = 0.1),
            ("mild", |policy| policy.moderation.mild = 0.1),
            ("rekognition's cat", |policy| policy.detection.cat = 0.1),
            ("tag", |policy| policy.detection.tag = 0.1),
        ];
        for (mode, decisive, names_screener) in [
            (
                Mode::Local,
                [true, true, false, false, false, false, false, false],
                true,
            ),
            (
                Mode::Rekognition,
                [false, false, false, false, true, true, true, true],
                false,
            ),
            (
                Mode::LocalThenRekognition,
                [false, false, true, true, true, true, true, true],
                true,
            ),
        ] {
            let policy = policy(mode);
            for ((name, change), decisive) in changes.iter().zip(decisive) {
                let mut changed = policy;
                change(&mut changed);
                let differs = changed.rules("models") != policy.rules("models");
                assert_eq!(differs, decisive, "{} {name}", mode.as_str());
            }
            let differs = policy.rules("others") != policy.rules("models");
            assert_eq!(differs, names_screener, "{}", mode.as_str());
            assert_eq!(
                policy.local_alone().rules("x"),
                self::policy(Mode::Local).rules("x")
            );
        }
        let rules = Mode::ALL.map(|mode| policy(mode).rules("models"));
        assert!(rules[0] != rules[1] && rules[1] != rules[2] && rules[0] != rules[2]);
    }
}
