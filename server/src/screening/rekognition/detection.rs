//! Reads Rekognition's labels: whether there is a cat, and what is around it. It is pure.
//!
//! A kind of cat, such as a pedigree, is any label that has "cat" among its parents. It counts as a
//! cat and is never named: nobody has counted how often Rekognition is right about one.

use crate::domain::labels::with_article;
use crate::domain::tag::Tag;
use crate::domain::verdict::{Reason, Verdict};

/// The version of the rules below. Verdicts are remembered under it, so raise it whenever they
/// change.
pub const POLICY_VERSION: u32 = 2;

/// The label that means a cat.
const CAT: &str = "cat";

/// The categories of labels that do not become tags: those that tell a person's sex and age, which
/// nobody uploads a cat to have said, and clothes, which a cat without fur is taken to wear.
const UNSAID: [&str; 2] = ["person description", "apparel and accessories"];

/// A label that every animal has among its parents.
const ANIMAL: &str = "animal";

/// One label of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DetectedLabel {
    pub name: String,
    /// From 0 to 1.
    pub confidence: f32,
    /// Every wider label, in no particular order.
    pub parents: Vec<String>,
    /// Other names for the same thing.
    pub aliases: Vec<String>,
    /// The fields of life that it belongs to.
    pub categories: Vec<String>,
    /// How many of them were located in the picture; 0 for a scene or an idea.
    pub instances: usize,
}

/// The confidence from which a label counts, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectionMinimums {
    /// The least confidence of a cat.
    pub cat: f32,
    /// The least confidence of a tag.
    pub tag: f32,
}

impl Default for DetectionMinimums {
    fn default() -> Self {
        Self { cat: 0.8, tag: 0.7 }
    }
}

impl DetectionMinimums {
    /// The lowest confidence that can decide anything. Labels below it need not be asked for.
    #[must_use]
    pub fn lowest(&self) -> f32 {
        self.cat.min(self.tag)
    }
}

/// Judges a decent picture by its labels. Where there is a cat it gets tags and a description;
/// otherwise it is refused.
#[must_use]
pub fn judge(labels: &[DetectedLabel], minimums: &DetectionMinimums) -> Verdict {
    let cat = labels
        .iter()
        .filter(|label| label.is(CAT))
        .map(|label| label.confidence)
        .fold(0.0, f32::max);
    // Written so that a minimum that is NaN refuses the picture.
    if !(cat >= minimums.cat && cat > 0.0) {
        return Verdict::Rejected(Reason::NotACat);
    }
    let seen: Vec<&DetectedLabel> = labels
        .iter()
        .filter(|label| label.confidence >= minimums.tag && label.is_said())
        .collect();
    Verdict::Approved {
        tags: tags(&seen, cat),
        alt: alt_text(&seen),
    }
}

impl DetectedLabel {
    /// True when the label is this thing or a kind of it.
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || contains(&self.parents, name)
    }

    /// True where the label may become a tag.
    fn is_said(&self) -> bool {
        let is_unsaid = UNSAID
            .iter()
            .any(|category| contains(&self.categories, category));
        !is_unsaid && !contains(&self.parents, CAT)
    }
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// The labels, then their aliases, parents and categories, sorted by confidence and without
/// repeats. "cat" is always among them.
fn tags(seen: &[&DetectedLabel], cat: f32) -> Vec<Tag> {
    let names = seen
        .iter()
        .map(|label| (&label.name, label.confidence))
        .collect::<Vec<_>>();
    let wider = seen.iter().flat_map(|label| {
        [&label.aliases, &label.parents, &label.categories]
            .into_iter()
            .flatten()
            .map(|name| (name, label.confidence))
    });
    let mut tags = vec![Tag {
        name: CAT.to_owned(),
        confidence: cat,
    }];
    // A label's own confidence takes precedence over the one that a narrower label lends it.
    for (name, confidence) in names.into_iter().chain(wider) {
        let name = name.trim().to_lowercase();
        if !name.is_empty() && tags.iter().all(|tag| tag.name != name) {
            tags.push(Tag { name, confidence });
        }
    }
    // The sort is stable, so a label stays before the names that share its confidence.
    tags.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    tags
}

/// A description such as "cat with a couch"; empty where there is no thing to name.
///
/// Only what was located in the picture can be the thing. Scenes and ideas, such as "indoors", are
/// not things.
fn alt_text(seen: &[&DetectedLabel]) -> String {
    let is_thing =
        |label: &DetectedLabel| label.instances > 0 && !label.is(ANIMAL) && !label.is("person");
    seen.iter()
        .filter(|label| is_thing(label))
        .max_by(|a, b| a.confidence.total_cmp(&b.confidence))
        .map_or_else(String::new, |thing| {
            format!("cat with {}", with_article(&thing.name.to_lowercase()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn label(name: &str, confidence: f32, parents: &[&str]) -> DetectedLabel {
        DetectedLabel {
            name: name.to_owned(),
            confidence,
            parents: words(parents),
            ..DetectedLabel::default()
        }
    }

    fn breed(name: &str, confidence: f32) -> DetectedLabel {
        label(name, confidence, &["Pet", "Cat", "Mammal", "Animal"])
    }

    fn thing(name: &str, confidence: f32) -> DetectedLabel {
        DetectedLabel {
            instances: 1,
            ..label(name, confidence, &[])
        }
    }

    fn judged(labels: &[DetectedLabel]) -> Option<(Vec<String>, String)> {
        match judge(labels, &DetectionMinimums::default()) {
            Verdict::Approved { tags, alt } => {
                Some((tags.into_iter().map(|tag| tag.name).collect(), alt))
            }
            Verdict::Rejected(reason) => {
                assert_eq!(reason, Reason::NotACat);
                None
            }
        }
    }

    #[test]
    fn a_cat_is_a_label_named_cat_or_with_a_parent_named_cat() {
        for (labels, is_cat) in [
            (vec![label("Cat", 0.8, &["Animal"])], true),
            (vec![label("Cat", 0.79, &["Animal"])], false),
            (vec![breed("Manx", 0.9)], true),
            (vec![breed("Manx", 0.5), label("Cat", 0.95, &[])], true),
            (vec![label("Dog", 0.99, &["Animal", "Pet"])], false),
            (vec![label("Caterpillar", 0.99, &["Animal"])], false),
            (vec![label("Cat Toy", 0.99, &["Toy"])], false),
            (vec![label("Cat", f32::NAN, &[])], false),
            (vec![], false),
        ] {
            assert_eq!(judged(&labels).is_some(), is_cat, "{labels:?}");
        }
    }

    #[test]
    fn a_minimum_that_is_no_number_refuses() {
        let minimums = DetectionMinimums {
            cat: f32::NAN,
            tag: 0.7,
        };
        let verdict = judge(&[label("Cat", 0.99, &[])], &minimums);
        assert_eq!(verdict, Verdict::Rejected(Reason::NotACat));
    }

    #[test]
    fn tags_hold_labels_with_their_parents_aliases_and_categories_once() {
        let phone = DetectedLabel {
            aliases: words(&["Cell Phone"]),
            categories: words(&["Technology and Computing"]),
            ..label("Mobile Phone", 0.9, &["Phone", "Electronics"])
        };
        let labels = [
            label("Animal", 0.98, &[]),
            label("Cat", 0.98, &["Animal", "Mammal", "Pet"]),
            phone,
            label("Phone", 0.95, &[]),
            label("Sock", 0.69, &[]),
        ];
        let (tags, _) = judged(&labels).expect("a cat");
        assert_eq!(
            tags,
            [
                "cat",
                "animal",
                "mammal",
                "pet",
                "phone",
                "mobile phone",
                "cell phone",
                "electronics",
                "technology and computing",
            ]
        );
    }

    #[test]
    fn people_clothes_and_kinds_of_cat_are_no_tags() {
        let of_category = |name: &str, category: &str| DetectedLabel {
            categories: words(&[category]),
            instances: 1,
            ..label(name, 0.99, &["Adult"])
        };
        for other in [
            of_category("Woman", "Person Description"),
            of_category("Swimwear", "Apparel and Accessories"),
            breed("Abyssinian", 0.99),
        ] {
            let (tags, alt) = judged(&[label("Cat", 0.9, &[]), other]).expect("a cat");
            assert_eq!(tags, ["cat"]);
            assert_eq!(alt, "");
        }
    }

    #[test]
    fn the_description_names_the_surest_thing_that_was_located() {
        let cat = || label("Cat", 0.98, &["Animal"]);
        for (others, expected) in [
            (vec![], ""),
            (
                vec![thing("Couch", 0.9), thing("Umbrella", 0.95)],
                "cat with an umbrella",
            ),
            (vec![label("Indoors", 0.99, &[])], ""),
            (
                vec![DetectedLabel {
                    instances: 1,
                    ..label("Dog", 0.99, &["Animal"])
                }],
                "",
            ),
        ] {
            let mut labels = vec![cat()];
            labels.extend(others);
            assert_eq!(judged(&labels).expect("a cat").1, expected, "{labels:?}");
        }
    }
}
