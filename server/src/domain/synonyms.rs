//! Other words for the tags that pictures have. Tags are in the singular and each thing has one
//! name; people search for `cats`, `tabbies` and `couch`. This is the one place that knows better.

/// Words that people type, each with the words that tags have for the same thing.
const SYNONYMS: &[(&str, &str)] = &[
    // Cats.
    ("feline", "cat"),
    ("kitten", "cat"),
    ("kitty", "cat"),
    ("moggy", "cat"),
    ("puss", "cat"),
    ("pussycat", "cat"),
    // Their coats.
    ("marmalade", "ginger"),
    ("orange", "ginger"),
    ("red", "ginger"),
    ("striped", "tabby"),
    ("stripy", "tabby"),
    ("bald", "hairless"),
    ("naked", "hairless"),
    ("sphinx", "hairless"),
    ("sphynx", "hairless"),
    // Things around them.
    ("armchair", "chair"),
    ("bathtub", "bath tub"),
    ("bike", "bicycle"),
    ("blanket", "quilt"),
    ("bookcase", "bookshelf"),
    ("cellphone", "mobile phone"),
    ("couch", "sofa"),
    ("cushion", "pillow"),
    ("duvet", "quilt"),
    ("fridge", "refrigerator"),
    ("garbage", "trash"),
    ("hoover", "vacuum cleaner"),
    ("jumper", "sweatshirt"),
    ("letterbox", "mailbox"),
    ("loo", "toilet"),
    ("mug", "cup"),
    ("notebook", "laptop"),
    ("oven", "stove"),
    ("parcel", "package"),
    ("pot", "plant pot"),
    ("rubbish", "trash"),
    ("screen", "monitor"),
    ("settee", "sofa"),
    ("smartphone", "mobile phone"),
    ("speaker", "loudspeaker"),
    ("tub", "bath tub"),
    ("tv", "television"),
    ("washer", "washing machine"),
];

/// Plural forms that no rule gives, each with its singular.
const IRREGULAR: &[(&str, &str)] = &[
    ("bookshelves", "bookshelf"),
    ("knives", "knife"),
    ("leaves", "leaf"),
    ("mice", "mouse"),
    ("scarves", "scarf"),
    ("shelves", "shelf"),
];

/// The longest phrase, in words, in which synonyms are replaced.
const MOST_WORDS: usize = 4;

/// The spellings under which a folded phrase is looked for: its own, the one in the singular, and
/// the one with the words that tags have. A picture that has one of them matches.
#[must_use]
pub fn spellings(phrase: &str) -> Vec<String> {
    let mut spellings = inflections(phrase);
    if let Some(singular) = spellings.last()
        && phrase.split(' ').count() <= MOST_WORDS
    {
        let words: Vec<&str> = singular.split(' ').map(usual).collect();
        let usual = words.join(" ");
        if !spellings.contains(&usual) {
            spellings.push(usual);
        }
    }
    spellings
}

/// A folded phrase as it stands, and in the singular if it looks like a plural. In English the last
/// word of a phrase says which.
#[must_use]
pub fn inflections(phrase: &str) -> Vec<String> {
    let (head, last) = phrase.rsplit_once(' ').unwrap_or(("", phrase));
    let last = singular(last);
    let singular = if head.is_empty() {
        last
    } else {
        format!("{head} {last}")
    };
    let mut inflections = vec![phrase.to_owned()];
    if singular != phrase {
        inflections.push(singular);
    }
    inflections
}

/// What tags call this thing.
fn usual(word: &str) -> &str {
    let found = SYNONYMS.iter().find(|(synonym, _)| *synonym == word);
    found.map_or(word, |(_, usual)| usual)
}

/// The singular of an English word, by the rules that most words keep to. Others come out as
/// nonsense, which no tag has, and are still found as they stand.
fn singular(word: &str) -> String {
    if let Some((_, singular)) = IRREGULAR.iter().find(|(plural, _)| *plural == word) {
        return (*singular).to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies")
        && stem.len() > 1
    {
        return format!("{stem}y");
    }
    let hisses = ["ches", "shes", "sses", "xes", "zes"];
    if hisses.iter().any(|ending| word.ends_with(ending)) {
        return word[..word.len() - 2].to_owned();
    }
    let is_plural = word.len() > 3 && !["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    match word.strip_suffix('s') {
        Some(stem) if is_plural => stem.to_owned(),
        Some(_) | None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::labels;
    use crate::domain::search::fold;

    #[test]
    fn plurals_and_synonyms_are_looked_for_under_the_words_that_tags_have() {
        for (typed, expected) in [
            ("cats", &["cats", "cat"][..]),
            ("kittens", &["kittens", "kitten", "cat"]),
            ("kitties", &["kitties", "kitty", "cat"]),
            ("tabbies", &["tabbies", "tabby"]),
            ("orange", &["orange", "ginger"]),
            ("orange cats", &["orange cats", "orange cat", "ginger cat"]),
            ("boxes", &["boxes", "box"]),
            ("couches", &["couches", "couch", "sofa"]),
            ("benches", &["benches", "bench"]),
            ("glasses", &["glasses", "glass"]),
            ("bookshelves", &["bookshelves", "bookshelf"]),
            ("bathtub", &["bathtub", "bath tub"]),
            ("tv", &["tv", "television"]),
            ("ties", &["ties", "tie"]),
            (
                "christmas stockings",
                &["christmas stockings", "christmas stocking"],
            ),
        ] {
            assert_eq!(spellings(typed), expected, "{typed}");
        }
    }

    #[test]
    fn a_word_that_only_looks_like_a_plural_is_still_found_as_it_stands() {
        for word in [
            "glass", "dress", "grass", "bus", "us", "s", "tennis", "cactus",
        ] {
            assert_eq!(spellings(word), [word], "{word}");
        }
        assert_eq!(spellings("sunglasses")[0], "sunglasses");
        assert_eq!(spellings("jeans")[0], "jeans");
        assert_eq!(spellings("a b c d couch"), ["a b c d couch"]);
    }

    #[test]
    fn every_synonym_leads_to_words_that_the_models_say() {
        let known: Vec<String> = labels::names().map(fold).collect();
        let has = |phrase: &str| {
            let phrase = format!(" {phrase} ");
            known
                .iter()
                .any(|name| format!(" {name} ").contains(&phrase))
        };
        for (synonym, usual) in SYNONYMS {
            assert!(has(usual), "{synonym}: no tag is called {usual}");
            assert_eq!(fold(synonym), *synonym);
        }
    }

    #[test]
    fn every_name_of_the_models_is_found_by_its_plural() {
        for name in labels::names().map(fold) {
            let hisses = ["ch", "sh", "x"].iter().any(|end| name.ends_with(end));
            let plural = match name.strip_suffix('y') {
                // They are plurals already, or nobody counts them.
                _ if name.ends_with('s') => continue,
                Some(stem) if !stem.ends_with(['a', 'e', 'o']) => format!("{stem}ies"),
                Some(_) | None if hisses => format!("{name}es"),
                Some(_) | None => format!("{name}s"),
            };
            assert!(spellings(&plural).contains(&name), "{plural}");
        }
    }
}
