//! What a power cut may not undo: the system calls show that each step has reached the disk before
//! the next begins. And a polite end finishes what is under way.

use std::path::Path;

use serde_json::Value;

use crate::support::fixture;
use crate::support::process::Launch;

/// The system calls of a trace, one per line, with the paths of their file descriptors.
struct Calls(Vec<String>);

impl Calls {
    /// Reads what the tracer wrote. Calls that it saw in two halves are joined where they ended.
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the trace");
        let mut begun = std::collections::HashMap::<String, String>::new();
        let mut calls = Vec::new();
        for line in text.lines() {
            let (thread, call) = line.trim().split_once(' ').expect("a thread and its call");
            let call = call.trim();
            if let Some(start) = call.strip_suffix(" <unfinished ...>") {
                begun.insert(thread.to_owned(), start.to_owned());
            } else if let Some((_, end)) = call.split_once(" resumed>") {
                let start = begun.remove(thread).unwrap_or_default();
                calls.push(format!("{start}{end}"));
            } else {
                calls.push(call.to_owned());
            }
        }
        Self(calls)
    }

    /// The index of the first such call from `from` on.
    #[track_caller]
    fn find(&self, from: usize, what: &str, matches: impl Fn(&str) -> bool) -> usize {
        let found = self.0[from..].iter().position(|call| matches(call));
        match found {
            Some(offset) => from + offset,
            None => panic!(
                "no {what} after call {from}:\n{}",
                self.0[from..].join("\n")
            ),
        }
    }
}

fn is_sync(call: &str, path: &str) -> bool {
    (call.starts_with("fsync(") || call.starts_with("fdatasync("))
        && call.contains(&format!("{path}>"))
        && call.ends_with("= 0")
}

fn is_rename(call: &str, from: &str, to: &str) -> bool {
    call.starts_with("rename") && call.contains(from) && call.contains(to) && call.ends_with("= 0")
}

#[test]
fn an_upload_is_on_disk_in_the_right_order_before_it_is_answered() {
    let dir = tempfile::tempdir().expect("a folder");
    let trace = dir.path().join("trace");
    let launch = Launch::within(dir.path()).wrapped_in(&[
        "strace",
        "--follow-forks",
        "--decode-fds=path",
        "--string-limit=64",
        "--trace=fsync,fdatasync,rename,renameat,renameat2,write,writev,sendto,sendmsg,unlink,unlinkat",
        "--output",
        trace.to_str().expect("is text"),
    ]);
    let server = launch.serve();
    let answer = server
        .client()
        .upload("", &fixture("chelsea.png"))
        .expect("is answered");
    assert_eq!(answer.status, 201);
    let picture: Value = answer.json();
    let id = picture["id"].as_str().expect("an id").to_owned();
    // The tracer writes its last lines when its child ends.
    server.terminate_children();
    assert!(server.wait().0.success());

    let calls = Calls::read(&trace);
    let part = format!("incoming/{id}.part");
    let incoming = format!("incoming/{id}");
    let wal = "index.sqlite-wal";
    let image = format!("/{id}/512.webp");
    let manifest = format!("meta/{id}.json");

    let mut at = calls.find(0, "sync of the upload", |call| is_sync(call, &part));
    at = calls.find(at, "rename of the upload", |call| {
        is_rename(call, &part, &format!("{incoming}\""))
    });
    at = calls.find(at, "sync of its folder", |call| is_sync(call, "/incoming"));
    at = calls.find(at, "commit of its row", |call| is_sync(call, wal));
    let received = at;

    at = calls.find(received, "rename of an image", |call| {
        is_rename(call, "objects/tmp/", &image)
    });
    let synced = calls.0[received..at]
        .iter()
        .filter(|call| is_sync_below(call, "/objects/tmp/"))
        .count();
    assert!(
        synced >= 5,
        "only {synced} files were synced before they got their names"
    );
    let named = at;
    at = calls.find(at, "sync of the manifest", |call| {
        is_sync_below(call, "/objects/tmp/")
    });
    // The picture's folder is new, and so are those above it. Each is an entry of the one above.
    let instant = picture["images"]["512.webp"].as_str().expect("a URL");
    let instant = instant.split('/').nth(4).expect("the instant");
    for folder in [
        format!("/{id}"),
        format!("/i/{instant}"),
        "/objects/i".into(),
        "/objects".into(),
    ] {
        assert!(
            calls.0[named..at].iter().any(|call| is_sync(call, &folder)),
            "{folder} was not synced before the manifest:\n{}",
            calls.0[named..at].join("\n")
        );
    }
    at = calls.find(at, "rename of the manifest", |call| {
        is_rename(call, "objects/tmp/", &manifest)
    });
    at = calls.find(at, "sync of the manifests' folder", |call| {
        is_sync(call, "/objects/meta")
    });
    at = calls.find(at, "commit of the publication", |call| is_sync(call, wal));
    let answered = calls.find(0, "201", |call| call.contains("HTTP/1.1 201"));
    assert!(at < answered, "answered at {answered}, on disk at {at}");
}

fn is_sync_below(call: &str, folder: &str) -> bool {
    (call.starts_with("fsync(") || call.starts_with("fdatasync(")) && call.contains(folder)
}

#[test]
fn a_polite_end_answers_who_waits_finishes_what_is_begun_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let launch = Launch::within(dir.path());
    let server = launch.serve();
    let clients: Vec<_> = (0..6_u8)
        .map(|number| {
            let client = server.client();
            std::thread::spawn(move || {
                let mut bytes = fixture("chelsea.png").to_vec();
                bytes.push(number);
                client.upload("?wait=25", &bytes)
            })
        })
        .collect();
    // Once all are received, most are still waiting.
    let index = server.client();
    while std::fs::read_dir(launch.data_dir.join("incoming"))
        .expect("can be read")
        .count()
        < 2
    {
        assert_eq!(index.get("/healthz").expect("is answered").status, 200);
    }
    server.terminate();
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    assert!(log.contains("stopped"), "{log}");
    let answered: Vec<Value> = clients
        .into_iter()
        .filter_map(|client| client.join().expect("ends").ok())
        .map(|reply| {
            assert!(matches!(reply.status, 201 | 202), "{}", reply.status);
            reply.json()
        })
        .collect();
    assert!(answered.len() >= 2, "{} were answered", answered.len());

    let server = launch.serve();
    let client = server.client();
    for upload in answered {
        let path = format!("/api/v1/pictures/{}", upload["id"].as_str().expect("an id"));
        loop {
            let reply = client.get(&path).expect("is answered");
            assert_eq!(reply.status, 200, "{}", reply.code());
            if reply.json()["state"] == "published" {
                break;
            }
        }
    }
}
