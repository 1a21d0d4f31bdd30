//! One width for every line, so that two files fit beside each other.

use super::{SOURCES, root, rust_files};

/// The most columns of a line.
const COLUMNS: usize = 100;

/// For each line, whether a part of it is a text within quotes, which nothing can wrap.
fn hold_text(source: &str) -> Vec<bool> {
    let mut held = Vec::new();
    // What ends the text that began on an earlier line.
    let mut end: Option<String> = None;
    for line in source.lines() {
        let mut holds = end.is_some();
        let mut rest = line;
        loop {
            if let Some(close) = &end {
                // A quote behind a backslash ends nothing, but in a raw text.
                let from = if close == "\"" {
                    let mut escaped = false;
                    rest.find(|letter| {
                        let closes = letter == '"' && !escaped;
                        escaped = letter == '\\' && !escaped;
                        closes
                    })
                } else {
                    rest.find(close.as_str())
                };
                let Some(from) = from else { break };
                rest = &rest[from + close.len()..];
                end = None;
            }
            let comment = rest.find("//").unwrap_or(rest.len());
            let code = &rest[..comment];
            let Some(quote) = code.find('"').filter(|at| !code[..*at].ends_with('\'')) else {
                // A quote as a letter, `'"'`: go on behind it.
                match code.find("'\"'") {
                    Some(at) => {
                        rest = &rest[at + 3..];
                        continue;
                    }
                    None => break,
                }
            };
            holds = true;
            let before = code[..quote].trim_end_matches('#');
            let hashes = quote - before.len();
            end = Some(format!("\"{}", "#".repeat(hashes)));
            rest = &rest[quote + 1..];
        }
        held.push(holds);
    }
    held
}

#[test]
fn every_line_of_code_and_comment_is_at_most_100_columns() {
    let mut long = Vec::new();
    for (path, text) in SOURCES.into_iter().flat_map(rust_files) {
        let path = path.strip_prefix(root()).expect("a file of ours");
        for (at, (line, holds_text)) in text.lines().zip(hold_text(&text)).enumerate() {
            if !holds_text && line.chars().count() > COLUMNS {
                long.push(format!("{}:{}", path.display(), at + 1));
            }
        }
    }
    assert!(long.is_empty(), "{} lines: {long:#?}", long.len());
}

#[test]
fn only_a_line_that_holds_text_may_be_longer() {
    let source = "let a = 1; // \"no text\"\nlet b = \"begins\n goes on\nends\"; let c = '\"';\n\
                  let d = r#\"a \" in it\nends\"#;\nlet e = 2;";
    assert_eq!(
        hold_text(source),
        [false, true, true, true, true, true, false]
    );
}
