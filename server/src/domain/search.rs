//! What a tag search means.
//! Words are folded for case and accents; a word matches a tag that contains it as a whole word; words are AND;
//! `-word` excludes; `"two words"` and `-"two words"` match phrases; exclusions alone are allowed.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The longest query that is looked at, bytes. Longer ones are malformed.
pub const MAX_QUERY_BYTES: usize = 200;

/// The most words and phrases of a query, exclusions among them. Each is looked for in every picture's tags.
pub const MAX_TERMS: usize = 16;

/// A parsed search: folded phrases of one or more words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchQuery {
    pub required: Vec<String>,
    pub excluded: Vec<String>,
}

impl SearchQuery {
    /// Reads a query; every text has a meaning, a lone quote reaches to the end.
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
            let phrases = if excluded {
                &mut query.excluded
            } else {
                &mut query.required
            };
            // Said twice it asks for no more.
            if !phrase.is_empty() && !phrases.contains(&phrase) {
                phrases.push(phrase);
            }
            rest = after.trim_start();
        }
        query
    }

    /// How many words and phrases there are.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.required.len() + self.excluded.len()
    }

    /// True when nothing is asked for, so that everything matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms() == 0
    }
}

/// The one spelling of a query in a URL: lower case, single spaces.
#[must_use]
pub fn canonical(text: &str) -> String {
    text.to_lowercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Folded words, joined by single spaces: `Égyptian-Mau` is `egyptian mau`.
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
/// A phrase is found as ` phrase `, a whole tag as `| tag |`; the bars keep a phrase within one tag.
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
        query
            .required
            .iter()
            .all(|phrase| text.contains(&format!(" {phrase} ")))
            && !query
                .excluded
                .iter()
                .any(|phrase| text.contains(&format!(" {phrase} ")))
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
        ] {
            assert_eq!(matches(&tags, query), expected, "{query}");
        }
    }

    #[test]
    fn a_query_has_one_canonical_spelling() {
        assert_eq!(canonical("  Tabby   CAT "), "tabby cat");
    }
}
