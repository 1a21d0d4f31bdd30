//! `docs/API.md` names all that a client can meet: every address, and every code of an error.

use std::collections::BTreeSet;
use std::fs;

use app::error::ErrorCode;

use super::{code, root, rust_files};

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the document's table under this heading has in its first column, each with its row.
fn rows<'a>(document: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
    let (_, chapter) = document
        .split_once(heading)
        .unwrap_or_else(|| panic!("API.md has no `{heading}`"));
    let table = chapter
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    table
        .filter_map(|row| Some((row.trim_matches('|').split(" | ").next()?.trim(), row)))
        .collect()
}

/// Every address that the server answers, as the document writes it: `/c/{id}`. Those below
/// `/api/ui/` belong to the pages alone.
fn served() -> BTreeSet<String> {
    let mut served = BTreeSet::new();
    let http = rust_files("server/src/http.rs").into_iter();
    for (_, text) in http.chain(rust_files("server/src/http")) {
        let code = code(&text);
        let routes = [
            ".route(",
            "Route::new(",
            "Route::page(",
            "Route::function(",
            "Route::health_check(",
            "Route::upload(",
        ]
        .into_iter()
        .flat_map(|opening| code.split(opening).skip(1));
        let paths =
            routes.filter_map(|route| route.trim_start().strip_prefix('"')?.split('"').next());
        served.extend(
            paths
                .filter(|path| !path.starts_with("/api/ui/"))
                .map(str::to_owned),
        );
    }
    assert!(served.len() > 10, "{served:?}");
    let pages = code(&read("app/src/app.rs"));
    for page in pages.split("path!(\"").skip(1) {
        let path = page.split('"').next().expect("a path");
        let parts = path.split('/').map(|part| match part.strip_prefix(':') {
            Some(name) => format!("{{{name}}}"),
            None => part.to_owned(),
        });
        served.insert(parts.collect::<Vec<_>>().join("/"));
    }
    served
}

#[test]
fn every_address_is_in_the_document_and_no_other() {
    let document = read("docs/API.md");
    let mut told = BTreeSet::new();
    for (addresses, _) in rows(&document, "| Address | Method | What |") {
        for address in addresses.split('`').skip(1).step_by(2) {
            let address = address.split('?').next().expect("a path");
            // The name of an upload, which is ignored, and an id stand in the same place.
            told.insert(address.replace("pictures/{name}", "pictures/{id}"));
        }
    }
    let served = served();
    let missing: Vec<&String> = served.difference(&told).collect();
    let surplus: Vec<&String> = told.difference(&served).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "docs/API.md: give {missing:?} rows in the table of addresses, and take out {surplus:?}"
    );
}

#[test]
fn every_code_of_an_error_is_in_the_document_with_its_status() {
    let document = read("docs/API.md");
    let source = read("app/src/error.rs");
    let (_, variants) = source
        .split_once("pub enum ErrorCode {")
        .expect("the list of codes");
    let (variants, _) = variants.split_once("\n}").expect("its end");
    let variants: Vec<&str> = variants
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .collect();
    let rows = rows(&document, "| Code | Status | When |");
    assert_eq!(
        rows.len(),
        variants.len(),
        "docs/API.md: its table of codes must have a row for each of {variants:?}"
    );
    for (quoted, row) in rows {
        let name = quoted.trim_matches('`');
        let code: ErrorCode = serde_json::from_value(name.into())
            .unwrap_or_else(|error| panic!("API.md has a code of its own: {error}"));
        let begin = format!("| {quoted} | {} | ", code.status());
        assert!(row.starts_with(&begin), "`{row}` is not `{begin}…`");
    }
}
