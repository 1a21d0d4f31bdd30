//! What strangers may use up: the day, the queue, the workers and the store stay open for others,
//! and every refusal says truly when to try again.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::{StatusCode, header};
use bytes::Bytes;
use cattocdn::domain::verdict::FrameLook;
use cattocdn::pictures::outputs;
use cattocdn::runtime::clock::Clock;
use cattocdn::screening::{Screener, ScreeningError};
use imaging::{self, Limits, Raster};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::support::{Answer, ScriptedScreener, Setup, Site, fixture, index_of};

const DAY: u64 = 24 * 3600;
const ABUSER: &str = "192.0.2.1";
const VISITOR: &str = "192.0.2.2";
const API: &str = "/api/v1/pictures";
const AT_ONCE: &str = "/api/v1/pictures?wait=0";

/// A screener that sees a cat in what is wide enough, and looks at very wide pictures only once the
/// gate has a permit.
struct ByWidth {
    gate: Arc<Semaphore>,
    runtime: Handle,
    cat: ScriptedScreener,
    no_cat: ScriptedScreener,
    /// How often it was asked to look.
    arrived: Arc<AtomicU32>,
}

impl ByWidth {
    /// Narrower pictures show no cat.
    const CAT: u32 = 100;
    /// Wider pictures wait at the gate.
    const GATED: u32 = 600;

    fn new(gate: Arc<Semaphore>) -> Self {
        Self {
            gate,
            runtime: Handle::current(),
            cat: ScriptedScreener::cat(),
            no_cat: ScriptedScreener::no_cat(),
            arrived: Arc::default(),
        }
    }

    fn open() -> Self {
        Self::new(Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)))
    }
}

impl Screener for ByWidth {
    fn look(&self, frame: &Raster, with_sight: bool) -> Result<FrameLook, ScreeningError> {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        if frame.width > Self::GATED {
            let permit = self.runtime.block_on(self.gate.acquire());
            permit.map_err(anyhow::Error::from)?.forget();
        }
        if frame.width < Self::CAT {
            self.no_cat.look(frame, with_sight)
        } else {
            self.cat.look(frame, with_sight)
        }
    }

    fn identity(&self) -> Result<String, ScreeningError> {
        self.cat.identity()
    }

    fn check(&self) -> Result<(), ScreeningError> {
        self.cat.check()
    }
}

/// A gray PNG of one colour.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("is written");
    let pixels = vec![0x80; (width * height) as usize];
    writer.write_image_data(&pixels).expect("is written");
    writer.finish().expect("is written");
    file
}

/// A PNG whose container is intact and whose pixels cannot be inflated.
fn broken_png() -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = png::Encoder::new(&mut file, 64, 64);
    let mut writer = encoder.write_header().expect("is written");
    let chunk = writer.write_chunk(png::chunk::IDAT, b"these are no pixels");
    chunk.expect("is written");
    // The writer writes the end by itself when it is dropped.
    drop(writer);
    file
}

/// An animation that takes long to work on: sixty frames of this size, each in another shade.
fn costly(number: u8) -> Vec<u8> {
    let (width, height) = (640_u16, 480_u16);
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, width, height, &[]).expect("is written");
    for shade in 0..60_u8 {
        let mut frame = gif::Frame::from_indexed_pixels(
            width,
            height,
            vec![0; usize::from(width) * usize::from(height)],
            None,
        );
        frame.palette = Some(vec![shade, number, 90, 0, 0, 0]);
        frame.delay = 5;
        encoder.write_frame(&frame).expect("is written");
    }
    drop(encoder);
    file
}

/// The same picture with this byte behind its end, which makes it another file.
fn variant(name: &str, number: u8) -> Bytes {
    [&fixture(name)[..], &[number]].concat().into()
}

fn retry_after(answer: &Answer) -> Duration {
    let seconds = answer.header(header::RETRY_AFTER).parse();
    Duration::from_secs(seconds.expect("whole seconds"))
}

async fn rows(site: &Site) -> u32 {
    sqlx::query_scalar("SELECT count(*) FROM pictures")
        .fetch_one(&mut index_of(&site.data_dir).await)
        .await
        .expect("is asked")
}

async fn state(site: &Site, upload: &Value) -> Value {
    let url = upload["status_url"].as_str().expect("a URL");
    site.get(url).await.json()["state"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_before_is_refused_at_once_and_takes_nothing_of_the_day() {
    let mut setup = Setup::new().screened_by(ByWidth::open());
    setup.config.limits.uploads_per_day = 2;
    let site = setup.start().await;
    for number in 0..20 {
        // Not even a 202 is given, because nobody needs to look.
        let url = if number == 0 { API } else { AT_ONCE };
        site.upload_from(ABUSER, url, png(64, 64))
            .await
            .assert_error(422, "not-a-cat");
    }
    assert_eq!(rows(&site).await, 1);
    let taken = site.upload_from(VISITOR, API, fixture("cat.webp")).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_takes_a_part_of_the_queue_and_leaves_the_rest_to_others() {
    let site = Setup::new().start_without_jobs().await;
    for number in 0..125 {
        let taken = site.upload_from(ABUSER, AT_ONCE, variant("cat.webp", number));
        assert_eq!(taken.await.status, StatusCode::ACCEPTED, "{number}");
    }
    let refused = site.upload_from(ABUSER, AT_ONCE, variant("cat.webp", 200));
    refused.await.assert_error(503, "screening-unavailable");
    let other = site.upload_from(VISITOR, AT_ONCE, variant("cat.webp", 200));
    assert_eq!(other.await.status, StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_takes_a_part_of_the_day_and_leaves_the_rest_to_others() {
    let mut setup = Setup::new();
    setup.config.limits.uploads_per_day = 240;
    let site = setup.start().await;
    let mut taken = 0;
    let refused = loop {
        let answer = site
            .upload_from(ABUSER, API, variant("cat.webp", taken))
            .await;
        if answer.status != StatusCode::CREATED {
            break answer;
        }
        taken += 1;
    };
    refused.assert_error(429, "too-many-requests");
    // A decision of a moment ago counts slightly less than one.
    assert!((60..=61).contains(&taken), "{taken}");
    let other = site
        .upload_from(VISITOR, API, variant("cat.webp", 200))
        .await;
    assert_eq!(other.status, StatusCode::CREATED, "{}", other.text());
    site.clock.advance(retry_after(&refused));
    let later = site
        .upload_from(ABUSER, API, variant("cat.webp", 201))
        .await;
    assert_eq!(later.status, StatusCode::CREATED, "{}", later.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_by_a_full_day_gets_in_at_the_second_that_is_told_and_has_lost_nothing() {
    let mut setup = Setup::new();
    setup.config.limits.uploads_per_day = 2;
    setup.config.limits.uploads_per_hour = 1.try_into().expect("is not zero");
    let site = setup.start().await;
    for (peer, file, passed) in [(ABUSER, "cat.webp", 1000), (VISITOR, "chelsea.png", 0)] {
        let taken = site.upload_from(peer, API, fixture(file)).await;
        assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text());
        site.clock.advance(Duration::from_secs(passed));
    }
    let third = "192.0.2.3";
    let mut wait = Duration::ZERO;
    for _ in 0..5 {
        let refused = site.upload_from(third, API, fixture("cat.webp")).await;
        refused.assert_error(429, "too-many-requests");
        wait = retry_after(&refused);
    }
    let expected = DAY - 1000;
    assert!(
        (expected - 60..=expected).contains(&wait.as_secs()),
        "{wait:?}"
    );
    site.clock.advance(wait);
    let taken = site.upload_from(third, API, variant("cat.webp", 1)).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text());
    // The second of the first two is less than a day old.
    site.upload_from(ABUSER, API, variant("cat.webp", 2))
        .await
        .assert_error(429, "too-many-requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_picture_of_a_cat_or_cannot_be_read_takes_nothing_of_the_day() {
    let mut setup = Setup::new();
    setup.config.limits.uploads_per_day = 1;
    let site = setup.start().await;
    // It is forty times as wide as high, which its header tells.
    site.upload_from(ABUSER, AT_ONCE, png(1600, 40))
        .await
        .assert_error(422, "too-small");
    assert_eq!(rows(&site).await, 0);
    for _ in 0..3 {
        site.upload_from(ABUSER, API, broken_png())
            .await
            .assert_error(422, "corrupt-image");
    }
    // Once it was found out, the same bytes are refused at once.
    assert_eq!(rows(&site).await, 1);
    site.upload_from(ABUSER, AT_ONCE, broken_png())
        .await
        .assert_error(422, "corrupt-image");
    let taken = site.upload_from(VISITOR, API, fixture("cat.webp")).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_day_saw_too_many_copies_only_who_sends_them_waits_as_long_as_it_is_told() {
    let mut setup = Setup::new();
    setup.config.limits.uploads_per_day = 3;
    let site = setup.start().await;
    // One is looked at, and twenty are copies.
    for _ in 0..21 {
        let copy = site.upload_from(ABUSER, API, fixture("cat.webp")).await;
        assert_eq!(copy.status, StatusCode::CREATED, "{}", copy.text());
    }
    let refused = site.upload_from(ABUSER, API, fixture("cat.webp")).await;
    refused.assert_error(429, "too-many-requests");
    let taken = site.upload_from(VISITOR, API, fixture("chelsea.png")).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text());
    site.clock.advance(retry_after(&refused));
    let again = site.upload_from(ABUSER, API, fixture("cat.webp")).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_pictures_close_at_most_half_of_the_day_for_others() {
    let mut setup = Setup::new().screened_by(ByWidth::open());
    setup.config.limits.uploads_per_day = 40;
    let site = setup.start().await;
    for side in 40..60 {
        site.upload_from(ABUSER, API, png(side, 40))
            .await
            .assert_error(422, "not-a-cat");
    }
    // Each is another file, so the models would have to look at it.
    let refused = site.upload_from(ABUSER, API, png(60, 40)).await;
    refused.assert_error(429, "too-many-requests");
    assert!(retry_after(&refused) < Duration::from_secs(DAY));
    for number in 0..20 {
        let taken = site
            .upload_from(VISITOR, API, variant("cat.webp", number))
            .await;
        assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_picture_finds_a_worker_beside_the_costly_ones_of_somebody_else() {
    let gate = Arc::new(Semaphore::new(0));
    let screener = ByWidth::new(gate.clone());
    let arrived = screener.arrived.clone();
    let site = Setup::new()
        .screened_by(screener)
        .start_without_jobs()
        .await;
    let send = async |peer: &str, bytes: Bytes| {
        let answer = site.upload_from(peer, AT_ONCE, bytes).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        answer.json()
    };
    let mut animations = Vec::new();
    for number in 0..8 {
        animations.push(send(ABUSER, costly(number).into()).await);
    }
    let first_worker = {
        let pictures = site.state.pictures.clone();
        tokio::spawn(async move { pictures.screening.screen_next().await.expect("works") })
    };
    while arrived.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!site.work().await, "a second costly one was begun");
    let ordinary = send(VISITOR, fixture("cat.webp")).await;
    assert!(site.work().await);
    assert_eq!(state(&site, &ordinary).await, "published");
    for animation in &animations {
        assert_eq!(state(&site, animation).await, "screening");
    }
    // The abuser's earlier work counts: its ordinary picture comes after that of a newcomer that
    // arrived later.
    let abusers = send(ABUSER, variant("cat.webp", 1)).await;
    let newcomers = send("192.0.2.3", variant("cat.webp", 2)).await;
    assert!(site.work().await);
    assert_eq!(state(&site, &newcomers).await, "published");
    assert_eq!(state(&site, &abusers).await, "screening");
    gate.close();
    assert!(first_worker.await.expect("ends"));
}

/// The most bytes that the files of this picture may take.
fn most_bytes(file: &[u8]) -> u64 {
    let named = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(named.path(), file).expect("is written");
    let inspected =
        imaging::inspect(named.path(), &Limits::default(), &outputs()).expect("a picture");
    inspected.most_stored_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_has_its_room_in_the_store_and_what_has_none_is_not_accepted() {
    let cat = fixture("cat.webp");
    let mut setup = Setup::new();
    setup.config.limits.max_stored_bytes = 2 * most_bytes(&cat);
    let site = setup.start_without_jobs().await;
    let first = site.send_in(variant("cat.webp", 1)).await;
    let second = site.send_in(variant("cat.webp", 2)).await;
    site.upload_to(AT_ONCE, variant("cat.webp", 3))
        .await
        .assert_error(503, "storage-full");
    assert_eq!(rows(&site).await, 2);
    // What it really takes is less.
    assert!(site.work().await);
    assert!(site.work().await);
    for picture in [first, second] {
        assert_eq!(state(&site, &picture).await, "published");
    }
    site.send_in(variant("cat.webp", 3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_the_store_full_gets_in_at_the_second_that_is_told() {
    let site = Setup::new().start_without_jobs().await;
    site.send_in(fixture("cat.webp")).await;
    assert!(site.work().await);
    let stored = site.state.index.stored_bytes().await.expect("is asked");
    drop(site);

    let mut setup = Setup::new().with_retention(Duration::from_secs(5000));
    setup.config.limits.max_stored_bytes = stored + most_bytes(&fixture("cat.webp")) - 1;
    let site = setup.start_without_jobs().await;
    site.send_in(fixture("cat.webp")).await;
    assert!(site.work().await);
    site.clock.advance(Duration::from_secs(1000));
    let refused = site.upload_to(AT_ONCE, variant("cat.webp", 1)).await;
    refused.assert_error(503, "storage-full");
    let wait = retry_after(&refused);
    assert!((3940..=4002).contains(&wait.as_secs()), "{wait:?}");
    site.clock.advance(wait);
    // The sweeper has done this by then.
    assert_eq!(site.sweep().await, 1);
    site.send_in(variant("cat.webp", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lost_its_room_to_a_lower_limit_waits_for_it_without_being_worked_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let retention = Duration::from_secs(5000);
    let site = Setup::within(dir.path())
        .with_retention(retention)
        .start_without_jobs()
        .await;
    site.send_in(fixture("cat.webp")).await;
    assert!(site.work().await);
    let stored = site.state.index.stored_bytes().await.expect("is asked");
    // It came later than the first, also by the clock of the next site.
    let later = Clock::default();
    later.advance(Duration::from_secs(100));
    site.clock.advance(Duration::from_secs(100));
    let waiting = site.send_in(variant("cat.webp", 1)).await;
    site.stop().await;

    let screener = ScriptedScreener::cat();
    let looks = screener.looks.clone();
    let mut setup = Setup::within(dir.path())
        .with_retention(retention)
        .screened_by(screener);
    setup.config.limits.max_stored_bytes = stored + 10;
    let site = setup.start_without_jobs_at(later).await;
    assert!(site.work().await);
    for _ in 0..3 {
        site.clock.advance(Duration::from_secs(300));
        assert!(!site.work().await, "it is tried though there is no room");
    }
    assert_eq!(state(&site, &waiting).await, "screening");
    site.clock.advance(Duration::from_secs(4001));
    assert_eq!(site.sweep().await, 1);
    assert!(site.work().await);
    assert_eq!(state(&site, &waiting).await, "published");
    assert_eq!(looks.load(Ordering::SeqCst), 1, "it was looked at again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_fit_is_refused() {
    let mut setup = Setup::new();
    setup.config.limits.max_stored_bytes = 50;
    let site = setup.start().await;
    let refused = site.upload(fixture("cat.webp")).await;
    refused.assert_error(503, "storage-full");
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_put_back_neither_closes_the_day_nor_makes_a_picture_rest_for_years() {
    let mut setup = Setup::new().screened_by(ScriptedScreener::unavailable());
    setup.config.limits.uploads_per_day = 1;
    let site = setup.start_without_jobs().await;
    let waiting = site.send_in(fixture("cat.webp")).await;
    assert!(site.work().await);
    assert!(!site.work().await, "it rests");
    site.clock.put_back(Duration::from_secs(10 * 365 * DAY));
    assert!(site.work().await);
    assert_eq!(state(&site, &waiting).await, "screening");
    site.send_in(variant("cat.webp", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_without_a_verdict_can_be_read_by_nobody_else_on_the_machine() {
    let site = Setup::new().start_without_jobs().await;
    let upload = site.send_in(fixture("cat.webp")).await;
    let folder = site.data_dir.join("incoming");
    let mode = |path: &std::path::Path| {
        let metadata = std::fs::metadata(path).expect("is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&folder), 0o700);
    let file = folder.join(upload["id"].as_str().expect("an id"));
    assert_eq!(mode(&file), 0o600);
}
