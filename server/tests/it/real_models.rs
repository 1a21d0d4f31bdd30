//! Screening by the shipped models, on real photographs.

use axum::http::StatusCode;
use cattocdn::domain::labels::COMMON;
use serde_json::Value;

use crate::support::{Setup, Site, fixture};

/// The names of a picture's tags, the surest first.
fn tag_names(picture: &Value) -> Vec<&str> {
    let tags = picture["tags"].as_array().expect("tags");
    tags.iter()
        .map(|tag| tag["name"].as_str().expect("a name"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_know_a_cat_from_what_is_none() {
    let site = Setup::new().with_real_models().start().await;
    let cat = site.upload(fixture("chelsea.png")).await;
    assert_eq!(cat.status, StatusCode::CREATED, "{}", cat.text());
    assert_eq!(cat.json()["alt"], "tabby cat");
    for name in ["coffee.png", "rocket.jpg", "astronaut.png"] {
        site.upload(fixture(name))
            .await
            .assert_error(422, "not-a-cat");
    }
    site.upload(fixture("refused.jpg"))
        .await
        .assert_error(422, "unsafe");
}

/// Checks that this picture gets in, that it is described like this, and that its tags are those of
/// every cat and, where the description is not empty, the description.
async fn assert_gets_in(site: &Site, name: &str, description: &str) {
    let answer = site.upload(fixture(name)).await;
    assert_eq!(
        answer.status,
        StatusCode::CREATED,
        "{name}: {}",
        answer.text()
    );
    let picture = answer.json();
    assert_eq!(picture["alt"], description, "{name}");
    let mut tags = tag_names(&picture);
    tags.sort_unstable();
    let mut expected: Vec<&str> = COMMON.to_vec();
    expected.extend(Some(description).filter(|text| !text.is_empty()));
    expected.sort_unstable();
    assert_eq!(tags, expected, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cats_get_in_whether_dark_tiny_or_half_hidden() {
    let site = Setup::new().with_real_models().start().await;
    for (name, description) in [
        ("tabby.jpg", "tabby cat"),
        ("longhair.jpg", "tabby cat"),
        ("ginger-kitten.jpg", "ginger cat"),
        ("dark-tabby.jpg", "tabby cat"),
        ("tiny-tabby.jpg", "tabby cat"),
        ("tiny-ginger.jpg", "ginger cat"),
        ("half-hidden-ginger.jpg", "ginger cat"),
        // One of the two is a tabby.
        ("two-cats.jpg", "tabby cat"),
    ] {
        assert_gets_in(&site, name, description).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_of_a_cat_that_is_not_known() {
    let site = Setup::new().with_real_models().start().await;
    for name in [
        // White and tabby, and playing with wool that is not sure enough to be named.
        "kitten.jpg",
        "dark-kitten.jpg",
        // Its body without the head.
        "half-hidden-kitten.jpg",
        // Half a face, of which too little fur is seen.
        "half-hidden-tabby.jpg",
    ] {
        assert_gets_in(&site, name, "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dogs_wild_cats_rooms_and_food_do_not_get_in() {
    let site = Setup::new().with_real_models().start().await;
    for name in [
        "retriever.jpg",
        "spaniels.jpg",
        "jaguars.jpg",
        "tiger.jpg",
        "red-panda.jpg",
        "pika.jpg",
        "room.jpg",
        "pancakes.jpg",
    ] {
        let answer = site.upload(fixture(name)).await;
        assert_eq!(answer.status.as_u16(), 422, "{name}: {}", answer.text());
        answer.assert_error(422, "not-a-cat");
    }
}

/// No rule speaks of screenshots and pages: what counts is that a domestic cat is seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_text_with_a_photograph_of_a_cat_gets_in() {
    let site = Setup::new().with_real_models().start().await;
    assert_gets_in(&site, "page-with-cat.jpg", "").await;
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
