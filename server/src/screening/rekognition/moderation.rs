//! What counts as decent, in the words of Rekognition's moderation taxonomy, version 7. It is pure:
//! one table and the rules to read it.
//!
//! The first and second level decide. A label of the third level is decided by the second-level
//! label above it. A name that the table does not know refuses the picture, on whatever level it
//! stands: a new version of the taxonomy must not let anything in.

/// Names the taxonomy and our reading of it. Verdicts are remembered under it, so raise it whenever
/// the table changes.
pub const TAXONOMY_VERSION: &str = "v7.1";

/// One label of a moderation answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ModerationLabel {
    pub name: String,
    /// The label one level up; empty at the first level.
    pub parent: String,
    /// From 0 to 1.
    pub confidence: f32,
}

/// The confidence from which a label counts, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModerationMinimums {
    /// For what must never be shown. It is low, because a picture wrongly refused costs less than
    /// one wrongly shown.
    pub grave: f32,
    /// For what is out of place. It is higher, because these labels are often wrong on pictures of
    /// pets.
    pub mild: f32,
}

impl Default for ModerationMinimums {
    fn default() -> Self {
        Self {
            grave: 0.5,
            mild: 0.8,
        }
    }
}

impl ModerationMinimums {
    /// The lowest confidence that can decide anything. Labels below it need not be asked for.
    #[must_use]
    pub fn lowest(&self) -> f32 {
        self.grave.min(self.mild)
    }
}

/// What a category means on this site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Refuses from [`ModerationMinimums::grave`] on.
    Grave,
    /// Refuses from [`ModerationMinimums::mild`] on.
    Mild,
    /// Harmless in a picture of a cat.
    Allowed,
    /// Stands on the first level only, and leaves the decision to the second-level labels below it.
    /// Without any of them it counts as grave.
    BySecondLevel,
}

/// A first-level category with its second-level labels.
struct Category {
    name: &'static str,
    rule: Rule,
    second_level: &'static [(&'static str, Rule)],
}

/// The whole taxonomy down to the second level.
const TAXONOMY: &[Category] = &[
    Category {
        name: "Explicit",
        rule: Rule::Grave,
        second_level: &[
            ("Explicit Nudity", Rule::Grave),
            ("Explicit Sexual Activity", Rule::Grave),
            ("Sex Toys", Rule::Grave),
        ],
    },
    Category {
        name: "Non-Explicit Nudity of Intimate parts and Kissing",
        rule: Rule::BySecondLevel,
        second_level: &[
            ("Non-Explicit Nudity", Rule::Mild),
            ("Obstructed Intimate Parts", Rule::Mild),
            ("Kissing on the Lips", Rule::Allowed),
        ],
    },
    Category {
        name: "Swimwear or Underwear",
        rule: Rule::Mild,
        second_level: &[
            ("Female Swimwear or Underwear", Rule::Mild),
            ("Male Swimwear or Underwear", Rule::Mild),
        ],
    },
    Category {
        name: "Violence",
        rule: Rule::BySecondLevel,
        second_level: &[("Weapons", Rule::Mild), ("Graphic Violence", Rule::Grave)],
    },
    Category {
        name: "Visually Disturbing",
        rule: Rule::BySecondLevel,
        second_level: &[
            ("Death and Emaciation", Rule::Grave),
            ("Crashes", Rule::Mild),
        ],
    },
    Category {
        name: "Drugs & Tobacco",
        rule: Rule::BySecondLevel,
        second_level: &[
            // Pills are often in pictures of a cat at the vet's.
            ("Products", Rule::Allowed),
            ("Drugs & Tobacco Paraphernalia & Use", Rule::Mild),
        ],
    },
    Category {
        // A glass on the table does not make a cat indecent.
        name: "Alcohol",
        rule: Rule::Allowed,
        second_level: &[
            ("Alcohol Use", Rule::Allowed),
            ("Alcoholic Beverages", Rule::Allowed),
        ],
    },
    Category {
        name: "Rude Gestures",
        rule: Rule::Mild,
        second_level: &[("Middle Finger", Rule::Mild)],
    },
    Category {
        // Cards and dice are toys to a cat.
        name: "Gambling",
        rule: Rule::Allowed,
        second_level: &[],
    },
    Category {
        name: "Hate Symbols",
        rule: Rule::Grave,
        second_level: &[
            ("Nazi Party", Rule::Grave),
            ("White Supremacy", Rule::Grave),
            ("Extremist", Rule::Grave),
        ],
    },
];

/// The first label for which the picture must be refused, if there is one.
#[must_use]
pub fn objection<'a>(
    labels: &'a [ModerationLabel],
    minimums: &ModerationMinimums,
) -> Option<&'a ModerationLabel> {
    labels.iter().find(|label| {
        let minimum = match rule_of(label, labels) {
            Rule::Allowed => return false,
            Rule::Mild => minimums.mild,
            Rule::Grave | Rule::BySecondLevel => minimums.grave,
        };
        // A confidence or minimum that is NaN refuses the picture: screening fails closed.
        label.confidence.is_nan() || minimum.is_nan() || label.confidence >= minimum
    })
}

/// How to treat this label in this answer. A name that the table does not know is grave.
fn rule_of(label: &ModerationLabel, answer: &[ModerationLabel]) -> Rule {
    if label.parent.is_empty() {
        return match category(&label.name) {
            Some(category) if category.rule == Rule::BySecondLevel => {
                let explained = answer.iter().any(|other| other.parent == label.name);
                if explained {
                    Rule::Allowed
                } else {
                    Rule::Grave
                }
            }
            Some(category) => category.rule,
            None => Rule::Grave,
        };
    }
    if let Some(category) = category(&label.parent) {
        return second_level(category, &label.name).unwrap_or(Rule::Grave);
    }
    // This label is on the third level: its parent is on the second and decides.
    TAXONOMY
        .iter()
        .find_map(|category| second_level(category, &label.parent))
        .unwrap_or(Rule::Grave)
}

fn category(name: &str) -> Option<&'static Category> {
    TAXONOMY.iter().find(|category| category.name == name)
}

fn second_level(category: &Category, name: &str) -> Option<Rule> {
    category
        .second_level
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, rule)| *rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, parent: &str, confidence: f32) -> ModerationLabel {
        ModerationLabel {
            name: name.to_owned(),
            parent: parent.to_owned(),
            confidence,
        }
    }

    /// Whether a label with this path is refused at a confidence of 0.99 and of 0.6. The answer
    /// holds its parents too, as the service sends them.
    fn refused(path: &[&str]) -> (bool, bool) {
        let at = |confidence| {
            let mut parent = "";
            let labels: Vec<_> = path
                .iter()
                .map(|name| {
                    let label = label(name, parent, confidence);
                    parent = name;
                    label
                })
                .collect();
            objection(&labels, &ModerationMinimums::default()).is_some()
        };
        (at(0.99), at(0.6))
    }

    const GRAVE: (bool, bool) = (true, true);
    const MILD: (bool, bool) = (true, false);
    const ALLOWED: (bool, bool) = (false, false);

    #[test]
    fn every_documented_category_has_its_decision() {
        let intimate = "Non-Explicit Nudity of Intimate parts and Kissing";
        let swimwear = "Swimwear or Underwear";
        let disturbing = "Visually Disturbing";
        let drugs = "Drugs & Tobacco";
        let cases: &[(&[&str], (bool, bool))] = &[
            (&["Explicit"], GRAVE),
            (&["Explicit", "Explicit Nudity"], GRAVE),
            (&["Explicit", "Explicit Sexual Activity"], GRAVE),
            (&["Explicit", "Sex Toys"], GRAVE),
            (&[intimate], GRAVE),
            (&[intimate, "Non-Explicit Nudity"], MILD),
            (&[intimate, "Obstructed Intimate Parts"], MILD),
            (&[intimate, "Kissing on the Lips"], ALLOWED),
            (&[swimwear], MILD),
            (&[swimwear, "Female Swimwear or Underwear"], MILD),
            (&[swimwear, "Male Swimwear or Underwear"], MILD),
            (&["Violence"], GRAVE),
            (&["Violence", "Weapons"], MILD),
            (&["Violence", "Graphic Violence"], GRAVE),
            (&[disturbing], GRAVE),
            (&[disturbing, "Death and Emaciation"], GRAVE),
            (&[disturbing, "Crashes"], MILD),
            (&[drugs], GRAVE),
            (&[drugs, "Products"], ALLOWED),
            (&[drugs, "Drugs & Tobacco Paraphernalia & Use"], MILD),
            (&["Alcohol"], ALLOWED),
            (&["Alcohol", "Alcohol Use"], ALLOWED),
            (&["Alcohol", "Alcoholic Beverages"], ALLOWED),
            (&["Rude Gestures"], MILD),
            (&["Rude Gestures", "Middle Finger"], MILD),
            (&["Gambling"], ALLOWED),
            (&["Hate Symbols"], GRAVE),
            (&["Hate Symbols", "Nazi Party"], GRAVE),
            (&["Hate Symbols", "White Supremacy"], GRAVE),
            (&["Hate Symbols", "Extremist"], GRAVE),
        ];
        for (path, expected) in cases {
            assert_eq!(refused(path), *expected, "{path:?}");
        }
        let documented: usize = TAXONOMY
            .iter()
            .map(|category| 1 + category.second_level.len())
            .sum();
        assert_eq!(cases.len(), documented, "a category has no case");
    }

    #[test]
    fn a_third_level_label_is_decided_by_the_one_above_it() {
        let cases: &[(&[&str], (bool, bool))] = &[
            (
                &["Explicit", "Explicit Nudity", "Exposed Female Nipple"],
                GRAVE,
            ),
            (&["Violence", "Graphic Violence", "Blood & Gore"], GRAVE),
            (&["Visually Disturbing", "Crashes", "Air Crash"], MILD),
            (&["Drugs & Tobacco", "Products", "Pills"], ALLOWED),
            (&["Alcohol", "Alcohol Use", "Drinking"], ALLOWED),
        ];
        for (path, expected) in cases {
            assert_eq!(refused(path), *expected, "{path:?}");
        }
        // The result is the same where the answer lacks the parents.
        let alone = [label("Exposed Female Nipple", "Explicit Nudity", 0.6)];
        assert!(objection(&alone, &ModerationMinimums::default()).is_some());
    }

    #[test]
    fn unknown_names_refuse_wherever_they_stand() {
        let cases: &[&[&str]] = &[
            &["Something New"],
            &["Alcohol", "Something New"],
            &["Gambling", "Something New"],
            &["Something New", "Alcohol Use"],
            &["Something New", "Something Newer", "Pills"],
            // Words of version 6, and another spelling.
            &["Suggestive"],
            &["Explicit Nudity"],
            &["alcohol"],
            &[""],
        ];
        for path in cases {
            assert_eq!(refused(path), GRAVE, "{path:?}");
        }
    }

    #[test]
    fn nothing_objectionable_is_no_objection_and_doubt_is_one() {
        let minimums = ModerationMinimums::default();
        assert_eq!(objection(&[], &minimums), None);
        let faint = [label("Explicit", "", 0.49)];
        assert_eq!(objection(&faint, &minimums), None);
        let broken = [label("Rude Gestures", "", f32::NAN)];
        assert!(objection(&broken, &minimums).is_some());
        // One bad label among harmless ones is enough.
        let mixed = [
            label("Alcohol", "", 0.99),
            label("Alcohol Use", "Alcohol", 0.99),
            label("Hate Symbols", "", 0.7),
        ];
        assert_eq!(objection(&mixed, &minimums), mixed.get(2));
    }

    #[test]
    fn minimums_are_the_operators() {
        let gesture = [label("Rude Gestures", "", 0.6)];
        let strict = ModerationMinimums {
            mild: 0.6,
            ..ModerationMinimums::default()
        };
        assert!(objection(&gesture, &strict).is_some());
        assert_eq!(strict.lowest(), 0.5);
    }
}
