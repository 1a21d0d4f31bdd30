//! Puts what the models saw into plain words: the cat's coat, and what is around it.
//!
//! A word is only said where it was right nine times of ten on pictures that nothing was trained
//! on; `docs/SCREENING.md` has the count for each. No pedigree reached that, so none is named. What
//! the models say about other animals or people's clothes is noise in a picture of a cat.

mod things;

use self::things::{SEATS, THINGS, WITHOUT_ARTICLE, parents_of};
use crate::domain::evidence::{Found, Glance, Head, Kind, logistic};
use crate::domain::tag::Tag;

/// The coats that may be named, with the value that their head needs.
const COATS: [(Head, &str, f32); 5] = [
    (Head::Black, "black cat", 1.5),
    (Head::Ginger, "ginger cat", 1.5),
    (Head::Tabby, "tabby cat", 1.5),
    (Head::White, "white cat", 1.5),
    (Head::Hairless, "hairless cat", 3.0),
];

/// The lowest probability at which the labels model names a thing.
///
/// The probabilities of all classes add up to 1, so from here on the thing is likelier than the cat
/// and everything else together.
const CLASS_FLOOR: f32 = 0.6;

/// The lowest score at which the detector names a thing.
const BOX_FLOOR: f32 = 0.45;

/// Tags of nearly every picture here. They are found by a search, but say nothing about one.
pub const COMMON: [&str; 3] = ["cat", "animal", "pet"];

/// A thing in the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Thing {
    /// Plain, in lower case and in the singular.
    pub name: &'static str,
    /// From 0 to 1.
    pub confidence: f32,
    /// Wider words for the same thing. Each of them is also a tag of its own.
    pub parents: &'static [&'static str],
}

/// What can be said about a cat.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Words {
    /// The coat with its confidence from 0 to 1, such as "black cat".
    pub coat: Option<(&'static str, f32)>,
    /// The things around the cat, the surest first.
    pub things: Vec<Thing>,
}

impl Words {
    /// The words for a glance in which the cat is seen, for the first one at the whole picture, and
    /// for what the detector found in it.
    #[must_use]
    pub fn new(cat: &Glance, first: &Glance, found: &Found) -> Self {
        Self {
            coat: coat(cat),
            things: things(first, found),
        }
    }
}

/// The coat whose head has the highest value, if that one may be named and is sure enough.
fn coat(glance: &Glance) -> Option<(&'static str, f32)> {
    let of = |head: &Head| glance.head(*head);
    let highest = Head::ALL
        .into_iter()
        .filter(|head| *head != Head::Cat)
        .max_by(|a, b| of(a).total_cmp(&of(b)))?;
    COATS
        .into_iter()
        .find(|(head, _, floor)| *head == highest && of(head) >= *floor)
        .map(|(head, name, _)| (name, logistic(of(&head))))
}

/// What either model is sure of, the surest first and each thing once.
fn things(glance: &Glance, found: &Found) -> Vec<Thing> {
    let classified = THINGS.iter().filter_map(|&(name, parents, classes)| {
        // Classes that mean the same word are added up, so that a laptop that the model splits
        // between "laptop" and "notebook" is not lost.
        let confidence = glance.mass(classes);
        (confidence >= CLASS_FLOOR).then_some(Thing {
            name,
            confidence,
            parents,
        })
    });
    let located = Kind::ALL.into_iter().filter_map(|kind| {
        let (name, confidence) = (name_of(kind)?, found.score(kind));
        (confidence >= BOX_FLOOR).then_some(Thing {
            name,
            confidence,
            parents: parents_of(name),
        })
    });
    let mut things: Vec<Thing> = classified.chain(located).collect();
    things.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut named = Vec::new();
    things.retain(|thing| {
        let is_new = !named.contains(&thing.name);
        named.push(thing.name);
        is_new
    });
    things
}

/// The word for what the detector finds; `None` for animals.
const fn name_of(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Cat | Kind::Dog => return None,
        Kind::Laptop => "laptop",
        Kind::Monitor => "monitor",
        Kind::Book => "book",
        Kind::Box => "box",
        Kind::Cup => "cup",
        Kind::Bottle => "bottle",
        Kind::Bicycle => "bicycle",
        Kind::Camera => "camera",
        Kind::ComputerMouse => "computer mouse",
    })
}

/// The tags of a picture that has been accepted as one of a cat, sorted by confidence.
///
/// The [`COMMON`] ones are always among them, with the certainty of the cat. A parent has the
/// confidence of its likeliest child, and no name occurs twice.
#[must_use]
pub fn tags(cat: f32, words: &Words) -> Vec<Tag> {
    let tag = |name: &str, confidence| Tag {
        name: name.to_owned(),
        confidence,
    };
    let mut tags: Vec<Tag> = COMMON.into_iter().map(|name| tag(name, cat)).collect();
    tags.extend(words.coat.map(|(name, confidence)| tag(name, confidence)));
    let things = words.things.iter();
    tags.extend(things.map(|thing| tag(thing.name, thing.confidence)));
    for thing in &words.things {
        for parent in thing.parents {
            if tags.iter().all(|tag| tag.name != *parent) {
                tags.push(tag(parent, thing.confidence));
            }
        }
    }
    // The sort is stable, so a child stays before its parents.
    tags.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    tags
}

/// Every name that a tag can have that the local models give.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let coats = COATS.iter().map(|(_, name, _)| *name);
    let things = THINGS.iter().flat_map(|(name, parents, _)| {
        let parents = parents.iter().copied();
        std::iter::once(*name).chain(parents)
    });
    COMMON.into_iter().chain(coats).chain(things)
}

/// A phrase that describes the picture to someone who cannot see it, such as "tabby cat on a sofa,
/// with a remote control". It is empty where nothing is known beyond that there is a cat.
#[must_use]
pub fn alt_text(words: &Words) -> String {
    let cat = words.coat.map_or("cat", |(name, _)| name);
    let is_seat = |thing: &&Thing| SEATS.contains(&thing.name);
    let seat = words.things.iter().find(is_seat);
    let other = words.things.iter().find(|thing| !is_seat(thing));
    let named = |thing: &Thing| with_article(thing.name);
    match (seat, other) {
        (Some(seat), Some(other)) => {
            format!("{cat} on {}, with {}", named(seat), named(other))
        }
        (Some(seat), None) => format!("{cat} on {}", named(seat)),
        (None, Some(other)) => format!("{cat} with {}", named(other)),
        (None, None) => words
            .coat
            .map_or_else(String::new, |(name, _)| name.to_owned()),
    }
}

/// Adds the indefinite article: "a sofa", "an umbrella", but "sunglasses".
pub(crate) fn with_article(name: &str) -> String {
    if WITHOUT_ARTICLE.contains(&name) {
        name.to_owned()
    } else if name.starts_with(['a', 'e', 'i', 'o', 'u']) {
        format!("an {name}")
    } else {
        format!("a {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::{CLASS_COUNT, Place};

    fn glance(classes: &[(usize, f32)], heads: &[(Head, f32)]) -> Glance {
        let mut outputs = vec![0.0; CLASS_COUNT + Head::ALL.len()];
        outputs[CLASS_COUNT..].fill(-5.0);
        for &(class, probability) in classes {
            outputs[class] = probability;
        }
        for &(head, value) in heads {
            outputs[CLASS_COUNT + head as usize] = value;
        }
        Glance::new(&outputs).unwrap()
    }

    fn found(of: &[(Kind, f32)]) -> Found {
        let mut found = Found::nothing(Place {
            left: 0.0,
            top: 0.0,
            right: 1.0,
            bottom: 1.0,
        });
        for &(kind, score) in of {
            found.note(kind, score);
        }
        found
    }

    fn words(classes: &[(usize, f32)], heads: &[(Head, f32)], boxes: &[(Kind, f32)]) -> Words {
        Words::new(
            &glance(classes, heads),
            &glance(classes, heads),
            &found(boxes),
        )
    }

    fn names(tags: &[Tag]) -> Vec<&str> {
        tags.iter().map(|tag| tag.name.as_str()).collect()
    }

    #[test]
    fn a_coat_is_named_only_where_its_head_is_sure_and_ahead() {
        use Head::{Black, Cat, Ginger, Grey, Hairless, Tabby, White};
        let cases: &[(&[(Head, f32)], &str)] = &[
            (&[(Black, 1.5)], "black cat"),
            (&[(Black, 1.49)], ""),
            (&[(Ginger, 2.0), (Tabby, 1.9)], "ginger cat"),
            (&[(Tabby, 3.0), (Cat, 9.0)], "tabby cat"),
            (&[(White, 1.6)], "white cat"),
            (&[(Hairless, 2.9)], ""),
            (&[(Hairless, 3.0)], "hairless cat"),
            // Grey is not right often enough to be named, but it can be likelier than black.
            (&[(Black, 2.0), (Grey, 2.1)], ""),
        ];
        for (heads, expected) in cases {
            assert_eq!(alt_text(&words(&[], heads, &[])), *expected, "{heads:?}");
        }
    }

    #[test]
    fn no_pedigree_is_named_however_sure_the_model_is() {
        for pedigree in [283, 284, 285] {
            let words = words(&[(pedigree, 1.0)], &[], &[]);
            assert_eq!(words, Words::default());
            assert_eq!(names(&tags(0.99, &words)), COMMON);
        }
    }

    #[test]
    fn tags_come_surest_first_and_once_with_the_wider_words() {
        let words = words(
            &[(620, 0.5), (681, 0.2)],
            &[(Head::Black, 2.0)],
            &[(Kind::Laptop, 0.9), (Kind::Book, 0.5), (Kind::Cup, 0.44)],
        );
        let tags = tags(0.75, &words);
        assert_eq!(
            names(&tags),
            [
                "laptop",
                "electronics",
                "black cat",
                "cat",
                "animal",
                "pet",
                "book",
                "reading"
            ]
        );
        assert_eq!(tags[0].confidence, 0.9);
        assert_eq!(alt_text(&words), "black cat with a laptop");
    }

    #[test]
    fn a_class_must_be_likelier_than_all_else_and_animals_are_no_things() {
        assert_eq!(
            words(&[(721, 0.59), (207, 0.3)], &[], &[]),
            Words::default()
        );
        assert_eq!(
            words(&[], &[], &[(Kind::Cat, 0.9), (Kind::Dog, 0.9)]),
            Words::default()
        );
    }

    #[test]
    fn a_description_reads_as_one_would_say_it() {
        for (class, boxes, expected) in [
            (761, vec![], "cat with a remote control"),
            (879, vec![], "cat with an umbrella"),
            (836, vec![], "cat with sunglasses"),
            (911, vec![], "cat with wool"),
            (831, vec![], "cat on a sofa"),
            (831, vec![(Kind::Book, 0.5)], "cat on a sofa, with a book"),
        ] {
            assert_eq!(alt_text(&words(&[(class, 0.7)], &[], &boxes)), expected);
        }
        assert_eq!(alt_text(&Words::default()), "");
    }

    #[test]
    fn pages_leave_out_the_tags_that_every_picture_has() {
        assert_eq!(app::types::COMMON_TAGS, COMMON);
    }

    #[test]
    fn what_the_detector_names_has_the_wider_words_of_its_class() {
        for name in Kind::ALL.into_iter().filter_map(name_of) {
            assert!(!parents_of(name).is_empty(), "{name}");
        }
    }
}
