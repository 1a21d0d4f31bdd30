//! What a tag search means.
//!
//! Words are compared without case and accents. A word matches a tag that contains it as a whole
//! word, and `"two words"` matches them as a phrase within one tag. All words and phrases must
//! match. A `-` before a word or phrase excludes pictures with it, and a query may consist of
//! exclusions alone. Plurals and other words for the same thing find what tags call it
//! ([`synonyms`](super::synonyms)). An exclusion knows plurals alone: nobody who types `-orange`
//! minds ginger cats.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::synonyms::{inflections, spellings};

/// The longest query that is looked at, in bytes. Longer ones are refused as malformed.
pub const MAX_QUERY_BYTES: usize = 200;

/// The most words and phrases in a query, exclusions included. Each of them is looked for in the
/// tags of every picture, in up to three spellings.
pub const MAX_TERMS: usize = 16;

/// A parsed search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchQuery {
    pub required: Vec<Term>,
    pub excluded: Vec<Term>,
}

/// A word or phrase of a search, folded, in each spelling that counts as it; the one that was typed
/// comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    pub spellings: Vec<String>,
}

impl SearchQuery {
    /// Parses a query. It cannot fail, because every text means something; a quote that is never
    /// closed reaches to the end.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (excluded, after_sign) = match rest.strip_prefix('-') {
                Some(after) => (true, after),
                None => (false, rest),
            };
            let (term, after) = match after_sign.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => {
                    let end = after_sign
                        .find(|c: char| c.is_whitespace() || c == '"')
                        .unwrap_or(after_sign.len());
                    after_sign.split_at(end)
                }
            };
            let phrase = fold(term);
            let terms = if excluded {
                &mut query.excluded
            } else {
                &mut query.required
            };
            // A term that is repeated asks for nothing more.
            if !phrase.is_empty() && terms.iter().all(|term| term.spellings[0] != phrase) {
                let spellings = if excluded {
                    inflections(&phrase)
                } else {
                    spellings(&phrase)
                };
                terms.push(Term { spellings });
            }
            rest = after.trim_start();
        }
        query
    }

    /// How many words and phrases the query has.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.required.len() + self.excluded.len()
    }

    /// True when the query asks for nothing, so that every picture matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms() == 0
    }
}

/// The one spelling of a query that URLs use: lower case, with single spaces.
#[must_use]
pub fn canonical(text: &str) -> String {
    text.to_lowercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The words of a text without case, accents and punctuation, joined by single spaces:
/// `Égyptian-Mau` becomes `egyptian mau`.
#[must_use]
pub fn fold(text: &str) -> String {
    let plain: String = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect();
    plain
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// All tags of a picture as one searchable text: `| tabby cat | remote control |`.
///
/// A phrase is found as ` phrase ` and a whole tag as `| tag |`. The bars keep a phrase from
/// matching across two tags.
#[must_use]
pub fn index_text<'a>(tags: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::from("|");
    for tag in tags {
        text.push(' ');
        text.push_str(&fold(tag));
        text.push_str(" |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(tags: &[&str], query: &str) -> bool {
        let text = index_text(tags.iter().copied());
        let query = SearchQuery::parse(query);
        let has = |term: &Term| {
            let mut spellings = term.spellings.iter();
            spellings.any(|phrase| text.contains(&format!(" {phrase} ")))
        };
        query.required.iter().all(has) && !query.excluded.iter().any(has)
    }

    #[test]
    fn search_means_what_the_contract_says() {
        let tags = ["tabby cat", "remote control", "cat"];
        for (query, expected) in [
            ("cat", true),
            ("CAT", true),
            ("câT", true),
            ("remote tabby", true),
            ("ca", false),
            ("\"tabby cat\"", true),
            ("\"cat tabby\"", false),
            ("\"cat remote\"", false),
            ("cat -remote", false),
            ("cat -laptop", true),
            ("-laptop", true),
            ("-\"remote control\"", false),
            ("-\"control remote\"", true),
            ("\"tabby", true),
            ("remote-control", true),
            ("cat\"tabby\"", true),
            ("", true),
            ("- \" \"", true),
            ("cats", true),
            ("\"tabby kittens\"", true),
            ("striped", true),
            ("\"cats tabby\"", false),
            ("-tabbies", false),
            ("-striped", true),
            ("-kitten", true),
        ] {
            assert_eq!(matches(&tags, query), expected, "{query}");
        }
    }

    #[test]
    fn a_query_has_one_canonical_spelling() {
        assert_eq!(canonical("  Tabby   CAT "), "tabby cat");
    }
}
