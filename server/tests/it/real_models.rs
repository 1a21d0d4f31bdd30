//! Screening by the two shipped models, on real photographs.

use axum::http::StatusCode;

use crate::support::{Setup, fixture};

#[tokio::test(flavor = "multi_thread")]
async fn the_models_know_a_cat_from_what_is_none() {
    let site = Setup::new().with_real_models().start().await;
    let cat = site.upload(fixture("chelsea.png")).await;
    assert_eq!(cat.status, StatusCode::CREATED, "{}", cat.text());
    let json = cat.json();
    assert!(
        json["alt"].as_str().is_some_and(|alt| alt.contains("cat")),
        "{json}"
    );
    for name in ["coffee.png", "rocket.jpg", "astronaut.png"] {
        site.upload(fixture(name))
            .await
            .assert_error(422, "not-a-cat");
    }
    site.upload(fixture("refused.jpg"))
        .await
        .assert_error(422, "unsafe");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_frame_among_many_condemns_an_animation() {
    let site = Setup::new().with_real_models().start().await;
    site.upload(fixture("one-frame-refused.gif"))
        .await
        .assert_error(422, "unsafe");
    site.upload(fixture("mostly-coffee.gif"))
        .await
        .assert_error(422, "not-a-cat");
    for name in ["cat-animated.gif", "cat-animated.webp"] {
        assert_eq!(
            site.upload(fixture(name)).await.status,
            StatusCode::CREATED,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_shows_only_on_black_is_judged_as_it_is_published_on_white() {
    let site = Setup::new().with_real_models().start().await;
    site.upload(fixture("only-on-black.png"))
        .await
        .assert_error(422, "not-a-cat");
    assert_eq!(
        site.upload(fixture("cat-transparent.png")).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_very_long_picture_is_judged_square_by_square() {
    let site = Setup::new().with_real_models().start().await;
    site.upload(fixture("long-refused.jpg"))
        .await
        .assert_error(422, "unsafe");
    assert_eq!(
        site.upload(fixture("long-cat.jpg")).await.status,
        StatusCode::CREATED
    );
}

#[test]
fn missing_models_are_an_error_that_names_their_maker() {
    use cattocdn::screening::{LocalScreener, Screener};
    let dir = tempfile::tempdir().expect("a folder");
    let error = LocalScreener::new(dir.path())
        .check()
        .expect_err("there are no models");
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(text.contains("make models"), "{text}");
}
