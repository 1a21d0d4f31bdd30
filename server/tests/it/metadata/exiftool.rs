//! The independent reader: exiftool, which knows far more places to hide words in than this server
//! does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Map, Value};

/// What exiftool says about one file: the value of each `group:tag`.
pub(crate) type Tags = Map<String, Value>;

/// Everything that exiftool finds in these files, in their order, including unknown tags and those
/// in embedded files.
pub(crate) fn read(files: &[PathBuf]) -> Vec<Tags> {
    let mut command = exiftool();
    command.args(["-json", "-a", "-G1", "-u", "-U", "-ee"]);
    // It fails where one of the files is broken, but still reports the rest. A broken file has the
    // tag `ExifTool:Error`.
    let output = run(command.args(files));
    let found: Vec<Tags> = serde_json::from_slice(&output.stdout).expect("exiftool prints JSON");
    assert_eq!(found.len(), files.len());
    found
}

/// A copy of a file with these changes, given as exiftool's arguments.
pub(crate) fn write(file: &[u8], kind: &str, changes: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join(format!("picture.{kind}"));
    std::fs::write(&path, file).expect("a file");
    let output = run(exiftool()
        .args(["-quiet", "-overwrite_original"])
        .args(changes)
        .arg(&path));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read(&path).expect("the changed file")
}

/// The argument by which exiftool puts a file into a tag.
pub(crate) fn from_file(tag: &str, path: &Path) -> String {
    format!("-{tag}<={}", path.display())
}

/// Runs without the configuration of whoever runs the test.
fn exiftool() -> Command {
    let mut command = Command::new("exiftool");
    command.args(["-config", ""]);
    command
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("exiftool does not start ({error}): scripts/install_test_tools.sh installs it")
    })
}
