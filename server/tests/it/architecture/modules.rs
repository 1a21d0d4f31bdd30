//! Every source file is a part of some crate.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{root, rust_files};

/// The folders of our crates that are compiled from a few files, which name all others.
const CRATES: [&str; 9] = [
    "app/src",
    "frontend/src",
    "glue/src",
    "imaging/src",
    "probe/src",
    "server/src",
    "server/tests",
    "tools/src",
    "trim/src",
];

/// True for a file at which a compiler begins, by Cargo's rules for what stands where.
fn is_root(path: &Path) -> bool {
    let parent = path.parent().and_then(Path::file_name).unwrap_or_default();
    let name = path.file_name().unwrap_or_default();
    name == "main.rs" || (name == "lib.rs" && parent == "src") || parent == "bin"
}

/// The names that the declarations `mod name;` of a file give, whoever may see the module.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (before, name) = line.trim().strip_suffix(';')?.rsplit_once("mod ")?;
        (before.is_empty() || before.starts_with("pub")).then_some(name)
    })
}

/// Adds the file, and every file that is a module below it.
fn reach(file: PathBuf, reached: &mut BTreeSet<PathBuf>) {
    let text = fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", file.display()));
    let within = if is_root(&file) {
        file.with_file_name("")
    } else {
        file.with_extension("")
    };
    for name in declared(&text) {
        reach(within.join(name).with_extension("rs"), reached);
    }
    reached.insert(file);
}

#[test]
fn every_source_file_is_a_module_of_its_crate() {
    for folder in CRATES {
        let files: BTreeSet<PathBuf> = rust_files(folder)
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        let mut reached = BTreeSet::new();
        for file in files.iter().filter(|file| is_root(file)) {
            reach(file.clone(), &mut reached);
        }
        for file in &files {
            let file = file.strip_prefix(root()).expect("a file of ours");
            assert!(
                reached.contains(&root().join(file)),
                "{} belongs to no crate: no `mod` names it",
                file.display()
            );
        }
    }
}
