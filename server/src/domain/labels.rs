//! Puts what the models saw into plain words: the cat's coat, and what is around it.
//!
//! A word is only said where it was right nine times of ten on pictures that nothing was trained
//! on; `docs/SCREENING.md` has the count for each. No pedigree reached that, so none is named. What
//! the models say about other animals or people's clothes is noise in a picture of a cat.

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
    /// The words for a first glance at a picture, and for what the detector found in it.
    #[must_use]
    pub fn new(glance: &Glance, found: &Found) -> Self {
        Self {
            coat: coat(glance),
            things: things(glance, found),
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

fn parents_of(name: &str) -> &'static [&'static str] {
    THINGS
        .iter()
        .find(|(other, ..)| *other == name)
        .map_or(&[], |(_, parents, _)| parents)
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

/// What a cat that is seen with it sits or lies on.
const SEATS: [&str; 6] = ["bed", "bench", "chair", "quilt", "rocking chair", "sofa"];

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

/// The names of things that are plural or cannot be counted.
const WITHOUT_ARTICLE: &[&str] = &["hay", "jeans", "pajamas", "sunglasses", "wool"];

const APPLIANCE: &[&str] = &["appliance"];
const BAG: &[&str] = &["bag"];
const BALL: &[&str] = &["ball", "toy"];
const BATHROOM: &[&str] = &["bathroom"];
const BED: &[&str] = &["bedding"];
const BOOK: &[&str] = &["reading"];
const CLOTHES: &[&str] = &["clothing"];
const CONTAINER: &[&str] = &["container"];
const DISHES: &[&str] = &["dishes"];
const ELECTRONICS: &[&str] = &["electronics"];
const FABRIC: &[&str] = &["fabric"];
const FOOD: &[&str] = &["food"];
const FURNITURE: &[&str] = &["furniture"];
const GARDEN: &[&str] = &["garden"];
const HAT: &[&str] = &["hat", "clothing"];
const HOUSEHOLD: &[&str] = &["household"];
const INSTRUMENT: &[&str] = &["musical instrument"];
const KITCHEN: &[&str] = &["kitchen"];
const LIGHT: &[&str] = &["light"];
const PLANT: &[&str] = &["plant"];
const SHOE: &[&str] = &["footwear", "clothing"];
const STATIONERY: &[&str] = &["stationery"];
const TOY: &[&str] = &["toy"];
const VEHICLE: &[&str] = &["vehicle"];
const WINDOW: &[&str] = &["window"];

/// A name, its parents, and the classes that mean it.
type Meaning = (&'static str, &'static [&'static str], &'static [usize]);

/// The things that become tags, chosen by hand.
const THINGS: &[Meaning] = &[
    ("accordion", INSTRUMENT, &[401]),
    ("apple", FOOD, &[948]),
    ("backpack", BAG, &[414]),
    ("balloon", TOY, &[417]),
    ("banana", FOOD, &[954]),
    ("barrel", CONTAINER, &[427, 756]),
    ("baseball", BALL, &[429]),
    ("basket", CONTAINER, &[588, 790]),
    ("basketball", BALL, &[430]),
    ("bath tub", BATHROOM, &[435, 876]),
    ("bed", FURNITURE, &[564]),
    ("bench", FURNITURE, &[703]),
    ("bicycle", VEHICLE, &[444, 671]),
    ("binder", STATIONERY, &[446]),
    ("bird house", GARDEN, &[448]),
    ("bookshelf", FURNITURE, &[453]),
    ("bottle", CONTAINER, &[440, 737, 898, 907]),
    ("bow tie", CLOTHES, &[457]),
    ("bowl", DISHES, &[659, 809]),
    ("box", CONTAINER, &[478]),
    ("broom", HOUSEHOLD, &[462]),
    ("bucket", CONTAINER, &[463]),
    ("cabinet", FURNITURE, &[495, 648]),
    ("camera", ELECTRONICS, &[732, 759]),
    ("candle", LIGHT, &[470]),
    ("car", VEHICLE, &[436, 468, 475, 479, 511, 656, 817]),
    ("cardigan", CLOTHES, &[474]),
    ("chair", FURNITURE, &[423, 559]),
    ("chest", FURNITURE, &[492]),
    ("christmas stocking", HOUSEHOLD, &[496]),
    ("clock", HOUSEHOLD, &[409, 530, 892]),
    ("comic book", BOOK, &[917]),
    ("book", BOOK, &[921]),
    ("computer", ELECTRONICS, &[527]),
    ("computer mouse", ELECTRONICS, &[673]),
    ("cradle", FURNITURE, &[431, 516]),
    ("crate", CONTAINER, &[519]),
    ("crib", FURNITURE, &[520]),
    ("crossword", BOOK, &[918]),
    ("cucumber", FOOD, &[943]),
    ("cup", DISHES, &[504, 968]),
    ("curtain", WINDOW, &[854]),
    ("daisy", PLANT, &[985]),
    ("desk", FURNITURE, &[526]),
    ("dishwasher", APPLIANCE, &[534]),
    ("door", HOUSEHOLD, &[799]),
    ("doormat", HOUSEHOLD, &[539]),
    ("dresser", FURNITURE, &[493]),
    ("drum", INSTRUMENT, &[541]),
    ("electric fan", APPLIANCE, &[545]),
    ("envelope", STATIONERY, &[549]),
    ("espresso machine", APPLIANCE, &[550]),
    ("fence", GARDEN, &[489, 716, 912]),
    ("filing cabinet", FURNITURE, &[553]),
    ("frying pan", KITCHEN, &[567]),
    ("glass", DISHES, &[441, 572]),
    ("greenhouse", GARDEN, &[580]),
    ("guitar", INSTRUMENT, &[402, 546]),
    ("hair dryer", APPLIANCE, &[589]),
    ("hat", CLOTHES, &[515, 808]),
    ("bonnet", HAT, &[452]),
    ("hay", PLANT, &[958]),
    ("heater", APPLIANCE, &[753, 811]),
    ("iron", APPLIANCE, &[606]),
    ("jeans", CLOTHES, &[608]),
    ("jigsaw puzzle", TOY, &[611]),
    ("jug", CONTAINER, &[725, 899]),
    ("keyboard", ELECTRONICS, &[508, 810]),
    ("lamp", LIGHT, &[619, 846]),
    ("laptop", ELECTRONICS, &[620, 681]),
    ("lemon", FOOD, &[951]),
    ("loudspeaker", ELECTRONICS, &[632]),
    ("mailbox", GARDEN, &[637]),
    ("microwave", APPLIANCE, &[651]),
    ("mitten", CLOTHES, &[658]),
    ("mobile phone", ELECTRONICS, &[487]),
    ("monitor", ELECTRONICS, &[664, 782]),
    ("mop", HOUSEHOLD, &[840]),
    ("mosquito net", BED, &[669]),
    ("mushroom", FOOD, &[947]),
    ("necklace", CLOTHES, &[679]),
    ("orange", FOOD, &[950]),
    ("package", CONTAINER, &[692]),
    ("paintbrush", STATIONERY, &[696]),
    ("pajamas", CLOTHES, &[697]),
    ("paper towel", HOUSEHOLD, &[700]),
    ("patio", GARDEN, &[706]),
    ("pen", STATIONERY, &[418, 563]),
    ("pencil case", STATIONERY, &[709]),
    ("piano", INSTRUMENT, &[579, 881]),
    ("pillow", BED, &[721]),
    ("pizza", FOOD, &[963]),
    ("plastic bag", BAG, &[728]),
    ("plate", DISHES, &[923]),
    ("plant pot", PLANT, &[738]),
    ("printer", ELECTRONICS, &[713, 742]),
    ("pumpkin", FOOD, &[607]),
    ("purse", BAG, &[748]),
    ("quilt", BED, &[750]),
    ("radio", ELECTRONICS, &[754]),
    ("refrigerator", APPLIANCE, &[760]),
    ("remote control", ELECTRONICS, &[761]),
    ("rocking chair", FURNITURE, &[765]),
    ("rug", HOUSEHOLD, &[741]),
    ("scale", HOUSEHOLD, &[778]),
    ("scarf", CLOTHES, &[824]),
    ("sewing machine", APPLIANCE, &[786]),
    ("shoe", SHOE, &[502, 630, 770]),
    ("boot", SHOE, &[514]),
    ("sandal", SHOE, &[774]),
    ("shopping cart", CONTAINER, &[791]),
    ("shower curtain", BATHROOM, &[794]),
    ("sink", BATHROOM, &[896]),
    ("sleeping bag", BED, &[797]),
    ("soccer ball", BALL, &[805]),
    ("sock", CLOTHES, &[806]),
    ("sofa", FURNITURE, &[831]),
    ("stone wall", GARDEN, &[825]),
    ("stove", APPLIANCE, &[827]),
    ("strawberry", FOOD, &[949]),
    ("sunglasses", CLOTHES, &[836, 837]),
    ("sweatshirt", CLOTHES, &[841]),
    ("swing", GARDEN, &[843]),
    ("t-shirt", CLOTHES, &[610]),
    ("table", FURNITURE, &[532]),
    ("table tennis ball", BALL, &[722]),
    ("teddy bear", TOY, &[850]),
    ("telephone", ELECTRONICS, &[528]),
    ("teapot", KITCHEN, &[505, 849]),
    ("television", ELECTRONICS, &[598, 851]),
    ("tennis ball", BALL, &[852]),
    ("tent", HOUSEHOLD, &[672]),
    ("tie", CLOTHES, &[906]),
    ("toaster", APPLIANCE, &[859]),
    ("toilet", BATHROOM, &[861]),
    ("toilet paper", BATHROOM, &[999]),
    ("towel", FABRIC, &[434, 533]),
    ("trash can", CONTAINER, &[412]),
    ("tray", DISHES, &[868]),
    ("typewriter", STATIONERY, &[878]),
    ("umbrella", HOUSEHOLD, &[879]),
    ("vacuum cleaner", APPLIANCE, &[882]),
    ("vase", HOUSEHOLD, &[883]),
    ("violin", INSTRUMENT, &[889]),
    ("volleyball", BALL, &[890]),
    ("wardrobe", FURNITURE, &[894]),
    ("washing machine", APPLIANCE, &[897]),
    ("window screen", WINDOW, &[904]),
    ("window shade", WINDOW, &[905]),
    ("wok", KITCHEN, &[909]),
    ("wool", FABRIC, &[911]),
];

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
        Words::new(&glance(classes, heads), &found(boxes))
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
    fn the_map_is_sound() {
        let mut seen = Vec::new();
        for (name, parents, classes) in THINGS {
            assert!(!parents.is_empty() && !parents.contains(name), "{name}");
            assert!(
                !COMMON.iter().any(|common| parents.contains(common)),
                "{name}"
            );
            for class in *classes {
                // The classes of things begin after the animals; food and plants are at the end.
                assert!((398..CLASS_COUNT).contains(class), "{name}");
                assert!(!seen.contains(class), "{class} is mapped twice");
                seen.push(*class);
            }
        }
        let is_thing = |word: &str| THINGS.iter().any(|(name, ..)| *name == word);
        for word in WITHOUT_ARTICLE.iter().chain(&SEATS) {
            assert!(is_thing(word), "{word}");
        }
        for name in Kind::ALL.into_iter().filter_map(name_of) {
            assert!(is_thing(name), "{name} has no parents");
        }
    }
}
