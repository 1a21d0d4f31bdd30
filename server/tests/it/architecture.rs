//! The rules of the house that no compiler checks.

mod api;
mod modules;
mod width;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rust_files(below: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        if folder.is_file() {
            found.push((
                folder.clone(),
                fs::read_to_string(&folder).expect("a source file"),
            ));
            continue;
        }
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() || path.extension().is_some_and(|ending| ending == "rs") {
                folders.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "{below} has no source");
    found
}

/// Every folder of ours that holds Rust code.
const SOURCES: [&str; 12] = [
    "app/src",
    "frontend/src",
    "fuzz/examples",
    "fuzz/fuzz_targets",
    "fuzz/src",
    "glue/src",
    "imaging/src",
    "probe/src",
    "server/src",
    "server/tests",
    "tools/src",
    "trim/src",
];

/// A file's code as it is compiled for users: without comments, and without the items that
/// `#[cfg(test)]` covers.
///
/// It relies on rustfmt's layout: an item ends with the first line that is indented like its
/// attribute and closes it.
fn code(text: &str) -> String {
    let mut kept = Vec::new();
    let mut lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        if line.trim_start() != "#[cfg(test)]" {
            kept.push(line);
            continue;
        }
        let indentation = line.len() - line.trim_start().len();
        lines
            .find(|line| {
                line.len() > indentation
                    && !line[indentation..].starts_with([' ', '#'])
                    && line.ends_with([';', '}', ','])
            })
            .unwrap_or_else(|| panic!("an item of the tests without an end: {text:.80}"));
    }
    kept.join("\n")
}

#[test]
fn code_behind_the_tests_of_a_file_is_read_and_the_tests_are_not() {
    let file = "//! Cats.\n\
        #[cfg(test)]\n\
        mod samples;\n\
        const ABOVE: u8 = 1;\n\
        struct Cat {\n    \
            // Never read.\n    \
            #[cfg(test)]\n    \
            seen: u8,\n    \
            name: u8,\n\
        }\n\
        #[cfg(test)]\n\
        #[derive(Debug)]\n\
        fn told(\n    \
            hidden: u8,\n\
        ) -> u8 {\n    \
            hidden\n\
        }\n\
        const BETWEEN: u8 = 2;\n\
        #[cfg(test)]\n\
        mod tests {\n    \
            const HIDDEN: u8 = 3;\n\n    \
            fn a() {}\n\
        }\n\
        const BEHIND: u8 = 4;\n";
    let expected = "const ABOVE: u8 = 1;\n\
        struct Cat {\n    \
            name: u8,\n\
        }\n\
        const BETWEEN: u8 = 2;\n\
        const BEHIND: u8 = 4;";
    assert_eq!(code(file), expected);
}

#[track_caller]
fn assert_absent(below: &[&str], words: &[&str], but: &[&str]) {
    for folder in below {
        for (path, text) in rust_files(folder) {
            if but.iter().any(|exempt| path.ends_with(exempt)) {
                continue;
            }
            for word in words {
                assert!(
                    !code(&text).contains(word),
                    "{} must not name `{word}`",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_domain_knows_rules_and_nothing_else() {
    let words = [
        "serde",
        "axum",
        "leptos",
        "sqlx",
        "tokio",
        "tracing",
        "std::fs",
        "std::env",
        "Timestamp::now",
        "async ",
    ];
    let rules = [
        "server/src/domain.rs",
        "server/src/domain",
        "server/src/screening/rekognition/detection.rs",
        "server/src/screening/rekognition/moderation.rs",
    ];
    assert_absent(&rules, &words, &[]);
}

#[test]
fn use_cases_know_no_http_and_no_pages() {
    assert_absent(
        &["server/src/pictures.rs", "server/src/pictures"],
        &["axum", "leptos", "app::", "StatusCode"],
        &[],
    );
    assert_absent(
        &["server/src/builds.rs", "server/src/builds"],
        &[
            "axum",
            "leptos",
            "app::",
            "StatusCode",
            "crate::db",
            "crate::pictures",
        ],
        &[],
    );
}

#[test]
fn a_bill_is_reckoned_and_looks_at_nothing() {
    assert_absent(
        &["server/src/costs/bill.rs"],
        &["crate::", "axum", "tokio", "async ", "std::fs"],
        &[],
    );
}

#[test]
fn adapters_do_not_know_each_other() {
    assert_absent(
        &["server/src/cdn.rs", "server/src/cdn"],
        &[
            "crate::costs",
            "crate::db",
            "crate::pictures",
            "crate::screening",
            "crate::storage",
            "axum",
        ],
        &[],
    );
    assert_absent(
        &["server/src/storage.rs", "server/src/storage"],
        &["crate::cdn", "crate::db", "crate::screening", "axum"],
        &[],
    );
    assert_absent(
        &["server/src/db.rs", "server/src/db"],
        &["crate::cdn", "crate::storage", "crate::screening", "axum"],
        &[],
    );
    assert_absent(
        &["server/src/screening.rs", "server/src/screening"],
        &[
            "crate::costs",
            "crate::cdn",
            "crate::db",
            "crate::pictures",
            "crate::storage",
            "axum",
        ],
        &[],
    );
    assert_absent(&["imaging/src"], &["cattocdn::", "tokio", "async "], &[]);
}

#[test]
fn the_probe_looks_from_outside_and_knows_no_secret() {
    assert_absent(&["probe/src"], &["cattocdn::", "std::env"], &[]);
    let manifest = fs::read_to_string(root().join("probe/Cargo.toml")).expect("a manifest");
    for own in ["app", "imaging", "server", "tools"] {
        assert!(
            !manifest.contains(&format!("\n{own}.workspace")),
            "the probe must not depend on {own}"
        );
    }
}

#[test]
fn the_doctor_looks_at_what_is_configured_and_at_no_picture() {
    let doctor = ["server/src/doctor.rs", "server/src/doctor"];
    assert_absent(
        &doctor,
        &["crate::db", "crate::http", "crate::pictures", "std::env"],
        &[],
    );
    // Its paid calls are counted in the site's own ledger.
    assert_absent(&doctor, &["crate::site"], &["doctor/second_opinion.rs"]);
}

#[test]
fn one_place_decides_each_thing() {
    let all = ["server/src", "app/src", "imaging/src", "probe/src"];
    assert_absent(&all, &["CACHE_CONTROL"], &["http/cache.rs"]);
    // However a handler names these headers, the layer that writes them notices.
    assert_absent(
        &["server/src/http.rs", "server/src/http"],
        &["\"cache-control\"", "header::EXPIRES"],
        &["http/cache.rs"],
    );
    // An address has a declaration only where it is added there.
    assert_absent(
        &["server/src"],
        &[".route(", ".route_service(", ".nest("],
        &["http/declared.rs"],
    );
    assert_absent(
        &all,
        &["std::env::var"],
        &["config/env.rs", "runtime/telemetry.rs"],
    );
    assert_absent(&all, &["Timestamp::now"], &["runtime/clock.rs"]);
    assert_absent(
        &all,
        &["aws_sdk_cloudfront"],
        // The doctor reads what the distribution says about itself.
        &[
            "cdn/cloudfront.rs",
            "cdn/cloudfront/distribution.rs",
            "doctor/cdn.rs",
        ],
    );
    assert_absent(&all, &["api.cloudflare"], &["config/cdn.rs"]);
}

/// Groups of modules that import each other in a circle and may, each with its reason.
const CIRCLES: [(&[&str], &str); 0] = [];

/// The first names of all paths in the code that begin so: `http` and `db` for
/// `use crate::{db::Db, http};` and the beginning `crate::`.
fn first_names(code: &str, beginning: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String {
        let is_part = |letter: &char| letter.is_alphanumeric() || *letter == '_';
        text.trim_start().chars().take_while(is_part).collect()
    };
    let mut names = BTreeSet::new();
    for path in code.split(beginning).skip(1) {
        let Some(group) = path.strip_prefix('{') else {
            names.insert(name(path));
            continue;
        };
        let mut depth = 1;
        names.insert(name(group));
        for (at, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => _ = names.insert(name(&group[at + 1..])),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

/// Which modules below a folder of sources name which others of them in their code, where a path
/// to one begins so. Files in a folder belong to the module that is called like it.
fn imports(folder: &str, beginning: &str, but: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in rust_files(folder) {
        let inner = path.strip_prefix(root().join(folder)).expect("is below it");
        let first = inner.iter().next().and_then(|name| name.to_str());
        let module = first.expect("is text").trim_end_matches(".rs");
        if but.contains(&module) {
            continue;
        }
        let code = code(&text);
        let named = found.entry(module.to_owned()).or_default();
        named.extend(first_names(&code, beginning));
        // From a file that lies directly in the folder, its siblings are `super`'s.
        if inner.iter().count() == 1 {
            named.extend(first_names(&code, "super::"));
        }
    }
    let modules: BTreeSet<String> = found.keys().cloned().collect();
    for (module, named) in &mut found {
        named.retain(|name| name != module && modules.contains(name));
    }
    found
}

/// What can be reached from a module by what it imports, and what that imports.
fn reachable(imports: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![from];
    while let Some(module) = ahead.pop() {
        for next in &imports[module] {
            if reached.insert(next.clone()) {
                ahead.push(next);
            }
        }
    }
    reached
}

/// The modules of each circle, in the order of the alphabet.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let all: BTreeMap<&String, BTreeSet<String>> = imports
        .keys()
        .map(|module| (module, reachable(imports, module)))
        .collect();
    let with = |module: &String| {
        let there = all[module].iter();
        there
            .filter(|other| all[other].contains(module))
            .cloned()
            .collect()
    };
    all.keys()
        .filter(|module| all[**module].contains(**module))
        .map(|module| with(module))
        .collect()
}

#[test]
fn a_circle_of_modules_is_found_however_long_it_is() {
    let imports = [
        ("a", "b"),
        ("b", "c"),
        ("c", "a"),
        ("d", "a"),
        ("e", "f"),
        ("f", "f"),
    ];
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in imports {
        graph.entry(from.into()).or_default().insert(to.into());
    }
    graph.get_mut("f").expect("is there").clear();
    let expected = BTreeSet::from(["a", "b", "c"].map(str::to_owned));
    assert_eq!(circles(&graph), BTreeSet::from([expected]));
    assert_eq!(
        first_names(
            "use crate::{db::{Db, x}, http};\ncrate::jobs::spawn()",
            "crate::"
        ),
        BTreeSet::from(["db", "http", "jobs"].map(str::to_owned))
    );
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    for (folder, beginning, but) in [
        // Both put everything together, and nothing imports them.
        ("server/src", "crate::", &["lib", "main"][..]),
        ("server/src/domain", "crate::domain::", &[]),
        ("server/src/http", "crate::http::", &[]),
        ("server/src/pictures", "crate::pictures::", &[]),
        ("server/src/db", "crate::db::", &[]),
        ("server/src/cdn", "crate::cdn::", &[]),
        ("server/src/costs", "crate::costs::", &[]),
        ("server/src/doctor", "crate::doctor::", &[]),
        ("imaging/src", "crate::", &["lib"]),
        ("probe/src", "crate::", &["lib"]),
    ] {
        let imports = imports(folder, beginning, but);
        assert!(imports.len() > 2, "{folder}: {imports:?}");
        for circle in circles(&imports) {
            let modules: Vec<&str> = circle.iter().map(String::as_str).collect();
            let arrows: Vec<String> = imports
                .iter()
                .filter(|(module, _)| circle.contains(*module))
                .map(|(module, named)| {
                    let named: Vec<&str> =
                        named.intersection(&circle).map(String::as_str).collect();
                    format!("{module} -> {}", named.join(", "))
                })
                .collect();
            assert!(
                CIRCLES.iter().any(|(allowed, _)| *allowed == modules),
                "{folder}: these modules import each other in a circle:\n{}",
                arrows.join("\n")
            );
        }
    }
}

#[test]
fn another_vendor_of_second_opinions_needs_its_folder_the_configuration_and_the_site() {
    let known = [
        // Its folder, and the line that names it.
        "screening.rs",
        "screening/rekognition.rs",
        "screening/rekognition/client.rs",
        "screening/rekognition/detection.rs",
        "screening/rekognition/moderation.rs",
        // The configuration.
        "config/budget.rs",
        "config/screening.rs",
        // Where all is put together.
        "site.rs",
        // An option that is older than other vendors, and words about regions of Amazon.
        "doctor.rs",
        "doctor/bucket.rs",
    ];
    assert_absent(
        &["server/src", "app/src", "imaging/src"],
        &["ekognition", "REKOGNITION"],
        &known,
    );
}

#[test]
fn every_file_says_what_lives_in_it() {
    for folder in SOURCES {
        for (path, text) in rust_files(folder) {
            assert!(
                text.starts_with("//! "),
                "{} has no opening words",
                path.display()
            );
        }
    }
}

#[test]
fn every_variable_that_is_read_is_explained() {
    let sample = fs::read_to_string(root().join(".env.sample")).expect(".env.sample");
    let config = fs::read_to_string(root().join("server/src/config.rs")).expect("config.rs");
    let (_, config) = config
        .split_once("/// The whole configuration.")
        .expect("the part after the unsupported variables");
    let mut config = config.to_owned();
    // What a month may take of something is declared by whoever sells it.
    for folder in [
        "server/src/config",
        "server/src/screening",
        "server/src/domain/purge.rs",
    ] {
        for (_, text) in rust_files(folder) {
            config.push_str(&code(&text));
        }
    }
    let variables: Vec<&str> = config
        .split('"')
        .filter(|text| {
            text.starts_with("CATTO_") && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        })
        .collect();
    assert!(variables.len() > 10, "{variables:?}");
    for variable in variables {
        assert!(
            sample.contains(&format!("{variable}=")),
            "{variable} is not in .env.sample"
        );
    }
}

/// The text of an event, given what follows `tracing::…!(`: the last string within the parentheses.
fn message(call: &str) -> &str {
    let (mut depth, mut last) = (1, "");
    for (at, piece) in call.split('"').enumerate() {
        if at % 2 == 1 {
            last = piece;
            continue;
        }
        for letter in piece.chars() {
            match letter {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return last;
            }
        }
    }
    panic!("an event without an end: {call:.80}");
}

#[test]
fn every_event_that_is_logged_is_explained() {
    let document = fs::read_to_string(root().join("docs/LOGGING.md")).expect("LOGGING.md");
    let mut events = 0;
    for (path, text) in rust_files("server/src") {
        let code = code(&text);
        for level in ["error", "warn", "info", "debug"] {
            let opening = format!("tracing::{level}!(");
            for message in code.split(&opening).skip(1).map(message) {
                let row = format!("| `{}` | {message} |", level.to_uppercase());
                assert!(
                    document.contains(&row),
                    "{}: LOGGING.md has no row that begins with `{row}`",
                    path.display()
                );
                events += 1;
            }
        }
    }
    assert!(events > 50, "{events} events were found");
}

/// The file that OPERATING.md names like this. It names files of the server from `server/src`, and
/// others from the root.
fn source(file: &str) -> PathBuf {
    let within = if file.starts_with("imaging/") {
        root()
    } else {
        root().join("server/src")
    };
    within.join(file)
}

/// The numbers of a constant, one or a list, or of a setting's default, in a file of the server.
/// They are written `const NAME: … = VALUE;` or `name: VALUE,`.
#[track_caller]
fn values(file: &str, name: &str) -> Vec<u64> {
    let text = fs::read_to_string(source(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let constant = text
        .split_once(&format!("const {name}: "))
        .map(|(_, rest)| {
            let (_, rest) = rest.split_once('=').expect("a value");
            rest.split(';').next().expect("an end")
        });
    let setting = text
        .rsplit_once(&format!(" {name}: "))
        .map(|(_, rest)| rest.split(",\n").next().expect("an end"));
    let written = constant
        .or(setting)
        .unwrap_or_else(|| panic!("{file} has no {name}"));
    let written = written.trim();
    let list = written
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'));
    list.unwrap_or(written)
        .split(',')
        .map(|number| {
            evaluate(number)
                .unwrap_or_else(|| panic!("{file}: {name} is `{written}`, which is no number"))
        })
        .collect()
}

#[track_caller]
fn value(file: &str, name: &str) -> u64 {
    values(file, name)[0]
}

/// A number as the code writes it: with factors, shifts, and what it is wrapped in.
fn evaluate(written: &str) -> Option<u64> {
    let mut written = written.trim();
    for wrapped in [
        "Duration::from_secs(",
        "Duration::from_millis(",
        "NonZeroU32::new(",
    ] {
        if let Some(inner) = written.strip_prefix(wrapped) {
            written = inner.split(')').next()?;
        }
    }
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().ok();
    if let Some((most, less)) = written.split_once(") - ") {
        return Some(evaluate(most.strip_prefix('(')?)? - number(less)?);
    }
    if let Some((base, bits)) = written.split_once("<<") {
        return Some(number(base)? << number(bits)?);
    }
    written.split('*').map(number).product()
}

/// Every way in which a document may write this number.
fn in_words(value: u64) -> Vec<String> {
    let mut words = vec![value.to_string()];
    for (unit, name) in [
        (1024, "KiB"),
        (1024 * 1024, "MiB"),
        (1000, "kB"),
        (1_000_000, "MB"),
        (1_000_000, "Mpx"),
        (1_000_000_000, "GB"),
        (60, "minute"),
        (3600, "hour"),
        (24 * 3600, "day"),
    ] {
        if value.is_multiple_of(unit) {
            words.push(format!("{} {name}", value / unit));
        }
    }
    let digits = value.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    words.push(grouped);
    words
}

/// True where the text holds one of these words, but not as a part of a longer number: `2` is found
/// neither in `12` nor in `2,000` nor in `2.5`.
fn says(text: &str, words: &[String]) -> bool {
    let is_digit = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_digit());
    let goes_on = |mut letters: Box<dyn Iterator<Item = char> + '_>| {
        let first = letters.next();
        is_digit(first) || matches!(first, Some(',' | '.')) && is_digit(letters.next())
    };
    words.iter().any(|word| {
        text.match_indices(word.as_str()).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + word.len()..]);
            !goes_on(Box::new(before.chars().rev())) && !goes_on(Box::new(after.chars()))
        })
    })
}

#[test]
fn a_number_is_found_in_a_document_as_it_is_and_not_within_another() {
    let found = |text: &str, value: u64| says(text, &in_words(value));
    assert!(found("at most 64 KiB", 65_536) && found("5 GB", 5_000_000_000));
    assert!(found("10 minutes", 600) && found("20,000 clients", 20_000) && found("2000", 2000));
    assert!(!found("512", 12) && !found("2,000", 2) && !found("1.5 MB", 5));
}

/// The rows of the tables of bounds: what is bounded, by what, where, and what the client sees.
#[track_caller]
fn bounds(operating: &str) -> Vec<[&str; 4]> {
    let (_, tables) = operating.split_once("## Bounds").expect("tables of bounds");
    let (tables, _) = tables.split_once("\n## ").expect("a next chapter");
    tables
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter(|line| !line.starts_with("| ---") && !line.starts_with("| What | Bound |"))
        .map(|line| {
            let columns: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            <[&str; 4]>::try_from(columns)
                .unwrap_or_else(|columns| panic!("not four columns: {columns:?}"))
        })
        .collect()
}

/// The texts in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Constants with names like bounds that bound nothing a stranger could make grow.
const NO_BOUNDS: [(&str, &str); 5] = [
    // This one chooses how a picture is encoded, and refuses none.
    ("imaging/src/memory.rs", "MAX_PARALLEL_PIXELS"),
    // These are facts of the formats.
    ("imaging/src/metadata.rs", "MOST_INFLATION"),
    ("imaging/src/vp8l.rs", "MAX_LENGTH"),
    // These are sides of pictures that we make ourselves, as small as their readers want them.
    ("imaging/src/placeholder.rs", "MAX_SIDE"),
    ("imaging/src/screening_image.rs", "MAX_SIDE"),
];

#[test]
fn every_bound_of_the_code_is_told_to_operators() {
    let operating = fs::read_to_string(root().join("docs/OPERATING.md")).expect("OPERATING.md");
    let mut told: Vec<(&str, &str)> = NO_BOUNDS.to_vec();
    for [_, _, place, _] in bounds(&operating) {
        if let [file, ref constants @ ..] = quoted(place)[..] {
            told.extend(constants.iter().map(|constant| (file, *constant)));
        }
    }
    let bounded = [
        "server/src/db.rs",
        "server/src/db",
        "server/src/http.rs",
        "server/src/http",
        "server/src/pictures.rs",
        "server/src/pictures",
        "imaging/src",
    ];
    for (path, text) in bounded.into_iter().flat_map(rust_files) {
        let path = path.strip_prefix(root()).expect("is below it");
        let file = path.to_str().expect("is text");
        let file = file.strip_prefix("server/src/").unwrap_or(file);
        let code = code(&text);
        let constants = code
            .lines()
            .filter_map(|line| line.split_once("const ")?.1.split_once(": "))
            .map(|(name, _)| name);
        for name in constants {
            let is_bound = ["MAX_", "MOST_", "LEAST_"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            assert!(
                !is_bound || told.contains(&(file, name)),
                "OPERATING.md has no row for `{file}` `{name}` among its bounds"
            );
        }
    }
}

#[test]
fn the_bounds_that_operators_read_are_those_of_the_code() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("a document");
    let (operating, api) = (read("docs/OPERATING.md"), read("docs/API.md"));
    let sample = read(".env.sample");
    let rows = bounds(&operating);
    assert!(rows.len() > 60, "the table has {} rows", rows.len());
    for [what, bound, place, client] in rows {
        assert!(!client.is_empty(), "{what}: what does a client see?");
        let names = quoted(place);
        let values: Vec<u64> = match names[..] {
            [variable] if variable.starts_with("CATTO_") => {
                let default = sample
                    .lines()
                    .find_map(|line| line.strip_prefix(&format!("#{variable}=")))
                    .unwrap_or_else(|| panic!("{variable} is not in .env.sample"));
                let default = default.trim_matches('"');
                assert!(
                    says(bound, &[default.to_owned()])
                        || default
                            .parse()
                            .is_ok_and(|number| says(bound, &in_words(number))),
                    "{what}: `{bound}` is not {variable}'s `{default}`"
                );
                continue;
            }
            [file, ref constants @ ..] if file.ends_with(".rs") && !constants.is_empty() => {
                constants
                    .iter()
                    .flat_map(|name| values(file, name))
                    .collect()
            }
            _ => panic!("{what}: `{place}` names no file with a constant, and no variable"),
        };
        for value in values {
            let words = in_words(value);
            assert!(
                says(bound, &words),
                "{what}: `{bound}` says none of {words:?}"
            );
        }
    }
    let row = format!(
        "| What a form may hold before its file begins | {} KiB |",
        value("http/body.rs", "FORM_HEAD") / 1024
    );
    assert!(api.contains(&row), "API.md has no row `{row}`");
    let row = format!(
        "| More than {} connections |",
        value("http/connections.rs", "MAX_CONNECTIONS")
    );
    assert!(operating.contains(&row), "OPERATING.md has no row `{row}`");
}

#[test]
fn the_fuzz_targets_try_the_libraries_that_the_server_has() {
    let versions = |lock_file: &str| -> Vec<(String, String)> {
        let text = fs::read_to_string(root().join(lock_file)).expect("a lock file");
        let value = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines
            .windows(2)
            .filter(|pair| pair[0].starts_with("name = ") && pair[1].starts_with("version = "))
            .map(|pair| (value(pair[0]), value(pair[1])))
            .collect()
    };
    let (server, fuzz) = (versions("Cargo.lock"), versions("fuzz/Cargo.lock"));
    for library in [
        "gif",
        "image-webp",
        "jpeg-decoder",
        "moxcms",
        "multer",
        "png",
    ] {
        let of = |packages: &[(String, String)]| -> Vec<String> {
            let found = packages.iter().filter(|(name, _)| name == library);
            found.map(|(_, version)| version.clone()).collect()
        };
        let found = of(&fuzz);
        assert_eq!(found.len(), 1, "{library}");
        assert!(
            of(&server).contains(&found[0]),
            "{library} {} in fuzz/Cargo.lock is not the server's",
            found[0]
        );
    }
}
