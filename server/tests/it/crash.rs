//! Nothing accepted is lost, nothing is published twice, and nothing is left behind, although the
//! real program is killed again and again in the middle of its work.
//!
//! `CATTO_CRASH_KILLS` and `CATTO_CRASH_SEED` make a longer or a different run.

#![expect(
    clippy::print_stdout,
    reason = "figures for whoever runs the test by hand"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::fixture;
use crate::support::process::{Client, Launch, Server};

/// The longest life of a server between two kills.
const LONGEST_LIFE: Duration = Duration::from_millis(1500);
/// The number of uploading clients.
const CLIENTS: usize = 4;
/// How long the last queue may take to be worked off. A picture that was begun before each of many
/// kills rests, for five minutes at most.
const PATIENCE: Duration = Duration::from_secs(900);

/// An upload that the server answered for.
#[derive(Clone)]
struct Answered {
    id: String,
    token: String,
    is_cat: bool,
}

/// What the uploading clients share with the killer.
struct Load {
    /// A client of the living server; `None` between a kill and the next start.
    client: Mutex<Option<Client>>,
    answered: Mutex<Vec<Answered>>,
    over: AtomicBool,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn every_answered_upload_survives_kills_at_random_moments_and_nothing_else_does() {
    let kills = setting("CATTO_CRASH_KILLS", 50);
    let seed = setting("CATTO_CRASH_SEED", 20_261_122);
    let dir = tempfile::tempdir().expect("a folder");
    let launch = Launch::within(dir.path());
    let load = Arc::new(Load {
        client: Mutex::default(),
        answered: Mutex::default(),
        over: AtomicBool::new(false),
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let load = load.clone();
            std::thread::spawn(move || upload_until_over(&load, seed, number))
        })
        .collect();

    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..kills {
        let server = launch.serve();
        *load.client.lock().expect("unpoisoned") = Some(server.client());
        // The lifetime of the server is the random part here. Nothing is waited for.
        std::thread::park_timeout(random.random_range(Duration::ZERO..LONGEST_LIFE));
        server.kill();
        load.client.lock().expect("unpoisoned").take();
        assert_only_cats_have_files(&launch.data_dir, &load);
    }
    load.over.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("a client ends well");
    }

    let answered = load.answered.lock().expect("unpoisoned").clone();
    assert!(
        answered.len() as u64 > kills / 2,
        "only {} uploads were answered: no load",
        answered.len()
    );
    let server = launch.serve();
    wait_until_decided(&server, &answered);
    wait_until_none_waits(&launch.data_dir);
    let published = assert_decided_rightly(&server, &answered);
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");

    let swept = launch.run("expire");
    assert!(swept.status.success(), "{swept:?}");
    let files = assert_nothing_is_left_behind(&launch.data_dir);
    for id in &published {
        assert!(files.contains(id), "{id} lost its files");
    }
    assert_the_token_deletes(&launch, &answered);
    println!(
        "seed {seed}: {kills} kills, {} uploads answered for, {} of them published, {} pictures on disk",
        answered.len(),
        published.len(),
        files.len()
    );
}

/// Uploads cats and other things, each as a file of its own, to whichever server lives.
fn upload_until_over(load: &Load, seed: u64, number: usize) {
    let mut random = StdRng::seed_from_u64(seed + 1 + number as u64);
    let (cat, other) = (fixture("cat.webp"), fixture("coffee.png"));
    while !load.over.load(Ordering::SeqCst) {
        let Some(client) = load.client.lock().expect("unpoisoned").clone() else {
            std::thread::yield_now();
            continue;
        };
        let is_cat = random.random_bool(0.8);
        let mut bytes = if is_cat { cat.to_vec() } else { other.to_vec() };
        // Bytes behind the end of a picture change its hash and nothing else, so every upload is
        // screened.
        bytes.extend_from_slice(&random.random::<[u8; 16]>());
        let wait = random.random_range(0..3);
        let Ok(reply) = client.upload(&format!("?wait={wait}"), &bytes) else {
            continue;
        };
        match reply.status {
            201 | 202 => {
                let json = reply.json();
                let text = |field: &str| json[field].as_str().expect("is there").to_owned();
                assert!(
                    is_cat || reply.status == 202,
                    "no cat, yet published: {json}"
                );
                load.answered.lock().expect("unpoisoned").push(Answered {
                    id: text("id"),
                    token: text("delete_token"),
                    is_cat,
                });
            }
            422 => assert!(!is_cat && reply.code() == "not-a-cat", "{}", reply.code()),
            status => panic!("{status}: {}", String::from_utf8_lossy(&reply.body)),
        }
    }
}

/// Checks the frozen state after a kill: of an answered upload that is not a cat, no byte is
/// published.
fn assert_only_cats_have_files(data_dir: &Path, load: &Load) {
    let with_files = ids_with_images(data_dir);
    for answered in load.answered.lock().expect("unpoisoned").iter() {
        assert!(
            answered.is_cat || !with_files.contains(&answered.id),
            "{} has files without ever being approved",
            answered.id
        );
    }
}

fn wait_until_decided(server: &Server, answered: &[Answered]) {
    let client = server.client();
    let deadline = Instant::now() + PATIENCE;
    for Answered { id, .. } in answered {
        while client
            .get(&format!("/api/v1/pictures/{id}"))
            .is_ok_and(|reply| reply.status == 200 && reply.json()["state"] == "screening")
        {
            assert!(Instant::now() < deadline, "{id} is never decided");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// Waits until uploads whose answer was lost with a server are decided as well.
fn wait_until_none_waits(data_dir: &Path) {
    let deadline = Instant::now() + PATIENCE;
    let incoming = data_dir.join("incoming");
    while !names(&incoming).is_empty() {
        assert!(
            Instant::now() < deadline,
            "never decided: {:?}",
            names(&incoming)
        );
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Checks that cats are published once each, with every file readable, and that everything else is
/// refused. Returns the ids of the published.
fn assert_decided_rightly(server: &Server, answered: &[Answered]) -> Vec<String> {
    let client = server.client();
    let mut published = Vec::new();
    for Answered { id, is_cat, .. } in answered {
        let reply = client
            .get(&format!("/api/v1/pictures/{id}"))
            .expect("is answered");
        if !is_cat {
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (422, "not-a-cat"),
                "{id}"
            );
            continue;
        }
        assert_eq!(reply.status, 200, "{id}: {}", reply.code());
        let json = reply.json();
        for (name, url) in json["images"].as_object().expect("images") {
            let image = client
                .get(url.as_str().expect("a URL"))
                .expect("is answered");
            assert_eq!(image.status, 200, "{id} {name}");
        }
        published.push(id.clone());
    }
    let mut listed = BTreeMap::<String, u32>::new();
    let mut after = String::new();
    loop {
        let page = client
            .get(&format!("/api/v1/pictures{after}"))
            .expect("is answered")
            .json();
        for picture in page["pictures"].as_array().expect("a list") {
            let id = picture["id"].as_str().expect("an id").to_owned();
            *listed.entry(id).or_default() += 1;
        }
        match page["next"].as_str() {
            Some(next) => after = format!("?after={next}"),
            None => break,
        }
    }
    for id in &published {
        assert_eq!(listed.get(id), Some(&1), "{id} in the list");
    }
    published
}

/// Checks that every file belongs to a published picture, and that every published picture lies
/// under one instant only.
fn assert_nothing_is_left_behind(data_dir: &Path) -> BTreeSet<String> {
    assert_eq!(names(&data_dir.join("incoming")), Vec::<String>::new());
    assert_eq!(names(&data_dir.join("objects/tmp")), Vec::<String>::new());
    let manifests: BTreeSet<String> = names(&data_dir.join("objects/meta"))
        .into_iter()
        .filter(|name| name != "builds")
        .map(|name| name.trim_end_matches(".json").to_owned())
        .collect();
    let mut images = BTreeSet::new();
    for instant in names(&data_dir.join("objects/i")) {
        for id in names(&data_dir.join("objects/i").join(instant)) {
            assert!(images.insert(id.clone()), "{id} is published twice");
        }
    }
    assert_eq!(images, manifests, "files without manifest or the reverse");
    images
}

fn assert_the_token_deletes(launch: &Launch, answered: &[Answered]) {
    let Some(cat) = answered.iter().find(|answered| answered.is_cat) else {
        return;
    };
    let server = launch.serve();
    let path = format!("/api/v1/pictures/{}", cat.id);
    let reply = server
        .client()
        .delete(&path, &cat.token)
        .expect("is answered");
    assert_eq!(reply.status, 204, "{}", reply.code());
}

fn ids_with_images(data_dir: &Path) -> BTreeSet<String> {
    let images = data_dir.join("objects/i");
    names(&images)
        .into_iter()
        .flat_map(|instant| names(&images.join(instant)))
        .collect()
}

/// The names in a folder; none where it does not exist.
fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| {
            let name = entry.expect("can be read").file_name();
            name.into_string().expect("is text")
        })
        .collect()
}
