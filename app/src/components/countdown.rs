//! The island that says how long a picture has left, and that takes it down at the promised second.

use std::time::Duration;

use leptos::prelude::*;

use crate::time::{readable_time, time_left};

/// The moment `until` (RFC 3339). The server writes it absolutely; the browser counts down to it and, at the second,
/// takes the images out of the closest `.life` and marks that as `is-gone`.
#[island]
pub(crate) fn Countdown(until: String) -> impl IntoView {
    let element = NodeRef::<leptos::html::Time>::new();
    let (words, set_words) = signal(["until ", &readable_time(&until)].concat());
    let title = words.get_untracked();

    let end = until.clone();
    Effect::new(move || {
        let end_ms = js_sys::Date::parse(&end);
        if end_ms.is_nan() {
            return;
        }
        let interval = StoredValue::new(None::<IntervalHandle>);
        let tick = move || {
            let seconds = ((end_ms - js_sys::Date::now()) / 1000.0).ceil();
            #[expect(clippy::cast_possible_truncation, reason = "some years of seconds fit")]
            match time_left(seconds as i64) {
                Some(left) => {
                    if words.read_untracked() != left {
                        set_words.set(left);
                    }
                }
                None => {
                    set_words.set("gone".to_owned());
                    if let Some(interval) = interval.get_value() {
                        interval.clear();
                    }
                    if let Some(element) = element.get_untracked() {
                        end_life(&element);
                    }
                }
            }
        };
        tick();
        interval.set_value(set_interval_with_handle(tick, Duration::from_secs(1)).ok());
    });

    view! { <time node_ref=element datetime=until title=title>{words}</time> }
}

/// Removes every image of the picture that this element belongs to.
fn end_life(element: &web_sys::Element) {
    let Ok(Some(life)) = element.closest(".life") else {
        return;
    };
    while let Ok(Some(image)) = life.query_selector("picture, img") {
        image.remove();
    }
    // The class alone shows and hides the rest; nothing is lost if it cannot be set.
    let _ = life.class_list().add_1("is-gone");
}
