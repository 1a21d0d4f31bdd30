//! Which tags to offer to somebody whose search has found nothing.

use super::search::{MAX_TERMS, SearchQuery, fold};

/// The most tags that are compared with the words of a search.
const MOST_COMPARED: usize = 1000;

/// The fewest letters of a word that may be the beginning of another one.
const LEAST_BEGINNING: usize = 3;

/// How many letters a word has for each one that may be wrong in it.
const LETTERS_PER_TYPO: usize = 3;

/// The tags that somebody may have meant come first, those with the fewest wrong letters before the
/// others. The rest keep their order. `name_of` gives a tag's name.
pub fn sort_nearest_first<T>(tags: &mut Vec<T>, query: &SearchQuery, name_of: impl Fn(&T) -> &str) {
    tags.truncate(MOST_COMPARED);
    let typed = query.required.iter().flat_map(|term| &term.spellings);
    let mut typed: Vec<&str> = typed.flat_map(|phrase| phrase.split(' ')).collect();
    typed.sort_unstable();
    typed.dedup();
    typed.truncate(MAX_TERMS);
    tags.sort_by_cached_key(|tag| {
        let name = fold(name_of(tag));
        let pairs = name
            .split(' ')
            .flat_map(|word| typed.iter().map(move |typed| (word, *typed)));
        pairs
            .filter_map(|(word, typed)| distance(word, typed))
            .min()
            .unwrap_or(usize::MAX)
    });
}

/// How many letters are wrong in what was typed, if it may be meant for this word.
fn distance(word: &str, typed: &str) -> Option<usize> {
    if word == typed {
        return Some(0);
    }
    let (letters, typed_letters) = (word.chars().count(), typed.chars().count());
    let is_long = letters.min(typed_letters) >= LEAST_BEGINNING;
    if is_long && (word.starts_with(typed) || typed.starts_with(word)) {
        return Some(1);
    }
    let allowed = typed_letters / LETTERS_PER_TYPO;
    if letters.abs_diff(typed_letters) > allowed || allowed == 0 {
        return None;
    }
    let wrong = strsim::osa_distance(word, typed);
    (wrong <= allowed).then_some(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(query: &str) -> Vec<&'static str> {
        let mut tags = vec![
            "sofa",
            "tabby cat",
            "tablet",
            "table",
            "remote control",
            "bottle",
        ];
        sort_nearest_first(&mut tags, &SearchQuery::parse(query), |tag| tag);
        tags
    }

    #[test]
    fn what_was_mistyped_or_cut_off_is_offered_first() {
        for (typed, first) in [
            ("tabyb", "tabby cat"),
            ("tab", "tabby cat"),
            ("remot", "remote control"),
            ("contrl zebra", "remote control"),
            ("bottel", "bottle"),
            ("tables", "table"),
            ("table walrus", "table"),
        ] {
            assert_eq!(nearest(typed)[0], first, "{typed}");
        }
    }

    #[test]
    fn without_a_likeness_the_order_stays() {
        let order = nearest("");
        assert_eq!(order[..2], ["sofa", "tabby cat"]);
        for typed in ["zeppelin", "-tabby", "x"] {
            assert_eq!(nearest(typed), order, "{typed}");
        }
    }
}
