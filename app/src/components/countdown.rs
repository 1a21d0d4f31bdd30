//! How long pictures have left. The server writes the moment at which a picture ends, and the
//! browser counts down to it.

use std::time::Duration;

use js_sys::{Date, Object, Reflect};
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::time::{readable_time, time_left};

/// The milliseconds of a day.
const DAY_MS: f64 = 86_400_000.0;

/// The attribute that keeps the words that were written last.
const WRITTEN: &str = "data-left";

/// The moment at which a picture ends; `until` is in the form of RFC 3339. When that moment comes,
/// the closest element around it with the class `life` gets the class `is-gone`.
#[component]
pub(crate) fn TimeLeft(until: String) -> impl IntoView {
    let words = ["until ", &readable_time(&until)].concat();
    let text = words.clone();
    view! { <time class="time-left" datetime=until title=words>{text}</time> }
}

/// Starts the island that counts down every [`TimeLeft`] on the page once a second, also those that
/// are added later. There is one island for all of them, because an island in each of forty cards
/// would slow down the start of the page. It shows nothing itself. It also writes moments of the
/// class `until` in the visitor's own time.
pub(crate) fn start() {
    if let Ok(times) = document().query_selector_all(".until") {
        for time in (0..times.length()).filter_map(|index| times.item(index)) {
            let until = moment(time.unchecked_ref());
            time.set_text_content(Some(&in_local_time(&until)));
        }
    }
    count_down();
    set_interval(count_down, Duration::from_secs(1));
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
    let until = moment(time);
    let milliseconds = until.get_time() - Date::now();
    if milliseconds.is_nan() {
        return;
    }
    #[expect(clippy::cast_possible_truncation, reason = "some years of seconds fit")]
    let words = time_left((milliseconds / 1000.0).ceil() as i32);
    let life = time.closest(".life").ok().flatten();
    if let Some(words) = words {
        // What was written is not read back from the text, which a translator may have changed.
        if time.get_attribute(WRITTEN).as_ref() != Some(&words) {
            time.set_text_content(Some(&words));
            // Neither can fail: the names are valid.
            let _ = time.set_attribute(WRITTEN, &words);
            let _ = time.set_attribute("title", &in_local_time(&until));
            if let Some(life) = life.filter(|_| milliseconds < DAY_MS) {
                drain(&life, milliseconds / DAY_MS);
            }
        }
        return;
    }
    time.set_text_content(Some("gone"));
    if let Some(life) = life {
        while let Ok(Some(image)) = life.query_selector("picture, img") {
            image.remove();
        }
        // The images are removed already. If the class cannot be set, only the words around them
        // stay.
        let _ = life.class_list().add_1("is-gone");
    }
}

/// The moment that an element names.
fn moment(time: &Element) -> Date {
    Date::new(&time.get_attribute("datetime").unwrap_or_default().into())
}

/// Says until when a picture is here, in the visitor's time zone: `until Sat, 5 Dec, 11:03`.
fn in_local_time(until: &Date) -> String {
    let options = Object::new();
    for (name, value) in [
        ("weekday", "short"),
        ("day", "numeric"),
        ("month", "short"),
        ("hour", "2-digit"),
        ("minute", "2-digit"),
    ] {
        // This fails only for an object that cannot be changed.
        let _ = Reflect::set(&options, &name.into(), &value.into());
    }
    let words: String = until.to_locale_string("en-GB", &options).into();
    ["until ", &words].concat()
}

/// Marks a picture as one in its last day, of which this share is left. The style sheet lets its
/// colours fade with it.
fn drain(life: &Element, left: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share is from 0 to 1"
    )]
    let percent = (left * 100.0) as u32;
    // Neither can fail: the names are valid.
    let _ = life.class_list().add_1("is-ending");
    let _ = life
        .unchecked_ref::<HtmlElement>()
        .style()
        .set_property("--day-left", &percent.to_string());
}
