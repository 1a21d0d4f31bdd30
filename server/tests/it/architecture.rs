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
        &["crate::cdn", "crate::db", "crate::storage", "axum"],
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
fn one_place_decides_each_thing() {
    let all = ["server/src", "app/src"];
    assert_absent(&all, &["CACHE_CONTROL"], &["http/cache.rs"]);
    assert_absent(&all, &["std::env::var"], &["env.rs", "telemetry.rs"]);
    assert_absent(&all, &["Timestamp::now"], &["clock.rs"]);
    assert_absent(&all, &["aws_sdk_cloudfront"], &["cdn/cloudfront.rs"]);
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
