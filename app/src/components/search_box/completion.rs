//! Finds the tags that complete the word being written, and writes the completed query.

/// The most suggestions that are shown.
const LIMIT: usize = 8;

/// A query, split before its last term, which is the word or phrase that is being written.
struct LastTerm<'a> {
    /// The part that stays as it is: the earlier terms, and the `-` of the last one.
    head: &'a str,
    /// The last term, without its `-` and its quotes.
    word: &'a str,
}

/// Splits a query before its last term.
fn last_term(query: &str) -> LastTerm<'_> {
    let mut start = 0;
    let mut in_quotes = false;
    for (index, letter) in query.char_indices() {
        match letter {
            '"' => in_quotes = !in_quotes,
            ' ' if !in_quotes => start = index + 1,
            _ => {}
        }
    }
    let term = &query[start..];
    let word = term.strip_prefix('-').unwrap_or(term);
    LastTerm {
        head: &query[..query.len() - word.len()],
        word: word.trim_matches('"'),
    }
}

/// The tags in which a word begins with the last term of the query, in the order in which `tags`
/// has them.
pub(super) fn suggestions(query: &str, tags: &[String]) -> Vec<String> {
    let word = last_term(query).word.to_ascii_lowercase();
    if word.is_empty() {
        return Vec::new();
    }
    let fits = |tag: &&String| {
        tag.as_str() != word
            && (tag.starts_with(&word) || tag.split(' ').any(|part| part.starts_with(&word)))
    };
    tags.iter().filter(fits).take(LIMIT).cloned().collect()
}

/// The query with its last term replaced by this tag. A tag of several words is put in quotes,
/// which makes it a phrase.
pub(super) fn complete(query: &str, tag: &str) -> String {
    let quote = if tag.contains(' ') { "\"" } else { "" };
    [last_term(query).head, quote, tag, quote].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Vec<String> {
        ["tabby", "maine coon", "sofa", "table", "coat rack"]
            .map(String::from)
            .into()
    }

    #[test]
    fn the_last_word_is_completed_from_the_start_of_any_word_of_a_tag() {
        let cases = [
            ("tab", vec!["tabby", "table"]),
            ("TAB", vec!["tabby", "table"]),
            ("sofa co", vec!["maine coon", "coat rack"]),
            ("\"maine co", vec!["maine coon"]),
            ("sofa -ta", vec!["tabby", "table"]),
            ("sofa", vec![]),
            ("sofa ", vec![]),
            ("-", vec![]),
            ("", vec![]),
            ("ö", vec![]),
        ];
        for (query, expected) in cases {
            assert_eq!(suggestions(query, &tags()), expected, "{query}");
        }
    }

    #[test]
    fn completing_keeps_what_was_written_before() {
        let cases = [
            ("ta", "tabby", "tabby"),
            ("sofa ta", "tabby", "sofa tabby"),
            ("sofa -co", "maine coon", "sofa -\"maine coon\""),
            ("-\"maine co", "maine coon", "-\"maine coon\""),
            ("\"maine coon\" so", "sofa", "\"maine coon\" sofa"),
        ];
        for (query, tag, expected) in cases {
            assert_eq!(complete(query, tag), expected);
        }
    }
}
