//! How long pictures have left: written absolutely by the server, counted down in the browser.

use std::time::Duration;

use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::Element;

use crate::time::{readable_time, time_left};

/// The moment (RFC 3339) at which a picture's time is up. It ends the life of the closest `.life`.
#[component]
pub(crate) fn TimeLeft(until: String) -> impl IntoView {
    let words = ["until ", &readable_time(&until)].concat();
    let text = words.clone();
    view! { <time class="time-left" datetime=until title=words>{text}</time> }
}

/// The island that counts down every [`TimeLeft`] of the page, also those that come later: one for all of them,
/// because forty on a page would be forty things to hydrate. It shows nothing itself.
#[island]
pub(crate) fn Countdown() -> impl IntoView {
    if is_browser() {
        count_down();
        set_interval(count_down, Duration::from_secs(1));
    }
}

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

/// Says how long is left; at the last second removes every image of the picture.
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
        // The class alone shows and hides the rest; nothing is lost if it cannot be set.
        let _ = life.class_list().add_1("is-gone");
    }
}
