//! Two real caches in a row in front of the real server: what they keep, and that nothing in them
//! outlives its second.
//!
//! These tests keep appointments with the clock, because the caches do. They go by the time of day
//! and not by how long something took. Where the machine was too slow for an appointment, the round
//! proves nothing and another one is made.

#![expect(
    clippy::print_stdout,
    reason = "figures for whoever runs the test by hand"
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::caches::{self, Chain};
use crate::support::cdn_server::CdnServer;
use crate::support::fixture;
use crate::support::process::{Client, Launch, Received, Server};
use tools::caches::{self as model, Answer, Trip};

/// A server behind two caches. All of them end with it.
struct World {
    server: Server,
    caches: Chain,
    launch: Launch,
    _dir: TempDir,
}

impl World {
    fn start(retention: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let launch = Launch::within(dir.path()).with_variable("CATTO_RETENTION", retention);
        Self::launched(launch, dir)
    }

    fn launched(launch: Launch, dir: TempDir) -> Self {
        let server = launch.serve();
        Self {
            caches: Chain::before(&server.address, dir.path()),
            server,
            launch,
            _dir: dir,
        }
    }

    fn publish(&self) -> Value {
        let answer = self.server.client().upload("", &fixture("chelsea.png"));
        let answer = answer.expect("is answered");
        assert_eq!(answer.status, 201, "{}", answer.code());
        answer.json()
    }

    /// How often the server was asked for this path.
    fn origin_requests(&self, path: &str) -> usize {
        let wanted = format!("GET {path}");
        let seen = self.caches.origin_requests();
        seen.iter().filter(|request| **request == wanted).count()
    }
}

fn get(client: &Client, path: &str) -> Received {
    client.get(path).expect("is answered")
}

/// The path of one of a picture's URLs.
fn path(url: &Value) -> String {
    let url: url::Url = url.as_str().expect("a URL").parse().expect("a URL");
    url.path().to_owned()
}

/// The time in milliseconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("is later").as_millis()).expect("fits")
}

/// Waits until this millisecond, and says whether less than `patience` milliseconds have passed
/// since then.
fn keep_appointment(millisecond: i64, patience: i64) -> bool {
    // Caches go by the clock, and so does this wait. What is asserted depends on the clock alone.
    let ahead = u64::try_from(millisecond - now()).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(ahead));
    now() < millisecond + patience
}

/// The end of a picture, in milliseconds since 1970.
fn end_of(picture: &Value) -> i64 {
    let end = picture["expires_at"].as_str().expect("an instant");
    end.parse::<jiff::Timestamp>()
        .expect("is one")
        .as_millisecond()
}

#[test]
fn a_repeat_is_a_hit_at_the_outer_cache_and_asks_the_server_for_nothing() {
    let world = World::start("7d");
    let picture = world.publish();
    let mut log = String::new();
    for target in [
        path(&picture["images"]["512.webp"]),
        path(&picture["url"]),
        format!("/api/v1/pictures/{}", picture["id"].as_str().expect("id")),
        "/".into(),
        "/search?q=cat".into(),
        "/api/v1/pictures".into(),
        "/api/v1/tags".into(),
        "/about".into(),
        "/robots.txt".into(),
        "/favicon.svg".into(),
        "/pkg/cattocdn.0123.css".into(),
    ] {
        let first = get(&world.caches.outer(), &target);
        assert_eq!(first.status, 200, "{target}");
        for _ in 0..3 {
            let again = get(&world.caches.outer(), &target);
            assert_eq!(again.body, first.body, "{target}");
            assert_eq!(again.header("x-outer"), "HIT", "{target}");
            let _ = writeln!(
                log,
                "{target}: {}, then {}; origin requests: {}",
                first.header("x-outer"),
                again.header("x-outer"),
                world.origin_requests(&target)
            );
        }
        // Another outer cache would be served by the inner one.
        let elsewhere = get(&world.caches.inner(), &target);
        assert_eq!(elsewhere.body, first.body, "{target}");
        assert_eq!(world.origin_requests(&target), 1, "{target}");
    }
    println!("{log}");
}

#[test]
fn through_two_caches_nothing_is_shown_from_its_second_on() {
    while !dies_on_time(false) {}
}

#[test]
fn through_two_caches_nothing_is_shown_from_its_second_on_though_the_server_is_down() {
    while !dies_on_time(true) {}
}

/// Follows a picture of 12 seconds past its end. False where the machine was too slow for it to
/// prove anything.
fn dies_on_time(server_dies: bool) -> bool {
    let world = World::start("12s");
    let picture = world.publish();
    let id = picture["id"].as_str().expect("an id");
    let end = end_of(&picture);
    let image = path(&picture["images"]["512.webp"]);
    let page = path(&picture["url"]);
    let single = format!("/api/v1/pictures/{id}");
    let targets = [&image, &page, &single, "/api/v1/pictures", "/"].map(str::to_owned);
    let shows = |target: &str, answer: &Received| match target {
        "/" | "/api/v1/pictures" => String::from_utf8_lossy(&answer.body).contains(id),
        _ => answer.status == 200,
    };
    let inner = world.caches.inner();
    let outer = world.caches.outer();

    // The inner cache is filled in the second second of the picture's life.
    let mut on_time = keep_appointment(end - 11_000, 1500);
    for target in &targets {
        on_time &= shows(target, &get(&inner, target)) || now() > end - 9000;
    }
    // What has a shorter life goes into the outer cache while the inner one still has it.
    on_time &= keep_appointment(end - 8500, 300);
    for target in &targets[1..] {
        get(&outer, target);
    }
    on_time &= keep_appointment(end - 3000, 1000);
    let filled = get(&outer, &image);
    let asked_once = world.origin_requests(&image) == 1;
    on_time &= now() < end - 1500;
    if on_time {
        assert_eq!((filled.status, filled.header("x-outer")), (200, "MISS"));
        assert!(asked_once, "the inner cache had the image");
    }
    let World {
        server,
        caches,
        launch: _launch,
        _dir,
    } = world;
    let server = if server_dies {
        server.kill();
        None
    } else {
        Some(server)
    };

    let mut log: Vec<Vec<String>> = vec![Vec::new(); targets.len()];
    let mut late = Vec::new();
    let mut image_hits = 0;
    for tick in 0..60 {
        keep_appointment(end - 2900 + tick * 100, i64::MAX / 2);
        for (target, log) in targets.iter().zip(&mut log) {
            let asked = now();
            let answer = get(&outer, target);
            let (status, outcome) = (answer.status, answer.header("x-outer"));
            let shown = shows(target, &answer);
            image_hits += usize::from(*target == image && shown && outcome == "HIT");
            let words = if shown { "shown" } else { "not shown" };
            let what = format!("{status} {outcome} {words}");
            if log.last().is_none_or(|last| !last.ends_with(&what)) {
                log.push(format!("T{:+.1} s: {what}", seconds(asked - end)));
            }
            if shown && asked >= end {
                late.push(format!(
                    "{target}: {what} at T{:+.1} s",
                    seconds(asked - end)
                ));
            }
        }
    }
    println!("server {}:", if server_dies { "killed" } else { "alive" });
    for (target, log) in targets.iter().zip(&log) {
        println!("  {target}: {}", log.join(", "));
    }
    assert!(late.is_empty(), "shown too late:\n{}", late.join("\n"));
    on_time &= image_hits > 0;
    drop((server, caches));
    on_time
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

#[test]
fn pending_and_refused_pictures_are_kept_by_no_cache() {
    let world = World::start("7d");
    // While nothing can be stored, nothing is published.
    let folder = world.launch.data_dir.join("objects/tmp");
    let aside = folder.with_extension("aside");
    std::fs::rename(&folder, &aside).expect("is put aside");
    std::fs::write(&folder, "no folder").expect("is written");
    let pending = upload_unseen(&world, "chelsea.png");
    assert_not_kept(&world, &pending, 200);
    std::fs::remove_file(&folder).expect("is deleted");
    std::fs::rename(&aside, &folder).expect("comes back");

    let refused = upload_unseen(&world, "rocket.jpg");
    wait_while_screening(&world, &refused);
    assert_not_kept(&world, &refused, 422);

    wait_while_screening(&world, &pending);
    let shown = get(
        &world.caches.outer(),
        &format!("/api/v1/pictures/{pending}"),
    );
    assert_eq!(shown.json()["state"], "published");
    let page = get(&world.caches.outer(), &format!("/c/{pending}"));
    assert!(String::from_utf8_lossy(&page.body).contains("1280.jpg"));
}

/// Uploads without waiting for the verdict, and returns the id.
fn upload_unseen(world: &World, name: &str) -> String {
    let answer = world.server.client().upload("?wait=0", &fixture(name));
    let answer = answer.expect("is answered");
    assert_eq!(answer.status, 202, "{}", answer.code());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn wait_while_screening(world: &World, id: &str) {
    let client = world.server.client();
    let path = format!("/api/v1/pictures/{id}");
    loop {
        let answer = get(&client, &path);
        if answer.status != 200 || answer.json()["state"] != "screening" {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[track_caller]
fn assert_not_kept(world: &World, id: &str, status: u16) {
    for target in [format!("/c/{id}"), format!("/api/v1/pictures/{id}")] {
        for asked in 0..3 {
            assert_eq!(world.origin_requests(&target), asked, "{target}");
            let client = if asked < 2 {
                world.caches.outer()
            } else {
                world.caches.inner()
            };
            let answer = get(&client, &target);
            assert_eq!(answer.status, status, "{target}");
            assert_eq!(answer.header("cache-control"), "no-store", "{target}");
        }
        assert_eq!(world.origin_requests(&target), 3, "{target}");
    }
}

#[test]
fn the_random_picture_costs_one_request_to_the_server_in_a_slot() {
    let world = World::start("7d");
    world.publish();
    let slot = 60_000;
    // The test must not begin near the end of a slot.
    if now() % slot > slot - 15_000 {
        keep_appointment((now() / slot + 1) * slot, 0);
    }
    let ask = |log: &mut String| {
        let begun = now() / slot;
        for _ in 0..50 {
            let answer = get(&world.caches.outer(), "/random");
            assert_eq!(answer.status, 302);
        }
        // In the last second nobody keeps the answer any more.
        let within = now() < (begun + 1) * slot - 1000;
        let _ = writeln!(
            log,
            "slot {begun}: 50 asked, {} origin requests in all",
            world.origin_requests("/random")
        );
        within
    };
    let mut log = String::new();
    if ask(&mut log) {
        assert_eq!(world.origin_requests("/random"), 1);
        // Caches count whole seconds.
        keep_appointment((now() / slot + 1) * slot + 1500, 0);
        if ask(&mut log) {
            assert_eq!(world.origin_requests("/random"), 2);
        }
    }
    println!("{log}");
}

#[test]
fn a_takedown_with_purge_is_gone_from_both_caches() {
    let dir = tempfile::tempdir().expect("a folder");
    let cdns = CdnServer::start();
    cdns.done_after_polls(1);
    let public_url = format!("http://{}", caches::front_door(dir.path()));
    let launch = cdns.before(Launch::within(dir.path()), &public_url);
    let world = World::launched(launch, dir);
    cdns.on_purge(world.caches.purger());
    let (picture, other) = (world.publish(), world.publish());
    let [id, other_id] = [&picture, &other].map(|one| one["id"].as_str().expect("an id"));
    let targets_of = |picture: &Value, id: &str| -> Vec<String> {
        let images = picture["images"].as_object().expect("images");
        let mut targets: Vec<String> = images.values().map(path).collect();
        targets.extend([path(&picture["url"]), format!("/api/v1/pictures/{id}")]);
        targets
    };
    let lists = ["/", "/search?q=cat", "/api/v1/pictures"].map(str::to_owned);
    let (targets, others) = (targets_of(&picture, id), targets_of(&other, other_id));
    for target in targets.iter().chain(&others).chain(&lists) {
        for _ in 0..2 {
            assert_eq!(get(&world.caches.outer(), target).status, 200, "{target}");
        }
        let kept = get(&world.caches.outer(), target);
        assert_eq!(kept.header("x-outer"), "HIT", "{target}");
        assert_eq!(get(&world.caches.inner(), target).status, 200, "{target}");
        assert_eq!(world.origin_requests(target), 1, "{target}");
    }

    let told = world.launch.run_on("takedown", id);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(text.contains("was gone (status 410)"), "{told:?}");
    for client in [world.caches.inner(), world.caches.outer()] {
        for target in &targets {
            assert_eq!(get(&client, target).status, 410, "{target}");
        }
        for target in &lists {
            let list = String::from_utf8_lossy(&get(&client, target).body).into_owned();
            assert!(!list.contains(id) && list.contains(other_id), "{target}");
        }
        // What was not to be purged is still there.
        for target in &others {
            assert_eq!(get(&client, target).status, 200, "{target}");
            assert_eq!(world.origin_requests(target), 1, "{target}");
        }
    }
    println!("{text}{}", cdns.log().join("\n"));
}

/// Compares the simulation's caches with the real ones: the same requests at the same seconds.
///
/// `CATTO_TRACE_SECONDS`, such as 600, makes random requests for that many seconds instead, to a
/// picture that lives for half of them. `CATTO_TRACE_SEED` chooses other random requests.
#[test]
fn the_simulated_caches_hit_and_miss_as_the_real_ones_do() {
    let trace = Trace::wanted();
    while !model_agrees(&trace) {}
}

/// When which cache is asked.
struct Trace {
    /// How long the picture lives, in seconds.
    life: i64,
    /// The rounds. Each is halfway between two seconds, this many seconds after the third second of
    /// the picture's life.
    rounds: Vec<(i64, Entry)>,
    /// True where a round may fall on the end of a lifetime in a cache. What is kept there is then
    /// not asked for.
    random: bool,
}

impl Trace {
    fn wanted() -> Self {
        let setting = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse::<i64>().expect("a whole number"))
        };
        let Some(seconds) = setting("CATTO_TRACE_SECONDS") else {
            return Self {
                life: 30,
                rounds: ROUNDS.to_vec(),
                random: false,
            };
        };
        let seed = setting("CATTO_TRACE_SEED").unwrap_or(1).cast_unsigned();
        let mut random = StdRng::seed_from_u64(seed);
        let rounds = (0..seconds)
            .filter_map(|second| {
                let entry = if random.random_bool(0.7) {
                    Entry::Outer
                } else {
                    Entry::Inner
                };
                // Requests come in waves, so that lifetimes of a minute can end unasked.
                let often = if (second / 40) % 3 == 2 { 0.02 } else { 0.4 };
                random.random_bool(often).then_some((second, entry))
            })
            .collect();
        Self {
            life: seconds / 2,
            rounds,
            random: true,
        }
    }
}

/// The rounds. Each is halfway between two seconds, this many seconds into the picture's 30, so
/// that both caches agree with the clock on which second it is. None falls on the end of a
/// lifetime, where a cache that counts whole seconds may differ.
const ROUNDS: [(i64, Entry); 16] = [
    (0, Entry::Outer),
    (2, Entry::Outer),
    (5, Entry::Inner),
    (7, Entry::Outer),
    (11, Entry::Outer),
    (13, Entry::Inner),
    (15, Entry::Outer),
    (17, Entry::Outer),
    (18, Entry::Inner),
    (23, Entry::Outer),
    (25, Entry::Outer),
    (28, Entry::Outer),
    (30, Entry::Outer),
    (32, Entry::Inner),
    (65, Entry::Outer),
    (68, Entry::Outer),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Outer,
    Inner,
}

fn model_agrees(trace: &Trace) -> bool {
    let world = World::start(&format!("{}s", trace.life));
    let picture = world.publish();
    let id = picture["id"].as_str().expect("an id");
    let begins = end_of(&picture) - trace.life * 1000 + 2500;
    let single = format!("/api/v1/pictures/{id}");
    let targets = [
        &path(&picture["images"]["512.webp"]),
        &path(&picture["url"]),
        &single,
        "/api/v1/pictures",
        "/",
        "/api/v1/tags",
        // This shows nothing, so it lives for a minute, and for five more while it is fetched.
        "/api/v1/pictures?q=nothing",
        "/about",
        "/pkg/cattocdn.0123.css",
        "/nothing-here",
        "/?fbclid=1",
        "/delete/x/y",
    ]
    .map(str::to_owned);
    let mut model = model::Chain::new(1);
    let direct = world.server.client();
    let mut predicted = vec![0; targets.len()];
    let mut table = String::new();
    let mut asked = 0;
    for &(second, entry) in &trace.rounds {
        let appointment = begins + second * 1000;
        if !keep_appointment(appointment, 200) {
            return false;
        }
        let mut outcomes = Vec::new();
        for (target, predicted) in targets.iter().zip(&mut predicted) {
            // What is fetched behind a stale answer has long arrived by the next round.
            assert_eq!(
                world.origin_requests(target),
                *predicted,
                "{target} before {second} s"
            );
            // The outer cache gets this one late, from an inner one that has had it for a while.
            if !trace.random && *target == single && entry == Entry::Outer && second < 7 {
                outcomes.push("-");
                continue;
            }
            if trace.random && model.ends_near(target, appointment, 1000) {
                outcomes.push("-");
                continue;
            }
            asked += 1;
            let client = match entry {
                Entry::Outer => world.caches.outer(),
                Entry::Inner => world.caches.inner(),
            };
            let real = get(&client, target);
            let origin = || direct.get(target).map(|answer| as_seen(&answer));
            let trip = match entry {
                Entry::Outer => model.ask(0, (target, target), appointment, origin),
                Entry::Inner => model.ask_inner(target, appointment, origin),
            };
            let trip = trip.expect("is answered");
            if now() > appointment + 450 {
                return false;
            }
            *predicted += usize::from(trip.from_origin.is_some());
            let simulated = outcome(&trip);
            outcomes.push(simulated);
            assert_eq!(
                real.status,
                trip.shown.status.as_u16(),
                "{target} at {second} s"
            );
            assert_eq!(
                real.body.len() as u64,
                trip.shown.body_bytes,
                "{target} at {second} s"
            );
            if entry == Entry::Outer {
                let real_hit = matches!(real.header("x-outer"), "HIT" | "STALE" | "UPDATING");
                assert_eq!(
                    real_hit,
                    trip.outer_hit,
                    "{target} at {second} s: {}, simulated {simulated}",
                    real.header("x-outer")
                );
            }
        }
        let _ = writeln!(table, "{second:>3} s {entry:?}: {}", outcomes.join(" "));
    }
    println!(
        "{}\n{table}{asked} requests, {} of them to the server",
        targets.join(" "),
        predicted.iter().sum::<usize>()
    );
    true
}

/// Where the answer came from.
fn outcome(trip: &Trip) -> &'static str {
    match (trip.outer_hit, &trip.from_inner, &trip.from_origin) {
        (true, None, _) => "outer",
        (true, Some(_), _) => "stale",
        (false, _, None) => "inner",
        (false, _, Some(_)) => "origin",
    }
}

fn as_seen(answer: &Received) -> Arc<Answer> {
    let headers: HeaderMap = answer.headers.clone();
    Arc::new(Answer {
        status: StatusCode::from_u16(answer.status).expect("a status"),
        headers,
        body_bytes: answer.body.len() as u64,
    })
}
