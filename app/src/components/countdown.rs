//! How long pictures have left. The server writes the moment at which a picture ends, and the
//! browser counts down to it.

use std::time::Duration;

use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::Element;

use crate::time::{readable_time, time_left};

/// The moment at which a picture ends; `until` is in the form of RFC 3339. When that moment comes,
/// the closest element around it with the class `life` gets the class `is-gone`.
#[component]
pub(crate) fn TimeLeft(until: String) -> impl IntoView {
    let words = ["until ", &readable_time(&until)].concat();
    let text = words.clone();
    view! { <time class="time-left" datetime=until title=words>{text}</time> }
}

/// The island that counts down every [`TimeLeft`] on the page once a second, also those that are
/// added later. There is one island for all of them, because an island in each of forty cards would
/// slow down the start of the page. It shows nothing itself.
#[island]
pub(crate) fn Countdown() -> impl IntoView {
    if is_browser() {
        count_down();
        set_interval(count_down, Duration::from_secs(1));
    }
}

/// Updates every [`TimeLeft`] on the page.
fn count_down() {
    let Ok(times) = document().query_selector_all(".time-left") else {
        return;
    };
    for index in 0..times.length() {
        if let Some(time) = times.item(index) {
            update(time.unchecked_ref());
        }
    }
}

/// Writes how long is left. Once nothing is left, it removes every image of the picture and marks
/// the picture as gone.
fn update(time: &Element) {
    let until = time.get_attribute("datetime").unwrap_or_default();
    let milliseconds = js_sys::Date::parse(&until) - js_sys::Date::now();
    if milliseconds.is_nan() {
        return;
    }
    #[expect(clippy::cast_possible_truncation, reason = "some years of seconds fit")]
    let words = time_left((milliseconds / 1000.0).ceil() as i32);
    if let Some(words) = words {
        if time.text_content().as_ref() != Some(&words) {
            time.set_text_content(Some(&words));
        }
        return;
    }
    time.set_text_content(Some("gone"));
    if let Ok(Some(life)) = time.closest(".life") {
        while let Ok(Some(image)) = life.query_selector("picture, img") {
            image.remove();
        }
        // The images are removed already. If the class cannot be set, only the words around them
        // stay.
        let _ = life.class_list().add_1("is-gone");
    }
}
