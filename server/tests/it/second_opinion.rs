//! A second opinion that is paid for: who is asked, in which order, what it costs, and what a
//! client sees while it cannot be had.
//!
//! Between the worker and the ledger everything is real; only Amazon is not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use cattocdn::config::{BudgetSpent, Config};
use cattocdn::domain::policy::Mode;
use cattocdn::pictures::outputs;
use cattocdn::screening::rekognition::{self, Rekognition, RekognitionOptions};
use imaging::{self, Limits};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::made;
use crate::support::process::Launch;
use crate::support::{Answer, ScriptedScreener, Setup, Site, fixture};
use tools::stand_ins::aws::{self, ACCESS_KEY, REGION, SECRET_KEY};
use tools::stand_ins::rekognition_server::{LABELS, MODERATION, RekognitionServer, Reply, cat};

const BOTH: [&str; 2] = [MODERATION, LABELS];
/// What is seen in a picture that looks bad, but about which the local models may be wrong.
const UNSURE: (f32, f32) = (0.01, 0.9);

/// A site that asks this server. `change` has the last word on its configuration.
async fn setup_in(
    dir: &Path,
    server: &RekognitionServer,
    screener: ScriptedScreener,
    change: impl FnOnce(&mut Config),
) -> Setup {
    let mut setup = Setup::within(dir).screened_by(screener);
    let screening = &mut setup.config.screening;
    screening.policy.mode = Mode::LocalThenOther;
    // As fast as possible, because the tests count calls, not seconds.
    screening.rekognition.calls_per_second = 1000.try_into().expect("is not zero");
    screening.retries.first_pause = Duration::from_millis(1);
    change(&mut setup.config);
    let sdk = aws::sdk(&server.endpoint, SECRET_KEY, None).await;
    let rekognition = Rekognition::new(&sdk, &setup.config.screening.rekognition);
    setup.asking(rekognition)
}

/// The same as [`setup_in`], started without jobs, so that the test does the workers' work.
async fn site_in(
    dir: &Path,
    server: &RekognitionServer,
    screener: ScriptedScreener,
    change: impl FnOnce(&mut Config),
) -> Site {
    let setup = setup_in(dir, server, screener, change).await;
    setup.start_without_jobs().await
}

fn unsure() -> ScriptedScreener {
    ScriptedScreener::seeing(UNSURE.0, UNSURE.1)
}

/// Uploads a file, works on one picture, and returns the state of the upload.
async fn judged(site: &Site, file: &str) -> Answer {
    let upload = site.send_in(fixture(file)).await;
    assert!(site.work().await, "somebody waits");
    site.status_of(&upload).await
}

#[track_caller]
fn assert_published(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.json()["state"], "published", "{}", answer.text());
}

#[track_caller]
fn assert_waits(answer: &Answer) {
    assert_eq!(answer.json()["state"], "screening", "{}", answer.text());
}

async fn used(site: &Site) -> u32 {
    let usage = site.state.budget.usage(rekognition::VENDOR.call).await;
    usage.expect("is known").used
}

fn no_cat() -> Value {
    let mut answer = cat();
    answer["Labels"] =
        json!([{"Name": "Dog", "Confidence": 99.0, "Parents": [{"Name": "Animal"}]}]);
    answer
}

fn indecent() -> Value {
    json!({
        "ModerationLabels": [
            {"Name": "Explicit Nudity", "ParentName": "Explicit", "Confidence": 99.2, "TaxonomyLevel": 2},
            {"Name": "Explicit", "ParentName": "", "Confidence": 99.2, "TaxonomyLevel": 1},
        ],
        "ModerationModelVersion": "7.0",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn in_each_mode_those_are_asked_who_should_be() {
    let server = RekognitionServer::start().await;
    let sure = (0.9, 0.0);
    let cases: [(Mode, (f32, f32), usize, &str); 12] = [
        (Mode::Local, sure, 0, "published"),
        (Mode::Local, UNSURE, 0, "unsafe"),
        (Mode::Local, (0.01, 0.0), 0, "not-a-cat"),
        (Mode::Other, sure, 2, "published"),
        (Mode::Other, (0.0, 0.99), 2, "published"),
        (Mode::LocalThenOther, sure, 2, "published"),
        // The local models alone would refuse these, but are not certain of it.
        (Mode::LocalThenOther, UNSURE, 2, "published"),
        (Mode::LocalThenOther, (0.01, 0.0), 2, "published"),
        (Mode::LocalThenOther, (0.9, 0.9), 2, "published"),
        // What they are certain of costs nothing.
        (Mode::LocalThenOther, (0.0, 0.0), 0, "not-a-cat"),
        (Mode::LocalThenOther, (0.9, 0.99), 0, "unsafe"),
        (Mode::LocalThenOther, (0.0, 0.99), 0, "unsafe"),
    ];
    for (mode, (cat, indecency), calls, expected) in cases {
        let dir = tempfile::tempdir().expect("a folder");
        let screener = ScriptedScreener::seeing(cat, indecency);
        let looks = screener.looks.clone();
        let site = site_in(dir.path(), &server, screener, |config| {
            config.screening.policy.mode = mode;
        })
        .await;
        let before = server.calls().len();
        let answer = judged(&site, "cat.webp").await;
        let case = format!("{mode:?} {cat} {indecency}");
        match expected {
            "published" => assert_published(&answer),
            code => answer.assert_error(422, code),
        }
        assert_eq!(server.calls().len() - before, calls, "{case}");
        assert_eq!(used(&site).await as usize, calls, "{case}");
        let seen = u32::from(mode != Mode::Other);
        assert_eq!(looks.load(Ordering::SeqCst), seen, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decency_is_asked_first_and_an_indecent_picture_costs_one_call() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let site = site_in(dir.path(), &server, unsure(), |_| {}).await;
    server.reply(200, indecent());
    judged(&site, "cat.webp").await.assert_error(422, "unsafe");
    assert_eq!(server.calls(), [MODERATION]);
    assert_eq!(used(&site).await, 1);
    // The verdict is known from now on and given at once.
    let again = site.upload(fixture("cat.webp")).await;
    again.assert_error(422, "unsafe");
    server.reply(200, json!({"ModerationLabels": []}));
    server.reply(200, no_cat());
    judged(&site, "coffee.png")
        .await
        .assert_error(422, "not-a-cat");
    let again = site.upload(fixture("coffee.png")).await;
    again.assert_error(422, "not-a-cat");
    assert_eq!(server.calls(), [MODERATION, MODERATION, LABELS]);
    assert_eq!(used(&site).await, 3);
    assert_eq!(
        site.stored_files(),
        ["objects/meta/ledger/".to_owned() + &month(&site) + ".json"]
    );
}

fn month(site: &Site) -> String {
    site.state.budget.month().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_description_are_those_of_rekognition() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let site = site_in(dir.path(), &server, unsure(), |_| {}).await;
    // The site tells who sees the pictures.
    let about = site.get_page("/about").await.text();
    assert!(about.contains("Amazon Rekognition"), "{about}");
    let answer = judged(&site, "chelsea.png").await;
    assert_published(&answer);
    let picture = answer.json();
    assert_eq!(picture["alt"], "cat with a couch");
    let names: Vec<&str> = picture["tags"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    for expected in ["cat", "couch", "sofa", "furniture"] {
        assert!(names.contains(&expected), "{names:?}");
    }
    // Nobody has counted how often it is right about a pedigree.
    assert!(!names.contains(&"abyssinian"), "{names:?}");
    let list = site.get("/api/v1/pictures?tag=couch").await.json();
    assert_eq!(list["pictures"].as_array().map(Vec::len), Some(1), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_animation_every_frame_is_seen_here_and_one_sheet_of_all_is_paid() {
    for (mode, seen) in [(Mode::LocalThenOther, true), (Mode::Other, false)] {
        let (server, dir) = (RekognitionServer::start().await, tempdir());
        let screener = unsure();
        let looks = screener.looks.clone();
        let site = site_in(dir.path(), &server, screener, |config| {
            config.screening.policy.mode = mode;
        })
        .await;
        let answer = judged(&site, "cat-animated.gif").await;
        assert_published(&answer);
        assert_eq!(server.calls(), BOTH);
        // The stand-in accepts one small JPEG and nothing else. This one holds the frames side by
        // side.
        let sizes = server.image_sizes();
        assert_eq!(sizes[0], sizes[1]);
        let (width, height) = sizes[0];
        let frame = (&answer.json()["width"], &answer.json()["height"]);
        assert_ne!((&json!(width), &json!(height)), frame);
        let looks = looks.load(Ordering::SeqCst);
        assert_eq!(looks > 1, seen, "{looks} looks in {mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_indecent_frame_among_many_is_refused_for_nothing() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let screener = ScriptedScreener::cat().turning_indecent_after(2);
    let site = site_in(dir.path(), &server, screener, |_| {}).await;
    judged(&site, "cat-animated.gif")
        .await
        .assert_error(422, "unsafe");
    assert_eq!(server.calls(), Vec::<String>::new());
    assert_eq!(used(&site).await, 0);
}

/// What a client sees of each documented exception that occurs once: `published` where the call is
/// retried, `screening` where the picture waits.
#[tokio::test(flavor = "multi_thread")]
async fn every_documented_exception_is_tried_again_or_waited_out_and_counted_right() {
    // The code, its status, the state of the picture afterwards, and how many calls the picture
    // then cost.
    let cases = [
        ("ThrottlingException", 400, "published", 2),
        ("ThrottlingException", 500, "published", 2),
        (
            "ProvisionedThroughputExceededException",
            400,
            "published",
            2,
        ),
        ("InternalServerError", 500, "published", 3),
        ("AccessDeniedException", 400, "screening", 0),
        ("ExpiredTokenException", 400, "screening", 0),
        ("UnrecognizedClientException", 400, "screening", 0),
        ("InvalidSignatureException", 400, "screening", 0),
        ("InvalidParameterException", 400, "screening", 0),
        ("ResourceNotFoundException", 400, "screening", 0),
        ("ResourceNotReadyException", 400, "screening", 0),
        ("HumanLoopQuotaExceededException", 402, "screening", 0),
        ("ImageTooLargeException", 400, "corrupt-image", 1),
        ("InvalidImageFormatException", 400, "corrupt-image", 1),
        ("InvalidS3ObjectException", 400, "corrupt-image", 1),
    ];
    for (name, status, expected, cost) in cases {
        let (server, dir) = (RekognitionServer::start().await, tempdir());
        let site = site_in(dir.path(), &server, unsure(), |_| {}).await;
        server.reply_exception(name, status);
        let answer = judged(&site, "cat.webp").await;
        match expected {
            "published" => assert_published(&answer),
            "screening" => {
                assert_waits(&answer);
                // The operator must act, and is told.
                let ready = site.get("/readyz").await;
                assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE, "{name}");
            }
            code => answer.assert_error(422, code),
        }
        assert_eq!(used(&site).await, cost, "{name}");
        if expected == "screening" {
            assert_eq!(
                server.calls().len(),
                1,
                "{name}: trying again would not help"
            );
            site.clock.advance(Duration::from_secs(61));
            assert!(site.work().await, "{name}");
            let list = site.get("/api/v1/pictures").await.json();
            assert_eq!(list["pictures"].as_array().map(Vec::len), Some(1), "{name}");
            assert_eq!(site.get("/readyz").await.status, StatusCode::OK, "{name}");
            assert_eq!(used(&site).await, 2, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_say_nothing_are_no_verdict_and_stay_counted() {
    for (status, body) in [
        (200, "{}"),
        (200, "<html>Welcome to the hotel's network</html>"),
        (502, "<html>Bad Gateway</html>"),
    ] {
        let (server, dir) = (RekognitionServer::start().await, tempdir());
        let site = site_in(dir.path(), &server, unsure(), |_| {}).await;
        server.reply(status, body);
        server.reply(200, json!({"ModerationLabels": []}));
        server.reply(status, body);
        assert_published(&judged(&site, "cat.webp").await);
        assert_eq!(
            server.calls(),
            [MODERATION, MODERATION, LABELS, LABELS],
            "{body}"
        );
        assert_eq!(used(&site).await, 4, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_outage_pictures_wait_cheaply_and_are_published_when_it_is_over() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let screener = unsure();
    let looks = screener.looks.clone();
    let site = site_in(dir.path(), &server, screener, |_| {}).await;
    server.behave(|_, _| Reply::Answer(503, String::new()));
    let first = site.send_in(fixture("cat.webp")).await;
    assert!(site.work().await);
    assert_waits(&site.status_of(&first).await);
    assert_eq!(server.calls().len(), 3, "three attempts");
    // The next picture is looked at locally, and nobody is asked.
    let second = site.send_in(fixture("chelsea.png")).await;
    assert!(site.work().await);
    assert_waits(&site.status_of(&second).await);
    assert_eq!(server.calls().len(), 3);
    assert_eq!(used(&site).await, 3);
    assert_eq!(looks.load(Ordering::SeqCst), 2);
    assert!(!site.work().await, "both rest");

    // While the outage lasts, one call in ever longer pauses tests it, and pictures that wait are
    // not looked at again.
    let mut calls = 3;
    for rest in [6, 11, 21, 41] {
        site.clock.advance(Duration::from_secs(rest));
        while site.work().await {}
        calls += 1;
        assert_eq!(server.calls().len(), calls, "after {rest} s");
    }
    assert_eq!(used(&site).await as usize, calls);
    let list = site.get("/api/v1/pictures").await.json();
    assert_eq!(list["pictures"].as_array().map(Vec::len), Some(0), "{list}");
    assert_eq!(
        site.get("/readyz").await.status,
        StatusCode::OK,
        "nobody need mend anything"
    );

    server.behave_well();
    site.clock.advance(Duration::from_secs(900));
    while site.work().await {}
    for upload in [&first, &second] {
        assert_published(&site.status_of(upload).await);
    }
    assert_eq!(server.calls().len(), calls + 4);
    assert_eq!(used(&site).await as usize, calls + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_rekognition_chokes_on_does_not_use_up_the_month() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let site = site_in(dir.path(), &server, unsure(), |_| {}).await;
    let choking = site.send_in(fixture("chelsea.png")).await;
    let its_size = (451, 300);
    server.behave(move |_, size| {
        if size == its_size {
            Reply::Answer(500, String::new())
        } else {
            Reply::Usual
        }
    });
    assert!(site.work().await);
    for number in 0..60 {
        // In this minute another picture is judged well, which ends what seems to be an outage.
        site.clock.advance(Duration::from_secs(45));
        let other = site.send_in(distinct_picture(number)).await;
        while site.work().await {}
        site.clock.advance(Duration::from_secs(15));
        while site.work().await {}
        assert_published(&site.status_of(&other).await);
    }
    assert_waits(&site.status_of(&choking).await);
    let sizes = server.image_sizes();
    let its_calls = sizes.iter().filter(|size| **size == its_size).count();
    assert!((5..15).contains(&its_calls), "{its_calls} calls in an hour");
    assert_eq!(used(&site).await as usize, 120 + its_calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_rekognition_chokes_on_cost_no_more_when_they_are_sent_again_and_again() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let site = site_in(dir.path(), &server, unsure(), |_| {}).await;
    let its_size = (451, 300);
    server.behave(move |_, size| {
        if size == its_size {
            Reply::Answer(500, String::new())
        } else {
            Reply::Usual
        }
    });
    let mut uploads = Vec::new();
    for number in 0..40 {
        uploads.push(site.send_in(fixture("chelsea.png")).await);
        while site.work().await {}
        // Another picture that is judged well ends what seems to be an outage.
        site.clock.advance(Duration::from_secs(45));
        uploads.push(site.send_in(distinct_picture(number)).await);
        while site.work().await {}
        site.clock.advance(Duration::from_secs(15));
        while site.work().await {}
    }
    let sizes = server.image_sizes();
    let its_calls = sizes.iter().filter(|size| **size == its_size).count();
    assert!((5..15).contains(&its_calls), "{its_calls} calls");
    assert_eq!(used(&site).await as usize, sizes.len());

    // None of them waits forever, nor for another that waits for it.
    server.behave_well();
    site.clock.advance(Duration::from_secs(6 * 3600));
    while site.work().await {}
    for upload in &uploads {
        assert_published(&site.status_of(upload).await);
    }
    assert_eq!(server.calls().len(), 80 + its_calls + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_answered_keeps_no_more_memory_than_what_was_encoded() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chelsea.png");
    let inspected = imaging::inspect(&path, &Limits::default(), &outputs()).expect("is a picture");
    let site = site_in(dir.path(), &server, unsure(), |config| {
        // This is enough memory for one of the two at a time, and for the files of the other.
        config.limits.decode_memory_bytes = inspected.working_bytes + 1_000_000;
        config.screening.rekognition.call_timeout = Duration::from_secs(600);
    })
    .await;
    let (asked, mut is_asked) = tokio::sync::mpsc::unbounded_channel();
    let mut silent = true;
    server.behave(move |_, _| {
        asked.send(()).expect("the test listens");
        if std::mem::take(&mut silent) {
            Reply::Silence
        } else {
            Reply::Usual
        }
    });
    let first = site.send_in(fixture("chelsea.png")).await;
    let pictures = site.state.pictures.clone();
    let held = tokio::spawn(async move { pictures.screening.screen_next().await });
    is_asked.recv().await.expect("is asked");
    assert_published(&judged(&site, "cat.webp").await);
    assert_waits(&site.status_of(&first).await);
    held.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_reached_nothing_is_counted() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let mut setup = Setup::within(dir.path()).screened_by(unsure());
    setup.config.screening.policy.mode = Mode::LocalThenOther;
    setup.config.screening.retries.first_pause = Duration::from_millis(1);
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let nowhere = format!("http://{}", listener.local_addr().expect("is bound"));
    drop(listener);
    let sdk = aws::sdk(&nowhere, SECRET_KEY, None).await;
    let rekognition = Rekognition::new(&sdk, &RekognitionOptions::default());
    let site = setup.asking(rekognition).start_without_jobs().await;
    assert_waits(&judged(&site, "cat.webp").await);
    assert_eq!(used(&site).await, 0);
    assert_eq!(server.calls(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_month_is_spent_uploads_are_refused_and_what_needs_no_call_is_decided() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let site = site_in(dir.path(), &server, unsure(), |config| {
        config.budget.rekognition_monthly_calls = 3;
    })
    .await;
    assert_published(&judged(&site, "cat.webp").await);
    let refused = site.upload(fixture("chelsea.png")).await;
    refused.assert_error(503, "budget-spent");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=86_400).contains(&wait), "{wait}");
    assert_eq!(used(&site).await, 2);
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_picture_that_cannot_be_paid_for_ends_refused_waits_or_is_judged_here() {
    let (first, alone) = (Mode::LocalThenOther, Mode::Other);
    for (mode, budget_spent, (cat, indecency), expected) in [
        (first, BudgetSpent::Refuse, UNSURE, "budget-spent"),
        (first, BudgetSpent::Wait, UNSURE, "screening"),
        (first, BudgetSpent::Local, (0.9, 0.0), "published"),
        (first, BudgetSpent::Local, (0.01, 0.0), "not-a-cat"),
        (first, BudgetSpent::Local, (0.9, 0.9), "unsafe"),
        (alone, BudgetSpent::Refuse, UNSURE, "budget-spent"),
        (alone, BudgetSpent::Local, (0.9, 0.0), "published"),
        (alone, BudgetSpent::Local, (0.0, 0.0), "not-a-cat"),
    ] {
        let (server, dir) = (RekognitionServer::start().await, tempdir());
        let screener = ScriptedScreener::seeing(cat, indecency);
        let looks = screener.looks.clone();
        let site = site_in(dir.path(), &server, screener, |config| {
            config.screening.policy.mode = mode;
            config.screening.budget_spent = budget_spent;
            config.budget.rekognition_monthly_calls = 2;
        })
        .await;
        let first = site.send_in(fixture("cat.webp")).await;
        let second = site.send_in(fixture("chelsea.png")).await;
        let twin = site.send_in(fixture("cat.webp")).await;
        while site.work().await {}
        assert_published(&site.status_of(&first).await);
        // The same bytes were judged before, and a known verdict costs nothing.
        assert_published(&site.status_of(&twin).await);
        let answer = site.status_of(&second).await;
        match expected {
            "published" => assert_published(&answer),
            "screening" => assert_waits(&answer),
            "budget-spent" => answer.assert_error(503, expected),
            code => answer.assert_error(422, code),
        }
        assert_eq!(server.calls().len(), 2, "{budget_spent:?}");
        assert_eq!(used(&site).await, 2, "{budget_spent:?}");
        if budget_spent != BudgetSpent::Wait {
            continue;
        }
        // It is not looked at again and again meanwhile, and gets its turn in the new month.
        let before = looks.load(Ordering::SeqCst);
        site.clock.advance(Duration::from_secs(5));
        assert!(!site.work().await);
        site.clock.advance(Duration::from_secs(600));
        assert!(site.work().await);
        assert_waits(&site.status_of(&second).await);
        assert_eq!(looks.load(Ordering::SeqCst), before);
        site.state
            .budget
            .set_used(rekognition::VENDOR.call, 0)
            .await
            .expect("is set");
        site.clock.advance(Duration::from_secs(601));
        assert!(site.work().await);
        assert_published(&site.status_of(&second).await);
        assert_eq!(used(&site).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_of_the_local_models_does_not_stand_for_rekognitions() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let local = |config: &mut Config| {
        config.screening.budget_spent = BudgetSpent::Local;
        config.budget.rekognition_monthly_calls = 0;
    };
    let site = site_in(dir.path(), &server, unsure(), local).await;
    judged(&site, "cat.webp").await.assert_error(422, "unsafe");
    assert_eq!(server.calls(), Vec::<String>::new());
    site.stop().await;
    let site = site_in(dir.path(), &server, unsure(), |_| {}).await;
    assert_published(&judged(&site, "cat.webp").await);
    assert_eq!(server.calls(), BOTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_for_is_not_paid_again_when_there_is_no_room_or_after_a_restart() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let local = |config: &mut Config| config.screening.policy.mode = Mode::Local;
    let site = site_in(dir.path(), &server, ScriptedScreener::cat(), local).await;
    assert_published(&judged(&site, "ginger-kitten.jpg").await);
    let stored = site.state.index.stored_bytes().await;
    let stored = stored.expect("is asked");
    let upload = site.send_in(fixture("chelsea.png")).await;
    site.stop().await;

    let site = site_in(dir.path(), &server, unsure(), |config| {
        config.limits.max_stored_bytes = stored + 10_000;
    })
    .await;
    assert!(site.work().await);
    assert_waits(&site.status_of(&upload).await);
    assert_eq!(server.calls(), BOTH);
    site.clock.advance(Duration::from_secs(61));
    assert!(!site.work().await, "it is tried where there is no room");
    site.stop().await;

    let screener = unsure();
    let looks = screener.looks.clone();
    let site = site_in(dir.path(), &server, screener, |_| {}).await;
    site.clock.advance(Duration::from_secs(130));
    assert!(site.work().await);
    let answer = site.status_of(&upload).await;
    assert_published(&answer);
    assert_eq!(answer.json()["alt"], "cat with a couch");
    assert_eq!(server.calls(), BOTH);
    assert_eq!(used(&site).await, 2);
    assert_eq!(looks.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_found_decent_before_an_outage_is_asked_only_for_its_labels_afterwards() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let site = site_in(dir.path(), &server, unsure(), |_| {}).await;
    server.reply(200, json!({"ModerationLabels": []}));
    for _ in 0..3 {
        server.reply_exception("InternalServerError", 500);
    }
    let upload = site.send_in(fixture("cat.webp")).await;
    assert!(site.work().await);
    assert_waits(&site.status_of(&upload).await);
    assert_eq!(server.calls(), [MODERATION, LABELS, LABELS, LABELS]);
    assert_eq!(used(&site).await, 4);
    site.stop().await;
    let site = site_in(dir.path(), &server, unsure(), |_| {}).await;
    site.clock.advance(Duration::from_secs(61));
    assert!(site.work().await);
    assert_published(&site.status_of(&upload).await);
    assert_eq!(server.calls()[4..], [LABELS]);
    assert_eq!(used(&site).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_are_paid_for_once_until_the_rules_change() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let site = setup_in(dir.path(), &server, unsure(), |_| {}).await;
    let site = Arc::new(site.start().await);
    let uploads: Vec<_> = (0..6)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move { site.upload(fixture("cat.webp")).await.status })
        })
        .collect();
    for upload in uploads {
        assert_eq!(upload.await.expect("ends"), StatusCode::CREATED);
    }
    assert_eq!(server.calls(), BOTH);
    assert_eq!(used(&site).await, 2);
    Arc::into_inner(site)
        .expect("nobody else has it")
        .stop()
        .await;
    let site = site_in(dir.path(), &server, unsure(), |config| {
        config.screening.rekognition.detection.cat = 0.85;
    })
    .await;
    assert_published(&judged(&site, "cat.webp").await);
    assert_eq!(server.calls().len(), 4);
}

/// Thirty per cent of the calls fail in some way, chosen by a seeded generator, while two pictures
/// are worked on at a time.
async fn storm(seed: u64, with_silence: bool) {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let site = site_in(dir.path(), &server, unsure(), |config| {
        config.screening.rekognition.call_timeout =
            Duration::from_millis(if with_silence { 700 } else { 10_000 });
        config.budget.rekognition_monthly_calls = 5000;
    })
    .await;
    let billed = Arc::new(AtomicU32::new(0));
    let counted = billed.clone();
    let mut random = StdRng::seed_from_u64(seed);
    server.behave(move |target, _| {
        let exception = |name: &str| json!({"__type": name, "Message": "as scripted"}).to_string();
        let reply = if random.random_bool(0.3) {
            match random.random_range(0..if with_silence { 5 } else { 4 }) {
                0 => return Reply::Answer(400, exception("ThrottlingException")),
                1 => {
                    return Reply::Answer(400, exception("ProvisionedThroughputExceededException"));
                }
                2 => Reply::Answer(500, exception("InternalServerError")),
                3 => Reply::Answer(200, "{\"Labels\":".to_owned()),
                _ => Reply::Silence,
            }
        } else if random.random_bool(0.3) {
            // This is an honest refusal.
            Reply::Answer(
                200,
                if target == MODERATION {
                    indecent()
                } else {
                    no_cat()
                }
                .to_string(),
            )
        } else {
            Reply::Usual
        };
        counted.fetch_add(1, Ordering::SeqCst);
        reply
    });
    let mut uploads = Vec::new();
    for number in 0..24 {
        uploads.push(site.send_in(distinct_picture(number)).await);
    }
    for upload in &uploads {
        let mut rounds = 0;
        while site
            .status_of(upload)
            .await
            .text()
            .contains("\"screening\"")
        {
            tokio::join!(drain(&site), drain(&site));
            site.clock.advance(Duration::from_secs(901));
            rounds += 1;
            assert!(rounds < 100, "a picture waits for ever");
        }
    }
    let (used, billed) = (used(&site).await, billed.load(Ordering::SeqCst));
    let calls = u32::try_from(server.calls().len()).expect("few");
    assert!(calls > billed && billed >= 24, "the storm was one");
    assert!(
        used >= billed,
        "seed {seed}: {calls} requests, {billed} of them perhaps billed, {used} in the ledger"
    );
    if !with_silence {
        assert_eq!(used, billed, "seed {seed}: {calls} requests");
    }
}

/// Works on everything that is ready now.
async fn drain(site: &Site) {
    while site.work().await {}
}

/// A small picture unlike any other, so that it was never judged.
fn distinct_picture(number: u32) -> Vec<u8> {
    made::png(&made::painted(96, 96, |x, y| {
        [(x + number) as u8, (y * 2) as u8, (number * 7) as u8]
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn under_faults_the_ledger_is_exactly_what_may_have_been_billed() {
    for seed in 0..3 {
        storm(seed, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_calls_are_never_answered_the_ledger_never_tells_less_than_the_bill() {
    storm(7, true).await;
}

/// Runs the real binary with the real models, configured as by an operator.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_asks_rekognition_when_its_environment_says_so() {
    let (server, dir) = (RekognitionServer::start().await, tempdir());
    let launch = Launch::within(dir.path())
        .with_variable("CATTO_SCREENING", "local+rekognition")
        .with_variable("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .with_variable("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .with_variable("AWS_EC2_METADATA_DISABLED", "true")
        .with_variable("AWS_ENDPOINT_URL_REKOGNITION", &server.endpoint);
    let without_region = launch.clone().with_variable("AWS_REGION", "");
    let launch = launch.with_variable("AWS_REGION", REGION);
    let done = tokio::task::spawn_blocking(move || {
        let refused = without_region.run("serve");
        let program = launch.serve();
        let client = program.client();
        let cat = client.upload("", &fixture("chelsea.png"));
        let coffee = client.upload("", &fixture("coffee.png"));
        program.terminate();
        let (status, log) = program.wait();
        assert!(status.success(), "{log}");
        let budget = launch.run("budget");
        (refused, cat, coffee, budget)
    });
    let (refused, cat, coffee, budget) = done.await.expect("ends well");
    assert!(!refused.status.success());
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(complaint.contains("AWS_REGION"), "{complaint}");
    let cat = cat.expect("is answered");
    assert_eq!(cat.status, 201);
    assert_eq!(cat.json()["alt"], "cat with a couch");
    assert_eq!(coffee.expect("is answered").status, 422);
    assert_eq!(server.calls(), BOTH);
    let budget = String::from_utf8_lossy(&budget.stdout);
    assert!(budget.contains("rekognition-calls  2 of 1000"), "{budget}");
}

fn tempdir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}
