//! The command that judges folders of pictures: what would become of them as uploads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use anyhow::Context;
use cattocdn::config::Config;
use cattocdn::domain::labels::COMMON;
use cattocdn::domain::verdict::Verdict;
use cattocdn::pictures::try_out;
use cattocdn::screening::{LocalScreener, Screener};
use serde_json::json;

/// The two-sided 95 % quantile of the normal distribution.
const Z: f64 = 1.959_964;

/// One picture and what became of it.
struct Judged {
    folder: String,
    file: PathBuf,
    verdict: Verdict,
}

/// Judges every file in the folders of `root`, and says what came of it: a table, or with `as_json`
/// a line of JSON for each file. This blocks.
///
/// # Errors
/// When a folder or a file cannot be read, or the models cannot be used.
pub(crate) fn judge(config: &Config, root: &Path, as_json: bool) -> anyhow::Result<String> {
    let screener: Arc<dyn Screener> = Arc::new(LocalScreener::new(&config.files.models_dir));
    screener.check()?;
    let files = files(root)?;
    anyhow::ensure!(
        !files.is_empty(),
        "there are no files in {}",
        root.display()
    );
    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<Vec<(usize, Judged)>> {
        let mut judged = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((folder, file)) = files.get(index) else {
                return Ok(judged);
            };
            let limits = config.limits.of_one_picture();
            let verdict = try_out(file, screener.clone(), config.screening.policy, &limits)
                .inspect_err(|_| next.store(files.len(), Ordering::Relaxed))
                .with_context(|| format!("cannot judge {}", file.display()))?;
            judged.push((
                index,
                Judged {
                    folder: folder.clone(),
                    file: file.clone(),
                    verdict,
                },
            ));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut judged = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut judged = Vec::new();
        for worker in running {
            let done = worker
                .join()
                .map_err(|_| anyhow::anyhow!("a picture made the program panic"))?;
            judged.extend(done?);
        }
        anyhow::Ok(judged)
    })?;
    judged.sort_by_key(|(index, _)| *index);
    let judged: Vec<Judged> = judged.into_iter().map(|(_, judged)| judged).collect();
    Ok(if as_json {
        lines(&judged)
    } else {
        report(&judged)
    })
}

/// Every file below `root` with the name of the folder it is in, in the order of their names.
///
/// What is hidden is left out, and so is what is no file, such as a pipe, which might never end. A
/// link to a file is followed; one to a folder is not, because it may lead in circles.
fn files(root: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("cannot read the folder {}", folder.display()))?;
        for entry in entries {
            let path = entry.path();
            let kind = entry
                .file_type()
                .with_context(|| format!("cannot tell what {} is", path.display()))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                let name = folder.strip_prefix(root).unwrap_or(&folder);
                files.push((name.display().to_string(), path));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// One line of JSON for each picture.
fn lines(judged: &[Judged]) -> String {
    let mut text = String::new();
    for one in judged {
        // A path need not be UTF-8, but JSON must be.
        let file = one.file.display().to_string();
        let line = match &one.verdict {
            Verdict::Approved { tags, alt } => json!({
                "folder": one.folder,
                "file": file,
                "alt": alt,
                "tags": tags
                    .iter()
                    .map(|tag| json!({"name": tag.name, "confidence": tag.confidence}))
                    .collect::<Vec<_>>(),
            }),
            Verdict::Rejected(reason) => json!({
                "folder": one.folder,
                "file": file,
                "refused": reason.as_str(),
            }),
        };
        // Writing to a string cannot fail.
        _ = writeln!(text, "{line}");
    }
    text
}

/// The tables: verdicts by folder, names by folder, and the files that stand out.
fn report(judged: &[Judged]) -> String {
    let mut folders: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for one in judged {
        folders.entry(&one.folder).or_default().push(one);
    }
    let mut text = String::from("| Folder | Pictures | Accepted | Refused |\n|---|---|---|---|\n");
    for (folder, all) in &folders {
        let accepted = all.iter().filter(|one| is_accepted(one)).count();
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for one in all {
            if let Verdict::Rejected(reason) = one.verdict {
                *reasons.entry(reason.as_str()).or_default() += 1;
            }
        }
        let reasons: Vec<String> = reasons
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        let (share, count) = (share(accepted, all.len()), all.len());
        _ = writeln!(
            text,
            "| {folder} | {count} | {share} | {} |",
            reasons.join(", ")
        );
    }
    text.push_str("\n| Folder | Name | Of the accepted |\n|---|---|---|\n");
    for (folder, all) in &folders {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut accepted = 0;
        for one in all {
            let Verdict::Approved { tags, .. } = &one.verdict else {
                continue;
            };
            accepted += 1;
            let names_of_one = tags.iter().map(|tag| tag.name.as_str());
            for name in names_of_one.filter(|name| !COMMON.contains(name)) {
                *names.entry(name).or_default() += 1;
            }
        }
        let mut names: Vec<(&str, usize)> = names.into_iter().collect();
        names.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        for (name, count) in names {
            _ = writeln!(text, "| {folder} | {name} | {} |", share(count, accepted));
        }
    }
    for (folder, all) in &folders {
        // The rarer of the two verdicts is the one to look at.
        let accepted = all.iter().filter(|one| is_accepted(one)).count();
        let rare = accepted * 2 <= all.len();
        let title = if rare { "accepted" } else { "refused" };
        let files = all.iter().filter(|one| is_accepted(one) == rare);
        let files: Vec<String> = files
            .map(|one| {
                let path = one.file.display();
                match &one.verdict {
                    Verdict::Approved { alt, .. } if alt.is_empty() => format!("{path}"),
                    Verdict::Approved { alt, .. } => format!("{path} ({alt})"),
                    Verdict::Rejected(reason) => format!("{path} ({})", reason.as_str()),
                }
            })
            .collect();
        if !files.is_empty() {
            _ = writeln!(text, "\n{folder}, {title}:\n  {}", files.join("\n  "));
        }
    }
    text
}

const fn is_accepted(one: &Judged) -> bool {
    matches!(one.verdict, Verdict::Approved { .. })
}

/// A share in percent with its 95 % interval by Wilson: "95 of 100, 95.0 % (88.8 to 97.8)".
fn share(count: usize, all: usize) -> String {
    if all == 0 {
        return "0 of 0".to_owned();
    }
    let (k, n) = (count as f64, all as f64);
    let p = k / n;
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let (centre, scale) = (p + Z * Z / (2.0 * n), 1.0 + Z * Z / n);
    let percent = |share: f64| 100.0 * share;
    format!(
        "{count} of {all}, {:.1} % ({:.1} to {:.1})",
        percent(p),
        percent((centre - spread) / scale).max(0.0),
        percent((centre + spread) / scale).min(100.0)
    )
}

#[cfg(test)]
mod tests {
    use cattocdn::domain::tag::Tag;
    use cattocdn::domain::verdict::Reason;

    use super::*;

    fn judged(folder: &str, file: &str, verdict: Verdict) -> Judged {
        Judged {
            folder: folder.to_owned(),
            file: file.into(),
            verdict,
        }
    }

    fn cat(alt: &str) -> Verdict {
        let tag = |name: &str| Tag {
            name: name.to_owned(),
            confidence: 0.9,
        };
        Verdict::Approved {
            tags: vec![tag("cat"), tag(alt)],
            alt: alt.to_owned(),
        }
    }

    #[test]
    fn a_share_has_its_interval_by_wilson() {
        assert_eq!(share(95, 100), "95 of 100, 95.0 % (88.8 to 97.8)");
        assert_eq!(share(0, 100), "0 of 100, 0.0 % (0.0 to 3.7)");
        assert_eq!(share(30, 30), "30 of 30, 100.0 % (88.6 to 100.0)");
        assert_eq!(share(0, 0), "0 of 0");
    }

    #[test]
    fn the_report_counts_by_folder_and_names_the_files_that_stand_out() {
        let all = [
            judged("cats", "a.jpg", cat("black cat")),
            judged("cats", "b.jpg", cat("black cat")),
            judged("cats", "c.jpg", Verdict::Rejected(Reason::NotACat)),
            judged("dogs", "d.jpg", cat("tabby cat")),
            judged("dogs", "e.jpg", Verdict::Rejected(Reason::NotACat)),
            judged("dogs", "f.jpg", Verdict::Rejected(Reason::Indecent)),
        ];
        let text = report(&all);
        for expected in [
            "| cats | 3 | 2 of 3, 66.7 %",
            "| not-a-cat 1 |\n| dogs | 3 | 1 of 3",
            "| not-a-cat 1, unsafe 1 |",
            "| cats | black cat | 2 of 2,",
            "\ncats, refused:\n  c.jpg (not-a-cat)\n",
            "\ndogs, accepted:\n  d.jpg (tabby cat)\n",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        assert!(!text.contains("| cat |"), "{text}");
    }

    #[test]
    fn files_are_found_in_every_folder_but_hidden_ones() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("cats")).unwrap();
        fs::create_dir(root.path().join(".thumbnails")).unwrap();
        for file in [
            "cats/b.jpg",
            "cats/a.jpg",
            "cats/.hidden",
            "loose.jpg",
            ".thumbnails/a.jpg",
        ] {
            fs::write(root.path().join(file), "").unwrap();
        }
        let found = files(root.path()).unwrap();
        let names: Vec<(&str, &str)> = found
            .iter()
            .map(|(folder, path)| {
                let name = path.file_name().and_then(|name| name.to_str());
                (folder.as_str(), name.unwrap_or_default())
            })
            .collect();
        assert_eq!(
            names,
            [("", "loose.jpg"), ("cats", "a.jpg"), ("cats", "b.jpg")]
        );
        assert!(files(&root.path().join("none")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_in_circles_and_pipes_end_no_search_and_a_link_to_a_file_is_a_file() {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("cats")).unwrap();
        fs::write(at("cats/a.jpg"), "").unwrap();
        // Followed, two such links would be as many folders as there are ways to combine them.
        symlink(".", at("cats/once")).unwrap();
        symlink("..", at("cats/more")).unwrap();
        symlink("a.jpg", at("cats/b.jpg")).unwrap();
        symlink("nowhere", at("cats/c.jpg")).unwrap();
        let _socket = UnixListener::bind(at("cats/d.jpg")).unwrap();
        let found = files(root.path()).unwrap();
        let paths: Vec<_> = found.into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, [at("cats/a.jpg"), at("cats/b.jpg")]);
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf_8_is_a_line_of_json_too() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let mut refused = judged("cats", "", Verdict::Rejected(Reason::NotACat));
        refused.file = OsStr::from_bytes(b"a\xff.jpg").into();
        let mut accepted = judged("cats", "", cat("black cat"));
        accepted.file.clone_from(&refused.file);
        let text = lines(&[refused, accepted]);
        assert_eq!(text.matches("a\u{fffd}.jpg").count(), 2, "{text}");
    }
}
