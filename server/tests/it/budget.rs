//! The month's money is counted durably, never past its limit, and never forgotten.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cattocdn::costs::budget::{Budget, BudgetError, Paid, Reserved};
use cattocdn::db::Db;
use cattocdn::domain::ban::Ban;
use cattocdn::domain::month::Month;
use cattocdn::domain::purge::CLOUDFRONT_PATHS;
use cattocdn::runtime::clock::Clock;
use cattocdn::screening::rekognition;
use cattocdn::storage::{DiskStorage, Folder, ObjectStorage, StorageError, StorageKey};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;

use crate::support::process::Launch;
use crate::support::{Setup, fixture};

/// Everything that costs money.
const KINDS: [Paid; 2] = [rekognition::VENDOR.call, CLOUDFRONT_PATHS];
/// By how much the count may be too high after the index was lost, at limits as small as these.
const BLOCK: u32 = 20;

/// Index and objects in a folder, and a clock that stands until it is moved.
struct Books {
    dir: PathBuf,
    clock: Clock,
    limits: Vec<(Paid, u32)>,
    db: Db,
    storage: Arc<dyn ObjectStorage>,
    budget: Arc<Budget>,
}

impl Books {
    async fn open(dir: &Path, now: &str, calls: u32, paths: u32) -> Self {
        let limits = vec![(rekognition::VENDOR.call, calls), (CLOUDFRONT_PATHS, paths)];
        let clock = Clock::default();
        let storage = DiskStorage::open(&dir.join("objects")).expect("opens");
        let storage: Arc<dyn ObjectStorage> = Arc::new(storage);
        let db = open_index(dir).await;
        let budget = Budget::new(db.clone(), storage.clone(), clock.clone(), limits.clone());
        let books = Self {
            dir: dir.to_owned(),
            clock,
            limits,
            db,
            storage,
            budget: Arc::new(budget),
        };
        books.set_time(now.parse().expect("a time"));
        books
    }

    fn set_time(&self, now: Timestamp) {
        self.clock.stop_at(now.as_millisecond());
    }

    /// Closes and opens the index, as a restart does.
    async fn reopen(&mut self) {
        self.db.close().await;
        self.db = open_index(&self.dir).await;
        let budget = Budget::new(
            self.db.clone(),
            self.storage.clone(),
            self.clock.clone(),
            self.limits.clone(),
        );
        self.budget = Arc::new(budget);
    }

    /// Deletes the index and starts again, as after the loss of a volume.
    async fn lose_index(&mut self) {
        self.db.close().await;
        for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
            match std::fs::remove_file(self.dir.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            }
        }
        self.reopen().await;
        self.budget.restore().await.expect("is restored");
    }

    async fn used(&self, what: Paid) -> u32 {
        self.budget.usage(what).await.expect("is known").used
    }

    async fn is_unknown(&self, what: Paid) -> bool {
        self.budget.is_unknown(what).await.expect("is known")
    }

    /// The month's ledger object.
    fn object(&self, month: &str) -> serde_json::Value {
        let path = self.dir.join(format!("objects/meta/ledger/{month}.json"));
        serde_json::from_slice(&std::fs::read(path).expect("is there")).expect("is JSON")
    }
}

async fn open_index(dir: &Path) -> Db {
    let url = format!("sqlite://{}", dir.join("index.sqlite").display());
    Db::open(&url).await.expect("opens")
}

fn is_spent<T>(result: &Result<T, BudgetError>) -> bool {
    matches!(result, Err(BudgetError::Spent))
}

/// Lives through one random history beside a plain count, with restarts, changes of month and lost
/// indexes.
async fn live_through(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a folder");
    let limits = [random.random_range(30..90), random.random_range(0..60)];
    let mut now: Timestamp = "2026-11-02T10:00:00Z".parse().expect("a time");
    let mut books = Books::open(dir.path(), &now.to_string(), limits[0], limits[1]).await;
    // What was used, by month and kind; `None` where nobody can know.
    let mut model: HashMap<(Month, Paid), Option<u32>> = HashMap::new();
    // The highest value there ever was. The month's object follows it, so calls that are given back
    // do not lower it.
    let mut most: HashMap<(Month, Paid), u32> = HashMap::new();
    let mut open: Vec<Reserved> = Vec::new();
    for step in 0..150 {
        let month = Month::of(now);
        let kind = random.random_range(0..2);
        let (what, limit) = (KINDS[kind], limits[kind]);
        let used = *model.entry((month, what)).or_insert(Some(0));
        match random.random_range(0..100) {
            0..60 => {
                let (count, keep) = (random.random_range(1..4), random.random_range(0..3));
                let result = books.budget.reserve(what, count, keep).await;
                match used {
                    Some(used) if used + count + keep <= limit => {
                        let reserved = result.expect("there is enough");
                        assert_eq!((reserved.count, reserved.month), (count, month));
                        open.push(reserved);
                        model.insert((month, what), Some(used + count));
                    }
                    _ => assert!(is_spent(&result), "step {step}: {used:?} of {limit}"),
                }
            }
            60..80 if !open.is_empty() => {
                let reserved = open.swap_remove(random.random_range(0..open.len()));
                let count = random.random_range(0..=reserved.count);
                books
                    .budget
                    .give_back(&reserved, count)
                    .await
                    .expect("works");
                let left = model
                    .entry((reserved.month, reserved.what))
                    .or_insert(Some(0));
                *left = left.map(|left| left.saturating_sub(count));
            }
            80..87 => books.reopen().await,
            87..90 => {
                books.lose_index().await;
                // Months that are over do not matter any more.
                model.retain(|(of, _), _| *of == month);
                open.retain(|reserved| reserved.month == month);
                for (what, limit) in KINDS.into_iter().zip(limits) {
                    let before = model.get(&(month, what)).copied().unwrap_or(Some(0));
                    let unknown = books.is_unknown(what).await;
                    let after = books.used(what).await;
                    if !unknown {
                        let before = before.unwrap_or(limit);
                        let highest = most.get(&(month, what)).copied().unwrap_or(0) + BLOCK;
                        assert!(
                            before <= after && after <= highest.max(before),
                            "seed {seed}, step {step}: {before} {after} {highest}"
                        );
                    }
                    model.insert((month, what), (!unknown).then_some(after));
                }
            }
            90..95 => {
                now += jiff::SignedDuration::from_hours(random.random_range(1..500));
                books.set_time(now);
            }
            _ => {
                let known = random.random_range(0..=limit);
                books.budget.set_used(what, known).await.expect("works");
                model.insert((month, what), Some(known));
            }
        }
        let month = Month::of(now);
        for (what, limit) in KINDS.into_iter().zip(limits) {
            let used = model.get(&(month, what)).copied().unwrap_or(Some(0));
            let most = most.entry((month, what)).or_default();
            *most = (*most).max(used.unwrap_or(limit));
            assert_eq!(
                books.used(what).await,
                used.unwrap_or(limit),
                "seed {seed}, step {step}, {what:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_count_is_right_and_stops_at_its_limit() {
    for seed in 0..12 {
        live_through(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_never_reserve_more_than_there_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut books = Books::open(dir.path(), "2026-11-15T00:00:00Z", 100, 7).await;
    let tasks: Vec<_> = (0..120)
        .map(|number| {
            let budget = books.budget.clone();
            tokio::spawn(async move {
                let calls = budget.reserve(rekognition::VENDOR.call, 2, 1).await;
                let paths = budget.reserve(CLOUDFRONT_PATHS, 1, 0).await;
                if let (Ok(calls), 0) = (&calls, number % 10) {
                    budget.give_back(calls, 1).await.expect("works");
                }
                for result in [&calls, &paths] {
                    assert!(result.is_ok() || is_spent(result), "{result:?}");
                }
                let calls = calls.map_or(0, |_| if number % 10 == 0 { 1 } else { 2 });
                (calls, u32::from(paths.is_ok()))
            })
        })
        .collect();
    let (mut calls, mut paths) = (0, 0);
    for task in tasks {
        let (more_calls, more_paths) = task.await.expect("ends well");
        calls += more_calls;
        paths += more_paths;
    }
    assert!((98..=99).contains(&calls), "{calls}");
    assert_eq!(paths, 7);
    books.reopen().await;
    assert_eq!(books.used(rekognition::VENDOR.call).await, calls);
    assert_eq!(books.used(CLOUDFRONT_PATHS).await, 7);
    // Others may still use what was kept for them.
    while books
        .budget
        .reserve(rekognition::VENDOR.call, 1, 0)
        .await
        .is_ok()
    {}
    assert_eq!(books.used(rekognition::VENDOR.call).await, 100);
}

#[tokio::test]
async fn a_new_month_begins_with_nothing_used_and_what_is_given_back_goes_to_the_old_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let books = Books::open(dir.path(), "2026-11-30T23:59:59Z", 4, 0).await;
    let november = books.budget.reserve(rekognition::VENDOR.call, 4, 0).await;
    let november = november.expect("there is enough");
    assert!(is_spent(
        &books.budget.reserve(rekognition::VENDOR.call, 1, 0).await
    ));
    assert_eq!(books.budget.seconds_left(), 1);
    books.set_time("2026-12-01T00:00:00Z".parse().expect("a time"));
    let december = books.budget.reserve(rekognition::VENDOR.call, 3, 0).await;
    december.expect("there is enough");
    books.budget.give_back(&november, 2).await.expect("works");
    assert_eq!(books.used(rekognition::VENDOR.call).await, 3);
    books.set_time("2026-11-30T23:59:59Z".parse().expect("a time"));
    assert_eq!(books.used(rekognition::VENDOR.call).await, 2);
    assert!(is_spent(
        &books.budget.reserve(CLOUDFRONT_PATHS, 1, 0).await
    ));
}

#[tokio::test]
async fn the_months_object_is_always_ahead_by_at_most_a_block_and_never_above_the_limit() {
    let dir = tempfile::tempdir().expect("a folder");
    let books = Books::open(dir.path(), "2026-11-15T00:00:00Z", 50, 30).await;
    for used in 1..=50 {
        let reserved = books.budget.reserve(rekognition::VENDOR.call, 1, 0).await;
        reserved.expect("there is enough");
        let marked = books.object("2026-11")["rekognition_calls"]
            .as_u64()
            .expect("a number");
        assert!(
            (used..=(used + u64::from(BLOCK)).min(50)).contains(&marked),
            "{used} {marked}"
        );
    }
    let reserved = books.budget.reserve(CLOUDFRONT_PATHS, 3, 0).await;
    reserved.expect("there is enough");
    let object = books.object("2026-11");
    assert_eq!(object["rekognition_calls"], 50);
    assert_eq!(object["cloudfront_paths"], 23);
}

#[tokio::test]
async fn nothing_is_spent_where_the_months_object_cannot_be_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let books = Books::open(dir.path(), "2026-11-15T00:00:00Z", 50, 30).await;
    std::fs::remove_dir_all(dir.path().join("objects")).expect("is deleted");
    std::fs::write(dir.path().join("objects"), "no folder").expect("is written");
    let failed = books.budget.reserve(rekognition::VENDOR.call, 1, 0).await;
    assert!(
        matches!(failed, Err(BudgetError::Unavailable(_))),
        "{failed:?}"
    );
    assert_eq!(books.used(rekognition::VENDOR.call).await, 0);
}

#[tokio::test]
async fn a_new_site_has_its_whole_budget_and_one_whose_count_is_lost_has_none_until_it_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut books = Books::open(dir.path(), "2026-11-15T00:00:00Z", 50, 30).await;
    books.budget.restore().await.expect("works");
    assert_eq!(books.used(rekognition::VENDOR.call).await, 0);

    let ban = StorageKey::Ban { ban: Ban::of(7) };
    let objects = vec![(ban, Bytes::from_static(b"{}"))];
    books.storage.put(objects).await.expect("is stored");
    books.lose_index().await;
    for (what, limit) in [(rekognition::VENDOR.call, 50), (CLOUDFRONT_PATHS, 30)] {
        assert!(books.is_unknown(what).await);
        assert_eq!(books.used(what).await, limit);
        assert!(is_spent(&books.budget.reserve(what, 1, 0).await));
    }
    books
        .budget
        .set_used(rekognition::VENDOR.call, 12)
        .await
        .expect("works");
    books.reopen().await;
    books.budget.restore().await.expect("works");
    let reserved = books.budget.reserve(rekognition::VENDOR.call, 1, 0).await;
    reserved.expect("there is enough");
    assert_eq!(books.used(rekognition::VENDOR.call).await, 13);
    // What is unknown stays unknown after another loss.
    assert!(books.is_unknown(CLOUDFRONT_PATHS).await);
    books.lose_index().await;
    assert_eq!(books.used(rekognition::VENDOR.call).await, 12 + BLOCK);
    assert_eq!(books.used(CLOUDFRONT_PATHS).await, 30);

    // An index that was there at its beginning counts the next month in full.
    books.set_time("2026-12-01T00:00:00Z".parse().expect("a time"));
    assert_eq!(books.used(CLOUDFRONT_PATHS).await, 0);
}

#[tokio::test]
async fn an_index_that_is_older_than_the_objects_counts_what_they_tell() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut books = Books::open(dir.path(), "2026-11-15T00:00:00Z", 100, 30).await;
    let reserved = books.budget.reserve(rekognition::VENDOR.call, 5, 0).await;
    reserved.expect("there is enough");
    // An index that agrees with the objects is right.
    books.budget.restore().await.expect("works");
    assert_eq!(books.used(rekognition::VENDOR.call).await, 5);
    books.db.close().await;
    let (index, copy) = (dir.path().join("index.sqlite"), dir.path().join("copy"));
    std::fs::copy(&index, &copy).expect("is copied");
    books.reopen().await;
    for _ in 0..40 {
        let reserved = books.budget.reserve(rekognition::VENDOR.call, 1, 0).await;
        reserved.expect("there is enough");
    }
    books.db.close().await;
    std::fs::copy(&copy, &index).expect("is copied");
    books.reopen().await;
    assert_eq!(books.used(rekognition::VENDOR.call).await, 5);
    books.budget.restore().await.expect("works");
    let used = books.used(rekognition::VENDOR.call).await;
    assert!((45..=45 + BLOCK).contains(&used), "{used}");
}

#[tokio::test]
async fn what_the_months_object_does_not_name_counts_as_spent_and_what_is_no_count_stops_the_start()
{
    let dir = tempfile::tempdir().expect("a folder");
    let mut books = Books::open(dir.path(), "2026-11-15T00:00:00Z", 50, 30).await;
    let month = books.budget.month();
    let object = |text: &'static str| {
        let key = StorageKey::Ledger { month };
        vec![(key, Bytes::from_static(text.as_bytes()))]
    };
    let before = object(r#"{"rekognition_calls":10,"calls_of_another_version":7}"#);
    books.storage.put(before).await.expect("is stored");
    books.lose_index().await;
    assert_eq!(books.used(rekognition::VENDOR.call).await, 10);
    assert!(books.is_unknown(CLOUDFRONT_PATHS).await);
    assert!(is_spent(
        &books.budget.reserve(CLOUDFRONT_PATHS, 1, 0).await
    ));
    let broken = object(r#"{"rekognition_calls":"ten","cloudfront_paths":1}"#);
    books.storage.put(broken).await.expect("is stored");
    assert!(books.budget.restore().await.is_err());
}

#[tokio::test]
async fn what_the_operator_sets_outlives_the_index_also_where_nothing_was_used() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut books = Books::open(dir.path(), "2026-11-15T00:00:00Z", 50, 30).await;
    let ban = StorageKey::Ban { ban: Ban::of(7) };
    let objects = vec![(ban, Bytes::from_static(b"{}"))];
    books.storage.put(objects).await.expect("is stored");
    books.lose_index().await;
    for what in KINDS {
        assert!(books.is_unknown(what).await);
        books.budget.set_used(what, 0).await.expect("works");
    }
    books.lose_index().await;
    for what in KINDS {
        assert!(!books.is_unknown(what).await);
        assert_eq!(books.used(what).await, BLOCK);
    }
}

/// A storage whose first write is held until the test lets it arrive.
struct Slow {
    inner: Arc<dyn ObjectStorage>,
    begun: Notify,
    arrives: Notify,
    is_first: AtomicBool,
}

#[async_trait]
impl ObjectStorage for Slow {
    async fn put(&self, objects: Vec<(StorageKey, Bytes)>) -> Result<(), StorageError> {
        if self.is_first.swap(false, Ordering::SeqCst) {
            self.begun.notify_one();
            self.arrives.notified().await;
        }
        self.inner.put(objects).await
    }

    async fn create(&self, key: &StorageKey, bytes: Bytes) -> Result<bool, StorageError> {
        self.inner.create(key, bytes).await
    }

    async fn get(
        &self,
        key: &StorageKey,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Bytes, StorageError> {
        self.inner.get(key, range).await
    }

    async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        self.inner.delete(keys).await
    }

    async fn list(&self, folder: Folder) -> Result<Vec<StorageKey>, StorageError> {
        self.inner.list(folder).await
    }

    async fn delete_unfinished(&self) -> Result<(), StorageError> {
        self.inner.delete_unfinished().await
    }

    async fn check(&self) -> Result<(), StorageError> {
        self.inner.check().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_write_of_one_process_leaves_no_object_that_tells_less_than_another_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut books = Books::open(dir.path(), "2026-11-15T00:00:00Z", 1000, 30).await;
    let slow = Arc::new(Slow {
        inner: books.storage.clone(),
        begun: Notify::new(),
        arrives: Notify::new(),
        is_first: AtomicBool::new(true),
    });
    let server = Budget::new(
        books.db.clone(),
        slow.clone(),
        books.clock.clone(),
        books.limits.clone(),
    );
    let reserving =
        tokio::spawn(async move { server.reserve(rekognition::VENDOR.call, 1, 0).await });
    slow.begun.notified().await;
    let set = books.budget.set_used(rekognition::VENDOR.call, 520).await;
    set.expect("works");
    slow.arrives.notify_one();
    let reserved = reserving.await.expect("ends well");
    reserved.expect("there is enough");
    assert_eq!(books.used(rekognition::VENDOR.call).await, 521);
    books.lose_index().await;
    let used = books.used(rekognition::VENDOR.call).await;
    assert!((521..=521 + BLOCK).contains(&used), "{used}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_site_knows_what_its_month_cost() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start().await;
    site.publish_file("chelsea.png", fixture("chelsea.png"))
        .await;
    let reserved = site
        .state
        .budget
        .reserve(rekognition::VENDOR.call, 3, 0)
        .await;
    reserved.expect("there is enough");
    let data_dir = site.data_dir.clone();
    site.stop().await;
    std::fs::remove_file(data_dir.join("index.sqlite")).expect("is deleted");
    let site = Setup::within(dir.path()).start().await;
    let used = site.state.budget.usage(rekognition::VENDOR.call).await;
    assert_eq!(used.expect("is known").used, 3 + BLOCK);
    site.stop().await;

    std::fs::remove_file(data_dir.join("index.sqlite")).expect("is deleted");
    std::fs::remove_dir_all(data_dir.join("objects/meta/ledger")).expect("is deleted");
    let site = Setup::within(dir.path()).start().await;
    for what in KINDS {
        let reserved = site.state.budget.reserve(what, 1, 0).await;
        assert!(is_spent(&reserved), "{what:?}");
    }
}

#[test]
fn the_operator_sees_the_budget_and_sets_it_while_a_server_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    let launch = Launch::within(dir.path()).with_variable("CATTO_REKOGNITION_MONTHLY_CALLS", "500");
    let server = launch.serve();
    let shown = launch.run("budget");
    assert!(shown.status.success(), "{}", words(&shown));
    assert!(
        words(&shown).contains("rekognition-calls  0 of 500"),
        "{}",
        words(&shown)
    );
    let empty = launch.run_with("budget", &["set"]);
    assert!(!empty.status.success(), "{}", words(&empty));
    let set = [
        "set",
        "--rekognition-calls",
        "120",
        "--cloudfront-paths",
        "7",
    ];
    let set = launch.run_with("budget", &set);
    assert!(set.status.success(), "{}", words(&set));
    let shown = words(&launch.run("budget"));
    assert!(shown.contains("rekognition-calls  120 of 500"), "{shown}");
    assert!(shown.contains("cloudfront-paths   7 of 1000"), "{shown}");
    server.terminate();
    assert!(server.wait().0.success());
}

fn words(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
