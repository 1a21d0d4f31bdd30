//! The rules of the house that no compiler checks.

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

/// The code above a file's tests, without comments.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
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
    assert_absent(&["server/src/domain.rs", "server/src/domain"], &words, &[]);
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
        &["server/src/bill.rs"],
        &["crate::", "axum", "tokio", "async ", "std::fs"],
        &[],
    );
}

#[test]
fn adapters_do_not_know_each_other() {
    assert_absent(
        &["server/src/cdn.rs", "server/src/cdn"],
        &[
            "crate::budget",
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
            "crate::budget",
            "crate::cdn",
            "crate::db",
            "crate::pictures",
            "crate::storage",
            "axum",
        ],
        &[],
    );
    assert_absent(
        &["server/src/imaging.rs", "server/src/imaging"],
        &["crate::", "tokio", "async "],
        &[],
    );
}

#[test]
fn the_probe_looks_from_outside_and_knows_no_secret() {
    assert_absent(
        &["server/src/probe.rs", "server/src/probe"],
        &[
            "crate::budget",
            "crate::cdn",
            "crate::config",
            "crate::db",
            "crate::domain",
            "crate::env",
            "crate::http",
            "crate::state",
            "crate::storage",
        ],
        &[],
    );
}

#[test]
fn the_doctor_looks_at_what_is_configured_and_at_no_picture() {
    let doctor = ["server/src/doctor.rs", "server/src/doctor"];
    assert_absent(
        &doctor,
        &["crate::db", "crate::http", "crate::pictures", "std::env"],
        &[],
    );
    // Paid calls are counted where those of the site are.
    assert_absent(&doctor, &["crate::state"], &["doctor/rekognition.rs"]);
}

#[test]
fn one_place_decides_each_thing() {
    let all = ["server/src", "app/src"];
    assert_absent(&all, &["CACHE_CONTROL"], &["http/cache.rs"]);
    assert_absent(&all, &["std::env::var"], &["env.rs", "telemetry.rs"]);
    assert_absent(&all, &["Timestamp::now"], &["clock.rs"]);
    assert_absent(
        &all,
        &["aws_sdk_cloudfront"],
        // The doctor reads what the distribution says of itself.
        &[
            "cdn/cloudfront.rs",
            "cdn/cloudfront/distribution.rs",
            "doctor/cdn.rs",
        ],
    );
    assert_absent(&all, &["api.cloudflare"], &["config/cdn.rs"]);
}

#[test]
fn every_file_says_what_lives_in_it() {
    for folder in ["server/src", "server/tests", "app/src", "frontend/src"] {
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
    for (_, text) in rust_files("server/src/config") {
        config.push_str(&code(&text));
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

/// The number after `const NAME: …` in a file of the server, without what it is wrapped in.
#[track_caller]
fn constant(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(root().join("server/src").join(file)).expect("a source file");
    let (_, value) = text
        .split_once(&format!("const {name}: "))
        .unwrap_or_else(|| panic!("{file} has no {name}"));
    let (_, value) = value.split_once('=').expect("a value");
    let (value, _) = value.split_once(';').expect("an end");
    let value = value.trim().trim_start_matches("Duration::from_secs(");
    value
        .trim_end_matches(')')
        .split('*')
        .map(|factor| factor.trim().parse::<u64>().expect("a number"))
        .product()
}

#[test]
fn the_bounds_that_operators_read_are_those_of_the_code() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("a document");
    let (operating, api) = (read("docs/OPERATING.md"), read("docs/API.md"));
    let connections = constant("http/connections.rs", "MAX_CONNECTIONS");
    let kib = |file: &str, name: &str| constant(file, name) / 1024;
    for row in [
        format!("| More than {connections} connections |"),
        format!("| Connections | {connections} |"),
        format!(
            "| A request's header, or silence between two requests | {} s, {} KiB |",
            constant("http/connections.rs", "HEADER_TIMEOUT"),
            kib("http/connections.rs", "READ_AHEAD"),
        ),
        format!(
            "| A reader that takes no byte | {} s |",
            constant("http/connections/paced.rs", "WRITE_TIMEOUT")
        ),
        format!(
            "| Uploads being received | 32, 8 of one client, held in pieces of {} KiB |",
            kib("http/body.rs", "PIECE")
        ),
        format!(
            "| Uploads without a verdict | {} |",
            constant("pictures/incoming.rs", "MAX_WAITING")
        ),
        format!(
            "| A worker's lease | {} minutes |",
            constant("pictures/work.rs", "LEASE") / 60
        ),
        format!(
            "| An image being read | {} KiB for each reader |",
            kib("http/images.rs", "PIECE")
        ),
    ] {
        assert!(operating.contains(&row), "OPERATING.md has no row `{row}`");
    }
    let row = format!(
        "| What a form may hold before its file begins | {} KiB |",
        kib("http/body.rs", "FORM_HEAD")
    );
    assert!(api.contains(&row), "API.md has no row `{row}`");
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
