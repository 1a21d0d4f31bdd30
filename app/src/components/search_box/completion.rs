//! Which tags complete the word being written, and what the query becomes.

/// So many suggestions at most.
const LIMIT: usize = 8;

/// Where the last term begins, behind its `-` and its opening quote.
struct LastTerm<'a> {
    /// All that stays: earlier terms and the `-`.
    head: &'a str,
    word: &'a str,
}

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

/// The tags of which a word begins as the last term does, in the order given.
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

/// The query with its last term replaced by this tag, as a phrase where it has several words.
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
