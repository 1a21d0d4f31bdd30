//! Puts the labels model's classes into plain words: whether there is a cat, of which kind, and
//! what is around it.
//!
//! The model knows the 1000 classes of ImageNet-1k. Only the five domestic cats and things found
//! around a cat at home or in a garden become tags. What the model says about other animals,
//! people's clothes or vehicles is noise in a picture of a cat.

use std::ops::RangeInclusive;

/// The five domestic cats: tabby, tiger cat, Persian, Siamese, Egyptian Mau.
///
/// The classes after them, 286 to 293, are wild cats, which this site does not show.
const CATS: RangeInclusive<usize> = 281..=285;

/// The least share of [`cat_mass`] at which a coat is named. At one half it is likelier than all
/// other cats together.
const COAT_SHARE_FLOOR: f32 = 0.5;

/// The least share of [`cat_mass`] at which a pedigree is named.
///
/// It is higher than that of a coat. Anybody can check a coat by looking, but a pedigree is a claim
/// about the animal, and the model calls many a plain short-haired cat an Egyptian Mau.
const PEDIGREE_SHARE_FLOOR: f32 = 0.7;

/// The lowest probability at which a thing around the cat becomes a tag.
///
/// The probabilities of all classes add up to 1, so a cat in plain view leaves little to the things
/// around it. Even so, 0.05 is fifty times what a blind guess would give.
pub const THING_FLOOR: f32 = 0.05;

const CAT_PARENTS: &[&str] = &["animal", "pet"];
const KIND_PARENTS: &[&str] = &["cat", "animal", "pet"];

/// A word or two about a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Plain, in lower case and in the singular.
    pub name: String,
    /// The probability, from 0 to 1.
    pub confidence: f32,
    /// Wider words for the same thing. Each of them is also a tag of its own, without parents.
    pub parents: &'static [&'static str],
}

/// The probability that the picture shows a domestic cat of any kind.
///
/// `probs` are the probabilities of the 1000 classes. A slice that ends before the cats gives 0.
pub fn cat_mass(probs: &[f32]) -> f32 {
    probs.get(CATS).map_or(0.0, |cats| cats.iter().sum())
}

/// The tags of a picture that has been accepted as one of a cat, sorted by confidence.
///
/// "cat" is always among them, with [`cat_mass`] as its confidence. A thing needs at least `floor`,
/// which usually is [`THING_FLOOR`]. A parent has the confidence of its likeliest child, and no
/// name occurs twice.
pub fn tags(probs: &[f32], floor: f32) -> Vec<Tag> {
    let mass = cat_mass(probs);
    let mut tags = vec![Tag {
        name: "cat".to_owned(),
        confidence: mass,
        parents: CAT_PARENTS,
    }];
    tags.extend(kind_of_cat(probs, mass));
    tags.extend(things(probs, floor));

    let parents = tags.iter().flat_map(|tag| {
        tag.parents.iter().map(|parent| Tag {
            name: (*parent).to_owned(),
            confidence: tag.confidence,
            parents: &[],
        })
    });
    // "cat" comes before the kinds of cat, whose parent it also is, and so keeps its own
    // confidence. Among the things the most confident comes first.
    for parent in parents.collect::<Vec<_>>() {
        if tags.iter().all(|tag| tag.name != parent.name) {
            tags.push(parent);
        }
    }
    // The sort is stable, so a child stays before its parents.
    tags.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    tags
}

/// A phrase that describes the picture to someone who cannot see it, such as "tabby cat with a
/// remote control"; without a sure kind or thing it is "cat".
pub fn alt_text(tags: &[Tag]) -> String {
    let kind = tags
        .iter()
        .find(|tag| tag.parents.contains(&"cat"))
        .map_or("cat", |tag| tag.name.as_str());
    // Only things have parents among which there is no "animal".
    let thing = tags
        .iter()
        .find(|tag| !tag.parents.is_empty() && !tag.parents.contains(&"animal"));
    match thing {
        Some(thing) => format!("{kind} with {}", with_article(&thing.name)),
        None => kind.to_owned(),
    }
}

/// The kind of the cat, if one is clearly ahead of the others.
fn kind_of_cat(probs: &[f32], mass: f32) -> Option<Tag> {
    let &[tabby, tiger, persian, siamese, egyptian] = probs.get(CATS)? else {
        return None;
    };
    [
        // The "tiger cat" of ImageNet is a striped coat, which everyone calls a tabby.
        ("tabby cat", tabby + tiger, COAT_SHARE_FLOOR),
        ("persian cat", persian, PEDIGREE_SHARE_FLOOR),
        ("siamese cat", siamese, PEDIGREE_SHARE_FLOOR),
        ("egyptian mau", egyptian, PEDIGREE_SHARE_FLOOR),
    ]
    .into_iter()
    .find(|(_, confidence, share)| *confidence > 0.0 && *confidence >= mass * share)
    .map(|(name, confidence, _)| Tag {
        name: name.to_owned(),
        confidence,
        parents: KIND_PARENTS,
    })
}

/// The things around the cat with at least `floor`, sorted by confidence.
///
/// Classes that mean the same word are added up, so that a laptop that the model splits between
/// "laptop" and "notebook" is not lost.
fn things(probs: &[f32], floor: f32) -> Vec<Tag> {
    let mut found = THINGS
        .iter()
        .map(|&(name, parents, classes)| Tag {
            name: name.to_owned(),
            confidence: classes.iter().filter_map(|&class| probs.get(class)).sum(),
            parents,
        })
        .filter(|tag| tag.confidence > 0.0 && tag.confidence >= floor)
        .collect::<Vec<_>>();
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    found
}

/// Adds the indefinite article: "a sofa", "an umbrella", but "sunglasses".
pub(super) fn with_article(name: &str) -> String {
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
type Thing = (&'static str, &'static [&'static str], &'static [usize]);

/// The things that become tags, chosen by hand.
const THINGS: &[Thing] = &[
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

    /// Probabilities that are zero except for these classes.
    fn probs(of: &[(usize, f32)]) -> Vec<f32> {
        let mut probs = vec![0.0; 1000];
        for &(class, probability) in of {
            probs[class] = probability;
        }
        probs
    }

    fn names(tags: &[Tag]) -> Vec<&str> {
        tags.iter().map(|tag| tag.name.as_str()).collect()
    }

    #[test]
    fn wild_cats_and_dogs_have_no_cat_mass() {
        assert_eq!(cat_mass(&probs(&[(281, 0.25), (285, 0.5)])), 0.75);
        assert_eq!(cat_mass(&probs(&[(280, 0.3), (286, 0.3), (292, 0.4)])), 0.0);
        assert_eq!(cat_mass(&probs(&[(207, 0.9)])), 0.0);
        assert_eq!(cat_mass(&[]), 0.0);
    }

    #[test]
    fn a_kind_is_named_only_if_it_is_clearly_ahead() {
        let cases: &[(&[(usize, f32)], &str)] = &[
            (&[(281, 0.6), (285, 0.2)], "tabby cat"),
            (&[(281, 0.3), (282, 0.3), (285, 0.3)], "tabby cat"),
            (&[(282, 0.9)], "tabby cat"),
            (&[(283, 0.8), (281, 0.1)], "persian cat"),
            (&[(284, 0.8)], "siamese cat"),
            (&[(285, 0.8), (281, 0.2)], "egyptian mau"),
            (&[(285, 0.6), (281, 0.4)], "cat"),
            (&[(283, 0.3), (284, 0.3), (281, 0.3)], "cat"),
            // The share decides even where there is little [`cat_mass`].
            (&[(284, 0.06)], "siamese cat"),
        ];
        for (classes, expected) in cases {
            let tags = tags(&probs(classes), THING_FLOOR);
            assert_eq!(alt_text(&tags), *expected, "{classes:?}");
        }
    }

    #[test]
    fn cat_is_always_a_tag_and_has_the_whole_mass() {
        let tags = tags(&probs(&[(281, 0.5), (283, 0.25), (761, 0.125)]), 0.1);
        assert_eq!(
            names(&tags),
            [
                "cat",
                "animal",
                "pet",
                "tabby cat",
                "remote control",
                "electronics"
            ]
        );
        assert_eq!(tags[0].confidence, 0.75);
        assert_eq!(tags[3].confidence, 0.5);
        assert_eq!(tags[5].confidence, 0.125);
        assert_eq!(names(&super::tags(&[], 0.1))[0], "cat");
    }

    #[test]
    fn tags_come_best_first_and_once() {
        let tags = tags(
            &probs(&[(282, 0.1), (620, 0.3), (681, 0.2), (508, 0.2)]),
            0.05,
        );
        assert_eq!(
            names(&tags),
            [
                "laptop",
                "electronics",
                "keyboard",
                "cat",
                "tabby cat",
                "animal",
                "pet"
            ]
        );
        assert_eq!(tags[0].confidence, 0.5);
        assert_eq!(tags[1].confidence, 0.5);
        assert_eq!(alt_text(&tags), "tabby cat with a laptop");
    }

    #[test]
    fn other_animals_and_vague_things_are_no_tags() {
        let tags = tags(
            &probs(&[(281, 0.5), (207, 0.3), (290, 0.1), (721, 0.04)]),
            0.05,
        );
        assert_eq!(names(&tags), ["cat", "tabby cat", "animal", "pet"]);
    }

    #[test]
    fn alt_text_has_the_right_article() {
        let cases = [
            (761, "cat with a remote control"),
            (879, "cat with an umbrella"),
            (545, "cat with an electric fan"),
            (836, "cat with sunglasses"),
            (911, "cat with wool"),
        ];
        for (class, expected) in cases {
            let tags = tags(
                &probs(&[(281, 0.1), (283, 0.1), (284, 0.1), (class, 0.5)]),
                0.05,
            );
            assert_eq!(alt_text(&tags), expected);
        }
        assert_eq!(alt_text(&[]), "cat");
    }

    #[test]
    fn the_map_is_sound() {
        let mut seen = Vec::new();
        for (name, parents, classes) in THINGS {
            assert!(!parents.is_empty() && !parents.contains(name), "{name}");
            assert!(!parents.contains(&"animal"), "{name}");
            for class in *classes {
                // The classes of things begin after the animals; food and plants are at the end.
                assert!((398..1000).contains(class), "{name}");
                assert!(!seen.contains(class), "{class} is mapped twice");
                seen.push(*class);
            }
        }
        for word in WITHOUT_ARTICLE {
            assert!(THINGS.iter().any(|(name, ..)| name == word), "{word}");
        }
    }
}
