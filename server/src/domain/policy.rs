//! Decides who looks at a picture and which of their figures count. It is pure.

use crate::domain::hash::Sha256Hash;
use crate::domain::tag::Tag;
use crate::domain::verdict::{self, FrameLook, Reason, Rules, Seen, Thresholds, Verdict};

/// Who looks at pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The models on this machine, and nobody else.
    Local,
    /// Somebody else alone; each picture is paid.
    Other,
    /// The local models first; what they do not refuse with certainty goes on to somebody else, who
    /// then decides and is paid.
    LocalThenOther,
}

impl Mode {
    all_variants! {
        /// Every mode.
        pub const ALL = [Local, Other, LocalThenOther];
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
    /// There is no cat where the certainty of one is below this in every frame that was looked at
    /// for one.
    pub no_cat: f32,
    /// The picture is indecent where any frame is at least as indecent as this.
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
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Local,
            thresholds: Thresholds::default(),
            certainty: Certainty::default(),
        }
    }
}

/// Who is asked beside the local models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Other {
    /// Its name in `CATTO_SCREENING`.
    pub id: String,
    /// Everything that decides what its answers mean.
    pub rules: String,
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

    /// True where pictures may go on to somebody else.
    #[must_use]
    pub const fn asks(&self) -> bool {
        !matches!(self.mode, Mode::Local)
    }

    /// True where the local models must see a picture.
    #[must_use]
    pub const fn looks_locally(&self) -> bool {
        !matches!(self.mode, Mode::Other)
    }

    /// True when this frame alone decides against the picture, so that no other frame needs to be
    /// looked at.
    #[must_use]
    pub fn condemns(&self, look: &FrameLook) -> bool {
        match self.mode {
            Mode::Local => verdict::is_indecent(look, &self.thresholds),
            Mode::Other => false,
            Mode::LocalThenOther => {
                // Written so that a figure or threshold that is NaN refuses the picture.
                let may_be_decent = look.indecency < self.certainty.indecent;
                !may_be_decent
            }
        }
    }

    /// What follows from the local models' look at all frames.
    ///
    /// | mode | certainly indecent | certainly no cat | everything else |
    /// | --- | --- | --- | --- |
    /// | local | refused | refused | [`verdict::judge`] decides |
    /// | other | asked | asked | asked |
    /// | local then other | refused | refused | asked, whatever `judge` would say |
    #[must_use]
    pub fn triage(&self, seen: &[Seen]) -> Triage {
        match self.mode {
            Mode::Local => match verdict::judge(seen, &self.thresholds) {
                Verdict::Approved { tags, alt } => Triage::Approve { tags, alt },
                Verdict::Rejected(reason) => Triage::Refuse(reason),
            },
            Mode::Other => Triage::Ask,
            Mode::LocalThenOther => {
                if seen.iter().any(|seen| self.condemns(&seen.look)) {
                    return Triage::Refuse(Reason::Indecent);
                }
                // Written so that a probability or threshold that is NaN refuses the picture, and
                // so does a picture without any look.
                let maybe_a_cat = seen
                    .iter()
                    .filter_map(|seen| seen.look.sight.as_ref())
                    .any(|sight| sight.cat >= self.certainty.no_cat);
                if maybe_a_cat {
                    Triage::Ask
                } else {
                    Triage::Refuse(Reason::NotACat)
                }
            }
        }
    }

    /// The rules that a verdict is remembered under, with what the local screener calls itself and
    /// who else is asked. They hold everything that decides in this mode, and nothing else.
    #[must_use]
    pub fn rules(&self, screener: &str, other: &Other) -> Rules {
        // Another version of the program may decode or judge differently.
        let version = env!("CARGO_PKG_VERSION");
        let text = format!("{version} {}", self.rules_in_words(screener, other));
        Rules(Sha256Hash::of(text.as_bytes()))
    }

    fn rules_in_words(&self, screener: &str, other: &Other) -> String {
        let Thresholds { cat, indecent } = self.thresholds;
        let Other { id, rules } = other;
        match self.mode {
            Mode::Local => format!("{} {cat} {indecent} {screener}", verdict::POLICY_VERSION),
            Mode::Other => format!("{id} {rules}"),
            Mode::LocalThenOther => format!(
                "{} local+{id} {} {} {screener} {rules}",
                verdict::POLICY_VERSION,
                self.certainty.no_cat,
                self.certainty.indecent
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sight::Sight;

    fn look(indecency: f32, cat: f32) -> Seen {
        Seen::whole(FrameLook {
            indecency,
            sight: Some(Sight::of_cat(cat)),
        })
    }

    fn unlabelled(indecency: f32) -> Seen {
        Seen::whole(FrameLook {
            indecency,
            sight: None,
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
                assert_eq!(&found, expected, "{mode:?} {looks:?}");
            }
        }
    }

    #[test]
    fn certainty_that_is_no_number_refuses() {
        let mut broken = policy(Mode::LocalThenOther);
        broken.certainty.no_cat = f32::NAN;
        let triage = broken.triage(&[look(0.0, 0.9)]);
        assert_eq!(triage, Triage::Refuse(Reason::NotACat));
        for mode in [Mode::Local, Mode::LocalThenOther] {
            let mut broken = policy(mode);
            broken.thresholds.indecent = f32::NAN;
            broken.certainty.indecent = f32::NAN;
            let triage = broken.triage(&[look(0.0, 0.9)]);
            assert_eq!(triage, Triage::Refuse(Reason::Indecent), "{mode:?}");
        }
        let mut broken = policy(Mode::Local);
        broken.thresholds.cat = f32::NAN;
        let triage = broken.triage(&[look(0.0, 0.9)]);
        assert_eq!(triage, Triage::Refuse(Reason::NotACat));
    }

    fn other() -> Other {
        Other {
            id: "somebody".into(),
            rules: "as of 1".into(),
        }
    }

    #[test]
    fn whatever_decides_in_a_mode_is_part_of_its_rules_and_nothing_else_is() {
        type Change = fn(&mut Policy);
        let changes: [(&str, Change); 4] = [
            ("cat", |policy| policy.thresholds.cat = 0.1),
            ("indecent", |policy| policy.thresholds.indecent = 0.1),
            ("no cat", |policy| policy.certainty.no_cat = 0.1),
            ("certainly indecent", |policy| {
                policy.certainty.indecent = 0.1
            }),
        ];
        for (mode, decisive, names_screener, names_other) in [
            (Mode::Local, [true, true, false, false], true, false),
            (Mode::Other, [false; 4], false, true),
            (Mode::LocalThenOther, [false, false, true, true], true, true),
        ] {
            let policy = policy(mode);
            let rules = policy.rules("models", &other());
            for ((name, change), decisive) in changes.iter().zip(decisive) {
                let mut changed = policy;
                change(&mut changed);
                let differs = changed.rules("models", &other()) != rules;
                assert_eq!(differs, decisive, "{mode:?} {name}");
            }
            let differs = policy.rules("others", &other()) != rules;
            assert_eq!(differs, names_screener, "{mode:?}");
            for changed in [
                Other {
                    id: "else".into(),
                    ..other()
                },
                Other {
                    rules: "as of 2".into(),
                    ..other()
                },
            ] {
                let differs = policy.rules("models", &changed) != rules;
                assert_eq!(differs, names_other, "{mode:?} {changed:?}");
            }
            assert_eq!(
                policy.local_alone().rules("x", &other()),
                self::policy(Mode::Local).rules("x", &other())
            );
        }
        let rules = Mode::ALL.map(|mode| policy(mode).rules("models", &other()));
        assert!(rules[0] != rules[1] && rules[1] != rules[2] && rules[0] != rules[2]);
    }

    #[test]
    fn verdicts_that_are_remembered_are_found_under_the_words_that_they_were_stored_under() {
        let words = Mode::ALL.map(|mode| policy(mode).rules_in_words("models", &other()));
        assert_eq!(
            words,
            [
                "4 0.05 0.85 models",
                "somebody as of 1",
                "4 local+somebody 0.005 0.97 models as of 1",
            ]
        );
    }
}
