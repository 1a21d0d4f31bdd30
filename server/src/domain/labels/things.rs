//! The things around a cat that have a name: the words, wider words for the same thing, and the
//! classes of the labels model that mean them.

/// A name, its parents, and the classes that mean it.
pub(super) type Meaning = (&'static str, &'static [&'static str], &'static [usize]);

/// The things that become tags, chosen by hand.
pub(super) const THINGS: &[Meaning] = &[
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

/// The wider words for a thing; nothing where it has no name here.
pub(super) fn parents_of(name: &str) -> &'static [&'static str] {
    THINGS
        .iter()
        .find(|(other, ..)| *other == name)
        .map_or(&[], |(_, parents, _)| parents)
}

/// What a cat that is seen with it sits or lies on.
pub(super) const SEATS: [&str; 6] = ["bed", "bench", "chair", "quilt", "rocking chair", "sofa"];

/// The names of things that are plural or cannot be counted.
pub(super) const WITHOUT_ARTICLE: &[&str] = &["hay", "jeans", "pajamas", "sunglasses", "wool"];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::CLASS_COUNT;
    use crate::domain::labels::COMMON;

    #[test]
    fn every_class_means_one_thing_and_every_thing_has_wider_words() {
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
    }
}
